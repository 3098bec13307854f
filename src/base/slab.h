/* Blocks of memory for what comes and goes with every message. Blocks of like size lie together in
 * spans of 64 KiB that come straight from the system, so that a queue that drains gives its memory
 * back; a few empty spans are kept for the next burst, and so are some of the large blocks that would
 * go back to the system at once. One thread only. */
#ifndef LEVERET_BASE_SLAB_H
#define LEVERET_BASE_SLAB_H

#include <stddef.h>
#include <stdint.h>

#include "base/list.h"

enum { SLAB_SPAN = 65536, SLAB_CLASSES = 48 };

struct slab {
    struct list partial[SLAB_CLASSES]; /* spans with a free block, by class */
    void *spare;                       /* empty spans, linked */
    size_t spare_count;
    uint8_t *fresh; /* spans that were never used, one after the other */
    size_t fresh_count;
    struct list kept; /* large blocks that are free, the last one first */
    size_t kept_bytes;
    size_t used_bytes; /* what is handed out, rounded up to blocks */
};

void slab_init(struct slab *slab);
/* Gives every span back; every block must have been freed. */
void slab_free_all(struct slab *slab);
/* A block of at least `size` bytes, aligned to 16. Large ones come one by one. */
void *slab_alloc(struct slab *slab, size_t size);
/* `size` is what was asked for. */
void slab_free(struct slab *slab, void *block, size_t size);
/* What a block for `size` bytes really takes. */
size_t slab_cost(size_t size);
/* Keeps at most `spans` empty spans; the rest goes back to the system, and so do large blocks. */
void slab_trim(struct slab *slab, size_t spans);

#endif
