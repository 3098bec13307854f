/* Linear probing, at most three quarters full, and deletion by shifting back, so that there are
 * no tombstones and a table that shrank in use is as fast as a new one.
 *
 * A small table is one run of slots, a *leaf*, which doubles. Beyond LEAF_MAX a leaf is split in
 * two instead, and a *directory* tells by the first bits of a hash in which leaf its value is;
 * several entries may lead to one leaf (extendible hashing). So a table of any size grows by a few
 * hundred slots at a time, and no call takes long. When all of a directory's bits are used up it is
 * doubled, which copies a pointer for each leaf. Two leaves that were one become one again when little
 * is left in both, so that a table that is emptied gives its memory back bit by bit, and the last value
 * to go takes little with it. */
#include "base/map.h"

#include <assert.h>

#include "base/hash.h"
#include "base/mem.h"

enum { CAPACITY_MIN = 8, LEAF_MAX = 256, LEAF_JOINED = LEAF_MAX / 4, DEPTH_MAX = 24, SLOTS_AHEAD = 20 };

/* A map is an idmap of the hashes of its keys, with the keys beside. How every slot begins: */
struct slot {
    uint64_t hash;
    void *value; /* NULL: free */
};

/* A slot of a `map`. Those of an `idmap` need no key: hash_number gives no two numbers the same.
 * Those of a set need none, as its values tell themselves whether they are meant. */
struct named_slot {
    struct slot slot;
    struct bytes key;
};

struct leaf {
    uint32_t capacity;
    uint32_t count;
    uint32_t depth; /* how many bits all of its hashes have in common */
    uint32_t reserved;
    uint64_t slots[];
};

#define INLINE static inline __attribute__((always_inline))

/* Which of the values under one hash is meant: the one with this key; or the one that `is` says yes
 * to; or, without both, the first. */
struct wanted {
    const struct bytes *key;
    bool (*is)(const void *value, const void *wanted);
    const void *argument;
};

INLINE bool is_wanted(const struct slot *slot, struct wanted wanted)
{
    if (wanted.key)
        return bytes_equal(((const struct named_slot *)(const void *)slot)->key, *wanted.key);
    return !wanted.is || wanted.is(slot->value, wanted.argument);
}

INLINE struct slot *slot_at(struct leaf *leaf, size_t at, size_t slot_size)
{
    return (struct slot *)(void *)((uint8_t *)leaf->slots + at * slot_size);
}

INLINE size_t place_of(const struct idmap *table, uint64_t hash)
{
    return (size_t)(hash >> (64 - table->depth));
}

INLINE struct leaf *leaf_of(const struct idmap *table, uint64_t hash)
{
    if (__builtin_expect(table->depth == 0, 1))
        return table->root;
    return ((struct leaf **)table->root)[place_of(table, hash)];
}

/* The slot with what is wanted, or the free one where it would be. */
INLINE struct slot *probe(struct leaf *leaf, uint64_t hash, struct wanted wanted, size_t slot_size,
                          size_t *found)
{
    size_t mask = leaf->capacity - 1, at = hash & mask;
    struct slot *slot;
    while ((slot = slot_at(leaf, at, slot_size))->value) {
        if (slot->hash == hash && is_wanted(slot, wanted))
            break;
        at = (at + 1) & mask;
    }
    *found = at;
    return slot;
}

INLINE void *find(const struct idmap *table, uint64_t hash, struct wanted wanted, size_t slot_size)
{
    size_t at;
    return table->count ? probe(leaf_of(table, hash), hash, wanted, slot_size, &at)->value : NULL;
}

/* ---- growing ---- */

static struct leaf *leaf_new(uint32_t capacity, uint32_t depth, size_t slot_size)
{
    struct leaf *leaf = mem_zalloc(sizeof(*leaf) + capacity * slot_size);
    leaf->capacity = capacity;
    leaf->depth = depth;
    return leaf;
}

/* Puts a copy of a slot, whose key is not there yet, into a leaf that has room. */
static void put(struct leaf *leaf, const struct slot *slot, size_t slot_size)
{
    size_t mask = leaf->capacity - 1, at = slot->hash & mask;
    while (slot_at(leaf, at, slot_size)->value)
        at = (at + 1) & mask;
    memcpy(slot_at(leaf, at, slot_size), slot, slot_size);
    leaf->count++;
}

/* Every entry of the directory that leads to the leaf of this hash and depth: the first half of
 * them leads to `left` now, the second to `right`. */
static void replace(struct idmap *table, uint64_t hash, uint32_t depth, struct leaf *left,
                    struct leaf *right)
{
    if (table->depth == 0) {
        table->root = left;
        return;
    }
    struct leaf **directory = table->root;
    size_t count = (size_t)1 << (table->depth - depth);
    size_t first = place_of(table, hash) & ~(count - 1);
    for (size_t i = 0; i < count; i++)
        directory[first + i] = i < count / 2 ? left : right;
}

static void grow(struct idmap *table, struct leaf *old, uint64_t hash, size_t slot_size)
{
    struct leaf *leaf = leaf_new(old->capacity * 2, old->depth, slot_size);
    for (size_t i = 0; i < old->capacity; i++)
        if (slot_at(old, i, slot_size)->value)
            put(leaf, slot_at(old, i, slot_size), slot_size);
    replace(table, hash, old->depth, leaf, leaf);
    mem_free(old);
}

static void double_directory(struct idmap *table)
{
    size_t count = (size_t)1 << table->depth;
    struct leaf **directory = mem_alloc(2 * count * sizeof(struct leaf *));
    struct leaf *only = table->root;
    struct leaf **old = table->depth ? table->root : &only;
    for (size_t i = 0; i < count; i++)
        directory[2 * i] = directory[2 * i + 1] = old[i];
    if (table->depth)
        mem_free(old);
    table->root = directory;
    table->depth++;
}

static void split(struct idmap *table, struct leaf *old, uint64_t hash, size_t slot_size)
{
    uint32_t depth = old->depth;
    if (depth == table->depth)
        double_directory(table);
    struct leaf *halves[2] = {leaf_new(old->capacity, depth + 1, slot_size),
                              leaf_new(old->capacity, depth + 1, slot_size)};
    for (size_t i = 0; i < old->capacity; i++) {
        const struct slot *slot = slot_at(old, i, slot_size);
        if (slot->value)
            put(halves[slot->hash >> (63 - depth) & 1], slot, slot_size);
    }
    replace(table, hash, depth, halves[0], halves[1]);
    mem_free(old);
}

/* The leaf for a hash, with room for one more. */
static struct leaf *make_room(struct idmap *table, uint64_t hash, size_t slot_size)
{
    if (!table->root)
        table->root = leaf_new(CAPACITY_MIN, 0, slot_size);
    for (;;) {
        struct leaf *leaf = leaf_of(table, hash);
        if ((leaf->count + 1) * 4 <= leaf->capacity * 3)
            return leaf;
        if (leaf->capacity < LEAF_MAX || leaf->depth == DEPTH_MAX)
            grow(table, leaf, hash, slot_size);
        else
            split(table, leaf, hash, slot_size);
    }
}

/* ---- shrinking ---- */

/* The leaf that this one was split from, or became by that; NULL: it was split again since. */
static struct leaf *sibling(const struct idmap *table, const struct leaf *leaf, uint64_t hash)
{
    struct leaf **directory = table->root;
    size_t last_bit = (size_t)1 << (table->depth - leaf->depth);
    struct leaf *other = directory[place_of(table, hash) ^ last_bit];
    return other->depth == leaf->depth ? other : NULL;
}

/* Puts what is in `from` into `to`, which has room. */
static void join(struct idmap *table, struct leaf *to, struct leaf *from, uint64_t hash,
                 size_t slot_size)
{
    for (size_t i = 0; i < from->capacity; i++)
        if (slot_at(from, i, slot_size)->value)
            put(to, slot_at(from, i, slot_size), slot_size);
    to->depth--;
    replace(table, hash, to->depth, to, to);
    mem_free(from);
}

/* One leaf is left. */
static void drop_directory(struct idmap *table, struct leaf *leaf)
{
    mem_free(table->root);
    table->root = leaf;
    table->depth = 0;
}

static void shrink(struct idmap *table, struct leaf *leaf, uint64_t hash, size_t slot_size)
{
    struct leaf *other;
    while (leaf->depth && (other = sibling(table, leaf, hash)) &&
           leaf->count + other->count <= LEAF_JOINED) {
        bool has_more = leaf->count >= other->count;
        struct leaf *to = has_more ? leaf : other;
        join(table, to, has_more ? other : leaf, hash, slot_size);
        leaf = to;
    }
    if (!leaf->depth)
        drop_directory(table, leaf);
}

/* ---- what all kinds do ---- */

INLINE struct slot *add(struct idmap *table, uint64_t hash, struct wanted wanted, void *value,
                        size_t slot_size)
{
    size_t at;
    struct leaf *leaf = make_room(table, hash, slot_size);
    struct slot *slot = probe(leaf, hash, wanted, slot_size, &at);
    assert(value && !slot->value);
    *slot = (struct slot){hash, value};
    leaf->count++;
    table->count++;
    return slot;
}

static void free_table(struct idmap *table)
{
    size_t count = table->depth ? (size_t)1 << table->depth : 0;
    struct leaf **directory = table->root;
    for (size_t i = 0; i < count;) {
        struct leaf *leaf = directory[i];
        i += (size_t)1 << (table->depth - leaf->depth);
        mem_free(leaf);
    }
    mem_free(table->root);
    idmap_init(table);
}

INLINE void *take(struct idmap *table, uint64_t hash, struct wanted wanted, size_t slot_size)
{
    if (table->count == 0)
        return NULL;
    size_t hole;
    struct leaf *leaf = leaf_of(table, hash);
    void *value = probe(leaf, hash, wanted, slot_size, &hole)->value;
    if (!value)
        return NULL;
    size_t mask = leaf->capacity - 1;
    struct slot *slot;
    for (size_t i = (hole + 1) & mask; (slot = slot_at(leaf, i, slot_size))->value;
         i = (i + 1) & mask) {
        size_t home = slot->hash & mask;
        if (((i - home) & mask) < ((i - hole) & mask))
            continue;
        memcpy(slot_at(leaf, hole, slot_size), slot, slot_size);
        hole = i;
    }
    memset(slot_at(leaf, hole, slot_size), 0, slot_size);
    leaf->count--;
    if (--table->count == 0)
        free_table(table);
    else if (leaf->depth && leaf->count <= LEAF_JOINED)
        shrink(table, leaf, hash, slot_size);
    return value;
}

/* *at is the place in the directory, and the slot in its leaf in the lower 32 bits. */
INLINE void *next(const struct idmap *table, uint64_t *at, size_t slot_size)
{
    if (!table->root)
        return NULL;
    while (*at >> 32 < (uint64_t)1 << table->depth) {
        uint64_t place = *at >> 32;
        struct leaf *leaf =
            table->depth ? ((struct leaf **)table->root)[place] : (struct leaf *)table->root;
        while ((uint32_t)*at < leaf->capacity) {
            void *value = slot_at(leaf, (uint32_t)*at, slot_size)->value;
            ++*at;
            if (value)
                return value;
        }
        *at = ((place | (((uint64_t)1 << (table->depth - leaf->depth)) - 1)) + 1) << 32;
    }
    return NULL;
}

/* The slot with the least hash above `hash` in a leaf; NULL: there is none. */
static const struct slot *find_above(struct leaf *leaf, uint64_t hash, size_t slot_size)
{
    const struct slot *least = NULL;
    for (size_t i = 0; i < leaf->capacity; i++) {
        const struct slot *slot = slot_at(leaf, i, slot_size);
        if (slot->value && slot->hash > hash && (!least || slot->hash < least->hash))
            least = slot;
    }
    return least;
}

/* Leaves are in the order of their hashes, and so is this walk, whatever becomes of them; *at is the
 * last hash. Chance gives no hash to two keys, nor 0 to one. */
static void *next_stable(const struct idmap *table, uint64_t *at, size_t slot_size)
{
    size_t leaves = (size_t)1 << table->depth;
    size_t place = table->depth ? place_of(table, *at) : 0;
    while (table->root && place < leaves) {
        struct leaf *leaf = table->depth ? ((struct leaf **)table->root)[place] : table->root;
        const struct slot *slot = find_above(leaf, *at, slot_size);
        if (slot) {
            *at = slot->hash;
            return slot->value;
        }
        place = (place | (((size_t)1 << (table->depth - leaf->depth)) - 1)) + 1;
    }
    return NULL;
}

/* Who walks looks at the values, each of which lies elsewhere in memory: it is asked for before its
 * turn, where its key is. */
INLINE void fetch_ahead(struct leaf *leaf, size_t at, size_t slot_size)
{
    if (at >= leaf->capacity)
        return;
    struct slot *slot = slot_at(leaf, at, slot_size);
    if (slot_size == sizeof(struct named_slot))
        __builtin_prefetch(((struct named_slot *)(void *)slot)->key.data);
    else
        __builtin_prefetch(slot->value);
}

/* The same for all values of the next leaf; *at is the end of what its hashes may be. */
INLINE bool each_of_part(const struct idmap *table, uint64_t *at, map_each *each, void *context,
                         size_t slot_size)
{
    size_t leaves = (size_t)1 << table->depth;
    if (!table->root)
        return false;
    size_t place = table->depth ? place_of(table, *at + (*at > 0)) : 0;
    struct leaf *leaf = table->depth ? ((struct leaf **)table->root)[place] : table->root;
    for (size_t i = 0; i < leaf->capacity; i++) {
        const struct slot *slot = slot_at(leaf, i, slot_size);
        fetch_ahead(leaf, i + SLOTS_AHEAD, slot_size);
        if (slot->value && slot->hash > *at)
            each(context, slot->value);
    }
    place = (place | (((size_t)1 << (table->depth - leaf->depth)) - 1)) + 1;
    if (place == leaves)
        return false;
    *at = ((uint64_t)place << (64 - table->depth)) - 1;
    return true;
}

/* ---- keys of bytes ---- */

static inline struct wanted by_key(const struct bytes *key)
{
    return (struct wanted){.key = key};
}

void map_init(struct map *map, uint64_t seed)
{
    *map = (struct map){.seed = seed};
}

void map_free(struct map *map)
{
    free_table(&map->table);
}

void *map_find(const struct map *map, struct bytes key)
{
    if (map->table.count == 0)
        return NULL;
    return find(&map->table, hash_bytes(key, map->seed), by_key(&key), sizeof(struct named_slot));
}

void map_add(struct map *map, struct bytes key, void *value)
{
    struct slot *slot = add(&map->table, hash_bytes(key, map->seed), by_key(&key), value,
                            sizeof(struct named_slot));
    ((struct named_slot *)(void *)slot)->key = key;
}

void *map_remove(struct map *map, struct bytes key)
{
    if (map->table.count == 0)
        return NULL;
    return take(&map->table, hash_bytes(key, map->seed), by_key(&key), sizeof(struct named_slot));
}

void *map_next(const struct map *map, uint64_t *at)
{
    return next(&map->table, at, sizeof(struct named_slot));
}

void *map_next_stable(const struct map *map, uint64_t *at)
{
    return next_stable(&map->table, at, sizeof(struct named_slot));
}

bool map_each_of_part(const struct map *map, uint64_t *at, map_each *each, void *context)
{
    return each_of_part(&map->table, at, each, context, sizeof(struct named_slot));
}

/* ---- keys that are numbers ---- */

static const struct wanted by_hash;

void idmap_init(struct idmap *map)
{
    *map = (struct idmap){0};
}

void idmap_free(struct idmap *map)
{
    free_table(map);
}

void *idmap_find(const struct idmap *map, uint64_t id)
{
    return find(map, hash_number(id), by_hash, sizeof(struct slot));
}

void idmap_add(struct idmap *map, uint64_t id, void *value)
{
    add(map, hash_number(id), by_hash, value, sizeof(struct slot));
}

void *idmap_remove(struct idmap *map, uint64_t id)
{
    return take(map, hash_number(id), by_hash, sizeof(struct slot));
}

void *idmap_next(const struct idmap *map, uint64_t *at)
{
    return next(map, at, sizeof(struct slot));
}

bool idmap_each_of_part(const struct idmap *map, uint64_t *at, map_each *each, void *context)
{
    return each_of_part(map, at, each, context, sizeof(struct slot));
}

/* ---- values that know their keys ---- */

static bool is_same(const void *value, const void *wanted)
{
    return value == wanted;
}

/* What is there already under the same hash is passed over. */
static bool is_nothing(const void *value, const void *wanted)
{
    (void)value;
    (void)wanted;
    return false;
}

void set_init(struct set *set)
{
    *set = (struct set){0};
}

void set_free(struct set *set)
{
    free_table(&set->table);
}

void *set_find(const struct set *set, uint64_t hash,
               bool (*is)(const void *value, const void *wanted), const void *wanted)
{
    struct wanted what = {.is = is, .argument = wanted};
    return find(&set->table, hash, what, sizeof(struct slot));
}

void set_add(struct set *set, uint64_t hash, void *value)
{
    struct wanted nothing = {.is = is_nothing};
    add(&set->table, hash, nothing, value, sizeof(struct slot));
}

void set_remove(struct set *set, uint64_t hash, const void *value)
{
    struct wanted what = {.is = is_same, .argument = value};
    void *taken = take(&set->table, hash, what, sizeof(struct slot));
    assert(taken == value);
    (void)taken;
}

void *set_next(const struct set *set, uint64_t *at)
{
    return next(&set->table, at, sizeof(struct slot));
}

bool set_each_of_part(const struct set *set, uint64_t *at, map_each *each, void *context)
{
    return each_of_part(&set->table, at, each, context, sizeof(struct slot));
}
