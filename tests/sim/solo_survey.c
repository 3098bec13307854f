/* What a loss leaves in doubt, and a look at everything that removes the doubt. */
#include "tests/sim/solo_internal.h"

#include <stdio.h>

/* ---- ends ---- */

/* Which messages a queue drops when several come back, if their bytes count, depends on their order. */
static void may_drop_amid(struct solo *solo, int number)
{
    size_t count = 0;
    struct own_queue_of *queue = &solo->queues[number];
    for (size_t i = 0; i < solo->unacked_count; i++)
        count += solo->unacked[i].queue == number;
    if (!solo_drops(queue) || queue->max_bytes == NO_LIMIT || count < 2)
        return;
    queue->is_unsure = true;
    solo->is_known = false;
}

/* Dead letters that were on their way come or do not come; the queues they come from and go to are
 * not worth the doubt. */
static void doubt_late(struct solo *solo)
{
    for (int i = 0; i < QUEUES_OF_ONE; i++) {
        struct own_queue_of *queue = &solo->queues[i];
        for (size_t k = 0; queue->exists && k < queue->ready.count; k++) {
            if (!queue->ready.at[k].is_late)
                continue;
            queue->is_unsure = true;
            solo->queues[queue->ready.at[k].died_in].is_unsure = true;
        }
    }
}

/* All that the channel had goes back. */
void solo_end_channel(struct solo *solo)
{
    solo->op++;
    for (int i = 0; i < QUEUES_OF_ONE; i++)
        may_drop_amid(solo, i);
    solo->is_ending = true;
    for (int i = 0; i < CONSUMERS_OF_ONE; i++)
        if (solo->consumers[i].is_active)
            solo_end_consumer(solo, i);
    while (solo->unacked_count) {
        solo->unacked[0].has_failed = true;
        solo_settle_model(solo, 0, SETTLED_NOT);
    }
    solo->is_ending = false;
    solo_tend(solo);
    if (!solo->is_known)
        doubt_late(solo); /* what came back too often, too */
    solo->overrun_ms = NO_LIMIT;
    memset(solo->consumers, 0, sizeof(solo->consumers));
    solo->calls_count = solo->returns_count = solo->cancels_due = 0;
    solo->publishes_count = solo->tx_count = 0;
    solo->machine_refused = machine_refused(solo->client->machine);
    solo->tag_last = 0;
    solo->prefetch = solo->prefetch_global = 0;
    solo->expected_code = 0;
    solo->is_doubted = false;
    solo->is_stopped = true;
}

/* A letter of what was got, which has its number, too, was not. */
static void unsee(struct entries *entries, const struct entry *got)
{
    for (size_t i = 0; i < entries->count; i++) {
        struct entry *entry = &entries->at[i];
        if (entry->id == got->id && entry->deaths == got->deaths && entry->died_in == got->died_in) {
            entry->is_seen = got->is_seen;
            entry->count_least = got->count_least;
        }
    }
}

/* It may not have been got at all, whatever was to be done with it then. */
static void doubt_seen(struct solo *solo, const struct call *of)
{
    for (size_t i = 0; i < solo->unacked_count; i++)
        if (solo->unacked[i].tag == of->tag) {
            solo->unacked[i].entry.is_seen = of->got.is_seen;
            solo->unacked[i].entry.is_unread = true;
        }
    unsee(&solo->queues[of->queue].ghosts, &of->got);
    unsee(&solo->queues[of->queue].ready, &of->got);
}

/* What was on its way is in doubt. */
static void doubt(struct solo *solo, struct call *of)
{
    if (of->queue != NONE)
        solo->queues[of->queue].is_unsure |= of->is_change;
    if (of->kind == CALL_GET && !of->is_empty)
        doubt_seen(solo, of);
    if (of->queue != NONE && of->no_ack)
        solo->queues[of->queue].is_excused = true;
    if (of->exchange != NONE)
        solo->exchanges[of->exchange].is_unsure |= of->kind == CALL_TOPOLOGY;
    if (of->has_binding && solo->doubtful_count < BINDINGS_MAX * 2)
        solo->doubtful[solo->doubtful_count++] = of->binding;
}

static void doubt_count(struct solo *solo, const struct own_queue_of *queue, struct entry *entry)
{
    if (solo_may_be_too_often(queue, entry))
        solo_doubt_queues(solo);
    entry->count_most++;
}

/* What is ready, or is so if it has not gone, may have been delivered, unseen, and come back. */
static void doubt_counts(struct solo *solo)
{
    for (int i = 0; i < QUEUES_OF_ONE; i++) {
        struct own_queue_of *queue = &solo->queues[i];
        for (size_t k = 0; queue->exists && k < queue->ready.count; k++)
            doubt_count(solo, queue, &queue->ready.at[k]);
        for (size_t k = 0; queue->exists && k < queue->ghosts.count; k++)
            if (queue->ghosts.at[k].is_possible || queue->ghosts.at[k].op > solo->proved_op)
                doubt_count(solo, queue, &queue->ghosts.at[k]);
    }
}

void solo_doubt_all(struct solo *solo)
{
    solo_doubt_operator(solo);
    for (int i = 0; i < solo->calls_count; i++)
        doubt(solo, &solo->calls[i]);
    for (int i = 0; i < CONSUMERS_OF_ONE; i++)
        if (solo->consumers[i].is_active && solo->consumers[i].no_ack)
            solo->queues[solo->consumers[i].queue].is_excused = true;
    for (int i = 0; i < EXCHANGES_OF_ONE; i++)
        solo->exchanges[i].is_unsure |= solo->exchanges[i].auto_delete;
    for (int i = 0; i < QUEUES_OF_ONE; i++)
        solo->queues[i].is_unsure |= solo->queues[i].auto_delete;
    doubt_counts(solo);
    solo_doubt_waits(solo);
    doubt_late(solo);
    solo_doubt_ended(solo);
    solo->is_known = false;
}

static void end_exclusive(struct solo *solo)
{
    for (int i = 0; i < QUEUES_OF_ONE; i++) {
        struct own_queue_of *queue = &solo->queues[i];
        if (!queue->exists || !queue->exclusive)
            continue;
        solo_remove_queue(solo, i);
        sim_of(solo)->report->met[MET_EXCLUSIVE_GONE]++;
        for (int k = 0; k < EXCHANGES_OF_ONE; k++)
            solo->exchanges[k].is_unsure |= solo->exchanges[k].auto_delete;
        solo->is_known = false;
    }
}

void solo_all_crossed(struct solo *solo)
{
    for (int i = 0; i < QUEUES_OF_ONE; i++) {
        struct own_queue_of *queue = &solo->queues[i];
        for (size_t k = 0; k < queue->ready.count; k++)
            queue->ready.at[k].is_crossed = true;
        for (size_t k = 0; k < queue->ghosts.count; k++)
            queue->ghosts.at[k].is_crossed = true;
    }
}

void solo_lost(struct sim_channel *channel, bool is_closed_well)
{
    struct solo *solo = solo_of(channel);
    /* What has waited long enough may have been delivered, and come back. */
    bool was_quiet = solo_is_quiet(channel) && !solo_is_waking(solo);
    solo_doubt_operator(solo);
    if (solo->is_open && is_closed_well && was_quiet) {
        solo->proved_op = solo->op;
        solo_doubt_ended(solo); /* before an exclusive queue went, or not */
    } else if (solo->is_open) {
        solo_doubt_all(solo);
    }
    solo_end_channel(solo);
    solo_all_crossed(solo);
    end_exclusive(solo);
    solo->is_open = solo->is_ignoring = false;
}

void solo_machine_ends(struct solo *solo)
{
    uint64_t clock_ms = solo_clock_ms(solo);
    solo->ended_ms = clock_ms > solo->ended_ms ? clock_ms : solo->ended_ms;
    solo->highest_ms = clock_ms > solo->highest_ms ? clock_ms : solo->highest_ms;
}

static bool is_about_room(const struct method_channel_close *method)
{
    char text[256];
    snprintf(text, sizeof(text), "%.*s", BYTES_ARG(method->reply_text));
    return method->reply_code == 406 && (strstr(text, "larger than") || strstr(text, "no room"));
}

/* What was refused for want of room just before the channel ended is not told any more. */
static void doubt_unanswered(struct solo *solo)
{
    if (machine_refused(solo->client->machine) == solo->machine_refused)
        return;
    for (size_t i = 0; i < solo->publishes_count; i++)
        if (!solo->publishes[i].is_answered)
            solo_doubt_publish(solo, &solo->publishes[i]);
}

void solo_channel_closed(struct sim_channel *channel, const struct method_channel_close *method)
{
    struct solo *solo = solo_of(channel);
    char text[256];
    if (solo->is_ignoring)
        return;
    snprintf(text, sizeof(text), "%.*s", BYTES_ARG(method->reply_text));
    bool is_expected =
        solo->expected_code == method->reply_code && strstr(text, solo->expected_text);
    if (solo_is_overrun(solo)) {
        is_expected = false;
        solo_doubt_all(solo);
    } else if (is_expected) {
        solo->proved_op = solo->op;
        doubt_unanswered(solo);
    } else if (is_about_room(method)) {
        solo_doubt_all(solo);
    } else {
        sim_fail(sim_of(solo), "s%d: closed: %u %s, expected %u %s", solo->client->number,
                 method->reply_code, text, solo->expected_code, solo->expected_text);
        return;
    }
    solo_end_channel(solo);
    if (!is_expected)
        solo_all_crossed(solo);
    solo->is_open = false;
}

/* ---- looking at everything ---- */

/* Is it certain that the entry is there, or that it is not? */
bool solo_must_be_there(const struct solo *solo, const struct own_queue_of *queue,
                          const struct entry *entry, bool restarted, bool crashed)
{
    uint64_t sure = crashed ? solo->durable_op : solo->proved_op;
    return entry->op <= sure && !queue->is_excused &&
           (!restarted || solo_survives_in(queue, entry));
}

/* The machine was started anew. */
static void restart_model(struct solo *solo, bool restarted, bool crashed)
{
    bool has_sent = false;
    for (int i = 0; i < QUEUES_OF_ONE; i++) {
        struct own_queue_of *queue = &solo->queues[i];
        if (queue->exists && restarted && !queue->durable && !queue->is_mirrored)
            solo_remove_queue(solo, i);
        for (size_t k = 0; k < queue->ready.count;) {
            struct entry *entry = &queue->ready.at[k];
            bool must = solo_must_be_there(solo, queue, entry, restarted, crashed);
            bool may = !restarted || solo_survives_in(queue, entry);
            bool may_have_ended = solo_ends_ms(entry) <= solo->ended_ms;
            entry->is_doubtful |= !must || may_have_ended;
            has_sent |= may_have_ended && queue->dlx != NONE;
            if (crashed && (entry->count_op > solo->durable_op || machine_was_short(solo->client->machine)))
                entry->count_least = 0;
            entry->is_late = false;
            if (restarted) /* by a clock that was */
                entry->ready_ms = entry->ready_most_ms = 0;
            if (may)
                k++;
            else
                entries_take(&queue->ready, k);
        }
        for (size_t k = 0; k < queue->ghosts.count;) {
            struct entry *ghost = &queue->ghosts.at[k];
            uint64_t sure = crashed ? solo->durable_op : solo->proved_op;
            bool may = (ghost->is_possible || ghost->op > sure) &&
                       (!restarted || solo_survives_in(queue, ghost));
            ghost->is_possible = may;
            if (crashed)
                ghost->count_least = 0;
            if (may)
                k++;
            else
                entries_take(&queue->ghosts, k);
        }
        queue->is_excused = false;
        /* It is back, and has sent letters. */
        if (crashed && !queue->exists && queue->expired_op > solo->durable_op)
            solo_doubt_queues(solo);
    }
    if (has_sent)
        solo_doubt_queues(solo);
    for (int i = 0; i < EXCHANGES_OF_ONE && restarted; i++) {
        if (solo->exchanges[i].exists && !solo->exchanges[i].durable)
            solo_remove_exchange(solo, i);
        solo->exchanges[i].is_unsure |= solo->exchanges[i].auto_delete;
    }
    sim_of(solo)->report->met[!restarted ? MET_SURVEY
                              : crashed  ? MET_SURVEY_CRASH
                                         : MET_SURVEY_RESTART]++;
}

void solo_begin_survey(struct solo *solo, bool restarted)
{
    bool crashed = sim_of(solo)->crash_epoch > solo->epoch;
    sim_say(sim_of(solo), "s%d looks at everything:%s%s", solo->client->number,
            restarted ? " the machine was restarted" : "", crashed ? " after a crash" : "");
    restart_model(solo, restarted, crashed);
    solo_restart_waits(solo, restarted, crashed);
    solo_doubt_time(solo);
    solo->ended_ms = 0;
    solo->is_unsettled = false;
    solo->overrun_ms = NO_LIMIT;
    solo->survey = SURVEY_UNBIND;
    solo->survey_at = 0;
    solo->survey_place = 0;
    solo->is_known = true;
}

static bool survey_unbind(struct sim_channel *channel)
{
    struct solo *solo = solo_of(channel);
    if (!solo->doubtful_count) {
        solo->survey++;
        return false;
    }
    struct own_binding binding = solo->doubtful[--solo->doubtful_count];
    solo_send_binding(channel, &binding, true);
    int at = solo_find_binding(solo, &binding);
    if (solo->exchanges[binding.source].auto_delete)
        solo->exchanges[binding.source].is_unsure = true;
    if (at != NONE)
        solo_remove_binding(solo, at);
    return true;
}

static bool survey_queues(struct sim_channel *channel)
{
    struct solo *solo = solo_of(channel);
    char text[NAME_SIZE];
    for (int i = 0; i < QUEUES_OF_ONE; i++) {
        if (!solo->queues[i].is_unsure)
            continue;
        union method method = {
            .queue_delete = {.id = METHOD_QUEUE_DELETE, .queue = solo_queue_text(solo, i, text)}};
        struct call *next = solo_call(channel, &method, METHOD_QUEUE_DELETE_OK, CALL_OTHER);
        next->queue = i;
        next->is_change = true;
        next->most = UINT32_MAX;
        solo_remove_queue(solo, i);
        solo->queues[i].is_unsure = false;
        return true;
    }
    solo->survey++;
    return false;
}

static bool survey_policies(struct sim_channel *channel)
{
    struct solo *solo = solo_of(channel);
    if (solo_clear_unsure_policies(solo))
        return true;
    solo->survey++;
    return false;
}

static bool survey_exchanges(struct sim_channel *channel)
{
    struct solo *solo = solo_of(channel);
    char text[NAME_SIZE];
    for (int i = 0; i < EXCHANGES_OF_ONE; i++) {
        if (!solo->exchanges[i].is_unsure)
            continue;
        union method method = {.exchange_delete = {.id = METHOD_EXCHANGE_DELETE,
                                                   .exchange = solo_exchange_text(solo, i, text)}};
        solo_call(channel, &method, METHOD_EXCHANGE_DELETE_OK, CALL_TOPOLOGY)->exchange = i;
        if (solo->exchanges[i].exists)
            solo_remove_exchange(solo, i);
        solo->exchanges[i].is_unsure = false;
        return true;
    }
    solo->survey++;
    solo->survey_at = 0;
    return false;
}

/* What was answered is there. */
static bool survey_check(struct sim_channel *channel)
{
    struct solo *solo = solo_of(channel);
    while (solo->survey_at < EXCHANGES_OF_ONE) {
        int at = solo->survey_at++;
        if (!solo->exchanges[at].exists)
            continue;
        solo_send_exchange_declare(channel, at, &solo->exchanges[at], false);
        return true;
    }
    solo->survey++;
    solo->survey_at = 0;
    return false;
}

static bool survey_look(struct sim_channel *channel)
{
    struct solo *solo = solo_of(channel);
    for (; solo->survey_at < QUEUES_OF_ONE; solo->survey_at++) {
        if (!solo->queues[solo->survey_at].exists)
            continue;
        solo->look_ms = solo_clock_ms(solo);
        solo->look_is_settled = solo_is_settled(solo);
        if (!solo->survey_place)
            solo->look_from_ms = solo->look_is_settled ? solo->look_ms : 0;
        solo_send_get(channel, solo->survey_at, false, CALL_LOOK);
        return true;
    }
    solo->survey++;
    return false;
}

static bool survey_return(struct sim_channel *channel)
{
    struct solo *solo = solo_of(channel);
    solo->survey = SURVEY_NOT;
    for (int i = 0; i < QUEUES_OF_ONE; i++)
        solo->is_unsettled |= solo->queues[i].waiting.count > 0;
    if (!solo->unacked_count)
        return false;
    solo_send_settle_of(channel, 0, true, SETTLED_NOT);
    solo->step_ms = 0; /* whatever has ended goes before the next step */
    while (solo->unacked_count)
        solo_settle_model(solo, 0, SETTLED_NOT);
    return true;
}

void solo_survey_step(struct sim_channel *channel)
{
    static bool (*const stages[])(struct sim_channel *) = {
        [SURVEY_UNBIND] = survey_unbind,       [SURVEY_QUEUES] = survey_queues,
        [SURVEY_POLICIES] = survey_policies,   [SURVEY_EXCHANGES] = survey_exchanges,
        [SURVEY_CHECK] = survey_check,         [SURVEY_LOOK] = survey_look,
        [SURVEY_RETURN] = survey_return};
    struct solo *solo = solo_of(channel);
    while (solo->survey != SURVEY_NOT && !stages[solo->survey](channel))
        continue;
}

/* Of what is known, what is it that has come? */
static struct entry *find_known(struct own_queue_of *queue, const struct letter *letter,
                                uint64_t after)
{
    struct entries *both[] = {&queue->ready, &queue->ghosts};
    struct entry *best = NULL;
    for (int i = 0; i < 2; i++)
        for (size_t k = 0; k < both[i]->count; k++) {
            struct entry *entry = &both[i]->at[k];
            if (!solo_is_same(entry, letter))
                continue;
            bool is_better = !best || (best->place < after && entry->place > best->place);
            if (is_better)
                best = entry;
        }
    return best;
}

static void forget_known(struct own_queue_of *queue, const struct entry *entry)
{
    struct entries *both[] = {&queue->ready, &queue->ghosts};
    for (int i = 0; i < 2; i++)
        if (both[i]->count && entry >= both[i]->at && entry < both[i]->at + both[i]->count)
            entries_take(both[i], (size_t)(entry - both[i]->at));
}

/* May it have been ready only when the survey had got others of its queue? */
static bool has_woken_amid(const struct solo *solo, const struct entry *entry)
{
    return entry->ready_ms && !(entry->ready_most_ms && entry->ready_most_ms < solo->look_from_ms);
}

/* The clock may have been ahead when it came. */
static uint64_t came_most_ms(const struct solo *solo, const struct entry *entry)
{
    uint64_t clock_ms = solo_clock_ms(solo);
    return entry->came_ms > clock_ms ? solo->highest_ms : clock_ms;
}

void solo_looked_at(struct sim_channel *channel, const struct letter *letter)
{
    struct solo *solo = solo_of(channel);
    int number = solo->survey_at;
    struct own_queue_of *queue = &solo->queues[number];
    solo_wake_letter(solo, number, letter, true);
    struct entry *known = find_known(queue, letter, solo->survey_place);
    if (!known) {
        solo_fails(solo, "is there, and should not be", letter->id, number);
        return;
    }
    struct entry entry = *known;
    forget_known(queue, known);
    solo_check_letter(channel, &entry, letter, number);
    if (solo_ends_most_ms(&entry) < solo->look_ms)
        solo_fails(solo, "comes after its end", letter->id, number);
    if (!entry.came_most_ms)
        entry.came_most_ms = came_most_ms(solo, &entry);
    bool is_behind = entry.place < solo->survey_place, has_woken = has_woken_amid(solo, &entry);
    if (is_behind && !entry.deaths && !has_woken)
        solo_fails(solo, "has lost its place", letter->id, number);
    if (is_behind && !has_woken && entry.place >> LEVEL_SHIFT == solo->survey_place >> LEVEL_SHIFT)
        entry.place = solo->survey_place + 1;
    if (entry.place > solo->survey_place)
        solo->survey_place = entry.place;
    if (channel->content_tag != ++solo->tag_last)
        solo_fails(solo, "has the wrong delivery tag", letter->id, number);
    entry.is_late = entry.is_crossed = entry.is_doubtful = entry.is_possible = false;
    entry.step = entry.way = 0;
    if (entry.op > solo->durable_op)
        entry.op = solo->op; /* seen, but nobody has said that it is durable */
    solo_add_unacked(solo, channel->content_tag, number, NONE, &entry);
}

/* Nothing more is in the queue. */
void solo_looked_through(struct solo *solo, int number)
{
    struct own_queue_of *queue = &solo->queues[number];
    for (size_t i = 0; i < queue->ready.count; i++)
        if (!queue->ready.at[i].is_doubtful &&
            solo_ends_ms(&queue->ready.at[i]) > solo_clock_ms(solo))
            solo_fails(solo, "is lost", queue->ready.at[i].id, number);
    entries_clear(&queue->ready);
    solo_check_waits(solo, number);
    for (size_t i = 0; i < queue->ghosts.count;) {
        queue->ghosts.at[i].is_possible = false;
        if (queue->ghosts.at[i].op == pending_op)
            i++;
        else
            entries_take(&queue->ghosts, i);
    }
    solo->survey_at++;
    solo->survey_place = 0;
}
