/* The life of a store and the single things that are done to it; each is noted in the model. */
#include "tests/fault/rig_internal.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/mem.h"

/* ---- setting up ---- */

static void set_up(struct rig *rig, struct disk *disk, struct kv *memory)
{
    rig->disk = disk;
    rig->memory = memory;
    rig->kv = rig_kv_new(rig);
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
    rig->options.segment_bytes = RIG_SEGMENT_BYTES;
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

void rig_fail(struct rig *rig, const char *format, ...)
{
    va_list arguments;
    if (rig->fault[0])
        return;
    va_start(arguments, format);
    vsnprintf(rig->fault, sizeof(rig->fault), format, arguments);
    va_end(arguments);
}

/* ---- opening and closing ---- */

static void see_name(void *context, struct bytes key, struct bytes value)
{
    struct rig *rig = context;
    uint64_t id;
    if (bytes_equal_str(key, "name") && value.size >= 4) {
        memcpy(&rig->seen_name, value.data, 4);
        return;
    }
    if (key.size != 9 || key.data[0] != 'q') {
        rig_fail(rig, "the catalogue has a name that was never put");
        return;
    }
    memcpy(&id, key.data + 1, 8);
    for (int q = 0; q < RIG_QUEUES; q++) {
        if (rig->queues[q].id != id)
            continue;
        rig->queues[q].index = store_queue(rig->store, id, &rig->queues[q]);
        return;
    }
    rig_fail(rig, "the catalogue has a queue that was never made");
}

void rig_see_names(struct rig *rig)
{
    for (int q = 0; q < RIG_QUEUES; q++)
        rig->queues[q].index = NULL;
    rig->seen_name = 0;
    store_catalogue_each(rig->store, see_name, rig);
}

bool rig_open(struct rig *rig)
{
    rig->error[0] = '\0';
    rig->store = store_open(&rig->options, rig->now_ms, rig->error, sizeof(rig->error));
    if (!rig->store)
        return false;
    rig_see_names(rig);
    store_drop_orphans(rig->store);
    return true;
}

void rig_met_add(struct rig_met *met, const struct store_stats *stats)
{
    met->settles += stats->settles_written;
    met->rolls += stats->segments_rolled;
    met->recycled += stats->segments_recycled;
    met->retired += stats->segments_retired;
    met->spills += stats->chunks_spilled;
    met->loads += stats->chunks_loaded;
    met->paged += stats->bodies_paged;
    met->reads += stats->bodies_read;
    met->checkpoints += stats->checkpoints;
    met->compactions += stats->compactions;
    met->moved += stats->messages_moved;
    met->elided += stats->records_elided;
    met->marks += stats->marks_written;
}

void rig_close(struct rig *rig)
{
    if (!rig->store)
        return;
    rig_met_add(&rig->met, store_stats(rig->store));
    store_close(rig->store);
    rig->store = NULL;
}

void rig_abandon(struct rig *rig)
{
    if (!rig->store)
        return;
    rig_met_add(&rig->met, store_stats(rig->store));
    store_abandon(rig->store);
    rig->store = NULL;
}

bool rig_is_up(const struct rig *rig)
{
    return rig->store && !store_failure(rig->store) && !rig_is_dead(rig) && !rig->fault[0];
}

/* ---- what is done ---- */

uint64_t rig_filling(const struct rig *rig)
{
    return store_ticket(rig->store).index;
}

/* The last batch that is durable; the one that fills is not, even if it is empty yet. */
static void note_durable(struct rig *rig)
{
    uint64_t durable = store_durable_index(rig->store);
    if (durable >= rig_filling(rig))
        durable = rig_filling(rig) - 1;
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

/* Some are parts of the queue before. */
static uint64_t new_id(struct rig *rig, int q, bool survives)
{
    uint64_t before = q ? rig->queues[q - 1].id : STORE_ID_TRANSIENT;
    if (survives && q % 2 && !(before & STORE_ID_TRANSIENT) && store_part(before) == 0)
        return store_part_id(before, (uint8_t)(255 - q));
    return store_queue_id(rig->store, survives);
}

int rig_new_queue(struct rig *rig, bool survives)
{
    int q = 0;
    if (!rig_is_up(rig))
        return 0;
    while (rig->queues[q].id)
        q++;
    struct rig_queue *queue = &rig->queues[q];
    queue->id = new_id(rig, q, survives);
    queue->index = store_queue(rig->store, queue->id, queue);
    queue->created = rig_filling(rig);
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
    queue->deleted = rig_filling(rig);
    store_queue_delete(rig->store, queue->index);
    store_catalogue_delete(rig->store, bytes_of(key, sizeof(key)));
    queue->index = NULL;
}

void rig_put_name(struct rig *rig, uint32_t value)
{
    if (!rig_is_up(rig) || rig->names_count == RIG_NAMES)
        return;
    rig->names[rig->names_count].batch = rig_filling(rig);
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

uint64_t rig_read_message(struct rig *rig, const struct message *message)
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
        rig_fail(rig, "a message is damaged, or was never published: id %" PRIu64, id);
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
        item->published = rig_filling(rig);
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
    uint64_t id = rig_read_message(rig, taken->message);
    struct rig_item *item = id ? find_item(queue, id) : NULL;
    if (!item || item->settled || item->is_taken) {
        rig_fail(rig, "message %" PRIu64 " came although it was gone", id);
        return;
    }
    if (item->was_delivered && !taken->redelivered)
        rig_fail(rig, "message %" PRIu64 " came again without redelivered", id);
    item->was_delivered = true;
    item->sequence = taken->sequence;
    item->is_taken = !settle;
    if (settle)
        item->settled = rig_filling(rig);
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
            index_redeliver(queue->index, item->sequence);
        } else {
            item->settled = rig_filling(rig);
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
            queue->items[i].settled = rig_filling(rig);
    index_purge(queue->index);
}
