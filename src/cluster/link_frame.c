/* What link_frames.def says about each row is unrolled here into a reader, a writer and what is
 * asked about types. Messages of the engine follow, whose entries are the rest of a RAFT frame:
 * each is
 *
 *     0   1  kind (enum engine_kind)
 *     1   8  term
 *     9   4  bytes that follow
 *
 * and its records; of an entry about members, two bytes with their number and nine for each, its id
 * and its role. */
#include "cluster/link_frame.h"

#include <assert.h>

#include "amqp/wire.h"
#include "base/mem.h"
#include "base/utf8.h"

enum { ENTRY_HEADER = 34, MEMBER_BYTES = 9 };

/* ---- numbers ---- */

uint64_t link_number_at(struct link_numbers numbers, size_t at)
{
    uint64_t number;
    memcpy(&number, numbers.raw.data + at * sizeof(number), sizeof(number));
    return be64toh(number);
}

struct link_numbers link_numbers_of(uint8_t *room, const uint64_t *numbers, size_t count)
{
    uint8_t *at = room;
    for (size_t i = 0; i < count; i++)
        at = put_u64(at, numbers[i]);
    return (struct link_numbers){bytes_of(room, count * sizeof(*numbers))};
}

/* ---- pieces ---- */

ssize_t link_piece_read(struct bytes bytes, struct link_piece *piece)
{
    struct reader reader = reader_of(bytes);
    if (bytes.size < LINK_PIECE_HEADER)
        return 0;
    piece->type = reader_u8(&reader);
    uint8_t more = reader_u8(&reader);
    uint16_t zero = reader_u16(&reader);
    uint32_t size = reader_u32(&reader);
    if (more > 1 || zero != 0 || size > LINK_PAYLOAD_MAX)
        return -1;
    piece->has_more = more;
    if (reader_left(&reader) < size)
        return 0;
    piece->payload = reader_bytes(&reader, size);
    return LINK_PIECE_HEADER + (ssize_t)size;
}

void link_piece_write_header(uint8_t header[LINK_PIECE_HEADER], uint8_t type, bool has_more,
                             size_t size)
{
    put_u32(put_u16(put_u8(put_u8(header, type), has_more), 0), (uint32_t)size);
}

/* ---- reading ---- */

static struct link_numbers read_numbers(struct reader *reader, size_t max)
{
    size_t count = reader_u16(reader);
    if (count > max) {
        reader->bad = true;
        count = 0;
    }
    return (struct link_numbers){reader_bytes(reader, count * sizeof(uint64_t))};
}

static struct bytes read_text(struct reader *reader)
{
    struct bytes text = reader_shortstr(reader);
    if (!utf8_is_valid(text) || bytes_have_nul(text))
        reader->bad = true;
    return text;
}

static void read_id(struct reader *reader, uint8_t id[LINK_ID_BYTES])
{
    struct bytes bytes = reader_bytes(reader, LINK_ID_BYTES);
    memset(id, 0, LINK_ID_BYTES);
    if (bytes.data)
        memcpy(id, bytes.data, LINK_ID_BYTES);
}

#define FRAME(NAME, name, number, WAY, CLASS, ...)                                                 \
    static void read_##name(struct reader *reader, struct link_##name *out)                        \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }
#define U8(field) out->field = reader_u8(reader);
#define U16(field) out->field = reader_u16(reader);
#define U32(field) out->field = reader_u32(reader);
#define U64(field) out->field = reader_u64(reader);
#define ID(field) read_id(reader, out->field);
#define TEXT(field) out->field = read_text(reader);
#define NUMBERS(field, max) out->field = read_numbers(reader, max);
#define REST(field) out->field = reader_bytes(reader, reader_left(reader));
#include "cluster/link_frames.def"

enum link_frame_result link_frame_read(uint8_t type, struct bytes payload, union link_frame *frame)
{
    struct reader reader = reader_of(payload);
    frame->type = type;
    switch (type) {
#define FRAME(NAME, name, number, WAY, CLASS, ...)                                                 \
    case LINK_##NAME:                                                                              \
        read_##name(&reader, &frame->name);                                                        \
        break;
#include "cluster/link_frames.def"
    default:
        return LINK_FRAME_UNKNOWN;
    }
    return reader.bad || reader_left(&reader) ? LINK_FRAME_MALFORMED : LINK_FRAME_OK;
}

/* ---- writing ---- */

static void add(struct buffer *out, uint64_t value, size_t size)
{
    uint8_t bytes[sizeof(value)];
    put_u64(bytes, value);
    buffer_add(out, bytes + sizeof(value) - size, size);
}

static void add_bytes(struct buffer *out, struct bytes bytes)
{
    if (bytes.size)
        buffer_add(out, bytes.data, bytes.size);
}

static void add_text(struct buffer *out, struct bytes text)
{
    assert(text.size <= LINK_TEXT_MAX);
    add(out, text.size, 1);
    add_bytes(out, text);
}

static void add_numbers(struct buffer *out, struct link_numbers numbers, size_t max)
{
    assert(link_numbers_count(numbers) <= max);
    add(out, link_numbers_count(numbers), 2);
    add_bytes(out, numbers.raw);
}

#define FRAME(NAME, name, number, WAY, CLASS, ...)                                                 \
    static void write_##name(struct buffer *out, const struct link_##name *frame)                  \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }
#define U8(field) add(out, frame->field, 1);
#define U16(field) add(out, frame->field, 2);
#define U32(field) add(out, frame->field, 4);
#define U64(field) add(out, frame->field, 8);
#define ID(field) add_bytes(out, bytes_of(frame->field, LINK_ID_BYTES));
#define TEXT(field) add_text(out, frame->field);
#define NUMBERS(field, max) add_numbers(out, frame->field, max);
#define REST(field) add_bytes(out, frame->field);
#include "cluster/link_frames.def"

void link_frame_write(struct buffer *out, const union link_frame *frame)
{
    switch (frame->type) {
#define FRAME(NAME, name, number, WAY, CLASS, ...)                                                 \
    case LINK_##NAME:                                                                              \
        write_##name(out, &frame->name);                                                           \
        break;
#include "cluster/link_frames.def"
    default:
        assert(false); /* the caller gives a frame of the table */
    }
}

/* ---- what is asked about types and reasons ---- */

struct row {
    const char *name;
    bool by_control, by_data;
    enum link_class class;
};

enum { IS_CONTROL = 1, IS_DATA = 2, IS_EITHER = 3, ROWS = 256 };

static const struct row rows[ROWS] = {
#define FRAME(NAME, name_, number, WAY, CLASS, ...)                                                \
    [number] = {#NAME, IS_##WAY & IS_CONTROL, (IS_##WAY & IS_DATA) != 0, LINK_CLASS_##CLASS},
#define RESERVED(NAME, number) [number] = {#NAME, false, false, LINK_CLASS_TALK},
#include "cluster/link_frames.def"
};

bool link_frame_may(uint8_t type, enum link_way way)
{
    return way == LINK_WAY_CONTROL ? rows[type].by_control : rows[type].by_data;
}

enum link_class link_frame_class(uint8_t type, enum link_way way)
{
    return way == LINK_WAY_CONTROL ? LINK_CLASS_TALK : rows[type].class;
}

const char *link_frame_name(uint8_t type)
{
    return rows[type].name ? rows[type].name : "?";
}

struct reason {
    const char *name, *why, *what;
};

static const struct reason reasons[] = {
    [LINK_REASON_NONE] = {"none", "no reason was given", "look at the log of the other node"},
#define REASON(NAME, number, why, what) [number] = {#NAME, why, what},
#include "cluster/link_frames.def"
};

static const struct reason *reason_of(unsigned reason)
{
    bool is_known = reason < sizeof(reasons) / sizeof(reasons[0]) && reasons[reason].name;
    return &reasons[is_known ? reason : LINK_REASON_NONE];
}

const char *link_reason_name(unsigned reason)
{
    return reason_of(reason)->name;
}

const char *link_reason_why(unsigned reason)
{
    return reason_of(reason)->why;
}

const char *link_reason_what(unsigned reason)
{
    return reason_of(reason)->what;
}

/* ---- a group's messages ---- */

enum { FLAG_PRE_VOTE = 1, FLAG_DISRUPTS = 2, FLAG_GRANTED = 4, FLAGS = 7 };

void link_raft_of(const struct engine_message *message, struct bytes entries,
                  struct link_raft *raft)
{
    raft->type = LINK_RAFT;
    raft->to = message->peer;
    raft->kind = (uint8_t)message->type;
    raft->flags =
        (uint8_t)((message->pre_vote ? FLAG_PRE_VOTE : 0) |
                  (message->disrupts ? FLAG_DISRUPTS : 0) | (message->granted ? FLAG_GRANTED : 0));
    raft->term = message->term;
    raft->index = message->index;
    raft->index_term = message->index_term;
    raft->commit = message->commit;
    raft->rejected = message->rejected;
    raft->round = message->round;
    raft->count = message->count;
    raft->entries = entries;
}

void link_members_write(struct buffer *out, const struct engine_members *members)
{
    add(out, members->count, 2);
    for (uint32_t i = 0; i < members->count; i++) {
        add(out, members->of[i].id, 8);
        add(out, members->of[i].role, 1);
    }
}

void link_entry_write(struct buffer *out, const struct engine_entry *entry, const struct link_body *body)
{
    const struct engine_members *members = entry->members;
    add(out, entry->kind, 1);
    add(out, entry->term, 8);
    add(out, body->stamp_ms, 8);
    add(out, body->catalogue, 8);
    add(out, body->chain, 4);
    add(out, body->use, 1);
    if (entry->kind == ENGINE_MEMBERS) {
        add(out, 2 + (uint64_t)members->count * MEMBER_BYTES, 4);
        link_members_write(out, members);
        return;
    }
    add(out, body->records.size, 4);
    if (!body->shared)
        add_bytes(out, body->records);
}

void link_entries_write(struct buffer *out, const struct engine_entry *entries,
                        const struct link_body *bodies, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        link_entry_write(out, &entries[i], &bodies[i]);
        if (bodies[i].shared)
            add_bytes(out, bodies[i].records);
    }
}

static bool has_member(const struct engine_members *members, uint64_t id)
{
    for (uint32_t i = 0; i < members->count; i++)
        if (members->of[i].id == id)
            return true;
    return false;
}

bool link_members_read(struct bytes bytes, struct engine_members *members)
{
    struct reader reader = reader_of(bytes);
    uint32_t count = reader_u16(&reader), voters = 0;
    if (count > ENGINE_MEMBERS_MAX || reader_left(&reader) != count * (size_t)MEMBER_BYTES)
        return false;
    *members = (struct engine_members){0};
    for (uint32_t i = 0; i < count; i++) {
        uint64_t id = reader_u64(&reader);
        uint8_t role = reader_u8(&reader);
        if (id == 0 || (role != ENGINE_VOTER && role != ENGINE_LEARNER) || has_member(members, id))
            return false;
        members->of[members->count++] = (struct engine_member){id, role};
        voters += role == ENGINE_VOTER;
    }
    return voters > 0;
}

/* What a kind does not have is 0. */
static bool fits_kind(const struct link_raft *raft)
{
    bool is_append = raft->kind == ENGINE_APPEND, is_appended = raft->kind == ENGINE_APPENDED;
    bool is_vote = raft->kind == ENGINE_VOTE, is_voted = raft->kind == ENGINE_VOTED;
    uint8_t flags = is_vote    ? FLAG_PRE_VOTE | FLAG_DISRUPTS
                    : is_voted ? FLAG_PRE_VOTE | FLAG_GRANTED
                               : 0;
    if (raft->kind < ENGINE_APPEND || raft->kind > ENGINE_CAMPAIGN || (raft->flags & ~flags))
        return false;
    if (!is_append && (raft->count || raft->commit || raft->entries.size))
        return false;
    if (!is_appended && raft->rejected)
        return false;
    if (!is_append && !is_appended && raft->round)
        return false;
    return raft->count <= ENGINE_UNCOMMITTED_MAX && raft->from && raft->to && raft->term;
}

/* Room for one entry more; members are found again by their number, as they may move. */
static bool read_entry(struct link_message *message, struct reader *reader, uint32_t at,
                       size_t *members_count)
{
    struct engine_entry *entry = &message->entries[at];
    uint8_t kind = reader_u8(reader);
    struct link_body *body = &message->bodies[at];
    *entry = (struct engine_entry){.term = reader_u64(reader), .kind = kind};
    body->shared = NULL;
    body->stamp_ms = reader_u64(reader);
    body->catalogue = reader_u64(reader);
    body->chain = reader_u32(reader);
    body->use = reader_u8(reader);
    size_t size = reader_u32(reader);
    body->records = reader_bytes(reader, size);
    if (reader->bad || kind < ENGINE_RECORDS || kind > ENGINE_MEMBERS || entry->term == 0 ||
        entry->term > message->message.term || (at && entry->term < entry[-1].term))
        return false;
    if (kind == ENGINE_RECORDS)
        return true;
    if (body->use || (kind == ENGINE_NOOP && size))
        return false;
    if (kind == ENGINE_NOOP)
        return true;
    message->members = mem_grow(message->members, &message->members_capacity, *members_count + 1,
                                sizeof(*message->members));
    struct bytes raw = body->records;
    body->records = (struct bytes){0};
    return link_members_read(raw, &message->members[(*members_count)++]);
}

bool link_message_read(struct link_message *message, const struct link_raft *raft)
{
    struct reader reader = reader_of(raft->entries);
    size_t members_count = 0, next = 0;
    message->message = (struct engine_message){
        .type = raft->kind,
        .peer = raft->from,
        .term = raft->term,
        .index = raft->index,
        .index_term = raft->index_term,
        .commit = raft->commit,
        .rejected = raft->rejected,
        .round = raft->round,
        .count = raft->count,
        .pre_vote = raft->flags & FLAG_PRE_VOTE,
        .disrupts = (raft->flags & FLAG_DISRUPTS) != 0,
        .granted = (raft->flags & FLAG_GRANTED) != 0,
    };
    if (!fits_kind(raft) || raft->entries.size < (size_t)raft->count * ENTRY_HEADER)
        return false;
    message->entries =
        mem_grow(message->entries, &message->capacity, raft->count + 1, sizeof(*message->entries));
    message->bodies = mem_grow(message->bodies, &message->bodies_capacity, raft->count + 1,
                               sizeof(*message->bodies));
    for (uint32_t i = 0; i < raft->count; i++)
        if (!read_entry(message, &reader, i, &members_count))
            return false;
    for (uint32_t i = 0; i < raft->count; i++)
        if (message->entries[i].kind == ENGINE_MEMBERS)
            message->entries[i].members = &message->members[next++];
    message->message.entries = raft->count ? message->entries : NULL;
    return reader_left(&reader) == 0;
}

void link_message_free(struct link_message *message)
{
    mem_free(message->entries);
    mem_free(message->bodies);
    mem_free(message->members);
    *message = (struct link_message){0};
}
