/* A request of HTTP/1.1, read from bytes as they come. Whatever could be understood in two ways is
 * refused: RFC 9112, sections 2.2, 5.1, 6.3 and 11.2. */
#ifndef LEVERET_HTTP_REQUEST_H
#define LEVERET_HTTP_REQUEST_H

#include "base/buffer.h"

enum http_method {
    HTTP_GET,
    HTTP_HEAD,
    HTTP_PUT,
    HTTP_POST,
    HTTP_DELETE,
    HTTP_OPTIONS,
    HTTP_OTHER,
};

enum { HTTP_LINE_MAX = 8192, HTTP_HEAD_MAX = 16384, HTTP_FIELDS_MAX = 64 };

struct http_field {
    struct bytes name, value; /* without spaces around it */
};

/* Whole; its bytes belong to who has read it. */
struct http_request {
    enum http_method method;
    struct bytes path;  /* as it was sent, from its first '/' on: "/api/queues/%2F" */
    struct bytes query; /* behind the '?', as it was sent; empty: none */
    struct bytes body;
    struct http_field fields[HTTP_FIELDS_MAX];
    size_t field_count;
    bool is_1_0;
    bool keeps; /* the client wants to send more requests */
};

/* Of any but HTTP_OTHER, which has none. */
const char *http_method_name(enum http_method method);
/* The first field of that name, which is in lower case; NULL data: there is none. */
struct bytes http_field_of(const struct http_request *request, const char *name);
/* How much a list with weights, as in accept-encoding, wants `word`, in thousandths; 0: not at all, or it does
 * not have it. */
enum { HTTP_WEIGHT_MAX = 1000 };
unsigned http_weight(const struct http_request *request, const char *name, const char *word);
/* Is that more than 0? */
bool http_accepts(const struct http_request *request, const char *name, const char *word);
/* Is `token` one of those between the commas of a field? Upper and lower case are the same. */
bool http_has_token(struct bytes value, const char *token);

/* ---- what a path and a query are made of ---- */

/* Takes the next segment off a path, as it was sent: of "/api/queues/%2F" that is "api", then
 * "queues", then "%2F"; behind a last '/' there is one more, an empty one. False: there are no
 * more. */
bool http_next_segment(struct bytes *path, struct bytes *segment);
/* Takes the next parameter off a query, as it was sent: of "page=1&sort" that is "page" with "1",
 * then "sort" with nothing. False: there are no more. */
bool http_next_parameter(struct bytes *query, struct bytes *name, struct bytes *value);
/* What a segment (or a name or value of a query, where '+' is a space) stands for. It is appended
 * to `room`, and moves when that grows: who keeps several makes room for all of them first. False:
 * there is a '%' without two hexadecimal digits behind it. */
bool http_decode(struct bytes text, bool is_query, struct buffer *room, struct bytes *decoded);
/* The value of the first parameter of that name, decoded in the same way. False: there is none, or
 * it cannot be decoded. */
bool http_parameter(struct bytes query, const char *name, struct buffer *room, struct bytes *value);

#endif
