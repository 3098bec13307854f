/* Users, virtual hosts and what is allowed. */
#include "base/base64.h"
#include "broker/login.h"
#include "broker/permission.h"
#include "broker/user.h"
#include "definitions/import.h"

/* ---- users ---- */

static bool set_user(struct import *import, const struct user_request *request)
{
    struct error error;
    return user_set(import->broker, request, &error) || import_fail_with(import, &error);
}

static bool find_algorithm(struct import *import, const struct json *object, uint8_t *kind)
{
    struct bytes name = {0};
    *kind = import->is_old ? HASH_MD5 : import->broker->options.password_kind;
    if (!import_maybe_text(import, object, "hashing_algorithm", &name))
        return false;
    return !name.size || hash_kind_find(name, kind) ||
           import_fail(import,
                       "hashing_algorithm '%.*s' is not known; it may be "
                       "rabbit_password_hashing_sha256, rabbit_password_hashing_sha512, "
                       "rabbit_password_hashing_md5 or leveret_scrypt",
                       BYTES_ARG(name));
}

/* False: it waits, and the object comes again. */
static bool hash_password(struct import *import, uint8_t kind, struct bytes password,
                          struct buffer *hash)
{
    struct broker *broker = import->broker;
    uint8_t room[PASSWORD_HASH_MAX];
    if (!import->can_wait)
        password_hash(kind, password, broker->random, room);
    else
        import->is_waiting = !login_hash(broker, kind, password, room, &import->login);
    if (!import->is_waiting)
        buffer_add(hash, room, hash_size(kind));
    return !import->is_waiting;
}

/* The hash as it is given, or of the password that is. */
static bool find_hash(struct import *import, const struct json *object, uint8_t kind,
                      struct buffer *hash)
{
    struct bytes text = {0};
    if (json_find(object, "password_hash")) {
        return import_text(import, object, "password_hash", &text) &&
               (base64_read(text, hash) ||
                import_fail(import, "'password_hash' is not base64 of salt and digest"));
    }
    if (!json_find(object, "password"))
        return import_fail(import, "there is neither 'password_hash' nor 'password'; a user who "
                                   "cannot log in by a password has an empty 'password_hash'");
    if (!import_text(import, object, "password", &text))
        return false;
    return !text.size || hash_password(import, kind, text, hash);
}

static bool add_user(struct import *import, const struct json *object, struct buffer *hash)
{
    uint8_t kind;
    struct bytes name, tags = {0};
    struct limit connections, channels;
    struct quota_limits quotas;
    const struct named_limits limits = {
        true, {{"max-connections", &connections}, {"max-channels", &channels}}, &quotas};
    if (!import_text(import, object, "name", &name) || !find_algorithm(import, object, &kind) ||
        !find_hash(import, object, kind, hash) ||
        !import_maybe_words(import, object, "tags", &tags) ||
        !import_limits(import, json_find(object, "limits"), "limits", &limits))
        return false;
    struct bytes digest = buffer_bytes(hash);
    struct user_request request = {
        .name = name,
        .password_hash = &digest,
        .hash_kind = kind,
        .tags = &tags,
        .max_connections = &connections,
        .max_channels = &channels,
        .quotas = &quotas,
    };
    return set_user(import, &request);
}

bool import_user(struct import *import, const struct json *object)
{
    struct buffer hash = {0};
    bool is_fine = add_user(import, object, &hash);
    buffer_free(&hash);
    return is_fine;
}

/* ---- virtual hosts ---- */

/* RabbitMQ writes `undefined` for none. */
static bool find_queue_type(struct import *import, const struct json *object, struct bytes *type)
{
    static const char *const types[] = {"classic", "quorum", "rabbit_classic_queue",
                                        "rabbit_quorum_queue"};
    if (!import_maybe_text(import, object, "default_queue_type", type))
        return false;
    if (bytes_equal_str(*type, "undefined"))
        *type = bytes_of(NULL, 0);
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        if (!type->size || bytes_equal_str(*type, types[i]))
            return true;
    return import_fail(import, "'default_queue_type' is '%.*s'; it may be classic or quorum",
                       BYTES_ARG(*type));
}

static bool describe(struct import *import, const struct json *object, struct bytes *description,
                     struct bytes *tags, struct bytes *type)
{
    return import_maybe_text(import, object, "description", description) &&
           import_maybe_words(import, object, "tags", tags) &&
           find_queue_type(import, object, type);
}

static bool set_vhost(struct import *import, const struct vhost_request *request)
{
    struct error error;
    return vhost_set(import->broker, request, &error) || import_fail_with(import, &error);
}

bool import_vhost_limits(struct import *import, struct bytes name, const struct json *limits,
                         const char *member)
{
    struct limit connections, queues;
    struct quota_limits quotas;
    const struct named_limits known = {
        false, {{"max-connections", &connections}, {"max-queues", &queues}}, &quotas};
    struct vhost_request request = {.name = name,
                                    .max_connections = &connections,
                                    .max_queues = &queues,
                                    .quotas = &quotas};
    return import_limits(import, limits, member, &known) && set_vhost(import, &request);
}

bool import_vhost_named(struct import *import, struct bytes name, const struct json *object)
{
    struct bytes description = {0}, tags = {0}, type = {0};
    bool is_protected = false;
    const struct json *limits = json_find(object, "limits");
    const struct json *metadata = json_find(object, "metadata");
    bool is_said = json_find(metadata, "protected_from_deletion");
    struct vhost_request request = {.name = name,
                                    .description = &description,
                                    .tags = &tags,
                                    .queue_type = &type,
                                    .is_protected = is_said ? &is_protected : NULL};
    return import_maybe_flag(import, metadata, "protected_from_deletion", &is_protected) &&
           describe(import, metadata, &description, &tags, &type) &&
           describe(import, object, &description, &tags, &type) && set_vhost(import, &request) &&
           (import_is_nothing(limits) || import_vhost_limits(import, name, limits, "limits"));
}

bool import_one_vhost(struct import *import, const struct json *object)
{
    struct bytes name;
    return import_text(import, object, "name", &name) && import_vhost_named(import, name, object);
}

/* ---- permissions ---- */

static bool is_user(struct import *import, struct bytes name)
{
    return user_find(import->broker, name) ||
           import_fail(import,
                       "no user '%.*s': it is neither there nor among the 'users' of the file",
                       BYTES_ARG(name));
}

static bool find_common(struct import *import, const struct json *object,
                        struct permission_request *request)
{
    const struct vhost *vhost;
    if (!import_text(import, object, "user", &request->user) || !is_user(import, request->user) ||
        !(vhost = import_vhost(import, object)))
        return false;
    request->vhost = vhost_name(vhost);
    return import_text(import, object, "write", &request->write) &&
           import_text(import, object, "read", &request->read);
}

bool import_permission(struct import *import, const struct json *object)
{
    struct error error;
    struct permission_request request = {0};
    return find_common(import, object, &request) &&
           import_text(import, object, "configure", &request.configure) &&
           (permission_set(import->broker, &request, &error) || import_fail_with(import, &error));
}

bool import_topic_permission(struct import *import, const struct json *object)
{
    struct error error;
    struct permission_request request = {0};
    return find_common(import, object, &request) &&
           import_text(import, object, "exchange", &request.exchange) &&
           (topic_permission_set(import->broker, &request, &error) ||
            import_fail_with(import, &error));
}
