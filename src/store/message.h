/* A message: content as it was received, in one block, shared by all queues that hold it.
 *
 * Reference-counted; the block is made when the content header has announced the body's size.
 * Properties are the bytes of the content header frame from the property flags on (AMQP 0-9-1,
 * 4.2.6.1), so a delivery copies them as they are. */
#ifndef LEVERET_STORE_MESSAGE_H
#define LEVERET_STORE_MESSAGE_H

#include "base/bytes.h"
#include "base/slab.h"

enum message_flag {
    MESSAGE_PERSISTENT = 1, /* delivery_mode 2 */
    MESSAGE_DEAD_LETTERED = 2, /* its x-death header is the broker's own */
    MESSAGE_TIMED = 4, /* the store's: its record has a time for each of its queues */
    MESSAGE_HAS_BCC = 8, /* it has a header BCC, which nobody is shown */
    MESSAGE_SAID_AGAIN = 16, /* nobody knows whether it was taken before: it is delivered as redelivered */
};

#define MESSAGE_NO_TTL UINT64_MAX

/* Where a record lies in the journal. Segment 0 is no place. */
struct place {
    uint32_t segment;
    uint32_t offset;
    uint32_t size;
};

/* Where the filling batch keeps what was settled of a queue. */
struct settles_place {
    uint64_t batch;  /* the batch that this is about */
    uint32_t number; /* from 1; 0: it has none */
};

struct message {
    uint32_t refs;
    uint32_t properties_size;
    uint32_t body_size;
    uint8_t exchange_size;
    uint8_t routing_key_size;
    uint8_t flags;
    uint8_t priority;
    uint64_t ttl_ms; /* its expiration, from when it comes into a queue; MESSAGE_NO_TTL: none */
    /* The store's: */
    uint64_t batch;        /* number of the batch its record is in; 0: none */
    uint32_t segment;      /* where the record lies, once its batch was sealed: message_place */
    uint32_t offset;
    uint32_t destinations; /* of its record; 0: it has no record */
    uint32_t pending_live; /* destinations not settled yet, while the record waits in a batch */
    union {
        uint32_t body_filled; /* bytes received so far */
        uint32_t pending;     /* when all were, and its batch is being filled: number of its record */
    };
    uint8_t data[]; /* exchange, routing key, properties, body */
};

/* All messages of a process come from one pool, which counts their memory. */
struct message_pool {
    struct slab slab;
};

void message_pool_init(struct message_pool *pool);
void message_pool_free(struct message_pool *pool);
/* Memory of all messages, in bytes. */
static inline size_t message_pool_bytes(const struct message_pool *pool)
{
    return pool->slab.used_bytes;
}

/* A message with one reference, its body still to be filled in. Sizes of the names are at most
 * 255 bytes; the caller has checked `body_size` against the limit. */
struct message *message_new(struct message_pool *pool, struct bytes exchange,
                            struct bytes routing_key, struct bytes properties, uint32_t body_size);
/* The same, whole: `data` are exchange, routing key, properties and body, one behind the other. */
struct message *message_from_data(struct message_pool *pool, uint8_t exchange_size,
                                  uint8_t routing_key_size, uint32_t properties_size,
                                  uint32_t body_size, const uint8_t *data);
/* Such a message may be made by any thread, without a pool (NULL), when its body has at least this
 * size; the pool's thread takes it in later. */
enum { MESSAGE_APART_MIN = 1 << 20 };
void message_adopt(struct message_pool *pool, const struct message *message);
/* Room for a body of `body_size` bytes, no less than are filled in; moves the message, which has one
 * reference. */
struct message *message_resize(struct message_pool *pool, struct message *message,
                               uint32_t body_size);
/* Appends to the body; the caller has checked that it fits. */
void message_fill(struct message *message, struct bytes part);
void message_free(struct message_pool *pool, struct message *message);

static inline struct message *message_ref(struct message *message)
{
    message->refs++;
    return message;
}

static inline void message_unref(struct message_pool *pool, struct message *message)
{
    if (--message->refs == 0)
        message_free(pool, message);
}

static inline struct bytes message_exchange(const struct message *message)
{
    return bytes_of(message->data, message->exchange_size);
}

static inline struct bytes message_routing_key(const struct message *message)
{
    return bytes_of(message->data + message->exchange_size, message->routing_key_size);
}

static inline struct bytes message_properties(const struct message *message)
{
    return bytes_of(message->data + message->exchange_size + message->routing_key_size,
                    message->properties_size);
}

static inline uint8_t *message_body_start(struct message *message)
{
    return message->data + message->exchange_size + message->routing_key_size +
           message->properties_size;
}

static inline size_t message_data_size(const struct message *message)
{
    return (size_t)message->exchange_size + message->routing_key_size + message->properties_size +
           message->body_size;
}

/* What it takes in memory, about. */
static inline size_t message_memory(const struct message *message)
{
    return sizeof(*message) + message_data_size(message);
}

static inline struct bytes message_body(const struct message *message)
{
    return bytes_of(message->data + message->exchange_size + message->routing_key_size +
                        message->properties_size,
                    message->body_size);
}

#endif
