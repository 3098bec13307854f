/* When a message leaves is decided here once, when it comes, and is on record with it: the queue
 * lets each go at its time (expiry.c), and what leaves is published and ended in one batch, as a
 * dead letter is (dead_letter.c). */
#include "broker/delay.h"

#include <assert.h>

#include "amqp/table.h"
#include "base/mem.h"
#include "base/planted.h"
#include "broker/apply.h"
#include "broker/dead_letter.h"
#include "broker/publish.h"
#include "broker/quota.h"

/* 285,000 years. */
#define DELAY_MAX_MS ((uint64_t)1 << 53)

static const char header[] = "x-delay";

/* ---- the header ---- */

/* Digits with a sign, and nothing else. */
static int64_t number_of(struct bytes text)
{
    size_t at = text.size && (text.data[0] == '-' || text.data[0] == '+');
    bool is_negative = at && text.data[0] == '-';
    int64_t number = 0;
    for (; at < text.size && text.data[at] >= '0' && text.data[at] <= '9'; at++)
        if (number <= (int64_t)DELAY_MAX_MS)
            number = number * 10 + (text.data[at] - '0');
    if (at < text.size)
        return 0;
    return is_negative ? -number : number;
}

/* What the plugin of RabbitMQ takes for a number: integers, fractions without what is behind the
 * point, and strings of digits. 0 for anything else. */
static int64_t value_of(const struct field *field)
{
    const double most = (double)DELAY_MAX_MS;
    if (field_is_integer(field))
        return field->value.integer;
    if (field->type == 'S')
        return number_of(field->value.bytes);
    if ((field->type == 'd' || field->type == 'f') && field->value.number > -most)
        return field->value.number < most ? (int64_t)field->value.number : (int64_t)DELAY_MAX_MS;
    return 0;
}

uint64_t delay_of(struct bytes headers)
{
    struct field field;
    if (!headers.size || !table_find(headers, bytes_str(header), &field))
        return 0;
    int64_t ms = value_of(&field);
    if (ms <= 0)
        return 0;
    return (uint64_t)ms < DELAY_MAX_MS ? (uint64_t)ms : DELAY_MAX_MS;
}

/* Who gets the message sees that it was held back, and no exchange does so once more. */
static void add_negated(struct table_writer *writer, const struct field *field)
{
    int64_t value = -value_of(field);
    if (value >= INT32_MIN)
        table_add_int32(writer, field->name, (int32_t)value);
    else
        table_add_int64(writer, field->name, value);
}

static void negate(struct bytes headers, struct buffer *out)
{
    struct table_writer writer;
    struct field field;
    bool is_negated = planted(PLANTED_DELAY_NOT_NEGATED);
    table_writer_init(&writer, out);
    for (struct reader walk = reader_of(headers); table_next(&walk, &field);) {
        bool is_first = !is_negated && bytes_equal_str(field.name, header);
        if (is_first)
            add_negated(&writer, &field);
        else
            table_add_field(&writer, &field);
        is_negated |= is_first;
    }
}

/* ---- coming in ---- */

/* A queue that lets messages go wherever they lie. */
static const char arguments[] = "\x11x-expire-anywheret\x01";

static struct queue *queue_of(struct exchange *exchange)
{
    struct broker *broker = exchange->vhost->broker;
    if (exchange->delays)
        return exchange->delays;
    struct change change = {
        .kind = CATALOGUE_DELAYS,
        .durable = exchange->durable,
        .vhost = vhost_name(exchange->vhost),
        .name = exchange_name(exchange),
        .id = broker_queue_id(broker, exchange->durable),
    };
    assert(broker->changes.count == 0);
    changes_add(&broker->changes, &change);
    changes_apply(broker, &broker->changes);
    return exchange->delays;
}

/* It has its time in those queues in place of its own. */
static uint32_t push(const struct queue_set *set, struct message *message)
{
    struct queue *one = NULL, **queues = &one;
    size_t count = set->delayers_count;
    uint64_t ttl_ms = message->ttl_ms;
    if (count > 1)
        queues = mem_zalloc_array(count, sizeof(struct queue *));
    for (size_t i = 0; i < count; i++)
        queues[i] = queue_of(set->delayers[i]);
    message->ttl_ms = set->delay_ms;
    uint32_t logs = queue_push(&set->broker->queues, queues, count, message);
    message->ttl_ms = ttl_ms;
    if (queues != &one)
        mem_free(queues);
    return logs;
}

/* The record of a message is one for all its queues: where it goes to others as well, this is a
 * copy. */
static uint32_t push_copy(const struct queue_set *set, const struct message *message)
{
    struct message_pool *pool = set->broker->pool;
    struct message *copy = message_copy(pool, message, message_exchange(message),
                                        message_routing_key(message), message_properties(message));
    uint32_t logs = push(set, copy);
    message_unref(pool, copy);
    return logs;
}

uint32_t delay_keep(struct queue_set *set, struct message *message)
{
    bool is_alone = set->count == 0 && set->keepers_count == 0;
    uint32_t logs = is_alone ? push(set, message) : push_copy(set, message);
    set->delayers_count = 0;
    return logs;
}

/* ---- going out ---- */

uint64_t expiration_of(const struct properties *properties)
{
    if (!properties_have(properties, PROPERTY_EXPIRATION))
        return MESSAGE_NO_TTL;
    return (uint64_t)number_of(properties->expiration);
}

void delay_release(struct exchange *exchange, const struct message *message)
{
    struct broker *broker = exchange->vhost->broker;
    struct properties properties;
    struct buffer headers = {0}, bytes = {0};
    properties_read_checked(message_properties(message), &properties);
    negate(properties.headers, &headers);
    properties.headers = buffer_bytes(&headers);
    properties_add(&bytes, &properties);
    struct message *copy = message_copy(broker->pool, message, message_exchange(message),
                                        message_routing_key(message), buffer_bytes(&bytes));
    copy->ttl_ms = expiration_of(&properties);
    publish(exchange, copy, broker->dead_letter_set);
    if (planted(PLANTED_DELAYED_TWICE))
        publish(exchange, copy, broker->dead_letter_set);
    message_unref(broker->pool, copy);
    buffer_free(&headers);
    buffer_free(&bytes);
}

/* ---- looking at them ---- */

uint64_t delay_count(const struct exchange *exchange)
{
    const struct queue *queue = exchange->delays;
    return queue ? queue->counts->ready + queue->counts->taken : 0;
}

enum queue_result delay_list(struct exchange *exchange, uint64_t *from, queue_each_time *each,
                             void *context)
{
    struct queue *queue = exchange->delays;
    return queue ? queue->kind->times(queue, from, each, context) : QUEUE_EMPTY;
}

bool delay_cancel(struct exchange *exchange, uint64_t id)
{
    struct queue *queue = exchange->delays;
    if (!queue || !queue_take_at(queue, id))
        return false;
    queue_settle(queue, id);
    return true;
}

/* ---- the queue ---- */

static void come(struct exchange *exchange, uint64_t id)
{
    struct queue_properties properties = {
        .name = exchange_name(exchange),
        .id = id,
        .durable = exchange->durable,
        .sources = {.arguments = bytes_of(arguments, sizeof(arguments) - 1)},
    };
    exchange->delays = queue_new(&exchange->vhost->broker->queues, exchange->vhost, &properties);
    exchange->delays->is_delay = true;
    queue_sum(exchange->delays, quota_counts(exchange->vhost->quota));
}

static void go(struct exchange *exchange)
{
    struct queue *queue = exchange->delays;
    exchange->delays = NULL;
    queue->is_leaving = true;
    dead_letters_forget(queue);
    queue_drop(queue);
    queue_free(queue);
}

void delay_apply(struct vhost *vhost, const struct change *change)
{
    struct exchange *exchange = vhost_exchange(vhost, change->name);
    assert(exchange);
    if (!change->is_delete)
        come(exchange, change->id);
    else if (exchange->delays)
        go(exchange);
}

void delay_delete_decide(const struct exchange *exchange, struct changes *changes)
{
    struct change change = {
        .kind = CATALOGUE_DELAYS,
        .is_delete = true,
        .durable = exchange->durable,
        .vhost = vhost_name(exchange->vhost),
        .name = exchange_name(exchange),
    };
    if (exchange->delays && !planted(PLANTED_DELAYS_STAY))
        changes_add(changes, &change);
}

void delay_free(struct exchange *exchange)
{
    if (!exchange->delays)
        return;
    dead_letters_forget(exchange->delays);
    queue_free(exchange->delays);
}
