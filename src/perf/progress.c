/* Live lines and signals. The signals are blocked and waited for, so that nothing is ever called in
 * the middle of something else. */
#include "perf/progress.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "perf/clock.h"

void progress_init(struct progress *progress, bool quiet, double interval_s)
{
    *progress = (struct progress){
        .quiet = quiet || interval_s <= 0,
        .terminal = isatty(STDERR_FILENO),
        .interval_ns = (uint64_t)(interval_s * 1e9),
    };
    sigemptyset(&progress->signals);
    sigaddset(&progress->signals, SIGINT);
    sigaddset(&progress->signals, SIGTERM);
    sigprocmask(SIG_BLOCK, &progress->signals, NULL);
}

void progress_start(struct progress *progress)
{
    progress->start_ns = progress->last_ns = clock_ns();
    progress->next_ns = progress->start_ns + progress->interval_ns;
}

bool progress_wait(struct progress *progress, uint64_t ns)
{
    struct timespec patience = timespec_of(ns);
    if (sigtimedwait(&progress->signals, NULL, &patience) > 0)
        progress->interrupted = true;
    return !progress->interrupted;
}

double progress_seconds(const struct progress *progress)
{
    return (double)(clock_ns() - progress->start_ns) / 1e9;
}

bool progress_is_due(struct progress *progress, double *seconds)
{
    uint64_t now_ns = clock_ns();
    if (progress->quiet || now_ns < progress->next_ns)
        return false;
    *seconds = (double)(now_ns - progress->last_ns) / 1e9;
    progress->last_ns = now_ns;
    while (progress->next_ns <= now_ns)
        progress->next_ns += progress->interval_ns;
    return true;
}

void progress_line(struct progress *progress, const char *format, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    fprintf(stderr, progress->terminal ? "\r%s\033[K" : "%s\n", text);
    fflush(stderr);
}

void progress_end(struct progress *progress)
{
    if (progress->terminal && !progress->quiet)
        fputc('\n', stderr);
}

const char *progress_number(double number, char text[16])
{
    if (number >= 1e6)
        snprintf(text, 16, "%.2f M", number / 1e6);
    else if (number >= 1e4)
        snprintf(text, 16, "%.1f k", number / 1e3);
    else
        snprintf(text, 16, number >= 100 ? "%.0f" : "%.1f", number);
    return text;
}
