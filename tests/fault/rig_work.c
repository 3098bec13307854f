/* The pieces of work. */
#include "tests/fault/rig_internal.h"

static void fill(struct rig *rig, unsigned mask, int count, uint32_t size)
{
    for (int i = 0; i < count; i++) {
        rig_publish(rig, mask, true, size + (uint32_t)(i * 37 % 90));
        if (i % 3 == 2)
            rig_wait(rig);
    }
    rig_wait(rig);
}

static void drain(struct rig *rig, int q, int count)
{
    for (int i = 0; i < count && rig_take(rig, q, false); i++) {
        /* One in nine stays, so that segments are mostly dead and need compaction. */
        if (i % 9 == 8)
            rig_settle(rig, q, true);
        else
            rig_settle(rig, q, false);
        if (i % 9 == 8)
            rig_take(rig, q, false);
        if (i % 5 == 4)
            rig_step(rig, 5);
    }
    rig_wait(rig);
}

static void rest(struct rig *rig, int turns, uint64_t ms)
{
    for (int i = 0; i < turns; i++)
        rig_step(rig, ms);
}

/* What a store has met by now, the open one included. */
static struct rig_met met_so_far(const struct rig *rig)
{
    struct rig_met met = rig->met;
    if (rig->store)
        rig_met_add(&met, store_stats(rig->store));
    return met;
}

/* An act has met what it is for, unless something failed, or segments have another size than it is made
 * for: then it may not. */
static void must(struct rig *rig, bool has, const char *what)
{
    bool is_usual = rig->options.segment_bytes <= RIG_SEGMENT_BYTES;
    if (!has && is_usual && !rig->is_faulty && rig_is_up(rig))
        rig_fail(rig, "the work is not what it should be: %s", what);
}

static void grow_backlog(struct rig *rig, int a, int b)
{
    struct rig_met before = met_so_far(rig);
    fill(rig, 1u << a, 30, 150);
    fill(rig, 1u << a | 1u << b, 8, 200);
    must(rig, met_so_far(rig).rolls > before.rolls + 2, "the backlog takes several segments");
}

static void publish_large(struct rig *rig, int a, int b, int c)
{
    struct rig_met before = met_so_far(rig);
    rig_publish(rig, 1u << b, true, 5000); /* larger than a segment, and written from its place */
    rig_publish(rig, 1u << a | 1u << c, true, 17000);
    rig_wait(rig);
    must(rig, met_so_far(rig).rolls > before.rolls, "large messages have segments of their own");
}

/* Bodies and chunks. */
static void leave_memory(struct rig *rig, int c)
{
    struct rig_met before = met_so_far(rig);
    for (int i = 0; i < 20; i++)
        rig_publish(rig, 1u << c, false, 60);
    rest(rig, 5, 700);
    must(rig, met_so_far(rig).spills > before.spills, "chunks leave memory");
    must(rig, met_so_far(rig).paged > before.paged, "transient bodies leave memory");
}

static void checkpoint(struct rig *rig)
{
    struct rig_met before = met_so_far(rig);
    rig_put_name(rig, 2);
    rest(rig, 3, 2500);
    rest(rig, 12, 5); /* it is drafted in slices */
    must(rig, met_so_far(rig).checkpoints > before.checkpoints, "there is a checkpoint");
}

static void drain_mostly(struct rig *rig, int a, int c)
{
    struct rig_met before = met_so_far(rig);
    drain(rig, a, 34);
    rig_take(rig, c, true);
    rest(rig, 12, 200);
    must(rig, met_so_far(rig).loads > before.loads, "chunks come back");
    must(rig, met_so_far(rig).reads > before.reads, "bodies come back");
    must(rig, met_so_far(rig).settles > before.settles, "settles are written");
}

static void retire_segments(struct rig *rig, int a)
{
    struct rig_met before = met_so_far(rig);
    rest(rig, 3, 5100); /* checkpoints */
    rig_publish(rig, 1u << a, true, 30);
    rig_take(rig, a, true);
    must(rig, met_so_far(rig).retired > before.retired, "segments retire");
}

static void use_files_again(struct rig *rig, int b)
{
    struct rig_met before = met_so_far(rig);
    fill(rig, 1u << b, 12, 150);
    must(rig, met_so_far(rig).recycled > before.recycled, "files are used again");
}

/* Most of them belong to one queue, and a little to the other. */
static void fill_segments(struct rig *rig, int a, int b)
{
    struct rig_met before = met_so_far(rig);
    for (int i = 0; i < 6; i++) {
        fill(rig, 1u << b, 4, 1500);
        rig_publish(rig, 1u << a, true, 50);
    }
    must(rig, met_so_far(rig).rolls > before.rolls + 6, "many segments are filled");
}

/* What belongs to others in the files of the one that ends moves on. */
static int replace_queue(struct rig *rig, int a, int b)
{
    struct rig_met before = met_so_far(rig);
    rig_delete_queue(rig, b);
    int d = rig_new_queue(rig, true);
    rig_put_name(rig, 3);
    fill(rig, 1u << d | 1u << a, 4, 100);
    must(rig, met_so_far(rig).compactions > before.compactions, "files are compacted");
    must(rig, met_so_far(rig).moved > before.moved, "messages move");
    return d;
}

/* An orderly stop and a start. False: that is the end of the work. */
static bool start_again(struct rig *rig)
{
    uint64_t last = rig->store ? rig_filling(rig) : 0;
    bool sound = rig_is_up(rig);
    rig_close(rig);
    if (!sound || rig_is_dead(rig) || !rig_open(rig))
        return false;
    if (rig_check(rig, rig->is_faulty ? rig->durable : last, last, false))
        return true;
    rig->is_unknown = rig->is_faulty && rig_is_blind(rig);
    if (rig->is_unknown)
        rig->fault[0] = '\0';
    return false;
}

static void purge_unwritten(struct rig *rig, int a, int d)
{
    struct rig_met before = met_so_far(rig);
    rig_take(rig, d, false);
    rig_take(rig, a, false);
    rig_settle(rig, d, false);
    fill(rig, 1u << a, 6, 150);
    rig_publish(rig, 1u << d, true, 12);
    rig_purge(rig, d); /* the last one was never written */
    rest(rig, 2, 5100);
    must(rig, met_so_far(rig).elided > before.elided, "a message that is gone is not written");
}

static void leave_unsynced(struct rig *rig, int a, int d)
{
    rig_put_name(rig, 4);
    fill(rig, 1u << a | 1u << d, 5, 100);
    for (int i = 0; i < 7; i++) {
        rig_publish(rig, 1u << a, true, 300);
        rig_settle(rig, a, false);
        rig_step(rig, 1);
        rig_step(rig, 1);
    }
    must(rig, store_durable_index(rig->store) + 1 < rig_filling(rig), "batches are not synced");
}

void rig_work(struct rig *rig)
{
    if (!rig->store && !rig_open(rig))
        return;
    int a = rig_new_queue(rig, true), b = rig_new_queue(rig, true), c = rig_new_queue(rig, false);
    rig_put_name(rig, 1);
    rig_wait(rig);
    grow_backlog(rig, a, b);
    publish_large(rig, a, b, c);
    leave_memory(rig, c);
    checkpoint(rig);
    drain_mostly(rig, a, c);
    retire_segments(rig, a);
    use_files_again(rig, b);
    fill_segments(rig, a, b);
    int d = replace_queue(rig, a, b);
    if (!start_again(rig))
        return;
    purge_unwritten(rig, a, d);
    leave_unsynced(rig, a, d);
}

void rig_work_unsynced(struct rig *rig, bool checkpoint)
{
    rig->options.segment_bytes = 1536;
    rig->options.batch_bytes = 40; /* every turn writes */
    rig->options.sync_ms = 1u << 30;
    rig->options.checkpoint_ms = 1u << 30;
    rig->options.disk_reserve_bytes = 0;
    rig->options.checkpoint_bytes = 1u << 30;
    rig_open(rig);
    int a = rig_new_queue(rig, true), b = rig_new_queue(rig, true);
    rig_put_name(rig, 1);
    fill(rig, 1u << a, 42, 60);
    fill(rig, 1u << a | 1u << b, 3, 60);
    if (checkpoint) {
        rig_close(rig);
        rig_open(rig);
        rig_check(rig, rig->durable, rig->durable, false);
    }
    for (int i = 0; i < 36; i++)
        rig_take(rig, a, false);
    fill(rig, 1u << b, 2, 40);
    /* From here on nobody waits. */
    for (int i = 0; i < 36; i++) {
        rig_settle(rig, a, i % 8 == 0);
        if (i % 6 == 5)
            rest(rig, 2, 1);
    }
    rig_put_name(rig, 2);
    int c = rig_new_queue(rig, true);
    rest(rig, 2, 1);
    rig_publish(rig, 1u << b | 1u << c, true, 80);
    rest(rig, 2, 1);
    rig_delete_queue(rig, b);
    rest(rig, 2, 1);
    rest(rig, 12, 60);
    must(rig, met_so_far(rig).moved > 0, "messages move");
    rig_publish(rig, 1u << a | 1u << c, true, 30);
    rig_put_name(rig, 3);
    rest(rig, 2, 1);
    must(rig, rig->durable + 10 < rig_filling(rig), "many batches are not synced");
    rig_crash(rig, CRASH_KEEP);
}
