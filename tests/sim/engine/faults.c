/* What goes wrong, and what operators do meanwhile. */
#include <inttypes.h>
#include <string.h>

#include "tests/sim/engine/group.h"

enum { DOWN_MS = 3000, PAUSE_MS = 5000, STUCK_MS = 8000, STALL_MS = 3000, GONE_MS = 5, DRAWS = 8 };

static struct node *draw_node(struct group *group)
{
    return &group->nodes[group_below(group, NODES)];
}

struct node *faults_leader(struct group *group)
{
    struct node *leader = NULL;
    for (uint32_t i = 0; i < NODES; i++) {
        struct node *node = &group->nodes[i];
        if (node->is_up && !node->is_paused && engine_leads(node->engine) &&
            (!leader || engine_term(node->engine) > engine_term(leader->engine)))
            leader = node;
    }
    return leader;
}

/* Half of all faults are the leader's. */
static struct node *draw_victim(struct group *group)
{
    struct node *leader = group_chance(group, 2) ? faults_leader(group) : NULL;
    return leader ? leader : draw_node(group);
}

static void note_outage(struct group *group, const struct node *node, bool was_kill)
{
    if (!node->is_up || !engine_in_office(node->engine))
        return;
    group->fault_ms = group->now_ms;
    group->fault_term = engine_term(node->engine);
    group->fault_was_kill = was_kill;
}

/* Others see that a process has ended, and take its connections for reset. */
static void tell_gone(struct group *group, const struct node *node)
{
    for (uint32_t i = 0; i < NODES; i++) {
        const struct node *other = &group->nodes[i];
        if (other != node && other->is_up)
            group_at(group, EVENT_GONE, i, node->number, 1 + group_below(group, GONE_MS),
                     other->epoch);
    }
}

void faults_kill(struct group *group, struct node *node)
{
    if (!node->is_up)
        return;
    group_say(group, "%" PRIx64 " is killed", node->id);
    group->report->kills++;
    note_outage(group, node, true);
    node_end(group, node, false);
    tell_gone(group, node);
    group_at(group, EVENT_START, node->number, 0, 1 + group_below(group, DOWN_MS), 0);
}

void faults_silence(struct group *group, struct node *node)
{
    if (!node->is_up)
        return;
    group_say(group, "%" PRIx64 " loses power", node->id);
    group->report->power_cuts++;
    note_outage(group, node, false);
    node_end(group, node, true);
    group_at(group, EVENT_START, node->number, 0, 100 + group_below(group, DOWN_MS), 0);
}

static void cut_power_of_all(struct group *group)
{
    group->report->power_cuts_of_all++;
    for (uint32_t i = 0; i < NODES; i++)
        faults_silence(group, &group->nodes[i]);
}

static void pause_node(struct group *group, struct node *node)
{
    if (!node->is_up || node->is_paused)
        return;
    group_say(group, "%" PRIx64 " is paused", node->id);
    group->report->pauses++;
    node->is_paused = true;
    group_at(group, EVENT_RESUME, node->number, 0, 1 + group_below(group, PAUSE_MS), node->epoch);
}

static void stick(struct group *group, struct node *node)
{
    if (!node->is_up || node->is_stuck)
        return;
    group->report->stuck_disks++;
    node->is_stuck = true;
    group_at(group, EVENT_UNSTICK, node->number, 0, 1 + group_below(group, STUCK_MS), node->epoch);
}

void faults_unblock(struct group *group)
{
    for (uint32_t i = 0; i < NODES; i++)
        for (uint32_t j = 0; j < NODES; j++)
            links_block(group, i, j, false);
}

static void isolate(struct group *group, const struct node *node)
{
    for (uint32_t i = 0; i < NODES; i++) {
        links_block(group, node->number, i, true);
        links_block(group, i, node->number, true);
    }
}

/* Halves, one alone, one pair, or one direction of one; each fault of this kind takes the place of
 * the last. */
static void partition(struct group *group)
{
    uint32_t side = (uint32_t)group_below(group, 1 << NODES);
    const struct node *alone = draw_victim(group);
    uint32_t a = (uint32_t)group_below(group, NODES), b = (uint32_t)group_below(group, NODES);
    faults_unblock(group);
    group->report->partitions++;
    switch (group_below(group, 5)) {
    case 0:
        for (uint32_t i = 0; i < NODES; i++)
            for (uint32_t j = 0; j < NODES; j++)
                links_block(group, i, j, (side >> i & 1) != (side >> j & 1));
        break;
    case 1:
        note_outage(group, alone, false);
        isolate(group, alone);
        break;
    case 2:
        links_block(group, a, b, true);
        links_block(group, b, a, true);
        break;
    case 3:
        group->report->one_way++;
        links_block(group, a, b, true);
        break;
    default: /* all is well again */
        break;
    }
}

static void reset_links(struct group *group, uint32_t node)
{
    links_end(group, node);
    for (uint32_t i = 0; i < NODES; i++)
        if (i != node)
            group_at(group, EVENT_CONNECT, node, i, 1 + group_below(group, 50), 0);
}

void faults_reset_all(struct group *group)
{
    for (uint32_t i = 0; i < NODES; i++)
        reset_links(group, i);
}

static void forge(struct group *group)
{
    const struct node *node = faults_leader(group);
    if (!node)
        return;
    group->report->forged++;
    tell_gone(group, node);
}

/* A node that is cut off from all takes its leader for gone. */
static void secede(struct group *group)
{
    const struct node *node = draw_node(group), *leader = faults_leader(group);
    if (!leader || leader == node || !node->is_up)
        return;
    faults_unblock(group);
    isolate(group, node);
    group->report->forged++;
    group_at(group, EVENT_GONE, node->number, leader->number, 1 + group_below(group, GONE_MS),
             node->epoch);
}

/* What a node sends of entries is slow, and what else it sends is not. */
static void stall(struct group *group)
{
    const struct node *node = draw_victim(group);
    uint64_t until_ms = group->now_ms + 1 + group_below(group, STALL_MS);
    group->report->stalls++;
    for (uint32_t i = 0; i < NODES; i++)
        group->stalled_ms[node->number][i] = until_ms;
}

/* ---- what operators do ---- */

static void remove_member(struct engine_members *members, uint32_t at)
{
    members->of[at] = members->of[--members->count];
}

/* A member that lost its disk, and will not come back as itself. */
static bool leave_lost(struct group *group, struct engine_members *members)
{
    for (uint32_t i = 0; i < members->count; i++) {
        if (group_node(group, members->of[i].id))
            continue;
        remove_member(members, i);
        return true;
    }
    return false;
}

/* A learner, the first from a place on. */
static struct engine_member *draw_learner(struct group *group, struct engine_members *members)
{
    uint32_t first = (uint32_t)group_below(group, members->count);
    for (uint32_t i = 0; i < members->count; i++) {
        struct engine_member *member = &members->of[(first + i) % members->count];
        if (member->role == ENGINE_LEARNER)
            return member;
    }
    return NULL;
}

static bool draw_change(struct group *group, const struct node *leader,
                        struct engine_members *members)
{
    uint32_t at = (uint32_t)group_below(group, members->count);
    struct engine_member *member = &members->of[at];
    const struct node *node = draw_node(group);
    bool is_member = false;
    for (uint32_t i = 0; i < members->count; i++)
        is_member |= members->of[i].id == node->id;
    switch (group_below(group, 5)) {
    case 0:
        if (is_member || members->count >= 6)
            return false;
        members->of[members->count++] = (struct engine_member){node->id, ENGINE_LEARNER};
        return true;
    case 1:
        if (member->id == leader->id ||
            (member->role == ENGINE_VOTER && group_voters(members) <= 3))
            return false;
        remove_member(members, at);
        return true;
    case 2:
        if (member->id == leader->id || member->role != ENGINE_VOTER || group_voters(members) <= 3)
            return false;
        member->role = ENGINE_LEARNER;
        return true;
    default:
        member = draw_learner(group, members);
        if (!member)
            return false;
        member->role = ENGINE_VOTER;
        return true;
    }
}

bool faults_change(struct group *group, struct node *leader, const struct engine_members *members)
{
    uint32_t before = group_voters(engine_members(leader->engine));
    const char *reason =
        engine_change(leader->engine, node_now(group, leader), members, &leader->update);
    if (reason) {
        group_say(group, "%" PRIx64 " does not change members: %s", leader->id, reason);
        return false;
    }
    group_say(group, "%" PRIx64 " changes members: %u, %u vote", leader->id, members->count,
              group_voters(members));
    group->report->changes++;
    group->report->promotions += group_voters(members) > before;
    node_follow(group, leader, NULL);
    return true;
}

static void change_members(struct group *group)
{
    struct node *leader = faults_leader(group);
    struct engine_members members;
    if (!leader)
        return;
    members = *engine_members(leader->engine);
    bool is_drawn = leave_lost(group, &members);
    for (uint32_t i = 0; !is_drawn && !group->is_healing && i < DRAWS; i++)
        is_drawn = draw_change(group, leader, &members);
    if (!is_drawn)
        return;
    faults_change(group, leader, &members);
}

/* A disk is lost only while all others are well, and no other loss is being made good. */
static void lose_disk(struct group *group)
{
    struct node *leader = faults_leader(group), *victim = draw_node(group);
    if (!leader || victim == leader || !engine_in_office(leader->engine))
        return;
    const struct engine_members *members = engine_members(leader->engine);
    if (members->index > engine_commit(leader->engine) || group_voters(members) < 3)
        return;
    for (uint32_t i = 0; i < members->count; i++) {
        const struct node *node = group_node(group, members->of[i].id);
        if (!node || !node->is_up ||
            (node != leader &&
             engine_match(leader->engine, node->id) < engine_commit(leader->engine)))
            return;
    }
    group_say(group, "%" PRIx64 " loses its disk", victim->id);
    node_wipe(group, victim);
}

static void transfer(struct group *group)
{
    struct node *leader = faults_leader(group);
    const struct node *to = draw_node(group);
    if (!leader ||
        !engine_transfer(leader->engine, node_now(group, leader), to->id, &leader->update))
        return;
    group_say(group, "%" PRIx64 " hands over to %" PRIx64, leader->id, to->id);
    group->report->transfers++;
    node_follow(group, leader, NULL);
}

void faults_campaigns(struct group *group, struct node *node, bool may)
{
    if (node->may_campaign != may)
        node->may_since_ms = group->now_ms;
    node->may_campaign = may;
    if (node->is_up)
        engine_may_campaign(node->engine, may);
}

void faults_event(struct group *group)
{
    if (group->is_healing) {
        group_at(group, EVENT_FAULT, 0, 0, 200, 0);
        change_members(group);
        return;
    }
    group_at(group, EVENT_FAULT, 0, 0, 1 + group_below(group, group->fault_every_ms * 2), 0);
    switch (group_below(group, 18)) {
    case 0:
    case 1:
        faults_kill(group, draw_victim(group));
        break;
    case 2:
        if (group->has_power_cuts)
            faults_silence(group, draw_victim(group));
        break;
    case 3:
        if (group->has_power_cuts && group_chance(group, 4))
            cut_power_of_all(group);
        break;
    case 4:
    case 5:
    case 6:
        if (group->has_partitions)
            partition(group);
        break;
    case 7:
        pause_node(group, draw_victim(group));
        break;
    case 8:
        if (group->has_stuck_disks)
            stick(group, draw_victim(group));
        break;
    case 9:
        reset_links(group, (uint32_t)group_below(group, NODES));
        break;
    case 10:
        if (group->has_forged)
            forge(group);
        break;
    case 11:
        transfer(group);
        break;
    case 12:
        if (group->has_members)
            lose_disk(group);
        break;
    case 13:
        if (group_chance(group, 4)) {
            struct node *node = draw_node(group);
            faults_campaigns(group, node, !node->may_campaign);
        }
        break;
    case 14:
        stall(group);
        break;
    case 15:
        if (group->has_partitions)
            secede(group);
        break;
    default:
        for (uint32_t i = 0; group->has_members && i < 3; i++)
            change_members(group);
    }
}

/* Nothing is down, blocked or stuck any more; members that are lost go. */
void faults_heal(struct group *group)
{
    group->is_healing = true;
    group->fault_term = 0;
    faults_unblock(group);
    memset(group->stalled_ms, 0, sizeof(group->stalled_ms));
    for (uint32_t i = 0; i < NODES; i++) {
        struct node *node = &group->nodes[i];
        faults_campaigns(group, node, true);
        if (!node->is_up)
            node_start(group, node);
        group_at(group, EVENT_RESUME, i, 0, 0, node->epoch);
        group_at(group, EVENT_UNSTICK, i, 0, 0, node->epoch);
    }
}
