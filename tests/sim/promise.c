/* What the brokers have promised, and whether they keep it.
 *
 * A message is known by the number in its body. It has a copy for each queue that it is routed to,
 * and a copy knows what its last reader may be sure of. What is promised:
 *
 *   - what was confirmed, committed, or read for sure, comes out of every queue that it was routed
 * to, until somebody settles it; after a crash, if message and queue survive;
 *   - nothing else comes out, nothing comes before its commit or after a rollback, and bodies are
 * whole;
 *   - nothing comes of what its publisher may not do, of a duplicate, or before the time for which it is
 * held back;
 *   - what is out with one reader comes to no other;
 *   - what was seen before says that it is redelivered;
 *   - what a publisher sent in order comes to a consumer in order, the first time;
 *   - what was settled for sure does not come again; after a crash, if a commit-ok said so;
 *   - what was rejected comes out of the dead letters, and once for each reject;
 *   - of a commit whose answer got lost, all or nothing survives. */
#include <inttypes.h>

#include "base/mem.h"
#include "tests/sim/sim.h"

const char *const queue_names[QUEUES] = {"d0", "d1", "r0", "dlq", "t0", "w0"};

const struct target targets[TARGETS] = {
    {"alt", "", 1 << QUEUE_D0 | 1 << QUEUE_D1 | 1 << QUEUE_T0}, /* by its alternate exchange */
    {"all", "", 1 << QUEUE_D0 | 1 << QUEUE_D1 | 1 << QUEUE_T0}, /* by another exchange */
    [TARGET_D0] = {"", "d0", 1 << QUEUE_D0},
    {"", "d1", 1 << QUEUE_D1},
    {"", "r0", 1 << QUEUE_R0},
    {"", "t0", 1 << QUEUE_T0},
    [TARGET_FAN] = {"fan", "", 1 << QUEUE_D0 | 1 << QUEUE_D1 | 1 << QUEUE_T0},
    {"top", "a.b", 1 << QUEUE_D0 | 1 << QUEUE_R0},
    {"top", "c.d.b", 1 << QUEUE_R0},
    {"top", "x.y", 0},
    {"", "w0", 1 << QUEUE_W0},
    [TARGET_LATE] = {"late", "", 1 << QUEUE_D0 | 1 << QUEUE_D1},
    [TARGET_ONCE] = {"once", "", 1 << QUEUE_D1 | 1 << QUEUE_R0},
};

static bool survives(const struct sim *sim, int queue, bool persistent)
{
    return persistent && (queue != QUEUE_T0 || sim_mirrors(sim));
}

/* What a group agrees on is on record, unless it waits elsewhere before it comes there. */
static bool is_on_record(const struct sim *sim, const struct sim_message *message)
{
    return message->persistent ||
           (sim->options->agrees && message->target != &targets[TARGET_LATE]);
}

static struct copy *copy_add(struct sim *sim, struct sim_message *message, int queue)
{
    struct copy *copy = mem_zalloc(sizeof(*copy));
    copy->message = message;
    copy->queue = queue;
    copy->survives = survives(sim, queue, is_on_record(sim, message));
    message->copies[queue] = copy;
    idmap_add(&sim->promises.copies[queue], message->id, copy);
    return copy;
}

struct sim_message *promise_message(struct sim *sim, const struct target *target, uint32_t size,
                                    bool persistent, uint64_t stream, struct tx *tx)
{
    struct sim_message *message = mem_zalloc(sizeof(*message));
    message->id = ++sim->promises.id_last;
    message->stream = stream;
    message->size = size < 8 ? 8 : size;
    message->persistent = persistent;
    message->target = target;
    message->tx = tx;
    idmap_add(&sim->promises.messages, message->id, message);
    for (int queue = 0; queue < QUEUES; queue++) {
        if (!(target->queues >> queue & 1))
            continue;
        struct copy *copy = copy_add(sim, message, queue);
        if (!tx)
            continue;
        copy->next_of_tx = tx->first;
        tx->first = copy;
        tx->refs++;
    }
    sim->report->published++;
    return message;
}

/* The bytes of a body repeat behind so many. */
enum { BODY_PERIOD = 256, BODY_FIRST = 8 + BODY_PERIOD };

void promise_body(const struct sim_message *message, uint8_t *body)
{
    memcpy(body, &message->id, 8);
    for (uint32_t i = 8; i < message->size; i++)
        body[i] = i < BODY_FIRST ? (uint8_t)(message->id * 31 + i) : body[i - BODY_PERIOD];
}

static bool is_whole(const struct sim_message *message, struct bytes body)
{
    if (body.size != message->size)
        return false;
    for (uint32_t i = 8; i < message->size && i < BODY_FIRST; i++)
        if (body.data[i] != (uint8_t)(message->id * 31 + i))
            return false;
    return message->size <= BODY_FIRST ||
           memcmp(body.data + BODY_FIRST, body.data + 8, message->size - BODY_FIRST) == 0;
}

static void promise(struct sim *sim, struct copy *copy, bool is_durable)
{
    copy->is_promised = true;
    copy->is_durable |= is_durable;
    copy->promise_epoch = sim->epoch;
}

static void promise_all(struct sim *sim, struct sim_message *message, bool is_durable)
{
    for (int queue = 0; queue < QUEUES; queue++)
        if (message->target->queues >> queue & 1)
            promise(sim, message->copies[queue], is_durable);
}

void promise_routed(struct sim *sim, struct sim_message *message)
{
    promise_all(sim, message, false);
}

bool promise_is_returned(const struct sim_message *message)
{
    return message->is_mandatory && (!message->target->queues || message->delay_ms);
}

void promise_confirmed(struct sim *sim, struct sim_message *message)
{
    if (promise_is_returned(message) && !message->is_returned)
        sim_fail(sim, "message %" PRIu64 " was confirmed before it was returned", message->id);
    if (message->original)
        sim->report->met[MET_DUPLICATE_CONFIRMED]++;
    else
        promise_all(sim, message, true);
}

void promise_refused(struct sim *sim, struct sim_message *message)
{
    message->is_refused = true;
    for (int queue = 0; queue < QUEUES; queue++)
        if (message->copies[queue] && message->copies[queue]->is_seen)
            sim_fail(sim, "message %" PRIu64 " of %s has come, and was refused", message->id,
                     queue_names[queue]);
}

/* ---- coming out ---- */

/* What may not come at all, or not yet. */
static void check_coming(struct sim *sim, const struct sim_message *message, int queue)
{
    if (message->is_refused)
        sim_fail(sim, "message %" PRIu64 " of %s comes, and was refused", message->id,
                 queue_names[queue]);
    if (message->original)
        sim_fail(sim, "message %" PRIu64 " of %s comes, a duplicate of %" PRIu64, message->id,
                 queue_names[queue], message->original->id);
    if (sim->now_us / 1000 + MACHINE_STALE_MS < message->sent_ms + message->delay_ms)
        sim_fail(sim, "message %" PRIu64 " of %s comes, sent at %" PRIu64 " to be held back for %" PRIu64,
                 message->id, queue_names[queue], message->sent_ms, message->delay_ms);
    sim->report->met[MET_HELD_BACK] += message->delay_ms > 0;
}

/* May a copy that was settled come again? */
static void check_settled(struct sim *sim, struct copy *copy)
{
    uint64_t id = copy->message->id;
    const char *queue = queue_names[copy->queue];
    /* Dead letters that wait to be sent on are given up when the broker ends. */
    bool has_ended = copy->settled == SETTLED_REJECTED && copy->settled_epoch < sim->epoch;
    if (copy->settled == SETTLED_NOT)
        return;
    if (copy->is_final)
        sim_fail(sim, "message %" PRIu64 " of %s comes again after its settle was committed", id,
                 queue);
    else if (!copy->is_unsure && !has_ended && copy->settled_epoch > sim->crash_epoch)
        sim_fail(sim, "message %" PRIu64 " of %s comes again after it was settled", id, queue);
    copy->settled = SETTLED_NOT;
    copy->is_unsure = false;
}

static void check_tx(struct sim *sim, const struct copy *copy)
{
    const struct tx *tx = copy->queue == QUEUE_DLQ ? NULL : copy->message->tx;
    if (tx && (tx->state == TX_OPEN || tx->state == TX_ROLLED_BACK))
        sim_fail(sim, "message %" PRIu64 " of %s comes %s", copy->message->id,
                 queue_names[copy->queue],
                 tx->state == TX_OPEN ? "before its commit" : "after its rollback");
}

static void check_dead_letter(struct sim *sim, struct copy *copy, bool redelivered)
{
    if (copy->queue != QUEUE_DLQ || redelivered)
        return;
    if (++copy->distinct > copy->expected && sim->crash_epoch == 0)
        sim_fail(sim, "message %" PRIu64 " was dead-lettered %u times for %u rejects",
                 copy->message->id, copy->distinct, copy->expected);
    sim->report->dead_lettered++;
}

struct copy *promise_delivered(struct sim *sim, int queue, struct bytes body, bool redelivered)
{
    uint64_t id = 0;
    if (body.size >= 8)
        memcpy(&id, body.data, 8);
    struct sim_message *message = idmap_find(&sim->promises.messages, id);
    struct copy *copy = message ? message->copies[queue] : NULL;
    if (!copy || !is_whole(message, body)) {
        sim_fail(sim, "%s: a message of %zu bytes with number %" PRIu64 " that %s",
                 queue_names[queue], body.size, id,
                 copy ? "is not as it was sent" : "nobody has sent there");
        return NULL;
    }
    check_coming(sim, message, queue);
    if (copy->is_out && !channel_has_lost(sim, copy))
        sim_fail(sim, "message %" PRIu64 " of %s comes while it is with another reader", id,
                 queue_names[queue]);
    check_settled(sim, copy);
    check_tx(sim, copy);
    /* What was held back may have been so once more after a crash, and leave again. */
    bool is_anew = message->delay_ms && copy->seen_epoch <= sim->crash_epoch;
    if (copy->is_seen && !redelivered && queue != QUEUE_DLQ && !is_anew)
        sim_fail(sim, "message %" PRIu64 " of %s comes again and does not say so", id,
                 queue_names[queue]);
    check_dead_letter(sim, copy, redelivered);
    sim_say(sim, "message %" PRIu64 " of %s comes%s", id, queue_names[queue],
            redelivered ? " again" : "");
    copy->is_seen = true;
    copy->seen_epoch = sim->epoch;
    sim->report->delivered++;
    sim->report->redelivered += redelivered;
    return copy;
}

static void excuse(struct copy *copy, uint64_t epoch)
{
    copy->is_excused = true;
    copy->excused_epoch = epoch;
}

void promise_ignored(struct sim *sim, int queue, struct bytes body, bool is_gone)
{
    uint64_t id = 0;
    if (body.size >= 8)
        memcpy(&id, body.data, 8);
    struct copy *copy = queue < 0 ? NULL : idmap_find(&sim->promises.copies[queue], id);
    if (!copy)
        return;
    copy->is_seen = true;
    if (is_gone)
        excuse(copy, sim->epoch);
}

/* ---- settling ---- */

static void expect_dead_letter(struct sim *sim, struct copy *copy)
{
    struct sim_message *message = copy->message;
    struct copy *dead = message->copies[QUEUE_DLQ];
    if (!dead)
        dead = copy_add(sim, message, QUEUE_DLQ);
    dead->expected++;
}

void promise_settled(struct sim *sim, struct copy *copy, enum settled how)
{
    sim_say(sim, "message %" PRIu64 " of %s is %s", copy->message->id, queue_names[copy->queue],
            how == SETTLED_ACKED ? "acknowledged" : "rejected");
    copy->is_out = false;
    copy->settled = how;
    copy->settled_epoch = sim->epoch;
    copy->is_unsure = false;
    if (how == SETTLED_REJECTED && copy->queue == QUEUE_R0)
        expect_dead_letter(sim, copy);
}

void promise_unsure(struct copy *copy)
{
    copy->is_unsure = true;
}

void promise_purged(struct sim *sim, int queue, uint64_t epoch)
{
    size_t at = 0;
    struct copy *copy;
    while ((copy = idmap_next(&sim->promises.copies[queue], &at)))
        excuse(copy, epoch);
}

void promise_tx_end(struct sim *sim, struct tx *tx, enum tx_state state)
{
    if (state == TX_COMMITTED) {
        for (struct copy *copy = tx->first; copy; copy = copy->next_of_tx)
            promise(sim, copy, true);
    }
    tx->state = state;
}

/* ---- copies of the store ---- */

/* Does somebody take messages of the queue unseen? */
static bool is_taken_from(const struct sim *sim, int queue)
{
    for (int i = 0; i < sim->clients_count; i++)
        for (int k = 1; k <= CHANNELS; k++) {
            const struct sim_channel *channel = &sim->clients[i].channels[k];
            for (int n = 0; n < channel->consumer_count; n++)
                if (channel->consumers[n].queue == queue && channel->consumers[n].no_ack)
                    return true;
            for (size_t n = 0; n < channel->expected_count; n++)
                if (channel->expected[n].queue == queue && channel->expected[n].takes_away)
                    return true;
        }
    return false;
}

void promises_note_copy(struct sim *sim)
{
    for (int queue = 0; queue < QUEUES; queue++) {
        size_t at = 0;
        struct copy *copy;
        bool is_sure = !is_taken_from(sim, queue);
        while ((copy = idmap_next(&sim->promises.copies[queue], &at))) {
            copy->is_to_be_copied = is_sure && copy->is_promised && copy->is_durable &&
                                    copy->survives && copy->settled == SETTLED_NOT &&
                                    !copy->is_excused && !copy->message->delay_ms;
            copy->is_not_to_be_copied =
                copy->is_final && copy->settled == SETTLED_ACKED && queue != QUEUE_DLQ;
        }
    }
}

void promises_check_copy(struct sim *sim, int queue, const struct idmap *ids)
{
    size_t at = 0;
    const struct copy *copy;
    bool is_sure = !is_taken_from(sim, queue);
    while ((copy = idmap_next(&sim->promises.copies[queue], &at))) {
        uint64_t id = copy->message->id;
        bool is_there = idmap_find(ids, id);
        bool must = is_sure && copy->is_to_be_copied && copy->settled == SETTLED_NOT &&
                    !copy->is_excused;
        if (must && !is_there)
            sim_fail(sim, "message %" PRIu64 " of %s is not in a copy of the store", id,
                     queue_names[queue]);
        if (copy->is_not_to_be_copied && is_there)
            sim_fail(sim, "message %" PRIu64 " of %s is in a copy, after its settle was committed", id,
                     queue_names[queue]);
        sim->report->met[MET_COPIED_MESSAGE] += must;
    }
}

bool promise_knows(struct sim *sim, int queue, struct bytes body, uint64_t *id)
{
    *id = 0;
    if (body.size >= 8)
        memcpy(id, body.data, 8);
    const struct copy *copy = idmap_find(&sim->promises.copies[queue], *id);
    if (!copy || !is_whole(copy->message, body))
        sim_fail(sim, "%s of a copy has a message %" PRIu64 " that %s", queue_names[queue], *id,
                 copy ? "is not as it was sent" : "nobody has sent there");
    else if (copy->message->is_refused || copy->message->original)
        sim_fail(sim, "message %" PRIu64 " of %s is in a copy, and was not taken", *id,
                 queue_names[queue]);
    return copy;
}

/* ---- at the end ---- */

static bool reached_dead_letters(const struct copy *copy)
{
    const struct copy *dead = copy->message->copies[QUEUE_DLQ];
    /* The end of the broker has undone the rejection, by a crash or as its letter waited, or it was never
     * read; and then nobody listened to what was delivered. */
    bool may_be_back = copy->excused_epoch > copy->settled_epoch ||
                       (copy->is_unsure && copy->excused_epoch == copy->settled_epoch);
    bool is_ignored = copy->is_excused && may_be_back;
    return copy->queue != QUEUE_R0 || (dead && (dead->is_seen || dead->is_excused)) ||
           !copy->survives || is_ignored;
}

static void judge_copy(struct sim *sim, const struct copy *copy)
{
    bool has_crashed = copy->promise_epoch <= sim->crash_epoch;
    bool is_same = copy->promise_epoch == sim->machines[0].epoch;
    bool stays = copy->survives ? copy->is_durable || !has_crashed : is_same;
    bool is_gone = copy->settled == SETTLED_NOT && !copy->is_excused;
    if (copy->is_promised && stays && is_gone)
        sim_say(sim, "message %" PRIu64 " of %s is lost", copy->message->id,
                queue_names[copy->queue]);
    if (copy->is_promised && stays && is_gone)
        sim_fail(sim, "message %" PRIu64 " of %s is lost: promised in epoch %" PRIu64 ", %s",
                 copy->message->id, queue_names[copy->queue], copy->promise_epoch,
                 copy->is_seen ? "seen, and not settled" : "never seen");
    if (copy->is_promised && stays && copy->settled == SETTLED_REJECTED &&
        !reached_dead_letters(copy))
        sim_fail(sim,
                 "message %" PRIu64 " of %s was rejected in epoch %" PRIu64
                 ", %s, and is in no queue",
                 copy->message->id, queue_names[copy->queue], copy->settled_epoch,
                 copy->is_unsure ? "which may not have been read" : "for sure");
}

/* Of a commit that nobody has answered: all of it or nothing is there after the crash. */
static void judge_tx(struct sim *sim, const struct tx *tx)
{
    const struct copy *there = NULL, *missing = NULL;
    for (const struct copy *copy = tx->first; copy; copy = copy->next_of_tx) {
        bool is_neutral = !copy->survives || copy->is_excused ||
                          (copy->settled != SETTLED_NOT && copy->seen_epoch <= tx->epoch);
        if (is_neutral)
            continue;
        if (copy->is_seen && copy->seen_epoch > tx->epoch)
            there = copy;
        else
            missing = copy;
    }
    if (there && missing)
        sim_fail(sim, "a commit survived in part: message %" PRIu64 " is there, %" PRIu64 " is not",
                 there->message->id, missing->message->id);
}

void promises_judge(struct sim *sim)
{
    for (int queue = 0; queue < QUEUES; queue++) {
        size_t at = 0;
        struct copy *copy;
        while ((copy = idmap_next(&sim->promises.copies[queue], &at))) {
            judge_copy(sim, copy);
            const struct tx *tx = queue == QUEUE_DLQ ? NULL : copy->message->tx;
            if (tx && tx->state == TX_UNKNOWN && tx->first == copy)
                judge_tx(sim, tx);
        }
    }
}

void promises_free(struct promises *promises)
{
    size_t at = 0;
    struct sim_message *message;
    for (int queue = 0; queue < QUEUES; queue++) {
        struct copy *copy;
        at = 0;
        while ((copy = idmap_next(&promises->copies[queue], &at))) {
            struct tx *tx = queue == QUEUE_DLQ ? NULL : copy->message->tx;
            if (tx && --tx->refs == 0)
                mem_free(tx);
            mem_free(copy);
        }
        idmap_free(&promises->copies[queue]);
    }
    at = 0;
    while ((message = idmap_next(&promises->messages, &at)))
        mem_free(message);
    idmap_free(&promises->messages);
}
