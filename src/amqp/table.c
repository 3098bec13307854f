/* Field tables as they came: walk, check, find and compare. table_check goes through all levels in
 * one loop, with a stack of where the tables around end, so that a peer's nesting costs no stack of
 * ours. The functions that compare go level by level, and no deeper than what table_check passes.
 */
#include "amqp/table.h"

#include <math.h>

#include "base/hash.h"

/* ---- walking ---- */

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

/* ---- finding ---- */

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

/* ---- comparing ---- */

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

bool field_hash_value(const struct field *field, uint64_t seed, uint64_t *hash)
{
    char kind = kind_of(field);
    if (kind == 'S') {
        *hash = hash_bytes(field->value.bytes, seed);
        return true;
    }
    if (kind != 'n')
        return false;
    struct number number = number_of(field);
    *hash = hash_number(number.is_whole ? number.magnitude ^ seed : seed);
    return true;
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
