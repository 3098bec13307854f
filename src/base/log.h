/* One line an event: its name, then key=value pairs. The events, with their levels, are the rows of
 * log.def. The line goes to a sink that the program hands in; nothing here opens a file or reads a
 * clock. */
#ifndef LEVERET_BASE_LOG_H
#define LEVERET_BASE_LOG_H

#include <stdbool.h>

enum log_level {
    LOG_LEVEL_DEBUG,
    LOG_LEVEL_INFO,
    LOG_LEVEL_WARNING,
    LOG_LEVEL_ERROR,
    LOG_LEVEL_NONE, /* of no event: a log at this level drops all */
};

enum event {
#define EVENT(name, level, meaning) EVENT_##name,
#include "base/log.def"
#undef EVENT
};

enum { LOG_LINE_MAX = 1000 };

struct log {
    enum log_level level; /* events below it are dropped; log_set_level */
    /* Takes one line without its end; it may be called from any thread. NULL drops all. */
    void (*sink)(void *context, enum log_level level, const char *line);
    void *context;
};

/* May be done while other threads log. */
static inline void log_set_level(struct log *log, enum log_level level)
{
    __atomic_store_n(&log->level, level, __ATOMIC_RELAXED);
}

static inline enum log_level log_level(const struct log *log)
{
    return __atomic_load_n(&log->level, __ATOMIC_RELAXED);
}

/* Reads "debug", "info", "warning", "error" or "none". */
bool log_level_read(const char *text, enum log_level *level);
const char *log_level_name(enum log_level level);
/* Logs `event`; `format` makes its pairs, as "peer=%s code=%u reason=%s". It knows %s, %.*s, %.Ns,
 * and %d and %u with their length (l, ll, z). What a %s after = stands for is quoted when it has to
 * be: text of a peer can look neither like another pair nor like another line. A line that would
 * be longer than LOG_LINE_MAX bytes is cut, and ends with "...". NULL for `log` drops it. */
void log_event(const struct log *log, enum event event, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
