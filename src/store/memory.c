/* Free memory on its way back to the system. What comes and goes with messages and chunks lies in
 * slabs. A queue that is filled and emptied all the time must not pay for pages each time, so only what
 * was free for a whole while goes; and the system takes its time for each page, so it goes in pieces:
 * one in each turn, and more if the caller likes. */
#include "store/internal.h"

enum { AGE_MS = 250 };

static bool has_to_give(const struct store *store)
{
    return slab_has_to_give(&store->options.pool->slab) || slab_has_to_give(&store->memory.slab);
}

static bool has_spare(const struct store *store)
{
    return slab_has_spare(&store->options.pool->slab) || slab_has_spare(&store->memory.slab);
}

void memory_tick(struct store *store)
{
    if (store->now_ms - store->memory.aged_ms >= AGE_MS) {
        store->memory.aged_ms = store->now_ms;
        slab_age(&store->options.pool->slab);
        slab_age(&store->memory.slab);
    }
    store_give_memory_back(store);
}

uint64_t memory_next_ms(const struct store *store)
{
    if (has_to_give(store))
        return store->now_ms;
    return has_spare(store) ? store->memory.aged_ms + AGE_MS : UINT64_MAX;
}

bool store_give_memory_back(struct store *store)
{
    return slab_give(&store->options.pool->slab) || slab_give(&store->memory.slab);
}
