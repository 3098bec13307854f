/* store_campaign [--seed N] [--runs N] [--crashes N] [--steps N] [--no-faults]: campaigns over
 * store and model, one line of figures at the end; the exit status is 1 when a promise was broken or
 * something was never met. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "campaign.h"

static uint64_t number(const char *text)
{
    return strtoull(text, NULL, 10);
}

static bool missed(const struct campaign_report *r)
{
    return !(r->confirms && r->settles && r->rolls && r->spills && r->checkpoints &&
             r->compactions && r->moved && r->retired && r->recycled && r->loads && r->reads &&
             r->paged && r->elided && r->marks && r->purges && r->dropped && r->clean_stops);
}

static void print(const struct campaign_report *r)
{
    printf("# published=%" PRIu64 " confirms=%" PRIu64 " settles=%" PRIu64 " elided=%" PRIu64
           " rolls=%" PRIu64 " recycled=%" PRIu64 " retired=%" PRIu64 " spills=%" PRIu64
           " loads=%" PRIu64 " paged=%" PRIu64 " reads=%" PRIu64 "\n",
           r->published, r->confirms, r->settles, r->elided, r->rolls, r->recycled, r->retired,
           r->spills, r->loads, r->paged, r->reads);
    printf("# checkpoints=%" PRIu64 " compactions=%" PRIu64 " moved=%" PRIu64 " marks=%" PRIu64
           " waits=%" PRIu64 " purges=%" PRIu64 " crashes=%" PRIu64 " clean=%" PRIu64
           " recovered=%" PRIu64 " failures=%" PRIu64 "\n",
           r->checkpoints, r->compactions, r->moved, r->marks, r->waits, r->purges, r->crashes,
           r->clean_stops, r->recovered, r->store_failures);
}

int main(int argc, char **argv)
{
    struct campaign_options options = {.seed = 1, .crashes = 20, .steps = 6000, .disk_faults = true};
    struct campaign_report report = {0};
    uint64_t runs = 20;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--no-faults") == 0)
            options.disk_faults = false;
        else if (strcmp(argv[i], "--lie") == 0)
            options.lie_files = true;
        else if (strcmp(argv[i], "--lie-folder") == 0)
            options.lie_folder = true;
        else if (i + 1 == argc)
            return 2;
        else if (strcmp(argv[i], "--seed") == 0)
            options.seed = number(argv[++i]);
        else if (strcmp(argv[i], "--runs") == 0)
            runs = number(argv[++i]);
        else if (strcmp(argv[i], "--crashes") == 0)
            options.crashes = number(argv[++i]);
        else if (strcmp(argv[i], "--steps") == 0)
            options.steps = number(argv[++i]);
        else
            return 2;
    }
    for (uint64_t run = 0; run < runs; run++, options.seed++) {
        options.segment_bytes = options.seed % 2 ? 8192 : 65536;
        options.checkpoint_bytes = options.seed % 3 ? 30000 : 300000;
        if (!campaign_run(&options, &report)) {
            print(&report);
            printf("not ok - seed %" PRIu64 ": %s\n", options.seed, report.fault);
            return 1;
        }
    }
    print(&report);
    printf("%s\n", missed(&report) ? "not ok - something was never met" : "ok");
    return missed(&report);
}
