/* Blocks from the slab: they do not overlap, keep what is written, and their memory goes back.
 * (With AddressSanitizer the slab hands out blocks of the system; what is said about spans holds
 * anyway.) */
#include "base/slab.h"

#include <string.h>

#include "base/random.h"
#include "tests/lib/spans.h"
#include "tests/lib/tap.h"

enum { BLOCKS = 4000 };

struct block {
    uint8_t *data; /* NULL: free */
    size_t size;
    uint8_t mark;
};

static bool is_intact(const struct block *block)
{
    for (size_t i = 0; i < block->size; i++)
        if (block->data[i] != block->mark)
            return false;
    return true;
}

static void take(struct slab *slab, struct block *block, size_t size, uint8_t mark)
{
    *block = (struct block){slab_alloc(slab, size), size, mark};
    memset(block->data, mark, size);
}

static bool give(struct slab *slab, struct block *block)
{
    bool intact = is_intact(block);
    slab_free(slab, block->data, block->size);
    block->data = NULL;
    return intact;
}

static size_t cost_of_all(const struct block *blocks)
{
    size_t cost = 0;
    for (int i = 0; i < BLOCKS; i++)
        cost += blocks[i].data ? slab_cost(blocks[i].size) : 0;
    return cost;
}

static void age_twice(struct slab *slab)
{
    slab_age(slab);
    slab_age(slab);
}

/* Returns the number of pieces. */
static int give_all(struct slab *slab)
{
    int pieces = 0;
    while (slab_give(slab))
        pieces++;
    return pieces;
}

TEST(random_blocks_stay_intact)
{
    static struct block blocks[BLOCKS];
    struct random random;
    struct slab slab;
    bool intact = true, aligned = true;
    random_init(&random, 6);
    slab_init(&slab);
    for (int step = 0; step < 60000; step++) {
        struct block *block = &blocks[random_below(&random, BLOCKS)];
        size_t size = random_below(&random, random_below(&random, 50) ? 700 : 20000);
        if (block->data) {
            intact = give(&slab, block) && intact;
        } else {
            take(&slab, block, size, (uint8_t)step);
            aligned = aligned && (uintptr_t)block->data % 16 == 0;
        }
    }
    ok(intact, "no block was written by another");
    ok(aligned, "all are aligned to 16");
    ok(slab.used_bytes == cost_of_all(blocks), "what is in use is counted");
    for (int i = 0; i < BLOCKS; i++)
        if (blocks[i].data)
            intact = give(&slab, &blocks[i]) && intact;
    ok(intact && slab.used_bytes == 0, "all given back");
    slab_free_all(&slab);
    ok(!slab_has_spare(&slab) && !slab_has_to_give(&slab), "nothing is kept");
}

TEST(large_blocks_are_kept_for_a_while)
{
    enum { LARGE = 150000, MANY = 40 };
    struct block blocks[MANY];
    struct slab slab;
    bool intact = true;
    slab_init(&slab);
    for (int i = 0; i < MANY; i++)
        take(&slab, &blocks[i], LARGE * (1 + (size_t)i % 7), (uint8_t)i);
    for (int i = 0; i < MANY; i++)
        intact = give(&slab, &blocks[i]) && intact;
    ok(intact && slab.used_bytes == 0, "they keep what is written");
    ok(slab.kept_bytes <= 16 << 20, "%zu bytes are kept", slab.kept_bytes);
    size_t before = slab.kept_bytes;
    take(&slab, &blocks[0], LARGE * 4 - 1000, 1);
    take(&slab, &blocks[1], 200 << 20, 2);
    ok(slab.kept_bytes == 0 || slab.kept_bytes < before, "one is used again");
    intact = give(&slab, &blocks[0]) && give(&slab, &blocks[1]);
    ok(intact && slab.kept_bytes == before, "and the largest are not kept");
    age_twice(&slab);
    ok(slab.kept_bytes == 0 && list_is_empty(&slab.kept), "none for ever");
    give_all(&slab);
    slab_free_all(&slab);
}

TEST(the_largest_go_in_pieces)
{
    enum { SIZE = 64 << 20 };
    struct slab slab;
    slab_init(&slab);
    slab_free(&slab, slab_alloc(&slab, SIZE), SIZE);
    is_int(slab.used_bytes, 0, "it is free at once");
    is_int(give_all(&slab), spans_are_used() ? SIZE / SLAB_PIECE : 0, "and goes piece by piece");
    slab_free_all(&slab);
}

TEST(memory_goes_back_when_it_was_not_needed)
{
    enum { SIZE = 1000, PER_PIECE = SLAB_PIECE / SIZE };
    static struct block blocks[BLOCKS * 3];
    struct slab slab;
    slab_init(&slab);
    if (!spans_are_used()) {
        skip(5, "blocks are the system's");
        return;
    }
    for (int i = 0; i < BLOCKS * 3; i++)
        take(&slab, &blocks[i], SIZE, (uint8_t)i);
    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < BLOCKS; i++)
            give(&slab, &blocks[i]);
        slab_age(&slab);
        for (int i = 0; i < BLOCKS; i++)
            take(&slab, &blocks[i], SIZE, (uint8_t)i);
        slab_age(&slab);
    }
    ok(!slab_has_to_give(&slab), "what is used again and again is not given back");
    for (int i = 0; i < BLOCKS * 3; i++)
        give(&slab, &blocks[i]);
    slab_age(&slab);
    ok(!slab_has_to_give(&slab), "nor what has just become free");
    slab_age(&slab);
    ok(slab_has_to_give(&slab), "but what stayed free for a while");
    int pieces = give_all(&slab);
    ok(pieces >= BLOCKS * 3 / PER_PIECE && pieces <= BLOCKS * 3 / PER_PIECE + 2, "in pieces: %d",
       pieces);
    ok(!slab_has_spare(&slab), "and all of it");
    slab_free_all(&slab);
}

/* Every eighth block stays: hardly a span is empty as a whole, and what is empty lies between others. */
TEST(what_lies_between_is_given_back_as_well)
{
    enum { SIZE = 20000 };
    static struct block blocks[BLOCKS];
    struct slab slab;
    bool intact = true;
    slab_init(&slab);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < BLOCKS; i++)
            if (!blocks[i].data)
                take(&slab, &blocks[i], i < BLOCKS / 2 ? SIZE : SIZE / 10, (uint8_t)(i + round));
        for (int i = 0; i < BLOCKS; i++)
            if (i / 100 % 3 != round)
                intact = give(&slab, &blocks[i]) && intact;
        age_twice(&slab);
        give_all(&slab);
        ok(!slab_has_spare(&slab), "nothing is left to give");
    }
    for (int i = 0; i < BLOCKS; i++)
        if (blocks[i].data)
            intact = give(&slab, &blocks[i]) && intact;
    ok(intact, "what stays is not touched");
    slab_free_all(&slab);
}

TEST(the_cost_is_near_the_size)
{
    bool enough = true, near = true, rising = true;
    for (size_t size = 1; size < 30000; size++) {
        size_t cost = slab_cost(size);
        enough = enough && cost >= size;
        near = near && cost <= size + size / 4 + 32;
        rising = rising && cost >= slab_cost(size - 1);
    }
    ok(enough, "never less");
    ok(near, "at most a quarter and 32 bytes more");
    ok(rising, "larger blocks cost no less");
    ok(slab_cost(0) > 0, "even an empty block costs something");
}

TEST(a_span_that_was_full_serves_again)
{
    static struct block blocks[BLOCKS];
    struct slab slab;
    bool intact = true;
    slab_init(&slab);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < BLOCKS; i++)
            take(&slab, &blocks[i], 48, (uint8_t)i);
        for (int i = 0; i < BLOCKS; i += 2)
            intact = give(&slab, &blocks[i]) && intact;
        for (int i = 0; i < BLOCKS; i += 2)
            take(&slab, &blocks[i], 48, (uint8_t)(i + 1));
        for (int i = BLOCKS - 1; i >= 0; i--)
            intact = give(&slab, &blocks[i]) && intact;
    }
    ok(intact, "filled, half emptied, filled, emptied, three times");
    ok(slab.used_bytes == 0, "nothing is in use");
    slab_free_all(&slab);
}

TEST(a_block_grows_with_what_is_in_it)
{
    static const size_t sizes[] = {100, 5000, 70000, 1 << 20, 3 << 20, 40 << 20, 90 << 20, 200};
    struct slab slab;
    size_t size = 50;
    bool intact = true;
    slab_init(&slab);
    uint8_t *block = slab_alloc(&slab, size);
    memset(block, 7, size);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        block = slab_resize(&slab, block, size, sizes[i]);
        size_t kept = size < sizes[i] ? size : sizes[i];
        intact &= block[0] == 7 && !memcmp(block, block + 1, kept - 1);
        size = sizes[i];
        memset(block, 7, size);
        is_int(slab.used_bytes, slab_cost(size), "%zu bytes count for what they take", size);
    }
    ok(intact, "what was in it is there");
    slab_free(&slab, block, size);
    slab_free_all(&slab);
}

/* Blocks of whole pages that are filled side by side would else need their next page all at once. */
TEST(blocks_begin_at_many_places_of_a_page)
{
    enum { PAGE = 4096, MANY = 2000, SIZE = 64 << 10 };
    static uint8_t *blocks[MANY];
    static int at[PAGE];
    struct slab slab;
    int most = 0;
    slab_init(&slab);
    if (!spans_are_used()) {
        skip(1, "blocks are the system's");
        return;
    }
    for (int i = 0; i < MANY; i++) {
        blocks[i] = slab_alloc(&slab, SIZE);
        int same = ++at[(uintptr_t)blocks[i] % PAGE];
        most = same > most ? same : most;
    }
    ok(most <= MANY / 32, "of %d blocks of 16 pages %d begin at the same place of one", MANY, most);
    for (int i = 0; i < MANY; i++)
        slab_free(&slab, blocks[i], SIZE);
    slab_free_all(&slab);
}

int main(void)
{
    RUN(blocks_begin_at_many_places_of_a_page);
    RUN(random_blocks_stay_intact);
    RUN(large_blocks_are_kept_for_a_while);
    RUN(the_largest_go_in_pieces);
    RUN(memory_goes_back_when_it_was_not_needed);
    RUN(what_lies_between_is_given_back_as_well);
    RUN(the_cost_is_near_the_size);
    RUN(a_span_that_was_full_serves_again);
    RUN(a_block_grows_with_what_is_in_it);
    return done();
}
