/* The identity of a store: a random number that its segments and its index carry as well, so that files
 * of different stores are not mixed, the number of the last segment that was begun, and that of a batch
 * that was synced (one that came after a quiet moment), so that what is gone is missed although nothing
 * behind it could tell.
 *
 * Two slots are written in turn, so that one is whole whenever a crash comes:
 *
 *     0   4  LVRI
 *     4   4  version
 *     8  16  the random number
 *     24  8  how often it was written
 *     32  4  last segment
 *     36  8  batch that was synced
 *     44  4  checksum of bytes 0 to 43
 *     48  4  last segment whose header had been synced before it was told here; 0: that is not said
 *     52  4  checksum of bytes 0 to 51, or zeros with what is before
 *
 * at offset 0 if it was written an even number of times, and at 4096 if it was an odd one. The later one
 * of those that are sound counts. */
#include <errno.h>

#include "base/crc32c.h"
#include "store/journal.h"

enum { IDENTITY_VERSION = 1, SLOT_FIRST = 48, SLOT_SIZE = 56, SLOT_DISTANCE = 4096 };

static int open_or_create(struct disk *disk, struct disk_file **file)
{
    int error = disk->ops->open(disk, IDENTITY_NAME, DISK_WRITE, file);
    return error == ENOENT ? disk->ops->open(disk, IDENTITY_NAME, DISK_CREATE, file) : error;
}

/* All of its block, so that the file has its size from the beginning: a full disk takes it later on. */
static int write_slot(struct disk *disk, struct disk_file *file, const struct identity *identity)
{
    struct buffer slot = {0};
    buffer_add(&slot, "LVRI", 4);
    buffer_add_u32(&slot, IDENTITY_VERSION);
    buffer_add(&slot, identity->id, sizeof(identity->id));
    buffer_add_u64(&slot, identity->written);
    buffer_add_u32(&slot, identity->segment);
    buffer_add_u64(&slot, identity->batch);
    buffer_add_u32(&slot, crc32c(0, slot.data, slot.size));
    buffer_add_u32(&slot, identity->headed);
    buffer_add_u32(&slot, crc32c(0, slot.data, slot.size));
    memset(buffer_room(&slot, SLOT_DISTANCE - SLOT_SIZE), 0, SLOT_DISTANCE - SLOT_SIZE);
    buffer_added(&slot, SLOT_DISTANCE - SLOT_SIZE);
    struct iovec part = {slot.data, slot.size};
    int error = disk->ops->write(file, &part, 1, identity->written % 2 * SLOT_DISTANCE);
    buffer_free(&slot);
    return error;
}

/* Both slots of a file that was just made. */
static int write_first(struct disk *disk, struct disk_file *file, struct identity *identity)
{
    identity->written = 1;
    int error = write_slot(disk, file, identity);
    identity->written = 2;
    return error ? error : write_slot(disk, file, identity);
}

int identity_write(struct disk *disk, struct identity *identity)
{
    struct disk_file *file;
    int error = open_or_create(disk, &file);
    if (error)
        return error;
    bool is_first = identity->written == 0;
    identity->written++;
    error = is_first ? write_first(disk, file, identity) : write_slot(disk, file, identity);
    if (!error)
        error = disk->ops->sync(file);
    disk->ops->close(file);
    return error || !is_first ? error : disk->ops->sync_folder(disk);
}

/* What is behind the first part of a slot; earlier versions wrote zeros. False: it is not sound. */
static bool read_headed(const uint8_t *bytes, uint32_t *headed)
{
    struct cursor cursor = cursor_of(bytes_of(bytes + SLOT_FIRST, SLOT_SIZE - SLOT_FIRST));
    *headed = cursor_u32(&cursor);
    uint32_t checksum = cursor_u32(&cursor);
    return (*headed == 0 && checksum == 0) || checksum == crc32c(0, bytes, SLOT_SIZE - 4);
}

/* 0, also for a slot that is not sound, which is counted. */
static int read_slot(struct disk *disk, struct disk_file *file, uint64_t at,
                     struct identity *identity, uint32_t *bad)
{
    uint8_t bytes[SLOT_SIZE];
    uint64_t got;
    int error = disk->ops->read(file, bytes, sizeof(bytes), at, &got);
    if (error)
        return error;
    struct cursor cursor = cursor_of(bytes_of(bytes, SLOT_SIZE));
    bool has_magic = got == sizeof(bytes) && bytes_equal_str(cursor_bytes(&cursor, 4), "LVRI");
    uint32_t version = cursor_u32(&cursor);
    struct bytes id = cursor_bytes(&cursor, sizeof(identity->id));
    uint64_t written = cursor_u64(&cursor);
    uint32_t segment = cursor_u32(&cursor);
    uint64_t batch = cursor_u64(&cursor);
    uint32_t headed = 0;
    if (!has_magic || cursor_u32(&cursor) != crc32c(0, bytes, SLOT_FIRST - 4) ||
        !read_headed(bytes, &headed)) {
        ++*bad;
        return 0;
    }
    if (version > IDENTITY_VERSION)
        return ENOTSUP;
    if (written < identity->written)
        return 0;
    memcpy(identity->id, id.data, sizeof(identity->id));
    identity->written = written;
    identity->segment = segment;
    identity->batch = batch;
    identity->headed = headed;
    return 0;
}

int identity_read(struct disk *disk, struct identity *identity)
{
    struct disk_file *file;
    uint32_t bad = 0;
    *identity = (struct identity){0};
    int error = disk->ops->open(disk, IDENTITY_NAME, DISK_READ, &file);
    if (error)
        return error == ENOENT ? 0 : error;
    error = read_slot(disk, file, 0, identity, &bad);
    if (!error)
        error = read_slot(disk, file, SLOT_DISTANCE, identity, &bad);
    identity->is_damaged = bad > 0;
    disk->ops->close(file);
    return error;
}

bool identity_is(const uint8_t id[IDENTITY_SIZE])
{
    static const uint8_t none[IDENTITY_SIZE];
    return memcmp(id, none, IDENTITY_SIZE) != 0;
}

bool identity_differs(const uint8_t a[IDENTITY_SIZE], const uint8_t b[IDENTITY_SIZE])
{
    return identity_is(a) && identity_is(b) && memcmp(a, b, IDENTITY_SIZE) != 0;
}
