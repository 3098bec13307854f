/* What rabbitmqadmin does: requests from its words, and what is said of the answers. */
#include "ctl/admin.h"

#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/base64.h"
#include "ctl/admin_request.h"
#include "ctl/term.h"

const struct admin_listing admin_listings[] = {
#define LISTING(verb, type, is_scoped, columns, json) {#verb, #type, is_scoped, columns, json},
#define OBJECT(verb, type, method, path, needed, optional, json)
#include "ctl/admin.def"
#undef LISTING
#undef OBJECT
};

const struct admin_object admin_objects[] = {
#define LISTING(verb, type, is_scoped, columns, json)
#define OBJECT(verb, type, method, path, needed, optional, json)                                   \
    {#verb, #type, method, path, needed, optional, json},
#include "ctl/admin.def"
#undef LISTING
#undef OBJECT
};

const size_t admin_listing_count = sizeof(admin_listings) / sizeof(admin_listings[0]);
const size_t admin_object_count = sizeof(admin_objects) / sizeof(admin_objects[0]);

/* ---- what is said ---- */

bool admin_next_word(const char **at, struct bytes *word)
{
    *at += strspn(*at, " ");
    *word = bytes_of(*at, strcspn(*at, " "));
    *at += word->size;
    return word->size > 0;
}

bool admin_has_word(const char *words, struct bytes word)
{
    struct bytes other;
    while (admin_next_word(&words, &other))
        if (bytes_equal(other, word))
            return true;
    return false;
}

int admin_refuse(const char *format, ...)
{
    va_list list;
    fprintf(stderr, "\nERROR: ");
    va_start(list, format);
    vfprintf(stderr, format, list);
    va_end(list);
    fprintf(stderr, "\n\nrabbitmqadmin --help for help\n\n");
    return ADMIN_FAILURE;
}

int admin_die(const char *format, ...)
{
    va_list list;
    fprintf(stderr, "*** ");
    va_start(list, format);
    vfprintf(stderr, format, list);
    va_end(list);
    fprintf(stderr, "\n\n");
    return ADMIN_FAILURE;
}

static int say(const struct admin *admin, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static int say(const struct admin *admin, const char *format, ...)
{
    va_list list;
    if (admin_is_set(admin, ADMIN_QUIET))
        return 0;
    va_start(list, format);
    vprintf(format, list);
    va_end(list);
    printf("\n");
    return 0;
}

/* ---- requests ---- */

static int say_answer(const struct reply *reply, struct bytes path)
{
    char error[200];
    struct json *document = json_parse(buffer_bytes(&reply->body), error, sizeof(error));
    struct bytes reason = json_text(json_find(document, "reason"));
    if (reply->status == 400 && reason.size)
        admin_die("%.*s", BYTES_ARG(reason));
    else if (reply->status == 401)
        admin_die("Access refused: %.*s", BYTES_ARG(path));
    else if (reply->status == 404)
        admin_die("Not found: %.*s", BYTES_ARG(path));
    else
        admin_die("Received response %d for path %.*s\n%.*s", reply->status, BYTES_ARG(path),
                  BYTES_ARG(buffer_bytes(&reply->body)));
    json_release(document);
    return ADMIN_FAILURE;
}

static int say_silence(const struct admin *admin)
{
    const struct client *client = &admin->client;
    if (client->trouble == CLIENT_TOO_LATE)
        return admin_die("Timed out getting HTTP response (request timeout: %s seconds)",
                         admin->values[ADMIN_REQUEST_TIMEOUT]);
    if (client->trouble == CLIENT_NO_SENSE)
        return admin_die("Error getting HTTP response:\n\n%s", client->error);
    return admin_die("Could not connect: %s", client->error);
}

int admin_ask(struct admin *admin, const char *method, struct bytes path, struct bytes body,
              struct reply *reply)
{
    struct buffer whole = {0};
    int code = 0;
    if (!client_call(&admin->client, method, path, body, NULL, reply))
        return say_silence(admin);
    if (reply->status < 400)
        return 0;
    buffer_add(&whole, admin->client.target.prefix, strlen(admin->client.target.prefix));
    buffer_add(&whole, "/api", 4);
    buffer_add(&whole, path.data, path.size);
    code = say_answer(reply, buffer_bytes(&whole));
    buffer_free(&whole);
    buffer_free(&reply->body);
    return code;
}

/* ---- lists ---- */

static const struct admin_listing *find_listing(const char *verb, const char *type)
{
    for (size_t i = 0; i < admin_listing_count; i++)
        if (strcmp(admin_listings[i].verb, verb) == 0 && strcmp(admin_listings[i].type, type) == 0)
            return &admin_listings[i];
    return NULL;
}

static void add(struct buffer *out, const char *text)
{
    buffer_add(out, text, strlen(text));
}

/* Spaces cannot be in a request; all else is as it was given. */
static void add_plain(struct buffer *out, const char *text)
{
    for (; *text; text++) {
        if ((uint8_t)*text <= ' ')
            add(out, "%20");
        else
            buffer_add_u8(out, (uint8_t)*text);
    }
}

static void add_columns(const struct admin_view *view, struct buffer *path)
{
    const char *at = view->columns;
    struct bytes word;
    size_t count = 0;
    for (size_t i = 0; i < view->named_count; i++) {
        add(path, count++ ? "," : "columns=");
        add_plain(path, view->named[i]);
    }
    while (view->named_count == 0 && admin_next_word(&at, &word)) {
        add(path, count++ ? "," : "columns=");
        buffer_add(path, word.data, word.size);
    }
}

static void write_list_path(const struct admin *admin, const struct admin_listing *listing,
                            const struct admin_view *view, struct buffer *path)
{
    const char *vhost = admin->values[ADMIN_VHOST], *sort = admin->values[ADMIN_SORT];
    add(path, "/");
    for (const char *letter = listing->type; *letter; letter++)
        buffer_add_u8(path, *letter == '_' ? '-' : (uint8_t)*letter);
    if (listing->is_scoped && vhost && *vhost) {
        add(path, "/");
        client_add_encoded(path, vhost);
    }
    size_t before = path->size;
    add(path, "?");
    add_columns(view, path);
    if (sort && *sort) {
        add(path, path->data[path->size - 1] == '?' ? "sort=" : "&sort=");
        add_plain(path, sort);
    }
    if (admin_is_set(admin, ADMIN_SORT_REVERSE))
        add(path, path->data[path->size - 1] == '?' ? "sort_reverse=true" : "&sort_reverse=true");
    if (path->size == before + 1)
        path->size = before;
}

static int show(struct admin *admin, const struct admin_listing *listing,
                const struct admin_view *view)
{
    bool is_single = strcmp(listing->verb, "show") == 0;
    struct buffer path = {0}, array = {0};
    struct reply reply;
    write_list_path(admin, listing, view, &path);
    int code = admin_ask(admin, "GET", buffer_bytes(&path), bytes_of(NULL, 0), &reply);
    buffer_free(&path);
    if (code)
        return code;
    add(&array, is_single ? "[" : "");
    buffer_add(&array, reply.body.data, reply.body.size);
    add(&array, is_single ? "]" : "");
    code = admin_show(admin, buffer_bytes(&array), view);
    buffer_free(&reply.body);
    buffer_free(&array);
    return code;
}

static int run_list(struct admin *admin)
{
    const char *verb = admin->arguments[0];
    const char *type = admin->argument_count > 1 ? admin->arguments[1] : "";
    const struct admin_listing *listing = find_listing(verb, type);
    bool takes_usual =
        !admin_is_set(admin, ADMIN_DEPTH) && !strstr(admin->values[ADMIN_FORMAT], "json");
    if (!listing)
        return admin_refuse("Don't know how to %s %s", verb, type);
    struct admin_view view = {takes_usual ? listing->columns : "", admin->arguments + 2,
                              admin->argument_count - 2, listing->json};
    return show(admin, listing, &view);
}

/* ---- objects ---- */

static const struct admin_object *find_object(const char *verb, const char *type)
{
    for (size_t i = 0; i < admin_object_count; i++)
        if (strcmp(admin_objects[i].verb, verb) == 0 && strcmp(admin_objects[i].type, type) == 0)
            return &admin_objects[i];
    return NULL;
}

/* declare, delete, close and purge. */
static int run_object(struct admin *admin)
{
    static const struct {
        const char *verb, *done;
    } words[] = {
        {"declare", "declared"}, {"delete", "deleted"}, {"close", "closed"}, {"purge", "purged"}};
    const char *verb = admin->arguments[0];
    struct reply reply = {0};
    if (admin->argument_count < 2)
        return admin_refuse("Type not specified");
    struct admin_request request = {.object = find_object(verb, admin->arguments[1])};
    if (!request.object)
        return admin_refuse("Type %s not recognised", admin->arguments[1]);
    int code = admin_request_read(admin, 2, &request);
    if (code == 0)
        code = admin_request_send(admin, &request, &reply);
    for (size_t i = 0; code == 0 && i < sizeof(words) / sizeof(words[0]); i++)
        if (strcmp(words[i].verb, verb) == 0)
            say(admin, "%s %s", admin->arguments[1], words[i].done);
    buffer_free(&reply.body);
    admin_request_free(&request);
    return code;
}

/* ---- messages ---- */

/* Adds what a file has. False: it cannot be read. */
static bool read_all(FILE *file, struct buffer *out)
{
    size_t size;
    while (file && (size = fread(buffer_room(out, 65536), 1, 65536, file)))
        buffer_added(out, size);
    return file && !ferror(file);
}

/* Without a payload it is the standard input. */
static int add_payload(struct admin_request *request, struct buffer *text)
{
    struct buffer input = {0};
    if (admin_request_value(request, "payload"))
        return 0;
    if (!read_all(stdin, &input)) {
        buffer_free(&input);
        return admin_die("The standard input cannot be read");
    }
    base64_write(buffer_bytes(&input), text);
    buffer_add_u8(text, '\0');
    buffer_free(&input);
    int code = admin_request_put(request, bytes_str("payload"), (const char *)text->data);
    return code ? code : admin_request_put(request, bytes_str("payload_encoding"), "base64");
}

static int say_published(const struct admin *admin, const struct reply *reply)
{
    char error[200];
    struct json *document = json_parse(buffer_bytes(&reply->body), error, sizeof(error));
    bool is_routed = json_flag(json_find(document, "routed"));
    json_release(document);
    return say(admin, is_routed ? "Message published" : "Message published but NOT routed");
}

static int run_publish(struct admin *admin)
{
    struct admin_request request = {.object = find_object("publish", "")};
    struct buffer payload = {0};
    struct reply reply = {0};
    int code = admin_request_read(admin, 1, &request);
    if (code == 0)
        code = add_payload(&request, &payload);
    if (code == 0)
        code = admin_request_send(admin, &request, &reply);
    if (code == 0)
        say_published(admin, &reply);
    buffer_free(&reply.body);
    buffer_free(&payload);
    admin_request_free(&request);
    return code;
}

/* The payload of the first message; 0, or the code. */
static int write_payload(const struct reply *reply, const char *path)
{
    char error[200];
    struct buffer decoded = {0};
    struct json *document = json_parse(buffer_bytes(&reply->body), error, sizeof(error));
    const struct json *message = json_item(document, 0);
    struct bytes payload = term_payload(message, &decoded);
    int code = 0;
    FILE *file = message ? fopen(path, "we") : NULL;
    if (!message)
        code = admin_die("There is no message");
    else if (!file || fwrite(payload.data, 1, payload.size, file) != payload.size)
        code = admin_die("%s cannot be written", path);
    if (file && fclose(file) != 0 && code == 0)
        code = admin_die("%s cannot be written", path);
    buffer_free(&decoded);
    json_release(document);
    return code;
}

static int show_messages(struct admin *admin, struct admin_request *request)
{
    const char *path = admin_request_value(request, "payload_file");
    const struct admin_view view = {
        path && *path ? "routing_key exchange message_count payload_bytes redelivered" : "", NULL,
        0, ""};
    struct reply reply;
    int code = admin_request_send(admin, request, &reply);
    if (code)
        return code;
    if (path && *path)
        code = write_payload(&reply, path);
    if (code == 0)
        code = admin_show(admin, buffer_bytes(&reply.body), &view);
    buffer_free(&reply.body);
    return code;
}

static int run_get(struct admin *admin)
{
    struct admin_request request = {.object = find_object("get", "")};
    int code = admin_request_read(admin, 1, &request);
    const char *file = code ? NULL : admin_request_value(&request, "payload_file");
    if (file && *file && strcmp(admin_request_value(&request, "count"), "1") != 0)
        code = admin_refuse("Cannot get multiple messages using payload_file");
    if (code == 0)
        code = show_messages(admin, &request);
    admin_request_free(&request);
    return code;
}

/* ---- definitions ---- */

static void write_definitions_path(const struct admin *admin, struct buffer *path)
{
    const char *vhost = admin->values[ADMIN_VHOST];
    add(path, "/definitions");
    if (vhost && *vhost) {
        add(path, "/");
        client_add_encoded(path, vhost);
    }
}

static int write_file(const char *path, struct bytes text)
{
    FILE *file = fopen(path, "we");
    bool is_written = file && fwrite(text.data, 1, text.size, file) == text.size;
    if (file && fclose(file) != 0)
        is_written = false;
    return is_written ? 0 : admin_die("%s cannot be written", path);
}

static int run_export(struct admin *admin)
{
    struct buffer path = {0};
    struct reply reply;
    if (admin->argument_count != 2)
        return admin_refuse("Exactly one argument required");
    write_definitions_path(admin, &path);
    int code = admin_ask(admin, "GET", buffer_bytes(&path), bytes_of(NULL, 0), &reply);
    buffer_free(&path);
    if (code)
        return code;
    code = write_file(admin->arguments[1], buffer_bytes(&reply.body));
    buffer_free(&reply.body);
    return code ? code
                : say(admin, "Exported definitions for %s to \"%s\"", admin->values[ADMIN_HOST],
                      admin->arguments[1]);
}

/* The places of host and file are those that version 1 has. */
static int run_import(struct admin *admin)
{
    struct buffer path = {0}, text = {0};
    struct reply reply = {0};
    if (admin->argument_count != 2)
        return admin_refuse("Exactly one argument required");
    FILE *file = fopen(admin->arguments[1], "re");
    bool is_read = read_all(file, &text);
    if (file)
        fclose(file);
    write_definitions_path(admin, &path);
    int code = is_read ? admin_ask(admin, "POST", buffer_bytes(&path), buffer_bytes(&text), &reply)
                       : admin_die("%s cannot be read", admin->arguments[1]);
    buffer_free(&path);
    buffer_free(&text);
    buffer_free(&reply.body);
    return code ? code
                : say(admin,
                      "Uploaded definitions from \"%s\" to %s. The import process may take some "
                      "time. Consult server logs to track progress.",
                      admin->values[ADMIN_HOST], admin->arguments[1]);
}

/* ---- all of it ---- */

static void set_target(struct admin *admin, struct target *target)
{
    const char *const *values = admin->values;
    *target = (struct target){.has_user = true, .is_tls = admin_is_set(admin, ADMIN_SSL)};
    snprintf(target->host, sizeof(target->host), "%s", values[ADMIN_HOST]);
    snprintf(target->port, sizeof(target->port), "%s", values[ADMIN_PORT]);
    snprintf(target->user, sizeof(target->user), "%s", values[ADMIN_USERNAME]);
    snprintf(target->password, sizeof(target->password), "%s", values[ADMIN_PASSWORD]);
    snprintf(target->prefix, sizeof(target->prefix), "%s", values[ADMIN_PATH_PREFIX]);
    snprintf(target->name, sizeof(target->name), "%s:%s", target->host, target->port);
    target->tls = (struct target_tls){
        .authorities = values[ADMIN_SSL_CA_CERT_FILE],
        .certificate = values[ADMIN_SSL_CERT_FILE],
        .key = values[ADMIN_SSL_KEY_FILE],
        .takes_any = admin_is_set(admin, ADMIN_SSL_INSECURE),
        .takes_any_name = admin_is_set(admin, ADMIN_SSL_NO_NAME),
    };
}

static int run(struct admin *admin)
{
    static const struct {
        const char *name;
        int (*run)(struct admin *admin);
    } actions[] = {{"list", run_list},     {"show", run_list},     {"declare", run_object},
                   {"delete", run_object}, {"close", run_object},  {"purge", run_object},
                   {"export", run_export}, {"import", run_import}, {"publish", run_publish},
                   {"get", run_get},       {"help", admin_help}};
    if (admin->argument_count == 0)
        return admin_refuse("Action not specified");
    for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++)
        if (strcmp(actions[i].name, admin->arguments[0]) == 0)
            return actions[i].run(admin);
    return admin_refuse("Action %s not understood", admin->arguments[0]);
}

int admin_main(int count, char **words)
{
    struct admin admin = {.client.fd = -1};
    struct target target;
    int code = admin_read(&admin, count, words);
    if (code == 0 && admin_is_set(&admin, ADMIN_HELP)) {
        admin_print_help(stdout);
    } else if (code == 0 && admin_is_set(&admin, ADMIN_VERSION)) {
        printf("rabbitmqadmin %s\n", PACKAGE_VERSION);
    } else if (code == 0 && admin_is_set(&admin, ADMIN_BASH_COMPLETION)) {
        admin_print_completion(stdout);
    } else if (code == 0) {
        set_target(&admin, &target);
        client_init(&admin.client, &target, strtod(admin.values[ADMIN_REQUEST_TIMEOUT], NULL));
        code = run(&admin);
    }
    admin_free(&admin);
    return code;
}
