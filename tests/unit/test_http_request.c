/* What a path and a query are made of. */
#include "http/multipart.h"

#include <stdio.h>
#include <stdlib.h>

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

static unsigned weight(const char *value, const char *word)
{
    struct http_request request = {.field_count = 1};
    request.fields[0] = (struct http_field){bytes_str("Accept-Encoding"), bytes_str(value)};
    return http_weight(&request, "accept-encoding", word);
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
    ok(weight("a/b;x=1;q=0.75,c", "a/b") == 750 && weight("a/b;x=1;q=0.75,c", "c") == 1000,
       "in thousandths");
    ok(weight("a;q=0.001", "a") == 1 && weight("a;q=1.000", "a") == 1000 &&
           weight("a;q=2", "a") == 1000 && weight("a;q=x", "a") == 1000 && weight("b", "a") == 0,
       "the smallest, the largest, what is no weight, and nothing");
}

static bool field(const char *type, const char *body, size_t size, struct bytes *value)
{
    struct http_request request = {.field_count = 1, .body = bytes_of(body, size)};
    request.fields[0] = (struct http_field){bytes_str("Content-Type"), bytes_str(type)};
    return http_is_form(&request) && http_form_field(&request, "f", value);
}

static void has_field(const char *type, const char *body, const char *wanted)
{
    struct bytes value;
    ok(field(type, body, strlen(body), &value) && bytes_equal_str(value, wanted), "%s: %s", type,
       body);
}

static void has_none(const char *type, const char *body)
{
    struct bytes value;
    ok(!field(type, body, strlen(body), &value), "none: %s: %s", type, body);
}

#define FORM "multipart/form-data; boundary=b"
#define DISPOSITION "Content-Disposition: form-data; name="

TEST(fields_of_forms)
{
    has_field(FORM, "--b\r\n" DISPOSITION "f\r\n\r\nx\r\n--b--", "x");
    has_field(FORM, "--b \r\n" DISPOSITION "\"f\"\r\n\r\n\r\n--b--\r\n", "");
    has_field(FORM, "before\r\n--b\r\nX: y\r\ncontent-disposition:form-data;name=\"f\"\r\n\r\n\r\nx\r\n\r\n--b--",
              "\r\nx\r\n");
    has_field(FORM, "--b\r\n" DISPOSITION "g\r\n\r\ny\r\n--b\r\n" DISPOSITION
                    "f; filename=\"name=g;\"\r\n\r\n--c--\r\n--b--", "--c--");
    has_field("Multipart/Form-Data ; charset=x ; BOUNDARY=\"b b\"",
              "--b b\r\n" DISPOSITION "f\r\n\r\nx\r\n--b b--", "x");
    has_none("multipart/mixed; boundary=b", "--b\r\n" DISPOSITION "f\r\n\r\nx\r\n--b--");
    has_none(FORM "c", "--b\r\n" DISPOSITION "f\r\n\r\nx\r\n--b--");
    has_none("multipart/form-data", "--\r\n" DISPOSITION "f\r\n\r\nx\r\n----");
    has_none(FORM, "--b--\r\n" DISPOSITION "f\r\n\r\nx\r\n--b--");
    has_none(FORM, "--b\r\n" DISPOSITION "f\r\n\r\nx");
    has_none(FORM, "--b\r\n" DISPOSITION "f\r\nx\r\n--b--");
    has_none(FORM, "--b\r\nContent-Disposition: form-data; filename=\"; name=f\"\r\n\r\nx\r\n--b--");
    has_none(FORM, "");
    has_none(FORM, "--b");
}

/* Whatever is cut off: nothing behind the end is read, and no field is there that has no end. */
TEST(forms_that_end_early)
{
    static const char whole[] = "--b\r\n" DISPOSITION "f\r\n\r\nx\r\n--b";
    for (size_t size = 0; size < sizeof(whole); size++) {
        struct bytes value;
        char *copy = malloc(size + 1);
        memcpy(copy, whole, size);
        bool is_there = field(FORM, copy, size, &value);
        ok(is_there == (size >= sizeof(whole) - 1), "%zu bytes", size);
        free(copy);
    }
}

int main(void)
{
    RUN(segments);
    RUN(parameters);
    RUN(decoding);
    RUN(parameters_by_name);
    RUN(lists_with_weights);
    RUN(fields_of_forms);
    RUN(forms_that_end_early);
    return done();
}
