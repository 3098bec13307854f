/* A record of the log as a line of text, or of JSON. */
#ifndef LEVERET_BASE_LOG_LINE_H
#define LEVERET_BASE_LOG_LINE_H

#include "base/log.h"

/* How lines are written; a set of these, 0: text alone. */
enum {
    LOG_STYLE_JSON = 1,     /* an object each, and not text */
    LOG_STYLE_PRIORITY = 2, /* with the level's number in front, as "<6>", which journals take */
};

enum { LOG_LINE_MAX = 1000, LOG_WHOLE_MAX = 3500 };

/* "event name=value name=value", as `line`, of LOG_LINE_MAX + 1 bytes; returns its size. A value is
 * quoted when it is empty, or has a space, a quote, a backslash, an equals sign, or what is no
 * printable text: of that each byte is written as \x and two digits, so that a line is UTF-8 and
 * stays one line. One that would be longer is cut, and ends with "...". */
size_t log_line_text(const struct log_record *record, char *line);
/* The same with its level, the time (of the wall, in ms) and the end of a line: at most
 * LOG_WHOLE_MAX bytes, without a terminator. In JSON it is one object: time, level, category, msg
 * (the event), then its pairs, of which numbers are numbers; one that was cut ends with "cut":
 * true. Fit for the handler of a signal. */
size_t log_line_whole(const struct log_record *record, unsigned style, uint64_t clock_ms,
                      char *line);

#endif
