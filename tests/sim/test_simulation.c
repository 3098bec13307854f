/* Simulations from fixed seeds: every promise is kept, with faults and without, everything that a
 * simulation can do was done, and a seed gives the same events each time. With SHARE=N one of N of those
 * with faults. */
#include <inttypes.h>

#include "base/mem.h"
#include "tests/lib/tap.h"
#include "tests/sim/simulation.h"

static bool run_as(const struct simulation_options *options, struct simulation_report *report)
{
    if (simulation_run(options, report))
        return true;
    diag("seed %" PRIu64 ": %s", options->seed, report->fault);
    return false;
}

static bool run(uint64_t seed, bool has_faults, struct simulation_report *report)
{
    struct simulation_options options = {.seed = seed, .busy_ms = 2000, .has_faults = has_faults};
    return run_as(&options, report);
}

TEST(without_faults)
{
    struct simulation_report report = {0};
    for (uint64_t seed = 1; seed <= 6; seed++)
        ok(run(seed, false, &report), "seed %" PRIu64, seed);
    ok(report.redelivered && report.returned && report.dead_lettered && report.commits &&
           report.rollbacks && report.gets && report.requeued,
       "everything was met");
}

TEST(with_faults)
{
    struct simulation_report report = {0};
    for (uint64_t seed = 1; seed <= 60; seed += share())
        ok(run(seed, true, &report), "seed %" PRIu64, seed);
    /* The power goes after a start that has found a segment whose name was not durable. */
    ok(run(53322, true, &report), "seed 53322");
    ok(run(57496, true, &report), "seed 57496");
    ok(report.kills && report.power_cuts && report.clean_stops && report.disk_errors &&
           report.full_disks && report.vanished && report.slow_clients && report.clock_jumps &&
           report.purges && report.deletes,
       "every fault was met");
    ok(report.met[MET_SOLO_DELIVERED] && report.met[MET_SHARED_DELIVERED] &&
           report.met[MET_CHANNEL_ERROR] && report.met[MET_SURVEY_CRASH] &&
           report.met[MET_CHECKPOINT] && report.met[MET_SPILLED] && report.met[MET_READ],
       "and what the clients and the store do");
}

/* The same promises, where what is done to durable queues is agreed on first. */
TEST(queues_of_a_group)
{
    struct simulation_report report = {0};
    struct simulation_options options = {.busy_ms = 2000, .agrees = true};
    if (!agree_may()) {
        skip(1, "this build has no groups");
        return;
    }
    for (options.seed = 1; options.seed <= 28; options.seed++) {
        options.has_faults = options.seed > 8;
        ok(run_as(&options, &report), "seed %" PRIu64 " of a group", options.seed);
    }
    ok(report.agreed > 1000, "something was agreed on: %" PRIu64 " entries", report.agreed);
    ok(report.kills && report.power_cuts && report.full_disks && report.redelivered &&
           report.dead_lettered && report.commits && report.purges,
       "with what else was met");
}

/* Nothing depends on where memory lies. */
TEST(same_seed_same_events)
{
    struct simulation_report first = {0}, second = {0};
    void *blocks[64];
    run(7, true, &first);
    for (size_t i = 0; i < 64; i++)
        blocks[i] = mem_alloc(100 + i * i * 37);
    run(7, true, &second);
    for (size_t i = 0; i < 64; i++)
        mem_free(blocks[i]);
    ok(first.events > 1000, "something happened: %" PRIu64 " events", first.events);
    is_int(second.events, first.events, "as many events");
    ok(second.trace == first.trace, "the same sum");
}

int main(void)
{
    RUN(without_faults);
    RUN(with_faults);
    RUN(queues_of_a_group);
    RUN(same_seed_same_events);
    return done();
}
