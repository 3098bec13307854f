/* simulate_brokers [--seed N] [--seeds N] [--seconds N] [--verbose]: whole brokers that are a cluster, with their
 * clients, from one seed on. The first promise that is broken ends it, with exit status 1 and the seed that shows
 * it again; so does, at the end of a campaign of a hundred seeds or more, whatever it never met (met.def). */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "tests/lib/disk_memory.h"
#include "tests/sim/cluster/brokers.h"

enum { CAMPAIGN_SEEDS = 100, HEALED_MS = 30000, SETTLED_MS = 30000, DRAINED_MS = 60000, IDLE_CONFIRMS = 20 };

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
    vsnprintf(run->report->fault, sizeof(run->report->fault), format, arguments);
    va_end(arguments);
    run_say(run, "%s", run->report->fault);
}

void run_say(struct run *run, const char *format, ...)
{
    va_list arguments;
    if (!run->verbose)
        return;
    printf("# %8" PRIu64 " ", run->bench.now_ms);
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    printf("\n");
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
}

static void begin(struct run *run, uint64_t seed)
{
    bench_init(&run->bench, seed, NODES);
    run->bench.context = run;
    run->bench.make = node_make;
    run->bench.end = node_end;
    run->bench.turn = node_turn;
    draw(run);
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

bool brokers_run(uint64_t seed, uint64_t busy_ms, bool verbose, struct report *report)
{
    static struct run run;
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
    report->runs++;
    report->idle_runs += report->confirms - confirms < IDLE_CONFIRMS;
    report->simulated_ms += run.bench.now_ms;
    end(&run);
    return is_good;
}

/* ---- a campaign ---- */

static bool read_number(const char *name, const char *option, const char *value, uint64_t *number)
{
    char *end;
    if (strcmp(name, option) != 0 || !value)
        return false;
    *number = strtoull(value, &end, 10);
    return *value && !*end;
}

static void print(const struct report *report)
{
    printf("# met:");
#define MET(NAME, what) printf(" %s=%" PRIu64, #NAME, report->NAME);
#include "tests/sim/cluster/met.def"
#undef MET
    printf(" idle_runs=%" PRIu64 "\n", report->idle_runs);
}

static bool is_valid(const struct report *report, uint64_t seeds)
{
    bool valid = true;
    if (seeds < CAMPAIGN_SEEDS)
        return true;
#define MET(NAME, what)                                                                            \
    if (report->NAME == 0) {                                                                       \
        printf("not valid - %" PRIu64 " seeds never met: %s\n", seeds, what);                      \
        valid = false;                                                                             \
    }
#include "tests/sim/cluster/met.def"
#undef MET
    if (report->idle_runs * 20 > report->runs) {
        printf("not valid - in %" PRIu64 " of %" PRIu64 " runs next to nothing was confirmed\n", report->idle_runs,
               report->runs);
        valid = false;
    }
    return valid;
}

int main(int argc, char **argv)
{
    static struct report report;
    uint64_t seed = 1, seeds = 1, seconds = 20;
    bool verbose = false;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--verbose") == 0) {
            verbose = true;
        } else if (read_number(argv[i], "--seed", argv[i + 1], &seed) ||
                   read_number(argv[i], "--seeds", argv[i + 1], &seeds) ||
                   read_number(argv[i], "--seconds", argv[i + 1], &seconds)) {
            i++;
        } else {
            fprintf(stderr, "usage: simulate_brokers [--seed N] [--seeds N] [--seconds N] [--verbose]\n");
            return 2;
        }
    }
    for (uint64_t i = 0; i < seeds; i++, seed++) {
        if (brokers_run(seed, seconds * 1000, verbose, &report))
            continue;
        print(&report);
        printf("# %.1f seconds of a processor\n", (double)clock() / CLOCKS_PER_SEC);
        printf("not ok - seed %" PRIu64 ": %s\n", seed, report.fault);
        return 1;
    }
    print(&report);
    if (!is_valid(&report, seeds))
        return 1;
    double hours = (double)report.simulated_ms / 3600000, spent = (double)clock() / CLOCKS_PER_SEC;
    printf("ok - %" PRIu64 " seeds, %.2f simulated hours, %.0f for each hour of a processor\n", seeds, hours,
           hours / (spent / 3600));
    return 0;
}
