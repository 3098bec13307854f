/* Users: looked at, made, changed, deleted. */
#include "api/resources.h"
#include "api/settings.h"
#include "base/base64.h"
#include "broker/login.h"

enum { USER_STEPS = 150 };

/* ---- what one looks like ---- */

static void write_user(const struct user *user, struct fields *fields)
{
    struct buffer hash = {0};
    if (user->has_password)
        base64_write(bytes_of(user->password_hash, hash_size(user->hash_kind)), &hash);
    fields_text(fields, "name", user_name(user));
    fields_text(fields, "password_hash", buffer_bytes(&hash));
    fields_string(fields, "hashing_algorithm", hash_kind_name(user->hash_kind));
    fields_words(fields, "tags", user->tags_text);
    if (fields_open(fields, "limits", '{')) {
        call_write_user_limits(user, fields);
        fields_close(fields, '}');
    }
    buffer_free(&hash);
}

/* ---- lists ---- */

static void add_user(void *context, void *value)
{
    listing_add(context, user_name(value));
}

static void add_without_permissions(void *context, void *value)
{
    const struct user *user = value;
    if (map_count(&user->permissions) == 0)
        listing_add(context, user_name(user));
}

static bool collect(struct listing *listing, struct budget *budget)
{
    (void)budget;
    return map_each_of_part(&listing->call->api->broker->users, &listing->at, add_user, listing);
}

static bool collect_without_permissions(struct listing *listing, struct budget *budget)
{
    (void)budget;
    return map_each_of_part(&listing->call->api->broker->users, &listing->at,
                            add_without_permissions, listing);
}

static bool write_listed(struct listing *listing, struct bytes id, struct fields *fields)
{
    const struct user *user = user_find(listing->call->api->broker, id);
    if (!user)
        return false;
    fields_begin(fields, '{');
    write_user(user, fields);
    fields_end(fields, '}');
    return true;
}

const struct listing_kind users_kind = {
    .collect = collect, .write = write_listed, .steps = USER_STEPS};
static const struct listing_kind without_permissions_kind = {
    .collect = collect_without_permissions, .write = write_listed, .steps = USER_STEPS};

void users_list(struct call *call)
{
    call_list(call, &users_kind, NULL);
}

void users_without_permissions_list(struct call *call)
{
    call_list(call, &without_permissions_kind, NULL);
}

/* ---- one of them ---- */

void user_get(struct call *call)
{
    const struct user *user = call_user(call, call->segments[0]);
    if (!user)
        return;
    struct fields fields = call_tell(call);
    write_user(user, &fields);
    call_told(call, &fields);
}

/* As RabbitMQ 2 had it, `administrator` may stand for them. */
static bool read_tags(struct call *call, struct buffer *tags)
{
    bool is_administrator = false;
    const struct json *body = call_json(call);
    if (call->status)
        return false;
    if (json_find(body, "tags"))
        return call_read_words(call, "tags", tags);
    if (!call_read_flag(call, "administrator", &is_administrator))
        return false;
    if (!json_find(body, "administrator"))
        call_fail(call, 400, "bad_request", "tags_not_present");
    else if (is_administrator)
        buffer_add(tags, "administrator", 13);
    return call->status == 0;
}

static bool read_algorithm(struct call *call, uint8_t *kind)
{
    struct bytes name = {0};
    *kind = call->api->broker->options.password_kind;
    if (!call_read_text(call, "hashing_algorithm", &name))
        return false;
    if (name.size && !hash_kind_find(name, kind))
        call_fail(
            call, 400, "bad_request",
            "hashing_algorithm '%.*s' is not known; it may be rabbit_password_hashing_sha256, "
            "rabbit_password_hashing_sha512, rabbit_password_hashing_md5 or leveret_scrypt",
            BYTES_ARG(name));
    return call->status == 0;
}

/* Of the password, or as it is given, or nothing: then the user cannot log in by a password. False: it
 * waits to be made, or the call is answered. */
static bool read_hash(struct call *call, uint8_t *kind, struct buffer *hash)
{
    struct bytes password = {0}, given = {0};
    uint8_t room[PASSWORD_HASH_MAX];
    if (!read_algorithm(call, kind) || !call_read_text(call, "password", &password) ||
        !call_read_text(call, "password_hash", &given))
        return false;
    if (given.data && !base64_read(given, hash))
        call_fail(call, 400, "bad_request", "password_hash is not base64 of salt and digest");
    else if (!given.data && password.size) {
        if (!login_hash(call->api->broker, *kind, password, room, &call->login))
            return false;
        buffer_add(hash, room, hash_size(*kind));
    }
    return call->status == 0;
}

void user_put_it(struct call *call)
{
    uint8_t kind;
    struct error error = {0};
    struct buffer hash = {0}, tags = {0};
    struct broker *broker = call->api->broker;
    bool is_new = !user_find(broker, call->segments[0]);
    if (read_tags(call, &tags) && read_hash(call, &kind, &hash)) {
        struct bytes digest = buffer_bytes(&hash), words = buffer_bytes(&tags);
        struct user_request request = {
            .name = call->segments[0], .password_hash = &digest, .hash_kind = kind, .tags = &words};
        if (user_set(broker, &request, &error))
            call_done(call, is_new);
        else
            call_fail_as(call, &error);
    }
    buffer_free(&hash);
    buffer_free(&tags);
}

void user_delete_it(struct call *call)
{
    struct error error = {0};
    if (!call_user(call, call->segments[0]))
        return;
    if (user_delete(call->api->broker, call->segments[0], &error))
        call_done(call, false);
    else
        call_fail_as(call, &error);
}

/* ---- many at once: all of them or none ---- */

static bool check_names(struct call *call, const struct json *names)
{
    if (json_kind_of(names) != JSON_IS_ARRAY)
        call_fail(call, 400, "bad_request", "users is %s, and should be an array",
                  json_kind_name(json_kind_of(names)));
    for (size_t i = 0; i < json_count(names) && !call->status; i++) {
        struct bytes name = json_text(json_item(names, i));
        if (json_kind_of(json_item(names, i)) != JSON_IS_TEXT)
            call_fail(call, 400, "bad_request", "users has something that is no string");
        else if (!user_find(call->api->broker, name))
            call_fail(call, 400, "bad_request", "no_such_user: %.*s", BYTES_ARG(name));
    }
    return call->status == 0;
}

void users_bulk_delete(struct call *call)
{
    static const char *const needed[] = {"users", NULL};
    struct error error;
    if (!call_needs(call, needed))
        return;
    const struct json *names = json_find(call_json(call), "users");
    if (!check_names(call, names))
        return;
    for (size_t i = 0; i < json_count(names); i++) {
        struct bytes name = json_text(json_item(names, i));
        if (!user_find(call->api->broker, name))
            continue; /* it was named twice */
        user_delete(call->api->broker, name, &error);
        call_log(call, name);
    }
    call_done(call, false);
}
