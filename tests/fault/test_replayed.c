/* What replay makes of the journal is what the living store has: random histories, held against
 * themselves. A history publishes, takes, settles, returns, purges, drops from the head, makes and
 * drops queues and names; under it chunks are spilled and read, segments are rolled and compacted,
 * checkpoints are written. Every now and then, when all of it is durable, a second store opens a copy
 * of the disk, and the two are compared; or the store itself ends, in order or not, and what comes back
 * is compared with what it was.
 *
 * Equal are: the queues that survive, of which one is mostly a part of another; the last number that
 * one has; in each of them the messages that do, by number, with the place of the record, how many
 * hold it, expiry, priority, size of the body, how often it came back and until when it waits; the
 * bytes that are ready, in a history whose messages are of one size (in others those of cold chunks
 * are about right); the delivered mark; names and their values; where a needed segment ends, and with
 * which batch; and, by store_audit, what each segment counts as live. (An orderly end goes on
 * compacting: after it places are others.)
 *
 * Not promised, and so not compared: what was taken (it is ready again); messages and queues that
 * do not survive; numbers that were given and left no record (the next one is above every message
 * and the mark, and not above what it was, unless the mark is); how messages lie in chunks.
 *
 *     test_replayed.t [SEED [HISTORIES]] */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "tests/fault/bench.h"
#include "tests/lib/store_audit.h"
#include "tests/lib/tap.h"

enum { QUEUES = 4, NAMES = 8, TAKEN_MAX = 256, RETRIES_MAX = 20 };
enum { STEPS = 2500, COMPARED_EVERY = 120 };
enum { CLOCK_MAX = 1 << 30 }; /* ms */

/* ---- what is compared ---- */

struct seen_message {
    uint64_t queue, sequence;
    struct place place;
    uint32_t destinations;
    uint64_t expires_ms;
    uint32_t body_size;
    uint8_t priority;
    uint32_t delivery_count;
    uint64_t until_ms;
};

struct seen_queue {
    uint64_t id, next_sequence, mark, taken_high, messages;
    uint64_t bytes;       /* of them, */
    uint64_t ready_bytes; /* and what the queue says is ready */
    uint64_t all_bytes;   /* of all its messages, and what the queue says that is */
    uint64_t said_bytes;
    uint64_t delayed;     /* of those that survive, */
    uint64_t all_delayed; /* and what the queue says */
};

struct snapshot {
    struct seen_message *messages;
    size_t count, capacity;
    struct seen_queue queues[64];
    size_t queues_count;
    uint64_t id_last; /* of queues */
    uint64_t names[NAMES]; /* their values; 0: it is not there */
};

static void see_entry(struct snapshot *seen, const struct chunk *chunk, uint32_t slot,
                      const struct entry *entry)
{
    if (!(entry->flags & ENTRY_RECORDED))
        return;
    if (seen->count == seen->capacity) {
        seen->capacity = seen->capacity ? seen->capacity * 2 : 256;
        seen->messages = mem_realloc(seen->messages, seen->capacity * sizeof(*seen->messages));
    }
    struct seen_message *message = &seen->messages[seen->count++];
    memset(message, 0, sizeof(*message));
    message->queue = chunk->queue_id;
    message->sequence = chunk->base + slot;
    message->place = entry_place(entry);
    message->destinations = entry_destinations(entry);
    message->expires_ms = entry->expires_ms;
    message->priority = entry->priority;
    message->body_size = entry->body_size;
    const struct returned *returned = returns_find(chunk->returns, slot);
    message->delivery_count = returned ? returned->count : 0;
    message->until_ms = returned ? returned->until_ms : 0;
}

static void see_chunk(struct store *store, struct snapshot *seen, const struct chunk *chunk)
{
    struct entry *entries = chunk->entries, *decoded = NULL;
    if (!entries) {
        struct buffer value = {0};
        uint8_t key[9];
        uint64_t *present = mem_zalloc_array(chunk->capacity / 64 + 1, 8);
        entries = decoded = mem_zalloc_array(chunk->capacity, sizeof(*decoded));
        blob_key(key, chunk->blob, false);
        if (kv_get_sealed(store->options.kv, bytes_of(key, sizeof(key)), &value) != 1 ||
            !chunk_decode(buffer_bytes(&value), entries, chunk->slots, present))
            bail("a blob is not to be had");
        buffer_free(&value);
        mem_free(present);
    }
    for (uint32_t slot = bit_next(chunk->live_bits, 0, chunk->slots); slot < chunk->slots;
         slot = bit_next(chunk->live_bits, slot + 1, chunk->slots))
        see_entry(seen, chunk, slot, &entries[slot]);
    mem_free(decoded);
}

static int by_id(const void *a, const void *b)
{
    const struct seen_queue *left = a, *right = b;
    return (left->id > right->id) - (left->id < right->id);
}

static int by_number(const void *a, const void *b)
{
    const struct seen_message *left = a, *right = b;
    if (left->queue != right->queue)
        return left->queue < right->queue ? -1 : 1;
    return (left->sequence > right->sequence) - (left->sequence < right->sequence);
}

static void see(struct store *store, struct snapshot *seen)
{
    uint64_t at = 0;
    struct index *index;
    *seen = (struct snapshot){.id_last = store->id_last};
    while ((index = idmap_next(&store->indexes, &at))) {
        if (index->id & STORE_ID_TRANSIENT)
            continue;
        size_t before = seen->count;
        for (uint32_t i = 0; i < index->chunks_count; i++)
            see_chunk(store, seen, index->chunks[index->chunks_first + i]);
        seen->queues[seen->queues_count++] =
            (struct seen_queue){.id = index->id,
                                .next_sequence = index->next_sequence,
                                .mark = index->mark_asked,
                                .taken_high = index->taken_high,
                                .messages = seen->count - before,
                                .ready_bytes = index->ready_bytes,
                                .said_bytes = index->bytes,
                                .all_delayed = index->delayed};
        struct seen_queue *queue = &seen->queues[seen->queues_count - 1];
        for (size_t i = before; i < seen->count; i++) {
            bool is_delayed = seen->messages[i].until_ms;
            queue->delayed += is_delayed;
            queue->bytes += is_delayed ? 0 : seen->messages[i].body_size;
            queue->all_bytes += seen->messages[i].body_size;
        }
    }
    qsort(seen->queues, seen->queues_count, sizeof(seen->queues[0]), by_id);
    if (seen->count)
        qsort(seen->messages, seen->count, sizeof(seen->messages[0]), by_number);
}

static void see_name(void *context, struct bytes key, struct bytes value)
{
    struct snapshot *seen = context;
    memcpy(&seen->names[key.data[0] - 'a'], value.data, value.size);
}

/* ---- a history ---- */

struct history {
    struct bench bench;
    uint64_t seed, step;
    uint32_t size;                   /* of each body; 0: any */
    struct index *queue[QUEUES + 1]; /* the last one does not survive */
    uint64_t ids[QUEUES + 1], parts;
    struct taken_item {
        uint64_t sequence;
        int queue;
    } taken[TAKEN_MAX];
    size_t taken_count;
    uint64_t retries[RETRIES_MAX];
    size_t retries_count;
    uint64_t names[NAMES], values;
    bool failed;
    struct met {
        uint64_t compared, restarts, crashes, moved, cold, several, expiring, expired;
        uint64_t counted, counted_cold, several_times, delayed, retried, waiting;
        uint64_t checkpoints, spills, rolls, compactions, purges, drops, dropped, dropped_cold;
    } met;
};

static uint64_t below(struct history *h, uint64_t limit)
{
    return random_below(&h->bench.random, limit);
}

static void fail(struct history *h, const char *what, uint64_t queue, uint64_t number)
{
    if (!h->failed)
        diag("seed %" PRIu64 " step %" PRIu64 ": %s (queue %" PRIu64 ", %" PRIu64 ")", h->seed,
             h->step, what, queue, number);
    h->failed = true;
}

static void turns(struct history *h, int count, uint64_t ms)
{
    bench_turns(&h->bench, count, ms);
}

static void new_queue(struct history *h, int q)
{
    uint64_t id;
    /* The last that survives is mostly a part of the one before, each time another. */
    if (q == QUEUES - 1 && h->parts < STORE_PARTS - 1)
        id = store_part_id(store_part_queue(h->ids[q - 1]), (uint8_t)++h->parts);
    else
        id = store_queue_id(h->bench.store, q < QUEUES);
    h->ids[q] = id;
    h->queue[q] = store_queue(h->bench.store, id, h);
}

static void publish(struct history *h)
{
    struct index *queues[QUEUES + 1];
    uint64_t times[QUEUES + 1], kind = below(h, 6); /* 0: one time for all; 1: several; else: none */
    uint64_t all = kind ? 0 : 1 + below(h, CLOCK_MAX);
    size_t count = 0;
    uint64_t mask = below(h, 3) ? (uint64_t)1 << below(h, QUEUES + 1) : 1 + below(h, 31);
    for (int q = 0; q <= QUEUES; q++)
        if (mask >> q & 1)
            queues[count++] = h->queue[q];
    uint32_t size = (uint32_t)(below(h, 40) ? below(h, 300) : INSERT_MIN + below(h, 9000));
    if (h->size)
        size = h->size;
    struct message *message =
        message_new(&h->bench.pool, bytes_str("x"), bytes_str("key"), bytes_of("\0\0", 2), size);
    memset(message_body_start(message), (int)below(h, 256), size);
    message->body_filled = size;
    message->flags = below(h, 5) ? MESSAGE_PERSISTENT : 0;
    message->priority = (uint8_t)(below(h, 3) ? 0 : below(h, 10));
    for (size_t i = 0; i < count; i++)
        times[i] = kind == 1 ? 1 + below(h, CLOCK_MAX) : all;
    bool has_times = kind != 2 || below(h, 2) == 0;
    store_publish_timed(h->bench.store, message, queues, has_times ? times : NULL, count);
    message_unref(&h->bench.pool, message);
}

static void take(struct history *h)
{
    int q = (int)below(h, QUEUES + 1);
    bool settle = below(h, 3) == 0;
    struct taken taken;
    if (h->taken_count == TAKEN_MAX || index_take(h->queue[q], settle, &taken) != INDEX_OK)
        return;
    message_unref(&h->bench.pool, taken.message);
    if (!settle)
        h->taken[h->taken_count++] = (struct taken_item){taken.sequence, q};
}

/* As a full queue does: the first goes, whether it is in memory or not. */
static void drop_head(struct history *h)
{
    uint64_t sequence;
    int q = (int)below(h, QUEUES + 1);
    if (!index_take_head(h->queue[q], &sequence))
        return;
    const struct chunk *chunk = index_chunk(h->queue[q], sequence);
    h->met.dropped_cold += !chunk->entries;
    index_settle(h->queue[q], sequence);
    h->met.dropped++;
}

/* What has ended leaves from the head, to be settled at once or later, as a dead letter. */
static void expire(struct history *h)
{
    int q = (int)below(h, QUEUES + 1);
    uint64_t clock_ms = 1 + below(h, CLOCK_MAX), sequence;
    struct index *index = h->queue[q];
    while (h->taken_count < TAKEN_MAX && index_expire(index, clock_ms, &sequence) == INDEX_OK) {
        h->met.expired++;
        if (below(h, 2))
            index_settle(index, sequence);
        else
            h->taken[h->taken_count++] = (struct taken_item){sequence, q};
    }
}

/* Some of what is delayed is ready again. */
static void retry_one(void *context, uint64_t sequence, uint64_t until_ms)
{
    struct history *h = context;
    (void)until_ms;
    if (h->retries_count < RETRIES_MAX && below(h, 3) == 0)
        h->retries[h->retries_count++] = sequence;
}

static void retry(struct history *h)
{
    struct index *index = h->queue[below(h, QUEUES + 1)];
    h->retries_count = 0;
    index_delayed(index, retry_one, h);
    for (size_t i = 0; i < h->retries_count; i++)
        h->met.retried += index_retry(index, h->retries[i]);
}

static struct taken_item some_taken(struct history *h)
{
    size_t at = below(h, h->taken_count);
    struct taken_item item = h->taken[at];
    h->taken[at] = h->taken[--h->taken_count];
    return item;
}

static void end_taken(struct history *h)
{
    if (h->taken_count == 0)
        return;
    struct taken_item item = some_taken(h);
    switch (below(h, 8)) {
    case 0:
        index_return(h->queue[item.queue], item.sequence);
        break;
    case 1:
        index_delay(h->queue[item.queue], item.sequence, 1 + below(h, CLOCK_MAX));
        h->met.delayed++;
        break;
    case 2:
        index_redeliver(h->queue[item.queue], item.sequence);
        h->met.counted++;
        const struct chunk *chunk = index_chunk(h->queue[item.queue], item.sequence);
        h->met.counted_cold += !chunk->entries;
        break;
    default:
        index_settle(h->queue[item.queue], item.sequence);
    }
}

static void forget_taken(struct history *h, int q)
{
    size_t kept = 0;
    for (size_t i = 0; i < h->taken_count; i++)
        if (h->taken[i].queue != q)
            h->taken[kept++] = h->taken[i];
    h->taken_count = kept;
}

static void drop(struct history *h)
{
    int q = (int)below(h, QUEUES + 1);
    forget_taken(h, q);
    store_queue_delete(h->bench.store, h->queue[q]);
    new_queue(h, q);
    h->met.drops++;
}

static void name(struct history *h)
{
    uint64_t which = below(h, NAMES), value = below(h, 4) ? ++h->values : 0;
    uint8_t key[2] = {(uint8_t)('a' + which), 0};
    h->names[which] = value;
    if (value)
        store_catalogue_put(h->bench.store, bytes_of(key, 1), bytes_of(&value, sizeof(value)));
    else
        store_catalogue_delete(h->bench.store, bytes_of(key, 1));
}

static void act(struct history *h)
{
    uint64_t what = below(h, 400);
    if (what < 170)
        for (uint64_t i = 1 + below(h, 8); i; i--)
            publish(h);
    else if (what < 270)
        for (uint64_t i = 1 + below(h, 8); i; i--)
            take(h);
    else if (what < 350)
        for (uint64_t i = 1 + below(h, 6); i; i--)
            end_taken(h);
    else if (what < 351)
        drop(h);
    else if (what < 352)
        for (uint64_t i = 1 + below(h, 60); i; i--)
            drop_head(h);
    else if (what < 353)
        h->met.purges += index_purge(h->queue[below(h, QUEUES + 1)]) > 0;
    else if (what < 356)
        expire(h);
    else if (what < 358)
        retry(h);
    else if (what < 362)
        name(h);
    else if (what < 395)
        turns(h, 1 + (int)below(h, 3), below(h, 20));
    else if (what < 399)
        turns(h, 3, 400 + below(h, 900));
    else
        turns(h, 3, h->bench.options.checkpoint_ms / 2);
}

/* ---- comparing ---- */

static void compare_message(struct history *h, const struct seen_message *live,
                            const struct seen_message *back, bool ended)
{
    if (live->queue != back->queue || live->sequence != back->sequence)
        fail(h, "another message", live->queue, live->sequence);
    else if (!ended && memcmp(&live->place, &back->place, sizeof(live->place)) != 0)
        fail(h, "its record is elsewhere", live->queue, live->sequence);
    else if (!ended && live->destinations != back->destinations)
        fail(h, "others hold its record", live->queue, live->sequence);
    else if (live->expires_ms != back->expires_ms)
        fail(h, "it expires at another time", live->queue, live->sequence);
    else if (live->body_size != back->body_size)
        fail(h, "the size of its body", live->queue, live->sequence);
    else if (live->priority != back->priority)
        fail(h, "its priority", live->queue, live->sequence);
    else if (back->delivery_count != live->delivery_count)
        fail(h, "how often it came back", live->queue, live->sequence);
    else if (back->until_ms != live->until_ms)
        fail(h, "until when it waits", live->queue, live->sequence);
    h->met.several += live->destinations > 1;
    h->met.expiring += live->expires_ms > 0;
    h->met.several_times += live->delivery_count > 1;
    h->met.waiting += live->until_ms > 0;
}

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* `ended`: in order, so that the mark is where deliveries were. */
static void compare_queue(struct history *h, const struct seen_queue *live,
                          const struct seen_queue *back, uint64_t last, bool ended)
{
    if (live->id != back->id)
        fail(h, "another queue", live->id, back->id);
    else if (live->messages != back->messages)
        fail(h, "messages of a queue", live->id, back->messages);
    else if (live->delayed != back->all_delayed)
        fail(h, "delayed messages of a queue", live->id, back->all_delayed);
    else if (h->size && back->ready_bytes != live->bytes)
        fail(h, "bytes of a queue", live->id, back->ready_bytes);
    else if (h->size && back->said_bytes != live->all_bytes)
        fail(h, "bytes of all messages of a queue", live->id, back->said_bytes);
    else if (back->mark != (ended ? live->taken_high : live->mark))
        fail(h, "a queue's mark", live->id, back->mark);
    else if (back->next_sequence <= last || back->next_sequence < back->mark)
        fail(h, "a number that was used comes again", live->id, back->next_sequence);
    else if (back->next_sequence > larger(live->next_sequence, back->mark))
        fail(h, "numbers are left out", live->id, back->next_sequence);
}

/* The number of the queue's last message. */
static uint64_t last_of(const struct snapshot *seen, uint64_t queue)
{
    uint64_t last = 0;
    for (size_t i = 0; i < seen->count; i++)
        if (seen->messages[i].queue == queue)
            last = seen->messages[i].sequence;
    return last;
}

static void compare(struct history *h, const struct snapshot *live, const struct snapshot *back,
                    bool ended)
{
    h->met.compared++;
    if (live->queues_count != back->queues_count)
        fail(h, "how many queues there are", live->queues_count, back->queues_count);
    if (live->id_last != back->id_last)
        fail(h, "the last number of a queue", live->id_last, back->id_last);
    for (size_t i = 0; i < live->queues_count && !h->failed; i++)
        compare_queue(h, &live->queues[i], &back->queues[i], last_of(live, live->queues[i].id),
                      ended);
    for (size_t i = 0; i < live->count && !h->failed; i++)
        compare_message(h, &live->messages[i], &back->messages[i], ended);
    if (!h->failed && memcmp(h->names, back->names, sizeof(h->names)) != 0)
        fail(h, "names", 0, 0);
}

static void compare_segments(struct history *h, struct store *live, struct store *back)
{
    list_for_each(link, &live->journal.segments) {
        const struct segment *segment = list_entry(link, struct segment, link);
        if (segment->kept_entries == 0)
            continue;
        const struct segment *found = segment_find(&back->journal, segment->number);
        if (!found)
            fail(h, "a segment that is needed is not there", 0, segment->number);
        else if (found->size != segment->size || found->last_batch != segment->last_batch)
            fail(h, "where a segment ends", 0, segment->number);
    }
}

static void audit(struct history *h, struct store *store)
{
    const char *fault = store_audit(store);
    if (fault)
        fail(h, fault, 0, 0);
}

static void count_cold(struct history *h)
{
    for (int q = 0; q < QUEUES; q++)
        for (uint32_t i = 0; i < h->queue[q]->chunks_count; i++)
            h->met.cold += !h->queue[q]->chunks[h->queue[q]->chunks_first + i]->entries;
}

static bool is_quiet(const struct store *store)
{
    const struct journal *journal = &store->journal;
    return !store->image.job && !journal->is_writing && journal->durable == journal->written &&
           batch_is_empty(journal->filling);
}

/* All is durable. */
static void settle_down(struct history *h)
{
    for (int i = 0; i < 500 && !is_quiet(h->bench.store); i++) {
        store_want(h->bench.store, store_ticket(h->bench.store));
        turns(h, 1, 1);
    }
    if (!is_quiet(h->bench.store))
        bail("the store does not come to rest");
}

/* Opens a copy beside the store. */
static void compare_copy(struct history *h)
{
    struct store_options options = h->bench.options;
    struct message_pool pool;
    struct snapshot live, back;
    char error[600];
    settle_down(h);
    message_pool_init(&pool);
    options.pool = &pool;
    options.disk = disk_memory_copy(h->bench.memory);
    options.kv = kv_memory_copy(h->bench.kv);
    options.syncer = options.indexer = options.reader = worker_manual_new(true);
    see(h->bench.store, &live);
    count_cold(h);
    struct store *copy = store_open(&options, h->bench.now_ms, error, sizeof(error));
    if (!copy)
        bail("seed %" PRIu64 " step %" PRIu64 ": %s", h->seed, h->step, error);
    see(copy, &back);
    store_catalogue_each(copy, see_name, &back);
    compare(h, &live, &back, false);
    compare_segments(h, h->bench.store, copy);
    audit(h, copy);
    store_abandon(copy);
    mem_free(live.messages);
    mem_free(back.messages);
    worker_manual_free(options.reader);
    disk_memory_free(options.disk);
    kv_memory_free(options.kv);
    message_pool_free(&pool);
}

static void note_met(struct history *h)
{
    const struct store_stats *stats = store_stats(h->bench.store);
    h->met.moved += stats->messages_moved;
    h->met.checkpoints += stats->checkpoints;
    h->met.spills += stats->chunks_spilled;
    h->met.rolls += stats->segments_rolled;
    h->met.compactions += stats->compactions;
}

/* The store ends, and comes back. */
static void restart(struct history *h, bool in_order)
{
    struct bench *bench = &h->bench;
    struct snapshot live, back;
    char error[600];
    settle_down(h);
    see(bench->store, &live);
    note_met(h);
    if (in_order)
        store_close(bench->store);
    else
        bench_crash(bench, CRASH_DROP);
    bench->store = store_open(&bench->options, bench->now_ms, error, sizeof(error));
    if (!bench->store)
        bail("seed %" PRIu64 " step %" PRIu64 ": %s", h->seed, h->step, error);
    see(bench->store, &back);
    store_catalogue_each(bench->store, see_name, &back);
    compare(h, &live, &back, in_order);
    audit(h, bench->store);
    mem_free(live.messages);
    mem_free(back.messages);
    h->taken_count = 0;
    for (int q = 0; q < QUEUES; q++)
        h->queue[q] = store_queue(bench->store, h->ids[q], h);
    new_queue(h, QUEUES);
    h->met.restarts += in_order;
    h->met.crashes += !in_order;
}

static void begin(struct history *h, uint64_t seed, struct met *met)
{
    *h = (struct history){.seed = seed, .met = *met};
    struct bench *bench = &h->bench;
    bench_init(bench);
    random_init(&bench->random, seed);
    if (seed % 2 == 0)
        h->size = 1 + (uint32_t)below(h, 600);
    bench->options.segment_bytes = 65536;
    bench->options.chunk_entries = 48;
    bench->options.cache_bytes = 8192;
    bench->options.bodies_idle_bytes = 4096;
    bench->options.bodies_burst_bytes = 262144;
    bench->options.checkpoint_bytes = 131072;
    bench->options.mark_step = 40;
    bench->options.draft_steps = 128;
    if (seed % 3 == 0)
        bench->options.batch_large_bytes = 4096; /* batches are sealed over several turns */
    char error[600];
    bench->store = store_open(&bench->options, bench->now_ms, error, sizeof(error));
    for (int q = 0; q <= QUEUES; q++)
        new_queue(h, q);
}

static bool history(uint64_t seed, void *all_met)
{
    struct met *met = all_met;
    struct history *h = mem_zalloc(sizeof(*h));
    begin(h, seed, met);
    for (h->step = 1; h->step <= STEPS && !h->failed; h->step++) {
        act(h);
        if (h->step % COMPARED_EVERY)
            continue;
        if (below(h, 6) == 0)
            restart(h, below(h, 2));
        else
            compare_copy(h);
    }
    note_met(h);
    bench_free(&h->bench);
    *met = h->met;
    bool held = !h->failed;
    mem_free(h);
    return held;
}

static bool met_all(const struct met *met)
{
    diag("compared %" PRIu64 ", restarts %" PRIu64 " and %" PRIu64 ", moved %" PRIu64
         ", cold %" PRIu64 ", several %" PRIu64 ", expiring %" PRIu64 ", expired %" PRIu64,
         met->compared, met->restarts, met->crashes, met->moved, met->cold, met->several,
         met->expiring, met->expired);
    diag("returns counted %" PRIu64 ", of cold chunks %" PRIu64 ", again %" PRIu64
         ", delayed %" PRIu64 ", retried %" PRIu64 ", waiting %" PRIu64,
         met->counted, met->counted_cold, met->several_times, met->delayed, met->retried,
         met->waiting);
    diag("checkpoints %" PRIu64 ", spills %" PRIu64 ", rolls %" PRIu64 ", compactions %" PRIu64
         ", purges %" PRIu64 ", drops %" PRIu64 ", from the head %" PRIu64 " and %" PRIu64,
         met->checkpoints, met->spills, met->rolls, met->compactions, met->purges, met->drops,
         met->dropped, met->dropped_cold);
    return met->compared && met->restarts && met->crashes && met->moved && met->counted &&
           met->counted_cold && met->several_times && met->delayed && met->retried &&
           met->waiting && met->cold && met->several && met->expiring && met->expired &&
           met->checkpoints && met->spills && met->rolls && met->compactions && met->purges &&
           met->drops && met->dropped && met->dropped_cold;
}

int main(int argc, char **argv)
{
    struct met met = {0};
    bench_histories(argc, argv, 6, "what is replayed is what was", history, &met);
    ok(met_all(&met), "everything was met");
    return done();
}
