/* simulate [--seed N] [--seeds N] [--seconds N] [--no-faults] [--verbose]: simulations of a broker
 * with its disk and its clients, from one seed on. The first promise that is broken ends it, with
 * exit status 1 and the seed that shows it again. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/sim/simulation.h"

static void print(const struct simulation_report *r)
{
    printf("# published=%" PRIu64 " confirmed=%" PRIu64 " refused=%" PRIu64 " returned=%" PRIu64
           " delivered=%" PRIu64 " redelivered=%" PRIu64 " acked=%" PRIu64 " rejected=%" PRIu64
           " requeued=%" PRIu64 " dead_lettered=%" PRIu64 "\n",
           r->published, r->confirmed, r->refused, r->returned, r->delivered, r->redelivered,
           r->acked, r->rejected, r->requeued, r->dead_lettered);
    printf("# commits=%" PRIu64 " rollbacks=%" PRIu64 " purges=%" PRIu64 " deletes=%" PRIu64
           " gets=%" PRIu64 " kills=%" PRIu64 " power_cuts=%" PRIu64 " clean_stops=%" PRIu64
           " disk_errors=%" PRIu64 " full_disks=%" PRIu64 "\n",
           r->commits, r->rollbacks, r->purges, r->deletes, r->gets, r->kills, r->power_cuts,
           r->clean_stops, r->disk_errors, r->full_disks);
    printf("# vanished=%" PRIu64 " slow_clients=%" PRIu64 " blocked=%" PRIu64
           " clock_jumps=%" PRIu64 " events=%" PRIu64 " turns=%" PRIu64 " trace=%016" PRIx64 "\n",
           r->vanished, r->slow_clients, r->blocked, r->clock_jumps, r->events, r->turns, r->trace);
}

static double processor_seconds(void)
{
    return (double)clock() / CLOCKS_PER_SEC;
}

int main(int argc, char **argv)
{
    struct simulation_options options = {.seed = 1, .busy_ms = 20000, .has_faults = true};
    struct simulation_report report = {0};
    uint64_t seeds = 1;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--no-faults") == 0)
            options.has_faults = false;
        else if (strcmp(argv[i], "--verbose") == 0)
            options.verbose = true;
        else if (i + 1 == argc)
            return 2;
        else if (strcmp(argv[i], "--seed") == 0)
            options.seed = strtoull(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--seeds") == 0)
            seeds = strtoull(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--seconds") == 0)
            options.busy_ms = strtoull(argv[++i], NULL, 10) * 1000;
        else
            return 2;
    }
    for (uint64_t i = 0; i < seeds; i++, options.seed++) {
        if (simulation_run(&options, &report))
            continue;
        print(&report);
        printf("not ok - seed %" PRIu64 ": %s\n", options.seed, report.fault);
        return 1;
    }
    print(&report);
    double hours = (double)report.simulated_ms / 3600000;
    printf("ok - %" PRIu64 " seeds, %.2f simulated hours, %.0f for each hour of a processor\n",
           seeds, hours, hours / (processor_seconds() / 3600));
    return 0;
}
