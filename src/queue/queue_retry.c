#include "queue/queue_retry.h"

#include "base/planted.h"
#include "queue/queue_expiry.h"
#include "queue/queue_schedule.h"
#include "queue/queue_timer.h"

bool queue_retry_is_delayed(const struct queue *queue, enum return_why why)
{
    switch (queue->settings->retry_type) {
    case RETRY_DISABLED:
        return false;
    case RETRY_ALL:
        return true;
    case RETRY_FAILED:
        return why == RETURN_FAILED;
    case RETRY_RETURNED:
        return why == RETURN_RELEASED;
    }
    return false;
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* Doubles each time; the later half of it by chance, so that what failed together is not tried
 * together. */
static uint64_t exponential(uint64_t min_ms, uint32_t count, uint64_t max_ms, struct random *random)
{
    uint64_t ms = min_ms;
    for (uint32_t i = 1; i < count && ms && ms < max_ms; i++)
        ms *= 2;
    ms = least(ms, max_ms);
    return ms - (ms > 1 ? random_below(random, ms / 2 + 1) : 0);
}

static uint64_t linear(uint64_t min_ms, uint32_t count, uint64_t max_ms)
{
    return min_ms && count > max_ms / min_ms ? max_ms : min_ms * count;
}

uint64_t queue_retry_ms(const struct queue *queue, uint32_t count, uint64_t asked_ms,
                        struct random *random)
{
    const struct queue_settings *settings = queue->settings;
    uint64_t min_ms = settings->retry_min_ms == SETTING_NONE ? 0 : settings->retry_min_ms;
    uint64_t max_ms = least(settings->retry_max_ms, QUEUE_TIME_MAX_MS);
    min_ms = least(min_ms, max_ms);
    if (asked_ms != SETTING_NONE)
        return least(asked_ms, max_ms);
    if (settings->retry_backoff == BACKOFF_EXPONENTIAL)
        return exponential(min_ms, count, max_ms, random);
    return linear(min_ms, count, max_ms);
}

void queue_retry_delay(struct queue *queue, uint64_t position, uint64_t delay_ms)
{
    uint64_t until_ms = queue->queues->input_ms + delay_ms, ends_ms = 0;
    if (queue->kind->ends(queue, position, &ends_ms) == QUEUE_OK && ends_ms)
        until_ms = least(until_ms, ends_ms);
    queue->kind->delay(queue, position, until_ms);
    queue_schedule_add(queue, until_ms, position, SCHEDULE_RETRY);
}

void queue_retry_now(struct queue *queue, uint64_t position)
{
    if (queue->kind->retry(queue, position))
        queue_has_work(queue);
}

static void add_delayed(void *context, uint64_t position, uint64_t until_ms)
{
    queue_schedule_add(context, until_ms, position, SCHEDULE_RETRY);
}

void queue_retry_begin(struct queue *queue)
{
    if (queue->counts->delayed == 0 || planted(PLANTED_DELAYED_FOR_EVER))
        return;
    queue->kind->delayed(queue, add_delayed, queue);
    queue_timer_set(queue, QUEUE_TIMER_SCHEDULE, 0); /* the clock is not known yet */
}
