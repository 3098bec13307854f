#include "store/index.h"

#include <assert.h>

#include "base/mem.h"
#include "base/planted.h"
#include "store/internal.h"

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
    idmap_add(&store->indexes, id, index);
    return index;
}

static bool survives(const struct index *index)
{
    return !(index->id & STORE_ID_TRANSIENT);
}

void index_change(struct index *index)
{
    assert(!index->is_dirty && survives(index));
    index->is_dirty = true;
    list_push_back(&index->store->image.changed_indexes, &index->dirty_link);
}

void chunk_change(struct store *store, struct chunk *chunk)
{
    assert(!chunk->is_changed && !(chunk->queue_id & STORE_ID_TRANSIENT));
    chunk->is_changed = true;
    list_push_back(&store->image.changed_chunks, &chunk->changed_link);
}

/* ---- the row of chunks ---- */

static struct chunk *chunk_at(const struct index *index, uint32_t at)
{
    return index->chunks[index->chunks_first + at];
}

static struct chunk *tail_of(const struct index *index)
{
    return index->chunks_count ? chunk_at(index, index->chunks_count - 1) : NULL;
}

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

/* The position of the chunk that holds `sequence`, or would: the last that begins at or below it;
 * chunks_count when all begin above. */
static uint32_t position_of(struct index *index, uint64_t sequence)
{
    uint32_t low = 0, high = index->chunks_count;
    uint32_t hint = index->hint;
    if (hint < high && chunk_at(index, hint)->base <= sequence &&
        (hint + 1 == high || chunk_at(index, hint + 1)->base > sequence))
        return hint;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (chunk_at(index, middle)->base <= sequence)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0)
        return index->chunks_count;
    return index->hint = low - 1;
}

struct chunk *index_chunk(struct index *index, uint64_t sequence)
{
    uint32_t at = position_of(index, sequence);
    if (at == index->chunks_count)
        return NULL;
    struct chunk *chunk = chunk_at(index, at);
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

static bool is_to_come(const struct index *index, uint64_t sequence)
{
    return sequence >= index->next_sequence && store_is_of_group(index->id) &&
           sequence < propose_next(index);
}

bool index_holds(struct index *index, uint64_t sequence)
{
    if (is_to_come(index, sequence))
        return true;
    const struct chunk *chunk = index_chunk(index, sequence);
    return chunk && bit_get(chunk->live_bits, chunk_slot(chunk, sequence));
}

static void remove_chunk(struct index *index, struct chunk *chunk)
{
    uint32_t at = position_of(index, chunk->base);
    assert(at < index->chunks_count && chunk_at(index, at) == chunk);
    if (at == 0) {
        index->chunks_first++;
    } else {
        struct chunk **slot = &index->chunks[index->chunks_first + at];
        memmove(slot, slot + 1, (index->chunks_count - at - 1) * sizeof(*slot));
    }
    if (--index->chunks_count == 0)
        index->chunks_first = 0;
}

/* Nothing in the chunk is live any more. The last one is used again from its beginning. */
static void chunk_emptied(struct index *index, struct chunk *chunk)
{
    struct store *store = index->store;
    assert(chunk->live == 0 && chunk->ready == 0 && chunk->bodies == 0);
    if (chunk != tail_of(index) || !chunk->entries) {
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

/* The part of a sum that one of `count` has, which are all that it is of. */
static uint64_t take_share(uint64_t *bytes, uint32_t count)
{
    uint64_t share = *bytes / count;
    *bytes -= share;
    return share;
}

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

static uint32_t count_of(const struct chunk *chunk, uint32_t slot)
{
    const struct returned *item =
        chunk->returns ? returns_find(chunk->returns, slot) : NULL;
    uint32_t count = item ? item->count : 0;
    if (__builtin_expect(store_is_of_group(chunk->index->id), 0))
        propose_count(chunk->index, chunk->base + slot, &count);
    return count;
}

static bool is_delayed(const struct chunk *chunk, uint32_t slot)
{
    const struct returned *item = returns_find(chunk->returns, slot);
    return item && item->until_ms;
}

static inline void forget_returns(struct store *store, struct chunk *chunk, uint32_t slot)
{
    if (!chunk->returns)
        return;
    if (is_delayed(chunk, slot))
        index_count_delayed(chunk->index, -1);
    returns_remove(&store->memory.slab, &chunk->returns, slot);
}

static void note_returned(struct store *store, struct chunk *chunk, struct returned item)
{
    returns_put(&store->memory.slab, &chunk->returns, item);
    chunk_changed(store, chunk);
}

/* ---- the end of a message ---- */

/* Ends the message in a slot, taken or ready (the caller keeps those counts). */
static void end_slot(struct index *index, struct chunk *chunk, uint32_t slot)
{
    struct store *store = index->store;
    struct entry *entry = chunk->entries ? &chunk->entries[slot] : NULL;
    bool recorded = entry ? (entry->flags & ENTRY_RECORDED) : survives(index);
    assert(chunk->live > chunk->ready && !bit_get(chunk->ready_bits, slot));
    bit_clear(chunk->live_bits, slot);
    chunk->live--;
    forget_returns(store, chunk, slot);
    if (recorded && !(entry && leaves_no_trace(store, entry)))
        batch_add_settle(&store->journal, &index->settles, index->id, chunk->base + slot, 1);
    if (entry) {
        entry_release(store, chunk, entry);
        entry_changed(store, chunk);
    } else {
        chunk_unreleased(store, chunk);
    }
}

static void settle_slot(struct index *index, struct chunk *chunk, uint32_t slot)
{
    end_slot(index, chunk, slot);
    if (chunk->live == 0)
        chunk_emptied(index, chunk);
}

/* ---- coming in ---- */

/* The next capacity of a queue's chunk. They double, from a number that is each queue's own: queues that
 * get the same messages do not all grow at the same one. */
static uint32_t capacity_above(const struct index *index, uint32_t capacity)
{
    uint64_t fraction = (uint32_t)((uint32_t)index->id * UINT32_C(0x9e3779b1));
    uint64_t next = CHUNK_FIRST * (((uint64_t)1 << 32) + fraction);
    while (next >> 32 <= capacity)
        next *= 2;
    return (uint32_t)(next >> 32);
}

static void grow(struct store *store, struct chunk *chunk, uint32_t capacity)
{
    size_t before = chunk_cost(chunk);
    chunk_grow(&store->memory.slab, chunk,
               capacity < store->options.chunk_entries ? capacity : store->options.chunk_entries);
    store->memory.cache_used += chunk_cost(chunk) - before;
}

/* The last chunk, if there is room in it: it grows, or is begun, or there is another one. */
static struct chunk *make_room(struct index *index)
{
    struct store *store = index->store;
    struct chunk *tail = tail_of(index);
    uint32_t capacity = tail ? tail->capacity : 0;
    uint32_t next = capacity_above(index, capacity);
    if (tail && tail->entries && tail->live == 0 && tail->slots == 0)
        tail->base = index->next_sequence;
    if (tail && tail->entries && tail->base + tail->slots == index->next_sequence) {
        if (tail->slots < tail->capacity)
            return tail;
        bool is_used = tail->live > capacity / 2;
        if (is_used && next <= store->options.chunk_entries) {
            grow(store, tail, next);
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
    struct chunk *tail = tail_of(index);
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

static enum index_result wait_for(struct index *index)
{
    index->is_waiting = true;
    return INDEX_WAIT;
}

void index_wake(struct index *index)
{
    if (!index->is_waiting)
        return;
    index->is_waiting = false;
    index->used_ms = index->store->now_ms; /* what was read for it must stay until it looks */
    list_remove(&index->wait_link);
    list_push_back(&index->store->awake, &index->wait_link);
}

/* The first ready message at the cursor or after; there is one. */
static struct chunk *find_ready(struct index *index, uint32_t *slot)
{
    uint32_t at = position_of(index, index->cursor);
    if (at == index->chunks_count)
        at = 0;
    for (; at < index->chunks_count; at++) {
        struct chunk *chunk = chunk_at(index, at);
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
        struct chunk *chunk = chunk_at(index, index->hint);
        uint64_t at = index->cursor - chunk->base; /* a large number when it lies before */
        if (at < chunk->slots && bit_get(chunk->ready_bits, (uint32_t)at)) {
            *slot = (uint32_t)at;
            return chunk;
        }
    }
    return find_ready(index, slot);
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

/* Of a queue of a group only who leads that. Who does so no more has nothing taken (index_untake): what it
 * still does with messages that it had is nothing. */
static bool may_take(const struct index *index)
{
    return !store_is_of_group(index->id) || group_may_take(index);
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
    if (!may_take(index))
        return wait_for(index);
    if (!entry || !(entry->flags & ENTRY_MESSAGE)) {
        read_ahead(index, sequence);
        return wait_for(index);
    }
    bool leaves_none = settle && !is_of_group && leaves_no_trace(index->store, entry);
    if (entry->flags & ENTRY_RECORDED && !leaves_none && !mark_reach(index, sequence))
        return wait_for(index);
    *taken = (struct taken){.sequence = sequence,
                            .message = message_ref(entry->message),
                            .delivery_count = count_of(chunk, slot),
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

/* A ready message is so no more, and stays, whether its entry is in memory or not. */
static void set_aside(struct index *index, struct chunk *chunk, uint32_t slot)
{
    uint64_t bytes = chunk->entries ? chunk->entries[slot].body_size
                                    : take_share(&chunk->ready_bytes, chunk->ready);
    if (!chunk->entries)
        chunk->taken_bytes += bytes;
    index_unready(index, chunk, slot, bytes);
}

static void take_unread(struct index *index, struct chunk *chunk, uint32_t slot)
{
    set_aside(index, chunk, slot);
    index_count(index, 0, 1, 0);
}

bool index_take_head(struct index *index, uint64_t *sequence)
{
    uint32_t slot;
    if (index->ready == 0 || !may_take(index))
        return false;
    struct chunk *chunk = find_ready(index, &slot);
    take_unread(index, chunk, slot);
    *sequence = chunk->base + slot;
    index->cursor = *sequence + 1;
    return true;
}

/* ---- what has ended ---- */

uint64_t index_head_ms(struct index *index)
{
    if (!index->has_times || index->ready == 0)
        return 0;
    uint32_t slot;
    const struct chunk *chunk = find_ready(index, &slot);
    index->cursor = chunk->base + slot;
    return chunk->entries ? chunk->entries[slot].expires_ms : chunk_due_ms(chunk);
}

enum index_result index_expire(struct index *index, uint64_t clock_ms, uint64_t *sequence)
{
    uint64_t ends_ms = index_head_ms(index);
    if (ends_ms == 0 || ends_ms > clock_ms)
        return INDEX_EMPTY;
    if (!may_take(index))
        return wait_for(index);
    uint32_t slot;
    struct chunk *chunk = find_ready(index, &slot);
    if (!chunk->entries) {
        read_chunk(index, chunk);
        return wait_for(index);
    }
    return index_take_head(index, sequence) ? INDEX_OK : INDEX_EMPTY;
}

/* ---- what leaves from anywhere ---- */

bool index_take_at(struct index *index, uint64_t sequence)
{
    struct chunk *chunk = index_chunk(index, sequence);
    uint32_t slot = chunk ? chunk_slot(chunk, sequence) : 0;
    if (!chunk || !bit_get(chunk->ready_bits, slot) ||
        !may_take(index))
        return false;
    take_unread(index, chunk, slot);
    return true;
}

enum index_result index_ends(struct index *index, uint64_t sequence, uint64_t *ends_ms)
{
    struct chunk *chunk;
    const struct entry *entry = index_entry(index, sequence, &chunk);
    if (!chunk)
        return is_to_come(index, sequence) ? INDEX_WAIT : INDEX_EMPTY;
    if (!entry) {
        chunk_want(index->store, chunk);
        return INDEX_WAIT;
    }
    *ends_ms = entry->expires_ms;
    return INDEX_OK;
}

static void tell_times(const struct chunk *chunk, uint64_t from, index_each_time *each,
                       void *context)
{
    for (uint32_t slot =
             bit_next(chunk->live_bits, chunk_below(chunk, from, chunk->slots), chunk->slots);
         slot < chunk->slots; slot = bit_next(chunk->live_bits, slot + 1, chunk->slots))
        if (chunk->entries[slot].expires_ms)
            each(context, chunk->base + slot, chunk->entries[slot].expires_ms);
}

enum index_result index_times(struct index *index, uint64_t *from, index_each_time *each,
                              void *context)
{
    uint32_t at = position_of(index, *from);
    for (at = at == index->chunks_count ? 0 : at; at < index->chunks_count; at++) {
        struct chunk *chunk = chunk_at(index, at);
        uint64_t end = chunk->base + chunk->slots;
        if (end <= *from || !chunk->due_s)
            continue;
        if (!chunk->entries) {
            chunk_want(index->store, chunk);
            return INDEX_WAIT;
        }
        tell_times(chunk, *from, each, context);
        *from = end;
        return INDEX_OK;
    }
    return INDEX_EMPTY;
}

static struct chunk *taken_chunk(struct index *index, uint64_t sequence, uint32_t *slot)
{
    struct chunk *chunk = index_chunk(index, sequence);
    assert(chunk);
    *slot = chunk_slot(chunk, sequence);
    assert(bit_get(chunk->live_bits, *slot) && !bit_get(chunk->ready_bits, *slot));
    return chunk;
}

/* What is neither ready nor taken any more is ready, unless it is damaged and stays away. */
static void make_ready(struct index *index, struct chunk *chunk, uint32_t slot)
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
    make_ready(index, *in, slot);
    return slot;
}

static bool is_recorded(const struct index *index, const struct chunk *chunk, uint32_t slot)
{
    if (!survives(index))
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
    note_returned(store, chunk, item);
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
    uint32_t count = count_of(chunk, slot);
    return count + (count < UINT32_MAX);
}

void index_return(struct index *index, uint64_t sequence)
{
    struct chunk *chunk;
    if (may_take(index))
        put_back(index, sequence, &chunk);
}

void index_redeliver(struct index *index, uint64_t sequence)
{
    struct chunk *chunk;
    uint32_t slot;
    if (!may_take(index))
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
    if (!may_take(index))
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
        if (is_delayed(chunk, slot) || propose_is_delaying(index, sequence))
            propose_returned(index, sequence, count_of(chunk, slot), 0);
        return false;
    }
    if (!is_delayed(chunk, slot))
        return false;
    assert(index->delayed > 0 && !bit_get(chunk->ready_bits, slot));
    index_count_delayed(index, -1);
    record_returned(index, chunk, (struct returned){0, slot, count_of(chunk, slot)});
    make_ready(index, chunk, slot);
    return true;
}

void index_delayed(struct index *index, index_each_time *each, void *context)
{
    for (uint32_t at = 0; index->delayed && at < index->chunks_count; at++) {
        const struct chunk *chunk = chunk_at(index, at);
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
    return chunk ? count_of(chunk, chunk_slot(chunk, sequence)) : 0;
}

void index_settle(struct index *index, uint64_t sequence)
{
    uint32_t slot;
    if (!may_take(index))
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
    if (!may_take(index))
        return wait_for(index);
    struct chunk *chunk = taken_chunk(index, sequence, &slot);
    struct entry *entry = chunk->entries ? &chunk->entries[slot] : NULL;
    if (entry && entry->flags & ENTRY_DAMAGED)
        return INDEX_EMPTY;
    if (!entry || !(entry->flags & ENTRY_MESSAGE)) {
        read_one(index, sequence);
        return wait_for(index);
    }
    *message = message_ref(entry->message);
    return INDEX_OK;
}

/* ---- a look ---- */

enum { LOOK_AHEAD = 64 };

/* The first live message at `from` or after; NULL: there is none. */
static struct chunk *find_live(struct index *index, uint64_t from, uint32_t *slot)
{
    uint32_t at = position_of(index, from);
    for (at = at == index->chunks_count ? 0 : at; at < index->chunks_count; at++) {
        struct chunk *chunk = chunk_at(index, at);
        *slot = bit_next(chunk->live_bits, chunk_below(chunk, from, chunk->slots), chunk->slots);
        if (*slot < chunk->slots)
            return chunk;
    }
    return NULL;
}

/* Those behind it are asked for as well, as they are looked at next. */
static void read_to_look(struct index *index, const struct chunk *chunk, uint32_t slot)
{
    uint64_t sequences[LOOK_AHEAD];
    size_t count = 0;
    for (; slot < chunk->slots && count < LOOK_AHEAD;
         slot = bit_next(chunk->live_bits, slot + 1, chunk->slots))
        sequences[count++] = chunk->base + slot;
    index_read_some(index, sequences, count);
}

static enum looked_state looked_state(const struct chunk *chunk, uint32_t slot)
{
    if (bit_get(chunk->ready_bits, slot))
        return LOOKED_READY;
    return is_delayed(chunk, slot) ? LOOKED_DELAYED : LOOKED_TAKEN;
}

enum index_result index_look(struct index *index, uint64_t from, struct looked *looked)
{
    uint32_t slot;
    struct chunk *chunk = find_live(index, from, &slot);
    if (!chunk)
        return INDEX_EMPTY;
    const struct entry *entry = chunk->entries ? &chunk->entries[slot] : NULL;
    if (!entry || !(entry->flags & (ENTRY_MESSAGE | ENTRY_DAMAGED))) {
        read_to_look(index, chunk, slot);
        return wait_for(index);
    }
    bool is_whole = !(entry->flags & ENTRY_DAMAGED);
    *looked = (struct looked){.sequence = chunk->base + slot,
                              .message = is_whole ? message_ref(entry->message) : NULL,
                              .ends_ms = entry->expires_ms,
                              .delivery_count = count_of(chunk, slot),
                              .state = looked_state(chunk, slot)};
    return INDEX_OK;
}

enum index_obstacle index_obstacle(struct index *index)
{
    uint32_t slot;
    if (!index->is_waiting || index->ready == 0)
        return INDEX_UNHINDERED;
    const struct chunk *chunk = find_ready(index, &slot);
    const struct entry *entry = chunk->entries ? &chunk->entries[slot] : NULL;
    if (!entry || !(entry->flags & ENTRY_MESSAGE))
        return INDEX_READS;
    bool needs_mark = entry->flags & ENTRY_RECORDED && chunk->base + slot >= index->mark;
    return needs_mark ? INDEX_MARKS : INDEX_UNHINDERED;
}

/* ---- purge ---- */

static bool is_ready_as_a_whole(const struct chunk *chunk)
{
    return chunk->live && chunk->ready == chunk->live;
}

/* A slot at a time would take long. */
static void purge_whole(struct index *index, struct chunk *chunk)
{
    assert(chunk->ready == chunk->live);
    if (survives(index))
        batch_add_settle(&index->store->journal, &index->settles, index->id, chunk->base,
                         chunk->slots);
    chunk_condemn(index->store, chunk);
}

static void purge_slots(struct index *index, struct chunk *chunk)
{
    for (uint32_t slot = bit_next(chunk->ready_bits, 0, chunk->slots); slot < chunk->slots;
         slot = bit_next(chunk->ready_bits, slot + 1, chunk->slots)) {
        bit_clear(chunk->ready_bits, slot);
        chunk->ready--;
        end_slot(index, chunk, slot);
    }
    chunk->ready_bytes = 0;
}

/* False: the chunk is no longer one of the queue's. *slots: how many may be settled one by one. */
static bool purge_chunk(struct index *index, struct chunk *chunk, uint32_t *slots)
{
    bool is_tail = chunk == tail_of(index);
    if (is_ready_as_a_whole(chunk) && (!chunk->entries || chunk->live > *slots)) {
        purge_whole(index, chunk);
        return false;
    }
    *slots -= chunk->ready < *slots ? chunk->ready : *slots;
    purge_slots(index, chunk);
    if (chunk->live || (is_tail && chunk->entries))
        return true;
    chunk_discard(index->store, chunk);
    return false;
}

/* What is delayed goes with the rest. */
static void wake_delayed(struct index *index)
{
    for (uint32_t at = 0; index->delayed && at < index->chunks_count; at++) {
        struct chunk *chunk = chunk_at(index, at);
        for (uint32_t i = 0; chunk->returns && i < chunk->returns->count; i++) {
            struct returned *item = &chunk->returns->items[i];
            if (!item->until_ms)
                continue;
            item->until_ms = 0;
            index_count_delayed(index, -1);
            make_ready(index, chunk, item->slot);
        }
    }
}

/* What is ready is taken as it lies, and what is delayed stays so until its end is applied. */
static uint64_t purge_of_group(struct index *index)
{
    uint64_t purged = 0, sequence;
    for (uint32_t at = 0; index->delayed && at < index->chunks_count; at++) {
        const struct chunk *chunk = chunk_at(index, at);
        for (uint32_t i = 0; chunk->returns && i < chunk->returns->count; i++) {
            const struct returned *item = &chunk->returns->items[i];
            if (!item->until_ms)
                continue;
            propose_settle(index, chunk->base + item->slot);
            purged++;
        }
    }
    for (; index_take_head(index, &sequence); purged++)
        propose_settle(index, sequence);
    return purged;
}

uint64_t index_purge(struct index *index)
{
    if (store_is_of_group(index->id))
        return purge_of_group(index);
    wake_delayed(index);
    uint64_t purged = index->ready;
    /* Few are settled one by one, as those of the filling batch may still leave no trace. */
    uint32_t slots = index->store->options.release_slots / 4, kept = 0;
    for (uint32_t at = 0; at < index->chunks_count; at++) {
        struct chunk *chunk = chunk_at(index, at);
        if (purge_chunk(index, chunk, &slots))
            index->chunks[index->chunks_first + kept++] = chunk;
    }
    index->chunks_count = kept;
    index->hint = 0;
    if (kept == 0)
        index->chunks_first = 0;
    else if (tail_of(index)->live == 0)
        chunk_emptied(index, tail_of(index));
    index_count_bytes(index, -(int64_t)index->ready_bytes);
    index_count(index, -(int64_t)index->ready, 0, -(int64_t)index->ready_bytes);
    index->cursor = index->next_sequence;
    return purged;
}

/* ---- the end of a queue ---- */

void index_drop(struct index *index)
{
    batch_forget_settles(&index->store->journal, &index->settles);
    for (uint32_t i = 0; i < index->chunks_count; i++)
        chunk_condemn(index->store, chunk_at(index, i));
    index_forget(index);
}

void index_forget(struct index *index)
{
    assert(idmap_find(&index->store->indexes, index->id) == index);
    idmap_remove(&index->store->indexes, index->id);
    list_remove(&index->dirty_link);
    list_remove(&index->wait_link);
    mem_free(index->chunks);
    mem_free(index);
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
        if (!bit_get(chunk->ready_bits, slot) && !is_delayed(chunk, slot))
            make_ready(index, chunk, slot);
}

void index_untake(struct index *index)
{
    assert(store_is_of_group(index->id));
    for (uint32_t i = 0; index->taken && i < index->chunks_count; i++)
        untake_chunk(index, chunk_at(index, i));
    index_count(index, 0, -(int64_t)index->taken, 0);
}

/* ---- recovery ---- */

/* A chunk with room for `sequence`, which is above all that came before, and its slot there. */
static struct chunk *chunk_for_restore(struct index *index, uint64_t sequence, uint32_t *slot)
{
    struct store *store = index->store;
    struct chunk *tail = tail_of(index);
    if (tail && tail->entries && tail->live == 0 && tail->slots == 0)
        tail->base = sequence;
    if (tail && tail->entries) {
        *slot = chunk_below(tail, sequence, UINT32_MAX);
        while (*slot >= tail->capacity && tail->capacity < store->options.chunk_entries &&
               *slot < store->options.chunk_entries)
            grow(store, tail, capacity_above(index, tail->capacity));
        if (*slot < tail->capacity)
            return tail;
    }
    *slot = 0;
    uint32_t first = capacity_above(index, 0);
    uint32_t capacity = first < store->options.chunk_entries ? first : store->options.chunk_entries;
    struct chunk *chunk = chunk_new(&store->memory.slab, index->id, sequence, capacity);
    index_add_chunk(index, chunk);
    chunk_cache(store, chunk);
    return chunk;
}

/* A ready message by the place of its record; the counts are the caller's business. */
static void put_recorded(struct store *store, struct chunk *chunk, uint32_t slot, struct place place,
                         const struct message_payload *payload, uint64_t expires_ms)
{
    assert(chunk->entries && slot < chunk->capacity && place.segment);
    uint64_t kept_ms = planted(PLANTED_REPLAYED_EXPIRY_LOST) ? 0 : expires_ms;
    chunk_note_time(chunk, kept_ms);
    chunk->entries[slot] = (struct entry){
        .segment = place.segment,
        .offset = place.offset,
        .size = place.size,
        .destinations = payload->destinations,
        .expires_ms = kept_ms,
        .priority = payload->priority,
        .body_size = (uint32_t)payload->body_size,
        .flags = ENTRY_RECORDED};
    segment_hold(&store->journal, place, payload->destinations, true);
    bit_set(chunk->live_bits, slot);
    bit_set(chunk->ready_bits, slot);
    if (chunk->recorded_bits)
        bit_set(chunk->recorded_bits, slot);
}

void index_restore(struct index *index, const struct destination *destination, struct place place,
                   const struct message_payload *payload)
{
    uint32_t slot;
    assert(destination->sequence >= index->next_sequence);
    struct chunk *chunk = chunk_for_restore(index, destination->sequence, &slot);
    put_recorded(index->store, chunk, slot, place, payload, destination->expires_ms);
    chunk->slots = slot + 1;
    chunk->live++;
    chunk->ready++;
    index_count(index, 1, 0, (int64_t)payload->body_size);
    index_count_bytes(index, (int64_t)payload->body_size);
    index->next_sequence = destination->sequence + 1;
    index->has_times |= destination->expires_ms != 0;
    entry_changed(index->store, chunk);
    index_changed(index);
}

/* A new chunk where `sequence` belongs. */
static struct chunk *chunk_between(struct index *index, uint64_t sequence)
{
    struct store *store = index->store;
    uint32_t first = capacity_above(index, 0);
    uint32_t capacity = first < store->options.chunk_entries ? first : store->options.chunk_entries;
    struct chunk *chunk = chunk_new(&store->memory.slab, index->id, sequence, capacity);
    index_add_chunk(index, chunk);
    struct chunk **chunks = index->chunks + index->chunks_first;
    uint32_t at = index->chunks_count - 1;
    for (; at > 0 && chunks[at - 1]->base > sequence; at--)
        chunks[at] = chunks[at - 1];
    chunks[at] = chunk;
    index->hint = 0;
    chunk_cache(store, chunk);
    return chunk;
}

static struct chunk *chunk_for_insert(struct index *index, uint64_t sequence)
{
    struct store *store = index->store;
    uint32_t at = position_of(index, sequence);
    struct chunk *chunk = at < index->chunks_count ? chunk_at(index, at) : NULL;
    if (!chunk || !chunk->entries || sequence - chunk->base >= store->options.chunk_entries)
        return chunk_between(index, sequence);
    while (sequence - chunk->base >= chunk->capacity)
        grow(store, chunk, capacity_above(index, chunk->capacity));
    return chunk;
}

void index_insert(struct index *index, const struct destination *destination, struct place place,
                  const struct message_payload *payload)
{
    uint64_t sequence = destination->sequence;
    struct chunk *chunk = chunk_for_insert(index, sequence);
    uint32_t slot = (uint32_t)(sequence - chunk->base);
    assert(sequence >= chunk->base && sequence - chunk->base < chunk->capacity);
    bool is_there = slot < chunk->slots && bit_get(chunk->live_bits, slot);
    if (is_there) {
        index_count(index, 0, 0, -(int64_t)chunk->entries[slot].body_size);
        index_count_bytes(index, -(int64_t)chunk->entries[slot].body_size);
        entry_release(index->store, chunk, &chunk->entries[slot]);
    }
    index_count(index, !is_there, 0, (int64_t)payload->body_size);
    index_count_bytes(index, (int64_t)payload->body_size);
    put_recorded(index->store, chunk, slot, place, payload, destination->expires_ms);
    chunk->slots = slot >= chunk->slots ? slot + 1 : chunk->slots;
    chunk->live += !is_there;
    chunk->ready += !is_there;
    if (sequence >= index->next_sequence)
        index->next_sequence = sequence + 1;
    entry_changed(index->store, chunk);
    index_changed(index);
}

/* Nothing is taken while a journal is replayed: what is not ready was set aside. In a queue of a group it may
 * be taken. */
static void replay_unready(struct index *index, struct chunk *chunk, uint32_t slot)
{
    const struct entry *entry = chunk->entries ? &chunk->entries[slot] : NULL;
    bool is_ready = bit_get(chunk->ready_bits, slot);
    uint64_t *sum = is_ready ? &chunk->ready_bytes : &chunk->taken_bytes;
    uint32_t count = is_ready ? chunk->ready : chunk->live - chunk->ready;
    uint64_t bytes = entry ? entry->body_size : take_share(sum, count);
    bool is_aside = is_delayed(chunk, slot) || (entry && entry->flags & ENTRY_DAMAGED);
    index_count_bytes(index, -(int64_t)bytes);
    if (is_ready)
        index_unready(index, chunk, slot, bytes);
    else if (index->taken && !is_aside && !planted(PLANTED_GROUP_TAKEN_STAYS))
        index_count(index, 0, -1, 0);
}

static void replay_settle_slot(struct index *index, struct chunk *chunk, uint32_t slot)
{
    struct entry *entry = chunk->entries ? &chunk->entries[slot] : NULL;
    replay_unready(index, chunk, slot);
    bit_clear(chunk->live_bits, slot);
    chunk->live--;
    forget_returns(index->store, chunk, slot);
    if (entry) {
        entry_release(index->store, chunk, entry);
        entry_changed(index->store, chunk);
    } else {
        chunk_unreleased(index->store, chunk);
    }
}

void index_replay_settle(struct index *index, uint64_t first, uint64_t count)
{
    uint64_t end = first + count;
    uint32_t at = position_of(index, first);
    if (at == index->chunks_count)
        at = 0;
    while (at < index->chunks_count) {
        struct chunk *chunk = chunk_at(index, at);
        if (chunk->base >= end)
            break;
        uint32_t from = chunk_below(chunk, first, chunk->slots);
        uint32_t to = chunk_below(chunk, end, chunk->slots);
        for (uint32_t slot = bit_next(chunk->live_bits, from, to); slot < to;
             slot = bit_next(chunk->live_bits, slot + 1, to))
            replay_settle_slot(index, chunk, slot);
        uint32_t before = index->chunks_count;
        if (chunk->live == 0)
            chunk_emptied(index, chunk);
        if (index->chunks_count == before)
            at++;
    }
    bool may_raise = !store_is_of_group(index->id) && !planted(PLANTED_SETTLES_RAISE_NOTHING);
    if (end > index->next_sequence && may_raise)
        index->next_sequence = end;
}

void index_restore_delayed(struct index *index, struct chunk *chunk, uint32_t slot)
{
    set_aside(index, chunk, slot);
    index_count_delayed(index, 1);
}

/* Is a live message taken, and not ready, delayed or damaged? */
static bool is_taken(const struct index *index, const struct chunk *chunk, uint32_t slot)
{
    const struct entry *entry = chunk->entries ? &chunk->entries[slot] : NULL;
    return index->taken && !bit_get(chunk->ready_bits, slot) && !is_delayed(chunk, slot) &&
           !(entry && entry->flags & ENTRY_DAMAGED);
}

/* Until its time is over by a record of its own, too. */
void index_replay_returned(struct index *index, uint64_t sequence, uint32_t count,
                           uint64_t until_ms)
{
    struct chunk *chunk = index_chunk(index, sequence);
    uint32_t slot = chunk ? chunk_slot(chunk, sequence) : 0;
    if (!chunk || !bit_get(chunk->live_bits, slot) || planted(PLANTED_REPLAYED_COUNT_LOST))
        return;
    if (planted(PLANTED_REPLAYED_DELAY_LOST))
        until_ms = 0;
    if (until_ms && is_taken(index, chunk, slot)) {
        index_count(index, 0, -1, 0);
        index_count_delayed(index, 1);
    } else if (until_ms && bit_get(chunk->ready_bits, slot)) {
        index_restore_delayed(index, chunk, slot);
    } else if (!until_ms && is_delayed(chunk, slot)) {
        index_count_delayed(index, -1);
        make_ready(index, chunk, slot);
    }
    note_returned(index->store, chunk, (struct returned){until_ms, slot, count});
}
