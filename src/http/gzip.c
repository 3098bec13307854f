/* With the fastest level and a window of 8 KiB, in which the objects of a list find their like: 72
 * KiB for each body on its way, where zlib would take 256 by itself. */
#include "http/gzip.h"

#include <zlib.h>

#include "base/mem.h"

enum { LEVEL = 1, WINDOW_BITS = 13, AS_GZIP = 16, MEMORY_LEVEL = 6, ROOM = 4096 };

struct http_gzip {
    z_stream stream;
};

static voidpf allocate(voidpf context, uInt count, uInt size)
{
    (void)context;
    return mem_alloc((size_t)count * size);
}

static void release(voidpf context, voidpf memory)
{
    (void)context;
    mem_free(memory);
}

struct http_gzip *http_gzip_new(void)
{
    struct http_gzip *gzip = mem_zalloc(sizeof(*gzip));
    gzip->stream.zalloc = allocate;
    gzip->stream.zfree = release;
    deflateInit2(&gzip->stream, LEVEL, Z_DEFLATED, WINDOW_BITS + AS_GZIP, MEMORY_LEVEL,
                 Z_DEFAULT_STRATEGY);
    return gzip;
}

void http_gzip_free(struct http_gzip *gzip)
{
    if (!gzip)
        return;
    deflateEnd(&gzip->stream);
    mem_free(gzip);
}

void http_gzip_add(struct http_gzip *gzip, struct bytes bytes, bool is_last, struct buffer *out)
{
    z_stream *stream = &gzip->stream;
    stream->next_in = (Bytef *)(uintptr_t)bytes.data;
    stream->avail_in = (uInt)bytes.size;
    do {
        stream->next_out = buffer_room(out, ROOM);
        stream->avail_out = ROOM;
        deflate(stream, is_last ? Z_FINISH : Z_NO_FLUSH);
        buffer_added(out, ROOM - stream->avail_out);
    } while (stream->avail_out == 0);
}
