/* A key-value store in memory: sorted pairs, and the batches that were not synced. */
#include "kv_memory.h"

#include <stdio.h>
#include <string.h>

#include "base/list.h"
#include "base/mem.h"

struct pair {
    uint8_t *key, *value;
    size_t key_size, value_size;
};

/* What a reader sees, in order of keys. */
struct table {
    struct pair *pairs;
    size_t count, capacity;
};

struct unsynced {
    struct list link;
    struct buffer batch;
};

struct memory {
    struct kv kv;
    struct table now, durable;
    struct list unsynced;
    uint64_t calls, fail_at;
    bool forever;
    struct disk *disk; /* that must have `needed` bytes free; NULL: none */
    uint64_t needed;
};

static struct bytes key_of(const struct pair *pair)
{
    return bytes_of(pair->key, pair->key_size);
}

/* Where the key is, or would be. */
static size_t place(const struct table *table, struct bytes key)
{
    size_t low = 0, high = table->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (bytes_compare(key_of(&table->pairs[middle]), key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool is_at(const struct table *table, size_t at, struct bytes key)
{
    return at < table->count && bytes_equal(key_of(&table->pairs[at]), key);
}

static void table_delete(struct table *table, struct bytes key)
{
    size_t at = place(table, key);
    if (!is_at(table, at, key))
        return;
    mem_free(table->pairs[at].key);
    mem_free(table->pairs[at].value);
    memmove(&table->pairs[at], &table->pairs[at + 1],
            (--table->count - at) * sizeof(*table->pairs));
}

static void table_put(struct table *table, struct bytes key, struct bytes value)
{
    table_delete(table, key);
    size_t at = place(table, key);
    if (table->count == table->capacity) {
        table->capacity = table->capacity ? table->capacity * 2 : 64;
        table->pairs = mem_realloc(table->pairs, table->capacity * sizeof(*table->pairs));
    }
    memmove(&table->pairs[at + 1], &table->pairs[at],
            (table->count++ - at) * sizeof(*table->pairs));
    table->pairs[at] = (struct pair){mem_dup(key.data, key.size), mem_dup(value.data, value.size),
                                     key.size, value.size};
}

static void table_apply(struct table *table, struct bytes batch)
{
    struct cursor cursor = cursor_of(batch);
    bool put;
    struct bytes key, value;
    while (kv_batch_next(&cursor, &put, &key, &value)) {
        if (put)
            table_put(table, key, value);
        else
            table_delete(table, key);
    }
}

static void table_clear(struct table *table)
{
    for (size_t i = 0; i < table->count; i++) {
        mem_free(table->pairs[i].key);
        mem_free(table->pairs[i].value);
    }
    mem_free(table->pairs);
    *table = (struct table){0};
}

static void table_copy(struct table *to, const struct table *from)
{
    table_clear(to);
    for (size_t i = 0; i < from->count; i++)
        table_put(to, key_of(&from->pairs[i]),
                  bytes_of(from->pairs[i].value, from->pairs[i].value_size));
}

static bool has_room(const struct memory *memory)
{
    uint64_t bytes = 0, total;
    return !memory->disk ||
           (memory->disk->ops->free_space(memory->disk, &bytes, &total) == 0 &&
            bytes >= memory->needed);
}

static int no_room(struct memory *memory)
{
    snprintf(memory->kv.error, sizeof(memory->kv.error), "no space left on the disk");
    return -1;
}

static int fault(struct memory *memory)
{
    memory->calls++;
    if (!memory->fail_at || memory->calls < memory->fail_at)
        return 0;
    if (memory->calls > memory->fail_at && !memory->forever)
        return 0;
    snprintf(memory->kv.error, sizeof(memory->kv.error), "a fault was planted");
    return -1;
}

static int memory_open(struct kv *kv)
{
    struct memory *memory = (struct memory *)kv;
    if (fault(memory))
        return -1;
    return has_room(memory) ? 0 : no_room(memory);
}

static int memory_get(struct kv *kv, struct bytes key, struct buffer *value)
{
    struct memory *memory = (struct memory *)kv;
    if (fault(memory))
        return -1;
    size_t at = place(&memory->now, key);
    if (!is_at(&memory->now, at, key))
        return 0;
    buffer_add(value, memory->now.pairs[at].value, memory->now.pairs[at].value_size);
    return 1;
}

static void settle(struct memory *memory, uint64_t count)
{
    struct list *link;
    while (count-- && (link = list_take_first(&memory->unsynced))) {
        struct unsynced *unsynced = list_entry(link, struct unsynced, link);
        table_apply(&memory->durable, buffer_bytes(&unsynced->batch));
        buffer_free(&unsynced->batch);
        mem_free(unsynced);
    }
}

static int memory_write(struct kv *kv, struct bytes batch, bool sync)
{
    struct memory *memory = (struct memory *)kv;
    if (fault(memory))
        return -1;
    if (!has_room(memory))
        return no_room(memory);
    struct unsynced *unsynced = mem_zalloc(sizeof(*unsynced));
    buffer_add(&unsynced->batch, batch.data, batch.size);
    list_push_back(&memory->unsynced, &unsynced->link);
    table_apply(&memory->now, batch);
    if (sync)
        settle(memory, UINT64_MAX);
    return 0;
}

static int memory_scan(struct kv *kv, struct bytes prefix, struct bytes from,
                       bool (*each)(void *context, struct bytes key, struct bytes value),
                       void *context)
{
    struct memory *memory = (struct memory *)kv;
    if (fault(memory))
        return -1;
    if (bytes_compare(from, prefix) < 0)
        from = prefix;
    for (size_t at = place(&memory->now, from); at < memory->now.count; at++) {
        const struct pair *pair = &memory->now.pairs[at];
        bool within = pair->key_size >= prefix.size &&
                      (prefix.size == 0 || memcmp(pair->key, prefix.data, prefix.size) == 0);
        if (!within || !each(context, key_of(pair), bytes_of(pair->value, pair->value_size)))
            break;
    }
    return 0;
}

static void memory_close(struct kv *kv)
{
    (void)kv;
}

static const struct kv_ops ops = {memory_open, memory_get, memory_write, memory_scan,
                                  memory_close};

struct kv *kv_memory_new(void)
{
    struct memory *memory = mem_zalloc(sizeof(*memory));
    memory->kv.ops = &ops;
    list_init(&memory->unsynced);
    return &memory->kv;
}

void kv_memory_free(struct kv *kv)
{
    struct memory *memory = (struct memory *)kv;
    settle(memory, UINT64_MAX);
    table_clear(&memory->now);
    table_clear(&memory->durable);
    mem_free(memory);
}

void kv_memory_crash(struct kv *kv, bool keep, struct random *random)
{
    struct memory *memory = (struct memory *)kv;
    uint64_t count = 0;
    memory->fail_at = 0;
    list_for_each(link, &memory->unsynced) count++;
    if (keep)
        settle(memory, UINT64_MAX);
    else if (random)
        settle(memory, random_below(random, count + 1));
    struct list *link;
    while ((link = list_take_first(&memory->unsynced))) {
        struct unsynced *unsynced = list_entry(link, struct unsynced, link);
        buffer_free(&unsynced->batch);
        mem_free(unsynced);
    }
    table_copy(&memory->now, &memory->durable);
}

uint64_t kv_memory_calls(const struct kv *kv)
{
    return ((const struct memory *)kv)->calls;
}

void kv_memory_fail(struct kv *kv, uint64_t at, bool forever)
{
    struct memory *memory = (struct memory *)kv;
    memory->fail_at = at ? memory->calls + at : 0;
    memory->forever = forever;
}

void kv_memory_need(struct kv *kv, struct disk *disk, uint64_t bytes)
{
    struct memory *memory = (struct memory *)kv;
    memory->disk = disk;
    memory->needed = bytes;
}

struct kv *kv_memory_copy(struct kv *kv)
{
    struct kv *copy = kv_memory_new();
    table_copy(&((struct memory *)copy)->now, &((struct memory *)kv)->now);
    table_copy(&((struct memory *)copy)->durable, &((struct memory *)kv)->now);
    return copy;
}

bool kv_memory_equal(struct kv *a, struct kv *b)
{
    const struct table *left = &((struct memory *)a)->now, *right = &((struct memory *)b)->now;
    bool equal = left->count == right->count;
    for (size_t i = 0; equal && i < left->count; i++)
        equal = bytes_equal(key_of(&left->pairs[i]), key_of(&right->pairs[i])) &&
                bytes_equal(bytes_of(left->pairs[i].value, left->pairs[i].value_size),
                            bytes_of(right->pairs[i].value, right->pairs[i].value_size));
    return equal;
}
