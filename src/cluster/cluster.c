/* See cluster.h. */
#include "cluster/cluster.h"

#include <string.h>

#include "base/mem.h"
#include "base/random.h"

struct cluster {
    struct cluster_options options;
    struct links *links;
    struct random random;
    struct group **groups; /* in order of their numbers */
    size_t count, capacity;
    uint64_t asked_ms, asked_applied;
    uint64_t told_ms, told_w;
    size_t turn; /* whose entries are next */
    bool saw;
};

struct cluster *cluster_new(const struct cluster_options *options, uint64_t now_ms)
{
    struct cluster *cluster = mem_zalloc(sizeof(*cluster));
    cluster->options = *options;
    random_init(&cluster->random, options->seed);
    cluster->links = links_new(&options->links, options->identity, now_ms);
    return cluster;
}

void cluster_free(struct cluster *cluster)
{
    if (!cluster)
        return;
    for (size_t i = 0; i < cluster->count; i++)
        group_free(cluster->groups[i]);
    mem_free(cluster->groups);
    links_free(cluster->links);
    mem_free(cluster);
}

struct links *cluster_links(struct cluster *cluster)
{
    return cluster->links;
}

/* ---- groups ---- */

static size_t place_of(const struct cluster *cluster, uint64_t group)
{
    size_t low = 0, high = cluster->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (group_number(cluster->groups[middle]) < group)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct group *cluster_group(const struct cluster *cluster, uint64_t group)
{
    size_t at = place_of(cluster, group);
    return at < cluster->count && group_number(cluster->groups[at]) == group ? cluster->groups[at]
                                                                            : NULL;
}

struct group *cluster_take_part(struct cluster *cluster, uint64_t number, uint64_t generation,
                                uint16_t seat, uint64_t now_ms)
{
    struct group_options options = {.store = cluster->options.store,
                                    .links = cluster->links,
                                    .group = number,
                                    .generation = generation,
                                    .self = group_member_id(cluster->options.links.number, seat),
                                    .incarnation = cluster->options.identity->incarnation,
                                    .seed = random_next(&cluster->random)};
    size_t at = place_of(cluster, number);
    cluster->groups = mem_grow(cluster->groups, &cluster->capacity, cluster->count + 1,
                               sizeof(struct group *));
    memmove(cluster->groups + at + 1, cluster->groups + at,
            (cluster->count - at) * sizeof(struct group *));
    cluster->count++;
    cluster->groups[at] = group_new(&options, now_ms);
    return cluster->groups[at];
}

void cluster_leave(struct cluster *cluster, struct group *group)
{
    size_t at = place_of(cluster, group_number(group));
    cluster->count--;
    memmove(cluster->groups + at, cluster->groups + at + 1,
            (cluster->count - at) * sizeof(struct group *));
    group_free(group);
}

/* ---- clocks ---- */

/* The median of the wall clocks of all nodes that are linked, this one included; of an even number
 * the lower middle one. */
static uint64_t median_ms(const struct cluster *cluster, uint64_t now_ms, uint64_t wall_ms)
{
    uint64_t clocks[LINKS_MAX + 1];
    size_t count = 0;
    clocks[count++] = wall_ms;
    for (struct link *link = NULL; (link = links_behind(cluster->links, link));) {
        const struct link_clock *heard = link_clock(link);
        if (!heard->at_ms || !link_is_up(link))
            continue;
        uint64_t clock = heard->wall_ms + (now_ms - heard->at_ms);
        size_t at = count++;
        for (; at > 0 && clocks[at - 1] > clock; at--)
            clocks[at] = clocks[at - 1];
        clocks[at] = clock;
    }
    return clocks[(count - 1) / 2];
}

/* ---- rights ---- */

static uint64_t applied_of_catalogue(const struct cluster *cluster)
{
    const struct group *catalogue = cluster_group(cluster, GROUP_CATALOGUE);
    return catalogue ? group_applied(catalogue) : 0;
}

static void send_to_all(struct cluster *cluster, const union link_frame *frame)
{
    for (struct link *link = NULL; (link = links_behind(cluster->links, link));)
        if (link_is_up(link))
            link_send(link, frame);
}

/* Asks all for all groups at once. */
static void ask(struct cluster *cluster, uint64_t now_ms, uint64_t wall_ms)
{
    uint64_t nodes[LINK_NODES_MAX];
    uint8_t nodes_room[sizeof(nodes)];
    size_t node_count = 0, count = 0;
    struct lease_ask asked = {0};
    uint64_t *terms = mem_zalloc_array(2 * cluster->count + 1, sizeof(*terms));
    uint8_t *room = mem_zalloc_array(2 * cluster->count + 1, sizeof(*terms));
    union link_frame frame = {.lease = {.type = LINK_LEASE,
                                        .sent_ms = now_ms,
                                        .applied = applied_of_catalogue(cluster),
                                        .wall_ms = wall_ms}};
    for (size_t i = 0; i < cluster->count && i < LINK_GROUPS_MAX; i++) {
        lease_ask(group_lease(cluster->groups[i]), now_ms, &asked);
        terms[count++] = group_number(cluster->groups[i]);
        terms[count++] = asked.term;
        if (group_number(cluster->groups[i]) == GROUP_CATALOGUE && asked.answers)
            frame.lease.flags |= LINK_HAS_LEASE;
    }
    for (struct link *link = NULL; (link = links_behind(cluster->links, link));)
        if (link_is_up(link) && link_number(link) && node_count < LINK_NODES_MAX)
            nodes[node_count++] = link_number(link);
    frame.lease.nodes = link_numbers_of(nodes_room, nodes, node_count);
    frame.lease.terms = link_numbers_of(room, terms, count);
    send_to_all(cluster, &frame);
    cluster->asked_ms = now_ms;
    cluster->asked_applied = frame.lease.applied;
    mem_free(terms);
    mem_free(room);
}

static void asked(struct cluster *cluster, uint64_t now_ms, struct link *link,
                  const struct link_lease *frame)
{
    uint32_t number = link_number(link);
    size_t count = link_numbers_count(frame->terms);
    if (number == 0)
        return;
    *link_clock(link) = (struct link_clock){frame->wall_ms, now_ms};
    for (size_t i = 0; i + 1 < count; i += 2) {
        struct group *group = cluster_group(cluster, link_number_at(frame->terms, i));
        bool is_catalogue = group && group_number(group) == GROUP_CATALOGUE;
        struct lease_ask ask = {.incarnation = link_incarnation(link),
                                .sent_ms = frame->sent_ms,
                                .term = link_number_at(frame->terms, i + 1),
                                .applied = is_catalogue ? frame->applied : 0,
                                .answers = is_catalogue && (frame->flags & LINK_HAS_LEASE)};
        if (group)
            lease_asked(group_lease(group), now_ms, number, &ask);
    }
}

static void granted(struct cluster *cluster, uint64_t now_ms, const struct link_grant *frame)
{
    size_t count = link_numbers_count(frame->leases);
    for (size_t i = 0; i + 2 < count; i += 3) {
        struct group *group = cluster_group(cluster, link_number_at(frame->leases, i));
        struct lease_grant grant = {.incarnation = cluster->options.identity->incarnation,
                                    .sent_ms = frame->sent_ms,
                                    .term = link_number_at(frame->leases, i + 1),
                                    .answer = link_number_at(frame->leases, i + 2) == 1};
        if (group)
            lease_granted(group_lease(group), now_ms, &grant);
    }
}

static void grant(struct cluster *cluster, uint64_t now_ms, struct group *group)
{
    uint64_t node;
    struct lease_grant grant;
    while (lease_grants(group_lease(group), now_ms, &node, &grant)) {
        const uint64_t numbers[] = {group_number(group), grant.term, grant.answer};
        uint8_t room[sizeof(numbers)];
        struct link *link = links_numbered(cluster->links, (uint32_t)node);
        union link_frame frame = {.grant = {.type = LINK_GRANT,
                                            .sent_ms = grant.sent_ms,
                                            .leases = link_numbers_of(room, numbers, 3)}};
        /* An incarnation of before does not hear of it. */
        if (link && link_is_up(link) && link_incarnation(link) == grant.incarnation)
            link_send(link, &frame);
    }
}

static void tell_w(struct cluster *cluster, uint64_t now_ms)
{
    struct group *catalogue = cluster_group(cluster, GROUP_CATALOGUE);
    if (!catalogue || !group_engine(catalogue) || !engine_leads(group_engine(catalogue)))
        return;
    lease_tell_w(group_lease(catalogue), now_ms);
    uint64_t w = lease_w(group_lease(catalogue));
    if (w == 0 || (w == cluster->told_w && now_ms < cluster->told_ms + LEASE_EVERY_MS))
        return;
    union link_frame frame = {.applied = {.type = LINK_APPLIED, .index = w}};
    send_to_all(cluster, &frame);
    cluster->told_w = w;
    cluster->told_ms = now_ms;
}

/* ---- turns ---- */

static void take_frame(struct cluster *cluster, uint64_t now_ms, struct link *link,
                       const union link_frame *frame)
{
    struct group *group;
    switch (frame->type) {
    case LINK_RAFT:
        group = cluster_group(cluster, frame->raft.group);
        if (group)
            group_receive(group, now_ms, link, &frame->raft, links_shared(cluster->links));
        break;
    case LINK_LEASE:
        asked(cluster, now_ms, link, &frame->lease);
        break;
    case LINK_GRANT:
        granted(cluster, now_ms, &frame->grant);
        break;
    case LINK_APPLIED:
        group = cluster_group(cluster, GROUP_CATALOGUE);
        if (group)
            lease_heard_w(group_lease(group), frame->applied.index);
        break;
    default:
        if (cluster->options.guest)
            cluster->options.guest->take(cluster->options.guest, now_ms, link, frame);
        break;
    }
}

static void take_event(struct cluster *cluster, uint64_t now_ms, const struct link_event *event)
{
    if (event->kind == LINK_EVENT_FRAME) {
        take_frame(cluster, now_ms, event->link, event->frame);
        return;
    }
    cluster->saw |= event->kind == LINK_EVENT_SEEN;
    for (size_t i = 0; i < cluster->count; i++) {
        if (event->kind == LINK_EVENT_UP)
            group_link_up(cluster->groups[i], event->link);
        else if (event->kind == LINK_EVENT_DOWN)
            group_link_down(cluster->groups[i], event->link);
        else if (event->kind == LINK_EVENT_GONE)
            group_peer_gone(cluster->groups[i], now_ms, event->link);
    }
    if (event->kind == LINK_EVENT_UP)
        cluster->asked_ms = 0; /* it is asked at once */
}

void cluster_tick(struct cluster *cluster, uint64_t now_ms, uint64_t wall_ms)
{
    struct link_event event;
    while (links_next(cluster->links, &event))
        take_event(cluster, now_ms, &event);
    uint64_t stamp_ms = median_ms(cluster, now_ms, wall_ms);
    for (size_t i = 0; i < cluster->count; i++)
        group_tick(cluster->groups[i], now_ms, stamp_ms);
    if (now_ms >= cluster->asked_ms + LEASE_EVERY_MS ||
        cluster->asked_applied != applied_of_catalogue(cluster))
        ask(cluster, now_ms, wall_ms);
    for (size_t i = 0; i < cluster->count; i++)
        if (group_engine(cluster->groups[i]) && engine_leads(group_engine(cluster->groups[i])))
            grant(cluster, now_ms, cluster->groups[i]);
    tell_w(cluster, now_ms);
    links_set_catalogue(cluster->links, applied_of_catalogue(cluster));
}

uint64_t cluster_next_ms(const struct cluster *cluster)
{
    uint64_t next = cluster->asked_ms + LEASE_EVERY_MS;
    for (size_t i = 0; i < cluster->count; i++) {
        uint64_t its = group_next_ms(cluster->groups[i]);
        next = its < next ? its : next;
    }
    return next;
}

struct group *cluster_next(struct cluster *cluster, uint64_t now_ms, struct group_entry *entry)
{
    for (size_t i = 0; i < cluster->count; i++) {
        struct group *group = cluster->groups[(cluster->turn + i) % cluster->count];
        if (!group_next(group, now_ms, entry))
            continue;
        cluster->turn = (cluster->turn + i) % cluster->count;
        return group;
    }
    return NULL;
}

bool cluster_saw(struct cluster *cluster)
{
    bool saw = cluster->saw;
    cluster->saw = false;
    return saw;
}
