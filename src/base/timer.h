/* Deadlines in order: a binary heap of timers that lie inside the objects they belong to. Times are
 * milliseconds of the caller's monotonic clock. Expired timers are taken, not called back. */
#ifndef LEVERET_BASE_TIMER_H
#define LEVERET_BASE_TIMER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct timer {
    uint64_t at_ms;
    size_t place; /* 1 + position in the heap; 0: not set */
    int kind;     /* the owner's, to tell its timers apart */
};

struct timers {
    struct timer **heap;
    size_t count;
    size_t capacity;
};

void timers_free(struct timers *timers);
/* Sets the timer, or moves it to a new time. */
void timer_set(struct timers *timers, struct timer *timer, uint64_t at_ms);
/* Harmless when it is not set. */
void timer_cancel(struct timers *timers, struct timer *timer);
/* Takes one timer that is due at `now_ms`, the earliest first; NULL when none is. */
struct timer *timers_expired(struct timers *timers, uint64_t now_ms);
/* When the next one is due; UINT64_MAX when there is none. */
uint64_t timers_next_ms(const struct timers *timers);

/* Of two moments; UINT64_MAX is the one that never comes. */
static inline uint64_t earlier(uint64_t one_ms, uint64_t other_ms)
{
    return one_ms < other_ms ? one_ms : other_ms;
}

#endif
