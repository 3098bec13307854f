/* Well-formed UTF-8, character by character. */
#include "base/utf8.h"

static bool is_tail(uint8_t byte)
{
    return (byte & 0xc0) == 0x80;
}

size_t utf8_character(struct bytes bytes)
{
    const uint8_t *at = bytes.data;
    uint8_t a = at[0];
    if (a < 0x80)
        return 1;
    if (a < 0xc2 || a > 0xf4)
        return 0;
    size_t size = a < 0xe0 ? 2 : a < 0xf0 ? 3 : 4;
    if (bytes.size < size)
        return 0;
    for (size_t i = 1; i < size; i++)
        if (!is_tail(at[i]))
            return 0;
    uint8_t low = a == 0xe0 ? 0xa0 : a == 0xf0 ? 0x90 : 0x80;
    uint8_t high = a == 0xed ? 0x9f : a == 0xf4 ? 0x8f : 0xbf;
    return at[1] >= low && at[1] <= high ? size : 0;
}

bool utf8_is_valid(struct bytes text)
{
    size_t at = 0;
    while (at < text.size) {
        size_t size = utf8_character(bytes_of(text.data + at, text.size - at));
        if (size == 0)
            return false;
        at += size;
    }
    return true;
}
