#include "tests/sim/chaos.h"

#include <inttypes.h>
#include <stdio.h>

#include "amqp/properties.h"
#include "amqp/table.h"
#include "base/mem.h"
#include "tests/sim/sim.h"

enum { QUEUES_OF_ALL = 5, EXCHANGES_OF_ALL = 4, KEYS = 6, CONSUMERS_OF_ALL = 8, NAME_SIZE = 24 };
enum { EXPECTED_MAX = 12, UNCONFIRMED_MAX = 80, UNSETTLED_MAX = 200, TX_MAX = 60 };
enum mode { MODE_PLAIN, MODE_CONFIRM, MODE_TX, MODES };

static const char *const keys[KEYS] = {"k.a", "k.b", "*.a", "#", "", "3"};
/* But for x-recent-history, which hands messages on again. */
enum { KINDS = 8 };
static const char *const kinds[KINDS] = {
    "direct",   "fanout",         "topic",          "headers",
    "x-random", "x-local-random", "x-modulus-hash", "x-consistent-hash"};
static const char reply_queue[] = "amq.rabbitmq.reply-to";

struct chaos_message {
    uint64_t id, stream;
    uint32_t size, rejects;
};

struct chaos_delivery {
    uint64_t tag, id;
};

struct chaos_consumer {
    char tag[NAME_SIZE];
    bool is_active, no_ack, takes_replies;
    struct idmap streams; /* of each the last first delivery */
};

struct chaos_channel {
    enum mode mode;
    bool *is_confirmed; /* by publish number - 1 */
    size_t published, capacity, unconfirmed;
    struct chaos_delivery deliveries[UNSETTLED_MAX];
    size_t delivery_count;
    struct chaos_consumer consumers[CONSUMERS_OF_ALL];
    uint64_t consumer_last;
    char reply_to[128]; /* somebody waits for an answer there */
    size_t tx_count;
    bool has_reply_consumer;
};

static struct sim *sim_of(const struct sim_channel *channel)
{
    return channel->client->sim;
}

static uint64_t below(const struct sim_channel *channel, uint64_t limit)
{
    return sim_below(sim_of(channel), limit);
}

static bool chance(const struct sim_channel *channel, uint64_t n)
{
    return sim_chance(sim_of(channel), n);
}

static struct bytes queue_text(int queue, char name[NAME_SIZE])
{
    snprintf(name, NAME_SIZE, "c.q%d", queue);
    return bytes_str(name);
}

static struct bytes exchange_text(int exchange, char name[NAME_SIZE])
{
    snprintf(name, NAME_SIZE, "c.x%d", exchange);
    return bytes_str(name);
}

static struct bytes draw_queue(const struct sim_channel *channel, char name[NAME_SIZE])
{
    return queue_text((int)below(channel, QUEUES_OF_ALL), name);
}

static struct bytes draw_exchange(const struct sim_channel *channel, char name[NAME_SIZE])
{
    return exchange_text((int)below(channel, EXCHANGES_OF_ALL), name);
}

static struct bytes draw_key(const struct sim_channel *channel)
{
    return bytes_str(keys[below(channel, KEYS)]);
}

/* ---- topology ---- */

/* Mostly as others declare it. */
static bool draw_flag(const struct sim_channel *channel, bool mostly)
{
    return chance(channel, 60) ? !mostly : mostly;
}

static void declare_queue(struct sim_channel *channel)
{
    int number = (int)below(channel, QUEUES_OF_ALL);
    char name[NAME_SIZE], other[NAME_SIZE];
    struct buffer arguments = {0};
    struct table_writer writer;
    table_writer_init(&writer, &arguments);
    if (draw_flag(channel, number < 2))
        table_add_string(&writer, bytes_str("x-dead-letter-exchange"),
                         exchange_text(number, other));
    union method method = {.queue_declare = {.id = METHOD_QUEUE_DECLARE,
                                             .queue = queue_text(number, name),
                                             .passive = chance(channel, 10),
                                             .durable = draw_flag(channel, number % 2),
                                             .exclusive = chance(channel, 100),
                                             .auto_delete = draw_flag(channel, number == 4),
                                             .nowait = chance(channel, 8),
                                             .arguments = buffer_bytes(&arguments)}};
    if (method.queue_declare.nowait)
        client_send(channel->client, channel->number, &method);
    else
        client_call(channel, &method, METHOD_QUEUE_DECLARE_OK, -1);
    buffer_free(&arguments);
}

static void delete_queue(struct sim_channel *channel)
{
    if (!chance(channel, 4))
        return;
    char name[NAME_SIZE];
    union method method = {.queue_delete = {.id = METHOD_QUEUE_DELETE,
                                            .queue = draw_queue(channel, name),
                                            .if_unused = chance(channel, 4),
                                            .if_empty = chance(channel, 4)}};
    client_call(channel, &method, METHOD_QUEUE_DELETE_OK, -1);
    sim_of(channel)->report->met[MET_SHARED_QUEUE_DELETED]++;
}

static void purge_queue(struct sim_channel *channel)
{
    char name[NAME_SIZE];
    union method method = {
        .queue_purge = {.id = METHOD_QUEUE_PURGE, .queue = draw_queue(channel, name)}};
    client_call(channel, &method, METHOD_QUEUE_PURGE_OK, -1);
}

static void declare_exchange(struct sim_channel *channel)
{
    char name[NAME_SIZE], other[NAME_SIZE];
    struct buffer arguments = {0};
    struct table_writer writer;
    int exchange = (int)below(channel, EXCHANGES_OF_ALL);
    table_writer_init(&writer, &arguments);
    if (draw_flag(channel, exchange == 0))
        table_add_string(&writer, bytes_str("alternate-exchange"), exchange_text(1, other));
    union method method = {
        .exchange_declare = {
            .id = METHOD_EXCHANGE_DECLARE,
            .exchange = exchange_text(exchange, name),
            .type = bytes_str(kinds[chance(channel, 20) ? below(channel, KINDS) : (uint64_t)exchange]),
            .passive = chance(channel, 10),
            .durable = draw_flag(channel, exchange % 2),
            .auto_delete = draw_flag(channel, exchange == 3),
            .arguments = buffer_bytes(&arguments)}};
    client_call(channel, &method, METHOD_EXCHANGE_DECLARE_OK, -1);
    buffer_free(&arguments);
}

static void delete_exchange(struct sim_channel *channel)
{
    if (!chance(channel, 4))
        return;
    char name[NAME_SIZE];
    union method method = {.exchange_delete = {.id = METHOD_EXCHANGE_DELETE,
                                               .exchange = draw_exchange(channel, name),
                                               .if_unused = chance(channel, 2)}};
    client_call(channel, &method, METHOD_EXCHANGE_DELETE_OK, -1);
}

static void bind(struct sim_channel *channel)
{
    char queue[NAME_SIZE], exchange[NAME_SIZE];
    union method method = {.queue_bind = {.id = METHOD_QUEUE_BIND,
                                          .queue = draw_queue(channel, queue),
                                          .exchange = draw_exchange(channel, exchange),
                                          .routing_key = draw_key(channel)}};
    client_call(channel, &method, METHOD_QUEUE_BIND_OK, -1);
}

static void unbind(struct sim_channel *channel)
{
    char queue[NAME_SIZE], exchange[NAME_SIZE];
    union method method = {.queue_unbind = {.id = METHOD_QUEUE_UNBIND,
                                            .queue = draw_queue(channel, queue),
                                            .exchange = draw_exchange(channel, exchange),
                                            .routing_key = draw_key(channel)}};
    client_call(channel, &method, METHOD_QUEUE_UNBIND_OK, -1);
}

static void bind_exchange(struct sim_channel *channel)
{
    char from[NAME_SIZE], to[NAME_SIZE];
    union method method = {.exchange_bind = {.id = METHOD_EXCHANGE_BIND,
                                             .destination = draw_exchange(channel, to),
                                             .source = draw_exchange(channel, from),
                                             .routing_key = draw_key(channel)}};
    client_call(channel, &method, METHOD_EXCHANGE_BIND_OK, -1);
}

static void unbind_exchange(struct sim_channel *channel)
{
    char from[NAME_SIZE], to[NAME_SIZE];
    union method method = {.exchange_unbind = {.id = METHOD_EXCHANGE_UNBIND,
                                               .destination = draw_exchange(channel, to),
                                               .source = draw_exchange(channel, from),
                                               .routing_key = draw_key(channel)}};
    client_call(channel, &method, METHOD_EXCHANGE_UNBIND_OK, -1);
}

/* ---- messages ---- */

static struct chaos_message *shared_message(struct sim_channel *channel)
{
    struct chaos *chaos = &sim_of(channel)->chaos;
    struct chaos_message *message = mem_zalloc(sizeof(*message));
    message->id = ++chaos->id_last;
    message->stream = channel->stream;
    message->size = sim_draw_size(sim_of(channel));
    idmap_add(&chaos->messages, message->id, message);
    return message;
}

static void note_publish(struct sim_channel *channel)
{
    struct chaos_channel *state = channel->chaos;
    state->tx_count += state->mode == MODE_TX;
    if (state->mode != MODE_CONFIRM)
        return;
    if (state->published == state->capacity) {
        state->capacity = state->capacity ? state->capacity * 2 : 64;
        state->is_confirmed = mem_realloc(state->is_confirmed, state->capacity);
    }
    state->is_confirmed[state->published++] = false;
    state->unconfirmed++;
}

static void publish_to(struct sim_channel *channel, struct bytes exchange, struct bytes key,
                       struct bytes reply_to)
{
    struct chaos_message *message = shared_message(channel);
    struct buffer body = {0};
    char id[24];
    union method method = {.basic_publish = {.id = METHOD_BASIC_PUBLISH,
                                             .exchange = exchange,
                                             .routing_key = key,
                                             .mandatory = chance(channel, 4)}};
    snprintf(id, sizeof(id), "%" PRIu64, message->id);
    struct properties properties = {.flags = PROPERTY_MESSAGE_ID | PROPERTY_DELIVERY_MODE,
                                    .message_id = bytes_str(id),
                                    .delivery_mode = chance(channel, 2) ? 2 : 1,
                                    .reply_to = reply_to};
    if (reply_to.size)
        properties.flags |= PROPERTY_REPLY_TO;
    uint8_t *at = buffer_room(&body, message->size + 1);
    memset(at, (int)(message->id & 255), message->size);
    sim_say(sim_of(channel), "client %d channel %u publishes %" PRIu64 " of all to %.*s/%.*s",
            channel->client->number, channel->number, message->id, BYTES_ARG(exchange),
            BYTES_ARG(key));
    client_send(channel->client, channel->number, &method);
    client_content_with(channel->client, channel->number, bytes_of(at, message->size), &properties);
    note_publish(channel);
    buffer_free(&body);
}

static void publish(struct sim_channel *channel)
{
    struct chaos_channel *state = channel->chaos;
    char name[NAME_SIZE];
    if (channel->client->is_blocked || state->unconfirmed > UNCONFIRMED_MAX ||
        state->tx_count > TX_MAX)
        return;
    if (state->reply_to[0]) {
        publish_to(channel, bytes_of(NULL, 0), bytes_str(state->reply_to), bytes_of(NULL, 0));
        state->reply_to[0] = 0;
        sim_of(channel)->report->met[MET_REPLIED_DIRECTLY]++;
        return;
    }
    for (uint64_t n = 1 + below(channel, 4); n; n--) {
        struct bytes reply_to =
            bytes_str(state->has_reply_consumer && !chance(channel, 3) ? reply_queue : "");
        if (!chance(channel, 4))
            publish_to(channel, bytes_of(NULL, 0), draw_queue(channel, name), reply_to);
        else
            publish_to(channel, draw_exchange(channel, name), draw_key(channel), reply_to);
    }
}

static void get(struct sim_channel *channel)
{
    char name[NAME_SIZE];
    union method method = {
        .basic_get = {.id = METHOD_BASIC_GET, .queue = draw_queue(channel, name)}};
    if (channel->chaos->delivery_count + EXPECTED_MAX < UNSETTLED_MAX)
        client_call(channel, &method, METHOD_BASIC_GET_OK, -1);
}

static struct chaos_consumer *free_consumer(struct chaos_channel *state)
{
    for (int i = 0; i < CONSUMERS_OF_ALL; i++)
        if (!state->consumers[i].is_active)
            return &state->consumers[i];
    return NULL;
}

static struct chaos_consumer *consumer_new_of(struct sim_channel *channel, bool no_ack)
{
    struct chaos_channel *state = channel->chaos;
    struct chaos_consumer *consumer = free_consumer(state);
    if (!consumer)
        return NULL;
    idmap_free(&consumer->streams);
    *consumer = (struct chaos_consumer){.is_active = true, .no_ack = no_ack};
    snprintf(consumer->tag, sizeof(consumer->tag), "t%" PRIu64, ++state->consumer_last);
    return consumer;
}

static void consume_replies(struct sim_channel *channel)
{
    struct chaos_consumer *consumer =
        channel->chaos->has_reply_consumer ? NULL : consumer_new_of(channel, true);
    if (!consumer)
        return;
    union method method = {.basic_consume = {.id = METHOD_BASIC_CONSUME,
                                             .queue = bytes_str(reply_queue),
                                             .consumer_tag = bytes_str(consumer->tag),
                                             .no_ack = true}};
    channel->chaos->has_reply_consumer = consumer->takes_replies = true;
    client_call(channel, &method, METHOD_BASIC_CONSUME_OK, -1);
}

static void consume(struct sim_channel *channel)
{
    char name[NAME_SIZE];
    struct buffer arguments = {0};
    struct table_writer writer;
    if (chance(channel, 2)) {
        consume_replies(channel);
        return;
    }
    struct chaos_consumer *consumer = consumer_new_of(channel, chance(channel, 6));
    if (!consumer)
        return;
    table_writer_init(&writer, &arguments);
    if (chance(channel, 3))
        table_add_int64(&writer, bytes_str("x-priority"), (int64_t)below(channel, 5));
    union method method = {.basic_consume = {.id = METHOD_BASIC_CONSUME,
                                             .queue = draw_queue(channel, name),
                                             .consumer_tag = bytes_str(consumer->tag),
                                             .no_ack = consumer->no_ack,
                                             .exclusive = chance(channel, 10),
                                             .arguments = buffer_bytes(&arguments)}};
    client_call(channel, &method, METHOD_BASIC_CONSUME_OK, -1);
    buffer_free(&arguments);
}

static void cancel(struct sim_channel *channel)
{
    struct chaos_consumer *consumer = &channel->chaos->consumers[below(channel, CONSUMERS_OF_ALL)];
    if (!consumer->is_active)
        return;
    if (consumer->takes_replies)
        channel->chaos->has_reply_consumer = false;
    union method method = {.basic_cancel = {METHOD_BASIC_CANCEL, bytes_str(consumer->tag), false}};
    client_call(channel, &method, METHOD_BASIC_CANCEL_OK, -1);
}

static void qos(struct sim_channel *channel)
{
    union method method = {.basic_qos = {.id = METHOD_BASIC_QOS,
                                         .prefetch_count = (uint16_t)(1 + below(channel, 20)),
                                         .global = chance(channel, 3)}};
    client_call(channel, &method, METHOD_BASIC_QOS_OK, -1);
}

static void recover(struct sim_channel *channel)
{
    union method method = {.basic_recover = {METHOD_BASIC_RECOVER, true}};
    if (channel->chaos->mode == MODE_TX || channel->is_ignoring)
        return;
    channel->chaos->delivery_count = 0;
    channel->is_ignoring = true;
    client_call(channel, &method, METHOD_BASIC_RECOVER_OK, -1);
}

static void settle(struct sim_channel *channel)
{
    struct chaos_channel *state = channel->chaos;
    bool multiple = chance(channel, 3), requeue = chance(channel, 3), rejects = chance(channel, 3);
    if (!state->delivery_count)
        return;
    size_t at = below(channel, state->delivery_count), kept = 0;
    uint64_t tag = state->deliveries[at].tag;
    union method method = {.basic_ack = {METHOD_BASIC_ACK, tag, multiple}};
    if (rejects)
        method = (union method){.basic_nack = {METHOD_BASIC_NACK, tag, multiple, requeue}};
    for (size_t i = 0; i < state->delivery_count; i++) {
        struct chaos_delivery delivery = state->deliveries[i];
        if (delivery.tag != tag && !(multiple && delivery.tag < tag)) {
            state->deliveries[kept++] = delivery;
            continue;
        }
        struct chaos_message *message = idmap_find(&sim_of(channel)->chaos.messages, delivery.id);
        if (message && rejects && !requeue)
            message->rejects++;
    }
    state->delivery_count = kept;
    client_send(channel->client, channel->number, &method);
}

static void end_transaction(struct sim_channel *channel)
{
    bool commits = chance(channel, 4);
    union method method = {.id = commits ? METHOD_TX_COMMIT : METHOD_TX_ROLLBACK};
    if (channel->chaos->mode != MODE_TX)
        return;
    channel->chaos->tx_count = 0;
    /* What a rollback gives back to be settled again is left unsettled. */
    client_call(channel, &method, commits ? METHOD_TX_COMMIT_OK : METHOD_TX_ROLLBACK_OK, -1);
}

static void close_channel(struct sim_channel *channel)
{
    union method method = {.channel_close = {.id = METHOD_CHANNEL_CLOSE, .reply_code = 200}};
    if (!chance(channel, 6))
        return;
    channel->is_ignoring = channel->is_leaving = true;
    client_call(channel, &method, METHOD_CHANNEL_CLOSE_OK, -1);
}

void chaos_act(struct sim_channel *channel)
{
    static void (*const ops[])(struct sim_channel *) = {publish,
                                                        publish,
                                                        publish,
                                                        publish,
                                                        publish,
                                                        get,
                                                        get,
                                                        settle,
                                                        settle,
                                                        settle,
                                                        settle,
                                                        settle,
                                                        declare_queue,
                                                        declare_queue,
                                                        declare_queue,
                                                        delete_queue,
                                                        purge_queue,
                                                        declare_exchange,
                                                        declare_exchange,
                                                        delete_exchange,
                                                        bind,
                                                        bind,
                                                        bind,
                                                        unbind,
                                                        bind_exchange,
                                                        unbind_exchange,
                                                        consume,
                                                        consume,
                                                        cancel,
                                                        qos,
                                                        recover,
                                                        end_transaction,
                                                        end_transaction,
                                                        close_channel};
    for (uint64_t n = 1 + below(channel, 4); n && channel->expected_count < EXPECTED_MAX; n--)
        if (!channel->is_leaving)
            ops[below(channel, sizeof(ops) / sizeof(ops[0]))](channel);
}

/* ---- what comes ---- */

void chaos_replied(struct sim_channel *channel, const union method *method)
{
    struct chaos_channel *state = channel->chaos;
    if (method->id == METHOD_BASIC_RECOVER_OK)
        channel->is_ignoring = false;
    if (method->id == METHOD_CHANNEL_CLOSE_OK)
        channel_ends(channel);
    if (method->id != METHOD_BASIC_CANCEL_OK)
        return;
    for (int i = 0; i < CONSUMERS_OF_ALL; i++)
        if (bytes_equal_str(method->basic_cancel_ok.consumer_tag, state->consumers[i].tag))
            state->consumers[i].is_active = false;
}

void chaos_cancelled(struct sim_channel *channel, struct bytes tag)
{
    for (int i = 0; i < CONSUMERS_OF_ALL; i++)
        if (bytes_equal_str(tag, channel->chaos->consumers[i].tag))
            channel->chaos->consumers[i].is_active = false;
    sim_of(channel)->report->met[MET_CANCELLED_BY_BROKER]++;
}

void chaos_confirmed(struct sim_channel *channel, uint64_t tag, bool multiple)
{
    struct chaos_channel *state = channel->chaos;
    size_t count = 0;
    for (uint64_t i = multiple || !tag ? 0 : tag - 1; i < tag && tag <= state->published; i++) {
        count += !state->is_confirmed[i];
        state->unconfirmed -= !state->is_confirmed[i];
        state->is_confirmed[i] = true;
    }
    if (!count)
        sim_fail(sim_of(channel), "client %d channel %u: a confirm of %" PRIu64 " that is not due",
                 channel->client->number, channel->number, tag);
    sim_of(channel)->report->confirmed += count;
}

/* Texts with which a channel may be closed here. */
void chaos_channel_closed(struct sim_channel *channel, const struct method_channel_close *method)
{
    static const char *const texts[] = {
        "NOT_FOUND - no queue '",
        "NOT_FOUND - no exchange '",
        "RESOURCE_LOCKED - cannot obtain exclusive access to locked queue '",
        "PRECONDITION_FAILED - inequivalent arg '",
        "PRECONDITION_FAILED - queue 'c.q",
        "PRECONDITION_FAILED - exchange 'c.x",
        "PRECONDITION_FAILED - Non empty binding '",
        "PRECONDITION_FAILED - Destination not found",
        "PRECONDITION_FAILED - The binding key must be an integer: ",
        "PRECONDITION_FAILED - message of ",
        "PRECONDITION_FAILED - transaction of ",
        "PRECONDITION_FAILED - the journal has no room",
        "PRECONDITION_FAILED - uncommitted messages",
        "PRECONDITION_FAILED - reply consumer already set",
        "ACCESS_REFUSED - queue 'c.q",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        if (bytes_start_with(method->reply_text, texts[i])) {
            sim_of(channel)->report->met[MET_SHARED_ERROR]++;
            return;
        }
    sim_fail(sim_of(channel), "client %d channel %u: closed: %u %.*s", channel->client->number,
             channel->number, method->reply_code, BYTES_ARG(method->reply_text));
}

static struct chaos_consumer *find_consumer(struct sim_channel *channel)
{
    for (int i = 0; i < CONSUMERS_OF_ALL; i++)
        if (strcmp(channel->chaos->consumers[i].tag, channel->content_consumer_tag) == 0)
            return &channel->chaos->consumers[i];
    sim_fail(sim_of(channel),
             "client %d channel %u: a delivery for consumer %s, which there is not",
             channel->client->number, channel->number, channel->content_consumer_tag);
    return NULL;
}

static void check_order(struct sim_channel *channel, struct chaos_consumer *consumer,
                        const struct chaos_message *message)
{
    if (channel->content_redelivered || message->rejects)
        return;
    uint64_t last = (uint64_t)(uintptr_t)idmap_remove(&consumer->streams, message->stream);
    if (last > message->id)
        sim_fail(sim_of(channel), "message %" PRIu64 " of all comes after %" PRIu64, message->id,
                 last);
    idmap_add(&consumer->streams, message->stream, (void *)(uintptr_t)message->id);
}

static bool has_body(const struct sim_channel *channel, const struct chaos_message *message)
{
    const struct buffer *body = &channel->content;
    if (body->size != message->size)
        return false;
    for (size_t i = 0; i < body->size; i++)
        if (body->data[i] != (uint8_t)message->id)
            return false;
    return true;
}

static void note_reply_to(struct sim_channel *channel, const struct properties *properties)
{
    struct chaos_channel *state = channel->chaos;
    if (properties_have(properties, PROPERTY_REPLY_TO) &&
        properties->reply_to.size < sizeof(state->reply_to))
        snprintf(state->reply_to, sizeof(state->reply_to), "%.*s", BYTES_ARG(properties->reply_to));
}

void chaos_content(struct sim_channel *channel)
{
    struct chaos_channel *state = channel->chaos;
    struct properties properties;
    uint64_t id = 0;
    bool is_read =
        properties_read(buffer_bytes(&channel->content_properties), &properties) == PROPERTIES_OK &&
        properties_have(&properties, PROPERTY_MESSAGE_ID);
    for (size_t i = 0; is_read && i < properties.message_id.size; i++)
        id = id * 10 + (properties.message_id.data[i] - '0');
    struct chaos_message *message = idmap_find(&sim_of(channel)->chaos.messages, id);
    if (!message || !has_body(channel, message)) {
        sim_fail(sim_of(channel), "message %" PRIu64 " of all is not as it was sent", id);
        return;
    }
    sim_of(channel)->report->met[MET_SHARED_DELIVERED]++;
    sim_say(sim_of(channel),
            "client %d channel %u has message %" PRIu64 " of all by %s as %" PRIu64 "%s",
            channel->client->number, channel->number, id, channel->content_consumer_tag,
            channel->content_tag, channel->content_redelivered ? " again" : "");
    if (channel->content_id_done == METHOD_BASIC_RETURN)
        return;
    bool is_pushed = channel->content_id_done == METHOD_BASIC_DELIVER;
    struct chaos_consumer *consumer = is_pushed ? find_consumer(channel) : NULL;
    if (consumer)
        check_order(channel, consumer, message);
    note_reply_to(channel, &properties);
    /* A rollback gives back what was settled, and a later reject of all before takes it along. */
    message->rejects += state->mode == MODE_TX;
    if (channel->is_ignoring || (consumer && consumer->no_ack))
        return;
    if (state->delivery_count < UNSETTLED_MAX)
        state->deliveries[state->delivery_count++] =
            (struct chaos_delivery){channel->content_tag, message->id};
}

/* ---- life ---- */

void chaos_open(struct sim_channel *channel)
{
    struct chaos_channel *state = channel->chaos = mem_zalloc(sizeof(*state));
    state->mode = (enum mode)below(channel, MODES);
    union method method = {.id = state->mode == MODE_TX ? METHOD_TX_SELECT : METHOD_CONFIRM_SELECT};
    if (state->mode != MODE_PLAIN)
        client_call(channel, &method,
                    state->mode == MODE_TX ? METHOD_TX_SELECT_OK : METHOD_CONFIRM_SELECT_OK, -1);
    if (chance(channel, 2))
        qos(channel);
    for (int i = 0; i < QUEUES_OF_ALL && !chance(channel, 4); i++)
        declare_queue(channel);
    for (int i = 0; i < EXCHANGES_OF_ALL && !chance(channel, 4); i++)
        declare_exchange(channel);
}

void chaos_end(struct sim_channel *channel)
{
    struct chaos_channel *state = channel->chaos;
    if (!state)
        return;
    for (int i = 0; i < CONSUMERS_OF_ALL; i++)
        idmap_free(&state->consumers[i].streams);
    mem_free(state->is_confirmed);
    mem_free(state);
    channel->chaos = NULL;
}

bool chaos_is_quiet(const struct sim_channel *channel)
{
    return channel->chaos->unconfirmed == 0;
}

void chaos_free(struct chaos *chaos)
{
    size_t at = 0;
    struct chaos_message *message;
    while ((message = idmap_next(&chaos->messages, &at)))
        mem_free(message);
    idmap_free(&chaos->messages);
}

void chaos_clean_up(struct sim_channel *channel)
{
    char name[NAME_SIZE];
    for (int i = 0; i < QUEUES_OF_ALL; i++) {
        union method method = {
            .queue_delete = {.id = METHOD_QUEUE_DELETE, .queue = queue_text(i, name)}};
        client_call(channel, &method, METHOD_QUEUE_DELETE_OK, -1);
    }
    for (int i = 0; i < EXCHANGES_OF_ALL; i++) {
        union method method = {
            .exchange_delete = {.id = METHOD_EXCHANGE_DELETE, .exchange = exchange_text(i, name)}};
        client_call(channel, &method, METHOD_EXCHANGE_DELETE_OK, -1);
    }
}
