/* A broker's model over a store in memory: how it is made, and short ways to ask it things. */
#include "tests/lib/broker_bench.h"
#include "amqp_more.h"

#include <stdio.h>
#include <stdlib.h>

static void build(struct bench *bench)
{
    char error[300] = "";
    broker_init(&bench->broker, bench->store, &bench->pool, &bench->random, &bench->log, 0);
    bench->broker.clock_ms = UINT64_C(1700000000123);
    if (!broker_restore(&bench->broker, error, sizeof(error)))
        bail("restore: %s", error);
    bench->vhost = vhost_find(&bench->broker, bytes_str("/"));
}

void bench_new(struct bench *bench)
{
    *bench = (struct bench){0};
    message_pool_init(&bench->pool);
    random_init(&bench->random, 42);
    bench->store = store_fake_new(&bench->pool);
    build(bench);
}

void bench_free(struct bench *bench)
{
    queue_set_free(&bench->set);
    broker_free(&bench->broker);
    store_fake_free(bench->store);
    message_pool_free(&bench->pool);
}

void bench_restart(struct bench *bench)
{
    queue_set_free(&bench->set);
    broker_free(&bench->broker);
    store_fake_restart(bench->store);
    build(bench);
}

void bench_turn_at(struct bench *bench, uint64_t ms, uint64_t clock_ms)
{
    bench->now_ms += ms;
    bench->broker.turn = budget_of(2 * BUDGET_MS);
    broker_tick(&bench->broker, bench->now_ms, clock_ms);
}

void bench_turn(struct bench *bench, uint64_t ms)
{
    bench_turn_at(bench, ms, BENCH_CLOCK_MS + bench->now_ms + ms);
}

struct queue *bench_begin(struct bench *bench, const char *arguments)
{
    bench_new(bench);
    bench_turn(bench, 0);
    bench_queue(bench, "dead", "d", NULL);
    return bench_queue(bench, "q", "d", arguments);
}

const char *bench_text(struct bench *bench)
{
    bench->text[0] = '\0';
    if (bench->error.code)
        snprintf(bench->text, sizeof(bench->text), "%u %s", bench->error.code,
                 bench->error.detail);
    bench->error.code = 0;
    return bench->text;
}

static void add_array(struct table_writer *writer, struct bytes name, char *items)
{
    char *state;
    table_begin_array(writer, name);
    for (char *item = strtok_r(items, ",", &state); item; item = strtok_r(NULL, ",", &state))
        table_add_string(writer, bytes_of(NULL, 0), bytes_str(item));
    table_end(writer);
}

static void add_field(struct table_writer *writer, struct bytes name, char type, char *value)
{
    switch (type) {
    case 't':
        table_add_bool(writer, name, *value == '1');
        break;
    case 'I':
        table_add_int32(writer, name, (int32_t)atoi(value));
        break;
    case 'l':
        table_add_int64(writer, name, atoll(value));
        break;
    case 'S':
        table_add_string(writer, name, bytes_str(value));
        break;
    case 'T':
        table_add_timestamp(writer, name, strtoull(value, NULL, 10));
        break;
    case 'V':
        table_add_void(writer, name);
        break;
    case 'A':
        add_array(writer, name, value);
        break;
    default:
        bail("no such type: %c", type);
    }
}

struct bytes bench_table(const char *text)
{
    static uint8_t memory[9][4096];
    static size_t next;
    char copy[2048];
    struct buffer out = {0};
    struct table_writer writer;
    if (!text || !*text)
        return bytes_of(NULL, 0);
    snprintf(copy, sizeof(copy), "%s", text);
    table_writer_init(&writer, &out);
    char *state;
    for (char *item = strtok_r(copy, " ", &state); item; item = strtok_r(NULL, " ", &state)) {
        char *equal = strchr(item, '=');
        add_field(&writer, bytes_of(item, (size_t)(equal - item)), equal[1], equal + 2);
    }
    if (out.size > sizeof(memory[0]))
        bail("a table too large for bench_table");
    next = (next + 1) % 9;
    memcpy(memory[next], out.data, out.size);
    size_t size = out.size;
    buffer_free(&out);
    return bytes_of(memory[next], size);
}

struct queue *bench_queue(struct bench *bench, const char *name, const char *what,
                          const char *arguments)
{
    struct queue_declare declare = {
        .name = bytes_str(name),
        .passive = strchr(what, 'p'),
        .durable = strchr(what, 'd'),
        .exclusive = strchr(what, 'x'),
        .auto_delete = strchr(what, 'a'),
        .generated = strchr(what, 'g'),
        .arguments = bench_table(arguments),
        .connection_id = strchr(what, '2') ? 2 : 1,
    };
    bool created;
    return queue_declare(bench->vhost, &declare, &created, &bench->error);
}

struct exchange *bench_exchange(struct bench *bench, const char *name, const char *type,
                                const char *what, const char *arguments)
{
    struct exchange_declare declare = {
        .name = bytes_str(name),
        .type = bytes_str(type),
        .passive = strchr(what, 'p'),
        .durable = strchr(what, 'd'),
        .internal = strchr(what, 'i'),
        .auto_delete = strchr(what, 'a'),
        .arguments = bench_table(arguments),
    };
    return exchange_declare(bench->vhost, &declare, &bench->error);
}

static struct binding_request request_of(struct bench *bench, const char *source,
                                         const char *destination, const char *key,
                                         const char *arguments)
{
    struct queue *queue = vhost_queue(bench->vhost, bytes_str(destination));
    return (struct binding_request){
        .source = bytes_str(source),
        .queue = queue,
        .exchange = queue ? NULL : vhost_exchange(bench->vhost, bytes_str(destination)),
        .key = bytes_str(key),
        .arguments = bench_table(arguments),
    };
}

bool bench_bind(struct bench *bench, const char *source, const char *destination, const char *key,
                const char *arguments)
{
    struct binding_request request = request_of(bench, source, destination, key, arguments);
    return binding_add(bench->vhost, &request, &bench->error);
}

bool bench_unbind(struct bench *bench, const char *source, const char *destination,
                  const char *key, const char *arguments)
{
    struct binding_request request = request_of(bench, source, destination, key, arguments);
    return binding_remove(bench->vhost, &request, &bench->error);
}

struct message *bench_message(struct bench *bench, const char *exchange, const char *key,
                              const char *headers, const char *expiration, const char *body)
{
    struct properties properties = {.flags = PROPERTY_CONTENT_TYPE | PROPERTY_DELIVERY_MODE,
                                    .content_type = bytes_str("text/plain"),
                                    .delivery_mode = 2};
    uint8_t bytes[8192] = {0};
    size_t size = 2;
    if (headers) {
        properties.flags |= PROPERTY_HEADERS;
        properties.headers = bench_table(headers);
    }
    if (expiration) {
        properties.flags |= PROPERTY_EXPIRATION;
        properties.expiration = bytes_str(expiration);
    }
    if (headers || expiration) {
        size = properties_size(&properties);
        struct writer writer = writer_of(bytes, sizeof(bytes));
        properties_write(&writer, &properties);
    }
    struct message *message = message_new(&bench->pool, bytes_str(exchange), bytes_str(key),
                                          bytes_of(bytes, size), (uint32_t)strlen(body));
    message_fill(message, bytes_str(body));
    message->flags = MESSAGE_PERSISTENT;
    if (expiration)
        message->ttl_ms = strtoull(expiration, NULL, 10);
    return message;
}

size_t bench_publish(struct bench *bench, const char *exchange, const char *key,
                     const char *headers, const char *expiration, const char *body)
{
    struct message *message = bench_message(bench, exchange, key, headers, expiration, body);
    struct exchange *to = vhost_need_exchange(bench->vhost, bytes_str(exchange), &bench->error);
    bench->published = publish(to, message, &bench->set);
    message_unref(&bench->pool, message);
    return bench->published.queues;
}

uint64_t bench_ready(struct bench *bench, const char *queue)
{
    struct queue *found = vhost_queue(bench->vhost, bytes_str(queue));
    return found ? found->counts->ready : 0;
}
