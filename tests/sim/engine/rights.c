/* Rights that end by themselves, as cluster members have them: a leader's to dispatch, and a node's
 * to hold what a leader gave it. */
#include "tests/sim/engine/group.h"

enum {
    DISPATCH_MS = 300,
    ELECTED_WAIT_MS = 330,
    HOLD_MS = 3000,
    HOLD_SEEN_MS = 3300,
    ASK_EVERY_MS = 100
};

bool rights_dispatch(const struct group *group, const struct node *node)
{
    if (!node->is_up || node->is_paused || !engine_in_office(node->engine) ||
        node->office_term != engine_term(node->engine))
        return false;
    uint64_t now = node_now(group, node), answered = engine_answered_ms(node->engine, now);
    return answered && now < answered + DISPATCH_MS && now >= node->office_ms + ELECTED_WAIT_MS;
}

bool rights_hold(const struct group *group, const struct node *node)
{
    return node->is_up && !node->is_paused && node_now(group, node) < node->holds_until_ms;
}

bool rights_over(const struct group *group, const struct node *leader, uint32_t other)
{
    uint64_t now = node_now(group, leader);
    return now >= leader->office_ms + HOLD_SEEN_MS &&
           now >= leader->granted_ms[other] + HOLD_SEEN_MS;
}

void rights_ask(struct group *group, struct node *node)
{
    struct node *leader = group_node(group, engine_leader(node->engine));
    uint64_t now = node_now(group, node);
    if (leader && leader != node) {
        struct packet packet = {.kind = PACKET_ASK, .lease = now};
        links_send(group, node->number, leader->number, &packet);
    }
    group_at(group, EVENT_LEASE, node->number, 0, ASK_EVERY_MS, node->epoch);
}

void rights_arrived(struct group *group, struct node *node, const struct packet *packet,
                    uint32_t from)
{
    uint64_t now = node_now(group, node);
    if (packet->kind == PACKET_GRANT) {
        if (!rights_hold(group, node)) /* else it holds what it held before */
            node->holds_term = packet->term;
        if (packet->lease + HOLD_MS > node->holds_until_ms)
            node->holds_until_ms = packet->lease + HOLD_MS;
        group->report->grants++;
    } else if (engine_in_office(node->engine) && !node->wanted[from]) {
        node->wanted[from] = packet->lease;
        node->wanted_ms[from] = now;
    }
}

/* What was asked for is granted once something that was sent later has been answered by a majority.
 */
void rights_grant(struct group *group, struct node *leader)
{
    if (!engine_in_office(leader->engine))
        return;
    uint64_t now = node_now(group, leader), answered = engine_answered_ms(leader->engine, now);
    for (uint32_t i = 0; i < NODES; i++) {
        if (!leader->wanted[i] || answered <= leader->wanted_ms[i])
            continue;
        struct packet packet = {
            .kind = PACKET_GRANT, .lease = leader->wanted[i], .term = engine_term(leader->engine)};
        leader->granted_ms[i] = leader->wanted_ms[i];
        leader->wanted[i] = 0;
        links_send(group, leader->number, i, &packet);
    }
}
