/* SHA-256, by Nettle. */
#include "base/sha256.h"

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
