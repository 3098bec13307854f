/* simulate_group: groups of members that agree on a log, from one seed on (campaign.h). */
#include <stdio.h>
#include <stdlib.h>

#include "tests/sim/engine/group.h"

static int by_size(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static void print_outages(const char *what, uint32_t *times, size_t count)
{
    if (!count)
        return;
    qsort(times, count, sizeof(*times), by_size);
    printf("# from %s to the next commit, in ms: half %u, 9 in 10 %u, 99 in 100 %u (of %zu)\n",
           what, times[count / 2], times[count * 9 / 10], times[count * 99 / 100], count);
}

static void print(void *context)
{
    struct group_report *report = context;
    print_outages("the kill of a leader", report->killed_ms, report->killed_count);
    print_outages("a leader's silence", report->silent_ms, report->silent_count);
}

int main(int argc, char **argv)
{
    static struct group_report report;
    static const struct campaign_met met[] = {
#define MET CAMPAIGN_MET
#include "tests/sim/engine/met.def"
#undef MET
        {"events", NULL, &report.events},
    };
    static const struct campaign campaign = {.program = "simulate_group",
                                             .idle = "agreed on next to nothing",
                                             .seconds = 30,
                                             .run = group_run,
                                             .print = print,
                                             .met = met,
                                             .met_count = sizeof(met) / sizeof(met[0])};
    return campaign_main(&campaign, &report, argc, argv);
}
