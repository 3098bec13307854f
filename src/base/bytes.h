/* A borrowed run of bytes. Never owns and never frees what it points to. */
#ifndef LEVERET_BASE_BYTES_H
#define LEVERET_BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct bytes {
    const uint8_t *data; /* may be NULL when size is 0 */
    size_t size;
};

static inline struct bytes bytes_of(const void *data, size_t size)
{
    return (struct bytes){data, size};
}

/* The bytes of a C string, without its terminator. */
static inline struct bytes bytes_str(const char *text)
{
    return (struct bytes){(const uint8_t *)text, strlen(text)};
}

static inline bool bytes_equal(struct bytes a, struct bytes b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

/* The same for names, which are mostly short: a call of memcmp costs more than two comparisons that may
 * overlap. */
static inline bool bytes_equal_names(struct bytes a, struct bytes b)
{
    uint64_t head[2], tail[2];
    size_t size = a.size;
    if (size < sizeof(*head) || size > 2 * sizeof(*head))
        return bytes_equal(a, b);
    if (size != b.size)
        return false;
    memcpy(&head[0], a.data, sizeof(*head));
    memcpy(&head[1], b.data, sizeof(*head));
    memcpy(&tail[0], a.data + size - sizeof(*tail), sizeof(*tail));
    memcpy(&tail[1], b.data + size - sizeof(*tail), sizeof(*tail));
    return head[0] == head[1] && tail[0] == tail[1];
}

static inline bool bytes_equal_str(struct bytes a, const char *text)
{
    return bytes_equal(a, bytes_str(text));
}

static inline bool bytes_start_with(struct bytes a, const char *prefix)
{
    size_t size = strlen(prefix);
    return a.size >= size && memcmp(a.data, prefix, size) == 0;
}

/* Is it one of the texts between the commas of `names`? */
static inline bool bytes_are_listed(struct bytes a, const char *names)
{
    while (*names) {
        size_t size = strcspn(names, ",");
        if (bytes_equal(bytes_of(names, size), a))
            return true;
        names += size + (names[size] == ',');
    }
    return false;
}

static inline bool bytes_have_nul(struct bytes a)
{
    return a.size && memchr(a.data, '\0', a.size);
}

/* Order of memcmp, a shorter run before a longer one that it begins. */
static inline int bytes_compare(struct bytes a, struct bytes b)
{
    size_t size = a.size < b.size ? a.size : b.size;
    int order = size ? memcmp(a.data, b.data, size) : 0;
    return order ? order : (a.size > b.size) - (a.size < b.size);
}

/* The two arguments of printf's "%.*s". */
#define BYTES_ARG(b) (int)(b).size, (b).size ? (const char *)(b).data : ""

#endif
