/* A store that is only read: as at a start, but nothing is written. */
#include <stdio.h>

#include "store/internal.h"

int unwritten_open(const struct store_options *options, struct replay_report *report,
                   struct store **opened, char *error, size_t error_size)
{
    struct store *store = store_new(options, 0);
    struct position position = {0};
    int result = 0;
    if (options->kv->ops->open(options->kv) < 0) {
        snprintf(error, error_size, "the index cannot be opened: %s", options->kv->error);
        result = 2;
    } else if (identity_read(options->disk, &store->journal.identity) != 0) {
        snprintf(error, error_size,
                 "the file " IDENTITY_NAME " cannot be read, or is of a newer version");
        result = 2;
    } else if (checkpoint_load(store, &position, error, error_size) < 0 ||
               !replay(store, &position, false, report, error, error_size)) {
        result = 1;
    }
    if (result) {
        store_abandon(store);
        return result;
    }
    *opened = store;
    return 0;
}

struct store *store_open_unwritten(const struct store_options *options, char *error,
                                   size_t error_size)
{
    struct replay_report report = {0};
    struct store *store = NULL;
    if (unwritten_open(options, &report, &store, error, error_size) != 0)
        return NULL;
    return store;
}

/* ---- its messages ---- */

struct reading {
    struct store *store;
    struct index *index;
    bool (*each)(void *context, const struct store_message *message);
    void *context;
    struct buffer bytes; /* of a record */
};

/* NULL: its bytes are damaged. */
static struct message *read_message(struct reading *reading, const struct entry *entry)
{
    struct store *store = reading->store;
    struct record record;
    struct message_payload payload;
    uint64_t got = 0;
    reading->bytes.size = 0;
    uint8_t *room = buffer_room(&reading->bytes, entry->size);
    bool is_sound =
        !(entry->flags & ENTRY_DAMAGED) &&
        files_read(&store->journal.files, entry->segment, room, entry->size, entry->offset, &got) ==
            0 &&
        got == entry->size &&
        record_read(bytes_of(room, entry->size), entry->segment, entry->offset, &record) ==
            RECORD_OK &&
        message_payload_read(record.payload, &payload);
    return is_sound ? message_from_payload(store->options.pool, &payload) : NULL;
}

static bool tell_entry(struct reading *reading, const struct chunk *chunk, uint32_t slot)
{
    const struct entry *entry = &chunk->entries[slot];
    uint64_t sequence = chunk->base + slot;
    struct store_message one = {
        .message = read_message(reading, entry),
        .ends_ms = entry->expires_ms,
        .delivery_count = index_delivery_count(reading->index, sequence),
        .redelivered = sequence < reading->index->mark,
    };
    bool goes_on = reading->each(reading->context, &one);
    if (one.message)
        message_unref(reading->store->options.pool, one.message);
    return goes_on;
}

static bool tell_chunk(struct reading *reading, struct chunk *chunk)
{
    struct store *store = reading->store;
    bool was_cold = !chunk->entries, goes_on = true;
    if (was_cold && chunk_thaw_now(store, chunk) != 1)
        mend_now(store, chunk);
    for (uint32_t slot = bit_next(chunk->live_bits, 0, chunk->slots); goes_on && slot < chunk->slots;
         slot = bit_next(chunk->live_bits, slot + 1, chunk->slots))
        goes_on = tell_entry(reading, chunk, slot);
    if (was_cold && chunk->entries)
        chunk_cool(store, chunk);
    return goes_on;
}

bool store_messages_each(struct store *store, struct index *index,
                         bool (*each)(void *context, const struct store_message *message),
                         void *context)
{
    struct reading reading = {store, index, each, context, {0}};
    bool goes_on = true;
    for (uint32_t i = 0; goes_on && i < index->chunks_count; i++)
        goes_on = tell_chunk(&reading, index->chunks[index->chunks_first + i]);
    buffer_free(&reading.bytes);
    return goes_on;
}
