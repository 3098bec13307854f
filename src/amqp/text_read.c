/* Text to methods, properties and tables: a descent over the text with one position and one error.
 * What it finds goes straight into the structs, by the offsets of the method table, and strings and
 * tables into memory that is reserved at once, so that pointers into it stay good: an item of a
 * table takes at most 9 bytes for 2 characters. */
#include "amqp/text.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "amqp/table.h"
#include "amqp/text_fields.h"

struct text_reader {
    const uint8_t *start;
    const uint8_t *at;
    const uint8_t *end;
    struct writer memory;
    const char *error;
};

static void fail(struct text_reader *reader, const char *error)
{
    if (!reader->error)
        reader->error = error;
}

static bool reader_init(struct text_reader *reader, struct bytes text, struct buffer *memory)
{
    buffer_drop(memory, memory->size);
    struct reader bytes = reader_of(text);
    *reader = (struct text_reader){bytes.at, bytes.at, bytes.end, {NULL, NULL, true}, NULL};
    if (text.size > TEXT_MAX) {
        fail(reader, "longer than a text may be");
        return false;
    }
    size_t room = text.size * 5 + 16;
    reader->memory = writer_of(buffer_room(memory, room), room);
    return true;
}

static bool finish(struct text_reader *reader, struct buffer *memory, struct text_given *given)
{
    if (reader->memory.bad)
        fail(reader, "too large");
    if (reader->memory.at)
        memory->size = (size_t)(reader->memory.at - memory->data);
    given->error = reader->error;
    given->error_at = (size_t)(reader->at - reader->start);
    return !reader->error;
}

static int peek(const struct text_reader *reader)
{
    return reader->at < reader->end && !reader->error ? *reader->at : -1;
}

static void skip_spaces(struct text_reader *reader)
{
    while (peek(reader) == ' ' || peek(reader) == '\t')
        reader->at++;
}

static bool accept(struct text_reader *reader, char wanted)
{
    skip_spaces(reader);
    if (peek(reader) != wanted)
        return false;
    reader->at++;
    return true;
}

static void need(struct text_reader *reader, char wanted, const char *error)
{
    if (!accept(reader, wanted))
        fail(reader, error);
}

/* Characters up to a space or one of `stops`. */
static struct bytes read_word(struct text_reader *reader, const char *stops)
{
    skip_spaces(reader);
    const uint8_t *start = reader->at;
    while (peek(reader) > ' ' && !strchr(stops, peek(reader)))
        reader->at++;
    return bytes_of(start, (size_t)(reader->at - start));
}

static const char ends_value[] = ",{}[]\"";

/* A word as a C string, for the functions that read numbers. */
static void read_number_text(struct text_reader *reader, char text[64])
{
    struct bytes word = read_word(reader, ends_value);
    text[0] = '\0';
    if (word.size == 0 || word.size >= 64) {
        fail(reader, "a number was expected");
        return;
    }
    memcpy(text, word.data, word.size);
    text[word.size] = '\0';
}

static uint64_t read_unsigned(struct text_reader *reader, uint64_t max)
{
    char text[64];
    read_number_text(reader, text);
    if (strcmp(text, "true") == 0 || strcmp(text, "false") == 0)
        return text[0] == 't';
    char *end;
    errno = 0;
    uint64_t value = strtoull(text, &end, 10);
    if (!isdigit((unsigned char)text[0]) || *end || errno || value > max)
        fail(reader, "not a number that fits");
    return value;
}

static int64_t read_signed(struct text_reader *reader, int64_t min, int64_t max)
{
    char text[64];
    read_number_text(reader, text);
    char *end;
    errno = 0;
    int64_t value = strtoll(text, &end, 10);
    if (!isdigit((unsigned char)text[text[0] == '-']) || *end || errno || value < min ||
        value > max)
        fail(reader, "not a number that fits");
    return value;
}

static double read_double(struct text_reader *reader)
{
    char text[64];
    read_number_text(reader, text);
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end || !isfinite(value))
        fail(reader, "not a number that fits");
    return value;
}

static void read_decimal(struct text_reader *reader)
{
    char text[64], rest;
    unsigned scale;
    uint64_t digits;
    read_number_text(reader, text);
    if (sscanf(text, "%3u/%10" SCNu64 "%c", &scale, &digits, &rest) != 2 || scale > UINT8_MAX ||
        digits > UINT32_MAX) {
        fail(reader, "a decimal is scale/digits");
        return;
    }
    writer_u8(&reader->memory, (uint8_t)scale);
    writer_u32(&reader->memory, (uint32_t)digits);
}

static int hex_digit(int character)
{
    if (character >= '0' && character <= '9')
        return character - '0';
    character = tolower(character);
    return character >= 'a' && character <= 'f' ? character - 'a' + 10 : -1;
}

/* What follows a backslash. */
static void read_escape(struct text_reader *reader)
{
    int kind = peek(reader);
    if (kind == '"' || kind == '\\') {
        writer_u8(&reader->memory, (uint8_t)kind);
        reader->at++;
        return;
    }
    int high = kind == 'x' && reader->end - reader->at >= 3 ? hex_digit(reader->at[1]) : -1;
    int low = high >= 0 ? hex_digit(reader->at[2]) : -1;
    if (low < 0) {
        fail(reader, "only \\\" \\\\ and \\xNN are known");
        return;
    }
    writer_u8(&reader->memory, (uint8_t)(high * 16 + low));
    reader->at += 3;
}

/* A string, bare up to one of `stops` or quoted, into the memory. */
static struct bytes read_string(struct text_reader *reader, const char *stops)
{
    const uint8_t *start = reader->memory.at;
    if (!accept(reader, '"')) {
        struct bytes word = read_word(reader, stops);
        if (word.size == 0)
            fail(reader, "a string was expected");
        writer_bytes(&reader->memory, word);
        return bytes_of(start, (size_t)(reader->memory.at - start));
    }
    while (peek(reader) >= 0 && peek(reader) != '"') {
        if (*reader->at++ == '\\')
            read_escape(reader);
        else
            writer_u8(&reader->memory, reader->at[-1]);
    }
    if (peek(reader) != '"')
        fail(reader, "a string without its end");
    else
        reader->at++;
    return bytes_of(start, (size_t)(reader->memory.at - start));
}

/* Keeps room for a length of `width` bytes, to be filled in when what follows it is there. */
static uint8_t *reserve_length(struct text_reader *reader, size_t width)
{
    uint8_t *at = writer_take(&reader->memory, width);
    if (!at)
        fail(reader, "too large");
    return at;
}

static void fill_length(struct text_reader *reader, uint8_t *length, size_t width)
{
    if (!length)
        return;
    size_t size = (size_t)(reader->memory.at - length) - width;
    if (width == 1 && size > SHORTSTR_MAX)
        fail(reader, "a name longer than 255 bytes");
    struct writer writer = writer_of(length, width);
    if (width == 1)
        writer_u8(&writer, (uint8_t)size);
    else
        writer_u32(&writer, (uint32_t)size);
}

static char read_type(struct text_reader *reader)
{
    struct bytes word = read_word(reader, ends_value);
    for (size_t i = 0; i < TEXT_TYPES; i++)
        if (bytes_equal_str(word, text_types[i].name) ||
            (word.size == 1 && word.data[0] == (uint8_t)text_types[i].type))
            return text_types[i].type;
    fail(reader, "not a type of field");
    return 'V';
}

static void read_contents(struct text_reader *reader, bool is_array, unsigned depth);

static uint32_t read_float_bits(struct text_reader *reader)
{
    uint32_t bits;
    float number = (float)read_double(reader);
    if (!isfinite(number))
        fail(reader, "not a number that fits");
    memcpy(&bits, &number, sizeof(bits));
    return bits;
}

static uint64_t read_double_bits(struct text_reader *reader)
{
    uint64_t bits;
    double number = read_double(reader);
    memcpy(&bits, &number, sizeof(bits));
    return bits;
}

static void read_field_value(struct text_reader *reader, char type, unsigned depth)
{
    struct writer *memory = &reader->memory;
    uint8_t *length;
    switch (type) {
    case 't':
        writer_u8(memory, (uint8_t)read_unsigned(reader, 1));
        break;
    case 'b':
        writer_u8(memory, (uint8_t)read_signed(reader, INT8_MIN, INT8_MAX));
        break;
    case 'B':
        writer_u8(memory, (uint8_t)read_unsigned(reader, UINT8_MAX));
        break;
    case 's':
        writer_u16(memory, (uint16_t)read_signed(reader, INT16_MIN, INT16_MAX));
        break;
    case 'u':
        writer_u16(memory, (uint16_t)read_unsigned(reader, UINT16_MAX));
        break;
    case 'I':
        writer_u32(memory, (uint32_t)read_signed(reader, INT32_MIN, INT32_MAX));
        break;
    case 'i':
        writer_u32(memory, (uint32_t)read_unsigned(reader, UINT32_MAX));
        break;
    case 'l':
    case 'L':
        writer_u64(memory, (uint64_t)read_signed(reader, INT64_MIN, INT64_MAX));
        break;
    case 'T':
        writer_u64(memory, read_unsigned(reader, UINT64_MAX));
        break;
    case 'f':
        writer_u32(memory, read_float_bits(reader));
        break;
    case 'd':
        writer_u64(memory, read_double_bits(reader));
        break;
    case 'D':
        read_decimal(reader);
        break;
    case 'S':
    case 'x':
        length = reserve_length(reader, 4);
        read_string(reader, ends_value);
        fill_length(reader, length, 4);
        break;
    case 'F':
    case 'A':
        length = reserve_length(reader, 4);
        read_contents(reader, type == 'A', depth);
        fill_length(reader, length, 4);
        break;
    default:
        break;
    }
}

/* {name:type value, ...} or [type value, ...], as bytes into the memory. */
static void read_contents(struct text_reader *reader, bool is_array, unsigned depth)
{
    char close = is_array ? ']' : '}';
    if (depth == TABLE_DEPTH_MAX) {
        fail(reader, "tables too deep");
        return;
    }
    need(reader, is_array ? '[' : '{', "a table in { } or an array in [ ] was expected");
    if (accept(reader, close))
        return;
    while (!reader->error) {
        if (!is_array) {
            uint8_t *length = reserve_length(reader, 1);
            read_string(reader, ":,{}[]\"");
            fill_length(reader, length, 1);
            need(reader, ':', "a name is followed by : and a type");
        }
        uint8_t *type = writer_take(&reader->memory, 1);
        char wanted = read_type(reader);
        if (!type)
            fail(reader, "too large");
        else
            *type = (uint8_t)wanted;
        read_field_value(reader, wanted, depth + 1);
        if (accept(reader, close))
            return;
        need(reader, ',', "items are separated by ,");
    }
}

static struct bytes read_table(struct text_reader *reader)
{
    const uint8_t *start = reader->memory.at;
    read_contents(reader, false, 0);
    struct bytes contents = bytes_of(start, (size_t)(reader->memory.at - start));
    if (!reader->error && !table_check(contents))
        fail(reader, "a table with too many items");
    return contents;
}

static bool is_anything(struct text_reader *reader)
{
    if (peek(reader) != '*' || (reader->end - reader->at > 1 && reader->at[1] > ' '))
        return false;
    reader->at++;
    return true;
}

static uint64_t number_max(enum method_field_kind kind)
{
    switch (kind) {
    case METHOD_FIELD_OCTET:
        return UINT8_MAX;
    case METHOD_FIELD_SHORT:
        return UINT16_MAX;
    case METHOD_FIELD_LONG:
        return UINT32_MAX;
    case METHOD_FIELD_LONGLONG:
        return UINT64_MAX;
    default:
        return 1;
    }
}

/* Reads a value into the struct. */
static void read_member(struct text_reader *reader, void *base, const struct method_field *field)
{
    struct bytes *bytes = (struct bytes *)(void *)((uint8_t *)base + field->offset);
    if (field->kind < METHOD_FIELD_SHORTSTR) {
        text_field_set_number(base, field, read_unsigned(reader, number_max(field->kind)));
    } else if (field->kind == METHOD_FIELD_TABLE) {
        *bytes = read_table(reader);
    } else {
        *bytes = read_string(reader, "\"");
        if (field->kind == METHOD_FIELD_SHORTSTR && bytes->size > SHORTSTR_MAX)
            fail(reader, "a short string longer than 255 bytes");
    }
}

static bool names_field(struct bytes word, const char *name)
{
    if (word.size != strlen(name))
        return false;
    for (size_t i = 0; i < word.size; i++)
        if (word.data[i] != (uint8_t)name[i] && !(word.data[i] == '-' && name[i] == '_'))
            return false;
    return true;
}

/* name=value pairs to the end of the text; returns bit i for each fields[i] that has a value. */
static uint32_t read_members(struct text_reader *reader, void *base,
                             const struct method_field *fields, size_t count)
{
    uint32_t given = 0;
    for (skip_spaces(reader); peek(reader) >= 0; skip_spaces(reader)) {
        struct bytes name = read_word(reader, "=");
        size_t i = 0;
        while (i < count && !names_field(name, fields[i].name))
            i++;
        if (i == count) {
            reader->at = name.data;
            fail(reader, "no such field");
            return given;
        }
        if (peek(reader) != '=') {
            fail(reader, "a name is followed by = and a value");
            return given;
        }
        reader->at++;
        if (is_anything(reader))
            continue;
        read_member(reader, base, &fields[i]);
        given |= (uint32_t)1 << i;
    }
    return given;
}

bool text_read_method(struct bytes text, struct buffer *memory, union method *out,
                      struct text_given *given)
{
    struct text_reader reader;
    *given = (struct text_given){0};
    memset(out, 0, sizeof(*out));
    if (!reader_init(&reader, text, memory))
        return finish(&reader, memory, given);
    struct bytes name = read_word(&reader, "");
    const struct method_info *info = method_find(name);
    if (!info) {
        reader.at = name.data;
        fail(&reader, "no such method");
        return finish(&reader, memory, given);
    }
    out->id = info->id;
    given->fields = read_members(&reader, out, info->fields, info->field_count);
    return finish(&reader, memory, given);
}

bool text_read_properties(struct bytes text, struct buffer *memory, struct properties *out,
                          struct text_given *given)
{
    struct text_reader reader;
    *given = (struct text_given){0};
    *out = (struct properties){0};
    if (!reader_init(&reader, text, memory))
        return finish(&reader, memory, given);
    uint32_t read = read_members(&reader, out, text_property_fields, TEXT_PROPERTIES);
    for (size_t i = 0; i < TEXT_PROPERTIES; i++)
        if (read >> i & 1)
            out->flags |= text_property_flags[i];
    given->fields = out->flags;
    return finish(&reader, memory, given);
}

bool text_read_table(struct bytes text, struct buffer *memory, struct bytes *table,
                     struct text_given *given)
{
    struct text_reader reader;
    *given = (struct text_given){0};
    if (!reader_init(&reader, text, memory))
        return finish(&reader, memory, given);
    *table = read_table(&reader);
    skip_spaces(&reader);
    if (peek(&reader) >= 0)
        fail(&reader, "something follows the table");
    return finish(&reader, memory, given);
}
