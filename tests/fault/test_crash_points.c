/* The power goes at every call of the disk and of the key-value store during one piece of work, and then
 * again at every call of the recovery, and again. What is left must be what was promised. With SHARE=N
 * it goes at one of N calls of the work: with 3 at each once, as there are three ways to lose what was
 * not synced. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "tests/fault/rig.h"
#include "tests/lib/tap.h"

enum { RECOVERY_CALLS_MAX = 400 };

static uint64_t disk_calls, kv_calls, first_crashes, second_crashes;

/* One that crashed for the first time; NULL text: all is well. */
static bool recovers(struct rig *rig)
{
    if (!rig->fault[0] && !rig->store && !rig_open(rig))
        snprintf(rig->fault, sizeof(rig->fault), "it would not start: %.300s", rig->error);
    return !rig->fault[0] && rig_check_promise(rig);
}

/* Recovers from a copy with a second crash at call `at` of the recovery. False: the recovery needs
 * fewer calls than that. */
static bool crash_again(const struct rig *crashed, uint64_t at, bool of_disk, enum crash how,
                        char fault[400])
{
    struct rig rig;
    rig_copy(&rig, crashed);
    rig_lose_power_at(&rig, of_disk ? at : 0, of_disk ? 0 : at);
    rig_open(&rig);
    bool was_hit = rig_is_dead(&rig);
    rig_crash(&rig, how);
    if (was_hit) {
        second_crashes++;
        if (!recovers(&rig))
            memcpy(fault, rig.fault, sizeof(rig.fault));
    }
    rig_free(&rig);
    return was_hit;
}

static uint64_t crash_all_again(const struct rig *crashed, uint64_t first, enum crash how)
{
    char fault[400] = "";
    /* Not all of them every time; every remainder comes up often enough. */
    for (int of_disk = 0; of_disk < 2; of_disk++)
        for (uint64_t at = 1 + first % 3; at < RECOVERY_CALLS_MAX && !fault[0]; at += 3)
            if (!crash_again(crashed, at, of_disk, how, fault))
                break;
    if (fault[0])
        diag("first crash at call %" PRIu64 ", then again: %s", first, fault);
    return fault[0] != '\0';
}

/* The first crash at call `at`. */
static uint64_t crash_at(uint64_t disk_call, uint64_t kv_call, enum crash how)
{
    struct rig rig;
    uint64_t at = disk_call ? disk_call : kv_call;
    rig_init(&rig);
    rig.random.state[0] += at;
    rig.is_faulty = true;
    rig_lose_power_at(&rig, disk_call, kv_call);
    rig_work(&rig);
    rig_crash(&rig, how);
    first_crashes++;
    uint64_t bad = crash_all_again(&rig, at, how);
    if (!recovers(&rig)) {
        diag("crash at call %" PRIu64 ": %s", at, rig.fault);
        bad++;
    }
    rig_free(&rig);
    return bad;
}

TEST(sound)
{
    struct rig rig;
    rig_init(&rig);
    rig_work(&rig);
    disk_calls = disk_memory_calls(rig.disk);
    kv_calls = rig.kv_calls;
    ok(rig_is_up(&rig), "the work comes to its end: %s", rig.fault);
    rig_free(&rig);
}

static void crash_everywhere(enum crash how, const char *name)
{
    uint64_t bad = 0;
    first_crashes = second_crashes = 0;
    for (uint64_t at = 1 + how % share(); at <= disk_calls; at += share())
        bad += crash_at(at, 0, how);
    for (uint64_t at = 1 + how % share(); at <= kv_calls; at += share())
        bad += crash_at(0, at, how);
    ok(bad == 0, "%s: %" PRIu64 " crashes, and %" PRIu64 " in recovery: %" PRIu64 " broken promises",
       name, first_crashes, second_crashes, bad);
    ok(second_crashes > first_crashes, "%s: recovery was met", name);
}

TEST(crashes)
{
    crash_everywhere(CRASH_DROP, "only what was synced is left");
    crash_everywhere(CRASH_RANDOM, "parts of the rest are left");
    crash_everywhere(CRASH_KEEP, "all that was written is left");
}

int main(void)
{
    RUN(sound);
    RUN(crashes);
    return done();
}
