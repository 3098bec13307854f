/* A node's drive: its disk and its store of keys in memory, and the workers in front of them, which take their time,
 * or stand still. */
#ifndef LEVERET_TESTS_SIM_GROUP_DRIVE_H
#define LEVERET_TESTS_SIM_GROUP_DRIVE_H

#include "store/store.h"
#include "tests/lib/slow_worker.h"
#include "tests/sim/link/bench.h"

enum drive_worker { DRIVE_SYNCER, DRIVE_INDEXER, DRIVE_READER, DRIVE_COPIER, DRIVE_WORKERS };

struct drive {
    struct bench *bench; /* whose clock and chance it goes by */
    uint32_t job_ms;     /* a job takes so long at most, but for one now and then */
    struct disk *disk;   /* this and the next are the drive's */
    struct kv *kv;
    struct drive_slot {
        struct slow_worker worker;
        struct drive *drive;
        uint64_t ready_ms; /* when the first of its jobs is done */
    } slots[DRIVE_WORKERS];
    uint64_t slow_until_ms; /* for who makes it slow to set */
    uint64_t stuck_until_ms;
    bool is_stuck;
};

/* An empty one; the drive stays where it is. */
void drive_init(struct drive *drive, struct bench *bench, uint32_t job_ms);
void drive_free(struct drive *drive);
/* It has another disk from now on. Nothing is open. */
void drive_replace(struct drive *drive, struct disk *disk, struct kv *kv);
/* What does the waiting for who has jobs. */
struct worker *drive_worker(struct drive *drive, enum drive_worker which);
/* Options of a store on it, with sizes that are small enough for everything to happen often. */
void drive_draw_options(struct drive *drive, struct store_options *options);
/* As store_open. */
struct store *drive_open(struct drive *drive, struct store_options *options, char *error, size_t error_size);
/* The jobs that are done by now. */
void drive_work(struct drive *drive);
/* Who had jobs has gone. */
void drive_forget(struct drive *drive);

/* What the workers are doing is done in part, or not at all. */
void drive_break(struct drive *drive);
/* The process of its store has ended, or the power has gone: what was not synced may be lost with that. The store is
 * gone, too. */
void drive_crash(struct drive *drive, struct store *store, bool is_power_cut);
/* It stands still, for so long at most. */
void drive_stick(struct drive *drive, uint64_t ms_max);
/* Ends what has lasted until now; or all of it. */
void drive_clear(struct drive *drive, bool all);

#endif
