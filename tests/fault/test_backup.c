/* A copy of a store that goes on being used has what was durable when it began, and nothing that
 * had been settled by then; it is durable itself, and opens as any store does. */
#include <stdio.h>

#include "base/mem.h"
#include "tests/fault/bench.h"
#include "tests/lib/tap.h"

enum { MESSAGES_MAX = 4096, SIZE_MAX_OF_BODIES = 3000 };

/* What is known of the messages of a queue, by their sequence numbers, which rise by one. */
struct known {
    uint64_t published;
    uint64_t published_before; /* when the copy began */
    bool is_settled[MESSAGES_MAX + 1];
    bool was_settled[MESSAGES_MAX + 1]; /* when it began */
};

struct met {
    uint64_t checkpoints, retired, during, ended;
};

struct history {
    struct bench *bench;
    struct random random;
    struct known known[BENCH_QUEUES];
    struct store_backup backup;
};

static void publish(struct history *history)
{
    unsigned mask = 1 + (unsigned)random_below(&history->random, (1 << BENCH_QUEUES) - 1);
    bench_publish(history->bench, mask,
                  (uint32_t)random_below(&history->random, SIZE_MAX_OF_BODIES));
    for (int i = 0; i < BENCH_QUEUES; i++)
        history->known[i].published += mask >> i & 1;
}

static void settle(struct history *history)
{
    int queue = (int)random_below(&history->random, BENCH_QUEUES);
    uint64_t sequence = bench_take(history->bench, queue, true);
    history->known[queue].is_settled[sequence] = true;
}

/* Time goes by in small steps, and at times in such that a checkpoint is due. */
static void act(struct history *history, uint64_t count)
{
    for (uint64_t i = 0; i < count && history->known[0].published < MESSAGES_MAX - 8; i++) {
        uint64_t what = random_below(&history->random, 12);
        if (what < 5)
            publish(history);
        else if (what < 9)
            settle(history);
        else
            bench_turns(history->bench, 1, what < 11 ? 1 : 40000);
    }
}

static void note_before(struct history *history)
{
    for (int i = 0; i < BENCH_QUEUES; i++) {
        struct known *known = &history->known[i];
        known->published_before = known->published;
        memcpy(known->was_settled, known->is_settled, sizeof(known->was_settled));
    }
}

/* What the copy has of a queue: nothing that was settled before, all that was there before and
 * still is, in order. */
static bool is_right(struct history *history, struct bench *copy, int queue)
{
    const struct known *known = &history->known[queue];
    uint64_t sequence, last = 0;
    while ((sequence = bench_take(copy, queue, true))) {
        if (sequence <= last || sequence > known->published || known->was_settled[sequence])
            return false;
        for (uint64_t missed = last + 1; missed < sequence; missed++)
            if (missed <= known->published_before && !known->is_settled[missed])
                return false;
        last = sequence;
    }
    for (uint64_t missed = last + 1; missed <= known->published_before; missed++)
        if (!known->is_settled[missed])
            return false;
    return true;
}

static void make_copy(struct history *history, struct bench *copy, struct met *met)
{
    struct store_backup *backup = &history->backup;
    const struct store_stats *stats = &history->bench->store->stats;
    *backup = (struct store_backup){
        .disk = copy->memory, .kv = copy->kv, .worker = worker_manual_new(false)};
    note_before(history);
    store_backup(history->bench->store, backup);
    uint64_t before = stats->checkpoints;
    uint64_t batches = stats->batches;
    act(history, random_below(&history->random, 60));
    for (int i = 0; i < 100 && backup->state == STORE_BACKUP_GOES_ON; i++) {
        worker_step(backup->worker);
        act(history, random_below(&history->random, 4));
        bench_turns(history->bench, 1, 1);
    }
    met->during += stats->batches - batches;
    met->checkpoints += before;
    met->retired += stats->segments_retired;
    worker_manual_free(backup->worker);
}

/* A loss of power comes right behind it. */
static bool opens_and_is_right(struct history *history, struct bench *copy)
{
    disk_memory_crash(copy->memory, CRASH_DROP, &history->random);
    kv_memory_crash(copy->kv, false, NULL);
    bench_open(copy);
    for (int i = 0; i < BENCH_QUEUES; i++)
        if (!is_right(history, copy, i))
            return false;
    return true;
}

static bool backup_history(uint64_t seed, void *context)
{
    struct met *met = context;
    struct bench bench, copy;
    struct history *history = mem_zalloc(sizeof(*history));
    bench_init(&bench);
    bench_init(&copy);
    history->bench = &bench;
    random_init(&history->random, seed);
    bench_open(&bench);
    act(history, random_below(&history->random, 300));
    bench_wait(&bench);
    make_copy(history, &copy, met);
    bool is_good = history->backup.state == STORE_BACKUP_DONE && opens_and_is_right(history, &copy);
    if (!is_good)
        diag("seed %llu: %s", (unsigned long long)seed, history->backup.failure);
    met->ended += is_good;
    bench_free(&copy);
    bench_free(&bench);
    mem_free(history);
    return is_good;
}

TEST(checkpoints_wait_for_it)
{
    struct bench bench, copy;
    bench_init(&bench);
    bench_init(&copy);
    bench_open(&bench);
    struct store_backup backup = {
        .disk = copy.memory, .kv = copy.kv, .worker = worker_manual_new(false)};
    bench_publish(&bench, 1, 100);
    bench_wait(&bench);
    ok(store_backup(bench.store, &backup), "begun");
    ok(!store_backup(bench.store, &backup), "once at a time");
    uint64_t checkpoints = bench.store->stats.checkpoints;
    bench_publish(&bench, 1, 100);
    bench_turns(&bench, 10, 40000);
    is_int(bench.store->stats.checkpoints, checkpoints, "no checkpoint comes between");
    ok(store_next_ms(bench.store) > bench.now_ms, "and nobody turns in vain for one");
    worker_step(backup.worker);
    bench_turns(&bench, 10, 40000);
    is_int(backup.state, STORE_BACKUP_DONE, "done");
    ok(bench.store->stats.checkpoints > checkpoints, "then one does");
    worker_manual_free(backup.worker);
    bench_free(&copy);
    bench_free(&bench);
}

TEST(what_fails_is_told)
{
    struct bench bench, copy;
    bench_init(&bench);
    bench_init(&copy);
    bench_open(&bench);
    bench_publish(&bench, 1, 100);
    bench_wait(&bench);
    uint64_t calls = disk_memory_calls(copy.memory);
    struct store_backup backup = {
        .disk = copy.memory, .kv = copy.kv, .worker = worker_manual_new(true)};
    disk_memory_fail(copy.memory, calls + 1, 5, true);
    store_backup(bench.store, &backup);
    bench_turns(&bench, 4, 1);
    is_int(backup.state, STORE_BACKUP_FAILED, "it fails");
    ok(strstr(backup.failure, "Input/output error") != NULL, "with the reason: %s", backup.failure);
    bench_publish(&bench, 1, 100);
    bench_wait(&bench);
    ok(!store_failure(bench.store), "and the store goes on");
    worker_manual_free(backup.worker);
    bench_free(&copy);
    bench_free(&bench);
}

TEST(a_store_that_is_closed_finishes_it)
{
    struct bench bench, copy;
    bench_init(&bench);
    bench_init(&copy);
    bench_open(&bench);
    bench_publish(&bench, 1, 100);
    bench_wait(&bench);
    struct store_backup backup = {
        .disk = copy.memory, .kv = copy.kv, .worker = worker_manual_new(true)};
    store_backup(bench.store, &backup);
    store_close(bench.store);
    bench.store = NULL;
    is_int(backup.state, STORE_BACKUP_FAILED, "one that has not begun is given up");
    worker_manual_free(backup.worker);
    bench_free(&copy);
    bench_free(&bench);
}

int main(int argc, char **argv)
{
    struct met met = {0};
    RUN(checkpoints_wait_for_it);
    RUN(what_fails_is_told);
    RUN(a_store_that_is_closed_finishes_it);
    bench_histories(argc, argv, 300, "copies", backup_history, &met);
    ok(met.checkpoints && met.retired && met.during,
       "met: %llu checkpoints, %llu segments retired, %llu batches while a copy was made",
       (unsigned long long)met.checkpoints, (unsigned long long)met.retired,
       (unsigned long long)met.during);
    return done();
}
