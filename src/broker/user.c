#include "broker/user.h"

#include "amqp/reply.h"
#include "base/mem.h"
#include "broker/apply.h"
#include "broker/name.h"
#include "broker/permission.h"
#include "broker/quota.h"

enum { TAGS_BYTES_MAX = 1024 };

struct user *user_find(const struct broker *broker, struct bytes name)
{
    return map_find(&broker->users, name);
}

struct user *user_need(const struct broker *broker, struct bytes name, struct error *error)
{
    struct user *user = user_find(broker, name);
    if (!user)
        error_set(error, REPLY_NOT_FOUND, "no user '%.*s'", BYTES_ARG(name));
    return user;
}

bool user_has_limits(const struct user *user)
{
    return user->max_connections.is_set || user->max_channels.is_set || quota_is_set(user->quota);
}

bool user_check_password(const struct user *user, struct bytes password)
{
    static const uint8_t nobody[PASSWORD_HASH_SIZE];
    bool can_log_in = user && user->has_password;
    uint8_t kind = can_log_in ? user->hash_kind : HASH_SHA256;
    const uint8_t *hash = can_log_in ? user->password_hash : nobody;
    return password_matches(kind, bytes_of(hash, hash_size(kind)), password) && can_log_in;
}

/* ---- applying ---- */

static struct user *user_new(struct broker *broker, struct bytes name)
{
    struct user *user = mem_zalloc(sizeof(*user) + name.size + 1);
    user->name_size = name.size;
    if (name.size)
        memcpy(user->name, name.data, name.size);
    map_init(&user->permissions, random_next(broker->random));
    map_init(&user->topics, random_next(broker->random));
    map_add(&broker->users, user_name(user), user);
    return user;
}

void user_free(struct user *user)
{
    permissions_free(user);
    quota_free(user->quota);
    mem_free(user->tags_text);
    mem_free(user);
}

void user_hold(struct user *user)
{
    user->holders++;
}

void user_release(struct user *user)
{
    if (--user->holders == 0 && user->is_gone)
        user_free(user);
}

static void user_end(struct broker *broker, struct user *user)
{
    map_remove(&broker->users, user_name(user));
    user->is_gone = true;
    broker->topology++;
    broker->evictions++;
    user_hold(user);
    user_release(user);
}

/* The next word of a list with commas; false at its end. */
static bool next_tag(struct bytes *list, struct bytes *tag)
{
    const uint8_t *at = list->data, *end = at + list->size;
    while (at < end && (*at == ',' || *at == ' '))
        at++;
    const uint8_t *begin = at;
    while (at < end && *at != ',' && *at != ' ')
        at++;
    *tag = bytes_of(begin, (size_t)(at - begin));
    *list = bytes_of(at, (size_t)(end - at));
    return tag->size;
}

unsigned user_tags_of(struct bytes list)
{
    static const char *const names[] = {"administrator", "monitoring", "policymaker", "management",
                                        "impersonator"};
    unsigned tags = 0;
    for (struct bytes tag; list.size && next_tag(&list, &tag);)
        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
            if (bytes_equal_str(tag, names[i]))
                tags |= 1U << i;
    return tags;
}

void user_apply(struct broker *broker, const struct change *change)
{
    struct user *user = user_find(broker, change->name);
    if (change->is_delete) {
        if (user)
            user_end(broker, user);
        return;
    }
    if (!user)
        user = user_new(broker, change->name);
    user->is_proven = false;
    user->hash_kind = change->hash_kind;
    broker->logins.any_slow |= hash_is_slow(change->hash_kind);
    user->has_password = change->password_hash.size;
    if (user->has_password)
        memmove(user->password_hash, change->password_hash.data, change->password_hash.size);
    mem_free(user->tags_text);
    user->tags_text = text_copy(change->tags);
    user->tags = user_tags_of(bytes_str(user->tags_text));
    user->max_connections = change->max_connections;
    user->max_channels = change->max_parts;
    quota_set(broker, &user->quota, "user", user_name(user), &change->quotas);
    user->is_old = change->is_old;
}

/* ---- deciding ---- */

struct change user_change(const struct user *user, struct changes *changes)
{
    size_t size = user->has_password ? hash_size(user->hash_kind) : 0;
    return (struct change){
        .kind = CATALOGUE_USER,
        .durable = true,
        .name = user_name(user),
        .password_hash = bytes_of(user->password_hash, size),
        .hash_kind = user->hash_kind,
        .tags = changes_keep(changes, bytes_str(user->tags_text)),
        .max_connections = user->max_connections,
        .max_parts = user->max_channels,
        .quotas = quota_limits_of(user->quota),
    };
}

static bool check_hash(const struct user_request *request, struct error *error)
{
    uint8_t kind = (uint8_t)request->hash_kind;
    if (hash_is_possible(kind, *request->password_hash))
        return true;
    if (request->password_hash->size != hash_size(kind))
        return error_set(error, REPLY_PRECONDITION_FAILED,
                         "a password hash of user '%.*s' has %zu bytes instead of %zu",
                         BYTES_ARG(request->name), request->password_hash->size, hash_size(kind));
    return error_set(error, REPLY_PRECONDITION_FAILED,
                     "to check a password of user '%.*s' by its hash would cost too much, or nothing",
                     BYTES_ARG(request->name));
}

static bool check_request(const struct user_request *request, struct error *error)
{
    struct bytes name = request->name;
    if (name.size == 0 || name.size > NAME_MAX_SIZE)
        return error_set(error, REPLY_PRECONDITION_FAILED,
                         "the name of a user has 1 to %d bytes, and not %zu", NAME_MAX_SIZE,
                         name.size);
    if (bytes_have_nul(name))
        return error_set(error, REPLY_PRECONDITION_FAILED,
                         "the name of a user has no NUL byte in it");
    if (request->password_hash && !check_hash(request, error))
        return false;
    if (request->tags && request->tags->size > TAGS_BYTES_MAX)
        return error_set(error, REPLY_PRECONDITION_FAILED,
                         "the tags of user '%.*s' have more than %d bytes", BYTES_ARG(name),
                         TAGS_BYTES_MAX);
    return true;
}

bool user_set_decide(const struct broker *broker, const struct user_request *request,
                     struct changes *changes, struct error *error)
{
    const struct user *user = user_find(broker, request->name);
    if (!check_request(request, error))
        return false;
    struct change change = {.kind = CATALOGUE_USER, .durable = true, .name = request->name};
    if (user)
        change = user_change(user, changes);
    if (request->password_hash) {
        change.password_hash = *request->password_hash;
        change.hash_kind = (uint8_t)request->hash_kind;
    }
    if (request->tags)
        change.tags = *request->tags;
    if (request->max_connections)
        change.max_connections = *request->max_connections;
    if (request->max_channels)
        change.max_parts = *request->max_channels;
    if (request->quotas)
        change.quotas = *request->quotas;
    changes_add(changes, &change);
    return true;
}

bool user_delete_decide(const struct broker *broker, struct bytes name, struct changes *changes,
                        struct error *error)
{
    const struct user *user = user_need(broker, name, error);
    if (!user)
        return false;
    permissions_clear_decide(user, bytes_of(NULL, 0), changes);
    struct change change = user_change(user, changes);
    change.is_delete = true;
    changes_add(changes, &change);
    return true;
}

/* ---- both ---- */

bool user_set(struct broker *broker, const struct user_request *request, struct error *error)
{
    bool allowed = user_set_decide(broker, request, &broker->changes, error);
    changes_apply(broker, &broker->changes);
    return allowed;
}

bool user_delete(struct broker *broker, struct bytes name, struct error *error)
{
    bool allowed = user_delete_decide(broker, name, &broker->changes, error);
    changes_apply(broker, &broker->changes);
    return allowed;
}

bool user_set_password(struct broker *broker, struct bytes name, enum hash_kind kind,
                       struct bytes password, struct error *error)
{
    uint8_t room[PASSWORD_HASH_MAX];
    if (password.size == 0)
        return error_set(error, REPLY_PRECONDITION_FAILED,
                         "an empty password is none: user '%.*s' could not log in",
                         BYTES_ARG(name));
    struct bytes hash = bytes_of(room, password_hash(kind, password, broker->random, room));
    struct user_request request = {.name = name, .password_hash = &hash, .hash_kind = kind};
    return user_need(broker, name, error) && user_set(broker, &request, error);
}

bool user_clear_password(struct broker *broker, struct bytes name, struct error *error)
{
    struct bytes none = bytes_of(NULL, 0);
    struct user_request request = {.name = name, .password_hash = &none};
    return user_need(broker, name, error) && user_set(broker, &request, error);
}

bool user_set_tags(struct broker *broker, struct bytes name, struct bytes tags, struct error *error)
{
    struct user_request request = {.name = name, .tags = &tags};
    return user_need(broker, name, error) && user_set(broker, &request, error);
}

struct user *user_put_hash(struct broker *broker, struct bytes name, struct bytes hash)
{
    struct error error;
    struct user_request request = {.name = name, .password_hash = &hash};
    user_set(broker, &request, &error);
    return user_find(broker, name);
}

struct user *user_put(struct broker *broker, struct bytes name, struct bytes password)
{
    uint8_t room[PASSWORD_HASH_MAX];
    struct error error;
    uint8_t kind = broker->options.password_kind;
    struct bytes hash = bytes_of(room, password_hash(kind, password, broker->random, room));
    struct user_request request = {.name = name, .password_hash = &hash, .hash_kind = kind};
    user_set(broker, &request, &error);
    return user_find(broker, name);
}
