/* The ring is sorted by tag, so that one tag is found by bisection and a prefix is taken from the
 * front. Runs emptied in the middle stay until they are the majority; then the ring is packed. */
#include "session/unacked.h"

#include <assert.h>

#include "base/mem.h"
#include "session/consumer.h"

enum { CAPACITY_MIN = 4, HOLLOW_MIN = 64 };

static struct unacked_run *run_at(const struct unacked *unacked, size_t index)
{
    return &unacked->runs[(unacked->first + index) & (unacked->capacity - 1)];
}

static void resize(struct unacked *unacked, size_t capacity)
{
    struct unacked_run *runs = mem_zalloc_array(capacity, sizeof(*runs));
    for (size_t i = 0; i < unacked->count; i++)
        runs[i] = *run_at(unacked, i);
    mem_free(unacked->runs);
    unacked->runs = runs;
    unacked->capacity = capacity;
    unacked->first = 0;
}

/* Can this delivery be the next of the run? */
static bool run_extends(struct unacked_run *run, uint64_t tag, const struct consumer *source,
                        uint64_t sequence, uint32_t since_s)
{
    if (run->source != source || run->count == RUN_TAGS || tag != run->tag + run->count ||
        run->bits == 0 || sequence <= run->sequence || run->since_s != since_s)
        return false;
    if (run->count == 1 && sequence - run->sequence <= UINT16_MAX)
        run->step = (uint16_t)(sequence - run->sequence);
    return sequence == run->sequence + (uint64_t)run->step * run->count;
}

bool unacked_add(struct unacked *unacked, uint64_t tag, struct consumer *source, uint64_t sequence,
                 uint32_t since_s)
{
    unacked->total++;
    if (unacked->count) {
        struct unacked_run *last = run_at(unacked, unacked->count - 1);
        assert(tag >= last->tag + last->count);
        if (run_extends(last, tag, source, sequence, since_s)) {
            last->bits |= (uint64_t)1 << last->count++;
            return false;
        }
    }
    if (unacked->count == unacked->capacity)
        resize(unacked, unacked->capacity ? unacked->capacity * 2 : CAPACITY_MIN);
    unacked->count++;
    *run_at(unacked, unacked->count - 1) = (struct unacked_run){.tag = tag,
                                                                .sequence = sequence,
                                                                .bits = 1,
                                                                .count = 1,
                                                                .since_s = since_s,
                                                                .source = source};
    consumer_ref(source);
    return true;
}

/* The index of the run that covers the tag, or of the first one behind it. */
static size_t find_from(const struct unacked *unacked, uint64_t tag)
{
    size_t low = 0, high = unacked->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct unacked_run *run = run_at(unacked, middle);
        if (tag < run->tag)
            high = middle;
        else if (tag - run->tag >= run->count)
            low = middle + 1;
        else
            return middle;
    }
    return low;
}

/* The index of the run that covers the tag, or `count`. */
static size_t find(const struct unacked *unacked, uint64_t tag)
{
    size_t index = find_from(unacked, tag);
    return index < unacked->count && run_at(unacked, index)->tag <= tag ? index : unacked->count;
}

bool unacked_has(const struct unacked *unacked, uint64_t tag)
{
    size_t index = find(unacked, tag);
    if (index == unacked->count)
        return false;
    const struct unacked_run *run = run_at(unacked, index);
    return run->bits >> (tag - run->tag) & 1;
}

struct consumer *unacked_source(const struct unacked *unacked, uint64_t first, uint64_t last,
                                size_t *at)
{
    if (*at == 0 && first)
        *at = find(unacked, first);
    while (*at < unacked->count) {
        const struct unacked_run *run = run_at(unacked, (*at)++);
        if (run->tag > last)
            break;
        if (run->bits)
            return run->source;
    }
    return NULL;
}

const struct unacked_run *unacked_run_from(const struct unacked *unacked, uint64_t first)
{
    for (size_t at = find_from(unacked, first); at < unacked->count; at++) {
        const struct unacked_run *run = run_at(unacked, at);
        bool is_covering = run->tag < first;
        if (is_covering ? run->bits >> (first - run->tag) != 0 : run->bits != 0)
            return run;
    }
    return NULL;
}

/* Drops hollow runs at the front, and packs the ring when most of it is hollow. */
static void tidy(struct unacked *unacked)
{
    while (unacked->count && run_at(unacked, 0)->bits == 0) {
        assert(unacked->hollow > 0);
        unacked->first = (unacked->first + 1) & (unacked->capacity - 1);
        unacked->count--;
        unacked->hollow--;
    }
    assert(unacked->hollow <= unacked->count);
    if (unacked->count == 0) {
        if (unacked->capacity > CAPACITY_MIN)
            unacked_free(unacked);
        return;
    }
    if (unacked->hollow < HOLLOW_MIN || unacked->hollow * 2 < unacked->count)
        return;
    size_t kept = 0;
    for (size_t i = 0; i < unacked->count; i++)
        if (run_at(unacked, i)->bits)
            *run_at(unacked, kept++) = *run_at(unacked, i);
    unacked->count = kept;
    unacked->hollow = 0;
}

/* Takes bit `bit` of a run; the run gives up its reference with its last one. */
static void take_bit(struct unacked *unacked, struct unacked_run *run, unsigned bit,
                     struct delivery *delivery)
{
    *delivery = (struct delivery){run->tag + bit, run->sequence + (uint64_t)run->step * bit,
                                  run->since_s, run->source};
    assert(run->source && run->bits >> bit & 1 && unacked->total > 0);
    run->bits &= ~((uint64_t)1 << bit);
    unacked->total--;
    if (run->bits) {
        consumer_ref(run->source);
        return;
    }
    run->source = NULL;
    unacked->hollow++;
    tidy(unacked);
}

bool unacked_take(struct unacked *unacked, uint64_t tag, struct delivery *delivery)
{
    size_t index = find(unacked, tag);
    if (index == unacked->count)
        return false;
    struct unacked_run *run = run_at(unacked, index);
    unsigned bit = (unsigned)(tag - run->tag);
    if (!(run->bits >> bit & 1))
        return false;
    take_bit(unacked, run, bit, delivery);
    return true;
}

bool unacked_has_before(const struct unacked *unacked, uint64_t last)
{
    if (unacked->count == 0)
        return false;
    const struct unacked_run *run = run_at(unacked, 0); /* never hollow: see tidy */
    return run->tag + (unsigned)__builtin_ctzll(run->bits) <= last;
}

bool unacked_take_first(struct unacked *unacked, uint64_t last, struct delivery *delivery)
{
    if (unacked->count == 0)
        return false;
    struct unacked_run *run = run_at(unacked, 0); /* never hollow: see tidy */
    unsigned bit = (unsigned)__builtin_ctzll(run->bits);
    if (run->tag + bit > last)
        return false;
    take_bit(unacked, run, bit, delivery);
    return true;
}

uint64_t unacked_first(const struct unacked *unacked)
{
    if (unacked->count == 0)
        return UINT64_MAX;
    const struct unacked_run *run = run_at(unacked, 0); /* never hollow: see tidy */
    return run->tag + (unsigned)__builtin_ctzll(run->bits);
}

void unacked_free(struct unacked *unacked)
{
    assert(unacked->total == 0);
    mem_free(unacked->runs);
    *unacked = (struct unacked){0};
}

size_t unacked_memory(const struct unacked *unacked)
{
    return unacked->capacity * sizeof(*unacked->runs);
}
