/* Lines of the log on their way to a descriptor, or a file. Whoever logs never waits: lines go into
 * a ring of memory, and a thread writes them. When the reader of the log stalls, or its disk, and
 * the ring is full, further lines are dropped and counted; once there is room again, an event says
 * how many. */
#ifndef LEVERET_NET_LOG_WRITER_H
#define LEVERET_NET_LOG_WRITER_H

#include <stddef.h>
#include <stdint.h>

#include "base/log_line.h"
#include "net/log_file.h"

struct log_writer;

/* Writes to `fd`, which stays the caller's, and is left as it is: it may be shared with others, who
 * would not expect that it stops to block. `style`: of its lines, a set of LOG_STYLE_*.
 * `ring_bytes`: memory for what waits. NULL: no thread can be started. */
struct log_writer *log_writer_new(int fd, unsigned style, size_t ring_bytes);
/* The same with a file that is open, and stays the caller's, but is its thread's until the writer
 * has been freed. When the file cannot be written, or opened again, `log` is told so, once until
 * that is over; it may be one whose lines come here. */
struct log_writer *log_writer_new_file(struct log_file *file, unsigned style, size_t ring_bytes,
                                       const struct log *log);
/* The sink of a struct log, whose context is the writer. From any thread. */
void log_writer_take(void *context, const struct log_record *record);
/* How lines are written from now on. From any thread. */
void log_writer_set_style(struct log_writer *writer, unsigned style);
/* The file is opened again, by its thread, before it writes more: somebody may have moved it. From
 * any thread. */
void log_writer_reopen(struct log_writer *writer);
/* Ends its thread: what waits is written for as long as `patience_ms`, and what is logged after
 * that is lost. False: it is still writing. */
bool log_writer_stop(struct log_writer *writer, uint32_t patience_ms);
/* Ends it in the same way. Nobody may log any more. NULL is allowed. False: it is still writing,
 * and needs what it has, its file as well, until the process ends. */
bool log_writer_free(struct log_writer *writer, uint32_t patience_ms);
/* A sink for what is said at once by a process that ends now, after what still waits, for which as
 * little time is taken as may be. Fit for the handler of a signal; nothing may be logged after it.
 */
void log_writer_take_last(void *context, const struct log_record *record);
/* Without a writer: one line, to the standard error. It may block. */
void log_write_direct(const struct log_record *record, unsigned style);

#endif
