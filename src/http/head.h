/* The head of a request: its first line, and its fields. */
#ifndef LEVERET_HTTP_HEAD_H
#define LEVERET_HTTP_HEAD_H

#include "http/request.h"

/* What cannot be answered as asked. */
struct http_fault {
    int status; /* 0: nothing is wrong */
    const char *reason;
};

/* How long the body is. */
struct http_framing {
    bool is_chunked;
    uint64_t size; /* when it is not */
};

/* The first line, without its end. */
struct http_fault http_head_line(struct http_request *request, struct bytes line);
/* All lines, with their ends, the empty one included. What is found borrows from `head`. */
struct http_fault http_head_read(struct http_request *request, struct bytes head);
/* By what the fields say. */
struct http_fault http_head_framing(const struct http_request *request,
                                    struct http_framing *framing);

#endif
