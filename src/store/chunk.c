/* A blob is: version (2), then to its end for each live entry the distance of its
 * slot from the one before, its flags, its place as segment and offset relative to the entry before
 * (zigzag varints: neighbours in a queue are mostly neighbours in the journal), size, how much of
 * that is not body, and what is not usual: destinations other than one, expiry, priority. Version 1
 * did not say how large the body is: the whole record counts as it, until it is read. Earlier ones
 * had a count of returns there, which is passed over. */
#include "store/chunk.h"

#include <assert.h>

#include "base/mem.h"

enum { BLOB_FIRST_VERSION = 1, BLOB_VERSION = 2, PREFETCH = 16, ENTRY_MAX = 64 };

/* What follows in an entry of a blob; above the flags that are stored as they are. */
enum { HAS_DESTINATIONS = 16, HAS_EXPIRY = 32, HAS_PRIORITY = 64, HAD_COUNT = 128 };

static size_t words(uint32_t slots)
{
    return (slots + 63) / 64;
}

uint64_t *bits_new(struct slab *slab, uint32_t slots)
{
    return memset(slab_alloc(slab, words(slots) * 8), 0, words(slots) * 8);
}

void bits_free(struct slab *slab, uint64_t *bits, uint32_t slots)
{
    if (bits)
        slab_free(slab, bits, words(slots) * 8);
}

struct entry *entries_new(struct slab *slab, uint32_t slots)
{
    return memset(slab_alloc(slab, slots * sizeof(struct entry)), 0, slots * sizeof(struct entry));
}

void entries_free(struct slab *slab, struct entry *entries, uint32_t slots)
{
    if (entries)
        slab_free(slab, entries, slots * sizeof(struct entry));
}

static struct chunk *new_bare(struct slab *slab, uint64_t queue_id, uint64_t base,
                              uint32_t capacity)
{
    struct chunk *chunk = slab_alloc(slab, sizeof(*chunk));
    *chunk = (struct chunk){.queue_id = queue_id, .base = base, .capacity = capacity};
    bool are_few = words(capacity) == 1;
    chunk->live_bits = are_few ? &chunk->few_bits[0] : bits_new(slab, capacity);
    chunk->ready_bits = are_few ? &chunk->few_bits[1] : bits_new(slab, capacity);
    list_init(&chunk->changed_link);
    list_init(&chunk->cache_link);
    list_init(&chunk->bodies_link);
    return chunk;
}

struct chunk *chunk_new(struct slab *slab, uint64_t queue_id, uint64_t base, uint32_t capacity)
{
    struct chunk *chunk = new_bare(slab, queue_id, base, capacity);
    chunk->entries = slab_alloc(slab, capacity * sizeof(*chunk->entries));
    chunk->is_stale = true;
    return chunk;
}

struct chunk *chunk_cold(struct slab *slab, uint64_t queue_id, uint64_t base, uint32_t slots)
{
    struct chunk *chunk = new_bare(slab, queue_id, base, slots);
    chunk->slots = slots;
    return chunk;
}

/* Those of few slots lie in the chunk itself. */
static void free_bits(struct slab *slab, const struct chunk *chunk, uint64_t *bits)
{
    if (bits != &chunk->few_bits[0] && bits != &chunk->few_bits[1])
        bits_free(slab, bits, chunk->capacity);
}

static uint64_t *grow_bits(struct slab *slab, const struct chunk *chunk, uint64_t *bits,
                           uint32_t to)
{
    if (!bits || words(chunk->capacity) == words(to))
        return bits;
    uint64_t *grown = bits_new(slab, to);
    memcpy(grown, bits, words(chunk->capacity) * 8);
    free_bits(slab, chunk, bits);
    return grown;
}

void chunk_grow(struct slab *slab, struct chunk *chunk, uint32_t to)
{
    uint32_t from = chunk->capacity;
    struct entry *entries = slab_alloc(slab, to * sizeof(*entries));
    memcpy(entries, chunk->entries, from * sizeof(*entries));
    entries_free(slab, chunk->entries, from);
    chunk->entries = entries;
    chunk->live_bits = grow_bits(slab, chunk, chunk->live_bits, to);
    chunk->ready_bits = grow_bits(slab, chunk, chunk->ready_bits, to);
    chunk->recorded_bits = grow_bits(slab, chunk, chunk->recorded_bits, to);
    chunk->capacity = to;
}

void chunk_free(struct slab *slab, struct chunk *chunk)
{
    list_remove(&chunk->changed_link);
    list_remove(&chunk->cache_link);
    list_remove(&chunk->bodies_link);
    entries_free(slab, chunk->entries, chunk->capacity);
    free_bits(slab, chunk, chunk->live_bits);
    free_bits(slab, chunk, chunk->ready_bits);
    bits_free(slab, chunk->recorded_bits, chunk->capacity);
    bits_free(slab, chunk->ended_bits, chunk->capacity);
    returns_free(slab, &chunk->returns);
    slab_free(slab, chunk, sizeof(*chunk));
}

size_t chunk_cost(const struct chunk *chunk)
{
    return chunk->entries ? chunk->capacity * sizeof(*chunk->entries) : 0;
}

void chunk_weigh(const struct chunk *chunk, uint64_t *ready, uint64_t *taken)
{
    uint64_t sums[2] = {0};
    for (size_t word = 0; word < words(chunk->slots); word++)
        for (uint64_t left = chunk->live_bits[word]; left; left &= left - 1) {
            unsigned bit = (unsigned)__builtin_ctzll(left);
            sums[chunk->ready_bits[word] >> bit & 1] += chunk->entries[word * 64 + bit].body_size;
        }
    *taken = sums[0];
    *ready = sums[1];
}

static uint8_t extras(const struct entry *entry)
{
    return (uint8_t)((entry_destinations(entry) != 1 ? HAS_DESTINATIONS : 0) |
                     (entry->expires_ms ? HAS_EXPIRY : 0) | (entry->priority ? HAS_PRIORITY : 0));
}

static uint8_t *put_varint(uint8_t *at, uint64_t value)
{
    for (; value >= 0x80; value >>= 7)
        *at++ = (uint8_t)(value | 0x80);
    *at++ = (uint8_t)value;
    return at;
}

/* Room is taken once for all of it: a checkpoint encodes a million of these in a turn. */
static void encode_entry(struct buffer *blob, uint64_t distance, const struct entry *entry,
                         struct place *before)
{
    struct place place = entry_place(entry);
    uint8_t flags = (uint8_t)((entry->flags & ~ENTRY_MESSAGE) | extras(entry));
    uint8_t *start = buffer_room(blob, ENTRY_MAX);
    uint8_t *at = put_varint(start, distance);
    *at++ = flags;
    at = put_varint(at, zigzag((int64_t)place.segment - before->segment));
    at = put_varint(at, zigzag((int64_t)place.offset - before->offset - before->size));
    at = put_varint(at, place.size);
    at = put_varint(at, place.size - entry->body_size);
    if (flags & HAS_DESTINATIONS)
        at = put_varint(at, entry_destinations(entry));
    if (flags & HAS_EXPIRY)
        at = put_varint(at, entry->expires_ms);
    if (flags & HAS_PRIORITY)
        *at++ = entry->priority;
    buffer_added(blob, (size_t)(at - start));
    *before = place;
}

void chunk_encode(const struct chunk *chunk, bool recorded_only, struct buffer *blob)
{
    struct place before = {0};
    uint32_t last = 0;
    buffer_add_u8(blob, BLOB_VERSION);
    for (uint32_t at = bit_next(chunk->live_bits, 0, chunk->slots); at < chunk->slots;
         at = bit_next(chunk->live_bits, at + 1, chunk->slots)) {
        const struct entry *entry = &chunk->entries[at];
        /* Messages lie anywhere in memory: a checkpoint's time goes in waiting for them. */
        if (at + PREFETCH < chunk->slots && entry[PREFETCH].flags & ENTRY_MESSAGE)
            __builtin_prefetch(entry[PREFETCH].message);
        if (recorded_only && !(entry->flags & ENTRY_RECORDED))
            continue;
        encode_entry(blob, at - last, entry, &before);
        last = at;
    }
}

static bool decode_entry(struct cursor *cursor, uint8_t version, struct entry *entry,
                         struct place *before)
{
    uint8_t flags = cursor_u8(cursor);
    struct place place;
    place.segment = (uint32_t)(before->segment + unzigzag(cursor_varint(cursor)));
    place.offset = (uint32_t)(before->offset + before->size + unzigzag(cursor_varint(cursor)));
    place.size = (uint32_t)cursor_varint(cursor);
    uint64_t beside = version == BLOB_FIRST_VERSION ? 0 : cursor_varint(cursor);
    entry->body_size = (uint32_t)(place.size - beside);
    entry->flags = flags & (ENTRY_RECORDED | ENTRY_PAGED | ENTRY_DAMAGED);
    entry->segment = place.segment;
    entry->offset = place.offset;
    entry->size = place.size;
    entry->destinations = flags & HAS_DESTINATIONS ? (uint32_t)cursor_varint(cursor) : 1;
    entry->expires_ms = flags & HAS_EXPIRY ? cursor_varint(cursor) : 0;
    entry->priority = flags & HAS_PRIORITY ? cursor_u8(cursor) : 0;
    if (flags & HAD_COUNT)
        cursor_u16(cursor);
    *before = place;
    return !cursor->bad && entry->destinations > 0 && beside <= place.size;
}

bool chunk_decode(struct bytes blob, struct entry *entries, uint32_t slots, uint64_t *present)
{
    struct cursor cursor = cursor_of(blob);
    struct place before = {0};
    uint64_t at = 0;
    uint8_t version = cursor_u8(&cursor);
    if (version != BLOB_VERSION && version != BLOB_FIRST_VERSION)
        return false;
    while (!cursor.bad && cursor.at < cursor.end) {
        at += cursor_varint(&cursor);
        if (cursor.bad || at >= slots || !decode_entry(&cursor, version, &entries[at], &before))
            return false;
        bit_set(present, (uint32_t)at);
    }
    return !cursor.bad;
}
