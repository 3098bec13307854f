/* Is this well-formed UTF-8 (RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF)? */
#ifndef LEVERET_BASE_UTF8_H
#define LEVERET_BASE_UTF8_H

#include "base/bytes.h"

bool utf8_is_valid(struct bytes text);
/* Of the first character of some bytes: how many it takes, 0 when it is malformed. */
size_t utf8_character(struct bytes bytes);

#endif
