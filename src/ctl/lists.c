/* Lists: what an endpoint of the API has, as rows. */
#include <stdio.h>

#include "ctl/rows.h"
#include "ctl/say.h"
#include "ctl/term.h"
#include "ctl/verbs.h"

static bool need_node(const struct columns *columns)
{
    for (size_t i = 0; i < columns->count; i++)
        if (columns->list[i].kind == CELL_CHANNEL)
            return true;
    return false;
}

/* Keys that lists of queues have also without statistics; see the API. */
static bool is_light(const struct columns *columns)
{
    static const char *const light[] = {"name",
                                        "vhost",
                                        "type",
                                        "state",
                                        "arguments",
                                        "auto_delete",
                                        "durable",
                                        "exclusive",
                                        "messages",
                                        "messages_ready",
                                        "messages_unacknowledged"};
    for (size_t i = 0; i < columns->count; i++) {
        bool is_known = false;
        for (size_t j = 0; j < sizeof(light) / sizeof(light[0]); j++)
            is_known = is_known || strcmp(columns->list[i].path, light[j]) == 0;
        if (!is_known)
            return false;
    }
    return true;
}

/* The verb's request with a query for what is shown. */
static void add_query(const struct command *command, const struct columns *columns,
                      struct buffer *request)
{
    const char *plain = command->verb->request;
    buffer_add(request, plain, strlen(plain));
    if (command_has(command, "by-source"))
        buffer_add(request, "/source", 7);
    buffer_add(request, "?", 1);
    columns_add_query(columns, request);
    if (strncmp(plain, "GET /queues", 11) == 0 && is_light(columns)) {
        static const char query[] = "&disable_stats=true&enable_queue_totals=true";
        buffer_add(request, query, sizeof(query) - 1);
    }
    buffer_add_u8(request, '\0');
}

/* The text of the array that the broker has, or of one without anything; the caller frees it. 0, or
 * the code to end with. */
static int fetch(struct command *command, const char *request, struct buffer *text)
{
    struct reply reply;
    int code = command_call(command, request, bytes_of(NULL, 0), &reply);
    *text = (struct buffer){0};
    if (code)
        return code;
    bool is_vhost_missing =
        reply.status == 404 && !command->verb->missing && strstr(request, "{vhost}");
    if (is_vhost_missing && command_is_ours(command))
        code = say_fail(command, EXIT_DATA, "there is no virtual host '%s'",
                        command_vhost(command));
    else if (is_vhost_missing)
        buffer_add(text, "[]", 2);
    else if (!reply_is_good(&reply))
        code = command_refused(command, &reply);
    else
        *text = reply.body;
    if (text->data != reply.body.data)
        buffer_free(&reply.body);
    return code;
}

static int show(struct command *command, const char *request)
{
    struct buffer text;
    int code = fetch(command, request, &text);
    if (code == 0)
        code = rows_show(command, command->verb->columns, buffer_bytes(&text));
    buffer_free(&text);
    return code;
}

int run_list(struct command *command)
{
    struct columns shown, asked;
    struct buffer request = {0};
    int code = columns_choose_all(command, command->verb->columns, &shown, &asked);
    if (code)
        return code;
    if (!command->verb->request)
        return EXIT_GOOD;
    if (need_node(&asked) && !command_node(command))
        return EXIT_UNAVAILABLE;
    add_query(command, &asked, &request);
    code = show(command, (const char *)request.data);
    buffer_free(&request);
    return code;
}

/* ---- of one virtual host, or one user ---- */

/* Those items of an array that are of this virtual host, as an array; what is none stays as it is. */
static void items_in(struct bytes text, const char *vhost, struct buffer *items)
{
    char error[200];
    struct json *array = json_parse(text, error, sizeof(error));
    struct json_writer writer = json_writer_of(items);
    if (!array) {
        buffer_add(items, text.data, text.size);
        return;
    }
    json_open(&writer, '[');
    for (size_t i = 0; i < json_count(array); i++)
        if (bytes_equal_str(json_text(json_find(json_item(array, i), "vhost")), vhost))
            json_put(&writer, json_item(array, i));
    json_close(&writer, ']');
    json_release(array);
}

/* The API has all of them, or those of one component; the verb's own request asks whether the virtual
 * host is there. */
int run_list_parameters(struct command *command)
{
    struct buffer text, items = {0};
    int code = fetch(command, command->verb->request, &text);
    buffer_free(&text);
    if (code == 0)
        code = fetch(command, "GET /parameters", &text);
    if (code == 0) {
        items_in(buffer_bytes(&text), command_vhost(command), &items);
        code = rows_show(command, command->verb->columns, buffer_bytes(&items));
    }
    buffer_free(&items);
    buffer_free(&text);
    return code;
}

/* Shows an object of JSON in one line. */
static void print_object(const struct json *object)
{
    struct buffer text = {0};
    struct json_writer writer = json_writer_of(&text);
    term_copy(&writer, object);
    printf("%.*s\n", BYTES_ARG(buffer_bytes(&text)));
    buffer_free(&text);
}

/* The limits of the only one in a list of {.., "value": {..}}; where a virtual host has none,
 * RabbitMQ's tool has an empty line. */
static int show_limits(struct command *command, const char *request)
{
    char error[200];
    struct buffer text;
    int code = fetch(command, request, &text);
    struct json *array = code ? NULL : json_parse(buffer_bytes(&text), error, sizeof(error));
    const struct json *value = json_find(json_item(array, 0), "value");
    bool is_bare =
        !command_is_ours(command) && !command->has_format && strstr(request, "/vhost-limits/");
    if (code == 0 && !array)
        code = say_fail(command, EXIT_SOFTWARE, "the broker's answer is no JSON: %s", error);
    else if (value)
        print_object(value);
    else if (array)
        printf(is_bare ? "\n" : "{}\n");
    json_release(array);
    buffer_free(&text);
    return code;
}

static void say_title(const struct command *command, const char *title, const char *name)
{
    bool is_silent = command_has(command, "quiet") || command_has(command, "silent") ||
                     command->has_format || command_is_ours(command);
    if (!is_silent && name)
        printf("%s \"%s\" ...\n", title, name);
    else if (!is_silent)
        printf("%s ...\n", title);
    fflush(stdout);
}

int run_list_vhost_limits(struct command *command)
{
    bool is_global = command_has(command, "global");
    say_title(command, is_global ? "Listing limits for all vhosts" : "Listing limits for vhost",
              is_global ? NULL : command_vhost(command));
    return is_global ? show(command, "GET /vhost-limits")
                     : show_limits(command, "GET /vhost-limits/{vhost}");
}

/* RabbitMQ's tool shows those of guest when nobody is named. */
int run_list_user_limits(struct command *command)
{
    const char *user = command_option(command, "user");
    if (!user && !command_is_ours(command) && !command_has(command, "global"))
        user = "guest";
    say_title(command, user ? "Listing limits for user" : "Listing limits for all users", user);
    if (!user)
        return show(command, "GET /user-limits");
    return show_limits(command, command_has(command, "user") ? "GET /user-limits/{user}"
                                                             : "GET /user-limits/guest");
}
