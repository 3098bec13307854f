/* Who answers is trusted to mean well, and not to be without faults: what it says has its limits, and what is not
 * understood ends the reading. */
#include "http/reply.h"

#include <stdio.h>
#include <stdlib.h>

#include "http/response.h"
#include "http/text.h"

enum { STATUS_LINE_MIN = 12, SIZE_DIGITS_MAX = 15 };

/* Moves bytes up to the end of a line behind reply->line. True: it is whole, and `line` has it without its end. */
static bool take_line(struct http_reply *reply, struct bytes *bytes, struct bytes *line)
{
    const uint8_t *end = bytes->size ? memchr(bytes->data, '\n', bytes->size) : NULL;
    size_t size = end ? (size_t)(end - bytes->data) + 1 : bytes->size;
    reply->head_size += size;
    if (reply->head_size > HTTP_HEAD_MAX) {
        reply->is_wrong = true;
        return false;
    }
    buffer_add(&reply->line, bytes->data, size);
    http_skip(bytes, size);
    size_t whole = reply->line.size;
    if (!end)
        return false;
    reply->is_wrong = whole < 2 || reply->line.data[whole - 2] != '\r';
    *line = bytes_of(reply->line.data, reply->is_wrong ? 0 : whole - 2);
    reply->line.size = 0;
    return !reply->is_wrong;
}

/* ---- the head ---- */

/* Digits alone. */
static bool read_number(struct bytes text, unsigned base, uint64_t *number)
{
    *number = 0;
    for (size_t i = 0; i < text.size; i++) {
        int digit = http_hex(text.data[i]);
        if (digit < 0 || (unsigned)digit >= base)
            return false;
        *number = *number * base + (unsigned)digit;
    }
    return text.size && text.size <= SIZE_DIGITS_MAX;
}

/* "HTTP/1.1 200 OK" */
static bool read_status(struct http_reply *reply, struct bytes line)
{
    uint64_t status;
    if (line.size < STATUS_LINE_MIN || memcmp(line.data, "HTTP/1.1 ", 9) != 0 ||
        !read_number(bytes_of(line.data + 9, 3), 10, &status) || status < 200)
        return false;
    reply->status = (int)status;
    return true;
}

/* What is said of this connection, or is said anew by who hands it on. */
static bool is_of_connection(struct bytes name)
{
    static const char *const names[] = {"connection", "keep-alive", "date", "server", "upgrade", "content-encoding",
                                        "trailer"};
    return http_is_one_of(name, names, sizeof(names) / sizeof(names[0]));
}

static bool read_framing(struct http_reply *reply, struct bytes name, struct bytes value)
{
    bool is_twice = reply->is_framed;
    reply->is_framed = true;
    reply->is_chunked = http_is(name, "transfer-encoding");
    return !is_twice && (reply->is_chunked ? http_is(value, "chunked") : read_number(value, 10, &reply->left));
}

static bool read_field(struct http_reply *reply, struct bytes line)
{
    const uint8_t *colon = memchr(line.data, ':', line.size);
    if (!colon || colon == line.data)
        return false;
    struct bytes name = bytes_of(line.data, (size_t)(colon - line.data));
    struct bytes value = http_trimmed(bytes_of(colon + 1, line.size - name.size - 1));
    if (http_is(name, "content-length") || http_is(name, "transfer-encoding"))
        return read_framing(reply, name, value);
    if (http_is(name, "content-type")) {
        snprintf(reply->type, sizeof(reply->type), "%.*s", BYTES_ARG(value));
    } else if (!is_of_connection(name)) {
        buffer_add(&reply->fields, line.data, line.size);
        buffer_add(&reply->fields, "\r\n", 2);
    }
    return true;
}

/* The empty line is there. */
static void end_head(struct http_reply *reply)
{
    bool has_body = http_status_has_body(reply->status);
    reply->is_wrong = has_body && !reply->is_framed;
    reply->head_size = 0;
    reply->part = !has_body            ? HTTP_PART_DONE
                  : reply->is_chunked ? HTTP_PART_CHUNK_SIZE
                                      : HTTP_PART_SIZED;
}

static void head_line(struct http_reply *reply, struct bytes line)
{
    if (!reply->status)
        reply->is_wrong = !read_status(reply, line);
    else if (line.size)
        reply->is_wrong = !read_field(reply, line);
    else
        end_head(reply);
}

/* ---- the body ---- */

/* "1f", or "1f;anything" */
static bool read_chunk_size(struct http_reply *reply, struct bytes line)
{
    const uint8_t *end = line.size ? memchr(line.data, ';', line.size) : NULL;
    return read_number(end ? bytes_of(line.data, (size_t)(end - line.data)) : line, 16, &reply->left);
}

static void body_line(struct http_reply *reply, struct bytes line)
{
    if (reply->part == HTTP_PART_TRAILER) {
        reply->part = line.size ? HTTP_PART_TRAILER : HTTP_PART_DONE;
        return;
    }
    reply->head_size = 0;
    if (reply->part == HTTP_PART_CHUNK_END) {
        reply->is_wrong = line.size;
        reply->part = HTTP_PART_CHUNK_SIZE;
        return;
    }
    reply->is_wrong = !read_chunk_size(reply, line);
    reply->part = reply->left ? HTTP_PART_CHUNK : HTTP_PART_TRAILER;
}

/* True: all of it is there. */
static bool take_body(struct http_reply *reply, struct bytes *bytes, struct buffer *body, size_t *most)
{
    size_t size = bytes->size < *most ? bytes->size : *most;
    size = size < reply->left ? size : (size_t)reply->left;
    buffer_add(body, bytes->data, size);
    http_skip(bytes, size);
    reply->left -= size;
    *most -= size;
    return reply->left == 0;
}

/* Takes one part further. False: it needs more bytes, or has given enough, or all is there. */
static bool take_part(struct http_reply *reply, struct bytes *bytes, struct buffer *body, size_t *most)
{
    struct bytes line;
    switch (reply->part) {
    case HTTP_PART_DONE:
        return false;
    case HTTP_PART_SIZED:
    case HTTP_PART_CHUNK:
        if (!take_body(reply, bytes, body, most))
            return false;
        reply->part = reply->part == HTTP_PART_SIZED ? HTTP_PART_DONE : HTTP_PART_CHUNK_END;
        return true;
    default:
        if (!take_line(reply, bytes, &line))
            return false;
        (reply->part == HTTP_PART_HEAD ? head_line : body_line)(reply, line);
        return true;
    }
}

enum http_reading http_reply_take(struct http_reply *reply, struct bytes *bytes, struct buffer *body, size_t most)
{
    while (!reply->is_wrong && take_part(reply, bytes, body, &most))
        continue;
    if (reply->is_wrong)
        return HTTP_WRONG;
    return reply->part == HTTP_PART_DONE ? HTTP_WHOLE : HTTP_READING;
}

void http_reply_free(struct http_reply *reply)
{
    buffer_free(&reply->fields);
    buffer_free(&reply->line);
}
