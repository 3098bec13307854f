/* A store knows itself, and which files it must have: one that is gone, or of another store, is missed or
 * refused by name; a part that says the same as another is made again from that. */
#include <stdio.h>
#include <string.h>

#include "store/internal.h"
#include "tests/fault/rig.h"
#include "tests/lib/tap.h"

/* A store whose last segments are not in a checkpoint. */
static void begin(struct rig *rig, bool is_closed)
{
    rig_init(rig);
    rig_open(rig);
    int a = rig_new_queue(rig, true);
    for (int i = 0; i < 40; i++) {
        rig_publish(rig, 1u << a, true, 100);
        rig_wait(rig);
    }
    if (is_closed)
        rig_close(rig);
    else
        rig_crash(rig, CRASH_KEEP);
}

static void remove_file(struct rig *rig, const char *name)
{
    if (rig->disk->ops->unlink(rig->disk, name) != 0)
        bail("no file %s", name);
}

static void refuses(struct rig *rig, const char *text, const char *more)
{
    struct disk *before = disk_memory_copy(rig->disk);
    ok(!rig_open(rig) && strstr(rig->error, text) && strstr(rig->error, more), "refused: %s",
       rig->error);
    ok(disk_memory_equal(rig->disk, before), "and nothing has changed");
    disk_memory_free(before);
}

static void find_sound(void *context, const char *line)
{
    *(int *)context += strcmp(line, "sound") == 0;
}

/* A check finds it, a start mends it, and another check finds nothing. */
static void mends(struct rig *rig, const char *what)
{
    int found = 0;
    is_int(store_check(&rig->options, find_sound, &found, NULL), 1, "%s: a check finds it", what);
    ok(rig_open(rig) && rig_check_promise(rig), "all is there: %s%s", rig->error, rig->fault);
    is_int(store_stats(rig->store)->mended, 1, "it is told");
    rig_close(rig);
    is_int(store_check(&rig->options, find_sound, &found, NULL), 0, "and then sound again");
}

static void flip(struct rig *rig, const char *name, uint64_t at)
{
    uint64_t size;
    uint8_t *bytes = disk_memory_contents(rig->disk, name, &size);
    if (!bytes || at >= size)
        bail("no byte %d in %s", (int)at, name);
    bytes[at] ^= 0x10;
}

TEST(first_segment)
{
    struct rig rig;
    rig_init(&rig);
    rig_open(&rig);
    rig_new_queue(&rig, true);
    rig_wait(&rig);
    rig_crash(&rig, CRASH_KEEP);
    remove_file(&rig, "journal-0000000001");
    refuses(&rig, "journal-0000000001 is missing", "the last one that was begun");
    rig_free(&rig);
}

TEST(last_segment)
{
    struct rig rig;
    uint32_t segments[100];
    char name[32];
    begin(&rig, false);
    size_t count = rig_segments(&rig, segments, 100);
    segment_name(name, segments[count - 1]);
    remove_file(&rig, name);
    refuses(&rig, name, "is missing");
    rig_free(&rig);
}

/* Nothing behind the cut could tell; but after a quiet moment the identity does. */
TEST(end_of_the_last_segment)
{
    struct rig rig;
    uint64_t size;
    int cuts = 0;
    rig_init(&rig);
    rig_open(&rig);
    int a = rig_new_queue(&rig, true);
    for (int i = 0; i < 5; i++) {
        rig_publish(&rig, 1u << a, true, 100);
        rig_wait(&rig);
    }
    for (int i = 0; i < 10; i++)
        rig_step(&rig, 100);
    uint64_t end = rig.store->journal.active->size;
    rig_crash(&rig, CRASH_KEEP);
    disk_memory_contents(rig.disk, "journal-0000000001", &size);
    for (uint64_t at = SEGMENT_HEADER; at < end; at += BATCH_ALIGN) {
        struct rig cut;
        rig_copy(&cut, &rig);
        disk_memory_cut(cut.disk, "journal-0000000001", at);
        cuts += !rig_open(&cut) && strstr(cut.error, "a batch that was synced is not there");
        rig_free(&cut);
    }
    is_int(cuts, (int)((end - SEGMENT_HEADER) / BATCH_ALIGN), "each cut is refused");
    rig_free(&rig);
}

/* `context`: where the text is that a line has to have; it is empty when one had it. */
static void find_text(void *context, const char *line)
{
    const char **wanted = context;
    if (strstr(line, *wanted))
        *wanted = "";
}

/* Header and name were durable before anything was told of the file: so whoever finds less than a header knows
 * that it was cut, though no batch tells of what was in it. Once that was salvaged it is not missed any more. */
TEST(beginning_of_the_last_segment)
{
    struct rig rig;
    uint32_t segments[100];
    char name[32];
    begin(&rig, false);
    segment_name(name, segments[rig_segments(&rig, segments, 100) - 1]);
    for (uint64_t at = 0; at < SEGMENT_HEADER; at++) {
        struct rig cut;
        const char *wanted = "the file ends before its header does";
        rig_copy(&cut, &rig);
        disk_memory_cut(cut.disk, name, at);
        if (at % 21 == 0) {
            refuses(&cut, name, wanted);
            is_int(store_check(&cut.options, find_text, &wanted, NULL), 1, "a check finds it");
            is_str(wanted, "", "and says what");
        } else if (rig_open(&cut) || !strstr(cut.error, wanted)) {
            ok(false, "cut at %d: %s", (int)at, cut.error);
        }
        rig_free(&cut);
    }
    struct kv *old = rig.memory, *fresh = kv_memory_new();
    disk_memory_cut(rig.disk, name, 0);
    ok(rig_salvage(&rig, fresh), "it is salvaged");
    kv_memory_free(old);
    rig_crash(&rig, CRASH_DROP);
    ok(rig_open(&rig), "and starts again: %s", rig.error);
    rig_free(&rig);
}

/* Of an earlier version nothing is known about headers: a loss of power could leave such a file. */
TEST(beginning_that_was_not_told_of)
{
    struct rig rig;
    uint64_t size;
    rig_init(&rig);
    rig_open(&rig);
    rig_new_queue(&rig, true);
    rig_wait(&rig);
    rig_crash(&rig, CRASH_KEEP);
    uint8_t *bytes = disk_memory_contents(rig.disk, IDENTITY_NAME, &size);
    for (uint64_t at = 0; at < size; at += 4096)
        memset(bytes + at + 48, 0, 8);
    disk_memory_cut(rig.disk, "journal-0000000001", 0);
    ok(rig_open(&rig), "it starts: %s", rig.error);
    rig_free(&rig);
}

/* It was needed when the checkpoint was written. */
TEST(segment_with_messages)
{
    struct rig rig;
    uint32_t segments[100];
    char name[32];
    begin(&rig, true);
    rig_segments(&rig, segments, 100);
    segment_name(name, segments[1]);
    remove_file(&rig, name);
    refuses(&rig, name, "messages need it");
    rig_free(&rig);
}

/* A segment before the checkpoint with nothing in it that survives a restart; 0: there is none. */
static uint32_t needless(const struct store *store)
{
    list_for_each(link, &store->journal.segments)
    {
        const struct segment *segment = list_entry(link, struct segment, link);
        if (segment->live_entries && !segment->kept_entries && segment != store->journal.active &&
            segment->last_batch <= store->journal.covered)
            return segment->number;
    }
    return 0;
}

/* Nobody needs it, but somebody took it away. */
TEST(segment_without_messages)
{
    struct rig rig;
    char name[32];
    begin(&rig, false);
    if (!rig_open(&rig) || !rig_check_promise(&rig))
        bail("%s%s", rig.error, rig.fault);
    for (int i = 0; i < 200; i++)
        rig_publish(&rig, 1, false, 200);
    uint32_t number = 0;
    for (int i = 0; i < 100 && !number; i++) { /* until a checkpoint has been taken */
        rig_step(&rig, 700);
        number = needless(rig.store);
    }
    ok(number > 0, "segment %u is there for memory alone", number);
    segment_name(name, number);
    rig_publish(&rig, 1, true, 200);
    rig_wait(&rig);
    rig_abandon(&rig);
    remove_file(&rig, name);
    mends(&rig, "a segment that is not needed");
    rig_free(&rig);
}

TEST(headers)
{
    for (uint64_t at = 0; at < SEGMENT_HEADER; at++) {
        struct rig rig;
        begin(&rig, at % 2);
        flip(&rig, "journal-0000000002", at);
        mends(&rig, "a header");
        rig_free(&rig);
    }
}

TEST(identity_gone)
{
    struct rig rig;
    begin(&rig, true);
    remove_file(&rig, IDENTITY_NAME);
    mends(&rig, "its identity gone");
    rig_free(&rig);
    begin(&rig, false);
    disk_memory_cut(rig.disk, IDENTITY_NAME, 0);
    mends(&rig, "its identity cut off");
    rig_free(&rig);
}

TEST(identity_damaged)
{
    struct rig rig;
    for (uint64_t at = 0; at < 48; at += 3) {
        begin(&rig, true);
        flip(&rig, IDENTITY_NAME, at % 2 ? at : 4096 + at);
        mends(&rig, "a slot of its identity");
        rig_free(&rig);
    }
}

/* Another store with the same numbers of everything. */
TEST(foreign_files)
{
    struct rig rig, other;
    begin(&rig, true);
    rig_init(&other);
    memcpy(other.options.identity, "another identity", 16);
    rig_open(&other);
    int a = rig_new_queue(&other, true);
    for (int i = 0; i < 40; i++) {
        rig_publish(&other, 1u << a, true, 100);
        rig_wait(&other);
    }
    rig_close(&other);
    uint64_t size, other_size;
    uint8_t *from = disk_memory_contents(other.disk, "journal-0000000002", &other_size);
    uint8_t *to = disk_memory_contents(rig.disk, "journal-0000000002", &size);
    memcpy(to, from, size < other_size ? size : other_size);
    refuses(&rig, "journal-0000000002 belongs to another store", "nothing was changed");
    rig_free(&rig);
    begin(&rig, true);
    kv_memory_free(rig.memory);
    rig.memory = kv_memory_copy(other.memory);
    refuses(&rig, "the index belongs to another store", "nothing was changed");
    rig_free(&rig);
    rig_free(&other);
}

/* One that says nothing of whose it is. */
TEST(earlier_version)
{
    struct rig rig;
    uint32_t segments[100];
    struct buffer batch = {0};
    begin(&rig, true);
    size_t count = rig_segments(&rig, segments, 100);
    remove_file(&rig, IDENTITY_NAME);
    kv_batch_delete(&batch, bytes_str("I"));
    rig.memory->ops->write(rig.memory, buffer_bytes(&batch), true);
    buffer_free(&batch);
    for (size_t i = 0; i < count; i++) {
        struct segment_header header;
        char name[32];
        uint64_t size;
        segment_name(name, segments[i]);
        uint8_t *bytes = disk_memory_contents(rig.disk, name, &size);
        segment_header_read(bytes, &header);
        memset(header.store, 0, sizeof(header.store));
        segment_header_write(bytes, &header);
    }
    ok(rig_open(&rig) && rig_check_promise(&rig), "it opens: %s%s", rig.error, rig.fault);
    is_int(store_stats(rig.store)->mended, 0, "and nothing is wrong with it");
    rig_publish(&rig, 1, true, 2000);
    rig_wait(&rig);
    rig_close(&rig);
    struct identity identity;
    identity_read(rig.disk, &identity);
    ok(identity_is(identity.id), "now it has an identity");
    ok(rig_open(&rig) && rig_check_promise(&rig), "and opens again: %s%s", rig.error, rig.fault);
    rig_free(&rig);
}

int main(void)
{
    RUN(first_segment);
    RUN(last_segment);
    RUN(end_of_the_last_segment);
    RUN(beginning_of_the_last_segment);
    RUN(beginning_that_was_not_told_of);
    RUN(segment_with_messages);
    RUN(segment_without_messages);
    RUN(headers);
    RUN(identity_gone);
    RUN(identity_damaged);
    RUN(foreign_files);
    RUN(earlier_version);
    return done();
}
