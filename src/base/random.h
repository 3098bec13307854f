/* Pseudo-random numbers from a seed that is handed in: equal seeds give equal runs. For names,
 * hash seeds and salts the daemon seeds it from the system. */
#ifndef LEVERET_BASE_RANDOM_H
#define LEVERET_BASE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

struct random {
    uint64_t state[4];
};

void random_init(struct random *random, uint64_t seed);
/* Seeds all 256 bits. */
void random_init_strong(struct random *random, const uint8_t seed[32]);
uint64_t random_next(struct random *random);
/* Below `limit`, which is not 0; the slight bias does not matter to us. */
uint64_t random_below(struct random *random, uint64_t limit);
/* Fills `text` with `length` characters of base64url and a terminator: length + 1 bytes. */
void random_name(struct random *random, char *text, size_t length);

#endif
