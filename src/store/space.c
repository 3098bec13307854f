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
#include "store/journal.h"

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
void space_found(struct journal *journal, const char *name)
{
    const struct disk_ops *ops = journal->options->disk->ops;
    enum reserve which = reserve_of(name);
    struct disk_file *file;
    uint64_t size;
    if (which == RESERVES || ops->open(journal->options->disk, name, DISK_READ, &file) != 0)
        return;
    journal->space.reserved[which] = ops->size(file, &size) == 0 ? size : 0;
    ops->close(file);
}

/* ---- sizes that fit the disk ---- */

static uint64_t at_most(uint64_t value, uint64_t limit, uint64_t least)
{
    limit = limit > least ? limit : least;
    return value < limit ? value : limit;
}

void space_fit(struct journal *journal)
{
    struct store_options *o = journal->options;
    uint64_t free_bytes, total;
    if (o->disk->ops->free_space(o->disk, &free_bytes, &total) != 0)
        return;
    o->segment_bytes = (uint32_t)at_most(o->segment_bytes, total / 16, 1 << 20);
    o->batch_bytes = (uint32_t)at_most(o->batch_bytes, total / 64, 1 << 19);
    o->checkpoint_bytes = at_most(o->checkpoint_bytes, total / 8, 4 << 20);
    if (o->disk_reserve_bytes == STORE_DISK_RESERVE)
        o->disk_reserve_bytes = at_most(o->disk_reserve_bytes, total / 8, 0);
    journal->space.free_bytes = free_bytes;
    space_measured(journal);
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

static void release_done(struct job *link)
{
    struct release_job *job = (struct release_job *)link;
    struct journal *journal = job->journal;
    journal->space.releasing--;
    if (!journal->is_writing)
        space_note(journal, job->free_bytes);
    mem_free(job);
}

static void release_abandon(struct job *link)
{
    mem_free((struct release_job *)link);
}

static struct release_job *release_new(struct journal *journal)
{
    struct release_job *job = mem_zalloc(sizeof(*job));
    job->job.run = run_release;
    job->job.done = release_done;
    job->job.abandon = release_abandon;
    job->journal = journal;
    job->disk = journal->options->disk;
    return job;
}

static void add_spares(struct journal *journal, struct release_job *job)
{
    while (journal->spares_count && job->count < SPARES_MAX)
        job->spares[job->count++] = journal->spares[--journal->spares_count];
}

static void add_reserve(struct journal *journal, struct release_job *job, enum reserve which)
{
    job->reserves[which] = journal->space.reserved[which] > 0;
    journal->space.reserved[which] = 0;
    journal->space.reserve_ms[which] = journal->now_ms + RESERVE_RETRY_MS;
}

static bool is_empty(const struct release_job *job)
{
    bool any = job->count;
    for (int i = 0; i < RESERVES; i++)
        any |= job->reserves[i];
    return !any;
}

/* Spare files and one reserve; when there is none of that any more, the other. */
static void add_for(struct journal *journal, struct release_job *job, enum reserve first,
                    enum reserve second)
{
    add_spares(journal, job);
    add_reserve(journal, job, first);
    if (is_empty(job))
        add_reserve(journal, job, second);
}

/* By the syncer, so that a write that is handed to it next finds the room. False: there is nothing.
 */
static bool release(struct journal *journal, struct release_job *job)
{
    if (is_empty(job)) {
        mem_free(job);
        return false;
    }
    journal->space.releasing++;
    journal->options->syncer->ops->submit(journal->options->syncer, &job->job);
    return true;
}

static void release_spares(struct journal *journal)
{
    struct release_job *job = release_new(journal);
    add_spares(journal, job);
    release(journal, job);
}

static void release_surplus(struct journal *journal)
{
    struct release_job *job = release_new(journal);
    while (journal->surplus_count)
        job->spares[job->count++] = journal->surplus[--journal->surplus_count];
    release(journal, job);
}

bool space_release(struct journal *journal)
{
    struct release_job *job = release_new(journal);
    add_for(journal, job, RESERVE_JOURNAL, RESERVE_INDEX);
    return release(journal, job);
}

void space_needed(struct journal *journal)
{
    uint64_t bytes, total;
    if (journal->options->disk->ops->free_space(journal->options->disk, &bytes, &total) != 0 ||
        bytes >= INDEX_NEEDS)
        return;
    struct release_job *job = release_new(journal);
    add_for(journal, job, RESERVE_INDEX, RESERVE_JOURNAL);
    release(journal, job);
}

/* ---- a start on a full disk ---- */

static void find_spare(void *context, const char *name)
{
    struct release_job *job = context;
    uint32_t number = spare_number(name);
    if (number && job->count < SPARES_MAX)
        job->spares[job->count++] = number;
}

bool space_rescue(struct journal *journal)
{
    uint64_t bytes, total;
    struct disk *disk = journal->options->disk;
    if (journal->space.rescues > RESERVES || disk->ops->free_space(disk, &bytes, &total) != 0 ||
        bytes >= INDEX_NEEDS || planted(PLANTED_NO_RESCUE))
        return false;
    struct release_job *job = release_new(journal);
    /* What the files were listed for before is no more. */
    if (journal->space.rescues == 0) {
        disk->ops->list(disk, find_spare, job);
        journal->spares_count = 0;
    } else {
        int which = RESERVES - journal->space.rescues;
        job->reserves[which] = true;
        journal->space.reserved[which] = 0;
    }
    run_release(&job->job);
    mem_free(job);
    journal->space.rescues++;
    return true;
}

/* ---- how much there is ---- */

uint32_t space_spares(const struct journal *journal)
{
    uint64_t keep = 2 * journal->options->disk_reserve_bytes;
    uint32_t have = journal->spares_count, most = journal->options->recycle_segments;
    if (journal->space.is_short || journal->space.free_bytes <= keep || have >= most)
        return 0;
    uint64_t fit = (journal->space.free_bytes - keep) / 8 / journal->options->segment_bytes;
    return fit < most - have ? (uint32_t)fit : most - have;
}

void space_measured(struct journal *journal)
{
    uint64_t kept = journal->options->disk_reserve_bytes / 4;
    bool is_on_its_way = journal->is_writing && journal->write.number;
    uint64_t taken = kept + (is_on_its_way ? journal->write.size : 0);
    journal->space.room = journal->space.free_bytes > taken ? journal->space.free_bytes - taken : 0;
    if (journal->space.room > journal->options->batch_max_bytes)
        journal->space.room = journal->options->batch_max_bytes;
}

void space_note(struct journal *journal, uint64_t free_bytes)
{
    uint64_t limit =
        journal->options->disk_reserve_bytes ? journal->options->disk_reserve_bytes : SHORT_MIN;
    journal->space.checked_ms = journal->now_ms;
    journal->space.free_bytes = free_bytes;
    space_measured(journal);
    if (journal->spares_count && free_bytes < limit && !planted(PLANTED_SPARES_STAY))
        release_spares(journal);
    if (journal->space.releasing)
        return; /* to be measured once more */
    /* An alarm that has begun ends somewhat above the mark where it began. */
    if (journal->space.is_short)
        limit += limit / 20;
    bool is_short = free_bytes < limit;
    if (is_short == journal->space.is_short)
        return;
    journal->space.is_short = is_short;
    log_event(journal->options->log, is_short ? EVENT_disk_short : EVENT_disk_enough,
              "free=%llu reserve=%llu", (unsigned long long)free_bytes,
              (unsigned long long)journal->options->disk_reserve_bytes);
}

bool space_is_wanted(const struct journal *journal)
{
    bool was_missed =
        journal->space.missed_ms && journal->now_ms - journal->space.missed_ms < MISSED_MS;
    return journal->space.is_short || was_missed;
}

bool space_is_tight(const struct journal *journal)
{
    bool is_tight = space_is_wanted(journal) ||
                    journal->space.free_bytes / 2 < journal->options->disk_reserve_bytes;
    return is_tight && !planted(PLANTED_NEVER_TIGHT);
}

/* A write that is under way has taken a part of what it will, so that this may find too little. */
static void measure(struct journal *journal)
{
    uint64_t bytes, total;
    if (journal->space.checked_ms == journal->now_ms ||
        journal->options->disk->ops->free_space(journal->options->disk, &bytes, &total) != 0)
        return;
    if (journal->is_writing) {
        journal->space.free_bytes = bytes;
        space_measured(journal);
    } else {
        space_note(journal, bytes);
    }
}

enum store_room space_room(struct journal *journal, uint64_t bytes)
{
    measure(journal);
    if (journal->filling->size + journal->promised + bytes <= journal->space.room)
        return STORE_ROOM_NOW;
    journal->space.missed_ms = journal->now_ms;
    bool may_grow = journal->space.is_short || journal->space.releasing || journal->is_writing ||
                    journal->promised;
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

static void reserve_done(struct job *link)
{
    struct reserve_job *job = (struct reserve_job *)link;
    struct journal *journal = job->journal;
    journal->space.reserving = NULL;
    if (!job->error)
        journal->space.reserved[job->which] = job->size;
    else
        journal->space.reserve_ms[job->which] = journal->now_ms + RESERVE_RETRY_MS;
    mem_free(job);
}

static void reserve_abandon(struct job *link)
{
    mem_free((struct reserve_job *)link);
}

/* How large it should be; 0: it must not be made now. That for a start is made of what there is;
 * opening the index writes once more what is in its logs, which may be two images. */
static uint64_t reserve_size(const struct journal *journal, enum reserve which)
{
    uint64_t size = journal->options->disk_reserve_bytes / 8 * reserves[which].eighths;
    size = size < reserves[which].size_max ? size : reserves[which].size_max;
    bool is_enough = journal->space.free_bytes >= journal->options->disk_reserve_bytes + size;
    if (which != RESERVE_START)
        return !journal->space.is_short && is_enough ? size : 0;
    uint64_t half = (journal->space.free_bytes + journal->space.reserved[which]) / 2;
    size = size ? size + 2 * journal->space.index_batch / START_MIN * START_MIN : 0;
    size = size < half ? size : half;
    return size < START_MIN && size == half ? 0 : size;
}

void space_for_image(struct journal *journal, uint64_t bytes)
{
    journal->space.index_batch =
        bytes > journal->space.last_image ? bytes : journal->space.last_image;
    journal->space.last_image = bytes;
}

static void make_reserve(struct journal *journal, enum reserve which)
{
    uint64_t size = reserve_size(journal, which);
    bool is_there = journal->space.reserved[which] &&
                    (which != RESERVE_START || journal->space.reserved[which] >= size);
    if (size == 0 || is_there || journal->space.reserving || !journal->active ||
        journal->now_ms < journal->space.reserve_ms[which])
        return;
    struct reserve_job *job = mem_zalloc(sizeof(*job));
    job->job.run = run_reserve;
    job->job.done = reserve_done;
    job->job.abandon = reserve_abandon;
    job->journal = journal;
    job->disk = journal->options->disk;
    job->which = which;
    job->size = size;
    job->grows = journal->space.reserved[which] > 0;
    journal->space.reserving = job;
    journal->options->indexer->ops->submit(journal->options->indexer, &job->job);
}

void space_tick(struct journal *journal)
{
    uint64_t bytes, total;
    make_reserve(journal, RESERVE_START);
    make_reserve(journal, RESERVE_INDEX);
    make_reserve(journal, RESERVE_JOURNAL);
    if (journal->surplus_count)
        release_surplus(journal);
    outage_tick(&journal->space.refusals, journal->options->log, journal->now_ms);
    if (journal->now_ms - journal->space.checked_ms < CHECK_MS || journal->is_writing)
        return;
    if (journal->options->disk->ops->free_space(journal->options->disk, &bytes, &total) == 0)
        space_note(journal, bytes);
}
