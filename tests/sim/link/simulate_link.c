/* Two or three nodes with links, from a seed: they send one another numbered frames by both ways
 * while what carries them is cut, reset, held up and slowed down, and nodes are killed, paused and
 * brought back from backups. What has to hold:
 *
 * - what is told of a link alternates: up, frames, down; and gone only of a process that has ended
 * - the frames of a session have all been sent in one session of the other side, in order, without
 * a gap, and are as they were sent
 * - a link of which nothing has come is down
 * - what is unsent is bounded
 * - a node from a backup is never connected to one that has seen more of it
 * - when all is well again all links come up, and stay
 *
 *     simulate_link [--seeds N] [--from SEED] [--ms N]
 *
 * The exit status is 1 when a seed shows that one of them does not hold. A campaign that met none
 * of a kind of fault is invalid, and fails, too. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "tests/lib/disk_memory.h"
#include "tests/sim/link/weather.h"

enum { HEADER = 32, LARGE = 200000 };

/* What one node knows of another. */
struct side {
    bool is_up;
    uint64_t ups;                /* sessions of this side */
    uint64_t sent[LINK_WAYS];    /* in this session */
    uint64_t session[LINK_WAYS]; /* of the other side, that this one's frames are of; 0: none yet */
    uint64_t got[LINK_WAYS];
    uint64_t carried_ms; /* when something came last on control, or it came up, or was awake */
    uint64_t known_boot; /* of the other node, since it is up */
    bool is_full;
};

struct met {
    uint64_t ups, downs, gone, frames, bytes, resets, blocks, kills, pauses, backups, refused,
        fulls, slow, late;
};

struct run {
    struct bench bench;
    struct side sides[BENCH_NODES][BENCH_NODES];
    struct met *met;
    uint32_t nodes;
    uint64_t seed;
    bool is_failed;
    char fault[300];
    struct disk *backups[BENCH_NODES];
    bool is_restored[BENCH_NODES]; /* it came from a backup, and others have seen more */
    struct weather weather;
    uint64_t pause_until[BENCH_NODES], start_ms[BENCH_NODES];
    uint64_t last_kill_ms[BENCH_NODES];
};

static void fail(struct run *run, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void fail(struct run *run, const char *format, ...)
{
    va_list arguments;
    if (run->is_failed)
        return;
    run->is_failed = true;
    va_start(arguments, format);
    vsnprintf(run->fault, sizeof(run->fault), format, arguments);
    va_end(arguments);
}

static uint64_t below(struct run *run, uint64_t limit)
{
    return random_below(&run->bench.random, limit);
}

/* ---- frames ---- */

static uint64_t load(const uint8_t *at)
{
    uint64_t value;
    memcpy(&value, at, sizeof(value));
    return value;
}

/* A frame says of itself: session of its sender, number in it, size; the rest is a pattern. */
static void fill(uint8_t *at, size_t size, uint64_t session, uint64_t number)
{
    memcpy(at, &session, 8);
    memcpy(at + 8, &number, 8);
    memcpy(at + 16, &(uint64_t){size}, 8);
    for (size_t i = HEADER; i < size; i++)
        at[i] = (uint8_t)(number + i);
}

static bool is_filled(const uint8_t *at, size_t size)
{
    if (size < HEADER || load(at + 16) != size)
        return false;
    for (size_t i = HEADER; i < size; i++)
        if (at[i] != (uint8_t)(load(at + 8) + i))
            return false;
    return true;
}

static void arrived(struct run *run, uint32_t node, uint32_t from, enum link_way way,
                    uint64_t session, uint64_t number)
{
    struct side *side = &run->sides[node][from];
    if (!side->session[way])
        side->session[way] = session;
    if (side->session[way] != session)
        fail(run, "node %u got a frame of another session of node %u", node, from);
    else if (number != side->got[way] + 1)
        fail(run, "node %u got frame %lu of node %u behind %lu", node, (unsigned long)number, from,
             (unsigned long)side->got[way]);
    side->got[way] = number;
    if (side->session[!way] && side->session[!way] != session)
        fail(run, "node %u has connections of two sessions of node %u", node, from);
    run->met->frames++;
}

static void frame_came(struct run *run, uint32_t node, uint32_t from, const union link_frame *frame)
{
    static struct link_message message;
    if (frame->type == LINK_LEASE) {
        arrived(run, node, from, LINK_WAY_CONTROL, frame->lease.sent_ms, frame->lease.applied);
        return;
    }
    if (frame->type != LINK_RAFT || !link_message_read(&message, &frame->raft)) {
        fail(run, "node %u got a frame that nobody has sent", node);
        return;
    }
    const uint8_t *records = message.bodies[0].records.data;
    if (message.message.count != 1 || !is_filled(records, message.bodies[0].records.size))
        fail(run, "node %u got a frame that is not as it was sent", node);
    else
        arrived(run, node, from, LINK_WAY_DATA, load(records), load(records + 8));
    run->met->bytes += frame->raft.entries.size;
}

/* Only what both have of their sessions tells them apart: a session is boot and count of its
 * sender. */
static uint64_t session_of(struct run *run, uint32_t node, uint32_t to)
{
    return run->bench.nodes[node].boot << 32 | run->sides[node][to].ups;
}

static void send_some(struct run *run, uint32_t node, uint32_t to)
{
    static uint8_t records[LARGE];
    struct side *side = &run->sides[node][to];
    struct link *link = run->bench.nodes[node].to[to];
    const struct engine_entry entry = {1, ENGINE_RECORDS, NULL};
    struct engine_message append = {
        .type = ENGINE_APPEND, .peer = (uint64_t)(to + 1) << 16, .term = 1, .count = 1};
    union link_frame lease = {.lease = {.type = LINK_LEASE,
                                        .sent_ms = session_of(run, node, to),
                                        .applied = side->sent[LINK_WAY_CONTROL] + 1}};
    if (!side->is_up || below(run, 4))
        return;
    if (link_send(link, &lease) == LINK_SENT)
        side->sent[LINK_WAY_CONTROL]++;
    size_t size = HEADER + (below(run, 8) ? below(run, 2000) : below(run, LARGE - HEADER));
    struct link_body body = {.records = bytes_of(records, size)};
    for (uint64_t i = below(run, 50) ? 1 : 100; i; i--) {
        fill(records, size, session_of(run, node, to), side->sent[LINK_WAY_DATA] + 1);
        enum link_sent sent =
            link_send_raft(link, 1, 1, (uint64_t)(node + 1) << 16, &append, &entry, &body);
        if (sent != LINK_SENT) {
            run->met->fulls += sent == LINK_FULL;
            break;
        }
        side->sent[LINK_WAY_DATA]++;
    }
}

/* ---- what is told ---- */

static void came_up(struct run *run, uint32_t node, uint32_t peer)
{
    struct side *side = &run->sides[node][peer];
    if (side->is_up)
        fail(run, "node %u is told twice that node %u is up", node, peer);
    if (run->is_restored[node] || run->is_restored[peer])
        fail(run, "nodes %u and %u are connected, of which one comes from a backup", node, peer);
    *side = (struct side){.is_up = true, .ups = side->ups + 1, .carried_ms = run->bench.now_ms};
    side->known_boot = run->bench.nodes[peer].boot;
    run->met->ups++;
}

static void on_event(struct bench *bench, uint32_t node, const struct link_event *event)
{
    struct run *run = bench->context;
    uint32_t peer = link_number(event->link) - 1;
    struct side *side = &run->sides[node][peer];
    switch (event->kind) {
    case LINK_EVENT_SEEN:
        if (node_identity_write(bench->nodes[node].disk, &bench->nodes[node].identity))
            fail(run, "the identity of node %u cannot be written", node);
        break;
    case LINK_EVENT_UP:
        came_up(run, node, peer);
        break;
    case LINK_EVENT_DOWN:
        if (!side->is_up)
            fail(run, "node %u is told that node %u is down, which was not up", node, peer);
        side->is_up = false;
        run->met->downs++;
        break;
    case LINK_EVENT_GONE:
        if (side->is_up)
            fail(run, "node %u is told that node %u is gone, which is up", node, peer);
        if (bench->nodes[peer].boot == side->known_boot && bench->nodes[peer].links)
            fail(run, "node %u is told that node %u is gone, which runs", node, peer);
        run->met->gone++;
        break;
    case LINK_EVENT_ROOM:
        break;
    case LINK_EVENT_FRAME:
        if (!side->is_up)
            fail(run, "node %u gets a frame of node %u, which is down", node, peer);
        frame_came(run, node, peer, event->frame);
    }
}

/* ---- faults ---- */

static uint32_t other_node(struct run *run, uint32_t node)
{
    return (node + 1 + (uint32_t)below(run, run->nodes - 1)) % run->nodes;
}

static void kill_node(struct run *run, uint32_t node, uint64_t down_ms)
{
    struct bench *bench = &run->bench;
    if (!bench->nodes[node].links)
        return;
    bench_kill(bench, node);
    for (uint32_t i = 0; i < run->nodes; i++)
        run->sides[node][i] = (struct side){.ups = run->sides[node][i].ups};
    run->start_ms[node] = bench->now_ms + down_ms;
    run->met->kills++;
}

/* Its folder is what it was some time ago. All others must have seen more for it to count. */
static void restore_backup(struct run *run, uint32_t node)
{
    struct bench_node *it = &run->bench.nodes[node];
    struct node_identity old;
    if (!run->backups[node] || run->is_restored[node] || run->nodes < 2)
        return;
    node_identity_read(run->backups[node], &old);
    for (uint32_t i = 0; i < run->nodes; i++) {
        const struct node_seen *seen =
            node_identity_seen(&run->bench.nodes[i].identity, it->identity.node);
        if (i != node && (!seen || seen->incarnation <= old.incarnation))
            return;
    }
    kill_node(run, node, 1);
    disk_memory_free(it->disk);
    it->disk = disk_memory_copy(run->backups[node]);
    run->is_restored[node] = true;
    run->met->backups++;
}

/* What was forgotten is brought back: the last that others know, as a reset and a join would. */
static void end_backup(struct run *run, uint32_t node)
{
    struct bench_node *it = &run->bench.nodes[node];
    uint64_t newest = 0;
    run->is_restored[node] = false;
    for (uint32_t i = 0; i < run->nodes; i++) {
        struct node_identity *identity = &run->bench.nodes[i].identity;
        const struct node_seen *seen = node_identity_seen(identity, it->identity.node);
        if (i != node && seen && seen->incarnation > newest)
            newest = seen->incarnation;
        if (i == node)
            continue;
        node_identity_forget(identity, it->identity.node);
        if (node_identity_write(run->bench.nodes[i].disk, identity))
            fail(run, "the identity of node %u cannot be written", i);
    }
    kill_node(run, node, 1);
    it->identity.incarnation = newest;
    if (node_identity_write(it->disk, &it->identity))
        fail(run, "the identity of node %u cannot be written", node);
    if (run->backups[node])
        disk_memory_free(run->backups[node]);
    run->backups[node] = NULL;
}

/* Old bytes come late: what a connection has under way, and its end, is held back. */
static void hold_one(struct run *run)
{
    struct bench_pipe *pipe = bench_any_pipe(&run->bench);
    if (!pipe)
        return;
    uint32_t way = (uint32_t)below(run, 2);
    pipe->holds_until_ms[way] = run->bench.now_ms + below(run, 600);
    if (below(run, 2)) { /* the other end is done with it */
        pipe->is_closed[way] = pipe->is_reset[way] = true;
        pipe->is_closed[!way] = pipe->is_reset[!way] = true;
        pipe->ways[!way].size = 0;
    }
    run->met->late++;
}

static void block(struct run *run, uint32_t from, uint32_t to)
{
    weather_block(&run->weather, from, to, run->bench.now_ms + 1 + below(run, 4000));
    run->met->blocks++;
}

static void fault(struct run *run)
{
    struct bench *bench = &run->bench;
    uint32_t node = (uint32_t)below(run, run->nodes), other = other_node(run, node);
    switch (below(run, 10)) {
    case 0:
    case 1:
        run->met->resets += weather_reset_one(&run->weather);
        break;
    case 2:
    case 3:
        hold_one(run);
        break;
    case 4:
        block(run, node, other);
        break;
    case 5:
        block(run, node, other);
        block(run, other, node);
        break;
    case 6:
        kill_node(run, node, 1 + below(run, 3000));
        break;
    case 7:
        if (bench->nodes[node].links) {
            bench->nodes[node].is_paused = true;
            run->pause_until[node] = bench->now_ms + 1 + below(run, 2000);
            run->met->pauses++;
        }
        break;
    case 8:
        weather_slow(&run->weather, below(run, 2) ? 0 : 500 + below(run, 50000), UINT64_MAX);
        run->met->slow += bench->bytes_per_step > 0;
        break;
    default:
        if (!run->backups[node] && bench->nodes[node].links)
            run->backups[node] = disk_memory_copy(bench->nodes[node].disk);
        else if (below(run, 2))
            restore_backup(run, node);
    }
}

static void end_faults(struct run *run, bool all)
{
    struct bench *bench = &run->bench;
    weather_clear(&run->weather, all ? UINT64_MAX : bench->now_ms);
    for (uint32_t i = 0; i < run->nodes; i++) {
        if (all && run->is_restored[i])
            end_backup(run, i);
        if (bench->nodes[i].links && (all || bench->now_ms >= run->pause_until[i]))
            bench->nodes[i].is_paused = false;
        if (!bench->nodes[i].links && (all || bench->now_ms >= run->start_ms[i])) {
            bench_start(bench, i);
            for (uint32_t k = 0; k < run->nodes; k++) /* what it is told now is of this start */
                run->sides[i][k].known_boot = 0;
        }
    }
}

/* ---- what holds all the time ---- */

static void judge(struct run *run, uint32_t node, uint32_t peer)
{
    struct bench *bench = &run->bench;
    struct side *side = &run->sides[node][peer];
    struct link *link = bench->nodes[node].to[peer];
    if (!bench->nodes[node].links || bench->nodes[node].is_paused) {
        side->carried_ms = bench->now_ms;
        return;
    }
    if (bench->arrived_ms[node][peer] > side->carried_ms)
        side->carried_ms = bench->arrived_ms[node][peer];
    if (side->is_up && bench->now_ms - side->carried_ms > LINK_SILENT_MS + 50)
        fail(run, "node %u has a link to node %u, of which nothing has come", node, peer);
    if (link_unsent(link) > LINK_OUTPUT_BYTES + LINK_TALK_BYTES + LARGE + 100000)
        fail(run, "node %u has %zu unsent bytes for node %u", node, link_unsent(link), peer);
}

static void judge_all(struct run *run)
{
    for (uint32_t i = 0; i < run->nodes; i++)
        for (uint32_t k = 0; k < run->nodes; k++)
            if (i != k && !run->is_failed)
                judge(run, i, k);
}

static void busy(struct run *run, uint64_t ms)
{
    for (uint64_t i = 0; i < ms && !run->is_failed; i++) {
        end_faults(run, false);
        if (below(run, 150) == 0)
            fault(run);
        for (uint32_t k = 0; k < run->nodes; k++)
            for (uint32_t to = 0; to < run->nodes; to++)
                if (k != to && run->bench.nodes[k].links && !run->bench.nodes[k].is_paused)
                    send_some(run, k, to);
        bench_step(&run->bench);
        judge_all(run);
    }
}

static bool all_up(const struct run *run)
{
    for (uint32_t i = 0; i < run->nodes; i++)
        for (uint32_t k = i + 1; k < run->nodes; k++)
            if (!bench_is_up(&run->bench, i, k))
                return false;
    return true;
}

static void heal(struct run *run)
{
    end_faults(run, true);
    end_faults(run, true); /* those that were killed for it start */
    bench_run(&run->bench, 9000);
    if (!run->is_failed && !all_up(run))
        fail(run, "all has been well for 9 s, and not all links are up: %.150s",
             run->bench.refused);
    uint64_t ups = run->met->ups;
    bench_run(&run->bench, 3000);
    if (!run->is_failed && run->met->ups != ups)
        fail(run, "links go up and down though all is well");
}

static bool run_seed(uint64_t seed, uint64_t ms, struct met *met)
{
    static struct run run;
    run = (struct run){.met = met, .seed = seed, .nodes = 2 + seed % 2};
    bench_init(&run.bench, seed, run.nodes);
    weather_init(&run.weather, &run.bench, run.nodes);
    run.bench.event = on_event;
    run.bench.context = &run;
    for (uint32_t i = 0; i < run.nodes; i++)
        bench_start(&run.bench, i);
    busy(&run, ms);
    if (!run.is_failed)
        heal(&run);
    if (run.is_failed)
        printf("not ok - seed %lu at %lu ms: %s\n", (unsigned long)seed,
               (unsigned long)run.bench.now_ms, run.fault);
    met->refused += run.bench.refused[0] != '\0';
    bench_free(&run.bench);
    for (uint32_t i = 0; i < run.nodes; i++)
        if (run.backups[i])
            disk_memory_free(run.backups[i]);
    return !run.is_failed;
}

static bool has_met_all(const struct met *met)
{
    return met->gone && met->resets && met->blocks && met->kills && met->pauses && met->backups &&
           met->refused && met->fulls && met->slow && met->late;
}

int main(int argc, char **argv)
{
    uint64_t seeds = 100, from = 1, ms = 20000, failed = 0;
    struct met met = {0};
    for (int i = 1; i + 1 < argc; i += 2) {
        uint64_t value = strtoull(argv[i + 1], NULL, 10);
        if (strcmp(argv[i], "--seeds") == 0)
            seeds = value;
        else if (strcmp(argv[i], "--from") == 0)
            from = value;
        else if (strcmp(argv[i], "--ms") == 0)
            ms = value;
    }
    for (uint64_t seed = from; seed < from + seeds; seed++)
        failed += !run_seed(seed, ms, &met);
    printf("# %lu seeds of %lu ms: %lu up, %lu gone, %lu frames, %lu MB; met %lu resets, %lu late, "
           "%lu "
           "blocks, %lu kills, %lu pauses, %lu backups, %lu refused, %lu full, %lu slow\n",
           (unsigned long)seeds, (unsigned long)ms, (unsigned long)met.ups, (unsigned long)met.gone,
           (unsigned long)met.frames, (unsigned long)met.bytes >> 20, (unsigned long)met.resets,
           (unsigned long)met.late, (unsigned long)met.blocks, (unsigned long)met.kills,
           (unsigned long)met.pauses, (unsigned long)met.backups, (unsigned long)met.refused,
           (unsigned long)met.fulls, (unsigned long)met.slow);
    if (!failed && seeds >= 30 && !has_met_all(&met)) {
        printf("not ok - invalid: something was not met\n");
        failed++;
    }
    if (!failed)
        printf("ok - %lu seeds\n", (unsigned long)seeds);
    return failed > 0;
}
