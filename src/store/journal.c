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
#include "store/journal.h"

enum { PARTS_MAX = 256, AHEAD_MAX = 1 << 20, MARK_MS = 500, STATE_MS = 1000 };
enum { BLOCK_KEPT = 64 << 10, BLOCK_KEPT_MS = 1000 };
/* A record that is as large as the work with its place: a batch of smaller ones is large earlier.
 */
enum { RECORD_ABOUT = 256 };

void journal_init(struct journal *journal, struct store_options *options, struct store_stats *stats,
                  uint64_t now_ms)
{
    *journal = (struct journal){.options = options, .stats = stats, .now_ms = now_ms};
    journal->files.disk = options->disk;
    journal->space.checked_ms = journal->told_ms = now_ms;
    journal->filling = mem_zalloc(sizeof(*journal->filling));
    list_init(&journal->segments);
    list_init(&journal->spent);
    outage_init(&journal->full, EVENT_disk_full, EVENT_disk_written);
    outage_init(&journal->unopened, EVENT_segment_not_opened, EVENT_segment_opened);
    outage_init(&journal->space.refusals, EVENT_messages_refused, EVENT_messages_taken);
}

static void close_files(struct journal *journal)
{
    struct disk_file *active = journal->active_file, *before = journal->write.before;
    files_forget(&journal->files, 0);
    if (active)
        journal->options->disk->ops->close(active);
    if (before && before != active)
        journal->options->disk->ops->close(before);
}

void journal_free(struct journal *journal)
{
    struct write_job *job = &journal->write;
    struct list *link;
    close_files(journal);
    while ((link = list_first(&journal->segments)))
        segment_free(journal, list_entry(link, struct segment, link));
    idmap_free(&journal->segments_by_number);
    for (size_t i = 0; i < job->pinned_count; i++)
        message_unref(journal->options->pool, job->pinned[i]);
    for (size_t i = 0; i < job->lent_count; i++)
        shared_unref(job->lent[i]);
    mem_free(job->inserts);
    mem_free(job->pinned);
    mem_free(job->lent);
    mem_free(job->block);
    batch_free(journal, journal->filling);
    batch_free(journal, journal->sealing);
    batch_free(journal, journal->spare);
    while ((link = list_take_first(&journal->spent)))
        batch_free(journal, list_entry(link, struct batch, link));
}

void journal_fail(struct journal *journal, const char *what, int error)
{
    if (journal->is_failed)
        return;
    journal->is_failed = true;
    snprintf(journal->failure, sizeof(journal->failure), "%s: %s", what, strerror(error));
    log_event(journal->options->log, EVENT_store_failed, "reason=%s", journal->failure);
}

/* ---- the bytes of a batch, on either side ---- */

static void insert(struct write_job *job, size_t at, struct bytes part)
{
    job->inserts = mem_grow(job->inserts, &job->inserts_capacity, job->inserts_count + 1,
                            sizeof(*job->inserts));
    job->inserts[job->inserts_count].at = at;
    job->inserts[job->inserts_count++].part = part;
}

static bool is_long(const struct message *message)
{
    return message && message->body_size >= INSERT_MIN;
}

/* Writes a record behind the others, where `place` says; its size is set. On either side. */
static void write_record(struct write_job *job, const struct batch *batch,
                         const struct pending *pending, struct place *place)
{
    const struct message *message = pending->message;
    assert(!pending->is_elided);
    uint8_t *header = job->bytes + job->bytes_size;
    uint8_t *payload = header + RECORD_HEADER;
    size_t size = pending->is_lent ? 0 : pending->size;
    struct bytes body = {0};
    if (pending->is_lent)
        memcpy(&body, batch->bytes.data + pending->at, sizeof(body));
    else
        memcpy(payload, batch->bytes.data + pending->at, size);
    if (message) {
        size_t copied = message_data_size(message) - (is_long(message) ? message->body_size : 0);
        memcpy(payload + size, message->data, copied);
        size += copied;
    }
    job->bytes_size += RECORD_HEADER + size;
    if (is_long(message))
        body = message_body(message);
    if (body.size)
        insert(job, job->bytes_size, body);
    place->size = (uint32_t)(RECORD_HEADER + size + body.size);
    record_header_write(header, pending->type, *place, bytes_of(payload, size), body);
    job->batch_header.contents = crc32c(job->batch_header.contents, header, 4);
}

/* Behind the last record; then the header, whose checksum is that of all. */
static void finish_bytes(struct write_job *job, uint32_t end)
{
    size_t padding = job->batch_header.offset + job->size - end;
    assert(padding < BATCH_ALIGN);
    memset(job->bytes + job->bytes_size, 0, padding);
    job->bytes_size += padding;
    batch_header_write(job->bytes, &job->batch_header);
}

/* ---- the syncer's side ---- */

/* The segment gets another file, which has no header yet. */
static int behead(struct write_job *job)
{
    struct identity *identity = &job->journal->identity;
    if (identity->headed != job->segment->number)
        return 0;
    identity->headed = 0;
    return identity_write(job->disk, identity);
}

/* The segment gets a file that is there. One that it had before, and that was too small, goes. */
static int recycle(struct write_job *job)
{
    const struct disk_ops *ops = job->disk->ops;
    int failed = behead(job);
    if (failed)
        return failed;
    if (job->file)
        ops->close(job->file);
    job->file = NULL;
    int error = ops->rename(job->disk, job->recycle, job->create);
    if (error)
        return error;
    job->recycle[0] = '\0';
    error = ops->open(job->disk, job->create, DISK_WRITE, &job->file);
    if (error)
        return error;
    if (ops->size(job->file, &job->laid_out) != 0)
        job->laid_out = 0;
    job->allocated = job->laid_out / DISK_BLOCK * DISK_BLOCK;
    return 0;
}

/* Header and name are durable before the identity tells of them, so that who finds the file empty
 * knows that something took what was in it. */
static int sync_created(struct write_job *job)
{
    const struct disk_ops *ops = job->disk->ops;
    int error = planted(PLANTED_NO_SYNC) ? 0 : ops->sync(job->file);
    if (!error && !planted(PLANTED_NO_FOLDER_SYNC))
        error = ops->sync_folder(job->disk);
    job->sync_failed = error != 0;
    return error;
}

static int create_segment(struct write_job *job)
{
    const struct disk_ops *ops = job->disk->ops;
    struct iovec part = {job->header, SEGMENT_HEADER};
    if (job->recycle[0]) {
        int error = recycle(job);
        if (error)
            return error;
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
    error = sync_created(job);
    if (error)
        return error;
    /* From here on it is missed when it is gone, and so are those before. */
    struct identity *identity = &job->journal->identity;
    identity->segment = identity->headed = job->segment->number;
    if (job->segment->first_batch > identity->batch)
        identity->batch = job->segment->first_batch - 1;
    error = identity_write(job->disk, identity);
    if (!error)
        job->create[0] = '\0';
    return error;
}

static bool is_full(int error)
{
    return error == ENOSPC || error == EDQUOT;
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

/* A sync is cheaper where the file has been written to before, as then the file system has nothing
 * to note down. So behind a batch that is small, and synced, blocks of zeros are written for those
 * that follow. */
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
    if (!error && job->allocated < job->laid_out)
        job->allocated = job->laid_out;
    return is_full(error) ? 0 : error;
}

static int write_batch(struct write_job *job)
{
    struct iovec parts[PARTS_MAX];
    uint64_t offset = job->offset;
    size_t from = 0;
    int count = 0;
    for (size_t i = 0; i < job->inserts_count; i++) {
        parts[count++] = (struct iovec){job->bytes + from, job->inserts[i].at - from};
        parts[count++] =
            (struct iovec){(void *)(uintptr_t)job->inserts[i].part.data, job->inserts[i].part.size};
        from = job->inserts[i].at;
        if (count + 2 > PARTS_MAX) {
            int error = write_parts(job, parts, &count, &offset, false);
            if (error)
                return error;
        }
    }
    parts[count++] = (struct iovec){job->bytes + from, job->bytes_size - from};
    /* Written and synced in one, if there is room that was written to. */
    bool at_once = job->sync && job->offset + job->size <= job->laid_out &&
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

/* Of a large batch, which pins its messages; nobody changes either. */
static void make_bytes(struct write_job *job)
{
    const struct batch *batch = job->batch;
    struct place place = {job->batch_header.segment, job->batch_header.offset + BATCH_HEADER, 0};
    for (uint32_t i = 0; i < batch->count; i++) {
        if (batch->records[i].is_elided)
            continue;
        write_record(job, batch, &batch->records[i], &place);
        place.offset += place.size;
    }
    finish_bytes(job, place.offset);
    job->batch = NULL;
}

/* The end of the segment before goes: zeros laid out ahead, and what an earlier use of the file
 * left. No batch is there, and none will be. */
static void cut_before(const struct write_job *job)
{
    if (!planted(PLANTED_ENDS_STAY))
        segment_cut(job->disk, job->cut, job->cut_size);
}

/* The segment before is complete: what is in it must be durable before anything that follows, and before it
 * is told that the next one has begun. */
static int finish_before(struct write_job *job)
{
    int error = sync_file(job, job->before);
    if (error)
        return error;
    job->disk->ops->close(job->before);
    job->before = NULL;
    return 0;
}

/* Room for the batches that follow, which nobody else can take. If there is none, they may still
 * find some. */
static void allocate_ahead(struct write_job *job)
{
    if (job->allocated < job->reach && job->disk->ops->allocate(job->file, job->reach) == 0)
        job->allocated = job->reach;
}

/* A file that ends too early tells nothing. Where this cannot be written, no more is known than
 * before. */
static void state(struct write_job *job)
{
    uint64_t before = job->journal->identity.batch;
    job->journal->identity.batch = job->number;
    if (identity_write(job->disk, &job->journal->identity) != 0)
        job->journal->identity.batch = before;
}

static uint64_t clock_us(const struct write_job *job)
{
    uint64_t (*clock)(void) = job->journal->options->clock_us;
    return clock ? clock() : 0;
}

static void run_write(struct job *link)
{
    struct write_job *job = (struct write_job *)link;
    uint64_t total, began_us = clock_us(job);
    job->sync_failed = job->is_synced = false;
    job->error = job->before && !planted(PLANTED_BEFORE_NOT_SYNCED) ? finish_before(job) : 0;
    if (!job->error && job->create[0])
        job->error = create_segment(job);
    if (job->batch)
        make_bytes(job);
    if (!job->error && job->number)
        job->error = write_batch(job);
    if (!job->error && job->before) /* planted */
        job->error = finish_before(job);
    if (!job->error && job->sync && !job->is_synced)
        job->error = sync_file(job, job->file);
    job->us = clock_us(job) - began_us;
    if (!job->error && job->states)
        state(job);
    bool is_over = !job->error && (job->sync || !job->number);
    if (job->cut && (is_over || (is_full(job->error) && !job->sync_failed)))
        cut_before(job);
    if (is_over)
        job->cut = 0;
    if (!job->error && job->number)
        allocate_ahead(job);
    if (job->disk->ops->free_space(job->disk, &job->free_bytes, &total) != 0)
        job->free_bytes = UINT64_MAX;
}

/* ---- the owner's side ---- */

static void note(struct store_histogram *histogram, uint64_t value)
{
    unsigned bits = value ? 64 - (unsigned)__builtin_clzll(value) : 0;
    histogram->buckets[bits < STORE_BUCKETS ? bits : STORE_BUCKETS - 1]++;
    histogram->sum += value;
}

/* Its file may have been opened or closed. */
static void abandon(struct job *link)
{
    struct write_job *job = (struct write_job *)link;
    job->journal->active_file = job->file;
}

static void submit(struct journal *journal)
{
    struct write_job *job = &journal->write;
    job->job.run = run_write;
    job->job.done = journal_written;
    job->job.abandon = abandon;
    job->journal = journal;
    job->disk = journal->options->disk;
    journal->is_writing = true;
    journal->write_began_ms = journal->now_ms;
    space_measured(journal);
    journal->options->syncer->ops->submit(journal->options->syncer, &job->job);
}

/* Memory for a batch of `size` bytes at this offset of the file. It begins where the batch does in
 * its block, so that all of its whole blocks can be written from here. */
static void block_take(struct journal *journal, uint64_t offset, uint64_t size)
{
    struct write_job *job = &journal->write;
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
    job->used_ms = journal->now_ms;
}

static void pin(struct write_job *job, struct message *message)
{
    job->pinned =
        mem_grow(job->pinned, &job->pinned_capacity, job->pinned_count + 1, sizeof(*job->pinned));
    job->pinned[job->pinned_count++] = message_ref(message);
}

/* The holds of all destinations that are live when the record gets its place. */
static inline void hold(struct journal *journal, struct segment *segment, enum record_type type,
                        const struct message *message, uint32_t size)
{
    assert(message->pending_live <= message->destinations);
    uint64_t bytes = (uint64_t)record_share(size, message->destinations) * message->pending_live;
    segment->live_entries += message->pending_live;
    segment->live_bytes += bytes;
    journal->stats->live_bytes += bytes;
    if (type == RECORD_PAGED)
        return;
    segment->kept_entries += message->pending_live;
    segment->kept_bytes += bytes;
}

/* Contents are needed until they are written. */
static void lend(struct write_job *job, struct shared *shared)
{
    job->lent = mem_grow(job->lent, &job->lent_capacity, job->lent_count + 1, sizeof(*job->lent));
    job->lent[job->lent_count++] = shared_ref(shared);
}

/* One that was cut since is there, but nobody needs it. */
static void note_entry_place(struct journal *journal, struct batch *batch, struct place place)
{
    struct bracket **next = &batch->brackets[journal->write.brackets_placed++];
    struct bracket *bracket = *next;
    *next = NULL;
    bracket->place.segment = place.segment;
    bracket->place.offset = place.offset;
    if (!bracket->is_cut && !planted(PLANTED_GROUP_NOT_HELD))
        segment_hold_entry(journal, bracket->place);
    if (bracket->shared)
        lend(&journal->write, bracket->shared);
    bracket_unref(bracket);
}

/* It is known where a record of the batch lies. */
static inline void note_place(struct journal *journal, struct batch *batch,
                              const struct pending *pending, struct place place)
{
    struct message *message = pending->message;
    if (pending->type == RECORD_ENTRY)
        note_entry_place(journal, batch, place);
    if (!message)
        return;
    message->segment = place.segment;
    message->offset = place.offset;
    hold(journal, journal->active, pending->type, message, place.size);
    journal->stats->messages_written++;
}

static uint64_t batch_exact_size(const struct batch *batch)
{
    uint64_t size = BATCH_HEADER + batch->records_size;
    assert(size < UINT32_MAX - SEGMENT_HEADER - BATCH_ALIGN); /* store_room */
    return (size + BATCH_ALIGN - 1) / BATCH_ALIGN * BATCH_ALIGN;
}

/* The batch does not fit into the segment: begins a new one, in an old file if there is one. */
static void roll(struct journal *journal)
{
    struct write_job *job = &journal->write;
    const struct segment *last = segment_find(journal, journal->position.segment);
    job->cut = last ? last->number : 0;
    job->cut_size = last ? last->size : 0;
    struct segment *segment = segment_add(journal, journal->segment_last + 1);
    segment->first_batch = journal->filling->number;
    segment_name(job->create, segment->number);
    job->recycle[0] = '\0';
    if (journal->spares_count) {
        spare_name(job->recycle, journal->spares[--journal->spares_count]);
        journal->stats->segments_recycled++;
    }
    struct segment_header header = {.segment = segment->number,
                                    .first_batch = segment->first_batch,
                                    .previous = journal->previous};
    memcpy(header.store, journal->identity.id, IDENTITY_SIZE);
    segment_header_write(job->header, &header);
    job->before = journal->active_file;
    job->file = NULL;
    job->laid_out = job->allocated = journal->allocated = 0;
    job->ahead = journal->options->segment_bytes / 64 < AHEAD_MAX
                     ? journal->options->segment_bytes / 64
                     : AHEAD_MAX;
    journal->active = segment;
    journal->stats->segments_rolled++;
}

static void begin_seal(struct journal *journal)
{
    struct write_job *job = &journal->write;
    const struct batch *batch = journal->filling;
    job->batch_header = (struct batch_header){.number = batch->number,
                                              .size = (uint32_t)job->size,
                                              .records = batch->count - batch->elided,
                                              .previous = journal->previous,
                                              .synced = journal->durable,
                                              .segment = journal->active->number,
                                              .offset = (uint32_t)journal->active->size};
    block_take(journal, job->batch_header.offset, job->size - batch->inserts_size);
    job->inserts_count = 0;
    job->brackets_placed = 0;
    job->bytes_size = BATCH_HEADER;
}

/* Writes the records of the filling batch into the job's buffer. */
static void seal(struct journal *journal)
{
    struct write_job *job = &journal->write;
    struct batch *batch = journal->filling;
    struct place place = {job->batch_header.segment, job->batch_header.offset + BATCH_HEADER, 0};
    for (uint32_t i = 0; i < batch->count; i++) {
        const struct pending *pending = &batch->records[i];
        if (pending->is_elided)
            continue;
        write_record(job, batch, pending, &place);
        note_place(journal, batch, pending, place);
        if (is_long(pending->message))
            pin(job, pending->message);
        place.offset += place.size;
    }
    finish_bytes(job, place.offset);
    journal->previous = journal->position.previous = job->batch_header.checksum;
}

static void clear(struct batch *batch)
{
    batch->count = batch->elided = 0;
    batch->settles_count = 0;
    batch->brackets_count = 0;
    batch->bytes.size = 0;
    batch->size = batch->records_size = batch->inserts_size = 0;
}

static void next_batch(struct journal *journal)
{
    struct batch *batch = journal->filling;
    for (uint32_t i = 0; i < batch->count; i++)
        if (batch->records[i].message)
            message_unref(journal->options->pool, batch->records[i].message);
    batch->number++;
    clear(batch);
    if (batch->bytes.capacity > 4u << 20)
        buffer_free(&batch->bytes);
}

/* ---- large batches ---- */

static bool is_large(const struct journal *journal)
{
    const struct batch *batch = journal->filling;
    uint64_t about = (uint64_t)batch->count * RECORD_ABOUT;
    return batch->records_size > journal->options->batch_large_bytes ||
           about > journal->options->batch_large_bytes;
}

/* Records of a large batch that a turn looks at. When a checkpoint is due for long, all of them, as
 * one can only be taken while the next batch is empty. */
static uint32_t records_a_turn(const struct journal *journal)
{
    bool must_end = journal->is_closing || journal->is_overdue;
    return must_end ? UINT32_MAX : journal->options->batch_large_bytes / (RECORD_ABOUT / 2) + 1;
}

static void begin_large(struct journal *journal)
{
    struct write_job *job = &journal->write;
    assert(!journal->sealing);
    journal->sealing = job->batch = journal->filling;
    journal->filling = journal->spare ? journal->spare : mem_zalloc(sizeof(*journal->filling));
    journal->filling->number = journal->sealing->number + 1;
    journal->spare = NULL;
    list_init(&journal->sealing->link);
    job->placed = 0;
    job->place_at = job->batch_header.offset + BATCH_HEADER;
    job->is_placing = true;
    journal->is_writing = true;
    space_measured(journal);
}

void journal_place(struct journal *journal)
{
    struct write_job *job = &journal->write;
    struct batch *batch = journal->sealing;
    assert(job->is_placing && job->placed <= batch->count);
    uint32_t left = batch->count - job->placed;
    if (left > records_a_turn(journal))
        left = records_a_turn(journal);
    for (; left; left--) {
        const struct pending *pending = &batch->records[job->placed++];
        struct place place = {job->batch_header.segment, job->place_at,
                              RECORD_HEADER + pending->size};
        if (pending->is_elided)
            continue;
        if (pending->message)
            place.size += (uint32_t)message_data_size(pending->message);
        note_place(journal, batch, pending, place);
        job->place_at += place.size;
    }
    if (job->placed < batch->count)
        return;
    assert(job->place_at <= job->batch_header.offset + job->size);
    job->is_placing = false;
    submit(journal);
}

/* It is written. */
static void end_large(struct journal *journal)
{
    if (!journal->sealing)
        return;
    journal->previous = journal->position.previous = journal->write.batch_header.checksum;
    list_push_back(&journal->spent, &journal->sealing->link);
    journal->sealing = NULL;
}

/* Lets messages of batches go that were large. The memory of one is for the next that is filled. */
static void let_go(struct journal *journal)
{
    struct list *link = list_first(&journal->spent);
    struct batch *batch = link ? list_entry(link, struct batch, link) : NULL;
    uint32_t budget = records_a_turn(journal);
    for (; batch && budget && batch->count; budget--) {
        struct message *message = batch->records[--batch->count].message;
        if (message)
            message_unref(journal->options->pool, message);
    }
    if (!batch || batch->count)
        return;
    list_remove(link);
    if (journal->spare) {
        batch_free(journal, batch);
    } else {
        clear(batch);
        journal->spare = batch;
    }
}

/* Does it have memory that only large batches need? */
static bool has_much(const struct journal *journal)
{
    return journal->write.block_size > BLOCK_KEPT || journal->spare;
}

uint64_t journal_tick_ms(const struct journal *journal)
{
    const struct write_job *job = &journal->write;
    if (job->is_placing || !list_is_empty(&journal->spent))
        return journal->now_ms;
    if (!has_much(journal) || journal->is_writing)
        return UINT64_MAX;
    return job->used_ms + BLOCK_KEPT_MS;
}

void journal_tick(struct journal *journal)
{
    struct write_job *job = &journal->write;
    outage_tick(&journal->full, journal->options->log, journal->now_ms);
    outage_tick(&journal->unopened, journal->options->log, journal->now_ms);
    let_go(journal);
    if (!has_much(journal) || journal->is_writing || journal->now_ms < job->used_ms + BLOCK_KEPT_MS)
        return;
    batch_free(journal, journal->spare);
    journal->spare = NULL;
    mem_free(job->block);
    job->block = NULL;
    job->block_size = 0;
}

/* Does the batch go to the active segment? */
static bool fits(const struct journal *journal, uint64_t size)
{
    const struct segment *active = journal->active;
    if (!active)
        return false;
    uint64_t end = active->size + size;
    bool has_room = end <= journal->allocated;
    if (journal->space.is_short && end > space_segment(journal) && space_begins(journal, size))
        return active->size <= SEGMENT_HEADER;
    if (space_is_scarce(journal, size) && (has_room || journal->space.reserved[RESERVE_JOURNAL]))
        return has_room;
    return end <= space_segment(journal) || active->size <= SEGMENT_HEADER;
}

/* While work never rests, the identity tells now and then how far all was synced. */
static bool states(struct journal *journal, bool sync)
{
    bool is_time = sync && journal->now_ms - journal->told_ms >= STATE_MS;
    if (is_time)
        journal->told_ms = journal->now_ms;
    return is_time;
}

static void write_filling(struct journal *journal, bool sync)
{
    struct write_job *job = &journal->write;
    assert(!journal->is_writing);
    uint64_t size = batch_exact_size(journal->filling);
    job->create[0] = '\0';
    job->file = journal->active_file;
    if (!fits(journal, size)) {
        roll(journal);
        sync |= space_is_scarce(journal,
                                size); /* what the segment before had in advance is given back */
    }
    job->segment = journal->active;
    job->offset = journal->active->size;
    job->number = journal->filling->number;
    job->size = size;
    job->sync = sync;
    job->states = states(journal, sync);
    begin_seal(journal);
    bool large = is_large(journal);
    if (!large)
        seal(journal);
    journal->active->size += size;
    job->reach = space_reach(journal, size);
    journal->active->last_batch = job->number;
    journal->position.batch = job->number + 1;
    journal->position.segment = journal->active->number;
    journal->position.offset = journal->active->size;
    journal->since_image += size;
    journal->stated = journal->durable;
    journal->stats->batches++;
    journal->stats->bytes_written += size;
    note(&journal->stats->batch_bytes, size);
    if (large) {
        begin_large(journal);
        journal_place(journal);
    } else {
        next_batch(journal);
        submit(journal);
    }
}

void journal_write(struct journal *journal, bool sync)
{
    assert(!batch_is_empty(journal->filling));
    batch_close_settles(journal);
    journal->said = journal->filling->number;
    journal->is_changed = true;
    write_filling(journal, sync);
}

/* That the last batches were synced is told by the next one. When none comes, damage in them would
 * look like the end that a crash leaves: so after a quiet moment a batch without records says it.
 */
uint64_t journal_mark_ms(const struct journal *journal)
{
    uint64_t known = journal->stated > journal->covered ? journal->stated : journal->covered;
    bool is_quiet = !journal->is_failed && !journal->is_writing && !journal->is_held &&
                    !journal->space.is_short && journal->durable == journal->written &&
                    batch_is_empty(journal->filling);
    return is_quiet && known < journal->said ? journal->synced_ms + MARK_MS : UINT64_MAX;
}

void journal_mark(struct journal *journal)
{
    journal->told_ms = journal->now_ms - STATE_MS;
    write_filling(journal, true);
}

void journal_sync(struct journal *journal)
{
    struct write_job *job = &journal->write;
    assert(!journal->is_writing && journal->active);
    job->create[0] = '\0';
    job->number = 0;
    job->states = false;
    job->file = journal->active_file;
    job->segment = journal->active;
    job->sync = true;
    submit(journal);
}

static void unpin(struct journal *journal)
{
    struct write_job *job = &journal->write;
    for (size_t i = 0; i < job->pinned_count; i++)
        message_unref(journal->options->pool, job->pinned[i]);
    for (size_t i = 0; i < job->lent_count; i++)
        shared_unref(job->lent[i]);
    job->pinned_count = job->lent_count = 0;
}

/* What a write failed of that may succeed later: room, or a descriptor for a new segment. NULL: it
 * is something else. Publishers wait meanwhile. */
static struct outage *passing(struct journal *journal, const struct write_job *job)
{
    if (job->sync_failed && !planted(PLANTED_SYNC_TRIED_AGAIN))
        return NULL;
    if (is_full(job->error))
        return &journal->full;
    return job->create[0] && (job->error == EMFILE || job->error == ENFILE) ? &journal->unopened
                                                                            : NULL;
}

/* A segment that nothing is in yet gets a reserve as its file. What is given up otherwise others
 * may have taken before it is tried again. */
static bool use_reserve(struct journal *journal)
{
    struct write_job *job = &journal->write;
    bool is_first = job->number && job->offset == SEGMENT_HEADER;
    const char *name = is_first ? space_take_reserve(journal, job->offset + job->size) : NULL;
    if (!name)
        return false;
    segment_name(job->create, job->segment->number);
    snprintf(job->recycle, sizeof(job->recycle), "%s", name);
    return true;
}

/* Nothing was promised about this batch, and no sync has failed: the same bytes can be written to
 * the same place again once there is room. */
static void write_later(struct journal *journal, struct outage *outage)
{
    outage_fail(outage, journal->options->log, journal->now_ms, strerror(journal->write.error));
    journal->space.is_short |= !planted(PLANTED_SHORT_FORGOTTEN);
    if (outage == &journal->full && (use_reserve(journal) || space_release(journal)))
        journal_retry(journal);
    else
        journal->retry_ms = outage->retry_ms;
}

static void note_written(struct journal *journal, const struct write_job *job)
{
    assert(job->number == 0 || job->number == journal->written + 1);
    if (job->number) {
        if (journal->written == journal->durable)
            journal->unsynced_ms = journal->now_ms;
        journal->written = job->number;
    }
    if (job->sync) {
        journal->durable = journal->written;
        journal->synced_ms = journal->now_ms;
        journal->stats->syncs++;
        if (journal->options->clock_us)
            note(&journal->stats->sync_us, job->us);
    }
    assert(journal->durable <= journal->written && journal->written < journal->filling->number);
}

void journal_written(struct job *link)
{
    struct write_job *job = (struct write_job *)link;
    struct journal *journal = job->journal;
    assert(journal->is_writing && !job->is_placing);
    journal->active_file = job->file;
    struct outage *outage = job->error ? passing(journal, job) : NULL;
    if (outage) {
        write_later(journal, outage);
        return;
    }
    journal->is_writing = false;
    journal->allocated = job->allocated;
    outage_succeed(&journal->full, journal->now_ms);
    outage_succeed(&journal->unopened, journal->now_ms);
    space_note(journal, job->free_bytes);
    unpin(journal);
    if (job->error) {
        journal_fail(journal,
                     job->sync_failed ? "syncing the journal failed" : "writing the journal failed",
                     job->error);
        return;
    }
    end_large(journal);
    note_written(journal, job);
}

void journal_retry(struct journal *journal)
{
    assert(journal->is_writing);
    journal->retry_ms = 0;
    submit(journal);
}
