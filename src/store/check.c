/* What `leveretd --check-store` prints: the store is read as at a start, but nothing is written. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/mem.h"
#include "store/internal.h"

struct printer {
    void (*print)(void *context, const char *line);
    void *context;
    struct idmap called; /* struct called, by the queue's id */
};

/* What operators call a queue. */
struct called {
    uint64_t id;
    char text[];
};

static void say(const struct printer *printer, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void say(const struct printer *printer, const char *format, ...)
{
    char line[STORE_QUEUE_TEXT + 400];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    printer->print(printer->context, line);
}

/* ---- what queues are called ---- */

static void note_queues(struct store *store, struct printer *printer)
{
    uint64_t at = 0, id;
    const struct name_change *name;
    char text[STORE_QUEUE_TEXT];
    while (store->options.queue_of && (name = map_next(&store->image.catalogue, &at))) {
        if (name->is_delete || !store->options.queue_of(name->key, name->value, &id, text) ||
            idmap_find(&printer->called, id))
            continue;
        struct called *called = mem_alloc(sizeof(*called) + strlen(text) + 1);
        called->id = id;
        memcpy(called->text, text, strlen(text) + 1);
        idmap_add(&printer->called, id, called);
    }
}

static void forget_queues(struct printer *printer)
{
    uint64_t at = 0;
    struct called *called;
    while ((called = idmap_next(&printer->called, &at)))
        mem_free(called);
    idmap_free(&printer->called);
}

/* With the number that the journal has for it. */
static const char *queue_text(const struct printer *printer, uint64_t id,
                              char text[STORE_QUEUE_TEXT + 64])
{
    const struct called *called = idmap_find(&printer->called, store_part_queue(id));
    char part[32] = "";
    if (store_part(id))
        snprintf(part, sizeof(part), ", priority %u", (unsigned)store_part(id));
    if (called)
        snprintf(text, STORE_QUEUE_TEXT + 64, "%s (%" PRIu64 "%s)", called->text,
                 store_part_queue(id), part);
    else
        snprintf(text, STORE_QUEUE_TEXT + 64, "queue %" PRIu64 "%s", store_part_queue(id), part);
    return text;
}

/* Every record of a batch that entries may point to must be sound; returns how many are not. */
static uint64_t check_batch(const struct printer *printer, const uint8_t *bytes,
                            const struct batch_header *header)
{
    uint64_t bad = 0;
    uint32_t at = BATCH_HEADER;
    for (uint32_t i = 0; i < header->records && at + RECORD_HEADER <= header->size; i++) {
        struct record record;
        if (record_read(bytes_of(bytes + at, header->size - at), header->segment,
                        header->offset + at, &record) != RECORD_OK) {
            say(printer, "damaged: segment %u offset %u: a record", header->segment,
                header->offset + at);
            return bad + 1;
        }
        at += record.place.size;
    }
    return bad;
}

static uint64_t check_segment(struct store *store, const struct printer *printer,
                              const struct segment *segment)
{
    uint64_t offset = SEGMENT_HEADER, bad = 0, batches = 0, got = 0;
    uint8_t head[BATCH_HEADER];
    struct batch_header header;
    /* What lies behind the size was never durable, or was left over. */
    while (offset < segment->size &&
           files_read(&store->journal.files, segment->number, head, sizeof(head), offset, &got) ==
               0 &&
           got == sizeof(head) &&
           batch_header_read(head, segment->number, (uint32_t)offset, &header) == RECORD_OK &&
           header.size <= segment->size - offset) {
        uint8_t *bytes = mem_alloc(header.size);
        if (files_read(&store->journal.files, segment->number, bytes, header.size, offset, &got) !=
                0 ||
            got < header.size) {
            say(printer, "damaged: segment %u offset %" PRIu64 ": a batch cannot be read",
                segment->number, offset);
            bad++;
        } else {
            bad += check_batch(printer, bytes, &header);
        }
        mem_free(bytes);
        batches++;
        offset += header.size;
    }
    say(printer,
        "segment %u: %" PRIu64 " batches from %" PRIu64 ", %" PRIu64 " bytes, %" PRIu64
        " live entries, %" PRIu64 " live bytes",
        segment->number, batches, segment->first_batch, offset, segment->live_entries,
        segment->live_bytes);
    if (segment->live_entries && offset < segment->size) {
        say(printer, "damaged: segment %u ends at offset %" PRIu64 " of %" PRIu64,
            segment->number, offset, segment->size);
        bad++;
    }
    return bad;
}

static uint64_t check_index(struct store *store, const struct printer *printer,
                            const struct index *index)
{
    uint64_t bad = 0;
    char room[STORE_QUEUE_TEXT + 64];
    const char *queue = queue_text(printer, index->id, room);
    for (uint32_t i = 0; i < index->chunks_count; i++) {
        struct chunk *chunk = index->chunks[index->chunks_first + i];
        if (chunk->entries || chunk_thaw_now(store, chunk) == 1)
            continue;
        uint64_t before = store->stats.damaged;
        mend_now(store, chunk);
        uint64_t lost = store->stats.damaged - before;
        say(printer,
            "damaged: %s: entries from %" PRIu64 ": a start takes %" PRIu64
            " from the journal, and sets %" PRIu64 " aside",
            queue, chunk->base, chunk->live - lost, lost);
        bad++;
    }
    say(printer, "%s: %" PRIu64 " messages, next sequence number %" PRIu64
                 ", delivered mark %" PRIu64,
        queue, index->ready, index->next_sequence, index->mark);
    return bad;
}

/* ---- what the queues hold, against what the segments count ---- */

/* What was settled while its chunk was out of memory is given back when the chunk is read: of queues
 * that are gone, too. */
static uint64_t thaw_dead(struct store *store)
{
    uint64_t bad = 0;
    list_for_each_safe(link, after, &store->memory.dead) {
        struct chunk *chunk = list_entry(link, struct chunk, cache_link);
        if (chunk_thaw_now(store, chunk) == 1)
            chunk_discard(store, chunk);
        else
            bad++;
    }
    return bad;
}

/* Takes what the entries of a queue hold from what the segments count. */
static void subtract_index(struct store *store, const struct index *index)
{
    for (uint32_t i = 0; i < index->chunks_count; i++) {
        const struct chunk *chunk = index->chunks[index->chunks_first + i];
        for (uint32_t slot = bit_next(chunk->live_bits, 0, chunk->slots); slot < chunk->slots;
             slot = bit_next(chunk->live_bits, slot + 1, chunk->slots)) {
            const struct entry *entry = &chunk->entries[slot];
            struct segment *segment = segment_find(&store->journal, entry->segment);
            if (!segment)
                continue;
            segment->kept_entries--;
            segment->kept_bytes -= record_share(entry->size, entry->destinations);
        }
    }
}

/* The same for what the logs of groups hold. */
static void subtract_logs(struct store *store)
{
    struct group_log *log;
    uint64_t at = 0;
    while ((log = group_log_next(store, &at)))
        for (uint64_t index = log->floor + 1; index <= log->last; index++) {
            const struct log_entry *entry = group_log_entry(log, index);
            struct segment *segment = segment_find(&store->journal, entry->segment);
            if (!segment)
                continue;
            segment->kept_entries--;
            segment->kept_bytes -= entry->size;
        }
}

/* Each entry of a group's log must be there, with its contents. */
static uint64_t check_log(const struct printer *printer, struct group_log *log)
{
    uint64_t bad = 0;
    for (uint64_t index = log->floor + 1; index <= log->last; index++)
        if (!group_log_is_sound(log, index)) {
            const struct log_entry *entry = group_log_entry(log, index);
            say(printer, "damaged: group %" PRIu64 ": entry %" PRIu64 " in segment %u offset %u",
                log->group, index, entry->segment, entry->offset);
            bad++;
        }
    say(printer,
        "group %" PRIu64 ": entries %" PRIu64 " to %" PRIu64 ", term %" PRIu64
        ", applied up to %" PRIu64 ", known to be committed up to %" PRIu64,
        log->group, log->floor + 1, log->last, group_log_term(log, log->last), log->applied,
        log->commit);
    return bad;
}

/* The entries of all queues are in memory. Leaves in the segments' counters what they count too
 * many; numbers that wrapped are what they count too few. */
static uint64_t check_counts(struct store *store, const struct printer *printer)
{
    uint64_t bad = 0;
    uint64_t at = 0;
    struct index *index;
    while ((index = idmap_next(&store->indexes, &at)))
        subtract_index(store, index);
    subtract_logs(store);
    list_for_each(link, &store->journal.segments) {
        const struct segment *segment = list_entry(link, struct segment, link);
        if (segment->kept_entries == 0 && segment->kept_bytes == 0)
            continue;
        say(printer,
            "wrong: segment %u counts %" PRIu64 " live entries and %" PRIu64
            " live bytes, and the queues hold %" PRIu64 " and %" PRIu64,
            segment->number, segment->live_entries, segment->live_bytes,
            segment->live_entries - segment->kept_entries,
            segment->live_bytes - segment->kept_bytes);
        bad++;
    }
    return bad;
}

/* What a start makes again from the rest. */
static uint64_t check_parts(const struct store *store, const struct printer *printer)
{
    const struct identity *identity = &store->journal.identity;
    uint64_t bad = store->image.missing_count;
    for (size_t i = 0; i < store->image.missing_count; i++)
        say(printer, "missing: segment %u; nothing that was in it is needed any more",
            store->image.missing[i]);
    if (identity->is_damaged || (identity->written == 0 && identity_is(identity->id))) {
        say(printer, "damaged: the file " IDENTITY_NAME "; a start makes it again");
        bad++;
    }
    if (store->image.is_adrift) /* as after a crash between both, too */
        say(printer, "the file " ANCHOR_NAME " is missing or behind; a start writes it again");
    if (store->image.is_nameless) {
        say(printer, "damaged: the identity in the index; a start makes it again");
        bad++;
    }
    list_for_each(link, &store->journal.segments) {
        const struct segment *segment = list_entry(link, struct segment, link);
        if (!segment->is_headless || !segment->first_batch)
            continue;
        say(printer, "damaged: segment %u offset 0: its header; a start takes it from its first batch",
            segment->number);
        bad++;
    }
    return bad;
}

/* The entries of all queues are in memory. */
static void sum_up(struct store *store, struct store_contents *contents)
{
    uint64_t at = 0, ready, taken;
    const struct index *index;
    while ((index = idmap_next(&store->indexes, &at))) {
        contents->queues += store_part(index->id) == 0;
        contents->messages += index->ready + index->delayed;
        for (uint32_t i = 0; i < index->chunks_count; i++) {
            const struct chunk *chunk = index->chunks[index->chunks_first + i];
            if (!chunk->entries)
                continue;
            chunk_weigh(chunk, &ready, &taken);
            contents->bytes += ready + taken;
        }
    }
}

int store_check(const struct store_options *options, void (*print)(void *context, const char *line),
                void *context, struct store_contents *contents)
{
    struct printer printer = {.print = print, .context = context};
    struct replay_report report = {0};
    struct store *store = NULL;
    char error[600];
    int result = unwritten_open(options, &report, &store, error, sizeof(error));
    if (result) {
        say(&printer, "%s", error);
        return result;
    }
    note_queues(store, &printer);
    uint64_t bad = check_parts(store, &printer), unread = 0;
    list_for_each(link, &store->journal.segments)
        bad += check_segment(store, &printer, list_entry(link, struct segment, link));
    uint64_t at = 0;
    struct index *index;
    while ((index = idmap_next(&store->indexes, &at)))
        unread += check_index(store, &printer, index);
    unread += thaw_dead(store);
    struct group_log *log;
    at = 0;
    while ((log = group_log_next(store, &at)))
        bad += check_log(&printer, log);
    if (contents)
        sum_up(store, contents);
    bad += unread ? unread : check_counts(store, &printer);
    say(&printer, "replayed: %" PRIu64 " batches, %" PRIu64 " records; %zu names in the catalogue",
        report.batches, report.records, map_count(&store->image.catalogue));
    if (report.cut_segment)
        say(&printer,
            "warning: the last %" PRIu64 " bytes, from segment %" PRIu64 " offset %" PRIu64
            ", cannot be read; they are not known to have been synced",
            report.cut_bytes, report.cut_segment, report.cut_offset);
    if (bad)
        say(&printer, "%" PRIu64 " fault%s", bad, bad == 1 ? "" : "s");
    else
        say(&printer, report.cut_segment ? "sound, but for its end" : "sound");
    forget_queues(&printer);
    store_abandon(store);
    return bad ? 1 : 0;
}
