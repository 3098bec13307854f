/* Which published messages have been confirmed: a window of delivery tags, from the lowest that is
 * not confirmed to the last that was published. */
#ifndef LEVERET_PERF_CONFIRMS_H
#define LEVERET_PERF_CONFIRMS_H

#include <stdbool.h>

#include "perf/histogram.h"

struct confirms {
    uint64_t base; /* the lowest tag that is not confirmed */
    uint64_t next; /* the tag of the next publish */
    uint64_t open; /* published and not confirmed */
    uint64_t mask;
    uint64_t *sent_ns; /* by tag & mask; 0: confirmed */
};

/* For at most `window` outstanding messages. */
void confirms_init(struct confirms *confirms, uint32_t window);
void confirms_free(struct confirms *confirms);
/* A new channel: tags begin with 1 again, and nothing is outstanding. */
void confirms_restart(struct confirms *confirms);
/* The next tag was published then (not 0). There must be room: open < window, and the span from
 * base to next is bounded by confirms_room. */
static inline void confirms_sent(struct confirms *confirms, uint64_t now_ns)
{
    confirms->sent_ns[confirms->next++ & confirms->mask] = now_ns;
    confirms->open++;
}
/* How many more may be published: confirms may come in any order, so that the span of tags as well
 * as their number is bounded. */
static inline uint64_t confirms_room(const struct confirms *confirms, uint64_t window)
{
    uint64_t span = confirms->mask + 1 - (confirms->next - confirms->base);
    uint64_t left = window > confirms->open ? window - confirms->open : 0;
    return left < span ? left : span;
}
/* An ack or nack; returns how many messages it settled, and counts their times when `times` is not
 * NULL. UINT64_MAX: that tag was never published. */
uint64_t confirms_settle(struct confirms *confirms, uint64_t tag, bool multiple, uint64_t now_ns,
                         struct histogram *times);

#endif
