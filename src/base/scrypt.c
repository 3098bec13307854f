/* RFC 7914. Blocks are rows of words in the machine's order, which become bytes in little-endian order
 * at the beginning and at the end. */
#include "base/scrypt.h"

#include "base/digest.h"
#include "base/mem.h"

enum { CELL = 16, BLOCK = 2 * CELL }; /* words: of what Salsa20 mixes; of a block where r is 1 */

static uint32_t rotate(uint32_t value, int bits)
{
    return value << bits | value >> (32 - bits);
}

static void quarter(uint32_t *x, int a, int b, int c, int d)
{
    x[b] ^= rotate(x[a] + x[d], 7);
    x[c] ^= rotate(x[b] + x[a], 9);
    x[d] ^= rotate(x[c] + x[b], 13);
    x[a] ^= rotate(x[d] + x[c], 18);
}

/* Salsa20/8: columns, then rows, four times. */
static void salsa(uint32_t cell[CELL])
{
    uint32_t x[CELL];
    memcpy(x, cell, sizeof(x));
    for (int i = 0; i < 4; i++) {
        quarter(x, 0, 4, 8, 12);
        quarter(x, 5, 9, 13, 1);
        quarter(x, 10, 14, 2, 6);
        quarter(x, 15, 3, 7, 11);
        quarter(x, 0, 1, 2, 3);
        quarter(x, 5, 6, 7, 4);
        quarter(x, 10, 11, 8, 9);
        quarter(x, 15, 12, 13, 14);
    }
    for (int i = 0; i < CELL; i++)
        cell[i] += x[i];
}

static void add(uint32_t *words, const uint32_t *others, size_t count)
{
    for (size_t i = 0; i < count; i++)
        words[i] ^= others[i];
}

/* scryptBlockMix: even cells to the first half, odd ones to the second. */
static void mix(const uint32_t *in, uint32_t *out, size_t r)
{
    uint32_t cell[CELL];
    memcpy(cell, in + (2 * r - 1) * CELL, sizeof(cell));
    for (size_t i = 0; i < 2 * r; i++) {
        add(cell, in + i * CELL, CELL);
        salsa(cell);
        memcpy(out + (i / 2 + i % 2 * r) * CELL, cell, sizeof(cell));
    }
}

/* scryptROMix. `rows` has room for n blocks, `other` for one. */
static void fill_and_look_up(uint32_t *block, uint32_t *other, uint32_t *rows, size_t r, uint64_t n)
{
    size_t words = BLOCK * r;
    for (uint64_t i = 0; i < n; i++) {
        memcpy(rows + i * words, block, words * sizeof(*block));
        mix(rows + i * words, block, r);
    }
    for (uint64_t i = 0; i < n; i++) {
        uint64_t at = block[(2 * r - 1) * CELL] & (n - 1);
        memcpy(other, block, words * sizeof(*block));
        add(other, rows + at * words, words);
        mix(other, block, r);
    }
}

static void read_words(const uint8_t *bytes, uint32_t *words, size_t count)
{
    for (size_t i = 0; i < count; i++, bytes += 4)
        words[i] = (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 |
                   (uint32_t)bytes[3] << 24;
}

static void write_words(const uint32_t *words, uint8_t *bytes, size_t count)
{
    for (size_t i = 0; i < 4 * count; i++)
        bytes[i] = (uint8_t)(words[i / 4] >> 8 * (i % 4));
}

void scrypt(struct bytes password, struct bytes salt, const struct scrypt_cost *cost, uint8_t *key,
            size_t key_size)
{
    size_t words = (size_t)BLOCK * cost->r, size = 4 * words;
    uint64_t n = (uint64_t)1 << cost->log2_n;
    uint8_t *blocks = mem_alloc(size * cost->p);
    uint32_t *rows = mem_alloc(n * size), *block = mem_alloc(2 * size);
    pbkdf2_sha256(password, salt, blocks, size * cost->p);
    for (unsigned i = 0; i < cost->p; i++) {
        read_words(blocks + i * size, block, words);
        fill_and_look_up(block, block + words, rows, cost->r, n);
        write_words(block, blocks + i * size, words);
    }
    pbkdf2_sha256(password, bytes_of(blocks, size * cost->p), key, key_size);
    mem_free(block);
    mem_free(rows);
    mem_free(blocks);
}
