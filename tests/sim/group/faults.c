/* What goes wrong, and what operators do meanwhile. */
#include <string.h>

#include "tests/lib/disk_memory.h"
#include "tests/sim/group/members.h"

enum { DOWN_MS = 3000, PAUSE_MS = 4000, STUCK_MS = 6000, SLOW_MS = 5000, OPERATE_MS = 50 };
enum { DISK_LEFT = 900 << 10 };

struct node *faults_leader(struct run *run, uint32_t at)
{
    struct node *leader = NULL;
    uint64_t term = 0;
    for (uint32_t i = 0; i < run->nodes; i++) {
        struct node *node = &run->of[i];
        struct group *group = node_group(node, at);
        const struct engine *engine = group ? group_engine(group) : NULL;
        if (!node_is_up(node) || !engine || !engine_in_office(engine) || engine_term(engine) <= term)
            continue;
        leader = node;
        term = engine_term(engine);
    }
    return leader;
}

static struct node *draw_node(struct run *run)
{
    return &run->of[run_below(run, run->nodes)];
}

/* Half of all faults are a leader's. */
static struct node *draw_victim(struct run *run)
{
    struct node *leader =
        run_chance(run, 2) ? faults_leader(run, (uint32_t)run_below(run, run->groups)) : NULL;
    return leader ? leader : draw_node(run);
}

/* ---- nodes ---- */

static void kill_one(struct run *run, bool is_power_cut)
{
    struct node *node = draw_victim(run);
    if (!node->store)
        return;
    run_say(run, "node %u %s", node->number, is_power_cut ? "loses power" : "is killed");
    if (is_power_cut)
        run->report->power_cuts++;
    else
        run->report->kills++;
    node_down(node, is_power_cut, 1 + run_below(run, DOWN_MS));
}

static void cut_power_of_all(struct run *run)
{
    run_say(run, "all lose power");
    run->report->power_cuts_of_all++;
    for (uint32_t i = 0; i < run->nodes; i++)
        node_down(&run->of[i], true, 1 + run_below(run, DOWN_MS));
}

static void pause_one(struct run *run)
{
    struct node *node = draw_victim(run);
    if (!node->store)
        return;
    run_say(run, "node %u is paused", node->number);
    run->report->pauses++;
    run->bench.nodes[node->number].is_paused = true;
    node->pause_until_ms = run->bench.now_ms + 1 + run_below(run, PAUSE_MS);
}

/* ---- disks ---- */

static void stick(struct run *run)
{
    struct node *node = draw_victim(run);
    if (!node->store || node->drive.is_stuck)
        return;
    run_say(run, "node %u has a stuck disk", node->number);
    run->report->stuck_disks++;
    drive_stick(&node->drive, STUCK_MS);
}

static void slow_down(struct run *run)
{
    uint64_t until_ms = run->bench.now_ms + 1 + run_below(run, STUCK_MS);
    run->report->slow_disks++;
    draw_victim(run)->drive.slow_until_ms = until_ms;
}

/* Less is free than the reserve, or nothing. */
static void shorten(struct run *run)
{
    struct node *node = draw_victim(run);
    struct disk *disk = node->drive.disk;
    uint64_t available = 0, size = 0;
    if (!node->store || node->is_short)
        return;
    node->is_short = true;
    node->short_until_ms = run->bench.now_ms + 1 + run_below(run, STUCK_MS);
    if (run_chance(run, 3)) {
        run_say(run, "node %u has a full disk", node->number);
        run->report->full_disks++;
        disk_memory_take_all(disk);
        return;
    }
    disk->ops->free_space(disk, &available, &size);
    run_say(run, "node %u is short of disk, of %lu", node->number, (unsigned long)available);
    run->report->short_disks++;
    if (available > DISK_LEFT)
        disk_memory_take(disk, available - run_below(run, DISK_LEFT));
}

static void jump(struct run *run)
{
    struct node *node = draw_node(run);
    int64_t ms = (int64_t)run_below(run, 3) == 0 ? (int64_t)1 << 38 : 100000;
    node->wall_offset_ms = (int64_t)run_below(run, (uint64_t)ms) - ms / 2;
    run->report->clock_jumps++;
}

/* ---- links ---- */

static void partition(struct run *run)
{
    struct rift rift = weather_draw_rift(&run->weather);
    rift.a = draw_victim(run)->number;
    rift.b = draw_node(run)->number;
    weather_part(&run->weather, &rift);
    run_say(run, "partition %u: %x, %u, %u", rift.kind, rift.side, rift.a, rift.b);
    run->report->partitions++;
    run->report->one_way += rift.kind == RIFT_ONE_WAY;
}

static void slow_links(struct run *run)
{
    size_t bytes_per_ms = 1000 + run_below(run, 30000);
    run->report->slow++;
    weather_slow(&run->weather, bytes_per_ms, run->bench.now_ms + 1 + run_below(run, SLOW_MS));
}

/* ---- operators ---- */

static void transfer(struct run *run)
{
    uint32_t at = (uint32_t)run_below(run, run->groups);
    struct node *leader = faults_leader(run, at), *to = draw_node(run);
    if (leader && leader != to && to->seats[at].seat &&
        group_transfer(node_group(leader, at), run->bench.now_ms,
                       group_member_id(run->bench.first_number + to->number, to->seats[at].seat)))
        run->report->transfers++;
}

static uint32_t count_wanted(const struct run *run, uint32_t at)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < run->nodes; i++)
        count += run->wanted[at][i] == VOTER;
    return count;
}

/* One node shall be something else in a group. */
static void want_another(struct run *run)
{
    uint32_t at = (uint32_t)run_below(run, run->groups);
    struct node *node = draw_node(run);
    struct seat_state *seat = &node->seats[at];
    bool is_voter = run->wanted[at][node->number] == VOTER;
    if (run->wanted[at][node->number] == OUT) {
        if (seat->seat || (run->has_floors && !run->has_images) || (seat->is_spent && !run->has_returns))
            return;
        run->report->returns += seat->is_spent && node->store;
        node_join(node, at);
        run->report->joins++;
        run->wanted[at][node->number] = run_chance(run, 3) ? LEARNER : VOTER;
    } else if (run_chance(run, 4) && (!is_voter || count_wanted(run, at) > 1)) {
        run->wanted[at][node->number] = OUT;
    } else if (!is_voter) {
        run->wanted[at][node->number] = VOTER;
    } else if (count_wanted(run, at) > 1) {
        run->wanted[at][node->number] = LEARNER;
    }
}

/* All members of a group are there and have what is committed, and another one leads. */
static bool may_lose(struct run *run, uint32_t at, const struct node *node)
{
    struct node *leader = faults_leader(run, at);
    uint32_t voters = 0;
    if (!node->seats[at].seat)
        return true;
    if (!leader || leader == node)
        return false;
    const struct engine *engine = group_engine(node_group(leader, at));
    const struct engine_members *members = engine_members(engine);
    for (uint32_t i = 0; i < members->count; i++) {
        const struct node *its = &run->of[group_member_node(members->of[i].id) - run->bench.first_number];
        voters += members->of[i].role == ENGINE_VOTER;
        if (!node_is_up(its) || its->seats[at].seat != (uint16_t)members->of[i].id ||
            (its != leader && engine_match(engine, members->of[i].id) < engine_commit(engine)))
            return false;
    }
    return voters >= 3 && members->index <= engine_commit(engine);
}

static void lose_store(struct run *run)
{
    struct node *node = draw_node(run);
    if (!node_is_up(node))
        return;
    for (uint32_t at = 0; at < run->groups; at++)
        if (!may_lose(run, at, node))
            return;
    run_say(run, "node %u loses its store", node->number);
    node_wipe(node);
}

static int place_of(const struct engine_members *members, uint64_t id)
{
    for (uint32_t i = 0; i < members->count; i++)
        if (members->of[i].id == id)
            return (int)i;
    return -1;
}

/* The next change that brings the members of a group nearer to what is wanted, but of one. False: none. */
static bool draw_change(struct run *run, uint32_t at, uint64_t but, struct engine_members *members,
                        uint64_t *changed)
{
    for (uint32_t i = 0; i < members->count; i++) {
        uint32_t number = group_member_node(members->of[i].id) - run->bench.first_number;
        *changed = members->of[i].id;
        if (*changed == but)
            continue;
        if (run->of[number].seats[at].seat == (uint16_t)*changed &&
            run->wanted[at][number] != OUT)
            continue;
        members->of[i] = members->of[--members->count];
        return true;
    }
    for (uint32_t i = 0; i < run->nodes; i++) {
        if (run->wanted[at][i] == OUT)
            continue;
        *changed = group_member_id(run->bench.first_number + i, run->of[i].seats[at].seat);
        if (*changed == but)
            continue;
        int place = place_of(members, *changed);
        if (place < 0) {
            members->of[members->count++] = (struct engine_member){*changed, ENGINE_LEARNER};
            return true;
        }
        enum engine_role role = run->wanted[at][i] == VOTER ? ENGINE_VOTER : ENGINE_LEARNER;
        if (members->of[place].role == role)
            continue;
        members->of[place].role = role;
        return true;
    }
    return false;
}

/* Nodes that are members no more, as is committed, leave. */
static void leave(struct run *run, uint32_t at, const struct engine *engine)
{
    const struct engine_members *members = engine_members(engine);
    for (uint32_t i = 0; i < run->nodes; i++) {
        struct node *node = &run->of[i];
        if (run->wanted[at][i] != OUT || !node->seats[at].seat ||
            members->index > engine_commit(engine) ||
            place_of(members, group_member_id(run->bench.first_number + i, node->seats[at].seat)) >= 0)
            continue;
        run_say(run, "node %u leaves group %u", i, at);
        node_leave(node, at);
        run->report->leaves++;
    }
}

static void operate_group(struct run *run, uint32_t at)
{
    struct node *leader = faults_leader(run, at);
    if (!leader)
        return;
    struct group *group = node_group(leader, at);
    struct engine_members members = *engine_members(group_engine(group));
    uint64_t changed;
    leave(run, at, group_engine(group));
    if (!draw_change(run, at, group_self(group), &members, &changed)) {
        if (!draw_change(run, at, 0, &members, &changed))
            return;
        for (uint32_t i = 0; i < members.count; i++)
            if (members.of[i].role == ENGINE_VOTER && members.of[i].id != changed &&
                group_transfer(group, run->bench.now_ms, members.of[i].id))
                return;
        return;
    }
    int place = place_of(&members, changed);
    if (group_change(group, run->bench.now_ms, &members))
        return;
    run_say(run, "node %u changes members of group %u: %lx, %d", leader->number, at,
            (unsigned long)changed, place < 0 ? 0 : (int)members.of[place].role);
    run->report->changes++;
    run->report->promotions += place >= 0 && members.of[place].role == ENGINE_VOTER;
}

void faults_operate(struct run *run)
{
    if (run->bench.now_ms < run->operate_ms)
        return;
    run->operate_ms = run->bench.now_ms + OPERATE_MS;
    for (uint32_t at = 0; at < run->groups; at++)
        operate_group(run, at);
}

/* ---- when ---- */

static void end_faults(struct run *run, bool all)
{
    struct bench *bench = &run->bench;
    uint64_t now = all ? UINT64_MAX : bench->now_ms;
    weather_clear(&run->weather, now);
    for (uint32_t i = 0; i < run->nodes; i++) {
        struct node *node = &run->of[i];
        if (now >= node->pause_until_ms)
            bench->nodes[i].is_paused = false;
        drive_clear(&node->drive, all);
        if (node->is_short && now >= node->short_until_ms) {
            node->is_short = false;
            disk_memory_take(node->drive.disk, 0);
        }
        if (!node->store && now >= node->start_ms)
            bench_start(bench, i);
    }
}

static void fault(struct run *run)
{
    switch (run_below(run, 16)) {
    case 0:
    case 1:
        kill_one(run, false);
        break;
    case 2:
    case 3:
        if (run->has_power_cuts)
            kill_one(run, true);
        break;
    case 4:
        if (run->has_power_cuts && run_chance(run, 3))
            cut_power_of_all(run);
        break;
    case 5:
    case 6:
        if (run->has_partitions)
            partition(run);
        break;
    case 7:
        if (run->has_pauses)
            pause_one(run);
        break;
    case 8:
        if (run->has_stuck_disks)
            stick(run);
        break;
    case 9:
        slow_down(run);
        break;
    case 10:
        if (run->has_short_disks)
            shorten(run);
        break;
    case 11:
        run->report->resets += weather_reset_one(&run->weather);
        break;
    case 12:
        slow_links(run);
        break;
    case 13:
        transfer(run);
        break;
    case 14:
        jump(run);
        break;
    default:
        if (run->has_wipes)
            lose_store(run);
    }
}

void faults_step(struct run *run)
{
    end_faults(run, run->is_healing);
    if (!run->is_healing && run_chance(run, run->fault_every_ms))
        fault(run);
    if (!run->is_healing && run->has_members && run_chance(run, 2 * run->fault_every_ms))
        want_another(run);
    faults_operate(run);
}
