/* A message finds its queues. Where a message without headers goes depends on exchange and key
 * alone, for as long as the topology stays: if that is one queue, a small table remembers it, and
 * the next such message goes there without being routed, whatever the kind of exchange. A message
 * with headers is looked through once, for the further routing keys of RabbitMQ's CC and BCC. BCC
 * is for the broker's eyes only: a message that has one is marked, and shown without it. */
#include "broker/publish.h"

#include <assert.h>

#include "amqp/properties.h"
#include "amqp/table.h"
#include "base/mem.h"
#include "broker/dead_letter.h"
#include "broker/delay.h"
#include "broker/firehose.h"
#include "broker/overflow.h"
#include "broker/seen.h"
#include "queue/queue_sums.h"

/* What it costs to put a message into one of many queues: each lies elsewhere in memory. */
enum { QUEUE_STEPS = 30 };

/* How many results are remembered. */
enum { MEMO_BITS = 6 };

static uint8_t limits_of(const struct queue_set *set)
{
    uint8_t limits = set->limits;
    for (size_t i = 0; i < set->count; i++)
        limits |= set->queues[i]->limit;
    return limits;
}

static struct published publish_limited(struct broker *broker, struct message *message,
                                        struct queue_set *set, uint8_t limits)
{
    struct published published = {.queues = set->count};
    if (limits & QUEUE_SET_WATCHED)
        firehose_note(set);
    if (limits & QUEUE_DEDUPLICATES)
        seen_drop(set, message);
    published.is_refused = overflow_refuse(set, message);
    if (set->count)
        published.logs = queue_push(&broker->queues, set->queues, set->count, message);
    if (limits & QUEUE_DEDUPLICATES)
        seen_note(broker, set, message, &published);
    for (size_t i = 0; i < set->count; i++)
        overflow_note(set->queues[i]);
    if (published.is_refused && set != broker->dead_letter_set)
        dead_letters_bury_refused(broker);
    return published;
}

struct published publish_routed(struct broker *broker, struct message *message,
                                struct queue_set *set)
{
    struct published published = {.queues = set->count};
    uint32_t delayed_logs = set->delayers_count ? delay_keep(set, message) : 0;
    for (size_t i = 0; i < set->keepers_count; i++)
        set->keepers[i]->kind->keep(set->keepers[i], message);
    budget_use(&broker->turn, set->count * QUEUE_STEPS);
    uint8_t limits = limits_of(set);
    if (limits & ~QUEUE_RESTS)
        published = publish_limited(broker, message, set, limits);
    else if (set->count)
        published.logs = queue_push(&broker->queues, set->queues, set->count, message);
    published.logs |= delayed_logs;
    return published;
}

struct message *message_copy(struct message_pool *pool, const struct message *message,
                             struct bytes exchange, struct bytes routing_key,
                             struct bytes properties)
{
    struct message *copy = message_new(pool, exchange, routing_key, properties, message->body_size);
    if (message->body_size)
        message_fill(copy, message_body(message));
    copy->flags = message->flags;
    copy->priority = message->priority;
    copy->ttl_ms = message->ttl_ms;
    return copy;
}

static struct published publish_with_headers(struct exchange *exchange, struct message *message,
                                             struct queue_set *set)
{
    struct broker *broker = exchange->vhost->broker;
    struct bytes headers = headers_of(message_properties(message));
    if (keys_collect(set, message_routing_key(message), headers, true))
        message->flags |= MESSAGE_HAS_BCC;
    exchange_route_keys(exchange, headers, message_properties(message), set);
    return publish_routed(broker, message, set);
}

/* ---- messages without headers ---- */

/* The one place where a result may be remembered. Who chooses keys that meet there makes publish as
 * slow as it is without a memo, and nothing more. */
static struct memo *memo_of(struct queue_set *set, const struct exchange *exchange,
                            struct bytes key)
{
    uint64_t head = 0, tail = 0;
    if (!set->memos)
        set->memos = mem_zalloc_array(1 << MEMO_BITS, sizeof(*set->memos));
    if (key.size >= sizeof(head)) {
        memcpy(&head, key.data, sizeof(head));
        memcpy(&tail, key.data + key.size - sizeof(tail), sizeof(tail));
    } else {
        for (size_t i = 0; i < key.size; i++)
            head = head << 8 | key.data[i];
    }
    uint64_t number = head + tail * 31 + exchange->number * 7 + key.size;
    return &set->memos[number * UINT64_C(0x9e3779b97f4a7c15) >> (64 - MEMO_BITS)];
}

static void remember(struct memo *memo, const struct exchange *exchange, struct bytes key,
                     struct queue *queue)
{
    memo->exchange = exchange;
    memo->topology = exchange->vhost->broker->topology;
    memo->queue = queue;
    memo->key_size = (uint8_t)key.size;
    memcpy(memo->key, key.data, key.size);
}

/* Headers may name further keys. */
static bool has_headers(struct bytes properties)
{
    return properties.size >= 2 && properties.data[0] & (PROPERTY_HEADERS >> 8);
}

struct queue *publish_find(const struct exchange *exchange, struct bytes routing_key,
                           struct queue_set *set)
{
    if (routing_key.size > MEMO_KEY_MAX)
        return NULL;
    const struct memo *memo = memo_of(set, exchange, routing_key);
    if (!memo_fits(memo, exchange, routing_key))
        return NULL;
    set->last_memo = memo;
    return memo->queue;
}

struct queue *publish_known(const struct exchange *exchange, struct bytes routing_key,
                            struct bytes properties, struct queue_set *set)
{
    return has_headers(properties) ? NULL : publish_known_plain(exchange, routing_key, set);
}

/* With headers, that is: others are not looked at for duplicates. */
static struct published publish_alone(struct queue *queue, struct message *message)
{
    struct broker *broker = queue->vhost->broker;
    struct queue_set set = {.broker = broker, .queues = &queue, .count = 1};
    struct published published = publish_limited(broker, message, &set, queue->limit);
    mem_free(set.fresh);
    return published;
}

/* It has a limit; or has rested until now, and then the next message finds nothing in its way. */
static struct published publish_stirring(struct queue *queue, struct message *message)
{
    struct published published = {.queues = 1};
    queue_touch(queue);
    if (queue->limit != QUEUE_UNLIMITED)
        return overflow_publish(queue, message);
    published.logs = queue_push_to(queue, message);
    return published;
}

struct published publish_to(struct queue *queue, struct message *message)
{
    struct published published = {.queues = 1};
    if (queue->limit & QUEUE_DEDUPLICATES && has_headers(message_properties(message)))
        return publish_alone(queue, message);
    if (queue->limit != QUEUE_UNLIMITED)
        return publish_stirring(queue, message);
    published.logs = queue_push_to(queue, message);
    return published;
}

size_t publish_count(struct exchange *exchange, const struct message *message,
                     struct queue_set *set)
{
    struct bytes properties = message_properties(message);
    const struct queue *known =
        publish_known(exchange, message_routing_key(message), properties, set);
    if (known)
        return 1;
    struct bytes headers = has_headers(properties) ? headers_of(properties) : bytes_of(NULL, 0);
    keys_collect(set, message_routing_key(message), headers, true);
    exchange_route_keys(exchange, headers, properties, set);
    return set->count + set->delayers_count;
}

struct published publish(struct exchange *exchange, struct message *message, struct queue_set *set)
{
    struct bytes properties = message_properties(message);
    struct bytes key = message_routing_key(message);
    if (has_headers(properties))
        return publish_with_headers(exchange, message, set);
    struct route route = {&key, 1, .properties = properties};
    exchange_route(exchange, &route, set);
    if (set->count == 1 && !set->varies && key.size <= MEMO_KEY_MAX)
        remember(memo_of(set, exchange, key), exchange, key, set->queues[0]);
    return publish_routed(exchange->vhost->broker, message, set);
}
