#include "ctl/usage.h"

#include <string.h>
#include <unistd.h>

#include "ctl/rows.h"
#include "ctl/say.h"
#include "ctl/verbs.h"

const struct usage_option usage_options[] = {
#define OPTION(name, letter, value, text) {name, letter, value, text},
#include "ctl/options.def"
#undef OPTION
};

const size_t usage_option_count = sizeof(usage_options) / sizeof(usage_options[0]);

const struct usage_option *usage_option_find(const char *name, size_t size)
{
    for (size_t i = 0; i < usage_option_count; i++) {
        const struct usage_option *option = &usage_options[i];
        if ((size == 1 && option->letter == name[0]) ||
            (strlen(option->name) == size && memcmp(option->name, name, size) == 0))
            return option;
    }
    return NULL;
}

void usage_print_line(enum tool tool, const struct verb *verb, FILE *out)
{
    bool is_ours = tool == TOOL_LEVERETCTL;
    if (!verb)
        fprintf(out, "%s %s<command> [<command options>]\n", tool_name(tool),
                is_ours ? "[<option> ...] "
                        : "[--node <node>] [--timeout <timeout>] [--longnames] [--quiet] ");
    else
        fprintf(out, "%s %s%s%s%s\n", tool_name(tool),
                is_ours ? "" : "[--node <node>] [--longnames] [--quiet] ", verb->name,
                verb->syntax[0] ? " " : "", verb->syntax);
}

static void heading(enum tool tool, const char *text, const char *end, FILE *out)
{
    bool is_bold = tool != TOOL_LEVERETCTL || isatty(fileno(out));
    fprintf(out, "%s%s%s%s", is_bold ? "\033[1m" : "", text, is_bold ? "\033[0m" : "", end);
}

/* The first sentence, without its full stop. */
static int first_sentence(const char *text)
{
    const char *end = strstr(text, ". ");
    size_t size = end ? (size_t)(end - text) : strlen(text);
    if (!end && size && text[size - 1] == '.')
        size--;
    return (int)size;
}

static int name_width(enum tool tool)
{
    size_t width = 0;
    for (size_t i = 0; i < verb_count; i++)
        if (verb_is_of(&verbs[i], tool) && strlen(verbs[i].name) > width)
            width = strlen(verbs[i].name);
    return (int)width;
}

static void print_group(enum tool tool, enum group group, int width, FILE *out)
{
    bool is_begun = false;
    for (size_t i = 0; i < verb_count; i++) {
        const struct verb *verb = &verbs[i];
        if (verb->group != group || !verb_is_of(verb, tool))
            continue;
        if (!is_begun)
            heading(tool, group_title(group), ":\n\n", out);
        is_begun = true;
        fprintf(out, "   %-*s  %.*s\n", width, verb->name, first_sentence(verb->text), verb->text);
    }
    if (is_begun)
        fprintf(out, "\n");
}

void usage_print_tool(enum tool tool, FILE *out)
{
    int width = name_width(tool);
    fprintf(out, "\n");
    heading(tool, "Usage", "\n\n", out);
    usage_print_line(tool, NULL, out);
    fprintf(out, "\nAvailable commands:\n\n");
    for (int group = 0; group < GROUP_COUNT; group++)
        print_group(tool, (enum group)group, width, out);
    fprintf(out, "Use '%s help <command>' to learn more about a specific command\n",
            tool_name(tool));
}

static void print_options(enum tool tool, FILE *out)
{
    fprintf(out, "\n");
    heading(tool, "General Options", "\n\n", out);
    for (size_t i = 0; i < usage_option_count; i++) {
        const struct usage_option *option = &usage_options[i];
        char left[64];
        if (!option->text)
            continue;
        snprintf(left, sizeof(left), "%c%c%s--%s%s%s", option->letter ? '-' : ' ',
                 option->letter ? option->letter : ' ', option->letter ? ", " : "  ", option->name,
                 option->value ? " " : "", option->value ? option->value : "");
        fprintf(out, "  %-26s %s\n", left, option->text);
    }
}

void usage_print_verb(enum tool tool, const struct verb *verb, FILE *out)
{
    fprintf(out, "\n");
    heading(tool, "Usage", "\n\n", out);
    usage_print_line(tool, verb, out);
    fprintf(out, "\n%s\n", verb->text);
    if (verb->columns) {
        fprintf(out, "\n");
        heading(tool, "Columns", "\n\n", out);
        columns_print_names(verb->columns, out);
    }
    print_options(tool, out);
}

/* ---- verbs ---- */

int run_help(struct command *command)
{
    const char *name = command_argument(command, 0);
    const struct verb *verb = name ? verb_find(command->tool, name) : NULL;
    if (!name)
        usage_print_tool(command->tool, stdout);
    else if (verb)
        usage_print_verb(command->tool, verb, stdout);
    else
        return command_unknown(command, name);
    return EXIT_GOOD;
}

int run_version(struct command *command)
{
    return say_result(command, "%s", PACKAGE_VERSION);
}
