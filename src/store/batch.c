/* The batch that is being filled: what this turn has decided, until it is sealed. A message that is
 * settled before that leaves it again and never reaches the disk. */
#include <assert.h>

#include "base/mem.h"
#include "store/journal.h"

bool batch_is_empty(const struct batch *batch)
{
    return batch->count == batch->elided && batch->settles_count == 0;
}

/* What of a message does not lie in the block of a batch. */
static uint64_t insert_size(const struct message *message)
{
    return message->body_size >= INSERT_MIN ? message->body_size : 0;
}

static inline struct pending *add(struct journal *journal, enum record_type type)
{
    struct batch *batch = journal->filling;
    if (batch_is_empty(batch))
        batch->since_ms = journal->now_ms;
    if (batch->count == batch->capacity) {
        batch->capacity = batch->capacity ? batch->capacity * 2 : 64;
        batch->records = mem_realloc(batch->records, batch->capacity * sizeof(*batch->records));
    }
    struct pending *pending = &batch->records[batch->count++];
    *pending = (struct pending){.type = type, .at = (uint32_t)batch->bytes.size};
    return pending;
}

void batch_add_message(struct journal *journal, enum record_type type, struct message *message,
                       const struct destination *destinations, uint32_t count)
{
    struct batch *batch = journal->filling;
    struct pending *pending = add(journal, type);
    assert(count > 0 && message->batch != batch->number);
    pending->size = message_payload_start(&batch->bytes, message, destinations, count);
    pending->message = message_ref(message);
    uint64_t size = RECORD_HEADER + pending->size + message_data_size(message);
    message->batch = batch->number;
    message->pending = batch->count - 1;
    message->pending_live = count;
    message->destinations = count;
    batch->size += size;
    batch->records_size += size;
    batch->inserts_size += insert_size(message);
}

static void pop_elided(struct batch *batch)
{
    assert(batch->elided <= batch->count);
    while (batch->count && batch->records[batch->count - 1].is_elided) {
        batch->bytes.size = batch->records[--batch->count].at;
        batch->elided--;
    }
    if (batch_is_empty(batch)) {
        batch->count = batch->elided = 0;
        batch->bytes.size = 0;
        batch->size = batch->records_size = batch->inserts_size = 0;
    }
}

void batch_elide(struct journal *journal, struct message *message)
{
    struct batch *batch = journal->filling;
    struct pending *pending = &batch->records[message->pending];
    assert(message->batch == batch->number && message->pending < batch->count);
    assert(pending->message == message && !pending->is_elided);
    uint64_t size = RECORD_HEADER + message_payload_size(message, message->destinations);
    assert(batch->size >= size && batch->inserts_size >= insert_size(message));
    batch->size -= size;
    batch->records_size -= size;
    batch->inserts_size -= insert_size(message);
    pending->message = NULL;
    pending->is_elided = true;
    batch->elided++;
    journal->stats->records_elided++;
    message->batch = 0;
    message->destinations = 0;
    message_unref(journal->options->pool, message);
    pop_elided(batch);
}

static void add_payload(struct journal *journal, enum record_type type, struct bytes payload)
{
    struct batch *batch = journal->filling;
    struct pending *pending = add(journal, type);
    buffer_add(&batch->bytes, payload.data, payload.size);
    pending->size = (uint32_t)payload.size;
    batch->size += RECORD_HEADER + payload.size;
    batch->records_size += RECORD_HEADER + payload.size;
}

static bool is_of_names(enum record_type type)
{
    return type == RECORD_QUEUE || type == RECORD_DROP || type == RECORD_PUT || type == RECORD_DELETE;
}

void batch_add(struct journal *journal, enum record_type type, struct bytes payload)
{
    add_payload(journal, type, payload);
    if (is_of_names(type))
        journal->names_batch = journal->filling->number;
}

void bracket_unref(struct bracket *bracket)
{
    if (!bracket || --bracket->refs)
        return;
    shared_unref(bracket->shared);
    mem_free(bracket);
}

/* It stays where it lies, and whoever writes the batch holds it. */
static void add_lent(struct journal *journal, enum record_type type, struct bytes payload)
{
    struct batch *batch = journal->filling;
    struct pending *pending = add(journal, type);
    buffer_add(&batch->bytes, &payload, sizeof(payload));
    pending->size = (uint32_t)payload.size;
    pending->is_lent = true;
    batch->size += RECORD_HEADER + payload.size;
    batch->records_size += RECORD_HEADER + payload.size;
    batch->inserts_size += payload.size;
}

void batch_add_entry(struct journal *journal, struct bracket *bracket,
                     const struct entry_payload *payload)
{
    struct batch *batch = journal->filling;
    struct cursor cursor = cursor_of(bytes_of(bracket->contents, bracket->contents_size));
    uint8_t bytes[ENTRY_PAYLOAD_SIZE];
    enum record_type type;
    struct bytes content;
    uint32_t large = journal->options->group_shared_bytes, lent_min = large < INSERT_MIN ? large : INSERT_MIN;
    entry_payload_write(bytes, payload);
    add_payload(journal, RECORD_ENTRY, bytes_of(bytes, sizeof(bytes)));
    while (content_next(&cursor, &type, &content))
        (bracket->shared && content.size >= lent_min ? add_lent : add_payload)(journal, type, content);
    assert(!cursor.bad);
    batch->brackets = mem_grow(batch->brackets, &batch->brackets_capacity,
                               batch->brackets_count + 1, sizeof(struct bracket *));
    batch->brackets[batch->brackets_count++] = bracket;
    bracket->refs++;
    bracket->batch = batch->number;
}

static struct settles *settles_of(struct journal *journal, struct settles_place *place,
                                  uint64_t queue)
{
    struct batch *batch = journal->filling;
    assert(!store_is_of_group(queue));
    if (place->batch == batch->number && place->number)
        return &batch->settles[place->number - 1];
    if (batch_is_empty(batch))
        batch->since_ms = journal->now_ms;
    if (batch->settles_count == batch->settles_capacity) {
        uint32_t from = batch->settles_capacity;
        batch->settles_capacity = from ? from * 2 : 16;
        batch->settles =
            mem_realloc(batch->settles, batch->settles_capacity * sizeof(*batch->settles));
        memset(batch->settles + from, 0,
               (batch->settles_capacity - from) * sizeof(*batch->settles));
    }
    struct settles *settles = &batch->settles[batch->settles_count++];
    settles->queue = queue;
    settles_clear(settles);
    place->number = batch->settles_count;
    place->batch = batch->number;
    batch->size += RECORD_HEADER + 8 + 20;
    return settles;
}

/* It may be negative, as messages are settled and come back in any order. */
static void add_distance(struct buffer *out, uint64_t from, uint64_t to)
{
    buffer_add_varint(out, zigzag((int64_t)(to - from)));
}

/* Writes the growing range down, as its distance from the one before. */
void settles_close(struct settles *settles)
{
    if (settles->count == 0)
        return;
    add_distance(&settles->ranges, settles->end, settles->first);
    buffer_add_varint(&settles->ranges, settles->count);
    settles->end = settles->first + settles->count;
    settles->count = 0;
}

void settles_add(struct settles *settles, uint64_t first, uint64_t count)
{
    if (settles->count && settles->first + settles->count == first) {
        settles->count += count;
        return;
    }
    settles_close(settles);
    settles->first = first;
    settles->count = count;
}

void settles_return(struct settles *settles, uint64_t sequence, uint32_t count, uint64_t until_ms)
{
    add_distance(&settles->returned, settles->returned_last, sequence);
    buffer_add_varint(&settles->returned, count);
    buffer_add_varint(&settles->returned, until_ms);
    settles->returned_last = sequence;
}

void settles_clear(struct settles *settles)
{
    *settles = (struct settles){
        .queue = settles->queue, .ranges = settles->ranges, .returned = settles->returned};
    settles->ranges.size = settles->returned.size = 0;
}

void settles_free(struct settles *settles)
{
    buffer_free(&settles->ranges);
    buffer_free(&settles->returned);
}

void batch_add_settle(struct journal *journal, struct settles_place *place, uint64_t queue,
                      uint64_t first, uint64_t count)
{
    struct settles *settles = settles_of(journal, place, queue);
    assert(count > 0 && settles->queue == queue);
    size_t before = settles->ranges.size;
    settles_add(settles, first, count);
    journal->filling->size += settles->ranges.size - before;
}

void batch_add_returned(struct journal *journal, struct settles_place *place, uint64_t queue,
                        uint64_t sequence, uint32_t count, uint64_t until_ms)
{
    struct settles *settles = settles_of(journal, place, queue);
    size_t before = settles->returned.size;
    assert(count > 0 && settles->queue == queue);
    settles_return(settles, sequence, count, until_ms);
    journal->filling->size += settles->returned.size - before;
    journal->filling->size += before ? 0 : RECORD_HEADER + 8;
}

void batch_forget_settles(struct journal *journal, const struct settles_place *place)
{
    struct batch *batch = journal->filling;
    if (place->batch == batch->number && place->number) {
        struct settles *settles = &batch->settles[place->number - 1];
        settles->count = 0;
        settles->ranges.size = settles->returned.size = 0;
    }
}

/* A queue and what became of some of its messages; nothing if it is about none. */
static bool add_numbers(struct journal *journal, enum record_type type, uint64_t queue,
                        const struct buffer *numbers)
{
    struct batch *batch = journal->filling;
    if (numbers->size == 0)
        return false;
    struct pending *pending = add(journal, type);
    buffer_add_u64(&batch->bytes, queue);
    buffer_add(&batch->bytes, numbers->data, numbers->size);
    pending->size = (uint32_t)batch->bytes.size - pending->at;
    batch->records_size += RECORD_HEADER + pending->size;
    return true;
}

/* Turns the settle sets into records, last of all. What came back may have been settled since. */
void batch_close_settles(struct journal *journal)
{
    struct batch *batch = journal->filling;
    for (uint32_t i = 0; i < batch->settles_count; i++) {
        struct settles *settles = &batch->settles[i];
        settles_close(settles);
        journal->stats->returns_written +=
            add_numbers(journal, RECORD_RETURNED, settles->queue, &settles->returned);
        journal->stats->settles_written +=
            add_numbers(journal, RECORD_SETTLE, settles->queue, &settles->ranges);
    }
    batch->settles_count = 0;
}

void batch_free(struct journal *journal, struct batch *batch)
{
    if (!batch)
        return;
    for (uint32_t i = 0; i < batch->count; i++)
        if (batch->records[i].message)
            message_unref(journal->options->pool, batch->records[i].message);
    for (uint32_t i = 0; i < batch->settles_capacity; i++)
        settles_free(&batch->settles[i]);
    for (size_t i = 0; i < batch->brackets_count; i++)
        bracket_unref(batch->brackets[i]);
    mem_free(batch->brackets);
    mem_free(batch->settles);
    mem_free(batch->records);
    buffer_free(&batch->bytes);
    mem_free(batch);
}
