/* Who a node is: the file `node` is there as a whole or not at all, whenever the machine goes down,
 * and a start is durable when it is told of. */
#include "cluster/identity.h"

#include <errno.h>
#include <string.h>

#include "tests/lib/disk_memory.h"
#include "tests/lib/tap.h"

static const uint8_t id[NODE_ID_BYTES] = "an id of 16 byte", other[NODE_ID_BYTES] = "another one";

TEST(starts_are_counted)
{
    struct disk *disk = disk_memory_new();
    struct node_identity identity, read;
    is_int(node_identity_read(disk, &identity), 0, "a folder without one");
    ok(!node_id_is(identity.node) && identity.incarnation == 0, "has none");
    for (uint64_t i = 1; i <= 70; i++)
        if (node_identity_start(disk, i == 1 ? id : other, 1000 + i, &identity))
            break;
    ok(node_id_equal(identity.node, id), "the id is that of the first start");
    is_int(identity.incarnation, 70, "of 70");
    is_int(identity.nonce_count, NODE_NONCES, "so many of which are remembered");
    is_int(identity.nonces[0], 1000 + 70 - NODE_NONCES + 1, "the oldest");
    is_int(identity.nonces[NODE_NONCES - 1], 1070, "and the newest");
    disk_memory_crash(disk, CRASH_DROP, NULL);
    is_int(node_identity_read(disk, &read), 0, "after a loss of power");
    ok(memcmp(&read, &identity, sizeof(read)) == 0, "it is the same");
    disk_memory_free(disk);
}

TEST(what_was_seen_is_kept)
{
    struct disk *disk = disk_memory_new();
    struct node_identity identity, read;
    struct node_seen seen = {.incarnation = 3, .nonce = 4};
    node_identity_start(disk, id, 1, &identity);
    ok(!node_identity_seen(&identity, other), "nothing is known");
    memcpy(seen.node, other, NODE_ID_BYTES);
    ok(node_identity_saw(&identity, &seen), "it is seen");
    seen.nonce = 5;
    ok(node_identity_saw(&identity, &seen), "and again");
    is_int(identity.seen_count, 1, "once");
    identity.cluster_generation = 8;
    identity.seat_generation = 9;
    is_int(node_identity_write(disk, &identity), 0, "written");
    is_int(node_identity_read(disk, &read), 0, "and read");
    const struct node_seen *kept = node_identity_seen(&read, other);
    ok(kept && kept->incarnation == 3 && kept->nonce == 5, "as it was");
    ok(read.cluster_generation == 8 && read.seat_generation == 9, "with generations");
    for (uint8_t i = 1; i < NODE_SEEN; i++) {
        seen.node[15] = i;
        if (!node_identity_saw(&identity, &seen))
            break;
    }
    is_int(identity.seen_count, NODE_SEEN, "as many as there may be");
    seen.node[14] = 1;
    ok(!node_identity_saw(&identity, &seen), "no more");
    node_identity_forget(&identity, other);
    ok(!node_identity_seen(&identity, other) && node_identity_saw(&identity, &seen),
       "but when one is forgotten");
    disk_memory_free(disk);
}

/* Whatever call fails, and however the machine goes down then: the file has what it had, or what it
 * was to have. */
TEST(it_is_whole_whenever_the_machine_goes_down)
{
    static const enum crash how[] = {CRASH_KEEP, CRASH_DROP, CRASH_RANDOM};
    uint32_t wrong = 0, runs = 0;
    struct random random;
    random_init(&random, 1);
    for (uint64_t before = 0; before < 4; before++)
        for (uint64_t at = 1; at < 12; at++)
            for (size_t k = 0; k < 30; k++, runs++) {
                struct disk *disk = disk_memory_new();
                struct node_identity identity, read;
                for (uint64_t i = 0; i < before; i++)
                    wrong += node_identity_start(disk, id, i + 1, &identity) != 0;
                disk_memory_fail(disk, at, EIO, true);
                bool is_told = node_identity_start(disk, id, 77, &identity) == 0;
                disk_memory_fail(disk, 0, 0, false);
                disk_memory_crash(disk, how[k % 3], &random);
                int error = node_identity_read(disk, &read);
                bool is_before = read.incarnation == before,
                     is_after = read.incarnation == before + 1;
                if (error || (!is_after && (is_told || !is_before)) ||
                    (read.incarnation && !node_id_equal(read.node, id)))
                    wrong++;
                disk_memory_free(disk);
            }
    is_int(wrong, 0, "of %u crashes", runs);
}

TEST(damage_is_told)
{
    struct disk *disk = disk_memory_new();
    struct node_identity identity;
    uint64_t size;
    node_identity_start(disk, id, 1, &identity);
    node_identity_start(disk, id, 2, &identity);
    uint8_t *contents = disk_memory_contents(disk, NODE_FILE, &size);
    is_int(size, 8192, "two slots");
    uint64_t newest = identity.written % 2 * 4096;
    contents[newest + 20] ^= 1;
    is_int(node_identity_read(disk, &identity), 0, "one is damaged");
    is_int(identity.incarnation, 1, "the other counts");
    contents[(newest + 4096) % 8192 + 4091] ^= 1;
    is_int(node_identity_read(disk, &identity), EBADMSG, "both are");
    is_int(node_identity_start(disk, other, 3, &identity), EBADMSG, "and it is not made anew");
    disk_memory_cut(disk, NODE_FILE, 100);
    is_int(node_identity_read(disk, &identity), EBADMSG, "nor when it is short");
    disk_memory_free(disk);
}

int main(void)
{
    RUN(starts_are_counted);
    RUN(what_was_seen_is_kept);
    RUN(it_is_whole_whenever_the_machine_goes_down);
    RUN(damage_is_told);
    return done();
}
