/* The disk of the daemon, on the file system that the tests run on. */
#include "store/disk.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "tests/lib/tap.h"

struct place {
    char path[64];
    struct disk *disk;
};

static struct place place_new(void)
{
    struct place place = {.path = "test_store_disk.XXXXXX"};
    if (!mkdtemp(place.path))
        bail("mkdtemp: %s", strerror(errno));
    place.disk = disk_posix_new(place.path);
    if (!place.disk)
        bail("disk_posix_new: %s", strerror(errno));
    return place;
}

static void unlink_each(void *context, const char *name)
{
    struct disk *disk = context;
    disk->ops->unlink(disk, name);
}

static void place_free(struct place *place)
{
    place->disk->ops->list(place->disk, unlink_each, place->disk);
    disk_posix_free(place->disk);
    is_int(rmdir(place->path), 0, "nothing is left behind");
}

static int write_at(struct disk *disk, struct disk_file *file, const char *text, uint64_t offset)
{
    struct iovec part = {(void *)(uintptr_t)text, strlen(text)};
    return disk->ops->write(file, &part, 1, offset);
}

TEST(modes)
{
    struct place place = place_new();
    struct disk *disk = place.disk;
    struct disk_file *file = NULL;
    is_int(disk->ops->open(disk, "a", DISK_READ, &file), ENOENT, "reading needs a file");
    is_int(disk->ops->open(disk, "a", DISK_WRITE, &file), ENOENT, "writing needs a file");
    is_int(disk->ops->open(disk, "a", DISK_CREATE, &file), 0, "creating makes one");
    is_int(write_at(disk, file, "hello", 0), 0, "which can be written");
    disk->ops->close(file);
    is_int(disk->ops->open(disk, "a", DISK_CREATE, &file), EEXIST, "and not be created again");
    is_int(disk->ops->open(disk, "a", DISK_READ, &file), 0, "now reading opens it");
    is_int(write_at(disk, file, "x", 0), EBADF, "for reading only");
    disk->ops->close(file);
    struct stat status;
    char path[128];
    snprintf(path, sizeof(path), "%s/a", place.path);
    stat(path, &status);
    is_int(status.st_mode & 0777, 0600, "nobody else may read it");
    place_free(&place);
}

TEST(read_and_write)
{
    struct place place = place_new();
    struct disk *disk = place.disk;
    struct disk_file *file = NULL;
    disk->ops->open(disk, "a", DISK_CREATE, &file);
    is_int(write_at(disk, file, "hello ", 0), 0, "a write");
    is_int(write_at(disk, file, "world", 6), 0, "and one that goes on");
    is_int(disk->ops->sync(file), 0, "sync");
    is_int(disk->ops->sync_folder(disk), 0, "sync of the folder");
    disk->ops->close(file);
    disk->ops->open(disk, "a", DISK_READ, &file);
    char text[32];
    uint64_t got = 0, size = 0;
    is_int(disk->ops->read(file, text, 5, 6, &got), 0, "a read inside");
    is_bytes(text, got, "world", 5, "its bytes");
    is_int(disk->ops->size(file, &size), 0, "the size");
    ok(size == 11 || size == DISK_BLOCK, "is what was written, or a block");
    is_int(disk->ops->read(file, text, 32, size - 3, &got), 0, "a read across the end");
    is_int(got, 3, "stops there");
    is_int(disk->ops->read(file, text, 32, size + 100, &got), 0, "one beyond the end");
    is_int(got, 0, "finds nothing");
    disk->ops->close(file);
    place_free(&place);
}

static uint8_t byte_at(size_t at)
{
    return (uint8_t)(at * 31 + at / 257);
}

/* Does the file begin with `size` bytes of byte_at? */
static bool holds(struct disk *disk, const char *name, size_t size)
{
    struct disk_file *file = NULL;
    uint8_t *data = mem_alloc(size);
    uint64_t got = 0;
    disk->ops->open(disk, name, DISK_READ, &file);
    bool same = disk->ops->read(file, data, size, 0, &got) == 0 && got == size;
    for (size_t at = 0; at < size; at++)
        same &= data[at] == byte_at(at);
    disk->ops->close(file);
    mem_free(data);
    return same;
}

/* A journal's way of writing: each write goes on where the last one ended, wherever in a block that is,
 * and is in several parts. */
TEST(one_after_the_other)
{
    static const size_t sizes[] = {1, 4094, 1, 1, 4096, 7, 100000, 1 << 20, 3000000, 4095, 12};
    static uint8_t data[3000000];
    struct place place = place_new();
    struct disk *disk = place.disk;
    struct disk_file *file = NULL;
    uint64_t end = 0;
    disk->ops->open(disk, "a", DISK_CREATE, &file);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        size_t size = sizes[i];
        for (size_t at = 0; at < size; at++)
            data[at] = byte_at(end + at);
        struct iovec parts[] = {{data, size / 3}, {data, 0}, {data + size / 3, size - size / 3}};
        if (i % 3 == 2) { /* by another who opens it */
            disk->ops->close(file);
            disk->ops->open(disk, "a", DISK_WRITE, &file);
        }
        is_int((i % 2 ? disk->ops->write_sync : disk->ops->write)(file, parts, 3, end), 0,
               "write %zu of %zu bytes", i, size);
        end += size;
        ok(holds(disk, "a", end), "and all that came before is there");
    }
    disk->ops->close(file);
    place_free(&place);
}

/* A file that is used again is written over, and what is behind stays, but for a block's rest. */
TEST(again_from_the_front)
{
    static uint8_t data[20000];
    struct place place = place_new();
    struct disk *disk = place.disk;
    struct disk_file *file = NULL;
    struct iovec part = {data, sizeof(data)};
    memset(data, 'x', sizeof(data));
    disk->ops->open(disk, "a", DISK_CREATE, &file);
    disk->ops->write(file, &part, 1, 0);
    disk->ops->close(file);
    disk->ops->open(disk, "a", DISK_WRITE, &file);
    is_int(write_at(disk, file, "again", 0), 0, "written over");
    is_int(write_at(disk, file, "failed", 5), 0, "and on");
    is_int(write_at(disk, file, " and again", 5), 0, "and in the same place once more");
    disk->ops->close(file);
    uint64_t got = 0, size = 0;
    disk->ops->open(disk, "a", DISK_READ, &file);
    disk->ops->size(file, &size);
    ok(size >= sizeof(data), "no shorter");
    disk->ops->read(file, data, sizeof(data), 0, &got);
    is_bytes(data, 15, "again and again", 15, "the last that was written");
    is_int(data[DISK_BLOCK], 'x', "behind the block");
    is_int(data[sizeof(data) - 1], 'x', "to the end");
    disk->ops->close(file);
    place_free(&place);
}

/* More parts than one system call takes, some of them empty. */
TEST(many_parts)
{
    enum { PARTS = 3000 };
    static struct iovec parts[PARTS];
    static uint8_t wanted[PARTS], read_back[PARTS];
    size_t size = 0;
    for (size_t i = 0; i < PARTS; i++) {
        wanted[size] = (uint8_t)(i * 7);
        parts[i] = (struct iovec){&wanted[size], i % 10 != 0};
        size += parts[i].iov_len;
    }
    struct place place = place_new();
    struct disk *disk = place.disk;
    struct disk_file *file = NULL;
    uint64_t got = 0;
    disk->ops->open(disk, "a", DISK_CREATE, &file);
    is_int(disk->ops->write(file, parts, PARTS, 0), 0, "written");
    is_int(disk->ops->write(file, parts, 0, size), 0, "no parts at all");
    disk->ops->close(file);
    disk->ops->open(disk, "a", DISK_READ, &file);
    is_int(disk->ops->read(file, read_back, PARTS, 0, &got), 0, "read");
    is_bytes(read_back, got < size ? got : size, wanted, size, "all of it, in order");
    disk->ops->close(file);
    place_free(&place);
}

static void join(void *context, const char *name)
{
    char *names = context;
    strcat(strcat(names, name), ";");
}

/* What lies behind goes, and what is in front stays. */
TEST(cut)
{
    struct place place = place_new();
    struct disk *disk = place.disk;
    struct disk_file *file = NULL;
    uint64_t size = 0;
    disk->ops->open(disk, "a", DISK_CREATE, &file);
    write_at(disk, file, "first", 0);
    write_at(disk, file, "last", 100000);
    is_int(disk->ops->cut(file, 8192), 0, "a file is cut");
    disk->ops->size(file, &size);
    is_int(size, 8192, "to this size");
    disk->ops->close(file);
    place_free(&place);
}

TEST(names)
{
    struct place place = place_new();
    struct disk *disk = place.disk;
    struct disk_file *file = NULL;
    char path[128];
    snprintf(path, sizeof(path), "%s/index", place.path);
    mkdir(path, 0700);
    disk->ops->open(disk, "a", DISK_CREATE, &file);
    write_at(disk, file, "first", 0);
    disk->ops->close(file);
    disk->ops->open(disk, "b", DISK_CREATE, &file);
    disk->ops->close(file);
    is_int(disk->ops->rename(disk, "a", "b"), 0, "a rename replaces what was there");
    is_int(disk->ops->rename(disk, "a", "b"), ENOENT, "and needs something to rename");
    char names[256] = "";
    is_int(disk->ops->list(disk, join, names), 0, "the list");
    is_str(names, "b;", "has the file, and no folder");
    char again[256] = "";
    disk->ops->list(disk, join, again);
    is_str(again, "b;", "each time anew");
    is_int(disk->ops->unlink(disk, "b"), 0, "unlink");
    is_int(disk->ops->unlink(disk, "b"), ENOENT, "once");
    uint64_t total = 0, bytes = 0;
    is_int(disk->ops->free_space(disk, &bytes, &total), 0, "free space");
    ok(bytes > 0 && bytes <= total, "there is some, and not more than there is in all");
    rmdir(path);
    place_free(&place);
}

TEST(no_folder)
{
    ok(!disk_posix_new("test_store_disk.nowhere"), "a missing folder is not opened");
    is_int(errno, ENOENT, "for that reason");
    disk_posix_free(NULL);
}

int main(void)
{
    RUN(modes);
    RUN(read_and_write);
    RUN(one_after_the_other);
    RUN(again_from_the_front);
    RUN(many_parts);
    RUN(cut);
    RUN(names);
    RUN(no_folder);
    return done();
}
