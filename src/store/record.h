/* The journal's format: see record.c, and leveret-journal(5). */
#ifndef LEVERET_STORE_RECORD_H
#define LEVERET_STORE_RECORD_H

#include "base/buffer.h"
#include "store/group_log.h"
#include "store/message.h"

enum record_type {
    RECORD_MESSAGE = 1,   /* a message and the queues it went to */
    RECORD_MOVED = 2,     /* the same message, further on in the journal */
    RECORD_PAGED = 3,     /* a message that does not survive a restart, out of memory */
    RECORD_SETTLE = 4,    /* messages of a queue that are gone */
    RECORD_DELIVERED = 5, /* deliveries of a queue may have gone up to here */
    RECORD_QUEUE = 6,     /* a queue begins */
    RECORD_DROP = 7,      /* a queue ends, with all in it */
    RECORD_PUT = 8,       /* a name of the catalogue gets a value */
    RECORD_DELETE = 9,    /* a name of the catalogue goes */
    RECORD_RETURNED = 10, /* messages of a queue that came back to it */
    RECORD_ENTRY = 11,    /* an entry of a group's log: the records behind it are its contents */
    RECORD_FLOOR = 12,    /* a group's log begins behind an index, with nothing in it */
    RECORD_VOTE = 13,     /* a group's term, and whom this member voted for in it */
    RECORD_COMMIT = 14,   /* how far a group's log is known to be committed */
    RECORD_LEAVE = 15,    /* a group's log goes */
    RECORD_NOTE = 16,     /* what an entry says to its group; nothing to the store */
    RECORD_LAST = RECORD_NOTE, /* a sound record above was written by a newer version */
};

enum {
    JOURNAL_VERSION = 1,
    SEGMENT_HEADER = 64,
    BATCH_HEADER = 64,
    BATCH_ALIGN = 64,
    RECORD_HEADER = 12,
};

enum { IDENTITY_SIZE = 16 };

struct segment_header {
    uint32_t segment;
    uint64_t first_batch; /* number of the first batch in it */
    uint32_t previous;    /* checksum of the batch before */
    uint8_t store[IDENTITY_SIZE]; /* whose it is; zeros: it was not said */
};

struct batch_header {
    uint64_t number;
    uint32_t size; /* of all, a multiple of BATCH_ALIGN */
    uint32_t records;
    uint32_t previous;  /* checksum of the batch before */
    uint32_t contents;  /* checksum of the records' checksums */
    uint64_t synced;    /* all batches up to this one were durable when this was written */
    uint32_t segment;
    uint32_t offset;
    uint32_t checksum; /* of this header; of all, therefore */
};

struct record {
    enum record_type type;
    struct bytes payload;
    uint32_t checksum;
    struct place place;
};

enum { RECORD_OK, RECORD_BAD, RECORD_NEWER };

void segment_header_write(uint8_t out[SEGMENT_HEADER], const struct segment_header *header);
/* RECORD_NEWER: written by a later version of the format. */
int segment_header_read(const uint8_t in[SEGMENT_HEADER], struct segment_header *header);
/* Fills in `checksum`. */
void batch_header_write(uint8_t out[BATCH_HEADER], struct batch_header *header);
/* Checks the header alone, and that it lies where it says. */
int batch_header_read(const uint8_t in[BATCH_HEADER], uint32_t segment, uint32_t offset,
                      struct batch_header *header);

/* Writes the header of a record whose payload is `payload` and then `rest`, which may be empty;
 * returns its checksum. */
uint32_t record_header_write(uint8_t out[RECORD_HEADER], enum record_type type, struct place place,
                             struct bytes payload, struct bytes rest);
/* Reads and checks the record that begins at `in` and lies at `place` (whose size is filled in from
 * the record's header). */
int record_read(struct bytes in, uint32_t segment, uint32_t offset, struct record *record);
/* Checks all records of a batch; the bytes are the whole batch. */
bool batch_contents_check(struct bytes batch, const struct batch_header *header);

/* ---- payloads ---- */

struct destination {
    uint64_t queue;
    uint64_t sequence;
    uint64_t expires_ms; /* when it ends there, ms since 1970; 0: never */
};

enum { MESSAGE_PAYLOAD_FIXED = 30, DESTINATION_SIZE = 16, DESTINATION_TIMED_SIZE = 24 };

static inline size_t destination_size(uint8_t message_flags)
{
    _Static_assert(DESTINATION_SIZE + 2 * MESSAGE_TIMED == DESTINATION_TIMED_SIZE, "no branch");
    return DESTINATION_SIZE + 2 * (size_t)(message_flags & MESSAGE_TIMED);
}

/* The part of a message record's payload before the names: fixed fields and destinations. One time for
 * all of them lies among the fixed fields; else the message is marked as MESSAGE_TIMED. Returns its size. */
uint32_t message_payload_start(struct buffer *out, struct message *message,
                               const struct destination *destinations, uint32_t count);
static inline size_t message_payload_size(const struct message *message, uint32_t destinations)
{
    return MESSAGE_PAYLOAD_FIXED + destinations * destination_size(message->flags) +
           message_data_size(message);
}

/* A message's record with so many destinations, at most. */
static inline uint64_t message_record_max(const struct message *message, uint64_t destinations)
{
    return RECORD_HEADER + MESSAGE_PAYLOAD_FIXED + destinations * DESTINATION_TIMED_SIZE +
           message_data_size(message);
}

/* What each destination holds of a record. Mostly there is one, and a division takes as long as all
 * the rest. */
static inline uint32_t record_share(uint32_t size, uint32_t destinations)
{
    return destinations == 1 ? size : size / destinations;
}

/* Where the record of a message lies whose batch was sealed. */
static inline struct place message_place(const struct message *message)
{
    return (struct place){message->segment, message->offset,
                          (uint32_t)(RECORD_HEADER +
                                     message_payload_size(message, message->destinations))};
}

struct message_payload {
    uint8_t flags, priority;
    uint64_t expires_ms; /* unless each destination has its own */
    uint32_t destinations;
    const uint8_t *destination; /* the first */
    uint8_t exchange_size, routing_key_size;
    uint32_t properties_size, body_size;
    const uint8_t *data; /* exchange, routing key, properties, body */
};

bool message_payload_read(struct bytes payload, struct message_payload *out);

struct destination message_payload_destination(const struct message_payload *payload, uint32_t at);
/* A message with one reference, as it was. */
struct message *message_from_payload(struct message_pool *pool,
                                     const struct message_payload *payload);

/* The messages of a record of settled ones, in runs. */
struct settled_reader {
    struct cursor cursor;
    uint64_t queue;
    uint64_t first, count;
};

struct settled_reader settled_reader(struct bytes payload);
/* False: there are no more, or the record is malformed (cursor.bad). */
bool settled_next(struct settled_reader *reader);

/* The same of those that came back, one by one. */
struct returned_reader {
    struct cursor cursor;
    uint64_t queue, sequence;
    uint64_t until_ms;
    uint32_t count;
};

struct returned_reader returned_reader(struct bytes payload);
bool returned_next(struct returned_reader *reader);

/* What the record of an entry says; its contents are the records behind it, in the same batch. */
enum { ENTRY_PAYLOAD_SIZE = 57 };

struct entry_payload {
    uint64_t group;
    struct log_head head;
    uint32_t records;  /* that are its contents */
    uint32_t size;     /* of these, with their headers */
    uint32_t checksum; /* of the contents, wherever they lie */
    uint32_t chain;    /* see log_chain */
};

void entry_payload_write(uint8_t out[ENTRY_PAYLOAD_SIZE], const struct entry_payload *payload);
bool entry_payload_read(struct bytes in, struct entry_payload *payload);
/* What goes before this entry, and what it says itself, as one number: two logs whose entries at an
 * index have the same are the same up to there. */
uint32_t log_chain(uint32_t before, const struct log_head *head, uint32_t checksum);

/* Contents as they are handed about: one record behind the other, each as size of its payload (4), type
 * (1) and payload. False: there are no more, or they are malformed (cursor->bad). */
enum { CONTENT_HEADER = 5 };
bool content_next(struct cursor *cursor, enum record_type *type, struct bytes *payload);
void content_add(struct buffer *out, enum record_type type, struct bytes payload);
/* How many there are in whole contents. */
uint32_t contents_count(struct bytes contents);
/* The same in two steps: what is added to `out` in between is the payload. */
size_t contents_begin(struct buffer *out, enum record_type type);
void contents_end(struct buffer *out, size_t begun);
/* Of the payload `missing` bytes are still to come. */
void contents_end_before(struct buffer *out, size_t begun, size_t missing);
/* Is this a type that contents may have? Where a message lies is each member's own business. */
static inline bool content_may_have(unsigned type)
{
    return type == RECORD_NOTE || (type >= RECORD_MESSAGE && type < RECORD_ENTRY &&
                                   type != RECORD_MOVED && type != RECORD_PAGED);
}

#endif
