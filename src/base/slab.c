/* Classes step by 16 bytes to 512, then by a quarter of a power of two, and from MIDDLE on by an
 * eighth. A span begins with its header and is aligned to its size, so that a block finds its span by masking. A region is as
 * large as a piece that is given back, and is unmapped in one call when all of its spans are empty;
 * of others the memory of empty spans goes, and the addresses stay. */
#include "base/slab.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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

enum { SMALL = 512, STEP = 16, MIDDLE = 8192, LARGE = 128 << 10, REGION = SLAB_PIECE };
enum { SMALL_SPAN = 64 << 10, WIDE_SPAN = 1 << 20, WIDE_CLASS = SMALL / STEP + 4 * 4 };
enum { PAGE = 4096, LINE = 64, KEPT_MAX = 16 << 20, SPARE_KEPT = 16 };

/* What is known of a large block is written into it. */
struct kept {
    struct list link;
    size_t size;
};

struct region {
    struct list link; /* in one of the tier's lists, while a span is empty */
    uint8_t *base;
    uint32_t empty; /* set of its spans */
    uint32_t blank; /* set of the empty spans that have no memory */
};

struct span {
    struct list link; /* in slab->partial, when a block is free */
    struct region *region;
    void *free; /* blocks that came back */
    uint32_t used;
    uint32_t fresh; /* offset of the first block that was never handed out */
    uint32_t size;
    uint32_t block_size;
    uint32_t class_index;
};

enum { SPAN_HEADER = (sizeof(struct span) + 63) / 64 * 64 };

static __attribute__((noinline)) unsigned class_above_small(size_t size)
{
    unsigned top = 63 - (unsigned)__builtin_clzll(size - 1); /* 9 .. 16 */
    if (size <= MIDDLE)
        return SMALL / STEP + (top - 9) * 4 + (unsigned)((size - 1) >> (top - 2) & 3);
    return WIDE_CLASS + (top - 13) * 8 + (unsigned)((size - 1) >> (top - 3) & 7);
}

static inline unsigned class_of(size_t size)
{
    if (__builtin_expect(size > SMALL, 0))
        return class_above_small(size);
    return size ? (unsigned)((size - 1) / STEP) : 0;
}

static size_t class_size(unsigned class_index)
{
    if (class_index < SMALL / STEP)
        return (size_t)(class_index + 1) * STEP;
    if (class_index < WIDE_CLASS) {
        unsigned rest = class_index - SMALL / STEP;
        return ((size_t)1 << (9 + rest / 4)) + (((size_t)rest % 4 + 1) << (7 + rest / 4));
    }
    unsigned rest = class_index - WIDE_CLASS;
    return ((size_t)1 << (13 + rest / 8)) + (((size_t)rest % 8 + 1) << (10 + rest / 8));
}

static bool is_wide(size_t block_size)
{
    return block_size > MIDDLE;
}

static size_t span_size(bool wide)
{
    return wide ? WIDE_SPAN : SMALL_SPAN;
}

/* The set of all spans of a region. */
static uint32_t all_spans(bool wide)
{
    return wide ? (1u << REGION / WIDE_SPAN) - 1 : UINT32_MAX;
}

void slab_init(struct slab *slab)
{
    *slab = (struct slab){.used_bytes = 0};
    for (unsigned i = 0; i < SLAB_CLASSES; i++)
        list_init(&slab->partial[i]);
    for (unsigned i = 0; i < 2; i++) {
        list_init(&slab->tiers[i].warm);
        list_init(&slab->tiers[i].blank);
    }
    list_init(&slab->kept);
    list_init(&slab->going);
}

/* ---- large blocks ---- */

/* In eighths of a power of two, so that blocks of about the same size can stand in for each other; the
 * largest are not kept, and need not. */
static size_t large_size(size_t size)
{
    size_t step = (size_t)1 << (60 - __builtin_clzll(size - 1));
    if (size > KEPT_MAX)
        step = PAGE;
    return (size + step - 1) / step * step;
}

size_t slab_cost(size_t size)
{
    return size <= LARGE ? class_size(class_of(size)) : large_size(size);
}

static void *map(size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        fprintf(stderr, "out of memory: the system gave no region of %zu bytes\n", size);
        abort();
    }
    return memory;
}

static void *large_alloc(struct slab *slab, size_t size)
{
    list_for_each(link, &slab->kept) {
        struct kept *kept = list_entry(link, struct kept, link);
        if (kept->size != size)
            continue;
        list_remove(link);
        slab->kept_bytes -= size;
        if (slab->kept_least > slab->kept_bytes)
            slab->kept_least = slab->kept_bytes;
        return kept;
    }
    return map(size);
}

/* The block that is kept for longest goes. */
static void let_go(struct slab *slab)
{
    struct kept *kept = list_entry(slab->kept.prev, struct kept, link);
    list_remove(&kept->link);
    slab->kept_bytes -= kept->size;
    if (slab->kept_least > slab->kept_bytes)
        slab->kept_least = slab->kept_bytes;
    list_push_back(&slab->going, &kept->link);
}

static void large_free(struct slab *slab, void *block, size_t size)
{
    struct kept *kept = block;
    kept->size = size;
    if (size > KEPT_MAX) {
        list_push_back(&slab->going, &kept->link);
        return;
    }
    list_push_front(&slab->kept, &kept->link);
    slab->kept_bytes += size;
    while (slab->kept_bytes > KEPT_MAX)
        let_go(slab);
}

/* Unmaps the end of the first block that goes. */
static void give_large(struct slab *slab)
{
    struct kept *kept = list_entry(list_first(&slab->going), struct kept, link);
    size_t piece = kept->size < SLAB_PIECE ? kept->size : SLAB_PIECE;
    kept->size -= piece;
    uint8_t *end = (uint8_t *)kept + kept->size;
    if (kept->size == 0)
        list_remove(&kept->link);
    munmap(end, piece);
}

/* ---- regions ---- */

/* The region is on the list that its spans ask for. */
static void place(struct slab_tier *tier, struct region *region, bool first)
{
    struct list *list = region->empty & ~region->blank ? &tier->warm : &tier->blank;
    list_remove(&region->link);
    if (!region->empty)
        return;
    if (first)
        list_push_front(list, &region->link);
    else
        list_push_back(list, &region->link);
}

/* Address space, aligned; it takes memory as it is used. */
static struct region *region_new(struct slab_tier *tier, bool wide)
{
    struct region *region = mem_zalloc(sizeof(*region));
    uint8_t *area = map(2 * (size_t)REGION);
    size_t before = (REGION - ((uintptr_t)area & (REGION - 1))) & (REGION - 1);
    if (before)
        munmap(area, before);
    munmap(area + before + REGION, REGION - before);
    region->base = area + before;
    region->empty = region->blank = all_spans(wide);
    list_init(&region->link);
    place(tier, region, true);
    return region;
}

static void region_free(struct region *region)
{
    list_remove(&region->link);
    munmap(region->base, REGION);
    mem_free(region);
}

static void *take_span(struct slab *slab, bool wide, struct region **from)
{
    struct slab_tier *tier = &slab->tiers[wide];
    struct list *link = list_first(list_is_empty(&tier->warm) ? &tier->blank : &tier->warm);
    struct region *region =
        link ? list_entry(link, struct region, link) : region_new(tier, wide);
    uint32_t warm = region->empty & ~region->blank;
    unsigned at = (unsigned)__builtin_ctz(warm ? warm : region->empty);
    uint8_t *span = region->base + at * span_size(wide);
    region->empty &= ~(1u << at);
    region->blank &= ~(1u << at);
    *from = region;
    if (warm) {
        tier->spare--;
        if (tier->least > tier->spare)
            tier->least = tier->spare;
        if (tier->giving > tier->spare)
            tier->giving = tier->spare;
    } else if (!wide && slab->used_bytes >= REGION) {
        /* Many messages are coming: the system is asked for all pages at once, as each fault costs
         * more than what is done with the page. It may say no. */
        madvise(span, SMALL_SPAN, MADV_POPULATE_WRITE);
    }
    place(tier, region, true);
    return span;
}

static void return_span(struct slab *slab, struct span *span, bool wide)
{
    struct slab_tier *tier = &slab->tiers[wide];
    struct region *region = span->region;
    region->empty |= 1u << (size_t)((uint8_t *)span - region->base) / span_size(wide);
    tier->spare++;
    place(tier, region, region->empty != all_spans(wide));
}

/* The memory of up to `count` spans from the first of them on that has some: neighbours, as it is one
 * call. Returns how many there were. */
static unsigned blank_run(struct region *region, bool wide, size_t count)
{
    uint32_t warm = region->empty & ~region->blank;
    unsigned first = (unsigned)__builtin_ctz(warm);
    unsigned run = 0;
    while (run < count && first + run < 32 && warm >> (first + run) & 1)
        region->blank |= 1u << (first + run++);
    madvise(region->base + first * span_size(wide), run * span_size(wide), MADV_DONTNEED);
    return run;
}

static void give_region(struct slab_tier *tier, bool wide)
{
    struct region *region = list_entry(tier->warm.prev, struct region, link);
    size_t warm = (size_t)__builtin_popcount(region->empty & ~region->blank);
    size_t count = warm < tier->giving ? warm : tier->giving;
    tier->giving -= count;
    tier->spare -= count;
    if (tier->least > tier->spare)
        tier->least = tier->spare;
    if (region->empty == all_spans(wide) && count == warm) {
        region_free(region);
        return;
    }
    while (count)
        count -= blank_run(region, wide, count);
    place(tier, region, false);
}

/* ---- spans ---- */

/* Blocks of whole pages would all begin at the same place of a page. Where many are filled side by side, as
 * those of queues that get the same messages, all would need their next page at once, and the system takes
 * its time for each. So of spans of a size the blocks begin at another place each time, as far as they leave
 * room. */
static uint32_t first_block(struct slab_tier *tier, size_t span_bytes, size_t block_size)
{
    size_t rest = (span_bytes - SPAN_HEADER) % block_size;
    size_t places = (rest < PAGE - LINE ? rest : PAGE - LINE) / LINE + 1;
    return (uint32_t)(SPAN_HEADER + tier->begun++ % places * LINE);
}

static __attribute__((noinline)) struct span *span_new(struct slab *slab, unsigned class_index)
{
    size_t block_size = class_size(class_index);
    bool wide = is_wide(block_size);
    struct region *region;
    struct span *span = take_span(slab, wide, &region);
    span->region = region;
    span->free = NULL;
    span->used = 0;
    span->fresh = first_block(&slab->tiers[wide], span_size(wide), block_size);
    span->size = (uint32_t)span_size(wide);
    span->class_index = class_index;
    span->block_size = (uint32_t)block_size;
    list_push_front(&slab->partial[class_index], &span->link);
    return span;
}

static bool span_is_full(const struct span *span)
{
    return !span->free && span->fresh + span->block_size > span->size;
}

/* A block that lies in no span. */
static __attribute__((noinline)) void *alloc_apart(struct slab *slab, size_t size)
{
    size_t cost = slab_cost(size);
    slab->used_bytes += cost;
    return SANITIZED ? mem_alloc(size) : large_alloc(slab, cost);
}

void *slab_alloc(struct slab *slab, size_t size)
{
    if (SANITIZED || __builtin_expect(size > LARGE, 0))
        return alloc_apart(slab, size);
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

void slab_free(struct slab *slab, void *block, size_t size)
{
    if (SANITIZED || size > LARGE) {
        size_t cost = slab_cost(size);
        slab->used_bytes -= cost;
        if (SANITIZED)
            mem_free(block);
        else
            large_free(slab, block, cost);
        return;
    }
    bool wide = is_wide(size);
    struct span *span = (struct span *)((uintptr_t)block & ~(uintptr_t)(span_size(wide) - 1));
    slab->used_bytes -= span->block_size;
    if (span_is_full(span))
        list_push_back(&slab->partial[span->class_index], &span->link);
    *(void **)block = span->free;
    span->free = block;
    /* The last partly used small span of a class stays, or a queue of one would take and return it. */
    if (--span->used == 0 && (wide || span->link.next != span->link.prev)) {
        list_remove(&span->link);
        return_span(slab, span, wide);
    }
}

void *slab_map(size_t size)
{
    assert(size > SLAB_LARGE);
    return SANITIZED ? mem_alloc(size) : map(slab_cost(size));
}

void slab_adopt(struct slab *slab, size_t size)
{
    slab->used_bytes += slab_cost(size);
}

/* The system moves whole pages, without a copy. */
static void *large_resize(void *block, size_t from, size_t to)
{
    void *moved = mremap(block, from, to, MREMAP_MAYMOVE);
    if (moved == MAP_FAILED) {
        fprintf(stderr, "out of memory: a region of %zu bytes did not grow to %zu\n", from, to);
        abort();
    }
    return moved;
}

void *slab_resize(struct slab *slab, void *block, size_t from, size_t to)
{
    if (!SANITIZED && from > LARGE && to > LARGE) {
        slab->used_bytes += slab_cost(to) - slab_cost(from);
        return large_resize(block, slab_cost(from), slab_cost(to));
    }
    void *moved = slab_alloc(slab, to);
    memcpy(moved, block, from < to ? from : to);
    slab_free(slab, block, from);
    return moved;
}

/* ---- giving back ---- */

void slab_age(struct slab *slab)
{
    struct slab_tier *small = &slab->tiers[0], *wide = &slab->tiers[1];
    small->giving = small->least > SPARE_KEPT ? small->least - SPARE_KEPT : 0;
    wide->giving = wide->least;
    small->least = small->spare;
    wide->least = wide->spare;
    size_t rest = slab->kept_bytes - slab->kept_least;
    while (slab->kept_bytes > rest)
        let_go(slab);
    slab->kept_least = slab->kept_bytes;
}

bool slab_has_to_give(const struct slab *slab)
{
    return slab->tiers[0].giving || slab->tiers[1].giving || !list_is_empty(&slab->going);
}

bool slab_has_spare(const struct slab *slab)
{
    return slab->tiers[0].spare > SPARE_KEPT || slab->tiers[1].spare || slab->kept_bytes;
}

bool slab_give(struct slab *slab)
{
    if (!list_is_empty(&slab->going))
        give_large(slab);
    else if (slab->tiers[0].giving)
        give_region(&slab->tiers[0], false);
    else if (slab->tiers[1].giving)
        give_region(&slab->tiers[1], true);
    else
        return false;
    return true;
}

void slab_free_all(struct slab *slab)
{
    assert(slab->used_bytes == 0);
    for (unsigned i = 0; i < SLAB_CLASSES; i++) {
        struct list *link;
        while ((link = list_take_first(&slab->partial[i])))
            return_span(slab, list_entry(link, struct span, link), is_wide(class_size(i)));
    }
    for (unsigned i = 0; i < 2; i++) {
        slab->tiers[i].giving = slab->tiers[i].spare;
        while (slab->tiers[i].giving)
            give_region(&slab->tiers[i], i);
        list_for_each_safe(link, after, &slab->tiers[i].blank)
            region_free(list_entry(link, struct region, link));
    }
    while (slab->kept_bytes)
        let_go(slab);
    while (slab_give(slab))
        continue;
}
