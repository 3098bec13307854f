/* In which order the store writes, syncs and removes, and what it does when one of that fails: what a
 * crash would show only if it came at one moment, or on one kind of disk. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "tests/fault/bench.h"
#include "tests/lib/tap.h"

static bool is_segment(const struct act *act)
{
    return strncmp(act->name, "journal-", 8) == 0;
}

static bool is_sync(const struct act *act)
{
    return act->kind == ACT_SYNC || act->kind == ACT_WRITE_SYNC;
}

/* Was all of a segment synced that was written to it before act number `end`? */
static bool is_synced(const struct bench *bench, const char *name, size_t end)
{
    bool synced = true;
    for (size_t i = 0; i < end; i++) {
        const struct act *act = &bench->observed.acts[i];
        if (strcmp(act->name, name) != 0)
            continue;
        if (is_sync(act))
            synced = true;
        else if (act->kind == ACT_WRITE)
            synced = false;
    }
    return synced;
}

/* Syncs of a segment while an earlier one has something that was not synced. */
static unsigned early_syncs(const struct bench *bench)
{
    unsigned early = 0;
    for (size_t i = 0; i < bench->observed.count; i++) {
        const struct act *act = &bench->observed.acts[i];
        if (!is_segment(act) || !is_sync(act))
            continue;
        for (size_t j = 0; j < i; j++) {
            const struct act *before = &bench->observed.acts[j];
            if (is_segment(before) && strcmp(before->name, act->name) < 0 &&
                !is_synced(bench, before->name, i)) {
                early++;
                break;
            }
        }
    }
    return early;
}

/* ---- batches ---- */

/* A file that is used again has room for a batch to be written and synced in one; the end of the
 * segment before it must be durable first all the same. */
TEST(segments_are_synced_in_order)
{
    struct bench bench;
    bench_init(&bench);
    bench.options.segment_bytes = 65536;
    bench.options.batch_bytes = 600; /* every turn writes */
    bench_open(&bench);
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 30; i++) {
            bench_publish(&bench, 1, 9000);
            bench_turns(&bench, 2, 1);
        }
        bench_take_all(&bench, 0);
        bench_turns(&bench, 2, 31000);
        bench_turns(&bench, 20, 100);
    }
    ok(bench.store->journal.spares_count > 0, "there are files to be used again");
    size_t from = bench.observed.count;
    uint64_t rolls = bench.store->stats.segments_rolled;
    for (int i = 0; i < 40 && bench.store->stats.segments_rolled == rolls; i++) {
        bench_publish(&bench, 1, 2000); /* written, not synced */
        bench_turns(&bench, 2, 1);
        bool is_near = bench.store->journal.active->size + 3000 > bench.options.segment_bytes;
        if (is_near) {
            bench_publish(&bench, 1, 2500); /* into the next segment, and somebody waits for it */
            bench_wait(&bench);
        }
    }
    ok(bench.store->stats.segments_rolled > rolls, "a segment began with a batch that is synced");
    ok(disk_observed_find(&bench.observed, from, ACT_RENAME, "journal-") < bench.observed.count,
       "in a file that was used before");
    is_int(early_syncs(&bench), 0, "nothing was synced ahead of what came before it");
    bench_free(&bench);
}

/* What a sync has lost, a second one calls written: the store ends. */
static void fail_sync(int error, const char *name)
{
    struct bench bench;
    bench_init(&bench);
    bench_open(&bench);
    bench_publish(&bench, 1, 100);
    struct ticket ticket = store_ticket(bench.store);
    disk_observed_fail(&bench.observed, ACT_SYNC, "journal-", error, 1);
    bench_wait(&bench);
    bench_turns(&bench, 20, 200);
    is_int(bench.observed.fail_count, 0, "%s: a sync failed", name);
    is_int(store_ticket_state(bench.store, ticket), TICKET_FAILED, "%s: nothing is claimed", name);
    ok(store_failure(bench.store) != NULL, "%s: and the store has ended", name);
    bench_free(&bench);
}

TEST(sync_is_not_tried_again)
{
    fail_sync(EIO, "EIO");
    fail_sync(ENOSPC, "ENOSPC");
    fail_sync(EDQUOT, "EDQUOT");
}

/* A write that waits for room counts as short of space, whatever the file system says of room. */
TEST(waiting_is_short)
{
    struct bench bench;
    int open_again = 0;
    bench_init(&bench);
    bench_open(&bench);
    bench_publish(&bench, 1, 100);
    bench_wait(&bench);
    disk_observed_fail(&bench.observed, ACT_WRITE, "journal-", EDQUOT, UINT32_MAX);
    bench_publish(&bench, 1, 100);
    bench_turns(&bench, 10, 200);
    for (int i = 0; i < 50; i++) {
        bench_turns(&bench, 1, 200);
        open_again += !store_is_short(bench.store);
    }
    is_int(open_again, 0, "for ten seconds it stays so");
    disk_observed_fail(&bench.observed, ACT_WRITE, "journal-", 0, 0);
    bench_turns(&bench, 20, 2000);
    ok(!store_is_short(bench.store) && !store_failure(bench.store), "until it is written");
    bench_free(&bench);
}

/* ---- checkpoints ---- */

/* Acts that take segments away, from act number `from` on. */
static unsigned removals(const struct bench *bench, size_t from)
{
    unsigned count = 0;
    for (size_t i = from; i < bench->observed.count; i++) {
        const struct act *act = &bench->observed.acts[i];
        bool goes = act->kind == ACT_UNLINK && is_segment(act);
        bool is_kept = act->kind == ACT_RENAME && strncmp(act->name, "spare-", 6) == 0;
        count += goes || is_kept;
    }
    return count;
}

static void leave_dead_segments(struct bench *bench)
{
    for (int i = 0; i < 12; i++) {
        bench_publish(bench, 1, 5000);
        bench_wait(bench);
    }
    bench_take_all(bench, 0);
    bench_publish(bench, 1, 100);
    bench_wait(bench);
}

/* The anchor says which checkpoint counts. Before it is durable no file goes. */
static void fail_anchor(enum act_kind kind, const char *what)
{
    struct bench bench;
    bench_init(&bench);
    bench_open(&bench);
    leave_dead_segments(&bench);
    size_t from = bench.observed.count;
    disk_observed_fail(&bench.observed, kind, kind == ACT_SYNC_FOLDER ? "" : ANCHOR_NAME, EIO, 3);
    bench_turns(&bench, 1, 31000);
    for (int i = 0; i < 40 && bench.observed.fail_count; i++) {
        bench_turns(&bench, 1, 500);
        if (bench.observed.fail_count && removals(&bench, from))
            break;
    }
    is_int(bench.observed.fail_count, 0, "%s fails three times", what);
    size_t last = bench.observed.count;
    while (last > from && !bench.observed.acts[last - 1].error)
        last--;
    is_int(removals(&bench, from) - removals(&bench, last), 0, "and no segment goes");
    bench_turns(&bench, 20, 500);
    ok(removals(&bench, last) > 0, "then they go");
    bench_free(&bench);
}

TEST(anchor_fails)
{
    fail_anchor(ACT_CREATE, "making the anchor");
    fail_anchor(ACT_WRITE, "writing the anchor");
    fail_anchor(ACT_SYNC, "syncing the anchor");
}

/* Files go only behind an anchor that was written and synced, its name too. */
TEST(anchor_comes_first)
{
    struct bench bench;
    bench_init(&bench);
    bench_open(&bench);
    leave_dead_segments(&bench);
    size_t from = bench.observed.count;
    bench_turns(&bench, 1, 31000);
    bench_turns(&bench, 20, 100);
    size_t goes = disk_observed_find(&bench.observed, from, ACT_RENAME, "spare-");
    size_t write = disk_observed_find(&bench.observed, from, ACT_WRITE, ANCHOR_NAME);
    size_t sync = disk_observed_find(&bench.observed, write, ACT_SYNC, ANCHOR_NAME);
    size_t folder = disk_observed_find(&bench.observed, sync, ACT_SYNC_FOLDER, "");
    ok(goes < bench.observed.count, "a segment goes");
    ok(write < sync && sync < folder && folder < goes, "after write, sync and sync of the folder");
    bench_free(&bench);
}

/* What a checkpoint describes is durable before it: it is not written while the batch before it is. */
TEST(checkpoint_waits_for_the_journal)
{
    struct bench bench;
    bench_init(&bench);
    bench_open(&bench);
    bench_publish(&bench, 1, 100);
    bench_wait(&bench);
    bench_publish(&bench, 1, 100);
    size_t from = bench.observed.count;
    bench.is_syncer_held = true;
    bench_turns(&bench, 5, 31000);
    ok(bench.store->image.job != NULL, "a checkpoint has begun");
    is_int(disk_observed_find(&bench.observed, from, ACT_WRITE, ANCHOR_NAME), bench.observed.count,
           "and is not written");
    bench.is_syncer_held = false;
    bench_turns(&bench, 5, 100);
    size_t sync = disk_observed_find(&bench.observed, from, ACT_SYNC, "journal-");
    size_t anchor = disk_observed_find(&bench.observed, from, ACT_WRITE, ANCHOR_NAME);
    ok(sync < anchor && anchor < bench.observed.count, "until its batch is");
    bench_free(&bench);
}

/* What becomes of a synced write to the index. */
static enum fate { WRITES_GO, WRITES_FAIL, ANSWERS_FAIL } writes;
static unsigned failed_writes;
static const struct kv_ops *sound;

static int failing_write(struct kv *kv, struct bytes batch, bool sync)
{
    int result = sync && writes == WRITES_FAIL ? 0 : sound->write(kv, batch, sync);
    if (!sync || writes == WRITES_GO)
        return result;
    snprintf(kv->error, sizeof(kv->error), "it failed");
    failed_writes++;
    return -1;
}

static void publish_and_checkpoint(struct bench *bench)
{
    uint64_t before = bench->store->stats.checkpoints;
    bench_publish(bench, 1, 100);
    bench_wait(bench);
    bench_turns(bench, 3, 31000);
    bool is_written = bench->store->stats.checkpoints > before;
    ok(is_written == (writes == WRITES_GO), "a checkpoint is %swritten", is_written ? "" : "not ");
}

/* A checkpoint that failed is written as it was, whether it is there already or not; the next one goes
 * on from it. */
static void fail_checkpoint(enum fate how, const char *name)
{
    struct bench bench;
    char error[600] = "";
    diag("%s", name);
    bench_init(&bench);
    sound = bench.kv->ops;
    struct kv_ops ops = *sound;
    ops.write = failing_write;
    bench.kv->ops = &ops;
    writes = WRITES_GO;
    bench_open(&bench);
    publish_and_checkpoint(&bench);
    writes = how;
    failed_writes = 0;
    publish_and_checkpoint(&bench);
    ok(failed_writes > 1, "it fails %u times", failed_writes);
    writes = WRITES_GO;
    publish_and_checkpoint(&bench);
    publish_and_checkpoint(&bench);
    bench_crash(&bench, CRASH_DROP);
    bench.store = store_open(&bench.options, bench.now_ms, error, sizeof(error));
    ok(bench.store != NULL, "it is sound: %s", error);
    bench.kv->ops = sound;
    bench_free(&bench);
}

TEST(checkpoint_is_written_again)
{
    fail_checkpoint(WRITES_FAIL, "the write fails");
    fail_checkpoint(ANSWERS_FAIL, "it is written, and the answer fails");
}

/* ---- a disk that does not answer ---- */

TEST(how_long_a_write_is_out)
{
    struct bench bench;
    bench_init(&bench);
    bench_open(&bench);
    bench_wait(&bench);
    is_int(store_writes_for_ms(bench.store, bench.now_ms), 0, "nothing is written");
    bench.is_syncer_held = true;
    bench_publish(&bench, 1, 1000);
    bench_turns(&bench, 20, 100);
    ok(store_writes_for_ms(bench.store, bench.now_ms) >= 1000, "the disk has not answered for a second");
    bench.is_syncer_held = false;
    bench_wait(&bench);
    is_int(store_writes_for_ms(bench.store, bench.now_ms), 0, "it has answered");
    bench_free(&bench);
}

/* ---- recovery ---- */

/* What was read back was perhaps in the page cache only, as the process before it had died without a
 * sync; power is lost after the start. */
TEST(replayed_is_durable)
{
    struct bench bench;
    bench_init(&bench);
    bench.options.batch_bytes = 600;
    bench_open(&bench);
    bench_wait(&bench);
    bench_publish(&bench, 1, 1000);
    bench_turns(&bench, 1, 1);
    while (worker_step(bench.syncer))
        continue;
    struct store *store = bench.store;
    ok(!batch_is_empty(store->journal.filling) ||
           store->journal.written <= store->journal.durable + 1,
       "a batch was written and not synced");
    store_abandon(bench.store); /* the process dies; the disk has it all in its cache */
    bench.store = NULL;
    bench_open(&bench);
    is_int(bench.queue[0]->ready, 1, "the next start finds it");
    is_int(store_ticket_state(bench.store, (struct ticket){.index = bench.store->journal.written}),
           TICKET_DURABLE, "and calls it durable");
    bench_crash(&bench, CRASH_DROP);
    bench_open(&bench);
    is_int(bench.queue[0]->ready, 1, "so it is there after a loss of power");
    bench_free(&bench);
}

/* The first sync of a file is that of its header; then its name, and only then the identity tells of it. All of
 * the file before is synced first, as the header says which batches lie there. */
TEST(begins_durably)
{
    struct bench bench;
    bench_init(&bench);
    bench.options.batch_bytes = 600;
    bench_open(&bench);
    bench_wait(&bench);
    while (bench.store->journal.segment_last < 2) {
        bench_publish(&bench, 1, 3000);
        bench_turns(&bench, 2, 1);
    }
    const struct disk_observed *seen = &bench.observed;
    size_t made = disk_observed_find(seen, 0, ACT_CREATE, "journal-0000000002");
    size_t told = disk_observed_find(seen, made, ACT_WRITE, IDENTITY_NAME);
    size_t header = disk_observed_find(seen, made, ACT_SYNC, "journal-0000000002");
    size_t name = disk_observed_find(seen, header, ACT_SYNC_FOLDER, "");
    ok(told < seen->count && header < name && name < told, "its header, its name, then the identity");
    ok(is_synced(&bench, "journal-0000000001", made), "after all that is before it");
    is_int(bench.store->journal.identity.headed, 2, "which tells that there was a header");
    ok(bench.store->journal.identity.batch + 1 ==
           segment_find(&bench.store->journal, 2)->first_batch,
       "and that the batches before it were synced");
    bench_free(&bench);
}

/* Files that a cut takes away must be gone before anything is built on that. */
TEST(cut_is_durable)
{
    struct bench bench;
    bench_init(&bench);
    bench_open(&bench);
    bench_wait(&bench);
    bench_crash(&bench, CRASH_KEEP);
    struct disk_file *file; /* the next one was made, and the power was cut */
    if (bench.memory->ops->open(bench.memory, "journal-0000000002", DISK_CREATE, &file) != 0)
        bail("no second file");
    bench.memory->ops->close(file);
    size_t from = bench.observed.count;
    bench_open(&bench);
    size_t gone = disk_observed_find(&bench.observed, from, ACT_UNLINK, "journal-0000000002");
    ok(gone < bench.observed.count, "the file behind it goes");
    ok(disk_observed_find(&bench.observed, gone, ACT_SYNC_FOLDER, "") < bench.observed.count,
       "durably");
    bench_free(&bench);
}

/* The disk fails when a segment was begun and the identity was to tell of it. The next start goes on behind
 * it: from then on it is the one that must be there, and those before may go. */
TEST(a_segment_that_was_not_told_of)
{
    struct bench bench;
    bench_init(&bench);
    bench_open(&bench);
    for (int i = 0; i < 100 && !store_failure(bench.store); i++) {
        bench_publish(&bench, 1, 3000);
        bench_wait(&bench);
        bench_take_all(&bench, 0);
        bench_turns(&bench, 40, 1000); /* a checkpoint has all of it */
        if (i == 0)
            disk_observed_fail(&bench.observed, ACT_WRITE, IDENTITY_NAME, EIO, 1000);
    }
    ok(store_failure(bench.store), "the disk fails");
    disk_observed_fail(&bench.observed, ACT_WRITE, IDENTITY_NAME, 0, 0);
    bench_crash(&bench, CRASH_KEEP);
    bench_open(&bench);
    ok(bench_has_file(&bench, "journal-0000000002"), "a second segment was begun");
    bench.store->image.is_changed = true; /* and another checkpoint comes, though nothing is written */
    bench_turns(&bench, 100, 1000);
    ok(!bench_has_file(&bench, "journal-0000000001"), "the first one goes");
    store_close(bench.store);
    bench_open(&bench);
    ok(bench.store, "and is not missed");
    bench_free(&bench);
}

int main(void)
{
    RUN(segments_are_synced_in_order);
    RUN(sync_is_not_tried_again);
    RUN(waiting_is_short);
    RUN(anchor_fails);
    RUN(anchor_comes_first);
    RUN(checkpoint_waits_for_the_journal);
    RUN(checkpoint_is_written_again);
    RUN(how_long_a_write_is_out);
    RUN(replayed_is_durable);
    RUN(begins_durably);
    RUN(cut_is_durable);
    RUN(a_segment_that_was_not_told_of);
    return done();
}
