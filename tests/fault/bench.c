#include "tests/fault/bench.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/mem.h"
#include "tests/lib/store_audit.h"
#include "tests/lib/tap.h"

void bench_init(struct bench *bench)
{
    *bench = (struct bench){.memory = disk_memory_new(), .kv = kv_memory_new(), .now_ms = 1000};
    disk_observed_init(&bench->observed, bench->memory);
    bench->syncer = worker_manual_new(false);
    bench->indexer = worker_manual_new(false);
    bench->reader = worker_manual_new(false);
    message_pool_init(&bench->pool);
    random_init(&bench->random, 7);
    store_options_default(&bench->options);
    bench->options.disk = &bench->observed.disk;
    bench->options.kv = bench->kv;
    bench->options.syncer = bench->syncer;
    bench->options.indexer = bench->indexer;
    bench->options.reader = bench->reader;
    bench->options.pool = &bench->pool;
    bench->options.segment_bytes = 16384;
    bench->options.disk_reserve_bytes = 0;
}

void bench_open(struct bench *bench)
{
    char error[600];
    bench->store = store_open(&bench->options, bench->now_ms, error, sizeof(error));
    if (!bench->store)
        bail("the store does not open: %s", error);
    for (int q = 0; q < BENCH_QUEUES; q++) {
        uint64_t id = (uint64_t)q + 1;
        if (bench->store->id_last < id)
            id = store_queue_id(bench->store, true);
        bench->queue[q] = store_queue(bench->store, id, bench);
    }
}

void bench_crash(struct bench *bench, enum crash how)
{
    store_abandon(bench->store);
    bench->store = NULL;
    disk_memory_crash(bench->memory, how, &bench->random);
    kv_memory_crash(bench->kv, how == CRASH_KEEP, NULL);
}

void bench_free(struct bench *bench)
{
    bench->is_syncer_held = bench->is_reader_held = false;
    if (bench->store)
        store_close(bench->store);
    worker_manual_free(bench->syncer);
    worker_manual_free(bench->indexer);
    worker_manual_free(bench->reader);
    disk_memory_free(bench->memory);
    kv_memory_free(bench->kv);
    message_pool_free(&bench->pool);
}

static void turn(struct bench *bench, uint64_t ms)
{
    bench->now_ms += ms;
    while ((!bench->is_syncer_held && worker_step(bench->syncer)) || worker_step(bench->indexer) ||
           (!bench->is_reader_held && worker_step(bench->reader)))
        continue;
    store_tick(bench->store, bench->now_ms);
    const char *fault = store_audit(bench->store);
    if (fault) {
        ok(false, "what must hold of a store: %s", fault);
        bail("it cannot go on");
    }
    while (store_take_awake(bench->store))
        continue;
}

void bench_turns(struct bench *bench, int count, uint64_t ms)
{
    for (int i = 0; i < count; i++)
        turn(bench, ms);
}

void bench_wait(struct bench *bench)
{
    struct ticket ticket = store_ticket(bench->store);
    store_want(bench->store, ticket);
    for (int i = 0; i < 100; i++)
        if (store_ticket_state(bench->store, ticket) == TICKET_PENDING)
            turn(bench, 1);
}

void bench_publish(struct bench *bench, unsigned mask, uint32_t size)
{
    struct index *queues[BENCH_QUEUES];
    size_t count = 0;
    for (int q = 0; q < BENCH_QUEUES; q++)
        if (mask >> q & 1)
            queues[count++] = bench->queue[q];
    struct message *message = message_new(&bench->pool, bytes_str(""), bytes_str("a queue"),
                                          bytes_of("\0\0", 2), size);
    memset(message_body_start(message), 'x', size);
    message->body_filled = size;
    message->flags = MESSAGE_PERSISTENT;
    store_publish(bench->store, message, queues, count);
    message_unref(&bench->pool, message);
}

uint64_t bench_take(struct bench *bench, int queue, bool settle)
{
    struct taken taken;
    for (int i = 0; i < 200; i++) {
        enum index_result result = index_take(bench->queue[queue], settle, &taken);
        if (result == INDEX_OK) {
            message_unref(&bench->pool, taken.message);
            return taken.sequence;
        }
        if (result == INDEX_EMPTY)
            return 0;
        turn(bench, 1);
    }
    return 0;
}

void bench_take_all(struct bench *bench, int queue)
{
    while (bench_take(bench, queue, true))
        continue;
}

enum index_result bench_fetch(struct bench *bench, int queue, uint64_t sequence)
{
    struct message *message;
    for (int i = 0; i < 200; i++) {
        enum index_result result = index_fetch(bench->queue[queue], sequence, &message);
        if (result == INDEX_OK)
            message_unref(&bench->pool, message);
        if (result != INDEX_WAIT)
            return result;
        turn(bench, 1);
    }
    return INDEX_WAIT;
}

bool bench_has_file(struct bench *bench, const char *name)
{
    uint64_t size;
    return disk_memory_contents(bench->memory, name, &size) != NULL;
}

void bench_print_line(void *context, const char *line)
{
    (void)context;
    if (getenv("VERBOSE"))
        diag("%s", line);
}

void bench_histories(int argc, char **argv, uint64_t count, const char *what,
                     bool (*history)(uint64_t seed, void *met), void *met)
{
    uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
    if (argc > 2)
        count = strtoull(argv[2], NULL, 10);
    for (uint64_t i = 0; i < count; i++)
        ok(history(seed + i, met), "%s, in history %" PRIu64, what, seed + i);
}
