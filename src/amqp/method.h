/* Methods: the payload of a method frame as a struct, and back (AMQP 0-9-1, sections 1.2 to 1.9).
 *
 * All comes from methods.def: for the row basic_publish there is METHOD_BASIC_PUBLISH, which is
 * 60 << 16 | 40, struct method_basic_publish, whose first member is that id, and the member
 * basic_publish of union method; so a union can always be asked for its id. Strings and tables are
 * borrowed from the payload; a table is its contents without the length. */
#ifndef LEVERET_AMQP_METHOD_H
#define LEVERET_AMQP_METHOD_H

#include "amqp/wire.h"

enum method_id {
#define METHOD(NAME, name, text, class_id, method_id, sent_by, sync, content, legal, ...)          \
    METHOD_##NAME = class_id << 16 | method_id,
#include "amqp/methods.def"
};

#define METHOD(NAME, name, text, class_id, method_id, sent_by, sync, content, legal, ...)          \
    struct method_##name {                                                                         \
        uint32_t id;                                                                               \
        __VA_ARGS__                                                                                \
    };
#define OCTET(name) uint8_t name;
#define SHORT(name) uint16_t name;
#define LONG(name) uint32_t name;
#define LONGLONG(name) uint64_t name;
#define BIT(name) bool name;
#define SHORTSTR(name) struct bytes name;
#define LONGSTR(name) struct bytes name;
#define TABLE(name) struct bytes name;
#define RESERVED_SHORT(name)
#define RESERVED_BIT(name)
#define RESERVED_SHORTSTR(name)
#define RESERVED_LONGSTR(name)
#define NO_FIELDS
#include "amqp/methods.def"

union method {
    uint32_t id;
#define METHOD(NAME, name, text, class_id, method_id, sent_by, sync, content, legal, ...)          \
    struct method_##name name;
#include "amqp/methods.def"
};

static inline uint16_t method_class_id(uint32_t id)
{
    return (uint16_t)(id >> 16);
}

static inline uint16_t method_method_id(uint32_t id)
{
    return (uint16_t)id;
}

enum method_sent_by {
    METHOD_SENT_BY_CLIENT = 1,
    METHOD_SENT_BY_SERVER = 2,
    METHOD_SENT_BY_BOTH = 3
};

/* When a method may be sent: the first six on channel 0, the others on channels from 1 on. */
enum method_legal {
    METHOD_LEGAL_STARTING,        /* start has been sent */
    METHOD_LEGAL_SECURING,        /* a challenge has been sent */
    METHOD_LEGAL_TUNING,          /* tune has been sent */
    METHOD_LEGAL_OPENING,         /* tune-ok has been seen */
    METHOD_LEGAL_RUNNING,         /* the connection is open */
    METHOD_LEGAL_CONNECTED,       /* in any state of the connection */
    METHOD_LEGAL_CHANNEL_NEW,     /* the channel is not open */
    METHOD_LEGAL_CHANNEL_OPEN,    /* the channel is open */
    METHOD_LEGAL_CHANNEL_CLOSING, /* the channel is open, or being closed */
};

enum method_field_kind {
    METHOD_FIELD_OCTET,
    METHOD_FIELD_SHORT,
    METHOD_FIELD_LONG,
    METHOD_FIELD_LONGLONG,
    METHOD_FIELD_BIT,
    METHOD_FIELD_SHORTSTR,
    METHOD_FIELD_LONGSTR,
    METHOD_FIELD_TABLE,
};

struct method_field {
    const char *name; /* "routing_key" */
    enum method_field_kind kind;
    size_t offset; /* in the method's struct */
};

struct method_info {
    uint32_t id;
    const char *name; /* "basic.publish" */
    enum method_sent_by sent_by;
    bool is_synchronous;
    bool has_content;
    enum method_legal legal;
    const struct method_field *fields; /* those that are not reserved */
    size_t field_count;                /* at most METHOD_FIELDS_MAX */
};

enum { METHOD_FIELDS_MAX = 16 };

/* The row of a method; NULL when there is none with this id. */
const struct method_info *method_info(uint32_t id);
/* The rows in the order of their ids; NULL past the last. */
const struct method_info *method_info_at(size_t index);
/* The row of "basic.publish"; NULL when there is none. */
const struct method_info *method_find(struct bytes name);
/* "basic.publish", or "unknown". */
const char *method_name(uint32_t id);

enum method_result {
    METHOD_OK,
    METHOD_UNKNOWN,   /* no such method; out->id tells which it would have been */
    METHOD_MALFORMED, /* cut short, or bytes left after the last field */
    METHOD_BAD_UTF8,  /* RabbitMQ: 501, `Malformed UTF-8 in shortstr` */
    METHOD_BAD_TABLE, /* a field table that table_check refuses */
};

/* Reads the payload of a method frame. Unless it was too short for class and method id, out->id is
 * set whatever the result; the other members only when it is METHOD_OK. Tables have been checked.
 * Like RabbitMQ, it does not look for malformed UTF-8 in methods that carry content: there,
 * exchange and routing key may be any bytes. */
enum method_result method_read(struct bytes payload, union method *out);
/* Bytes of the payload of a method frame, class and method id included. The id must be one of ours.
 * With a string that is too long for its length (255 bytes for a short one), more than any frame
 * can hold.
 */
size_t method_size(const union method *method);
/* Writes it into room for method_size bytes, which is less than 4 GiB; returns the end. Tables are
 * written as they are. */
uint8_t *method_put(uint8_t *at, const union method *method);

#endif
