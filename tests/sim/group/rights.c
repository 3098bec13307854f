/* Rights that end by themselves (src/cluster/lease), as the members of a group have them. */
#include <inttypes.h>

#include "tests/sim/group/members.h"

bool rights_have(const struct node *node, uint32_t at, enum right right)
{
    struct group *group = node_group(node, at);
    return group && node_is_up(node) &&
           lease_have(group_lease(group), right, node->run->bench.now_ms);
}

/* In which term a right was granted last, and since which one the node has had it. */
static void note_grants(struct node *node, uint32_t at, struct group *group)
{
    struct seat_state *seat = &node->seats[at];
    struct lease_ask ask;
    lease_ask(group_lease(group), node->run->bench.now_ms, &ask);
    for (int right = RIGHT_ANSWER; right <= RIGHT_HOLD; right++) {
        uint64_t until_ms = lease_until_ms(group_lease(group), (enum right)right);
        if (until_ms <= seat->until_ms[right])
            continue;
        seat->granted_term[right] = ask.term;
        if (seat->until_ms[right] <= node->run->bench.now_ms)
            seat->since_term[right] = ask.term;
        seat->until_ms[right] = until_ms;
        node->run->report->grants += right == RIGHT_ANSWER;
    }
}

/* A leader in office that thinks that another has not the right: it has none from that leader, or
 * from one before. Only of the catalogue does anybody answer. */
static void judge_over(const struct node *leader, uint32_t at, struct group *group, bool dispatches)
{
    static const char *const names[] = {"answer", "hold"};
    struct run *run = leader->run;
    uint64_t term = engine_term(group_engine(group));
    int first = run->truths[at].number == GROUP_CATALOGUE ? RIGHT_ANSWER : RIGHT_HOLD;
    for (uint32_t i = 0; i < run->nodes; i++) {
        const struct node *node = &run->of[i];
        const struct seat_state *seat = &node->seats[at];
        for (int right = first; node != leader && right <= RIGHT_HOLD; right++) {
            if (!rights_have(node, at, (enum right)right) ||
                !lease_over(group_lease(group), (enum right)right, run->bench.first_number + i,
                            run->bench.now_ms))
                continue;
            if (seat->granted_term[right] <= term ||
                (right == RIGHT_HOLD && dispatches && seat->since_term[right] <= term))
                run_fail(run,
                         "node %u has the right to %s in group %u that node %u takes for over", i,
                         names[right], at, leader->number);
        }
    }
}

static void judge_group(struct run *run, uint32_t at)
{
    const struct node *dispatches = NULL;
    struct truth *truth = &run->truths[at];
    for (uint32_t i = 0; i < run->nodes; i++) {
        struct node *node = &run->of[i];
        struct group *group = node_group(node, at);
        if (!node_is_up(node) || !group || !group_engine(group))
            continue;
        note_grants(node, at, group);
        uint64_t w = truth->number == GROUP_CATALOGUE ? lease_w(group_lease(group)) : 0;
        run->report->w_rises += w > truth->w;
        truth->w = w > truth->w ? w : truth->w;
    }
    for (uint32_t i = 0; i < run->nodes; i++) {
        struct node *node = &run->of[i];
        struct group *group = node_group(node, at);
        if (!node_is_up(node) || !group || !group_engine(group))
            continue;
        if (group_applied(group) < truth->w && rights_have(node, at, RIGHT_ANSWER))
            run_fail(run, "node %u answers from %" PRIu64 ", and W is %" PRIu64, i,
                     group_applied(group), truth->w);
        bool may = rights_have(node, at, RIGHT_DISPATCH);
        if (engine_leads(group_engine(group)))
            judge_over(node, at, group, may);
        if (!may)
            continue;
        run->report->dispatches++;
        if (dispatches)
            run_fail(run, "nodes %u and %u dispatch in group %u at once", dispatches->number, i,
                     at);
        dispatches = node;
    }
}

void rights_judge(struct run *run)
{
    for (uint32_t at = 0; at < run->groups && !run->is_failed; at++)
        judge_group(run, at);
}
