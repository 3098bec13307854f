/* Bytes are copied into blocks, each block filled to its end before the next one is begun; `parts`
 * says in which order pieces of blocks and bodies go out. A block is freed when all its bytes are
 * sent and it is not the one being filled; when everything is sent, nothing is kept. */
#include "peer/output.h"

#include <assert.h>

#include "base/mem.h"

enum { SPARE_MAX = 64, PARTS_MIN = 4 };

void output_pool_init(struct output_pool *pool, struct message_pool *messages)
{
    *pool = (struct output_pool){.messages = messages};
}

void output_pool_free(struct output_pool *pool)
{
    for (int large = 0; large < 2; large++) {
        while (pool->spare[large]) {
            struct output_block *block = pool->spare[large];
            pool->spare[large] = block->next;
            mem_free(block);
        }
    }
}

static size_t block_size(const struct output_block *block)
{
    return sizeof(*block) + block->capacity;
}

static struct output_block *block_new(struct output_pool *pool, size_t size, bool small)
{
    size_t whole = small ? OUTPUT_SMALL : OUTPUT_LARGE;
    struct output_block *block = NULL;
    if (whole - sizeof(*block) < size) {
        whole = sizeof(*block) + size;
    } else {
        block = pool->spare[!small];
        if (block) {
            pool->spare[!small] = block->next;
            pool->spare_count[!small]--;
        }
    }
    if (!block)
        block = mem_alloc(whole);
    *block = (struct output_block){.capacity = (uint32_t)(whole - sizeof(*block))};
    pool->bytes += whole;
    return block;
}

static void block_free(struct output_pool *pool, struct output_block *block)
{
    size_t size = block_size(block);
    pool->bytes -= size;
    int large = size == OUTPUT_LARGE;
    if ((!large && size != OUTPUT_SMALL) || pool->spare_count[large] >= SPARE_MAX) {
        mem_free(block);
        return;
    }
    block->next = pool->spare[large];
    pool->spare[large] = block;
    pool->spare_count[large]++;
}

/* Frees the blocks at the head that are sent, but never the one being filled. */
static void free_sent_blocks(struct output_pool *pool, struct output *output)
{
    while (output->head != output->tail && output->head->sent == output->head->used) {
        struct output_block *block = output->head;
        output->head = block->next;
        block_free(pool, block);
    }
}

static struct output_part *part_at(const struct output *output, uint32_t index)
{
    return &output->parts[(output->first + index) & (output->capacity - 1)];
}

uint8_t *output_grow(struct output_pool *pool, struct output *output, size_t size)
{
    struct output_block *block = block_new(pool, size, !output->tail);
    if (!output->capacity) {
        output->parts = mem_zalloc_array(PARTS_MIN, sizeof(*output->parts));
        output->capacity = PARTS_MIN;
    }
    if (output->tail)
        output->tail->next = block;
    else
        output->head = block;
    output->tail = block;
    output->growing = NULL;
    free_sent_blocks(pool, output);
    return block->bytes;
}

void output_add_part(struct output *output, struct output_part part)
{
    if (output->count == output->capacity) {
        uint32_t capacity = output->capacity ? output->capacity * 2 : PARTS_MIN;
        struct output_part *parts = mem_zalloc_array(capacity, sizeof(*parts));
        for (uint32_t i = 0; i < output->count; i++)
            parts[i] = *part_at(output, i);
        mem_free(output->parts);
        output->parts = parts;
        output->capacity = capacity;
        output->first = 0;
    }
    output->count++;
    struct output_part *last = part_at(output, output->count - 1);
    *last = part;
    output->growing = part.block ? last : NULL;
}

void output_add_body(struct output *output, struct message *message, struct bytes part)
{
    output_add_part(output, (struct output_part){part.data, part.size, message_ref(message), NULL});
    output->size += part.size;
    output->borrowed += part.size;
}

int output_peek(const struct output *output, struct iovec *parts, int max)
{
    int count = 0;
    for (uint32_t i = 0; i < output->count && count < max; i++) {
        const struct output_part *part = part_at(output, i);
        parts[count++] = (struct iovec){(void *)(uintptr_t)part->data, part->size};
    }
    return count;
}

/* The first `size` bytes of the first part are gone. */
static void part_sent(struct output_pool *pool, struct output *output, size_t size)
{
    struct output_part *part = part_at(output, 0);
    part->data += size;
    part->size -= size;
    output->size -= size;
    if (part->block)
        part->block->sent += (uint32_t)size;
    else
        output->borrowed -= size;
    if (part->size)
        return;
    if (part->message)
        message_unref(pool->messages, part->message);
    output->first = (output->first + 1) & (output->capacity - 1);
    output->count--;
    if (part == output->growing)
        output->growing = NULL;
}

void output_drop(struct output_pool *pool, struct output *output, size_t size)
{
    assert(size <= output->size);
    while (size) {
        size_t now = part_at(output, 0)->size;
        now = now < size ? now : size;
        part_sent(pool, output, now);
        size -= now;
    }
    free_sent_blocks(pool, output);
    if (output->size == 0)
        output_free(pool, output);
}

void output_free(struct output_pool *pool, struct output *output)
{
    while (output->count)
        part_sent(pool, output, part_at(output, 0)->size);
    free_sent_blocks(pool, output);
    if (output->tail)
        block_free(pool, output->tail);
    mem_free(output->parts);
    *output = (struct output){0};
}
