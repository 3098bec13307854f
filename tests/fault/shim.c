/* A library for LD_PRELOAD that stands in front of the system calls which change files, and lets them
 * fail for files in a folder named "index": LevelDB's. Its C interface takes no file system of ours.
 * It also knows how much of each of these files has been synced, and can hold up new tables.
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
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

enum { FILES_MAX = 4096, NAMES_MAX = 256, NAME_SIZE = 64 };

void shim_arm(unsigned long at, unsigned long count, int error);
unsigned long shim_calls(void);
long shim_synced(const char *name);
void shim_hold_tables(unsigned ms);
void shim_no_files(int none);

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned char is_index[FILES_MAX]; /* by descriptor */
static unsigned long calls, first, last;  /* those from first to last fail */
static int fault;
static char names[FILES_MAX][NAME_SIZE]; /* by descriptor; without the folder */
static struct {
    char name[NAME_SIZE];
    long size;
} synced[NAMES_MAX];
static size_t synced_count;
static unsigned hold_ms;
static int no_files;

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

/* What a file had when it was synced last; -1: it never was. */
long shim_synced(const char *name)
{
    long size = -1;
    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < synced_count; i++)
        if (strcmp(synced[i].name, name) == 0)
            size = synced[i].size;
    pthread_mutex_unlock(&lock);
    return size;
}

/* From now on every table takes so long to be begun. */
void shim_hold_tables(unsigned ms)
{
    hold_ms = ms;
}

/* Does the file system say from now on that it can have no more files? */
void shim_no_files(int none)
{
    no_files = none;
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* Calls it otherwise, or forgets it. */
static void rename_synced(const char *name, const char *other)
{
    for (size_t i = 0; i < synced_count; i++)
        if (strcmp(synced[i].name, name) == 0)
            snprintf(synced[i].name, NAME_SIZE, "%s", other);
}

static void note_synced(int fd)
{
    struct stat status;
    if (fstat(fd, &status) < 0 || !S_ISREG(status.st_mode))
        return;
    pthread_mutex_lock(&lock);
    rename_synced(names[fd], "");
    size_t at = 0;
    while (at < synced_count && synced[at].name[0])
        at++;
    if (at == synced_count && synced_count < NAMES_MAX)
        synced_count++;
    if (at < synced_count) {
        memcpy(synced[at].name, names[fd], NAME_SIZE);
        synced[at].size = (long)status.st_size;
    }
    pthread_mutex_unlock(&lock);
}

static void hold(const char *path)
{
    struct timespec time = {hold_ms / 1000, (long)(hold_ms % 1000) * 1000000};
    size_t size = strlen(path);
    if (hold_ms && size > 4 && strcmp(path + size - 4, ".ldb") == 0)
        nanosleep(&time, NULL);
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

static int note(int fd, const char *path, int flags)
{
    if (fd < 0 || fd >= FILES_MAX)
        return fd;
    if (is_ours(path) && flags & O_TRUNC) {
        pthread_mutex_lock(&lock);
        rename_synced(base_name(path), "");
        pthread_mutex_unlock(&lock);
    }
    is_index[fd] = (unsigned char)is_ours(path);
    snprintf(names[fd], NAME_SIZE, "%s", base_name(path));
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
    if (is_ours(path) && changes(flags))
        hold(path);
    return note(open(path, flags, mode), path, flags);
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
    if (is_ours(path) && changes(flags))
        hold(path);
    return note(open64(path, flags, mode), path, flags);
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
    if (fd_is_ours(fd) && fails())
        return -1;
    int result = fsync(fd);
    if (result == 0 && fd_is_ours(fd))
        note_synced(fd);
    return result;
}

int fdatasync(int fd)
{
    REAL(int, fdatasync, (int));
    if (fd_is_ours(fd) && fails())
        return -1;
    int result = fdatasync(fd);
    if (result == 0 && fd_is_ours(fd))
        note_synced(fd);
    return result;
}

int rename(const char *from, const char *to)
{
    REAL(int, rename, (const char *, const char *));
    if (is_ours(to) && fails())
        return -1;
    if (is_ours(to)) {
        pthread_mutex_lock(&lock);
        rename_synced(base_name(to), "");
        rename_synced(base_name(from), base_name(to));
        pthread_mutex_unlock(&lock);
    }
    return rename(from, to);
}

int statvfs(const char *path, struct statvfs *status)
{
    REAL(int, statvfs, (const char *, struct statvfs *));
    int result = statvfs(path, status);
    if (result == 0 && no_files)
        status->f_favail = 0;
    return result;
}
