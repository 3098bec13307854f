#include "api/history.h"

#include <assert.h>
#include <string.h>

#include "base/mem.h"

/* A row of samples: a time, and what each counter was. */
struct row {
    uint64_t step_ms, late_ms; /* the second: by so much a step may be shorter */
    uint32_t capacity, first, count;
    uint64_t *samples; /* capacity times (1 + counters) */
};

struct history_ring {
    struct row rows[2]; /* the finer one first */
    size_t bytes;       /* that all of it takes */
};

struct history *history_new(uint32_t count)
{
    assert(count <= HISTORY_COUNTERS_MAX);
    struct history *history = mem_zalloc(sizeof(*history) + count * sizeof(history->counters[0]));
    history->count = count;
    list_init(&history->link);
    return history;
}

static void free_ring(struct history *history, struct history_budget *budget)
{
    if (!history->ring)
        return;
    budget->used -= history->ring->bytes;
    mem_free(history->ring);
    history->ring = NULL;
}

void history_free(struct history *history, struct history_budget *budget)
{
    free_ring(history, budget);
    list_remove(&history->link);
    mem_free(history);
}

/* One block for all; NULL: it is more than there is room for. */
static struct history_ring *ring_new(uint32_t count, struct history_budget *budget)
{
    size_t width = 1 + count;
    size_t bytes =
        sizeof(struct history_ring) + (HISTORY_SHORT + HISTORY_LONG) * width * sizeof(uint64_t);
    if (bytes > budget->max || budget->used > budget->max - bytes)
        return NULL;
    struct history_ring *ring = mem_zalloc(bytes);
    uint64_t *samples = (uint64_t *)(void *)(ring + 1);
    budget->used += bytes;
    ring->bytes = bytes;
    uint64_t step_ms = budget->step_ms ? budget->step_ms : HISTORY_STEP_MS;
    ring->rows[0] = (struct row){step_ms, step_ms / 2, HISTORY_SHORT, 0, 0, samples};
    samples += HISTORY_SHORT * width;
    ring->rows[1] = (struct row){HISTORY_LONG_MS, HISTORY_STEP_MS / 2, HISTORY_LONG, 0, 0, samples};
    return ring;
}

static uint64_t *sample_of(const struct row *row, uint32_t number, size_t width)
{
    return row->samples + (row->first + number) % row->capacity * width;
}

/* The newest of these that is not later; NULL: there is none. */
static const uint64_t *find(const struct row *row, uint64_t at_ms, size_t width)
{
    uint32_t low = 0, high = row->count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (sample_of(row, middle, width)[0] <= at_ms)
            low = middle + 1;
        else
            high = middle;
    }
    return low ? sample_of(row, low - 1, width) : NULL;
}

/* If its step has passed since the last one, about: the oldest makes room. */
static void row_add(struct row *row, uint64_t at_ms, const uint64_t *values, uint32_t count)
{
    size_t width = 1 + count;
    const uint64_t *last = row->count ? sample_of(row, row->count - 1, width) : NULL;
    if (last && at_ms - last[0] < row->step_ms - row->late_ms)
        return;
    if (row->count == row->capacity) {
        row->first = (row->first + 1) % row->capacity;
        row->count--;
    }
    uint64_t *sample = sample_of(row, row->count++, width);
    sample[0] = at_ms;
    memcpy(sample + 1, values, count * sizeof(*values));
}

static void ring_add(struct history_ring *ring, uint64_t at_ms, const uint64_t *values,
                     uint32_t count)
{
    row_add(&ring->rows[0], at_ms, values, count);
    row_add(&ring->rows[1], at_ms, values, count);
}

/* What the latest sample was is kept as well. */
static void begin_ring(struct history *history, struct history_budget *budget)
{
    uint64_t values[HISTORY_COUNTERS_MAX];
    history->ring = ring_new(history->count, budget);
    if (!history->ring)
        return;
    for (uint32_t i = 0; i < history->count; i++)
        values[i] = history->counters[i].now;
    ring_add(history->ring, history->at_ms, values, history->count);
}

static bool is_other(const struct history *history, const uint64_t *values)
{
    for (uint32_t i = 0; i < history->count; i++)
        if (history->counters[i].now != values[i])
            return true;
    return false;
}

/* What falls changes by less than nothing. */
static float rate_of(uint64_t before, uint64_t now, uint64_t ms)
{
    double change = now >= before ? (double)(now - before) : -(double)(before - now);
    return (float)(change * 1000.0 / (double)ms);
}

static void note_latest(struct history *history, uint64_t at_ms, const uint64_t *values)
{
    bool is_first = history->begun_ms == 0;
    for (uint32_t i = 0; i < history->count; i++) {
        if (!is_first)
            history->counters[i].rate =
                rate_of(history->counters[i].now, values[i], at_ms - history->at_ms);
        history->counters[i].now = values[i];
    }
    if (is_first)
        history->begun_ms = at_ms;
    history->at_ms = at_ms;
}

void history_add(struct history *history, uint64_t at_ms, const uint64_t *values,
                 struct history_budget *budget)
{
    bool is_first = history->begun_ms == 0, changes = is_first || is_other(history, values);
    assert(is_first || at_ms > history->at_ms);
    if (!history->ring && !is_first && changes)
        begin_ring(history, budget);
    if (changes)
        history->changed_ms = at_ms;
    else if (at_ms - history->changed_ms > HISTORY_LONG * (uint64_t)HISTORY_LONG_MS)
        free_ring(history, budget);
    if (history->ring)
        ring_add(history->ring, at_ms, values, history->count);
    note_latest(history, at_ms, values);
}

void history_forget(struct history *history, struct history_budget *budget)
{
    free_ring(history, budget);
    history->begun_ms = history->at_ms;
    for (uint32_t i = 0; i < history->count; i++)
        history->counters[i].rate = 0;
}

uint64_t history_at(const struct history *history, uint32_t counter, uint64_t at_ms)
{
    size_t width = 1 + history->count;
    const struct history_ring *ring = history->ring;
    if (!ring || at_ms >= history->at_ms)
        return history->counters[counter].now;
    for (size_t i = 0; i < 2; i++) {
        const uint64_t *sample = find(&ring->rows[i], at_ms, width);
        if (sample)
            return sample[1 + counter];
    }
    return sample_of(&ring->rows[1], 0, width)[1 + counter];
}
