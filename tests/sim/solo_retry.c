/* Messages that come back and wait for their next try: x-delayed-retry-type and its like. As with what ends,
 * when one is ready is known only from an earliest time to a latest one. */
#include "tests/sim/solo_internal.h"

#include <inttypes.h>

void solo_draw_retry(struct solo *solo, struct own_queue_of *queue)
{
    if (!chance(solo, 4))
        return;
    queue->retry = (enum retry_type)(1 + below(solo, 3));
    queue->backoff = chance(solo, 3) ? BACKOFF_EXPONENTIAL : BACKOFF_LINEAR;
    if (!chance(solo, 4))
        queue->retry_min_ms = chance(solo, 2) ? below(solo, 60) : 100 + below(solo, 400);
    if (!chance(solo, 3))
        queue->retry_max_ms = 300 + below(solo, 600);
}

static bool is_to_wait(const struct own_queue_of *queue, bool has_failed)
{
    return queue->retry == RETRY_ALL || (queue->retry == RETRY_FAILED && has_failed) ||
           (queue->retry == RETRY_RETURNED && !has_failed);
}

static uint64_t smaller(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* How long one waits the count-th time; of a backoff that is exponential, at the most. */
static uint64_t wait_ms(const struct own_queue_of *queue, const struct entry *entry, uint32_t count)
{
    uint64_t ms = queue->retry_min_ms == NO_LIMIT ? 0 : queue->retry_min_ms;
    if (entry->asked_ms != NO_LIMIT)
        return smaller(entry->asked_ms, queue->retry_max_ms);
    if (queue->backoff == BACKOFF_LINEAR)
        return smaller(ms * count, queue->retry_max_ms);
    for (uint32_t i = 1; i < count && ms < queue->retry_max_ms && ms < 1000000000; i++)
        ms *= 2;
    return smaller(ms, queue->retry_max_ms);
}

/* What ends a channel may be told long after what it had has gone back. */
static uint64_t waits_since_ms(const struct solo *solo)
{
    uint64_t now_ms = solo_clock_ms(solo);
    return (solo->is_ending ? smaller(solo->acted_ms, now_ms) : now_ms) - MACHINE_STALE_MS;
}

bool solo_retry(struct solo *solo, int number, struct entry *entry, bool has_failed)
{
    struct own_queue_of *queue = &solo->queues[number];
    if (!is_to_wait(queue, has_failed))
        return false;
    uint64_t least_ms = wait_ms(queue, entry, entry->count_least);
    entry->wait_most_ms = wait_ms(queue, entry, entry->count_most);
    if (entry->is_unread) {
        queue->is_unsure = true;
        solo->is_known = false;
    }
    /* What it says of that may have to be read first. */
    solo->is_stopped = solo->is_unsettled = true;
    if (queue->backoff == BACKOFF_EXPONENTIAL && entry->asked_ms == NO_LIMIT)
        least_ms -= least_ms > 1 ? least_ms / 2 : 0;
    entry->ready_ms = smaller(waits_since_ms(solo) + least_ms, solo_ends_ms(entry));
    entry->ready_most_ms = 0;
    entries_add(&queue->waiting, entry);
    if (entry->ready_ms <= solo_clock_ms(solo)) /* it may be there before a letter is, or behind it */
        solo_note_room(solo, number);
    solo_sooner(solo, entry->ready_ms > solo_clock_ms(solo) ? entry->ready_ms : NO_LIMIT);
    sim_say(sim_of(solo), "s%d.q%d: %" PRIu64 " waits for %" PRIu64 " to %" PRIu64 " ms",
            solo->client->number, number, entry->id, least_ms, entry->wait_most_ms);
    return true;
}

/* ---- waking ---- */

/* Does one before it wait, or did it? */
static bool is_behind(const struct own_queue_of *queue, const struct entry *entry)
{
    const struct entries *all[] = {&queue->waiting, &queue->ready};
    for (int i = 0; i < 2; i++)
        for (size_t k = 0; k < all[i]->count; k++)
            if (all[i]->at[k].ready_ms && all[i]->at[k].place < entry->place)
                return true;
    return false;
}

/* Was the first of its level until this one came before it, and may have ended as such? */
static bool is_before_ended(const struct solo *solo, const struct entries *ready, const struct entry *entry)
{
    for (size_t i = 0; i < ready->count; i++)
        if (entries_is_head(ready, i) && level_of(&ready->at[i]) == level_of(entry))
            return ready->at[i].place > entry->place && solo_ends_soon(solo, &ready->at[i]);
    return false;
}

/* Does it wait for as long as is known, or for a random part of it? */
static bool is_exact(const struct own_queue_of *queue, const struct entry *entry)
{
    return queue->backoff == BACKOFF_LINEAR || entry->asked_ms != NO_LIMIT;
}

/* May another one that waits have been ready before this one is? */
static bool may_be_before(const struct solo *solo, const struct own_queue_of *queue, const struct entry *other,
                          const struct entry *entry)
{
    uint64_t by_ms = solo_clock_ms(solo);
    if (entry->ready_most_ms)
        by_ms = smaller(by_ms, entry->ready_most_ms);
    bool is_ordered =
        is_exact(queue, other) && is_exact(queue, entry) && other->count_op == entry->count_op;
    return !is_ordered && other->ready_ms <= by_ms;
}

/* Does it depend on which of those that wait is ready first what goes, and when? */
static bool is_race(const struct solo *solo, const struct own_queue_of *queue, const struct entry *entry)
{
    uint64_t count = 0, bytes = 0;
    for (size_t i = 0; i < queue->waiting.count; i++) {
        const struct entry *other = &queue->waiting.at[i];
        if (!may_be_before(solo, queue, other, entry))
            continue;
        count++;
        bytes += other->size;
    }
    bool ends = queue->dlx != NONE && solo_ends_soon(solo, entry);
    return count && (ends || solo_drops_with(queue, count + 1, bytes + entry->size));
}

/* What has ended meanwhile goes if it is the first: it depends on which others were ready before. */
static void wake(struct solo *solo, int number, size_t at)
{
    struct own_queue_of *queue = &solo->queues[number];
    struct entry entry = entries_take(&queue->waiting, at);
    solo->op++; /* what goes to make room goes after what was sent before */
    sim_of(solo)->report->met[MET_WAITED]++;
    if (solo_ends_soon(solo, &entry) && is_behind(queue, &entry))
        solo_doubt_queues(solo);
    if (is_before_ended(solo, &queue->ready, &entry) || is_race(solo, queue, &entry))
        solo_doubt_queues(solo);
    entries_add(&queue->ready, &entry);
    solo_tend(solo);
}

/* The first that must be ready by now; their number: there is none. */
static size_t first_ready(const struct solo *solo, const struct entries *waiting)
{
    size_t first = waiting->count;
    for (size_t i = 0; i < waiting->count; i++) {
        const struct entry *entry = &waiting->at[i];
        bool is_ready = entry->ready_most_ms && entry->ready_most_ms < solo->step_ms;
        if (is_ready && (first == waiting->count || entry->ready_ms < waiting->at[first].ready_ms))
            first = i;
    }
    return first;
}

void solo_wake(struct solo *solo)
{
    for (int i = 0; i < QUEUES_OF_ONE; i++) {
        struct entries *waiting = &solo->queues[i].waiting;
        for (size_t at; (at = first_ready(solo, waiting)) < waiting->count;) {
            solo->is_unsettled |= !solo_is_settled(solo);
            wake(solo, i, at);
        }
    }
}

void solo_wake_letter(struct solo *solo, int number, const struct letter *letter, bool is_it)
{
    struct entries *waiting = &solo->queues[number].waiting;
    for (size_t k = 0; k < waiting->count;) {
        const struct entry *entry = &waiting->at[k];
        bool may_be = is_it ? solo_is_same(entry, letter)
                            : entry->id == letter->id || letter->why == REASON_MAXLEN;
        if (may_be && entry->ready_ms <= solo_clock_ms(solo))
            wake(solo, number, k);
        else
            k++;
    }
}

bool solo_is_waking(const struct solo *solo)
{
    for (int i = 0; i < QUEUES_OF_ONE; i++) {
        const struct own_queue_of *queue = &solo->queues[i];
        for (size_t k = 0; k < queue->waiting.count; k++)
            if (solo_is_soon(solo, queue->waiting.at[k].ready_ms))
                return true;
        for (size_t k = 0; k < queue->ready.count; k++)
            if (queue->ready.at[k].ready_most_ms > solo_clock_ms(solo))
                return true;
    }
    return false;
}

bool solo_settle_waits(struct solo *solo)
{
    for (int i = 0; i < QUEUES_OF_ONE; i++) {
        struct entries *waiting = &solo->queues[i].waiting;
        for (size_t k = 0; k < waiting->count; k++) {
            struct entry *entry = &waiting->at[k];
            if (entry->ready_most_ms)
                continue;
            if (entry->count_op > solo->proved_op)
                return false;
            entry->ready_most_ms = solo_clock_ms(solo) + entry->wait_most_ms + solo_margin_ms();
        }
    }
    return true;
}

uint64_t solo_wakes_ms(const struct solo *solo)
{
    uint64_t first_ms = NO_LIMIT;
    for (int i = 0; i < QUEUES_OF_ONE; i++)
        for (size_t k = 0; k < solo->queues[i].waiting.count; k++)
            first_ms = smaller(first_ms, solo->queues[i].waiting.at[k].ready_ms);
    return first_ms;
}

/* ---- doubts ---- */

static bool is_wait_sure(const struct solo *solo, const struct entry *entry)
{
    return entry->count_op <= solo->proved_op && !solo_is_soon(solo, entry->ready_ms);
}

static void doubt_queue(struct solo *solo, int number)
{
    if (solo->queues[number].dlx != NONE)
        solo_doubt_queues(solo);
    solo->queues[number].is_unsure = true;
    solo->is_known = false;
}

/* Would any wait if it came back, as a consumer has it, or as it was not read that it was settled? */
static bool may_be_waiting(const struct solo *solo, int number)
{
    const struct own_queue_of *queue = &solo->queues[number];
    if (!is_to_wait(queue, true))
        return false;
    for (size_t i = 0; i < queue->ghosts.count; i++)
        if (queue->ghosts.at[i].is_taken && queue->ghosts.at[i].op > solo->proved_op)
            return true;
    return queue->ready.count && solo_count_consumers(solo, number);
}

void solo_doubt_waits(struct solo *solo)
{
    for (int i = 0; i < QUEUES_OF_ONE; i++) {
        struct own_queue_of *queue = &solo->queues[i];
        bool is_sure = !may_be_waiting(solo, i);
        for (size_t k = 0; k < queue->waiting.count; k++)
            is_sure &= is_wait_sure(solo, &queue->waiting.at[k]);
        if (queue->exists && !is_sure)
            doubt_queue(solo, i);
    }
}

/* Was one given back by a word that the broker may not have read? The end of its channel gives it back then, as failed:
 * that may have it wait, where the word would not. */
static bool may_wait_by_end(const struct own_queue_of *queue, uint64_t sure_op)
{
    bool may = false;
    for (size_t k = 0; k < queue->ready.count; k++)
        may |= queue->ready.at[k].count_op > sure_op;
    return may && is_to_wait(queue, true);
}

void solo_restart_waits(struct solo *solo, bool restarted, bool crashed)
{
    uint64_t sure = crashed ? solo->durable_op : solo->proved_op;
    for (int i = 0; i < QUEUES_OF_ONE; i++) {
        struct own_queue_of *queue = &solo->queues[i];
        if (may_wait_by_end(queue, sure))
            doubt_queue(solo, i);
        for (size_t k = 0; k < queue->waiting.count;) {
            const struct entry *entry = &queue->waiting.at[k];
            bool may = !restarted || solo_survives_in(queue, entry);
            bool must = entry->count_op <= sure && (!restarted || entry->ready_most_ms) &&
                        solo_ends_ms(entry) > solo->ended_ms &&
                        !(crashed && machine_was_short(solo->client->machine)) &&
                        solo_must_be_there(solo, queue, entry, restarted, crashed);
            if (may && !must)
                doubt_queue(solo, i);
            if (may)
                k++;
            else
                entries_take(&queue->waiting, k);
        }
    }
}

void solo_check_waits(struct solo *solo, int number)
{
    const struct entries *waiting = &solo->queues[number].waiting;
    for (size_t i = 0; i < waiting->count && solo->look_is_settled; i++)
        if (waiting->at[i].ready_most_ms && waiting->at[i].ready_most_ms < solo->look_ms &&
            solo_ends_ms(&waiting->at[i]) > solo_clock_ms(solo))
            solo_fails(solo, "has waited, and is not there", waiting->at[i].id, number);
}
