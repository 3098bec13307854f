/* Methods, properties and tables as text, both ways. */
#include "amqp/text.h"
#include "tests/lib/match.h"

#include <stdlib.h>

#include "amqp/table.h"
#include "tests/lib/tap.h"

static struct buffer memory, memory_too, out;

static void is_out(const char *want)
{
    is_bytes(out.data, out.size, want, strlen(want), "%s", want);
    buffer_free(&out);
}

static void free_all(void)
{
    buffer_free(&memory);
    buffer_free(&memory_too);
    buffer_free(&out);
}

/* Reads a method and writes it again. */
static void becomes(const char *text, const char *want)
{
    union method method;
    struct text_given given;
    if (!ok(text_read_method(bytes_str(text), &memory, &method, &given), "%s", text))
        diag("%s at %zu", given.error, given.error_at);
    text_method(&out, &method);
    is_out(want);
}

static void same(const char *text)
{
    becomes(text, text);
}

TEST(methods_come_back)
{
    same("tx.select");
    same("queue.declare queue=orders durable=1");
    same("basic.publish exchange=amq.topic routing_key=a.#.b:c mandatory=1");
    same("basic.deliver consumer_tag=t delivery_tag=18446744073709551615 redelivered=1");
    same("connection.tune channel_max=2047 frame_max=131072 heartbeat=60");
    same("connection.start version_minor=9 server_properties={product:str Leveret, "
         "capabilities:table {basic.nack:bool 1}} mechanisms=\"PLAIN AMQPLAIN\" locales=en_US");
    same("connection.start-ok mechanism=PLAIN response=\"\\x00guest\\x00gu\\\"e\\\\st\"");
    becomes("queue.declare  queue=\"a\"  durable=true passive=false auto-delete=1 ",
            "queue.declare queue=a durable=1 auto_delete=1");
    becomes("queue.declare queue=\"\" arguments={}", "queue.declare");
    becomes("basic.publish routing-key=gr\xc3\xbc\xc3\x9f",
            "basic.publish routing_key=\"gr\\xc3\\xbc\\xc3\\x9f\"");
    becomes("basic.publish routing-key=\"*\"", "basic.publish routing_key=\"*\"");
    becomes("basic.publish routing-key=*.x", "basic.publish routing_key=\"*.x\"");
    free_all();
}

TEST(every_method_is_named)
{
    const struct method_info *info;
    bool all = true;
    for (size_t i = 0; (info = method_info_at(i)); i++) {
        union method method = {0};
        struct text_given given;
        all = all && text_read_method(bytes_str(info->name), &memory, &method, &given) &&
              method.id == info->id && given.fields == 0;
        text_method(&out, &method);
        all = all && bytes_equal_str(buffer_bytes(&out), info->name);
        buffer_free(&out);
    }
    ok(all, "alone, without fields");
    union method unknown = {.id = 1};
    text_method(&out, &unknown);
    is_out("unknown");
    free_all();
}

static void table_becomes(const char *text, const char *want)
{
    struct bytes table = {0};
    struct text_given given;
    if (!ok(text_read_table(bytes_str(text), &memory, &table, &given), "%s", text)) {
        diag("%s at %zu", given.error, given.error_at);
        return;
    }
    ok(table_check(table), "is well-formed");
    text_table(&out, table);
    is_out(want);
}

TEST(tables_come_back)
{
    static const char every[] =
        "{a:bool 1, b:i8 -128, c:u8 255, d:i16 -32768, e:u16 65535, f:i32 -2147483648, "
        "g:u32 4294967295, h:i64 -9223372036854775808, i:L 5, j:f32 0.100000001, "
        "k:f64 0.10000000000000001, l:dec 2/12345, m:str x, n:bin \"\\x00\", "
        "o:time 18446744073709551615, p:table {}, q:array [], r:void}";
    table_becomes(every, every);
    table_becomes("{}", "{}");
    table_becomes(" { } ", "{}");
    table_becomes("{x-max-length:i32 5,x-overflow:S\"drop-head\"}",
                  "{x-max-length:i32 5, x-overflow:str drop-head}");
    table_becomes("{l:A[S a,V,F{x:t 0}]}", "{l:array [str a, void, table {x:bool 0}]}");
    table_becomes("{\"a b\":V, \"a:b\":V, \"\":V}", "{\"a b\":void, \"a:b\":void, \"\":void}");
    table_becomes("{s:str \"a, {b} [c]\"}", "{s:str \"a, {b} [c]\"}");
    free_all();
}

TEST(tables_as_bytes)
{
    struct bytes table;
    struct text_given given;
    ok(text_read_table(bytes_str("{a:i32 5, b:s 1, c:A [t 1]}"), &memory, &table, &given), "read");
    is_bytes(table.data, table.size, "\1aI\0\0\0\5\1bs\0\1\1cA\0\0\0\2t\1", 21, "as on the wire");
    free_all();
}

static void refused(const char *text, size_t at)
{
    union method method;
    struct text_given given;
    bool read = text_read_method(bytes_str(text), &memory, &method, &given);
    ok(!read && given.error && given.error_at == at, "%s: %s at %zu", text,
       given.error ? given.error : "read", given.error_at);
}

TEST(what_is_refused)
{
    refused("", 0);
    refused("basic.credit", 0);
    refused("basic.ack tag=1", 10);
    refused("basic.ack delivery_tag", 22);
    refused("basic.ack delivery_tag=", 23);
    refused("basic.ack delivery_tag=x", 24);
    refused("basic.ack delivery_tag=-1", 25);
    refused("basic.ack delivery_tag=18446744073709551616", 43);
    refused("basic.ack delivery_tag=1x", 25);
    refused("basic.ack multiple=2", 20);
    refused("connection.tune heartbeat=65536", 31);
    refused("basic.publish exchange=", 23);
    refused("basic.publish exchange=\"a", 25);
    refused("basic.publish exchange=\"\\n\"", 25);
    refused("basic.publish exchange=\"\\x4\"", 25);
    refused("queue.declare arguments=x", 24);
    refused("queue.declare arguments={", 25);
    refused("queue.declare arguments={a}", 26);
    refused("queue.declare arguments={a:zzz 1}", 30);
    refused("queue.declare arguments={a:i8 128}", 33);
    refused("queue.declare arguments={a:i8 1", 31);
    refused("queue.declare arguments={a:i8 1 b:i8 1}", 32);
    refused("queue.declare arguments={a:f64 nan}", 34);
    refused("queue.declare arguments={a:f32 1e99}", 35);
    refused("queue.declare arguments={a:dec 1}", 32);
    refused("queue.declare arguments={a:dec 256/1}", 36);
    refused("queue.declare arguments={a:A [}", 30);
    refused("queue.declare arguments={:V", 25);
    free_all();
}

TEST(limits)
{
    enum { LONG = TEXT_MAX + 1 };
    char *text = malloc(LONG + 1);
    union method method;
    struct bytes table;
    struct text_given given;
    memset(text, ' ', LONG);
    ok(!text_read_method(bytes_of(text, LONG), &memory, &method, &given), "a text too long");
    memset(text, 'a', LONG);
    memcpy(text, "queue.purge queue=", 18);
    ok(text_read_method(bytes_of(text, 18 + 255), &memory, &method, &given), "255 bytes");
    ok(!text_read_method(bytes_of(text, 18 + 256), &memory, &method, &given), "not 256");
    memcpy(text, "connection.secure challenge=", 28);
    ok(text_read_method(bytes_of(text, TEXT_MAX), &memory, &method, &given), "a long string");
    is_int(method.connection_secure.challenge.size, TEXT_MAX - 28, "whole");
    memset(text, '[', LONG);
    memcpy(text, "{a:A[", 5);
    for (size_t i = 5; i + 2 < LONG; i += 2)
        memcpy(text + i, "A[", 2);
    ok(!text_read_table(bytes_of(text, TEXT_MAX), &memory, &table, &given), "deep arrays");
    for (size_t i = 5; i + 2 < LONG; i += 2)
        memcpy(text + i, "V,", 2);
    memcpy(text + TEXT_MAX - 3, "V]}", 3);
    ok(!text_read_table(bytes_of(text, TEXT_MAX), &memory, &table, &given), "too many items");
    for (size_t i = 5; i + 4 < LONG; i += 4)
        memcpy(text + i, "l 1,", 4);
    memcpy(text + 5 + 4 * 60000 + 3, "]}", 2);
    ok(text_read_table(bytes_of(text, 5 + 4 * 60000 + 5), &memory, &table, &given), "many items");
    is_int(table.size, 7 + 9 * 60001, "all there");
    free(text);
    free_all();
}

static bool matches(const char *expected, const char *actual)
{
    union method a, b;
    struct text_given given, all;
    return text_read_method(bytes_str(expected), &memory, &a, &given) &&
           text_read_method(bytes_str(actual), &memory_too, &b, &all) &&
           match_method(&a, &given, &b);
}

TEST(matching)
{
    ok(matches("queue.declare-ok queue=q", "queue.declare-ok queue=q message_count=5"),
       "one field");
    ok(matches("queue.declare-ok", "queue.declare-ok queue=q message_count=5"), "none");
    ok(!matches("queue.declare-ok message_count=4", "queue.declare-ok message_count=5"), "another");
    ok(!matches("queue.declare-ok message_count=0", "queue.declare-ok message_count=5"),
       "0 counts when it is given");
    ok(!matches("queue.declare-ok queue=\"\"", "queue.declare-ok queue=q"), "as nothing does");
    ok(matches("queue.declare-ok queue=* message_count=5",
               "queue.declare-ok queue=q message_count=5"),
       "* is anything");
    ok(matches("queue.declare arguments=*", "queue.declare arguments={a:V}"), "in a table's place");
    ok(!matches("queue.declare arguments={}", "queue.declare arguments={a:V}"), "a table");
    ok(!matches("queue.declare", "queue.delete"), "another method");
    free_all();
}

TEST(properties)
{
    struct properties properties, others;
    struct text_given given, others_given;
    const char *text = "content_type=text/plain headers={x:i32 1} delivery_mode=2 priority=0 "
                       "timestamp=7 app_id=\"\"";
    ok(text_read_properties(bytes_str(text), &memory, &properties, &given), "read");
    is_int(properties.flags,
           PROPERTY_CONTENT_TYPE | PROPERTY_HEADERS | PROPERTY_DELIVERY_MODE | PROPERTY_PRIORITY |
               PROPERTY_TIMESTAMP | PROPERTY_APP_ID,
           "those given are there");
    text_properties(&out, &properties);
    is_out(text);
    ok(text_read_properties(bytes_str("delivery-mode=2 type=*"), &memory_too, &others,
                            &others_given),
       "read");
    ok(match_properties(&others, &others_given, &properties), "one that is the same");
    ok(!match_properties(&properties, &given, &others), "the other way there are more");
    others.delivery_mode = 1;
    ok(!match_properties(&others, &others_given, &properties), "one that is not");
    ok(!text_read_properties(bytes_str("colour=red"), &memory, &properties, &given), "no such");
    ok(text_read_properties(bytes_str(""), &memory, &properties, &given) && !properties.flags,
       "none");
    text_properties(&out, &properties);
    is_out("");
    free_all();
}

int main(void)
{
    RUN(methods_come_back);
    RUN(every_method_is_named);
    RUN(tables_come_back);
    RUN(tables_as_bytes);
    RUN(what_is_refused);
    RUN(limits);
    RUN(matching);
    RUN(properties);
    return done();
}
