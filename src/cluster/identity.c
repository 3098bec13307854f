/* Two slots of one block each are written in turn, so that one is whole whenever a crash comes. A
 * slot, little-endian:
 *
 *     0     4  LVRN
 *     4     4  version
 *     8     8  how often it was written
 *     16   16  node
 *     32   16  cluster
 *     48    8  generation of the cluster
 *     56    4  generation of its seats
 *     60    8  incarnation
 *     68    2  number of nonces
 *     70    2  number of nodes seen
 *     72  512  nonces
 *     584 2048 nodes seen: id 16, incarnation 8, nonce 8
 *     4092  4  checksum of all before
 *
 * at offset 0 if it was written an even number of times, and at 4096 if it was an odd one. The
 * later one of those that are sound counts. The file appears with both, under another name first,
 * so that a folder has a whole one or none. */
#include "cluster/identity.h"

#include <errno.h>
#include <string.h>

#include "base/buffer.h"
#include "base/crc32c.h"

#define NODE_FILE_NEW "node.new"

enum { NODE_VERSION = 1, SLOT_BYTES = DISK_BLOCK, CHECKSUM_AT = SLOT_BYTES - 4 };

bool node_id_is(const uint8_t id[NODE_ID_BYTES])
{
    static const uint8_t none[NODE_ID_BYTES];
    return memcmp(id, none, NODE_ID_BYTES) != 0;
}

bool node_id_equal(const uint8_t a[NODE_ID_BYTES], const uint8_t b[NODE_ID_BYTES])
{
    return memcmp(a, b, NODE_ID_BYTES) == 0;
}

/* ---- a slot ---- */

static void pad(struct buffer *slot, size_t size)
{
    memset(buffer_room(slot, size - slot->size), 0, size - slot->size);
    buffer_added(slot, size - slot->size);
}

static void add_nonces(struct buffer *slot, const struct node_identity *identity)
{
    for (uint32_t i = 0; i < NODE_NONCES; i++)
        buffer_add_u64(slot, i < identity->nonce_count ? identity->nonces[i] : 0);
}

static void add_seen(struct buffer *slot, const struct node_identity *identity)
{
    for (uint32_t i = 0; i < identity->seen_count; i++) {
        buffer_add(slot, identity->seen[i].node, NODE_ID_BYTES);
        buffer_add_u64(slot, identity->seen[i].incarnation);
        buffer_add_u64(slot, identity->seen[i].nonce);
    }
}

static void make_slot(struct buffer *slot, const struct node_identity *identity)
{
    buffer_add(slot, "LVRN", 4);
    buffer_add_u32(slot, NODE_VERSION);
    buffer_add_u64(slot, identity->written);
    buffer_add(slot, identity->node, NODE_ID_BYTES);
    buffer_add(slot, identity->cluster, NODE_ID_BYTES);
    buffer_add_u64(slot, identity->cluster_generation);
    buffer_add_u32(slot, identity->seat_generation);
    buffer_add_u64(slot, identity->incarnation);
    buffer_add_u16(slot, (uint16_t)identity->nonce_count);
    buffer_add_u16(slot, (uint16_t)identity->seen_count);
    add_nonces(slot, identity);
    add_seen(slot, identity);
    pad(slot, CHECKSUM_AT);
    buffer_add_u32(slot, crc32c(0, slot->data, slot->size));
}

static int write_slot(struct disk *disk, struct disk_file *file,
                      const struct node_identity *identity)
{
    struct buffer slot = {0};
    make_slot(&slot, identity);
    struct iovec part = {slot.data, slot.size};
    int error = disk->ops->write(file, &part, 1, identity->written % 2 * SLOT_BYTES);
    buffer_free(&slot);
    return error;
}

static void take(struct cursor *cursor, void *to, size_t size)
{
    struct bytes bytes = cursor_bytes(cursor, size);
    if (bytes.data)
        memcpy(to, bytes.data, size);
}

static void read_fields(struct cursor *cursor, struct node_identity *out)
{
    out->written = cursor_u64(cursor);
    take(cursor, out->node, NODE_ID_BYTES);
    take(cursor, out->cluster, NODE_ID_BYTES);
    out->cluster_generation = cursor_u64(cursor);
    out->seat_generation = cursor_u32(cursor);
    out->incarnation = cursor_u64(cursor);
    out->nonce_count = cursor_u16(cursor);
    out->seen_count = cursor_u16(cursor);
    for (uint32_t i = 0; i < NODE_NONCES; i++)
        out->nonces[i] = cursor_u64(cursor);
    for (uint32_t i = 0; i < NODE_SEEN && i < out->seen_count; i++) {
        take(cursor, out->seen[i].node, NODE_ID_BYTES);
        out->seen[i].incarnation = cursor_u64(cursor);
        out->seen[i].nonce = cursor_u64(cursor);
    }
}

static bool is_sound(const struct node_identity *identity)
{
    return identity->written && node_id_is(identity->node) &&
           identity->nonce_count <= NODE_NONCES && identity->seen_count <= NODE_SEEN;
}

/* A slot that is not sound is passed over. 0 or an errno value. */
static int read_slot(struct disk *disk, struct disk_file *file, uint64_t at,
                     struct node_identity *best)
{
    uint8_t bytes[SLOT_BYTES];
    struct node_identity read = {0};
    uint64_t got;
    int error = disk->ops->read(file, bytes, sizeof(bytes), at, &got);
    if (error || got != sizeof(bytes))
        return error;
    struct cursor cursor = cursor_of(bytes_of(bytes, sizeof(bytes)));
    struct cursor sum = cursor_of(bytes_of(bytes + CHECKSUM_AT, 4));
    bool has_magic = bytes_equal_str(cursor_bytes(&cursor, 4), "LVRN");
    uint32_t version = cursor_u32(&cursor);
    if (!has_magic || cursor_u32(&sum) != crc32c(0, bytes, CHECKSUM_AT))
        return 0;
    if (version > NODE_VERSION)
        return ENOTSUP;
    read_fields(&cursor, &read);
    if (is_sound(&read) && read.written > best->written)
        *best = read;
    return 0;
}

/* ---- the file ---- */

int node_identity_read(struct disk *disk, struct node_identity *identity)
{
    struct disk_file *file;
    *identity = (struct node_identity){0};
    int error = disk->ops->open(disk, NODE_FILE, DISK_READ, &file);
    if (error)
        return error == ENOENT ? 0 : error;
    error = read_slot(disk, file, 0, identity);
    if (!error)
        error = read_slot(disk, file, SLOT_BYTES, identity);
    disk->ops->close(file);
    if (!error && identity->written == 0)
        return EBADMSG;
    return error;
}

/* Both slots, and only then its name. */
static int write_new(struct disk *disk, struct node_identity *identity)
{
    struct disk_file *file;
    int error = disk->ops->unlink(disk, NODE_FILE_NEW);
    if (error && error != ENOENT)
        return error;
    error = disk->ops->open(disk, NODE_FILE_NEW, DISK_CREATE, &file);
    if (error)
        return error;
    for (identity->written = 2; !error && identity->written < 4; identity->written++)
        error = write_slot(disk, file, identity);
    identity->written = 3;
    if (!error)
        error = disk->ops->sync(file);
    disk->ops->close(file);
    if (!error)
        error = disk->ops->rename(disk, NODE_FILE_NEW, NODE_FILE);
    return error ? error : disk->ops->sync_folder(disk);
}

static int write_next(struct disk *disk, struct node_identity *identity)
{
    struct disk_file *file;
    int error = disk->ops->open(disk, NODE_FILE, DISK_WRITE, &file);
    if (error)
        return error;
    identity->written++;
    error = write_slot(disk, file, identity);
    if (!error)
        error = disk->ops->sync(file);
    disk->ops->close(file);
    return error;
}

int node_identity_write(struct disk *disk, struct node_identity *identity)
{
    uint64_t written = identity->written;
    int error = written ? write_next(disk, identity) : write_new(disk, identity);
    if (error)
        identity->written = written;
    return error;
}

static void add_nonce(struct node_identity *identity, uint64_t nonce)
{
    if (identity->nonce_count == NODE_NONCES) {
        identity->nonce_count--;
        memmove(identity->nonces, identity->nonces + 1,
                identity->nonce_count * sizeof(identity->nonces[0]));
    }
    identity->nonces[identity->nonce_count++] = nonce;
}

int node_identity_start(struct disk *disk, const uint8_t id[NODE_ID_BYTES], uint64_t nonce,
                        struct node_identity *identity)
{
    int error = node_identity_read(disk, identity);
    if (error)
        return error;
    if (identity->written == 0)
        memcpy(identity->node, id, NODE_ID_BYTES);
    identity->incarnation++;
    add_nonce(identity, nonce);
    return node_identity_write(disk, identity);
}

/* ---- others ---- */

static struct node_seen *find(struct node_identity *identity, const uint8_t node[NODE_ID_BYTES])
{
    for (uint32_t i = 0; i < identity->seen_count; i++)
        if (node_id_equal(identity->seen[i].node, node))
            return &identity->seen[i];
    return NULL;
}

bool node_identity_saw(struct node_identity *identity, const struct node_seen *seen)
{
    struct node_seen *known = find(identity, seen->node);
    if (!known && identity->seen_count == NODE_SEEN)
        return false;
    if (!known)
        known = &identity->seen[identity->seen_count++];
    *known = *seen;
    return true;
}

const struct node_seen *node_identity_seen(const struct node_identity *identity,
                                           const uint8_t node[NODE_ID_BYTES])
{
    for (uint32_t i = 0; i < identity->seen_count; i++)
        if (node_id_equal(identity->seen[i].node, node))
            return &identity->seen[i];
    return NULL;
}

void node_identity_forget(struct node_identity *identity, const uint8_t node[NODE_ID_BYTES])
{
    struct node_seen *known = find(identity, node);
    if (known)
        *known = identity->seen[--identity->seen_count];
}
