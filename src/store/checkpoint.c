/* The checkpoint: an image of the indexes and the catalogue as they were after one batch, so that a
 * start replays only what came later. How it is read back is in image.c.
 *
 * The image is taken in one step, between two batches, from what changed since the last one; most of
 * it is drafted in the turns before: names, counters of queues, full chunks, and those of queues at rest, of
 * which there may be many. Chunks
 * in memory are encoded under new keys, so that what the last image names is neither overwritten
 * nor deleted before this one is durable. It is written by the indexer, synced, once the journal is
 * durable up to what it describes. A segment in which nothing lived when the image was taken goes
 * when the image is durable, not earlier.
 *
 * Keys (numbers big-endian, so that they sort; values little-endian):
 *   "C"                      the header: see put_header and image_seal
 *   "Q" queue                next sequence number, delivered mark
 *   "D" queue, base          a chunk: key of its blob, slots, live messages, their bits unless all live,
 *                            bytes of their bodies; if some have a time at which they end, 1 + the
 *                            second before which none does; if some came back, the same or 0, and
 *                            these (returns.h)
 *   "K" key                  a blob (chunk.c)
 *   "T" key                  a blob of a queue that does not survive: deleted at start
 *   "S" segment              entries and bytes that are needed of it, its size, its last batch
 *   "N" name                 a value of the catalogue
 *   "G" group                term and vote, index that is known to be committed, index up to which it is
 *                            applied, index, term and chain (4) of the floor, and what the group says
 *   "E" group, number        a block of 256 entries by index: the first one that is in the log, then for
 *                            each term, segment, offset, size, chain (4 each), kind (1)
 *   "I"                      the store it belongs to
 * Behind every value is a checksum over key and value. */
#include <assert.h>
#include <stdio.h>

#include "base/mem.h"
#include "store/internal.h"

/* While space is short, checkpoints come often, as only they give space back. */
enum { WANTED_MS = 1000, TIGHT_MS = 5000 };
/* What it takes to draft a chunk, queues, and what is dead; and how long nothing came or went in a queue that is at
 * rest. */
enum { DRAFT_STEPS = 4, SLOTS_A_STEP = 32, QUEUES_A_STEP = 8, DEAD_A_STEP = 8, REST_MS = 200 };

struct key {
    uint8_t data[17];
    size_t size;
};

static void key_add(struct key *key, uint64_t number, size_t size)
{
    for (size_t i = 0; i < size; i++)
        key->data[key->size++] = (uint8_t)(number >> (8 * (size - 1 - i)));
}

static struct key key_of(char kind, uint64_t first, size_t size)
{
    struct key key = {{(uint8_t)kind}, 1};
    key_add(&key, first, size);
    return key;
}

static struct key key_of_chunk(uint64_t queue, uint64_t base)
{
    struct key key = key_of('D', queue, 8);
    key_add(&key, base, 8);
    return key;
}

static struct bytes key_bytes(const struct key *key)
{
    return bytes_of(key->data, key->size);
}

/* ---- taking the image ---- */

static void put(struct buffer *batch, struct key key, struct buffer *value)
{
    kv_batch_put_sealed(batch, key_bytes(&key), buffer_bytes(value));
    value->size = 0;
}

static void put_name(struct buffer *batch, const struct name_change *change)
{
    struct buffer key = {0};
    buffer_add_u8(&key, 'N');
    buffer_add(&key, change->key.data, change->key.size);
    if (change->is_delete)
        kv_batch_delete(batch, buffer_bytes(&key));
    else
        kv_batch_put_sealed(batch, buffer_bytes(&key), change->value);
    buffer_free(&key);
}

static void put_names(struct store *store, struct buffer *batch)
{
    struct name_change *change;
    size_t at = 0;
    while ((change = map_next(&store->image.changed_names, &at)))
        put_name(batch, change);
    names_free(&store->image.changed_names);
}

/* The first of those that have changed. False: there is none. */
static bool put_queue(struct store *store, struct list *changed, struct buffer *batch, struct buffer *value)
{
    struct list *link = list_take_first(changed);
    if (!link)
        return false;
    struct index *index = list_entry(link, struct index, dirty_link);
    index->is_dirty = false;
    buffer_add_u64(value, index->next_sequence);
    /* After an orderly end it is known exactly how far deliveries went; a group agrees on it. */
    uint64_t mark = index->mark_batch ? index->mark_asked : index->mark;
    bool is_of_group = store_is_of_group(index->id) && !planted(PLANTED_GROUP_MARK_LOWERED);
    bool is_known = store->journal.is_closing && !is_of_group;
    buffer_add_u64(value, is_known ? index->taken_high : mark);
    put(batch, key_of('Q', index->id, 8), value);
    return true;
}

static void put_queues(struct store *store, struct buffer *batch)
{
    struct buffer value = {0};
    while (put_queue(store, &store->image.changed_indexes, batch, &value))
        continue;
    buffer_free(&value);
}

/* Encodes a chunk in memory, without what does not survive. */
static void put_blob(struct store *store, struct buffer *batch, struct chunk *chunk)
{
    struct buffer blob = {0};
    uint8_t key[9];
    bool is_whole = true;
    assert(chunk->entries && !(chunk->queue_id & STORE_ID_TRANSIENT));
    for (uint32_t slot = bit_next(chunk->live_bits, 0, chunk->slots); slot < chunk->slots;
         slot = bit_next(chunk->live_bits, slot + 1, chunk->slots))
        is_whole = is_whole && chunk->entries[slot].flags & ENTRY_RECORDED;
    chunk_encode(chunk, true, &blob);
    blob_drop(store, chunk);
    chunk->blob = ++store->image.blob_last;
    chunk->is_stale = !is_whole;
    blob_key(key, chunk->blob, false);
    kv_batch_put_sealed(batch, bytes_of(key, sizeof(key)), buffer_bytes(&blob));
    buffer_free(&blob);
}

/* Sets the bits of those that survive; returns how many there are. What was not changed since its blob
 * was written has bits for them. */
static uint32_t keep(const struct chunk *chunk, uint64_t *kept, size_t words)
{
    uint32_t count = 0;
    if (!chunk->entries || !chunk->is_stale) {
        for (size_t i = 0; i < words; i++) {
            kept[i] = chunk->live_bits[i] & (chunk->recorded_bits ? chunk->recorded_bits[i] : UINT64_MAX);
            count += (uint32_t)__builtin_popcountll(kept[i]);
        }
        return count;
    }
    for (uint32_t slot = bit_next(chunk->live_bits, 0, chunk->slots); slot < chunk->slots;
         slot = bit_next(chunk->live_bits, slot + 1, chunk->slots)) {
        if (!(chunk->entries[slot].flags & ENTRY_RECORDED))
            continue;
        bit_set(kept, slot);
        count++;
    }
    return count;
}

/* Bodies of the `count` messages of the chunk that survive. */
static uint64_t kept_bytes(const struct chunk *chunk, const uint64_t *kept, uint32_t count)
{
    uint64_t bytes = 0;
    if (!chunk->entries)
        return chunk->live ? (chunk->ready_bytes + chunk->taken_bytes) * count / chunk->live : 0;
    for (uint32_t slot = bit_next(kept, 0, chunk->slots); slot < chunk->slots;
         slot = bit_next(kept, slot + 1, chunk->slots))
        bytes += chunk->entries[slot].body_size;
    return bytes;
}

static void put_chunk(struct store *store, struct buffer *batch, struct chunk *chunk)
{
    struct buffer value = {0};
    size_t words = (chunk->slots + 63) / 64;
    uint64_t *kept = mem_zalloc_array(words + 1, 8);
    uint32_t count = keep(chunk, kept, words);
    if (chunk->entries && chunk->is_stale && count)
        put_blob(store, batch, chunk);
    if (chunk->blob && (count || !chunk->entries || chunk->ended_bits)) {
        buffer_add_u64(&value, chunk->blob);
        buffer_add_u32(&value, chunk->slots);
        buffer_add_u32(&value, count);
        for (size_t i = 0; i < words && count != chunk->slots; i++)
            buffer_add_u64(&value, kept[i]);
        buffer_add_u64(&value, kept_bytes(chunk, kept, count));
        if (chunk->due_s || chunk->returns)
            buffer_add_u32(&value, chunk->due_s);
        returns_encode(chunk->returns, kept, &value);
        put(batch, key_of_chunk(chunk->queue_id, chunk->base), &value);
        chunk->is_named = true;
    } else {
        chunk_name_dead(store, chunk);
    }
    buffer_free(&value);
    mem_free(kept);
}

/* ---- groups ---- */

static struct key key_of_block(uint64_t group, uint64_t number)
{
    struct key key = key_of('E', group, 8);
    key_add(&key, number, 8);
    return key;
}

static void put_dead_groups(struct store *store, struct buffer *batch)
{
    for (size_t i = 0; i < store->groups.dead_count; i++) {
        const struct dead_group_name *dead = &store->groups.dead[i];
        struct key key = dead->block == GROUP_ITSELF ? key_of('G', dead->group, 8)
                                                     : key_of_block(dead->group, dead->block);
        kv_batch_delete(batch, key_bytes(&key));
    }
    store->groups.dead_count = 0;
}

static void put_blocks(struct group_log *log, struct buffer *batch)
{
    struct buffer value = {0};
    for (size_t i = 0; i < log->blocks_count; i++) {
        uint64_t number = log->blocks_first + i;
        struct key key = key_of_block(log->group, number);
        bool was_named = log->blocks[i]->is_named;
        if (!log->blocks[i]->is_changed)
            continue;
        if (group_block_encode(log, number, &value))
            put(batch, key, &value);
        else if (was_named)
            kv_batch_delete(batch, key_bytes(&key));
        value.size = 0;
    }
    buffer_free(&value);
}

static void put_groups(struct store *store, struct buffer *batch)
{
    struct buffer value = {0};
    struct group_log *log;
    uint64_t at = 0;
    groups_tick(store);
    put_dead_groups(store, batch);
    while ((log = group_log_next(store, &at))) {
        put_blocks(log, batch);
        if (!log->is_changed)
            continue;
        group_encode(log, &value);
        put(batch, key_of('G', log->group, 8), &value);
    }
    buffer_free(&value);
}

static void put_dead_queue(struct buffer *batch, uint64_t queue)
{
    struct key key = key_of('Q', queue, 8);
    kv_batch_delete(batch, key_bytes(&key));
}

static void put_dead_name(struct buffer *batch, struct dead_name name)
{
    struct key key = key_of_chunk(name.queue, name.base);
    kv_batch_delete(batch, key_bytes(&key));
}

static void put_dead_blob(struct buffer *batch, uint64_t blob)
{
    uint8_t key[9];
    blob_key(key, blob & ~STORE_ID_TRANSIENT, blob & STORE_ID_TRANSIENT);
    kv_batch_delete(batch, bytes_of(key, sizeof(key)));
}

/* At most so many of them. Returns how many there were. */
static size_t put_dead_some(struct store *store, struct buffer *batch, size_t most)
{
    struct image *image = &store->image;
    size_t count = 0;
    for (; count < most && image->dead_queues_count; count++)
        put_dead_queue(batch, image->dead_queues[--image->dead_queues_count]);
    for (; count < most && image->dead_names_count; count++)
        put_dead_name(batch, image->dead_names[--image->dead_names_count]);
    for (; count < most && image->dead_blobs_count; count++)
        put_dead_blob(batch, image->dead_blobs[--image->dead_blobs_count]);
    return count;
}

static void put_dead(struct store *store, struct buffer *batch)
{
    put_dead_some(store, batch, SIZE_MAX);
}

static void put_chunks(struct store *store, struct buffer *batch)
{
    struct list *link;
    put_dead(store, batch);
    while ((link = list_take_first(&store->image.changed_chunks))) {
        struct chunk *chunk = list_entry(link, struct chunk, changed_link);
        chunk->is_changed = false;
        put_chunk(store, batch, chunk);
    }
    put_dead(store, batch);
}

static bool is_dead(const struct store *store, const struct segment *segment)
{
    return segment->live_entries == 0 && !segment->is_retiring &&
           segment != store->journal.active &&
           segment->last_batch < store->journal.position.batch &&
           segment->number != store->journal.position.segment;
}

static void put_segments(struct store *store, struct checkpoint_job *job)
{
    struct buffer value = {0};
    for (size_t i = 0; i < store->image.missing_count; i++) {
        struct key key = key_of('S', store->image.missing[i], 4);
        kv_batch_delete(&job->batch, key_bytes(&key));
    }
    store->image.missing_count = 0;
    job->retired =
        mem_zalloc_array(store->journal.segments_by_number.count + 1, sizeof(*job->retired));
    list_for_each(link, &store->journal.segments) {
        struct segment *segment = list_entry(link, struct segment, link);
        if (is_dead(store, segment)) {
            struct key key = key_of('S', segment->number, 4);
            kv_batch_delete(&job->batch, key_bytes(&key));
            segment->is_retiring = true;
            job->retired[job->retired_count++] = segment;
            continue;
        }
        if (segment->is_retiring)
            continue;
        buffer_add_u64(&value, segment->kept_entries);
        buffer_add_u64(&value, segment->kept_bytes);
        buffer_add_u64(&value, segment->size);
        buffer_add_u64(&value, segment->last_batch);
        put(&job->batch, key_of('S', segment->number, 4), &value);
    }
    buffer_free(&value);
}

/* Not in the sum, as an index of an earlier version has none. */
static void put_identity(const struct store *store, struct buffer *batch)
{
    kv_batch_put_sealed(batch, bytes_str("I"), bytes_of(store->journal.identity.id, IDENTITY_SIZE));
}

/* It is put into the batch by image_seal, with the sum of the image. */
static void put_header(struct store *store, struct checkpoint_job *job)
{
    struct buffer *header = &job->header;
    job->number = store->image.number + 1;
    job->sum = store->image.sum;
    buffer_add_u32(header, store->groups.by_number.count ? CHECKPOINT_VERSION_GROUPS
                                                         : CHECKPOINT_VERSION);
    buffer_add_u64(header, job->number);
    buffer_add_u64(header, store->journal.position.batch);
    buffer_add_u32(header, store->journal.position.segment);
    buffer_add_u64(header, store->journal.position.offset);
    job->previous_at = header->size;
    buffer_add_u32(header, store->journal.position.previous);
    buffer_add_u64(header, store->id_last);
    buffer_add_u64(header, store->image.blob_last);
    buffer_add_u32(header, store->journal.segment_last);
}

void checkpoint_previous(struct store *store)
{
    struct checkpoint_job *job = store->image.job;
    struct buffer checksum = {0};
    if (!job || !job->lacks_previous || store->journal.sealing)
        return;
    buffer_add_u32(&checksum, store->journal.position.previous);
    memcpy(job->header.data + job->previous_at, checksum.data, checksum.size);
    buffer_free(&checksum);
    job->lacks_previous = false;
}

void chunk_name_dead(struct store *store, struct chunk *chunk)
{
    if (!chunk->is_named)
        return;
    chunk->is_named = false;
    store->image.dead_names =
        mem_grow(store->image.dead_names, &store->image.dead_names_capacity,
                 store->image.dead_names_count + 1, sizeof(*store->image.dead_names));
    store->image.dead_names[store->image.dead_names_count++] =
        (struct dead_name){chunk->queue_id, chunk->base};
}

/* ---- writing it ---- */

/* One that a large batch has made larger would stay so; and a copy may be the same file. */
static bool may_be_kept(const struct checkpoint_job *job, const struct segment *segment,
                        const char *name)
{
    struct disk *disk = job->store->options.disk;
    return job->recycled < job->recycle &&
           segment->size <= job->store->options.segment_bytes &&
           (!disk->ops->is_shared || !disk->ops->is_shared(disk, name) ||
            planted(PLANTED_COPY_SHARED_USED));
}

static void retire_files(struct checkpoint_job *job)
{
    struct disk *disk = job->store->options.disk;
    for (size_t i = 0; i < job->retired_count; i++) {
        char name[32], spare[32];
        segment_name(name, job->retired[i]->number);
        spare_name(spare, job->retired[i]->number);
        if (!may_be_kept(job, job->retired[i], name) || disk->ops->rename(disk, name, spare) != 0)
            disk->ops->unlink(disk, name);
        else
            job->kept[job->recycled++] = job->retired[i]->number;
    }
    if (job->retired_count)
        disk->ops->sync_folder(disk);
}

static void run_forget(struct job *link)
{
    struct forget_job *job = (struct forget_job *)link;
    for (size_t i = 0; i < job->count; i++)
        files_forget(&job->store->journal.files, job->numbers[i]);
}

static void forget_done(struct job *link)
{
    mem_free((struct forget_job *)link);
}

/* A file that is open still takes its space. */
static void forget_files(struct store *store, const struct checkpoint_job *retired)
{
    if (retired->retired_count == 0)
        return;
    struct forget_job *job =
        mem_zalloc(sizeof(*job) + retired->retired_count * sizeof(job->numbers[0]));
    job->job.run = run_forget;
    job->job.done = job->job.abandon = forget_done;
    job->store = store;
    for (size_t i = 0; i < retired->retired_count; i++)
        job->numbers[job->count++] = retired->retired[i]->number;
    store->options.reader->ops->submit(store->options.reader, &job->job);
}

static void run_checkpoint(struct job *link)
{
    struct checkpoint_job *job = (struct checkpoint_job *)link;
    struct kv *kv = job->store->options.kv;
    job->result = image_seal(job);
    if (job->result >= 0)
        job->result = kv->ops->write(kv, buffer_bytes(&job->batch), true);
    job->error = job->result >= 0 ? anchor_write(job->store->options.disk, job->number) : 0;
    if (job->error && !planted(PLANTED_ANCHOR_FAILURE_IGNORED))
        job->result = -1;
    if (job->result >= 0 && !planted(PLANTED_EARLY_RETIRE))
        retire_files(job);
}

static void checkpoint_done(struct job *link)
{
    struct checkpoint_job *job = (struct checkpoint_job *)link;
    struct store *store = job->store;
    if (job->result < 0) {
        /* The batch is the same whenever it is written: what it names is still there. */
        outage_fail(&store->image.writes, store->options.log, store->now_ms,
                    job->error ? strerror(job->error) : store->options.kv->error);
        space_needed(&store->journal, job->submitted_ms);
        job->is_submitted = false;
        return;
    }
    outage_succeed(&store->image.writes, store->now_ms);
    outage_succeed(&store->memory.index_writes, store->now_ms);
    forget_files(store, job);
    for (uint32_t i = 0; i < job->recycled; i++)
        store->journal.spares[store->journal.spares_count++] = job->kept[i];
    for (size_t i = 0; i < job->retired_count; i++) {
        struct segment *segment = job->retired[i];
        segment->is_gone = true;
        store->stats.segments_retired++;
        if (segment->readers == 0)
            segment_free(&store->journal, segment);
    }
    store->image.number = job->number;
    store->journal.covered = job->durable;
    store->image.sum = job->sum;
    store->image.job = NULL;
    store->stats.checkpoints++;
    checkpoint_free(job);
}

uint64_t checkpoint_due_ms(const struct store *store)
{
    uint64_t interval_ms = store->options.checkpoint_ms;
    uint64_t tight_ms = space_is_wanted(&store->journal) ? WANTED_MS : TIGHT_MS;
    if (space_is_tight(&store->journal) && tight_ms < interval_ms)
        interval_ms = tight_ms;
    return store->image.began_ms + interval_ms;
}

bool checkpoint_has_news(const struct store *store)
{
    return store->image.is_changed || store->journal.is_changed;
}

static bool is_wanted(const struct store *store)
{
    if (store->image.job || backup_holds(store) || store->journal.is_failed ||
        !checkpoint_has_news(store))
        return false;
    /* What is being released holds segments, and would have to be released at once. */
    if (!list_is_empty(&store->memory.condemned) &&
        store->journal.since_image < 2 * store->options.checkpoint_bytes)
        return false;
    return store->journal.since_image >= store->options.checkpoint_bytes ||
           store->now_ms >= checkpoint_due_ms(store);
}

bool checkpoint_is_due(const struct store *store)
{
    return is_wanted(store) && store->image.draft && store->image.draft->is_drafted;
}

static struct checkpoint_job *job_new(struct store *store)
{
    struct checkpoint_job *job = mem_zalloc(sizeof(*job));
    job->job.run = run_checkpoint;
    job->job.done = checkpoint_done;
    job->store = store;
    job->blob_first = store->image.blob_last + 1;
    job->blob_last = UINT64_MAX; /* until the image is taken */
    list_init(&job->chunks);
    list_init(&job->queues);
    list_append_all(&job->chunks, &store->image.changed_chunks);
    list_append_all(&job->queues, &store->image.changed_indexes);
    return job;
}

/* ---- the draft ---- */

/* What changes again after it was drafted is on the lists of changes again, and is put into the batch
 * once more, behind. */
static void draft_names(struct store *store, struct checkpoint_job *job)
{
    struct name_change **changes = mem_zalloc_array(store->options.draft_steps, sizeof(*changes));
    uint64_t at = 0;
    uint32_t count = 0;
    while (count < store->options.draft_steps &&
           (changes[count] = map_next(&store->image.changed_names, &at)) != NULL)
        count++;
    for (uint32_t i = 0; i < count; i++) {
        put_name(&job->batch, changes[i]);
        map_remove(&store->image.changed_names, changes[i]->key);
        mem_free(changes[i]);
    }
    job->has_names = count < store->options.draft_steps;
    mem_free(changes);
}

static bool has_place(const struct store *store, const struct message *message)
{
    return message->batch != store->journal.filling->number &&
           !journal_is_unplaced(&store->journal, message);
}

/* Is it known where those lie that the image has? */
static bool may_encode(const struct store *store, const struct chunk *chunk)
{
    if (!chunk->entries || !chunk->is_stale)
        return true;
    for (uint32_t slot = bit_next(chunk->live_bits, 0, chunk->slots); slot < chunk->slots;
         slot = bit_next(chunk->live_bits, slot + 1, chunk->slots)) {
        const struct entry *entry = &chunk->entries[slot];
        if (entry->flags & ENTRY_RECORDED && entry->flags & ENTRY_MESSAGE &&
            !has_place(store, entry->message))
            return false;
    }
    return true;
}

/* Will a chunk in memory hardly change any more, whether its queue is used or not? One with messages that do
 * not survive stays stale, and would be encoded twice. */
static bool is_full(const struct chunk *chunk)
{
    bool is_whole = chunk->entries && chunk->is_stale && chunk->live && chunk->slots == chunk->capacity;
    for (uint32_t slot = 0; is_whole && slot < chunk->slots; slot++)
        is_whole = !bit_get(chunk->live_bits, slot) || chunk->entries[slot].flags & ENTRY_RECORDED;
    return is_whole;
}

static bool is_at_rest(const struct store *store, const struct chunk *chunk)
{
    return store->now_ms - chunk->touched_ms >= REST_MS &&
           (!chunk->index || store->now_ms - chunk->index->used_ms >= REST_MS);
}

/* What is at rest is put there as a whole: there may be as many of these as there are queues. Of what is full
 * only the blob is, as it may still be taken from. Returns the steps that it took. */
static uint32_t draft_chunk(struct store *store, struct checkpoint_job *job, struct chunk *chunk)
{
    bool rests = is_at_rest(store, chunk);
    uint32_t steps = 1 + chunk->slots / SLOTS_A_STEP;
    if (chunk->is_spilling || (!rests && !is_full(chunk)) || !may_encode(store, chunk)) {
        list_push_back(&store->image.changed_chunks, &chunk->changed_link);
        return steps;
    }
    if (rests) {
        chunk->is_changed = false;
        put_chunk(store, &job->batch, chunk);
    } else {
        list_push_back(&store->image.changed_chunks, &chunk->changed_link);
        put_blob(store, &job->batch, chunk);
    }
    return DRAFT_STEPS + steps;
}

/* What is dead stays so, and is put before whatever may come to be under a name of it. */
static void draft_dead(struct store *store, struct checkpoint_job *job)
{
    size_t most = (size_t)store->options.draft_steps * DEAD_A_STEP;
    job->has_dead = put_dead_some(store, &job->batch, most) < most;
}

/* Returns the steps that it took. */
static uint32_t draft_queues(struct store *store, struct checkpoint_job *job)
{
    struct buffer value = {0};
    uint32_t count = 0, most = store->options.draft_steps * QUEUES_A_STEP;
    while (count < most && put_queue(store, &job->queues, &job->batch, &value))
        count++;
    buffer_free(&value);
    return count / QUEUES_A_STEP;
}

static void draft_chunks(struct store *store, struct checkpoint_job *job)
{
    struct list *link;
    uint32_t steps = draft_queues(store, job);
    while (steps < store->options.draft_steps && (link = list_take_first(&job->chunks)))
        steps += draft_chunk(store, job, list_entry(link, struct chunk, changed_link));
    job->is_drafted = list_is_empty(&job->queues) && list_is_empty(&job->chunks);
}

/* What was not drafted has changed all the same. */
static void give_back(struct store *store, struct checkpoint_job *job)
{
    list_append_all(&store->image.changed_chunks, &job->chunks);
    list_append_all(&store->image.changed_indexes, &job->queues);
}

void checkpoint_draft(struct store *store)
{
    if (!is_wanted(store))
        return;
    if (!store->image.draft)
        store->image.draft = job_new(store);
    if (!store->image.draft->has_names)
        draft_names(store, store->image.draft);
    if (store->image.draft->has_names && !store->image.draft->has_dead)
        draft_dead(store, store->image.draft);
    if (store->image.draft->has_dead && !store->image.draft->is_drafted)
        draft_chunks(store, store->image.draft);
}

bool checkpoint_is_drafting(const struct store *store)
{
    return is_wanted(store) && !(store->image.draft && store->image.draft->is_drafted);
}

void checkpoint_begin(struct store *store)
{
    assert(!store->image.job && batch_is_empty(store->journal.filling));
    struct checkpoint_job *job = store->image.draft ? store->image.draft : job_new(store);
    store->image.draft = NULL;
    give_back(store, job);
    release_all(store);
    assert(list_is_empty(&store->memory.condemned));
    put_names(store, &job->batch);
    put_queues(store, &job->batch);
    put_chunks(store, &job->batch);
    put_groups(store, &job->batch);
    job->blob_last = store->image.blob_last;
    put_segments(store, job);
    put_identity(store, &job->batch);
    put_header(store, job);
    job->lacks_previous = store->journal.sealing;
    store->image.is_missed = false;
    job->durable = store->journal.position.batch - 1;
    job->recycle = space_spares(&store->journal);
    store->image.job = job;
    store->image.began_ms = store->now_ms;
    store->journal.since_image = 0;
    store->image.is_changed = store->journal.is_changed = false;
    if (planted(PLANTED_EARLY_RETIRE))
        retire_files(job);
    store_want(store, (struct ticket){.index = job->durable});
}

void checkpoint_tick(struct store *store)
{
    struct checkpoint_job *job = store->image.job;
    outage_tick(&store->image.writes, store->options.log, store->now_ms);
    if (!job || job->is_submitted || store->journal.is_failed)
        return;
    bool is_time = outage_allows(&store->image.writes, store->now_ms);
    if (!is_time || (store->journal.durable < job->durable && !planted(PLANTED_EARLY_CHECKPOINT)))
        return;
    job->is_submitted = true;
    job->submitted_ms = store->now_ms;
    space_for_image(&store->journal, job->batch.size);
    store->options.indexer->ops->submit(store->options.indexer, &job->job);
}

void checkpoint_free(struct checkpoint_job *job)
{
    if (!job)
        return;
    give_back(job->store, job);
    buffer_free(&job->batch);
    buffer_free(&job->header);
    mem_free(job->retired);
    mem_free(job);
}
