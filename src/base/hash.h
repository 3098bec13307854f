/* A keyed hash for tables whose keys a peer may choose. Not for anything stored. */
#ifndef LEVERET_BASE_HASH_H
#define LEVERET_BASE_HASH_H

#include "base/bytes.h"

/* 64 bits from the bytes and a secret seed; the same within one process only. */
uint64_t hash_bytes(struct bytes key, uint64_t seed);

/* A good spread for numbers that are ours (ids), not a peer's. */
static inline uint64_t hash_number(uint64_t number)
{
    number ^= number >> 32;
    number *= 0x9e3779b97f4a7c15u;
    return number ^ (number >> 29);
}

#endif
