/* What all copies of a store have in common: while one is made a file in its folder says that it is no
 * store yet; and when it is to be used beside what it was copied from, or in its place, it becomes
 * a store of its own, so that files of both are never taken for files of one. */
#include <errno.h>
#include <stdio.h>

#include "base/mem.h"
#include "store/internal.h"

int store_copy_begin(struct disk *disk, const char *maker)
{
    struct disk_file *file;
    struct iovec part = {(void *)(uintptr_t)maker, strlen(maker)};
    int error = disk->ops->open(disk, STORE_UNFINISHED, DISK_CREATE, &file);
    if (error == EEXIST)
        error = disk->ops->open(disk, STORE_UNFINISHED, DISK_WRITE, &file);
    if (error)
        return error;
    error = disk->ops->write(file, &part, 1, 0);
    if (!error)
        error = disk->ops->sync(file);
    disk->ops->close(file);
    return error ? error : disk->ops->sync_folder(disk);
}

int store_copy_end(struct disk *disk)
{
    int error = disk->ops->sync_folder(disk);
    if (!error)
        error = disk->ops->unlink(disk, STORE_UNFINISHED);
    return error ? error : disk->ops->sync_folder(disk);
}

/* ---- an identity of its own ---- */

struct adoption {
    struct disk *disk;
    const uint8_t *id;
    int error;
    char name[32]; /* of the file that could not be written */
};

static int read_block(struct disk *disk, const char *name, uint8_t block[DISK_BLOCK], uint64_t *got)
{
    struct disk_file *file;
    int error = disk->ops->open(disk, name, DISK_READ, &file);
    if (error)
        return error;
    error = disk->ops->read(file, block, DISK_BLOCK, 0, got);
    disk->ops->close(file);
    return error;
}

static int write_block(struct disk *disk, const char *name, uint8_t *block, uint64_t size)
{
    struct disk_file *file;
    struct iovec part = {block, size};
    int error = disk->ops->open(disk, name, DISK_WRITE, &file);
    if (error)
        return error;
    error = disk->ops->write(file, &part, 1, 0);
    if (!error)
        error = disk->ops->sync(file);
    disk->ops->close(file);
    return error;
}

/* All of its block, as a write may leave zeros behind it. A header that is bad stays as it is. */
static int adopt_header(struct disk *disk, const char *name, uint32_t number, const uint8_t *id)
{
    uint8_t block[DISK_BLOCK];
    struct segment_header header;
    uint64_t got = 0;
    int error = read_block(disk, name, block, &got);
    if (error || got < SEGMENT_HEADER || segment_header_read(block, &header) != RECORD_OK ||
        header.segment != number)
        return error;
    memcpy(header.store, id, IDENTITY_SIZE);
    segment_header_write(block, &header);
    return write_block(disk, name, block, got);
}

static void adopt_segment(void *context, const char *name)
{
    struct adoption *adoption = context;
    uint32_t number = segment_number(name);
    if (number == 0 || adoption->error)
        return;
    adoption->error = adopt_header(adoption->disk, name, number, adoption->id);
    snprintf(adoption->name, sizeof(adoption->name), "%s", name);
}

static bool adopt_index(struct kv *kv, const uint8_t *id, char *error, size_t error_size)
{
    struct buffer batch = {0};
    kv_batch_put_sealed(&batch, bytes_str("I"), bytes_of(id, IDENTITY_SIZE));
    bool ok = kv->ops->open(kv) >= 0 && kv->ops->write(kv, buffer_bytes(&batch), true) >= 0;
    if (!ok)
        snprintf(error, error_size, "the index: %s", kv->error);
    kv->ops->close(kv);
    buffer_free(&batch);
    return ok;
}

/* Without it nothing tells which file of the journal was the last. */
static bool read_identity(struct disk *disk, struct identity *identity, char *error,
                          size_t error_size)
{
    int failed = identity_read(disk, identity);
    if (!failed && identity->written && !identity->is_damaged)
        return true;
    snprintf(error, error_size, "the file " IDENTITY_NAME " %s%s",
             failed ? "cannot be read: " : "is damaged or missing",
             failed == ENOTSUP ? "it is of a newer version" : failed ? strerror(failed) : "");
    return false;
}

bool store_copy_adopt(struct disk *disk, struct kv *kv, const uint8_t id[16], char *error,
                      size_t error_size)
{
    struct identity identity;
    struct adoption adoption = {.disk = disk, .id = id};
    if (!read_identity(disk, &identity, error, error_size))
        return false;
    int failed = disk->ops->list(disk, adopt_segment, &adoption);
    if (failed || adoption.error) {
        snprintf(error, error_size, "%s: %s", failed ? "the folder" : adoption.name,
                 strerror(failed ? failed : adoption.error));
        return false;
    }
    if (!adopt_index(kv, id, error, error_size))
        return false;
    memcpy(identity.id, id, IDENTITY_SIZE);
    identity.written = 0;
    if (planted(PLANTED_LAST_FORGOTTEN))
        identity.segment = 0;
    failed = identity_write(disk, &identity);
    if (failed)
        snprintf(error, error_size, "the file " IDENTITY_NAME ": %s", strerror(failed));
    return failed == 0;
}
