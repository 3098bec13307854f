/* simulate [--seed N] [--seeds N] [--seconds N] [--no-faults] [--verbose] [--dials]: simulations of
 * brokers with their disks and their clients, from one seed on. The first promise that is broken
 * ends it, with exit status 1 and the seed that shows it again. So does, at the end of a campaign
 * of a hundred seeds or more, whatever it never met: see met.def. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/sim/campaign.h"
#include "tests/sim/simulation.h"

static void print(const struct simulation_report *r)
{
    printf("# published=%" PRIu64 " confirmed=%" PRIu64 " refused=%" PRIu64 " returned=%" PRIu64
           " delivered=%" PRIu64 " redelivered=%" PRIu64 " acked=%" PRIu64 " rejected=%" PRIu64
           " requeued=%" PRIu64 " dead_lettered=%" PRIu64 "\n",
           r->published, r->confirmed, r->refused, r->returned, r->delivered, r->redelivered,
           r->acked, r->rejected, r->requeued, r->dead_lettered);
    printf("# commits=%" PRIu64 " rollbacks=%" PRIu64 " purges=%" PRIu64 " deletes=%" PRIu64
           " events=%" PRIu64 " turns=%" PRIu64 " trace=%016" PRIx64 "\n",
           r->commits, r->rollbacks, r->purges, r->deletes, r->events, r->turns, r->trace);
    printf("# met:");
#define MET(NAME, what, kind) printf(" %s=%" PRIu64, #NAME, r->met[MET_##NAME]);
#include "tests/sim/met.def"
#undef MET
    printf("\n");
}

/* Has a campaign tested what it says? */
static bool is_valid(const struct simulation_report *report, uint64_t seeds, bool has_faults)
{
    bool valid = true;
    if (seeds < CAMPAIGN_SEEDS)
        return true;
    enum { EVER = true, FAULT = false };
#define MET(NAME, what, kind)                                                                      \
    if (report->met[MET_##NAME] == 0 && (kind || has_faults)) {                                    \
        printf("not valid - %" PRIu64 " seeds never met: %s\n", seeds, what);                      \
        valid = false;                                                                             \
    }
#include "tests/sim/met.def"
#undef MET
    if (report->idle_runs * 20 > report->runs) {
        printf("not valid - %" PRIu64 " of %" PRIu64
               " runs had no confirm, no delivery or no checkpoint\n",
               report->idle_runs, report->runs);
        valid = false;
    }
    return valid;
}

static double processor_seconds(void)
{
    return (double)clock() / CLOCKS_PER_SEC;
}

static bool read_options(int argc, char **argv, struct simulation_options *options, uint64_t *seeds)
{
    uint64_t seconds = options->busy_ms / 1000;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--no-faults") == 0)
            options->has_faults = false;
        else if (strcmp(argv[i], "--agree") == 0)
            options->agrees = true;
        else if (strcmp(argv[i], "--verbose") == 0)
            options->verbose = options->shows_dials = true;
        else if (strcmp(argv[i], "--dials") == 0)
            options->shows_dials = true;
        else if (campaign_number(argv[i], "--seed", argv[i + 1], &options->seed) ||
                 campaign_number(argv[i], "--seeds", argv[i + 1], seeds) ||
                 campaign_number(argv[i], "--seconds", argv[i + 1], &seconds))
            i++;
        else
            return false;
    }
    options->busy_ms = seconds * 1000;
    return true;
}

int main(int argc, char **argv)
{
    struct simulation_options options = {.seed = 1, .busy_ms = 5000, .has_faults = true};
    struct simulation_report report = {0};
    uint64_t seeds = 1;
    if (!read_options(argc, argv, &options, &seeds)) {
        fprintf(stderr,
                "usage: simulate [--seed N] [--seeds N] [--seconds N] [--no-faults] [--verbose] "
                "[--dials]\n");
        return 2;
    }
    for (uint64_t i = 0; i < seeds; i++, options.seed++) {
        if (simulation_run(&options, &report))
            continue;
        print(&report);
        if (!options.shows_dials)
            simulation_dials(&options);
        printf("# %.1f seconds of a processor\n", processor_seconds());
        printf("not ok - seed %" PRIu64 ": %s\n", options.seed, report.fault);
        return 1;
    }
    print(&report);
    if (!is_valid(&report, seeds, options.has_faults))
        return 1;
    double hours = (double)report.simulated_ms / 3600000;
    printf("ok - %" PRIu64
           " seeds, %.2f simulated hours (%.2f of them busy), %.0f (%.0f) for each hour "
           "of a processor\n",
           seeds, hours, (double)report.busy_ms / 3600000, hours / (processor_seconds() / 3600),
           (double)report.busy_ms / 1000 / processor_seconds());
    return 0;
}
