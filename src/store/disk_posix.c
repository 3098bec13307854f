/* The disk of the daemon: files in one folder, named relative to the folder's descriptor, so that
 * nothing depends on the working directory or on what the folder is called later. Descriptors are
 * read and written at offsets and have no position, so that threads may share them.
 *
 * Files are written past the page cache where the file system can (O_DIRECT): a journal is written
 * once and mostly never read, so that pages for it are work for nothing, and more of it than all the
 * rest of a write. Such writes are of whole blocks. So what is written is copied to a stage first,
 * behind what the file has in the block where it begins; the last block is filled up with zeros, and
 * stays on the stage for the write that goes on with it. Of much that begins in memory where it does
 * in its block, only the first and the last block are. */
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
#include "base/planted.h"

enum { PARTS_MAX = 1024 }; /* of one pwritev: IOV_MAX on Linux */

struct disk_posix {
    struct disk disk;
    int folder;
};

enum { STAGE_BYTES = 512 << 10, IN_PLACE_MIN = 32 << 10, DIRECT_READ_MIN = 64 << 10 };

struct disk_file {
    int fd;
    bool is_direct;
    int direct;         /* for large reads, past the page cache; -1: there is none */
    bool is_unsynced;   /* something was written since the last sync */
    uint8_t *stage;     /* NULL before the first write */
    size_t stage_size;
    uint64_t tail;      /* the end of what was written last: the stage holds the block that it is in; */
                        /* 0: it does not */
};

static int folder_of(struct disk *disk)
{
    return ((struct disk_posix *)(void *)disk)->folder;
}

/* Not every file system can. */
static bool set_direct(int fd, bool is_direct)
{
    int flags = fcntl(fd, F_GETFL);
    return flags >= 0 &&
           fcntl(fd, F_SETFL, is_direct ? flags | O_DIRECT : flags & ~O_DIRECT) == 0;
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
    *file = mem_zalloc(sizeof(**file));
    (*file)->fd = fd;
    (*file)->is_direct = mode != DISK_READ && set_direct(fd, true);
    (*file)->direct = mode == DISK_READ
                          ? openat(folder_of(disk), name, O_RDONLY | O_DIRECT | O_CLOEXEC)
                          : -1;
    return 0;
}

static void file_close(struct disk_file *file)
{
    close(file->fd);
    if (file->direct >= 0)
        close(file->direct);
    mem_free(file->stage);
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

/* From where it lies. */
static int write_parts(int fd, struct iovec *parts, int count, uint64_t offset, int flags)
{
    parts = parts_skip(parts, &count, 0);
    while (count > 0) {
        int now = count < PARTS_MAX ? count : PARTS_MAX;
        ssize_t wrote = pwritev2(fd, parts, now, (off_t)offset, flags);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote <= 0)
            return wrote < 0 ? errno : EIO;
        offset += (uint64_t)wrote;
        parts = parts_skip(parts, &count, (size_t)wrote);
    }
    return 0;
}

/* ---- whole blocks ---- */

static size_t whole_blocks(size_t size)
{
    return (size + DISK_BLOCK - 1) / DISK_BLOCK * DISK_BLOCK;
}

static size_t parts_size(const struct iovec *parts, int count)
{
    size_t size = 0;
    for (int i = 0; i < count; i++)
        size += parts[i].iov_len;
    return size;
}

/* Makes the stage large enough for a write of this size, or as large as it may be. */
static void stage_grow(struct disk_file *file, size_t size)
{
    size_t wanted = whole_blocks(size) + DISK_BLOCK;
    wanted = wanted < STAGE_BYTES ? wanted : STAGE_BYTES;
    if (wanted <= file->stage_size)
        return;
    uint8_t *stage = mem_aligned(DISK_BLOCK, wanted);
    if (file->stage)
        memcpy(stage, file->stage, DISK_BLOCK);
    mem_free(file->stage);
    file->stage = stage;
    file->stage_size = wanted;
}

/* The beginning of the block in which `offset` is, as the file has it. */
static int stage_load(struct disk_file *file, uint64_t offset)
{
    size_t head = offset % DISK_BLOCK;
    if (head == 0 || file->tail == offset)
        return 0;
    ssize_t got = pread(file->fd, file->stage, DISK_BLOCK, (off_t)(offset - head));
    if (got < 0)
        return errno;
    if ((size_t)got < head)
        memset(file->stage + got, 0, head - (size_t)got);
    return 0;
}

/* Copies parts to the stage from `used` on; returns how much is on it then. */
static size_t stage_fill(struct disk_file *file, size_t used, struct iovec **parts, int *count)
{
    while (*count > 0 && used < file->stage_size) {
        size_t room = file->stage_size - used;
        size_t now = (*parts)->iov_len < room ? (*parts)->iov_len : room;
        if (now)
            memcpy(file->stage + used, (*parts)->iov_base, now);
        used += now;
        *parts = parts_skip(*parts, count, now);
    }
    return used;
}

static bool is_whole_blocks(const struct iovec *parts, int count, uint64_t offset)
{
    for (int i = 0; i < count; i++)
        if ((uintptr_t)parts[i].iov_base % DISK_BLOCK || parts[i].iov_len % DISK_BLOCK)
            return false;
    return offset % DISK_BLOCK == 0;
}

/* Writes blocks; those that are written in one piece, and first, are synced by the same call. */
static int write_blocks(struct disk_file *file, struct iovec *parts, int count, uint64_t offset,
                        bool *sync)
{
    bool at_once = *sync && (!file->is_unsynced || planted(PLANTED_DISK_DSYNC_FOR_ALL));
    int flags = at_once && !planted(PLANTED_DISK_NO_DSYNC) ? RWF_DSYNC : 0;
    file->is_unsynced |= !at_once;
    int error = write_parts(file->fd, parts, count, offset, flags);
    if (!error && at_once)
        *sync = false;
    return error;
}

static bool is_in_place(struct iovec part, int count, uint64_t offset)
{
    return count == 1 && part.iov_len >= IN_PLACE_MIN &&
           (uintptr_t)part.iov_base % DISK_BLOCK == offset % DISK_BLOCK;
}

/* Only the first and the last block by way of the stage. *sync is false afterwards if the bytes are
 * synced already. */
static int write_in_place(struct disk_file *file, struct iovec part, uint64_t offset, bool *sync)
{
    uint8_t *data = part.iov_base;
    uint64_t end = offset + part.iov_len;
    size_t head = offset % DISK_BLOCK, tail = end % DISK_BLOCK;
    size_t first = head ? DISK_BLOCK - head : 0;
    stage_grow(file, 2 * DISK_BLOCK);
    int error = stage_load(file, offset);
    uint8_t *last = file->stage + (head ? DISK_BLOCK : 0);
    memcpy(file->stage + head, data, first);
    memcpy(last, data + part.iov_len - tail, tail);
    memset(last + tail, 0, DISK_BLOCK - tail);
    struct iovec parts[] = {{file->stage, head ? DISK_BLOCK : 0},
                            {data + first, part.iov_len - first - tail},
                            {last, tail ? DISK_BLOCK : 0}};
    file->tail = 0;
    if (!error)
        error = write_blocks(file, parts, 3, offset - head, sync);
    memmove(file->stage, last, tail);
    if (!error)
        file->tail = end;
    return error;
}

/* By way of the stage. *sync is false afterwards if the bytes are synced already. */
static int write_staged(struct disk_file *file, struct iovec *parts, int count, uint64_t offset,
                        bool *sync)
{
    uint64_t end = offset + parts_size(parts, count);
    size_t head = offset % DISK_BLOCK;
    stage_grow(file, head + (size_t)(end - offset));
    int error = stage_load(file, offset);
    file->tail = 0;
    parts = parts_skip(parts, &count, 0);
    while (!error && count > 0) {
        size_t used = stage_fill(file, head, &parts, &count);
        size_t size = whole_blocks(used);
        struct iovec part = {file->stage, size};
        bool later = false;
        bool is_last = count == 0 || planted(PLANTED_DISK_DSYNC_FIRST);
        memset(file->stage + used, 0, size - used);
        error = write_blocks(file, &part, 1, offset - head, is_last ? sync : &later);
        offset += used - head;
        head = used % DISK_BLOCK;
        if (head)
            memcpy(file->stage, file->stage + used - head, head);
    }
    if (!error)
        file->tail = end;
    return error;
}

/* Past the page cache; `parts` stay as they are. */
static int write_direct(struct disk_file *file, const struct iovec *parts, int count,
                        uint64_t offset, bool *sync)
{
    struct iovec *mine = mem_dup(parts, (size_t)count * sizeof(*parts));
    int error;
    if (offset > file->tail && is_whole_blocks(parts, count, offset)) {
        file->is_unsynced = true;
        error = write_parts(file->fd, mine, count, offset, 0);
    } else if (is_in_place(*parts, count, offset)) {
        error = write_in_place(file, *parts, offset, sync);
    } else {
        error = write_staged(file, mine, count, offset, sync);
    }
    mem_free(mine);
    return error;
}

/* Not tried again, whatever the error: the kernel may have dropped what it could not write, and
 * would then call the second try a success. */
static int file_sync(struct disk_file *file)
{
    if (!planted(PLANTED_DISK_NO_SYNC) && fdatasync(file->fd) < 0)
        return errno;
    file->is_unsynced = false;
    return 0;
}

static int write_file(struct disk_file *file, struct iovec *parts, int count, uint64_t offset,
                      bool sync)
{
    int error = EINVAL;
    if (count == 0)
        return 0;
    if (file->is_direct) {
        error = write_direct(file, parts, count, offset, &sync);
        /* Another size of blocks, or a file system that finds out late that it cannot. */
        if (error == EINVAL && set_direct(file->fd, false))
            file->is_direct = false;
    }
    if (!file->is_direct) {
        file->is_unsynced = true;
        error = write_parts(file->fd, parts, count, offset, 0);
    }
    if (error || !sync)
        return error;
    error = file_sync(file);
    return error == ENOSPC || error == EDQUOT ? EIO : error;
}

static int file_write(struct disk_file *file, struct iovec *parts, int count, uint64_t offset)
{
    return write_file(file, parts, count, offset, false);
}

static int file_write_sync(struct disk_file *file, struct iovec *parts, int count, uint64_t offset)
{
    return write_file(file, parts, count, offset, true);
}

/* The descriptor to read with. Past the page cache go whole blocks, and only many of them: what is
 * little the system reads ahead better. */
static int reading_from(const struct disk_file *file, const void *data, uint64_t size,
                        uint64_t offset)
{
    bool is_whole = (uintptr_t)data % DISK_BLOCK == 0 && size % DISK_BLOCK == 0 &&
                    offset % DISK_BLOCK == 0;
    return file->direct >= 0 && is_whole && size >= DIRECT_READ_MIN ? file->direct : file->fd;
}

static int file_read(struct disk_file *file, void *data, uint64_t size, uint64_t offset,
                     uint64_t *got)
{
    int fd = reading_from(file, data, size, offset);
    *got = 0;
    while (*got < size) {
        ssize_t n = pread(fd, (uint8_t *)data + *got, size - *got, (off_t)(offset + *got));
        if (n < 0 && errno == EINVAL && fd != file->fd) {
            fd = file->fd;
            continue;
        }
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

static int folder_link(struct disk *disk, const char *name, struct disk *to)
{
    return linkat(folder_of(disk), name, folder_of(to), name, 0) == 0 ? 0 : errno;
}

/* What cannot be told may be so. */
static bool folder_is_shared(struct disk *disk, const char *name)
{
    struct stat about;
    return fstatat(folder_of(disk), name, &about, AT_SYMLINK_NOFOLLOW) != 0 || about.st_nlink > 1;
}

static int folder_sync(struct disk *disk)
{
    return planted(PLANTED_DISK_NO_FOLDER_SYNC) || fsync(folder_of(disk)) == 0 ? 0 : errno;
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

static int file_cut(struct disk_file *file, uint64_t size)
{
    return ftruncate(file->fd, (off_t)size) == 0 ? 0 : errno;
}

static int folder_free_space(struct disk *disk, uint64_t *bytes, uint64_t *total)
{
    struct statvfs status;
    if (fstatvfs(folder_of(disk), &status) < 0)
        return errno;
    *bytes = (uint64_t)status.f_bavail * status.f_frsize;
    *total = (uint64_t)status.f_blocks * status.f_frsize;
    return 0;
}

static const struct disk_ops ops = {
    .open = file_open,
    .close = file_close,
    .write = file_write,
    .write_sync = file_write_sync,
    .read = file_read,
    .sync = file_sync,
    .size = file_size,
    .rename = folder_rename,
    .unlink = folder_unlink,
    .link = folder_link,
    .is_shared = folder_is_shared,
    .sync_folder = folder_sync,
    .list = folder_list,
    .free_space = folder_free_space,
    .allocate = file_allocate,
    .cut = file_cut,
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
