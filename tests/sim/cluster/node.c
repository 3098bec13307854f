/* A broker of a cluster, as src/leveretd.c and src/membership.c put it together: its disk, its workers, which
 * take their time, its store, its links and its server; and its office. */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/log_line.h"
#include "session/agreed.h"
#include "tests/sim/cluster/brokers.h"

enum { GROUP = 2, GENERATION = 1, SEAT = 1, WAIT = 1, STUCK_MS = 5000, START_SLOW_MS = 1000, AGAIN_MS = 30 };

#define KEEP_BYTES ((uint64_t)1 << 30)

static const uint64_t wall_clock_ms = 1600000000000;

bool node_is_up(const struct node *node)
{
    return node->store && !node->run->bench.nodes[node->number].is_paused;
}

struct node *node_leader(struct run *run)
{
    struct node *leader = NULL;
    for (uint32_t i = 0; i < run->nodes; i++)
        if (run->of[i].office > (leader ? leader->office : 0))
            leader = &run->of[i];
    return leader && leader->office == run->offices ? leader : NULL;
}

static uint64_t wall_ms(const struct node *node)
{
    return wall_clock_ms + node->run->bench.now_ms + (uint64_t)node->wall_offset_ms;
}

/* ---- beginning ---- */

static void print_line(void *context, const struct log_record *record)
{
    const struct node *node = context;
    char line[LOG_LINE_MAX + 1];
    log_line_text(record, line);
    run_say(node->run, "broker %u: %s", node->number, line);
}

static void draw_options(struct node *node)
{
    struct store_options *options = &node->options;
    drive_draw_options(&node->drive, options);
    options->mark_step = 1 + (uint32_t)run_below(node->run, node->run->mark_step_max);
    options->pool = &node->pool;
    options->log = &node->log;
    server_options_default(&node->server_options);
    node->server_options.version = "1.2.3";
}

void node_init(struct run *run, uint32_t number)
{
    struct node *node = &run->of[number];
    *node = (struct node){.run = run, .number = number};
    random_init(&node->random, random_next(&run->bench.random));
    drive_init(&node->drive, &run->bench, run->disk_ms);
    if (run->verbose)
        node->log = (struct log){.level = LOG_LEVEL_INFO, .sink = print_line, .context = node};
    draw_options(node);
    node->wall_offset_ms = (int64_t)run_below(run, 4000) - 2000;
}

void node_free(struct node *node)
{
    drive_free(&node->drive);
}

static void take_part(struct node *node)
{
    struct run *run = node->run;
    uint64_t now_ms = run->bench.now_ms;
    if (!group_log_find(node->store, GROUP)) {
        struct engine_members members = {0};
        for (uint32_t i = 0; i < run->nodes; i++)
            members.of[members.count++] =
                (struct engine_member){group_member_id(run->bench.first_number + i, SEAT), ENGINE_VOTER};
        group_found(node->store, GROUP, &members);
    }
    node->lanes = lanes_new(node->cluster, node->store, &(struct lane_keeps){.all = KEEP_BYTES});
    cluster_take_part(node->cluster, GROUP, GENERATION, SEAT, now_ms);
    lanes_add(node->lanes, GROUP, WAIT);
    group_log_take_names(group_log_find(node->store, GROUP));
}

static void begin_relays(struct node *node)
{
    struct bench *bench = &node->run->bench;
    struct bench_node *place = &bench->nodes[node->number];
    const struct relays_options options = {.kind = LINK_CLIENT_AMQP,
                                           .identity = &place->identity,
                                           .log = &node->log,
                                           .patience_ms = node->server_options.handshake_ms,
                                           .max = SOCKETS,
                                           .clients_max = &node->clients_max};
    node->relays = relays_new(&options, bench->now_ms);
    node->relays_to = UINT32_MAX;
    place->relays = relays_service(node->relays);
    place->clients = server_service(node->server);
}

struct links *node_make(struct bench *bench, uint32_t number)
{
    struct run *run = bench->context;
    struct node *node = &run->of[number];
    char error[600];
    message_pool_init(&node->pool);
    node->store = drive_open(&node->drive, &node->options, error, sizeof(error));
    if (!node->store) {
        run_fail(run, "the store of broker %u does not open: %s", number, error);
        assert(false); /* nothing can go on without it */
    }
    broker_init(&node->broker, node->store, &node->pool, &node->random, &node->log, bench->now_ms);
    node->broker.clock_ms = wall_ms(node);
    struct cluster_options options = {.store = node->store,
                                      .links = bench->nodes[number].options,
                                      .identity = &bench->nodes[number].identity,
                                      .seed = run_below(run, UINT64_MAX)};
    node->cluster = cluster_new(&options, bench->now_ms);
    if (run_chance(run, 3)) /* a machine that starts has much to do */
        node->drive.slow_until_ms = bench->now_ms + run_below(run, START_SLOW_MS);
    take_part(node);
    node->server = server_new(&node->server_options, &node->broker, bench->now_ms);
    node->broker.options.queue_group = GROUP;
    agreed_begin(node->server, node->lanes);
    begin_relays(node);
    node->office = 0;
    node->has_dispatched = false;
    node->is_over = false;
    return cluster_links(node->cluster);
}

/* ---- the end ---- */

void node_end(struct bench *bench, uint32_t number)
{
    struct run *run = bench->context;
    struct node *node = &run->of[number];
    const struct group *group = cluster_group(node->cluster, GROUP);
    run->report->cut_logs += group_stats(group)->cuts;
    if (group_broken(group))
        run_fail(run, "the group of broker %u has stopped: %s", number, group_broken(group));
    sockets_end(node);
    relays_free(node->relays);
    server_free(node->server);
    broker_free(&node->broker);
    if (node->is_orderly) {
        lanes_close(node->lanes, bench->now_ms);
        store_close(node->store);
    }
    lanes_free(node->lanes);
    cluster_free(node->cluster);
    node->server = NULL;
    node->relays = NULL;
    node->lanes = NULL;
    node->cluster = NULL;
    node->office = 0;
}

/* As the process of a broker that is no leader any more: all is closed, and it starts again. */
static void end_well(struct node *node)
{
    struct run *run = node->run;
    node->is_orderly = true;
    bench_kill(&run->bench, node->number);
    node->is_orderly = false;
    drive_forget(&node->drive);
    message_pool_free(&node->pool);
    node->store = NULL;
    node->start_ms = run->bench.now_ms + 1 + run_below(run, AGAIN_MS);
    if (node->drive.is_stuck && node->start_ms < node->drive.stuck_until_ms)
        node->start_ms = node->drive.stuck_until_ms;
}

void node_down(struct node *node, bool is_power_cut, uint64_t for_ms)
{
    struct run *run = node->run;
    if (!node->store)
        return;
    drive_break(&node->drive);
    bench_kill(&run->bench, node->number);
    drive_crash(&node->drive, node->store, is_power_cut);
    node->store = NULL;
    message_pool_free(&node->pool);
    node->drive.is_stuck &= !is_power_cut;
    node->start_ms = run->bench.now_ms + for_ms;
}

void node_look(struct node *node)
{
    struct run *run = node->run;
    if (!node_is_up(node))
        return;
    if (node->office && store_writes_for_ms(node->store, run->bench.now_ms) >= STUCK_MS) {
        run_say(run, "broker %u leaves its office, as its disk stands still", node->number);
        run->report->stuck_offices++;
        uint64_t now_ms = run->bench.now_ms, until_ms = node->drive.is_stuck ? node->drive.stuck_until_ms : 0;
        node_down(node, false, until_ms > now_ms ? until_ms - now_ms : 1);
        return;
    }
    if (!node->is_over)
        return;
    run_say(run, "broker %u has lost its office", node->number);
    run->report->lost_offices++;
    end_well(node);
}

bool node_hand_over(struct node *node, const struct node *to)
{
    return group_transfer(cluster_group(node->cluster, GROUP), node->run->bench.now_ms,
                          group_member_id(node->run->bench.first_number + to->number, SEAT));
}

bool node_may_deliver(const struct node *node)
{
    struct group *group = cluster_group(node->cluster, GROUP);
    return node->office && lease_have(group_lease(group), RIGHT_DISPATCH, node->run->bench.now_ms);
}

/* ---- turns ---- */

static void take_office(struct node *node)
{
    struct run *run = node->run;
    char error[500];
    if (!broker_read(&node->broker, error, sizeof(error))) {
        run_fail(run, "broker %u refuses its catalogue: %s", node->number, error);
        return;
    }
    if (broker_is_new(&node->broker))
        broker_make_first(&node->broker);
    group_log_drop_orphans(group_log_find(node->store, GROUP));
    node->office = ++run->offices;
    run->report->offices++;
    run->report->failovers += store_stats(node->store)->messages_found > 0;
    run_say(run, "broker %u takes office %" PRIu64, node->number, node->office);
    sockets_take(node); /* what was said to them before */
    links_serve(cluster_links(node->cluster), LINK_CLIENT_AMQP, carried_front(node));
    relays_serve_here(node->relays, carried_front(node));
}

/* As src/membership.c does it. */
static void relay_to_leader(struct node *node)
{
    const struct engine *engine = group_engine(cluster_group(node->cluster, GROUP));
    uint32_t leader = engine ? group_member_node(engine_leader(engine)) : 0;
    uint32_t first = node->run->bench.first_number;
    bool is_other = leader && leader != first + node->number;
    if (leader == node->relays_to)
        return;
    node->relays_to = leader;
    relays_lead(node->relays, leader, is_other ? "node" : NULL, is_other ? (uint16_t)(leader - first + 1) : 0);
}

static void look_at_office(struct node *node)
{
    bool leads = lanes_lead(node->lanes);
    if (leads && !node->office)
        take_office(node);
    else if (!leads && node->office)
        node->is_over = true;
}

void node_turn(struct bench *bench, uint32_t number)
{
    struct run *run = bench->context;
    struct node *node = &run->of[number];
    if (run->is_failed || node->is_over)
        return;
    struct service *service = server_service(node->server);
    drive_work(&node->drive);
    service_woken(service, bench->now_ms);
    carried_look(node);
    sockets_feed(node);
    relay_to_leader(node);
    service_tick(relays_service(node->relays), bench->now_ms, wall_ms(node));
    service_tick(service, bench->now_ms, wall_ms(node));
    while (service_take_writable(service))
        continue;
    sockets_take(node);
    if (service_failure(service))
        run_fail(run, "broker %u fails: %s", number, service_failure(service));
    look_at_office(node);
    if (cluster_saw(node->cluster))
        node_identity_write(bench->nodes[number].disk, &bench->nodes[number].identity);
}
