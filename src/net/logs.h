/* Where records of the log go: the standard error, a file, and who makes messages of them. Each has lines of its own style, and
 * takes what is important enough for it and for the category. */
#ifndef LEVERET_NET_LOGS_H
#define LEVERET_NET_LOGS_H

#include "net/log_tail.h"
#include "net/log_writer.h"

enum { LOGS_CONSOLE, LOGS_FILE, LOGS_EXCHANGE, LOGS_OUTLETS };

/* A level, if one is said. */
struct log_choice {
    bool is_said;
    enum log_level level;
};

struct logs_options {
    /* For a category and an outlet counts which of the two says more; info if neither has a level.
     * Categories that have none have that of LOG_CATEGORY_DEFAULT. */
    struct log_choice categories[LOG_CATEGORIES], outlets[LOGS_OUTLETS];
    bool is_json[LOGS_OUTLETS];
    bool no_console;
    const char *file;   /* its path; NULL: there is none */
    uint64_t bytes_max; /* of the file: see log_file.h */
    uint32_t moved_max;
};

struct log_outlet {
    struct log_writer *writer; /* NULL: there is none */
    struct log_tail *tail;     /* of LOGS_EXCHANGE; NULL: there is none */
    uint8_t levels[LOG_CATEGORIES];
};

struct logs {
    struct log log;  /* to log with */
    struct log last; /* the same, for what is said at once by a process that ends: signals_log */
    struct log_outlet outlets[LOGS_OUTLETS];
    struct log_file file;
    bool is_journal; /* the standard error is systemd's journal */
    bool is_started;
    unsigned style; /* of lines before it was started */
    unsigned tail_style;
};

/* Until they are started, lines go to the standard error, which may block. */
void logs_init(struct logs *logs, const struct logs_options *options);
/* From now on nobody waits for who reads the log, or for a disk. False: `error` says why not, and
 * lines go where they went before. */
bool logs_start(struct logs *logs, const struct logs_options *options, char *error,
                size_t error_size);
/* Lines go there as well from now on; it is the caller's, and stays until nobody logs any more. What
 * a channel has received and sent is left out, as lines about lines would follow. */
void logs_set_tail(struct logs *logs, struct log_tail *tail, const struct logs_options *options);
/* Levels and styles count from now on; files do not. */
void logs_set_options(struct logs *logs, const struct logs_options *options);
/* This level counts for all, until options are set again. */
void logs_set_level(struct logs *logs, enum log_level level);
/* Is anything of that category and level taken by somebody? */
bool logs_take(const struct logs *logs, enum log_category category, enum log_level level);
/* The file is opened again, soon. */
void logs_reopen(struct logs *logs);
/* What waits is written for as long as `patience_ms`; what is logged after that is lost. */
void logs_stop(struct logs *logs, uint32_t patience_ms);
/* Nobody may log any more. */
void logs_free(struct logs *logs);

#endif
