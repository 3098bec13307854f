#include "store/index.h"

#include <assert.h>

#include "base/mem.h"
#include "base/planted.h"
#include "store/index_internal.h"

enum { CHUNK_FIRST = 8, MARK_SOON_MS = 1000, MARK_STEPS_MAX = 64 };

struct index *index_new(struct store *store, uint64_t id)
{
    struct index *index = mem_zalloc(sizeof(*index));
    index->id = id;
    index->store = store;
    index->next_sequence = 1;
    index->cursor = 1;
    list_init(&index->dirty_link);
    list_init(&index->wait_link);
    list_init(&index->changed_link);
    index->heeds = COUNTS_NOTED;
    idmap_add(&store->indexes, id, index);
    return index;
}

void index_change(struct index *index)
{
    assert(!index->is_dirty && index_survives(index));
    index->is_dirty = true;
    list_push_back(&index->store->image.changed_indexes, &index->dirty_link);
}

void index_note_change(struct index *index)
{
    assert(index->heeds == COUNTS_NOTED && list_is_empty(&index->changed_link));
    index->heeds = index->above ? COUNTS_ABOVE : COUNTS_UNHEEDED;
    list_push_back(&index->store->changed, &index->changed_link);
}

void chunk_change(struct store *store, struct chunk *chunk)
{
    assert(!chunk->is_changed && !(chunk->queue_id & STORE_ID_TRANSIENT));
    chunk->is_changed = true;
    list_push_back(&store->image.changed_chunks, &chunk->changed_link);
}

/* ---- the row of chunks ---- */

void index_add_chunk(struct index *index, struct chunk *chunk)
{
    uint32_t end = index->chunks_first + index->chunks_count;
    if (end == index->chunks_capacity && index->chunks_first >= index->chunks_capacity / 2 + 1) {
        memmove(index->chunks, index->chunks + index->chunks_first,
                index->chunks_count * sizeof(struct chunk *));
        index->chunks_first = 0;
    } else if (end == index->chunks_capacity) {
        index->chunks_capacity = index->chunks_capacity ? index->chunks_capacity * 2 : 2;
        index->chunks =
            mem_realloc(index->chunks, index->chunks_capacity * sizeof(struct chunk *));
    }
    assert(chunk->queue_id == index->id && !chunk->index);
    index->chunks[index->chunks_first + index->chunks_count++] = chunk;
    chunk->index = index;
}

struct chunk *index_chunk(struct index *index, uint64_t sequence)
{
    uint32_t at = index_position(index, sequence);
    if (at == index->chunks_count)
        return NULL;
    struct chunk *chunk = index_chunk_at(index, at);
    return chunk_slot(chunk, sequence) < chunk->slots ? chunk : NULL;
}

struct entry *index_entry(struct index *index, uint64_t sequence, struct chunk **chunk)
{
    *chunk = index_chunk(index, sequence);
    if (!*chunk)
        return NULL;
    uint32_t slot = chunk_slot(*chunk, sequence);
    if (!bit_get((*chunk)->live_bits, slot)) {
        *chunk = NULL;
        return NULL;
    }
    return (*chunk)->entries ? &(*chunk)->entries[slot] : NULL;
}

uint64_t index_next(const struct index *index)
{
    return store_is_of_group(index->id) ? propose_next(index) : index->next_sequence;
}

bool index_holds(struct index *index, uint64_t sequence)
{
    if (index_is_to_come(index, sequence))
        return true;
    const struct chunk *chunk = index_chunk(index, sequence);
    return chunk && bit_get(chunk->live_bits, chunk_slot(chunk, sequence));
}

bool index_keeps(struct index *index, uint64_t sequence)
{
    if (store_is_of_group(index->id)) {
        index->ends_are_known = true;
        if (propose_is_ending(index, sequence))
            return false;
    }
    return index_holds(index, sequence);
}

static void remove_chunk(struct index *index, struct chunk *chunk)
{
    uint32_t at = index_position(index, chunk->base);
    assert(at < index->chunks_count && index_chunk_at(index, at) == chunk);
    if (at == 0) {
        index->chunks_first++;
    } else {
        struct chunk **slot = &index->chunks[index->chunks_first + at];
        memmove(slot, slot + 1, (index->chunks_count - at - 1) * sizeof(*slot));
    }
    if (--index->chunks_count == 0)
        index->chunks_first = 0;
}

void chunk_emptied(struct index *index, struct chunk *chunk)
{
    struct store *store = index->store;
    assert(chunk->live == 0 && chunk->ready == 0 && chunk->bodies == 0);
    if (chunk->ended_bits)
        chunk_release_ended(store, chunk);
    if (chunk != index_tail(index) || !chunk->entries) {
        remove_chunk(index, chunk);
        chunk_discard(store, chunk);
        return;
    }
    assert(!chunk->returns);
    chunk_name_dead(store, chunk);
    blob_drop(store, chunk);
    chunk->base = index->next_sequence;
    chunk->slots = 0;
    chunk->due_s = 0;
    index->has_times &= index->chunks_count > 1;
    chunk->is_stale = true;
}

void index_drop_empty(struct index *index, struct chunk *chunk)
{
    assert(chunk->live == 0 && chunk->ready == 0);
    remove_chunk(index, chunk);
    chunk_discard(index->store, chunk);
}

/* ---- entries ---- */

static bool is_pending(const struct store *store, const struct message *message)
{
    return message->batch == store->journal.filling->number;
}

void entry_release(struct store *store, struct chunk *chunk, struct entry *entry)
{
    bool kept = entry->flags & ENTRY_RECORDED;
    struct message *message = entry->flags & ENTRY_MESSAGE ? entry->message : NULL;
    bool holds = message || entry->segment; /* else it is not known what */
    if (holds && (kept || entry->flags & ENTRY_PAGED)) {
        assert(!message || !is_pending(store, message) || message->pending_live > 0);
        if (message && is_pending(store, message)) {
            if (--message->pending_live == 0)
                batch_elide(&store->journal, message);
        } else if (message && journal_is_unplaced(&store->journal, message)) {
            message->pending_live--;
        } else {
            segment_release(&store->journal, entry_place(entry), entry_destinations(entry), kept);
        }
    }
    if (!message)
        return;
    entry_count_recorded(store, entry, false);
    assert(chunk->bodies > 0);
    if (--chunk->bodies == 0)
        list_remove(&chunk->bodies_link);
    message_unref(store->options.pool, message);
}

/* It was known about (chunk.c). */
static inline void set_body_size(struct chunk *chunk, struct entry *entry, uint32_t size)
{
    if (entry->body_size == size)
        return;
    if (bit_get(chunk->ready_bits, (uint32_t)(entry - chunk->entries)))
        index_count(chunk->index, 0, 0, (int64_t)size - entry->body_size);
    index_count_bytes(chunk->index, (int64_t)size - entry->body_size);
    entry->body_size = size;
    chunk_changed(chunk->index->store, chunk);
}

void entry_set_message(struct store *store, struct chunk *chunk, struct entry *entry,
                       struct message *message)
{
    if (entry->flags & ENTRY_MESSAGE) {
        entry_count_recorded(store, entry, false);
        message_unref(store->options.pool, entry->message);
    } else if (chunk->bodies++ == 0) {
        list_push_back(&store->memory.bodies, &chunk->bodies_link);
    }
    assert(chunk->bodies <= chunk->live);
    entry->message = message;
    entry->flags |= ENTRY_MESSAGE;
    set_body_size(chunk, entry, message->body_size);
    entry_count_recorded(store, entry, true);
    if (entry->flags & ENTRY_RECORDED && chunk->batch < message->batch)
        chunk->batch = message->batch;
    chunk->version++;
    chunk->touched_ms = store->now_ms;
}

/* Is what is on disk about this message only a record in the batch that is being filled, so that
 * nothing needs to be said about its end? */
static bool leaves_no_trace(const struct store *store, const struct entry *entry)
{
    if (!(entry->flags & ENTRY_MESSAGE) || !is_pending(store, entry->message))
        return false;
    const struct message *message = entry->message;
    bool is_last = message->pending_live == 1 && message->destinations == 1;
    return (is_last || planted(PLANTED_SETTLE_OMITTED)) &&
           store->journal.filling->records[message->pending].type == RECORD_MESSAGE;
}

/* ---- bytes of cold chunks ---- */

void chunk_weighed(struct chunk *chunk)
{
    uint64_t ready, taken;
    chunk_weigh(chunk, &ready, &taken);
    index_count(chunk->index, 0, 0, (int64_t)(ready - chunk->ready_bytes));
    index_count_bytes(chunk->index,
                      (int64_t)(ready + taken - chunk->ready_bytes - chunk->taken_bytes));
    chunk->ready_bytes = chunk->taken_bytes = 0;
}

/* ---- what came back ---- */

uint32_t index_count_of(const struct chunk *chunk, uint32_t slot)
{
    const struct returned *item =
        chunk->returns ? returns_find(chunk->returns, slot) : NULL;
    uint32_t count = item ? item->count : 0;
    if (__builtin_expect(store_is_of_group(chunk->index->id), 0))
        propose_count(chunk->index, chunk->base + slot, &count);
    return count;
}

void index_note_returned(struct store *store, struct chunk *chunk, struct returned item)
{
    returns_put(&store->memory.slab, &chunk->returns, item);
    chunk_changed(store, chunk);
}

/* ---- the end of a message ---- */

/* Does a chunk stay as its blob has it, when one of its messages goes? That is worth while where they go from
 * anywhere: the first chunk is done with soon. While the disk is short all room is given back at once. */
static bool keeps_ended(const struct index *index, const struct chunk *chunk, const struct entry *entry)
{
    return !chunk->is_stale && chunk->blob && !(entry->flags & ENTRY_DAMAGED) &&
           chunk != index_chunk_at(index, 0) && !index->store->journal.space.is_short;
}

/* Its bits are cleared: it is as if its chunk had been cold. */
static void keep_ended(struct store *store, struct chunk *chunk, uint32_t slot)
{
    struct entry *entry = &chunk->entries[slot];
    assert(entry->flags & (ENTRY_RECORDED | ENTRY_PAGED));
    if (entry->flags & ENTRY_MESSAGE)
        entry_set_place(store, chunk, entry);
    if (!chunk->ended_bits)
        chunk->ended_bits = bits_new(&store->memory.slab, chunk->capacity);
    bit_set(chunk->ended_bits, slot);
    chunk->version++;
    chunk_changed(store, chunk);
    if (!chunk_may_keep(chunk, ++chunk->unreleased))
        entry_changed(store, chunk);
}

void chunk_release_ended(struct store *store, struct chunk *chunk)
{
    assert(chunk->entries && chunk->ended_bits);
    for (uint32_t slot = bit_next(chunk->ended_bits, 0, chunk->slots); slot < chunk->slots;
         slot = bit_next(chunk->ended_bits, slot + 1, chunk->slots)) {
        entry_release(store, chunk, &chunk->entries[slot]);
        chunk->unreleased--;
    }
    assert(chunk->unreleased == 0);
    bits_free(&store->memory.slab, chunk->ended_bits, chunk->capacity);
    chunk->ended_bits = NULL;
}

void index_end_slot(struct index *index, struct chunk *chunk, uint32_t slot)
{
    struct store *store = index->store;
    struct entry *entry = chunk->entries ? &chunk->entries[slot] : NULL;
    bool recorded = entry ? (entry->flags & ENTRY_RECORDED) : index_survives(index);
    assert(chunk->live > chunk->ready && !bit_get(chunk->ready_bits, slot));
    bit_clear(chunk->live_bits, slot);
    chunk->live--;
    slot_forget_returns(store, chunk, slot);
    if (recorded && !(entry && leaves_no_trace(store, entry)))
        batch_add_settle(&store->journal, &index->settles, index->id, chunk->base + slot, 1);
    if (!entry) {
        chunk_unreleased(store, chunk);
    } else if (__builtin_expect(keeps_ended(index, chunk, entry), 0)) {
        keep_ended(store, chunk, slot);
    } else {
        entry_release(store, chunk, entry);
        entry_changed(store, chunk);
    }
}

static void settle_slot(struct index *index, struct chunk *chunk, uint32_t slot)
{
    index_end_slot(index, chunk, slot);
    if (chunk->live == 0)
        chunk_emptied(index, chunk);
}

/* ---- coming in ---- */

uint32_t index_capacity_above(const struct index *index, uint32_t capacity)
{
    uint64_t fraction = (uint32_t)((uint32_t)index->id * UINT32_C(0x9e3779b1));
    uint64_t next = CHUNK_FIRST * (((uint64_t)1 << 32) + fraction);
    while (next >> 32 <= capacity)
        next *= 2;
    return (uint32_t)(next >> 32);
}

void index_grow(struct store *store, struct chunk *chunk, uint32_t capacity)
{
    uint32_t most = store->options.chunk_entries;
    entry_changed(store, chunk);
    chunk_grow_cached(store, chunk, capacity < most ? capacity : most);
}

/* The last chunk, if there is room in it: it grows, or is begun, or there is another one. */
static struct chunk *make_room(struct index *index)
{
    struct store *store = index->store;
    struct chunk *tail = index_tail(index);
    uint32_t capacity = tail ? tail->capacity : 0;
    uint32_t next = index_capacity_above(index, capacity);
    if (tail && tail->entries && tail->live == 0 && tail->slots == 0)
        tail->base = index->next_sequence;
    if (tail && tail->entries && tail->base + tail->slots == index->next_sequence) {
        if (tail->slots < tail->capacity)
            return tail;
        bool is_used = tail->live > capacity / 2;
        if (is_used && next <= store->options.chunk_entries) {
            index_grow(store, tail, next);
            return tail;
        }
        if (is_used)
            capacity = store->options.chunk_entries;
    }
    if (capacity < CHUNK_FIRST)
        capacity = next;
    if (capacity > store->options.chunk_entries)
        capacity = store->options.chunk_entries;
    struct chunk *chunk = chunk_new(&store->memory.slab, index->id, index->next_sequence, capacity);
    index_add_chunk(index, chunk);
    chunk_cache(store, chunk);
    return chunk;
}

static inline struct chunk *chunk_for_push(struct index *index)
{
    struct chunk *tail = index_tail(index);
    bool has_room = tail && tail->entries && tail->slots && tail->slots < tail->capacity &&
                    tail->base + tail->slots == index->next_sequence;
    return has_room ? tail : make_room(index);
}

void chunk_note_time(struct chunk *chunk, uint64_t expires_ms)
{
    uint64_t due_s = expires_ms / 1000 + 1;
    if (expires_ms == 0)
        return;
    if (due_s > UINT32_MAX)
        due_s = UINT32_MAX;
    if (chunk->due_s == 0 || due_s < chunk->due_s)
        chunk->due_s = (uint32_t)due_s;
    if (chunk->index)
        chunk->index->has_times = true;
}

void chunk_note_times(struct chunk *chunk)
{
    chunk->due_s = 0;
    for (uint32_t slot = bit_next(chunk->live_bits, 0, chunk->slots); slot < chunk->slots;
         slot = bit_next(chunk->live_bits, slot + 1, chunk->slots))
        chunk_note_time(chunk, chunk->entries[slot].expires_ms);
}

uint64_t index_push(struct index *index, struct message *message, uint64_t expires_ms,
                    uint8_t flags)
{
    struct store *store = index->store;
    struct chunk *chunk = chunk_for_push(index);
    uint32_t slot = chunk->slots++;
    struct entry *entry = &chunk->entries[slot];
    assert(slot < chunk->capacity && chunk->base + slot == index->next_sequence);
    *entry = (struct entry){.message = message_ref(message),
                            .expires_ms = expires_ms,
                            .flags = (uint8_t)(flags | ENTRY_MESSAGE),
                            .priority = message->priority,
                            .body_size = message->body_size};
    if (expires_ms)
        chunk_note_time(chunk, expires_ms);
    if (flags & ENTRY_RECORDED) {
        entry_count_recorded(store, entry, true);
        chunk->batch = store->journal.filling->number;
    }
    bit_set(chunk->live_bits, slot);
    bit_set(chunk->ready_bits, slot);
    chunk->live++;
    chunk->ready++;
    chunk->touched_ms = store->now_ms;
    if (chunk->bodies++ == 0)
        list_push_back(&store->memory.bodies, &chunk->bodies_link);
    if (chunk->recorded_bits && flags & ENTRY_RECORDED)
        bit_set(chunk->recorded_bits, slot);
    index_count(index, 1, 0, message->body_size);
    index_count_bytes(index, message->body_size);
    entry_changed(store, chunk);
    index_changed(index);
    return index->next_sequence++;
}

/* ---- going out ---- */

void index_wake(struct index *index)
{
    if (!index->is_waiting)
        return;
    index->is_waiting = false;
    index->used_ms = index->store->now_ms; /* what was read for it must stay until it looks */
    list_remove(&index->wait_link);
    list_push_back(&index->store->awake, &index->wait_link);
}

struct chunk *index_find_ready(struct index *index, uint32_t *slot)
{
    uint32_t at = index_position(index, index->cursor);
    if (at == index->chunks_count)
        at = 0;
    for (; at < index->chunks_count; at++) {
        struct chunk *chunk = index_chunk_at(index, at);
        if (chunk->ready == 0)
            continue;
        uint32_t from = chunk_below(chunk, index->cursor, chunk->slots);
        if (from >= chunk->slots)
            continue;
        *slot = bit_next(chunk->ready_bits, from, chunk->slots);
        if (*slot < chunk->slots)
            return chunk;
    }
    assert(false && "a ready message that is in no chunk");
    return NULL;
}

/* The same, which mostly is at the cursor, in the chunk that was found last. */
static inline struct chunk *next_ready(struct index *index, uint32_t *slot)
{
    if (index->hint < index->chunks_count) {
        struct chunk *chunk = index_chunk_at(index, index->hint);
        uint64_t at = index->cursor - chunk->base; /* a large number when it lies before */
        if (at < chunk->slots && bit_get(chunk->ready_bits, (uint32_t)at)) {
            *slot = (uint32_t)at;
            return chunk;
        }
    }
    return index_find_ready(index, slot);
}

/* A queue that is read fast moves its mark in longer steps, so that it need not wait for a slow disk.
 * After a crash, what lies below a mark is said to be redelivered, whether it was delivered or not. */
static uint32_t mark_step_of(const struct index *index)
{
    const struct store *store = index->store;
    uint32_t step = index->mark_step;
    if (step == 0 || store->now_ms - index->mark_ms >= MARK_SOON_MS)
        return store->options.mark_step;
    if (step > UINT32_MAX / 2 || step / MARK_STEPS_MAX >= store->options.mark_step)
        return step;
    return step * 2;
}

static void ask_for_mark(struct index *index, uint64_t sequence)
{
    struct store *store = index->store;
    struct buffer payload = {0};
    index->mark_step = mark_step_of(index);
    index->mark_asked = sequence + index->mark_step;
    assert(index->mark_batch == 0);
    /* A step that is shorter again must not fall behind what was allowed before. */
    if (index->mark_asked < index->mark)
        index->mark_asked = index->mark;
    index->mark_batch = store->journal.filling->number;
    /* Asked for again so soon, it would be reached before its batch is synced for its age. */
    if (store->now_ms - index->mark_ms < store->options.sync_ms)
        store_want(store, (struct ticket){.index = index->mark_batch});
    index->mark_ms = store->now_ms;
    buffer_add_u64(&payload, index->id);
    buffer_add_u64(&payload, index->mark_asked);
    batch_add(&store->journal, RECORD_DELIVERED, buffer_bytes(&payload));
    buffer_free(&payload);
    index_changed(index);
    store->stats.marks_written++;
}

/* Brings the queue's mark above `sequence`, so that this recorded message may be sent: after a
 * crash it is known then that it may have been. True: a durable mark is above it. False: the queue
 * waits for one. Either way a higher one is asked for, with a record, once half a step or less is
 * left; but that of a group's queue is moved by its group. */
static bool mark_reach(struct index *index, uint64_t sequence)
{
    struct store *store = index->store;
    if (store_is_of_group(index->id))
        return propose_mark(index, sequence) || planted(PLANTED_NO_MARK);
    if (index->mark_batch && index->mark_batch <= store->journal.durable) {
        index->mark = index->mark_asked;
        index->mark_batch = 0;
    }
    if (!index->mark_batch && sequence + index->mark_step / 2 >= index->mark)
        ask_for_mark(index, sequence);
    if (sequence < index->mark || planted(PLANTED_NO_MARK))
        return true;
    store_want(store, (struct ticket){.index = index->mark_batch});
    list_remove(&index->wait_link);
    list_push_back(&store->mark_waiters, &index->wait_link);
    return false;
}

enum index_result index_take(struct index *index, bool settle, struct taken *taken)
{
    if (index->ready == 0)
        return INDEX_EMPTY;
    uint32_t slot;
    struct chunk *chunk = next_ready(index, &slot);
    uint64_t sequence = chunk->base + slot;
    struct entry *entry = chunk->entries ? &chunk->entries[slot] : NULL;
    bool is_of_group = store_is_of_group(index->id);
    index->cursor = sequence;
    if (!index_may_take(index))
        return index_wait(index);
    if (!entry || !(entry->flags & ENTRY_MESSAGE)) {
        read_ahead(index, sequence);
        return index_wait(index);
    }
    bool leaves_none = settle && !is_of_group && leaves_no_trace(index->store, entry);
    if (entry->flags & ENTRY_RECORDED && !leaves_none && !mark_reach(index, sequence))
        return index_wait(index);
    *taken = (struct taken){.sequence = sequence,
                            .message = message_ref(entry->message),
                            .delivery_count = index_count_of(chunk, slot),
                            .redelivered = sequence < index->taken_high &&
                                           !planted(PLANTED_REDELIVERED_FORGOTTEN)};
    index_unready(index, chunk, slot, entry->body_size);
    index->cursor = sequence + 1;
    index->used_ms = index->store->now_ms;
    chunk_used(index->store, chunk);
    if (sequence >= index->taken_high)
        index->taken_high = sequence + 1;
    if (!settle || is_of_group) {
        index_count(index, 0, 1, 0);
        if (settle)
            propose_settle(index, sequence);
    } else {
        index_count_bytes(index, -(int64_t)entry->body_size);
        settle_slot(index, chunk, slot);
    }
    if (index->read_until > sequence && index->read_until - sequence < index->read_low)
        read_early(index);
    return INDEX_OK;
}

void index_set_aside(struct index *index, struct chunk *chunk, uint32_t slot)
{
    uint64_t bytes = chunk->entries ? chunk->entries[slot].body_size
                                    : take_share(&chunk->ready_bytes, chunk->ready);
    if (!chunk->entries)
        chunk->taken_bytes += bytes;
    index_unready(index, chunk, slot, bytes);
}

void index_take_unread(struct index *index, struct chunk *chunk, uint32_t slot)
{
    index_set_aside(index, chunk, slot);
    index_count(index, 0, 1, 0);
}

bool index_take_head(struct index *index, uint64_t *sequence)
{
    uint32_t slot;
    if (index->ready == 0 || !index_may_take(index))
        return false;
    struct chunk *chunk = index_find_ready(index, &slot);
    index_take_unread(index, chunk, slot);
    *sequence = chunk->base + slot;
    index->cursor = *sequence + 1;
    return true;
}

static struct chunk *taken_chunk(struct index *index, uint64_t sequence, uint32_t *slot)
{
    struct chunk *chunk = index_chunk(index, sequence);
    assert(chunk);
    *slot = chunk_slot(chunk, sequence);
    assert(bit_get(chunk->live_bits, *slot) && !bit_get(chunk->ready_bits, *slot));
    return chunk;
}

void index_make_ready(struct index *index, struct chunk *chunk, uint32_t slot)
{
    uint64_t sequence = chunk->base + slot;
    const struct entry *entry = chunk->entries ? &chunk->entries[slot] : NULL;
    if (entry && entry->flags & ENTRY_DAMAGED)
        return;
    uint64_t bytes = entry ? entry->body_size
                           : take_share(&chunk->taken_bytes, chunk->live - chunk->ready);
    if (!entry)
        chunk->ready_bytes += bytes;
    index_count(index, 1, 0, (int64_t)bytes);
    bit_set(chunk->ready_bits, slot);
    chunk->ready++;
    assert(chunk->ready <= chunk->live);
    if (sequence < index->cursor)
        index->cursor = sequence;
    if (sequence < index->read_until)
        index->read_until = sequence;
}

/* Puts it back; returns its slot. */
static uint32_t put_back(struct index *index, uint64_t sequence, struct chunk **in)
{
    uint32_t slot;
    *in = taken_chunk(index, sequence, &slot);
    assert(index->taken > 0);
    index_count(index, 0, -1, 0);
    index_make_ready(index, *in, slot);
    return slot;
}

static bool is_recorded(const struct index *index, const struct chunk *chunk, uint32_t slot)
{
    if (!index_survives(index))
        return false;
    if (chunk->entries)
        return chunk->entries[slot].flags & ENTRY_RECORDED;
    return !chunk->recorded_bits || bit_get(chunk->recorded_bits, slot);
}

/* Nobody waits for it. While the disk is short it is left to the next checkpoint, as what comes back all
 * the time must not use up what others need. */
static void record_returned(struct index *index, struct chunk *chunk, struct returned item)
{
    struct store *store = index->store;
    index_note_returned(store, chunk, item);
    if (!is_recorded(index, chunk, item.slot))
        return;
    if (store->journal.space.is_short)
        store->image.is_changed = true;
    else
        batch_add_returned(&store->journal, &index->settles, index->id, chunk->base + item.slot,
                           item.count, item.until_ms);
}

/* The count when it comes back now. */
static uint32_t next_count(const struct chunk *chunk, uint32_t slot)
{
    uint32_t count = index_count_of(chunk, slot);
    return count + (count < UINT32_MAX);
}

void index_return(struct index *index, uint64_t sequence)
{
    struct chunk *chunk;
    if (index_may_take(index))
        put_back(index, sequence, &chunk);
}

void index_redeliver(struct index *index, uint64_t sequence)
{
    struct chunk *chunk;
    uint32_t slot;
    if (!index_may_take(index))
        return;
    slot = put_back(index, sequence, &chunk);
    if (store_is_of_group(index->id)) {
        propose_returned(index, sequence, next_count(chunk, slot), 0);
        return;
    }
    record_returned(index, chunk, (struct returned){0, slot, next_count(chunk, slot)});
}

void index_delay(struct index *index, uint64_t sequence, uint64_t until_ms)
{
    uint32_t slot;
    if (!index_may_take(index))
        return;
    struct chunk *chunk = taken_chunk(index, sequence, &slot);
    assert(index->taken > 0 && until_ms);
    if (store_is_of_group(index->id)) {
        propose_returned(index, sequence, next_count(chunk, slot), until_ms);
        return;
    }
    index_count(index, 0, -1, 0);
    index_count_delayed(index, 1);
    record_returned(index, chunk, (struct returned){until_ms, slot, next_count(chunk, slot)});
}

bool index_retry(struct index *index, uint64_t sequence)
{
    struct chunk *chunk = index_chunk(index, sequence);
    uint32_t slot = chunk ? chunk_slot(chunk, sequence) : 0;
    if (!chunk)
        return false;
    if (store_is_of_group(index->id)) {
        if (slot_is_delayed(chunk, slot) || propose_is_delaying(index, sequence))
            propose_returned(index, sequence, index_count_of(chunk, slot), 0);
        return false;
    }
    if (!slot_is_delayed(chunk, slot))
        return false;
    assert(index->delayed > 0 && !bit_get(chunk->ready_bits, slot));
    index_count_delayed(index, -1);
    record_returned(index, chunk, (struct returned){0, slot, index_count_of(chunk, slot)});
    index_make_ready(index, chunk, slot);
    return true;
}

void index_delayed(struct index *index, index_each_time *each, void *context)
{
    for (uint32_t at = 0; index->delayed && at < index->chunks_count; at++) {
        const struct chunk *chunk = index_chunk_at(index, at);
        for (uint32_t i = 0; chunk->returns && i < chunk->returns->count; i++) {
            const struct returned *item = &chunk->returns->items[i];
            if (item->until_ms)
                each(context, chunk->base + item->slot, item->until_ms);
        }
    }
}

uint32_t index_delivery_count(struct index *index, uint64_t sequence)
{
    const struct chunk *chunk = index_chunk(index, sequence);
    return chunk ? index_count_of(chunk, chunk_slot(chunk, sequence)) : 0;
}

void index_settle(struct index *index, uint64_t sequence)
{
    uint32_t slot;
    if (!index_may_take(index))
        return;
    struct chunk *chunk = taken_chunk(index, sequence, &slot);
    assert(index->taken > 0);
    if (store_is_of_group(index->id)) {
        propose_settle(index, sequence);
        return;
    }
    index_count(index, 0, -1, 0);
    uint64_t bytes = chunk->entries ? chunk->entries[slot].body_size
                                    : take_share(&chunk->taken_bytes, chunk->live - chunk->ready);
    index_count_bytes(index, -(int64_t)bytes);
    settle_slot(index, chunk, slot);
}

enum index_result index_fetch(struct index *index, uint64_t sequence, struct message **message)
{
    uint32_t slot;
    if (!index_may_take(index))
        return index_wait(index);
    struct chunk *chunk = taken_chunk(index, sequence, &slot);
    struct entry *entry = chunk->entries ? &chunk->entries[slot] : NULL;
    if (entry && entry->flags & ENTRY_DAMAGED)
        return INDEX_EMPTY;
    if (!entry || !(entry->flags & ENTRY_MESSAGE)) {
        read_one(index, sequence);
        return index_wait(index);
    }
    *message = message_ref(entry->message);
    return INDEX_OK;
}

/* ---- a queue of a group ---- */

void index_mark(struct index *index, uint64_t mark)
{
    assert(store_is_of_group(index->id));
    if (mark <= index->mark)
        return;
    index->mark = index->mark_asked = mark;
    index_changed(index);
    index_wake(index);
}

void index_has_news(struct index *index)
{
    if (!index->owner)
        return;
    index->is_waiting = true;
    index_wake(index);
}

void index_lead(struct index *index)
{
    assert(store_is_of_group(index->id) && index->taken == 0);
    /* What is to come was never delivered, also below the mark. */
    index->taken_high = index->mark < index->next_sequence ? index->mark : index->next_sequence;
    if (planted(PLANTED_AGREE_NEW_REDELIVERED))
        index->taken_high = index->mark;
}

static void untake_chunk(struct index *index, struct chunk *chunk)
{
    for (uint32_t slot = bit_next(chunk->live_bits, 0, chunk->slots);
         slot < chunk->slots && chunk->live > chunk->ready;
         slot = bit_next(chunk->live_bits, slot + 1, chunk->slots))
        if (!bit_get(chunk->ready_bits, slot) && !slot_is_delayed(chunk, slot))
            index_make_ready(index, chunk, slot);
}

void index_untake(struct index *index)
{
    assert(store_is_of_group(index->id));
    for (uint32_t i = 0; index->taken && i < index->chunks_count; i++)
        untake_chunk(index, index_chunk_at(index, i));
    index_count(index, 0, -(int64_t)index->taken, 0);
}
