/* Messages of queues that have work go to consumers that can take them. */
#ifndef LEVERET_SESSION_DISPATCH_H
#define LEVERET_SESSION_DISPATCH_H

#include "session/outgoing.h"

struct server;

/* Once a turn: gives every working queue its share until the turn's budget is used up. Work that is
 * left stays on broker->working. */
void dispatch(struct server *server);
/* Passes a small message from a publisher to the next consumer, as if it had been in the queue for
 * no time. Only if the queue has nothing else to give, and the consumer acknowledges nothing, so
 * that the message is done with. False: it has to go through the queue. */
bool dispatch_directly(struct queue *queue, const struct parcel *parcel);

#endif
