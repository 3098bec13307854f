/* Room on the disk. Below the reserve that the options set, publishers are blocked; consumers go on,
 * as what they settle is what gives space back. For the case that the disk fills up all the same,
 * by whatever else writes to it, a file is kept that can be given up at once. */
#include <errno.h>

#include "base/mem.h"
#include "store/internal.h"

enum { CHECK_MS = 500, RESERVE_MAX = 16 << 20, RESERVE_RETRY_MS = 10000 };

/* Spare files go with the next write. */
static void release_spares(struct store *store)
{
    struct write_job *job = &store->write;
    while (store->spares_count && job->release_count < SPARES_MAX)
        job->release[job->release_count++] = store->spares[--store->spares_count];
}

void space_note(struct store *store, uint64_t free_bytes)
{
    bool is_waiting = store->retry_ms && !planted(PLANTED_SHORT_FORGOTTEN);
    bool is_short = free_bytes < store->o.disk_reserve_bytes || is_waiting;
    store->free_checked_ms = store->now_ms;
    if (is_short == store->is_short)
        return;
    store->is_short = is_short;
    if (is_short)
        release_spares(store);
    log_event(store->o.log, is_short ? EVENT_disk_short : EVENT_disk_enough,
              "free=%llu reserve=%llu", (unsigned long long)free_bytes,
              (unsigned long long)store->o.disk_reserve_bytes);
}

bool space_release(struct store *store)
{
    struct write_job *job = &store->write;
    bool any = store->spares_count || store->has_reserve;
    if (!store->is_short)
        log_event(store->o.log, EVENT_disk_full, "spares=%zu reserve=%s",
                  (size_t)store->spares_count, store->has_reserve ? "yes" : "no");
    store->is_short = true;
    release_spares(store);
    job->release_reserve = store->has_reserve;
    store->has_reserve = false;
    store->reserve_ms = store->now_ms + RESERVE_RETRY_MS;
    return any;
}

/* ---- the reserve ---- */

static void run_reserve(struct job *link)
{
    struct reserve_job *job = (struct reserve_job *)link;
    const struct disk_ops *ops = job->disk->ops;
    struct disk_file *file;
    job->error = ops->allocate ? ops->open(job->disk, "reserve", DISK_CREATE, &file) : ENOTSUP;
    if (job->error)
        return;
    job->error = ops->allocate(file, job->size);
    ops->close(file);
    if (job->error)
        ops->unlink(job->disk, "reserve");
}

void reserve_done(struct store *store, struct reserve_job *job)
{
    store->reserving = NULL;
    store->has_reserve = job->error == 0;
    store->reserve_ms = store->now_ms + RESERVE_RETRY_MS;
    mem_free(job);
}

static void make_reserve(struct store *store)
{
    uint64_t size = store->o.disk_reserve_bytes / 2;
    if (size == 0 || store->has_reserve || store->reserving || store->is_short ||
        !store->active || store->now_ms < store->reserve_ms)
        return;
    struct reserve_job *job = mem_zalloc(sizeof(*job));
    job->job.run = run_reserve;
    job->job.kind = JOB_RESERVE;
    job->disk = store->o.disk;
    job->size = size < RESERVE_MAX ? size : RESERVE_MAX;
    store->reserving = job;
    store->o.indexer->ops->submit(store->o.indexer, &job->job);
}

void space_tick(struct store *store)
{
    uint64_t bytes;
    make_reserve(store);
    if (store->now_ms - store->free_checked_ms < CHECK_MS || store->is_writing)
        return;
    if (store->o.disk->ops->free_space(store->o.disk, &bytes) == 0)
        space_note(store, bytes);
}
