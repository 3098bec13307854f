#include "broker/change.h"

#include "base/mem.h"

/* A list that has been longer gives its memory back. What is kept first has just its room; where
 * there is more, it lies together. */
enum { LIST_KEPT = 64, KEPT_BYTES = 4000 };

struct kept {
    struct kept *next;
    size_t left; /* bytes at its end */
    uint8_t bytes[];
};

void changes_add(struct changes *changes, const struct change *change)
{
    changes->list =
        mem_grow(changes->list, &changes->capacity, changes->count + 1, sizeof(*change));
    changes->list[changes->count++] = *change;
}

static struct kept *add_room(struct changes *changes, size_t size)
{
    if (changes->kept && size < KEPT_BYTES)
        size = KEPT_BYTES;
    struct kept *kept = mem_alloc(sizeof(*kept) + size);
    kept->next = changes->kept;
    kept->left = size;
    changes->kept = kept;
    changes->kept_end = kept->bytes + size;
    return kept;
}

struct bytes changes_keep(struct changes *changes, struct bytes bytes)
{
    struct kept *kept = changes->kept;
    if (!kept || kept->left < bytes.size)
        kept = add_room(changes, bytes.size);
    uint8_t *to = changes->kept_end - kept->left;
    kept->left -= bytes.size;
    if (bytes.size)
        memcpy(to, bytes.data, bytes.size);
    return bytes_of(to, bytes.size);
}

static void forget_kept(struct changes *changes)
{
    for (struct kept *kept; (kept = changes->kept);) {
        changes->kept = kept->next;
        mem_free(kept);
    }
}

void changes_clear(struct changes *changes)
{
    forget_kept(changes);
    if (changes->capacity > LIST_KEPT)
        changes_free(changes);
    changes->count = 0;
}

void changes_free(struct changes *changes)
{
    forget_kept(changes);
    mem_free(changes->list);
    *changes = (struct changes){0};
}
