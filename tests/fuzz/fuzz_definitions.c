/* A file of definitions. Whatever it is, the import ends, and says why it fails if it does; what
 * was imported is imported again without a change, is exported to the same, and is what a start
 * makes of its record. */
#include <assert.h>

#include "definitions/definitions.h"
#include "tests/fuzz/fuzz.h"
#include "tests/lib/broker_bench.h"

static size_t faults;

static void tell(void *context, const struct definitions_remark *remark)
{
    (void)context;
    assert(remark->kind && remark->text[0]);
    faults += remark->is_fault;
}

static bool import(struct bench *bench, struct bytes text)
{
    struct definitions_listener listener = {tell, NULL};
    struct definitions_counts counts;
    faults = 0;
    bool is_done = definitions_import(&bench->broker, text, &listener, &counts);
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
    assert(import(bench, buffer_bytes(&first)));
    struct buffer second = exported(bench);
    assert(bytes_equal(buffer_bytes(&first), buffer_bytes(&second)));
    buffer_free(&first);
    buffer_free(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bench bench;
    struct bytes text = bytes_of(data, size);
    bench_new(&bench);
    if (import(&bench, text)) {
        size_t entries = store_fake_entries(bench.store), queues = broker_queues(&bench.broker);
        assert(import(&bench, text));
        assert(store_fake_entries(bench.store) == entries);
        assert(broker_queues(&bench.broker) == queues);
        export(&bench);
        assert(store_fake_entries(bench.store) == entries);
        bench_restart(&bench);
        assert(store_fake_entries(bench.store) == entries);
    }
    bench_free(&bench);
    return 0;
}
