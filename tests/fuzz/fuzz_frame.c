/* A stream of frames, as a connection reads it: the first two bytes choose frame_max, the rest
 * comes in as it is. What can be read must be the same when it is written again, and one byte less
 * of it must be "more needed". Content headers are read in both ways, which must agree. */
#include <assert.h>
#include <stdlib.h>

#include "amqp/frame.h"
#include "amqp/properties.h"
#include "tests/fuzz/fuzz.h"

static void judge_properties(struct bytes bytes)
{
    struct properties properties;
    struct properties_brief brief;
    enum properties_result result = properties_read(bytes, &properties);
    assert(properties_scan(bytes, &brief) == result);
    if (result != PROPERTIES_OK)
        return;
    assert(brief.flags == properties.flags);
    assert(bytes_equal(brief.headers, properties.headers));
    assert(bytes_equal(brief.user_id, properties.user_id));
    assert(bytes_equal(brief.expiration, properties.expiration));
    assert(bytes_equal(brief.reply_to, properties.reply_to));
    assert(properties_size(&properties) == bytes.size);
    uint8_t *memory = malloc(bytes.size);
    struct writer writer = writer_of(memory, bytes.size);
    properties_write(&writer, &properties);
    assert(!writer.bad && memcmp(memory, bytes.data, bytes.size) == 0);
    free(memory);
}

static void judge(const struct frame *frame)
{
    union method method;
    struct content_header header;
    if (frame->type == FRAME_METHOD)
        method_read(frame->payload, &method);
    else if (frame->type == FRAME_HEADER && content_header_read(frame->payload, &header))
        judge_properties(header.properties);
}

static void judge_again(const uint8_t *data, size_t size, const struct frame *frame)
{
    uint8_t header[FRAME_HEADER_SIZE];
    frame_write_header(header, (enum frame_type)frame->type, frame->channel,
                       (uint32_t)frame->payload.size);
    assert(memcmp(header, data, sizeof(header)) == 0);
    assert(data[size - 1] == FRAME_END);
    assert(frame_announced_size(data, size) == size);
    struct frame less;
    assert(frame_read(data, size - 1, 0, &less) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    uint32_t frame_max = (uint32_t)(data[0] << 8 | data[1]);
    data += 2;
    size -= 2;
    protocol_header_check(data, size);
    while (size) {
        struct frame frame;
        ssize_t taken = frame_read(data, size, frame_max, &frame);
        if (taken <= 0)
            break;
        assert((size_t)taken <= size && frame.payload.size + FRAME_OVERHEAD == (size_t)taken);
        assert(!frame_max || frame.payload.size <= frame_max);
        judge_again(data, (size_t)taken, &frame);
        judge(&frame);
        data += taken;
        size -= (size_t)taken;
    }
    return 0;
}
