/* Bytes that several hold, and that go with the last of them. Whoever has made them fills them before anybody else
 * holds them; then they stay as they are, and others may read them in another thread while somebody holds them.
 * References are taken and given back by one thread. */
#ifndef LEVERET_BASE_SHARED_H
#define LEVERET_BASE_SHARED_H

#include "base/buffer.h"
#include "base/mem.h"

struct shared {
    uint32_t refs;
    struct buffer bytes;
};

/* Empty, with one reference. */
static inline struct shared *shared_new(void)
{
    struct shared *shared = mem_zalloc(sizeof(*shared));
    shared->refs = 1;
    return shared;
}

/* NULL is allowed, here and below. */
static inline struct shared *shared_ref(struct shared *shared)
{
    if (shared)
        shared->refs++;
    return shared;
}

static inline void shared_unref(struct shared *shared)
{
    if (!shared || --shared->refs)
        return;
    buffer_free(&shared->bytes);
    mem_free(shared);
}

#endif
