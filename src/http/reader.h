/* Reads one request from bytes as they come, in pieces of any size. */
#ifndef LEVERET_HTTP_READER_H
#define LEVERET_HTTP_READER_H

#include "http/head.h"

enum http_reading {
    HTTP_READING, /* more bytes are needed */
    HTTP_HEADED,  /* the head is there: say how large the body may be (http_reader_body), and go on
                   */
    HTTP_WHOLE,   /* the request is */
    HTTP_WRONG,   /* see `fault`; what follows cannot be understood */
};

struct http_reader {
    struct http_request request; /* its head from HTTP_HEADED on, its body from HTTP_WHOLE on */
    struct http_fault fault;
    struct buffer head, body;
    struct buffer line; /* that has begun, between the chunks of a body */
    enum http_part {
        HTTP_PART_HEAD,
        HTTP_PART_SIZED,      /* a body whose size the head says */
        HTTP_PART_CHUNK_SIZE, /* the line before a chunk */
        HTTP_PART_CHUNK,
        HTTP_PART_CHUNK_END, /* the end of the line behind it */
        HTTP_PART_TRAILER,   /* fields behind the last chunk, which are dropped */
        HTTP_PART_DONE,
    } part;
    bool has_cr;         /* the last byte was the first one of a line's end */
    size_t begin;        /* of the first line in `head`: an empty one may come before it */
    size_t line_at;      /* of the line in `head` that has begun */
    size_t trailer_size; /* of what has come of the trailer */
    uint64_t left;       /* bytes of the body, or chunk, that are still to come */
    size_t body_max;
};

/* Takes from the front of *bytes what belongs to the request. A zeroed reader is a new one. */
enum http_reading http_reader_take(struct http_reader *reader, struct bytes *bytes);
/* After HTTP_HEADED, once. False: the body is larger (see `fault`). */
bool http_reader_body(struct http_reader *reader, size_t body_max);
/* Does the client wait until it is told that its body is welcome? */
bool http_reader_is_asked(const struct http_reader *reader);
void http_reader_free(struct http_reader *reader);

#endif
