/* Bringing bodies back: a job reads the records of up to READ_ITEMS messages, neighbours in one
 * call, and checks them; the owner makes messages of those that are still wanted. */
#include <assert.h>
#include <errno.h>

#include "base/mem.h"
#include "store/internal.h"

enum { READ_AHEAD_BYTES = 2 << 20, READ_AHEAD_MIN = 16, READ_AHEAD_MAX = 8192, CHUNKS_AHEAD = 2 };
enum { SPARE_BYTES = READ_BYTES + READ_BYTES / 4, SPARE_MS = 1000 };
enum { READ_SOON_ITEMS = 64, READ_SOON_BYTES = 4 * READ_BYTES }; /* ahead of need: of a job; of a queue's bodies */
enum { READ_BYTES_SHORT = 64 << 10 }; /* when memory is short */
/* What may be under way for all queues together: it comes back in few turns, and each of it takes time and
 * memory. */
enum { READS_AT_ONCE = 64, CHUNKS_AT_ONCE = 32, READ_BYTES_AT_ONCE = 3 * READ_BYTES };
enum { READ_ERRORS_MAX = 3, READ_ITEMS = 4096, GAP_MAX = 4096, RETRY_MS = 100 };

/* ---- the reader's side ---- */

/* What one call reads: whole blocks, as large reads go past the page cache then. */
static uint64_t run_bytes(const struct read_run *run)
{
    return (run->end - run->start + DISK_BLOCK - 1) / DISK_BLOCK * DISK_BLOCK;
}

static bool read_payload(const struct read_item *item, struct message_payload *payload)
{
    return message_payload_read(bytes_of(item->bytes + RECORD_HEADER, item->size - RECORD_HEADER),
                                payload);
}

/* A copy of much, and memory for it, take time that the owner has not. */
static void make_large(struct read_item *item)
{
    struct message_payload payload;
    if (item->size > MESSAGE_APART_MIN && read_payload(item, &payload) &&
        payload.body_size >= MESSAGE_APART_MIN)
        item->message = message_from_payload(NULL, &payload);
}

static void check_item(const struct read_run *run, struct read_item *item, const uint8_t *data,
                       uint64_t got)
{
    uint64_t at = item->offset - run->start;
    struct record record;
    if (at + item->size <= got &&
        record_read(bytes_of(data + at, item->size), run->segment->number, item->offset,
                    &record) == RECORD_OK &&
        record.place.size == item->size) {
        item->bytes = data + at;
        make_large(item);
    }
}

static void run_read(struct job *link)
{
    struct read_job *job = (struct read_job *)link;
    uint8_t *data = job->data;
    for (size_t i = 0; i < job->runs_count; i++) {
        const struct read_run *run = &job->runs[i];
        uint64_t got = 0;
        int error = files_read(&job->store->journal.files, run->segment->number, data,
                               run_bytes(run), run->start, &got);
        if (error)
            job->error = error;
        for (size_t at = run->from; !error && at < run->to; at++)
            check_item(run, &job->items[at], data, got);
        data += run_bytes(run);
    }
}

/* ---- the owner's side ---- */

static struct read_run *add_run(struct read_job *job, const struct entry *entry)
{
    struct segment *segment = segment_find(&job->store->journal, entry->segment);
    assert(segment);
    if (job->runs_count == job->runs_capacity) {
        job->runs_capacity = job->runs_capacity ? job->runs_capacity * 2 : 8;
        job->runs = mem_realloc(job->runs, job->runs_capacity * sizeof(*job->runs));
    }
    segment->readers++;
    uint64_t start = entry->offset / DISK_BLOCK * DISK_BLOCK;
    struct read_run *run = &job->runs[job->runs_count++];
    *run = (struct read_run){segment, start, entry->offset, job->count, job->count};
    return run;
}

/* Does the record go on where the run ends, or not far behind? */
static bool is_next(const struct read_run *run, const struct entry *entry)
{
    return entry->segment == run->segment->number && entry->offset >= run->end &&
           entry->offset - run->end <= GAP_MAX;
}

static void add_item(struct read_job *job, const struct entry *entry, uint64_t sequence)
{
    struct read_run *run = job->runs_count ? &job->runs[job->runs_count - 1] : NULL;
    if (!run || !is_next(run, entry))
        run = add_run(job, entry);
    if (job->count == job->capacity) {
        job->capacity = job->capacity ? job->capacity * 2 : 64;
        job->items = mem_realloc(job->items, job->capacity * sizeof(*job->items));
    }
    job->items[job->count] = (struct read_item){sequence, entry->offset, entry->size, NULL, NULL};
    run->to = ++job->count;
    run->end = (uint64_t)entry->offset + entry->size;
    job->size += entry->size;
}

/* Messages that were made and that nobody wants any more. */
static void forget_messages(struct read_job *job)
{
    for (size_t i = 0; i < job->count; i++) {
        struct message *message = job->items[i].message;
        if (!message)
            continue;
        message_adopt(job->store->options.pool, message);
        message_unref(job->store->options.pool, message);
        job->items[i].message = NULL;
    }
}

void read_free(struct read_job *job)
{
    if (!job)
        return;
    forget_messages(job);
    mem_free(job->data);
    mem_free(job->items);
    mem_free(job->runs);
    mem_free(job);
}

/* The last job is used again: memory that is new to the process costs more than what is done with
 * it. */
static struct read_job *job_new(struct index *index)
{
    struct store *store = index->store;
    struct read_job *job =
        store->memory.read_spare ? store->memory.read_spare : mem_zalloc(sizeof(*job));
    store->memory.read_spare = NULL;
    job->store = store;
    job->queue_id = index->id;
    job->count = job->runs_count = 0;
    job->size = 0;
    job->error = 0;
    return job;
}

static void job_end(struct store *store, struct read_job *job)
{
    forget_messages(job);
    if (store->memory.read_spare || job->data_size > SPARE_BYTES) {
        read_free(job);
        return;
    }
    job->used_ms = store->now_ms;
    store->memory.read_spare = job;
}

void read_spare_free(struct store *store)
{
    struct read_job *spare = store->memory.read_spare;
    if (!spare || store->now_ms - spare->used_ms < SPARE_MS)
        return;
    read_free(spare);
    store->memory.read_spare = NULL;
}

/* A message whose bytes are damaged is never delivered and never deleted: it keeps its segment. */
static void set_aside(struct index *index, struct chunk *chunk, const struct read_item *item)
{
    struct store *store = index->store;
    uint32_t slot = chunk_slot(chunk, item->sequence);
    struct entry *entry = &chunk->entries[slot];
    entry->flags |= ENTRY_DAMAGED;
    if (bit_get(chunk->ready_bits, slot))
        index_unready(index, chunk, slot, entry->body_size);
    index_count_bytes(index, -(int64_t)entry->body_size);
    entry->body_size = 0; /* it is in no count */
    entry_changed(store, chunk);
    store->stats.damaged++;
    char name[32];
    segment_name(name, entry->segment);
    log_event(store->options.log, EVENT_message_damaged, "file=%s offset=%u size=%u", name,
              item->offset, item->size);
}

static struct message *message_of(struct store *store, const struct entry *entry,
                                  struct read_item *item)
{
    struct message_payload payload;
    if (!item->bytes || !read_payload(item, &payload))
        return NULL;
    struct message *message = item->message;
    if (message)
        message_adopt(store->options.pool, message);
    else
        message = message_from_payload(store->options.pool, &payload);
    item->message = NULL;
    message->segment = entry->segment;
    message->offset = entry->offset;
    message->destinations = payload.destinations;
    message->batch = store->journal.written;
    return message;
}

static void take_in(struct index *index, struct chunk *chunk, uint32_t segment,
                    struct read_item *item)
{
    struct store *store = index->store;
    uint32_t slot = chunk_slot(chunk, item->sequence);
    struct entry *entry = &chunk->entries[slot];
    bool has_moved = entry->segment != segment || entry->offset != item->offset;
    if (!bit_get(chunk->live_bits, slot) || entry->flags & (ENTRY_MESSAGE | ENTRY_DAMAGED) ||
        (has_moved && !planted(PLANTED_MOVED_BODY_TAKEN)))
        return;
    struct message *message = message_of(store, entry, item);
    if (!message) {
        set_aside(index, chunk, item);
        return;
    }
    entry_set_message(store, chunk, entry, message);
    chunk->read_ms = store->now_ms;
    store->stats.bodies_read++;
}

/* Those of a run that are still where they were. */
static void take_in_run(struct index *index, const struct read_job *job,
                        const struct read_run *run)
{
    struct chunk *chunk = NULL;
    for (size_t i = run->from; i < run->to; i++) {
        struct read_item *item = &job->items[i];
        if (!chunk || chunk_slot(chunk, item->sequence) == chunk->slots)
            chunk = index_chunk(index, item->sequence);
        if (chunk && chunk->entries)
            take_in(index, chunk, run->segment->number, item);
    }
}

/* The first to wait sets the time; one that is woken too early asks again, and waits again. */
void index_retry_read(struct index *index, uint64_t until_ms)
{
    struct store *store = index->store;
    if (!index->is_waiting && !list_is_empty(&index->wait_link))
        return; /* it is awake, and will look */
    if (list_is_empty(&store->memory.read_waiters) || until_ms < store->memory.read_retry_ms)
        store->memory.read_retry_ms = until_ms;
    list_remove(&index->wait_link);
    list_push_back(&store->memory.read_waiters, &index->wait_link);
}

/* ---- what many queues need at once ---- */

static bool is_below(const struct store *store, unsigned part)
{
    return store->memory.reading < READS_AT_ONCE / part &&
           store->memory.reading_bytes < READ_BYTES_AT_ONCE / part &&
           store->memory.loading < CHUNKS_AT_ONCE / part;
}

bool reads_have_room(const struct store *store)
{
    return is_below(store, 1);
}

/* True: too much is being read for others, and it has to ask again when it is woken. */
static bool stands_in_line(struct index *index)
{
    if (is_below(index->store, 1))
        return false;
    if (list_is_empty(&index->wait_link))
        list_push_back(&index->store->memory.reading_line, &index->wait_link);
    return true;
}

/* For how many more there is room, if they are like those under way. */
static uint64_t room_left(const struct store *store)
{
    const struct memory *memory = &store->memory;
    if (!is_below(store, 1))
        return 0;
    uint64_t each = memory->reading ? memory->reading_bytes / memory->reading : READ_BYTES;
    uint64_t most = READS_AT_ONCE - memory->reading;
    uint64_t count = (READ_BYTES_AT_ONCE - memory->reading_bytes + each - 1) / each;
    return count < most ? count : most;
}

/* Those that have waited longest come before all others that are awake: these would else take the room
 * again that they have just left. */
static void wake_line(struct store *store)
{
    struct list others, *link;
    if (list_is_empty(&store->memory.reading_line))
        return;
    list_init(&others);
    list_append_all(&others, &store->awake);
    for (uint64_t left = room_left(store);
         left && (link = list_take_first(&store->memory.reading_line)); left--)
        index_wake(list_entry(link, struct index, wait_link));
    list_append_all(&store->awake, &others);
}

void reads_retry(struct store *store)
{
    wake_line(store);
    if (store->now_ms < store->memory.read_retry_ms)
        return;
    list_for_each_safe(link, after, &store->memory.read_waiters) {
        struct index *index = list_entry(link, struct index, wait_link);
        list_remove(link);
        index_wake(index);
    }
}

static void read_done(struct job *link)
{
    struct read_job *job = (struct read_job *)link;
    struct store *store = job->store;
    struct index *index = idmap_find(&store->indexes, job->queue_id);
    assert(store->memory.reading > 0 && store->memory.reading_bytes >= job->bytes);
    store->memory.reading--;
    store->memory.reading_bytes -= job->bytes;
    /* Nothing is wrong with the disk, and nothing with the messages. */
    bool no_file = job->error == EMFILE || job->error == ENFILE;
    /* A disk that would not read is asked again before anything is given up. */
    bool again = index && job->error && (no_file || index->read_errors++ < READ_ERRORS_MAX);
    if (index && !again)
        index->read_errors = 0;
    for (size_t i = 0; i < job->runs_count; i++) {
        if (index && !again)
            take_in_run(index, job, &job->runs[i]);
        if (index || !planted(PLANTED_READERS_LEAK))
            segment_unread(&store->journal, job->runs[i].segment);
    }
    if (index) {
        index->is_reading = false;
        if (again)
            index_retry_read(index, store->now_ms + RETRY_MS);
        else
            index_wake(index);
    }
    job_end(store, job);
}

static void read_abandon(struct job *link)
{
    read_free((struct read_job *)link);
}

static void job_submit(struct index *index, struct read_job *job)
{
    struct store *store = index->store;
    uint64_t total = 0;
    for (size_t i = 0; i < job->runs_count; i++)
        total += run_bytes(&job->runs[i]);
    if (total == 0) {
        job_end(store, job);
        return;
    }
    if (total > job->data_size) {
        mem_free(job->data);
        job->data_size = total < SPARE_BYTES ? SPARE_BYTES : total;
        job->data = mem_aligned(DISK_BLOCK, job->data_size);
    }
    job->job.run = run_read;
    job->job.done = read_done;
    job->job.abandon = read_abandon;
    job->bytes = total;
    index->is_reading = true;
    store->memory.reading++;
    store->memory.reading_bytes += total;
    store->options.reader->ops->submit(store->options.reader, &job->job);
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

/* How much one job reads. */
static uint64_t bytes_at_once(const struct store *store)
{
    bool is_short = message_pool_bytes(store->options.pool) > store->options.bodies_burst_bytes;
    return is_short ? READ_BYTES_SHORT : READ_BYTES;
}

/* Adds what is ready in a chunk, and not in memory, from `sequence` on; returns where it stopped.
 */
static uint64_t add_chunk(struct read_job *job, const struct chunk *chunk, uint64_t sequence,
                          uint64_t bytes_max)
{
    uint32_t slot = chunk_below(chunk, sequence, chunk->slots);
    for (slot = bit_next(chunk->ready_bits, slot, chunk->slots);
         slot < chunk->slots && job->count < READ_ITEMS && job->size < bytes_max;
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
    struct store *store = index->store;
    struct chunk *chunk = index->is_reading ? NULL : chunk_from(index, sequence);
    if (!chunk || stands_in_line(index))
        return;
    if (!chunk->entries) {
        chunk_load(store, chunk);
        return;
    }
    struct read_job *job = job_new(index);
    uint64_t bytes_max = bytes_at_once(store);
    while (chunk && chunk->entries && job->count < READ_ITEMS && job->size < bytes_max) {
        sequence = add_chunk(job, chunk, sequence, bytes_max);
        chunk = chunk_from(index, sequence);
    }
    index->read_until = sequence;
    if (job->count)
        index->read_low = bytes_max < READ_BYTES ? READ_AHEAD_MIN : ahead_of(job->size, job->count);
    job_submit(index, job);
    /* The entries of what follows are there when they are needed, unless it is too many that read.
     */
    for (int i = 0;
         i < CHUNKS_AHEAD && chunk && cache_large(store) <= 2 * store->options.cache_bytes;
         i++) {
        if (!chunk->entries && chunk->ready)
            chunk_load(store, chunk);
        chunk = chunk_from(index, chunk->base + chunk->slots);
    }
}

/* Others may need what they wait for more. */
void read_early(struct index *index)
{
    if (!index->is_reading && is_below(index->store, 2))
        read_ahead(index, index->read_until);
}

void read_chunk(struct index *index, struct chunk *chunk)
{
    if (!stands_in_line(index))
        chunk_want(index->store, chunk);
}

/* Of those behind it that are taken, too, some are asked for next, as they were rejected together.
 */
static void add_taken(struct read_job *job, const struct chunk *chunk, uint32_t slot)
{
    uint64_t bytes_max = bytes_at_once(job->store);
    for (slot = bit_next(chunk->live_bits, slot + 1, chunk->slots);
         slot < chunk->slots && job->count < READ_ITEMS && job->size < bytes_max;
         slot = bit_next(chunk->live_bits, slot + 1, chunk->slots)) {
        const struct entry *entry = &chunk->entries[slot];
        if (bit_get(chunk->ready_bits, slot))
            return;
        if (!(entry->flags & (ENTRY_MESSAGE | ENTRY_DAMAGED)))
            add_item(job, entry, chunk->base + slot);
    }
}

void read_one(struct index *index, uint64_t sequence)
{
    struct chunk *chunk = index_chunk(index, sequence);
    if (!index->is_reading && stands_in_line(index))
        return;
    chunk_want(index->store, chunk);
    if (index->is_reading || !chunk->entries)
        return;
    struct read_job *job = job_new(index);
    uint32_t slot = chunk_slot(chunk, sequence);
    add_item(job, &chunk->entries[slot], sequence);
    add_taken(job, chunk, slot);
    job_submit(index, job);
}

void index_read_some(struct index *index, const uint64_t *sequences, size_t count)
{
    if (!index->is_reading && stands_in_line(index))
        return;
    struct read_job *job = index->is_reading ? NULL : job_new(index);
    uint64_t bytes_max = bytes_at_once(index->store);
    struct chunk *chunk;
    for (size_t i = 0; i < count; i++) {
        const struct entry *entry = index_entry(index, sequences[i], &chunk);
        if (chunk && !entry)
            chunk_want(index->store, chunk);
        else if (job && entry && !(entry->flags & (ENTRY_MESSAGE | ENTRY_DAMAGED)) &&
                 job->size < bytes_max)
            add_item(job, entry, sequences[i]);
    }
    if (job)
        job_submit(index, job);
}

/* Ahead of need memory is not filled: not with one queue's bodies, nor with those of many. */
static bool is_enough_ahead(const struct store *store, uint64_t bytes)
{
    return bytes > READ_SOON_BYTES ||
           message_pool_bytes(store->options.pool) > store->options.bodies_burst_bytes / 2;
}

/* What waits for such a read is delayed by it, so that it takes a few at a time; and none while somebody waits, or
 * who is late would be later for it, and what was read ahead of its time be gone when it comes. */
bool index_read_soon(struct index *index, const uint64_t *sequences, size_t count)
{
    struct store *store = index->store;
    struct chunk *chunk;
    bool are_there = true;
    uint64_t bytes = 0;
    if (index->is_waiting)
        return false;
    struct read_job *job = index->is_reading || !is_below(store, 2) ? NULL : job_new(index);
    for (size_t i = 0; i < count && !is_enough_ahead(store, bytes); i++) {
        const struct entry *entry = index_entry(index, sequences[i], &chunk);
        if (!chunk || (entry && entry->flags & ENTRY_DAMAGED))
            continue;
        are_there = are_there && entry && entry->flags & ENTRY_MESSAGE;
        bytes += entry ? entry->body_size : 0;
        if (!entry && is_below(store, 2))
            chunk_want(store, chunk);
        else if (job && entry && !(entry->flags & ENTRY_MESSAGE) && job->count < READ_SOON_ITEMS)
            add_item(job, entry, sequences[i]);
    }
    if (job)
        job_submit(index, job);
    return are_there;
}
