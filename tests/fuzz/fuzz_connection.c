/* Whole connections against the whole broker in memory. The first byte chooses: '!', the rest is what
 * one peer sends, byte for byte, in two pieces; else all of it is lines of the language of
 * tests/script (see its runner.c) without the expectations: a line that makes no sense says nothing.
 *
 *     c1: connect             greets and logs in, opens `/` and channel 1; relayed, resumed: as in there
 *     c2: send 1 METHOD       c2: content 1 BODY PROPERTIES     c1: bytes 00ff
 *     c1: dial                c1: hang-up       c1: stop-reading / go-on
 *     c1: drip N              what is not sent yet goes out in pieces of N bytes
 *     clock MS                syncer hold / go  reader hold / go
 *     disk full / free        shutdown          restart / crash
 *
 * A finding is a crash, a leak, or a broker that cannot be shut down. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "amqp/frame.h"
#include "amqp/properties.h"
#include "amqp/text.h"
#include "tests/fuzz/fuzz.h"
#include "tests/lib/disk_memory.h"
#include "tests/script/world.h"

enum { LINES_MAX = 150, LINE_SIZE = 2000, CLOCK_MAX = 40000, RESTARTS_MAX = 3, BODY_MAX = 300000 };

struct run {
    struct world world;
    struct buffer out[CLIENTS_MAX]; /* what was not given to the connection yet */
    uint64_t clock_ms;
    int restarts;
};

static void give(struct run *run, struct client *client, size_t piece)
{
    struct buffer *out = &run->out[client - run->world.clients];
    int pieces = 0;
    while (out->size && client->connection) {
        size_t size = out->size < piece || ++pieces > 50 ? out->size : piece;
        buffer_add(&client->out, out->data, size);
        buffer_drop(out, size);
        world_settle(&run->world);
    }
    buffer_drop(out, out->size);
    /* Nobody looks at what the broker says. */
    buffer_drop(&client->in, client->in.size);
}

static void send_method(struct run *run, struct client *client, uint16_t channel, const char *text)
{
    struct buffer *out = &run->out[client - run->world.clients];
    struct buffer memory = {0};
    struct text_given given;
    union method method;
    if (text_read_method(bytes_str(text), &memory, &method, &given)) {
        size_t size = frame_method_size(&method);
        struct writer writer = writer_of(buffer_room(out, size), size);
        frame_write_method(&writer, channel, &method);
        buffer_added(out, size);
    }
    buffer_free(&memory);
}

static void send_frame(struct buffer *out, enum frame_type type, uint16_t channel,
                       struct bytes payload)
{
    uint8_t *at = buffer_room(out, payload.size + FRAME_OVERHEAD);
    at = frame_write_header(at, type, channel, (uint32_t)payload.size);
    if (payload.size)
        memcpy(at, payload.data, payload.size);
    at[payload.size] = FRAME_END;
    buffer_added(out, payload.size + FRAME_OVERHEAD);
}

static char *word(char **line)
{
    char *begin = *line + strspn(*line, " \t");
    char *end = begin + strcspn(begin, " \t");
    *line = *end ? end + 1 : end;
    *end = '\0';
    return begin;
}

static void send_content(struct run *run, struct client *client, uint16_t channel, char *line)
{
    struct buffer *out = &run->out[client - run->world.clients];
    struct buffer memory = {0}, header = {0}, body = {0};
    struct properties properties;
    struct text_given given;
    char *text = word(&line);
    if (strncmp(text, "size:", 5) == 0) {
        size_t size = strtoul(text + 5, NULL, 10) % BODY_MAX;
        memset(buffer_room(&body, size + 1), 'x', size);
        buffer_added(&body, size);
    } else {
        buffer_add(&body, text, strlen(text));
    }
    if (text_read_properties(bytes_str(line), &memory, &properties, &given)) {
        size_t size = 12 + properties_size(&properties);
        struct writer writer = writer_of(buffer_room(&header, size), size);
        writer_u32(&writer, (uint32_t)CONTENT_CLASS_BASIC << 16);
        writer_u64(&writer, body.size);
        properties_write(&writer, &properties);
        buffer_added(&header, size);
        send_frame(out, FRAME_HEADER, channel, buffer_bytes(&header));
        for (size_t at = 0; at < body.size; at += 100000) {
            size_t part = body.size - at < 100000 ? body.size - at : 100000;
            send_frame(out, FRAME_BODY, channel, bytes_of(body.data + at, part));
        }
    }
    buffer_free(&header);
    buffer_free(&body);
    buffer_free(&memory);
}

static void send_bytes(struct buffer *out, char *line)
{
    unsigned value;
    while (*(line += strspn(line, " \t"))) {
        if (*line == '"') {
            size_t size = strcspn(line + 1, "\"");
            buffer_add(out, line + 1, size);
            line += size + 1 + (line[size + 1] == '"');
        } else if (sscanf(line, "%2x", &value) == 1) {
            buffer_add_u8(out, (uint8_t)value);
            line += line[1] ? 2 : 1;
        } else {
            return;
        }
    }
}

static void connect_client(struct run *run, struct client *client, char *line)
{
    static const char *const opening[] = {
        "connection.start-ok mechanism=PLAIN response=\"\\x00guest\\x00guest\" locale=en_US "
        "client_properties={capabilities:table {consumer_cancel_notify:bool true, "
        "basic.nack:bool true, connection.blocked:bool true, authentication_failure_close:bool true, "
        "publisher_confirms:bool true}}",
        "connection.tune-ok channel_max=2047 frame_max=131072 heartbeat=10",
        "connection.open virtual_host=/",
    };
    if (client->connection)
        world_hang_up(client);
    client->is_relayed = strstr(line, "relayed") || strstr(line, "resumed");
    client->is_resumed = strstr(line, "resumed");
    world_dial(&run->world, client, !strstr(line, "remote"));
    buffer_add(&run->out[client - run->world.clients], "AMQP\0\0\x09\1", 8);
    for (size_t i = 0; i < sizeof(opening) / sizeof(opening[0]); i++)
        send_method(run, client, 0, opening[i]);
    if (!strstr(line, "no-channel"))
        send_method(run, client, 1, "channel.open");
    give(run, client, SIZE_MAX);
}

static bool is(const char *text, const char *wanted)
{
    return strcmp(text, wanted) == 0;
}

static void advance(struct run *run, uint64_t ms)
{
    if (ms > CLOCK_MAX - run->clock_ms)
        ms = CLOCK_MAX - run->clock_ms;
    run->clock_ms += ms;
    world_advance(&run->world, ms);
}

static void restart(struct run *run, bool crash)
{
    if (run->restarts++ < RESTARTS_MAX)
        world_restart(&run->world, crash);
}

/* What is done to the broker, not by a client. */
static bool do_global(struct run *run, const char *verb, char *line)
{
    struct world *world = &run->world;
    if (is(verb, "clock"))
        advance(run, strtoul(line, NULL, 10));
    else if (is(verb, "syncer"))
        world->is_syncer_held = is(word(&line), "hold");
    else if (is(verb, "reader"))
        world->is_reader_held = is(word(&line), "hold");
    else if (is(verb, "disk"))
        disk_memory_limit(world->disk, is(word(&line), "full") ? 1 : 0);
    else if (is(verb, "shutdown"))
        service_shutdown(world->service);
    else if (is(verb, "restart") || is(verb, "crash"))
        restart(run, is(verb, "crash"));
    else
        return false;
    world_settle(world);
    return true;
}

static void do_client(struct run *run, struct client *client, const char *verb, char *line)
{
    struct buffer *out = &run->out[client - run->world.clients];
    if (is(verb, "connect")) {
        connect_client(run, client, line);
    } else if (is(verb, "dial") && !client->connection) {
        world_dial(&run->world, client, true);
    } else if (is(verb, "greet")) {
        buffer_add(out, "AMQP\0\0\x09\1", 8);
    } else if (is(verb, "bytes")) {
        send_bytes(out, line);
    } else if (is(verb, "send")) {
        uint16_t channel = (uint16_t)strtoul(word(&line), NULL, 10);
        send_method(run, client, channel, line);
    } else if (is(verb, "content")) {
        uint16_t channel = (uint16_t)strtoul(word(&line), NULL, 10);
        send_content(run, client, channel, line);
    } else if (is(verb, "drip")) {
        size_t piece = strtoul(line, NULL, 10);
        give(run, client, piece ? piece : 1);
    } else if (is(verb, "hang-up")) {
        world_hang_up(client);
    } else if (is(verb, "stop-reading") || is(verb, "go-on")) {
        client->is_deaf = is(verb, "stop-reading");
    }
    /* Lines gather, so that one read meets several frames, until something else happens. */
    if (!is(verb, "send") && !is(verb, "content") && !is(verb, "bytes") && !is(verb, "greet"))
        give(run, client, SIZE_MAX);
}

static void do_line(struct run *run, char *line)
{
    struct client *client = &run->world.clients[0];
    if (line[0] == 'c' && line[1] >= '1' && line[1] <= '3' && line[2] == ':') {
        client = &run->world.clients[line[1] - '1'];
        line += 3;
    }
    const char *verb = word(&line);
    if (is(verb, "go") || verb[0] == '#' || verb[0] == '\0')
        give(run, client, SIZE_MAX);
    else if (!do_global(run, verb, line))
        do_client(run, client, verb, line);
}

static void do_lines(struct run *run, const uint8_t *data, size_t size)
{
    char line[LINE_SIZE];
    for (int lines = 0; size > 0 && lines < LINES_MAX; lines++) {
        const uint8_t *end = memchr(data, '\n', size);
        size_t length = end ? (size_t)(end - data) : size;
        size_t kept = length < sizeof(line) - 1 ? length : sizeof(line) - 1;
        memcpy(line, data, kept);
        line[kept] = '\0';
        do_line(run, line);
        data += length + (end != NULL);
        size -= length + (end != NULL);
    }
    for (int i = 0; i < CLIENTS_MAX; i++)
        give(run, &run->world.clients[i], SIZE_MAX);
}

static void do_bytes(struct run *run, const uint8_t *data, size_t size)
{
    size_t piece = size ? (size_t)data[0] * 8 + 1 : 1;
    world_dial(&run->world, &run->world.clients[0], true);
    buffer_add(&run->out[0], data + (size > 0), size - (size > 0));
    give(run, &run->world.clients[0], piece);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct run run;
    run = (struct run){0};
    world_new(&run.world, false);
    if (size && data[0] == '!')
        do_bytes(&run, data + 1, size - 1);
    else
        do_lines(&run, data, size);
    run.world.is_syncer_held = run.world.is_reader_held = false;
    disk_memory_limit(run.world.disk, 0);
    world_advance(&run.world, 500);
    for (int i = 0; i < CLIENTS_MAX; i++)
        world_hang_up(&run.world.clients[i]);
    world_settle(&run.world);
    assert(server_connections(run.world.server) == 0);
    world_free(&run.world);
    for (int i = 0; i < CLIENTS_MAX; i++)
        buffer_free(&run.out[i]);
    return 0;
}
