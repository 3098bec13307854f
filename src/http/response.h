/* The first lines of an answer, and what stands around its body. */
#ifndef LEVERET_HTTP_RESPONSE_H
#define LEVERET_HTTP_RESPONSE_H

#include "http/http.h"
#include "peer/output.h"

/* How the client learns where the body ends. */
enum http_body_end {
    HTTP_BODY_SIZED,
    HTTP_BODY_CHUNKED,
    HTTP_BODY_CLOSED, /* by the end of the connection */
    HTTP_BODY_NONE,   /* as the status says */
};

struct http_response {
    const struct http_head *head;
    enum http_body_end end;
    size_t size; /* of a sized body */
    bool is_gzip;
    bool closes;       /* the connection ends with this answer */
    bool is_1_0;       /* the client has to be told when it does not */
    uint64_t clock_ms; /* 0: no date */
};

/* "OK" of 200; never NULL. */
const char *http_status_name(int status);
/* May an answer of this status have a body? */
bool http_status_has_body(int status);
void http_write_head(struct output_pool *pool, struct output *output,
                     const struct http_response *response);
void http_write_bytes(struct output_pool *pool, struct output *output, struct bytes bytes);
/* `bytes` is not empty. */
void http_write_chunk(struct output_pool *pool, struct output *output, struct bytes bytes);
void http_write_last_chunk(struct output_pool *pool, struct output *output);
/* A whole answer with a body of JSON, after which the connection is closed. */
void http_write_error(struct output_pool *pool, struct output *output, int status,
                      const char *reason, bool has_body, uint64_t clock_ms);

#endif
