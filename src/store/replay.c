/* Reading the journal back, from the position of the checkpoint to its end.
 *
 * Where the next batch is not there or not sound, either the journal ends - a crash tore what had
 * not been synced, in any order - or the disk lost what it had promised to keep. The sync marks
 * tell: every batch that was written later says how far all was durable by then. So at the first
 * bad batch everything behind it is searched for batch headers; if one of them, or the checkpoint,
 * knows the missing batch as durable, this is damage and the start is refused. Else the rest is a
 * tail, and cut.
 *
 * A new segment says which batch it begins with. What lies behind that point in the segment before
 * was cut by an earlier start and means nothing. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "store/internal.h"

enum { WINDOW = 1 << 20 };

struct source {
    struct store *store;
    struct disk_file *file;
    uint64_t size;   /* of the file */
    uint8_t *data;   /* bytes from `start` on */
    uint64_t start, got, capacity;
    int error;
};

/* The `size` bytes at `offset`, or NULL past the end of the file (or on an error). */
static const uint8_t *source_bytes(struct source *source, uint64_t offset, uint64_t size)
{
    if (offset + size > source->size || source->error)
        return NULL;
    if (offset >= source->start && offset + size <= source->start + source->got)
        return source->data + (offset - source->start);
    uint64_t wanted = size > WINDOW ? size : WINDOW;
    if (wanted > source->capacity) {
        source->data = mem_realloc(source->data, wanted);
        source->capacity = wanted;
    }
    source->start = offset;
    source->error = source->store->options.disk->ops->read(source->file, source->data, wanted,
                                                           offset, &source->got);
    return !source->error && source->got >= size ? source->data : NULL;
}

static void source_close(struct source *source)
{
    if (source->file)
        source->store->options.disk->ops->close(source->file);
    source->file = NULL;
    source->size = 0;
}

static void source_open(struct source *source, const struct segment *segment)
{
    struct disk *disk = source->store->options.disk;
    char name[32];
    source_close(source);
    source->start = source->got = 0;
    segment_name(name, segment->number);
    if (!source->error)
        source->error = disk->ops->open(disk, name, DISK_READ, &source->file);
    if (!source->error)
        source->error = disk->ops->size(source->file, &source->size);
}

/* ---- files ---- */

struct listing {
    struct store *store;
    uint32_t *numbers;
    size_t count, capacity;
};

/* Those that are too many now, or too large, go with the first write. */
static void list_spare(struct store *store, const char *name, uint32_t number)
{
    struct disk *disk = store->options.disk;
    struct disk_file *file;
    uint64_t size = UINT64_MAX;
    if (number > store->journal.segment_last)
        store->journal.segment_last = number;
    if (store->journal.spares_count < store->options.recycle_segments &&
        disk->ops->open(disk, name, DISK_READ, &file) == 0) {
        if (disk->ops->size(file, &size) != 0)
            size = UINT64_MAX;
        disk->ops->close(file);
    }
    if (size / 2 <= store->options.segment_bytes)
        store->journal.spares[store->journal.spares_count++] = number;
    else if (store->journal.surplus_count < SPARES_MAX)
        store->journal.surplus[store->journal.surplus_count++] = number;
}

static void list_file(void *context, const char *name)
{
    struct listing *listing = context;
    struct store *store = listing->store;
    uint32_t number = segment_number(name);
    uint32_t spare = spare_number(name);
    if (spare)
        list_spare(store, name, spare);
    space_found(&store->journal, name);
    if (!number)
        return;
    if (listing->count == listing->capacity) {
        listing->capacity = listing->capacity ? listing->capacity * 2 : 64;
        listing->numbers =
            mem_realloc(listing->numbers, listing->capacity * sizeof(*listing->numbers));
    }
    listing->numbers[listing->count++] = number;
}

static int by_number(const void *a, const void *b)
{
    uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;
    return (left > right) - (left < right);
}

/* Reads what a segment's file begins with. */
static int look(struct store *store, const char *name, uint8_t *bytes, uint64_t size,
                uint64_t *got)
{
    struct disk *disk = store->options.disk;
    struct disk_file *file;
    int failed = disk->ops->open(disk, name, DISK_READ, &file);
    if (failed)
        return failed;
    failed = disk->ops->read(file, bytes, size, 0, got);
    disk->ops->close(file);
    return failed;
}

/* A header that is bad says nothing that the first batch does not say as well. */
static bool know_by_batch(struct store *store, const char *name, uint32_t number,
                          struct segment_header *header)
{
    uint8_t bytes[SEGMENT_HEADER + BATCH_HEADER];
    struct batch_header batch;
    uint64_t got = 0;
    if (look(store, name, bytes, sizeof(bytes), &got) != 0 || got < sizeof(bytes) ||
        batch_header_read(bytes + SEGMENT_HEADER, number, SEGMENT_HEADER, &batch) != RECORD_OK)
        return false;
    *header = (struct segment_header){
        .segment = number, .first_batch = batch.number, .previous = batch.previous};
    return true;
}

/* All of its block is written again, as a write may leave zeros behind it. */
int segment_mend(struct store *store, struct segment *segment)
{
    struct disk *disk = store->options.disk;
    struct disk_file *file;
    struct segment_header header;
    uint8_t bytes[DISK_BLOCK];
    uint64_t got = 0;
    char name[32];
    segment_name(name, segment->number);
    if (!know_by_batch(store, name, segment->number, &header))
        header = (struct segment_header){.segment = segment->number,
                                         .first_batch = segment->first_batch};
    memcpy(header.store, store->journal.identity.id, IDENTITY_SIZE);
    int error = look(store, name, bytes, sizeof(bytes), &got);
    if (!error && got < SEGMENT_HEADER)
        error = EIO;
    segment_header_write(bytes, &header);
    if (!error)
        error = disk->ops->open(disk, name, DISK_WRITE, &file);
    if (error)
        return error;
    struct iovec part = {bytes, got};
    error = disk->ops->write(file, &part, 1, 0);
    if (!error)
        error = disk->ops->sync(file);
    disk->ops->close(file);
    return error;
}

/* Its header was synced before it was told that it had begun. */
bool segment_lost_header(const struct store *store, const struct segment *segment)
{
    return segment->is_headless && segment->first_batch == 0 &&
           segment->number == store->journal.identity.headed &&
           segment->number == store->journal.identity.segment;
}

static bool is_foreign(struct store *store, const struct segment_header *header)
{
    if (!identity_is(store->journal.identity.id)) /* the file is gone: the segments have it */
        memcpy(store->journal.identity.id, header->store, IDENTITY_SIZE);
    return identity_differs(header->store, store->journal.identity.id);
}

static bool find_segment(struct store *store, uint32_t number, bool strict, char *error,
                         size_t error_size)
{
    struct segment *segment = segment_find(&store->journal, number);
    if (!segment)
        segment = segment_add(&store->journal, number);
    char name[32];
    segment_name(name, number);
    uint8_t bytes[SEGMENT_HEADER];
    uint64_t got = 0;
    int failed = look(store, name, bytes, sizeof(bytes), &got);
    if (failed && strict) {
        snprintf(error, error_size, "%s cannot be read: %s", name, strerror(failed));
        return false;
    }
    struct segment_header header;
    int result = got == sizeof(bytes) ? segment_header_read(bytes, &header) : RECORD_BAD;
    if (result == RECORD_NEWER) {
        snprintf(error, error_size,
                 "%s is of a newer version; " NEXT_VERSION, name);
        return false;
    }
    bool sound = result == RECORD_OK && header.segment == number;
    if (sound && is_foreign(store, &header)) {
        snprintf(error, error_size,
                 "%s belongs to another store; nothing was changed; take it away, or restore all of "
                 "the data directory from one copy",
                 name);
        return false;
    }
    segment->is_headless = !sound;
    sound = sound || know_by_batch(store, name, number, &header);
    if (!sound && segment->kept_entries) {
        snprintf(error, error_size,
                 "the journal is damaged: %s at offset 0: a bad header, and %" PRIu64
                 " messages need the file; " NEXT_STEP,
                 name, segment->kept_entries);
        return false;
    }
    segment->first_batch = sound ? header.first_batch : 0;
    segment->is_found = true;
    if (strict && segment_lost_header(store, segment)) {
        snprintf(error, error_size,
                 "the journal is damaged: %s at offset 0: %s, and what was in the file may be gone "
                 "with it; " NEXT_STEP,
                 name, got < SEGMENT_HEADER ? "the file ends before its header does" : "a bad header");
        return false;
    }
    return true;
}

static bool refuse_missing(uint32_t number, const char *why, char *error, size_t error_size)
{
    char name[32];
    segment_name(name, number);
    snprintf(error, error_size,
             "%s is missing, and %s; " NEXT_STEP, name, why);
    return false;
}

bool segments_find(struct store *store, bool strict, char *error, size_t error_size)
{
    struct listing listing = {.store = store};
    bool ok = true;
    int failed = store->options.disk->ops->list(store->options.disk, list_file, &listing);
    if (failed) {
        snprintf(error, error_size, "the data directory cannot be listed: %s", strerror(failed));
        ok = false;
    }
    if (listing.count)
        qsort(listing.numbers, listing.count, sizeof(*listing.numbers), by_number);
    for (size_t i = 0; ok && i < listing.count; i++)
        ok = find_segment(store, listing.numbers[i], strict, error, error_size);
    mem_free(listing.numbers);
    if (!ok)
        return false;
    list_for_each_safe(link, after, &store->journal.segments) {
        struct segment *segment = list_entry(link, struct segment, link);
        if (segment->is_found)
            continue;
        if (segment->kept_entries) {
            char why[64];
            snprintf(why, sizeof(why), "%" PRIu64 " messages need it", segment->kept_entries);
            return refuse_missing(segment->number, why, error, error_size);
        }
        store->image.missing = mem_realloc(store->image.missing, (store->image.missing_count + 1) *
                                                                     sizeof(*store->image.missing));
        store->image.missing[store->image.missing_count++] = segment->number;
        segment_free(&store->journal, segment);
    }
    uint32_t last = store->journal.identity.segment;
    if (strict && last && !segment_find(&store->journal, last))
        return refuse_missing(last, "it is the last one that was begun", error, error_size);
    return true;
}

static struct segment *next_segment(struct store *store, uint32_t number)
{
    list_for_each(link, &store->journal.segments) {
        struct segment *segment = list_entry(link, struct segment, link);
        if (segment->number > number)
            return segment;
    }
    return NULL;
}

static const char *apply(struct store *store, const struct record *record,
                         struct replay_report *report)
{
    report->records++;
    report->messages += record->type == RECORD_MESSAGE;
    report->settles += record->type == RECORD_SETTLE;
    report->catalogue += record->type == RECORD_PUT || record->type == RECORD_DELETE;
    return apply_record(store, record, false);
}

/* ---- walking ---- */

struct walk {
    struct source source;
    struct position at;
    struct replay_report *report;
    char *error;
    size_t error_size;
};

static bool damaged(struct walk *walk, uint64_t offset, const char *what)
{
    char name[32];
    segment_name(name, walk->at.segment);
    snprintf(walk->error, walk->error_size,
             "the journal is damaged: %s at offset %" PRIu64 ": %s; " NEXT_STEP,
             name, offset, what);
    return false;
}

/* `what`: a batch or a record, that is sound and means something that is not known here. */
static bool is_of_newer_version(struct walk *walk, uint64_t offset, const char *what)
{
    char name[32];
    segment_name(name, walk->at.segment);
    snprintf(walk->error, walk->error_size,
             "%s is of a newer version: the %s at offset %" PRIu64
             " is not known to this one; " NEXT_VERSION,
             name, what, offset);
    return false;
}

/* The next batch, whole and checked, or NULL. */
static const uint8_t *next_batch(struct walk *walk, struct batch_header *header)
{
    struct position *at = &walk->at;
    const uint8_t *bytes = source_bytes(&walk->source, at->offset, BATCH_HEADER);
    if (!bytes || batch_header_read(bytes, at->segment, (uint32_t)at->offset, header) != RECORD_OK)
        return NULL;
    if (header->number != at->batch || header->previous != at->previous)
        return NULL;
    bytes = source_bytes(&walk->source, at->offset, header->size);
    if (!bytes || !batch_contents_check(bytes_of(bytes, header->size), header))
        return NULL;
    return bytes;
}

static bool apply_batch(struct walk *walk, const uint8_t *bytes, const struct batch_header *header)
{
    uint32_t at = BATCH_HEADER;
    for (uint32_t i = 0; i < header->records; i++) {
        struct record record;
        if (record_read(bytes_of(bytes + at, header->size - at), header->segment,
                        header->offset + at, &record) != RECORD_OK)
            return damaged(walk, header->offset + at, "a bad record in a good batch");
        if (record.type > RECORD_LAST)
            return is_of_newer_version(walk, header->offset + at, "record");
        uint32_t behind = at + record.place.size, records = 0, size = 0;
        struct bytes rest = bytes_of(bytes + behind, header->size - behind);
        const char *wrong =
            record.type >= RECORD_ENTRY
                ? group_replay(walk->source.store, &record, rest, &records, &size)
                : apply(walk->source.store, &record, walk->report);
        if (!wrong && records >= header->records - i)
            wrong = "an entry of a group with more records than its batch";
        if (wrong)
            return damaged(walk, header->offset + at, wrong);
        at = behind + size;
        i += records;
    }
    walk->at.batch++;
    walk->at.offset += header->size;
    walk->at.previous = header->checksum;
    walk->report->batches++;
    walk->report->said = header->records ? header->number : walk->report->said;
    walk->report->stated = header->synced;
    return true;
}

/* Does a batch with a bad header begin here? Bytes of an earlier use of the file lie elsewhere by what
 * they say. */
static bool claims_place(const uint8_t *bytes, uint32_t segment, uint64_t offset)
{
    struct cursor cursor = cursor_of(bytes_of(bytes + 40, 8));
    bool is_of_segment = cursor_u32(&cursor) == segment;
    return memcmp(bytes, "LVRB", 4) == 0 && (is_of_segment || cursor_u32(&cursor) == offset);
}

/* How much of a segment behind the cut is a batch that had begun. */
static uint64_t end_of(const struct walk *walk, uint64_t at, uint64_t size)
{
    return at + size < walk->source.size ? at + size : walk->source.size;
}

/* Is there a part of the header of a batch, and nothing behind it? */
static bool ends_in_header(struct walk *walk, uint64_t at)
{
    uint64_t size = walk->source.size > at ? walk->source.size - at : 0;
    const uint8_t *bytes = size ? source_bytes(&walk->source, at, size) : NULL;
    return bytes && memcmp(bytes, "LVRB", size < 4 ? size : 4) == 0;
}

/* The highest batch that anything from here on knows to have been durable; *bytes: how much there is. */
static uint64_t search_marks(struct walk *walk, uint64_t *bytes_left)
{
    struct store *store = walk->source.store;
    uint64_t mark = 0;
    list_for_each(link, &store->journal.segments) {
        struct segment *segment = list_entry(link, struct segment, link);
        if (segment->number < walk->at.segment)
            continue;
        source_open(&walk->source, segment);
        uint64_t from = segment->number == walk->at.segment ? walk->at.offset : SEGMENT_HEADER;
        uint64_t end = from;
        uint64_t at = from;
        for (; at + BATCH_HEADER <= walk->source.size; at += BATCH_ALIGN) {
            const uint8_t *bytes = source_bytes(&walk->source, at, BATCH_HEADER);
            struct batch_header header;
            if (!bytes || !claims_place(bytes, segment->number, at))
                continue;
            bool is_sound =
                batch_header_read(bytes, segment->number, (uint32_t)at, &header) != RECORD_BAD;
            end = end_of(walk, at, is_sound ? header.size : BATCH_HEADER);
            if (is_sound && header.synced > mark)
                mark = header.synced;
        }
        if (ends_in_header(walk, at))
            end = walk->source.size;
        *bytes_left += end - from;
    }
    return mark;
}

/* What lies behind the cut was never durable: files that hold nothing else go. */
static bool cut(struct walk *walk, bool repair)
{
    struct store *store = walk->source.store;
    struct disk *disk = store->options.disk;
    struct segment *segment;
    bool unlinked = false;
    uint32_t above = walk->at.segment;
    if (repair &&
        store->journal.identity.segment > above) { /* it is not missed any more, and then goes */
        store->journal.identity.segment = above;
        if (store->journal.identity.headed > above)
            store->journal.identity.headed = 0;
        int failed = identity_write(disk, &store->journal.identity);
        if (failed)
            return damaged(walk, 0, strerror(failed));
    }
    while ((segment = next_segment(store, above))) {
        char name[32];
        segment_name(name, segment->number);
        above = segment->number;
        if (repair) {
            unlinked = true;
            if (disk->ops->unlink(disk, name) != 0)
                return damaged(walk, 0, "a left-over segment cannot be removed");
        }
        segment_free(&store->journal, segment);
    }
    int failed = unlinked && !planted(PLANTED_CUT_NOT_SYNCED) ? disk->ops->sync_folder(disk) : 0;
    return failed ? damaged(walk, 0, strerror(failed)) : true;
}

static bool is_newer_batch(struct walk *walk)
{
    struct position at = walk->at;
    struct batch_header header;
    const uint8_t *bytes = source_bytes(&walk->source, at.offset, BATCH_HEADER);
    return bytes &&
           batch_header_read(bytes, at.segment, (uint32_t)at.offset, &header) == RECORD_NEWER;
}

/* Before anything is cut. */
static bool knows_names(struct walk *walk)
{
    if (!has_newer_names(walk->source.store))
        return true;
    snprintf(walk->error, walk->error_size, NEWER_NAMES);
    return false;
}

/* `mark`: up to which batch all had been synced. The missing one was here, or began the file behind
 * that has no header any more. */
static bool refuse_missing_batch(struct walk *walk, uint64_t mark)
{
    char what[128];
    const struct segment *next = next_segment(walk->source.store, walk->at.segment);
    if (next && next->first_batch == 0) {
        walk->at.segment = next->number;
        walk->at.offset = 0;
    }
    snprintf(what, sizeof(what),
             "a batch that was synced is not there (number %" PRIu64 ", and all up to %" PRIu64
             " were)",
             walk->at.batch, mark);
    return damaged(walk, walk->at.offset, what);
}

static bool end_here(struct walk *walk, bool repair)
{
    struct source *source = &walk->source;
    if (is_newer_batch(walk))
        return is_of_newer_version(walk, walk->at.offset, "batch");
    if (source->error)
        return damaged(walk, walk->at.offset, strerror(source->error));
    if (!knows_names(walk))
        return false;
    struct segment *segment = segment_find(&source->store->journal, walk->at.segment);
    bool is_end = source->size <= walk->at.offset && !next_segment(source->store, segment->number);
    uint64_t known = source->store->journal.identity.batch;
    if (is_end && known < walk->at.batch)
        return true;
    uint64_t bytes = 0;
    uint64_t mark = search_marks(walk, &bytes);
    mark = mark > known ? mark : known;
    if (source->error) /* what could not be read might have known better */
        return damaged(walk, walk->at.offset, strerror(source->error));
    if (mark >= walk->at.batch)
        return refuse_missing_batch(walk, mark);
    if (bytes) { /* else what is there was never of this journal: zeros, an earlier use of the file */
        walk->report->cut_segment = walk->at.segment;
        walk->report->cut_offset = walk->at.offset;
        walk->report->cut_bytes = bytes;
    }
    return cut(walk, repair);
}

/* The segment behind `segment` that begins with this batch. Of several the last counts: a crash after
 * a header, and before its first batch was whole, leaves a segment that the next start begins anew. */
static struct segment *beginning_with(struct store *store, const struct segment *segment,
                                      uint64_t batch)
{
    struct segment *found = NULL;
    for (const struct list *link = segment->link.next; link != &store->journal.segments;
         link = link->next) {
        struct segment *next = list_entry(link, struct segment, link);
        if (next->first_batch > batch)
            break;
        if (next->first_batch == batch)
            found = next;
    }
    return found;
}

static void enter(struct walk *walk, struct segment *segment)
{
    walk->at.segment = segment->number;
    walk->at.offset = SEGMENT_HEADER;
    source_open(&walk->source, segment);
}

/* The checkpoint knows how far this file went, whatever there is behind it; but of one that is there
 * for the first batch of all it knows nothing. */
static bool reaches_position(struct walk *walk)
{
    uint64_t size = walk->source.size;
    char what[128];
    if (walk->source.error || walk->at.batch == 1 || size >= walk->at.offset)
        return true;
    snprintf(what, sizeof(what), "the file ends, and the checkpoint knows of %" PRIu64 " bytes more",
             walk->at.offset - size);
    return damaged(walk, size, what);
}

static bool walk_journal(struct walk *walk, bool repair)
{
    struct store *store = walk->source.store;
    struct segment *segment = segment_find(&store->journal, walk->at.segment);
    source_open(&walk->source, segment);
    if (!reaches_position(walk))
        return false;
    for (;;) {
        struct segment *next = beginning_with(store, segment, walk->at.batch);
        if (next) {
            segment = next;
            enter(walk, segment);
        }
        struct batch_header header;
        const uint8_t *bytes = next_batch(walk, &header);
        if (!bytes)
            break;
        if (!apply_batch(walk, bytes, &header))
            return false;
        segment->last_batch = header.number;
        segment->size = walk->at.offset;
    }
    return end_here(walk, repair);
}

/* A first start, or a first checkpoint that was never written: the journal begins with segment 1. */
static bool find_beginning(struct store *store, struct position *position, char *error,
                           size_t error_size)
{
    *position = (struct position){.batch = 1, .segment = 1, .offset = SEGMENT_HEADER};
    if (segment_find(&store->journal, 1) || list_is_empty(&store->journal.segments))
        return true;
    snprintf(error, error_size,
             "there are journal files, but the index that goes with them is missing or empty; "
             NEXT_STEP);
    return false;
}

/* Left over by a checkpoint that removed the rest, or without a batch: nothing needs them. */
static void finish_segments(struct store *store, const struct position *position)
{
    list_for_each(link, &store->journal.segments) {
        struct segment *segment = list_entry(link, struct segment, link);
        if (segment->last_batch == 0)
            segment->last_batch = position->batch - 1;
    }
}

bool replay(struct store *store, struct position *position, bool repair,
            struct replay_report *report, char *error, size_t error_size)
{
    bool is_new = position->batch == 0;
    if (!segments_find(store, true, error, error_size))
        return false;
    if (is_new && !find_beginning(store, position, error, error_size))
        return false;
    struct walk walk = {.source = {.store = store},
                        .at = *position,
                        .report = report,
                        .error = error,
                        .error_size = error_size};
    bool ok = true;
    if (segment_find(&store->journal, position->segment))
        ok = walk_journal(&walk, repair);
    else if (!list_is_empty(&store->journal.segments) || (!is_new && position->batch > 1))
        ok = damaged(&walk, position->offset, "the file is missing");
    source_close(&walk.source);
    mem_free(walk.source.data);
    report->known = position->batch - 1;
    if (report->stated > report->known)
        report->known = report->stated;
    if (store->journal.identity.batch > report->known)
        report->known = store->journal.identity.batch;
    *position = walk.at;
    finish_segments(store, position);
    return ok;
}
