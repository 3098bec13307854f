/* A conversation in HTTP, played as a value: what is asked, what is answered, and when it ends. */
#include "http/http.h"

#include <stdio.h>
#include <stdlib.h>
#include <zlib.h>

#include "http/client.h"
#include "tests/lib/http_bench.h"
#include "tests/lib/tap.h"

#define HOST "Host: a\r\n"
#define DATE "date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"

static struct http_bench bench;
static struct http_bench_client client;

static void begin(const struct http_options *options)
{
    http_bench_new(&bench, options ? options : &(struct http_options){0});
    http_bench_turn(&bench, NULL, 0);
    client = http_bench_dial(&bench);
}

/* Another connection, after the first has ended. */
static void dial_again(void)
{
    http_bench_hang_up(&client);
    buffer_free(&client.in);
    client = http_bench_dial(&bench);
}

static void end(void)
{
    http_bench_hang_up(&client);
    buffer_free(&client.in);
    is_int(bench.answers, 0, "every answer was freed");
    http_bench_free(&bench);
}

static void send_text(const char *text)
{
    ok(http_bench_send(&bench, &client, bytes_str(text)) == strlen(text), "sent");
}

/* Has everything come that was wanted, and nothing else? */
static void came(const char *wanted, const char *name)
{
    is_bytes(client.in.data, client.in.size, wanted, strlen(wanted), "%s", name);
    client.in.size = 0;
}

/* Asks, and looks at the answer. */
static void asks(const char *text, const char *wanted, const char *name)
{
    send_text(text);
    http_bench_settle(&bench, &client);
    came(wanted, name);
}

/* Has an answer come that begins so? */
static void came_status(int status, const char *name)
{
    char line[16];
    snprintf(line, sizeof(line), "HTTP/1.1 %d ", status);
    ok(bytes_start_with(buffer_bytes(&client.in), line), "%s: %d", name, status);
    client.in.size = 0;
}

#define HELLO                                                                                      \
    "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-type: text/plain\r\n" DATE "\r\nhello"
#define GET_HELLO "GET /hello HTTP/1.1\r\n" HOST "\r\n"

TEST(questions_and_answers)
{
    begin(NULL);
    asks(GET_HELLO, HELLO, "an answer");
    asks(GET_HELLO, HELLO, "and another on the same connection");
    asks("POST /echo HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nabc",
         "HTTP/1.1 200 OK\r\ncontent-length: 3\r\ncontent-type: text/plain\r\n" DATE "\r\nabc",
         "with a body");
    asks("DELETE /nothing HTTP/1.1\r\n" HOST "\r\n", "HTTP/1.1 204 No Content\r\n" DATE "\r\n",
         "no content has no length");
    asks("PUT /created HTTP/1.1\r\n" HOST "\r\n",
         "HTTP/1.1 201 Created\r\ncontent-length: 0\r\n" DATE "location: /hello\r\n\r\n",
         "an empty body has one");
    ok(client.conversation != NULL, "the connection stays");
    is_int(bench.asked, 5, "so many requests");
    end();
}

TEST(head_has_no_body)
{
    begin(NULL);
    asks("HEAD /hello HTTP/1.1\r\n" HOST "\r\n",
         "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-type: text/plain\r\n" DATE "\r\n",
         "the length of what it would be");
    asks("HEAD /pieces?n=1000&size=5 HTTP/1.1\r\n" HOST "\r\n",
         "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-type: text/plain\r\n" DATE
         "\r\n",
         "of a long one the head alone");
    is_int(bench.pieces, 1, "which is made no further");
    asks(GET_HELLO, HELLO, "and the next request");
    end();
}

TEST(long_answers_come_in_chunks)
{
    begin(NULL);
    asks("GET /pieces?n=2&size=17 HTTP/1.1\r\n" HOST "\r\n",
         "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-type: text/plain\r\n" DATE
         "\r\n11\r\naaaaaaaaaaaaaaaaa\r\n11\r\nbbbbbbbbbbbbbbbbb\r\n0\r\n\r\n",
         "two, and the end");
    asks("GET /pieces?n=2&size=1&at_once=1 HTTP/1.1\r\n" HOST "\r\n",
         "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-type: text/plain\r\n" DATE
         "\r\n1\r\na\r\n1\r\nb\r\n0\r\n\r\n",
         "the last one ends it");
    end();
}

/* ---- gzip ---- */

/* Takes the body of a chunked answer out of what has come. */
static struct buffer unchunked(const char *head)
{
    struct buffer body = {0};
    size_t at = strlen(head);
    ok(bytes_start_with(buffer_bytes(&client.in), head), "the head of an answer in chunks");
    while (at < client.in.size) {
        char *end;
        size_t size = strtoul((const char *)client.in.data + at, &end, 16);
        at = (size_t)(end - (char *)client.in.data) + 2;
        buffer_add(&body, client.in.data + at, size);
        at += size + 2;
    }
    is_int(at, client.in.size, "and whole chunks");
    client.in.size = 0;
    return body;
}

static struct buffer unzipped(const struct buffer *zipped, size_t size)
{
    struct buffer text = {0};
    z_stream stream = {.next_in = zipped->data, .avail_in = (uInt)zipped->size};
    stream.next_out = buffer_room(&text, size);
    stream.avail_out = (uInt)size;
    ok(inflateInit2(&stream, 15 + 16) == Z_OK, "gzip");
    is_int(inflate(&stream, Z_FINISH), Z_STREAM_END, "which is complete");
    is_int(stream.avail_in, 0, "with nothing behind it");
    buffer_added(&text, size - stream.avail_out);
    inflateEnd(&stream);
    return text;
}

#define PIECES "/pieces?n=60&size=17000 HTTP/1.1\r\n" HOST
#define ACCEPTS "Accept-Encoding: br, gzip;q=0.5\r\n\r\n"
#define CHUNKED "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n"
#define AS_GZIP "content-encoding: gzip\r\n"
#define TEXT "content-type: text/plain\r\n" DATE "\r\n"

TEST(large_answers_become_gzip)
{
    begin(NULL);
    send_text("GET " PIECES "\r\n");
    http_bench_settle(&bench, &client);
    struct buffer plain = unchunked(CHUNKED TEXT);
    is_int(plain.size, 60 * 17000, "who does not ask for it gets all bytes");
    send_text("GET " PIECES ACCEPTS);
    http_bench_settle(&bench, &client);
    struct buffer zipped = unchunked(CHUNKED AS_GZIP TEXT);
    ok(zipped.size < plain.size / 50, "who does, gets %zu", zipped.size);
    struct buffer text = unzipped(&zipped, plain.size + 1);
    is_bytes(text.data, text.size, plain.data, plain.size, "which are the same");
    buffer_free(&plain);
    buffer_free(&zipped);
    buffer_free(&text);
    end();
}

TEST(what_does_not_become_gzip)
{
    begin(NULL);
    asks("GET /hello HTTP/1.1\r\n" HOST ACCEPTS, HELLO, "a short answer");
    asks("HEAD " PIECES ACCEPTS, CHUNKED AS_GZIP TEXT, "the head alone says that it would");
    send_text("GET " PIECES "Accept-Encoding: gzip;q=0\r\n\r\n");
    http_bench_settle(&bench, &client);
    ok(bytes_start_with(buffer_bytes(&client.in), CHUNKED TEXT), "the client does not want it");
    client.in.size = 0;
    send_text("GET /pieces?n=2&size=3 HTTP/1.0\r\n" ACCEPTS);
    http_bench_settle(&bench, &client);
    ok(client.in.size > 6 && memcmp(client.in.data + client.in.size - 6, "aaabbb", 6) == 0,
       "without chunks");
    end();
    begin(&(struct http_options){.no_gzip = true});
    asks("HEAD " PIECES ACCEPTS, CHUNKED TEXT, "nor where it is switched off");
    end();
}

TEST(one_goes_in_the_middle_of_gzip)
{
    begin(NULL);
    send_text("GET /pieces?n=1000&size=17000 HTTP/1.1\r\n" HOST ACCEPTS);
    http_bench_turn(&bench, &client, 0);
    is_int(bench.answers, 1, "an answer is under way");
    ok(bench.pieces < 1000, "which goes on in other turns, as gzip has its price");
    end();
}

TEST(old_clients)
{
    begin(NULL);
    asks("GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
         "HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: keep-alive\r\n"
         "content-type: text/plain\r\n" DATE "\r\nhello",
         "one that wants to stay is told that it can");
    asks("GET /pieces?n=2&size=3 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
         "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: text/plain\r\n" DATE "\r\naaabbb",
         "a long answer has no chunks, and ends with the connection");
    ok(client.conversation == NULL, "which is closed");
    dial_again();
    send_text("GET /hello HTTP/1.0\r\n\r\n");
    http_bench_settle(&bench, &client);
    came_status(200, "without a host");
    ok(client.conversation == NULL, "and without keep-alive: closed");
    end();
}

TEST(one_that_wants_to_go)
{
    begin(NULL);
    asks("GET /hello HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n" GET_HELLO,
         "HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n"
         "content-type: text/plain\r\n" DATE "\r\nhello",
         "is answered, and nothing behind it");
    ok(client.conversation == NULL, "closed");
    end();
}

TEST(requests_ahead)
{
    begin(NULL);
    asks(GET_HELLO GET_HELLO "GET /wait?n=3 HTTP/1.1\r\n" HOST "\r\n" GET_HELLO "GET /hel",
         HELLO HELLO, "two at once, and a third waits");
    ok(!conversation_wants_input(client.conversation), "nothing is read meanwhile");
    http_bench_turn(&bench, &client, 0);
    http_bench_settle(&bench, &client);
    came("HTTP/1.1 200 OK\r\ncontent-length: 6\r\ncontent-type: text/plain\r\n" DATE
         "\r\nwaited" HELLO,
         "it is answered in its place");
    asks("lo HTTP/1.1\r\n" HOST "\r\n", HELLO, "the last one in two pieces");
    end();
}

TEST(bodies_that_are_asked_for)
{
    static const char head[] =
        "POST /echo HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n";
    begin(NULL);
    asks(head, "HTTP/1.1 100 Continue\r\n\r\n", "the client is told to go on");
    asks("ab", "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-type: text/plain\r\n" DATE "\r\nab",
         "and does");
    send_text("POST /echo HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nContent-Length: 2\r\n\r\nab");
    http_bench_settle(&bench, &client);
    came_status(200, "one that does not wait is not told");
    bench.body_max = 1;
    send_text(head);
    http_bench_settle(&bench, &client);
    came_status(413, "one that is not welcome");
    ok(client.conversation == NULL, "and closed");
    end();
}

#define BAD                                                                                        \
    "{\"error\":\"bad_request\",\"reason\":\"there must be one field with the name of the host\"}"

TEST(wrong_requests)
{
    begin(NULL);
    asks("GET / HTTP/1.1\r\n\r\n" GET_HELLO,
         "HTTP/1.1 400 Bad Request\r\ncontent-length: 84\r\nconnection: close\r\n"
         "content-type: application/json\r\n" DATE "\r\n" BAD,
         "the reason as JSON, and nothing behind it is understood");
    ok(client.conversation == NULL, "closed");
    is_int(bench.asked, 0, "nobody was asked");
    end();
}

/* Only what the client takes is made. */
TEST(slow_clients)
{
    begin(NULL);
    client.takes = 0;
    send_text("GET /pieces?n=1000&size=16384 HTTP/1.1\r\n" HOST "\r\n");
    for (int i = 0; i < 100; i++)
        http_bench_turn(&bench, &client, 1);
    is_int(bench.pieces, 4, "64 KiB of an answer are made ahead");
    ok(service_next_ms(bench.service) > bench.now_ms, "and no turn is wanted for more");
    client.takes = 20000;
    http_bench_turn(&bench, &client, 1);
    client.takes = 0;
    http_bench_turn(&bench, &client, 1);
    is_int(bench.pieces, 6, "until so many are unsent again");
    http_bench_turn(&bench, &client, 29000);
    ok(client.conversation != NULL, "a pause is all right");
    http_bench_turn(&bench, &client, 1000);
    http_bench_turn(&bench, &client, 1);
    ok(client.conversation == NULL, "but not for ever");
    end();
}

/* Whoever asks for much has no more of a turn than who asks for little. */
TEST(turns_are_shared)
{
    struct http_bench_client other;
    begin(NULL);
    other = http_bench_dial(&bench);
    send_text("GET /costly?n=50 HTTP/1.1\r\n" HOST "\r\n");
    http_bench_send(&bench, &other, bytes_str(GET_HELLO));
    http_bench_turn(&bench, &other, 0);
    is_int(bench.pieces, 1, "a piece that costs the whole budget is alone in its turn");
    is_int(service_next_ms(bench.service), 0, "the next one follows at once");
    http_bench_turn(&bench, &other, 0);
    ok(bytes_start_with(buffer_bytes(&other.in), "HTTP/1.1 200"), "and belongs to the other");
    http_bench_turn(&bench, &client, 0);
    is_int(bench.pieces, 3, "a piece a turn");
    http_bench_settle(&bench, &client);
    is_int(bench.pieces, 50, "up to the end");
    http_bench_hang_up(&other);
    buffer_free(&other.in);
    end();
}

static uint64_t no_clock(void)
{
    return 0;
}

TEST(a_turn_is_busy_with_it)
{
    struct steps steps = {.clock_us = no_clock};
    steps_begin(&steps, "input");
    begin(&(struct http_options){.steps = &steps});
    http_bench_turn(&bench, &client, 0);
    is_str(steps.now, "http", "by its name");
    end();
}

TEST(waiting_costs_no_turns)
{
    begin(NULL);
    send_text("GET /wait?n=1000 HTTP/1.1\r\n" HOST "\r\n");
    http_bench_settle(&bench, &client);
    is_int(service_next_ms(bench.service) - bench.now_ms, 50, "it is asked again in a while");
    ok(!conversation_is_blocked(client.conversation), "nobody looks after the client yet");
    bench.now_ms += 6000;
    http_bench_turn(&bench, &client, 0);
    ok(conversation_is_blocked(client.conversation), "but when that lasts");
    end();
}

TEST(time_limits)
{
    begin(&(struct http_options){.idle_ms = 1000, .request_ms = 2000});
    http_bench_turn(&bench, &client, 999);
    ok(client.conversation != NULL, "a client may be silent");
    send_text("GET /hello HTTP/1.1\r\n");
    http_bench_turn(&bench, &client, 1999);
    asks(HOST "\r\n",
         "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-type: text/plain\r\n"
         "date: Sun, 06 Nov 1994 08:49:39 GMT\r\n\r\nhello",
         "and take its time");
    http_bench_turn(&bench, &client, 999);
    ok(client.conversation != NULL, "after an answer as well");
    http_bench_turn(&bench, &client, 1);
    ok(client.conversation == NULL, "but not for ever");
    came("", "without a word");
    dial_again();
    send_text("GET /hello HTTP/1.1\r\n");
    http_bench_turn(&bench, &client, 1000);
    send_text("Host:");
    http_bench_turn(&bench, &client, 1000);
    came_status(408, "a request must come to its end");
    ok(client.conversation == NULL, "closed");
    end();
}

/* A body that flows may take longer than a request without one. */
TEST(large_bodies_have_more_time)
{
    struct buffer body = {0};
    memset(buffer_room(&body, 1 << 17), 'x', 1 << 17);
    buffer_added(&body, 1 << 17);
    begin(&(struct http_options){.request_ms = 2000});
    send_text("POST /sum HTTP/1.1\r\n" HOST "Content-Length: 300000\r\n\r\n");
    http_bench_send(&bench, &client, buffer_bytes(&body));
    http_bench_turn(&bench, &client, 3900);
    ok(client.conversation != NULL, "128 KiB have two seconds more");
    http_bench_turn(&bench, &client, 100);
    came_status(408, "and no more");
    buffer_free(&body);
    end();
}

TEST(too_many)
{
    struct http_bench_client other;
    begin(&(struct http_options){.connections_max = 1});
    asks(GET_HELLO, HELLO, "the first has asked");
    other = http_bench_dial(&bench);
    ok(conversation_wants_input(other.conversation), "TLS could read, to be able to write");
    http_bench_turn(&bench, &other, 0);
    ok(bytes_start_with(buffer_bytes(&other.in), "HTTP/1.1 503 "), "one is too many");
    ok(other.conversation == NULL, "and closed");
    asks(GET_HELLO, HELLO, "the first is served");
    buffer_free(&other.in);
    dial_again();
    asks(GET_HELLO, HELLO, "and so is the next when it has gone");
    end();
}

TEST(silent_ones_make_room)
{
    struct http_bench_client next, local, another;
    begin(&(struct http_options){.connections_max = 1});
    local = http_bench_dial_path(&bench);
    next = http_bench_dial(&bench);
    http_bench_turn(&bench, &client, 0);
    ok(client.conversation == NULL && client.in.size == 0, "who has said nothing makes room, and is told nothing");
    http_bench_send(&bench, &local, bytes_str(GET_HELLO));
    http_bench_settle(&bench, &local);
    ok(bytes_start_with(buffer_bytes(&local.in), "HTTP/1.1 200 "), "who comes by a path has room beside them");
    another = http_bench_dial_path(&bench);
    http_bench_turn(&bench, &another, 0);
    ok(bytes_start_with(buffer_bytes(&another.in), "HTTP/1.1 503 "), "as long as there are not too many of these");
    client = next;
    asks(GET_HELLO, HELLO, "the next one is served");
    http_bench_hang_up(&local);
    buffer_free(&local.in);
    buffer_free(&another.in);
    end();
}

TEST(bodies_together)
{
    struct http_bench_client other;
    begin(&(struct http_options){.body_bytes_max = 10});
    other = http_bench_dial(&bench);
    send_text("POST /echo HTTP/1.1\r\n" HOST "Content-Length: 9\r\n\r\n12345678");
    http_bench_send(&bench, &other,
                    bytes_str("POST /echo HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nabc"));
    http_bench_settle(&bench, &other);
    ok(bytes_start_with(buffer_bytes(&other.in), "HTTP/1.1 503 "), "together they are too large");
    asks("9",
         "HTTP/1.1 200 OK\r\ncontent-length: 9\r\ncontent-type: text/plain\r\n" DATE
         "\r\n123456789",
         "the other is not concerned");
    asks("POST /echo HTTP/1.1\r\n" HOST "Content-Length: 9\r\n\r\n123456789",
         "HTTP/1.1 200 OK\r\ncontent-length: 9\r\ncontent-type: text/plain\r\n" DATE
         "\r\n123456789",
         "what was answered is not counted any more");
    buffer_free(&other.in);
    end();
}

/* What all clients bring in a turn is bounded, as is what they get. */
TEST(input_of_a_turn)
{
    struct buffer body = {0};
    memset(buffer_room(&body, 1 << 18), 'x', 1 << 18);
    buffer_added(&body, 1 << 18);
    begin(NULL);
    bench.body_max = 2 << 20;
    send_text("POST /sum HTTP/1.1\r\n" HOST "Content-Length: 2097152\r\n\r\n");
    size_t sent = 0;
    while (http_bench_send(&bench, &client, buffer_bytes(&body)))
        sent += body.size;
    is_int(sent, 1 << 20, "one MiB");
    is_int(service_next_ms(bench.service), 0, "the next turn follows at once");
    http_bench_turn(&bench, &client, 0);
    while (http_bench_send(&bench, &client, buffer_bytes(&body)))
        sent += body.size;
    is_int(sent, 2 << 20, "and has another");
    http_bench_settle(&bench, &client);
    ok(client.in.size > 7 && memcmp(client.in.data + client.in.size - 7, "2097152", 7) == 0,
       "all has come");
    buffer_free(&body);
    end();
}

TEST(shutdown)
{
    struct http_bench_client idle, late;
    begin(NULL);
    idle = http_bench_dial(&bench);
    send_text("GET /wait?n=3 HTTP/1.1\r\n" HOST "\r\n" GET_HELLO);
    http_bench_turn(&bench, &client, 0);
    service_shutdown(bench.service);
    late = http_bench_dial(&bench);
    http_bench_turn(&bench, &idle, 0);
    ok(idle.conversation == NULL, "who asks nothing is closed");
    http_bench_turn(&bench, &late, 0);
    ok(late.conversation == NULL, "so is who comes now");
    http_bench_turn(&bench, &client, 0);
    came("HTTP/1.1 200 OK\r\ncontent-length: 6\r\nconnection: close\r\n"
         "content-type: text/plain\r\n" DATE "\r\nwaited",
         "what was asked before is answered");
    ok(client.conversation == NULL, "and nothing else");
    end();
}

TEST(one_goes_in_the_middle)
{
    begin(NULL);
    client.takes = 0;
    send_text("GET /pieces?n=1000&size=16384 HTTP/1.1\r\n" HOST "\r\n");
    http_bench_turn(&bench, &client, 0);
    is_int(bench.answers, 1, "an answer is under way");
    end();
}

TEST(memory_of_an_idle_client)
{
    begin(NULL);
    asks(GET_HELLO, HELLO, "an answer");
    const struct http_client *idle =
        list_entry(client.conversation, struct http_client, conversation);
    ok(!idle->round && !idle->ahead.data && !idle->output.parts && !idle->output.head,
       "has no buffers");
    ok(sizeof(struct http_client) <= 512, "and takes %zu bytes", sizeof(struct http_client));
    end();
}

int main(void)
{
    RUN(questions_and_answers);
    RUN(head_has_no_body);
    RUN(long_answers_come_in_chunks);
    RUN(large_answers_become_gzip);
    RUN(what_does_not_become_gzip);
    RUN(one_goes_in_the_middle_of_gzip);
    RUN(old_clients);
    RUN(one_that_wants_to_go);
    RUN(requests_ahead);
    RUN(bodies_that_are_asked_for);
    RUN(wrong_requests);
    RUN(slow_clients);
    RUN(turns_are_shared);
    RUN(a_turn_is_busy_with_it);
    RUN(waiting_costs_no_turns);
    RUN(time_limits);
    RUN(large_bodies_have_more_time);
    RUN(too_many);
    RUN(silent_ones_make_room);
    RUN(bodies_together);
    RUN(input_of_a_turn);
    RUN(shutdown);
    RUN(one_goes_in_the_middle);
    RUN(memory_of_an_idle_client);
    return done();
}
