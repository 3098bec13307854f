/* Queues, exchanges and bindings that a step declares, binds, unbinds and deletes. */
#include "tests/sim/solo_internal.h"

#include <inttypes.h>

#include "amqp/table.h"

static const char *const kind_names[KINDS] = {"direct", "fanout", "topic", "headers"};

static void add_number(struct table_writer *writer, const char *name, uint64_t number)
{
    if (number != NO_LIMIT)
        table_add_int64(writer, bytes_str(name), (int64_t)number);
}

static struct bytes queue_arguments_of(const struct solo *solo, const struct own_queue_of *queue,
                                       struct buffer *out)
{
    char text[NAME_SIZE];
    struct table_writer writer;
    table_writer_init(&writer, out);
    if (queue->dlx != NONE)
        table_add_string(&writer, bytes_str("x-dead-letter-exchange"),
                         solo_exchange_text(solo, queue->dlx, text));
    if (queue->dlk != NONE)
        table_add_string(&writer, bytes_str("x-dead-letter-routing-key"),
                         solo_key_text(solo, queue->dlk, text));
    static const char *const overflows[] = {[OVERFLOW_DROP_HEAD] = "drop-head",
                                            [OVERFLOW_REJECT] = "reject-publish",
                                            [OVERFLOW_REJECT_DLX] = "reject-publish-dlx"};
    static const char *const retries[] = {[RETRY_ALL] = "all",
                                          [RETRY_FAILED] = "failed",
                                          [RETRY_RETURNED] = "returned"};
    add_number(&writer, "x-max-length", queue->declared_length);
    add_number(&writer, "x-max-length-bytes", queue->max_bytes);
    add_number(&writer, "x-message-ttl", queue->declared_ttl_ms);
    add_number(&writer, "x-expires", queue->expires_ms);
    add_number(&writer, "x-max-priority", queue->max_priority);
    add_number(&writer, "x-delivery-limit", queue->delivery_limit);
    if (queue->retry != RETRY_DISABLED)
        table_add_string(&writer, bytes_str("x-delayed-retry-type"), bytes_str(retries[queue->retry]));
    add_number(&writer, "x-delayed-retry-min", queue->retry_min_ms);
    add_number(&writer, "x-delayed-retry-max", queue->retry_max_ms);
    if (queue->backoff == BACKOFF_EXPONENTIAL)
        table_add_string(&writer, bytes_str("x-retry-backoff"), bytes_str("exponential"));
    if (queue->overflow != OVERFLOW_DROP_HEAD || queue->has_overflow)
        table_add_string(&writer, bytes_str("x-overflow"), bytes_str(overflows[queue->overflow]));
    if (queue->is_mirrored)
        table_add_bool(&writer, bytes_str("mirrored"), true);
    if (queue->deduplicates)
        table_add_bool(&writer, bytes_str("x-message-deduplication"), true);
    if (queue->is_single)
        table_add_bool(&writer, bytes_str("x-single-active-consumer"), true);
    return buffer_bytes(out);
}

struct call *solo_send_queue_declare(struct sim_channel *channel, int queue,
                                     const struct own_queue_of *as, bool passive)
{
    struct buffer arguments = {0};
    char text[NAME_SIZE];
    union method method = {
        .queue_declare = {.id = METHOD_QUEUE_DECLARE,
                          .queue = solo_queue_text(solo_of(channel), queue, text),
                          .passive = passive,
                          .durable = as->durable,
                          .exclusive = as->exclusive,
                          .auto_delete = as->auto_delete}};
    sim_say(sim_of(solo_of(channel)),
            "s%d declares q%d: durable %d, exclusive %d, auto-delete %d, dead letters to x%d by %d, "
            "length %" PRId64 ", bytes %" PRId64 ", overflow %d, ttl %" PRId64 ", expires %" PRId64
            ", priorities %" PRId64 ", deliveries %" PRId64 ", retries %d, from %" PRId64
            " to %" PRId64 ", backoff %d, deduplicates %d",
            channel->client->number, queue, as->durable, as->exclusive, as->auto_delete, as->dlx,
            as->dlk, (int64_t)as->max_length, (int64_t)as->max_bytes, as->overflow,
            (int64_t)as->ttl_ms, (int64_t)as->expires_ms, (int64_t)as->max_priority,
            (int64_t)as->delivery_limit, as->retry, (int64_t)as->retry_min_ms,
            (int64_t)as->retry_max_ms, as->backoff,
            as->deduplicates);
    method.queue_declare.arguments = queue_arguments_of(solo_of(channel), as, &arguments);
    struct call *next = solo_call(channel, &method, METHOD_QUEUE_DECLARE_OK, CALL_OTHER);
    next->consumers = solo_count_consumers(solo_of(channel), queue);
    buffer_free(&arguments);
    return next;
}

static int draw_key(const struct solo *solo, int least)
{
    return (int)below(solo, (uint64_t)(KEYS - least)) + least;
}

uint64_t solo_draw_ttl(struct solo *solo)
{
    switch (below(solo, 4)) {
    case 0:
        return 0;
    case 1:
        return 1 + below(solo, 40);
    case 2:
        return 100 + below(solo, 2000);
    default:
        return 100000000;
    }
}

static void draw_limits(struct solo *solo, struct own_queue_of *queue)
{
    if (chance(solo, 4))
        queue->max_length = below(solo, 6);
    if (chance(solo, 10))
        queue->max_bytes = below(solo, sim_of(solo)->dials.body_max);
    if (chance(solo, 2))
        queue->overflow = (enum overflow)below(solo, 3);
    queue->has_overflow = chance(solo, 4);
    if (chance(solo, 6))
        queue->ttl_ms = solo_draw_ttl(solo);
    if (chance(solo, 10))
        queue->expires_ms = chance(solo, 3) ? 100000000 : 60 + below(solo, 600);
}

static void draw_arguments(struct solo *solo, struct own_queue_of *queue)
{
    *queue = (struct own_queue_of){.exists = true,
                                   .durable = below(solo, 4) > 0,
                                   .auto_delete = chance(solo, 5),
                                   .exclusive = chance(solo, 6),
                                   .is_single = chance(solo, 4),
                                   .dlx = NONE,
                                   .dlk = NONE,
                                   .max_length = NO_LIMIT,
                                   .max_bytes = NO_LIMIT,
                                   .ttl_ms = NO_LIMIT,
                                   .expires_ms = NO_LIMIT,
                                   .max_priority = NO_LIMIT,
                                   .delivery_limit = NO_LIMIT,
                                   .retry_min_ms = NO_LIMIT,
                                   .retry_max_ms = NO_LIMIT,
                                   .generation = ++solo->generation_last,
                                   .policies = queue->policies,
                                   .ready = queue->ready,
                                   .waiting = queue->waiting,
                                   .ghosts = queue->ghosts};
    queue->durable &= !queue->exclusive;
    queue->is_mirrored = sim_mirrors(sim_of(solo)) && !queue->durable && !queue->exclusive && queue->generation % 4;
    draw_limits(solo, queue);
    if (chance(solo, 4))
        queue->delivery_limit = below(solo, 4);
    if (chance(solo, 4))
        queue->max_priority = chance(solo, 4) ? LEVEL_TOP : 1 + below(solo, 5);
    solo_draw_retry(solo, queue);
    /* What is dropped by bytes, from the highest priority, depends on what came in one turn; and it does
     * on what is ready first. */
    queue->deduplicates = chance(solo, 4);
    if (queue->overflow == OVERFLOW_DROP_HEAD && queue->deduplicates)
        queue->max_length = queue->max_bytes = NO_LIMIT; /* nor when it went that is too much */
    if (queue->overflow == OVERFLOW_DROP_HEAD &&
        (queue->max_priority != NO_LIMIT || queue->retry != RETRY_DISABLED))
        queue->max_bytes = NO_LIMIT;
    if (chance(solo, 3))
        return;
    queue->dlx = (int)below(solo, EXCHANGES_OF_ONE + 1);
    if (queue->dlx == DEFAULT)
        queue->dlk = KEYS + (int)below(solo, QUEUES_OF_ONE);
    else if (chance(solo, 2))
        queue->dlk = (int)below(solo, PUBLISH_KEYS);
    /* A letter of what was refused is not kept until there is room for it. */
    if (sim_of(solo)->options->has_faults && queue->overflow == OVERFLOW_REJECT_DLX)
        queue->overflow = OVERFLOW_REJECT;
}

static void draw_queue(struct solo *solo, struct own_queue_of *queue)
{
    draw_arguments(solo, queue);
    queue->declared_length = queue->max_length;
    queue->declared_ttl_ms = queue->ttl_ms;
    solo_configure(queue);
    /* When something went that is too much is not known. */
    if (queue->overflow == OVERFLOW_DROP_HEAD && queue->max_length != NO_LIMIT)
        queue->deduplicates = false;
}

static void declare_differently(struct sim_channel *channel, int queue)
{
    struct solo *solo = solo_of(channel);
    struct own_queue_of other = solo->queues[queue];
    switch (below(solo, 4)) {
    case 3:
        other.declared_length = other.declared_length == NO_LIMIT ? 3 : NO_LIMIT;
        solo_expect_close(solo, 406, "inequivalent arg 'x-max-length'");
        break;
    case 0:
        other.auto_delete = !other.auto_delete;
        solo_expect_close(solo, 406, "inequivalent arg 'auto_delete'");
        break;
    case 1:
        other.exclusive = !other.exclusive;
        solo_expect_close(solo, 405, "cannot obtain exclusive access");
        break;
    default:
        other.dlx = other.dlx == NONE ? DEFAULT : NONE;
        if (other.dlx == NONE)
            other.dlk = NONE;
        solo_expect_close(solo, 406, "inequivalent arg 'x-dead-letter-exchange'");
    }
    solo_send_queue_declare(channel, queue, &other, false);
}

bool solo_op_declare_queue(struct sim_channel *channel)
{
    struct solo *solo = solo_of(channel);
    int queue = (int)below(solo, QUEUES_OF_ONE);
    struct own_queue_of *own = &solo->queues[queue];
    if (own->exists && chance(solo, 8)) {
        declare_differently(channel, queue);
        return true;
    }
    if (!own->exists && chance(solo, 10)) {
        solo_send_queue_declare(channel, queue, own, true);
        solo_expect_close(solo, 404, "no queue '");
        return true;
    }
    bool is_new = !own->exists, passive = own->exists && chance(solo, 2);
    if (is_new)
        draw_queue(solo, own);
    solo_used(solo, queue);
    struct call *next = solo_send_queue_declare(channel, queue, own, passive);
    next->is_change = is_new;
    solo_expect_count(solo, next, queue);
    return true;
}

bool solo_op_delete_queue(struct sim_channel *channel)
{
    struct solo *solo = solo_of(channel);
    int queue = (int)below(solo, QUEUES_OF_ONE);
    struct own_queue_of *own = &solo->queues[queue];
    char text[NAME_SIZE];
    bool if_unused = chance(solo, 3), if_empty = chance(solo, 3);
    if (!chance(solo, 4) || solo->tx_count)
        return false;
    union method method = {.queue_delete = {.id = METHOD_QUEUE_DELETE,
                                            .queue = solo_queue_text(solo, queue, text),
                                            .if_unused = if_unused,
                                            .if_empty = if_empty}};
    struct call *next = solo_call(channel, &method, METHOD_QUEUE_DELETE_OK, CALL_OTHER);
    solo_expect_count(solo, next, queue);
    next->is_change = true;
    if (own->exists && if_unused && solo_count_consumers(solo, queue)) {
        solo_expect_close(solo, 406, "in use");
    } else if (own->exists && if_empty && (own->ready.count || own->waiting.count)) {
        solo_expect_close(solo, 406, "not empty");
    } else if (own->exists) {
        solo->cancels_due += (int)solo_count_consumers(solo, queue);
        solo_remove_queue(solo, queue);
        sim_of(solo)->report->met[MET_QUEUE_DELETED]++;
    }
    return true;
}

bool solo_op_purge(struct sim_channel *channel)
{
    struct solo *solo = solo_of(channel);
    int queue = (int)below(solo, QUEUES_OF_ONE);
    struct own_queue_of *own = &solo->queues[queue];
    char text[NAME_SIZE];
    if (!own->exists || !chance(solo, 3))
        return false;
    union method method = {
        .queue_purge = {.id = METHOD_QUEUE_PURGE, .queue = solo_queue_text(solo, queue, text)}};
    struct call *next = solo_call(channel, &method, METHOD_QUEUE_PURGE_OK, CALL_OTHER);
    solo_expect_count(solo, next, queue);
    next->least += (uint32_t)own->waiting.count;
    next->most += next->most == UINT32_MAX ? 0 : (uint32_t)own->waiting.count;
    while (own->waiting.count)
        solo_add_ghost(own, entries_take(&own->waiting, own->waiting.count - 1), solo->op);
    while (own->ready.count)
        solo_add_ghost(own, entries_take(&own->ready, own->ready.count - 1), solo->op);
    sim_of(solo)->report->met[MET_PURGED]++;
    return true;
}

void solo_send_exchange_declare(struct sim_channel *channel, int exchange,
                                const struct own_exchange *as, bool passive)
{
    struct buffer arguments = {0};
    struct table_writer writer;
    char text[NAME_SIZE], other[NAME_SIZE];
    table_writer_init(&writer, &arguments);
    if (as->alternate != NONE)
        table_add_string(&writer, bytes_str("alternate-exchange"),
                         solo_exchange_text(solo_of(channel), as->alternate, other));
    sim_say(sim_of(solo_of(channel)),
            "s%d declares x%d: %s, durable %d, auto-delete %d, alternate x%d",
            channel->client->number, exchange, kind_names[as->kind], as->durable, as->auto_delete,
            as->alternate);
    union method method = {
        .exchange_declare = {.id = METHOD_EXCHANGE_DECLARE,
                             .exchange = solo_exchange_text(solo_of(channel), exchange, text),
                             .type = bytes_str(kind_names[as->kind]),
                             .passive = passive,
                             .durable = as->durable,
                             .auto_delete = as->auto_delete,
                             .internal = as->internal,
                             .arguments = buffer_bytes(&arguments)}};
    solo_call(channel, &method, METHOD_EXCHANGE_DECLARE_OK, passive ? CALL_OTHER : CALL_TOPOLOGY)
        ->exchange = exchange;
    buffer_free(&arguments);
}

static void declare_exchange_differently(struct sim_channel *channel, int exchange)
{
    struct solo *solo = solo_of(channel);
    struct own_exchange other = solo->exchanges[exchange];
    if (chance(solo, 2)) {
        other.kind = (other.kind + 1) % KINDS;
        solo_expect_close(solo, 406, "inequivalent arg 'type'");
    } else {
        other.alternate = other.alternate == NONE ? 0 : NONE;
        solo_expect_close(solo, 406, "inequivalent arg 'alternate-exchange'");
    }
    solo_send_exchange_declare(channel, exchange, &other, false);
}

bool solo_op_declare_exchange(struct sim_channel *channel)
{
    struct solo *solo = solo_of(channel);
    int exchange = (int)below(solo, EXCHANGES_OF_ONE);
    struct own_exchange *own = &solo->exchanges[exchange];
    if (own->exists && chance(solo, 8)) {
        declare_exchange_differently(channel, exchange);
        return true;
    }
    if (!own->exists && chance(solo, 10)) {
        solo_send_exchange_declare(channel, exchange, own, true);
        solo_expect_close(solo, 404, "no exchange '");
        return true;
    }
    bool passive = own->exists && chance(solo, 2);
    if (!own->exists) {
        *own = (struct own_exchange){.exists = true,
                                     .durable = below(solo, 4) > 0,
                                     .auto_delete = chance(solo, 4),
                                     .internal = chance(solo, 8),
                                     .kind = (enum kind)below(solo, KINDS),
                                     .alternate = NONE};
        if (chance(solo, 3))
            own->alternate = (int)below(solo, EXCHANGES_OF_ONE);
    }
    solo_send_exchange_declare(channel, exchange, own, passive);
    return true;
}

static bool is_source(const struct solo *solo, int exchange)
{
    for (int i = 0; i < solo->bindings_count; i++)
        if (solo->bindings[i].source == exchange)
            return true;
    return false;
}

bool solo_op_delete_exchange(struct sim_channel *channel)
{
    struct solo *solo = solo_of(channel);
    int exchange = (int)below(solo, EXCHANGES_OF_ONE);
    bool if_unused = chance(solo, 2);
    char text[NAME_SIZE];
    if (!chance(solo, 4) || solo->tx_count)
        return false;
    union method method = {.exchange_delete = {.id = METHOD_EXCHANGE_DELETE,
                                               .exchange = solo_exchange_text(solo, exchange, text),
                                               .if_unused = if_unused}};
    solo_call(channel, &method, METHOD_EXCHANGE_DELETE_OK, CALL_TOPOLOGY)->exchange = exchange;
    if (!solo->exchanges[exchange].exists)
        return true;
    if (if_unused && is_source(solo, exchange)) {
        solo_expect_close(solo, 406, "in use");
        return true;
    }
    solo_remove_exchange(solo, exchange);
    sim_of(solo)->report->met[MET_EXCHANGE_DELETED]++;
    return true;
}

static struct bytes match_arguments(int match, struct buffer *out)
{
    struct table_writer writer;
    table_writer_init(&writer, out);
    if (match)
        table_add_string(&writer, bytes_str("x-match"), bytes_str(match == 3 ? "any" : "all"));
    if (match >= 1 && match <= 3)
        table_add_int64(&writer, bytes_str("h"), 1);
    if (match == 2 || match == 3)
        table_add_int64(&writer, bytes_str("g"), 1);
    if (match == 4)
        table_add_raw(&writer, bytes_str("g"), 'V', bytes_of(NULL, 0));
    return buffer_bytes(out);
}

void solo_send_binding(struct sim_channel *channel, const struct own_binding *binding, bool unbinds)
{
    const struct solo *solo = solo_of(channel);
    struct buffer out = {0};
    char source_text[NAME_SIZE], text[NAME_SIZE];
    struct bytes arguments = match_arguments(binding->match, &out);
    struct bytes source = solo_exchange_text(solo, binding->source, source_text);
    struct bytes key = bytes_str(solo_keys[binding->key]);
    union method method;
    uint32_t reply;
    if (binding->queue != NONE && unbinds) {
        method = (union method){.queue_unbind = {METHOD_QUEUE_UNBIND,
                                                 solo_queue_text(solo, binding->queue, text),
                                                 source, key, arguments}};
        reply = METHOD_QUEUE_UNBIND_OK;
    } else if (binding->queue != NONE) {
        method = (union method){.queue_bind = {METHOD_QUEUE_BIND,
                                               solo_queue_text(solo, binding->queue, text), source,
                                               key, false, arguments}};
        reply = METHOD_QUEUE_BIND_OK;
    } else if (unbinds) {
        method =
            (union method){.exchange_unbind = {METHOD_EXCHANGE_UNBIND,
                                               solo_exchange_text(solo, binding->exchange, text),
                                               source, key, false, arguments}};
        reply = METHOD_EXCHANGE_UNBIND_OK;
    } else {
        method = (union method){.exchange_bind = {METHOD_EXCHANGE_BIND,
                                                  solo_exchange_text(solo, binding->exchange, text),
                                                  source, key, false, arguments}};
        reply = METHOD_EXCHANGE_BIND_OK;
    }
    sim_say(sim_of(solo), "s%d %s x%d to q%d or x%d by %s, match %d", solo->client->number,
            unbinds ? "unbinds" : "binds", binding->source, binding->queue, binding->exchange,
            solo_keys[binding->key], binding->match);
    struct call *next = solo_call(channel, &method, reply, CALL_TOPOLOGY);
    next->binding = *binding;
    next->has_binding = true;
    buffer_free(&out);
}

int solo_find_binding(const struct solo *solo, const struct own_binding *binding)
{
    for (int i = 0; i < solo->bindings_count; i++)
        if (memcmp(&solo->bindings[i], binding, sizeof(*binding)) == 0)
            return i;
    return NONE;
}

static void draw_binding(struct solo *solo, struct own_binding *binding)
{
    *binding = (struct own_binding){.source = (int)below(solo, EXCHANGES_OF_ONE),
                                    .queue = NONE,
                                    .exchange = NONE,
                                    .key = draw_key(solo, 0)};
    if (chance(solo, 4))
        binding->exchange = (int)below(solo, EXCHANGES_OF_ONE);
    else
        binding->queue = (int)below(solo, QUEUES_OF_ONE);
    if (solo->exchanges[binding->source].kind == HEADERS)
        binding->match = (int)below(solo, 5);
    /* Both empty stand for something else. */
    if (solo->exchanges[binding->source].kind == FANOUT)
        binding->key = draw_key(solo, 1);
}

bool solo_op_bind(struct sim_channel *channel)
{
    struct solo *solo = solo_of(channel);
    struct own_binding binding;
    draw_binding(solo, &binding);
    const struct own_exchange *source = &solo->exchanges[binding.source];
    bool has_destination = binding.queue != NONE ? solo->queues[binding.queue].exists
                                                 : solo->exchanges[binding.exchange].exists;
    bool is_there = solo_find_binding(solo, &binding) != NONE;
    if (solo->bindings_count == BINDINGS_MAX ||
        (!(source->exists && has_destination) && !chance(solo, 10)))
        return false;
    solo_send_binding(channel, &binding, false);
    if (!source->exists)
        solo_expect_close(solo, 404, "no exchange '");
    else if (!has_destination)
        solo_expect_close(solo, 404, binding.queue != NONE ? "no queue '" : "no exchange '");
    else if (!is_there)
        solo->bindings[solo->bindings_count++] = binding;
    sim_of(solo)->report->met[binding.queue == NONE ? MET_EXCHANGE_BOUND : MET_QUEUE_BOUND]++;
    return true;
}

bool solo_op_unbind(struct sim_channel *channel)
{
    struct solo *solo = solo_of(channel);
    struct own_binding binding;
    if (!solo->bindings_count || solo->tx_count)
        return false;
    if (chance(solo, 3)) {
        draw_binding(solo, &binding);
    } else {
        binding = solo->bindings[below(solo, (uint64_t)solo->bindings_count)];
        if (chance(solo, 4))
            binding.key = draw_key(solo, 1); /* one that is like it */
    }
    if (!solo->exchanges[binding.source].exists)
        return false;
    solo_send_binding(channel, &binding, true);
    int at = solo_find_binding(solo, &binding);
    if (at != NONE)
        solo_remove_binding(solo, at);
    sim_of(solo)->report->met[at != NONE ? MET_UNBOUND : MET_UNBOUND_NOTHING]++;
    return true;
}
