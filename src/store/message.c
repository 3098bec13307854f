#include "store/message.h"

#include <assert.h>
#include <stddef.h>

#include "amqp/wire.h"

void message_pool_init(struct message_pool *pool)
{
    slab_init(&pool->slab);
}

void message_pool_free(struct message_pool *pool)
{
    slab_free_all(&pool->slab);
}

/* What lies before the data; less than the size of the struct. */
enum { HEAD = offsetof(struct message, data) };

/* Field by field: the compiler makes a call of memset of a whole struct. */
static inline struct message *message_bare(struct message_pool *pool, size_t exchange_size,
                                           size_t routing_key_size, size_t properties_size,
                                           uint32_t body_size)
{
    size_t size = HEAD + exchange_size + routing_key_size + properties_size + body_size;
    struct message *message = pool ? slab_alloc(&pool->slab, size) : slab_map(size);
    message->refs = 1;
    message->properties_size = (uint32_t)properties_size;
    message->body_size = body_size;
    message->exchange_size = (uint8_t)exchange_size;
    message->routing_key_size = (uint8_t)routing_key_size;
    message->flags = message->priority = 0;
    message->ttl_ms = MESSAGE_NO_TTL;
    message->batch = 0;
    message->segment = message->offset = 0;
    message->destinations = message->pending_live = message->body_filled = 0;
    return message;
}

struct message *message_new(struct message_pool *pool, struct bytes exchange,
                            struct bytes routing_key, struct bytes properties, uint32_t body_size)
{
    assert(exchange.size <= UINT8_MAX && routing_key.size <= UINT8_MAX);
    struct message *message =
        message_bare(pool, exchange.size, routing_key.size, properties.size, body_size);
    put_bytes(put_bytes(put_bytes(message->data, exchange), routing_key), properties);
    return message;
}

struct message *message_from_data(struct message_pool *pool, uint8_t exchange_size,
                                  uint8_t routing_key_size, uint32_t properties_size,
                                  uint32_t body_size, const uint8_t *data)
{
    struct message *message =
        message_bare(pool, exchange_size, routing_key_size, properties_size, body_size);
    memcpy(message->data, data, message_data_size(message));
    message->body_filled = body_size;
    return message;
}

void message_adopt(struct message_pool *pool, const struct message *message)
{
    slab_adopt(&pool->slab, HEAD + message_data_size(message));
}

struct message *message_resize(struct message_pool *pool, struct message *message,
                               uint32_t body_size)
{
    assert(message->refs == 1 && message->body_filled <= body_size);
    size_t before = HEAD + message_data_size(message);
    message = slab_resize(&pool->slab, message, before, before - message->body_size + body_size);
    message->body_size = body_size;
    return message;
}

void message_fill(struct message *message, struct bytes part)
{
    assert(part.size <= message->body_size - message->body_filled);
    if (part.size)
        memcpy(message_body_start(message) + message->body_filled, part.data, part.size);
    message->body_filled += (uint32_t)part.size;
}

void message_free(struct message_pool *pool, struct message *message)
{
    slab_free(&pool->slab, message, HEAD + message_data_size(message));
}
