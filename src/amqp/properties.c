/* Properties of class basic: read whole, scanned for what brokers act on, written. */
#include "amqp/properties.h"

#include <assert.h>

#include "amqp/table.h"

/* All flags that a property has. Of the other two, bit 0 would announce further flags, which class
 * basic never needs, and bit 1 means nothing. */
enum {
    FLAGS_KNOWN = 0
#define PROPERTY(NAME, name, kind, bit) | PROPERTY_##NAME
#include "amqp/properties.def"
};

bool content_header_read(struct bytes payload, struct content_header *out)
{
    struct reader reader = reader_of(payload);
    out->class_id = reader_u16(&reader);
    out->weight = reader_u16(&reader);
    out->body_size = reader_u64(&reader);
    out->properties = reader_bytes(&reader, reader_left(&reader));
    return !reader.bad;
}

static enum properties_result result(const struct reader *reader, uint16_t flags,
                                     struct bytes headers)
{
    if (reader->bad || reader_left(reader) || (flags & ~FLAGS_KNOWN))
        return PROPERTIES_MALFORMED;
    return headers.size == 0 || table_check(headers) ? PROPERTIES_OK : PROPERTIES_BAD_TABLE;
}

#define READ_SHORTSTR reader_shortstr
#define READ_TABLE reader_table
#define READ_OCTET reader_u8
#define READ_LONGLONG reader_u64

enum properties_result properties_read(struct bytes bytes, struct properties *out)
{
    struct reader reader = reader_of(bytes);
    *out = (struct properties){.flags = reader_u16(&reader)};
#define PROPERTY(NAME, name, kind, bit)                                                            \
    if (out->flags & PROPERTY_##NAME)                                                              \
        out->name = READ_##kind(&reader);
#include "amqp/properties.def"
    return result(&reader, out->flags, out->headers);
}

void properties_read_checked(struct bytes bytes, struct properties *out)
{
    if (properties_read(bytes, out) != PROPERTIES_OK)
        *out = (struct properties){0};
}

/* Reads a run of properties that are not kept. */
static void skip_shortstr(struct reader *reader, uint16_t flags, uint16_t which)
{
    if (flags & which)
        reader_shortstr(reader);
}

enum properties_result properties_scan(struct bytes bytes, struct properties_brief *out)
{
    struct reader reader = reader_of(bytes);
    uint16_t flags = reader_u16(&reader);
    *out = (struct properties_brief){.flags = flags};
    skip_shortstr(&reader, flags, PROPERTY_CONTENT_TYPE);
    skip_shortstr(&reader, flags, PROPERTY_CONTENT_ENCODING);
    if (flags & PROPERTY_HEADERS)
        out->headers = reader_table(&reader);
    if (flags & PROPERTY_DELIVERY_MODE)
        out->delivery_mode = reader_u8(&reader);
    if (flags & PROPERTY_PRIORITY)
        out->priority = reader_u8(&reader);
    if (!reader_left(&reader) && !(flags & (PROPERTY_PRIORITY - 1)))
        return result(&reader, flags, out->headers);
    skip_shortstr(&reader, flags, PROPERTY_CORRELATION_ID);
    if (flags & PROPERTY_REPLY_TO)
        out->reply_to = reader_shortstr(&reader);
    if (flags & PROPERTY_EXPIRATION)
        out->expiration = reader_shortstr(&reader);
    skip_shortstr(&reader, flags, PROPERTY_MESSAGE_ID);
    if (flags & PROPERTY_TIMESTAMP)
        reader_u64(&reader);
    skip_shortstr(&reader, flags, PROPERTY_TYPE);
    if (flags & PROPERTY_USER_ID)
        out->user_id = reader_shortstr(&reader);
    skip_shortstr(&reader, flags, PROPERTY_APP_ID);
    skip_shortstr(&reader, flags, PROPERTY_CLUSTER_ID);
    return result(&reader, flags, out->headers);
}

bool properties_timestamp(struct bytes bytes, uint64_t *timestamp)
{
    struct reader reader = reader_of(bytes);
    uint16_t flags = reader_u16(&reader);
    if (!(flags & PROPERTY_TIMESTAMP))
        return false;
    skip_shortstr(&reader, flags, PROPERTY_CONTENT_TYPE);
    skip_shortstr(&reader, flags, PROPERTY_CONTENT_ENCODING);
    if (flags & PROPERTY_HEADERS)
        reader_table(&reader);
    if (flags & PROPERTY_DELIVERY_MODE)
        reader_u8(&reader);
    if (flags & PROPERTY_PRIORITY)
        reader_u8(&reader);
    skip_shortstr(&reader, flags, PROPERTY_CORRELATION_ID);
    skip_shortstr(&reader, flags, PROPERTY_REPLY_TO);
    skip_shortstr(&reader, flags, PROPERTY_EXPIRATION);
    skip_shortstr(&reader, flags, PROPERTY_MESSAGE_ID);
    *timestamp = reader_u64(&reader);
    return !reader.bad;
}

#define SIZE_SHORTSTR(value) (1 + (value).size)
#define SIZE_TABLE(value) (4 + (value).size)
#define SIZE_OCTET(value) sizeof(value)
#define SIZE_LONGLONG(value) sizeof(value)

size_t properties_size(const struct properties *properties)
{
    size_t size = 2;
#define PROPERTY(NAME, name, kind, bit)                                                            \
    if (properties->flags & PROPERTY_##NAME)                                                       \
        size += SIZE_##kind(properties->name);
#include "amqp/properties.def"
    return size;
}

#define WRITE_SHORTSTR writer_shortstr
#define WRITE_TABLE writer_longstr
#define WRITE_OCTET writer_u8
#define WRITE_LONGLONG writer_u64

void properties_write(struct writer *writer, const struct properties *properties)
{
    writer_u16(writer, properties->flags & FLAGS_KNOWN);
#define PROPERTY(NAME, name, kind, bit)                                                            \
    if (properties->flags & PROPERTY_##NAME)                                                       \
        WRITE_##kind(writer, properties->name);
#include "amqp/properties.def"
}

void properties_add(struct buffer *out, const struct properties *properties)
{
    size_t size = properties_size(properties);
    struct writer writer = writer_of(buffer_room(out, size), size);
    properties_write(&writer, properties);
    assert(!writer.bad);
    buffer_added(out, size);
}
