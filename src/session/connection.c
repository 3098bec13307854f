/* Input is acted on where the caller has it: frames are parsed in place, and only what cannot be
 * acted on yet is copied to `input`: an unfinished frame, or everything while there is a reason to
 * wait (connection->holds). Bodies are not collected: of a body frame that has begun, what is there
 * goes into the message at once.
 *
 * Who does not read is not read: an output that answers have filled, beyond what deliveries may fill,
 * is a reason to wait. Input that is not answered goes on while large bodies are on their way, so
 * that a client which sends before it reads does not wait for a broker that waits for it.
 *
 * A turn has a budget for all connections together, and each may use a part of it at a time: what is
 * left of its input then waits, and so do those whose turn does not come any more. They go on in the
 * order in which they began to wait. The last part of the budget is for those that have asked for
 * little, so that they need not queue behind those that ask for much.
 *
 * After a frame that makes no sense the connection is deaf: it sends connection.close, and of what
 * comes it looks for one thing only, the frame of connection.close-ok. */
#include "session/connection.h"

#include <assert.h>
#include <stdio.h>

#include "base/mem.h"
#include "session/channel.h"
#include "session/handlers.h"
#include "session/negotiate.h"
#include "session/quick.h"

enum { CLOSING_MS = 30000, BROKEN_MS = 3000, FLUSH_MS = 10000 };
/* Steps of the turn's budget: what one connection may use at a time; what makes it one that asks for
 * much; what is kept for those that do not; and what a frame costs, beside its bytes. */
enum { SHARE = BUDGET_MS, MUCH = SHARE / 10, KEPT = BUDGET_MS, FRAME_STEPS = 15, STEP_BYTES = 64 };
/* To remove a queue. */
enum { QUEUE_STEPS = 300 };

/* ---- life ---- */

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
    connection->holds = 0;
    connection->deliver_max = 0;
    list_remove(&connection->dropping_link);
    if (drop(connection))
        return true;
    list_push_back(&connection->server->dropping, &connection->dropping_link);
    return false;
}

static void forget_input(struct connection *connection)
{
    connection->server->input_bytes -= connection->input.capacity;
    buffer_free(&connection->input);
}

static void stop_timers(struct connection *connection)
{
    struct timers *timers = &connection->server->timers;
    timer_cancel(timers, &connection->deadline);
    timer_cancel(timers, &connection->send_timer);
    timer_cancel(timers, &connection->hear_timer);
}

static void free_dropped(struct connection *connection)
{
    output_free(&connection->server->outputs, &connection->output);
    list_remove(&connection->conversation.writable_link);
    list_remove(&connection->held_link);
    list_remove(&connection->dropping_link);
    mem_free(connection);
}

/* It is on no list any more that says it has something to do; what touches it finds it touched. */
static void free_connection(struct conversation *conversation)
{
    struct connection *connection = connection_of(conversation);
    struct server *server = connection->server;
    ending_log(connection);
    stop_timers(connection);
    forget_input(connection);
    output_free(&server->outputs, &connection->output);
    list_remove(&connection->link);
    server->connection_count--;
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
    stop_timers(connection);
    connection->state = CONNECTION_CLOSED;
    timer_set(&connection->server->timers, &connection->deadline,
              connection->server->now_ms + FLUSH_MS);
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
    stop_timers(connection);
    connection->state = CONNECTION_CLOSING;
    timer_set(&connection->server->timers, &connection->deadline,
              connection->server->now_ms + CLOSING_MS);
    connection->is_closing = !is_done;
    if (is_done)
        channel_end_last(connection);
}

/* Its kept input is acted on in the next turn, if nothing holds it then. */
static void look_again(struct connection *connection)
{
    if (list_is_empty(&connection->held_link))
        list_push_back(&connection->server->resumable, &connection->held_link);
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
    stop_timers(connection);
    connection->state = CONNECTION_CLOSING;
    union method close = {.connection_close = {.id = METHOD_CONNECTION_CLOSE,
                                               .reply_code = code,
                                               .reply_text = bytes_of(text, size),
                                               .class_id = method_class_id(method),
                                               .method_id = method_method_id(method)}};
    connection_send(connection, &close);
    uint64_t wait_ms = connection->is_deaf ? BROKEN_MS : CLOSING_MS;
    uint64_t heartbeat_ms = (uint64_t)connection->heartbeat_s * 1000;
    if (heartbeat_ms && heartbeat_ms < wait_ms)
        wait_ms = heartbeat_ms;
    timer_set(&server->timers, &connection->deadline, server->now_ms + wait_ms);
    if (connection->input.size)
        look_again(connection);
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
}

static void send_heartbeat(struct connection *connection)
{
    uint8_t *at = output_room(&connection->server->outputs, &connection->output, FRAME_OVERHEAD);
    struct writer writer = writer_of(at, FRAME_OVERHEAD);
    frame_write_heartbeat(&writer);
    output_added(&connection->output, FRAME_OVERHEAD);
    connection_touch(connection);
}

static int lend_output(struct conversation *conversation, struct iovec *parts, int max)
{
    struct connection *connection = connection_of(conversation);
    int count = output_peek(&connection->output, parts, max);
    connection->is_lent = count > 0;
    return count;
}

/* What is unsent never will be. */
static void discard_output(struct connection *connection)
{
    if (connection->is_lent)
        connection->is_discarding = true;
    else
        output_free(&connection->server->outputs, &connection->output);
}

static void sent(struct conversation *conversation, size_t size)
{
    struct connection *connection = connection_of(conversation);
    output_drop(&connection->server->outputs, &connection->output, size);
    connection->is_lent = false;
    if (connection->is_discarding)
        discard_output(connection);
    connection->ending.sent_bytes += size;
    if (size)
        connection->sent_ms = connection->server->now_ms;
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
        look_again(connection);
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
    look_again(connection);
    connection_touch(connection);
}

static bool wants_input(const struct conversation *conversation)
{
    const struct connection *connection = connection_of(conversation);
    return !connection->holds && connection->state != CONNECTION_CLOSED &&
           connection->state != CONNECTION_REFUSING;
}

static bool is_blocked(const struct conversation *conversation)
{
    return connection_of(conversation)->holds & HOLD_BLOCKED;
}

/* ---- frames ---- */

struct channel *connection_channel(struct connection *connection, uint16_t number)
{
    struct channel *channel = connection->last_channel;
    if (__builtin_expect(channel && channel->number == number, 1))
        return channel;
    channel = idmap_find(&connection->channels, number);
    if (channel)
        connection->last_channel = channel;
    return channel;
}

/* The first bytes of a payload as RabbitMQ shows them: <<0,20>> or <<"text">>. */
static void print_snippet(char *text, size_t size, struct bytes payload)
{
    size_t shown = payload.size < 16 ? payload.size : 16;
    bool printable = shown > 0;
    for (size_t i = 0; i < shown; i++)
        printable &= payload.data[i] >= ' ' && payload.data[i] < 127 && payload.data[i] != '"' &&
                     payload.data[i] != '\\';
    size_t used = (size_t)snprintf(text, size, "%s octets = <<", payload.size > 16 ? "first 16" : "all");
    if (printable)
        used += (size_t)snprintf(text + used, size - used, "\"%.*s\"", (int)shown,
                                 (const char *)payload.data);
    for (size_t i = 0; i < shown && !printable; i++)
        used += (size_t)snprintf(text + used, size - used, i ? ",%u" : "%u", payload.data[i]);
    snprintf(text + used, size - used, ">>");
}

static void fail_frame(struct connection *connection, uint16_t code, const struct frame *frame,
                       const char *reason)
{
    char snippet[128], detail[300];
    print_snippet(snippet, sizeof(snippet), frame->payload);
    snprintf(detail, sizeof(detail), "type %u, %s%s%s", frame->type, snippet, *reason ? ": " : "",
             reason);
    connection->is_deaf = code == REPLY_FRAME_ERROR;
    connection->body_left = 0;
    connection_fail(connection, code, 0, detail);
}

/* A frame that cannot be read at all. Returns how many bytes of it are passed over. */
static size_t broken_frame(struct connection *connection, struct bytes in, struct frame *frame,
                           ssize_t broken)
{
    char reason[80] = "unknown_frame";
    size_t size = frame->payload.size;
    if (broken == FRAME_TOO_LARGE)
        snprintf(reason, sizeof(reason), "{frame_too_large,%zu,%u}", size,
                 connection->frame_max - FRAME_OVERHEAD);
    else if (broken == FRAME_BAD_END)
        snprintf(reason, sizeof(reason), "{invalid_frame_end_marker,%u}",
                 in.data[FRAME_HEADER_SIZE + size]);
    if (broken != FRAME_BAD_END)
        frame->payload = bytes_of(NULL, 0);
    fail_frame(connection, REPLY_FRAME_ERROR, frame, reason);
    return broken == FRAME_BAD_END ? size + FRAME_OVERHEAD : FRAME_HEADER_SIZE;
}

/* A method on channel 0 (AMQP 0-9-1, 2.2.4). */
static enum handled connection_method(struct connection *connection, struct bytes payload)
{
    struct error error = {.code = 0};
    union method method;
    uint32_t id = 0;
    enum handled handled = HANDLED_FAILED;
    if (channel_read_method(payload, &method, &id, &error))
        handled = handle_connection_method(connection, &method, &error);
    if (handled == HANDLED_FAILED)
        channel_error(connection, 0, id, &error);
    return handled;
}

/* Of a connection that is being closed only the end of the conversation is heard. */
static void closing_method(struct connection *connection, const struct frame *frame)
{
    union method method;
    if (frame->channel || frame->type != FRAME_METHOD ||
        method_read(frame->payload, &method) != METHOD_OK)
        return;
    if (method.id == METHOD_CONNECTION_CLOSE) {
        union method close_ok = {.id = METHOD_CONNECTION_CLOSE_OK};
        connection_send(connection, &close_ok);
    }
    if (method.id == METHOD_CONNECTION_CLOSE || method.id == METHOD_CONNECTION_CLOSE_OK)
        connection_end(connection);
}

/* Has the frame that was just looked at to be handled again later? */
static bool has_to_wait(struct connection *connection, enum handled handled)
{
    if (__builtin_expect(handled != HANDLED_WAIT, 1)) {
        connection->due_turns = 0;
        return false;
    }
    connection_hold(connection, HOLD_RETRY);
    return true;
}

/* False: the frame has to be handled again later. */
static bool act_on_frame(struct connection *connection, const struct frame *frame)
{
    if (connection->state == CONNECTION_CLOSING) {
        closing_method(connection, frame);
        return true;
    }
    if (frame->type == FRAME_METHOD && frame->payload.size < sizeof(uint32_t)) {
        fail_frame(connection, REPLY_FRAME_ERROR, frame, "unknown_frame");
        return true;
    }
    if (frame->type == FRAME_HEARTBEAT && frame->payload.size) {
        fail_frame(connection, REPLY_FRAME_ERROR, frame, "unknown_frame");
        return true;
    }
    if (frame->channel == 0 && frame->type == FRAME_METHOD)
        return !has_to_wait(connection, connection_method(connection, frame->payload));
    if (frame->channel == 0 && frame->type == FRAME_HEARTBEAT)
        return true;
    if (frame->channel && frame->type != FRAME_HEARTBEAT &&
        connection->state == CONNECTION_RUNNING) {
        return !has_to_wait(connection, channel_frame(connection, frame));
    }
    fail_frame(connection, REPLY_UNEXPECTED_FRAME, frame, "");
    return true;
}

/* What was borrowed from the input must not be any more. */
static void return_borrowed(struct connection *connection)
{
    if (!connection->borrowing)
        return;
    content_save(&connection->borrowing->content);
    connection->borrowing = NULL;
}

/* ---- input: each of these acts on the beginning of `in`, and returns how much it used; 0: more is
 * needed, or it has to wait ---- */

static size_t act_on_greeting(struct connection *connection, struct bytes in)
{
    switch (protocol_header_check(in.data, in.size)) {
    case PROTOCOL_NEEDS_MORE:
        return 0;
    case PROTOCOL_WRONG:
        log_event(connection->server->broker->log, EVENT_connection_refused,
                  "connection=%llu peer=%s reason=\"not AMQP 0-9-1\"",
                  (unsigned long long)connection->id, connection->peer.name);
        ending_set(connection, ENDING_LOGGED, "not AMQP 0-9-1");
        memcpy(output_room(&connection->server->outputs, &connection->output, PROTOCOL_HEADER_SIZE),
               protocol_header, PROTOCOL_HEADER_SIZE);
        output_added(&connection->output, PROTOCOL_HEADER_SIZE);
        connection_end(connection);
        return in.size;
    case PROTOCOL_0_9:
        connection->is_version_0_9 = true;
        break;
    case PROTOCOL_0_9_1:
        break;
    }
    connection->state = CONNECTION_STARTING;
    negotiate_start(connection);
    return PROTOCOL_HEADER_SIZE;
}

/* Looks for the frame of connection.close-ok in what makes no other sense. */
static size_t act_deaf(struct connection *connection, struct bytes in)
{
    static const uint8_t close_ok[] = {1, 0, 0, 0, 0, 0, 4, 0, 10, 0, 51, FRAME_END};
    uint64_t found = connection->body_left; /* not needed for bodies any more */
    for (size_t i = 0; i < in.size; i++) {
        found = in.data[i] == close_ok[found] ? found + 1 : in.data[i] == close_ok[0];
        if (found == sizeof(close_ok)) {
            connection_end(connection);
            break;
        }
    }
    connection->body_left = found % sizeof(close_ok);
    return in.size;
}

/* A body frame that is not all there. */
static size_t act_on_body_begin(struct connection *connection, struct bytes in)
{
    if (in.size < FRAME_HEADER_SIZE || in.data[0] != FRAME_BODY)
        return 0;
    uint16_t number = (uint16_t)(in.data[1] << 8 | in.data[2]);
    uint64_t size = frame_announced_size(in.data, in.size) - FRAME_OVERHEAD;
    if (!channel_takes_body(connection, number, size))
        return 0;
    connection->body_channel = number;
    connection->body_left = size + 1;
    return FRAME_HEADER_SIZE;
}

static size_t act_on_body(struct connection *connection, struct bytes in)
{
    size_t size = connection->body_left - 1;
    if (size) {
        size = in.size < size ? in.size : size;
        channel_body_part(connection, connection->body_channel, bytes_of(in.data, size));
        connection->body_left -= size;
        return size;
    }
    if (in.data[0] == FRAME_END) {
        if (!channel_body_end(connection, connection->body_channel)) {
            connection_hold(connection, HOLD_RETRY);
            return 0;
        }
        connection->body_left = 0;
        return 1;
    }
    connection->body_left = 0;
    struct frame frame = {FRAME_BODY, connection->body_channel, {NULL, 0}};
    char reason[40];
    snprintf(reason, sizeof(reason), "{invalid_frame_end_marker,%u}", in.data[0]);
    fail_frame(connection, REPLY_FRAME_ERROR, &frame, reason);
    return 1;
}

static size_t act_on_frames(struct connection *connection, struct bytes in)
{
    struct frame frame;
    if (__builtin_expect(connection->state == CONNECTION_RUNNING, 1) && !connection->borrowing) {
        size_t quick = quick_publish(connection, in);
        if (__builtin_expect(quick > 0, 1))
            return quick;
    }
    ssize_t used = frame_read(in.data, in.size, connection->frame_max, &frame);
    if (used < 0)
        return broken_frame(connection, in, &frame, used);
    if (used == 0)
        return act_on_body_begin(connection, in);
    struct channel *borrowing = connection->borrowing;
    if (borrowing && (frame.type != FRAME_HEADER || frame.channel != borrowing->number))
        return_borrowed(connection);
    return act_on_frame(connection, &frame) ? (size_t)used : 0;
}

/* More is unsent than should be; it was `before` until the last frame. */
static void hold_unread(struct connection *connection, size_t before)
{
    const struct output *output = &connection->output;
    size_t max = connection->server->options.output_bytes_max;
    bool is_answered = output->size > before || (output->size - output->borrowed) / 4 > max;
    if (is_answered && connection->state == CONNECTION_RUNNING)
        connection_hold(connection, HOLD_UNREAD);
}

/* How far the turn's budget may go down before the connection has to wait. */
static int64_t limit_of(const struct connection *connection)
{
    return connection->asks_much ? 0 : -(int64_t)KEPT;
}

/* Others should have their turn. */
static void pause_work(struct connection *connection)
{
    connection_hold(connection, HOLD_RETRY);
    connection->server->has_work_left = true;
}

static bool has_turn(struct conversation *conversation)
{
    struct connection *connection = connection_of(conversation);
    struct budget *turn = &connection->server->broker->turn;
    if (!wants_input(conversation))
        return false;
    if (connection->is_next)
        turn->left += SHARE;
    connection->is_next = false;
    if (turn->left > limit_of(connection))
        return true;
    pause_work(connection);
    return false;
}

/* Acts on as much as it can; returns how much that was. */
static size_t act(struct connection *connection, struct bytes in)
{
    size_t used = 0, now, max = connection->server->options.output_bytes_max;
    struct budget *turn = &connection->server->broker->turn;
    int64_t start = turn->left, limit = limit_of(connection);
    if (limit < start - SHARE)
        limit = start - SHARE;
    while (used < in.size && !connection->holds) {
        struct bytes rest = bytes_of(in.data + used, in.size - used);
        size_t unsent = connection->output.size;
        if (__builtin_expect(connection->state == CONNECTION_CLOSED, 0))
            return in.size;
        if (__builtin_expect(connection->state == CONNECTION_GREETING, 0))
            now = act_on_greeting(connection, rest);
        else if (__builtin_expect(connection->state == CONNECTION_REFUSING, 0))
            now = rest.size;
        else if (__builtin_expect(connection->is_deaf, 0))
            now = act_deaf(connection, rest);
        else if (connection->body_left)
            now = act_on_body(connection, rest);
        else
            now = act_on_frames(connection, rest);
        if (now == 0)
            break;
        used += now;
        budget_use(turn, FRAME_STEPS + now / STEP_BYTES);
        if (__builtin_expect(connection->output.size / 4 > max, 0))
            hold_unread(connection, unsent);
        if (__builtin_expect(turn->left <= limit, 0) && used < in.size)
            pause_work(connection);
    }
    connection->asks_much = start - turn->left > MUCH;
    connection->ended_channel = 0;
    return_borrowed(connection);
    return used;
}

/* How many bytes there must be before `act` gets any further with what was kept. */
static uint64_t needed(const struct connection *connection)
{
    if (connection->state == CONNECTION_GREETING)
        return PROTOCOL_HEADER_SIZE;
    uint64_t size = frame_announced_size(connection->input.data, connection->input.size);
    return size ? size : FRAME_HEADER_SIZE;
}

static void act_on_kept(struct connection *connection)
{
    size_t used = act(connection, buffer_bytes(&connection->input));
    if (used == connection->input.size || connection->state == CONNECTION_CLOSED)
        forget_input(connection);
    else
        buffer_drop(&connection->input, used);
}

static void keep(struct connection *connection, struct bytes in)
{
    size_t before = connection->input.capacity;
    buffer_add(&connection->input, in.data, in.size);
    connection->server->input_bytes += connection->input.capacity - before;
}

static void input(struct conversation *conversation, struct bytes in)
{
    struct connection *connection = connection_of(conversation);
    connection->has_heard = true;
    connection->ending.received_bytes += in.size;
    while (connection->input.size && in.size && !connection->holds) {
        uint64_t whole = needed(connection);
        if (whole <= connection->input.size) { /* it had to wait, and does not any more */
            act_on_kept(connection);
            continue;
        }
        uint64_t missing = whole - connection->input.size;
        size_t now = missing < in.size ? (size_t)missing : in.size;
        keep(connection, bytes_of(in.data, now));
        in = bytes_of(in.data + now, in.size - now);
        act_on_kept(connection);
    }
    size_t used = connection->input.size ? 0 : act(connection, in);
    if (used < in.size)
        keep(connection, bytes_of(in.data + used, in.size - used));
}

/* False: its turn does not come any more; it is before those that were held meanwhile. */
static bool resume(struct connection *connection)
{
    struct server *server = connection->server;
    bool waits_for_turn = connection->holds & HOLD_RETRY;
    connection->holds &= ~(unsigned)HOLD_RETRY;
    if (!server->is_congested)
        connection->holds &= ~(unsigned)HOLD_CONGESTED;
    if (connection->holds & HOLD_CONGESTED)
        look_again(connection);
    if (connection->holds)
        return true;
    waits_for_turn |= connection->input.size;
    if (waits_for_turn && server->broker->turn.left <= limit_of(connection)) {
        connection->holds |= HOLD_RETRY;
        return false;
    }
    if (connection->input.size) {
        act_on_kept(connection);
    } else if (waits_for_turn) { /* it will be read soon: its share is kept for it */
        connection->is_next = true;
        budget_use(&server->broker->turn, SHARE);
    }
    connection_touch(connection);
    return true;
}

void connections_resume(struct server *server)
{
    struct list now, later, *link;
    list_init(&now);
    list_init(&later);
    list_append_all(&now, &server->resumable);
    while ((link = list_take_first(&now)))
        if (!resume(list_entry(link, struct connection, held_link)))
            list_push_back(&later, link);
    server->has_work_left |= !list_is_empty(&later);
    list_append_all(&later, &server->resumable);
    list_append_all(&server->resumable, &later);
}

/* ---- timers ---- */

/* The peer has said nothing for two intervals (AMQP 0-9-1, 4.2.7). */
static void hear_nothing(struct connection *connection)
{
    if (connection->has_heard || connection->holds)
        connection->silences = 0;
    else
        connection->silences++;
    connection->has_heard = false;
    if (connection->silences < 2) {
        timer_set(&connection->server->timers, &connection->hear_timer,
                  connection->server->now_ms + (uint64_t)connection->heartbeat_s * 1000);
        return;
    }
    ending_set(connection, ENDING_SILENCE, "missed heartbeats");
    discard_output(connection);
    connection_end(connection);
}

/* Half an interval without a byte sent is half of what the peer bears. */
static void send_heartbeat_when_idle(struct connection *connection)
{
    uint64_t half_ms = (uint64_t)connection->heartbeat_s * 500;
    uint64_t now_ms = connection->server->now_ms;
    if (connection->output.size == 0 && now_ms - connection->sent_ms >= half_ms) {
        send_heartbeat(connection);
        connection->sent_ms = now_ms;
    }
    uint64_t next_ms = connection->sent_ms + half_ms;
    timer_set(&connection->server->timers, &connection->send_timer,
              next_ms > now_ms ? next_ms : now_ms + half_ms);
}

static void deadline_passed(struct connection *connection)
{
    switch (connection->state) {
    case CONNECTION_CLOSED: /* the peer does not take the rest */
        discard_output(connection);
        connection_touch(connection);
        break;
    case CONNECTION_REFUSING:
    case CONNECTION_CLOSING:
        connection_end(connection);
        break;
    default:
        ending_set(connection, ENDING_SILENCE, "handshake timeout");
        connection_end(connection);
    }
}

void connection_timer(struct connection *connection, struct timer *timer)
{
    switch (timer->kind) {
    case TIMER_DEADLINE:
        deadline_passed(connection);
        break;
    case TIMER_SEND:
        send_heartbeat_when_idle(connection);
        break;
    default:
        hear_nothing(connection);
    }
}

/* ---- what it is for who has its bytes ---- */

static const struct conversation_ops conversation_ops = {
    .input = input,
    .wants_input = wants_input,
    .has_turn = has_turn,
    .is_blocked = is_blocked,
    .output = lend_output,
    .sent = sent,
    .is_finished = is_finished,
    .lost = lost,
    .free = free_connection,
};

struct connection *connection_new(struct server *server, const struct peer *peer)
{
    struct connection *connection = mem_zalloc(sizeof(*connection));
    conversation_init(&connection->conversation, &conversation_ops);
    connection->server = server;
    connection->id = ++server->connection_id;
    connection->peer = *peer;
    connection->frame_max = FRAME_MAX_UNTUNED;
    connection->ending.began_ms = server->now_ms;
    list_push_back(&server->connections, &connection->link);
    server->connection_count++;
    list_init(&connection->held_link);
    list_init(&connection->publisher_link);
    list_init(&connection->exclusive_queues);
    list_init(&connection->parked);
    list_init(&connection->dropping_link);
    connection->deliver_max = server->options.output_bytes_max;
    connection->deadline.kind = TIMER_DEADLINE;
    connection->send_timer.kind = TIMER_SEND;
    connection->hear_timer.kind = TIMER_HEAR;
    timer_set(&server->timers, &connection->deadline,
              server->now_ms + server->options.handshake_ms);
    if (server->is_shutting_down || server->is_failing)
        connection_end(connection);
    return connection;
}
