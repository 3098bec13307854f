/* See members.h. */
#include "members.h"

#include <stdio.h>

#include "seats.h"
#include "store/store.h"

static struct group *group_of(const struct members *members)
{
    return cluster_group(members->cluster, members->group);
}

/* NULL: it joins, or its log is being read. */
static const struct engine *engine_of(const struct members *members)
{
    const struct group *group = group_of(members);
    return group ? group_engine(group) : NULL;
}

static const struct link *link_of(const struct members *members, uint32_t number)
{
    return links_numbered(cluster_links(members->cluster), number);
}

/* How far it is, which only who leads knows of others. */
static void look_at_log(const struct members *members, const struct engine *engine, uint64_t id, struct api_member *out)
{
    uint64_t commit = engine_commit(engine);
    out->is_followed = out->is_self || engine_leads(engine);
    if (!out->is_followed)
        return;
    out->match = out->is_self ? engine_last(engine) : engine_match(engine, id);
    out->behind = out->match < commit ? commit - out->match : 0;
    out->lacks = !out->is_self && group_lacks(group_of(members), id);
}

static void look_at(const struct members *members, uint32_t number, const char *at, struct api_member *out)
{
    const struct engine *engine = engine_of(members);
    const struct engine_member *member = engine ? seats_newest(engine_members(engine), number) : NULL;
    const struct link *link = link_of(members, number);
    bool is_self = number == members->settings->number;
    const char *name = is_self ? members->name : link ? link_name(link) : "";
    *out = (struct api_member){.number = number,
                               .role = member && member->role == ENGINE_VOTER ? API_ROLE_VOTER
                                       : member                               ? API_ROLE_LEARNER
                                       : engine                               ? API_ROLE_GONE
                                                                              : API_ROLE_UNKNOWN,
                               .is_self = is_self,
                               .is_up = is_self || (link && link_is_up(link))};
    snprintf(out->name, sizeof(out->name), "%.255s", *name ? name : at);
    if (!member)
        return;
    out->leads = engine_leader(engine) == member->id;
    look_at_log(members, engine, member->id, out);
}

static bool is_listed(const struct api_member *list, size_t count, uint32_t number)
{
    for (size_t i = 0; i < count; i++)
        if (list[i].number == number)
            return true;
    return false;
}

size_t members_list(const struct members *members, struct api_member *out)
{
    _Static_assert((int)API_MEMBERS_MAX == (int)OPTIONS_CLUSTER_MAX, "room for all");
    const struct cluster_settings *settings = members->settings;
    const struct engine *engine = engine_of(members);
    size_t count = 0;
    for (uint32_t i = 0; i < settings->count; i++)
        look_at(members, settings->nodes[i].number, settings->nodes[i].at, &out[count++]);
    for (uint32_t i = 0; engine && i < engine_members(engine)->count && count < API_MEMBERS_MAX; i++) {
        char name[32];
        uint32_t number = group_member_node(engine_members(engine)->of[i].id);
        snprintf(name, sizeof(name), "number %u", number);
        if (!is_listed(out, count, number))
            look_at(members, number, name, &out[count++]);
    }
    return count;
}

bool members_group(const struct members *members, struct api_group *out)
{
    const struct group *group = group_of(members);
    const struct engine *engine = engine_of(members);
    struct group_log *log = group_log_find(members->store, members->group);
    if (!log || !engine)
        return false;
    const struct group_stats *stats = group_stats(group);
    *out = (struct api_group){
        .term = engine_term(engine),
        .floor = group_log_floor(log).index,
        .last = engine_last(engine),
        .commit = engine_commit(engine),
        .applied = group_applied(group),
        .durable = group_log_durable(log),
        .log_bytes = group_log_size(log),
        .elections = stats->elections,
        .proposed = stats->proposed,
        .appended = stats->appended,
        .entries_applied = stats->applied,
        .cuts = stats->cuts,
        .commit_ms = stats->commit_ms,
    };
    return true;
}

uint64_t members_best(const struct members *members)
{
    const struct engine *engine = engine_of(members);
    const struct engine_members *all = engine ? engine_members(engine) : NULL;
    uint64_t best = 0, most = 0;
    for (uint32_t i = 0; all && i < all->count; i++) {
        const struct engine_member *member = &all->of[i];
        const struct link *link = link_of(members, group_member_node(member->id));
        uint64_t match = engine_match(engine, member->id);
        if (member->role == ENGINE_VOTER && link && link_is_up(link) && !group_lacks(group_of(members), member->id) &&
            match > most) {
            best = member->id;
            most = match;
        }
    }
    return best;
}
