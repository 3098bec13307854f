/* Small questions about the text of HTTP. */
#ifndef LEVERET_HTTP_TEXT_H
#define LEVERET_HTTP_TEXT_H

#include <strings.h>

#include "base/bytes.h"

/* Upper and lower case are the same. */
static inline bool http_is(struct bytes text, const char *word)
{
    return text.size == strlen(word) &&
           (text.size == 0 || strncasecmp((const char *)text.data, word, text.size) == 0);
}

static inline bool http_is_one_of(struct bytes text, const char *const *words, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (http_is(text, words[i]))
            return true;
    return false;
}

static inline bool http_is_space(uint8_t byte)
{
    return byte == ' ' || byte == '\t';
}

/* Without the spaces around it. */
static inline struct bytes http_trimmed(struct bytes text)
{
    while (text.size && http_is_space(text.data[0]))
        text = bytes_of(text.data + 1, text.size - 1);
    while (text.size && http_is_space(text.data[text.size - 1]))
        text.size--;
    return text;
}

/* Takes so many bytes off the front. */
static inline void http_skip(struct bytes *bytes, size_t size)
{
    if (size)
        *bytes = bytes_of(bytes->data + size, bytes->size - size);
}

/* What a hexadecimal digit stands for, or -1. */
static inline int http_hex(uint8_t digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    digit |= 0x20;
    return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

#endif
