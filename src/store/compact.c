/* Compaction: when the files hold more than twice what is needed and four segments, or the disk is
 * nearly full, the live messages of the emptiest segment are written again at the end of the
 * journal, as *moved* records, a bounded amount a turn; the segment then goes with the next
 * checkpoint but one. */
#include <assert.h>
#include <errno.h>

#include "base/mem.h"
#include "store/internal.h"

enum { SCAN_BYTES = 1 << 20, NO_FILE_MS = 1000 };

/* ---- the reader's side ---- */

static void run_scan(struct job *link)
{
    struct scan_job *job = (struct scan_job *)link;
    job->error = files_read(&job->store->journal.files, job->segment->number, job->data, job->size,
                            job->offset, &job->got);
}

/* ---- the owner's side ---- */

static void scan_done(struct job *link)
{
    struct scan_job *job = (struct scan_job *)link;
    struct store *store = job->store;
    store->compaction.is_reading = false;
    if (job->error != EMFILE && job->error != ENFILE)
        return;
    /* Nothing is wrong with the segment: it is tried again, from its start. */
    compact_stop(store);
    store->compact_ms = store->now_ms + NO_FILE_MS;
}

static void scan(struct store *store, uint64_t offset, uint64_t size)
{
    struct compaction *c = &store->compaction;
    struct scan_job *job = c->scan;
    if (!job) {
        job = c->scan = mem_zalloc(sizeof(*job));
        job->job.run = run_scan;
        job->job.done = scan_done;
        job->store = store;
    }
    if (job->size < size)
        job->data = mem_realloc(job->data, size);
    job->size = size;
    job->offset = offset;
    job->got = 0;
    job->segment = c->segment;
    c->is_reading = true;
    store->options.reader->ops->submit(store->options.reader, &job->job);
}

void compact_stop(struct store *store)
{
    struct compaction *c = &store->compaction;
    if (c->segment)
        segment_unread(&store->journal, c->segment);
    if (c->scan) {
        mem_free(c->scan->data);
        mem_free(c->scan);
    }
    *c = (struct compaction){0};
}

/* `size` bytes of the segment at `offset`; NULL: they are being read, or (*failed) cannot be. */
static const uint8_t *segment_bytes(struct store *store, uint64_t offset, uint64_t size,
                                    bool *failed)
{
    struct compaction *c = &store->compaction;
    struct scan_job *job = c->scan;
    if (job && job->offset <= offset && offset + size <= job->offset + job->got)
        return job->data + (offset - job->offset);
    if (job && (job->error || (job->offset == offset && job->size >= size && job->got < size))) {
        *failed = true;
        return NULL;
    }
    uint64_t left = c->segment->size - offset;
    uint64_t wanted = size > SCAN_BYTES ? size : SCAN_BYTES;
    scan(store, offset, wanted < left ? wanted : left);
    return NULL;
}

static bool is_at(const struct entry *entry, struct place place)
{
    struct place at = entry_place(entry);
    return at.segment == place.segment && at.offset == place.offset &&
           (!(entry->flags & ENTRY_DAMAGED) || planted(PLANTED_DAMAGED_MOVED));
}

/* The live entries of a record. False: a chunk must be loaded first. */
static bool find_live(struct store *store, const struct record *record,
                      const struct message_payload *payload, struct destination *live,
                      uint32_t *count)
{
    bool ready = true;
    *count = 0;
    for (uint32_t i = 0; i < payload->destinations; i++) {
        struct destination destination = message_payload_destination(payload, i);
        struct index *index = idmap_find(&store->indexes, destination.queue);
        struct chunk *chunk = NULL;
        struct entry *entry = index ? index_entry(index, destination.sequence, &chunk) : NULL;
        /* One that was settled while it was out of memory holds until its chunk is loaded. */
        if (index && !chunk && !planted(PLANTED_UNRELEASED_NOT_AWAITED)) {
            chunk = index_chunk(index, destination.sequence);
            if (chunk && chunk->ended_bits &&
                bit_get(chunk->ended_bits, chunk_slot(chunk, destination.sequence)))
                entry_changed(store, chunk);
            chunk = chunk && !chunk->entries && chunk->unreleased ? chunk : NULL;
        }
        if (chunk && !entry) {
            chunk_want(store, chunk);
            ready = false;
        } else if (entry && is_at(entry, record->place)) {
            live[(*count)++] = destination;
        }
    }
    return ready;
}

static void move(struct store *store, const struct record *record,
                 const struct message_payload *payload, const struct destination *live,
                 uint32_t count)
{
    struct message *message = message_from_payload(store->options.pool, payload);
    enum record_type type = record->type == RECORD_PAGED ? RECORD_PAGED : RECORD_MOVED;
    for (uint32_t i = 0; i < count; i++) {
        struct chunk *chunk;
        struct index *index = idmap_find(&store->indexes, live[i].queue);
        struct entry *entry = index_entry(index, live[i].sequence, &chunk);
        segment_release(&store->journal, record->place, entry_destinations(entry),
                        entry->flags & ENTRY_RECORDED);
        entry_set_message(store, chunk, entry, message_ref(message));
        entry_changed(store, chunk);
    }
    batch_add_message(&store->journal, type, message, live, count);
    message_unref(store->options.pool, message);
    store->stats.messages_moved++;
}

/* One record. False: it has to wait, or (*failed) makes no sense. */
static bool compact_record(struct store *store, bool *failed)
{
    struct compaction *c = &store->compaction;
    const uint8_t *bytes = segment_bytes(store, c->offset, RECORD_HEADER, failed);
    if (!bytes)
        return false;
    uint32_t size = RECORD_HEADER + ((uint32_t)bytes[4] | (uint32_t)bytes[5] << 8 |
                                     (uint32_t)bytes[6] << 16 | (uint32_t)bytes[7] << 24);
    if (c->offset + size > c->batch_end) {
        *failed = true;
        return false;
    }
    bytes = segment_bytes(store, c->offset, size, failed);
    if (!bytes || !space_covers(&store->journal, size))
        return false;
    struct record record;
    struct message_payload payload;
    bool sound = record_read(bytes_of(bytes, size), c->segment->number, (uint32_t)c->offset,
                             &record) == RECORD_OK;
    bool is_message =
        sound && record.type <= RECORD_PAGED && message_payload_read(record.payload, &payload);
    if (is_message) {
        struct destination *live = store_scratch(store, payload.destinations);
        uint32_t count;
        if (!find_live(store, &record, &payload, live, &count))
            return false;
        if (count)
            move(store, &record, &payload, live, count);
    }
    c->offset += size;
    c->batch_records--;
    return true;
}

static bool compact_batch(struct store *store, bool *failed)
{
    struct compaction *c = &store->compaction;
    struct batch_header header;
    const uint8_t *bytes = segment_bytes(store, c->offset, BATCH_HEADER, failed);
    if (!bytes)
        return false;
    if (batch_header_read(bytes, c->segment->number, (uint32_t)c->offset, &header) != RECORD_OK) {
        *failed = true;
        return false;
    }
    c->batch_end = c->offset + header.size;
    c->batch_records = header.records;
    c->offset += BATCH_HEADER;
    return true;
}

static struct segment *emptiest(struct store *store)
{
    struct segment *best = NULL;
    uint64_t bytes = segments_bytes(&store->journal);
    bool is_tight = space_is_tight(&store->journal);
    if (!is_tight &&
        bytes <= 2 * store->stats.live_bytes + 4 * (uint64_t)store->options.segment_bytes)
        return NULL;
    list_for_each(link, &store->journal.segments) {
        struct segment *segment = list_entry(link, struct segment, link);
        if (segment == store->journal.active || segment->is_retiring || segment->was_compacted ||
            segment->live_entries == 0 || segment->log_entries || segment->last_batch > store->journal.durable)
            continue;
        if (!best || segment->live_bytes * best->size < best->live_bytes * segment->size)
            best = segment;
    }
    uint64_t worth = best ? best->size - best->size / (is_tight ? 8 : 4) : 0;
    return best && best->live_bytes < worth && space_moves(&store->journal, best->live_bytes)
               ? best
               : NULL;
}

static void finish(struct store *store, bool failed)
{
    struct compaction *c = &store->compaction;
    c->segment->was_compacted = true;
    if (failed)
        log_event(store->options.log, EVENT_segment_not_compacted, "number=%u offset=%llu",
                  c->segment->number, (unsigned long long)c->offset);
    store->stats.compactions++;
    compact_stop(store);
}

void compact_tick(struct store *store)
{
    struct compaction *c = &store->compaction;
    if (store->journal.is_failed || c->is_reading || store->journal.retry_ms)
        return;
    if (!c->segment) {
        if (store->now_ms < store->compact_ms)
            return;
        store->compact_ms = store->now_ms + 100;
        c->segment = emptiest(store);
        c->offset = c->batch_end = SEGMENT_HEADER;
        if (c->segment)
            c->segment->readers++;
    }
    if (!c->segment)
        return;
    if (c->segment->live_entries == 0) {
        finish(store, false);
        return;
    }
    uint64_t limit = store->journal.filling->size + SCAN_BYTES;
    bool failed = false, more = space_moves(&store->journal, SCAN_BYTES);
    while (more && !failed && store->journal.filling->size < limit &&
           store->journal.filling->size < store->options.batch_bytes / 2) {
        if (c->batch_records) {
            more = compact_record(store, &failed);
        } else if (c->offset = c->batch_end, c->offset + BATCH_HEADER <= c->segment->size) {
            more = compact_batch(store, &failed);
        } else {
            finish(store, false);
            return;
        }
    }
    if (failed)
        finish(store, true);
}
