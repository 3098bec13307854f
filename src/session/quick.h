/* The short way for what a busy publisher sends. */
#ifndef LEVERET_SESSION_QUICK_H
#define LEVERET_SESSION_QUICK_H

#include "session/connection.h"

/* Publishes the message at the beginning of `in` when it is all there, as basic.publish, header and
 * at most one body frame, one after the other, and its properties need no more than to be carried.
 * Returns the bytes it took; 0: nothing was done, and the frames are to be taken one by one. */
size_t quick_publish(struct connection *connection, struct bytes in);

#endif
