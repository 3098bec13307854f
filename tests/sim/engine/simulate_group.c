/* simulate_group [--seed N] [--seeds N] [--seconds N] [--verbose]: groups of members that agree on
 * a log, from one seed on. The first promise that is broken ends it, with exit status 1 and the
 * seed that shows it again; so does, at the end of a campaign of a hundred seeds or more, whatever
 * it never met (met.def). */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/sim/engine/group.h"

enum { CAMPAIGN_SEEDS = 100 };

static bool read_number(const char *name, const char *option, const char *value, uint64_t *number)
{
    char *end;
    if (strcmp(name, option) != 0 || !value)
        return false;
    *number = strtoull(value, &end, 10);
    return *value && !*end;
}

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

static void print(struct group_report *report)
{
    printf("# met:");
#define MET(NAME, what) printf(" %s=%" PRIu64, #NAME, report->NAME);
#include "tests/sim/engine/met.def"
#undef MET
    printf(" events=%" PRIu64 " idle_runs=%" PRIu64 "\n", report->events, report->idle_runs);
    print_outages("the kill of a leader", report->killed_ms, report->killed_count);
    print_outages("a leader's silence", report->silent_ms, report->silent_count);
}

static bool is_valid(const struct group_report *report, uint64_t seeds)
{
    bool valid = true;
    if (seeds < CAMPAIGN_SEEDS)
        return true;
#define MET(NAME, what)                                                                            \
    if (report->NAME == 0) {                                                                       \
        printf("not valid - %" PRIu64 " seeds never met: %s\n", seeds, what);                      \
        valid = false;                                                                             \
    }
#include "tests/sim/engine/met.def"
#undef MET
    if (report->idle_runs * 20 > report->runs) {
        printf("not valid - %" PRIu64 " of %" PRIu64 " runs agreed on next to nothing\n",
               report->idle_runs, report->runs);
        valid = false;
    }
    return valid;
}

int main(int argc, char **argv)
{
    static struct group_report report;
    uint64_t seed = 1, seeds = 1, seconds = 30;
    bool verbose = false;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--verbose") == 0) {
            verbose = true;
        } else if (read_number(argv[i], "--seed", argv[i + 1], &seed) ||
                   read_number(argv[i], "--seeds", argv[i + 1], &seeds) ||
                   read_number(argv[i], "--seconds", argv[i + 1], &seconds)) {
            i++;
        } else {
            fprintf(stderr,
                    "usage: simulate_group [--seed N] [--seeds N] [--seconds N] [--verbose]\n");
            return 2;
        }
    }
    for (uint64_t i = 0; i < seeds; i++, seed++) {
        if (group_run(seed, seconds * 1000, verbose, &report))
            continue;
        print(&report);
        printf("# %.1f seconds of a processor\n", (double)clock() / CLOCKS_PER_SEC);
        printf("not ok - seed %" PRIu64 ": %s\n", seed, report.fault);
        return 1;
    }
    print(&report);
    if (!is_valid(&report, seeds))
        return 1;
    double hours = (double)report.simulated_ms / 3600000, spent = (double)clock() / CLOCKS_PER_SEC;
    printf("ok - %" PRIu64 " seeds, %.2f simulated hours, %.0f for each hour of a processor\n",
           seeds, hours, hours / (spent / 3600));
    return 0;
}
