/* A message finds its queues. */
#ifndef LEVERET_BROKER_PUBLISH_H
#define LEVERET_BROKER_PUBLISH_H

#include "broker/exchange.h"
#include "broker/route.h"

struct published {
    size_t queues;  /* how many it went to */
    uint32_t logs;  /* set of logs whose present tickets a confirm has to wait for */
    bool is_refused; /* one of them was full, and did not take it: its publisher is told */
};

/* The longest key for which it is remembered where it leads: a memo fills a cache line. */
enum { MEMO_KEY_MAX = 39 };

/* To which one queue messages without headers go that have this key. */
struct memo {
    const struct exchange *exchange;
    uint64_t topology; /* good while broker->topology is this */
    struct queue *queue;
    uint8_t key_size;
    uint8_t key[MEMO_KEY_MAX];
};

/* Routes a complete message and puts it into its queues, which then have work. Takes no reference
 * away from the caller. The session has made all checks. `set` is scratch space. */
struct published publish(struct exchange *exchange, struct message *message, struct queue_set *set);

/* The one queue where a message with this key and these properties goes, when that is remembered
 * from one before it; NULL: publish finds out. */
struct queue *publish_known(const struct exchange *exchange, struct bytes routing_key,
                            struct bytes properties, struct queue_set *set);
/* The same for one without headers whose key is not that of the message before it. */
struct queue *publish_find(const struct exchange *exchange, struct bytes routing_key,
                           struct queue_set *set);

static inline bool memo_fits(const struct memo *memo, const struct exchange *exchange,
                             struct bytes key)
{
    return memo->exchange == exchange && memo->topology == exchange->vhost->broker->topology &&
           bytes_equal_names(bytes_of(memo->key, memo->key_size), key);
}

/* publish_known for a message without headers. Most go where the one before went. */
static inline struct queue *publish_known_plain(const struct exchange *exchange,
                                                struct bytes routing_key,
                                                struct queue_set *set)
{
    const struct memo *memo = set->last_memo;
    if (__builtin_expect(memo && memo_fits(memo, exchange, routing_key), 1))
        return memo->queue;
    return publish_find(exchange, routing_key, set);
}

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
