/* Changes of the catalogue since the last checkpoint, by name; and its whole image at start. */
#include <stdlib.h>

#include "base/mem.h"
#include "store/internal.h"

void name_change(struct store *store, struct map *map, struct bytes key, struct bytes value,
                 bool is_delete)
{
    struct name_change *old = map_remove(map, key);
    struct name_change *change = mem_alloc(sizeof(*change) + key.size + value.size);
    memcpy(change->data, key.data, key.size);
    if (value.size)
        memcpy(change->data + key.size, value.data, value.size);
    change->key = bytes_of(change->data, key.size);
    change->value = bytes_of(change->data + key.size, value.size);
    change->is_delete = is_delete;
    mem_free(old);
    map_add(map, change->key, change);
    store->image.is_changed = true;
}

void names_free(struct map *map)
{
    uint64_t at = 0;
    void *change;
    while ((change = map_next(map, &at)))
        mem_free(change);
    map_free(map);
}

bool has_newer_names(const struct store *store)
{
    uint64_t at = 0;
    const struct name_change *change;
    while (store->options.is_newer && (change = map_next(&store->image.catalogue, &at)))
        if (!change->is_delete && store->options.is_newer(change->key, change->value))
            return true;
    return false;
}

bool store_is_new(const struct store *store)
{
    uint64_t at = 0;
    return map_count(&store->image.catalogue) == 0 && map_count(&store->image.changed_names) == 0 &&
           !idmap_next(&store->indexes, &at);
}

/* Names of a group change when it has agreed on that. */
void store_catalogue_put(struct store *store, struct bytes key, struct bytes value)
{
    struct buffer payload = {0};
    buffer_add_u32(&payload, (uint32_t)key.size);
    buffer_add(&payload, key.data, key.size);
    buffer_add(&payload, value.data, value.size);
    if (store->groups.names) {
        propose_name(store, RECORD_PUT, buffer_bytes(&payload));
    } else {
        batch_add(&store->journal, RECORD_PUT, buffer_bytes(&payload));
        name_change(store, &store->image.changed_names, key, value, false);
    }
    buffer_free(&payload);
}

void store_catalogue_delete(struct store *store, struct bytes key)
{
    if (store->groups.names) {
        propose_name(store, RECORD_DELETE, key);
        return;
    }
    batch_add(&store->journal, RECORD_DELETE, key);
    name_change(store, &store->image.changed_names, key, bytes_of(NULL, 0), true);
}

static int by_key(const void *a, const void *b)
{
    const struct name_change *const *left = a, *const *right = b;
    return bytes_compare((*left)->key, (*right)->key);
}

void store_catalogue_each(struct store *store,
                          void (*each)(void *context, struct bytes key, struct bytes value),
                          void *context)
{
    size_t count = 0, at = 0;
    struct name_change **all =
        mem_zalloc_array(map_count(&store->image.catalogue) + 1, sizeof(*all));
    struct name_change *change;
    while ((change = map_next(&store->image.catalogue, &at)))
        if (!change->is_delete)
            all[count++] = change;
    qsort(all, count, sizeof(*all), by_key);
    for (size_t i = 0; i < count; i++)
        each(context, all[i]->key, all[i]->value);
    mem_free(all);
    names_free(&store->image.catalogue);
    store->image.is_catalogue_read = true;
}
