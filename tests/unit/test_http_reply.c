/* Answers from bytes: what they come to, in whatever pieces they come, and what is not understood. */
#include "http/reply.h"

#include <stdio.h>

#include "tests/lib/tap.h"

/* What came of some bytes, in pieces of `step`, of whose body at most `most` is taken at once: "200 type fields|body",
 * or "more" or "wrong". */
static void read_as(const char *text, size_t step, size_t most, char *out, size_t size)
{
    struct http_reply reply = {0};
    struct buffer body = {0};
    enum http_reading reading = HTTP_READING;
    struct bytes whole = bytes_str(text);
    size_t at = 0;
    while (reading == HTTP_READING && at < whole.size) {
        size_t end = at + step < whole.size ? at + step : whole.size;
        struct bytes piece = bytes_of(whole.data + at, end - at);
        reading = http_reply_take(&reply, &piece, &body, most);
        at = end - piece.size;
    }
    if (reading == HTTP_WHOLE)
        snprintf(out, size, "%d %s %.*s|%.*s|%zu", reply.status, reply.type, BYTES_ARG(buffer_bytes(&reply.fields)),
                 BYTES_ARG(buffer_bytes(&body)), whole.size - at);
    else
        snprintf(out, size, "%s", reading == HTTP_WRONG ? "wrong" : "more");
    http_reply_free(&reply);
    buffer_free(&body);
}

static void comes_to(const char *text, const char *wanted, const char *name)
{
    char got[512], other[512];
    size_t differences = 0;
    read_as(text, SIZE_MAX / 2, SIZE_MAX, got, sizeof(got));
    is_str(got, wanted, "%s", name);
    for (size_t step = 1; step < 40; step++)
        for (size_t most = 1; most < 5; most++) {
            read_as(text, step, most, other, sizeof(other));
            differences += strcmp(got, other) != 0;
        }
    is_int(differences, 0, "%s: in pieces", name);
}

static void test_what_is_read(void)
{
    comes_to("HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-type: application/json\r\n\r\nhello!",
             "200 application/json |hello|1", "a body with a length, and what follows it");
    comes_to("HTTP/1.1 404 \r\nContent-Length: 0\r\nVary: origin\r\nDate: now\r\nConnection: close\r\n\r\n",
             "404  Vary: origin\r\n||0", "an empty body, and fields that are handed on");
    comes_to("HTTP/1.1 204 No Content\r\nx: y\r\n\r\n", "204  x: y\r\n||0", "none at all");
    comes_to("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\nA;q=1\r\n, it is me\r\n0\r\nt: 1\r\n\r\n",
             "200  |hello, it is me|0", "chunks, with a trailer");
    comes_to("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", "200  ||0", "chunks of nothing");
}

static void test_what_is_not_whole(void)
{
    comes_to("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhell", "more", "a body that ends early");
    comes_to("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n", "more", "no last chunk");
    comes_to("HTTP/1.1 200 OK\r\nx", "more", "half a head");
}

static void test_what_is_wrong(void)
{
    comes_to("HTTP/1.0 200 OK\r\n\r\n", "wrong", "another version");
    comes_to("HTTP/1.1 2x0 OK\r\n\r\n", "wrong", "a status that is no number");
    comes_to("HTTP/1.1 100 Continue\r\n\r\n", "wrong", "what nobody has asked for");
    comes_to("HTTP/1.1 200 OK\n\n", "wrong", "lines without their ends");
    comes_to("HTTP/1.1 200 OK\r\nno colon\r\n\r\n", "wrong", "a field without a name");
    comes_to("HTTP/1.1 200 OK\r\n\r\n", "wrong", "a body without an end");
    comes_to("HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 1\r\n\r\n1", "wrong", "two lengths");
    comes_to("HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n", "wrong", "a length that is none");
    comes_to("HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\n", "wrong", "another encoding");
    comes_to("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n\r\n", "wrong", "a chunk without a size");
    comes_to("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nxy\r\n", "wrong", "a chunk that is longer");
}

static void test_what_is_too_long(void)
{
    struct http_reply reply = {0};
    struct buffer text = {0}, body = {0};
    buffer_add(&text, "HTTP/1.1 200 OK\r\n", 17);
    for (size_t i = 0; i < HTTP_HEAD_MAX; i++)
        buffer_add(&text, "x", 1);
    struct bytes bytes = buffer_bytes(&text);
    is_int(http_reply_take(&reply, &bytes, &body, SIZE_MAX), HTTP_WRONG, "a head without an end");
    http_reply_free(&reply);
    buffer_free(&text);
}

int main(void)
{
    RUN(what_is_read);
    RUN(what_is_not_whole);
    RUN(what_is_wrong);
    RUN(what_is_too_long);
    return done();
}
