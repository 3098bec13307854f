/* One piece of work in which every call of the disk and of the key-value store fails, in turn: once
 * and for good. Afterwards the power goes, and the store must start again and hold what it promised. */
#include <errno.h>
#include <inttypes.h>

#include "tests/fault/rig.h"
#include "tests/lib/tap.h"

static uint64_t disk_calls, kv_calls;

static bool met_all(const struct rig_met *m)
{
    return m->confirms && m->settles && m->rolls && m->recycled && m->retired && m->spills &&
           m->loads && m->paged && m->reads && m->checkpoints && m->compactions && m->moved &&
           m->elided && m->marks;
}

TEST(sound)
{
    struct rig rig;
    rig_init(&rig);
    rig_work(&rig);
    disk_calls = disk_memory_calls(rig.disk);
    kv_calls = rig.kv_calls;
    rig_crash(&rig, CRASH_DROP);
    const struct rig_met *m = &rig.met;
    ok(met_all(m), "the work meets everything");
    diag("confirms=%" PRIu64 " settles=%" PRIu64 " elided=%" PRIu64 " rolls=%" PRIu64
         " recycled=%" PRIu64 " retired=%" PRIu64 " spills=%" PRIu64 " loads=%" PRIu64
         " paged=%" PRIu64 " reads=%" PRIu64,
         m->confirms, m->settles, m->elided, m->rolls, m->recycled, m->retired, m->spills, m->loads,
         m->paged, m->reads);
    diag("checkpoints=%" PRIu64 " compactions=%" PRIu64 " moved=%" PRIu64 " marks=%" PRIu64
         " disk calls=%" PRIu64 " kv calls=%" PRIu64,
         m->checkpoints, m->compactions, m->moved, m->marks, disk_calls, kv_calls);
    ok(rig_open(&rig), "it starts: %s", rig.error);
    ok(rig.store && rig_check_promise(&rig), "what was promised is there: %s", rig.fault);
    rig_free(&rig);
}

/* The fault has had its time: power off and on, and the disk is sound. */
static bool survives(struct rig *rig, uint64_t at)
{
    rig_crash(rig, (enum crash)(at % 3));
    if (!rig->fault[0] && rig_open(rig))
        rig_check_promise(rig);
    if (rig->store && !rig->fault[0])
        return true;
    diag("at call %" PRIu64 ": %s%s", at, rig->fault, rig->store ? "" : rig->error);
    return false;
}

static void fail_disk(int error, bool forever)
{
    uint64_t bad = 0, failures = 0;
    for (uint64_t at = 1; at <= disk_calls; at++) {
        struct rig rig;
        rig_init(&rig);
        rig.is_faulty = true;
        disk_memory_fail(rig.disk, at, error, forever);
        rig_work(&rig);
        failures += rig.store && store_failure(rig.store);
        bad += !survives(&rig, at);
        rig_free(&rig);
    }
    ok(bad == 0, "%s at each of %" PRIu64 " calls of the disk, %s: %" PRIu64 " broken promises, %" PRIu64
       " stops", error == EIO ? "EIO" : "ENOSPC", disk_calls, forever ? "for good" : "once", bad,
       failures);
}

TEST(disk_fails)
{
    fail_disk(EIO, false);
    fail_disk(EIO, true);
    fail_disk(ENOSPC, false);
    fail_disk(ENOSPC, true);
}

static void fail_kv(bool forever)
{
    uint64_t bad = 0;
    for (uint64_t at = 1; at <= kv_calls; at++) {
        struct rig rig;
        rig_init(&rig);
        rig.is_faulty = true;
        kv_memory_fail(rig.memory, at, forever);
        rig_work(&rig);
        bad += !survives(&rig, at);
        rig_free(&rig);
    }
    ok(bad == 0, "a failure at each of %" PRIu64 " calls of the key-value store, %s: %" PRIu64
       " broken promises", kv_calls, forever ? "for good" : "once", bad);
}

TEST(kv_fails)
{
    fail_kv(false);
    fail_kv(true);
}

/* A full disk is no failure: the store waits for room, and goes on when there is some. */
TEST(disk_full)
{
    uint64_t bad = 0, waited = 0, runs = 0;
    for (uint64_t limit = 64; limit < 60000; limit += 509, runs++) {
        struct rig rig;
        rig_init(&rig);
        rig.is_faulty = true;
        rig.options.segment_bytes = limit % 2 ? 2048 : 8192;
        disk_memory_limit(rig.disk, limit);
        rig_work(&rig);
        bool was_short = rig.store && store_is_short(rig.store);
        disk_memory_limit(rig.disk, 0);
        if (!rig.store)
            rig_open(&rig);
        if (rig.is_unknown)
            rig_check_promise(&rig);
        for (int i = 0; i < 5; i++)
            rig_step(&rig, 1000);
        struct ticket ticket = rig.store ? store_ticket(rig.store) : (struct ticket){0};
        rig_wait(&rig);
        /* What leaves memory may be on its way. */
        for (int i = 0; i < 100 && rig_is_up(&rig) &&
                        rig.durable + 1 < store_ticket(rig.store).index; i++)
            rig_step(&rig, 5);
        waited += was_short;
        const char *why = rig.store ? store_failure(rig.store) : rig.error;
        if (why || rig.fault[0] ||
            store_ticket_state(rig.store, ticket) != TICKET_DURABLE || store_is_short(rig.store)) {
            diag("with %" PRIu64 " bytes: %s %s durable=%" PRIu64, limit, why ? why : "not durable",
                 rig.fault, rig.durable);
            bad++;
        }
        bad += !survives(&rig, limit);
        rig_free(&rig);
    }
    ok(bad == 0, "a disk full at each of %" PRIu64 " sizes: %" PRIu64 " did not go on", runs, bad);
    ok(waited > 0, "%" PRIu64 " of them ended with the store waiting for room", waited);
}

int main(void)
{
    RUN(sound);
    RUN(disk_fails);
    RUN(kv_fails);
    RUN(disk_full);
    return done();
}
