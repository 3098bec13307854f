/* WebSockets: the request, frames in pieces, what is carried both ways, and how it ends. */
#include <stdio.h>
#include <string.h>

#include "http/websocket_frame.h"
#include "tests/lib/carried.h"
#include "tests/lib/tap.h"

#define KEY "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
#define UPGRADE "connection: keep-alive, Upgrade\r\nupgrade: WebSocket\r\nsec-websocket-version: 13\r\n"
#define REQUEST(more) "GET /ws HTTP/1.1\r\nhost: x\r\n" UPGRADE KEY more "\r\n"

static struct carried carried;
static size_t piece; /* in which everything comes and is taken; 0: in one */

static void send_bytes(const void *data, size_t size)
{
    for (size_t at = 0; at < size; at += piece ? piece : size) {
        size_t now = piece && size - at > piece ? piece : size - at;
        carried_send(&carried, bytes_of((const uint8_t *)data + at, now));
        carried_take(&carried, piece ? piece : SIZE_MAX);
    }
}

static void say(const char *text)
{
    send_bytes(text, strlen(text));
}

/* A frame of a client, masked. */
static void say_frame(uint8_t first, const void *data, size_t size)
{
    static const uint8_t mask[4] = {0x11, 0xfe, 0, 0x80};
    struct buffer frame = {0};
    buffer_add_u8(&frame, first);
    buffer_add_u8(&frame, (uint8_t)(0x80 | (size < 126 ? size : size < 65536 ? 126 : 127)));
    for (int bits = size < 126 ? -8 : size < 65536 ? 8 : 56; bits >= 0; bits -= 8)
        buffer_add_u8(&frame, (uint8_t)(size >> bits));
    buffer_add(&frame, mask, 4);
    for (size_t i = 0; i < size; i++)
        buffer_add_u8(&frame, ((const uint8_t *)data)[i] ^ mask[i & 3]);
    send_bytes(frame.data, frame.size);
    buffer_free(&frame);
}

static bool got(const void *data, size_t size)
{
    bool is_so = bytes_equal(buffer_bytes(&carried.got), bytes_of(data, size));
    carried.got.size = 0;
    return is_so;
}

static const char *text_of_answer(void)
{
    buffer_add_u8(&carried.got, 0);
    return (const char *)carried.got.data;
}

static bool got_status(int status)
{
    char begin[20];
    snprintf(begin, sizeof(begin), "HTTP/1.1 %d ", status);
    bool is_so = bytes_start_with(buffer_bytes(&carried.got), begin);
    carried.got.size = 0;
    return is_so;
}

static void open_one(void)
{
    carried_new(&carried);
    say(REQUEST(""));
    carried.got.size = 0;
}

static void with_request(const char *text, int status, const char *what)
{
    for (piece = 0; piece < 3; piece++) {
        carried_new(&carried);
        say(text);
        ok(got_status(status) && (status == 101) == (carried.opened == 1) &&
               (status == 101) == (carried.conversation != NULL),
           "%d: %s", status, what);
        carried_free(&carried);
    }
    piece = 0;
}

TEST(requests)
{
    carried_new(&carried);
    say(REQUEST("sec-websocket-protocol: mqtt, amqp\r\n"));
    is_str(text_of_answer(), "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n"
           "sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nsec-websocket-protocol: amqp\r\n\r\n",
       "the answer of RFC 6455's example");
    carried_free(&carried);
    with_request(REQUEST(""), 101, "without a subprotocol");
    with_request(REQUEST("sec-websocket-protocol: amqp\r\n"), 101, "with the right one");
    with_request(REQUEST("sec-websocket-protocol: mqtt\r\n"), 400, "with another one");
    with_request("GET /other HTTP/1.1\r\nhost: x\r\n" UPGRADE KEY "\r\n", 404, "another path");
    with_request("GET /ws HTTP/1.1\r\nhost: x\r\n\r\n", 426, "no WebSocket");
    with_request("GET /ws HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n"
                 "sec-websocket-version: 8\r\n" KEY "\r\n",
                 426, "another version");
    with_request("GET /ws HTTP/1.1\r\nhost: x\r\n" UPGRADE "\r\n", 400, "no key");
    with_request("GET /ws HTTP/1.1\r\nhost: x\r\n" UPGRADE "sec-websocket-key: YWJj\r\n\r\n", 400,
                 "a key that is too short");
    with_request("POST /ws HTTP/1.1\r\nhost: x\r\n" UPGRADE KEY "\r\n", 400, "another method");
    with_request(REQUEST("content-length: 5\r\n"), 400, "a body");
    with_request("AMQP\r\n\r\n", 400, "no request");
}

TEST(pages_of_others_are_from_elsewhere)
{
    carried_new(&carried);
    say(REQUEST(""));
    ok(carried.was_loopback, "no page: from this machine");
    carried_free(&carried);
    carried_new(&carried);
    say(REQUEST("origin: https://b.example\r\n"));
    ok(carried.was_loopback, "a page that is listed");
    carried_free(&carried);
    carried_new(&carried);
    say(REQUEST("origin: https://b.example.org\r\n"));
    ok(carried.opened == 1 && !carried.was_loopback, "another one: from elsewhere");
    carried_free(&carried);
}

TEST(a_request_that_does_not_come)
{
    carried_new(&carried);
    say("GET /ws HTTP/1.1\r\n");
    carried_tick(&carried, 999);
    carried_take(&carried, SIZE_MAX);
    ok(carried.conversation, "it has time");
    carried_tick(&carried, 1000);
    carried_take(&carried, SIZE_MAX);
    ok(!carried.conversation, "and no more");
    carried_free(&carried);
    open_one();
    carried_tick(&carried, 5000);
    carried_take(&carried, SIZE_MAX);
    ok(carried.conversation, "who has been let in stays");
    carried_free(&carried);
}

TEST(both_ways)
{
    static uint8_t large[70000], expected[70000 + 4096];
    memset(large, 'x', sizeof(large));
    for (piece = 0; piece < 4; piece++) {
        open_one();
        say_frame(0x82, "abcdefgh", 8);
        ok(bytes_equal_str(buffer_bytes(&carried.heard), "abcdefgh"), "it is heard within");
        if (!piece)
            ok(got("\x82\x08" "abcdefgh", 10), "and answered in a frame");
        carried.got.size = 0;
        carried.heard.size = 0;
        say_frame(2, "one ", 4);
        say_frame(0x89, "hello", 5);
        say_frame(0, "", 0);
        say_frame(0, "two ", 4);
        say_frame(0x80, "three", 5);
        ok(bytes_equal_str(buffer_bytes(&carried.heard), "one two three"), "a message in parts");
        if (!piece)
            ok(got("\x82\4one \x8a\5hello\x82\4two \x82\5three", 6 + 7 + 6 + 7), "a ping is answered between");
        carried.got.size = 0;
        carried.heard.size = 0;
        carried.heard.size = 0;
        say_frame(0x8a, "whatever", 8);
        ok(carried.got.size == 0, "a pong is not");
        say_frame(0x82, large, 200);
        say_frame(0x82, large, sizeof(large));
        ok(carried.heard.size == 200 + sizeof(large), "sizes of three kinds");
        if (!piece) {
            memcpy(expected, "\x82\x7e\0\xc8", 4);
            memset(expected + 4, 'x', 200);
            memcpy(expected + 204, "\x82\x7f\0\0\0\0\0\x01\x11\x70", 10);
            memset(expected + 214, 'x', sizeof(large));
            ok(got(expected, 214 + sizeof(large)), "the other way, too");
        }
        carried_free(&carried);
    }
    piece = 0;
}

TEST(who_wants_no_more_is_given_no_more)
{
    open_one();
    say_frame(0x82, "#", 1);
    ok(!conversation_wants_input(carried.conversation), "the socket is not read");
    carried.holds = false;
    ok(conversation_wants_input(carried.conversation), "and then it is");
    carried_free(&carried);
}

TEST(ends)
{
    open_one();
    say_frame(0x82, "bye $", 5);
    ok(got("\x82\5bye $\x88\2\x03\xe8", 11) && !carried.conversation, "an end within is said, after all else");
    ok(carried.lost == 0, "nobody has lost anything");
    carried_free(&carried);
    open_one();
    say_frame(0x88, "\x03\xe9gone", 6);
    ok(got("\x88\2\x03\xe9", 4) && !carried.conversation, "the client's end is answered with its code");
    ok(carried.lost == 1, "and told within");
    carried_free(&carried);
    open_one();
    say_frame(0x88, "", 0);
    ok(got("\x88\2\x03\xe8", 4) && !carried.conversation, "one without a code, too");
    carried_free(&carried);
}

static void is_wrong(uint8_t first, const void *data, size_t size, int code, const char *what)
{
    uint8_t end[4] = {0x88, 2, (uint8_t)(code >> 8), (uint8_t)code};
    open_one();
    say_frame(first, data, size);
    ok(got(end, 4) && !carried.conversation && carried.heard.size == 0, "%d: %s", code, what);
    carried_free(&carried);
}

TEST(wrong_frames)
{
    static const char long_ping[126];
    is_wrong(0x81, "text", 4, 1003, "text");
    is_wrong(0x83, "", 0, 1002, "an unknown opcode");
    is_wrong(0x8b, "", 0, 1002, "another one");
    is_wrong(0xc2, "x", 1, 1002, "a bit that nobody has agreed on");
    is_wrong(0x80, "x", 1, 1002, "nothing goes on");
    is_wrong(0x09, "x", 1, 1002, "half a ping");
    is_wrong(0x89, long_ping, sizeof(long_ping), 1002, "a long ping");
    is_wrong(0x88, "\x03", 1, 1002, "half a code");
    open_one();
    say("\x82\x02no");
    ok(got("\x88\2\x03\xea", 4) && !carried.conversation, "a frame that is not masked");
    carried_free(&carried);
    open_one();
    send_bytes("\x82\xff\0\0\0\0\1\0\0\1mask", 14);
    ok(got("\x88\2\x03\xf1", 4) && !carried.conversation, "one of more than 16 MiB");
    carried_free(&carried);
    open_one();
    say_frame(0x02, "x", 1);
    carried.got.size = 0;
    say_frame(0x82, "y", 1);
    ok(got("\x88\2\x03\xea", 4), "a message within another one");
    carried_free(&carried);
}

TEST(who_asks_and_does_not_listen)
{
    open_one();
    for (int i = 0; i < 10000; i++)
        carried_send(&carried, bytes_of("\x89\x84\0\0\0\0ping", 10));
    carried_take(&carried, SIZE_MAX);
    ok(carried.got.size > 4000 && carried.got.size < 8192, "answers are bounded: %zu bytes", carried.got.size);
    carried_free(&carried);
}

TEST(the_end_of_the_service)
{
    carried_new(&carried);
    service_shutdown(carried.outer);
    carried_take(&carried, SIZE_MAX);
    ok(!carried.conversation, "who is still asking goes");
    carried_free(&carried);
    open_one();
    service_shutdown(carried.outer);
    carried_take(&carried, SIZE_MAX);
    ok(carried.conversation, "who carries something goes with that");
    carried_free(&carried);
}

int main(void)
{
    RUN(requests);
    RUN(pages_of_others_are_from_elsewhere);
    RUN(a_request_that_does_not_come);
    RUN(both_ways);
    RUN(who_wants_no_more_is_given_no_more);
    RUN(ends);
    RUN(wrong_frames);
    RUN(who_asks_and_does_not_listen);
    RUN(the_end_of_the_service);
    return done();
}
