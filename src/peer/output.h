/* What a conversation has to send, in order: blocks of copied bytes, and references to messages
 * whose large bodies go out from where they are. */
#ifndef LEVERET_PEER_OUTPUT_H
#define LEVERET_PEER_OUTPUT_H

#include <sys/uio.h>

#include "store/message.h"

enum {
    OUTPUT_SMALL = 2048,  /* size of the first block of an idle conversation, header included */
    OUTPUT_LARGE = 65536, /* size of the blocks that follow, header included */
};

struct output_block {
    struct output_block *next;
    uint32_t capacity;
    uint32_t used;
    uint32_t sent; /* bytes of it that have gone */
    uint8_t bytes[];
};

struct output_part {
    const uint8_t *data;
    size_t size;
    struct message *message;    /* a reference, when the bytes are a message's body */
    struct output_block *block; /* else where they are */
};

/* What all outputs of a server share. */
struct output_pool {
    struct message_pool *messages;
    struct output_block *spare[2]; /* small and large ones */
    size_t spare_count[2];
    size_t bytes; /* memory in use by outputs */
};

struct output {
    struct output_part *parts; /* a ring */
    uint32_t first;
    uint32_t count;
    uint32_t capacity; /* a power of two */
    struct output_part *growing; /* the last part, if it ends where `tail` has its free room; else NULL */
    struct output_block *head;
    struct output_block *tail;
    size_t size;     /* bytes to be sent, bodies included */
    size_t borrowed; /* those in bodies that are referred to */
};

void output_pool_init(struct output_pool *pool, struct message_pool *messages);
void output_pool_free(struct output_pool *pool);

/* Drops all that is unsent. An empty output holds no memory. */
void output_free(struct output_pool *pool, struct output *output);
/* The slow half of output_room. */
uint8_t *output_grow(struct output_pool *pool, struct output *output, size_t size);
/* The slow half of output_added. */
void output_add_part(struct output *output, struct output_part part);
/* Appends a body, or a part of it, by reference. */
void output_add_body(struct output *output, struct message *message, struct bytes part);
/* Borrows the first parts, at most `max`; returns how many there are. */
int output_peek(const struct output *output, struct iovec *parts, int max);
/* The first `size` bytes are gone. */
void output_drop(struct output_pool *pool, struct output *output, size_t size);

/* Room for `size` bytes at the end, in one piece. They count after output_added. */
static inline uint8_t *output_room(struct output_pool *pool, struct output *output, size_t size)
{
    struct output_block *tail = output->tail;
    if (__builtin_expect(tail && tail->capacity - tail->used >= size, 1))
        return tail->bytes + tail->used;
    return output_grow(pool, output, size);
}

/* `size` bytes were written where output_room said. */
static inline void output_added(struct output *output, size_t size)
{
    struct output_block *tail = output->tail;
    if (__builtin_expect(output->growing != NULL, 1))
        output->growing->size += size;
    else
        output_add_part(output, (struct output_part){tail->bytes + tail->used, size, NULL, tail});
    tail->used += (uint32_t)size;
    output->size += size;
}

#endif
