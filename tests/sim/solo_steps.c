/* What a step does: messages are published, got, settled and consumed, in transactions or not. Each
 * operation sends its method and changes the model; it says whether it did anything. */
#include "tests/sim/solo_internal.h"

#include <inttypes.h>
#include <stdio.h>

#include "amqp/properties.h"
#include "amqp/table.h"
#include "base/mem.h"

/* ---- publishing ---- */

static void draw_letter(struct solo *solo, struct entry *letter)
{
    *letter = (struct entry){.id = ++solo->id_last,
                             .exchange =
                                 chance(solo, 3) ? DEFAULT : (int)below(solo, EXCHANGES_OF_ONE + 1),
                             .key = (int)below(solo, PUBLISH_KEYS),
                             .cc = NONE,
                             .died_in = NONE,
                             .ttl_ms = chance(solo, 8) ? solo_draw_ttl(solo) : NO_LIMIT,
                             .asked_ms = chance(solo, 8) ? below(solo, 500) : NO_LIMIT,
                             .persistent = below(solo, 4) > 0 || sim_of(solo)->options->agrees,
                             .size = sim_draw_size(sim_of(solo))};
    if (letter->exchange == DEFAULT)
        letter->key = KEYS + (int)below(solo, QUEUES_OF_ONE);
    if (chance(solo, 6))
        letter->cc = KEYS * (letter->exchange == DEFAULT) + (int)below(solo, QUEUES_OF_ONE);
    letter->priority = chance(solo, 2) ? (int)below(solo, chance(solo, 8) ? 256 : 8) : NONE;
    letter->same = chance(solo, 2) ? (int)below(solo, SAME) : 0;
    letter->h = (int)below(solo, 3);
    letter->g = (int)below(solo, 3);
}

static void add_headers(const struct solo *solo, const struct entry *letter, bool as_bcc,
                        struct buffer *out)
{
    struct table_writer writer;
    char text[NAME_SIZE];
    table_writer_init(&writer, out);
    if (letter->same)
        table_add_string(&writer, bytes_str("x-deduplication-header"),
                         bytes_of(&"abc"[letter->same - 1], 1));
    if (letter->h)
        table_add_int64(&writer, bytes_str("h"), letter->h);
    if (letter->asked_ms != NO_LIMIT)
        table_add_int64(&writer, bytes_str("x-retry-delay"), (int64_t)letter->asked_ms);
    if (letter->cc != NONE) {
        table_begin_array(&writer, bytes_str(as_bcc ? "BCC" : "CC"));
        table_add_string(&writer, bytes_of(NULL, 0), solo_key_text(solo, letter->cc, text));
        table_end(&writer);
    }
    if (letter->g)
        table_add_int64(&writer, bytes_str("g"), letter->g);
}

static void send_letter(struct sim_channel *channel, const struct entry *letter, bool mandatory,
                        bool as_bcc)
{
    const struct solo *solo = solo_of(channel);
    char exchange[NAME_SIZE], key[NAME_SIZE], id[24], ttl[24];
    struct buffer headers = {0}, body = {0};
    union method method = {
        .basic_publish = {.id = METHOD_BASIC_PUBLISH,
                          .exchange = solo_exchange_text(solo, letter->exchange, exchange),
                          .routing_key = solo_key_text(solo, letter->key, key),
                          .mandatory = mandatory}};
    snprintf(id, sizeof(id), "%" PRIu64, letter->id);
    add_headers(solo, letter, as_bcc, &headers);
    struct properties properties = {.flags = PROPERTY_MESSAGE_ID | PROPERTY_DELIVERY_MODE,
                                    .message_id = bytes_str(id),
                                    .delivery_mode = letter->persistent ? 2 : 1,
                                    .headers = buffer_bytes(&headers)};
    if (headers.size)
        properties.flags |= PROPERTY_HEADERS;
    if (letter->ttl_ms != NO_LIMIT) {
        snprintf(ttl, sizeof(ttl), "%" PRIu64, letter->ttl_ms);
        properties.flags |= PROPERTY_EXPIRATION;
        properties.expiration = bytes_str(ttl);
    }
    if (letter->priority != NONE) {
        properties.flags |= PROPERTY_PRIORITY;
        properties.priority = (uint8_t)letter->priority;
    }
    uint8_t *at = buffer_room(&body, letter->size + 1);
    for (uint32_t i = 0; i < letter->size; i++)
        at[i] = (uint8_t)(letter->id * 31 + i);
    client_send(channel->client, channel->number, &method);
    client_content_with(channel->client, channel->number, bytes_of(at, letter->size), &properties);
    sim_say(sim_of(solo), "s%d publishes %" PRIu64 " to %s/%s%s", solo->client->number, letter->id,
            exchange, key, as_bcc ? " with BCC" : "");
    buffer_free(&headers);
    buffer_free(&body);
}

static void await_confirm(struct solo *solo, const struct entry *letter, uint32_t queues,
                          uint32_t refused, bool returns)
{
    if (solo->publishes_count == solo->publishes_capacity) {
        solo->publishes_capacity = solo->publishes_capacity ? solo->publishes_capacity * 2 : 32;
        solo->publishes =
            mem_realloc(solo->publishes, solo->publishes_capacity * sizeof(*solo->publishes));
    }
    bool is_recorded = false;
    for (int i = 0; i < QUEUES_OF_ONE; i++)
        is_recorded |= queues & 1u << i && solo_survives_in(&solo->queues[i], letter);
    solo->publishes[solo->publishes_count++] =
        (struct own_publish){.id = letter->id,
                             .op = solo->op,
                             .is_recorded = is_recorded,
                             .is_returned = returns,
                             .is_refused = refused,
                             .is_taken = queues};
}

/* True: a queue refuses it. */
static bool take_publish(struct solo *solo, struct entry *letter, bool mandatory)
{
    uint32_t queues = solo_route(solo, letter->exchange, letter);
    bool returns = mandatory && !queues;
    uint32_t refused = solo_enqueue(solo, queues, *letter);
    if (returns)
        solo->returns[solo->returns_count++] = letter->id;
    if (solo->mode == MODE_CONFIRM)
        await_confirm(solo, letter, queues & ~refused, refused, returns);
    return refused;
}

static bool op_publish(struct sim_channel *channel)
{
    struct solo *solo = solo_of(channel);
    struct entry letter;
    bool mandatory = chance(solo, 3), as_bcc = chance(solo, 2);
    draw_letter(solo, &letter);
    const struct own_exchange *exchange = &solo->exchanges[letter.exchange];
    bool is_there = letter.exchange == DEFAULT || exchange->exists;
    bool is_internal = letter.exchange != DEFAULT && is_there && exchange->internal;
    bool is_wrong = !is_there || is_internal;
    size_t waiting = solo->mode == MODE_TX ? solo->tx_count : (size_t)solo->returns_count;
    if (solo->client->is_blocked || waiting > 40 ||
        (is_wrong && (solo->mode == MODE_TX || !chance(solo, 12))))
        return false;
    if (letter.cc == NONE)
        as_bcc = false;
    solo->op++;
    send_letter(channel, &letter, mandatory, as_bcc);
    if (is_wrong) {
        solo_expect_close(solo, is_there ? 403 : 404,
                          is_there ? "cannot publish to internal exchange" : "no exchange '");
        return true;
    }
    if (solo->mode == MODE_TX) {
        if (solo->tx_count == solo->tx_capacity) {
            solo->tx_capacity = solo->tx_capacity ? solo->tx_capacity * 2 : 16;
            solo->tx_publishes =
                mem_realloc(solo->tx_publishes, solo->tx_capacity * sizeof(letter));
        }
        letter.is_seen = mandatory; /* until it is committed it means that */
        solo->tx_publishes[solo->tx_count++] = letter;
        return true;
    }
    take_publish(solo, &letter, mandatory);
    return true;
}

/* ---- getting, settling ---- */

void solo_send_get(struct sim_channel *channel, int queue, bool no_ack, enum call_kind kind)
{
    char text[NAME_SIZE];
    union method method = {.basic_get = {.id = METHOD_BASIC_GET,
                                         .queue = solo_queue_text(solo_of(channel), queue, text),
                                         .no_ack = no_ack}};
    struct call *next = solo_call(channel, &method, METHOD_BASIC_GET_OK, kind);
    next->queue = queue;
    next->no_ack = no_ack;
}

static bool op_get(struct sim_channel *channel)
{
    struct solo *solo = solo_of(channel);
    int queue = (int)below(solo, QUEUES_OF_ONE);
    struct own_queue_of *own = &solo->queues[queue];
    if (!own->exists || solo->unacked_count > UNACKED_MAX)
        return false;
    bool no_ack = solo->mode != MODE_TX && chance(solo, 8);
    solo->is_stopped |= solo_is_ambiguous(&own->ready);
    solo_used(solo, queue);
    solo_send_get(channel, queue, no_ack, CALL_GET);
    struct call *next = &solo->calls[solo->calls_count - 1];
    next->is_empty = own->ready.count == 0;
    if (next->is_empty)
        return true;
    next->got = entries_take(&own->ready, 0);
    next->least = next->most = (uint32_t)own->ready.count;
    next->tag = ++solo->tag_last;
    if (no_ack)
        solo_add_seen_ghost(own, next->got, solo->op);
    else
        solo_add_unacked(solo, next->tag, queue, NONE, &next->got);
    return true;
}

bool solo_send_settle_of(struct sim_channel *channel, uint64_t tag, bool multiple, enum settled how)
{
    struct solo *solo = solo_of(channel);
    union method method = {.basic_ack = {METHOD_BASIC_ACK, tag, multiple}};
    bool requeue = how == SETTLED_NOT;
    if (how != SETTLED_ACKED && (multiple || chance(solo, 2)))
        method = (union method){.basic_nack = {METHOD_BASIC_NACK, tag, multiple, requeue}};
    else if (how != SETTLED_ACKED)
        method = (union method){.basic_reject = {METHOD_BASIC_REJECT, tag, requeue}};
    solo->op++;
    sim_say(sim_of(solo), "s%d settles %" PRIu64 "%s as %d", solo->client->number, tag,
            multiple ? " and before" : "", how);
    client_send(channel->client, channel->number, &method);
    return method.id == METHOD_BASIC_REJECT;
}

static size_t count_open(const struct solo *solo)
{
    size_t count = 0;
    for (size_t i = 0; i < solo->unacked_count; i++)
        count += !solo->unacked[i].is_settled;
    return count;
}

/* A dead letter that no queue takes: nobody sees when it goes, and it may have to be read first, so
 * that it finds whatever was bound meanwhile. */
static bool would_be_dropped(const struct solo *solo, const struct own_unacked *unacked)
{
    if (!solo_is_of_queue(solo, unacked) || !solo_sends_on(solo, &solo->queues[unacked->queue]))
        return false;
    struct entry letter =
        solo_letter_of(solo, unacked->queue, &unacked->entry, REASON_REJECTED);
    return solo_route(solo, letter.exchange, &letter) == 0;
}

/* It may come back too often, or not; or its letter would go nowhere; or, returned to a queue that drops its oldest, it may be delivered before, or not; and if bytes count, it
 * depends on the order which ones are dropped. */
static bool is_return_unsure(const struct solo *solo, const struct own_unacked *unacked)
{
    const struct own_queue_of *queue = &solo->queues[unacked->queue];
    if (!solo_is_of_queue(solo, unacked))
        return false;
    if (solo_may_be_too_often(queue, &unacked->entry) &&
        (unacked->entry.count_least < queue->delivery_limit || would_be_dropped(solo, unacked)))
        return true;
    return solo_drops(queue) &&
           (queue->max_bytes != NO_LIMIT || solo_count_consumers(solo, unacked->queue));
}

static bool is_meant(const struct own_unacked *unacked, uint64_t tag, bool multiple, bool all)
{
    return !unacked->is_settled &&
           (unacked->tag == tag || (multiple && (all || unacked->tag < tag)));
}

static bool op_settle(struct sim_channel *channel)
{
    struct solo *solo = solo_of(channel);
    if (!count_open(solo))
        return false;
    size_t at = below(solo, solo->unacked_count);
    if (solo->unacked[at].is_settled)
        return false;
    uint64_t what = below(solo, 10);
    enum settled how = what < 5 ? SETTLED_ACKED : what < 8 ? SETTLED_REJECTED : SETTLED_NOT;
    bool multiple = chance(solo, 3), all = multiple && chance(solo, 4);
    uint64_t tag = solo->unacked[at].tag;
    for (size_t i = 0; i < solo->unacked_count && solo->mode != MODE_TX && how == SETTLED_REJECTED;
         i++)
        if (is_meant(&solo->unacked[i], tag, multiple, all) &&
            would_be_dropped(solo, &solo->unacked[i]))
            how = SETTLED_ACKED;
    for (size_t i = 0; i < solo->unacked_count && how == SETTLED_NOT; i++)
        if (is_meant(&solo->unacked[i], tag, multiple, all) &&
            is_return_unsure(solo, &solo->unacked[i]))
            how = SETTLED_ACKED;
    bool has_failed = solo_send_settle_of(channel, all ? 0 : tag, multiple, how);
    for (size_t i = 0; i < solo->unacked_count;) {
        struct own_unacked *unacked = &solo->unacked[i];
        if (!is_meant(unacked, tag, multiple, all)) {
            i++;
            continue;
        }
        unacked->has_failed = has_failed;
        if (solo->mode == MODE_TX) {
            unacked->is_settled = true;
            unacked->how = how;
            unacked->order = ++solo->settle_last;
            i++;
        } else {
            solo_settle_model(solo, i, how);
        }
    }
    sim_of(solo)->report->met[multiple ? MET_SETTLED_MULTIPLE : MET_SETTLED]++;
    return true;
}

static bool op_settle_unknown(struct sim_channel *channel)
{
    struct solo *solo = solo_of(channel);
    if (!chance(solo, 20))
        return false;
    solo_send_settle_of(channel, solo->tag_last + 1000, false, SETTLED_ACKED);
    solo_expect_close(solo, 406, "unknown delivery tag");
    return true;
}

static bool op_recover(struct sim_channel *channel)
{
    struct solo *solo = solo_of(channel);
    union method method = {.basic_recover = {METHOD_BASIC_RECOVER, true}};
    if (!chance(solo, 3) || solo->mode == MODE_TX)
        return false;
    for (size_t i = 0; i < solo->unacked_count; i++)
        if (is_return_unsure(solo, &solo->unacked[i]))
            return false;
    solo_call(channel, &method, METHOD_BASIC_RECOVER_OK, CALL_OTHER);
    while (solo->unacked_count)
        solo_settle_model(solo, 0, SETTLED_NOT);
    sim_of(solo)->report->met[MET_RECOVERED]++;
    return true;
}

/* ---- consuming ---- */

/* What consumers could take, and their channel cannot, is not known where a queue refuses messages. */
static bool may_share_credit(const struct solo *solo, int queue)
{
    return !solo_has_limit(&solo->queues[queue]) || solo_drops(&solo->queues[queue]);
}

static bool op_qos(struct sim_channel *channel)
{
    struct solo *solo = solo_of(channel);
    bool global = chance(solo, 3);
    uint32_t count = (uint32_t)below(solo, global ? 8 : 5);
    for (int i = 0; i < QUEUES_OF_ONE; i++)
        if (global && solo_count_consumers(solo, i) && !may_share_credit(solo, i))
            return false;
    union method method = {
        .basic_qos = {.id = METHOD_BASIC_QOS, .prefetch_count = (uint16_t)count, .global = global}};
    solo_call(channel, &method, METHOD_BASIC_QOS_OK, CALL_OTHER);
    if (global)
        solo->prefetch_global = count;
    else
        solo->prefetch = count;
    solo->is_stopped = true;
    sim_of(solo)->report->met[global ? MET_QOS_CHANNEL : MET_QOS_CONSUMER]++;
    return true;
}

static void send_consume(struct sim_channel *channel, const struct own_consumer *consumer)
{
    struct solo *solo = solo_of(channel);
    struct buffer out = {0};
    struct table_writer writer;
    char text[NAME_SIZE];
    table_writer_init(&writer, &out);
    if (consumer->priority)
        table_add_int64(&writer, bytes_str("x-priority"), consumer->priority);
    union method method = {.basic_consume = {.id = METHOD_BASIC_CONSUME,
                                             .queue = solo_queue_text(solo, consumer->queue, text),
                                             .consumer_tag = bytes_str(consumer->tag),
                                             .no_ack = consumer->no_ack,
                                             .exclusive = consumer->exclusive,
                                             .arguments = buffer_bytes(&out)}};
    solo_call(channel, &method, METHOD_BASIC_CONSUME_OK, CALL_OTHER)->queue = consumer->queue;
    buffer_free(&out);
}

static bool is_exclusively_consumed(const struct solo *solo, int queue)
{
    for (int i = 0; i < CONSUMERS_OF_ONE; i++)
        if (solo->consumers[i].is_active && solo->consumers[i].queue == queue &&
            solo->consumers[i].exclusive)
            return true;
    return false;
}

/* A place whose deliveries were all settled, too. */
static int free_consumer(const struct solo *solo)
{
    for (int i = 0; i < CONSUMERS_OF_ONE; i++)
        if (!solo->consumers[i].is_active && !solo->consumers[i].unacked)
            return i;
    return NONE;
}

static bool op_consume(struct sim_channel *channel)
{
    struct solo *solo = solo_of(channel);
    int queue = (int)below(solo, QUEUES_OF_ONE), number = free_consumer(solo);
    if (!solo->queues[queue].exists || number == NONE || solo->mode == MODE_TX)
        return false;
    if (!may_share_credit(solo, queue) &&
        (solo->prefetch_global || solo->queues[queue].max_bytes != NO_LIMIT))
        return false;
    if (solo_drops(&solo->queues[queue])) /* when it drops something depends on what is delivered when */
        return false;
    struct own_consumer consumer = {.is_active = true,
                                    .no_ack = chance(solo, 6),
                                    .exclusive = chance(solo, 8),
                                    .queue = queue,
                                    .priority = (int)below(solo, 3) - 1,
                                    .prefetch = solo->prefetch};
    if (consumer.no_ack)
        consumer.prefetch = 0;
    consumer.number = ++solo->consumer_last;
    snprintf(consumer.tag, sizeof(consumer.tag), "c%" PRIu64, consumer.number);
    bool is_refused = is_exclusively_consumed(solo, queue) ||
                      (consumer.exclusive && (solo_count_consumers(solo, queue) ||
                                              solo->queues[queue].is_single));
    send_consume(channel, &consumer);
    if (is_refused) {
        solo_expect_close(solo, 403, "in exclusive use");
        return true;
    }
    solo->consumers[number] = consumer;
    if (solo->queues[queue].is_single)
        solo_choose_single(solo, queue);
    if (!solo->queues[queue].first_consumer)
        solo->queues[queue].first_consumer = consumer.number;
    solo->is_stopped = true;
    sim_of(solo)->report->met[consumer.priority ? MET_CONSUMER_PRIORITY : MET_CONSUMED]++;
    return true;
}

static bool op_cancel(struct sim_channel *channel)
{
    struct solo *solo = solo_of(channel);
    int number = (int)below(solo, CONSUMERS_OF_ONE);
    struct own_consumer *consumer = &solo->consumers[number];
    if (!consumer->is_active)
        return false;
    union method method = {.basic_cancel = {METHOD_BASIC_CANCEL, bytes_str(consumer->tag), false}};
    solo_call(channel, &method, METHOD_BASIC_CANCEL_OK, CALL_OTHER)->queue = consumer->queue;
    solo_end_consumer(solo, number);
    sim_of(solo)->report->met[MET_CANCELLED]++;
    return true;
}

void solo_cancelled(struct sim_channel *channel, struct bytes tag)
{
    struct solo *solo = solo_of(channel);
    if (solo->is_ignoring)
        return;
    if (solo->cancels_due-- <= 0)
        sim_fail(sim_of(solo), "s%d: consumer %.*s is cancelled", solo->client->number,
                 BYTES_ARG(tag));
    sim_of(solo)->report->met[MET_CANCELLED_BY_BROKER]++;
}

/* ---- transactions ---- */

/* Of what was settled in the open transaction. */
static size_t first_settled(const struct solo *solo)
{
    size_t first = solo->unacked_count;
    for (size_t i = 0; i < solo->unacked_count; i++)
        if (solo->unacked[i].is_settled &&
            (first == solo->unacked_count || solo->unacked[i].order < solo->unacked[first].order))
            first = i;
    return first;
}

/* Is all that was published to go to exchanges that still are there? A queue may have expired, and one with it. */
static bool has_exchanges(const struct solo *solo)
{
    for (size_t i = 0; i < solo->tx_count; i++) {
        int exchange = solo->tx_publishes[i].exchange;
        if (exchange != DEFAULT && !solo->exchanges[exchange].exists)
            return false;
    }
    return true;
}

static bool op_commit(struct sim_channel *channel)
{
    struct solo *solo = solo_of(channel);
    union method method = {.id = METHOD_TX_COMMIT};
    if (solo->mode != MODE_TX || !chance(solo, 2))
        return false;
    solo_call(channel, &method, METHOD_TX_COMMIT_OK, CALL_OTHER);
    if (!has_exchanges(solo)) {
        solo_expect_close(solo, 404, "no exchange '");
        return true;
    }
    bool is_partial = false;
    for (size_t i = 0; i < solo->tx_count; i++) {
        struct entry letter = solo->tx_publishes[i];
        is_partial |= take_publish(solo, &letter, letter.is_seen);
    }
    solo->tx_count = 0;
    if (is_partial)
        solo_expect_close(solo, 406, "partial tx completion");
    for (size_t at; (at = first_settled(solo)) < solo->unacked_count;)
        solo_settle_model(solo, at, solo->unacked[at].how);
    solo->is_stopped = true;
    sim_of(solo)->report->met[MET_COMMITTED]++;
    return true;
}

static bool op_rollback(struct sim_channel *channel)
{
    struct solo *solo = solo_of(channel);
    union method method = {.id = METHOD_TX_ROLLBACK};
    if (solo->mode != MODE_TX || !chance(solo, 4))
        return false;
    solo_call(channel, &method, METHOD_TX_ROLLBACK_OK, CALL_OTHER);
    solo->tx_count = 0;
    for (size_t i = 0; i < solo->unacked_count; i++)
        solo->unacked[i].is_settled = false;
    sim_of(solo)->report->met[MET_ROLLED_BACK]++;
    return true;
}

/* ---- the next step ---- */

void solo_leave(struct sim_channel *channel)
{
    union method method = {.channel_close = {.id = METHOD_CHANNEL_CLOSE, .reply_code = 200}};
    solo_call(channel, &method, METHOD_CHANNEL_CLOSE_OK, CALL_OTHER);
    channel->is_leaving = true;
}

static bool op_close(struct sim_channel *channel)
{
    struct solo *solo = solo_of(channel);
    if (!chance(solo, 8))
        return false;
    solo_leave(channel);
    solo->is_stopped = true;
    return true;
}

/* Publishing stops when there is enough. */
static bool is_full(const struct solo *solo)
{
    size_t count = 0;
    for (int i = 0; i < QUEUES_OF_ONE; i++)
        count += solo->queues[i].ready.count;
    return count > READY_MAX;
}

static bool op_publish_unless_full(struct sim_channel *channel)
{
    return !is_full(solo_of(channel)) && op_publish(channel);
}

/* An operator is asked for something, when the broker has read all that was sent. */
static bool draw_operation(struct sim_channel *channel)
{
    struct solo *solo = solo_of(channel);
    uint64_t one_in = sim_of(solo)->dials.operations;
    solo->operates |= one_in && chance(solo, one_in);
    if (!solo->operates || solo->client->is_orphaned)
        return false;
    if (solo->proved_op < solo->op) {
        solo_poll(channel);
        return true;
    }
    solo->step++;
    solo_begin_step(solo);
    if (!solo_operate(channel))
        return false;
    solo_tend(solo);
    return true;
}

void solo_draw_step(struct sim_channel *channel)
{
    static bool (*const ops[])(struct sim_channel *) = {
        op_publish_unless_full,
        op_publish_unless_full,
        op_publish_unless_full,
        op_publish_unless_full,
        op_get,
        op_get,
        op_get,
        op_get,
        op_settle,
        op_settle,
        op_settle,
        op_settle,
        solo_op_declare_queue,
        solo_op_declare_queue,
        solo_op_delete_queue,
        solo_op_purge,
        solo_op_declare_exchange,
        solo_op_declare_exchange,
        solo_op_delete_exchange,
        solo_op_bind,
        solo_op_bind,
        solo_op_bind,
        solo_op_unbind,
        op_settle_unknown,
        op_recover,
        op_qos,
        op_consume,
        op_cancel,
        op_commit,
        op_commit,
        op_rollback,
        op_close,
    };
    struct solo *solo = solo_of(channel);
    uint64_t count = 1 + below(solo, STEP_OPS);
    if (draw_operation(channel))
        return;
    solo->step++;
    solo->is_stopped = false;
    solo_begin_step(solo);
    while (count && !solo->is_stopped && solo->is_known) {
        if (!ops[below(solo, sizeof(ops) / sizeof(ops[0]))](channel))
            continue;
        count--;
        solo_tend(solo);
        solo->is_stopped |= solo_has_consumers(solo) || solo_has_late(solo);
    }
}
