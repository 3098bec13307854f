#include "store/message.h"

#include <assert.h>

void message_pool_init(struct message_pool *pool)
{
    slab_init(&pool->slab);
}

void message_pool_free(struct message_pool *pool)
{
    slab_free_all(&pool->slab);
}

static size_t size_of(const struct message *message)
{
    return sizeof(*message) + message->exchange_size + message->routing_key_size +
           message->properties_size + message->body_size;
}

struct message *message_new(struct message_pool *pool, struct bytes exchange,
                            struct bytes routing_key, struct bytes properties, uint32_t body_size)
{
    assert(exchange.size <= UINT8_MAX && routing_key.size <= UINT8_MAX);
    struct message *message = slab_alloc(&pool->slab, sizeof(*message) + exchange.size +
                                                          routing_key.size + properties.size +
                                                          body_size);
    /* Field by field: the compiler makes a call of memset of a whole struct. */
    message->refs = 1;
    message->properties_size = (uint32_t)properties.size;
    message->body_size = body_size;
    message->body_filled = 0;
    message->exchange_size = (uint8_t)exchange.size;
    message->routing_key_size = (uint8_t)routing_key.size;
    message->flags = message->priority = 0;
    message->expires_ms = 0;
    message->place = (struct place){0};
    message->destinations = message->pending_live = message->pending = 0;
    message->batch = 0;
    uint8_t *at = message->data;
    if (exchange.size)
        memcpy(at, exchange.data, exchange.size);
    at += exchange.size;
    if (routing_key.size)
        memcpy(at, routing_key.data, routing_key.size);
    at += routing_key.size;
    if (properties.size)
        memcpy(at, properties.data, properties.size);
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
    slab_free(&pool->slab, message, size_of(message));
}
