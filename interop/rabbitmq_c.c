/* rabbitmq-c against a broker: declare, bind, publish, consume, get, acks, confirms, tx, returns,
 * cancel notify, dead letters, large bodies, many channels, reconnect.
 *
 * Usage: rabbitmq_c HOST PORT [CA-FILE]; with the file, by TLS.  Output is TAP.  Each case gets a connection with channel 1 open
 * and returns NULL, or says what was wrong. */

#include <amqp.h>
#include <amqp_framing.h>
#include <amqp_ssl_socket.h>
#include <amqp_tcp_socket.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#define FRAME_MAX 131072
#define SOON_SECONDS 10

typedef amqp_connection_state_t connection;
typedef const char *test_case(connection c);

static const char *host;
static int port;
static const char *ca_file;
static char reason[512];

#define CHECK(condition) \
    do { \
        if (!(condition)) \
            return fail("line %d: %s", __LINE__, #condition); \
    } while (0)

#define OK(c) \
    do { \
        amqp_rpc_reply_t reply_ = amqp_get_rpc_reply(c); \
        if (reply_.reply_type != AMQP_RESPONSE_NORMAL) \
            return fail("line %d: %s", __LINE__, reply_text(&reply_)); \
    } while (0)

static const char *fail(const char *format, int line, const char *what)
{
    snprintf(reason, sizeof reason, format, line, what);
    return reason;
}

static amqp_bytes_t str(const char *text)
{
    return amqp_cstring_bytes(text);
}

static bool same(amqp_bytes_t bytes, const char *text)
{
    if (bytes.len != strlen(text))
        return false;
    return bytes.len == 0 || memcmp(bytes.bytes, text, bytes.len) == 0;
}

/* The text of a channel.close or connection.close; NULL when the reply is neither. */
static amqp_bytes_t close_text(const amqp_rpc_reply_t *reply, int *code)
{
    if (reply->reply_type == AMQP_RESPONSE_SERVER_EXCEPTION &&
        reply->reply.id == AMQP_CHANNEL_CLOSE_METHOD) {
        const amqp_channel_close_t *m = reply->reply.decoded;
        *code = m->reply_code;
        return m->reply_text;
    }
    if (reply->reply_type == AMQP_RESPONSE_SERVER_EXCEPTION &&
        reply->reply.id == AMQP_CONNECTION_CLOSE_METHOD) {
        const amqp_connection_close_t *m = reply->reply.decoded;
        *code = m->reply_code;
        return m->reply_text;
    }
    *code = 0;
    return amqp_empty_bytes;
}

static const char *reply_text(const amqp_rpc_reply_t *reply)
{
    static char text[300];
    int code;
    amqp_bytes_t said = close_text(reply, &code);

    if (reply->reply_type == AMQP_RESPONSE_LIBRARY_EXCEPTION)
        return amqp_error_string2(reply->library_error);
    snprintf(text, sizeof text, "%d %.*s", code, (int)said.len, (char *)said.bytes);
    return text;
}

static amqp_socket_t *new_socket(connection c)
{
    if (!ca_file)
        return amqp_tcp_socket_new(c);
    amqp_socket_t *socket = amqp_ssl_socket_new(c);
    if (!socket || amqp_ssl_socket_set_cacert(socket, ca_file) != AMQP_STATUS_OK)
        exit(2);
    amqp_ssl_socket_set_verify_peer(socket, 1);
    amqp_ssl_socket_set_verify_hostname(socket, 0);
    return socket;
}

static connection dial(const char *password)
{
    static amqp_table_entry_t capability, property;
    amqp_table_t properties = {1, &property};
    connection c = amqp_new_connection();
    amqp_socket_t *socket = new_socket(c);
    amqp_rpc_reply_t reply;

    capability.key = str("consumer_cancel_notify");
    capability.value.kind = AMQP_FIELD_KIND_BOOLEAN;
    capability.value.value.boolean = 1;
    property.key = str("capabilities");
    property.value.kind = AMQP_FIELD_KIND_TABLE;
    property.value.value.table.num_entries = 1;
    property.value.value.table.entries = &capability;
    if (!socket || amqp_socket_open(socket, host, port) != AMQP_STATUS_OK)
        exit(2);
    reply = amqp_login_with_properties(c, "/", AMQP_DEFAULT_MAX_CHANNELS, FRAME_MAX, 0,
                                       &properties, AMQP_SASL_METHOD_PLAIN, "guest", password);
    if (reply.reply_type == AMQP_RESPONSE_NORMAL)
        return c;
    amqp_destroy_connection(c);
    return NULL;
}

static connection open_channel_1(void)
{
    connection c = dial("guest");

    if (c && !amqp_channel_open(c, 1)) {
        amqp_destroy_connection(c);
        c = NULL;
    }
    return c;
}

static void hang_up(connection c)
{
    amqp_connection_close(c, AMQP_REPLY_SUCCESS);
    amqp_destroy_connection(c);
}

/* An exclusive server-named queue; its name is copied into name, which holds 64 bytes. */
static bool own_queue(connection c, amqp_channel_t channel, char *name, amqp_table_t arguments)
{
    amqp_queue_declare_ok_t *ok = amqp_queue_declare(c, channel, amqp_empty_bytes, 0, 0, 1, 0,
                                                     arguments);

    if (!ok || ok->queue.len >= 64)
        return false;
    memcpy(name, ok->queue.bytes, ok->queue.len);
    name[ok->queue.len] = '\0';
    return true;
}

static int publish(connection c, amqp_channel_t channel, const char *exchange, const char *key,
                   const char *body, bool mandatory)
{
    amqp_basic_properties_t p = {0};

    p._flags = AMQP_BASIC_DELIVERY_MODE_FLAG | AMQP_BASIC_MESSAGE_ID_FLAG;
    p.delivery_mode = 2;
    p.message_id = str("id");
    return amqp_basic_publish(c, channel, str(exchange), str(key), mandatory, 0, &p, str(body));
}

static int messages_ready(connection c, amqp_channel_t channel, const char *queue)
{
    amqp_queue_declare_ok_t *ok = amqp_queue_declare(c, channel, str(queue), 1, 0, 0, 0,
                                                     amqp_empty_table);

    return ok ? (int)ok->message_count : -1;
}

/* Wait until the queue holds count ready messages. */
static bool settles_at(connection c, amqp_channel_t channel, const char *queue, int count)
{
    for (int i = 0; i < SOON_SECONDS * 100; i++) {
        if (messages_ready(c, channel, queue) == count)
            return true;
        usleep(10000);
    }
    return false;
}

/* One delivery into e, which the caller destroys.  False when none comes. */
static bool take(connection c, amqp_envelope_t *e)
{
    struct timeval soon = {SOON_SECONDS, 0};

    amqp_maybe_release_buffers(c);
    return amqp_consume_message(c, e, &soon, 0).reply_type == AMQP_RESPONSE_NORMAL;
}

/* Take one delivery and compare its body; its delivery tag, 0 when it is another. */
static uint64_t take_body(connection c, const char *body, bool redelivered)
{
    amqp_envelope_t e;
    uint64_t tag;

    if (!take(c, &e))
        return 0;
    tag = same(e.message.body, body) && e.redelivered == redelivered ? e.delivery_tag : 0;
    amqp_destroy_envelope(&e);
    return tag;
}

/* Take one message with basic.get, acked at once, and compare its body. */
static bool get_body(connection c, amqp_channel_t channel, const char *queue, const char *body)
{
    amqp_message_t m;
    bool equal;

    for (int i = 0; i < SOON_SECONDS * 100; i++) {
        amqp_rpc_reply_t reply;
        amqp_maybe_release_buffers(c);
        reply = amqp_basic_get(c, channel, str(queue), 1);
        if (reply.reply_type != AMQP_RESPONSE_NORMAL)
            return false;
        if (reply.reply.id == AMQP_BASIC_GET_OK_METHOD) {
            if (amqp_read_message(c, channel, &m, 0).reply_type != AMQP_RESPONSE_NORMAL)
                return false;
            equal = same(m.body, body);
            amqp_destroy_message(&m);
            return equal;
        }
        usleep(10000);
    }
    return false;
}

/* The next method of the broker that is no reply; 0 when none comes. */
static amqp_method_number_t next_method(connection c, amqp_frame_t *frame)
{
    struct timeval soon = {SOON_SECONDS, 0};

    do {
        if (amqp_simple_wait_frame_noblock(c, frame, &soon) != AMQP_STATUS_OK)
            return 0;
    } while (frame->frame_type != AMQP_FRAME_METHOD);
    return frame->payload.method.id;
}

static const char *case_publish_get(connection c)
{
    char q[64], x[64];
    int exchanges = getpid();

    CHECK(own_queue(c, 1, q, amqp_empty_table));
    snprintf(x, sizeof x, "rabbitmq-c.%d", exchanges);
    amqp_exchange_declare(c, 1, str(x), str("topic"), 0, 0, 1, 0, amqp_empty_table);
    OK(c);
    amqp_queue_bind(c, 1, str(q), str(x), str("a.#"), amqp_empty_table);
    OK(c);
    CHECK(publish(c, 1, x, "b.c", "not this", false) == AMQP_STATUS_OK);
    CHECK(publish(c, 1, x, "a.b.c", "hello", false) == AMQP_STATUS_OK);
    CHECK(get_body(c, 1, q, "hello"));
    CHECK(amqp_basic_get(c, 1, str(q), 1).reply.id == AMQP_BASIC_GET_EMPTY_METHOD);
    amqp_queue_unbind(c, 1, str(q), str(x), str("a.#"), amqp_empty_table);
    OK(c);
    return NULL;
}

static const char *case_consume_ack(connection c)
{
    char q[64], body[16];
    uint64_t tag = 0;

    CHECK(own_queue(c, 1, q, amqp_empty_table));
    CHECK(amqp_basic_qos(c, 1, 0, 10, 0));
    for (int i = 0; i < 200; i++) {
        snprintf(body, sizeof body, "%d", i);
        publish(c, 1, "", q, body, false);
    }
    CHECK(amqp_basic_consume(c, 1, str(q), str("tag"), 0, 0, 0, amqp_empty_table));
    for (int i = 0; i < 200; i++) {
        snprintf(body, sizeof body, "%d", i);
        tag = take_body(c, body, false);
        CHECK(tag == (uint64_t)i + 1);
        if (i % 5 == 4)
            CHECK(amqp_basic_ack(c, 1, tag, 1) == AMQP_STATUS_OK);
    }
    CHECK(amqp_basic_cancel(c, 1, str("tag")));
    CHECK(messages_ready(c, 1, q) == 0);
    CHECK(amqp_queue_purge(c, 1, str(q)));
    CHECK(amqp_queue_delete(c, 1, str(q), 0, 0));
    return NULL;
}

static const char *case_nack_reject(connection c)
{
    char q[64];

    CHECK(own_queue(c, 1, q, amqp_empty_table));
    CHECK(amqp_basic_qos(c, 1, 0, 3, 0));
    publish(c, 1, "", q, "1", false);
    publish(c, 1, "", q, "2", false);
    publish(c, 1, "", q, "3", false);
    CHECK(amqp_basic_consume(c, 1, str(q), amqp_empty_bytes, 0, 0, 0, amqp_empty_table));
    for (const char *const *b = (const char *const[]){"1", "2", "3", NULL}; *b; b++)
        CHECK(take_body(c, *b, false) != 0);
    CHECK(amqp_basic_reject(c, 1, 1, 0) == AMQP_STATUS_OK);
    CHECK(amqp_basic_nack(c, 1, 3, 1, 1) == AMQP_STATUS_OK);
    CHECK(take_body(c, "2", true) == 4);
    CHECK(take_body(c, "3", true) == 5);
    CHECK(amqp_basic_ack(c, 1, 0, 1) == AMQP_STATUS_OK);
    CHECK(messages_ready(c, 1, q) == 0);
    return NULL;
}

static const char *case_recover(connection c)
{
    char q[64];
    amqp_method_number_t expected[] = {AMQP_BASIC_RECOVER_OK_METHOD, 0};
    amqp_basic_recover_t recover = {1};

    CHECK(own_queue(c, 1, q, amqp_empty_table));
    publish(c, 1, "", q, "again", false);
    CHECK(settles_at(c, 1, q, 1));
    CHECK(amqp_basic_get(c, 1, str(q), 0).reply.id == AMQP_BASIC_GET_OK_METHOD);
    amqp_message_t m;
    CHECK(amqp_read_message(c, 1, &m, 0).reply_type == AMQP_RESPONSE_NORMAL);
    amqp_destroy_message(&m);
    CHECK(amqp_simple_rpc(c, 1, AMQP_BASIC_RECOVER_METHOD, expected, &recover).reply_type ==
          AMQP_RESPONSE_NORMAL);
    CHECK(get_body(c, 1, q, "again"));
    return NULL;
}

static const char *case_confirm(connection c)
{
    char q[64];
    amqp_frame_t frame;
    uint64_t confirmed = 0;

    CHECK(own_queue(c, 1, q, amqp_empty_table));
    CHECK(amqp_confirm_select(c, 1));
    for (int i = 0; i < 300; i++)
        CHECK(publish(c, 1, "", q, "x", false) == AMQP_STATUS_OK);
    while (confirmed < 300) {
        CHECK(next_method(c, &frame) == AMQP_BASIC_ACK_METHOD);
        amqp_basic_ack_t *ack = frame.payload.method.decoded;
        CHECK(ack->delivery_tag <= 300);
        confirmed = ack->multiple ? ack->delivery_tag : confirmed + 1;
        amqp_maybe_release_buffers(c);
    }
    CHECK(messages_ready(c, 1, q) == 300);
    return NULL;
}

static const char *case_return(connection c)
{
    amqp_frame_t frame;
    amqp_message_t m;

    CHECK(amqp_confirm_select(c, 1));
    CHECK(publish(c, 1, "amq.direct", "rabbitmq-c.nobody", "back", true) == AMQP_STATUS_OK);
    CHECK(next_method(c, &frame) == AMQP_BASIC_RETURN_METHOD);
    amqp_basic_return_t *r = frame.payload.method.decoded;
    CHECK(r->reply_code == 312 && same(r->reply_text, "NO_ROUTE"));
    CHECK(same(r->exchange, "amq.direct") && same(r->routing_key, "rabbitmq-c.nobody"));
    CHECK(amqp_read_message(c, 1, &m, 0).reply_type == AMQP_RESPONSE_NORMAL);
    CHECK(same(m.body, "back") && same(m.properties.message_id, "id"));
    amqp_destroy_message(&m);
    CHECK(next_method(c, &frame) == AMQP_BASIC_ACK_METHOD);
    return NULL;
}

static const char *case_tx(connection c)
{
    char q[64];

    CHECK(amqp_channel_open(c, 2));
    CHECK(own_queue(c, 1, q, amqp_empty_table));
    CHECK(amqp_tx_select(c, 1));
    publish(c, 1, "", q, "1", false);
    CHECK(amqp_tx_rollback(c, 1));
    publish(c, 1, "", q, "2", false);
    publish(c, 1, "", q, "3", false);
    CHECK(messages_ready(c, 2, q) == 0);
    CHECK(amqp_tx_commit(c, 1));
    CHECK(messages_ready(c, 2, q) == 2);
    CHECK(get_body(c, 2, q, "2"));
    CHECK(get_body(c, 2, q, "3"));
    return NULL;
}

static const char *case_exchange_bind(connection c)
{
    char q[64], x[64], y[64];

    snprintf(x, sizeof x, "rabbitmq-c.x.%d", getpid());
    snprintf(y, sizeof y, "rabbitmq-c.y.%d", getpid());
    CHECK(own_queue(c, 1, q, amqp_empty_table));
    amqp_exchange_declare(c, 1, str(x), str("direct"), 0, 0, 0, 0, amqp_empty_table);
    OK(c);
    amqp_exchange_declare(c, 1, str(y), str("fanout"), 0, 1, 0, 1, amqp_empty_table);
    OK(c);
    CHECK(amqp_exchange_bind(c, 1, str(y), str(x), str("k"), amqp_empty_table));
    CHECK(amqp_exchange_bind(c, 1, str(x), str(y), str("k"), amqp_empty_table));
    amqp_queue_bind(c, 1, str(q), str(y), str(""), amqp_empty_table);
    OK(c);
    publish(c, 1, x, "k", "through", false);
    CHECK(get_body(c, 1, q, "through"));
    CHECK(amqp_exchange_unbind(c, 1, str(y), str(x), str("k"), amqp_empty_table));
    publish(c, 1, x, "k", "not through", false);
    publish(c, 1, "", q, "end", false);
    CHECK(get_body(c, 1, q, "end"));
    CHECK(amqp_exchange_delete(c, 1, str(x), 0));
    CHECK(amqp_exchange_delete(c, 1, str(y), 0));
    return NULL;
}

static const char *case_cancel_notify(connection c)
{
    char q[64];
    amqp_frame_t frame;
    connection other = open_channel_1();

    snprintf(q, sizeof q, "rabbitmq-c.q.%d", getpid());
    CHECK(other);
    amqp_queue_declare(c, 1, str(q), 0, 1, 0, 0, amqp_empty_table);
    OK(c);
    CHECK(amqp_basic_consume(c, 1, str(q), str("gone"), 0, 0, 0, amqp_empty_table));
    CHECK(amqp_queue_delete(other, 1, str(q), 0, 0));
    hang_up(other);
    CHECK(next_method(c, &frame) == AMQP_BASIC_CANCEL_METHOD);
    CHECK(same(((amqp_basic_cancel_t *)frame.payload.method.decoded)->consumer_tag, "gone"));
    return NULL;
}

static amqp_table_entry_t string_entry(const char *key, const char *value)
{
    amqp_table_entry_t entry;

    entry.key = str(key);
    entry.value.kind = AMQP_FIELD_KIND_UTF8;
    entry.value.value.bytes = str(value);
    return entry;
}

static const amqp_field_value_t *lookup(const amqp_table_t *table, const char *key)
{
    for (int i = 0; i < table->num_entries; i++)
        if (same(table->entries[i].key, key))
            return &table->entries[i].value;
    return NULL;
}

static const char *check_death(const amqp_table_t *headers, const char *queue)
{
    const amqp_field_value_t *deaths = lookup(headers, "x-death"), *v;

    CHECK(deaths && deaths->kind == AMQP_FIELD_KIND_ARRAY);
    CHECK(deaths->value.array.num_entries == 1);
    const amqp_field_value_t *entry = &deaths->value.array.entries[0];
    CHECK(entry->kind == AMQP_FIELD_KIND_TABLE);
    v = lookup(&entry->value.table, "count");
    CHECK(v && v->kind == AMQP_FIELD_KIND_I64 && v->value.i64 == 1);
    v = lookup(&entry->value.table, "queue");
    CHECK(v && same(v->value.bytes, queue));
    v = lookup(&entry->value.table, "reason");
    CHECK(v && same(v->value.bytes, "rejected"));
    v = lookup(&entry->value.table, "time");
    CHECK(v && v->kind == AMQP_FIELD_KIND_TIMESTAMP);
    v = lookup(headers, "x-first-death-reason");
    CHECK(v && same(v->value.bytes, "rejected"));
    v = lookup(headers, "x-first-death-queue");
    CHECK(v && same(v->value.bytes, queue));
    return NULL;
}

static const char *case_dead_letter(connection c)
{
    char dead[64], q[64];
    amqp_table_entry_t entries[2];
    amqp_table_t arguments = {2, entries};
    amqp_envelope_t e;
    const char *wrong;

    CHECK(own_queue(c, 1, dead, amqp_empty_table));
    entries[0] = string_entry("x-dead-letter-exchange", "");
    entries[1] = string_entry("x-dead-letter-routing-key", dead);
    CHECK(own_queue(c, 1, q, arguments));
    publish(c, 1, "", q, "dead", false);
    CHECK(amqp_basic_consume(c, 1, str(q), amqp_empty_bytes, 0, 0, 0, amqp_empty_table));
    CHECK(take_body(c, "dead", false) == 1);
    CHECK(amqp_basic_nack(c, 1, 1, 0, 0) == AMQP_STATUS_OK);
    CHECK(amqp_basic_consume(c, 1, str(dead), amqp_empty_bytes, 0, 1, 0, amqp_empty_table));
    CHECK(take(c, &e));
    CHECK(same(e.message.body, "dead") && same(e.routing_key, dead));
    wrong = check_death(&e.message.properties.headers, q);
    amqp_destroy_envelope(&e);
    return wrong;
}

static const char *round_trip(connection c, const char *queue, size_t size)
{
    amqp_bytes_t body = amqp_bytes_malloc(size ? size : 1);
    amqp_envelope_t e;
    bool equal;

    body.len = size;
    for (size_t i = 0; i < size; i++)
        ((unsigned char *)body.bytes)[i] = (unsigned char)(i * 31 + i / 251);
    CHECK(amqp_basic_publish(c, 1, amqp_empty_bytes, str(queue), 0, 0, NULL, body) ==
          AMQP_STATUS_OK);
    CHECK(take(c, &e));
    equal = e.message.body.len == size &&
            (size == 0 || memcmp(e.message.body.bytes, body.bytes, size) == 0);
    amqp_destroy_envelope(&e);
    amqp_bytes_free(body);
    CHECK(equal);
    return NULL;
}

static const char *case_large_bodies(connection c)
{
    static const size_t sizes[] = {0, 1, FRAME_MAX - 9, FRAME_MAX - 8, FRAME_MAX - 7,
                                   10 * 1024 * 1024};
    const char *wrong = NULL;
    char q[64];

    CHECK(own_queue(c, 1, q, amqp_empty_table));
    CHECK(amqp_basic_consume(c, 1, str(q), amqp_empty_bytes, 0, 1, 0, amqp_empty_table));
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes && !wrong; i++)
        wrong = round_trip(c, q, sizes[i]);
    return wrong;
}

static const char *case_many_channels(connection c)
{
    enum { CHANNELS = 100 };
    static char queues[CHANNELS + 1][64];
    bool seen[CHANNELS + 1] = {false};
    char body[16];

    for (amqp_channel_t n = 1; n <= CHANNELS; n++) {
        CHECK(n == 1 || amqp_channel_open(c, n));
        CHECK(own_queue(c, n, queues[n], amqp_empty_table));
        CHECK(amqp_basic_consume(c, n, str(queues[n]), amqp_empty_bytes, 0, 1, 0,
                                 amqp_empty_table));
    }
    for (amqp_channel_t n = 1; n <= CHANNELS; n++) {
        snprintf(body, sizeof body, "%d", n);
        publish(c, n, "", queues[CHANNELS + 1 - n], body, false);
    }
    for (int i = 0; i < CHANNELS; i++) {
        amqp_envelope_t e;
        CHECK(take(c, &e));
        snprintf(body, sizeof body, "%d", CHANNELS + 1 - e.channel);
        CHECK(same(e.message.body, body) && !seen[e.channel]);
        seen[e.channel] = true;
        amqp_destroy_envelope(&e);
    }
    for (amqp_channel_t n = 2; n <= CHANNELS; n++)
        amqp_channel_close(c, n, AMQP_REPLY_SUCCESS);
    return NULL;
}

static const char *case_channel_error(connection c)
{
    amqp_rpc_reply_t reply;
    int code;

    amqp_queue_declare(c, 1, str("rabbitmq-c.missing"), 1, 0, 0, 0, amqp_empty_table);
    reply = amqp_get_rpc_reply(c);
    CHECK(same(close_text(&reply, &code),
               "NOT_FOUND - no queue 'rabbitmq-c.missing' in vhost '/'"));
    CHECK(code == 404);
    amqp_channel_close_ok_t ok = {0};
    CHECK(amqp_send_method(c, 1, AMQP_CHANNEL_CLOSE_OK_METHOD, &ok) == AMQP_STATUS_OK);
    CHECK(amqp_channel_open(c, 1));
    return NULL;
}

static const char *case_connection_error(connection c)
{
    amqp_rpc_reply_t reply;
    int code;

    (void)c;
    connection other = open_channel_1();
    CHECK(other);
    amqp_channel_flow(other, 1, 0);
    reply = amqp_get_rpc_reply(other);
    CHECK(same(close_text(&reply, &code), "NOT_IMPLEMENTED - active=false"));
    CHECK(code == 540);
    amqp_destroy_connection(other);
    return NULL;
}

static const char *case_reconnect(connection c)
{
    char q[64];

    snprintf(q, sizeof q, "rabbitmq-c.r.%d", getpid());
    amqp_queue_declare(c, 1, str(q), 0, 1, 0, 0, amqp_empty_table);
    OK(c);
    for (int round = 0; round < 20; round++) {
        connection other = open_channel_1();
        CHECK(other);
        CHECK(amqp_confirm_select(other, 1));
        amqp_frame_t frame;
        publish(other, 1, "", q, "kept", false);
        CHECK(next_method(other, &frame) == AMQP_BASIC_ACK_METHOD);
        if (round % 2) {
            /* Take one message and leave without a word, so that it has to come back. */
            CHECK(amqp_basic_get(other, 1, str(q), 0).reply.id == AMQP_BASIC_GET_OK_METHOD);
            close(amqp_get_sockfd(other));
            amqp_destroy_connection(other);
        } else {
            hang_up(other);
        }
    }
    CHECK(settles_at(c, 1, q, 20));
    CHECK(amqp_queue_delete(c, 1, str(q), 0, 0));
    return NULL;
}

static const char *case_server_properties(connection c)
{
    const amqp_table_t *p = amqp_get_server_properties(c);
    const amqp_field_value_t *capabilities = lookup(p, "capabilities");

    CHECK(lookup(p, "product") && lookup(p, "version"));
    CHECK(capabilities && capabilities->kind == AMQP_FIELD_KIND_TABLE);
    CHECK(lookup(&capabilities->value.table, "consumer_cancel_notify"));
    CHECK(amqp_get_channel_max(c) == 2047 || amqp_get_channel_max(c) == 0);
    CHECK(amqp_get_frame_max(c) == FRAME_MAX);
    return NULL;
}

static const char *case_wrong_password(connection c)
{
    (void)c;
    CHECK(dial("wrong") == NULL);
    return NULL;
}

static const struct {
    const char *name;
    test_case *run;
} cases[] = {
    {"server properties and negotiated limits", case_server_properties},
    {"a wrong password", case_wrong_password},
    {"declare, bind, publish, get, unbind", case_publish_get},
    {"consume with prefetch, ack multiple, cancel, purge, delete", case_consume_ack},
    {"nack and reject", case_nack_reject},
    {"recover", case_recover},
    {"300 confirms", case_confirm},
    {"a return before its ack", case_return},
    {"transactions", case_tx},
    {"exchange bind with a cycle, exchange unbind", case_exchange_bind},
    {"cancel notify", case_cancel_notify},
    {"dead letters with x-death", case_dead_letter},
    {"bodies of 0, 1, frame_max-9, -8, -7 bytes and 10 MiB", case_large_bodies},
    {"100 channels", case_many_channels},
    {"a channel error", case_channel_error},
    {"a connection error", case_connection_error},
    {"20 times reconnect", case_reconnect},
};

int main(int argc, char **argv)
{
    const int count = (int)(sizeof cases / sizeof *cases);
    int failed = 0;

    if (argc != 3 && argc != 4) {
        fprintf(stderr, "usage: %s HOST PORT [CA-FILE]\n", argv[0]);
        return 2;
    }
    host = argv[1];
    port = atoi(argv[2]);
    ca_file = argv[3];
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (int i = 0; i < count; i++) {
        connection c = open_channel_1();
        const char *wrong = c ? cases[i].run(c) : "no connection";
        printf("%sok %d - %s\n", wrong ? "not " : "", i + 1, cases[i].name);
        if (wrong) {
            printf("# %s\n", wrong);
            failed++;
        }
        if (c)
            hang_up(c);
    }
    printf("1..%d\n", count);
    return failed ? 1 : 0;
}
