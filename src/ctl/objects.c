/* What else has a name: policies, parameters and queues; and verbs that are one request and no more. */
#include <stdio.h>
#include <stdlib.h>

#include "ctl/nodes.h"
#include "ctl/request.h"
#include "ctl/say.h"
#include "ctl/verbs.h"

int run_do(struct command *command)
{
    struct buffer none = {0};
    return request_send(command, command->verb->request, &none);
}

int run_rotate_logs(struct command *command)
{
    if (!command_is_ours(command))
        return say_fail(command, EXIT_UNAVAILABLE,
                        "This command does not rotate logs anymore [deprecated]");
    return run_do(command);
}

/* ---- policies and parameters ---- */

static void add_raw(struct json_writer *writer, const char *name, const char *json)
{
    json_name(writer, bytes_str(name));
    buffer_add(writer->out, json, strlen(json));
    writer->state = JSON_AFTER_VALUE;
}

int run_set_policy(struct command *command)
{
    struct buffer body = {0};
    struct json_writer writer = json_writer_of(&body);
    const char *priority = command_option(command, "priority");
    const char *apply_to = command_option(command, "apply-to");
    if (!request_is_json(command->arguments[2]))
        return request_refuse_json(command, command->arguments[2]);
    if (priority && (!*priority || strspn(priority, "-0123456789") != strlen(priority)))
        return say_usage(command, "Invalid options for this command:\n--priority : %s", priority);
    json_open(&writer, '{');
    json_add_text(&writer, "pattern", bytes_str(command->arguments[1]));
    add_raw(&writer, "definition", command->arguments[2]);
    json_add_whole(&writer, "priority", priority ? strtoll(priority, NULL, 10) : 0);
    json_add_text(&writer, "apply-to", bytes_str(apply_to ? apply_to : "all"));
    json_close(&writer, '}');
    return request_send(command, command->verb->request, &body);
}

int run_set_parameter(struct command *command)
{
    struct buffer body = {0};
    struct json_writer writer = json_writer_of(&body);
    const char *value = command->arguments[command->argument_count - 1];
    if (!request_is_json(value))
        return request_refuse_json(command, value);
    json_open(&writer, '{');
    add_raw(&writer, "value", value);
    json_close(&writer, '}');
    return request_send(command, command->verb->request, &body);
}

int run_set_cluster_name(struct command *command)
{
    struct buffer body = {0};
    struct json_writer writer = json_writer_of(&body);
    json_open(&writer, '{');
    json_add_text(&writer, "name", bytes_str(command->arguments[0]));
    json_close(&writer, '}');
    return request_send(command, command->verb->request, &body);
}

/* ---- queues ---- */

static int say_queue_kept(struct command *command, const struct reply *reply)
{
    char reason[2048];
    reply_reason(reply, reason, sizeof(reason));
    if (reply->status != 400)
        return command_refused(command, reply);
    if (strstr(reason, "not empty"))
        return say_fail(command, EXIT_USAGE, "Queue is not empty");
    if (strstr(reason, "in use"))
        return say_fail(command, EXIT_USAGE, "Queue is in use");
    return say_fail(command, EXIT_USAGE, "%s", reason);
}

int run_delete_queue(struct command *command)
{
    int code;
    struct reply reply;
    struct json *queue = node_read(command, "GET /queues/{vhost}/{1}", &code);
    if (!queue)
        return code;
    long long ready = json_whole(json_find(queue, "messages_ready"));
    long long consumers = json_whole(json_find(queue, "consumers"));
    json_release(queue);
    if (!say_confirm(command, "Delete '%s', with %lld ready messages and %lld consumers?",
                     command->arguments[0], ready, consumers))
        return EXIT_GOOD;
    const char *request = command->verb->request;
    if (command_has(command, "if-empty") || command_has(command, "if-unused"))
        request = command_has(command, "if-empty")
                      ? (command_has(command, "if-unused")
                             ? "DELETE /queues/{vhost}/{1}?if-empty=true&if-unused=true"
                             : "DELETE /queues/{vhost}/{1}?if-empty=true")
                      : "DELETE /queues/{vhost}/{1}?if-unused=true";
    code = command_call(command, request, bytes_of(NULL, 0), &reply);
    if (code == 0 && !reply_is_good(&reply))
        code = say_queue_kept(command, &reply);
    else if (code == 0 && reply.status)
        code =
            say_result(command, "Queue was successfully deleted with %lld ready messages", ready);
    buffer_free(&reply.body);
    return code;
}
