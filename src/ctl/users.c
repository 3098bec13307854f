/* Users, and what they may do. Each verb makes one request, or reads first what a change has to leave as
 * it is. */
#include <stdio.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

#include "ctl/nodes.h"
#include "ctl/request.h"
#include "ctl/say.h"
#include "ctl/verbs.h"

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
    return request_send(command, command->verb->request, &body);
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
    else if (request_status(command, "GET /users/{1}") == 200)
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
    struct json *user = node_read(command, "GET /users/{1}", &code);
    if (!user)
        return code;
    json_open(&writer, '{');
    if (password)
        add_password(&writer, command, password);
    else if (has_hash) {
        request_copy(&writer, "password_hash", json_find(user, "password_hash"));
        request_copy(&writer, "hashing_algorithm", json_find(user, "hashing_algorithm"));
    } else
        json_add_text(&writer, "password_hash", bytes_str(""));
    if (tags) {
        json_add_open(&writer, "tags", '[');
        for (size_t i = 0; i < tag_count; i++)
            json_put_text(&writer, bytes_str(tags[i]));
        json_close(&writer, ']');
    } else
        request_copy(&writer, "tags", json_find(user, "tags"));
    json_close(&writer, '}');
    json_release(user);
    return request_send(command, command->verb->request, &body);
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
    struct json *hash = node_read(command, (const char *)request.data, &code);
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
    if (request_status(command, "GET /users/{1}") == 404)
        return say_fail(command, EXIT_NO_USER, "User %s does not exist", command->arguments[0]);
    if (request_status(command, "GET /vhosts/{vhost}") == 404)
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
    struct json *vhosts = node_read(command, "GET /vhosts?columns=name", &code);
    for (size_t i = 0; i < json_count(vhosts) && code == 0; i++)
        code = set_permissions_in(command, json_text(json_find(json_item(vhosts, i), "name")));
    json_release(vhosts);
    return code ? code : say_done(command);
}
