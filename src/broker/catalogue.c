#include "broker/catalogue.h"

#include <assert.h>

#include "base/digest.h"
#include "broker/user.h"

enum { FLAG_AUTO_DELETE = 1, FLAG_INTERNAL = 2 };

/* ---- writing ---- */

static void add_name(struct buffer *out, struct bytes name)
{
    assert(name.size <= UINT8_MAX);
    buffer_add_u8(out, (uint8_t)name.size);
    buffer_add(out, name.data, name.size);
}

static void add_arguments(struct buffer *out, struct bytes arguments)
{
    buffer_add_varint(out, arguments.size);
    buffer_add(out, arguments.data, arguments.size);
}

static bool is_in_vhost(enum catalogue_kind kind)
{
    return kind != CATALOGUE_VHOST && kind != CATALOGUE_USER;
}

static uint8_t kind_of_destination(const struct change *change)
{
    return change->to_queue ? CATALOGUE_QUEUE : CATALOGUE_EXCHANGE;
}

static void add_digest(struct buffer *out, struct bytes arguments)
{
    uint8_t digest[SHA256_SIZE];
    sha256(arguments, bytes_of(NULL, 0), digest);
    buffer_add(out, digest, sizeof(digest));
}

static void write_key(const struct change *change, struct buffer *out)
{
    buffer_add_u8(out, (uint8_t)change->kind);
    if (is_in_vhost(change->kind))
        add_name(out, change->vhost);
    if (change->kind == CATALOGUE_BINDING)
        add_name(out, change->source);
    if (change->kind == CATALOGUE_BINDING || change->kind == CATALOGUE_LEAVING)
        buffer_add_u8(out, kind_of_destination(change));
    add_name(out, change->name);
    if (change->kind == CATALOGUE_BINDING) {
        add_name(out, change->routing_key);
        if (change->arguments.size)
            add_digest(out, change->arguments);
    }
}

static void add_flags(struct buffer *out, const struct change *change)
{
    buffer_add_u8(out, (uint8_t)((change->auto_delete ? FLAG_AUTO_DELETE : 0) |
                                 (change->internal ? FLAG_INTERNAL : 0)));
}

static void write_value(const struct change *change, struct buffer *out)
{
    buffer_add_u8(out, CATALOGUE_VERSION);
    switch (change->kind) {
    case CATALOGUE_LEAVING:
    case CATALOGUE_VHOST:
        return;
    case CATALOGUE_USER:
        buffer_add_u8(out, change->password_hash.size != 0);
        buffer_add(out, change->password_hash.data, change->password_hash.size);
        return;
    case CATALOGUE_EXCHANGE:
        add_flags(out, change);
        add_name(out, change->type);
        add_arguments(out, change->arguments);
        return;
    case CATALOGUE_QUEUE:
        buffer_add_u64(out, change->id);
        add_flags(out, change);
        add_arguments(out, change->arguments);
        return;
    case CATALOGUE_BINDING:
        add_arguments(out, change->arguments);
    }
}

void catalogue_write(const struct change *change, struct buffer *room, struct bytes *key,
                     struct bytes *value)
{
    room->size = 0;
    write_key(change, room);
    size_t key_size = room->size;
    if (!change->is_delete)
        write_value(change, room);
    *key = bytes_of(room->data, key_size);
    *value = bytes_of(room->data + key_size, room->size - key_size);
}

/* ---- reading ---- */

static struct bytes take_name(struct cursor *cursor)
{
    size_t size = cursor_u8(cursor);
    return cursor_bytes(cursor, size);
}

static void take_arguments(struct cursor *cursor, struct change *change)
{
    size_t size = cursor_varint(cursor);
    change->arguments = cursor_bytes(cursor, size);
}

static void take_flags(struct cursor *cursor, struct change *change)
{
    uint8_t flags = cursor_u8(cursor);
    change->auto_delete = flags & FLAG_AUTO_DELETE;
    change->internal = flags & FLAG_INTERNAL;
}

static void read_key(struct cursor *key, struct change *change)
{
    change->kind = cursor_u8(key);
    if (is_in_vhost(change->kind))
        change->vhost = take_name(key);
    if (change->kind == CATALOGUE_BINDING)
        change->source = take_name(key);
    if (change->kind == CATALOGUE_BINDING || change->kind == CATALOGUE_LEAVING) {
        uint8_t kind = cursor_u8(key);
        key->bad |= kind != CATALOGUE_QUEUE && kind != CATALOGUE_EXCHANGE;
        change->to_queue = kind == CATALOGUE_QUEUE;
    }
    change->name = take_name(key);
    if (change->kind == CATALOGUE_BINDING) {
        change->routing_key = take_name(key);
        if (cursor_left(key))
            cursor_bytes(key, SHA256_SIZE);
    }
}

static bool read_value(struct cursor *value, struct change *change)
{
    switch (change->kind) {
    case CATALOGUE_LEAVING:
    case CATALOGUE_VHOST:
        return true;
    case CATALOGUE_USER:
        if (cursor_u8(value))
            change->password_hash = cursor_bytes(value, PASSWORD_HASH_SIZE);
        return true;
    case CATALOGUE_EXCHANGE:
        take_flags(value, change);
        change->type = take_name(value);
        take_arguments(value, change);
        return true;
    case CATALOGUE_QUEUE:
        change->id = cursor_u64(value);
        take_flags(value, change);
        take_arguments(value, change);
        return true;
    case CATALOGUE_BINDING:
        take_arguments(value, change);
        return true;
    }
    return false;
}

bool catalogue_is_newer(struct bytes key, struct bytes value)
{
    return (key.size && key.data[0] > CATALOGUE_LAST) ||
           (value.size && value.data[0] > CATALOGUE_VERSION);
}

enum catalogue_result catalogue_read(struct bytes key, struct bytes value, struct change *change)
{
    struct cursor keys = cursor_of(key), values = cursor_of(value);
    *change = (struct change){.durable = true};
    read_key(&keys, change);
    uint8_t version = cursor_u8(&values);
    if (catalogue_is_newer(key, value))
        return CATALOGUE_NEWER;
    bool known = read_value(&values, change);
    bool whole = !keys.bad && !values.bad && cursor_left(&keys) == 0 && cursor_left(&values) == 0;
    return known && whole && version ? CATALOGUE_OK : CATALOGUE_MALFORMED;
}
