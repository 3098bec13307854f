/* What a start and a check say of a store that is damaged, or of another version: neither writes
 * anything, both say what is wrong, and the check goes on to the next fault. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/crc32c.h"
#include "store/internal.h"
#include "tests/fault/rig.h"
#include "tests/lib/tap.h"

/* ---- looking ---- */

struct search {
    const char *text;
    int found;
};

static void find(void *context, const char *line)
{
    struct search *search = context;
    search->found += strstr(line, search->text) != NULL;
}

/* The exit status of a check, and whether it printed a line with this text. */
static void check_says(struct rig *rig, int status, const char *text)
{
    struct search search = {text, 0};
    struct disk *before = disk_memory_copy(rig->disk);
    struct kv *index = kv_memory_copy(rig->memory);
    is_int(store_check(&rig->options, find, &search, NULL), status, "a check ends with this status");
    ok(search.found > 0, "and says \"%s\"", text);
    ok(disk_memory_equal(rig->disk, before) && kv_memory_equal(rig->memory, index),
       "and changes nothing");
    disk_memory_free(before);
    kv_memory_free(index);
}

static void start_says(struct rig *rig, const char *text)
{
    ok(!rig_open(rig) && strstr(rig->error, text), "a start says \"%s\": %s", text, rig->error);
    rig_abandon(rig);
}

/* A store whose messages are in a part of the journal that is not replayed. */
static void begin(struct rig *rig)
{
    rig_init(rig);
    rig_open(rig);
    int a = rig_new_queue(rig, true);
    rig_put_name(rig, 1);
    for (int i = 0; i < 40; i++) {
        rig_publish(rig, 1u << a, true, 100);
        rig_wait(rig);
    }
    rig_close(rig);
    check_says(rig, 0, "sound");
}

/* ---- the index ---- */

static void put_raw(struct rig *rig, const char *key, struct bytes value)
{
    struct buffer batch = {0};
    kv_batch_put(&batch, bytes_str(key), value);
    rig->memory->ops->write(rig->memory, buffer_bytes(&batch), true);
    buffer_free(&batch);
}

/* Another version number in the header of the checkpoint. */
static void put_version(struct rig *rig, uint32_t version, bool is_sealed)
{
    uint8_t header[48] = {(uint8_t)version};
    struct buffer batch = {0};
    if (is_sealed) {
        kv_batch_put_sealed(&batch, bytes_str("C"), bytes_of(header, sizeof(header)));
        rig->memory->ops->write(rig->memory, buffer_bytes(&batch), true);
    } else {
        put_raw(rig, "C", bytes_of(header, sizeof(header)));
    }
    buffer_free(&batch);
}

TEST(other_versions)
{
    struct rig rig;
    begin(&rig);
    put_version(&rig, 1, false);
    start_says(&rig, "the store is of an older version (1)");
    check_says(&rig, 1, "of an older version (1)");
    put_version(&rig, CHECKPOINT_VERSION_GROUPS + 1, true);
    start_says(&rig, "the store is of a newer version (5)");
    put_version(&rig, CHECKPOINT_VERSION, true);
    start_says(&rig, "it makes no sense");
    put_version(&rig, CHECKPOINT_VERSION, false);
    start_says(&rig, "it makes no sense");
    rig_free(&rig);
}

/* The sum and the checksums are right, but what they belong to is not. */
static void put_sealed(struct rig *rig, struct bytes key, struct bytes value)
{
    struct checkpoint_job job = {0};
    struct store store = {.options = rig->options};
    struct buffer header = {0};
    if (kv_get_sealed(rig->memory, bytes_str("C"), &header) != 1)
        bail("no checkpoint");
    struct cursor cursor = cursor_of(bytes_of(header.data + header.size - 8, 8));
    job.store = &store;
    job.sum = cursor_u64(&cursor);
    buffer_add(&job.header, header.data, header.size - 8);
    kv_batch_put_sealed(&job.batch, key, value);
    if (image_seal(&job) < 0)
        bail("the image is not sealed");
    rig->memory->ops->write(rig->memory, buffer_bytes(&job.batch), true);
    buffer_free(&header);
    buffer_free(&job.header);
    buffer_free(&job.batch);
}

TEST(values_that_make_no_sense)
{
    static const struct {
        const char *key;
        size_t key_size, size; /* of the value, all ones */
        const char *text;
    } values[] = {
        {"S\0\0\0\1", 5, 3, "a segment's counters"},
        {"S\0\0\0\0", 5, 32, "a segment's counters"},
        {"Q\0\0\0\0\0\0\0\1", 9, 15, "a queue's counters"},
        {"D\0\0\0\0\0\0\0\1\0\0\0\0\0\0\1\0", 17, 16, "an entry of a queue's directory"},
        {"D\0\0\0\0\0\0\0\1\0\0\0\0\0\0\1\0", 17, 2, "an entry of a queue's directory"},
    };
    uint8_t ones[32];
    memset(ones, 0xff, sizeof(ones));
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        struct rig rig;
        begin(&rig);
        put_sealed(&rig, bytes_of(values[i].key, values[i].key_size),
                   bytes_of(ones, values[i].size));
        start_says(&rig, values[i].text);
        rig_free(&rig);
    }
}

/* A chunk of four messages of which three are there, and bits that say two. */
TEST(bits_that_lie)
{
    uint8_t value[24] = {1, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 3, 0, 0, 0, 5};
    struct rig rig;
    begin(&rig);
    put_sealed(&rig, bytes_of("D\0\0\0\0\0\0\0\1\0\0\0\0\0\0\1\0", 17),
               bytes_of(value, sizeof(value)));
    start_says(&rig, "an entry of a queue's directory");
    rig_free(&rig);
}

static bool first_key(void *context, struct bytes key, struct bytes value)
{
    (void)value;
    buffer_add(context, key.data, key.size);
    return false;
}

TEST(blob_that_is_gone)
{
    struct rig rig;
    struct buffer key = {0}, batch = {0};
    begin(&rig);
    rig.memory->ops->scan(rig.memory, bytes_str("K"), bytes_of(NULL, 0), first_key, &key);
    kv_batch_delete(&batch, buffer_bytes(&key));
    rig.memory->ops->write(rig.memory, buffer_bytes(&batch), true);
    check_says(&rig, 1, "damaged: queue 1: entries from");
    check_says(&rig, 1, "1 fault");
    buffer_free(&key);
    buffer_free(&batch);
    rig_free(&rig);
}

/* Every call fails once. */
TEST(index_that_cannot_be_read)
{
    struct rig rig;
    int refused = 0;
    begin(&rig);
    kv_memory_fail(rig.memory, 1, false);
    check_says(&rig, 2, "the index cannot be opened");
    for (uint64_t at = 1; at < 30; at++) {
        kv_memory_fail(rig.memory, at, false);
        if (!rig_open(&rig) && ok(rig.error[0] != '\0', "call %d: %s", (int)at, rig.error))
            refused++;
        kv_memory_fail(rig.memory, 0, false);
        rig_abandon(&rig);
    }
    ok(refused >= 6, "%d calls are needed", refused);
    ok(rig_open(&rig) && rig_check_promise(&rig), "afterwards it starts as ever");
    rig_free(&rig);
}

/* ---- the anchor ---- */

static const struct disk_ops *sound;

static int no_anchor(struct disk *disk, const char *name, enum disk_mode mode,
                     struct disk_file **file)
{
    if (strcmp(name, ANCHOR_NAME) == 0)
        return EACCES;
    return sound->open(disk, name, mode, file);
}

TEST(anchor)
{
    struct rig rig;
    uint64_t size, number;
    begin(&rig);
    is_int(anchor_read(rig.disk, &number), 0, "there is an anchor");
    ok(number >= 1, "with the number of a checkpoint");
    is_int(anchor_write(rig.disk, number + 1), 0, "a later one");
    start_says(&rig, "it is not the last one that was written");
    check_says(&rig, 1, "it is not the last one that was written");
    uint8_t *bytes = disk_memory_contents(rig.disk, ANCHOR_NAME, &size);
    bytes[(number + 1) % 2 * 4096 + 8] ^= 1;
    ok(rig_open(&rig) && rig_check_promise(&rig), "damaged, it does not count: %s", rig.error);
    rig_close(&rig);
    struct disk_ops ops = *(sound = rig.disk->ops);
    ops.open = no_anchor;
    rig.disk->ops = &ops;
    start_says(&rig, "the file anchor cannot be read: Permission denied");
    rig.disk->ops = sound;
    disk_memory_cut(rig.disk, ANCHOR_NAME, 0);
    check_says(&rig, 0, "the file anchor is missing or behind; a start writes it again");
    ok(rig_open(&rig) && rig_check_promise(&rig), "empty, it does not count: %s", rig.error);
    rig_free(&rig);
}

TEST(anchor_of_a_newer_version)
{
    struct rig rig;
    struct disk_file *file;
    struct buffer slot = {0};
    begin(&rig);
    buffer_add(&slot, "LVRA\2\0\0\0\1\0\0\0\0\0\0\0", 16);
    buffer_add_u32(&slot, crc32c(0, slot.data, slot.size));
    if (rig.disk->ops->open(rig.disk, ANCHOR_NAME, DISK_WRITE, &file) != 0)
        bail("no anchor");
    struct iovec part = {slot.data, slot.size};
    rig.disk->ops->write(file, &part, 1, 0);
    rig.disk->ops->close(file);
    buffer_free(&slot);
    start_says(&rig, "the file anchor cannot be read: it is of a newer version");
    rig_free(&rig);
}

/* ---- the journal ---- */

TEST(segments)
{
    struct rig rig;
    uint64_t size;
    begin(&rig);
    struct rig_batch batches[100];
    size_t count = rig_map(&rig, batches, 100);
    char name[32];
    segment_name(name, batches[count / 2].segment);
    uint8_t *bytes = disk_memory_contents(rig.disk, name, &size);
    bytes[batches[count / 2].offset + batches[count / 2].size - 70] ^= 4;
    check_says(&rig, 1, "damaged: segment");
    bytes[batches[count / 2].offset + batches[count / 2].size - 70] ^= 4;
    check_says(&rig, 0, "sound");
    disk_memory_cut(rig.disk, name, batches[count / 2].offset + 64);
    check_says(&rig, 1, "a batch cannot be read");
    disk_memory_cut(rig.disk, name, batches[count / 2].offset);
    check_says(&rig, 1, "ends at offset");
    rig_free(&rig);
}

/* ---- what a newer version has written: nothing of it is cut, and nothing is damage ---- */

static void refused_as_newer(struct rig *rig, const char *text)
{
    struct disk *before = disk_memory_copy(rig->disk);
    struct kv *index = kv_memory_copy(rig->memory);
    start_says(rig, text);
    ok(disk_memory_equal(rig->disk, before) && kv_memory_equal(rig->memory, index),
       "and changes nothing");
    check_says(rig, 1, text);
    disk_memory_free(before);
    kv_memory_free(index);
}

/* It is not damaged, and would be lost. */
static void not_salvaged(struct rig *rig, const char *text)
{
    struct kv *old = rig->memory, *fresh = kv_memory_new();
    ok(!rig_salvage(rig, fresh) && strstr(rig->error, text), "it is not salvaged: %s", rig->error);
    kv_memory_free(old);
}

/* Opens it, and does something that stays in the journal. */
static void go_on(struct rig *rig)
{
    begin(rig);
    if (!rig_open(rig))
        bail("it does not open: %s", rig->error);
    rig_put_name(rig, 2);
    rig_wait(rig);
}

TEST(record_of_a_newer_version)
{
    struct rig rig;
    go_on(&rig);
    batch_add(&rig.store->journal, (enum record_type)(RECORD_LAST + 3), bytes_str("what?"));
    rig_put_name(&rig, 3);
    rig_wait(&rig);
    rig_abandon(&rig);
    refused_as_newer(&rig, "is of a newer version: the record at offset");
    refused_as_newer(&rig, "nothing was changed; start the version that wrote it");
    not_salvaged(&rig, "the journal has records of a newer version");
    rig_free(&rig);
}

/* The last one, which looks like a tail that may be cut. */
TEST(batch_of_a_newer_version)
{
    struct rig rig;
    struct rig_batch batches[100];
    uint64_t size;
    char name[32];
    go_on(&rig);
    rig_abandon(&rig);
    const struct rig_batch *last = &batches[rig_map(&rig, batches, 100) - 1];
    segment_name(name, last->segment);
    uint8_t *header = (uint8_t *)disk_memory_contents(rig.disk, name, &size) + last->offset;
    struct buffer sum = {0};
    header[4] = JOURNAL_VERSION + 1;
    buffer_add_u32(&sum, crc32c(0, header, 60));
    memcpy(header + 60, sum.data, 4);
    buffer_free(&sum);
    refused_as_newer(&rig, "is of a newer version: the batch at offset");
    rig_free(&rig);
}

static bool is_two(struct bytes key, struct bytes value)
{
    return key.size && value.size && value.data[0] == 2;
}

/* Who knows the names says so, whether the journal has one or the index. */
TEST(name_of_a_newer_version)
{
    static const char text[] = "the store has a name that was written by a newer version";
    struct rig rig;
    go_on(&rig);
    rig_abandon(&rig);
    rig.options.is_newer = is_two;
    refused_as_newer(&rig, text);
    rig.options.is_newer = NULL;
    ok(rig_open(&rig), "it opens when nobody says so: %s", rig.error);
    rig_close(&rig);
    rig.options.is_newer = is_two;
    refused_as_newer(&rig, text);
    rig.options.is_newer = NULL;
    ok(rig_open(&rig), "it is as it was: %s", rig.error);
    rig_put_name(&rig, 1);
    rig_wait(&rig);
    rig_abandon(&rig);
    rig.options.is_newer = is_two;
    ok(rig_open(&rig) && rig_check_promise(&rig), "one that was replaced counts no more: %s",
       rig.error);
    rig_free(&rig);
}

/* The image says more, or less, of a segment than what the entries of the queues hold in it. */
TEST(counts_that_lie)
{
    struct rig rig;
    struct buffer value = {0}, changed = {0};
    begin(&rig);
    static const char key[] = "S\0\0\0\1";
    if (kv_get_sealed(rig.memory, bytes_of(key, 5), &value) != 1)
        bail("no counters of segment 1");
    struct cursor cursor = cursor_of(buffer_bytes(&value));
    uint64_t entries = cursor_u64(&cursor), bytes = cursor_u64(&cursor);
    ok(entries > 1, "the segment holds messages");
    buffer_add_u64(&changed, entries - 1);
    buffer_add_u64(&changed, bytes);
    buffer_add(&changed, value.data + 16, value.size - 16);
    put_sealed(&rig, bytes_of(key, 5), buffer_bytes(&changed));
    check_says(&rig, 1, "wrong: segment 1 counts");
    buffer_free(&value);
    buffer_free(&changed);
    rig_free(&rig);
}

int main(void)
{
    RUN(other_versions);
    RUN(values_that_make_no_sense);
    RUN(bits_that_lie);
    RUN(blob_that_is_gone);
    RUN(index_that_cannot_be_read);
    RUN(anchor);
    RUN(anchor_of_a_newer_version);
    RUN(segments);
    RUN(record_of_a_newer_version);
    RUN(batch_of_a_newer_version);
    RUN(name_of_a_newer_version);
    RUN(counts_that_lie);
    return done();
}
