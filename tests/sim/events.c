/* A binary heap of events, the earliest first. */
#include "tests/sim/events.h"

#include "base/mem.h"

static bool is_before(const struct sim_event *a, const struct sim_event *b)
{
    return a->at_us != b->at_us ? a->at_us < b->at_us : a->order < b->order;
}

static void swap(struct sim_event *a, struct sim_event *b)
{
    struct sim_event kept = *a;
    *a = *b;
    *b = kept;
}

void events_add(struct events *events, struct sim_event event)
{
    if (events->count == events->capacity) {
        events->capacity = events->capacity ? events->capacity * 2 : 64;
        events->heap = mem_realloc(events->heap, events->capacity * sizeof(*events->heap));
    }
    size_t at = events->count++;
    event.order = events->orders++;
    events->heap[at] = event;
    for (; at && is_before(&events->heap[at], &events->heap[(at - 1) / 2]); at = (at - 1) / 2)
        swap(&events->heap[at], &events->heap[(at - 1) / 2]);
}

static void sink(struct events *events, size_t at)
{
    for (;;) {
        size_t least = at;
        for (size_t child = 2 * at + 1; child <= 2 * at + 2 && child < events->count; child++)
            if (is_before(&events->heap[child], &events->heap[least]))
                least = child;
        if (least == at)
            return;
        swap(&events->heap[at], &events->heap[least]);
        at = least;
    }
}

bool events_take(struct events *events, struct sim_event *event)
{
    if (events->count == 0)
        return false;
    *event = events->heap[0];
    events->heap[0] = events->heap[--events->count];
    sink(events, 0);
    return true;
}

void events_free(struct events *events)
{
    mem_free(events->heap);
    *events = (struct events){0};
}
