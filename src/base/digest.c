/* Digests, by Nettle. */
#include "base/digest.h"

#include <nettle/md5.h>
#include <nettle/sha2.h>

void sha256(struct bytes first, struct bytes second, uint8_t digest[SHA256_SIZE])
{
    struct sha256_ctx context;
    _Static_assert(SHA256_SIZE == SHA256_DIGEST_SIZE, "both mean the same algorithm");
    sha256_init(&context);
    sha256_update(&context, first.size, first.data);
    sha256_update(&context, second.size, second.data);
    sha256_digest(&context, SHA256_SIZE, digest);
}

void sha512(struct bytes first, struct bytes second, uint8_t digest[SHA512_SIZE])
{
    struct sha512_ctx context;
    _Static_assert(SHA512_SIZE == SHA512_DIGEST_SIZE, "both mean the same algorithm");
    sha512_init(&context);
    sha512_update(&context, first.size, first.data);
    sha512_update(&context, second.size, second.data);
    sha512_digest(&context, SHA512_SIZE, digest);
}

void md5(struct bytes first, struct bytes second, uint8_t digest[MD5_SIZE])
{
    struct md5_ctx context;
    _Static_assert(MD5_SIZE == MD5_DIGEST_SIZE, "both mean the same algorithm");
    md5_init(&context);
    md5_update(&context, first.size, first.data);
    md5_update(&context, second.size, second.data);
    md5_digest(&context, MD5_SIZE, digest);
}
