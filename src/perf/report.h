/* What came out, for people and for programs. */
#ifndef LEVERET_PERF_REPORT_H
#define LEVERET_PERF_REPORT_H

#include "perf/load.h"

/* One figure of a result, under a name that is also its key in JSON. */
struct figure {
    const char *part;  /* of the run: "fill"; "" for all of it */
    const char *name;  /* "published_per_s" */
    const char *label; /* "published a second" */
    double value;
    const char *unit; /* "", "us", "ms", "MiB", ... */
    int digits;       /* after the point */
};

enum { FIGURES_MAX = 96, REPORT_PROBLEMS_MAX = 2 * LOAD_PROBLEMS_MAX };

struct report {
    const char *part; /* what is added next is about this part; NULL: about all */
    struct figure figures[FIGURES_MAX];
    unsigned figure_count;
    unsigned problem_count;
    const char *problems[REPORT_PROBLEMS_MAX]; /* borrowed */
    bool saturated;
};

/* Name, label and unit must outlive the report. */
void report_add(struct report *report, const char *name, const char *label, double value,
                const char *unit, int digits);
/* The times of the rounds of a churn. */
void report_add_rounds(struct report *report, const struct histogram *histogram);
/* All that a load has to tell; borrows its problems. */
void report_add_load(struct report *report, const struct options *options,
                     const struct load_result *result);
/* Only its problems, and whether the generator was saturated. */
void report_add_verdict(struct report *report, const struct load_result *result);
/* Prints a table, or JSON. */
void report_print(const struct report *report, const struct options *options, FILE *out);

#endif
