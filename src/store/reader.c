/* Bringing bodies back: a job reads the records of up to READ_ITEMS messages, neighbours in one
 * call, and checks them; the owner makes messages of those that are still wanted. */
#include <assert.h>
#include <errno.h>

#include "base/mem.h"
#include "store/internal.h"

enum { READ_AHEAD_BYTES = 2 << 20, READ_AHEAD_MIN = 16, READ_AHEAD_MAX = 8192, CHUNKS_AHEAD = 2 };
enum { SPARE_BYTES = READ_BYTES + READ_BYTES / 4, SPARE_MS = 1000 };
enum { READ_ERRORS_MAX = 3, READ_ITEMS = 4096, GAP_MAX = 4096, REST_MS = 100 };

/* ---- the reader's side ---- */

/* The end of the run of neighbours that begins at item `from`. */
static size_t run_end(const struct read_job *job, size_t from, uint64_t *size)
{
    const struct place *first = &job->items[from].place;
    uint64_t end = (uint64_t)first->offset + first->size;
    size_t at = from + 1;
    for (; at < job->count; at++) {
        const struct place *place = &job->items[at].place;
        if (place->segment != first->segment || place->offset < end ||
            place->offset - end > GAP_MAX)
            break;
        end = (uint64_t)place->offset + place->size;
    }
    *size = end - first->offset;
    return at;
}

/* Where a run is read from: whole blocks, as large reads go past the page cache then. */
static uint64_t run_start(const struct read_job *job, size_t from)
{
    return job->items[from].place.offset / DISK_BLOCK * DISK_BLOCK;
}

static uint64_t run_blocks(const struct read_job *job, size_t from, uint64_t size)
{
    uint64_t head = job->items[from].place.offset % DISK_BLOCK;
    return (head + size + DISK_BLOCK - 1) / DISK_BLOCK * DISK_BLOCK;
}

static void read_run(struct read_job *job, size_t from, size_t to, uint8_t *data, uint64_t size)
{
    uint64_t start = run_start(job, from);
    uint64_t got = 0;
    int error = files_read(&job->store->files, job->items[from].place.segment, data, size, start,
                           &got);
    if (error)
        job->error = error;
    for (size_t i = from; i < to; i++) {
        struct read_item *item = &job->items[i];
        uint64_t at = item->place.offset - start;
        struct record record;
        if (error || at + item->place.size > got)
            continue;
        if (record_read(bytes_of(data + at, item->place.size), item->place.segment,
                        item->place.offset, &record) == RECORD_OK &&
            record.place.size == item->place.size)
            item->bytes = data + at;
    }
}

static void run_read(struct job *link)
{
    struct read_job *job = (struct read_job *)link;
    uint64_t total = 0, size;
    for (size_t at = 0; at < job->count;) {
        size_t end = run_end(job, at, &size);
        size = run_blocks(job, at, size);
        read_run(job, at, end, job->data + total, size);
        total += size;
        at = end;
    }
}

/* ---- the owner's side ---- */

static void add_item(struct read_job *job, const struct entry *entry, uint64_t sequence)
{
    struct store *store = job->store;
    struct segment *segment = segment_find(store, entry->segment);
    assert(segment);
    if (job->count == job->capacity) {
        job->capacity = job->capacity ? job->capacity * 2 : 64;
        job->items = mem_realloc(job->items, job->capacity * sizeof(*job->items));
    }
    segment->readers++;
    job->items[job->count++] = (struct read_item){
        .sequence = sequence,
        .place = {entry->segment, entry->offset, entry->size},
        .segment = segment,
    };
    job->size += entry->size;
}

/* Memory for all that a job reads. The last job's is used again: memory that is new to the process
 * costs more than what is done with it. */
static void buffer_take(struct read_job *job)
{
    struct read_buffer *spare = &job->store->read_spare;
    uint64_t total = 0, size;
    for (size_t at = 0, end; at < job->count; at = end) {
        end = run_end(job, at, &size);
        total += run_blocks(job, at, size);
    }
    if (spare->size >= total) {
        job->data = spare->data;
        job->data_size = spare->size;
        *spare = (struct read_buffer){0};
        return;
    }
    job->data_size = total < SPARE_BYTES ? SPARE_BYTES : total;
    job->data = mem_aligned(DISK_BLOCK, job->data_size);
}

static void buffer_return(struct read_job *job)
{
    struct read_buffer *spare = &job->store->read_spare;
    if (job->data_size == SPARE_BYTES && !spare->data)
        *spare = (struct read_buffer){job->data, job->data_size, job->store->now_ms};
    else
        mem_free(job->data);
}

void reader_tick(struct store *store)
{
    struct read_buffer *spare = &store->read_spare;
    if (!spare->data || store->now_ms - spare->used_ms < SPARE_MS)
        return;
    mem_free(spare->data);
    *spare = (struct read_buffer){0};
}

static struct read_job *job_new(struct index *index)
{
    struct read_job *job = mem_zalloc(sizeof(*job));
    job->job.run = run_read;
    job->job.kind = JOB_READ;
    job->store = index->store;
    job->queue_id = index->id;
    return job;
}

static void job_submit(struct index *index, struct read_job *job)
{
    if (job->count == 0) {
        mem_free(job);
        return;
    }
    buffer_take(job);
    index->is_reading = true;
    index->store->o.reader->ops->submit(index->store->o.reader, &job->job);
}

/* The first chunk that ends above `sequence`. */
static struct chunk *chunk_from(const struct index *index, uint64_t sequence)
{
    uint32_t low = 0, high = index->chunks_count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        const struct chunk *chunk = index->chunks[index->chunks_first + middle];
        if (chunk->base + chunk->slots <= sequence)
            low = middle + 1;
        else
            high = middle;
    }
    return low < index->chunks_count ? index->chunks[index->chunks_first + low] : NULL;
}

/* Adds what is ready in a chunk, and not in memory, from `sequence` on; returns where it stopped. */
static uint64_t add_chunk(struct read_job *job, const struct chunk *chunk, uint64_t sequence)
{
    uint32_t slot = sequence > chunk->base ? (uint32_t)(sequence - chunk->base) : 0;
    for (slot = bit_next(chunk->ready_bits, slot, chunk->slots);
         slot < chunk->slots && job->count < READ_ITEMS && job->size < READ_BYTES;
         slot = bit_next(chunk->ready_bits, slot + 1, chunk->slots))
        if (!(chunk->entries[slot].flags & ENTRY_MESSAGE))
            add_item(job, &chunk->entries[slot], chunk->base + slot);
    return chunk->base + slot;
}

/* How many messages of this size should be ahead, so that the reader is busy while they go out. */
static uint32_t ahead_of(uint64_t size, size_t count)
{
    uint64_t messages = READ_AHEAD_BYTES / (size / count + 1);
    return messages < READ_AHEAD_MAX ? (uint32_t)messages + READ_AHEAD_MIN : READ_AHEAD_MAX;
}

void read_ahead(struct index *index, uint64_t sequence)
{
    struct chunk *chunk = index->is_reading ? NULL : chunk_from(index, sequence);
    if (!chunk)
        return;
    if (!chunk->entries) {
        chunk_load(index->store, chunk);
        return;
    }
    struct read_job *job = job_new(index);
    while (chunk && chunk->entries && job->count < READ_ITEMS && job->size < READ_BYTES) {
        sequence = add_chunk(job, chunk, sequence);
        chunk = chunk_from(index, sequence);
    }
    index->read_until = sequence;
    if (job->count)
        index->read_low = ahead_of(job->size, job->count);
    job_submit(index, job);
    /* The entries of what follows are there when they are needed. */
    for (int i = 0; i < CHUNKS_AHEAD && chunk; i++) {
        if (!chunk->entries)
            chunk_load(index->store, chunk);
        chunk = chunk_from(index, chunk->base + chunk->slots);
    }
}

void read_one(struct index *index, uint64_t sequence)
{
    if (index->is_reading)
        return;
    struct chunk *chunk = index_chunk(index, sequence);
    if (!chunk->entries) {
        chunk_load(index->store, chunk);
        return;
    }
    struct read_job *job = job_new(index);
    add_item(job, &chunk->entries[sequence - chunk->base], sequence);
    job_submit(index, job);
}

struct message *store_message(struct store *store, const struct record *record)
{
    struct message_payload payload;
    if (!message_payload_read(record->payload, &payload))
        return NULL;
    struct message *message = message_from_payload(store->o.pool, &payload);
    message->place = record->place;
    message->destinations = payload.destinations;
    message->batch = store->written;
    return message;
}

/* A message whose bytes are damaged is never delivered and never deleted: it keeps its segment. */
static void set_aside(struct index *index, struct chunk *chunk, const struct read_item *item)
{
    struct store *store = index->store;
    uint32_t slot = (uint32_t)(item->sequence - chunk->base);
    chunk->entries[slot].flags |= ENTRY_DAMAGED;
    if (bit_get(chunk->ready_bits, slot)) {
        bit_clear(chunk->ready_bits, slot);
        chunk->ready--;
        index->ready--;
    }
    chunk->version++;
    chunk->is_stale = true;
    chunk_changed(store, chunk);
    store->stats.damaged++;
    char name[32];
    segment_name(name, item->place.segment);
    log_event(store->o.log, LOG_LEVEL_ERROR, "message damaged file=%s offset=%u size=%u", name,
              item->place.offset, item->place.size);
}

static bool is_still_at(const struct entry *entry, struct place place)
{
    return !(entry->flags & (ENTRY_MESSAGE | ENTRY_DAMAGED)) && entry->segment == place.segment &&
           entry->offset == place.offset;
}

static void take_in(struct store *store, struct index *index, const struct read_item *item)
{
    struct chunk *chunk;
    struct entry *entry = index_entry(index, item->sequence, &chunk);
    if (!entry || !is_still_at(entry, item->place))
        return;
    struct record record;
    struct message *message = NULL;
    if (item->bytes) {
        record.payload =
            bytes_of(item->bytes + RECORD_HEADER, item->place.size - RECORD_HEADER);
        record.place = item->place;
        message = store_message(store, &record);
    }
    if (!message) {
        set_aside(index, chunk, item);
        return;
    }
    entry_set_message(store, chunk, entry, message);
    chunk->read_ms = store->now_ms;
    store->stats.bodies_read++;
}

/* Not now: whoever waits for it asks again in a moment. */
static void rest(struct store *store, struct index *index)
{
    if (!index->is_waiting)
        return;
    if (list_is_empty(&store->resting))
        store->rest_ms = store->now_ms + REST_MS;
    list_remove(&index->wait_link);
    list_push_back(&store->resting, &index->wait_link);
}

void read_tick(struct store *store)
{
    if (store->now_ms < store->rest_ms)
        return;
    list_for_each_safe(link, after, &store->resting)
        index_wake(list_entry(link, struct index, wait_link));
}

void read_done(struct store *store, struct read_job *job)
{
    struct index *index = idmap_find(&store->indexes, job->queue_id);
    /* Nothing is wrong with the disk, and nothing with the messages. */
    bool no_file = job->error == EMFILE || job->error == ENFILE;
    /* A disk that would not read is asked again before anything is given up. */
    bool again = index && job->error && (no_file || index->read_errors++ < READ_ERRORS_MAX);
    if (index && !again)
        index->read_errors = 0;
    for (size_t i = 0; i < job->count; i++) {
        if (index && !again)
            take_in(store, index, &job->items[i]);
        segment_unread(store, job->items[i].segment);
    }
    if (index) {
        index->is_reading = false;
        if (no_file)
            rest(store, index);
        else
            index_wake(index);
    }
    buffer_return(job);
    mem_free(job->items);
    mem_free(job);
}
