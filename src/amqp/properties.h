/* Content headers of class basic: class, weight, body size, 16 property flags and the properties
 * that are there (AMQP 0-9-1, section 4.2.6.1).
 *
 * "Properties" as bytes are what begins with the flags: a message keeps them as they came, and a
 * delivery sends them again. Like RabbitMQ, nothing here asks whether strings are UTF-8. */
#ifndef LEVERET_AMQP_PROPERTIES_H
#define LEVERET_AMQP_PROPERTIES_H

#include "amqp/wire.h"
#include "base/buffer.h"

enum property {
#define PROPERTY(NAME, name, kind, bit) PROPERTY_##NAME = 1 << bit,
#include "amqp/properties.def"
};

/* The class id of basic, the only one with content. */
enum { CONTENT_CLASS_BASIC = 60 };

struct properties {
    uint16_t flags; /* which ones are there; the rest is not read and not written */
#define SHORTSTR struct bytes
#define TABLE struct bytes
#define OCTET uint8_t
#define LONGLONG uint64_t
#define PROPERTY(NAME, name, kind, bit) kind name;
#include "amqp/properties.def"
#undef SHORTSTR
#undef TABLE
#undef OCTET
#undef LONGLONG
};

static inline bool properties_have(const struct properties *properties, enum property which)
{
    return properties->flags & which;
}

struct content_header {
    uint16_t class_id;
    uint16_t weight;
    uint64_t body_size;
    struct bytes properties; /* from the flags on; borrowed, not checked */
};

/* Splits the payload of a content header frame; false when it is too short. Class and weight are
 * the caller's to judge. */
bool content_header_read(struct bytes payload, struct content_header *out);

enum properties_result {
    PROPERTIES_OK,
    PROPERTIES_MALFORMED, /* cut short, bytes left over, or flags that no property has */
    PROPERTIES_BAD_TABLE, /* headers that table_check refuses */
};

/* Reads all properties, borrowed. */
enum properties_result properties_read(struct bytes bytes, struct properties *out);

/* The same of what was checked before; if it is wrong nevertheless there are none. */
void properties_read_checked(struct bytes bytes, struct properties *out);

/* Those that a broker acts on; the flags tell which are there, also of the others. */
struct properties_brief {
    uint16_t flags;
    uint8_t delivery_mode; /* 0: it is not there */
    uint8_t priority;      /* 0: it is not there, or it is 0 */
    struct bytes headers;  /* contents of the table; empty: it is not there */
    struct bytes reply_to;
    struct bytes expiration;
    struct bytes user_id;
};

/* Checks all properties as properties_read does, and keeps only the brief ones. */
enum properties_result properties_scan(struct bytes bytes, struct properties_brief *out);

/* The timestamp alone, of what was checked before. False: there is none. */
bool properties_timestamp(struct bytes bytes, uint64_t *timestamp);

/* Bytes that properties_write writes. */
size_t properties_size(const struct properties *properties);
/* Writes flags and properties; the writer goes bad when it has no room or a string is too long. */
void properties_write(struct writer *writer, const struct properties *properties);
/* Appends the same. */
void properties_add(struct buffer *out, const struct properties *properties);

#endif
