/* What a path and a query are made of. */
#include "http/request.h"

#include <stdio.h>

#include "tests/lib/tap.h"

/* The segments, each in brackets. */
static const char *segments_of(const char *text, char out[128])
{
    struct bytes path = bytes_str(text), segment;
    size_t size = 0;
    out[0] = '\0';
    while (http_next_segment(&path, &segment))
        size += (size_t)snprintf(out + size, 128 - size, "[%.*s]", BYTES_ARG(segment));
    return out;
}

TEST(segments)
{
    char out[128];
    is_str(segments_of("/api/queues/%2F/a", out), "[api][queues][%2F][a]", "as they were sent");
    is_str(segments_of("/", out), "[]", "an empty one");
    is_str(segments_of("/a/", out), "[a][]", "an empty one at the end");
    is_str(segments_of("//a", out), "[][a]", "and at the beginning");
    is_str(segments_of("/a/../b/.", out), "[a][..][b][.]", "dots are names as any");
    is_str(segments_of("", out), "", "none");
}

static const char *parameters_of(const char *text, char out[128])
{
    struct bytes query = bytes_str(text), name, value;
    size_t size = 0;
    out[0] = '\0';
    while (http_next_parameter(&query, &name, &value))
        size += (size_t)snprintf(out + size, 128 - size, "[%.*s|%.*s]", BYTES_ARG(name),
                                 BYTES_ARG(value));
    return out;
}

TEST(parameters)
{
    char out[128];
    is_str(parameters_of("page=1&sort", out), "[page|1][sort|]", "with a value and without");
    is_str(parameters_of("a=b=c&&d=&=e", out), "[a|b=c][d|][|e]", "odd ones");
    is_str(parameters_of("", out), "", "none");
}

static void decodes(const char *text, bool is_query, const char *wanted, size_t size)
{
    struct buffer room = {0};
    struct bytes decoded;
    ok(http_decode(bytes_str(text), is_query, &room, &decoded), "'%s' can be decoded", text);
    is_bytes(decoded.data, decoded.size, wanted, size, "'%s'", text);
    buffer_free(&room);
}

static void does_not_decode(const char *text)
{
    struct buffer room = {0};
    struct bytes decoded;
    ok(!http_decode(bytes_str(text), false, &room, &decoded), "'%s' cannot", text);
    buffer_free(&room);
}

TEST(decoding)
{
    decodes("%2F", false, "/", 1);
    decodes("a%2fb+c%25", false, "a/b+c%", 6);
    decodes("a%2fb+c%2B", true, "a/b c+", 6);
    decodes("%00%fF", false, "\0\xff", 2);
    decodes("%252F", false, "%2F", 3);
    decodes("", false, "", 0);
    does_not_decode("%");
    does_not_decode("a%2");
    does_not_decode("%2G");
    does_not_decode("%%41");
    does_not_decode("%-1");
}

TEST(parameters_by_name)
{
    struct buffer room = {0};
    struct bytes value, query = bytes_str("na%6De=a+b&name=c&bad=%x&empty");
    ok(http_parameter(query, "name", &room, &value), "the first of that name");
    is_bytes(value.data, value.size, "a b", 3, "its value");
    ok(http_parameter(query, "empty", &room, &value) && value.size == 0, "one without a value");
    ok(!http_parameter(query, "bad", &room, &value), "one that cannot be decoded");
    ok(!http_parameter(query, "nam", &room, &value), "one that is not there");
    is_int(room.size, 3, "nothing but values stays");
    buffer_free(&room);
}

static bool accepts(const char *value, const char *word)
{
    struct http_request request = {.field_count = 1};
    request.fields[0] = (struct http_field){bytes_str("Accept-Encoding"), bytes_str(value)};
    return http_accepts(&request, "accept-encoding", word);
}

TEST(lists_with_weights)
{
    ok(accepts("gzip", "gzip") && accepts("br, GZIP ; q=0.001,x", "gzip"), "it is there");
    ok(!accepts("", "gzip") && !accepts("xgzip, gzipx", "gzip"), "it is not");
    ok(!accepts("gzip;q=0", "gzip") && !accepts("a,gzip; x=1 ;Q=0.000", "gzip"),
       "it is not wanted");
    ok(accepts("br;q=0, gzip;q=1", "gzip") && accepts("gzip;q=", "gzip"), "another is not");
}

int main(void)
{
    RUN(segments);
    RUN(parameters);
    RUN(decoding);
    RUN(parameters_by_name);
    RUN(lists_with_weights);
    return done();
}
