/* Campaigns with fixed seeds: small and large segments, with and without calls that fail. Each must keep
 * the promises, and meet everything at least once. With SHARE=N one of N times as many. */
#include <inttypes.h>

#include "campaign.h"
#include "tests/lib/tap.h"

static bool met_all(const struct campaign_report *r)
{
    return r->confirms && r->settles && r->rolls && r->spills && r->checkpoints && r->compactions &&
           r->moved && r->retired && r->recycled && r->loads && r->reads && r->paged && r->elided &&
           r->marks && r->purges && r->dropped && r->clean_stops && r->crashes && r->recovered;
}

static void run(uint32_t segment_bytes, bool disk_faults)
{
    const uint64_t seeds = 6 / share() ? 6 / share() : 1;
    struct campaign_report report = {0};
    uint64_t kept = 0;
    for (uint64_t seed = 1; seed <= seeds; seed++) {
        struct campaign_options options = {.seed = seed + 100 * disk_faults + segment_bytes,
                                           .crashes = 12,
                                           .steps = 5000,
                                           .segment_bytes = segment_bytes,
                                           .checkpoint_bytes = seed % 2 ? 30000 : 300000,
                                           .disk_faults = disk_faults};
        if (campaign_run(&options, &report))
            kept++;
        else
            diag("seed %" PRIu64 ": %s", options.seed, report.fault);
        report.fault[0] = '\0';
    }
    is_int(kept, seeds, "segments of %u bytes, %s: promises kept", segment_bytes,
           disk_faults ? "a failing disk" : "a sound disk");
    ok(met_all(&report) && (!disk_faults || report.store_failures), "everything was met");
    diag("confirms=%" PRIu64 " settles=%" PRIu64 " rolls=%" PRIu64 " spills=%" PRIu64
         " checkpoints=%" PRIu64 " compactions=%" PRIu64 " crashes=%" PRIu64 " recovered=%" PRIu64,
         report.confirms, report.settles, report.rolls, report.spills, report.checkpoints,
         report.compactions, report.crashes, report.recovered);
}

TEST(small_segments)
{
    run(8192, false);
    run(8192, true);
}

TEST(large_segments)
{
    run(65536, false);
    run(65536, true);
}

int main(void)
{
    RUN(small_segments);
    RUN(large_segments);
    return done();
}
