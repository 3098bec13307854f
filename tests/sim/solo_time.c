/* What time does: messages end, and so do queues that nobody uses. When exactly the broker does what it
 * was sent is not known, so when something ends is known only from an earliest time to a latest one. While
 * a message or a queue is between the two, nothing is done; and if a step lasts so long that something may
 * have ended amid it, its outcome is not looked at, and all is looked at anew. */
#include "tests/sim/solo_internal.h"

#include <stdio.h>

enum { GUARD_MS = 40, MARGIN_MS = 5, STALE_MS = 1000, SURVEY_MS = 600000 };

static uint64_t now_ms(const struct solo *solo)
{
    return sim_of(solo)->now_us / 1000;
}

uint64_t solo_clock_ms(const struct solo *solo)
{
    return machine_message_ms(solo->client->machine);
}

/* ---- of messages ---- */

uint64_t solo_ends_ms(const struct entry *entry)
{
    return entry->lives_ms == NO_LIMIT ? NO_LIMIT : entry->came_ms + entry->lives_ms;
}

uint64_t solo_ends_most_ms(const struct entry *entry)
{
    bool is_known = entry->lives_ms != NO_LIMIT && entry->came_most_ms;
    return is_known ? entry->came_most_ms + entry->lives_ms + MARGIN_MS : NO_LIMIT;
}

uint64_t solo_margin_ms(void)
{
    return MARGIN_MS;
}

bool solo_is_soon(const struct solo *solo, uint64_t at_ms)
{
    return at_ms != NO_LIMIT && at_ms <= solo_clock_ms(solo) + GUARD_MS;
}

bool solo_ends_soon(const struct solo *solo, const struct entry *entry)
{
    return solo_is_soon(solo, solo_ends_ms(entry));
}

bool solo_has_ended(const struct solo *solo, const struct entry *entry)
{
    return !entry->is_late && solo_ends_most_ms(entry) < solo->step_ms;
}

bool solo_ends_at_once(const struct entry *entry)
{
    return entry->lives_ms <= GUARD_MS + MACHINE_STALE_MS;
}

void solo_sooner(struct solo *solo, uint64_t at_ms)
{
    if (at_ms < solo->overrun_ms)
        solo->overrun_ms = at_ms;
}

void solo_came(struct solo *solo, int number, struct entry *entry)
{
    const struct own_queue_of *queue = &solo->queues[number];
    entry->lives_ms = entry->ttl_ms < queue->ttl_ms ? entry->ttl_ms : queue->ttl_ms;
    entry->came_ms = solo_clock_ms(solo) - MACHINE_STALE_MS;
    /* What came back to wait, and had ended, was not noticed before it was ready. */
    if (entry->is_late && entry->left_ms < entry->came_ms)
        entry->came_ms = entry->left_ms;
    entry->came_most_ms = 0;
    if (solo_ends_at_once(entry))
        solo->is_stopped = true;
    else
        solo_sooner(solo, solo_ends_ms(entry));
}

/* ---- of queues ---- */

void solo_used(struct solo *solo, int number)
{
    struct own_queue_of *queue = &solo->queues[number];
    uint64_t quiet_ms = solo_clock_ms(solo) - solo->acted_ms;
    queue->used_ms = now_ms(solo);
    /* What ends a channel may be told long after its consumers have gone. */
    if (solo->is_ending && quiet_ms < queue->used_ms)
        queue->used_ms -= quiet_ms;
    queue->used_most_ms = 0;
    if (queue->expires_ms != NO_LIMIT)
        solo_sooner(solo, solo_clock_ms(solo) + queue->expires_ms);
}

static bool may_expire(const struct solo *solo, int number)
{
    const struct own_queue_of *queue = &solo->queues[number];
    return queue->exists && queue->expires_ms != NO_LIMIT && !solo_count_consumers(solo, number);
}

static bool may_end_by(const struct entries *entries, uint64_t by_ms)
{
    for (size_t i = 0; i < entries->count; i++)
        if (solo_ends_ms(&entries->at[i]) < by_ms)
            return true;
    return false;
}

/* A queue goes, and what it has with it. If some of that may have ended before, letters may be anywhere. */
static void expire(struct solo *solo, int number)
{
    struct own_queue_of *queue = &solo->queues[number];
    uint64_t by_ms = solo_clock_ms(solo) + GUARD_MS;
    if (queue->dlx != NONE && (may_end_by(&queue->ready, by_ms) || may_end_by(&queue->waiting, by_ms)))
        solo_doubt_queues(solo);
    sim_say(sim_of(solo), "s%d.q%d has expired", solo->client->number, number);
    solo_remove_queue(solo, number);
    queue->expired_op = ++solo->op;
    solo->is_unsettled = true;
    sim_of(solo)->report->met[MET_QUEUE_EXPIRED]++;
}

static bool may_have_expired(const struct solo *solo, int number)
{
    const struct own_queue_of *queue = &solo->queues[number];
    return may_expire(solo, number) && now_ms(solo) + GUARD_MS >= queue->used_ms + queue->expires_ms;
}

/* True: one is gone, or may be soon. */
static bool expire_queues(struct solo *solo)
{
    bool waits = false;
    for (int i = 0; i < QUEUES_OF_ONE; i++) {
        struct own_queue_of *queue = &solo->queues[i];
        if (!queue->used_most_ms)
            queue->used_most_ms = now_ms(solo);
        if (!may_have_expired(solo, i))
            continue;
        waits = true;
        if (now_ms(solo) <= queue->used_most_ms + queue->expires_ms + MARGIN_MS)
            continue;
        expire(solo, i);
    }
    return waits;
}

/* ---- before a step, and amid it ---- */

/* False: it is not known yet that it has come. */
static bool settle_time(const struct solo *solo, struct entry *entry, bool is_there)
{
    if (entry->lives_ms == NO_LIMIT || entry->came_most_ms)
        return true;
    if (!is_there && entry->op > solo->proved_op)
        return false;
    entry->came_most_ms = solo_clock_ms(solo);
    return true;
}

static bool is_about_to_end(const struct solo *solo, const struct entry *entry)
{
    return solo_ends_soon(solo, entry) && solo_ends_most_ms(entry) >= solo_clock_ms(solo);
}

/* Does `meets` hold of any entry? */
static bool any_entry(struct solo *solo,
                      bool (*meets)(const struct solo *solo, const struct entry *entry))
{
    for (int i = 0; i < QUEUES_OF_ONE; i++)
        for (size_t k = 0; solo->queues[i].exists && k < solo->queues[i].ready.count; k++)
            if (meets(solo, &solo->queues[i].ready.at[k]))
                return true;
    for (size_t i = 0; i < solo->unacked_count; i++)
        if (meets(solo, &solo->unacked[i].entry))
            return true;
    return false;
}

static bool settle_times(struct solo *solo)
{
    bool all = true;
    for (int i = 0; i < QUEUES_OF_ONE; i++)
        for (size_t k = 0; solo->queues[i].exists && k < solo->queues[i].ready.count; k++)
            all &= settle_time(solo, &solo->queues[i].ready.at[k], false);
    for (size_t i = 0; i < solo->unacked_count; i++)
        settle_time(solo, &solo->unacked[i].entry, true);
    return all;
}

bool solo_waits_for_time(struct sim_channel *channel)
{
    struct solo *solo = solo_of(channel);
    solo->step_ms = solo_clock_ms(solo);
    bool is_settled = settle_times(solo);
    if (!solo_settle_waits(solo) || !is_settled) {
        solo_poll(channel);
        return true;
    }
    solo->overrun_ms = NO_LIMIT;
    solo->step++;
    solo_wake(solo);
    solo_tend(solo);
    bool waits = expire_queues(solo);
    return waits || solo->is_unsettled || solo_is_deliverable(solo) || solo_is_waking(solo) ||
           any_entry(solo, is_about_to_end);
}

void solo_begin_step(struct solo *solo)
{
    solo->step_ms = solo_clock_ms(solo);
    solo->overrun_ms = NO_LIMIT;
    for (int i = 0; i < QUEUES_OF_ONE; i++) {
        const struct own_queue_of *queue = &solo->queues[i];
        for (size_t k = 0; queue->exists && k < queue->ready.count; k++)
            if (solo_ends_ms(&queue->ready.at[k]) > solo->step_ms)
                solo_sooner(solo, solo_ends_ms(&queue->ready.at[k]));
        if (may_expire(solo, i))
            solo_sooner(solo, solo->step_ms + queue->used_ms + queue->expires_ms - now_ms(solo));
    }
    solo_sooner(solo, solo_wakes_ms(solo));
    for (size_t i = 0; i < solo->unacked_count; i++)
        if (solo_ends_ms(&solo->unacked[i].entry) > solo->step_ms)
            solo_sooner(solo, solo_ends_ms(&solo->unacked[i].entry));
}

static bool has_ready(const struct own_queue_of *queue, const struct letter *letter)
{
    for (size_t i = 0; queue->exists && i < queue->ready.count; i++)
        if (queue->ready.at[i].id == letter->id)
            return true;
    return false;
}

static bool has_letter(const struct own_queue_of *queue, const struct letter *letter)
{
    for (size_t i = 0; i < queue->ready.count; i++)
        if (solo_is_same(&queue->ready.at[i], letter))
            return true;
    return false;
}

/* The first of a level of a queue which may have ended by then, of several the one that did so first, or
 * NULL. */
static const struct entry *first_to_end_in(const struct solo *solo, int number, uint64_t at_ms)
{
    const struct entries *ready = &solo->queues[number].ready;
    const struct entry *first = NULL;
    for (size_t i = 0; solo->queues[number].exists && i < ready->count; i++)
        if (entries_is_head(ready, i) && solo_ends_ms(&ready->at[i]) <= at_ms) {
            first = &ready->at[i];
            at_ms = solo_ends_ms(first);
        }
    return first;
}

/* The same of all queues: the one in which it lies; NONE: there is none. */
static int first_to_end(const struct solo *solo)
{
    int first = NONE;
    uint64_t at_ms = solo_clock_ms(solo);
    for (int i = 0; i < QUEUES_OF_ONE; i++) {
        const struct entry *entry = first_to_end_in(solo, i, at_ms);
        if (!entry)
            continue;
        first = i;
        at_ms = solo_ends_ms(entry);
    }
    return first;
}

static bool end_first(struct solo *solo, int number)
{
    struct entries *ready = &solo->queues[number].ready;
    const struct entry *first = first_to_end_in(solo, number, solo_clock_ms(solo));
    if (!first)
        return false;
    struct entry entry = entries_take(ready, (size_t)(first - ready->at));
    solo_note_room(solo, number);
    sim_of(solo)->report->met[MET_EXPIRED]++;
    solo_die(solo, number, &entry, REASON_EXPIRED);
    return true;
}

/* What it died in last it may have come to in the same way. */
static bool end_elsewhere(struct solo *solo, const struct letter *letter)
{
    for (int i = 0; i < QUEUES_OF_ONE && letter->deaths > 1; i++)
        if (i != letter->died_in && has_ready(&solo->queues[i], letter) && end_first(solo, i))
            return true;
    return false;
}

/* Is it yet to come of a message in the queue in which it died? It is in the other one as soon as it has. */
static bool is_due_from(const struct solo *solo, int number, const struct letter *letter)
{
    return has_ready(&solo->queues[letter->died_in], letter) && !has_letter(&solo->queues[number], letter);
}

/* A queue's own consumers have what they can take before it drops anything. What was dropped was so for
 * what another queue's message has become that ended. */
void solo_foresee(struct solo *solo, int number, const struct letter *letter)
{
    if (!letter->deaths || letter->died_in == NONE)
        return;
    struct own_queue_of *queue = &solo->queues[letter->died_in];
    int other;
    solo_wake_letter(solo, letter->died_in, letter, false);
    solo_tend(solo);
    while (letter->why == REASON_EXPIRED && !has_ready(queue, letter) && end_elsewhere(solo, letter))
        continue;
    if (letter->why == REASON_EXPIRED)
        while (is_due_from(solo, number, letter) && end_first(solo, letter->died_in))
            continue;
    while (letter->why == REASON_MAXLEN && is_due_from(solo, number, letter) &&
           (other = first_to_end(solo)) != NONE) {
        end_first(solo, other);
        solo_tend(solo);
    }
}

/* Does one wait that may have been ready, and have ended, by now? */
static bool may_have_woken_to_end(const struct solo *solo, const struct own_queue_of *queue)
{
    uint64_t clock_ms = solo_clock_ms(solo);
    for (size_t i = 0; queue->exists && i < queue->waiting.count; i++)
        if (queue->waiting.at[i].ready_ms <= clock_ms && solo_ends_ms(&queue->waiting.at[i]) <= clock_ms)
            return true;
    return false;
}

bool solo_may_have_sent(const struct solo *solo, const struct letter *letter)
{
    bool may_send = false, is_known = false;
    for (int i = 0; i < QUEUES_OF_ONE; i++) {
        bool may_end = first_to_end_in(solo, i, solo_clock_ms(solo)) ||
                       may_have_woken_to_end(solo, &solo->queues[i]);
        may_send |= solo->queues[i].dlx != NONE && may_end;
        is_known |= has_ready(&solo->queues[i], letter);
    }
    return may_send && is_known;
}

/* What had to be read to be delivered may have ended before it was. */
static bool may_be_read_late(const struct solo *solo, uint64_t ends_ms)
{
    uint64_t ago_ms = now_ms(solo) - solo->client->machine->slow_job_us / 1000;
    return ends_ms + ago_ms <= solo_clock_ms(solo);
}

static bool is_stale(const struct solo *solo, const struct entry *entry)
{
    uint64_t ends_ms = solo_ends_ms(entry);
    return ends_ms != NO_LIMIT && ends_ms + STALE_MS < solo_clock_ms(solo) &&
           (!entry->came_most_ms || may_be_read_late(solo, ends_ms));
}

bool solo_is_overrun(struct solo *solo)
{
    if (solo->survey != SURVEY_NOT || !solo->is_open)
        return false;
    return solo->is_doubted || solo_clock_ms(solo) >= solo->overrun_ms ||
           (solo_is_deliverable(solo) && any_entry(solo, is_stale));
}

/* ---- asking ---- */

/* A limit that is as it was. */
void solo_poll(struct sim_channel *channel)
{
    union method method = {.basic_qos = {.id = METHOD_BASIC_QOS,
                                         .prefetch_count = (uint16_t)solo_of(channel)->prefetch}};
    solo_call(channel, &method, METHOD_BASIC_QOS_OK, CALL_POLL);
}

bool solo_is_settled(const struct solo *solo)
{
    char prefix[NAME_SIZE];
    snprintf(prefix, sizeof(prefix), "s%d.", solo->client->number);
    return machine_is_settled(solo->client->machine, prefix);
}

void solo_polled(struct solo *solo, uint64_t op)
{
    if (!solo_is_settled(solo))
        return;
    solo->is_unsettled = false;
    for (int i = 0; i < QUEUES_OF_ONE; i++) {
        struct own_queue_of *queue = &solo->queues[i];
        for (size_t k = 0; k < queue->ready.count; k++) {
            struct entry *entry = &queue->ready.at[k];
            if (entry->is_late)
                entry->op = op;
            entry->is_late = false;
        }
        for (size_t k = 0; k < queue->ghosts.count; k++)
            if (queue->ghosts.at[k].op == pending_op)
                queue->ghosts.at[k].op = op;
    }
}

/* ---- surveys ---- */

static bool may_end_soon(const struct solo *solo, const struct entries *entries)
{
    return may_end_by(entries, solo_clock_ms(solo) + SURVEY_MS);
}

void solo_doubt_queues(struct solo *solo)
{
    for (int i = 0; i < QUEUES_OF_ONE; i++)
        solo->queues[i].is_unsure = true;
    solo->is_known = false;
    solo->is_doubted = solo->is_open && solo->survey == SURVEY_NOT;
}

void solo_doubt_ended(struct solo *solo)
{
    uint64_t by_ms = solo_clock_ms(solo) + GUARD_MS;
    bool any = false;
    for (int i = 0; i < QUEUES_OF_ONE; i++) {
        any |= solo->queues[i].exists && solo->queues[i].dlx != NONE &&
               may_end_by(&solo->queues[i].ready, by_ms);
        /* What was on its way may have come when its bindings were gone, and found others. */
        any |= solo->proved_op < solo->op && may_have_expired(solo, i);
    }
    for (size_t i = 0; i < solo->unacked_count; i++)
        any |= solo_is_of_queue(solo, &solo->unacked[i]) &&
               solo->queues[solo->unacked[i].queue].dlx != NONE &&
               solo_ends_ms(&solo->unacked[i].entry) < by_ms;
    if (any)
        solo_doubt_queues(solo);
}

/* What a queue drops depends on what came back. True: that is in doubt now. */
static bool doubt_drops(struct own_queue_of *queue)
{
    if (!solo_drops(queue) || !queue->ghosts.count)
        return false;
    for (size_t i = 0; i < queue->ready.count; i++)
        queue->ready.at[i].is_doubtful = true;
    return true;
}

void solo_doubt_time(struct solo *solo)
{
    bool may_send = false;
    for (int i = 0; i < QUEUES_OF_ONE; i++) {
        struct own_queue_of *queue = &solo->queues[i];
        bool ends = may_end_soon(solo, &queue->ready) || may_end_soon(solo, &queue->ghosts) ||
                    may_end_soon(solo, &queue->waiting);
        bool drops = doubt_drops(queue);
        may_send |= queue->exists && queue->dlx != NONE && (ends || drops);
        queue->is_unsure |= queue->exists && queue->expires_ms < SURVEY_MS;
    }
    if (may_send)
        solo_doubt_queues(solo);
}
