/* Methods, properties and tables to text, and the names that reading shares with it. */
#include "amqp/text.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include "amqp/table.h"
#include "amqp/text_fields.h"

const struct text_type text_types[TEXT_TYPES] = {
    {'t', "bool"}, {'b', "i8"},  {'B', "u8"},   {'s', "i16"},   {'u', "u16"},   {'I', "i32"},
    {'i', "u32"},  {'l', "i64"}, {'L', "L"},    {'f', "f32"},   {'d', "f64"},   {'D', "dec"},
    {'S', "str"},  {'x', "bin"}, {'T', "time"}, {'F', "table"}, {'A', "array"}, {'V', "void"},
};

const struct method_field text_property_fields[TEXT_PROPERTIES] = {
#define OCTET METHOD_FIELD_OCTET
#define LONGLONG METHOD_FIELD_LONGLONG
#define SHORTSTR METHOD_FIELD_SHORTSTR
#define TABLE METHOD_FIELD_TABLE
#define PROPERTY(NAME, name, kind, bit) {#name, kind, offsetof(struct properties, name)},
#include "amqp/properties.def"
};

const uint16_t text_property_flags[TEXT_PROPERTIES] = {
#define PROPERTY(NAME, name, kind, bit) PROPERTY_##NAME,
#include "amqp/properties.def"
};

static void add(struct buffer *out, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void add(struct buffer *out, const char *format, ...)
{
    char text[64];
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    buffer_add(out, text, (size_t)size < sizeof(text) ? (size_t)size : sizeof(text) - 1);
}

static bool is_bare(uint8_t byte, bool is_name)
{
    return byte > ' ' && byte < 0x7f && !strchr("\"\\,*{}[]", byte) && !(is_name && byte == ':');
}

static void add_string(struct buffer *out, struct bytes string, bool is_name)
{
    bool bare = string.size > 0;
    for (size_t i = 0; i < string.size; i++)
        bare = bare && is_bare(string.data[i], is_name);
    if (bare) {
        buffer_add(out, string.data, string.size);
        return;
    }
    buffer_add(out, "\"", 1);
    for (size_t i = 0; i < string.size; i++) {
        uint8_t byte = string.data[i];
        if (byte == '"' || byte == '\\')
            add(out, "\\%c", byte);
        else if (byte >= ' ' && byte < 0x7f)
            buffer_add(out, &byte, 1);
        else
            add(out, "\\x%02x", byte);
    }
    buffer_add(out, "\"", 1);
}

void text_string(struct buffer *out, struct bytes string)
{
    add_string(out, string, false);
}

static void add_contents(struct buffer *out, struct bytes contents, bool is_array, unsigned depth);

static void add_value(struct buffer *out, const struct field *field, unsigned depth)
{
    switch (field->type) {
    case 't':
        add(out, "%d", field->value.boolean);
        break;
    case 'T':
        add(out, "%" PRIu64, field->value.timestamp);
        break;
    case 'f':
        add(out, "%.9g", field->value.number);
        break;
    case 'd':
        add(out, "%.17g", field->value.number);
        break;
    case 'D':
        add(out, "%u/%" PRIu32, field->value.decimal.scale, field->value.decimal.digits);
        break;
    case 'S':
    case 'x':
        text_string(out, field->value.bytes);
        break;
    case 'F':
    case 'A':
        add_contents(out, field->value.bytes, field->type == 'A', depth);
        break;
    default:
        add(out, "%" PRId64, field->value.integer);
    }
}

static void add_field(struct buffer *out, const struct field *field, bool in_array, unsigned depth)
{
    if (!in_array) {
        add_string(out, field->name, true);
        add(out, ":");
    }
    for (size_t i = 0; i < TEXT_TYPES; i++)
        if (text_types[i].type == field->type)
            add(out, "%s", text_types[i].name);
    if (field->type == 'V')
        return;
    add(out, " ");
    add_value(out, field, depth);
}

static void add_contents(struct buffer *out, struct bytes contents, bool is_array, unsigned depth)
{
    struct reader walk = reader_of(contents);
    struct field field;
    const char *between = "";
    add(out, is_array ? "[" : "{");
    while (depth < TABLE_DEPTH_MAX &&
           (is_array ? array_next(&walk, &field) : table_next(&walk, &field))) {
        add(out, "%s", between);
        add_field(out, &field, is_array, depth + 1);
        between = ", ";
    }
    add(out, is_array ? "]" : "}");
}

void text_table(struct buffer *out, struct bytes table)
{
    add_contents(out, table, false, 0);
}

uint64_t text_field_number(const void *base, const struct method_field *field)
{
    const void *at = (const uint8_t *)base + field->offset;
    switch (field->kind) {
    case METHOD_FIELD_OCTET:
        return *(const uint8_t *)at;
    case METHOD_FIELD_SHORT:
        return *(const uint16_t *)at;
    case METHOD_FIELD_LONG:
        return *(const uint32_t *)at;
    case METHOD_FIELD_LONGLONG:
        return *(const uint64_t *)at;
    case METHOD_FIELD_BIT:
        return *(const bool *)at;
    default:
        return 0;
    }
}

struct bytes text_field_bytes(const void *base, const struct method_field *field)
{
    if (field->kind < METHOD_FIELD_SHORTSTR)
        return bytes_of(NULL, 0);
    return *(const struct bytes *)(const void *)((const uint8_t *)base + field->offset);
}

void text_field_set_number(void *base, const struct method_field *field, uint64_t number)
{
    void *at = (uint8_t *)base + field->offset;
    switch (field->kind) {
    case METHOD_FIELD_OCTET:
        *(uint8_t *)at = (uint8_t)number;
        break;
    case METHOD_FIELD_SHORT:
        *(uint16_t *)at = (uint16_t)number;
        break;
    case METHOD_FIELD_LONG:
        *(uint32_t *)at = (uint32_t)number;
        break;
    case METHOD_FIELD_LONGLONG:
        *(uint64_t *)at = number;
        break;
    default:
        *(bool *)at = number & 1;
    }
}

static void add_member(struct buffer *out, const void *base, const struct method_field *field)
{
    add(out, "%s=", field->name);
    if (field->kind == METHOD_FIELD_TABLE)
        text_table(out, text_field_bytes(base, field));
    else if (field->kind >= METHOD_FIELD_SHORTSTR)
        text_string(out, text_field_bytes(base, field));
    else
        add(out, "%" PRIu64, text_field_number(base, field));
}

void text_method(struct buffer *out, const union method *method)
{
    const struct method_info *info = method_info(method->id);
    add(out, "%s", method_name(method->id));
    for (size_t i = 0; info && i < info->field_count; i++) {
        if (!text_field_number(method, &info->fields[i]) &&
            !text_field_bytes(method, &info->fields[i]).size)
            continue;
        add(out, " ");
        add_member(out, method, &info->fields[i]);
    }
}

void text_properties(struct buffer *out, const struct properties *properties)
{
    const char *between = "";
    for (size_t i = 0; i < TEXT_PROPERTIES; i++) {
        if (!(properties->flags & text_property_flags[i]))
            continue;
        add(out, "%s", between);
        add_member(out, properties, &text_property_fields[i]);
        between = " ";
    }
}
