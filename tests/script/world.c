#include "tests/script/world.h"

#include <stdio.h>
#include <stdlib.h>

#include "amqp/frame.h"
#include "amqp/text.h"
#include "base/log_line.h"
#include "base/mem.h"
#include "broker/login.h"
#include "tests/lib/disk_memory.h"
#include "tests/lib/kv_memory.h"
#include "tests/lib/tap.h"

enum { ROUNDS_MAX = 2000, INPUT_MAX = 256 * 1024, STEP_MS = 100, LOGGED_MAX = 1 << 20 };

static const uint64_t wall_clock_ms = 1600000000000;

static void take_line(void *context, const struct log_record *record)
{
    struct world *world = context;
    char line[LOG_LINE_MAX + 1];
    log_line_text(record, line);
    if (world->is_verbose)
        printf("# %s %s\n", log_level_name(record->level), line);
    if (world->logged.size > LOGGED_MAX)
        buffer_free(&world->logged);
    buffer_add(&world->logged, line, strlen(line));
    buffer_add(&world->logged, "\n", 1);
}

bool world_has_logged(struct world *world, const char *text)
{
    buffer_add(&world->logged, "", 1);
    bool has = strstr((const char *)world->logged.data, text);
    buffer_free(&world->logged);
    return has;
}

static void start(struct world *world)
{
    char error[500];
    message_pool_init(&world->pool);
    world->syncer = worker_manual_new(false);
    world->indexer = worker_manual_new(false);
    world->reader = worker_manual_new(false);
    world->checker = worker_manual_new(false);
    struct store_options *options = &world->store_options;
    options->disk = world->disk;
    options->kv = world->kv;
    options->syncer = world->syncer;
    options->indexer = world->indexer;
    options->reader = world->reader;
    options->pool = &world->pool;
    options->log = &world->log;
    world->store = store_open(options, world->now_ms, error, sizeof(error));
    if (!world->store)
        bail("the store did not open: %s", error);
    broker_init(&world->broker, world->store, &world->pool, &world->random, &world->log, world->now_ms);
    logins_begin(&world->broker, world->checker);
    world->broker.clock_ms = wall_clock_ms + world->now_ms;
    if (!broker_restore(&world->broker, error, sizeof(error)))
        bail("the broker did not start: %s", error);
    world->server = server_new(&world->options, &world->broker, world->now_ms);
    world->service = server_service(world->server);
}

void world_new(struct world *world, bool verbose)
{
    *world = (struct world){.now_ms = 1000};
    world->is_verbose = verbose;
    world->log.sink = take_line;
    world->log.context = world;
    random_init(&world->random, 42);
    world->disk = disk_memory_new();
    world->kv = kv_memory_new();
    server_options_default(&world->options);
    world->options.version = "1.2.3";
    store_options_default(&world->store_options);
    world->store_options.segment_bytes = 1 << 20;
    world->store_options.disk_reserve_bytes = 1 << 20;
    start(world);
}

static void drop_clients(struct world *world)
{
    for (int i = 0; i < CLIENTS_MAX; i++) {
        struct client *client = &world->clients[i];
        buffer_free(&client->in);
        buffer_free(&client->out);
        *client = (struct client){0};
    }
}

static void stop(struct world *world, bool keep)
{
    drop_clients(world);
    server_free(world->server);
    broker_free(&world->broker);
    if (keep) {
        store_close(world->store);
    } else {
        world->syncer->ops->drain(world->syncer);
        world->indexer->ops->drain(world->indexer);
        world->reader->ops->drain(world->reader);
        store_abandon(world->store);
    }
    worker_manual_free(world->syncer);
    worker_manual_free(world->indexer);
    worker_manual_free(world->reader);
    worker_manual_free(world->checker);
    message_pool_free(&world->pool);
}

void world_free(struct world *world)
{
    stop(world, true);
    disk_memory_free(world->disk);
    kv_memory_free(world->kv);
    buffer_free(&world->logged);
}

void world_restart(struct world *world, bool crash)
{
    if (crash) {
        disk_memory_fail(world->disk, 1, 5, true);
        stop(world, false);
        disk_memory_fail(world->disk, 0, 0, false);
        disk_memory_crash(world->disk, CRASH_DROP, &world->random);
        kv_memory_crash(world->kv, false, NULL);
    } else {
        stop(world, true);
    }
    world->is_syncer_held = world->is_reader_held = false;
    world->turns_max = 0;
    start(world);
}

void world_dial(struct world *world, struct client *client, bool is_loopback)
{
    struct peer peer = {
        .is_loopback = is_loopback, .is_relayed = client->is_relayed, .is_resumed = client->is_resumed};
    snprintf(peer.name, sizeof(peer.name), "peer:%d", (int)(client - world->clients) + 1);
    snprintf(peer.local, sizeof(peer.local), "broker:5672");
    buffer_free(&client->in);
    buffer_free(&client->out);
    client->is_deaf = client->is_corked = false;
    client->connection = service_accept(world->service, &peer, client);
}

void world_add_method(struct buffer *out, uint16_t channel, const char *text)
{
    struct buffer memory = {0};
    union method method;
    struct text_given given;
    if (!text_read_method(bytes_str(text), &memory, &method, &given))
        bail("not a method: %s", text);
    size_t size = frame_method_size(&method);
    struct writer writer = writer_of(buffer_room(out, size), size);
    frame_write_method(&writer, channel, &method);
    buffer_added(out, size);
    buffer_free(&memory);
}

void world_log_in(struct world *world, struct client *client)
{
    struct buffer *out = &client->out;
    world_dial(world, client, true);
    buffer_add(out, protocol_header, PROTOCOL_HEADER_SIZE);
    world_add_method(out, 0, "connection.start-ok mechanism=PLAIN "
                             "response=\"\\x00guest\\x00guest\" locale=en_US "
                             "client_properties={capabilities:table "
                             "{consumer_cancel_notify:bool true}}");
    world_add_method(out, 0, "connection.tune-ok channel_max=2047 frame_max=131072 heartbeat=0");
    world_add_method(out, 0, "connection.open virtual_host=/");
    world_add_method(out, 1, "channel.open");
    world_settle(world);
}

void world_hang_up(struct client *client)
{
    if (client->connection)
        conversation_free(client->connection);
    client->connection = NULL;
}

/* Takes what the broker sends to one connection; frees it when it is finished. */
static bool drain(struct conversation *connection)
{
    struct client *client = connection->owner;
    struct iovec parts[7];
    int count;
    bool progress = false;
    while (!client->is_deaf && (count = conversation_output(connection, parts, 7)) > 0) {
        size_t size = 0;
        for (int i = 0; i < count; i++) {
            buffer_add(&client->in, parts[i].iov_base, parts[i].iov_len);
            size += parts[i].iov_len;
        }
        conversation_sent(connection, size);
        progress = true;
    }
    if (conversation_is_finished(connection))
        world_hang_up(client);
    return progress;
}

static bool can_feed(const struct client *client)
{
    return client->connection && client->out.size && !client->is_corked &&
           conversation_wants_input(client->connection);
}

static bool feed(struct client *client)
{
    if (!can_feed(client))
        return false;
    size_t size = client->out.size < INPUT_MAX ? client->out.size : INPUT_MAX;
    conversation_input(client->connection, bytes_of(client->out.data, size));
    buffer_drop(&client->out, size);
    return true;
}

static bool step(struct worker *worker)
{
    bool progress = false;
    while (worker_step(worker))
        progress = true;
    return progress;
}

void world_settle(struct world *world)
{
    bool progress = true;
    int turns_max = world->turns_max ? world->turns_max : ROUNDS_MAX;
    for (int round = 0; progress && round < turns_max; round++) {
        struct conversation *connection;
        progress = false;
        service_woken(world->service, world->now_ms);
        for (int i = 0; i < CLIENTS_MAX; i++)
            progress |= feed(&world->clients[i]);
        for (int i = 0; i < CLIENTS_MAX; i++)
            if (world->clients[i].connection)
                progress |= drain(world->clients[i].connection);
        service_tick(world->service, world->now_ms, wall_clock_ms + world->now_ms);
        while ((connection = service_take_writable(world->service)))
            progress |= drain(connection);
        if (!world->is_syncer_held)
            progress |= step(world->syncer);
        progress |= step(world->indexer);
        if (!world->is_reader_held)
            progress |= step(world->reader);
        if (!world->is_checker_held)
            progress |= step(world->checker);
        progress |= service_next_ms(world->service) <= world->now_ms;
        for (int i = 0; i < CLIENTS_MAX; i++)
            progress |= can_feed(&world->clients[i]);
    }
}

/* Years go in longer steps: each is a thousandth of what is left. */
void world_advance(struct world *world, uint64_t ms)
{
    while (ms) {
        uint64_t step = ms / 1000 > STEP_MS ? ms / 1000 : STEP_MS;
        uint64_t now = ms < step ? ms : step;
        world->now_ms += now;
        ms -= now;
        world_settle(world);
    }
}
