/* A consumer as its queue sees it: what it may take, and whose turn it is. It lies in an object of whoever
 * speaks to the client, who also knows what else may keep it from being given a message.
 *
 * queue->ready_consumers is in order of the last delivery, so that taking from its front is round robin.
 * A consumer is on it only while it could take a message as far as its own prefetch is concerned. Its
 * owner finds out about obstacles beyond that when its turn comes, and takes it off the list until they
 * are gone. So the cost of a delivery does not depend on how many consumers wait.
 *
 * From the first consumer with a priority on there is such a list for each priority that a consumer has,
 * and queue->ready_consumers is the list of these, the highest first (queue->has_levels).
 *
 * Of a queue with x-single-active-consumer one consumer is active: the first one, until it leaves. Then
 * it is the one of highest priority, and among these the one that came first. In a classic queue nobody
 * takes the place of one that is there, whatever his priority. In a quorum queue one of higher priority
 * does, as in RabbitMQ 4: the active one gets nothing more, and makes room when all that it has is settled. */
#ifndef LEVERET_QUEUE_QUEUE_CONSUMER_H
#define LEVERET_QUEUE_QUEUE_CONSUMER_H

#include "queue/queue.h"

struct queue_consumer {
    struct queue *queue;    /* NULL once it is gone */
    struct list queue_link; /* in queue->consumers; when the queue has gone, in *lost */
    struct list ready_link; /* in queue->ready_consumers, or where its owner makes it wait */
    struct list *lost;      /* where its owner wants to find it when its queue has gone */
    uint32_t unacked;       /* messages taken for it and not settled or given back */
    uint16_t prefetch;      /* 0: no limit */
    bool no_ack;            /* what it takes is settled in the same step */
    bool exclusive;
    bool is_active; /* can be given messages: not cancelled, and not the source of what was got */
    bool is_single; /* the one that is given all messages of a queue with x-single-active-consumer */
    bool is_yielding; /* it is, and makes room for another one as soon as it has nothing unsettled */
    bool gives_back; /* it leaves with its channel, and what it has unsettled goes back at once */
    int64_t priority;
};

/* It consumes from the queue from now on, if it is active; else it only hangs on its list. Links and
 * settings have been initialised. */
void queue_consumer_join(struct queue *queue, struct queue_consumer *consumer);
/* It gets nothing more, but stays on the queue's list while it has unsettled messages. True: the queue
 * was to go with its last consumer, and that was it; the caller deletes it. If it was the single active
 * one and gives back, the next takes its place when all is back, so that order is kept. */
bool queue_consumer_leave(struct queue_consumer *consumer);
/* Takes it off all lists, for the end. */
void queue_consumer_free(struct queue_consumer *consumer);
/* One of its messages was settled or given back. */
void queue_consumer_settled(struct queue_consumer *consumer);
/* May there be another consumer, or one that asks for exclusive access? Else the queue is in exclusive
 * use, or can never be. */
bool queue_may_consume(const struct queue *queue, bool exclusive);
/* Can it be on queue->ready_consumers, and is it not there, nor made to wait? */
bool queue_consumer_can_be_ready(const struct queue_consumer *consumer);
/* Joins queue->ready_consumers if it can. */
void queue_consumer_ready(struct queue_consumer *consumer);
/* Whose turn it is; NULL: nobody is ready. The first is for the second. */
struct queue_consumer *queue_next_of_levels(const struct queue *queue);

static inline struct queue_consumer *queue_next_consumer(const struct queue *queue)
{
    const struct list *head = &queue->ready_consumers;
    if (__builtin_expect(queue->has_levels, 0))
        return queue_next_of_levels(queue);
    return list_is_empty(head) ? NULL : list_entry(head->next, struct queue_consumer, ready_link);
}

/* How many messages those that are ready could take now; UINT64_MAX: any number. */
uint64_t queue_credit(const struct queue *queue);
/* Takes a message for the next consumer. After QUEUE_OK it has had its turn. */
enum queue_result queue_match(struct queue *queue, struct queue_consumer *next,
                              struct taken *taken);
/* The slow half of queue_consumer_had_turn. */
void queue_consumer_turn(struct queue_consumer *consumer);

/* The next consumer has had a turn: goes behind the others of its priority, or leaves the list when its
 * prefetch is used up. For a message that never was in the queue. */
static inline void queue_consumer_had_turn(struct queue_consumer *consumer)
{
    bool is_alone = consumer->ready_link.prev == consumer->ready_link.next;
    if (!is_alone || consumer->prefetch)
        queue_consumer_turn(consumer);
}

/* The queue goes: those that are active are put on the list that each wants to be found on. */
void queue_lose_consumers(struct queue *queue);

#endif
