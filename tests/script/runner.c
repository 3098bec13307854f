/* Runs scripts: the files named, those in the folders named, or all in tests/script/cases, each
 * against a broker of its own. A script is a test of one behaviour, line by line:
 *
 *     c1: connect [no-channel] [remote] [quiet] [frame_max=N] [heartbeat=N]
 *                                       greets, logs in as guest, opens `/` and channel 1;
 *                                       quiet: without capabilities
 *     c1: dial [remote]                 a connection that has said nothing
 *     c1: greet                         sends the protocol header
 *     c1: bytes 414d5150 "text"         sends bytes
 *     c1: send 1 queue.declare queue=q  sends a method on channel 1 (text as in amqp/text.h)
 *     c1: content 1 "body" delivery_mode=2
 *                                       sends content header and body; size:N is a body of N bytes
 *     c1: again 1 100                   sends the last method and the last content 100 times more
 *     c1: expect 1 queue.declare-ok queue=q message_count=0
 *                                       the next frame is this method, as far as fields are given
 *     c1: expect-content 1 "body" delivery_mode=2
 *                                       the next frames are this content
 *     c1: heartbeat                     the next frame is a heartbeat
 *     c1: nothing                       there is no next frame
 *     c1: ended                         the broker has closed the connection
 *     c1: hang-up                       the client closes it
 *     c1: waits / reads                 the broker does not, or does, read from the connection
 *     c1: stop-reading / go-on          the client does not take what is sent to it
 *     c1: cork / uncork                 what is sent between them arrives in one piece
 *     clock 1000                        moves the clock by so many ms
 *     syncer hold / syncer go           nothing becomes durable / all does
 *     reader hold / reader go           nothing is read back / all is
 *     turns 1 / turns all               each line gives the broker one turn / as many as it needs
 *     disk full / disk free             no more room for journal / plenty
 *     disk size 100000000               that of the disk from now on, in bytes
 *     disk others 50000000              what other programs have on it
 *     disk broken                       every call fails from now on
 *     option NAME VALUE                 before the first connect: an option; restarts the broker
 *     shutdown                          the broker says good-bye
 *     logged TEXT / not-logged TEXT     since the last such word a line of the log held this, or not
 *     restart / crash                   the broker stops and starts; crash: power was lost
 *
 * The connection may be left out where it is c1. $name in an expected field takes the value and
 * stands for it from then on. '#' begins a comment. A line that does not hold fails the script and
 * ends it.
 *
 *     runner [--uri amqp://HOST:PORT] [--oracle] [FILE|FOLDER]...
 *
 * With --uri the broker is not one in memory but the one there, over sockets, and what the script
 * declares is deleted before and after it. Scripts with words for the clock, the disk and the like
 * are left out, and so are those that say why not, by a line of their own:
 *
 *     needs memory: REASON
 *
 * With --oracle that broker is RabbitMQ. Where it does something else, a line tells why:
 *
 *     rabbitmq: differs, because REASON
 *     rabbitmq: may differ, because REASON
 *
 * All lines before it must hold there, too. One of the rest must not (or may not, where chance
 * decides), and ends the script. */
#include <dirent.h>
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "amqp/frame.h"
#include "amqp/properties.h"
#include "amqp/text.h"
#include "base/mem.h"
#include "tests/lib/disk_memory.h"
#include "tests/lib/match.h"
#include "tests/lib/tap.h"
#include "tests/script/sockets.h"
#include "tests/script/survey.h"
#include "tests/script/world.h"

enum { VARIABLES_MAX = 16, NAME_SIZE = 32, VALUE_SIZE = 300, LINE_SIZE = 8192 };
enum { SILENCE_MS = 150, DIFFERENCE_MS = 1000, RETRY_MS = 20, LOOK_MS = 2000 };

/* What the command line says. */
struct target {
    char host[256], port[16]; /* "": it is in memory, made anew for each script */
    bool is_oracle;
};

struct tally {
    unsigned ran, differ, memory;
};

struct variable {
    char name[NAME_SIZE];
    char value[VALUE_SIZE];
};

struct run {
    bool is_remote;
    bool is_oracle;         /* that is RabbitMQ, and */
    bool may_differ;        /* does something else from here on */
    struct world world;     /* the broker in memory, or */
    struct sockets sockets; /* those to the remote one */
    struct variable variables[VARIABLES_MAX];
    size_t variable_count;
    int looks;                                /* for what is expected at the moment */
    char fault[2048];                         /* why the line did not hold; "": it did */
    char sent[LINE_SIZE], content[LINE_SIZE]; /* the last method and content, to be sent again */
};

static void fault(struct run *run, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void fault(struct run *run, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(run->fault, sizeof(run->fault), format, arguments);
    va_end(arguments);
}

/* ---- the broker: in memory, or behind sockets ---- */

static struct client *client_of(struct run *run, int number)
{
    return run->is_remote ? &run->sockets.clients[number - 1] : &run->world.clients[number - 1];
}

static void settle(struct run *run)
{
    if (run->is_remote)
        sockets_flush(&run->sockets);
    else
        world_settle(&run->world);
}

/* Waits for more of what the broker sends. In memory it has said everything. */
static bool more(struct run *run, struct client *client)
{
    return run->is_remote && sockets_more(&run->sockets, client, run->sockets.patience_ms);
}

static void dial(struct run *run, struct client *client, bool is_loopback)
{
    if (!run->is_remote)
        world_dial(&run->world, client, is_loopback);
    else if (!sockets_dial(&run->sockets, client))
        fault(run, "there is no broker at %s port %s", run->sockets.host, run->sockets.port);
}

static void hang_up(struct run *run, struct client *client)
{
    if (run->is_remote)
        sockets_hang_up(&run->sockets, client);
    else
        world_hang_up(client);
}

static bool has_ended(struct run *run, struct client *client)
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
static char *word(char **line)
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
static void expand(const struct run *run, const char *from, char *to, size_t size,
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

static void send_method(struct run *run, struct client *client, uint16_t channel, const char *text)
{
    struct buffer memory = {0};
    union method method;
    struct text_given given;
    char line[LINE_SIZE];
    expand(run, text, line, sizeof(line), NULL);
    if (!text_read_method(bytes_str(line), &memory, &method, &given)) {
        fault(run, "not a method: %s at %zu", given.error, given.error_at);
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
static void read_body(char **line, struct buffer *body)
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
        char *text = word(line);
        buffer_add(body, text, strlen(text));
    }
}

static void send_content(struct run *run, struct client *client, uint16_t channel, char *line)
{
    struct buffer body = {0}, memory = {0}, header = {0};
    struct properties properties;
    struct text_given given;
    char text[LINE_SIZE];
    read_body(&line, &body);
    expand(run, line, text, sizeof(text), NULL);
    if (!text_read_properties(bytes_str(text), &memory, &properties, &given)) {
        fault(run, "not properties: %s at %zu", given.error, given.error_at);
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

static void send_bytes(struct run *run, struct client *client, char *line)
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

/* ---- expecting ---- */

/* What lies next in what the broker sent, for the reader. */
static void fault_unexpected(struct run *run, const char *wanted, const struct frame *frame)
{
    struct buffer text = {0};
    union method method;
    if (frame && frame->type == FRAME_METHOD && method_read(frame->payload, &method) == METHOD_OK)
        text_method(&text, &method);
    if (!frame)
        fault(run, "wanted %s, got nothing", wanted);
    else
        fault(run, "wanted %s, got a frame of type %u on channel %u: %.*s", wanted, frame->type,
              frame->channel, BYTES_ARG(buffer_bytes(&text)));
    buffer_free(&text);
}

/* The next frame of that type; it stays in the buffer. False: there is another, or none. */
static bool next_frame(struct run *run, struct client *client, enum frame_type type,
                       const char *wanted, struct frame *frame)
{
    ssize_t size;
    while ((size = frame_read(client->in.data, client->in.size, 0, frame)) == 0 &&
           more(run, client))
        continue;
    if (size > 0 && frame->type == type)
        return true;
    fault_unexpected(run, wanted, size > 0 ? frame : NULL);
    return false;
}

static void drop_frame(struct client *client, const struct frame *frame)
{
    buffer_drop(&client->in, frame->payload.size + FRAME_OVERHEAD);
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
    send_method(run, client, channel, run->sent);
    settle(run);
    return !run->fault[0];
}

static void expect_method(struct run *run, struct client *client, uint16_t channel,
                          const char *text)
{
    struct buffer memory = {0};
    union method wanted, method;
    struct text_given given;
    struct frame frame;
    struct variable unknown = {"", ""};
    char line[LINE_SIZE];
    expand(run, text, line, sizeof(line), &unknown);
    if (!text_read_method(bytes_str(line), &memory, &wanted, &given)) {
        fault(run, "not a method: %s at %zu", given.error, given.error_at);
    } else if (next_frame(run, client, FRAME_METHOD, line, &frame)) {
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
        fault(run, "not properties: %s at %zu", given.error, given.error_at);
    } else if (next_frame(run, client, FRAME_HEADER, "a content header", &frame)) {
        if (frame.channel != channel || !content_header_read(frame.payload, &header) ||
            header.body_size != body_size)
            fault(run, "a content header on channel %u, body of %llu bytes", frame.channel,
                  (unsigned long long)header.body_size);
        else if (properties_read(header.properties, &properties) != PROPERTIES_OK ||
                 !match_properties(&wanted, &given, &properties)) {
            struct buffer got = {0};
            text_properties(&got, &properties);
            fault(run, "other properties: %.*s", BYTES_ARG(buffer_bytes(&got)));
            buffer_free(&got);
        }
        drop_frame(client, &frame);
    }
    buffer_free(&memory);
    return !run->fault[0];
}

static void expect_content(struct run *run, struct client *client, uint16_t channel, char *line)
{
    struct buffer body = {0};
    struct frame frame;
    char text[LINE_SIZE];
    read_body(&line, &body);
    expand(run, line, text, sizeof(text), NULL);
    size_t at = 0;
    if (!expect_header(run, client, channel, text, body.size))
        at = body.size;
    while (at < body.size && next_frame(run, client, FRAME_BODY, "a body", &frame)) {
        if (frame.channel != channel || frame.payload.size > body.size - at ||
            memcmp(frame.payload.data, body.data + at, frame.payload.size) != 0) {
            fault(run, "another body: %.*s",
                  frame.payload.size < 100 ? (int)frame.payload.size : 100,
                  (const char *)frame.payload.data);
            break;
        }
        at += frame.payload.size;
        drop_frame(client, &frame);
    }
    buffer_free(&body);
}

static void expect_nothing(struct run *run, struct client *client)
{
    struct frame frame;
    if (client->in.size == 0 &&
        !(run->is_remote && sockets_more(&run->sockets, client, SILENCE_MS)))
        return;
    ssize_t size = frame_read(client->in.data, client->in.size, 0, &frame);
    fault_unexpected(run, "nothing", size > 0 ? &frame : NULL);
}

static void expect_heartbeat(struct run *run, struct client *client)
{
    struct frame frame;
    if (next_frame(run, client, FRAME_HEARTBEAT, "a heartbeat", &frame))
        drop_frame(client, &frame);
}

/* ---- the handshake in one line ---- */

static void say(struct run *run, struct client *client, const char *text)
{
    if (!run->fault[0])
        send_method(run, client, 0, text);
    settle(run);
}

static void hear(struct run *run, struct client *client, const char *text)
{
    if (!run->fault[0])
        expect_method(run, client, 0, text);
}

static const char start_ok[] =
    "connection.start-ok mechanism=PLAIN response=\"\\x00guest\\x00guest\" locale=en_US "
    "client_properties={capabilities:table {consumer_cancel_notify:bool true, "
    "connection.blocked:bool true, authentication_failure_close:bool true}}";

static const char quiet_start_ok[] =
    "connection.start-ok mechanism=PLAIN response=\"\\x00guest\\x00guest\" locale=en_US";

static void connect_client(struct run *run, struct client *client, char *line)
{
    bool with_channel = true, is_loopback = true, is_quiet = false;
    unsigned frame_max = 131072, heartbeat = 0;
    char tune_ok[100];
    for (char *option = word(&line); *option; option = word(&line)) {
        with_channel &= strcmp(option, "no-channel") != 0;
        is_loopback &= strcmp(option, "remote") != 0;
        is_quiet |= strcmp(option, "quiet") == 0;
        sscanf(option, "frame_max=%u", &frame_max);
        sscanf(option, "heartbeat=%u", &heartbeat);
    }
    snprintf(tune_ok, sizeof(tune_ok),
             "connection.tune-ok channel_max=2047 frame_max=%u heartbeat=%u", frame_max, heartbeat);
    dial(run, client, is_loopback);
    if (run->fault[0])
        return;
    buffer_add(&client->out, protocol_header, PROTOCOL_HEADER_SIZE);
    settle(run);
    hear(run, client, "connection.start version_major=0 version_minor=9");
    say(run, client, is_quiet ? quiet_start_ok : start_ok);
    hear(run, client, "connection.tune");
    say(run, client, tune_ok);
    say(run, client, "connection.open virtual_host=/");
    hear(run, client, "connection.open-ok");
    if (!with_channel || run->fault[0])
        return;
    send_method(run, client, 1, "channel.open");
    settle(run);
    expect_method(run, client, 1, "channel.open-ok");
}

/* ---- lines ---- */

/* Words that concern one connection. False: not one of them. */
static bool client_line(struct run *run, struct client *client, const char *verb, char *line)
{
    if (strcmp(verb, "connect") == 0)
        connect_client(run, client, line);
    else if (strcmp(verb, "dial") == 0)
        dial(run, client, strcmp(word(&line), "remote") != 0);
    else if (strcmp(verb, "greet") == 0)
        buffer_add(&client->out, protocol_header, PROTOCOL_HEADER_SIZE);
    else if (strcmp(verb, "bytes") == 0)
        send_bytes(run, client, line);
    else if (strcmp(verb, "heartbeat") == 0)
        expect_heartbeat(run, client);
    else if (strcmp(verb, "nothing") == 0)
        expect_nothing(run, client);
    else if (strcmp(verb, "hang-up") == 0)
        hang_up(run, client);
    else if (strcmp(verb, "stop-reading") == 0)
        client->is_deaf = true;
    else if (strcmp(verb, "go-on") == 0)
        client->is_deaf = false;
    else if (strcmp(verb, "cork") == 0)
        client->is_corked = true;
    else if (strcmp(verb, "uncork") == 0)
        client->is_corked = false;
    else if (strcmp(verb, "ended") == 0 && !has_ended(run, client))
        fault(run, "the connection is still there");
    else if (strcmp(verb, "waits") == 0 &&
             (!client->connection || conversation_wants_input(client->connection)))
        fault(run, "the broker reads");
    else if (strcmp(verb, "reads") == 0 &&
             (!client->connection || !conversation_wants_input(client->connection)))
        fault(run, "the broker does not read");
    else
        return strcmp(verb, "ended") == 0 || strcmp(verb, "waits") == 0 ||
               strcmp(verb, "reads") == 0;
    return true;
}

static void send_again(struct run *run, struct client *client, uint16_t channel,
                       unsigned long times)
{
    char line[LINE_SIZE];
    for (unsigned long i = 0; i < times; i++) {
        send_method(run, client, channel, run->sent);
        memcpy(line, run->content, sizeof(line));
        send_content(run, client, channel, line);
    }
}

/* Words that concern one channel of one connection. */
static bool channel_line(struct run *run, struct client *client, const char *verb, char *line)
{
    if (strcmp(verb, "send") != 0 && strcmp(verb, "content") != 0 && strcmp(verb, "expect") != 0 &&
        strcmp(verb, "expect-content") != 0 && strcmp(verb, "again") != 0)
        return false;
    uint16_t channel = (uint16_t)strtoul(word(&line), NULL, 10);
    if (strcmp(verb, "send") == 0)
        snprintf(run->sent, sizeof(run->sent), "%s", line);
    else if (strcmp(verb, "content") == 0)
        snprintf(run->content, sizeof(run->content), "%s", line);
    if (strcmp(verb, "again") == 0)
        send_again(run, client, channel, strtoul(line, NULL, 10));
    else if (strcmp(verb, "send") == 0)
        send_method(run, client, channel, line);
    else if (strcmp(verb, "content") == 0)
        send_content(run, client, channel, line);
    else if (strcmp(verb, "expect") == 0)
        expect_method(run, client, channel, line);
    else
        expect_content(run, client, channel, line);
    return true;
}

static bool set_option(struct world *world, const char *name, uint64_t value)
{
    struct store_options *store = &world->store_options;
    struct server_options *server = &world->options;
    if (strcmp(name, "message_bytes_max") == 0)
        server->message_bytes_max = value;
    else if (strcmp(name, "memory_bytes_max") == 0)
        server->memory_bytes_max = value;
    else if (strcmp(name, "output_bytes_max") == 0)
        server->output_bytes_max = (uint32_t)value;
    else if (strcmp(name, "trace_frames") == 0)
        server->trace_frames = value;
    else if (strcmp(name, "allow_anonymous") == 0)
        server->allow_anonymous = value;
    else if (strcmp(name, "batch_bytes") == 0)
        store->batch_bytes = (uint32_t)value;
    else if (strcmp(name, "batch_max_bytes") == 0)
        store->batch_max_bytes = (uint32_t)value;
    else if (strcmp(name, "bodies_burst_bytes") == 0)
        store->bodies_burst_bytes = value;
    else if (strcmp(name, "bodies_idle_bytes") == 0)
        store->bodies_idle_bytes = value;
    else if (strcmp(name, "chunk_entries") == 0)
        store->chunk_entries = (uint32_t)value;
    else if (strcmp(name, "cache_bytes") == 0)
        store->cache_bytes = value;
    else
        return false;
    world_restart(world, false);
    return true;
}

/* Words that concern the log. */
static bool log_line(struct run *run, const char *verb, const char *text)
{
    bool is_wanted = strcmp(verb, "logged") == 0;
    if (!is_wanted && strcmp(verb, "not-logged") != 0)
        return false;
    if (world_has_logged(&run->world, text) != is_wanted)
        fault(run, is_wanted ? "no line of the log holds this" : "a line of the log holds this");
    return true;
}

/* Words that concern the whole broker. */
static bool world_line(struct run *run, const char *verb, char *line)
{
    struct world *world = &run->world;
    const char *what = word(&line);
    if (strcmp(verb, "clock") == 0) {
        world_advance(world, strtoull(what, NULL, 10));
    } else if (strcmp(verb, "syncer") == 0) {
        world->is_syncer_held = strcmp(what, "hold") == 0;
    } else if (strcmp(verb, "reader") == 0) {
        world->is_reader_held = strcmp(what, "hold") == 0;
    } else if (strcmp(verb, "turns") == 0) {
        world->turns_max = atoi(what);
    } else if (strcmp(verb, "disk") == 0 && strcmp(what, "broken") == 0) {
        disk_memory_fail(world->disk, 1, EIO, true);
    } else if (strcmp(verb, "disk") == 0 && strcmp(what, "size") == 0) {
        disk_memory_limit(world->disk, strtoull(line, NULL, 10));
    } else if (strcmp(verb, "disk") == 0 && strcmp(what, "others") == 0) {
        disk_memory_take(world->disk, strtoull(line, NULL, 10));
    } else if (strcmp(verb, "disk") == 0) {
        disk_memory_limit(world->disk, strcmp(what, "full") == 0 ? 1 : 0);
    } else if (strcmp(verb, "shutdown") == 0) {
        service_shutdown(world->service);
    } else if (strcmp(verb, "restart") == 0 || strcmp(verb, "crash") == 0) {
        world_restart(world, strcmp(verb, "crash") == 0);
    } else if (strcmp(verb, "option") == 0) {
        if (!set_option(world, what, strtoull(line, NULL, 10)))
            fault(run, "no option %s", what);
    } else {
        return false;
    }
    return true;
}

/* A line that concerns one channel comes after what the others were asked for; one that concerns no
 * channel, or asks whether there is anything, after all of it. */
static void sync_others(struct run *run, struct client *client, const char *verb, const char *line)
{
    if (strcmp(verb, "send") == 0 || strcmp(verb, "expect") == 0 || strcmp(verb, "content") == 0 ||
        strcmp(verb, "expect-content") == 0 || strcmp(verb, "again") == 0)
        sockets_sync(&run->sockets, client, (uint16_t)strtoul(line, NULL, 10));
    else if (strcmp(verb, "ended") != 0 && strcmp(verb, "bytes") != 0)
        sockets_sync(&run->sockets, NULL, 0);
}

static void run_line(struct run *run, char *line)
{
    int number = 1;
    int used = 0;
    line[strcspn(line, "\r\n")] = '\0';
    line += strspn(line, " \t");
    if (sscanf(line, "c%d:%n", &number, &used) == 1 && used)
        line += used;
    if (number < 1 || number > CLIENTS_MAX) {
        fault(run, "no connection c%d", number);
        return;
    }
    struct client *client = client_of(run, number);
    char *verb = word(&line);
    if (*verb == '\0' || *verb == '#' || strcmp(verb, "needs") == 0)
        return;
    if (strcmp(verb, "rabbitmq:") == 0) {
        run->may_differ = true;
        return;
    }
    if (run->is_remote)
        sync_others(run, client, verb, line);
    run->looks = 0;
    if (!client_line(run, client, verb, line) && !channel_line(run, client, verb, line) &&
        !log_line(run, verb, line) && !world_line(run, verb, line))
        fault(run, "unknown word %s", verb);
    settle(run);
}

/* ---- a broker that other scripts use, too ---- */

/* Sends a method that is answered, and tells whether the answer is the one wanted. After another
 * one the connection has to be made again. */
static bool ask(struct run *run, struct client *client, const char *text, const char *answer)
{
    if (!run->fault[0])
        send_method(run, client, 1, text);
    settle(run);
    if (!run->fault[0])
        expect_method(run, client, 1, answer);
    return !run->fault[0];
}

/* Connections that end take a moment to give back what was theirs. */
static bool delete_name(struct run *run, struct client *client, const struct survey_name *name)
{
    char text[SURVEY_NAME_SIZE + 40], connect[] = "", why[sizeof(run->fault)];
    const char *noun = name->is_queue ? "queue" : "exchange";
    snprintf(text, sizeof(text), "%s.delete %s=%s", noun, noun, name->name);
    const char *answer = name->is_queue ? "queue.delete-ok" : "exchange.delete-ok";
    for (int waited = 0; waited < run->sockets.patience_ms; waited += RETRY_MS) {
        run->fault[0] = '\0';
        if (waited || !run->sockets.sockets[client - run->sockets.clients].is_open)
            connect_client(run, client, connect);
        if (ask(run, client, text, answer))
            return true;
        memcpy(why, run->fault, sizeof(why));
        poll(NULL, 0, RETRY_MS);
    }
    fault(run, "%.200s: %.1800s", text, why);
    return false;
}

/* Deletes what the script declares. */
static void clean(const struct target *target, const struct survey *survey, const char *name)
{
    struct run *run = mem_zalloc(sizeof(*run));
    run->is_remote = true;
    sockets_init(&run->sockets, target->host, target->port);
    for (int queues = 1; queues >= 0; queues--)
        for (size_t i = 0; i < survey->name_count && !run->fault[0]; i++)
            if (survey->names[i].is_queue == (queues == 1))
                delete_name(run, &run->sockets.clients[0], &survey->names[i]);
    if (run->fault[0])
        diag("%s leaves something behind: %s", name, run->fault);
    sockets_close(&run->sockets);
    mem_free(run);
}

/* ---- scripts ---- */

static void run_lines(struct run *run, FILE *file, const char *name, const struct target *target)
{
    char line[LINE_SIZE], shown[LINE_SIZE];
    for (int number = 1; !run->fault[0] && fgets(line, sizeof(line), file); number++) {
        memcpy(shown, line, sizeof(shown));
        run_line(run, line);
        if (run->may_differ && target->is_oracle)
            run->sockets.patience_ms = DIFFERENCE_MS;
        if (run->fault[0])
            diag("%s:%d: %.*s", name, number, (int)strcspn(shown, "\n"), shown);
    }
    if (run->fault[0])
        diag("%s", run->fault);
}

static void run_in_memory(FILE *file, const char *name, const struct target *target)
{
    struct run *run = mem_zalloc(sizeof(*run));
    world_new(&run->world, getenv("SCRIPT_LOG") != NULL);
    run_lines(run, file, name, target);
    ok(!run->fault[0], "%s", name);
    world_free(&run->world);
    mem_free(run);
}

static void run_remote(FILE *file, const char *name, const struct target *target,
                       struct tally *tally)
{
    struct survey found;
    survey(file, &found);
    if (found.memory[0]) {
        diag("%s needs memory: %s", name, found.memory);
        tally->memory++;
        return;
    }
    struct run *run = mem_zalloc(sizeof(*run));
    run->is_remote = true;
    run->is_oracle = target->is_oracle;
    sockets_init(&run->sockets, target->host, target->port);
    clean(target, &found, name);
    run_lines(run, file, name, target);
    sockets_close(&run->sockets);
    clean(target, &found, name);
    tally->ran++;
    bool differs = run->fault[0] && run->may_differ && run->is_oracle;
    bool must_differ = found.is_marked && run->is_oracle;
    const char *what = differs || must_differ ? ": RabbitMQ differs where the script says so" : "";
    tally->differ += differs;
    ok(differs || (!run->fault[0] && !must_differ), "%s%s", name, what);
    mem_free(run);
}

static void run_script(const char *path, const struct target *target, struct tally *tally)
{
    const char *name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
    FILE *file = fopen(path, "r");
    if (!file)
        bail("%s: %s", path, strerror(errno));
    if (target->host[0])
        run_remote(file, name, target, tally);
    else
        run_in_memory(file, name, target);
    fclose(file);
}

static int is_script(const struct dirent *entry)
{
    size_t size = strlen(entry->d_name);
    return size > 5 && strcmp(entry->d_name + size - 5, ".amqp") == 0;
}

static void run_folder(const char *folder, const struct target *target, struct tally *tally)
{
    char path[4400];
    struct dirent **entries;
    int count = scandir(folder, &entries, is_script, alphasort);
    if (count < 0)
        bail("%s: %s", folder, strerror(errno));
    for (int i = 0; i < count; i++) {
        snprintf(path, sizeof(path), "%s/%s", folder, entries[i]->d_name);
        run_script(path, target, tally);
        free(entries[i]);
    }
    free(entries);
}

static void run_path(const char *path, const struct target *target, struct tally *tally)
{
    struct stat status;
    if (stat(path, &status) == 0 && S_ISDIR(status.st_mode))
        run_folder(path, target, tally);
    else
        run_script(path, target, tally);
}

/* amqp://HOST:PORT, or without its beginning. */
static void read_uri(const char *uri, struct target *target)
{
    uri += strncmp(uri, "amqp://", 7) == 0 ? 7 : 0;
    const char *colon = strrchr(uri, ':');
    if (!colon || colon - uri >= (ptrdiff_t)sizeof(target->host))
        bail("not HOST:PORT: %s", uri);
    snprintf(target->host, sizeof(target->host), "%.*s", (int)(colon - uri), uri);
    snprintf(target->port, sizeof(target->port), "%.*s", (int)strcspn(colon + 1, "/"), colon + 1);
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"uri", required_argument, NULL, 'u'},
                                            {"oracle", no_argument, NULL, 'o'},
                                            {NULL, 0, NULL, 0}};
    struct target target = {.host = ""};
    struct tally tally = {0};
    char folder[4000];
    const char *top = getenv("srcdir");
    snprintf(folder, sizeof(folder), "%s/tests/script/cases", top ? top : ".");
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (option == 'u')
            read_uri(optarg, &target);
        else if (option == 'o')
            target.is_oracle = true;
        else
            bail("usage: %s [--uri amqp://HOST:PORT] [--oracle] [FILE|FOLDER]...", argv[0]);
    }
    for (int i = optind; i < argc; i++)
        run_path(argv[i], &target, &tally);
    if (optind == argc)
        run_folder(folder, &target, &tally);
    if (target.host[0])
        diag("%u ran, %u of them differ; %u need memory", tally.ran, tally.differ, tally.memory);
    return done();
}
