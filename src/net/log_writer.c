/* The thread takes whole lines, as many as fit into a piece that a pipe takes in one go, so that
 * other processes that write to the same pipe do not come between. When it has written all there
 * was it rests for a moment: a line that comes meanwhile wakes nobody, so that however much is
 * logged, there are no more wake-ups than rests. */
#include "net/log_writer.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "net/clock.h"

enum {
    TIME_BYTES = 24, /* 2026-11-21T11:08:50.123Z */
    STAMPED_MAX = TIME_BYTES + 10 + LOG_LINE_MAX + 2,
    PIECE_BYTES = PIPE_BUF,
    REST_MS = 10,
    LAST_MS = 300, /* for what a process says that ends at once */
    STACK_BYTES = 64 << 10,
};

struct log_writer {
    pthread_t thread;
    pthread_mutex_t lock;  /* of all below */
    pthread_cond_t wanted; /* for the thread: there are lines, or it should end */
    pthread_cond_t ended;
    int fd;
    char *ring;
    size_t ring_bytes;
    size_t start, size; /* what waits in it */
    uint64_t dropped;   /* lines, since the last time that this was said */
    uint64_t said;      /* as dropped, by lines that wait in the ring */
    bool is_idle;       /* the thread waits for a line */
    bool is_stopping;
    bool has_ended;
};

/* ---- a line ---- */

static char *put_number(char *at, unsigned width, uint64_t number)
{
    for (unsigned i = width; i > 0; i--, number /= 10)
        at[i - 1] = (char)('0' + number % 10);
    return at + width;
}

static bool is_leap(uint64_t year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

/* Without the C library's calendar, which a signal's handler must not use. */
static char *put_date(char *at, uint64_t days)
{
    static const uint8_t lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    uint64_t year = 1970;
    unsigned month = 0;
    for (; days >= 365u + is_leap(year); year++)
        days -= 365u + is_leap(year);
    for (; days >= lengths[month] + (unsigned)(month == 1 && is_leap(year)); month++)
        days -= lengths[month] + (unsigned)(month == 1 && is_leap(year));
    at = put_number(at, 4, year);
    *at++ = '-';
    at = put_number(at, 2, month + 1);
    *at++ = '-';
    return put_number(at, 2, days + 1);
}

static char *put_time(char *at, uint64_t ms)
{
    at = put_date(at, ms / 86400000);
    *at++ = 'T';
    at = put_number(at, 2, ms / 3600000 % 24);
    *at++ = ':';
    at = put_number(at, 2, ms / 60000 % 60);
    *at++ = ':';
    at = put_number(at, 2, ms / 1000 % 60);
    *at++ = '.';
    at = put_number(at, 3, ms % 1000);
    *at++ = 'Z';
    return at;
}

static char *put_text(char *at, const char *text)
{
    size_t size = strlen(text);
    memcpy(at, text, size);
    return at + size;
}

/* The line with its time and level, and its end; returns its size. `stamped` has STAMPED_MAX bytes.
 */
static size_t stamp(char *stamped, enum log_level level, const char *line)
{
    char *at = put_time(stamped, clock_wall_ms());
    *at++ = ' ';
    at = put_text(at, log_level_name(level));
    *at++ = ' ';
    at = put_text(at, line);
    *at++ = '\n';
    return (size_t)(at - stamped);
}

/* ---- the ring; its lock is held ---- */

static bool add(struct log_writer *writer, const char *stamped, size_t size)
{
    if (size > writer->ring_bytes - writer->size)
        return false;
    size_t end = (writer->start + writer->size) % writer->ring_bytes;
    size_t first = size < writer->ring_bytes - end ? size : writer->ring_bytes - end;
    memcpy(writer->ring + end, stamped, first);
    memcpy(writer->ring, stamped + first, size - first);
    writer->size += size;
    return true;
}

static void add_line(void *context, enum log_level level, const char *line)
{
    struct log_writer *writer = context;
    char stamped[STAMPED_MAX];
    if (!add(writer, stamped, stamp(stamped, level, line)))
        return;
    writer->said += writer->dropped;
    writer->dropped = 0;
}

static void say_dropped(struct log_writer *writer)
{
    struct log log = {.level = LOG_LEVEL_DEBUG, .sink = add_line, .context = writer};
    if (writer->dropped)
        log_event(&log, EVENT_log_dropped, "lines=%llu", (unsigned long long)writer->dropped);
}

/* Takes as many whole lines as fit into a piece; 0: there are none. */
static size_t take(struct log_writer *writer, char *piece)
{
    size_t most = writer->size < PIECE_BYTES ? writer->size : PIECE_BYTES;
    size_t first =
        most < writer->ring_bytes - writer->start ? most : writer->ring_bytes - writer->start;
    memcpy(piece, writer->ring + writer->start, first);
    memcpy(piece + first, writer->ring, most - first);
    while (most > 0 && piece[most - 1] != '\n')
        most--;
    writer->size -= most;
    /* An empty ring begins anew, so that one which is never full takes little memory. */
    writer->start = writer->size ? (writer->start + most) % writer->ring_bytes : 0;
    return most;
}

static uint64_t count_lines(const char *text, size_t size)
{
    uint64_t count = 0;
    for (size_t i = 0; i < size; i++)
        count += text[i] == '\n';
    return count;
}

/* Nobody will ever read what waits. What it says of lines that were dropped is still owed. */
static void drop_all(struct log_writer *writer, const char *unwritten, size_t size)
{
    char piece[PIECE_BYTES];
    do {
        writer->dropped += count_lines(unwritten, size);
        unwritten = piece;
    } while ((size = take(writer, piece)) > 0);
    writer->dropped += writer->said;
    writer->said = 0;
}

/* ---- the thread ---- */

/* Writes all; returns what is left when that is an error. */
static size_t write_all(int fd, const char *text, size_t size)
{
    struct pollfd room = {.fd = fd, .events = POLLOUT};
    while (size > 0) {
        ssize_t wrote = write(fd, text, size);
        if (wrote >= 0) {
            text += wrote;
            size -= (size_t)wrote;
        } else if (errno == EAGAIN) {
            poll(&room, 1, -1);
        } else if (errno != EINTR) {
            break;
        }
    }
    return size;
}

static void write_piece(struct log_writer *writer, const char *piece, size_t size)
{
    pthread_mutex_unlock(&writer->lock);
    size_t left = write_all(writer->fd, piece, size);
    pthread_mutex_lock(&writer->lock);
    if (left) {
        drop_all(writer, piece + size - left, left);
        return;
    }
    if (writer->size == 0)
        writer->said = 0;
    say_dropped(writer);
}

static struct timespec time_in(uint64_t ms)
{
    ms += clock_monotonic_ms();
    return (struct timespec){.tv_sec = (time_t)(ms / 1000),
                             .tv_nsec = (long)(ms % 1000) * 1000000L};
}

static void rest(struct log_writer *writer)
{
    struct timespec until = time_in(REST_MS);
    int error = 0;
    while (!writer->is_stopping && error == 0)
        error = pthread_cond_timedwait(&writer->wanted, &writer->lock, &until);
}

static void *thread_main(void *context)
{
    struct log_writer *writer = context;
    char piece[PIECE_BYTES];
    size_t size;
    pthread_mutex_lock(&writer->lock);
    for (;;) {
        while ((size = take(writer, piece)) > 0)
            write_piece(writer, piece, size);
        if (writer->is_stopping)
            break;
        rest(writer);
        writer->is_idle = true;
        while (writer->size == 0 && !writer->is_stopping)
            pthread_cond_wait(&writer->wanted, &writer->lock);
        writer->is_idle = false;
    }
    writer->has_ended = true;
    pthread_cond_signal(&writer->ended);
    pthread_mutex_unlock(&writer->lock);
    return NULL;
}

/* Starts it with all signals blocked: they are the loop's. */
static int start(struct log_writer *writer)
{
    sigset_t all, before;
    pthread_attr_t attributes;
    sigfillset(&all);
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&writer->thread, &attributes, thread_main, writer);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return error;
}

/* ---- what others see ---- */

static void destroy(struct log_writer *writer)
{
    pthread_cond_destroy(&writer->wanted);
    pthread_cond_destroy(&writer->ended);
    pthread_mutex_destroy(&writer->lock);
    mem_free(writer->ring);
    mem_free(writer);
}

struct log_writer *log_writer_new(int fd, size_t ring_bytes)
{
    struct log_writer *writer = mem_zalloc(sizeof(*writer));
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&writer->lock, NULL);
    pthread_cond_init(&writer->wanted, &monotonic);
    pthread_cond_init(&writer->ended, &monotonic);
    pthread_condattr_destroy(&monotonic);
    writer->fd = fd;
    writer->ring = mem_alloc(ring_bytes);
    writer->ring_bytes = ring_bytes;
    if (start(writer) != 0) {
        destroy(writer);
        return NULL;
    }
    pthread_setname_np(writer->thread, "log");
    return writer;
}

void log_writer_line(void *context, enum log_level level, const char *line)
{
    struct log_writer *writer = context;
    char stamped[STAMPED_MAX];
    size_t size = stamp(stamped, level, line);
    pthread_mutex_lock(&writer->lock);
    say_dropped(writer);
    if (writer->dropped || !add(writer, stamped, size))
        writer->dropped++;
    if (writer->is_idle && writer->size) {
        writer->is_idle = false;
        pthread_cond_signal(&writer->wanted);
    }
    pthread_mutex_unlock(&writer->lock);
}

bool log_writer_stop(struct log_writer *writer, uint32_t patience_ms)
{
    struct timespec until = time_in(patience_ms);
    int error = 0;
    pthread_mutex_lock(&writer->lock);
    writer->is_stopping = true;
    pthread_cond_signal(&writer->wanted);
    while (!writer->has_ended && error == 0)
        error = pthread_cond_timedwait(&writer->ended, &writer->lock, &until);
    bool has_ended = writer->has_ended;
    pthread_mutex_unlock(&writer->lock);
    return has_ended;
}

void log_writer_free(struct log_writer *writer, uint32_t patience_ms)
{
    if (!writer)
        return;
    if (!log_writer_stop(writer, patience_ms)) {
        /* It hangs in a write, and needs what it has until the process ends. */
        pthread_detach(writer->thread);
        return;
    }
    pthread_join(writer->thread, NULL);
    destroy(writer);
}

/* ---- the end of a process ---- */

/* A pipe or a terminal that has room takes a piece without blocking, however late it is: only room is
 * waited for no longer than until then. */
static bool write_soon(int fd, const char *text, size_t size, uint64_t until_ms)
{
    struct pollfd room = {.fd = fd, .events = POLLOUT};
    while (size > 0) {
        uint64_t now_ms = clock_monotonic_ms();
        if (poll(&room, 1, now_ms < until_ms ? (int)(until_ms - now_ms) : 0) <= 0)
            return false;
        ssize_t wrote = write(fd, text, size);
        if (wrote < 0 && errno != EINTR && errno != EAGAIN)
            return false;
        text += wrote > 0 ? wrote : 0;
        size -= wrote > 0 ? (size_t)wrote : 0;
    }
    return true;
}

void log_writer_last_line(void *context, enum log_level level, const char *line)
{
    struct log_writer *writer = context;
    char piece[PIECE_BYTES];
    size_t size;
    uint64_t until_ms = clock_monotonic_ms() + LAST_MS;
    /* The lock is kept, so that the thread takes nothing more; it may be held by what the signal
     * has interrupted. */
    (void)pthread_mutex_trylock(&writer->lock);
    while ((size = take(writer, piece)) > 0 && write_soon(writer->fd, piece, size, until_ms))
        continue;
    write_soon(writer->fd, piece, stamp(piece, level, line), until_ms);
}

void log_direct_line(void *context, enum log_level level, const char *line)
{
    (void)context;
    char stamped[STAMPED_MAX];
    write_all(STDERR_FILENO, stamped, stamp(stamped, level, line));
}
