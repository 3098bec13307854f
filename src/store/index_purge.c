/* Many messages of an index at once: a purge, and the end of its queue. */
#include "store/index.h"

#include <assert.h>

#include "base/mem.h"
#include "store/index_internal.h"

/* ---- purge ---- */

static bool is_ready_as_a_whole(const struct chunk *chunk)
{
    return chunk->live && chunk->ready == chunk->live;
}

/* A slot at a time would take long. */
static void purge_whole(struct index *index, struct chunk *chunk)
{
    assert(chunk->ready == chunk->live);
    if (index_survives(index))
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
        index_end_slot(index, chunk, slot);
    }
    chunk->ready_bytes = 0;
}

/* False: the chunk is no longer one of the queue's. *slots: how many may be settled one by one. */
static bool purge_chunk(struct index *index, struct chunk *chunk, uint32_t *slots)
{
    bool is_tail = chunk == index_tail(index);
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
        struct chunk *chunk = index_chunk_at(index, at);
        for (uint32_t i = 0; chunk->returns && i < chunk->returns->count; i++) {
            struct returned *item = &chunk->returns->items[i];
            if (!item->until_ms)
                continue;
            item->until_ms = 0;
            index_count_delayed(index, -1);
            index_make_ready(index, chunk, item->slot);
        }
    }
}

/* What is ready is taken as it lies, and what is delayed stays so until its end is applied. */
static uint64_t purge_of_group(struct index *index)
{
    uint64_t purged = 0, sequence;
    for (uint32_t at = 0; index->delayed && at < index->chunks_count; at++) {
        const struct chunk *chunk = index_chunk_at(index, at);
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
        struct chunk *chunk = index_chunk_at(index, at);
        if (purge_chunk(index, chunk, &slots))
            index->chunks[index->chunks_first + kept++] = chunk;
    }
    index->chunks_count = kept;
    index->hint = 0;
    if (kept == 0)
        index->chunks_first = 0;
    else if (index_tail(index)->live == 0)
        chunk_emptied(index, index_tail(index));
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
        chunk_condemn(index->store, index_chunk_at(index, i));
    index_forget(index);
}

void index_forget(struct index *index)
{
    assert(idmap_find(&index->store->indexes, index->id) == index);
    idmap_remove(&index->store->indexes, index->id);
    list_remove(&index->dirty_link);
    list_remove(&index->wait_link);
    list_remove(&index->changed_link);
    mem_free(index->chunks);
    mem_free(index);
}
