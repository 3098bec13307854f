/* What becomes of a message that comes back is decided here, by how often it has: what is recorded is the
 * new count and until when it waits, or its end and the dead letter in the same batch.
 *
 * How long it waits it may say itself, in a header: where messages wait, it has to be read first. If it is
 * not in memory it stays taken until it is, as it came back, in the queue's schedule. */
#include "broker/redelivery.h"

#include "amqp/properties.h"
#include "amqp/table.h"
#include "base/planted.h"
#include "broker/dead_letter.h"
#include "broker/overflow.h"
#include "broker/vhost.h"

enum { LETTER_STEPS = 200, DELAY_STEPS = 30 }; /* of a turn's budget */

static bool is_too_often(const struct queue *queue, uint32_t count)
{
    uint64_t limit = queue->settings->delivery_limit;
    return limit != SETTING_NONE && count > limit + planted(PLANTED_DELIVERED_ONCE_MORE);
}

/* What came before it leaves first, as it would have if the message had come back later. */
static void give_back(struct queue *queue, uint64_t position)
{
    overflow_drop_now(queue);
    queue_give_back(queue, position);
    overflow_drop_now(queue);
}

/* x-retry-delay, in ms; SETTING_NONE: it has none. */
static uint64_t asked_ms(const struct message *message)
{
    struct properties_brief brief;
    struct field field;
    if (properties_scan(message_properties(message), &brief) != PROPERTIES_OK ||
        !table_find(brief.headers, bytes_str("x-retry-delay"), &field) ||
        !field_is_integer(&field) || field.value.integer < 0)
        return SETTING_NONE;
    return (uint64_t)field.value.integer;
}

static void delay(struct queue *queue, uint64_t position, const struct message *message,
                  uint32_t count)
{
    uint64_t delay_ms =
        queue_retry_ms(queue, count, asked_ms(message), queue->vhost->broker->random);
    if (delay_ms)
        queue_retry_delay(queue, position, delay_ms);
    else
        give_back(queue, position);
}

/* False: it has to be read first. */
static bool read_and_delay(struct queue *queue, uint64_t position, uint32_t count)
{
    struct message *message;
    switch (queue_fetch(queue, position, &message)) {
    case QUEUE_OK:
        delay(queue, position, message, count);
        message_unref(queue->vhost->broker->pool, message);
        return true;
    case QUEUE_EMPTY: /* damaged: it stays away */
        give_back(queue, position);
        return true;
    case QUEUE_WAIT:
        break;
    }
    return false;
}

/* The same. */
static bool decide(struct queue *queue, uint64_t position, enum return_why why)
{
    uint32_t count = queue_delivery_count(queue, position);
    count += count < UINT32_MAX;
    if (is_too_often(queue, count)) {
        dead_letter(queue, position, DEATH_DELIVERY_LIMIT);
        budget_use(&queue->vhost->broker->turn, LETTER_STEPS);
    } else if (queue_retry_is_delayed(queue, why)) {
        return read_and_delay(queue, position, count);
    } else {
        give_back(queue, position);
    }
    return true;
}

void redelivery_return(struct queue *queue, uint64_t position, enum return_why why)
{
    if (!decide(queue, position, why))
        queue_schedule_defer(queue, position, why);
}

void redelivery_go_on(struct queue *queue)
{
    struct budget *turn = &queue->vhost->broker->turn;
    struct scheduled first;
    while (!budget_is_spent(turn) && queue_schedule_deferred(queue, &first)) {
        if (!decide(queue, first.position, (enum return_why)first.why))
            return;
        queue_schedule_deferred_done(queue);
        budget_use(turn, DELAY_STEPS);
    }
}

bool redelivery_retry(struct queue *queue, const struct scheduled *due)
{
    if (due->why != SCHEDULE_RETRY)
        return false;
    queue_retry_now(queue, due->position);
    overflow_drop_now(queue);
    return true;
}
