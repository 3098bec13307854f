/* simulate_brokers: whole brokers that are a cluster, with their clients, from one seed on (campaign.h). */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/mem.h"
#include "tests/lib/disk_memory.h"
#include "tests/sim/cluster/brokers.h"

enum { HEALED_MS = 30000, SETTLED_MS = 30000, DRAINED_MS = 60000, IDLE_CONFIRMS = 20 };

uint64_t run_below(struct run *run, uint64_t limit)
{
    return random_below(&run->bench.random, limit);
}

bool run_chance(struct run *run, uint64_t n)
{
    return run_below(run, n) == 0;
}

void run_fail(struct run *run, const char *format, ...)
{
    va_list arguments;
    if (run->is_failed)
        return;
    run->is_failed = true;
    va_start(arguments, format);
    vsnprintf(run->report->all.fault, sizeof(run->report->all.fault), format, arguments);
    va_end(arguments);
    run_say(run, "%s", run->report->all.fault);
}

void run_say(struct run *run, const char *format, ...)
{
    va_list arguments;
    if (!run->verbose)
        return;
    va_start(arguments, format);
    campaign_say(run->bench.now_ms, format, arguments);
    va_end(arguments);
}

/* ---- a run ---- */

static void draw(struct run *run)
{
    static const uint32_t sizes[] = {1, 2, 3, 3, 3, 3, 4, 5};
    run->nodes = sizes[run_below(run, 8)];
    run->clients = 3 + (uint32_t)run_below(run, CLIENTS - 3);
    run->fault_every_ms = 200 + (uint32_t)run_below(run, 3000);
    run->publish_every_ms = 2 + (uint32_t)run_below(run, 60);
    run->answer_every_ms = 1 + (uint32_t)run_below(run, run_chance(run, 3) ? 200 : 30); /* or queues grow */
    run->prefetch = (uint16_t)(1 + run_below(run, 20));
    run->mark_step_max = run_chance(run, 2) ? 20 : 500;
    run->body_max = 1000 + (uint32_t)run_below(run, run_chance(run, 4) ? 300000 : 3000);
    run->disk_ms = (uint32_t)run_below(run, 6);
    run->has_power_cuts = !run_chance(run, 4);
    run->has_partitions = !run_chance(run, 4);
    run->has_stuck_disks = !run_chance(run, 3);
    run->has_pauses = !run_chance(run, 4);
    run->relayed_in_4 = (uint32_t)run_below(run, 5);
}

static void begin(struct run *run, uint64_t seed)
{
    bench_init(&run->bench, seed, NODES);
    run->bench.context = run;
    run->bench.make = node_make;
    run->bench.end = node_end;
    run->bench.turn = node_turn;
    carried_init(run);
    draw(run);
    weather_init(&run->weather, &run->bench, run->nodes);
    for (uint32_t i = run->nodes; i < NODES; i++) {
        disk_memory_free(run->bench.nodes[i].disk);
        run->bench.nodes[i].disk = NULL;
    }
    for (uint32_t i = 0; i < run->nodes; i++)
        node_init(run, i);
    for (uint32_t i = 0; i < run->clients; i++)
        client_init(run, i);
    run_say(run, "%u brokers, %u clients", run->nodes, run->clients);
}

static void step(struct run *run)
{
    faults_step(run);
    sockets_sweep(run);
    bench_step(&run->bench);
    for (uint32_t i = 0; i < run->clients && !run->is_failed; i++)
        client_step(&run->client[i]);
}

/* ---- the end ---- */

/* All is well from now on: something new is confirmed and delivered soon. */
static void heal(struct run *run)
{
    const struct truth *truth = &run->truth;
    uint64_t begin_ms = run->bench.now_ms;
    run_say(run, "all is well");
    run->is_healing = true;
    while (!run->is_failed && run->bench.now_ms < begin_ms + HEALED_MS &&
           (truth->confirmed_ms <= begin_ms || truth->delivered_ms <= begin_ms))
        step(run);
    if (truth->confirmed_ms <= begin_ms)
        run_fail(run, "all has been well for %d ms, and nothing new was confirmed", HEALED_MS);
    if (truth->delivered_ms <= begin_ms)
        run_fail(run, "all has been well for %d ms, and nothing new was delivered", HEALED_MS);
}

static bool is_waiting(const struct run *run)
{
    for (uint32_t i = 0; i < run->clients; i++) {
        const struct client *client = &run->client[i];
        if (client->socket && (client->socket->due_count || client->socket->unconfirmed || client->tx))
            return true;
    }
    return false;
}

/* Nothing new is begun, and all that was asked is answered. */
static void settle(struct run *run)
{
    uint64_t end_ms = run->bench.now_ms + SETTLED_MS;
    run_say(run, "nothing new is begun");
    run->is_stopping = true;
    while (!run->is_failed && run->bench.now_ms < end_ms && is_waiting(run))
        step(run);
    if (is_waiting(run))
        run_fail(run, "all has been well for long, and somebody waits for an answer");
}

/* One client takes all that is there. */
static void drain(struct run *run)
{
    uint64_t end_ms = run->bench.now_ms + DRAINED_MS;
    struct client *last = &run->client[0];
    run_say(run, "all is drained");
    for (uint32_t i = 0; i < run->clients && !run->is_failed; i++) {
        client_give_up(&run->client[i]);
        run->client[i].state = CLIENT_DONE;
    }
    run->is_draining = true;
    last->role = ROLE_DRAIN;
    last->state = CLIENT_DOWN;
    while (!run->is_failed && run->bench.now_ms < end_ms && last->state != CLIENT_DONE)
        step(run);
    if (last->state != CLIENT_DONE)
        run_fail(run, "all has been well for long, and queues are not empty: %u messages are left", last->left);
    if (!run->is_failed)
        truth_judge(run);
}

static void end(struct run *run)
{
    run->is_failed = true; /* what is still said is of no interest */
    for (uint32_t i = 0; i < run->nodes; i++)
        node_down(&run->of[i], false, 0);
    clients_free(run);
    bench_free(&run->bench);
    for (uint32_t i = 0; i < run->nodes; i++)
        node_free(&run->of[i]);
    truth_free(&run->truth);
}

bool brokers_run(uint64_t seed, uint64_t busy_ms, bool verbose, void *context)
{
    static struct run run;
    struct report *report = context;
    uint64_t confirms = report->confirms;
    run = (struct run){.report = report, .seed = seed, .verbose = verbose};
    begin(&run, seed);
    while (run.bench.now_ms < busy_ms && !run.is_failed)
        step(&run);
    if (!run.is_failed)
        heal(&run);
    if (!run.is_failed)
        settle(&run);
    if (!run.is_failed)
        drain(&run);
    bool is_good = !run.is_failed;
    report->all.runs++;
    report->all.idle_runs += report->confirms - confirms < IDLE_CONFIRMS;
    report->all.simulated_ms += run.bench.now_ms;
    end(&run);
    return is_good;
}

/* ---- the program ---- */

int main(int argc, char **argv)
{
    static struct report report;
    static const struct campaign_met met[] = {
#define MET CAMPAIGN_MET
#include "tests/sim/cluster/met.def"
#undef MET
    };
    static const struct campaign campaign = {.program = "simulate_brokers",
                                             .idle = "confirmed next to nothing",
                                             .seconds = 20,
                                             .run = brokers_run,
                                             .met = met,
                                             .met_count = sizeof(met) / sizeof(met[0])};
    return campaign_main(&campaign, &report, argc, argv);
}
