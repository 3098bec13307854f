#include "definitions/json_writer.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/utf8.h"

static void add(struct json_writer *writer, const char *text)
{
    buffer_add(writer->out, text, strlen(text));
}

static void begin_value(struct json_writer *writer)
{
    if (writer->state == JSON_AFTER_VALUE)
        add(writer, ",");
    writer->state = JSON_AFTER_VALUE;
}

static void add_value(struct json_writer *writer, const char *text)
{
    begin_value(writer);
    add(writer, text);
}

static void add_byte(struct json_writer *writer, uint8_t byte)
{
    char escaped[8];
    if (byte == '"' || byte == '\\') {
        snprintf(escaped, sizeof(escaped), "\\%c", byte);
        add(writer, escaped);
    } else if (byte < 0x20 || byte == 0x7f) {
        snprintf(escaped, sizeof(escaped), "\\u%04x", byte);
        add(writer, escaped);
    } else {
        buffer_add_u8(writer->out, byte);
    }
}

static void add_string(struct json_writer *writer, struct bytes text)
{
    if (!utf8_is_valid(text))
        writer->is_bad = true;
    add(writer, "\"");
    for (size_t i = 0; i < text.size; i++)
        add_byte(writer, text.data[i]);
    add(writer, "\"");
}

void json_open(struct json_writer *writer, char bracket)
{
    begin_value(writer);
    buffer_add_u8(writer->out, (uint8_t)bracket);
    writer->state = JSON_BEGIN;
}

void json_close(struct json_writer *writer, char bracket)
{
    buffer_add_u8(writer->out, (uint8_t)bracket);
    writer->state = JSON_AFTER_VALUE;
}

void json_name(struct json_writer *writer, struct bytes name)
{
    begin_value(writer);
    add_string(writer, name);
    add(writer, ":");
    writer->state = JSON_AFTER_NAME;
}

void json_put_text(struct json_writer *writer, struct bytes text)
{
    begin_value(writer);
    add_string(writer, text);
}

void json_put_whole(struct json_writer *writer, int64_t number)
{
    char text[32];
    snprintf(text, sizeof(text), "%lld", (long long)number);
    add_value(writer, text);
}

/* As many digits as it takes to be read as the same number. */
void json_put_fraction(struct json_writer *writer, double number)
{
    char text[40];
    snprintf(text, sizeof(text), "%.15g", number);
    if (strtod(text, NULL) != number)
        snprintf(text, sizeof(text), "%.17g", number);
    add_value(writer, text);
    if (!strpbrk(text, ".e"))
        add(writer, ".0");
}

void json_put_flag(struct json_writer *writer, bool flag)
{
    add_value(writer, flag ? "true" : "false");
}

void json_put_null(struct json_writer *writer)
{
    add_value(writer, "null");
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
