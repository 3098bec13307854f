/* An index at a start, and that of a group's queue: it is done what records say, and nothing is decided. */
#include "store/index.h"

#include <assert.h>

#include "base/planted.h"
#include "store/index_internal.h"

/* ---- recovery ---- */

/* A chunk with room for `sequence`, which is above all that came before, and its slot there. */
static struct chunk *chunk_for_restore(struct index *index, uint64_t sequence, uint32_t *slot)
{
    struct store *store = index->store;
    struct chunk *tail = index_tail(index);
    if (tail && tail->entries && tail->live == 0 && tail->slots == 0)
        tail->base = sequence;
    if (tail && tail->entries) {
        *slot = chunk_below(tail, sequence, UINT32_MAX);
        while (*slot >= tail->capacity && tail->capacity < store->options.chunk_entries &&
               *slot < store->options.chunk_entries)
            index_grow(store, tail, index_capacity_above(index, tail->capacity));
        if (*slot < tail->capacity)
            return tail;
    }
    *slot = 0;
    uint32_t first = index_capacity_above(index, 0);
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
    uint32_t first = index_capacity_above(index, 0);
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
    uint32_t at = index_position(index, sequence);
    struct chunk *chunk = at < index->chunks_count ? index_chunk_at(index, at) : NULL;
    if (!chunk || !chunk->entries || sequence - chunk->base >= store->options.chunk_entries)
        return chunk_between(index, sequence);
    while (sequence - chunk->base >= chunk->capacity)
        index_grow(store, chunk, index_capacity_above(index, chunk->capacity));
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
    bool is_aside = slot_is_delayed(chunk, slot) || (entry && entry->flags & ENTRY_DAMAGED);
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
    slot_forget_returns(index->store, chunk, slot);
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
    uint32_t at = index_position(index, first);
    if (at == index->chunks_count)
        at = 0;
    while (at < index->chunks_count) {
        struct chunk *chunk = index_chunk_at(index, at);
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
    index_set_aside(index, chunk, slot);
    index_count_delayed(index, 1);
}

/* Is a live message taken, and not ready, delayed or damaged? */
static bool is_taken(const struct index *index, const struct chunk *chunk, uint32_t slot)
{
    const struct entry *entry = chunk->entries ? &chunk->entries[slot] : NULL;
    return index->taken && !bit_get(chunk->ready_bits, slot) && !slot_is_delayed(chunk, slot) &&
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
    } else if (!until_ms && slot_is_delayed(chunk, slot)) {
        index_count_delayed(index, -1);
        index_make_ready(index, chunk, slot);
    }
    index_note_returned(index->store, chunk, (struct returned){until_ms, slot, count});
}
