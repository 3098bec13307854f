/* Bytes that grow at the end. The owner bounds how far (see the callers); an empty buffer holds
 * no memory. */
#ifndef LEVERET_BASE_BUFFER_H
#define LEVERET_BASE_BUFFER_H

#include "base/bytes.h"

struct buffer {
    uint8_t *data;
    size_t size;
    size_t capacity;
};

/* For buffer_room: has it grow. */
uint8_t *buffer_grow(struct buffer *buffer, size_t size);

/* Room for `size` more bytes at the end; returns where they begin. They count only after
 * buffer_added. The pointer is good until the next call. */
static inline uint8_t *buffer_room(struct buffer *buffer, size_t size)
{
    if (buffer->data && size <= buffer->capacity - buffer->size)
        return buffer->data + buffer->size;
    return buffer_grow(buffer, size);
}

/* Appends a copy. */
void buffer_add(struct buffer *buffer, const void *data, size_t size);
/* Drops the first `size` bytes. */
void buffer_drop(struct buffer *buffer, size_t size);
/* Frees the memory; the buffer is empty and can be used again. */
void buffer_free(struct buffer *buffer);

static inline void buffer_added(struct buffer *buffer, size_t size)
{
    buffer->size += size;
}

/* What is in it is dropped, and its memory as well if that is more than `kept` bytes. */
void buffer_empty(struct buffer *buffer, size_t kept);

static inline struct bytes buffer_bytes(const struct buffer *buffer)
{
    return bytes_of(buffer->data, buffer->size);
}

/* Little-endian numbers, for what is stored. */
void buffer_add_u8(struct buffer *buffer, uint8_t value);
void buffer_add_u16(struct buffer *buffer, uint16_t value);
void buffer_add_u32(struct buffer *buffer, uint32_t value);
void buffer_add_u64(struct buffer *buffer, uint64_t value);
/* 7 bits a byte, the lowest first; 1 to 10 bytes. */
void buffer_add_varint(struct buffer *buffer, uint64_t value);

/* A number that may be negative, so that one near 0 makes a short varint; and back. */
static inline uint64_t zigzag(int64_t value)
{
    return (uint64_t)value << 1 ^ (value < 0 ? UINT64_MAX : 0);
}

static inline int64_t unzigzag(uint64_t value)
{
    return (int64_t)(value >> 1 ^ (value & 1 ? UINT64_MAX : 0));
}

/* Reads what the above wrote. Sticky: past the end, or after a malformed varint, `bad` is set
 * and every value is 0. */
struct cursor {
    const uint8_t *at;
    const uint8_t *end;
    bool bad;
};

static inline struct cursor cursor_of(struct bytes bytes)
{
    static const uint8_t none[1]; /* so that there is an end to point to */
    const uint8_t *data = bytes.data ? bytes.data : none;
    return (struct cursor){data, data + bytes.size, false};
}

static inline uint8_t cursor_u8(struct cursor *cursor)
{
    cursor->bad |= cursor->at == cursor->end;
    return cursor->bad ? 0 : *cursor->at++;
}

uint16_t cursor_u16(struct cursor *cursor);
uint32_t cursor_u32(struct cursor *cursor);
uint64_t cursor_u64(struct cursor *cursor);
/* The first is for the second. */
uint64_t cursor_long_varint(struct cursor *cursor);
static inline uint64_t cursor_varint(struct cursor *cursor)
{
    if (!cursor->bad && cursor->at < cursor->end && *cursor->at < 0x80)
        return *cursor->at++;
    return cursor_long_varint(cursor);
}
/* `size` bytes, borrowed. */
struct bytes cursor_bytes(struct cursor *cursor, size_t size);

static inline size_t cursor_left(const struct cursor *cursor)
{
    return (size_t)(cursor->end - cursor->at);
}

#endif
