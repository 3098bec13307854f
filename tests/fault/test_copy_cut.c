/* A copy of a store that has lost a part on its way - a file of it, or the end of one - is never called
 * sound where something is lost; and where its journal lacks its end, neither a check nor a start nor a
 * restore takes it. */
#include <stdio.h>

#include "base/mem.h"
#include "tests/fault/bench.h"
#include "tests/lib/tap.h"

enum { NAMES_MAX = 64, CUTS_MAX = 4096, HISTORIES = 12 };

/* What a store holds. */
struct held {
    uint64_t messages[BENCH_QUEUES], names;
};

struct names {
    char list[NAMES_MAX][40];
    int count;
};

struct met {
    uint64_t cuts, refused, harmless, ends, checkpoints, without;
};

/* ---- what is copied ---- */

static void put_name(struct bench *bench, uint64_t number)
{
    char name[32];
    snprintf(name, sizeof(name), "name %llu", (unsigned long long)number);
    store_catalogue_put(bench->store, bytes_str(name), bytes_str("a value"));
}

/* Some of it settled, some of it names, and all of it durable. */
static void work(struct bench *bench, uint64_t steps)
{
    for (uint64_t i = 0; i < steps; i++) {
        uint64_t what = random_below(&bench->random, 10);
        if (what < 6)
            bench_publish(bench, 1 + (unsigned)random_below(&bench->random, 3),
                          (uint32_t)random_below(&bench->random, 1500));
        else if (what < 8)
            bench_take(bench, (int)random_below(&bench->random, BENCH_QUEUES), true);
        else
            put_name(bench, random_below(&bench->random, 50));
        bench_wait(bench);
    }
}

/* Its end is of all kinds: behind a checkpoint or a quiet moment, or not. */
static void fill(struct bench *bench, uint64_t seed, struct met *met)
{
    random_init(&bench->random, seed);
    bench->options.identity[0] = 3;
    bench->options.segment_bytes = 8192;
    bench_open(bench);
    work(bench, random_below(&bench->random, 20));
    if (seed % 3)
        bench_turns(bench, 10, 40000);
    work(bench, 1 + random_below(&bench->random, seed % 2 ? 3 : 40));
    if (seed % 3 == 2)
        bench_turns(bench, 4, 200);
    met->checkpoints += bench->store->image.number > 0;
    met->without += bench->store->image.number == 0;
}

static void make_copy(struct bench *bench, struct bench *copy)
{
    struct store_backup backup = {
        .disk = copy->memory, .kv = copy->kv, .worker = worker_manual_new(true)};
    store_backup(bench->store, &backup);
    bench_turns(bench, 4, 1);
    if (backup.state != STORE_BACKUP_DONE)
        bail("no copy: %s", backup.failure);
    worker_manual_free(backup.worker);
}

/* ---- what is there ---- */

/* Another one with the same contents. */
static void copy_bench(struct bench *to, struct bench *from)
{
    bench_init(to);
    disk_memory_free(to->memory);
    kv_memory_free(to->kv);
    to->memory = disk_memory_copy(from->memory);
    to->kv = kv_memory_copy(from->kv);
    disk_observed_init(&to->observed, to->memory);
    to->options.kv = to->kv;
    to->options.segment_bytes = 8192;
}

static void forget_line(void *context, const char *line)
{
    (void)context;
    (void)line;
}

static bool is_sound(struct bench *bench)
{
    return store_check(&bench->options, forget_line, NULL, NULL) == 0;
}

static void count_name(void *context, struct bytes key, struct bytes value)
{
    (void)key;
    (void)value;
    ++*(uint64_t *)context;
}

/* False: it does not open, and `error` says why. */
static bool hold(struct bench *bench, struct held *held, char *error, size_t error_size)
{
    *held = (struct held){0};
    bench->store = store_open(&bench->options, bench->now_ms, error, error_size);
    if (!bench->store)
        return false;
    store_catalogue_each(bench->store, count_name, &held->names);
    for (int q = 0; q < BENCH_QUEUES; q++) {
        bench->queue[q] = store_queue_find(bench->store, (uint64_t)q + 1, bench);
        while (bench->queue[q] && bench_take(bench, q, true))
            held->messages[q]++;
    }
    return true;
}

/* ---- cuts ---- */

static void note_file(void *context, const char *name)
{
    struct names *names = context;
    if (names->count == NAMES_MAX)
        bail("too many files");
    snprintf(names->list[names->count++], sizeof(names->list[0]), "%s", name);
}

/* The places at which a file is cut, from its beginning on; its size is not one of them. */
static int places_of(struct bench *copy, const char *name, uint64_t places[CUTS_MAX])
{
    uint64_t size, at = SEGMENT_HEADER;
    const uint8_t *bytes = disk_memory_contents(copy->memory, name, &size);
    uint32_t number = segment_number(name);
    struct batch_header header;
    int count = 0;
    places[count++] = 0;
    if (!number) {
        for (at = 4; at < size && count < CUTS_MAX; at += at < 64 ? 4 : 1024)
            places[count++] = at;
        return count;
    }
    while (at < size && count < CUTS_MAX) {
        places[count++] = at;
        if (at + BATCH_HEADER > size ||
            batch_header_read(bytes + at, number, (uint32_t)at, &header) != RECORD_OK)
            break;
        at += header.size;
    }
    return count;
}

/* Where the last batch ends; else the file may be longer, by what means nothing. */
static uint64_t end_of(struct bench *copy, const char *name)
{
    uint64_t places[CUTS_MAX], size;
    int count = places_of(copy, name, places);
    disk_memory_contents(copy->memory, name, &size);
    struct batch_header header;
    uint64_t last = places[count - 1];
    const uint8_t *bytes = disk_memory_contents(copy->memory, name, &size);
    bool is_batch = last + BATCH_HEADER <= size &&
                    batch_header_read(bytes + last, segment_number(name), (uint32_t)last,
                                      &header) == RECORD_OK;
    return is_batch ? last + header.size : last;
}

/* A copy of which something was taken away. */
struct cut {
    struct bench *copy;
    const struct held *whole;
    const char *name;
    uint64_t at;     /* UINT64_MAX: the file is gone */
    bool lacks_end; /* of the journal */
};

static void take_away(const struct cut *cut, struct bench *bench)
{
    copy_bench(bench, cut->copy);
    if (cut->at == UINT64_MAX)
        bench->memory->ops->unlink(bench->memory, cut->name);
    else
        disk_memory_cut(bench->memory, cut->name, cut->at);
}

static bool is_wrong(const struct cut *cut, const char *what, const char *why)
{
    diag("%s cut at %lld: %s%s", cut->name, (long long)cut->at, what, why);
    return false;
}

/* The error says which file it is about, and what to do next. */
static bool is_told(const struct cut *cut, const char *error)
{
    return strstr(error, cut->name) && strstr(error, "leveret-store(7)");
}

/* What a check calls sound has all; what lacks its end does not open. */
static bool judge(const struct cut *cut, struct bench *bench, struct met *met)
{
    char error[600] = "";
    struct held held;
    bool calls_sound = is_sound(bench);
    bool opens = hold(bench, &held, error, sizeof(error));
    bool is_whole = opens && memcmp(&held, cut->whole, sizeof(held)) == 0;
    met->refused += !opens;
    met->harmless += is_whole;
    if (calls_sound && !is_whole)
        return is_wrong(cut, "called sound, and is not whole ", error);
    if (cut->lacks_end && (calls_sound || opens))
        return is_wrong(cut, "it lacks its end, and is ", opens ? "opened" : "called sound");
    return !cut->lacks_end || is_told(cut, error) || is_wrong(cut, "it says: ", error);
}

/* Restored: it gets an identity of its own, and is checked. */
static bool judge_restored(const struct cut *cut, struct bench *bench, struct met *met)
{
    static const uint8_t id[IDENTITY_SIZE] = {7};
    char error[300];
    return !store_copy_adopt(bench->memory, bench->kv, id, error, sizeof(error)) ||
           judge(cut, bench, met);
}

static uint64_t try_cut(const struct cut *cut, struct met *met)
{
    struct bench bench;
    uint64_t wrong = 0;
    met->cuts++;
    met->ends += cut->lacks_end;
    take_away(cut, &bench);
    wrong += !judge(cut, &bench, met);
    bench_free(&bench);
    take_away(cut, &bench);
    wrong += !judge_restored(cut, &bench, met);
    bench_free(&bench);
    return wrong;
}

static uint64_t try_file(struct bench *copy, const struct held *whole, const char *name,
                         bool is_last, struct met *met)
{
    uint64_t places[CUTS_MAX], wrong = 0;
    int count = places_of(copy, name, places);
    uint64_t end = is_last ? end_of(copy, name) : 0;
    for (int i = 0; i < count; i++) {
        struct cut cut = {copy, whole, name, places[i], places[i] < end};
        wrong += try_cut(&cut, met);
    }
    struct cut gone = {copy, whole, name, UINT64_MAX, is_last};
    return wrong + try_cut(&gone, met);
}

static uint64_t try_copy(struct bench *copy, struct met *met)
{
    struct names names = {0};
    struct held whole;
    struct bench same;
    char error[600] = "";
    int last = -1;
    uint64_t wrong = 0;
    copy_bench(&same, copy);
    ok(is_sound(&same), "a whole copy is sound");
    ok(hold(&same, &whole, error, sizeof(error)), "and opens: %s", error);
    bench_free(&same);
    disk_memory_each(copy->memory, note_file, &names);
    for (int i = 0; i < names.count; i++)
        if (segment_number(names.list[i]) &&
            (last < 0 || strcmp(names.list[i], names.list[last]) > 0))
            last = i;
    for (int i = 0; i < names.count; i++)
        wrong += try_file(copy, &whole, names.list[i], i == last, met);
    return wrong;
}

TEST(what_was_cut_off_is_missed)
{
    struct met met = {0};
    for (uint64_t seed = 1; seed <= HISTORIES; seed++) {
        struct bench bench, copy;
        bench_init(&bench);
        bench_init(&copy);
        fill(&bench, seed, &met);
        make_copy(&bench, &copy);
        is_int(try_copy(&copy, &met), 0, "nothing was wrong with copy %d", (int)seed);
        bench_free(&copy);
        bench_free(&bench);
    }
    diag("%llu cuts, %llu of them of the end; %llu starts refused, %llu had all",
         (unsigned long long)met.cuts, (unsigned long long)met.ends,
         (unsigned long long)met.refused, (unsigned long long)met.harmless);
    ok(met.ends > 50 && met.refused && met.harmless, "ends were cut, and other things");
    ok(met.checkpoints && met.without, "of copies with a checkpoint, and without");
}

/* As copies were made before: they know of no end. */
TEST(an_older_copy_opens)
{
    struct met met = {0};
    struct bench bench, copy, older;
    struct identity identity;
    struct held held, whole;
    char error[600] = "";
    bench_init(&bench);
    bench_init(&copy);
    fill(&bench, 4, &met);
    make_copy(&bench, &copy);
    copy_bench(&older, &copy);
    identity_read(older.memory, &identity);
    is_int(identity.batch, bench.store->journal.written, "a copy knows its last batch");
    identity.batch = 0;
    identity.written = 0;
    identity_write(older.memory, &identity);
    ok(is_sound(&older), "one that does not is sound");
    ok(hold(&older, &held, error, sizeof(error)), "and opens: %s", error);
    ok(hold(&copy, &whole, error, sizeof(error)), "as the other does: %s", error);
    ok(memcmp(&held, &whole, sizeof(held)) == 0, "with the same contents");
    bench_free(&older);
    bench_free(&copy);
    bench_free(&bench);
}

int main(void)
{
    RUN(what_was_cut_off_is_missed);
    RUN(an_older_copy_opens);
    return done();
}
