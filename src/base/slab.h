/* Blocks of memory for what comes and goes with every message. Blocks of like size lie together in
 * spans, spans of one size in regions that come straight from the system, so that a queue that drains
 * gives its memory back. What is free is kept for the next burst, and goes back when it was not needed
 * for a while: in pieces, as the system takes its time for each page. Blocks of 128 KiB and more are
 * mapped one by one. One thread only. */
#ifndef LEVERET_BASE_SLAB_H
#define LEVERET_BASE_SLAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"

enum { SLAB_CLASSES = 80, SLAB_PIECE = 2 << 20 };

/* Regions whose spans are of one size. */
struct slab_tier {
    struct list warm;  /* regions with empty spans that have memory; those to give back are last */
    struct list blank; /* others with empty spans: these take memory when they are used */
    size_t spare;      /* empty spans that have memory */
    size_t least;      /* the fewest of them since slab_age */
    size_t giving;     /* how many of them are to be given back */
    size_t begun;      /* spans that blocks were taken from, so far */
};

struct slab {
    struct list partial[SLAB_CLASSES]; /* spans with a free block, by class */
    struct slab_tier tiers[2];         /* spans of 64 KiB, and of 1 MiB for blocks above 8 KiB */
    struct list kept; /* blocks of 128 KiB and more that are free, the last one first */
    size_t kept_bytes, kept_least;
    struct list going; /* such blocks on their way back to the system, from their ends */
    size_t used_bytes; /* what is handed out, rounded up to blocks */
};

void slab_init(struct slab *slab);
/* Gives everything back; every block must have been freed. */
void slab_free_all(struct slab *slab);
/* A block of at least `size` bytes, aligned to 16. */
void *slab_alloc(struct slab *slab, size_t size);
/* `size` is what was asked for. */
void slab_free(struct slab *slab, void *block, size_t size);
/* A large block, more than SLAB_LARGE bytes, that does not count until it is adopted; any thread may ask. */
enum { SLAB_LARGE = 128 << 10 };
void *slab_map(size_t size);
void slab_adopt(struct slab *slab, size_t size);
/* A block of `to` bytes with what was in one of `from`; a large one is not copied. */
void *slab_resize(struct slab *slab, void *block, size_t from, size_t to);
/* What a block for `size` bytes really takes. */
size_t slab_cost(size_t size);
/* What was free all the time since the last call is to be given back, but for 1 MiB. */
void slab_age(struct slab *slab);
/* Gives one piece back, SLAB_PIECE bytes at most. False: there was none. */
bool slab_give(struct slab *slab);
/* Is there something to give back now? */
bool slab_has_to_give(const struct slab *slab);
/* Is there something that slab_age may find? */
bool slab_has_spare(const struct slab *slab);

#endif
