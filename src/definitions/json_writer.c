#include "definitions/json_writer.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/utf8.h"

static void add(struct json_writer *writer, const char *text)
{
    buffer_add(writer->out, text, strlen(text));
}

static void add_byte(struct json_writer *writer, char byte)
{
    *buffer_room(writer->out, 1) = (uint8_t)byte;
    buffer_added(writer->out, 1);
}

static void begin_value(struct json_writer *writer)
{
    if (writer->state == JSON_AFTER_VALUE)
        add_byte(writer, ',');
    writer->state = JSON_AFTER_VALUE;
}

static void add_value(struct json_writer *writer, const char *text)
{
    begin_value(writer);
    add(writer, text);
}

/* Is this a character that stands in a string as it is? */
static bool is_plain(uint8_t byte)
{
    return byte >= 0x20 && byte < 0x7f && byte != '"' && byte != '\\';
}

static void add_escaped(struct json_writer *writer, uint8_t byte)
{
    char escaped[8];
    if (byte == '"' || byte == '\\')
        snprintf(escaped, sizeof(escaped), "\\%c", byte);
    else
        snprintf(escaped, sizeof(escaped), "\\u%04x", byte);
    add(writer, escaped);
}

/* One character, or one byte that begins none; returns what it takes. */
static size_t add_character(struct json_writer *writer, struct bytes text)
{
    size_t size = utf8_character(text);
    if (size == 0) {
        writer->is_bad = true;
        if (writer->mends)
            add(writer, "\xef\xbf\xbd");
        else
            buffer_add_u8(writer->out, text.data[0]);
        return 1;
    }
    if (size == 1)
        add_escaped(writer, text.data[0]);
    else
        buffer_add(writer->out, text.data, size);
    return size;
}

/* Copies characters that stand as they are; returns how many there are before another one. */
static size_t add_plain(struct json_writer *writer, struct bytes text)
{
    uint8_t *to = buffer_room(writer->out, text.size);
    size_t size = 0;
    for (; size < text.size && is_plain(text.data[size]); size++)
        to[size] = text.data[size];
    buffer_added(writer->out, size);
    return size;
}

static void add_string(struct json_writer *writer, struct bytes text)
{
    add_byte(writer, '"');
    for (size_t i = 0; i < text.size;) {
        i += add_plain(writer, bytes_of(text.data + i, text.size - i));
        if (i < text.size)
            i += add_character(writer, bytes_of(text.data + i, text.size - i));
    }
    add_byte(writer, '"');
}

void json_open(struct json_writer *writer, char bracket)
{
    begin_value(writer);
    add_byte(writer, bracket);
    writer->state = JSON_BEGIN;
}

void json_close(struct json_writer *writer, char bracket)
{
    add_byte(writer, bracket);
    writer->state = JSON_AFTER_VALUE;
}

void json_name(struct json_writer *writer, struct bytes name)
{
    begin_value(writer);
    add_string(writer, name);
    add_byte(writer, ':');
    writer->state = JSON_AFTER_NAME;
}

void json_put_text(struct json_writer *writer, struct bytes text)
{
    begin_value(writer);
    add_string(writer, text);
}

void json_put_whole(struct json_writer *writer, int64_t number)
{
    char text[24], *at = text + sizeof(text);
    uint64_t left = number < 0 ? -(uint64_t)number : (uint64_t)number;
    do
        *--at = (char)('0' + left % 10);
    while (left /= 10);
    if (number < 0)
        *--at = '-';
    begin_value(writer);
    buffer_add(writer->out, at, (size_t)(text + sizeof(text) - at));
}

/* As many digits as it takes to be read as the same number. */
static void put_digits(struct json_writer *writer, double number)
{
    char text[40];
    snprintf(text, sizeof(text), "%.15g", number);
    if (strtod(text, NULL) != number)
        snprintf(text, sizeof(text), "%.17g", number);
    add_value(writer, text);
    if (!strpbrk(text, ".e"))
        add(writer, ".0");
}

void json_put_fraction(struct json_writer *writer, double number)
{
    if (number != 1 && (number != 0 || signbit(number))) {
        put_digits(writer, number);
        return;
    }
    begin_value(writer);
    add(writer, number == 0 ? "0.0" : "1.0");
}

void json_put_flag(struct json_writer *writer, bool flag)
{
    add_value(writer, flag ? "true" : "false");
}

void json_put_null(struct json_writer *writer)
{
    add_value(writer, "null");
}

static void put_items(struct json_writer *writer, const struct json *array)
{
    json_open(writer, '[');
    for (size_t i = 0; i < json_count(array); i++)
        json_put(writer, json_item(array, i));
    json_close(writer, ']');
}

static void put_members(struct json_writer *writer, const struct json *object)
{
    struct bytes name;
    const struct json *value;
    json_open(writer, '{');
    for (struct json_walk walk = json_walk_of(object); json_next(&walk, &name, &value);) {
        json_name(writer, name);
        json_put(writer, value);
    }
    json_close(writer, '}');
}

/* What is read is no deeper than json.h has it. */
void json_put(struct json_writer *writer, const struct json *value)
{
    switch (json_kind_of(value)) {
    case JSON_IS_TEXT:
        json_put_text(writer, json_text(value));
        return;
    case JSON_IS_WHOLE:
        json_put_whole(writer, json_whole(value));
        return;
    case JSON_IS_FRACTION:
        json_put_fraction(writer, json_fraction(value));
        return;
    case JSON_IS_BOOL:
        json_put_flag(writer, json_flag(value));
        return;
    case JSON_IS_ARRAY:
        put_items(writer, value);
        return;
    case JSON_IS_OBJECT:
        put_members(writer, value);
        return;
    default:
        json_put_null(writer);
    }
}

void json_put_written(struct json_writer *writer, struct bytes json)
{
    begin_value(writer);
    buffer_add(writer->out, json.data, json.size);
}

void json_add_text(struct json_writer *writer, const char *name, struct bytes text)
{
    json_name(writer, bytes_str(name));
    json_put_text(writer, text);
}

void json_add_whole(struct json_writer *writer, const char *name, int64_t number)
{
    json_name(writer, bytes_str(name));
    json_put_whole(writer, number);
}

void json_add_flag(struct json_writer *writer, const char *name, bool flag)
{
    json_name(writer, bytes_str(name));
    json_put_flag(writer, flag);
}

void json_add_open(struct json_writer *writer, const char *name, char bracket)
{
    json_name(writer, bytes_str(name));
    json_open(writer, bracket);
}
