/* Digests, by Nettle. */
#include "base/digest.h"

#include <assert.h>
#include <nettle/md5.h>
#include <nettle/nettle-meta.h>
#include <nettle/pbkdf2.h>
#include <nettle/sha1.h>
#include <nettle/sha2.h>
#include <stdio.h>

_Static_assert(SHA256_SIZE == SHA256_DIGEST_SIZE && SHA512_SIZE == SHA512_DIGEST_SIZE &&
                   MD5_SIZE == MD5_DIGEST_SIZE && SHA1_SIZE == SHA1_DIGEST_SIZE,
               "both mean the same algorithms");

static void digest_of(const struct nettle_hash *hash, struct bytes first, struct bytes second,
                      uint8_t *digest)
{
    union {
        struct sha256_ctx sha256;
        struct sha512_ctx sha512;
        struct md5_ctx md5;
        struct sha1_ctx sha1;
    } context;
    assert(hash->context_size <= sizeof(context));
    hash->init(&context);
    hash->update(&context, first.size, first.data);
    hash->update(&context, second.size, second.data);
    hash->digest(&context, hash->digest_size, digest);
}

void sha256(struct bytes first, struct bytes second, uint8_t digest[SHA256_SIZE])
{
    digest_of(&nettle_sha256, first, second, digest);
}

void sha512(struct bytes first, struct bytes second, uint8_t digest[SHA512_SIZE])
{
    digest_of(&nettle_sha512, first, second, digest);
}

void md5(struct bytes first, struct bytes second, uint8_t digest[MD5_SIZE])
{
    digest_of(&nettle_md5, first, second, digest);
}

void sha1(struct bytes first, struct bytes second, uint8_t digest[SHA1_SIZE])
{
    digest_of(&nettle_sha1, first, second, digest);
}

void digest_write(const uint8_t *digest, size_t size, char *text)
{
    for (size_t i = 0; i < size; i++)
        snprintf(text + 2 * i, 3, "%02x", digest[i]);
}

void pbkdf2_sha256(struct bytes password, struct bytes salt, uint8_t *key, size_t key_size)
{
    pbkdf2_hmac_sha256(password.size, password.data, 1, salt.size, salt.data, key_size, key);
}
