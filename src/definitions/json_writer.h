/* JSON, written value by value behind what a buffer has. In an object json_name comes before each
 * value, in an array it does not. */
#ifndef LEVERET_DEFINITIONS_JSON_WRITER_H
#define LEVERET_DEFINITIONS_JSON_WRITER_H

#include "base/buffer.h"
#include "definitions/json.h"

struct json_writer {
    struct buffer *out;
    enum { JSON_BEGIN, JSON_AFTER_NAME, JSON_AFTER_VALUE } state;
    bool is_bad; /* a text was no UTF-8, which JSON cannot have; it is not reset here */
    bool mends;  /* each byte that is no UTF-8 is written as U+FFFD */
};

static inline struct json_writer json_writer_of(struct buffer *out)
{
    return (struct json_writer){.out = out};
}

/* `{` or `[`, and what closes it. */
void json_open(struct json_writer *writer, char bracket);
void json_close(struct json_writer *writer, char bracket);
void json_name(struct json_writer *writer, struct bytes name);
void json_put_text(struct json_writer *writer, struct bytes text);
void json_put_whole(struct json_writer *writer, int64_t number);
/* A finite one; it is read as a fraction again, also if it is whole. */
void json_put_fraction(struct json_writer *writer, double number);
void json_put_flag(struct json_writer *writer, bool flag);
void json_put_null(struct json_writer *writer);
/* A value that was read, with all that is in it. */
void json_put(struct json_writer *writer, const struct json *value);
/* A value that is written already. */
void json_put_written(struct json_writer *writer, struct bytes json);

/* Name and value. */
void json_add_text(struct json_writer *writer, const char *name, struct bytes text);
void json_add_whole(struct json_writer *writer, const char *name, int64_t number);
void json_add_flag(struct json_writer *writer, const char *name, bool flag);
void json_add_open(struct json_writer *writer, const char *name, char bracket);

#endif
