/* Are short strings UTF-8? The rest of reading and writing is inline in wire.h. */
#include "amqp/wire.h"

#include "base/utf8.h"

/* Names are nearly always ASCII: eight bytes a step, the last step over what the one before it has
 * seen already. */
static bool is_ascii(struct bytes text)
{
    const uint64_t high = 0x8080808080808080u;
    uint64_t word = 0;
    if (text.size < 8) {
        for (size_t i = 0; i < text.size; i++)
            word |= text.data[i];
        return !(word & 0x80);
    }
    for (size_t i = 0; i + 8 <= text.size; i += 8) {
        memcpy(&word, text.data + i, 8);
        if (word & high)
            return false;
    }
    memcpy(&word, text.data + text.size - 8, 8);
    return !(word & high);
}

bool wire_text_is_valid(struct bytes text)
{
    return is_ascii(text) || utf8_is_valid(text);
}
