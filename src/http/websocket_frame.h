/* Frames of WebSocket (RFC 6455, section 5): those of a client, read from bytes as they come, and the heads of
 * ours. What is in them is a stream of bytes: no message is ever put together. */
#ifndef LEVERET_HTTP_WEBSOCKET_FRAME_H
#define LEVERET_HTTP_WEBSOCKET_FRAME_H

#include <stdbool.h>

#include "base/bytes.h"

enum {
    WEBSOCKET_PAYLOAD_MAX = 16 << 20, /* of a client's frame */
    WEBSOCKET_CONTROL_MAX = 125,      /* of one that closes, or asks whether we are there */
    WEBSOCKET_HEAD_MAX = 10,          /* of our frames */
};

enum websocket_opcode {
    WEBSOCKET_CONTINUATION = 0,
    WEBSOCKET_TEXT = 1,
    WEBSOCKET_BINARY = 2,
    WEBSOCKET_CLOSE = 8,
    WEBSOCKET_PING = 9,
    WEBSOCKET_PONG = 10,
};

/* Why a connection is closed. */
enum websocket_code {
    WEBSOCKET_NORMAL = 1000,
    WEBSOCKET_GOING_AWAY = 1001,
    WEBSOCKET_PROTOCOL_ERROR = 1002,
    WEBSOCKET_UNACCEPTABLE = 1003, /* text */
    WEBSOCKET_TOO_LARGE = 1009,
};

enum websocket_event {
    WEBSOCKET_NEEDS_MORE, /* all bytes were taken */
    WEBSOCKET_HAS_DATA,   /* of a message: `size` bytes were written */
    WEBSOCKET_HAS_PING,   /* `control` is what to answer with */
    WEBSOCKET_HAS_PONG,
    WEBSOCKET_HAS_CLOSE, /* the same: nothing, or a code and a reason */
    WEBSOCKET_IS_WRONG,  /* see `fault`; what follows cannot be understood */
};

/* A zeroed one is new. */
struct websocket_reader {
    uint8_t head[14];
    size_t head_size; /* of it that has come */
    uint64_t left;    /* of the payload, once the head is whole */
    uint32_t place;   /* in the payload, for its mask */
    bool has_head;
    bool goes_on; /* a message has begun, and its last frame has not come */
    uint8_t control[WEBSOCKET_CONTROL_MAX];
    size_t control_size;
    enum websocket_code fault;
};

/* Takes from the front of *bytes what leads to the next event. Data is written to `out`, which has room for
 * as much as there was in *bytes. */
enum websocket_event websocket_take(struct websocket_reader *reader, struct bytes *bytes, uint8_t *out,
                                    size_t *size);
/* Writes the head of a whole message of `size` bytes, or of a frame that closes or answers; its size. */
size_t websocket_head(enum websocket_opcode opcode, uint64_t size, uint8_t head[WEBSOCKET_HEAD_MAX]);

#endif
