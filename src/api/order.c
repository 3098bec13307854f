/* Both strings make one key, so that the order of keys is that of memcmp. Keys are gathered in
 * blocks. A block that is full is sorted, and what is taken is the least of what is next in all
 * blocks. Most comparisons end with the eight bytes behind what all keys of the block have in
 * common. With a limit there is one block, of which only the beginning is kept when it is full. */
#include "api/order.h"

#include <stdlib.h>

#include "base/mem.h"

enum { BLOCK_ITEMS = 2 * ORDER_LIMIT_MAX };

struct item {
    uint64_t begins_with; /* of the key, behind what is common */
    size_t place;         /* of the key, in `room` */
    uint32_t key_size;
    uint32_t second_size; /* what the key ends with */
};

struct order_block {
    size_t count, at;  /* items, and the next one */
    size_t common;     /* bytes that all keys begin with; set when it is sorted */
    uint64_t next;     /* what the next key begins with behind what all blocks have in common */
    struct buffer room;
    struct item items[BLOCK_ITEMS];
};

/* ---- keys ---- */

/* The first string with its end marked, so that a shorter one comes before what it begins, and with
 * its bits turned where its order is; then the second. */
static struct bytes make_key(struct order *order, struct bytes first, struct bytes second)
{
    uint8_t turn = order->is_reversed ? 0xff : 0;
    if (first.size == 0)
        return second;
    order->key.size = 0;
    uint8_t *begin = buffer_room(&order->key, 2 * first.size + 2), *at = begin;
    for (size_t i = 0; i < first.size; i++) {
        *at++ = (uint8_t)(first.data[i] ^ turn);
        if (first.data[i] == 0)
            *at++ = (uint8_t)(0xff ^ turn);
    }
    *at++ = turn;
    *at++ = turn;
    buffer_added(&order->key, (size_t)(at - begin));
    buffer_add(&order->key, second.data, second.size);
    return buffer_bytes(&order->key);
}

static struct bytes key_of(const struct order_block *block, const struct item *item)
{
    return bytes_of(block->room.data + item->place, item->key_size);
}

/* Without the first bytes, of which there may be fewer. */
static struct bytes behind(struct bytes key, size_t size)
{
    return key.size > size ? bytes_of(key.data + size, key.size - size) : bytes_of(NULL, 0);
}

static uint64_t first_bytes(struct bytes bytes)
{
    uint64_t number = 0;
    for (size_t i = 0; i < 8; i++)
        number = number << 8 | (i < bytes.size ? bytes.data[i] : 0);
    return number;
}

/* Of the first `size` bytes, how many are the same? */
static size_t common_of(struct bytes a, struct bytes b, size_t size)
{
    size_t most = a.size < b.size ? a.size : b.size, at = 0;
    size = size < most ? size : most;
    if (size == 0 || memcmp(a.data, b.data, size) == 0)
        return size;
    while (a.data[at] == b.data[at])
        at++;
    return at;
}

/* ---- a block ---- */

static int compare_items(const void *a, const void *b, void *context)
{
    const struct item *left = a, *right = b;
    const struct order_block *block = context;
    if (left->begins_with != right->begins_with)
        return left->begins_with < right->begins_with ? -1 : 1;
    return bytes_compare(behind(key_of(block, left), block->common),
                         behind(key_of(block, right), block->common));
}

static void sort_block(struct order_block *block)
{
    struct bytes one = key_of(block, &block->items[0]);
    block->common = one.size;
    for (size_t i = 1; i < block->count; i++)
        block->common = common_of(one, key_of(block, &block->items[i]), block->common);
    for (size_t i = 0; i < block->count; i++)
        block->items[i].begins_with =
            first_bytes(behind(key_of(block, &block->items[i]), block->common));
    qsort_r(block->items, block->count, sizeof(struct item), compare_items, block);
}

static void free_block(struct order_block *block)
{
    buffer_free(&block->room);
    mem_free(block);
}

/* Of a full block that is sorted, what is not wanted goes. */
static void cut(struct order *order, struct order_block *block)
{
    struct buffer room = {0};
    for (size_t i = 0; i < order->limit; i++) {
        struct bytes key = key_of(block, &block->items[i]);
        block->items[i].place = room.size;
        buffer_add(&room, key.data, key.size);
    }
    buffer_free(&block->room);
    block->room = room;
    order->count -= block->count - order->limit;
    block->count = order->limit;
    struct bytes last = key_of(block, &block->items[block->count - 1]);
    order->bound.size = 0;
    buffer_add(&order->bound, last.data, last.size);
}

/* ---- adding ---- */

/* A block with room for one more. */
static struct order_block *open_block(struct order *order)
{
    struct order_block *last =
        order->blocks_count ? order->blocks[order->blocks_count - 1] : NULL;
    if (last && last->count == BLOCK_ITEMS) {
        sort_block(last);
        if (order->limit)
            cut(order, last);
    }
    if (last && last->count < BLOCK_ITEMS)
        return last;
    last = mem_alloc(sizeof(*last));
    last->count = last->at = 0;
    last->room = (struct buffer){0};
    order->blocks = mem_grow(order->blocks, &order->blocks_capacity, order->blocks_count + 1,
                             sizeof(struct order_block *));
    order->blocks[order->blocks_count++] = last;
    return last;
}

void order_add(struct order *order, struct bytes first, struct bytes second)
{
    struct bytes key = make_key(order, first, second);
    if (order->bound.size && bytes_compare(key, buffer_bytes(&order->bound)) >= 0)
        return;
    struct order_block *block = open_block(order);
    block->items[block->count++] = (struct item){
        .place = block->room.size,
        .key_size = (uint32_t)key.size,
        .second_size = (uint32_t)second.size,
    };
    buffer_add(&block->room, key.data, key.size);
    order->count++;
}

/* ---- taking ---- */

static struct bytes next_key(const struct order_block *block)
{
    return key_of(block, &block->items[block->at]);
}

static void look_at_next(const struct order *order, struct order_block *block)
{
    if (block->at + 1 < block->count)
        __builtin_prefetch(block->room.data + block->items[block->at + 1].place);
    block->next = block->common == order->common
                      ? block->items[block->at].begins_with
                      : first_bytes(behind(next_key(block), order->common));
}

static bool is_before(const struct order *order, const struct order_block *a,
                      const struct order_block *b)
{
    if (a->next != b->next)
        return a->next < b->next;
    return bytes_compare(behind(next_key(a), order->common),
                         behind(next_key(b), order->common)) < 0;
}

/* Puts the block at a place of the heap where it belongs, which is there or below. */
static void sink(struct order *order, size_t at)
{
    struct order_block **blocks = order->blocks, *block = blocks[at];
    for (size_t child; (child = 2 * at + 1) < order->blocks_count; at = child) {
        child += child + 1 < order->blocks_count &&
                 is_before(order, blocks[child + 1], blocks[child]);
        if (!is_before(order, blocks[child], block))
            break;
        blocks[at] = blocks[child];
    }
    blocks[at] = block;
}

static void begin_taking(struct order *order)
{
    order->is_taken_from = true;
    if (order->blocks_count == 0)
        return;
    sort_block(order->blocks[order->blocks_count - 1]);
    struct bytes one = next_key(order->blocks[0]);
    order->common = one.size;
    for (size_t i = 0; i < order->blocks_count; i++) {
        const struct order_block *block = order->blocks[i];
        size_t most = block->common < order->common ? block->common : order->common;
        order->common = common_of(one, next_key(block), most);
    }
    for (size_t i = 0; i < order->blocks_count; i++)
        look_at_next(order, order->blocks[i]);
    for (size_t i = order->blocks_count / 2; i-- > 0;)
        sink(order, i);
}

/* What was taken last is over. */
static void go_on(struct order *order)
{
    struct order_block *block = order->blocks[0];
    if (++block->at < block->count) {
        look_at_next(order, block);
    } else {
        free_block(block);
        order->blocks[0] = order->blocks[--order->blocks_count];
    }
    if (order->blocks_count)
        sink(order, 0);
}

bool order_take(struct order *order, struct bytes *second)
{
    if (!order->is_taken_from)
        begin_taking(order);
    else if (order->blocks_count)
        go_on(order);
    if (order->blocks_count == 0)
        return false;
    const struct order_block *block = order->blocks[0];
    struct bytes key = next_key(block);
    size_t size = block->items[block->at].second_size;
    *second = bytes_of(key.data + key.size - size, size);
    order->count--;
    return true;
}

void order_free(struct order *order)
{
    for (size_t i = 0; i < order->blocks_count; i++)
        free_block(order->blocks[i]);
    mem_free(order->blocks);
    buffer_free(&order->bound);
    buffer_free(&order->key);
    *order = (struct order){0};
}
