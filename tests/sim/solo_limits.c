/* Queues that keep only so many messages, or bytes of them: x-max-length, x-max-length-bytes and
 * x-overflow. What consumers can take at once does not count. */
#include "tests/sim/solo_internal.h"

bool solo_has_limit(const struct own_queue_of *queue)
{
    return queue->exists && (queue->max_length != NO_LIMIT || queue->max_bytes != NO_LIMIT);
}

bool solo_drops(const struct own_queue_of *queue)
{
    return solo_has_limit(queue) && queue->overflow == OVERFLOW_DROP_HEAD;
}

static uint64_t ready_bytes(const struct own_queue_of *queue)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < queue->ready.count; i++)
        bytes += queue->ready.at[i].size;
    return bytes;
}

static bool is_too_much(const struct own_queue_of *queue, uint64_t count, uint64_t bytes)
{
    return count > queue->max_length || bytes > queue->max_bytes;
}

/* Messages that its consumers can take. */
static uint64_t credit_of(const struct solo *solo, int number)
{
    uint64_t credit = 0;
    for (int i = 0; i < CONSUMERS_OF_ONE; i++) {
        const struct own_consumer *consumer = &solo->consumers[i];
        if (consumer->queue != number || !solo_consumer_is_served(solo, consumer))
            continue;
        if (!consumer->prefetch)
            return UINT64_MAX;
        if (solo_consumer_has_credit(consumer))
            credit += consumer->prefetch - consumer->unacked;
    }
    return credit;
}

bool solo_refuses(const struct solo *solo, int number, const struct entry *letter)
{
    const struct own_queue_of *queue = &solo->queues[number];
    uint64_t ready = queue->ready.count, credit = credit_of(solo, number);
    if (!solo_has_limit(queue) || queue->overflow == OVERFLOW_DROP_HEAD)
        return false;
    if (credit >= ready && credit)
        return is_too_much(queue, 1, letter->size);
    return is_too_much(queue, ready - credit + 1, ready_bytes(queue) + letter->size);
}

/* Of a level, is the first about to end? */
static bool has_ending_head(const struct solo *solo, const struct own_queue_of *queue)
{
    for (size_t i = 0; i < queue->ready.count; i++)
        if (entries_is_head(&queue->ready, i) && solo_ends_soon(solo, &queue->ready.at[i]))
            return true;
    return false;
}

void solo_note_letter(struct solo *solo, int number, const struct entry *letter)
{
    struct own_queue_of *queue = &solo->queues[number];
    bool is_alone = queue->late_step < letter->step || queue->late_from == letter->died_in;
    if (queue->late_step < letter->step)
        queue->late_step = letter->step;
    queue->late_from = letter->died_in;
    queue->letter_step = solo->step;
    /* Nor is it whether what ended had made room before. */
    bool may_have_room = queue->room_step == solo->step || has_ending_head(solo, queue);
    if (solo_has_limit(queue) && (!is_alone || may_have_room))
        solo_doubt_queues(solo);
}

void solo_note_room(struct solo *solo, int number)
{
    struct own_queue_of *queue = &solo->queues[number];
    queue->room_step = solo->step;
    if (solo_has_limit(queue) && queue->letter_step == solo->step)
        solo_doubt_queues(solo);
}

void solo_note_entry(struct solo *solo, int number)
{
    const struct own_queue_of *queue = &solo->queues[number];
    if (queue->max_priority != NO_LIMIT && solo_drops(queue) && has_ending_head(solo, queue) &&
        is_too_much(queue, queue->ready.count, ready_bytes(queue)))
        solo_doubt_queues(solo);
}

bool solo_drops_with(const struct own_queue_of *queue, uint64_t count, uint64_t bytes)
{
    return solo_drops(queue) &&
           is_too_much(queue, queue->ready.count + count, ready_bytes(queue) + bytes);
}

static bool is_to_drop(const struct solo *solo, int number)
{
    const struct own_queue_of *queue = &solo->queues[number];
    bool is_awaited = credit_of(solo, number) && solo_channel_has_credit(solo);
    return solo_drops(queue) && !is_awaited &&
           is_too_much(queue, queue->ready.count, ready_bytes(queue));
}

/* Has one begun to wait in this step that may be ready at once? */
static bool may_be_ready_again(const struct solo *solo, const struct own_queue_of *queue)
{
    for (size_t i = 0; i < queue->waiting.count; i++)
        if (!queue->waiting.at[i].ready_most_ms && queue->waiting.at[i].ready_ms <= solo_clock_ms(solo))
            return true;
    return false;
}

bool solo_drop_queue(struct solo *solo, int number)
{
    bool any = false;
    for (; solo->queues[number].exists && is_to_drop(solo, number); any = true) {
        /* Then it may be the one that goes, and others stay, or go behind it. Nor is it known which one goes
         * of those that came together, in an order that is not. */
        if (may_be_ready_again(solo, &solo->queues[number]) ||
            solo_is_ambiguous(&solo->queues[number].ready))
            solo_doubt_queues(solo);
        struct entry entry = entries_take(&solo->queues[number].ready, 0);
        sim_of(solo)->report->met[MET_DROPPED]++;
        solo_die(solo, number, &entry, REASON_MAXLEN);
    }
    return any;
}

/* It goes in the broker's next turn, if nothing comes before it until then. */
static bool end_queue(struct solo *solo, int number)
{
    struct own_queue_of *queue = &solo->queues[number];
    size_t at = 0;
    while (at < queue->ready.count && !(entries_is_head(&queue->ready, at) &&
                                        solo_has_ended(solo, &queue->ready.at[at])))
        at++;
    if (!queue->exists || at == queue->ready.count)
        return false;
    struct entry entry = entries_take(&queue->ready, at);
    solo->is_stopped = solo->is_unsettled = true;
    solo_note_room(solo, number);
    sim_of(solo)->report->met[MET_EXPIRED]++;
    solo_die(solo, number, &entry, REASON_EXPIRED);
    return true;
}

void solo_tend(struct solo *solo)
{
    bool any = true;
    while (any) {
        any = false;
        for (int i = 0; i < QUEUES_OF_ONE; i++)
            any |= solo_drop_queue(solo, i) || end_queue(solo, i);
    }
}
