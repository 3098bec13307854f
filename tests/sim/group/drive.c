/* Drives in memory. */
#include "tests/sim/group/drive.h"

#include <errno.h>

#include "tests/lib/disk_memory.h"
#include "tests/lib/kv_memory.h"

static uint64_t below(struct drive *drive, uint64_t limit)
{
    return random_below(&drive->bench->random, limit);
}

static bool chance(struct drive *drive, uint64_t n)
{
    return below(drive, n) == 0;
}

/* ---- jobs ---- */

static uint64_t draw_job_ms(struct drive *drive)
{
    if (drive->bench->now_ms < drive->slow_until_ms)
        return 5 + below(drive, 200);
    return chance(drive, 50) ? below(drive, 40) : below(drive, drive->job_ms + 1);
}

static void begins(struct slow_worker *worker)
{
    struct drive_slot *slot = (struct drive_slot *)(void *)worker;
    slot->ready_ms = slot->drive->bench->now_ms + draw_job_ms(slot->drive);
}

struct worker *drive_worker(struct drive *drive, enum drive_worker which)
{
    return &drive->slots[which].worker.worker;
}

void drive_work(struct drive *drive)
{
    uint64_t now_ms = drive->bench->now_ms;
    for (int i = 0; i < DRIVE_WORKERS && !drive->is_stuck; i++) {
        struct drive_slot *slot = &drive->slots[i];
        while (!slow_worker_is_idle(&slot->worker) && slot->ready_ms <= now_ms) {
            slow_worker_step(&slot->worker);
            slot->ready_ms = now_ms + draw_job_ms(drive);
        }
    }
}

void drive_forget(struct drive *drive)
{
    for (int i = 0; i < DRIVE_WORKERS; i++)
        slow_worker_forget(&drive->slots[i].worker);
}

/* ---- beginning and end ---- */

void drive_init(struct drive *drive, struct bench *bench, uint32_t job_ms)
{
    *drive = (struct drive){.bench = bench, .job_ms = job_ms, .disk = disk_memory_new(), .kv = kv_memory_new()};
    disk_memory_spare_reads(drive->disk);
    for (int i = 0; i < DRIVE_WORKERS; i++) {
        slow_worker_init(&drive->slots[i].worker, begins);
        drive->slots[i].drive = drive;
    }
}

void drive_free(struct drive *drive)
{
    disk_memory_free(drive->disk);
    kv_memory_free(drive->kv);
}

void drive_replace(struct drive *drive, struct disk *disk, struct kv *kv)
{
    drive_free(drive);
    drive->disk = disk;
    drive->kv = kv;
}

void drive_draw_options(struct drive *drive, struct store_options *options)
{
    store_options_default(options);
    options->segment_bytes = 1u << (15 + below(drive, 7));
    options->checkpoint_bytes = (uint64_t)1 << (15 + below(drive, 8));
    options->checkpoint_ms = 300 + below(drive, 8000);
    options->group_cache_bytes = chance(drive, 2) ? 1000 + below(drive, 60000) : 4 << 20;
    options->cache_bytes = chance(drive, 2) ? 4096 : 4 << 20;
    options->batch_large_bytes = chance(drive, 3) ? 4096 : 4 << 20;
    options->chunk_entries = chance(drive, 2) ? 64 : 2048;
    options->group_shared_bytes = options->cache_bytes == 4096 ? 100 : 1000;
    options->group_slice_bytes = options->cache_bytes == 4096 ? 150 : 4 << 20;
    options->disk_reserve_bytes = 1 << 20;
    options->syncer = drive_worker(drive, DRIVE_SYNCER);
    options->indexer = drive_worker(drive, DRIVE_INDEXER);
    options->reader = drive_worker(drive, DRIVE_READER);
}

struct store *drive_open(struct drive *drive, struct store_options *options, char *error, size_t error_size)
{
    options->disk = drive->disk;
    options->kv = drive->kv;
    disk_memory_spare_opens(drive->disk, false);
    struct store *store = store_open(options, drive->bench->now_ms, error, error_size);
    disk_memory_spare_opens(drive->disk, true);
    return store;
}

/* ---- what goes wrong ---- */

void drive_break(struct drive *drive)
{
    disk_memory_fail(drive->disk, 1 + below(drive, 6), EIO, true);
    kv_memory_fail(drive->kv, 1 + below(drive, 3), true);
}

void drive_crash(struct drive *drive, struct store *store, bool is_power_cut)
{
    struct random *random = &drive->bench->random;
    enum crash crash = CRASH_KEEP;
    for (int i = 0; i < DRIVE_WORKERS; i++)
        slow_worker_drain(&drive->slots[i].worker);
    store_abandon(store);
    drive_forget(drive);
    disk_memory_fail(drive->disk, 0, 0, false);
    kv_memory_fail(drive->kv, 0, false);
    if (is_power_cut)
        crash = chance(drive, 2) ? CRASH_DROP : CRASH_RANDOM;
    disk_memory_crash(drive->disk, crash, random);
    kv_memory_crash(drive->kv, crash == CRASH_KEEP, crash == CRASH_RANDOM ? random : NULL);
}

void drive_stick(struct drive *drive, uint64_t ms_max)
{
    drive->is_stuck = true;
    drive->stuck_until_ms = drive->bench->now_ms + 1 + below(drive, ms_max);
}

void drive_clear(struct drive *drive, bool all)
{
    if (all || drive->bench->now_ms >= drive->stuck_until_ms)
        drive->is_stuck = false;
    if (all)
        drive->slow_until_ms = 0;
}
