#include "broker/move.h"

#include "amqp/properties.h"
#include "amqp/table.h"
#include "base/mem.h"
#include "broker/delay.h"
#include "broker/publish.h"
#include "broker/seen.h"
#include "broker/vhost.h"
#include "queue/queue_limit.h"

/* What a message becomes. */
struct journey {
    const struct message *message; /* as it is now */
    struct properties properties;  /* of the new one, and its names */
    struct bytes exchange, routing_key;
    struct bytes queue;    /* it goes to this one alone; NULL data: where an exchange says */
    struct buffer headers; /* contents of the new ones */
};

/* ---- the way back ---- */

/* Headers of the story of its deaths. */
static bool is_story(struct bytes name)
{
    return bytes_equal_str(name, "x-death") || bytes_start_with(name, "x-first-death-") ||
           bytes_start_with(name, "x-last-death-");
}

static void forget_deaths(struct journey *journey)
{
    struct properties *properties = &journey->properties;
    struct table_writer writer;
    struct field field;
    table_writer_init(&writer, &journey->headers);
    for (struct reader walk = reader_of(properties->headers); table_next(&walk, &field);)
        if (!is_story(field.name))
            table_add_field(&writer, &field);
    properties->headers = buffer_bytes(&journey->headers);
    if (properties->headers.size == 0)
        properties->flags &= (uint16_t)~PROPERTY_HEADERS;
}

static bool is_name(struct bytes text)
{
    return text.size <= UINT8_MAX;
}

/* What it was published with, when it came to the queue in which it died; else as to the default
 * exchange. */
static void restore_names(struct journey *journey, struct bytes death)
{
    struct bytes exchange, keys;
    struct field key;
    journey->exchange = bytes_of(NULL, 0);
    journey->routing_key = journey->queue;
    if (!table_find_string(death, "exchange", &exchange) || !is_name(exchange) ||
        !table_find_array(death, "routing-keys", &keys))
        return;
    struct reader walk = reader_of(keys);
    if (!array_next(&walk, &key) || key.type != 'S' || !is_name(key.value.bytes))
        return;
    journey->exchange = exchange;
    journey->routing_key = key.value.bytes;
}

/* By the latest death, which is the first in the list. False: it tells of none. */
static bool go_back(struct journey *journey)
{
    struct bytes deaths;
    struct field death;
    if (!table_find_array(journey->properties.headers, "x-death", &deaths))
        return false;
    struct reader walk = reader_of(deaths);
    if (!array_next(&walk, &death) || death.type != 'F' ||
        !table_find_string(death.value.bytes, "queue", &journey->queue) ||
        journey->queue.size == 0 || !is_name(journey->queue))
        return false;
    restore_names(journey, death.value.bytes);
    forget_deaths(journey);
    return true;
}

/* ---- where it goes ---- */

struct bytes move_routing_key(const struct message *message, const struct move_goal *goal)
{
    if (goal->kind != MOVE_TO_EXCHANGE)
        return bytes_of(NULL, 0);
    return goal->routing_key.data ? goal->routing_key : message_routing_key(message);
}

static bool plan(struct journey *journey, const struct move_goal *goal)
{
    const struct message *message = journey->message;
    properties_read_checked(message_properties(message), &journey->properties);
    journey->exchange = message_exchange(message);
    journey->routing_key = message_routing_key(message);
    if (goal->kind == MOVE_BACK)
        return go_back(journey);
    if (goal->kind == MOVE_TO_QUEUE) {
        journey->queue = goal->queue;
    } else {
        journey->exchange = exchange_name(goal->exchange);
        journey->routing_key = move_routing_key(message, goal);
    }
    return true;
}

/* To a queue as the default exchange finds it; else to all that a publish there would reach. */
static void route(struct vhost *vhost, const struct journey *journey, struct exchange *exchange,
                  struct queue_set *set)
{
    struct bytes headers = journey->properties.headers;
    if (journey->queue.data) {
        struct route route = {&journey->queue, 1, .properties = bytes_of(NULL, 0)};
        exchange_route(vhost->default_exchange, &route, set);
        return;
    }
    keys_collect(set, journey->routing_key, headers, false);
    exchange_route_keys(exchange, headers, message_properties(journey->message), set);
}

/* ---- may it? ---- */

static bool is_duplicate(struct queue_set *set, const struct message *message)
{
    size_t count = set->count, fresh = set->fresh_count;
    if (set->duplicates)
        return true;
    seen_drop(set, message);
    bool any = set->count < count;
    set->fresh_count = fresh;
    set->duplicates = 0;
    set->count = count;
    return any;
}

static enum moved check_queues(const struct queue *queue, const struct queue_set *set,
                               const struct message *message, const struct queue **full)
{
    if (set->count + set->delayers_count == 0)
        return MOVED_NO_QUEUE;
    for (size_t i = 0; i < set->count; i++)
        if (set->queues[i] == queue)
            return MOVED_IN_CIRCLE;
    for (size_t i = 0; i < set->count; i++) {
        if (!queue_has_no_room(set->queues[i], message->body_size))
            continue;
        *full = set->queues[i];
        return MOVED_NOT_TAKEN;
    }
    return MOVED;
}

/* The old one gives its room back when the new one is written. */
static enum moved check_room(const struct broker *broker, const struct queue_set *set,
                             const struct message *message)
{
    struct store *store = broker->store;
    uint64_t bytes = store_message_bytes(message, set->count + set->delayers_count);
    if (store_is_congested(store))
        return MOVED_LATER;
    if (!broker_records(broker, message))
        return MOVED;
    switch (store_room_ending(store, bytes)) {
    case STORE_ROOM_NOW:
        return MOVED;
    case STORE_ROOM_LATER:
        return MOVED_LATER;
    default:
        return MOVED_NO_ROOM;
    }
}

static enum moved check(const struct queue *queue, struct queue_set *set,
                        const struct message *message, const struct queue **full)
{
    if (is_duplicate(set, message))
        return MOVED_DUPLICATE;
    enum moved moved = check_queues(queue, set, message, full);
    return moved == MOVED ? check_room(queue->vhost->broker, set, message) : moved;
}

/* ---- it goes ---- */

static struct message *message_of(struct message_pool *pool, const struct journey *journey,
                                  const struct move_goal *goal)
{
    struct buffer properties = {0};
    properties_add(&properties, &journey->properties);
    struct message *message =
        message_copy(pool, journey->message, journey->exchange, journey->routing_key,
                     buffer_bytes(&properties));
    if (goal->kind == MOVE_BACK)
        message->flags &= (uint8_t)~MESSAGE_DEAD_LETTERED;
    message->ttl_ms = expiration_of(&journey->properties);
    buffer_free(&properties);
    return message;
}

static enum moved go(struct queue *queue, uint64_t position, const struct journey *journey,
                     const struct move_goal *goal, struct queue_set *set)
{
    struct broker *broker = queue->vhost->broker;
    if (!queue_take_at(queue, position))
        return MOVED_NOT_READY;
    struct message *message = message_of(broker->pool, journey, goal);
    publish_routed(broker, message, set);
    message_unref(broker->pool, message);
    queue_settle(queue, position);
    return MOVED;
}

enum moved move_message(struct queue *queue, uint64_t position, const struct message *message,
                        const struct move_goal *goal, bool is_trial, const struct queue **full)
{
    struct queue_set *set = queue->vhost->broker->dead_letter_set;
    struct journey journey = {.message = message};
    enum moved moved = MOVED_NO_DEATH;
    if (plan(&journey, goal)) {
        route(queue->vhost, &journey, goal->exchange, set);
        moved = check(queue, set, message, full);
    }
    if (moved == MOVED && !is_trial)
        moved = go(queue, position, &journey, goal, set);
    buffer_free(&journey.headers);
    return moved;
}
