/* What one client of HTTP sends. The first byte says in what pieces it comes, the second how much
 * of the answers the client takes in a turn.
 *
 * A finding is a crash, a leak, a server that comes to no rest; or that the same bytes come to
 * other requests when they come in other pieces; or answers that are no HTTP, or not as many as
 * requests. */
#include <assert.h>
#include <stdlib.h>

#include "http/server_state.h"
#include "tests/fuzz/fuzz.h"
#include "tests/lib/http_bench.h"

enum { TURNS_MAX = 200000 };

struct outcome {
    struct buffer journal, answers;
    size_t asked;
    bool is_closed;
};

static void give(struct http_bench *bench, struct http_bench_client *client, struct bytes bytes,
                 size_t piece)
{
    int turns = 0;
    while (bytes.size && client->conversation) {
        size_t size = bytes.size < piece ? bytes.size : piece;
        uint8_t *copy = malloc(size); /* so that nothing is read beyond it, or later */
        memcpy(copy, bytes.data, size);
        if (http_bench_send(bench, client, bytes_of(copy, size)))
            bytes = bytes_of(bytes.data + size, bytes.size - size);
        free(copy);
        http_bench_turn(bench, client, 0);
        assert(++turns < TURNS_MAX);
    }
}

/* All that it has asked for is answered. */
static void finish(struct http_bench *bench, struct http_bench_client *client)
{
    int turns = 0;
    http_bench_settle(bench, client);
    while (client->conversation && (bench->answers || client->takes != SIZE_MAX)) {
        if (!bench->answers)
            client->takes = SIZE_MAX;
        http_bench_turn(bench, client, 50);
        http_bench_settle(bench, client);
        assert(++turns < TURNS_MAX);
    }
}

static struct outcome play(struct bytes bytes, size_t piece, size_t takes)
{
    struct http_bench bench;
    http_bench_new(&bench,
                   &(struct http_options){.request_ms = UINT32_MAX, .body_bytes_max = 5000});
    bench.body_max = 3000;
    bench.calls_max = 8;
    struct http_bench_client client = http_bench_dial(&bench);
    client.takes = takes;
    give(&bench, &client, bytes, piece);
    finish(&bench, &client);
    struct outcome outcome = {bench.journal, client.in, bench.asked, !client.conversation};
    bench.journal = (struct buffer){0};
    http_bench_hang_up(&client);
    assert(bench.answers == 0);
    assert(bench.server->body_bytes == 0 && bench.server->outputs.bytes == 0);
    assert(bench.server->connections == 0 && bench.server->timers.count == 0);
    http_bench_free(&bench);
    return outcome;
}

/* ---- the answers, as a client reads them ---- */

/* Takes a line off. */
static struct bytes line_of(struct bytes *text)
{
    const uint8_t *end = text->size ? memchr(text->data, '\n', text->size) : NULL;
    assert(end && end > text->data && end[-1] == '\r');
    struct bytes line = bytes_of(text->data, (size_t)(end - text->data) - 1);
    *text = bytes_of(end + 1, text->size - line.size - 2);
    return line;
}

static void skip(struct bytes *text, size_t size)
{
    assert(size <= text->size);
    *text = bytes_of(text->data + size, text->size - size);
}

static void skip_chunks(struct bytes *text)
{
    size_t size;
    do {
        struct bytes line = line_of(text);
        char number[32] = {0};
        assert(line.size > 0 && line.size < 9);
        memcpy(number, line.data, line.size);
        size = strtoul(number, NULL, 16);
        skip(text, size);
        assert(line_of(text).size == 0);
    } while (size);
}

/* Takes one answer off; false: it is only the invitation to send a body. `is_bare`: as it is to
 * HEAD. */
static bool skip_answer(struct bytes *text, bool is_bare, bool *is_last)
{
    struct bytes line = line_of(text);
    size_t length = 0;
    bool is_chunked = false, has_length = false, is_empty = is_bare;
    assert(bytes_start_with(line, "HTTP/1.1 ") && line.size > 12);
    is_empty |= bytes_start_with(line, "HTTP/1.1 204");
    bool is_invitation = bytes_start_with(line, "HTTP/1.1 100");
    *is_last = false;
    while ((line = line_of(text)).size) {
        has_length |= bytes_start_with(line, "content-length: ");
        if (bytes_start_with(line, "content-length: "))
            length = strtoul((const char *)line.data + 16, NULL, 10);
        is_chunked |= bytes_equal_str(line, "transfer-encoding: chunked");
        *is_last |= bytes_equal_str(line, "connection: close");
    }
    assert(!is_chunked || !has_length);
    if (is_chunked && !is_empty)
        skip_chunks(text);
    else if (has_length && !is_empty)
        skip(text, length);
    else if (!is_invitation && !is_empty)
        skip(text, text->size); /* up to the end of the connection */
    return !is_invitation;
}

/* The method is the first letter of a line of the journal. */
static bool take_is_head(struct bytes *journal)
{
    if (journal->size == 0)
        return false;
    const uint8_t *end = memchr(journal->data, '\n', journal->size);
    bool is_head = journal->data[0] == '0' + HTTP_HEAD;
    assert(end);
    *journal = bytes_of(end + 1, journal->size - (size_t)(end - journal->data) - 1);
    return is_head;
}

/* An answer for each request, and perhaps one that says what is wrong, which is the last. */
static void check_answers(const struct outcome *outcome)
{
    struct bytes text = buffer_bytes(&outcome->answers), journal = buffer_bytes(&outcome->journal);
    size_t answers = 0;
    bool is_last = false, is_answer = true, is_head = false;
    while (text.size && answers < outcome->asked) {
        assert(!is_last);
        if (is_answer)
            is_head = take_is_head(&journal);
        is_answer = skip_answer(&text, is_head, &is_last);
        answers += is_answer;
    }
    assert(answers == outcome->asked);
    if (!outcome->is_closed || text.size == 0)
        return;
    while (text.size && !bytes_start_with(text, "HTTP/1.1 4") &&
           !bytes_start_with(text, "HTTP/1.1 5"))
        assert(!skip_answer(&text, false, &is_last));
    assert(text.size == 0 || bytes_start_with(text, "HTTP/1.1 "));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    struct bytes bytes = bytes_of(data + 2, size - 2);
    size_t takes = data[1] ? (size_t)data[1] * 1024 : SIZE_MAX;
    struct outcome whole = play(bytes, 256 << 10, SIZE_MAX);
    struct outcome pieces = play(bytes, (size_t)data[0] + 1, takes);
    check_answers(&whole);
    check_answers(&pieces);
    assert(bytes_equal(buffer_bytes(&whole.journal), buffer_bytes(&pieces.journal)));
    assert(whole.is_closed == pieces.is_closed);
    buffer_free(&whole.journal);
    buffer_free(&whole.answers);
    buffer_free(&pieces.journal);
    buffer_free(&pieces.answers);
    return 0;
}
