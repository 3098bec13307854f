/* A store and a model of it, under random work, random failures and random crashes.
 *
 * The model remembers what was promised: which messages are confirmed, which settles are durable,
 * which deliveries were made. After every crash the store is opened again and each queue is read to
 * its end; what is there must be what was promised, plus nothing that was never published. */
#include "campaign.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "disk_memory.h"
#include "kv_memory.h"
#include "store/store.h"
#include "store_audit.h"

enum { QUEUES = 5, NAMES = 8, TAKEN_MAX = 4096 };

enum life { READY, TAKEN, SETTLED };

/* One message in one queue. */
struct item {
    uint64_t id;       /* of the message, rising */
    uint64_t sequence; /* while taken */
    enum life life;
    bool survives;
    uint64_t confirm; /* ticket that makes it durable; 0: it is */
    uint64_t settle;  /* ticket of its settle */
    bool delivered;
    uint32_t returned; /* at most: a crash forgets what was not durable */
    bool settle_durable;
};

struct model_queue {
    uint64_t id;
    struct index *index;
    struct item *items;
    size_t count, capacity;
    uint64_t creation; /* ticket; 0: durable */
    bool is_unknown;   /* what it holds is not known to the model */
};

struct model_name {
    uint32_t durable;           /* value that must at least be there; 0: none */
    uint32_t values[64];        /* later ones, with tickets */
    uint64_t tickets[64];
    size_t count;
};

struct campaign {
    const struct campaign_options *o;
    struct random random;
    struct disk *disk;
    struct kv *kv;
    struct worker *syncer, *indexer, *reader;
    struct message_pool pool;
    struct store *store;
    uint64_t now_ms, next_id, next_value, parts;
    struct model_queue queues[QUEUES];
    struct model_name names[NAMES];
    struct campaign_report *report;
    bool failed;
};

static void fail(struct campaign *c, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void fail(struct campaign *c, const char *format, ...)
{
    va_list arguments;
    if (c->failed)
        return;
    c->failed = true;
    va_start(arguments, format);
    vsnprintf(c->report->fault, sizeof(c->report->fault), format, arguments);
    va_end(arguments);
}

static uint64_t below(struct campaign *c, uint64_t limit)
{
    return random_below(&c->random, limit);
}

/* ---- contents that tell what they are ---- */

static uint32_t body_size(uint64_t id)
{
    return (uint32_t)(id % 97 == 0 ? 20000 + id % 5000 : 8 + id * 7919 % 300);
}

static struct message *make_message(struct campaign *c, uint64_t id, bool persistent)
{
    uint32_t size = body_size(id);
    struct message *message = message_new(&c->pool, bytes_str("an exchange"), bytes_str("a.key"),
                                          bytes_of("\0\0", 2), size);
    uint8_t *body = message_body_start(message);
    for (uint32_t i = 0; i < size; i++)
        body[i] = (uint8_t)(id + i);
    memcpy(body, &id, 8);
    message->body_filled = size;
    message->flags = persistent ? MESSAGE_PERSISTENT : 0;
    return message;
}

static uint64_t read_message(struct campaign *c, const struct message *message)
{
    struct bytes body = message_body(message);
    uint64_t id = 0;
    if (body.size >= 8)
        memcpy(&id, body.data, 8);
    if (id == 0 || id >= c->next_id || body.size != body_size(id)) {
        fail(c, "a message that was never published: id %" PRIu64, id);
        return 0;
    }
    for (uint32_t i = 8; i < body.size; i++) {
        if (body.data[i] != (uint8_t)(id + i)) {
            fail(c, "message %" PRIu64 " is damaged at byte %u", id, i);
            return 0;
        }
    }
    if (!bytes_equal_str(message_exchange(message), "an exchange") ||
        !bytes_equal_str(message_routing_key(message), "a.key"))
        fail(c, "message %" PRIu64 " has lost its names", id);
    return id;
}

/* ---- the store under test ---- */

static void open_store(struct campaign *c)
{
    struct store_options options;
    char error[600];
    store_options_default(&options);
    options.disk = c->disk;
    options.kv = c->kv;
    options.syncer = c->syncer;
    options.indexer = c->indexer;
    options.reader = c->reader;
    options.pool = &c->pool;
    options.segment_bytes = c->o->segment_bytes;
    options.chunk_entries = 32;
    options.release_slots = 20;
    options.draft_steps = 2;
    options.cache_bytes = 2048;
    options.bodies_burst_bytes = 60000;
    options.bodies_idle_bytes = 2000;
    options.checkpoint_bytes = c->o->checkpoint_bytes;
    options.checkpoint_ms = 2000;
    options.recycle_segments = 2;
    if (c->o->seed % 2) /* batches are sealed over several turns */
        options.batch_large_bytes = 1000;
    options.mark_step = 8;
    options.disk_reserve_bytes = 20000;
    c->store = store_open(&options, c->now_ms, error, sizeof(error));
    if (!c->store)
        snprintf(c->report->refusal, sizeof(c->report->refusal), "%s", error);
}

static void add_stats(struct campaign *c)
{
    const struct store_stats *s = store_stats(c->store);
    struct campaign_report *r = c->report;
    r->settles += s->settles_written;
    r->rolls += s->segments_rolled;
    r->recycled += s->segments_recycled;
    r->retired += s->segments_retired;
    r->spills += s->chunks_spilled;
    r->loads += s->chunks_loaded;
    r->paged += s->bodies_paged;
    r->reads += s->bodies_read;
    r->checkpoints += s->checkpoints;
    r->compactions += s->compactions;
    r->moved += s->messages_moved;
    r->elided += s->records_elided;
    r->marks += s->marks_written;
}

/* ---- what is durable by now ---- */

static void note_durable(struct campaign *c)
{
    uint64_t durable = store_durable_index(c->store);
    for (int q = 0; q < QUEUES; q++) {
        struct model_queue *queue = &c->queues[q];
        if (queue->creation && queue->creation <= durable)
            queue->creation = 0;
        for (size_t i = 0; i < queue->count; i++) {
            struct item *item = &queue->items[i];
            if (item->confirm && item->confirm <= durable) {
                item->confirm = 0;
                c->report->confirms++;
            }
            if (item->life == SETTLED && item->settle <= durable)
                item->settle_durable = true;
        }
    }
    for (int n = 0; n < NAMES; n++) {
        struct model_name *name = &c->names[n];
        size_t gone = 0;
        while (gone < name->count && name->tickets[gone] <= durable)
            name->durable = name->values[gone++];
        memmove(name->values, name->values + gone, (name->count - gone) * sizeof(name->values[0]));
        memmove(name->tickets, name->tickets + gone,
                (name->count - gone) * sizeof(name->tickets[0]));
        name->count -= gone;
    }
}

/* ---- work ---- */

static struct item *add_item(struct model_queue *queue)
{
    if (queue->count == queue->capacity) {
        queue->capacity = queue->capacity ? queue->capacity * 2 : 64;
        queue->items = mem_realloc(queue->items, queue->capacity * sizeof(*queue->items));
    }
    struct item *item = &queue->items[queue->count++];
    *item = (struct item){0};
    return item;
}

static uint64_t ticket(struct campaign *c)
{
    return store_ticket(c->store).index;
}

static void do_publish(struct campaign *c)
{
    struct index *indexes[QUEUES];
    size_t count = 0;
    bool persistent = below(c, 5) > 0;
    uint64_t id = c->next_id++;
    uint64_t mask = below(c, 4) ? (uint64_t)1 << below(c, QUEUES) : 1 + below(c, (1 << QUEUES) - 1);
    for (int q = 0; q < QUEUES; q++) {
        if (!(mask >> q & 1))
            continue;
        struct model_queue *queue = &c->queues[q];
        struct item *item = add_item(queue);
        item->id = id;
        item->survives = persistent && !(queue->id & STORE_ID_TRANSIENT);
        item->confirm = ticket(c);
        indexes[count++] = queue->index;
    }
    struct message *message = make_message(c, id, persistent);
    store_publish(c->store, message, indexes, count);
    message_unref(&c->pool, message);
    c->report->published++;
    if (below(c, 3))
        store_want(c->store, store_ticket(c->store));
}

/* The first ready item must be what the queue gives. */
static struct item *first_ready(struct model_queue *queue)
{
    for (size_t i = 0; i < queue->count; i++)
        if (queue->items[i].life == READY)
            return &queue->items[i];
    return NULL;
}

static void settled(struct campaign *c, struct item *item)
{
    item->life = SETTLED;
    item->settle = ticket(c);
}

static void do_take(struct campaign *c)
{
    struct model_queue *queue = &c->queues[below(c, QUEUES)];
    bool settle = below(c, 3) == 0;
    struct taken taken;
    enum index_result result = index_take(queue->index, settle, &taken);
    struct item *item = first_ready(queue);
    if (result == INDEX_WAIT) {
        c->report->waits++;
        return;
    }
    if (result == INDEX_EMPTY) {
        if (item && !store_stats(c->store)->damaged)
            fail(c, "queue %" PRIu64 " is empty but should have message %" PRIu64, queue->id,
                 item->id);
        return;
    }
    uint64_t id = read_message(c, taken.message);
    message_unref(&c->pool, taken.message);
    if (store_stats(c->store)->damaged) {
        /* The disk would not read: what was set aside is missing until the next start. */
        index_return(queue->index, taken.sequence);
        return;
    }
    if (!item || item->id != id) {
        fail(c, "queue %" PRIu64 " gave message %" PRIu64 " instead of %" PRIu64, queue->id, id,
             item ? item->id : 0);
        return;
    }
    if (item->delivered && !taken.redelivered)
        fail(c, "message %" PRIu64 " came again without redelivered", id);
    if (taken.delivery_count > item->returned)
        fail(c, "message %" PRIu64 " is said to have come back %u times, not %u", id,
             taken.delivery_count, item->returned);
    item->delivered = true;
    item->sequence = taken.sequence;
    item->life = TAKEN;
    if (settle)
        settled(c, item);
}

static struct item *some_taken(struct campaign *c, struct model_queue *queue)
{
    if (queue->count == 0)
        return NULL;
    size_t from = below(c, queue->count);
    for (size_t i = 0; i < queue->count; i++) {
        struct item *item = &queue->items[(from + i) % queue->count];
        if (item->life == TAKEN)
            return item;
    }
    return NULL;
}

static void do_settle(struct campaign *c, bool back)
{
    struct model_queue *queue = &c->queues[below(c, QUEUES)];
    struct item *item = some_taken(c, queue);
    if (!item)
        return;
    if (back) {
        if (below(c, 2)) {
            index_redeliver(queue->index, item->sequence);
            item->returned++;
        } else {
            index_return(queue->index, item->sequence);
        }
        item->life = READY;
    } else {
        index_settle(queue->index, item->sequence);
        settled(c, item);
    }
}

static void do_fetch(struct campaign *c)
{
    struct model_queue *queue = &c->queues[below(c, QUEUES)];
    struct item *item = some_taken(c, queue);
    struct message *message;
    if (!item || index_fetch(queue->index, item->sequence, &message) != INDEX_OK)
        return;
    if (read_message(c, message) != item->id)
        fail(c, "fetching message %" PRIu64 " gave another", item->id);
    message_unref(&c->pool, message);
}

static void do_purge(struct campaign *c)
{
    struct model_queue *queue = &c->queues[below(c, QUEUES)];
    uint64_t ready = 0;
    for (size_t i = 0; i < queue->count; i++) {
        if (queue->items[i].life != READY)
            continue;
        settled(c, &queue->items[i]);
        ready++;
    }
    uint64_t purged = index_purge(queue->index);
    if (purged != ready && !store_stats(c->store)->damaged)
        fail(c, "a purge dropped %" PRIu64 " messages instead of %" PRIu64, purged, ready);
    c->report->purges++;
}

/* As a full queue does. That it was the right one shows in what is taken later, and after a crash. */
static void do_drop_head(struct campaign *c)
{
    struct model_queue *queue = &c->queues[below(c, QUEUES)];
    struct item *item = first_ready(queue);
    uint64_t sequence;
    bool any = index_take_head(queue->index, &sequence);
    if (any && (!item || store_stats(c->store)->damaged)) {
        index_return(queue->index, sequence);
        return;
    }
    if (!any)
        return;
    index_settle(queue->index, sequence);
    settled(c, item);
    c->report->dropped++;
}

static void put_queue_name(struct campaign *c, int q)
{
    char key[24];
    uint64_t id = c->queues[q].id;
    snprintf(key, sizeof(key), "queue%d", q);
    store_catalogue_put(c->store, bytes_str(key), bytes_of(&id, 8));
}

/* The last is mostly a part of the one before, each time another. */
static uint64_t new_id(struct campaign *c, int q, bool survives)
{
    if (q == QUEUES - 1 && c->parts < STORE_PARTS - 1)
        return store_part_id(c->queues[q - 1].id, (uint8_t)++c->parts);
    return store_queue_id(c->store, survives);
}

static void new_queue(struct campaign *c, int q)
{
    struct model_queue *queue = &c->queues[q];
    bool survives = q > 0;
    queue->count = 0;
    queue->id = new_id(c, q, survives);
    queue->index = store_queue(c->store, queue->id, queue);
    queue->creation = ticket(c);
    if (survives)
        put_queue_name(c, q);
    store_want(c->store, store_ticket(c->store));
}

static void do_name(struct campaign *c)
{
    struct model_name *name = &c->names[below(c, NAMES)];
    if (name->count == 64)
        return;
    char key[24];
    snprintf(key, sizeof(key), "name%d", (int)(name - c->names));
    uint32_t value = (uint32_t)++c->next_value;
    name->values[name->count] = value;
    name->tickets[name->count++] = ticket(c);
    store_catalogue_put(c->store, bytes_str(key), bytes_of(&value, 4));
}

static void do_tick(struct campaign *c)
{
    c->now_ms += below(c, 3) ? below(c, 20) : below(c, 600);
    for (uint64_t i = below(c, 4); i > 0; i--)
        worker_step(c->syncer);
    for (uint64_t i = below(c, 3); i > 0; i--)
        worker_step(c->indexer);
    for (uint64_t i = below(c, 4); i > 0; i--)
        worker_step(c->reader);
    store_tick(c->store, c->now_ms);
    while (store_take_awake(c->store))
        ;
    /* It reads the key-value store, whose calls are counted where they may fail. */
    const char *wrong = c->o->disk_faults ? NULL : store_audit(c->store);
    if (wrong)
        fail(c, "what must hold of the store does not: %s", wrong);
    note_durable(c);
}

/* Settled items that need no more watching. */
static void forget_settled(struct campaign *c)
{
    for (int q = 0; q < QUEUES; q++) {
        struct model_queue *queue = &c->queues[q];
        size_t kept = 0;
        for (size_t i = 0; i < queue->count; i++)
            if (!(queue->items[i].life == SETTLED && queue->items[i].settle_durable &&
                  queue->count > 3000))
                queue->items[kept++] = queue->items[i];
        queue->count = kept;
    }
}

static void work(struct campaign *c)
{
    /* Phases: filling, draining, mixed. */
    uint64_t phase = c->now_ms / 3000 % 3;
    uint64_t publish = phase == 0 ? 50 : phase == 1 ? 5 : 25;
    uint64_t what = below(c, 100);
    if (what < publish)
        do_publish(c);
    else if (what < 70)
        do_take(c);
    else if (what < 80)
        do_settle(c, false);
    else if (what < 83)
        do_settle(c, true);
    else if (what < 84)
        do_fetch(c);
    else if (what < 85)
        do_name(c);
    else
        do_tick(c);
    if (below(c, 1500) == 0)
        do_purge(c);
    if (below(c, 400) == 0)
        for (uint64_t i = 1 + below(c, 40); i; i--)
            do_drop_head(c);
    if (below(c, 4000) == 0)
        forget_settled(c);
    if (below(c, 4000) == 0) {
        int q = (int)below(c, QUEUES);
        note_durable(c);
        if (c->queues[q].creation == 0) {
            store_queue_delete(c->store, c->queues[q].index);
            new_queue(c, q);
            c->queues[q].creation = ticket(c);
            /* The next crash may find the old queue or the new one: wait until it is known. */
            for (int i = 0; i < 1000 && store_durable_index(c->store) < c->queues[q].creation &&
                            !store_failure(c->store);
                 i++) {
                store_want(c->store, store_ticket(c->store));
                do_tick(c);
            }
        }
    }
}

/* ---- crash and recovery ---- */

static void see_name(void *context, struct bytes key, struct bytes value)
{
    struct campaign *c = context;
    if (bytes_start_with(key, "queue") && value.size == 8) {
        int q = key.data[5] - '0';
        memcpy(&c->queues[q].id, value.data, 8);
        c->report->seen_queues |= 1u << q;
        return;
    }
    if (!bytes_start_with(key, "name") || value.size != 4) {
        fail(c, "the catalogue has a name that was never put");
        return;
    }
    struct model_name *name = &c->names[key.data[4] - '0'];
    uint32_t seen;
    memcpy(&seen, value.data, 4);
    bool known = seen == name->durable;
    for (size_t i = 0; i < name->count; i++)
        known = known || name->values[i] == seen;
    if (!known)
        fail(c, "name%c has value %u, the durable one is %u", key.data[4], seen, name->durable);
    name->durable = seen;
    name->count = 0;
    c->report->seen_names |= 1u << (key.data[4] - '0');
}

static bool drain_workers(struct campaign *c)
{
    c->now_ms += 5;
    while (worker_step(c->syncer) || worker_step(c->indexer) || worker_step(c->reader))
        ;
    store_tick(c->store, c->now_ms);
    while (store_take_awake(c->store))
        ;
    return !store_failure(c->store);
}

/* What the queue holds, read to its end; it is all taken, then returned. */
static size_t read_queue(struct campaign *c, struct model_queue *queue, struct item *seen,
                         size_t max)
{
    size_t count = 0;
    int waits = 0;
    struct taken taken;
    for (;;) {
        enum index_result result = index_take(queue->index, false, &taken);
        if (result == INDEX_EMPTY)
            break;
        if (result == INDEX_WAIT) {
            if (!drain_workers(c) || ++waits > 1000) {
                fail(c, "queue %" PRIu64 " cannot be read: %s", queue->id,
                     store_failure(c->store) ? store_failure(c->store) : "it waits for ever");
                break;
            }
            continue;
        }
        waits = 0;
        uint64_t id = read_message(c, taken.message);
        message_unref(&c->pool, taken.message);
        if (count == max || !id)
            break;
        seen[count++] = (struct item){.id = id,
                                      .sequence = taken.sequence,
                                      .delivered = taken.redelivered,
                                      .returned = taken.delivery_count,
                                      .survives = true};
    }
    for (size_t i = 0; i < count; i++)
        index_return(queue->index, seen[i].sequence);
    return count;
}

static void compare_queue(struct campaign *c, struct model_queue *queue, bool clean)
{
    enum { MAX = 20000 };
    struct item *seen = mem_zalloc_array(MAX, sizeof(*seen));
    size_t count = read_queue(c, queue, seen, MAX);
    size_t at = 0;
    for (size_t i = 0; i < queue->count && !c->failed && !queue->is_unknown; i++) {
        struct item *item = &queue->items[i];
        bool is_there = at < count && seen[at].id == item->id;
        if (!is_there) {
            bool lost = item->survives && (item->confirm == 0 || clean) && item->life != SETTLED;
            if (lost)
                fail(c, "confirmed message %" PRIu64 " of queue %" PRIu64 " is lost (next is %" PRIu64
                        ")",
                     item->id, queue->id, at < count ? seen[at].id : 0);
            continue;
        }
        if (!item->survives)
            fail(c, "transient message %" PRIu64 " came back", item->id);
        if (item->life == SETTLED && (item->settle_durable || clean))
            fail(c, "message %" PRIu64 " of queue %" PRIu64 " came back after its settle", item->id,
                 queue->id);
        if (item->delivered && !seen[at].delivered)
            fail(c, "message %" PRIu64 " comes again without redelivered", item->id);
        if (seen[at].returned > item->returned || (clean && seen[at].returned < item->returned))
            fail(c, "message %" PRIu64 " came back %u times, not %u", item->id,
                 seen[at].returned, item->returned);
        at++;
    }
    if (at < count && !queue->is_unknown)
        fail(c, "queue %" PRIu64 ": message %" PRIu64 " out of order or invented", queue->id,
             seen[at].id);
    queue->is_unknown = false;
    queue->count = 0;
    for (size_t i = 0; i < count; i++) {
        *add_item(queue) = seen[i];
        queue->items[i].delivered = true;
    }
    mem_free(seen);
    c->report->recovered += count;
}

/* Opens the store after a crash and holds it against the model. False: it refused to start. */
static bool recover(struct campaign *c, bool clean)
{
    c->report->seen_queues = c->report->seen_names = 0;
    open_store(c);
    if (!c->store)
        return false;
    store_catalogue_each(c->store, see_name, c);
    for (int n = 0; n < NAMES; n++) {
        if (!(c->report->seen_names >> n & 1)) {
            if (c->names[n].durable)
                fail(c, "name%d is lost", n);
            c->names[n].count = 0;
        }
    }
    for (int q = 0; q < QUEUES; q++) {
        struct model_queue *queue = &c->queues[q];
        bool known = c->report->seen_queues >> q & 1;
        if (q == 0 || (!known && queue->creation)) {
            new_queue(c, q);
            continue;
        }
        if (!known) {
            fail(c, "queue %d is lost", q);
            continue;
        }
        if (queue->creation) /* the old one or the new one, nobody knows */
            queue->is_unknown = true;
        queue->creation = 0;
        queue->index = store_queue(c->store, queue->id, queue);
    }
    store_drop_orphans(c->store);
    for (int q = 1; q < QUEUES && !c->failed; q++)
        compare_queue(c, &c->queues[q], clean);
    return true;
}

static void lose_power(struct campaign *c)
{
    uint64_t how = below(c, 3);
    disk_memory_fail(c->disk, 1, EIO, true);
    kv_memory_fail(c->kv, 1, true);
    if (c->store) {
        add_stats(c);
        store_abandon(c->store);
    }
    c->store = NULL;
    disk_memory_crash(c->disk, (enum crash)how, &c->random);
    kv_memory_crash(c->kv, how == CRASH_KEEP, how == CRASH_RANDOM ? &c->random : NULL);
    kv_memory_fail(c->kv, 0, false);
    c->report->crashes++;
}

/* Crashes again inside of recovery, at some call. */
static void crash_in_recovery(struct campaign *c)
{
    while (below(c, 3) == 0) {
        disk_memory_fail(c->disk, 1 + below(c, 40), EIO, true);
        open_store(c);
        lose_power(c);
    }
}

static void crash_and_recover(struct campaign *c)
{
    note_durable(c);
    bool clean = below(c, 6) == 0 && !store_failure(c->store);
    if (clean) {
        disk_memory_fail(c->disk, 0, 0, false);
        add_stats(c);
        store_close(c->store);
        c->store = NULL;
        disk_memory_crash(c->disk, CRASH_DROP, &c->random);
        kv_memory_crash(c->kv, false, NULL);
        c->report->clean_stops++;
    } else {
        lose_power(c);
        crash_in_recovery(c);
    }
    if (!recover(c, clean))
        fail(c, "the store refused to start: %s", c->report->refusal);
}

static void begin(struct campaign *c)
{
    message_pool_init(&c->pool);
    c->disk = disk_memory_new();
    c->kv = kv_memory_new();
    c->syncer = worker_manual_new(false);
    c->indexer = worker_manual_new(false);
    c->reader = worker_manual_new(false);
    disk_memory_lie(c->disk, c->o->lie_files, c->o->lie_folder);
    c->next_id = 1;
    open_store(c);
    for (int q = 0; q < QUEUES; q++)
        new_queue(c, q);
}

static void end(struct campaign *c)
{
    if (c->store) {
        add_stats(c);
        store_abandon(c->store);
    }
    for (int q = 0; q < QUEUES; q++)
        mem_free(c->queues[q].items);
    worker_manual_free(c->syncer);
    worker_manual_free(c->indexer);
    worker_manual_free(c->reader);
    disk_memory_free(c->disk);
    kv_memory_free(c->kv);
    message_pool_free(&c->pool);
}

bool campaign_run(const struct campaign_options *options, struct campaign_report *report)
{
    struct campaign c = {.o = options, .report = report};
    random_init(&c.random, options->seed);
    begin(&c);
    for (uint64_t crash = 0; crash < options->crashes && !c.failed; crash++) {
        uint64_t steps = below(&c, options->steps) + 1;
        /* Sometimes the disk fails at some call, once or for good, instead of just losing power. */
        if (options->disk_faults && below(&c, 3) == 0)
            disk_memory_fail(c.disk, 1 + below(&c, 60), below(&c, 2) ? EIO : ENOSPC, below(&c, 2));
        for (uint64_t i = 0; i < steps && !c.failed && !store_failure(c.store) &&
                             !store_stats(c.store)->damaged;
             i++)
            work(&c);
        if (store_failure(c.store)) {
            report->store_failures++;
            if (!options->disk_faults)
                fail(&c, "the store failed on a sound disk: %s", store_failure(c.store));
        }
        if (!c.failed)
            crash_and_recover(&c);
    }
    end(&c);
    return !c.failed;
}
