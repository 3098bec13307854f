/* Lines of the log that wait for the owner of the loop, who does with them what no other thread may.
 * When it is too late for so many of them, further ones are dropped and counted. */
#ifndef LEVERET_NET_LOG_TAIL_H
#define LEVERET_NET_LOG_TAIL_H

#include <pthread.h>

#include "base/buffer.h"
#include "base/log_line.h"

enum { LOG_TAIL_BYTES = 256 << 10 };

struct log_tail {
    pthread_mutex_t lock; /* of all below */
    struct buffer lines;  /* each with a struct in front; at most LOG_TAIL_BYTES wait */
    size_t start;         /* of what still waits */
    uint64_t dropped;     /* lines, since the last one that was taken out */
    void (*wake)(void *context); /* NULL: nobody takes lines any more */
    void *context;
};

struct log_tail_line {
    enum log_level level;
    bool is_json;
    uint64_t dropped; /* lines before it that found no room */
    size_t size;
    char text[LOG_WHOLE_MAX]; /* with the end of a line */
};

/* `wake` is called, by any thread and under the lock, when there are lines where there were none. */
void log_tail_init(struct log_tail *tail, void (*wake)(void *context), void *context);
/* `wake` is not called any more, and further lines are lost. */
void log_tail_stop(struct log_tail *tail);
/* Nobody may log any more. */
void log_tail_free(struct log_tail *tail);
/* From any thread; `style` as log_line_whole. */
void log_tail_take(struct log_tail *tail, const struct log_record *record, unsigned style);
/* The next line; false: there is none. */
bool log_tail_next(struct log_tail *tail, struct log_tail_line *line);
bool log_tail_is_empty(struct log_tail *tail);

#endif
