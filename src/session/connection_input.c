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
 * After a frame that makes no sense nobody knows where the next one begins: connection.close is sent,
 * and of what comes one thing only is looked for, the frame of connection.close-ok. */
#include "session/connection_input.h"

#include <stdio.h>

#include "session/channel.h"
#include "session/handlers.h"
#include "session/negotiate.h"
#include "session/quick.h"
#include "session/relayed.h"
#include "session/trace.h"

/* Steps of the turn's budget: what one connection may use at a time; what makes it one that asks for
 * much; what is kept for those that do not; and what a frame costs, beside its bytes. */
enum { SHARE = BUDGET_MS, MUCH = SHARE / 10, KEPT = BUDGET_MS, FRAME_STEPS = 15, STEP_BYTES = 64 };

/* ---- frames ---- */

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
    connection->has_lost_framing = code == REPLY_FRAME_ERROR;
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
        connection->looks_at.index = 0;
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
        if (!relayed_note(connection, frame))
            fail_frame(connection, REPLY_FRAME_ERROR, frame, "unknown_frame");
        return true;
    }
    if (frame->channel == 0 && frame->type == FRAME_METHOD)
        return !has_to_wait(connection, connection_method(connection, frame->payload));
    if (frame->channel == 0 && frame->type == FRAME_HEARTBEAT) {
        relayed_begin(connection);
        return true;
    }
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

/* What came instead of a greeting, as far as its beginning tells. */
static const char *greeting_is_wrong(struct bytes in)
{
    static const uint8_t handshake = 0x16; /* RFC 8446, 5.1 */
    if (in.data[0] == handshake)
        return "not AMQP 0-9-1, but TLS, which this port does not have";
    if (bytes_start_with(in, "GET ") || bytes_start_with(in, "HEAD ") ||
        bytes_start_with(in, "POST ") || bytes_start_with(in, "PUT "))
        return "not AMQP 0-9-1, but HTTP";
    if (bytes_start_with(in, "AMQP"))
        return "not AMQP 0-9-1, but another version of it";
    return "not AMQP 0-9-1";
}

static size_t act_on_greeting(struct connection *connection, struct bytes in)
{
    switch (protocol_header_check(in.data, in.size)) {
    case PROTOCOL_NEEDS_MORE:
        return 0;
    case PROTOCOL_WRONG:
        log_event(connection->server->broker->log, EVENT_connection_refused,
                  "connection=%llu peer=%s reason=\"%s\"", (unsigned long long)connection->id,
                  connection->peer.name, greeting_is_wrong(in));
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
static size_t act_on_lost_framing(struct connection *connection, struct bytes in)
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
    uint16_t number = frame_channel(in.data);
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
    ssize_t used = frame_read(in.data, in.size, connection->frame_max, &frame);
    if (used < 0)
        return broken_frame(connection, in, &frame, used);
    if (used == 0)
        return act_on_body_begin(connection, in);
    struct channel *borrowing = connection->borrowing;
    if (borrowing && (frame.type != FRAME_HEADER || frame.channel != borrowing->number))
        return_borrowed(connection);
    if (__builtin_expect(connection->server->options.trace_frames, 0) && !connection->is_retrying)
        trace_received(connection, &frame);
    connection->is_retrying = !act_on_frame(connection, &frame);
    return connection->is_retrying ? 0 : (size_t)used;
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

bool connection_has_turn(struct conversation *conversation)
{
    struct connection *connection = connection_of(conversation);
    struct budget *turn = &connection->server->broker->turn;
    if (!connection_wants_input(conversation))
        return false;
    if (connection->has_share)
        turn->left += SHARE;
    connection->has_share = false;
    if (turn->left > limit_of(connection))
        return true;
    pause_work(connection);
    return false;
}

/* Whatever is not a message in one piece. */
static __attribute__((noinline)) size_t act_on_any(struct connection *connection, struct bytes in)
{
    if (connection->state == CONNECTION_GREETING)
        return act_on_greeting(connection, in);
    if (connection->state == CONNECTION_REFUSING)
        return in.size;
    if (connection->has_lost_framing)
        return act_on_lost_framing(connection, in);
    return connection->body_left ? act_on_body(connection, in) : act_on_frames(connection, in);
}

/* Could a whole message come next? A connection that is running knows where frames begin. */
static inline bool may_be_quick(const struct connection *connection)
{
    return __builtin_expect(connection->state == CONNECTION_RUNNING && !connection->body_left &&
                                !connection->borrowing,
                            1);
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
        now = may_be_quick(connection) ? quick_publish(connection, rest) : 0;
        if (__builtin_expect(now == 0, 0))
            now = act_on_any(connection, rest);
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

void connection_forget_input(struct connection *connection)
{
    connection->server->input_bytes -= connection->input.capacity;
    buffer_free(&connection->input);
}

static void act_on_kept(struct connection *connection)
{
    size_t used = act(connection, buffer_bytes(&connection->input));
    if (used == connection->input.size || connection->state == CONNECTION_CLOSED)
        connection_forget_input(connection);
    else
        buffer_drop(&connection->input, used);
}

static void keep(struct connection *connection, struct bytes in)
{
    size_t before = connection->input.capacity;
    buffer_add(&connection->input, in.data, in.size);
    connection->server->input_bytes += connection->input.capacity - before;
}

void connection_input(struct conversation *conversation, struct bytes in)
{
    struct connection *connection = connection_of(conversation);
    connection->has_heard = true;
    connection->server->broker->actor = connection->user;
    connection->ending.received_bytes += in.size;
    connection->ending.received_pieces++;
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

/* ---- what had to wait ---- */

void connection_resume_later(struct connection *connection)
{
    if (list_is_empty(&connection->resumable_link))
        list_push_back(&connection->server->resumable, &connection->resumable_link);
}

/* False: its turn does not come any more; it is before those that were held meanwhile. */
static bool resume(struct connection *connection)
{
    struct server *server = connection->server;
    bool waits_for_turn = connection->holds & HOLD_RETRY;
    connection->holds &= ~(unsigned)HOLD_RETRY;
    connection->congested &= server->congested;
    if (!connection->congested)
        connection->holds &= ~(unsigned)HOLD_CONGESTED;
    if (connection->holds & HOLD_CONGESTED)
        connection_resume_later(connection);
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
        connection->has_share = true;
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
        if (!resume(list_entry(link, struct connection, resumable_link)))
            list_push_back(&later, link);
    server->has_work_left |= !list_is_empty(&later);
    list_append_all(&later, &server->resumable);
    list_append_all(&server->resumable, &later);
}
