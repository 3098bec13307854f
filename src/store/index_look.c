/* Messages of an index as they lie: when they end, and what they are. */
#include "store/index.h"

#include "store/index_internal.h"

/* ---- what has ended ---- */

uint64_t index_head_ms(struct index *index)
{
    if (!index->has_times || index->ready == 0)
        return 0;
    uint32_t slot;
    const struct chunk *chunk = index_find_ready(index, &slot);
    index->cursor = chunk->base + slot;
    return chunk->entries ? chunk->entries[slot].expires_ms : chunk_due_ms(chunk);
}

enum index_result index_expire(struct index *index, uint64_t clock_ms, uint64_t *sequence)
{
    uint64_t ends_ms = index_head_ms(index);
    if (ends_ms == 0 || ends_ms > clock_ms)
        return INDEX_EMPTY;
    if (!index_may_take(index))
        return index_wait(index);
    uint32_t slot;
    struct chunk *chunk = index_find_ready(index, &slot);
    if (!chunk->entries) {
        read_chunk(index, chunk);
        return index_wait(index);
    }
    return index_take_head(index, sequence) ? INDEX_OK : INDEX_EMPTY;
}

/* ---- what leaves from anywhere ---- */

bool index_take_at(struct index *index, uint64_t sequence)
{
    struct chunk *chunk = index_chunk(index, sequence);
    uint32_t slot = chunk ? chunk_slot(chunk, sequence) : 0;
    if (!chunk || !bit_get(chunk->ready_bits, slot) ||
        !index_may_take(index))
        return false;
    index_take_unread(index, chunk, slot);
    return true;
}

enum index_result index_ends(struct index *index, uint64_t sequence, uint64_t *ends_ms)
{
    struct chunk *chunk;
    const struct entry *entry = index_entry(index, sequence, &chunk);
    if (!chunk)
        return index_is_to_come(index, sequence) ? INDEX_WAIT : INDEX_EMPTY;
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
    uint32_t at = index_position(index, *from);
    for (at = at == index->chunks_count ? 0 : at; at < index->chunks_count; at++) {
        struct chunk *chunk = index_chunk_at(index, at);
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

/* ---- a look ---- */

enum { LOOK_AHEAD = 64 };

/* The first live message at `from` or after; NULL: there is none. */
static struct chunk *find_live(struct index *index, uint64_t from, uint32_t *slot)
{
    uint32_t at = index_position(index, from);
    for (at = at == index->chunks_count ? 0 : at; at < index->chunks_count; at++) {
        struct chunk *chunk = index_chunk_at(index, at);
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
    return slot_is_delayed(chunk, slot) ? LOOKED_DELAYED : LOOKED_TAKEN;
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
        return index_wait(index);
    }
    bool is_whole = !(entry->flags & ENTRY_DAMAGED);
    *looked = (struct looked){.sequence = chunk->base + slot,
                              .message = is_whole ? message_ref(entry->message) : NULL,
                              .ends_ms = entry->expires_ms,
                              .delivery_count = index_count_of(chunk, slot),
                              .state = looked_state(chunk, slot)};
    return INDEX_OK;
}

static const struct message *in_memory(const struct chunk *chunk, uint32_t slot)
{
    const struct entry *entry = chunk->entries ? &chunk->entries[slot] : NULL;
    return entry && entry->flags & ENTRY_MESSAGE ? entry->message : NULL;
}

void index_heads(struct index *index, struct index_heads *heads)
{
    uint32_t slot;
    const struct chunk *chunk = find_live(index, 0, &slot);
    *heads = (struct index_heads){.first = chunk ? in_memory(chunk, slot) : NULL};
    if (index->ready == 0)
        return;
    chunk = index_find_ready(index, &slot);
    index->cursor = chunk->base + slot;
    heads->ready = in_memory(chunk, slot);
}

enum index_obstacle index_obstacle(struct index *index)
{
    uint32_t slot;
    if (!index->is_waiting || index->ready == 0)
        return INDEX_UNHINDERED;
    const struct chunk *chunk = index_find_ready(index, &slot);
    const struct entry *entry = chunk->entries ? &chunk->entries[slot] : NULL;
    if (!entry || !(entry->flags & ENTRY_MESSAGE))
        return INDEX_READS;
    bool needs_mark = entry->flags & ENTRY_RECORDED && chunk->base + slot >= index->mark;
    return needs_mark ? INDEX_MARKS : INDEX_UNHINDERED;
}
