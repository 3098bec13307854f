/* Batches of changes, as bytes: for each change a tag (1: put, 2: delete), the key's size and the
 * key, and for a put the value's size and the value. Sizes are varints. Batches never reach a disk
 * in this form; every kv turns them into its own. */
#include "store/kv.h"

#include "base/crc32c.h"

enum { TAG_PUT = 1, TAG_DELETE = 2, SEAL_SIZE = 4 };

static void add_bytes(struct buffer *batch, struct bytes bytes)
{
    buffer_add_varint(batch, bytes.size);
    buffer_add(batch, bytes.data, bytes.size);
}

void kv_batch_put(struct buffer *batch, struct bytes key, struct bytes value)
{
    buffer_add_u8(batch, TAG_PUT);
    add_bytes(batch, key);
    add_bytes(batch, value);
}

void kv_batch_delete(struct buffer *batch, struct bytes key)
{
    buffer_add_u8(batch, TAG_DELETE);
    add_bytes(batch, key);
}

static uint32_t seal_of(struct bytes key, struct bytes value)
{
    return crc32c(crc32c(0, key.data, key.size), value.data, value.size);
}

void kv_batch_put_sealed(struct buffer *batch, struct bytes key, struct bytes value)
{
    buffer_add_u8(batch, TAG_PUT);
    add_bytes(batch, key);
    buffer_add_varint(batch, value.size + SEAL_SIZE);
    buffer_add(batch, value.data, value.size);
    buffer_add_u32(batch, seal_of(key, value));
}

bool kv_value_open(struct bytes key, struct bytes *value)
{
    if (value->size < SEAL_SIZE)
        return false;
    struct bytes inner = bytes_of(value->data, value->size - SEAL_SIZE);
    struct cursor cursor = cursor_of(bytes_of(value->data + inner.size, SEAL_SIZE));
    if (cursor_u32(&cursor) != seal_of(key, inner))
        return false;
    *value = inner;
    return true;
}

int kv_get_sealed(struct kv *kv, struct bytes key, struct buffer *value)
{
    size_t before = value->size;
    int found = kv->ops->get(kv, key, value);
    if (found != 1 || value->size == before)
        return found < 0 ? found : 0;
    struct bytes bytes = bytes_of(value->data + before, value->size - before);
    bool sound = kv_value_open(key, &bytes);
    value->size = sound ? before + bytes.size : before;
    return sound ? 1 : 0;
}

static struct bytes take_bytes(struct cursor *cursor)
{
    uint64_t size = cursor_varint(cursor);
    return cursor_bytes(cursor, size);
}

bool kv_batch_next(struct cursor *cursor, bool *put, struct bytes *key, struct bytes *value)
{
    if (cursor->bad || cursor_left(cursor) == 0)
        return false;
    uint8_t tag = cursor_u8(cursor);
    if (tag != TAG_PUT && tag != TAG_DELETE)
        cursor->bad = true;
    *put = tag == TAG_PUT;
    *key = take_bytes(cursor);
    *value = *put ? take_bytes(cursor) : bytes_of(NULL, 0);
    return !cursor->bad;
}
