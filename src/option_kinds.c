/* Kinds of which there is one option, or that differ little from numbers and texts. */
#include "option_kinds.h"

#include <string.h>

#include "broker/queue_arguments.h"
#include "options.h"

/* ---- queues ---- */

static bool read_queue_type(const struct option *option, void *fields, const char *text,
                            const char **why)
{
    struct options *options = fields;
    (void)option;
    *why = strcmp(text, "stream") == 0 ? "there are no streams" : NULL;
    options->broker.queue_type = text;
    return queue_arguments_is_default_type(bytes_str(text));
}

static void write_queue_type(const struct option *option, const void *fields, char *text,
                             size_t size)
{
    const struct options *options = fields;
    (void)option;
    snprintf(text, size, "%s", options->broker.queue_type);
}

const struct option_kind queue_type_kind = {
    .read = read_queue_type, .write = write_queue_type, .wanted = "classic or quorum"};

/* ---- others ---- */

static bool read_set(const struct option *option, void *fields, const char *text, const char **why)
{
    struct options *options = fields;
    (void)option;
    *why = options->sets_count < OPTIONS_SETS_MAX ? NULL : "there are too many";
    if (!*why)
        options->sets[options->sets_count++] = text;
    return !*why;
}

static void clear_set(const struct option *option, void *fields)
{
    struct options *options = fields;
    (void)option;
    options->sets_count = 0;
}

const struct option_kind set_kind = {.read = read_set, .wanted = "KEY=VALUE", .clear = clear_set};

static bool read_unlimited(const struct option *option, void *fields, const char *text,
                           const char **why)
{
    return option_number.read(option, fields, strcmp(text, "infinity") == 0 ? "0" : text, why);
}

static void describe_unlimited(const struct option *option, char *text, size_t size)
{
    char number[100];
    option_describe_number(option, number, sizeof(number));
    snprintf(text, size, "%s, or infinity", number);
}

const struct option_kind unlimited_kind = {
    .read = read_unlimited, .write = option_write_number, .describe = describe_unlimited};

static bool read_highest(const struct option *option, void *fields, const char *text,
                         const char **why)
{
    if (strcmp(text, "0") == 0)
        return option_put_number(option, fields, option->max);
    return option_number.read(option, fields, text, why);
}

const struct option_kind highest_kind = {
    .read = read_highest, .write = option_write_number, .describe = option_describe_number};

static bool read_only(const struct option *option, void *fields, const char *text, const char **why)
{
    (void)fields;
    *why = option->help;
    return strcmp(text, option->example) == 0;
}

static void write_only(const struct option *option, const void *fields, char *text, size_t size)
{
    (void)fields;
    snprintf(text, size, "%s", option->example);
}

static void describe_only(const struct option *option, char *text, size_t size)
{
    snprintf(text, size, "%s", option->example);
}

const struct option_kind only_kind = {
    .read = read_only, .write = write_only, .describe = describe_only};

static bool read_idle(const struct option *option, void *fields, const char *text, const char **why)
{
    (void)option, (void)fields, (void)text, (void)why;
    return true;
}

const struct option_kind idle_kind = {.read = read_idle, .wanted = "anything"};
