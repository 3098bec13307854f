/* Memory from the system, or the end of the process. */
#include "base/mem.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What an array begins with. */
enum { FIRST_BYTES = 64, FIRST_COUNT = 8 };

/* More than is kept at hand for each thread, and less than is mapped. */
enum { LARGE_BYTES = 4096 };

static void *must(void *memory, size_t size)
{
    if (memory || size == 0)
        return memory;
    fprintf(stderr, "out of memory: an allocation of %zu bytes failed\n", size);
    abort();
}

void *mem_alloc(size_t size)
{
    return must(malloc(size), size);
}

void *mem_zalloc(size_t size)
{
    return must(calloc(1, size), size);
}

void *mem_zalloc_array(size_t count, size_t size)
{
    return must(calloc(count, size), count && size ? SIZE_MAX : 0);
}

void *mem_aligned(size_t alignment, size_t size)
{
    return must(aligned_alloc(alignment, size), size);
}

void *mem_realloc(void *memory, size_t size)
{
    return must(realloc(memory, size), size);
}

void *mem_grow(void *array, size_t *capacity, size_t needed, size_t size)
{
    size_t first = size < FIRST_BYTES / FIRST_COUNT ? FIRST_BYTES / size : FIRST_COUNT;
    size_t grown = *capacity ? *capacity : first;
    if (needed <= *capacity)
        return array;
    if (needed > SIZE_MAX / 2 / size)
        return must(NULL, SIZE_MAX);
    while (grown < needed)
        grown *= 2;
    *capacity = grown;
    return mem_realloc(array, grown * size);
}

void *mem_dup(const void *data, size_t size)
{
    void *copy = mem_alloc(size ? size : 1);
    if (size)
        memcpy(copy, data, size);
    return copy;
}

void mem_free(void *memory)
{
    free(memory);
}

/* Asked for something large, the allocator first joins what lies free beside each other. */
void mem_settle(void)
{
    void *volatile large = malloc(LARGE_BYTES);
    free(large);
}
