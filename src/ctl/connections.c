/* Connections, which are closed. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "ctl/nodes.h"
#include "ctl/say.h"
#include "ctl/term.h"
#include "ctl/verbs.h"

static int close_named(struct command *command, struct bytes name, const char *reason)
{
    struct buffer request = {0};
    struct reply reply;
    char escaped[8];
    buffer_add(&request, "DELETE /connections/", 20);
    for (size_t i = 0; i < name.size; i++) {
        snprintf(escaped, sizeof(escaped), "%%%02X", name.data[i]);
        buffer_add(&request, escaped, 3);
    }
    buffer_add_u8(&request, '\0');
    int code =
        command_call_with(command, (const char *)request.data, bytes_of(NULL, 0), reason, &reply);
    if (code == 0 && !reply_is_good(&reply) && reply.status != 404)
        code = command_refused(command, &reply);
    buffer_free(&reply.body);
    buffer_free(&request);
    return code;
}

static bool is_named(struct command *command, struct bytes name, const char *wanted)
{
    struct buffer token = {0};
    term_token(command->node, name, &token);
    bool is_it = bytes_equal_str(name, wanted) || bytes_equal_str(buffer_bytes(&token), wanted);
    buffer_free(&token);
    return is_it;
}

int run_close_connection(struct command *command)
{
    int code;
    const char *wanted = command->arguments[0];
    bool is_known = false;
    if (!command_node(command))
        return EXIT_UNAVAILABLE;
    struct json *list = node_read(command, "GET /connections?columns=name", &code);
    for (size_t i = 0; i < json_count(list) && code == 0; i++) {
        struct bytes name = json_text(json_find(json_item(list, i), "name"));
        if (is_named(command, name, wanted)) {
            is_known = true;
            code = close_named(command, name, command->arguments[1]);
        }
    }
    json_release(list);
    if (code)
        return code;
    if (!is_known && (wanted[0] != '<' || command_is_ours(command)))
        return say_fail(command, EXIT_UNAVAILABLE, "there is no connection '%s'", wanted);
    return say_done(command);
}

/* Is it one that the verb is about? */
static bool is_meant(const struct command *command, const struct json *connection)
{
    if (strcmp(command->verb->name, "close_all_user_connections") == 0)
        return bytes_equal_str(json_text(json_find(connection, "user")), command->arguments[0]);
    return command_has(command, "global") ||
           bytes_equal_str(json_text(json_find(connection, "vhost")), command_vhost(command));
}

int run_close_connections(struct command *command)
{
    int code;
    const char *limit_text = command_option(command, "limit");
    const char *delay_text = command_option(command, "per-connection-delay");
    long long limit = limit_text ? strtoll(limit_text, NULL, 10) : 0;
    long long delay = delay_text ? strtoll(delay_text, NULL, 10) : 0;
    struct timespec pause = {(time_t)(delay / 1000), (long)(delay % 1000) * 1000000};
    const char *reason = command->arguments[command->argument_count - 1];
    long long closed = 0;
    struct json *list = node_read(command, "GET /connections?columns=name,user,vhost", &code);
    for (size_t i = 0; i < json_count(list) && code == 0; i++) {
        const struct json *one = json_item(list, i);
        if (!is_meant(command, one) || (limit > 0 && closed >= limit))
            continue;
        if (closed++ && delay > 0)
            nanosleep(&pause, NULL);
        code = close_named(command, json_text(json_find(one, "name")), reason);
    }
    json_release(list);
    if (code)
        return code;
    bool is_told = command_is_ours(command) || command->argument_count == 1;
    return is_told ? say_result(command, "Closed %lld connections", closed) : say_done(command);
}
