/* One connection's bytes: large frames in pieces, shares of what is sent, and bounds of what comes.
 */
#include "cluster/link_wire.h"

#include "base/mem.h"
#include "base/random.h"
#include "tests/lib/tap.h"

enum { WHOLE = 1 << 20, RAFT_HEAD = 86 };

/* A RAFT frame's contents with `size` bytes of entries. */
static struct bytes contents(struct buffer *out, uint8_t fill, size_t size)
{
    union link_frame frame = {.raft = {.type = LINK_RAFT, .round = fill}};
    buffer_drop(out, out->size);
    link_frame_write(out, &frame);
    if (size)
        memset(buffer_room(out, size), fill, size);
    buffer_added(out, size);
    return buffer_bytes(out);
}

/* Sends what one has to the other, in parts of any size. */
static void carry(struct link_wire *from, struct link_wire *to, struct random *random)
{
    struct iovec parts[7];
    int count;
    while ((count = link_wire_output(from, parts, 7)) > 0) {
        size_t size = 1 + random_below(random, parts[0].iov_len);
        void *copy = mem_dup(parts[0].iov_base, size);
        link_wire_input(to, bytes_of(copy, size));
        mem_free(copy);
        link_wire_sent(from, size);
    }
}

TEST(large_frames_come_in_pieces)
{
    const size_t sizes[] = {0, 1, 65000, 65442, 65443, 65536, 200000, 900000};
    struct link_wire from, to;
    struct buffer out = {0};
    struct random random;
    union link_frame frame;
    random_init(&random, 1);
    link_wire_init(&from, LINK_WAY_DATA, WHOLE);
    link_wire_init(&to, LINK_WAY_DATA, WHOLE);
    for (uint8_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
        link_wire_put(&from, LINK_RAFT, contents(&out, i, sizes[i]));
    carry(&from, &to, &random);
    is_int(from.out_bytes, 0, "all is sent");
    for (uint8_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        if (!ok(link_wire_next(&to, &frame) == LINK_WIRE_FRAME, "frame %u comes", i))
            break;
        bool is_right = frame.raft.round == i && frame.raft.entries.size == sizes[i];
        for (size_t k = 0; k < frame.raft.entries.size; k++)
            is_right &= frame.raft.entries.data[k] == i;
        ok(is_right, "as it was sent: %zu bytes", sizes[i]);
    }
    is_int(link_wire_next(&to, &frame), LINK_WIRE_MORE, "and nothing else");
    link_wire_free(&from);
    link_wire_free(&to);
    buffer_free(&out);
}

static size_t blocks_of(const struct link_wire *wire)
{
    size_t count = 0;
    list_for_each(at, &wire->queued[LINK_CLASS_ENTRIES])
        count++;
    return count;
}

/* However much it is, it costs what its pieces cost, and is in memory once; and so it comes. */
TEST(what_is_shared_is_not_copied)
{
    enum { LARGE = 900000 };
    struct link_wire from, to;
    struct buffer head = {0};
    struct random random;
    union link_frame frame;
    random_init(&random, 3);
    for (size_t size = LARGE; size > 0; size = size / 3) {
        struct shared *shared = shared_new();
        memset(buffer_room(&shared->bytes, size), 's', size);
        buffer_added(&shared->bytes, size);
        link_wire_init(&from, LINK_WAY_DATA, 2 * WHOLE);
        link_wire_init(&to, LINK_WAY_DATA, 2 * WHOLE);
        struct bytes before = contents(&head, 'b', 100);
        const struct link_part parts[] = {{before, NULL},
                                          {bytes_of(shared->bytes.data + 1, size - 1), shared},
                                          {bytes_str("between"), NULL},
                                          {buffer_bytes(&shared->bytes), shared},
                                          {{0}, NULL}};
        link_wire_put_parts(&from, LINK_RAFT, parts, 5);
        size_t pieces = blocks_of(&from);
        ok(shared->refs + 4 >= pieces, "of %zu pieces %u are where they were", pieces, shared->refs - 1);
        carry(&from, &to, &random);
        is_int(shared->refs, 1, "nobody holds it when all is sent");
        if (!ok(link_wire_next(&to, &frame) == LINK_WIRE_FRAME, "the frame comes"))
            break;
        struct bytes entries = frame.raft.entries;
        bool is_right = entries.size == 100 + size - 1 + 7 + size;
        for (size_t i = 0; is_right && i < entries.size; i++) {
            bool is_between = i >= 100 + size - 1 && i < 100 + size - 1 + 7;
            is_right = entries.data[i] == (i < 100 ? 'b' : is_between ? "between"[i - 100 - size + 1] : 's');
        }
        ok(is_right, "as it was sent: %zu bytes", entries.size);
        struct shared *held = shared_ref(link_wire_shared(&to));
        is_int(held != NULL, pieces > 1, "what has come in pieces can be held");
        is_int(link_wire_next(&to, &frame), LINK_WIRE_MORE, "and nothing else");
        ok(!held || (held->refs == 1 && entries.data[entries.size - 1] == 's'),
           "by whoever does so alone");
        shared_unref(held);
        ok(!link_wire_shared(&to), "of what was not taken nothing");
        link_wire_free(&from);
        link_wire_free(&to);
        shared_unref(shared);
    }
    buffer_free(&head);
}

TEST(what_is_too_large_is_wrong)
{
    struct link_wire from, to;
    struct buffer out = {0};
    struct random random;
    union link_frame frame;
    random_init(&random, 2);
    link_wire_init(&from, LINK_WAY_DATA, WHOLE);
    link_wire_init(&to, LINK_WAY_DATA, 100000);
    link_wire_put(&from, LINK_RAFT, contents(&out, 1, 100000 - RAFT_HEAD));
    link_wire_put(&from, LINK_RAFT, contents(&out, 2, 100001 - RAFT_HEAD));
    carry(&from, &to, &random);
    is_int(link_wire_next(&to, &frame), LINK_WIRE_FRAME, "as large as it may be");
    is_int(link_wire_next(&to, &frame), LINK_WIRE_WRONG, "one byte more");
    link_wire_free(&from);
    link_wire_free(&to);
    buffer_free(&out);
}

static enum link_wire_result read_bytes(enum link_way way, const uint8_t *bytes, size_t size)
{
    struct link_wire wire;
    union link_frame frame;
    link_wire_init(&wire, way, WHOLE);
    link_wire_input(&wire, bytes_of(bytes, size));
    enum link_wire_result result = link_wire_next(&wire, &frame);
    link_wire_free(&wire);
    return result;
}

TEST(what_does_not_belong_there_is_wrong)
{
    const uint8_t ping[] = {LINK_PING, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 1};
    const uint8_t empty[] = {LINK_RAFT, 1, 0, 0, 0, 0, 0, 0};
    const uint8_t reserved[] = {LINK_SEND, 0, 0, 0, 0, 0, 0, 0};
    const uint8_t mixed[] = {LINK_PING, 1, 0, 0, 0, 0, 0, 1, 0, LINK_ECHO, 0, 0, 0, 0, 0, 0, 1, 0};
    is_int(read_bytes(LINK_WAY_CONTROL, ping, sizeof(ping)), LINK_WIRE_FRAME, "PING on control");
    is_int(read_bytes(LINK_WAY_DATA, ping, sizeof(ping)), LINK_WIRE_WRONG, "and on data");
    is_int(read_bytes(LINK_WAY_CONTROL, ping, sizeof(ping) - 1), LINK_WIRE_MORE, "a part of it");
    is_int(read_bytes(LINK_WAY_DATA, empty, sizeof(empty)), LINK_WIRE_WRONG,
           "a piece with nothing in it, and more to come");
    is_int(read_bytes(LINK_WAY_DATA, reserved, sizeof(reserved)), LINK_WIRE_WRONG,
           "what has no contents yet");
    is_int(read_bytes(LINK_WAY_CONTROL, mixed, sizeof(mixed)), LINK_WIRE_WRONG,
           "another frame in the middle of one");
}

/* Of what a full connection sends, each class has its share. RAFT is of one class by its row; the
 * other classes' queues are filled here as their frames will. */
TEST(classes_have_shares)
{
    struct link_wire wire;
    struct buffer out = {0};
    struct iovec parts[64];
    size_t sent[LINK_CLASSES] = {0}, all = 0;
    link_wire_init(&wire, LINK_WAY_DATA, WHOLE);
    for (size_t class = LINK_CLASS_ENTRIES; class < LINK_CLASSES; class ++) {
        for (int i = 0; i < 200; i++)
            link_wire_put(&wire, LINK_RAFT, contents(&out, (uint8_t) class, 60000));
        if (class == LINK_CLASS_ENTRIES)
            continue;
        list_append_all(&wire.queued[class], &wire.queued[LINK_CLASS_ENTRIES]);
        /* The first 200 are entries: they are put back in front. */
        for (int i = 0; i < 200; i++) {
            struct list *first = list_take_first(&wire.queued[class]);
            list_push_back(&wire.queued[LINK_CLASS_ENTRIES], first);
        }
        size_t moved = wire.queued_bytes[LINK_CLASS_ENTRIES] / 2;
        wire.queued_bytes[class] = moved;
        wire.queued_bytes[LINK_CLASS_ENTRIES] -= moved;
    }
    while (all < 6500000) {
        int count = link_wire_output(&wire, parts, 1);
        const uint8_t *bytes = parts[0].iov_base;
        if (count != 1)
            bail("nothing is sent");
        sent[bytes[parts[0].iov_len - 1]] += parts[0].iov_len;
        all += parts[0].iov_len;
        link_wire_sent(&wire, parts[0].iov_len);
    }
    diag("entries %zu, streams %zu, copies %zu of %zu", sent[LINK_CLASS_ENTRIES],
         sent[LINK_CLASS_STREAMS], sent[LINK_CLASS_COPIES], all);
    ok(sent[LINK_CLASS_ENTRIES] * 13 > all * 7 && sent[LINK_CLASS_ENTRIES] * 13 < all * 9,
       "entries have 8 of 13");
    ok(sent[LINK_CLASS_STREAMS] * 13 > all * 3 && sent[LINK_CLASS_STREAMS] * 13 < all * 5,
       "streams 4");
    ok(sent[LINK_CLASS_COPIES] > 0 && sent[LINK_CLASS_COPIES] * 13 < all * 2, "copies 1");
    link_wire_free(&wire);
    buffer_free(&out);
}

TEST(who_is_alone_has_all)
{
    struct link_wire wire;
    struct buffer out = {0};
    struct iovec parts[64];
    link_wire_init(&wire, LINK_WAY_DATA, WHOLE);
    for (int i = 0; i < 10; i++)
        link_wire_put(&wire, LINK_RAFT, contents(&out, 1, 60000));
    size_t before = wire.out_bytes;
    int count = link_wire_output(&wire, parts, 64);
    ok(count >= 2 && count <= 4, "only as much is staged as keeps it busy: %d", count);
    ok(wire.staged_bytes <= LINK_STAGED_BYTES + LINK_PIECE_MAX, "bytes of it: %zu",
       wire.staged_bytes);
    is_int(link_wire_queued(&wire), before, "all of it waits");
    link_wire_free(&wire);
    buffer_free(&out);
}

int main(void)
{
    RUN(large_frames_come_in_pieces);
    RUN(what_is_shared_is_not_copied);
    RUN(what_is_too_large_is_wrong);
    RUN(what_does_not_belong_there_is_wrong);
    RUN(classes_have_shares);
    RUN(who_is_alone_has_all);
    return done();
}
