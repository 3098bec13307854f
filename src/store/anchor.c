/* The anchor: a file of its own that says which checkpoint was the last. It is written when the
 * checkpoint is durable and before any file goes that only earlier checkpoints need. A key-value
 * store that comes back with an earlier one, whole and sound in itself, has lost something;
 * replaying the journal from there might find a part of it gone, and might not notice.
 *
 * Two slots are written in turn, so that one is whole whenever a crash comes:
 *
 *     0   4  LVRA
 *     4   4  version
 *     8   8  number of the checkpoint
 *     16  4  checksum of bytes 0 to 15
 *
 * The slot of a number is at offset 0 if it is even, and at 4096 if it is odd. The higher number of
 * those that are sound counts. */
#include <errno.h>

#include "base/crc32c.h"
#include "store/internal.h"

enum { ANCHOR_VERSION = 1, SLOT_SIZE = 20, SLOT_DISTANCE = 4096 };

static int open_or_create(struct disk *disk, struct disk_file **file)
{
    int error = disk->ops->open(disk, ANCHOR_NAME, DISK_WRITE, file);
    return error == ENOENT ? disk->ops->open(disk, ANCHOR_NAME, DISK_CREATE, file) : error;
}

int anchor_write(struct disk *disk, uint64_t number)
{
    struct buffer slot = {0};
    struct disk_file *file;
    int error = open_or_create(disk, &file);
    if (error)
        return error;
    buffer_add(&slot, "LVRA", 4);
    buffer_add_u32(&slot, ANCHOR_VERSION);
    buffer_add_u64(&slot, number);
    buffer_add_u32(&slot, crc32c(0, slot.data, slot.size));
    struct iovec part = {slot.data, slot.size};
    error = disk->ops->write(file, &part, 1, number % 2 * SLOT_DISTANCE);
    if (!error && !planted(PLANTED_ANCHOR_NOT_SYNCED))
        error = disk->ops->sync(file);
    disk->ops->close(file);
    buffer_free(&slot);
    /* Its name, too: an earlier attempt may have made it and come no further. */
    return error ? error : disk->ops->sync_folder(disk);
}

static int read_slot(struct disk *disk, struct disk_file *file, uint64_t at, uint64_t *number)
{
    uint8_t bytes[SLOT_SIZE];
    uint64_t got;
    int error = disk->ops->read(file, bytes, sizeof(bytes), at, &got);
    if (error || got < sizeof(bytes) || memcmp(bytes, "LVRA", 4) != 0)
        return error;
    struct cursor cursor = cursor_of(bytes_of(bytes + 4, SLOT_SIZE - 4));
    uint32_t version = cursor_u32(&cursor);
    uint64_t found = cursor_u64(&cursor);
    if (cursor_u32(&cursor) != crc32c(0, bytes, SLOT_SIZE - 4))
        return 0;
    if (version > ANCHOR_VERSION)
        return ENOTSUP;
    if (found > *number)
        *number = found;
    return 0;
}

int anchor_read(struct disk *disk, uint64_t *number)
{
    struct disk_file *file;
    *number = 0;
    int error = disk->ops->open(disk, ANCHOR_NAME, DISK_READ, &file);
    if (error)
        return error == ENOENT ? 0 : error;
    error = read_slot(disk, file, 0, number);
    if (!error)
        error = read_slot(disk, file, SLOT_DISTANCE, number);
    disk->ops->close(file);
    return error;
}
