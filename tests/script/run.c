/* What a script's lines are made of, whatever broker they talk to, and what they send. */
#include "tests/script/run.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "amqp/frame.h"
#include "amqp/properties.h"
#include "amqp/text.h"

void run_fault(struct run *run, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(run->fault, sizeof(run->fault), format, arguments);
    va_end(arguments);
}

/* ---- the broker: in memory, or behind sockets ---- */

struct client *run_client_of(struct run *run, int number)
{
    return run->is_remote ? &run->sockets.clients[number - 1] : &run->world.clients[number - 1];
}

void run_settle(struct run *run)
{
    if (run->is_remote)
        sockets_flush(&run->sockets);
    else
        world_settle(&run->world);
}

/* Waits for more of what the broker sends. In memory it has said everything. */
bool run_more(struct run *run, struct client *client)
{
    return run->is_remote && sockets_more(&run->sockets, client, run->sockets.patience_ms);
}

void run_dial(struct run *run, struct client *client, bool is_loopback)
{
    if (!run->is_remote)
        world_dial(&run->world, client, is_loopback);
    else if (!sockets_dial(&run->sockets, client))
        run_fault(run, "there is no broker at %s port %s", run->sockets.host, run->sockets.port);
}

void run_hang_up(struct run *run, struct client *client)
{
    if (run->is_remote)
        sockets_hang_up(&run->sockets, client);
    else
        world_hang_up(client);
}

bool run_has_ended(struct run *run, struct client *client)
{
    return run->is_remote ? sockets_end(&run->sockets, client) : !client->connection;
}

static void note_sent(struct run *run, struct client *client, uint16_t channel, const char *what)
{
    if (run->is_remote)
        sockets_note_sent(&run->sockets, client, channel, what);
}

/* ---- words and variables ---- */

/* The next word, cut out of the line; "" at its end. */
char *run_word(char **line)
{
    char *begin = *line + strspn(*line, " \t");
    char *end = begin + strcspn(begin, " \t");
    *line = *end ? end + 1 : end;
    *end = '\0';
    return begin;
}

static const char *variable(const struct run *run, const char *name, size_t size)
{
    for (size_t i = 0; i < run->variable_count; i++)
        if (strlen(run->variables[i].name) == size && !memcmp(run->variables[i].name, name, size))
            return run->variables[i].value;
    return NULL;
}

/* Copies a text with known variables replaced; an unknown one becomes `*`, and `wanted` says for
 * which field it stands. */
void run_expand(const struct run *run, const char *from, char *to, size_t size,
                struct variable *wanted)
{
    size_t used = 0;
    for (; *from && used + VALUE_SIZE < size; from++) {
        if (*from != '$') {
            to[used++] = *from;
            continue;
        }
        size_t length = strspn(from + 1, "abcdefghijklmnopqrstuvwxyz0123456789_");
        const char *value = variable(run, from + 1, length);
        if (!value && wanted) {
            snprintf(wanted->name, sizeof(wanted->name), "%.*s", (int)length, from + 1);
            const char *field = from - 1;
            while (field[-1] != ' ')
                field--;
            snprintf(wanted->value, sizeof(wanted->value), "%.*s", (int)(from - 1 - field), field);
        }
        used += (size_t)snprintf(to + used, size - used, "%s", value ? value : "*");
        from += length;
    }
    to[used] = '\0';
}

/* ---- sending ---- */

static void send_frame(struct client *client, enum frame_type type, uint16_t channel,
                       struct bytes payload)
{
    uint8_t *at = buffer_room(&client->out, payload.size + FRAME_OVERHEAD);
    at = frame_write_header(at, type, channel, (uint32_t)payload.size);
    if (payload.size)
        memcpy(at, payload.data, payload.size);
    at[payload.size] = FRAME_END;
    buffer_added(&client->out, payload.size + FRAME_OVERHEAD);
}

void run_send_method(struct run *run, struct client *client, uint16_t channel, const char *text)
{
    struct buffer memory = {0};
    union method method;
    struct text_given given;
    char line[LINE_SIZE];
    run_expand(run, text, line, sizeof(line), NULL);
    if (!text_read_method(bytes_str(line), &memory, &method, &given)) {
        run_fault(run, "not a method: %s at %zu", given.error, given.error_at);
        return;
    }
    size_t size = frame_method_size(&method);
    struct writer writer = writer_of(buffer_room(&client->out, size), size);
    frame_write_method(&writer, channel, &method);
    buffer_added(&client->out, size);
    buffer_free(&memory);
    note_sent(run, client, channel, line);
}

/* Reads a body: a word, a text in quotes, or size:N; and moves on. */
void run_read_body(char **line, struct buffer *body)
{
    *line += strspn(*line, " \t");
    if (strncmp(*line, "size:", 5) == 0) {
        size_t size = strtoul(*line + 5, line, 10);
        uint8_t *at = buffer_room(body, size);
        for (size_t i = 0; i < size; i++)
            at[i] = (uint8_t)("0123456789abcdef"[i * 7 / 16 % 16]);
        buffer_added(body, size);
    } else if (**line == '"') {
        char *end = strchr(*line + 1, '"');
        buffer_add(body, *line + 1, (size_t)(end - *line - 1));
        *line = end + 1;
    } else {
        char *text = run_word(line);
        buffer_add(body, text, strlen(text));
    }
}

void run_send_content(struct run *run, struct client *client, uint16_t channel, char *line)
{
    struct buffer body = {0}, memory = {0}, header = {0};
    struct properties properties;
    struct text_given given;
    char text[LINE_SIZE];
    run_read_body(&line, &body);
    run_expand(run, line, text, sizeof(text), NULL);
    if (!text_read_properties(bytes_str(text), &memory, &properties, &given)) {
        run_fault(run, "not properties: %s at %zu", given.error, given.error_at);
        return;
    }
    size_t size = 12 + properties_size(&properties);
    struct writer writer = writer_of(buffer_room(&header, size), size);
    writer_u32(&writer, (uint32_t)CONTENT_CLASS_BASIC << 16);
    writer_u64(&writer, body.size);
    properties_write(&writer, &properties);
    buffer_added(&header, size);
    send_frame(client, FRAME_HEADER, channel, buffer_bytes(&header));
    for (size_t at = 0; at < body.size; at += 131064) {
        size_t part = body.size - at < 131064 ? body.size - at : 131064;
        send_frame(client, FRAME_BODY, channel, bytes_of(body.data + at, part));
    }
    note_sent(run, client, channel, "content");
    buffer_free(&header);
    buffer_free(&body);
    buffer_free(&memory);
}

void run_send_bytes(struct run *run, struct client *client, char *line)
{
    note_sent(run, client, 0, "");
    while (*(line += strspn(line, " \t"))) {
        unsigned value;
        if (*line == '"') {
            char *end = strchr(line + 1, '"');
            buffer_add(&client->out, line + 1, (size_t)(end - line - 1));
            line = end + 1;
        } else if (sscanf(line, "%2x", &value) == 1) {
            buffer_add_u8(&client->out, (uint8_t)value);
            line += 2;
        } else {
            return;
        }
    }
}
