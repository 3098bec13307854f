/* What is to be sent lies in blocks of whole pieces, 64 KiB at most, or in blocks of a header whose piece lies
 * elsewhere, and is held. A block is staged when it is
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
    size_t size; /* of all that it has to be sent */
    size_t capacity;
    struct bytes lent;     /* behind what it has itself; empty: nothing */
    struct shared *shared; /* has that; a reference */
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

static struct block *block_at(struct list *link)
{
    return list_entry(link, struct block, link);
}

static void block_free(struct block *block)
{
    shared_unref(block->shared);
    mem_free(block);
}

static void free_blocks(struct list *blocks)
{
    for (struct list *link; (link = list_take_first(blocks));)
        block_free(block_at(link));
}

void link_wire_free(struct link_wire *wire)
{
    buffer_free(&wire->in);
    for (size_t i = 0; i < LINK_CLASSES; i++) {
        shared_unref(wire->wholes[i]);
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
    if (wire->lent >= 0) {
        shared_unref(wire->wholes[wire->lent]);
        wire->wholes[wire->lent] = NULL;
    }
    wire->lent = -1;
    if (wire->taken == wire->in.size && wire->in.capacity > LINK_PIECE_MAX) {
        buffer_free(&wire->in);
        wire->taken = 0;
    }
}

/* One more piece of what has begun, or of what begins. False: it does not fit. */
static bool gather(struct link_wire *wire, enum link_class class, const struct link_piece *piece)
{
    uint8_t begun = wire->whole_types[class];
    if (!wire->wholes[class])
        wire->wholes[class] = shared_new();
    struct buffer *whole = &wire->wholes[class]->bytes;
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
        return read_frame(&piece, buffer_bytes(&wire->wholes[class]->bytes), frame);
    }
}

struct shared *link_wire_shared(const struct link_wire *wire)
{
    return wire->lent >= 0 ? wire->wholes[wire->lent] : NULL;
}

/* ---- out ---- */

static struct block *block_new(struct list *queued, size_t capacity)
{
    struct block *block = mem_alloc(sizeof(*block) + capacity);
    *block = (struct block){.capacity = capacity};
    list_push_back(queued, &block->link);
    return block;
}

/* The last block of the class, or a new one, with room for so much. */
static struct block *block_for(struct link_wire *wire, enum link_class class, size_t size)
{
    struct list *queued = &wire->queued[class];
    struct block *last = list_is_empty(queued) ? NULL : block_at(queued->prev);
    if (last && !last->shared && last->capacity - last->size >= size)
        return last;
    return block_new(queued, size > BLOCK_BYTES ? size : BLOCK_BYTES);
}

/* Where the next bytes are to be taken from. */
struct source {
    const struct link_part *part;
    size_t at; /* in it */
};

/* So many bytes, of one part or several. */
static void copy_from(struct source *from, uint8_t *to, size_t size)
{
    while (size) {
        size_t left = from->part->bytes.size - from->at, now = left < size ? left : size;
        if (now)
            memcpy(to, from->part->bytes.data + from->at, now);
        to += now;
        size -= now;
        from->at += now;
        if (now == left) {
            from->part++;
            from->at = 0;
        }
    }
}

static void put_piece(struct link_wire *wire, uint8_t type, bool has_more, struct source *from, size_t size)
{
    enum link_class class = link_frame_class(type, wire->way);
    size_t all = LINK_PIECE_HEADER + size;
    bool is_lent = size == LINK_PAYLOAD_MAX && from->part->shared && from->part->bytes.size - from->at >= size;
    struct block *block =
        is_lent ? block_new(&wire->queued[class], LINK_PIECE_HEADER) : block_for(wire, class, all);
    link_piece_write_header(block->bytes + block->size, type, has_more, size);
    if (is_lent) {
        block->lent = bytes_of(from->part->bytes.data + from->at, size);
        block->shared = shared_ref(from->part->shared);
        from->at += size;
    } else {
        copy_from(from, block->bytes + block->size + LINK_PIECE_HEADER, size);
    }
    block->size += all;
    wire->queued_bytes[class] += all;
    wire->out_bytes += all;
}

void link_wire_put_parts(struct link_wire *wire, uint8_t type, const struct link_part *parts, size_t count)
{
    struct source from = {.part = parts};
    size_t left = 0;
    assert(link_frame_may(type, wire->way));
    for (size_t i = 0; i < count; i++)
        left += parts[i].bytes.size;
    for (; left > LINK_PAYLOAD_MAX; left -= LINK_PAYLOAD_MAX)
        put_piece(wire, type, true, &from, LINK_PAYLOAD_MAX);
    put_piece(wire, type, false, &from, left);
}

void link_wire_put(struct link_wire *wire, uint8_t type, struct bytes contents)
{
    link_wire_put_parts(wire, type, &(struct link_part){.bytes = contents}, 1);
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
        size_t gone = count ? 0 : wire->gone, own = block->size - block->lent.size;
        if (count < max && gone < own)
            parts[count++] = (struct iovec){block->bytes + gone, own - gone};
        gone = gone > own ? gone - own : 0;
        if (count < max && block->lent.size)
            parts[count++] = (struct iovec){(uint8_t *)(uintptr_t)block->lent.data + gone, block->lent.size - gone};
        if (count == max)
            break;
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
        block_free(block);
    }
}
