/* The logs of groups in the journal: what was said to be durable is there after any crash, the same and in
 * the same place of its log; what was cut is not, once something else stands in its place. A plain list of
 * all that was recorded says what a start must find. */
#include <stdio.h>

#include "base/mem.h"
#include "base/shared.h"
#include "tests/fault/bench.h"
#include "tests/lib/tap.h"

enum { GROUPS = 3, INDEXES_MAX = 4096, RECORDS_MAX = 5, PAYLOAD_MAX = 1500 };

/* ---- contents, made of a number ---- */

static void contents_of(uint64_t number, struct buffer *out)
{
    static const enum record_type types[] = {RECORD_MESSAGE, RECORD_SETTLE, RECORD_DELIVERED,
                                             RECORD_QUEUE,   RECORD_PUT,    RECORD_RETURNED};
    struct random random;
    uint8_t payload[PAYLOAD_MAX];
    random_init(&random, number);
    memset(payload, (int)(number % 251), sizeof(payload));
    out->size = 0;
    uint64_t records = random_below(&random, RECORDS_MAX);
    for (uint64_t i = 0; i < records; i++)
        content_add(out, types[random_below(&random, 6)],
                    bytes_of(payload, (size_t)random_below(&random, PAYLOAD_MAX)));
}

static struct bytes note_of(uint64_t index, char text[40])
{
    return bytes_of(text, (size_t)snprintf(text, 40, "members at %llu", (unsigned long long)index));
}

static struct log_head head_of(uint64_t index, uint64_t term, uint64_t number)
{
    return (struct log_head){.index = index,
                             .term = term,
                             .stamp_ms = number * 3,
                             .catalogue = number % 97,
                             .kind = (uint8_t)(1 + number % 3)};
}

/* Reads an entry, for as long as it takes. */
static enum log_result read_entry(struct bench *bench, struct group_log *log, uint64_t index,
                                  struct log_head *head, struct bytes *contents)
{
    enum log_result result = LOG_WAIT;
    for (int i = 0; i < 100 && result == LOG_WAIT; i++) {
        if (i)
            bench_turns(bench, 1, 1);
        result = group_log_read(log, index, head, contents);
    }
    return result;
}

/* Every other one has its contents in memory that somebody else has, too. */
static uint32_t append_contents(struct group_log *log, const struct log_head *head, struct bytes bytes)
{
    struct log_contents contents = log_contents_of(bytes);
    if (head->index % 2) {
        contents.shared = shared_new();
        buffer_add(&contents.shared->bytes, "before", 6);
        buffer_add(&contents.shared->bytes, bytes.data, bytes.size);
        contents.bytes = bytes_of(contents.shared->bytes.data + 6, bytes.size);
    }
    uint32_t chain = group_log_add(log, head, &contents);
    shared_unref(contents.shared);
    return chain;
}

/* ---- stories ---- */

struct scene {
    struct bench bench;
    struct group_log *log;
};

static void open_scene(struct scene *scene)
{
    char text[40];
    struct log_floor floor = {.index = 0, .note = note_of(0, text)};
    bench_init(&scene->bench);
    bench_open(&scene->bench);
    scene->log = group_log_begin(scene->bench.store, 7, &floor);
}

static void append(struct scene *scene, uint64_t index, uint64_t term)
{
    struct buffer contents = {0};
    struct log_head head = head_of(index, term, index);
    contents_of(index, &contents);
    group_log_append(scene->log, &head, buffer_bytes(&contents));
    buffer_free(&contents);
}

static void reopen(struct scene *scene, enum crash how)
{
    bench_crash(&scene->bench, how);
    bench_open(&scene->bench);
    scene->log = group_log_find(scene->bench.store, 7);
}

static bool has(struct scene *scene, uint64_t index, uint64_t term)
{
    struct buffer wanted = {0};
    struct log_head head;
    struct bytes contents;
    contents_of(index, &wanted);
    bool is_there = read_entry(&scene->bench, scene->log, index, &head, &contents) == LOG_OK &&
                    head.term == term && head.index == index &&
                    bytes_equal(contents, buffer_bytes(&wanted));
    buffer_free(&wanted);
    return is_there;
}

TEST(an_entry_is_durable_with_its_batch)
{
    struct scene scene;
    open_scene(&scene);
    append(&scene, 1, 1);
    append(&scene, 2, 1);
    is_int(group_log_last(scene.log), 2, "both are there");
    is_int(group_log_durable(scene.log), 0, "and not durable");
    bench_wait(&scene.bench);
    is_int(group_log_durable(scene.log), 2, "until their batch is");
    append(&scene, 3, 1);
    reopen(&scene, CRASH_DROP);
    ok(scene.log, "the log is there after a loss of power");
    is_int(group_log_last(scene.log), 2, "with what was durable, and no more");
    ok(has(&scene, 1, 1) && has(&scene, 2, 1), "as it was");
    bench_free(&scene.bench);
}

TEST(another_entry_in_its_place_cuts_those_behind)
{
    struct scene scene;
    open_scene(&scene);
    for (uint64_t index = 1; index <= 5; index++)
        append(&scene, index, 1);
    bench_wait(&scene.bench);
    append(&scene, 3, 2);
    is_int(group_log_last(scene.log), 3, "it is the last one");
    is_int(group_log_durable(scene.log), 2, "and not durable, as the one before was");
    is_int(group_log_term(scene.log, 3), 2, "of its own term");
    bench_wait(&scene.bench);
    reopen(&scene, CRASH_DROP);
    is_int(group_log_last(scene.log), 3, "so it is after a loss of power");
    ok(has(&scene, 3, 2), "as it was");
    ok(!has(&scene, 4, 1), "without those that were behind the other");
    bench_free(&scene.bench);
}

TEST(what_was_only_cut_comes_again)
{
    struct scene scene;
    open_scene(&scene);
    append(&scene, 1, 1);
    append(&scene, 2, 1);
    bench_wait(&scene.bench);
    group_log_cut(scene.log, 2);
    is_int(group_log_last(scene.log), 1, "it is gone");
    bench_wait(&scene.bench);
    reopen(&scene, CRASH_KEEP);
    is_int(group_log_last(scene.log), 2, "a start finds it, which is as if it had been cut later");
    bench_free(&scene.bench);
}

TEST(an_image_has_no_more_than_the_log)
{
    struct scene scene;
    open_scene(&scene);
    for (uint64_t index = 1; index <= 5; index++)
        append(&scene, index, 1);
    bench_wait(&scene.bench);
    bench_turns(&scene.bench, 4, 40000);
    group_log_cut(scene.log, 3);
    bench_turns(&scene.bench, 4, 40000);
    bench_crash(&scene.bench, CRASH_DROP);
    is_int(store_check(&scene.bench.options, bench_print_line, NULL, NULL), 0, "the store is sound");
    bench_open(&scene.bench);
    scene.log = group_log_find(scene.bench.store, 7);
    is_int(group_log_last(scene.log), 2, "what was cut before a checkpoint does not come again");
    ok(has(&scene, 2, 1), "the rest is there");
    bench_free(&scene.bench);
}

TEST(a_vote_outlives_the_log)
{
    struct scene scene;
    char text[40];
    uint64_t vote;
    open_scene(&scene);
    group_log_vote(scene.log, 4, 11);
    append(&scene, 1, 4);
    struct log_floor floor = {.index = 90, .term = 3, .chain = 5, .note = note_of(90, text)};
    group_log_begin(scene.bench.store, 7, &floor);
    is_int(group_log_last(scene.log), 90, "begun anew at another index");
    bench_wait(&scene.bench);
    reopen(&scene, CRASH_DROP);
    is_int(group_log_last(scene.log), 90, "so it is after a loss of power");
    is_int(group_log_floor(scene.log).term, 3, "with the term of before");
    is_int(group_log_vote_term(scene.log, &vote), 4, "the vote is that of its term");
    is_int(vote, 11, "for the same");
    bench_turns(&scene.bench, 4, 40000);
    reopen(&scene, CRASH_DROP);
    is_int(group_log_vote_term(scene.log, &vote), 4, "so it is by a checkpoint");
    group_log_leave(scene.log);
    bench_wait(&scene.bench);
    reopen(&scene, CRASH_DROP);
    ok(!scene.log, "who leaves has neither");
    bench_free(&scene.bench);
}

TEST(old_entries_are_read_back)
{
    struct scene scene;
    open_scene(&scene);
    scene.bench.options.group_cache_bytes = 4000;
    reopen(&scene, CRASH_KEEP);
    char text[40];
    struct log_floor floor = {.index = 0, .note = note_of(0, text)};
    scene.log = group_log_begin(scene.bench.store, 7, &floor);
    for (uint64_t index = 1; index <= 600; index++) {
        append(&scene, index, 1);
        if (index % 8 == 0)
            bench_wait(&scene.bench);
    }
    bench_wait(&scene.bench);
    ok(scene.bench.store->groups.recent_bytes <= 4000, "little of them is in memory");
    bool are_there = true;
    for (uint64_t index = 1; index <= 600; index++)
        are_there = are_there && has(&scene, index, 1);
    ok(are_there, "all of them are read, in order");
    ok(has(&scene, 3, 1) && has(&scene, 599, 1) && has(&scene, 42, 1), "and out of it");
    uint64_t size;
    char name[32];
    segment_name(name, group_log_entry(scene.log, 5)->segment);
    uint8_t *bytes = disk_memory_contents(scene.bench.memory, name, &size);
    bytes[group_log_entry(scene.log, 5)->offset + RECORD_HEADER + 3] ^= 1;
    struct log_head head;
    struct bytes contents;
    is_int(read_entry(&scene.bench, scene.log, 5, &head, &contents), LOG_DAMAGED,
           "one whose bytes were changed is damaged");
    ok(has(&scene, 6, 1), "the one behind it is not");
    bench_free(&scene.bench);
}

/* Notes of so many bytes, in memory that is held by whoever asks for it. */
static struct log_contents notes_of(size_t count, size_t size)
{
    struct buffer note = {0};
    struct shared *shared = shared_new();
    memset(buffer_room(&note, size), 'n', size);
    buffer_added(&note, size);
    for (size_t i = 0; i < count; i++)
        content_add(&shared->bytes, RECORD_NOTE, buffer_bytes(&note));
    buffer_free(&note);
    struct log_contents contents = log_contents_of(buffer_bytes(&shared->bytes));
    contents.shared = shared;
    return contents;
}

static bool reads(struct scene *scene, uint64_t index, const struct log_contents *wanted)
{
    struct log_head head;
    struct bytes contents;
    return read_entry(&scene->bench, scene->log, index, &head, &contents) == LOG_OK &&
           bytes_equal(contents, wanted->bytes);
}

/* What is large is in memory once, whoever needs it, and costs a turn no more than what is small. */
static void hold_large(size_t count, size_t size)
{
    struct scene scene;
    struct log_contents large = notes_of(count, size);
    struct shared *shared = large.shared;
    struct log_head head = {.index = 1, .term = 1, .kind = 1};
    struct bytes contents;
    const char *wrong;
    open_scene(&scene);
    struct journal *journal = &scene.bench.store->journal;
    scene.bench.store->options.group_cache_bytes = 0;
    uint32_t chain = group_log_add(scene.log, &head, &large);
    is_int(chain, group_log_chain_of(0, &head, large.checksum), "its chain is by the checksum");
    ok(journal->filling->bytes.size < 1000, "its batch has a copy of %zu bytes of it", journal->filling->bytes.size);
    is_int(group_log_read(scene.log, 1, &head, &contents), LOG_OK, "it is there");
    ok(contents.data == large.bytes.data && group_log_shared(scene.log, 1) == shared, "where it was");
    bench_wait(&scene.bench);
    ok(journal->write.block_size < 100000, "it was written from there: %zu bytes were put together",
       journal->write.block_size);
    is_int(shared->refs, 2, "and is held, as it was not applied");
    group_log_committed(scene.log, 1);
    is_int(group_log_apply(scene.log, &wrong), LOG_OK, "it is applied");
    bench_turns(&scene.bench, 3, 1);
    is_int(shared->refs, 1, "then nobody holds it");
    ok(reads(&scene, 1, &large), "it is read back");
    struct shared *again = shared_ref(group_log_shared(scene.log, 1));
    is_int(again != NULL, count == 1, "and one record is read into memory that can be held");
    reopen(&scene, CRASH_DROP);
    ok(!again || bytes_equal(large.bytes, bytes_of(again->bytes.data + again->bytes.size - large.bytes.size,
                                                   large.bytes.size)),
       "which is as it was without the log");
    shared_unref(again);
    is_int(group_log_chain(scene.log, 1), chain, "a start finds it");
    ok(reads(&scene, 1, &large), "and what it says");
    uint64_t file_size;
    char name[32];
    segment_name(name, group_log_entry(scene.log, 1)->segment);
    reopen(&scene, CRASH_DROP);
    uint8_t *bytes = disk_memory_contents(scene.bench.memory, name, &file_size);
    bytes[group_log_entry(scene.log, 1)->offset + size / 2] ^= 1;
    is_int(read_entry(&scene.bench, scene.log, 1, &head, &contents), LOG_DAMAGED, "one whose bytes were changed is damaged");
    shared_unref(shared);
    bench_free(&scene.bench);
}

TEST(what_is_large_is_not_copied)
{
    hold_large(1, 3 << 20);
}

TEST(what_is_large_and_has_several_records_is_not_copied)
{
    hold_large(3, 1 << 20);
}

TEST(a_floor_lets_segments_go)
{
    struct scene scene;
    char text[40];
    open_scene(&scene);
    for (uint64_t index = 1; index <= 300; index++) {
        append(&scene, index, 1);
        bench_turns(&scene.bench, 1, 101);
    }
    bench_wait(&scene.bench);
    bench_turns(&scene.bench, 4, 40000);
    uint64_t segments = store_stats(scene.bench.store)->segments;
    ok(segments > 8, "%llu segments have it", (unsigned long long)segments);
    group_log_committed(scene.log, 290);
    group_log_applied(scene.log, 290);
    ok(group_log_raise(scene.log, 290, note_of(290, text)), "the floor is raised");
    bench_turns(&scene.bench, 8, 40000);
    ok(store_stats(scene.bench.store)->segments < segments / 2, "most of them go");
    reopen(&scene, CRASH_DROP);
    is_int(group_log_floor(scene.log).index, 290, "the floor is there");
    is_int(group_log_kept(scene.log), 290, "and how far it was applied");
    is_bytes(group_log_floor(scene.log).note.data, group_log_floor(scene.log).note.size, text,
             strlen(text), "with its note");
    ok(has(&scene, 291, 1) && has(&scene, 300, 1), "what is behind it stays");
    bench_free(&scene.bench);
}

/* A queue that only an entry speaks of. */
enum { SPOKEN_OF = 99 };

static void append_queue(struct scene *scene, uint64_t index)
{
    struct buffer contents = {0}, id = {0};
    struct log_head head = head_of(index, 1, index);
    buffer_add_u64(&id, SPOKEN_OF);
    content_add(&contents, RECORD_QUEUE, buffer_bytes(&id));
    group_log_append(scene->log, &head, buffer_bytes(&contents));
    buffer_free(&contents);
    buffer_free(&id);
}

TEST(what_an_entry_says_is_not_done)
{
    struct scene scene;
    open_scene(&scene);
    append_queue(&scene, 1);
    bench_wait(&scene.bench);
    ok(!idmap_find(&scene.bench.store->indexes, SPOKEN_OF), "not when it is appended");
    reopen(&scene, CRASH_KEEP);
    ok(!idmap_find(&scene.bench.store->indexes, SPOKEN_OF), "and not by a start");
    is_int(group_log_last(scene.log), 1, "which finds it");
    bench_free(&scene.bench);
}

struct said {
    int left_out, lines;
};

static void hear(void *context, const char *line)
{
    struct said *said = context;
    said->lines++;
    said->left_out += strncmp(line, "left out: the log of group 7;", 29) == 0;
}

static void hear_name(void *context, const char *name)
{
    (void)context;
    (void)name;
}

TEST(a_salvage_leaves_it_out)
{
    struct scene scene;
    struct said said = {0};
    struct salvage salvage = {hear, hear_name, &said};
    char error[600];
    open_scene(&scene);
    struct bench *bench = &scene.bench;
    append_queue(&scene, 1);
    append_queue(&scene, 2);
    bench_publish(bench, 1, 100);
    bench_wait(bench);
    bench_turns(bench, 4, 40000);
    append_queue(&scene, 3);
    bench_publish(bench, 1, 100);
    bench_wait(bench);
    bench_crash(bench, CRASH_KEEP);
    struct kv *old = bench->kv, *fresh = kv_memory_new();
    bench->options.kv = bench->kv = fresh;
    ok(old->ops->open(old) >= 0, "the old index is there");
    bench->store = store_salvage(&bench->options, old, bench->now_ms, &salvage, error, sizeof(error));
    old->ops->close(old);
    if (ok(bench->store, "it is salvaged")) {
        ok(!group_log_find(bench->store, 7), "without the log");
        ok(!idmap_find(&bench->store->indexes, SPOKEN_OF), "or what it says");
        is_int(said.left_out, 1, "which is told once, in one of %d lines", said.lines);
        struct index *index = store_queue_find(bench->store, 1, bench);
        is_int(index ? index->ready : 0, 2, "the messages of this broker alone are there");
        is_int(store_salvage_write(bench->store), 0, "written");
        store_close(bench->store);
        is_int(store_check(&bench->options, bench_print_line, NULL, NULL), 0, "and a store that is sound");
        bench_open(bench);
    }
    kv_memory_free(old);
    bench_free(bench);
}

/* ---- histories ---- */

struct op {
    enum record_type type;
    uint64_t batch;
    uint64_t group;
    uint64_t index, term;
    uint64_t number; /* ENTRY: of its contents. VOTE: for whom */
    uint32_t chain;
};

/* A group as the list of what was recorded has it. */
struct view {
    bool is_there;
    uint64_t floor, floor_term, last, commit, vote_term, vote;
    uint32_t floor_chain;
    const struct op *entries[INDEXES_MAX];
};

struct met {
    uint64_t crashes, cuts, begun_anew, raised, left, checkpoints, compactions, retired, reads;
};

struct history {
    struct bench bench;
    struct random random;
    struct op *ops;
    size_t count, capacity;
    uint64_t term, numbers;
    uint64_t applied[GROUPS + 1]; /* as it is now */
    struct met *met;
    const char *wrong;
};

static void view_of(const struct history *history, uint64_t group, struct view *view)
{
    memset(view, 0, sizeof(*view));
    for (size_t i = 0; i < history->count; i++) {
        const struct op *op = &history->ops[i];
        if (op->group != group)
            continue;
        if (op->type == RECORD_ENTRY) {
            view->last = op->index;
            view->entries[op->index] = op;
        } else if (op->type == RECORD_FLOOR) {
            view->is_there = true;
            view->floor = view->last = view->commit = op->index;
            view->floor_term = op->term;
            view->floor_chain = op->chain;
        } else if (op->type == RECORD_VOTE) {
            view->vote_term = op->term;
            view->vote = op->number;
        } else if (op->type == RECORD_COMMIT) {
            view->commit = op->index;
        } else {
            memset(view, 0, sizeof(*view));
        }
    }
}

static void note_op(struct history *history, struct op op)
{
    op.batch = history->bench.store->journal.filling->number;
    history->ops =
        mem_grow(history->ops, &history->capacity, history->count + 1, sizeof(*history->ops));
    history->ops[history->count++] = op;
}

static void must(struct history *history, bool holds, const char *what)
{
    if (!holds && !history->wrong)
        history->wrong = what;
}

/* Is the entry what was appended there last? */
static void check_entry(struct history *history, struct group_log *log, const struct op *op)
{
    struct buffer wanted = {0};
    struct log_head head, expected = head_of(op->index, op->term, op->number);
    struct bytes contents;
    enum log_result result = read_entry(&history->bench, log, op->index, &head, &contents);
    must(history, result == LOG_OK, "an entry cannot be read");
    if (result != LOG_OK)
        return;
    contents_of(op->number, &wanted);
    must(history,
         head.index == expected.index && head.term == expected.term &&
             head.stamp_ms == expected.stamp_ms && head.catalogue == expected.catalogue &&
             head.kind == expected.kind,
         "an entry says something else");
    must(history, bytes_equal(contents, buffer_bytes(&wanted)), "an entry has other contents");
    must(history, group_log_chain(log, op->index) == op->chain, "an entry has another chain");
    buffer_free(&wanted);
    history->met->reads++;
}

static void check_floor(struct history *history, const struct group_log *log,
                        const struct view *view)
{
    char text[40];
    struct log_floor floor = group_log_floor(log);
    const struct op *op = view->entries[floor.index];
    bool is_first = floor.index == view->floor;
    must(history, floor.index >= view->floor && floor.index <= view->last, "a floor that never was");
    must(history, floor.index <= group_log_kept(log), "a floor above what is applied");
    must(history, floor.term == (is_first ? view->floor_term : op ? op->term : 0),
         "the term of a floor");
    must(history, floor.chain == (is_first ? view->floor_chain : op ? op->chain : 0),
         "the chain of a floor");
    must(history, bytes_equal(floor.note, note_of(floor.index, text)), "the note of a floor");
}

static void check_group(struct history *history, uint64_t group)
{
    static struct view view; /* it is large */
    struct group_log *log = group_log_find(history->bench.store, group);
    uint64_t vote;
    view_of(history, group, &view);
    must(history, view.is_there == (log != NULL), "a group comes or goes");
    if (!log)
        return;
    must(history, group_log_last(log) == view.last, "where a log ends");
    must(history, group_log_durable(log) == view.last, "what was found counts as durable");
    must(history, group_log_commit(log) == view.commit, "what is known to be committed");
    must(history, group_log_vote_term(log, &vote) == view.vote_term && vote == view.vote, "a vote");
    must(history, group_log_kept(log) <= view.commit, "more is applied than was committed");
    if (group_log_last(log) != view.last)
        return;
    check_floor(history, log, &view);
    for (uint64_t index = group_log_floor(log).index + 1; index <= view.last && !history->wrong;
         index++)
        check_entry(history, log, view.entries[index]);
    history->applied[group] = group_log_kept(log);
}

/* What was recorded in batches that are not there was not recorded. */
static void check_all(struct history *history, uint64_t durable)
{
    uint64_t written = history->bench.store->journal.written;
    must(history, written >= durable, "a batch that was durable is not there");
    while (history->count && history->ops[history->count - 1].batch > written)
        history->count--;
    for (uint64_t group = 1; group <= GROUPS; group++)
        check_group(history, group);
}

static void note_stats(struct history *history)
{
    const struct store_stats *stats = store_stats(history->bench.store);
    history->met->checkpoints += stats->checkpoints;
    history->met->compactions += stats->compactions;
    history->met->retired += stats->segments_retired;
}

static void crash(struct history *history)
{
    uint64_t durable = history->bench.store->journal.durable;
    note_stats(history);
    bench_crash(&history->bench, (enum crash)random_below(&history->random, 3));
    bench_open(&history->bench);
    history->met->crashes++;
    check_all(history, durable);
}

static void close_and_check(struct history *history)
{
    uint64_t filling = history->bench.store->journal.filling->number;
    note_stats(history);
    store_close(history->bench.store);
    must(history, store_check(&history->bench.options, bench_print_line, NULL, NULL) == 0,
         "the store is not sound");
    bench_open(&history->bench);
    check_all(history, filling - 1);
}

static struct group_log *some_log(struct history *history)
{
    return group_log_find(history->bench.store, 1 + random_below(&history->random, GROUPS));
}

static void append_some(struct history *history, struct group_log *log)
{
    struct buffer contents = {0};
    uint64_t group = group_log_group(log), last = group_log_last(log), from = group_log_commit(log) + 1;
    uint64_t index = last + 1;
    if (random_below(&history->random, 8) == 0 && from <= last) {
        index = from + random_below(&history->random, last + 1 - from);
        history->term++;
        history->met->cuts++;
    }
    if (index >= INDEXES_MAX)
        return;
    uint64_t number = ++history->numbers;
    struct log_head head = head_of(index, history->term, number);
    contents_of(number, &contents);
    uint32_t chain = append_contents(log, &head, buffer_bytes(&contents));
    note_op(history, (struct op){RECORD_ENTRY, 0, group, index, head.term, number, chain});
    buffer_free(&contents);
}

static void begin_some(struct history *history, uint64_t group)
{
    char text[40];
    struct group_log *log = group_log_find(history->bench.store, group);
    uint64_t base = log ? history->applied[group] : 0;
    struct log_floor floor = {.index = base + random_below(&history->random, 20),
                              .term = ++history->term,
                              .chain = (uint32_t)random_next(&history->random)};
    if (floor.index + 600 > INDEXES_MAX)
        return;
    floor.note = note_of(floor.index, text);
    history->met->begun_anew += log != NULL;
    group_log_begin(history->bench.store, group, &floor);
    history->applied[group] = floor.index;
    note_op(history, (struct op){RECORD_FLOOR, 0, group, floor.index, floor.term, 0, floor.chain});
}

static void commit_some(struct history *history, struct group_log *log)
{
    uint64_t from = group_log_commit(log), last = group_log_last(log);
    uint64_t index = from + random_below(&history->random, last + 1 - from);
    if (index == from)
        return;
    group_log_committed(log, index);
    note_op(history, (struct op){RECORD_COMMIT, 0, group_log_group(log), index, 0, 0, 0});
}

static void apply_some(struct history *history, struct group_log *log)
{
    uint64_t group = group_log_group(log), from = history->applied[group];
    uint64_t index = from + random_below(&history->random, group_log_commit(log) + 1 - from);
    group_log_applied(log, index);
    history->applied[group] = index;
}

static void raise_some(struct history *history, struct group_log *log)
{
    char text[40];
    uint64_t group = group_log_group(log), from = group_log_floor(log).index;
    uint64_t index = from + random_below(&history->random, history->applied[group] + 1 - from);
    if (!group_log_raise(log, index, note_of(index, text)))
        return;
    history->met->raised++;
}

static void cut_some(struct history *history, struct group_log *log)
{
    uint64_t from = group_log_commit(log) + 1, last = group_log_last(log);
    if (from > last)
        return;
    /* It is not on record: so the entry that it cuts is appended at once. */
    uint64_t index = from + random_below(&history->random, last + 1 - from);
    group_log_cut(log, index);
    must(history, group_log_last(log) == index - 1, "what was cut is there");
    must(history, group_log_durable(log) < index, "what was cut is durable");
    struct buffer contents = {0};
    uint64_t number = ++history->numbers;
    struct log_head head = head_of(index, ++history->term, number);
    contents_of(number, &contents);
    uint32_t chain = append_contents(log, &head, buffer_bytes(&contents));
    note_op(history, (struct op){RECORD_ENTRY, 0, group_log_group(log), index, head.term, number, chain});
    buffer_free(&contents);
    must(history, group_log_durable(log) < index, "what was just appended is durable");
}

static void vote_some(struct history *history, struct group_log *log)
{
    uint64_t vote = random_below(&history->random, 5);
    group_log_vote(log, ++history->term, vote);
    note_op(history, (struct op){RECORD_VOTE, 0, group_log_group(log), 0, history->term, vote, 0});
}

static void read_some(struct history *history, struct group_log *log)
{
    static struct view view;
    uint64_t from = group_log_floor(log).index, last = group_log_last(log);
    if (from == last)
        return;
    view_of(history, group_log_group(log), &view);
    check_entry(history, log, view.entries[from + 1 + random_below(&history->random, last - from)]);
}

static void leave_some(struct history *history, struct group_log *log)
{
    uint64_t group = group_log_group(log);
    group_log_leave(log);
    note_op(history, (struct op){RECORD_LEAVE, 0, group, 0, 0, 0, 0});
    history->applied[group] = 0;
    history->met->left++;
}

static void act_on(struct history *history, struct group_log *log)
{
    uint64_t what = random_below(&history->random, 100);
    if (what < 60)
        append_some(history, log);
    else if (what < 68)
        commit_some(history, log);
    else if (what < 76)
        apply_some(history, log);
    else if (what < 82)
        raise_some(history, log);
    else if (what < 86)
        cut_some(history, log);
    else if (what < 90)
        vote_some(history, log);
    else if (what < 98)
        read_some(history, log);
    else if (what < 99)
        begin_some(history, group_log_group(log));
    else
        leave_some(history, log);
}

static void act(struct history *history)
{
    uint64_t what = random_below(&history->random, 100);
    struct group_log *log = some_log(history);
    if (what < 55 && log)
        act_on(history, log);
    else if (what < 57 && !log)
        begin_some(history, 1 + random_below(&history->random, GROUPS));
    else if (what < 68)
        bench_publish(&history->bench, 1 + (unsigned)random_below(&history->random, 3),
                      (uint32_t)random_below(&history->random, 2000));
    else if (what < 76)
        bench_take(&history->bench, (int)random_below(&history->random, BENCH_QUEUES), true);
    else if (what < 94)
        bench_turns(&history->bench, 1, 1 + random_below(&history->random, 60));
    else if (what < 97)
        bench_turns(&history->bench, 2, 40000);
    else if (what < 98)
        bench_wait(&history->bench);
    else if (what < 99)
        crash(history);
    else
        close_and_check(history);
}

/* When all groups are left and all queues empty, nothing is held. */
static void end_of(struct history *history)
{
    for (uint64_t group = 1; group <= GROUPS; group++) {
        struct group_log *log = group_log_find(history->bench.store, group);
        if (log)
            leave_some(history, log);
    }
    for (int queue = 0; queue < BENCH_QUEUES; queue++)
        bench_take_all(&history->bench, queue);
    bench_turns(&history->bench, 10, 40000);
    must(history, store_stats(history->bench.store)->live_bytes == 0, "something is held at the end");
}

static bool history_of(uint64_t seed, void *context)
{
    struct history *history = mem_zalloc(sizeof(*history));
    history->met = context;
    random_init(&history->random, seed);
    bench_init(&history->bench);
    history->bench.options.group_cache_bytes = 2000 + random_below(&history->random, 60000);
    history->bench.options.batch_large_bytes = random_below(&history->random, 3) ? 4u << 20 : 4096;
    history->bench.options.group_shared_bytes = seed % 2 ? 300 : 3000;
    bench_open(&history->bench);
    uint64_t steps = 100 + random_below(&history->random, 900);
    for (uint64_t i = 0; i < steps && !history->wrong; i++)
        act(history);
    if (!history->wrong)
        close_and_check(history);
    if (!history->wrong)
        end_of(history);
    if (history->wrong)
        diag("seed %llu: %s", (unsigned long long)seed, history->wrong);
    note_stats(history);
    bool is_good = !history->wrong;
    bench_free(&history->bench);
    mem_free(history->ops);
    mem_free(history);
    return is_good;
}

int main(int argc, char **argv)
{
    struct met met = {0};
    if (argc == 1) {
        RUN(an_entry_is_durable_with_its_batch);
        RUN(another_entry_in_its_place_cuts_those_behind);
        RUN(what_was_only_cut_comes_again);
        RUN(an_image_has_no_more_than_the_log);
        RUN(a_vote_outlives_the_log);
        RUN(old_entries_are_read_back);
        RUN(what_is_large_is_not_copied);
        RUN(what_is_large_and_has_several_records_is_not_copied);
        RUN(a_floor_lets_segments_go);
        RUN(what_an_entry_says_is_not_done);
        RUN(a_salvage_leaves_it_out);
    }
    bench_histories(argc, argv, 150, "logs of groups are what was recorded", history_of, &met);
    if (argc == 1)
        ok(met.crashes && met.cuts && met.begun_anew && met.raised && met.left && met.checkpoints &&
               met.compactions && met.retired && met.reads,
           "all of it happened: %llu crashes, %llu cuts, %llu begun anew, %llu raised, %llu left, "
           "%llu checkpoints, %llu compactions, %llu segments retired, %llu entries read",
           (unsigned long long)met.crashes, (unsigned long long)met.cuts,
           (unsigned long long)met.begun_anew, (unsigned long long)met.raised,
           (unsigned long long)met.left, (unsigned long long)met.checkpoints,
           (unsigned long long)met.compactions, (unsigned long long)met.retired,
           (unsigned long long)met.reads);
    return done();
}
