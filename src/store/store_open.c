/* A store is opened, closed and abandoned. */
#include "store/store.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>

#include "base/mem.h"
#include "store/internal.h"

/* ---- opening ---- */

static void memory_init(struct memory *memory)
{
    slab_init(&memory->slab);
    list_init(&memory->read_waiters);
    list_init(&memory->reading_line);
    list_init(&memory->bodies);
    list_init(&memory->cache);
    list_init(&memory->dead);
    list_init(&memory->condemned);
    list_init(&memory->unreleased);
    outage_init(&memory->index_writes, EVENT_index_not_written, EVENT_index_written);
    outage_init(&memory->index_reads, EVENT_index_not_read, EVENT_index_read);
}

static void image_init(struct image *image, uint64_t now_ms)
{
    image->began_ms = now_ms;
    list_init(&image->changed_chunks);
    list_init(&image->changed_indexes);
    map_init(&image->changed_names, 0);
    map_init(&image->catalogue, 0);
    outage_init(&image->writes, EVENT_checkpoint_failed, EVENT_checkpoint_written);
}

struct store *store_new(const struct store_options *options, uint64_t now_ms)
{
    struct store *store = mem_zalloc(sizeof(*store));
    store->options = *options;
    if (store->options.recycle_segments > SPARES_MAX)
        store->options.recycle_segments = SPARES_MAX;
    store->now_ms = now_ms;
    list_init(&store->awake);
    list_init(&store->mark_waiters);
    list_init(&store->changed);
    journal_init(&store->journal, &store->options, &store->stats, now_ms);
    memory_init(&store->memory);
    groups_init(&store->groups);
    image_init(&store->image, now_ms);
    return store;
}

static int sync_segment(struct store *store, const struct segment *segment)
{
    struct disk *disk = store->options.disk;
    struct disk_file *file;
    char name[32];
    segment_name(name, segment->number);
    int failed = disk->ops->open(disk, name, DISK_WRITE, &file);
    if (failed)
        return failed;
    failed = disk->ops->sync(file);
    disk->ops->close(file);
    return failed;
}

/* What was read back may be in the page cache only: what follows relies on it. */
static bool sync_replayed(struct store *store, uint64_t from, char *error, size_t error_size)
{
    list_for_each(link, &store->journal.segments) {
        struct segment *segment = list_entry(link, struct segment, link);
        bool is_due = segment->last_batch >= from && !planted(PLANTED_REPLAYED_NOT_SYNCED);
        int failed = is_due ? sync_segment(store, segment) : 0;
        if (failed) {
            snprintf(error, error_size, "the journal cannot be synced: %s", strerror(failed));
            return false;
        }
    }
    return true;
}

static void start_cursors(struct store *store)
{
    uint64_t at = 0;
    struct index *index;
    while ((index = idmap_next(&store->indexes, &at))) {
        index->mark_asked = index->taken_high = index->mark;
        bool is_of_group = store_is_of_group(index->id) && !planted(PLANTED_GROUP_NEXT_RAISED);
        bool may_raise = !is_of_group && !planted(PLANTED_NUMBERS_BELOW_MARK);
        if (index->next_sequence < index->mark && may_raise)
            index->next_sequence = index->mark;
        index->cursor = 1;
        store->stats.messages_found += index->ready + index->delayed;
    }
}

/* ---- what the start has found damaged, and made whole ---- */

static int mended(struct store *store, const char *what, int error)
{
    store->stats.mended++;
    if (error)
        log_event(store->options.log, EVENT_store_mended,
                  "file=%s reason=\"it could not be written: %s\"", what, strerror(error));
    else
        log_event(store->options.log, EVENT_store_mended, "file=%s", what);
    return error;
}

/* 0: there is none. */
static uint32_t last_segment(const struct store *store)
{
    const struct list *segments = &store->journal.segments;
    return list_is_empty(segments) ? 0 : list_entry(segments->prev, struct segment, link)->number;
}

int store_give_identity(struct store *store)
{
    struct identity *identity = &store->journal.identity;
    bool is_lost = identity->written == 0 && identity_is(identity->id);
    bool is_bad = identity->is_damaged;
    if (identity->written && !is_bad)
        return 0;
    if (!identity_is(identity->id))
        memcpy(identity->id, store->options.identity, IDENTITY_SIZE);
    if (last_segment(store))
        identity->segment = last_segment(store);
    int error;
    do {
        identity->written = 0;
        error = identity_write(store->options.disk, identity);
    } while (error == ENOSPC && space_rescue(&store->journal));
    return is_lost || is_bad ? mended(store, IDENTITY_NAME, error) : error;
}

/* A segment may have been begun by a broker that ended before this was told, and before its name was
 * durable. What is written from now on goes behind it, and those before it may go. */
static int tell_last_segment(struct store *store)
{
    struct identity *identity = &store->journal.identity;
    struct disk *disk = store->options.disk;
    if (last_segment(store) <= identity->segment)
        return 0;
    int error = disk->ops->sync_folder(disk);
    if (error)
        return error;
    identity->segment = last_segment(store);
    return identity_write(disk, identity);
}

static void mend_headers(struct store *store)
{
    list_for_each(link, &store->journal.segments) {
        struct segment *segment = list_entry(link, struct segment, link);
        char name[32];
        segment_name(name, segment->number);
        if (segment->is_headless && segment->first_batch)
            mended(store, name, segment_mend(store, segment));
        segment->is_headless = false;
    }
}

/* What is not written now is damaged still at the next start, which comes here again. */
static int make_whole(struct store *store)
{
    int error = store_give_identity(store);
    if (!error)
        error = tell_last_segment(store);
    if (error)
        return error;
    mend_headers(store);
    if (store->image.is_nameless) {
        mended(store, "index", 0);
        store->image.is_changed = true; /* the next checkpoint has it */
    }
    if (store->image.is_adrift)
        mended(store, ANCHOR_NAME, anchor_write(store->options.disk, store->image.number));
    for (size_t i = 0; i < store->image.missing_count; i++) {
        char name[32];
        segment_name(name, store->image.missing[i]);
        store->stats.mended++;
        store->image.is_changed = true;
        log_event(store->options.log, EVENT_segment_missing, "file=%s", name);
    }
    return 0;
}

static bool read_identity(struct store *store, char *error, size_t error_size)
{
    int failed = identity_read(store->options.disk, &store->journal.identity);
    if (failed)
        snprintf(error, error_size, "the file " IDENTITY_NAME " cannot be read: %s",
                 failed == ENOTSUP ? "it is of a newer version" : strerror(failed));
    return failed == 0;
}

/* LevelDB writes when it is opened. On a full disk what is kept for that goes, step by step. */
static int open_index(struct store *store)
{
    struct kv *kv = store->options.kv;
    int result = kv->ops->open(kv);
    while (result < 0 && space_rescue(&store->journal))
        result = kv->ops->open(kv);
    return result;
}

static int sweep_index(struct store *store)
{
    int result = checkpoint_sweep(store);
    while (result < 0 && space_rescue(&store->journal))
        result = checkpoint_sweep(store);
    return result;
}

static void note_end(struct store *store, const struct position *end, uint64_t known)
{
    store->stats.end_segment = end->segment;
    store->stats.end_offset = end->offset;
    store->stats.end_batch = end->batch - 1;
    store->stats.known_batch = known;
}

struct store *store_open(const struct store_options *options, uint64_t now_ms, char *error,
                         size_t error_size)
{
    struct store *store = store_new(options, now_ms);
    struct replay_report report = {0};
    struct position position = {0};
    struct kv *kv = options->kv;
    space_fit(&store->journal);
    bool ok = open_index(store) >= 0;
    if (!ok)
        snprintf(error, error_size, "the index cannot be opened: %s", kv->error);
    ok = ok && read_identity(store, error, error_size) &&
         checkpoint_load(store, &position, error, error_size) >= 0 &&
         replay(store, &position, true, &report, error, error_size) &&
         (report.batches == 0 ||
          sync_replayed(store, position.batch - report.batches, error, error_size));
    if (ok && sweep_index(store) < 0) {
        snprintf(error, error_size, "the index cannot be written: %s", kv->error);
        ok = false;
    }
    int failed = ok ? make_whole(store) : 0;
    if (failed) {
        snprintf(error, error_size, "the data directory cannot be written: %s", strerror(failed));
        ok = false;
    }
    if (!ok) {
        store_abandon(store);
        return NULL;
    }
    store->journal.position = position;
    store->journal.previous = position.previous;
    store->journal.written = store->journal.durable = position.batch - 1;
    store->journal.said = report.said;
    store->journal.stated = report.stated;
    store->journal.synced_ms = now_ms;
    store->journal.filling->number = position.batch;
    note_end(store, &position, report.known);
    store->stats.replayed_batches = report.batches;
    store->stats.cut_bytes = report.cut_bytes;
    store->journal.since_image = 0;
    start_cursors(store);
    if (report.cut_segment)
        log_event(
            options->log, EVENT_journal_cut,
            "segment=%llu offset=%llu bytes=%llu reason=\"not readable, and not known to have "
            "been synced\"",
            (unsigned long long)report.cut_segment, (unsigned long long)report.cut_offset,
            (unsigned long long)report.cut_bytes);
    return store;
}

static bool is_idle(const struct store *store)
{
    return !store->journal.is_writing && !store->image.job &&
           batch_is_empty(store->journal.filling) &&
           store->journal.durable == store->journal.written;
}

/* After an orderly end it is known how far deliveries went: the marks need not be ahead of them. */
static void lower_marks(struct store *store)
{
    uint64_t at = 0;
    struct index *index;
    while ((index = idmap_next(&store->indexes, &at))) {
        if ((index->mark == index->taken_high && !index->mark_batch) || store_is_of_group(index->id))
            continue;
        index_changed(index);
        store->image.is_changed = true;
    }
}

void store_close(struct store *store)
{
    store->journal.is_closing = true;
    backup_finish(store);
    lower_marks(store);
    /* Everything is synced, then one checkpoint is taken; a failure or a full disk ends the wait:
     * the journal has all that was promised. */
    for (int round = 0; round < 64 && !store->journal.is_failed; round++) {
        store_want(store, store_ticket(store));
        if (is_idle(store) && journal_mark_ms(&store->journal) != UINT64_MAX)
            journal_mark(&store->journal);
        else if (is_idle(store) && checkpoint_has_news(store))
            checkpoint_begin(store);
        else if (is_idle(store))
            break;
        if (store->journal.retry_ms)
            store->journal.retry_ms = store->now_ms; /* there is no later */
        store_tick(store, store->now_ms + 10);
        store->options.syncer->ops->drain(store->options.syncer);
        store->options.indexer->ops->drain(store->options.indexer);
        store->options.reader->ops->drain(store->options.reader);
        store_take_finished(store);
    }
    store_abandon(store);
}

/* With its messages. */
static void abandon_chunk(struct store *store, struct chunk *chunk)
{
    for (uint32_t slot = 0; chunk->entries && slot < chunk->slots; slot++)
        if (bit_get(chunk->live_bits, slot) && chunk->entries[slot].flags & ENTRY_MESSAGE)
            message_unref(store->options.pool, chunk->entries[slot].message);
    chunk_free(&store->memory.slab, chunk);
}

static void free_index(struct index *index)
{
    for (uint32_t i = 0; i < index->chunks_count; i++)
        abandon_chunk(index->store, index->chunks[index->chunks_first + i]);
    list_remove(&index->dirty_link);
    list_remove(&index->wait_link);
    mem_free(index->chunks);
    mem_free(index);
}

static void abandon_jobs(struct worker *worker)
{
    struct job *job;
    worker->ops->drain(worker);
    while ((job = worker->ops->finished(worker)))
        if (job->abandon)
            job->abandon(job);
}

static void image_free(struct image *image)
{
    checkpoint_free(image->job);
    checkpoint_free(image->draft);
    names_free(&image->changed_names);
    names_free(&image->catalogue);
    mem_free(image->dead_blobs);
    mem_free(image->dead_names);
    mem_free(image->dead_queues);
    mem_free(image->missing);
}

static void free_chunks(struct store *store)
{
    uint64_t at = 0;
    struct index *index;
    while ((index = idmap_next(&store->indexes, &at)))
        free_index(index);
    idmap_free(&store->indexes);
    struct list *link;
    while ((link = list_first(&store->memory.dead)))
        chunk_free(&store->memory.slab, list_entry(link, struct chunk, cache_link));
    while ((link = list_first(&store->memory.condemned)))
        abandon_chunk(store, list_entry(link, struct chunk, cache_link));
}

void store_abandon(struct store *store)
{
    backup_finish(store);
    abandon_jobs(store->options.syncer);
    abandon_jobs(store->options.indexer);
    abandon_jobs(store->options.reader);
    compact_stop(store);
    free_chunks(store);
    groups_free(store);
    image_free(&store->image);
    journal_free(&store->journal);
    mem_free(store->scratch);
    mem_free(store->mending.chunks);
    read_free(store->memory.read_spare);
    slab_free_all(&store->memory.slab);
    store->options.kv->ops->close(store->options.kv);
    mem_free(store);
}
