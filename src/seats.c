/* See seats.h. */
#include "seats.h"

#include <stdio.h>
#include <string.h>

#include "base/digest.h"
#include "base/mem.h"
#include "bind.h"
#include "net/address.h"

enum { ASK_MS = 500, TRY_MS = 100, SEAT_MAX = UINT16_MAX };

/* Who was given a seat, as long as this process knows. */
struct given {
    uint8_t node[NODE_ID_BYTES]; /* as it called itself then */
    uint32_t seat;               /* 0: none */
};

struct seats {
    struct seats_options options;
    struct given given[OPTIONS_CLUSTER_MAX]; /* in the order of the list */
    uint64_t index;                          /* of the members that links follow */
    bool has_called;
    uint64_t asked_ms, tried_ms;
    char said[160]; /* why a change was not made, as the log has it */
};

/* ---- ids ---- */

void seats_cluster_id(const struct cluster_settings *settings, uint8_t id[NODE_ID_BYTES])
{
    uint8_t digest[SHA256_SIZE];
    struct buffer list = {0};
    for (uint32_t i = 0; i < settings->count; i++) {
        buffer_add_u32(&list, settings->nodes[i].number);
        buffer_add_u32(&list, (uint32_t)strlen(settings->nodes[i].at));
        buffer_add(&list, settings->nodes[i].at, strlen(settings->nodes[i].at));
    }
    sha256(bytes_str("leveret cluster"), buffer_bytes(&list), digest);
    memcpy(id, digest, NODE_ID_BYTES);
    buffer_free(&list);
}

void seats_node_id(const uint8_t cluster[NODE_ID_BYTES], uint32_t number, uint32_t seat, uint8_t id[NODE_ID_BYTES])
{
    uint8_t digest[SHA256_SIZE];
    const uint8_t who[] = {(uint8_t)number, (uint8_t)(seat >> 8), (uint8_t)seat};
    sha256(bytes_of(cluster, NODE_ID_BYTES), bytes_of(who, seat == SEAT_FIRST ? 1 : sizeof(who)), digest);
    memcpy(id, digest, NODE_ID_BYTES);
}

struct engine_members seats_first(const struct cluster_settings *settings)
{
    struct engine_members members = {.count = settings->count};
    for (uint32_t i = 0; i < settings->count; i++)
        members.of[i] =
            (struct engine_member){group_member_id(settings->nodes[i].number, SEAT_FIRST), ENGINE_VOTER};
    return members;
}

static uint32_t seat_of(uint64_t member)
{
    return (uint32_t)(member & SEAT_MAX);
}

const struct engine_member *seats_newest(const struct engine_members *members, uint32_t number)
{
    const struct engine_member *found = NULL;
    for (uint32_t i = 0; i < members->count; i++) {
        const struct engine_member *member = &members->of[i];
        if (group_member_node(member->id) == number && (!found || member->id > found->id))
            found = member;
    }
    return found;
}

struct seats *seats_new(const struct seats_options *options)
{
    struct seats *seats = mem_zalloc(sizeof(*seats));
    seats->options = *options;
    return seats;
}

void seats_free(struct seats *seats)
{
    mem_free(seats);
}

static struct links *links_of(const struct seats *seats)
{
    return cluster_links(seats->options.cluster);
}

static struct group *group_of(const struct seats *seats)
{
    return cluster_group(seats->options.cluster, seats->options.group);
}

/* ---- links ---- */

static void call(struct seats *seats, const struct cluster_node *node, const uint8_t id[NODE_ID_BYTES])
{
    char host[OPTIONS_ADDRESS_BYTES];
    struct endpoint endpoint;
    struct link_peer peer = {.number = node->number};
    if (endpoint_read(node->at, PORT_CLUSTER, &endpoint))
        return;
    snprintf(host, sizeof(host), "%s", endpoint.host);
    peer.host = host;
    peer.port = endpoint.port;
    memcpy(peer.node, id, NODE_ID_BYTES);
    links_add(links_of(seats), &peer);
}

/* A member with another seat is another node. Of one whose seat is not known, whoever answers there; once it is, nobody
 * else does, and it is known when it calls. */
static void follow_one(struct seats *seats, const struct cluster_node *node, const struct engine_members *members)
{
    uint8_t id[NODE_ID_BYTES] = {0};
    struct link *link = links_numbered(links_of(seats), node->number);
    const struct engine_member *member = members ? seats_newest(members, node->number) : NULL;
    if (member)
        seats_node_id(seats->options.identity->cluster, node->number, seat_of(member->id), id);
    if (link && (!member || node_id_equal(link_node(link), id)))
        return;
    if (!member && members && members->count)
        return; /* it has not joined yet */
    if (link)
        links_forget(links_of(seats), link);
    call(seats, node, id);
}

static void follow_members(struct seats *seats, const struct engine_members *members)
{
    const struct cluster_settings *settings = seats->options.settings;
    uint64_t index = members ? members->index : 0;
    if (seats->has_called && index == seats->index)
        return;
    for (uint32_t i = 0; i < settings->count; i++)
        if (settings->nodes[i].number != settings->number)
            follow_one(seats, &settings->nodes[i], members);
    seats->has_called = true;
    seats->index = index;
}

/* Those that came to join, and have gone, or are members by now under another id. */
static void forget_strangers(struct seats *seats)
{
    struct link *next, *link = links_behind(links_of(seats), NULL);
    for (; link; link = next) {
        next = links_behind(links_of(seats), link);
        if (link_number(link) == 0 && !link_has_session(link))
            links_forget(links_of(seats), link);
    }
}

/* ---- who leads ---- */

/* False: why not is said once. */
static bool change(struct seats *seats, uint64_t now_ms, const struct engine_members *members, const char *what,
                   uint64_t member)
{
    const char *why = group_change(group_of(seats), now_ms, members);
    if (why && strcmp(seats->said, why) != 0)
        log_event(seats->options.log, EVENT_members_wait, "%s=%u reason=\"%s\"", what, group_member_node(member), why);
    snprintf(seats->said, sizeof(seats->said), "%s", why ? why : "");
    if (!why)
        log_event(seats->options.log, EVENT_members_changed, "%s=%u seat=%u", what, group_member_node(member),
                  seat_of(member));
    return !why;
}

static bool remove_one(struct seats *seats, uint64_t now_ms, uint64_t id)
{
    struct engine_members members = *engine_members(group_engine(group_of(seats)));
    uint32_t kept = 0;
    for (uint32_t i = 0; i < members.count; i++)
        if (members.of[i].id != id)
            members.of[kept++] = members.of[i];
    members.count = kept;
    return change(seats, now_ms, &members, "removed", id);
}

static bool set_role(struct seats *seats, uint64_t now_ms, uint64_t id, enum engine_role role)
{
    struct engine_members members = *engine_members(group_engine(group_of(seats)));
    for (uint32_t i = 0; i < members.count; i++)
        if (members.of[i].id == id)
            members.of[i].role = role;
    return change(seats, now_ms, &members, role == ENGINE_VOTER ? "voter" : "learner", id);
}

static bool add(struct seats *seats, uint64_t now_ms, uint64_t id)
{
    struct engine_members members = *engine_members(group_engine(group_of(seats)));
    if (members.count == ENGINE_MEMBERS_MAX)
        return false;
    members.of[members.count++] = (struct engine_member){id, ENGINE_LEARNER};
    return change(seats, now_ms, &members, "learner", id);
}

/* Does it lead, and is the last change of members agreed on? */
static bool may_change(const struct seats *seats)
{
    const struct engine *engine = group_engine(group_of(seats));
    return engine && engine_in_office(engine) && engine_members(engine)->index <= engine_commit(engine);
}

/* What is left to do: of two seats of a broker the older one goes, and who has all becomes a voter. */
static void go_on(struct seats *seats, uint64_t now_ms)
{
    const struct engine *engine = group_engine(group_of(seats));
    const struct engine_members *members = engine_members(engine);
    for (uint32_t i = 0; i < members->count; i++) {
        const struct engine_member *member = &members->of[i];
        if (seats_newest(members, group_member_node(member->id)) != member) {
            remove_one(seats, now_ms, member->id);
            return;
        }
    }
    for (uint32_t i = 0; i < members->count; i++) {
        const struct engine_member *member = &members->of[i];
        if (member->role == ENGINE_LEARNER && engine_match(engine, member->id) >= engine_commit(engine)) {
            set_role(seats, now_ms, member->id, ENGINE_VOTER);
            return;
        }
    }
}

/* ---- who joins ---- */

static void answer(struct seats *seats, struct link *link, uint32_t seat, const char *why)
{
    const struct node_identity *self = seats->options.identity;
    union link_frame frame = {.joined = {.type = LINK_JOINED,
                                         .seat = seat,
                                         .cluster_generation = self->cluster_generation,
                                         .why = bytes_str(why)}};
    memcpy(frame.joined.cluster, self->cluster, NODE_ID_BYTES);
    link_send(link, &frame);
}

static struct given *given_to(struct seats *seats, uint32_t number)
{
    const struct cluster_settings *settings = seats->options.settings;
    const struct cluster_node *node = cluster_node_find(settings, number);
    return node ? &seats->given[node - settings->nodes] : NULL;
}

static bool is_there(const struct seats *seats, const struct engine_member *member)
{
    const struct link *link = links_numbered(links_of(seats), group_member_node(member->id));
    return group_member_node(member->id) == seats->options.settings->number || (link && link_is_up(link));
}

void seats_asked(struct seats *seats, uint64_t now_ms, struct link *link, uint32_t number)
{
    struct given *given = given_to(seats, number);
    if (!group_of(seats) || !group_engine(group_of(seats)) || !engine_in_office(group_engine(group_of(seats))))
        return;
    if (!given) {
        answer(seats, link, 0, "the list of brokers that leads here has none with this number");
        return;
    }
    if (!may_change(seats))
        return; /* it asks again */
    const struct engine_member *member = seats_newest(engine_members(group_engine(group_of(seats))), number);
    bool is_its = node_id_equal(given->node, link_node(link)) && member && seat_of(member->id) == given->seat;
    if (is_its) {
        answer(seats, link, given->seat, "");
        return;
    }
    if (member && is_there(seats, member)) {
        answer(seats, link, 0, "a broker with this number is there, and connected");
        return;
    }
    uint32_t seat = member ? seat_of(member->id) + 1 : SEAT_FIRST;
    if (seat > SEAT_MAX || !add(seats, now_ms, group_member_id(number, (uint16_t)seat)))
        return;
    memcpy(given->node, link_node(link), NODE_ID_BYTES);
    given->seat = seat;
}

/* It stays a member, as a learner: no seat is ever given twice, so that the last one has to be known. */
const char *seats_forget(struct seats *seats, uint64_t now_ms, uint32_t number)
{
    if (!may_change(seats))
        return "a change of members is under way: try again";
    const struct engine_member *member = seats_newest(engine_members(group_engine(group_of(seats))), number);
    if (!member)
        return "the broker is no member";
    if (is_there(seats, member))
        return "the broker is there, and connected: stop it first";
    if (member->role == ENGINE_LEARNER || set_role(seats, now_ms, member->id, ENGINE_LEARNER))
        return NULL;
    return seats->said;
}

void seats_ask(struct seats *seats, uint64_t now_ms)
{
    union link_frame frame = {.join = {.type = LINK_JOIN, .number = seats->options.settings->number}};
    if (seats->asked_ms && now_ms < seats->asked_ms + ASK_MS)
        return;
    seats->asked_ms = now_ms;
    for (struct link *link = NULL; (link = links_behind(links_of(seats), link));)
        link_send(link, &frame);
}

void seats_tick(struct seats *seats, uint64_t now_ms)
{
    const struct group *group = group_of(seats);
    const struct engine *engine = group ? group_engine(group) : NULL;
    if (group && !engine)
        return; /* its log says who they are, and is being read */
    follow_members(seats, engine ? engine_members_at(engine, engine_commit(engine)) : NULL);
    forget_strangers(seats);
    if (engine && may_change(seats) && now_ms >= seats->tried_ms + TRY_MS) {
        seats->tried_ms = now_ms;
        go_on(seats, now_ms);
    }
}
