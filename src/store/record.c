/* How the journal is written.
 *
 * The journal is a row of files, *segments*, named journal-NNNNNNNNNN by their number (decimal, from
 * 1, never used twice). All numbers in them are little-endian; every checksum is CRC-32C.
 *
 * A segment begins with a header of 64 bytes:
 *
 *      0  4  "LVRS"
 *      4  2  version of the format, 1
 *      6  2  0
 *      8  4  number of the segment
 *     12  4  checksum of the batch before the first one in here
 *     16  8  number of the first batch in here
 *     24 16  the store it belongs to (identity.c), or zeros
 *     40 20  0
 *     60  4  checksum of bytes 0 to 59
 *
 * Then come *batches*, each beginning at a multiple of 64. A batch is what one turn of the broker
 * decided; it is there whole, or not at all. Its header:
 *
 *      0  4  "LVRB"
 *      4  2  version, 1
 *      6  2  0
 *      8  8  number, one more than that of the batch before
 *     16  4  size with header and padding
 *     20  4  number of records
 *     24  4  checksum of the batch before (bytes 60 to 63 of its header)
 *     28  4  checksum over the checksums of the records, in order
 *     32  8  sync mark: the batch up to which all were durable when this one was written
 *     40  4  segment it lies in
 *     44  4  offset it lies at
 *     48 12  0
 *     60  4  checksum of bytes 0 to 59
 *
 * A *record* is a header of 12 bytes and a payload:
 *
 *      0  4  checksum over segment number, offset of the record (4 bytes each), bytes 4 to 11
 *            and the payload
 *      4  4  size of the payload
 *      8  1  type
 *      9  3  0
 *
 * The checksums cover where a thing lies, so that bytes of an earlier use of the file, or bytes that
 * a disk wrote to the wrong place, are never taken for it. What lies in a segment at or behind the
 * place where the next segment's first batch was expected is left over and means nothing.
 *
 * Payloads: message, moved and paged records
 *
 *      0  1  flags (1: persistent, 2: dead-lettered, 4: it ends at different times in its queues, 8: it
 *            has a header BCC)
 *      1  1  priority
 *      2  8  expiry, milliseconds since 1970; 0: none, or flag 4
 *     10  4  number of destinations n
 *     14  1  length of the exchange's name
 *     15  1  length of the routing key
 *     16  2  0
 *     18  4  size of the properties (from the property flags on)
 *     22  4  size of the body
 *     26  4  0
 *     30 16n destinations: queue id, sequence number (8 bytes each); with flag 4 it is 24n, and each
 *            has its expiry there (8)
 *         .. exchange, routing key, properties, body
 *
 * settle: queue id (8), then pairs of varints: distance of the first sequence number from the end
 * of the pair before (zigzag, as it may be negative; from 0 for the first pair), and how many.
 * returned: queue id (8), then triples of varints: distance of the sequence number from the one before
 * (zigzag; from 0 for the first), how often it came back, and until when it waits, milliseconds since
 * 1970; 0: it does not. delivered: queue id, mark (8 each). queue, drop: queue id.
 * put: size of the key (4), key, value. delete: key.
 *
 * entry:
 *
 *      0  8  group
 *      8  8  index
 *     16  8  term
 *     24  8  the group's clock, milliseconds since 1970
 *     32  8  index of the catalogue that it rests on
 *     40  1  kind
 *     41  4  number of the records that are its contents; they come next, in the same batch
 *     45  4  their size, with their headers
 *     49  4  checksum of the contents: of the size of each payload (4), its type (1), the payload
 *     53  4  chain: checksum over the chain of the entry before (4), bytes 8 to 40, and the checksum
 *
 * floor: group, index, term (8 each), chain (4), and what the group says of itself. vote: group, term,
 * member (8 each). commit: group, index (8 each). leave: group. */
#include "store/record.h"

#include <assert.h>
#include <endian.h>
#include <string.h>

#include "base/crc32c.h"
#include "base/planted.h"
#include "store/store.h"

static void put16(uint8_t *at, uint16_t value)
{
    value = htole16(value);
    memcpy(at, &value, sizeof(value));
}

static void put32(uint8_t *at, uint32_t value)
{
    value = htole32(value);
    memcpy(at, &value, sizeof(value));
}

static void put64(uint8_t *at, uint64_t value)
{
    value = htole64(value);
    memcpy(at, &value, sizeof(value));
}

static uint16_t get16(const uint8_t *at)
{
    uint16_t value;
    memcpy(&value, at, sizeof(value));
    return le16toh(value);
}

static uint32_t get32(const uint8_t *at)
{
    uint32_t value;
    memcpy(&value, at, sizeof(value));
    return le32toh(value);
}

static uint64_t get64(const uint8_t *at)
{
    uint64_t value;
    memcpy(&value, at, sizeof(value));
    return le64toh(value);
}

static int check_header(const uint8_t *in, const char *magic)
{
    if (memcmp(in, magic, 4) != 0 || get32(in + 60) != crc32c(0, in, 60))
        return RECORD_BAD;
    return get16(in + 4) > JOURNAL_VERSION ? RECORD_NEWER : RECORD_OK;
}

void segment_header_write(uint8_t out[SEGMENT_HEADER], const struct segment_header *header)
{
    memset(out, 0, SEGMENT_HEADER);
    memcpy(out, "LVRS", 4);
    put16(out + 4, JOURNAL_VERSION);
    put32(out + 8, header->segment);
    put32(out + 12, header->previous);
    put64(out + 16, header->first_batch);
    memcpy(out + 24, header->store, IDENTITY_SIZE);
    put32(out + 60, crc32c(0, out, 60));
}

int segment_header_read(const uint8_t in[SEGMENT_HEADER], struct segment_header *header)
{
    int result = check_header(in, "LVRS");
    header->segment = get32(in + 8);
    header->previous = get32(in + 12);
    header->first_batch = get64(in + 16);
    memcpy(header->store, in + 24, IDENTITY_SIZE);
    return result;
}

void batch_header_write(uint8_t out[BATCH_HEADER], struct batch_header *header)
{
    memset(out, 0, BATCH_HEADER);
    memcpy(out, "LVRB", 4);
    put16(out + 4, JOURNAL_VERSION);
    put64(out + 8, header->number);
    put32(out + 16, header->size);
    put32(out + 20, header->records);
    put32(out + 24, header->previous);
    put32(out + 28, header->contents);
    put64(out + 32, header->synced);
    put32(out + 40, header->segment);
    put32(out + 44, header->offset);
    header->checksum = crc32c(0, out, 60);
    put32(out + 60, header->checksum);
}

int batch_header_read(const uint8_t in[BATCH_HEADER], uint32_t segment, uint32_t offset,
                      struct batch_header *header)
{
    int result = check_header(in, "LVRB");
    if (result == RECORD_BAD)
        return result;
    *header = (struct batch_header){
        .number = get64(in + 8),
        .size = get32(in + 16),
        .records = get32(in + 20),
        .previous = get32(in + 24),
        .contents = get32(in + 28),
        .synced = get64(in + 32),
        .segment = get32(in + 40),
        .offset = get32(in + 44),
        .checksum = get32(in + 60),
    };
    bool sound = header->segment == segment && header->offset == offset &&
                 header->size >= BATCH_HEADER && header->size % BATCH_ALIGN == 0;
    return sound ? result : RECORD_BAD;
}

static uint32_t record_checksum(uint32_t segment, uint32_t offset, const uint8_t *header,
                                struct bytes payload)
{
    uint8_t start[16];
    put32(start, segment);
    put32(start + 4, offset);
    memcpy(start + 8, header + 4, 8);
    return crc32c(crc32c(0, start, sizeof(start)), payload.data, payload.size);
}

uint32_t record_header_write(uint8_t out[RECORD_HEADER], enum record_type type, struct place place,
                             struct bytes payload, struct bytes rest)
{
    put32(out + 4, place.size - RECORD_HEADER);
    put32(out + 8, (uint32_t)type); /* a byte, then three zeros */
    uint32_t crc = record_checksum(place.segment, place.offset, out, payload);
    if (rest.size)
        crc = crc32c(crc, rest.data, rest.size);
    put32(out, crc);
    return crc;
}

int record_read(struct bytes in, uint32_t segment, uint32_t offset, struct record *record)
{
    if (in.size < RECORD_HEADER)
        return RECORD_BAD;
    uint32_t size = get32(in.data + 4);
    if (size > in.size - RECORD_HEADER)
        return RECORD_BAD;
    record->type = in.data[8];
    record->payload = bytes_of(in.data + RECORD_HEADER, size);
    record->place = (struct place){segment, offset, size + RECORD_HEADER};
    record->checksum = get32(in.data);
    if (planted(PLANTED_NO_CHECKSUM))
        return RECORD_OK;
    if (record->checksum != record_checksum(segment, offset, in.data, record->payload))
        return RECORD_BAD;
    return RECORD_OK;
}

bool batch_contents_check(struct bytes batch, const struct batch_header *header)
{
    uint32_t at = BATCH_HEADER;
    uint32_t contents = 0;
    for (uint32_t i = 0; i < header->records; i++) {
        struct record record;
        struct bytes rest = bytes_of(batch.data + at, batch.size - at);
        if (record_read(rest, header->segment, header->offset + at, &record) != RECORD_OK)
            return false;
        contents = crc32c(contents, batch.data + at, 4);
        at += record.place.size;
    }
    return contents == header->contents || planted(PLANTED_NO_CHECKSUM);
}

/* Does it end at different times in its queues? */
static bool has_times(const struct destination *destinations, uint32_t count)
{
    for (uint32_t i = 1; i < count; i++)
        if (destinations[i].expires_ms != destinations[0].expires_ms)
            return true;
    return false;
}

/* What lies before the destinations. */
static inline void put_fixed(uint8_t *at, const struct message *message, uint64_t expires_ms,
                             uint32_t count)
{
    at[0] = message->flags;
    at[1] = message->priority;
    put64(at + 2, expires_ms);
    put32(at + 10, count);
    at[14] = message->exchange_size;
    at[15] = message->routing_key_size;
    put16(at + 16, 0);
    put32(at + 18, message->properties_size);
    put32(at + 22, message->body_size);
    put32(at + 26, 0);
}

static inline void put_destination(uint8_t *at, const struct destination *destination)
{
    put64(at, destination->queue);
    put64(at + 8, destination->sequence);
}

static uint32_t start_many(struct buffer *out, struct message *message,
                           const struct destination *destinations, uint32_t count)
{
    bool is_timed = has_times(destinations, count);
    message->flags |= is_timed ? MESSAGE_TIMED : 0;
    size_t step = destination_size(message->flags);
    size_t size = MESSAGE_PAYLOAD_FIXED + count * step;
    uint8_t *at = buffer_room(out, size);
    put_fixed(at, message, is_timed ? 0 : destinations[0].expires_ms, count);
    uint8_t *to = at + MESSAGE_PAYLOAD_FIXED;
    for (uint32_t i = 0; i < count; i++, to += step) {
        put_destination(to, &destinations[i]);
        if (is_timed)
            put64(to + 16, destinations[i].expires_ms);
    }
    buffer_added(out, size);
    return (uint32_t)size;
}

uint32_t message_payload_start(struct buffer *out, struct message *message,
                               const struct destination *destinations, uint32_t count)
{
    enum { ONE = MESSAGE_PAYLOAD_FIXED + DESTINATION_SIZE };
    message->flags &= (uint8_t)~MESSAGE_TIMED;
    if (count > 1)
        return start_many(out, message, destinations, count);
    uint8_t *at = buffer_room(out, ONE);
    put_fixed(at, message, destinations[0].expires_ms, 1);
    put_destination(at + MESSAGE_PAYLOAD_FIXED, &destinations[0]);
    buffer_added(out, ONE);
    return ONE;
}

bool message_payload_read(struct bytes payload, struct message_payload *out)
{
    if (payload.size < MESSAGE_PAYLOAD_FIXED)
        return false;
    const uint8_t *at = payload.data;
    out->flags = at[0];
    out->priority = at[1];
    out->expires_ms = get64(at + 2);
    out->destinations = get32(at + 10);
    out->exchange_size = at[14];
    out->routing_key_size = at[15];
    out->properties_size = get32(at + 18);
    out->body_size = get32(at + 22);
    uint64_t start = MESSAGE_PAYLOAD_FIXED + (uint64_t)out->destinations * destination_size(out->flags);
    uint64_t size = start + out->exchange_size + out->routing_key_size + out->properties_size +
                    out->body_size;
    if (size != payload.size || out->destinations == 0)
        return false;
    out->destination = at + MESSAGE_PAYLOAD_FIXED;
    out->data = at + start;
    return true;
}

struct destination message_payload_destination(const struct message_payload *payload, uint32_t at)
{
    const uint8_t *from = payload->destination + at * destination_size(payload->flags);
    bool is_timed = payload->flags & MESSAGE_TIMED;
    return (struct destination){get64(from), get64(from + 8),
                                is_timed ? get64(from + 16) : payload->expires_ms};
}

struct message *message_from_payload(struct message_pool *pool,
                                     const struct message_payload *payload)
{
    struct message *message =
        message_from_data(pool, payload->exchange_size, payload->routing_key_size,
                          payload->properties_size, payload->body_size, payload->data);
    message->flags = payload->flags;
    message->priority = payload->priority;
    return message;
}

struct settled_reader settled_reader(struct bytes payload)
{
    struct settled_reader reader = {.cursor = cursor_of(payload)};
    reader.queue = cursor_u64(&reader.cursor);
    return reader;
}

bool settled_next(struct settled_reader *reader)
{
    struct cursor *cursor = &reader->cursor;
    if (cursor->bad || cursor->at == cursor->end)
        return false;
    reader->first += reader->count + (uint64_t)unzigzag(cursor_varint(cursor));
    reader->count = cursor_varint(cursor);
    cursor->bad |= reader->first > STORE_SEQUENCE_MAX || reader->count > STORE_SEQUENCE_MAX;
    return !cursor->bad;
}

struct returned_reader returned_reader(struct bytes payload)
{
    struct returned_reader reader = {.cursor = cursor_of(payload)};
    reader.queue = cursor_u64(&reader.cursor);
    return reader;
}

bool returned_next(struct returned_reader *reader)
{
    struct cursor *cursor = &reader->cursor;
    if (cursor->bad || cursor->at == cursor->end)
        return false;
    reader->sequence += (uint64_t)unzigzag(cursor_varint(cursor));
    uint64_t count = cursor_varint(cursor);
    reader->count = (uint32_t)count;
    reader->until_ms = cursor_varint(cursor);
    cursor->bad |= count == 0 || count > UINT32_MAX;
    return !cursor->bad;
}

/* ---- entries of a group's log ---- */

/* What the chain covers of it. */
enum { HEAD_SIZE = 33 };

static void head_write(uint8_t out[HEAD_SIZE], const struct log_head *head)
{
    put64(out, head->index);
    put64(out + 8, head->term);
    put64(out + 16, head->stamp_ms);
    put64(out + 24, head->catalogue);
    out[32] = head->kind;
}

void entry_payload_write(uint8_t out[ENTRY_PAYLOAD_SIZE], const struct entry_payload *payload)
{
    put64(out, payload->group);
    head_write(out + 8, &payload->head);
    put32(out + 41, payload->records);
    put32(out + 45, payload->size);
    put32(out + 49, payload->checksum);
    put32(out + 53, payload->chain);
}

bool entry_payload_read(struct bytes in, struct entry_payload *payload)
{
    if (in.size != ENTRY_PAYLOAD_SIZE)
        return false;
    payload->group = get64(in.data);
    payload->head = (struct log_head){.index = get64(in.data + 8),
                                      .term = get64(in.data + 16),
                                      .stamp_ms = get64(in.data + 24),
                                      .catalogue = get64(in.data + 32),
                                      .kind = in.data[40]};
    payload->records = get32(in.data + 41);
    payload->size = get32(in.data + 45);
    payload->checksum = get32(in.data + 49);
    payload->chain = get32(in.data + 53);
    return payload->group && payload->head.index && payload->head.term;
}

uint32_t log_chain(uint32_t before, const struct log_head *head, uint32_t checksum)
{
    uint8_t bytes[4 + HEAD_SIZE + 4];
    put32(bytes, before);
    head_write(bytes + 4, head);
    put32(bytes + 4 + HEAD_SIZE, checksum);
    return crc32c(0, bytes, sizeof(bytes));
}

bool content_next(struct cursor *cursor, enum record_type *type, struct bytes *payload)
{
    if (cursor->bad || cursor->at == cursor->end)
        return false;
    uint32_t size = cursor_u32(cursor);
    unsigned number = cursor_u8(cursor);
    *payload = cursor_bytes(cursor, size);
    cursor->bad |= !content_may_have(number);
    *type = (enum record_type)number;
    return !cursor->bad;
}

void content_add(struct buffer *out, enum record_type type, struct bytes payload)
{
    assert(content_may_have(type));
    buffer_add_u32(out, (uint32_t)payload.size);
    buffer_add_u8(out, (uint8_t)type);
    buffer_add(out, payload.data, payload.size);
}

uint32_t contents_count(struct bytes contents)
{
    struct cursor cursor = cursor_of(contents);
    enum record_type type;
    struct bytes payload;
    uint32_t count = 0;
    while (content_next(&cursor, &type, &payload))
        count++;
    assert(!cursor.bad);
    return count;
}

size_t contents_begin(struct buffer *out, enum record_type type)
{
    size_t begun = out->size;
    assert(content_may_have(type));
    buffer_add_u32(out, 0);
    buffer_add_u8(out, (uint8_t)type);
    return begun;
}

void contents_end_before(struct buffer *out, size_t begun, size_t missing)
{
    put32(out->data + begun, (uint32_t)(out->size - begun - CONTENT_HEADER + missing));
}

void contents_end(struct buffer *out, size_t begun)
{
    contents_end_before(out, begun, 0);
}
