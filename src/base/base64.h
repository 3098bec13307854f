/* Base64 (RFC 4648, section 4), with its padding. */
#ifndef LEVERET_BASE_BASE64_H
#define LEVERET_BASE_BASE64_H

#include "base/buffer.h"

/* Appends the bytes that the text stands for. False: it is not well-formed, and nothing was added.
 */
bool base64_read(struct bytes text, struct buffer *out);
void base64_write(struct bytes bytes, struct buffer *out);

#endif
