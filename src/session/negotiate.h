/* From the protocol header to an open connection (AMQP 0-9-1, 2.2.4). */
#ifndef LEVERET_SESSION_NEGOTIATE_H
#define LEVERET_SESSION_NEGOTIATE_H

#include "amqp/method.h"
#include "session/handlers.h"

/* Sends connection.start. */
void negotiate_start(struct connection *connection);

#endif
