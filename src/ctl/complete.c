#include "ctl/complete.h"

#include <stdio.h>
#include <stdlib.h>

#include "ctl/exit.h"
#include "ctl/say.h"
#include "ctl/usage.h"
#include "ctl/verbs.h"
#include "definitions/json.h"

enum { NAMES_SECONDS = 1 };

static void offer(const char *begin, const char *text, size_t size)
{
    if (size >= strlen(begin) && strncmp(text, begin, strlen(begin)) == 0)
        printf("%.*s\n", (int)size, text);
}

static void offer_verbs(enum tool tool, const char *begin)
{
    for (size_t i = 0; i < verb_count; i++)
        if (verb_is_of(&verbs[i], tool))
            offer(begin, verbs[i].name, strlen(verbs[i].name));
}

/* The second words of verbs that are written as two. */
static void offer_second_words(enum tool tool, const char *first, const char *begin)
{
    for (size_t i = 0; i < verb_count; i++) {
        const char *rest = strchr(verbs[i].name, '_');
        if (rest && verb_find_two(tool, first, rest + 1) == &verbs[i])
            offer(begin, rest + 1, strlen(rest + 1));
    }
}

static void offer_options(const struct verb *verb, const char *begin)
{
    char name[64];
    for (const char *at = verb->syntax; (at = strstr(at, "--")); at += 2)
        offer(begin, at, strcspn(at, " ]|"));
    for (size_t i = 0; i < usage_option_count; i++)
        if (usage_options[i].text) {
            snprintf(name, sizeof(name), "--%s", usage_options[i].name);
            offer(begin, name, strlen(name));
        }
}

static void offer_columns(const struct verb *verb, const char *begin)
{
    for (const char *at = verb->columns; at && *at;) {
        at += strspn(at, " *");
        offer(begin, at, strcspn(at, "=: "));
        at += strcspn(at, " ");
    }
}

/* ---- names that the broker has ---- */

/* What the argument of that number is called in the syntax; NULL: there is none. */
static const char *argument_at(const char *syntax, size_t number)
{
    for (const char *at = syntax; *at; at++) {
        if (at[0] == '[' && at[1] == '-')
            at += strcspn(at, "]");
        else if (*at == '<' && number-- == 0)
            return at + 1;
        if (*at == '\0')
            break;
    }
    return NULL;
}

/* Where the API lists what an argument of that name stands for. */
static const char *list_of(const char *argument)
{
    static const struct {
        const char *name, *request;
    } lists[] = {{"queue", "GET /queues/{vhost}?columns=name&disable_stats=true"},
                 {"exchange", "GET /exchanges/{vhost}?columns=name"},
                 {"username", "GET /users?columns=name"},
                 {"vhost", "GET /vhosts?columns=name"},
                 {"policy", "GET /policies/{vhost}?columns=name"}};
    for (size_t i = 0; argument && i < sizeof(lists) / sizeof(lists[0]); i++)
        if (strncmp(argument, lists[i].name, strlen(lists[i].name)) == 0 &&
            argument[strlen(lists[i].name)] == '>')
            return lists[i].request;
    return NULL;
}

/* Silent: a completion that fails offers nothing. */
static void offer_names(struct command *command, const char *request, const char *begin)
{
    struct buffer path = {0};
    struct reply reply = {0};
    char error[200];
    struct target target = command->client.target;
    client_init(&command->client, &target, NAMES_SECONDS);
    command_expand(command, request + 4, true, &path);
    if (client_call(&command->client, "GET", buffer_bytes(&path), bytes_of(NULL, 0), NULL,
                    &reply) &&
        reply_is_good(&reply)) {
        struct json *list = json_parse(buffer_bytes(&reply.body), error, sizeof(error));
        for (size_t i = 0; i < json_count(list); i++) {
            struct bytes name = json_text(json_find(json_item(list, i), "name"));
            offer(begin, (const char *)name.data, name.size);
        }
        json_release(list);
    }
    buffer_free(&reply.body);
    buffer_free(&path);
}

void complete(struct command *command, const char *const *words, size_t count)
{
    const char *begin = count ? words[count - 1] : "";
    const char *first = NULL; /* a word that is no verb by itself */
    const struct verb *verb = NULL;
    size_t number = 0;
    for (size_t i = 0; i + 1 < count; i++) {
        if (words[i][0] == '-')
            continue;
        number += verb != NULL;
        if (!verb && first)
            verb = verb_find_two(command->tool, first, words[i]);
        else if (!verb && !(verb = verb_find(command->tool, words[i])))
            first = words[i];
    }
    if (!verb && first) {
        offer_second_words(command->tool, first, begin);
        return;
    }
    if (!verb) {
        offer_verbs(command->tool, begin);
        return;
    }
    if (begin[0] == '-') {
        offer_options(verb, begin);
        return;
    }
    const char *request = list_of(argument_at(verb->syntax, number));
    if (request)
        offer_names(command, request, begin);
    else
        offer_columns(verb, begin);
}

/* ---- verbs ---- */

int run_autocomplete(struct command *command)
{
    complete(command, command->arguments, command->argument_count);
    return EXIT_GOOD;
}

int run_completion(struct command *command)
{
    const char *shell = command_argument(command, 0);
    const char *name = tool_name(command->tool);
    if (strcmp(shell, "bash") == 0)
        printf("_leveretctl() {\n"
               "    mapfile -t COMPREPLY < <(\"${COMP_WORDS[0]}\" autocomplete -- "
               "\"${COMP_WORDS[@]:1:COMP_CWORD}\" 2>/dev/null)\n"
               "}\n"
               "complete -o default -F _leveretctl %s\n",
               name);
    else if (strcmp(shell, "zsh") == 0)
        printf("#compdef %s\n"
               "compadd -- ${(f)\"$($words[1] autocomplete -- \"${(@)words[2,CURRENT]}\" "
               "2>/dev/null)\"}\n",
               name);
    else if (strcmp(shell, "fish") == 0)
        printf("complete -c %s -f -a '(%s autocomplete -- (commandline -opc)[2..] "
               "(commandline -ct) 2>/dev/null)'\n",
               name, name);
    else
        return say_usage(command, "there is completion for bash, zsh and fish, and not for '%s'",
                         shell);
    return EXIT_GOOD;
}
