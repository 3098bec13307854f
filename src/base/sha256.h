/* SHA-256 (FIPS 180-4). */
#ifndef LEVERET_BASE_SHA256_H
#define LEVERET_BASE_SHA256_H

#include "base/bytes.h"

enum { SHA256_SIZE = 32 };

/* The digest of `first` followed by `second`; either may be empty. */
void sha256(struct bytes first, struct bytes second, uint8_t digest[SHA256_SIZE]);

#endif
