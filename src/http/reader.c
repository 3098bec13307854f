/* Lines are gathered until they are whole, the body as it comes. Nothing is kept that could grow:
 * the head has its limits, the body the one that it is given, what stands between chunks another.
 */
#include "http/reader.h"

#include "http/text.h"

enum { CHUNK_LINE_MAX = 256, CHUNK_DIGITS_MAX = 15 };

static void set_fault(struct http_reader *reader, int status, const char *reason)
{
    reader->fault = (struct http_fault){status, reason};
}

/* Can the byte stand where it does in a line? If not, `fault` says why. */
static bool fits(struct http_reader *reader, uint8_t byte)
{
    if ((byte == '\n') != reader->has_cr)
        set_fault(reader, 400, "a line does not end with CR LF");
    else if ((byte < ' ' && !strchr("\t\r\n", byte)) || byte == '\0' || byte == 0x7F)
        set_fault(reader, 400, "there is a control character in the head");
    return reader->fault.status == 0;
}

/* Moves bytes up to the end of a line, as far as they are there, behind `to`; one byte more than
 * any line may have is enough. True: a line is whole. */
static bool take_line(struct http_reader *reader, struct bytes *bytes, struct buffer *to)
{
    size_t size = 0;
    bool is_whole = false;
    while (size < bytes->size && size <= HTTP_HEAD_MAX && !is_whole &&
           fits(reader, bytes->data[size])) {
        reader->has_cr = bytes->data[size] == '\r';
        is_whole = bytes->data[size++] == '\n';
    }
    buffer_add(to, bytes->data, size);
    http_skip(bytes, size);
    return is_whole;
}

/* ---- the head ---- */

static struct bytes head_from(const struct http_reader *reader, size_t begin)
{
    return bytes_of(reader->head.data + begin, reader->head.size - begin);
}

static bool is_first_line(const struct http_reader *reader)
{
    return reader->line_at == reader->begin;
}

static void check_head_size(struct http_reader *reader)
{
    size_t line_size = reader->head.size - reader->line_at;
    if (reader->fault.status)
        return;
    if (is_first_line(reader) && line_size > HTTP_LINE_MAX)
        set_fault(reader, 414, "the first line is longer than 8192 bytes");
    else if (reader->head.size > HTTP_HEAD_MAX)
        set_fault(reader, 431, "the head is larger than 16384 bytes");
}

/* A line of it is whole. True: it was the empty one at the end. */
static bool head_line(struct http_reader *reader)
{
    struct bytes line = head_from(reader, reader->line_at);
    bool is_first = is_first_line(reader), is_empty = line.size == 2;
    line.size -= 2;
    if (is_first && is_empty && reader->begin)
        set_fault(reader, 400, "the first line is empty");
    else if (is_first && is_empty)
        reader->begin = reader->head.size;
    else if (is_first)
        reader->fault = http_head_line(&reader->request, line);
    reader->line_at = reader->head.size;
    return is_empty && !is_first;
}

/* True: it is whole, or wrong. */
static bool take_head(struct http_reader *reader, struct bytes *bytes)
{
    bool is_whole = false;
    while (!is_whole && !reader->fault.status) {
        bool has_line = take_line(reader, bytes, &reader->head);
        check_head_size(reader);
        if (!has_line && !reader->fault.status)
            return false;
        is_whole = !reader->fault.status && head_line(reader);
    }
    if (is_whole)
        reader->fault = http_head_read(&reader->request, head_from(reader, reader->begin));
    return true;
}

bool http_reader_body(struct http_reader *reader, size_t body_max)
{
    struct http_framing framing;
    reader->fault = http_head_framing(&reader->request, &framing);
    if (!reader->fault.status && framing.size > body_max)
        set_fault(reader, 413, "the body is larger than is taken here");
    reader->body_max = body_max;
    reader->left = framing.size;
    reader->part = framing.is_chunked ? HTTP_PART_CHUNK_SIZE : HTTP_PART_SIZED;
    return !reader->fault.status;
}

bool http_reader_is_asked(const struct http_reader *reader)
{
    bool has_body =
        reader->part == HTTP_PART_CHUNK_SIZE || (reader->part == HTTP_PART_SIZED && reader->left);
    return has_body && !reader->request.is_1_0 && http_field_of(&reader->request, "expect").data;
}

/* ---- the body ---- */

/* Moves what is there of `left`. True: that was all. */
static bool take_body(struct http_reader *reader, struct bytes *bytes)
{
    size_t size = bytes->size < reader->left ? bytes->size : (size_t)reader->left;
    buffer_add(&reader->body, bytes->data, size);
    http_skip(bytes, size);
    reader->left -= size;
    return reader->left == 0;
}

/* "1f" or "1f;anything", without its end; nothing else, as there are readers who stop at what is
 * odd. */
static void read_chunk_size(struct http_reader *reader, struct bytes line)
{
    size_t i = 0;
    reader->left = 0;
    for (int digit; i < line.size && (digit = http_hex(line.data[i])) >= 0; i++)
        if (i < CHUNK_DIGITS_MAX)
            reader->left = reader->left << 4 | (unsigned)digit;
    if (i == 0 || (i < line.size && line.data[i] != ';'))
        set_fault(reader, 400, "the size of a chunk is no hexadecimal number");
    else if (i > CHUNK_DIGITS_MAX || reader->left > reader->body_max - reader->body.size)
        set_fault(reader, 413, "the body is larger than is taken here");
}

/* What follows a line between the chunks. */
static enum http_part part_after(struct http_reader *reader, struct bytes line)
{
    switch (reader->part) {
    case HTTP_PART_CHUNK_SIZE:
        read_chunk_size(reader, line);
        return reader->left ? HTTP_PART_CHUNK : HTTP_PART_TRAILER;
    case HTTP_PART_CHUNK_END:
        if (line.size)
            set_fault(reader, 400, "a chunk is longer than its size");
        return HTTP_PART_CHUNK_SIZE;
    default:
        return line.size ? HTTP_PART_TRAILER : HTTP_PART_DONE;
    }
}

/* One line of those. False: it is not all there. */
static bool take_chunk_line(struct http_reader *reader, struct bytes *bytes)
{
    bool is_trailer = reader->part == HTTP_PART_TRAILER;
    size_t before = reader->line.size;
    bool has_line = take_line(reader, bytes, &reader->line);
    reader->trailer_size += is_trailer ? reader->line.size - before : 0;
    if (!reader->fault.status && !is_trailer && reader->line.size > CHUNK_LINE_MAX)
        set_fault(reader, 400, "the line between two chunks is too long");
    if (!reader->fault.status && reader->trailer_size > HTTP_HEAD_MAX)
        set_fault(reader, 431, "the trailer is larger than 16384 bytes");
    if (!has_line || reader->fault.status)
        return false;
    reader->part = part_after(reader, bytes_of(reader->line.data, reader->line.size - 2));
    reader->line.size = 0;
    return true;
}

/* Takes one part further. False: it needs more bytes, or is wrong, or all parts are there. */
static bool take_part(struct http_reader *reader, struct bytes *bytes)
{
    switch (reader->part) {
    case HTTP_PART_SIZED:
        if (!take_body(reader, bytes))
            return false;
        reader->part = HTTP_PART_DONE;
        return true;
    case HTTP_PART_CHUNK:
        if (!take_body(reader, bytes))
            return false;
        reader->part = HTTP_PART_CHUNK_END;
        return true;
    case HTTP_PART_DONE:
        return false;
    default:
        return take_chunk_line(reader, bytes);
    }
}

enum http_reading http_reader_take(struct http_reader *reader, struct bytes *bytes)
{
    if (reader->part == HTTP_PART_HEAD) {
        bool is_over = take_head(reader, bytes);
        if (reader->fault.status)
            return HTTP_WRONG;
        return is_over ? HTTP_HEADED : HTTP_READING;
    }
    while (!reader->fault.status && take_part(reader, bytes))
        continue;
    reader->request.body = buffer_bytes(&reader->body);
    if (reader->fault.status)
        return HTTP_WRONG;
    return reader->part == HTTP_PART_DONE ? HTTP_WHOLE : HTTP_READING;
}

void http_reader_free(struct http_reader *reader)
{
    buffer_free(&reader->head);
    buffer_free(&reader->body);
    buffer_free(&reader->line);
    *reader = (struct http_reader){0};
}
