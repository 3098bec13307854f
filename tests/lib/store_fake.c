#include "tests/lib/store_fake.h"

#include <assert.h>
#include <stdlib.h>

#include "base/mem.h"

struct entry {
    struct entry *next; /* in order of keys */
    size_t key_size, value_size;
    uint8_t bytes[];
};

struct item {
    struct list link;
    uint64_t sequence;
    struct message *message;
    uint64_t expires_ms;
    bool is_taken; /* or delayed */
    uint32_t returned;
    uint64_t until_ms;
};

struct fake_index {
    struct index index; /* first, so that one is the other */
    struct list link;   /* on store->indexes */
    struct list items;  /* in order of their numbers */
    struct list *near;  /* of items: what was asked for last; or items itself */
    struct list *ready; /* all of items before it are taken; items itself: all are */
    struct store *store;
};

struct store {
    struct message_pool *pool;
    struct entry *entries;
    struct list indexes;
    struct list changed;
    uint64_t last_id;
    uint64_t changes;
    size_t settled;
    enum index_result fetch;
    bool congested;
    size_t asked; /* by index_read_soon */
    uint64_t asked_first, asked_last;
};

static struct fake_index *fake_of(const struct index *index)
{
    return (struct fake_index *)(void *)(uintptr_t)index;
}

struct store *store_fake_new(struct message_pool *pool)
{
    struct store *store = mem_zalloc(sizeof(*store));
    store->pool = pool;
    list_init(&store->indexes);
    list_init(&store->changed);
    return store;
}

static void item_free(struct fake_index *fake, struct item *item)
{
    if (fake->near == &item->link)
        fake->near = item->link.prev;
    if (fake->ready == &item->link)
        fake->ready = item->link.next;
    list_remove(&item->link);
    message_unref(fake->store->pool, item->message);
    mem_free(item);
}

static void index_free(struct fake_index *fake)
{
    list_for_each_safe(link, after, &fake->items)
        item_free(fake, list_entry(link, struct item, link));
    list_remove(&fake->link);
    list_remove(&fake->index.changed_link);
    mem_free(fake);
}

void store_fake_free(struct store *store)
{
    list_for_each_safe(link, after, &store->indexes)
        index_free(list_entry(link, struct fake_index, link));
    for (struct entry *entry = store->entries, *next; entry; entry = next) {
        next = entry->next;
        mem_free(entry);
    }
    mem_free(store);
}

void store_fake_restart(struct store *store)
{
    list_for_each_safe(link, after, &store->indexes)
    {
        struct fake_index *fake = list_entry(link, struct fake_index, link);
        if (fake->index.id & STORE_ID_TRANSIENT) {
            index_free(fake);
            continue;
        }
        fake->index.owner = NULL;
        list_for_each(at, &fake->items)
        {
            struct item *item = list_entry(at, struct item, link);
            if (item->is_taken && !item->until_ms)
                index_count(&fake->index, 1, -1, item->message->body_size);
            item->is_taken = item->until_ms;
        }
        fake->ready = fake->items.next;
    }
    store->settled = 0;
}

/* ---- catalogue ---- */

static struct bytes key_of(const struct entry *entry)
{
    return bytes_of(entry->bytes, entry->key_size);
}

static struct entry **find(struct store *store, struct bytes key)
{
    struct entry **at = &store->entries;
    while (*at && bytes_compare(key_of(*at), key) < 0)
        at = &(*at)->next;
    return at;
}

void store_catalogue_delete(struct store *store, struct bytes key)
{
    struct entry **at = find(store, key), *entry = *at;
    store->changes++;
    if (!entry || !bytes_equal(key_of(entry), key))
        return;
    *at = entry->next;
    mem_free(entry);
}

void store_catalogue_put(struct store *store, struct bytes key, struct bytes value)
{
    store_catalogue_delete(store, key);
    struct entry **at = find(store, key);
    struct entry *entry = mem_alloc(sizeof(*entry) + key.size + value.size);
    entry->key_size = key.size;
    entry->value_size = value.size;
    if (key.size)
        memcpy(entry->bytes, key.data, key.size);
    if (value.size)
        memcpy(entry->bytes + key.size, value.data, value.size);
    entry->next = *at;
    *at = entry;
}

void store_fake_put(struct store *store, struct bytes key, struct bytes value)
{
    store_catalogue_put(store, key, value);
}

void store_catalogue_each(struct store *store,
                          void (*each)(void *context, struct bytes key, struct bytes value),
                          void *context)
{
    for (const struct entry *entry = store->entries, *next; entry; entry = next) {
        next = entry->next;
        each(context, key_of(entry),
             bytes_of(entry->bytes + entry->key_size, entry->value_size));
    }
}

size_t store_fake_entries(const struct store *store)
{
    size_t count = 0;
    for (const struct entry *entry = store->entries; entry; entry = entry->next)
        count++;
    return count;
}

size_t store_fake_entries_of(const struct store *store, uint8_t kind)
{
    size_t count = 0;
    for (const struct entry *entry = store->entries; entry; entry = entry->next)
        count += entry->key_size && entry->bytes[0] == kind;
    return count;
}

/* ---- queues ---- */

uint64_t store_queue_id(struct store *store, bool survives)
{
    return ++store->last_id | (survives ? 0 : STORE_ID_TRANSIENT);
}

struct index *store_queue_find(struct store *store, uint64_t id, void *owner)
{
    list_for_each(link, &store->indexes)
    {
        struct fake_index *fake = list_entry(link, struct fake_index, link);
        if (fake->index.id != id)
            continue;
        fake->index.owner = owner;
        return &fake->index;
    }
    return NULL;
}

struct index *store_queue(struct store *store, uint64_t id, void *owner)
{
    struct index *index = store_queue_find(store, id, owner);
    if (index)
        return index;
    struct fake_index *fake = mem_zalloc(sizeof(*fake));
    fake->index.id = id;
    fake->index.owner = owner;
    fake->index.next_sequence = 1;
    fake->index.heeds = COUNTS_NOTED;
    list_init(&fake->index.changed_link);
    fake->store = store;
    list_init(&fake->items);
    fake->near = fake->ready = &fake->items;
    list_push_back(&store->indexes, &fake->link);
    store->changes++;
    return &fake->index;
}

void store_queue_delete(struct store *store, struct index *index)
{
    store->changes++;
    index_free(fake_of(index));
}

void store_drop_orphans(struct store *store)
{
    store->settled++;
}

void store_queues_each(struct store *store, void (*each)(void *context, struct index *index),
                       void *context)
{
    list_for_each(link, &store->indexes)
        each(context, &list_entry(link, struct fake_index, link)->index);
}

size_t store_fake_indexes(const struct store *store)
{
    size_t count = 0;
    list_for_each(link, &store->indexes)
        count++;
    return count;
}

size_t store_fake_settled(const struct store *store)
{
    return store->settled;
}

uint64_t store_fake_changes(const struct store *store)
{
    return store->changes;
}

/* ---- messages ---- */

uint32_t store_publish_timed(struct store *store, struct message *message, struct index *const *queues,
                         const uint64_t *times, size_t count)
{
    bool survives = false;
    for (size_t i = 0; i < count; i++) {
        struct fake_index *fake = fake_of(queues[i]);
        struct item *item = mem_zalloc(sizeof(*item));
        item->sequence = fake->index.next_sequence++;
        item->message = message_ref(message);
        item->expires_ms = times ? times[i] : 0;
        fake->index.has_times |= item->expires_ms > 0;
        list_push_back(&fake->items, &item->link);
        if (fake->ready == &fake->items)
            fake->ready = &item->link;
        index_count(&fake->index, 1, 0, message->body_size);
        index_count_bytes(&fake->index, message->body_size);
        survives |= !(fake->index.id & STORE_ID_TRANSIENT);
    }
    (void)store;
    return survives && message->flags & MESSAGE_PERSISTENT;
}

uint32_t store_publish_one(struct store *store, struct message *message, struct index *queue,
                       uint64_t ends_ms)
{
    return store_publish_timed(store, message, &queue, &ends_ms, 1);
}

/* Nobody is ever told to wait for a read that ends. */
struct index *store_take_awake(struct store *store)
{
    (void)store;
    return NULL;
}

void index_note_change(struct index *index)
{
    index->heeds = index->above ? COUNTS_ABOVE : COUNTS_UNHEEDED;
    list_push_back(&fake_of(index)->store->changed, &index->changed_link);
}

struct index *store_take_changed(struct store *store)
{
    struct list *link = list_take_first(&store->changed);
    if (!link)
        return NULL;
    struct index *index = list_entry(link, struct index, changed_link);
    index->heeds = COUNTS_NOTED;
    return index;
}

bool store_is_short(const struct store *store)
{
    (void)store;
    return false;
}

bool store_is_congested(const struct store *store)
{
    return store->congested;
}

enum store_room store_room(struct store *store, uint64_t bytes)
{
    (void)store, (void)bytes;
    return STORE_ROOM_NOW;
}

enum store_room store_room_ending(struct store *store, uint64_t bytes)
{
    return store_room(store, bytes);
}

uint64_t store_message_bytes(const struct message *message, size_t queues)
{
    return message_data_size(message) + 16 * (uint64_t)queues;
}

void store_fake_congested(struct store *store, bool congested)
{
    store->congested = congested;
}

static struct item *item_of(struct list *link)
{
    return list_entry(link, struct item, link);
}

/* From where the last one was: many follow on one another. */
static struct item *item_find(const struct index *index, uint64_t sequence)
{
    struct fake_index *fake = fake_of(index);
    struct list *at = fake->near, *end = &fake->items;
    while (at != end && item_of(at)->sequence > sequence)
        at = at->prev;
    if (at == end)
        at = end->next;
    while (at != end && item_of(at)->sequence < sequence)
        at = at->next;
    if (at == end)
        return NULL;
    fake->near = at;
    return item_of(at)->sequence == sequence ? item_of(at) : NULL;
}

static struct item *item_head(const struct index *index)
{
    struct fake_index *fake = fake_of(index);
    while (fake->ready != &fake->items && item_of(fake->ready)->is_taken)
        fake->ready = fake->ready->next;
    return fake->ready == &fake->items ? NULL : item_of(fake->ready);
}

static void mark_taken(struct index *index, struct item *item)
{
    item->is_taken = true;
    index_count(index, -1, 1, -(int64_t)item->message->body_size);
}

enum index_result index_take(struct index *index, bool settle, struct taken *taken)
{
    struct item *item = item_head(index);
    if (!item)
        return INDEX_EMPTY;
    *taken = (struct taken){item->sequence, message_ref(item->message), item->returned,
                            item->returned > 0};
    mark_taken(index, item);
    if (settle)
        index_settle(index, taken->sequence);
    return INDEX_OK;
}

bool index_take_head(struct index *index, uint64_t *sequence)
{
    struct item *item = item_head(index);
    if (!item)
        return false;
    mark_taken(index, item);
    *sequence = item->sequence;
    return true;
}

bool index_take_at(struct index *index, uint64_t sequence)
{
    struct item *item = item_find(index, sequence);
    if (!item || item->is_taken)
        return false;
    mark_taken(index, item);
    return true;
}

enum index_result index_ends(struct index *index, uint64_t sequence, uint64_t *ends_ms)
{
    const struct item *item = item_find(index, sequence);
    *ends_ms = item ? item->expires_ms : 0;
    return item ? fake_of(index)->store->fetch : INDEX_EMPTY;
}

/* Told one at a time. */
enum index_result index_times(struct index *index, uint64_t *from, index_each_time *each,
                              void *context)
{
    list_for_each(link, &fake_of(index)->items)
    {
        const struct item *item = list_entry(link, struct item, link);
        if (item->sequence < *from || !item->expires_ms)
            continue;
        if (fake_of(index)->store->fetch != INDEX_OK)
            return INDEX_WAIT;
        each(context, item->sequence, item->expires_ms);
        *from = item->sequence + 1;
        return INDEX_OK;
    }
    return INDEX_EMPTY;
}

uint64_t index_head_ms(struct index *index)
{
    const struct item *item = item_head(index);
    return item ? item->expires_ms : 0;
}

enum index_result index_expire(struct index *index, uint64_t clock_ms, uint64_t *sequence)
{
    const struct item *item = item_head(index);
    if (!item || !item->expires_ms || item->expires_ms > clock_ms)
        return INDEX_EMPTY;
    return index_take_head(index, sequence) ? INDEX_OK : INDEX_EMPTY;
}

void index_return(struct index *index, uint64_t sequence)
{
    struct item *item = item_find(index, sequence);
    assert(item && item->is_taken);
    struct fake_index *fake = fake_of(index);
    item->is_taken = false;
    if (fake->ready == &fake->items || item_of(fake->ready)->sequence > item->sequence)
        fake->ready = &item->link;
    index_count(index, 1, -1, item->message->body_size);
}

void index_redeliver(struct index *index, uint64_t sequence)
{
    item_find(index, sequence)->returned++;
    index_return(index, sequence);
}

void index_delay(struct index *index, uint64_t sequence, uint64_t until_ms)
{
    struct item *item = item_find(index, sequence);
    assert(item && item->is_taken && until_ms);
    item->returned++;
    item->until_ms = until_ms;
    index_count(index, 0, -1, 0);
    index_count_delayed(index, 1);
}

bool index_retry(struct index *index, uint64_t sequence)
{
    struct item *item = item_find(index, sequence);
    if (!item || !item->until_ms)
        return false;
    item->until_ms = 0;
    index_count_delayed(index, -1);
    index_count(index, 0, 1, 0);
    index_return(index, sequence);
    return true;
}

void index_delayed(struct index *index, index_each_time *each, void *context)
{
    list_for_each(link, &fake_of(index)->items)
    {
        const struct item *item = list_entry(link, struct item, link);
        if (item->until_ms)
            each(context, item->sequence, item->until_ms);
    }
}

uint32_t index_delivery_count(struct index *index, uint64_t sequence)
{
    const struct item *item = item_find(index, sequence);
    return item ? item->returned : 0;
}

void index_settle(struct index *index, uint64_t sequence)
{
    struct item *item = item_find(index, sequence);
    assert(item && item->is_taken);
    index_count_bytes(index, -(int64_t)item->message->body_size);
    item_free(fake_of(index), item);
    index_count(index, 0, -1, 0);
}

uint64_t store_group_queue_id(struct store *store, uint64_t group)
{
    (void)group;
    return store_queue_id(store, true);
}

uint32_t store_names_log(const struct store *store)
{
    (void)store;
    return LOG_JOURNAL;
}

uint64_t index_next(const struct index *index)
{
    return index->next_sequence;
}

uint64_t store_queue_proposed(const struct store *store, uint64_t id, uint64_t *bytes)
{
    (void)store;
    (void)id;
    return *bytes = 0;
}

bool index_holds(struct index *index, uint64_t sequence)
{
    return item_find(index, sequence);
}

bool index_keeps(struct index *index, uint64_t sequence)
{
    return item_find(index, sequence);
}

void store_fake_fetch(struct store *store, enum index_result answer)
{
    store->fetch = answer;
}

enum index_result index_fetch(struct index *index, uint64_t sequence, struct message **message)
{
    struct item *item = item_find(index, sequence);
    assert(item && item->is_taken);
    if (fake_of(index)->store->fetch != INDEX_OK)
        return fake_of(index)->store->fetch;
    *message = message_ref(item->message);
    return INDEX_OK;
}

void index_read_some(struct index *index, const uint64_t *sequences, size_t count)
{
    for (size_t i = 0; i < count; i++)
        assert(item_find(index, sequences[i])->is_taken);
}

size_t store_fake_asked(struct store *store, uint64_t *first, uint64_t *last)
{
    size_t asked = store->asked;
    *first = store->asked_first;
    *last = store->asked_last;
    store->asked = 0;
    return asked;
}

bool index_read_soon(struct index *index, const uint64_t *sequences, size_t count)
{
    struct store *store = fake_of(index)->store;
    store->asked += count;
    store->asked_first = count ? sequences[0] : 0;
    store->asked_last = count ? sequences[count - 1] : 0;
    return true;
}

enum index_result index_look(struct index *index, uint64_t from, struct looked *looked)
{
    list_for_each(link, &fake_of(index)->items)
    {
        const struct item *item = list_entry(link, struct item, link);
        if (item->sequence < from)
            continue;
        *looked = (struct looked){
            .sequence = item->sequence,
            .message = message_ref(item->message),
            .ends_ms = item->expires_ms,
            .delivery_count = item->returned,
            .state = item->until_ms   ? LOOKED_DELAYED
                     : item->is_taken ? LOOKED_TAKEN
                                      : LOOKED_READY,
        };
        return INDEX_OK;
    }
    return INDEX_EMPTY;
}

void index_heads(struct index *index, struct index_heads *heads)
{
    *heads = (struct index_heads){0};
    list_for_each(link, &fake_of(index)->items)
    {
        const struct item *item = list_entry(link, struct item, link);
        if (!heads->first)
            heads->first = item->message;
        if (!heads->ready && !item->is_taken && !item->until_ms)
            heads->ready = item->message;
    }
}

/* Nothing is ever read. */
enum index_obstacle index_obstacle(struct index *index)
{
    (void)index;
    return INDEX_UNHINDERED;
}

uint64_t index_purge(struct index *index)
{
    struct fake_index *fake = fake_of(index);
    uint64_t purged = index->ready;
    list_for_each_safe(link, after, &fake->items)
    {
        struct item *item = list_entry(link, struct item, link);
        if (!item->is_taken)
            item_free(fake, item);
    }
    index_count_bytes(index, -(int64_t)index->ready_bytes);
    index_count(index, -(int64_t)index->ready, 0, -(int64_t)index->ready_bytes);
    return purged;
}

struct message *store_fake_peek(const struct index *index, size_t n)
{
    list_for_each(link, &fake_of(index)->items)
        if (n-- == 0)
            return list_entry(link, struct item, link)->message;
    return NULL;
}
