/* The image of a checkpoint as it lies in the key-value store: its sum, and reading it back.
 *
 * A key-value store that damages or loses something on the disk need not notice: a record of
 * LevelDB's log that is bad is skipped or ends the log, and what was written before or after it
 * counts all the same. So every value carries a checksum, and the header of the checkpoint the sum
 * over the checksums of all pairs (of the kinds S, Q, D, N, G and E) that belong to the image. It is
 * carried on from one checkpoint to the next, by what the batch of the checkpoint replaces, adds
 * and deletes. A pair that is missing, that was deleted and is there, or that is older than it
 * should be, gives another sum. That the image as a whole is the last one is what the anchor tells.
 * Blobs are not in the sum: the image names them, under keys that are used once, and one that is
 * not there, or bad, is found when it is loaded. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "store/internal.h"

enum { SEAL_SIZE = 4, FIRST_HEADER_SIZE = 48 };

static uint64_t key_number(struct bytes key, size_t from, size_t size)
{
    uint64_t number = 0;
    for (size_t i = 0; i < size && from + i < key.size; i++)
        number = number << 8 | key.data[from + i];
    return number;
}

/* ---- the sum ---- */

/* What a pair adds to the sum: one, and its checksum. */
uint64_t image_weight(struct bytes sealed)
{
    if (sealed.size < SEAL_SIZE)
        return 0;
    struct cursor cursor = cursor_of(bytes_of(sealed.data + sealed.size - SEAL_SIZE, SEAL_SIZE));
    return ((uint64_t)1 << 32) + cursor_u32(&cursor);
}

struct change {
    struct bytes key, value;
    size_t order;
    bool put;
};

static int by_key(const void *a, const void *b)
{
    const struct change *left = a, *right = b;
    int order = bytes_compare(left->key, right->key);
    return order ? order : (left->order > right->order) - (left->order < right->order);
}

/* The changes of a batch to pairs of the image, by key; the caller frees them. */
static struct change *changes_of(struct bytes batch, size_t *count)
{
    struct change *changes = NULL, change = {{0}, {0}, 0, false};
    size_t capacity = 0;
    struct cursor cursor = cursor_of(batch);
    while (kv_batch_next(&cursor, &change.put, &change.key, &change.value)) {
        if (change.key.size == 0 || !strchr(IMAGE_KINDS, change.key.data[0]))
            continue;
        changes = mem_grow(changes, &capacity, change.order + 1, sizeof(*changes));
        changes[change.order++] = change;
    }
    *count = change.order;
    if (changes)
        qsort(changes, *count, sizeof(*changes), by_key);
    return changes;
}

/* What the change takes from the sum: the pair that is there now. */
static int subtract_old(struct kv *kv, struct bytes key, struct buffer *scratch, uint64_t *sum)
{
    scratch->size = 0;
    int found = kv->ops->get(kv, key, scratch);
    if (found == 1)
        *sum -= image_weight(buffer_bytes(scratch));
    return found;
}

int image_seal(struct checkpoint_job *job)
{
    struct kv *kv = job->store->options.kv;
    struct buffer scratch = {0};
    uint64_t sum = job->sum;
    size_t count;
    int result = 0;
    if (job->is_sealed && !planted(PLANTED_SEALED_AGAIN)) /* by an attempt that failed, and may have left its batch all the same */
        return 0;
    struct change *changes = changes_of(buffer_bytes(&job->batch), &count);
    for (size_t i = 0; i < count && result >= 0; i++) {
        bool is_last = i + 1 == count || !bytes_equal(changes[i].key, changes[i + 1].key);
        if (!is_last)
            continue;
        result = subtract_old(kv, changes[i].key, &scratch, &sum);
        sum += changes[i].put ? image_weight(changes[i].value) : 0;
    }
    mem_free(changes);
    buffer_free(&scratch);
    if (result < 0)
        return -1;
    job->sum = sum;
    job->is_sealed = true;
    buffer_add_u64(&job->header, sum);
    kv_batch_put_sealed(&job->batch, bytes_str("C"), buffer_bytes(&job->header));
    return 0;
}

/* ---- reading it back ---- */

struct loading {
    struct store *store;
    bool (*each)(struct loading *loading, struct bytes key, struct bytes value);
    uint64_t sum;
    const char *bad; /* what makes no sense */
};

static bool load_segment(struct loading *loading, struct bytes key, struct bytes value)
{
    struct cursor cursor = cursor_of(value);
    struct segment *segment =
        segment_add(&loading->store->journal, (uint32_t)key_number(key, 1, 4));
    segment->kept_entries = segment->live_entries = cursor_u64(&cursor);
    segment->kept_bytes = segment->live_bytes = cursor_u64(&cursor);
    segment->size = cursor_u64(&cursor);
    segment->last_batch = cursor_u64(&cursor);
    loading->store->stats.live_bytes += segment->live_bytes;
    loading->bad = cursor.bad || segment->number == 0 ? "a segment's counters" : NULL;
    return !loading->bad;
}

static bool load_queue(struct loading *loading, struct bytes key, struct bytes value)
{
    struct cursor cursor = cursor_of(value);
    struct index *index = index_new(loading->store, key_number(key, 1, 8));
    index->next_sequence = cursor_u64(&cursor);
    index->mark = cursor_u64(&cursor);
    loading->bad = cursor.bad ? "a queue's counters" : NULL;
    return !loading->bad;
}

static bool load_bits(struct chunk *chunk, struct cursor *cursor, uint32_t count)
{
    uint32_t set = 0;
    for (uint32_t slot = 0; slot < chunk->slots; slot += 64) {
        uint64_t bits = count == chunk->slots ? UINT64_MAX : cursor_u64(cursor);
        if (chunk->slots - slot < 64)
            bits &= ((uint64_t)1 << (chunk->slots - slot)) - 1;
        chunk->live_bits[slot / 64] = chunk->ready_bits[slot / 64] = bits;
        set += (uint32_t)__builtin_popcountll(bits);
    }
    chunk->live = chunk->ready = set;
    return !cursor->bad && set == count;
}

static bool load_chunk(struct loading *loading, struct bytes key, struct bytes value)
{
    struct store *store = loading->store;
    struct cursor cursor = cursor_of(value);
    uint64_t queue = key_number(key, 1, 8), base = key_number(key, 9, 8);
    uint64_t blob = cursor_u64(&cursor);
    uint32_t slots = cursor_u32(&cursor), count = cursor_u32(&cursor);
    loading->bad = "an entry of a queue's directory";
    if (cursor.bad || slots == 0 || slots > 1u << 24 || count > slots || blob == 0)
        return false;
    struct chunk *chunk = chunk_cold(&store->memory.slab, queue, base, slots);
    chunk->blob = blob;
    chunk->unreleased = planted(PLANTED_UNRELEASED_FORGOTTEN) ? 0 : slots - count;
    chunk->is_old = chunk->is_named = true;
    if (!load_bits(chunk, &cursor, count)) {
        chunk_free(&store->memory.slab, chunk);
        return false;
    }
    if (cursor.at < cursor.end)
        chunk->ready_bytes = cursor_u64(&cursor);
    struct index *index = idmap_find(&store->indexes, queue);
    if (index && count) {
        index_add_chunk(index, chunk);
        chunk->due_s = cursor.at < cursor.end ? cursor_u32(&cursor) : 0;
        if (!returns_decode(&store->memory.slab, &chunk->returns, &cursor, slots))
            return false;
        index->has_times |= chunk->due_s > 0;
        index_count(index, count, 0, (int64_t)chunk->ready_bytes);
        index_count_bytes(index, (int64_t)chunk->ready_bytes);
        for (uint32_t i = 0; chunk->returns && i < chunk->returns->count; i++)
            if (chunk->returns->items[i].until_ms)
                index_restore_delayed(index, chunk, chunk->returns->items[i].slot);
    } else {
        list_push_back(&store->memory.dead, &chunk->cache_link);
    }
    loading->bad = NULL;
    return true;
}

static bool load_name(struct loading *loading, struct bytes key, struct bytes value)
{
    name_change(loading->store, &loading->store->image.catalogue,
                bytes_of(key.data + 1, key.size - 1), value, false);
    return true;
}

static bool load_group(struct loading *loading, struct bytes key, struct bytes value)
{
    uint64_t group = key_number(key, 1, 8);
    bool ok = group && !group_log_find(loading->store, group) &&
              group_decode(loading->store, group, value);
    loading->bad = ok ? NULL : "a group";
    return ok;
}

static bool load_block(struct loading *loading, struct bytes key, struct bytes value)
{
    bool ok = group_block_decode(loading->store, key_number(key, 1, 8), value);
    loading->bad = ok ? NULL : "entries of a group";
    return ok;
}

static int fail_load(const char *what, const char *why, char *error, size_t error_size)
{
    snprintf(error, error_size,
             "the index is damaged: %s: %s; " NEXT_STEP, what, why);
    return -1;
}

static bool load_pair(void *context, struct bytes key, struct bytes value)
{
    struct loading *loading = context;
    loading->sum += image_weight(value);
    loading->bad = "a value has a bad checksum";
    if (!kv_value_open(key, &value))
        return false;
    loading->bad = NULL;
    return loading->each(loading, key, value);
}

int image_header(struct store *store, struct position *position, uint64_t *sum, char *error,
                 size_t error_size)
{
    struct kv *kv = store->options.kv;
    struct buffer value = {0};
    int found = kv->ops->get(kv, bytes_str("C"), &value);
    struct bytes header = buffer_bytes(&value);
    bool is_sealed = kv_value_open(bytes_str("C"), &header);
    struct cursor cursor = cursor_of(header);
    uint32_t version = cursor_u32(&cursor);
    store->image.number = cursor_u64(&cursor);
    position->batch = cursor_u64(&cursor);
    position->segment = cursor_u32(&cursor);
    position->offset = cursor_u64(&cursor);
    position->previous = cursor_u32(&cursor);
    store->id_last = cursor_u64(&cursor);
    store->image.blob_last = cursor_u64(&cursor);
    store->journal.segment_last = cursor_u32(&cursor);
    *sum = cursor_u64(&cursor);
    bool is_first = version == 1 && header.size == FIRST_HEADER_SIZE;
    buffer_free(&value);
    if (found <= 0)
        return found < 0 ? fail_load("the checkpoint", kv->error, error, error_size) : 0;
    bool is_known = version == CHECKPOINT_VERSION || version == CHECKPOINT_VERSION_READ ||
                    version == CHECKPOINT_VERSION_GROUPS;
    if ((is_sealed && !is_known) || (!is_sealed && is_first)) {
        snprintf(error, error_size,
                 "the store is of %s version (%u): start the version that wrote it",
                 version > CHECKPOINT_VERSION ? "a newer" : "an older", version);
        return IMAGE_OTHER_VERSION;
    }
    if (!is_sealed || cursor.bad)
        return fail_load("the checkpoint", "it makes no sense", error, error_size);
    return 1;
}

static int load_pairs(struct store *store, uint64_t sum, char *error, size_t error_size)
{
    static const struct {
        const char *prefix;
        bool (*each)(struct loading *loading, struct bytes key, struct bytes value);
    } parts[] = {{"S", load_segment}, {"Q", load_queue}, {"D", load_chunk},
                 {"N", load_name},    {"G", load_group}, {"E", load_block}};
    struct kv *kv = store->options.kv;
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        struct loading loading = {store, parts[i].each, 0, NULL};
        if (kv->ops->scan(kv, bytes_str(parts[i].prefix), bytes_of(NULL, 0), load_pair, &loading) <
            0)
            return fail_load("it cannot be read", kv->error, error, error_size);
        if (loading.bad)
            return fail_load(loading.bad, "it makes no sense", error, error_size);
        store->image.sum += loading.sum;
    }
    if (store->image.sum != sum)
        return fail_load("the checkpoint", "parts of it are missing, or of another one", error,
                         error_size);
    return 1;
}

/* Whose index it is. One of an earlier version does not say; one that is bad is written anew. */
static int load_identity(struct store *store, char *error, size_t error_size)
{
    struct buffer value = {0};
    int found = store->options.kv->ops->get(store->options.kv, bytes_str("I"), &value);
    struct bytes id = buffer_bytes(&value);
    bool is_sound = found == 1 && kv_value_open(bytes_str("I"), &id) && id.size == IDENTITY_SIZE;
    store->image.is_nameless = found == 1 && !is_sound;
    if (is_sound && !identity_is(store->journal.identity.id))
        memcpy(store->journal.identity.id, id.data, IDENTITY_SIZE);
    bool is_foreign = is_sound && identity_differs(id.data, store->journal.identity.id);
    buffer_free(&value);
    if (found < 0)
        return fail_load("it cannot be read", store->options.kv->error, error, error_size);
    if (!is_foreign)
        return 0;
    snprintf(error, error_size,
             "the index belongs to another store; nothing was changed; restore all of the data "
             "directory from one copy");
    return -1;
}

int checkpoint_load(struct store *store, struct position *position, char *error, size_t error_size)
{
    uint64_t sum, anchor;
    int failed = anchor_read(store->options.disk, &anchor);
    if (failed) {
        snprintf(error, error_size, "the file " ANCHOR_NAME " cannot be read: %s",
                 failed == ENOTSUP ? "it is of a newer version" : strerror(failed));
        return -1;
    }
    int found = image_header(store, position, &sum, error, error_size);
    if (found >= 0 && load_identity(store, error, error_size) < 0)
        return -1;
    store->image.is_adrift = found > 0 && anchor < store->image.number;
    if (found == 0 && anchor) {
        snprintf(error, error_size,
                 "the index that goes with the journal is missing or empty; " NEXT_STEP);
        return -1;
    }
    if (found > 0 && store->image.number < anchor)
        return fail_load("the checkpoint", "it is not the last one that was written", error,
                         error_size);
    return found == 1 ? load_pairs(store, sum, error, error_size) : found;
}

static bool collect_leftover(void *context, struct bytes key, struct bytes value)
{
    (void)value;
    kv_batch_delete(context, key);
    return true;
}

int checkpoint_sweep(struct store *store)
{
    struct kv *kv = store->options.kv;
    struct buffer batch = {0};
    uint8_t first[9];
    blob_key(first, store->image.blob_last + 1, false);
    int result = kv->ops->scan(kv, bytes_str("T"), bytes_of(NULL, 0), collect_leftover, &batch);
    if (result >= 0)
        result = kv->ops->scan(kv, bytes_str("K"), bytes_of(first, sizeof(first)), collect_leftover,
                               &batch);
    if (result >= 0 && batch.size)
        result = kv->ops->write(kv, buffer_bytes(&batch), false);
    buffer_free(&batch);
    return result;
}
