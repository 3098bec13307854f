#include "definitions/json_table.h"

#include <stdio.h>

#include "amqp/table.h"

enum { FIELD_NAME_MAX = 255 };

struct conversion {
    struct table_writer writer;
    enum json_null null;
    size_t items;
    char *fault;
    size_t fault_size;
};

static bool fail(struct conversion *to, const char *what, struct bytes name)
{
    snprintf(to->fault, to->fault_size, "argument '%.*s': %s", BYTES_ARG(name), what);
    return false;
}

static void add_double(struct conversion *to, struct bytes name, double value)
{
    uint64_t bits;
    uint8_t raw[8];
    memcpy(&bits, &value, sizeof(bits));
    for (size_t i = 0; i < sizeof(raw); i++)
        raw[i] = (uint8_t)(bits >> (56 - 8 * i));
    table_add_raw(&to->writer, name, 'd', bytes_of(raw, sizeof(raw)));
}

static bool add_value(struct conversion *to, struct bytes name, const struct json *value);

static bool add_members(struct conversion *to, const struct json *object)
{
    struct bytes name;
    const struct json *value;
    for (struct json_walk walk = json_walk_of(object); json_next(&walk, &name, &value);)
        if (!add_value(to, name, value))
            return false;
    return true;
}

static bool add_items(struct conversion *to, const struct json *array)
{
    for (size_t i = 0; i < json_count(array); i++)
        if (!add_value(to, bytes_of(NULL, 0), json_item(array, i)))
            return false;
    return true;
}

static bool add_nested(struct conversion *to, struct bytes name, const struct json *value)
{
    bool is_array = json_kind_of(value) == JSON_IS_ARRAY;
    if (to->writer.depth + 1 >= TABLE_DEPTH_MAX)
        return fail(to, "tables and arrays nest too deeply", name);
    (is_array ? table_begin_array : table_begin_table)(&to->writer, name);
    bool fits = (is_array ? add_items : add_members)(to, value);
    table_end(&to->writer);
    return fits;
}

static bool add_value(struct conversion *to, struct bytes name, const struct json *value)
{
    if (name.size > FIELD_NAME_MAX)
        return fail(to, "its name is longer than 255 bytes", name);
    if (++to->items > TABLE_ITEMS_MAX)
        return fail(to, "there are too many values", name);
    switch (json_kind_of(value)) {
    case JSON_IS_BOOL:
        table_add_bool(&to->writer, name, json_flag(value));
        return true;
    case JSON_IS_WHOLE:
        table_add_int64(&to->writer, name, json_whole(value));
        return true;
    case JSON_IS_FRACTION:
        add_double(to, name, json_fraction(value));
        return true;
    case JSON_IS_TEXT:
        table_add_string(&to->writer, name, json_text(value));
        return true;
    case JSON_IS_ARRAY:
    case JSON_IS_OBJECT:
        return add_nested(to, name, value);
    default:
        if (to->null == JSON_NULL_REFUSED)
            return fail(to, "null is no value of a table", name);
        table_add_raw(&to->writer, name, 'V', bytes_of(NULL, 0));
        return true;
    }
}

bool json_to_table(const struct json *value, enum json_null null, struct buffer *out, char *fault,
                   size_t fault_size)
{
    struct conversion to = {.null = null, .fault = fault, .fault_size = fault_size};
    enum json_kind kind = json_kind_of(value);
    if (kind == JSON_IS_MISSING || (kind == JSON_IS_ARRAY && json_count(value) == 0))
        return true;
    if (kind != JSON_IS_OBJECT) {
        snprintf(fault, fault_size, "it must be an object of values, and not %s",
                 json_kind_name(kind));
        return false;
    }
    table_writer_init(&to.writer, out);
    return add_members(&to, value);
}

/* ---- and back ---- */

static void put_field(struct json_writer *writer, const struct field *field);

static bool is_first(struct bytes table, const struct field *field)
{
    struct field first;
    return table_find(table, field->name, &first) && first.raw.data == field->raw.data;
}

static void put_members(struct json_writer *writer, struct bytes table)
{
    struct field field;
    json_open(writer, '{');
    for (struct reader walk = reader_of(table); table_next(&walk, &field);)
        if (is_first(table, &field)) {
            json_name(writer, field.name);
            put_field(writer, &field);
        }
    json_close(writer, '}');
}

static void put_items(struct json_writer *writer, struct bytes array)
{
    struct field field;
    json_open(writer, '[');
    for (struct reader walk = reader_of(array); array_next(&walk, &field);)
        put_field(writer, &field);
    json_close(writer, ']');
}

static double decimal_value(const struct field *field)
{
    double value = field->value.decimal.digits;
    for (unsigned i = 0; i < field->value.decimal.scale; i++)
        value /= 10;
    return value;
}

static void put_field(struct json_writer *writer, const struct field *field)
{
    if (field_is_integer(field)) {
        json_put_whole(writer, field->value.integer);
        return;
    }
    switch (field->type) {
    case 't':
        json_put_flag(writer, field->value.boolean);
        return;
    case 'T':
        json_put_whole(writer, (int64_t)field->value.timestamp);
        return;
    case 'f':
    case 'd':
        json_put_fraction(writer, field->value.number);
        return;
    case 'D':
        json_put_fraction(writer, decimal_value(field));
        return;
    case 'F':
        put_members(writer, field->value.bytes);
        return;
    case 'A':
        put_items(writer, field->value.bytes);
        return;
    case 'V':
        json_put_null(writer);
        return;
    default:
        json_put_text(writer, field->value.bytes);
    }
}

void json_put_table(struct json_writer *writer, struct bytes table)
{
    put_members(writer, table);
}
