/* Passwords, kept as RabbitMQ keeps them: four bytes of salt, then a digest of salt and password. Or
 * by scrypt, which makes guessing expensive: three bytes that say what a check costs, 16 bytes of
 * salt, and a key. */
#ifndef LEVERET_BROKER_PASSWORD_H
#define LEVERET_BROKER_PASSWORD_H

#include "base/bytes.h"
#include "base/random.h"

/* The numbers are on record. */
enum hash_kind { HASH_SHA256, HASH_SHA512, HASH_MD5, HASH_SCRYPT, HASH_KINDS };

enum {
    SALT_SIZE = 4,
    PASSWORD_HASH_SIZE = SALT_SIZE + 32, /* of HASH_SHA256 */
    PASSWORD_HASH_MAX = SALT_SIZE + 64,
};

/* All of it together; 0: there is no such kind. */
size_t hash_size(uint8_t kind);
/* Of the size that its kind has, and not too expensive; or empty, for who cannot log in. */
bool hash_is_possible(uint8_t kind, struct bytes hash);
/* The kind by RabbitMQ's name of it, `rabbit_password_hashing_sha256` and so on; false: it is none.
 */
bool hash_kind_find(struct bytes name, uint8_t *kind);
/* And back; `kind` is one. */
const char *hash_kind_name(uint8_t kind);
/* Takes a check of that kind a good part of a second? */
bool hash_is_slow(uint8_t kind);
/* Hashes with a new salt; returns the size of the hash. */
size_t password_hash(enum hash_kind kind, struct bytes password, struct random *random,
                     uint8_t hash[PASSWORD_HASH_MAX]);
/* The same in two steps, of which the second may take long, and be done by anybody: all of the hash
 * that does not depend on the password, and the rest. */
size_t password_hash_begin(enum hash_kind kind, struct random *random,
                           uint8_t hash[PASSWORD_HASH_MAX]);
void password_hash_end(enum hash_kind kind, struct bytes password, uint8_t hash[PASSWORD_HASH_MAX]);
/* `hash`: a possible one, not empty. Takes as long for a wrong password as for the right one. */
bool password_matches(uint8_t kind, struct bytes hash, struct bytes password);

#endif
