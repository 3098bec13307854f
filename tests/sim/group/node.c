/* A node: its disk, its workers, which take their time, its store, and its part of groups. */
#include <assert.h>
#include <errno.h>
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
    node->disk->ops->free_space(node->disk, &left, &size);
    return left;
}

/* ---- workers ---- */

static struct sim_worker *worker_of(struct worker *worker)
{
    return (struct sim_worker *)(void *)worker;
}

static uint64_t job_ms(struct node *node)
{
    struct run *run = node->run;
    if (run->bench.now_ms < node->slow_until_ms)
        return 5 + run_below(run, 200);
    return run_chance(run, 50) ? run_below(run, 40) : run_below(run, run->disk_ms + 1);
}

static void submit(struct worker *link, struct job *job)
{
    struct sim_worker *worker = worker_of(link);
    list_init(&job->link);
    if (list_is_empty(&worker->submitted))
        worker->ready_ms = worker->node->run->bench.now_ms + job_ms(worker->node);
    list_push_back(&worker->submitted, &job->link);
}

static struct job *finished(struct worker *link)
{
    struct list *first = list_take_first(&worker_of(link)->finished);
    return first ? list_entry(first, struct job, link) : NULL;
}

static bool run_one(struct sim_worker *worker)
{
    struct list *link = list_take_first(&worker->submitted);
    if (!link)
        return false;
    struct job *job = list_entry(link, struct job, link);
    job->run(job);
    list_push_back(&worker->finished, &job->link);
    return true;
}

static void drain(struct worker *link)
{
    while (run_one(worker_of(link)))
        continue;
}

static const struct worker_ops worker_ops = {submit, finished, drain};

static void work(struct node *node)
{
    uint64_t now = node->run->bench.now_ms;
    for (int i = 0; i < WORKERS && !node->is_stuck && !node->is_held; i++) {
        struct sim_worker *worker = &node->workers[i];
        while (!list_is_empty(&worker->submitted) && worker->ready_ms <= now) {
            run_one(worker);
            worker->ready_ms = now + job_ms(node);
        }
    }
}

/* ---- beginning and end ---- */

static void draw_options(struct node *node)
{
    struct run *run = node->run;
    struct store_options *options = &node->options;
    store_options_default(options);
    options->segment_bytes = 1u << (15 + run_below(run, 7));
    options->checkpoint_bytes = (uint64_t)1 << (15 + run_below(run, 8));
    options->checkpoint_ms = 300 + run_below(run, 8000);
    options->group_cache_bytes = run_chance(run, 2) ? 1000 + run_below(run, 60000) : 4 << 20;
    options->cache_bytes = run_chance(run, 2) ? 4096 : 4 << 20;
    options->batch_large_bytes = run_chance(run, 3) ? 4096 : 4 << 20;
    options->chunk_entries = run_chance(run, 2) ? 64 : 2048;
    options->disk_reserve_bytes = 1 << 20;
    options->disk = node->disk;
    options->kv = node->kv;
    options->syncer = &node->workers[SYNCER].worker;
    options->indexer = &node->workers[1].worker;
    options->reader = &node->workers[2].worker;
    options->pool = &node->pool;
    options->log = &node->log;
}

struct disk *node_new_disk(void)
{
    struct disk *disk = disk_memory_new();
    disk_memory_spare_reads(disk);
    disk_memory_limit(disk, DISK_BYTES);
    return disk;
}

static void set_disk(struct node *node, struct disk *disk, struct kv *kv)
{
    node->options.disk = node->disk = disk;
    node->options.kv = node->kv = kv;
}

static void new_disk(struct node *node)
{
    set_disk(node, node_new_disk(), kv_memory_new());
}

void node_init(struct run *run, uint32_t number)
{
    struct node *node = &run->of[number];
    *node = (struct node){.run = run, .number = number};
    new_disk(node);
    for (int i = 0; i < WORKERS; i++) {
        struct sim_worker *worker = &node->workers[i];
        *worker = (struct sim_worker){{&worker_ops}, node, i, {0}, {0}, 0};
        list_init(&worker->submitted);
        list_init(&worker->finished);
    }
    draw_options(node);
    node->wall_offset_ms = (int64_t)run_below(run, 4000) - 2000;
}

void node_free(struct node *node)
{
    for (uint32_t at = 0; at < GROUPS; at++)
        mem_free(node->seats[at].down_terms);
    disk_memory_free(node->disk);
    kv_memory_free(node->kv);
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
    disk_memory_spare_opens(node->disk, false);
    node->store = store_open(&node->options, bench->now_ms, error, sizeof(error));
    disk_memory_spare_opens(node->disk, true);
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
        node->slow_until_ms = bench->now_ms + run_below(run, START_SLOW_MS);
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
    /* What the workers were doing may have been done in part. */
    disk_memory_limit(node->disk, 0);
    disk_memory_fail(node->disk, 1 + run_below(run, 6), EIO, true);
    kv_memory_fail(node->kv, 1 + run_below(run, 3), true);
    bench_kill(&run->bench, node->number);
    for (int i = 0; i < WORKERS; i++)
        drain(&node->workers[i].worker);
    store_abandon(node->store);
    node->store = NULL;
    for (int i = 0; i < WORKERS; i++) {
        list_init(&node->workers[i].submitted);
        list_init(&node->workers[i].finished);
    }
    message_pool_free(&node->pool);
    disk_memory_fail(node->disk, 0, 0, false);
    kv_memory_fail(node->kv, 0, false);
    enum crash crash = !is_power_cut         ? CRASH_KEEP
                       : run_chance(run, 2) ? CRASH_DROP
                                            : CRASH_RANDOM;
    disk_memory_crash(node->disk, crash, &run->bench.random);
    kv_memory_crash(node->kv, crash == CRASH_KEEP,
                    crash == CRASH_RANDOM ? &run->bench.random : NULL);
    disk_memory_take(node->disk, 0);
    disk_memory_limit(node->disk, DISK_BYTES);
    node->is_stuck = node->is_short = false;
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
    disk_memory_free(node->disk);
    kv_memory_free(node->kv);
    new_disk(node);
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
    disk_memory_free(node->disk);
    kv_memory_free(node->kv);
    set_disk(node, disk, kv);
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
    work(node);
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
