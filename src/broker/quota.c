#include "broker/quota.h"

#include <assert.h>
#include <stdio.h>

#include "base/mem.h"
#include "base/planted.h"

/* A bucket holds thousandths, so that a rate, which is for a second, is what comes in a
 * millisecond. */
enum { PARTS = 1000, EASED = 20 };

static const char *const names[QUOTA_KINDS] = {
    [QUOTA_MESSAGES] = "max-messages",
    [QUOTA_BYTES] = "max-message-bytes",
    [QUOTA_RATE] = "max-publish-rate",
    [QUOTA_BYTES_RATE] = "max-publish-bytes-rate",
};

const char *quota_name(enum quota_kind kind)
{
    return names[kind];
}

const char *quota_names(bool of_user, char text[QUOTA_NAMES_SIZE])
{
    size_t used = 0;
    for (int kind = quota_first(of_user); kind < QUOTA_KINDS; kind++)
        used += (size_t)snprintf(text + used, QUOTA_NAMES_SIZE - used, "%s%s",
                                 kind == QUOTA_KINDS - 1 ? " or " : ", ", names[kind]);
    assert(used < QUOTA_NAMES_SIZE);
    return text;
}

bool quota_find(struct bytes name, bool of_user, enum quota_kind *kind)
{
    for (int at = quota_first(of_user); at < QUOTA_KINDS; at++) {
        *kind = (enum quota_kind)at;
        if (bytes_equal_str(name, names[at]))
            return true;
    }
    return false;
}

void quota_limit(struct quota_limits *limits, enum quota_kind kind, uint64_t most)
{
    assert(most <= QUOTA_MOST);
    limits->set |= (uint8_t)(1u << kind);
    limits->most[kind] = most;
}

void quota_unlimit(struct quota_limits *limits, enum quota_kind kind)
{
    limits->set &= (uint8_t)~(1u << kind);
    limits->most[kind] = 0;
}

static bool has(uint8_t bits, int kind)
{
    return bits >> kind & 1;
}

static void mark(uint8_t *bits, int kind, bool is_set)
{
    *bits = (uint8_t)((*bits & ~(1u << kind)) | (unsigned)is_set << kind);
}

/* ---- buckets ---- */

static uint64_t now_of(const struct quota *quota)
{
    return quota->broker->queues.now_ms;
}

static int64_t full(const struct quota *quota, int kind)
{
    return (int64_t)(quota->limits.most[kind] * PARTS);
}

/* What is in the bucket now. */
static int64_t level_of(const struct quota *quota, int kind)
{
    uint64_t rate = quota->limits.most[kind], passed_ms = now_of(quota) - quota->level_ms;
    int64_t level = quota->level[kind - QUOTA_RATE], most = full(quota, kind);
    if (level >= most || planted(PLANTED_QUOTA_FULL_AGAIN))
        return most;
    uint64_t missing = (uint64_t)most - (uint64_t)level;
    if (rate && passed_ms > missing / rate)
        return most;
    return level + (int64_t)(rate * passed_ms);
}

static void fill(struct quota *quota)
{
    if (quota->level_ms == now_of(quota))
        return;
    for (int kind = QUOTA_RATE; kind < QUOTA_KINDS; kind++)
        quota->level[kind - QUOTA_RATE] = has(quota->limits.set, kind) ? level_of(quota, kind) : 0;
    quota->level_ms = now_of(quota);
}

/* How long until so much is in it. */
static uint64_t time_until(const struct quota *quota, int kind, int64_t wanted)
{
    int64_t level = quota->level[kind - QUOTA_RATE];
    uint64_t rate = quota->limits.most[kind];
    if (rate == 0)
        return UINT64_MAX;
    if (level >= wanted)
        return 0;
    uint64_t missing = (uint64_t)wanted - (uint64_t)level;
    return missing / rate + (missing % rate != 0);
}

/* ---- which limits are reached ---- */

static uint64_t stored(const struct quota *quota, int kind)
{
    const struct counts *counts = &quota->stored;
    return kind == QUOTA_BYTES ? counts->bytes : counts->ready + counts->taken + counts->delayed;
}

uint64_t quota_used(const struct quota *quota, enum quota_kind kind)
{
    if (kind < QUOTA_RATE)
        return stored(quota, (int)kind);
    return (uint64_t)(full(quota, (int)kind) - level_of(quota, (int)kind)) / PARTS;
}

static bool is_over_stored(const struct quota *quota, int kind)
{
    uint64_t most = quota->limits.most[kind], is = stored(quota, kind);
    uint64_t gap = most / EASED ? most / EASED : 1;
    return has(quota->over, kind) ? is + gap > most : is >= most;
}

static bool is_over_rate(const struct quota *quota, int kind)
{
    int64_t level = quota->level[kind - QUOTA_RATE], most = full(quota, kind);
    return level <= 0 || (has(quota->over, kind) && level < most / 2);
}

static void log_change(const struct quota *quota, int kind, bool is_reached)
{
    log_event(quota->broker->log, is_reached ? EVENT_quota_reached : EVENT_quota_left,
              "%s=%.*s quota=%s most=%llu is=%llu", quota->of, BYTES_ARG(quota->name), names[kind],
              (unsigned long long)quota->limits.most[kind],
              (unsigned long long)quota_used(quota, (enum quota_kind)kind));
}

/* A rate counts as reached until its bucket is full again: who publishes too much all the time has
 * one line of it. */
static bool is_known(const struct quota *quota, int kind)
{
    bool is_over = has(quota->over, kind);
    if (is_over || kind < QUOTA_RATE || !has(quota->known, kind))
        return is_over;
    return quota->level[kind - QUOTA_RATE] < full(quota, kind);
}

void quota_review(struct quota *quota)
{
    fill(quota);
    for (int kind = 0; kind < QUOTA_KINDS; kind++) {
        bool is_set = has(quota->limits.set, kind), was_known = has(quota->known, kind);
        bool is_over = kind < QUOTA_RATE ? is_over_stored(quota, kind) : is_over_rate(quota, kind);
        mark(&quota->over, kind, (is_set || planted(PLANTED_QUOTA_UNSET_IS_NONE)) && is_over);
        mark(&quota->known, kind, is_set && is_known(quota, kind));
        if (has(quota->known, kind) != was_known)
            log_change(quota, kind, !was_known);
    }
    bool is_done = !quota->known && list_is_empty(&quota->held);
    if (is_done)
        list_remove(&quota->link);
    else if (list_is_empty(&quota->link))
        list_push_back(&quota->broker->quotas, &quota->link);
}

/* Might a review find more than the last one did? Publishes come by here. */
static bool is_worth_a_look(const struct quota *quota)
{
    const uint8_t set = quota->limits.set;
    const uint64_t *most = quota->limits.most;
    return (has(set, QUOTA_MESSAGES) && stored(quota, QUOTA_MESSAGES) >= most[QUOTA_MESSAGES]) ||
           (has(set, QUOTA_BYTES) && stored(quota, QUOTA_BYTES) >= most[QUOTA_BYTES]) ||
           (has(set, QUOTA_RATE) && quota->level[0] <= 0) ||
           (has(set, QUOTA_BYTES_RATE) && quota->level[QUOTA_BYTES_RATE - QUOTA_RATE] <= 0);
}

void quota_spend(struct quota *quota, uint64_t bytes)
{
    fill(quota);
    quota->level[0] -= PARTS;
    quota->level[QUOTA_BYTES_RATE - QUOTA_RATE] -= (int64_t)(bytes * PARTS);
    if (is_worth_a_look(quota))
        quota_review(quota);
}

uint64_t quota_next_ms(const struct quota *quota)
{
    uint64_t least = UINT64_MAX;
    for (int kind = QUOTA_RATE; kind < QUOTA_KINDS; kind++) {
        int64_t most = full(quota, kind);
        if (!has(quota->known, kind))
            continue;
        uint64_t ms = time_until(quota, kind, has(quota->over, kind) ? most / 2 : most);
        least = ms < least ? ms : least;
    }
    return least == UINT64_MAX ? least : quota->level_ms + least;
}

const char *quota_reason(const struct quota *quota, char *text, size_t size)
{
    const char *name = "";
    for (int kind = QUOTA_KINDS - 1; kind >= 0; kind--)
        if (has(quota->over, kind))
            name = names[kind];
    snprintf(text, size, "%s of %s '%.*s' is reached", name, quota->of, BYTES_ARG(quota->name));
    return text;
}

/* ---- limits ---- */

static struct quota *quota_new(struct broker *broker, const char *of, struct bytes name)
{
    struct quota *quota = mem_zalloc(sizeof(*quota));
    quota->broker = broker;
    quota->of = of;
    quota->name = name;
    quota->level_ms = broker->queues.now_ms;
    list_init(&quota->link);
    list_init(&quota->held);
    return quota;
}

static bool are_equal(const struct quota_limits *one, const struct quota_limits *other)
{
    bool is_equal = one->set == other->set;
    for (int kind = 0; kind < QUOTA_KINDS; kind++)
        is_equal &= one->most[kind] == other->most[kind];
    return is_equal;
}

void quota_set(struct broker *broker, struct quota **quota, const char *of, struct bytes name,
               const struct quota_limits *limits)
{
    struct quota_limits now = quota_limits_of(*quota);
    if (are_equal(&now, limits))
        return;
    if (!*quota)
        *quota = quota_new(broker, of, name);
    struct quota *it = *quota;
    struct quota_limits before = it->limits;
    fill(it);
    it->limits = *limits;
    for (int kind = QUOTA_RATE; kind < QUOTA_KINDS; kind++)
        if (!has(before.set, kind) || it->level[kind - QUOTA_RATE] > full(it, kind))
            it->level[kind - QUOTA_RATE] = full(it, kind);
    if (list_is_empty(&it->link))
        list_push_back(&broker->quotas, &it->link);
    broker->quota_changes++;
}

void quota_free(struct quota *quota)
{
    if (!quota)
        return;
    assert(list_is_empty(&quota->held));
    list_remove(&quota->link);
    mem_free(quota);
}
