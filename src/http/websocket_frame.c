/* A client's frames are masked, each with four bytes of its own, so that no proxy on the way takes them for
 * requests; ours are not. One that is not masked, or has a bit or an opcode that nobody has agreed on, is an
 * error that ends the connection. */
#include "http/websocket_frame.h"

#include <string.h>

enum {
    FINAL = 0x80,
    RESERVED = 0x70,
    OPCODE = 0x0f,
    MASKED = 0x80,
    SIZE = 0x7f,
    SIZE_16 = 126,
    SIZE_64 = 127,
    MASK_BYTES = 4,
};

static void take(struct bytes *bytes, size_t size)
{
    *bytes = bytes_of(bytes->data + size, bytes->size - size);
}

static bool is_control(uint8_t opcode)
{
    return opcode >= WEBSOCKET_CLOSE;
}

/* By its first two bytes. */
static size_t head_size(const uint8_t *head)
{
    uint8_t size = head[1] & SIZE;
    return 2 + (size == SIZE_16 ? 2 : size == SIZE_64 ? 8 : 0) + MASK_BYTES;
}

static uint64_t payload_size(const uint8_t *head)
{
    uint64_t size = head[1] & SIZE;
    size_t more = size == SIZE_16 ? 2 : size == SIZE_64 ? 8 : 0;
    if (!more)
        return size;
    size = 0;
    for (size_t i = 0; i < more; i++)
        size = size << 8 | head[2 + i];
    return size;
}

static bool is_known(uint8_t opcode)
{
    return opcode <= WEBSOCKET_BINARY || (opcode >= WEBSOCKET_CLOSE && opcode <= WEBSOCKET_PONG);
}

/* What is wrong with the first two bytes; 0: nothing. */
static enum websocket_code fault_of(const struct websocket_reader *reader)
{
    uint8_t first = reader->head[0], second = reader->head[1], opcode = first & OPCODE;
    if ((first & RESERVED) || !(second & MASKED) || !is_known(opcode))
        return WEBSOCKET_PROTOCOL_ERROR;
    if (is_control(opcode))
        return (first & FINAL) && (second & SIZE) <= WEBSOCKET_CONTROL_MAX ? 0
                                                                           : WEBSOCKET_PROTOCOL_ERROR;
    if (opcode == WEBSOCKET_TEXT)
        return WEBSOCKET_UNACCEPTABLE;
    return (opcode == WEBSOCKET_CONTINUATION) == reader->goes_on ? 0 : WEBSOCKET_PROTOCOL_ERROR;
}

/* True: the head is whole, or wrong. */
static bool take_head(struct websocket_reader *reader, struct bytes *bytes)
{
    while (bytes->size && (reader->head_size < 2 || reader->head_size < head_size(reader->head))) {
        reader->head[reader->head_size++] = bytes->data[0];
        take(bytes, 1);
        if (reader->head_size == 2 && (reader->fault = fault_of(reader)))
            return true;
    }
    if (reader->head_size < 2 || reader->head_size < head_size(reader->head))
        return false;
    reader->left = payload_size(reader->head);
    reader->place = 0;
    reader->control_size = 0;
    reader->has_head = true;
    if (reader->left > WEBSOCKET_PAYLOAD_MAX)
        reader->fault = WEBSOCKET_TOO_LARGE;
    return true;
}

/* What is there of the payload, as it was before it was masked. */
static size_t unmask(struct websocket_reader *reader, struct bytes *bytes, uint8_t *out)
{
    const uint8_t *mask = reader->head + reader->head_size - MASK_BYTES;
    size_t size = bytes->size < reader->left ? bytes->size : (size_t)reader->left;
    for (size_t i = 0; i < size; i++)
        out[i] = bytes->data[i] ^ mask[(reader->place + i) & 3];
    reader->place = (uint32_t)((reader->place + size) & 3);
    reader->left -= size;
    if (size)
        take(bytes, size);
    return size;
}

static enum websocket_event control_event(const struct websocket_reader *reader)
{
    switch (reader->head[0] & OPCODE) {
    case WEBSOCKET_CLOSE:
        return WEBSOCKET_HAS_CLOSE;
    case WEBSOCKET_PING:
        return WEBSOCKET_HAS_PING;
    default:
        return WEBSOCKET_HAS_PONG;
    }
}

/* The frame is whole: what follows is another one. */
static void end_frame(struct websocket_reader *reader)
{
    reader->has_head = false;
    reader->head_size = 0;
}

static enum websocket_event take_control(struct websocket_reader *reader, struct bytes *bytes)
{
    reader->control_size += unmask(reader, bytes, reader->control + reader->control_size);
    if (reader->left)
        return WEBSOCKET_NEEDS_MORE;
    enum websocket_event event = control_event(reader);
    end_frame(reader);
    if (event != WEBSOCKET_HAS_CLOSE || reader->control_size != 1)
        return event;
    reader->fault = WEBSOCKET_PROTOCOL_ERROR; /* half a code */
    return WEBSOCKET_IS_WRONG;
}

enum websocket_event websocket_take(struct websocket_reader *reader, struct bytes *bytes, uint8_t *out,
                                    size_t *size)
{
    *size = 0;
    while (bytes->size || reader->has_head) {
        if (!reader->has_head && !take_head(reader, bytes))
            break;
        if (reader->fault)
            return WEBSOCKET_IS_WRONG;
        if (is_control(reader->head[0] & OPCODE))
            return take_control(reader, bytes);
        reader->goes_on = !(reader->head[0] & FINAL);
        *size = unmask(reader, bytes, out);
        bool is_whole = reader->left == 0;
        if (is_whole)
            end_frame(reader);
        if (*size || !is_whole)
            return *size ? WEBSOCKET_HAS_DATA : WEBSOCKET_NEEDS_MORE;
    }
    return WEBSOCKET_NEEDS_MORE;
}

size_t websocket_head(enum websocket_opcode opcode, uint64_t size, uint8_t head[WEBSOCKET_HEAD_MAX])
{
    size_t more = size < SIZE_16 ? 0 : size <= UINT16_MAX ? 2 : 8;
    head[0] = FINAL | (uint8_t)opcode;
    head[1] = more == 0 ? (uint8_t)size : more == 2 ? SIZE_16 : SIZE_64;
    for (size_t i = 0; i < more; i++)
        head[2 + i] = (uint8_t)(size >> (8 * (more - 1 - i)));
    return 2 + more;
}
