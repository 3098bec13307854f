/* By libcrypto. It can fail only for lack of memory, or where a policy of the system forbids the
 * algorithm; both end the process, as nothing that asks for a digest can go on without. */
#include "base/sha256.h"

#include <stdio.h>
#include <stdlib.h>

#include <openssl/evp.h>

void sha256(struct bytes first, struct bytes second, uint8_t digest[SHA256_SIZE])
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool done = context && EVP_DigestInit_ex(context, EVP_sha256(), NULL) &&
                (first.size == 0 || EVP_DigestUpdate(context, first.data, first.size)) &&
                (second.size == 0 || EVP_DigestUpdate(context, second.data, second.size)) &&
                EVP_DigestFinal_ex(context, digest, NULL);
    EVP_MD_CTX_free(context);
    if (!done) {
        fputs("SHA-256 is not available\n", stderr);
        abort();
    }
}
