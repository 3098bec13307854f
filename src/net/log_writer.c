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
    PIECE_BYTES = PIPE_BUF,
    REST_MS = 10,
    LAST_MS = 300, /* for what a process says that ends at once */
    STACK_BYTES = 128 << 10,
};

_Static_assert((int)LOG_WHOLE_MAX <= (int)PIECE_BYTES, "a piece holds any line");

struct log_writer {
    pthread_t thread;
    pthread_mutex_t lock;  /* of all below */
    pthread_cond_t wanted; /* for the thread: there are lines, or it should end */
    pthread_cond_t ended;
    int fd;
    unsigned style;
    char *ring;
    size_t ring_bytes;
    size_t start, size; /* what waits in it */
    uint64_t dropped;   /* lines, since the last time that this was said */
    uint64_t said;      /* as dropped, by lines that wait in the ring */
    bool is_idle;       /* the thread waits for a line */
    bool is_stopping;
    bool has_ended;
    bool wants_reopen;
    /* The thread's own, without the lock: */
    struct log_file *file;  /* NULL: only the descriptor */
    const struct log *told; /* what becomes of the file */
    bool is_failing;        /* that was told */
    bool is_torn;           /* the last line was written in part */
};

static size_t write_line(struct log_writer *writer, const struct log_record *record, char *line)
{
    unsigned style = __atomic_load_n(&writer->style, __ATOMIC_RELAXED);
    return log_line_whole(record, style, clock_wall_ms(), line);
}

/* ---- the ring; its lock is held ---- */

static bool add(struct log_writer *writer, const char *line, size_t size)
{
    if (size > writer->ring_bytes - writer->size)
        return false;
    size_t end = (writer->start + writer->size) % writer->ring_bytes;
    size_t first = size < writer->ring_bytes - end ? size : writer->ring_bytes - end;
    memcpy(writer->ring + end, line, first);
    memcpy(writer->ring, line + first, size - first);
    writer->size += size;
    return true;
}

static void add_record(void *context, const struct log_record *record)
{
    struct log_writer *writer = context;
    char line[LOG_WHOLE_MAX];
    if (!add(writer, line, write_line(writer, record, line)))
        return;
    writer->said += writer->dropped;
    writer->dropped = 0;
}

static void say_dropped(struct log_writer *writer)
{
    struct log log = {.level = LOG_LEVEL_DEBUG, .sink = add_record, .context = writer};
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

/* Writes all; returns what is left when that is an error, which errno tells. */
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

/* Says that the file fails, once until it does not. */
static void note(struct log_writer *writer, int error)
{
    if (error && !writer->is_failing)
        log_event(writer->told, EVENT_log_file_failed, "file=%s reason=%s", writer->file->path,
                  strerror(error));
    writer->is_failing = error;
}

/* A line that was written in part, when a disk was full, gets its end first. */
static size_t write_whole(struct log_writer *writer, int fd, const char *piece, size_t size)
{
    if (writer->is_torn && write_all(fd, "\n", 1))
        return size;
    size_t left = write_all(fd, piece, size);
    writer->is_torn = left && left < size && piece[size - left - 1] != '\n';
    return left;
}

/* Returns what could not be written. */
static size_t write_file(struct log_writer *writer, const char *piece, size_t size)
{
    struct log_file *file = writer->file;
    int error = log_file_make_room(file, size);
    size_t left = write_whole(writer, file->fd, piece, size);
    file->bytes += size - left;
    note(writer, left ? errno : error);
    return left;
}

static void write_piece(struct log_writer *writer, const char *piece, size_t size)
{
    pthread_mutex_unlock(&writer->lock);
    size_t left = writer->file ? write_file(writer, piece, size)
                               : write_whole(writer, writer->fd, piece, size);
    pthread_mutex_lock(&writer->lock);
    if (left) {
        drop_all(writer, piece + size - left, left);
        return;
    }
    if (writer->size == 0)
        writer->said = 0;
    say_dropped(writer);
}

static void reopen(struct log_writer *writer)
{
    if (!writer->wants_reopen)
        return;
    writer->wants_reopen = false;
    pthread_mutex_unlock(&writer->lock);
    note(writer, log_file_reopen(writer->file));
    pthread_mutex_lock(&writer->lock);
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
        reopen(writer);
        while ((size = take(writer, piece)) > 0) {
            write_piece(writer, piece, size);
            reopen(writer);
        }
        if (writer->is_stopping)
            break;
        rest(writer);
        writer->is_idle = true;
        while (writer->size == 0 && !writer->is_stopping && !writer->wants_reopen)
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

static struct log_writer *make(int fd, struct log_file *file, unsigned style, size_t ring_bytes,
                               const struct log *told)
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
    writer->file = file;
    writer->told = told;
    writer->style = style;
    writer->ring = mem_alloc(ring_bytes);
    writer->ring_bytes = ring_bytes;
    if (start(writer) != 0) {
        destroy(writer);
        return NULL;
    }
    pthread_setname_np(writer->thread, "log");
    return writer;
}

struct log_writer *log_writer_new(int fd, unsigned style, size_t ring_bytes)
{
    return make(fd, NULL, style, ring_bytes, NULL);
}

struct log_writer *log_writer_new_file(struct log_file *file, unsigned style, size_t ring_bytes,
                                       const struct log *log)
{
    return make(-1, file, style, ring_bytes, log);
}

void log_writer_take(void *context, const struct log_record *record)
{
    struct log_writer *writer = context;
    char line[LOG_WHOLE_MAX];
    size_t size = write_line(writer, record, line);
    pthread_mutex_lock(&writer->lock);
    say_dropped(writer);
    if (writer->dropped || !add(writer, line, size))
        writer->dropped++;
    if (writer->is_idle && writer->size) {
        writer->is_idle = false;
        pthread_cond_signal(&writer->wanted);
    }
    pthread_mutex_unlock(&writer->lock);
}

void log_writer_set_style(struct log_writer *writer, unsigned style)
{
    __atomic_store_n(&writer->style, style, __ATOMIC_RELAXED);
}

void log_writer_reopen(struct log_writer *writer)
{
    pthread_mutex_lock(&writer->lock);
    writer->wants_reopen = writer->file;
    pthread_cond_signal(&writer->wanted);
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

bool log_writer_free(struct log_writer *writer, uint32_t patience_ms)
{
    if (!writer)
        return true;
    if (!log_writer_stop(writer, patience_ms)) {
        pthread_detach(writer->thread);
        return false;
    }
    pthread_join(writer->thread, NULL);
    destroy(writer);
    return true;
}

/* ---- the end of a process ---- */

/* A pipe or a terminal that has room takes a piece without blocking, however late it is: only room
 * is waited for no longer than until then. */
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

void log_writer_take_last(void *context, const struct log_record *record)
{
    struct log_writer *writer = context;
    char piece[PIECE_BYTES];
    size_t size;
    int fd = writer->file ? writer->file->fd : writer->fd;
    uint64_t until_ms = clock_monotonic_ms() + LAST_MS;
    /* The lock is kept, so that the thread takes nothing more; it may be held by what the signal
     * has interrupted. */
    (void)pthread_mutex_trylock(&writer->lock);
    while ((size = take(writer, piece)) > 0 && write_soon(fd, piece, size, until_ms))
        continue;
    write_soon(fd, piece, write_line(writer, record, piece), until_ms);
}

void log_write_direct(const struct log_record *record, unsigned style)
{
    char line[LOG_WHOLE_MAX];
    write_all(STDERR_FILENO, line, log_line_whole(record, style, clock_wall_ms(), line));
}
