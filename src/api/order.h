/* Many byte strings, given out in order: the keys of a list that is answered piece by piece. Adding
 * one, and taking the next, never takes long, nothing that is large is ever moved, and of those
 * that nobody will ask for none is kept. */
#ifndef LEVERET_API_ORDER_H
#define LEVERET_API_ORDER_H

#include "base/buffer.h"

struct order_block;

/* The largest `limit`. */
enum { ORDER_LIMIT_MAX = 512 };

struct order {
    struct order_block **blocks; /* while they are taken from: a heap by what is next in each */
    size_t blocks_count, blocks_capacity;
    size_t count;        /* strings that can be taken */
    size_t limit;        /* the caller's: no more than the first so many will be taken; 0: all */
    bool is_reversed;    /* the caller's: by the first string; what is equal in that is in order */
    bool is_taken_from;
    size_t common;       /* bytes that all of them begin with, when they are taken */
    struct buffer bound; /* what does not come before it is not wanted; empty: all is */
    struct buffer key;   /* scratch */
};

/* Two strings: what to order by first, which is empty in all of them or in none, and what to order
 * by else, which is given out. */
void order_add(struct order *order, struct bytes first, struct bytes second);
/* Takes the next one out; false: there is none. Borrowed until the next call; nothing may be added
 * any more. */
bool order_take(struct order *order, struct bytes *second);
void order_free(struct order *order);

#endif
