/* What rabbitmqadmin does: requests from its words, and what is said of the answers. */
#include "ctl/admin.h"

#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/base64.h"
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

/* 0: the answer is good, and its body is the caller's; else what to end with, which was said. */
static int ask(struct admin *admin, const char *method, struct bytes path, struct bytes body,
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
    int code = ask(admin, "GET", buffer_bytes(&path), bytes_of(NULL, 0), &reply);
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

enum { WORDS_MAX = 16 };

struct word {
    struct bytes name;
    const char *value;
    struct json *document; /* [value], if it is JSON; NULL: it is a text */
};

struct request {
    const struct admin_object *object;
    struct word words[WORDS_MAX];
    size_t count;
    char value_room[256]; /* defaults */
};

static struct word *find_word(struct request *request, struct bytes name)
{
    for (size_t i = 0; i < request->count; i++)
        if (bytes_equal(request->words[i].name, name))
            return &request->words[i];
    return NULL;
}

static const char *value_of(struct request *request, const char *name)
{
    const struct word *word = find_word(request, bytes_str(name));
    return word ? word->value : NULL;
}

/* The value in JSON; NULL: it is none, which was said. */
static struct json *read_json(const char *value)
{
    struct buffer text = {0};
    char error[200];
    add(&text, "[");
    add(&text, value);
    add(&text, "]");
    struct json *document = json_parse(buffer_bytes(&text), error, sizeof(error));
    buffer_free(&text);
    if (json_count(document) == 1)
        return document;
    json_release(document);
    fprintf(stderr, "ERROR: Could not parse JSON:\n  %s\n", value);
    return NULL;
}

/* The last value of a name counts. */
static int put(struct request *request, struct bytes name, const char *value)
{
    struct word *word = find_word(request, name);
    if (!word && request->count < WORDS_MAX)
        word = &request->words[request->count++];
    if (!word)
        return admin_refuse("too many arguments");
    json_release(word->document);
    *word = (struct word){name, value, NULL};
    if (admin_has_word(request->object->json, name))
        word->document = read_json(value);
    return admin_has_word(request->object->json, name) && !word->document ? ADMIN_FAILURE : 0;
}

static void put_defaults(struct request *request)
{
    const char *at = request->object->optional;
    size_t used = 0;
    struct bytes word;
    while (admin_next_word(&at, &word)) {
        const char *equals = memchr(word.data, '=', word.size);
        if (!equals)
            continue;
        size_t name_size = (size_t)((const uint8_t *)equals - word.data);
        char *value = request->value_room + used;
        used += 1 + (size_t)snprintf(value, sizeof(request->value_room) - used, "%.*s",
                                     (int)(word.size - name_size - 1), equals + 1);
        put(request, bytes_of(word.data, name_size), value);
    }
}

/* Is it among "a b|c d=1"? */
static bool is_among(const char *words, struct bytes name)
{
    while (*words) {
        size_t size = strcspn(words, " |=");
        if (size == name.size && memcmp(words, name.data, size) == 0)
            return true;
        words += words[size] == '=' ? strcspn(words, " ") : size;
        words += strspn(words, " |");
    }
    return false;
}

static int read_argument(struct request *request, const char *argument)
{
    const char *equals = strchr(argument, '=');
    if (!equals)
        return admin_refuse("Argument \"%s\" not in the name=value format", argument);
    struct bytes name = bytes_of(argument, (size_t)(equals - argument));
    if (!is_among(request->object->needed, name) && !is_among(request->object->optional, name))
        return admin_refuse("Argument \"%.*s\" is not recognised", BYTES_ARG(name));
    return put(request, name, equals + 1);
}

/* "a|b" as ['a', 'b']. */
static int refuse_without(struct bytes choice)
{
    const uint8_t *bar = memchr(choice.data, '|', choice.size);
    if (!bar)
        return admin_refuse("mandatory argument \"%.*s\" is required", BYTES_ARG(choice));
    int first = (int)(bar - choice.data);
    return admin_refuse("one of mandatory arguments \"['%.*s', '%.*s']\" is required", first,
                        (const char *)choice.data, (int)choice.size - first - 1,
                        (const char *)bar + 1);
}

static int check_needed(struct request *request)
{
    const char *at = request->object->needed;
    struct bytes choice;
    while (admin_next_word(&at, &choice)) {
        bool is_there = false;
        for (size_t i = 0; i < choice.size;) {
            size_t size = strcspn((const char *)choice.data + i, " |");
            is_there = is_there || find_word(request, bytes_of(choice.data + i, size));
            i += size + 1;
        }
        if (!is_there)
            return refuse_without(choice);
    }
    return 0;
}

/* Its words, from the argument of that number on. */
static int read_request(struct admin *admin, size_t from, struct request *request)
{
    int code = 0;
    put_defaults(request);
    for (size_t i = from; i < admin->argument_count && code == 0; i++)
        code = read_argument(request, admin->arguments[i]);
    if (code == 0)
        code = check_needed(request);
    if (code == 0 && !is_among(request->object->needed, bytes_str("vhost"))) {
        const char *vhost = admin->values[ADMIN_VHOST];
        code = put(request, bytes_str("vhost"),
                   vhost && *vhost ? vhost : admin->values[ADMIN_DECLARE_VHOST]);
    }
    return code;
}

static void free_request(struct request *request)
{
    for (size_t i = 0; i < request->count; i++)
        json_release(request->words[i].document);
}

/* The first letter of what a binding leads to stands in its path. */
static int write_path(struct request *request, struct buffer *path)
{
    for (const char *at = request->object->path; *at;) {
        size_t size = strcspn(at, "{");
        char name[32], letter[2] = "";
        buffer_add(path, at, size);
        at += size;
        if (!*at)
            break;
        size = strcspn(at, "}");
        snprintf(name, sizeof(name), "%.*s", (int)size - 1, at + 1);
        at += size + 1;
        bool is_kind = strcmp(name, "kind") == 0;
        const char *value = value_of(request, is_kind ? "destination_type" : name);
        if (!value || !*value)
            return admin_refuse("Argument \"%s\" is empty", name);
        letter[0] = value[0];
        client_add_encoded(path, is_kind ? letter : value);
    }
    return 0;
}

/* Arguments, among which is the type of a queue that was named beside them. */
static void write_arguments(struct json_writer *writer, const struct json *arguments,
                            const char *type)
{
    struct json_walk walk = json_walk_of(arguments);
    struct bytes name;
    const struct json *value;
    json_open(writer, '{');
    while (json_next(&walk, &name, &value)) {
        if (bytes_equal_str(name, "x-queue-type"))
            continue;
        json_name(writer, name);
        term_copy(writer, value);
    }
    json_add_text(writer, "x-queue-type", bytes_str(type));
    json_close(writer, '}');
}

static void write_body(struct request *request, struct buffer *body)
{
    struct json_writer writer = json_writer_of(body);
    const char *type = value_of(request, "queue_type");
    writer.mends = true;
    json_open(&writer, '{');
    for (size_t i = 0; i < request->count; i++) {
        const struct word *word = &request->words[i];
        const struct json *value = json_item(word->document, 0);
        json_name(&writer, word->name);
        if (type && bytes_equal_str(word->name, "arguments"))
            write_arguments(&writer, value, type);
        else if (word->document)
            term_copy(&writer, value);
        else
            json_put_text(&writer, bytes_str(word->value));
    }
    json_close(&writer, '}');
}

static int send_request(struct admin *admin, struct request *request, struct reply *reply)
{
    struct buffer path = {0}, body = {0};
    int code = write_path(request, &path);
    if (strcmp(request->object->method, "DELETE") != 0)
        write_body(request, &body);
    if (code == 0)
        code = ask(admin, request->object->method, buffer_bytes(&path), buffer_bytes(&body), reply);
    buffer_free(&path);
    buffer_free(&body);
    return code;
}

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
    struct request request = {.object = find_object(verb, admin->arguments[1])};
    if (!request.object)
        return admin_refuse("Type %s not recognised", admin->arguments[1]);
    int code = read_request(admin, 2, &request);
    if (code == 0)
        code = send_request(admin, &request, &reply);
    for (size_t i = 0; code == 0 && i < sizeof(words) / sizeof(words[0]); i++)
        if (strcmp(words[i].verb, verb) == 0)
            say(admin, "%s %s", admin->arguments[1], words[i].done);
    buffer_free(&reply.body);
    free_request(&request);
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
static int add_payload(struct request *request, struct buffer *text)
{
    struct buffer input = {0};
    if (value_of(request, "payload"))
        return 0;
    if (!read_all(stdin, &input)) {
        buffer_free(&input);
        return admin_die("The standard input cannot be read");
    }
    base64_write(buffer_bytes(&input), text);
    buffer_add_u8(text, '\0');
    buffer_free(&input);
    int code = put(request, bytes_str("payload"), (const char *)text->data);
    return code ? code : put(request, bytes_str("payload_encoding"), "base64");
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
    struct request request = {.object = find_object("publish", "")};
    struct buffer payload = {0};
    struct reply reply = {0};
    int code = read_request(admin, 1, &request);
    if (code == 0)
        code = add_payload(&request, &payload);
    if (code == 0)
        code = send_request(admin, &request, &reply);
    if (code == 0)
        say_published(admin, &reply);
    buffer_free(&reply.body);
    buffer_free(&payload);
    free_request(&request);
    return code;
}

/* The payload of the first message; 0, or the code. */
static int write_payload(const struct reply *reply, const char *path)
{
    char error[200];
    struct buffer decoded = {0};
    struct json *document = json_parse(buffer_bytes(&reply->body), error, sizeof(error));
    const struct json *message = json_item(document, 0);
    struct bytes payload = json_text(json_find(message, "payload"));
    int code = 0;
    if (bytes_equal_str(json_text(json_find(message, "payload_encoding")), "base64")) {
        base64_read(payload, &decoded);
        payload = buffer_bytes(&decoded);
    }
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

static int show_messages(struct admin *admin, struct request *request)
{
    const char *path = value_of(request, "payload_file");
    const struct admin_view view = {
        path && *path ? "routing_key exchange message_count payload_bytes redelivered" : "", NULL,
        0, ""};
    struct reply reply;
    int code = send_request(admin, request, &reply);
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
    struct request request = {.object = find_object("get", "")};
    int code = read_request(admin, 1, &request);
    const char *file = code ? NULL : value_of(&request, "payload_file");
    if (file && *file && strcmp(value_of(&request, "count"), "1") != 0)
        code = admin_refuse("Cannot get multiple messages using payload_file");
    if (code == 0)
        code = show_messages(admin, &request);
    free_request(&request);
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
    int code = ask(admin, "GET", buffer_bytes(&path), bytes_of(NULL, 0), &reply);
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
    int code = is_read ? ask(admin, "POST", buffer_bytes(&path), buffer_bytes(&text), &reply)
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
