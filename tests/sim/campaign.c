/* Campaigns of simulators. */
#include "tests/sim/campaign.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct options {
    uint64_t seed, seeds, seconds;
    bool verbose;
};

bool campaign_number(const char *name, const char *option, const char *value, uint64_t *number)
{
    char *end;
    if (strcmp(name, option) != 0 || !value)
        return false;
    *number = strtoull(value, &end, 10);
    return *value && !*end;
}

void campaign_say(uint64_t now_ms, const char *format, va_list arguments)
{
    printf("# %8" PRIu64 " ", now_ms);
    vprintf(format, arguments);
    printf("\n");
}

static bool read_options(int argc, char **argv, struct options *options)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--verbose") == 0)
            options->verbose = true;
        else if (campaign_number(argv[i], "--seed", argv[i + 1], &options->seed) ||
                 campaign_number(argv[i], "--seeds", argv[i + 1], &options->seeds) ||
                 campaign_number(argv[i], "--seconds", argv[i + 1], &options->seconds))
            i++;
        else
            return false;
    }
    return true;
}

static void print(const struct campaign *campaign, void *report)
{
    const struct campaign_report *all = report;
    printf("# met:");
    for (size_t i = 0; i < campaign->met_count; i++)
        printf(" %s=%" PRIu64, campaign->met[i].name, *campaign->met[i].count);
    printf(" idle_runs=%" PRIu64 "\n", all->idle_runs);
    if (campaign->print)
        campaign->print(report);
}

/* Has a campaign tested what it says? */
static bool is_valid(const struct campaign *campaign, const struct campaign_report *report, uint64_t seeds)
{
    bool valid = true;
    if (seeds < CAMPAIGN_SEEDS)
        return true;
    for (size_t i = 0; i < campaign->met_count; i++) {
        const struct campaign_met *met = &campaign->met[i];
        if (!met->what || *met->count)
            continue;
        printf("not valid - %" PRIu64 " seeds never met: %s\n", seeds, met->what);
        valid = false;
    }
    if (report->idle_runs * 20 > report->runs) {
        printf("not valid - %" PRIu64 " of %" PRIu64 " runs %s\n", report->idle_runs, report->runs, campaign->idle);
        valid = false;
    }
    return valid;
}

static double processor_seconds(void)
{
    return (double)clock() / CLOCKS_PER_SEC;
}

int campaign_main(const struct campaign *campaign, void *report, int argc, char **argv)
{
    const struct campaign_report *all = report;
    struct options options = {.seed = 1, .seeds = 1, .seconds = campaign->seconds};
    if (!read_options(argc, argv, &options)) {
        fprintf(stderr, "usage: %s [--seed N] [--seeds N] [--seconds N] [--verbose]\n", campaign->program);
        return 2;
    }
    for (uint64_t i = 0, seed = options.seed; i < options.seeds; i++, seed++) {
        if (campaign->run(seed, options.seconds * 1000, options.verbose, report))
            continue;
        print(campaign, report);
        printf("# %.1f seconds of a processor\n", processor_seconds());
        printf("not ok - seed %" PRIu64 ": %s\n", seed, all->fault);
        return 1;
    }
    print(campaign, report);
    if (!is_valid(campaign, all, options.seeds))
        return 1;
    double hours = (double)all->simulated_ms / 3600000;
    printf("ok - %" PRIu64 " seeds, %.2f simulated hours, %.0f for each hour of a processor\n", options.seeds, hours,
           hours / (processor_seconds() / 3600));
    return 0;
}
