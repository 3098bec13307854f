/* Many byte strings, given out in order: the keys of a list that is answered piece by piece. A
 * heap, so that adding one, and taking the next, never takes long, and the first ones are had at
 * once. */
#ifndef LEVERET_API_ORDER_H
#define LEVERET_API_ORDER_H

#include "base/buffer.h"

struct order_item;

struct order {
    struct order_item *items; /* a heap */
    size_t count, capacity;
    struct buffer room; /* what is in the strings */
    bool is_reversed;   /* by the first string; what is equal in that is in order */
};

/* Two strings: what to order by first, which is empty in all of them or in none, and what to order
 * by else, which is given out. */
void order_add(struct order *order, struct bytes first, struct bytes second);
/* Takes the next one out; false: there is none. Borrowed until order_free, as nothing may be added
 * any more. */
bool order_take(struct order *order, struct bytes *second);
void order_free(struct order *order);

#endif
