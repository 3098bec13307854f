/* Parts of the index that are lost while the store runs, or before it starts: it goes on. What the
 * journal has is there as ever; what it has not is set aside, and nothing else. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "store/internal.h"
#include "tests/lib/disk_memory.h"
#include "tests/lib/kv_memory.h"
#include "tests/lib/tap.h"

enum { MESSAGES = 400, SHARED = 16, BODY = 100 };

struct bench {
    struct disk *disk;
    struct kv *kv;
    struct worker *worker[3];
    struct message_pool pool;
    struct store_options options;
    struct store *store;
    struct index *index[2];
    uint64_t now_ms;
};

static void turns(struct bench *bench, int count, uint64_t ms)
{
    for (int i = 0; i < count; i++) {
        bench->now_ms += ms;
        store_tick(bench->store, bench->now_ms);
        while (store_take_awake(bench->store))
            continue;
    }
}

static bool open_store(struct bench *bench)
{
    char error[600];
    bench->store = store_open(&bench->options, bench->now_ms, error, sizeof(error));
    if (!ok(bench->store, "the store opens%s%s", bench->store ? "" : ": ",
            bench->store ? "" : error))
        return false;
    while (bench->store->id_last < 2)
        store_queue_id(bench->store, true);
    for (int i = 0; i < 2; i++)
        bench->index[i] = store_queue(bench->store, (uint64_t)i + 1, bench);
    return true;
}

/* To the queues of the mask; the body says which it is. */
static void publish(struct bench *bench, unsigned mask, uint32_t number)
{
    struct index *to[2];
    size_t count = 0;
    struct message *message = message_new(&bench->pool, bytes_str(""), bytes_str("a queue"),
                                          bytes_of("\0\0", 2), BODY);
    memset(message_body_start(message), 'x', BODY);
    memcpy(message_body_start(message), &number, sizeof(number));
    message->body_filled = BODY;
    message->flags = MESSAGE_PERSISTENT;
    for (int i = 0; i < 2; i++)
        if (mask >> i & 1)
            to[count++] = bench->index[i];
    store_publish(bench->store, message, to, count);
    message_unref(&bench->pool, message);
}

/* Everything is on the disk, and nothing of it in memory. */
static void cool(struct bench *bench)
{
    turns(bench, 60, 100);
    bool is_cold = true;
    for (int i = 0; i < 2; i++)
        for (uint32_t c = 0; c < bench->index[i]->chunks_count; c++)
            is_cold = is_cold &&
                      !bench->index[i]->chunks[bench->index[i]->chunks_first + c]->entries;
    ok(is_cold && bench->index[0]->chunks_count > 3, "%u chunks are out of memory",
       bench->index[0]->chunks_count);
}

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
    bench->options.chunk_entries = 32;
    bench->options.cache_bytes = 0;
    bench->options.bodies_idle_bytes = 0;
    bench->options.checkpoint_ms = 5000;
    bench->options.disk_reserve_bytes = 0;
    open_store(bench);
    for (uint32_t i = 0; i < MESSAGES; i++) {
        publish(bench, i % SHARED ? 1 : 3, i);
        if (i % 8 == 7)
            turns(bench, 1, 100);
    }
    cool(bench);
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

static bool collect(void *context, struct bytes key, struct bytes value)
{
    (void)value;
    kv_batch_delete(context, key);
    return true;
}

/* The disk has lost all blobs. */
static void lose_blobs(struct bench *bench)
{
    struct buffer batch = {0};
    bench->kv->ops->scan(bench->kv, bytes_str("K"), bytes_of(NULL, 0), collect, &batch);
    bench->kv->ops->write(bench->kv, buffer_bytes(&batch), true);
    buffer_free(&batch);
}

/* Flips a byte of the body of a message, wherever it lies; returns in how many places. */
static int damage_body(struct bench *bench, uint32_t number)
{
    int found = 0;
    uint8_t body[24];
    memset(body, 'x', sizeof(body));
    memcpy(body, &number, sizeof(number));
    for (uint32_t segment = 1; segment < 100; segment++) {
        char name[32];
        uint64_t size;
        segment_name(name, segment);
        uint8_t *bytes = disk_memory_contents(bench->disk, name, &size);
        for (uint64_t at = 0; bytes && at + sizeof(body) <= size; at++) {
            if (memcmp(bytes + at, body, sizeof(body)) != 0)
                continue;
            bytes[at + 20] ^= 1;
            found++;
        }
    }
    return found;
}

/* Takes all that is ready and settles it; returns how many came in the order they were published,
 * each once. */
static int drain(struct bench *bench, int queue)
{
    struct taken taken;
    int64_t last = -1;
    int count = 0;
    for (int waits = 0; waits < 2000;) {
        enum index_result result = index_take(bench->index[queue], true, &taken);
        if (result == INDEX_EMPTY)
            return count;
        if (result == INDEX_WAIT) {
            turns(bench, 1, 1);
            waits++;
            continue;
        }
        uint32_t number;
        memcpy(&number, message_body(taken.message).data, sizeof(number));
        message_unref(&bench->pool, taken.message);
        if (number <= last)
            return -1;
        last = number;
        count++;
    }
    return -2;
}

static void take(struct bench *bench, bool settle)
{
    struct taken taken;
    while (index_take(bench->index[0], settle, &taken) != INDEX_OK)
        turns(bench, 1, 1);
    message_unref(&bench->pool, taken.message);
}

static void goes_on(struct bench *bench)
{
    publish(bench, 3, MESSAGES);
    turns(bench, 5, 100);
    is_int(drain(bench, 0), 1, "a new message goes through");
    is_int(drain(bench, 1), 1, "through both queues");
    turns(bench, 4, 5100);
    ok(!store_failure(bench->store), "the store has not failed");
}

TEST(lost_blobs)
{
    struct bench bench;
    begin(&bench);
    lose_blobs(&bench);
    is_int(drain(&bench, 0), MESSAGES, "all messages are there");
    is_int(drain(&bench, 1), MESSAGES / SHARED, "in the other queue as well");
    ok(bench.store->stats.chunks_damaged > 6, "parts of the index were made anew");
    is_int(bench.store->stats.damaged, 0, "nothing was set aside");
    goes_on(&bench);
    is_int(bench.store->stats.live_bytes, 0, "nothing is held any more");
    end(&bench);
}

TEST(lost_blobs_of_moved_messages)
{
    struct bench bench;
    begin(&bench);
    for (int i = 0; i < MESSAGES - 20; i++)
        take(&bench, i % 9 != 8);
    bench.store->options.cache_bytes = 1 << 20; /* a moved message's chunk has to stay for a turn */
    turns(&bench, 100, 200);
    bench.store->options.cache_bytes = 0;
    ok(bench.store->stats.messages_moved > 5, "%d messages have moved",
       (int)bench.store->stats.messages_moved);
    turns(&bench, 60, 100);
    lose_blobs(&bench);
    drain(&bench, 0);
    is_int(drain(&bench, 1), MESSAGES / SHARED, "all messages of the other queue are there");
    is_int(bench.store->stats.damaged, 0, "nothing was set aside");
    goes_on(&bench);
    end(&bench);
}

TEST(lost_blobs_and_a_lost_message)
{
    struct bench bench;
    begin(&bench);
    lose_blobs(&bench);
    is_int(damage_body(&bench, 57), 1, "a message is damaged");
    is_int(drain(&bench, 0), MESSAGES - 1, "all others are there");
    is_int(drain(&bench, 1), MESSAGES / SHARED, "in the other queue all");
    is_int(bench.store->stats.damaged, 1, "one was set aside");
    goes_on(&bench);
    ok(bench.store->stats.live_bytes > 0, "what it holds stays");
    store_close(bench.store);
    if (!open_store(&bench))
        return;
    is_int(drain(&bench, 0), 0, "another start does not deliver it");
    is_int(bench.store->stats.damaged, 1, "and counts it");
    goes_on(&bench);
    store_queue_delete(bench.store, bench.index[0]);
    turns(&bench, 4, 5100);
    ok(!store_failure(bench.store), "its queue can be deleted");
    bench.index[0] = bench.index[1];
    end(&bench);
}

/* As in a journal that is replayed: of what is set aside, nothing is ready. */
TEST(settles_of_what_was_lost)
{
    struct bench bench;
    begin(&bench);
    lose_blobs(&bench);
    damage_body(&bench, 57);
    is_int(drain(&bench, 0), MESSAGES - 1, "one is set aside");
    is_int(drain(&bench, 1), MESSAGES / SHARED, "in the other queue none");
    is_int(bench.index[0]->ready, 0, "nothing is ready");
    index_replay_settle(bench.index[0], 58, 1);
    is_int(bench.index[0]->ready, 0, "nor is less than nothing when it is settled");
    goes_on(&bench);
    end(&bench);
}

TEST(settled_while_it_is_mended)
{
    struct bench bench;
    struct taken taken;
    begin(&bench);
    for (int i = 0; i < 40; i++)
        take(&bench, false);
    cool(&bench);
    lose_blobs(&bench);
    is_int(index_take(bench.index[0], false, &taken), INDEX_WAIT, "the next one has to be read");
    turns(&bench, 1, 1);
    for (uint64_t sequence = 1; sequence <= 40; sequence++)
        index_settle(bench.index[0], sequence);
    is_int(drain(&bench, 0), MESSAGES - 40, "the others are there");
    is_int(drain(&bench, 1), MESSAGES / SHARED, "in the other queue all");
    is_int(bench.store->stats.damaged, 0, "nothing was set aside");
    goes_on(&bench);
    end(&bench);
}

TEST(purged_while_lost)
{
    struct bench bench;
    begin(&bench);
    lose_blobs(&bench);
    is_int((int)index_purge(bench.index[0]), MESSAGES, "a queue whose index is lost is purged");
    turns(&bench, 50, 100);
    ok(bench.store->stats.chunks_damaged > 6, "which is noticed");
    is_int(drain(&bench, 1), MESSAGES / SHARED, "the other queue has all");
    goes_on(&bench);
    end(&bench);
}

/* A start that replays moved messages needs their chunks. */
TEST(lost_before_a_start)
{
    struct bench bench;
    begin(&bench);
    store_close(bench.store);
    lose_blobs(&bench);
    if (!open_store(&bench))
        return;
    is_int(drain(&bench, 0), MESSAGES, "all messages are there");
    is_int(drain(&bench, 1), MESSAGES / SHARED, "in the other queue as well");
    is_int(bench.store->stats.damaged, 0, "nothing was set aside");
    goes_on(&bench);
    end(&bench);
}

int main(void)
{
    RUN(lost_blobs);
    RUN(lost_blobs_of_moved_messages);
    RUN(lost_blobs_and_a_lost_message);
    RUN(settles_of_what_was_lost);
    RUN(settled_while_it_is_mended);
    RUN(purged_while_lost);
    RUN(lost_before_a_start);
    return done();
}
