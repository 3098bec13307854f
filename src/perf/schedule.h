/* When messages are due: a rate, or rates that take turns. Time and messages both count from 0, at
 * the start of the run. */
#ifndef LEVERET_PERF_SCHEDULE_H
#define LEVERET_PERF_SCHEDULE_H

#include <stdbool.h>
#include <stdint.h>

enum { SCHEDULE_STEPS_MAX = 64 };

struct schedule {
    unsigned count; /* of steps; 0: as fast as possible */
    struct {
        double rate;    /* messages a second */
        double seconds; /* 0: for ever (the only step) */
    } steps[SCHEDULE_STEPS_MAX];
};

/* Where somebody is in a schedule; moves on only. */
struct schedule_walk {
    const struct schedule *schedule;
    unsigned step;
    double begins_s; /* of this step */
    double before;   /* messages due until then */
};

/* Reads "1000", or "1000:5,200:0.5": rate, and seconds that it lasts, over and over. */
bool schedule_read(const char *text, struct schedule *schedule);
void schedule_start(struct schedule_walk *walk, const struct schedule *schedule);
/* When message `number` is due, in ns since the start. Numbers must not become smaller. */
uint64_t schedule_due_ns(struct schedule_walk *walk, double number);
/* Messages due in the first `seconds`. */
double schedule_total(const struct schedule *schedule, double seconds);

#endif
