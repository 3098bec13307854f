/* A simulator's program: its options, one run after another, each with its own seed, and what all of them have met.
 *
 *     PROGRAM [--seed N] [--seeds N] [--seconds N] [--verbose]
 *
 * The first promise that is broken ends it, with exit status 1 and the seed that shows it again; so does, at the
 * end of a campaign of a hundred seeds or more, whatever it never met. */
#ifndef LEVERET_TESTS_SIM_CAMPAIGN_H
#define LEVERET_TESTS_SIM_CAMPAIGN_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CAMPAIGN_SEEDS = 100 }; /* so many have to meet everything */

struct campaign_report {
    char fault[400]; /* what was broken */
    uint64_t runs, idle_runs, simulated_ms;
};

/* Something that is counted. */
struct campaign_met {
    const char *name, *what; /* what: NULL when a campaign need not meet it */
    const uint64_t *count;
};

/* A row of met.def, whose MET is this, and whose counts lie in `report`. */
#define CAMPAIGN_MET(NAME, what) {#NAME, what, &report.NAME},

struct campaign {
    const char *program;
    const char *idle; /* what idle runs did; not more than one in twenty may be idle */
    uint64_t seconds; /* that each run is, unless it is told */
    /* One run from a seed, for so long, and then healed. False: the report says what was broken. */
    bool (*run)(uint64_t seed, uint64_t busy_ms, bool verbose, void *report);
    void (*print)(void *report); /* what else there is to tell; NULL: nothing */
    const struct campaign_met *met;
    size_t met_count;
};

/* The program's exit status. The report is what `run` and `print` get, and begins with a campaign_report. */
int campaign_main(const struct campaign *campaign, void *report, int argc, char **argv);
/* An option and its value. False: it is another one, or the value is no number. */
bool campaign_number(const char *name, const char *option, const char *value, uint64_t *number);
/* A line of what happens, for who asked for it. */
void campaign_say(uint64_t now_ms, const char *format, va_list arguments) __attribute__((format(printf, 2, 0)));

#endif
