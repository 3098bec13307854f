/* Permissions, and those of topics: of all users, of one, of one in a virtual host. */
#include "api/resources.h"
#include "api/settings.h"
#include "broker/permission.h"

enum { PERMISSION_STEPS = 120 };

/* ---- what they look like ---- */

static void add_patterns(struct fields *fields, const struct pattern *patterns)
{
    fields_text(fields, "write", pattern_text(&patterns[ACCESS_WRITE]));
    fields_text(fields, "read", pattern_text(&patterns[ACCESS_READ]));
}

static void write_permission(const struct user *user, const struct permission *permission,
                             struct fields *fields)
{
    fields_text(fields, "user", user_name(user));
    fields_text(fields, "vhost", bytes_of(permission->vhost, permission->vhost_size));
    fields_text(fields, "configure", pattern_text(&permission->patterns[ACCESS_CONFIGURE]));
    add_patterns(fields, permission->patterns);
}

static void write_topic(const struct user *user, const struct topic_permission *topic,
                        struct fields *fields)
{
    fields_text(fields, "user", user_name(user));
    fields_text(fields, "vhost", bytes_of(topic->key, topic->vhost_size));
    fields_text(fields, "exchange", topic_permission_exchange(topic));
    add_patterns(fields, topic->patterns);
}

/* ---- lists; ids are the names of the virtual host, the user, and the exchange ---- */

/* Which ones: of any, if there are no bytes. */
struct wanted {
    struct bytes vhost, user, exchange;
};

struct collecting {
    struct listing *listing;
    const struct wanted *wanted;
};

static void add_id(struct listing *listing, struct bytes vhost, struct bytes user,
                   const struct bytes *exchange)
{
    struct buffer id = {0};
    buffer_add(&id, vhost.data, vhost.size);
    buffer_add_u8(&id, 0);
    buffer_add(&id, user.data, user.size);
    buffer_add_u8(&id, 0);
    if (exchange)
        buffer_add(&id, exchange->data, exchange->size);
    listing_add(listing, buffer_bytes(&id));
    buffer_free(&id);
}

/* A part of an id, which begins at *at; the last one is the rest. */
static struct bytes next_part(struct bytes id, size_t *at)
{
    const uint8_t *begin = id.data + *at, *end = memchr(begin, 0, id.size - *at);
    size_t size = end ? (size_t)(end - begin) : id.size - *at;
    *at += size + 1;
    return bytes_of(begin, size);
}

static bool is_among(struct bytes wanted, struct bytes name)
{
    return !wanted.data || bytes_equal(wanted, name);
}

static void add_permissions(void *context, void *value)
{
    const struct collecting *collecting = context;
    const struct user *user = value;
    const struct permission *permission;
    if (!is_among(collecting->wanted->user, user_name(user)))
        return;
    for (uint64_t at = 0; (permission = map_next(&user->permissions, &at));) {
        struct bytes vhost = bytes_of(permission->vhost, permission->vhost_size);
        if (is_among(collecting->wanted->vhost, vhost))
            add_id(collecting->listing, vhost, user_name(user), NULL);
    }
}

static void add_topics(void *context, void *value)
{
    const struct collecting *collecting = context;
    const struct user *user = value;
    const struct topic_permission *topic;
    if (!is_among(collecting->wanted->user, user_name(user)))
        return;
    for (uint64_t at = 0; (topic = map_next(&user->topics, &at));) {
        struct bytes vhost = bytes_of(topic->key, topic->vhost_size);
        struct bytes exchange = topic_permission_exchange(topic);
        if (is_among(collecting->wanted->vhost, vhost) &&
            is_among(collecting->wanted->exchange, exchange))
            add_id(collecting->listing, vhost, user_name(user), &exchange);
    }
}

static bool collect(struct listing *listing, const struct wanted *wanted, map_each *add)
{
    struct broker *broker = listing->call->api->broker;
    struct collecting collecting = {listing, wanted};
    if (!wanted->user.data)
        return map_each_of_part(&broker->users, &listing->at, add, &collecting);
    struct user *user = user_find(broker, wanted->user);
    if (user)
        add(&collecting, user);
    return false;
}

static bool collect_all(struct listing *listing, struct budget *budget)
{
    (void)budget;
    return collect(listing, &(struct wanted){0}, add_permissions);
}

static bool collect_of_vhost(struct listing *listing, struct budget *budget)
{
    (void)budget;
    return collect(listing, &(struct wanted){.vhost = listing->call->segments[0]}, add_permissions);
}

static bool collect_of_user(struct listing *listing, struct budget *budget)
{
    (void)budget;
    return collect(listing, &(struct wanted){.user = listing->call->segments[0]}, add_permissions);
}

static bool collect_all_topics(struct listing *listing, struct budget *budget)
{
    (void)budget;
    return collect(listing, &(struct wanted){0}, add_topics);
}

static bool collect_topics_of_vhost(struct listing *listing, struct budget *budget)
{
    (void)budget;
    return collect(listing, &(struct wanted){.vhost = listing->call->segments[0]}, add_topics);
}

static bool collect_topics_of_user(struct listing *listing, struct budget *budget)
{
    (void)budget;
    return collect(listing, &(struct wanted){.user = listing->call->segments[0]}, add_topics);
}

static bool collect_topics_of_both(struct listing *listing, struct budget *budget)
{
    const struct bytes *segments = listing->call->segments;
    (void)budget;
    return collect(
        listing,
        &(struct wanted){.vhost = segments[0], .user = segments[1], .exchange = segments[2]},
        add_topics);
}

static bool write_listed(struct listing *listing, struct bytes id, struct fields *fields)
{
    size_t at = 0;
    struct bytes vhost = next_part(id, &at);
    const struct user *user = user_find(listing->call->api->broker, next_part(id, &at));
    const struct permission *permission = user ? permission_find(user, vhost) : NULL;
    if (!permission)
        return false;
    fields_begin(fields, '{');
    write_permission(user, permission, fields);
    fields_end(fields, '}');
    return true;
}

static bool write_listed_topic(struct listing *listing, struct bytes id, struct fields *fields)
{
    size_t at = 0;
    struct bytes vhost = next_part(id, &at);
    const struct user *user = user_find(listing->call->api->broker, next_part(id, &at));
    struct bytes exchange = bytes_of(id.data + at, id.size - at);
    const struct topic_permission *topic =
        user ? topic_permission_find(user, vhost, exchange) : NULL;
    if (!topic)
        return false;
    fields_begin(fields, '{');
    write_topic(user, topic, fields);
    fields_end(fields, '}');
    return true;
}

#define KIND(collects, writes)                                                                     \
    {                                                                                              \
        .collect = collects, .write = writes, .steps = PERMISSION_STEPS                            \
    }

const struct listing_kind permissions_kind = KIND(collect_all, write_listed);
static const struct listing_kind vhost_kind = KIND(collect_of_vhost, write_listed);
static const struct listing_kind user_kind = KIND(collect_of_user, write_listed);
const struct listing_kind topic_permissions_kind = KIND(collect_all_topics, write_listed_topic);
static const struct listing_kind vhost_topics_kind =
    KIND(collect_topics_of_vhost, write_listed_topic);
static const struct listing_kind user_topics_kind =
    KIND(collect_topics_of_user, write_listed_topic);
static const struct listing_kind both_topics_kind =
    KIND(collect_topics_of_both, write_listed_topic);

void permissions_list(struct call *call)
{
    call_list(call, &permissions_kind, NULL);
}

void topic_permissions_list(struct call *call)
{
    call_list(call, &topic_permissions_kind, NULL);
}

void vhost_permissions_list(struct call *call)
{
    if (call_vhost(call, true))
        call_list(call, &vhost_kind, NULL);
}

void vhost_topic_permissions_list(struct call *call)
{
    if (call_vhost(call, true))
        call_list(call, &vhost_topics_kind, NULL);
}

void user_permissions_list(struct call *call)
{
    if (call_user(call, call->segments[0]))
        call_list(call, &user_kind, NULL);
}

void user_topic_permissions_list(struct call *call)
{
    if (call_user(call, call->segments[0]))
        call_list(call, &user_topics_kind, NULL);
}

/* ---- one of them ---- */

/* NULL: the user or the virtual host is not there, and the call is answered. */
static struct user *find_user(struct call *call)
{
    if (!vhost_find(call->api->broker, call->segments[0])) {
        call_not_found(call);
        return NULL;
    }
    return call_user(call, call->segments[1]);
}

static const struct permission *find_permission(struct call *call, struct user **user)
{
    *user = find_user(call);
    const struct permission *permission = *user ? permission_find(*user, call->segments[0]) : NULL;
    if (*user && !permission)
        call_not_found(call);
    return permission;
}

void permission_get(struct call *call)
{
    struct user *user;
    const struct permission *permission = find_permission(call, &user);
    if (!permission)
        return;
    struct fields fields = call_tell(call);
    write_permission(user, permission, &fields);
    call_told(call, &fields);
}

/* Also who is to have it, and where. */
static bool read_request(struct call *call, const char *const *needed,
                         struct permission_request *request)
{
    struct broker *broker = call->api->broker;
    *request = (struct permission_request){.vhost = call->segments[0], .user = call->segments[1]};
    if (!call_needs(call, needed) || !call_read_text(call, "configure", &request->configure) ||
        !call_read_text(call, "write", &request->write) ||
        !call_read_text(call, "read", &request->read) ||
        !call_read_text(call, "exchange", &request->exchange))
        return false;
    if (!vhost_find(broker, request->vhost) || !user_find(broker, request->user))
        call_fail(call, 400, "bad_request", "vhost_or_user_not_found");
    return call->status == 0;
}

void permission_put(struct call *call)
{
    static const char *const needed[] = {"configure", "write", "read", NULL};
    struct error error = {0};
    struct permission_request request;
    struct broker *broker = call->api->broker;
    if (!read_request(call, needed, &request))
        return;
    bool is_new = !permission_find(user_find(broker, request.user), request.vhost);
    if (permission_set(broker, &request, &error))
        call_done(call, is_new);
    else
        call_fail_as(call, &error);
}

void permission_delete_it(struct call *call)
{
    struct user *user;
    struct error error = {0};
    if (!find_permission(call, &user))
        return;
    if (permission_clear(call->api->broker, user_name(user), call->segments[0], &error))
        call_done(call, false);
    else
        call_fail_as(call, &error);
}

/* ---- of topics ---- */

/* Has the user any in that virtual host, for that exchange (no bytes: for any)? */
static bool has_topic(const struct user *user, struct bytes vhost, struct bytes exchange)
{
    const struct topic_permission *topic;
    for (uint64_t at = 0; (topic = map_next(&user->topics, &at));)
        if (bytes_equal(bytes_of(topic->key, topic->vhost_size), vhost) &&
            is_among(exchange, topic_permission_exchange(topic)))
            return true;
    return false;
}

/* Else the call is answered. */
static bool has_topics(struct call *call)
{
    const struct user *user = find_user(call);
    if (user && !has_topic(user, call->segments[0], call->segments[2]))
        call_not_found(call);
    return call->status == 0;
}

void topic_permission_get(struct call *call)
{
    if (has_topics(call))
        call_list(call, &both_topics_kind, NULL);
}

void topic_permission_put(struct call *call)
{
    static const char *const needed[] = {"exchange", "write", "read", NULL};
    struct error error = {0};
    struct permission_request request;
    struct broker *broker = call->api->broker;
    if (!read_request(call, needed, &request))
        return;
    bool is_new = !has_topic(user_find(broker, request.user), request.vhost, bytes_of(NULL, 0));
    if (topic_permission_set(broker, &request, &error))
        call_done(call, is_new);
    else
        call_fail_as(call, &error);
}

void topic_permission_delete_it(struct call *call)
{
    struct error error = {0};
    const struct bytes *exchange = call->segments[2].data ? &call->segments[2] : NULL;
    if (!has_topics(call))
        return;
    if (topic_permission_clear(call->api->broker, call->segments[1], call->segments[0], exchange,
                               &error))
        call_done(call, false);
    else
        call_fail_as(call, &error);
}
