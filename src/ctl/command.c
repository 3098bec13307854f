/* The command line, and the way to the broker. */
#include "ctl/command.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ctl/format.h"
#include "ctl/rows.h"
#include "ctl/say.h"
#include "ctl/usage.h"
#include "ctl/verbs.h"
#include "definitions/json.h"

#define TIMEOUT_SECONDS 60.0

bool command_is_ours(const struct command *command)
{
    return command->tool == TOOL_LEVERETCTL;
}

/* ---- options ---- */

const char *command_option(const struct command *command, const char *name)
{
    size_t size = strlen(name);
    for (size_t i = command->option_count; i-- > 0;)
        if (command->options[i].size == size && memcmp(command->options[i].name, name, size) == 0)
            return command->options[i].value;
    return NULL;
}

bool command_has(const struct command *command, const char *name)
{
    return command_option(command, name) != NULL;
}

const char *command_argument(const struct command *command, size_t number)
{
    return number < command->argument_count ? command->arguments[number] : NULL;
}

const char *command_vhost(const struct command *command)
{
    const char *vhost = command_option(command, "vhost");
    return vhost ? vhost : "/";
}

static void put_option(struct command *command, const char *name, size_t size, const char *value)
{
    if (command->option_count == OPTIONS_MAX)
        return;
    command->options[command->option_count].name = name;
    command->options[command->option_count].size = size;
    command->options[command->option_count++].value = value;
}

/* Is there such an option, of all verbs or of this one, and has it a value? */
static bool know_option(const struct command *command, const char **name, size_t *size,
                        bool *has_value)
{
    const struct usage_option *option = usage_option_find(*name, *size);
    if (command->verb && *size > 1 && verb_has_option(command->verb, *name, *size, has_value))
        return true;
    if (command->verb && *size == 1 &&
        verb_has_letter(command->verb, **name, name, size, has_value))
        return true;
    if (!option)
        return false;
    *name = option->name;
    *size = strlen(option->name);
    *has_value = option->value != NULL;
    return true;
}

static int refuse_option(struct command *command, const char *word)
{
    if (!command_is_ours(command))
        return say_usage(command, "Invalid options for this command:\n%s : ", word);
    return say_usage(command, "unknown option '%s'", word);
}

/* The option at *at, and its value; moves *at on. */
static int read_option(struct command *command, int *at)
{
    const char *word = command->words[(*at)++];
    const char *name = word + 1 + (word[1] == '-');
    size_t size = strcspn(name, "=");
    const char *value = name[size] ? name + size + 1 : NULL;
    bool has_value, is_no = strncmp(name, "no-", 3) == 0;
    if (!know_option(command, &name, &size, &has_value)) {
        const char *positive = name + 3;
        size_t left = size - 3;
        if (!is_no || !know_option(command, &positive, &left, &has_value) || has_value)
            return refuse_option(command, word);
        put_option(command, positive, left, NULL);
        return 0;
    }
    if (has_value && !value && *at == command->count)
        return refuse_option(command, word);
    if (has_value && !value)
        value = command->words[(*at)++];
    if (!has_value && value && strcmp(value, "true") != 0 && strcmp(value, "false") != 0)
        return refuse_option(command, word);
    if (!has_value)
        value = value && strcmp(value, "false") == 0 ? NULL : "";
    put_option(command, name, size, value);
    return 0;
}

static bool is_option(const char *word)
{
    return word[0] == '-' && word[1] != '\0' && !(word[1] >= '0' && word[1] <= '9');
}

/* The first word that is neither an option nor the value of one. */
static const char *verb_word(const struct command *command, int *number)
{
    for (int i = 0; i < command->count; i++) {
        const char *word = command->words[i];
        if (!is_option(word)) {
            *number = i;
            return word;
        }
        const char *name = word + 1 + (word[1] == '-');
        size_t size = strlen(name);
        bool has_value = false;
        if (!strchr(name, '=') && know_option(command, &name, &size, &has_value) && has_value)
            i++;
    }
    *number = -1;
    return NULL;
}

static int read_words(struct command *command, int verb_number)
{
    bool is_over = false;
    int code;
    for (int at = 0; at < command->count;) {
        const char *word = command->words[at];
        if (at == verb_number) {
            at++;
        } else if (!is_over && strcmp(word, "--") == 0) {
            is_over = true;
            at++;
        } else if (!is_over && is_option(word)) {
            if ((code = read_option(command, &at)))
                return code;
        } else if (command->argument_count == ARGUMENTS_MAX) {
            return say_usage(command, "too many arguments.");
        } else {
            command->arguments[command->argument_count++] = word;
            at++;
        }
    }
    return 0;
}

static int check_arguments(struct command *command)
{
    size_t least, most;
    verb_arguments(command->verb, &least, &most);
    if (command->argument_count < least)
        return say_usage(command, "not enough arguments.");
    if (command->argument_count > most)
        return say_usage(command, "too many arguments.");
    return 0;
}

static int read_format(struct command *command)
{
    const char *name = command_option(command, "formatter");
    if (!name)
        name = command_option(command, "output");
    command->has_format = name != NULL;
    if (name && !format_read(name, &command->format))
        return say_usage(command,
                         "there is no format '%s'; it is one of table, tsv, json, jsonl, "
                         "json_stream, csv and pretty_table",
                         name);
    return 0;
}

/* The verbs that begin with this word: "store_check" with "store". */
static bool list_longer(const struct command *command, const char *name)
{
    size_t size = strlen(name);
    bool has_some = false;
    for (size_t i = 0; i < verb_count && command_is_ours(command); i++) {
        const struct verb *verb = &verbs[i];
        if (!verb_is_of(verb, command->tool) || strncmp(verb->name, name, size) != 0 ||
            verb->name[size] != '_')
            continue;
        fprintf(stderr, "%s%s", has_some ? ", " : "It is one of: ", verb->name);
        has_some = true;
    }
    if (has_some)
        fprintf(stderr, "\n\n");
    return has_some;
}

int command_unknown(struct command *command, const char *name)
{
    const struct verb *near = verb_near(command->tool, name);
    fprintf(stderr, "\nCommand '%s' not found. \n", name);
    if (list_longer(command, name))
        return EXIT_USAGE;
    if (near)
        fprintf(stderr, "Did you mean '%s'? \n\n", near->name);
    else if (command_is_ours(command))
        fprintf(stderr, "'leveretctl help' says which there are.\n\n");
    else
        usage_print_tool(command->tool, stderr);
    return EXIT_USAGE;
}

/* Without a verb: some options stand for one. */
static int read_verbless(struct command *command)
{
    int code = read_words(command, -1);
    if (code)
        return code;
    command->verb = verb_find(command->tool, command_has(command, "version") ? "version" : "help");
    if (command_has(command, "version") || command_has(command, "help"))
        return 0;
    usage_print_tool(command->tool, stderr);
    return EXIT_USAGE;
}

/* The verb at that word, or, of two words, at that and the next one, which is taken away. */
static const struct verb *read_verb(struct command *command, int number)
{
    char **words = &command->words[number];
    const struct verb *verb = verb_find(command->tool, words[0]);
    if (verb || number + 1 >= command->count)
        return verb;
    verb = verb_find_two(command->tool, words[0], words[1]);
    if (!verb)
        return NULL;
    command->count--;
    memmove(&words[1], &words[2], (size_t)(command->count - number) * sizeof(*words));
    return verb;
}

int command_read(struct command *command, int count, char **words)
{
    int number, code;
    command->count = count - 1;
    command->words = words + 1;
    command->tool = tool_of(words[0]);
    command->is_terminal = isatty(STDOUT_FILENO);
    command->client.fd = -1;
    const char *word = verb_word(command, &number);
    if (!word)
        return read_verbless(command);
    command->verb = read_verb(command, number);
    if (!command->verb)
        return command_unknown(command, word);
    if ((code = read_words(command, number)))
        return code;
    if (command_has(command, "help")) {
        command->arguments[0] = command->verb->name;
        command->argument_count = 1;
        command->verb = verb_find(command->tool, "help");
    }
    code = check_arguments(command);
    return code ? code : read_format(command);
}

/* ---- the broker ---- */

/* "infinity" is a number, too. */
static double seconds_of(const struct command *command)
{
    const char *timeout = command_option(command, "timeout");
    char *end = NULL;
    double seconds = timeout ? strtod(timeout, &end) : TIMEOUT_SECONDS;
    bool is_long = end && (*end || end == timeout || seconds <= 0 || seconds > 1e9);
    return is_long ? 1e9 : seconds;
}

void command_renew(struct command *command)
{
    client_give(&command->client, seconds_of(command));
}

/* What is asked from now on is for that broker. */
static void mean_other(struct command *command)
{
    struct target *target = &command->client.target;
    char there[sizeof(target->name)];
    if (!command->other[0] || target->node[0])
        return;
    snprintf(there, sizeof(there), "%s", target->name);
    snprintf(target->node, sizeof(target->node), "%s", command->other);
    snprintf(target->name, sizeof(target->name), "%.500s, by way of %.480s,", command->other, there);
}

static int find_broker(struct command *command)
{
    struct target target;
    char error[700];
    const char *uri = command_option(command, "uri");
    if (!uri && !command_has(command, "data-dir"))
        uri = getenv("LEVERET_URI");
    if (!uri || !*uri)
        target_local(&target, command_option(command, "data-dir"));
    else if (!target_read(&target, uri, error, sizeof(error)))
        return say_fail(command, EXIT_USAGE, "%s", error);
    target.tls = (struct target_tls){
        .authorities = command_option(command, "tls-ca"),
        .certificate = command_option(command, "tls-cert"),
        .key = command_option(command, "tls-key"),
        .takes_any = command_has(command, "tls-insecure"),
    };
    client_init(&command->client, &target, seconds_of(command));
    mean_other(command);
    return 0;
}

/* Is `asked` a name of the broker that calls itself `node`? Its host may be left out, and scripts
 * for RabbitMQ say rabbit@HOST. */
static bool is_node(const char *asked, const char *node)
{
    const char *host = strchr(node, '@');
    size_t size = host ? (size_t)(host - node) : strlen(node);
    return strcmp(asked, node) == 0 || strcmp(asked, "rabbit") == 0 ||
           (host && strncmp(asked, "rabbit@", 7) == 0 && strcmp(asked + 6, host) == 0) ||
           (strlen(asked) == size && strncmp(asked, node, size) == 0);
}

/* Is another broker of its cluster called so? It is meant from now on. */
static bool find_other(struct command *command, const char *asked)
{
    struct reply reply;
    char error[200];
    if (!client_call(&command->client, "GET", bytes_str("/nodes?columns=name"), bytes_of(NULL, 0), NULL, &reply))
        return false;
    struct json *nodes = reply_is_good(&reply) ? json_parse(buffer_bytes(&reply.body), error, sizeof(error)) : NULL;
    for (size_t i = 0; i < json_count(nodes) && !command->other[0]; i++) {
        char name[sizeof(command->other)];
        snprintf(name, sizeof(name), "%.*s", BYTES_ARG(json_text(json_find(json_item(nodes, i), "name"))));
        if (is_node(asked, name))
            snprintf(command->other, sizeof(command->other), "%s", name);
    }
    json_release(nodes);
    buffer_free(&reply.body);
    return command->other[0];
}

/* The broker that is asked is the one that --node names, or brings what is asked to that. */
static int check_node(struct command *command)
{
    const char *asked = command_option(command, "node");
    if (!asked)
        return 0;
    if (!command_node(command))
        return EXIT_UNAVAILABLE;
    if (is_node(asked, command->node))
        return 0;
    if (find_other(command, asked)) {
        mean_other(command);
        command->node[0] = '\0';
        return command_node(command) ? 0 : EXIT_UNAVAILABLE;
    }
    if (command_is_ours(command))
        return say_fail(command, EXIT_UNAVAILABLE, "the broker at %s is called %s, and not %s, as --node (-n) has it",
                        command->client.target.name, command->node, asked);
    snprintf(command->client.error, sizeof(command->client.error),
             "the broker there is called %.400s", command->node);
    command->client.trouble = CLIENT_NO_BROKER;
    return say_unreachable(command);
}

static int redirect(struct command *command)
{
    const char *file = command_option(command, "file");
    if (!file || freopen(file, "w", stdout))
        return 0;
    return say_fail(command, EXIT_UNAVAILABLE, "%s cannot be written", file);
}

/* RabbitMQ's tools ask before anything else whether the broker was stopped, but for what is about that. */
static bool needs_started(const struct verb *verb)
{
    static const char *const others[] = {"ping", "check_running", "is_running", "is_booting", "await_startup",
                                         "wait", "start_app", "stop_app", "stop", "shutdown", "reset", "force_reset",
                                         "force_boot", "environment"};
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        if (strcmp(verb->name, others[i]) == 0)
            return false;
    return verb->request || (verb->banner && strstr(verb->banner, "{node}"));
}

static int check_started(struct command *command)
{
    if (command_is_ours(command) || !needs_started(command->verb))
        return 0;
    if (!command_node(command))
        return EXIT_UNAVAILABLE;
    return command->is_stopped ? say_stopped(command) : 0;
}

static int run_once(struct command *command)
{
    struct columns shown, asked;
    int code = check_node(command);
    if (code == 0)
        code = check_started(command);
    if (code)
        return code;
    if (command->verb->columns &&
        (code = columns_choose_all(command, command->verb->columns, &shown, &asked)))
        return code;
    if (!say_banner(command))
        return EXIT_UNAVAILABLE;
    return command->verb->run(command);
}

static int run_again(struct command *command, double seconds)
{
    struct timespec pause = {(time_t)seconds, 0};
    pause.tv_nsec = (long)((seconds - (double)pause.tv_sec) * 1e9);
    for (;;) {
        int code;
        if (command->is_terminal)
            printf("\033[H\033[2J");
        code = run_once(command);
        fflush(stdout);
        if (code || ferror(stdout))
            return code;
        nanosleep(&pause, NULL);
        client_close(&command->client);
        if ((code = find_broker(command)))
            return code;
    }
}

int command_run(struct command *command)
{
    const char *watch = command_option(command, "watch");
    double seconds = watch ? strtod(watch, NULL) : 0;
    int code = find_broker(command);
    if (code == 0)
        code = redirect(command);
    if (command->verb->run == run_top) /* which does it by itself */
        watch = NULL;
    if (code == 0 && watch && (!command->verb->columns || seconds < 0.1))
        code = say_usage(command, "--watch is for lists, and has a number of seconds");
    if (code)
        return code;
    return watch ? run_again(command, seconds) : run_once(command);
}

void command_close(struct command *command)
{
    client_close(&command->client);
}

/* ---- a line that is being written ---- */

/* Has this word an option whose value is another word? */
static const char *open_option(const struct command *command, const char *word)
{
    const char *name = word + 1 + (word[1] == '-');
    size_t size = strlen(name);
    bool has_value = false;
    bool is_open = is_option(word) && !strchr(name, '=') &&
                   know_option(command, &name, &size, &has_value) && has_value;
    return is_open ? name : NULL;
}

int command_read_begun(struct command *command, const char *const *words, size_t count,
                       const char **option)
{
    char *begun[ARGUMENTS_MAX];
    int number;
    memcpy(begun, words, count * sizeof(begun[0]));
    command->words = begun;
    command->count = (int)count;
    command->verb = NULL;
    command->argument_count = 0;
    const char *word = verb_word(command, &number);
    command->verb = word ? read_verb(command, number) : NULL;
    if (word && !command->verb)
        return EXIT_USAGE;
    *option = count ? open_option(command, words[count - 1]) : NULL;
    command->count -= *option != NULL;
    int code = read_words(command, number);
    command->words = NULL;
    command->count = 0;
    return code ? code : find_broker(command);
}

/* ---- templates ---- */

static void add(struct buffer *out, const char *text, bool for_path)
{
    if (for_path)
        client_add_encoded(out, text);
    else
        buffer_add(out, text, strlen(text));
}

/* What only banners have: all arguments but the first, which limit the second one names, which flag
 * the first one, whose connections are meant, and when a queue is to go. */
static const char *banner_variable(struct command *command, const char *name, char *text,
                                   size_t size)
{
    const char *second = command_argument(command, 1);
    size_t length = 0;
    if (strcmp(name, "limit") == 0 && second) {
        bool is_all = strcmp(second, "all") == 0;
        snprintf(text, size, is_all ? "all limits" : "\"%s\" limit", second);
        return text;
    }
    if (strcmp(name, "flag") == 0) {
        bool is_all = strcmp(command->arguments[0], "all") == 0;
        snprintf(text, size, is_all ? "all feature flags" : "feature flag \"%s\"",
                 command->arguments[0]);
        return text;
    }
    if (strcmp(name, "whose") == 0) {
        bool is_all = command_has(command, "global");
        snprintf(text, size, is_all ? "to node %s (across all vhosts)" : "in vhost %s",
                 is_all ? command_node(command) : command_vhost(command));
        return text;
    }
    if (strcmp(name, "when") == 0) {
        bool if_empty = command_has(command, "if-empty"), if_unused = command_has(command, "if-unused");
        snprintf(text, size, "%s%s%s", if_empty ? "if queue is empty " : "",
                 if_empty && if_unused ? "and " : "", if_unused ? "if queue is unused " : "");
        return text;
    }
    if (strcmp(name, "tags") != 0 || command_has(command, name))
        return NULL;
    text[0] = '\0';
    for (size_t i = 1; i < command->argument_count && length < size; i++)
        length += (size_t)snprintf(text + length, size - length, "%s%s", i > 1 ? ", " : "",
                                   command->arguments[i]);
    return text;
}

/* What {NAME} stands for; NULL: nothing. `text` is room for it. */
static const char *variable(struct command *command, const char *name, char *text, size_t size)
{
    const char *given = command_option(command, name);
    if (name[0] >= '1' && name[0] <= '9' && name[1] == '\0')
        return command_argument(command, (size_t)(name[0] - '1'));
    if (strcmp(name, "node") == 0)
        return command_node(command);
    if (strcmp(name, "vhost") == 0)
        return command_vhost(command);
    return given ? given : banner_variable(command, name, text, size);
}

bool command_expand(struct command *command, const char *template, bool for_path,
                    struct buffer *out)
{
    while (*template) {
        size_t size = strcspn(template, "{");
        char name[64], room[1024];
        buffer_add(out, template, size);
        template += size;
        if (*template == '\0')
            break;
        if (template[1] == '{') {
            buffer_add(out, template, 1);
            template += 2;
            continue;
        }
        size = strcspn(template, "}");
        snprintf(name, sizeof(name), "%.*s", (int)size - 1, template + 1);
        template += size + (template[size] != '\0');
        char *equals = strchr(name, '=');
        if (equals)
            *equals = '\0';
        const char *value = variable(command, name, room, sizeof(room));
        if (!value && strcmp(name, "node") == 0)
            return false;
        add(out, value ? value : equals ? equals + 1 : "", for_path);
    }
    return true;
}

/* ---- the API ---- */

static bool read_node(struct command *command, const struct reply *reply)
{
    char error[200];
    struct json *document = json_parse(buffer_bytes(&reply->body), error, sizeof(error));
    struct bytes node = json_text(json_find(document, "node"));
    snprintf(command->node, sizeof(command->node), "%.*s", BYTES_ARG(node));
    command->is_stopped = bytes_equal_str(json_text(json_find(document, "error")), "app_stopped");
    json_release(document);
    return command->node[0] != '\0';
}

const char *command_node(struct command *command)
{
    struct reply reply;
    if (command->node[0])
        return command->node;
    if (!client_call(&command->client, "GET", bytes_str("/overview?columns=node"),
                     bytes_of(NULL, 0), NULL, &reply)) {
        say_unreachable(command);
        return NULL;
    }
    bool is_known = (reply_is_good(&reply) || reply.status == 503) && read_node(command, &reply);
    if (!is_known)
        command_refused(command, &reply);
    buffer_free(&reply.body);
    return is_known ? command->node : NULL;
}

/* It would be another resource. */
static bool lacks_name(struct bytes path)
{
    for (size_t i = 0; i < path.size && path.data[i] != '?'; i++)
        if (path.data[i] == '/' &&
            (i + 1 == path.size || path.data[i + 1] == '/' || path.data[i + 1] == '?'))
            return true;
    return false;
}

/* What --dry-run says instead of doing it. */
static int tell(const struct command *command, const char *method, struct bytes path,
                struct bytes body)
{
    printf("%s %s/api%.*s%s%.*s\n", method, command->client.target.prefix, BYTES_ARG(path),
           body.size ? " " : "", BYTES_ARG(body));
    return 0;
}

static int call(struct command *command, const char *request, struct bytes body,
                const char *reason, bool is_told_only, struct reply *reply)
{
    struct buffer path = {0};
    char method[8];
    size_t size = strcspn(request, " ");
    int code = 0;
    *reply = (struct reply){0};
    snprintf(method, sizeof(method), "%.*s", (int)size, request);
    if (!command_expand(command, request + size + 1, true, &path))
        code = EXIT_UNAVAILABLE;
    else if (lacks_name(buffer_bytes(&path)))
        code = say_fail(command, EXIT_DATA, "a name is empty");
    else if (is_told_only && strcmp(method, "GET") != 0)
        code = tell(command, method, buffer_bytes(&path), body);
    else if (!client_call(&command->client, method, buffer_bytes(&path), body, reason, reply))
        code = say_unreachable(command);
    buffer_free(&path);
    return code;
}

int command_call_with(struct command *command, const char *request, struct bytes body,
                      const char *reason, struct reply *reply)
{
    return call(command, request, body, reason, command_has(command, "dry-run"), reply);
}

int command_ask(struct command *command, const char *request, struct bytes body,
                struct reply *reply)
{
    return call(command, request, body, NULL, false, reply);
}

int command_call(struct command *command, const char *request, struct bytes body,
                 struct reply *reply)
{
    return command_call_with(command, request, body, NULL, reply);
}

void reply_reason(const struct reply *reply, char *reason, size_t size)
{
    char error[200];
    struct json *document = json_parse(buffer_bytes(&reply->body), error, sizeof(error));
    struct bytes text = json_text(json_find(document, "reason"));
    if (text.size)
        snprintf(reason, size, "%.*s", BYTES_ARG(text));
    else
        snprintf(reason, size, "the broker answered with status %d", reply->status);
    json_release(document);
}

/* The row's own words for what is not there: a code, a space and a template. */
static int say_missing(struct command *command)
{
    static const char say_where[] = "; -p names another virtual host";
    struct buffer text = {0};
    const char *missing = command->verb->missing;
    bool is_bare = missing && missing[2] == '!';
    int code = missing ? atoi(missing) : EXIT_UNAVAILABLE;
    const char *words = missing ? missing + 3 : "not_found";
    if (command_is_ours(command) && !missing && strstr(command->verb->syntax, "] <queue>"))
        words = "there is no queue '{1}' in virtual host '{vhost}'";
    command_expand(command, words, false, &text);
    if (command_is_ours(command) && strstr(words, "{vhost}") && !command_has(command, "vhost"))
        buffer_add(&text, say_where, strlen(say_where));
    if (is_bare)
        say_plain(command, code, "%.*s", BYTES_ARG(buffer_bytes(&text)));
    else
        say_fail(command, code, "%.*s", BYTES_ARG(buffer_bytes(&text)));
    buffer_free(&text);
    return code;
}

int command_refused(struct command *command, const struct reply *reply)
{
    char reason[2048];
    reply_reason(reply, reason, sizeof(reason));
    if (reply->status == 404)
        return say_missing(command);
    if (reply->status == 401 || reply->status == 403)
        return say_fail(command, EXIT_UNAVAILABLE, "%s: %s", command->client.target.name, reason);
    return say_fail(command, EXIT_UNAVAILABLE, "%s", reason);
}
