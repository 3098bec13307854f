/* Messages that an exchange holds back for as long as their header `x-delay` says, in milliseconds.
 * They wait in a queue of the exchange that nobody can name, where the time of each is when it
 * leaves; it is made when the first one comes, is on record with the exchange, and goes with it. */
#ifndef LEVERET_BROKER_DELAY_H
#define LEVERET_BROKER_DELAY_H

#include "amqp/properties.h"
#include "broker/route.h"

/* The type that always does so, whatever it routes by, which its argument says. */
#define DELAYED_TYPE "x-delayed-message"
#define DELAYED_TYPE_ARGUMENT "x-delayed-type"
/* An exchange of any other type does so with this argument. */
#define DELAYED_ARGUMENT "x-delayed-exchange"

/* How long a message with these headers is to wait; 0: it is not. */
uint64_t delay_of(struct bytes headers);
/* Puts the message into the queues of those exchanges of the set that hold it back, and empties
 * that list. Returns the logs that it is on record in. Routing has found set->delay_ms. */
uint32_t delay_keep(struct queue_set *set, struct message *message);
/* A message whose time has come, from the queue of the exchange: it is published there, and its
 * header shows that it was held back. Its end is the caller's. */
void delay_release(struct exchange *exchange, const struct message *message);
/* The expiration among properties that a publish has checked; MESSAGE_NO_TTL: none. */
uint64_t expiration_of(const struct properties *properties);

/* How many wait. */
uint64_t delay_count(const struct exchange *exchange);
/* Tells of some of them, from the id *from (0: the first) on, in the order of their ids, with the
 * time at which they leave, in ms since 1970; moves *from behind them. QUEUE_EMPTY: there are no
 * more; QUEUE_WAIT: they are being read, ask again. */
enum queue_result delay_list(struct exchange *exchange, uint64_t *from, queue_each_time *each,
                             void *context);
/* Ends one that waits. False: there is none of that id, or it is on its way. */
bool delay_cancel(struct exchange *exchange, uint64_t id);

/* For the catalogue: the queue of an exchange comes, or goes with all that is in it. */
void delay_apply(struct vhost *vhost, const struct change *change);
/* The queue goes, if there is one. */
void delay_delete_decide(const struct exchange *exchange, struct changes *changes);
/* Forgets the queue; the store keeps what is in it. */
void delay_free(struct exchange *exchange);

#endif
