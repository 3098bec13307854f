#include "queue/queue_limit.h"

#include "base/planted.h"
#include "queue/queue_consumer.h"

uint8_t queue_limit_of(const struct queue_settings *settings)
{
    uint8_t deduplicates = settings->deduplicates ? QUEUE_DEDUPLICATES : 0;
    if (settings->max_length == SETTING_NONE && settings->max_length_bytes == SETTING_NONE)
        return deduplicates;
    return deduplicates | (settings->overflow == OVERFLOW_DROP_HEAD ? QUEUE_DROPS : QUEUE_REFUSES);
}

static bool is_too_much(const struct queue *queue, uint64_t count, uint64_t bytes)
{
    return count > queue->settings->max_length || bytes > queue->settings->max_length_bytes;
}

bool queue_is_over(const struct queue *queue)
{
    if (!(queue->limit & (QUEUE_DROPS | QUEUE_REFUSES)))
        return false;
    uint64_t taken = planted(PLANTED_LIMIT_COUNTS_TAKEN) ? queue->counts->taken : 0;
    return is_too_much(queue, queue->counts->ready + taken, queue->counts->ready_bytes);
}

bool queue_is_to_drop(const struct queue *queue)
{
    if (!(queue->limit & QUEUE_DROPS) || !queue->counts->ready)
        return false;
    bool is_awaited = queue_next_consumer(queue) && !planted(PLANTED_DROPPED_BEFORE_TAKEN);
    return !is_awaited && queue_is_over(queue);
}

static bool would_be_over(const struct queue *queue, uint64_t body_size)
{
    uint64_t ready = queue->counts->ready, bytes = queue->counts->ready_bytes, coming_bytes;
    if (queue->limit & QUEUE_AGREES && !planted(PLANTED_AGREE_LIMIT_OF_STATE)) {
        ready += store_queue_proposed(queue->queues->store, queue->id, &coming_bytes);
        bytes += coming_bytes;
    }
    if (!is_too_much(queue, ready + 1, bytes + body_size))
        return false;
    uint64_t gone = queue_credit(queue);
    if (gone >= ready)
        return is_too_much(queue, 1, body_size);
    bytes -= bytes / ready * gone;
    return is_too_much(queue, ready - gone + 1, bytes + body_size);
}

bool queue_has_to_refuse(const struct queue *queue, uint64_t body_size)
{
    return (queue->limit & QUEUE_REFUSES) && would_be_over(queue, body_size);
}

bool queue_has_no_room(const struct queue *queue, uint64_t body_size)
{
    return (queue->limit & (QUEUE_REFUSES | QUEUE_DROPS)) && would_be_over(queue, body_size);
}
