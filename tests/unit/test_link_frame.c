/* Frames of links: the bytes of each kind are what they were, what is read is what was written, and
 * what is not whole, or too much, is refused. */
#include "cluster/link_frame.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "tests/lib/tap.h"

/* "01 ff" as bytes; returns how many. */
static size_t unhex(const char *text, uint8_t *out)
{
    size_t size = 0;
    for (; *text; text += 2 + (text[2] == ' '))
        out[size++] = (uint8_t)strtoul((char[]){text[0], text[1], '\0'}, NULL, 16);
    return size;
}

/* The frame is these bytes, and is read from them, and from no fewer. */
static bool is_golden(const union link_frame *frame, const char *hex, const char *name)
{
    uint8_t wanted[1024];
    size_t size = unhex(hex, wanted);
    struct buffer out = {0}, again = {0};
    union link_frame read;
    bool is_cut_refused = true;
    link_frame_write(&out, frame);
    bool is_same = is_bytes(out.data, out.size, wanted, size, "%s is as it was", name);
    enum link_frame_result result =
        link_frame_read((uint8_t)frame->type, buffer_bytes(&out), &read);
    is_int(result, LINK_FRAME_OK, "%s is read", name);
    link_frame_write(&again, &read);
    is_bytes(again.data, again.size, out.data, out.size, "%s is the same when it is written again",
             name);
    bool has_rest = frame->type == LINK_HELLO || frame->type == LINK_RAFT || frame->type == LINK_RELAY;
    for (size_t less = 0; less < out.size; less++)
        if (link_frame_read((uint8_t)frame->type, bytes_of(out.data, less), &read) == LINK_FRAME_OK)
            is_cut_refused = false;
    ok(is_cut_refused, "%s is refused when it is cut anywhere", name);
    buffer_add(&out, "", 1);
    is_int(link_frame_read((uint8_t)frame->type, buffer_bytes(&out), &read),
           has_rest ? LINK_FRAME_OK : LINK_FRAME_MALFORMED, "%s: what comes behind it", name);
    buffer_free(&out);
    buffer_free(&again);
    return is_same;
}

TEST(bytes_are_golden)
{
    const uint64_t two[] = {7, 0x0102030405060708};
    uint8_t room[16];
    struct link_numbers numbers = link_numbers_of(room, two, 2);
    union link_frame frame = {.hello = {.type = LINK_HELLO,
                                        .magic = LINK_MAGIC,
                                        .version_min = 1,
                                        .version_max = 2,
                                        .features = 3,
                                        .way = LINK_WAY_DATA,
                                        .session = 0x1122,
                                        .cluster = "0123456789abcde",
                                        .cluster_generation = 4,
                                        .node = "fedcba987654321",
                                        .incarnation = 5,
                                        .catalogue = 6,
                                        .name = bytes_str("a@b"),
                                        .nonces = numbers}};
    is_golden(&frame,
              "4c 56 52 4c 00 01 00 02 00 00 00 00 00 00 00 03 01 00 00 00 00 00 00 11 22 "
              "30 31 32 33 34 35 36 37 38 39 61 62 63 64 65 00 00 00 00 00 00 00 00 04 "
              "66 65 64 63 62 61 39 38 37 36 35 34 33 32 31 00 00 00 00 00 00 00 00 05 "
              "00 00 00 00 00 00 00 06 03 61 40 62 00 02 00 00 00 00 00 00 00 07 "
              "01 02 03 04 05 06 07 08",
              "HELLO");
    frame.bye = (struct link_bye){LINK_BYE, LINK_REASON_SELF, bytes_str("no")};
    is_golden(&frame, "00 05 02 6e 6f", "BYE");
    frame.ping = (struct link_ping){LINK_PING, 258};
    is_golden(&frame, "00 00 00 00 00 00 01 02", "PING");
    frame.echo = (struct link_echo){LINK_ECHO, 259};
    is_golden(&frame, "00 00 00 00 00 00 01 03", "ECHO");
    frame.lease = (struct link_lease){LINK_LEASE, 1, 2, 3, LINK_HAS_LEASE | LINK_IS_SHORT, numbers, {{0}}};
    is_golden(&frame,
              "00 00 00 00 00 00 00 01 00 00 00 00 00 00 00 02 00 00 00 00 00 00 00 03 03 "
              "00 02 00 00 00 00 00 00 00 07 01 02 03 04 05 06 07 08 00 00",
              "LEASE");
    frame.grant = (struct link_grant){LINK_GRANT, 9, {{0}}};
    is_golden(&frame, "00 00 00 00 00 00 00 09 00 00", "GRANT");
    frame.applied = (struct link_applied){LINK_APPLIED, 258};
    is_golden(&frame, "00 00 00 00 00 00 01 02", "APPLIED");
    frame.raft = (struct link_raft){.type = LINK_RAFT,
                                    .group = 1,
                                    .generation = 2,
                                    .from = 3,
                                    .to = 4,
                                    .kind = ENGINE_VOTE,
                                    .flags = 1,
                                    .term = 5,
                                    .index = 6,
                                    .index_term = 7};
    is_golden(&frame,
              "00 00 00 00 00 00 00 01 00 00 00 00 00 00 00 02 00 00 00 00 00 00 00 03 "
              "00 00 00 00 00 00 00 04 03 01 00 00 00 00 00 00 00 05 00 00 00 00 00 00 00 06 "
              "00 00 00 00 00 00 00 07 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 "
              "00 00 00 00 00 00 00 00 00 00 00 00",
              "RAFT");
    frame.relay = (struct link_relay){.type = LINK_RELAY,
                                      .magic = LINK_MAGIC,
                                      .version_min = 1,
                                      .version_max = 2,
                                      .cluster = "0123456789abcde",
                                      .cluster_generation = 3,
                                      .node = "fedcba987654321",
                                      .client = 7,
                                      .kind = LINK_CLIENT_AMQP,
                                      .flags = LINK_CLIENT_TLS | LINK_CLIENT_UNIX,
                                      .uid = 4,
                                      .gid = 5,
                                      .pid = 6,
                                      .peer = bytes_str("a"),
                                      .local = bytes_str("b"),
                                      .named = 3};
    is_golden(&frame,
              "4c 56 52 4c 00 01 00 02 30 31 32 33 34 35 36 37 38 39 61 62 63 64 65 00 "
              "00 00 00 00 00 00 00 03 66 65 64 63 62 61 39 38 37 36 35 34 33 32 31 00 "
              "00 00 00 00 00 00 00 07 00 05 "
              "00 00 00 04 00 00 00 05 00 00 00 06 01 61 01 62 03",
              "RELAY");
    frame.relayed = (struct link_relayed){LINK_RELAYED, 258};
    is_golden(&frame, "01 02", "RELAYED");
}

enum { LEASES_MAX = 3 * LINK_GROUPS_MAX };

TEST(what_is_too_much_is_refused)
{
    union link_frame frame;
    struct buffer out = {0};
    uint8_t nul[] = {0, 1, 1, 0}, bad[] = {0, 1, 1, 0xff};
    is_int(link_frame_read(LINK_BYE, bytes_of(nul, sizeof(nul)), &frame), LINK_FRAME_MALFORMED,
           "a text with a zero in it");
    is_int(link_frame_read(LINK_BYE, bytes_of(bad, sizeof(bad)), &frame), LINK_FRAME_MALFORMED,
           "a text that is not UTF-8");
    uint8_t *room = mem_zalloc((LEASES_MAX + 1) * 8 + 10);
    room[8] = LEASES_MAX >> 8;
    room[9] = LEASES_MAX & 255;
    is_int(link_frame_read(LINK_GRANT, bytes_of(room, LEASES_MAX * 8 + 10), &frame),
           LINK_FRAME_OK, "as many groups as there may be");
    room[9]++;
    is_int(link_frame_read(LINK_GRANT, bytes_of(room, (LEASES_MAX + 1) * 8 + 10), &frame),
           LINK_FRAME_MALFORMED, "one more");
    is_int(link_frame_read(LINK_SEND, bytes_of(room, 1), &frame), LINK_FRAME_UNKNOWN,
           "a number that is reserved");
    is_int(link_frame_read(255, bytes_of(room, 1), &frame), LINK_FRAME_UNKNOWN, "no number at all");
    mem_free(room);
    buffer_free(&out);
}

TEST(pieces_have_a_header)
{
    uint8_t bytes[LINK_PIECE_HEADER + 3] = {LINK_PING, 1, 0, 0, 0, 0, 0, 3, 'a', 'b', 'c'};
    uint8_t header[LINK_PIECE_HEADER];
    struct link_piece piece;
    is_int(link_piece_read(bytes_of(bytes, sizeof(bytes)), &piece), sizeof(bytes), "read");
    ok(piece.type == LINK_PING && piece.has_more && bytes_equal_str(piece.payload, "abc"), "whole");
    link_piece_write_header(header, LINK_PING, true, 3);
    is_bytes(header, sizeof(header), bytes, sizeof(header), "and written");
    for (size_t less = 0; less < sizeof(bytes); less++)
        is_int(link_piece_read(bytes_of(bytes, less), &piece), 0, "%zu bytes are not enough", less);
    bytes[1] = 2;
    is_int(link_piece_read(bytes_of(bytes, sizeof(bytes)), &piece), -1, "no such flag");
    bytes[1] = 0;
    bytes[3] = 1;
    is_int(link_piece_read(bytes_of(bytes, sizeof(bytes)), &piece), -1, "not zero");
    bytes[3] = 0;
    bytes[5] = 1;
    is_int(link_piece_read(bytes_of(bytes, sizeof(bytes)), &piece), -1, "too large");
}

TEST(each_way_has_its_frames)
{
    ok(link_frame_may(LINK_HELLO, LINK_WAY_DATA) && link_frame_may(LINK_HELLO, LINK_WAY_CONTROL),
       "HELLO goes both ways");
    ok(link_frame_may(LINK_LEASE, LINK_WAY_CONTROL) && !link_frame_may(LINK_LEASE, LINK_WAY_DATA),
       "LEASE one");
    ok(!link_frame_may(LINK_SEND, LINK_WAY_DATA), "what is reserved none");
    is_int(link_frame_class(LINK_RAFT, LINK_WAY_DATA), LINK_CLASS_ENTRIES, "entries have a class");
    is_int(link_frame_class(LINK_RAFT, LINK_WAY_CONTROL), LINK_CLASS_TALK, "of their own");
    is_str(link_frame_name(LINK_FETCH), "FETCH", "a name");
    is_str(link_frame_name(99), "?", "no name");
    is_str(link_reason_name(LINK_REASON_RESTORED), "RESTORED", "a reason's name");
    is_str(link_reason_why(999), link_reason_why(0), "a reason of a later version");
}

/* ---- messages of the engine ---- */

static const struct engine_members members = {
    .count = 2, .of = {{65537, ENGINE_VOTER}, {131073, ENGINE_LEARNER}}};

static void write_append(struct buffer *out, struct link_raft *raft)
{
    const struct engine_entry entries[] = {
        {4, ENGINE_NOOP, NULL}, {4, ENGINE_MEMBERS, &members}, {5, ENGINE_RECORDS, NULL}};
    const struct link_body bodies[] = {
        {.stamp_ms = 7, .catalogue = 8, .chain = 9},
        {.chain = 10},
        {.records = bytes_str("records"), .chain = 11, .use = 12},
    };
    const struct engine_message message = {.type = ENGINE_APPEND,
                                           .peer = 131073,
                                           .term = 5,
                                           .index = 10,
                                           .index_term = 4,
                                           .commit = 9,
                                           .round = 77,
                                           .count = 3};
    link_entries_write(out, entries, bodies, 3);
    *raft = (struct link_raft){.group = 1, .generation = 2, .from = 65537};
    link_raft_of(&message, buffer_bytes(out), raft);
}

TEST(entries_come_as_they_went)
{
    struct buffer out = {0};
    struct link_raft raft;
    struct link_message message = {0};
    write_append(&out, &raft);
    if (!ok(link_message_read(&message, &raft), "read"))
        return;
    const struct engine_message *read = &message.message;
    ok(read->type == ENGINE_APPEND && read->peer == 65537 && read->term == 5 && read->index == 10 &&
           read->index_term == 4 && read->commit == 9 && read->round == 77 && read->count == 3,
       "the message");
    ok(read->entries[0].kind == ENGINE_NOOP && read->entries[0].term == 4 &&
           read->entries[2].kind == ENGINE_RECORDS && read->entries[2].term == 5,
       "its entries");
    const struct link_body *bodies = message.bodies;
    ok(bytes_equal_str(bodies[2].records, "records") && bodies[1].records.size == 0, "records");
    ok(bodies[0].stamp_ms == 7 && bodies[0].catalogue == 8 && bodies[0].chain == 9 &&
           bodies[2].chain == 11 && bodies[2].use == 12,
       "and what else they have");
    const struct engine_members *who = read->entries[1].members;
    ok(who->count == 2 && who->of[0].id == 65537 && who->of[0].role == ENGINE_VOTER &&
           who->of[1].id == 131073 && who->of[1].role == ENGINE_LEARNER,
       "members");
    link_message_free(&message);
    buffer_free(&out);
}

/* What is read of it with one byte changed. */
static bool is_read_with(size_t at, uint8_t value)
{
    struct buffer out = {0};
    struct link_raft raft;
    struct link_message message = {0};
    write_append(&out, &raft);
    out.data[at] = value;
    bool is_read = link_message_read(&message, &raft);
    link_message_free(&message);
    buffer_free(&out);
    return is_read;
}

TEST(entries_that_cannot_be_are_refused)
{
    /* NOOP: 34 bytes; MEMBERS: 34 + 2 + 2 * 9; RECORDS: 34 + 7. */
    ok(is_read_with(0, ENGINE_NOOP), "as it is");
    ok(!is_read_with(0, 0) && !is_read_with(0, 9), "no such kind");
    ok(!is_read_with(8, 0), "no term");
    ok(!is_read_with(8, 6), "a term that is to come");
    ok(!is_read_with(34 + 8, 3), "a term that falls");
    ok(!is_read_with(33, 1), "records of a no-op");
    ok(!is_read_with(34 + 34 + 1, 3), "more members than there are");
    ok(!is_read_with(34 + 34 + 2 + 8, 3), "no such role");
    ok(!is_read_with(34 + 34 + 2 + 8, ENGINE_LEARNER), "no voter");
    ok(!is_read_with(34 + 34 + 2 + 9 + 5, 1), "a member that is there twice");
    ok(!is_read_with(88 + 33, 8), "records that are not whole");
    ok(!is_read_with(88 + 33, 6), "something behind them");
    ok(!is_read_with(29, 1) && is_read_with(88 + 29, 1), "a use of what is not the group's");
}

static bool is_kind_read(struct link_raft raft)
{
    struct link_message message = {0};
    raft.from = raft.to = raft.term = 1;
    bool is_read = link_message_read(&message, &raft);
    link_message_free(&message);
    return is_read;
}

TEST(a_kind_has_its_fields_alone)
{
    ok(is_kind_read((struct link_raft){.kind = ENGINE_VOTE, .flags = 3}), "a vote is asked for");
    ok(!is_kind_read((struct link_raft){.kind = ENGINE_VOTE, .flags = 4}), "and not granted");
    ok(is_kind_read((struct link_raft){.kind = ENGINE_VOTED, .flags = 5}), "it is granted");
    ok(!is_kind_read((struct link_raft){.kind = ENGINE_VOTED, .round = 5}), "without a round");
    ok(!is_kind_read((struct link_raft){.kind = ENGINE_VOTED, .flags = 16}), "no such flag");
    ok(is_kind_read((struct link_raft){.kind = ENGINE_APPENDED, .rejected = 5}), "a rejection");
    ok(!is_kind_read((struct link_raft){.kind = ENGINE_APPENDED, .commit = 5}), "without a commit");
    ok(!is_kind_read((struct link_raft){.kind = ENGINE_APPENDED, .count = 1}), "or entries");
    ok(!is_kind_read((struct link_raft){.kind = ENGINE_APPEND, .count = 257}), "too many entries");
    ok(!is_kind_read((struct link_raft){.kind = 6}) && !is_kind_read((struct link_raft){.kind = 0}),
       "no such kind");
}

int main(void)
{
    RUN(bytes_are_golden);
    RUN(what_is_too_much_is_refused);
    RUN(pieces_have_a_header);
    RUN(each_way_has_its_frames);
    RUN(entries_come_as_they_went);
    RUN(entries_that_cannot_be_are_refused);
    RUN(a_kind_has_its_fields_alone);
    return done();
}
