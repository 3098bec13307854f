/* Requests from bytes: what they come to, in whatever pieces they come, and what is refused. */
#include "http/reader.h"

#include <stdio.h>

#include "tests/lib/tap.h"

enum { BODY_MAX = 64 };

/* What came of some bytes. */
struct outcome {
    char text[256]; /* "1 /path?query body" of the request, or "400" and why not, or "more" */
    size_t left;    /* bytes that were not taken */
};

static enum http_reading take_all(struct http_reader *reader, struct bytes *bytes)
{
    enum http_reading reading = http_reader_take(reader, bytes);
    if (reading != HTTP_HEADED)
        return reading;
    return http_reader_body(reader, BODY_MAX) ? http_reader_take(reader, bytes) : HTTP_WRONG;
}

static void describe(const struct http_reader *reader, enum http_reading reading, char text[256])
{
    const struct http_request *request = &reader->request;
    if (reading == HTTP_WRONG)
        snprintf(text, 256, "%d", reader->fault.status);
    else if (reading == HTTP_READING)
        snprintf(text, 256, "more");
    else
        snprintf(text, 256, "%d %.*s?%.*s %.*s%s%s", (int)request->method, BYTES_ARG(request->path),
                 BYTES_ARG(request->query), BYTES_ARG(request->body), request->is_1_0 ? " 1.0" : "",
                 request->keeps ? " keeps" : "");
}

/* Reads the bytes up to `split` first, and then the rest, each in pieces of `step`. Each piece is
 * in a place of its own, so that nothing may borrow from it. */
static struct outcome read_in_pieces(struct bytes whole, size_t split, size_t step)
{
    static struct http_reader reader;
    struct outcome outcome = {.left = whole.size};
    enum http_reading reading = HTTP_READING;
    for (size_t at = 0; reading == HTTP_READING && at < whole.size;) {
        size_t end = at < split ? split : whole.size;
        size_t size = end - at < step ? end - at : step;
        struct buffer copy = {0};
        buffer_add(&copy, whole.data + at, size);
        struct bytes piece = buffer_bytes(&copy);
        reading = take_all(&reader, &piece);
        outcome.left -= size - piece.size;
        at += size;
        buffer_free(&copy);
    }
    describe(&reader, reading, outcome.text);
    http_reader_free(&reader);
    return outcome;
}

/* Whatever the pieces, the outcome is the same. */
static void is_read_as(struct bytes whole, const char *wanted, size_t left, const char *name)
{
    size_t differences = 0;
    struct outcome outcome = read_in_pieces(whole, 0, SIZE_MAX);
    is_str(outcome.text, wanted, "%s", name);
    for (size_t split = 0; split <= whole.size && whole.size < 2000; split++) {
        struct outcome other = read_in_pieces(whole, split, SIZE_MAX);
        differences += strcmp(other.text, outcome.text) != 0 ||
                       (outcome.text[0] != '4' && other.left != outcome.left);
    }
    struct outcome bytewise = read_in_pieces(whole, 0, 1);
    differences += strcmp(bytewise.text, outcome.text) != 0;
    is_int(differences, 0, "%s: in two pieces, and byte by byte", name);
    if (left != SIZE_MAX)
        is_int(outcome.left, left, "%s: what is left", name);
}

static void is_good(const char *text, const char *wanted, size_t left)
{
    is_read_as(bytes_str(text), wanted, left, wanted);
}

static void is_bad(const char *text, const char *status, const char *why)
{
    is_read_as(bytes_str(text), status, SIZE_MAX, why);
}

#define HOST "Host: a\r\n"
#define GET "GET / HTTP/1.1\r\n" HOST
#define POST "POST /p HTTP/1.1\r\n" HOST

TEST(requests)
{
    is_good("GET / HTTP/1.1\r\n" HOST "\r\n", "0 /?  keeps", 0);
    is_good("\r\nHEAD /a/%2F/b?x=1&y HTTP/1.1\r\nhost:a\r\n\r\nGET", "1 /a/%2F/b?x=1&y  keeps", 3);
    is_good("PUT /q HTTP/1.1\r\n" HOST "Content-Length: 4\r\n\r\n{  }DEL", "2 /q? {  } keeps", 3);
    is_good("DELETE /q??a?b HTTP/1.1\r\n" HOST "Connection: x, Close\r\n\r\n", "4 /q??a?b ", 0);
    is_good("OPTIONS * HTTP/1.1\r\n" HOST "\r\n", "5 *?  keeps", 0);
    is_good("PATCH / HTTP/1.1\r\n" HOST "\r\n", "6 /?  keeps", 0);
    is_good("get / HTTP/1.1\r\n" HOST "\r\n", "6 /?  keeps", 0);
    is_good("GET http://a:1/x?y HTTP/1.1\r\n" HOST "\r\n", "0 /x?y  keeps", 0);
    is_good("GET HTTPS://a?y HTTP/1.1\r\n" HOST "\r\n", "0 /?y  keeps", 0);
    is_good("GET /gr\xc3\xb6\xc3\x9f"
            "e HTTP/1.1\r\n" HOST "\r\n",
            "0 /gr\xc3\xb6\xc3\x9f"
            "e?  keeps",
            0);
    is_good("GET / HTTP/1.0\r\n\r\n", "0 /?  1.0", 0);
    is_good("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", "0 /?  1.0 keeps", 0);
    is_good("GET / HTTP/1.7\r\n" HOST "\r\n", "0 /?  keeps", 0);
    is_good(GET "X:\r\nY: \t \r\nZ: a\tb \r\n\r\n", "0 /?  keeps", 0);
    is_good(POST "Content-Length: 0\r\n\r\n", "3 /p?  keeps", 0);
    is_good(POST "Content-Length: 0003\r\nExpect: 100-Continue\r\n\r\nabc", "3 /p? abc keeps", 0);
    is_good("GET / HTTP/1.1\r\n" HOST, "more", 0);
    is_good(POST "Content-Length: 4\r\n\r\nabc", "more", 0);
}

#define CHUNKED POST "Transfer-Encoding: chunked\r\n\r\n"

TEST(chunks)
{
    is_good(CHUNKED "0\r\n\r\nG", "3 /p?  keeps", 1);
    is_good(CHUNKED "3\r\nabc\r\nA;x=\"y\"\r\n0123456789\r\n00\r\nT: x\r\nU: y\r\n\r\n",
            "3 /p? abc0123456789 keeps", 0);
    is_good(POST "Transfer-Encoding: CHUNKED\r\n\r\n1\r\na\r\n0\r\n\r\n", "3 /p? a keeps", 0);
    is_good(CHUNKED "3\r\nabc\r\n", "more", 0);
    is_bad(CHUNKED "x\r\n", "400", "a size that is no number");
    is_bad(CHUNKED "\r\n", "400", "no size");
    is_bad(CHUNKED " 3\r\nabc\r\n", "400", "a space before a size");
    is_bad(CHUNKED "3 \r\nabc\r\n", "400", "a space behind a size");
    is_bad(CHUNKED "0x3\r\nabc\r\n", "400", "a size as C has it");
    is_bad(CHUNKED "-3\r\nabc\r\n", "400", "a negative size");
    is_bad(CHUNKED "3\nabc\r\n", "400", "a size that ends with LF");
    is_bad(CHUNKED "3\r\nabcd\r\n", "400", "a chunk that is longer than its size");
    is_bad(CHUNKED "3\r\nabc\n0\r\n\r\n", "400", "a chunk that ends with LF");
    is_bad(CHUNKED "3;a\rb\r\nabc\r\n", "400", "CR in an extension");
    is_bad(CHUNKED "41\r\n", "413", "a chunk larger than the body may be");
    is_bad(CHUNKED "3f\r\n0123456789012345678901234567890123456789012345678901234567890123456"
                   "789\r\n2\r\n",
           "400", "a size that does not fit its chunk");
    is_bad(CHUNKED "20\r\n01234567890123456789012345678901\r\n21\r\n", "413",
           "chunks that are too large together");
    is_bad(CHUNKED "FFFFFFFFFFFFFFFFF\r\n", "413", "a size beyond 64 bits");
    is_bad(CHUNKED "00000000000000000000001\r\n", "413", "a size of many digits");
}

TEST(first_lines)
{
    is_bad("GET /\r\n\r\n", "400", "HTTP/0.9");
    is_bad("\r\n\r\nGET / HTTP/1.1\r\n", "400", "two empty lines");
    is_bad("GET / HTTP/2.0\r\n", "505", "HTTP/2");
    is_bad("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "505", "HTTP/2, as it begins");
    is_bad("GET / HTTP/1.10\r\n", "400", "a version of two digits");
    is_bad("GET / http/1.1\r\n", "400", "a version in small letters");
    is_bad("GET  / HTTP/1.1\r\n", "400", "two spaces");
    is_bad("GET / HTTP/1.1 \r\n", "400", "a space at the end");
    is_bad(" GET / HTTP/1.1\r\n", "400", "a space at the beginning");
    is_bad("GET\t/ HTTP/1.1\r\n", "400", "a tab");
    is_bad("G(T / HTTP/1.1\r\n", "400", "a method that is no token");
    is_bad("GET / HTTP/1.1\n", "400", "LF alone");
    is_bad("GET / HTTP/1.1\r\r\n", "400", "CR CR LF");
    is_bad("GET /\r HTTP/1.1\r\n", "400", "CR in the middle");
    is_bad("GET /a#b HTTP/1.1\r\n", "400", "a fragment");
    is_bad("GET a HTTP/1.1\r\n", "400", "no path");
    is_bad("GET * HTTP/1.1\r\n", "400", "* of GET");
    is_bad("GET ftp://a/ HTTP/1.1\r\n", "400", "another scheme");
    is_bad("GET http:///a HTTP/1.1\r\n", "400", "a URL without a host");
    is_bad("CONNECT a:1 HTTP/1.1\r\n", "400", "CONNECT");
    is_bad("AMQP\x01\x01\x08", "400", "another protocol");
    is_bad("\x16\x03\x01\x02", "400", "TLS");
    is_read_as(bytes_of("GET /\0 HTTP/1.1\r\n", 18), "400", SIZE_MAX, "NUL");
}

TEST(fields)
{
    is_bad("GET / HTTP/1.1\r\n\r\n", "400", "no host");
    is_bad(GET HOST "\r\n", "400", "two hosts");
    is_bad("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", "400", "a host with a space");
    is_bad("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", "400", "a host with a path");
    is_bad(GET "A : b\r\n\r\n", "400", "a space before the colon");
    is_bad(GET ": b\r\n\r\n", "400", "no name");
    is_bad(GET "A\r\n\r\n", "400", "no colon");
    is_bad(GET "A: b\r\n c\r\n\r\n", "400", "a field in two lines");
    is_bad("GET / HTTP/1.1\r\n Host: a\r\n\r\n", "400", "a space before the first field");
    is_bad(GET "A: b\n\r\n", "400", "LF alone");
    is_bad(GET "A: b\x01\r\n\r\n", "400", "a control character");
    is_bad(GET "A: b\x7f\r\n\r\n", "400", "DEL");
    is_bad(GET "Authorization: a\r\nauthorization: b\r\n\r\n", "400", "two authorizations");
    is_bad(GET "Expect: tea\r\n\r\n", "417", "another expectation");
}

TEST(framing)
{
    is_bad(POST "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc", "400", "two lengths");
    is_bad(POST "Content-Length: 3, 3\r\n\r\nabc", "400", "two lengths in one field");
    is_bad(POST "Content-Length: +3\r\n\r\nabc", "400", "a length with a sign");
    is_bad(POST "Content-Length: -3\r\n\r\nabc", "400", "a negative length");
    is_bad(POST "Content-Length: 0x3\r\n\r\nabc", "400", "a length as C has it");
    is_bad(POST "Content-Length:\r\n\r\nabc", "400", "an empty length");
    is_bad(POST "Content-Length: 65\r\n\r\n", "413", "a length beyond the limit");
    is_bad(POST "Content-Length: 18446744073709551619\r\n\r\nabc", "413", "one beyond 64 bits");
    is_bad(POST "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400",
           "a length and chunks");
    is_bad(POST "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n", "400",
           "chunks and a length");
    is_bad(POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", "400",
           "chunked twice");
    is_bad(POST "Transfer-Encoding: gzip, chunked\r\n\r\n", "501", "chunks of something else");
    is_bad(POST "Transfer-Encoding: chunked, identity\r\n\r\n", "501", "chunked, not at the end");
    is_bad(POST "Transfer-Encoding: xchunked\r\n\r\n", "501", "nearly chunked");
    is_bad(POST "Transfer-Encoding:\r\n\r\n", "501", "nothing");
    is_bad("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400",
           "chunks in HTTP/1.0");
}

/* A head with `count` bytes of 'x' where the text has '*'. */
static struct buffer stretched(const char *text, size_t count)
{
    struct buffer buffer = {0};
    const char *star = strchr(text, '*');
    buffer_add(&buffer, text, (size_t)(star - text));
    memset(buffer_room(&buffer, count), 'x', count);
    buffer_added(&buffer, count);
    buffer_add(&buffer, star + 1, strlen(star + 1));
    return buffer;
}

static void stretched_is(const char *text, size_t count, const char *wanted, const char *name)
{
    struct buffer buffer = stretched(text, count);
    struct outcome outcome = read_in_pieces(buffer_bytes(&buffer), 0, SIZE_MAX);
    is_int(strncmp(outcome.text, wanted, strlen(wanted)), 0, "%s", name);
    outcome = read_in_pieces(buffer_bytes(&buffer), 0, 1);
    is_int(strncmp(outcome.text, wanted, strlen(wanted)), 0, "%s, byte by byte", name);
    buffer_free(&buffer);
}

TEST(limits)
{
    stretched_is("GET /* HTTP/1.1\r\n" HOST "\r\n", HTTP_LINE_MAX - 16, "0 /x", "the longest line");
    stretched_is("GET /* HTTP/1.1\r\n" HOST "\r\n", HTTP_LINE_MAX - 15, "414", "a longer one");
    stretched_is("GET /*", 100000, "414", "one without an end");
    stretched_is("*", 100000, "414", "a method without an end");
    stretched_is(GET "A: *\r\n\r\n", HTTP_HEAD_MAX - 32, "0 /", "the largest head");
    stretched_is(GET "A: *\r\n\r\n", HTTP_HEAD_MAX - 31, "431", "a larger one");
    stretched_is(GET "A: *", 100000, "431", "one without an end");
    stretched_is(CHUNKED "1;*\r\na\r\n0\r\n\r\n", 200, "3 /p", "a long extension");
    stretched_is(CHUNKED "1;*\r\na\r\n0\r\n\r\n", 1000, "400", "a longer one");
    stretched_is(CHUNKED "0\r\nA: *", 100000, "431", "a trailer without an end");
}

/* Many short lines behind the last chunk. */
TEST(trailers_are_bounded)
{
    struct buffer buffer = {0};
    buffer_add(&buffer, CHUNKED "0\r\n", strlen(CHUNKED "0\r\n"));
    for (int i = 0; i < 10000; i++)
        buffer_add(&buffer, "A: b\r\n", 6);
    is_str(read_in_pieces(buffer_bytes(&buffer), 0, 1).text, "431", "too many lines");
    buffer_free(&buffer);
}

static void has_fields(size_t count, const char *wanted)
{
    struct buffer buffer = {0};
    buffer_add(&buffer, GET, strlen(GET));
    for (size_t i = 1; i < count; i++)
        buffer_add(&buffer, "A:b\r\n", 5);
    buffer_add(&buffer, "\r\n", 2);
    is_str(read_in_pieces(buffer_bytes(&buffer), 0, SIZE_MAX).text, wanted, "%zu fields", count);
    buffer_free(&buffer);
}

TEST(fields_are_counted)
{
    has_fields(HTTP_FIELDS_MAX, "0 /?  keeps");
    has_fields(HTTP_FIELDS_MAX + 1, "431");
}

TEST(fields_are_found)
{
    struct http_reader reader = {0};
    struct bytes text = bytes_str(GET "X-Reason:  because \r\nAccept: a, b;q=1 , c\r\n\r\n");
    is_int(http_reader_take(&reader, &text), HTTP_HEADED, "read");
    struct bytes reason = http_field_of(&reader.request, "x-reason");
    is_bytes(reason.data, reason.size, "because", 7, "without the spaces around it");
    ok(http_field_of(&reader.request, "reason").data == NULL, "another name has none");
    struct bytes accept = http_field_of(&reader.request, "accept");
    ok(http_has_token(accept, "A") && http_has_token(accept, "c"), "tokens are found");
    ok(!http_has_token(accept, "b"), "one that has more to it is not");
    http_reader_free(&reader);
}

int main(void)
{
    RUN(requests);
    RUN(chunks);
    RUN(first_lines);
    RUN(fields);
    RUN(framing);
    RUN(limits);
    RUN(trailers_are_bounded);
    RUN(fields_are_counted);
    RUN(fields_are_found);
    return done();
}
