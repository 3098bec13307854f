/* What some counters of one thing were in the last hour: every 5 seconds for 10 minutes, and every
 * minute before. Clocks are handed in, in ms; what is asked for is answered by the last sample
 * before.
 *
 * The latest sample and its rates take little memory, and are always there; the samples before take
 * about a hundred times as much, and are kept from a budget that all share. */
#ifndef LEVERET_API_HISTORY_H
#define LEVERET_API_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"

enum {
    HISTORY_STEP_MS = 5000,
    HISTORY_LONG_MS = 60000,
    HISTORY_SHORT = 121, /* samples of each kind */
    HISTORY_LONG = 64,
    HISTORY_COUNTERS_MAX = 24,
};

/* How much may be kept, and is: bytes; and how far samples are apart. */
struct history_budget {
    size_t max, used;
    uint32_t step_ms; /* 0: HISTORY_STEP_MS */
};

struct history_ring;

struct history {
    struct history_ring *ring; /* NULL: nothing but the latest sample */
    uint64_t begun_ms;         /* of the first sample; 0: there is none */
    uint64_t at_ms;            /* of the latest one */
    uint64_t changed_ms;       /* of the last one that was other than the one before */
    uint32_t count;            /* counters */
    uint32_t mark;             /* the caller's */
    uint64_t number;           /* the caller's */
    struct list link;          /* the caller's */
    struct {
        uint64_t now;
        float rate; /* how much it changed in a second, between the last two samples */
    } counters[];
};

/* Of so many counters, without a sample. */
struct history *history_new(uint32_t count);
void history_free(struct history *history, struct history_budget *budget);
/* A sample at `at_ms`, which is later than all before. From the second one that is other than the
 * one before on, what goes before is kept, if the budget has room, until nothing has changed for an
 * hour. */
void history_add(struct history *history, uint64_t at_ms, const uint64_t *values,
                 struct history_budget *budget);
/* It begins with its latest sample, whose rates are 0: what was before is not known any more. */
void history_forget(struct history *history, struct history_budget *budget);
/* What a counter was then. Before the first sample: what that was. */
uint64_t history_at(const struct history *history, uint32_t counter, uint64_t at_ms);

#endif
