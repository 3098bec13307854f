/* Bits that flip: each byte of a journal is changed in turn, in three ways. The store refuses to start
 * and changes nothing; or what was changed had never been synced and is cut off; or nobody looks at it
 * before the message is wanted, and then it is set aside. What is delivered is never damaged.
 *
 * The same for each byte of each value of the index, and for each value as a whole that is gone: the
 * store refuses; or what was lost is made again from the journal, and the store goes on.
 *
 * With SHARE=N each Nth byte. */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "store/internal.h"
#include "tests/fault/rig.h"
#include "tests/lib/tap.h"

enum { BATCHES_MAX = 200, SEGMENTS_MAX = 100 };

static const uint8_t patterns[] = {0x01, 0x80, 0xff};

static struct rig_batch batches[BATCHES_MAX];
static size_t batches_count;
static uint64_t mark; /* up to this batch the last one, or the identity, knows all to be durable */

/* The batch that a byte belongs to; 0: it is a segment's header, or behind the last one. */
static uint64_t batch_of(uint32_t segment, uint64_t at)
{
    for (size_t i = 0; i < batches_count; i++)
        if (batches[i].segment == segment && at >= batches[i].offset &&
            at < batches[i].offset + batches[i].size)
            return batches[i].number;
    return 0;
}

static struct {
    uint64_t flips, refused, cut, aside, harmless;
} met;

static uint8_t *byte_of(struct rig *rig, uint32_t segment, uint64_t at)
{
    char name[32];
    uint64_t size;
    snprintf(name, sizeof(name), "journal-%010u", segment);
    uint8_t *bytes = disk_memory_contents(rig->disk, name, &size);
    return bytes && at < size ? bytes + at : NULL;
}

/* Is everything as it was before the flip? */
static bool is_unchanged(struct rig *rig, const struct rig *whole, uint32_t segment, uint64_t at,
                         uint8_t pattern)
{
    uint8_t *byte = byte_of(rig, segment, at);
    if (byte)
        *byte ^= pattern;
    return byte && disk_memory_equal(rig->disk, whole->disk) &&
           kv_memory_equal(rig->memory, whole->memory);
}

/* Everything up to the mark is durable: it is there, or set aside, or refused. */
static uint64_t flip(const struct rig *whole, uint32_t segment, uint64_t at, uint8_t pattern)
{
    uint64_t last = batches[batches_count - 1].number;
    struct rig rig;
    bool held;
    rig_copy(&rig, whole);
    *byte_of(&rig, segment, at) ^= pattern;
    met.flips++;
    if (!rig_open(&rig)) {
        held = rig.error[0] && is_unchanged(&rig, whole, segment, at, pattern) &&
               batch_of(segment, at) <= mark;
        if (!held)
            snprintf(rig.fault, sizeof(rig.fault), "refused: %.300s", rig.error);
        met.refused++;
    } else {
        held = rig_check(&rig, mark, last, true);
        uint64_t damaged = store_stats(rig.store)->damaged;
        met.aside += damaged > 0;
        met.cut += !damaged && batch_of(segment, at) > mark;
        met.harmless += !damaged && batch_of(segment, at) <= mark;
    }
    if (!held)
        diag("segment %u byte %" PRIu64 " ^ %02x: %s", segment, at, pattern, rig.fault);
    rig_free(&rig);
    return !held;
}

static void flip_all(bool checkpoint)
{
    struct rig whole;
    uint32_t segments[SEGMENTS_MAX];
    uint64_t bad = 0;
    memset(&met, 0, sizeof(met));
    rig_init(&whole);
    rig_work_unsynced(&whole, checkpoint);
    batches_count = rig_map(&whole, batches, BATCHES_MAX);
    size_t count = rig_segments(&whole, segments, SEGMENTS_MAX);
    struct identity identity;
    identity_read(whole.disk, &identity);
    mark = batches[batches_count - 1].synced;
    mark = mark > identity.batch ? mark : identity.batch;
    for (size_t i = 0; i < count; i++) {
        char name[32];
        uint64_t size;
        snprintf(name, sizeof(name), "journal-%010u", segments[i]);
        disk_memory_contents(whole.disk, name, &size);
        for (uint64_t at = i % share(); at < size; at += share())
            for (size_t p = 0; p < sizeof(patterns); p++)
                if (!checkpoint || p == at % sizeof(patterns))
                    bad += flip(&whole, segments[i], at, patterns[p]);
    }
    ok(bad == 0, "%" PRIu64 " flips: %" PRIu64 " refused, %" PRIu64 " cut, %" PRIu64
       " set aside, %" PRIu64 " harmless, %" PRIu64 " wrong",
       met.flips, met.refused, met.cut, met.aside, met.harmless, bad);
    ok(met.refused && met.cut && (met.aside || !checkpoint), "all of these were met");
    rig_free(&whole);
}

TEST(journal)
{
    flip_all(false);
}

TEST(journal_with_checkpoint)
{
    flip_all(true);
}

/* ---- the index ---- */

enum { PAIRS_MAX = 500 };

struct pairs {
    struct buffer keys[PAIRS_MAX], values[PAIRS_MAX];
    size_t count;
};

static bool collect(void *context, struct bytes key, struct bytes value)
{
    struct pairs *pairs = context;
    buffer_add(&pairs->keys[pairs->count], key.data, key.size);
    buffer_add(&pairs->values[pairs->count++], value.data, value.size);
    return pairs->count < PAIRS_MAX;
}

static void put(struct kv *kv, struct bytes key, struct bytes value)
{
    struct buffer batch = {0};
    kv_batch_put(&batch, key, value);
    kv->ops->write(kv, buffer_bytes(&batch), true);
    buffer_free(&batch);
}

static void take_away(struct kv *kv, struct bytes key)
{
    struct buffer batch = {0};
    kv_batch_delete(&batch, key);
    kv->ops->write(kv, buffer_bytes(&batch), true);
    buffer_free(&batch);
}

enum end {
    END_REFUSED,
    END_MENDED,
    END_ASIDE,
    END_STOPPED,
    END_HARMLESS,
    END_WRONG,
    END_ASSERT,
    END_CRASH,
    ENDS
};

/* Opens with one value of the index changed, or without it, reads all there is and closes. */
static enum end use_flipped(const struct rig *whole, struct bytes key, struct bytes value)
{
    struct rig rig;
    enum end end = END_WRONG;
    rig_copy(&rig, whole);
    if (value.data)
        put(rig.memory, key, value);
    else
        take_away(rig.memory, key);
    if (!rig_open(&rig))
        end = END_REFUSED;
    else if (rig_check(&rig, rig.durable, rig.durable + BATCHES_MAX, true))
        end = store_stats(rig.store)->damaged         ? END_ASIDE
              : store_stats(rig.store)->chunks_damaged || store_stats(rig.store)->mended ? END_MENDED
                                                      : END_HARMLESS;
    else if (store_failure(rig.store))
        end = END_STOPPED;
    rig_close(&rig);
    rig_free(&rig);
    return end;
}

/* In a process of its own, as an assertion of the store may end it. */
static enum end try_flipped(const struct rig *whole, struct bytes key, struct bytes value)
{
    int status;
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        if (!freopen("/dev/null", "w", stderr))
            _exit(END_CRASH);
        _exit((int)use_flipped(whole, key, value));
    }
    if (child < 0 || waitpid(child, &status, 0) != child)
        bail("no child process");
    if (WIFSIGNALED(status))
        return WTERMSIG(status) == SIGABRT ? END_ASSERT : END_CRASH;
    return WEXITSTATUS(status) < ENDS ? (enum end)WEXITSTATUS(status) : END_CRASH;
}

TEST(index)
{
    static struct pairs pairs;
    struct rig whole;
    uint64_t flips = 0, ends[ENDS] = {0};
    rig_init(&whole);
    rig_work_unsynced(&whole, true);
    whole.memory->ops->scan(whole.memory, bytes_of(NULL, 0), bytes_of(NULL, 0), collect, &pairs);
    for (size_t i = 0; i < pairs.count; i++) {
        struct bytes key = buffer_bytes(&pairs.keys[i]), value = buffer_bytes(&pairs.values[i]);
        for (size_t at = i % share(); at <= value.size; at += share(), flips++) {
            uint8_t pattern = at < value.size ? patterns[at % sizeof(patterns)] : 0;
            pairs.values[i].data[at % value.size] ^= pattern;
            enum end end = try_flipped(&whole, key, pattern ? value : bytes_of(NULL, 0));
            pairs.values[i].data[at % value.size] ^= pattern;
            ends[end]++;
            /* An index of an earlier version does not say whose it is. */
            if (end == END_HARMLESS && key.data[0] == 'I' && !pattern)
                ends[end]--, ends[end = END_MENDED]++;
            if (end >= END_STOPPED)
                diag("%c[%zu] ^ %02x: end %d", key.data[0], at, pattern, (int)end);
        }
        buffer_free(&pairs.keys[i]);
        buffer_free(&pairs.values[i]);
    }
    ok(ends[END_REFUSED] && ends[END_MENDED] && ends[END_REFUSED] + ends[END_MENDED] == flips,
       "%" PRIu64 " flips in %zu values: %" PRIu64 " refused, %" PRIu64 " mended, %" PRIu64
       " set aside, %" PRIu64 " stopped, %" PRIu64 " by an assertion, %" PRIu64
       " harmless, %" PRIu64 " wrong, %" PRIu64 " crashes",
       flips, pairs.count, ends[END_REFUSED], ends[END_MENDED], ends[END_ASIDE], ends[END_STOPPED],
       ends[END_ASSERT], ends[END_HARMLESS], ends[END_WRONG], ends[END_CRASH]);
    rig_free(&whole);
}

int main(void)
{
    RUN(index);
    RUN(journal);
    RUN(journal_with_checkpoint);
    return done();
}
