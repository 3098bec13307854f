/* A message finds its queues. */
#ifndef LEVERET_BROKER_PUBLISH_H
#define LEVERET_BROKER_PUBLISH_H

#include "broker/route.h"

struct published {
    size_t queues;  /* how many it went to */
    uint32_t logs;  /* set of logs whose present tickets a confirm has to wait for */
    bool is_refused; /* one of them was full, and did not take it: its publisher is told */
};

/* Routes a complete message and puts it into its queues, which then have work. Takes no reference
 * away from the caller. The session has made all checks. `set` is scratch space. */
struct published publish(struct exchange *exchange, struct message *message, struct queue_set *set);

/* The one queue where a message with this key and these properties goes, when that is remembered
 * from one before it; NULL: publish finds out. */
struct queue *publish_known(const struct exchange *exchange, struct bytes routing_key,
                            struct bytes properties, struct queue_set *set);
/* A message that nobody has looked at yet may go to so many queues, for the room that it takes. */
enum { PUBLISH_QUEUES_GUESSED = 64 };
/* To how many queues a message would go. */
size_t publish_count(struct exchange *exchange, const struct message *message,
                     struct queue_set *set);
/* publish for a message that goes to this queue alone. */
struct published publish_to(struct queue *queue, struct message *message);
/* A copy of a message with other properties and names, sharing nothing. */
struct message *message_copy(struct message_pool *pool, const struct message *message,
                             struct bytes exchange, struct bytes routing_key,
                             struct bytes properties);

/* For this folder: puts a message into the queues of the set. */
struct published publish_routed(struct broker *broker, struct message *message,
                                struct queue_set *set);

#endif
