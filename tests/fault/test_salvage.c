/* Damage of every kind in a small store, in each of four states: a byte flipped, a file removed or cut off,
 * a value of the index flipped or gone. A start ends in one of three ways: all is there, made again from
 * the rest if need be; or what is damaged is set aside, and said; or it is refused, and said, and nothing
 * has changed. Then, or in any case, salvage opens it, and all is there that does not lie in the damaged
 * place; and what was salvaged starts as ever.
 *
 *     test_salvage.t [STEP]
 *
 * STEP: one byte of so many is flipped; 1 takes a few minutes. With SHARE=N one of N times as many. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/internal.h"
#include "tests/fault/rig.h"
#include "tests/lib/tap.h"

enum { NAMES_MAX = 100, STEP = 13, PAIRS_MAX = 500 };

static uint64_t step = STEP;

/* ---- what lies where ---- */

struct names {
    char name[NAMES_MAX][32];
    size_t count;
};

static void list_name(void *context, const char *name)
{
    struct names *files = context;
    if (files->count < NAMES_MAX)
        snprintf(files->name[files->count++], 32, "%.31s", name);
}

/* What a record in damaged bytes explains. */
static void explain(const struct record *record, struct rig_damage *damage)
{
    struct message_payload payload;
    uint64_t id;
    damage->may_repeat = damage->may_repeat || record->type == RECORD_SETTLE ||
                         record->type == RECORD_DROP;
    damage->may_rename =
        damage->may_rename || record->type == RECORD_PUT || record->type == RECORD_DELETE;
    if (record->type > RECORD_PAGED || !message_payload_read(record->payload, &payload))
        return;
    memcpy(&id, payload.data + payload.exchange_size + payload.routing_key_size +
                    payload.properties_size, sizeof(id));
    damage->may_lack[id % RIG_IDS] = true;
}

/* Every record that lies in `from` to `to` of the file. */
static void explain_bytes(struct rig *whole, const char *name, uint64_t from, uint64_t to,
                          struct rig_damage *damage)
{
    struct record record;
    uint64_t size;
    uint32_t number = segment_number(name);
    const uint8_t *bytes = disk_memory_contents(whole->disk, name, &size);
    for (uint64_t at = SEGMENT_HEADER; number && at + BATCH_HEADER <= size;) {
        struct batch_header header;
        if (batch_header_read(bytes + at, number, (uint32_t)at, &header) != RECORD_OK)
            return;
        uint64_t record_at = at + BATCH_HEADER;
        for (uint32_t i = 0; i < header.records; i++) {
            if (record_read(bytes_of(bytes + record_at, size - record_at), number,
                            (uint32_t)record_at, &record) != RECORD_OK)
                return;
            if (record_at < to && record_at + record.place.size > from)
                explain(&record, damage);
            record_at += record.place.size;
        }
        at += header.size;
    }
}

/* ---- ways to end ---- */

enum end { END_WHOLE, END_MENDED, END_ASIDE, END_CUT, END_REFUSED, END_WRONG, ENDS };

static uint64_t ends[ENDS], runs, lacks, repeats;
static uint64_t last; /* batch of the work */

static bool is_wrong(struct rig *rig, const char *what, const char *when)
{
    diag("%s, %s: %s%s", what, when, rig->error, rig->fault);
    return true;
}

/* It says with which batch the journal ends, and claims no more than that is there. */
static bool is_told(const struct rig *rig)
{
    const struct store_stats *stats = store_stats(rig->store);
    return stats->end_batch + 1 == rig->store->journal.position.batch &&
           stats->known_batch <= stats->end_batch;
}

/* How an ordinary start ends. */
static enum end start(struct rig *rig, const struct rig_damage *damage, const char *what)
{
    struct disk *before = disk_memory_copy(rig->disk);
    enum end end = END_REFUSED;
    struct rig_damage found = *damage;
    bool is_open = rig_open(rig);
    bool is_cut = is_open && rig->store->journal.position.batch <= last;
    if (is_open && !is_told(rig)) {
        end = END_WRONG;
    } else if (!is_open) {
        bool is_said = rig->error[0] && disk_memory_equal(rig->disk, before);
        end = is_said ? END_REFUSED : END_WRONG;
    } else if (!rig_check_damage(rig, last, &found)) {
        /* A tail that was not known to be synced may go, as one piece. */
        end = is_cut && !store_failure(rig->store) ? END_CUT : END_WRONG;
    } else {
        const struct store_stats *stats = store_stats(rig->store);
        end = stats->damaged                          ? END_ASIDE
              : stats->chunks_damaged + stats->mended ? END_MENDED
              : is_cut                                ? END_CUT
              : found.lacks                           ? END_WRONG
                                                      : END_WHOLE;
    }
    if (end == END_WRONG)
        is_wrong(rig, what, "a start");
    rig_abandon(rig);
    disk_memory_free(before);
    return end;
}

/* Salvages what is in the rig. True: something is not as it should be. */
static bool salvage_fails(struct rig *rig, struct rig_damage *damage, const char *what)
{
    struct kv *old = rig->memory, *fresh = kv_memory_new();
    bool wrong = false;
    if (!rig_salvage(rig, fresh) || !rig_check_damage(rig, last, damage))
        wrong = is_wrong(rig, what, "salvage");
    kv_memory_free(old);
    lacks += damage->lacks;
    repeats += damage->repeats;
    uint64_t lost = damage->lacks;
    rig_close(rig);
    if (!wrong && (!rig_open(rig) || !rig_check_damage(rig, last, damage) || damage->lacks != lost))
        wrong = is_wrong(rig, what, "a start after salvage");
    rig_close(rig);
    return wrong;
}

static void try(struct rig *rig, struct rig_damage *damage, const char *what)
{
    struct rig other;
    rig_copy(&other, rig);
    enum end end = start(&other, damage, what);
    rig_free(&other);
    if (salvage_fails(rig, damage, what))
        end = END_WRONG;
    ends[end]++;
    runs++;
    rig_free(rig);
}

static void flip(struct rig *whole, const char *name, uint64_t at)
{
    static const uint8_t patterns[] = {0x01, 0x80, 0xff};
    struct rig rig;
    struct rig_damage damage = {0};
    char what[80];
    uint64_t size;
    rig_copy(&rig, whole);
    disk_memory_contents(rig.disk, name, &size)[at] ^= patterns[at % 3];
    explain_bytes(whole, name, at, at + 1, &damage);
    snprintf(what, sizeof(what), "%s flipped at %" PRIu64, name, at);
    try(&rig, &damage, what);
}

static void cut(struct rig *whole, const char *name, uint64_t at)
{
    struct rig rig;
    struct rig_damage damage = {0};
    char what[80];
    rig_copy(&rig, whole);
    disk_memory_cut(rig.disk, name, at);
    explain_bytes(whole, name, at, UINT64_MAX, &damage);
    snprintf(what, sizeof(what), "%s cut at %" PRIu64, name, at);
    try(&rig, &damage, what);
}

static void take_away(struct rig *whole, const char *name)
{
    struct rig rig;
    struct rig_damage damage = {0};
    char what[80];
    rig_copy(&rig, whole);
    if (rig.disk->ops->unlink(rig.disk, name) != 0)
        bail("no %s", name);
    explain_bytes(whole, name, 0, UINT64_MAX, &damage);
    snprintf(what, sizeof(what), "%s gone", name);
    try(&rig, &damage, what);
}

/* ---- values of the index ---- */

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

/* The journal has all that lives: but what it no longer says may come again. `value` NULL: it goes. */
static void spoil(const struct rig *whole, struct bytes key, const struct bytes *value)
{
    struct rig rig;
    struct rig_damage damage = {.may_repeat = true, .may_rename = true};
    struct buffer batch = {0};
    char what[80];
    rig_copy(&rig, whole);
    if (value)
        kv_batch_put(&batch, key, *value);
    else
        kv_batch_delete(&batch, key);
    rig.memory->ops->write(rig.memory, buffer_bytes(&batch), true);
    buffer_free(&batch);
    snprintf(what, sizeof(what), "a value of kind %c %s", key.data[0], value ? "flipped" : "gone");
    try(&rig, &damage, what);
}

static void spoil_index(struct rig *whole)
{
    static struct pairs pairs;
    pairs = (struct pairs){.count = 0};
    whole->memory->ops->scan(whole->memory, bytes_of(NULL, 0), bytes_of(NULL, 0), collect, &pairs);
    for (size_t i = 0; i < pairs.count; i++) {
        struct bytes key = buffer_bytes(&pairs.keys[i]), value = buffer_bytes(&pairs.values[i]);
        spoil(whole, key, NULL);
        for (size_t at = i % step; at < value.size; at += step) {
            pairs.values[i].data[at] ^= 0x11;
            spoil(whole, key, &value);
            pairs.values[i].data[at] ^= 0x11;
        }
        buffer_free(&pairs.keys[i]);
        buffer_free(&pairs.values[i]);
    }
    /* All of it. */
    struct rig rig;
    struct rig_damage damage = {.may_repeat = true, .may_rename = true};
    rig_copy(&rig, whole);
    kv_memory_free(rig.memory);
    rig.memory = kv_memory_new();
    try(&rig, &damage, "the index gone");
}

static void damage_all(struct rig *whole, const char *state)
{
    struct names files = {.count = 0};
    struct rig rig;
    memset(ends, 0, sizeof(ends));
    runs = lacks = repeats = 0;
    rig_copy(&rig, whole);
    struct rig_damage none = {0};
    last = 0;
    if (!rig_open(&rig))
        bail("%s: %s", state, rig.error);
    last = rig.store->journal.position.batch - 1;
    ok(rig_check_damage(&rig, last, &none) && none.lacks + none.repeats == 0,
       "%s: all is there: %s", state, rig.fault);
    rig_free(&rig);
    disk_memory_each(whole->disk, list_name, &files);
    for (size_t i = 0; i < files.count; i++) {
        uint64_t size;
        disk_memory_contents(whole->disk, files.name[i], &size);
        take_away(whole, files.name[i]);
        for (uint64_t at = i % step; at < size; at += step)
            flip(whole, files.name[i], at);
        for (uint64_t at = 0; at < size; at += at < 130 ? 61 : size / 9 + 1)
            cut(whole, files.name[i], at);
    }
    spoil_index(whole);
    ok(ends[END_WRONG] == 0 && ends[END_REFUSED],
       "%s: %" PRIu64 " times damaged: %" PRIu64 " whole, %" PRIu64 " mended, %" PRIu64
       " set aside, %" PRIu64 " cut, %" PRIu64 " refused, %" PRIu64 " wrong; salvage: %" PRIu64
       " messages were in the damaged places, %" PRIu64 " came again",
       state, runs, ends[END_WHOLE], ends[END_MENDED], ends[END_ASIDE], ends[END_CUT],
       ends[END_REFUSED], ends[END_WRONG], lacks, repeats);
    rig_free(whole);
}

TEST(before_a_checkpoint)
{
    struct rig whole;
    rig_init(&whole);
    rig_work_unsynced(&whole, false);
    damage_all(&whole, "before a checkpoint");
}

TEST(after_a_checkpoint)
{
    struct rig whole;
    rig_init(&whole);
    rig_work_unsynced(&whole, true);
    damage_all(&whole, "after a checkpoint");
}

/* All is synced, and the journal says so itself. */
TEST(after_a_quiet_moment)
{
    struct rig whole;
    rig_init(&whole);
    rig_open(&whole);
    int a = rig_new_queue(&whole, true), b = rig_new_queue(&whole, true);
    rig_put_name(&whole, 1);
    for (int i = 0; i < 20; i++) {
        rig_publish(&whole, 1u << a | (i % 3 ? 0 : 1u << b), true, 60);
        rig_wait(&whole);
    }
    for (int i = 0; i < 5; i++)
        rig_take(&whole, a, true);
    for (int i = 0; i < 10; i++)
        rig_step(&whole, 100);
    ok(whole.store->journal.stated >= whole.store->journal.said,
       "batch %d states that batch %d was synced", (int)whole.store->journal.durable,
       (int)whole.store->journal.said);
    rig_crash(&whole, CRASH_KEEP);
    damage_all(&whole, "after a quiet moment");
}

/* Some messages of a segment have moved, and others have not. */
TEST(amid_a_compaction)
{
    struct rig whole;
    rig_init(&whole);
    whole.options.checkpoint_ms = 1u << 30;
    rig_open(&whole);
    int a = rig_new_queue(&whole, true), b = rig_new_queue(&whole, true);
    for (int i = 0; i < 90; i++) {
        rig_publish(&whole, i % 15 ? 1u << a : 1u << b, true, 150);
        if (i % 3 == 2)
            rig_wait(&whole);
    }
    rig_close(&whole);
    rig_open(&whole);
    if (!rig_check_promise(&whole))
        bail("%s", whole.fault);
    for (int i = 0; i < 80; i++)
        rig_take(&whole, a, true);
    for (int i = 0; i < 500 && store_stats(whole.store)->messages_moved < 2; i++)
        rig_step(&whole, 20);
    ok(store_stats(whole.store)->messages_moved >= 2, "%d messages have moved",
       (int)store_stats(whole.store)->messages_moved);
    rig_crash(&whole, CRASH_KEEP);
    damage_all(&whole, "amid a compaction");
}

int main(int argc, char **argv)
{
    step = argc > 1 ? strtoull(argv[1], NULL, 10) : STEP * share();
    if (step == 0)
        bail("STEP is a number from 1 on");
    RUN(before_a_checkpoint);
    RUN(after_a_checkpoint);
    RUN(after_a_quiet_moment);
    RUN(amid_a_compaction);
    return done();
}
