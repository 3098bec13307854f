/* Buffers that double, and cursors that read them: numbers stand little-endian. */
#include "base/buffer.h"

#include "base/mem.h"

uint8_t *buffer_grow(struct buffer *buffer, size_t size)
{
    size_t needed = buffer->size + size;
    if (needed > buffer->capacity)
        buffer->data = mem_grow(buffer->data, &buffer->capacity, needed, 1);
    return buffer->data + buffer->size;
}

void buffer_add(struct buffer *buffer, const void *data, size_t size)
{
    if (size == 0)
        return;
    memcpy(buffer_room(buffer, size), data, size);
    buffer->size += size;
}

void buffer_drop(struct buffer *buffer, size_t size)
{
    buffer->size -= size;
    if (buffer->size)
        memmove(buffer->data, buffer->data + size, buffer->size);
}

void buffer_empty(struct buffer *buffer, size_t kept)
{
    if (buffer->capacity > kept)
        buffer_free(buffer);
    buffer->size = 0;
}

void buffer_free(struct buffer *buffer)
{
    mem_free(buffer->data);
    *buffer = (struct buffer){0};
}

static void add_number(struct buffer *buffer, uint64_t value, size_t size)
{
    uint8_t *at = buffer_room(buffer, size);
    for (size_t i = 0; i < size; i++)
        at[i] = (uint8_t)(value >> (8 * i));
    buffer->size += size;
}

void buffer_add_u8(struct buffer *buffer, uint8_t value)
{
    add_number(buffer, value, 1);
}

void buffer_add_u16(struct buffer *buffer, uint16_t value)
{
    add_number(buffer, value, 2);
}

void buffer_add_u32(struct buffer *buffer, uint32_t value)
{
    add_number(buffer, value, 4);
}

void buffer_add_u64(struct buffer *buffer, uint64_t value)
{
    add_number(buffer, value, 8);
}

void buffer_add_varint(struct buffer *buffer, uint64_t value)
{
    uint8_t *at = buffer_room(buffer, 10);
    size_t size = 0;
    while (value >= 0x80) {
        at[size++] = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    at[size++] = (uint8_t)value;
    buffer->size += size;
}

static uint64_t take_number(struct cursor *cursor, size_t size)
{
    if (cursor->bad || cursor_left(cursor) < size) {
        cursor->bad = true;
        return 0;
    }
    uint64_t value = 0;
    for (size_t i = 0; i < size; i++)
        value |= (uint64_t)cursor->at[i] << (8 * i);
    cursor->at += size;
    return value;
}

uint16_t cursor_u16(struct cursor *cursor)
{
    return (uint16_t)take_number(cursor, 2);
}

uint32_t cursor_u32(struct cursor *cursor)
{
    return (uint32_t)take_number(cursor, 4);
}

uint64_t cursor_u64(struct cursor *cursor)
{
    return take_number(cursor, 8);
}

uint64_t cursor_long_varint(struct cursor *cursor)
{
    uint64_t value = 0;
    const uint8_t *at = cursor->at;
    for (unsigned shift = 0; !cursor->bad && at < cursor->end && shift < 64; shift += 7) {
        uint8_t byte = *at++;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80)) {
            cursor->at = at;
            return value;
        }
    }
    cursor->bad = true;
    return 0;
}

struct bytes cursor_bytes(struct cursor *cursor, size_t size)
{
    if (cursor->bad || cursor_left(cursor) < size) {
        cursor->bad = true;
        return bytes_of(NULL, 0);
    }
    struct bytes bytes = bytes_of(cursor->at, size);
    cursor->at += size;
    return bytes;
}
