/* A link's life: dialing, a session of two connections, its end, and whether the node at the other
 * end is gone or only silent.
 *
 * Both sides dial. The one with the greater id waits a little longer, and where both have dialed
 * the connection of the one with the lesser id is kept (link_hello.c).
 *
 * When a process ends, its system closes or resets what it had, and refuses who connects. So when
 * one of a link's connections was reset, the other one is watched for as long as a second, and a
 * new one is tried at once: when both were reset and that is refused, the process is gone. Whoever
 * waits for it need not wait for timeouts. */
#include "cluster/link.h"

#include <assert.h>
#include <stdio.h>

#include "base/mem.h"
#include "base/planted.h"
#include "base/timer.h"
#include "cluster/link_internal.h"

enum { SECOND_MS = 300, PATIENCE_MS = 2000, LASTING_MS = 1000 };

/* ---- what links_next has to tell ---- */

void link_tell(struct link *link)
{
    if (list_is_empty(&link->telling))
        list_push_back(&link->links->telling, &link->telling);
}

static void log_link(const struct link *link, enum event event, enum link_reason reason)
{
    const struct log *log = link->links->options.log;
    char node[LINK_ID_TEXT];
    link_hello_id_text(link->node, node);
    if (event == EVENT_link_up)
        log_event(log, EVENT_link_up, "node=%s name=%s incarnation=%lu peer=%s", node, link->name,
                  (unsigned long)link->incarnation, link->ways[LINK_WAY_CONTROL]->peer);
    else if (event == EVENT_link_gone)
        log_event(log, EVENT_link_gone, "node=%s name=%s reason=\"%s\"", node, link->name,
                  link_reason_why(reason));
    else
        log_event(log, EVENT_link_down, "node=%s name=%s reason=\"%s\" next=\"%s\"", node,
                  link->name, link_reason_why(reason), link_reason_what(reason));
}

void link_is_gone(struct link *link, enum link_reason reason)
{
    if (!link->was_up)
        return;
    link->was_up = false;
    link->tell_gone = true;
    link->gone_reason = reason;
    link_tell(link);
    log_link(link, EVENT_link_gone, reason);
    link_carry_end(link, "the broker that speaks for it is gone");
}

void link_has_room(struct link *link)
{
    size_t half = link->links->options.output_max / 2;
    if (!link->was_full || link_wire_queued(&link->ways[LINK_WAY_DATA]->wire) > half)
        return;
    link->was_full = false;
    link->tell_room = true;
    link_tell(link);
}

/* ---- the end of a session ---- */

void link_retry(struct link *link)
{
    struct links *links = link->links;
    uint64_t wait_ms = link->backoff_ms + random_below(&links->random, link->backoff_ms / 4 + 1);
    bool is_second =
        node_id_is(link->node) && memcmp(links->identity->node, link->node, NODE_ID_BYTES) > 0;
    link->dial_ms = links->now_ms + wait_ms + (is_second ? SECOND_MS : 0);
    link->backoff_ms =
        link->backoff_ms * 2 < LINK_RETRY_MAX_MS ? link->backoff_ms * 2 : LINK_RETRY_MAX_MS;
}

static void go_down(struct link *link, enum link_reason reason)
{
    if (!link->is_up)
        return;
    link->is_up = false;
    if (link->told_up) {
        link->told_up = false;
        link->tell_down = true;
        link->down_reason = reason;
    }
    link->tell_up = link->tell_room = link->was_full = false;
    link->down_ms = link->links->now_ms;
    link_flights_clear(&link->flights);
    link_tell(link);
    log_link(link, EVENT_link_down, reason);
    if (link->links->now_ms - link->up_ms >= LASTING_MS)
        link->backoff_ms = LINK_RETRY_MS;
}

void link_end_session(struct link *link, enum link_reason reason, bool say)
{
    go_down(link, reason);
    for (size_t way = 0; way < LINK_WAYS; way++) {
        struct link_connection *connection = link->ways[way];
        link->ways[way] = NULL;
        if (connection)
            link_connection_end(connection,
                                say && way == LINK_WAY_CONTROL ? reason : LINK_REASON_NONE);
    }
    link->session = 0;
    link_retry(link);
}

void link_dial_ended(struct link *link)
{
    const struct link_connection *dialed = link->dialed;
    link->dialed = NULL;
    if (dialed->way == LINK_WAY_DATA && link->session == dialed->session)
        link_end_session(link, LINK_REASON_LOST, false);
    else if (!link->session)
        link_retry(link);
}

/* ---- is it gone? ---- */

static void stop_watching(struct link *link)
{
    struct link_connection *watched = link->watched;
    link->watched = NULL;
    link->resets = 0;
    link->is_refused = false;
    link->watch_until_ms = 0;
    if (watched)
        link_connection_end(watched, LINK_REASON_NONE);
}

static void judge_gone(struct link *link)
{
    if (!link->watch_until_ms || !link->is_refused ||
        link->resets != (1 << LINK_WAY_CONTROL | 1 << LINK_WAY_DATA))
        return;
    stop_watching(link);
    link_is_gone(link, LINK_REASON_LOST);
}

/* The first of two was reset: is the other one, and is a new one refused? */
static void watch_other(struct link *link, struct link_connection *first)
{
    struct link_connection *other = link->ways[!first->way];
    link->ways[!first->way] = NULL;
    link_end_session(link, LINK_REASON_LOST, false);
    link->resets = 1u << first->way;
    link->watched = other;
    link_connection_set_state(other, CONNECTION_WATCHED);
    link->watch_until_ms = link->links->now_ms + LINK_WATCH_MS;
    link->dial_ms = link->links->now_ms;
    link_connection_look_for_bye(other);
}

static void lost_current(struct link *link, struct link_connection *connection, bool is_reset)
{
    bool is_watch = is_reset && link->is_up && link->was_up;
    link->ways[connection->way] = NULL;
    if (is_watch)
        watch_other(link, connection);
    else
        link_end_session(link, LINK_REASON_LOST, false);
}

void link_lost(struct link *link, struct link_connection *connection, bool is_reset)
{
    if (link_connection_is_current(connection) && connection->way == LINK_WAY_CONTROL)
        link_connection_look_for_bye(connection); /* as nobody has taken it yet */
    connection->link = NULL;
    if (connection == link->dialed) {
        link_dial_ended(link);
    } else if (connection == link->watched) {
        link->watched = NULL;
        link->resets |= is_reset ? 1u << connection->way : 0;
        judge_gone(link);
    } else if (link->ways[connection->way] == connection) {
        lost_current(link, connection, is_reset);
    }
}

/* ---- dialing ---- */

static void dial(struct link *link, enum link_way way)
{
    link->calling = way;
    link->is_calling = true;
    service_call(&link->links->service, &link->call);
}

static void free_link(struct link *link)
{
    link_flights_clear(&link->flights);
    idmap_free(&link->clients);
    list_remove(&link->call.link);
    list_remove(&link->telling);
    list_remove(&link->all);
    mem_free(link);
}

/* Of no use by now, as the other side was faster, or the control connection has gone. */
static bool is_in_vain(const struct link *link)
{
    if (link->is_forgotten || link->links->is_ending)
        return true;
    return link->calling == LINK_WAY_CONTROL ? link->session != 0
                                             : !link->session || link->ways[LINK_WAY_DATA] ||
                                                   !link->ways[LINK_WAY_CONTROL]->is_dialed;
}

static uint64_t new_session(struct links *links)
{
    uint64_t session = random_next(&links->random);
    return session ? session : 1;
}

static struct conversation *call_connected(struct outcall *call, const struct peer *peer)
{
    struct link *link = list_entry(call, struct link, call);
    struct links *links = link->links;
    struct link_connection *connection = link_connection_new(links, peer);
    bool in_vain = is_in_vain(link);
    link->is_calling = false;
    connection->is_dialed = true;
    connection->way = connection->wire.way = link->calling;
    link_connection_set_state(connection, CONNECTION_NEW);
    if (in_vain) {
        link_connection_end(connection, LINK_REASON_NONE);
        if (link->is_forgotten)
            free_link(link);
        return &connection->conversation;
    }
    connection->link = link;
    link->dialed = connection;
    connection->session = link->calling == LINK_WAY_CONTROL ? new_session(links) : link->session;
    link_hello_say(connection);
    return &connection->conversation;
}

static void call_failed(struct outcall *call, bool is_refused, const char *reason)
{
    struct link *link = list_entry(call, struct link, call);
    link->is_calling = false;
    if (link->is_forgotten) {
        free_link(link);
        return;
    }
    log_event(link->links->options.log, EVENT_link_dial_failed, "host=%s port=%u reason=%s",
              link->call.host, link->call.port, reason);
    if (link->calling == LINK_WAY_DATA && !is_in_vain(link))
        link_end_session(link, LINK_REASON_LOST, false);
    else if (!link->session)
        link_retry(link);
    if (link->watch_until_ms && is_refused)
        link->is_refused = true;
    judge_gone(link);
}

/* ---- a session ---- */

static void come_up(struct link *link)
{
    uint64_t now_ms = link->links->now_ms;
    stop_watching(link);
    link->is_up = link->was_up = link->tell_up = true;
    link->logged = LINK_REASON_NONE;
    link->up_ms = link->heard_ms = now_ms;
    link->down_ms = 0;
    link->pinged_ms = 0;
    link->echo_ms = 0;
    link_tell(link);
    for (size_t way = 0; way < LINK_WAYS; way++)
        link_connection_is_readable(link->ways[way]);
    log_link(link, EVENT_link_up, LINK_REASON_NONE);
}

void link_attach(struct link *link, struct link_connection *connection)
{
    struct links *links = link->links;
    if (link->dialed == connection) {
        link->dialed = NULL;
    } else if (link->dialed) { /* the other side's is kept */
        struct link_connection *mine = link->dialed;
        link->dialed = NULL;
        link_connection_end(mine, LINK_REASON_NONE);
    }
    link_connection_set_state(connection, CONNECTION_OPEN);
    connection->wire.way = connection->way;
    connection->wire.whole_max = links->options.whole_max;
    link->ways[connection->way] = connection;
    if (connection->way == LINK_WAY_DATA) {
        come_up(link);
        return;
    }
    link->session = connection->session;
    link->session_ms = links->now_ms;
    if (connection->is_dialed)
        dial(link, LINK_WAY_DATA);
}

/* ---- time ---- */

static void tick_connection(struct link_connection *connection)
{
    uint64_t age_ms = connection->links->now_ms - connection->since_ms;
    if (connection->state == CONNECTION_NEW && age_ms >= LINK_HELLO_MS)
        link_hello_refuse(connection, LINK_REASON_LATE, false, "none");
    else if (connection->state == CONNECTION_ENDING && age_ms >= LINK_ENDING_MS &&
             !connection->is_abrupt) {
        connection->is_abrupt = true;
        service_touch(&connection->links->service, &connection->conversation);
    }
}

static void ping(struct link *link)
{
    uint64_t now_ms = link->links->now_ms;
    union link_frame frame = {.ping = {.type = LINK_PING, .stamp = now_ms}};
    link->pinged_ms = now_ms;
    link_connection_put(link->ways[LINK_WAY_CONTROL], &frame);
}

static bool is_stuck(const struct link_connection *connection)
{
    return connection->wire.out_bytes &&
           connection->links->now_ms - connection->moved_ms >= LINK_STUCK_MS;
}

static void tick_up(struct link *link)
{
    uint64_t now_ms = link->links->now_ms;
    bool is_silent = now_ms - link->heard_ms >= LINK_SILENT_MS;
    if (is_silent && !planted(PLANTED_LINK_SILENCE_UNNOTICED))
        link_end_session(link, LINK_REASON_SILENT, false);
    else if (is_stuck(link->ways[LINK_WAY_DATA]))
        link_end_session(link, LINK_REASON_SLOW, true);
    else if (now_ms - link->pinged_ms >= LINK_PING_MS)
        ping(link);
}

static void tick_down(struct link *link)
{
    struct links *links = link->links;
    if (link->watch_until_ms && links->now_ms >= link->watch_until_ms)
        stop_watching(link);
    if (link->down_ms && links->now_ms - link->down_ms >= LINK_CARRY_MS)
        link_carry_end(link, "the broker that speaks for it is silent");
    if (link->session && links->now_ms - link->session_ms >= LINK_HELLO_MS)
        link_end_session(link, LINK_REASON_LATE, true);
    if (!link->session && !link->is_calling && !link->dialed && link->call.host[0] &&
        !link->is_forgotten && !links->is_ending && links->now_ms >= link->dial_ms)
        dial(link, LINK_WAY_CONTROL);
}

static void tick(struct service *service, uint64_t now_ms, uint64_t clock_ms)
{
    struct links *links = list_entry(service, struct links, service);
    (void)clock_ms;
    links->now_ms = now_ms;
    links->turn++;
    for (struct list *first; (first = list_take_first(&links->resting));)
        service_touch(service, &list_entry(first, struct link_connection, resting)->conversation);
    list_for_each(at, &links->connections)
        tick_connection(list_entry(at, struct link_connection, all));
    list_for_each(at, &links->all) {
        struct link *link = list_entry(at, struct link, all);
        if (link->is_up)
            tick_up(link);
        else
            tick_down(link);
    }
}

static uint64_t connection_next_ms(const struct link_connection *connection)
{
    if (connection->state == CONNECTION_NEW)
        return connection->since_ms + LINK_HELLO_MS;
    if (connection->state == CONNECTION_ENDING && !connection->is_abrupt)
        return connection->since_ms + LINK_ENDING_MS;
    return UINT64_MAX;
}

static uint64_t link_next_ms(const struct link *link)
{
    uint64_t next_ms = UINT64_MAX;
    if (link->is_up)
        return earlier(link->pinged_ms + LINK_PING_MS, link->heard_ms + LINK_SILENT_MS);
    if (link->watch_until_ms)
        next_ms = link->watch_until_ms;
    if (link->down_ms)
        next_ms = earlier(next_ms, link->down_ms + LINK_CARRY_MS);
    if (link->session)
        next_ms = earlier(next_ms, link->session_ms + LINK_HELLO_MS);
    else if (!link->is_calling && !link->dialed && link->call.host[0] && !link->is_forgotten &&
             !link->links->is_ending)
        next_ms = earlier(next_ms, link->dial_ms);
    return next_ms;
}

static uint64_t next_ms(const struct service *service)
{
    const struct links *links = list_entry(service, struct links, service);
    uint64_t next = UINT64_MAX;
    if (!list_is_empty(&links->telling) || !list_is_empty(&links->readable) || !list_is_empty(&links->resting))
        return links->now_ms;
    list_for_each(at, &links->connections)
        next = earlier(next, connection_next_ms(list_entry(at, struct link_connection, all)));
    list_for_each(at, &links->all)
        next = earlier(next, link_next_ms(list_entry(at, struct link, all)));
    return next;
}

/* ---- the service ---- */

static struct conversation *accept_peer(struct service *service, const struct peer *peer)
{
    struct links *links = list_entry(service, struct links, service);
    struct link_connection *connection = link_connection_new(links, peer);
    link_connection_set_state(connection, CONNECTION_NEW);
    if (links->strangers > LINK_STRANGERS_MAX || links->is_ending)
        link_connection_end(connection, LINK_REASON_NONE);
    return &connection->conversation;
}

static void woken(struct service *service, uint64_t now_ms)
{
    list_entry(service, struct links, service)->now_ms = now_ms;
}

static void end_all(struct service *service)
{
    struct links *links = list_entry(service, struct links, service);
    links->is_ending = true;
    list_for_each(at, &links->all) {
        struct link *link = list_entry(at, struct link, all);
        stop_watching(link);
        link_end_session(link, LINK_REASON_SHUTDOWN, true);
    }
    list_for_each(at, &links->connections)
        link_connection_end(list_entry(at, struct link_connection, all), LINK_REASON_NONE);
}

struct links *links_new(const struct links_options *options, struct node_identity *identity,
                        uint64_t now_ms)
{
    static const struct service_ops ops = {.name = "cluster",
                                           .accept = accept_peer,
                                           .woken = woken,
                                           .tick = tick,
                                           .next_ms = next_ms,
                                           .shutdown = end_all};
    struct links *links = mem_zalloc(sizeof(*links));
    service_init(&links->service, &ops);
    links->options = *options;
    if (!links->options.output_max)
        links->options.output_max = LINK_OUTPUT_BYTES;
    if (!links->options.whole_max)
        links->options.whole_max = LINK_WHOLE_BYTES;
    snprintf(links->name, sizeof(links->name), "%s", options->name);
    links->number = options->number;
    links->identity = identity;
    links->now_ms = now_ms;
    random_init(&links->random, options->seed);
    list_init(&links->all);
    list_init(&links->telling);
    list_init(&links->connections);
    list_init(&links->carrying);
    list_init(&links->readable);
    list_init(&links->resting);
    return links;
}

void links_free(struct links *links)
{
    if (!links)
        return;
    assert(list_is_empty(&links->connections) && list_is_empty(&links->carrying));
    list_for_each_safe(at, after, &links->all)
        free_link(list_entry(at, struct link, all));
    buffer_free(&links->scratch);
    mem_free(links);
}

struct service *links_service(struct links *links)
{
    return &links->service;
}

void links_serve(struct links *links, enum link_client kind, struct service *service)
{
    links->clients[kind] = service;
}

/* ---- which links there are ---- */

struct link *links_find(const struct links *links, const uint8_t node[NODE_ID_BYTES])
{
    list_for_each(at, &links->all) {
        struct link *link = list_entry(at, struct link, all);
        if (!link->is_forgotten && node_id_equal(link->node, node))
            return link;
    }
    return NULL;
}

struct link *links_behind(const struct links *links, const struct link *link)
{
    const struct list *at = link ? link->all.next : links->all.next;
    for (; at != &links->all; at = at->next) {
        struct link *next = list_entry(at, struct link, all);
        if (!next->is_forgotten)
            return next;
    }
    return NULL;
}

struct link *links_numbered(const struct links *links, uint32_t number)
{
    list_for_each(at, &links->all) {
        struct link *link = list_entry(at, struct link, all);
        if (!link->is_forgotten && number && link->number == number)
            return link;
    }
    return NULL;
}

struct link *links_add(struct links *links, const struct link_peer *peer)
{
    static const struct outcall_ops ops = {.connected = call_connected, .failed = call_failed};
    if (links->count == LINKS_MAX || (node_id_is(peer->node) && links_find(links, peer->node)))
        return NULL;
    struct link *link = mem_zalloc(sizeof(*link));
    link->links = links;
    memcpy(link->node, peer->node, NODE_ID_BYTES);
    link->number = peer->number;
    link->backoff_ms = LINK_RETRY_MS;
    link->dial_ms = links->now_ms;
    outcall_init(&link->call, &ops);
    snprintf(link->call.host, sizeof(link->call.host), "%s", peer->host ? peer->host : "");
    snprintf(link->call.name, sizeof(link->call.name), "%s", peer->name ? peer->name : "");
    link->call.port = peer->port;
    link->call.patience_ms = PATIENCE_MS;
    link_flights_init(&link->flights);
    idmap_init(&link->clients);
    list_init(&link->telling);
    list_push_back(&links->all, &link->all);
    links->count++;
    return link;
}

struct link *links_add_node(struct links *links, const uint8_t node[NODE_ID_BYTES])
{
    struct link_peer peer = {.port = 0};
    memcpy(peer.node, node, NODE_ID_BYTES);
    return links_add(links, &peer);
}

/* What is still connected knows it no more. */
static void let_go(struct link *link)
{
    list_for_each(at, &link->links->connections) {
        struct link_connection *connection = list_entry(at, struct link_connection, all);
        if (connection->link != link)
            continue;
        link_connection_end(connection, LINK_REASON_NONE);
        connection->link = NULL;
    }
}

void links_forget(struct links *links, struct link *link)
{
    stop_watching(link);
    link->is_forgotten = true;
    link_end_session(link, LINK_REASON_FORGOTTEN, true);
    let_go(link);
    link_carry_end(link, "the broker that speaks for it is a member no more");
    node_identity_forget(links->identity, link->node);
    list_remove(&link->telling);
    links->count--;
    if (!link->is_calling)
        free_link(link);
}

void link_set_number(struct link *link, uint32_t number)
{
    link->number = number;
}

void links_set_number(struct links *links, uint32_t number)
{
    links->number = number;
}

void links_set_catalogue(struct links *links, uint64_t index)
{
    links->catalogue = index;
}

/* ---- what happens ---- */

static bool told(bool *tell)
{
    bool was = *tell;
    *tell = false;
    return was;
}

/* In the order in which they happened: what was up goes down, another start is seen, it comes up.
 */
static bool next_of(struct link *link, struct link_event *event)
{
    *event = (struct link_event){.link = link};
    if (told(&link->tell_down)) {
        event->kind = LINK_EVENT_DOWN;
        event->reason = link->down_reason;
    } else if (told(&link->tell_gone)) {
        event->kind = LINK_EVENT_GONE;
        event->reason = link->gone_reason;
    } else if (told(&link->tell_seen)) {
        event->kind = LINK_EVENT_SEEN;
    } else if (told(&link->tell_up)) {
        event->kind = LINK_EVENT_UP;
        link->told_up = true;
    } else if (told(&link->tell_room)) {
        event->kind = LINK_EVENT_ROOM;
    } else {
        return false;
    }
    return true;
}

/* Members of groups are of the nodes that they say they are. */
static bool is_from(const struct link *link, const struct link_raft *raft)
{
    uint32_t self = link->links->number;
    return (link->number == 0 || raft->from >> 16 == link->number) &&
           (self == 0 || raft->to >> 16 == self);
}

static void act_bye(struct link *link, const struct link_bye *bye)
{
    bool is_shutdown = bye->reason == LINK_REASON_SHUTDOWN;
    link_end_session(link, bye->reason, false);
    if (is_shutdown)
        link_is_gone(link, LINK_REASON_SHUTDOWN);
}

/* True: it is for whoever asks for events. */
static bool act(struct link *link, const union link_frame *frame)
{
    union link_frame echo;
    switch (frame->type) {
    case LINK_PING:
        echo.echo = (struct link_echo){.type = LINK_ECHO, .stamp = frame->ping.stamp};
        link_connection_put(link->ways[LINK_WAY_CONTROL], &echo);
        return false;
    case LINK_ECHO:
        if (frame->echo.stamp <= link->links->now_ms)
            link->echo_ms = link->links->now_ms - frame->echo.stamp;
        return false;
    case LINK_BYE:
        act_bye(link, &frame->bye);
        return false;
    case LINK_RAFT:
        if (is_from(link, &frame->raft))
            return true;
        link_end_session(link, LINK_REASON_WRONG, true);
        return false;
    case LINK_HELLO:
    case LINK_RELAY:
    case LINK_RELAYED:
        link_end_session(link, LINK_REASON_WRONG, true);
        return false;
    default:
        return true;
    }
}

/* The next frame of a connection that is for whoever asks; it is behind the others then. */
static bool next_frame(struct links *links, struct link_connection *connection,
                       struct link_event *event)
{
    struct link *link = connection->link;
    bool was_full = link_wire_waiting(&connection->wire) >= LINK_INPUT_BYTES;
    enum link_wire_result result = link_wire_next(&connection->wire, &links->frame);
    if (was_full && link_wire_waiting(&connection->wire) < LINK_INPUT_BYTES)
        service_touch(&links->service, &connection->conversation);
    if (result == LINK_WIRE_FRAME) {
        list_remove(&connection->readable);
        list_push_back(&links->readable, &connection->readable);
        links->shared = link_wire_shared(&connection->wire);
        *event =
            (struct link_event){.kind = LINK_EVENT_FRAME, .link = link, .frame = &links->frame};
        return act(link, &links->frame);
    }
    list_remove(&connection->readable);
    if (result == LINK_WIRE_WRONG)
        link_end_session(link, LINK_REASON_WRONG, true);
    return false;
}

bool links_next(struct links *links, struct link_event *event)
{
    struct list *first;
    links->shared = NULL;
    for (;;) {
        if ((first = list_first(&links->telling))) {
            struct link *link = list_entry(first, struct link, telling);
            if (next_of(link, event))
                return true;
            list_remove(&link->telling);
        } else if ((first = list_first(&links->readable))) {
            struct link_connection *connection =
                list_entry(first, struct link_connection, readable);
            if (!link_connection_is_current(connection) || !connection->link->is_up)
                list_remove(&connection->readable);
            else if (next_frame(links, connection, event))
                return true;
        } else {
            return false;
        }
    }
}

struct shared *links_shared(const struct links *links)
{
    return links->shared;
}

/* ---- sending ---- */

static size_t size_of(const struct link_part *parts, size_t count)
{
    size_t size = 0;
    for (size_t i = 0; i < count; i++)
        size += parts[i].bytes.size;
    return size;
}

static enum link_sent put(struct link *link, enum link_way way, uint8_t type, const struct link_part *parts,
                          size_t count)
{
    size_t size = size_of(parts, count);
    struct link_connection *connection = link->ways[way];
    size_t queued =
        way == LINK_WAY_DATA ? link_wire_queued(&connection->wire) : connection->wire.out_bytes;
    size_t max = way == LINK_WAY_DATA ? link->links->options.output_max : LINK_TALK_BYTES;
    bool is_over = queued && (size > max || queued > max - size);
    if (is_over && way == LINK_WAY_CONTROL) {
        link_end_session(link, LINK_REASON_SLOW, false);
        return LINK_DOWN;
    }
    if (is_over && !planted(PLANTED_LINK_OUTPUT_UNBOUNDED)) {
        link->was_full = true;
        return LINK_FULL;
    }
    if (connection->wire.out_bytes == 0)
        connection->moved_ms = link->links->now_ms;
    link_wire_put_parts(&connection->wire, type, parts, count);
    service_touch(&link->links->service, &connection->conversation);
    return LINK_SENT;
}

/* Those with entries, and what does not go by control. */
static enum link_way way_of(const union link_frame *frame)
{
    if (frame->type == LINK_RAFT)
        return frame->raft.count ? LINK_WAY_DATA : LINK_WAY_CONTROL;
    return link_frame_may((uint8_t)frame->type, LINK_WAY_CONTROL) ? LINK_WAY_CONTROL
                                                                  : LINK_WAY_DATA;
}

enum link_sent link_send(struct link *link, const union link_frame *frame)
{
    struct buffer *scratch = &link->links->scratch;
    if (!link->is_up)
        return LINK_DOWN;
    buffer_drop(scratch, scratch->size);
    link_frame_write(scratch, frame);
    return put(link, way_of(frame), (uint8_t)frame->type, &(struct link_part){.bytes = buffer_bytes(scratch)}, 1);
}

/* Writes the entries behind the rest of the frame, and says of which parts it is made: what was written, and what is
 * shared, in turn. How many. */
static size_t write_entries(struct buffer *scratch, const struct engine_entry *entries, const struct link_body *bodies,
                            uint32_t count, struct link_part *parts)
{
    size_t part_count = 0, from = 0;
    for (uint32_t i = 0; i < count; i++) {
        link_entry_write(scratch, &entries[i], &bodies[i]);
        if (!bodies[i].shared)
            continue;
        parts[part_count++] = (struct link_part){.bytes = {NULL, scratch->size - from}};
        parts[part_count++] = (struct link_part){bodies[i].records, bodies[i].shared};
        from = scratch->size;
    }
    parts[part_count++] = (struct link_part){.bytes = {NULL, scratch->size - from}};
    /* By now it does not move any more. */
    from = 0;
    for (size_t i = 0; i < part_count; i += 2) {
        parts[i].bytes.data = scratch->data + from;
        from += parts[i].bytes.size;
    }
    return part_count;
}

enum link_sent link_send_raft(struct link *link, uint64_t group, uint64_t generation, uint64_t from,
                              const struct engine_message *message,
                              const struct engine_entry *entries, const struct link_body *bodies)
{
    struct link_part parts[2 * ENGINE_UNCOMMITTED_MAX + 1];
    struct buffer *scratch = &link->links->scratch;
    union link_frame frame = {.raft = {.group = group, .generation = generation, .from = from}};
    if (!link->is_up)
        return LINK_DOWN;
    link_raft_of(message, (struct bytes){0}, &frame.raft);
    buffer_drop(scratch, scratch->size);
    link_frame_write(scratch, &frame);
    size_t count = write_entries(scratch, entries, bodies, message->count, parts);
    enum link_sent sent = put(link, way_of(&frame), LINK_RAFT, parts, count);
    if (scratch->capacity > LINK_OUTPUT_BYTES)
        buffer_free(scratch);
    return sent;
}

/* ---- what is known ---- */

struct link_clock *link_clock(struct link *link)
{
    return &link->clock;
}

bool link_is_up(const struct link *link)
{
    return link->is_up;
}

bool link_has_session(const struct link *link)
{
    return link->session != 0;
}

const uint8_t *link_node(const struct link *link)
{
    return link->node;
}

const char *link_name(const struct link *link)
{
    return link->name;
}

uint32_t link_number(const struct link *link)
{
    return link->number;
}

uint64_t link_incarnation(const struct link *link)
{
    return link->incarnation;
}

uint64_t link_catalogue(const struct link *link)
{
    return link->catalogue;
}

uint64_t link_echo_ms(const struct link *link)
{
    return link->echo_ms;
}

size_t link_unsent(const struct link *link)
{
    size_t bytes = 0;
    for (size_t way = 0; way < LINK_WAYS; way++)
        bytes += link->ways[way] ? link->ways[way]->wire.out_bytes : 0;
    return bytes;
}

struct link_flights *link_flights(struct link *link)
{
    return &link->flights;
}
