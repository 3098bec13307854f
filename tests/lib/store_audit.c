#include "store_audit.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "store/internal.h"

/* What the entries of all chunks hold in a segment. */
struct held {
    uint32_t number;
    uint64_t entries, bytes, kept_entries, kept_bytes;
};

struct audit {
    struct store *store;
    struct held *held;
    size_t held_count;
    bool is_exact; /* it is known what each entry holds */
    uint64_t cache_used, little_used, recorded_bytes;
    size_t bodies, changed;
    uint32_t loading, spilling;
    const char *fault;
};

/* What is wrong, with where it is; the first counts. */
static bool holds(struct audit *audit, bool is_so, const char *what, uint64_t where)
{
    static _Thread_local char text[200];
    if (is_so || audit->fault)
        return is_so;
    snprintf(text, sizeof(text), "%s (%" PRIu64 ")", what, where);
    audit->fault = text;
    return false;
}

/* ---- chunks ---- */

static uint32_t count_bits(const uint64_t *bits, uint32_t slots)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < slots; i++)
        count += bit_get(bits, i);
    return count;
}

static struct held *held_of(struct audit *audit, uint32_t number)
{
    for (size_t i = 0; i < audit->held_count; i++)
        if (audit->held[i].number == number)
            return &audit->held[i];
    return NULL;
}

static void count_held(struct audit *audit, struct place place, uint32_t destinations, bool kept)
{
    struct held *held = held_of(audit, place.segment);
    if (!holds(audit, held, "an entry lies in a segment that is not there", place.segment))
        return;
    uint32_t share = record_share(place.size, destinations);
    held->entries++;
    held->bytes += share;
    held->kept_entries += kept;
    held->kept_bytes += kept ? share : 0;
}

/* Has the record of its message a place that is counted? */
static bool is_placed(const struct store *store, const struct message *message)
{
    return message->batch && message->batch != store->journal.filling->number &&
           !journal_is_unplaced(&store->journal, message);
}

static void audit_entry(struct audit *audit, const struct chunk *chunk, const struct entry *entry)
{
    const struct store *store = audit->store;
    bool kept = entry->flags & ENTRY_RECORDED, in_memory = entry->flags & ENTRY_MESSAGE;
    bool is_on_disk = kept || entry->flags & ENTRY_PAGED;
    holds(audit, !(kept && entry->flags & ENTRY_PAGED), "an entry is recorded and paged",
          chunk->base);
    holds(audit, !(kept && chunk->queue_id & STORE_ID_TRANSIENT),
          "a recorded entry in a queue that does not survive", chunk->queue_id);
    holds(audit, in_memory || is_on_disk, "a message that is nowhere", chunk->base);
    holds(audit, in_memory || entry->segment || entry->flags & ENTRY_DAMAGED,
          "an entry that says not where its message is", chunk->base);
    if (in_memory && kept)
        audit->recorded_bytes += (uint64_t)entry->message->body_size + MESSAGE_ABOUT;
    if (in_memory)
        holds(audit, entry->message->refs > 0, "a message that nobody holds", chunk->base);
    if (in_memory)
        holds(audit, entry->message->body_size == entry->body_size, "the size of a body",
              chunk->base);
    if (is_on_disk && in_memory ? is_placed(store, entry->message) : is_on_disk && entry->segment)
        count_held(audit, entry_place(entry), entry_destinations(entry), kept);
    else if (is_on_disk && !in_memory)
        audit->is_exact = false;
}

/* Is its time known while it is away? */
static void audit_time(struct audit *audit, const struct chunk *chunk, const struct entry *entry)
{
    uint64_t due_ms = chunk_due_ms(chunk);
    bool is_known = chunk->index && chunk->index->has_times && due_ms && due_ms <= entry->expires_ms;
    holds(audit, !entry->expires_ms || !chunk->index || is_known,
          "a message ends before its chunk is looked at", chunk->base);
}

/* What was settled, and holds as long as its blob stays as it is. */
static void audit_ended(struct audit *audit, const struct chunk *chunk)
{
    uint32_t ended = 0;
    for (uint32_t slot = 0; chunk->ended_bits && slot < chunk->slots; slot++) {
        if (!bit_get(chunk->ended_bits, slot))
            continue;
        holds(audit, !bit_get(chunk->live_bits, slot), "a live message that has ended", chunk->base);
        holds(audit, !(chunk->entries[slot].flags & ENTRY_MESSAGE), "a message in memory that has ended",
              chunk->base);
        audit_entry(audit, chunk, &chunk->entries[slot]);
        ended++;
    }
    holds(audit, chunk->unreleased == ended, "what is unreleased in a chunk in memory", chunk->base);
    holds(audit, !chunk->ended_bits || !chunk->index || (chunk->blob && !chunk->is_stale),
          "a chunk in memory that is stale, and has something unreleased", chunk->base);
}

static void audit_hot(struct audit *audit, struct chunk *chunk)
{
    uint32_t bodies = 0;
    for (uint32_t slot = 0; slot < chunk->slots; slot++) {
        if (!bit_get(chunk->live_bits, slot))
            continue;
        audit_entry(audit, chunk, &chunk->entries[slot]);
        audit_time(audit, chunk, &chunk->entries[slot]);
        bodies += (chunk->entries[slot].flags & ENTRY_MESSAGE) != 0;
    }
    holds(audit, chunk->bodies == bodies, "a chunk's count of bodies", chunk->base);
    audit_ended(audit, chunk);
    bool is_little = chunk_is_little(audit->store, chunk);
    holds(audit, list_is_empty(&chunk->cache_link) == (chunk->index && is_little),
          "a chunk in memory on no list, or a little one on one", chunk->base);
    if (chunk->index)
        holds(audit, list_is_empty(&chunk->bodies_link) == (bodies == 0), "the list of bodies",
              chunk->base);
    if (chunk->index)
        audit->bodies += bodies > 0;
    audit->cache_used += chunk_cost(chunk);
    audit->little_used += is_little ? chunk_cost(chunk) : 0;
}

/* All entries of its blob hold, those too that were settled while it is away; but for what an
 * earlier run did not leave. */
static void audit_cold(struct audit *audit, struct chunk *chunk)
{
    struct store *store = audit->store;
    struct buffer value = {0};
    uint8_t key[9];
    struct entry *entries = mem_zalloc_array(chunk->capacity + 64, sizeof(*entries));
    uint64_t *present = mem_zalloc_array(chunk->capacity / 64 + 2, 8);
    uint32_t dead = 0;
    uint64_t bytes = 0;
    holds(audit, chunk->bodies == 0, "a cold chunk with bodies", chunk->base);
    holds(audit, chunk->blob, "a cold chunk without a blob", chunk->base);
    blob_key(key, chunk->blob, chunk->queue_id & STORE_ID_TRANSIENT);
    bool is_sound = kv_get_sealed(store->options.kv, bytes_of(key, sizeof(key)), &value) == 1 &&
                    chunk_decode(buffer_bytes(&value), entries, chunk->slots, present);
    audit->is_exact = audit->is_exact && is_sound;
    for (uint32_t slot = 0; is_sound && slot < chunk->slots; slot++) {
        bool kept = entries[slot].flags & ENTRY_RECORDED;
        bool is_live = bit_get(chunk->live_bits, slot);
        if (!bit_get(present, slot)) {
            holds(audit, !is_live, "a live message that its blob has not", chunk->base + slot);
            continue;
        }
        dead += !is_live && kept;
        bytes += is_live ? entries[slot].body_size : 0;
        if (is_live)
            audit_time(audit, chunk, &entries[slot]);
        if (entries[slot].segment && (kept || !chunk->is_old))
            count_held(
                audit,
                (struct place){entries[slot].segment, entries[slot].offset, entries[slot].size},
                entries[slot].destinations, kept);
    }
    if (is_sound && chunk->index)
        holds(audit, dead <= chunk->unreleased, "more is unreleased than is said", chunk->base);
    if (is_sound && chunk->index && chunk->unreleased == 0) /* nothing went since */
        holds(audit, bytes == chunk->ready_bytes + chunk->taken_bytes, "a cold chunk's bytes",
              chunk->base);
    mem_free(entries);
    mem_free(present);
    buffer_free(&value);
}

/* In order, and of messages that are there. */
static void audit_returns(struct audit *audit, const struct chunk *chunk)
{
    const struct returns *returns = chunk->returns;
    holds(audit, !returns || returns->count > 0, "a list of returns without any", chunk->base);
    for (uint32_t i = 0; returns && i < returns->count; i++) {
        uint32_t slot = returns->items[i].slot;
        bool is_after = i == 0 || slot > returns->items[i - 1].slot;
        holds(audit, is_after && slot < chunk->slots && bit_get(chunk->live_bits, slot),
              "a return of no message", chunk->base + slot);
        holds(audit, returns->items[i].count > 0, "a return that does not count",
              chunk->base + slot);
        holds(audit, !(returns->items[i].until_ms && bit_get(chunk->ready_bits, slot)),
              "a delayed message that is ready", chunk->base + slot);
    }
}

static void audit_chunk(struct audit *audit, struct chunk *chunk)
{
    uint32_t live = count_bits(chunk->live_bits, chunk->capacity);
    uint32_t ready = count_bits(chunk->ready_bits, chunk->capacity);
    holds(audit, chunk->slots <= chunk->capacity, "a chunk with more slots than room", chunk->base);
    holds(audit, live == chunk->live, "a chunk's count of live messages", chunk->base);
    holds(audit, ready == chunk->ready, "a chunk's count of ready messages", chunk->base);
    holds(audit, live == count_bits(chunk->live_bits, chunk->slots), "a bit behind the last slot",
          chunk->base);
    for (uint32_t slot = 0; slot < chunk->slots; slot++)
        if (bit_get(chunk->ready_bits, slot))
            holds(audit, bit_get(chunk->live_bits, slot), "a ready message that is settled",
                  chunk->base + slot);
    holds(audit, !(chunk->is_changed && chunk->queue_id & STORE_ID_TRANSIENT),
          "a checkpoint is to have a queue that does not survive", chunk->queue_id);
    holds(audit, chunk->is_changed != list_is_empty(&chunk->changed_link),
          "a changed chunk that no checkpoint will have", chunk->base);
    holds(audit, !(chunk->is_loading && chunk->entries), "a chunk that is there is read",
          chunk->base);
    audit_returns(audit, chunk);
    audit->changed += chunk->is_changed;
    audit->spilling += chunk->is_spilling;
    if (chunk->entries)
        audit_hot(audit, chunk);
    else if (chunk->blob)
        audit_cold(audit, chunk);
}

/* ---- queues ---- */

static uint64_t ready_bytes(const struct chunk *chunk)
{
    uint64_t ready = chunk->ready_bytes, taken;
    if (chunk->entries)
        chunk_weigh(chunk, &ready, &taken);
    return ready;
}

static void audit_index(struct audit *audit, struct index *index)
{
    uint64_t end = 0, ready = 0, live = 0, delayed = 0, bytes = 0;
    for (uint32_t i = 0; i < index->chunks_count; i++) {
        struct chunk *chunk = index->chunks[index->chunks_first + i];
        holds(audit, chunk->index == index && chunk->queue_id == index->id,
              "a chunk in another queue's row", index->id);
        holds(audit, chunk->base >= end, "chunks that overlap", chunk->base);
        holds(audit, chunk->live || i + 1 == index->chunks_count, "a chunk of settled messages",
              chunk->base);
        holds(audit, chunk->entries || chunk->live, "a cold chunk of settled messages",
              chunk->base);
        end = chunk->base + chunk->slots;
        ready += chunk->ready;
        live += chunk->live;
        bytes += ready_bytes(chunk);
        for (uint32_t at = 0; chunk->returns && at < chunk->returns->count; at++)
            delayed += chunk->returns->items[at].until_ms > 0;
        audit_chunk(audit, chunk);
        uint32_t below = chunk_below(chunk, index->cursor, chunk->slots);
        holds(audit, bit_next(chunk->ready_bits, 0, below) == below,
              "a ready message below the cursor", chunk->base);
    }
    holds(audit, end <= index->next_sequence, "a number that is still to be given", index->id);
    holds(audit, ready == index->ready, "a queue's count of ready messages", index->id);
    holds(audit, bytes == index->ready_bytes, "a queue's bytes of ready messages", index->id);
    holds(audit, delayed == index->delayed, "a queue's count of delayed messages", index->id);
    holds(audit, live - ready >= index->taken + delayed, "a queue's count of taken messages",
          index->id);
    if (audit->store->stats.damaged == 0)
        holds(audit, live - ready == index->taken + delayed,
              "a message that is neither ready nor taken nor delayed", index->id);
    holds(audit, index->taken_high <= index->next_sequence || store_is_of_group(index->id),
          "more was taken than there was", index->id);
    holds(audit, index->mark_asked >= index->mark, "a mark that falls", index->id);
    holds(audit, index->mark_batch || index->mark_asked == index->mark,
          "a mark that was asked for in no batch", index->id);
    holds(audit, index->mark_batch <= audit->store->journal.filling->number,
          "a mark in a batch to come", index->id);
    holds(audit, index->is_dirty != list_is_empty(&index->dirty_link),
          "a changed queue that no checkpoint will have", index->id);
}

/* ---- logs of groups ---- */

static void audit_log(struct audit *audit, struct group_log *log)
{
    uint64_t size = 0;
    holds(audit, log->floor <= log->applied && log->applied <= log->last, "how far a log is applied",
          log->group);
    holds(audit, log->commit <= log->last, "more is committed than there is", log->group);
    holds(audit, log->durable >= log->floor && log->durable <= log->last,
          "how far a log is durable", log->group);
    for (uint64_t index = log->floor + 1; index <= log->last; index++) {
        const struct log_entry *entry = group_log_entry(log, index);
        size += entry->size;
        if (entry->segment)
            count_held(audit, (struct place){entry->segment, entry->offset, entry->size}, 1, true);
    }
    holds(audit, size == log->size, "the size of a log", log->group);
}

static void audit_logs(struct audit *audit)
{
    struct group_log *log;
    uint64_t at = 0;
    while ((log = group_log_next(audit->store, &at)))
        audit_log(audit, log);
}

/* ---- lists, the journal ---- */

static size_t length(const struct list *list)
{
    size_t count = 0;
    list_for_each(link, list)
        count++;
    return count;
}

static void audit_without_queue(struct audit *audit)
{
    struct memory *memory = &audit->store->memory;
    list_for_each(link, &memory->condemned) {
        struct chunk *chunk = list_entry(link, struct chunk, cache_link);
        holds(audit, chunk->entries && !chunk->index && !chunk->is_changed && !chunk->is_named,
              "a condemned chunk that somebody knows", chunk->base);
        audit_chunk(audit, chunk);
    }
    list_for_each(link, &memory->dead) {
        struct chunk *chunk = list_entry(link, struct chunk, cache_link);
        holds(audit, !chunk->index && chunk->live == 0, "a dead chunk that lives", chunk->base);
        audit_chunk(audit, chunk);
    }
    list_for_each(link, &memory->unreleased) {
        const struct chunk *chunk = list_entry(link, struct chunk, cache_link);
        holds(audit, chunk->index && !chunk->entries && chunk->unreleased,
              "a chunk that has nothing to release", chunk->base);
    }
    list_for_each(link, &memory->cache) {
        const struct chunk *chunk = list_entry(link, struct chunk, cache_link);
        holds(audit, chunk->index && chunk->entries, "a chunk in the cache that is not",
              chunk->base);
    }
}

static void audit_lists(struct audit *audit)
{
    const struct store *store = audit->store;
    holds(audit, audit->cache_used == store->memory.cache_used, "the cache's bytes",
          store->memory.cache_used);
    holds(audit, audit->little_used == store->memory.little_used, "bytes of what is little there",
          store->memory.little_used);
    holds(audit, audit->recorded_bytes == store->memory.recorded_bytes,
          "bytes of recorded bodies in memory", store->memory.recorded_bytes);
    holds(audit, audit->bodies == length(&store->memory.bodies), "chunks with bodies",
          audit->bodies);
    const struct checkpoint_job *draft = store->image.draft;
    uint64_t undrafted = draft ? length(&draft->chunks) : 0;
    holds(audit, audit->changed == length(&store->image.changed_chunks) + undrafted, "changed chunks",
          audit->changed);
    holds(audit, audit->spilling == store->memory.spilling, "chunks that are written",
          audit->spilling);
}

static void audit_segments(struct audit *audit)
{
    const struct store *store = audit->store;
    uint64_t live_bytes = 0;
    uint32_t before = 0;
    list_for_each(link, &store->journal.segments) {
        const struct segment *segment = list_entry(link, struct segment, link);
        const struct held *held = held_of(audit, segment->number);
        holds(audit, segment->number > before, "segments out of order", segment->number);
        before = segment->number;
        live_bytes += segment->live_bytes;
        holds(audit,
              segment->kept_entries <= segment->live_entries &&
                  segment->kept_bytes <= segment->live_bytes,
              "more survives in a segment than lives", segment->number);
        holds(audit, !segment->is_retiring || segment->live_entries == 0,
              "a segment that goes is needed", segment->number);
        holds(audit, held->entries <= segment->live_entries && held->bytes <= segment->live_bytes,
              "a segment's counters are too low", segment->number);
        holds(audit,
              held->kept_entries <= segment->kept_entries &&
                  held->kept_bytes <= segment->kept_bytes,
              "a segment's counters of what survives are too low", segment->number);
        if (audit->is_exact && store->stats.damaged == 0 && store->stats.chunks_damaged == 0) {
            holds(audit, held->entries == segment->live_entries, "a segment's live entries",
                  segment->number);
            holds(audit, held->bytes == segment->live_bytes, "a segment's live bytes",
                  segment->number);
            holds(audit,
                  held->kept_entries == segment->kept_entries &&
                      held->kept_bytes == segment->kept_bytes,
                  "what survives of a segment", segment->number);
        }
    }
    holds(audit, live_bytes == store->stats.live_bytes, "live bytes of all segments", live_bytes);
}

static void audit_batch(struct audit *audit)
{
    const struct batch *batch = audit->store->journal.filling;
    uint64_t size = 0;
    uint32_t elided = 0;
    for (uint32_t i = 0; i < batch->count; i++) {
        const struct pending *pending = &batch->records[i];
        const struct message *message = pending->message;
        elided += pending->is_elided;
        if (pending->is_elided)
            continue;
        size += RECORD_HEADER + pending->size + (message ? message_data_size(message) : 0);
        holds(audit, !message || (message->batch == batch->number && message->pending == i),
              "a record of another message", i);
        holds(audit, !message || message->pending_live > 0, "a record that nobody needs", i);
    }
    holds(audit, elided == batch->elided, "records that were left out", elided);
    holds(audit, size == batch->records_size, "the size of the records to be written", size);
}

static void audit_journal(struct audit *audit)
{
    const struct journal *journal = &audit->store->journal;
    holds(audit, journal->durable <= journal->written, "durable before it is written",
          journal->durable);
    holds(audit, journal->written < journal->filling->number, "written before it is sealed",
          journal->written);
    holds(audit, journal->stated <= journal->durable && journal->covered <= journal->durable,
          "more is said to be durable than is", journal->stated);
    holds(audit, journal->position.batch == journal->filling->number,
          "the next batch is not the one that fills", journal->position.batch);
    holds(audit, !journal->sealing || journal->sealing->number + 1 == journal->filling->number,
          "a batch between the large one and the next", journal->filling->number);
    holds(audit, !journal->sealing || journal->is_writing, "a large batch that nobody writes",
          journal->filling->number);
    holds(audit, !journal->active || journal->active->number == journal->position.segment,
          "the next batch goes into another segment", journal->position.segment);
    audit_batch(audit);
}

const char *store_audit(struct store *store)
{
    struct audit audit = {.store = store, .is_exact = true};
    uint64_t at = 0;
    struct index *index;
    audit.held = mem_zalloc_array(store->journal.segments_by_number.count + 1, sizeof(*audit.held));
    list_for_each(link, &store->journal.segments)
        audit.held[audit.held_count++].number = list_entry(link, struct segment, link)->number;
    while ((index = idmap_next(&store->indexes, &at)))
        audit_index(&audit, index);
    audit_logs(&audit);
    audit_without_queue(&audit);
    audit_lists(&audit);
    audit_segments(&audit);
    audit_journal(&audit);
    mem_free(audit.held);
    return audit.fault;
}
