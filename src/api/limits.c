/* How much a virtual host, or a user, may have: seen, set one by one, and taken away. */
#include <stdio.h>

#include "api/resources.h"
#include "api/settings.h"

enum { LIMITS_STEPS = 60 };

/* ---- what they look like ---- */

static void add_limit(struct fields *fields, const char *name, struct limit limit)
{
    if (limit.is_set)
        fields_whole(fields, name, limit.most);
}

void call_write_vhost_limits(const struct vhost *vhost, struct fields *fields)
{
    add_limit(fields, "max-connections", vhost->max_connections);
    add_limit(fields, "max-queues", vhost->max_queues);
}

/* ---- lists of those who have any ---- */

static bool collect_vhosts(struct listing *listing, struct budget *budget)
{
    const struct vhost *vhost = listing_vhost(listing);
    (void)budget;
    if (!vhost)
        return false;
    if (vhost->max_connections.is_set || vhost->max_queues.is_set)
        listing_add_named(listing, bytes_of(NULL, 0));
    listing_next_vhost(listing);
    return true;
}

static bool write_listed_vhost(struct listing *listing, struct bytes id, struct fields *fields)
{
    struct bytes name;
    const struct vhost *vhost = listing_vhost_of(listing, id, &name);
    fields_begin(fields, '{');
    fields_text(fields, "vhost", vhost_name(vhost));
    if (fields_open(fields, "value", '{')) {
        call_write_vhost_limits(vhost, fields);
        fields_close(fields, '}');
    }
    fields_end(fields, '}');
    return true;
}

static const struct listing_kind limited_vhosts_kind = {
    .collect = collect_vhosts, .write = write_listed_vhost, .steps = LIMITS_STEPS};

void vhost_limits_list(struct call *call)
{
    call_list_in(call, &limited_vhosts_kind);
}

/* Who is no administrator sees his own. */
static bool sees(const struct call *call, const struct user *user)
{
    return call_is_administrator(call) || call->user == user;
}

static void add_user(void *context, void *value)
{
    struct listing *listing = context;
    const struct user *user = value;
    struct bytes only = listing->call->segments[0];
    if ((user->max_connections.is_set || user->max_channels.is_set) && sees(listing->call, user) &&
        (!only.data || bytes_equal(only, user_name(user))))
        listing_add(listing, user_name(user));
}

static bool collect_users(struct listing *listing, struct budget *budget)
{
    (void)budget;
    return map_each_of_part(&listing->call->api->broker->users, &listing->at, add_user, listing);
}

static bool write_listed_user(struct listing *listing, struct bytes id, struct fields *fields)
{
    const struct user *user = user_find(listing->call->api->broker, id);
    if (!user)
        return false;
    fields_begin(fields, '{');
    fields_text(fields, "user", id);
    if (fields_open(fields, "value", '{')) {
        add_limit(fields, "max-connections", user->max_connections);
        add_limit(fields, "max-channels", user->max_channels);
        fields_close(fields, '}');
    }
    fields_end(fields, '}');
    return true;
}

static const struct listing_kind limited_users_kind = {
    .collect = collect_users, .write = write_listed_user, .steps = LIMITS_STEPS};

void user_limits_list(struct call *call)
{
    if (!call->segments[0].data || call_user(call, call->segments[0]))
        call_list(call, &limited_users_kind, NULL);
}

/* ---- one of them ---- */

/* A negative number is no limit. */
static bool read_limit(struct call *call, const char *name, const struct json *value,
                       struct limit *limit)
{
    enum json_kind kind = json_kind_of(value);
    int64_t most = json_whole(value);
    if (kind != JSON_IS_WHOLE)
        call_fail(call, 400, "bad_request", "%s should be a number, and is %s", name,
                  json_kind_name(kind));
    else if (most > UINT32_MAX)
        call_fail(call, 400, "bad_request", "%s is more than %u", name, UINT32_MAX);
    else if (most >= 0)
        *limit = (struct limit){true, (uint32_t)most};
    return call->status == 0;
}

static void refuse_name(struct call *call, struct bytes name, const char *other)
{
    call_fail(call, 400, "bad_request",
              "Unrecognised limit '%.*s'; it may be max-connections or %s", BYTES_ARG(name), other);
}

/* Which of both does the path name? NULL: none, and the call is answered. */
static struct limit *find_limit(struct call *call, const char *other, struct limit *connections,
                                struct limit *others)
{
    struct bytes name = call->segments[1];
    if (bytes_equal_str(name, "max-connections"))
        return connections;
    if (bytes_equal_str(name, other))
        return others;
    refuse_name(call, name, other);
    return NULL;
}

static bool read_value(struct call *call, struct limit *limit)
{
    static const char *const needed[] = {"value", NULL};
    char name[32];
    snprintf(name, sizeof(name), "%.*s", BYTES_ARG(call->segments[1]));
    *limit = (struct limit){0};
    return call_needs(call, needed) &&
           read_limit(call, name, json_find(call_json(call), "value"), limit);
}

static void set_vhost_limits(struct call *call, const struct vhost *vhost,
                             const struct limit *connections, const struct limit *queues)
{
    struct error error = {0};
    struct vhost_request request = {
        .name = vhost_name(vhost), .max_connections = connections, .max_queues = queues};
    if (vhost_set(call->api->broker, &request, &error))
        call_done(call, false);
    else
        call_fail_as(call, &error);
}

static void change_vhost_limit(struct call *call, bool is_set)
{
    const struct vhost *vhost = call_vhost(call, true);
    if (!vhost)
        return;
    struct limit connections = vhost->max_connections, queues = vhost->max_queues;
    struct limit *limit = find_limit(call, "max-queues", &connections, &queues);
    if (limit && !is_set)
        *limit = (struct limit){0};
    if (limit && (!is_set || read_value(call, limit)))
        set_vhost_limits(call, vhost, &connections, &queues);
}

void vhost_limit_put(struct call *call)
{
    change_vhost_limit(call, true);
}

void vhost_limit_delete_it(struct call *call)
{
    change_vhost_limit(call, false);
}

void call_set_vhost_limits(struct call *call, const struct vhost *vhost, const struct json *object)
{
    struct limit connections = {0}, queues = {0};
    struct bytes name;
    const struct json *value;
    for (struct json_walk walk = json_walk_of(object);
         !call->status && json_next(&walk, &name, &value);) {
        if (bytes_equal_str(name, "max-connections"))
            read_limit(call, "max-connections", value, &connections);
        else if (bytes_equal_str(name, "max-queues"))
            read_limit(call, "max-queues", value, &queues);
        else
            refuse_name(call, name, "max-queues");
    }
    if (!call->status)
        set_vhost_limits(call, vhost, &connections, &queues);
}

static void change_user_limit(struct call *call, bool is_set)
{
    struct error error = {0};
    const struct user *user = user_find(call->api->broker, call->segments[0]);
    if (!user) {
        call_fail(call, 400, "bad_request", "no_such_user: %.*s", BYTES_ARG(call->segments[0]));
        return;
    }
    struct limit connections = user->max_connections, channels = user->max_channels;
    struct limit *limit = find_limit(call, "max-channels", &connections, &channels);
    if (limit && !is_set)
        *limit = (struct limit){0};
    if (!limit || (is_set && !read_value(call, limit)))
        return;
    struct user_request request = {
        .name = user_name(user), .max_connections = &connections, .max_channels = &channels};
    if (user_set(call->api->broker, &request, &error))
        call_done(call, false);
    else
        call_fail_as(call, &error);
}

void user_limit_put(struct call *call)
{
    change_user_limit(call, true);
}

void user_limit_delete_it(struct call *call)
{
    change_user_limit(call, false);
}
