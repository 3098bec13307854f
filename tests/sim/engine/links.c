/* Ways between nodes: two for each pair and direction, of which each keeps its order. A way that is
 * blocked keeps what it has; a pair of which one is blocked for too long is made anew. */
#include <string.h>

#include "base/mem.h"
#include "tests/sim/engine/group.h"

enum { SILENCE_MS = 750, CONNECT_MS = 20 };

void packet_free(struct packet *packet)
{
    mem_free(packet->entries);
    packet->entries = NULL;
}

static struct way *way_of(struct group *group, uint32_t from, uint32_t to,
                          const struct packet *packet)
{
    return &group->ways[from][to][packet->message.count > 0];
}

void links_send(struct group *group, uint32_t from, uint32_t to, struct packet *packet)
{
    struct way *way = way_of(group, from, to, packet);
    if (!group->connection[from][to]) {
        packet_free(packet);
        return;
    }
    packet->connection = group->connection[from][to];
    packet->at_ms = group->now_ms + group->latency_ms + group_below(group, group->latency_ms);
    if (packet->message.count) { /* there is more of it */
        packet->at_ms += group_below(group, group->latency_ms * 4);
        if (packet->at_ms < group->stalled_ms[from][to])
            packet->at_ms = group->stalled_ms[from][to];
    }
    if (packet->at_ms < way->last_ms)
        packet->at_ms = way->last_ms;
    way->last_ms = packet->at_ms;
    way->packets = mem_grow(way->packets, &way->capacity, way->count + 1, sizeof(*way->packets));
    way->packets[way->count++] = *packet;
    group_at(group, EVENT_ARRIVES, from, to, packet->at_ms - group->now_ms, packet->connection);
}

static void drop_all(struct group *group, uint32_t from, uint32_t to)
{
    for (uint32_t k = 0; k < 2; k++) {
        struct way *way = &group->ways[from][to][k];
        for (size_t i = 0; i < way->count; i++)
            packet_free(&way->packets[i]);
        way->count = 0;
        way->last_ms = group->now_ms;
    }
}

static void disconnect(struct group *group, uint32_t a, uint32_t b)
{
    if (a == b || !group->connection[a][b])
        return;
    group->connection[a][b] = group->connection[b][a] = 0;
    drop_all(group, a, b);
    drop_all(group, b, a);
}

static void connect(struct group *group, uint32_t a, uint32_t b)
{
    struct node *nodes[2] = {&group->nodes[a], &group->nodes[b]};
    if (group->connection[a][b] || group->blocked[a][b] || group->blocked[b][a] ||
        !nodes[0]->is_up || !nodes[1]->is_up)
        return;
    group->connection[a][b] = group->connection[b][a] = ++group->connections;
    group->report->resets++;
    engine_link_new(nodes[0]->engine, nodes[1]->id);
    engine_link_new(nodes[1]->engine, nodes[0]->id);
}

void links_block(struct group *group, uint32_t from, uint32_t to, bool blocked)
{
    if (from == to || group->blocked[from][to] == blocked)
        return;
    group->blocked[from][to] = blocked;
    group->blocked_ms[from][to] = group->now_ms;
    group_at(group, blocked ? EVENT_SILENCE : EVENT_HEAL_WAY, from, to, blocked ? SILENCE_MS : 0,
             0);
}

void links_end(struct group *group, uint32_t node)
{
    for (uint32_t i = 0; i < NODES; i++)
        disconnect(group, node, i);
}

bool links_grant(const struct group *group, uint32_t from, uint32_t to)
{
    const struct way *way = &group->ways[from][to][0];
    size_t i = 0;
    while (i < way->count &&
           !(way->packets[i].kind == PACKET_GRANT && way->packets[i].grant.answer))
        i++;
    return i < way->count;
}

void links_poll(struct group *group, uint32_t node)
{
    for (uint32_t i = 0; i < NODES; i++)
        if (i != node)
            group_at(group, EVENT_ARRIVES, i, node, 0, 0);
}

/* The first, if it has arrived: they are in order. */
static bool take(struct way *way, uint64_t now_ms, struct packet *packet)
{
    if (way->count == 0 || way->packets[0].at_ms > now_ms)
        return false;
    *packet = way->packets[0];
    way->count--;
    memmove(&way->packets[0], &way->packets[1], way->count * sizeof(*packet));
    return true;
}

/* Hands over what has arrived, of one way after the other. */
static void arrive(struct group *group, uint32_t from, uint32_t to)
{
    struct node *node = &group->nodes[to];
    struct packet packet;
    for (uint32_t k = 0; k < 2; k++)
        while (node->is_up && !node->is_paused && !group->blocked[from][to] &&
               !group->blocked[to][from] &&
               take(&group->ways[from][to][k], group->now_ms, &packet)) {
            node_arrived(group, node, &packet, from);
            packet_free(&packet);
        }
}

void links_event(struct group *group, const struct sim_event *event)
{
    uint32_t a = (uint32_t)event->machine, b = (uint32_t)event->which;
    switch ((enum group_event)event->kind) {
    case EVENT_ARRIVES:
        arrive(group, a, b);
        break;
    case EVENT_HEAL_WAY:
        arrive(group, a, b);
        arrive(group, b, a);
        group_at(group, EVENT_CONNECT, a, b, CONNECT_MS, 0);
        break;
    case EVENT_SILENCE:
        if (group->blocked[a][b] && group->now_ms >= group->blocked_ms[a][b] + SILENCE_MS)
            disconnect(group, a, b);
        break;
    default: /* EVENT_CONNECT */
        connect(group, a, b);
    }
}
