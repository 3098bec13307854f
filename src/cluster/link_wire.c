/* What is to be sent lies in blocks of whole pieces, 64 KiB at most. A block is staged when it is
 * its class's turn, and only as far as to keep what carries it busy: what comes later and is more
 * urgent does not wait behind all that is queued.
 *
 * Each class has a deficit of bytes that it may stage: it grows by the class's share when its turn
 * comes, and the turn ends when the next block is larger than what is left of it. */
#include "cluster/link_wire.h"

#include <assert.h>

#include "base/mem.h"

enum { BLOCK_BYTES = 4096, SHARE_BYTES = 16384 };

struct block {
    struct list link;
    size_t size, capacity;
    uint8_t bytes[];
};

/* What the classes get of a data connection that is full. */
static const size_t shares[LINK_CLASSES] = {
    [LINK_CLASS_TALK] = 8 * SHARE_BYTES,
    [LINK_CLASS_ENTRIES] = 8 * SHARE_BYTES,
    [LINK_CLASS_STREAMS] = 4 * SHARE_BYTES,
    [LINK_CLASS_COPIES] = 1 * SHARE_BYTES,
};

void link_wire_init(struct link_wire *wire, enum link_way way, size_t whole_max)
{
    *wire = (struct link_wire){.way = way, .whole_max = whole_max, .lent = -1};
    for (size_t i = 0; i < LINK_CLASSES; i++)
        list_init(&wire->queued[i]);
    list_init(&wire->staged);
}

static void free_blocks(struct list *blocks)
{
    for (struct list *link; (link = list_take_first(blocks));)
        mem_free(list_entry(link, struct block, link));
}

void link_wire_free(struct link_wire *wire)
{
    buffer_free(&wire->in);
    for (size_t i = 0; i < LINK_CLASSES; i++) {
        buffer_free(&wire->wholes[i]);
        free_blocks(&wire->queued[i]);
    }
    free_blocks(&wire->staged);
}

/* ---- in ---- */

/* What was taken goes before more comes. */
void link_wire_input(struct link_wire *wire, struct bytes bytes)
{
    buffer_drop(&wire->in, wire->taken);
    wire->taken = 0;
    buffer_add(&wire->in, bytes.data, bytes.size);
}

size_t link_wire_waiting(const struct link_wire *wire)
{
    return wire->in.size - wire->taken;
}

/* What was lent is no longer used. */
static void take_back(struct link_wire *wire)
{
    if (wire->lent >= 0)
        buffer_free(&wire->wholes[wire->lent]);
    wire->lent = -1;
    if (wire->taken == wire->in.size && wire->in.capacity > LINK_PIECE_MAX) {
        buffer_free(&wire->in);
        wire->taken = 0;
    }
}

/* One more piece of what has begun, or of what begins. False: it does not fit. */
static bool gather(struct link_wire *wire, enum link_class class, const struct link_piece *piece)
{
    struct buffer *whole = &wire->wholes[class];
    uint8_t begun = wire->whole_types[class];
    if ((begun && begun != piece->type) || piece->payload.size > wire->whole_max - whole->size)
        return false;
    buffer_add(whole, piece->payload.data, piece->payload.size);
    wire->whole_types[class] = piece->has_more ? piece->type : 0;
    return true;
}

static enum link_wire_result read_frame(const struct link_piece *piece, struct bytes contents,
                                        union link_frame *frame)
{
    return link_frame_read(piece->type, contents, frame) == LINK_FRAME_OK ? LINK_WIRE_FRAME
                                                                          : LINK_WIRE_WRONG;
}

static ssize_t next_piece(const struct link_wire *wire, struct link_piece *piece)
{
    size_t waiting = link_wire_waiting(wire);
    return waiting ? link_piece_read(bytes_of(wire->in.data + wire->taken, waiting), piece) : 0;
}

enum link_wire_result link_wire_next(struct link_wire *wire, union link_frame *frame)
{
    struct link_piece piece;
    take_back(wire);
    for (;;) {
        ssize_t size = next_piece(wire, &piece);
        if (size <= 0)
            return size == 0 ? LINK_WIRE_MORE : LINK_WIRE_WRONG;
        if (!link_frame_may(piece.type, wire->way) ||
            (piece.has_more && piece.payload.size == 0)) /* it would have no end */
            return LINK_WIRE_WRONG;
        wire->taken += (size_t)size;
        enum link_class class = link_frame_class(piece.type, wire->way);
        if (!piece.has_more && !wire->whole_types[class])
            return read_frame(&piece, piece.payload, frame);
        if (!gather(wire, class, &piece))
            return LINK_WIRE_WRONG;
        if (piece.has_more)
            continue;
        wire->lent = (int)class;
        return read_frame(&piece, buffer_bytes(&wire->wholes[class]), frame);
    }
}

/* ---- out ---- */

static struct block *block_at(struct list *link)
{
    return list_entry(link, struct block, link);
}

/* The last block of the class, or a new one, with room for so much. */
static struct block *block_for(struct link_wire *wire, enum link_class class, size_t size)
{
    struct list *queued = &wire->queued[class];
    struct block *last = list_is_empty(queued) ? NULL : block_at(queued->prev);
    if (last && last->capacity - last->size >= size)
        return last;
    size_t capacity = size > BLOCK_BYTES ? size : BLOCK_BYTES;
    struct block *block = mem_alloc(sizeof(*block) + capacity);
    *block = (struct block){.capacity = capacity};
    list_push_back(queued, &block->link);
    return block;
}

static void put_piece(struct link_wire *wire, uint8_t type, bool has_more, struct bytes payload)
{
    enum link_class class = link_frame_class(type, wire->way);
    size_t size = LINK_PIECE_HEADER + payload.size;
    struct block *block = block_for(wire, class, size);
    link_piece_write_header(block->bytes + block->size, type, has_more, payload.size);
    if (payload.size)
        memcpy(block->bytes + block->size + LINK_PIECE_HEADER, payload.data, payload.size);
    block->size += size;
    wire->queued_bytes[class] += size;
    wire->out_bytes += size;
}

void link_wire_put(struct link_wire *wire, uint8_t type, struct bytes contents)
{
    assert(link_frame_may(type, wire->way));
    while (contents.size > LINK_PAYLOAD_MAX) {
        put_piece(wire, type, true, bytes_of(contents.data, LINK_PAYLOAD_MAX));
        contents = bytes_of(contents.data + LINK_PAYLOAD_MAX, contents.size - LINK_PAYLOAD_MAX);
    }
    put_piece(wire, type, false, contents);
}

size_t link_wire_queued(const struct link_wire *wire)
{
    size_t size = wire->staged_bytes;
    for (size_t i = 0; i < LINK_CLASSES; i++)
        size += i == LINK_CLASS_TALK ? 0 : wire->queued_bytes[i];
    return size;
}

static void end_turn(struct link_wire *wire)
{
    wire->turn = (wire->turn + 1) % LINK_CLASSES;
    wire->turn_began = false;
}

/* The class whose turn it is, and that has something it may stage. */
static enum link_class choose(struct link_wire *wire)
{
    for (;; end_turn(wire)) {
        struct list *first = list_first(&wire->queued[wire->turn]);
        if (!first) {
            wire->deficits[wire->turn] = 0;
            continue;
        }
        if (!wire->turn_began)
            wire->deficits[wire->turn] += shares[wire->turn];
        wire->turn_began = true;
        if (block_at(first)->size <= wire->deficits[wire->turn])
            return wire->turn;
    }
}

static void stage(struct link_wire *wire)
{
    while (wire->staged_bytes < LINK_STAGED_BYTES && wire->out_bytes > wire->staged_bytes) {
        enum link_class class = choose(wire);
        struct list *first = list_take_first(&wire->queued[class]);
        size_t size = block_at(first)->size;
        wire->deficits[class] -= size;
        wire->queued_bytes[class] -= size;
        wire->staged_bytes += size;
        list_push_back(&wire->staged, first);
    }
}

int link_wire_output(struct link_wire *wire, struct iovec *parts, int max)
{
    int count = 0;
    stage(wire);
    list_for_each(at, &wire->staged) {
        struct block *block = block_at(at);
        size_t gone = count ? 0 : wire->gone;
        if (count == max)
            break;
        parts[count++] = (struct iovec){block->bytes + gone, block->size - gone};
    }
    return count;
}

void link_wire_sent(struct link_wire *wire, size_t size)
{
    wire->staged_bytes -= size;
    wire->out_bytes -= size;
    wire->gone += size;
    for (struct list *first; (first = list_first(&wire->staged));) {
        struct block *block = block_at(first);
        if (wire->gone < block->size)
            break;
        wire->gone -= block->size;
        list_remove(first);
        mem_free(block);
    }
}
