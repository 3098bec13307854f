/* The model is exact: a message is in a queue after batch B when it was published in B or before and
 * settled, if ever, after B. A crash may leave any one batch between the last that was durable and the
 * last that was decided, and that one whole. */
#include "tests/fault/rig_internal.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/mem.h"

enum { SEEN_MAX = 300 };

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
                rig_fail(rig, "queue %" PRIu64 " cannot be read: %s", queue->id,
                     why ? why : "it waits for ever");
                sound = false;
            }
            continue;
        }
        waits = 0;
        uint64_t id = rig_read_message(rig, taken.message);
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
        index_return(queue->index, seen->items[i].sequence);
    return sound;
}

/* The disk did not let the store read everything (which takes a mark in the journal): what is there
 * cannot be known. */
bool rig_is_blind(const struct rig *rig)
{
    return store_failure(rig->store) || store_stats(rig->store)->damaged ||
           store_is_short(rig->store) || rig->store->memory.index_reads.since_ms ||
           rig_is_dead(rig);
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
        rig_fail(rig, "after no batch of %" PRIu64 " to %" PRIu64 " was it like this: %s; %s", from, to,
             first, why);
    if (!rig->fault[0] || !rig_is_blind(rig)) {
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
    rig_see_names(rig);
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
            rig_fail(rig, "queue %" PRIu64 " has message %" PRIu64 " again", queue->id, item->id);
        if (!found && wanted && !damage->may_lack[item->id % RIG_IDS])
            rig_fail(rig, "queue %" PRIu64 " lacks message %" PRIu64, queue->id, item->id);
        if (found && !item->survives)
            rig_fail(rig, "queue %" PRIu64 " has transient message %" PRIu64, queue->id, item->id);
    }
    if (at < seen->count)
        rig_fail(rig, "queue %" PRIu64 " has message %" PRIu64 " out of order", queue->id,
             seen->items[at].id);
}

bool rig_check_damage(struct rig *rig, uint64_t last, struct rig_damage *damage)
{
    damage->lacks = damage->repeats = 0;
    if (!damage->may_rename && !name_matches(rig, last))
        rig_fail(rig, "the name has value %u", rig->seen_name);
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
