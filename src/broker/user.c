#include "broker/user.h"

#include <assert.h>

#include "base/mem.h"
#include "base/digest.h"
#include "broker/apply.h"

struct user *user_find(const struct broker *broker, struct bytes name)
{
    return map_find(&broker->users, name);
}

static void password_digest(const uint8_t salt[SALT_SIZE], struct bytes password,
                            uint8_t digest[SHA256_SIZE])
{
    sha256(bytes_of(salt, SALT_SIZE), password, digest);
}

static struct user *user_new(struct broker *broker, struct bytes name)
{
    struct user *user = mem_zalloc(sizeof(*user) + name.size + 1);
    user->name_size = name.size;
    if (name.size)
        memcpy(user->name, name.data, name.size);
    map_add(&broker->users, bytes_of(user->name, user->name_size), user);
    return user;
}

/* No function deletes a user yet. */
void user_apply(struct broker *broker, const struct change *change)
{
    assert(!change->is_delete);
    struct user *user = user_find(broker, change->name);
    if (!user)
        user = user_new(broker, change->name);
    user->has_password = change->password_hash.size == PASSWORD_HASH_SIZE;
    if (user->has_password)
        memcpy(user->password_hash, change->password_hash.data, PASSWORD_HASH_SIZE);
}

struct user *user_put_hash(struct broker *broker, struct bytes name, struct bytes password_hash)
{
    struct change change = {
        .kind = CATALOGUE_USER, .durable = true, .name = name, .password_hash = password_hash};
    catalogue_apply(broker, &change, ON_RECORD);
    return user_find(broker, name);
}

struct user *user_put(struct broker *broker, struct bytes name, struct bytes password)
{
    uint8_t hash[PASSWORD_HASH_SIZE];
    uint64_t random = random_next(broker->random);
    memcpy(hash, &random, SALT_SIZE);
    password_digest(hash, password, hash + SALT_SIZE);
    return user_put_hash(broker, name, bytes_of(hash, sizeof(hash)));
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
