#include "ctl/verb.h"

#include <string.h>

#include "base/bytes.h"
#include "base/near.h"
#include "ctl/verbs.h"

#define C (1u << TOOL_LEVERETCTL | 1u << TOOL_CTL)
#define D (1u << TOOL_LEVERETCTL | 1u << TOOL_DIAGNOSTICS)
#define Q (1u << TOOL_LEVERETCTL | 1u << TOOL_QUEUES)
#define U (1u << TOOL_LEVERETCTL | 1u << TOOL_UPGRADE)
#define S (1u << TOOL_LEVERETCTL | 1u << TOOL_STREAMS)
#define P (1u << TOOL_PLUGINS)
#define OURS (1u << TOOL_LEVERETCTL)
#define ALL (C | D | Q | U | P)

const struct verb verbs[] = {
#define VERB(name, tools, group, syntax, optional, columns, banner, request, missing, run, text)   \
    {#name, tools, GROUP_##group, syntax, optional, columns, banner, request, missing, run, text},
#include "ctl/verbs.def"
#undef VERB
};

const size_t verb_count = sizeof(verbs) / sizeof(verbs[0]);

static const char *const tools[TOOL_COUNT] = {
    "leveretctl",       "rabbitmqctl",      "rabbitmq-diagnostics", "rabbitmq-queues",
    "rabbitmq-plugins", "rabbitmq-upgrade", "rabbitmq-streams", "rabbitmqadmin",
};

static const char *const titles[GROUP_COUNT] = {
    "Help",
    "Nodes",
    "Cluster",
    "Replication",
    "Users",
    "Access Control",
    "Monitoring, observability and health checks",
    "Parameters",
    "Policies",
    "Virtual hosts",
    "Configuration and Environment",
    "Definitions",
    "Feature flags",
    "Operations",
    "Queues",
    "Plugin Management",
    "Upgrade",
};

const char *tool_name(enum tool tool)
{
    return tools[tool];
}

enum tool tool_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    for (int i = 0; i < TOOL_COUNT; i++)
        if (strcmp(name, tools[i]) == 0)
            return (enum tool)i;
    return TOOL_LEVERETCTL;
}

const char *group_title(enum group group)
{
    return titles[group];
}

bool verb_is_of(const struct verb *verb, enum tool tool)
{
    return verb->tools & 1u << tool;
}

const struct verb *verb_find(enum tool tool, const char *name)
{
    for (size_t i = 0; i < verb_count; i++)
        if (verb_is_of(&verbs[i], tool) && strcmp(verbs[i].name, name) == 0)
            return &verbs[i];
    return NULL;
}

const struct verb *verb_find_two(enum tool tool, const char *first, const char *second)
{
    size_t size = strlen(first);
    for (size_t i = 0; i < verb_count && tool == TOOL_LEVERETCTL; i++) {
        const char *name = verbs[i].name;
        if (verb_is_of(&verbs[i], tool) && strncmp(name, first, size) == 0 && name[size] == '_' &&
            strcmp(name + size + 1, second) == 0)
            return &verbs[i];
    }
    return NULL;
}

/* ---- the nearest name ---- */

const struct verb *verb_near(enum tool tool, const char *name)
{
    const struct verb *best = NULL;
    size_t length = strlen(name);
    size_t nearest = length / 3 + 2;
    for (size_t i = 0; i < verb_count && length <= NEAR_BYTES_MAX; i++) {
        if (!verb_is_of(&verbs[i], tool))
            continue;
        size_t far = near_distance(name, length, verbs[i].name);
        if (far < nearest) {
            nearest = far;
            best = &verbs[i];
        }
    }
    return best;
}

/* ---- syntax ---- */

bool verb_has_option(const struct verb *verb, const char *name, size_t size, bool *has_value)
{
    for (const char *at = verb->syntax; (at = strstr(at, "--")); at += 2) {
        size_t length = strcspn(at + 2, " ]|");
        if (length != size || memcmp(at + 2, name, size) != 0)
            continue;
        const char *rest = at + 2 + length;
        rest += strncmp(rest, "|-", 2) == 0 ? 3 : 0;
        *has_value = strncmp(rest, " <", 2) == 0;
        return true;
    }
    return false;
}

bool verb_has_letter(const struct verb *verb, char letter, const char **name, size_t *size,
                     bool *has_value)
{
    for (const char *at = verb->syntax; (at = strchr(at, '-')); at++) {
        char before = at > verb->syntax ? at[-1] : ' ';
        if (at[1] != letter || (before != '[' && before != '|') || !strchr(" ]", at[2]))
            continue;
        *name = at + 1;
        *size = 1;
        *has_value = strncmp(at + 2, " <", 2) == 0;
        if (before == '|') {
            const char *begin = at - 1;
            while (begin > verb->syntax + 1 && strncmp(begin - 2, "--", 2) != 0)
                begin--;
            *name = begin;
            *size = (size_t)(at - 1 - begin);
        }
        return true;
    }
    return false;
}

/* The end of an option in brackets, or NULL. */
static const char *pass_option(const char *at)
{
    if (strncmp(at, "[-", 2) != 0)
        return NULL;
    const char *end = strchr(at, ']');
    return end ? end + 1 : at + strlen(at);
}

void verb_arguments(const struct verb *verb, size_t *least, size_t *most)
{
    size_t count = 0, needed = 0;
    bool is_endless = false;
    for (const char *at = verb->syntax, *end; *at;) {
        if ((end = pass_option(at))) {
            at = end;
            continue;
        }
        if (*at == '<') {
            needed += at == verb->syntax || at[-1] != '[';
            count++;
        }
        is_endless = is_endless || strncmp(at, "...", 3) == 0;
        at++;
    }
    *least = needed - verb->optional;
    *most = is_endless ? SIZE_MAX : count;
}
