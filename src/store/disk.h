/* The disk, as the store sees it: one folder of files with plain names. The daemon's disk is
 * disk_posix.c; tests hand in one that lies in memory, fails on command and forgets what was not
 * synced. Every function may be called from the store's helper threads.
 *
 * Functions that return int give 0 or an errno value. */
#ifndef LEVERET_STORE_DISK_H
#define LEVERET_STORE_DISK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

enum disk_mode {
    DISK_READ,   /* must exist */
    DISK_WRITE,  /* must exist; to be written only */
    DISK_CREATE, /* must not exist; to be written only */
};

enum { DISK_BLOCK = 4096 };

struct disk;
struct disk_file; /* the implementation's */

struct disk_ops {
    int (*open)(struct disk *disk, const char *name, enum disk_mode mode, struct disk_file **file);
    void (*close)(struct disk_file *file);
    /* Writes all of it, or fails; a failure may have written a part. `parts` may be changed. Files are
     * written from front to back: what lay behind the end in the same block of DISK_BLOCK bytes may
     * be zeros afterwards, up to the block's end, and the file as long. */
    int (*write)(struct disk_file *file, struct iovec *parts, int count, uint64_t offset);
    /* The same, and then sync; ENOSPC and EDQUOT are of the write. May be NULL. */
    int (*write_sync)(struct disk_file *file, struct iovec *parts, int count, uint64_t offset);
    /* Reads up to `size` bytes; *got is less only at the end of the file. */
    int (*read)(struct disk_file *file, void *data, uint64_t size, uint64_t offset, uint64_t *got);
    /* fdatasync: contents, and the length if it grew. */
    int (*sync)(struct disk_file *file);
    int (*size)(struct disk_file *file, uint64_t *size);
    int (*rename)(struct disk *disk, const char *from, const char *to); /* replaces `to` */
    int (*unlink)(struct disk *disk, const char *name);
    int (*sync_folder)(struct disk *disk); /* makes creates, renames and unlinks durable */
    /* Calls `each` for every file. */
    int (*list)(struct disk *disk, void (*each)(void *context, const char *name), void *context);
    /* What is free for us, and the size of the whole disk. */
    int (*free_space)(struct disk *disk, uint64_t *bytes, uint64_t *total);
    /* Makes sure that the first `size` bytes have room on the disk. May be NULL: it cannot. */
    int (*allocate)(struct disk_file *file, uint64_t size);
    /* Makes the file known by the same name in another disk of the same kind. May be NULL, or fail:
     * it cannot, and the file has to be copied. */
    int (*link)(struct disk *disk, const char *name, struct disk *to);
    /* Is it known by another name as well, so that it must not be written to for another use? May
     * be NULL: none is. */
    bool (*is_shared)(struct disk *disk, const char *name);
    /* Gives up what lies behind the first `size` bytes. A crash may bring it back. May be NULL. */
    int (*cut)(struct disk_file *file, uint64_t size);
};

struct disk {
    const struct disk_ops *ops;
};

/* The folder `path` of the file system, which must exist; NULL and errno when it cannot be opened.
 * Freed with disk_posix_free. */
struct disk *disk_posix_new(const char *path);
void disk_posix_free(struct disk *disk);

#endif
