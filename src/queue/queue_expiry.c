/* The time of the first message, and the timer that goes off then. */
#include "queue/queue_expiry.h"

#include "base/planted.h"
#include "queue/queue_consumer.h"
#include "queue/queue_schedule.h"
#include "queue/queue_timer.h"

/* When what is being read is asked for again. */
enum { SEEK_MS = 20 };

uint64_t queue_ends_ms(const struct queue *queue, const struct message *message)
{
    uint64_t of_queue = queue->settings->message_ttl_ms, ttl_ms = message->ttl_ms;
    if (of_queue < ttl_ms && !planted(PLANTED_TTL_OF_QUEUE_IGNORED))
        ttl_ms = of_queue;
    if (ttl_ms == MESSAGE_NO_TTL)
        return 0;
    return (queue->is_delay ? queue->queues->input_ms : queue->queues->clock_ms) + ttl_ms;
}

/* Did it come in this turn, to be delivered at once? */
static bool is_fresh(const struct queue *queue, uint64_t ends_ms)
{
    return queue_timers_are_at_once(queue, ends_ms) && ends_ms >= queue->queues->arrival_ms;
}

/* The timer goes off at that time at the latest; where messages leave from anywhere, the schedule knows. */
static void arm(struct queue *queue, uint64_t ends_ms)
{
    uint64_t clock_ms = queue->queues->clock_ms;
    if (ends_ms == 0 || queue->settings->expire_anywhere)
        return;
    uint64_t left_ms = ends_ms > clock_ms ? ends_ms - clock_ms : is_fresh(queue, ends_ms);
    queue_timer_advance(queue, QUEUE_TIMER_HEAD, left_ms);
}

/* Its end may have come while it was taken. */
static void seek_end(struct queue *queue, uint64_t position)
{
    uint64_t ends_ms = 0, clock_ms = queue->queues->clock_ms;
    enum queue_result result = queue->kind->ends(queue, position, &ends_ms);
    if (result == QUEUE_WAIT)
        queue_schedule_add(queue, clock_ms + SEEK_MS, position, SCHEDULE_SEEK);
    else if (result == QUEUE_OK && ends_ms && ends_ms <= clock_ms)
        queue_schedule_add(queue, clock_ms, position, SCHEDULE_END);
}

bool queue_expire_scheduled(struct queue *queue, const struct scheduled *due)
{
    uint64_t ends_ms;
    if (due->why == SCHEDULE_SEEK)
        seek_end(queue, due->position);
    if (due->why != SCHEDULE_END)
        return false;
    if (queue_take_at(queue, due->position))
        return true;
    /* It may be to come yet. */
    if (queue->limit & QUEUE_AGREES &&
        queue->kind->ends(queue, due->position, &ends_ms) == QUEUE_WAIT)
        queue_schedule_add(queue, queue->queues->clock_ms + SEEK_MS, due->position, SCHEDULE_SEEK);
    return false;
}

void queue_pushed_timed(struct queue *queue, const struct index *place, uint64_t ends_ms)
{
    uint64_t clock_ms = queue->queues->clock_ms;
    if (ends_ms <= clock_ms)
        queue_timers_at_once(queue, queue_next_consumer(queue) ? ends_ms : 0);
    if (queue->settings->expire_anywhere)
        queue_schedule_add(queue, ends_ms > clock_ms ? ends_ms : clock_ms + 1,
                           queue->kind->last(queue, place), SCHEDULE_END);
    if (place->ready == 1)
        arm(queue, ends_ms);
}

void queue_heads_changed(struct queue *queue)
{
    arm(queue, queue->kind->head_ms(queue));
}

void queue_gave_all(struct queue *queue)
{
    if (queue_timers_at_once(queue, 0))
        queue_heads_changed(queue);
}

void queue_head_changed(struct queue *queue, struct index *index)
{
    arm(queue, index_head_ms(index));
}

void queue_returned_timed(struct queue *queue, struct index *index, uint64_t position)
{
    queue_gave_all(queue);
    queue_head_changed(queue, index);
    if (queue->settings->expire_anywhere)
        seek_end(queue, position);
}

static bool has_ended(const struct queue *queue, struct index *index)
{
    uint64_t ends_ms = index_head_ms(index);
    return ends_ms && ends_ms <= queue->queues->clock_ms && !is_fresh(queue, ends_ms);
}

bool queue_head_has_ended(struct queue *queue, struct index *index)
{
    if (planted(PLANTED_EXPIRED_DELIVERED) || !has_ended(queue, index))
        return false;
    queue_timer_set(queue, QUEUE_TIMER_HEAD, 0);
    return true;
}

enum queue_result queue_index_take_timed(struct queue *queue, struct index *index, bool settle,
                                         struct taken *taken)
{
    if (queue_head_has_ended(queue, index))
        return QUEUE_WAIT;
    enum queue_result result = (enum queue_result)index_take(index, settle, taken);
    if (result == QUEUE_OK)
        queue_head_changed(queue, index);
    if (settle && queue->timers)
        queue_schedule_clear_some(queue);
    return result;
}

enum queue_result queue_index_expire(struct queue *queue, struct index *index, uint64_t *sequence)
{
    return has_ended(queue, index)
               ? (enum queue_result)index_expire(index, queue->queues->clock_ms, sequence)
               : QUEUE_EMPTY;
}
