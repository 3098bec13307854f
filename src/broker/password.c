#include "broker/password.h"

#include "base/digest.h"

size_t hash_size(uint8_t kind)
{
    static const size_t sizes[HASH_KINDS] = {
        [HASH_SHA256] = SHA256_SIZE, [HASH_SHA512] = SHA512_SIZE, [HASH_MD5] = MD5_SIZE};
    return kind < HASH_KINDS ? SALT_SIZE + sizes[kind] : 0;
}

bool hash_is_possible(uint8_t kind, struct bytes hash)
{
    return kind < HASH_KINDS && (hash.size == 0 || hash.size == hash_size(kind));
}

static const char *const kind_names[HASH_KINDS] = {[HASH_SHA256] = "rabbit_password_hashing_sha256",
                                                   [HASH_SHA512] = "rabbit_password_hashing_sha512",
                                                   [HASH_MD5] = "rabbit_password_hashing_md5"};

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

size_t password_hash(enum hash_kind kind, struct bytes password, struct random *random,
                     uint8_t hash[PASSWORD_HASH_MAX])
{
    uint64_t salt = random_next(random);
    memcpy(hash, &salt, SALT_SIZE);
    digest_of((uint8_t)kind, bytes_of(hash, SALT_SIZE), password, hash + SALT_SIZE);
    return hash_size((uint8_t)kind);
}

bool password_matches(uint8_t kind, struct bytes hash, struct bytes password)
{
    uint8_t digest[SHA512_SIZE];
    digest_of(kind, bytes_of(hash.data, SALT_SIZE), password, digest);
    /* No early end: the time must not tell how many bytes are right. */
    uint8_t different = 0;
    for (size_t i = 0; i < hash.size - SALT_SIZE; i++)
        different |= (uint8_t)(digest[i] ^ hash.data[SALT_SIZE + i]);
    return different == 0;
}
