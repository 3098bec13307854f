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

void rig_work(struct rig *rig)
{
    if (!rig->store && !rig_open(rig))
        return;
    int a = rig_new_queue(rig, true), b = rig_new_queue(rig, true), c = rig_new_queue(rig, false);
    rig_put_name(rig, 1);
    rig_wait(rig);
    fill(rig, 1u << a, 30, 150);
    fill(rig, 1u << a | 1u << b, 8, 200);
    rig_publish(rig, 1u << b, true, 5000); /* larger than a segment, and written from its place */
    rig_publish(rig, 1u << a | 1u << c, true, 17000);
    rig_wait(rig);
    for (int i = 0; i < 20; i++)
        rig_publish(rig, 1u << c, false, 60);
    rest(rig, 5, 700); /* bodies and chunks leave memory */
    rig_put_name(rig, 2);
    rest(rig, 3, 2500); /* a checkpoint */
    drain(rig, a, 34);
    rig_take(rig, c, true);
    rest(rig, 12, 200);
    rest(rig, 3, 5100); /* checkpoints: segments retire */
    rig_publish(rig, 1u << a, true, 30);
    rig_take(rig, a, true);
    fill(rig, 1u << b, 12, 150); /* into recycled files */
    for (int i = 0; i < 6; i++) { /* what is left of these files moves on */
        fill(rig, 1u << b, 4, 1500);
        rig_publish(rig, 1u << a, true, 50);
    }
    rig_delete_queue(rig, b);
    int d = rig_new_queue(rig, true);
    rig_put_name(rig, 3);
    fill(rig, 1u << d | 1u << a, 4, 100);
    uint64_t last = rig->store ? rig_filling(rig) : 0;
    bool sound = rig_is_up(rig);
    rig_close(rig);
    if (!sound || rig_is_dead(rig) || !rig_open(rig))
        return;
    if (!rig_check(rig, rig->is_faulty ? rig->durable : last, last, false)) {
        rig->is_unknown = rig->is_faulty && rig_is_blind(rig);
        if (rig->is_unknown)
            rig->fault[0] = '\0';
        return;
    }
    rig_take(rig, d, false);
    rig_take(rig, a, false);
    rig_settle(rig, d, false);
    fill(rig, 1u << a, 6, 150);
    rig_publish(rig, 1u << d, true, 12);
    rig_purge(rig, d); /* the last one was never written */
    rest(rig, 2, 5100);
    rig_put_name(rig, 4);
    fill(rig, 1u << a | 1u << d, 5, 100);
    for (int i = 0; i < 7; i++) { /* written, not synced */
        rig_publish(rig, 1u << a, true, 300);
        rig_settle(rig, a, false);
        rig_step(rig, 1);
        rig_step(rig, 1);
    }
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
    rest(rig, 12, 60); /* compaction moves messages */
    rig_publish(rig, 1u << a | 1u << c, true, 30);
    rig_put_name(rig, 3);
    rest(rig, 2, 1);
    rig_crash(rig, CRASH_KEEP);
}
