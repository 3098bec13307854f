/* A server whose queues may be queues of groups (src/cluster): its turns move the groups on, and its
 * replies wait for what they agree on. */
#ifndef LEVERET_SESSION_AGREED_H
#define LEVERET_SESSION_AGREED_H

#include "session/server.h"

struct lanes;

/* The lanes were added all, and outlive the server. */
void agreed_begin(struct server *server, struct lanes *lanes);

#endif
