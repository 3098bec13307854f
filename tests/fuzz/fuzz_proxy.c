/* What stands in front of a connection where a header of the PROXY protocol has to be. The first byte says in
 * what pieces it comes; it must be understood alike in others, no byte behind it be taken, and addresses be
 * those that it names. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "net/proxy.h"
#include "tests/fuzz/fuzz.h"

struct outcome {
    enum proxy_state state;
    size_t taken;
    struct proxy_header header;
};

static struct outcome play(const uint8_t *data, size_t size, size_t piece)
{
    struct outcome outcome = {.state = PROXY_READING};
    for (size_t at = 0; at < size && outcome.state == PROXY_READING; at += piece) {
        size_t now = size - at < piece ? size - at : piece, taken;
        uint8_t *copy = malloc(now); /* so that nothing is read beyond it */
        memcpy(copy, data + at, now);
        outcome.state = proxy_take(&outcome.header, bytes_of(copy, now), &taken);
        free(copy);
        assert(taken <= now && (taken == now || outcome.state != PROXY_READING));
        outcome.taken += taken;
    }
    return outcome;
}

static void check_address(const struct address *address)
{
    char text[ADDRESS_TEXT_BYTES];
    assert(address->any.sa_family == AF_INET || address->any.sa_family == AF_INET6);
    address_write(address, text);
    assert(strchr(text, ':'));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    struct outcome whole = play(data + 1, size - 1, SIZE_MAX / 2);
    struct outcome pieces = play(data + 1, size - 1, (size_t)data[0] + 1);
    assert(whole.state == pieces.state && whole.header.names_peer == pieces.header.names_peer);
    assert(whole.state == PROXY_WRONG || whole.taken == pieces.taken);
    assert((whole.state == PROXY_WRONG) == (whole.header.fault != NULL));
    assert(whole.state == PROXY_DONE || whole.taken <= size - 1);
    if (whole.state != PROXY_DONE || !whole.header.names_peer)
        return 0;
    assert(memcmp(&whole.header.source, &pieces.header.source, sizeof(struct address)) == 0);
    check_address(&whole.header.source);
    check_address(&whole.header.destination);
    return 0;
}
