#include "net/logs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { RING_BYTES = 1 << 20 };

/* ---- who takes what ---- */

static struct log_tail *tail_of(const struct log_outlet *outlet)
{
    return __atomic_load_n(&outlet->tail, __ATOMIC_ACQUIRE);
}

static bool outlet_takes(const struct log_outlet *outlet, enum log_category category,
                         enum log_level level)
{
    bool is_frame = category == LOG_CATEGORY_CHANNEL && level == LOG_LEVEL_DEBUG;
    return (outlet->writer || (tail_of(outlet) && !is_frame)) &&
           level >= __atomic_load_n(&outlet->levels[category], __ATOMIC_RELAXED);
}

static void outlet_take(const struct logs *logs, const struct log_outlet *outlet,
                        const struct log_record *record)
{
    if (outlet->writer)
        log_writer_take(outlet->writer, record);
    else
        log_tail_take(tail_of(outlet), record,
                      __atomic_load_n(&logs->tail_style, __ATOMIC_RELAXED));
}

static void take(void *context, const struct log_record *record)
{
    struct logs *logs = context;
    for (int i = 0; i < LOGS_OUTLETS; i++)
        if (outlet_takes(&logs->outlets[i], record->category, record->level))
            outlet_take(logs, &logs->outlets[i], record);
}

static void take_last(void *context, const struct log_record *record)
{
    struct logs *logs = context;
    for (int i = 0; i < LOGS_OUTLETS; i++)
        if (logs->outlets[i].writer &&
            outlet_takes(&logs->outlets[i], record->category, record->level))
            log_writer_take_last(logs->outlets[i].writer, record);
}

static void take_direct(void *context, const struct log_record *record)
{
    struct logs *logs = context;
    if (record->level >= logs->outlets[LOGS_CONSOLE].levels[record->category])
        log_write_direct(record, logs->style);
}

bool logs_take(const struct logs *logs, enum log_category category, enum log_level level)
{
    for (int i = 0; i < LOGS_OUTLETS; i++)
        if (outlet_takes(&logs->outlets[i], category, level))
            return true;
    return false;
}

/* ---- levels ---- */

static enum log_level level_of(const struct log_choice *category, const struct log_choice *outlet)
{
    if (category->is_said && outlet->is_said)
        return category->level > outlet->level ? category->level : outlet->level;
    if (category->is_said)
        return category->level;
    return outlet->is_said ? outlet->level : LOG_LEVEL_INFO;
}

static void set_levels(struct log_outlet *outlet, const struct logs_options *options,
                       const struct log_choice *own)
{
    const struct log_choice *all = &options->categories[LOG_CATEGORY_DEFAULT];
    for (int i = 0; i < LOG_CATEGORIES; i++) {
        const struct log_choice *category = &options->categories[i];
        __atomic_store_n(&outlet->levels[i],
                         (uint8_t)level_of(category->is_said ? category : all, own),
                         __ATOMIC_RELAXED);
    }
}

/* What nobody takes is not even made a record. */
static void set_least(struct logs *logs)
{
    enum log_level least = LOG_LEVEL_NONE;
    for (int i = 0; i < LOGS_OUTLETS * LOG_CATEGORIES; i++) {
        const struct log_outlet *outlet = &logs->outlets[i / LOG_CATEGORIES];
        enum log_level level = outlet->levels[i % LOG_CATEGORIES];
        bool is_open = outlet->writer || tail_of(outlet);
        bool counts = logs->is_started ? is_open : i < LOG_CATEGORIES;
        if (counts && level < least)
            least = level;
    }
    log_set_level(&logs->log, least);
    log_set_level(&logs->last, least);
}

static unsigned style_of(const struct logs *logs, const struct logs_options *options, int outlet)
{
    return (options->is_json[outlet] ? LOG_STYLE_JSON : 0) |
           (outlet == LOGS_CONSOLE && logs->is_journal ? LOG_STYLE_PRIORITY : 0);
}

void logs_set_options(struct logs *logs, const struct logs_options *options)
{
    for (int i = 0; i < LOGS_OUTLETS; i++) {
        set_levels(&logs->outlets[i], options, &options->outlets[i]);
        if (logs->outlets[i].writer)
            log_writer_set_style(logs->outlets[i].writer, style_of(logs, options, i));
    }
    __atomic_store_n(&logs->tail_style, style_of(logs, options, LOGS_EXCHANGE), __ATOMIC_RELAXED);
    set_least(logs);
}

void logs_set_tail(struct logs *logs, struct log_tail *tail, const struct logs_options *options)
{
    __atomic_store_n(&logs->outlets[LOGS_EXCHANGE].tail, tail, __ATOMIC_RELEASE);
    logs_set_options(logs, options);
}

void logs_set_level(struct logs *logs, enum log_level level)
{
    for (int i = 0; i < LOGS_OUTLETS; i++)
        for (int k = 0; k < LOG_CATEGORIES; k++)
            __atomic_store_n(&logs->outlets[i].levels[k], (uint8_t)level, __ATOMIC_RELAXED);
    set_least(logs);
}

/* ---- begin and end ---- */

/* systemd says which file is its journal: by device and inode, as others may have been put in its
 * place. */
static bool is_journal(int fd)
{
    const char *said = getenv("JOURNAL_STREAM");
    char text[64];
    struct stat info;
    if (!said || fstat(fd, &info) < 0)
        return false;
    snprintf(text, sizeof(text), "%llu:%llu", (unsigned long long)info.st_dev,
             (unsigned long long)info.st_ino);
    return strcmp(said, text) == 0;
}

void logs_init(struct logs *logs, const struct logs_options *options)
{
    *logs = (struct logs){.log = {.sink = take_direct, .context = logs},
                          .last = {.sink = take_last, .context = logs},
                          .file.fd = -1,
                          .is_journal = is_journal(STDERR_FILENO)};
    logs->style = style_of(logs, options, LOGS_CONSOLE);
    logs_set_options(logs, options);
}

static bool start_console(struct logs *logs, const struct logs_options *options)
{
    struct log_outlet *outlet = &logs->outlets[LOGS_CONSOLE];
    if (!options->no_console)
        outlet->writer = log_writer_new(STDERR_FILENO, logs->style, RING_BYTES);
    return options->no_console || outlet->writer;
}

static bool start_file(struct logs *logs, const struct logs_options *options)
{
    struct log_outlet *outlet = &logs->outlets[LOGS_FILE];
    if (options->file)
        outlet->writer = log_writer_new_file(&logs->file, style_of(logs, options, LOGS_FILE),
                                             RING_BYTES, &logs->log);
    return !options->file || outlet->writer;
}

bool logs_start(struct logs *logs, const struct logs_options *options, char *error,
                size_t error_size)
{
    int reason = options->file ? log_file_open(&logs->file, options->file, options->bytes_max,
                                               options->moved_max)
                               : 0;
    if (reason) {
        snprintf(error, error_size,
                 "the log cannot be written to %s: %s; log.dir and log.file name another place",
                 options->file, strerror(reason));
        return false;
    }
    if (!start_console(logs, options) || !start_file(logs, options)) {
        snprintf(error, error_size, "no thread can be started");
        return false;
    }
    logs->is_started = true;
    logs->log.sink = take;
    logs_set_options(logs, options);
    return true;
}

void logs_reopen(struct logs *logs)
{
    if (logs->outlets[LOGS_FILE].writer)
        log_writer_reopen(logs->outlets[LOGS_FILE].writer);
}

void logs_stop(struct logs *logs, uint32_t patience_ms)
{
    for (int i = 0; i < LOGS_OUTLETS; i++)
        if (logs->outlets[i].writer)
            log_writer_stop(logs->outlets[i].writer, patience_ms);
}

void logs_free(struct logs *logs)
{
    log_writer_free(logs->outlets[LOGS_CONSOLE].writer, 0);
    if (log_writer_free(logs->outlets[LOGS_FILE].writer, 0))
        log_file_close(&logs->file);
}
