#include "ctl/term.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/base64.h"
#include "base/hash.h"
#include "definitions/json_scan.h"

static void add(struct buffer *out, const char *text)
{
    buffer_add(out, text, strlen(text));
}

/* ---- as JSON ---- */

static void copy_array(struct json_writer *writer, const struct json *array)
{
    json_open(writer, '[');
    for (size_t i = 0; i < json_count(array); i++)
        term_copy(writer, json_item(array, i));
    json_close(writer, ']');
}

static void copy_object(struct json_writer *writer, const struct json *object)
{
    struct json_walk walk = json_walk_of(object);
    struct bytes name;
    const struct json *value;
    json_open(writer, '{');
    while (json_next(&walk, &name, &value)) {
        json_name(writer, name);
        term_copy(writer, value);
    }
    json_close(writer, '}');
}

void term_copy(struct json_writer *writer, const struct json *value)
{
    switch (json_kind_of(value)) {
    case JSON_IS_BOOL:
        json_put_flag(writer, json_flag(value));
        break;
    case JSON_IS_WHOLE:
        json_put_whole(writer, json_whole(value));
        break;
    case JSON_IS_FRACTION:
        json_put_fraction(writer, json_fraction(value));
        break;
    case JSON_IS_TEXT:
        json_put_text(writer, json_text(value));
        break;
    case JSON_IS_ARRAY:
        copy_array(writer, value);
        break;
    case JSON_IS_OBJECT:
        copy_object(writer, value);
        break;
    default:
        json_put_null(writer);
    }
}

static void add_json(struct buffer *out, const struct json *value)
{
    struct json_writer writer = json_writer_of(out);
    term_copy(&writer, value);
}

/* ---- a table of AMQP ---- */

static void add_term_table(struct buffer *out, const struct json *table);

/* A value of Erlang's: texts and numbers are as in JSON. */
static void add_term(struct buffer *out, const struct json *value)
{
    if (json_kind_of(value) == JSON_IS_OBJECT) {
        add_term_table(out, value);
    } else if (json_kind_of(value) == JSON_IS_ARRAY) {
        add(out, "[");
        for (size_t i = 0; i < json_count(value); i++) {
            add(out, i ? "," : "");
            add_term(out, json_item(value, i));
        }
        add(out, "]");
    } else {
        add_json(out, value);
    }
}

static void add_term_table(struct buffer *out, const struct json *table)
{
    struct json_walk walk = json_walk_of(table);
    struct bytes name;
    const struct json *value;
    add(out, "[");
    for (bool is_first = true; json_next(&walk, &name, &value); is_first = false) {
        struct json_writer writer = json_writer_of(out);
        add(out, is_first ? "{" : ",{");
        json_put_text(&writer, name);
        add(out, ",");
        add_term(out, value);
        add(out, "}");
    }
    add(out, "]");
}

/* What AMQP calls the type of a value that came as JSON. */
static const char *type_of(const struct json *value)
{
    switch (json_kind_of(value)) {
    case JSON_IS_BOOL:
        return "bool";
    case JSON_IS_WHOLE:
        return json_whole(value) >= INT32_MIN && json_whole(value) <= INT32_MAX ? "signedint"
                                                                                : "long";
    case JSON_IS_FRACTION:
        return "double";
    case JSON_IS_ARRAY:
        return "array";
    case JSON_IS_OBJECT:
        return "table";
    default:
        return "longstr";
    }
}

static void put_triples(struct json_writer *writer, const struct json *table)
{
    struct json_walk walk = json_walk_of(table);
    struct bytes name;
    const struct json *value;
    json_open(writer, '[');
    while (json_next(&walk, &name, &value)) {
        json_open(writer, '[');
        json_put_text(writer, name);
        json_put_text(writer, bytes_str(type_of(value)));
        if (json_kind_of(value) == JSON_IS_OBJECT)
            put_triples(writer, value);
        else
            term_copy(writer, value);
        json_close(writer, ']');
    }
    json_close(writer, ']');
}

/* ---- messages ---- */

struct bytes term_payload(const struct json *message, struct buffer *room)
{
    struct bytes payload = json_text(json_find(message, "payload"));
    bool is_encoded = bytes_equal_str(json_text(json_find(message, "payload_encoding")), "base64");
    return is_encoded && base64_read(payload, room) ? buffer_bytes(room) : payload;
}

/* ---- cells ---- */

void term_token(const char *node, struct bytes name, struct buffer *out)
{
    char text[64];
    unsigned channel = 0;
    size_t size = name.size;
    if (size && name.data[size - 1] == ')') {
        while (size && name.data[size - 1] != '(')
            size--;
        channel = size ? (unsigned)strtoul((const char *)name.data + size, NULL, 10) : 0;
        name.size = size > 2 ? size - 2 : 0;
    }
    snprintf(text, sizeof(text), ".1.%" PRIu32 ".%u>", (uint32_t)hash_bytes(name, 1), channel);
    add(out, "<");
    add(out, node);
    add(out, text);
}

static void add_tags(struct buffer *out, const struct json *value)
{
    add(out, "[");
    for (size_t i = 0; i < json_count(value); i++) {
        struct bytes tag = json_text(json_item(value, i));
        add(out, i ? ", " : "");
        buffer_add(out, tag.data, tag.size);
    }
    add(out, "]");
}

static void add_plain(struct buffer *out, const struct json *value)
{
    struct bytes text = json_text(value);
    switch (json_kind_of(value)) {
    case JSON_IS_MISSING:
    case JSON_IS_NULL:
        break;
    case JSON_IS_TEXT:
        buffer_add(out, text.data, text.size);
        break;
    default:
        add_json(out, value);
    }
}

static void add_cell(const struct command *command, enum cell_kind kind, const struct json *value,
                     struct buffer *out)
{
    bool is_ours = command_is_ours(command);
    if (kind == CELL_TABLE && !is_ours)
        add_term_table(out, value);
    else if (kind == CELL_TAGS && json_kind_of(value) != JSON_IS_TEXT)
        add_tags(out, value);
    else if (kind == CELL_TEXT)
        add_json(out, value);
    else if (kind == CELL_EXCHANGE)
        add(out, "exchange");
    else if (kind == CELL_CHANNEL)
        term_token(command->node, json_text(value), out);
    else
        add_plain(out, value);
}

static void put_cell(const struct command *command, enum cell_kind kind, const struct json *value,
                     struct json_writer *writer)
{
    struct buffer text = {0};
    if (kind == CELL_CHANNEL || kind == CELL_EXCHANGE ||
        (kind == CELL_TEXT && !command_is_ours(command))) {
        add_cell(command, kind, value, &text);
        json_put_text(writer, buffer_bytes(&text));
    } else if (kind == CELL_TABLE && !command_is_ours(command)) {
        put_triples(writer, value);
    } else if (json_kind_of(value) == JSON_IS_MISSING || json_kind_of(value) == JSON_IS_NULL) {
        if (command_is_ours(command))
            json_put_null(writer);
        else
            json_put_text(writer, bytes_of(NULL, 0));
    } else {
        term_copy(writer, value);
    }
    buffer_free(&text);
}

/* ---- cells of a text ---- */

/* A value as a document with nothing else in it; NULL: there is no value. */
static struct json *parse(struct bytes value)
{
    char error[200];
    struct buffer text = {0};
    if (!value.size)
        return NULL;
    buffer_add(&text, "[", 1);
    buffer_add(&text, value.data, value.size);
    buffer_add(&text, "]", 1);
    struct json *document = json_parse(buffer_bytes(&text), error, sizeof(error));
    buffer_free(&text);
    return document;
}

/* Most values are shown as they stand there, and need not be understood. */
static bool is_shown_as_is(enum cell_kind kind, struct bytes value, struct bytes *text)
{
    if (kind != CELL_PLAIN)
        return false;
    if (json_scan_text(value, text))
        return true;
    *text = bytes_equal_str(value, "null") ? bytes_of(NULL, 0) : value;
    return !value.size || json_scan_is_whole(value) || bytes_equal_str(value, "null") ||
           bytes_equal_str(value, "true") || bytes_equal_str(value, "false");
}

void term_cell(const struct command *command, enum cell_kind kind, struct bytes value,
               struct buffer *out)
{
    struct bytes text;
    if (is_shown_as_is(kind, value, &text)) {
        buffer_add(out, text.data, text.size);
        return;
    }
    struct json *document = parse(value);
    add_cell(command, kind, json_item(document, 0), out);
    json_release(document);
}

void term_json(const struct command *command, enum cell_kind kind, struct bytes value,
               struct json_writer *writer)
{
    struct bytes text;
    if (kind == CELL_PLAIN && json_scan_text(value, &text)) {
        json_put_text(writer, text);
        return;
    }
    if (kind == CELL_PLAIN && json_scan_is_whole(value)) {
        json_put_whole(writer, strtoll((const char *)value.data, NULL, 10));
        return;
    }
    struct json *document = parse(value);
    put_cell(command, kind, json_item(document, 0), writer);
    json_release(document);
}
