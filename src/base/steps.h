/* What a turn of the loop is busy with: whoever does something that may take long names it, and the
 * step that took longest is known in the end. The clock is handed in, and may be a coarse one: only
 * steps of many milliseconds matter. */
#ifndef LEVERET_BASE_STEPS_H
#define LEVERET_BASE_STEPS_H

#include <stdint.h>

struct steps {
    uint64_t (*clock_us)(void);
    const char *now;     /* the step under way: a constant text without spaces */
    uint64_t since_us;   /* when it began */
    const char *longest; /* of those that have ended since steps_begin; never NULL then */
    uint64_t longest_us;
};

/* The first step of a turn. */
static inline void steps_begin(struct steps *steps, const char *first)
{
    steps->now = steps->longest = first;
    steps->since_us = steps->clock_us();
    steps->longest_us = 0;
}

/* The next step begins, and with that the one before ends. NULL for `steps`: nobody asks. */
static inline void steps_next(struct steps *steps, const char *name)
{
    if (!steps)
        return;
    uint64_t now_us = steps->clock_us();
    if (now_us - steps->since_us > steps->longest_us) {
        steps->longest_us = now_us - steps->since_us;
        steps->longest = steps->now;
    }
    steps->now = name;
    steps->since_us = now_us;
}

#endif
