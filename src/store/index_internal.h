/* What the files of the index share: index.c, index_look.c, index_purge.c and index_replay.c. */
#ifndef LEVERET_STORE_INDEX_INTERNAL_H
#define LEVERET_STORE_INDEX_INTERNAL_H

#include "store/internal.h"

static inline bool index_survives(const struct index *index)
{
    return !(index->id & STORE_ID_TRANSIENT);
}

/* ---- the row of chunks ---- */

static inline struct chunk *index_chunk_at(const struct index *index, uint32_t at)
{
    return index->chunks[index->chunks_first + at];
}

static inline struct chunk *index_tail(const struct index *index)
{
    return index->chunks_count ? index_chunk_at(index, index->chunks_count - 1) : NULL;
}

/* The position of the chunk that holds `sequence`, or would: the last that begins at or below it;
 * chunks_count when all begin above. */
static inline uint32_t index_position(struct index *index, uint64_t sequence)
{
    uint32_t low = 0, high = index->chunks_count;
    uint32_t hint = index->hint;
    if (hint < high && index_chunk_at(index, hint)->base <= sequence &&
        (hint + 1 == high || index_chunk_at(index, hint + 1)->base > sequence))
        return hint;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (index_chunk_at(index, middle)->base <= sequence)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0)
        return index->chunks_count;
    return index->hint = low - 1;
}

static inline bool index_is_to_come(const struct index *index, uint64_t sequence)
{
    return sequence >= index->next_sequence && store_is_of_group(index->id) &&
           sequence < propose_next(index);
}

/* Nothing in the chunk is live any more. The last one is used again from its beginning. */
void chunk_emptied(struct index *index, struct chunk *chunk);
/* The next capacity of a queue's chunk. They double, from a number that is each queue's own: queues that
 * get the same messages do not all grow at the same one. */
uint32_t index_capacity_above(const struct index *index, uint32_t capacity);
/* To so much, or as much as a chunk may have. */
void index_grow(struct store *store, struct chunk *chunk, uint32_t capacity);
/* The first ready message at the cursor or after; there is one. */
struct chunk *index_find_ready(struct index *index, uint32_t *slot);

/* ---- bytes of cold chunks ---- */

/* The part of a sum that one of `count` has, which are all that it is of. */
static inline uint64_t take_share(uint64_t *bytes, uint32_t count)
{
    uint64_t share = *bytes / count;
    *bytes -= share;
    return share;
}

/* ---- what came back ---- */

/* How often. */
uint32_t index_count_of(const struct chunk *chunk, uint32_t slot);

static inline bool slot_is_delayed(const struct chunk *chunk, uint32_t slot)
{
    const struct returned *item = returns_find(chunk->returns, slot);
    return item && item->until_ms;
}

static inline void slot_forget_returns(struct store *store, struct chunk *chunk, uint32_t slot)
{
    if (!chunk->returns)
        return;
    if (slot_is_delayed(chunk, slot))
        index_count_delayed(chunk->index, -1);
    returns_remove(&store->memory.slab, &chunk->returns, slot);
}

void index_note_returned(struct store *store, struct chunk *chunk, struct returned item);

/* ---- one message ---- */

static inline enum index_result index_wait(struct index *index)
{
    index->is_waiting = true;
    return INDEX_WAIT;
}

/* Of a queue of a group only who leads that. Who does so no more has nothing taken (index_untake): what it
 * still does with messages that it had is nothing. */
static inline bool index_may_take(const struct index *index)
{
    return !store_is_of_group(index->id) || group_may_take(index);
}

/* Ends the message in a slot, taken or ready (the caller keeps those counts). */
void index_end_slot(struct index *index, struct chunk *chunk, uint32_t slot);
/* A ready message is so no more, and stays, whether its entry is in memory or not. */
void index_set_aside(struct index *index, struct chunk *chunk, uint32_t slot);
/* The same, and it is taken. */
void index_take_unread(struct index *index, struct chunk *chunk, uint32_t slot);
/* What is neither ready nor taken any more is ready, unless it is damaged and stays away. */
void index_make_ready(struct index *index, struct chunk *chunk, uint32_t slot);

#endif
