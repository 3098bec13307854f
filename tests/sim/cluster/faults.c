/* What goes wrong. */
#include "tests/sim/cluster/brokers.h"

enum { DOWN_MS = 3000, PAUSE_MS = 4000, STICK_MS = 8000, SLOW_MS = 5000, KINDS = 16 };

static struct node *draw_node(struct run *run)
{
    return &run->of[run_below(run, run->nodes)];
}

/* Most faults are a leader's. */
static struct node *draw_victim(struct run *run)
{
    struct node *leader = run_chance(run, 3) ? NULL : node_leader(run);
    return leader ? leader : draw_node(run);
}

/* ---- brokers ---- */

static void kill_one(struct run *run, bool is_power_cut)
{
    struct node *node = draw_victim(run);
    if (!node->store)
        return;
    run_say(run, "broker %u %s", node->number, is_power_cut ? "loses power" : "is killed");
    run->report->leader_kills += node == node_leader(run);
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
    run_say(run, "broker %u is paused", node->number);
    run->report->pauses++;
    run->bench.nodes[node->number].is_paused = true;
    node->pause_until_ms = run->bench.now_ms + 1 + run_below(run, PAUSE_MS);
}

static void stick(struct run *run)
{
    struct node *node = draw_victim(run);
    if (!node->store || node->drive.is_stuck)
        return;
    run_say(run, "broker %u has a stuck disk", node->number);
    run->report->stuck_disks++;
    drive_stick(&node->drive, STICK_MS);
}

static void slow_down(struct run *run)
{
    uint64_t until_ms = run->bench.now_ms + 1 + run_below(run, STICK_MS);
    run->report->slow_disks++;
    draw_victim(run)->drive.slow_until_ms = until_ms;
}

static void jump(struct run *run)
{
    struct node *node = draw_node(run);
    node->wall_offset_ms = (int64_t)run_below(run, 100000) - 50000;
    run->report->clock_jumps++;
}

static void transfer(struct run *run)
{
    struct node *leader = node_leader(run), *to = draw_node(run);
    if (leader && leader != to && leader->store && node_hand_over(leader, to))
        run->report->transfers++;
}

/* ---- links ---- */

/* Clients are with those who are cut off, or with the others, or some with these and some with those. */
static void cut_clients(struct run *run, const struct node *node, uint64_t until_ms)
{
    uint64_t what = run_below(run, 3);
    for (uint32_t i = 0; i < run->clients; i++) {
        if (what == 0 || (what == 1 && run_chance(run, 2)))
            continue;
        run->cut_until_ms[i][node->number] = until_ms;
        run->report->clients_cut += node == node_leader(run);
    }
}

static void partition(struct run *run)
{
    struct rift rift = weather_draw_rift(&run->weather);
    const struct node *victim = draw_victim(run);
    rift.a = victim->number;
    rift.b = draw_node(run)->number;
    uint64_t until_ms = weather_part(&run->weather, &rift);
    run_say(run, "partition %u: %x, %u, %u", rift.kind, rift.side, rift.a, rift.b);
    run->report->partitions++;
    run->report->one_way += rift.kind == RIFT_ONE_WAY;
    cut_clients(run, victim, until_ms);
}

static void slow_links(struct run *run)
{
    size_t bytes_per_ms = 1000 + run_below(run, 30000);
    run->report->slow_links++;
    weather_slow(&run->weather, bytes_per_ms, run->bench.now_ms + 1 + run_below(run, SLOW_MS));
}

/* ---- when ---- */

static void end_faults(struct run *run, bool all)
{
    struct bench *bench = &run->bench;
    uint64_t now = all ? UINT64_MAX : bench->now_ms;
    weather_clear(&run->weather, now);
    for (uint32_t i = 0; i < run->nodes; i++) {
        struct node *node = &run->of[i];
        for (uint32_t k = 0; k < run->clients && all; k++)
            run->cut_until_ms[k][i] = 0;
        if (now >= node->pause_until_ms)
            bench->nodes[i].is_paused = false;
        drive_clear(&node->drive, all);
        if (!node->store && now >= node->start_ms)
            bench_start(bench, i);
    }
}

static void fault(struct run *run)
{
    switch (run_below(run, KINDS)) {
    case 0:
    case 1:
    case 2:
        kill_one(run, false);
        break;
    case 3:
    case 4:
        if (run->has_power_cuts)
            kill_one(run, true);
        break;
    case 5:
        if (run->has_power_cuts && run_chance(run, 3))
            cut_power_of_all(run);
        break;
    case 6:
    case 7:
    case 8:
        if (run->has_partitions)
            partition(run);
        break;
    case 9:
        if (run->has_pauses)
            pause_one(run);
        break;
    case 10:
        if (run->has_stuck_disks)
            stick(run);
        break;
    case 11:
        slow_down(run);
        break;
    case 12:
        run->report->resets += weather_reset_one(&run->weather);
        break;
    case 13:
        slow_links(run);
        break;
    case 14:
        transfer(run);
        break;
    default:
        jump(run);
    }
}

void faults_step(struct run *run)
{
    end_faults(run, run->is_healing);
    if (!run->is_healing && run_chance(run, run->fault_every_ms))
        fault(run);
    for (uint32_t i = 0; i < run->nodes; i++)
        node_look(&run->of[i]);
}
