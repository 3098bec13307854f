/* What has a name: users, permissions, virtual hosts, policies, parameters, queues, definitions,
 * connections. Each verb makes one request, or reads first what a change has to leave as it is. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/stat.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "ctl/rows.h"
#include "ctl/say.h"
#include "ctl/term.h"
#include "ctl/verbs.h"

/* ---- requests ---- */

/* Sends it; the code to end with. A body is freed. */
static int send_body(struct command *command, const char *request, struct buffer *body)
{
    struct reply reply;
    int code = command_call(command, request, buffer_bytes(body), &reply);
    if (code == 0)
        code = reply_is_good(&reply) ? say_done(command) : command_refused(command, &reply);
    buffer_free(&reply.body);
    buffer_free(body);
    return code;
}

int run_do(struct command *command)
{
    struct buffer none = {0};
    return send_body(command, command->verb->request, &none);
}

int run_rotate_logs(struct command *command)
{
    if (!command_is_ours(command))
        return say_fail(command, EXIT_UNAVAILABLE,
                        "This command does not rotate logs anymore [deprecated]");
    return run_do(command);
}

/* What the API has there; NULL: *code says why. The caller releases it. */
static struct json *read_object(struct command *command, const char *request, int *code)
{
    struct reply reply;
    char error[200];
    struct json *document = NULL;
    *code = command_call(command, request, bytes_of(NULL, 0), &reply);
    if (*code == 0 && reply_is_good(&reply))
        document = json_parse(buffer_bytes(&reply.body), error, sizeof(error));
    if (*code == 0 && !document)
        *code = command_refused(command, &reply);
    buffer_free(&reply.body);
    return document;
}

static int status_of(struct command *command, const char *request)
{
    struct reply reply;
    int code = command_call(command, request, bytes_of(NULL, 0), &reply);
    buffer_free(&reply.body);
    return code ? 0 : reply.status;
}

/* Adds a member whose value the document has, or null. */
static void add_copy(struct json_writer *writer, const char *name, const struct json *value)
{
    json_name(writer, bytes_str(name));
    term_copy(writer, value);
}

/* Is `text` any value of JSON? */
static bool is_json(const char *text)
{
    char error[200];
    struct buffer array = {0};
    buffer_add(&array, "[", 1);
    buffer_add(&array, text, strlen(text));
    buffer_add(&array, "]", 1);
    struct json *document = json_parse(buffer_bytes(&array), error, sizeof(error));
    bool is_one = json_count(document) == 1;
    json_release(document);
    buffer_free(&array);
    return is_one;
}

static int refuse_json(struct command *command, const char *text)
{
    if (!command_is_ours(command))
        return say_fail(command, EXIT_UNAVAILABLE, "JSON decoding error. Reason: badarg");
    return say_fail(command, EXIT_DATA, "this is no JSON: %s", text);
}

/* ---- users ---- */

/* One argument, or else a line of the standard input. The caller frees it. */
/* At a terminal nobody is to see what is typed. */
static ssize_t read_hidden(char **line, size_t *capacity)
{
    struct termios usual, hidden;
    bool is_terminal = tcgetattr(STDIN_FILENO, &usual) == 0;
    if (!is_terminal)
        return getline(line, capacity, stdin);
    fprintf(stderr, "Password: ");
    hidden = usual;
    hidden.c_lflag &= ~(tcflag_t)ECHO;
    tcsetattr(STDIN_FILENO, TCSANOW, &hidden);
    ssize_t size = getline(line, capacity, stdin);
    tcsetattr(STDIN_FILENO, TCSANOW, &usual);
    fputc('\n', stderr);
    return size;
}

static char *read_secret(struct command *command, size_t number)
{
    const char *given = command_argument(command, number);
    char *line = NULL;
    size_t capacity = 0;
    if (given)
        return strdup(given);
    ssize_t size = read_hidden(&line, &capacity);
    if (size < 0) {
        free(line);
        return NULL;
    }
    line[strcspn(line, "\r\n")] = '\0';
    return line;
}

static int say_no_password(struct command *command)
{
    return say_usage(command, "Password is not provided via argument or stdin");
}

/* What is only told of is not to tell it. */
static void add_password(struct json_writer *writer, const struct command *command,
                         const char *password)
{
    json_add_text(writer, "password",
                  bytes_str(command_has(command, "dry-run") ? "***" : password));
}

static int put_user(struct command *command, const char *password)
{
    struct buffer body = {0};
    struct json_writer writer = json_writer_of(&body);
    json_open(&writer, '{');
    add_password(&writer, command, password);
    json_add_text(&writer, "tags", bytes_str(""));
    json_close(&writer, '}');
    return send_body(command, command->verb->request, &body);
}

int run_add_user(struct command *command)
{
    char *password = read_secret(command, 1);
    int code;
    if (!password)
        code = say_no_password(command);
    else if (!*command->arguments[0])
        code = say_fail(command, EXIT_DATA, "user cannot be an empty string");
    else if (!*password)
        code = say_fail(command, EXIT_DATA, "password cannot be an empty string");
    else if (status_of(command, "GET /users/{1}") == 200)
        code =
            say_fail(command, EXIT_SOFTWARE, "User \"%s\" already exists", command->arguments[0]);
    else
        code = put_user(command, password);
    free(password);
    if (code == 0 && !command_has(command, "quiet") && !command_has(command, "silent") &&
        !command_is_ours(command) && command->format == FORMAT_TABLE)
        printf("Done. Don't forget to grant the user permissions to some virtual hosts! See "
               "'rabbitmqctl help set_permissions' to learn more.\n");
    return code;
}

/* Puts a user with another password, or none, or other tags, and the rest as it was. */
static int change_user(struct command *command, const char *password, bool has_hash,
                       const char *const *tags, size_t tag_count)
{
    int code;
    struct buffer body = {0};
    struct json_writer writer = json_writer_of(&body);
    struct json *user = read_object(command, "GET /users/{1}", &code);
    if (!user)
        return code;
    json_open(&writer, '{');
    if (password)
        add_password(&writer, command, password);
    else if (has_hash) {
        add_copy(&writer, "password_hash", json_find(user, "password_hash"));
        add_copy(&writer, "hashing_algorithm", json_find(user, "hashing_algorithm"));
    } else
        json_add_text(&writer, "password_hash", bytes_str(""));
    if (tags) {
        json_add_open(&writer, "tags", '[');
        for (size_t i = 0; i < tag_count; i++)
            json_put_text(&writer, bytes_str(tags[i]));
        json_close(&writer, ']');
    } else
        add_copy(&writer, "tags", json_find(user, "tags"));
    json_close(&writer, '}');
    json_release(user);
    return send_body(command, command->verb->request, &body);
}

int run_change_password(struct command *command)
{
    char *password = read_secret(command, 1);
    int code = password ? change_user(command, password, false, NULL, 0) : say_no_password(command);
    free(password);
    return code;
}

int run_clear_password(struct command *command)
{
    return change_user(command, NULL, false, NULL, 0);
}

int run_set_user_tags(struct command *command)
{
    return change_user(command, NULL, true, command->arguments + 1, command->argument_count - 1);
}

/* Asks the API as that user. A login that is no operator's is refused as such, which is enough. */
static int try_login(struct command *command, const char *password)
{
    struct client client;
    struct target target = command->client.target;
    struct reply reply = {0};
    char reason[256] = "";
    snprintf(target.user, sizeof(target.user), "%s", command->arguments[0]);
    snprintf(target.password, sizeof(target.password), "%s", password);
    target.has_user = true;
    client_init(&client, &target, 60);
    bool is_answered =
        client_call(&client, "GET", bytes_str("/whoami"), bytes_of(NULL, 0), NULL, &reply);
    if (!is_answered) {
        command->client.trouble = client.trouble;
        snprintf(command->client.error, sizeof(command->client.error), "%s", client.error);
    }
    client_close(&client);
    if (is_answered)
        reply_reason(&reply, reason, sizeof(reason));
    buffer_free(&reply.body);
    if (!is_answered)
        return say_unreachable(command);
    if (reply.status == 401 && strcmp(reason, "Login failed") == 0)
        return say_fail(command, EXIT_DATA,
                        "%sfailed to authenticate user \"%s\"\nuser '%s' - invalid credentials",
                        command_is_ours(command) ? "" : "Error: ", target.user, target.user);
    return say_result(command, "Success");
}

int run_authenticate_user(struct command *command)
{
    char *password = read_secret(command, 1);
    int code = password ? try_login(command, password) : say_no_password(command);
    free(password);
    return code;
}

/* What would be kept of a password. */
int run_hash_password(struct command *command)
{
    char *password = read_secret(command, 0);
    struct buffer request = {0};
    int code;
    if (!password)
        return say_no_password(command);
    buffer_add(&request, "GET /auth/hash_password/", 24);
    client_add_encoded(&request, password);
    buffer_add_u8(&request, '\0');
    free(password);
    struct json *hash = read_object(command, (const char *)request.data, &code);
    buffer_free(&request);
    if (hash)
        code = say_result(command, "%.*s", BYTES_ARG(json_text(json_find(hash, "ok"))));
    json_release(hash);
    return code;
}

/* ---- permissions ---- */

/* What is not there, the user or the virtual host? */
static int say_no_such_pair(struct command *command, const struct reply *reply)
{
    if (status_of(command, "GET /users/{1}") == 404)
        return say_fail(command, EXIT_NO_USER, "User %s does not exist", command->arguments[0]);
    if (status_of(command, "GET /vhosts/{vhost}") == 404)
        return say_fail(command, EXIT_UNAVAILABLE, "Virtual host %s does not exist",
                        command_vhost(command));
    return reply->status == 404 ? say_done(command) : command_refused(command, reply);
}

static int send_permissions(struct command *command, const char *request, struct buffer *body)
{
    struct reply reply;
    int code = command_call(command, request, buffer_bytes(body), &reply);
    if (code == 0)
        code = reply_is_good(&reply) ? say_done(command) : say_no_such_pair(command, &reply);
    buffer_free(&reply.body);
    buffer_free(body);
    return code;
}

static void write_texts(struct buffer *body, const char *const *names, const char *const *values,
                        size_t count)
{
    struct json_writer writer = json_writer_of(body);
    json_open(&writer, '{');
    for (size_t i = 0; i < count; i++)
        json_add_text(&writer, names[i], bytes_str(values[i]));
    json_close(&writer, '}');
}

int run_set_permissions(struct command *command)
{
    static const char *const names[] = {"configure", "write", "read"};
    struct buffer body = {0};
    if (command->argument_count == 4)
        write_texts(&body, names, command->arguments + 1, 3);
    return send_permissions(command, command->verb->request, &body);
}

int run_set_topic_permissions(struct command *command)
{
    static const char *const names[] = {"exchange", "write", "read"};
    struct buffer body = {0};
    const char *request = command->verb->request;
    if (command->argument_count == 4)
        write_texts(&body, names, command->arguments + 1, 3);
    if (command->argument_count == 2)
        request = "DELETE /topic-permissions/{vhost}/{1}/{2}";
    return send_permissions(command, request, &body);
}

static int set_permissions_in(struct command *command, struct bytes name)
{
    static const char *const names[] = {"configure", "write", "read"};
    bool clears = command->argument_count == 1;
    const char *method = clears ? "DELETE /permissions/" : "PUT /permissions/";
    struct buffer body = {0}, request = {0}, vhost = {0};
    struct reply reply;
    buffer_add(&vhost, name.data, name.size);
    buffer_add_u8(&vhost, '\0');
    buffer_add(&request, method, strlen(method));
    client_add_encoded(&request, (const char *)vhost.data);
    buffer_add(&request, "/{1}", 5);
    if (!clears)
        write_texts(&body, names, command->arguments + 1, 3);
    int code = command_call(command, (const char *)request.data, buffer_bytes(&body), &reply);
    if (code == 0 && !reply_is_good(&reply) && (!clears || reply.status != 404))
        code = say_no_such_pair(command, &reply);
    buffer_free(&reply.body);
    buffer_free(&vhost);
    buffer_free(&request);
    buffer_free(&body);
    return code;
}

/* In each virtual host in turn; clear_permissions_globally has no more than the user's name. */
int run_set_permissions_globally(struct command *command)
{
    int code;
    struct json *vhosts = read_object(command, "GET /vhosts?columns=name", &code);
    for (size_t i = 0; i < json_count(vhosts) && code == 0; i++)
        code = set_permissions_in(command, json_text(json_find(json_item(vhosts, i), "name")));
    json_release(vhosts);
    return code ? code : say_done(command);
}

/* ---- virtual hosts ---- */

/* One that is there always runs. */
int run_restart_vhost(struct command *command)
{
    if (status_of(command, "GET /vhosts/{vhost}") == 404)
        return say_fail(command, EXIT_SOFTWARE,
                        "Failed to start vhost '%s' on node '%s'Reason: {:no_such_vhost, \"%s\"}",
                        command_vhost(command), command_node(command), command_vhost(command));
    if (!command_node(command))
        return EXIT_UNAVAILABLE;
    return say_result(command, "Vhost '%s' is already running on node '%s'", command_vhost(command),
                      command->node);
}

int run_add_vhost(struct command *command)
{
    static const char *const options[] = {"description", "tags", "default-queue-type"};
    static const char *const names[] = {"description", "tags", "default_queue_type"};
    struct buffer body = {0};
    struct json_writer writer = json_writer_of(&body);
    json_open(&writer, '{');
    for (size_t i = 0; i < 3; i++) {
        const char *value = command_option(command, options[i]);
        if (value)
            json_add_text(&writer, names[i], bytes_str(value));
    }
    json_close(&writer, '}');
    if (body.size == 2)
        body.size = 0;
    return send_body(command, command->verb->request, &body);
}

/* Puts the virtual host that is at `request` with another value, and the rest as it was. */
static int change_vhost(struct command *command, const char *request, const bool *tracing,
                        const char *const *tags, size_t tag_count)
{
    int code;
    struct buffer body = {0};
    struct json_writer writer = json_writer_of(&body);
    struct json *vhost = read_object(command, request, &code);
    if (!vhost)
        return code;
    json_open(&writer, '{');
    if (json_find(vhost, "description"))
        add_copy(&writer, "description", json_find(vhost, "description"));
    json_add_flag(&writer, "tracing", tracing ? *tracing : json_flag(json_find(vhost, "tracing")));
    if (tags) {
        json_add_open(&writer, "tags", '[');
        for (size_t i = 0; i < tag_count; i++)
            json_put_text(&writer, bytes_str(tags[i]));
        json_close(&writer, ']');
    } else if (json_find(vhost, "tags")) {
        add_copy(&writer, "tags", json_find(vhost, "tags"));
    }
    json_close(&writer, '}');
    json_release(vhost);
    return send_body(command, command->verb->request, &body);
}

/* What is given of it becomes so, and the rest stays. */
int run_update_vhost(struct command *command)
{
    static const char *const options[] = {"description", "tags", "default-queue-type"};
    static const char *const names[] = {"description", "tags", "default_queue_type"};
    struct buffer body = {0};
    struct json_writer writer = json_writer_of(&body);
    int code;
    struct json *vhost = read_object(command, "GET /vhosts/{1}", &code);
    if (!vhost)
        return code;
    json_open(&writer, '{');
    json_add_flag(&writer, "tracing", json_flag(json_find(vhost, "tracing")));
    for (size_t i = 0; i < 3; i++) {
        const char *value = command_option(command, options[i]);
        const struct json *old = json_find(vhost, names[i]);
        if (value)
            json_add_text(&writer, names[i], bytes_str(value));
        else if (old)
            add_copy(&writer, names[i], old);
    }
    json_close(&writer, '}');
    json_release(vhost);
    return send_body(command, command->verb->request, &body);
}

int run_set_vhost_tags(struct command *command)
{
    return change_vhost(command, "GET /vhosts/{1}", NULL, command->arguments + 1,
                        command->argument_count - 1);
}

int run_trace(struct command *command)
{
    bool is_on = strcmp(command->verb->name, "trace_on") == 0;
    int code = change_vhost(command, "GET /vhosts/{vhost}", &is_on, NULL, 0);
    if (code == 0 && command->format == FORMAT_TABLE && !command_has(command, "dry-run"))
        printf("Trace %s for vhost %s\n", is_on ? "enabled" : "disabled", command_vhost(command));
    return code;
}

/* ---- limits ---- */

/* `base` and a limit's name. */
static int put_limit(struct command *command, const char *method, const char *base,
                     struct bytes name, const struct json *value)
{
    struct buffer body = {0};
    struct buffer request = {0};
    struct reply reply;
    struct json_writer writer = json_writer_of(&body);
    if (value) {
        json_open(&writer, '{');
        add_copy(&writer, "value", value);
        json_close(&writer, '}');
    }
    buffer_add(&request, method, strlen(method));
    buffer_add(&request, base, strlen(base));
    buffer_add(&request, name.data, name.size);
    buffer_add_u8(&request, '\0');
    int code = command_call(command, (const char *)request.data, buffer_bytes(&body), &reply);
    if (code == 0 && !reply_is_good(&reply) && (value || reply.status != 404))
        code = command_refused(command, &reply);
    buffer_free(&reply.body);
    buffer_free(&request);
    buffer_free(&body);
    return code;
}

/* Is the verb about a user whom there is not? */
static bool lacks_user(struct command *command)
{
    return strncmp(command->verb->request, "/user", 5) == 0 &&
           status_of(command, "GET /users/{1}") == 404;
}

int run_limits_set(struct command *command)
{
    char error[200];
    const char *text = command_argument(command, command->argument_count - 1);
    struct json *limits = json_parse(bytes_str(text), error, sizeof(error));
    struct json_walk walk = json_walk_of(limits);
    struct bytes name;
    const struct json *value;
    int code = 0;
    if (json_kind_of(limits) != JSON_IS_OBJECT)
        code = refuse_json(command, text);
    else if (lacks_user(command))
        code =
            say_fail(command, EXIT_UNAVAILABLE, "{:no_such_user, \"%s\"}", command->arguments[0]);
    while (code == 0 && json_next(&walk, &name, &value))
        code = put_limit(command, "PUT ", command->verb->request, name, value);
    json_release(limits);
    return code ? code : say_done(command);
}

int run_limits_clear(struct command *command)
{
    static const char *const of_users[] = {"max-connections", "max-channels"};
    static const char *const of_vhosts[] = {"max-connections", "max-queues"};
    const char *only = command_argument(command, 1);
    const char *const *names =
        strncmp(command->verb->request, "/user", 5) == 0 ? of_users : of_vhosts;
    int code = 0;
    if (lacks_user(command))
        return say_fail(command, EXIT_NO_USER, "User \"%s\" does not exist", command->arguments[0]);
    for (size_t i = 0; i < 2 && code == 0; i++)
        if (!only || strcmp(only, "all") == 0 || strcmp(only, names[i]) == 0)
            code = put_limit(command, "DELETE ", command->verb->request, bytes_str(names[i]), NULL);
    return code ? code : say_done(command);
}

/* ---- policies and parameters ---- */

static void add_raw(struct json_writer *writer, const char *name, const char *json)
{
    json_name(writer, bytes_str(name));
    buffer_add(writer->out, json, strlen(json));
    writer->state = JSON_AFTER_VALUE;
}

int run_set_policy(struct command *command)
{
    struct buffer body = {0};
    struct json_writer writer = json_writer_of(&body);
    const char *priority = command_option(command, "priority");
    const char *apply_to = command_option(command, "apply-to");
    if (!is_json(command->arguments[2]))
        return refuse_json(command, command->arguments[2]);
    if (priority && (!*priority || strspn(priority, "-0123456789") != strlen(priority)))
        return say_usage(command, "Invalid options for this command:\n--priority : %s", priority);
    json_open(&writer, '{');
    json_add_text(&writer, "pattern", bytes_str(command->arguments[1]));
    add_raw(&writer, "definition", command->arguments[2]);
    json_add_whole(&writer, "priority", priority ? strtoll(priority, NULL, 10) : 0);
    json_add_text(&writer, "apply-to", bytes_str(apply_to ? apply_to : "all"));
    json_close(&writer, '}');
    return send_body(command, command->verb->request, &body);
}

int run_set_parameter(struct command *command)
{
    struct buffer body = {0};
    struct json_writer writer = json_writer_of(&body);
    const char *value = command->arguments[command->argument_count - 1];
    if (!is_json(value))
        return refuse_json(command, value);
    json_open(&writer, '{');
    add_raw(&writer, "value", value);
    json_close(&writer, '}');
    return send_body(command, command->verb->request, &body);
}

int run_set_cluster_name(struct command *command)
{
    struct buffer body = {0};
    struct json_writer writer = json_writer_of(&body);
    json_open(&writer, '{');
    json_add_text(&writer, "name", bytes_str(command->arguments[0]));
    json_close(&writer, '}');
    return send_body(command, command->verb->request, &body);
}

/* ---- queues ---- */

static int say_queue_kept(struct command *command, const struct reply *reply)
{
    char reason[2048];
    reply_reason(reply, reason, sizeof(reason));
    if (reply->status != 400)
        return command_refused(command, reply);
    if (strstr(reason, "not empty"))
        return say_fail(command, EXIT_USAGE, "Queue is not empty");
    if (strstr(reason, "in use"))
        return say_fail(command, EXIT_USAGE, "Queue is in use");
    return say_fail(command, EXIT_USAGE, "%s", reason);
}

int run_delete_queue(struct command *command)
{
    int code;
    struct reply reply;
    struct json *queue = read_object(command, "GET /queues/{vhost}/{1}", &code);
    if (!queue)
        return code;
    long long ready = json_whole(json_find(queue, "messages_ready"));
    long long consumers = json_whole(json_find(queue, "consumers"));
    json_release(queue);
    if (!say_confirm(command, "Delete '%s', with %lld ready messages and %lld consumers?",
                     command->arguments[0], ready, consumers))
        return EXIT_GOOD;
    const char *request = command->verb->request;
    if (command_has(command, "if-empty") || command_has(command, "if-unused"))
        request = command_has(command, "if-empty")
                      ? (command_has(command, "if-unused")
                             ? "DELETE /queues/{vhost}/{1}?if-empty=true&if-unused=true"
                             : "DELETE /queues/{vhost}/{1}?if-empty=true")
                      : "DELETE /queues/{vhost}/{1}?if-unused=true";
    code = command_call(command, request, bytes_of(NULL, 0), &reply);
    if (code == 0 && !reply_is_good(&reply))
        code = say_queue_kept(command, &reply);
    else if (code == 0 && reply.status)
        code =
            say_result(command, "Queue was successfully deleted with %lld ready messages", ready);
    buffer_free(&reply.body);
    return code;
}

/* ---- definitions ---- */

/* There are digests of passwords in it, so a new one is for its owner alone. */
static int write_file(struct command *command, const char *path, struct bytes bytes)
{
    bool is_stdout = strcmp(path, "-") == 0;
    mode_t mask = umask(077);
    FILE *file = is_stdout ? stdout : fopen(path, "w");
    umask(mask);
    if (!file)
        return say_fail(command, EXIT_UNAVAILABLE, "%s: %s", path, strerror(errno));
    bool is_good = fwrite(bytes.data, 1, bytes.size, file) == bytes.size;
    is_good = (is_stdout ? fflush(file) : fclose(file)) == 0 && is_good;
    return is_good ? EXIT_GOOD
                   : say_fail(command, EXIT_UNAVAILABLE, "%s: %s", path, strerror(errno));
}

int run_export(struct command *command)
{
    struct reply reply;
    const char *request = command_has(command, "vhost") && command_is_ours(command)
                              ? "GET /definitions/{vhost}"
                              : command->verb->request;
    int code = command_call(command, request, bytes_of(NULL, 0), &reply);
    if (code == 0 && !reply_is_good(&reply))
        code = command_refused(command, &reply);
    else if (code == 0)
        code = write_file(command, command->arguments[0], buffer_bytes(&reply.body));
    buffer_free(&reply.body);
    return code;
}

static bool read_file(const char *path, struct buffer *out)
{
    FILE *file = path && strcmp(path, "-") != 0 ? fopen(path, "r") : stdin;
    size_t size;
    if (!file)
        return false;
    while ((size = fread(buffer_room(out, 65536), 1, 65536, file)) > 0)
        buffer_added(out, size);
    bool is_good = !ferror(file);
    if (file != stdin)
        fclose(file);
    return is_good;
}

int run_import(struct command *command)
{
    struct buffer body = {0};
    struct reply reply;
    const char *path = command_argument(command, 0);
    const char *request = command_has(command, "vhost") && command_is_ours(command)
                              ? "POST /definitions/{vhost}"
                              : command->verb->request;
    if (!read_file(path, &body)) {
        buffer_free(&body);
        return say_fail(command, EXIT_UNAVAILABLE, "%s: %s", path, strerror(errno));
    }
    int code = command_call(command, request, buffer_bytes(&body), &reply);
    if (code == 0 && !reply_is_good(&reply))
        code = command_refused(command, &reply);
    else if (code == 0 && reply.status)
        code = say_result(command, command_is_ours(command)
                                       ? "All of it is there."
                                       : "Successfully started definition import. This process is "
                                         "asynchronous and can take some time.");
    buffer_free(&reply.body);
    buffer_free(&body);
    return code;
}

/* ---- connections ---- */

static int close_named(struct command *command, struct bytes name, const char *reason)
{
    struct buffer request = {0};
    struct reply reply;
    char escaped[8];
    buffer_add(&request, "DELETE /connections/", 20);
    for (size_t i = 0; i < name.size; i++) {
        snprintf(escaped, sizeof(escaped), "%%%02X", name.data[i]);
        buffer_add(&request, escaped, 3);
    }
    buffer_add_u8(&request, '\0');
    int code =
        command_call_with(command, (const char *)request.data, bytes_of(NULL, 0), reason, &reply);
    if (code == 0 && !reply_is_good(&reply) && reply.status != 404)
        code = command_refused(command, &reply);
    buffer_free(&reply.body);
    buffer_free(&request);
    return code;
}

static bool is_named(struct command *command, struct bytes name, const char *wanted)
{
    struct buffer token = {0};
    term_token(command->node, name, &token);
    bool is_it = bytes_equal_str(name, wanted) || bytes_equal_str(buffer_bytes(&token), wanted);
    buffer_free(&token);
    return is_it;
}

int run_close_connection(struct command *command)
{
    int code;
    const char *wanted = command->arguments[0];
    bool is_known = false;
    if (!command_node(command))
        return EXIT_UNAVAILABLE;
    struct json *list = read_object(command, "GET /connections?columns=name", &code);
    for (size_t i = 0; i < json_count(list) && code == 0; i++) {
        struct bytes name = json_text(json_find(json_item(list, i), "name"));
        if (is_named(command, name, wanted)) {
            is_known = true;
            code = close_named(command, name, command->arguments[1]);
        }
    }
    json_release(list);
    if (code)
        return code;
    if (!is_known && (wanted[0] != '<' || command_is_ours(command)))
        return say_fail(command, EXIT_UNAVAILABLE, "there is no connection '%s'", wanted);
    return say_done(command);
}

/* Is it one that the verb is about? */
static bool is_meant(const struct command *command, const struct json *connection)
{
    if (strcmp(command->verb->name, "close_all_user_connections") == 0)
        return bytes_equal_str(json_text(json_find(connection, "user")), command->arguments[0]);
    return command_has(command, "global") ||
           bytes_equal_str(json_text(json_find(connection, "vhost")), command_vhost(command));
}

int run_close_connections(struct command *command)
{
    int code;
    const char *limit_text = command_option(command, "limit");
    const char *delay_text = command_option(command, "per-connection-delay");
    long long limit = limit_text ? strtoll(limit_text, NULL, 10) : 0;
    long long delay = delay_text ? strtoll(delay_text, NULL, 10) : 0;
    struct timespec pause = {(time_t)(delay / 1000), (long)(delay % 1000) * 1000000};
    const char *reason = command->arguments[command->argument_count - 1];
    long long closed = 0;
    struct json *list = read_object(command, "GET /connections?columns=name,user,vhost", &code);
    for (size_t i = 0; i < json_count(list) && code == 0; i++) {
        const struct json *one = json_item(list, i);
        if (!is_meant(command, one) || (limit > 0 && closed >= limit))
            continue;
        if (closed++ && delay > 0)
            nanosleep(&pause, NULL);
        code = close_named(command, json_text(json_find(one, "name")), reason);
    }
    json_release(list);
    if (code)
        return code;
    bool is_told = command_is_ours(command) || command->argument_count == 1;
    return is_told ? say_result(command, "Closed %lld connections", closed) : say_done(command);
}
