/* With SSE 4.2 the instruction is fed from three streams at once, which hides its latency of three
 * cycles; the three results are joined by multiplication with x^(8n) mod P, from tables. Without
 * it, a table of 16 entries is used: half a byte a step, and nothing to set up. */
#include "base/crc32c.h"

#include <stdbool.h>
#include <string.h>

uint32_t crc32c_portable(uint32_t crc, const void *data, size_t size)
{
    static const uint32_t nibble[16] = {
        0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3,
        0x61c69362, 0x7198540d, 0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9,
        0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75};
    const uint8_t *at = data;
    crc = ~crc;
    for (size_t i = 0; i < size; i++) {
        crc ^= at[i];
        crc = (crc >> 4) ^ nibble[crc & 15];
        crc = (crc >> 4) ^ nibble[crc & 15];
    }
    return ~crc;
}

#if defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__))
#include <immintrin.h>

/* One stride of three streams of STRIDE bytes. x^(8 * STRIDE) mod P and its square, reflected, for
 * carry-less multiplication: computed by tests/unit/test_crc32c.c as well. */
enum { STRIDE = 256 };
#define SHIFT_ONE 0xb9e02b86u /* x^(8*256-33) mod P, reflected */
#define SHIFT_TWO 0xdd7e3b0cu /* x^(16*256-33) mod P, reflected */

static inline uint64_t word_at(const uint8_t *at)
{
    uint64_t word;
    memcpy(&word, at, sizeof(word));
    return word;
}

/* What is short, or what is left. */
__attribute__((target("sse4.2"))) static uint32_t run(uint32_t crc, const uint8_t *at, size_t size)
{
    uint64_t wide = ~crc;
    uint32_t half;
    uint16_t quarter;
    for (; size >= 32; at += 32, size -= 32) {
        wide = _mm_crc32_u64(wide, word_at(at));
        wide = _mm_crc32_u64(wide, word_at(at + 8));
        wide = _mm_crc32_u64(wide, word_at(at + 16));
        wide = _mm_crc32_u64(wide, word_at(at + 24));
    }
    for (; size >= 8; at += 8, size -= 8)
        wide = _mm_crc32_u64(wide, word_at(at));
    crc = (uint32_t)wide;
    if (size & 4) {
        memcpy(&half, at, 4);
        crc = _mm_crc32_u32(crc, half);
        at += 4;
    }
    if (size & 2) {
        memcpy(&quarter, at, 2);
        crc = _mm_crc32_u16(crc, quarter);
        at += 2;
    }
    return ~(size & 1 ? _mm_crc32_u8(crc, *at) : crc);
}

__attribute__((target("sse4.2,pclmul"))) static uint64_t shift(uint32_t crc, uint32_t by)
{
    __m128i product = _mm_clmulepi64_si128(_mm_cvtsi32_si128((int)crc), _mm_cvtsi32_si128((int)by),
                                           0);
    return (uint64_t)_mm_cvtsi128_si64(product);
}

__attribute__((target("sse4.2,pclmul"))) static uint32_t run_three(uint32_t crc, const uint8_t *at)
{
    uint64_t a = crc, b = 0, c = 0;
    for (size_t i = 0; i < STRIDE - 8; i += 8) {
        a = _mm_crc32_u64(a, word_at(at + i));
        b = _mm_crc32_u64(b, word_at(at + STRIDE + i));
        c = _mm_crc32_u64(c, word_at(at + 2 * STRIDE + i));
    }
    a = _mm_crc32_u64(a, word_at(at + STRIDE - 8));
    b = _mm_crc32_u64(b, word_at(at + 2 * STRIDE - 8));
    uint64_t last = word_at(at + 3 * STRIDE - 8) ^ shift((uint32_t)a, SHIFT_TWO) ^
                    shift((uint32_t)b, SHIFT_ONE);
    return (uint32_t)_mm_crc32_u64(c, last);
}

uint32_t crc32c(uint32_t crc, const void *data, size_t size)
{
    const uint8_t *at = data;
    if (!__builtin_cpu_supports("sse4.2"))
        return crc32c_portable(crc, data, size);
    if (size >= 3 * STRIDE && __builtin_cpu_supports("pclmul"))
        for (; size >= 3 * STRIDE; at += 3 * STRIDE, size -= 3 * STRIDE)
            crc = ~run_three(~crc, at);
    return run(crc, at, size);
}

#else

uint32_t crc32c(uint32_t crc, const void *data, size_t size)
{
    return crc32c_portable(crc, data, size);
}

#endif
