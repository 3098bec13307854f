/* What a record does to indexes and names: at a start, for the records of the journal, and later for those
 * of a group's entries, when the group has agreed on them. Nothing here decides anything. */
#include "base/mem.h"
#include "store/internal.h"

#define OTHERS "a record that is not for this log"

static const char *apply_message(struct store *store, const struct record *record, bool is_of_group)
{
    struct message_payload payload;
    if (!message_payload_read(record->payload, &payload))
        return "a malformed message";
    for (uint32_t i = 0; i < payload.destinations; i++) {
        struct destination destination = message_payload_destination(&payload, i);
        struct index *index = idmap_find(&store->indexes, destination.queue);
        if (store_is_of_group(destination.queue) != is_of_group)
            return OTHERS;
        if (!index)
            return "a message for an unknown queue";
        if (destination.sequence < index->next_sequence || destination.sequence > STORE_SEQUENCE_MAX)
            return "a message out of order";
        index_restore(index, &destination, record->place, &payload);
        if (is_of_group) {
            led_comes(store, destination.queue, payload.body_size);
            index_has_news(index);
        }
    }
    return NULL;
}

static const char *apply_moved(struct store *store, const struct record *record)
{
    struct message_payload payload;
    if (!message_payload_read(record->payload, &payload))
        return "a malformed message";
    for (uint32_t i = 0; i < payload.destinations; i++) {
        struct destination destination = message_payload_destination(&payload, i);
        struct index *index = idmap_find(&store->indexes, destination.queue);
        struct chunk *chunk = NULL;
        if (!index)
            continue;
        struct entry *entry = index_entry(index, destination.sequence, &chunk);
        if (!entry && chunk) {
            if (chunk_thaw_now(store, chunk) == -1)
                return "the entry of a message in the index cannot be read";
            if (!chunk->entries)
                mend_now(store, chunk);
            entry = index_entry(index, destination.sequence, &chunk);
        }
        if (!entry)
            continue;
        if (entry->segment)
            segment_release(&store->journal, entry_place(entry), entry->destinations, true);
        entry->segment = record->place.segment;
        entry->offset = record->place.offset;
        entry->size = record->place.size;
        if (!planted(PLANTED_MOVED_SHARE_KEPT))
            entry->destinations = payload.destinations;
        segment_hold(&store->journal, record->place, payload.destinations, true);
        entry_changed(store, chunk);
    }
    return NULL;
}

static const char *apply_settle(struct store *store, struct bytes payload, bool is_of_group)
{
    struct settled_reader reader = settled_reader(payload);
    struct index *index = idmap_find(&store->indexes, reader.queue);
    if (store_is_of_group(reader.queue) != is_of_group)
        return OTHERS;
    while (settled_next(&reader)) {
        if (!index)
            continue;
        index_replay_settle(index, reader.first, reader.count);
        if (index->ends_are_known)
            led_settled(index, reader.first, reader.count);
    }
    return reader.cursor.bad ? "a malformed settle" : NULL;
}

static const char *apply_returned(struct store *store, struct bytes payload, bool is_of_group)
{
    struct returned_reader reader = returned_reader(payload);
    struct index *index = idmap_find(&store->indexes, reader.queue);
    if (store_is_of_group(reader.queue) != is_of_group)
        return OTHERS;
    while (returned_next(&reader)) {
        if (!index)
            continue;
        index_replay_returned(index, reader.sequence, reader.count, reader.until_ms);
        if (is_of_group)
            led_returned(index, reader.sequence);
    }
    if (index && is_of_group)
        index_has_news(index);
    return reader.cursor.bad ? "a malformed return" : NULL;
}

static const char *apply_queue(struct store *store, const struct record *record, bool is_of_group)
{
    struct cursor cursor = cursor_of(record->payload);
    uint64_t id = cursor_u64(&cursor);
    struct index *index = idmap_find(&store->indexes, id);
    uint64_t mark = record->type == RECORD_DELIVERED ? cursor_u64(&cursor) : 0;
    if (cursor.bad || id == 0 || id & STORE_ID_TRANSIENT || mark > STORE_SEQUENCE_MAX)
        return "a malformed record";
    if (store_is_of_group(id) != is_of_group)
        return OTHERS;
    if (record->type == RECORD_QUEUE) {
        if (index && !(is_of_group && led_begins(store, id)))
            return "a queue that exists";
        index_changed(index ? index : index_new(store, id));
        store_id_is_used(store, id);
    } else if (record->type == RECORD_DROP) {
        if (!index)
            return "the end of an unknown queue";
        store_queue_delete_recovered(store, index);
        if (is_of_group)
            led_ends(store, id);
        if (!is_of_group) /* else the turns do it */
            release_all(store);
    } else if (index && is_of_group) {
        index_mark(index, mark);
    } else if (index && mark > index->mark) {
        index->mark = mark;
        index_changed(index);
    }
    return NULL;
}

/* Who has read the names has those of groups as well, and changes them himself. */
static const char *apply_name(struct store *store, const struct record *record, bool is_of_group)
{
    bool is_delete = record->type == RECORD_DELETE;
    struct bytes key = record->payload, value = bytes_of(NULL, 0);
    if (!is_delete) {
        struct cursor cursor = cursor_of(record->payload);
        key = cursor_bytes(&cursor, cursor_u32(&cursor));
        value = cursor_bytes(&cursor, cursor_left(&cursor));
        if (cursor.bad)
            return "a malformed name";
    }
    if (!is_of_group || !store->image.is_catalogue_read)
        name_change(store, &store->image.catalogue, key, value, is_delete);
    name_change(store, &store->image.changed_names, key, value, is_delete);
    return NULL;
}

const char *apply_record(struct store *store, const struct record *record, bool is_of_group)
{
    switch (record->type) {
    case RECORD_MESSAGE:
        return apply_message(store, record, is_of_group);
    case RECORD_MOVED:
        return apply_moved(store, record);
    case RECORD_PAGED:
        return NULL;
    case RECORD_SETTLE:
        return apply_settle(store, record->payload, is_of_group);
    case RECORD_RETURNED:
        return apply_returned(store, record->payload, is_of_group);
    case RECORD_QUEUE:
    case RECORD_DROP:
    case RECORD_DELIVERED:
        return apply_queue(store, record, is_of_group);
    case RECORD_PUT:
    case RECORD_DELETE:
        return apply_name(store, record, is_of_group);
    case RECORD_NOTE:
        return NULL;
    case RECORD_ENTRY:
    case RECORD_FLOOR:
    case RECORD_VOTE:
    case RECORD_COMMIT:
    case RECORD_LEAVE:
        break; /* group_replay */
    }
    return "a record without a type";
}
