/* The broker as a whole: whether it answers, how it is, and where it listens. */
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "ctl/nodes.h"
#include "ctl/say.h"
#include "ctl/verbs.h"

enum { AWAIT_STEP_MS = 100, CONNECT_MS = 5000 };

static struct json *read_as(struct command *command, const char *request, int other, int *code)
{
    struct reply reply;
    char error[200];
    struct json *document = NULL;
    *code = command_call(command, request, bytes_of(NULL, 0), &reply);
    if (*code == 0 && (reply_is_good(&reply) || reply.status == other))
        document = json_parse(buffer_bytes(&reply.body), error, sizeof(error));
    if (*code == 0 && !document)
        *code = command_refused(command, &reply);
    buffer_free(&reply.body);
    return document;
}

struct json *node_do(struct command *command, const char *request, struct bytes body, int *code)
{
    struct reply reply;
    struct json *document = NULL;
    char error[200];
    *code = command_call(command, request, body, &reply);
    if (*code == 0 && !reply_is_good(&reply))
        *code = command_refused(command, &reply);
    else if (*code == 0 && reply.status && !(document = json_parse(buffer_bytes(&reply.body), error, sizeof(error))))
        *code = say_fail(command, EXIT_UNAVAILABLE, "the broker's answer makes no sense: %s", error);
    buffer_free(&reply.body);
    return document;
}

struct json *node_read(struct command *command, const char *request, int *code)
{
    return read_as(command, request, 200, code);
}

struct json *node_read_any(struct command *command, const char *request, int *code)
{
    return read_as(command, request, 503, code);
}

struct json *node_read_permitted(struct command *command, const char *request, int *code)
{
    return read_as(command, request, 401, code);
}

/* ---- does it answer? ---- */

int run_ping(struct command *command)
{
    return command_node(command) ? say_result(command, "Ping succeeded") : EXIT_UNAVAILABLE;
}

/* The same, with nothing said when it is well. */
int run_ping_quietly(struct command *command)
{
    return command_node(command) ? say_done(command) : EXIT_UNAVAILABLE;
}

#define NOT_RUNNING "RabbitMQ on node %s is not running or has not fully booted yet (check with is_booting)"

int run_check_running(struct command *command)
{
    const char *node = command_node(command);
    if (node && command->is_stopped && !command_is_ours(command))
        command->format = FORMAT_TABLE; /* RabbitMQ's says this as text, whatever was asked for */
    if (node && command->is_stopped)
        return say_fail(command, EXIT_UNAVAILABLE, NOT_RUNNING, node);
    return node ? say_result(command, "RabbitMQ on node %s is fully booted and running", node)
                : EXIT_UNAVAILABLE;
}

int run_is_running(struct command *command)
{
    char words[400];
    const char *node = command_node(command);
    if (!node)
        return EXIT_UNAVAILABLE;
    if (command->is_stopped)
        snprintf(words, sizeof(words), NOT_RUNNING, node);
    else
        snprintf(words, sizeof(words), "RabbitMQ on node %s is fully booted and running", node);
    return say_truth(command, !command->is_stopped, words);
}

int run_is_booting(struct command *command)
{
    char words[400];
    const char *node = command_node(command);
    if (!node)
        return EXIT_UNAVAILABLE;
    snprintf(words, sizeof(words),
             "RabbitMQ on node %s is fully booted (check with is_running), stopped or has not "
             "started booting yet",
             node);
    return say_truth(command, false, words);
}

bool node_is_clustered(const struct json *nodes)
{
    return json_find(json_item(nodes, 0), "leveret_member");
}

double node_patience_ms(const struct command *command, double seconds)
{
    const char *timeout = command_option(command, "timeout");
    return (timeout ? strtod(timeout, NULL) : seconds) * 1000;
}

/* What is asked next is asked on a connection of its own, and has so much time. */
static void begin_anew(struct client *client, double ms)
{
    struct target target = client->target;
    client_close(client);
    client_init(client, &target, ms / 1000);
}

void node_ask_anew(struct command *command, const char *path, double ms, struct reply *reply)
{
    struct client *client = &command->client;
    *reply = (struct reply){0};
    begin_anew(client, ms);
    if (!client_call(client, "GET", bytes_str(path), bytes_of(NULL, 0), NULL, reply))
        reply->status = 0;
}

/* Asks again and again until there is an answer that is good enough; false: there was none in time, or it is one to
 * which no other follows. The last answer is in `reply`, whose body the caller frees; status 0: there was none. */
static bool await_answer(struct command *command, const char *path,
                         bool (*is_good)(const struct command *command, const struct reply *reply), struct reply *reply)
{
    struct timespec pause = {0, AWAIT_STEP_MS * 1000000L};
    double left_ms = node_patience_ms(command, 300);
    *reply = (struct reply){0};
    for (; left_ms > 0; left_ms -= AWAIT_STEP_MS) {
        buffer_free(&reply->body);
        node_ask_anew(command, path, left_ms, reply);
        if (reply->status == 401)
            return false;
        if (reply->status && is_good(command, reply))
            return true;
        nanosleep(&pause, NULL);
    }
    if (reply->status) /* its time is over, and what is said about its answer may have to be asked for */
        begin_anew(&command->client, CONNECT_MS);
    return false;
}

static int say_waited(struct command *command, const struct reply *reply)
{
    char reason[2048];
    if (reply->status == 401)
        return say_fail(command, EXIT_UNAVAILABLE, "the broker at %s knows no such operator",
                        command->client.target.name);
    if (reply->status != 503)
        return say_unreachable(command);
    reply_reason(reply, reason, sizeof(reason));
    return say_fail(command, EXIT_TIMEOUT, "%s", reason);
}

static bool has_started(const struct command *command, const struct reply *reply)
{
    (void)command;
    return reply->status == 200;
}

/* What only who leads a cluster answers: until somebody does nobody is served. */
int run_await(struct command *command)
{
    struct reply reply;
    bool has_come = await_answer(command, "/overview?columns=cluster_name", has_started, &reply);
    int code = has_come ? say_done(command) : say_waited(command, &reply);
    buffer_free(&reply.body);
    return code;
}

static size_t running_nodes(const struct reply *reply)
{
    char error[200];
    struct json *nodes = json_parse(buffer_bytes(&reply->body), error, sizeof(error));
    size_t count = 0;
    for (size_t i = 0; i < json_count(nodes); i++)
        count += json_flag(json_find(json_item(nodes, i), "running"));
    json_release(nodes);
    return count;
}

static bool are_enough(const struct command *command, const struct reply *reply)
{
    long wanted = strtol(command->arguments[0], NULL, 10);
    return reply->status == 200 && (wanted <= 0 || running_nodes(reply) >= (size_t)wanted);
}

int run_await_nodes(struct command *command)
{
    struct reply reply;
    bool have_come = await_answer(command, "/nodes?columns=name,running", are_enough, &reply);
    const char *node = have_come || reply.status != 200 ? NULL : command_node(command);
    int code = EXIT_UNAVAILABLE;
    if (have_come)
        code = say_done(command);
    else if (reply.status != 200)
        code = say_waited(command, &reply);
    else if (node)
        code = say_fail(command, EXIT_TIMEOUT, "Timed out while waiting. Not enough nodes joined %s's cluster: %zu of %s run.",
                        node, running_nodes(&reply), command->arguments[0]);
    buffer_free(&reply.body);
    return code;
}

/* ---- its process ---- */

/* The broker's process, which gets a signal; 0: it is not on this machine, or not ours, which was
 * said. */
static int send_signal(struct command *command, int number)
{
    if (!command_node(command))
        return 0;
    int process = client_process(&command->client);
    if (process <= 0) {
        say_fail(command, EXIT_UNAVAILABLE,
                 "%s is no control socket of this machine, and only there the broker's process is "
                 "known; on its own machine it takes SIGTERM",
                 command->client.target.name);
        return 0;
    }
    if (command_has(command, "dry-run") || kill(process, number) == 0)
        return process;
    say_fail(command, EXIT_UNAVAILABLE, "process %d takes no signal from this user: %s", process,
             strerror(errno));
    return 0;
}

/* Waits until it has ended. */
static bool wait_for_end(struct command *command, int process)
{
    double left_ms = node_patience_ms(command, 60);
    struct timespec pause = {0, AWAIT_STEP_MS * 1000000L / 10};
    for (; left_ms > 0; left_ms -= AWAIT_STEP_MS / 10) {
        if (kill(process, 0) != 0 && errno == ESRCH)
            return true;
        nanosleep(&pause, NULL);
    }
    return false;
}

int run_stop(struct command *command)
{
    if (!say_confirm(command, "Stop the broker at %s?", command->client.target.name))
        return EXIT_GOOD;
    int process = send_signal(command, SIGTERM);
    if (process == 0)
        return EXIT_UNAVAILABLE;
    if (command_has(command, "dry-run")) {
        printf("kill -TERM %d\n", process);
        return EXIT_GOOD;
    }
    client_close(&command->client); /* for which the broker would wait */
    if (!wait_for_end(command, process))
        return say_fail(command, EXIT_TIMEOUT, "process %d has not ended in time", process);
    return say_done(command);
}

/* What is asked for is as it is. */
int run_nothing(struct command *command)
{
    return say_done(command);
}

int run_refuse(struct command *command)
{
    return say_fail(command, EXIT_UNAVAILABLE, "%s", command->verb->text);
}

/* In a cluster of several; 0: without this one it would stand still; -1: it is the only one, or `code` was said. */
static int others_suffice(struct command *command, int *code)
{
    struct json *health = node_read_any(command, "GET /health/checks/node-is-quorum-critical", code);
    if (!health)
        return -1;
    bool is_good = bytes_equal_str(json_text(json_find(health, "status")), "ok");
    bool is_alone = bytes_equal_str(json_text(json_find(health, "reason")), "single node cluster");
    json_release(health);
    *code = EXIT_GOOD;
    return is_alone ? -1 : is_good;
}

int run_quorum_critical(struct command *command)
{
    int code = EXIT_UNAVAILABLE;
    const char *node = command_node(command);
    int enough = node ? others_suffice(command, &code) : -1;
    if (code != EXIT_GOOD)
        return code;
    if (enough < 0)
        return say_result(command,
                          "Node %s seems to be the only one in a single node cluster, the check does "
                          "not apply",
                          node);
    if (enough)
        return say_result(command, "Node %s reported no quorum queues with minimum quorum", node);
    return say_fail(command, EXIT_UNAVAILABLE,
                    "without node %s there are not more than half of its cluster, and nobody would serve", node);
}

int run_await_quorum(struct command *command)
{
    double left_ms = node_patience_ms(command, 120);
    struct timespec pause = {0, AWAIT_STEP_MS * 1000000L};
    int code = EXIT_UNAVAILABLE;
    int enough = command_node(command) ? others_suffice(command, &code) : -1;
    bool is_quiet = command_has(command, "quiet") || command_has(command, "silent");
    for (; enough == 0 && left_ms > 0; left_ms -= AWAIT_STEP_MS) {
        nanosleep(&pause, NULL);
        enough = others_suffice(command, &code);
    }
    if (code != EXIT_GOOD)
        return code;
    if (enough == 0)
        return say_fail(command, EXIT_TIMEOUT, "there are not enough brokers of the cluster");
    if (enough > 0 || is_quiet)
        return say_done(command);
    return say_result(command, "Target node seems to be the only one in a single node cluster, the "
                               "command does not apply");
}

int run_check_mirror_sync(struct command *command)
{
    return run_quorum_critical(command);
}

/* ---- health ---- */

/* "Memory alarm on node N", one a line. */
void node_alarm_lines(const struct json *alarms, struct buffer *out)
{
    for (size_t i = 0; i < json_count(alarms); i++) {
        struct bytes resource = json_text(json_find(json_item(alarms, i), "resource"));
        struct bytes node = json_text(json_find(json_item(alarms, i), "node"));
        const char *what = bytes_equal_str(resource, "memory") ? "Memory alarm"
                           : bytes_equal_str(resource, "disk") ? "Free disk space alarm"
                                                               : "File descriptor alarm";
        buffer_add(out, "\n", i > 0);
        buffer_add(out, what, strlen(what));
        buffer_add(out, " on node ", 9);
        buffer_add(out, node.data, node.size);
    }
}

/* {"local":[..],"message":"..","result":".."} */
static void print_alarms_json(const struct command *command, struct bytes lines,
                              const char *message, bool is_check)
{
    struct buffer out = {0};
    struct json_writer writer = json_writer_of(&out);
    bool is_local = strcmp(command->verb->name, "check_local_alarms") == 0;
    bool has_failed = lines.size && is_check;
    json_open(&writer, '{');
    if (!is_local && lines.size) {
        json_add_open(&writer, "global", '[');
        json_close(&writer, ']');
    }
    if (lines.size) {
        json_add_open(&writer, "local", '[');
        while (lines.size) {
            const uint8_t *end = memchr(lines.data, '\n', lines.size);
            size_t size = end ? (size_t)(end - lines.data) : lines.size;
            json_put_text(&writer, bytes_of(lines.data, size));
            size += end != NULL;
            lines = bytes_of(lines.data + size, lines.size - size);
        }
        json_close(&writer, ']');
        json_add_text(&writer, "message", bytes_str(message));
    }
    json_add_text(&writer, "result", bytes_str(has_failed ? "error" : "ok"));
    json_close(&writer, '}');
    fprintf(has_failed ? stderr : stdout, "%.*s\n", BYTES_ARG(buffer_bytes(&out)));
    buffer_free(&out);
}

static int say_alarms(struct command *command, struct bytes lines, bool is_check)
{
    const char *node = command_node(command);
    bool is_local = strcmp(command->verb->name, "check_local_alarms") == 0;
    char message[600];
    if (!node)
        return EXIT_UNAVAILABLE;
    if (lines.size)
        snprintf(message, sizeof(message), "Node %s reported %salarms", node,
                 is_local ? "local " : "");
    else
        snprintf(message, sizeof(message), "Node %s reported no %s", node,
                 is_local ? "local alarms" : "alarms, local or clusterwide");
    if (command->format == FORMAT_JSON || command->format == FORMAT_JSON_LINES)
        print_alarms_json(command, lines, message, is_check);
    else if (!lines.size)
        return say_result(command, "%s", message);
    else if (!is_check)
        printf("%.*s\n", BYTES_ARG(lines));
    else if (is_local || command_is_ours(command))
        return say_fail(command, EXIT_UNAVAILABLE, "%.*s", BYTES_ARG(lines));
    else
        return say_plain(command, EXIT_UNAVAILABLE, "%.*s", BYTES_ARG(lines));
    return lines.size && is_check ? EXIT_UNAVAILABLE : EXIT_GOOD;
}

static int ask_alarms(struct command *command, bool is_check)
{
    struct reply reply;
    struct buffer lines = {0};
    char error[200];
    int code = command_call(command, command->verb->request, bytes_of(NULL, 0), &reply);
    if (code)
        return code;
    struct json *document = json_parse(buffer_bytes(&reply.body), error, sizeof(error));
    if (reply.status != 200 && reply.status != 503)
        code = command_refused(command, &reply);
    else {
        node_alarm_lines(json_find(document, "alarms"), &lines);
        code = say_alarms(command, buffer_bytes(&lines), is_check);
    }
    json_release(document);
    buffer_free(&reply.body);
    buffer_free(&lines);
    return code;
}

int run_alarms(struct command *command)
{
    return ask_alarms(command, false);
}

int run_check_alarms(struct command *command)
{
    return ask_alarms(command, true);
}

/* A health check of the API: the answer's status says whether it passes. */
static int ask_check(struct command *command, const char *good)
{
    struct reply reply;
    char reason[2048];
    int code = command_call(command, command->verb->request, bytes_of(NULL, 0), &reply);
    if (code)
        return code;
    if (reply.status == 200)
        code = say_result(command, "%s", good);
    else if (reply.status == 503) {
        reply_reason(&reply, reason, sizeof(reason));
        code = say_fail(command, EXIT_UNAVAILABLE, "%s", reason);
    } else
        code = command_refused(command, &reply);
    buffer_free(&reply.body);
    return code;
}

int run_check_virtual_hosts(struct command *command)
{
    char good[600];
    const char *node = command_node(command);
    if (!node)
        return EXIT_UNAVAILABLE;
    snprintf(good, sizeof(good), "Node %s reported all vhosts as running", node);
    return ask_check(command, good);
}

/* The check that newer ones replace. */
int run_health_check(struct command *command)
{
    struct reply reply;
    char error[200];
    int code = command_call(command, command->verb->request, bytes_of(NULL, 0), &reply);
    if (code)
        return code;
    struct json *document = json_parse(buffer_bytes(&reply.body), error, sizeof(error));
    struct bytes reason = json_text(json_find(document, "reason"));
    if (!reply_is_good(&reply) && reply.status != 503)
        code = command_refused(command, &reply);
    else if (bytes_equal_str(json_text(json_find(document, "status")), "ok"))
        code = say_result(command, "Health check passed");
    else
        code = say_fail(command, EXIT_SOFTWARE, "%shealth check failed. Message: %.*s",
                        command_is_ours(command) ? "" : "Error: ", BYTES_ARG(reason));
    json_release(document);
    buffer_free(&reply.body);
    return code;
}

int run_check_certificates(struct command *command)
{
    char good[200];
    const char *within = command_option(command, "within");
    const char *unit = command_option(command, "unit");
    int count = within ? atoi(within) : 4;
    size_t size = unit ? strlen(unit) : 5;
    if (count == 1 && size && (unit ? unit : "weeks")[size - 1] == 's')
        size--;
    snprintf(good, sizeof(good), "No certificates are expiring within %d %.*s.", count, (int)size,
             unit ? unit : "weeks");
    return ask_check(command, good);
}

/* ---- listeners ---- */

static const char *purpose_of(struct bytes protocol)
{
    static const struct {
        const char *protocol, *purpose;
    } purposes[] = {{"amqp", "AMQP 0-9-1"},
                    {"amqp/ssl", "AMQP 0-9-1 over TLS"},
                    {"clustering", "inter-node communication"},
                    {"http", "HTTP API"},
                    {"https", "HTTP API over TLS (HTTPS)"},
                    {"http/prometheus", "Prometheus exporter API over HTTP"},
                    {"http/web-amqp", "AMQP 0-9-1 over WebSockets"},
                    {"https/web-amqp", "AMQP 0-9-1 over WebSockets and TLS (HTTPS)"}};
    for (size_t i = 0; i < sizeof(purposes) / sizeof(purposes[0]); i++)
        if (bytes_equal_str(protocol, purposes[i].protocol))
            return purposes[i].purpose;
    return "unknown";
}

/* The address as RabbitMQ's tools have it: one of IPv6 in brackets. */
static void print_listener(const struct json *listener, const char *begin)
{
    struct bytes address = json_text(json_find(listener, "ip_address"));
    struct bytes protocol = json_text(json_find(listener, "protocol"));
    bool is_v6 = address.size && memchr(address.data, ':', address.size);
    const struct json *names = json_find(listener, "names");
    printf("%snterface: %s%.*s%s, port: %lld, protocol: %.*s, purpose: %s", begin,
           is_v6 ? "[" : "", BYTES_ARG(address), is_v6 ? "]" : "",
           (long long)json_whole(json_find(listener, "port")), BYTES_ARG(protocol),
           purpose_of(protocol));
    for (size_t i = 0; i < json_count(names); i++)
        printf("%s %.*s", i ? "" : ", names:", BYTES_ARG(json_text(json_item(names, i))));
    printf("\n");
}

void node_print_listeners(const struct json *overview, const char *begin)
{
    const struct json *listeners = json_find(overview, "listeners");
    for (size_t i = 0; i < json_count(listeners); i++)
        print_listener(json_item(listeners, i), begin);
}

void node_put_listeners(struct json_writer *writer, const struct json *overview)
{
    const struct json *listeners = json_find(overview, "listeners");
    for (size_t i = 0; i < json_count(listeners); i++) {
        const struct json *one = json_item(listeners, i);
        struct bytes protocol = json_text(json_find(one, "protocol"));
        json_open(writer, '{');
        json_add_text(writer, "interface", json_text(json_find(one, "ip_address")));
        json_add_text(writer, "node", json_text(json_find(one, "node")));
        json_add_whole(writer, "port", json_whole(json_find(one, "port")));
        json_add_text(writer, "protocol", protocol);
        json_add_text(writer, "purpose", bytes_str(purpose_of(protocol)));
        if (json_find(one, "names")) {
            json_name(writer, bytes_str("names"));
            json_put(writer, json_find(one, "names"));
        }
        json_close(writer, '}');
    }
}

static bool wants_json(const struct command *command)
{
    return command->format == FORMAT_JSON || command->format == FORMAT_JSON_LINES;
}

static void print_and_free(struct buffer *out)
{
    printf("%.*s\n", BYTES_ARG(buffer_bytes(out)));
    buffer_free(out);
}

int run_listeners(struct command *command)
{
    int code;
    struct json *overview = node_read(command, "GET /overview?columns=node,listeners", &code);
    if (!overview)
        return code;
    if (wants_json(command)) {
        struct buffer out = {0};
        struct json_writer writer = json_writer_of(&out);
        json_open(&writer, '{');
        json_add_open(&writer, "listeners", '[');
        node_put_listeners(&writer, overview);
        json_close(&writer, ']');
        json_add_text(&writer, "node", json_text(json_find(overview, "node")));
        json_add_text(&writer, "result", bytes_str("ok"));
        json_close(&writer, '}');
        print_and_free(&out);
    } else
        node_print_listeners(overview, "I");
    json_release(overview);
    return EXIT_GOOD;
}

/* "35672, 35673" */
static void list_ports(const struct json *overview, struct buffer *out)
{
    const struct json *listeners = json_find(overview, "listeners");
    char text[32];
    for (size_t i = 0; i < json_count(listeners); i++) {
        snprintf(text, sizeof(text), "%s%lld", i ? ", " : "",
                 (long long)json_whole(json_find(json_item(listeners, i), "port")));
        buffer_add(out, text, strlen(text));
    }
}

static void list_protocols(const struct json *overview, struct buffer *out)
{
    const struct json *listeners = json_find(overview, "listeners");
    for (size_t i = 0; i < json_count(listeners); i++) {
        struct bytes protocol = json_text(json_find(json_item(listeners, i), "protocol"));
        buffer_add(out, ", ", i ? 2 : 0);
        buffer_add(out, protocol.data, protocol.size);
    }
}

/* RabbitMQ's tools take several names for the same. */
static bool is_protocol(struct bytes protocol, const char *asked)
{
    static const struct {
        const char *asked, *protocol;
    } names[] = {{"amqp091", "amqp"},      {"amqp10", "amqp"},
                 {"amqp1.0", "amqp"},      {"amqps", "amqp/ssl"},
                 {"amqp091s", "amqp/ssl"}, {"amqp/tls", "amqp/ssl"},
                 {"https", "http/ssl"},    {"https", "https"},
                 {"http/api", "http"},     {"prometheus", "http/prometheus"}};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcasecmp(asked, names[i].asked) == 0 && bytes_equal_str(protocol, names[i].protocol))
            return true;
    return strlen(asked) == protocol.size &&
           strncasecmp(asked, (const char *)protocol.data, protocol.size) == 0;
}

static bool has_listener(const struct json *overview, const char *port, const char *protocol)
{
    const struct json *listeners = json_find(overview, "listeners");
    for (size_t i = 0; i < json_count(listeners); i++) {
        const struct json *one = json_item(listeners, i);
        if (port && json_whole(json_find(one, "port")) == strtoll(port, NULL, 10))
            return true;
        if (protocol && is_protocol(json_text(json_find(one, "protocol")), protocol))
            return true;
    }
    return false;
}

int run_check_port(struct command *command)
{
    int code;
    struct buffer ports = {0};
    const char *port = command->arguments[0];
    const char *node = command_node(command);
    struct json *overview =
        node ? node_read(command, "GET /overview?columns=node,listeners", &code) : NULL;
    if (!overview)
        return node ? code : EXIT_UNAVAILABLE;
    list_ports(overview, &ports);
    if (has_listener(overview, port, NULL))
        code = say_result(command, "A listener for port %s is running on node %s.", port, node);
    else
        code = say_plain(command, EXIT_UNAVAILABLE,
                         "No listener for port %s is active on node %s. Found listeners that use "
                         "the following ports: %.*s",
                         port, node, BYTES_ARG(buffer_bytes(&ports)));
    json_release(overview);
    buffer_free(&ports);
    return code;
}

int run_check_protocol(struct command *command)
{
    int code;
    struct buffer protocols = {0};
    const char *protocol = command->arguments[0];
    const char *node = command_node(command);
    struct json *overview =
        node ? node_read(command, "GET /overview?columns=node,listeners", &code) : NULL;
    if (!overview)
        return node ? code : EXIT_UNAVAILABLE;
    list_protocols(overview, &protocols);
    if (has_listener(overview, NULL, protocol))
        code = say_result(command, "A listener for protocol %s is running on node %s.", protocol,
                          node);
    else
        code = say_fail(command, EXIT_UNAVAILABLE,
                        "No listener for protocol %s is active on node %s. Found listeners for "
                        "the following protocols: %.*s",
                        protocol, node, BYTES_ARG(buffer_bytes(&protocols)));
    json_release(overview);
    buffer_free(&protocols);
    return code;
}

/* Does somebody take connections there? */
static bool can_connect(struct bytes address, long long port)
{
    char host[64], service[16];
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST}, *found;
    bool is_open = false;
    snprintf(host, sizeof(host), "%.*s", BYTES_ARG(address));
    snprintf(service, sizeof(service), "%lld", port);
    if (strcmp(host, "::") == 0 || strcmp(host, "0.0.0.0") == 0)
        snprintf(host, sizeof(host), "%s", host[0] == ':' ? "::1" : "127.0.0.1");
    if (getaddrinfo(host, service, &hints, &found) != 0)
        return false;
    int fd = socket(found->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd >= 0) {
        int error = 0;
        socklen_t size = sizeof(error);
        struct pollfd entry = {fd, POLLOUT, 0};
        is_open = connect(fd, found->ai_addr, found->ai_addrlen) == 0 ||
                  (errno == EINPROGRESS && poll(&entry, 1, CONNECT_MS) == 1 &&
                   getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error == 0);
        close(fd);
    }
    freeaddrinfo(found);
    return is_open;
}

int run_check_connectivity(struct command *command)
{
    int code;
    bool is_good = true;
    struct buffer ports = {0};
    const char *node = command_node(command);
    if (command->other[0])
        return say_fail(command, EXIT_UNAVAILABLE, "its ports are tried from the machine of %s: run this there",
                        command->other);
    struct json *overview =
        node ? node_read(command, "GET /overview?columns=node,listeners", &code) : NULL;
    if (!overview)
        return node ? code : EXIT_UNAVAILABLE;
    const struct json *listeners = json_find(overview, "listeners");
    for (size_t i = 0; i < json_count(listeners); i++) {
        const struct json *one = json_item(listeners, i);
        struct bytes address = json_text(json_find(one, "ip_address"));
        long long port = json_whole(json_find(one, "port"));
        if (can_connect(address, port))
            continue;
        if (is_good)
            say_fail(command, 0,
                     "Connection to ports of the following listeners on node %s failed: ", node);
        is_good = false;
        fprintf(stderr, "Interface: %.*s, port: %lld\n", BYTES_ARG(address), port);
    }
    list_ports(overview, &ports);
    code = EXIT_UNAVAILABLE;
    if (is_good)
        code = say_result(command, "Successfully connected to ports %.*s on node %s.",
                          BYTES_ARG(buffer_bytes(&ports)), node);
    json_release(overview);
    buffer_free(&ports);
    return code;
}

/* ---- how it is ---- */

int run_server_version(struct command *command)
{
    int code;
    struct json *overview = node_read(command, "GET /overview?columns=rabbitmq_version", &code);
    if (!overview)
        return code;
    printf("%.*s\n", BYTES_ARG(json_text(json_find(overview, "rabbitmq_version"))));
    json_release(overview);
    return EXIT_GOOD;
}
