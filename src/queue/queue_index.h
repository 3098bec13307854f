/* One index of a queue, for the kinds: what the first message there does to the queue's timer. */
#ifndef LEVERET_QUEUE_QUEUE_INDEX_H
#define LEVERET_QUEUE_QUEUE_INDEX_H

#include "queue/queue_expiry.h"
#include "queue/queue_schedule.h"

_Static_assert((int)QUEUE_OK == (int)INDEX_OK && (int)QUEUE_EMPTY == (int)INDEX_EMPTY &&
                   (int)QUEUE_WAIT == (int)INDEX_WAIT,
               "an index answers as a queue does");

static inline enum queue_result queue_index_take(struct queue *queue, struct index *index,
                                                 bool settle, struct taken *taken)
{
    if (__builtin_expect(index->has_times, 0))
        return queue_index_take_timed(queue, index, settle, taken);
    return (enum queue_result)index_take(index, settle, taken);
}

static inline bool queue_index_take_head(struct queue *queue, struct index *index,
                                         uint64_t *sequence)
{
    bool is_taken = index_take_head(index, sequence);
    if (index->has_times)
        queue_head_changed(queue, index);
    return is_taken;
}

static inline bool queue_index_take_at(struct queue *queue, struct index *index, uint64_t sequence)
{
    bool is_taken = index_take_at(index, sequence);
    if (is_taken && index->has_times)
        queue_head_changed(queue, index);
    return is_taken;
}

static inline void queue_index_settle(struct queue *queue, struct index *index, uint64_t sequence)
{
    index_settle(index, sequence);
    if (queue->timers)
        queue_schedule_clear_some(queue);
}

/* `position` is what the queue calls it. */
static inline void queue_index_give_back(struct queue *queue, struct index *index,
                                         uint64_t sequence, uint64_t position)
{
    index_redeliver(index, sequence);
    if (index->has_times)
        queue_returned_timed(queue, index, position);
}

static inline bool queue_index_retry(struct queue *queue, struct index *index, uint64_t sequence,
                                     uint64_t position)
{
    bool is_ready = index_retry(index, sequence);
    if (is_ready && index->has_times)
        queue_returned_timed(queue, index, position);
    return is_ready;
}

#endif
