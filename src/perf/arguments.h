/* Tables and properties from the command line. */
#ifndef LEVERET_PERF_ARGUMENTS_H
#define LEVERET_PERF_ARGUMENTS_H

#include "base/buffer.h"

/* Appends to `table` (contents of a field table) what the text says: either {name:type value, ...}
 * as amqp/text.h reads it, or NAME=VALUE,... where a number is an integer, true and false are
 * bools, and all else is a string. False when it is neither. */
bool arguments_read(const char *text, struct buffer *table);
/* Properties on the wire, from the flags on: those of the text (amqp/text.h; NULL: none), these
 * headers (contents of a table, besides those in the text), delivery mode 2 when the messages are
 * to be persistent, and this priority (NULL: what the text says). Appended; false with a reason. */
bool properties_build(const char *text, struct bytes headers, bool persistent,
                      const uint8_t *priority, struct buffer *out, char *error, size_t error_size);

#endif
