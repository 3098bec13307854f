/* Frames: type (1 octet), channel (2), payload size (4), payload, end octet 0xCE (AMQP 0-9-1,
 * section 4.2.3); and the protocol header that a client begins with (4.2.2). */
#ifndef LEVERET_AMQP_FRAME_H
#define LEVERET_AMQP_FRAME_H

#include <sys/types.h>

#include "amqp/method.h"

enum frame_type { FRAME_METHOD = 1, FRAME_HEADER = 2, FRAME_BODY = 3, FRAME_HEARTBEAT = 8 };

enum {
    FRAME_HEADER_SIZE = 7,
    FRAME_OVERHEAD = 8, /* header and end octet */
    FRAME_END = 0xce,
    FRAME_TOLERANCE = 8, /* RabbitMQ lets a payload be so much too large: some clients miscount */
};

struct frame {
    uint8_t type;
    uint16_t channel;
    struct bytes payload; /* borrowed */
};

enum frame_error {
    FRAME_TOO_LARGE = -1,    /* told by the header alone; out->payload.data is NULL */
    FRAME_UNKNOWN_TYPE = -2, /* told by the header alone; out->payload.data is NULL */
    FRAME_BAD_END = -3,
};

/* The channel in a frame's header. */
static inline uint16_t frame_channel(const uint8_t *header)
{
    uint16_t channel;
    memcpy(&channel, header + 1, sizeof(channel));
    return be16toh(channel);
}

/* The frame at the beginning of `data`. Returns the bytes it takes, payload.size + 8; 0 when more
 * are needed; or a frame_error, and then *out has type, channel and the announced payload size, for
 * the reply text. `frame_max` is what was negotiated; 0 means no limit. */
static inline ssize_t frame_read(const uint8_t *data, size_t size, uint32_t frame_max,
                                 struct frame *out)
{
    if (size < FRAME_HEADER_SIZE)
        return 0;
    uint32_t payload_size;
    memcpy(&payload_size, data + 3, sizeof(payload_size));
    payload_size = be32toh(payload_size);
    *out = (struct frame){data[0], frame_channel(data), {NULL, payload_size}};
    if (data[0] != FRAME_METHOD && data[0] != FRAME_HEADER && data[0] != FRAME_BODY &&
        data[0] != FRAME_HEARTBEAT)
        return FRAME_UNKNOWN_TYPE;
    if (frame_max && payload_size > (uint64_t)frame_max - FRAME_OVERHEAD + FRAME_TOLERANCE)
        return FRAME_TOO_LARGE;
    if (size - FRAME_HEADER_SIZE < (uint64_t)payload_size + 1)
        return 0;
    out->payload.data = data + FRAME_HEADER_SIZE;
    if (data[FRAME_HEADER_SIZE + payload_size] != FRAME_END)
        return FRAME_BAD_END;
    return (ssize_t)payload_size + FRAME_OVERHEAD;
}

/* How many bytes the frame at the beginning of `data` will take in all; 0 when its header is not
 * complete yet. */
static inline uint64_t frame_announced_size(const uint8_t *data, size_t size)
{
    uint32_t payload_size;
    if (size < FRAME_HEADER_SIZE)
        return 0;
    memcpy(&payload_size, data + 3, sizeof(payload_size));
    return (uint64_t)be32toh(payload_size) + FRAME_OVERHEAD;
}

/* Writes the 7 bytes of a frame header; returns where the payload begins. After the payload comes
 * one octet FRAME_END. */
static inline uint8_t *frame_write_header(uint8_t *at, enum frame_type type, uint16_t channel,
                                          uint32_t payload_size)
{
    uint16_t be_channel = htobe16(channel);
    uint32_t be_size = htobe32(payload_size);
    at[0] = (uint8_t)type;
    memcpy(at + 1, &be_channel, sizeof(be_channel));
    memcpy(at + 3, &be_size, sizeof(be_size));
    return at + FRAME_HEADER_SIZE;
}

/* Writes a whole method frame. */
void frame_write_method(struct writer *writer, uint16_t channel, const union method *method);
/* Writes a heartbeat frame, FRAME_OVERHEAD bytes (on channel 0). */
void frame_write_heartbeat(struct writer *writer);
/* Writes a content header frame (class basic): body size, and properties from the flags on, as
 * content_header_read gives them. */
void frame_write_content_header(struct writer *writer, uint16_t channel, uint64_t body_size,
                                struct bytes properties);

/* Bytes of a method frame. */
static inline size_t frame_method_size(const union method *method)
{
    return FRAME_OVERHEAD + method_size(method);
}

/* Bytes of a content header frame: class, weight and body size are 12. */
static inline size_t frame_content_header_size(struct bytes properties)
{
    return FRAME_OVERHEAD + 12 + properties.size;
}

enum { PROTOCOL_HEADER_SIZE = 8 };

/* What the server answers to a header that it does not speak: AMQP 0-9-1. */
extern const uint8_t protocol_header[PROTOCOL_HEADER_SIZE];

enum protocol_check {
    PROTOCOL_NEEDS_MORE,
    PROTOCOL_0_9_1, /* "AMQP" 0 0 9 1 */
    PROTOCOL_0_9,   /* "AMQP" 1 1 0 9: older clients; the same methods, start says version 0.9 */
    PROTOCOL_WRONG, /* told as soon as one byte is wrong */
};

/* The 8 bytes that a client begins with. */
enum protocol_check protocol_header_check(const uint8_t *data, size_t size);

#endif
