/* The scenarios with rabbitmq-c; interop/run has more of it. Each runs in a process of its own,
 * which ends at once when something is wrong. */

#include <amqp.h>
#include <amqp_framing.h>
#include <amqp_ssl_socket.h>
#include <amqp_tcp_socket.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE 60
#define LARGE 20000000
#define REPLY_TO "amq.rabbitmq.reply-to"

typedef amqp_connection_state_t connection;

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            die(__LINE__, #condition);                                                             \
    } while (0)

static void die(int line, const char *what)
{
    printf("# line %d: %s\n", line, what);
    fflush(stdout);
    _exit(1);
}

static amqp_bytes_t str(const char *text)
{
    return amqp_cstring_bytes(text);
}

static bool same(amqp_bytes_t bytes, const char *text)
{
    return bytes.len == strlen(text) && memcmp(bytes.bytes, text, bytes.len) == 0;
}

static bool starts(amqp_bytes_t bytes, const char *text)
{
    return bytes.len >= strlen(text) && memcmp(bytes.bytes, text, strlen(text)) == 0;
}

static amqp_rpc_reply_t log_in(connection c, amqp_socket_t *socket, const char *host,
                               const char *port, const char *password, int heartbeat)
{
    static amqp_table_entry_t capabilities[2], property;
    amqp_table_t properties = {1, &property};

    for (int i = 0; i < 2; i++) {
        capabilities[i].key =
            str(i == 0 ? "consumer_cancel_notify" : "authentication_failure_close");
        capabilities[i].value.kind = AMQP_FIELD_KIND_BOOLEAN;
        capabilities[i].value.value.boolean = 1;
    }
    property.key = str("capabilities");
    property.value.kind = AMQP_FIELD_KIND_TABLE;
    property.value.value.table = (amqp_table_t){2, capabilities};
    CHECK(socket && amqp_socket_open(socket, host, atoi(getenv(port))) == AMQP_STATUS_OK);
    return amqp_login_with_properties(c, "/", 0, 131072, heartbeat, &properties,
                                      AMQP_SASL_METHOD_PLAIN, "guest", password);
}

static connection open_channel(connection c, amqp_rpc_reply_t login)
{
    CHECK(login.reply_type == AMQP_RESPONSE_NORMAL);
    CHECK(amqp_channel_open(c, 1));
    return c;
}

/* With channel 1 open. */
static connection dial(int heartbeat)
{
    connection c = amqp_new_connection();
    amqp_socket_t *socket = amqp_tcp_socket_new(c);

    return open_channel(c, log_in(c, socket, "127.0.0.1", "AMQP_PORT", "guest", heartbeat));
}

static void hang_up(connection c)
{
    CHECK(amqp_connection_close(c, AMQP_REPLY_SUCCESS).reply_type == AMQP_RESPONSE_NORMAL);
    amqp_destroy_connection(c);
}

/* What the broker said when it closed the channel, which is opened again. */
static amqp_bytes_t closed(connection c, int *code)
{
    amqp_rpc_reply_t reply = amqp_get_rpc_reply(c);
    amqp_channel_close_ok_t ok = {0};

    CHECK(reply.reply_type == AMQP_RESPONSE_SERVER_EXCEPTION);
    CHECK(reply.reply.id == AMQP_CHANNEL_CLOSE_METHOD);
    const amqp_channel_close_t *close = reply.reply.decoded;
    amqp_bytes_t text = amqp_bytes_malloc_dup(close->reply_text);
    *code = close->reply_code;
    CHECK(amqp_send_method(c, 1, AMQP_CHANNEL_CLOSE_OK_METHOD, &ok) == AMQP_STATUS_OK);
    amqp_maybe_release_buffers(c);
    CHECK(amqp_channel_open(c, 1));
    return text;
}

/* How a scenario's own queue is declared, where it does not matter: durable, or exclusive. */
static bool is_durable(void)
{
    return getenv("AMQP_DURABLE") != NULL;
}

static amqp_bytes_t declare(connection c, amqp_table_t arguments, bool durable)
{
    amqp_queue_declare_ok_t *ok =
        amqp_queue_declare(c, 1, amqp_empty_bytes, 0, durable, !durable, 0, arguments);

    CHECK(ok);
    return amqp_bytes_malloc_dup(ok->queue);
}

static amqp_bytes_t own_queue(connection c)
{
    return declare(c, amqp_empty_table, is_durable());
}

static amqp_queue_declare_ok_t *passive(connection c, amqp_channel_t channel, amqp_bytes_t q)
{
    return amqp_queue_declare(c, channel, q, 1, 0, 0, 0, amqp_empty_table);
}

static void publish(connection c, amqp_bytes_t x, amqp_bytes_t key,
                    const amqp_basic_properties_t *properties, amqp_bytes_t body)
{
    CHECK(amqp_basic_publish(c, 1, x, key, 0, 0, properties, body) == AMQP_STATUS_OK);
}

static void send_text(connection c, amqp_bytes_t q, const char *body)
{
    publish(c, amqp_empty_bytes, q, NULL, str(body));
}

/* The message that is there or will be in a moment: *got is how it was got. */
static amqp_message_t get(connection c, amqp_channel_t channel, amqp_bytes_t q, bool no_ack,
                          amqp_basic_get_ok_t *got)
{
    amqp_message_t message;
    time_t deadline = time(NULL) + PATIENCE;

    for (;;) {
        amqp_rpc_reply_t reply = amqp_basic_get(c, channel, q, no_ack);
        CHECK(reply.reply_type == AMQP_RESPONSE_NORMAL);
        if (reply.reply.id == AMQP_BASIC_GET_OK_METHOD) {
            *got = *(amqp_basic_get_ok_t *)reply.reply.decoded;
            break;
        }
        CHECK(time(NULL) < deadline);
        usleep(10000);
    }
    CHECK(amqp_read_message(c, channel, &message, 0).reply_type == AMQP_RESPONSE_NORMAL);
    return message;
}

static void expect(connection c, amqp_channel_t channel, amqp_bytes_t q, const char *body)
{
    amqp_basic_get_ok_t got;
    amqp_message_t message = get(c, channel, q, true, &got);

    CHECK(same(message.body, body));
}

static bool empty(connection c, amqp_channel_t channel, amqp_bytes_t q)
{
    return amqp_basic_get(c, channel, q, 1).reply.id == AMQP_BASIC_GET_EMPTY_METHOD;
}

static void consume(connection c, amqp_bytes_t q, bool no_ack)
{
    CHECK(amqp_basic_consume(c, 1, q, str("mine"), 0, no_ack, 0, amqp_empty_table));
}

/* The next delivery within that time; false when there is none. */
static bool delivery(connection c, amqp_envelope_t *envelope, int milliseconds)
{
    struct timeval limit = {milliseconds / 1000, milliseconds % 1000 * 1000};

    amqp_maybe_release_buffers(c);
    return amqp_consume_message(c, envelope, &limit, 0).reply_type == AMQP_RESPONSE_NORMAL;
}

static void next_delivery(connection c, amqp_envelope_t *envelope)
{
    CHECK(delivery(c, envelope, PATIENCE * 1000));
}

/* The next method of the given kind; it must come next. */
static void *next_method(connection c, amqp_method_number_t id)
{
    static amqp_frame_t frame;
    struct timeval limit = {PATIENCE, 0};

    CHECK(amqp_simple_wait_frame_noblock(c, &frame, &limit) == AMQP_STATUS_OK);
    CHECK(frame.frame_type == AMQP_FRAME_METHOD && frame.payload.method.id == id);
    return frame.payload.method.decoded;
}

static const amqp_field_value_t *lookup(const amqp_table_t *table, const char *key)
{
    for (int i = 0; i < table->num_entries; i++)
        if (same(table->entries[i].key, key))
            return &table->entries[i].value;
    die(__LINE__, key);
    return NULL;
}

static amqp_table_entry_t text_entry(const char *key, amqp_bytes_t value)
{
    amqp_table_entry_t entry = {str(key), {.kind = AMQP_FIELD_KIND_UTF8, .value.bytes = value}};

    return entry;
}

static void login(void)
{
    connection c = dial(0);

    CHECK(same(lookup(amqp_get_server_properties(c), "product")->value.bytes, "RabbitMQ"));
    CHECK(amqp_channel_close(c, 1, AMQP_REPLY_SUCCESS).reply_type == AMQP_RESPONSE_NORMAL);
    hang_up(c);
}

static void wrong_password(void)
{
    connection c = amqp_new_connection();
    amqp_rpc_reply_t reply =
        log_in(c, amqp_tcp_socket_new(c), "127.0.0.1", "AMQP_PORT", "wrong", 0);

    CHECK(reply.reply_type == AMQP_RESPONSE_SERVER_EXCEPTION);
    CHECK(reply.reply.id == AMQP_CONNECTION_CLOSE_METHOD);
    const amqp_connection_close_t *close = reply.reply.decoded;
    CHECK(close->reply_code == 403);
    CHECK(starts(close->reply_text, "ACCESS_REFUSED - Login was refused"));
}

static void heartbeats(void)
{
    connection c = dial(1);
    amqp_frame_t frame;

    for (time_t end = time(NULL) + 4; time(NULL) < end;) {
        struct timeval limit = {0, 200000};
        CHECK(amqp_simple_wait_frame_noblock(c, &frame, &limit) == AMQP_STATUS_TIMEOUT);
    }
    own_queue(c);
    hang_up(c);
}

static void properties(void)
{
    connection c = dial(0);
    amqp_bytes_t q = own_queue(c);
    amqp_basic_get_ok_t got;
    amqp_basic_properties_t sent = {._flags = 0xfffc & ~AMQP_BASIC_HEADERS_FLAG,
                                    .content_type = str("text/plain"),
                                    .content_encoding = str("utf-8"),
                                    .delivery_mode = 2,
                                    .priority = 7,
                                    .correlation_id = str("c-1"),
                                    .reply_to = str("answers"),
                                    .expiration = str("60000"),
                                    .message_id = str("m-1"),
                                    .timestamp = 1715000000,
                                    .type = str("kind"),
                                    .user_id = str("guest"),
                                    .app_id = str("interop"),
                                    .cluster_id = str("cluster")};

    publish(c, amqp_empty_bytes, q, &sent, (amqp_bytes_t){2, "\xff"});
    amqp_message_t m = get(c, 1, q, true, &got);
    const amqp_basic_properties_t *p = &m.properties;
    CHECK(p->_flags == sent._flags);
    CHECK(same(p->content_type, "text/plain") && same(p->content_encoding, "utf-8"));
    CHECK(p->delivery_mode == 2 && p->priority == 7 && p->timestamp == 1715000000);
    CHECK(same(p->correlation_id, "c-1") && same(p->reply_to, "answers"));
    CHECK(same(p->expiration, "60000") && same(p->message_id, "m-1") && same(p->type, "kind"));
    CHECK(same(p->user_id, "guest") && same(p->app_id, "interop"));
    CHECK(same(p->cluster_id, "cluster"));
    CHECK(m.body.len == 2 && memcmp(m.body.bytes, "\xff", 2) == 0);
    hang_up(c);
}

static void headers(void)
{
    connection c = dial(0);
    amqp_bytes_t q = own_queue(c);
    amqp_basic_get_ok_t got;
    amqp_table_entry_t deep = {str("er"), {.kind = AMQP_FIELD_KIND_I8, .value.i8 = -1}};
    amqp_field_value_t items[2] = {{.kind = AMQP_FIELD_KIND_I32, .value.i32 = 1},
                                   {.kind = AMQP_FIELD_KIND_UTF8, .value.bytes = str("two")}};
    amqp_table_entry_t entries[] = {
        {str("bool"), {.kind = AMQP_FIELD_KIND_BOOLEAN, .value.boolean = 1}},
        {str("short"), {.kind = AMQP_FIELD_KIND_I16, .value.i16 = -300}},
        {str("int"), {.kind = AMQP_FIELD_KIND_I32, .value.i32 = -70000}},
        {str("long"), {.kind = AMQP_FIELD_KIND_I64, .value.i64 = 1LL << 40}},
        {str("float"), {.kind = AMQP_FIELD_KIND_F32, .value.f32 = 0.5F}},
        {str("double"), {.kind = AMQP_FIELD_KIND_F64, .value.f64 = 1.5}},
        {str("decimal"), {.kind = AMQP_FIELD_KIND_DECIMAL, .value.decimal = {2, 314}}},
        {str("time"), {.kind = AMQP_FIELD_KIND_TIMESTAMP, .value.u64 = 1715000000}},
        {str("string"), {.kind = AMQP_FIELD_KIND_UTF8, .value.bytes = str("\xc3\xa9")}},
        {str("bytes"), {.kind = AMQP_FIELD_KIND_BYTES, .value.bytes = {2, "\xff"}}},
        {str("table"), {.kind = AMQP_FIELD_KIND_TABLE, .value.table = {1, &deep}}},
        {str("array"), {.kind = AMQP_FIELD_KIND_ARRAY, .value.array = {2, items}}},
        {str("void"), {.kind = AMQP_FIELD_KIND_VOID}},
    };
    const int count = (int)(sizeof entries / sizeof *entries);
    amqp_basic_properties_t sent = {._flags = AMQP_BASIC_HEADERS_FLAG, .headers = {count, entries}};

    publish(c, amqp_empty_bytes, q, &sent, str("x"));
    amqp_table_t h = get(c, 1, q, true, &got).properties.headers;
    CHECK(h.num_entries == count);
    for (int i = 0; i < count; i++)
        CHECK(h.entries[i].value.kind == entries[i].value.kind);
    CHECK(lookup(&h, "bool")->value.boolean && lookup(&h, "short")->value.i16 == -300);
    CHECK(lookup(&h, "int")->value.i32 == -70000);
    CHECK(lookup(&h, "long")->value.i64 == 1LL << 40);
    CHECK(lookup(&h, "float")->value.f32 == 0.5F && lookup(&h, "double")->value.f64 == 1.5);
    CHECK(lookup(&h, "decimal")->value.decimal.decimals == 2);
    CHECK(lookup(&h, "decimal")->value.decimal.value == 314);
    CHECK(lookup(&h, "time")->value.u64 == 1715000000);
    CHECK(same(lookup(&h, "string")->value.bytes, "\xc3\xa9"));
    CHECK(lookup(&h, "bytes")->value.bytes.len == 2);
    CHECK(lookup(&lookup(&h, "table")->value.table, "er")->value.i8 == -1);
    CHECK(lookup(&h, "array")->value.array.num_entries == 2);
    CHECK(same(lookup(&h, "array")->value.array.entries[1].value.bytes, "two"));
    hang_up(c);
}

static void confirms(void)
{
    connection c = dial(0);
    amqp_bytes_t q = own_queue(c);

    CHECK(amqp_confirm_select(c, 1));
    for (int i = 0; i < 500; i++)
        send_text(c, q, "x");
    for (uint64_t confirmed = 0; confirmed < 500;) {
        const amqp_basic_ack_t *ack = next_method(c, AMQP_BASIC_ACK_METHOD);
        CHECK(ack->multiple ? ack->delivery_tag > confirmed : ack->delivery_tag == confirmed + 1);
        confirmed = ack->delivery_tag;
    }
    CHECK(passive(c, 1, q)->message_count == 500);
    hang_up(c);
}

static void mandatory(void)
{
    connection c = dial(0);
    amqp_basic_properties_t sent = {._flags = AMQP_BASIC_MESSAGE_ID_FLAG, .message_id = str("m")};
    amqp_message_t message;

    CHECK(amqp_basic_publish(c, 1, str("amq.direct"), str("nobody"), 1, 0, &sent, str("back")) ==
          AMQP_STATUS_OK);
    const amqp_basic_return_t *back = next_method(c, AMQP_BASIC_RETURN_METHOD);
    CHECK(back->reply_code == 312 && same(back->reply_text, "NO_ROUTE"));
    CHECK(same(back->exchange, "amq.direct") && same(back->routing_key, "nobody"));
    CHECK(amqp_read_message(c, 1, &message, 0).reply_type == AMQP_RESPONSE_NORMAL);
    CHECK(same(message.body, "back") && same(message.properties.message_id, "m"));
    hang_up(c);
}

static void prefetch(void)
{
    connection c = dial(0);
    amqp_bytes_t q = own_queue(c);
    amqp_envelope_t envelope;

    for (char body[2] = "0"; body[0] <= '9'; body[0]++)
        send_text(c, q, body);
    CHECK(amqp_basic_qos(c, 1, 0, 3, 0));
    consume(c, q, false);
    for (char body[2] = "0"; body[0] < '6'; body[0]++) {
        if (body[0] == '3') {
            CHECK(!delivery(c, &envelope, 300));
            CHECK(amqp_basic_ack(c, 1, 3, 1) == AMQP_STATUS_OK);
        }
        next_delivery(c, &envelope);
        CHECK(same(envelope.message.body, body));
    }
    CHECK(!delivery(c, &envelope, 300));
    hang_up(c);
}

static void acks(void)
{
    connection c = dial(0);
    amqp_bytes_t q = own_queue(c);
    amqp_basic_get_ok_t got;

    for (char body[2] = "0"; body[0] < '5'; body[0]++)
        send_text(c, q, body);
    for (uint64_t tag = 1; tag <= 5; tag++) {
        get(c, 1, q, false, &got);
        CHECK(got.delivery_tag == tag);
    }
    CHECK(amqp_basic_ack(c, 1, 1, 0) == AMQP_STATUS_OK);
    CHECK(amqp_basic_reject(c, 1, 2, 0) == AMQP_STATUS_OK);
    CHECK(amqp_basic_reject(c, 1, 3, 1) == AMQP_STATUS_OK);
    CHECK(amqp_basic_nack(c, 1, 5, 1, 1) == AMQP_STATUS_OK);
    for (char body[2] = "2"; body[0] < '5'; body[0]++) {
        CHECK(same(get(c, 1, q, true, &got).body, body));
        CHECK(got.redelivered);
    }
    CHECK(empty(c, 1, q));
    hang_up(c);
}

static void dead_letter(void)
{
    connection c = dial(0);
    amqp_bytes_t dead = own_queue(c);
    amqp_table_entry_t arguments[2] = {text_entry("x-dead-letter-exchange", amqp_empty_bytes),
                                       text_entry("x-dead-letter-routing-key", dead)};
    amqp_bytes_t q = declare(c, (amqp_table_t){2, arguments}, is_durable());
    amqp_basic_get_ok_t got;

    send_text(c, q, "ill");
    get(c, 1, q, false, &got);
    CHECK(amqp_basic_reject(c, 1, got.delivery_tag, 0) == AMQP_STATUS_OK);
    amqp_message_t message = get(c, 1, dead, true, &got);
    const amqp_table_t *h = &message.properties.headers;
    amqp_array_t deaths = lookup(h, "x-death")->value.array;
    CHECK(same(message.body, "ill") && deaths.num_entries == 1);
    const amqp_table_t *death = &deaths.entries[0].value.table;
    CHECK(death->num_entries == 6 && lookup(death, "count")->value.i64 == 1);
    CHECK(same(lookup(death, "reason")->value.bytes, "rejected"));
    CHECK(lookup(death, "queue")->value.bytes.len == q.len);
    CHECK(same(lookup(death, "exchange")->value.bytes, ""));
    CHECK(lookup(death, "time")->kind == AMQP_FIELD_KIND_TIMESTAMP);
    CHECK(lookup(death, "routing-keys")->value.array.num_entries == 1);
    CHECK(same(lookup(h, "x-first-death-reason")->value.bytes, "rejected"));
    CHECK(same(lookup(h, "x-first-death-exchange")->value.bytes, ""));
    CHECK(lookup(h, "x-first-death-queue")->value.bytes.len == q.len);
    hang_up(c);
}

static void transactions(void)
{
    connection c = dial(0);
    amqp_bytes_t q = own_queue(c);
    amqp_basic_get_ok_t got;

    CHECK(amqp_channel_open(c, 2));
    CHECK(amqp_tx_select(c, 1));
    send_text(c, q, "1");
    CHECK(passive(c, 2, q)->message_count == 0);
    CHECK(amqp_tx_commit(c, 1));
    send_text(c, q, "2");
    get(c, 1, q, false, &got);
    CHECK(amqp_basic_ack(c, 1, got.delivery_tag, 0) == AMQP_STATUS_OK);
    CHECK(amqp_tx_rollback(c, 1));
    CHECK(amqp_channel_close(c, 1, AMQP_REPLY_SUCCESS).reply_type == AMQP_RESPONSE_NORMAL);
    expect(c, 2, q, "1");
    CHECK(empty(c, 2, q));
    hang_up(c);
}

static void check_kind(connection c, const char *kind, const char *binding, const char *hit,
                       const char *miss)
{
    const amqp_table_t none = amqp_empty_table;
    amqp_bytes_t x = str(kind), y = str("source"), q = own_queue(c);

    CHECK(amqp_exchange_declare(c, 1, x, x, 0, 0, 1, 0, none));
    CHECK(amqp_exchange_declare(c, 1, y, str("fanout"), 0, 0, 1, 0, none));
    CHECK(amqp_queue_bind(c, 1, q, x, str(binding), none));
    CHECK(amqp_exchange_bind(c, 1, x, y, str(""), none));
    publish(c, x, str(hit), NULL, str("in"));
    if (miss)
        publish(c, x, str(miss), NULL, str("out"));
    publish(c, y, str(hit), NULL, str("through"));
    CHECK(amqp_exchange_unbind(c, 1, x, y, str(""), none));
    CHECK(amqp_queue_unbind(c, 1, q, x, str(binding), none));
    send_text(c, q, "end");
    expect(c, 1, q, "in");
    expect(c, 1, q, "through");
    expect(c, 1, q, "end");
}

static void exchanges(void)
{
    connection c = dial(0);
    amqp_table_entry_t both[3] = {text_entry("a", str("1")), text_entry("b", str("two")),
                                  text_entry("x-match", str("all"))};
    amqp_basic_properties_t sent = {._flags = AMQP_BASIC_HEADERS_FLAG, .headers = {2, both}};
    amqp_bytes_t q = own_queue(c);

    check_kind(c, "direct", "k", "k", "l");
    check_kind(c, "topic", "a.*.#", "a.b.c", "b.a");
    check_kind(c, "fanout", "", "any", NULL);
    CHECK(amqp_queue_bind(c, 1, q, str("amq.headers"), str(""), (amqp_table_t){3, both}));
    publish(c, str("amq.headers"), str(""), &sent, str("both"));
    sent.headers.num_entries = 1;
    publish(c, str("amq.headers"), str(""), &sent, str("one"));
    send_text(c, q, "end");
    expect(c, 1, q, "both");
    expect(c, 1, q, "end");
    hang_up(c);
}

static void queues(void)
{
    connection owner = dial(0), c = dial(0);
    amqp_bytes_t q = declare(owner, amqp_empty_table, false);
    int code;

    CHECK(starts(q, "amq.gen-"));
    CHECK(!passive(c, 1, q));
    closed(c, &code);
    CHECK(code == 405);
    hang_up(owner);
    CHECK(!passive(c, 1, q));
    CHECK(starts(closed(c, &code), "NOT_FOUND - no queue 'amq.gen-") && code == 404);
    hang_up(c);
}

static void cancel_notify(void)
{
    connection c = dial(0), other = dial(0);
    amqp_bytes_t q = str("interop.cancelled");

    CHECK(amqp_queue_declare(c, 1, q, 0, 0, 0, 0, amqp_empty_table));
    consume(c, q, false);
    CHECK(amqp_queue_delete(other, 1, q, 0, 0));
    const amqp_basic_cancel_t *cancel = next_method(c, AMQP_BASIC_CANCEL_METHOD);
    CHECK(same(cancel->consumer_tag, "mine"));
    hang_up(other);
    hang_up(c);
}

static void channel_error(void)
{
    connection c = dial(0);
    amqp_bytes_t q = own_queue(c), x = str("interop.x");
    int code;

    CHECK(!passive(c, 1, str("missing")));
    CHECK(same(closed(c, &code), "NOT_FOUND - no queue 'missing' in vhost '/'") && code == 404);
    CHECK(amqp_exchange_declare(c, 1, x, str("direct"), 0, 0, 0, 0, amqp_empty_table));
    CHECK(!amqp_exchange_declare(c, 1, x, str("fanout"), 0, 0, 0, 0, amqp_empty_table));
    CHECK(same(closed(c, &code), "PRECONDITION_FAILED - inequivalent arg 'type' for exchange "
                                 "'interop.x' in vhost '/': received 'fanout' but current is "
                                 "'direct'"));
    CHECK(code == 406 && amqp_exchange_delete(c, 1, x, 0));
    send_text(c, q, "x");
    expect(c, 1, q, "x");
    hang_up(c);
}

static void large_body(void)
{
    connection c = dial(0);
    amqp_bytes_t q = own_queue(c), body = amqp_bytes_malloc(LARGE);
    amqp_envelope_t envelope;

    CHECK(body.bytes);
    for (unsigned at = 0; at < LARGE; at++)
        ((unsigned char *)body.bytes)[at] = (unsigned char)(at % 65537 * 7 + at % 65537 / 256);
    publish(c, amqp_empty_bytes, q, NULL, body);
    consume(c, q, true);
    next_delivery(c, &envelope);
    CHECK(envelope.message.body.len == LARGE);
    CHECK(memcmp(envelope.message.body.bytes, body.bytes, LARGE) == 0);
    hang_up(c);
}

static void reply_to(void)
{
    connection c = dial(0), server = dial(0);
    amqp_bytes_t q = own_queue(server);
    amqp_basic_get_ok_t got;
    amqp_envelope_t answer;

    consume(c, str(REPLY_TO), true);
    for (char body[3] = "0?"; body[0] < '3'; body[0]++) {
        amqp_basic_properties_t asked = {._flags = AMQP_BASIC_REPLY_TO_FLAG,
                                         .reply_to = str(REPLY_TO)};
        publish(c, amqp_empty_bytes, q, &asked, str(body));
        amqp_message_t question = get(server, 1, q, true, &got);
        CHECK(same(question.body, body));
        publish(server, amqp_empty_bytes, question.properties.reply_to, NULL, question.body);
        next_delivery(c, &answer);
        CHECK(same(answer.message.body, body));
    }
    hang_up(server);
    hang_up(c);
}

/* A program that connects again when its connection has ended, and does again what was not done then. What it has
 * published, each attempt a message of its own: is it confirmed, has it come, has it come as new? */
#define BEFORE 10
#define HELD 3
#define MEANWHILE 200
#define AFTER 210
#define ATTEMPTS_MAX 10000

static struct {
    connection c;
    amqp_bytes_t queue;
    int attempts;
    struct attempt {
        bool is_confirmed, is_seen, came_new;
    } all[ATTEMPTS_MAX];
} program;

static void lose(void)
{
    if (program.c)
        amqp_destroy_connection(program.c);
    program.c = NULL;
    usleep(50000);
}

static bool program_opens(void)
{
    if (program.c)
        return true;
    program.c = amqp_new_connection();
    amqp_socket_t *socket = amqp_tcp_socket_new(program.c);
    if (amqp_socket_open(socket, "127.0.0.1", atoi(getenv("AMQP_PORT"))) == AMQP_STATUS_OK &&
        amqp_login(program.c, "/", 0, 131072, 0, AMQP_SASL_METHOD_PLAIN, "guest", "guest").reply_type ==
            AMQP_RESPONSE_NORMAL &&
        amqp_channel_open(program.c, 1) && amqp_confirm_select(program.c, 1) &&
        amqp_queue_declare(program.c, 1, program.queue, 0, 1, 0, 0, amqp_empty_table))
        return true;
    lose();
    return false;
}

static bool is_confirmed_next(void)
{
    struct timeval patience = {PATIENCE, 0};
    amqp_frame_t frame;

    return amqp_simple_wait_frame_noblock(program.c, &frame, &patience) == AMQP_STATUS_OK &&
           frame.frame_type == AMQP_FRAME_METHOD && frame.payload.method.id == AMQP_BASIC_ACK_METHOD;
}

static void publish_surely(int from, int to)
{
    amqp_basic_properties_t persistent = {._flags = AMQP_BASIC_DELIVERY_MODE_FLAG, .delivery_mode = 2};
    char body[32];

    for (int number = from; number < to;) {
        if (!program_opens())
            continue;
        CHECK(program.attempts < ATTEMPTS_MAX);
        int attempt = program.attempts++;
        snprintf(body, sizeof(body), "%d.%d", number, attempt);
        if (amqp_basic_publish(program.c, 1, amqp_empty_bytes, program.queue, 1, 0, &persistent, str(body)) ==
                AMQP_STATUS_OK &&
            is_confirmed_next()) {
            program.all[attempt].is_confirmed = true;
            amqp_maybe_release_buffers(program.c);
            number++;
        } else {
            lose();
        }
    }
}

/* The tag of a message; 0: there is none, or the connection has ended. */
static uint64_t take(void)
{
    amqp_message_t message;
    char body[32] = "";
    int number, at;

    if (!program_opens())
        return 0;
    amqp_rpc_reply_t reply = amqp_basic_get(program.c, 1, program.queue, 0);
    if (reply.reply_type == AMQP_RESPONSE_NORMAL && reply.reply.id == AMQP_BASIC_GET_EMPTY_METHOD)
        return 0;
    if (reply.reply_type != AMQP_RESPONSE_NORMAL) {
        lose();
        return 0;
    }
    amqp_basic_get_ok_t got = *(amqp_basic_get_ok_t *)reply.reply.decoded;
    if (amqp_read_message(program.c, 1, &message, 0).reply_type != AMQP_RESPONSE_NORMAL) {
        lose();
        return 0;
    }
    CHECK(message.body.len < sizeof(body));
    memcpy(body, message.body.bytes, message.body.len);
    CHECK(sscanf(body, "%d.%d", &number, &at) == 2 && at >= 0 && at < program.attempts);
    struct attempt *attempt = &program.all[at];
    CHECK(got.redelivered || !attempt->came_new);
    attempt->is_seen = true;
    attempt->came_new = attempt->came_new || !got.redelivered;
    amqp_destroy_message(&message);
    amqp_maybe_release_buffers(program.c);
    return got.delivery_tag;
}

static void ack(uint64_t tag, bool multiple)
{
    if (amqp_basic_ack(program.c, 1, tag, multiple) != AMQP_STATUS_OK)
        lose();
}

/* How many attempts were confirmed; *lost: how many of these have not come. */
static int confirmed(int *lost)
{
    int count = *lost = 0;

    for (int i = 0; i < program.attempts; i++) {
        count += program.all[i].is_confirmed;
        *lost += program.all[i].is_confirmed && !program.all[i].is_seen;
    }
    return count;
}

static void said(const char *line)
{
    char got[32];

    CHECK(fgets(got, sizeof(got), stdin) && strcmp(got, line) == 0);
}

static void failover(void)
{
    time_t deadline;
    uint64_t tag = 0;
    int lost;

    program.queue = str("interop.failover");
    publish_surely(0, BEFORE);
    connection first = program.c;
    for (int i = 0; i < HELD; i++)
        tag = take();
    int before = program.attempts;
    printf("failover\n");
    fflush(stdout);
    said("failing\n");
    publish_surely(BEFORE, MEANWHILE);
    said("restarted\n");
    publish_surely(MEANWHILE, AFTER);
    /* What was freed may be at the same place. */
    if (program.c == first && program.attempts == before + AFTER - BEFORE)
        ack(tag, true);
    for (deadline = time(NULL) + PATIENCE; confirmed(&lost) && lost > 0 && time(NULL) < deadline;) {
        tag = take();
        if (tag)
            ack(tag, false);
    }
    CHECK(confirmed(&lost) == AFTER && lost == 0);
    CHECK(program_opens() && amqp_queue_delete(program.c, 1, program.queue, 0, 0));
    hang_up(program.c);
}

static void tls(void)
{
    connection c = amqp_new_connection();
    amqp_socket_t *socket = amqp_ssl_socket_new(c);

    CHECK(socket && amqp_ssl_socket_set_cacert(socket, getenv("AMQP_CA")) == AMQP_STATUS_OK);
    amqp_ssl_socket_set_verify_peer(socket, 1);
    amqp_ssl_socket_set_verify_hostname(socket, 1);
    open_channel(c, log_in(c, socket, "localhost", "AMQP_TLS_PORT", "guest", 0));
    amqp_bytes_t q = own_queue(c);
    send_text(c, q, "x");
    expect(c, 1, q, "x");
    hang_up(c);
}

static const struct {
    const char *name;
    void (*run)(void);
} scenarios[] = {
    {"login", login},
    {"wrong-password", wrong_password},
    {"heartbeats", heartbeats},
    {"properties", properties},
    {"headers", headers},
    {"confirms", confirms},
    {"mandatory", mandatory},
    {"prefetch", prefetch},
    {"acks", acks},
    {"dead-letter", dead_letter},
    {"transactions", transactions},
    {"exchanges", exchanges},
    {"queues", queues},
    {"cancel-notify", cancel_notify},
    {"channel-error", channel_error},
    {"large-body", large_body},
    {"failover", failover},
    {"reply-to", reply_to},
    {"tls", tls},
};

static bool passes(void (*run)(void))
{
    int status;

    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        alarm(2 * PATIENCE);
        run();
        _exit(0);
    }
    return child > 0 && waitpid(child, &status, 0) == child && status == 0;
}

int main(void)
{
    const int count = (int)(sizeof scenarios / sizeof *scenarios);

    for (int i = 0; i < count; i++)
        printf("%sok %d - %s\n", passes(scenarios[i].run) ? "" : "not ", i + 1, scenarios[i].name);
    printf("1..%d\n", count);
    return 0;
}
