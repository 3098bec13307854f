/* Frames at the beginning of what has come so far, and the protocol header. */
#include "amqp/frame.h"

#include <stdlib.h>

#include "amqp/properties.h"
#include "tests/lib/tap.h"
#include "tests/lib/amqp_more.h"

/* Reads from memory of exactly that size. */
static ssize_t read_part(const void *data, size_t size, uint32_t frame_max, struct frame *frame)
{
    uint8_t *part = malloc(size + 1);
    memcpy(part, data, size);
    ssize_t result = frame_read(part, size, frame_max, frame);
    if (result > 0)
        frame->payload.data = (const uint8_t *)data + FRAME_HEADER_SIZE;
    free(part);
    return result;
}

TEST(a_frame_is_whole_or_needs_more)
{
    static const uint8_t data[] = "\2\1\2\0\0\0\3abc\xce"
                                  "rest";
    struct frame frame = {0};
    bool more = true;
    for (size_t size = 0; size < 11; size++)
        more = more && read_part(data, size, 4096, &frame) == 0;
    ok(more, "0 to 10 bytes are not enough");
    for (size_t size = 11; size < sizeof(data); size++) {
        is_int(read_part(data, size, 4096, &frame), 11, "%zu are", size);
        is_int(frame.type, FRAME_HEADER, "type");
        is_int(frame.channel, 0x102, "channel");
        is_bytes(frame.payload.data, frame.payload.size, "abc", 3, "payload");
    }
    is_int(frame_announced_size(data, 6), 0, "six bytes announce nothing");
    is_int(frame_announced_size(data, 7), 11, "seven announce its size");
}

TEST(types)
{
    struct frame frame = {0};
    for (int type = 0; type < 256; type++) {
        uint8_t data[] = {(uint8_t)type, 0, 9, 0, 0, 0, 0, 0xce};
        bool known = type == 1 || type == 2 || type == 3 || type == 8;
        ssize_t want = known ? 8 : FRAME_UNKNOWN_TYPE;
        if (read_part(data, sizeof(data), 4096, &frame) != want ||
            (!known && read_part(data, 7, 4096, &frame) != want) || frame.type != type ||
            frame.channel != 9)
            ok(false, "type %d", type);
    }
    ok(true, "four are known, the others refused from the header");
}

static ssize_t read_announced(uint32_t payload_size, uint32_t frame_max)
{
    uint8_t header[FRAME_HEADER_SIZE];
    struct frame frame = {0};
    frame_write_header(header, FRAME_BODY, 1, payload_size);
    ssize_t result = read_part(header, sizeof(header), frame_max, &frame);
    if (frame.payload.size != payload_size || frame.payload.data)
        ok(false, "the announced size is told");
    return result;
}

TEST(the_limit_is_judged_from_the_header)
{
    is_int(read_announced(4088, 4096), 0, "the largest frame of 4,096 bytes");
    is_int(read_announced(4096, 4096), 0, "and 8 bytes more, as RabbitMQ has it");
    is_int(read_announced(4097, 4096), FRAME_TOO_LARGE, "but no more");
    is_int(read_announced(UINT32_MAX, 131072), FRAME_TOO_LARGE, "4 GiB");
    is_int(read_announced(UINT32_MAX, 0), 0, "without a limit, 4 GiB are waited for");
    is_int(read_announced(UINT32_MAX, UINT32_MAX), 0, "as with the highest limit");
}

TEST(the_end_octet)
{
    struct frame frame = {0};
    is_int(read_part("\1\0\1\0\0\0\2ab\xcd", 10, 4096, &frame), FRAME_BAD_END, "is not 0xCE");
    is_int(frame.type, FRAME_METHOD, "the frame is told");
    is_int(frame.payload.size, 2, "with its size");
}

static struct writer written;
static uint8_t memory[400];

static void is_frame(uint8_t type, uint16_t channel, const char *payload, size_t size,
                     const char *name)
{
    struct frame frame = {0};
    ssize_t total = frame_read(memory, (size_t)(written.at - memory), 0, &frame);
    ok(!written.bad && total == written.at - memory && frame.type == type &&
           frame.channel == channel,
       "%s", name);
    is_bytes(frame.payload.data, frame.payload.size, payload, size, "and its payload");
}

TEST(what_is_written_is_read)
{
    union method method = {.channel_flow = {METHOD_CHANNEL_FLOW, true}};
    written = writer_of(memory, sizeof(memory));
    frame_write_method(&written, 5, &method);
    is_frame(FRAME_METHOD, 5, "\0\x14\0\x14\1", 5, "a method");
    is_int(written.at - memory, frame_method_size(&method), "of its size");
    written = writer_of(memory, sizeof(memory));
    frame_write_heartbeat(&written);
    is_frame(FRAME_HEARTBEAT, 0, "", 0, "a heartbeat");
    written = writer_of(memory, sizeof(memory));
    frame_write_content_header(&written, 7, 0x102, bytes_of("\x10\0\2", 3));
    is_frame(FRAME_HEADER, 7, "\0\x3c\0\0\0\0\0\0\0\0\1\2\x10\0\2", 15, "a content header");
    is_int(written.at - memory, frame_content_header_size(bytes_of("\x10\0\2", 3)), "of its size");
    written = writer_of(memory, sizeof(memory));
    frame_write_body(&written, 65535, bytes_str("body"));
    is_frame(FRAME_BODY, 65535, "body", 4, "a body");
}

TEST(a_frame_is_written_whole_or_not_at_all)
{
    union method method = {.basic_deliver = {.id = METHOD_BASIC_DELIVER,
                                             .consumer_tag = bytes_str("tag"),
                                             .delivery_tag = 1,
                                             .exchange = bytes_str("ex"),
                                             .routing_key = bytes_str("key")}};
    bool all = true;
    for (size_t room = 0; room < 60; room++) {
        uint8_t *exact = malloc(room + 1);
        struct writer writer = writer_of(exact, room);
        frame_write_method(&writer, 1, &method);
        all = all && writer.bad == (room < frame_method_size(&method)) &&
              writer.at - exact == (writer.bad ? 0 : (ssize_t)frame_method_size(&method));
        writer = writer_of(exact, room);
        frame_write_body(&writer, 1, bytes_str("0123456789"));
        all = all && writer.bad == (room < 18);
        writer = writer_of(exact, room);
        frame_write_content_header(&writer, 1, 1, bytes_of("\0\0", 2));
        all = all && writer.bad == (room < 22);
        writer = writer_of(exact, room);
        frame_write_heartbeat(&writer);
        all = all && writer.bad == (room < 8);
        free(exact);
    }
    ok(all, "into 0 to 59 bytes");
    static uint8_t text[256];
    method.basic_deliver.routing_key = bytes_of(text, 256);
    struct writer writer = writer_of(memory, sizeof(memory));
    frame_write_method(&writer, 1, &method);
    ok(writer.bad && writer.at == memory, "nor with a string that is too long");
}

static enum protocol_check check(const char *data, size_t size)
{
    return protocol_header_check((const uint8_t *)data, size);
}

TEST(protocol_headers)
{
    bool more = true;
    for (size_t size = 0; size < 8; size++)
        more = more && check("AMQP\0\0\11\1", size) == PROTOCOL_NEEDS_MORE &&
               check("AMQP\1\1\0\11", size) == PROTOCOL_NEEDS_MORE;
    ok(more, "incomplete ones");
    is_int(check("AMQP\0\0\11\1", 8), PROTOCOL_0_9_1, "0-9-1");
    is_int(check("AMQP\0\0\11\1\1", 9), PROTOCOL_0_9_1, "with more behind it");
    is_int(check("AMQP\1\1\0\11", 8), PROTOCOL_0_9, "0-9");
    is_int(check("AMQP\3\1\0\0", 8), PROTOCOL_WRONG, "1.0");
    is_int(check("AMQP\0\0\11\0", 8), PROTOCOL_WRONG, "0-9-0");
    is_int(check("AMQP\1\1\11\1", 8), PROTOCOL_WRONG, "a mixture");
    is_int(check("GET / HTTP/1.1", 14), PROTOCOL_WRONG, "HTTP");
    is_int(check("G", 1), PROTOCOL_WRONG, "from its first byte");
    is_int(check("\x16\3\1", 3), PROTOCOL_WRONG, "TLS");
    is_bytes(protocol_header, PROTOCOL_HEADER_SIZE, "AMQP\0\0\11\1", 8, "ours");
}

int main(void)
{
    RUN(a_frame_is_whole_or_needs_more);
    RUN(types);
    RUN(the_limit_is_judged_from_the_header);
    RUN(the_end_octet);
    RUN(what_is_written_is_read);
    RUN(a_frame_is_written_whole_or_not_at_all);
    RUN(protocol_headers);
    return done();
}
