/* Values of field tables in the notation of RabbitMQ's own language, for reply texts. What is
 * printed has passed table_check; the limit of the text bounds how deep it is looked into. */
#include "amqp/table.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

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
    size_t limit;  /* of out->size: the rest is left out */
    bool is_plain; /* tables and arrays without types, as what comes from JSON is printed */
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
        add_text(print, print->is_plain ? "null" : "undefined");
        break;
    default:
        add_format(print, "%" PRId64, field->value.integer);
    }
}

static void add_item(struct print *print, const struct field *field, bool is_array)
{
    add_text(print, "{");
    if (!is_array) {
        add_binary(print, field->name);
        add_text(print, ",");
    }
    add_format(print, "%s,", field_type_name(field->type));
    add_value(print, field);
    add_text(print, "}");
}

static void add_plain_item(struct print *print, const struct field *field, bool is_array)
{
    if (!is_array) {
        add_binary(print, field->name);
        add_text(print, " => ");
    }
    add_value(print, field);
}

/* Every level adds a byte, so that the limit bounds the depth as well. */
static void add_contents(struct print *print, struct bytes contents, bool is_array)
{
    struct reader walk = reader_of(contents);
    struct field field;
    const char *between = "";
    bool is_map = print->is_plain && !is_array;
    add_text(print, is_map ? "#{" : "[");
    while (print->out->size < print->limit && (is_array ? array_next : table_next)(&walk, &field)) {
        add_text(print, between);
        (print->is_plain ? add_plain_item : add_item)(print, &field, is_array);
        between = ",";
    }
    add_text(print, is_map ? "}" : "]");
}

void field_print_term(struct buffer *out, const struct field *field)
{
    struct print print = {out, out->size + PRINT_MAX, true};
    add_value(&print, field);
}

void field_print_value(struct buffer *out, const struct field *field)
{
    struct print print = {out, out->size + PRINT_MAX, false};
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
