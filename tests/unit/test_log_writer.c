/* Lines on their way to a descriptor that is slow, stalled or gone. Nothing here depends on how
 * fast anything is: what would wait for ever on a stalled pipe is ended by an alarm. */
#include "net/log_writer.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "net/signals.h"
#include "tests/lib/tap.h"

enum { RING_BYTES = 64 << 10, TEXT_BYTES = 8 << 20, PATIENCE_MS = 60000 };

struct bench {
    int from, to; /* the ends of a pipe */
    struct log_writer *writer;
    struct log log;
    char *text; /* what came out of it */
};

static void bench_open(struct bench *bench)
{
    int ends[2];
    if (pipe(ends) < 0)
        bail("no pipe");
    bench->from = ends[0];
    bench->to = ends[1];
    bench->text = mem_zalloc(TEXT_BYTES);
    bench->writer = log_writer_new(bench->to, 0, RING_BYTES);
    if (!bench->writer)
        bail("no thread");
    bench->log = (struct log){LOG_LEVEL_DEBUG, log_writer_take, bench->writer};
}

/* Nothing more goes into the pipe; returns what it took, which is not for the log. */
static size_t stall(const struct bench *bench)
{
    size_t size = 0;
    int flags = fcntl(bench->to, F_GETFL);
    fcntl(bench->to, F_SETFL, flags | O_NONBLOCK);
    while (write(bench->to, "", 1) == 1)
        size++;
    fcntl(bench->to, F_SETFL, flags);
    return size;
}

static void go_on(struct bench *bench, size_t size)
{
    char byte;
    while (size-- > 0 && read(bench->from, &byte, 1) == 1)
        continue;
}

/* Reads until `text` has come, or until the end. */
static void read_until(struct bench *bench, const char *text)
{
    size_t size = strlen(bench->text);
    ssize_t got;
    while (!(text && strstr(bench->text, text)) &&
           (got = read(bench->from, bench->text + size, TEXT_BYTES - 1 - size)) > 0)
        size += (size_t)got;
}

/* All that comes until the writer has ended. */
static void bench_close(struct bench *bench)
{
    log_writer_free(bench->writer, PATIENCE_MS);
    close(bench->to);
    read_until(bench, NULL);
    close(bench->from);
}

/* Lines with a number, and a number of lines that were said to be dropped; -1: they are not in
 * order, or something else is there. */
static long count_lines(char *text, long *dropped)
{
    long lines = 0, number, next = 0, some;
    *dropped = 0;
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
        const char *event = strchr(line, ' ') ? strchr(strchr(line, ' ') + 1, ' ') : NULL;
        if (!event)
            return -1;
        if (sscanf(event, " log_dropped lines=%ld", &some) == 1) {
            *dropped += some;
            next += some;
        } else if (sscanf(event, " limits number=%ld", &number) == 1 && number == next) {
            lines++;
            next++;
        } else {
            diag("%s", line);
            return -1;
        }
    }
    return lines;
}

static void log_numbers(const struct bench *bench, int from, int to)
{
    for (int i = from; i < to; i++)
        log_event(&bench->log, EVENT_limits, "number=%d", i);
}

TEST(lines)
{
    struct bench bench;
    long dropped;
    bench_open(&bench);
    log_numbers(&bench, 0, 3);
    read_until(&bench, "number=2\n");
    ok(strlen(bench.text) > 60 && bench.text[10] == 'T' && bench.text[23] == 'Z',
       "a line begins with the time: %.24s", bench.text);
    ok(strstr(bench.text, "Z info limits number=0\n") == bench.text + 23,
       "then come level and event");
    log_numbers(&bench, 3, 500);
    bench_close(&bench);
    is_int(count_lines(bench.text, &dropped), 500, "all are there, in order");
    is_int(dropped, 0, "none was dropped");
    mem_free(bench.text);
}

/* A reader that stalls: the ring is full, and the rest is dropped. */
TEST(stalled)
{
    enum { LINES = 20000 };
    struct bench bench;
    long dropped;
    bench_open(&bench);
    size_t stuffed = stall(&bench);
    log_numbers(&bench, 0, LINES);
    ok(true, "nobody waited");
    go_on(&bench, stuffed);
    read_until(&bench, "log_dropped");
    log_numbers(&bench, LINES, LINES + 10);
    read_until(&bench, "number=20009\n");
    bench_close(&bench);
    long lines = count_lines(bench.text, &dropped);
    is_int(lines + dropped, LINES + 10, "%ld lines came, and %ld were dropped, where it says so",
           lines, dropped);
    ok(dropped > 0 && lines > 100, "both happened");
    mem_free(bench.text);
}

/* At the end, too, nobody is waited for in vain. */
TEST(stalled_end)
{
    struct bench bench;
    bench_open(&bench);
    size_t stuffed = stall(&bench);
    log_numbers(&bench, 0, 20000);
    ok(!log_writer_stop(bench.writer, 50), "the end is not waited for");
    go_on(&bench, stuffed);
    read_until(&bench, "log_dropped");
    bench_close(&bench);
    mem_free(bench.text);
}

/* The reader has gone: as if it had never been there. */
TEST(gone)
{
    struct bench bench;
    bench_open(&bench);
    close(bench.from);
    for (int i = 0; i < 50; i++) {
        log_numbers(&bench, i, i + 1);
        usleep(1000);
    }
    ok(log_writer_stop(bench.writer, PATIENCE_MS), "it ends");
    log_writer_free(bench.writer, 0);
    close(bench.to);
    mem_free(bench.text);
}

/* ---- last words ---- */

/* A process that logs and is ended by a signal, or by one that comes again more than a second later: what it
 * said is in bench->text. */
static int end_by(struct bench *bench, int number, int times, bool is_stalled, bool is_again)
{
    bench->text = mem_zalloc(TEXT_BYTES);
    int ends[2];
    if (pipe(ends) < 0)
        bail("no pipe");
    pid_t child = fork();
    if (child == 0) {
        struct log_writer *writer = log_writer_new(ends[1], 0, RING_BYTES);
        struct log log = {LOG_LEVEL_DEBUG, log_writer_take, writer};
        struct log last = {LOG_LEVEL_DEBUG, log_writer_take_last, writer};
        signals_begin();
        signals_stop();
        signals_log(&last);
        for (int i = 0; i < times; i++)
            log_event(&log, EVENT_limits, "number=%d", i);
        raise(number);
        if (is_again) {
            raise(number);
            usleep(1100000);
            raise(number);
        }
        _exit(0);
    }
    int status = 0;
    close(ends[1]);
    bench->from = ends[0];
    if (!is_stalled)
        read_until(bench, NULL);
    waitpid(child, &status, 0);
    close(ends[0]);
    return WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
}

TEST(last_words)
{
    struct bench bench;
    is_int(end_by(&bench, SIGTERM, 20, false, true), 128 + SIGTERM, "ended by SIGTERM");
    ok(strstr(bench.text, "number=19\n"), "what was logged before it is there");
    ok(strstr(bench.text, "Z warning ended_at_once signal=SIGTERM\n"), "and why it ended");
    mem_free(bench.text);
    is_int(end_by(&bench, SIGTERM, 20000, true, true), 128 + SIGTERM, "a stalled reader does not matter");
    mem_free(bench.text);
    is_int(end_by(&bench, SIGTERM, 1, false, false), 0, "a first one is not obeyed at once");
    mem_free(bench.text);
    is_int(end_by(&bench, SIGHUP, 1, false, false), 0, "SIGHUP does not end it");
    mem_free(bench.text);
    is_int(end_by(&bench, SIGABRT, 20, false, false), SIGABRT, "a crash is still one");
#if !defined(__SANITIZE_ADDRESS__)
    ok(strstr(bench.text, "Z error crashed signal=SIGABRT\n"), "and is logged");
#endif
    mem_free(bench.text);
}

int main(void)
{
    alarm(120);
    signal(SIGPIPE, SIG_IGN);
    RUN(lines);
    RUN(stalled);
    RUN(stalled_end);
    RUN(gone);
    RUN(last_words);
    return done();
}
