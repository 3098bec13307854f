#include "ctl/say.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "ctl/usage.h"
#include "ctl/verbs.h"

static bool is_json(const struct command *command)
{
    return command->format == FORMAT_JSON || command->format == FORMAT_JSON_LINES;
}

/* An object of texts; a member without a value is left out. */
static void print_json(FILE *file, const char *const *names, const char *const *values,
                       size_t count)
{
    struct buffer out = {0};
    struct json_writer writer = json_writer_of(&out);
    writer.mends = true;
    json_open(&writer, '{');
    for (size_t i = 0; i < count; i++)
        if (values[i])
            json_add_text(&writer, names[i], bytes_str(values[i]));
    json_close(&writer, '}');
    fprintf(file, "%.*s\n", BYTES_ARG(buffer_bytes(&out)));
    buffer_free(&out);
}

static void print_failure(struct command *command, const char *text)
{
    static const char *const names[] = {"message", "node", "result"};
    const char *node = command->node[0] ? command->node : NULL;
    if (is_json(command) && !command_is_ours(command))
        print_json(stderr, names, (const char *[]){text, node, "error"}, 3);
    else if (command_is_ours(command))
        fprintf(stderr, "%s: %s\n", tool_name(command->tool), text);
    else
        fprintf(stderr, "Error:\n%s\n", text);
}

int say_fail(struct command *command, int code, const char *format, ...)
{
    char text[4096];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof(text), format, list);
    va_end(list);
    print_failure(command, text);
    return code;
}

int say_plain(struct command *command, int code, const char *format, ...)
{
    char text[4096];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof(text), format, list);
    va_end(list);
    if (command_is_ours(command))
        print_failure(command, text);
    else
        fprintf(stderr, "%s\n", text);
    return code;
}

/* What was written, and how it should be. */
static void print_usage(const struct command *command)
{
    fprintf(stderr, "Arguments given:\n\t");
    for (int i = 0; i < command->count; i++)
        fprintf(stderr, "%s%s", i ? " " : "", command->words[i]);
    fprintf(stderr, "\n\n\033[1mUsage\033[0m\n\n");
    usage_print_line(command->tool, command->verb, stderr);
}

int say_usage(struct command *command, const char *format, ...)
{
    char text[4096];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof(text), format, list);
    va_end(list);
    if (command_is_ours(command)) {
        fprintf(stderr, "%s: %s\nusage: ", tool_name(command->tool), text);
        usage_print_line(command->tool, command->verb, stderr);
        fprintf(stderr, "'%s help %s' says more.\n", tool_name(command->tool),
                command->verb ? command->verb->name : "");
        return EXIT_USAGE;
    }
    fprintf(stderr, "Error (argument validation): %s\n", text);
    print_usage(command);
    return EXIT_USAGE;
}

int say_stopped(struct command *command)
{
    fprintf(stderr, "Error: this command requires the 'rabbit' app to be running on the target node. Start it with "
                    "'rabbitmqctl start_app'.\n");
    print_usage(command);
    return EXIT_USAGE;
}

int say_result(struct command *command, const char *format, ...)
{
    static const char *const names[] = {"message"};
    char text[4096];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof(text), format, list);
    va_end(list);
    if (is_json(command))
        print_json(stdout, names, (const char *[]){text}, 1);
    else
        printf("%s\n", text);
    return EXIT_GOOD;
}

int say_truth(struct command *command, bool is_so, const char *words)
{
    struct buffer out = {0};
    struct json_writer writer = json_writer_of(&out);
    if (!is_json(command))
        return say_result(command, "%s", words);
    writer.mends = true;
    json_open(&writer, '{');
    json_add_text(&writer, "message", bytes_str(words));
    json_add_flag(&writer, "result", is_so);
    json_close(&writer, '}');
    printf("%.*s\n", BYTES_ARG(buffer_bytes(&out)));
    buffer_free(&out);
    return EXIT_GOOD;
}

int say_done(struct command *command)
{
    static const char *const names[] = {"node", "result"};
    const char *node = is_json(command) ? command_node(command) : NULL;
    if (is_json(command))
        print_json(stdout, names, (const char *[]){node, "ok"}, 2);
    return EXIT_GOOD;
}

/* ---- no answer ---- */

static int say_late(struct command *command)
{
    const char *node = command->node[0] ? command->node : command->client.target.name;
    const char *timeout = command_option(command, "timeout");
    if (command_is_ours(command))
        return say_fail(command, EXIT_TIMEOUT,
                        "%s did not answer in time; --timeout SECONDS gives it longer",
                        command->client.target.name);
    return say_plain(command, EXIT_TIMEOUT,
                     "Error: operation %s on node %s timed out. Timeout value used: %s",
                     command->verb->name, node, timeout ? timeout : "60000");
}

static int say_absent(struct command *command, const char *node)
{
    fprintf(stderr,
            "Error: unable to perform an operation on node '%s'. Please see diagnostics "
            "information and suggestions below.\n\n"
            "Most common reasons for this are:\n\n"
            " * The broker is not running\n"
            " * Its control socket is elsewhere (see --uri and --data-dir)\n"
            " * This user may not use the socket (root, the broker's user and the group "
            "leveret-admin may)\n\n"
            "DIAGNOSTICS\n===========\n\nattempted to contact: [%s]\n\n%s:\n  * %s\n",
            node, node, command->client.target.name, command->client.error);
    return EXIT_UNAVAILABLE;
}

int say_unreachable(struct command *command)
{
    const struct client *client = &command->client;
    const char *node = command_option(command, "node");
    if (client->trouble == CLIENT_TOO_LATE)
        return say_late(command);
    if (!command_is_ours(command))
        return say_absent(command, node ? node : client->target.name);
    return say_fail(command, EXIT_UNAVAILABLE,
                    "no broker answers at %s: %s; is it running? --uri and --data-dir name "
                    "another place",
                    client->target.name, client->error);
}

/* ---- around the result ---- */

static bool has_banner(const struct command *command)
{
    const char *first = command_argument(command, 0);
    bool is_mixed = command->verb->run == run_export && first && strcmp(first, "-") == 0;
    return !is_mixed && !command_has(command, "quiet") && !command_has(command, "silent") &&
           (command->format == FORMAT_TABLE || command->format == FORMAT_PRETTY);
}

bool say_banner(struct command *command)
{
    struct buffer text = {0};
    if (!command->verb->banner || !has_banner(command) ||
        (command_is_ours(command) && !isatty(STDERR_FILENO)))
        return true;
    bool is_there = command_expand(command, command->verb->banner, false, &text);
    if (is_there)
        fprintf(command_is_ours(command) ? stderr : stdout, "%.*s\n",
                BYTES_ARG(buffer_bytes(&text)));
    fflush(stdout);
    buffer_free(&text);
    return is_there;
}

void say_note(const struct command *command, const char *format, ...)
{
    va_list list;
    if (!has_banner(command) || (command_is_ours(command) && !isatty(STDERR_FILENO)))
        return;
    va_start(list, format);
    vfprintf(command_is_ours(command) ? stderr : stdout, format, list);
    va_end(list);
    fprintf(command_is_ours(command) ? stderr : stdout, "\n");
    fflush(stdout);
}

void say_remark(const struct command *command, struct bytes text)
{
    if (!command_has(command, "quiet") && !command_has(command, "silent"))
        fprintf(stderr, "Note: %.*s\n", BYTES_ARG(text));
}

bool say_asks(const struct command *command)
{
    return command_is_ours(command) && !command_has(command, "yes") &&
           !command_has(command, "dry-run") && isatty(STDIN_FILENO);
}

bool say_confirm(struct command *command, const char *format, ...)
{
    char answer[16];
    va_list list;
    if (!say_asks(command))
        return true;
    va_start(list, format);
    vfprintf(stderr, format, list);
    va_end(list);
    fprintf(stderr, " [y/N] ");
    return fgets(answer, sizeof(answer), stdin) && (answer[0] == 'y' || answer[0] == 'Y');
}

void say_heading(const struct command *command, const char *text)
{
    bool is_bold = !command_is_ours(command) || command->is_terminal;
    printf("%s%s%s\n\n", is_bold ? "\033[1m" : "", text, is_bold ? "\033[0m" : "");
}
