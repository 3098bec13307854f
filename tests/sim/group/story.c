/* What chance does not find, at the end of a run that was healed: a node leaves a group while its disk is stuck,
 * and is back in another seat with the log that it has, before that is durable. */
#include <inttypes.h>

#include "tests/sim/group/members.h"

enum { PROPOSED_MS = 300, LEFT_MS = 20000, BACK_MS = 600, ALL_MS = 60000 };

static uint64_t id_of(const struct node *node, uint32_t at)
{
    return group_member_id(node->run->bench.first_number + node->number, node->seats[at].seat);
}

/* A leader knows of nothing as durable at a member that is not. */
static void judge_match(struct node *node, uint32_t at)
{
    struct run *run = node->run;
    struct node *leader = faults_leader(run, at);
    struct group_log *log = group_log_find(node->store, node_number(at));
    if (!leader || !node->seats[at].seat || run->is_failed)
        return;
    uint64_t match = engine_match(group_engine(node_group(leader, at)), id_of(node, at));
    if (match > group_log_durable(log))
        run_fail(run,
                 "node %u is back in group %u, and is taken to have %" PRIu64
                 " durable, though it is %" PRIu64,
                 node->number, at, match, group_log_durable(log));
}

/* Time goes on, and now and then something is proposed. */
static void go_on(struct node *node, uint32_t at, uint64_t ms)
{
    struct run *run = node->run;
    for (uint64_t left = ms; left && !run->is_failed; left--) {
        struct node *leader = faults_leader(run, at);
        if (leader && left % 20 == 0)
            work_propose(leader, at, true);
        run_step(run);
        judge_match(node, at);
    }
}

/* A member that does not lead, and without which the others are enough. */
static struct node *draw_leaver(struct run *run, uint32_t at)
{
    const struct node *leader = faults_leader(run, at);
    struct node *leaver = NULL;
    uint32_t voters = 0;
    for (uint32_t i = 0; i < run->nodes; i++) {
        voters += run->wanted[at][i] == VOTER;
        if (run->wanted[at][i] != OUT && &run->of[i] != leader)
            leaver = &run->of[i];
    }
    return voters >= 3 ? leaver : NULL;
}

void story_return(struct run *run, uint32_t at)
{
    struct node *node = run->has_returns && !run->has_floors ? draw_leaver(run, at) : NULL;
    const char *why = NULL;
    if (!node || run->is_failed)
        return;
    run_say(run, "node %u is to leave group %u, and to be back", node->number, at);
    node->is_held = true;
    go_on(node, at, PROPOSED_MS);
    run->wanted[at][node->number] = OUT;
    for (uint32_t i = 0; i < LEFT_MS && node->seats[at].seat && !run->is_failed; i++)
        run_step(run);
    if (node->seats[at].seat) {
        run_fail(run, "node %u does not get out of group %u", node->number, at);
        return;
    }
    struct group_log *log = group_log_find(node->store, node_number(at));
    uint64_t had = group_log_last(log);
    run->report->undurable_returns += group_log_durable(log) < had;
    run->report->returns++;
    node_join(node, at);
    run->wanted[at][node->number] = VOTER;
    go_on(node, at, BACK_MS);
    node->is_held = false;
    uint64_t end_ms = run->bench.now_ms + ALL_MS;
    do
        go_on(node, at, 1);
    while (!run->is_failed && (why = run_lacks(run, at)) && run->bench.now_ms < end_ms);
    if (why)
        run_fail(run, "node %u was back in group %u for a minute, and %s", node->number, at, why);
    if (run->is_failed)
        return;
    const struct group_stats *stats = group_stats(node_group(node, at));
    if (!stats->cuts && stats->appended + had > group_log_last(log))
        run_fail(run, "node %u is back in group %u with %" PRIu64 " entries, and was told %" PRIu64
                      " of %" PRIu64,
                 node->number, at, had, stats->appended, group_log_last(log));
}
