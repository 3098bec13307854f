#include "tests/script/policies.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "amqp/text.h"
#include "broker/policy.h"
#include "definitions/json_table.h"

/* NAME PATTERN APPLY-TO PRIORITY {DEFINITION} */
struct words {
    bool is_operator, is_deleted;
    char *name, *pattern, *apply_to, *priority;
    struct bytes definition;
};

/* ---- RabbitMQ ---- */

enum { ARGUMENTS_MAX = 32 };

/* Runs it with more arguments, up to a NULL. */
static bool call(const struct run *run, const char *const *more)
{
    char command[LINE_SIZE], *arguments[ARGUMENTS_MAX + 1] = {NULL}, *line = command;
    int count = 0, status = -1;
    snprintf(command, sizeof(command), "%s", run->control);
    for (char *word = run_word(&line); *word && count < ARGUMENTS_MAX; word = run_word(&line))
        arguments[count++] = word;
    for (; *more && count < ARGUMENTS_MAX; more++)
        arguments[count++] = (char *)(uintptr_t)*more;
    pid_t child = fork();
    if (child == 0) {
        dup2(2, 1);
        execvp(arguments[0], arguments);
        _exit(127);
    }
    return child > 0 && waitpid(child, &status, 0) == child && status == 0;
}

static bool tell(struct run *run, const struct words *words)
{
    struct buffer json = {0};
    struct json_writer writer = json_writer_of(&json);
    json_put_table(&writer, words->definition);
    buffer_add_u8(&json, 0);
    const char *const set[] = {words->is_operator ? "set_operator_policy" : "set_policy",
                               "--priority",
                               words->priority,
                               "--apply-to",
                               words->apply_to,
                               words->name,
                               words->pattern,
                               (const char *)json.data,
                               NULL};
    const char *const clear[] = {words->is_operator ? "clear_operator_policy" : "clear_policy",
                                 words->name, NULL};
    bool done = call(run, words->is_deleted ? clear : set);
    buffer_free(&json);
    return done;
}

/* ---- both ---- */

static bool change(struct run *run, const struct words *words, struct error *error)
{
    struct bytes vhost = bytes_str("/"), name = bytes_str(words->name);
    struct policy_request request = {.is_operator = words->is_operator,
                                     .vhost = vhost,
                                     .name = name,
                                     .pattern = bytes_str(words->pattern),
                                     .apply_to = bytes_str(words->apply_to),
                                     .priority = strtoll(words->priority, NULL, 10),
                                     .definition = words->definition};
    return words->is_deleted
               ? policy_delete(&run->world.broker, words->is_operator, vhost, name, error)
               : policy_set(&run->world.broker, &request, error);
}

static struct policy_left *find_left(struct run *run, const struct words *words)
{
    struct policy_left *free = NULL;
    for (size_t i = 0; i < POLICIES_MAX; i++) {
        struct policy_left *left = &run->policies[i];
        if (left->is_operator == words->is_operator && strcmp(left->name, words->name) == 0)
            return left;
        if (!left->name[0])
            free = left;
    }
    return free;
}

static void note(struct run *run, const struct words *words)
{
    struct policy_left *left = find_left(run, words);
    if (!left) {
        run_fault(run, "more than %d policies", POLICIES_MAX);
        return;
    }
    left->is_operator = words->is_operator;
    snprintf(left->name, sizeof(left->name), "%s", words->is_deleted ? "" : words->name);
}

void policies_clean(struct run *run)
{
    for (size_t i = 0; i < POLICIES_MAX; i++) {
        struct words words = {.is_operator = run->policies[i].is_operator,
                              .is_deleted = true,
                              .name = run->policies[i].name};
        if (words.name[0])
            tell(run, &words);
    }
}

static void change_or_tell(struct run *run, const struct words *words)
{
    struct error error;
    if (run->is_remote) {
        note(run, words);
        if (!tell(run, words))
            run_fault(run, "RabbitMQ refuses the policy");
    } else if (!change(run, words, &error)) {
        run_fault(run, "%u %s", error.code, error.detail);
    }
}

bool policies_line(struct run *run, const char *verb, char *line)
{
    struct buffer memory = {0};
    struct text_given given = {0};
    struct words words = {.is_operator = strstr(verb, "operator-policy"),
                          .is_deleted = strncmp(verb, "delete-", strlen("delete-")) == 0};
    size_t begin =
        (words.is_deleted ? strlen("delete-") : 0) + (words.is_operator ? strlen("operator-") : 0);
    if (strlen(verb) < begin || strcmp(verb + begin, "policy") != 0)
        return false;
    words.name = run_word(&line);
    words.pattern = words.is_deleted ? words.name : run_word(&line);
    words.apply_to = run_word(&line);
    words.priority = run_word(&line);
    if (!words.is_deleted && !text_read_table(bytes_str(line), &memory, &words.definition, &given))
        run_fault(run, "%s", given.error);
    else
        change_or_tell(run, &words);
    buffer_free(&memory);
    return true;
}
