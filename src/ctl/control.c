/* What is set while the broker runs, and shown of it: levels, watermarks, and the report of all. */
#include <stdio.h>
#include <stdlib.h>

#include "base/options.h"
#include "ctl/nodes.h"
#include "ctl/say.h"
#include "ctl/verbs.h"

/* Puts an object with one text; the code to end with. */
static int put_text(struct command *command, const char *request, const char *name,
                    const char *value)
{
    struct buffer body = {0};
    struct json_writer writer = json_writer_of(&body);
    struct reply reply;
    json_open(&writer, '{');
    json_add_text(&writer, name, bytes_str(value));
    json_close(&writer, '}');
    int code = command_call(command, request, buffer_bytes(&body), &reply);
    if (code == 0)
        code = reply_is_good(&reply) ? say_done(command) : command_refused(command, &reply);
    buffer_free(&reply.body);
    buffer_free(&body);
    return code;
}

/* Lets a key of the configuration have that value. */
static int set_key(struct command *command, const char *key, const char *value)
{
    char request[128];
    snprintf(request, sizeof(request), "PUT /configuration/%s", key);
    return put_text(command, request, "value", value);
}

/* ---- levels ---- */

static bool is_level(const char *name)
{
    static const char *const levels[] = {"debug", "info",     "notice", "warning",
                                         "error", "critical", "none"};
    for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++)
        if (strcmp(name, levels[i]) == 0)
            return true;
    return false;
}

int run_set_log_level(struct command *command)
{
    const char *name = command->arguments[0];
    if (!is_level(name))
        return say_fail(command, EXIT_UNAVAILABLE,
                        "level %s is not supported. Try one of debug, info, warning, error, "
                        "critical, none",
                        name);
    say_note(command, "Setting log level to \"%s\" ...", name);
    return put_text(command, "PUT /log/level", "level", name);
}

/* ---- the configuration, read again ---- */

int run_reload(struct command *command)
{
    struct reply reply;
    char error[200];
    int code = command_call(command, command->verb->request, bytes_of(NULL, 0), &reply);
    if (code == 0 && !reply_is_good(&reply)) {
        code = command_refused(command, &reply);
    } else if (code == 0 && !command_has(command, "dry-run")) {
        struct json *told = json_parse(buffer_bytes(&reply.body), error, sizeof(error));
        say_result(command, "%.*s", BYTES_ARG(json_text(json_find(told, "result"))));
        json_release(told);
    }
    buffer_free(&reply.body);
    return code;
}

/* ---- watermarks ---- */

/* "0.5", and nothing behind it. */
static bool is_fraction(const char *text)
{
    char *end;
    strtod(text, &end);
    return end != text && *end == '\0' && strspn(text, "0123456789.") == strlen(text);
}

/* RabbitMQ's tools end with another code when a value makes no sense. */
static int refuse_value(struct command *command, const char *value, const char *why)
{
    if (command_is_ours(command))
        say_usage(command, "'%s': %s", value, why);
    else if (strcmp(why, "fraction") == 0)
        say_usage(command, "Bad argument: The threshold should be a fraction between 0.0 and 1.0");
    else
        say_usage(command, "Bad argument.");
    return EXIT_DATA;
}

int run_set_memory_watermark(struct command *command)
{
    const char *first = command->arguments[0], *second = command_argument(command, 1);
    uint64_t bytes;
    if (!command_node(command))
        return EXIT_UNAVAILABLE;
    if (strcmp(first, "absolute") != 0) {
        if (second)
            return say_usage(command, "too many arguments.");
        if (!is_fraction(first) || strtod(first, NULL) > 1)
            return refuse_value(command, first, is_fraction(first) ? "fraction" : "no number");
        say_note(command, "Setting memory threshold on %s to %s ...", command->node, first);
        return set_key(command, "vm_memory_high_watermark.relative", first);
    }
    if (!second)
        return say_usage(command, "not enough arguments.");
    if (!size_read(second, &bytes))
        return refuse_value(command, second,
                            "no size in bytes, which may end with MB, MiB and so on");
    say_note(command, "Setting memory threshold on %s to %s bytes ...", command->node, second);
    return set_key(command, "vm_memory_high_watermark.absolute", second);
}

int run_set_disk_limit(struct command *command)
{
    const char *first = command->arguments[0], *second = command_argument(command, 1);
    uint64_t bytes;
    if (!command_node(command))
        return EXIT_UNAVAILABLE;
    if (strcmp(first, "mem_relative") != 0) {
        if (second)
            return say_usage(command, "too many arguments.");
        if (!size_read(first, &bytes))
            return refuse_value(command, first,
                                "no size in bytes, which may end with MB, MiB and so on");
        say_note(command, "Setting disk free limit on %s to %s bytes ...", command->node, first);
        return set_key(command, "disk_free_limit.absolute", first);
    }
    if (!second)
        return say_usage(command, "not enough arguments.");
    if (!is_fraction(second))
        return refuse_value(command, second, "no number");
    say_note(command, "Setting disk free limit on %s to %s times the total RAM ...", command->node,
             second);
    return set_key(command, "disk_free_limit.relative", second);
}

/* ---- the report ---- */

/* All of it is shown; the first code that is not 0 is the report's. */
int run_report(struct command *command)
{
    static const char *const names[] = {
        "status",           "cluster_status",         "environment",
        "list_connections", "list_channels",          "list_queues",
        "list_exchanges",   "list_bindings",          "list_permissions",
        "list_policies",    "list_global_parameters", "list_parameters"};
    const struct verb *own = command->verb;
    int code = 0;
    if (!command_node(command))
        return EXIT_UNAVAILABLE;
    say_note(command, "Reporting server status of node %s ...\n", command->node);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        command->verb = verb_find(TOOL_LEVERETCTL, names[i]);
        int one = say_banner(command) ? command->verb->run(command) : EXIT_UNAVAILABLE;
        code = code ? code : one;
        printf("\n");
    }
    command->verb = own;
    return code;
}
