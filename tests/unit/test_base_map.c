/* The hash tables, against plain arrays that are searched from end to end. */
#include "base/map.h"

#include <stdio.h>

#include "base/random.h"
#include "tests/lib/tap.h"

enum { KEYS = 600, STEPS = 60000 };

struct named {
    char name[16];
    size_t size;
    bool inside;
};

static struct bytes key_of(const struct named *named)
{
    return bytes_of(named->name, named->size);
}

static void make_names(struct named *all)
{
    for (int i = 0; i < KEYS; i++) {
        snprintf(all[i].name, sizeof(all[i].name), "q%d", i);
        all[i].size = strlen(all[i].name);
        all[i].inside = false;
    }
    all[0].size = 0; /* the empty name is a name */
}

static bool map_agrees(const struct map *map, struct named *all)
{
    size_t inside = 0, walked = 0;
    for (int i = 0; i < KEYS; i++) {
        inside += all[i].inside;
        if (map_find(map, key_of(&all[i])) != (all[i].inside ? &all[i] : NULL))
            return false;
    }
    const struct named *named;
    for (uint64_t at = 0; (named = map_next(map, &at)); walked++)
        if (!named->inside)
            return false;
    return map_count(map) == inside && walked == inside;
}

TEST(a_map_agrees_with_a_plain_array)
{
    static struct named all[KEYS];
    struct random random;
    struct map map;
    bool same = true;
    random_init(&random, 3);
    make_names(all);
    map_init(&map, random_next(&random));
    for (int step = 0; step < STEPS; step++) {
        /* The share of keys inside rises and falls, through every size of the table. */
        unsigned wave = (unsigned)step / (STEPS / 6) % 2;
        struct named *named = &all[random_below(&random, KEYS)];
        if (!named->inside && random_below(&random, 10) >= (wave ? 9u : 1u)) {
            map_add(&map, key_of(named), named);
            named->inside = true;
        } else if (random_below(&random, 10) < (wave ? 9u : 1u)) {
            same = same && map_remove(&map, key_of(named)) == (named->inside ? named : NULL);
            named->inside = false;
        }
        if (step % 500 == 0)
            same = same && map_agrees(&map, all);
    }
    ok(same && map_agrees(&map, all), "after %d steps", STEPS);
    map_free(&map);
    ok(!map.table.root && map_count(&map) == 0, "freed");
    ok(map_find(&map, bytes_str("q1")) == NULL, "and empty");
}

TEST(a_map_emptied_holds_no_memory)
{
    struct map map;
    int value = 0;
    map_init(&map, 1);
    ok(map_remove(&map, bytes_str("a")) == NULL, "nothing to remove at first");
    map_add(&map, bytes_str("a"), &value);
    ok(map_remove(&map, bytes_str("b")) == NULL, "another name is not there");
    ok(map_remove(&map, bytes_str("a")) == &value, "the name is removed");
    ok(map.table.root == NULL, "with the table");
}

TEST(keys_with_zero_bytes)
{
    struct map map;
    int one = 1, two = 2;
    map_init(&map, 1);
    map_add(&map, bytes_of("a\0b", 3), &one);
    map_add(&map, bytes_of("a\0c", 3), &two);
    ok(map_find(&map, bytes_of("a\0b", 3)) == &one, "the first");
    ok(map_find(&map, bytes_of("a\0c", 3)) == &two, "the second");
    ok(map_find(&map, bytes_of("a", 1)) == NULL, "what they begin with");
    map_free(&map);
}

struct numbered {
    uint64_t id;
    bool inside;
};

static bool idmap_agrees(const struct idmap *map, struct numbered *all)
{
    size_t inside = 0, walked = 0;
    for (int i = 0; i < KEYS; i++) {
        inside += all[i].inside;
        if (idmap_find(map, all[i].id) != (all[i].inside ? &all[i] : NULL))
            return false;
    }
    const struct numbered *numbered;
    for (uint64_t at = 0; (numbered = idmap_next(map, &at)); walked++)
        if (!numbered->inside)
            return false;
    return map->count == inside && walked == inside;
}

TEST(an_idmap_agrees_with_a_plain_array)
{
    static struct numbered all[KEYS];
    struct random random;
    struct idmap map;
    bool same = true;
    random_init(&random, 4);
    for (uint64_t i = 0; i < KEYS; i++)
        all[i].id = i < KEYS / 2 ? i : UINT64_MAX - (i << 32);
    idmap_init(&map);
    for (int step = 0; step < STEPS; step++) {
        unsigned wave = (unsigned)step / (STEPS / 6) % 2;
        struct numbered *numbered = &all[random_below(&random, KEYS)];
        if (!numbered->inside && random_below(&random, 10) >= (wave ? 9u : 1u)) {
            idmap_add(&map, numbered->id, numbered);
            numbered->inside = true;
        } else if (random_below(&random, 10) < (wave ? 9u : 1u)) {
            same = same && idmap_remove(&map, numbered->id) == (numbered->inside ? numbered : NULL);
            numbered->inside = false;
        }
        if (step % 500 == 0)
            same = same && idmap_agrees(&map, all);
    }
    ok(same && idmap_agrees(&map, all), "after %d steps", STEPS);
    idmap_free(&map);
    ok(idmap_find(&map, 0) == NULL && idmap_remove(&map, 0) == NULL, "freed and empty");
}

/* So few hashes that most values share theirs with others. */
static uint64_t poor_hash(const struct named *named)
{
    return (uint64_t)(uint8_t)named->name[named->size - 1] << 60 | named->size;
}

static bool is_called(const void *value, const void *wanted)
{
    return bytes_equal(key_of(value), key_of(wanted));
}

static bool set_agrees(const struct set *set, struct named *all)
{
    size_t inside = 0, walked = 0;
    for (int i = 0; i < KEYS; i++) {
        struct named same = all[i]; /* found by what it is called, not by where it lies */
        inside += all[i].inside;
        if (set_find(set, poor_hash(&same), is_called, &same) !=
            (all[i].inside ? &all[i] : NULL))
            return false;
    }
    const struct named *named;
    for (uint64_t at = 0; (named = set_next(set, &at)); walked++)
        if (!named->inside)
            return false;
    return set_count(set) == inside && walked == inside;
}

TEST(values_of_a_set_may_share_a_hash)
{
    static struct named all[KEYS];
    struct random random;
    struct set set;
    bool same = true;
    random_init(&random, 5);
    make_names(all);
    all[0].size = 2;
    set_init(&set);
    for (int step = 0; step < 4000; step++) {
        unsigned wave = (unsigned)step / 1000 % 2;
        struct named *named = &all[random_below(&random, KEYS)];
        uint64_t hash = poor_hash(named);
        if (!named->inside && random_below(&random, 10) >= (wave ? 9u : 1u)) {
            set_add(&set, hash, named);
            named->inside = true;
        } else if (named->inside && random_below(&random, 10) < (wave ? 9u : 1u)) {
            set_remove(&set, hash, named);
            named->inside = false;
        }
        if (step % 200 == 0)
            same = same && set_agrees(&set, all);
    }
    ok(same && set_agrees(&set, all), "each is found by its name");
    set_free(&set);
    ok(!set.table.root && set_count(&set) == 0, "freed");
}

/* Every size from nothing to tens of thousands and back, so that leaves are split and directories doubled
 * many times. */
TEST(large_tables)
{
    enum { MANY = 50000 };
    static struct named names[MANY];
    struct map map;
    struct idmap ids;
    bool same = true;
    map_init(&map, 7);
    idmap_init(&ids);
    for (int i = 0; i < MANY; i++) {
        names[i].size = (size_t)snprintf(names[i].name, sizeof(names[i].name), "n%d", i);
        map_add(&map, key_of(&names[i]), &names[i]);
        idmap_add(&ids, (uint64_t)i * 4096, &names[i]);
        same &= map_find(&map, key_of(&names[i / 2])) == &names[i / 2];
        same &= idmap_find(&ids, (uint64_t)(i / 2) * 4096) == &names[i / 2];
        same &= !idmap_find(&ids, (uint64_t)i * 4096 + 1);
    }
    ok(same, "what was added is found");
    size_t walked = 0;
    for (uint64_t at = 0; map_next(&map, &at);)
        walked++;
    for (uint64_t at = 0; idmap_next(&ids, &at);)
        walked++;
    is_int(walked, 2 * MANY, "a walk comes to each once");
    for (int i = 0; i < MANY; i += 2)
        same &= map_remove(&map, key_of(&names[i])) == &names[i] &&
                idmap_remove(&ids, (uint64_t)i * 4096) == &names[i];
    for (int i = 0; i < MANY; i++)
        same &= map_find(&map, key_of(&names[i])) == (i % 2 ? &names[i] : NULL) &&
                idmap_find(&ids, (uint64_t)i * 4096) == (i % 2 ? &names[i] : NULL);
    ok(same, "what was removed is not found, and the rest is");
    for (int i = 1; i < MANY; i += 2)
        same &= idmap_remove(&ids, (uint64_t)i * 4096) == &names[i];
    ok(same, "the rest is removed");
    ok(ids.count == 0 && !ids.root, "until it is empty");
    map_free(&map);
    ok(!map.table.root, "freed");
}

/* The memory that one call of map_add touches must not depend on the size of the table. Seen from outside:
 * the values that have moved. */
static uint64_t slots_taken(const struct idmap *map, uint64_t *places, const struct named *values,
                            size_t count)
{
    uint64_t moved = 0, at = 0;
    for (const struct named *value; (value = idmap_next(map, &at));) {
        moved += places[value - values] != at && (size_t)(value - values) < count;
        places[value - values] = at;
    }
    return moved;
}

TEST(tables_grow_in_parts)
{
    enum { MANY = 3000 };
    static struct named values[MANY];
    static uint64_t places[MANY];
    struct idmap map;
    uint64_t most = 0;
    uint32_t last_depth = 0;
    idmap_init(&map);
    for (size_t i = 0; i < MANY; i++) {
        idmap_add(&map, i, &values[i]);
        uint64_t moved = slots_taken(&map, places, values, i);
        if (map.depth == last_depth && moved > most)
            most = moved; /* a directory that doubles gives all of them other places */
        last_depth = map.depth;
    }
    ok(most > 0 && most <= 256, "at most %d of %d values move at once", (int)most, MANY);
    idmap_free(&map);
}

/* So that the last one to go does not take with it what all of them needed. */
TEST(tables_shrink_in_parts)
{
    enum { MANY = 3000 };
    static struct named values[MANY];
    static uint64_t places[MANY];
    struct idmap map;
    uint64_t most = 0, left = 0;
    uint32_t depth = 0;
    bool same = true;
    idmap_init(&map);
    for (size_t i = 0; i < MANY; i++)
        idmap_add(&map, i, &values[i]);
    ok(map.depth > 3, "there are many leaves");
    slots_taken(&map, places, values, MANY);
    for (size_t i = 0; i < MANY - 1; i++) {
        depth = map.depth;
        same &= idmap_remove(&map, i) == &values[i] && !idmap_find(&map, i) &&
                idmap_find(&map, MANY - 1) == &values[MANY - 1];
        uint64_t moved = slots_taken(&map, places, values, MANY);
        if (map.depth == depth && moved > most)
            most = moved;
        left = map.depth ? map.count : left;
    }
    ok(same, "each is found until it is removed");
    ok(most <= 256, "at most %d of %d values move at once", (int)most, MANY);
    ok(map.depth == 0 && left > 10 && left < 100, "the last %d are in one leaf", (int)left);
    idmap_free(&map);
}

/* As who empties a table over many turns does: what is found is taken out, and the walk goes on there. */
TEST(a_walk_may_take_out_what_it_finds)
{
    enum { MANY = 20000 };
    static struct named values[MANY];
    struct idmap map;
    uint64_t place = 0, passes = 0, first = 0, found = 0;
    idmap_init(&map);
    for (size_t i = 0; i < MANY; i++)
        idmap_add(&map, i, &values[i]);
    while (map.count) {
        uint64_t at = place;
        struct named *value = idmap_next(&map, &at);
        place = value ? at - 1 : 0;
        passes += !value;
        first = passes == 1 && !value ? found : first;
        found += value && idmap_remove(&map, (uint64_t)(value - values)) == value;
    }
    is_int(found, MANY, "all of them are");
    ok(passes < 4 && (!passes || first > MANY - 200), "in %d walks, %d in the first",
       (int)passes + 1, (int)(passes ? first : found));
}

/* A third is there all the time, a third comes while the others are walked, a third goes. */
/* What changes between two steps of a walk. */
static void change_map(struct map *map, struct named *all, size_t count, size_t step)
{
    for (size_t more = step; more < step + 9; more++)
        if (more < count && more % 3 == 0 && !all[more].inside) {
            map_add(map, key_of(&all[more]), &all[more]);
            all[more].inside = true;
        }
    if (step < count && map_remove(map, key_of(&all[count - 1 - step])))
        all[count - 1 - step].inside = false;
}

struct finds {
    struct named *all;
    unsigned *found;
};

static void note_found(void *context, void *value)
{
    struct finds *finds = context;
    finds->found[(struct named *)value - finds->all]++;
}

static void walk_in_change(struct map *map, struct named *all, size_t count, unsigned *found,
                           bool in_parts)
{
    struct finds finds = {all, found};
    struct named *named;
    uint64_t at = 0;
    for (size_t i = 0; i < count; i++)
        if (i % 3)
            map_add(map, key_of(&all[i]), &all[i]);
    size_t step = 0;
    for (; in_parts && map_each_of_part(map, &at, note_found, &finds); step += 3)
        change_map(map, all, count, step);
    for (; !in_parts && (named = map_next_stable(map, &at)); step += 3) {
        note_found(&finds, named);
        change_map(map, all, count, step);
    }
}

static void walks_find_what_stays(size_t few, bool in_parts)
{
    enum { MANY = 6000 };
    static struct named all[MANY];
    static unsigned found[MANY];
    struct map map;
    size_t missed = 0, twice = 0;
    memset(found, 0, sizeof(found));
    memset(all, 0, sizeof(all));
    map_init(&map, few);
    for (size_t i = 0; i < few; i++) {
        snprintf(all[i].name, sizeof(all[i].name), "q%zu", i);
        all[i].size = strlen(all[i].name);
        all[i].inside = i % 3;
    }
    walk_in_change(&map, all, few, found, in_parts);
    for (size_t i = 0; i < few; i++) {
        missed += i % 3 && all[i].inside && found[i] == 0;
        twice += found[i] > 1;
    }
    ok(missed == 0 && twice == 0, "of %zu, which change, each that stays once%s", few,
       in_parts ? ", some at once" : "");
    map_free(&map);
}

TEST(a_stable_walk_finds_what_stays)
{
    for (size_t few = 6; few <= 6000; few *= 10) {
        walks_find_what_stays(few, false);
        walks_find_what_stays(few, true);
    }
    struct map empty;
    uint64_t at = 0;
    map_init(&empty, 1);
    ok(!map_next_stable(&empty, &at) && !map_each_of_part(&empty, &at, note_found, NULL),
       "of none, none");
}

int main(void)
{
    RUN(a_map_agrees_with_a_plain_array);
    RUN(a_map_emptied_holds_no_memory);
    RUN(keys_with_zero_bytes);
    RUN(an_idmap_agrees_with_a_plain_array);
    RUN(values_of_a_set_may_share_a_hash);
    RUN(large_tables);
    RUN(tables_grow_in_parts);
    RUN(tables_shrink_in_parts);
    RUN(a_walk_may_take_out_what_it_finds);
    RUN(a_stable_walk_finds_what_stays);
    return done();
}
