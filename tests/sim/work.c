/* What clients do, drawn at random: a channel has a role, and does a little of it whenever its
 * client acts. */
#include <inttypes.h>
#include <stdio.h>

#include "amqp/properties.h"
#include "amqp/table.h"
#include "base/mem.h"
#include "tests/sim/sim.h"

enum { WINDOW_MAX = 60, DELIVERIES_MAX = 200, TX_SETTLES_MAX = 20, BODY_MAX = 300000 };
enum { STUCK_US = 180 * 1000000, DRAINED_US = 5 * 1000000 };

static struct sim *sim_of(const struct sim_channel *channel)
{
    return channel->client->sim;
}

static void call_id(struct sim_channel *channel, uint32_t id, uint32_t reply)
{
    union method method = {.id = id};
    client_call(channel, &method, reply, -1);
}

static struct expected *last_expected(struct sim_channel *channel)
{
    return &channel->expected[channel->expected_count - 1];
}

/* ---- the shared topology ---- */

static void declare_exchange(struct sim_channel *channel, const char *name, const char *type,
                             struct bytes arguments)
{
    union method method = {.exchange_declare = {.id = METHOD_EXCHANGE_DECLARE,
                                                .exchange = bytes_str(name),
                                                .type = bytes_str(type),
                                                .durable = true,
                                                .arguments = arguments}};
    client_call(channel, &method, METHOD_EXCHANGE_DECLARE_OK, -1);
}

static void declare_queue(struct sim_channel *channel, int queue, bool passive)
{
    static const uint8_t dead_letters[] = "\x16"
                                          "x-dead-letter-exchangeS\0\0\0\0"
                                          "\x19"
                                          "x-dead-letter-routing-keyS\0\0\0\3dlq";
    static const uint8_t waits[] = "\x12"
                                   "x-consumer-timeoutI\0\0\1\x2c"; /* ANSWER_MS */
    static const uint8_t mirrored[] = "\x08"
                                      "mirroredt\1";
    union method method = {.queue_declare = {.id = METHOD_QUEUE_DECLARE,
                                             .queue = bytes_str(queue_names[queue]),
                                             .passive = passive,
                                             .durable = queue != QUEUE_T0}};
    if (queue == QUEUE_T0 && sim_mirrors(sim_of(channel)))
        method.queue_declare.arguments = bytes_of(mirrored, sizeof(mirrored) - 1);
    if (queue == QUEUE_R0)
        method.queue_declare.arguments = bytes_of(dead_letters, sizeof(dead_letters) - 1);
    if (queue == QUEUE_W0)
        method.queue_declare.arguments = bytes_of(waits, sizeof(waits) - 1);
    client_call(channel, &method, METHOD_QUEUE_DECLARE_OK, queue);
}

static void bind_queue(struct sim_channel *channel, int queue, const char *exchange,
                       const char *key)
{
    union method method = {.queue_bind = {.id = METHOD_QUEUE_BIND,
                                          .queue = bytes_str(queue_names[queue]),
                                          .exchange = bytes_str(exchange),
                                          .routing_key = bytes_str(key)}};
    client_call(channel, &method, METHOD_QUEUE_BIND_OK, queue);
}

static void bind_exchange(struct sim_channel *channel, const char *from, const char *to)
{
    union method method = {.exchange_bind = {.id = METHOD_EXCHANGE_BIND,
                                             .destination = bytes_str(to),
                                             .source = bytes_str(from)}};
    client_call(channel, &method, METHOD_EXCHANGE_BIND_OK, -1);
}

static void open_channel(struct sim_channel *channel);

static void open_channels(struct client *client)
{
    client->state = CLIENT_READY;
    for (int i = 1; i <= CHANNELS; i++)
        open_channel(&client->channels[i]);
}

void work_ready(struct client *client)
{
    static const uint8_t alternate[] = "\x12"
                                       "alternate-exchangeS\0\0\0\3fan";
    static const uint8_t holds_back[] = "\x12"
                                        "x-delayed-exchanget\1";
    static const uint8_t deduplicates[] = "\x17"
                                          "x-message-deduplicationt\1"
                                          "\x0c"
                                          "x-cache-sizeI\0\x0f\x42\x40";
    struct bytes none = bytes_of(NULL, 0);
    struct sim_channel *channel = &client->channels[1];
    if (client->is_stranger) {
        open_channels(client);
        return;
    }
    client->state = CLIENT_DECLARING;
    call_id(channel, METHOD_CHANNEL_OPEN, METHOD_CHANNEL_OPEN_OK);
    declare_exchange(channel, "fan", "fanout", none);
    declare_exchange(channel, "top", "topic", none);
    declare_exchange(channel, "alt", "direct", bytes_of(alternate, sizeof(alternate) - 1));
    declare_exchange(channel, "all", "headers", none);
    declare_exchange(channel, "late", "fanout", bytes_of(holds_back, sizeof(holds_back) - 1));
    declare_exchange(channel, "once", "fanout", bytes_of(deduplicates, sizeof(deduplicates) - 1));
    bind_exchange(channel, "all", "fan");
    for (int queue = 0; queue < QUEUES; queue++)
        declare_queue(channel, queue, false);
    bind_queue(channel, QUEUE_D0, "fan", "");
    bind_queue(channel, QUEUE_D1, "fan", "");
    bind_queue(channel, QUEUE_T0, "fan", "");
    bind_queue(channel, QUEUE_D0, "late", "");
    bind_queue(channel, QUEUE_D1, "late", "");
    bind_queue(channel, QUEUE_D1, "once", "");
    bind_queue(channel, QUEUE_R0, "once", "");
    bind_queue(channel, QUEUE_D0, "top", "a.*");
    bind_queue(channel, QUEUE_R0, "top", "#.b");
}

/* ---- publishing ---- */

static void publish(struct sim_channel *channel, const char *exchange, const char *key,
                    bool mandatory, struct bytes body, const struct sim_message *message)
{
    struct buffer headers = {0};
    struct table_writer writer;
    struct properties properties = {.flags = PROPERTY_DELIVERY_MODE,
                                    .delivery_mode = message->persistent ? 2 : 1};
    table_writer_init(&writer, &headers);
    if (message->delay_ms)
        table_add_int64(&writer, bytes_str("x-delay"), (int64_t)message->delay_ms);
    if (message->key)
        table_add_int64(&writer, bytes_str("x-deduplication-header"), (int64_t)message->key);
    properties.headers = buffer_bytes(&headers);
    if (headers.size)
        properties.flags |= PROPERTY_HEADERS;
    union method method = {.basic_publish = {.id = METHOD_BASIC_PUBLISH,
                                             .exchange = bytes_str(exchange),
                                             .routing_key = bytes_str(key),
                                             .mandatory = mandatory}};
    client_send(channel->client, channel->number, &method);
    client_content_with(channel->client, channel->number, body, &properties);
    buffer_free(&headers);
}

static void draw_headers(struct sim_channel *channel, struct sim_message *message)
{
    struct sim *sim = sim_of(channel);
    message->sent_ms = sim->now_us / 1000;
    if (message->target == &targets[TARGET_LATE])
        message->delay_ms = sim_below(sim, DELAY_MAX_MS);
    if (message->target != &targets[TARGET_ONCE])
        return;
    if (sim->promises.original && channel->role == ROLE_CONFIRM && sim_chance(sim, 2))
        message->original = sim->promises.original;
    message->key = message->original ? message->original->key : message->id;
}

static struct sim_message *publish_to(struct sim_channel *channel, const struct target *target)
{
    static uint8_t body[BODY_MAX + 8];
    struct sim *sim = sim_of(channel);
    struct sim_message *message =
        promise_message(sim, target, sim_draw_size(sim), sim_below(sim, 4) > 0, channel->stream,
                        channel->role == ROLE_TX ? channel->tx : NULL);
    message->is_mandatory = sim_chance(sim, 4);
    draw_headers(channel, message);
    sim_say(sim, "client %d channel %u publishes %" PRIu64 " to %s/%s%s", channel->client->number,
            channel->number, message->id, target->exchange, target->key,
            message->tx ? " in a transaction" : "");
    promise_body(message, body);
    publish(channel, target->exchange, target->key, message->is_mandatory,
            bytes_of(body, message->size), message);
    return message;
}

static struct sim_message *publish_one(struct sim_channel *channel)
{
    struct sim *sim = sim_of(channel);
    const struct target *target = &targets[sim_below(sim, TARGETS)];
    /* What is held back may have to wait for years when the clock is set back. */
    bool may_not = target == &targets[TARGET_LATE] && sim->dials.clock_jumps;
    return publish_to(channel, may_not ? &targets[TARGET_D0] : target);
}

static void await_confirm(struct sim_channel *channel, struct sim_message *message)
{
    if (channel->publish_number == channel->unconfirmed_capacity) {
        channel->unconfirmed_capacity =
            channel->unconfirmed_capacity ? channel->unconfirmed_capacity * 2 : 64;
        channel->unconfirmed = mem_realloc(channel->unconfirmed, channel->unconfirmed_capacity *
                                                                     sizeof(struct sim_message *));
    }
    channel->unconfirmed[channel->publish_number++] = message;
    channel->unconfirmed_count++;
}

struct sim_message *work_publish(struct sim_channel *channel, const struct target *target)
{
    struct sim_message *message = publish_to(channel, target);
    await_confirm(channel, message);
    return message;
}

static void act_confirm(struct sim_channel *channel)
{
    struct sim *sim = sim_of(channel);
    for (uint64_t n = 1 + sim_below(sim, 8); n && channel->unconfirmed_count < WINDOW_MAX; n--)
        await_confirm(channel, publish_one(channel));
}

static void act_plain(struct sim_channel *channel)
{
    struct sim *sim = sim_of(channel);
    if (sim_chance(sim, 4) || channel->plain_count >= WINDOW_MAX) {
        if (channel->expected_count == 0)
            declare_queue(channel, QUEUE_D0, true);
        return;
    }
    if (!channel->plain) {
        channel->plain_capacity = WINDOW_MAX + 8;
        channel->plain = mem_zalloc_array(channel->plain_capacity, sizeof(struct sim_message *));
    }
    for (uint64_t n = 1 + sim_below(sim, 8); n; n--)
        if (channel->plain_count < channel->plain_capacity)
            channel->plain[channel->plain_count++] = publish_one(channel);
}

/* What still comes counts for nothing. */
static bool is_going(const struct client *client)
{
    return client->is_orphaned || client->state == CLIENT_CLOSING;
}

static void own_confirmed(struct client *client, bool refused)
{
    if (refused)
        return; /* it may be there all the same */
    client->own.unsure--;
    client->own.messages++;
}

void work_confirmed(struct sim_channel *channel, uint64_t tag, bool multiple, bool refused)
{
    struct sim *sim = sim_of(channel);
    if (channel->role == ROLE_SOLO) {
        if (!is_going(channel->client))
            solo_confirmed(channel, tag, multiple, refused);
        return;
    }
    if (channel->role == ROLE_SHARED) {
        chaos_confirmed(channel, tag, multiple);
        return;
    }
    if (tag == 0 || tag > channel->publish_number) {
        sim_fail(sim, "a confirm of %" PRIu64 ", but %" PRIu64 " were published", tag,
                 channel->publish_number);
        return;
    }
    uint64_t from = multiple ? 0 : tag - 1;
    uint64_t count = 0;
    for (uint64_t i = from; i < tag; i++) {
        struct sim_message *message = channel->unconfirmed[i];
        if (!message)
            continue;
        channel->unconfirmed[i] = NULL;
        channel->unconfirmed_count--;
        count++;
        if (channel->role == ROLE_STRANGER)
            stranger_confirmed(channel);
        if (channel->role == ROLE_OWN)
            own_confirmed(channel->client, refused);
        else if (!refused)
            promise_confirmed(sim, message);
        if (!refused && message->key && message->persistent && !message->original)
            sim->promises.original = message;
    }
    if (count == 0)
        sim_fail(sim, "a second confirm of %" PRIu64, tag);
    if (refused)
        sim->report->refused += count;
    else
        sim->report->confirmed += count;
}

/* ---- settling ---- */

static void send_settle(struct sim_channel *channel, uint64_t tag, bool multiple, enum settled how)
{
    union method method = {.basic_ack = {METHOD_BASIC_ACK, tag, multiple}};
    if (how != SETTLED_ACKED && (multiple || sim_chance(sim_of(channel), 2)))
        method =
            (union method){.basic_nack = {METHOD_BASIC_NACK, tag, multiple, how == SETTLED_NOT}};
    else if (how != SETTLED_ACKED)
        method = (union method){.basic_reject = {METHOD_BASIC_REJECT, tag, how == SETTLED_NOT}};
    sim_say(sim_of(channel), "client %d channel %u settles %" PRIu64 "%s as %d",
            channel->client->number, channel->number, tag, multiple ? " and before" : "", how);
    client_send(channel->client, channel->number, &method);
}

static void count_settle(struct sim *sim, enum settled how)
{
    sim->report->acked += how == SETTLED_ACKED;
    sim->report->rejected += how == SETTLED_REJECTED;
    sim->report->requeued += how == SETTLED_NOT;
}

static void add_unproved(struct sim_channel *channel, struct copy *copy)
{
    if (channel->unproved_count == channel->unproved_capacity) {
        channel->unproved_capacity =
            channel->unproved_capacity ? channel->unproved_capacity * 2 : 64;
        channel->unproved =
            mem_realloc(channel->unproved, channel->unproved_capacity * sizeof(struct copy *));
    }
    channel->unproved[channel->unproved_count++] = copy;
}

static void keep_for_commit(struct sim_channel *channel, struct delivery delivery, enum settled how)
{
    if (!channel->tx_settles) {
        channel->tx_settle_capacity = DELIVERIES_MAX;
        channel->tx_settles = mem_zalloc_array(DELIVERIES_MAX, sizeof(struct delivery));
        channel->tx_hows = mem_zalloc_array(DELIVERIES_MAX, sizeof(enum settled));
    }
    channel->tx_settles[channel->tx_settle_count] = delivery;
    channel->tx_hows[channel->tx_settle_count++] = how;
}

static void settle(struct sim_channel *channel, size_t at, enum settled how)
{
    struct sim *sim = sim_of(channel);
    struct delivery delivery = channel->deliveries[at];
    channel_remove_delivery(channel, at);
    count_settle(sim, how);
    if (channel->client->is_orphaned) /* unknown to it: this is back, and may be another's by now */
        return;
    if (channel->role == ROLE_TX) {
        keep_for_commit(channel, delivery, how);
        return;
    }
    if (how == SETTLED_NOT) {
        delivery.copy->is_out = false;
        return;
    }
    promise_settled(sim, delivery.copy, how);
    add_unproved(channel, delivery.copy);
}

static enum settled draw_how(struct sim *sim)
{
    uint64_t what = sim_below(sim, 10);
    return what < 7 ? SETTLED_ACKED : what < 9 ? SETTLED_REJECTED : SETTLED_NOT;
}

/* One delivery, or with it all that came before. */
static void settle_some(struct sim_channel *channel)
{
    struct sim *sim = sim_of(channel);
    if (channel->delivery_count == 0)
        return;
    size_t at = sim_below(sim, channel->delivery_count);
    bool multiple = sim_chance(sim, 3);
    enum settled how = draw_how(sim);
    uint64_t tag = channel->deliveries[at].tag;
    send_settle(channel, tag, multiple, how);
    for (size_t i = channel->delivery_count; i-- > 0;)
        if (channel->deliveries[i].tag == tag || (multiple && channel->deliveries[i].tag < tag))
            settle(channel, i, how);
}

/* ---- consuming ---- */

static void consume(struct sim_channel *channel, int queue, bool no_ack)
{
    int i = channel->consumer_count++;
    struct consumer_of *consumer = &channel->consumers[i];
    *consumer = (struct consumer_of){.queue = queue, .no_ack = no_ack};
    snprintf(consumer->tag, sizeof(consumer->tag), "tag%d", i);
    union method method = {.basic_consume = {.id = METHOD_BASIC_CONSUME,
                                             .queue = bytes_str(queue_names[queue]),
                                             .consumer_tag = bytes_str(consumer->tag),
                                             .no_ack = no_ack}};
    client_call(channel, &method, METHOD_BASIC_CONSUME_OK, queue);
}

static void qos(struct sim_channel *channel, uint16_t count, bool global)
{
    union method method = {
        .basic_qos = {.id = METHOD_BASIC_QOS, .prefetch_count = count, .global = global}};
    client_call(channel, &method, METHOD_BASIC_QOS_OK, -1);
}

static void begin_consume(struct sim_channel *channel)
{
    struct sim *sim = sim_of(channel);
    qos(channel, (uint16_t)(1 + sim_below(sim, 20)), sim_chance(sim, 2));
    for (uint64_t n = 1 + sim_below(sim, 2); n; n--)
        consume(channel, (int)sim_below(sim, QUEUES), sim_chance(sim, 12));
}

static void recover(struct sim_channel *channel)
{
    union method method = {.basic_recover = {METHOD_BASIC_RECOVER, true}};
    while (channel->delivery_count) {
        channel->deliveries[channel->delivery_count - 1].copy->is_out = false;
        channel->delivery_count--;
    }
    channel->is_ignoring = true;
    client_call(channel, &method, METHOD_BASIC_RECOVER_OK, -1);
}

static void cancel(struct sim_channel *channel)
{
    for (int i = 0; i < channel->consumer_count; i++) {
        struct consumer_of *consumer = &channel->consumers[i];
        if (consumer->is_cancelled)
            continue;
        union method method = {
            .basic_cancel = {METHOD_BASIC_CANCEL, bytes_str(consumer->tag), false}};
        consumer->is_cancelled = true;
        client_call(channel, &method, METHOD_BASIC_CANCEL_OK, -1);
        return;
    }
}

static void act_consume(struct sim_channel *channel)
{
    struct sim *sim = sim_of(channel);
    if (channel->is_ignoring)
        return;
    channel_check_time(channel);
    if (sim_chance(sim, 60))
        recover(channel);
    else if (sim_chance(sim, 100))
        cancel(channel);
    else if (sim_chance(sim, 15))
        declare_queue(channel, (int)sim_below(sim, QUEUES), true);
    else if (sim_chance(sim, 50))
        qos(channel, (uint16_t)(1 + sim_below(sim, 30)), sim_chance(sim, 2));
    else if (sim_chance(sim, sim->dials.lazy))
        settle_some(channel);
}

static void get(struct sim_channel *channel)
{
    struct sim *sim = sim_of(channel);
    int queue = (int)sim_below(sim, QUEUE_W0);
    bool no_ack = channel->role == ROLE_GET && sim_chance(sim, 12);
    union method method = {.basic_get = {.id = METHOD_BASIC_GET,
                                         .queue = bytes_str(queue_names[queue]),
                                         .no_ack = no_ack}};
    client_call(channel, &method, METHOD_BASIC_GET_OK, queue);
    last_expected(channel)->takes_away = no_ack;
    sim->report->gets++;
}

static void purge(struct sim_channel *channel, int queue)
{
    union method method = {
        .queue_purge = {.id = METHOD_QUEUE_PURGE, .queue = bytes_str(queue_names[queue])}};
    client_call(channel, &method, METHOD_QUEUE_PURGE_OK, queue);
    last_expected(channel)->takes_away = true;
    promise_purged(sim_of(channel), queue, channel->client->dial_epoch);
    sim_of(channel)->report->purges++;
}

static void act_get(struct sim_channel *channel)
{
    struct sim *sim = sim_of(channel);
    if (channel->expected_count)
        return;
    if (sim_chance(sim, 300))
        purge(channel, sim_chance(sim, 2) ? QUEUE_D1 : QUEUE_T0);
    else if (sim_chance(sim, 2) && channel->delivery_count < DELIVERIES_MAX / 2)
        get(channel);
    else
        settle_some(channel);
}

/* ---- transactions ---- */

static struct tx *tx_new(void)
{
    struct tx *tx = mem_zalloc(sizeof(*tx));
    tx->refs = 1;
    return tx;
}

static void commit(struct sim_channel *channel)
{
    struct sim *sim = sim_of(channel);
    channel->tx->state = TX_COMMITTING;
    channel->tx->epoch = sim->epoch;
    for (size_t i = 0; i < channel->tx_settle_count; i++) {
        struct copy *copy = channel->tx_settles[i].copy;
        copy->is_out = false;
        if (channel->tx_hows[i] == SETTLED_NOT)
            continue;
        promise_settled(sim, copy, channel->tx_hows[i]);
        promise_unsure(copy);
    }
    call_id(channel, METHOD_TX_COMMIT, METHOD_TX_COMMIT_OK);
}

static void committed(struct sim_channel *channel)
{
    struct sim *sim = sim_of(channel);
    for (size_t i = 0; i < channel->tx_settle_count; i++) {
        struct copy *copy = channel->tx_settles[i].copy;
        if (channel->tx_hows[i] == SETTLED_NOT || copy->settled == SETTLED_NOT)
            continue;
        copy->is_unsure = false;
        copy->is_final = true;
    }
    channel->tx_settle_count = 0;
    promise_tx_end(sim, channel->tx, TX_COMMITTED);
    if (--channel->tx->refs == 0)
        mem_free(channel->tx);
    channel->tx = tx_new();
    sim->report->commits++;
}

/* What was settled stays to be settled. */
static void rolled_back(struct sim_channel *channel)
{
    struct sim *sim = sim_of(channel);
    for (; channel->tx_settle_count; channel->tx_settle_count--) {
        struct delivery delivery = channel->tx_settles[channel->tx_settle_count - 1];
        channel_add_delivery(channel, delivery.copy, delivery.tag);
    }
    promise_tx_end(sim, channel->tx, TX_ROLLED_BACK);
    if (--channel->tx->refs == 0)
        mem_free(channel->tx);
    channel->tx = tx_new();
    sim->report->rollbacks++;
}

static void act_tx(struct sim_channel *channel)
{
    struct sim *sim = sim_of(channel);
    if (channel->expected_count)
        return;
    switch (sim_below(sim, 8)) {
    case 0:
        commit(channel);
        break;
    case 1:
        if (sim_chance(sim, 4))
            call_id(channel, METHOD_TX_ROLLBACK, METHOD_TX_ROLLBACK_OK);
        break;
    case 2:
    case 3:
        if (channel->delivery_count + channel->tx_settle_count < TX_SETTLES_MAX)
            get(channel);
        break;
    case 4:
    case 5:
        settle_some(channel);
        break;
    default:
        if (!channel->client->is_blocked)
            publish_one(channel);
    }
}

/* ---- a queue of one's own, whose counts are known ---- */

static struct bytes own_name(const struct client *client, char name[16])
{
    snprintf(name, 16, "own%d", client->number);
    return bytes_str(name);
}

static void own_declare(struct sim_channel *channel, bool passive)
{
    char name[16];
    union method method = {.queue_declare = {.id = METHOD_QUEUE_DECLARE,
                                             .queue = own_name(channel->client, name),
                                             .passive = passive,
                                             .durable = true}};
    if (!passive)
        channel->client->own.state = OWN_UNKNOWN;
    client_call(channel, &method, METHOD_QUEUE_DECLARE_OK, QUEUES);
}

static void own_publish(struct sim_channel *channel)
{
    static struct sim_message own = {.persistent = true}; /* stands for any of them */
    char name[16];
    uint8_t body[64] = {0};
    own_name(channel->client, name);
    for (uint64_t n = 1 + sim_below(sim_of(channel), 3); n; n--) {
        channel->client->own.unsure++;
        await_confirm(channel, &own);
        publish(channel, "", name, false, bytes_of(body, sizeof(body)), &own);
    }
}

static void own_purge(struct sim_channel *channel)
{
    char name[16];
    union method method = {
        .queue_purge = {.id = METHOD_QUEUE_PURGE, .queue = own_name(channel->client, name)}};
    channel->client->own.is_purging = true;
    client_call(channel, &method, METHOD_QUEUE_PURGE_OK, QUEUES);
    sim_of(channel)->report->purges++;
}

static void own_delete(struct sim_channel *channel)
{
    char name[16];
    union method method = {
        .queue_delete = {.id = METHOD_QUEUE_DELETE, .queue = own_name(channel->client, name)}};
    channel->client->own.state = OWN_UNKNOWN;
    client_call(channel, &method, METHOD_QUEUE_DELETE_OK, QUEUES);
    sim_of(channel)->report->deletes++;
}

static void act_own(struct sim_channel *channel)
{
    struct client *client = channel->client;
    if (!channel_is_quiet(channel))
        return;
    if (!client->own.is_checked || sim_chance(client->sim, 4)) {
        own_declare(channel, true);
    } else if (client->own.state == OWN_ABSENT) {
        own_declare(channel, false);
    } else {
        switch (sim_below(client->sim, 10)) {
        case 0:
            own_delete(channel);
            break;
        case 1:
        case 2:
            own_purge(channel);
            break;
        default:
            own_publish(channel);
        }
    }
}

/* The queue has `count` messages: is that what was promised? */
static void own_counted(struct client *client, uint32_t count, const char *by)
{
    struct own_queue *own = &client->own;
    uint32_t least = own->is_purging || own->state == OWN_UNKNOWN ? 0 : own->messages;
    if (own->state == OWN_ABSENT)
        sim_fail(client->sim, "own%d: %s finds a queue that was deleted", client->number, by);
    if (count < least || count > own->messages + own->unsure)
        sim_fail(client->sim, "own%d: %s counts %u messages: %u were confirmed, %u not, state %d",
                 client->number, by, count, own->messages, own->unsure, own->state);
    *own = (struct own_queue){.state = OWN_PRESENT, .messages = count, .is_checked = true};
}

static void own_replied(struct sim_channel *channel, const struct expected *expected,
                        const union method *method)
{
    struct client *client = channel->client;
    struct own_queue *own = &client->own;
    switch (expected->request) {
    case METHOD_QUEUE_DECLARE:
        if (own->is_checked && own->state == OWN_UNKNOWN)
            *own = (struct own_queue){.state = OWN_PRESENT, .is_checked = true};
        own_counted(client, method->queue_declare_ok.message_count, "a declare");
        break;
    case METHOD_QUEUE_PURGE:
        own->is_purging = false;
        own_counted(client, method->queue_purge_ok.message_count, "a purge");
        own->messages = 0;
        break;
    default:
        own->state = OWN_PRESENT;
        own_counted(client, method->queue_delete_ok.message_count, "a delete");
        *own = (struct own_queue){.state = OWN_ABSENT, .is_checked = true};
    }
}

void work_channel_closed(struct sim_channel *channel, const struct method_channel_close *method)
{
    struct client *client = channel->client;
    struct own_queue *own = &client->own;
    if (channel->role == ROLE_SOLO) {
        solo_channel_closed(channel, method);
        return;
    }
    if (channel->role == ROLE_SHARED) {
        chaos_channel_closed(channel, method);
        return;
    }
    if (channel->role == ROLE_STRANGER) {
        stranger_refused(channel, method);
        return;
    }
    if (channel->is_timed_out && method->reply_code == 406 &&
        bytes_start_with(method->reply_text, "PRECONDITION_FAILED - delivery acknowledgement on channel")) {
        client->sim->report->met[MET_TIMED_OUT]++;
        return;
    }
    bool is_own = channel->role == ROLE_OWN && method->reply_code == 404;
    bool is_full = method->reply_code == 406 || method->reply_code == 506;
    if (is_full && channel->role == ROLE_PLAIN)
        return;                   /* a message that there is no room for */
    if (is_full && channel->tx) { /* a commit that there is no room for */
        promise_tx_end(client->sim, channel->tx, TX_ROLLED_BACK);
        return;
    }
    if (!is_own) {
        sim_fail(client->sim, "client %d channel %u: closed: %u %.*s", client->number,
                 channel->number, method->reply_code, BYTES_ARG(method->reply_text));
        return;
    }
    if (own->state == OWN_PRESENT)
        sim_fail(client->sim, "own%d is lost", client->number);
    *own = (struct own_queue){.state = OWN_ABSENT, .is_checked = true};
}

/* ---- channels and connections ---- */

static enum role draw_role(const struct sim_channel *channel)
{
    struct sim *sim = sim_of(channel);
    const struct dials *dials = &sim->dials;
    const uint64_t weights[] = {
        [ROLE_CONFIRM] = dials->confirming, [ROLE_PLAIN] = dials->plain,
        [ROLE_TX] = dials->transactions,    [ROLE_CONSUME] = dials->consuming,
        [ROLE_GET] = dials->getting,        [ROLE_SHARED] = dials->shared};
    uint64_t sum = 0;
    if (channel->number == CHANNELS && channel->client->solo)
        return ROLE_SOLO;
    if (channel->client->is_stranger)
        return ROLE_STRANGER;
    if (channel->number == 2 && dials->counting && sim_chance(sim, 2))
        return ROLE_OWN;
    for (int role = 0; role <= ROLE_SHARED; role++)
        sum += weights[role];
    uint64_t at = sim_below(sim, sum);
    int role = 0;
    for (; at >= weights[role]; role++)
        at -= weights[role];
    return (enum role)role;
}

static void open_channel(struct sim_channel *channel)
{
    struct sim *sim = sim_of(channel);
    channel->role = draw_role(channel);
    channel->stream = ++sim->promises.stream_last;
    if (!channel->is_open)
        call_id(channel, METHOD_CHANNEL_OPEN, METHOD_CHANNEL_OPEN_OK);
    channel->is_open = true;
    switch (channel->role) {
    case ROLE_CONFIRM:
    case ROLE_OWN:
    case ROLE_STRANGER:
        call_id(channel, METHOD_CONFIRM_SELECT, METHOD_CONFIRM_SELECT_OK);
        break;
    case ROLE_TX:
        channel->tx = tx_new();
        call_id(channel, METHOD_TX_SELECT, METHOD_TX_SELECT_OK);
        break;
    case ROLE_CONSUME:
        begin_consume(channel);
        break;
    case ROLE_SOLO:
        solo_open(channel);
        break;
    case ROLE_SHARED:
        chaos_open(channel);
        break;
    default:
        break;
    }
}

static void begin_drain(struct client *client)
{
    solo_clean_up(&client->channels[1]);
    chaos_clean_up(&client->channels[1]);
    for (int queue = 0; queue < QUEUES; queue++)
        consume(&client->channels[1], queue, queue == QUEUE_W0);
}

static void declared(struct client *client)
{
    client->state = CLIENT_READY;
    client->sim->strangers.topology_epoch = client->dial_epoch;
    client->channels[1].is_open = true;
    if (client->is_draining) {
        client->channels[1].role = ROLE_CONSUME;
        begin_drain(client);
        return;
    }
    open_channels(client);
}

static void looked(struct client *client, int queue, uint32_t count)
{
    if (count)
        client->drain_full |= 1u << queue;
}

void work_replied(struct sim_channel *channel, const struct expected *expected,
                  const union method *method)
{
    struct client *client = channel->client;
    if (channel->role == ROLE_SOLO) {
        if (!is_going(client))
            solo_replied(channel, expected, method);
        return;
    }
    if (channel->role == ROLE_SHARED) {
        chaos_replied(channel, method);
        return;
    }
    if (channel->role == ROLE_STRANGER) {
        stranger_replied(channel, method);
        return;
    }
    switch (method->id) {
    case METHOD_TX_COMMIT_OK:
        committed(channel);
        break;
    case METHOD_TX_ROLLBACK_OK:
        rolled_back(channel);
        break;
    case METHOD_BASIC_RECOVER_OK:
        channel->is_ignoring = channel->is_timed_out;
        break;
    case METHOD_QUEUE_PURGE_OK:
        if (expected->queue < QUEUES)
            promise_purged(client->sim, expected->queue, client->dial_epoch);
        break;
    case METHOD_QUEUE_DECLARE_OK:
        if (client->is_draining && client->state == CLIENT_READY)
            looked(client, expected->queue, method->queue_declare_ok.message_count);
        break;
    default:
        break;
    }
    if (expected->queue == QUEUES)
        own_replied(channel, expected, method);
    if (client->state == CLIENT_DECLARING && channel->expected_count == 0)
        declared(client);
}

static void close_connection(struct client *client)
{
    union method method = {.connection_close = {.id = METHOD_CONNECTION_CLOSE, .reply_code = 200}};
    client->state = CLIENT_CLOSING;
    client_send(client, 0, &method);
    client_orphaned(client); /* what comes from now on goes back */
}

static bool channel_is_done(struct sim_channel *channel)
{
    if (channel->role == ROLE_SOLO)
        return channel->is_open && solo_is_quiet(channel);
    if (channel->role == ROLE_SHARED && channel->chaos && !chaos_is_quiet(channel))
        return false;
    return channel_is_quiet(channel);
}

static bool is_quiet(struct client *client)
{
    for (int i = 1; i <= CHANNELS; i++)
        if (!channel_is_done(&client->channels[i]))
            return false;
    return true;
}

static void say_what_waits(struct client *client)
{
    for (int i = 1; i <= CHANNELS; i++) {
        struct sim_channel *channel = &client->channels[i];
        if (channel->role == ROLE_SOLO && !channel_is_done(channel))
            solo_explain(channel);
        if (!channel_is_done(channel))
            sim_fail(client->sim,
                     "client %d channel %d is stuck: %zu confirms, %zu replies, first %s",
                     client->number, i, channel->unconfirmed_count, channel->expected_count,
                     channel->expected_count ? method_name(channel->expected[0].id) : "none");
    }
    sim_fail(client->sim, "client %d is stuck in state %d", client->number, client->state);
}

/* All is healed: waits for what is due, and leaves. */
static void wind_down(struct client *client)
{
    struct sim_channel *last = &client->channels[CHANNELS];
    if (is_quiet(client))
        close_connection(client);
    else if (client->solo && !last->is_open)
        open_channel(last);
    else if (client->solo)
        solo_act(last);
}

/* Takes all there is, until nothing has come for a while: dead letters take their time. */
static void drain(struct client *client)
{
    struct sim *sim = client->sim;
    struct sim_channel *channel = &client->channels[1];
    while (channel->delivery_count) {
        send_settle(channel, channel->deliveries[channel->delivery_count - 1].tag, true,
                    SETTLED_ACKED);
        while (channel->delivery_count)
            settle(channel, channel->delivery_count - 1, SETTLED_ACKED);
    }
    if (channel->expected_count)
        return;
    bool is_empty = client->drain_full == 0 && client->drain_delivered == channel->delivered;
    if (!is_empty)
        client->drain_empty_us = sim->now_us;
    if (sim->now_us - client->drain_empty_us > DRAINED_US) {
        close_connection(client);
        return;
    }
    client->drain_full = 0;
    client->drain_delivered = channel->delivered;
    for (int queue = 0; queue < QUEUES; queue++)
        declare_queue(channel, queue, true);
}

static void act_channel(struct sim_channel *channel)
{
    struct client *client = channel->client;
    if (!channel->is_open) {
        open_channel(channel);
        return;
    }
    bool publishes = channel->role == ROLE_CONFIRM || channel->role == ROLE_PLAIN;
    if (publishes && client->is_blocked)
        return;
    switch (channel->role) {
    case ROLE_CONFIRM:
        act_confirm(channel);
        break;
    case ROLE_PLAIN:
        act_plain(channel);
        break;
    case ROLE_TX:
        act_tx(channel);
        break;
    case ROLE_CONSUME:
        act_consume(channel);
        break;
    case ROLE_GET:
        act_get(channel);
        break;
    case ROLE_SOLO:
        solo_act(channel);
        break;
    case ROLE_SHARED:
        chaos_act(channel);
        break;
    case ROLE_STRANGER:
        stranger_act(channel);
        break;
    default:
        act_own(channel);
    }
}

static void act_ready(struct client *client)
{
    struct sim *sim = client->sim;
    uint64_t heartbeat_us = sim->dials.heartbeat_s * 1000000;
    if (heartbeat_us && sim->now_us - client->sent_us > heartbeat_us / 2)
        client_heartbeat(client);
    if (client->is_draining)
        drain(client);
    else if (sim->is_healed)
        wind_down(client);
    else if (sim_chance(sim, 3000))
        close_connection(client);
    else if (client->solo && sim_chance(sim, 2))
        act_channel(&client->channels[CHANNELS]);
    else
        act_channel(&client->channels[1 + sim_below(sim, CHANNELS)]);
}

void work_act(struct client *client)
{
    struct sim *sim = client->sim;
    if (sim->now_us < client->mute_until_us)
        return;
    if (sim->is_healed && sim->now_us - sim->healed_us > STUCK_US)
        say_what_waits(client);
    if (client->state == CLIENT_DOWN && sim->is_healed && !client->is_draining)
        client->state = CLIENT_DONE;
    else if (client->state == CLIENT_DOWN)
        client_dial(client);
    else if (client->state == CLIENT_READY)
        act_ready(client);
}
