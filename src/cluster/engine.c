/*
 * The guards around the core. Each has a letter, by which the tests know it:
 *
 *  a  a rejection that is out of date would lower what a leader knows of a follower for good; votes
 * that come when nobody asks are not for this term b  a follower is found out by one index for each
 * round trip, so few entries are uncommitted c  entries below the floor are committed, and need not
 * be there to be agreed with e  what is committed stays so f  a sync that began before the log was
 * cut says nothing of what was appended since h  a leader is in office once the first entry of its
 * term is committed i  who led is gone: the others need not wait for a timeout; nor do two that have
 * both tried, and have a vote each: the better one tries again at once; nor who has refused one that
 * lacks something j  who may not campaign does
 * not o  a learner that becomes a voter refuses its vote until its log says so: the others hear of
 * it after it p  members change one at a time, and no voter becomes one of those that
 * are needed before it has heard that it votes q  an entry about members comes to the
 * core as the first of its message: it takes the index of the first for its own r  the core hears
 * of an image when it is there: until then it votes s  a heartbeat that overtakes entries tells
 * nothing of them; behind a new link there are none to overtake t  what is sent says when, and the
 * answers say it back: see engine_answered_ms() u  a leader that was not heard for a timeout is
 * none for who asks for a vote v  a lone voter leads in a term of its own w  who was told to lead,
 * or takes its leader for gone, tries once: the core would try for ever, and would depose every
 * leader that there is then x  who asks for a vote in a term that is over is told the term of
 * today, or asks for it for ever y  the only voter that made another one such is elected without it,
 * until it was said twice that there are two, before which nobody else becomes a voter, or goes
 * z  of two voters one is left: nobody else hears of that before it is durable there. Else who has
 * heard of it has the longer log and votes for nobody, and does not ask for votes, as it has none
 */
#include "cluster/engine.h"

#include <assert.h>
#include <string.h>

#include "base/mem.h"
#include "base/planted.h"
#include "cluster/engine_core.h"

enum { HINT_APART_MS = 60, CAMPAIGN_MS = 500 };

/* What a leader keeps of another member. */
struct peer {
    uint64_t id;
    uint64_t answered_ms;        /* when it was sent, of what has been answered the newest */
    bool is_new_link;            /* what was sent before is not on its way any more */
    struct engine_message *held; /* guard o */
    size_t held_count, held_capacity;
};

struct engine {
    struct core *core;
    uint64_t id;
    uint64_t commit, cuts;

    /* Who the members are, by the entries that are in the log, and the last one before them. */
    struct engine_members *members;
    size_t members_count, members_capacity;
    bool is_said_twice; /* of two voters: neither may take itself for the only one any more */

    /* Of a leader: its term, and its first entry. */
    uint64_t led_term, first_entry;
    struct peer peers[ENGINE_MEMBERS_MAX];
    uint32_t peer_count;
    uint64_t promoted, promoted_index, promoted_ms; /* 0: nobody; this member itself: guard z */

    /* Of a follower. */
    uint64_t heard_ms, round, round_term;
    uint64_t hint_peer, hint_term, hint_ms; /* who led is gone; 0: nobody */
    bool may_campaign;
    uint64_t
        campaign_ends_ms;    /* of one that others must hear although they have a leader; 0: none */
    uint64_t rests_until_ms; /* does not campaign; not before then is it asked again */
};

void engine_update_clear(struct engine_update *update)
{
    struct engine_message *messages = update->messages;
    uint64_t *images = update->images;
    size_t message_capacity = update->message_capacity, image_capacity = update->image_capacity;
    *update = (struct engine_update){.messages = messages,
                                     .message_capacity = message_capacity,
                                     .images = images,
                                     .image_capacity = image_capacity};
}

void engine_update_free(struct engine_update *update)
{
    mem_free(update->messages);
    mem_free(update->images);
    *update = (struct engine_update){0};
}

/* ---- members ---- */

static void push_members(struct engine *engine, const struct engine_members *members,
                         uint64_t index)
{
    engine->members = mem_grow(engine->members, &engine->members_capacity,
                               engine->members_count + 1, sizeof(*engine->members));
    engine->members[engine->members_count] = *members;
    engine->members[engine->members_count++].index = index;
    engine->is_said_twice = false;
}

const struct engine_members *engine_members(const struct engine *engine)
{
    return &engine->members[engine->members_count - 1];
}

const struct engine_members *engine_members_at(const struct engine *engine, uint64_t index)
{
    size_t i = engine->members_count - 1;
    while (i > 0 && engine->members[i].index > index)
        i--;
    return &engine->members[i];
}

/* Those that were so before `index`, but for the last of them, are forgotten. */
static void forget_members(struct engine *engine, uint64_t index)
{
    size_t gone = (size_t)(engine_members_at(engine, index) - engine->members);
    engine->members_count -= gone;
    memmove(engine->members, engine->members + gone,
            engine->members_count * sizeof(*engine->members));
}

static const struct engine_member *member_of(const struct engine_members *members, uint64_t id)
{
    for (uint32_t i = 0; i < members->count; i++)
        if (members->of[i].id == id)
            return &members->of[i];
    return NULL;
}

static uint32_t voters_of(const struct engine_members *members)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < members->count; i++)
        count += members->of[i].role == ENGINE_VOTER;
    return count;
}

static bool is_lone_voter(const struct engine *engine)
{
    const struct engine_members *members = engine_members(engine);
    const struct engine_member *self = member_of(members, engine->id);
    return self && self->role == ENGINE_VOTER && voters_of(members) == 1;
}

/* Guard y. A later entry than the one that made a second voter says that there are two, and both have
 * it: the first one is not elected any more without the other. */
static void note_twice(struct engine *engine)
{
    for (size_t i = 1; i < engine->members_count && engine->members[i].index <= engine->commit; i++)
        engine->is_said_twice |= i + 1 == engine->members_count &&
                                 voters_of(&engine->members[i]) == 2 &&
                                 voters_of(&engine->members[i - 1]) == 2;
}

/* ---- peers of a leader ---- */

static struct peer *peer_of(struct engine *engine, uint64_t id)
{
    for (uint32_t i = 0; i < engine->peer_count; i++)
        if (engine->peers[i].id == id)
            return &engine->peers[i];
    return NULL;
}

static void drop_held(struct engine *engine)
{
    for (uint32_t i = 0; i < engine->peer_count; i++)
        engine->peers[i].held_count = 0;
    engine->promoted = 0;
}

static void forget_peer(struct engine *engine, uint32_t i)
{
    mem_free(engine->peers[i].held);
    engine->peers[i] = engine->peers[--engine->peer_count];
}

/* The peers are the members but for itself, and nothing is known of those that are new. */
static void match_peers(struct engine *engine)
{
    const struct engine_members *members = engine_members(engine);
    for (uint32_t i = engine->peer_count; i > 0; i--)
        if (!member_of(members, engine->peers[i - 1].id))
            forget_peer(engine, i - 1);
    for (uint32_t i = 0; i < members->count; i++)
        if (members->of[i].id != engine->id && !peer_of(engine, members->of[i].id))
            engine->peers[engine->peer_count++] = (struct peer){.id = members->of[i].id};
}

/* ---- guards of what is sent ---- */

static void hold(struct peer *peer, const struct engine_message *message)
{
    peer->held =
        mem_grow(peer->held, &peer->held_capacity, peer->held_count + 1, sizeof(*peer->held));
    peer->held[peer->held_count++] = *message;
}

/* Guards o and z. False: the message waits; else what of it may go does. */
static bool may_go(struct engine *engine, struct engine_message *message)
{
    struct peer *peer = peer_of(engine, message->peer);
    if (!engine->promoted || !message->count || message->peer == engine->promoted || !peer ||
        message->index + message->count < engine->promoted_index ||
        planted(PLANTED_ENGINE_VOTER_LAST))
        return true;
    struct engine_message rest = *message;
    if (message->index + 1 >= engine->promoted_index) {
        hold(peer, &rest);
        return false;
    }
    message->count = (uint32_t)(engine->promoted_index - 1 - message->index);
    rest.index = engine->promoted_index - 1;
    rest.index_term = core_term_of(engine->core, rest.index);
    rest.count -= message->count;
    hold(peer, &rest);
    return true;
}

/* Guard s. What the follower is known to have is all that a heartbeat speaks of. */
static void set_back(struct engine *engine, struct engine_message *message)
{
    uint64_t match = core_match(engine->core, message->peer);
    uint64_t term = match ? core_term_of(engine->core, match) : 0;
    struct peer *peer = peer_of(engine, message->peer);
    bool is_first = peer && peer->is_new_link && !planted(PLANTED_ENGINE_LINK_NOT_NEW);
    if (peer)
        peer->is_new_link = false;
    if (message->count || !term || is_first || planted(PLANTED_ENGINE_HEARTBEAT_AHEAD))
        return;
    message->index = match;
    message->index_term = term;
    if (message->commit > match)
        message->commit = match;
}

/* False: the message does not go, or not now. */
static bool make_ready(struct engine *engine, uint64_t now_ms, struct engine_message *message)
{
    if (!message->peer)
        return false;
    if (message->type == ENGINE_APPENDED && message->term == engine->round_term)
        message->round = engine->round;
    if (message->type == ENGINE_VOTED && !message->granted &&
        message->term < core_term(engine->core) && !planted(PLANTED_ENGINE_TERM_UNTOLD))
        message->term = core_term(engine->core);
    if (message->type != ENGINE_APPEND)
        return true;
    set_back(engine, message);
    if (!may_go(engine, message))
        return false;
    message->round = now_ms;
    return true;
}

static void make_all_ready(struct engine *engine, uint64_t now_ms, struct engine_update *update)
{
    size_t kept = 0;
    for (size_t i = 0; i < update->message_count; i++) {
        struct engine_message message = update->messages[i];
        if (make_ready(engine, now_ms, &message))
            update->messages[kept++] = message;
    }
    update->message_count = kept;
}

static void send_held(struct engine *engine, uint64_t now_ms, struct engine_update *update)
{
    engine->promoted = 0;
    for (uint32_t i = 0; i < engine->peer_count; i++) {
        struct peer *peer = &engine->peers[i];
        for (size_t j = 0; j < peer->held_count; j++) {
            struct engine_message *message = &peer->held[j];
            message->round = now_ms;
            message->commit = engine->commit;
            update->messages = mem_grow(update->messages, &update->message_capacity,
                                        update->message_count + 1, sizeof(*update->messages));
            update->messages[update->message_count++] = *message;
        }
        peer->held_count = 0;
    }
}

static bool holds(const struct engine *engine, uint64_t now_ms)
{
    if (engine->promoted == engine->id)
        return core_stored(engine->core) < engine->promoted_index;
    return engine->promoted && now_ms < engine->promoted_ms + ENGINE_ELECTION_MS &&
           core_match(engine->core, engine->promoted) < engine->promoted_index;
}

/* ---- what follows from an event ---- */

static void take_office(struct engine *engine, uint64_t now_ms, struct engine_update *update)
{
    struct engine_entry entry = {.term = core_term(engine->core), .kind = ENGINE_NOOP};
    engine->led_term = entry.term;
    drop_held(engine);
    while (engine->peer_count)
        forget_peer(engine, engine->peer_count - 1);
    match_peers(engine);
    if (!update->append_count)
        core_submit(engine->core, now_ms, &entry, update);
    engine->first_entry = core_last(engine->core);
}

static void follow_role(struct engine *engine, uint64_t now_ms, struct engine_update *update)
{
    bool leads = core_role(engine->core) == CORE_LEADER;
    if (leads && engine->led_term != core_term(engine->core)) {
        take_office(engine, now_ms, update);
    } else if (!leads && engine->led_term) {
        engine->led_term = engine->first_entry = 0;
        drop_held(engine);
    }
}

static void follow_cut(struct engine *engine, const struct engine_update *update)
{
    if (!update->cut_from)
        return;
    engine->cuts++;
    while (engine->members_count > 1 && engine_members(engine)->index >= update->cut_from)
        engine->members_count--;
}

static bool follow_commit(struct engine *engine, uint64_t now_ms, struct engine_update *update)
{
    uint64_t before = engine->commit, commit = core_commit(engine->core);
    if (commit <= before && !planted(PLANTED_ENGINE_COMMIT_FALLS))
        return false;
    engine->commit = commit;
    for (size_t i = 0; i < engine->members_count; i++)
        if (engine->members[i].index > before && engine->members[i].index <= commit)
            core_members_committed(engine->core, now_ms, &engine->members[i], update);
    note_twice(engine);
    return commit > before;
}

/* Guard y. Whom this member, the only voter until then, has made the second one; 0: nobody. While
 * there are two, nothing is committed and nobody is elected without this one, so it needs no vote
 * of the other, which gives none as long as it has not heard that it may vote. */
static uint64_t second_voter(const struct engine *engine)
{
    const struct engine_members *members = engine_members(engine);
    if (engine->members_count < 2 || voters_of(members) != 2 ||
        planted(PLANTED_ENGINE_SECOND_VOTER))
        return 0;
    const struct engine_member *before = member_of(members - 1, engine->id);
    const struct engine_member *self = member_of(members, engine->id);
    if (!before || before->role != ENGINE_VOTER || voters_of(members - 1) != 1 || !self ||
        self->role != ENGINE_VOTER)
        return 0;
    for (uint32_t i = 0; i < members->count; i++)
        if (members->of[i].role == ENGINE_VOTER && members->of[i].id != engine->id)
            return members->of[i].id;
    return 0;
}

static void vote_for_second(struct engine *engine, uint64_t now_ms, struct engine_update *update)
{
    uint64_t second = second_voter(engine);
    for (size_t i = 0; second && i < update->message_count; i++) {
        struct engine_message vote = update->messages[i];
        if (vote.type != ENGINE_VOTE || vote.peer != second ||
            core_role(engine->core) != CORE_CANDIDATE)
            continue;
        vote.type = ENGINE_VOTED;
        vote.index = vote.index_term = 0;
        vote.disrupts = false;
        vote.granted = true;
        core_receive(engine->core, now_ms, &vote, update);
    }
}

static void follow(struct engine *engine, uint64_t now_ms, struct engine_update *update)
{
    vote_for_second(engine, now_ms, update);
    if (core_role(engine->core) != CORE_CANDIDATE)
        engine->campaign_ends_ms = 0;
    do
        follow_role(engine, now_ms, update);
    while (follow_commit(engine, now_ms, update));
    make_all_ready(engine, now_ms, update);
    if (engine->promoted && !holds(engine, now_ms))
        send_held(engine, now_ms, update);
}

/* ---- guards of what is received ---- */

/* Guard c. */
static void skip_below_floor(const struct engine *engine, struct engine_message *message)
{
    uint64_t floor = core_floor_index(engine->core);
    if (message->term < core_term(engine->core) || message->index >= floor ||
        planted(PLANTED_ENGINE_BELOW_FLOOR))
        return;
    uint64_t skipped = floor - message->index;
    if (skipped > message->count)
        skipped = message->count;
    if (skipped)
        message->entries += skipped;
    message->count -= (uint32_t)skipped;
    message->index = floor;
    message->index_term = core_term_of(engine->core, floor);
}

/* Guard q: how many entries go on before the next one about members. */
static uint32_t before_members(const struct engine_message *message)
{
    uint32_t count = message->count ? 1 : 0;
    while (count < message->count && (message->entries[count].kind != ENGINE_MEMBERS ||
                                      planted(PLANTED_ENGINE_MEMBERS_UNSPLIT)))
        count++;
    return count;
}

static bool was_rejected(const struct engine_message *part, const struct engine_update *update)
{
    const struct engine_message *last =
        update->message_count ? &update->messages[update->message_count - 1] : NULL;
    return last && last->type == ENGINE_APPENDED && (last->rejected || last->term > part->term);
}

/* Entries about members that are in the log since, of those that a message brought. */
static void note_members(struct engine *engine, const struct engine_message *message,
                         const struct engine_update *update)
{
    for (uint32_t i = 0; i < message->count; i++) {
        uint64_t index = message->index + 1 + i;
        if (message->entries[i].kind == ENGINE_MEMBERS && index >= update->append_from &&
            index < update->append_from + update->append_count)
            push_members(engine, message->entries[i].members, index);
    }
}

static void note_leader(struct engine *engine, uint64_t now_ms,
                        const struct engine_message *message)
{
    if (message->term != core_term(engine->core))
        return;
    engine->heard_ms = now_ms;
    if (engine->round_term != message->term)
        engine->round = 0;
    engine->round_term = message->term;
    if (message->round > engine->round)
        engine->round = message->round;
}

static void receive_append(struct engine *engine, uint64_t now_ms,
                           const struct engine_message *message, struct engine_update *update)
{
    struct engine_message part = *message;
    skip_below_floor(engine, &part);
    struct engine_message all = part;
    for (uint32_t left = part.count;;) {
        part.count = left;
        part.count = before_members(&part);
        core_receive(engine->core, now_ms, &part, update);
        left -= part.count;
        if (!left || update->broken || was_rejected(&part, update))
            break;
        part.index += part.count;
        part.index_term = part.entries[part.count - 1].term;
        part.entries += part.count;
    }
    note_leader(engine, now_ms, message);
    follow_cut(engine, update);
    note_members(engine, &all, update);
}

/* Guard a, and guard t. */
static void receive_appended(struct engine *engine, uint64_t now_ms,
                             const struct engine_message *message, struct engine_update *update)
{
    struct peer *peer = peer_of(engine, message->peer);
    bool is_current = message->term == core_term(engine->core);
    if (peer && is_current && core_role(engine->core) == CORE_LEADER &&
        message->round > peer->answered_ms)
        peer->answered_ms = message->round;
    bool is_stale =
        message->rejected && message->rejected <= core_match(engine->core, message->peer) &&
        (message->term <= core_term(engine->core) || planted(PLANTED_ENGINE_TERM_DROPPED));
    if (!is_stale)
        core_receive(engine->core, now_ms, message, update);
}

static void receive_vote(struct engine *engine, uint64_t now_ms,
                         const struct engine_message *message, struct engine_update *update)
{
    struct engine_message vote = *message;
    if (core_role(engine->core) == CORE_FOLLOWER &&
        now_ms >= engine->heard_ms + ENGINE_ELECTION_MS && !planted(PLANTED_ENGINE_LEADER_BELIEVED))
        vote.disrupts = true;
    if (planted(PLANTED_ENGINE_SHORTER_LOG))
        vote.index = UINT32_MAX, vote.index_term = vote.term;
    core_receive(engine->core, now_ms, &vote, update);
}

static void campaign(struct engine *engine, uint64_t now_ms, const struct engine_message *message,
                     struct engine_update *update)
{
    bool was_follower = core_role(engine->core) == CORE_FOLLOWER;
    core_receive(engine->core, now_ms, message, update);
    if (was_follower && core_role(engine->core) == CORE_CANDIDATE)
        engine->campaign_ends_ms = now_ms + CAMPAIGN_MS;
}

/* More than 0: this member has more than who wants its vote; 0: as much. */
static int compare_logs(const struct core *core, const struct engine_message *vote)
{
    uint64_t index = core_stored(core), term = core_term_of(core, index);
    if (term != vote->index_term)
        return term > vote->index_term ? 1 : -1;
    return (index > vote->index) - (index < vote->index);
}

/* Of two whose votes are split, is it this one that has to try again? */
static bool goes_first(const struct engine *engine, const struct engine_message *rival)
{
    int order = compare_logs(engine->core, rival);
    return order > 0 || (order == 0 && engine->id < rival->peer);
}

/* Has this member, in a term of which it hears by that, refused who knows that nobody leads, and lacks what it has? */
static bool refuses(const struct core *core, const struct engine_message *vote, uint64_t term_before)
{
    return core_role(core) == CORE_FOLLOWER && vote->disrupts && term_before < vote->term && !core_vote(core) &&
           compare_logs(core, vote) > 0;
}

/* The other halves of guard i. */
static void look_at_rival(struct engine *engine, uint64_t now_ms, const struct engine_message *vote,
                          uint64_t term_before, struct engine_update *update)
{
    struct core *core = engine->core;
    if (vote->pre_vote || vote->term != core_term(core) || !engine->may_campaign ||
        core_stored(core) < core_last(core))
        return;
    bool is_split = core_role(core) == CORE_CANDIDATE && core_vote(core) == engine->id && goes_first(engine, vote);
    if (!is_split && !refuses(core, vote, term_before))
        return;
    struct engine_message again = {.type = ENGINE_CAMPAIGN,
                                   .peer = is_split ? 0 : core_leader(core),
                                   .term = core_term(core),
                                   .index = core_last(core),
                                   .index_term = core_term_of(core, core_last(core))};
    if (is_split)
        core_stand_down(core, now_ms, update);
    campaign(engine, now_ms, &again, update);
}

void engine_receive(struct engine *engine, uint64_t now_ms, const struct engine_message *message,
                    struct engine_update *update)
{
    uint64_t term_before = core_term(engine->core);
    engine_update_clear(update);
    switch (message->type) {
    case ENGINE_APPEND:
        receive_append(engine, now_ms, message, update);
        break;
    case ENGINE_APPENDED:
        receive_appended(engine, now_ms, message, update);
        break;
    case ENGINE_VOTE:
        receive_vote(engine, now_ms, message, update);
        look_at_rival(engine, now_ms, message, term_before, update);
        break;
    case ENGINE_VOTED:
        if (core_role(engine->core) == CORE_CANDIDATE)
            core_receive(engine->core, now_ms, message, update);
        break;
    case ENGINE_CAMPAIGN:
        if (engine->may_campaign || planted(PLANTED_ENGINE_CAMPAIGNS))
            campaign(engine, now_ms, message, update);
        break;
    }
    follow(engine, now_ms, update);
}

/* ---- other events ---- */

bool engine_propose(struct engine *engine, uint64_t now_ms, struct engine_update *update)
{
    struct engine_entry entry = {.term = core_term(engine->core), .kind = ENGINE_RECORDS};
    engine_update_clear(update);
    if (core_role(engine->core) != CORE_LEADER ||
        (core_last(engine->core) - engine->commit >= ENGINE_UNCOMMITTED_MAX &&
         !planted(PLANTED_ENGINE_UNBOUNDED)) ||
        !core_submit(engine->core, now_ms, &entry, update))
        return false;
    follow(engine, now_ms, update);
    return true;
}

/* The one member that differs, as it shall be, or as it was if it goes; NULL: not just one does. */
static const struct engine_member *changed_member(const struct engine_members *from,
                                                  const struct engine_members *to)
{
    const struct engine_member *changed = NULL;
    uint32_t count = 0;
    for (uint32_t i = 0; i < to->count; i++) {
        const struct engine_member *before = member_of(from, to->of[i].id);
        if (before && before->role == to->of[i].role)
            continue;
        changed = &to->of[i];
        count++;
    }
    for (uint32_t i = 0; i < from->count; i++) {
        if (member_of(to, from->of[i].id))
            continue;
        changed = &from->of[i];
        count++;
    }
    return count == 1 ? changed : NULL;
}

/* The entry by which a member became a voter that it has been since. */
static uint64_t voter_since(const struct engine *engine, uint64_t id)
{
    uint64_t since = 0;
    for (size_t i = engine->members_count; i > 0; i--) {
        const struct engine_member *member = member_of(&engine->members[i - 1], id);
        if (!member || member->role != ENGINE_VOTER)
            break;
        since = engine->members[i - 1].index;
    }
    return since;
}

/* Of the voters that there will be, most have it in their logs that they vote. Who has not gives no
 * vote, and would hear of it from a leader only, who would need that vote to be elected. */
static bool most_know(const struct engine *engine, const struct engine_members *to, uint64_t changed)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < to->count; i++) {
        uint64_t id = to->of[i].id;
        bool knows = id == engine->id || id == changed ||
                     core_match(engine->core, id) >= voter_since(engine, id);
        count += to->of[i].role == ENGINE_VOTER && knows;
    }
    return 2 * count > voters_of(to);
}

/* Guard p. */
static const char *why_not(const struct engine *engine, const struct engine_members *to,
                           const struct engine_member *changed)
{
    const struct engine_members *from = engine_members(engine);
    if (!engine_in_office(engine))
        return "this member does not lead";
    if (from->index > engine->commit) /* the core would refuse it, too */
        return "the last change of members is not committed yet";
    if (!changed || !voters_of(to))
        return "members change one at a time, and one is a voter";
    if (changed->id == engine->id)
        return "the leader must hand over first";
    if (!most_know(engine, to, changed->id))
        return "a voter that would be needed has not heard yet that it votes";
    const struct engine_member *before = member_of(from, changed->id);
    const struct engine_member *after = member_of(to, changed->id);
    if (voters_of(from) == 2 && voters_of(to) != 2 && !engine->is_said_twice &&
        !planted(PLANTED_MEMBER_TWO_SAID_ONCE))
        return "it must be said once more that there are two voters";
    bool is_promoted = before && after && after->role == ENGINE_VOTER;
    if (is_promoted && core_match(engine->core, changed->id) < engine->commit)
        return "the learner lacks entries that are committed";
    if (!before && after->role == ENGINE_VOTER)
        return "a member begins as a learner";
    return NULL;
}

const char *engine_change(struct engine *engine, uint64_t now_ms,
                          const struct engine_members *members, struct engine_update *update)
{
    struct engine_entry entry = {
        .term = core_term(engine->core), .kind = ENGINE_MEMBERS, .members = members};
    const struct engine_member *changed = changed_member(engine_members(engine), members);
    engine_update_clear(update);
    const char *reason = why_not(engine, members, changed);
    if (reason)
        return reason;
    bool is_promoted = changed->role == ENGINE_VOTER && member_of(members, changed->id);
    bool is_last = voters_of(engine_members(engine)) == 2 && voters_of(members) == 1 &&
                   !planted(PLANTED_MEMBER_LAST_VOTER);
    if (is_last || (is_promoted && !engine->promoted)) {
        engine->promoted = is_last ? engine->id : changed->id;
        engine->promoted_index = core_last(engine->core) + 1;
        engine->promoted_ms = now_ms;
    }
    if (!core_submit(engine->core, now_ms, &entry, update)) {
        engine->promoted = 0;
        return "this member is handing over";
    }
    push_members(engine, members, core_last(engine->core));
    match_peers(engine);
    follow(engine, now_ms, update);
    return NULL;
}

/* Guard f. */
void engine_persisted(struct engine *engine, uint64_t now_ms, uint64_t index, uint64_t cuts,
                      struct engine_update *update)
{
    engine_update_clear(update);
    if (index > core_last(engine->core))
        index = core_last(engine->core);
    if ((cuts == engine->cuts || planted(PLANTED_ENGINE_CUT_FORGOTTEN)) &&
        index > core_stored(engine->core)) {
        core_persisted(engine->core, now_ms, index, update);
        follow(engine, now_ms, update);
    }
}

/* Guard v: a vote for nobody, in the next term, that is not granted. */
static void enter_next_term(struct engine *engine, uint64_t now_ms, struct engine_update *update)
{
    struct engine_message vote = {.type = ENGINE_VOTE,
                                  .peer = engine->id,
                                  .term = core_term(engine->core) + 1,
                                  .disrupts = true};
    size_t count = update->message_count;
    core_receive(engine->core, now_ms, &vote, update);
    update->message_count = count;
}

/* Guard i. It waits for entries to be durable, as the core does not campaign before. Somebody else
 * whose log is shorter may have tried meanwhile; who got this member's vote may win. */
static void follow_hint(struct engine *engine, uint64_t now_ms, struct engine_update *update)
{
    struct core *core = engine->core;
    if (!engine->hint_peer || now_ms < engine->hint_ms)
        return;
    bool has_voted = core_vote(core) && core_term(core) != engine->hint_term;
    if (core_role(core) != CORE_FOLLOWER || core_leader(core) != engine->hint_peer || has_voted ||
        !engine->may_campaign) {
        engine->hint_peer = 0;
        return;
    }
    bool waits = core_stored(core) < core_last(core);
    if (waits && !planted(PLANTED_ENGINE_HINT_LOST))
        return;
    struct engine_message message = {.type = ENGINE_CAMPAIGN,
                                     .peer = engine->hint_peer,
                                     .term = core_term(core),
                                     .index = core_last(core),
                                     .index_term = core_term_of(core, core_last(core))};
    engine->hint_peer = 0;
    campaign(engine, now_ms, &message, update);
}

static bool may_not_lead(const struct engine *engine)
{
    return !engine->may_campaign && !is_lone_voter(engine) && !planted(PLANTED_ENGINE_CAMPAIGNS);
}

static bool rests(const struct engine *engine)
{
    return core_role(engine->core) == CORE_FOLLOWER && may_not_lead(engine);
}

/* Guard y: before there are more voters than two, or one, which could be others than the first one. */
static void say_twice(struct engine *engine, uint64_t now_ms, struct engine_update *update)
{
    const struct engine_members *members = engine_members(engine);
    if (voters_of(members) != 2 || engine->is_said_twice || members->index > engine->commit ||
        !engine_in_office(engine) || update->append_count || planted(PLANTED_MEMBER_TWO_SAID_ONCE))
        return;
    const struct engine_members same = *members;
    const struct engine_entry entry = {
        .term = core_term(engine->core), .kind = ENGINE_MEMBERS, .members = &same};
    if (core_submit(engine->core, now_ms, &entry, update))
        push_members(engine, &same, core_last(engine->core));
}

void engine_timeout(struct engine *engine, uint64_t now_ms, struct engine_update *update)
{
    engine_update_clear(update);
    follow_hint(engine, now_ms, update);
    if (engine->campaign_ends_ms && engine->campaign_ends_ms <= now_ms &&
        !planted(PLANTED_ENGINE_TRIES_ON))
        core_stand_down(engine->core, now_ms, update);
    if (core_deadline(engine->core) <= now_ms) {
        if (core_role(engine->core) == CORE_CANDIDATE && may_not_lead(engine))
            core_stand_down(engine->core, now_ms, update);
        if (rests(engine)) {
            engine->rests_until_ms = now_ms + ENGINE_ELECTION_MS;
        } else {
            if (core_role(engine->core) == CORE_FOLLOWER && is_lone_voter(engine))
                enter_next_term(engine, now_ms, update);
            core_timeout(engine->core, now_ms, update);
        }
    }
    say_twice(engine, now_ms, update);
    follow(engine, now_ms, update);
}

void engine_peer_gone(struct engine *engine, uint64_t now_ms, uint64_t peer, uint32_t rank,
                      struct engine_update *update)
{
    engine_update_clear(update);
    if (core_role(engine->core) != CORE_FOLLOWER || core_leader(engine->core) != peer)
        return;
    engine->hint_peer = peer;
    engine->hint_term = core_term(engine->core);
    engine->hint_ms = now_ms + (uint64_t)rank * HINT_APART_MS;
    if (now_ms >= ENGINE_ELECTION_MS && engine->heard_ms > now_ms - ENGINE_ELECTION_MS)
        engine->heard_ms = now_ms - ENGINE_ELECTION_MS;
    engine_timeout(engine, now_ms, update);
}

void engine_link_new(struct engine *engine, uint64_t peer)
{
    struct peer *of = peer_of(engine, peer);
    if (of)
        of->is_new_link = true;
}

bool engine_transfer(struct engine *engine, uint64_t now_ms, uint64_t peer,
                     struct engine_update *update)
{
    engine_update_clear(update);
    if (peer == 0 || !engine_in_office(engine) ||
        !core_transfer(engine->core, now_ms, peer, update))
        return false;
    follow(engine, now_ms, update);
    return true;
}

void engine_floor(struct engine *engine, uint64_t now_ms, uint64_t index,
                  struct engine_update *update)
{
    engine_update_clear(update);
    if (index <= core_floor_index(engine->core))
        return;
    assert(index <= engine->commit);
    core_floor(engine->core, now_ms, index, engine_members_at(engine, index), update);
    forget_members(engine, index);
    follow(engine, now_ms, update);
}

bool engine_imaged(struct engine *engine, uint64_t now_ms, uint64_t index, uint64_t term,
                   const struct engine_members *members, struct engine_update *update)
{
    engine_update_clear(update);
    if (core_role(engine->core) == CORE_LEADER || index <= core_floor_index(engine->core) ||
        !core_install(engine->core, now_ms, index, term, members, update))
        return false;
    update->cut_from = index + 1;
    engine->cuts++;
    engine->members_count = 0;
    push_members(engine, members, members->index);
    follow(engine, now_ms, update);
    return true;
}

void engine_may_campaign(struct engine *engine, bool may)
{
    engine->may_campaign = may;
}

/* ---- beginning and end ---- */

struct engine *engine_new(const struct engine_start *start, uint64_t now_ms,
                          struct engine_update *update)
{
    struct engine *engine = mem_zalloc(sizeof(*engine));
    struct engine_start own = *start;
    engine_update_clear(update);
    engine->id = start->id;
    engine->may_campaign = true;
    engine->heard_ms = now_ms;
    push_members(engine, &start->members, start->members.index);
    for (uint32_t i = 0; i < start->entry_count; i++)
        if (start->entries[i].kind == ENGINE_MEMBERS)
            push_members(engine, start->entries[i].members, start->floor + 1 + i);
    if (is_lone_voter(engine) &&
        !planted(PLANTED_ENGINE_SAME_TERM)) { /* guard v: the core leads at once */
        own.term++;
        own.vote = own.id;
        update->vote_changed = true;
    }
    engine->core = core_new(&own, now_ms, update);
    engine->commit = start->commit > start->floor ? start->commit : start->floor;
    for (size_t i = 0; i < engine->members_count; i++)
        if (engine->members[i].index > start->floor && engine->members[i].index <= engine->commit)
            core_members_committed(engine->core, now_ms, &engine->members[i], update);
    note_twice(engine);
    follow(engine, now_ms, update);
    return engine;
}

void engine_free(struct engine *engine)
{
    if (!engine)
        return;
    while (engine->peer_count)
        forget_peer(engine, engine->peer_count - 1);
    mem_free(engine->members);
    core_free(engine->core);
    mem_free(engine);
}

/* ---- what is known ---- */

uint64_t engine_term(const struct engine *engine)
{
    return core_term(engine->core);
}

uint64_t engine_vote(const struct engine *engine)
{
    return core_vote(engine->core);
}

bool engine_leads(const struct engine *engine)
{
    return core_role(engine->core) == CORE_LEADER;
}

/* Guard h. */
bool engine_in_office(const struct engine *engine)
{
    return engine_leads(engine) &&
           (engine->commit >= engine->first_entry || planted(PLANTED_ENGINE_OFFICE_AT_ONCE));
}

uint64_t engine_first(const struct engine *engine)
{
    return engine->first_entry;
}

uint64_t engine_leader(const struct engine *engine)
{
    bool is_heard = engine_leads(engine) || engine->round_term == core_term(engine->core);
    return is_heard ? core_leader(engine->core) : 0;
}

uint64_t engine_last(const struct engine *engine)
{
    return core_last(engine->core);
}

uint64_t engine_commit(const struct engine *engine)
{
    return engine->commit;
}

uint64_t engine_term_of(const struct engine *engine, uint64_t index)
{
    return core_term_of(engine->core, index);
}

uint64_t engine_cuts(const struct engine *engine)
{
    return engine->cuts;
}

uint64_t engine_match(const struct engine *engine, uint64_t peer)
{
    return core_match(engine->core, peer);
}

/* The newest moment for which, itself included, a majority of the voters has answered since. */
uint64_t engine_answered_ms(const struct engine *engine, uint64_t now_ms)
{
    const struct engine_members *members = engine_members(engine);
    uint32_t wanted = voters_of(members) / 2;
    uint64_t best = 0;
    if (!engine_leads(engine))
        return 0;
    if (wanted == 0 || planted(PLANTED_ENGINE_ROUND_UNANSWERED))
        return now_ms;
    for (uint32_t i = 0; i < engine->peer_count; i++) {
        uint64_t moment = engine->peers[i].answered_ms;
        uint32_t count = 0;
        for (uint32_t j = 0; j < engine->peer_count; j++) {
            const struct engine_member *member = member_of(members, engine->peers[j].id);
            count +=
                member && member->role == ENGINE_VOTER && engine->peers[j].answered_ms >= moment;
        }
        if (count >= wanted && moment > best)
            best = moment;
    }
    return best;
}

uint64_t engine_deadline(const struct engine *engine)
{
    uint64_t deadline = core_deadline(engine->core);
    if (rests(engine) && deadline < engine->rests_until_ms)
        deadline = engine->rests_until_ms;
    if (engine->campaign_ends_ms && engine->campaign_ends_ms < deadline)
        deadline = engine->campaign_ends_ms;
    if (engine->promoted && engine->promoted != engine->id &&
        engine->promoted_ms + ENGINE_ELECTION_MS < deadline)
        deadline = engine->promoted_ms + ENGINE_ELECTION_MS;
    bool waits = core_stored(engine->core) < core_last(engine->core);
    if (engine->hint_peer && !waits && engine->hint_ms < deadline)
        deadline = engine->hint_ms;
    return deadline;
}
