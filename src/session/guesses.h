/* Logins that were refused, by the address they came from: whoever has failed too often within a second is
 * not listened to before the next one. Of IPv6 the first 64 bits count, as a peer has the rest to itself.
 *
 * The memory is fixed, as anybody may fail from many addresses. An address has four places, and when
 * others have all of these in the same second, the one with the fewest failures loses its own. */
#ifndef LEVERET_SESSION_GUESSES_H
#define LEVERET_SESSION_GUESSES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

enum { GUESSES_PLACES = 1024 };

struct guesses {
    uint64_t seed;
    struct guess {
        uint64_t address; /* its hash */
        uint32_t second;  /* of the monotonic clock, from 1; 0: nobody's */
        uint32_t failures;
    } places[GUESSES_PLACES];
};

/* All zero before. */
void guesses_init(struct guesses *guesses, uint64_t seed);
/* Have so many logins from this host ("192.0.2.1", "2001:db8::1") failed in this second? */
bool guesses_are_many(const struct guesses *guesses, struct bytes host, uint32_t most,
                      uint64_t now_ms);
/* One has. */
void guesses_failed(struct guesses *guesses, struct bytes host, uint64_t now_ms);

#endif
