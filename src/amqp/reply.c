/* Reply codes by number, and reply texts cut to what a short string holds. */
#include "amqp/reply.h"

#include <stdio.h>

#include "base/utf8.h"

const char *reply_name(uint16_t code)
{
    switch (code) {
#define REPLY(NAME, code, closes)                                                                  \
    case code:                                                                                     \
        return #NAME;
#include "amqp/reply.def"
    default:
        return "INTERNAL_ERROR";
    }
}

bool reply_closes_connection(uint16_t code)
{
    enum { NOTHING, CHANNEL, CONNECTION };
    switch (code) {
#define REPLY(NAME, code, closes)                                                                  \
    case code:                                                                                     \
        return closes == CONNECTION;
#include "amqp/reply.def"
    default:
        return true;
    }
}

/* Bytes of the character at the beginning, 0 when it is malformed. */
static size_t character(struct bytes text)
{
    for (size_t size = 1; size <= 4 && size <= text.size; size++)
        if (utf8_is_valid(bytes_of(text.data, size)))
            return size;
    return 0;
}

/* Copies at most REPLY_TEXT_MAX bytes of whole characters; returns how many. */
static size_t copy(char *to, struct bytes from)
{
    size_t size = 0;
    while (from.size) {
        size_t step = character(from);
        if (size + (step ? step : 1) > REPLY_TEXT_MAX)
            break;
        if (step)
            memcpy(to + size, from.data, step);
        else
            to[size] = '?';
        step += step == 0;
        size += step;
        from = bytes_of(from.data + step, from.size - step);
    }
    to[size] = '\0';
    return size;
}

size_t reply_format_va(char *text, uint16_t code, const char *format, va_list arguments)
{
    /* So much longer that a character across the limit is whole. */
    char whole[REPLY_TEXT_MAX + 8];
    int name = snprintf(whole, sizeof(whole), "%s - ", reply_name(code));
    int detail = vsnprintf(whole + name, sizeof(whole) - (size_t)name, format, arguments);
    size_t size = (size_t)name + (detail > 0 ? (size_t)detail : 0);
    if (size > sizeof(whole) - 1)
        size = sizeof(whole) - 1;
    return copy(text, bytes_of(whole, size));
}

size_t reply_format(char *text, uint16_t code, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    size_t size = reply_format_va(text, code, format, arguments);
    va_end(arguments);
    return size;
}
