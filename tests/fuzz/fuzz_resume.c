/* The way between a client and servers that come and go, by what both may say. The first byte says in what pieces that
 * comes, which must make no difference. Then follows, again and again, who says something (a byte: the client, a server,
 * or 2: the server goes and the next one is there, 3: it goes), how much (two bytes), and what. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "cluster/resume.h"
#include "tests/fuzz/fuzz.h"

enum { CLIENT, SERVER, NEXT, LOST, SPEAKERS, HEADER = 3 };

struct outcome {
    struct buffer client, server;
    size_t kept;
    bool has_ended;
};

static void to_client(void *context, struct bytes bytes)
{
    buffer_add(&((struct outcome *)context)->client, bytes.data, bytes.size);
}

static void to_server(void *context, struct bytes bytes)
{
    buffer_add(&((struct outcome *)context)->server, bytes.data, bytes.size);
}

static void say(struct resume *resume, unsigned speaker, const uint8_t *data, size_t size, size_t piece)
{
    for (size_t at = 0; at < size; at += piece) {
        size_t now = size - at < piece ? size - at : piece;
        uint8_t *copy = malloc(now); /* so that nothing is read beyond it */
        memcpy(copy, data + at, now);
        (speaker == CLIENT ? resume_client_input : resume_server_input)(resume, bytes_of(copy, now));
        free(copy);
    }
}

static struct outcome play(const uint8_t *data, size_t size, size_t piece)
{
    static const struct resume_ops ops = {to_client, to_server};
    struct outcome outcome = {.has_ended = false};
    struct resume *resume = resume_new(&ops, &outcome, &outcome.kept);
    bool is_there = true;
    while (size >= HEADER && !outcome.has_ended) {
        unsigned speaker = data[0] % SPEAKERS;
        size_t length = (size_t)data[1] << 8 | data[2];
        data += HEADER;
        size -= HEADER;
        length = length < size ? length : size;
        if (speaker >= NEXT) {
            outcome.has_ended = resume_lost(resume) != NULL;
            assert(outcome.has_ended || resume_is_telling(resume));
            is_there = speaker == NEXT;
            if (is_there && !outcome.has_ended)
                resume_begin(resume);
        } else if (speaker == SERVER ? is_there : !resume_is_telling(resume)) {
            say(resume, speaker, data, length, piece);
        }
        data += length;
        size -= length;
    }
    resume_free(resume);
    assert(outcome.kept == 0);
    return outcome;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    struct outcome whole = play(data + 1, size - 1, SIZE_MAX / 2);
    struct outcome pieces = play(data + 1, size - 1, (size_t)data[0] + 1);
    assert(whole.has_ended == pieces.has_ended);
    assert(bytes_equal(buffer_bytes(&whole.client), buffer_bytes(&pieces.client)));
    assert(bytes_equal(buffer_bytes(&whole.server), buffer_bytes(&pieces.server)));
    buffer_free(&whole.client);
    buffer_free(&whole.server);
    buffer_free(&pieces.client);
    buffer_free(&pieces.server);
    return 0;
}
