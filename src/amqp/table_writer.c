/* Tables and arrays, written item by item; the length of one that is open is filled in at its end.
 */
#include "amqp/table.h"

#include <assert.h>

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

/* Name (in a table) and type, then room for a value of `size` bytes, which begins there. */
static inline uint8_t *begin_item(struct table_writer *writer, struct bytes name, char type,
                                  size_t size)
{
    bool is_array = writer->array[writer->depth];
    assert(name.size <= SHORTSTR_MAX && size <= UINT32_MAX);
    size_t total = (is_array ? 0 : 1 + name.size) + 1 + size;
    uint8_t *at = buffer_room(writer->out, total);
    buffer_added(writer->out, total);
    if (!is_array)
        at = put_shortstr(at, name);
    return put_u8(at, (uint8_t)type);
}

static void add_bytes(struct table_writer *writer, struct bytes name, char type, struct bytes value)
{
    put_longstr(begin_item(writer, name, type, 4 + value.size), value);
}

void table_add_string(struct table_writer *writer, struct bytes name, struct bytes value)
{
    add_bytes(writer, name, 'S', value);
}

void table_add_array(struct table_writer *writer, struct bytes name, struct bytes contents)
{
    add_bytes(writer, name, 'A', contents);
}

void table_add_bool(struct table_writer *writer, struct bytes name, bool value)
{
    put_u8(begin_item(writer, name, 't', 1), value);
}

void table_add_int32(struct table_writer *writer, struct bytes name, int32_t value)
{
    put_u32(begin_item(writer, name, 'I', 4), (uint32_t)value);
}

void table_add_int64(struct table_writer *writer, struct bytes name, int64_t value)
{
    put_u64(begin_item(writer, name, 'l', 8), (uint64_t)value);
}

void table_add_timestamp(struct table_writer *writer, struct bytes name, uint64_t seconds)
{
    put_u64(begin_item(writer, name, 'T', 8), seconds);
}

void table_add_raw(struct table_writer *writer, struct bytes name, char type, struct bytes raw)
{
    put_bytes(begin_item(writer, name, type, raw.size), raw);
}

void table_add_field(struct table_writer *writer, const struct field *field)
{
    table_add_raw(writer, field->name, field->type, field->raw);
}

static void begin_nested(struct table_writer *writer, struct bytes name, bool is_array)
{
    assert(writer->depth < TABLE_DEPTH_MAX);
    put_u32(begin_item(writer, name, is_array ? 'A' : 'F', 4), 0);
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
    put_u32(writer->out->data + start - 4, (uint32_t)size);
}
