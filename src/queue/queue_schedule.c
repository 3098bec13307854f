/* A binary heap. Names of messages that are gone stay in it until they come up; when they may be
 * more than a half, whatever touches the queue looks at a few places of the heap, one after the
 * other, and takes such names out: work for each message is bounded, and so is the heap. */
#include "queue/queue_schedule.h"

#include "base/mem.h"
#include "base/planted.h"
#include "queue/queue_timer.h"

/* The bits that a time has in the heap. */
#define LATEST_MS (((uint64_t)1 << 56) - 1)

/* Of a turn's budget: what a name of a message that is gone takes when it comes up. */
enum { GONE_STEPS = 30 };

/* How long before it is due a message is read, which is longer than a disk mostly takes and shorter than a body
 * stays in memory that nobody needs; and how often those that are due then are looked for, while some are being
 * read, and else. */
enum { AHEAD_MS = 500, AHEAD_SOON_MS = 10, AHEAD_AGAIN_MS = 50 };

enum { HEAP_MIN = 8, CLEAR_AT_ONCE = 4, READ_AGAIN_MS = 1, DEFERRED_AGAIN_MS = 20 };

struct queue_schedule {
    struct scheduled *heap;
    size_t count, capacity;
    size_t clear_at;    /* the place that is looked at next */
    struct scheduled *deferred; /* from deferred_first on */
    size_t deferred_first, deferred_count, deferred_capacity;
    uint64_t read_from; /* read_begin: what lies below is named */
    bool is_reading;
};

/* ---- the heap ---- */

static void resize(struct queue_schedule *schedule, size_t capacity)
{
    schedule->heap = mem_realloc(schedule->heap, capacity * sizeof(*schedule->heap));
    schedule->capacity = capacity;
}

static struct scheduled scheduled_of(uint64_t ms, uint64_t position, enum schedule_why why)
{
    struct scheduled item = {.position = position};
    item.ms = (ms < LATEST_MS ? ms : LATEST_MS) & LATEST_MS;
    item.why = (unsigned)why & 0xff;
    return item;
}

static void move_up(struct queue_schedule *schedule, size_t at, struct scheduled item)
{
    struct scheduled *heap = schedule->heap;
    for (; at > 0 && heap[(at - 1) / 2].ms > item.ms; at = (at - 1) / 2)
        heap[at] = heap[(at - 1) / 2];
    heap[at] = item;
}

static void move_down(struct queue_schedule *schedule, size_t at, struct scheduled item)
{
    struct scheduled *heap = schedule->heap;
    for (size_t child; (child = 2 * at + 1) < schedule->count; at = child) {
        if (child + 1 < schedule->count && heap[child + 1].ms < heap[child].ms)
            child++;
        if (heap[child].ms >= item.ms)
            break;
        heap[at] = heap[child];
    }
    heap[at] = item;
}

static void add(struct queue_schedule *schedule, struct scheduled item)
{
    if (schedule->count == schedule->capacity)
        resize(schedule, schedule->capacity ? 2 * schedule->capacity : HEAP_MIN);
    move_up(schedule, schedule->count++, item);
}

static void take_out(struct queue_schedule *schedule, size_t at)
{
    struct scheduled last = schedule->heap[--schedule->count];
    if (at < schedule->count && at > 0 && schedule->heap[(at - 1) / 2].ms > last.ms)
        move_up(schedule, at, last);
    else if (at < schedule->count)
        move_down(schedule, at, last);
    if (schedule->capacity > HEAP_MIN && schedule->count < schedule->capacity / 4)
        resize(schedule, schedule->capacity / 2);
}

void queue_schedule_free(struct queue_schedule *schedule)
{
    if (!schedule)
        return;
    mem_free(schedule->heap);
    mem_free(schedule->deferred);
    mem_free(schedule);
}

/* The first of them in order of time, QUEUE_SOON_MAX at most and none that is due after `until_ms`; returns how
 * many. Below each that is taken lie two that may be next. */
static size_t find_first(const struct queue_schedule *schedule, uint64_t until_ms, struct scheduled *first)
{
    struct scheduled room[QUEUE_SOON_MAX + 1]; /* their position is a place in the heap */
    struct queue_schedule next = {.heap = room};
    size_t count = 0;
    if (schedule->count && schedule->heap[0].ms <= until_ms)
        move_up(&next, next.count++, scheduled_of(schedule->heap[0].ms, 0, SCHEDULE_END));
    while (next.count && count < QUEUE_SOON_MAX) {
        size_t at = next.heap[0].position;
        take_out(&next, 0);
        first[count++] = schedule->heap[at];
        for (size_t child = 2 * at + 1; child <= 2 * at + 2 && child < schedule->count; child++)
            if (schedule->heap[child].ms <= until_ms)
                move_up(&next, next.count++,
                        scheduled_of(schedule->heap[child].ms, child, SCHEDULE_END));
    }
    return count;
}

/* ---- of a queue ---- */

static struct queue_schedule *schedule_of(struct queue *queue)
{
    struct queue_schedule **schedule = queue_timers_schedule(queue);
    if (!*schedule)
        *schedule = mem_zalloc(sizeof(**schedule));
    return *schedule;
}

static void arm(struct queue *queue, uint64_t ms)
{
    uint64_t clock_ms = queue->queues->clock_ms;
    queue_timer_advance(queue, QUEUE_TIMER_SCHEDULE, ms > clock_ms ? ms - clock_ms : 0);
}

/* Does the message have to be in memory when it is due? One that only ends goes without being read. */
static bool is_read_when_due(const struct queue *queue, unsigned why)
{
    bool are_letters = queue->is_delay || queue->settings->dead_letter_exchange;
    return why == SCHEDULE_RETRY || (why == SCHEDULE_END && are_letters);
}

/* What is due then is looked for a while before, and again and again while something is due soon. */
static void arm_ahead(struct queue *queue, uint64_t ms)
{
    uint64_t from_ms = queue->queues->clock_ms + AHEAD_MS;
    queue_timer_advance(queue, QUEUE_TIMER_AHEAD, ms > from_ms ? ms - from_ms : AHEAD_AGAIN_MS);
}

void queue_schedule_add(struct queue *queue, uint64_t ms, uint64_t position, enum schedule_why why)
{
    add(schedule_of(queue), scheduled_of(ms, position, why));
    arm(queue, ms);
    /* What waits for less is still in memory then. */
    if (ms > queue->queues->clock_ms + 2 * AHEAD_MS && is_read_when_due(queue, why))
        arm_ahead(queue, ms);
    queue_schedule_clear_some(queue);
}

bool queue_schedule_take(struct queue *queue, struct budget *turn, struct scheduled *due)
{
    struct queue_schedule *schedule = queue_timers_schedule_if_any(queue);
    uint64_t clock_ms = queue->queues->clock_ms + (planted(PLANTED_SCHEDULED_EARLY) ? 1000 : 0);
    while (schedule && schedule->count && schedule->heap[0].ms <= clock_ms &&
           !budget_is_spent(turn)) {
        *due = schedule->heap[0];
        take_out(schedule, 0);
        if (queue->kind->holds(queue, due->position))
            return true;
        budget_use(turn, GONE_STEPS);
    }
    return false;
}

void queue_schedule_arm(struct queue *queue)
{
    const struct queue_schedule *schedule = queue_timers_schedule_if_any(queue);
    if (schedule && schedule->count)
        arm(queue, schedule->heap[0].ms);
    if (schedule && schedule->count && is_read_when_due(queue, schedule->heap[0].why))
        arm_ahead(queue, schedule->heap[0].ms);
    if (schedule && schedule->is_reading)
        queue_timer_advance(queue, QUEUE_TIMER_SCHEDULE, READ_AGAIN_MS);
    if (schedule && schedule->deferred_count)
        queue_timer_advance(queue, QUEUE_TIMER_SCHEDULE, DEFERRED_AGAIN_MS);
}

size_t queue_schedule_count(const struct queue *queue)
{
    const struct queue_schedule *schedule = queue_timers_schedule_if_any(queue);
    return schedule ? schedule->count : 0;
}

/* Those that are to come, as a group has to agree on them, are in it as well. */
static uint64_t messages_of(const struct queue *queue)
{
    const struct counts *counts = queue->counts;
    uint64_t bytes, messages = counts->ready + counts->taken + counts->delayed;
    if (queue->limit & QUEUE_AGREES && !planted(PLANTED_AGREE_SCHEDULE_OF_STATE))
        messages += store_queue_proposed(queue->queues->store, queue->id, &bytes);
    return messages;
}

void queue_schedule_clear_some(struct queue *queue)
{
    struct queue_schedule *schedule = queue_timers_schedule_if_any(queue);
    uint64_t messages = messages_of(queue);
    if (!schedule)
        return;
    if (messages == 0) {
        mem_free(schedule->heap);
        schedule->heap = NULL;
        schedule->count = schedule->capacity = 0;
    }
    for (int i = 0; i < CLEAR_AT_ONCE && schedule->count > 2 * messages + HEAP_MIN; i++) {
        size_t at = schedule->clear_at < schedule->count ? schedule->clear_at : 0;
        bool is_there = queue->kind->holds(queue, schedule->heap[at].position);
        if (!is_there)
            take_out(schedule, at);
        schedule->clear_at = at + is_there;
    }
}

/* ---- what has to be read ---- */

void queue_schedule_defer(struct queue *queue, uint64_t position, unsigned why)
{
    struct queue_schedule *schedule = schedule_of(queue);
    struct scheduled *deferred = schedule->deferred;
    size_t end = schedule->deferred_first + schedule->deferred_count;
    if (end == schedule->deferred_capacity && schedule->deferred_first > end / 2) {
        memmove(deferred, deferred + schedule->deferred_first,
                schedule->deferred_count * sizeof(*deferred));
        schedule->deferred_first = 0;
        end = schedule->deferred_count;
    } else if (end == schedule->deferred_capacity) {
        schedule->deferred =
            mem_grow(deferred, &schedule->deferred_capacity, end + 1, sizeof(*deferred));
    }
    schedule->deferred_count++;
    schedule->deferred[end] = (struct scheduled){.why = why & 0xff, .position = position};
    queue_timer_advance(queue, QUEUE_TIMER_SCHEDULE, DEFERRED_AGAIN_MS);
}

bool queue_schedule_deferred(const struct queue *queue, struct scheduled *first)
{
    const struct queue_schedule *schedule = queue_timers_schedule_if_any(queue);
    if (!schedule || schedule->deferred_count == 0)
        return false;
    *first = schedule->deferred[schedule->deferred_first];
    return true;
}

void queue_schedule_deferred_done(struct queue *queue)
{
    struct queue_schedule *schedule = queue_timers_schedule_if_any(queue);
    schedule->deferred_first++;
    if (--schedule->deferred_count)
        return;
    mem_free(schedule->deferred);
    schedule->deferred = NULL;
    schedule->deferred_first = schedule->deferred_capacity = 0;
}

void queue_schedule_woken(struct queue *queue)
{
    const struct queue_schedule *schedule = queue_timers_schedule_if_any(queue);
    if (schedule && schedule->deferred_count)
        queue_timer_set(queue, QUEUE_TIMER_SCHEDULE, 0);
}

/* ---- what has to be read before it is due ---- */

/* Where nobody consumes, a retry that is due stays where it is. */
static bool is_wanted_soon(const struct queue *queue, const struct scheduled *item)
{
    return is_read_when_due(queue, item->why) && (item->why != SCHEDULE_RETRY || queue->consumer_count);
}

void queue_schedule_read_ahead(struct queue *queue)
{
    const struct queue_schedule *schedule = queue_timers_schedule_if_any(queue);
    uint64_t until_ms = queue->queues->clock_ms + AHEAD_MS, positions[QUEUE_SOON_MAX];
    struct scheduled first[QUEUE_SOON_MAX];
    size_t wanted = 0;
    if (!schedule || schedule->count == 0)
        return;
    if (schedule->heap[0].ms > until_ms) {
        arm_ahead(queue, schedule->heap[0].ms);
        return;
    }
    size_t count = find_first(schedule, until_ms, first);
    for (size_t i = 0; i < count; i++)
        if (is_wanted_soon(queue, &first[i]))
            positions[wanted++] = first[i].position;
    if (wanted == 0)
        queue_timer_set(queue, QUEUE_TIMER_AHEAD, AHEAD_MS);
    else if (queue->kind->read_soon(queue, positions, wanted))
        queue_timer_set(queue, QUEUE_TIMER_AHEAD, AHEAD_AGAIN_MS);
    else
        queue_timer_set(queue, QUEUE_TIMER_AHEAD, AHEAD_SOON_MS);
}

/* ---- after a start ---- */

void queue_schedule_read_begin(struct queue *queue)
{
    struct queue_schedule *schedule = schedule_of(queue);
    if (planted(PLANTED_SCHEDULE_NOT_READ))
        return;
    schedule->read_from = 0;
    schedule->is_reading = true;
    arm(queue, 0);
}

/* What stays keeps its order nearly, so that there is little to move. */
static void leave_retries(struct queue_schedule *schedule)
{
    size_t count = schedule->count;
    schedule->count = 0;
    for (size_t i = 0; i < count; i++)
        if (schedule->heap[i].why == SCHEDULE_RETRY)
            move_up(schedule, schedule->count++, schedule->heap[i]);
    size_t capacity = schedule->count > HEAP_MIN ? schedule->count : HEAP_MIN;
    if (capacity < schedule->capacity / 4)
        resize(schedule, capacity);
}

void queue_schedule_read_end(struct queue *queue)
{
    struct queue_schedule *schedule = queue_timers_schedule_if_any(queue);
    if (!schedule)
        return;
    schedule->is_reading = false;
    leave_retries(schedule);
}

static void add_read(void *context, uint64_t position, uint64_t ends_ms)
{
    struct queue *queue = context;
    add(schedule_of(queue), scheduled_of(ends_ms, position, SCHEDULE_END));
}

bool queue_schedule_read(struct queue *queue)
{
    struct queue_schedule *schedule = queue_timers_schedule_if_any(queue);
    if (!schedule || !schedule->is_reading)
        return false;
    enum queue_result result = queue->kind->times(queue, &schedule->read_from, add_read, queue);
    if (result == QUEUE_EMPTY)
        schedule->is_reading = false;
    return result == QUEUE_OK;
}

bool queue_schedule_is_read(const struct queue *queue)
{
    const struct queue_schedule *schedule = queue_timers_schedule_if_any(queue);
    return !schedule || !schedule->is_reading;
}
