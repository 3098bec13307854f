/* A chunk of an index: its bits, how it grows, and the blob that its entries become. */
#include "store/chunk.h"

#include "base/mem.h"
#include "base/random.h"
#include "base/slab.h"
#include "tests/lib/tap.h"

enum { SLOTS = 150 };

/* Some entries of all kinds; one in five was settled. */
static struct chunk *new_chunk(struct slab *slab)
{
    struct random random;
    struct chunk *chunk = chunk_new(slab, 7, 1000, SLOTS);
    random_init(&random, 5);
    for (uint32_t i = 0; i < SLOTS; i++) {
        chunk->slots++;
        chunk->entries[i] =
            (struct entry){.segment = 3 + i / 40 * (i / 40 % 2 ? 1 : 70000),
                           .offset = (uint32_t)random_below(&random, UINT32_MAX),
                           .size = i % 11 ? 100 + i : UINT32_MAX,
                           .body_size = i % 11 ? i : UINT32_MAX - 200,
                           .destinations = i % 7 ? 1 : 1 + i,
                           .expires_ms = i % 6 ? 0 : 1700000000000 + i,
                           .priority = i % 8 ? 0 : (uint8_t)i,
                           .flags = (uint8_t)(i % 3 ? ENTRY_RECORDED : ENTRY_PAGED)};
        if (i % 5 == 4)
            continue;
        bit_set(chunk->live_bits, i);
        chunk->live++;
    }
    return chunk;
}

static bool is_same(const struct entry *a, const struct entry *b)
{
    return a->segment == b->segment && a->offset == b->offset && a->size == b->size &&
           a->destinations == b->destinations && a->expires_ms == b->expires_ms &&
           a->body_size == b->body_size && a->priority == b->priority && a->flags == b->flags;
}

/* How many entries are not as they should be. */
static unsigned differences(struct slab *slab, const struct chunk *chunk, struct bytes blob,
                            bool recorded_only)
{
    struct entry *entries = entries_new(slab, SLOTS);
    uint64_t *present = bits_new(slab, SLOTS);
    unsigned wrong = chunk_decode(blob, entries, SLOTS, present) ? 0 : 1000;
    for (uint32_t i = 0; i < SLOTS; i++) {
        bool wanted = bit_get(chunk->live_bits, i) &&
                      (!recorded_only || chunk->entries[i].flags & ENTRY_RECORDED);
        wrong += bit_get(present, i) != wanted;
        wrong += wanted && !is_same(&chunk->entries[i], &entries[i]);
    }
    entries_free(slab, entries, SLOTS);
    bits_free(slab, present, SLOTS);
    return wrong;
}

TEST(a_blob_has_what_is_live)
{
    struct slab slab;
    struct buffer blob = {0};
    slab_init(&slab);
    struct chunk *chunk = new_chunk(&slab);
    chunk_encode(chunk, false, &blob);
    is_int(differences(&slab, chunk, buffer_bytes(&blob), false), 0, "all that is live, as it was");
    blob.size = 0;
    chunk_encode(chunk, true, &blob);
    is_int(differences(&slab, chunk, buffer_bytes(&blob), true), 0, "or what survives of it");
    ok(differences(&slab, chunk, buffer_bytes(&blob), false) > 0, "which is less");
    buffer_free(&blob);
    chunk_free(&slab, chunk);
    slab_free_all(&slab);
}

TEST(neighbours_in_the_journal_are_small)
{
    struct slab slab;
    struct buffer blob = {0};
    slab_init(&slab);
    struct chunk *chunk = chunk_new(&slab, 7, 0, SLOTS);
    for (uint32_t i = 0; i < SLOTS; i++) {
        chunk->entries[i] = (struct entry){.segment = 900000,
                                           .offset = 5000000 + i * 120,
                                           .size = 120,
                                           .body_size = 20,
                                           .destinations = 1,
                                           .flags = ENTRY_RECORDED};
        bit_set(chunk->live_bits, i);
    }
    chunk->slots = chunk->live = SLOTS;
    chunk_encode(chunk, false, &blob);
    ok(blob.size < SLOTS * 9, "%zu bytes for %d entries", blob.size, SLOTS);
    buffer_free(&blob);
    chunk_free(&slab, chunk);
    slab_free_all(&slab);
}

TEST(a_blob_that_is_cut_in_an_entry_is_refused)
{
    struct slab slab;
    struct buffer blob = {0};
    slab_init(&slab);
    struct chunk *chunk = new_chunk(&slab);
    struct entry *entries = entries_new(&slab, SLOTS);
    uint64_t *present = bits_new(&slab, SLOTS);
    unsigned taken = 0;
    chunk_encode(chunk, false, &blob);
    for (size_t size = 0; size < blob.size; size++) {
        /* A copy, so that a sanitizer sees who reads on. */
        uint8_t *cut = mem_dup(blob.data, size ? size : 1);
        taken += chunk_decode(bytes_of(cut, size), entries, SLOTS, present);
        mem_free(cut);
    }
    is_int(taken, chunk->live, "of %zu cuts those that end between two entries are not seen",
           blob.size);
    ok(!chunk_decode(buffer_bytes(&blob), entries, SLOTS - 2, present),
       "more slots than there are");
    blob.data[0]++;
    ok(!chunk_decode(buffer_bytes(&blob), entries, SLOTS, present), "of another version");
    blob.data[0]--;
    buffer_add_u8(&blob, 0);
    ok(!chunk_decode(buffer_bytes(&blob), entries, SLOTS, present), "with something behind it");
    entries_free(&slab, entries, SLOTS);
    bits_free(&slab, present, SLOTS);
    buffer_free(&blob);
    chunk_free(&slab, chunk);
    slab_free_all(&slab);
}

TEST(it_grows_with_what_it_holds)
{
    struct slab slab;
    slab_init(&slab);
    struct chunk *chunk = chunk_new(&slab, 7, 0, 16);
    for (uint32_t i = 0; i < 16; i++) {
        chunk->entries[i] = (struct entry){.segment = i, .destinations = 1};
        chunk->slots++;
        if (i % 3)
            bit_set(chunk->live_bits, i);
        if (i % 2)
            bit_set(chunk->ready_bits, i);
    }
    static const uint32_t capacities[] = {32, 64, 128, 1000};
    for (int at = 0; at < 4; at++) {
        unsigned wrong = 0;
        chunk_grow(&slab, chunk, capacities[at]);
        for (uint32_t i = 0; i < capacities[at]; i++) {
            wrong += bit_get(chunk->live_bits, i) != (i < 16 && i % 3);
            wrong += bit_get(chunk->ready_bits, i) != (i < 16 && i % 2);
            wrong += i < 16 && chunk->entries[i].segment != i;
        }
        is_int(wrong, 0, "all is there with room for %u", capacities[at]);
    }
    is_int(chunk_cost(chunk), 1000 * sizeof(struct entry), "what it costs");
    chunk_free(&slab, chunk);
    slab_free_all(&slab);
}

TEST(a_cold_one_has_bits_alone)
{
    struct slab slab;
    slab_init(&slab);
    struct chunk *chunk = chunk_cold(&slab, 7, 64, 100);
    ok(!chunk->entries && chunk_cost(chunk) == 0, "no entries");
    is_int(bit_next(chunk->live_bits, 0, 100), 100, "nothing is live yet");
    bit_set(chunk->live_bits, 99);
    is_int(bit_next(chunk->live_bits, 0, 100), 99, "the last one is");
    is_int(bit_next(chunk->live_bits, 0, 99), 99, "which is behind the limit");
    bit_clear(chunk->live_bits, 99);
    is_int(bit_next(chunk->live_bits, 0, 100), 100, "and is not any more");
    chunk_free(&slab, chunk);
    slab_free_all(&slab);
}

TEST(sequence_numbers_may_be_far_apart)
{
    struct chunk chunk = {.base = 1000, .slots = 50};
    is_int(chunk_slot(&chunk, 999), 50, "before it");
    is_int(chunk_slot(&chunk, 1000), 0, "its first");
    is_int(chunk_slot(&chunk, 1049), 49, "its last");
    is_int(chunk_slot(&chunk, 1050), 50, "behind it");
    is_int(chunk_slot(&chunk, 1000 + ((uint64_t)1 << 32)), 50, "as far as 32 bits reach");
    is_int(chunk_slot(&chunk, 1010 + ((uint64_t)1 << 32)), 50, "and a little more");
    is_int(chunk_below(&chunk, UINT64_MAX, 50), 50, "all are below the largest");
}

int main(void)
{
    RUN(a_blob_has_what_is_live);
    RUN(neighbours_in_the_journal_are_small);
    RUN(a_blob_that_is_cut_in_an_entry_is_refused);
    RUN(it_grows_with_what_it_holds);
    RUN(a_cold_one_has_bits_alone);
    RUN(sequence_numbers_may_be_far_apart);
    return done();
}
