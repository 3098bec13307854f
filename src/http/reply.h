/* Reads an answer from bytes as they come, in pieces of any size: for who asks another broker, and hands on what that
 * says. It has to be one of HTTP/1.1 that says how long its body is, or comes in chunks. */
#ifndef LEVERET_HTTP_REPLY_H
#define LEVERET_HTTP_REPLY_H

#include "http/reader.h"

enum { HTTP_TYPE_BYTES = 128 };

struct http_reply {
    int status;                 /* 0: its head has not come */
    char type[HTTP_TYPE_BYTES]; /* of its body; empty: it says none */
    struct buffer fields;       /* but those that are about the connection and the body: "name: value\r\n" each */
    struct buffer line;         /* that has begun */
    size_t head_size;           /* of what has come of the head, or the trailer */
    enum http_part part;
    uint64_t left; /* bytes of the body, or chunk, that are still to come */
    bool is_framed, is_chunked;
    bool is_wrong;
};

/* Takes from the front of *bytes what belongs to the answer, and appends at most `most` bytes of its body: then it
 * is to be called again. A zeroed one is a new one. Of enum http_reading HTTP_HEADED does not come. */
enum http_reading http_reply_take(struct http_reply *reply, struct bytes *bytes, struct buffer *body, size_t most);
void http_reply_free(struct http_reply *reply);

#endif
