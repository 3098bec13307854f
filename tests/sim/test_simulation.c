/* Simulations from fixed seeds: every promise is kept, with faults and without, everything that a
 * simulation can do was done, and a seed gives the same events each time. */
#include <inttypes.h>

#include "tests/lib/tap.h"
#include "tests/sim/simulation.h"

static bool run(uint64_t seed, bool has_faults, struct simulation_report *report)
{
    struct simulation_options options = {.seed = seed, .busy_ms = 3000, .has_faults = has_faults};
    if (simulation_run(&options, report))
        return true;
    diag("seed %" PRIu64 ": %s", seed, report->fault);
    return false;
}

TEST(without_faults)
{
    struct simulation_report report = {0};
    for (uint64_t seed = 1; seed <= 4; seed++)
        ok(run(seed, false, &report), "seed %" PRIu64, seed);
    ok(report.redelivered && report.returned && report.dead_lettered && report.commits &&
           report.rollbacks && report.gets && report.requeued,
       "everything was met");
}

TEST(with_faults)
{
    struct simulation_report report = {0};
    for (uint64_t seed = 1; seed <= 16; seed++)
        ok(run(seed, true, &report), "seed %" PRIu64, seed);
    ok(report.kills && report.power_cuts && report.clean_stops && report.disk_errors &&
           report.full_disks && report.vanished && report.slow_clients && report.clock_jumps &&
           report.purges && report.deletes,
       "every fault was met");
}

TEST(same_seed_same_events)
{
    struct simulation_report first = {0}, second = {0};
    run(7, true, &first);
    run(7, true, &second);
    ok(first.events > 1000, "something happened: %" PRIu64 " events", first.events);
    is_int(second.events, first.events, "as many events");
    ok(second.trace == first.trace, "the same sum");
}

int main(void)
{
    RUN(without_faults);
    RUN(with_faults);
    RUN(same_seed_same_events);
    return done();
}
