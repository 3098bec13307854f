/* What RabbitMQ calls the firehose, header by header as it writes them. What came from here is not
 * looked at again, so that a consumer of it makes no more of it. */
#include "broker/firehose.h"

#include "amqp/properties.h"
#include "amqp/reply.h"
#include "amqp/table.h"
#include "base/mem.h"
#include "base/planted.h"

static const char exchange_of_traces[] = "amq.rabbitmq.trace";

/* Of the key, as of any. */
enum { KEY_MAX = 255 };

bool firehose_set(struct broker *broker, struct bytes vhost, bool is_on, struct error *error)
{
    struct vhost *found = vhost_need(broker, vhost, error);
    if (!found)
        return false;
    broker->traced += is_on;
    broker->traced -= found->is_traced;
    found->is_traced = is_on;
    broker->topology++; /* so that everybody looks again */
    return true;
}

/* ---- where a message went ---- */

void firehose_watch(struct queue_set *set)
{
    set->watch = QUEUE_SET_WATCHED;
    set->noted_count = 0;
}

void firehose_note(struct queue_set *set)
{
    if (set->count > set->noted_capacity)
        set->noted = mem_grow(set->noted, &set->noted_capacity, set->count, sizeof(struct queue *));
    if (set->count)
        memcpy(set->noted, set->queues, set->count * sizeof(struct queue *));
    set->noted_count = set->count;
}

/* ---- headers ---- */

static void add_string(struct table_writer *writer, const char *name, struct bytes value)
{
    table_add_string(writer, bytes_str(name), value);
}

static void add_number(struct table_writer *writer, const char *name, uint64_t value)
{
    table_add_int32(writer, bytes_str(name), (int32_t)(uint32_t)value);
}

/* BCC is not shown. */
static void add_headers(struct table_writer *writer, struct bytes headers)
{
    struct field field;
    table_begin_table(writer, bytes_str("headers"));
    for (struct reader walk = reader_of(headers); table_next(&walk, &field);)
        if (!bytes_equal_str(field.name, "BCC") || planted(PLANTED_FIREHOSE_SHOWS_BCC))
            table_add_field(writer, &field);
    table_end(writer);
}

/* The last one first. */
static void add_properties(struct table_writer *writer, const struct properties *properties)
{
#define STRING(NAME, name)                                                                         \
    if (properties_have(properties, PROPERTY_##NAME))                                              \
    add_string(writer, #name, properties->name)
#define NUMBER(NAME, name)                                                                         \
    if (properties_have(properties, PROPERTY_##NAME))                                              \
    add_number(writer, #name, properties->name)
    table_begin_table(writer, bytes_str("properties"));
    STRING(CLUSTER_ID, cluster_id);
    STRING(APP_ID, app_id);
    STRING(USER_ID, user_id);
    STRING(TYPE, type);
    NUMBER(TIMESTAMP, timestamp);
    STRING(MESSAGE_ID, message_id);
    STRING(EXPIRATION, expiration);
    STRING(REPLY_TO, reply_to);
    STRING(CORRELATION_ID, correlation_id);
    NUMBER(PRIORITY, priority);
    NUMBER(DELIVERY_MODE, delivery_mode);
    if (properties_have(properties, PROPERTY_HEADERS))
        add_headers(writer, properties->headers);
    STRING(CONTENT_ENCODING, content_encoding);
    STRING(CONTENT_TYPE, content_type);
    table_end(writer);
#undef STRING
#undef NUMBER
}

static void add_keys(struct table_writer *writer, const char *name, const struct queue_set *set)
{
    table_begin_array(writer, bytes_str(name));
    for (size_t i = 0; i < set->keys_count; i++)
        add_string(writer, "", set->keys[i]);
    table_end(writer);
}

static void add_message(struct table_writer *writer, const struct tap *tap,
                        const struct properties *properties)
{
    struct queue_set *set = tap->vhost->broker->firehose_set;
    keys_collect(set, tap->routing_key, properties->headers, true);
    add_string(writer, "exchange_name", tap->exchange);
    add_keys(writer, "routing_keys", set);
    add_properties(writer, properties);
    add_string(writer, "node", bytes_str(tap->vhost->broker->options.node));
}

static void add_peer(struct table_writer *writer, const struct tap *tap)
{
    add_string(writer, "vhost", vhost_name(tap->vhost));
    add_string(writer, "connection", bytes_str(tap->connection));
    add_number(writer, "channel", tap->channel);
    add_string(writer, "user", tap->user);
}

static void add_queues(struct table_writer *writer, const struct queue_set *set)
{
    table_begin_array(writer, bytes_str("routed_queues"));
    for (size_t i = 0; i < set->noted_count; i++)
        add_string(writer, "", queue_name(set->noted[i]));
    table_end(writer);
}

/* ---- the way out ---- */

/* The exchange of traces, if somebody is bound to it and this message does not come from there. */
static struct exchange *exchange_for(const struct tap *tap)
{
    struct exchange *exchange = vhost_exchange(tap->vhost, bytes_str(exchange_of_traces));
    bool is_own = bytes_equal_str(tap->exchange, exchange_of_traces);
    return exchange && !is_own && !list_is_empty(&exchange->sources) ? exchange : NULL;
}

static void send(struct exchange *exchange, const struct tap *tap, const char *prefix,
                 struct bytes name, struct bytes headers)
{
    struct broker *broker = tap->vhost->broker;
    struct properties properties = {.flags = PROPERTY_HEADERS, .headers = headers};
    struct buffer key = {0}, bytes = {0};
    buffer_add(&key, prefix, strlen(prefix));
    buffer_add(&key, name.data, name.size < KEY_MAX - key.size ? name.size : KEY_MAX - key.size);
    properties_add(&bytes, &properties);
    struct message *message =
        message_new(broker->pool, bytes_str(exchange_of_traces), buffer_bytes(&key),
                    buffer_bytes(&bytes), (uint32_t)tap->body.size);
    if (tap->body.size)
        message_fill(message, tap->body);
    publish(exchange, message, broker->firehose_set);
    message_unref(broker->pool, message);
    buffer_free(&key);
    buffer_free(&bytes);
}

void firehose_published(const struct tap *tap, struct queue_set *set)
{
    struct exchange *exchange = exchange_for(tap);
    struct properties properties;
    struct buffer headers = {0};
    struct table_writer writer;
    set->watch = 0;
    if (!exchange)
        return;
    properties_read_checked(tap->properties, &properties);
    table_writer_init(&writer, &headers);
    add_message(&writer, tap, &properties);
    add_peer(&writer, tap);
    add_queues(&writer, set);
    send(exchange, tap, "publish.", tap->exchange, buffer_bytes(&headers));
    buffer_free(&headers);
}

void firehose_delivered(const struct tap *tap, struct bytes queue, bool redelivered)
{
    struct exchange *exchange = exchange_for(tap);
    struct properties properties;
    struct buffer headers = {0};
    struct table_writer writer;
    if (!exchange)
        return;
    properties_read_checked(tap->properties, &properties);
    table_writer_init(&writer, &headers);
    add_message(&writer, tap, &properties);
    add_number(&writer, "redelivered", redelivered);
    add_peer(&writer, tap);
    send(exchange, tap, "deliver.", queue, buffer_bytes(&headers));
    buffer_free(&headers);
}
