/* How long turns take: while the owner thread is in one, it serves nobody else. A turn lasts from when
 * the wait for events has ended to the next wait. */
#ifndef LEVERET_NET_TURNS_H
#define LEVERET_NET_TURNS_H

#include <stddef.h>

#include "base/log.h"
#include "base/steps.h"

enum { TURNS_BUCKETS = 32, TURNS_LIMITS = 4, TURNS_TEXT = 1100 };

/* The longest turn of some time. */
struct longest_turn {
    uint64_t us;
    const char *step; /* the one of its steps that took longest */
};

struct turns {
    struct steps steps; /* of the turn under way: for those who take part in it */
    /* Processor time of this thread, in microseconds. It is a system call, and therefore not asked
     * for in each turn. */
    uint64_t (*processor_us)(void);
    const struct log *log;
    uint64_t slow_us; /* turns from here on are logged; 0: none */
    uint64_t began_us;
    uint64_t asked_us; /* when processor_us was last called */
    uint64_t used_us;  /* what processor_us said then */
    uint64_t count;
    uint64_t total_us; /* of all */
    uint64_t buckets[TURNS_BUCKETS]; /* [n]: turns of less than 2^n us, and not of less than half of it */
    uint64_t over[TURNS_LIMITS];     /* turns of more than 1, 5, 20 and 50 ms */
    struct longest_turn longest;     /* of all turns */
    struct longest_turn recent;      /* since turns_text was last called */
    uint64_t logged_us;              /* when a slow one was last logged; 0: never */
    uint64_t unlogged;               /* slow ones since then */
};

/* `coarse_us` times the steps; both clocks count microseconds. `slow_ms`: see turns_end. */
void turns_init(struct turns *turns, uint64_t (*coarse_us)(void), uint64_t (*processor_us)(void),
                const struct log *log, uint64_t slow_ms);
/* The wait has ended, at `now_us` of a monotonic clock. */
void turns_begin(struct turns *turns, uint64_t now_us);
/* The turn has ended. One that took `slow_ms` or more is logged, one each second at most: its step that
 * took longest, and the processor time of this thread, which is less where the machine was busy with
 * something else (and up to 10 ms more, as it is that of turns just before as well). */
void turns_end(struct turns *turns, uint64_t now_us);
/* All figures as key=value, each after a space; `text` has room for TURNS_TEXT bytes. */
void turns_text(struct turns *turns, char *text);

#endif
