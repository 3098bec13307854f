/* A file of definitions, into a broker that has some already; one that begins with a space is of one
 * virtual host. Whatever it is, the import ends, and says why it fails if it does; then it is taken
 * back, and everything is as it was. What was imported is imported again without a change, is exported
 * to the same, and is what a start makes of its record. */
#include <assert.h>

#include "broker/undo.h"
#include "definitions/definitions.h"
#include "tests/fuzz/fuzz.h"
#include "tests/lib/broker_bench.h"

/* Of a part, so that a text of some objects takes some parts. */
enum { TURNS_MAX = 10000, PART_STEPS = 2000 };

static size_t faults;

static void tell(void *context, const struct definitions_remark *remark)
{
    (void)context;
    assert(remark->kind && remark->text[0]);
    faults += remark->is_fault;
}

/* Some of what files of the corpus have as well, and otherwise. */
static const char base[] =
    "{\"users\":[{\"name\":\"a\",\"password\":\"old\",\"tags\":\"monitoring\"}],"
    "\"vhosts\":[{\"name\":\"/\"},{\"name\":\"v\",\"description\":\"old\",\"tags\":[\"t\"]}],"
    "\"permissions\":[{\"user\":\"a\",\"vhost\":\"/\",\"configure\":\"\",\"write\":\"\",\"read\":\"\"}],"
    "\"topic_permissions\":[{\"user\":\"a\",\"vhost\":\"/\",\"exchange\":\"amq.topic\",\"write\":\"\","
    "\"read\":\"\"}],\"parameters\":[{\"component\":\"vhost-limits\",\"vhost\":\"v\",\"name\":\"limits\","
    "\"value\":{\"max-queues\":100}}],\"policies\":[{\"name\":\"p\",\"vhost\":\"/\",\"pattern\":\".\","
    "\"definition\":{\"max-length\":9}}],\"queues\":[{\"name\":\"q\",\"vhost\":\"/\",\"durable\":true}],"
    "\"exchanges\":[{\"name\":\"x\",\"vhost\":\"/\",\"type\":\"topic\",\"durable\":true}],"
    "\"bindings\":[{\"source\":\"x\",\"vhost\":\"/\",\"destination\":\"q\","
    "\"destination_type\":\"queue\",\"routing_key\":\"old\"}]}";

static struct vhost *vhost_of(struct bench *bench, struct bytes text)
{
    return bytes_start_with(text, " ") ? vhost_find(&bench->broker, bytes_str("/")) : NULL;
}

/* In parts. What is done is noted in `undo`, if that is not NULL. */
static bool import(struct bench *bench, struct bytes text, struct undo *undo)
{
    struct definitions_listener listener = {tell, NULL};
    struct definitions_counts counts;
    faults = 0;
    struct import *import =
        definitions_begin(&bench->broker, vhost_of(bench, text), text, &listener, &counts);
    for (bool has_more = true; has_more;) {
        struct budget budget = budget_of(PART_STEPS);
        undo_note_in(&bench->broker, undo);
        has_more = definitions_go_on(import, &budget);
        undo_pause(&bench->broker);
    }
    bool is_done = definitions_end(import);
    assert(is_done == (faults == 0));
    return is_done;
}

static struct buffer exported(const struct bench *bench)
{
    struct definitions_listener listener = {tell, NULL};
    struct definitions_origin origin = {"1", "3.13.7"};
    struct buffer text = {0};
    assert(definitions_export(&bench->broker, NULL, &origin, &listener, &text) == 0);
    return text;
}

/* What is exported is imported to the same. */
static void export(struct bench *bench)
{
    struct buffer first = exported(bench);
    assert(import(bench, buffer_bytes(&first), NULL));
    struct buffer second = exported(bench);
    assert(bytes_equal(buffer_bytes(&first), buffer_bytes(&second)));
    buffer_free(&first);
    buffer_free(&second);
}

/* Virtual hosts that were new go as any that is deleted, in the turns that follow. */
static void settle(struct bench *bench)
{
    int turns = 0;
    do {
        bench_turn(bench, 1);
        assert(++turns < TURNS_MAX);
    } while (broker_has_work_left(&bench->broker));
}

static void is_as_before(struct bench *bench, const struct buffer *before, size_t entries)
{
    struct buffer now = exported(bench);
    assert(bytes_equal(buffer_bytes(before), buffer_bytes(&now)));
    assert(store_fake_entries(bench->store) == entries);
    buffer_free(&now);
}

/* What failed, taken back. */
static void take_back(struct bench *bench, struct undo *undo, const struct buffer *before,
                      size_t entries)
{
    for (bool has_more = true; has_more;) {
        struct budget budget = budget_of(PART_STEPS);
        has_more = undo_take_back(&bench->broker, undo, &budget);
    }
    settle(bench);
    is_as_before(bench, before, entries);
    bench_restart(bench);
    is_as_before(bench, before, entries);
}

/* What went well, once more. */
static void go_on(struct bench *bench, struct bytes text)
{
    size_t entries = store_fake_entries(bench->store), queues = broker_queues(&bench->broker);
    assert(import(bench, text, NULL));
    assert(store_fake_entries(bench->store) == entries);
    assert(broker_queues(&bench->broker) == queues);
    export(bench);
    assert(store_fake_entries(bench->store) == entries);
    bench_restart(bench);
    assert(store_fake_entries(bench->store) == entries);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bench bench;
    struct undo undo = {0};
    struct bytes text = bytes_of(data, size);
    bench_new(&bench);
    assert(import(&bench, bytes_str(base), NULL));
    struct buffer before = exported(&bench);
    size_t entries = store_fake_entries(bench.store);
    if (import(&bench, text, &undo)) {
        struct budget budget = budget_of(INT64_MAX);
        undo_forget(&undo, &budget);
        go_on(&bench, text);
    } else {
        take_back(&bench, &undo, &before, entries);
    }
    buffer_free(&before);
    bench_free(&bench);
    return 0;
}
