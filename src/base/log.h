/* One line an event: a name, then key=value pairs. The line goes to a sink that the program hands
 * in; nothing here opens a file or reads a clock. */
#ifndef LEVERET_BASE_LOG_H
#define LEVERET_BASE_LOG_H

#include <stdbool.h>

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARNING, LOG_LEVEL_ERROR };

struct log {
    enum log_level level; /* events below it are dropped */
    /* Takes one line without its end; it may be called from any thread. NULL drops all. */
    void (*sink)(void *context, enum log_level level, const char *line);
    void *context;
};

/* Reads "debug", "info", "warning" or "error". */
bool log_level_read(const char *text, enum log_level *level);
const char *log_level_name(enum log_level level);
/* Text that came from a peer must be given by %s arguments: control characters are replaced and
 * the line is cut at 1,000 bytes. NULL for `log` drops the line. */
void log_event(const struct log *log, enum log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
