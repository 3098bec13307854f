/* What is gone when it was deleted: whoever sits at a terminal is asked first, and told how much it is. */
#include <time.h>

#include "ctl/nodes.h"
#include "ctl/say.h"
#include "ctl/verbs.h"

static long long sum_of(const struct json *list, const char *member)
{
    long long sum = 0;
    for (size_t i = 0; i < json_count(list); i++)
        sum += json_whole(json_find(json_item(list, i), member));
    return sum;
}

int run_purge_queue(struct command *command)
{
    int code;
    if (!say_asks(command))
        return run_do(command);
    struct json *queue = node_read(command, "GET /queues/{vhost}/{1}", &code);
    if (!queue)
        return code;
    long long ready = json_whole(json_find(queue, "messages_ready"));
    json_release(queue);
    bool may = say_confirm(command, "Delete the %lld messages that wait in '%s'?", ready,
                           command->arguments[0]);
    return may ? run_do(command) : EXIT_GOOD;
}

int run_delete_vhost(struct command *command)
{
    struct json *queues, *connections = NULL;
    bool may = false;
    int code;
    if (!say_asks(command))
        return run_do(command);
    queues = node_read(command, "GET /queues/{1}?columns=messages&disable_stats=true&"
                                "enable_queue_totals=true", &code);
    if (queues)
        connections = node_read(command, "GET /vhosts/{1}/connections?columns=name", &code);
    if (connections)
        may = say_confirm(command,
                          "Delete virtual host '%s', with %zu queues, %lld messages and %zu "
                          "connections?",
                          command->arguments[0], json_count(queues), sum_of(queues, "messages"),
                          json_count(connections));
    json_release(queues);
    json_release(connections);
    return may ? run_do(command) : code;
}

int run_delete_user(struct command *command)
{
    struct json *permissions, *connections = NULL;
    bool may = false;
    int code;
    if (!say_asks(command))
        return run_do(command);
    permissions = node_read(command, "GET /users/{1}/permissions", &code);
    if (permissions)
        connections = node_read(command, "GET /connections/username/{1}", &code);
    if (connections)
        may = say_confirm(command,
                          "Delete user '%s', who has permissions in %zu virtual hosts and %zu "
                          "connections?",
                          command->arguments[0], json_count(permissions), json_count(connections));
    json_release(permissions);
    json_release(connections);
    return may ? run_do(command) : code;
}

/* ---- all of it ---- */

enum { LOOK_MS = 50, UPTIME_NONE = -1 };

/* Milliseconds; UPTIME_NONE: nobody answers. An operator who is not known any more may hear of none, but the broker
 * that says so has begun anew: 0. */
static long long uptime_of(struct command *command, double ms)
{
    struct reply reply;
    char error[200];
    long long uptime = UPTIME_NONE;
    node_ask_anew(command, "/nodes?columns=uptime", ms, &reply);
    if (reply.status == 401) {
        uptime = 0;
    } else if (reply.status == 200) {
        struct json *nodes = json_parse(buffer_bytes(&reply.body), error, sizeof(error));
        uptime = json_whole(json_find(json_item(nodes, 0), "uptime"));
        json_release(nodes);
    }
    buffer_free(&reply.body);
    return uptime;
}

/* One that has been up for longer than that has not been reset yet. */
static int await_reset(struct command *command)
{
    double left_ms = node_patience_ms(command, 60);
    struct timespec begun, now, pause = {0, LOOK_MS * 1000000L};
    long long passed_ms = 0, uptime;
    clock_gettime(CLOCK_MONOTONIC, &begun);
    while (left_ms > (double)passed_ms) {
        nanosleep(&pause, NULL);
        uptime = uptime_of(command, left_ms - (double)passed_ms);
        clock_gettime(CLOCK_MONOTONIC, &now);
        passed_ms = (now.tv_sec - begun.tv_sec) * 1000LL + (now.tv_nsec - begun.tv_nsec) / 1000000;
        if (uptime != UPTIME_NONE && uptime <= passed_ms)
            return say_done(command);
    }
    return say_fail(command, EXIT_TIMEOUT, "the broker has not begun anew in time");
}

static bool confirm_reset(struct command *command, int *code)
{
    if (!say_asks(command))
        return true;
    if (command_node(command) && command->is_stopped) /* which tells no counts */
        return say_confirm(command, "Delete all that the broker at %s has?", command->client.target.name);
    struct json *overview = node_read(command, "GET /overview", code);
    const struct json *objects = json_find(overview, "object_totals");
    long long queues = json_whole(json_find(objects, "queues"));
    long long connections = json_whole(json_find(objects, "connections"));
    long long messages = json_whole(json_find(json_find(overview, "queue_totals"), "messages"));
    bool may = overview && say_confirm(command,
                                       "Delete all that the broker at %s has, with %lld queues, %lld messages and %lld "
                                       "connections?",
                                       command->client.target.name, queues, messages, connections);
    json_release(overview);
    return may;
}

int run_reset(struct command *command)
{
    struct reply reply;
    int code = EXIT_GOOD;
    if (!confirm_reset(command, &code))
        return code;
    code = command_call(command, command->verb->request, bytes_of(NULL, 0), &reply);
    if (code == EXIT_GOOD && !reply_is_good(&reply))
        code = command_refused(command, &reply);
    else if (code == EXIT_GOOD)
        code = reply.status ? await_reset(command) : say_done(command);
    buffer_free(&reply.body);
    return code;
}
