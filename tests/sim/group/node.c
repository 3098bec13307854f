/* A node: its disk, its workers, which take their time, its store, and its part of groups. */
#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "base/crc32c.h"
#include "base/mem.h"
#include "tests/lib/disk_memory.h"
#include "tests/lib/kv_memory.h"
#include "tests/sim/group/members.h"

enum { DISK_BYTES = 100 << 20, ENTRIES_A_TURN = 64, START_SLOW_MS = 2000 };

static const uint64_t wall_clock_ms = 1600000000000;

uint64_t node_number(uint32_t at)
{
    static const uint64_t numbers[GROUPS] = {GROUP_CATALOGUE, 2, 40};
    return numbers[at];
}

bool node_is_up(const struct node *node)
{
    return node->store && !node->run->bench.nodes[node->number].is_paused;
}

struct group *node_group(const struct node *node, uint32_t at)
{
    return node->cluster ? cluster_group(node->cluster, node_number(at)) : NULL;
}

uint64_t node_disk_left(struct node *node)
{
    uint64_t left = 0, size = 0;
    if (node->is_short)
        return UINT64_MAX;
    node->drive.disk->ops->free_space(node->drive.disk, &left, &size);
    return left;
}

/* ---- beginning and end ---- */

struct disk *node_new_disk(void)
{
    struct disk *disk = disk_memory_new();
    disk_memory_spare_reads(disk);
    disk_memory_limit(disk, DISK_BYTES);
    return disk;
}

void node_init(struct run *run, uint32_t number)
{
    struct node *node = &run->of[number];
    *node = (struct node){.run = run, .number = number};
    drive_init(&node->drive, &run->bench, run->disk_ms);
    disk_memory_limit(node->drive.disk, DISK_BYTES);
    drive_draw_options(&node->drive, &node->options);
    node->options.pool = &node->pool;
    node->options.log = &node->log;
    node->wall_offset_ms = (int64_t)run_below(run, 4000) - 2000;
}

void node_free(struct node *node)
{
    for (uint32_t at = 0; at < GROUPS; at++)
        mem_free(node->seats[at].down_terms);
    drive_free(&node->drive);
}

/* A name that the store has. */
static void hear_name(void *context, struct bytes key, struct bytes value)
{
    struct node *node = context;
    char text[32];
    for (uint32_t at = 0; at < node->run->groups; at++)
        for (int name = 0; name < NAMES; name++)
            if (bytes_equal(key, truth_name(&node->run->truths[at], name, text)))
                node->seats[at].names[name] = 1 + crc32c(0, value.data, value.size);
}

static void take_part(struct node *node, uint32_t at)
{
    struct run *run = node->run;
    struct seat_state *seat = &node->seats[at];
    uint64_t number = node_number(at), vote;
    struct group_log *log = group_log_find(node->store, number);
    if (!log && seat->is_founder) {
        struct engine_members members = {0};
        for (uint32_t i = 0; i < run->nodes; i++)
            if (run->of[i].seats[at].is_founder)
                members.of[members.count++] =
                    (struct engine_member){group_member_id(run->bench.first_number + i, 1), ENGINE_VOTER};
        group_found(node->store, number, &members);
    } else if (!log) {
        group_join(node->store, number);
    } else {
        run->report->starts++;
    }
    log = group_log_find(node->store, number);
    seat->start_term = group_log_vote_term(log, &vote);
    seat->office_term = seat->seen_commit = 0;
    memset(seat->granted_term, 0, sizeof(seat->granted_term));
    memset(seat->since_term, 0, sizeof(seat->since_term));
    memset(seat->until_ms, 0, sizeof(seat->until_ms));
    truth_started(node, at);
    cluster_take_part(node->cluster, number, 7, seat->seat, run->bench.now_ms);
}

struct links *node_make(struct bench *bench, uint32_t number)
{
    struct run *run = bench->context;
    struct node *node = &run->of[number];
    char error[600];
    message_pool_init(&node->pool);
    node->store = drive_open(&node->drive, &node->options, error, sizeof(error));
    if (!node->store) {
        run_fail(run, "the store of node %u does not open: %s", number, error);
        assert(false); /* nothing can go on without it */
    }
    struct cluster_options options = {.store = node->store,
                                      .links = bench->nodes[number].options,
                                      .identity = &bench->nodes[number].identity,
                                      .seed = run_below(run, UINT64_MAX)};
    node->cluster = cluster_new(&options, bench->now_ms);
    node->boot++;
    if (run_chance(run, 3)) /* a machine that starts has much to do */
        node->drive.slow_until_ms = bench->now_ms + run_below(run, START_SLOW_MS);
    for (uint32_t at = 0; at < GROUPS; at++)
        memset(node->seats[at].names, 0, sizeof(node->seats[at].names));
    store_catalogue_each(node->store, hear_name, node);
    store_drop_orphans(node->store);
    for (uint32_t at = 0; at < run->groups; at++)
        if (node->seats[at].seat)
            take_part(node, at);
    return cluster_links(node->cluster);
}

static void note_stats(struct node *node)
{
    struct report *report = node->run->report;
    const struct store_stats *store = store_stats(node->store);
    report->checkpoints += store->checkpoints;
    report->rolled += store->segments_rolled;
    for (uint32_t at = 0; at < node->run->groups; at++) {
        const struct group *group = node_group(node, at);
        if (!group)
            continue;
        const struct group_stats *stats = group_stats(group);
        report->elections += stats->elections;
        report->cuts += stats->cuts;
        report->held_for_vote += stats->held_for_vote;
        report->waited_for_room += stats->waited_for_room;
        report->waited_for_read += stats->waited_for_read;
    }
}

void node_end(struct bench *bench, uint32_t number)
{
    struct run *run = bench->context;
    struct node *node = &run->of[number];
    note_stats(node);
    for (uint32_t at = 0; at < run->groups; at++)
        if (node_group(node, at))
            truth_ends(node, at);
    cluster_free(node->cluster);
    node->cluster = NULL;
}

void node_down(struct node *node, bool is_power_cut, uint64_t for_ms)
{
    struct run *run = node->run;
    if (!node->store)
        return;
    disk_memory_limit(node->drive.disk, 0);
    drive_break(&node->drive);
    bench_kill(&run->bench, node->number);
    drive_crash(&node->drive, node->store, is_power_cut);
    node->store = NULL;
    message_pool_free(&node->pool);
    disk_memory_take(node->drive.disk, 0);
    disk_memory_limit(node->drive.disk, DISK_BYTES);
    node->drive.is_stuck = node->is_short = false;
    node->start_ms = run->bench.now_ms + for_ms;
}

void node_join(struct node *node, uint32_t at)
{
    struct seat_state *seat = &node->seats[at];
    seat->seat = ++seat->last_seat;
    seat->is_spent = false;
    if (node->store)
        take_part(node, at);
}

void node_leave(struct node *node, uint32_t at)
{
    struct group *group = node_group(node, at);
    if (group) {
        truth_ends(node, at);
        cluster_leave(node->cluster, group);
    }
    node->seats[at].seat = 0;
    node->seats[at].is_spent = true;
}

void node_wipe(struct node *node)
{
    node_down(node, true, 100);
    drive_replace(&node->drive, node_new_disk(), kv_memory_new());
    for (uint32_t at = 0; at < node->run->groups; at++) {
        struct seat_state *seat = &node->seats[at];
        if (seat->seat)
            seat->seat = ++seat->last_seat;
        seat->is_founder = seat->is_spent = false;
        seat->down_last = seat->down_floor = seat->down_applied = 0;
    }
    node->run->report->wipes++;
}

void node_take(struct node *node, struct disk *disk, struct kv *kv, uint64_t names_from)
{
    node_down(node, false, 0);
    drive_replace(&node->drive, disk, kv);
    for (uint32_t at = 0; at < node->run->groups; at++) {
        struct seat_state *seat = &node->seats[at];
        seat->down_last = seat->down_floor = 0;
        if (names_from > seat->down_applied)
            seat->down_applied = names_from;
    }
    bench_start(&node->run->bench, node->number);
}

/* ---- turns ---- */

static void apply(struct node *node)
{
    struct run *run = node->run;
    struct group_entry entry;
    for (int i = 0; i < ENTRIES_A_TURN && !run->is_failed; i++) {
        struct group *group = cluster_next(node->cluster, run->bench.now_ms, &entry);
        if (!group)
            return;
        for (uint32_t at = 0; at < run->groups; at++)
            if (node_number(at) == group_number(group))
                truth_applied(node, at, &entry);
    }
}

static uint64_t wall_ms(const struct node *node)
{
    return wall_clock_ms + node->run->bench.now_ms + (uint64_t)node->wall_offset_ms;
}

void node_turn(struct bench *bench, uint32_t number)
{
    struct run *run = bench->context;
    struct node *node = &run->of[number];
    if (run->is_failed)
        return;
    if (!node->is_held)
        drive_work(&node->drive);
    cluster_tick(node->cluster, bench->now_ms, wall_ms(node));
    apply(node);
    for (uint32_t at = 0; at < run->groups; at++) {
        work_propose(node, at, false);
        work_raise(node, at);
        if (run_chance(run, 100))
            truth_look(node, at);
    }
    store_tick(node->store, bench->now_ms);
    while (store_take_awake(node->store))
        continue;
    if (store_failure(node->store))
        run_fail(run, "the store of node %u fails: %s", number, store_failure(node->store));
    if (run_chance(run, 2))
        cluster_tick(node->cluster, bench->now_ms, wall_ms(node));
    if (cluster_saw(node->cluster))
        node_identity_write(bench->nodes[number].disk, &bench->nodes[number].identity);
}
