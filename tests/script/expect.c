/* What a script expects of the broker. */
#include <poll.h>
#include <stdio.h>

#include "amqp/frame.h"
#include "amqp/properties.h"
#include "amqp/text.h"
#include "tests/lib/match.h"
#include "tests/script/run.h"

enum { SILENCE_MS = 150, LOOK_MS = 2000 };

/* What lies next in what the broker sent, for the reader. */
static void fault_unexpected(struct run *run, const char *wanted, const struct frame *frame)
{
    struct buffer text = {0};
    union method method;
    if (frame && frame->type == FRAME_METHOD && method_read(frame->payload, &method) == METHOD_OK)
        text_method(&text, &method);
    if (!frame)
        run_fault(run, "wanted %s, got nothing", wanted);
    else
        run_fault(run, "wanted %s, got a frame of type %u on channel %u: %.*s", wanted, frame->type,
                  frame->channel, BYTES_ARG(buffer_bytes(&text)));
    buffer_free(&text);
}

/* RabbitMQ's channels are processes, and which of them writes first is a matter of luck: what another
 * channel got stays for whoever expects it. Channel 0 is all of them. */
static bool may_come_later(const struct run *run, const struct frame *frame, uint16_t channel)
{
    return run->is_oracle && frame->channel && frame->channel != channel;
}

/* The next frame of a channel; what frame_read says of it. */
static ssize_t find_frame(const struct run *run, const struct client *client, uint16_t channel,
                          struct frame *frame)
{
    ssize_t size;
    for (size_t at = 0; at < client->in.size; at += (size_t)size) {
        size = frame_read(client->in.data + at, client->in.size - at, 0, frame);
        if (size <= 0 || !may_come_later(run, frame, channel))
            return size;
    }
    return 0;
}

/* The next frame, of that type; it stays in the buffer. False: there is another, or none. */
static bool next_frame(struct run *run, struct client *client, uint16_t channel,
                       enum frame_type type, const char *wanted, struct frame *frame)
{
    ssize_t size;
    while ((size = find_frame(run, client, channel, frame)) == 0 && run_more(run, client))
        continue;
    if (size > 0 && frame->type == type)
        return true;
    fault_unexpected(run, wanted, size > 0 ? frame : NULL);
    return false;
}

static void drop_frame(struct client *client, const struct frame *frame)
{
    size_t at = (size_t)(frame->payload.data - client->in.data) - FRAME_HEADER_SIZE;
    client_cut(client, at, frame->payload.size + FRAME_OVERHEAD);
}

/* Gives a variable the value of a field that was just received. */
static void capture(struct run *run, const struct variable *wanted, const union method *method)
{
    const struct method_info *info = method_info(method->id);
    for (size_t i = 0; i < info->field_count; i++) {
        const struct method_field *field = &info->fields[i];
        const uint8_t *at = (const uint8_t *)method + field->offset;
        struct variable *new = &run->variables[run->variable_count];
        struct bytes text;
        if (strcmp(field->name, wanted->value) != 0)
            continue;
        memcpy(&text, at, sizeof(text));
        memcpy(new->name, wanted->name, sizeof(new->name));
        if (field->kind == METHOD_FIELD_SHORTSTR)
            snprintf(new->value, sizeof(new->value), "%.*s", BYTES_ARG(text));
        run->variable_count++;
    }
}

/* RabbitMQ's queues tell their counts before they do what was asked of them earlier, and dead
 * letters take a while: who looks has to look again. */
static bool is_early(const struct run *run, const union method *wanted, const union method *method)
{
    return run->is_oracle &&
           ((wanted->id == METHOD_BASIC_GET_OK && method->id == METHOD_BASIC_GET_EMPTY) ||
            (wanted->id == METHOD_QUEUE_DECLARE_OK && method->id == METHOD_QUEUE_DECLARE_OK));
}

static bool look_again(struct run *run, struct client *client, uint16_t channel,
                       const struct frame *frame)
{
    if (run->looks++ * RETRY_MS >= LOOK_MS)
        return false;
    drop_frame(client, frame);
    poll(NULL, 0, RETRY_MS);
    run_send_method(run, client, channel, run->sent);
    run_settle(run);
    return !run->fault[0];
}

void expect_method(struct run *run, struct client *client, uint16_t channel, const char *text)
{
    struct buffer memory = {0};
    union method wanted, method;
    struct text_given given;
    struct frame frame;
    struct variable unknown = {"", ""};
    char line[LINE_SIZE];
    run_expand(run, text, line, sizeof(line), &unknown);
    if (!text_read_method(bytes_str(line), &memory, &wanted, &given)) {
        run_fault(run, "not a method: %s at %zu", given.error, given.error_at);
    } else if (next_frame(run, client, channel, FRAME_METHOD, line, &frame)) {
        bool is_method =
            frame.channel == channel && method_read(frame.payload, &method) == METHOD_OK;
        if (!is_method || !match_method(&wanted, &given, &method)) {
            if (!is_method || !is_early(run, &wanted, &method) ||
                !look_again(run, client, channel, &frame))
                fault_unexpected(run, line, &frame);
            else
                expect_method(run, client, channel, text);
        } else {
            if (unknown.name[0] && run->variable_count < VARIABLES_MAX)
                capture(run, &unknown, &method);
            if (run->is_remote)
                sockets_note_received(&run->sockets, client, channel, line);
            drop_frame(client, &frame);
        }
    }
    buffer_free(&memory);
}

static bool expect_header(struct run *run, struct client *client, uint16_t channel,
                          const char *text, uint64_t body_size)
{
    struct buffer memory = {0};
    struct properties wanted, properties;
    struct text_given given;
    struct frame frame;
    struct content_header header;
    if (!text_read_properties(bytes_str(text), &memory, &wanted, &given)) {
        run_fault(run, "not properties: %s at %zu", given.error, given.error_at);
    } else if (next_frame(run, client, channel, FRAME_HEADER, "a content header", &frame)) {
        if (frame.channel != channel || !content_header_read(frame.payload, &header) ||
            header.body_size != body_size)
            run_fault(run, "a content header on channel %u, body of %llu bytes", frame.channel,
                      (unsigned long long)header.body_size);
        else if (properties_read(header.properties, &properties) != PROPERTIES_OK ||
                 !match_properties(&wanted, &given, &properties)) {
            struct buffer got = {0};
            text_properties(&got, &properties);
            run_fault(run, "other properties: %.*s", BYTES_ARG(buffer_bytes(&got)));
            buffer_free(&got);
        }
        drop_frame(client, &frame);
    }
    buffer_free(&memory);
    return !run->fault[0];
}

void expect_content(struct run *run, struct client *client, uint16_t channel, char *line)
{
    struct buffer body = {0};
    struct frame frame;
    char text[LINE_SIZE];
    run_read_body(&line, &body);
    run_expand(run, line, text, sizeof(text), NULL);
    size_t at = 0;
    if (!expect_header(run, client, channel, text, body.size))
        at = body.size;
    while (at < body.size && next_frame(run, client, channel, FRAME_BODY, "a body", &frame)) {
        if (frame.channel != channel || frame.payload.size > body.size - at ||
            memcmp(frame.payload.data, body.data + at, frame.payload.size) != 0) {
            run_fault(run, "another body: %.*s",
                      frame.payload.size < 100 ? (int)frame.payload.size : 100,
                      (const char *)frame.payload.data);
            break;
        }
        at += frame.payload.size;
        drop_frame(client, &frame);
    }
    buffer_free(&body);
}

void expect_nothing(struct run *run, struct client *client)
{
    struct frame frame;
    if (client->in.size == 0 &&
        !(run->is_remote && sockets_more(&run->sockets, client, SILENCE_MS)))
        return;
    ssize_t size = frame_read(client->in.data, client->in.size, 0, &frame);
    fault_unexpected(run, "nothing", size > 0 ? &frame : NULL);
}

void expect_note(struct run *run, struct client *client, uint16_t channel, const char *text)
{
    struct frame frame;
    char got[200] = "";
    if (!next_frame(run, client, channel, FRAME_HEARTBEAT, "a note", &frame))
        return;
    for (size_t i = 0; i < frame.payload.size && i < sizeof(got) / 2 - 1; i++)
        snprintf(got + 2 * i, 3, "%02x", frame.payload.data[i]);
    if (strcmp(text, got) != 0)
        run_fault(run, "the note is %s", got);
    drop_frame(client, &frame);
}

void expect_heartbeat(struct run *run, struct client *client)
{
    struct frame frame;
    if (next_frame(run, client, 0, FRAME_HEARTBEAT, "a heartbeat", &frame))
        drop_frame(client, &frame);
}
