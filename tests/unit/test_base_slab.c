/* Blocks from the slab: they do not overlap, keep what is written, and their memory goes back.
 * (With AddressSanitizer the slab hands out blocks of the system; what is said about spans holds
 * anyway.) */
#include "base/slab.h"

#include <string.h>

#include "base/random.h"
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
    slab_trim(&slab, 2);
    ok(slab.spare_count <= 2, "trimmed");
    slab_free_all(&slab);
    ok(slab.spare_count == 0, "nothing is kept");
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
    slab_trim(&slab, 2);
    ok(slab.kept_bytes == 0 && list_is_empty(&slab.kept), "trimmed");
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

int main(void)
{
    RUN(random_blocks_stay_intact);
    RUN(large_blocks_are_kept_for_a_while);
    RUN(the_cost_is_near_the_size);
    RUN(a_span_that_was_full_serves_again);
    return done();
}
