/* A body that becomes gzip piece by piece. */
#ifndef LEVERET_HTTP_GZIP_H
#define LEVERET_HTTP_GZIP_H

#include "base/buffer.h"

struct http_gzip;

struct http_gzip *http_gzip_new(void);
/* NULL is allowed. */
void http_gzip_free(struct http_gzip *gzip);
/* Appends what comes of the next bytes, perhaps nothing as long as they are not the last. */
void http_gzip_add(struct http_gzip *gzip, struct bytes bytes, bool is_last, struct buffer *out);

#endif
