/* The model is exact: a message is in a queue after batch B when it was published in B or before and
 * settled, if ever, after B. A crash may leave any one batch between the last that was durable and the
 * last that was decided, and that one whole. */
#include "tests/fault/rig.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/mem.h"
#include "store/internal.h"

enum { SEEN_MAX = 300 };

/* ---- a key-value store that goes down with the disk ---- */

struct rig_kv {
    struct kv kv;
    struct rig *rig;
};

static struct rig *rig_of(struct kv *kv)
{
    return ((struct rig_kv *)(void *)kv)->rig;
}

bool rig_is_dead(const struct rig *rig)
{
    return (rig->dead_kv_call && rig->kv_calls >= rig->dead_kv_call) ||
           (rig->dead_disk_call && disk_memory_calls(rig->disk) >= rig->dead_disk_call);
}

static int fail_if_dead(struct rig *rig)
{
    rig->kv_calls++;
    if (!rig_is_dead(rig))
        return 0;
    disk_memory_fail(rig->disk, 1, EIO, true);
    snprintf(rig->kv->error, sizeof(rig->kv->error), "the power is gone");
    return -1;
}

static int pass(struct rig *rig, int result)
{
    if (result < 0)
        snprintf(rig->kv->error, sizeof(rig->kv->error), "%s", rig->memory->error);
    return result;
}

static int kv_open(struct kv *kv)
{
    struct rig *rig = rig_of(kv);
    return fail_if_dead(rig) ? -1 : pass(rig, rig->memory->ops->open(rig->memory));
}

static int kv_get(struct kv *kv, struct bytes key, struct buffer *value)
{
    struct rig *rig = rig_of(kv);
    return fail_if_dead(rig) ? -1 : pass(rig, rig->memory->ops->get(rig->memory, key, value));
}

static int kv_write(struct kv *kv, struct bytes batch, bool sync)
{
    struct rig *rig = rig_of(kv);
    return fail_if_dead(rig) ? -1 : pass(rig, rig->memory->ops->write(rig->memory, batch, sync));
}

static int kv_scan(struct kv *kv, struct bytes prefix, struct bytes from,
                   bool (*each)(void *context, struct bytes key, struct bytes value), void *context)
{
    struct rig *rig = rig_of(kv);
    if (fail_if_dead(rig))
        return -1;
    return pass(rig, rig->memory->ops->scan(rig->memory, prefix, from, each, context));
}

static void kv_close(struct kv *kv)
{
    rig_of(kv)->memory->ops->close(rig_of(kv)->memory);
}

static const struct kv_ops kv_ops = {kv_open, kv_get, kv_write, kv_scan, kv_close};

/* ---- setting up ---- */

static void set_up(struct rig *rig, struct disk *disk, struct kv *memory)
{
    struct rig_kv *kv = mem_zalloc(sizeof(*kv));
    kv->kv.ops = &kv_ops;
    kv->rig = rig;
    rig->disk = disk;
    rig->memory = memory;
    rig->kv = &kv->kv;
    rig->syncer = worker_manual_new(false);
    rig->indexer = worker_manual_new(false);
    rig->reader = worker_manual_new(false);
    message_pool_init(&rig->pool);
    store_options_default(&rig->options);
    rig->options.disk = rig->disk;
    rig->options.kv = rig->kv;
    rig->options.syncer = rig->syncer;
    rig->options.indexer = rig->indexer;
    rig->options.reader = rig->reader;
    rig->options.pool = &rig->pool;
    memcpy(rig->options.identity, "identity of rig", 16);
    rig->options.segment_bytes = 2048;
    rig->options.chunk_entries = 16;
    rig->options.release_slots = 8;
    rig->options.draft_steps = 2;
    rig->options.cache_bytes = 600;
    rig->options.bodies_burst_bytes = 20000;
    rig->options.bodies_idle_bytes = 500;
    rig->options.checkpoint_bytes = 100000;
    rig->options.checkpoint_ms = 5000;
    rig->options.batch_bytes = 600;
    rig->options.batch_large_bytes = 400;
    rig->options.recycle_segments = 2;
    rig->options.mark_step = 8;
    rig->options.disk_reserve_bytes = 2000;
}

void rig_init(struct rig *rig)
{
    *rig = (struct rig){.now_ms = 1000, .next_id = 1};
    random_init(&rig->random, 7);
    set_up(rig, disk_memory_new(), kv_memory_new());
}

void rig_init_real(struct rig *rig, const char *folder, const char *index)
{
    *rig = (struct rig){.now_ms = 1000, .next_id = 1, .is_real = true};
    random_init(&rig->random, 7);
    set_up(rig, disk_posix_new(folder), kv_leveldb_new(index));
    rig->options.disk_reserve_bytes = 0;
}

void rig_move(struct rig *rig, const char *folder)
{
    char index[4096];
    struct store_options options = rig->options;
    snprintf(index, sizeof(index), "%s/index", folder);
    set_up(rig, disk_posix_new(folder), kv_leveldb_new(index));
    options.disk = rig->disk;
    options.kv = rig->kv;
    options.syncer = rig->syncer;
    options.indexer = rig->indexer;
    options.reader = rig->reader;
    rig->options = options;
}

void rig_copy(struct rig *copy, const struct rig *rig)
{
    *copy = *rig;
    copy->store = NULL;
    copy->dead_disk_call = copy->dead_kv_call = copy->kv_calls = 0;
    for (int q = 0; q < RIG_QUEUES; q++) {
        struct rig_queue *queue = &copy->queues[q];
        queue->capacity = queue->count;
        queue->items = mem_dup(queue->items, queue->count * sizeof(*queue->items));
    }
    struct store_options options = rig->options;
    set_up(copy, disk_memory_copy(rig->disk), kv_memory_copy(rig->memory));
    copy->options.segment_bytes = options.segment_bytes;
    copy->options.batch_bytes = options.batch_bytes;
}

void rig_free(struct rig *rig)
{
    rig_abandon(rig);
    for (int q = 0; q < RIG_QUEUES; q++)
        mem_free(rig->queues[q].items);
    worker_manual_free(rig->syncer);
    worker_manual_free(rig->indexer);
    worker_manual_free(rig->reader);
    if (rig->is_real) {
        disk_posix_free(rig->disk);
        kv_leveldb_free(rig->memory);
    } else {
        disk_memory_free(rig->disk);
        kv_memory_free(rig->memory);
    }
    message_pool_free(&rig->pool);
    mem_free(rig->kv);
}

static void fail(struct rig *rig, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void fail(struct rig *rig, const char *format, ...)
{
    va_list arguments;
    if (rig->fault[0])
        return;
    va_start(arguments, format);
    vsnprintf(rig->fault, sizeof(rig->fault), format, arguments);
    va_end(arguments);
}

/* ---- opening, closing, crashing ---- */

static void see_name(void *context, struct bytes key, struct bytes value)
{
    struct rig *rig = context;
    uint64_t id;
    if (bytes_equal_str(key, "name") && value.size >= 4) {
        memcpy(&rig->seen_name, value.data, 4);
        return;
    }
    if (key.size != 9 || key.data[0] != 'q') {
        fail(rig, "the catalogue has a name that was never put");
        return;
    }
    memcpy(&id, key.data + 1, 8);
    for (int q = 0; q < RIG_QUEUES; q++) {
        if (rig->queues[q].id != id)
            continue;
        rig->queues[q].index = store_queue(rig->store, id, &rig->queues[q]);
        return;
    }
    fail(rig, "the catalogue has a queue that was never made");
}

bool rig_open(struct rig *rig)
{
    rig->error[0] = '\0';
    rig->store = store_open(&rig->options, rig->now_ms, rig->error, sizeof(rig->error));
    if (!rig->store)
        return false;
    for (int q = 0; q < RIG_QUEUES; q++)
        rig->queues[q].index = NULL;
    rig->seen_name = 0;
    store_catalogue_each(rig->store, see_name, rig);
    store_drop_orphans(rig->store);
    return true;
}

static void add_met(struct rig *rig)
{
    const struct store_stats *s = store_stats(rig->store);
    struct rig_met *m = &rig->met;
    m->settles += s->settles_written;
    m->rolls += s->segments_rolled;
    m->recycled += s->segments_recycled;
    m->retired += s->segments_retired;
    m->spills += s->chunks_spilled;
    m->loads += s->chunks_loaded;
    m->paged += s->bodies_paged;
    m->reads += s->bodies_read;
    m->checkpoints += s->checkpoints;
    m->compactions += s->compactions;
    m->moved += s->messages_moved;
    m->elided += s->records_elided;
    m->marks += s->marks_written;
}

void rig_close(struct rig *rig)
{
    if (!rig->store)
        return;
    add_met(rig);
    store_close(rig->store);
    rig->store = NULL;
}

void rig_abandon(struct rig *rig)
{
    if (!rig->store)
        return;
    add_met(rig);
    store_abandon(rig->store);
    rig->store = NULL;
}

bool rig_is_up(const struct rig *rig)
{
    return rig->store && !store_failure(rig->store) && !rig_is_dead(rig) && !rig->fault[0];
}

void rig_crash(struct rig *rig, enum crash how)
{
    disk_memory_fail(rig->disk, 1, EIO, true);
    kv_memory_fail(rig->memory, 1, true);
    rig_abandon(rig);
    disk_memory_crash(rig->disk, how, &rig->random);
    kv_memory_crash(rig->memory, how == CRASH_KEEP, how == CRASH_RANDOM ? &rig->random : NULL);
    kv_memory_fail(rig->memory, 0, false);
    rig_lose_power_at(rig, 0, 0);
}

void rig_lose_power_at(struct rig *rig, uint64_t disk_call, uint64_t kv_call)
{
    rig->dead_disk_call = disk_call ? disk_memory_calls(rig->disk) + disk_call : 0;
    rig->dead_kv_call = kv_call ? rig->kv_calls + kv_call : 0;
    disk_memory_fail(rig->disk, disk_call, EIO, true);
}

/* ---- what is done ---- */

static uint64_t filling(const struct rig *rig)
{
    return store_ticket(rig->store).index;
}

/* The last batch that is durable; the one that fills is not, even if it is empty yet. */
static void note_durable(struct rig *rig)
{
    uint64_t durable = store_durable_index(rig->store);
    if (durable >= filling(rig))
        durable = filling(rig) - 1;
    if (durable > rig->durable)
        rig->durable = durable;
}

void rig_step(struct rig *rig, uint64_t ms)
{
    if (!rig_is_up(rig))
        return;
    rig->now_ms += ms;
    while (worker_step(rig->syncer) || worker_step(rig->indexer) || worker_step(rig->reader))
        continue;
    if (rig_is_dead(rig))
        return;
    store_tick(rig->store, rig->now_ms);
    while (store_take_awake(rig->store))
        continue;
    note_durable(rig);
}

void rig_wait(struct rig *rig)
{
    if (!rig_is_up(rig))
        return;
    struct ticket ticket = store_ticket(rig->store);
    for (int i = 0; i < 50 && rig_is_up(rig); i++) {
        if (store_ticket_state(rig->store, ticket) == TICKET_DURABLE) {
            rig->met.confirms++;
            return;
        }
        store_want(rig->store, ticket);
        rig_step(rig, 5);
    }
}

int rig_new_queue(struct rig *rig, bool survives)
{
    int q = 0;
    if (!rig_is_up(rig))
        return 0;
    while (rig->queues[q].id)
        q++;
    struct rig_queue *queue = &rig->queues[q];
    queue->id = store_queue_id(rig->store, survives);
    queue->index = store_queue(rig->store, queue->id, queue);
    queue->created = filling(rig);
    queue->deleted = 0;
    queue->count = 0;
    if (!survives)
        return q;
    uint8_t key[9] = {'q'};
    memcpy(key + 1, &queue->id, 8);
    store_catalogue_put(rig->store, bytes_of(key, sizeof(key)), bytes_str("here"));
    return q;
}

void rig_delete_queue(struct rig *rig, int q)
{
    struct rig_queue *queue = &rig->queues[q];
    if (!rig_is_up(rig) || !queue->index)
        return;
    uint8_t key[9] = {'q'};
    memcpy(key + 1, &queue->id, 8);
    queue->deleted = filling(rig);
    store_queue_delete(rig->store, queue->index);
    store_catalogue_delete(rig->store, bytes_of(key, sizeof(key)));
    queue->index = NULL;
}

void rig_put_name(struct rig *rig, uint32_t value)
{
    if (!rig_is_up(rig) || rig->names_count == RIG_NAMES)
        return;
    rig->names[rig->names_count].batch = filling(rig);
    rig->names[rig->names_count++].value = value;
    uint8_t *padded = mem_zalloc(4 + rig->name_padding);
    memcpy(padded, &value, 4);
    store_catalogue_put(rig->store, bytes_str("name"), bytes_of(padded, 4 + rig->name_padding));
    mem_free(padded);
}

/* A body says whose it is and how long. */
static struct message *make_message(struct rig *rig, uint64_t id, bool persistent, uint32_t size)
{
    struct message *message = message_new(&rig->pool, bytes_str("an exchange"), bytes_str("a.key"),
                                          bytes_of("\0\0", 2), size);
    uint8_t *body = message_body_start(message);
    for (uint32_t i = 0; i < size; i++)
        body[i] = (uint8_t)(id * 31 + i);
    memcpy(body, &id, 8);
    memcpy(body + 8, &size, 4);
    message->body_filled = size;
    message->flags = persistent ? MESSAGE_PERSISTENT : 0;
    return message;
}

static uint64_t read_message(struct rig *rig, const struct message *message)
{
    struct bytes body = message_body(message);
    uint64_t id = 0;
    uint32_t size = 0;
    if (body.size >= 12) {
        memcpy(&id, body.data, 8);
        memcpy(&size, body.data + 8, 4);
    }
    bool sound = id > 0 && id < rig->next_id && size == body.size &&
                 bytes_equal_str(message_exchange(message), "an exchange") &&
                 bytes_equal_str(message_routing_key(message), "a.key") &&
                 bytes_equal(message_properties(message), bytes_of("\0\0", 2));
    for (uint32_t i = 12; sound && i < size; i++)
        sound = body.data[i] == (uint8_t)(id * 31 + i);
    if (!sound)
        fail(rig, "a message is damaged, or was never published: id %" PRIu64, id);
    return sound ? id : 0;
}

static struct rig_item *add_item(struct rig_queue *queue)
{
    if (queue->count == queue->capacity) {
        queue->capacity = queue->capacity ? queue->capacity * 2 : 32;
        queue->items = mem_realloc(queue->items, queue->capacity * sizeof(*queue->items));
    }
    struct rig_item *item = &queue->items[queue->count++];
    *item = (struct rig_item){0};
    return item;
}

void rig_publish(struct rig *rig, unsigned mask, bool persistent, uint32_t body_size)
{
    struct index *indexes[RIG_QUEUES];
    size_t count = 0;
    if (!rig_is_up(rig))
        return;
    uint64_t id = rig->next_id++;
    for (int q = 0; q < RIG_QUEUES; q++) {
        struct rig_queue *queue = &rig->queues[q];
        if (!(mask >> q & 1) || !queue->index)
            continue;
        struct rig_item *item = add_item(queue);
        item->id = id;
        item->published = filling(rig);
        item->survives = persistent && !(queue->id & STORE_ID_TRANSIENT);
        indexes[count++] = queue->index;
    }
    struct message *message = make_message(rig, id, persistent, body_size < 12 ? 12 : body_size);
    store_publish(rig->store, message, indexes, count);
    message_unref(&rig->pool, message);
}

static struct rig_item *find_item(struct rig_queue *queue, uint64_t id)
{
    for (size_t i = 0; i < queue->count; i++)
        if (queue->items[i].id == id)
            return &queue->items[i];
    return NULL;
}

static void note_taken(struct rig *rig, struct rig_queue *queue, const struct taken *taken,
                       bool settle)
{
    uint64_t id = read_message(rig, taken->message);
    struct rig_item *item = id ? find_item(queue, id) : NULL;
    if (!item || item->settled || item->is_taken) {
        fail(rig, "message %" PRIu64 " came although it was gone", id);
        return;
    }
    if (item->was_delivered && !taken->redelivered)
        fail(rig, "message %" PRIu64 " came again without redelivered", id);
    item->was_delivered = true;
    item->sequence = taken->sequence;
    item->is_taken = !settle;
    if (settle)
        item->settled = filling(rig);
}

bool rig_take(struct rig *rig, int q, bool settle)
{
    struct rig_queue *queue = &rig->queues[q];
    struct taken taken;
    for (int i = 0; i < 50 && rig_is_up(rig) && queue->index; i++) {
        enum index_result result = index_take(queue->index, settle, &taken);
        if (result == INDEX_EMPTY)
            return false;
        if (result == INDEX_OK) {
            note_taken(rig, queue, &taken, settle);
            message_unref(&rig->pool, taken.message);
            return true;
        }
        rig_step(rig, 5);
    }
    return false;
}

void rig_settle(struct rig *rig, int q, bool back)
{
    struct rig_queue *queue = &rig->queues[q];
    for (size_t i = 0; i < queue->count && rig_is_up(rig); i++) {
        struct rig_item *item = &queue->items[i];
        if (!item->is_taken)
            continue;
        item->is_taken = false;
        if (back) {
            index_return(queue->index, item->sequence, true);
        } else {
            item->settled = filling(rig);
            index_settle(queue->index, item->sequence);
        }
        return;
    }
}

void rig_purge(struct rig *rig, int q)
{
    struct rig_queue *queue = &rig->queues[q];
    if (!rig_is_up(rig) || !queue->index)
        return;
    for (size_t i = 0; i < queue->count; i++)
        if (!queue->items[i].settled && !queue->items[i].is_taken)
            queue->items[i].settled = filling(rig);
    index_purge(queue->index);
}

/* ---- the piece of work ---- */

static void fill(struct rig *rig, unsigned mask, int count, uint32_t size)
{
    for (int i = 0; i < count; i++) {
        rig_publish(rig, mask, true, size + (uint32_t)(i * 37 % 90));
        if (i % 3 == 2)
            rig_wait(rig);
    }
    rig_wait(rig);
}

static void drain(struct rig *rig, int q, int count)
{
    for (int i = 0; i < count && rig_take(rig, q, false); i++) {
        /* One in nine stays, so that segments are mostly dead and need compaction. */
        if (i % 9 == 8)
            rig_settle(rig, q, true);
        else
            rig_settle(rig, q, false);
        if (i % 9 == 8)
            rig_take(rig, q, false);
        if (i % 5 == 4)
            rig_step(rig, 5);
    }
    rig_wait(rig);
}

static void rest(struct rig *rig, int turns, uint64_t ms)
{
    for (int i = 0; i < turns; i++)
        rig_step(rig, ms);
}

/* The disk did not let the store read everything (which takes a mark in the journal): what is there
 * cannot be known. */
static bool is_blind(const struct rig *rig)
{
    return store_failure(rig->store) || store_stats(rig->store)->damaged ||
           store_is_short(rig->store) || rig->store->index_reads.since_ms || rig_is_dead(rig);
}

void rig_work(struct rig *rig)
{
    if (!rig->store && !rig_open(rig))
        return;
    int a = rig_new_queue(rig, true), b = rig_new_queue(rig, true), c = rig_new_queue(rig, false);
    rig_put_name(rig, 1);
    rig_wait(rig);
    fill(rig, 1u << a, 30, 150);
    fill(rig, 1u << a | 1u << b, 8, 200);
    rig_publish(rig, 1u << b, true, 5000); /* larger than a segment, and written from its place */
    rig_publish(rig, 1u << a | 1u << c, true, 17000);
    rig_wait(rig);
    for (int i = 0; i < 20; i++)
        rig_publish(rig, 1u << c, false, 60);
    rest(rig, 5, 700); /* bodies and chunks leave memory */
    rig_put_name(rig, 2);
    rest(rig, 3, 2500); /* a checkpoint */
    drain(rig, a, 34);
    rig_take(rig, c, true);
    rest(rig, 12, 200);
    rest(rig, 3, 5100); /* checkpoints: segments retire */
    rig_publish(rig, 1u << a, true, 30);
    rig_take(rig, a, true);
    fill(rig, 1u << b, 12, 150); /* into recycled files */
    for (int i = 0; i < 6; i++) { /* what is left of these files moves on */
        fill(rig, 1u << b, 4, 1500);
        rig_publish(rig, 1u << a, true, 50);
    }
    rig_delete_queue(rig, b);
    int d = rig_new_queue(rig, true);
    rig_put_name(rig, 3);
    fill(rig, 1u << d | 1u << a, 4, 100);
    uint64_t last = rig->store ? filling(rig) : 0;
    bool sound = rig_is_up(rig);
    rig_close(rig);
    if (!sound || rig_is_dead(rig) || !rig_open(rig))
        return;
    if (!rig_check(rig, rig->is_faulty ? rig->durable : last, last, false)) {
        rig->is_unknown = rig->is_faulty && is_blind(rig);
        if (rig->is_unknown)
            rig->fault[0] = '\0';
        return;
    }
    rig_take(rig, d, false);
    rig_take(rig, a, false);
    rig_settle(rig, d, false);
    fill(rig, 1u << a, 6, 150);
    rig_publish(rig, 1u << d, true, 12);
    rig_purge(rig, d); /* the last one was never written */
    rest(rig, 2, 5100);
    rig_put_name(rig, 4);
    fill(rig, 1u << a | 1u << d, 5, 100);
    for (int i = 0; i < 7; i++) { /* written, not synced */
        rig_publish(rig, 1u << a, true, 300);
        rig_settle(rig, a, false);
        rig_step(rig, 1);
        rig_step(rig, 1);
    }
}

void rig_work_unsynced(struct rig *rig, bool checkpoint)
{
    rig->options.segment_bytes = 1536;
    rig->options.batch_bytes = 40; /* every turn writes */
    rig->options.sync_ms = 1u << 30;
    rig->options.checkpoint_ms = 1u << 30;
    rig->options.disk_reserve_bytes = 0;
    rig->options.checkpoint_bytes = 1u << 30;
    rig_open(rig);
    int a = rig_new_queue(rig, true), b = rig_new_queue(rig, true);
    rig_put_name(rig, 1);
    fill(rig, 1u << a, 42, 60);
    fill(rig, 1u << a | 1u << b, 3, 60);
    if (checkpoint) {
        rig_close(rig);
        rig_open(rig);
        rig_check(rig, rig->durable, rig->durable, false);
    }
    for (int i = 0; i < 36; i++)
        rig_take(rig, a, false);
    fill(rig, 1u << b, 2, 40);
    /* From here on nobody waits. */
    for (int i = 0; i < 36; i++) {
        rig_settle(rig, a, i % 8 == 0);
        if (i % 6 == 5)
            rest(rig, 2, 1);
    }
    rig_put_name(rig, 2);
    int c = rig_new_queue(rig, true);
    rest(rig, 2, 1);
    rig_publish(rig, 1u << b | 1u << c, true, 80);
    rest(rig, 2, 1);
    rig_delete_queue(rig, b);
    rest(rig, 2, 1);
    rest(rig, 12, 60); /* compaction moves messages */
    rig_publish(rig, 1u << a | 1u << c, true, 30);
    rig_put_name(rig, 3);
    rest(rig, 2, 1);
    rig_crash(rig, CRASH_KEEP);
}

/* ---- the journal from outside ---- */

struct listing {
    uint32_t *numbers;
    size_t count, max;
};

static void list_segment(void *context, const char *name)
{
    struct listing *listing = context;
    unsigned number;
    if (listing->count == listing->max || sscanf(name, "journal-%10u", &number) != 1)
        return;
    size_t at = listing->count++;
    for (; at > 0 && listing->numbers[at - 1] > number; at--)
        listing->numbers[at] = listing->numbers[at - 1];
    listing->numbers[at] = number;
}

size_t rig_segments(struct rig *rig, uint32_t *numbers, size_t max)
{
    struct listing listing = {.numbers = numbers, .max = max};
    disk_memory_each(rig->disk, list_segment, &listing);
    return listing.count;
}

size_t rig_map(struct rig *rig, struct rig_batch *batches, size_t max)
{
    uint32_t numbers[200];
    size_t segments = rig_segments(rig, numbers, 200), count = 0;
    for (size_t i = 0; i < segments; i++) {
        char name[32];
        uint64_t size, offset = SEGMENT_HEADER;
        struct batch_header header;
        snprintf(name, sizeof(name), "journal-%010u", numbers[i]);
        const uint8_t *bytes = disk_memory_contents(rig->disk, name, &size);
        while (count < max && offset + BATCH_HEADER <= size &&
               batch_header_read(bytes + offset, numbers[i], (uint32_t)offset, &header) ==
                   RECORD_OK) {
            batches[count++] = (struct rig_batch){header.number, header.synced, numbers[i],
                                                  (uint32_t)offset, header.size};
            offset += header.size;
        }
    }
    return count;
}

/* ---- looking at what is left ---- */

struct seen {
    struct rig_item *items;
    size_t count;
};

static bool read_queue(struct rig *rig, struct rig_queue *queue, struct seen *seen)
{
    struct taken taken;
    int waits = 0;
    bool sound = true;
    seen->items = mem_zalloc_array(SEEN_MAX, sizeof(*seen->items));
    while (sound) {
        enum index_result result = index_take(queue->index, false, &taken);
        if (result == INDEX_EMPTY)
            break;
        if (result == INDEX_WAIT) {
            rig_step(rig, 5);
            if (!rig_is_up(rig) || ++waits > 500) {
                const char *why = store_failure(rig->store);
                fail(rig, "queue %" PRIu64 " cannot be read: %s", queue->id,
                     why ? why : "it waits for ever");
                sound = false;
            }
            continue;
        }
        waits = 0;
        uint64_t id = read_message(rig, taken.message);
        message_unref(&rig->pool, taken.message);
        sound = id && seen->count < SEEN_MAX;
        if (!sound)
            break;
        seen->items[seen->count++] = (struct rig_item){.id = id,
                                                       .sequence = taken.sequence,
                                                       .survives = true,
                                                       .was_delivered = taken.redelivered};
    }
    for (size_t i = 0; i < seen->count; i++)
        index_return(queue->index, seen->items[i].sequence, false);
    return sound;
}

static bool is_there(const struct rig_item *item, uint64_t batch)
{
    return item->survives && item->published <= batch &&
           (!item->settled || item->settled > batch);
}

static bool queue_is_there(const struct rig_queue *queue, uint64_t batch)
{
    return queue->id && !(queue->id & STORE_ID_TRANSIENT) && queue->created <= batch &&
           (!queue->deleted || queue->deleted > batch);
}

/* Says in `why` what is different from the state after `batch`; counts what is missing instead when
 * that is allowed. */
static bool queue_matches(const struct rig_queue *queue, const struct seen *seen, uint64_t batch,
                          uint64_t *missing, char *why, size_t why_size)
{
    size_t at = 0;
    if (!queue_is_there(queue, batch) || !queue->index) {
        snprintf(why, why_size, "queue %" PRIu64 " is %s", queue->id,
                 queue->index ? "there" : "not there");
        return queue_is_there(queue, batch) == (queue->index != NULL);
    }
    for (size_t i = 0; i < queue->count; i++) {
        const struct rig_item *item = &queue->items[i];
        if (!is_there(item, batch))
            continue;
        bool found = at < seen->count && seen->items[at].id == item->id;
        if (!found && missing) {
            ++*missing;
            continue;
        }
        if (!found) {
            snprintf(why, why_size, "queue %" PRIu64 " lacks message %" PRIu64, queue->id, item->id);
            return false;
        }
        if (item->was_delivered && !seen->items[at].was_delivered) {
            snprintf(why, why_size, "message %" PRIu64 " comes again without redelivered", item->id);
            return false;
        }
        at++;
    }
    if (at < seen->count)
        snprintf(why, why_size, "queue %" PRIu64 " has message %" PRIu64 " too much", queue->id,
                 seen->items[at].id);
    return at == seen->count;
}

static bool name_matches(const struct rig *rig, uint64_t batch)
{
    uint32_t value = 0;
    for (size_t i = 0; i < rig->names_count; i++)
        if (rig->names[i].batch <= batch)
            value = rig->names[i].value;
    return value == rig->seen_name;
}

static bool state_matches(struct rig *rig, const struct seen seen[RIG_QUEUES], uint64_t batch,
                          bool missing, char *why, size_t why_size)
{
    uint64_t count = 0;
    if (!name_matches(rig, batch)) {
        snprintf(why, why_size, "the name has value %u", rig->seen_name);
        return false;
    }
    for (int q = 0; q < RIG_QUEUES; q++)
        if (!queue_matches(&rig->queues[q], &seen[q], batch, missing ? &count : NULL, why,
                           why_size))
            return false;
    if (missing && count != store_stats(rig->store)->damaged) {
        snprintf(why, why_size, "%" PRIu64 " messages are missing, %" PRIu64 " were set aside",
                 count, store_stats(rig->store)->damaged);
        return false;
    }
    return true;
}

/* From now on what was seen counts. */
static void take_over(struct rig *rig, struct seen seen[RIG_QUEUES])
{
    for (int q = 0; q < RIG_QUEUES; q++) {
        struct rig_queue *queue = &rig->queues[q];
        mem_free(queue->items);
        queue->items = seen[q].items;
        queue->count = seen[q].count;
        queue->capacity = seen[q].items ? SEEN_MAX : 0;
        queue->created = queue->deleted = 0;
        if (!queue->index)
            queue->id = 0;
        for (size_t i = 0; i < queue->count; i++)
            queue->items[i].was_delivered = true;
    }
    rig->names_count = 0;
    if (rig->seen_name) {
        rig->names[0].batch = 0;
        rig->names[rig->names_count++].value = rig->seen_name;
    }
}

bool rig_check(struct rig *rig, uint64_t from, uint64_t to, bool missing)
{
    struct seen seen[RIG_QUEUES] = {{0}};
    char why[200] = "", first[200] = "";
    bool sound = true, matches = false;
    uint64_t durable = rig->durable;
    for (int q = 0; q < RIG_QUEUES && sound; q++)
        if (rig->queues[q].index)
            sound = read_queue(rig, &rig->queues[q], &seen[q]);
    for (uint64_t batch = from; sound && batch <= to && !matches; batch++) {
        matches = state_matches(rig, seen, batch, missing, why, sizeof(why));
        if (batch == from)
            memcpy(first, why, sizeof(first));
    }
    if (sound && !matches)
        fail(rig, "after no batch of %" PRIu64 " to %" PRIu64 " was it like this: %s; %s", from, to,
             first, why);
    if (!rig->fault[0] || !is_blind(rig)) {
        take_over(rig, seen);
        rig->durable = 0;
        return !rig->fault[0];
    }
    for (int q = 0; q < RIG_QUEUES; q++)
        mem_free(seen[q].items);
    rig->durable = durable;
    return false;
}

/* ---- salvage ---- */

static void ignore(void *context, const char *text)
{
    (void)context;
    (void)text;
}

/* A queue may have lost its name. */
static void adopt(void *context, struct index *index)
{
    struct rig *rig = context;
    uint8_t key[9] = {'q'};
    memcpy(key + 1, &index->id, 8);
    for (int q = 0; q < RIG_QUEUES; q++) {
        if (index->owner || rig->queues[q].id != index->id)
            continue;
        rig->queues[q].index = store_queue(rig->store, index->id, &rig->queues[q]);
        store_catalogue_put(rig->store, bytes_of(key, sizeof(key)), bytes_str("here"));
    }
}

bool rig_salvage(struct rig *rig, struct kv *fresh)
{
    struct kv *old = rig->memory;
    struct salvage salvage = {ignore, ignore, NULL};
    bool is_open = old && old->ops->open(old) >= 0;
    rig->memory = fresh;
    rig->error[0] = '\0';
    rig->store = store_salvage(&rig->options, is_open ? old : NULL, rig->now_ms, &salvage,
                               rig->error, sizeof(rig->error));
    if (is_open)
        old->ops->close(old);
    if (!rig->store)
        return false;
    for (int q = 0; q < RIG_QUEUES; q++)
        rig->queues[q].index = NULL;
    rig->seen_name = 0;
    store_catalogue_each(rig->store, see_name, rig);
    store_queues_each(rig->store, adopt, rig);
    store_drop_orphans(rig->store);
    return store_salvage_write(rig->store) == 0;
}

static void compare_queue(struct rig *rig, struct rig_queue *queue, uint64_t last,
                          const struct seen *seen, struct rig_damage *damage)
{
    size_t at = 0;
    for (size_t i = 0; i < queue->count; i++) {
        const struct rig_item *item = &queue->items[i];
        bool found = at < seen->count && seen->items[at].id == item->id;
        bool wanted = is_there(item, last) && queue_is_there(queue, last);
        at += found;
        damage->repeats += found && !wanted;
        damage->lacks += !found && wanted;
        if (found && !wanted && !damage->may_repeat)
            fail(rig, "queue %" PRIu64 " has message %" PRIu64 " again", queue->id, item->id);
        if (!found && wanted && !damage->may_lack[item->id % RIG_IDS])
            fail(rig, "queue %" PRIu64 " lacks message %" PRIu64, queue->id, item->id);
        if (found && !item->survives)
            fail(rig, "queue %" PRIu64 " has transient message %" PRIu64, queue->id, item->id);
    }
    if (at < seen->count)
        fail(rig, "queue %" PRIu64 " has message %" PRIu64 " out of order", queue->id,
             seen->items[at].id);
}

bool rig_check_damage(struct rig *rig, uint64_t last, struct rig_damage *damage)
{
    damage->lacks = damage->repeats = 0;
    if (!damage->may_rename && !name_matches(rig, last))
        fail(rig, "the name has value %u", rig->seen_name);
    for (int q = 0; q < RIG_QUEUES && !rig->fault[0]; q++) {
        struct rig_queue *queue = &rig->queues[q];
        struct seen seen = {0};
        if (queue->index && !read_queue(rig, queue, &seen)) {
            mem_free(seen.items);
            break;
        }
        if (queue->id && !(queue->id & STORE_ID_TRANSIENT))
            compare_queue(rig, queue, last, &seen, damage);
        mem_free(seen.items);
    }
    return !rig->fault[0];
}

bool rig_check_promise(struct rig *rig)
{
    uint64_t last = rig->durable;
    for (int q = 0; q < RIG_QUEUES; q++) {
        const struct rig_queue *queue = &rig->queues[q];
        uint64_t end = queue->created > queue->deleted ? queue->created : queue->deleted;
        last = end > last ? end : last;
        for (size_t i = 0; i < queue->count; i++) {
            const struct rig_item *item = &queue->items[i];
            end = item->settled > item->published ? item->settled : item->published;
            last = end > last ? end : last;
        }
    }
    for (size_t i = 0; i < rig->names_count; i++)
        last = rig->names[i].batch > last ? rig->names[i].batch : last;
    return rig_check(rig, rig->durable, last, false);
}
