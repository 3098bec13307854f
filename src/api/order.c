#include "api/order.h"

#include "base/mem.h"

/* The strings lie in `room`, each pair as two sizes of four bytes and the bytes. Most comparisons
 * end with what the first string begins with, or, where it is empty, the second; they are equal
 * only if nothing follows from it. */
struct order_item {
    uint64_t begins_with;
    size_t place;
};

static uint64_t first_bytes(struct bytes bytes)
{
    uint64_t number = 0;
    for (size_t i = 0; i < 8; i++)
        number = number << 8 | (i < bytes.size ? bytes.data[i] : 0);
    return number;
}

static void strings_of(const struct order *order, const struct order_item *item,
                       struct bytes strings[2])
{
    uint32_t sizes[2];
    const uint8_t *at = order->room.data + item->place;
    memcpy(sizes, at, sizeof(sizes));
    strings[0] = bytes_of(at + sizeof(sizes), sizes[0]);
    strings[1] = bytes_of(strings[0].data + sizes[0], sizes[1]);
}

static bool is_before(const struct order *order, const struct order_item *a,
                      const struct order_item *b)
{
    if (a->begins_with != b->begins_with)
        return (a->begins_with < b->begins_with) != order->is_reversed;
    struct bytes left[2], right[2];
    strings_of(order, a, left);
    strings_of(order, b, right);
    int difference = bytes_compare(left[0], right[0]);
    if (difference)
        return (difference < 0) != order->is_reversed;
    return bytes_compare(left[1], right[1]) < 0;
}

void order_add(struct order *order, struct bytes first, struct bytes second)
{
    uint32_t sizes[2] = {(uint32_t)first.size, (uint32_t)second.size};
    struct order_item item = {first_bytes(first), order->room.size};
    if (first.size == 0 && !order->is_reversed)
        item.begins_with = first_bytes(second);
    buffer_add(&order->room, sizes, sizeof(sizes));
    buffer_add(&order->room, first.data, first.size);
    buffer_add(&order->room, second.data, second.size);
    order->items = mem_grow(order->items, &order->capacity, order->count + 1, sizeof(item));
    size_t at = order->count++;
    for (; at > 0 && is_before(order, &item, &order->items[(at - 1) / 2]); at = (at - 1) / 2)
        order->items[at] = order->items[(at - 1) / 2];
    order->items[at] = item;
}

bool order_take(struct order *order, struct bytes *second)
{
    struct bytes strings[2];
    if (order->count == 0)
        return false;
    strings_of(order, &order->items[0], strings);
    *second = strings[1];
    struct order_item last = order->items[--order->count];
    size_t at = 0, child;
    while ((child = 2 * at + 1) < order->count) {
        if (child + 1 < order->count &&
            is_before(order, &order->items[child + 1], &order->items[child]))
            child++;
        if (!is_before(order, &order->items[child], &last))
            break;
        order->items[at] = order->items[child];
        at = child;
    }
    if (order->count)
        order->items[at] = last;
    return true;
}

void order_free(struct order *order)
{
    mem_free(order->items);
    buffer_free(&order->room);
    *order = (struct order){0};
}
