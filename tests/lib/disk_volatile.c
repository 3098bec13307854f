/* The disk of a daemon that can lose power: real files in a real folder, but the end of the process
 * by SIGKILL is as hard on them as a power cut. It defines disk_posix_new and disk_posix_free, so
 * that a daemon linked with it in front of the store's library has this disk and no other.
 *
 * What is written lies in pages in memory, where reads see it, and reaches the file when the file
 * is synced: page by page in no order, so that a kill in the middle of a sync leaves any part of
 * it. Creates, renames and unlinks are done to a table of names in memory and to the folder, in
 * their order, when the folder is synced; until then a new file has a name of its own, which nobody
 * sees and which the next start removes. A sync takes a millisecond, as on a real disk: there must
 * be a time in which something is written and not synced.
 *
 * With LEVERET_VOLATILE=lie in the environment, the sync of a file does nothing and says that it
 * did: the daemon then confirms what a kill destroys, which whoever checks the daemon has to find.
 */
#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/map.h"
#include "base/mem.h"
#include "store/disk.h"

enum { PAGE = 4096, NAME_MAX_BYTES = 64, SYNC_US = 1000 };

/* Names of files that have none yet. */
static const char hidden_prefix[] = ".volatile-";

struct inode {
    int fd;
    uint64_t size; /* as read and written, whatever the file's is */
    struct idmap pages;
    uint32_t holders; /* names, open files and changes */
};

struct name {
    char text[NAME_MAX_BYTES];
    struct inode *inode; /* NULL: nobody has asked for it yet */
};

/* What the folder does not know yet. */
struct change {
    char from[NAME_MAX_BYTES];
    char to[NAME_MAX_BYTES]; /* empty: `from` is unlinked */
};

struct disk_volatile {
    struct disk disk;
    int folder;
    bool lies;
    pthread_mutex_t mutex; /* over everything here */
    struct name *names;
    size_t name_count;
    struct change *changes;
    size_t change_count;
    uint64_t hidden_count;
};

struct disk_file {
    struct disk_volatile *disk;
    struct inode *inode;
};

static struct disk_volatile *self_of(struct disk *disk)
{
    return (struct disk_volatile *)(void *)disk;
}

static void text_copy(char text[NAME_MAX_BYTES], const char *from)
{
    assert(strlen(from) < NAME_MAX_BYTES);
    strcpy(text, from);
}

/* ---- files ---- */

static struct inode *inode_new(int fd)
{
    struct stat status;
    struct inode *inode = mem_zalloc(sizeof(*inode));
    inode->fd = fd;
    inode->size = fstat(fd, &status) == 0 ? (uint64_t)status.st_size : 0;
    idmap_init(&inode->pages);
    return inode;
}

static void pages_drop(struct inode *inode)
{
    uint64_t at = 0;
    void *page;
    while ((page = idmap_next(&inode->pages, &at)))
        mem_free(page);
    idmap_free(&inode->pages);
    idmap_init(&inode->pages);
}

static void inode_release(struct inode *inode)
{
    if (!inode || --inode->holders > 0)
        return;
    pages_drop(inode);
    close(inode->fd);
    mem_free(inode);
}

/* Reads what the file itself holds; the rest is zero. */
static int read_base(const struct inode *inode, uint8_t *data, uint64_t size, uint64_t offset)
{
    uint64_t got = 0;
    while (got < size) {
        ssize_t n = pread(inode->fd, data + got, size - got, (off_t)(offset + got));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno;
        if (n == 0)
            break;
        got += (uint64_t)n;
    }
    memset(data + got, 0, size - got);
    return 0;
}

static int page_get(struct inode *inode, uint64_t number, uint8_t **page)
{
    *page = idmap_find(&inode->pages, number);
    if (*page)
        return 0;
    uint8_t *fresh = mem_alloc(PAGE + sizeof(number)); /* its number is behind it */
    memcpy(fresh + PAGE, &number, sizeof(number));
    int error = read_base(inode, fresh, PAGE, number * PAGE);
    if (error) {
        mem_free(fresh);
        return error;
    }
    idmap_add(&inode->pages, number, fresh);
    *page = fresh;
    return 0;
}

static int write_one(struct inode *inode, const uint8_t *data, uint64_t size, uint64_t offset)
{
    while (size > 0) {
        uint8_t *page;
        uint64_t skip = offset % PAGE;
        uint64_t part = PAGE - skip < size ? PAGE - skip : size;
        int error = page_get(inode, offset / PAGE, &page);
        if (error)
            return error;
        memcpy(page + skip, data, part);
        data += part;
        size -= part;
        offset += part;
        if (offset > inode->size)
            inode->size = offset;
    }
    return 0;
}

static int file_write(struct disk_file *file, struct iovec *parts, int count, uint64_t offset)
{
    int error = 0;
    pthread_mutex_lock(&file->disk->mutex);
    for (int i = 0; i < count && error == 0; i++) {
        error = write_one(file->inode, parts[i].iov_base, parts[i].iov_len, offset);
        offset += parts[i].iov_len;
    }
    pthread_mutex_unlock(&file->disk->mutex);
    return error;
}

static int file_read(struct disk_file *file, void *data, uint64_t size, uint64_t offset,
                     uint64_t *got)
{
    struct inode *inode = file->inode;
    pthread_mutex_lock(&file->disk->mutex);
    uint64_t left = offset < inode->size ? inode->size - offset : 0;
    *got = size < left ? size : left;
    int error = *got ? read_base(inode, data, *got, offset) : 0;
    for (uint64_t at = offset; at < offset + *got; at = (at / PAGE + 1) * PAGE) {
        const uint8_t *page = idmap_find(&inode->pages, at / PAGE);
        uint64_t end = (at / PAGE + 1) * PAGE;
        end = end < offset + *got ? end : offset + *got;
        if (page)
            memcpy((uint8_t *)data + (at - offset), page + at % PAGE, end - at);
    }
    pthread_mutex_unlock(&file->disk->mutex);
    return error;
}

static int write_page(const struct inode *inode, const uint8_t *page, uint64_t number)
{
    uint64_t offset = number * PAGE;
    uint64_t size = inode->size - offset < PAGE ? inode->size - offset : PAGE;
    while (size > 0) {
        ssize_t n = pwrite(inode->fd, page, size, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? errno : EIO;
        page += n;
        offset += (uint64_t)n;
        size -= (uint64_t)n;
    }
    return 0;
}

/* In the order of a hash table, which is none. */
static int write_pages(struct inode *inode)
{
    uint64_t at = 0, number;
    for (uint8_t *page; (page = idmap_next(&inode->pages, &at));) {
        memcpy(&number, page + PAGE, sizeof(number));
        int error = write_page(inode, page, number);
        if (error)
            return error;
    }
    pages_drop(inode);
    return 0;
}

static int file_sync(struct disk_file *file)
{
    usleep(SYNC_US);
    if (file->disk->lies)
        return 0;
    pthread_mutex_lock(&file->disk->mutex);
    int error = write_pages(file->inode);
    pthread_mutex_unlock(&file->disk->mutex);
    return error;
}

static int file_size(struct disk_file *file, uint64_t *size)
{
    pthread_mutex_lock(&file->disk->mutex);
    *size = file->inode->size;
    pthread_mutex_unlock(&file->disk->mutex);
    return 0;
}

static void file_close(struct disk_file *file)
{
    pthread_mutex_lock(&file->disk->mutex);
    inode_release(file->inode);
    pthread_mutex_unlock(&file->disk->mutex);
    mem_free(file);
}

/* ---- names; the caller holds the mutex ---- */

static struct name *name_find(struct disk_volatile *self, const char *text)
{
    for (size_t i = 0; i < self->name_count; i++)
        if (strcmp(self->names[i].text, text) == 0)
            return &self->names[i];
    return NULL;
}

static struct name *name_add(struct disk_volatile *self, const char *text)
{
    size_t count = self->name_count++;
    self->names = mem_realloc(self->names, self->name_count * sizeof(self->names[0]));
    text_copy(self->names[count].text, text);
    self->names[count].inode = NULL;
    return &self->names[count];
}

static void name_remove(struct disk_volatile *self, struct name *name)
{
    inode_release(name->inode);
    *name = self->names[--self->name_count];
}

static void change_add(struct disk_volatile *self, const char *from, const char *to)
{
    size_t count = self->change_count++;
    self->changes = mem_realloc(self->changes, self->change_count * sizeof(self->changes[0]));
    text_copy(self->changes[count].from, from);
    text_copy(self->changes[count].to, to);
}

/* A name that nobody has asked for is one that the folder has, too. */
static int name_load(struct disk_volatile *self, struct name *name)
{
    if (name->inode)
        return 0;
    int fd = openat(self->folder, name->text, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return errno;
    name->inode = inode_new(fd);
    name->inode->holders = 1;
    return 0;
}

static int name_create(struct disk_volatile *self, const char *text, struct name **name)
{
    char hidden[NAME_MAX_BYTES];
    snprintf(hidden, sizeof(hidden), "%s%llu", hidden_prefix,
             (unsigned long long)self->hidden_count++);
    int fd = openat(self->folder, hidden, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return errno;
    *name = name_add(self, text);
    (*name)->inode = inode_new(fd);
    (*name)->inode->holders = 1;
    change_add(self, hidden, text);
    return 0;
}

static int open_name(struct disk_volatile *self, const char *text, enum disk_mode mode,
                     struct inode **inode)
{
    struct name *name = name_find(self, text);
    int error;
    if (mode == DISK_CREATE)
        error = name ? EEXIST : name_create(self, text, &name);
    else
        error = name ? name_load(self, name) : ENOENT;
    if (error)
        return error;
    *inode = name->inode;
    (*inode)->holders++;
    return 0;
}

static int file_open(struct disk *disk, const char *name, enum disk_mode mode,
                     struct disk_file **file)
{
    struct disk_volatile *self = self_of(disk);
    struct inode *inode;
    pthread_mutex_lock(&self->mutex);
    int error = open_name(self, name, mode, &inode);
    pthread_mutex_unlock(&self->mutex);
    if (error)
        return error;
    *file = mem_alloc(sizeof(**file));
    **file = (struct disk_file){self, inode};
    return 0;
}

static int rename_name(struct disk_volatile *self, const char *from, const char *to)
{
    struct name *name = name_find(self, from);
    int error = name ? name_load(self, name) : ENOENT;
    if (error)
        return error;
    struct inode *inode = name->inode;
    inode->holders++;
    name_remove(self, name);
    if ((name = name_find(self, to)))
        name_remove(self, name);
    name_add(self, to)->inode = inode;
    change_add(self, from, to);
    return 0;
}

static int folder_rename(struct disk *disk, const char *from, const char *to)
{
    struct disk_volatile *self = self_of(disk);
    pthread_mutex_lock(&self->mutex);
    int error = rename_name(self, from, to);
    pthread_mutex_unlock(&self->mutex);
    return error;
}

static int folder_unlink(struct disk *disk, const char *text)
{
    struct disk_volatile *self = self_of(disk);
    pthread_mutex_lock(&self->mutex);
    struct name *name = name_find(self, text);
    int error = name ? 0 : ENOENT;
    if (name) {
        name_remove(self, name);
        change_add(self, text, "");
    }
    pthread_mutex_unlock(&self->mutex);
    return error;
}

static int change_do(const struct disk_volatile *self, const struct change *change)
{
    int result = change->to[0] ? renameat(self->folder, change->from, self->folder, change->to)
                               : unlinkat(self->folder, change->from, 0);
    return result == 0 ? 0 : errno;
}

static int folder_sync(struct disk *disk)
{
    struct disk_volatile *self = self_of(disk);
    int error = 0;
    usleep(SYNC_US);
    pthread_mutex_lock(&self->mutex);
    for (size_t i = 0; i < self->change_count && error == 0; i++)
        error = change_do(self, &self->changes[i]);
    self->change_count = 0;
    pthread_mutex_unlock(&self->mutex);
    return error;
}

static int folder_list(struct disk *disk, void (*each)(void *context, const char *name),
                       void *context)
{
    struct disk_volatile *self = self_of(disk);
    pthread_mutex_lock(&self->mutex);
    size_t count = self->name_count;
    struct name *names = mem_dup(self->names, count * sizeof(names[0]));
    pthread_mutex_unlock(&self->mutex);
    for (size_t i = 0; i < count; i++)
        each(context, names[i].text);
    mem_free(names);
    return 0;
}

static int folder_free_space(struct disk *disk, uint64_t *bytes, uint64_t *total)
{
    struct statvfs status;
    if (fstatvfs(self_of(disk)->folder, &status) < 0)
        return errno;
    *bytes = (uint64_t)status.f_bavail * status.f_frsize;
    *total = (uint64_t)status.f_blocks * status.f_frsize;
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
};

/* ---- the disk ---- */

/* What the last power cut left: all its files, but for those that never had a name. */
static void read_folder(struct disk_volatile *self, DIR *entries)
{
    const struct dirent *entry;
    struct stat status;
    while ((entry = readdir(entries))) {
        if (fstatat(self->folder, entry->d_name, &status, AT_SYMLINK_NOFOLLOW) < 0 ||
            !S_ISREG(status.st_mode))
            continue;
        if (strncmp(entry->d_name, hidden_prefix, strlen(hidden_prefix)) == 0)
            unlinkat(self->folder, entry->d_name, 0);
        else
            name_add(self, entry->d_name);
    }
}

struct disk *disk_posix_new(const char *path)
{
    int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *entries = folder < 0 ? NULL : opendir(path);
    if (!entries) {
        if (folder >= 0)
            close(folder);
        return NULL;
    }
    const char *mode = getenv("LEVERET_VOLATILE");
    struct disk_volatile *self = mem_zalloc(sizeof(*self));
    self->disk.ops = &ops;
    self->folder = folder;
    self->lies = mode && strcmp(mode, "lie") == 0;
    pthread_mutex_init(&self->mutex, NULL);
    read_folder(self, entries);
    closedir(entries);
    return &self->disk;
}

void disk_posix_free(struct disk *disk)
{
    if (!disk)
        return;
    struct disk_volatile *self = self_of(disk);
    for (size_t i = 0; i < self->name_count; i++)
        inode_release(self->names[i].inode);
    mem_free(self->names);
    mem_free(self->changes);
    pthread_mutex_destroy(&self->mutex);
    close(self->folder);
    mem_free(self);
}
