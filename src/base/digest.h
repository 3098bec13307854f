/* Digests: SHA-256 and SHA-512 (FIPS 180-4); and MD5 (RFC 1321) and SHA-1, which protect nothing, but are what
 * old hashes of passwords were made with, and what WebSocket answers with. */
#ifndef LEVERET_BASE_DIGEST_H
#define LEVERET_BASE_DIGEST_H

#include "base/bytes.h"

enum { SHA256_SIZE = 32, SHA512_SIZE = 64, MD5_SIZE = 16, SHA1_SIZE = 20 };

/* The digest of `first` followed by `second`; either may be empty. */
void sha256(struct bytes first, struct bytes second, uint8_t digest[SHA256_SIZE]);
void sha512(struct bytes first, struct bytes second, uint8_t digest[SHA512_SIZE]);
void md5(struct bytes first, struct bytes second, uint8_t digest[MD5_SIZE]);
void sha1(struct bytes first, struct bytes second, uint8_t digest[SHA1_SIZE]);

/* A digest of so many bytes in hexadecimal digits: `text` has room for two of each, and a byte 0. */
void digest_write(const uint8_t *digest, size_t size, char *text);

/* A key of a password and a salt, with one iteration: PBKDF2 with HMAC-SHA-256 (RFC 8018). */
void pbkdf2_sha256(struct bytes password, struct bytes salt, uint8_t *key, size_t key_size);

#endif
