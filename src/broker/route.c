/* Routing. Exchanges reached wait on a stack and are visited once each, so that cycles end; every
 * queue is added once. What has been seen carries the number of this routing, so that nothing is
 * to be cleared afterwards. */
#include "broker/route.h"

#include "amqp/properties.h"
#include "amqp/table.h"
#include "base/mem.h"
#include "base/planted.h"
#include "broker/delay.h"
#include "broker/seen.h"

/* Routing keys of one message beyond its own; more are not looked at. */
enum { KEYS_MAX = 1024 };

void queue_set_free(struct queue_set *set)
{
    mem_free(set->queues);
    mem_free(set->pending);
    mem_free(set->keepers);
    mem_free(set->delayers);
    mem_free(set->keys);
    mem_free(set->fresh);
    mem_free(set->noted);
    mem_free(set->memos);
    *set = (struct queue_set){0};
}

void queue_set_add_queue(struct queue_set *set, struct queue *queue)
{
    if (queue->route_number == set->broker->route_number)
        return;
    queue->route_number = set->broker->route_number;
    if (set->count == set->capacity)
        set->queues = mem_grow(set->queues, &set->capacity, set->count + 1, sizeof(struct queue *));
    set->queues[set->count++] = queue;
}

/* To one of the set's lists of exchanges. */
static void list_add(struct exchange ***list, size_t *count, size_t *capacity,
                     struct exchange *exchange)
{
    if (*count == *capacity)
        *list = mem_grow(*list, capacity, *count + 1, sizeof(struct exchange *));
    (*list)[(*count)++] = exchange;
}

static void add_exchange(struct queue_set *set, struct exchange *exchange)
{
    if (exchange->route_number == set->broker->route_number)
        return;
    exchange->route_number = set->broker->route_number;
    list_add(&set->pending, &set->pending_count, &set->pending_capacity, exchange);
}

void queue_set_add_destination(struct queue_set *set, const struct binding *binding)
{
    set->work++;
    if (binding_is_leaving(binding))
        return;
    set->matched++;
    if (binding->queue)
        queue_set_add_queue(set, binding->queue);
    else
        add_exchange(set, binding->exchange);
}

void queue_set_add_destinations(struct queue_set *set, const struct exchange *exchange)
{
    list_for_each(link, &exchange->sources)
        queue_set_add_destination(set, list_entry(link, struct binding, source_link));
}

void queue_set_add_one(struct queue_set *set, struct binding *const *bindings, size_t count,
                       size_t at)
{
    for (size_t left = count; left && !set->matched; left--) {
        queue_set_add_destination(set, bindings[at]);
        at = at + 1 == count ? 0 : at + 1;
    }
}

void queue_set_add_keeper(struct queue_set *set, struct exchange *exchange)
{
    list_add(&set->keepers, &set->keepers_count, &set->keepers_capacity, exchange);
}

static bool holds_back(struct exchange *exchange, const struct route *route, struct queue_set *set)
{
    uint64_t delay_ms = delay_of(route->headers);
    if (delay_ms == 0)
        return false;
    list_add(&set->delayers, &set->delayers_count, &set->delayers_capacity, exchange);
    set->delay_ms = delay_ms;
    return true;
}

static void visit(struct exchange *exchange, struct route *route, struct queue_set *set)
{
    if (exchange->has_delay && holds_back(exchange, route, set))
        return;
    set->matched = 0;
    if (exchange->seen && seen_stops(exchange->seen, route, set))
        return;
    size_t times = exchange->kind->uses_key ? route->count : 1;
    for (size_t i = 0; i < times; i++) {
        route->routing_key = route->keys[i];
        exchange->kind->route(exchange, route, set);
    }
    if (set->matched || !exchange->alternate || planted(PLANTED_ALTERNATE_FORGOTTEN))
        return;
    struct exchange *alternate = vhost_exchange(exchange->vhost, bytes_str(exchange->alternate));
    if (alternate && !alternate->is_default)
        add_exchange(set, alternate);
}

void exchange_route(struct exchange *exchange, const struct route *wanted, struct queue_set *set)
{
    uint64_t before = set->work;
    struct route route = *wanted;
    set->broker = exchange->vhost->broker;
    set->count = set->pending_count = set->keepers_count = set->delayers_count = 0;
    set->fresh_count = set->duplicates = 0;
    set->limits = set->watch;
    set->varies = false;
    exchange->route_number = ++set->broker->route_number;
    visit(exchange, &route, set);
    while (set->pending_count)
        visit(set->pending[--set->pending_count], &route, set);
    budget_use(&set->broker->turn, set->work - before);
}

void exchange_route_keys(struct exchange *exchange, struct bytes headers, struct bytes properties,
                         struct queue_set *set)
{
    struct route route = {set->keys, set->keys_count, headers, .properties = properties};
    exchange_route(exchange, &route, set);
}

/* ---- the keys of a message ---- */

struct bytes headers_of(struct bytes properties)
{
    struct reader reader = reader_of(properties);
    uint16_t flags = reader_u16(&reader);
    if (!(flags & PROPERTY_HEADERS))
        return bytes_of(NULL, 0);
    if (flags & PROPERTY_CONTENT_TYPE)
        reader_shortstr(&reader);
    if (flags & PROPERTY_CONTENT_ENCODING)
        reader_shortstr(&reader);
    return reader_table(&reader);
}

static void add_key(struct queue_set *set, struct bytes key)
{
    if (set->keys_count > KEYS_MAX)
        return;
    if (set->keys_count == set->keys_capacity)
        set->keys =
            mem_grow(set->keys, &set->keys_capacity, set->keys_count + 1, sizeof(struct bytes));
    set->keys[set->keys_count++] = key;
}

static void add_keys(struct queue_set *set, const struct field *field)
{
    struct field item;
    if (field->type != 'A')
        return;
    for (struct reader walk = reader_of(field->value.bytes); array_next(&walk, &item);)
        if (item.type == 'S')
            add_key(set, item.value.bytes);
}

bool keys_collect(struct queue_set *set, struct bytes routing_key, struct bytes headers,
                  bool with_bcc)
{
    bool has_bcc = false;
    struct field field;
    set->keys_count = 0;
    add_key(set, routing_key);
    for (struct reader walk = reader_of(headers); table_next(&walk, &field);) {
        bool bcc = bytes_equal_str(field.name, "BCC");
        has_bcc |= bcc;
        if (bcc ? with_bcc : bytes_equal_str(field.name, "CC") && !planted(PLANTED_CC_IGNORED))
            add_keys(set, &field);
    }
    return has_bcc;
}
