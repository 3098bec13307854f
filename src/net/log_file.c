#include "net/log_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* Nothing waits here for whoever reads a pipe. */
static int open_path(struct log_file *file)
{
    struct stat info;
    int fd =
        open(file->path, O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0640);
    if (fd < 0)
        return errno;
    file->bytes = fstat(fd, &info) == 0 && S_ISREG(info.st_mode) ? (uint64_t)info.st_size : 0;
    file->fd = fd;
    return 0;
}

int log_file_open(struct log_file *file, const char *path, uint64_t bytes_max, uint32_t moved_max)
{
    *file =
        (struct log_file){.path = path, .bytes_max = bytes_max, .moved_max = moved_max, .fd = -1};
    return open_path(file);
}

void log_file_close(struct log_file *file)
{
    if (file->fd >= 0)
        close(file->fd);
    file->fd = -1;
}

int log_file_reopen(struct log_file *file)
{
    int before = file->fd;
    int error = open_path(file);
    if (!error && before >= 0)
        close(before);
    return error;
}

/* NAME.0 is NAME.1 from now on, which replaces the last one. */
static int move(const struct log_file *file)
{
    char from[PATH_MAX], to[PATH_MAX];
    for (uint32_t i = file->moved_max; i > 0; i--) {
        snprintf(to, sizeof(to), "%s.%" PRIu32, file->path, i - 1);
        if (i == 1)
            snprintf(from, sizeof(from), "%s", file->path);
        else
            snprintf(from, sizeof(from), "%s.%" PRIu32, file->path, i - 2);
        if (rename(from, to) < 0 && errno != ENOENT)
            return errno;
    }
    return 0;
}

int log_file_make_room(struct log_file *file, size_t size)
{
    if (!file->bytes_max || file->bytes == 0 || file->bytes + size <= file->bytes_max)
        return 0;
    if (file->moved_max == 0)
        return unlink(file->path) < 0 && errno != ENOENT ? errno : log_file_reopen(file);
    int error = move(file);
    return error ? error : log_file_reopen(file);
}
