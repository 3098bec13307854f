/* SipHash-1-3 (Aumasson and Bernstein): short keys are what we hash, and a peer that does not
 * know the seed cannot make them collide. */
#include "base/hash.h"

#define ROTATE(x, by) (((x) << (by)) | ((x) >> (64 - (by))))

struct sip {
    uint64_t v0, v1, v2, v3;
};

static inline void sip_round(struct sip *s)
{
    s->v0 += s->v1;
    s->v1 = ROTATE(s->v1, 13) ^ s->v0;
    s->v0 = ROTATE(s->v0, 32);
    s->v2 += s->v3;
    s->v3 = ROTATE(s->v3, 16) ^ s->v2;
    s->v0 += s->v3;
    s->v3 = ROTATE(s->v3, 21) ^ s->v0;
    s->v2 += s->v1;
    s->v1 = ROTATE(s->v1, 17) ^ s->v2;
    s->v2 = ROTATE(s->v2, 32);
}

static inline void sip_word(struct sip *s, uint64_t word)
{
    s->v3 ^= word;
    sip_round(s);
    s->v0 ^= word;
}

uint64_t hash_bytes(struct bytes key, uint64_t seed)
{
    uint64_t k1 = seed * 0x9e3779b97f4a7c15u + 1;
    struct sip s = {seed ^ 0x736f6d6570736575u, k1 ^ 0x646f72616e646f6du,
                    seed ^ 0x6c7967656e657261u, k1 ^ 0x7465646279746573u};
    size_t words = key.size / 8;
    for (size_t i = 0; i < words; i++) {
        uint64_t word;
        memcpy(&word, key.data + i * 8, 8);
        sip_word(&s, word);
    }
    uint64_t last = (uint64_t)key.size << 56;
    if (key.size % 8)
        memcpy(&last, key.data + words * 8, key.size % 8);
    last = (last & 0x00ffffffffffffffu) | (uint64_t)key.size << 56;
    sip_word(&s, last);
    s.v2 ^= 0xff;
    sip_round(&s);
    sip_round(&s);
    sip_round(&s);
    return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}
