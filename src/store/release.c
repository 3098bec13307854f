/* Chunks that have left their queue with all that is in them, as it was deleted or purged. For the
 * queue, and for whatever is written down about it, they are gone; what their entries hold, memory and
 * room in segments, is released a bounded number in each turn. */
#include <assert.h>

#include "store/internal.h"

static void clear(struct store *store, struct chunk *chunk)
{
    size_t size = (chunk->capacity + 63) / 64 * 8;
    memset(chunk->live_bits, 0, size);
    memset(chunk->ready_bits, 0, size);
    chunk->live = chunk->ready = 0;
    returns_free(&store->memory.slab, &chunk->returns);
}

void chunk_condemn(struct store *store, struct chunk *chunk)
{
    chunk->version++;
    if (!chunk->entries) {
        clear(store, chunk);
        chunk_changed(store, chunk);
        chunk_discard(store, chunk);
        return;
    }
    assert(chunk->index && chunk->entries);
    chunk->index = NULL;
    chunk->is_changed = false;
    list_remove(&chunk->changed_link);
    list_remove(&chunk->bodies_link);
    list_remove(&chunk->cache_link);
    list_push_back(&store->memory.condemned, &chunk->cache_link);
    chunk_name_dead(store, chunk);
    blob_drop(store, chunk);
}

static void release(struct store *store, struct chunk *chunk)
{
    assert(!chunk->index && chunk->entries);
    for (uint32_t slot = bit_next(chunk->live_bits, 0, chunk->slots); slot < chunk->slots;
         slot = bit_next(chunk->live_bits, slot + 1, chunk->slots))
        entry_release(store, chunk, &chunk->entries[slot]);
    if (chunk->ended_bits)
        chunk_release_ended(store, chunk);
    clear(store, chunk);
    chunk_discard(store, chunk);
}

static void release_some(struct store *store, uint64_t slots)
{
    struct list *link;
    for (uint64_t count = 0; count < slots && (link = list_first(&store->memory.condemned));) {
        struct chunk *chunk = list_entry(link, struct chunk, cache_link);
        count += chunk->live + chunk->unreleased + 1;
        release(store, chunk);
    }
}

void release_tick(struct store *store)
{
    release_some(store, store->options.release_slots);
}

void release_all(struct store *store)
{
    release_some(store, UINT64_MAX);
}
