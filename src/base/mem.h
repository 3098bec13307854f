/* Memory from the system. Running out of it ends the process with one line on stderr: what a
 * peer can make the broker hold is bounded elsewhere, so this is a machine's failure. */
#ifndef LEVERET_BASE_MEM_H
#define LEVERET_BASE_MEM_H

#include <stddef.h>

/* `size` bytes, uninitialised; the caller frees them with mem_free. */
void *mem_alloc(size_t size);
/* The same, all zero. */
void *mem_zalloc(size_t size);
/* `count` elements of `size` bytes, all zero; aborts on overflow. */
void *mem_zalloc_array(size_t count, size_t size);
/* The same as mem_alloc, at a multiple of `alignment`, a power of two that divides `size`. */
void *mem_aligned(size_t alignment, size_t size);
/* Grows or shrinks what mem_alloc gave (or NULL). */
void *mem_realloc(void *memory, size_t size);
/* Room for `needed` elements of `size` bytes: the array (NULL: none yet) as it is, or grown to
 * twice as many or more, and then *capacity says how many. The new ones are uninitialised; aborts
 * on overflow. */
void *mem_grow(void *array, size_t *capacity, size_t needed, size_t size);
/* A copy of `size` bytes. */
void *mem_dup(const void *data, size_t size);
/* NULL is allowed. */
void mem_free(void *memory);
/* The system's allocator puts off part of what freeing small memory costs, and one later call then pays
 * for all of it: milliseconds for a hundred thousand pieces. Now it is paid. Who frees that many does so
 * in parts, and calls this after each. */
void mem_settle(void);

#endif
