/* A copy of a store that goes on being used: what a crash would have left at one moment, with
 * nothing torn.
 *
 * At a moment without a write or a checkpoint under way it is noted which segments there are, and
 * where the last one ends. From then on until the copy is made no checkpoint begins: so what the
 * key-value store has is the last one, whatever comes to it besides, and no segment goes. A segment
 * that is full is never written again: the copy may be another name of the same file, and such a
 * file is not used again when its own name goes (disk_ops.is_shared). The last one is copied as far
 * as it goes.
 *
 * The identity is made for the copy, as the store's own may have gone on to the next segment. It says
 * where the copy's journal ends: its last segment, and its last batch as one that was synced, which
 * all of the copy is before the identity is written. So a copy that has lost its end is not taken for
 * a store that was stopped earlier. It is the store's own, as segments that both share carry it:
 * store_copy_adopt changes that. */
#include <errno.h>
#include <stdio.h>

#include "base/mem.h"
#include "store/internal.h"

enum { COPY_BYTES = 1 << 20 };

/* What was noted, for the worker. */
struct backup_job {
    struct job job;
    struct store_backup *backup;
    struct disk *from;
    struct kv *kv;
    struct identity identity;
    uint64_t checkpoint; /* number of the last one; 0: there is none */
    uint32_t last;       /* the segment that goes on; 0: none does */
    uint64_t last_size;
    uint32_t *segments; /* all others */
    size_t segment_count;
    bool has_failed;
};

/* ---- on the worker ---- */

static bool fail(struct backup_job *job, const char *what, const char *why)
{
    job->has_failed = true;
    snprintf(job->backup->failure, sizeof(job->backup->failure), "%s: %s", what, why);
    return false;
}

static bool is_wanted(struct backup_job *job)
{
    struct store_backup *backup = job->backup;
    const char *why = backup->unwanted;
    if (!why)
        return true;
    job->has_failed = true;
    snprintf(backup->failure, sizeof(backup->failure), "%s", why);
    return false;
}

/* The store goes on writing meanwhile, which a copy on the same disk must not hinder. */
static bool has_room(struct backup_job *job, uint64_t bytes)
{
    struct store_backup *backup = job->backup;
    uint64_t is_free, total;
    return backup->spared_bytes == 0 ||
           backup->disk->ops->free_space(backup->disk, &is_free, &total) != 0 ||
           is_free >= backup->spared_bytes + bytes;
}

/* 0 or an errno value; `size` bytes, or all of them. */
static int copy_bytes(struct backup_job *job, struct disk_file *from, struct disk_file *to,
                      uint64_t size)
{
    uint8_t *room = mem_alloc(COPY_BYTES);
    uint64_t got = COPY_BYTES, at = 0;
    int error = 0;
    while (!error && at < size && got == COPY_BYTES) {
        if (job->backup->unwanted) {
            error = ECANCELED;
            break;
        }
        uint64_t want = size - at < COPY_BYTES ? size - at : COPY_BYTES;
        error = job->from->ops->read(from, room, want, at, &got);
        struct iovec part = {room, got};
        if (!error && got)
            error = has_room(job, got) ? job->backup->disk->ops->write(to, &part, 1, at) : ENOSPC;
        at += got;
    }
    mem_free(room);
    job->backup->copied_bytes += at;
    return error;
}

static int copy_file(struct backup_job *job, const char *name, uint64_t size)
{
    struct disk *to = job->backup->disk;
    struct disk_file *source, *copy;
    int error = job->from->ops->open(job->from, name, DISK_READ, &source);
    if (error)
        return error;
    error = to->ops->open(to, name, DISK_CREATE, &copy);
    if (!error) {
        error = copy_bytes(job, source, copy, size);
        if (!error)
            error = to->ops->sync(copy);
        to->ops->close(copy);
    }
    job->from->ops->close(source);
    return error;
}

/* Another name of the same file, or a copy of it. */
static bool take_segment(struct backup_job *job, uint32_t number, uint64_t size)
{
    struct disk *from = job->from;
    char name[32];
    segment_name(name, number);
    bool may_link = size == UINT64_MAX && from->ops->link;
    if (may_link && from->ops->link(from, name, job->backup->disk) == 0) {
        job->backup->linked++;
        job->backup->segments++;
        return true;
    }
    int error = copy_file(job, name, size);
    job->backup->segments += !error;
    return error == ECANCELED ? is_wanted(job) : !error || fail(job, name, strerror(error));
}

static bool take_segments(struct backup_job *job)
{
    for (size_t i = 0; i < job->segment_count; i++)
        if (!is_wanted(job) || !take_segment(job, job->segments[i], UINT64_MAX))
            return false;
    return !job->last || take_segment(job, job->last, job->last_size);
}

struct index_copy {
    struct backup_job *job;
    struct buffer batch;
};

static bool write_index(struct index_copy *copy, bool sync)
{
    struct kv *to = copy->job->backup->kv;
    if (!has_room(copy->job, copy->batch.size))
        return fail(copy->job, "the copy of the index cannot be written", strerror(ENOSPC));
    copy->job->backup->index_bytes += copy->batch.size;
    if (to->ops->write(to, buffer_bytes(&copy->batch), sync) < 0)
        return fail(copy->job, "the copy of the index cannot be written", to->error);
    copy->batch.size = 0;
    return true;
}

static bool take_entry(void *context, struct bytes key, struct bytes value)
{
    struct index_copy *copy = context;
    kv_batch_put(&copy->batch, key, value);
    return copy->batch.size < COPY_BYTES || (is_wanted(copy->job) && write_index(copy, false));
}

static bool take_index(struct backup_job *job)
{
    struct index_copy copy = {.job = job};
    struct bytes all = bytes_of(NULL, 0);
    struct kv *to = job->backup->kv;
    if (to->ops->open(to) < 0)
        return fail(job, "the copy of the index cannot be made", to->error);
    if (job->kv->ops->scan(job->kv, all, all, take_entry, &copy) < 0)
        fail(job, "the index cannot be read", job->kv->error);
    if (!job->has_failed)
        write_index(&copy, true);
    to->ops->close(to);
    buffer_free(&copy.batch);
    return !job->has_failed;
}

/* Which checkpoint and which segment were the last. */
static bool take_names(struct backup_job *job)
{
    struct disk *to = job->backup->disk;
    int error = job->checkpoint ? anchor_write(to, job->checkpoint) : 0;
    if (!error)
        error = to->ops->sync_folder(to);
    if (!error)
        error = identity_write(to, &job->identity);
    return !error || fail(job, "the copy", strerror(error));
}

static bool begin_copy(struct backup_job *job)
{
    int error = planted(PLANTED_COPY_UNMARKED) ? 0 : store_copy_begin(job->backup->disk, STORE_OF_BACKUP);
    return !error || fail(job, "the copy", strerror(error));
}

static bool end_copy(struct backup_job *job)
{
    struct store_backup *backup = job->backup;
    int error = backup->sync_name ? backup->sync_name(backup->context) : 0;
    if (!error && !planted(PLANTED_COPY_UNMARKED))
        error = store_copy_end(backup->disk);
    return !error || fail(job, "the copy", strerror(error));
}

static void run_backup(struct job *link)
{
    struct backup_job *job = (struct backup_job *)(void *)link;
    struct store_backup *backup = job->backup;
    bool is_done = begin_copy(job) && take_index(job) && take_segments(job) && take_names(job) &&
                   is_wanted(job) && end_copy(job);
    if (!is_done && backup->drop)
        backup->drop(backup->context);
}

/* ---- on the owner ---- */

static void note_segments(struct store *store, struct backup_job *job)
{
    const struct segment *active = store->journal.active;
    job->segments =
        mem_zalloc_array(store->journal.segments_by_number.count + 1, sizeof(*job->segments));
    list_for_each(link, &store->journal.segments) {
        const struct segment *segment = list_entry(link, struct segment, link);
        if (segment != active && !segment->is_gone)
            job->segments[job->segment_count++] = segment->number;
    }
    if (active) {
        job->last = active->number;
        job->last_size = planted(PLANTED_COPY_ENDS_EARLY) ? active->size / 2 : active->size;
    }
    job->backup->segments_total = job->segment_count + (active != NULL);
}

static void begin(struct store *store)
{
    struct backup_job *job = mem_zalloc(sizeof(*job));
    struct journal *journal = &store->journal;
    job->job.run = run_backup;
    job->backup = store->backup;
    job->from = store->options.disk;
    job->kv = store->options.kv;
    job->checkpoint = store->image.number;
    job->identity = journal->identity;
    job->identity.written = job->identity.headed = 0;
    job->identity.batch = journal->written;
    note_segments(store, job);
    store->backup->job = job;
    store->backup->worker->ops->submit(store->backup->worker, &job->job);
}

static void end(struct store *store)
{
    struct store_backup *backup = store->backup;
    backup->state = backup->job->has_failed ? STORE_BACKUP_FAILED : STORE_BACKUP_DONE;
    mem_free(backup->job->segments);
    mem_free(backup->job);
    backup->job = NULL;
    store->backup = NULL;
}

/* It has not begun. */
static void give_up(struct store *store, const char *why)
{
    struct store_backup *backup = store->backup;
    snprintf(backup->failure, sizeof(backup->failure), "%s", why);
    backup->state = STORE_BACKUP_FAILED;
    store->backup = NULL;
}

bool store_backup(struct store *store, struct store_backup *backup)
{
    if (store->backup || store->journal.is_failed)
        return false;
    store->backup = backup;
    backup->state = STORE_BACKUP_GOES_ON;
    return true;
}

void backup_tick(struct store *store)
{
    struct store_backup *backup = store->backup;
    if (!backup)
        return;
    if (backup->job) {
        if (backup->worker->ops->finished(backup->worker))
            end(store);
        return;
    }
    const char *why = backup->unwanted;
    if (why)
        give_up(store, why);
    else if (!store->journal.is_writing && !store->image.job && !store->journal.space.releasing)
        begin(store);
}

bool backup_holds(const struct store *store)
{
    return store->backup != NULL && !planted(PLANTED_CHECKPOINT_BESIDE_COPY);
}

void backup_finish(struct store *store)
{
    struct store_backup *backup = store->backup;
    if (!backup)
        return;
    if (!backup->unwanted)
        backup->unwanted = "the store was closed";
    if (!backup->job) {
        give_up(store, backup->unwanted);
        return;
    }
    backup->worker->ops->drain(backup->worker);
    backup->worker->ops->finished(backup->worker);
    end(store);
}
