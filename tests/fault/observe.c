/* Loaded in front of a program: writes down, to the file that OBSERVE_LOG names, what it asks of disk
 * and sockets, in order. One line for each call, made of
 *
 *     kind descriptor offset size flags result bytes name
 *
 * and, with OBSERVE_DATA in the environment, so many bytes of data behind the line and a newline after
 * them. A call is written down when it has returned, but for `send` and the lines that say that a
 * sync begins or ends, which have the thread in place of an offset. Flags are those of open and pwritev2; the name is without its folder. What is
 * all zeros is said to have no bytes. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { FILES_MAX = 4096, NAME_SIZE = 64, LINE_SIZE = 256 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char names[FILES_MAX][NAME_SIZE]; /* by descriptor; empty: nobody asks */
static int log_fd = -1;
static int with_data;

__attribute__((constructor)) static void start(void)
{
    const char *path = getenv("OBSERVE_LOG");
    if (path)
        log_fd = (int)syscall(SYS_openat, AT_FDCWD, path,
                              O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
    with_data = getenv("OBSERVE_DATA") != NULL;
}

static void put(const void *data, size_t size)
{
    const char *at = data;
    while (size > 0) {
        long wrote = syscall(SYS_write, log_fd, at, size);
        if (wrote <= 0)
            abort();
        at += wrote;
        size -= (size_t)wrote;
    }
}

static int is_zero(const struct iovec *parts, int count)
{
    for (int i = 0; i < count; i++) {
        const char *data = parts[i].iov_base;
        size_t size = parts[i].iov_len;
        if (size > 0 && (data[0] || memcmp(data, data + 1, size - 1) != 0))
            return 0;
    }
    return 1;
}

static size_t bytes_of(const struct iovec *parts, int count)
{
    size_t size = 0;
    for (int i = 0; i < count; i++)
        size += parts[i].iov_len;
    return size;
}

static const char *name_of(int fd)
{
    return fd >= 0 && fd < FILES_MAX && names[fd][0] ? names[fd] : "?";
}

static void note(const char *kind, int fd, long long offset, size_t size, int flags, long result,
                 const struct iovec *parts, int count, const char *name)
{
    char line[LINE_SIZE];
    int error = errno;
    if (log_fd < 0)
        return;
    size_t data = with_data && !is_zero(parts, count) ? bytes_of(parts, count) : 0;
    int length = snprintf(line, sizeof(line), "%s %d %lld %zu %d %ld %zu %s\n", kind, fd, offset,
                          size, flags, result, data, name);
    pthread_mutex_lock(&lock);
    put(line, (size_t)length);
    for (int i = 0; data && i < count; i++)
        put(parts[i].iov_base, parts[i].iov_len);
    if (data)
        put("\n", 1);
    pthread_mutex_unlock(&lock);
    errno = error;
}

static void note_name(const char *kind, int fd, int flags, long result, const char *name)
{
    note(kind, fd, 0, 0, flags, result, NULL, 0, name);
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

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* ---- names ---- */

static int opened(int fd, const char *path, int flags)
{
    if (fd < 0 || fd >= FILES_MAX)
        return fd;
    snprintf(names[fd], NAME_SIZE, "%s", flags & O_DIRECTORY ? "/" : base_name(path));
    note_name("open", fd, flags, fd, names[fd]);
    return fd;
}

static unsigned mode_of(int flags, va_list arguments)
{
    return flags & (O_CREAT | O_TMPFILE) ? va_arg(arguments, unsigned) : 0;
}

int open(const char *path, int flags, ...)
{
    REAL(int, open, (const char *, int, ...));
    va_list arguments;
    va_start(arguments, flags);
    unsigned mode = mode_of(flags, arguments);
    va_end(arguments);
    return opened(open(path, flags, mode), path, flags);
}

int open64(const char *path, int flags, ...)
{
    REAL(int, open64, (const char *, int, ...));
    va_list arguments;
    va_start(arguments, flags);
    unsigned mode = mode_of(flags, arguments);
    va_end(arguments);
    return opened(open64(path, flags, mode), path, flags);
}

int openat(int folder, const char *path, int flags, ...)
{
    REAL(int, openat, (int, const char *, int, ...));
    va_list arguments;
    va_start(arguments, flags);
    unsigned mode = mode_of(flags, arguments);
    va_end(arguments);
    return opened(openat(folder, path, flags, mode), path, flags);
}

int openat64(int folder, const char *path, int flags, ...)
{
    REAL(int, openat64, (int, const char *, int, ...));
    va_list arguments;
    va_start(arguments, flags);
    unsigned mode = mode_of(flags, arguments);
    va_end(arguments);
    return opened(openat64(folder, path, flags, mode), path, flags);
}

int close(int fd)
{
    REAL(int, close, (int));
    if (fd >= 0 && fd < FILES_MAX && names[fd][0]) {
        note_name("close", fd, 0, 0, names[fd]);
        names[fd][0] = '\0';
    }
    return close(fd);
}

int renameat(int from_folder, const char *from, int to_folder, const char *to)
{
    REAL(int, renameat, (int, const char *, int, const char *));
    char both[2 * NAME_SIZE];
    int result = renameat(from_folder, from, to_folder, to);
    snprintf(both, sizeof(both), "%.60s %.60s", base_name(from), base_name(to));
    note_name("rename", to_folder, 0, result, both);
    return result;
}

int unlinkat(int folder, const char *path, int flags)
{
    REAL(int, unlinkat, (int, const char *, int));
    int result = unlinkat(folder, path, flags);
    note_name("unlink", folder, flags, result, base_name(path));
    return result;
}

/* ---- contents ---- */

ssize_t pwritev2(int fd, const struct iovec *parts, int count, off_t offset, int flags)
{
    REAL(ssize_t, pwritev2, (int, const struct iovec *, int, off_t, int));
    ssize_t result = pwritev2(fd, parts, count, offset, flags);
    note("write", fd, offset, bytes_of(parts, count), flags, result, parts, count, name_of(fd));
    return result;
}

ssize_t pwritev64v2(int fd, const struct iovec *parts, int count, off64_t offset, int flags)
{
    REAL(ssize_t, pwritev64v2, (int, const struct iovec *, int, off64_t, int));
    ssize_t result = pwritev64v2(fd, parts, count, offset, flags);
    note("write", fd, offset, bytes_of(parts, count), flags, result, parts, count, name_of(fd));
    return result;
}

ssize_t write(int fd, const void *data, size_t size)
{
    REAL(ssize_t, write, (int, const void *, size_t));
    ssize_t result = write(fd, data, size);
    if (fd >= 0 && fd < FILES_MAX && names[fd][0])
        note("append", fd, 0, size, 0, result, NULL, 0, names[fd]);
    return result;
}

/* Two threads may sync a folder at once. */
static void note_sync(const char *kind, int fd, int result)
{
    note(kind, fd, syscall(SYS_gettid), 0, 0, result, NULL, 0, name_of(fd));
}

int fdatasync(int fd)
{
    REAL(int, fdatasync, (int));
    note_sync("sync-begin", fd, 0);
    int result = fdatasync(fd);
    note_sync("sync-end", fd, result);
    return result;
}

int fsync(int fd)
{
    REAL(int, fsync, (int));
    note_sync("sync-begin", fd, 0);
    int result = fsync(fd);
    note_sync("sync-end", fd, result);
    return result;
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
    REAL(ssize_t, sendmsg, (int, const struct msghdr *, int));
    note("send", fd, 0, bytes_of(message->msg_iov, (int)message->msg_iovlen), flags, 0,
         message->msg_iov, (int)message->msg_iovlen, "?");
    ssize_t result = sendmsg(fd, message, flags);
    note_name("sent", fd, 0, result, "?");
    return result;
}
