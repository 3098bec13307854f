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

/* Where the API lists what an argument or an option of that name stands for. */
static const char *list_of(const char *argument)
{
    static const char queues[] = "/queues/{vhost}?columns=name&disable_stats=true&";
    static const struct {
        const char *name, *request;
    } lists[] = {{"queue", queues},
                 {"destination", queues},
                 {"exchange", "/exchanges/{vhost}?columns=name&"},
                 {"username", "/users?columns=name"},
                 {"user", "/users?columns=name"},
                 {"vhost", "/vhosts?columns=name&"},
                 {"connection", "/connections?columns=name&"},
                 {"policy", "/policies/{vhost}?columns=name"}};
    size_t size = argument ? strcspn(argument, "> =") : 0;
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
        if (strlen(lists[i].name) == size && strncmp(argument, lists[i].name, size) == 0)
            return lists[i].request;
    return NULL;
}

/* A page of a long list: what begins like this. The broker knows that by a regular expression. */
static void add_page(struct buffer *path, const char *begin)
{
    static const char page[] = "page=1&page_size=500&use_regex=true&name=%5E";
    char escaped[8];
    buffer_add(path, page, sizeof(page) - 1);
    for (; *begin; begin++) {
        uint8_t byte = (uint8_t)*begin;
        bool is_special = strchr("\\^$.[]|()?*+{}", byte) != NULL;
        snprintf(escaped, sizeof(escaped), "%s%%%02X", is_special ? "%5C" : "", byte);
        buffer_add(path, escaped, strlen(escaped));
    }
}

static void offer_list(const struct json *document, const char *begin)
{
    const struct json *items = json_find(document, "items");
    const struct json *list = items ? items : document;
    for (size_t i = 0; i < json_count(list); i++) {
        struct bytes name = json_text(json_find(json_item(list, i), "name"));
        offer(begin, (const char *)name.data, name.size);
    }
}

/* Silent: a completion that fails offers nothing. */
static void offer_names(struct command *command, const char *request, const char *begin)
{
    struct buffer path = {0};
    struct reply reply = {0};
    char error[200];
    client_give(&command->client, NAMES_SECONDS);
    command_expand(command, request, true, &path);
    if (request[strlen(request) - 1] == '&')
        add_page(&path, begin);
    if (client_call(&command->client, "GET", buffer_bytes(&path), bytes_of(NULL, 0), NULL,
                    &reply) &&
        reply_is_good(&reply)) {
        struct json *document = json_parse(buffer_bytes(&reply.body), error, sizeof(error));
        offer_list(document, begin);
        json_release(document);
    }
    buffer_free(&reply.body);
    buffer_free(&path);
}

/* ---- the line ---- */

/* What stands behind an option. */
static void offer_values(struct command *command, const char *option, const char *begin)
{
    static const char formats[] = "table tsv json jsonl csv pretty_table";
    const char *request = list_of(option);
    bool is_format = strncmp(option, "output", 6) == 0 || strncmp(option, "formatter", 9) == 0;
    bool is_column = strncmp(option, "sort", 4) == 0 || strncmp(option, "columns", 7) == 0;
    if (request)
        offer_names(command, request, begin);
    for (const char *at = formats; is_format && *at; at += strspn(at, " ")) {
        size_t size = strcspn(at, " ");
        offer(begin, at, size);
        at += size;
    }
    if (is_column && command->verb)
        offer_columns(command->verb, begin);
}

static void offer_arguments(struct command *command, const char *begin)
{
    const struct verb *verb = command->verb;
    const char *request = list_of(argument_at(verb->syntax, command->argument_count));
    if (request)
        offer_names(command, request, begin);
    else
        offer_columns(verb, begin);
}

void complete(struct command *command, const char *const *words, size_t count)
{
    const char *begin = count ? words[count - 1] : "", *option;
    int code = command_read_begun(command, words, count ? count - 1 : 0, &option);
    if (code && count > 1)
        offer_second_words(command->tool, words[count - 2], begin);
    if (code)
        return;
    if (option)
        offer_values(command, option, begin);
    else if (!command->verb)
        offer_verbs(command->tool, begin);
    else if (begin[0] == '-')
        offer_options(command->verb, begin);
    else
        offer_arguments(command, begin);
}

/* ---- verbs ---- */

int run_autocomplete(struct command *command)
{
    const char *words[ARGUMENTS_MAX];
    size_t count = command->argument_count;
    memcpy(words, command->arguments, count * sizeof(words[0]));
    complete(command, words, count);
    return EXIT_GOOD;
}

int run_completion(struct command *command)
{
    const char *shell = command_argument(command, 0);
    const char *name = tool_name(command->tool);
    if (strcmp(shell, "bash") == 0)
        printf("_leveretctl() {\n"
               "    local cur=${COMP_WORDS[COMP_CWORD]} words=(\"${COMP_WORDS[@]}\") "
               "cword=$COMP_CWORD i\n"
               "    if declare -F _get_comp_words_by_ref >/dev/null; then\n"
               "        _get_comp_words_by_ref -n := cur words cword\n"
               "    fi\n"
               "    mapfile -t COMPREPLY < <(\"${words[0]}\" autocomplete -- "
               "\"${words[@]:1:cword}\" 2>/dev/null)\n"
               "    for i in \"${!COMPREPLY[@]}\"; do\n"
               "        printf -v \"COMPREPLY[i]\" %%q \"${COMPREPLY[i]}\"\n"
               "    done\n"
               "    if declare -F __ltrim_colon_completions >/dev/null; then\n"
               "        __ltrim_colon_completions \"$cur\"\n"
               "    fi\n"
               "}\n"
               "complete -o default -F _leveretctl %s\n",
               name);
    else if (strcmp(shell, "zsh") == 0)
        printf("#compdef %s\n"
               "_leveretctl() {\n"
               "    compadd -- ${(f)\"$($words[1] autocomplete -- \"${(@Q)words[2,CURRENT]}\" "
               "2>/dev/null)\"}\n"
               "}\n"
               "if [[ $funcstack[1] = _leveretctl ]]; then\n"
               "    _leveretctl\n"
               "else\n"
               "    compdef _leveretctl %s\n"
               "fi\n",
               name, name);
    else if (strcmp(shell, "fish") == 0)
        printf("complete -c %s -f -a '(%s autocomplete -- (commandline -opc)[2..] "
               "(commandline -ct) 2>/dev/null)'\n",
               name, name);
    else
        return say_usage(command, "there is completion for bash, zsh and fish, and not for '%s'",
                         shell);
    return EXIT_GOOD;
}
