/* Timers of queues, all in one heap; a queue has memory for its own from the first time that it sets one. */
#include "queue/queue_timer.h"

#include <assert.h>

#include "base/mem.h"
#include "queue/queue_schedule.h"

struct queue_timers {
    struct queue *queue;
    uint64_t at_once_ms; /* queue_timers_at_once */
    struct queue_schedule *schedule;
    struct timer timers[QUEUE_TIMERS];
};

static struct queue_timers *timers_of(struct queue *queue)
{
    assert(!queue->is_leaving);
    if (!queue->timers) {
        queue->timers = mem_zalloc(sizeof(*queue->timers));
        queue->timers->queue = queue;
    }
    return queue->timers;
}

static bool goes_off(const struct queue *queue, enum queue_timer which, uint64_t by_ms)
{
    const struct timer *timer = queue->timers ? &queue->timers->timers[which] : NULL;
    return timer && timer->place && timer->at_ms <= by_ms;
}

void queue_timer_set(struct queue *queue, enum queue_timer which, uint64_t delay_ms)
{
    struct queues *queues = queue->queues;
    struct timer *timer = &timers_of(queue)->timers[which];
    timer->kind = (int)which;
    timer_set(&queues->timers, timer, queues->now_ms + delay_ms);
}

void queue_timer_advance(struct queue *queue, enum queue_timer which, uint64_t delay_ms)
{
    if (!goes_off(queue, which, queue->queues->now_ms + delay_ms))
        queue_timer_set(queue, which, delay_ms);
}

bool queue_timer_is_due(const struct queue *queue, enum queue_timer which)
{
    return goes_off(queue, which, queue->queues->now_ms);
}

bool queue_timers_at_once(struct queue *queue, uint64_t ends_ms)
{
    if (!queue->timers && ends_ms == 0)
        return false;
    struct queue_timers *timers = timers_of(queue);
    bool was = timers->at_once_ms;
    timers->at_once_ms = ends_ms;
    return was;
}

bool queue_timers_are_at_once(const struct queue *queue, uint64_t ends_ms)
{
    return queue->timers && ends_ms && queue->timers->at_once_ms == ends_ms;
}

struct queue_schedule **queue_timers_schedule(struct queue *queue)
{
    return &timers_of(queue)->schedule;
}

struct queue_schedule *queue_timers_schedule_if_any(const struct queue *queue)
{
    return queue->timers ? queue->timers->schedule : NULL;
}

void queue_timer_cancel(struct queue *queue, enum queue_timer which)
{
    if (queue->timers)
        timer_cancel(&queue->queues->timers, &queue->timers->timers[which]);
}

void queue_timers_free(struct queue *queue)
{
    for (int which = 0; which < QUEUE_TIMERS; which++)
        queue_timer_cancel(queue, (enum queue_timer)which);
    if (queue->timers)
        queue_schedule_free(queue->timers->schedule);
    mem_free(queue->timers);
    queue->timers = NULL;
}

struct queue *queues_take_expired(struct queues *queues, enum queue_timer *which)
{
    struct timer *timer = timers_expired(&queues->timers, queues->now_ms);
    if (!timer)
        return NULL;
    *which = (enum queue_timer)timer->kind;
    struct timer *first = timer - timer->kind;
    struct queue_timers *timers = list_entry(first, struct queue_timers, timers[0]);
    assert(timers->queue->timers == timers);
    return timers->queue;
}

uint64_t queues_next_ms(const struct queues *queues)
{
    return timers_next_ms(&queues->timers);
}

void queue_used(struct queue *queue)
{
    uint64_t expires_ms = queue->settings->expires_ms;
    if (expires_ms != SETTING_NONE && queue->consumer_count == 0)
        queue_timer_set(queue, QUEUE_TIMER_UNUSED, expires_ms);
}

void queue_expiry_changed(struct queue *queue)
{
    queue_timer_cancel(queue, QUEUE_TIMER_UNUSED);
    queue_used(queue);
}
