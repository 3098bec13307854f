/* Each part is decided and applied as if an operator had asked for it. */
#include "broker/vhost_defaults.h"

#include "amqp/table.h"
#include "broker/permission.h"
#include "broker/policy.h"

const char *const default_policy_keys[DEFAULT_NUMBERS] = {
    "expires",          "message-ttl",          "max-length",
    "max-length-bytes", "max-in-memory-length", "max-in-memory-bytes",
    "delivery-limit"};

/* Without a pattern it is any. */
static bool applies_to(const char *pattern, struct bytes vhost)
{
    struct pattern compiled;
    char fault[128];
    if (!*pattern)
        return true;
    bool is_match = pattern_init(&compiled, bytes_str(pattern), fault, sizeof(fault)) &&
                    pattern_matches(&compiled, vhost);
    pattern_free(&compiled);
    return is_match;
}

static void note(const struct broker *broker, bool is_done, struct bytes vhost, const char *what,
                 const char *name, const struct error *error)
{
    if (!is_done)
        log_event(broker->log, EVENT_default_refused, "vhost=%.*s %s=%s reason=%s",
                  BYTES_ARG(vhost), what, name, error->detail);
}

/* One who is there stays as he is, but for what he may do here. */
static bool make_user(struct broker *broker, const struct default_user *user, struct error *error)
{
    uint8_t hash[PASSWORD_HASH_MAX];
    struct bytes tags = bytes_str(user->tags), password = bytes_of(NULL, 0);
    uint8_t wanted = broker->options.password_kind;
    uint8_t kind = hash_is_slow(wanted) ? HASH_SHA256 : wanted; /* others would wait for it */
    if (user_find(broker, bytes_str(user->name)))
        return true;
    if (*user->password)
        password = bytes_of(
            hash, password_hash(kind, bytes_str(user->password), broker->random, hash));
    const struct user_request request = {.name = bytes_str(user->name),
                                         .password_hash = &password,
                                         .hash_kind = kind,
                                         .tags = &tags};
    return user_set(broker, &request, error);
}

static void apply_user(struct broker *broker, const struct default_user *user, struct bytes vhost)
{
    struct error error = {0};
    const struct permission_request request = {.user = bytes_str(user->name),
                                               .vhost = vhost,
                                               .configure = bytes_str(user->configure),
                                               .write = bytes_str(user->write),
                                               .read = bytes_str(user->read)};
    if (applies_to(user->vhost_pattern, vhost))
        note(broker, make_user(broker, user, &error) && permission_set(broker, &request, &error),
             vhost, "user", user->name, &error);
}

/* Of several that match the first one counts. */
static void apply_limits(struct broker *broker, const struct vhost_defaults *defaults,
                         struct bytes vhost)
{
    struct error error = {0};
    const struct default_limits *limits = defaults->limits.list;
    const struct default_limits *end = limits + defaults->limits.count;
    while (limits < end && !applies_to(limits->vhost_pattern, vhost))
        limits++;
    if (limits == end)
        return;
    const struct vhost_request request = {
        .name = vhost,
        .max_connections = limits->max_connections.is_set ? &limits->max_connections : NULL,
        .max_queues = limits->max_queues.is_set ? &limits->max_queues : NULL};
    note(broker, vhost_set(broker, &request, &error), vhost, "limits", limits->name, &error);
}

static void apply_policy(struct broker *broker, const struct default_policy *policy,
                         struct bytes vhost)
{
    struct error error = {0};
    struct buffer definition = {0};
    struct table_writer writer;
    if (!applies_to(policy->vhost_pattern, vhost))
        return;
    table_writer_init(&writer, &definition);
    for (size_t i = 0; i < DEFAULT_NUMBERS; i++)
        if (policy->is_set[i])
            table_add_int64(&writer, bytes_str(default_policy_keys[i]),
                            (int64_t)policy->numbers[i]);
    const struct policy_request request = {
        .is_operator = true,
        .vhost = vhost,
        .name = bytes_str(policy->name),
        .pattern = bytes_str(*policy->queue_pattern ? policy->queue_pattern : ".*"),
        .apply_to = bytes_str("queues"),
        .definition = buffer_bytes(&definition)};
    note(broker, policy_set(broker, &request, &error), vhost, "policy", policy->name, &error);
    buffer_free(&definition);
}

void vhost_defaults_apply(struct broker *broker, struct bytes vhost)
{
    const struct vhost_defaults *defaults = broker->options.defaults;
    if (!defaults)
        return;
    for (size_t i = 0; i < defaults->users.count; i++)
        apply_user(broker, &defaults->users.list[i], vhost);
    apply_limits(broker, defaults, vhost);
    for (size_t i = 0; i < defaults->policies.count; i++)
        apply_policy(broker, &defaults->policies.list[i], vhost);
}
