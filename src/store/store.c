#include "store/store.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>

#include "base/mem.h"
#include "store/internal.h"

enum { STREAM_BYTES = 1 << 20, SWEEP_MS = 50, SPARE_CHECK_MS = 1500 };

void store_options_default(struct store_options *options)
{
    *options = (struct store_options){
        .segment_bytes = 64u << 20,
        .chunk_entries = 2048,
        .release_slots = 16384,
        .draft_steps = 2048,
        .cache_bytes = 4u << 20,
        .bodies_burst_bytes = 256u << 20,
        .bodies_idle_bytes = 1u << 20,
        .checkpoint_bytes = 256u << 20,
        .checkpoint_ms = 30000,
        .batch_bytes = 16u << 20,
        .batch_max_bytes = 1u << 30,
        .batch_large_bytes = 4u << 20,
        .sync_ms = 100,
        .recycle_segments = 4,
        .mark_step = 16384,
        .disk_reserve_bytes = STORE_DISK_RESERVE,
    };
}

struct destination *store_scratch(struct store *store, size_t count)
{
    if (count > store->scratch_capacity) {
        store->scratch_capacity = count * 2;
        store->scratch =
            mem_realloc(store->scratch, store->scratch_capacity * sizeof(*store->scratch));
    }
    return store->scratch;
}

/* ---- opening and closing ---- */

struct store *store_new(const struct store_options *options, uint64_t now_ms)
{
    struct store *store = mem_zalloc(sizeof(*store));
    store->options = *options;
    if (store->options.recycle_segments > SPARES_MAX)
        store->options.recycle_segments = SPARES_MAX;
    store->files.disk = options->disk;
    store->now_ms = store->checkpoint_ms = store->free_checked_ms = now_ms;
    slab_init(&store->slab);
    list_init(&store->segments);
    list_init(&store->awake);
    list_init(&store->mark_waiters);
    list_init(&store->read_waiters);
    list_init(&store->bodies);
    list_init(&store->cache);
    list_init(&store->dead);
    list_init(&store->condemned);
    list_init(&store->unreleased);
    list_init(&store->changed_chunks);
    list_init(&store->changed_indexes);
    list_init(&store->spent);
    map_init(&store->changed_names, 0);
    map_init(&store->image, 0);
    store->filling = mem_zalloc(sizeof(*store->filling));
    outage_init(&store->full, EVENT_disk_full, EVENT_disk_written);
    outage_init(&store->unopened, EVENT_segment_not_opened, EVENT_segment_opened);
    outage_init(&store->refusals, EVENT_messages_refused, EVENT_messages_taken);
    outage_init(&store->index_writes, EVENT_index_not_written, EVENT_index_written);
    outage_init(&store->index_reads, EVENT_index_not_read, EVENT_index_read);
    outage_init(&store->checkpoint_writes, EVENT_checkpoint_failed, EVENT_checkpoint_written);
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
    list_for_each(link, &store->segments) {
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
        if (index->next_sequence < index->mark && !planted(PLANTED_NUMBERS_BELOW_MARK))
            index->next_sequence = index->mark;
        index->cursor = 1;
        store->stats.messages_found += index->ready;
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

int store_give_identity(struct store *store)
{
    struct identity *identity = &store->identity;
    bool is_lost = identity->written == 0 && identity_is(identity->id);
    bool is_bad = identity->is_damaged;
    if (identity->written && !is_bad)
        return 0;
    if (!identity_is(identity->id))
        memcpy(identity->id, store->options.identity, IDENTITY_SIZE);
    if (!list_is_empty(&store->segments))
        identity->segment = list_entry(store->segments.prev, struct segment, link)->number;
    int error;
    do {
        identity->written = 0;
        error = identity_write(store->options.disk, identity);
    } while (error == ENOSPC && space_rescue(store));
    return is_lost || is_bad ? mended(store, IDENTITY_NAME, error) : error;
}

static void mend_headers(struct store *store)
{
    list_for_each(link, &store->segments) {
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
    if (error)
        return error;
    mend_headers(store);
    if (store->is_nameless) {
        mended(store, "index", 0);
        store->is_changed = true; /* the next checkpoint has it */
    }
    if (store->is_adrift)
        mended(store, ANCHOR_NAME, anchor_write(store->options.disk, store->checkpoint_number));
    for (size_t i = 0; i < store->missing_count; i++) {
        char name[32];
        segment_name(name, store->missing[i]);
        store->stats.mended++;
        store->is_changed = true;
        log_event(store->options.log, EVENT_segment_missing, "file=%s", name);
    }
    return 0;
}

static bool read_identity(struct store *store, char *error, size_t error_size)
{
    int failed = identity_read(store->options.disk, &store->identity);
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
    while (result < 0 && space_rescue(store))
        result = kv->ops->open(kv);
    return result;
}

static int sweep_index(struct store *store)
{
    int result = checkpoint_sweep(store);
    while (result < 0 && space_rescue(store))
        result = checkpoint_sweep(store);
    return result;
}

struct store *store_open(const struct store_options *options, uint64_t now_ms, char *error,
                         size_t error_size)
{
    struct store *store = store_new(options, now_ms);
    struct replay_report report = {0};
    struct position position = {0};
    struct kv *kv = options->kv;
    space_fit(store);
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
    store->position = position;
    store->previous = position.previous;
    store->written = store->durable = position.batch - 1;
    store->said = report.said;
    store->stated = report.stated;
    store->synced_ms = now_ms;
    store->filling->number = position.batch;
    store->stats.replayed_batches = report.batches;
    store->stats.cut_bytes = report.cut_bytes;
    store->journal_since = 0;
    start_cursors(store);
    if (report.cut_segment)
        log_event(options->log, EVENT_journal_cut,
                  "segment=%llu offset=%llu bytes=%llu reason=\"not readable, and not known to have "
                  "been synced\"",
                  (unsigned long long)report.cut_segment, (unsigned long long)report.cut_offset,
                  (unsigned long long)report.cut_bytes);
    return store;
}

static void collect(struct store *store);

static bool is_idle(const struct store *store)
{
    return !store->is_writing && !store->checkpoint && batch_is_empty(store->filling) &&
           store->durable == store->written;
}

/* After an orderly end it is known how far deliveries went: the marks need not be ahead of them. */
static void lower_marks(struct store *store)
{
    uint64_t at = 0;
    struct index *index;
    while ((index = idmap_next(&store->indexes, &at))) {
        if (index->mark == index->taken_high && !index->mark_batch)
            continue;
        index_changed(index);
        store->is_changed = true;
    }
}

void store_close(struct store *store)
{
    store->is_closing = true;
    lower_marks(store);
    /* Everything is synced, then one checkpoint is taken; a failure or a full disk ends the wait:
     * the journal has all that was promised. */
    for (int round = 0; round < 64 && !store->is_failed; round++) {
        store_want(store, store_ticket(store));
        if (is_idle(store) && journal_mark_ms(store) != UINT64_MAX)
            journal_mark(store);
        else if (is_idle(store) && store->is_changed)
            checkpoint_begin(store);
        else if (is_idle(store))
            break;
        if (store->retry_ms)
            store->retry_ms = store->now_ms; /* there is no later */
        store_tick(store, store->now_ms + 10);
        store->options.syncer->ops->drain(store->options.syncer);
        store->options.indexer->ops->drain(store->options.indexer);
        store->options.reader->ops->drain(store->options.reader);
        collect(store);
    }
    store_abandon(store);
}

/* With its messages. */
static void abandon_chunk(struct store *store, struct chunk *chunk)
{
    for (uint32_t slot = 0; chunk->entries && slot < chunk->slots; slot++)
        if (bit_get(chunk->live_bits, slot) && chunk->entries[slot].flags & ENTRY_MESSAGE)
            message_unref(store->options.pool, chunk->entries[slot].message);
    chunk_free(&store->slab, chunk);
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

static void abandon_job(struct store *store, struct job *job)
{
    switch ((enum job_kind)job->kind) {
    case JOB_WRITE:
        store->active_file = store->write.file;
        break;
    case JOB_CHECKPOINT:
        break;
    case JOB_FORGET:
    case JOB_RESERVE:
    case JOB_RELEASE:
        mem_free(job);
        break;
    case JOB_SPILL:
        ((struct spill_job *)job)->chunk->is_spilling = false;
        buffer_free(&((struct spill_job *)job)->batch);
        mem_free(job);
        break;
    case JOB_LOAD:
        ((struct load_job *)job)->chunk->is_loading = false;
        buffer_free(&((struct load_job *)job)->value);
        mem_free(job);
        break;
    case JOB_READ:
        read_free((struct read_job *)job);
        break;
    case JOB_SCAN:
        break;
    case JOB_MEND:
        mend_free((struct mend_job *)job);
        break;
    }
}

static void abandon_jobs(struct store *store, struct worker *worker)
{
    struct job *job;
    worker->ops->drain(worker);
    while ((job = worker->ops->finished(worker)))
        abandon_job(store, job);
}

void store_abandon(struct store *store)
{
    abandon_jobs(store, store->options.syncer);
    abandon_jobs(store, store->options.indexer);
    abandon_jobs(store, store->options.reader);
    files_forget(&store->files, 0);
    if (store->active_file)
        store->options.disk->ops->close(store->active_file);
    if (store->write.before && store->write.before != store->active_file)
        store->options.disk->ops->close(store->write.before);
    checkpoint_free(store->checkpoint);
    checkpoint_free(store->draft);
    compact_stop(store);
    uint64_t at = 0;
    struct index *index;
    while ((index = idmap_next(&store->indexes, &at)))
        free_index(index);
    struct list *link;
    while ((link = list_first(&store->dead)))
        chunk_free(&store->slab, list_entry(link, struct chunk, cache_link));
    while ((link = list_first(&store->condemned)))
        abandon_chunk(store, list_entry(link, struct chunk, cache_link));
    while ((link = list_first(&store->segments)))
        segment_free(store, list_entry(link, struct segment, link));
    for (size_t i = 0; i < store->write.pinned_count; i++)
        message_unref(store->options.pool, store->write.pinned[i]);
    mem_free(store->write.inserts);
    mem_free(store->write.pinned);
    mem_free(store->write.block);
    batch_free(store, store->filling);
    batch_free(store, store->sealing);
    while ((link = list_take_first(&store->spent)))
        batch_free(store, list_entry(link, struct batch, link));
    names_free(&store->changed_names);
    names_free(&store->image);
    idmap_free(&store->indexes);
    idmap_free(&store->segments_by_number);
    mem_free(store->dead_blobs);
    mem_free(store->dead_names);
    mem_free(store->dead_queues);
    mem_free(store->scratch);
    mem_free(store->mending.chunks);
    mem_free(store->missing);
    read_free(store->read_spare);
    slab_free_all(&store->slab);
    store->options.kv->ops->close(store->options.kv);
    mem_free(store);
}

/* ---- the turn ---- */

static void finish_job(struct store *store, struct job *job)
{
    switch ((enum job_kind)job->kind) {
    case JOB_WRITE:
        journal_written(store, (struct write_job *)job);
        break;
    case JOB_CHECKPOINT:
        checkpoint_done(store, (struct checkpoint_job *)job);
        break;
    case JOB_RESERVE:
        reserve_done(store, (struct reserve_job *)job);
        break;
    case JOB_RELEASE:
        release_done(store, (struct release_job *)job);
        break;
    case JOB_FORGET:
        mem_free(job);
        break;
    case JOB_SPILL:
        spill_done(store, (struct spill_job *)job);
        break;
    case JOB_LOAD:
        load_done(store, (struct load_job *)job);
        break;
    case JOB_READ:
        read_done(store, (struct read_job *)job);
        break;
    case JOB_SCAN:
        scan_done(store, (struct scan_job *)job);
        break;
    case JOB_MEND:
        mend_done(store, (struct mend_job *)job);
        break;
    }
}

static void collect(struct store *store)
{
    struct worker *workers[] = {store->options.syncer, store->options.indexer,
                                store->options.reader};
    for (size_t i = 0; i < sizeof(workers) / sizeof(workers[0]); i++) {
        struct job *job;
        while ((job = workers[i]->ops->finished(workers[i])))
            finish_job(store, job);
    }
}

static void wake_marked(struct store *store)
{
    list_for_each_safe(link, after, &store->mark_waiters) {
        struct index *index = list_entry(link, struct index, wait_link);
        if (index->mark_batch <= store->durable)
            index_wake(index);
    }
}

static bool is_time_to_write(const struct store *store)
{
    const struct batch *batch = store->filling;
    if (store->is_held)
        return false;
    uint32_t enough = store->options.batch_bytes / 2 < STREAM_BYTES ? store->options.batch_bytes / 2
                                                                    : STREAM_BYTES;
    return store->wanted >= batch->number || batch->size >= enough ||
           store->now_ms - batch->since_ms >= store->options.sync_ms || checkpoint_is_due(store);
}

static bool is_time_to_sync(const struct store *store)
{
    return store->wanted > store->durable ||
           (store->written > store->durable &&
            store->now_ms - store->unsynced_ms >= store->options.sync_ms);
}

static void write_tick(struct store *store)
{
    if (store->is_failed)
        return;
    if (store->is_writing) {
        if (store->write.is_placing)
            journal_place(store);
        else if (store->retry_ms && store->now_ms >= store->retry_ms)
            journal_retry(store);
        return;
    }
    const struct batch *batch = store->filling;
    if (!batch_is_empty(batch) && is_time_to_write(store)) {
        bool aged = store->now_ms - batch->since_ms >= store->options.sync_ms;
        journal_write(store, aged || is_time_to_sync(store));
    } else if (store->written > store->durable && is_time_to_sync(store)) {
        journal_sync(store);
    } else if (store->now_ms >= journal_mark_ms(store)) {
        journal_mark(store);
    }
}

void store_tick(struct store *store, uint64_t now_ms)
{
    struct steps *steps = store->options.steps;
    store->now_ms = now_ms;
    store->has_new_room = false;
    steps_next(steps, "collect");
    collect(store);
    wake_marked(store);
    steps_next(steps, "read");
    reads_retry(store);
    steps_next(steps, "release");
    release_tick(store);
    steps_next(steps, "spill");
    spill_tick(store);
    mend_tick(store);
    read_spare_free(store);
    journal_tick(store);
    steps_next(steps, "compact");
    compact_tick(store);
    steps_next(steps, "draft");
    checkpoint_draft(store);
    steps_next(steps, "write");
    write_tick(store);
    steps_next(steps, "checkpoint");
    if (checkpoint_is_due(store) && batch_is_empty(store->filling) && !store->write.is_placing)
        checkpoint_begin(store);
    checkpoint_tick(store);
    space_tick(store);
    memory_tick(store);
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t next_of_outages(const struct store *store)
{
    const struct outage *outages[] = {&store->full,        &store->unopened,
                                      &store->refusals,    &store->index_writes,
                                      &store->index_reads, &store->checkpoint_writes};
    uint64_t next = UINT64_MAX;
    for (size_t i = 0; i < sizeof(outages) / sizeof(outages[0]); i++)
        next = earlier(next, outage_next_ms(outages[i], store->now_ms));
    return next;
}

uint64_t store_next_ms(const struct store *store)
{
    uint64_t next = UINT64_MAX;
    if (store->is_failed)
        return next;
    if (!store->is_writing && !store->is_held && !batch_is_empty(store->filling))
        next = is_time_to_write(store) ? store->now_ms
                                       : store->filling->since_ms + store->options.sync_ms;
    if (!store->is_writing && store->written > store->durable)
        next = earlier(next, is_time_to_sync(store) ? store->now_ms
                                                    : store->unsynced_ms + store->options.sync_ms);
    if (store->retry_ms)
        next = earlier(next, store->retry_ms);
    if (store->checkpoint && !store->checkpoint->is_submitted)
        next = earlier(next, outage_allows(&store->checkpoint_writes, store->now_ms)
                                 ? store->now_ms + SWEEP_MS
                                 : store->checkpoint_writes.retry_ms);
    /* While a write is under way and the next batch has begun, only the write's end brings it on. */
    bool may_begin =
        !store->is_writing || (batch_is_empty(store->filling) && !store->write.is_placing);
    if (store->is_changed && !store->checkpoint && may_begin)
        next = earlier(next, checkpoint_due_ms(store));
    if (!list_is_empty(&store->read_waiters))
        next = earlier(next, store->read_retry_ms);
    next = earlier(next, space_next_ms(store));
    next = earlier(next, next_of_outages(store));
    if (store->read_spare)
        next = earlier(next, store->read_spare->used_ms + SPARE_CHECK_MS);
    next = earlier(next, journal_tick_ms(store));
    next = earlier(next, journal_mark_ms(store));
    next = earlier(next, memory_next_ms(store));
    if (!list_is_empty(&store->condemned) || store->has_idle_bodies ||
        checkpoint_is_drafting(store))
        next = store->now_ms;
    bool sweeps = spill_has_to_look(store) ||
                  (store->compaction.segment && !store->compaction.is_reading);
    if (sweeps)
        next = earlier(next, store->now_ms + SWEEP_MS);
    return next;
}

bool store_is_congested(const struct store *store)
{
    return store->filling->size >= store->options.batch_bytes;
}

enum store_room store_room(struct store *store, uint64_t bytes)
{
    uint64_t max = store->options.batch_max_bytes, used = store->filling->size + store->promised;
    if (used + bytes <= store->room || planted(PLANTED_ROOM_NOT_ASKED))
        return STORE_ROOM_NOW;
    if (used + bytes > max)
        return bytes <= max ? STORE_ROOM_LATER : STORE_ROOM_NEVER;
    return space_room(store, bytes);
}

enum store_room store_room_ending(struct store *store, uint64_t bytes)
{
    enum store_room room = store_room(store, bytes);
    bool may_wait = room == STORE_ROOM_LATER || room == STORE_ROOM_FULL;
    return may_wait && space_ends(store, bytes) ? STORE_ROOM_NOW : room;
}

void store_refused(struct store *store)
{
    store->stats.messages_refused++;
    outage_fail(&store->refusals, store->options.log, store->now_ms, "no room on the disk");
    outage_succeed(&store->refusals, store->now_ms);
}

uint64_t store_room_max(const struct store *store)
{
    return store->options.batch_max_bytes;
}

uint64_t store_message_bytes(const struct message *message, size_t queues)
{
    return RECORD_HEADER + MESSAGE_PAYLOAD_FIXED + (uint64_t)queues * DESTINATION_SIZE +
           message_data_size(message);
}

bool store_hold(struct store *store, uint64_t bytes)
{
    if (store->held_batch == store->filling->number)
        return false;
    store->held_batch = store->filling->number;
    store->is_held = true;
    store->promised = bytes;
    return true;
}

void store_release(struct store *store)
{
    assert(store->is_held);
    store->is_held = false;
    store->promised = 0;
}

const char *store_failure(const struct store *store)
{
    return store->is_failed ? store->failure : NULL;
}

bool store_is_short(const struct store *store)
{
    return store->is_short;
}

bool store_is_full(const struct store *store)
{
    return store->retry_ms;
}

uint64_t store_disk_reserve(const struct store *store)
{
    return store->options.disk_reserve_bytes;
}

const struct store_stats *store_stats(struct store *store)
{
    store->stats.segments = store->segments_by_number.count;
    store->stats.cache_bytes = store->cache_used;
    return &store->stats;
}

struct index *store_take_awake(struct store *store)
{
    struct list *link = list_take_first(&store->awake);
    return link ? list_entry(link, struct index, wait_link) : NULL;
}

/* ---- tickets ---- */

struct ticket store_ticket(const struct store *store)
{
    return (struct ticket){.index = store->filling->number};
}

struct ticket store_names_ticket(const struct store *store)
{
    return (struct ticket){.index = store->names_batch};
}

void store_want(struct store *store, struct ticket ticket)
{
    if (ticket.index > store->wanted)
        store->wanted = ticket.index;
}

uint64_t store_durable_index(const struct store *store)
{
    bool is_all = store->durable == store->written && !store->is_writing && !store->is_failed &&
                  batch_is_empty(store->filling);
    if (is_all)
        return store->filling->number;
    return store->durable;
}

enum ticket_state store_ticket_state(const struct store *store, struct ticket ticket)
{
    if (ticket.index <= store_durable_index(store))
        return TICKET_DURABLE;
    return store->is_failed ? TICKET_FAILED : TICKET_PENDING;
}

/* ---- queues and messages ---- */

uint64_t store_queue_id(struct store *store, bool survives)
{
    if (survives)
        return ++store->id_last;
    return ++store->id_last_transient | STORE_ID_TRANSIENT;
}

static void record_id(struct store *store, enum record_type type, uint64_t id)
{
    struct buffer payload = {0};
    buffer_add_u64(&payload, id);
    batch_add(store, type, buffer_bytes(&payload));
    buffer_free(&payload);
}

struct index *store_queue(struct store *store, uint64_t id, void *owner)
{
    struct index *index = idmap_find(&store->indexes, id);
    if (!index) {
        index = index_new(store, id);
        if (!(id & STORE_ID_TRANSIENT)) {
            record_id(store, RECORD_QUEUE, id);
            index_changed(index);
            store->is_changed = true;
        }
    }
    index->owner = owner;
    return index;
}

void store_queue_delete_recovered(struct store *store, struct index *index)
{
    uint64_t id = index->id;
    index_drop(index);
    store->dead_queues =
        mem_grow(store->dead_queues, &store->dead_queues_capacity, store->dead_queues_count + 1, 8);
    store->dead_queues[store->dead_queues_count++] = id;
    store->is_changed = true;
}

void store_queue_delete(struct store *store, struct index *index)
{
    uint64_t id = index->id;
    if (id & STORE_ID_TRANSIENT) {
        index_drop(index);
        return;
    }
    store_queue_delete_recovered(store, index);
    record_id(store, RECORD_DROP, id);
}

void store_drop_orphans(struct store *store)
{
    uint64_t at = 0;
    struct index *index;
    while ((index = idmap_next(&store->indexes, &at))) {
        if (index->owner)
            continue;
        log_event(store->options.log, EVENT_queue_dropped, "id=%llu ready=%llu",
                  (unsigned long long)index->id, (unsigned long long)index->ready);
        store_queue_delete(store, index);
        at = 0;
    }
}

bool store_publish(struct store *store, struct message *message, struct index *const *queues,
                   size_t count)
{
    if (!(message->flags & MESSAGE_PERSISTENT)) {
        for (size_t i = 0; i < count; i++)
            index_push(queues[i], message, 0);
        return false;
    }
    struct destination *kept = store_scratch(store, count);
    uint32_t kept_count = 0;
    for (size_t i = 0; i < count; i++) {
        bool survives = !(queues[i]->id & STORE_ID_TRANSIENT);
        uint64_t sequence = index_push(queues[i], message, survives ? ENTRY_RECORDED : 0);
        if (survives)
            kept[kept_count++] = (struct destination){queues[i]->id, sequence};
    }
    if (kept_count)
        batch_add_message(store, RECORD_MESSAGE, message, kept, kept_count);
    return kept_count > 0;
}
