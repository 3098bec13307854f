#include "broker/catalogue.h"

#include <assert.h>

#include "base/digest.h"
#include "base/planted.h"
#include "broker/password.h"

enum { FLAG_AUTO_DELETE = 1, FLAG_INTERNAL = 2, FLAG_GOING = 4, FLAG_ID = 8, FLAG_PROTECTED = 16, FLAG_MIRRORED = 32 };

/* ---- writing ---- */

static void add_name(struct buffer *out, struct bytes name)
{
    assert(name.size <= UINT8_MAX);
    buffer_add_u8(out, (uint8_t)name.size);
    buffer_add(out, name.data, name.size);
}

/* A string in a value; the arguments are one. */
static void add_string(struct buffer *out, struct bytes string)
{
    buffer_add_varint(out, string.size);
    buffer_add(out, string.data, string.size);
}

static void add_limit(struct buffer *out, struct limit limit)
{
    buffer_add_varint(out, limit.is_set ? (uint64_t)limit.most + 1 : 0);
}

static bool holds_others(enum catalogue_kind kind)
{
    return kind == CATALOGUE_VHOST || kind == CATALOGUE_USER;
}

/* The newest that is known. */
static uint8_t newest_of(enum catalogue_kind kind)
{
    if (kind == CATALOGUE_QUEUE)
        return CATALOGUE_VERSION_OF_MIRRORED;
    return holds_others(kind) ? CATALOGUE_VERSION_OF_QUOTAS : CATALOGUE_VERSION;
}

/* What has no quotas, or is durable as it says, can be read by who knows of nothing else. */
static uint8_t version_of(const struct change *change)
{
    if (change->is_mirrored)
        return CATALOGUE_VERSION_OF_MIRRORED;
    if (!holds_others(change->kind))
        return CATALOGUE_VERSION;
    return change->quotas.set ? CATALOGUE_VERSION_OF_QUOTAS : CATALOGUE_VERSION_OF_HOLDERS;
}

static bool is_in_vhost(enum catalogue_kind kind)
{
    return !holds_others(kind) && kind != CATALOGUE_GLOBAL_PARAMETER;
}

/* Does the source end the key? */
static bool ends_with_source(enum catalogue_kind kind)
{
    return kind == CATALOGUE_TOPIC_PERMISSION || kind == CATALOGUE_PARAMETER;
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
    if (ends_with_source(change->kind))
        add_name(out, change->source);
}

static bool has_own_id(const struct change *change)
{
    return change->kind == CATALOGUE_EXCHANGE && change->id;
}

static void add_flags(struct buffer *out, const struct change *change)
{
    buffer_add_u8(out, (uint8_t)((change->auto_delete ? FLAG_AUTO_DELETE : 0) |
                                 (change->internal ? FLAG_INTERNAL : 0) |
                                 (change->is_going ? FLAG_GOING : 0) |
                                 (change->is_protected ? FLAG_PROTECTED : 0) |
                                 (change->is_mirrored ? FLAG_MIRRORED : 0) |
                                 (has_own_id(change) ? FLAG_ID : 0)));
}

static void add_limits(struct buffer *out, const struct change *change)
{
    add_limit(out, change->max_connections);
    add_limit(out, change->max_parts);
    if (!change->quotas.set)
        return;
    buffer_add_u8(out, change->quotas.set);
    for (int kind = 0; kind < QUOTA_KINDS; kind++)
        if (change->quotas.set & 1u << kind)
            buffer_add_varint(out, change->quotas.most[kind]);
}

static void add_vhost(struct buffer *out, const struct change *change)
{
    add_flags(out, change);
    add_string(out, change->description);
    add_string(out, change->tags);
    add_string(out, change->queue_type);
    add_limits(out, change);
}

static void add_user(struct buffer *out, const struct change *change)
{
    buffer_add_u8(out, change->hash_kind);
    add_string(out, change->password_hash);
    add_string(out, change->tags);
    add_limits(out, change);
}

static void add_policy(struct buffer *out, const struct change *change)
{
    buffer_add_u64(out, (uint64_t)change->priority);
    add_name(out, change->type);
    add_string(out, change->pattern);
    add_string(out, change->definition);
}

static void write_value(const struct change *change, struct buffer *out)
{
    buffer_add_u8(out, version_of(change));
    switch (change->kind) {
    case CATALOGUE_LEAVING:
        return;
    case CATALOGUE_VHOST:
        add_vhost(out, change);
        return;
    case CATALOGUE_USER:
        add_user(out, change);
        return;
    case CATALOGUE_EXCHANGE:
        add_flags(out, change);
        add_name(out, change->type);
        add_string(out, change->arguments);
        if (has_own_id(change))
            buffer_add_u64(out, change->id);
        return;
    case CATALOGUE_QUEUE:
        buffer_add_u64(out, change->id);
        add_flags(out, change);
        add_string(out, change->arguments);
        return;
    case CATALOGUE_DELAYS:
        buffer_add_u64(out, change->id);
        return;
    case CATALOGUE_BINDING:
        add_string(out, change->arguments);
        return;
    case CATALOGUE_PERMISSION:
        add_string(out, change->configure);
        __attribute__((fallthrough));
    case CATALOGUE_TOPIC_PERMISSION:
        add_string(out, change->write);
        add_string(out, change->read);
        return;
    case CATALOGUE_POLICY:
    case CATALOGUE_OPERATOR_POLICY:
        add_policy(out, change);
        return;
    case CATALOGUE_PARAMETER:
    case CATALOGUE_GLOBAL_PARAMETER:
        add_name(out, change->type);
        add_string(out, change->definition);
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

static struct bytes take_string(struct cursor *cursor)
{
    size_t size = cursor_varint(cursor);
    return cursor_bytes(cursor, size);
}

static struct limit take_limit(struct cursor *cursor)
{
    uint64_t value = cursor_varint(cursor);
    cursor->bad |= value > (uint64_t)UINT32_MAX + 1;
    return value ? (struct limit){true, (uint32_t)(value - 1)} : (struct limit){0};
}

static void take_quotas(struct cursor *cursor, struct quota_limits *quotas)
{
    quotas->set = cursor_u8(cursor);
    cursor->bad |= quotas->set == 0 || quotas->set >> QUOTA_KINDS;
    for (int kind = 0; kind < QUOTA_KINDS; kind++) {
        if (quotas->set & 1u << kind)
            quotas->most[kind] = cursor_varint(cursor);
        cursor->bad |= quotas->most[kind] > QUOTA_MOST;
    }
    if (planted(PLANTED_QUOTA_LOST_AT_START))
        *quotas = (struct quota_limits){0};
}

static void take_limits(struct cursor *cursor, uint8_t version, struct change *change)
{
    change->max_connections = take_limit(cursor);
    change->max_parts = take_limit(cursor);
    if (version == CATALOGUE_VERSION_OF_QUOTAS)
        take_quotas(cursor, &change->quotas);
}

/* Does its id follow, of an exchange? */
static bool take_flags(struct cursor *cursor, struct change *change)
{
    uint8_t flags = cursor_u8(cursor);
    change->auto_delete = flags & FLAG_AUTO_DELETE;
    change->internal = flags & FLAG_INTERNAL;
    change->is_going = flags & FLAG_GOING;
    change->is_protected = flags & FLAG_PROTECTED;
    change->is_mirrored = flags & FLAG_MIRRORED;
    return flags & FLAG_ID;
}

static void take_vhost(struct cursor *value, uint8_t version, struct change *change)
{
    if (version == 1)
        return;
    take_flags(value, change);
    change->description = take_string(value);
    change->tags = take_string(value);
    change->queue_type = take_string(value);
    take_limits(value, version, change);
}

static void take_user(struct cursor *value, uint8_t version, struct change *change)
{
    change->is_old = version == 1;
    if (version == 1) {
        if (cursor_u8(value))
            change->password_hash = cursor_bytes(value, hash_size(HASH_SHA256));
        return;
    }
    change->hash_kind = cursor_u8(value);
    change->password_hash = take_string(value);
    value->bad |= !hash_is_possible(change->hash_kind, change->password_hash);
    change->tags = take_string(value);
    take_limits(value, version, change);
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
    if (ends_with_source(change->kind))
        change->source = take_name(key);
}

static bool read_value(struct cursor *value, uint8_t version, struct change *change)
{
    bool has_id;
    switch (change->kind) {
    case CATALOGUE_LEAVING:
        return true;
    case CATALOGUE_VHOST:
        take_vhost(value, version, change);
        return true;
    case CATALOGUE_USER:
        take_user(value, version, change);
        return true;
    case CATALOGUE_EXCHANGE:
        has_id = take_flags(value, change);
        change->type = take_name(value);
        change->arguments = take_string(value);
        change->id = has_id ? cursor_u64(value) : 0;
        return true;
    case CATALOGUE_QUEUE:
        change->id = cursor_u64(value);
        take_flags(value, change);
        change->arguments = take_string(value);
        return true;
    case CATALOGUE_DELAYS:
        change->id = cursor_u64(value);
        return true;
    case CATALOGUE_BINDING:
        change->arguments = take_string(value);
        return true;
    case CATALOGUE_PERMISSION:
        change->configure = take_string(value);
        __attribute__((fallthrough));
    case CATALOGUE_TOPIC_PERMISSION:
        change->write = take_string(value);
        change->read = take_string(value);
        return true;
    case CATALOGUE_POLICY:
    case CATALOGUE_OPERATOR_POLICY:
        change->priority = (int64_t)cursor_u64(value);
        change->type = take_name(value);
        change->pattern = take_string(value);
        change->definition = take_string(value);
        return true;
    case CATALOGUE_PARAMETER:
    case CATALOGUE_GLOBAL_PARAMETER:
        change->type = take_name(value);
        change->definition = take_string(value);
        return true;
    }
    return false;
}

bool catalogue_is_newer(struct bytes key, struct bytes value)
{
    if (key.size && key.data[0] == CATALOGUE_SEEN)
        return value.size && value.data[0] > CATALOGUE_VERSION;
    return key.size && (key.data[0] > CATALOGUE_LAST ||
                        (value.size && value.data[0] > newest_of(key.data[0])));
}

enum catalogue_result catalogue_read(struct bytes key, struct bytes value, struct change *change)
{
    struct cursor keys = cursor_of(key), values = cursor_of(value);
    *change = (struct change){.durable = true};
    read_key(&keys, change);
    uint8_t version = cursor_u8(&values);
    if (catalogue_is_newer(key, value))
        return CATALOGUE_NEWER;
    bool known = read_value(&values, version, change);
    bool whole = !keys.bad && !values.bad && cursor_left(&keys) == 0 && cursor_left(&values) == 0;
    return known && whole && version ? CATALOGUE_OK : CATALOGUE_MALFORMED;
}
