/* Entries of queues: their numbers after a crash, where their records lie while these move, and that a
 * segment goes when nothing in it is needed. */
#include <stdio.h>

#include "base/mem.h"
#include "tests/fault/bench.h"
#include "tests/lib/tap.h"

/* ---- deliveries ---- */

/* How often the first message was said to have come back; it is taken for that. */
static uint32_t count_of_first(struct bench *bench)
{
    struct taken taken;
    for (int i = 0; i < 50; i++) {
        if (index_take(bench->queue[0], false, &taken) == INDEX_OK) {
            message_unref(&bench->pool, taken.message);
            return taken.delivery_count;
        }
        bench_turns(bench, 1, 20);
    }
    bail("a message is not to be had");
    return 0;
}

static void crash_and_open(struct bench *bench)
{
    bench_wait(bench);
    bench_crash(bench, CRASH_DROP);
    bench_open(bench);
}

enum { COLD = 64 }; /* messages of a chunk */

/* Bodies and entries leave memory whenever they can. */
static void init_cold(struct bench *bench)
{
    bench_init(bench);
    bench->options.chunk_entries = COLD;
    bench->options.cache_bytes = 0;
    bench->options.bodies_idle_bytes = 0;
    bench_open(bench);
}

/* Message n ends at LATER - n, and each third does not end. */
enum { LATER = 1000000 };

static void publish_timed(struct bench *bench, int number)
{
    uint64_t time = number % 3 ? (uint64_t)(LATER - number) : 0;
    struct message *message = message_new(&bench->pool, bytes_str(""), bytes_str("a queue"),
                                          bytes_of("\0\0", 2), 1);
    message_fill(message, bytes_str("x"));
    message->flags = MESSAGE_PERSISTENT;
    store_publish_timed(bench->store, message, &bench->queue[0], &time, 1);
    message_unref(&bench->pool, message);
}

struct told {
    size_t count;
    bool is_wrong;
    uint64_t last;
};

static void tell(void *context, uint64_t sequence, uint64_t ends_ms)
{
    struct told *told = context;
    told->is_wrong |= sequence <= told->last || sequence % 3 == 0 || ends_ms != LATER - sequence;
    told->last = sequence;
    told->count++;
}

/* All that have a time, whatever has to be read for it; how often was that waited for? */
static int tell_times(struct bench *bench, struct told *told)
{
    uint64_t from = 0;
    enum index_result result;
    int waits = 0;
    *told = (struct told){0};
    while ((result = index_times(bench->queue[0], &from, tell, told)) != INDEX_EMPTY && waits < 100)
        if (result == INDEX_WAIT) {
            waits++;
            bench_turns(bench, 1, 1);
        }
    return waits;
}

TEST(times_are_told_wherever_they_are)
{
    struct bench bench;
    struct told told;
    uint64_t ends_ms = 0;
    init_cold(&bench);
    for (int i = 1; i <= COLD * 5; i++)
        publish_timed(&bench, i);
    is_int(tell_times(&bench, &told), 0, "nothing is to be read");
    ok(told.count == COLD * 5 - COLD * 5 / 3 && !told.is_wrong, "each is told, with its time");
    bench_turns(&bench, 60, 100);
    const struct chunk *chunk = index_chunk(bench.queue[0], 5);
    ok(!chunk->entries, "the first chunk is out of memory");
    ok(index_ends(bench.queue[0], 5, &ends_ms) == INDEX_WAIT, "the time of one has to be read");
    ok(tell_times(&bench, &told) > 0, "and those of others");
    ok(told.count == COLD * 5 - COLD * 5 / 3 && !told.is_wrong, "the same are told");
    ok(index_ends(bench.queue[0], 5, &ends_ms) == INDEX_OK && ends_ms == LATER - 5, "it is known");
    bench_turns(&bench, 60, 100);
    uint64_t bytes = bench.queue[0]->ready_bytes;
    ok(!chunk->entries && index_take_at(bench.queue[0], 5), "it is taken as it lies");
    ok(!index_take_at(bench.queue[0], 5) && index_holds(bench.queue[0], 5), "once");
    is_int(bench.queue[0]->ready_bytes, bytes - 1, "and counted");
    index_settle(bench.queue[0], 5);
    ok(!index_holds(bench.queue[0], 5) && !chunk->entries, "it ends without being read");
    is_int(bench.queue[0]->ready, COLD * 5 - 1, "one is gone");
    tell_times(&bench, &told);
    is_int(told.count, COLD * 5 - COLD * 5 / 3 - 1, "and told no more");
    crash_and_open(&bench);
    tell_times(&bench, &told);
    ok(told.count == COLD * 5 - COLD * 5 / 3 - 1 && !told.is_wrong, "nor after a crash");
    store_close(bench.store);
    bench_open(&bench);
    ok(tell_times(&bench, &told) > 0, "a start reads what it needs");
    ok(told.count == COLD * 5 - COLD * 5 / 3 - 1 && !told.is_wrong, "and tells the same");
    bench_free(&bench);
}

TEST(what_lies_anywhere_is_read_at_once)
{
    static const uint64_t sequences[] = {COLD * 2 + 7, 3, COLD + 5, COLD + 50};
    struct bench bench;
    struct message *message;
    init_cold(&bench);
    for (int i = 1; i <= COLD * 3; i++)
        publish_timed(&bench, i);
    bench_turns(&bench, 60, 100);
    for (int i = 0; i < 4; i++)
        ok(index_take_at(bench.queue[0], sequences[i]), "one is taken");
    uint64_t read = bench.store->stats.bodies_read;
    for (int i = 0; i < 4; i++) {
        index_read_some(bench.queue[0], sequences, 4);
        bench_turns(&bench, 1, 1);
    }
    is_int(bench.store->stats.bodies_read - read, 4, "all were read, each once");
    for (int i = 0; i < 4; i++) {
        ok(index_fetch(bench.queue[0], sequences[i], &message) == INDEX_OK, "and are there");
        message_unref(&bench.pool, message);
        index_settle(bench.queue[0], sequences[i]);
    }
    index_read_some(bench.queue[0], sequences, 4);
    bench_turns(&bench, 2, 1);
    is_int(bench.store->stats.bodies_read - read, 4, "what has gone is not read");
    bench_free(&bench);
}

/* How many turns it takes until all of them are in memory. */
static int turns_until_read(struct bench *bench, const uint64_t *sequences, size_t count)
{
    int turns = 0;
    while (!index_read_soon(bench->queue[0], sequences, count) && ++turns < 100)
        bench_turns(bench, 1, 10);
    return turns;
}

TEST(what_is_needed_soon_is_read_before)
{
    static const uint64_t sequences[] = {COLD * 2 + 7, 3, COLD + 5, COLD + 50};
    struct bench bench;
    struct message *message;
    init_cold(&bench);
    for (int i = 1; i <= COLD * 3; i++)
        publish_timed(&bench, i);
    bench_turns(&bench, 60, 100);
    struct index *index = bench.queue[0];
    uint64_t read = bench.store->stats.bodies_read, ready = index->ready;
    ok(!index_chunk(index, 3)->entries, "the queue is out of memory");
    int turns = turns_until_read(&bench, sequences, 4);
    ok(turns >= 2 && turns < 10, "some turns later they are there (%d)", turns);
    is_int(bench.store->stats.bodies_read - read, 4, "each was read once, and no other one");
    is_int(index->ready, ready, "nothing has happened to them");
    for (int i = 0; i < 4; i++) {
        ok(index_take_at(index, sequences[i]), "one is taken");
        ok(index_fetch(index, sequences[i], &message) == INDEX_OK, "and is there at once");
        message_unref(&bench.pool, message);
        index_settle(index, sequences[i]);
    }
    ok(index_read_soon(index, sequences, 4), "what has gone is not missed");
    bench_turns(&bench, 60, 100);
    is_int(bench.store->stats.bodies_read - read, 4, "nor read");
    bench_free(&bench);
}

TEST(who_waits_is_read_for_first)
{
    static const uint64_t later[] = {COLD * 2 + 7};
    struct bench bench;
    struct taken taken;
    init_cold(&bench);
    for (int i = 1; i <= COLD * 3; i++)
        publish_timed(&bench, i);
    bench_turns(&bench, 60, 100);
    struct index *index = bench.queue[0];
    bench.is_reader_held = true;
    ok(index_take(index, true, &taken) == INDEX_WAIT, "somebody waits for a message");
    ok(!index_read_soon(index, later, 1), "another one is needed before long");
    ok(!index_chunk(index, later[0])->is_loading, "which is not read now");
    bench.is_reader_held = false;
    is_int(bench_take(&bench, 0, true), 1, "who waits has the first");
    ok(turns_until_read(&bench, later, 1) < 20, "then the other one is read");
    bench_free(&bench);
}

TEST(memory_is_not_filled_ahead)
{
    enum { MANY = 40 };
    uint64_t sequences[MANY];
    struct bench bench;
    init_cold(&bench);
    bench.options.bodies_burst_bytes = 64 << 20;
    for (uint32_t i = 0; i < MANY; i++) {
        bench_publish(&bench, 1, 1 << 20);
        sequences[i] = i + 1;
        bench_turns(&bench, 1, 100);
    }
    bench_turns(&bench, 60, 100);
    uint64_t read = bench.store->stats.bodies_read;
    ok(turns_until_read(&bench, sequences, MANY) < 50, "all are there that are worth it");
    read = bench.store->stats.bodies_read - read;
    ok(read >= 4 && read <= 6, "which are a few MiB (%d)", (int)read);
    bench_free(&bench);
}

/* Looks at all, whatever has to be read for it; how often was that waited for? */
static int look_at_all(struct bench *bench, enum looked_state first, size_t *count)
{
    struct looked looked;
    enum index_result result;
    int waits = 0;
    *count = 0;
    while ((result = index_look(bench->queue[0], *count + 1, &looked)) != INDEX_EMPTY &&
           waits < 100) {
        if (result == INDEX_WAIT) {
            waits++;
            bench_turns(bench, 1, 1);
            continue;
        }
        uint64_t time = looked.sequence % 3 ? LATER - looked.sequence : 0;
        bool is_first = looked.sequence == 1;
        if (looked.sequence != ++*count || looked.ends_ms != time || looked.delivery_count ||
            looked.state != (is_first ? first : LOOKED_READY))
            bail("message %zu is not what it was", *count);
        message_unref(&bench->pool, looked.message);
    }
    return waits;
}

static bool same_counts(const struct index *index, const struct counts *counts)
{
    return memcmp(&index->counts, counts, sizeof(*counts)) == 0;
}

TEST(a_look_changes_nothing)
{
    size_t count;
    struct bench bench;
    init_cold(&bench);
    for (int i = 1; i <= COLD * 5; i++)
        publish_timed(&bench, i);
    bench_turns(&bench, 60, 100);
    struct index *index = bench.queue[0];
    struct counts counts = index->counts;
    uint64_t writes = bench.store->stats.bytes_written;
    ok(!index_chunk(index, 1)->entries, "the queue is out of memory");
    ok(look_at_all(&bench, LOOKED_READY, &count) > 5, "a look waits for what it reads");
    is_int(count, COLD * 5, "all are seen");
    ok(same_counts(index, &counts) && index->cursor == 1, "none of them is taken");
    is_int(bench.store->stats.bytes_written, writes, "nothing is written");
    is_int(count_of_first(&bench), 0, "the first did not come back");
    counts = index->counts;
    bench_turns(&bench, 60, 100);
    look_at_all(&bench, LOOKED_TAKEN, &count);
    is_int(count, COLD * 5, "one that is taken is seen as well");
    ok(same_counts(index, &counts), "and is still taken");
    bench_free(&bench);
}

TEST(heads_are_told_from_memory)
{
    struct index_heads heads;
    struct bench bench;
    uint64_t sequence;
    init_cold(&bench);
    struct index *index = bench.queue[0];
    index_heads(index, &heads);
    ok(!heads.first && !heads.ready, "an empty queue has none");
    publish_timed(&bench, 1);
    publish_timed(&bench, 2);
    index_heads(index, &heads);
    ok(heads.first && heads.first == heads.ready, "the first is ready");
    const struct message *first = heads.first;
    ok(index_take_head(index, &sequence), "it is taken");
    index_heads(index, &heads);
    ok(heads.first == first && heads.ready && heads.ready != first, "and still the first, and another one is ready");
    index_return(index, sequence);
    for (int i = 3; i <= COLD * 5; i++)
        publish_timed(&bench, i);
    bench_turns(&bench, 60, 100);
    uint64_t read = bench.store->stats.bodies_read;
    ok(!index_chunk(index, 1)->entries, "the queue is out of memory");
    index_heads(index, &heads);
    ok(!heads.first && !heads.ready, "then it is not known which they are");
    bench_turns(&bench, 5, 1);
    ok(!index->is_waiting && !index_chunk(index, 1)->entries && bench.store->stats.bodies_read == read,
       "and nothing is read for it");
    bench_free(&bench);
}

TEST(what_a_queue_waits_for_is_known)
{
    struct bench bench;
    struct taken taken;
    init_cold(&bench);
    struct index *index = bench.queue[0];
    publish_timed(&bench, 1);
    ok(index_obstacle(index) == INDEX_UNHINDERED, "nobody has asked");
    bench.is_syncer_held = true;
    ok(index_take(index, false, &taken) == INDEX_WAIT, "a delivery waits for its mark");
    ok(index_obstacle(index) == INDEX_MARKS, "and that is known");
    bench.is_syncer_held = false;
    bench_wait(&bench);
    bench_turns(&bench, 60, 100);
    ok(index_obstacle(index) == INDEX_UNHINDERED, "it is there, and was not asked for since");
    bench.is_reader_held = true;
    ok(index_take(index, false, &taken) == INDEX_WAIT, "a delivery waits for a read");
    ok(index_obstacle(index) == INDEX_READS, "and that is known");
    bench.is_reader_held = false;
    is_int(count_of_first(&bench), 0, "it comes");
    ok(index_obstacle(index) == INDEX_UNHINDERED, "nothing is there to be waited for");
    bench_free(&bench);
}

/* By the journal, by a checkpoint, and by a checkpoint and what the journal says since. */
TEST(returns_are_counted_over_a_restart)
{
    struct bench bench;
    bench_init(&bench);
    bench_open(&bench);
    for (int i = 0; i < 3; i++)
        bench_publish(&bench, 1, 10);
    is_int(count_of_first(&bench), 0, "a new message did not come back");
    index_redeliver(bench.queue[0], 1);
    is_int(index_delivery_count(bench.queue[0], 1), 1, "now it did");
    crash_and_open(&bench);
    is_int(bench.store->stats.checkpoints, 0, "no checkpoint has it");
    is_int(count_of_first(&bench), 1, "it came back once, says the journal");
    index_redeliver(bench.queue[0], 1);
    bench_turns(&bench, 4, bench.options.checkpoint_ms);
    is_int(bench.store->stats.checkpoints, 1, "the return is worth a checkpoint");
    crash_and_open(&bench);
    is_int(count_of_first(&bench), 2, "twice, says the checkpoint");
    index_redeliver(bench.queue[0], 1);
    crash_and_open(&bench);
    is_int(count_of_first(&bench), 3, "and once more since then");
    index_return(bench.queue[0], 1);
    crash_and_open(&bench);
    is_int(count_of_first(&bench), 3, "a crash, or what only puts it back, does not count");
    index_redeliver(bench.queue[0], 1);
    store_close(bench.store);
    bench_open(&bench);
    is_int(count_of_first(&bench), 4, "after an orderly end it is known as well");
    index_settle(bench.queue[0], 1);
    crash_and_open(&bench);
    is_int(count_of_first(&bench), 0, "the next message never came back");
    bench_free(&bench);
}

/* A count is known whether the entry is in memory or not, and while the disk is short too. */
TEST(returns_of_cold_chunks_are_counted)
{
    struct bench bench;
    init_cold(&bench);
    for (int i = 0; i < COLD * 3; i++)
        bench_publish(&bench, 1, 100);
    bench_wait(&bench);
    for (int i = 0; i < COLD * 2; i++)
        bench_take(&bench, 0, false);
    bench_turns(&bench, 60, 100);
    struct chunk *chunk = index_chunk(bench.queue[0], 5);
    ok(!chunk->entries, "the chunk is out of memory");
    index_redeliver(bench.queue[0], 7);
    index_redeliver(bench.queue[0], 5);
    is_int(index_delivery_count(bench.queue[0], 5), 1, "it came back once");
    ok(!chunk->entries, "without being read");
    crash_and_open(&bench);
    is_int(index_delivery_count(bench.queue[0], 4), 0, "one that did not come back");
    is_int(index_delivery_count(bench.queue[0], 5), 1, "one that did");
    is_int(index_delivery_count(bench.queue[0], 7), 1, "and another");
    bench_free(&bench);
}

static void see_delayed(void *context, uint64_t sequence, uint64_t until_ms)
{
    uint64_t *sum = context;
    *sum += sequence * 1000 + until_ms;
}

/* Of each delayed message 1000 times its number and until when it waits. */
static uint64_t sum_of_delayed(struct bench *bench)
{
    uint64_t sum = 0;
    index_delayed(bench->queue[0], see_delayed, &sum);
    return sum;
}

/* By the journal, and by a checkpoint; hot and cold. */
TEST(delayed_messages_wait_over_a_restart)
{
    struct bench bench;
    init_cold(&bench);
    for (int i = 0; i < COLD * 2; i++)
        bench_publish(&bench, 1, 100);
    bench_wait(&bench);
    for (int i = 0; i < 3; i++)
        bench_take(&bench, 0, false);
    index_delay(bench.queue[0], 1, 500);
    index_delay(bench.queue[0], 3, 700);
    is_int(bench.queue[0]->delayed, 2, "two wait");
    is_int(bench.queue[0]->taken, 1, "and are not taken");
    crash_and_open(&bench);
    is_int(sum_of_delayed(&bench), 1000 + 500 + 3000 + 700, "the journal has it");
    is_int(bench.queue[0]->ready, COLD * 2 - 2, "they are not ready");
    bench_turns(&bench, 4, bench.options.checkpoint_ms);
    crash_and_open(&bench);
    is_int(sum_of_delayed(&bench), 1000 + 500 + 3000 + 700, "the checkpoint has it");
    is_int(bench.queue[0]->delayed, 2, "and it is counted");
    uint64_t bytes = bench.queue[0]->ready_bytes;
    ok(index_retry(bench.queue[0], 1), "one waits no more");
    ok(!index_retry(bench.queue[0], 1), "and is not delayed any more");
    ok(!index_retry(bench.queue[0], 2), "nor is one that never was");
    is_int(bench.queue[0]->ready_bytes, bytes + 100, "its bytes are ready");
    is_int(count_of_first(&bench), 1, "it came back once, and to its place");
    crash_and_open(&bench);
    is_int(sum_of_delayed(&bench), 3000 + 700, "that it waits no more is on record");
    is_int(index_purge(bench.queue[0]), COLD * 2, "what waits is purged with the rest");
    is_int(bench.queue[0]->delayed, 0, "and none waits");
    crash_and_open(&bench);
    is_int(bench.queue[0]->ready + bench.queue[0]->delayed, 0, "nor does one come back");
    bench_free(&bench);
}

/* ---- numbers ---- */

/* Delivers and acknowledges the first message; afterwards a mark is ahead. */
static void deliver(struct bench *bench, int queue)
{
    uint64_t sequence = bench_take(bench, queue, false);
    if (sequence == 0)
        bail("a message is not to be had");
    index_settle(bench->queue[queue], sequence);
}

/* A message in two queues whose batch is still filling: the record stays for one, and must say of the
 * other that it is gone there. */
TEST(settled_in_one_queue_of_two)
{
    struct bench bench;
    bench_init(&bench);
    bench_open(&bench);
    for (int q = 0; q < 2; q++) { /* a mark that lets the next one go at once */
        bench_publish(&bench, 1u << q, 10);
        deliver(&bench, q);
    }
    bench_wait(&bench);
    bench_publish(&bench, 3, 10);
    uint64_t batch = bench.store->journal.filling->number;
    bench_take(&bench, 0, true);
    is_int(bench.store->journal.filling->number, batch, "taken before its batch is written");
    crash_and_open(&bench);
    is_int(bench.queue[0]->ready, 0, "it does not come back to the queue that it has left");
    is_int(bench.queue[1]->ready, 1, "it is in the other");
    bench_free(&bench);
}

/* A number whose message never reached the disk, but its settle did, is not used again. */
TEST(numbers_of_settles_are_used)
{
    struct bench bench;
    bench_init(&bench);
    bench_open(&bench);
    bench_publish(&bench, 3, 10);
    index_purge(bench.queue[0]);
    index_purge(bench.queue[1]);
    uint64_t next = bench.queue[0]->next_sequence;
    is_int(bench.store->stats.records_elided, 1, "the message has no record");
    crash_and_open(&bench);
    is_int(bench.queue[0]->next_sequence, next, "numbers go on where they were");
    is_int(bench.queue[1]->next_sequence, next, "in both queues");
    bench_free(&bench);
}

/* Numbers below the mark may have been delivered, without a trace of it in the journal; a message that
 * comes after the crash was not. */
TEST(numbers_go_on_above_the_mark)
{
    struct bench bench;
    struct taken taken;
    bench_init(&bench);
    bench_open(&bench);
    bench_publish(&bench, 1, 10);
    deliver(&bench, 0);
    uint64_t mark = bench.queue[0]->mark;
    ok(mark > bench.queue[0]->next_sequence, "the mark is ahead of the messages");
    crash_and_open(&bench);
    ok(bench.queue[0]->next_sequence >= mark, "numbers begin at the mark");
    bench_publish(&bench, 1, 10);
    bench_wait(&bench);
    enum index_result result = INDEX_WAIT;
    for (int i = 0; i < 20 && result == INDEX_WAIT; i++) {
        result = index_take(bench.queue[0], true, &taken);
        bench_turns(&bench, 1, 1);
    }
    is_int(result, INDEX_OK, "a new message comes");
    is_int(taken.redelivered, false, "and was never delivered before");
    message_unref(&bench.pool, taken.message);
    bench_free(&bench);
}

/* ---- what keeps a segment ---- */

static void checkpoint(struct bench *bench)
{
    uint64_t before = bench->store->stats.checkpoints;
    bench_publish(bench, 2, 10);
    bench_wait(bench);
    for (int i = 0; i < 20 && bench->store->stats.checkpoints == before; i++)
        bench_turns(bench, 1, 31000);
    bench_take_all(bench, 1);
    bench_wait(bench);
}

/* So many segments without anything live in them that there is something to compact. */
static void add_dead_segments(struct bench *bench)
{
    for (int i = 0; i < 40; i++) {
        bench_publish(bench, 2, 5000);
        bench_wait(bench);
    }
    bench_take_all(bench, 1);
    bench_wait(bench);
}

static struct entry *entry_of(struct bench *bench, uint64_t sequence)
{
    struct chunk *chunk;
    return index_entry(bench->queue[0], sequence, &chunk);
}

/* Publishes all messages of queue 0's first chunk but the last; returns their number. It ends before it
 * has grown to COLD. */
static int fill_but_one(struct bench *bench)
{
    const struct chunk *chunk = NULL;
    int count = 0;
    while (!chunk || chunk->capacity <= COLD / 2 || chunk->slots < chunk->capacity - 1) {
        bench_publish(bench, 1, 180);
        chunk = index_chunk(bench->queue[0], (uint64_t)++count);
    }
    return count;
}

/* The first segment holds all of a chunk but its last message, which is alone in the second. That one is
 * settled while the chunk is out of memory, and so holds its segment until the chunk is read:
 * compaction sees to that when it comes to the segment. */
static void compact_unreleased(bool restart)
{
    struct bench bench;
    init_cold(&bench);
    int count = fill_but_one(&bench) + 1;
    bench_wait(&bench);
    bench_publish(&bench, 2, 5000);
    bench_publish(&bench, 1, 180);
    bench_publish(&bench, 2, 5000);
    bench_wait(&bench);
    is_int(bench.store->journal.segment_last, 2, "two segments");
    uint64_t last = 0;
    for (int i = 0; i < count; i++)
        last = bench_take(&bench, 0, false);
    bench_take_all(&bench, 1);
    bench_turns(&bench, 60, 100);
    struct chunk *chunk = index_chunk(bench.queue[0], last);
    ok(!chunk->entries, "the chunk is out of memory");
    index_settle(bench.queue[0], last);
    if (restart) {
        checkpoint(&bench);
        crash_and_open(&bench);
    }
    is_int(segment_find(&bench.store->journal, 2)->live_entries, 1,
           "what was settled holds its segment");
    add_dead_segments(&bench);
    bench_turns(&bench, 50, 100);
    ok(bench.store->stats.compactions > 0, "there was compaction");
    checkpoint(&bench);
    checkpoint(&bench);
    ok(!bench_has_file(&bench, "journal-0000000002"), "and the segment is gone");
    bench_free(&bench);
}

TEST(compaction_waits_for_what_is_unreleased)
{
    compact_unreleased(false);
}

TEST(what_is_unreleased_is_known_after_a_restart)
{
    compact_unreleased(true);
}

/* Of a million messages one leaves now and then, from anywhere. */
static void settle_anywhere(struct bench *bench, uint64_t sequence)
{
    struct message *message;
    if (!index_take_at(bench->queue[0], sequence))
        bail("a message is not ready");
    while (index_fetch(bench->queue[0], sequence, &message) != INDEX_OK)
        bench_turns(bench, 1, 1);
    message_unref(&bench->pool, message);
    index_settle(bench->queue[0], sequence);
}

/* Three chunks out of memory, of whose second one so many messages have left; returns that. */
static struct chunk *leave_some(struct bench *bench, uint64_t count)
{
    init_cold(bench);
    for (int i = 0; i < COLD * 3; i++)
        bench_publish(bench, 1, 100);
    bench_wait(bench);
    bench_turns(bench, 60, 100);
    struct chunk *chunk = index_chunk(bench->queue[0], COLD * 3 / 2);
    ok(!chunk->entries && chunk->blob && chunk != index_chunk(bench->queue[0], 1),
       "a chunk is out of memory");
    for (uint64_t i = 0; i < count; i++)
        settle_anywhere(bench, chunk->base + 2 * i);
    return chunk;
}

TEST(a_chunk_that_few_leave_is_not_written_again)
{
    struct bench bench;
    struct chunk *chunk = leave_some(&bench, 3);
    const struct store_stats *stats = &bench.store->stats;
    uint64_t spilled = stats->chunks_spilled, live = stats->live_bytes, blob = chunk->blob;
    ok(chunk->entries && !chunk->is_stale && chunk->unreleased == 3, "it is as its blob has it");
    bench_turns(&bench, 60, 100);
    ok(!chunk->entries && chunk->blob == blob, "it is out of memory again");
    is_int(stats->chunks_spilled, spilled, "and was not written");
    settle_anywhere(&bench, chunk->base + 21);
    ok(!chunk->is_stale && chunk->unreleased == 4, "what left before is known when it is back");
    is_int(stats->live_bytes, live, "and holds what it did");
    for (uint64_t i = 0; chunk->unreleased; i++)
        settle_anywhere(&bench, chunk->base + 31 + 2 * i);
    is_int(chunk->live, chunk->slots - chunk->slots / 8 - 1, "until an eighth has left");
    ok(chunk->is_stale && stats->live_bytes < live - 100 * (chunk->slots / 8),
       "then all of it is given back");
    live = stats->live_bytes;
    settle_anywhere(&bench, chunk->base + 20);
    ok(stats->live_bytes < live, "and what leaves then");
    bench_turns(&bench, 60, 100);
    is_int(stats->chunks_spilled, spilled + 1, "it is written once");
    live = stats->live_bytes;
    settle_anywhere(&bench, 7);
    ok(stats->live_bytes < live, "of the first chunk what leaves is given back at once");
    bench_free(&bench);
}

TEST(what_left_a_chunk_is_known_after_a_restart)
{
    struct bench bench;
    leave_some(&bench, 3);
    checkpoint(&bench);
    crash_and_open(&bench);
    is_int(bench.queue[0]->ready, COLD * 3 - 3, "three have left");
    struct chunk *chunk = index_chunk(bench.queue[0], COLD * 3 / 2);
    uint64_t live = bench.store->stats.live_bytes;
    settle_anywhere(&bench, chunk->base + 1);
    ok(bench.store->stats.live_bytes < live - 300, "and hold nothing when the chunk was read");
    ok(chunk->is_stale && chunk->unreleased == 0, "which is written again");
    bench_free(&bench);
}

/* Whatever it has in memory, or in its blob. */
static void all_is_given_back(bool is_cold, bool is_deleted)
{
    struct bench bench;
    const struct chunk *chunk = leave_some(&bench, 3);
    if (is_cold)
        bench_turns(&bench, 60, 100);
    ok(!chunk->entries == is_cold, "the chunk is where it should be");
    if (is_deleted)
        store_queue_delete(bench.store, bench.queue[0]);
    else
        index_purge(bench.queue[0]);
    bench_turns(&bench, 60, 100);
    is_int(bench.store->stats.live_bytes, 0, "nothing is held");
    bench_free(&bench);
}

TEST(what_left_a_chunk_goes_with_it)
{
    for (int i = 0; i < 4; i++)
        all_is_given_back(i & 1, i & 2);
}

/* A reader whose queue is deleted meanwhile has no use for what it reads, and leaves the segment. */
TEST(reader_leaves_a_segment)
{
    struct bench bench;
    struct taken taken;
    init_cold(&bench);
    for (int i = 0; i < COLD; i++)
        bench_publish(&bench, 1, 100);
    bench_wait(&bench);
    bench_turns(&bench, 60, 100);
    bench.is_reader_held = true;
    struct segment *segment = segment_find(&bench.store->journal, 1);
    for (int i = 0; i < 20 && segment->readers == 0; i++) {
        if (index_take(bench.queue[0], true, &taken) != INDEX_WAIT)
            bail("a body is in memory");
        bench_turns(&bench, 1, 1);
        if (segment->readers == 0)
            worker_step(bench.reader); /* the chunk comes first */
    }
    is_int(segment->readers, 1, "a segment is read");
    store_queue_delete(bench.store, bench.queue[0]);
    bench.is_reader_held = false;
    bench_turns(&bench, 5, 1);
    is_int(segment->readers, 0, "and no longer when the queue is gone");
    bench_free(&bench);
}

/* A large message is made on the reader's side: it counts when it is taken in, and is forgotten when nobody
 * wants it any more. */
TEST(large_bodies_come_back_whole)
{
    enum { BODY = 3000000 };
    struct bench bench;
    struct taken taken = {0};
    bench_init(&bench);
    bench.options.bodies_idle_bytes = 0;
    bench_open(&bench);
    bench_publish(&bench, 1, BODY);
    bench_publish(&bench, 2, BODY);
    bench_wait(&bench);
    bench_turns(&bench, 60, 100);
    is_int(message_pool_bytes(&bench.pool), 0, "no body is in memory");
    for (int i = 0; i < 20 && index_take(bench.queue[0], true, &taken) != INDEX_OK; i++)
        bench_turns(&bench, 1, 1);
    if (!ok(taken.message && taken.message->body_size == BODY, "one is read"))
        return;
    const uint8_t *body = message_body(taken.message).data;
    ok(body[0] == 'x' && !memcmp(body, body + 1, BODY - 1), "as it was");
    ok(message_pool_bytes(&bench.pool) >= BODY, "and counts");
    message_unref(&bench.pool, taken.message);
    bench.is_reader_held = true;
    is_int(index_take(bench.queue[1], true, &taken), INDEX_WAIT, "the other has to be read");
    while (worker_step(bench.reader))
        ;
    store_queue_delete(bench.store, bench.queue[1]);
    bench.is_reader_held = false;
    bench_turns(&bench, 5, 1);
    is_int(message_pool_bytes(&bench.pool), 0, "and is forgotten when its queue has gone meanwhile");
    bench_free(&bench);
}

/* ---- moving ---- */

/* Bodies leave memory, entries stay. */
static void init_moving(struct bench *bench)
{
    bench_init(bench);
    bench->options.bodies_idle_bytes = 0;
    bench->options.batch_bytes = 1500; /* compaction goes one message at a time */
    bench_open(bench);
    bench->store->compact_ms = UINT64_MAX;
}

static void let_compact(struct bench *bench)
{
    bench->store->compact_ms = 0;
}

static void drop_bodies(struct bench *bench, uint64_t sequence)
{
    bench->store->options.bodies_burst_bytes = 0;
    bench_turns(bench, 5, 1000);
    bench->store->options.bodies_burst_bytes = 1 << 20;
    ok(!(entry_of(bench, sequence)->flags & ENTRY_MESSAGE), "its body is not in memory");
}

static bool is_at(struct bench *bench, uint64_t sequence, struct place place)
{
    struct place at = entry_place(entry_of(bench, sequence));
    return at.segment == place.segment && at.offset == place.offset;
}

/* A message is read from where it was while compaction takes it elsewhere, as a record of fewer queues:
 * what was read says nothing of the new place. */
TEST(read_while_it_moved)
{
    struct bench bench;
    struct message *message;
    init_moving(&bench);
    bench_publish(&bench, 1, 1000);
    bench_publish(&bench, 3, 200);
    bench_publish(&bench, 2, 9000);
    bench_wait(&bench);
    bench_take(&bench, 0, false);
    uint64_t sequence = bench_take(&bench, 0, false);
    bench_take_all(&bench, 1);
    add_dead_segments(&bench);
    drop_bodies(&bench, sequence);
    struct place old = entry_place(entry_of(&bench, sequence));
    let_compact(&bench);
    for (int i = 0; i < 50 && bench.store->stats.messages_moved == 0; i++)
        bench_turns(&bench, 1, 1);
    ok(is_at(&bench, sequence, old), "compaction comes to the message before it");
    bench.is_reader_held = true;
    is_int(index_fetch(bench.queue[0], sequence, &message), INDEX_WAIT, "now it is read");
    for (int i = 0; i < 50 && bench.store->stats.messages_moved == 1; i++)
        bench_turns(&bench, 1, 1);
    bench_wait(&bench);
    drop_bodies(&bench, sequence);
    ok(!is_at(&bench, sequence, old), "and has moved before that is done");
    bench.is_reader_held = false;
    bench_turns(&bench, 1, 1);
    ok(!(entry_of(&bench, sequence)->flags & ENTRY_MESSAGE), "what was read is not taken for it");
    is_int(bench_fetch(&bench, 0, sequence), INDEX_OK, "it is read again");
    drop_bodies(&bench, sequence);
    is_int(bench_fetch(&bench, 0, sequence), INDEX_OK, "and once more");
    is_int(bench.store->stats.damaged, 0, "and is sound");
    bench_free(&bench);
}

/* What was found to be damaged stays where it is, even if the disk can read it again: somebody may want
 * to look at it. */
TEST(damaged_is_not_moved)
{
    struct bench bench;
    uint64_t size;
    init_moving(&bench);
    bench_publish(&bench, 1, 1000);
    bench_publish(&bench, 2, 9000);
    bench_wait(&bench);
    uint64_t sequence = bench_take(&bench, 0, false);
    bench_take_all(&bench, 1);
    add_dead_segments(&bench);
    drop_bodies(&bench, sequence);
    struct place place = entry_place(entry_of(&bench, sequence));
    uint8_t *bytes = disk_memory_contents(bench.memory, "journal-0000000001", &size);
    bytes[place.offset + place.size - 100] ^= 1;
    is_int(bench_fetch(&bench, 0, sequence), INDEX_EMPTY, "it cannot be read");
    is_int(bench.store->stats.damaged, 1, "it is damaged");
    bytes[place.offset + place.size - 100] ^= 1;
    let_compact(&bench);
    bench_turns(&bench, 50, 100);
    ok(bench.store->stats.compactions > 0, "there was compaction");
    is_int(bench.store->stats.messages_moved, 0, "nothing was moved");
    ok(is_at(&bench, sequence, place), "it lies where it was");
    checkpoint(&bench);
    checkpoint(&bench);
    ok(bench_has_file(&bench, "journal-0000000001"), "and its file is there");
    bench_free(&bench);
}

int main(void)
{
    RUN(times_are_told_wherever_they_are);
    RUN(what_lies_anywhere_is_read_at_once);
    RUN(what_is_needed_soon_is_read_before);
    RUN(who_waits_is_read_for_first);
    RUN(memory_is_not_filled_ahead);
    RUN(a_look_changes_nothing);
    RUN(heads_are_told_from_memory);
    RUN(what_a_queue_waits_for_is_known);
    RUN(returns_are_counted_over_a_restart);
    RUN(returns_of_cold_chunks_are_counted);
    RUN(delayed_messages_wait_over_a_restart);
    RUN(settled_in_one_queue_of_two);
    RUN(numbers_of_settles_are_used);
    RUN(numbers_go_on_above_the_mark);
    RUN(compaction_waits_for_what_is_unreleased);
    RUN(what_is_unreleased_is_known_after_a_restart);
    RUN(a_chunk_that_few_leave_is_not_written_again);
    RUN(what_left_a_chunk_is_known_after_a_restart);
    RUN(what_left_a_chunk_goes_with_it);
    RUN(reader_leaves_a_segment);
    RUN(large_bodies_come_back_whole);
    RUN(read_while_it_moved);
    RUN(damaged_is_not_moved);
    return done();
}
