#include "session/delivery_timeout.h"

#include "base/planted.h"
#include "session/acknowledge.h"
#include "session/connection_timer.h"

enum { BUSY_MS = 1000 }; /* for which a transaction that ends is left alone */

void delivery_timeout_init(struct channel *channel)
{
    channel->timeout_least_ms = UINT64_MAX;
    channel->unacked_timer.kind = TIMER_UNACKED;
}

uint64_t delivery_timeout_ms(const struct consumer *source)
{
    const struct queue *queue = source->base.queue;
    uint64_t ms = queue ? queue->settings->consumer_timeout_ms : SETTING_NONE;
    if (ms == SETTING_NONE || planted(PLANTED_TIMEOUT_OF_QUEUE_IGNORED))
        ms = channel_server(source->channel)->options.consumer_timeout_ms;
    return ms && ms <= QUEUE_TIME_MAX_MS ? ms : UINT64_MAX;
}

/* When what was delivered in this second is late: as if at its end. */
static uint64_t due_ms(uint32_t since_s, uint64_t timeout)
{
    return timeout == UINT64_MAX ? UINT64_MAX : ((uint64_t)since_s + 1) * 1000 + timeout;
}

static void set_at_latest(struct channel *channel, uint64_t at_ms)
{
    struct timer *timer = &channel->unacked_timer;
    if (at_ms != UINT64_MAX && (!timer->place || at_ms < timer->at_ms))
        timer_set(&channel_server(channel)->timers, timer, at_ms);
}

void delivery_timeout_begin(struct channel *channel, const struct consumer *source)
{
    uint64_t timeout = delivery_timeout_ms(source);
    if (timeout < channel->timeout_least_ms)
        channel->timeout_least_ms = timeout;
    set_at_latest(channel,
                  due_ms(delivery_timeout_second(channel_server(channel)->now_ms), timeout));
}

void delivery_timeout_restored(struct channel *channel)
{
    if (channel->unacked.total && channel->timeout_least_ms != UINT64_MAX)
        set_at_latest(channel, channel_server(channel)->now_ms);
}

void delivery_timeout_changed(struct channel *channel)
{
    uint64_t least_ms = channel_broker(channel)->queues.timeout_least_ms;
    if (least_ms < channel->timeout_least_ms)
        channel->timeout_least_ms = least_ms;
    delivery_timeout_restored(channel);
}

/* The first run that is late, of those from tag `first` on. *next: before then no other one is.
 * Those behind a run that would not be late even with the least of all timeouts are younger. */
static const struct unacked_run *find_late(const struct channel *channel, uint64_t first,
                                           uint64_t *next)
{
    const struct unacked_run *run;
    uint64_t now_ms = channel_server(channel)->now_ms;
    for (; (run = unacked_run_from(&channel->unacked, first)); first = run->tag + run->count) {
        uint64_t due = due_ms(run->since_s, delivery_timeout_ms(run->source));
        uint64_t least = due_ms(run->since_s, channel->timeout_least_ms);
        if (due <= now_ms)
            return run;
        if (least > now_ms)
            due = least;
        *next = due < *next ? due : *next;
        if (least > now_ms)
            break;
    }
    return NULL;
}

static void say(const struct channel *channel, const struct consumer *source, const char *action)
{
    const struct queue *queue = source->base.queue;
    log_event(
        channel_broker(channel)->log, EVENT_delivery_timed_out,
        "connection=%llu channel=%u consumer=%.*s vhost=%s queue=%s timeout_ms=%llu action=%s",
        (unsigned long long)channel->connection->id, channel->number,
        BYTES_ARG(consumer_tag(source)), queue ? queue->vhost->name : "", queue ? queue->name : "",
        (unsigned long long)delivery_timeout_ms(source), action);
}

static void close_for(struct channel *channel, const struct consumer *source)
{
    struct error error;
    say(channel, source, "close");
    error_set(&error, REPLY_PRECONDITION_FAILED,
              "delivery acknowledgement on channel %u timed out. Timeout value used: %llu ms. This "
              "timeout value can be configured, see consumers doc guide to learn more",
              channel->number, (unsigned long long)delivery_timeout_ms(source));
    channel_error(channel->connection, channel->number, 0, &error);
}

/* Should late messages go back, and the channel stay? */
static bool is_returning(const struct consumer *source)
{
    const struct queue *queue = source->base.queue;
    return queue && queue->settings->timeout_action == TIMEOUT_RETURN;
}

/* Returns the late ones, as many as a turn can take; when one of another queue is late, the channel
 * is closed. Returns when to look again. */
static uint64_t end_late(struct channel *channel)
{
    const struct unacked_run *run;
    const struct consumer *said = NULL;
    uint64_t next = UINT64_MAX, first = 0;
    while ((run = find_late(channel, first, &next))) {
        if (!is_returning(run->source)) {
            close_for(channel, run->source);
            return UINT64_MAX;
        }
        if (said && budget_is_spent(&channel_broker(channel)->turn))
            return channel_server(channel)->now_ms + 1;
        if (run->source != said)
            say(channel, run->source, "return");
        said = run->source;
        first = run->tag + run->count;
        acknowledge_return_late(channel, run->tag, run->count);
    }
    return next;
}

void delivery_timeout_passed(struct channel *channel)
{
    struct server *server = channel_server(channel);
    if (channel->state != CHANNEL_OPEN || channel->connection->state != CONNECTION_RUNNING)
        return;
    if (channel->connection->holds & HOLD_COMMIT)
        set_at_latest(channel, server->now_ms + BUSY_MS);
    else
        set_at_latest(channel, end_late(channel));
}
