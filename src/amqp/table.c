/* table_check walks all levels in one loop, with a stack of where the tables around end, so that a
 * peer's nesting costs no stack of ours. The functions that compare and print go level by level,
 * and only through what table_check has passed, or no deeper than that. */
#include "amqp/table.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* Reading. */

static double float_of(uint32_t bits)
{
    float number;
    memcpy(&number, &bits, sizeof(number));
    return (double)number;
}

static double double_of(uint64_t bits)
{
    double number;
    memcpy(&number, &bits, sizeof(number));
    return number;
}

static double finite_or_bad(struct reader *reader, double number)
{
    if (!isfinite(number))
        reader->bad = true;
    return number;
}

/* Reads the value of field->type. */
static void read_value(struct reader *reader, struct field *field)
{
    switch (field->type) {
    case 't':
        field->value.boolean = reader_u8(reader) != 0;
        break;
    case 'b':
        field->value.integer = (int8_t)reader_u8(reader);
        break;
    case 'B':
        field->value.integer = reader_u8(reader);
        break;
    case 's':
        field->value.integer = (int16_t)reader_u16(reader);
        break;
    case 'u':
        field->value.integer = reader_u16(reader);
        break;
    case 'I':
        field->value.integer = (int32_t)reader_u32(reader);
        break;
    case 'i':
        field->value.integer = reader_u32(reader);
        break;
    case 'l':
    case 'L':
        field->value.integer = (int64_t)reader_u64(reader);
        break;
    case 'T':
        field->value.timestamp = reader_u64(reader);
        break;
    case 'f':
        field->value.number = finite_or_bad(reader, float_of(reader_u32(reader)));
        break;
    case 'd':
        field->value.number = finite_or_bad(reader, double_of(reader_u64(reader)));
        break;
    case 'D':
        field->value.decimal.scale = reader_u8(reader);
        field->value.decimal.digits = reader_u32(reader);
        break;
    case 'S':
    case 'x':
    case 'F':
    case 'A':
        field->value.bytes = reader_longstr(reader);
        break;
    case 'V':
        break;
    default:
        reader->bad = true;
    }
}

static bool read_item(struct reader *walk, bool in_array, struct field *field)
{
    if (walk->bad || reader_left(walk) == 0)
        return false;
    *field = (struct field){.name = bytes_of(NULL, 0)};
    if (!in_array)
        field->name = reader_shortstr(walk);
    field->type = (char)reader_u8(walk);
    const uint8_t *start = walk->at;
    read_value(walk, field);
    field->raw = bytes_of(start, (size_t)(walk->at - start));
    return !walk->bad;
}

bool table_next(struct reader *walk, struct field *field)
{
    return read_item(walk, false, field);
}

bool array_next(struct reader *walk, struct field *field)
{
    return read_item(walk, true, field);
}

bool table_check(struct bytes table)
{
    struct {
        const uint8_t *end;
        bool is_array;
    } levels[TABLE_DEPTH_MAX];
    struct reader reader = reader_of(table);
    struct field field = {0};
    size_t depth = 1;
    levels[0].end = reader.end;
    levels[0].is_array = false;
    for (size_t items = 0;; items++) {
        while (reader.at == levels[depth - 1].end)
            if (--depth == 0)
                return true;
        reader.end = levels[depth - 1].end;
        if (items == TABLE_ITEMS_MAX || !read_item(&reader, levels[depth - 1].is_array, &field))
            return false;
        if (field.type != 'F' && field.type != 'A')
            continue;
        if (depth == TABLE_DEPTH_MAX)
            return false;
        levels[depth].end = reader.at;
        levels[depth++].is_array = field.type == 'A';
        reader.at -= field.value.bytes.size;
    }
}

/* Finding. */

bool table_find(struct bytes table, struct bytes name, struct field *field)
{
    struct reader walk = reader_of(table);
    while (table_next(&walk, field))
        if (bytes_equal(field->name, name))
            return true;
    return false;
}

static bool find_typed(struct bytes table, const char *name, char type, struct field *field)
{
    return table_find(table, bytes_str(name), field) && field->type == type;
}

bool table_find_string(struct bytes table, const char *name, struct bytes *value)
{
    struct field field;
    if (!find_typed(table, name, 'S', &field))
        return false;
    *value = field.value.bytes;
    return true;
}

bool table_find_integer(struct bytes table, const char *name, int64_t *value)
{
    struct field field;
    if (!table_find(table, bytes_str(name), &field) || !field_is_integer(&field))
        return false;
    *value = field.value.integer;
    return true;
}

bool table_find_bool(struct bytes table, const char *name, bool *value)
{
    struct field field;
    if (!find_typed(table, name, 't', &field))
        return false;
    *value = field.value.boolean;
    return true;
}

bool table_find_table(struct bytes table, const char *name, struct bytes *contents)
{
    struct field field;
    if (!find_typed(table, name, 'F', &field))
        return false;
    *contents = field.value.bytes;
    return true;
}

bool table_find_array(struct bytes table, const char *name, struct bytes *contents)
{
    struct field field;
    if (!find_typed(table, name, 'A', &field))
        return false;
    *contents = field.value.bytes;
    return true;
}

/* Comparing. */

static bool contents_equal(struct bytes a, struct bytes b, bool is_array, unsigned depth);

static char type_read_as(char type)
{
    return type == 'L' ? 'l' : type;
}

/* By type and value, as inside tables. */
static bool exactly_equal(const struct field *a, const struct field *b, unsigned depth)
{
    char type = type_read_as(a->type);
    if (type != type_read_as(b->type))
        return false;
    switch (type) {
    case 't':
        return a->value.boolean == b->value.boolean;
    case 'f':
    case 'd':
        return a->value.number >= b->value.number && a->value.number <= b->value.number;
    case 'F':
    case 'A':
        return contents_equal(a->value.bytes, b->value.bytes, type == 'A', depth);
    default:
        return bytes_equal(a->raw, b->raw);
    }
}

static bool contents_equal(struct bytes a, struct bytes b, bool is_array, unsigned depth)
{
    if (bytes_equal(a, b))
        return true;
    if (a.size != b.size || depth == TABLE_DEPTH_MAX)
        return false;
    struct reader walk_a = reader_of(a), walk_b = reader_of(b);
    struct field field_a, field_b;
    while (read_item(&walk_a, is_array, &field_a))
        if (!read_item(&walk_b, is_array, &field_b) || !bytes_equal(field_a.name, field_b.name) ||
            !exactly_equal(&field_a, &field_b, depth + 1))
            return false;
    return reader_left(&walk_b) == 0;
}

static bool is_float(const struct field *field)
{
    return field->type == 'f' || field->type == 'd';
}

bool field_equal(const struct field *a, const struct field *b)
{
    if (field_is_integer(a) && field_is_integer(b))
        return a->value.integer == b->value.integer;
    if (is_float(a) && is_float(b))
        return a->value.number >= b->value.number && a->value.number <= b->value.number;
    return exactly_equal(a, b, 0);
}

/* A number as far as it can be compared without loss: fractions, and what is beyond 64 bits, are not
 * whole. */
struct number {
    bool is_negative, is_whole;
    uint64_t magnitude;
    double value; /* when it is not whole */
};

static struct number number_of(const struct field *field)
{
    struct number number = {.is_whole = true};
    if (field->type == 'T') {
        number.magnitude = field->value.timestamp;
    } else if (!is_float(field)) {
        number.is_negative = field->value.integer < 0;
        number.magnitude = (uint64_t)field->value.integer;
        if (number.is_negative)
            number.magnitude = -number.magnitude;
    } else {
        number.value = field->value.number;
        number.is_negative = number.value < 0;
        double size = number.is_negative ? -number.value : number.value;
        number.magnitude = size < 18446744073709551616.0 ? (uint64_t)size : 0;
        number.is_whole = (double)number.magnitude >= size && (double)number.magnitude <= size;
    }
    return number;
}

static bool same_number(const struct field *a, const struct field *b)
{
    struct number x = number_of(a), y = number_of(b);
    if (x.is_whole && y.is_whole)
        return x.magnitude == y.magnitude && x.is_negative == y.is_negative;
    return !x.is_whole && !y.is_whole && x.value >= y.value && x.value <= y.value;
}

/* What a type is to a headers exchange. */
static char kind_of(const struct field *field)
{
    if (field_is_integer(field) || is_float(field) || field->type == 'T')
        return 'n';
    return field->type == 'x' ? 'S' : field->type;
}

bool field_same_value(const struct field *a, const struct field *b)
{
    char kind = kind_of(a), other = kind_of(b);
    if (kind == 'n' && other == 'n')
        return same_number(a, b);
    if (kind == 'S' && other == 'S')
        return bytes_equal(a->value.bytes, b->value.bytes);
    if ((kind == 'F' && other == 'A') || (kind == 'A' && other == 'F'))
        return a->value.bytes.size == 0 && b->value.bytes.size == 0;
    return exactly_equal(a, b, 0);
}

/* Printing, in the notation of RabbitMQ's own language. */

enum { PRINT_MAX = 255 };

const char *field_type_name(char type)
{
    static const struct {
        char type;
        const char *name;
    } names[] = {
        {'t', "bool"},          {'b', "byte"},      {'B', "unsignedbyte"}, {'s', "short"},
        {'u', "unsignedshort"}, {'I', "signedint"}, {'i', "unsignedint"},  {'l', "long"},
        {'L', "long"},          {'f', "float"},     {'d', "double"},       {'D', "decimal"},
        {'S', "longstr"},       {'x', "binary"},    {'T', "timestamp"},    {'F', "table"},
        {'A', "array"},         {'V', "void"},
    };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (names[i].type == type)
            return names[i].name;
    return "unknown";
}

struct print {
    struct buffer *out;
    size_t limit; /* of out->size: the rest is left out */
};

static void add_text(struct print *print, const char *text)
{
    if (print->out->size < print->limit)
        buffer_add(print->out, text, strlen(text));
}

static void add_format(struct print *print, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void add_format(struct print *print, const char *format, ...)
{
    char text[64];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    add_text(print, text);
}

/* Puts the point into `digits` so that `place` of them stand before it; or writes it with an
 * exponent where that is shorter. */
static void add_digits(struct print *print, const char *digits, int place)
{
    int count = (int)strlen(digits);
    char exponent[16];
    int exponent_size = snprintf(exponent, sizeof(exponent), "%d", place - 1);
    int cost = exponent_size + (count == 1 ? 3 : 2);
    int zeroes = place <= 0 ? -place : place - count;
    if (place > 0 && place < count)
        add_format(print, "%.*s.%s", place, digits, digits + place);
    else if (place <= 0 && (place == 0 || 2 + zeroes <= cost))
        add_format(print, "0.%.*s%s", zeroes, "0000000000", digits);
    else if (place > 0 && 2 + zeroes <= cost)
        add_format(print, "%s%.*s.0", digits, zeroes, "0000000000");
    else
        add_format(print, "%c.%se%s", digits[0], count == 1 ? "0" : digits + 1, exponent);
}

/* The fewest digits that give the number back. */
static void add_number(struct print *print, double number)
{
    char text[40], digits[24];
    for (int precision = 0; precision < 17; precision++) {
        snprintf(text, sizeof(text), "%.*e", precision, fabs(number));
        double back = strtod(text, NULL);
        if (back >= fabs(number) && back <= fabs(number))
            break;
    }
    size_t count = 0;
    for (const char *at = text; *at != 'e'; at++)
        if (*at != '.')
            digits[count++] = *at;
    digits[count] = '\0';
    if (signbit(number))
        add_text(print, "-");
    add_digits(print, digits, fpclassify(number) == FP_ZERO ? 1 : atoi(strchr(text, 'e') + 1) + 1);
}

/* A string inside a table: <<"text">>, or its bytes when it is not printable. */
static void add_binary(struct print *print, struct bytes bytes)
{
    bool printable = true;
    for (size_t i = 0; i < bytes.size; i++)
        printable = printable && bytes.data[i] >= ' ' && bytes.data[i] < 0x7f;
    add_text(print, bytes.size ? printable ? "<<\"" : "<<" : "<<");
    for (size_t i = 0; i < bytes.size && print->out->size < print->limit; i++) {
        if (!printable)
            add_format(print, "%s%u", i ? "," : "", bytes.data[i]);
        else if (bytes.data[i] == '"' || bytes.data[i] == '\\')
            add_format(print, "\\%c", bytes.data[i]);
        else
            add_format(print, "%c", bytes.data[i]);
    }
    add_text(print, bytes.size && printable ? "\">>" : ">>");
}

static void add_contents(struct print *print, struct bytes contents, bool is_array);

static void add_value(struct print *print, const struct field *field)
{
    switch (field->type) {
    case 't':
        add_text(print, field->value.boolean ? "true" : "false");
        break;
    case 'f':
    case 'd':
        add_number(print, field->value.number);
        break;
    case 'T':
        add_format(print, "%" PRIu64, field->value.timestamp);
        break;
    case 'D':
        add_format(print, "{%u,%" PRIu32 "}", field->value.decimal.scale,
                   field->value.decimal.digits);
        break;
    case 'S':
    case 'x':
        add_binary(print, field->value.bytes);
        break;
    case 'F':
    case 'A':
        add_contents(print, field->value.bytes, field->type == 'A');
        break;
    case 'V':
        add_text(print, "undefined");
        break;
    default:
        add_format(print, "%" PRId64, field->value.integer);
    }
}

/* Every level adds a byte, so that the limit bounds the depth as well. */
static void add_contents(struct print *print, struct bytes contents, bool is_array)
{
    struct reader walk = reader_of(contents);
    struct field field;
    const char *between = "";
    add_text(print, "[");
    while (print->out->size < print->limit && read_item(&walk, is_array, &field)) {
        add_format(print, "%s{", between);
        if (!is_array) {
            add_binary(print, field.name);
            add_text(print, ",");
        }
        add_format(print, "%s,", field_type_name(field.type));
        add_value(print, &field);
        add_text(print, "}");
        between = ",";
    }
    add_text(print, "]");
}

void field_print_value(struct buffer *out, const struct field *field)
{
    struct print print = {out, out->size + PRINT_MAX};
    if (field->type != 'S' && field->type != 'x') {
        add_value(&print, field);
        return;
    }
    struct bytes text = field->value.bytes;
    buffer_add(out, text.data, text.size < PRINT_MAX ? text.size : PRINT_MAX);
}

void field_print_quoted(struct buffer *out, const struct field *field)
{
    buffer_add(out, "'", 1);
    field_print_value(out, field);
    buffer_add(out, "'", 1);
}

void field_print(struct buffer *out, const struct field *field)
{
    static const char none[] = "none", value[] = "the value ", type[] = " of type '";
    if (!field) {
        buffer_add(out, none, strlen(none));
        return;
    }
    buffer_add(out, value, strlen(value));
    field_print_quoted(out, field);
    buffer_add(out, type, strlen(type));
    buffer_add(out, field_type_name(field->type), strlen(field_type_name(field->type)));
    buffer_add(out, "'", 1);
}

/* Building. */

static void writer_init(struct table_writer *writer, struct buffer *out, bool is_array)
{
    writer->out = out;
    writer->depth = 0;
    writer->array[0] = is_array;
}

void table_writer_init(struct table_writer *writer, struct buffer *out)
{
    writer_init(writer, out, false);
}

void array_writer_init(struct table_writer *writer, struct buffer *out)
{
    writer_init(writer, out, true);
}

/* Name (in a table) and type, then room for a value of `size` bytes. */
static struct writer begin_item(struct table_writer *writer, struct bytes name, char type,
                                size_t size)
{
    bool is_array = writer->array[writer->depth];
    assert(name.size <= SHORTSTR_MAX && size <= UINT32_MAX);
    size_t total = (is_array ? 0 : 1 + name.size) + 1 + size;
    struct writer item = writer_of(buffer_room(writer->out, total), total);
    if (!is_array)
        writer_shortstr(&item, name);
    writer_u8(&item, (uint8_t)type);
    buffer_added(writer->out, total);
    return item;
}

static void add_bytes(struct table_writer *writer, struct bytes name, char type, struct bytes value)
{
    struct writer item = begin_item(writer, name, type, 4 + value.size);
    writer_longstr(&item, value);
}

void table_add_string(struct table_writer *writer, struct bytes name, struct bytes value)
{
    add_bytes(writer, name, 'S', value);
}

void table_add_binary(struct table_writer *writer, struct bytes name, struct bytes value)
{
    add_bytes(writer, name, 'x', value);
}

void table_add_table(struct table_writer *writer, struct bytes name, struct bytes contents)
{
    add_bytes(writer, name, 'F', contents);
}

void table_add_array(struct table_writer *writer, struct bytes name, struct bytes contents)
{
    add_bytes(writer, name, 'A', contents);
}

void table_add_bool(struct table_writer *writer, struct bytes name, bool value)
{
    struct writer item = begin_item(writer, name, 't', 1);
    writer_u8(&item, value);
}

void table_add_int32(struct table_writer *writer, struct bytes name, int32_t value)
{
    struct writer item = begin_item(writer, name, 'I', 4);
    writer_u32(&item, (uint32_t)value);
}

void table_add_int64(struct table_writer *writer, struct bytes name, int64_t value)
{
    struct writer item = begin_item(writer, name, 'l', 8);
    writer_u64(&item, (uint64_t)value);
}

void table_add_timestamp(struct table_writer *writer, struct bytes name, uint64_t seconds)
{
    struct writer item = begin_item(writer, name, 'T', 8);
    writer_u64(&item, seconds);
}

void table_add_void(struct table_writer *writer, struct bytes name)
{
    begin_item(writer, name, 'V', 0);
}

void table_add_raw(struct table_writer *writer, struct bytes name, char type, struct bytes raw)
{
    struct writer item = begin_item(writer, name, type, raw.size);
    writer_bytes(&item, raw);
}

void table_add_field(struct table_writer *writer, const struct field *field)
{
    table_add_raw(writer, field->name, field->type, field->raw);
}

static void begin_nested(struct table_writer *writer, struct bytes name, bool is_array)
{
    assert(writer->depth < TABLE_DEPTH_MAX);
    struct writer item = begin_item(writer, name, is_array ? 'A' : 'F', 4);
    writer_u32(&item, 0);
    writer->depth++;
    writer->array[writer->depth] = is_array;
    writer->starts[writer->depth] = writer->out->size;
}

void table_begin_table(struct table_writer *writer, struct bytes name)
{
    begin_nested(writer, name, false);
}

void table_begin_array(struct table_writer *writer, struct bytes name)
{
    begin_nested(writer, name, true);
}

void table_end(struct table_writer *writer)
{
    assert(writer->depth > 0);
    size_t start = writer->starts[writer->depth--];
    size_t size = writer->out->size - start;
    assert(size <= UINT32_MAX);
    struct writer length = writer_of(writer->out->data + start - 4, 4);
    writer_u32(&length, (uint32_t)size);
}
