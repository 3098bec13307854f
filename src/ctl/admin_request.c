/* What admin.def says about an object's words becomes a path and a body. */
#include "ctl/admin_request.h"

#include <stdio.h>

#include "ctl/term.h"

static struct admin_word *find_word(struct admin_request *request, struct bytes name)
{
    for (size_t i = 0; i < request->count; i++)
        if (bytes_equal(request->words[i].name, name))
            return &request->words[i];
    return NULL;
}

const char *admin_request_value(struct admin_request *request, const char *name)
{
    const struct admin_word *word = find_word(request, bytes_str(name));
    return word ? word->value : NULL;
}

/* The value in JSON; NULL: it is none, which was said. */
static struct json *read_json(const char *value)
{
    struct buffer text = {0};
    char error[200];
    buffer_add(&text, "[", 1);
    buffer_add(&text, value, strlen(value));
    buffer_add(&text, "]", 1);
    struct json *document = json_parse(buffer_bytes(&text), error, sizeof(error));
    buffer_free(&text);
    if (json_count(document) == 1)
        return document;
    json_release(document);
    fprintf(stderr, "ERROR: Could not parse JSON:\n  %s\n", value);
    return NULL;
}

int admin_request_put(struct admin_request *request, struct bytes name, const char *value)
{
    struct admin_word *word = find_word(request, name);
    if (!word && request->count < ADMIN_WORDS_MAX)
        word = &request->words[request->count++];
    if (!word)
        return admin_refuse("too many arguments");
    json_release(word->document);
    *word = (struct admin_word){name, value, NULL};
    if (admin_has_word(request->object->json, name))
        word->document = read_json(value);
    return admin_has_word(request->object->json, name) && !word->document ? ADMIN_FAILURE : 0;
}

static void put_defaults(struct admin_request *request)
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
        admin_request_put(request, bytes_of(word.data, name_size), value);
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

static int read_argument(struct admin_request *request, const char *argument)
{
    const char *equals = strchr(argument, '=');
    if (!equals)
        return admin_refuse("Argument \"%s\" not in the name=value format", argument);
    struct bytes name = bytes_of(argument, (size_t)(equals - argument));
    if (!is_among(request->object->needed, name) && !is_among(request->object->optional, name))
        return admin_refuse("Argument \"%.*s\" is not recognised", BYTES_ARG(name));
    return admin_request_put(request, name, equals + 1);
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

static int check_needed(struct admin_request *request)
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

int admin_request_read(struct admin *admin, size_t from, struct admin_request *request)
{
    int code = 0;
    put_defaults(request);
    for (size_t i = from; i < admin->argument_count && code == 0; i++)
        code = read_argument(request, admin->arguments[i]);
    if (code == 0)
        code = check_needed(request);
    if (code == 0 && !is_among(request->object->needed, bytes_str("vhost"))) {
        const char *vhost = admin->values[ADMIN_VHOST];
        code = admin_request_put(request, bytes_str("vhost"),
                                 vhost && *vhost ? vhost : admin->values[ADMIN_DECLARE_VHOST]);
    }
    return code;
}

void admin_request_free(struct admin_request *request)
{
    for (size_t i = 0; i < request->count; i++)
        json_release(request->words[i].document);
}

/* The first letter of what a binding leads to stands in its path. */
static int write_path(struct admin_request *request, struct buffer *path)
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
        const char *value = admin_request_value(request, is_kind ? "destination_type" : name);
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

static void write_body(struct admin_request *request, struct buffer *body)
{
    struct json_writer writer = json_writer_of(body);
    const char *type = admin_request_value(request, "queue_type");
    writer.mends = true;
    json_open(&writer, '{');
    for (size_t i = 0; i < request->count; i++) {
        const struct admin_word *word = &request->words[i];
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

int admin_request_send(struct admin *admin, struct admin_request *request, struct reply *reply)
{
    struct buffer path = {0}, body = {0};
    int code = write_path(request, &path);
    if (strcmp(request->object->method, "DELETE") != 0)
        write_body(request, &body);
    if (code == 0)
        code = admin_ask(admin, request->object->method, buffer_bytes(&path), buffer_bytes(&body),
                         reply);
    buffer_free(&path);
    buffer_free(&body);
    return code;
}
