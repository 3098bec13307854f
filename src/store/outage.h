/* Something fails for a while: no room, no descriptor, a disk that would not read. It is tried again
 * after a time that doubles, and told in two lines: one when it begins, one when it is over. */
#ifndef LEVERET_STORE_OUTAGE_H
#define LEVERET_STORE_OUTAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/log.h"

struct outage {
    enum event begins, ends;
    uint64_t since_ms;     /* 0: there is none */
    uint64_t retry_ms;     /* not before this again */
    uint64_t succeeded_ms; /* when it worked again; 0: it did not */
    uint64_t failures;
};

/* Times are those of the monotonic clock. */

void outage_init(struct outage *outage, enum event begins, enum event ends);
/* It failed, for this reason. */
void outage_fail(struct outage *outage, const struct log *log, uint64_t now_ms, const char *reason);
/* It worked. */
void outage_succeed(struct outage *outage, uint64_t now_ms);
/* May it be tried now? */
bool outage_allows(const struct outage *outage, uint64_t now_ms);
/* Tells the end of one that has worked for a second. */
void outage_tick(struct outage *outage, const struct log *log, uint64_t now_ms);
/* When there is something to do later than now: to try again, or to tell the end; UINT64_MAX: never. */
uint64_t outage_next_ms(const struct outage *outage, uint64_t now_ms);

#endif
