/* How much a virtual host, or a user, may have: seen, set one by one, and taken away. */
#include <stdio.h>

#include "api/resources.h"
#include "api/settings.h"
#include "broker/quota.h"

enum { LIMITS_STEPS = 60 };

/* ---- what they look like ---- */

static void add_limit(struct fields *fields, const char *name, struct limit limit)
{
    if (limit.is_set)
        fields_whole(fields, name, limit.most);
}

static void add_quotas(struct fields *fields, const struct quota *quota)
{
    for (int kind = 0; quota && kind < QUOTA_KINDS; kind++)
        if (quota->limits.set & 1u << kind)
            fields_whole(fields, quota_name((enum quota_kind)kind), quota->limits.most[kind]);
}

void call_write_vhost_limits(const struct vhost *vhost, struct fields *fields)
{
    add_limit(fields, "max-connections", vhost->max_connections);
    add_limit(fields, "max-queues", vhost->max_queues);
    add_quotas(fields, vhost->quota);
}

void call_write_user_limits(const struct user *user, struct fields *fields)
{
    add_limit(fields, "max-connections", user->max_connections);
    add_limit(fields, "max-channels", user->max_channels);
    add_quotas(fields, user->quota);
}

void call_write_quotas(const struct quota *quota, struct fields *fields)
{
    if (!quota_is_set(quota) || !fields_open(fields, "quotas", '['))
        return;
    for (int kind = 0; kind < QUOTA_KINDS; kind++) {
        if (!(quota->limits.set & 1u << kind))
            continue;
        fields_begin(fields, '{');
        fields_string(fields, "name", quota_name((enum quota_kind)kind));
        fields_whole(fields, "most", quota->limits.most[kind]);
        fields_whole(fields, "is", quota_used(quota, (enum quota_kind)kind));
        fields_flag(fields, "blocks", quota->over & 1u << kind);
        fields_end(fields, '}');
    }
    fields_close(fields, ']');
}

/* ---- lists of those who have any ---- */

static bool collect_vhosts(struct listing *listing, struct budget *budget)
{
    const struct vhost *vhost = listing_vhost(listing);
    (void)budget;
    if (!vhost)
        return false;
    if (vhost_has_limits(vhost))
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
    if (user_has_limits(user) && sees(listing->call, user) &&
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
        call_write_user_limits(user, fields);
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

/* All that a virtual host or a user may have. */
struct limits {
    bool of_user;
    struct limit connections, others; /* queues or channels */
    struct quota_limits quotas;
};

static const char *others_name(const struct limits *limits)
{
    return limits->of_user ? "max-channels" : "max-queues";
}

/* Takes one of them away. False: there is none of that name, and the call is answered. */
static bool clear_limit(struct call *call, struct bytes name, struct limits *limits)
{
    enum quota_kind kind;
    char quotas[QUOTA_NAMES_SIZE];
    if (bytes_equal_str(name, "max-connections"))
        limits->connections = (struct limit){0};
    else if (bytes_equal_str(name, others_name(limits)))
        limits->others = (struct limit){0};
    else if (quota_find(name, limits->of_user, &kind))
        quota_unlimit(&limits->quotas, kind);
    else
        call_fail(call, 400, "bad_request",
                  "Unrecognised limit '%.*s'; it may be max-connections, %s%s", BYTES_ARG(name),
                  others_name(limits), quota_names(limits->of_user, quotas));
    return call->status == 0;
}

/* A negative number is no limit. */
static bool read_most(struct call *call, struct bytes name, const struct json *value,
                      uint64_t greatest, int64_t *most)
{
    enum json_kind kind = json_kind_of(value);
    *most = json_whole(value);
    if (kind != JSON_IS_WHOLE)
        call_fail(call, 400, "bad_request", "%.*s should be a number, and is %s", BYTES_ARG(name),
                  json_kind_name(kind));
    else if (*most > (int64_t)greatest)
        call_fail(call, 400, "bad_request", "%.*s is more than %llu", BYTES_ARG(name),
                  (unsigned long long)greatest);
    return call->status == 0;
}

static bool set_limit(struct call *call, struct bytes name, const struct json *value,
                      struct limits *limits)
{
    enum quota_kind kind;
    int64_t most;
    bool is_quota = quota_find(name, limits->of_user, &kind);
    if (!clear_limit(call, name, limits) ||
        !read_most(call, name, value, is_quota ? QUOTA_MOST : UINT32_MAX, &most))
        return false;
    if (most < 0)
        return true;
    struct limit limit = {true, (uint32_t)most};
    if (is_quota)
        quota_limit(&limits->quotas, kind, (uint64_t)most);
    else if (bytes_equal_str(name, "max-connections"))
        limits->connections = limit;
    else
        limits->others = limit;
    return true;
}

/* The one that the path names, as the body says. */
static bool change_limit(struct call *call, bool is_set, struct limits *limits)
{
    static const char *const needed[] = {"value", NULL};
    struct bytes name = call->segments[1];
    if (!is_set)
        return clear_limit(call, name, limits);
    struct limits copy = *limits;
    return clear_limit(call, name, &copy) && call_needs(call, needed) &&
           set_limit(call, name, json_find(call_json(call), "value"), limits);
}

static void set_vhost_limits(struct call *call, const struct vhost *vhost,
                             const struct limits *limits)
{
    struct error error = {0};
    struct vhost_request request = {.name = vhost_name(vhost),
                                    .max_connections = &limits->connections,
                                    .max_queues = &limits->others,
                                    .quotas = &limits->quotas};
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
    struct limits limits = {false, vhost->max_connections, vhost->max_queues,
                            quota_limits_of(vhost->quota)};
    if (change_limit(call, is_set, &limits))
        set_vhost_limits(call, vhost, &limits);
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
    struct limits limits = {0};
    struct bytes name;
    const struct json *value;
    for (struct json_walk walk = json_walk_of(object);
         !call->status && json_next(&walk, &name, &value);)
        set_limit(call, name, value, &limits);
    if (!call->status)
        set_vhost_limits(call, vhost, &limits);
}

static void change_user_limit(struct call *call, bool is_set)
{
    struct error error = {0};
    const struct user *user = user_find(call->api->broker, call->segments[0]);
    if (!user) {
        call_fail(call, 400, "bad_request", "no_such_user: %.*s", BYTES_ARG(call->segments[0]));
        return;
    }
    struct limits limits = {true, user->max_connections, user->max_channels,
                            quota_limits_of(user->quota)};
    if (!change_limit(call, is_set, &limits))
        return;
    struct user_request request = {.name = user_name(user),
                                   .max_connections = &limits.connections,
                                   .max_channels = &limits.others,
                                   .quotas = &limits.quotas};
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
