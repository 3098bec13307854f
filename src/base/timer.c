/* A binary heap, in which each timer knows its place, so that it can be taken out. */
#include "base/timer.h"

#include "base/mem.h"

void timers_free(struct timers *timers)
{
    mem_free(timers->heap);
    *timers = (struct timers){0};
}

static void put(struct timers *timers, size_t at, struct timer *timer)
{
    timers->heap[at] = timer;
    timer->place = at + 1;
}

static void move_up(struct timers *timers, size_t at, struct timer *timer)
{
    while (at > 0 && timers->heap[(at - 1) / 2]->at_ms > timer->at_ms) {
        put(timers, at, timers->heap[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    put(timers, at, timer);
}

static void move_down(struct timers *timers, size_t at, struct timer *timer)
{
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= timers->count)
            break;
        if (child + 1 < timers->count &&
            timers->heap[child + 1]->at_ms < timers->heap[child]->at_ms)
            child++;
        if (timers->heap[child]->at_ms >= timer->at_ms)
            break;
        put(timers, at, timers->heap[child]);
        at = child;
    }
    put(timers, at, timer);
}

void timer_set(struct timers *timers, struct timer *timer, uint64_t at_ms)
{
    if (timer->place == 0) {
        timers->heap =
            mem_grow(timers->heap, &timers->capacity, timers->count + 1, sizeof(*timers->heap));
        put(timers, timers->count++, timer);
    }
    timer->at_ms = at_ms;
    move_up(timers, timer->place - 1, timer);
    move_down(timers, timer->place - 1, timer);
}

void timer_cancel(struct timers *timers, struct timer *timer)
{
    if (timer->place == 0)
        return;
    size_t at = timer->place - 1;
    timer->place = 0;
    struct timer *last = timers->heap[--timers->count];
    if (last == timer)
        return;
    put(timers, at, last);
    move_up(timers, last->place - 1, last);
    move_down(timers, last->place - 1, last);
}

struct timer *timers_expired(struct timers *timers, uint64_t now_ms)
{
    if (timers->count == 0 || timers->heap[0]->at_ms > now_ms)
        return NULL;
    struct timer *timer = timers->heap[0];
    timer_cancel(timers, timer);
    return timer;
}

uint64_t timers_next_ms(const struct timers *timers)
{
    return timers->count ? timers->heap[0]->at_ms : UINT64_MAX;
}
