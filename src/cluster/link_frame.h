/* What brokers say to one another, between values and bytes. The rows of link_frames.def say what
 * each frame has in it.
 *
 * A piece on the wire, big-endian:
 *
 *     0  1  number of the frame
 *     1  1  1: the next piece of this class has more of it; 0: it is complete
 *     2  2  0
 *     4  4  bytes that follow, at most LINK_PAYLOAD_MAX
 *
 * What a frame that is larger than a piece has in it is cut anywhere. */
#ifndef LEVERET_CLUSTER_LINK_FRAME_H
#define LEVERET_CLUSTER_LINK_FRAME_H

#include <sys/types.h>

#include "base/buffer.h"
#include "base/bytes.h"
#include "cluster/engine.h"

enum {
    LINK_PIECE_MAX = 65536,
    LINK_PIECE_HEADER = 8,
    LINK_PAYLOAD_MAX = LINK_PIECE_MAX - LINK_PIECE_HEADER,
    LINK_MAGIC = 0x4c56524c, /* "LVRL" */
    LINK_VERSION = 1,
    LINK_ID_BYTES = 16,
    LINK_TEXT_MAX = 255,
    LINK_NONCES_MAX = 64,
    LINK_NODES_MAX = 64,
    LINK_GROUPS_MAX = 1024,
};

enum link_frame_type {
#define FRAME(NAME, name, number, WAY, CLASS, ...) LINK_##NAME = number,
#define RESERVED(NAME, number) LINK_##NAME = number,
#include "cluster/link_frames.def"
};

/* Why a link is refused, or has ended. */
enum link_reason {
    LINK_REASON_NONE = 0,
#define REASON(NAME, number, why, what) LINK_REASON_##NAME = number,
#include "cluster/link_frames.def"
};

enum link_way { LINK_WAY_CONTROL, LINK_WAY_DATA, LINK_WAYS };

/* Who takes turns on a data connection; what is of one class stays in order. */
enum link_class {
    LINK_CLASS_TALK, /* HELLO and BYE; all there is on a control connection */
    LINK_CLASS_ENTRIES,
    LINK_CLASS_STREAMS,
    LINK_CLASS_COPIES,
    LINK_CLASSES,
};

/* What a client of another node wants. */
enum link_client {
    LINK_CLIENT_AMQP,
    LINK_CLIENT_HTTP,
    LINK_CLIENT_NODE, /* HTTP to that node, whether it leads or not */
    LINK_CLIENTS,
};

enum link_client_flag {
    LINK_CLIENT_TLS = 1,
    LINK_CLIENT_LOOPBACK = 2,
    LINK_CLIENT_UNIX = 4,
    LINK_CLIENT_RESUMED = 8, /* up to its first heartbeat it says again what another server may have heard */
};

enum link_lease_flag {
    LINK_HAS_LEASE = 1, /* of the catalogue */
    LINK_IS_SHORT = 2,  /* its disk is nearly full */
};

/* Numbers of 64 bits as they are on the wire. */
struct link_numbers {
    struct bytes raw;
};

static inline size_t link_numbers_count(struct link_numbers numbers)
{
    return numbers.raw.size / sizeof(uint64_t);
}

uint64_t link_number_at(struct link_numbers numbers, size_t at);
/* Puts `count` numbers into `room`, of 8 bytes for each, which they are borrowed from. */
struct link_numbers link_numbers_of(uint8_t *room, const uint64_t *numbers, size_t count);

/* struct link_hello, and so on. Texts, numbers and what is left are borrowed; ids are copies. */
#define FRAME(NAME, name, number, WAY, CLASS, ...)                                                 \
    struct link_##name {                                                                           \
        uint32_t type;                                                                             \
        __VA_ARGS__                                                                                \
    };
#define U8(field) uint8_t field;
#define U16(field) uint16_t field;
#define U32(field) uint32_t field;
#define U64(field) uint64_t field;
#define ID(field) uint8_t field[LINK_ID_BYTES];
#define TEXT(field) struct bytes field;
#define NUMBERS(field, max) struct link_numbers field;
#define REST(field) struct bytes field;
#include "cluster/link_frames.def"

union link_frame {
    uint32_t type; /* enum link_frame_type */
#define FRAME(NAME, name, number, WAY, CLASS, ...) struct link_##name name;
#include "cluster/link_frames.def"
};

/* ---- pieces ---- */

struct link_piece {
    uint8_t type;
    bool has_more;
    struct bytes payload; /* borrowed */
};

/* The first piece of `bytes`: how many of them it has, 0: more are needed, -1: it is none. */
ssize_t link_piece_read(struct bytes bytes, struct link_piece *piece);
void link_piece_write_header(uint8_t header[LINK_PIECE_HEADER], uint8_t type, bool has_more,
                             size_t size);

/* ---- frames ---- */

enum link_frame_result {
    LINK_FRAME_OK,
    LINK_FRAME_UNKNOWN,   /* no such number, or one that is reserved */
    LINK_FRAME_MALFORMED, /* a field is not there, or is too long, or is no text, or there is more
                           */
};

/* Reads all that a frame of this type has in it; it borrows from `payload`. */
enum link_frame_result link_frame_read(uint8_t type, struct bytes payload, union link_frame *frame);
/* Appends what the frame has in it, without a header. A text or a list that is too long is the
 * caller's mistake. */
void link_frame_write(struct buffer *out, const union link_frame *frame);
/* May a frame of this type come by this connection? */
bool link_frame_may(uint8_t type, enum link_way way);
enum link_class link_frame_class(uint8_t type, enum link_way way);
const char *link_frame_name(uint8_t type); /* "?" for what has no row */
const char *link_reason_name(unsigned reason);
const char *link_reason_why(unsigned reason);
const char *link_reason_what(unsigned reason);

/* ---- a group's messages ---- */

/* The fields of a RAFT frame but for its group, generation and sender; `entries` are what
 * link_entries_write has made of them, for a message of `count` entries. */
void link_raft_of(const struct engine_message *message, struct bytes entries,
                  struct link_raft *raft);
/* What an entry has that the engine does not look at. */
struct link_body {
    struct bytes records; /* of ENGINE_RECORDS; empty for others */
    uint64_t stamp_ms, catalogue;
    uint32_t chain; /* of the entry; see store/group_log.h */
    uint8_t use;    /* of ENGINE_RECORDS: the group's */
    struct shared *shared; /* has the records that are to be sent; NULL: they are copied */
};

/* Appends an entry with what else it has, but for its records if they are shared: they follow it. */
void link_entry_write(struct buffer *out, const struct engine_entry *entry, const struct link_body *body);
/* Appends entries with what else they have. */
void link_entries_write(struct buffer *out, const struct engine_entry *entries,
                        const struct link_body *bodies, uint32_t count);
/* Who the members are, as bytes, but for the index; and back. False: they are none. */
void link_members_write(struct buffer *out, const struct engine_members *members);
bool link_members_read(struct bytes bytes, struct engine_members *members);

/* A message that has come. The arrays are its own, and used again. */
struct link_message {
    struct engine_message message; /* its entries are those below; peer is who sent it */
    struct engine_entry *entries;
    struct link_body *bodies; /* their records are borrowed from the frame */
    struct engine_members *members;
    size_t capacity, bodies_capacity, members_capacity;
};

/* False: it cannot be right: an unknown kind or flag, fields that its kind does not have, terms
 * that fall, members that are none, or entries that are not whole. */
bool link_message_read(struct link_message *message, const struct link_raft *raft);
void link_message_free(struct link_message *message);

#endif
