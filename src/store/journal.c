/* Sealing a batch, and what the syncer does with it.
 *
 * Offsets and checksums are set when the batch is sealed, as only then it is known what is in it.
 * Records are copied into one buffer, but for the bodies of large messages, which are written from
 * where they lie. One batch is written at a time; the next one fills meanwhile, so that a slow disk
 * makes larger batches and no timer is needed. */
#include <assert.h>
#include <errno.h>
#include <stdio.h>

#include "base/crc32c.h"
#include "base/mem.h"
#include "store/internal.h"

enum { PARTS_MAX = 256, FULL_RETRY_MS = 100, AHEAD_MAX = 1 << 20 };
enum { MARK_MS = 500 };
enum { BLOCK_KEPT = 64 << 10, BLOCK_KEPT_MS = 1000 };

void journal_fail(struct store *store, const char *what, int error)
{
    if (store->is_failed)
        return;
    store->is_failed = true;
    snprintf(store->failure, sizeof(store->failure), "%s: %s", what, strerror(error));
    log_event(store->o.log, EVENT_store_failed, "reason=%s", store->failure);
}

/* ---- the syncer's side ---- */

static int create_segment(struct write_job *job)
{
    const struct disk_ops *ops = job->disk->ops;
    struct iovec part = {job->header, SEGMENT_HEADER};
    if (job->recycle[0]) {
        int error = ops->rename(job->disk, job->recycle, job->create);
        if (error)
            return error;
        job->recycle[0] = '\0';
        error = ops->open(job->disk, job->create, DISK_WRITE, &job->file);
        if (error)
            return error;
        if (ops->size(job->file, &job->laid_out) != 0)
            job->laid_out = 0;
    } else if (!job->file) {
        int error = ops->open(job->disk, job->create, DISK_CREATE, &job->file);
        if (error == EEXIST) /* made by an attempt that failed further on */
            error = ops->open(job->disk, job->create, DISK_WRITE, &job->file);
        if (error)
            return error;
    }
    int error = ops->write(job->file, &part, 1, 0);
    if (error)
        return error;
    error = planted(PLANTED_NO_FOLDER_SYNC) ? 0 : ops->sync_folder(job->disk);
    if (error) {
        job->sync_failed = true;
        return error;
    }
    /* From here on it is missed when it is gone. */
    job->store->identity.segment = job->segment->number;
    error = identity_write(job->disk, &job->store->identity);
    if (!error)
        job->create[0] = '\0';
    return error;
}

static int write_parts(struct write_job *job, struct iovec *parts, int *count, uint64_t *offset,
                       bool sync)
{
    const struct disk_ops *ops = job->disk->ops;
    uint64_t size = 0;
    for (int i = 0; i < *count; i++)
        size += parts[i].iov_len;
    int error = (sync ? ops->write_sync : ops->write)(job->file, parts, *count, *offset);
    *offset += size;
    *count = 0;
    return error;
}

/* A sync is cheaper where the file has been written to before, as then the file system has nothing to
 * note down. So behind a batch that is small, and synced, blocks of zeros are written for those that
 * follow. */
static int write_ahead(struct write_job *job)
{
    static const uint8_t zeros[DISK_BLOCK] __attribute__((aligned(DISK_BLOCK)));
    struct iovec parts[PARTS_MAX];
    int count = 0;
    uint64_t end = job->offset + job->size;
    uint64_t from = (end + DISK_BLOCK - 1) / DISK_BLOCK * DISK_BLOCK;
    if (!job->sync || end <= job->laid_out || job->size > job->ahead / 16)
        return 0;
    while (count < PARTS_MAX && (uint64_t)count * DISK_BLOCK < job->ahead)
        parts[count++] = (struct iovec){(void *)(uintptr_t)zeros, DISK_BLOCK};
    job->laid_out = from + (uint64_t)count * DISK_BLOCK;
    int error = job->disk->ops->write(job->file, parts, count, from);
    return error == ENOSPC || error == EDQUOT ? 0 : error;
}

static int write_batch(struct write_job *job)
{
    struct iovec parts[PARTS_MAX];
    uint64_t offset = job->offset;
    size_t from = 0;
    int count = 0;
    for (size_t i = 0; i < job->inserts_count; i++) {
        parts[count++] = (struct iovec){job->bytes + from, job->inserts[i].at - from};
        parts[count++] = (struct iovec){(void *)(uintptr_t)job->inserts[i].part.data,
                                        job->inserts[i].part.size};
        from = job->inserts[i].at;
        if (count + 2 > PARTS_MAX) {
            int error = write_parts(job, parts, &count, &offset, false);
            if (error)
                return error;
        }
    }
    parts[count++] = (struct iovec){job->bytes + from, job->bytes_size - from};
    /* Written and synced in one, if nothing else is to be done. */
    bool must_wait = job->before && !planted(PLANTED_BEFORE_NOT_SYNCED);
    bool at_once = job->sync && !must_wait && job->offset + job->size <= job->laid_out &&
                   job->disk->ops->write_sync && !planted(PLANTED_NO_SYNC);
    int error = write_parts(job, parts, &count, &offset, at_once);
    job->is_synced = at_once && !error;
    return error ? error : write_ahead(job);
}

static int sync_file(struct write_job *job, struct disk_file *file)
{
    int error = planted(PLANTED_NO_SYNC) ? 0 : job->disk->ops->sync(file);
    job->sync_failed = error != 0;
    return error;
}

static void release(struct write_job *job)
{
    char name[32];
    for (uint32_t i = 0; i < job->release_count; i++) {
        spare_name(name, job->release[i]);
        job->disk->ops->unlink(job->disk, name);
    }
    if (job->release_reserve)
        job->disk->ops->unlink(job->disk, "reserve");
    job->release_count = 0;
    job->release_reserve = false;
}

/* The segment before is complete: what is in it must be as durable as what follows. */
static int finish_before(struct write_job *job)
{
    int error = sync_file(job, job->before);
    if (error)
        return error;
    job->disk->ops->close(job->before);
    job->before = NULL;
    return 0;
}

static void run_write(struct job *link)
{
    struct write_job *job = (struct write_job *)link;
    job->sync_failed = job->is_synced = false;
    release(job);
    job->error = job->create[0] ? create_segment(job) : 0;
    if (!job->error && job->number)
        job->error = write_batch(job);
    if (!job->error && job->before)
        job->error = finish_before(job);
    if (!job->error && job->sync && !job->is_synced)
        job->error = sync_file(job, job->file);
    if (job->disk->ops->free_space(job->disk, &job->free_bytes) != 0)
        job->free_bytes = UINT64_MAX;
}

/* ---- the owner's side ---- */

static void submit(struct store *store)
{
    struct write_job *job = &store->write;
    job->job.run = run_write;
    job->job.kind = JOB_WRITE;
    job->store = store;
    job->disk = store->o.disk;
    store->is_writing = true;
    store->o.syncer->ops->submit(store->o.syncer, &job->job);
}

/* Memory for a batch of `size` bytes at this offset of the file. It begins where the batch does in its
 * block, so that all of its whole blocks can be written from here. */
static void block_take(struct store *store, uint64_t offset, uint64_t size)
{
    struct write_job *job = &store->write;
    size_t head = offset % DISK_BLOCK;
    size_t needed = head + (size_t)size;
    if (job->block_size < needed) {
        size_t capacity = job->block_size ? job->block_size : DISK_BLOCK;
        while (capacity < needed)
            capacity *= 2;
        mem_free(job->block);
        job->block = mem_aligned(DISK_BLOCK, capacity);
        job->block_size = capacity;
    }
    job->bytes = job->block + head;
    job->bytes_size = 0;
    job->used_ms = store->now_ms;
}

uint64_t journal_tick_ms(const struct store *store)
{
    const struct write_job *job = &store->write;
    if (job->block_size <= BLOCK_KEPT || store->is_writing)
        return UINT64_MAX;
    return job->used_ms + BLOCK_KEPT_MS;
}

void journal_tick(struct store *store)
{
    struct write_job *job = &store->write;
    if (journal_tick_ms(store) > store->now_ms)
        return;
    mem_free(job->block);
    job->block = NULL;
    job->block_size = 0;
}

static void insert(struct write_job *job, size_t at, struct message *message)
{
    if (job->inserts_count == job->inserts_capacity) {
        job->inserts_capacity = job->inserts_capacity ? job->inserts_capacity * 2 : 16;
        job->inserts = mem_realloc(job->inserts, job->inserts_capacity * sizeof(*job->inserts));
        job->pinned = mem_realloc(job->pinned, job->inserts_capacity * sizeof(*job->pinned));
    }
    job->inserts[job->inserts_count].at = at;
    job->inserts[job->inserts_count].part = message_body(message);
    job->pinned[job->inserts_count++] = message_ref(message);
}

/* The holds of all destinations that are live when the record gets its place. */
static void hold(struct store *store, struct segment *segment, enum record_type type,
                 const struct message *message, uint32_t size)
{
    uint64_t bytes = (uint64_t)record_share(size, message->destinations) * message->pending_live;
    segment->live_entries += message->pending_live;
    segment->live_bytes += bytes;
    store->stats.live_bytes += bytes;
    if (type == RECORD_PAGED)
        return;
    segment->kept_entries += message->pending_live;
    segment->kept_bytes += bytes;
}

/* Writes a record behind the others; *place is where it lies, and then where the next one will. */
static void seal_record(struct store *store, const struct pending *pending, struct place *place,
                        uint32_t *contents)
{
    struct write_job *job = &store->write;
    struct message *message = pending->message;
    uint8_t *header = job->bytes + job->bytes_size;
    uint8_t *payload = header + RECORD_HEADER;
    bool is_long = message && message->body_size >= INSERT_MIN;
    size_t size = pending->size;
    struct bytes body = {0};
    memcpy(payload, store->filling->bytes.data + pending->at, size);
    if (message) {
        size_t copied = message_data_size(message) - (is_long ? message->body_size : 0);
        memcpy(payload + size, message->data, copied);
        size += copied;
    }
    job->bytes_size += RECORD_HEADER + size;
    if (is_long) {
        body = message_body(message);
        insert(job, job->bytes_size, message);
    }
    place->size = (uint32_t)(RECORD_HEADER + size + body.size);
    record_header_write(header, pending->type, *place, bytes_of(payload, size), body);
    *contents = crc32c(*contents, header, 4);
    if (message) {
        message->segment = place->segment;
        message->offset = place->offset;
        hold(store, store->active, pending->type, message, place->size);
        store->stats.messages_written++;
    }
    place->offset += place->size;
}

static uint64_t batch_exact_size(const struct batch *batch)
{
    uint64_t size = BATCH_HEADER + batch->records_size;
    return (size + BATCH_ALIGN - 1) / BATCH_ALIGN * BATCH_ALIGN;
}

/* The batch does not fit into the segment: begins a new one, in an old file if there is one. */
static void roll(struct store *store)
{
    struct write_job *job = &store->write;
    struct segment *segment = segment_add(store, store->segment_last + 1);
    segment->first_batch = store->filling->number;
    segment_name(job->create, segment->number);
    job->recycle[0] = '\0';
    if (store->spares_count) {
        spare_name(job->recycle, store->spares[--store->spares_count]);
        store->stats.segments_recycled++;
    }
    struct segment_header header = {.segment = segment->number,
                                    .first_batch = segment->first_batch,
                                    .previous = store->previous};
    memcpy(header.store, store->identity.id, IDENTITY_SIZE);
    segment_header_write(job->header, &header);
    job->before = store->active_file;
    job->file = NULL;
    job->laid_out = 0;
    job->ahead = store->o.segment_bytes / 64 < AHEAD_MAX ? store->o.segment_bytes / 64 : AHEAD_MAX;
    store->active = segment;
    store->stats.segments_rolled++;
}

/* Writes the records of the filling batch into the job's buffer. */
static void seal(struct store *store, uint64_t size)
{
    struct write_job *job = &store->write;
    struct batch *batch = store->filling;
    struct batch_header header = {.number = batch->number,
                                  .size = (uint32_t)size,
                                  .previous = store->previous,
                                  .synced = store->durable,
                                  .segment = store->active->number,
                                  .offset = (uint32_t)store->active->size};
    struct place place = {header.segment, header.offset + BATCH_HEADER, 0};
    block_take(store, header.offset, size - batch->inserts_size);
    job->inserts_count = 0;
    job->bytes_size = BATCH_HEADER;
    for (uint32_t i = 0; i < batch->count; i++) {
        if (batch->records[i].is_elided)
            continue;
        seal_record(store, &batch->records[i], &place, &header.contents);
        header.records++;
    }
    size_t padding = header.offset + size - place.offset;
    assert(padding < BATCH_ALIGN);
    memset(job->bytes + job->bytes_size, 0, padding);
    job->bytes_size += padding;
    batch_header_write(job->bytes, &header);
    store->previous = header.checksum;
}

static void next_batch(struct store *store)
{
    struct batch *batch = store->filling;
    for (uint32_t i = 0; i < batch->count; i++)
        if (batch->records[i].message)
            message_unref(store->o.pool, batch->records[i].message);
    batch->number++;
    batch->count = batch->elided = 0;
    batch->settles_count = 0;
    batch->bytes.size = 0;
    batch->size = batch->records_size = batch->inserts_size = 0;
    if (batch->bytes.capacity > 4u << 20)
        buffer_free(&batch->bytes);
}

static void write_filling(struct store *store, bool sync)
{
    struct write_job *job = &store->write;
    assert(!store->is_writing);
    uint64_t size = batch_exact_size(store->filling);
    job->create[0] = '\0';
    job->file = store->active_file;
    struct segment *active = store->active;
    if (!active ||
        (active->size + size > store->o.segment_bytes && active->size > SEGMENT_HEADER))
        roll(store);
    job->segment = store->active;
    job->offset = store->active->size;
    job->number = store->filling->number;
    job->size = size;
    job->sync = sync;
    seal(store, size);
    store->active->size += size;
    store->active->last_batch = job->number;
    store->position = (struct position){job->number + 1, store->active->number,
                                        store->active->size, store->previous};
    store->journal_since += size;
    store->stated = store->durable;
    store->stats.batches++;
    store->stats.bytes_written += size;
    next_batch(store);
    submit(store);
}

void journal_write(struct store *store, bool sync)
{
    assert(!batch_is_empty(store->filling));
    batch_close_settles(store);
    store->said = store->filling->number;
    store->is_changed = true;
    write_filling(store, sync);
}

/* That the last batches were synced is told by the next one. When none comes, damage in them would
 * look like the end that a crash leaves: so after a quiet moment a batch without records says it. */
uint64_t journal_mark_ms(const struct store *store)
{
    uint64_t known = store->stated > store->covered ? store->stated : store->covered;
    bool is_quiet = !store->is_failed && !store->is_writing && !store->is_short &&
                    store->durable == store->written && batch_is_empty(store->filling);
    return is_quiet && known < store->said ? store->synced_ms + MARK_MS : UINT64_MAX;
}

void journal_mark(struct store *store)
{
    write_filling(store, true);
}

void journal_sync(struct store *store)
{
    struct write_job *job = &store->write;
    assert(!store->is_writing && store->active);
    job->create[0] = '\0';
    job->number = 0;
    job->file = store->active_file;
    job->segment = store->active;
    job->sync = true;
    submit(store);
}

static void unpin(struct store *store)
{
    struct write_job *job = &store->write;
    for (size_t i = 0; i < job->inserts_count; i++)
        message_unref(store->o.pool, job->pinned[i]);
    job->inserts_count = 0;
}

/* A new segment could not be opened: publishers wait, as for space. */
static bool lacks_descriptors(struct store *store, const struct write_job *job)
{
    if (!job->create[0] || (job->error != EMFILE && job->error != ENFILE))
        return false;
    if (!store->is_short)
        log_event(store->o.log, EVENT_segment_not_opened, "reason=%s", strerror(job->error));
    store->is_short = true;
    return true;
}

void journal_written(struct store *store, struct write_job *job)
{
    store->active_file = job->file;
    bool no_space = job->error == ENOSPC || job->error == EDQUOT;
    if ((no_space || lacks_descriptors(store, job)) && (!job->sync_failed || planted(PLANTED_SYNC_TRIED_AGAIN))) {
        /* Nothing was promised about this batch, and no sync has failed: the same bytes can be
         * written to the same place again once there is room. */
        bool released = no_space && space_release(store);
        store->retry_ms = store->now_ms + (released ? 0 : FULL_RETRY_MS);
        if (released)
            journal_retry(store);
        return;
    }
    store->is_writing = false;
    space_note(store, job->free_bytes);
    unpin(store);
    if (job->error) {
        journal_fail(store, job->sync_failed ? "syncing the journal failed"
                                             : "writing the journal failed",
                     job->error);
        return;
    }
    if (job->number) {
        if (store->written == store->durable)
            store->unsynced_ms = store->now_ms;
        store->written = job->number;
    }
    if (job->sync) {
        store->durable = store->written;
        store->synced_ms = store->now_ms;
        store->stats.syncs++;
    }
}

void journal_retry(struct store *store)
{
    store->retry_ms = 0;
    submit(store);
}
