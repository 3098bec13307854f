/* The small ones: checksums, hashes, random numbers, UTF-8, memory. */
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/random.h"
#include "base/digest.h"
#include "base/scrypt.h"
#include "base/utf8.h"
#include "tests/lib/tap.h"

TEST(crc32c_of_known_inputs)
{
    uint8_t bytes[32];
    is_int(crc32c(0, "", 0), 0, "nothing");
    is_int(crc32c(0, "123456789", 9), 0xe3069283, "the usual nine digits");
    /* RFC 3720, appendix B.4. */
    memset(bytes, 0, sizeof(bytes));
    is_int(crc32c(0, bytes, sizeof(bytes)), 0x8a9136aa, "32 bytes of zeroes");
    memset(bytes, 0xff, sizeof(bytes));
    is_int(crc32c(0, bytes, sizeof(bytes)), 0x62a8ab43, "32 bytes of ones");
    for (uint8_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = i;
    is_int(crc32c(0, bytes, sizeof(bytes)), 0x46dd794e, "32 bytes rising");
    for (uint8_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)(31 - i);
    is_int(crc32c(0, bytes, sizeof(bytes)), 0x113fdb5c, "32 bytes falling");
    is_int(crc32c_portable(0, "123456789", 9), 0xe3069283, "the portable version");
}

TEST(crc32c_versions_agree)
{
    static uint8_t bytes[8000];
    struct random random;
    bool same = true, joins = true;
    random_init(&random, 8);
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)random_next(&random);
    for (size_t size = 0; size < sizeof(bytes); size += 1 + size / 64) {
        size_t start = random_below(&random, sizeof(bytes) - size + 1);
        uint32_t whole = crc32c_portable(7, bytes + start, size);
        same = same && crc32c(7, bytes + start, size) == whole;
        size_t cut = random_below(&random, size + 1);
        uint32_t part = crc32c(7, bytes + start, cut);
        joins = joins && crc32c(part, bytes + start + cut, size - cut) == whole;
    }
    ok(same, "at all sizes and alignments");
    ok(joins, "and in two parts");
}

TEST(hashes_depend_on_every_byte_and_the_seed)
{
    uint8_t key[40] = {0};
    bool differs = true;
    for (size_t size = 0; size < sizeof(key); size++) {
        uint64_t hash = hash_bytes(bytes_of(key, size), 1);
        differs = differs && hash != hash_bytes(bytes_of(key, size + 1), 1);
        differs = differs && hash != hash_bytes(bytes_of(key, size), 2);
        differs = differs && hash == hash_bytes(bytes_of(key, size), 1);
        for (size_t i = 0; i < size; i++) {
            key[i] = 1;
            differs = differs && hash != hash_bytes(bytes_of(key, size), 1);
            key[i] = 0;
        }
    }
    ok(differs, "for keys of 0 to 40 bytes");
    ok(hash_number(1) != hash_number(2), "numbers spread");
}

TEST(random_numbers_repeat_with_the_seed)
{
    struct random a, b;
    random_init(&a, 1);
    random_init(&b, 1);
    bool same = true;
    for (int i = 0; i < 100; i++)
        same = same && random_next(&a) == random_next(&b);
    ok(same, "the same seed, the same numbers");
    random_init(&b, 2);
    ok(random_next(&a) != random_next(&b), "another seed, others");
    uint8_t seed[32] = {0};
    random_init_strong(&a, seed);
    seed[31] = 1;
    random_init_strong(&b, seed);
    bool differs = false;
    for (int i = 0; i < 4; i++)
        differs = random_next(&a) != random_next(&b) || differs;
    ok(differs, "every part of a strong seed counts");
    unsigned seen = 0;
    bool below = true;
    for (int i = 0; i < 1000; i++) {
        uint64_t number = random_below(&a, 7);
        below = below && number < 7;
        seen |= 1u << number;
    }
    ok(below && seen == 0x7f, "all numbers below 7, and no other");
    char name[23];
    memset(name, 'x', sizeof(name));
    random_name(&a, name, 22);
    is_int(strlen(name), 22, "a name has its length");
    is_int(strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"), 22,
           "and no other characters than base64url");
}

/* Decodes and encodes the slow way: is it the one shortest form of a character? */
static bool is_one_character(const uint8_t *at, size_t size)
{
    static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    static const uint8_t lead[] = {0, 0, 0xc0, 0xe0, 0xf0}, mask[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    if (size == 1)
        return at[0] < 0x80;
    if ((at[0] & (uint8_t)~mask[size]) != lead[size])
        return false;
    uint32_t point = at[0] & mask[size];
    for (size_t i = 1; i < size; i++) {
        if ((at[i] & 0xc0) != 0x80)
            return false;
        point = point << 6 | (at[i] & 0x3f);
    }
    return point >= smallest[size] && point <= 0x10ffff && !(point >= 0xd800 && point <= 0xdfff);
}

TEST(utf8_characters)
{
    bool same = true;
    uint8_t at[4];
    for (unsigned a = 0; a < 256; a++) {
        at[0] = (uint8_t)a;
        same = same && utf8_is_valid(bytes_of(at, 1)) == is_one_character(at, 1);
        for (unsigned b = 0; b < 256; b++) {
            at[1] = (uint8_t)b;
            bool two = is_one_character(at, 2) || (a < 0x80 && b < 0x80);
            same = same && utf8_is_valid(bytes_of(at, 2)) == two;
            if (a < 0xe0 || b < 0x80 || b > 0xbf)
                continue;
            for (unsigned c = 0x70; c < 0xd0; c++) {
                at[2] = (uint8_t)c;
                same = same && utf8_is_valid(bytes_of(at, 3)) == is_one_character(at, 3);
                at[3] = (uint8_t)(c + 1);
                same = same && utf8_is_valid(bytes_of(at, 4)) == is_one_character(at, 4);
            }
        }
    }
    ok(same, "as the definition has it");
    ok(utf8_is_valid(bytes_of(NULL, 0)), "nothing is valid");
    ok(utf8_is_valid(bytes_of("a\0b", 3)), "a zero byte is a character");
    ok(utf8_is_valid(bytes_str("gr\xc3\xbc\xc3\x9f dich \xe2\x82\xac \xf0\x9f\x90\x87")),
       "a text of all lengths");
    ok(!utf8_is_valid(bytes_str("gr\xc3\xbc\xc3")), "cut in a character");
}

TEST(sha256_of_known_inputs)
{
    /* FIPS 180-2, appendix B. */
    uint8_t digest[SHA256_SIZE];
    sha256(bytes_str("ab"), bytes_str("c"), digest);
    is_bytes(digest, 8, "\xba\x78\x16\xbf\x8f\x01\xcf\xea", 8, "abc, in two parts");
    sha256(bytes_of(NULL, 0), bytes_of(NULL, 0), digest);
    is_bytes(digest, 8, "\xe3\xb0\xc4\x42\x98\xfc\x1c\x14", 8, "nothing");
}

static void is_key(const char *password, const char *salt, unsigned log2_n, unsigned r, unsigned p,
                   const char *wanted)
{
    uint8_t key[64];
    char hex[2 * sizeof(key) + 1];
    const struct scrypt_cost cost = {.log2_n = log2_n, .r = r, .p = p};
    scrypt(bytes_str(password), bytes_str(salt), &cost, key, sizeof(key));
    for (size_t i = 0; i < sizeof(key); i++)
        snprintf(hex + 2 * i, 3, "%02x", key[i]);
    is_str(hex, wanted, "of a password of %zu bytes", strlen(password));
}

/* RFC 7914, 12. */
TEST(scrypt_of_known_inputs)
{
    is_key("", "", 4, 1, 1,
           "77d6576238657b203b19ca42c18a0497f16b4844e3074ae8dfdffa3fede21442"
           "fcd0069ded0948f8326a753a0fc81f17e8d3e0fb2e0d3628cf35e20c38d18906");
    is_key("password", "NaCl", 10, 8, 16,
           "fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b373162"
           "2eaf30d92e22a3886ff109279d9830dac727afb94a83ee6d8360cbdfa2cc0640");
    is_key("pleaseletmein", "SodiumChloride", 14, 8, 1,
           "7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2"
           "d5432955613f0fcf62d49705242a9af9e61e85dc0d651e40dfcf017b45575887");
}

TEST(memory)
{
    uint8_t *bytes = mem_zalloc(100);
    bool zero = true;
    for (int i = 0; i < 100; i++)
        zero = zero && bytes[i] == 0;
    ok(zero, "zeroed");
    bytes = mem_realloc(bytes, 200);
    memset(bytes, 'a', 200);
    uint8_t *copy = mem_dup(bytes, 200);
    is_bytes(copy, 200, bytes, 200, "copied");
    mem_free(copy);
    mem_free(bytes);
    mem_free(NULL);
    uint32_t *numbers = mem_zalloc_array(10, sizeof(*numbers));
    is_int(numbers[9], 0, "an array of zeroes");
    mem_free(numbers);
    mem_free(mem_alloc(0));

    pid_t child = fork();
    if (child == 0) {
        if (!freopen("/dev/null", "w", stderr))
            _exit(3);
        volatile size_t count = SIZE_MAX / 2;
        mem_free(mem_zalloc_array(count, 3));
        _exit(0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    ok(child > 0 && !(WIFEXITED(status) && WEXITSTATUS(status) == 0),
       "an array whose size overflows ends the process");
}

int main(void)
{
    RUN(crc32c_of_known_inputs);
    RUN(crc32c_versions_agree);
    RUN(hashes_depend_on_every_byte_and_the_seed);
    RUN(random_numbers_repeat_with_the_seed);
    RUN(utf8_characters);
    RUN(sha256_of_known_inputs);
    RUN(scrypt_of_known_inputs);
    RUN(memory);
    return done();
}
