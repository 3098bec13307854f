/* What must hold at every moment. */
#include <inttypes.h>

#include "base/mem.h"
#include "tests/sim/engine/group.h"

enum { CAMPAIGN_ENDS_MS = 10000 };

/* One leader for each term, which has all that is committed. */
void judge_leader(struct group *group, struct node *node)
{
    uint64_t term = engine_term(node->engine);
    if (term >= TERMS_MAX) {
        group_fail(group, "term %" PRIu64 ": terms rise without end", term);
        return;
    }
    if (group->leader_of[term] && group->leader_of[term] != node->id)
        group_fail(group, "%" PRIx64 " and %" PRIx64 " lead in term %" PRIu64,
                   group->leader_of[term], node->id, term);
    /* Of a term that was not durable nobody has heard. */
    if (group->leader_of[term] && group->leader_epoch[term] != node->epoch &&
        node->start_term >= term)
        group_fail(group, "%" PRIx64 " leads again in term %" PRIu64, node->id, term);
    if (!node->may_campaign && group_voters(engine_members(node->engine)) > 1 &&
        group->now_ms > node->may_since_ms + CAMPAIGN_ENDS_MS)
        group_fail(group, "%" PRIx64 " leads, though it may not campaign", node->id);
    group->leader_of[term] = node->id;
    group->leader_epoch[term] = node->epoch;
    for (uint64_t index = node->live.floor + 1; index <= group->committed_last; index++)
        if (group->decided[index] < term &&
            state_term_of(&node->live, index) != group->committed[index].term)
            group_fail(group,
                       "%" PRIx64 " leads in term %" PRIu64 " without the committed entry %" PRIu64,
                       node->id, term, index);
}

/* What a leader calls committed is durable at a majority. */
void judge_commit(struct group *group, struct node *node, uint64_t before)
{
    const struct engine_members *members = engine_members(node->engine);
    uint64_t commit = engine_commit(node->engine);
    if (commit < before)
        group_fail(group, "%" PRIx64 " takes back that %" PRIu64 " is committed", node->id, before);
    if (!engine_leads(node->engine))
        return;
    if (engine_last(node->engine) > commit + ENGINE_UNCOMMITTED_MAX + 4 &&
        engine_in_office(node->engine))
        group_fail(group, "%" PRIx64 " takes %" PRIu64 " entries that are not committed", node->id,
                   engine_last(node->engine) - commit);
    if (commit == before)
        return;
    uint32_t voters = 0, have = 0;
    for (uint32_t i = 0; i < members->count; i++) {
        struct node *member = group_node(group, members->of[i].id);
        if (members->of[i].role != ENGINE_VOTER)
            continue;
        voters++;
        have += !member ||
                (state_term_of(&member->durable, commit) == engine_term_of(node->engine, commit) ||
                 member->durable.floor >= commit);
    }
    if (have * 2 <= voters)
        group_fail(group, "%" PRIx64 " calls %" PRIu64 " committed, which %u of %u voters have",
                   node->id, commit, have, voters);
}

/* The first commit after a leader was lost says how long that took. */
static void judge_outage(struct group *group, const struct node *node)
{
    struct group_report *report = group->report;
    if (!group->fault_term || engine_term(node->engine) <= group->fault_term)
        return;
    uint32_t outage_ms = (uint32_t)(group->now_ms - group->fault_ms);
    if (group->fault_ms && group->fault_was_kill &&
        report->killed_count < sizeof(report->killed_ms) / sizeof(uint32_t))
        report->killed_ms[report->killed_count++] = outage_ms;
    if (group->fault_ms && !group->fault_was_kill &&
        report->silent_count < sizeof(report->silent_ms) / sizeof(uint32_t))
        report->silent_ms[report->silent_count++] = outage_ms;
    group->fault_term = 0;
}

void judge_applied(struct group *group, struct node *node, uint64_t index,
                   const struct entry *entry)
{
    struct entry *first = &group->committed[index];
    if (!first->term) {
        *first = *entry;
        group->decided[index] = engine_term(node->engine);
        group->committed_last = index;
        if (entry->node.node) {
            group->presences = mem_grow(group->presences, &group->presence_capacity,
                                        group->presence_count + 1, sizeof(*group->presences));
            group->presences[group->presence_count++] = index;
        }
        group->report->commits++;
        judge_outage(group, node);
    } else if (first->term != entry->term || first->value != entry->value) {
        group_fail(group,
                   "entry %" PRIu64 " is of term %" PRIu64 ", and at %" PRIx64 " of term %" PRIu64,
                   index, first->term, node->id, entry->term);
    }
}

/* A leader in office that thinks that another has not the right: it has none from that leader, or
 * from one before. What it held before it was granted again by a later leader is the business of
 * who dispatches. */
static void judge_over(struct group *group, const struct node *leader, bool dispatches)
{
    static const char *const names[] = {"answer", "hold"};
    uint64_t now = node_now(group, leader), term = leader->office_term;
    for (uint32_t i = 0; i < NODES; i++) {
        const struct node *node = &group->nodes[i];
        for (int right = RIGHT_ANSWER; node != leader && right <= RIGHT_HOLD; right++) {
            if (!rights_have(group, node, (enum right)right) ||
                !lease_over(leader->lease, (enum right)right, node->id, now))
                continue;
            if (node->granted_term[right] <= term ||
                (right == RIGHT_HOLD && dispatches && node->since_term[right] <= term))
                group_fail(group, "%" PRIx64 " has the right to %s that %" PRIx64 " takes for over",
                           node->id, names[right], leader->id);
        }
    }
}

void judge_rights(struct group *group)
{
    const struct node *dispatches = NULL;
    for (uint32_t i = 0; i < NODES; i++) {
        const struct node *node = &group->nodes[i];
        if (!node->is_up || node->is_paused)
            continue;
        if (node->applied < group->w && rights_have(group, node, RIGHT_ANSWER))
            group_fail(group, "%" PRIx64 " answers from %" PRIu64 ", and W is %" PRIu64, node->id,
                       node->applied, group->w);
        bool may = rights_have(group, node, RIGHT_DISPATCH);
        if (node->office_term)
            judge_over(group, node, may);
        if (!may)
            continue;
        group->report->dispatches++;
        if (dispatches)
            group_fail(group, "%" PRIx64 " and %" PRIx64 " dispatch at once", dispatches->id,
                       node->id);
        dispatches = node;
    }
}
