#include "store/outage.h"

enum { FIRST_MS = 100, LONGEST_MS = 2000, QUIET_MS = 1000 };

void outage_init(struct outage *outage, enum event begins, enum event ends)
{
    *outage = (struct outage){.begins = begins, .ends = ends};
}

/* As long as it has lasted already, which doubles it. */
static uint64_t next_delay(const struct outage *outage, uint64_t now_ms)
{
    uint64_t past = now_ms - outage->since_ms;
    if (past < FIRST_MS)
        return FIRST_MS;
    return past < LONGEST_MS ? past : LONGEST_MS;
}

void outage_fail(struct outage *outage, const struct log *log, uint64_t now_ms, const char *reason)
{
    if (!outage->since_ms) {
        log_event(log, outage->begins, "reason=%s", reason);
        outage->since_ms = outage->retry_ms = now_ms;
        outage->failures = 0;
    }
    outage->failures++;
    outage->succeeded_ms = 0;
    if (now_ms >= outage->retry_ms) /* several may fail at once */
        outage->retry_ms = now_ms + next_delay(outage, now_ms);
}

void outage_succeed(struct outage *outage, uint64_t now_ms)
{
    if (outage->since_ms && !outage->succeeded_ms) {
        outage->succeeded_ms = now_ms;
        outage->retry_ms = now_ms;
    }
}

bool outage_allows(const struct outage *outage, uint64_t now_ms)
{
    return !outage->since_ms || now_ms >= outage->retry_ms;
}

void outage_tick(struct outage *outage, const struct log *log, uint64_t now_ms)
{
    if (!outage->succeeded_ms || now_ms - outage->succeeded_ms < QUIET_MS)
        return;
    log_event(log, outage->ends, "failures=%llu ms=%llu", (unsigned long long)outage->failures,
              (unsigned long long)(outage->succeeded_ms - outage->since_ms));
    outage->since_ms = outage->succeeded_ms = 0;
}

uint64_t outage_next_ms(const struct outage *outage, uint64_t now_ms)
{
    if (!outage->since_ms)
        return UINT64_MAX;
    if (outage->succeeded_ms)
        return outage->succeeded_ms + QUIET_MS;
    return outage->retry_ms > now_ms ? outage->retry_ms : UINT64_MAX;
}
