#include "base/base64.h"

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static bool read_digit(uint8_t letter, uint32_t *bits)
{
    const char *digit = letter ? strchr(digits, letter) : NULL;
    *bits = *bits << 6 | (digit ? (uint32_t)(digit - digits) : 0);
    return digit;
}

/* Four letters, of which the last `padding` are none. */
static bool read_group(const uint8_t *letters, size_t padding, struct buffer *out)
{
    uint32_t bits = 0;
    for (size_t i = 0; i < 4 - padding; i++)
        if (!read_digit(letters[i], &bits))
            return false;
    bits <<= 6 * padding;
    if (bits & ((1U << 8 * padding) - 1)) /* bits that no byte has */
        return false;
    for (size_t i = 0; i < 3 - padding; i++)
        buffer_add_u8(out, (uint8_t)(bits >> (16 - 8 * i)));
    return true;
}

bool base64_read(struct bytes text, struct buffer *out)
{
    size_t before = out->size, padding = 0;
    if (text.size % 4)
        return false;
    while (padding < 2 && padding < text.size && text.data[text.size - padding - 1] == '=')
        padding++;
    for (size_t at = 0; at < text.size; at += 4)
        if (!read_group(text.data + at, at + 4 == text.size ? padding : 0, out)) {
            out->size = before;
            return false;
        }
    return true;
}

void base64_write(struct bytes bytes, struct buffer *out)
{
    for (size_t at = 0; at < bytes.size; at += 3) {
        size_t count = bytes.size - at < 3 ? bytes.size - at : 3;
        uint32_t bits = 0;
        for (size_t i = 0; i < 3; i++)
            bits = bits << 8 | (i < count ? bytes.data[at + i] : 0);
        for (size_t i = 0; i < 4; i++)
            buffer_add_u8(out,
                          i <= count ? (uint8_t)digits[bits >> (18 - 6 * i) & 63] : (uint8_t)'=');
    }
}
