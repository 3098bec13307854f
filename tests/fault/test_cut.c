/* A journal cut at every byte. What was whole in front of the cut must be there, exactly; and where a
 * batch is gone that a later one knows to have been durable, the store must refuse to start, say where,
 * and leave everything as it is. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "store/internal.h"
#include "tests/fault/rig.h"
#include "tests/lib/tap.h"

enum { BATCHES_MAX = 200, SEGMENTS_MAX = 100 };

static struct rig_batch batches[BATCHES_MAX];
static size_t batches_count;
static uint64_t cuts, refusals, tails;
static struct identity identity;

/* The last batch that is whole in front of the cut, and what the headers that are left and the identity know
 * to be durable. */
static uint64_t last_whole(uint32_t segment, uint64_t at, uint64_t *mark)
{
    uint64_t last = 0;
    bool is_broken = false;
    *mark = identity.batch;
    for (size_t i = 0; i < batches_count; i++) {
        const struct rig_batch *batch = &batches[i];
        bool is_cut = batch->segment == segment;
        bool is_whole = !is_cut || batch->offset + batch->size <= at;
        is_broken = is_broken || !is_whole;
        if (!is_broken)
            last = batch->number;
        if ((!is_cut || batch->offset + 64 <= at) && batch->synced > *mark)
            *mark = batch->synced;
    }
    return last;
}

static bool refuses(struct rig *rig)
{
    struct disk *disk = disk_memory_copy(rig->disk);
    struct kv *kv = kv_memory_copy(rig->memory);
    refusals++;
    bool held = !rig_open(rig) && strstr(rig->error, "journal-") && strstr(rig->error, "offset") &&
                disk_memory_equal(rig->disk, disk) && kv_memory_equal(rig->memory, kv);
    if (!held)
        snprintf(rig->fault, sizeof(rig->fault), "it should refuse: %.200s", rig->error);
    disk_memory_free(disk);
    kv_memory_free(kv);
    return held;
}

/* Of what is not there any more: how much of it is left, or, if that is nothing, where the journal ends now. */
static bool is_told(const struct rig *rig, uint32_t segment, uint64_t at, uint64_t last)
{
    const struct store_stats *stats = store_stats(rig->store);
    bool is_end = stats->end_segment == segment && stats->end_offset == at;
    return stats->end_batch == last && stats->known_batch <= last &&
           (last == batches[batches_count - 1].number || is_end || stats->cut_bytes > 0);
}

static bool recovers(struct rig *rig, uint32_t segment, uint64_t at, uint64_t last)
{
    tails++;
    if (rig_open(rig) && !is_told(rig, segment, at, last)) {
        snprintf(rig->fault, sizeof(rig->fault), "nothing tells that something may be gone");
        return false;
    }
    if (rig->store)
        return rig_check(rig, last, last, false);
    snprintf(rig->fault, sizeof(rig->fault), "it would not start: %.300s", rig->error);
    return false;
}

static uint64_t cut_at(const struct rig *whole, uint32_t segment, const char *name, uint64_t at)
{
    struct rig rig;
    uint64_t mark, last = last_whole(segment, at, &mark);
    rig_copy(&rig, whole);
    disk_memory_cut(rig.disk, name, at);
    cuts++;
    bool has_header = at >= SEGMENT_HEADER || segment != identity.headed;
    bool held = mark > last || !has_header ? refuses(&rig) : recovers(&rig, segment, at, last);
    if (!held)
        diag("%s cut at %" PRIu64 ", batch %" PRIu64 ", mark %" PRIu64 ": %s", name, at, last, mark,
             rig.fault);
    rig_free(&rig);
    return !held;
}

/* Records of a type in the batches that were never synced. */
static uint64_t count_type(struct rig *rig, uint8_t type)
{
    uint64_t found = 0;
    for (size_t i = 0; i < batches_count; i++) {
        char name[32];
        uint64_t size;
        if (batches[i].number <= batches[batches_count - 1].synced)
            continue;
        snprintf(name, sizeof(name), "journal-%010u", batches[i].segment);
        const uint8_t *at = disk_memory_contents(rig->disk, name, &size) + batches[i].offset;
        const uint8_t *end = at + batches[i].size;
        for (at += 64; at + 12 <= end && at[8]; at += 12 + at[4] + 256 * at[5])
            found += at[8] == type;
    }
    return found;
}

TEST(cuts)
{
    struct rig whole;
    uint32_t segments[SEGMENTS_MAX];
    uint64_t bad = 0;
    rig_init(&whole);
    rig_work_unsynced(&whole, false);
    batches_count = rig_map(&whole, batches, BATCHES_MAX);
    size_t count = rig_segments(&whole, segments, SEGMENTS_MAX);
    const struct rig_batch *last = &batches[batches_count - 1];
    identity_read(whole.disk, &identity);
    diag("%zu segments, %zu batches, the last knows %" PRIu64 " to be durable", count, batches_count,
         last->synced);
    ok(count > 3 && last->number > last->synced + 8, "there is a journal with a long tail");
    for (int type = 1; type <= 9; type++)
        if (type != 3 && type != 5)
            ok(count_type(&whole, (uint8_t)type) > 0, "there is a record of type %d in the tail", type);
    for (size_t i = 0; i < count; i++) {
        char name[32];
        uint64_t size;
        snprintf(name, sizeof(name), "journal-%010u", segments[i]);
        disk_memory_contents(whole.disk, name, &size);
        for (uint64_t at = 0; at < size; at++)
            bad += cut_at(&whole, segments[i], name, at);
    }
    ok(bad == 0, "%" PRIu64 " cuts: %" PRIu64 " refused, %" PRIu64 " recovered, %" PRIu64 " wrong", cuts,
       refusals, tails, bad);
    ok(refusals > 100 && tails > 100, "both were met");
    rig_free(&whole);
}

/* The checkpoint, too, knows what was durable. */
TEST(checkpoint)
{
    struct rig whole, rig;
    uint32_t segments[SEGMENTS_MAX];
    rig_init(&whole);
    rig_work_unsynced(&whole, true);
    size_t count = rig_segments(&whole, segments, SEGMENTS_MAX);
    rig_copy(&rig, &whole);
    for (size_t i = 0; i < count; i++) {
        char name[32];
        struct disk_file *file;
        snprintf(name, sizeof(name), "journal-%010u", segments[i]);
        rig.disk->ops->open(rig.disk, name, DISK_READ, &file);
        rig.disk->ops->close(file);
        rig.disk->ops->unlink(rig.disk, name);
    }
    ok(!rig_open(&rig) && strstr(rig.error, "journal-"), "without its files it refuses: %s",
       rig.error);
    rig_free(&rig);
    rig_copy(&rig, &whole);
    kv_memory_free(rig.memory);
    rig.memory = kv_memory_new();
    ok(!rig_open(&rig) && strstr(rig.error, "missing or empty"), "without the index: %s", rig.error);
    rig_free(&rig);
    rig_free(&whole);
}

int main(void)
{
    RUN(cuts);
    RUN(checkpoint);
    return done();
}
