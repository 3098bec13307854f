#include "broker/catalogue.h"

#include <assert.h>

#include "base/sha256.h"

enum { FLAG_AUTO_DELETE = 1, FLAG_INTERNAL = 2 };

/* ---- writing ---- */

static void add_name(struct buffer *out, struct bytes name)
{
    assert(name.size <= UINT8_MAX);
    buffer_add_u8(out, (uint8_t)name.size);
    buffer_add(out, name.data, name.size);
}

static void add_arguments(struct buffer *out, const uint8_t *arguments, size_t size)
{
    buffer_add_varint(out, size);
    buffer_add(out, arguments, size);
}

static struct bytes vhost_name(const struct vhost *vhost)
{
    return bytes_of(vhost->name, vhost->name_size);
}

static void put(struct broker *broker, struct buffer *key, struct buffer *value)
{
    store_catalogue_put(broker->store, buffer_bytes(key), buffer_bytes(value));
    buffer_free(key);
    buffer_free(value);
}

static void take_out(struct broker *broker, struct buffer *key)
{
    store_catalogue_delete(broker->store, buffer_bytes(key));
    buffer_free(key);
}

void catalogue_put_vhost(const struct vhost *vhost)
{
    struct buffer key = {0}, value = {0};
    buffer_add_u8(&key, CATALOGUE_VHOST);
    add_name(&key, vhost_name(vhost));
    buffer_add_u8(&value, CATALOGUE_VERSION);
    put(vhost->broker, &key, &value);
}

void catalogue_put_user(struct broker *broker, const struct user *user)
{
    struct buffer key = {0}, value = {0};
    buffer_add_u8(&key, CATALOGUE_USER);
    add_name(&key, bytes_of(user->name, user->name_size));
    buffer_add_u8(&value, CATALOGUE_VERSION);
    buffer_add_u8(&value, user->has_password);
    if (user->has_password)
        buffer_add(&value, user->password_hash, sizeof(user->password_hash));
    put(broker, &key, &value);
}

static void add_key(struct buffer *key, enum catalogue_kind kind, const struct vhost *vhost,
                    struct bytes name)
{
    buffer_add_u8(key, (uint8_t)kind);
    add_name(key, vhost_name(vhost));
    add_name(key, name);
}

void catalogue_put_exchange(const struct exchange *exchange)
{
    struct buffer key = {0}, value = {0};
    add_key(&key, CATALOGUE_EXCHANGE, exchange->vhost, exchange_name(exchange));
    buffer_add_u8(&value, CATALOGUE_VERSION);
    buffer_add_u8(&value, (uint8_t)((exchange->auto_delete ? FLAG_AUTO_DELETE : 0) |
                                    (exchange->internal ? FLAG_INTERNAL : 0)));
    add_name(&value, bytes_str(exchange->kind->name));
    add_arguments(&value, exchange->arguments, exchange->arguments_size);
    put(exchange->vhost->broker, &key, &value);
}

void catalogue_delete_exchange(const struct exchange *exchange)
{
    struct buffer key = {0};
    add_key(&key, CATALOGUE_EXCHANGE, exchange->vhost, exchange_name(exchange));
    take_out(exchange->vhost->broker, &key);
}

void catalogue_put_queue(const struct queue *queue)
{
    struct buffer key = {0}, value = {0};
    add_key(&key, CATALOGUE_QUEUE, queue->vhost, queue_name(queue));
    buffer_add_u8(&value, CATALOGUE_VERSION);
    buffer_add_u64(&value, queue->id);
    buffer_add_u8(&value, queue->auto_delete ? FLAG_AUTO_DELETE : 0);
    add_arguments(&value, queue->arguments, queue->arguments_size);
    put(queue->vhost->broker, &key, &value);
}

void catalogue_delete_queue(const struct queue *queue)
{
    struct buffer key = {0};
    add_key(&key, CATALOGUE_QUEUE, queue->vhost, queue_name(queue));
    take_out(queue->vhost->broker, &key);
}

static bool is_recorded(const struct binding *binding)
{
    return binding->source->durable &&
           (binding->queue ? binding->queue->durable : binding->exchange->durable);
}

static void add_binding_key(struct buffer *key, const struct binding *binding)
{
    add_key(key, CATALOGUE_BINDING, binding->source->vhost, exchange_name(binding->source));
    buffer_add_u8(key, binding->queue ? CATALOGUE_QUEUE : CATALOGUE_EXCHANGE);
    add_name(key, binding->queue ? queue_name(binding->queue) : exchange_name(binding->exchange));
    add_name(key, bytes_of(binding->key, binding->key_size));
    if (binding->arguments_size) {
        uint8_t digest[SHA256_SIZE];
        sha256(bytes_of(binding->arguments, binding->arguments_size), bytes_of(NULL, 0), digest);
        buffer_add(key, digest, sizeof(digest));
    }
}

void catalogue_put_binding(const struct binding *binding)
{
    if (!is_recorded(binding))
        return;
    struct buffer key = {0}, value = {0};
    add_binding_key(&key, binding);
    buffer_add_u8(&value, CATALOGUE_VERSION);
    add_arguments(&value, binding->arguments, binding->arguments_size);
    put(binding->source->vhost->broker, &key, &value);
}

void catalogue_delete_binding(const struct binding *binding)
{
    if (!is_recorded(binding))
        return;
    struct buffer key = {0};
    add_binding_key(&key, binding);
    take_out(binding->source->vhost->broker, &key);
}

static void add_leaving_key(struct buffer *key, const struct vhost *vhost, enum catalogue_kind kind,
                            struct bytes name)
{
    buffer_add_u8(key, CATALOGUE_LEAVING);
    add_name(key, vhost_name(vhost));
    buffer_add_u8(key, (uint8_t)kind);
    add_name(key, name);
}

void catalogue_put_leaving(const struct vhost *vhost, enum catalogue_kind kind, struct bytes name)
{
    struct buffer key = {0}, value = {0};
    add_leaving_key(&key, vhost, kind, name);
    buffer_add_u8(&value, CATALOGUE_VERSION);
    put(vhost->broker, &key, &value);
}

void catalogue_delete_leaving(const struct vhost *vhost, enum catalogue_kind kind, struct bytes name)
{
    struct buffer key = {0};
    add_leaving_key(&key, vhost, kind, name);
    take_out(vhost->broker, &key);
}

/* ---- reading ---- */

static struct bytes take_name(struct cursor *cursor)
{
    size_t size = cursor_u8(cursor);
    return cursor_bytes(cursor, size);
}

static void take_arguments(struct cursor *cursor, struct catalogue_entry *entry)
{
    size_t size = cursor_varint(cursor);
    entry->arguments = cursor_bytes(cursor, size);
}

static void take_flags(struct cursor *cursor, struct catalogue_entry *entry)
{
    uint8_t flags = cursor_u8(cursor);
    entry->auto_delete = flags & FLAG_AUTO_DELETE;
    entry->internal = flags & FLAG_INTERNAL;
}

static void read_key(struct cursor *key, struct catalogue_entry *entry)
{
    entry->kind = cursor_u8(key);
    if (entry->kind != CATALOGUE_VHOST && entry->kind != CATALOGUE_USER)
        entry->vhost = take_name(key);
    if (entry->kind == CATALOGUE_BINDING)
        entry->source = take_name(key);
    if (entry->kind == CATALOGUE_BINDING || entry->kind == CATALOGUE_LEAVING) {
        uint8_t kind = cursor_u8(key);
        key->bad |= kind != CATALOGUE_QUEUE && kind != CATALOGUE_EXCHANGE;
        entry->to_queue = kind == CATALOGUE_QUEUE;
    }
    entry->name = take_name(key);
    if (entry->kind == CATALOGUE_BINDING) {
        entry->routing_key = take_name(key);
        if (cursor_left(key))
            cursor_bytes(key, SHA256_SIZE);
    }
}

static bool read_value(struct cursor *value, struct catalogue_entry *entry)
{
    switch (entry->kind) {
    case CATALOGUE_LEAVING:
    case CATALOGUE_VHOST:
        return true;
    case CATALOGUE_USER:
        if (cursor_u8(value))
            entry->password_hash = cursor_bytes(value, PASSWORD_HASH_SIZE);
        return true;
    case CATALOGUE_EXCHANGE:
        take_flags(value, entry);
        entry->type = take_name(value);
        take_arguments(value, entry);
        return true;
    case CATALOGUE_QUEUE:
        entry->id = cursor_u64(value);
        take_flags(value, entry);
        take_arguments(value, entry);
        return true;
    case CATALOGUE_BINDING:
        take_arguments(value, entry);
        return true;
    }
    return false;
}

enum catalogue_result catalogue_read(struct bytes key, struct bytes value,
                                     struct catalogue_entry *entry)
{
    struct cursor keys = cursor_of(key), values = cursor_of(value);
    *entry = (struct catalogue_entry){0};
    read_key(&keys, entry);
    uint8_t version = cursor_u8(&values);
    if (version > CATALOGUE_VERSION)
        return CATALOGUE_NEWER;
    bool known = read_value(&values, entry);
    bool whole = !keys.bad && !values.bad && cursor_left(&keys) == 0 && cursor_left(&values) == 0;
    return known && whole && version ? CATALOGUE_OK : CATALOGUE_MALFORMED;
}
