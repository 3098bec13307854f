/* One connection's bytes: pieces in, put together to frames; frames out, cut into pieces, of which
 * each class of a data connection has its share (deficit round robin). It knows no peers and no
 * reasons. */
#ifndef LEVERET_CLUSTER_LINK_WIRE_H
#define LEVERET_CLUSTER_LINK_WIRE_H

#include <sys/uio.h>

#include "base/list.h"
#include "base/shared.h"
#include "cluster/link_frame.h"

enum {
    LINK_STAGED_BYTES = 2 * LINK_PIECE_MAX, /* that have had their turn and are not sent yet */
    LINK_INPUT_BYTES = 1 << 20,             /* that wait to be read; more is not asked for */
};

struct link_wire {
    enum link_way way;
    size_t whole_max; /* bytes that a frame in several pieces may have */

    struct buffer in;
    size_t taken;                       /* of `in`, at its beginning */
    struct shared *wholes[LINK_CLASSES]; /* that have begun, or was taken last; NULL: none */
    uint8_t whole_types[LINK_CLASSES];  /* 0: none has begun */
    int lent;                           /* the class whose whole was taken last; -1: none */

    struct list queued[LINK_CLASSES]; /* blocks of whole pieces */
    size_t queued_bytes[LINK_CLASSES];
    size_t deficits[LINK_CLASSES];
    enum link_class turn;
    bool turn_began;
    struct list staged; /* blocks, in the order in which they leave; they do not change any more */
    size_t staged_bytes;
    size_t gone;      /* of the first staged block */
    size_t out_bytes; /* all that is unsent */
};

void link_wire_init(struct link_wire *wire, enum link_way way, size_t whole_max);
void link_wire_free(struct link_wire *wire);

/* ---- in ---- */

void link_wire_input(struct link_wire *wire, struct bytes bytes);
/* How much waits to be read. */
size_t link_wire_waiting(const struct link_wire *wire);

enum link_wire_result { LINK_WIRE_FRAME, LINK_WIRE_MORE, LINK_WIRE_WRONG };

/* The next frame, good until the next call, or the next input; MORE: there is none that is
 * complete; WRONG: nothing that comes can be understood any more. */
enum link_wire_result link_wire_next(struct link_wire *wire, union link_frame *frame);
/* What has the contents of the frame that was taken last, for whoever keeps a part of them; NULL: they are to be
 * copied. */
struct shared *link_wire_shared(const struct link_wire *wire);

/* ---- out ---- */

/* A part of a frame's contents. */
struct link_part {
    struct bytes bytes;
    struct shared *shared; /* has them, and is held until they are sent; NULL: they are copied */
};

/* The parts, one behind the other, as pieces of frames of this type, at the end of its class. What it costs at once is
 * as much as is copied: of what is shared, less than three pieces for each part. */
void link_wire_put_parts(struct link_wire *wire, uint8_t type, const struct link_part *parts, size_t count);
/* The same with one part, which is copied. */
void link_wire_put(struct link_wire *wire, uint8_t type, struct bytes contents);
/* Unsent bytes of all classes but TALK. */
size_t link_wire_queued(const struct link_wire *wire);
/* As in struct conversation_ops. */
int link_wire_output(struct link_wire *wire, struct iovec *parts, int max);
void link_wire_sent(struct link_wire *wire, size_t size);

#endif
