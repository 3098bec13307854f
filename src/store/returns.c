#include "store/returns.h"

#include <string.h>

enum { CAPACITY_FIRST = 4 };

static size_t size_of(uint32_t capacity)
{
    return sizeof(struct returns) + capacity * sizeof(struct returned);
}

/* Where the item of that slot is, or would be. */
static uint32_t place_of(const struct returns *returns, uint32_t slot)
{
    uint32_t low = 0, high = returns->count;
    if (high && returns->items[high - 1].slot < slot)
        return high;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (returns->items[middle].slot < slot)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool is_at(const struct returns *returns, uint32_t at, uint32_t slot)
{
    return at < returns->count && returns->items[at].slot == slot;
}

struct returned *returns_find(struct returns *returns, uint32_t slot)
{
    if (!returns)
        return NULL;
    uint32_t at = place_of(returns, slot);
    return is_at(returns, at, slot) ? &returns->items[at] : NULL;
}

static void make_room(struct slab *slab, struct returns **returns)
{
    uint32_t from = *returns ? (*returns)->capacity : 0;
    uint32_t to = from ? from * 2 : CAPACITY_FIRST;
    if (*returns && (*returns)->count < from)
        return;
    if (*returns)
        *returns = slab_resize(slab, *returns, size_of(from), size_of(to));
    else
        *returns = memset(slab_alloc(slab, size_of(to)), 0, sizeof(**returns));
    (*returns)->capacity = to;
}

void returns_put(struct slab *slab, struct returns **returns, struct returned item)
{
    struct returned *there = returns_find(*returns, item.slot);
    if (there) {
        *there = item;
        return;
    }
    make_room(slab, returns);
    struct returns *list = *returns;
    uint32_t at = place_of(list, item.slot);
    memmove(&list->items[at + 1], &list->items[at], (list->count - at) * sizeof(item));
    list->items[at] = item;
    list->count++;
}

void returns_remove(struct slab *slab, struct returns **returns, uint32_t slot)
{
    struct returns *list = *returns;
    uint32_t at = list ? place_of(list, slot) : 0;
    if (!list || !is_at(list, at, slot))
        return;
    if (--list->count == 0) {
        returns_free(slab, returns);
        return;
    }
    memmove(&list->items[at], &list->items[at + 1], (list->count - at) * sizeof(list->items[0]));
}

void returns_free(struct slab *slab, struct returns **returns)
{
    if (*returns)
        slab_free(slab, *returns, size_of((*returns)->capacity));
    *returns = NULL;
}

void returns_encode(const struct returns *returns, const uint64_t *kept, struct buffer *out)
{
    uint32_t last = 0;
    for (uint32_t i = 0; returns && i < returns->count; i++) {
        const struct returned *item = &returns->items[i];
        if (!(kept[item->slot / 64] >> (item->slot % 64) & 1))
            continue;
        buffer_add_varint(out, item->slot - last);
        buffer_add_varint(out, item->count);
        buffer_add_varint(out, item->until_ms);
        last = item->slot;
    }
}

bool returns_decode(struct slab *slab, struct returns **returns, struct cursor *cursor,
                    uint32_t slots)
{
    uint64_t slot = 0;
    while (!cursor->bad && cursor->at < cursor->end) {
        slot += cursor_varint(cursor);
        uint64_t count = cursor_varint(cursor);
        uint64_t until_ms = cursor_varint(cursor);
        if (cursor->bad || slot >= slots || count > UINT32_MAX)
            return false;
        returns_put(slab, returns,
                    (struct returned){until_ms, (uint32_t)slot, (uint32_t)count});
    }
    return !cursor->bad;
}
