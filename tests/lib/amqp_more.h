/* What only tests need beside the functions of src/amqp. */
#ifndef LEVERET_TESTS_AMQP_MORE_H
#define LEVERET_TESTS_AMQP_MORE_H

#include "amqp/frame.h"
#include "amqp/table.h"

/* The payload of a method frame; `writer` goes bad when it has no room or a string is too long. */
static inline void method_write(struct writer *writer, const union method *method)
{
    uint8_t *at = writer_take(writer, method_size(method));
    if (at)
        method_put(at, method);
}

/* A whole body frame. */
static inline void frame_write_body(struct writer *writer, uint16_t channel, struct bytes part)
{
    uint8_t *at = writer_take(writer, part.size + FRAME_OVERHEAD);
    if (!at)
        return;
    at = frame_write_header(at, FRAME_BODY, channel, (uint32_t)part.size);
    *put_bytes(at, part) = FRAME_END;
}

/* The value of the first item of that name, when it is any of b B s u I i l L. */
static inline bool table_find_integer(struct bytes table, const char *name, int64_t *value)
{
    struct field field;
    if (!table_find(table, bytes_str(name), &field) || !field_is_integer(&field))
        return false;
    *value = field.value.integer;
    return true;
}

static inline void table_add_void(struct table_writer *writer, struct bytes name)
{
    table_add_raw(writer, name, 'V', bytes_of(NULL, 0));
}

/* A finished table by its contents. */
static inline void table_add_table(struct table_writer *writer, struct bytes name,
                                   struct bytes contents)
{
    struct buffer raw = {0};
    size_t size = 4 + contents.size;
    put_longstr(buffer_room(&raw, size), contents);
    buffer_added(&raw, size);
    table_add_raw(writer, name, 'F', buffer_bytes(&raw));
    buffer_free(&raw);
}

#endif
