/* Rights that end by themselves, as src/cluster/lease gives and takes them: a leader's to dispatch,
 * a node's to hold what a leader gave it, and to answer from what it has applied. The group is all
 * in one: its entries are the catalogue, and some of them say who is present. */
#include "tests/sim/engine/group.h"

#include <inttypes.h>

#include "base/mem.h"

bool rights_have(const struct group *group, const struct node *node, enum right right)
{
    return node->is_up && !node->is_paused && lease_have(node->lease, right, node_now(group, node));
}

/* ---- what is applied ---- */

/* Who is present, by the entries up to one. */
static size_t present_at(const struct group *group, uint64_t index, struct lease_node *present)
{
    size_t count = 0;
    for (size_t i = 0; i < group->presence_count && group->presences[i] <= index; i++) {
        const struct lease_node *node = &group->committed[group->presences[i]].node;
        size_t at = 0;
        while (at < count && present[at].node != node->node)
            at++;
        if (node->is_present && (at < count || count < LEASE_NODES_MAX)) {
            present[at] = *node;
            count += at == count;
        } else if (!node->is_present && at < count) {
            present[at] = present[--count];
        }
    }
    return count;
}

void rights_restored(struct group *group, struct node *node, uint64_t index)
{
    struct lease_node present[LEASE_NODES_MAX];
    lease_restored(node->lease, node_now(group, node), index, present,
                   present_at(group, index, present));
}

void rights_applied(struct group *group, struct node *node, uint64_t index,
                    const struct entry *entry)
{
    if (entry->node.node)
        lease_node_applied(node->lease, node_now(group, node), index, &entry->node);
    else
        lease_applied(node->lease, index);
}

void rights_start(struct group *group, struct node *node)
{
    node->lease = lease_new(node->id, node->epoch, node_now(group, node));
    node->office_term = 0;
    rights_restored(group, node, node->applied);
}

void rights_end(struct node *node)
{
    lease_free(node->lease);
    node->lease = NULL;
}

/* ---- as a holder ---- */

/* After what may have granted a right in a term; before that it ended at `until`. */
static void note_grant(struct node *node, enum right right, uint64_t until_ms, uint64_t now_ms,
                       uint64_t term)
{
    if (lease_until_ms(node->lease, right) <= until_ms)
        return;
    node->granted_term[right] = term;
    if (until_ms <= now_ms)
        node->since_term[right] = term;
}

static void take_grant(struct group *group, struct node *node, const struct lease_grant *grant)
{
    uint64_t now = node_now(group, node);
    uint64_t answer_ms = lease_until_ms(node->lease, RIGHT_ANSWER);
    uint64_t hold_ms = lease_until_ms(node->lease, RIGHT_HOLD);
    lease_granted(node->lease, now, grant);
    note_grant(node, RIGHT_ANSWER, answer_ms, now, grant->term);
    note_grant(node, RIGHT_HOLD, hold_ms, now, grant->term);
    group->report->grants++;
}

/* ---- as a leader ---- */

static void grant_all(struct group *group, struct node *leader)
{
    uint64_t id;
    struct packet packet = {.kind = PACKET_GRANT};
    while (lease_grants(leader->lease, node_now(group, leader), &id, &packet.grant)) {
        const struct node *to = group_node(group, id);
        if (to && to != leader)
            links_send(group, leader->number, to->number, &packet);
    }
}

static void propose_all(struct group *group, struct node *leader)
{
    while (lease_proposal(leader->lease, node_now(group, leader), &leader->proposing) &&
           engine_propose(leader->engine, node_now(group, leader), &leader->update)) {
        lease_proposed(leader->lease, engine_last(leader->engine), &leader->proposing);
        if (leader->proposing.is_present)
            group->report->presences++;
        else
            group->report->absences++;
        node_follow(group, leader, NULL);
    }
    leader->proposing.node = 0;
}

static void tell_w(struct group *group, struct node *leader)
{
    uint64_t w = lease_tell_w(leader->lease, node_now(group, leader));
    if (w <= group->w)
        return;
    group->w = w;
    group->report->w_rises++;
}

void rights_follow(struct group *group, struct node *node)
{
    uint64_t term = engine_term(node->engine), now = node_now(group, node);
    lease_term(node->lease, term);
    if (engine_leads(node->engine) && node->office_term != term) {
        node->office_term = term;
        lease_lead(node->lease, now, term, engine_first(node->engine));
    } else if (!engine_leads(node->engine) && node->office_term) {
        node->office_term = 0;
        lease_follow(node->lease);
    }
    if (!node->office_term)
        return;
    uint64_t answer_ms = lease_until_ms(node->lease, RIGHT_ANSWER);
    uint64_t hold_ms = lease_until_ms(node->lease, RIGHT_HOLD);
    lease_answered(node->lease, engine_answered_ms(node->engine, now));
    note_grant(node, RIGHT_ANSWER, answer_ms, now, term);
    note_grant(node, RIGHT_HOLD, hold_ms, now, term);
    grant_all(group, node);
    tell_w(group, node);
}

/* ---- events ---- */

/* Asks all; who does not lead need not be told. */
static void ask_all(struct group *group, struct node *node)
{
    struct packet packet = {.kind = PACKET_ASK};
    lease_ask(node->lease, node_now(group, node), &packet.ask);
    for (uint32_t i = 0; i < NODES; i++) {
        const struct node *other = &group->nodes[i];
        if (other != node && other->is_up && engine_leads(other->engine))
            links_send(group, node->number, i, &packet);
    }
}

static void tell_all(struct group *group, struct node *leader)
{
    struct packet packet = {.kind = PACKET_W, .w = lease_w(leader->lease)};
    for (uint32_t i = 0; i < NODES; i++)
        if (i != leader->number)
            links_send(group, leader->number, i, &packet);
}

void rights_tick(struct group *group, struct node *node)
{
    group_at(group, EVENT_LEASE, node->number, 0, LEASE_EVERY_MS, node->epoch);
    ask_all(group, node);
    if (!engine_leads(node->engine))
        return;
    propose_all(group, node);
    rights_follow(group, node);
    tell_all(group, node);
}

void rights_arrived(struct group *group, struct node *node, const struct packet *packet,
                    uint32_t from)
{
    switch (packet->kind) {
    case PACKET_GRANT:
        take_grant(group, node, &packet->grant);
        break;
    case PACKET_W:
        lease_heard_w(node->lease, packet->w);
        break;
    case PACKET_ASK:
        lease_asked(node->lease, node_now(group, node), group->nodes[from].id, &packet->ask);
        propose_all(group, node);
        rights_follow(group, node);
        break;
    default:
        break;
    }
}
