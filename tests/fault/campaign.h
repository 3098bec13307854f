/* Random work, failures and crashes of a store in memory, held against a model: see campaign.c. */
#ifndef LEVERET_TESTS_FAULT_CAMPAIGN_H
#define LEVERET_TESTS_FAULT_CAMPAIGN_H

#include <stdbool.h>
#include <stdint.h>

struct campaign_options {
    uint64_t seed;
    uint64_t crashes; /* how many times it is brought down */
    uint64_t steps;   /* at most, between two of them */
    uint32_t segment_bytes;
    uint64_t checkpoint_bytes;
    bool disk_faults;           /* calls fail as well */
    bool lie_files, lie_folder; /* syncs that do nothing: must be found out */
};

/* What a campaign met; one that did not meet something has not tested it. */
struct campaign_report {
    uint64_t published, confirms, settles, rolls, recycled, retired, spills, loads, paged, reads;
    uint64_t checkpoints, compactions, moved, elided, marks, waits, purges, dropped;
    uint64_t crashes, clean_stops, recovered, store_failures;
    uint32_t seen_queues, seen_names;
    char refusal[600]; /* why the store last refused to start */
    char fault[600];   /* the promise that was broken; empty: none */
};

/* False: a promise was broken, see report->fault. The report is added to. */
bool campaign_run(const struct campaign_options *options, struct campaign_report *report);

#endif
