#include "broker/user.h"

#include "base/mem.h"
#include "base/sha256.h"
#include "broker/catalogue.h"

struct user *user_find(const struct broker *broker, struct bytes name)
{
    return map_find(&broker->users, name);
}

static void password_digest(const uint8_t salt[SALT_SIZE], struct bytes password,
                            uint8_t digest[SHA256_SIZE])
{
    sha256(bytes_of(salt, SALT_SIZE), password, digest);
}

struct user *user_put_hash(struct broker *broker, struct bytes name, struct bytes password_hash,
                           bool record)
{
    struct user *user = user_find(broker, name);
    if (!user) {
        user = mem_zalloc(sizeof(*user) + name.size + 1);
        user->name_size = name.size;
        if (name.size)
            memcpy(user->name, name.data, name.size);
        map_add(&broker->users, bytes_of(user->name, user->name_size), user);
    }
    user->has_password = password_hash.size == PASSWORD_HASH_SIZE;
    if (user->has_password)
        memcpy(user->password_hash, password_hash.data, PASSWORD_HASH_SIZE);
    if (record)
        catalogue_put_user(broker, user);
    return user;
}

struct user *user_put(struct broker *broker, struct bytes name, struct bytes password, bool record)
{
    uint8_t hash[PASSWORD_HASH_SIZE];
    uint64_t random = random_next(broker->random);
    memcpy(hash, &random, SALT_SIZE);
    password_digest(hash, password, hash + SALT_SIZE);
    return user_put_hash(broker, name, bytes_of(hash, sizeof(hash)), record);
}

bool user_check_password(const struct user *user, struct bytes password)
{
    static const uint8_t nobody[PASSWORD_HASH_SIZE];
    bool can_log_in = user && user->has_password;
    const uint8_t *hash = can_log_in ? user->password_hash : nobody;
    uint8_t digest[SHA256_SIZE];
    password_digest(hash, password, digest);
    /* No early end: the time must not tell how many bytes are right. */
    uint8_t different = 0;
    for (size_t i = 0; i < SHA256_SIZE; i++)
        different |= (uint8_t)(digest[i] ^ hash[SALT_SIZE + i]);
    return can_log_in && different == 0;
}
