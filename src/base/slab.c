/* Classes step by 16 bytes to 512, then by an eighth of a power of two up to LARGE. A span begins
 * with its header and is aligned to its size, so that a block finds its span by masking. */
#include "base/slab.h"

#include <assert.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "base/mem.h"

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

enum { SMALL = 512, STEP = 16, LARGE = 8192, SPARE_MAX = 1024 };
enum { REGION = 32 }; /* spans */
/* Blocks from here on are new memory each time, if nobody keeps them. */
enum { HUGE = 128 << 10, KEPT_MAX = 16 << 20 };

struct kept {
    struct list link;
    size_t size;
};

struct span {
    struct list link; /* in slab->partial, when a block is free */
    void *free;       /* blocks that came back */
    uint32_t used;
    uint32_t fresh; /* offset of the first block that was never handed out */
    uint32_t block_size;
    uint32_t class_index;
};

enum { SPAN_HEADER = (sizeof(struct span) + 63) / 64 * 64 };

static unsigned class_of(size_t size)
{
    if (size <= SMALL)
        return size ? (unsigned)((size - 1) / STEP) : 0;
    unsigned top = 63 - (unsigned)__builtin_clzll(size - 1); /* 9 .. 12 */
    unsigned quarter = (unsigned)(((size - 1) >> (top - 2)) & 3);
    return SMALL / STEP + (top - 9) * 4 + quarter;
}

static size_t class_size(unsigned class_index)
{
    if (class_index < SMALL / STEP)
        return (size_t)(class_index + 1) * STEP;
    unsigned rest = class_index - SMALL / STEP;
    return ((size_t)1 << (9 + rest / 4)) + (((size_t)rest % 4 + 1) << (7 + rest / 4));
}

void slab_init(struct slab *slab)
{
    for (unsigned i = 0; i < SLAB_CLASSES; i++)
        list_init(&slab->partial[i]);
    slab->spare = NULL;
    slab->spare_count = 0;
    slab->fresh = NULL;
    slab->fresh_count = 0;
    list_init(&slab->kept);
    slab->kept_bytes = 0;
    slab->used_bytes = 0;
}

/* In eighths of a power of two, so that blocks of about the same size can stand in for each other; the
 * largest are not kept, and need not. */
static size_t huge_size(size_t size)
{
    size_t step = (size_t)1 << (60 - __builtin_clzll(size - 1));
    return size > KEPT_MAX ? size : (size + step - 1) / step * step;
}

size_t slab_cost(size_t size)
{
    if (size <= LARGE)
        return class_size(class_of(size));
    return (size < HUGE ? size : huge_size(size)) + 16;
}

/* Maps address space for REGION spans, aligned; it takes memory as it is used. */
static void map_region(struct slab *slab)
{
    enum { SIZE = REGION * SLAB_SPAN };
    uint8_t *area =
        mmap(NULL, 2 * (size_t)SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (area == MAP_FAILED) {
        fprintf(stderr, "out of memory: the system gave no region of %d bytes\n", SIZE);
        abort();
    }
    size_t before = (SIZE - ((uintptr_t)area & (SIZE - 1))) & (SIZE - 1);
    if (before)
        munmap(area, before);
    munmap(area + before + SIZE, SIZE - before);
    slab->fresh = area + before;
    slab->fresh_count = REGION;
}

static void *fresh_span(struct slab *slab)
{
    if (slab->fresh_count == 0)
        map_region(slab);
    void *span = slab->fresh;
    slab->fresh += SLAB_SPAN;
    slab->fresh_count--;
    /* Many messages are coming: the system is asked for all pages at once, as each fault costs more
     * than what is done with the page. It may say no. */
    if (slab->used_bytes >= REGION * SLAB_SPAN)
        madvise(span, SLAB_SPAN, MADV_POPULATE_WRITE);
    return span;
}

static struct span *span_new(struct slab *slab, unsigned class_index)
{
    struct span *span = slab->spare;
    if (span) {
        slab->spare = *(void **)(void *)span;
        slab->spare_count--;
    } else {
        span = fresh_span(slab);
    }
    span->free = NULL;
    span->used = 0;
    span->fresh = SPAN_HEADER;
    span->class_index = class_index;
    span->block_size = (uint32_t)class_size(class_index);
    list_push_front(&slab->partial[class_index], &span->link);
    return span;
}

static bool span_is_full(const struct span *span)
{
    return !span->free && span->fresh + span->block_size > SLAB_SPAN;
}

static void kept_free(struct slab *slab, struct kept *kept)
{
    list_remove(&kept->link);
    slab->kept_bytes -= kept->size;
    mem_free(kept);
}

static void *large_alloc(struct slab *slab, size_t size)
{
    slab->used_bytes += slab_cost(size);
    if (SANITIZED || size < HUGE)
        return mem_alloc(size);
    size = huge_size(size);
    list_for_each(link, &slab->kept)
    {
        struct kept *kept = list_entry(link, struct kept, link);
        if (kept->size != size)
            continue;
        list_remove(link);
        slab->kept_bytes -= size;
        return kept;
    }
    return mem_alloc(size);
}

static void large_free(struct slab *slab, void *block, size_t size)
{
    slab->used_bytes -= slab_cost(size);
    if (SANITIZED || size < HUGE || huge_size(size) > KEPT_MAX) {
        mem_free(block);
        return;
    }
    struct kept *kept = block;
    kept->size = huge_size(size);
    list_push_front(&slab->kept, &kept->link);
    slab->kept_bytes += kept->size;
    while (slab->kept_bytes > KEPT_MAX)
        kept_free(slab, list_entry(slab->kept.prev, struct kept, link));
}

void *slab_alloc(struct slab *slab, size_t size)
{
    if (SANITIZED || size > LARGE)
        return large_alloc(slab, size);
    unsigned class_index = class_of(size);
    struct list *link = slab->partial[class_index].next;
    struct span *span = link == &slab->partial[class_index] ? span_new(slab, class_index)
                                                            : list_entry(link, struct span, link);
    void *block = span->free;
    if (block) {
        span->free = *(void **)block;
    } else {
        block = (uint8_t *)span + span->fresh;
        span->fresh += span->block_size;
    }
    span->used++;
    slab->used_bytes += span->block_size;
    if (span_is_full(span))
        list_remove(&span->link);
    return block;
}

static void span_release(struct slab *slab, struct span *span)
{
    list_remove(&span->link);
    if (slab->spare_count >= SPARE_MAX) {
        munmap(span, SLAB_SPAN);
        return;
    }
    *(void **)(void *)span = slab->spare;
    slab->spare = span;
    slab->spare_count++;
}

void slab_free(struct slab *slab, void *block, size_t size)
{
    if (SANITIZED || size > LARGE) {
        large_free(slab, block, size);
        return;
    }
    struct span *span = (struct span *)((uintptr_t)block & ~(uintptr_t)(SLAB_SPAN - 1));
    slab->used_bytes -= span->block_size;
    if (span_is_full(span))
        list_push_back(&slab->partial[span->class_index], &span->link);
    *(void **)block = span->free;
    span->free = block;
    /* The last partly used span of a class stays, or a queue of one would map and unmap. */
    if (--span->used == 0 && (span->link.next != span->link.prev))
        span_release(slab, span);
}

void slab_trim(struct slab *slab, size_t spans)
{
    while (slab->spare_count > spans) {
        void *span = slab->spare;
        slab->spare = *(void **)span;
        slab->spare_count--;
        munmap(span, SLAB_SPAN);
    }
    list_for_each_safe(link, after, &slab->kept)
    {
        kept_free(slab, list_entry(link, struct kept, link));
    }
}

void slab_free_all(struct slab *slab)
{
    assert(slab->used_bytes == 0);
    for (unsigned i = 0; i < SLAB_CLASSES; i++) {
        struct list *link;
        while ((link = list_take_first(&slab->partial[i])))
            munmap(list_entry(link, struct span, link), SLAB_SPAN);
    }
    slab_trim(slab, 0);
    if (slab->fresh_count)
        munmap(slab->fresh, slab->fresh_count * SLAB_SPAN);
    slab->fresh_count = 0;
}
