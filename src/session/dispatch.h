/* Messages of queues that have work go to consumers that can take them. */
#ifndef LEVERET_SESSION_DISPATCH_H
#define LEVERET_SESSION_DISPATCH_H

struct server;

/* Once a turn: gives every working queue its share until the turn's budget is used up. Work that is
 * left stays on broker->working. */
void dispatch(struct server *server);

#endif
