/*
 * Why it holds: a right ends before the next leader counts it as over. Say that a node asked at k.
 * It is granted once a majority has answered something that was sent after k, in the leader's term;
 * one of that majority voted for the next leader, later than it answered. So that leader was
 * elected after k, and what it counts from its election ends after what the node counts from k. It
 * counts the node at all because the leader of before had applied that the node is present before
 * it granted anything: that entry is committed, and in the log of every later leader. And nobody is
 * made absent who may have a right, for no grant leaves while such an entry is under way.
 *
 * W: of all who may answer, a leader knows an index that they have applied, and applied indexes do
 * not fall. Who is granted the right to answer later has applied W before, and the first entry of
 * this term: no W of an earlier leader is above that.
 *
 * That a node of before has ended when one of a later incarnation speaks is the one thing that is
 * believed without a lease: an incarnation is durable before it speaks, and a store has one
 * process.
 */
#include "cluster/lease.h"

#include <assert.h>
#include <string.h>

#include "base/mem.h"
#include "base/planted.h"

/* As others count: a tenth longer. */
enum { ANSWER_SEEN_MS = 1650, HOLD_SEEN_MS = 3300, DISPATCH_SEEN_MS = 330 };
/* Who lacks for longer than the first what the leader has is granted no right to answer until it
 * has kept up for the second. */
enum { BEHIND_MS = 500, KEPT_UP_MS = 2000 };
/* A question that waits for so long is of little use: a newer one takes its place. */
enum { WAITED_MS = 750 };

struct peer {
    uint64_t node;

    /* By the log: the last NODE entry, and where it is. */
    uint64_t incarnation, index;
    bool is_present;

    /* Since this node leads: */
    uint64_t proposed;    /* a NODE entry of this node is there */
    struct lease_ask ask; /* the newest; its incarnation 0: none */
    uint64_t heard_ms;    /* when that came, or when this node began to wait for it */
    bool is_free;         /* it has no right to answer of a leader of before, and takes none */
    bool waits;           /* a question that is not granted yet, when it was sent and came */
    uint64_t waits_sent_ms, waits_ms;
    uint64_t answer_ms,
        hold_ms;            /* when the last question came for which it was granted; 0: never */
    uint64_t mark, mark_ms; /* what it lacked then; 0: it had all */
    uint64_t behind_ms;     /* when it was last seen to be behind; 0: never */
};

struct lease {
    uint64_t node, incarnation, started_ms;
    uint64_t term, applied, w;
    uint64_t answer_until_ms, hold_until_ms;

    uint64_t led_term, first; /* 0: it does not lead */
    uint64_t elected_ms, answered_ms;

    struct peer peers[LEASE_NODES_MAX]; /* this node is one of them */
    uint32_t count;
};

struct lease *lease_new(uint64_t node, uint64_t incarnation, uint64_t now_ms)
{
    assert(node && incarnation);
    struct lease *lease = mem_zalloc(sizeof(*lease));
    lease->node = node;
    lease->incarnation = incarnation;
    lease->started_ms = now_ms;
    return lease;
}

void lease_free(struct lease *lease)
{
    mem_free(lease);
}

/* ---- peers ---- */

/* Its place among the peers; their count: it is none of them. */
static uint32_t place_of(const struct lease *lease, uint64_t node)
{
    uint32_t i = 0;
    while (i < lease->count && lease->peers[i].node != node)
        i++;
    return i;
}

static const struct peer *find(const struct lease *lease, uint64_t node)
{
    uint32_t place = place_of(lease, node);
    return place < lease->count ? &lease->peers[place] : NULL;
}

static bool in_office(const struct lease *lease)
{
    return lease->led_term && lease->applied >= lease->first;
}

static bool is_silent(const struct peer *peer, uint64_t now_ms)
{
    return now_ms >= peer->heard_ms + HOLD_SEEN_MS;
}

/* An entry about it is appended, and not applied. */
static bool is_changing(const struct lease *lease, const struct peer *peer)
{
    return peer->proposed > lease->applied;
}

/* Room for one more: NULL, or in place of one that is not present; if `silent`, of one that has not
 * been heard for long. */
static struct peer *make_room(struct lease *lease, bool silent, uint64_t now_ms)
{
    if (lease->count < LEASE_NODES_MAX)
        return &lease->peers[lease->count++];
    for (uint32_t i = 0; i < lease->count; i++) {
        struct peer *peer = &lease->peers[i];
        if (!peer->is_present && !is_changing(lease, peer) && (!silent || is_silent(peer, now_ms)))
            return peer;
    }
    return NULL;
}

static struct peer *find_or_add(struct lease *lease, uint64_t node, bool silent, uint64_t now_ms)
{
    uint32_t place = place_of(lease, node);
    if (place < lease->count)
        return &lease->peers[place];
    struct peer *peer = make_room(lease, silent, now_ms);
    if (peer)
        *peer = (struct peer){.node = node, .heard_ms = now_ms};
    return peer;
}

/* What a leader knew is forgotten, and with it who is not present. */
static void forget_terms(struct lease *lease, uint64_t now_ms)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < lease->count; i++) {
        const struct peer *peer = &lease->peers[i];
        if (peer->is_present)
            lease->peers[kept++] = (struct peer){.node = peer->node,
                                                 .incarnation = peer->incarnation,
                                                 .index = peer->index,
                                                 .is_present = true,
                                                 .heard_ms = now_ms};
    }
    lease->count = kept;
}

/* ---- what the group's log says ---- */

void lease_applied(struct lease *lease, uint64_t index)
{
    assert(index >= lease->applied);
    lease->applied = index;
}

void lease_node_applied(struct lease *lease, uint64_t now_ms, uint64_t index,
                        const struct lease_node *node)
{
    lease_applied(lease, index);
    struct peer *peer = find_or_add(lease, node->node, false, now_ms);
    if (!peer) /* more are present than a leader ever made so */
        return;
    peer->incarnation = node->incarnation;
    peer->index = index;
    peer->is_present = node->is_present;
    if (!lease->led_term && !peer->is_present)
        *peer = lease->peers[--lease->count];
}

void lease_restored(struct lease *lease, uint64_t now_ms, uint64_t index,
                    const struct lease_node *present, size_t count)
{
    assert(!lease->led_term && count <= LEASE_NODES_MAX);
    lease->count = 0;
    for (size_t i = 0; i < count; i++)
        lease_node_applied(lease, now_ms, index, &present[i]);
    lease_applied(lease, index);
}

size_t lease_present(const struct lease *lease, struct lease_node *present)
{
    size_t count = 0;
    for (uint32_t i = 0; i < lease->count; i++) {
        const struct peer *peer = &lease->peers[i];
        if (peer->is_present)
            present[count++] = (struct lease_node){peer->node, peer->incarnation, true};
    }
    return count;
}

/* ---- every node ---- */

void lease_term(struct lease *lease, uint64_t term)
{
    if (term > lease->term)
        lease->term = term;
}

static void extend(struct lease *lease, uint64_t from_ms, bool answer)
{
    if (answer && from_ms + LEASE_ANSWER_MS > lease->answer_until_ms)
        lease->answer_until_ms = from_ms + LEASE_ANSWER_MS;
    if (from_ms + LEASE_HOLD_MS > lease->hold_until_ms)
        lease->hold_until_ms = from_ms + LEASE_HOLD_MS;
}

void lease_ask(const struct lease *lease, uint64_t now_ms, struct lease_ask *ask)
{
    *ask = (struct lease_ask){.incarnation = lease->incarnation,
                              .sent_ms = now_ms,
                              .term = lease->term,
                              .applied = lease->applied,
                              .answers = lease_have(lease, RIGHT_ANSWER, now_ms)};
}

void lease_granted(struct lease *lease, uint64_t now_ms, const struct lease_grant *grant)
{
    bool is_old = grant->term < lease->term && !planted(PLANTED_ENGINE_LEASE_OLD_TERM);
    if (grant->incarnation != lease->incarnation || is_old || grant->sent_ms > now_ms ||
        grant->sent_ms < lease->started_ms)
        return;
    lease_term(lease, grant->term);
    extend(lease, planted(PLANTED_ENGINE_LEASE_FROM_GRANT) ? now_ms : grant->sent_ms,
           grant->answer);
}

uint64_t lease_until_ms(const struct lease *lease, enum right right)
{
    return right == RIGHT_ANSWER ? lease->answer_until_ms : lease->hold_until_ms;
}

bool lease_have(const struct lease *lease, enum right right, uint64_t now_ms)
{
    if (right != RIGHT_DISPATCH)
        return now_ms < lease_until_ms(lease, right);
    return in_office(lease) && now_ms >= lease->elected_ms + DISPATCH_SEEN_MS &&
           (now_ms < lease->answered_ms + LEASE_DISPATCH_MS ||
            planted(PLANTED_ENGINE_DISPATCH_UNANSWERED));
}

void lease_heard_w(struct lease *lease, uint64_t w)
{
    if (w > lease->w)
        lease->w = w;
}

uint64_t lease_w(const struct lease *lease)
{
    return lease->w;
}

/* ---- a leader ---- */

void lease_lead(struct lease *lease, uint64_t now_ms, uint64_t term, uint64_t first)
{
    forget_terms(lease, now_ms);
    lease_term(lease, term);
    lease->led_term = term;
    lease->first = first;
    lease->elected_ms = now_ms;
    lease->answered_ms = 0;
}

void lease_follow(struct lease *lease)
{
    forget_terms(lease, 0);
    lease->led_term = lease->first = lease->answered_ms = 0;
}

void lease_answered(struct lease *lease, uint64_t answered_ms)
{
    const struct peer *self = find(lease, lease->node);
    if (answered_ms > lease->answered_ms)
        lease->answered_ms = answered_ms;
    if (in_office(lease) && lease->answered_ms && self && self->is_present &&
        self->incarnation == lease->incarnation)
        extend(lease, lease->answered_ms, true);
}

/* It may have rights of leaders of before: it was present when this one was elected, and has not
 * been started since. */
static bool inherits(const struct lease *lease, const struct peer *peer)
{
    return peer->is_present && peer->index < lease->first &&
           peer->ask.incarnation <= peer->incarnation;
}

bool lease_over(const struct lease *lease, enum right right, uint64_t node, uint64_t now_ms)
{
    static const uint64_t seen_ms[] = {ANSWER_SEEN_MS, HOLD_SEEN_MS, DISPATCH_SEEN_MS};
    if (!in_office(lease) || node == lease->node)
        return false;
    if (right == RIGHT_DISPATCH)
        return now_ms >= lease->elected_ms + seen_ms[right];
    const struct peer *peer = find(lease, node);
    if (!peer)
        return true;
    uint64_t granted_ms = right == RIGHT_ANSWER ? peer->answer_ms : peer->hold_ms;
    if (granted_ms && now_ms < granted_ms + seen_ms[right])
        return false;
    return now_ms >= lease->elected_ms + seen_ms[right] || !inherits(lease, peer) ||
           planted(PLANTED_ENGINE_LEASE_UNINHERITED) || (right == RIGHT_ANSWER && peer->is_free);
}

/* Whether it keeps up with this leader, by what it says that it has applied. */
static void note_progress(const struct lease *lease, struct peer *peer, uint64_t now_ms)
{
    if (peer->mark && now_ms >= peer->mark_ms + BEHIND_MS)
        peer->behind_ms = now_ms;
    if (peer->mark && peer->ask.applied >= peer->mark)
        peer->mark = 0;
    if (!peer->mark && peer->ask.applied < lease->applied) {
        peer->mark = lease->applied;
        peer->mark_ms = now_ms;
    }
}

static bool keeps_up(const struct lease *lease, const struct peer *peer, uint64_t now_ms)
{
    if (planted(PLANTED_ENGINE_LEASE_BEHIND))
        return true;
    return peer->ask.applied >= lease->w && peer->ask.applied >= lease->first &&
           (!peer->mark || now_ms < peer->mark_ms + BEHIND_MS ||
            planted(PLANTED_ENGINE_LEASE_LAGGING)) &&
           (!peer->behind_ms || now_ms >= peer->behind_ms + KEPT_UP_MS ||
            planted(PLANTED_ENGINE_LEASE_LAGGING));
}

void lease_asked(struct lease *lease, uint64_t now_ms, uint64_t node, const struct lease_ask *ask)
{
    if (!lease->led_term || node == lease->node || !node || !ask->incarnation)
        return;
    struct peer *peer = find_or_add(lease, node, true, now_ms);
    if (!peer || ask->incarnation < peer->ask.incarnation ||
        (peer->is_present && ask->incarnation < peer->incarnation) ||
        (ask->incarnation == peer->ask.incarnation && ask->sent_ms < peer->ask.sent_ms))
        return;
    if (ask->incarnation > peer->ask.incarnation) { /* what it was before has ended */
        peer->waits = peer->is_free = false;
        peer->answer_ms = peer->hold_ms = peer->mark = peer->behind_ms = 0;
    }
    peer->ask = *ask;
    peer->heard_ms = now_ms;
    peer->is_free |= !ask->answers && ask->term >= lease->led_term;
    note_progress(lease, peer, now_ms);
    if (!peer->waits || now_ms >= peer->waits_ms + WAITED_MS) {
        peer->waits = true;
        peer->waits_sent_ms = ask->sent_ms;
        peer->waits_ms = now_ms;
    }
}

/* The log has it that the node is present, as it is now, and nothing else is under way. */
static bool is_known(const struct lease *lease, const struct peer *peer)
{
    bool is_present = peer->is_present && peer->incarnation == peer->ask.incarnation;
    return (is_present || planted(PLANTED_ENGINE_LEASE_UNKNOWN)) &&
           (!is_changing(lease, peer) || planted(PLANTED_ENGINE_LEASE_UNKNOWN) ||
            planted(PLANTED_ENGINE_LEASE_LEAVING));
}

/* Whoever leads later was elected after the question had come. */
static bool is_proven(const struct lease *lease, const struct peer *peer)
{
    bool is_held = peer->hold_ms == peer->waits_ms;
    return lease->answered_ms > peer->waits_ms || planted(PLANTED_ENGINE_LEASE_UNANSWERED) ||
           (!is_held && planted(PLANTED_ENGINE_HOLD_UNANSWERED));
}

bool lease_grants(struct lease *lease, uint64_t now_ms, uint64_t *node, struct lease_grant *grant)
{
    for (uint32_t i = 0; in_office(lease) && i < lease->count; i++) {
        struct peer *peer = &lease->peers[i];
        if (!peer->waits || !is_known(lease, peer) || !is_proven(lease, peer))
            continue;
        bool is_early =
            lease->answered_ms <= peer->waits_ms && planted(PLANTED_ENGINE_HOLD_UNANSWERED);
        peer->waits = is_early;
        *node = peer->node;
        *grant = (struct lease_grant){.incarnation = peer->ask.incarnation,
                                      .sent_ms = peer->waits_sent_ms,
                                      .term = lease->led_term,
                                      .answer = !is_early && keeps_up(lease, peer, now_ms)};
        peer->hold_ms = peer->waits_ms;
        if (grant->answer)
            peer->answer_ms = peer->waits_ms;
        return true;
    }
    return false;
}

/* Present, or soon. */
static uint32_t count_present(const struct lease *lease)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < lease->count; i++)
        count += lease->peers[i].is_present || is_changing(lease, &lease->peers[i]);
    return count;
}

/* What the log should say of a node; false: it does. */
static bool should_be(const struct lease *lease, const struct peer *peer, uint64_t now_ms,
                      struct lease_node *node)
{
    *node = (struct lease_node){peer->node, peer->ask.incarnation, true};
    if (is_changing(lease, peer))
        return false;
    if (!is_silent(peer, now_ms))
        return peer->is_present ? peer->ask.incarnation > peer->incarnation
                                : peer->ask.incarnation && count_present(lease) < LEASE_NODES_MAX;
    *node = (struct lease_node){peer->node, peer->incarnation, false};
    return peer->is_present && lease_over(lease, RIGHT_ANSWER, peer->node, now_ms) &&
           lease_over(lease, RIGHT_HOLD, peer->node, now_ms);
}

static bool should_be_self(struct lease *lease, uint64_t now_ms, struct lease_node *node)
{
    struct peer *self = find_or_add(lease, lease->node, false, now_ms);
    *node = (struct lease_node){lease->node, lease->incarnation, true};
    return self && !is_changing(lease, self) &&
           (self->is_present ? self->incarnation != lease->incarnation
                             : count_present(lease) < LEASE_NODES_MAX);
}

bool lease_proposal(struct lease *lease, uint64_t now_ms, struct lease_node *node)
{
    if (!in_office(lease))
        return false;
    if (should_be_self(lease, now_ms, node))
        return true;
    for (uint32_t i = 0; i < lease->count; i++)
        if (lease->peers[i].node != lease->node && should_be(lease, &lease->peers[i], now_ms, node))
            return true;
    return false;
}

void lease_proposed(struct lease *lease, uint64_t index, const struct lease_node *node)
{
    uint32_t place = place_of(lease, node->node);
    if (place < lease->count)
        lease->peers[place].proposed = index;
}

uint64_t lease_tell_w(struct lease *lease, uint64_t now_ms)
{
    uint64_t w = lease->applied;
    if (!in_office(lease))
        return 0;
    for (uint32_t i = 0; i < lease->count; i++) {
        const struct peer *peer = &lease->peers[i];
        if (peer->node == lease->node || lease_over(lease, RIGHT_ANSWER, peer->node, now_ms))
            continue;
        if (!peer->ask.incarnation)
            return 0;
        if (peer->ask.applied < w)
            w = peer->ask.applied;
    }
    lease_heard_w(lease, w);
    return lease->w;
}

/* ---- the barrier of a queue after an election ---- */

bool lease_barrier_passed(const struct lease *lease, uint64_t node,
                          const struct lease_barrier *barrier, uint64_t now_ms)
{
    if (barrier->link == BARRIER_LINKED)
        return barrier->attached;
    if (lease_over(lease, RIGHT_HOLD, node, now_ms))
        return true;
    return !barrier->is_sole && (barrier->link == BARRIER_GONE || !barrier->held);
}
