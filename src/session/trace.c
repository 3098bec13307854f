/* Frames in the log: what may be shown of a method, and how many lines there may be. */
#include "session/trace.h"

#include <stdio.h>

#include "amqp/text.h"
#include "session/connection.h"
#include "session/server_state.h"

enum { SECOND_MS = 1000 };

/* May one more line be written? */
static bool has_room(struct server *server)
{
    struct trace *trace = &server->trace;
    if (server->now_ms - trace->second_ms >= SECOND_MS) {
        trace->second_ms = server->now_ms;
        trace->lines = 0;
    }
    trace->unlogged++;
    return trace->lines++ < TRACE_LINES_MAX;
}

static void log_line(const struct connection *connection, enum event event, uint16_t channel,
                     const char *name, const char *key, struct bytes value)
{
    struct trace *trace = &connection->server->trace;
    const struct log *log = connection->server->broker->log;
    if (trace->unlogged > 1)
        log_event(log, event, "connection=%llu channel=%u unlogged=%llu frame=%s %s=%.*s",
                  (unsigned long long)connection->id, channel,
                  (unsigned long long)trace->unlogged - 1, name, key, BYTES_ARG(value));
    else
        log_event(log, event, "connection=%llu channel=%u frame=%s %s=%.*s",
                  (unsigned long long)connection->id, channel, name, key, BYTES_ARG(value));
    trace->unlogged = 0;
}

static void log_size(const struct connection *connection, enum event event, uint16_t channel,
                     const char *name, uint64_t size)
{
    char text[40];
    snprintf(text, sizeof(text), "%llu", (unsigned long long)size);
    log_line(connection, event, channel, name, "size", bytes_str(text));
}

/* Passwords, and what stands for them, are left out. */
static union method without_secrets(const union method *method)
{
    union method shown = *method;
    if (shown.id == METHOD_CONNECTION_START_OK)
        shown.connection_start_ok.response = bytes_of(NULL, 0);
    else if (shown.id == METHOD_CONNECTION_SECURE)
        shown.connection_secure.challenge = bytes_of(NULL, 0);
    else if (shown.id == METHOD_CONNECTION_SECURE_OK)
        shown.connection_secure_ok.response = bytes_of(NULL, 0);
    else if (shown.id == METHOD_CONNECTION_UPDATE_SECRET)
        shown.connection_update_secret.new_secret = bytes_of(NULL, 0);
    return shown;
}

static void log_method(const struct connection *connection, enum event event, uint16_t channel,
                       const union method *method, size_t size)
{
    union method shown = without_secrets(method);
    struct buffer text = {0};
    const char *name = method_name(method->id);
    if (size > TRACE_METHOD_MAX) {
        log_size(connection, event, channel, name, size);
        return;
    }
    text_method(&text, &shown);
    size_t skip = strlen(name) + 1;
    buffer_drop(&text, skip < text.size ? skip : text.size);
    log_line(connection, event, channel, name, "fields", buffer_bytes(&text));
    buffer_free(&text);
}

static uint64_t announced(struct bytes header)
{
    struct reader reader = reader_of(header);
    reader_u32(&reader); /* class and weight */
    return reader_u64(&reader);
}

void trace_received(struct connection *connection, const struct frame *frame)
{
    union method method;
    enum event event = EVENT_frame_received;
    if ((frame->type != FRAME_METHOD && frame->type != FRAME_HEADER) ||
        !has_room(connection->server))
        return;
    if (frame->type == FRAME_HEADER)
        log_size(connection, event, frame->channel, "content", announced(frame->payload));
    else if (method_read(frame->payload, &method) == METHOD_OK)
        log_method(connection, event, frame->channel, &method, frame->payload.size);
    else
        log_size(connection, event, frame->channel, "unreadable", frame->payload.size);
}

void trace_sent(struct connection *connection, uint16_t channel, const union method *method)
{
    if (has_room(connection->server))
        log_method(connection, EVENT_frame_sent, channel, method, method_size(method));
}

void trace_sent_content(struct connection *connection, uint16_t channel, uint64_t body_size)
{
    if (has_room(connection->server))
        log_size(connection, EVENT_frame_sent, channel, "content", body_size);
}
