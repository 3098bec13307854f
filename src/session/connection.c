/* The life of a connection: what it says, why it waits, and how it ends. What it hears is in
 * connection_input.c, its time in connection_timer.c.
 *
 * What ends may have much: channels, deliveries, queues of its own. It goes as far as a turn's budget
 * allows, and the rest in later turns, while the connection is on no list but server->dropping. */
#include "session/connection.h"

#include <assert.h>
#include <stdio.h>

#include "base/hash.h"
#include "base/mem.h"
#include "base/planted.h"
#include "broker/login.h"
#include "session/announce.h"
#include "session/channel.h"
#include "session/connection_input.h"
#include "session/connection_timer.h"
#include "session/trace.h"

enum { CLOSING_MS = 30000, BROKEN_MS = 3000, FLUSH_MS = 10000 };
/* To remove a queue: steps of the turn's budget. */
enum { QUEUE_STEPS = 300 };

/* ---- how it is found ---- */

static uint64_t hash_of(const struct server *server, struct bytes name)
{
    return hash_bytes(name, server->replies.seed);
}

static bool is_named(const void *value, const void *wanted)
{
    char name[CONNECTION_NAME_SIZE];
    return bytes_equal_str(*(const struct bytes *)wanted, connection_name(value, name));
}

void connection_opened(struct connection *connection)
{
    struct server *server = connection->server;
    char name[CONNECTION_NAME_SIZE];
    connection->opened_clock_ms = server->broker->clock_ms;
    server->connections_opened++;
    idmap_add(&server->opened, connection->id, connection);
    set_add(&server->named, hash_of(server, bytes_str(connection_name(connection, name))),
            connection);
}

static void forget_opened(struct connection *connection)
{
    struct server *server = connection->server;
    char name[CONNECTION_NAME_SIZE];
    idmap_remove(&server->opened, connection->id);
    set_remove(&server->named, hash_of(server, bytes_str(connection_name(connection, name))),
               connection);
}

struct connection *connection_named(const struct server *server, struct bytes name)
{
    return set_find(&server->named, hash_of(server, name), is_named, &name);
}

struct connection *connection_numbered(const struct server *server, uint64_t id)
{
    return idmap_find(&server->opened, id);
}

/* ---- what it has, and its end ---- */

/* Ends channels, and removes the queues that are this connection's own, as far as the turn's budget goes.
 * False: there are more. */
static bool drop(struct connection *connection)
{
    struct budget *turn = &connection->server->broker->turn;
    struct list *link;
    while (connection->channels.count) {
        uint64_t at = connection->drop_at;
        struct channel *channel = idmap_next(&connection->channels, &at);
        if (channel && (budget_is_spent(turn) || !channel_free(channel)))
            return false;
        /* What was behind it may have moved to its place, or from the beginning to behind it. */
        connection->drop_at = channel ? at - 1 : 0;
    }
    while ((link = list_first(&connection->exclusive_queues))) {
        if (planted(PLANTED_EXCLUSIVE_STAYS)) {
            list_remove(link);
            continue;
        }
        if (budget_is_spent(turn))
            return false;
        budget_use(turn, QUEUE_STEPS);
        queue_delete(list_entry(link, struct queue, owner_link));
    }
    return true;
}

/* Begins to drop all that the connection has, or goes on. From now on it is given nothing. */
static bool drop_all(struct connection *connection)
{
    list_remove(&connection->publisher_link);
    list_remove(&connection->quota_link);
    connection->holds = 0;
    connection->deliver_max = 0;
    list_remove(&connection->dropping_link);
    if (drop(connection))
        return true;
    list_push_back(&connection->server->dropping, &connection->dropping_link);
    return false;
}

static void free_dropped(struct connection *connection)
{
    assert(connection->is_gone && connection->channels.count == 0);
    assert(list_is_empty(&connection->exclusive_queues));
    output_free(&connection->server->outputs, &connection->output);
    list_remove(&connection->conversation.writable_link);
    list_remove(&connection->resumable_link);
    list_remove(&connection->dropping_link);
    buffer_free(&connection->client_properties);
    if (connection->vhost) {
        connection->server->open_connections--;
        connection->vhost->connections--;
        connection->vhost->holders--;
        connection->user->connections--;
    }
    if (connection->user)
        user_release(connection->user);
    mem_free(connection);
}

static void count_traffic(struct server *server, const struct ending *ending)
{
    server->ended.received_bytes += ending->received_bytes;
    server->ended.received_pieces += ending->received_pieces;
    server->ended.sent_bytes += ending->sent_bytes;
    server->ended.sent_pieces += ending->sent_pieces;
}

/* It is on no list any more that says it has something to do; what touches it finds it touched. */
static void free_connection(struct conversation *conversation)
{
    struct connection *connection = connection_of(conversation);
    struct server *server = connection->server;
    assert(!connection->is_gone && server->connection_count > 0);
    ending_log(connection);
    count_traffic(server, &connection->ending);
    announce_closed(connection);
    connection_timers_stop(connection);
    connection_forget_input(connection);
    login_free(connection->login);
    output_free(&server->outputs, &connection->output);
    list_remove(&connection->link);
    server->connection_count--;
    if (connection->vhost)
        forget_opened(connection);
    connection->is_gone = true;
    connection->state = CONNECTION_CLOSED;
    list_remove(&connection->conversation.writable_link);
    list_push_back(&server->gone, &connection->conversation.writable_link);
    if (drop_all(connection))
        free_dropped(connection);
}

void connections_drop(struct server *server)
{
    struct list *link;
    while (!budget_is_spent(&server->broker->turn) && (link = list_first(&server->dropping))) {
        struct connection *connection = list_entry(link, struct connection, dropping_link);
        if (!drop(connection))
            return;
        list_remove(link);
        if (connection->is_gone)
            free_dropped(connection);
        else if (connection->is_closing)
            channel_end_last(connection);
    }
}

bool connection_has_gone(const struct server *server, uint64_t id)
{
    list_for_each(link, &server->dropping)
    {
        const struct connection *connection = list_entry(link, struct connection, dropping_link);
        if (connection->id == id && connection->is_gone)
            return true;
    }
    return false;
}

static void lost(struct conversation *conversation, const char *reason)
{
    ending_set(connection_of(conversation), ENDING_VANISHED,
               reason ? reason : "the socket ended without connection.close");
}

void connection_end(struct connection *connection)
{
    connection->is_closing = false;
    drop_all(connection);
    connection_timers_stop(connection);
    connection->state = CONNECTION_CLOSED;
    connection_deadline(connection, FLUSH_MS);
    connection_touch(connection);
}

static bool is_finished(const struct conversation *conversation)
{
    const struct connection *connection = connection_of(conversation);
    return connection->state == CONNECTION_CLOSED && connection->output.size == 0;
}

void connection_close(struct connection *connection)
{
    bool is_done = drop_all(connection);
    connection_timers_stop(connection);
    connection->state = CONNECTION_CLOSING;
    connection_deadline(connection, CLOSING_MS);
    connection->is_closing = !is_done;
    if (is_done)
        channel_end_last(connection);
}

void connection_fail(struct connection *connection, uint16_t code, uint32_t method,
                     const char *detail)
{
    struct server *server = connection->server;
    char text[REPLY_TEXT_MAX + 1];
    if (connection->state >= CONNECTION_CLOSING)
        return;
    bool has_begun = connection->state != CONNECTION_GREETING;
    size_t size = reply_format(text, code, "%s", detail);
    const struct user *user = connection->user;
    if (connection->ending.kind == ENDING_NONE)
        log_event(server->broker->log, EVENT_connection_error,
                  "connection=%llu peer=%s user=%.*s code=%u reason=%s",
                  (unsigned long long)connection->id, connection->peer.name,
                  user ? (int)user->name_size : 0, user ? user->name : "", code, text);
    ending_set(connection, ENDING_LOGGED, "closed by the broker");
    if (!has_begun) {
        connection_end(connection);
        return;
    }
    drop_all(connection);
    connection_timers_stop(connection);
    connection->state = CONNECTION_CLOSING;
    union method close = {.connection_close = {.id = METHOD_CONNECTION_CLOSE,
                                               .reply_code = code,
                                               .reply_text = bytes_of(text, size),
                                               .class_id = method_class_id(method),
                                               .method_id = method_method_id(method)}};
    connection_send(connection, &close);
    uint64_t wait_ms = connection->has_lost_framing ? BROKEN_MS : CLOSING_MS;
    uint64_t heartbeat_ms = (uint64_t)connection->heartbeat_s * 1000;
    if (heartbeat_ms && heartbeat_ms < wait_ms)
        wait_ms = heartbeat_ms;
    connection_deadline(connection, wait_ms);
    if (connection->input.size)
        connection_resume_later(connection);
}

/* ---- output ---- */

void connection_send(struct connection *connection, const union method *method)
{
    connection_send_on(connection, 0, method);
}

void connection_send_on(struct connection *connection, uint16_t channel, const union method *method)
{
    size_t size = frame_method_size(method);
    uint8_t *at = output_room(&connection->server->outputs, &connection->output, size);
    struct writer writer = writer_of(at, size);
    frame_write_method(&writer, channel, method);
    output_added(&connection->output, size);
    connection_touch(connection);
    if (__builtin_expect(connection->server->options.trace_frames, 0))
        trace_sent(connection, channel, method);
}

static int lend_output(struct conversation *conversation, struct iovec *parts, int max)
{
    struct connection *connection = connection_of(conversation);
    int count = output_peek(&connection->output, parts, max);
    connection->is_lent = count > 0;
    return count;
}

void connection_discard_output(struct connection *connection)
{
    if (connection->is_lent)
        connection->is_discarding = true;
    else
        output_free(&connection->server->outputs, &connection->output);
}

static void sent(struct conversation *conversation, size_t size)
{
    struct connection *connection = connection_of(conversation);
    assert(size <= connection->output.size);
    output_drop(&connection->server->outputs, &connection->output, size);
    connection->is_lent = false;
    if (connection->is_discarding)
        connection_discard_output(connection);
    connection->ending.sent_bytes += size;
    if (size) {
        connection->ending.sent_pieces++;
        connection->sent_ms = connection->server->now_ms;
    }
    if (!list_is_empty(&connection->parked) &&
        connection->output.size < connection->server->options.output_bytes_max / 2) {
        consumers_unpark(&connection->parked);
        connection->server->has_work_left = true;
    }
    if (connection->output.size / 2 <= connection->server->options.output_bytes_max)
        connection_release(connection, HOLD_UNREAD);
    if (is_finished(conversation))
        connection_touch(connection);
}

/* ---- reasons to wait ---- */

void connection_hold(struct connection *connection, enum hold reason)
{
    connection->holds |= reason;
    if (reason == HOLD_RETRY || reason == HOLD_CONGESTED)
        connection_resume_later(connection);
    connection_touch(connection);
}

void connection_release(struct connection *connection, enum hold reason)
{
    if (!(connection->holds & reason))
        return;
    connection->holds &= ~(unsigned)reason;
    connection->server->has_work_left = true;
    if (connection->holds)
        return;
    connection_resume_later(connection);
    connection_touch(connection);
}

bool connection_wants_input(const struct conversation *conversation)
{
    const struct connection *connection = connection_of(conversation);
    return !connection->holds && connection->state != CONNECTION_CLOSED &&
           connection->state != CONNECTION_REFUSING;
}

static bool is_blocked(const struct conversation *conversation)
{
    return connection_of(conversation)->holds & (HOLD_BLOCKED | HOLD_QUOTA);
}

struct channel *connection_find_channel(struct connection *connection, uint16_t number)
{
    struct channel *channel = idmap_find(&connection->channels, number);
    if (channel)
        connection->last_channel = channel;
    return channel;
}

/* ---- what it is for who has its bytes ---- */

static const struct conversation_ops conversation_ops = {
    .input = connection_input,
    .wants_input = connection_wants_input,
    .has_turn = connection_has_turn,
    .is_blocked = is_blocked,
    .output = lend_output,
    .sent = sent,
    .is_finished = is_finished,
    .lost = lost,
    .free = free_connection,
};

const char *connection_name(const struct connection *connection, char name[CONNECTION_NAME_SIZE])
{
    snprintf(name, CONNECTION_NAME_SIZE, "%s -> %s", connection->peer.name, connection->peer.local);
    return name;
}

struct connection *connection_new(struct server *server, const struct peer *peer)
{
    struct connection *connection = mem_zalloc(sizeof(*connection));
    conversation_init(&connection->conversation, &conversation_ops);
    connection->server = server;
    connection->id = ++server->connection_id;
    connection->peer = *peer;
    connection->frame_max = server->options.frame_max_untuned;
    connection->ending.began_ms = server->now_ms;
    list_push_back(&server->connections, &connection->link);
    server->connection_count++;
    list_init(&connection->resumable_link);
    list_init(&connection->publisher_link);
    list_init(&connection->quota_link);
    connection->is_watched = true;
    list_init(&connection->exclusive_queues);
    list_init(&connection->parked);
    list_init(&connection->dropping_link);
    connection->is_saying_again = peer->is_resumed;
    connection->deliver_max = server->options.output_bytes_max;
    if (peer->is_resumed && !planted(PLANTED_RESUMED_DELIVERED_EARLY))
        connection->deliver_max = 0; /* until all is said again */
    connection_timers_init(connection);
    connection_deadline(connection, server->options.handshake_ms);
    if (server->is_shutting_down || server->is_failing)
        connection_end(connection);
    return connection;
}
