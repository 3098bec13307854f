#include "broker/change.h"

#include "base/mem.h"

/* A list that has been longer gives its memory back. */
enum { LIST_KEPT = 64 };

struct kept {
    struct kept *next;
    uint8_t bytes[];
};

void changes_add(struct changes *changes, const struct change *change)
{
    changes->list =
        mem_grow(changes->list, &changes->capacity, changes->count + 1, sizeof(*change));
    changes->list[changes->count++] = *change;
}

struct bytes changes_keep(struct changes *changes, struct bytes bytes)
{
    struct kept *kept = mem_alloc(sizeof(*kept) + bytes.size);
    kept->next = changes->kept;
    changes->kept = kept;
    if (bytes.size)
        memcpy(kept->bytes, bytes.data, bytes.size);
    return bytes_of(kept->bytes, bytes.size);
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
