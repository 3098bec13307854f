/* Corners of the store that random work seldom meets: a full disk for a long time, names that
 * cannot be changed, large bodies in a queue that is being read, messages that end while nobody
 * looks. */
#include "tests/lib/tap.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "store/internal.h"
#include "tests/lib/disk_memory.h"
#include "tests/lib/kv_memory.h"

struct bench {
    struct disk *disk;
    struct kv *kv;
    struct worker *worker[3];
    struct message_pool pool;
    struct store_options options;
    struct store *store;
    struct index *index;
    uint64_t now_ms;
};

static void begin(struct bench *bench)
{
    *bench = (struct bench){.disk = disk_memory_new(), .kv = kv_memory_new(), .now_ms = 1000};
    for (int i = 0; i < 3; i++)
        bench->worker[i] = worker_manual_new(true);
    message_pool_init(&bench->pool);
    store_options_default(&bench->options);
    bench->options.disk = bench->disk;
    bench->options.kv = bench->kv;
    bench->options.syncer = bench->worker[0];
    bench->options.indexer = bench->worker[1];
    bench->options.reader = bench->worker[2];
    bench->options.pool = &bench->pool;
    bench->options.segment_bytes = 4096;
    bench->options.disk_reserve_bytes = 0;
}

static void open_store(struct bench *bench)
{
    char error[600];
    bench->store = store_open(&bench->options, bench->now_ms, error, sizeof(error));
    if (!bench->store)
        bail("the store does not open: %s", error);
    bench->index = store_queue(bench->store, 1, bench);
    if (bench->store->id_last == 0)
        store_queue_id(bench->store, true);
}

static void end(struct bench *bench)
{
    store_close(bench->store);
    for (int i = 0; i < 3; i++)
        worker_manual_free(bench->worker[i]);
    disk_memory_free(bench->disk);
    kv_memory_free(bench->kv);
    message_pool_free(&bench->pool);
}

static void turn(struct bench *bench, uint64_t ms)
{
    bench->now_ms += ms;
    store_tick(bench->store, bench->now_ms);
    while (store_take_awake(bench->store))
        continue;
}

static void turns(struct bench *bench, int count, uint64_t ms)
{
    for (int i = 0; i < count; i++)
        turn(bench, ms);
}

static struct message *message_made(struct bench *bench, uint32_t size, uint8_t flags)
{
    struct message *message =
        message_new(&bench->pool, bytes_str(""), bytes_str("a queue"), bytes_of("\0\0", 2), size);
    memset(message_body_start(message), 'x', size);
    message->body_filled = size;
    message->flags = flags;
    return message;
}

static void publish_as(struct bench *bench, uint32_t size, uint8_t flags)
{
    struct message *message = message_made(bench, size, flags);
    store_publish(bench->store, message, &bench->index, 1);
    message_unref(&bench->pool, message);
}

static void publish(struct bench *bench, uint32_t size)
{
    publish_as(bench, size, MESSAGE_PERSISTENT);
}

/* Takes the first message, however long that takes; 0: there is none to be had. */
static uint64_t take(struct bench *bench, bool settle)
{
    struct taken taken;
    for (int i = 0; i < 200; i++) {
        enum index_result result = index_take(bench->index, settle, &taken);
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

/* ---- a full disk ---- */

/* While a write cannot be done, the loop has nothing to do until it is to be tried again. */
TEST(full_disk_does_not_spin)
{
    struct bench bench;
    int early = 0;
    begin(&bench);
    open_store(&bench);
    publish(&bench, 1000);
    turns(&bench, 10, 100);
    disk_memory_limit(bench.disk, 3000);
    for (int i = 0; i < 10; i++) {
        publish(&bench, 1000);
        turn(&bench, 100);
    }
    ok(store_is_short(bench.store), "the disk is full");
    for (int i = 0; i < 600; i++) {
        turn(&bench, 100);
        early += store_next_ms(bench.store) <= bench.now_ms;
    }
    is_int(early, 0, "for a minute, the store never asks to be called at once");
    disk_memory_limit(bench.disk, 0);
    turns(&bench, 10, 100);
    ok(!store_failure(bench.store), "when there is room it goes on");
    store_want(bench.store, store_ticket(bench.store));
    turns(&bench, 3, 10);
    ok(store_ticket_state(bench.store, (struct ticket){.index = 3}) == TICKET_DURABLE,
       "and what waited is written");
    end(&bench);
}

/* A sync alone that somebody wishes for is due at once. */
TEST(sync_alone_is_due_at_once)
{
    struct bench bench;
    begin(&bench);
    open_store(&bench);
    for (int i = 0; i < 40; i++)
        publish(&bench, 30000);
    turn(&bench, 1);
    turn(&bench, 1);
    struct store *store = bench.store;
    ok(store->journal.written > store->journal.durable && !store->journal.is_writing &&
           batch_is_empty(store->journal.filling),
       "there is a batch that was written and not synced");
    ok(store_next_ms(store) > bench.now_ms, "that has time");
    store_want(store, (struct ticket){.index = store->journal.written});
    ok(store_next_ms(store) <= bench.now_ms, "until somebody waits for it");
    end(&bench);
}

/* ---- names ---- */

static int renames_to_fail;
static const struct disk_ops *sound;

static int failing_rename(struct disk *disk, const char *from, const char *to)
{
    if (renames_to_fail > 0 && --renames_to_fail == 0)
        return EIO;
    return sound->rename(disk, from, to);
}

static void fill_and_empty(struct bench *bench, int messages)
{
    for (int i = 0; i < messages; i++) {
        publish(bench, 3000);
        turns(bench, 2, 100);
    }
    while (take(bench, true))
        continue;
    turns(bench, 20, 100);
    turn(bench, 31000);
    turns(bench, 20, 100);
}

/* A file that cannot be kept for reuse is not reused. */
TEST(rename_fails_once)
{
    struct bench bench;
    begin(&bench);
    sound = bench.disk->ops;
    struct disk_ops ops = *sound;
    ops.rename = failing_rename;
    bench.disk->ops = &ops;
    open_store(&bench);
    renames_to_fail = 1;
    fill_and_empty(&bench, 6);
    is_int(renames_to_fail, 0, "a rename failed");
    ok(bench.store->journal.spares_count > 0, "others did not: %u files are kept",
       bench.store->journal.spares_count);
    fill_and_empty(&bench, 6);
    ok(!store_failure(bench.store), "the store goes on with them: %s",
       store_failure(bench.store) ? store_failure(bench.store) : "");
    bench.disk->ops = sound;
    end(&bench);
}

/* As many files are kept as there is a place for. */
TEST(many_spares)
{
    struct bench bench;
    begin(&bench);
    bench.options.recycle_segments = 1024;
    open_store(&bench);
    fill_and_empty(&bench, 150);
    is_int(bench.store->journal.spares_count, SPARES_MAX, "files are kept for reuse");
    ok(bench.store->stats.segments_retired > 100, "%d segments were retired",
       (int)bench.store->stats.segments_retired);
    end(&bench);
}

static void lower_spares(struct bench *bench, uint32_t recycle, uint32_t segment_bytes)
{
    store_close(bench->store);
    bench->options.recycle_segments = recycle;
    bench->options.segment_bytes = segment_bytes;
    open_store(bench);
    publish(bench, 100);
    turns(bench, 4, 200);
}

static void count_spare(void *context, const char *name)
{
    *(int *)context += strncmp(name, "spare-", 6) == 0;
}

static int spares_on_disk(struct bench *bench)
{
    int count = 0;
    disk_memory_each(bench->disk, count_spare, &count);
    return count;
}

/* Files that the options have no place for any more are removed, and so are those of a size that
 * they do not ask for. */
TEST(fewer_spares)
{
    struct bench bench;
    begin(&bench);
    bench.options.recycle_segments = 10;
    open_store(&bench);
    fill_and_empty(&bench, 30);
    is_int(spares_on_disk(&bench), 10, "ten files are kept");
    lower_spares(&bench, 3, 4096);
    is_int(spares_on_disk(&bench), 2,
           "three after a start with that maximum, of which one is used");
    is_int(bench.store->journal.spares_count, 2, "which are known");
    lower_spares(&bench, 3, 1024);
    is_int(spares_on_disk(&bench), 0, "none when they are much larger than a segment");
    for (int i = 0; i < 5; i++) {
        publish(&bench, 9000);
        turns(&bench, 2, 100);
    }
    while (take(&bench, true))
        continue;
    turns(&bench, 40, 1000);
    int retired = (int)bench.store->stats.segments_retired, kept = spares_on_disk(&bench);
    ok(retired >= 5 && kept <= retired - 5,
       "of %d segments that were retired those with a large batch are not kept, but %d are",
       retired, kept);
    end(&bench);
}

/* ---- descriptors ---- */

static bool is_out_of_files;
static int opens_failed;

static int failing_open(struct disk *disk, const char *name, enum disk_mode mode,
                        struct disk_file **file)
{
    if (!is_out_of_files)
        return sound->open(disk, name, mode, file);
    opens_failed++;
    return EMFILE;
}

static struct disk_ops without_files(struct bench *bench)
{
    sound = bench->disk->ops;
    struct disk_ops ops = *sound;
    ops.open = failing_open;
    is_out_of_files = false;
    opens_failed = 0;
    return ops;
}

/* A new segment that cannot be opened is waited for. */
TEST(no_descriptor_to_write)
{
    struct bench bench;
    begin(&bench);
    struct disk_ops ops = without_files(&bench);
    bench.disk->ops = &ops;
    open_store(&bench);
    publish(&bench, 3000);
    turns(&bench, 4, 200);
    is_out_of_files = true;
    for (int i = 0; i < 5; i++) {
        publish(&bench, 3000);
        turns(&bench, 4, 100);
    }
    struct ticket ticket = store_ticket(bench.store);
    ok(!store_failure(bench.store) && store_is_short(bench.store) && opens_failed > 3,
       "it is tried again, and publishers wait");
    is_out_of_files = false;
    store_want(bench.store, ticket);
    turns(&bench, 10, 200);
    ok(!store_is_short(bench.store), "with a descriptor it goes on");
    is_int(store_ticket_state(bench.store, ticket), TICKET_DURABLE, "and all is durable");
    bench.disk->ops = sound;
    end(&bench);
}

/* A message that cannot be read for want of a descriptor is not taken for damaged. */
TEST(no_descriptor_to_read)
{
    struct bench bench;
    struct taken taken;
    int early = 0, got = 0;
    begin(&bench);
    bench.options.bodies_idle_bytes = 0;
    struct disk_ops ops = without_files(&bench);
    bench.disk->ops = &ops;
    open_store(&bench);
    for (int i = 0; i < 20; i++)
        publish(&bench, 3000);
    turns(&bench, 40, 200);
    is_out_of_files = true;
    for (int i = 0; i < 40; i++) {
        got += index_take(bench.index, true, &taken) != INDEX_WAIT;
        turn(&bench, 100);
        early += store_next_ms(bench.store) <= bench.now_ms;
    }
    ok(got == 0 && opens_failed > 5, "nothing can be read");
    is_int(early, 0, "and nobody is busy with that");
    is_out_of_files = false;
    while (take(&bench, true))
        got++;
    is_int(got, 20, "with a descriptor all of it comes");
    is_int(bench.store->stats.damaged, 0, "and none is damaged");
    bench.disk->ops = sound;
    end(&bench);
}

/* ---- memory ---- */

/* A queue that is being read keeps near its reader what is about to be read, not all it has. */
TEST(large_bodies_leave_memory)
{
    struct bench bench;
    size_t most = 0;
    begin(&bench);
    bench.options.segment_bytes = 4 << 20;
    bench.options.bodies_burst_bytes = 8 << 20;
    bench.options.bodies_idle_bytes = 4 << 20;
    open_store(&bench);
    for (int i = 0; i < 400; i++) {
        publish(&bench, 100000);
        turn(&bench, 2);
        if (i % 4 == 0 && take(&bench, true) == 0)
            bail("a message is not to be had");
        if (message_pool_bytes(&bench.pool) > most)
            most = message_pool_bytes(&bench.pool);
    }
    ok(most < 16 << 20, "at most %zu bytes of messages were in memory", most);
    int rest = 0;
    while (take(&bench, true))
        rest++;
    is_int(rest, 300, "all others come");
    end(&bench);
}

/* A store in which only recorded bodies have reason to leave memory. */
static void begin_roomy(struct bench *bench)
{
    begin(bench);
    bench->options.segment_bytes = 4 << 20;
    bench->options.chunk_entries = 256;
    bench->options.bodies_burst_bytes = 32 << 20;
    bench->options.bodies_idle_bytes = 32 << 20;
    open_store(bench);
}

/* What is on disk anyway leaves memory long before the rest has to, and comes back in order. */
TEST(recorded_bodies_leave_early)
{
    enum { MESSAGES = 8192, SIZE = 1000 };
    struct bench bench;
    uint64_t next = 1;
    begin_roomy(&bench);
    for (int i = 0; i < MESSAGES; i++) {
        publish(&bench, SIZE);
        if (i % 16 == 0)
            turn(&bench, 1);
    }
    turns(&bench, 50, 10);
    size_t kept = message_pool_bytes(&bench.pool);
    ok(kept < 5 << 20, "%zu bytes of %d are in memory", kept, MESSAGES * SIZE);
    ok(bench.store->memory.recorded_bytes <= 4 << 20, "which is what is counted");
    is_int(bench.store->stats.bodies_paged, 0, "nothing was written for that");
    while (take(&bench, true) == next)
        next++;
    is_int(next, MESSAGES + 1, "all come in order");
    is_int(bench.store->memory.recorded_bytes, 0, "and none of it is counted any more");
    end(&bench);
}

/* So many messages, of which one in 16 is taken at once. */
static void publish_and_take_some(struct bench *bench, int count, uint64_t *next)
{
    for (int i = 0; i < count; i++) {
        publish(bench, 1000);
        if (i % 16)
            continue;
        turn(bench, 1);
        if (take(bench, true) != (*next)++)
            bail("a message is not to be had");
    }
}

/* While somebody takes them they stay: he may have stopped for a moment only, and what he would have to wait
 * for the disk for, from then on, might come faster than the disk gives it back. */
TEST(recorded_bodies_stay_with_who_takes_them)
{
    struct bench bench;
    uint64_t next = 1;
    begin_roomy(&bench);
    publish_and_take_some(&bench, 8192, &next);
    turns(&bench, 50, 10);
    is_int(bench.store->stats.bodies_evicted, 0, "beyond an eighth of the budget");
    publish_and_take_some(&bench, 16384, &next);
    turns(&bench, 50, 10);
    ok(bench.store->stats.bodies_evicted > 0, "not beyond the half");
    size_t kept = message_pool_bytes(&bench.pool);
    ok(kept > 12 << 20 && kept < 18 << 20, "%zu bytes are in memory", kept);
    turns(&bench, 100, 10);
    kept = message_pool_bytes(&bench.pool);
    ok(kept < 5 << 20, "and %zu when nobody has taken any for a second", kept);
    while (take(&bench, true) == next)
        next++;
    is_int(next, 8192 + 16384 + 1, "all come in order");
    is_int(bench.store->memory.recorded_bytes, 0, "and none of it is counted any more");
    end(&bench);
}

/* What is not on disk is not written for the sake of what is. */
TEST(others_stay_with_recorded_bodies)
{
    struct bench bench;
    begin_roomy(&bench);
    for (int i = 0; i < 8192; i++) {
        publish_as(&bench, 1000, i % 2 ? MESSAGE_PERSISTENT : 0);
        if (i % 16 == 0)
            turn(&bench, 1);
    }
    turns(&bench, 50, 10);
    ok(bench.store->stats.bodies_evicted > 0, "recorded ones leave");
    is_int(bench.store->stats.bodies_paged, 0, "the others do not");
    end(&bench);
}

/* A message that lies in many queues takes its memory once. */
TEST(one_message_in_many_queues_stays)
{
    enum { QUEUES = 40 };
    struct bench bench;
    struct index *queues[QUEUES];
    begin_roomy(&bench);
    for (int i = 0; i < QUEUES; i++)
        queues[i] = store_queue(bench.store, store_queue_id(bench.store, true), &bench);
    for (int i = 0; i < 2000; i++) {
        struct message *message = message_made(&bench, 1000, MESSAGE_PERSISTENT);
        store_publish(bench.store, message, queues, QUEUES);
        message_unref(&bench.pool, message);
        if (i % 16 == 0)
            turn(&bench, 1);
    }
    turns(&bench, 50, 10);
    ok(message_pool_bytes(&bench.pool) < 4 << 20, "it is little");
    is_int(bench.store->stats.bodies_evicted, 0, "and stays");
    end(&bench);
}

/* Many queues need what is not in memory, at the same time and again and again. Only so many are read for at
 * once, as what was read comes back all in one turn, and each has its turn. */
TEST(queues_read_in_turn)
{
    enum { QUEUES = 300, EACH = 8, AT_ONCE = 64, TOGETHER = 2 };
    static struct index *queues[QUEUES];
    static int has[QUEUES];
    struct bench bench;
    struct taken taken;
    uint32_t most = 0;
    int all = 0, turns_taken = 0, apart = 0;
    begin(&bench);
    worker_manual_free(bench.worker[2]);
    bench.worker[2] = bench.options.reader = worker_manual_new(false);
    bench.options.segment_bytes = 16 << 20;
    bench.options.bodies_idle_bytes = 0;
    bench.options.cache_bytes = 16 << 20;
    open_store(&bench);
    for (int i = 0; i < QUEUES; i++)
        queues[i] = store_queue(bench.store, store_queue_id(bench.store, false), &has[i]);
    for (int i = 0; i < QUEUES * EACH; i++) {
        /* Another queue's lie between those of one, so that they are read one by one. */
        struct message *message = message_made(&bench, 40000, 0);
        store_publish(bench.store, message, &queues[i % QUEUES], 1);
        message_unref(&bench.pool, message);
        if (i % 20 == 0)
            turn(&bench, 1);
    }
    /* Small chunks stay, but for what is more than the cache may have. */
    bench.store->options.cache_bytes = 0;
    turns(&bench, 100, 100);
    is_int(message_pool_bytes(&bench.pool), 0, "no body is in memory");
    bench.store->options.cache_bytes = 16 << 20;
    bench.store->options.bodies_burst_bytes = 0; /* with one more in memory two are read together */
    struct message *other = message_made(&bench, 1, 0);
    for (int i = 0; i < QUEUES; i++)
        if (index_take(queues[i], true, &taken) != INDEX_WAIT)
            bail("a body is in memory");
    for (; all < QUEUES * EACH && turns_taken < 5000; turns_taken++) {
        struct index *awake;
        most = bench.store->memory.reading > most ? bench.store->memory.reading : most;
        worker_step(bench.worker[2]);
        store_tick(bench.store, ++bench.now_ms);
        while ((awake = store_take_awake(bench.store)))
            while (index_take(awake, true, &taken) == INDEX_OK) {
                message_unref(&bench.pool, taken.message);
                ++*(int *)awake->owner;
                all++;
            }
        int least = EACH, largest = 0;
        for (int i = 0; i < QUEUES; i++) {
            least = has[i] < least ? has[i] : least;
            largest = has[i] > largest ? has[i] : largest;
        }
        apart = largest - least > apart ? largest - least : apart;
    }
    is_int(all, QUEUES * EACH, "all get what they wait for, in %d turns", turns_taken);
    ok(most > 1 && most <= AT_ONCE, "no more than %d are read for at once", (int)most);
    ok(apart <= 2 * TOGETHER, "nobody is %d messages ahead of another", apart);
    is_int(bench.store->memory.reading, 0, "nothing is counted that is not read");
    is_int(bench.store->memory.reading_bytes, 0, "nor its bytes");
    message_unref(&bench.pool, other);
    end(&bench);
}

/* More than the budget lies where many queues are read next: that it all stays is found once, and again only
 * where something has changed, not in each turn. */
TEST(what_is_read_next_is_not_looked_at_again)
{
    enum { QUEUES = 50, EACH = 200, TURNS = 100 };
    struct bench bench;
    struct index *queues[QUEUES];
    struct taken taken;
    int missing = 0;
    begin(&bench);
    bench.options.chunk_entries = 256;
    bench.options.bodies_burst_bytes = 65536;
    open_store(&bench);
    for (int i = 0; i < QUEUES; i++)
        queues[i] = store_queue(bench.store, store_queue_id(bench.store, true), &bench);
    for (int i = 0; i < QUEUES * EACH; i++) {
        struct message *message = message_made(&bench, 100, 0);
        store_publish(bench.store, message, &queues[i % QUEUES], 1);
        message_unref(&bench.pool, message);
    }
    for (int i = 0; i < QUEUES; i++) {
        if (index_take(queues[i], true, &taken) != INDEX_OK)
            bail("a queue has nothing in memory");
        message_unref(&bench.pool, taken.message);
    }
    turns(&bench, 5, 1);
    ok(message_pool_bytes(&bench.pool) > 65536, "there is more than there should be");
    uint64_t looked_at = bench.store->memory.bodies_looked_at;
    turns(&bench, TURNS, 1);
    is_int(bench.store->memory.bodies_looked_at, looked_at, "which nobody looks at in vain");
    for (int i = 0; i < TURNS; i++) {
        missing += index_take(queues[0], true, &taken) != INDEX_OK;
        message_unref(&bench.pool, taken.message);
        turn(&bench, 1);
    }
    is_int(missing, 0, "what was to be read next is there");
    ok(bench.store->memory.bodies_looked_at - looked_at <= TURNS * EACH, "one queue is looked at when it changes");
    turns(&bench, 100, 100);
    ok(message_pool_bytes(&bench.pool) < 1 << 20, "and all leaves when nobody reads on");
    end(&bench);
}

/* The memory that a large batch was sealed in goes when no other comes. */
TEST(memory_of_a_batch_is_given_back)
{
    struct bench bench;
    begin(&bench);
    bench.options.segment_bytes = 4 << 20;
    open_store(&bench);
    for (int i = 0; i < 300; i++)
        publish(&bench, 1000);
    store_want(bench.store, store_ticket(bench.store));
    turns(&bench, 3, 1);
    ok(bench.store->journal.write.block_size >= 300000, "it is kept for the next one");
    ok(store_next_ms(bench.store) <= bench.now_ms + 1000, "but not for long");
    turns(&bench, 3, 1000);
    ok(bench.store->journal.write.block_size <= 4096, "and goes");
    end(&bench);
}

/* ---- the delivered mark ---- */

/* A queue that is read fast moves its mark in longer steps; one that is read slowly again does not
 * take back what it allowed. */
static void show_fault(void *context, const char *line)
{
    (void)context;
    if (!strncmp(line, "damaged", 7) || !strncmp(line, "wrong", 5))
        diag("%s", line);
}

static void check_store(struct bench *bench)
{
    is_int(store_check(&bench->options, show_fault, NULL, NULL), 0, "the store is sound");
}

/* A batch that is sealed over several turns: what ends meanwhile, before it has a place and after,
 * is recorded in the next one. */
TEST(large_batch)
{
    enum { COUNT = 2000 };
    struct bench bench;
    begin(&bench);
    bench.options.batch_large_bytes = 100000;
    bench.options.segment_bytes = 1 << 20;
    open_store(&bench);
    bench.index->mark = 1 << 30;
    for (int i = 0; i < COUNT; i++)
        publish(&bench, 10);
    is_int((long)take(&bench, true), 1, "one leaves the batch while it is filled");
    store_want(bench.store, store_ticket(bench.store));
    turn(&bench, 1);
    ok(bench.store->journal.sealing && bench.store->journal.write.is_placing,
       "the batch is being sealed");
    uint32_t placed = bench.store->journal.write.placed;
    ok(placed > 1 && placed < COUNT - 3, "%u of its records have their place", placed);
    is_int((long)take(&bench, true), 2, "one with a place ends");
    for (uint32_t i = 0; i < placed; i++)
        take(&bench, false);
    is_int((long)take(&bench, true), placed + 3, "and one without");
    publish(&bench, 10);
    uint64_t live = bench.store->stats.live_bytes;
    for (int i = 0; i < 20 && bench.store->journal.write.is_placing; i++)
        turn(&bench, 0);
    ok(!bench.store->journal.write.is_placing, "all have");
    ok(bench.store->stats.live_bytes > live, "they count");
    turns(&bench, 10, 100);
    ok(!bench.store->journal.sealing && list_is_empty(&bench.store->journal.spent),
       "and it is written");
    store_abandon(bench.store);
    check_store(&bench);
    open_store(&bench);
    is_int((long)bench.index->ready, COUNT - 3 + 1, "after a crash there is what there should be");
    end(&bench);
}

/* The pages of one are touched once, not for each. */
TEST(large_batch_after_another)
{
    enum { COUNT = 500 };
    struct bench bench;
    begin(&bench);
    bench.options.batch_large_bytes = 1000;
    bench.options.segment_bytes = 1 << 20;
    open_store(&bench);
    struct journal *journal = &bench.store->journal;
    for (int i = 0; i < COUNT; i++)
        publish(&bench, 10);
    store_want(bench.store, store_ticket(bench.store));
    turns(&bench, 200, 1);
    const struct batch *spare = journal->spare;
    ok(!journal->sealing && spare && spare->count == 0, "what it was filled in is kept, empty");
    ok(spare && spare->capacity >= COUNT, "with its memory");
    for (int i = 0; i < COUNT; i++)
        publish(&bench, 10);
    store_want(bench.store, store_ticket(bench.store));
    turn(&bench, 1);
    ok(journal->sealing && journal->filling == spare, "the next one is filled there");
    turns(&bench, 200, 1);
    ok(journal->spare, "and again one is kept");
    turns(&bench, 3, 1000);
    ok(!journal->spare, "until none was needed for a second");
    end(&bench);
}

/* A disk that is full for a while, and a store that is given up with such a batch on its way. */
TEST(large_batch_has_to_wait)
{
    struct bench bench;
    begin(&bench);
    bench.options.batch_large_bytes = 1000;
    bench.options.segment_bytes = 1 << 20;
    open_store(&bench);
    publish(&bench, 10);
    turns(&bench, 3, 100);
    disk_memory_limit(bench.disk, 1);
    for (int i = 0; i < 100; i++)
        publish(&bench, 1000); /* more than was laid out ahead */
    turns(&bench, 40, 100);
    ok(bench.store->journal.sealing && !bench.store->journal.write.is_placing,
       "it waits for space");
    disk_memory_limit(bench.disk, 0);
    turns(&bench, 20, 100);
    ok(!bench.store->journal.sealing, "and is written when there is some");
    for (int i = 0; i < 100; i++)
        publish(&bench, 100);
    store_want(bench.store, store_ticket(bench.store));
    turn(&bench, 1);
    ok(bench.store->journal.write.is_placing, "the next one is being sealed");
    store_abandon(bench.store);
    open_store(&bench);
    is_int((long)bench.index->ready, 101, "and nothing of it is there after a crash");
    for (int i = 0; i < 100; i++)
        publish(&bench, 100);
    store_want(bench.store, store_ticket(bench.store));
    turn(&bench, 1);
    ok(bench.store->journal.write.is_placing, "one is being sealed");
    store_close(bench.store);
    open_store(&bench);
    is_int((long)bench.index->ready, 201, "an orderly end writes all of it");
    end(&bench);
}

TEST(mark_steps)
{
    struct bench bench;
    uint64_t mark = 0;
    int back = 0;
    begin(&bench);
    bench.options.segment_bytes = 4 << 20;
    bench.options.mark_step = 16;
    open_store(&bench);
    for (int i = 0; i < 6000; i++)
        publish(&bench, 10);
    turns(&bench, 5, 200);
    for (int i = 0; i < 6000; i++) {
        if (take(&bench, true) == 0)
            bail("a message is not to be had");
        if (i > 4000)
            turn(&bench, i % 50 == 0 ? 3000 : 0);
        back += bench.index->mark < mark || bench.index->mark_asked < bench.index->mark;
        mark = bench.index->mark;
    }
    is_int(back, 0, "it never moves back");
    ok(bench.store->stats.marks_written < 6000 / 16 / 2, "it was moved %d times",
       (int)bench.store->stats.marks_written);
    ok(bench.index->mark_asked <= bench.index->next_sequence + 64 * 16, "and is not far ahead");
    end(&bench);
}

/* ---- damage ---- */

/* Two messages of a queue whose numbers are 2^32 apart: the end of the one, whose record is in no
 * batch, is not taken for the end of the other. */
TEST(numbers_far_apart)
{
    struct bench bench;
    begin(&bench);
    open_store(&bench);
    struct index *both[] = {bench.index, NULL};
    both[1] = store_queue(bench.store, store_queue_id(bench.store, true), &bench);
    publish(&bench, 10);
    struct taken taken;
    turns(&bench, 10, 100);
    bench.index->mark = both[1]->mark = (uint64_t)1 << 40;
    is_int((long)take(&bench, false), 1, "the first is taken and never settled");
    bench.index->next_sequence += UINT32_MAX;
    for (int i = 0; i < 3; i++) {
        struct message *message = message_made(&bench, 10, MESSAGE_PERSISTENT);
        store_publish(bench.store, message, both, 2);
        message_unref(&bench.pool, message);
        for (int k = 0; k < 2; k++) {
            is_int(index_take(both[k], true, &taken), INDEX_OK, "one to both queues is settled");
            message_unref(&bench.pool, taken.message);
        }
    }
    turns(&bench, 10, 100);
    store_abandon(bench.store);
    open_store(&bench);
    is_int((long)bench.index->ready, 1, "after a crash the first is there");
    is_int((long)take(&bench, true), 1, "and has its number");
    end(&bench);
}

/* A message that is found damaged while it is taken, and comes back while nobody looks, is set
 * aside all the same. */
TEST(damaged_and_returned)
{
    struct bench bench;
    struct message *message;
    uint64_t size;
    begin(&bench);
    bench.options.segment_bytes = 1 << 20;
    bench.options.bodies_idle_bytes = 0;
    bench.options.cache_bytes = 0;
    open_store(&bench);
    for (int i = 0; i < 64; i++)
        publish(&bench, 100);
    uint64_t sequence = take(&bench, false);
    turns(&bench, 60, 100);
    is_int(bench.index->is_waiting, false, "nobody waits");
    uint8_t *bytes = disk_memory_contents(bench.disk, "journal-0000000001", &size);
    for (uint64_t at = 64 + 64; at < size; at++)
        bytes[at] ^= 0x55;
    for (int i = 0; i < 20 && index_fetch(bench.index, sequence, &message) == INDEX_WAIT; i++)
        turn(&bench, 1);
    is_int(bench.store->stats.damaged, 1, "the message is damaged");
    turns(&bench, 60, 100);
    struct chunk *chunk = index_chunk(bench.index, sequence);
    ok(chunk && !chunk->entries, "its entry is out of memory");
    index_return(bench.index, sequence);
    for (int i = 0; i < 50; i++) {
        struct taken taken;
        if (index_take(bench.index, true, &taken) == INDEX_OK)
            bail("a damaged message was delivered");
        turn(&bench, 1);
    }
    is_int(bench.index->ready, 0, "it is not ready again, nor is what came behind it");
    end(&bench);
}

static void find_tail(void *context, const char *line)
{
    *(int *)context += strstr(line, "not known to have been synced") != NULL;
}

/* Only a tail that a crash left is told of. */
TEST(orderly_end_is_not_cut)
{
    struct bench bench;
    struct disk_file *file;
    uint8_t zeros[4096] = {0};
    struct iovec part = {zeros, sizeof(zeros)};
    uint64_t size;
    int tails = 0;
    begin(&bench);
    open_store(&bench);
    publish(&bench, 3000);
    store_close(bench.store);
    disk_memory_contents(bench.disk, "journal-0000000001", &size);
    if (bench.disk->ops->open(bench.disk, "journal-0000000001", DISK_WRITE, &file) != 0)
        bail("no journal");
    bench.disk->ops->write(file, &part, 1, size);
    bench.disk->ops->close(file);
    is_int(store_check(&bench.options, find_tail, &tails, NULL), 0, "the store is sound");
    is_int(tails, 0, "room behind the last batch is no tail");
    open_store(&bench);
    end(&bench);
}

/* A bit of the last message flips. False: the store refuses to start, and says why. */
static bool opens_without_the_last(struct bench *bench, char *error, size_t error_size)
{
    uint64_t size;
    uint8_t *bytes = disk_memory_contents(bench->disk, "journal-0000000001", &size);
    uint64_t at = size;
    while (at > 0 && bytes[at - 1] != 'x')
        at--;
    if (at == 0)
        bail("no message");
    bytes[at - 1] ^= 1;
    bench->store = store_open(&bench->options, bench->now_ms, error, error_size);
    return bench->store;
}

/* After a quiet moment the journal says itself what was synced, once: a last message that is
 * damaged is not taken for one that was never written. */
TEST(damage_after_a_quiet_moment)
{
    struct bench bench;
    char error[600] = "";
    begin(&bench);
    bench.options.checkpoint_ms = 1u << 30;
    open_store(&bench);
    for (int i = 0; i < 5; i++) {
        publish(&bench, 100);
        store_want(bench.store, store_ticket(bench.store));
        turns(&bench, 4, 10);
    }
    uint64_t batches = bench.store->stats.batches;
    ok(store_next_ms(bench.store) <= bench.now_ms + 500, "a sync mark is due");
    turns(&bench, 100, 100);
    is_int(bench.store->stats.batches, batches + 1, "it is written, once");
    is_int(bench.store->journal.durable, batches + 1, "and synced");
    ok(store_next_ms(bench.store) > bench.now_ms + 1000000, "and then nothing is due");
    store_abandon(bench.store);
    ok(!opens_without_the_last(&bench, error, sizeof(error)) && strstr(error, "synced"),
       "damage is not cut off: %s", error);
    uint64_t size;
    uint8_t *bytes = disk_memory_contents(bench.disk, "journal-0000000001", &size);
    for (uint64_t at = 0; at < size; at++)
        bytes[at] = bytes[at] == ('x' ^ 1) ? 'x' : bytes[at];
    open_store(&bench);
    turns(&bench, 20, 100);
    is_int(bench.store->stats.batches, 0, "what is known is not said again after a start");
    end(&bench);
}

/* What was never known to be synced is cut off, with a word about how much it was. */
TEST(damage_before_a_quiet_moment)
{
    struct bench bench;
    char error[600] = "";
    int tails = 0;
    begin(&bench);
    open_store(&bench);
    publish(&bench, 100);
    store_want(bench.store, store_ticket(bench.store));
    turns(&bench, 4, 10);
    store_abandon(bench.store);
    if (!ok(opens_without_the_last(&bench, error, sizeof(error)), "it starts: %s", error))
        return;
    is_int(bench.store->journal.position.batch, 1, "without the message");
    store_abandon(bench.store);
    is_int(store_check(&bench.options, find_tail, &tails, NULL), 0, "a check ends well");
    is_int(tails, 1, "and warns");
    open_store(&bench);
    end(&bench);
}

static void find_line(void *context, const char *line)
{
    if (strstr(line, "ends at offset 64 of"))
        ++*(int *)context;
}

/* A batch that says it is larger than its file is not believed. */
TEST(check_of_a_batch_that_lies)
{
    struct bench bench;
    struct batch_header header;
    uint64_t size;
    int found = 0;
    begin(&bench);
    open_store(&bench);
    publish(&bench, 3000);
    store_close(bench.store);
    is_int(store_check(&bench.options, find_line, &found, NULL), 0, "a store that is sound");
    uint8_t *bytes = disk_memory_contents(bench.disk, "journal-0000000001", &size);
    if (batch_header_read(bytes + SEGMENT_HEADER, 1, SEGMENT_HEADER, &header) != RECORD_OK)
        bail("no batch");
    header.size = UINT32_MAX / BATCH_ALIGN * BATCH_ALIGN;
    batch_header_write(bytes + SEGMENT_HEADER, &header);
    is_int(store_check(&bench.options, find_line, &found, NULL), 1, "with a header that lies it is not");
    is_int(found, 1, "and is told where the file ends");
    open_store(&bench);
    end(&bench);
}

/* ---- space ---- */

/* Messages that are acknowledged after their chunk left memory give their space back, though one of
 * each chunk stays for ever. */
TEST(settled_while_cold)
{
    enum { MESSAGES = 6400, CHUNK = 64 };
    struct bench bench;
    uint64_t first = 0;
    begin(&bench);
    bench.options.segment_bytes = 65536;
    bench.options.chunk_entries = CHUNK;
    bench.options.cache_bytes = 8192;
    bench.options.bodies_idle_bytes = 0;
    bench.options.checkpoint_ms = 1000;
    open_store(&bench);
    for (int i = 0; i < MESSAGES; i++) {
        publish(&bench, 500);
        if (i % 50 == 0)
            turn(&bench, 10);
    }
    for (int i = 0; i < MESSAGES; i++) {
        uint64_t sequence = take(&bench, false);
        first = first ? first : sequence;
    }
    turns(&bench, 100, 100);
    for (uint64_t i = 0; i < MESSAGES; i++) {
        if (i % CHUNK != 20)
            index_settle(bench.index, first + i);
        if (i % 50 == 0)
            turn(&bench, 10);
    }
    turns(&bench, 600, 100);
    diag("%d messages are left; %llu live bytes, %llu bytes in %llu segments",
         (int)bench.index->taken, (unsigned long long)bench.store->stats.live_bytes,
         (unsigned long long)segments_bytes(&bench.store->journal),
         (unsigned long long)store_stats(bench.store)->segments);
    ok(segments_bytes(&bench.store->journal) < 100 * 600 * 2 + 6 * 65536,
       "the rest of the disk is free");
    end(&bench);
}

/* The cache is too small for what the queue's reader needs; a message far from it is asked for. */
TEST(waited_for_while_cold)
{
    struct bench bench;
    struct message *message;
    enum index_result result = INDEX_WAIT;
    begin(&bench);
    bench.options.chunk_entries = 64;
    bench.options.cache_bytes = 1024;
    bench.options.bodies_idle_bytes = bench.options.bodies_burst_bytes = 1024;
    open_store(&bench);
    for (int i = 0; i < 512; i++)
        publish(&bench, 100);
    turns(&bench, 20, 10);
    uint64_t first = take(&bench, false);
    for (int i = 0; i < 300; i++)
        take(&bench, true);
    turns(&bench, 50, 100);
    ok(!index_chunk(bench.index, first)->entries, "its entries have left memory");
    for (int i = 0; i < 50 && result == INDEX_WAIT; i++) {
        result = index_fetch(bench.index, first, &message);
        turn(&bench, 1);
    }
    if (ok(result == INDEX_OK, "whoever asks for it again and again has it"))
        message_unref(&bench.pool, message);
    index_settle(bench.index, first);
    end(&bench);
}

/* Messages that become ready here and there, more chunks of them than the cache holds: what is asked for all
 * the time stays, and is not read and written again for each message. */
TEST(used_here_and_there)
{
    enum { CHUNK = 64, CHUNKS = 16, ROUNDS = 20, STEP_MS = 20 };
    struct bench bench;
    uint64_t first = 0, loaded = 0;
    begin(&bench);
    bench.options.chunk_entries = CHUNK;
    bench.options.cache_bytes = 4 * CHUNK * sizeof(struct entry);
    bench.options.bodies_idle_bytes = bench.options.bodies_burst_bytes = 1024;
    open_store(&bench);
    for (int i = 0; i < CHUNK * CHUNKS; i++)
        publish(&bench, 100);
    turns(&bench, 20, 10);
    for (int i = 0; i < CHUNK * CHUNKS; i++) {
        uint64_t sequence = take(&bench, false);
        first = first ? first : sequence;
    }
    turns(&bench, 50, 100);
    for (uint64_t round = 0; round < ROUNDS; round++) {
        for (uint64_t sequence = first + round; sequence < first + CHUNK * CHUNKS; sequence += CHUNK) {
            index_return(bench.index, sequence);
            is_int(take(&bench, true), sequence, "a message that came back is taken");
            turn(&bench, STEP_MS);
        }
        loaded = round < 2 ? store_stats(bench.store)->chunks_loaded : loaded;
    }
    is_int(store_stats(bench.store)->chunks_loaded - loaded, 0, "no chunk is read again");
    turns(&bench, 50, 100);
    ok(store_stats(bench.store)->cache_bytes <= bench.options.cache_bytes,
       "what nobody uses any more leaves");
    end(&bench);
}

/* ---- much that goes at once ---- */

enum { MANY = 2000, A_TURN = 100, A_CHUNK = 32 };

/* A queue of many messages, every second of which survives; the first two are taken. */
static void begin_many(struct bench *bench)
{
    begin(bench);
    bench->options.segment_bytes = 65536;
    bench->options.chunk_entries = A_CHUNK;
    bench->options.release_slots = A_TURN;
    bench->options.checkpoint_ms = 50;
    open_store(bench);
    for (int i = 0; i < MANY; i++)
        publish_as(bench, 200, i % 2 ? MESSAGE_PERSISTENT : 0);
    turns(bench, 3, 1);
    take(bench, false);
    take(bench, false);
}

static uint64_t live_entries(struct bench *bench)
{
    uint64_t count = 0;
    list_for_each(link, &bench->store->journal.segments)
        count += list_entry(link, struct segment, link)->live_entries;
    return count;
}

/* Turns until everything is released; more than a turn's share in one of them is an error. */
static int release_turns(struct bench *bench)
{
    enum { MESSAGE = 512 }; /* more than one of them takes */
    int count = 0;
    bool too_much = false;
    while (!list_is_empty(&bench->store->memory.condemned) && count < MANY) {
        size_t before = message_pool_bytes(&bench->pool);
        turn(bench, 1);
        too_much = too_much ||
                   before - message_pool_bytes(&bench->pool) > (size_t)(A_TURN + A_CHUNK) * MESSAGE;
        count++;
    }
    ok(!too_much, "no turn releases more than its share");
    return count;
}

static void forget_lines(void *context, const char *line)
{
    (void)context;
    (void)line;
}

static void is_sound(struct bench *bench)
{
    bool seen = false;
    store_abandon(bench->store);
    is_int(store_check(&bench->options, forget_lines, &seen, NULL), 0, "what is on the disk is sound");
    open_store(bench);
}

TEST(a_large_queue_is_deleted_bit_by_bit)
{
    struct bench bench;
    begin_many(&bench);
    size_t before = message_pool_bytes(&bench.pool);
    uint64_t checkpoints = store_stats(bench.store)->checkpoints;
    store_queue_delete(bench.store, bench.index);
    ok(!idmap_find(&bench.store->indexes, 1), "the queue is gone at once");
    is_int(message_pool_bytes(&bench.pool), before, "its messages are not");
    is_int(store_next_ms(bench.store), bench.now_ms, "another turn is wanted");
    bench.now_ms += 100;
    int count = release_turns(&bench);
    ok(count >= MANY / (A_TURN + A_CHUNK) && count <= MANY / A_TURN + 2, "%d turns later they are",
       count);
    is_int(store_stats(bench.store)->checkpoints, checkpoints, "no checkpoint comes in between");
    is_int(message_pool_bytes(&bench.pool), 0, "no message is left");
    is_int(store_stats(bench.store)->cache_bytes, 0, "nor an entry");
    is_int(live_entries(&bench), 0, "nor anything that holds a segment");
    turns(&bench, 10, 100);
    ok(store_stats(bench.store)->checkpoints > checkpoints, "then a checkpoint is taken");
    is_sound(&bench);
    is_int(bench.index->next_sequence, 1, "after a crash the queue is not there");
    end(&bench);
}

TEST(a_crash_while_a_queue_is_being_deleted)
{
    struct bench bench;
    begin_many(&bench);
    store_queue_delete(bench.store, bench.index);
    store_want(bench.store, store_ticket(bench.store));
    turns(&bench, 4, 1);
    ok(!list_is_empty(&bench.store->memory.condemned), "half of it is released");
    is_sound(&bench);
    is_int(bench.index->next_sequence, 1, "the queue is not there");
    end(&bench);
}

TEST(an_end_while_a_queue_is_being_deleted)
{
    struct bench bench;
    begin_many(&bench);
    store_queue_delete(bench.store, bench.index);
    turn(&bench, 1);
    ok(!list_is_empty(&bench.store->memory.condemned), "some of it is released");
    store_close(bench.store);
    open_store(&bench);
    is_int(bench.index->next_sequence, 1, "the queue is not there");
    is_int(live_entries(&bench), 0, "and nothing holds a segment for it");
    is_sound(&bench);
    end(&bench);
}

TEST(a_large_queue_is_purged_bit_by_bit)
{
    struct bench bench;
    begin_many(&bench);
    is_int(index_purge(bench.index), MANY - 2, "the number is exact, and known at once");
    is_int(bench.index->ready, 0, "none is ready");
    is_int(take(&bench, false), 0, "none can be taken");
    ok(message_pool_bytes(&bench.pool) > MANY * 200 / 2, "their memory is still there");
    publish(&bench, 200);
    index_return(bench.index, 2);
    release_turns(&bench);
    is_int(live_entries(&bench), 1, "of what was written, one that was taken is left");
    is_int(take(&bench, false), 2, "one that was taken, and came back");
    is_int(take(&bench, false), MANY + 1, "and one that came afterwards");
    index_settle(bench.index, 1);
    is_int(bench.index->chunks_count, 2, "chunks that went are not in the queue");
    store_want(bench.store, store_ticket(bench.store));
    turns(&bench, 10, 1);
    is_sound(&bench);
    is_int(bench.index->ready, 2, "after a crash, too");
    end(&bench);
}

TEST(a_large_queue_is_purged_again_and_again)
{
    struct bench bench;
    uint64_t purged = 0;
    begin_many(&bench);
    for (int round = 0; round < 10; round++) {
        purged += index_purge(bench.index);
        for (int i = 0; i < 150; i++)
            publish(&bench, 50);
        if (round % 3 == 0)
            turn(&bench, 1);
    }
    is_int(purged, MANY - 2 + 9 * 150, "each message is counted once");
    is_int(bench.index->ready, 150, "the last ones are there");
    turns(&bench, 50, 1);
    is_int(live_entries(&bench), 150 + 1, "and hold what they need, with the one that is taken");
    store_queue_delete(bench.store, bench.index);
    release_turns(&bench);
    is_int(message_pool_bytes(&bench.pool), 0, "nothing is lost");
    is_sound(&bench);
    end(&bench);
}

/* ---- one message in many queues ---- */

enum { SHARED_QUEUES = 20, SHARED = 300 };

/* Transient messages that lie in all of these queues, so that their entries take most of the
 * memory. */
static void begin_shared(struct bench *bench, struct index **queues)
{
    begin(bench);
    bench->options.segment_bytes = 1 << 20;
    bench->options.chunk_entries = 64;
    bench->options.cache_bytes = 4096;
    open_store(bench);
    for (int q = 0; q < SHARED_QUEUES; q++)
        queues[q] = store_queue(bench->store, store_queue_id(bench->store, q % 2), bench);
    for (int i = 0; i < SHARED; i++) {
        struct message *message = message_made(bench, 20 + (uint32_t)i, 0);
        store_publish(bench->store, message, queues, SHARED_QUEUES);
        message_unref(&bench->pool, message);
    }
}

static bool comes_whole(struct bench *bench, struct index *index, uint32_t size)
{
    struct taken taken;
    enum index_result result = index_take(index, true, &taken);
    for (int i = 0; i < 100 && result == INDEX_WAIT; i++) {
        turn(bench, 1);
        result = index_take(index, true, &taken);
    }
    if (result != INDEX_OK)
        return false;
    struct bytes body = message_body(taken.message);
    bool is_whole = body.size == size && body.data[0] == 'x' && body.data[size - 1] == 'x';
    message_unref(&bench->pool, taken.message);
    return is_whole;
}

TEST(a_message_of_many_queues_is_written_once)
{
    struct bench bench;
    struct index *queues[SHARED_QUEUES];
    int good = 0;
    begin_shared(&bench, queues);
    size_t before = message_pool_bytes(&bench.pool), most = 0;
    for (int i = 0; i < 60; i++) {
        turn(&bench, 100);
        most = message_pool_bytes(&bench.pool) > most ? message_pool_bytes(&bench.pool) : most;
    }
    is_int(store_stats(bench.store)->messages_written, SHARED, "each has one record");
    ok(most <= before, "they never take more memory than when they came");
    ok(message_pool_bytes(&bench.pool) < before / 10, "they leave it, as their entries are many");
    ok(store_stats(bench.store)->cache_bytes < SHARED * SHARED_QUEUES * sizeof(struct entry) / 3,
       "and so do the entries, but for the last few of each queue: %zu bytes",
       (size_t)store_stats(bench.store)->cache_bytes);
    for (int q = 0; q < SHARED_QUEUES; q++)
        for (int i = 0; i < SHARED; i++)
            good += comes_whole(&bench, queues[q], 20 + (uint32_t)i);
    is_int(good, SHARED * SHARED_QUEUES, "each comes out of each queue");
    is_int(live_entries(&bench), 0, "then nothing holds a segment");
    is_sound(&bench);
    end(&bench);
}

/* What a queue that survives no longer needs may be gone when another queue's message has to leave.
 */
TEST(a_record_that_nobody_held_is_not_shared)
{
    struct bench bench;
    begin(&bench);
    bench.options.segment_bytes = 4096;
    bench.options.checkpoint_ms = 10;
    open_store(&bench);
    struct index *both[2] = {bench.index,
                             store_queue(bench.store, store_queue_id(bench.store, false), &bench)};
    struct message *message = message_made(&bench, 300, MESSAGE_PERSISTENT);
    store_publish(bench.store, message, both, 2);
    message_unref(&bench.pool, message);
    store_want(bench.store, store_ticket(bench.store));
    turns(&bench, 3, 1);
    take(&bench, true);
    for (int i = 0; i < 20; i++)
        publish(&bench, 900);
    for (int i = 0; i < 20; i++) {
        turn(&bench, 20);
        take(&bench, true);
    }
    is_int(live_entries(&bench), 0, "nobody holds what was written");
    ok(store_stats(bench.store)->segments_retired > 0, "and its segment has gone");
    bench.store->options.bodies_idle_bytes = 0;
    turns(&bench, 40, 100);
    is_int(message_pool_bytes(&bench.pool), 0, "the message leaves memory all the same");
    ok(comes_whole(&bench, both[1], 300), "and comes back");
    end(&bench);
}

/* While a large batch gets its places, what it does not have yet cannot be shared. */
TEST(a_record_without_a_place_is_not_shared)
{
    struct bench bench;
    int good = 0;
    begin(&bench);
    bench.options.segment_bytes = 1 << 20;
    bench.options.batch_large_bytes = 1000;
    bench.options.bodies_idle_bytes = 0;
    open_store(&bench);
    struct index *both[2] = {bench.index,
                             store_queue(bench.store, store_queue_id(bench.store, false), &bench)};
    for (int i = 0; i < MANY; i++) {
        struct message *message = message_made(&bench, 20, MESSAGE_PERSISTENT);
        store_publish(bench.store, message, both, 2);
        message_unref(&bench.pool, message);
    }
    turn(&bench, 200);
    turn(&bench, 2000);
    ok(bench.store->journal.sealing && bench.store->journal.write.placed < MANY,
       "a large batch gets its places");
    turns(&bench, 500, 100);
    is_int(store_stats(bench.store)->messages_written, MANY, "each message is written once");
    for (int i = 0; i < 2 * MANY; i++)
        good += comes_whole(&bench, both[i % 2], 20);
    is_int(good, 2 * MANY, "each comes out of both queues");
    is_int(live_entries(&bench), 0, "and then nothing holds a segment");
    end(&bench);
}

/* As long as nothing can be written, what waits for it is not looked at again. */
TEST(nothing_is_looked_at_in_vain)
{
    struct bench bench;
    begin(&bench);
    worker_manual_free(bench.worker[0]);
    bench.worker[0] = bench.options.syncer = worker_manual_new(false);
    bench.options.segment_bytes = 1 << 20;
    bench.options.bodies_idle_bytes = 0;
    open_store(&bench);
    for (int i = 0; i < 5000; i++)
        publish_as(&bench, 20, 0);
    for (int i = 0; i < 20; i++)
        turn(&bench, 100);
    uint64_t paged = store_stats(bench.store)->bodies_paged;
    is_int(paged, 5000, "all are on their way to the disk");
    is_int(store_stats(bench.store)->bodies_evicted, 0, "which is not ready");
    ok(store_next_ms(bench.store) > bench.now_ms, "meanwhile no turn is wanted at once");
    uint64_t awaiting = 0, chunks = 0;
    list_for_each(link, &bench.store->memory.bodies) {
        chunks++;
        awaiting +=
            list_entry(link, struct chunk, bodies_link)->awaits > bench.store->journal.written;
    }
    is_int(awaiting, chunks, "each chunk knows what it waits for");
    for (int i = 0; i < 20; i++) {
        bench.worker[0]->ops->drain(bench.worker[0]);
        turn(&bench, 100);
    }
    is_int(message_pool_bytes(&bench.pool), 0, "then they go");
    end(&bench);
}

/* Of very many queues with a few messages each nothing can leave memory but bodies, if these are much. */
TEST(little_queues_are_not_looked_at)
{
    enum { LITTLE = 1000, LARGE = 20000 };
    struct bench bench;
    int good = 0;
    begin(&bench);
    bench.options.segment_bytes = 1 << 20;
    bench.options.cache_bytes = 16 << 10;
    open_store(&bench);
    for (uint64_t id = 2; id < 2 + LITTLE; id++) {
        bench.index = store_queue(bench.store, id, &bench);
        publish(&bench, 20);
    }
    turns(&bench, 50, 100);
    const struct memory *memory = &bench.store->memory;
    ok(memory->cache_used > 4 * bench.options.cache_bytes, "a thousand queues take more than there should be");
    ok(list_is_empty(&memory->cache) && !spill_has_to_look(bench.store), "but nobody looks at them");
    bench.index = store_queue(bench.store, 1, &bench);
    for (int i = 0; i < LARGE; i++)
        publish(&bench, 20);
    turns(&bench, 100, 100);
    uint64_t spilled = store_stats(bench.store)->chunks_spilled;
    ok(spilled >= LARGE / bench.options.chunk_entries / 2, "a long queue beside them leaves memory (%d)", (int)spilled);
    ok(memory->cache_used - memory->little_used <= 2 * bench.options.cache_bytes, "as if they were not there");
    uint64_t little = memory->little_used;
    bench.index = store_queue(bench.store, 2, &bench);
    for (int i = 0; i < 100; i++)
        publish(&bench, 20);
    ok(memory->little_used < little, "one of them is little no longer");
    bench.index = store_queue(bench.store, 1, &bench);
    for (int i = 0; i < LARGE; i++)
        publish(&bench, 20);
    turns(&bench, 200, 100);
    ok(store_stats(bench.store)->chunks_spilled > spilled, "and leaves memory with the others");
    for (int i = 0; i <= 100; i++) {
        bench.index = store_queue(bench.store, 2, &bench);
        good += take(&bench, true) == (uint64_t)i + 1;
    }
    is_int(good, 101, "its messages are all there");
    end(&bench);
}

/* ---- the draft of a checkpoint ---- */

/* Most of an image is encoded before it is taken, a bounded part in each turn. */
TEST(a_checkpoint_is_drafted)
{
    enum { MESSAGES = 6400, SHARE = 8, NAMES = 1000, FULL = 32, CHUNK_STEPS = 6 };
    struct bench bench;
    uint64_t most = 0, settled = 0;
    size_t names = 0;
    begin(&bench);
    bench.options.segment_bytes = 1 << 20;
    bench.options.chunk_entries = FULL;
    bench.options.cache_bytes = 1 << 20;
    bench.options.bodies_idle_bytes = 16 << 20;
    bench.options.checkpoint_ms = 10000;
    bench.options.draft_steps = SHARE * CHUNK_STEPS;
    open_store(&bench);
    for (int i = 0; i < NAMES; i++) {
        char name[16];
        snprintf(name, sizeof(name), "name %d", i);
        store_catalogue_put(bench.store, bytes_str(name), bytes_str("old"));
    }
    for (int i = 0; i < MESSAGES; i++)
        publish(&bench, 20);
    turns(&bench, 5, 10);
    is_int(store_stats(bench.store)->checkpoints, 0, "no checkpoint is wanted yet");
    bench.now_ms += 20000;
    for (int i = 0; i < 100 && store_stats(bench.store)->checkpoints == 0; i++) {
        uint64_t blobs = bench.store->image.blob_last;
        names = map_count(&bench.store->image.changed_names);
        turn(&bench, 1);
        if (names)
            ok(names - map_count(&bench.store->image.changed_names) <= SHARE * CHUNK_STEPS,
               "names, in parts");
        if (bench.store->image.blob_last - blobs > most)
            most = bench.store->image.blob_last - blobs;
        if (i == 6) { /* of what was drafted, something changes */
            store_catalogue_put(bench.store, bytes_str("name 7"), bytes_str("new"));
            for (int k = 0; k < 40; k++)
                settled += take(&bench, true) != 0;
        }
    }
    is_int(store_stats(bench.store)->checkpoints, 1, "one is taken");
    ok(most <= SHARE + 4, "at most %llu chunks were encoded in a turn", (unsigned long long)most);
    is_int(settled, 40, "meanwhile some went");
    is_sound(&bench);
    is_int(bench.index->ready, MESSAGES - 40, "all others are there after a crash");
    int good = 0;
    for (int i = 0; i < MESSAGES - 40; i++)
        good += comes_whole(&bench, bench.index, 20);
    is_int(good, MESSAGES - 40, "and whole");
    end(&bench);
}

/* Each of many queues has a chunk that is not full. Nothing comes to them any more. */
TEST(queues_at_rest_are_drafted)
{
    enum { QUEUES = 1000, MESSAGES = 5, STEPS = 100 };
    static struct index *queues[QUEUES];
    struct bench bench;
    uint64_t most = 0;
    size_t left = 0;
    begin(&bench);
    bench.options.cache_bytes = 16 << 20;
    bench.options.checkpoint_ms = 10000;
    bench.options.draft_steps = STEPS;
    open_store(&bench);
    for (int i = 0; i < QUEUES; i++)
        queues[i] = store_queue(bench.store, store_queue_id(bench.store, true), NULL);
    for (int i = 0; i < MESSAGES; i++) {
        struct message *message =
            message_new(&bench.pool, bytes_of(NULL, 0), bytes_str("key"), bytes_str("\0"), 0);
        message->flags = i % 2 ? 0 : MESSAGE_PERSISTENT;
        store_publish(bench.store, message, queues, QUEUES);
        message_unref(&bench.pool, message);
    }
    turns(&bench, 5, 10);
    bench.now_ms += 20000;
    for (int i = 0; i < 200 && store_stats(bench.store)->checkpoints == 0; i++) {
        uint64_t blobs = bench.store->image.blob_last;
        size_t drafted = bench.store->image.draft ? bench.store->image.draft->batch.size : 0;
        if (i == 20) /* of what was drafted, something changes */
            store_queue_delete(bench.store, queues[0]);
        turn(&bench, 1);
        if (bench.store->image.blob_last - blobs > most)
            most = bench.store->image.blob_last - blobs;
        if (bench.store->image.job && drafted)
            left = bench.store->image.job->batch.size - drafted;
    }
    is_int(store_stats(bench.store)->checkpoints, 1, "one is taken");
    ok(most > 0 && most <= STEPS / 5 + 1, "at most %d chunks are encoded in a turn", (int)most);
    ok(left > 0 && left < QUEUES * 4, "%zu bytes of it are left for the last turn", left);
    is_sound(&bench);
    uint64_t ready = 0, at = 0;
    for (struct index *index; (index = idmap_next(&bench.store->indexes, &at));)
        ready += index->ready;
    is_int(ready, (QUEUES - 1) * (MESSAGES / 2 + 1), "all that was durable is there after a crash");
    end(&bench);
}

/* How many bytes of the next image are put into it at once, at most; the image is taken. */
static size_t most_at_once(struct bench *bench)
{
    uint64_t before = store_stats(bench->store)->checkpoints;
    size_t most = 0, had = 0;
    bench->now_ms += 20000;
    for (int i = 0; i < 500 && store_stats(bench->store)->checkpoints == before; i++) {
        turn(bench, 1);
        const struct image *image = &bench->store->image;
        const struct checkpoint_job *job = image->job ? image->job : image->draft;
        size_t has = job ? job->batch.size : had;
        if (has > had + most)
            most = has - had;
        had = has;
    }
    is_int(store_stats(bench->store)->checkpoints, before + 1, "one is taken");
    return most;
}

/* Many queues have nothing in them, and go again: neither is left for one turn. */
TEST(empty_queues_are_drafted)
{
    enum { QUEUES = 1000, STEPS = 20, EACH = 8 * 60 };
    static struct index *queues[QUEUES];
    struct bench bench;
    begin(&bench);
    bench.options.checkpoint_ms = 10000;
    bench.options.draft_steps = STEPS;
    open_store(&bench);
    for (int i = 0; i < QUEUES; i++)
        queues[i] = store_queue(bench.store, store_queue_id(bench.store, true), NULL);
    store_catalogue_put(bench.store, bytes_str("name"), bytes_str("value"));
    turns(&bench, 5, 10);
    size_t most = most_at_once(&bench);
    ok(most <= STEPS * EACH + 1000, "that so many came is drafted: %zu bytes at once", most);
    for (int i = 0; i < QUEUES; i++)
        store_queue_delete(bench.store, queues[i]);
    turns(&bench, 5, 10);
    most = most_at_once(&bench);
    ok(most <= STEPS * EACH + 1000, "and that they are gone: %zu bytes at once", most);
    is_sound(&bench);
    end(&bench);
}

int main(void)
{
    RUN(full_disk_does_not_spin);
    RUN(sync_alone_is_due_at_once);
    RUN(rename_fails_once);
    RUN(many_spares);
    RUN(fewer_spares);
    RUN(no_descriptor_to_write);
    RUN(no_descriptor_to_read);
    RUN(large_bodies_leave_memory);
    RUN(recorded_bodies_leave_early);
    RUN(recorded_bodies_stay_with_who_takes_them);
    RUN(others_stay_with_recorded_bodies);
    RUN(one_message_in_many_queues_stays);
    RUN(queues_read_in_turn);
    RUN(what_is_read_next_is_not_looked_at_again);
    RUN(memory_of_a_batch_is_given_back);
    RUN(large_batch);
    RUN(large_batch_after_another);
    RUN(large_batch_has_to_wait);
    RUN(mark_steps);
    RUN(numbers_far_apart);
    RUN(damaged_and_returned);
    RUN(orderly_end_is_not_cut);
    RUN(damage_after_a_quiet_moment);
    RUN(damage_before_a_quiet_moment);
    RUN(check_of_a_batch_that_lies);
    RUN(settled_while_cold);
    RUN(waited_for_while_cold);
    RUN(used_here_and_there);
    RUN(a_large_queue_is_deleted_bit_by_bit);
    RUN(a_crash_while_a_queue_is_being_deleted);
    RUN(an_end_while_a_queue_is_being_deleted);
    RUN(a_large_queue_is_purged_bit_by_bit);
    RUN(a_large_queue_is_purged_again_and_again);
    RUN(a_message_of_many_queues_is_written_once);
    RUN(a_record_that_nobody_held_is_not_shared);
    RUN(a_record_without_a_place_is_not_shared);
    RUN(nothing_is_looked_at_in_vain);
    RUN(little_queues_are_not_looked_at);
    RUN(a_checkpoint_is_drafted);
    RUN(queues_at_rest_are_drafted);
    RUN(empty_queues_are_drafted);
    return done();
}
