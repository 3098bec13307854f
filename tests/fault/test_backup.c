/* A copy of a store that goes on being used has what was durable when it began, and nothing that
 * had been settled by then; it is durable itself, and opens as any store does. */
#include <errno.h>
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

static void note_drop(void *context)
{
    ++*(int *)context;
}

TEST(a_store_that_is_closed_does_not_wait_for_it)
{
    for (int has_begun = 0; has_begun < 2; has_begun++) {
        struct bench bench, copy;
        int drops = 0;
        bench_init(&bench);
        bench_init(&copy);
        bench_open(&bench);
        bench_publish(&bench, 1, 100);
        bench_wait(&bench);
        struct store_backup backup = {.disk = copy.memory,
                                      .kv = copy.kv,
                                      .worker = worker_manual_new(false),
                                      .drop = note_drop,
                                      .context = &drops};
        store_backup(bench.store, &backup);
        bench_turns(&bench, has_begun, 1);
        ok((backup.job != NULL) == has_begun, "it goes on");
        store_close(bench.store);
        bench.store = NULL;
        is_int(backup.state, STORE_BACKUP_FAILED, "it was given up");
        is_str(backup.failure, "the store was closed", "why");
        is_int(drops, has_begun, "what was made goes");
        worker_manual_free(backup.worker);
        bench_free(&copy);
        bench_free(&bench);
    }
}

TEST(one_that_is_given_up_ends)
{
    for (int has_begun = 0; has_begun < 2; has_begun++) {
        struct bench bench, copy;
        int drops = 0;
        bench_init(&bench);
        bench_init(&copy);
        bench_open(&bench);
        bench_publish(&bench, 1, 100);
        bench_wait(&bench);
        struct store_backup backup = {.disk = copy.memory,
                                      .kv = copy.kv,
                                      .worker = worker_manual_new(false),
                                      .drop = note_drop,
                                      .context = &drops};
        store_backup(bench.store, &backup);
        bench_turns(&bench, has_begun, 1);
        ok(backup.state == STORE_BACKUP_GOES_ON && (backup.job != NULL) == has_begun, "it goes on");
        backup.unwanted = "it was given up";
        bench_turns(&bench, 1, 1);
        worker_step(backup.worker);
        bench_turns(&bench, 1, 1);
        is_int(backup.state, STORE_BACKUP_FAILED, "it has ended, and is none");
        is_str(backup.failure, "it was given up", "as it says");
        is_int(drops, has_begun, "what was made goes");
        backup.unwanted = NULL;
        store_backup(bench.store, &backup);
        bench_turns(&bench, 1, 1);
        worker_step(backup.worker);
        bench_turns(&bench, 1, 1);
        ok(backup.state == STORE_BACKUP_DONE || has_begun, "another one is made");
        worker_manual_free(backup.worker);
        bench_free(&copy);
        bench_free(&bench);
    }
}

/* A small store, and a copy of it in the making. */
struct copying {
    struct bench bench, copy;
    struct store_backup backup;
};

static void begin_copying(struct copying *copying)
{
    struct bench *bench = &copying->bench;
    bench_init(bench);
    bench_init(&copying->copy);
    memset(bench->options.identity, 3, sizeof(bench->options.identity));
    bench_open(bench);
    for (int i = 0; i < 40; i++) {
        bench_publish(bench, 1, 1000);
        bench_wait(bench);
    }
    bench_turns(bench, 10, 40000);
    for (int i = 0; i < 30; i++) { /* to a file that no checkpoint knows */
        bench_publish(bench, 1, 1000);
        bench_wait(bench);
    }
    copying->backup = (struct store_backup){.disk = copying->copy.memory,
                                            .kv = copying->copy.kv,
                                            .worker = worker_manual_new(true)};
}

static void run_copying(struct copying *copying)
{
    store_backup(copying->bench.store, &copying->backup);
    bench_turns(&copying->bench, 4, 1);
}

static void end_copying(struct copying *copying)
{
    worker_manual_free(copying->backup.worker);
    bench_free(&copying->copy);
    bench_free(&copying->bench);
}

static void find_store_file(void *context, const char *name)
{
    if (strcmp(name, STORE_UNFINISHED) != 0)
        *(bool *)context = true;
}

/* Every call of the disk fails in turn, with all that follow it, and then power is lost. */
TEST(one_that_is_not_finished_says_so)
{
    uint64_t at = 1, unsaid = 0, not_failed = 0, rounds = 0;
    bool is_done = false;
    for (; !is_done && at < 1000; at++, rounds++) {
        struct copying copying;
        bool has_files = false;
        begin_copying(&copying);
        disk_memory_fail(copying.copy.memory, at, EIO, true);
        run_copying(&copying);
        is_done = copying.backup.state == STORE_BACKUP_DONE;
        not_failed += copying.backup.state == STORE_BACKUP_GOES_ON;
        disk_memory_fail(copying.copy.memory, 0, 0, false);
        disk_memory_crash(copying.copy.memory, CRASH_DROP, &copying.bench.random);
        disk_memory_each(copying.copy.memory, find_store_file, &has_files);
        unsaid += !is_done && has_files && !bench_has_file(&copying.copy, STORE_UNFINISHED);
        if (is_done)
            ok(!bench_has_file(&copying.copy, STORE_UNFINISHED), "one that is does not");
        end_copying(&copying);
    }
    ok(is_done && rounds > 10, "%llu calls failed", (unsigned long long)rounds);
    is_int(not_failed, 0, "each of them ended it");
    is_int(unsaid, 0, "and none left what may be taken for a store");
}

TEST(what_the_store_needs_is_spared)
{
    struct copying copying;
    begin_copying(&copying);
    disk_memory_limit(copying.copy.memory, 1 << 20);
    copying.backup.spared_bytes = 1 << 20;
    run_copying(&copying);
    is_int(copying.backup.state, STORE_BACKUP_FAILED, "there is no room beside that");
    ok(strstr(copying.backup.failure, "No space left") != NULL, "it says: %s",
       copying.backup.failure);
    end_copying(&copying);
    begin_copying(&copying);
    disk_memory_limit(copying.copy.memory, 1 << 20);
    copying.backup.spared_bytes = 1 << 18;
    run_copying(&copying);
    is_int(copying.backup.state, STORE_BACKUP_DONE, "there is");
    end_copying(&copying);
}

/* ---- a store of its own ---- */

static void find_segments(void *context, const char *name)
{
    uint32_t number = segment_number(name), *last = context;
    if (number > *last)
        *last = number;
}

static void adopt(struct copying *copying)
{
    uint8_t id[IDENTITY_SIZE];
    char error[300] = "";
    memset(id, 7, sizeof(id));
    run_copying(copying);
    ok(store_copy_adopt(copying->copy.memory, copying->copy.kv, id, error, sizeof(error)),
       "a copy is adopted %s", error);
}

static uint64_t count_all(struct bench *bench)
{
    uint64_t count = 0;
    while (bench_take(bench, 0, true))
        count++;
    return count;
}

static void forget_line(void *context, const char *line)
{
    (void)context;
    (void)line;
}

TEST(one_that_is_adopted_has_all)
{
    struct copying copying;
    struct store_contents contents = {0};
    begin_copying(&copying);
    adopt(&copying);
    is_int(store_check(&copying.copy.options, forget_line, NULL, &contents), 0, "it is sound");
    is_int(contents.messages, 70, "messages, by the check");
    is_int(contents.queues, BENCH_QUEUES, "queues");
    is_int(contents.bytes, 70 * 1000, "bytes");
    disk_memory_crash(copying.copy.memory, CRASH_DROP, &copying.bench.random);
    bench_open(&copying.copy);
    is_int(count_all(&copying.copy), 70, "messages");
    ok(identity_differs(copying.copy.store->journal.identity.id,
                        copying.bench.store->journal.identity.id),
       "and an identity of its own");
    end_copying(&copying);
}

static void put_file(struct disk *from, struct disk *to, const char *name)
{
    uint64_t size;
    struct disk_file *file;
    struct iovec part = {disk_memory_contents(from, name, &size), 0};
    part.iov_len = size;
    to->ops->unlink(to, name);
    if (to->ops->open(to, name, DISK_CREATE, &file) != 0 ||
        to->ops->write(file, &part, 1, 0) != 0)
        bail("%s cannot be written", name);
    to->ops->close(file);
}

static bool opens(struct bench *bench, char *error, size_t error_size)
{
    bench->store = store_open(&bench->options, bench->now_ms, error, error_size);
    return bench->store != NULL;
}

TEST(its_files_are_its_own)
{
    struct copying copying;
    uint32_t last = 0;
    char name[32], error[600] = "";
    begin_copying(&copying);
    adopt(&copying);
    disk_memory_each(copying.copy.memory, find_segments, &last);
    segment_name(name, last);
    put_file(copying.bench.memory, copying.copy.memory, name);
    ok(!opens(&copying.copy, error, sizeof(error)) && strstr(error, "belongs to another store"),
       "a file of the other store is noticed: %s", error);
    copying.copy.memory->ops->unlink(copying.copy.memory, name);
    ok(!opens(&copying.copy, error, sizeof(error)) && strstr(error, "it is the last one"),
       "and so is one that is missing: %s", error);
    end_copying(&copying);
}

TEST(without_an_identity_it_is_refused)
{
    struct copying copying;
    uint8_t id[IDENTITY_SIZE] = {1};
    char error[300] = "";
    begin_copying(&copying);
    run_copying(&copying);
    copying.copy.memory->ops->unlink(copying.copy.memory, IDENTITY_NAME);
    ok(!store_copy_adopt(copying.copy.memory, copying.copy.kv, id, error, sizeof(error)) &&
           strstr(error, "missing"),
       "it says: %s", error);
    end_copying(&copying);
}

int main(int argc, char **argv)
{
    struct met met = {0};
    RUN(checkpoints_wait_for_it);
    RUN(what_fails_is_told);
    RUN(a_store_that_is_closed_does_not_wait_for_it);
    RUN(one_that_is_given_up_ends);
    RUN(one_that_is_not_finished_says_so);
    RUN(what_the_store_needs_is_spared);
    RUN(one_that_is_adopted_has_all);
    RUN(its_files_are_its_own);
    RUN(without_an_identity_it_is_refused);
    bench_histories(argc, argv, 300, "copies", backup_history, &met);
    ok(met.checkpoints && met.retired && met.during,
       "met: %llu checkpoints, %llu segments retired, %llu batches while a copy was made",
       (unsigned long long)met.checkpoints, (unsigned long long)met.retired,
       (unsigned long long)met.during);
    return done();
}
