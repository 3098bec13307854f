/* A disk without room: filled by others or by what it holds, for a time or from the start; and an
 * index that cannot be read or written for a while. Nothing is lost, nobody waits longer than he
 * must, and the log stays short. */
#include "tests/lib/tap.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/log_line.h"
#include "base/mem.h"
#include "tests/fault/bench.h"

enum { MIB = 1 << 20 };

static struct {
    unsigned lines;
    char last[LOG_LINE_MAX + 1];
    char all[20 * LOG_LINE_MAX];
} logged;

static void note(void *context, const struct log_record *record)
{
    char line[LOG_LINE_MAX + 1];
    (void)context;
    log_line_text(record, line);
    logged.lines++;
    snprintf(logged.last, sizeof(logged.last), "%s", line);
    strncat(logged.all, line, sizeof(logged.all) - strlen(logged.all) - 1);
}

static const struct log recording = {.level = LOG_LEVEL_INFO, .sink = note};

/* A store on a disk of this size, with the options that the daemon has. */
static void begin(struct bench *bench, uint64_t disk_bytes)
{
    memset(&logged, 0, sizeof(logged));
    bench_init(bench);
    store_options_default(&bench->options);
    bench->options.disk = &bench->observed.disk;
    bench->options.kv = bench->kv;
    bench->options.syncer = bench->syncer;
    bench->options.indexer = bench->indexer;
    bench->options.reader = bench->reader;
    bench->options.pool = &bench->pool;
    bench->options.log = &recording;
    disk_memory_limit(bench->memory, disk_bytes);
    bench_open(bench);
}

static uint64_t free_bytes(struct bench *bench)
{
    uint64_t bytes, total;
    bench->memory->ops->free_space(bench->memory, &bytes, &total);
    return bytes;
}

/* Another program takes all but so much of what is free. */
static void leave(struct bench *bench, uint64_t bytes)
{
    disk_memory_take(bench->memory, 0);
    disk_memory_take(bench->memory, free_bytes(bench) - bytes);
}

static enum store_room room_for(struct bench *bench, uint32_t size)
{
    return store_room(bench->store, size + STORE_MESSAGE_OVERHEAD);
}

/* Asks as a session does that is read while there is no alarm: again and again, for a while. */
static bool has_room_soon(struct bench *bench, uint32_t size)
{
    for (int turns = 0; turns < 100 && !store_is_short(bench->store); turns++) {
        enum store_room room = room_for(bench, size);
        if (room != STORE_ROOM_LATER)
            return room == STORE_ROOM_NOW;
        bench_turns(bench, 1, 1);
    }
    return false;
}

/* Publishes what there is room for. Returns how many were taken. */
static int publish(struct bench *bench, int queue, int count, uint32_t size)
{
    int taken = 0;
    for (int i = 0; i < count; i++) {
        if (has_room_soon(bench, size)) {
            bench_publish(bench, 1u << queue, size);
            taken++;
        }
        bench_turns(bench, 1, 10);
    }
    return taken;
}

static bool is_durable(struct bench *bench, struct ticket ticket, int ms)
{
    store_want(bench->store, ticket);
    for (; ms > 0 && store_ticket_state(bench->store, ticket) == TICKET_PENDING; ms -= 50)
        bench_turns(bench, 1, 50);
    return store_ticket_state(bench->store, ticket) == TICKET_DURABLE;
}

/* ---- what does not fit ---- */

/* A message that is larger than what is free is refused, and all else goes on. */
TEST(larger_than_what_is_free)
{
    struct bench bench;
    begin(&bench, 64 * MIB);
    is_int(publish(&bench, 0, 20, 2 * MIB), 20, "a queue has 40 MiB");
    bench_wait(&bench);
    ok(!store_is_short(bench.store), "the disk is not short");
    is_int(room_for(&bench, 30 * MIB), STORE_ROOM_FULL, "but 30 MiB have no room");
    is_int(room_for(&bench, 2 * MIB), STORE_ROOM_NOW, "2 MiB have");
    store_refused(bench.store);
    bench_publish(&bench, 2, 100);
    ok(is_durable(&bench, store_ticket(bench.store), 1000), "a small message goes on");
    bench_take_all(&bench, 0);
    bench_turns(&bench, 100, 100);
    ok(has_room_soon(&bench, 30 * MIB), "with the queue empty there is room");
    is_int(store_stats(bench.store)->messages_refused, 1, "the refusal was counted");
    ok(strstr(logged.all, "messages_refused") && strstr(logged.all, "messages_taken failures=1 "),
       "and logged");
    bench_free(&bench);
}

/* While the disk is short who publishes waits, and is not refused. */
TEST(short_is_later)
{
    struct bench bench;
    begin(&bench, 64 * MIB);
    publish(&bench, 0, 20, 2 * MIB);
    leave(&bench, 3 * MIB);
    bench_turns(&bench, 12, 100);
    ok(store_is_short(bench.store), "the disk is short");
    is_int(room_for(&bench, 8 * MIB), STORE_ROOM_LATER, "8 MiB have to wait");
    ok(store_next_ms(bench.store) <= bench.now_ms + 500, "and are asked about again soon");
    bench_take_all(&bench, 0);
    bench_turns(&bench, 40, 100);
    ok(!store_is_short(bench.store), "when the queue was consumed it is over");
    is_int(room_for(&bench, 2 * MIB), STORE_ROOM_NOW, "and there is room");
    bench_free(&bench);
}

/* What was taken is written although another program took the rest of the disk at once. */
TEST(filled_by_others)
{
    struct bench bench;
    begin(&bench, 64 * MIB);
    publish(&bench, 0, 5, MIB);
    bench_turns(&bench, 20, 100);
    ok(bench_has_file(&bench, "reserve") && bench_has_file(&bench, "reserve-index") &&
           bench_has_file(&bench, "reserve-start"),
       "there are reserves");
    bench_publish(&bench, 1, MIB);
    bench_publish(&bench, 1, MIB);
    leave(&bench, 0);
    ok(is_durable(&bench, store_ticket(bench.store), 1000),
       "two messages on their way are durable");
    store_catalogue_put(bench.store, bytes_str("name"), bytes_str("value"));
    ok(is_durable(&bench, store_ticket(bench.store), 1000), "a declaration is");
    uint64_t checkpoints = store_stats(bench.store)->checkpoints;
    bench_take_all(&bench, 0);
    bench_turns(&bench, 40, 100);
    ok(store_stats(bench.store)->checkpoints > checkpoints, "and a checkpoint");
    disk_memory_take(bench.memory, 0);
    bench_turns(&bench, 150, 100);
    ok(!store_is_short(bench.store), "with room it is over");
    ok(bench_has_file(&bench, "reserve") && bench_has_file(&bench, "reserve-index"),
       "and there are reserves again");
    bench_free(&bench);
}

/* Publishes until a file is gone; how many, all durable, or -1. */
static int publish_until_gone(struct bench *bench, const char *name)
{
    int count = 0;
    while (count < 20 && bench_has_file(bench, name)) {
        leave(bench, 0);
        bench_publish(bench, 1, MIB);
        if (!is_durable(bench, store_ticket(bench->store), 3000))
            return -1;
        count++;
    }
    return count;
}

/* What the broker does not need any more others may take, again and again. */
TEST(filled_again_by_others)
{
    struct bench bench;
    begin(&bench, 64 * MIB);
    publish(&bench, 0, 5, MIB);
    bench_turns(&bench, 350, 100); /* there was a checkpoint: another one takes no room here */
    int count = publish_until_gone(&bench, "reserve");
    ok(count > 0, "after %d messages one reserve is used up", count);
    count = publish_until_gone(&bench, "reserve-index");
    ok(count > 0, "after %d more the other", count);
    for (count = 0; count < 5 && !store_is_full(bench.store); count++) {
        leave(&bench, 0);
        bench_publish(&bench, 1, MIB);
        bench_turns(&bench, 50, 100);
    }
    ok(store_is_full(bench.store), "then what is taken waits");
    ok(bench_has_file(&bench, "reserve-start"), "and the next start has its own");
    disk_memory_take(bench.memory, 0);
    ok(is_durable(&bench, store_ticket(bench.store), 3000), "with room it is written");
    bench_free(&bench);
}

/* Without a checkpoint nothing that was consumed goes: when all else is used up it gets what is kept
 * for a start, which is made again when it has given room back. */
TEST(a_checkpoint_goes_before_a_start)
{
    struct bench bench;
    begin(&bench, 64 * MIB);
    publish(&bench, 0, 5, MIB);
    bench_turns(&bench, 350, 100);
    if (publish_until_gone(&bench, "reserve") <= 0 ||
        publish_until_gone(&bench, "reserve-index") <= 0)
        bail("a reserve is not used up");
    ok(bench_has_file(&bench, "reserve-start"), "only the reserve of a start is left");
    leave(&bench, 0);
    kv_memory_need(bench.kv, bench.memory, 100000);
    uint64_t checkpoints = store_stats(bench.store)->checkpoints;
    bench_take_all(&bench, 0);
    bench_take_all(&bench, 1);
    bool was_given_up = false;
    for (int i = 0; i < 60; i++) {
        bench_turns(&bench, 1, 100);
        was_given_up |= !bench_has_file(&bench, "reserve-start");
    }
    ok(was_given_up && store_stats(bench.store)->checkpoints > checkpoints,
       "a checkpoint without room gets it");
    bench_turns(&bench, 300, 100);
    ok(bench_has_file(&bench, "reserve-start") && free_bytes(&bench) > MIB,
       "and with %d KiB free there is one again", (int)(free_bytes(&bench) >> 10));
    bench_free(&bench);
}

/* Nothing is left to be given up but the end of the active segment, whose file was a reserve, and a
 * checkpoint finds no room. Queue 1 has a message. */
static void use_up(struct bench *bench)
{
    begin(bench, 64 * MIB);
    publish(bench, 0, 5, MIB);
    publish(bench, 1, 1, 1000);
    bench_turns(bench, 350, 100);
    if (publish_until_gone(bench, "reserve") <= 0)
        bail("the reserve is not used up");
    kv_memory_need(bench->kv, bench->memory, 100000);
    while (bench_has_file(bench, "reserve-index") || bench_has_file(bench, "reserve-start")) {
        bench_turns(bench, 1, 50);
        leave(bench, 0);
    }
    space_note(&bench->store->journal, 0);
}

/* The disk may be full again in a moment, and the broker started again then. */
TEST(reserves_are_made_when_room_comes_back)
{
    struct bench bench;
    use_up(&bench);
    disk_memory_take(bench.memory, 0);
    kv_memory_need(bench.kv, NULL, 0);
    bench_turns(&bench, 20, 100);
    ok(!store_is_short(bench.store), "the disk has room again");
    ok(bench_has_file(&bench, "reserve-start") && bench_has_file(&bench, "reserve-index"),
       "and what is kept for an index is kept again at once");
    bench_free(&bench);
}

/* What it has beside its last batch. */
static uint64_t empty_end(const struct bench *bench)
{
    const struct journal *journal = &bench->store->journal;
    return journal->allocated > journal->active->size ? journal->allocated - journal->active->size
                                                      : 0;
}

static bool is_checkpointed(struct bench *bench, int ms)
{
    uint64_t checkpoints = store_stats(bench->store)->checkpoints;
    for (; ms > 0 && store_stats(bench->store)->checkpoints == checkpoints; ms -= 50)
        bench_turns(bench, 1, 50);
    return store_stats(bench->store)->checkpoints > checkpoints;
}

/* Another start, with room: how many messages queue 1 has. */
static int left_after(struct bench *bench, enum crash how)
{
    int count = 0;
    bench_crash(bench, how);
    disk_memory_take(bench->memory, 0);
    kv_memory_need(bench->kv, NULL, 0);
    bench_open(bench);
    while (bench_take(bench, 1, true))
        count++;
    return count;
}

/* What is dead goes with a checkpoint, and that needs little: the journal does not keep what it
 * does not need yet. */
TEST(a_checkpoint_has_the_end_of_a_segment)
{
    struct bench bench;
    use_up(&bench);
    uint64_t before = empty_end(&bench);
    bench_take_all(&bench, 0);
    ok(before > MIB && is_checkpointed(&bench, 5000), "with %d KiB at its end there is one",
       (int)(before >> 10));
    ok(empty_end(&bench) > 0 && empty_end(&bench) < before, "a part of the end stays: %d KiB",
       (int)(empty_end(&bench) >> 10));
    bench_publish(&bench, 2, 10000);
    ok(is_durable(&bench, store_ticket(bench.store), 3000), "in which the next batch has room");
    bench_turns(&bench, 100, 100);
    ok(free_bytes(&bench) > 4 * MIB, "%d MiB are free again", (int)(free_bytes(&bench) / MIB));
    is_int(left_after(&bench, CRASH_DROP), 2, "and nothing is lost");
    bench_free(&bench);
}

/* Others take the end, too, as it is given up; then the rest of the journal's reserve is divided.
 */
TEST(a_checkpoint_has_the_last_of_a_reserve)
{
    struct bench bench;
    uint64_t before = 0, after = 0;
    begin(&bench, 64 * MIB);
    publish(&bench, 0, 5, MIB);
    publish(&bench, 1, 1, 1000);
    bench_turns(&bench, 350, 100);
    kv_memory_need(bench.kv, bench.memory, UINT64_MAX); /* whatever there is */
    bench_take_all(&bench, 0);
    bench_wait(&bench);
    leave(&bench, 0);
    kv_memory_need(bench.kv, bench.memory, 100000);
    for (int i = 0; bench_has_file(&bench, "reserve-start") || empty_end(&bench) > 128 << 10; i++) {
        if (i == 1000)
            bail("not all is given up");
        bench_turns(&bench, 1, 50);
        leave(&bench, 0);
    }
    disk_memory_contents(bench.memory, "reserve", &before);
    ok(before > 256 << 10 && is_checkpointed(&bench, 5000), "with a reserve of %d KiB there is one",
       (int)(before >> 10));
    disk_memory_contents(bench.memory, "reserve", &after);
    ok(after >= before / 2, "and half of it stays");
    is_int(left_after(&bench, CRASH_DROP), 1, "nothing is lost");
    bench_free(&bench);
}

/* Nothing is cut of a file that is being written to. */
TEST(the_end_goes_between_two_writes)
{
    struct bench bench;
    use_up(&bench);
    bench_take_all(&bench, 0);
    bench.is_syncer_held = true;
    bench_publish(&bench, 2, 1000);
    store_want(bench.store, store_ticket(bench.store));
    bench_turns(&bench, 1, 10);
    uint64_t end = empty_end(&bench);
    ok(!is_checkpointed(&bench, 5000) && empty_end(&bench) == end, "it stays during a write");
    bench.is_syncer_held = false;
    ok(is_checkpointed(&bench, 5000) && empty_end(&bench) < end, "and goes behind that");
    is_int(left_after(&bench, CRASH_DROP), 2, "nothing is lost");
    bench_free(&bench);
}

/* A cut that fails takes nothing along, and the next one takes its part, too. */
TEST(the_end_is_not_cut)
{
    struct bench bench;
    use_up(&bench);
    disk_observed_fail(&bench.observed, ACT_CUT, "journal-", EIO, 2);
    bench_take_all(&bench, 0);
    ok(is_checkpointed(&bench, 10000), "there is a checkpoint when the third is done");
    is_int(bench.observed.fail_count, 0, "two have failed");
    ok(!store_failure(bench.store), "which fails nothing else");
    is_int(left_after(&bench, CRASH_DROP), 1, "nothing is lost");
    bench_free(&bench);
}

/* The machine goes down at call `at` of the disk. Returns whether there was such a call. */
static bool goes_down(int at, enum crash how, int *bad)
{
    struct bench bench;
    use_up(&bench);
    bench_publish(&bench, 2, 1000);
    bool was_durable = is_durable(&bench, store_ticket(bench.store), 3000);
    bench_take_all(&bench, 0);
    disk_memory_fail(bench.memory, (uint64_t)at, EIO, true);
    uint64_t calls = disk_memory_calls(bench.memory);
    bench_turns(&bench, 60, 50);
    bool was_met = disk_memory_calls(bench.memory) >= calls + (uint64_t)at;
    *bad += !was_durable || left_after(&bench, how) != 2;
    bench_free(&bench);
    return was_met;
}

TEST(a_crash_while_the_end_goes)
{
    for (enum crash how = CRASH_KEEP; how <= CRASH_RANDOM; how++) {
        int at = 1, bad = 0;
        while (goes_down(at, how, &bad))
            at++;
        ok(at > 10, "the machine went down at %d calls", at - 1);
        is_int(bad, 0, "and what was durable is there");
    }
}

/* So does a segment that begins: what is empty of the one before is given back when it finds no
 * room. */
TEST(a_segment_has_the_end_of_the_one_before)
{
    struct bench bench;
    use_up(&bench);
    uint64_t end = empty_end(&bench);
    leave(&bench, MIB);
    bench_publish(&bench, 2, (uint32_t)end + MIB / 2);
    ok(is_durable(&bench, store_ticket(bench.store), 3000),
       "a batch that is larger than the end of %d KiB has it beside what is free",
       (int)(end >> 10));
    is_int(left_after(&bench, CRASH_DROP), 2, "nothing is lost");
    bench_free(&bench);
}

/* ---- a program that takes all, and all that is given up ---- */

/* What was taken is written, however large, and what consumers need behind it. */
static void taken_before_all_is(uint64_t disk_bytes, uint32_t size, int count)
{
    struct bench bench;
    int taken = 0, got = 0;
    begin(&bench, disk_bytes);
    publish(&bench, 0, 3, MIB);
    bench_turns(&bench, 20, 100);
    for (int i = 0; i < count && has_room_soon(&bench, size); i++) {
        bench_publish(&bench, 1u << 1, size);
        taken++;
    }
    disk_memory_take_all(bench.memory);
    ok(taken && is_durable(&bench, store_ticket(bench.store), 5000),
       "%d MiB: of %d messages of %d KiB %d were taken, and are durable", (int)(disk_bytes / MIB),
       count, (int)(size >> 10), taken);
    while (bench_take(&bench, 0, true))
        got++;
    while (bench_take(&bench, 1, true))
        got++;
    is_int(got, 3 + taken, "all messages come");
    ok(is_durable(&bench, store_ticket(bench.store), 5000), "and are settled");
    disk_memory_take(bench.memory, 0);
    bench_turns(&bench, 30, 100);
    is_int(publish(&bench, 0, 3, MIB), 3, "with room publishers go on");
    bench_free(&bench);
}

TEST(all_is_taken_behind_a_message)
{
    taken_before_all_is(64 * MIB, 4 * MIB, 1);
    taken_before_all_is(64 * MIB, 4 * MIB, 3);
    taken_before_all_is(64 * MIB, 10 * MIB, 1);
    taken_before_all_is(256 * MIB, 4 * MIB, 20);
    taken_before_all_is(64 * MIB, 20000, 500);
}

/* What is kept open for a transaction is covered, too: behind a write that begins a segment of its own. */
TEST(all_is_taken_amid_a_transaction)
{
    struct bench bench;
    begin(&bench, 64 * MIB);
    publish(&bench, 0, 3, MIB);
    bench_turns(&bench, 20, 100);
    publish(&bench, 0, 1, 4 * MIB);
    if (!has_room_soon(&bench, 6 * MIB) || !store_hold(bench.store, 6 * MIB))
        bail("a transaction has no room");
    disk_memory_take_all(bench.memory);
    is_int(room_for(&bench, 6 * MIB), STORE_ROOM_LATER, "nobody else takes what it was promised");
    for (int i = 0; i < 5; i++) {
        bench_publish(&bench, 1u << 1, MIB);
        bench_turns(&bench, 5, 100);
    }
    store_release(bench.store);
    ok(is_durable(&bench, store_ticket(bench.store), 5000), "it is durable");
    bench_take_all(&bench, 0);
    bench_take_all(&bench, 1);
    ok(is_durable(&bench, store_ticket(bench.store), 5000), "and settled");
    bench_free(&bench);
}

/* A reserve that grew for what was asked gives back what nobody asks for any more. */
/* A segment was begun and finds no room for its first batch, so a reserve becomes its file, which has no header
 * at first: a crash there is none that took the file's beginning away. */
TEST(a_reserve_instead_of_a_file_that_was_begun)
{
    struct bench bench;
    begin(&bench, 256 * MIB);
    bench_turns(&bench, 100, 100); /* there is a reserve */
    bench_crash(&bench, CRASH_KEEP);
    bench_open(&bench);
    bench_turns(&bench, 1, 1);
    size_t from = bench.observed.count;
    leave(&bench, 4096);
    bench_publish(&bench, 1, 20000);
    bench_wait(&bench);
    const struct disk_observed *seen = &bench.observed;
    size_t told = disk_observed_find(seen, from, ACT_WRITE, IDENTITY_NAME);
    size_t untold = disk_observed_find(seen, told + 1, ACT_WRITE, IDENTITY_NAME);
    size_t renamed = disk_observed_find(seen, told, ACT_RENAME, "journal-0000000002");
    ok(renamed < seen->count, "a reserve becomes the file of a segment that had been begun");
    ok(untold < renamed, "and before that its header is no longer told of");
    is_int(bench.store->journal.identity.headed, 2, "until it has one again");
    bench_free(&bench);
}

TEST(reserve_grows_and_shrinks)
{
    struct bench bench;
    uint64_t usual = 0, grown = 0, after = 0;
    begin(&bench, 64 * MIB);
    publish(&bench, 0, 3, 1000);
    bench_turns(&bench, 200, 100);
    disk_memory_contents(bench.memory, "reserve", &usual);
    ok(has_room_soon(&bench, 12 * MIB), "12 MiB have room");
    disk_memory_contents(bench.memory, "reserve", &grown);
    ok(usual > 0 && grown > 12 * MIB, "a reserve of %d KiB grew to %d", (int)(usual >> 10),
       (int)(grown >> 10));
    ok(store_next_ms(bench.store) <= bench.now_ms + 10000, "it is looked at again");
    bench_turns(&bench, 120, 100);
    disk_memory_contents(bench.memory, "reserve", &after);
    is_int((long)after, (long)usual, "after ten seconds it is as it was");
    bench_free(&bench);
}

/* Room for what comes next is laid out in whole blocks, also where a segment has only two of them. */
TEST(small_segments_are_filled)
{
    struct bench bench;
    begin(&bench, 64 * MIB);
    store_close(bench.store);
    bench.options.segment_bytes = 8192;
    bench.options.disk_reserve_bytes = 1 << 16;
    bench_open(&bench);
    publish(&bench, 0, 1, 64);
    bench_turns(&bench, 10, 100);
    uint64_t begun = store_stats(bench.store)->segments_rolled;
    for (int i = 0; i < 20; i++) {
        bench_publish(&bench, 1, 64);
        bench_wait(&bench);
    }
    uint64_t rolled = store_stats(bench.store)->segments_rolled - begun;
    ok(rolled <= 2, "20 small batches begin %u segments", (unsigned)rolled);
    bench_free(&bench);
}

/* A disk may have room and no place for another file: publishers wait all the same. */
TEST(no_room_for_a_file)
{
    struct bench bench;
    begin(&bench, 64 * MIB);
    publish(&bench, 0, 3, MIB);
    disk_observed_fail(&bench.observed, ACT_CREATE, "journal-", ENOSPC, 20);
    for (int i = 0; i < 12; i++) /* more than fits into a reserve */
        bench_publish(&bench, 1, MIB);
    bench_turns(&bench, 10, 10);
    ok(store_is_short(bench.store), "they wait while no segment can be made");
    logged.lines = 0;
    bench_turns(&bench, 400, 100);
    ok(!store_is_short(bench.store), "and go on when one can");
    ok(is_durable(&bench, store_ticket(bench.store), 100), "nothing is left behind");
    is_int(logged.lines, 2, "that it is over is two lines");
    bench_free(&bench);
}

/* ---- what goes first ---- */

static void count_spare(void *context, const char *name)
{
    *(int *)context += strncmp(name, "spare-", 6) == 0;
}

static int spares(struct bench *bench)
{
    int count = 0;
    disk_memory_each(bench->memory, count_spare, &count);
    return count;
}

enum { LARGE_DISK = 1024 * MIB };

/* Much was written and is settled. */
static void begin_with_spares(struct bench *bench)
{
    begin(bench, LARGE_DISK);
    store_close(bench->store);
    bench->options.segment_bytes = 4 * MIB;
    bench->options.disk_reserve_bytes = 16 * MIB;
    bench_open(bench);
    publish(bench, 0, 20, MIB);
    bench_take_all(bench, 0);
    bench_turns(bench, 400, 100);
}

/* What is kept for reuse goes before anybody has to wait, though nothing is written. */
TEST(spares_go_first)
{
    struct bench bench;
    begin_with_spares(&bench);
    ok(spares(&bench) >= 3, "%d files are kept", spares(&bench));
    leave(&bench, 8 * MIB);
    int alarms = 0;
    for (int i = 0; i < 30; i++) {
        bench_turns(&bench, 1, 100);
        alarms += store_is_short(bench.store);
    }
    is_int(spares(&bench), 0, "they go when less than the reserve is free");
    is_int(alarms, 0, "and nobody had to wait");
    bench_free(&bench);
}

/* One small message in each of many large ones stays: the disk holds little more than what lives,
 * and publishers never wait. */
static void with_slow_queue(uint64_t disk_bytes)
{
    struct bench bench;
    int taken = 0, slow = 0;
    uint64_t least = disk_bytes;
    begin(&bench, disk_bytes);
    int count = (int)(4 * disk_bytes / (64 << 10));
    for (int i = 0; i < count; i++) {
        taken += publish(&bench, 0, 1, 64 << 10);
        slow += i % 50 == 0 ? publish(&bench, 1, 1, 100) : 0;
        while (bench_take(&bench, 0, true))
            continue;
        least = free_bytes(&bench) < least ? free_bytes(&bench) : least;
    }
    ok(taken > count / 10 * 9, "%d MiB: of %d messages %d were taken at once",
       (int)(disk_bytes / MIB), count, taken);
    ok(least > disk_bytes / 16, "at least %d MiB were free", (int)(least / MIB));
    is_int(bench.queue[1]->ready, slow, "what was not consumed is there");
    bench_free(&bench);
}

TEST(small_disks)
{
    with_slow_queue(64 * MIB);
    with_slow_queue(128 * MIB);
}

/* The disk fills up, and what is then consumed lies between what is not. */
TEST(filled_beside_a_slow_queue)
{
    struct bench bench;
    begin(&bench, 64 * MIB);
    for (int i = 0; i < 2000 && !store_is_short(bench.store); i++)
        publish(&bench, i % 2, 1, 64 << 10);
    ok(store_is_short(bench.store), "the disk is full");
    bench_take_all(&bench, 0);
    bench_turns(&bench, 100, 100);
    ok(!store_is_short(bench.store), "when every other one was consumed it is not");
    ok(free_bytes(&bench) > 12 * MIB, "%d MiB are free", (int)(free_bytes(&bench) / MIB));
    bench_free(&bench);
}

/* A backlog that fills the disk, consumed, gives all of it back. */
TEST(filled_by_itself)
{
    struct bench bench;
    begin(&bench, 64 * MIB);
    int taken = publish(&bench, 0, 3000, 64 << 10);
    ok(store_is_short(bench.store) && taken > 300, "%d messages fill it", taken);
    for (int i = 0; i < taken / 2; i++)
        if (!bench_take(&bench, 0, true))
            bail("a message is not to be had");
    bench_turns(&bench, 40, 100);
    ok(!store_is_short(bench.store), "with half of them consumed publishers go on");
    ok(publish(&bench, 0, 100, 64 << 10) > 90, "and do");
    bench_free(&bench);
}

/* Each start begins a file of its own, and gives back what the one before did not use: of a file
 * that had another use before that is nearly all. */
TEST(starts_leave_no_room_behind)
{
    struct bench bench;
    begin(&bench, 1024 * MIB);
    store_close(bench.store);
    bench.options.segment_bytes = 4 * MIB;
    bench_open(&bench);
    publish(&bench, 0, 30, MIB);
    bench_take_all(&bench, 0);
    bench_turns(&bench, 400, 100);
    int kept = spares(&bench);
    uint64_t before = free_bytes(&bench);
    for (int i = 0; i < 20; i++) {
        bench_crash(&bench, CRASH_KEEP);
        bench_open(&bench);
        bench_publish(&bench, 2, 100);
        bench_turns(&bench, 20, 100);
    }
    uint64_t after = free_bytes(&bench);
    ok(kept >= 3 && after > before + 2 * (uint64_t)kept * MIB,
       "20 starts used %d files again, and %lld KiB more are free", kept,
       (long long)(after - before) / 1024);
    bench_free(&bench);
}

/* ---- a start ---- */

/* Opening the index takes room; the reserves are there for that. */
TEST(start_on_a_full_disk)
{
    struct bench bench;
    begin(&bench, 64 * MIB);
    publish(&bench, 0, 5, MIB);
    bench_turns(&bench, 20, 100);
    leave(&bench, 0);
    kv_memory_need(bench.kv, bench.memory, 100000);
    bench_crash(&bench, CRASH_KEEP);
    char error[600] = "";
    struct store *store = store_open(&bench.options, bench.now_ms, error, sizeof(error));
    ok(store, "it starts: %s", error);
    if (!store) {
        bench_free(&bench);
        return;
    }
    store_abandon(store);
    bench_open(&bench);
    is_int(bench.queue[0]->ready, 5, "it starts with all it had");
    ok(bench_has_file(&bench, "reserve") && bench_has_file(&bench, "reserve-index") &&
           !bench_has_file(&bench, "reserve-start"),
       "and gave up no more than it had to");
    bench_turns(&bench, 10, 100);
    ok(store_is_short(bench.store), "publishers wait with %d KiB free",
       (int)(free_bytes(&bench) >> 10));
    bench_take_all(&bench, 0);
    bench_turns(&bench, 60, 100);
    ok(!store_failure(bench.store) && store_stats(bench.store)->checkpoints > 0,
       "what is consumed gives room back");
    bench_free(&bench);
}

/* What one start has used up is kept again for the next, as soon as there is room for a moment. */
TEST(the_next_start_is_thought_of)
{
    struct bench bench;
    begin(&bench, 64 * MIB);
    publish(&bench, 0, 5, MIB);
    bench_turns(&bench, 20, 100);
    leave(&bench, 0);
    kv_memory_need(bench.kv, bench.memory, 100000);
    bench_crash(&bench, CRASH_KEEP);
    bench_open(&bench);
    disk_memory_take_all(bench.memory);
    bench_publish(&bench, 1, MIB);
    ok(is_durable(&bench, store_ticket(bench.store), 1000) &&
           !bench_has_file(&bench, "reserve-start") && !bench_has_file(&bench, "reserve"),
       "a start and a write used what was kept for them");
    disk_memory_take(bench.memory, 0);
    bench_turns(&bench, 10, 100);
    ok(bench_has_file(&bench, "reserve-start"), "a second of room is enough for the next start");
    bench_free(&bench);
}

/* ---- the index ---- */

/* What a start gives up when its files were listed already is not counted on afterwards. */
TEST(what_a_start_gave_up_is_forgotten)
{
    struct bench bench;
    begin_with_spares(&bench);
    ok(spares(&bench) > 0 && bench_has_file(&bench, "reserve"), "there is something to give up");
    do
        leave(&bench, 0);
    while (space_rescue(&bench.store->journal));
    ok(spares(&bench) == 0 && !bench_has_file(&bench, "reserve"), "it is given up");
    disk_memory_take(bench.memory, 0);
    publish(&bench, 0, 20, MIB);
    bench_turns(&bench, 150, 100);
    ok(!store_failure(bench.store), "segments begin without it: %s",
       store_failure(bench.store) ? store_failure(bench.store) : "no failure");
    ok(bench_has_file(&bench, "reserve") && bench_has_file(&bench, "reserve-start"),
       "and the reserves are made again");
    bench_free(&bench);
}

/* Opening the index takes as much room as what was last written to it. */
TEST(a_start_has_room_for_the_index)
{
    struct bench bench;
    uint64_t before = 0, after = 0;
    begin(&bench, 64 * MIB);
    bench_publish(&bench, 1, 10);
    bench_turns(&bench, 20, 100);
    disk_memory_contents(bench.memory, "reserve-start", &before);
    for (int i = 0; i < 60000; i++)
        bench_publish(&bench, 1, 10);
    bench_turns(&bench, 500, 100);
    disk_memory_contents(bench.memory, "reserve-start", &after);
    ok(before > 0 && after >= before + bench.store->journal.space.index_batch,
       "%llu KiB more are kept for a start when an image takes %llu",
       (unsigned long long)(after - before) >> 10,
       (unsigned long long)bench.store->journal.space.index_batch >> 10);
    bench_free(&bench);
}

/* An index that cannot be written for a minute is two lines in the log. */
TEST(index_cannot_be_written)
{
    struct bench bench;
    begin(&bench, 1024 * MIB);
    store_close(bench.store);
    bench.options.cache_bytes = 0;
    bench.options.bodies_idle_bytes = 0;
    bench.options.chunk_entries = 64;
    bench_open(&bench);
    for (int i = 0; i < 3000; i++)
        bench_publish(&bench, 1, 100);
    kv_memory_fail(bench.kv, 1, true);
    logged.lines = 0;
    uint64_t calls = kv_memory_calls(bench.kv);
    for (int i = 0; i < 6000; i++)
        bench_turns(&bench, 1, 10);
    is_int(logged.lines, 2, "one line for pieces of queues, one for checkpoints");
    calls = kv_memory_calls(bench.kv) - calls;
    ok(calls > 30 && calls < 1000, "it was tried %llu times in a minute",
       (unsigned long long)calls);
    kv_memory_fail(bench.kv, 0, false);
    bench_turns(&bench, 500, 10);
    is_int(logged.lines, 4, "and two when it works again");
    ok(strstr(logged.all, "index_written failures=") && strstr(logged.all, "checkpoint_written "),
       "which say how often it failed");
    bench_free(&bench);
}

static void begin_in_chunks(struct bench *bench)
{
    begin(bench, 1024 * MIB);
    store_close(bench->store);
    bench->options.cache_bytes = 0;
    bench->options.bodies_idle_bytes = 0;
    bench->options.chunk_entries = 64;
    bench_open(bench);
}

/* Pieces of queues that cannot leave memory stay there: what is kept is for what gives room back. */
TEST(memory_takes_no_reserve)
{
    struct bench bench;
    uint64_t before, after;
    begin_in_chunks(&bench);
    kv_memory_need(bench.kv, bench.memory, UINT64_MAX); /* whatever there is */
    for (int i = 0; i < 3000; i++)
        bench_publish(&bench, 1, 100);
    bench_turns(&bench, 200, 10);
    disk_memory_contents(bench.memory, "reserve", &before);
    ok(strstr(logged.all, "index_not_written") && before, "the index cannot be written");
    bench_turns(&bench, (int)(bench.store->memory.index_writes.retry_ms - bench.now_ms) - 1, 1);
    leave(&bench, 0);
    uint64_t calls = kv_memory_calls(bench.kv);
    bench_turns(&bench, 6, 1);
    ok(kv_memory_calls(bench.kv) > calls + 1, "many pieces fail on a full disk");
    disk_memory_contents(bench.memory, "reserve", &after);
    ok(after == before && bench_has_file(&bench, "reserve-index") &&
           bench_has_file(&bench, "reserve-start"),
       "and nothing is given up for them");
    bench_free(&bench);
}

/* Many pieces that cannot be read at the same moment are one failure, and not one for each thing that is
 * kept. */
TEST(many_fail_at_once)
{
    struct bench bench;
    uint64_t before, after;
    begin_in_chunks(&bench);
    for (int i = 0; i < 3000; i++)
        bench_publish(&bench, 1, 100);
    bench_turns(&bench, 600, 10);
    kv_memory_fail(bench.kv, 1, true);
    leave(&bench, 0);
    disk_memory_contents(bench.memory, "reserve", &before);
    index_purge(bench.queue[0]); /* what the cold ones hold has to be read */
    uint64_t calls = kv_memory_calls(bench.kv);
    bench_turns(&bench, 6, 1);
    ok(kv_memory_calls(bench.kv) > calls + 3, "many pieces are not read");
    disk_memory_contents(bench.memory, "reserve", &after);
    ok(!bench_has_file(&bench, "reserve-index"), "what is kept for the index goes");
    ok(after == before && bench_has_file(&bench, "reserve-start"),
       "and nothing else before it was tried again");
    for (int i = 0; i < 60; i++) {
        leave(&bench, 0);
        bench_turns(&bench, 1, 100);
    }
    ok(!bench_has_file(&bench, "reserve-start"), "which it is");
    bench_free(&bench);
}

/* One that cannot be read is not taken for damaged: consumers wait. */
TEST(index_cannot_be_read)
{
    struct bench bench;
    int got = 0, early = 0;
    struct taken taken;
    begin(&bench, 1024 * MIB);
    store_close(bench.store);
    bench.options.cache_bytes = 0;
    bench.options.bodies_idle_bytes = 0;
    bench.options.chunk_entries = 64;
    bench_open(&bench);
    for (int i = 0; i < 3000; i++)
        bench_publish(&bench, 1, 100);
    bench_turns(&bench, 600, 10);
    kv_memory_fail(bench.kv, 1, true);
    logged.lines = 0;
    for (int i = 0; i < 6000; i++) {
        while (index_take(bench.queue[0], true, &taken) == INDEX_OK) {
            message_unref(&bench.pool, taken.message);
            got++;
        }
        bench_turns(&bench, 1, 10);
        early += store_next_ms(bench.store) <= bench.now_ms;
    }
    ok(got < 3000 && !store_failure(bench.store), "%d messages come, and the store goes on: %s",
       got, store_failure(bench.store) ? store_failure(bench.store) : "");
    ok(logged.lines <= 3, "%u lines are logged in a minute", logged.lines);
    ok(early < 60, "and nobody is busy with that");
    kv_memory_fail(bench.kv, 0, false);
    bench_turns(&bench, 300, 10);
    while (bench_take(&bench, 0, true))
        got++;
    is_int(got, 3000, "when it can be read all of them come");
    is_int(store_stats(bench.store)->damaged, 0, "and none is damaged");
    bench_free(&bench);
}

int main(void)
{
    RUN(larger_than_what_is_free);
    RUN(short_is_later);
    RUN(filled_by_others);
    RUN(filled_again_by_others);
    RUN(a_checkpoint_goes_before_a_start);
    RUN(reserves_are_made_when_room_comes_back);
    RUN(a_checkpoint_has_the_end_of_a_segment);
    RUN(a_checkpoint_has_the_last_of_a_reserve);
    RUN(the_end_goes_between_two_writes);
    RUN(the_end_is_not_cut);
    RUN(a_crash_while_the_end_goes);
    RUN(a_segment_has_the_end_of_the_one_before);
    RUN(all_is_taken_behind_a_message);
    RUN(all_is_taken_amid_a_transaction);
    RUN(a_reserve_instead_of_a_file_that_was_begun);
    RUN(reserve_grows_and_shrinks);
    RUN(small_segments_are_filled);
    RUN(no_room_for_a_file);
    RUN(spares_go_first);
    RUN(small_disks);
    RUN(filled_beside_a_slow_queue);
    RUN(filled_by_itself);
    RUN(starts_leave_no_room_behind);
    RUN(start_on_a_full_disk);
    RUN(the_next_start_is_thought_of);
    RUN(what_a_start_gave_up_is_forgotten);
    RUN(a_start_has_room_for_the_index);
    RUN(index_cannot_be_written);
    RUN(memory_takes_no_reserve);
    RUN(many_fail_at_once);
    RUN(index_cannot_be_read);
    return done();
}
