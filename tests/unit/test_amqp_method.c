/* Every method of the table: written and read again, cut short, and with each field spoilt. */
#include "amqp/method.h"

#include <stdlib.h>

#include "amqp/text_fields.h"
#include "base/random.h"
#include "tests/lib/match.h"
#include "tests/lib/tap.h"
#include "tests/lib/amqp_more.h"

enum { ROUNDS = 50, TEXT_MOST = 300 };

static const uint8_t a_table[] = "\1kt\1\2nnI\0\0\0\7";

static void *member(union method *method, const struct method_field *field)
{
    return (uint8_t *)method + field->offset;
}

/* Gives a field a random value; the strings are of 0 to 255 bytes of ASCII. */
static void fill_field(struct random *random, union method *method,
                       const struct method_field *field)
{
    static uint8_t texts[TEXT_MOST];
    memset(texts, 'q', sizeof(texts));
    uint64_t number = random_next(random);
    size_t size = random_below(random, 8) ? random_below(random, 12) : random_below(random, 256);
    if (field->kind < METHOD_FIELD_SHORTSTR)
        text_field_set_number(method, field, number);
    else if (field->kind == METHOD_FIELD_TABLE)
        *(struct bytes *)member(method, field) =
            bytes_of(a_table, number & 1 ? sizeof(a_table) - 1 : 0);
    else
        *(struct bytes *)member(method, field) = bytes_of(texts + number % 40, size);
}

static void fill(struct random *random, const struct method_info *info, union method *method)
{
    memset(method, 0, sizeof(*method));
    method->id = info->id;
    for (size_t i = 0; i < info->field_count; i++)
        fill_field(random, method, &info->fields[i]);
}

static bool methods_equal(const union method *a, const union method *b)
{
    const struct text_given all = {.fields = UINT32_MAX};
    return match_method(a, &all, b);
}

/* The payload in memory of exactly its size; the caller frees it. */
static uint8_t *encode(const union method *method, size_t *size)
{
    *size = method_size(method);
    uint8_t *payload = malloc(*size);
    struct writer writer = writer_of(payload, *size);
    method_write(&writer, method);
    if (writer.bad || writer_left(&writer)) {
        free(payload);
        return NULL;
    }
    return payload;
}

static bool comes_back(union method *method)
{
    size_t size;
    uint8_t *payload = encode(method, &size);
    if (!payload)
        return false;
    union method back;
    memset(&back, 0xaa, sizeof(back));
    bool same =
        method_read(bytes_of(payload, size), &back) == METHOD_OK && methods_equal(method, &back);
    free(payload);
    return same;
}

/* All shorter payloads are malformed, and one that is a byte too long. */
static bool only_whole(const union method *method)
{
    size_t size;
    uint8_t *payload = encode(method, &size);
    bool refused = payload != NULL;
    for (size_t cut = 0; refused && cut < size; cut++) {
        uint8_t *part = malloc(cut + 1);
        memcpy(part, payload, cut);
        union method back;
        /* Three bytes of an id are no id; the rest of a method is its own. */
        refused = method_read(bytes_of(part, cut), &back) == METHOD_MALFORMED;
        free(part);
    }
    uint8_t *more = calloc(1, size + 1);
    if (payload)
        memcpy(more, payload, size);
    union method back;
    refused = refused && method_read(bytes_of(more, size + 1), &back) == METHOD_MALFORMED;
    free(more);
    free(payload);
    return refused;
}

static bool needs_all_its_room(const union method *method)
{
    size_t size = method_size(method);
    for (size_t room = 0; room < size; room += 1 + room / 16) {
        uint8_t *memory = malloc(room + 1);
        struct writer writer = writer_of(memory, room);
        method_write(&writer, method);
        free(memory);
        if (!writer.bad)
            return false;
    }
    return true;
}

TEST(every_method_comes_back)
{
    struct random random;
    random_init(&random, 2);
    const struct method_info *info;
    for (size_t i = 0; (info = method_info_at(i)); i++) {
        bool back = true, whole = true, room = true;
        for (int round = 0; round < ROUNDS; round++) {
            union method method;
            fill(&random, info, &method);
            back = back && comes_back(&method);
            whole = whole && only_whole(&method);
            room = room && needs_all_its_room(&method);
        }
        ok(back && whole && room, "%s comes back, whole or not at all", info->name);
    }
}

TEST(strings_at_their_limit)
{
    static uint8_t text[256];
    memset(text, 'x', sizeof(text));
    union method method = {.basic_publish = {.id = METHOD_BASIC_PUBLISH,
                                             .exchange = bytes_of(text, 255),
                                             .routing_key = bytes_of(text, 255)}};
    ok(comes_back(&method), "255 bytes each");
    is_int(method_size(&method), 4 + 2 + 256 + 256 + 1, "with their lengths");
    method.basic_publish.routing_key.size = 256;
    static uint8_t memory[2000];
    struct writer writer = writer_of(memory, sizeof(memory));
    method_write(&writer, &method);
    ok(writer.bad && writer.at == memory, "256 bytes cannot be written");
}

static void is_encoded(const union method *method, const char *bytes, size_t size)
{
    uint8_t memory[200];
    struct writer writer = writer_of(memory, sizeof(memory));
    method_write(&writer, method);
    is_bytes(memory, (size_t)(writer.at - memory), bytes, size, "%s", method_name(method->id));
}

/* Reserved fields and shared octets, from the specification by hand. */
TEST(known_encodings)
{
    union method method = {.basic_publish = {.id = METHOD_BASIC_PUBLISH,
                                             .exchange = bytes_str("ex"),
                                             .routing_key = bytes_str("key"),
                                             .immediate = true}};
    is_encoded(&method,
               "\0\x3c\0\x28"
               "\0\0"
               "\2ex"
               "\3key"
               "\2",
               14);
    method = (union method){.queue_declare = {.id = METHOD_QUEUE_DECLARE,
                                              .queue = bytes_str("q"),
                                              .durable = true,
                                              .auto_delete = true,
                                              .nowait = true,
                                              .arguments = bytes_of("\1at\1", 4)}};
    is_encoded(&method,
               "\0\x32\0\x0a"
               "\0\0"
               "\1q"
               "\x1a"
               "\0\0\0\4\1at\1",
               17);
    method = (union method){.basic_get_ok = {.id = METHOD_BASIC_GET_OK,
                                             .delivery_tag = 258,
                                             .redelivered = true,
                                             .message_count = 3}};
    is_encoded(&method,
               "\0\x3c\0\x47"
               "\0\0\0\0\0\0\1\2"
               "\1"
               "\0"
               "\0"
               "\0\0\0\3",
               19);
    method = (union method){
        .connection_open = {.id = METHOD_CONNECTION_OPEN, .virtual_host = bytes_str("/")}};
    is_encoded(&method,
               "\0\x0a\0\x28"
               "\1/"
               "\0"
               "\0",
               8);
    method = (union method){.id = METHOD_EXCHANGE_UNBIND_OK};
    is_encoded(&method, "\0\x28\0\x33", 4);
    method = (union method){.id = METHOD_CHANNEL_OPEN_OK};
    is_encoded(&method,
               "\0\x14\0\x0b"
               "\0\0\0\0",
               8);
}

TEST(what_is_reserved_is_read_over)
{
    union method method;
    struct bytes open = bytes_of("\0\x0a\0\x28"
                                 "\1/"
                                 "\3abc"
                                 "\1",
                                 11);
    is_int(method_read(open, &method), METHOD_OK, "connection.open with all fields of 0-8");
    is_bytes(method.connection_open.virtual_host.data, method.connection_open.virtual_host.size,
             "/", 1, "its virtual host");
    struct bytes publish = bytes_of("\0\x3c\0\x28"
                                    "\0\7"
                                    "\0"
                                    "\1k"
                                    "\xff",
                                    10);
    is_int(method_read(publish, &method), METHOD_OK, "basic.publish with a ticket, all bits set");
    ok(method.basic_publish.mandatory && method.basic_publish.immediate, "two of which count");
}

TEST(unknown_is_not_malformed)
{
    union method method;
    is_int(method_read(bytes_of("\0\x3c\0\xff", 4), &method), METHOD_UNKNOWN, "basic, 255");
    is_int(method.id, 60 << 16 | 255, "with its id");
    is_int(method_read(bytes_of("\0\x32\0\x0a", 4), &method), METHOD_MALFORMED, "cut short");
    is_int(method.id, METHOD_QUEUE_DECLARE, "with its id");
    is_int(method_read(bytes_of("\0\x3c\0", 3), &method), METHOD_MALFORMED, "no id at all");
    is_int(method_read(bytes_of(NULL, 0), &method), METHOD_MALFORMED, "nothing at all");
    int known = 0;
    for (uint32_t class_id = 0; class_id < 130; class_id++)
        for (uint32_t method_id = 0; method_id < 260; method_id++)
            known += method_info(class_id << 16 | method_id) != NULL;
    int rows = 0;
    while (method_info_at((size_t)rows))
        rows++;
    is_int(known, rows, "the table has no others");
    is_int(rows, 66, "than these");
}

/* Each short string of each method in turn is not UTF-8. */
TEST(malformed_utf8)
{
    struct random random;
    random_init(&random, 9);
    const struct method_info *info;
    bool all = true;
    int checked = 0;
    for (size_t i = 0; (info = method_info_at(i)); i++)
        for (size_t k = 0; k < info->field_count; k++) {
            if (info->fields[k].kind != METHOD_FIELD_SHORTSTR)
                continue;
            union method method, back;
            fill(&random, info, &method);
            *(struct bytes *)member(&method, &info->fields[k]) = bytes_str("gr\xfc\xdf");
            size_t size;
            uint8_t *payload = encode(&method, &size);
            enum method_result want = info->has_content ? METHOD_OK : METHOD_BAD_UTF8;
            all = payload && method_read(bytes_of(payload, size), &back) == want && all;
            free(payload);
            checked++;
        }
    ok(all && checked > 30, "is found in %d fields, unless content follows", checked);
    union method method = {
        .queue_delete = {.id = METHOD_QUEUE_DELETE, .queue = bytes_str("gr\xc3\xbc\xc3\x9f")}};
    ok(comes_back(&method), "well-formed UTF-8 is welcome");
    ok(method_read(bytes_of("\0\x14\0\x0a"
                            "\1\xff",
                            6),
                   &method) == METHOD_BAD_UTF8,
       "reserved strings count");
}

TEST(bad_tables)
{
    union method method = {
        .queue_declare = {.id = METHOD_QUEUE_DECLARE, .arguments = bytes_of("\1a?", 3)}};
    size_t size;
    uint8_t *payload = encode(&method, &size);
    union method back;
    is_int(method_read(bytes_of(payload, size), &back), METHOD_BAD_TABLE, "an unknown type");
    free(payload);
    const struct method_info *info;
    bool all = true;
    for (size_t i = 0; (info = method_info_at(i)); i++)
        for (size_t k = 0; k < info->field_count; k++) {
            if (info->fields[k].kind != METHOD_FIELD_TABLE)
                continue;
            memset(&method, 0, sizeof(method));
            method.id = info->id;
            *(struct bytes *)member(&method, &info->fields[k]) = bytes_of("\2a", 2);
            payload = encode(&method, &size);
            all = payload && method_read(bytes_of(payload, size), &back) == METHOD_BAD_TABLE && all;
            free(payload);
        }
    ok(all, "every table is checked");
}

TEST(descriptions)
{
    const struct method_info *info = method_info(METHOD_BASIC_PUBLISH);
    is_str(info->name, "basic.publish", "its name");
    is_int(info->sent_by, METHOD_SENT_BY_CLIENT, "sent by the client");
    ok(info->has_content && !info->is_synchronous, "with content, not answered");
    is_int(info->legal, METHOD_LEGAL_CHANNEL_OPEN, "on an open channel");
    is_int(info->field_count, 4, "the reserved field does not count");
    is_str(info->fields[1].name, "routing_key", "a field");
    is_int(info->fields[1].offset, offsetof(struct method_basic_publish, routing_key), "its place");
    is_int(method_info(METHOD_BASIC_NACK)->sent_by, METHOD_SENT_BY_BOTH, "nack goes both ways");
    is_int(method_class_id(METHOD_EXCHANGE_UNBIND_OK), 40, "class id");
    is_int(method_method_id(METHOD_EXCHANGE_UNBIND_OK), 51, "method id");
    is_str(method_name(1), "unknown", "a name for what is not there");
    ok(method_find(bytes_str("basic.nack")) == method_info(METHOD_BASIC_NACK), "found by name");
    ok(method_find(bytes_str("basic.credit")) == NULL, "or not found");
    bool few = true, rising = true;
    for (size_t i = 0; (info = method_info_at(i)); i++) {
        few = few && info->field_count <= METHOD_FIELDS_MAX;
        rising = rising && (i == 0 || method_info_at(i - 1)->id < info->id);
        few = few && method_info(info->id) == info;
    }
    ok(few && rising, "in the order of their ids, with at most %d fields", METHOD_FIELDS_MAX);
}

int main(void)
{
    RUN(every_method_comes_back);
    RUN(strings_at_their_limit);
    RUN(known_encodings);
    RUN(what_is_reserved_is_read_over);
    RUN(unknown_is_not_malformed);
    RUN(malformed_utf8);
    RUN(bad_tables);
    RUN(descriptions);
    return done();
}
