/* Content headers: every combination of properties, cut short, and with flags nobody knows. */
#include "amqp/properties.h"

#include <stdlib.h>

#include "tests/lib/tap.h"

static struct properties all_properties(void)
{
    return (struct properties){
        .flags = 0xfffc,
        .content_type = bytes_str("text/plain"),
        .content_encoding = bytes_str("gzip"),
        .headers = bytes_of("\1kt\1", 4),
        .delivery_mode = 2,
        .priority = 9,
        .correlation_id = bytes_str("correlation"),
        .reply_to = bytes_str("answers"),
        .expiration = bytes_str("60000"),
        .message_id = bytes_str("m-1"),
        .timestamp = 0x0102030405060708,
        .type = bytes_str("order"),
        .user_id = bytes_str("guest"),
        .app_id = bytes_str("shop"),
        .cluster_id = bytes_str("c"),
    };
}

static bool properties_equal(const struct properties *a, const struct properties *b)
{
    bool same = a->flags == b->flags;
#define EQUAL_SHORTSTR bytes_equal
#define EQUAL_TABLE bytes_equal
#define EQUAL_OCTET(x, y) ((x) == (y))
#define EQUAL_LONGLONG(x, y) ((x) == (y))
#define PROPERTY(NAME, name, kind, bit)                                                            \
    if (a->flags & PROPERTY_##NAME)                                                                \
        same = same && EQUAL_##kind(a->name, b->name);
#include "amqp/properties.def"
    return same;
}

static bool brief_agrees(const struct properties_brief *brief, const struct properties *all)
{
    struct properties there = *all;
    if (!properties_have(all, PROPERTY_DELIVERY_MODE))
        there.delivery_mode = 0;
    if (!properties_have(all, PROPERTY_PRIORITY))
        there.priority = 0;
    if (!properties_have(all, PROPERTY_HEADERS))
        there.headers.size = 0;
    if (!properties_have(all, PROPERTY_REPLY_TO))
        there.reply_to.size = 0;
    if (!properties_have(all, PROPERTY_EXPIRATION))
        there.expiration.size = 0;
    if (!properties_have(all, PROPERTY_USER_ID))
        there.user_id.size = 0;
    return brief->flags == there.flags && brief->delivery_mode == there.delivery_mode &&
           brief->priority == there.priority && bytes_equal(brief->headers, there.headers) &&
           bytes_equal(brief->reply_to, there.reply_to) &&
           bytes_equal(brief->expiration, there.expiration) &&
           bytes_equal(brief->user_id, there.user_id);
}

static bool timestamp_agrees(struct bytes bytes, const struct properties *all)
{
    uint64_t timestamp = 0;
    bool has_one = properties_have(all, PROPERTY_TIMESTAMP);
    return properties_timestamp(bytes, &timestamp) == has_one && (!has_one || timestamp == all->timestamp);
}

/* Reads and scans a copy of exactly that size; both must say the same. */
static enum properties_result judge(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size + 1);
    if (size)
        memcpy(copy, data, size);
    struct properties properties;
    struct properties_brief brief;
    enum properties_result result = properties_read(bytes_of(copy, size), &properties);
    if (properties_scan(bytes_of(copy, size), &brief) != result)
        ok(false, "reading and scanning agree");
    free(copy);
    return result;
}

TEST(every_combination_comes_back)
{
    struct properties all = all_properties();
    bool same = true, sized = true, cut_refused = true;
    for (unsigned bits = 0; bits < 1u << 14; bits++) {
        uint8_t memory[200];
        all.flags = (uint16_t)(bits << 2);
        struct writer writer = writer_of(memory, sizeof(memory));
        properties_write(&writer, &all);
        size_t size = (size_t)(writer.at - memory);
        sized = sized && !writer.bad && size == properties_size(&all);
        struct properties back;
        struct properties_brief brief;
        same = same && properties_read(bytes_of(memory, size), &back) == PROPERTIES_OK &&
               properties_equal(&all, &back);
        same = same && properties_scan(bytes_of(memory, size), &brief) == PROPERTIES_OK &&
               brief_agrees(&brief, &all) && timestamp_agrees(bytes_of(memory, size), &all);
        cut_refused = cut_refused && judge(memory, size - 1) == PROPERTIES_MALFORMED;
        memory[size] = 0;
        cut_refused = cut_refused && judge(memory, size + 1) == PROPERTIES_MALFORMED;
    }
    ok(same, "all 16,384, read and scanned");
    ok(sized, "with their sizes");
    ok(cut_refused, "and a byte less or more is malformed");
}

TEST(all_truncations)
{
    struct properties all = all_properties();
    uint8_t memory[200];
    struct writer writer = writer_of(memory, sizeof(memory));
    properties_write(&writer, &all);
    size_t size = (size_t)(writer.at - memory);
    bool refused = true, bad = true;
    for (size_t cut = 0; cut < size; cut++) {
        refused = refused && judge(memory, cut) == PROPERTIES_MALFORMED;
        uint8_t *room = malloc(cut + 1);
        writer = writer_of(room, cut);
        properties_write(&writer, &all);
        bad = bad && writer.bad;
        free(room);
    }
    ok(refused, "are malformed");
    ok(bad, "and do not fit into less room");
}

TEST(flags_that_no_property_has)
{
    is_int(judge((const uint8_t *)"\0\0", 2), PROPERTIES_OK, "none is fine");
    is_int(judge((const uint8_t *)"\0\1", 2), PROPERTIES_MALFORMED, "further flags are announced");
    is_int(judge((const uint8_t *)"\0\1\0\0", 4), PROPERTIES_MALFORMED, "and follow");
    is_int(judge((const uint8_t *)"\0\2", 2), PROPERTIES_MALFORMED, "bit 1");
    struct properties properties;
    properties_read_checked(bytes_of("\x80\0\1t", 4), &properties);
    ok(bytes_equal_str(properties.content_type, "t"), "what was checked is read");
    properties_read_checked(bytes_of("\x80\2\1t", 4), &properties);
    ok(!properties.flags && !properties.content_type.size, "and if it is wrong, there is nothing");
}

TEST(bad_headers)
{
    is_int(judge((const uint8_t *)"\x20\0\0\0\0\3\1a?", 9), PROPERTIES_BAD_TABLE, "unknown type");
    is_int(judge((const uint8_t *)"\x20\0\0\0\0\4\1a?", 9), PROPERTIES_MALFORMED,
           "longer than all");
    is_int(judge((const uint8_t *)"\x20\0\0\0\0\0", 6), PROPERTIES_OK, "an empty table");
    is_int(judge((const uint8_t *)"\x30\0\0\0\0\3\1a?\2", 10), PROPERTIES_BAD_TABLE,
           "with another property");
    is_int(judge((const uint8_t *)"\x80\0\2\xff\xff", 5), PROPERTIES_OK,
           "strings may be any bytes");
}

TEST(content_headers)
{
    struct content_header header;
    struct bytes payload = bytes_of("\0\x3c\0\1\1\2\3\4\5\6\7\10\x10\0\2", 15);
    ok(content_header_read(payload, &header), "is split");
    is_int(header.class_id, CONTENT_CLASS_BASIC, "class");
    is_int(header.weight, 1, "weight, which is not judged");
    is_int(header.body_size, 0x0102030405060708, "body size");
    is_bytes(header.properties.data, header.properties.size, "\x10\0\2", 3, "properties");
    ok(content_header_read(bytes_of(payload.data, 12), &header), "without properties");
    is_int(header.properties.size, 0, "there are none");
    bool refused = true;
    for (size_t size = 0; size < 12; size++)
        refused = refused && !content_header_read(bytes_of(payload.data, size), &header);
    ok(refused, "cut short");
}

int main(void)
{
    RUN(every_combination_comes_back);
    RUN(all_truncations);
    RUN(flags_that_no_property_has);
    RUN(bad_headers);
    RUN(content_headers);
    return done();
}
