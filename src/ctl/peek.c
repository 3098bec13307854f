/* Messages of a queue, looked at and left where they are; and why it gives or takes none. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/utf8.h"
#include "ctl/nodes.h"
#include "ctl/say.h"
#include "ctl/term.h"
#include "ctl/verbs.h"

enum { PEEK_COUNT = 10, HEX_BYTES = 16, HEX_LINES_MAX = 64 };

/* ---- what may go to a terminal ---- */

/* Text without characters that steer a terminal, but for ends of lines and tabs. */
static bool is_printable(struct bytes text)
{
    if (!utf8_is_valid(text))
        return false;
    for (size_t i = 0; i < text.size; i++) {
        uint8_t byte = text.data[i];
        bool is_steering = (byte < 0x20 && byte != '\n' && byte != '\t') || byte == 0x7f;
        bool is_c1 = byte == 0xc2 && i + 1 < text.size && text.data[i + 1] < 0xa0;
        if (is_steering || is_c1)
            return false;
    }
    return true;
}

/* In quotes, and as JSON has it, where that is more than a plain text. */
static void print_name(const char *title, struct bytes name)
{
    struct buffer text = {0};
    struct json_writer writer = json_writer_of(&text);
    writer.mends = true;
    json_put_text(&writer, name);
    printf("%s%.*s", title, BYTES_ARG(buffer_bytes(&text)));
    buffer_free(&text);
}

static void print_hex_line(struct bytes line, size_t offset)
{
    printf("  %08zx", offset);
    for (size_t i = 0; i < HEX_BYTES; i++)
        if (i < line.size)
            printf("%s%02x", i % 8 ? " " : "  ", line.data[i]);
        else
            printf("%s  ", i % 8 ? " " : "  ");
    printf("  |");
    for (size_t i = 0; i < line.size; i++)
        putchar(line.data[i] >= 0x20 && line.data[i] < 0x7f ? line.data[i] : '.');
    printf("|\n");
}

static void print_hex(struct bytes body)
{
    size_t at = 0;
    for (; at < body.size && at < HEX_BYTES * HEX_LINES_MAX; at += HEX_BYTES) {
        size_t left = body.size - at;
        print_hex_line(bytes_of(body.data + at, left < HEX_BYTES ? left : HEX_BYTES), at);
    }
    if (at < body.size)
        printf("  ... (-o json has all of it)\n");
}

/* ---- one message ---- */

static struct bytes text_of(const struct json *object, const char *name)
{
    return json_text(json_find(object, name));
}

static long long whole_of(const struct json *object, const char *name)
{
    return json_whole(json_find(object, name));
}

/* A line for each property, and for each header; values that are no texts as JSON. */
static void print_members(const struct json *object, const char *begin)
{
    struct bytes name;
    const struct json *value;
    struct json_walk walk = json_walk_of(object);
    while (json_next(&walk, &name, &value)) {
        struct buffer text = {0};
        struct json_writer writer = json_writer_of(&text);
        writer.mends = true;
        if (bytes_equal_str(name, "headers") && !*begin) {
            print_members(value, "header ");
            continue;
        }
        term_copy(&writer, value);
        bool is_plain = json_kind_of(value) == JSON_IS_TEXT && is_printable(json_text(value));
        struct bytes shown = is_plain ? json_text(value) : buffer_bytes(&text);
        printf("  %s%.*s: %.*s\n", begin, BYTES_ARG(is_printable(name) ? name : bytes_str("?")),
               BYTES_ARG(shown));
        buffer_free(&text);
    }
}

static void print_time(long long ms)
{
    char text[64];
    time_t seconds = (time_t)(ms / 1000);
    struct tm when;
    if (gmtime_r(&seconds, &when) && strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &when))
        printf(", ends %s", text);
}

static void print_body(const struct json *message)
{
    struct buffer bytes = {0};
    struct bytes body = term_payload(message, &bytes);
    if (body.size)
        printf("\n");
    if (body.size && is_printable(body))
        printf("%.*s%s", BYTES_ARG(body), body.data[body.size - 1] == '\n' ? "" : "\n");
    else
        print_hex(body);
    if ((long long)body.size < whole_of(message, "payload_bytes"))
        printf("  ... (cut; --truncate says where)\n");
    buffer_free(&bytes);
}

static void print_message(const struct json *message, bool is_first)
{
    long long count = whole_of(message, "delivery_count");
    printf("%sposition %.*s: %.*s", is_first ? "" : "\n", BYTES_ARG(text_of(message, "position")),
           BYTES_ARG(text_of(message, "state")));
    if (json_find(message, "payload_bytes")) {
        print_name(", exchange ", text_of(message, "exchange"));
        print_name(", key ", text_of(message, "routing_key"));
        printf(", %lld bytes", whole_of(message, "payload_bytes"));
    }
    if (count)
        printf(", came back %lld times", count);
    if (json_kind_of(json_find(message, "expires_at")) == JSON_IS_WHOLE)
        print_time(whole_of(message, "expires_at"));
    printf("\n");
    print_members(json_find(message, "properties"), "");
    print_body(message);
}

/* ---- some of them ---- */

struct peek {
    long long left, seen;
    char from[32]; /* a position, which is a text */
    bool is_over;
};

static bool is_json(const struct command *command)
{
    return command->format == FORMAT_JSON || command->format == FORMAT_JSON_LINES;
}

static void print_json(const struct json *value)
{
    struct buffer text = {0};
    struct json_writer writer = json_writer_of(&text);
    term_copy(&writer, value);
    printf("%.*s", BYTES_ARG(buffer_bytes(&text)));
    buffer_free(&text);
}

static void put_message(const struct command *command, const struct peek *peek,
                        const struct json *message)
{
    if (!is_json(command)) {
        print_message(message, peek->seen == 0);
        return;
    }
    if (command->format == FORMAT_JSON)
        printf(peek->seen ? ",\n" : "[\n");
    print_json(message);
    if (command->format == FORMAT_JSON_LINES)
        printf("\n");
}

static void take(const struct command *command, struct peek *peek, const struct json *answer)
{
    const struct json *messages = json_find(answer, "messages"), *next = json_find(answer, "next");
    for (size_t i = 0; i < json_count(messages); i++) {
        put_message(command, peek, json_item(messages, i));
        peek->seen++;
        peek->left--;
    }
    snprintf(peek->from, sizeof(peek->from), "%.*s", BYTES_ARG(json_text(next)));
    peek->is_over = json_kind_of(next) != JSON_IS_TEXT;
}

static int ask(struct command *command, struct peek *peek)
{
    char request[400];
    int code;
    snprintf(request, sizeof(request),
             "GET /queues/{vhost}/{1}/messages?count=%lld&from=%s&filter={filter}&"
             "truncate={truncate=50000}",
             peek->left < 500 ? peek->left : 500, peek->from);
    struct json *answer = node_read(command, request, &code);
    if (answer)
        take(command, peek, answer);
    json_release(answer);
    return code;
}

static bool is_number(const char *text)
{
    return *text && strlen(text) < 20 && text[strspn(text, "0123456789")] == '\0';
}

int run_peek(struct command *command)
{
    struct peek peek = {0};
    int code = 0;
    const char *count = command_option(command, "count"), *from = command_option(command, "from");
    if ((count && !is_number(count)) || (from && !is_number(from)))
        return say_usage(command, "--count and --from are numbers");
    peek.left = count ? strtoll(count, NULL, 10) : PEEK_COUNT;
    snprintf(peek.from, sizeof(peek.from), "%s", from ? from : "0");
    if (command->format != FORMAT_TABLE && !is_json(command))
        return say_usage(command, "messages are shown as text, or with -o as json or jsonl");
    while (code == 0 && peek.left > 0 && !peek.is_over)
        code = ask(command, &peek);
    if (code == 0 && command->format == FORMAT_JSON)
        printf(peek.seen ? "\n]\n" : "[]\n");
    if (code == 0 && !peek.seen && command_has(command, "filter"))
        say_fail(command, 0, "no message passes the filter '%s'",
                 command_option(command, "filter"));
    if (code == 0 && !peek.is_over && isatty(STDERR_FILENO))
        fprintf(stderr, "There may be more: --from %s\n", peek.from);
    return code;
}

/* ---- why not? ---- */

/* Whose consumer it is, where a reason is about one. */
static void print_client(const struct json *reason)
{
    const struct json *channel = json_find(reason, "channel_details");
    if (!channel)
        return;
    printf("\n%20sof user %.*s, channel %lld of connection %.*s", "",
           BYTES_ARG(text_of(channel, "user")), whole_of(channel, "number"),
           BYTES_ARG(text_of(channel, "connection_name")));
}

static void print_reasons(const struct json *reasons, const char *title, const char *none)
{
    printf("\n%s\n", json_count(reasons) ? title : none);
    for (size_t i = 0; i < json_count(reasons); i++) {
        const struct json *reason = json_item(reasons, i);
        printf("  %-16.*s  %.*s", BYTES_ARG(text_of(reason, "code")),
               BYTES_ARG(text_of(reason, "text")));
        print_client(reason);
        printf("\n");
    }
}

int run_explain(struct command *command)
{
    int code;
    struct json *answer = node_read(command, "GET /queues/{vhost}/{1}/explain", &code);
    if (!answer)
        return code;
    if (is_json(command)) {
        print_json(answer);
        printf("\n");
    } else {
        printf("'%s': %lld messages ready, %lld unacknowledged, %lld delayed; %lld consumers\n",
               command->arguments[0], whole_of(answer, "messages_ready"),
               whole_of(answer, "messages_unacknowledged"), whole_of(answer, "messages_delayed"),
               whole_of(answer, "consumers"));
        print_reasons(json_find(answer, "delivery"), "What hinders deliveries:",
                      "Nothing hinders deliveries.");
        print_reasons(json_find(answer, "acceptance"), "What hinders publishers:",
                      "Nothing hinders publishers.");
        if (json_find(answer, "mirrors"))
            print_reasons(json_find(answer, "mirrors"), "Who else has it:", "");
    }
    json_release(answer);
    return EXIT_GOOD;
}
