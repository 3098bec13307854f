/* A key from a password, so that guessing costs memory and time: scrypt (RFC 7914). */
#ifndef LEVERET_BASE_SCRYPT_H
#define LEVERET_BASE_SCRYPT_H

#include "base/bytes.h"

struct scrypt_cost {
    unsigned log2_n; /* how many blocks are filled and looked up, as a power of 2: 1 to 31 */
    unsigned r;      /* the size of a block, 128 bytes each */
    unsigned p;      /* how often that is done, one after the other */
};

/* Takes 128 * r * 2^log2_n bytes of memory meanwhile. */
void scrypt(struct bytes password, struct bytes salt, const struct scrypt_cost *cost, uint8_t *key,
            size_t key_size);

#endif
