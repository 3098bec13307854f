/* Mending what the key-value store has lost. The blob of a cold chunk tells where its messages lie; when
 * it is gone or damaged, the journal still tells, as each message's record names the queues it went to
 * and its sequence numbers there, and the chunk's bits, which are always in memory, tell which of them
 * are live. So the segments are searched for the records of these sequence numbers; the last one counts,
 * as messages move on. What is not found is set aside: it is not delivered and not removed, and what it
 * holds of some segment stays.
 *
 * The reader searches, a slice at a time so that others are read in between, for all chunks that were
 * found damaged meanwhile. While a chunk waits here it counts as loading.
 *
 * What the entries held in segments was counted when they were made. If every record could be read, the
 * last one of a message is where its entry was. If not, the entry may have been elsewhere: then it holds
 * the place anew, and what it held stays held, which keeps a segment for too long and never too short. */
#include <assert.h>
#include <stdlib.h>

#include "base/mem.h"
#include "store/internal.h"

enum { CHUNKS_AT_ONCE = 64, SLICE_BYTES = 4 << 20 };

/* ---- the reader's side ---- */

static int by_place(const void *a, const void *b)
{
    const struct mend_want *left = a, *right = b;
    if (left->queue != right->queue)
        return left->queue < right->queue ? -1 : 1;
    return (left->base > right->base) - (left->base < right->base);
}

/* The chunk that has this sequence number of the queue; NULL: none that is wanted. */
static struct mend_want *find_want(struct mend_job *job, struct destination destination)
{
    size_t low = 0, high = job->wants_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        const struct mend_want *want = &job->wants[middle];
        bool is_below = want->queue < destination.queue ||
                        (want->queue == destination.queue && want->base <= destination.sequence);
        if (is_below)
            low = middle + 1;
        else
            high = middle;
    }
    struct mend_want *want = low ? &job->wants[low - 1] : NULL;
    bool has = want && want->queue == destination.queue &&
               destination.sequence - want->base < want->slots;
    return has ? want : NULL;
}

static void note_record(struct mend_job *job, const struct record *record)
{
    struct message_payload payload;
    if (record->type > RECORD_PAGED || !message_payload_read(record->payload, &payload))
        return;
    for (uint32_t i = 0; i < payload.destinations; i++) {
        struct destination destination = message_payload_destination(&payload, i);
        struct mend_want *want = find_want(job, destination);
        if (!want)
            continue;
        uint32_t slot = (uint32_t)(destination.sequence - want->base);
        want->entries[slot] = (struct entry){.segment = record->place.segment,
                                             .offset = record->place.offset,
                                             .size = record->place.size,
                                             .destinations = payload.destinations,
                                             .expires_ms = destination.expires_ms,
                                             .priority = payload.priority,
                                             .body_size = (uint32_t)payload.body_size,
                                             .flags = record->type == RECORD_PAGED
                                                          ? ENTRY_PAGED
                                                          : ENTRY_RECORDED};
        bit_set(want->present, slot);
    }
}

/* Searches on, for about `bytes`. */
static void search(struct mend_job *job, uint64_t bytes)
{
    struct sift *sift = &job->sift;
    uint64_t until = sift->read_bytes + bytes;
    while (job->at < job->sources_count && sift->read_bytes < until) {
        struct mend_source *source = &job->sources[job->at];
        struct record record;
        if (!source->has_begun)
            sift_begin(sift, source->number, source->end);
        source->has_begun = true;
        enum sift_result result = sift_next(sift, &record);
        if (result == SIFT_RECORD)
            note_record(job, &record);
        source->is_bad = source->is_bad || result == SIFT_BAD || sift->error;
        job->at += result == SIFT_END;
    }
}

static void run_mend(struct job *link)
{
    search((struct mend_job *)link, SLICE_BYTES);
}

/* ---- the owner's side ---- */

static void add_source(struct mend_job *job, struct segment *segment)
{
    const struct store *store = job->store;
    bool is_in_flight = store->journal.is_writing && store->journal.write.number &&
                        segment == store->journal.write.segment;
    segment->readers++;
    job->sources[job->sources_count++] = (struct mend_source){
        .segment = segment,
        .number = segment->number,
        .end = is_in_flight ? store->journal.write.offset : segment->size,
    };
}

static struct mend_job *job_new(struct store *store, struct chunk *const *chunks, size_t count)
{
    struct mend_job *job = mem_zalloc(sizeof(*job));
    job->job.run = run_mend;
    job->store = store;
    job->sift.files = &store->journal.files;
    job->wants = mem_zalloc_array(count, sizeof(*job->wants));
    job->wants_count = count;
    for (size_t i = 0; i < count; i++) {
        struct chunk *chunk = chunks[i];
        job->wants[i] = (struct mend_want){
            .chunk = chunk,
            .queue = chunk->queue_id,
            .base = chunk->base,
            .slots = chunk->slots,
            .capacity = chunk->capacity,
            .entries = entries_new(&store->memory.slab, chunk->capacity),
            .present = mem_zalloc_array((chunk->capacity + 63) / 64, 8),
        };
    }
    qsort(job->wants, count, sizeof(*job->wants), by_place);
    job->sources =
        mem_zalloc_array(store->journal.segments_by_number.count + 1, sizeof(*job->sources));
    list_for_each(link, &store->journal.segments) {
        struct segment *segment = list_entry(link, struct segment, link);
        if (segment->live_entries && !segment->is_gone)
            add_source(job, segment);
    }
    return job;
}

static void mend_free(struct mend_job *job)
{
    for (size_t i = 0; i < job->wants_count; i++) {
        entries_free(&job->store->memory.slab, job->wants[i].entries, job->wants[i].capacity);
        mem_free(job->wants[i].present);
    }
    sift_free(&job->sift);
    mem_free(job->wants);
    mem_free(job->sources);
    mem_free(job);
}

static void mend_abandon(struct job *link)
{
    mend_free((struct mend_job *)link);
}

static bool is_recorded(const struct chunk *chunk, uint32_t slot)
{
    return !(chunk->queue_id & STORE_ID_TRANSIENT) &&
           (!chunk->recorded_bits || bit_get(chunk->recorded_bits, slot));
}

/* Its place is not known: it holds what it held. */
static void lose(struct chunk *chunk, uint32_t slot)
{
    chunk->entries[slot] = (struct entry){
        .destinations = 1,
        .flags = (uint8_t)(ENTRY_DAMAGED | (is_recorded(chunk, slot) ? ENTRY_RECORDED : 0))};
    if (!bit_get(chunk->ready_bits, slot))
        return;
    index_unready(chunk->index, chunk, slot, 0); /* chunk_weighed counts its bytes */
}

/* Takes in what was found; returns how many of the live messages were not. */
static uint32_t take_in(struct store *store, struct mend_want *want, bool is_exact)
{
    struct chunk *chunk = want->chunk;
    uint32_t lost = 0;
    chunk->entries = want->entries;
    want->entries = NULL;
    for (uint32_t slot = 0; slot < chunk->slots; slot++) {
        struct entry *entry = &chunk->entries[slot];
        bool is_found = bit_get(want->present, slot) &&
                        (entry->flags & ENTRY_RECORDED) ==
                            (is_recorded(chunk, slot) ? ENTRY_RECORDED : 0);
        if (!bit_get(chunk->live_bits, slot)) {
            *entry = (struct entry){0};
        } else if (!is_found) {
            lose(chunk, slot);
            lost++;
        } else if (!is_exact) {
            segment_hold(&store->journal, entry_place(entry), entry->destinations,
                         entry->flags & ENTRY_RECORDED);
        }
        chunk_note_time(chunk, entry->expires_ms);
    }
    chunk_weighed(chunk);
    return lost;
}

static void finish_chunk(struct store *store, struct mend_want *want, bool is_exact)
{
    struct chunk *chunk = want->chunk;
    assert(!chunk->entries && chunk->bodies == 0);
    chunk->is_loading = false;
    store->stats.chunks_damaged++;
    if (!chunk->index) {
        log_event(store->options.log, EVENT_index_damaged,
                  "queue=%llu first=%llu blob=%llu gone=yes", (unsigned long long)chunk->queue_id,
                  (unsigned long long)chunk->base, (unsigned long long)chunk->blob);
        blob_drop(store, chunk);
        chunk_discard(store, chunk);
        return;
    }
    uint64_t blob = chunk->blob;
    uint32_t lost = take_in(store, want, is_exact);
    chunk->unreleased = 0;
    chunk->is_old = false;
    entry_changed(store, chunk);
    list_remove(&chunk->cache_link);
    chunk_cache(store, chunk);
    store->image.is_changed = true;
    store->stats.damaged += lost;
    log_event(store->options.log, EVENT_index_damaged,
              "queue=%llu first=%llu blob=%llu mended=%u set_aside=%u",
              (unsigned long long)chunk->queue_id, (unsigned long long)chunk->base,
              (unsigned long long)blob, chunk->live - lost, lost);
    index_wake(chunk->index);
}

static void finish(struct store *store, struct mend_job *job)
{
    bool is_exact = true;
    for (size_t i = 0; i < job->sources_count; i++)
        is_exact = is_exact && (!job->sources[i].is_bad || job->sources[i].segment->is_gone);
    for (size_t i = 0; i < job->wants_count; i++)
        finish_chunk(store, &job->wants[i], is_exact);
    for (size_t i = 0; i < job->sources_count; i++)
        segment_unread(&store->journal, job->sources[i].segment);
    mend_free(job);
}

void mend_now(struct store *store, struct chunk *chunk)
{
    struct mend_job *job = job_new(store, &chunk, 1);
    search(job, UINT64_MAX / 2);
    finish(store, job);
}

void mend_later(struct store *store, struct chunk *chunk)
{
    struct mending *mending = &store->mending;
    assert(!chunk->entries && !chunk->is_loading);
    if (mending->count == mending->capacity) {
        mending->capacity = mending->capacity ? mending->capacity * 2 : 16;
        mending->chunks =
            mem_realloc(mending->chunks, mending->capacity * sizeof(struct chunk *));
    }
    chunk->is_loading = true;
    mending->chunks[mending->count++] = chunk;
}

static void mend_done(struct job *link)
{
    struct mend_job *job = (struct mend_job *)link;
    struct store *store = job->store;
    if (job->at < job->sources_count) {
        store->options.reader->ops->submit(store->options.reader, &job->job);
        return;
    }
    assert(store->mending.is_busy);
    store->mending.is_busy = false;
    finish(store, job);
}

void mend_tick(struct store *store)
{
    struct mending *mending = &store->mending;
    if (mending->is_busy || mending->count == 0)
        return;
    size_t count = mending->count < CHUNKS_AT_ONCE ? mending->count : CHUNKS_AT_ONCE;
    mending->count -= count;
    mending->is_busy = true;
    struct mend_job *job = job_new(store, mending->chunks + mending->count, count);
    job->job.done = mend_done;
    job->job.abandon = mend_abandon;
    store->options.reader->ops->submit(store->options.reader, &job->job);
}
