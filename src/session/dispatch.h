/* Messages of queues that have work go to consumers that can take them. */
#ifndef LEVERET_SESSION_DISPATCH_H
#define LEVERET_SESSION_DISPATCH_H

#include "session/outgoing.h"

struct channel;
struct server;

/* Once a turn: gives every working queue its share until the turn's budget is used up. Work that is
 * left stays on queues->working. */
void dispatch(struct server *server);
/* Makes the deliveries from this queue that are due, before a method of the channel looks at it: so
 * the method sees the queue as it would if its client had waited for each answer. False: not all
 * could be made yet, and the method is to be handled again (HANDLED_WAIT). That ends: a queue that
 * stays busy is looked at as it stands after some turns. Which methods these are: README.md. */
bool dispatch_due(struct channel *channel, struct queue *queue);
/* The same for every queue that the channel consumes from. */
bool dispatch_due_consumed(struct channel *channel);
/* The same for every queue with outstanding deliveries from tag `first` to `last`, which are about to
 * return to it. */
bool dispatch_due_returned(struct channel *channel, uint64_t first, uint64_t last);
/* Passes a small message from a publisher to the next consumer, as if it had been in the queue for
 * no time. Only if the queue has nothing else to give, and the consumer acknowledges nothing, so
 * that the message is done with. False: it has to go through the queue. */
bool dispatch_directly(struct queue *queue, const struct parcel *parcel);

#endif
