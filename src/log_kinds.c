/* What is logged, how, and where. */
#include <string.h>

#include "net/logs.h"
#include "option_kinds.h"

/* RabbitMQ has more of them. */
static const struct {
    const char *name;
    enum log_level level;
} more_levels[] = {
    {"notice", LOG_LEVEL_INFO},
    {"critical", LOG_LEVEL_ERROR},
    {"alert", LOG_LEVEL_ERROR},
    {"emergency", LOG_LEVEL_ERROR},
};

static bool read_level(const struct option *option, void *fields, const char *text,
                       const char **why)
{
    struct log_choice *choice = option_field(option, fields);
    (void)why;
    choice->is_said = log_level_read(text, &choice->level);
    for (size_t i = 0; i < sizeof(more_levels) / sizeof(more_levels[0]); i++)
        if (strcmp(text, more_levels[i].name) == 0)
            *choice = (struct log_choice){true, more_levels[i].level};
    return choice->is_said;
}

static void write_level(const struct option *option, const void *fields, char *text, size_t size)
{
    const struct log_choice *choice = option_look(option, fields);
    snprintf(text, size, "%s", choice->is_said ? log_level_name(choice->level) : "");
}

const struct option_kind level_kind = {
    .read = read_level, .write = write_level, .wanted = "one of debug, info, warning, error, none"};

static bool read_formatter(const struct option *option, void *fields, const char *text,
                           const char **why)
{
    bool *is_json = option_field(option, fields);
    (void)why;
    *is_json = strcmp(text, "json") == 0;
    return *is_json || strcmp(text, "plaintext") == 0;
}

static void write_formatter(const struct option *option, const void *fields, char *text,
                            size_t size)
{
    const bool *is_json = option_look(option, fields);
    snprintf(text, size, "%s", *is_json ? "json" : "plaintext");
}

const struct option_kind formatter_kind = {
    .read = read_formatter, .write = write_formatter, .wanted = "plaintext or json"};

static bool read_log_file(const struct option *option, void *fields, const char *text,
                          const char **why)
{
    const char **file = option_field(option, fields);
    (void)why;
    bool is_none = strcmp(text, "false") == 0 || strcmp(text, "-") == 0;
    *file = is_none ? NULL : text;
    return *text != '\0';
}

static void write_log_file(const struct option *option, const void *fields, char *text, size_t size)
{
    const char *const *file = option_look(option, fields);
    snprintf(text, size, "%s", *file ? *file : "false");
}

const struct option_kind log_file_kind = {
    .read = read_log_file, .write = write_log_file, .wanted = "the name of a file, or false"};
