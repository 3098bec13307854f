/* Whether the blocks of a slab lie in its spans. With AddressSanitizer each is by itself. */
#ifndef LEVERET_TESTS_LIB_SPANS_H
#define LEVERET_TESTS_LIB_SPANS_H

#include "base/slab.h"

static inline bool spans_are_used(void)
{
    struct slab slab;
    slab_init(&slab);
    slab_free(&slab, slab_alloc(&slab, 1), 1);
    bool used = !list_is_empty(&slab.tiers[0].blank);
    slab_free_all(&slab);
    return used;
}

#endif
