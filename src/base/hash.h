/* A keyed hash for tables whose keys a peer may choose, and for hash exchanges. */
#ifndef LEVERET_BASE_HASH_H
#define LEVERET_BASE_HASH_H

#include "base/bytes.h"

/* 64 bits from the bytes and a seed, always the same: where messages of hash exchanges go depends on
 * it. With a secret seed nobody can choose keys that meet. */
uint64_t hash_bytes(struct bytes key, uint64_t seed);

/* A good spread for numbers that are ours (ids), not a peer's. */
static inline uint64_t hash_number(uint64_t number)
{
    number ^= number >> 32;
    number *= 0x9e3779b97f4a7c15u;
    return number ^ (number >> 29);
}

#endif
