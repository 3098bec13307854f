/* The time of the first message, and the timer that goes off then. */
#include "queue/queue_expiry.h"

#include "base/planted.h"
#include "queue/queue_consumer.h"
#include "queue/queue_timer.h"

uint64_t queue_ends_ms(const struct queue *queue, const struct message *message)
{
    uint64_t of_queue = queue->settings->message_ttl_ms, ttl_ms = message->ttl_ms;
    if (of_queue < ttl_ms && !planted(PLANTED_TTL_OF_QUEUE_IGNORED))
        ttl_ms = of_queue;
    return ttl_ms == MESSAGE_NO_TTL ? 0 : queue->queues->clock_ms + ttl_ms;
}

void queue_pushed_timed(struct queue *queue, uint64_t ends_ms)
{
    if (ends_ms <= queue->queues->clock_ms)
        queue_timers_at_once(queue, queue_next_consumer(queue) ? ends_ms : 0);
    if (queue_ready(queue) == 1)
        queue_head_changed(queue);
}

/* Did it come in this turn, to be delivered at once? */
static bool is_fresh(const struct queue *queue, uint64_t ends_ms)
{
    return queue_timers_are_at_once(queue, ends_ms) && ends_ms >= queue->queues->arrival_ms;
}

void queue_gave_all(struct queue *queue)
{
    if (queue_timers_at_once(queue, 0))
        queue_head_changed(queue);
}

void queue_head_changed(struct queue *queue)
{
    uint64_t clock_ms = queue->queues->clock_ms, ends_ms = queue->kind->head_ms(queue);
    if (ends_ms == 0)
        return;
    uint64_t left_ms = ends_ms > clock_ms ? ends_ms - clock_ms : is_fresh(queue, ends_ms);
    queue_timer_advance(queue, QUEUE_TIMER_HEAD, left_ms);
}

static bool has_ended(struct queue *queue)
{
    uint64_t ends_ms = queue->kind->head_ms(queue);
    return ends_ms && ends_ms <= queue->queues->clock_ms && !is_fresh(queue, ends_ms);
}

bool queue_head_has_ended(struct queue *queue)
{
    if (planted(PLANTED_EXPIRED_DELIVERED) || !has_ended(queue))
        return false;
    queue_timer_set(queue, QUEUE_TIMER_HEAD, 0);
    return true;
}

enum queue_result queue_expire(struct queue *queue, uint64_t *position)
{
    return has_ended(queue) ? queue->kind->expire(queue, queue->queues->clock_ms, position)
                            : QUEUE_EMPTY;
}
