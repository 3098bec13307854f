/* The end of a run, when all has been healed: what has to be quick then, and what happens when
 * things go wrong in an order that chance does not find. Each run plays a few. */
#include <inttypes.h>

#include "tests/sim/engine/group.h"

enum {
    CAUGHT_UP_MS = 8000,
    KILLED_MS = 600,
    SILENT_MS = 4500,
    REFUSED_MS = 8000,
    COUNTED_MS = 5000,
    REJECTED_MAX = 10,
    W_RISES_MS = 2600,
    GRANTED_MS = 5000,
    OFFERED_MS = 500,
    LEARNED_MS = 3000,
    STALLED_MS = 30000,
    HINTS_APART_MS = 60,
    TIE_MS = 600,
    LACKS_MS = 40,
    HEARS_MS = 3000,
    SYNCING_MS = 30,
    SYNCED_MS = 150,
    VAIN_MS = 4000,
    SCENES = 7,
    SCENES_PLAYED = 3
};

/* Nobody proposes, and all connections are made anew: all members have all entries soon. */
static void catch_up(struct group *group)
{
    faults_reset_all(group);
    group->is_quiet = true;
    group_wait(group, CAUGHT_UP_MS);
    const struct node *leader = faults_leader(group);
    const struct engine_members *members = leader ? engine_members(leader->engine) : NULL;
    for (uint32_t i = 0; members && i < members->count; i++) {
        const struct node *node = group_node(group, members->of[i].id);
        if (node && node->image_index == 0 &&
            (engine_last(node->engine) != engine_last(leader->engine) ||
             node->applied != leader->applied))
            group_fail_explained(group, "a member lacks entries, and nobody sends them");
    }
    if (!members)
        group_fail_explained(group, "nobody leads, though nothing is wrong");
    group->is_quiet = false;
}

/* While nothing is wrong next to nobody has to say that it lacks something, but for those that need
 * an image. */
static void count_rejected(struct group *group)
{
    uint64_t rejected = group->rejected;
    group_wait(group, COUNTED_MS);
    if (group->rejected - rejected > REJECTED_MAX)
        group_fail(group, "nothing is wrong, and %" PRIu64 " times entries were not taken",
                   group->rejected - rejected);
}

/* Three voters or more, all well, and quick enough for what is timed here. */
static bool is_well(const struct group *group, const struct node *leader)
{
    const struct engine_members *members = leader ? engine_members(leader->engine) : NULL;
    return !group->is_failed && members && group_voters(members) >= 3 && group->latency_ms <= 5 &&
           group->sync_ms <= 5 && group->floor_keeps >= 50 &&
           members->index <= engine_commit(leader->engine);
}

/* What is committed now is soon known to be everywhere where it could be asked for, though a leader
 * was lost, or a disk is stuck. */
static void expect_w(struct group *group)
{
    uint64_t index = group->committed_last, epochs[NODES];
    for (uint32_t i = 0; i < NODES; i++)
        epochs[i] = group->nodes[i].epoch;
    group_wait(group, W_RISES_MS);
    const struct node *leader = faults_leader(group);
    if (!leader || lease_w(leader->lease) < index) {
        group_fail_explained(group, "W does not rise");
        return;
    }
    for (uint32_t i = 0; i < NODES; i++)
        if (group->nodes[i].is_up && group->nodes[i].epoch == epochs[i] &&
            lease_w(group->nodes[i].lease) < index)
            group_fail_explained(group, "W rises, and is not told");
}

/* What `fault_term` waits for has not come. */
static void expect_commit(struct group *group, uint64_t within_ms, const char *what)
{
    group_wait(group, within_ms);
    if (group->fault_term)
        group_fail_explained(group, what);
}

/* The nth voter that does not lead; NULL: there are not so many. */
static struct node *voter_of(struct group *group, const struct node *leader, uint32_t n)
{
    const struct engine_members *members = engine_members(leader->engine);
    for (uint32_t i = 0; i < members->count; i++) {
        struct node *node = group_node(group, members->of[i].id);
        if (node && node != leader && members->of[i].role == ENGINE_VOTER && n-- == 0)
            return node;
    }
    return NULL;
}

static bool change(struct group *group, struct node *leader, struct node *node,
                   enum engine_role role)
{
    struct engine_members members = *engine_members(leader->engine);
    uint32_t i = 0;
    while (i < members.count && members.of[i].id != node->id)
        i++;
    members.of[i] = (struct engine_member){node->id, role};
    if (i == members.count)
        members.count++;
    return members.count <= NODES && faults_change(group, leader, &members);
}

/* A learner that has what the leader has; NULL: the group is not so well. */
static struct node *new_learner(struct group *group, struct node *leader)
{
    const struct engine_members *members = engine_members(leader->engine);
    struct node *node = NULL;
    for (uint32_t i = 0; i < NODES && !node; i++) {
        bool is_member = false;
        for (uint32_t j = 0; j < members->count; j++)
            is_member |= members->of[j].id == group->nodes[i].id;
        if (!is_member && group->nodes[i].is_up)
            node = &group->nodes[i];
    }
    if (!node || !change(group, leader, node, ENGINE_LEARNER))
        return NULL;
    group_wait(group, LEARNED_MS);
    bool is_there = !group->is_failed && faults_leader(group) == leader &&
                    engine_match(leader->engine, node->id) >= engine_commit(leader->engine);
    return is_there ? node : NULL;
}

static void block(struct group *group, const struct node *a, const struct node *b, bool blocked)
{
    links_block(group, a->number, b->number, blocked);
    links_block(group, b->number, a->number, blocked);
}

static void isolate(struct group *group, const struct node *node, bool blocked)
{
    for (uint32_t i = 0; i < NODES; i++)
        if (i != node->number)
            block(group, node, &group->nodes[i], blocked);
}

static void stall_all(struct group *group, uint64_t until_ms)
{
    for (uint32_t i = 0; i < NODES; i++)
        for (uint32_t j = 0; j < NODES; j++)
            group->stalled_ms[i][j] = until_ms;
}

/* From here on a leader is waited for, of a later term than this one's. */
static void lose(struct group *group, struct node *leader)
{
    group->fault_ms = 0; /* how long that takes says little of other times */
    group->fault_term = engine_term(leader->engine);
    group_say(group, "%" PRIx64 " is lost", leader->id);
    node_end(group, leader, false);
}

static void come_back(struct group *group, struct node *node)
{
    stall_all(group, 0);
    faults_unblock(group);
    faults_reset_all(group);
    if (!node->is_up)
        node_start(group, node);
    group_wait(group, 5000);
}

/* A leader is killed, and the others see it: one of them leads without waiting for a timeout. */
static void lose_by_kill(struct group *group)
{
    struct node *leader = faults_leader(group);
    if (!is_well(group, leader))
        return;
    group->fault_term = 0;
    faults_kill(group, leader);
    expect_commit(group, KILLED_MS, "a leader was killed, and there is no other soon");
    if (!group->is_failed)
        expect_w(group);
    group_wait(group, 10000);
}

/* A leader falls silent, of the others one may campaign: it has to get the votes of those that may
 * not. */
static void lose_by_silence(struct group *group)
{
    struct node *leader = faults_leader(group);
    if (!is_well(group, leader))
        return;
    const struct engine_members *members = engine_members(leader->engine);
    bool has_candidate = false;
    for (uint32_t i = 0; i < members->count; i++) {
        struct node *node = group_node(group, members->of[i].id);
        if (!node || node == leader || members->of[i].role != ENGINE_VOTER)
            continue;
        faults_campaigns(group, node, !has_candidate);
        has_candidate = true;
    }
    group->is_quiet = true; /* so that the one that may has what all have */
    group_wait(group, 2000);
    if (!leader->is_up || faults_leader(group) != leader)
        return;
    faults_silence(group, leader);
    expect_commit(group, SILENT_MS, "a leader is silent, and there is no other in time");
    if (!group->is_failed)
        expect_w(group);
}

/* A node that lacks what no log has any more pulls an image, which takes its time: the node can keep
 * up, and be granted something, only from then on. */
static void wait_for_image(struct group *group, const struct node *node)
{
    group_wait(group, OFFERED_MS);
    while (!group->is_failed && node->image_index)
        group_wait(group, 10);
}

/* A disk that is stuck, and entries that do not arrive, keep a node from applying, and W does not
 * wait for it for long. */
static void stick_a_disk(struct group *group)
{
    const struct node *leader = faults_leader(group);
    if (!is_well(group, leader))
        return;
    struct node *node = voter_of(group, leader, 0);
    group->report->stuck_waits++;
    node->is_stuck = true;
    for (uint32_t i = 0; i < NODES; i++)
        group->stalled_ms[i][node->number] = group->now_ms + 100 + W_RISES_MS;
    group_wait(group, 100);
    expect_w(group);
    group_at(group, EVENT_UNSTICK, node->number, 0, 0, node->epoch);
    group->is_quiet = true; /* so that it catches up in time */
    wait_for_image(group, node);
    group_wait(group, GRANTED_MS - OFFERED_MS);
    group->is_quiet = false;
    if (node->is_up && node->id && !rights_have(group, node, RIGHT_ANSWER))
        group_fail_explained(group, "a disk was stuck, and its node gets no right to answer again");
}

/* A learner becomes a voter and does not hear of it, and the leader is lost: the others are as many
 * as are needed without the new one. With one voter it comes back itself, and needs the new one. */
static void lose_while_promoting(struct group *group)
{
    struct node *leader = faults_leader(group);
    uint32_t voters = leader ? group_voters(engine_members(leader->engine)) : 0;
    if (!leader || (voters != 1 && !(voters == 3 && is_well(group, leader))))
        return;
    struct node *learner = new_learner(group, leader);
    if (!learner)
        return;
    group->stalled_ms[leader->number][learner->number] = group->now_ms + STALLED_MS;
    if (!change(group, leader, learner, ENGINE_VOTER))
        return;
    group_wait(group, 100);
    group->report->lost_promotions++;
    lose(group, leader);
    if (voters == 1) {
        group->stalled_ms[leader->number][learner->number] = 0;
        node_start(group, leader);
    }
    expect_commit(group, voters == 1 ? REFUSED_MS : SILENT_MS,
                  "a leader is lost that made another one a voter, and there is none");
    come_back(group, leader);
}

/* A leader that is with two learners only makes both voters, one after the other; the second is not
 * for it to decide. */
static void promote_in_a_minority(struct group *group)
{
    struct node *leader = faults_leader(group);
    if (!is_well(group, leader) || group_voters(engine_members(leader->engine)) != 3)
        return;
    struct node *learners[2] = {new_learner(group, leader), NULL};
    learners[1] = learners[0] ? new_learner(group, leader) : NULL;
    if (!learners[1])
        return;
    for (uint32_t i = 0; i < 2; i++)
        isolate(group, voter_of(group, leader, i), true);
    block(group, voter_of(group, leader, 0), voter_of(group, leader, 1), false);
    group->report->split_promotions++;
    if (change(group, leader, learners[0], ENGINE_VOTER) &&
        change(group, leader, learners[1], ENGINE_VOTER))
        group_fail(group, "a leader changes members before the last change is committed");
    group_wait(group, SILENT_MS);
    faults_unblock(group);
    group_wait(group, 5000);
}

/* One has the longer log, and the other the higher term, as a leader was elected and lost that told
 * nobody of its first entry, and a third one tried in vain. They are two of three. */
static void refuse_each_other(struct group *group)
{
    struct node *longer = faults_leader(group);
    if (!is_well(group, longer) || group_voters(engine_members(longer->engine)) != 3)
        return;
    struct node *others[2] = {voter_of(group, longer, 0), voter_of(group, longer, 1)};
    stall_all(group, group->now_ms + STALLED_MS);
    group_wait(group, 300);
    isolate(group, longer, true);
    group_wait(group, SILENT_MS);
    struct node *leader = faults_leader(group);
    if (leader == others[0] || leader == others[1]) {
        const struct node *other = leader == others[0] ? others[1] : others[0];
        lose(group, leader);
        group_at(group, EVENT_GONE, other->number, leader->number, 1, other->epoch);
        group_wait(group, 1000);
        group->report->mutual_refusals++;
        group->fault_term = engine_term(other->engine);
        stall_all(group, 0);
        isolate(group, longer, false);
        expect_commit(group, REFUSED_MS, "two of three are there, and none leads");
    }
    come_back(group, leader ? leader : longer);
}

/* A voter that is cut off from all takes its leader for gone, and is in a later term when it comes
 * back, with nothing new in its log. */
static void secede_in_vain(struct group *group)
{
    const struct node *leader = faults_leader(group);
    if (!is_well(group, leader))
        return;
    struct node *node = voter_of(group, leader, 0);
    group->is_quiet = true;
    group_wait(group, 1000);
    if (faults_leader(group) == leader) {
        isolate(group, node, true);
        group_at(group, EVENT_GONE, node->number, leader->number, 1, node->epoch);
        group_wait(group, 2000);
        group->report->secessions++;
        isolate(group, node, false);
        group_wait(group, SILENT_MS);
    }
    group->is_quiet = false;
    uint64_t index = group->committed_last + 1;
    group_wait(group, 2000);
    if (node->is_up && (group->committed_last < index || node->applied < index))
        group_fail_explained(group, "a voter was away, and is not heard, or does not hear");
}

/* A node was silent, so that it shall be absent, and is back before that is committed; then the
 * leader is lost, and the next one has it in its log that the node is absent. */
static void come_back_too_soon(struct group *group)
{
    struct node *leader = faults_leader(group);
    if (!is_well(group, leader))
        return;
    const struct engine_members *members = engine_members(leader->engine);
    struct node *node = voter_of(group, leader, 0);
    uint64_t absences = group->report->absences;
    isolate(group, node, true);
    group_wait(group, SILENT_MS - 1500);
    for (uint32_t i = 0; i < members->count; i++) {
        struct node *member = group_node(group, members->of[i].id);
        if (member && member != leader)
            member->is_stuck = true;
    }
    for (uint32_t i = 0; i < 100 && group->report->absences == absences && !group->is_failed; i++)
        group_wait(group, 20);
    isolate(group, node, false);
    group_wait(group, 400);
    if (faults_leader(group) == leader && group->report->absences > absences) {
        group->report->returns++;
        faults_kill(group, leader);
    }
    for (uint32_t i = 0; i < NODES; i++)
        group_at(group, EVENT_UNSTICK, i, 0, 0, group->nodes[i].epoch);
    group_wait(group, 10000);
}

/* A grant is on its way for long, and meanwhile its node tells the next leader that it has no right
 * to answer, and hears of no more entries. */
static void take_an_old_grant(struct group *group)
{
    struct node *leader = faults_leader(group);
    if (!is_well(group, leader))
        return;
    struct node *node = new_learner(group, leader);
    if (!node)
        return;
    node_end(group, node, false);
    node_start(group, node);
    for (uint32_t i = 0; i < 4000 && !links_grant(group, leader->number, node->number); i++)
        group_wait(group, 1);
    if (group->is_failed || faults_leader(group) != leader ||
        !links_grant(group, leader->number, node->number))
        return;
    group->report->old_grants++;
    isolate(group, leader, true);
    for (uint32_t i = 0; i < NODES; i++)
        group->stalled_ms[i][node->number] = group->now_ms + GRANTED_MS;
    for (uint32_t i = 0; i < NODES; i++)
        if (i != leader->number && &group->nodes[i] != node && group->nodes[i].is_up)
            group_at(group, EVENT_GONE, i, leader->number, 1, group->nodes[i].epoch);
    group_wait(group, 600);
    isolate(group, leader, false);
    group_wait(group, 10000);
}

/* A leader is gone, and the others hear of it so late, each, that they try at the same moment, and have a
 * vote each. */
static void split_the_votes(struct group *group)
{
    struct node *leader = faults_leader(group);
    if (!is_well(group, leader))
        return;
    group->is_quiet = true;
    group_wait(group, 1000);
    if (!group->is_failed && faults_leader(group) == leader && is_well(group, leader)) {
        uint32_t rank = 0, voters = group_voters(engine_members(leader->engine));
        for (; rank + 1 < voters; rank++) {
            const struct node *node = voter_of(group, leader, rank);
            double waits_ms = rank * HINTS_APART_MS / (node ? node->rate : 1);
            if (node && node->is_up)
                group_at(group, EVENT_GONE, node->number, leader->number, TIE_MS - (uint64_t)waits_ms, node->epoch);
        }
        group->report->ties++;
        lose(group, leader);
        expect_commit(group, TIE_MS + KILLED_MS, "the votes were split, and nobody leads soon");
    }
    group->is_quiet = false;
    come_back(group, leader);
}

/* A leader is gone, and who has all that it had hears of that last: it has refused the other one by then, which lacks
 * some of it, and has to try itself. */
static void hear_last(struct group *group)
{
    struct node *leader = faults_leader(group);
    if (!is_well(group, leader) || group_voters(engine_members(leader->engine)) != 3)
        return;
    struct node *lacks = voter_of(group, leader, 0), *has = voter_of(group, leader, 1);
    if (!lacks || !has || !lacks->is_up || !has->is_up)
        return;
    block(group, leader, lacks, true);
    group_wait(group, LACKS_MS);
    group->is_quiet = true;
    group_wait(group, LACKS_MS);
    if (!group->is_failed && faults_leader(group) == leader && engine_last(lacks->engine) < engine_last(has->engine)) {
        group_at(group, EVENT_GONE, lacks->number, leader->number, 1, lacks->epoch);
        group_at(group, EVENT_GONE, has->number, leader->number, HEARS_MS, has->epoch);
        group->report->heard_last++;
        lose(group, leader);
        group_wait(group, KILLED_MS);
        if (!engine_leads(has->engine) && !engine_leads(lacks->engine))
            group_fail_explained(group, "who lacks something was refused, and nobody leads soon");
    }
    group->is_quiet = false;
    come_back(group, leader);
}

/* A leader is gone, and the only one that may campaign has something that is not durable yet: it tries when it is, as what
 * it can say before is refused by the other one, who has that. */
static void lose_while_syncing(struct group *group)
{
    struct node *leader = faults_leader(group);
    if (!is_well(group, leader) || group_voters(engine_members(leader->engine)) != 3)
        return;
    struct node *syncs = voter_of(group, leader, 0), *other = voter_of(group, leader, 1);
    if (!syncs || !other || !syncs->is_up || !other->is_up)
        return;
    faults_campaigns(group, syncs, true);
    faults_campaigns(group, other, false);
    syncs->is_stuck = true;
    group_wait(group, SYNCING_MS);
    group->is_quiet = true; /* so that both have the same, in the end */
    group_wait(group, SYNCING_MS);
    if (!group->is_failed && faults_leader(group) == leader && syncs->record_count &&
        engine_last(syncs->engine) == engine_last(other->engine)) {
        group->report->lost_syncing++;
        group_at(group, EVENT_GONE, syncs->number, leader->number, 1, syncs->epoch);
        group_at(group, EVENT_GONE, other->number, leader->number, 1, other->epoch);
        group_at(group, EVENT_UNSTICK, syncs->number, 0, SYNCED_MS, syncs->epoch);
        lose(group, leader);
        group_wait(group, SYNCED_MS + KILLED_MS);
        if (!engine_leads(syncs->engine))
            group_fail_explained(group, "who has to sync something when a leader is gone does not lead soon");
    }
    group_at(group, EVENT_UNSTICK, syncs->number, 0, 0, syncs->epoch);
    group->is_quiet = false;
    faults_campaigns(group, other, true);
    come_back(group, leader);
}

/* A voter that lacks something takes its leader for gone, and reaches only one that may not campaign, and hears that
 * leader: it may ask once, which makes another term, and then has to ask first whether it may. */
static void try_in_vain(struct group *group)
{
    struct node *leader = faults_leader(group);
    if (!is_well(group, leader) || group_voters(engine_members(leader->engine)) != 3)
        return;
    struct node *lacks = voter_of(group, leader, 0), *other = voter_of(group, leader, 1);
    if (!lacks || !other || !lacks->is_up || !other->is_up)
        return;
    faults_campaigns(group, other, false);
    isolate(group, lacks, true);
    block(group, lacks, other, false);
    group_wait(group, 1000);
    if (!group->is_failed && faults_leader(group) == leader) {
        group->report->vain_tries++;
        group_at(group, EVENT_GONE, lacks->number, leader->number, 1, lacks->epoch);
        group_wait(group, VAIN_MS);
        uint64_t term = engine_term(other->engine);
        group_wait(group, VAIN_MS);
        if (!group->is_failed && engine_term(other->engine) != term)
            group_fail_explained(group, "who may not lead tries on, and deposes who does");
    }
    faults_campaigns(group, other, true);
    come_back(group, leader);
}

void scenes_play(struct group *group)
{
    static void (*const scenes[SCENES])(struct group *) = {
        stick_a_disk,   lose_while_promoting, promote_in_a_minority, refuse_each_other,
        secede_in_vain, come_back_too_soon,   take_an_old_grant,
    };
    catch_up(group);
    if (!group->is_failed)
        count_rejected(group);
    if (!group->is_failed)
        lose_by_kill(group);
    uint64_t first = group_below(group, SCENES);
    for (uint64_t i = 0; i < SCENES_PLAYED && !group->is_failed; i++)
        scenes[(first + i) % SCENES](group);
    if (!group->is_failed)
        split_the_votes(group);
    if (!group->is_failed)
        hear_last(group);
    if (!group->is_failed)
        lose_while_syncing(group);
    if (!group->is_failed)
        try_in_vain(group);
    if (!group->is_failed)
        lose_by_silence(group);
}
