/* What comes from the broker, against the exact model behind solo.h. A step sends one method, or
 * several when no consumer can get a message meanwhile, and changes the model at once, as the
 * broker will in the same order; the next step comes when every answer, confirm, return and
 * delivery that the model knows of has come. */
#include "tests/sim/solo.h"

#include <inttypes.h>

#include "base/mem.h"
#include "tests/sim/solo_internal.h"

/* ---- deliveries ---- */

/* The first that fits; the number of those ready: there is none. */
static size_t find_ready(const struct entries *ready, const struct letter *letter)
{
    size_t at = 0;
    while (at < ready->count && !solo_is_same(&ready->at[at], letter))
        at++;
    return at;
}

static int find_consumer(const struct solo *solo, const char *tag)
{
    for (int i = 0; i < CONSUMERS_OF_ONE; i++)
        if (solo->consumers[i].is_active && strcmp(solo->consumers[i].tag, tag) == 0)
            return i;
    return NONE;
}

/* A higher one has credit, too. */
static bool is_preceded(const struct solo *solo, const struct own_consumer *consumer)
{
    for (int i = 0; i < CONSUMERS_OF_ONE; i++) {
        const struct own_consumer *other = &solo->consumers[i];
        if (solo_consumer_is_served(solo, other) && other->queue == consumer->queue &&
            other->priority > consumer->priority && solo_consumer_has_credit(other))
            return !solo->prefetch_global;
    }
    return false;
}

static void delivered(struct sim_channel *channel, const struct letter *letter)
{
    struct solo *solo = solo_of(channel);
    int number = find_consumer(solo, channel->content_consumer_tag);
    if (number == NONE) {
        sim_fail(sim_of(solo), "s%d: a delivery for consumer %s, which there is not",
                 solo->client->number, channel->content_consumer_tag);
        return;
    }
    struct own_consumer *consumer = &solo->consumers[number];
    struct entries *ready = &solo->queues[consumer->queue].ready;
    size_t at = find_ready(ready, letter);
    if (at == ready->count) {
        solo_wake_letter(solo, consumer->queue, letter, true);
        at = find_ready(ready, letter);
    }
    if (at == ready->count) {
        solo_foresee(solo, consumer->queue, letter);
        at = find_ready(ready, letter);
    }
    if (at == ready->count && letter->deaths && solo_may_have_sent(solo, letter)) {
        solo_doubt_queues(solo);
        return;
    }
    if (at == ready->count)
        solo_fails(solo, "comes, and should not be there", letter->id, consumer->queue);
    else if (!solo_may_be_first(ready, at))
        solo_fails(solo, "comes before its turn", letter->id, consumer->queue);
    else if (!solo_consumer_has_credit(consumer) || !solo_channel_has_credit(solo))
        solo_fails(solo, "comes beyond the prefetch", letter->id, consumer->queue);
    else if (!solo_consumer_is_served(solo, consumer))
        solo_fails(solo, "comes to a consumer that waits", letter->id, consumer->queue);
    else if (is_preceded(solo, consumer))
        solo_fails(solo, "comes to a consumer of lower priority", letter->id, consumer->queue);
    if (sim_of(solo)->is_failed)
        return;
    struct entry entry = entries_take(ready, at);
    solo_check_letter(channel, &entry, letter, consumer->queue);
    if (channel->content_tag != ++solo->tag_last)
        solo_fails(solo, "has the wrong delivery tag", letter->id, consumer->queue);
    if (consumer->no_ack) {
        solo_note_leave(solo, &solo->queues[consumer->queue], &entry);
        solo_add_seen_ghost(&solo->queues[consumer->queue], entry, solo->op);
        solo->queues[consumer->queue].left_step[entry.same] = solo->step;
    } else {
        solo_add_unacked(solo, channel->content_tag, consumer->queue, number, &entry);
    }
    solo_tend(solo);
    if (solo->queues[consumer->queue].max_priority != NO_LIMIT)
        sim_of(solo)->report->met[MET_PRIORITY]++;
    if (consumer->is_single && consumer->number != solo->queues[consumer->queue].first_consumer)
        sim_of(solo)->report->met[MET_SINGLE_PASSED_ON]++;
    sim_of(solo)->report->met[MET_SOLO_DELIVERED]++;
}

static struct own_publish *find_publish(const struct solo *solo, uint64_t id)
{
    for (size_t i = 0; i < solo->publishes_count; i++)
        if (solo->publishes[i].id == id)
            return &solo->publishes[i];
    return NULL;
}

/* One that is to be returned is not any more: the first, but where there is no room for some. */
static void take_return(struct solo *solo, uint64_t id)
{
    int at = 0;
    while (at < solo->returns_count - 1 && solo->returns[at] != id)
        at++;
    solo->returns_count--;
    memmove(solo->returns + at, solo->returns + at + 1,
            sizeof(solo->returns[0]) * (size_t)(solo->returns_count - at));
    struct own_publish *publish = find_publish(solo, id);
    if (publish)
        publish->is_returned = false;
}

/* Is this the next one? Those that should come before it may have been refused for want of room, and that
 * not be told yet. */
static bool is_next_return(struct solo *solo, uint64_t id)
{
    int at = 0;
    for (; at < solo->returns_count && solo->returns[at] != id; at++) {
        struct own_publish *earlier = find_publish(solo, solo->returns[at]);
        if (!earlier || earlier->is_answered)
            return false;
        earlier->is_passed = true;
    }
    const struct own_publish *publish = find_publish(solo, id);
    return at < solo->returns_count && !(publish && publish->is_passed);
}

static void returned(struct sim_channel *channel, const struct letter *letter)
{
    struct solo *solo = solo_of(channel);
    if (!is_next_return(solo, letter->id) || channel->content_code != 312) {
        sim_fail(sim_of(solo), "s%d: message %" PRIu64 " is returned, and %" PRIu64 " should be",
                 solo->client->number, letter->id, solo->returns_count ? solo->returns[0] : 0);
        return;
    }
    take_return(solo, letter->id);
    sim_of(solo)->report->met[MET_RETURNED]++;
}

/* ---- answers ---- */

static size_t count_unanswered(const struct solo *solo)
{
    size_t count = 0;
    for (size_t i = 0; i < solo->publishes_count; i++)
        count += !solo->publishes[i].is_answered;
    return count;
}

/* Is it how many messages are left? Some may have been refused, and that not be told yet. */
static bool is_count(const struct solo *solo, uint32_t count, uint32_t least, uint32_t most)
{
    return count <= most && count + count_unanswered(solo) >= least;
}

static void counted(struct solo *solo, const struct call *of, uint32_t count)
{
    if (of->queue < 0) { /* an error is due */
        sim_fail(sim_of(solo), "s%d: what should be refused is done", solo->client->number);
        return;
    }
    if (!is_count(solo, count, of->least, of->most))
        sim_fail(sim_of(solo), "s%d.q%d: %u messages are counted, and there are %u to %u",
                 solo->client->number, of->queue, count, of->least, of->most);
}

/* Has it been refused for want of room, or perhaps, as that is not told yet? Then other tags are given, too, than
 * those by which some have been settled meanwhile. */
static bool may_be_refused(const struct solo *solo, const struct entry *entry)
{
    const struct own_publish *publish = find_publish(solo, entry->id);
    return publish && (publish->is_lost ||
                       (!publish->is_answered &&
                        machine_refused(solo->client->machine) != solo->machine_refused));
}

static void got(struct sim_channel *channel, const struct call *of, const union method *method)
{
    struct solo *solo = solo_of(channel);
    bool is_empty = method->id == METHOD_BASIC_GET_EMPTY;
    if (of->kind == CALL_LOOK) {
        if (is_empty)
            solo_looked_through(solo, of->queue);
        return;
    }
    if (is_empty && !of->is_empty && may_be_refused(solo, &of->got))
        solo_doubt_queues(solo);
    else if (is_empty != of->is_empty)
        sim_fail(sim_of(solo), "s%d.q%d: get %s a message", solo->client->number, of->queue,
                 is_empty ? "does not find" : "finds");
    if (!is_empty && !is_count(solo, method->basic_get_ok.message_count, of->least, of->most))
        sim_fail(sim_of(solo), "s%d.q%d: get says that %u messages are left, and it is %u",
                 solo->client->number, of->queue, method->basic_get_ok.message_count, of->most);
}

/* The step has taken so long that its outcome is not known: what comes does not count, and all will be
 * looked at on another channel. */
static void give_up(struct sim_channel *channel)
{
    struct solo *solo = solo_of(channel);
    union method method = {.channel_close = {.id = METHOD_CHANNEL_CLOSE, .reply_code = 200}};
    solo->is_ignoring = channel->is_leaving = true;
    sim_say(sim_of(solo), "s%d gives up its step", solo->client->number);
    sim_of(solo)->report->met[MET_STEP_GIVEN_UP]++;
    size_t count = channel->expected_count;
    if (!count || channel->expected[count - 1].request != METHOD_CHANNEL_CLOSE)
        client_call(channel, &method, METHOD_CHANNEL_CLOSE_OK, NONE);
}

static bool ignores(struct sim_channel *channel)
{
    struct solo *solo = solo_of(channel);
    if (!solo->is_ignoring && solo_is_overrun(solo))
        give_up(channel);
    return solo->is_ignoring;
}

static void end_ignored(struct sim_channel *channel)
{
    struct solo *solo = solo_of(channel);
    solo_doubt_all(solo);
    solo_end_channel(solo);
    solo_all_crossed(solo);
    solo->is_open = solo->is_ignoring = false;
    channel_ends(channel);
}

void solo_replied(struct sim_channel *channel, const struct expected *expected,
                  const union method *method)
{
    struct solo *solo = solo_of(channel);
    bool is_ours = expected->request != METHOD_CHANNEL_OPEN &&
                   expected->request != METHOD_CONFIRM_SELECT &&
                   expected->request != METHOD_TX_SELECT;
    bool is_closed = is_ours && method->id == METHOD_CHANNEL_CLOSE_OK;
    if (is_closed && (solo->is_ignoring || solo_is_overrun(solo)))
        end_ignored(channel);
    else if (is_closed && !solo->is_open) /* the broker had closed it as well */
        channel_ends(channel);
    if (!is_ours || !solo->is_open || ignores(channel))
        return;
    struct call of = solo->calls[0];
    bool is_content = method->id == METHOD_BASIC_GET_OK;
    if (of.op > solo->proved_op)
        solo->proved_op = of.op;
    if (!is_content) { /* else the content needs it */
        solo->calls_count--;
        memmove(solo->calls, solo->calls + 1, sizeof(of) * (size_t)solo->calls_count);
    }
    switch (method->id) {
    case METHOD_QUEUE_DECLARE_OK:
        counted(solo, &of, method->queue_declare_ok.message_count);
        if (method->queue_declare_ok.consumer_count != of.consumers)
            sim_fail(sim_of(solo), "s%d.q%d: %u consumers are counted, and there are %u",
                     solo->client->number, of.queue, method->queue_declare_ok.consumer_count,
                     of.consumers);
        break;
    case METHOD_QUEUE_DELETE_OK:
        counted(solo, &of, method->queue_delete_ok.message_count);
        break;
    case METHOD_QUEUE_PURGE_OK:
        counted(solo, &of, method->queue_purge_ok.message_count);
        break;
    case METHOD_BASIC_GET_OK:
    case METHOD_BASIC_GET_EMPTY:
        got(channel, &of, method);
        break;
    case METHOD_BASIC_QOS_OK:
        if (of.kind == CALL_POLL)
            solo_polled(solo, of.op);
        break;
    case METHOD_TX_COMMIT_OK:
        if (of.op > solo->durable_op)
            solo->durable_op = of.op;
        break;
    case METHOD_CHANNEL_CLOSE_OK:
        solo_end_channel(solo);
        solo->is_open = false;
        channel_ends(channel);
        break;
    default:
        break;
    }
}

/* What was asked after something that was refused need not count it. */
static void may_count_less(struct solo *solo, int queue)
{
    for (int i = 0; i < solo->calls_count; i++)
        if (solo->calls[i].queue == queue && solo->calls[i].least)
            solo->calls[i].least--;
}

/* The broker does not take it, or cannot say. */
void solo_doubt_publish(struct solo *solo, const struct own_publish *publish)
{
    uint64_t op = publish->op;
    if (publish->is_returned)
        take_return(solo, publish->id);
    for (int i = 0; i < QUEUES_OF_ONE; i++)
        for (size_t k = 0; k < solo->queues[i].ready.count; k++)
            if (solo->queues[i].ready.at[k].op == op) {
                solo->queues[i].ready.at[k].is_doubtful = true;
                /* Others may have gone, or not come, because of it. */
                solo->queues[i].is_unsure |= solo_has_limit(&solo->queues[i]);
                may_count_less(solo, i);
            }
    solo->is_known = false;
}

static void refused_for_room(struct solo *solo, struct own_publish *publish)
{
    publish->is_lost = true;
    solo_doubt_publish(solo, publish);
}

/* It was to be refused, as a queue is full. */
static void refused_as_due(struct solo *solo, const struct own_publish *publish)
{
    sim_of(solo)->report->met[MET_FULL_REFUSED]++;
    if (publish->is_taken) /* unless it had no room on the disk, either */
        solo_doubt_publish(solo, publish);
    else if (publish->op > solo->proved_op)
        solo->proved_op = publish->op;
}

static void confirmed(struct solo *solo, struct own_publish *publish)
{
    if (publish->is_returned)
        sim_fail(sim_of(solo), "s%d: message %" PRIu64 " was confirmed before it was returned",
                 solo->client->number, publish->id);
    if (publish->is_refused && solo->is_known)
        sim_fail(sim_of(solo), "s%d: message %" PRIu64 " was confirmed, and a queue had no room",
                 solo->client->number, publish->id);
    if (publish->op > solo->proved_op)
        solo->proved_op = publish->op;
    if (publish->is_recorded && publish->op > solo->durable_op)
        solo->durable_op = publish->op;
}

void solo_confirmed(struct sim_channel *channel, uint64_t tag, bool multiple, bool is_refused)
{
    struct solo *solo = solo_of(channel);
    uint64_t count = 0;
    if (ignores(channel))
        return;
    for (uint64_t i = multiple || !tag ? 0 : tag - 1; i < tag && tag <= solo->publishes_count;
         i++) {
        struct own_publish *publish = &solo->publishes[i];
        if (publish->is_answered)
            continue;
        count++;
        publish->is_answered = true;
        if (is_refused && publish->is_refused)
            refused_as_due(solo, publish);
        else if (is_refused)
            refused_for_room(solo, publish);
        else
            confirmed(solo, publish);
    }
    if (count == 0)
        sim_fail(sim_of(solo), "s%d: a confirm of %" PRIu64 " that is not due",
                 solo->client->number, tag);
    *(is_refused ? &sim_of(solo)->report->refused : &sim_of(solo)->report->confirmed) += count;
}

/* It is this one that was got. */
static void note_got(struct solo *solo, const struct call *of, const struct entry *entry)
{
    for (size_t i = 0; i < solo->unacked_count; i++)
        if (solo->unacked[i].tag == of->tag) {
            solo->unacked[i].entry = *entry;
            solo->unacked[i].entry.is_seen = solo->unacked[i].entry.is_taken = true;
            solo->unacked[i].entry.is_late = false;
            solo->unacked[i].entry.ready_ms = solo->unacked[i].entry.ready_most_ms = 0;
        }
}

/* The answer to a get. */
static void take_got(struct sim_channel *channel, const struct letter *letter)
{
    struct solo *solo = solo_of(channel);
    struct call of = solo->calls[0];
    solo->calls_count--;
    memmove(solo->calls, solo->calls + 1, sizeof(of) * (size_t)solo->calls_count);
    if (of.kind == CALL_LOOK) {
        solo_looked_at(channel, letter);
        return;
    }
    if (channel->content_tag != of.tag)
        solo_fails(solo, "has the wrong delivery tag", letter->id, of.queue);
    if (solo_is_same(&of.got, letter)) {
        solo_check_letter(channel, &of.got, letter, of.queue);
        note_got(solo, &of, &of.got);
        return;
    }
    if (may_be_refused(solo, &of.got)) {
        solo_doubt_queues(solo);
        return;
    }
    /* One that might have come as well: the two change places. */
    struct entries *ready = &solo->queues[of.queue].ready;
    size_t at = find_ready(ready, letter);
    entries_add(ready, &of.got);
    at += at < ready->count - 1;
    if (at >= ready->count || !solo_may_be_first(ready, at)) {
        solo_fails(solo, "is got, and is not the next one", letter->id, of.queue);
        return;
    }
    struct entry entry = entries_take(ready, at);
    solo_check_letter(channel, &entry, letter, of.queue);
    note_got(solo, &of, &entry);
}

void solo_content(struct sim_channel *channel)
{
    struct solo *solo = solo_of(channel);
    struct letter letter;
    if (ignores(channel))
        return;
    if (!solo_read_letter(channel, &letter)) {
        sim_fail(sim_of(solo), "s%d: a message without its number, or with BCC",
                 solo->client->number);
        return;
    }
    sim_say(sim_of(solo), "s%d has message %" PRIu64 " as %" PRIu64 "%s, died %u times, last in q%d",
            solo->client->number, letter.id, channel->content_tag,
            channel->content_redelivered ? " again" : "", letter.deaths, letter.died_in);
    if (channel->content_id_done == METHOD_BASIC_RETURN)
        returned(channel, &letter);
    else if (channel->content_id_done == METHOD_BASIC_DELIVER)
        delivered(channel, &letter);
    else
        take_got(channel, &letter);
}

/* ---- the next step ---- */

static bool is_waiting(struct sim_channel *channel)
{
    struct solo *solo = solo_of(channel);
    return solo_awaits_operator(solo) || solo->calls_count || channel->expected_count || count_unanswered(solo) ||
           solo->returns_count || solo->cancels_due || solo->expected_code ||
           solo_is_deliverable(solo);
}

bool solo_is_quiet(struct sim_channel *channel)
{
    const struct solo *solo = solo_of(channel);
    return !is_waiting(channel) && solo->survey == SURVEY_NOT && !solo_has_late(solo) &&
           !solo->is_ignoring && !solo->is_unsettled &&
           solo->is_known && (!sim_of(solo)->is_healed || solo->was_checked);
}

void solo_explain(struct sim_channel *channel)
{
    const struct solo *solo = solo_of(channel);
    sim_fail(
        sim_of(solo),
        "s%d is stuck: operator %d, %d calls, %zu confirms, %d returns, %d cancels, error %u, %s, survey %d, %s",
        solo->client->number, solo->operation.is_asked, solo->calls_count, count_unanswered(solo),
        solo->returns_count,
        solo->cancels_due, solo->expected_code,
        solo_is_deliverable(solo) ? "a delivery" : "no delivery", solo->survey,
        solo_has_late(solo) ? "a dead letter" : "no dead letter");
}

void solo_act(struct sim_channel *channel)
{
    struct solo *solo = solo_of(channel);
    if (solo->is_ignoring || is_waiting(channel)) {
        ignores(channel);
        return;
    }
    if (!solo->client->is_orphaned)
        solo->acted_ms = solo_clock_ms(solo);
    if (solo->survey != SURVEY_NOT) {
        solo_survey_step(channel);
    } else if (!solo->is_known) {
        /* Something was refused: another channel, and a look at everything. */
        solo_doubt_all(solo);
        solo_all_crossed(solo);
        solo_leave(channel);
    } else if (solo->is_unsettled || solo_has_late(solo)) {
        solo_poll(channel);
    } else if (solo_waits_for_time(channel)) {
        return;
    } else if (sim_of(solo)->is_healed && !solo->was_checked) {
        solo->was_checked = true;
        solo->is_known = false;
    } else if (!sim_of(solo)->is_healed) {
        solo_draw_step(channel);
    }
}

void solo_open(struct sim_channel *channel)
{
    struct solo *solo = solo_of(channel);
    uint64_t epoch = channel->client->dial_epoch;
    bool restarted = solo->has_connected && epoch != solo->epoch;
    solo->is_open = true;
    solo->mode = (enum mode)below(solo, MODES);
    if (solo->mode == MODE_TX && (restarted || !solo->is_known))
        solo->mode = MODE_CONFIRM;
    if (restarted || !solo->is_known) {
        if (restarted)
            solo_doubt_all(solo);
        solo_begin_survey(solo, restarted);
    }
    solo->has_connected = true;
    solo->epoch = epoch;
    union method method = {.id = solo->mode == MODE_TX ? METHOD_TX_SELECT : METHOD_CONFIRM_SELECT};
    if (solo->mode != MODE_PLAIN)
        client_call(channel, &method,
                    solo->mode == MODE_TX ? METHOD_TX_SELECT_OK : METHOD_CONFIRM_SELECT_OK, NONE);
}

struct solo *solo_new(struct client *client)
{
    struct solo *solo = mem_zalloc(sizeof(*solo));
    solo->client = client;
    solo->is_known = true;
    solo->overrun_ms = NO_LIMIT;
    for (int i = 0; i < EXCHANGES_OF_ONE; i++)
        solo->exchanges[i].alternate = NONE;
    for (int i = 0; i < QUEUES_OF_ONE; i++) {
        struct own_queue_of *queue = &solo->queues[i];
        queue->dlx = queue->dlk = NONE;
        queue->max_length = queue->max_bytes = queue->ttl_ms = queue->expires_ms = NO_LIMIT;
        queue->max_priority = queue->delivery_limit = NO_LIMIT;
        queue->retry_min_ms = queue->retry_max_ms = NO_LIMIT;
        queue->declared_length = queue->declared_ttl_ms = NO_LIMIT;
    }
    return solo;
}

void solo_free(struct solo *solo)
{
    if (!solo)
        return;
    for (int i = 0; i < QUEUES_OF_ONE; i++) {
        entries_clear(&solo->queues[i].ready);
        entries_clear(&solo->queues[i].waiting);
        entries_clear(&solo->queues[i].ghosts);
    }
    mem_free(solo->unacked);
    mem_free(solo->publishes);
    mem_free(solo->tx_publishes);
    mem_free(solo);
}

void solo_clean_up(struct sim_channel *channel)
{
    char text[NAME_SIZE];
    struct solo of = {.client = channel->client};
    struct client alike = {0};
    of.client = &alike;
    for (alike.number = 0; alike.number < CLIENTS; alike.number++) {
        for (int i = 0; i < QUEUES_OF_ONE; i++) {
            union method method = {.queue_delete = {.id = METHOD_QUEUE_DELETE,
                                                    .queue = solo_queue_text(&of, i, text)}};
            client_call(channel, &method, METHOD_QUEUE_DELETE_OK, NONE);
        }
        for (int i = 0; i < EXCHANGES_OF_ONE; i++) {
            union method method = {
                .exchange_delete = {.id = METHOD_EXCHANGE_DELETE,
                                    .exchange = solo_exchange_text(&of, i, text)}};
            client_call(channel, &method, METHOD_EXCHANGE_DELETE_OK, NONE);
        }
    }
}
