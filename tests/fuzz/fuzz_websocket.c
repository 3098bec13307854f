/* What a client of WebSocket sends, from its request on. The first byte says in what pieces it comes, and in
 * what pieces answers are taken.
 *
 * A finding is a crash or a leak; or that other bytes are heard within when they come in other pieces; or an
 * answer that is no HTTP and then whole frames. */
#include <assert.h>
#include <stdlib.h>

#include "http/websocket_frame.h"
#include "tests/fuzz/fuzz.h"
#include "tests/lib/carried.h"

static void play(struct carried *carried, struct bytes bytes, size_t piece)
{
    carried_new(carried);
    while (bytes.size && carried->conversation) {
        size_t size = bytes.size < piece ? bytes.size : piece;
        uint8_t *copy = malloc(size); /* so that nothing is read beyond it, or later */
        memcpy(copy, bytes.data, size);
        carried_send(carried, bytes_of(copy, size));
        free(copy);
        carried->holds = false;
        bytes = bytes_of(bytes.data + size, bytes.size - size);
        carried_take(carried, piece);
    }
    if (carried->conversation)
        carried_take(carried, piece);
}

/* Of the server's frames the data. */
static struct buffer read_frames(struct bytes bytes)
{
    struct buffer data = {0};
    while (bytes.size) {
        assert(bytes.size >= 2 && (bytes.data[0] & 0xf0) == 0x80 && !(bytes.data[1] & 0x80));
        uint64_t size = bytes.data[1];
        size_t head = size == 126 ? 4 : size == 127 ? 10 : 2;
        assert(bytes.size >= head);
        if (head > 2)
            size = 0;
        for (size_t i = 2; i < head; i++)
            size = size << 8 | bytes.data[i];
        assert(bytes.size - head >= size);
        if ((bytes.data[0] & 0x0f) == WEBSOCKET_BINARY)
            buffer_add(&data, bytes.data + head, (size_t)size);
        bytes = bytes_of(bytes.data + head + size, bytes.size - head - (size_t)size);
    }
    return data;
}

static void check_answer(const struct carried *carried)
{
    struct bytes got = buffer_bytes(&carried->got);
    if (!got.size)
        return;
    const uint8_t *end = memmem(got.data, got.size, "\r\n\r\n", 4);
    assert(end && bytes_start_with(got, "HTTP/1.1 "));
    if (!carried->opened)
        return;
    size_t head = (size_t)(end - got.data) + 4;
    struct buffer data = read_frames(bytes_of(got.data + head, got.size - head));
    assert(data.size <= carried->heard.size &&
           (data.size == 0 || memcmp(data.data, carried->heard.data, data.size) == 0));
    buffer_free(&data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct carried whole, pieces;
    if (size < 1)
        return 0;
    play(&whole, bytes_of(data + 1, size - 1), SIZE_MAX);
    play(&pieces, bytes_of(data + 1, size - 1), (size_t)data[0] + 1);
    check_answer(&whole);
    check_answer(&pieces);
    assert(whole.opened == pieces.opened);
    /* Who ends ("$") within a piece has heard the rest of it as well. */
    assert(pieces.heard.size <= whole.heard.size &&
           (pieces.heard.size == 0 ||
            memcmp(whole.heard.data, pieces.heard.data, pieces.heard.size) == 0));
    carried_free(&whole);
    carried_free(&pieces);
    return 0;
}
