/* One line on the standard error now and then, while something takes its time; and the signals that
 * end it early. */
#ifndef LEVERET_PERF_PROGRESS_H
#define LEVERET_PERF_PROGRESS_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

struct progress {
    bool quiet;
    bool terminal; /* the line is written over the one before */
    uint64_t interval_ns;
    uint64_t start_ns, last_ns, next_ns;
    sigset_t signals; /* blocked everywhere; progress_wait takes them */
    bool interrupted;
};

/* Blocks SIGINT and SIGTERM in this thread and those it starts. */
void progress_init(struct progress *progress, bool quiet, double interval_s);
/* Begins a stretch of time. */
void progress_start(struct progress *progress);
/* Sleeps; false when the user wants an end. */
bool progress_wait(struct progress *progress, uint64_t ns);
/* Is it time for a line? Then `seconds` is how long it is since the last one. */
bool progress_is_due(struct progress *progress, double *seconds);
/* Seconds since progress_start. */
double progress_seconds(const struct progress *progress);
/* Writes the line. */
void progress_line(struct progress *progress, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Ends a line that was written over. */
void progress_end(struct progress *progress);
/* "1.23 M", "45.6 k", "789": into text of at least 16 bytes. Returns it. */
const char *progress_number(double number, char text[16]);

#endif
