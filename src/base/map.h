/* Hash tables with open addressing, of any size: no call takes long. The keys of a `map` are bytes
 * that lie inside the values (the table borrows them: a value's key must not move or change while
 * it is in the table); the keys of an `idmap` are numbers; the values of a `set` know their keys,
 * which may be in several parts. None owns its values. A table without entries holds no memory. */
#ifndef LEVERET_BASE_MAP_H
#define LEVERET_BASE_MAP_H

#include "base/bytes.h"

struct idmap {
    void *root; /* NULL: empty */
    size_t count;
    uint32_t depth;
};

struct map {
    struct idmap table;
    uint64_t seed;
};

struct set {
    struct idmap table;
};

/* Told of a value, while the table must not change. */
typedef void map_each(void *context, void *value);

/* An empty table; `seed` is secret to the process (see hash.h). */
void map_init(struct map *map, uint64_t seed);
/* Frees the table, not the values. */
void map_free(struct map *map);
/* The value under `key`, or NULL. */
void *map_find(const struct map *map, struct bytes key);
/* Adds a value (not NULL) under a key that is not there yet; `key` must stay valid. */
void map_add(struct map *map, struct bytes key, void *value);
/* Takes the value under `key` out and returns it, or NULL. */
void *map_remove(struct map *map, struct bytes key);
/* Walks in no order: start with *at = 0; returns NULL at the end. The table must not change. */
void *map_next(const struct map *map, uint64_t *at);
/* The same, but the table may change between calls: what is there all the time is found once. It takes
 * a look at a few hundred slots for each. */
void *map_next_stable(const struct map *map, uint64_t *at);
/* The same for some at once, at most a few hundred, which costs little for each: start with *at = 0;
 * false: that was all. */
bool map_each_of_part(const struct map *map, uint64_t *at, map_each *each, void *context);

static inline size_t map_count(const struct map *map)
{
    return map->table.count;
}

/* The same for numbers. */
void idmap_init(struct idmap *map);
void idmap_free(struct idmap *map);
void *idmap_find(const struct idmap *map, uint64_t id);
void idmap_add(struct idmap *map, uint64_t id, void *value);
void *idmap_remove(struct idmap *map, uint64_t id);
void *idmap_next(const struct idmap *map, uint64_t *at);
bool idmap_each_of_part(const struct idmap *map, uint64_t *at, map_each *each, void *context);

/* The same for values that are found by a hash, of which the caller makes one from all parts of the
 * key (with a secret seed if a peer chooses them), and by a function: is this value the wanted one?
 */
void set_init(struct set *set);
void set_free(struct set *set);
void *set_find(const struct set *set, uint64_t hash,
               bool (*is)(const void *value, const void *wanted), const void *wanted);
void set_add(struct set *set, uint64_t hash, void *value);
/* Takes out a value that is there. */
void set_remove(struct set *set, uint64_t hash, const void *value);
void *set_next(const struct set *set, uint64_t *at);
bool set_each_of_part(const struct set *set, uint64_t *at, map_each *each, void *context);

static inline size_t set_count(const struct set *set)
{
    return set->table.count;
}

#endif
