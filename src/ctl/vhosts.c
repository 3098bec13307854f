/* Virtual hosts, and limits: theirs, and those of users. */
#include <stdio.h>

#include "ctl/nodes.h"
#include "ctl/request.h"
#include "ctl/say.h"
#include "ctl/verbs.h"

/* ---- virtual hosts ---- */

/* One that is there always runs. */
int run_restart_vhost(struct command *command)
{
    if (request_status(command, "GET /vhosts/{vhost}") == 404)
        return say_fail(command, EXIT_SOFTWARE,
                        "Failed to start vhost '%s' on node '%s'Reason: {:no_such_vhost, \"%s\"}",
                        command_vhost(command), command_node(command), command_vhost(command));
    if (!command_node(command))
        return EXIT_UNAVAILABLE;
    return say_result(command, "Vhost '%s' is already running on node '%s'", command_vhost(command),
                      command->node);
}

int run_add_vhost(struct command *command)
{
    static const char *const options[] = {"description", "tags", "default-queue-type"};
    static const char *const names[] = {"description", "tags", "default_queue_type"};
    struct buffer body = {0};
    struct json_writer writer = json_writer_of(&body);
    json_open(&writer, '{');
    for (size_t i = 0; i < 3; i++) {
        const char *value = command_option(command, options[i]);
        if (value)
            json_add_text(&writer, names[i], bytes_str(value));
    }
    json_close(&writer, '}');
    if (body.size == 2)
        body.size = 0;
    return request_send(command, command->verb->request, &body);
}

/* Puts the virtual host that is at `request` with another value, and the rest as it was. */
static int change_vhost(struct command *command, const char *request, const bool *tracing,
                        const char *const *tags, size_t tag_count)
{
    int code;
    struct buffer body = {0};
    struct json_writer writer = json_writer_of(&body);
    struct json *vhost = node_read(command, request, &code);
    if (!vhost)
        return code;
    json_open(&writer, '{');
    if (json_find(vhost, "description"))
        request_copy(&writer, "description", json_find(vhost, "description"));
    json_add_flag(&writer, "tracing", tracing ? *tracing : json_flag(json_find(vhost, "tracing")));
    if (tags) {
        json_add_open(&writer, "tags", '[');
        for (size_t i = 0; i < tag_count; i++)
            json_put_text(&writer, bytes_str(tags[i]));
        json_close(&writer, ']');
    } else if (json_find(vhost, "tags")) {
        request_copy(&writer, "tags", json_find(vhost, "tags"));
    }
    json_close(&writer, '}');
    json_release(vhost);
    return request_send(command, command->verb->request, &body);
}

/* What is given of it becomes so, and the rest stays. */
int run_update_vhost(struct command *command)
{
    static const char *const options[] = {"description", "tags", "default-queue-type"};
    static const char *const names[] = {"description", "tags", "default_queue_type"};
    struct buffer body = {0};
    struct json_writer writer = json_writer_of(&body);
    int code;
    struct json *vhost = node_read(command, "GET /vhosts/{1}", &code);
    if (!vhost)
        return code;
    json_open(&writer, '{');
    json_add_flag(&writer, "tracing", json_flag(json_find(vhost, "tracing")));
    for (size_t i = 0; i < 3; i++) {
        const char *value = command_option(command, options[i]);
        const struct json *old = json_find(vhost, names[i]);
        if (value)
            json_add_text(&writer, names[i], bytes_str(value));
        else if (old)
            request_copy(&writer, names[i], old);
    }
    json_close(&writer, '}');
    json_release(vhost);
    return request_send(command, command->verb->request, &body);
}

int run_set_vhost_tags(struct command *command)
{
    return change_vhost(command, "GET /vhosts/{1}", NULL, command->arguments + 1,
                        command->argument_count - 1);
}

int run_trace(struct command *command)
{
    bool is_on = strcmp(command->verb->name, "trace_on") == 0;
    int code = change_vhost(command, "GET /vhosts/{vhost}", &is_on, NULL, 0);
    if (code == 0 && command->format == FORMAT_TABLE && !command_has(command, "dry-run"))
        printf("Trace %s for vhost %s\n", is_on ? "enabled" : "disabled", command_vhost(command));
    return code;
}

/* ---- limits ---- */

/* `base` and a limit's name. */
static int put_limit(struct command *command, const char *method, const char *base,
                     struct bytes name, const struct json *value)
{
    struct buffer body = {0};
    struct buffer request = {0};
    struct reply reply;
    struct json_writer writer = json_writer_of(&body);
    if (value) {
        json_open(&writer, '{');
        request_copy(&writer, "value", value);
        json_close(&writer, '}');
    }
    buffer_add(&request, method, strlen(method));
    buffer_add(&request, base, strlen(base));
    buffer_add(&request, name.data, name.size);
    buffer_add_u8(&request, '\0');
    int code = command_call(command, (const char *)request.data, buffer_bytes(&body), &reply);
    if (code == 0 && !reply_is_good(&reply) && (value || reply.status != 404))
        code = command_refused(command, &reply);
    buffer_free(&reply.body);
    buffer_free(&request);
    buffer_free(&body);
    return code;
}

/* Is the verb about a user whom there is not? */
static bool lacks_user(struct command *command)
{
    return strncmp(command->verb->request, "/user", 5) == 0 &&
           request_status(command, "GET /users/{1}") == 404;
}

static const char *const limits_of_users[] = {"max-connections", "max-channels", "max-publish-rate",
                                              "max-publish-bytes-rate", NULL};
static const char *const limits_of_vhosts[] = {"max-connections",  "max-queues",
                                               "max-messages",     "max-message-bytes",
                                               "max-publish-rate", "max-publish-bytes-rate",
                                               NULL};

/* What a virtual host is given is all that it has; as with RabbitMQ, where a user keeps the rest. */
static int clear_others(struct command *command, const struct json *limits)
{
    int code = 0;
    if (strncmp(command->verb->request, "/user", 5) == 0)
        return 0;
    for (const char *const *name = limits_of_vhosts; code == 0 && *name; name++)
        if (!json_find(limits, *name))
            code = put_limit(command, "DELETE ", command->verb->request, bytes_str(*name), NULL);
    return code;
}

int run_limits_set(struct command *command)
{
    char error[200];
    const char *text = command_argument(command, command->argument_count - 1);
    struct json *limits = json_parse(bytes_str(text), error, sizeof(error));
    struct json_walk walk = json_walk_of(limits);
    struct bytes name;
    const struct json *value;
    int code = 0;
    if (json_kind_of(limits) != JSON_IS_OBJECT)
        code = request_refuse_json(command, text);
    else if (lacks_user(command))
        code =
            say_fail(command, EXIT_UNAVAILABLE, "{:no_such_user, \"%s\"}", command->arguments[0]);
    while (code == 0 && json_next(&walk, &name, &value))
        code = put_limit(command, "PUT ", command->verb->request, name, value);
    if (code == 0)
        code = clear_others(command, limits);
    json_release(limits);
    return code ? code : say_done(command);
}

int run_limits_clear(struct command *command)
{
    const char *only = command_argument(command, 1);
    const char *const *names =
        strncmp(command->verb->request, "/user", 5) == 0 ? limits_of_users : limits_of_vhosts;
    int code = 0;
    if (lacks_user(command))
        return say_fail(command, EXIT_NO_USER, "User \"%s\" does not exist", command->arguments[0]);
    for (size_t i = 0; names[i] && code == 0; i++)
        if (!only || strcmp(only, "all") == 0 || strcmp(only, names[i]) == 0)
            code = put_limit(command, "DELETE ", command->verb->request, bytes_str(names[i]), NULL);
    return code ? code : say_done(command);
}
