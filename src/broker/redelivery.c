/* What becomes of a message that comes back is decided here, by how often it has: what is recorded is the
 * new count and until when it waits, or its end and the dead letter in the same batch.
 *
 * How long it waits it may say itself, in a header: where messages wait, it has to be read first. If it is
 * not in memory it stays taken until it is, and its queue's schedule knows to ask again. */
#include "broker/redelivery.h"

#include "amqp/properties.h"
#include "amqp/table.h"
#include "base/planted.h"
#include "broker/dead_letter.h"
#include "broker/overflow.h"
#include "broker/vhost.h"

enum { LETTER_STEPS = 200 }; /* of a turn's budget */
enum { READ_AGAIN_MS = 5 };  /* when what is being read is asked for again */

static bool is_too_often(const struct queue *queue, uint32_t count)
{
    uint64_t limit = queue->settings->delivery_limit;
    return limit != SETTING_NONE && count > limit + planted(PLANTED_DELIVERED_ONCE_MORE);
}

static void give_back(struct queue *queue, uint64_t position)
{
    queue_give_back(queue, position);
    overflow_returned(queue);
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

static void read_and_delay(struct queue *queue, uint64_t position, enum return_why why,
                           uint32_t count)
{
    struct message *message;
    switch (queue_fetch(queue, position, &message)) {
    case QUEUE_OK:
        delay(queue, position, message, count);
        message_unref(queue->vhost->broker->pool, message);
        return;
    case QUEUE_WAIT:
        queue_schedule_add(queue, queue->queues->clock_ms + READ_AGAIN_MS, position,
                           why == RETURN_FAILED ? SCHEDULE_FAILED : SCHEDULE_RELEASED);
        return;
    case QUEUE_EMPTY: /* damaged: it stays away */
        give_back(queue, position);
    }
}

void redelivery_return(struct queue *queue, uint64_t position, enum return_why why)
{
    uint32_t count = queue_delivery_count(queue, position);
    count += count < UINT32_MAX;
    if (is_too_often(queue, count)) {
        dead_letter(queue, position, DEATH_DELIVERY_LIMIT);
        budget_use(&queue->vhost->broker->turn, LETTER_STEPS);
    } else if (queue_retry_is_delayed(queue, why)) {
        read_and_delay(queue, position, why, count);
    } else {
        give_back(queue, position);
    }
}

bool redelivery_scheduled(struct queue *queue, const struct scheduled *due)
{
    switch ((enum schedule_why)due->why) {
    case SCHEDULE_RETRY:
        queue_retry_now(queue, due->position);
        overflow_returned(queue);
        return true;
    case SCHEDULE_RELEASED:
        redelivery_return(queue, due->position, RETURN_RELEASED);
        return true;
    case SCHEDULE_FAILED:
        redelivery_return(queue, due->position, RETURN_FAILED);
        return true;
    case SCHEDULE_END:
    case SCHEDULE_SEEK:
        break;
    }
    return false;
}
