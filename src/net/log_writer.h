/* Lines of the log on their way to a descriptor. Whoever logs never waits: lines go into a ring of
 * memory, and a thread writes them. When the reader of the log stalls and the ring is full, further
 * lines are dropped and counted; once there is room again, an event says how many. */
#ifndef LEVERET_NET_LOG_WRITER_H
#define LEVERET_NET_LOG_WRITER_H

#include <stddef.h>
#include <stdint.h>

#include "base/log.h"

struct log_writer;

/* Writes to `fd`, which stays the caller's, and is left as it is: it may be shared with others, who
 * would not expect that it stops to block. `ring_bytes`: memory for what waits. NULL: no thread can
 * be started. */
struct log_writer *log_writer_new(int fd, size_t ring_bytes);
/* The sink of a struct log, whose context is the writer. From any thread. */
void log_writer_line(void *context, enum log_level level, const char *line);
/* Ends its thread: what waits is written for as long as `patience_ms`, and what is logged after
 * that is lost. False: it is still writing. */
bool log_writer_stop(struct log_writer *writer, uint32_t patience_ms);
/* Ends it in the same way. Nobody may log any more. NULL is allowed. */
void log_writer_free(struct log_writer *writer, uint32_t patience_ms);
/* A sink for what is said at once by a process that ends now, after what still waits, for which as
 * little time is taken as may be. Fit for the handler of a signal; nothing may be logged after it.
 */
void log_writer_last_line(void *context, enum log_level level, const char *line);
/* A sink without a writer: one line, to the standard error. It may block. */
void log_direct_line(void *context, enum log_level level, const char *line);

#endif
