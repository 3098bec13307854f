/* A library for LD_PRELOAD that stands in front of the system calls which change files, and lets them
 * fail for files in a folder named "index": LevelDB's. Its C interface takes no file system of ours.
 *
 * The program that it is loaded into finds shim_arm and shim_calls with dlsym. At the start the
 * environment does the same: LEVERET_FAULT="AT COUNT ERRNO". */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FILES_MAX = 4096 };

void shim_arm(unsigned long at, unsigned long count, int error);
unsigned long shim_calls(void);

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned char is_index[FILES_MAX]; /* by descriptor */
static unsigned long calls, first, last;  /* those from first to last fail */
static int fault;

/* From now on: call number `at` (1: the next) and the `count` - 1 after it fail. 0: none. */
void shim_arm(unsigned long at, unsigned long count, int error)
{
    pthread_mutex_lock(&lock);
    first = at ? calls + at : 0;
    last = at && count < ULONG_MAX - first ? first + count - 1 : ULONG_MAX;
    fault = error;
    pthread_mutex_unlock(&lock);
}

/* Calls that could have failed so far. */
unsigned long shim_calls(void)
{
    return calls;
}

__attribute__((constructor)) static void start(void)
{
    unsigned long at, count;
    int error;
    const char *text = getenv("LEVERET_FAULT");
    if (text && sscanf(text, "%lu %lu %d", &at, &count, &error) == 3)
        shim_arm(at, count, error);
}

static int fails(void)
{
    pthread_mutex_lock(&lock);
    calls++;
    int result = first && calls >= first && calls <= last;
    pthread_mutex_unlock(&lock);
    if (result)
        errno = fault;
    return result;
}

static int is_ours(const char *path)
{
    return strstr(path, "/index/") != NULL;
}

static int fd_is_ours(int fd)
{
    return fd >= 0 && fd < FILES_MAX && is_index[fd];
}

/* The system's function of that name. */
static void *real(const char *name)
{
    void *function = dlsym(RTLD_NEXT, name);
    if (!function)
        abort();
    return function;
}

#define REAL(type, name, arguments)                                                                \
    static type(*name) arguments;                                                                  \
    if (!name)                                                                                     \
    *(void **)(&name) = real(#name)

static int note(int fd, const char *path)
{
    if (fd >= 0 && fd < FILES_MAX)
        is_index[fd] = (unsigned char)is_ours(path);
    return fd;
}

static int changes(int flags)
{
    return (flags & O_ACCMODE) != O_RDONLY;
}

int open(const char *path, int flags, ...)
{
    REAL(int, open, (const char *, int, ...));
    va_list arguments;
    va_start(arguments, flags);
    unsigned mode = flags & O_CREAT ? va_arg(arguments, unsigned) : 0;
    va_end(arguments);
    if (is_ours(path) && changes(flags) && fails())
        return -1;
    return note(open(path, flags, mode), path);
}

int open64(const char *path, int flags, ...)
{
    REAL(int, open64, (const char *, int, ...));
    va_list arguments;
    va_start(arguments, flags);
    unsigned mode = flags & O_CREAT ? va_arg(arguments, unsigned) : 0;
    va_end(arguments);
    if (is_ours(path) && changes(flags) && fails())
        return -1;
    return note(open64(path, flags, mode), path);
}

int close(int fd)
{
    REAL(int, close, (int));
    if (fd >= 0 && fd < FILES_MAX)
        is_index[fd] = 0;
    return close(fd);
}

/* A write that fails has written a part. */
ssize_t write(int fd, const void *data, size_t size)
{
    REAL(ssize_t, write, (int, const void *, size_t));
    if (fd_is_ours(fd) && fails()) {
        int error = errno;
        if (write(fd, data, size / 2) < 0)
            return -1;
        errno = error;
        return -1;
    }
    return write(fd, data, size);
}

int fsync(int fd)
{
    REAL(int, fsync, (int));
    return fd_is_ours(fd) && fails() ? -1 : fsync(fd);
}

int fdatasync(int fd)
{
    REAL(int, fdatasync, (int));
    return fd_is_ours(fd) && fails() ? -1 : fdatasync(fd);
}

int rename(const char *from, const char *to)
{
    REAL(int, rename, (const char *, const char *));
    return is_ours(to) && fails() ? -1 : rename(from, to);
}
