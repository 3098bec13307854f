/* A run of a queue's messages with consecutive sequence numbers. The bits (is it there, is it
 * ready) are always in memory; the entries (where is it) may be in the key-value store instead, as
 * a *blob*. While a chunk is cold, messages are settled by their bit alone, and what their entries
 * hold in the journal's segments is released when the blob is next loaded, or a while after that: until an
 * eighth of them is settled the blob is kept as it is, and so is what says where those lie (ended_bits), so that
 * a chunk that a message leaves now and then is not written again for each.
 *
 * The bytes of its ready messages are exact while the entries are in memory. Of a cold chunk two sums
 * are known, and what comes back or goes meanwhile counts as the average of its sum: the queue's count
 * is wrong by what the messages of that chunk differ in size, until it is next loaded. */
#ifndef LEVERET_STORE_CHUNK_H
#define LEVERET_STORE_CHUNK_H

#include "base/buffer.h"
#include "store/index.h"
#include "store/record.h"
#include "store/returns.h"

enum entry_flag {
    ENTRY_MESSAGE = 1,  /* `message` is set, else `place` */
    ENTRY_RECORDED = 2, /* survives a restart: its message's record names it */
    ENTRY_PAGED = 4,    /* `place` is of a paged record, which does not survive */
    ENTRY_DAMAGED = 8,  /* its bytes cannot be trusted: set aside */
};

struct entry {
    union {
        struct message *message;
        struct {
            uint32_t segment;
            uint32_t offset;
        };
    };
    uint32_t size;         /* of the record, when not in memory */
    uint32_t destinations; /* of the record: it holds 1/destinations of its bytes */
    uint64_t expires_ms; /* since 1970; 0: never */
    uint8_t flags;
    uint8_t priority;
    uint32_t body_size;
};

struct chunk {
    struct index *index; /* NULL: of a queue that is gone */
    uint64_t queue_id;
    uint64_t base; /* sequence number of slot 0 */
    uint32_t slots; /* in use, from 0 */
    uint32_t capacity;
    uint32_t live;  /* slots not settled */
    uint32_t ready; /* slots that are live and not taken */
    uint32_t bodies; /* entries with a message in memory */
    uint64_t
        batch; /* the newest with a record of one of these entries, or later; 0: none has one */
    uint32_t version; /* rises with every change of an entry */
    uint32_t due_s;   /* 1 + the second before which none of its messages ends; 0: none has a time */
    struct entry *entries; /* NULL: cold */
    uint64_t *live_bits;
    uint64_t *ready_bits;
    uint64_t *recorded_bits; /* NULL: all live ones survive, if the queue does */
    uint64_t *ended_bits;    /* while it is in memory: settled ones that its blob has, unreleased; NULL: none */
    struct returns *returns; /* live ones that came back; NULL: there are none */
    uint64_t blob;           /* key of the blob; 0: none */
    uint64_t touched_ms;     /* when a message last came in */
    uint64_t read_ms;        /* when a body was last read back */
    uint64_t awaits;         /* batch without which no body can leave memory; 0: not known */
    uint64_t wanted_ms;      /* when somebody last waited for its entries; 0: nobody has */
    bool is_stale;   /* the entries differ from the blob */
    bool is_changed; /* on the list of changes since the last checkpoint */
    bool is_named;   /* the last checkpoint knows it */
    bool is_loading;
    bool is_spilling;
    bool is_old;     /* its blob was written by an earlier run: only recorded entries count */
    /* At most so many settled entries still count as live in their segments: the blob that says where they lie
     * is not in memory, or has them. */
    uint32_t unreleased;
    uint32_t kept; /* its state (spill.c) when all bodies but those that are read next had left; 0: not known */
    uint64_t ready_bytes; /* while it is cold: bodies of its ready messages, */
    uint64_t taken_bytes; /* and of those that are taken */
    struct list changed_link;
    /* In the store's `cache` with entries in memory, but for a little one; else in `dead`, `condemned`,
     * `unreleased` or nowhere. */
    struct list cache_link;
    struct list bodies_link; /* chunks with bodies in memory */
    uint64_t few_bits[2];    /* both kinds, while a word is enough for each */
};

/* All memory of chunks is of one slab, which is the store's. */

/* An empty chunk with entries in memory: of those only what has been live is initialised. */
struct chunk *chunk_new(struct slab *slab, uint64_t queue_id, uint64_t base, uint32_t capacity);
/* A cold one with room for `slots` slots, all bits clear. */
struct chunk *chunk_cold(struct slab *slab, uint64_t queue_id, uint64_t base, uint32_t slots);
/* Makes room for more slots in a chunk in memory. */
void chunk_grow(struct slab *slab, struct chunk *chunk, uint32_t capacity);
/* Frees the chunk; its messages have been released. */
void chunk_free(struct slab *slab, struct chunk *chunk);
/* Bits and entries for so many slots, all zero. NULL may be freed. */
uint64_t *bits_new(struct slab *slab, uint32_t slots);
void bits_free(struct slab *slab, uint64_t *bits, uint32_t slots);
struct entry *entries_new(struct slab *slab, uint32_t slots);
void entries_free(struct slab *slab, struct entry *entries, uint32_t slots);
/* What its entries take in memory. */
size_t chunk_cost(const struct chunk *chunk);
/* Bodies of the ready messages of a chunk in memory, and of those that are taken. */
void chunk_weigh(const struct chunk *chunk, uint64_t *ready, uint64_t *taken);

/* Writes the live entries (`recorded_only`: those that survive) as a blob. */
void chunk_encode(const struct chunk *chunk, bool recorded_only, struct buffer *blob);
/* Reads a blob into zeroed `entries` of `slots` elements and sets a bit in `present` for each. False
 * when it is malformed. */
bool chunk_decode(struct bytes blob, struct entry *entries, uint32_t slots, uint64_t *present);

/* How many of the chunk's first `limit` sequence numbers lie below `sequence`. Chunks may be any
 * distance apart: it is cut to 32 bits here alone, where it is known to fit. */
static inline uint32_t chunk_below(const struct chunk *chunk, uint64_t sequence, uint32_t limit)
{
    if (sequence <= chunk->base)
        return 0;
    return sequence - chunk->base < limit ? (uint32_t)(sequence - chunk->base) : limit;
}

/* May so many settled entries hold what they have, so that the blob need not be written again? When the disk is
 * short, a segment with as much to give is compacted. */
static inline bool chunk_may_keep(const struct chunk *chunk, uint32_t ended)
{
    return ended <= chunk->slots / 8;
}

/* The slot of a sequence number; chunk->slots: it is not in the chunk. */
static inline uint32_t chunk_slot(const struct chunk *chunk, uint64_t sequence)
{
    return sequence < chunk->base ? chunk->slots : chunk_below(chunk, sequence, chunk->slots);
}

/* No message in the chunk ends before; 0: none does at all. */
static inline uint64_t chunk_due_ms(const struct chunk *chunk)
{
    if (chunk->due_s <= 1)
        return chunk->due_s;
    return ((uint64_t)chunk->due_s - 1) * 1000;
}

/* Where the record of a live entry's message lies, and how many destinations it has. */
static inline struct place entry_place(const struct entry *entry)
{
    if (entry->flags & ENTRY_MESSAGE)
        return message_place(entry->message);
    return (struct place){entry->segment, entry->offset, entry->size};
}

static inline uint32_t entry_destinations(const struct entry *entry)
{
    return entry->flags & ENTRY_MESSAGE ? entry->message->destinations : entry->destinations;
}

static inline bool bit_get(const uint64_t *bits, uint32_t at)
{
    return bits[at / 64] >> (at % 64) & 1;
}

static inline void bit_set(uint64_t *bits, uint32_t at)
{
    bits[at / 64] |= (uint64_t)1 << (at % 64);
}

static inline void bit_clear(uint64_t *bits, uint32_t at)
{
    bits[at / 64] &= ~((uint64_t)1 << (at % 64));
}

/* The first set bit at `from` or after, below `limit`; `limit` when there is none. */
static inline uint32_t bit_next(const uint64_t *bits, uint32_t from, uint32_t limit)
{
    while (from < limit) {
        uint64_t word = bits[from / 64] >> (from % 64);
        if (word) {
            uint32_t at = from + (uint32_t)__builtin_ctzll(word);
            return at < limit ? at : limit;
        }
        from = (from / 64 + 1) * 64;
    }
    return limit;
}

#endif
