#include "broker/password.h"

#include "base/digest.h"
#include "base/scrypt.h"

/* Of scrypt: what a new hash costs, 16 MiB and a quarter of a second, in which five are tried one after
 * the other; and what one from elsewhere may cost, 32 MiB and half a second. */
static const struct scrypt_cost scrypt_cost = {.log2_n = 14, .r = 8, .p = 5};
enum { LOG2_N_MAX = 18, BLOCKS_MAX = 1 << 18, MIXES_MAX = 1 << 20 };
enum { COST_SIZE = 3, SCRYPT_SALT_SIZE = 16, KEY_SIZE = 32, KEY_AT = COST_SIZE + SCRYPT_SALT_SIZE };
_Static_assert(KEY_AT + KEY_SIZE <= PASSWORD_HASH_MAX, "one room is for all kinds");

size_t hash_size(uint8_t kind)
{
    static const size_t sizes[HASH_KINDS] = {[HASH_SHA256] = SALT_SIZE + SHA256_SIZE,
                                             [HASH_SHA512] = SALT_SIZE + SHA512_SIZE,
                                             [HASH_MD5] = SALT_SIZE + MD5_SIZE,
                                             [HASH_SCRYPT] = KEY_AT + KEY_SIZE};
    return kind < HASH_KINDS ? sizes[kind] : 0;
}

static struct scrypt_cost cost_of(struct bytes hash)
{
    return (struct scrypt_cost){.log2_n = hash.data[0], .r = hash.data[1], .p = hash.data[2]};
}

static bool is_affordable(const struct scrypt_cost *cost)
{
    if (cost->log2_n < 1 || cost->log2_n > LOG2_N_MAX || cost->r < 1 || cost->p < 1)
        return false;
    uint64_t blocks = (uint64_t)cost->r << cost->log2_n;
    return blocks <= BLOCKS_MAX && blocks * cost->p <= MIXES_MAX;
}

bool hash_is_possible(uint8_t kind, struct bytes hash)
{
    if (kind >= HASH_KINDS || hash.size == 0)
        return kind < HASH_KINDS;
    if (hash.size != hash_size(kind))
        return false;
    struct scrypt_cost cost = kind == HASH_SCRYPT ? cost_of(hash) : scrypt_cost;
    return is_affordable(&cost);
}

bool hash_is_slow(uint8_t kind)
{
    return kind == HASH_SCRYPT;
}

static const char *const kind_names[HASH_KINDS] = {[HASH_SHA256] = "rabbit_password_hashing_sha256",
                                                   [HASH_SHA512] = "rabbit_password_hashing_sha512",
                                                   [HASH_MD5] = "rabbit_password_hashing_md5",
                                                   [HASH_SCRYPT] = "leveret_scrypt"};

bool hash_kind_find(struct bytes name, uint8_t *kind)
{
    for (*kind = 0; *kind < HASH_KINDS; ++*kind)
        if (bytes_equal_str(name, kind_names[*kind]))
            return true;
    return false;
}

const char *hash_kind_name(uint8_t kind)
{
    return kind_names[kind];
}

static void digest_of(uint8_t kind, struct bytes salt, struct bytes password, uint8_t *digest)
{
    if (kind == HASH_SHA512)
        sha512(salt, password, digest);
    else if (kind == HASH_MD5)
        md5(salt, password, digest);
    else
        sha256(salt, password, digest);
}

static void scrypt_of(struct bytes hash, struct bytes password, uint8_t key[KEY_SIZE])
{
    struct scrypt_cost cost = cost_of(hash);
    scrypt(password, bytes_of(hash.data + COST_SIZE, SCRYPT_SALT_SIZE), &cost, key, KEY_SIZE);
}

static void begin_scrypt(struct random *random, uint8_t *hash)
{
    uint64_t salt[2] = {random_next(random), random_next(random)};
    hash[0] = (uint8_t)scrypt_cost.log2_n;
    hash[1] = (uint8_t)scrypt_cost.r;
    hash[2] = (uint8_t)scrypt_cost.p;
    memcpy(hash + COST_SIZE, salt, SCRYPT_SALT_SIZE);
}

size_t password_hash_begin(enum hash_kind kind, struct random *random,
                           uint8_t hash[PASSWORD_HASH_MAX])
{
    if (kind == HASH_SCRYPT) {
        begin_scrypt(random, hash);
    } else {
        uint64_t salt = random_next(random);
        memcpy(hash, &salt, SALT_SIZE);
    }
    return hash_size((uint8_t)kind);
}

void password_hash_end(enum hash_kind kind, struct bytes password, uint8_t hash[PASSWORD_HASH_MAX])
{
    if (kind == HASH_SCRYPT)
        scrypt_of(bytes_of(hash, KEY_AT), password, hash + KEY_AT);
    else
        digest_of((uint8_t)kind, bytes_of(hash, SALT_SIZE), password, hash + SALT_SIZE);
}

size_t password_hash(enum hash_kind kind, struct bytes password, struct random *random,
                     uint8_t hash[PASSWORD_HASH_MAX])
{
    size_t size = password_hash_begin(kind, random, hash);
    password_hash_end(kind, password, hash);
    return size;
}

/* No early end: the time must not tell how many bytes are right. */
static bool are_equal(const uint8_t *one, const uint8_t *other, size_t size)
{
    uint8_t different = 0;
    for (size_t i = 0; i < size; i++)
        different |= (uint8_t)(one[i] ^ other[i]);
    return different == 0;
}

bool password_matches(uint8_t kind, struct bytes hash, struct bytes password)
{
    uint8_t digest[SHA512_SIZE];
    size_t salt_size = kind == HASH_SCRYPT ? KEY_AT : SALT_SIZE;
    if (kind == HASH_SCRYPT)
        scrypt_of(hash, password, digest);
    else
        digest_of(kind, bytes_of(hash.data, SALT_SIZE), password, digest);
    return are_equal(digest, hash.data + salt_size, hash.size - salt_size);
}
