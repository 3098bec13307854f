/* Messages as they pass, by the firehose of a virtual host: copies of them come to a queue that is made for
 * this run. Two of these may run at once; who ends last turns tracing off, unless an operator had turned
 * it on. That stands in the names of their queues. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/utf8.h"
#include "ctl/hold.h"
#include "ctl/nodes.h"
#include "ctl/request.h"
#include "ctl/say.h"
#include "ctl/term.h"
#include "ctl/verbs.h"

enum { GET_MAX = 200, STEP_MS = 100, PAYLOAD_USUAL = 60, PAYLOAD_MAX = 65536, REQUEST_SIZE = 512 };
enum { SORTS_MAX = 10000 };

/* What a queue of these is called, by who has turned tracing on: such a program, or somebody else. */
static const char ours[] = "leveret.tail.on.", theirs[] = "leveret.tail.kept.";

/* Messages of one connection, with the same keys, that went the same way. */
struct sort {
    char *text; /* its line, behind the numbers */
    uint64_t messages, bytes;
};

struct tail {
    struct hold hold;
    struct sort *sorts; /* with --summary: by their texts */
    size_t sorts_count, sorts_capacity;
    uint64_t others; /* messages of more sorts than are told apart */
    char queue[64];
    bool is_ours;  /* tracing ends with the last of these */
    bool is_made;  /* the queue is there */
    long payload;  /* bytes of it that are shown */
    long long left, seen; /* messages; left -1: any number */
    double until_ms;      /* of the monotonic clock; 0: for ever */
};

/* ---- one message ---- */

static struct bytes text_of(const struct json *object, const char *name)
{
    return json_text(json_find(object, name));
}

/* What a text may do to a terminal it does not do: one character for each that steers it, or is none. */
static void print_text(FILE *out, struct bytes text)
{
    for (size_t at = 0, size; at < text.size; at += size) {
        struct bytes rest = bytes_of(text.data + at, text.size - at);
        size = utf8_character(rest);
        bool is_c1 = size == 2 && rest.data[0] == 0xc2 && rest.data[1] < 0xa0;
        if (size == 0 || is_c1 || rest.data[0] < 0x20 || rest.data[0] == 0x7f)
            fputc('.', out);
        else
            fwrite(rest.data, 1, size, out);
        size = size ? size : 1;
    }
}

static void print_texts(FILE *out, const struct json *texts)
{
    for (size_t i = 0; i < json_count(texts); i++) {
        fputs(i ? "," : "", out);
        print_text(out, json_text(json_item(texts, i)));
    }
}

static double now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1000 + (double)now.tv_nsec / 1e6;
}

/* The time of day, as a message is seen. */
static void write_time(char *text, size_t size, const char *format)
{
    struct timespec now;
    struct tm when;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &when);
    size_t used = strftime(text, size, format, &when);
    snprintf(text + used, size - used, ".%03ld", now.tv_nsec / 1000000);
}

static void print_payload(const struct json *message)
{
    struct buffer bytes = {0};
    print_text(stdout, term_payload(message, &bytes));
    buffer_free(&bytes);
}

static bool is_delivery(const struct json *message)
{
    return bytes_start_with(text_of(message, "routing_key"), "deliver.");
}

/* Which queue it was delivered from, behind the first part of the key. */
static struct bytes source_of(const struct json *message)
{
    struct bytes key = text_of(message, "routing_key");
    return bytes_of(key.data + 8, key.size - 8);
}

/* Which way it went. */
static void print_side(FILE *out, const struct json *message, const struct json *headers)
{
    fputs(is_delivery(message) ? "deliver\t" : "publish\t", out);
    print_text(out, text_of(headers, "exchange_name"));
    fputc('\t', out);
    print_texts(out, json_find(headers, "routing_keys"));
    fputc('\t', out);
    if (is_delivery(message))
        print_text(out, source_of(message));
    else
        print_texts(out, json_find(headers, "routed_queues"));
}

static void print_line(const struct json *message, const struct json *headers)
{
    char time[40];
    write_time(time, sizeof(time), "%H:%M:%S");
    printf("%s\t", time);
    print_side(stdout, message, headers);
    printf("\t%lld\t", (long long)json_whole(json_find(message, "payload_bytes")));
    print_payload(message);
    putchar('\n');
}

static void add_copy(struct json_writer *writer, const char *name, const struct json *value)
{
    if (value)
        request_copy(writer, name, value);
}

static void print_json(const struct json *message, const struct json *headers)
{
    static const char *const shown[] = {"user", "connection", "channel", "redelivered", "properties"};
    char time[40];
    struct buffer text = {0};
    struct json_writer writer = json_writer_of(&text);
    writer.mends = true;
    write_time(time, sizeof(time) - 1, "%Y-%m-%dT%H:%M:%S");
    strcat(time, "Z");
    json_open(&writer, '{');
    json_add_text(&writer, "time", bytes_str(time));
    json_add_text(&writer, "what", bytes_str(is_delivery(message) ? "deliver" : "publish"));
    add_copy(&writer, "exchange", json_find(headers, "exchange_name"));
    add_copy(&writer, "routing_keys", json_find(headers, "routing_keys"));
    if (is_delivery(message))
        json_add_text(&writer, "queue", source_of(message));
    else
        add_copy(&writer, "queues", json_find(headers, "routed_queues"));
    for (size_t i = 0; i < sizeof(shown) / sizeof(shown[0]); i++)
        add_copy(&writer, shown[i], json_find(headers, shown[i]));
    add_copy(&writer, "payload_bytes", json_find(message, "payload_bytes"));
    add_copy(&writer, "payload", json_find(message, "payload"));
    add_copy(&writer, "payload_encoding", json_find(message, "payload_encoding"));
    json_close(&writer, '}');
    printf("%.*s\n", BYTES_ARG(buffer_bytes(&text)));
    buffer_free(&text);
}

/* ---- whose they were ---- */

static char *sort_text(const struct json *message, const struct json *headers)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        return NULL;
    print_side(out, message, headers);
    fputc('\t', out);
    print_text(out, text_of(headers, "user"));
    fputc('\t', out);
    print_text(out, text_of(headers, "connection"));
    fclose(out);
    return text;
}

static size_t find_sort(const struct tail *tail, const char *text)
{
    size_t low = 0, high = tail->sorts_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (strcmp(tail->sorts[middle].text, text) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Takes the text. */
static void insert_sort(struct tail *tail, size_t at, char *text)
{
    tail->sorts = mem_grow(tail->sorts, &tail->sorts_capacity, tail->sorts_count + 1,
                           sizeof(*tail->sorts));
    memmove(&tail->sorts[at + 1], &tail->sorts[at], (tail->sorts_count - at) * sizeof(*tail->sorts));
    tail->sorts[at] = (struct sort){.text = text};
    tail->sorts_count++;
}

static void count(struct tail *tail, const struct json *message, const struct json *headers)
{
    char *text = sort_text(message, headers);
    size_t at = text ? find_sort(tail, text) : tail->sorts_count;
    bool is_known = at < tail->sorts_count && strcmp(tail->sorts[at].text, text) == 0;
    if (!text || (!is_known && tail->sorts_count == SORTS_MAX)) {
        tail->others++;
        free(text);
        return;
    }
    if (is_known)
        free(text);
    else
        insert_sort(tail, at, text);
    tail->sorts[at].messages++;
    tail->sorts[at].bytes += (uint64_t)json_whole(json_find(message, "payload_bytes"));
}

static int compare_sorts(const void *one, const void *other)
{
    uint64_t a = ((const struct sort *)one)->messages, b = ((const struct sort *)other)->messages;
    return (a < b) - (a > b);
}

static void print_summary(struct tail *tail)
{
    if (tail->sorts_count)
        qsort(tail->sorts, tail->sorts_count, sizeof(*tail->sorts), compare_sorts);
    for (size_t i = 0; i < tail->sorts_count; i++)
        printf("%llu\t%llu\t%s\n", (unsigned long long)tail->sorts[i].messages,
               (unsigned long long)tail->sorts[i].bytes, tail->sorts[i].text);
    if (tail->others)
        printf("%llu\t\tothers\n", (unsigned long long)tail->others);
    fflush(stdout);
}

static void free_sorts(struct tail *tail)
{
    for (size_t i = 0; i < tail->sorts_count; i++)
        free(tail->sorts[i].text);
    mem_free(tail->sorts);
}

/* ---- which, and how ---- */

static bool has_text(const struct json *texts, const char *text)
{
    for (size_t i = 0; i < json_count(texts); i++)
        if (bytes_equal_str(json_text(json_item(texts, i)), text))
            return true;
    return false;
}

/* A key of its binding may fit more than was meant, as a name with a star in it. */
static bool is_wanted(const struct command *command, const struct json *message)
{
    const char *exchange = command_option(command, "exchange"),
               *queue = command_option(command, "queue"), *into = command_option(command, "into");
    const struct json *headers = json_find(json_find(message, "properties"), "headers");
    if (is_delivery(message))
        return queue ? bytes_equal_str(source_of(message), queue) : !exchange && !into;
    if (into && !has_text(json_find(headers, "routed_queues"), into))
        return false;
    return exchange ? bytes_equal_str(text_of(headers, "exchange_name"), exchange) : into || !queue;
}

static void show(const struct command *command, struct tail *tail, const struct json *messages)
{
    for (size_t i = 0; i < json_count(messages) && tail->left; i++) {
        const struct json *message = json_item(messages, i);
        const struct json *headers = json_find(json_find(message, "properties"), "headers");
        if (!is_wanted(command, message))
            continue;
        if (command_has(command, "summary"))
            count(tail, message, headers);
        else if (command->format == FORMAT_JSON_LINES)
            print_json(message, headers);
        else
            print_line(message, headers);
        tail->seen++;
        tail->left -= tail->left > 0;
    }
    fflush(stdout);
}

/* ---- what is asked of the broker ---- */

/* Sends it, and passes over what a good answer says. */
static int send(struct command *command, const char *request, const char *body)
{
    struct reply reply;
    command_renew(command);
    int code = command_call(command, request, bytes_str(body), &reply);
    if (code == 0 && !reply_is_good(&reply))
        code = command_refused(command, &reply);
    buffer_free(&reply.body);
    return code;
}

/* Is there such a program which has turned tracing on, or has taken that over? */
static int look_for_others(struct command *command, bool *any)
{
    int code;
    struct json *bindings =
        node_read(command, "GET /exchanges/{vhost}/amq.rabbitmq.trace/bindings/source", &code);
    *any = false;
    for (size_t i = 0; i < json_count(bindings); i++)
        *any |= bytes_start_with(text_of(json_item(bindings, i), "destination"), ours);
    json_release(bindings);
    return code;
}

static int bind_to(struct command *command, const struct tail *tail, const char *what,
                   const char *name)
{
    char request[REQUEST_SIZE];
    struct buffer key = {0}, body = {0};
    struct json_writer writer = json_writer_of(&body);
    buffer_add(&key, what, strlen(what));
    buffer_add(&key, name, strlen(name));
    json_open(&writer, '{');
    json_add_text(&writer, "routing_key", buffer_bytes(&key));
    json_close(&writer, '}');
    buffer_add_u8(&body, '\0');
    snprintf(request, sizeof(request), "POST /bindings/{vhost}/e/amq.rabbitmq.trace/q/%s",
             tail->queue);
    int code = send(command, request, (const char *)body.data);
    buffer_free(&key);
    buffer_free(&body);
    return code;
}

static int bind_all(struct command *command, const struct tail *tail)
{
    const char *exchange = command_option(command, "exchange"),
               *queue = command_option(command, "queue");
    bool is_into = command_has(command, "into");
    int code = 0;
    if (exchange || is_into || !queue)
        code = bind_to(command, tail, "publish.", exchange ? exchange : "#");
    if (code == 0 && (queue || (!exchange && !is_into)))
        code = bind_to(command, tail, "deliver.", queue ? queue : "#");
    return code;
}

static int trace(struct command *command, bool is_on)
{
    return send(command, "PUT /vhosts/{vhost}", is_on ? "{\"tracing\":true}" : "{\"tracing\":false}");
}

/* A queue that goes by itself when nobody asks it any more. */
static int begin(struct command *command, struct tail *tail)
{
    char request[REQUEST_SIZE];
    bool any_others = false;
    int code;
    struct json *vhost = node_read(command, "GET /vhosts/{vhost}", &code);
    bool is_on = json_flag(json_find(vhost, "tracing"));
    json_release(vhost);
    if (code == 0)
        code = look_for_others(command, &any_others);
    if (code)
        return code;
    tail->is_ours = !is_on || any_others;
    snprintf(tail->queue, sizeof(tail->queue), "%s%ld-%.0f", tail->is_ours ? ours : theirs,
             (long)getpid(), now_ms() * 1000);
    snprintf(request, sizeof(request), "PUT /queues/{vhost}/%s", tail->queue);
    code = send(command, request,
                "{\"durable\":false,\"auto_delete\":false,\"arguments\":{\"x-queue-type\":\"classic\","
                "\"x-expires\":60000,\"x-max-length\":10000,\"x-overflow\":\"drop-head\"}}");
    tail->is_made = code == 0;
    if (code == 0)
        code = bind_all(command, tail);
    return code || is_on ? code : trace(command, true);
}

/* What has come since it was last asked; *any: was there something? */
static int ask(struct command *command, struct tail *tail, bool *any)
{
    char request[REQUEST_SIZE], body[200];
    int code;
    snprintf(request, sizeof(request), "POST /queues/{vhost}/%s/get", tail->queue);
    snprintf(body, sizeof(body),
             "{\"count\":%d,\"ackmode\":\"ack_requeue_false\",\"encoding\":\"auto\",\"truncate\":%ld}",
             GET_MAX, tail->payload);
    command_renew(command);
    struct json *messages = node_do(command, request, bytes_str(body), &code);
    *any = json_count(messages) > 0;
    show(command, tail, messages);
    json_release(messages);
    return code;
}

/* As it was before, as far as others let it. */
static int end(struct command *command, const struct tail *tail)
{
    char request[REQUEST_SIZE];
    bool any_others = false;
    if (!tail->is_made)
        return 0;
    snprintf(request, sizeof(request), "DELETE /queues/{vhost}/%s", tail->queue);
    int code = send(command, request, "");
    if (code || !tail->is_ours)
        return code;
    code = look_for_others(command, &any_others);
    return code || any_others ? code : trace(command, false);
}

/* ---- for as long as it is wanted ---- */

static bool goes_on(const struct tail *tail)
{
    bool is_late = tail->until_ms > 0 && now_ms() >= tail->until_ms;
    return tail->left && !tail->hold.signal && !is_late && !ferror(stdout);
}

static int run(struct command *command, struct tail *tail)
{
    int code = begin(command, tail);
    bool is_silent = command_has(command, "silent") || command_has(command, "no-table-headers") ||
                     command->format == FORMAT_JSON_LINES;
    if (code == 0 && !is_silent)
        printf(command_has(command, "summary")
                   ? "messages\tbytes\twhat\texchange\trouting_keys\tqueues\tuser\tconnection\n"
                   : "time\twhat\texchange\trouting_keys\tqueues\tbytes\tpayload\n");
    fflush(stdout);
    while (code == 0 && goes_on(tail)) {
        bool any;
        code = ask(command, tail, &any);
        if (code == 0 && goes_on(tail))
            hold_pause(&tail->hold, any ? 1 : STEP_MS);
    }
    if (code == 0)
        print_summary(tail);
    int end_code = end(command, tail);
    return code ? code : end_code;
}

static bool read_number(const char *text, long most, long *number)
{
    char *end;
    *number = strtol(text, &end, 10);
    return end != text && *end == '\0' && *number >= 0 && *number <= most;
}

int run_tail(struct command *command)
{
    struct tail tail = {.payload = PAYLOAD_USUAL, .left = -1};
    const char *limit = command_option(command, "limit"),
               *duration = command_option(command, "duration"),
               *payload = command_option(command, "payload");
    long number = 0;
    if (limit && (!read_number(limit, 1L << 40, &number) || number == 0))
        return say_usage(command, "--limit is a number of messages, and not '%s'", limit);
    if (limit)
        tail.left = number;
    if (duration && (!read_number(duration, 1L << 30, &number) || number == 0))
        return say_usage(command, "--duration is a number of seconds, and not '%s'", duration);
    if (duration)
        tail.until_ms = now_ms() + (double)number * 1000;
    if (payload && !read_number(payload, PAYLOAD_MAX, &tail.payload))
        return say_usage(command, "--payload is a number of bytes up to %d, and not '%s'",
                         PAYLOAD_MAX, payload);
    if (command->format != FORMAT_TABLE && command->format != FORMAT_TSV &&
        command->format != FORMAT_JSON_LINES)
        return say_usage(command, "messages that pass are shown as lines, or with -o as jsonl");
    if (command_has(command, "summary"))
        tail.payload = 0;
    if (command_has(command, "dry-run"))
        return begin(command, &tail);
    hold_begin(&tail.hold);
    signal(SIGPIPE, SIG_IGN);
    int code = run(command, &tail);
    free_sorts(&tail);
    hold_end(&tail.hold);
    return code;
}
