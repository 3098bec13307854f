/* Keys of what virtual hosts have from their beginning. They have two names, of which the first
 * tells the things apart: default_users.NAME.password. */
#include <string.h>

#include "broker/vhost_defaults.h"
#include "option_kinds.h"
#include "queue/queue_settings.h"

/* Where one of that name is in a list of things that begin with their names; NULL, with a fault:
 * there is no room for it. */
static void *find(size_t *count, void *list, size_t size, const char *name, const char **what,
                  const char **why)
{
    size_t length = strcspn(name, ".");
    *what = name + length + (name[length] == '.');
    if (length == 0 || length >= DEFAULT_NAME_BYTES || !**what) {
        *why = "two names belong into the key, with a dot between";
        return NULL;
    }
    for (size_t i = 0; i < *count; i++) {
        char *one = (char *)list + i * size;
        if (strlen(one) == length && memcmp(one, name, length) == 0)
            return one;
    }
    if (*count == DEFAULTS_MAX) {
        *why = "there are too many";
        return NULL;
    }
    char *made = (char *)list + (*count)++ * size;
    memcpy(made, name, length);
    return made;
}

static bool take_text(char *field, const char *text, const char **why)
{
    *why = strlen(text) < DEFAULT_TEXT_BYTES ? NULL : "it is too long";
    if (!*why)
        strcpy(field, text);
    return !*why;
}

static bool refuse(const char **why, const char *reason)
{
    *why = reason;
    return false;
}

/* ---- users ---- */

static bool read_user(const struct option *option, void *fields, const char *name, const char *text,
                      const char **why)
{
    struct default_users *users = option_field(option, fields);
    const char *what;
    struct default_user *user =
        find(&users->count, users->list, sizeof(users->list[0]), name, &what, why);
    if (!user)
        return false;
    const struct {
        const char *name;
        char *field;
    } texts[] = {
        {"vhost_pattern", user->vhost_pattern}, {"password", user->password}, {"tags", user->tags},
        {"configure", user->configure},         {"write", user->write},       {"read", user->read},
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        if (strcmp(what, texts[i].name) == 0)
            return take_text(texts[i].field, text, why);
    return refuse(why, "a user has vhost_pattern, password, tags, configure, write and read");
}

const struct option_kind default_user_kind = {.wanted = "a text", .read_named = read_user};

/* ---- limits ---- */

static bool read_limit(const char *text, struct limit *limit)
{
    uint64_t number;
    const char *end;
    if (!digits_read(text, &number, &end) || *end || number > UINT32_MAX)
        return false;
    *limit = (struct limit){true, (uint32_t)number};
    return true;
}

static bool read_limits(const struct option *option, void *fields, const char *name,
                        const char *text, const char **why)
{
    struct default_limit_sets *sets = option_field(option, fields);
    const char *what;
    struct default_limits *limits =
        find(&sets->count, sets->list, sizeof(sets->list[0]), name, &what, why);
    if (!limits)
        return false;
    if (strcmp(what, "pattern") == 0)
        return take_text(limits->vhost_pattern, text, why);
    *why = "a limit is a number";
    if (strcmp(what, "max_connections") == 0)
        return read_limit(text, &limits->max_connections);
    if (strcmp(what, "max_queues") == 0)
        return read_limit(text, &limits->max_queues);
    return refuse(why, "limits have pattern, max_connections and max_queues");
}

const struct option_kind default_limits_kind = {.wanted = "a text, or a number from 0 on",
                                                .read_named = read_limits};

/* ---- operator policies ---- */

/* A unit behind digits, in ms; 0: it is none. *size is how long it is. */
static uint64_t unit_ms(const char *text, size_t *size)
{
    static const struct {
        const char *name;
        uint64_t ms;
    } units[] = {{"ms", 1},       {"s", 1000},         {"m", 60000},        {"h", 3600000},
                 {"d", 86400000}, {"w", 7 * 86400000}, {"f", 14 * 86400000}};
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        *size = strlen(units[i].name);
        if (strncmp(text, units[i].name, *size) == 0)
            return units[i].ms;
    }
    return 0;
}

/* "1h30m", or milliseconds alone. */
static bool read_duration(const char *text, uint64_t *ms)
{
    uint64_t number;
    size_t size;
    const char *end;
    *ms = 0;
    if (digits_read(text, &number, &end) && !*end) {
        *ms = number;
        return true;
    }
    for (; *text; text = end + size) {
        uint64_t unit = digits_read(text, &number, &end) ? unit_ms(end, &size) : 0;
        if (!unit || number > (uint64_t)QUEUE_TIME_MAX_MS / unit)
            return false;
        *ms += number * unit;
    }
    return *ms > 0;
}

static bool read_number(const char *key, const char *text, uint64_t *number)
{
    const char *end;
    if (strcmp(key, "expires") == 0 || strcmp(key, "message-ttl") == 0)
        return read_duration(text, number);
    if (strcmp(key, "max-length-bytes") == 0 || strcmp(key, "max-in-memory-bytes") == 0)
        return units_read(text, number);
    return digits_read(text, number, &end) && !*end;
}

/* max_length for max-length. */
static bool is_same(const char *one, const char *other)
{
    for (; *one && *other; one++, other++)
        if (*one != *other && !(*one == '_' && *other == '-'))
            return false;
    return *one == *other;
}

static bool read_policy(const struct option *option, void *fields, const char *name,
                        const char *text, const char **why)
{
    struct default_policies *policies = option_field(option, fields);
    const char *what;
    struct default_policy *policy =
        find(&policies->count, policies->list, sizeof(policies->list[0]), name, &what, why);
    if (!policy)
        return false;
    if (strcmp(what, "vhost_pattern") == 0)
        return take_text(policy->vhost_pattern, text, why);
    if (strcmp(what, "queue_pattern") == 0)
        return take_text(policy->queue_pattern, text, why);
    for (size_t i = 0; i < DEFAULT_NUMBERS; i++) {
        if (!is_same(what, default_policy_keys[i]))
            continue;
        policy->is_set[i] = true;
        return read_number(default_policy_keys[i], text, &policy->numbers[i]) &&
               policy->numbers[i] <= INT64_MAX;
    }
    return refuse(why, "an operator policy has vhost_pattern, queue_pattern, expires, message_ttl, "
                       "max_length, max_length_bytes, max_in_memory_length, max_in_memory_bytes "
                       "and delivery_limit");
}

const struct option_kind default_policy_kind = {
    .wanted = "a text, a number, a size or a time as 1h30m", .read_named = read_policy};
