/* Keeping memory bounded. Two things leave memory on their own: bodies, when messages wait longer
 * than a second or there are too many; and the entries of chunks, when the cache is full.
 *
 * Of bodies, those that came last go first when the burst budget is exceeded: a queue is read from
 * its other end, so they are needed last. Those that nobody took for a second go oldest first.
 * Entries of a little chunk stay, and nobody looks at them: they are not worth a blob, and there may be one in
 * each of a million queues. They count beside the cache, not in it.
 *
 * What was recorded costs nothing to be rid of, and memory that is used again is cheaper than new
 * memory: of such bodies less is kept. But not where somebody takes them, who may have paused for a moment: from
 * then on all that comes would have to be read back, and publishers can be faster than a disk is read. */
#include <assert.h>

#include "base/mem.h"
#include "store/internal.h"

enum {
    IDLE_MS = 1000,
    CHUNKS_A_TURN = 32,
    STEPS_A_TURN = 32768, /* a step is a message that is looked at */
    CHUNK_STEPS = 16,     /* of a chunk, beside its messages */
    PAGE_STEPS = 4,       /* of a message that is written, beside the look at it */
    KEPT_A_STEP = 8,      /* so many that stay, as they are read next, are one step */
    VAIN_STEPS = 4096,    /* without finding anything to do */
    SPILLS_AT_ONCE = 16,
    LOADS_AT_ONCE = 8,
    USED_FACTOR = 16, /* so many times the cache may be in use here and there */
    RECORDED_PART = 8, /* of the burst budget: one in so many is for recorded ones, */
    TAKEN_PART = 2,    /* and for all together while recorded ones of queues stay that are being read */
};

/* ---- blobs ---- */

void blob_key(uint8_t key[9], uint64_t blob, bool is_transient)
{
    key[0] = is_transient ? 'T' : 'K';
    for (int i = 0; i < 8; i++)
        key[1 + i] = (uint8_t)(blob >> (56 - 8 * i));
}

static bool is_transient(const struct chunk *chunk)
{
    return chunk->queue_id & STORE_ID_TRANSIENT;
}

void blob_dead(struct store *store, uint64_t blob, bool transient)
{
    assert(blob && blob <= store->image.blob_last);
    if (store->image.dead_blobs_count == store->image.dead_blobs_capacity) {
        store->image.dead_blobs_capacity =
            store->image.dead_blobs_capacity ? store->image.dead_blobs_capacity * 2 : 16;
        store->image.dead_blobs =
            mem_realloc(store->image.dead_blobs, store->image.dead_blobs_capacity * 8);
    }
    store->image.dead_blobs[store->image.dead_blobs_count++] =
        blob | (transient ? STORE_ID_TRANSIENT : 0);
    store->image.is_changed = true;
}

void blob_drop(struct store *store, struct chunk *chunk)
{
    if (chunk->blob)
        blob_dead(store, chunk->blob, is_transient(chunk));
    chunk->blob = 0;
}

/* ---- chunks in and out of the cache ---- */

void chunk_cache(struct store *store, struct chunk *chunk)
{
    assert(chunk->entries && list_is_empty(&chunk->cache_link));
    store->memory.cache_used += chunk_cost(chunk);
    if (chunk_is_little(store, chunk))
        store->memory.little_used += chunk_cost(chunk);
    else
        list_push_back(&store->memory.cache, &chunk->cache_link);
}

static void uncache(struct store *store, struct chunk *chunk)
{
    uint64_t cost = chunk_cost(chunk);
    assert(store->memory.cache_used >= cost);
    store->memory.cache_used -= cost;
    if (chunk_is_little(store, chunk))
        store->memory.little_used -= cost;
    list_remove(&chunk->cache_link);
}

void chunk_grow_cached(struct store *store, struct chunk *chunk, uint32_t capacity)
{
    bool was_little = chunk_is_little(store, chunk);
    uint64_t before = chunk_cost(chunk);
    chunk_grow(&store->memory.slab, chunk, capacity);
    store->memory.cache_used += chunk_cost(chunk) - before;
    if (!was_little)
        return;
    store->memory.little_used -= before;
    if (chunk_is_little(store, chunk))
        store->memory.little_used += chunk_cost(chunk);
    else
        list_push_back(&store->memory.cache, &chunk->cache_link);
}

void chunk_cool(struct store *store, struct chunk *chunk)
{
    assert(chunk->entries && chunk->bodies == 0);
    assert(!chunk->ended_bits || (chunk->blob && !chunk->is_stale));
    uncache(store, chunk);
    if (chunk->index)
        chunk_weigh(chunk, &chunk->ready_bytes, &chunk->taken_bytes);
    if (chunk->due_s)
        chunk_note_times(chunk);
    entries_free(&store->memory.slab, chunk->entries, chunk->capacity);
    chunk->entries = NULL;
    bits_free(&store->memory.slab, chunk->ended_bits, chunk->capacity);
    chunk->ended_bits = NULL;
}

void chunk_discard(struct store *store, struct chunk *chunk)
{
    bool is_cold = !chunk->entries;
    assert(chunk->bodies == 0);
    chunk->index = NULL;
    if (!is_cold) {
        if (chunk->ended_bits)
            chunk_release_ended(store, chunk);
        chunk_cool(store, chunk);
        blob_drop(store, chunk);
    }
    list_remove(&chunk->cache_link);
    if ((is_cold && chunk->blob) || chunk->is_spilling || chunk->is_loading) {
        list_push_back(&store->memory.dead, &chunk->cache_link);
        return;
    }
    chunk_name_dead(store, chunk);
    chunk_free(&store->memory.slab, chunk);
}

static bool any_unrecorded(const struct chunk *chunk)
{
    for (uint32_t slot = bit_next(chunk->live_bits, 0, chunk->slots); slot < chunk->slots;
         slot = bit_next(chunk->live_bits, slot + 1, chunk->slots))
        if (!(chunk->entries[slot].flags & ENTRY_RECORDED))
            return true;
    return false;
}

/* Which of the live messages survive must be known while the entries are away. */
static void note_recorded(struct store *store, struct chunk *chunk)
{
    assert(chunk->entries);
    bits_free(&store->memory.slab, chunk->recorded_bits, chunk->capacity);
    chunk->recorded_bits = NULL;
    if (is_transient(chunk) || !any_unrecorded(chunk))
        return;
    chunk->recorded_bits = bits_new(&store->memory.slab, chunk->capacity);
    for (uint32_t slot = bit_next(chunk->live_bits, 0, chunk->slots); slot < chunk->slots;
         slot = bit_next(chunk->live_bits, slot + 1, chunk->slots))
        if (chunk->entries[slot].flags & ENTRY_RECORDED)
            bit_set(chunk->recorded_bits, slot);
}

/* ---- spilling a chunk ---- */

static void run_spill(struct job *link)
{
    struct spill_job *job = (struct spill_job *)link;
    struct kv *kv = job->store->options.kv;
    job->result = kv->ops->write(kv, buffer_bytes(&job->batch), false);
}

static void spill_done(struct job *link)
{
    struct spill_job *job = (struct spill_job *)link;
    struct store *store = job->store;
    struct chunk *chunk = job->chunk;
    assert(chunk->is_spilling && store->memory.spilling > 0);
    store->memory.spilling--;
    chunk->is_spilling = false;
    if (job->result < 0) /* it stays in memory: nothing that is kept is given up for it */
        outage_fail(&store->memory.index_writes, store->options.log, store->now_ms,
                    store->options.kv->error);
    else
        outage_succeed(&store->memory.index_writes, store->now_ms);
    if (!chunk->index) {
        blob_dead(store, job->key, is_transient(chunk));
        if (!chunk->entries)
            chunk_discard(store, chunk);
    } else if (job->result < 0 || chunk->version != job->version || !chunk->entries) {
        blob_dead(store, job->key, is_transient(chunk));
    } else {
        blob_drop(store, chunk);
        chunk->blob = job->key;
        chunk->is_stale = false;
        chunk_changed(store, chunk);
        note_recorded(store, chunk);
        chunk_cool(store, chunk);
        store->stats.chunks_spilled++;
    }
    buffer_free(&job->batch);
    mem_free(job);
}

static void spill_abandon(struct job *link)
{
    struct spill_job *job = (struct spill_job *)link;
    job->chunk->is_spilling = false;
    buffer_free(&job->batch);
    mem_free(job);
}

static void spill(struct store *store, struct chunk *chunk)
{
    assert(chunk->index && chunk->entries && chunk->bodies == 0 && !chunk->is_spilling);
    struct spill_job *job = mem_zalloc(sizeof(*job));
    struct buffer blob = {0};
    uint8_t key[9];
    job->job.run = run_spill;
    job->job.done = spill_done;
    job->job.abandon = spill_abandon;
    job->store = store;
    job->chunk = chunk;
    job->version = chunk->version;
    job->key = ++store->image.blob_last;
    chunk_encode(chunk, false, &blob);
    blob_key(key, job->key, is_transient(chunk));
    kv_batch_put_sealed(&job->batch, bytes_of(key, sizeof(key)), buffer_bytes(&blob));
    buffer_free(&blob);
    chunk->is_spilling = true;
    store->memory.spilling++;
    store->options.indexer->ops->submit(store->options.indexer, &job->job);
}

/* Does somebody take what is in the queue? */
static bool is_taken_from(const struct store *store, const struct index *index)
{
    return index && (index->is_waiting || (index->used_ms && store->now_ms - index->used_ms <= IDLE_MS));
}

/* Is the chunk where its queue is being read? */
static bool is_in_use(const struct store *store, const struct chunk *chunk)
{
    const struct index *index = chunk->index;
    if (!is_taken_from(store, index))
        return false;
    uint64_t near = index->cursor + 2 * (uint64_t)store->options.chunk_entries;
    if (near < index->read_until)
        near = index->read_until;
    return chunk->base <= near && chunk->base + chunk->slots >= index->cursor;
}

/* Is the chunk's blob on its way, in a checkpoint that is not written yet? */
static bool awaits_checkpoint(const struct store *store, const struct chunk *chunk)
{
    const struct checkpoint_job *job = store->image.draft ? store->image.draft : store->image.job;
    return job && chunk->blob >= job->blob_first && chunk->blob <= job->blob_last;
}

/* Not worth a blob? */
static bool is_small(const struct store *store, const struct chunk *chunk)
{
    return chunk->slots < SPILL_SLOTS_MIN && store->options.chunk_entries > SPILL_SLOTS_MIN;
}

static bool may_spill(const struct store *store, const struct chunk *chunk)
{
    bool is_filling = store->now_ms - chunk->touched_ms < IDLE_MS && chunk->slots < chunk->capacity;
    bool is_wanted = chunk->wanted_ms && store->now_ms - chunk->wanted_ms < IDLE_MS;
    return chunk->bodies == 0 && !chunk->is_spilling && !is_filling && !is_small(store, chunk) &&
           !is_wanted && !is_in_use(store, chunk) && !awaits_checkpoint(store, chunk);
}

static void shrink_cache(struct store *store)
{
    for (int i = 0; i < CHUNKS_A_TURN && cache_large(store) > store->options.cache_bytes; i++) {
        struct list *link = list_first(&store->memory.cache);
        if (!link || store->memory.spilling >= SPILLS_AT_ONCE ||
            !outage_allows(&store->memory.index_writes, store->now_ms))
            return;
        struct chunk *chunk = list_entry(link, struct chunk, cache_link);
        list_remove(link);
        list_push_back(&store->memory.cache, link);
        if (!may_spill(store, chunk))
            continue;
        if (chunk->live == 0)
            index_drop_empty(chunk->index, chunk);
        else if (chunk->blob && !chunk->is_stale)
            chunk_cool(store, chunk);
        else
            spill(store, chunk);
    }
}

/* ---- loading a chunk ---- */

static void run_load(struct job *link)
{
    struct load_job *job = (struct load_job *)link;
    struct kv *kv = job->store->options.kv;
    uint8_t key[9];
    blob_key(key, job->key, job->is_transient);
    job->result = kv_get_sealed(kv, bytes_of(key, sizeof(key)), &job->value);
}

/* It could not be read now, which says nothing about what is there. */
static void load_later(struct store *store, struct chunk *chunk, uint64_t began_ms)
{
    outage_fail(&store->memory.index_reads, store->options.log, store->now_ms,
                store->options.kv->error);
    space_needed(&store->journal, began_ms);
    if (chunk->index)
        index_retry_read(chunk->index, store->memory.index_reads.retry_ms);
}

static void load_done(struct job *link)
{
    struct load_job *job = (struct load_job *)link;
    struct store *store = job->store;
    struct chunk *chunk = job->chunk;
    assert(chunk->is_loading && !chunk->entries && store->memory.loading > 0);
    store->memory.loading--;
    chunk->is_loading = false;
    if (chunk->wanted_ms)
        chunk->wanted_ms = store->now_ms; /* a slow disk is not held against who waits */
    bool is_dead = !chunk->index;
    bool is_later =
        job->result < 0 && job->result != KV_DAMAGED && !planted(PLANTED_INDEX_GIVEN_UP);
    if (is_later) {
        load_later(store, chunk, job->began_ms);
    } else if (job->result != 1 || !chunk_thaw(store, chunk, buffer_bytes(&job->value))) {
        outage_succeed(&store->memory.index_reads, store->now_ms);
        mend_later(store, chunk);
    } else {
        outage_succeed(&store->memory.index_reads, store->now_ms);
        if (is_dead)
            chunk_discard(store, chunk);
        else
            index_wake(chunk->index);
    }
    buffer_free(&job->value);
    mem_free(job);
}

static void load_abandon(struct job *link)
{
    struct load_job *job = (struct load_job *)link;
    job->chunk->is_loading = false;
    buffer_free(&job->value);
    mem_free(job);
}

void chunk_load(struct store *store, struct chunk *chunk)
{
    if (chunk->is_loading || chunk->entries)
        return;
    assert(chunk->blob && !chunk->is_spilling);
    if (!outage_allows(&store->memory.index_reads, store->now_ms)) {
        if (chunk->index)
            index_retry_read(chunk->index, store->memory.index_reads.retry_ms);
        return;
    }
    struct load_job *job = mem_zalloc(sizeof(*job));
    job->job.run = run_load;
    job->job.done = load_done;
    job->job.abandon = load_abandon;
    job->store = store;
    job->chunk = chunk;
    job->began_ms = store->now_ms;
    job->key = chunk->blob;
    job->is_transient = is_transient(chunk);
    chunk->is_loading = true;
    store->memory.loading++;
    store->options.reader->ops->submit(store->options.reader, &job->job);
}

/* Of what its blob has, what was settled meanwhile stays, while that is not much of it. What an earlier run
 * wrote has entries that did not survive, and hold nothing. */
static bool stays_as_it_is(const struct store *store, const struct chunk *chunk, const uint64_t *present)
{
    uint32_t ended = 0;
    for (uint32_t i = 0; i < (chunk->slots + 63) / 64; i++)
        ended += (uint32_t)__builtin_popcountll(present[i] & ~chunk->live_bits[i]);
    return chunk->index && !chunk->is_old && chunk_may_keep(chunk, ended) &&
           !store->journal.space.is_short;
}

static void note_ended(struct store *store, struct chunk *chunk, uint32_t slot)
{
    if (!chunk->ended_bits)
        chunk->ended_bits = bits_new(&store->memory.slab, chunk->capacity);
    bit_set(chunk->ended_bits, slot);
    chunk->unreleased++;
}

/* An entry of a blob whose message was settled while the chunk was cold, or that did not survive.
 */
static void drop_entry(struct store *store, struct chunk *chunk, struct entry *entry)
{
    bool kept = entry->flags & ENTRY_RECORDED;
    if ((kept || !chunk->is_old) && entry->segment)
        segment_release(&store->journal, (struct place){entry->segment, entry->offset, entry->size},
                        entry->destinations, kept);
    *entry = (struct entry){0};
    chunk->is_stale = true;
}

bool chunk_thaw(struct store *store, struct chunk *chunk, struct bytes blob)
{
    size_t words = (chunk->capacity + 63) / 64;
    assert(!chunk->entries && chunk->blob);
    uint64_t *present = mem_zalloc_array(words, 8);
    struct entry *entries = entries_new(&store->memory.slab, chunk->capacity);
    bool sound = chunk_decode(blob, entries, chunk->slots, present);
    for (size_t i = 0; i < words && sound; i++)
        sound = (chunk->live_bits[i] & ~present[i]) == 0;
    if (!sound) {
        entries_free(&store->memory.slab, entries, chunk->capacity);
        mem_free(present);
        return false;
    }
    bool keeps_ended = stays_as_it_is(store, chunk, present);
    chunk->is_stale = false;
    chunk->unreleased = 0;
    chunk->entries = entries;
    for (uint32_t slot = bit_next(present, 0, chunk->slots); slot < chunk->slots;
         slot = bit_next(present, slot + 1, chunk->slots)) {
        if (chunk->is_old && entries[slot].flags & ENTRY_DAMAGED && entries[slot].segment == 0) {
            store->stats.damaged += bit_get(chunk->live_bits, slot);
        } else if (chunk->is_old && entries[slot].flags & ENTRY_DAMAGED) {
            /* Another start, another look. */
            entries[slot].flags &= (uint8_t)~ENTRY_DAMAGED;
            chunk->is_stale = true;
        }
        chunk_note_time(chunk, entries[slot].expires_ms);
        if (entries[slot].flags & ENTRY_DAMAGED)
            entries[slot].body_size = 0;
        if (!bit_get(chunk->live_bits, slot) && keeps_ended) {
            note_ended(store, chunk, slot);
        } else if (!bit_get(chunk->live_bits, slot)) {
            drop_entry(store, chunk, &entries[slot]);
        } else if (entries[slot].flags & ENTRY_DAMAGED && bit_get(chunk->ready_bits, slot)) {
            /* It came back while nothing was known of it but its bits. */
            index_unready(chunk->index, chunk, slot, 0); /* chunk_weighed counts its bytes */
        }
    }
    mem_free(present);
    if (chunk->index)
        chunk_weighed(chunk);
    chunk->is_old = false;
    if (chunk->is_stale)
        chunk_changed(store, chunk);
    list_remove(&chunk->cache_link);
    chunk_cache(store, chunk);
    store->stats.chunks_loaded++;
    return true;
}

int chunk_thaw_now(struct store *store, struct chunk *chunk)
{
    struct buffer value = {0};
    uint8_t key[9];
    blob_key(key, chunk->blob, is_transient(chunk));
    int result = kv_get_sealed(store->options.kv, bytes_of(key, sizeof(key)), &value);
    if (result == 0 || (result == 1 && !chunk_thaw(store, chunk, buffer_bytes(&value))))
        result = KV_DAMAGED;
    buffer_free(&value);
    return result;
}

void chunk_want(struct store *store, struct chunk *chunk)
{
    chunk->wanted_ms = store->now_ms;
    chunk_load(store, chunk);
}

void chunk_used(struct store *store, struct chunk *chunk)
{
    if (chunk->blob && cache_large(store) < USED_FACTOR * store->options.cache_bytes)
        chunk->wanted_ms = store->now_ms;
}

void chunk_unreleased(struct store *store, struct chunk *chunk)
{
    assert(!chunk->entries && chunk->unreleased < chunk->slots);
    chunk_changed(store, chunk);
    /* When most of it is gone it is loaded, or its messages would keep their room on the disk for as
     * long as one of them is not settled. */
    if (++chunk->unreleased >= chunk->slots / 2 + 1 && list_is_empty(&chunk->cache_link))
        list_push_back(&store->memory.unreleased, &chunk->cache_link);
}

static void load_unreleased(struct store *store)
{
    list_for_each_safe(link, after, &store->memory.unreleased) {
        if (store->memory.loading >= LOADS_AT_ONCE || store->memory.spilling >= SPILLS_AT_ONCE ||
            !outage_allows(&store->memory.index_reads, store->now_ms))
            return;
        chunk_load(store, list_entry(link, struct chunk, cache_link));
    }
}

static void load_dead(struct store *store)
{
    list_for_each_safe(link, after, &store->memory.dead) {
        if (store->memory.loading >= LOADS_AT_ONCE ||
            !outage_allows(&store->memory.index_reads, store->now_ms))
            return;
        struct chunk *chunk = list_entry(link, struct chunk, cache_link);
        if (!chunk->is_spilling)
            chunk_load(store, chunk);
    }
}

/* ---- bodies ---- */

/* A message that lies in several queues has one record, which all of them hold: writing it once
 * more for each would take more memory than it frees. False: it has none, or the record is gone, as
 * nobody held it any more. */
static bool share_record(struct store *store, const struct message *message)
{
    if (!message->batch)
        return false;
    const struct segment *segment = segment_find(&store->journal, message->segment);
    if (!segment || segment->is_retiring || segment->is_gone)
        return false;
    segment_hold(&store->journal, message_place(message), message->destinations, false);
    return true;
}

/* A message that is on no disk is written for the sake of memory alone. False: not now. */
static bool page_out(struct store *store, struct chunk *chunk, uint32_t slot)
{
    struct entry *entry = &chunk->entries[slot];
    struct destination destination = {chunk->queue_id, chunk->base + slot, entry->expires_ms};
    assert(!(entry->flags & (ENTRY_RECORDED | ENTRY_PAGED)) && !chunk->ended_bits);
    /* Its record has no place yet. */
    if (entry->message->batch == store->journal.filling->number ||
        journal_is_unplaced(&store->journal, entry->message))
        return false;
    bool is_shared = share_record(store, entry->message);
    if (!is_shared && !space_covers(&store->journal, message_record_max(entry->message, 1)))
        return false;
    if (!is_shared)
        batch_add_message(&store->journal, RECORD_PAGED, entry->message, &destination, 1);
    entry->flags |= ENTRY_PAGED;
    chunk->version++;
    chunk->is_stale = true; /* a checkpoint says nothing of it, as it does not survive */
    store->stats.bodies_paged++;
    return true;
}

/* Where what a reader of the chunk's queue needs next ends, as a slot: what one read would bring.
 */
static uint32_t window_end(const struct chunk *chunk, uint32_t from)
{
    uint64_t bytes = 0;
    for (from = bit_next(chunk->ready_bits, from, chunk->slots);
         from < chunk->slots && bytes < READ_BYTES;
         from = bit_next(chunk->ready_bits, from + 1, chunk->slots))
        if (chunk->entries[from].flags & ENTRY_MESSAGE)
            bytes += chunk->entries[from].message->body_size;
    return from;
}

/* May something be written for the sake of memory? */
static bool may_page(const struct store *store)
{
    return !store->journal.space.is_short &&
           store->journal.filling->size < store->options.batch_bytes / 2;
}

/* The message's memory is given up for its place. */
static inline void evict(struct store *store, struct chunk *chunk, struct entry *entry)
{
    assert(entry->flags & ENTRY_MESSAGE && entry->message->batch <= store->journal.written);
    assert(entry->flags & (ENTRY_RECORDED | ENTRY_PAGED));
    entry_set_place(store, chunk, entry);
    store->stats.bodies_evicted++;
}

/* What can be done for one slot; returns the steps that it took, and raises *awaited to the batch
 * that must be written before more can be done. */
static inline uint32_t evict_slot(struct store *store, struct chunk *chunk, uint32_t slot, bool pages,
                           uint64_t *awaited)
{
    struct entry *entry = &chunk->entries[slot];
    uint32_t steps = 1;
    assert(entry->flags & ENTRY_MESSAGE);
    if (!(entry->flags & (ENTRY_RECORDED | ENTRY_PAGED))) {
        if (!pages || !may_page(store))
            return steps;
        steps += page_out(store, chunk, slot) ? PAGE_STEPS : 0;
    }
    uint64_t batch = entry->message->batch;
    if (entry->flags & (ENTRY_RECORDED | ENTRY_PAGED) && batch <= store->journal.written) {
        evict(store, chunk, entry);
        steps++;
    } else if (batch > *awaited) {
        *awaited = batch;
    }
    return steps;
}

/* Another number after whatever changes what may leave memory: an entry, or what is ready. */
static uint32_t state_of(const struct chunk *chunk)
{
    return chunk->version * 0x9e3779b1u + chunk->ready;
}

/* Is there anything to do for the chunk that was not done when it was last looked at? */
static bool is_worth_a_look(const struct store *store, const struct chunk *chunk, bool pages)
{
    if (chunk->awaits)
        return chunk->awaits <= store->journal.written;
    if (chunk->kept && chunk->kept == state_of(chunk) && is_in_use(store, chunk))
        return false;
    return !pages || may_page(store);
}

/* What can be done for the slots from `from` to before `to`; raises *left by the bodies that stay. */
static uint32_t evict_slots(struct store *store, struct chunk *chunk, uint32_t from, uint32_t to, bool pages,
                            uint64_t *awaited, uint32_t *left)
{
    uint32_t steps = 0;
    for (uint32_t slot = bit_next(chunk->live_bits, from, to); slot < to && chunk->bodies;
         slot = bit_next(chunk->live_bits, slot + 1, to)) {
        store->memory.bodies_looked_at++;
        if (!(chunk->entries[slot].flags & ENTRY_MESSAGE))
            continue;
        steps += evict_slot(store, chunk, slot, pages, awaited);
        *left += (chunk->entries[slot].flags & ENTRY_MESSAGE) != 0;
    }
    return steps;
}

/* `pages`: also what has to be written for that. Returns the steps that it took. */
static uint32_t evict_bodies_of(struct store *store, struct chunk *chunk, bool pages)
{
    uint32_t window = 0, behind = 0, steps = 0, left = 0;
    uint64_t awaited = 0;
    if (!is_worth_a_look(store, chunk, pages))
        return 0;
    if (is_in_use(store, chunk)) {
        uint64_t cursor = chunk->index->cursor;
        window = chunk_below(chunk, cursor, chunk->slots);
        behind = window_end(chunk, window);
        store->memory.bodies_looked_at += behind - window;
        steps += (behind - window) / KEPT_A_STEP;
    }
    steps += evict_slots(store, chunk, 0, window, pages, &awaited, &left);
    steps += evict_slots(store, chunk, behind, chunk->slots, pages, &awaited, &left);
    chunk->awaits = awaited;
    chunk->kept = left ? 0 : state_of(chunk);
    return steps;
}

/* What was read in this turn is what somebody waits for. */
static bool may_evict(const struct store *store, const struct chunk *chunk)
{
    return chunk->read_ms != store->now_ms;
}

/* Is it all written, and does nobody need any of it soon? `is_most`: then those of queues that are being read
 * go, too, where they are not needed next. */
static bool may_evict_recorded(const struct store *store, const struct chunk *chunk, bool is_most)
{
    return chunk->batch && chunk->batch <= store->journal.written &&
           store->now_ms - chunk->read_ms >= IDLE_MS &&
           !(is_most ? is_in_use(store, chunk) : is_taken_from(store, chunk->index));
}

static void evict_burst(struct store *store)
{
    struct list *link = store->memory.bodies.prev;
    uint64_t recorded_max = store->options.bodies_burst_bytes / RECORDED_PART;
    /* Once a millisecond, as it may be that none of it can go. */
    bool looks = store->memory.bodies_looked_ms != store->now_ms;
    store->memory.bodies_looked_ms = store->now_ms;
    for (uint32_t steps = 0; steps < STEPS_A_TURN && link != &store->memory.bodies;) {
        size_t bytes = message_pool_bytes(store->options.pool);
        bool is_burst = bytes > store->options.bodies_burst_bytes;
        /* One message in many queues is counted for each, but lies in the pool once. */
        bool is_much = store->memory.recorded_bytes > recorded_max && bytes > recorded_max;
        bool is_most = bytes > store->options.bodies_burst_bytes / TAKEN_PART;
        if (!is_burst && !(looks && is_much))
            return;
        struct list *before = link->prev;
        struct chunk *chunk = list_entry(link, struct chunk, bodies_link);
        steps += is_burst ? CHUNK_STEPS : 4 * CHUNK_STEPS;
        if (is_burst ? may_evict(store, chunk) : may_evict_recorded(store, chunk, is_most))
            steps += evict_bodies_of(store, chunk, is_burst);
        link = before;
    }
}

/* Much is in bodies; or in entries that could leave, which stay for as long as their bodies do. */
static bool is_much_idle(const struct store *store)
{
    return message_pool_bytes(store->options.pool) > store->options.bodies_idle_bytes ||
           cache_large(store) > 2 * store->options.cache_bytes;
}

static bool may_evict_idle(const struct store *store, const struct chunk *chunk)
{
    bool is_much = message_pool_bytes(store->options.pool) > store->options.bodies_idle_bytes;
    return store->now_ms - chunk->touched_ms >= IDLE_MS && chunk->read_ms != store->now_ms &&
           !is_in_use(store, chunk) && (is_much || !is_small(store, chunk));
}

/* Goes once around at most, and no further when nothing is found. More than a turn's share is done
 * in the next one. */
static void evict_idle(struct store *store)
{
    const struct list *last = store->memory.bodies.prev;
    uint32_t steps = 0, done = 0;
    store->memory.has_idle_bodies = false;
    while (!list_is_empty(&store->memory.bodies) && is_much_idle(store)) {
        if (steps >= STEPS_A_TURN || (done == 0 && steps >= VAIN_STEPS)) {
            store->memory.has_idle_bodies = done > 0;
            return;
        }
        struct list *link = list_first(&store->memory.bodies);
        struct chunk *chunk = list_entry(link, struct chunk, bodies_link);
        list_remove(link);
        list_push_back(&store->memory.bodies, link);
        uint32_t took = may_evict_idle(store, chunk) ? evict_bodies_of(store, chunk, true) : 0;
        steps += CHUNK_STEPS + took;
        done += took;
        if (link == last)
            return;
    }
}

bool spill_has_to_look(const struct store *store)
{
    return (!list_is_empty(&store->memory.bodies) && is_much_idle(store)) ||
           (!list_is_empty(&store->memory.cache) &&
            cache_large(store) > store->options.cache_bytes);
}

void spill_tick(struct store *store)
{
    if (store->journal.is_failed)
        return;
    outage_tick(&store->memory.index_writes, store->options.log, store->now_ms);
    outage_tick(&store->memory.index_reads, store->options.log, store->now_ms);
    evict_burst(store);
    evict_idle(store);
    shrink_cache(store);
    load_dead(store);
    load_unreleased(store);
}
