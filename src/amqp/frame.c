/* The protocol header, and frames as they are written; reading one is inline in frame.h. */
#include "amqp/frame.h"

#include "amqp/properties.h"

const uint8_t protocol_header[PROTOCOL_HEADER_SIZE] = {'A', 'M', 'Q', 'P', 0, 0, 9, 1};

static bool begins_like(const uint8_t *data, size_t size, const uint8_t *header)
{
    return memcmp(data, header, size < PROTOCOL_HEADER_SIZE ? size : PROTOCOL_HEADER_SIZE) == 0;
}

enum protocol_check protocol_header_check(const uint8_t *data, size_t size)
{
    static const uint8_t older[PROTOCOL_HEADER_SIZE] = {'A', 'M', 'Q', 'P', 1, 1, 0, 9};
    if (size == 0)
        return PROTOCOL_NEEDS_MORE;
    bool is_0_9_1 = begins_like(data, size, protocol_header);
    bool is_0_9 = begins_like(data, size, older);
    if (!is_0_9_1 && !is_0_9)
        return PROTOCOL_WRONG;
    if (size < PROTOCOL_HEADER_SIZE)
        return PROTOCOL_NEEDS_MORE;
    return is_0_9_1 ? PROTOCOL_0_9_1 : PROTOCOL_0_9;
}

/* Room for the whole frame, its header written; NULL when it does not fit. */
static uint8_t *begin(struct writer *writer, enum frame_type type, uint16_t channel, size_t size)
{
    uint8_t *at = size > UINT32_MAX ? writer_take(writer, SIZE_MAX)
                                    : writer_take(writer, size + FRAME_OVERHEAD);
    return at ? frame_write_header(at, type, channel, (uint32_t)size) : NULL;
}

void frame_write_method(struct writer *writer, uint16_t channel, const union method *method)
{
    uint8_t *at = begin(writer, FRAME_METHOD, channel, method_size(method));
    if (at)
        *method_put(at, method) = FRAME_END;
}

void frame_write_heartbeat(struct writer *writer)
{
    uint8_t *at = begin(writer, FRAME_HEARTBEAT, 0, 0);
    if (at)
        *at = FRAME_END;
}

void frame_write_content_header(struct writer *writer, uint16_t channel, uint64_t body_size,
                                struct bytes properties)
{
    uint8_t *at = begin(writer, FRAME_HEADER, channel, 12 + properties.size);
    if (!at)
        return;
    at = put_u16(at, CONTENT_CLASS_BASIC);
    at = put_u16(at, 0);
    at = put_u64(at, body_size);
    *put_bytes(at, properties) = FRAME_END;
}
