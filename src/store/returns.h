/* Those of a chunk's messages that came back to their queue: how often, and until when they wait. They
 * are few, so they lie beside the chunk's bits, sorted by slot; a chunk that has none has no list. */
#ifndef LEVERET_STORE_RETURNS_H
#define LEVERET_STORE_RETURNS_H

#include "base/buffer.h"
#include "base/bytes.h"
#include "base/slab.h"

struct returned {
    uint64_t until_ms; /* since 1970; 0: it does not wait */
    uint32_t slot;
    uint32_t count; /* how often it came back */
};

struct returns {
    uint32_t count, capacity;
    struct returned items[];
};

/* The one of that slot; NULL: it never came back. `returns` may be NULL. */
struct returned *returns_find(struct returns *returns, uint32_t slot);
/* Adds one, or replaces that of its slot. */
void returns_put(struct slab *slab, struct returns **returns, struct returned item);
/* Forgets that of the slot, if there is one; and all. */
void returns_remove(struct slab *slab, struct returns **returns, uint32_t slot);
void returns_free(struct slab *slab, struct returns **returns);
/* Appends those whose bit is set, as varints: distance of the slot from the one before, count, time. */
void returns_encode(const struct returns *returns, const uint64_t *kept, struct buffer *out);
/* Reads them to the end of the cursor. False: malformed. */
bool returns_decode(struct slab *slab, struct returns **returns, struct cursor *cursor,
                    uint32_t slots);

#endif
