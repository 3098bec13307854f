/* A simulation: brokers, their disks and their clients in one process, on one clock that jumps from
 * event to event. Everything that happens follows from the seed, on every machine: the same seed
 * gives the same events, so that whatever is found is found again. */
#ifndef LEVERET_TESTS_SIM_SIMULATION_H
#define LEVERET_TESTS_SIM_SIMULATION_H

#include <stdbool.h>
#include <stdint.h>

/* What a campaign has to meet: met.def. */
enum met {
#define MET(name, what, kind) MET_##name,
#include "tests/sim/met.def"
#undef MET
    METS
};

struct simulation_options {
    uint64_t seed;
    uint64_t busy_ms; /* simulated time with load and faults, before all is healed and drained */
    bool has_faults;
    bool agrees; /* durable queues are of a group, of one member */
    bool verbose; /* the brokers' logs and the faults go to standard output, */
    bool shows_dials; /* and what the seed has decided */
};

/* What happened; added up over the runs that are given the same report. */
struct simulation_report {
    uint64_t events, turns, simulated_ms, busy_ms;
    uint64_t agreed; /* entries */
    uint64_t published, confirmed, refused, returned, delivered, redelivered;
    uint64_t acked, rejected, requeued, dead_lettered;
    uint64_t commits, rollbacks, purges, deletes, gets;
    uint64_t kills, power_cuts, clean_stops, disk_errors, full_disks, vanished, slow_clients;
    uint64_t blocked, clock_jumps;
    uint64_t met[METS];
    uint64_t runs, idle_runs; /* without a confirm, a delivery, or a checkpoint: these tested next to nothing */
    uint64_t trace;  /* a sum over all events and all bytes sent of the last run: equal seeds, equal sums */
    char fault[500]; /* the promise that was broken; "": none */
};

/* Prints what the seed decides. */
void simulation_dials(const struct simulation_options *options);
/* False: this build has no groups, and options.agrees may not be set. */
bool agree_may(void);
/* One run. False: a promise was broken, and report->fault says which. */
bool simulation_run(const struct simulation_options *options, struct simulation_report *report);

#endif
