/* How far a name that is wrong is from one that is meant. */
#ifndef LEVERET_BASE_NEAR_H
#define LEVERET_BASE_NEAR_H

#include <stddef.h>

enum { NEAR_BYTES_MAX = 127 };

/* How many letters have to be changed, added, taken or swapped with the next to make `b`, which has
 * NEAR_BYTES_MAX at most, of the first `a_size` bytes of `a`. */
size_t near_distance(const char *a, size_t a_size, const char *b);

#endif
