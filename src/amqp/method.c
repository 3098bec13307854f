/* What methods.def says about each row is unrolled here into a reader, a measure, a writer and a
 * description. Bits that follow one another share octets, the first in the lowest bit (AMQP 0-9-1,
 * section 4.2.5.2): `bit` counts how many of the current octet are used, 8 when the next bit begins
 * a new one. It is a constant wherever it is looked at, so the compiler takes it away. */
#include "amqp/method.h"

#include <assert.h>

#include "amqp/table.h"

/* ---- reading ---- */

struct read {
    struct reader reader;
    bool bad_utf8;
    bool bad_table;
};

static inline struct bytes read_text(struct read *read, bool has_content)
{
    struct bytes text = reader_shortstr(&read->reader);
    if (!has_content && !wire_text_is_valid(text))
        read->bad_utf8 = true;
    return text;
}

static inline struct bytes read_table(struct read *read)
{
    struct bytes table = reader_table(&read->reader);
    if (table.size && !table_check(table))
        read->bad_table = true;
    return table;
}

static inline bool read_bit(struct reader *reader, unsigned *bit, uint8_t *octet)
{
    if (*bit == 8) {
        *octet = reader_u8(reader);
        *bit = 0;
    }
    return *octet >> (*bit)++ & 1;
}

enum { HAS_PLAIN = false, HAS_CONTENT = true, IS_ASYNC = false, IS_SYNC = true };

#define METHOD(NAME, name, text, class_id, method_id, sent_by, sync, content, legal, ...)          \
    static inline void read_##name(struct read *read, struct method_##name *out)                   \
    {                                                                                              \
        const bool has_content = HAS_##content;                                                    \
        unsigned bit = 8;                                                                          \
        uint8_t octet = 0;                                                                         \
        __VA_ARGS__(void) read, (void)out, (void)has_content, (void)bit, (void)octet;              \
    }
#define OCTET(name) bit = 8, out->name = reader_u8(&read->reader);
#define SHORT(name) bit = 8, out->name = reader_u16(&read->reader);
#define LONG(name) bit = 8, out->name = reader_u32(&read->reader);
#define LONGLONG(name) bit = 8, out->name = reader_u64(&read->reader);
#define BIT(name) out->name = read_bit(&read->reader, &bit, &octet);
#define SHORTSTR(name) bit = 8, out->name = read_text(read, has_content);
#define LONGSTR(name) bit = 8, out->name = reader_longstr(&read->reader);
#define TABLE(name) bit = 8, out->name = read_table(read);
#define RESERVED_SHORT(name) bit = 8, reader_u16(&read->reader);
#define RESERVED_BIT(name) read_bit(&read->reader, &bit, &octet);
#define RESERVED_SHORTSTR(name) bit = 8, read_text(read, has_content);
#define RESERVED_LONGSTR(name) bit = 8, reader_longstr(&read->reader);
#define NO_FIELDS
#include "amqp/methods.def"

/* False when there is no such method. */
static bool read_fields(struct read *read, union method *out)
{
    switch (out->id) {
#define METHOD(NAME, name, ...)                                                                    \
    case METHOD_##NAME:                                                                            \
        read_##name(read, &out->name);                                                             \
        return true;
#include "amqp/methods.def"
    default:
        return false;
    }
}

enum method_result method_read(struct bytes payload, union method *out)
{
    struct read read = {reader_of(payload), false, false};
    out->id = reader_u32(&read.reader);
    if (out->id == METHOD_BASIC_PUBLISH)
        read_basic_publish(&read, &out->basic_publish);
    else if (out->id == METHOD_BASIC_ACK)
        read_basic_ack(&read, &out->basic_ack);
    else if (!read.reader.bad && !read_fields(&read, out))
        return METHOD_UNKNOWN;
    if (read.reader.bad || reader_left(&read.reader))
        return METHOD_MALFORMED;
    if (read.bad_utf8)
        return METHOD_BAD_UTF8;
    return read.bad_table ? METHOD_BAD_TABLE : METHOD_OK;
}

/* ---- measuring ---- */

/* What a string counts as that is too long for its length: more than any room. */
enum { SIZE_IMPOSSIBLE_SHIFT = 40 };

static inline size_t size_text(struct bytes text, size_t length_size, size_t max)
{
    return text.size <= max ? length_size + text.size : (size_t)1 << SIZE_IMPOSSIBLE_SHIFT;
}

static inline size_t size_bit(unsigned *bit)
{
    size_t size = *bit == 8;
    *bit = *bit == 8 ? 1 : *bit + 1;
    return size;
}

#define METHOD(NAME, name, text, class_id, method_id, sent_by, sync, content, legal, ...)          \
    static inline size_t size_##name(const struct method_##name *method)                           \
    {                                                                                              \
        size_t size = 4;                                                                           \
        unsigned bit = 8;                                                                          \
        __VA_ARGS__(void) method, (void)bit;                                                       \
        return size;                                                                               \
    }
#define OCTET(name) bit = 8, size += 1;
#define SHORT(name) bit = 8, size += 2;
#define LONG(name) bit = 8, size += 4;
#define LONGLONG(name) bit = 8, size += 8;
#define BIT(name) size += size_bit(&bit);
#define SHORTSTR(name) bit = 8, size += size_text(method->name, 1, SHORTSTR_MAX);
#define LONGSTR(name) bit = 8, size += size_text(method->name, 4, UINT32_MAX);
#define TABLE(name) bit = 8, size += size_text(method->name, 4, UINT32_MAX);
#define RESERVED_SHORT(name) bit = 8, size += 2;
#define RESERVED_BIT(name) size += size_bit(&bit);
#define RESERVED_SHORTSTR(name) bit = 8, size += 1;
#define RESERVED_LONGSTR(name) bit = 8, size += 4;
#define NO_FIELDS
#include "amqp/methods.def"

size_t method_size(const union method *method)
{
    if (method->id == METHOD_BASIC_DELIVER)
        return size_basic_deliver(&method->basic_deliver);
    switch (method->id) {
#define METHOD(NAME, name, ...)                                                                    \
    case METHOD_##NAME:                                                                            \
        return size_##name(&method->name);
#include "amqp/methods.def"
    default:
        assert(false && "an id of the table");
        return 0;
    }
}

/* ---- writing, into room that has been measured ---- */

static inline uint8_t *put_bit(uint8_t *at, unsigned *bit, bool value)
{
    if (*bit == 8) {
        *bit = 1;
        return put_u8(at, value);
    }
    at[-1] = (uint8_t)(at[-1] | value << (*bit)++);
    return at;
}

#define METHOD(NAME, name, text, class_id, method_id, sent_by, sync, content, legal, ...)          \
    static inline uint8_t *put_##name(uint8_t *at, const struct method_##name *method)             \
    {                                                                                              \
        unsigned bit = 8;                                                                          \
        at = put_u32(at, METHOD_##NAME);                                                           \
        __VA_ARGS__(void) method, (void)bit;                                                       \
        return at;                                                                                 \
    }
#define OCTET(name) bit = 8, at = put_u8(at, method->name);
#define SHORT(name) bit = 8, at = put_u16(at, method->name);
#define LONG(name) bit = 8, at = put_u32(at, method->name);
#define LONGLONG(name) bit = 8, at = put_u64(at, method->name);
#define BIT(name) at = put_bit(at, &bit, method->name);
#define SHORTSTR(name) bit = 8, at = put_shortstr(at, method->name);
#define LONGSTR(name) bit = 8, at = put_longstr(at, method->name);
#define TABLE(name) bit = 8, at = put_longstr(at, method->name);
#define RESERVED_SHORT(name) bit = 8, at = put_u16(at, 0);
#define RESERVED_BIT(name) at = put_bit(at, &bit, false);
#define RESERVED_SHORTSTR(name) bit = 8, at = put_u8(at, 0);
#define RESERVED_LONGSTR(name) bit = 8, at = put_u32(at, 0);
#define NO_FIELDS
#include "amqp/methods.def"

uint8_t *method_put(uint8_t *at, const union method *method)
{
    if (method->id == METHOD_BASIC_DELIVER)
        return put_basic_deliver(at, &method->basic_deliver);
    switch (method->id) {
#define METHOD(NAME, name, ...)                                                                    \
    case METHOD_##NAME:                                                                            \
        return put_##name(at, &method->name);
#include "amqp/methods.def"
    default:
        assert(false && "an id of the table");
        return at;
    }
}

/* Descriptions. A row without fields still has one element, or its array would be empty. */

const struct method_info *method_info(uint32_t id)
{
    switch (id) {
#define METHOD(NAME, name, text, class_id, method_id, sent_by, sync, content, legal, ...)          \
    case METHOD_##NAME: {                                                                          \
        typedef struct method_##name row;                                                          \
        static const struct method_field fields[] = {                                              \
            __VA_ARGS__{NULL, METHOD_FIELD_OCTET, sizeof(row)}};                                   \
        static const struct method_info info = {METHOD_##NAME,                                     \
                                                text,                                              \
                                                METHOD_SENT_BY_##sent_by,                          \
                                                IS_##sync,                                         \
                                                HAS_##content,                                     \
                                                METHOD_LEGAL_##legal,                              \
                                                fields,                                            \
                                                sizeof(fields) / sizeof(fields[0]) - 1};           \
        return &info;                                                                              \
    }
#define OCTET(name) {#name, METHOD_FIELD_OCTET, offsetof(row, name)},
#define SHORT(name) {#name, METHOD_FIELD_SHORT, offsetof(row, name)},
#define LONG(name) {#name, METHOD_FIELD_LONG, offsetof(row, name)},
#define LONGLONG(name) {#name, METHOD_FIELD_LONGLONG, offsetof(row, name)},
#define BIT(name) {#name, METHOD_FIELD_BIT, offsetof(row, name)},
#define SHORTSTR(name) {#name, METHOD_FIELD_SHORTSTR, offsetof(row, name)},
#define LONGSTR(name) {#name, METHOD_FIELD_LONGSTR, offsetof(row, name)},
#define TABLE(name) {#name, METHOD_FIELD_TABLE, offsetof(row, name)},
#define RESERVED_SHORT(name)
#define RESERVED_BIT(name)
#define RESERVED_SHORTSTR(name)
#define RESERVED_LONGSTR(name)
#define NO_FIELDS
#include "amqp/methods.def"
    default:
        return NULL;
    }
}

const struct method_info *method_info_at(size_t index)
{
    static const uint32_t ids[] = {
#define METHOD(NAME, ...) METHOD_##NAME,
#include "amqp/methods.def"
    };
    return index < sizeof(ids) / sizeof(ids[0]) ? method_info(ids[index]) : NULL;
}

const struct method_info *method_find(struct bytes name)
{
    const struct method_info *info;
    for (size_t i = 0; (info = method_info_at(i)); i++)
        if (bytes_equal_str(name, info->name))
            return info;
    return NULL;
}

const char *method_name(uint32_t id)
{
    const struct method_info *info = method_info(id);
    return info ? info->name : "unknown";
}
