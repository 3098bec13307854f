/* The disk of the daemon: files in one folder, named relative to the folder's descriptor, so that
 * nothing depends on the working directory or on what the folder is called later. Descriptors are
 * read and written at offsets and have no position, so that threads may share them. */
#include "store/disk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/mem.h"

enum { PARTS_MAX = 1024 }; /* of one pwritev: IOV_MAX on Linux */

struct disk_posix {
    struct disk disk;
    int folder;
};

struct disk_file {
    int fd;
};

static int folder_of(struct disk *disk)
{
    return ((struct disk_posix *)(void *)disk)->folder;
}

static int file_open(struct disk *disk, const char *name, enum disk_mode mode,
                     struct disk_file **file)
{
    static const int flags[] = {
        [DISK_READ] = O_RDONLY,
        [DISK_WRITE] = O_RDWR,
        [DISK_CREATE] = O_RDWR | O_CREAT | O_EXCL,
    };
    int fd;
    do {
        fd = openat(folder_of(disk), name, flags[mode] | O_CLOEXEC, 0600);
    } while (fd < 0 && errno == EINTR);
    if (fd < 0)
        return errno;
    *file = mem_alloc(sizeof(**file));
    (*file)->fd = fd;
    return 0;
}

static void file_close(struct disk_file *file)
{
    close(file->fd);
    mem_free(file);
}

/* Takes `size` bytes that were written off the front; returns the first part with a rest. */
static struct iovec *parts_skip(struct iovec *parts, int *count, size_t size)
{
    while (*count > 0 && size >= parts->iov_len) {
        size -= parts->iov_len;
        parts++;
        (*count)--;
    }
    if (*count > 0) {
        parts->iov_base = (uint8_t *)parts->iov_base + size;
        parts->iov_len -= size;
    }
    return parts;
}

static int file_write(struct disk_file *file, struct iovec *parts, int count, uint64_t offset)
{
    parts = parts_skip(parts, &count, 0);
    while (count > 0) {
        int now = count < PARTS_MAX ? count : PARTS_MAX;
        ssize_t wrote = pwritev(file->fd, parts, now, (off_t)offset);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote <= 0)
            return wrote < 0 ? errno : EIO;
        offset += (uint64_t)wrote;
        parts = parts_skip(parts, &count, (size_t)wrote);
    }
    return 0;
}

static int file_read(struct disk_file *file, void *data, uint64_t size, uint64_t offset,
                     uint64_t *got)
{
    *got = 0;
    while (*got < size) {
        ssize_t n = pread(file->fd, (uint8_t *)data + *got, size - *got, (off_t)(offset + *got));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno;
        if (n == 0)
            break;
        *got += (uint64_t)n;
    }
    return 0;
}

/* Not tried again, whatever the error: the kernel may have dropped what it could not write, and
 * would then call the second try a success. */
static int file_sync(struct disk_file *file)
{
    return fdatasync(file->fd) == 0 ? 0 : errno;
}

static int file_size(struct disk_file *file, uint64_t *size)
{
    struct stat status;
    if (fstat(file->fd, &status) < 0)
        return errno;
    *size = (uint64_t)status.st_size;
    return 0;
}

static int folder_rename(struct disk *disk, const char *from, const char *to)
{
    int folder = folder_of(disk);
    return renameat(folder, from, folder, to) == 0 ? 0 : errno;
}

static int folder_unlink(struct disk *disk, const char *name)
{
    return unlinkat(folder_of(disk), name, 0) == 0 ? 0 : errno;
}

static int folder_sync(struct disk *disk)
{
    return fsync(folder_of(disk)) == 0 ? 0 : errno;
}

/* A folder inside is not a file; some file systems tell the kind only to those who ask. */
static bool is_file(int folder, const struct dirent *entry)
{
    if (entry->d_type != DT_UNKNOWN)
        return entry->d_type == DT_REG;
    struct stat status;
    return fstatat(folder, entry->d_name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
           S_ISREG(status.st_mode);
}

static int folder_list(struct disk *disk, void (*each)(void *context, const char *name),
                       void *context)
{
    /* A descriptor of its own, as reading a folder has a position. */
    int fd = openat(folder_of(disk), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return errno;
    DIR *entries = fdopendir(fd);
    if (!entries) {
        int error = errno;
        close(fd);
        return error;
    }
    const struct dirent *entry;
    for (errno = 0; (entry = readdir(entries)); errno = 0)
        if (is_file(fd, entry))
            each(context, entry->d_name);
    int error = errno;
    closedir(entries);
    return error;
}

static int file_allocate(struct disk_file *file, uint64_t size)
{
    return posix_fallocate(file->fd, 0, (off_t)size);
}

static int folder_free_space(struct disk *disk, uint64_t *bytes)
{
    struct statvfs status;
    if (fstatvfs(folder_of(disk), &status) < 0)
        return errno;
    *bytes = (uint64_t)status.f_bavail * status.f_frsize;
    return 0;
}

static const struct disk_ops ops = {
    .open = file_open,
    .close = file_close,
    .write = file_write,
    .read = file_read,
    .sync = file_sync,
    .size = file_size,
    .rename = folder_rename,
    .unlink = folder_unlink,
    .sync_folder = folder_sync,
    .list = folder_list,
    .free_space = folder_free_space,
    .allocate = file_allocate,
};

struct disk *disk_posix_new(const char *path)
{
    int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0)
        return NULL;
    struct disk_posix *self = mem_alloc(sizeof(*self));
    self->disk.ops = &ops;
    self->folder = folder;
    return &self->disk;
}

void disk_posix_free(struct disk *disk)
{
    if (!disk)
        return;
    close(folder_of(disk));
    mem_free(disk);
}
