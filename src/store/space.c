/* Room on the disk. Below the reserve that the options set, publishers are blocked; consumers go
 * on, as what they settle is what gives space back. What is kept for reuse goes before anybody has
 * to wait, and on a disk that is nearly full more is compacted than usual.
 *
 * A record of a message is taken only when there is room for it beside all that is on its way: a
 * batch with something in it that does not fit could never be written, and all else would wait
 * behind it. While the disk is short its publisher waits, as all do; one whose message is larger
 * than what is free is told so. Settles and declarations are always taken. For the case that the
 * disk fills up all the same, by whatever else writes to it, files are kept that can be given up:
 * one for the journal, one for the index (each goes to the other when that has none left), and one
 * for a start, as others may have taken what the broker before gave up. */
#include <errno.h>
#include <string.h>

#include "base/mem.h"
#include "store/internal.h"

enum { CHECK_MS = 500, RESERVE_RETRY_MS = 10000, SHORT_MIN = 64 << 10, MISSED_MS = 10000 };
enum { START_MIN = 256 << 10 };
enum { INDEX_NEEDS = 8 << 20 }; /* with less free, an index that cannot be written lacks room */

static const struct {
    const char *name;
    uint32_t size_max;
    uint32_t eighths; /* of the reserve that the options set */
} reserves[RESERVES] = {
    [RESERVE_JOURNAL] = {"reserve", 16 << 20, 4},
    [RESERVE_INDEX] = {"reserve-index", 4 << 20, 2},
    [RESERVE_START] = {"reserve-start", 4 << 20, 3},
};

static enum reserve reserve_of(const char *name)
{
    int i = 0;
    while (i < RESERVES && strcmp(reserves[i].name, name) != 0)
        i++;
    return (enum reserve)i;
}

/* A start that ended too early may have left one that holds nothing. */
void space_found(struct store *store, const char *name)
{
    const struct disk_ops *ops = store->options.disk->ops;
    enum reserve which = reserve_of(name);
    struct disk_file *file;
    uint64_t size;
    if (which == RESERVES || ops->open(store->options.disk, name, DISK_READ, &file) != 0)
        return;
    store->reserved[which] = ops->size(file, &size) == 0 ? size : 0;
    ops->close(file);
}

/* ---- sizes that fit the disk ---- */

static uint64_t at_most(uint64_t value, uint64_t limit, uint64_t least)
{
    limit = limit > least ? limit : least;
    return value < limit ? value : limit;
}

void space_fit(struct store *store)
{
    struct store_options *o = &store->options;
    uint64_t free_bytes, total;
    if (o->disk->ops->free_space(o->disk, &free_bytes, &total) != 0)
        return;
    o->segment_bytes = (uint32_t)at_most(o->segment_bytes, total / 16, 1 << 20);
    o->batch_bytes = (uint32_t)at_most(o->batch_bytes, total / 64, 1 << 19);
    o->checkpoint_bytes = at_most(o->checkpoint_bytes, total / 8, 4 << 20);
    if (o->disk_reserve_bytes == STORE_DISK_RESERVE)
        o->disk_reserve_bytes = at_most(o->disk_reserve_bytes, total / 8, 0);
    store->free_bytes = free_bytes;
    space_measured(store);
}

/* ---- giving up ---- */

static void run_release(struct job *link)
{
    struct release_job *job = (struct release_job *)link;
    struct disk *disk = job->disk;
    char name[32];
    for (uint32_t i = 0; i < job->count; i++) {
        spare_name(name, job->spares[i]);
        disk->ops->unlink(disk, name);
    }
    for (int i = 0; i < RESERVES; i++)
        if (job->reserves[i])
            disk->ops->unlink(disk, reserves[i].name);
    uint64_t total;
    if (disk->ops->free_space(disk, &job->free_bytes, &total) != 0)
        job->free_bytes = 0;
}

static struct release_job *release_new(struct store *store)
{
    struct release_job *job = mem_zalloc(sizeof(*job));
    job->job.run = run_release;
    job->job.kind = JOB_RELEASE;
    job->disk = store->options.disk;
    return job;
}

static void add_spares(struct store *store, struct release_job *job)
{
    while (store->spares_count && job->count < SPARES_MAX)
        job->spares[job->count++] = store->spares[--store->spares_count];
}

static void add_reserve(struct store *store, struct release_job *job, enum reserve which)
{
    job->reserves[which] = store->reserved[which] > 0;
    store->reserved[which] = 0;
    store->reserve_ms[which] = store->now_ms + RESERVE_RETRY_MS;
}

static bool is_empty(const struct release_job *job)
{
    bool any = job->count;
    for (int i = 0; i < RESERVES; i++)
        any |= job->reserves[i];
    return !any;
}

/* Spare files and one reserve; when there is none of that any more, the other. */
static void add_for(struct store *store, struct release_job *job, enum reserve first,
                    enum reserve second)
{
    add_spares(store, job);
    add_reserve(store, job, first);
    if (is_empty(job))
        add_reserve(store, job, second);
}

/* By the syncer, so that a write that is handed to it next finds the room. False: there is nothing.
 */
static bool release(struct store *store, struct release_job *job)
{
    if (is_empty(job)) {
        mem_free(job);
        return false;
    }
    store->releasing++;
    store->options.syncer->ops->submit(store->options.syncer, &job->job);
    return true;
}

static void release_spares(struct store *store)
{
    struct release_job *job = release_new(store);
    add_spares(store, job);
    release(store, job);
}

static void release_surplus(struct store *store)
{
    struct release_job *job = release_new(store);
    while (store->surplus_count)
        job->spares[job->count++] = store->surplus[--store->surplus_count];
    release(store, job);
}

void release_done(struct store *store, struct release_job *job)
{
    store->releasing--;
    if (!store->is_writing)
        space_note(store, job->free_bytes);
    mem_free(job);
}

bool space_release(struct store *store)
{
    struct release_job *job = release_new(store);
    add_for(store, job, RESERVE_JOURNAL, RESERVE_INDEX);
    return release(store, job);
}

void space_needed(struct store *store)
{
    uint64_t bytes, total;
    if (store->options.disk->ops->free_space(store->options.disk, &bytes, &total) != 0 ||
        bytes >= INDEX_NEEDS)
        return;
    struct release_job *job = release_new(store);
    add_for(store, job, RESERVE_INDEX, RESERVE_JOURNAL);
    release(store, job);
}

/* ---- a start on a full disk ---- */

static void find_spare(void *context, const char *name)
{
    struct release_job *job = context;
    uint32_t number = spare_number(name);
    if (number && job->count < SPARES_MAX)
        job->spares[job->count++] = number;
}

bool space_rescue(struct store *store)
{
    uint64_t bytes, total;
    struct disk *disk = store->options.disk;
    if (store->rescues > RESERVES || disk->ops->free_space(disk, &bytes, &total) != 0 ||
        bytes >= INDEX_NEEDS || planted(PLANTED_NO_RESCUE))
        return false;
    struct release_job *job = release_new(store);
    /* What the files were listed for before is no more. */
    if (store->rescues == 0) {
        disk->ops->list(disk, find_spare, job);
        store->spares_count = 0;
    } else {
        int which = RESERVES - store->rescues;
        job->reserves[which] = true;
        store->reserved[which] = 0;
    }
    run_release(&job->job);
    mem_free(job);
    store->rescues++;
    return true;
}

/* ---- how much there is ---- */

uint32_t space_spares(const struct store *store)
{
    uint64_t keep = 2 * store->options.disk_reserve_bytes;
    uint32_t have = store->spares_count, most = store->options.recycle_segments;
    if (store->is_short || store->free_bytes <= keep || have >= most)
        return 0;
    uint64_t fit = (store->free_bytes - keep) / 8 / store->options.segment_bytes;
    return fit < most - have ? (uint32_t)fit : most - have;
}

void space_measured(struct store *store)
{
    uint64_t kept = store->options.disk_reserve_bytes / 4;
    bool is_on_its_way = store->is_writing && store->write.number;
    uint64_t taken = kept + (is_on_its_way ? store->write.size : 0);
    store->room = store->free_bytes > taken ? store->free_bytes - taken : 0;
    if (store->room > store->options.batch_max_bytes)
        store->room = store->options.batch_max_bytes;
}

void space_note(struct store *store, uint64_t free_bytes)
{
    uint64_t limit =
        store->options.disk_reserve_bytes ? store->options.disk_reserve_bytes : SHORT_MIN;
    store->free_checked_ms = store->now_ms;
    store->free_bytes = free_bytes;
    space_measured(store);
    if (store->spares_count && free_bytes < limit && !planted(PLANTED_SPARES_STAY))
        release_spares(store);
    if (store->releasing)
        return; /* to be measured once more */
    /* An alarm that has begun ends somewhat above the mark where it began. */
    if (store->is_short)
        limit += limit / 20;
    bool is_short = free_bytes < limit;
    if (is_short == store->is_short)
        return;
    store->is_short = is_short;
    log_event(store->options.log, is_short ? EVENT_disk_short : EVENT_disk_enough,
              "free=%llu reserve=%llu", (unsigned long long)free_bytes,
              (unsigned long long)store->options.disk_reserve_bytes);
}

bool space_is_wanted(const struct store *store)
{
    bool was_missed = store->missed_ms && store->now_ms - store->missed_ms < MISSED_MS;
    return store->is_short || was_missed;
}

bool space_is_tight(const struct store *store)
{
    bool is_tight =
        space_is_wanted(store) || store->free_bytes / 2 < store->options.disk_reserve_bytes;
    return is_tight && !planted(PLANTED_NEVER_TIGHT);
}

/* A write that is under way has taken a part of what it will, so that this may find too little. */
static void measure(struct store *store)
{
    uint64_t bytes, total;
    if (store->free_checked_ms == store->now_ms ||
        store->options.disk->ops->free_space(store->options.disk, &bytes, &total) != 0)
        return;
    if (store->is_writing) {
        store->free_bytes = bytes;
        space_measured(store);
    } else {
        space_note(store, bytes);
    }
}

enum store_room space_room(struct store *store, uint64_t bytes)
{
    measure(store);
    if (store->filling->size + store->promised + bytes <= store->room)
        return STORE_ROOM_NOW;
    store->missed_ms = store->now_ms;
    bool may_grow = store->is_short || store->releasing || store->is_writing || store->promised;
    return may_grow ? STORE_ROOM_LATER : STORE_ROOM_FULL;
}

/* ---- the reserves ---- */

static void run_reserve(struct job *link)
{
    struct reserve_job *job = (struct reserve_job *)link;
    const struct disk_ops *ops = job->disk->ops;
    const char *name = reserves[job->which].name;
    struct disk_file *file;
    job->error = ops->allocate ? ops->open(job->disk, name, DISK_CREATE, &file) : ENOTSUP;
    if (job->error == EEXIST)
        job->error = ops->open(job->disk, name, DISK_WRITE, &file);
    if (job->error)
        return;
    job->error = ops->allocate(file, job->size);
    ops->close(file);
    if (job->error && !job->grows)
        ops->unlink(job->disk, name);
}

void reserve_done(struct store *store, struct reserve_job *job)
{
    store->reserving = NULL;
    if (!job->error)
        store->reserved[job->which] = job->size;
    else
        store->reserve_ms[job->which] = store->now_ms + RESERVE_RETRY_MS;
    mem_free(job);
}

/* How large it should be; 0: it must not be made now. That for a start is made of what there is;
 * opening the index writes once more what is in its logs, which may be two images. */
static uint64_t reserve_size(const struct store *store, enum reserve which)
{
    uint64_t size = store->options.disk_reserve_bytes / 8 * reserves[which].eighths;
    size = size < reserves[which].size_max ? size : reserves[which].size_max;
    bool is_enough = store->free_bytes >= store->options.disk_reserve_bytes + size;
    if (which != RESERVE_START)
        return !store->is_short && is_enough ? size : 0;
    uint64_t half = (store->free_bytes + store->reserved[which]) / 2;
    size = size ? size + 2 * store->index_batch / START_MIN * START_MIN : 0;
    size = size < half ? size : half;
    return size < START_MIN && size == half ? 0 : size;
}

void space_for_image(struct store *store, uint64_t bytes)
{
    store->index_batch = bytes > store->last_image ? bytes : store->last_image;
    store->last_image = bytes;
}

static void make_reserve(struct store *store, enum reserve which)
{
    uint64_t size = reserve_size(store, which);
    bool is_there =
        store->reserved[which] && (which != RESERVE_START || store->reserved[which] >= size);
    if (size == 0 || is_there || store->reserving || !store->active ||
        store->now_ms < store->reserve_ms[which])
        return;
    struct reserve_job *job = mem_zalloc(sizeof(*job));
    job->job.run = run_reserve;
    job->job.kind = JOB_RESERVE;
    job->disk = store->options.disk;
    job->which = which;
    job->size = size;
    job->grows = store->reserved[which] > 0;
    store->reserving = job;
    store->options.indexer->ops->submit(store->options.indexer, &job->job);
}

void space_tick(struct store *store)
{
    uint64_t bytes, total;
    make_reserve(store, RESERVE_START);
    make_reserve(store, RESERVE_INDEX);
    make_reserve(store, RESERVE_JOURNAL);
    if (store->surplus_count)
        release_surplus(store);
    outage_tick(&store->refusals, store->options.log, store->now_ms);
    if (store->now_ms - store->free_checked_ms < CHECK_MS || store->is_writing)
        return;
    if (store->options.disk->ops->free_space(store->options.disk, &bytes, &total) == 0)
        space_note(store, bytes);
}
