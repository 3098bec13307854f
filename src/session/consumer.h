/* A consumer on a channel: what its client calls it, and where its deliveries go. Its place among the
 * consumers of its queue is the queue's (queue/queue_consumer.h).
 *
 * Also anything else that deliveries come from: a channel that used basic.get has one inactive
 * consumer for each queue with messages it has not acknowledged; a reply consumer (direct reply-to)
 * has no queue. A consumer that was cancelled stays as long as deliveries refer to it. */
#ifndef LEVERET_SESSION_CONSUMER_H
#define LEVERET_SESSION_CONSUMER_H

#include "queue/queue_consumer.h"

struct channel;
struct delivery;
struct server;

enum { CONSUMERS_MAX = 10000, /* on one channel */ CONSUMER_ARGUMENTS_MAX = 1024 };

struct consumer {
    struct queue_consumer base;
    struct channel *channel;
    struct list channel_link; /* in channel->consumers while it is active, or channel->getters */
    uint32_t refs;            /* one while it is active, one for each run of unacked deliveries */
    bool is_getter;           /* the source of messages that were got */
    uint8_t tag_size;
    uint16_t arguments_size;
    uint8_t prefix[]; /* of a deliver frame: frame header, ids, and the tag as a shortstr; behind
                         that the contents of its arguments */
};

enum { CONSUMER_PREFIX_TAG = 12 }; /* where the tag's characters begin in the prefix */

static inline struct consumer *consumer_of(struct queue_consumer *base)
{
    return base ? list_entry(base, struct consumer, base) : NULL;
}

static inline struct bytes consumer_tag(const struct consumer *consumer)
{
    return bytes_of(consumer->prefix + CONSUMER_PREFIX_TAG, consumer->tag_size);
}

/* What it was begun with; empty where that was above CONSUMER_ARGUMENTS_MAX bytes. */
static inline struct bytes consumer_arguments(const struct consumer *consumer)
{
    return bytes_of(consumer->prefix + CONSUMER_PREFIX_TAG + consumer->tag_size,
                    consumer->arguments_size);
}

struct consumer_request {
    struct queue *queue;
    struct bytes tag;
    struct bytes arguments; /* contents of a field table */
    bool no_ack;
    bool exclusive;
    uint16_t prefetch;
    int64_t priority;
};

/* Begins to consume; the channel has checked that it may. `queue` NULL: a reply consumer. */
struct consumer *consumer_new(struct channel *channel, const struct consumer_request *request);
/* The channel's inactive consumer for basic.get on this queue. */
struct consumer *consumer_for_get(struct channel *channel, struct queue *queue);
/* The consumer gets no more deliveries; an auto-delete queue may go with it. */
void consumer_cancel(struct consumer *consumer);
/* The same with its channel, which returns what it has not acknowledged. */
void consumer_end(struct consumer *consumer);
/* Tells consumers whose queue is gone that they are no more. On the connection of `deleter` they are
 * told after what that channel was answered, even if the answer is held; NULL: nobody asked for it. */
void consumers_tell_lost(struct server *server, const struct channel *deleter);
/* One of its deliveries was acknowledged or went back. The caller sees to channel_unpark afterwards. */
void consumer_settled(struct consumer *consumer);
/* It had its turn: when others of its channel wait for the same credit, it goes behind these. */
void consumer_delivered(struct consumer *consumer);
/* Waits on `obstacles` (a channel's, a connection's) until consumers_unpark. */
void consumer_park(struct consumer *consumer, struct list *obstacles);
void consumers_unpark(struct list *obstacles);
/* The same for the one whose turn it is of those that wait for the channel: the one that has waited
 * longest, or one of its queue that has a higher priority. NULL: none waits. */
struct consumer *consumer_unpark_next(struct channel *channel);
void consumer_free(struct consumer *consumer);

static inline void consumer_ref(struct consumer *consumer)
{
    consumer->refs++;
}

static inline void consumer_unref(struct consumer *consumer)
{
    if (--consumer->refs == 0)
        consumer_free(consumer);
}

#endif
