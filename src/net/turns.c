#include "net/turns.h"

#include <stdio.h>
#include <string.h>

enum { ASK_US = 10000, LOG_EVERY_US = 1000000 };

static const struct {
    uint64_t us;
    const char *name;
} limits[TURNS_LIMITS] = {{1000, "over_1ms"},
                          {5000, "over_5ms"},
                          {20000, "over_20ms"},
                          {50000, "over_50ms"}};

void turns_init(struct turns *turns, uint64_t (*coarse_us)(void), uint64_t (*processor_us)(void),
                const struct log *log, uint64_t slow_ms)
{
    memset(turns, 0, sizeof(*turns));
    turns->steps.clock_us = coarse_us;
    turns->processor_us = processor_us;
    turns->log = log;
    turns->slow_us = slow_ms * 1000;
    turns->longest.step = turns->recent.step = "none";
}

static void ask(struct turns *turns, uint64_t now_us)
{
    turns->asked_us = now_us;
    turns->used_us = turns->processor_us();
}

void turns_begin(struct turns *turns, uint64_t now_us)
{
    turns->began_us = now_us;
    steps_begin(&turns->steps, "input");
    if (turns->slow_us && now_us - turns->asked_us >= ASK_US)
        ask(turns, now_us);
}

static void log_slow(struct turns *turns, uint64_t now_us, uint64_t us)
{
    uint64_t used_us = turns->used_us;
    /* By the coarser clock a step may seem longer than its turn. */
    uint64_t step_us = turns->steps.longest_us < us ? turns->steps.longest_us : us;
    ask(turns, now_us);
    if (turns->logged_us && now_us - turns->logged_us < LOG_EVERY_US) {
        turns->unlogged++;
        return;
    }
    log_event(turns->log, EVENT_slow_turn,
              "ms=%llu processor_ms=%llu step=%s step_ms=%llu unlogged=%llu",
              (unsigned long long)us / 1000, (unsigned long long)(turns->used_us - used_us) / 1000,
              turns->steps.longest, (unsigned long long)step_us / 1000,
              (unsigned long long)turns->unlogged);
    turns->logged_us = now_us;
    turns->unlogged = 0;
}

static void note_longest(struct longest_turn *longest, uint64_t us, const char *step)
{
    if (us > longest->us)
        *longest = (struct longest_turn){us, step};
}

static unsigned bucket_of(uint64_t us)
{
    unsigned bucket = us ? 64 - (unsigned)__builtin_clzll(us) : 0;
    return bucket < TURNS_BUCKETS ? bucket : TURNS_BUCKETS - 1;
}

void turns_end(struct turns *turns, uint64_t now_us)
{
    uint64_t us = now_us - turns->began_us;
    turns->count++;
    turns->total_us += us;
    turns->buckets[bucket_of(us)]++;
    for (size_t i = 0; i < TURNS_LIMITS && us > limits[i].us; i++)
        turns->over[i]++;
    if (us <= turns->recent.us && (!turns->slow_us || us < turns->slow_us))
        return;
    steps_next(&turns->steps, "wait");
    note_longest(&turns->longest, us, turns->steps.longest);
    note_longest(&turns->recent, us, turns->steps.longest);
    if (turns->slow_us && us >= turns->slow_us)
        log_slow(turns, now_us, us);
}

/* What so many of a thousand turns were shorter than. */
static uint64_t below(const struct turns *turns, uint64_t share)
{
    uint64_t count = 0;
    for (unsigned i = 0; i < TURNS_BUCKETS; i++) {
        count += turns->buckets[i];
        if (count * 1000 >= turns->count * share)
            return (uint64_t)1 << i;
    }
    return 0;
}

static size_t add(char *text, size_t size, const char *name, uint64_t value)
{
    return size + (size_t)snprintf(text + size, TURNS_TEXT - size, " %s=%llu", name,
                                   (unsigned long long)value);
}

static size_t add_longest(char *text, size_t size, const char *which,
                          const struct longest_turn *longest)
{
    return size + (size_t)snprintf(text + size, TURNS_TEXT - size, " %s_us=%llu %s_step=%s", which,
                                   (unsigned long long)longest->us, which, longest->step);
}

void turns_text(struct turns *turns, char *text)
{
    size_t size = add(text, 0, "turns", turns->count);
    size = add(text, size, "p50_us", turns->count ? below(turns, 500) : 0);
    size = add(text, size, "p99_us", turns->count ? below(turns, 990) : 0);
    size = add_longest(text, size, "longest", &turns->longest);
    size = add_longest(text, size, "recent", &turns->recent);
    for (size_t i = 0; i < TURNS_LIMITS; i++)
        size = add(text, size, limits[i].name, turns->over[i]);
    unsigned last = TURNS_BUCKETS - 1;
    while (last && !turns->buckets[last])
        last--;
    for (unsigned i = 0; i <= last; i++)
        size += (size_t)snprintf(text + size, TURNS_TEXT - size, "%s%llu",
                                 i ? "," : " log2_us=", (unsigned long long)turns->buckets[i]);
    turns->recent = (struct longest_turn){0, "none"};
}
