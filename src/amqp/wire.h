/* Numbers and strings as AMQP puts them on the wire (0-9-1, section 4.2): big-endian, a short
 * string after one octet of length, a long string or a table after four.
 *
 * Reader and writer are sticky: past the end, `bad` is set, and from then on every value read is 0
 * or empty and nothing is written, so that a caller checks once, at its end. What is read is
 * borrowed from the bytes that were handed in. */
#ifndef LEVERET_AMQP_WIRE_H
#define LEVERET_AMQP_WIRE_H

#include <endian.h>

#include "base/bytes.h"

enum { SHORTSTR_MAX = 255 };

struct reader {
    const uint8_t *at;
    const uint8_t *end;
    bool bad;
};

struct writer {
    uint8_t *at;
    uint8_t *end;
    bool bad;
};

static inline struct reader reader_of(struct bytes bytes)
{
    static const uint8_t nothing[1] = {0};
    const uint8_t *at = bytes.data ? bytes.data : nothing;
    return (struct reader){at, at + bytes.size, false};
}

/* A writer into `size` bytes of the caller's memory. */
static inline struct writer writer_of(void *memory, size_t size)
{
    return (struct writer){memory, (uint8_t *)memory + size, false};
}

static inline size_t reader_left(const struct reader *reader)
{
    return (size_t)(reader->end - reader->at);
}

static inline size_t writer_left(const struct writer *writer)
{
    return (size_t)(writer->end - writer->at);
}

/* `size` bytes, borrowed; NULL and bad when there are fewer. */
static inline const uint8_t *reader_take(struct reader *reader, size_t size)
{
    if (__builtin_expect(reader_left(reader) < size, 0)) {
        reader->at = reader->end;
        reader->bad = true;
        return NULL;
    }
    const uint8_t *at = reader->at;
    reader->at += size;
    return at;
}

static inline uint8_t reader_u8(struct reader *reader)
{
    const uint8_t *at = reader_take(reader, 1);
    return at ? *at : 0;
}

static inline uint16_t reader_u16(struct reader *reader)
{
    uint16_t value = 0;
    const uint8_t *at = reader_take(reader, sizeof(value));
    if (at)
        memcpy(&value, at, sizeof(value));
    return be16toh(value);
}

static inline uint32_t reader_u32(struct reader *reader)
{
    uint32_t value = 0;
    const uint8_t *at = reader_take(reader, sizeof(value));
    if (at)
        memcpy(&value, at, sizeof(value));
    return be32toh(value);
}

static inline uint64_t reader_u64(struct reader *reader)
{
    uint64_t value = 0;
    const uint8_t *at = reader_take(reader, sizeof(value));
    if (at)
        memcpy(&value, at, sizeof(value));
    return be64toh(value);
}

/* The next `size` bytes, borrowed. */
static inline struct bytes reader_bytes(struct reader *reader, size_t size)
{
    const uint8_t *at = reader_take(reader, size);
    return bytes_of(at, at ? size : 0);
}

static inline struct bytes reader_shortstr(struct reader *reader)
{
    size_t size = reader_u8(reader);
    return reader_bytes(reader, size);
}

static inline struct bytes reader_longstr(struct reader *reader)
{
    size_t size = reader_u32(reader);
    return reader_bytes(reader, size);
}

/* The contents of a field table, without its length; not checked (see table.h). */
static inline struct bytes reader_table(struct reader *reader)
{
    return reader_longstr(reader);
}

/* Writing without a look at the room, for what has been measured before: these return where the
 * next value goes. */
static inline uint8_t *put_u8(uint8_t *at, uint8_t value)
{
    *at = value;
    return at + sizeof(value);
}

static inline uint8_t *put_u16(uint8_t *at, uint16_t value)
{
    value = htobe16(value);
    memcpy(at, &value, sizeof(value));
    return at + sizeof(value);
}

static inline uint8_t *put_u32(uint8_t *at, uint32_t value)
{
    value = htobe32(value);
    memcpy(at, &value, sizeof(value));
    return at + sizeof(value);
}

static inline uint8_t *put_u64(uint8_t *at, uint64_t value)
{
    value = htobe64(value);
    memcpy(at, &value, sizeof(value));
    return at + sizeof(value);
}

/* Names and small bodies are short, and a call of memcpy costs more than the copy: two moves that
 * may overlap do for 2 to 32 bytes. */
static inline uint8_t *put_bytes(uint8_t *at, struct bytes bytes)
{
    size_t size = bytes.size;
    const uint8_t *from = bytes.data;
    if (size > 32) {
        memcpy(at, from, size);
    } else if (size >= 16) {
        memcpy(at, from, 16);
        memcpy(at + size - 16, from + size - 16, 16);
    } else if (size >= 8) {
        memcpy(at, from, 8);
        memcpy(at + size - 8, from + size - 8, 8);
    } else if (size >= 4) {
        memcpy(at, from, 4);
        memcpy(at + size - 4, from + size - 4, 4);
    } else if (size >= 2) {
        memcpy(at, from, 2);
        memcpy(at + size - 2, from + size - 2, 2);
    } else if (size) {
        *at = *from;
    }
    return at + size;
}

/* At most 255 bytes. */
static inline uint8_t *put_shortstr(uint8_t *at, struct bytes text)
{
    return put_bytes(put_u8(at, (uint8_t)text.size), text);
}

/* At most 4 GiB - 1. */
static inline uint8_t *put_longstr(uint8_t *at, struct bytes text)
{
    return put_bytes(put_u32(at, (uint32_t)text.size), text);
}

/* Room for `size` bytes, which count as written; NULL and bad when there is less. */
static inline uint8_t *writer_take(struct writer *writer, size_t size)
{
    if (__builtin_expect(writer_left(writer) < size, 0)) {
        writer->end = writer->at;
        writer->bad = true;
        return NULL;
    }
    uint8_t *at = writer->at;
    writer->at += size;
    return at;
}

static inline void writer_u8(struct writer *writer, uint8_t value)
{
    uint8_t *at = writer_take(writer, 1);
    if (at)
        put_u8(at, value);
}

static inline void writer_u16(struct writer *writer, uint16_t value)
{
    uint8_t *at = writer_take(writer, sizeof(value));
    if (at)
        put_u16(at, value);
}

static inline void writer_u32(struct writer *writer, uint32_t value)
{
    uint8_t *at = writer_take(writer, sizeof(value));
    if (at)
        put_u32(at, value);
}

static inline void writer_u64(struct writer *writer, uint64_t value)
{
    uint8_t *at = writer_take(writer, sizeof(value));
    if (at)
        put_u64(at, value);
}

static inline void writer_bytes(struct writer *writer, struct bytes bytes)
{
    uint8_t *at = writer_take(writer, bytes.size);
    if (at)
        put_bytes(at, bytes);
}

/* Bad when the string is longer than 255 bytes. */
static inline void writer_shortstr(struct writer *writer, struct bytes text)
{
    if (text.size > SHORTSTR_MAX) {
        writer->end = writer->at;
        writer->bad = true;
        return;
    }
    writer_u8(writer, (uint8_t)text.size);
    writer_bytes(writer, text);
}

/* Bad when the string is longer than 4 GiB - 1. */
static inline void writer_longstr(struct writer *writer, struct bytes text)
{
    if (text.size > UINT32_MAX) {
        writer->end = writer->at;
        writer->bad = true;
        return;
    }
    writer_u32(writer, (uint32_t)text.size);
    writer_bytes(writer, text);
}

/* Is this well-formed UTF-8? As utf8_is_valid, and quick for ASCII. */
bool wire_text_is_valid(struct bytes text);

#endif
