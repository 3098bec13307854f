/* Linear probing, at most three quarters full, and deletion by shifting back, so that there are
 * no tombstones and a table that shrank in use is as fast as a new one. */
#include "base/map.h"

#include <assert.h>

#include "base/hash.h"
#include "base/mem.h"

enum { CAPACITY_MIN = 8 };

void map_init(struct map *map, uint64_t seed)
{
    *map = (struct map){.seed = seed};
}

void map_free(struct map *map)
{
    mem_free(map->slots);
    map_init(map, map->seed);
}

static uint64_t hash_of(const struct map *map, struct bytes key)
{
    return hash_bytes(key, map->seed) | 1;
}

static size_t map_slot_of(const struct map *map, struct bytes key, uint64_t hash)
{
    size_t mask = map->capacity - 1;
    size_t i = (hash >> 1) & mask;
    while (map->slots[i].hash) {
        if (map->slots[i].hash == hash && bytes_equal(map->slots[i].key, key))
            break;
        i = (i + 1) & mask;
    }
    return i;
}

static void map_resize(struct map *map, size_t capacity)
{
    struct map_slot *old = map->slots;
    size_t old_capacity = map->capacity;
    map->slots = mem_zalloc_array(capacity, sizeof(*map->slots));
    map->capacity = capacity;
    for (size_t i = 0; i < old_capacity; i++)
        if (old[i].hash)
            map->slots[map_slot_of(map, old[i].key, old[i].hash)] = old[i];
    mem_free(old);
}

void *map_find(const struct map *map, struct bytes key)
{
    if (map->count == 0)
        return NULL;
    return map->slots[map_slot_of(map, key, hash_of(map, key))].value;
}

void map_add(struct map *map, struct bytes key, void *value)
{
    if ((map->count + 1) * 4 > map->capacity * 3)
        map_resize(map, map->capacity ? map->capacity * 2 : CAPACITY_MIN);
    uint64_t hash = hash_of(map, key);
    struct map_slot *slot = &map->slots[map_slot_of(map, key, hash)];
    assert(value && !slot->hash);
    *slot = (struct map_slot){key, hash, value};
    map->count++;
}

void *map_remove(struct map *map, struct bytes key)
{
    if (map->count == 0)
        return NULL;
    size_t mask = map->capacity - 1;
    size_t hole = map_slot_of(map, key, hash_of(map, key));
    void *value = map->slots[hole].value;
    if (!value)
        return NULL;
    for (size_t i = (hole + 1) & mask; map->slots[i].hash; i = (i + 1) & mask) {
        size_t home = (map->slots[i].hash >> 1) & mask;
        if (((i - home) & mask) < ((i - hole) & mask))
            continue;
        map->slots[hole] = map->slots[i];
        hole = i;
    }
    map->slots[hole] = (struct map_slot){0};
    if (--map->count == 0)
        map_free(map);
    return value;
}

void *map_next(const struct map *map, size_t *at)
{
    while (*at < map->capacity)
        if (map->slots[(*at)++].hash)
            return map->slots[*at - 1].value;
    return NULL;
}

void idmap_init(struct idmap *map)
{
    *map = (struct idmap){0};
}

void idmap_free(struct idmap *map)
{
    mem_free(map->slots);
    idmap_init(map);
}

static size_t idmap_slot_of(const struct idmap *map, uint64_t id)
{
    size_t mask = map->capacity - 1;
    size_t i = hash_number(id) & mask;
    while (map->slots[i].value && map->slots[i].id != id)
        i = (i + 1) & mask;
    return i;
}

static void idmap_resize(struct idmap *map, size_t capacity)
{
    struct idmap_slot *old = map->slots;
    size_t old_capacity = map->capacity;
    map->slots = mem_zalloc_array(capacity, sizeof(*map->slots));
    map->capacity = capacity;
    for (size_t i = 0; i < old_capacity; i++)
        if (old[i].value)
            map->slots[idmap_slot_of(map, old[i].id)] = old[i];
    mem_free(old);
}

void *idmap_find(const struct idmap *map, uint64_t id)
{
    return map->count ? map->slots[idmap_slot_of(map, id)].value : NULL;
}

void idmap_add(struct idmap *map, uint64_t id, void *value)
{
    if ((map->count + 1) * 4 > map->capacity * 3)
        idmap_resize(map, map->capacity ? map->capacity * 2 : CAPACITY_MIN);
    struct idmap_slot *slot = &map->slots[idmap_slot_of(map, id)];
    assert(value && !slot->value);
    *slot = (struct idmap_slot){id, value};
    map->count++;
}

void *idmap_remove(struct idmap *map, uint64_t id)
{
    if (map->count == 0)
        return NULL;
    size_t mask = map->capacity - 1;
    size_t hole = idmap_slot_of(map, id);
    void *value = map->slots[hole].value;
    if (!value)
        return NULL;
    for (size_t i = (hole + 1) & mask; map->slots[i].value; i = (i + 1) & mask) {
        size_t home = hash_number(map->slots[i].id) & mask;
        if (((i - home) & mask) < ((i - hole) & mask))
            continue;
        map->slots[hole] = map->slots[i];
        hole = i;
    }
    map->slots[hole] = (struct idmap_slot){0};
    if (--map->count == 0)
        idmap_free(map);
    return value;
}

void *idmap_next(const struct idmap *map, size_t *at)
{
    while (*at < map->capacity)
        if (map->slots[(*at)++].value)
            return map->slots[*at - 1].value;
    return NULL;
}
