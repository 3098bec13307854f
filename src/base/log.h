/* What happens, as records: an event, and pairs of a name and a value. The events, with their
 * categories and levels, are the rows of log.def. A record goes to a sink that the program hands
 * in; base/log_line.h makes a line of it. Nothing here opens a file or reads a clock. */
#ifndef LEVERET_BASE_LOG_H
#define LEVERET_BASE_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum log_level {
    LOG_LEVEL_DEBUG,
    LOG_LEVEL_INFO,
    LOG_LEVEL_WARNING,
    LOG_LEVEL_ERROR,
    LOG_LEVEL_NONE, /* of no event: a log at this level drops all */
};

/* What an event is about: levels can be set for each. */
enum log_category {
    LOG_CATEGORY_AUDIT,
    LOG_CATEGORY_CHANNEL,
    LOG_CATEGORY_CONNECTION,
    LOG_CATEGORY_DEFAULT,
    LOG_CATEGORY_QUEUE,
    LOG_CATEGORIES,
};

enum event {
#define EVENT(name, category, level, meaning) EVENT_##name,
#include "base/log.def"
#undef EVENT
};

enum { LOG_TEXT_MAX = 1000, LOG_FIELDS_MAX = 24 };

/* One pair, as bytes of its record: first the name, and behind it the value. */
struct log_field {
    uint16_t at, name_size, size;
    bool is_number; /* the value is digits, perhaps behind a minus */
};

struct log_record {
    enum log_category category;
    enum log_level level;
    const char *event;
    size_t count; /* of fields */
    struct log_field fields[LOG_FIELDS_MAX];
    size_t size;
    bool is_cut; /* there was more than fits */
    char text[LOG_TEXT_MAX];
};

struct log {
    enum log_level level; /* events below it are dropped; log_set_level */
    /* Takes a record, which is gone when it returns; it may be called from any thread. NULL drops
     * all. */
    void (*sink)(void *context, const struct log_record *record);
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
const char *log_category_name(enum log_category category);
/* Logs `event`; `format` makes its pairs, as "peer=%s code=%u reason=%s", with a space between two.
 * It knows %s, %.*s, %.Ns, and %d and %u with their length (l, ll, z), in values and in names; a
 * value of several words stands between quotes, as "reason=\"no %s\"". What a %s stands for is
 * taken as it is: a text of a peer can look neither like another pair nor like another line. NULL
 * for `log` drops it. */
void log_event(const struct log *log, enum event event, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The same with pairs that are made already, as "syncs=7 longest_step=none", of words without spaces; a
 * value of digits alone is a number. */
void log_event_pairs(const struct log *log, enum event event, const char *pairs);

#endif
