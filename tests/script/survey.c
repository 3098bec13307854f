#include "tests/script/survey.h"

#include <string.h>

/* Words that a broker behind a socket does not know, or that look into it. */
static const char *const memory_words[] = {
    "clock ",  "syncer ", "reader ", "turns ",      "disk ",  "option ", "shutdown",
    "restart", "crash",   "logged ", "not-logged ", "waits",  "reads",   "user ",
    "vhost ",  "permit ", "topics ", "forbid ",     "limit-", "delete-", "trace ",
    "quota-"};

static bool begins_with(const char *text, const char *word)
{
    return strncmp(text, word, strlen(word)) == 0;
}

/* The line without its connection. */
static const char *verb_of(const char *line)
{
    line += strspn(line, " \t");
    if (line[0] == 'c' && line[1] >= '0' && line[1] <= '9' && line[2] == ':')
        line += 3;
    return line + strspn(line, " \t");
}

static bool is_of_policies(const char *verb)
{
    verb += begins_with(verb, "delete-") ? strlen("delete-") : 0;
    return begins_with(verb, "policy ") || begins_with(verb, "operator-policy ");
}

static void note_need(struct survey *survey, const char *verb)
{
    static const char needs[] = "needs memory", plugin[] = "needs plugin: ";
    const char *need = NULL;
    if (is_of_policies(verb)) {
        survey->has_policies = true;
        return;
    }
    for (size_t i = 0; i < sizeof(memory_words) / sizeof(memory_words[0]); i++)
        if (begins_with(verb, memory_words[i]))
            need = verb;
    if ((begins_with(verb, "connect ") || begins_with(verb, "dial ")) && strstr(verb, " remote"))
        need = "remote";
    if (begins_with(verb, needs))
        need = verb + strlen(needs) + strspn(verb + strlen(needs), ",: ");
    if (begins_with(verb, plugin))
        snprintf(survey->plugin, sizeof(survey->plugin), "%.*s",
                 (int)strcspn(verb + strlen(plugin), "\r\n"), verb + strlen(plugin));
    if (need && !survey->memory[0])
        snprintf(survey->memory, sizeof(survey->memory), "%.*s", (int)strcspn(need, "\r\n"), need);
}

/* A value ends at a space outside of quotes. */
static size_t value_size(const char *value)
{
    size_t size = 0;
    bool quoted = false;
    while (value[size] && value[size] != '\n' && (quoted || value[size] != ' '))
        quoted ^= value[size++] == '"';
    return size;
}

/* Names that begin with amq. are the broker's own, and those in variables were made by it. */
static void note_name(struct survey *survey, const char *verb, const char *method,
                      const char *field)
{
    const char *found = strstr(verb, method) ? strstr(verb, field) : NULL;
    if (!begins_with(verb, "send ") || !found || survey->name_count == SURVEY_NAMES)
        return;
    const char *value = found + strlen(field);
    size_t size = value_size(value);
    struct survey_name *name = &survey->names[survey->name_count];
    if (size == 0 || size >= sizeof(name->name) || *value == '$' || begins_with(value, "amq."))
        return;
    snprintf(name->name, sizeof(name->name), "%.*s", (int)size, value);
    name->is_queue = strcmp(field, " queue=") == 0;
    for (size_t i = 0; i < survey->name_count; i++)
        if (survey->names[i].is_queue == name->is_queue &&
            strcmp(survey->names[i].name, name->name) == 0)
            return;
    survey->name_count++;
}

void survey(FILE *file, struct survey *survey)
{
    char line[SURVEY_LINE_SIZE];
    *survey = (struct survey){.memory = ""};
    while (fgets(line, sizeof(line), file)) {
        const char *verb = verb_of(line);
        note_need(survey, verb);
        survey->is_marked |= begins_with(verb, "rabbitmq: differs, because ");
        note_name(survey, verb, " queue.declare", " queue=");
        note_name(survey, verb, " exchange.declare", " exchange=");
    }
    rewind(file);
}
