/* Opening a store that a start refuses: what is sound of it is taken, and what is not is told.
 *
 * The index is made anew, from all sound records of the journal in their order, as if there had never been
 * a checkpoint. But the journal forgets: a segment goes when no message in it is needed, and with it the
 * settles of messages that lie in other segments, the beginnings and ends of queues, and names. So what
 * can still be read of the old index helps, for what lies before its position in the journal: a message is
 * live if the bits of its chunk say so. When all of that index is sound, what it does not name is gone;
 * when it is not, a message without bits counts as live, and may come a second time to somebody who has
 * acknowledged it: better twice than never.
 *
 * After it every message counts as delivered before, and numbers go on well above all that were seen.
 * Nothing on the disk is changed here, but for headers of segments, when the caller says so. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "store/internal.h"

/* What lies in between was perhaps used, by batches and settles that are lost. */
enum { NUMBERS_LEFT_OUT = 1 << 20 };

/* A chunk of the old index: which of its messages are live, and which of these were found. */
struct hint {
    uint64_t queue, base;
    uint32_t slots;
    uint64_t *live, *found;
};

struct salvager {
    struct store *store;
    const struct salvage *salvage;
    struct position position; /* of the old index; batch 0: it has none */
    struct hint *hints;
    size_t hints_count, hints_capacity;
    struct idmap dropped;    /* numbers of queues that have ended */
    struct idmap groups;     /* that were said to be left out */
    struct place contents;   /* of the last entry of a group */
    struct map before;       /* names by records before the position */
    bool is_whole;           /* the old index is sound */
    bool is_other;           /* the old index is of another version */
    bool is_newer;           /* there are records of a newer version */
    char *error;             /* why, then */
    size_t error_size;
    bool is_complete;        /* there never was a checkpoint: the journal has all */
    uint64_t sum, batch;     /* of the image; the highest batch that is known of */
    uint64_t unsure;         /* messages that may have been settled */
    uint64_t bad_places, bad_bytes, lost;
    struct sift sift;
};

static void say(const struct salvager *s, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void say(const struct salvager *s, const char *format, ...)
{
    char line[600];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    s->salvage->say(s->salvage->context, line);
}

static uint64_t highest(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* ---- what the old index still says ---- */

static uint64_t key_number(struct bytes key, size_t from, size_t size)
{
    uint64_t number = 0;
    for (size_t i = 0; i < size && from + i < key.size; i++)
        number = number << 8 | key.data[from + i];
    return number;
}

static void take_queue(struct salvager *s, struct bytes key, struct bytes value)
{
    struct cursor cursor = cursor_of(value);
    uint64_t id = key_number(key, 1, 8), next = cursor_u64(&cursor);
    if (cursor.bad || id == 0 || next > STORE_SEQUENCE_MAX || idmap_find(&s->store->indexes, id))
        return;
    index_new(s->store, id)->next_sequence = next ? next : 1;
}

static void take_chunk(struct salvager *s, struct bytes key, struct bytes value)
{
    struct cursor cursor = cursor_of(value);
    cursor_u64(&cursor);
    uint32_t slots = cursor_u32(&cursor), count = cursor_u32(&cursor);
    size_t words = (slots + 63) / 64;
    if (cursor.bad || slots == 0 || slots > 1u << 24 || count > slots)
        return;
    s->hints = mem_grow(s->hints, &s->hints_capacity, s->hints_count + 1, sizeof(*s->hints));
    struct hint *hint = &s->hints[s->hints_count++];
    *hint = (struct hint){key_number(key, 1, 8), key_number(key, 9, 8), slots,
                          mem_zalloc_array(words, 8), mem_zalloc_array(words, 8)};
    for (size_t i = 0; i < words; i++)
        hint->live[i] = count == slots ? UINT64_MAX : cursor_u64(&cursor);
    if (slots % 64)
        hint->live[words - 1] &= ((uint64_t)1 << slots % 64) - 1;
}

static void take_counters(struct salvager *s, struct bytes key, struct bytes value)
{
    struct cursor cursor = cursor_of(value);
    uint32_t number = (uint32_t)key_number(key, 1, 4);
    uint64_t entries = cursor_u64(&cursor);
    if (!segment_find(&s->store->journal, number) && number)
        say(s, "missing: journal-%010u, into which %" PRIu64 " entries pointed", number, entries);
    if (number > s->store->journal.segment_last)
        s->store->journal.segment_last = number;
}

/* One pair of the old index; keys come in order, so hints are sorted. */
static bool take_pair(void *context, struct bytes key, struct bytes value)
{
    struct salvager *s = context;
    s->sum += image_weight(value);
    if (!kv_value_open(key, &value)) {
        s->is_whole = false;
        return true;
    }
    if (key.data[0] == 'Q')
        take_queue(s, key, value);
    else if (key.data[0] == 'D')
        take_chunk(s, key, value);
    else if (key.data[0] == 'S')
        take_counters(s, key, value);
    else if (key.data[0] == 'N')
        name_change(s->store, &s->store->image.catalogue, bytes_of(key.data + 1, key.size - 1),
                    value, false);
    return true;
}

/* Reads all that can be read of it. */
static void take_index(struct salvager *s, struct kv *old)
{
    struct store *store = s->store;
    uint64_t sum = 0, anchor = 0;
    char error[600] = "there is none that could be opened";
    struct kv *new = store->options.kv;
    bool has_anchor = anchor_read(store->options.disk, &anchor) == 0 && anchor;
    store->options.kv = old;
    uint32_t segment_last = store->journal.segment_last;
    int found = old ? image_header(store, &s->position, &sum, error, sizeof(error)) : -1;
    store->options.kv = new;
    if (found <= 0)
        store->id_last = store->image.blob_last = store->journal.segment_last = 0;
    if (store->journal.segment_last < segment_last)
        store->journal.segment_last = segment_last;
    s->is_whole = found > 0 && store->image.number >= anchor;
    s->is_complete = found <= 0 && !has_anchor && segment_find(&store->journal, 1);
    s->is_other = found == IMAGE_OTHER_VERSION;
    if (found <= 0)
        s->position = (struct position){0};
    for (const char *kind = IMAGE_KINDS; old && *kind; kind++)
        if (old->ops->scan(old, bytes_of(kind, 1), bytes_of(NULL, 0), take_pair, s) < 0)
            s->is_whole = false;
    s->is_whole = s->is_whole && s->sum == sum;
    store->image.number = highest(found > 0 ? store->image.number : 0, anchor);
    if (found < 0)
        say(s, "index: %s", error);
    if (s->is_other)
        snprintf(s->error, s->error_size, "%s", error);
    say(s, "index: %s",
        s->is_whole      ? "sound: it says which messages are live"
        : s->is_complete ? "there was none yet: the journal has all"
                         : "not sound: messages that were settled may come again");
}

/* How many hints begin at or below this sequence number, or are of queues before. */
static size_t hints_below(const struct salvager *s, uint64_t queue, uint64_t sequence)
{
    size_t low = 0, high = s->hints_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        const struct hint *hint = &s->hints[middle];
        if (hint->queue < queue || (hint->queue == queue && hint->base <= sequence))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void note_missing(const struct salvager *s)
{
    uint32_t last = s->store->journal.identity.segment;
    if (last && !segment_find(&s->store->journal, last))
        say(s, "missing: journal-%010u, the last one that was begun", last);
    list_for_each(link, &s->store->journal.segments) {
        const struct segment *segment = list_entry(link, struct segment, link);
        if (segment_lost_header(s->store, segment))
            say(s, "damaged: journal-%010u offset 0: it has lost its header, and perhaps more",
                segment->number);
    }
    if (last > s->store->journal.segment_last)
        s->store->journal.segment_last = last;
}

static struct hint *find_hint(const struct salvager *s, uint64_t queue, uint64_t sequence)
{
    size_t below = hints_below(s, queue, sequence);
    struct hint *hint = below ? &s->hints[below - 1] : NULL;
    return hint && hint->queue == queue && sequence - hint->base < hint->slots ? hint : NULL;
}

/* ---- taking records ---- */

static bool is_before(const struct salvager *s, struct place place)
{
    const struct position *position = &s->position;
    return position->batch && (place.segment < position->segment ||
                               (place.segment == position->segment &&
                                place.offset < position->offset));
}

/* Does the old index say that it is live? */
static bool is_live(struct salvager *s, struct destination destination, struct place place)
{
    struct hint *hint = find_hint(s, destination.queue, destination.sequence);
    if (hint) {
        uint32_t slot = (uint32_t)(destination.sequence - hint->base);
        bit_set(hint->found, slot);
        if (is_before(s, place) || bit_get(hint->live, slot))
            return bit_get(hint->live, slot);
    }
    bool is_known = s->is_complete || (s->position.batch && !is_before(s, place));
    if (!is_known && s->is_whole)
        return false;
    s->unsure += !is_known;
    return true;
}

static struct index *queue_of(struct salvager *s, uint64_t id, struct place place)
{
    struct index *index = idmap_find(&s->store->indexes, id);
    bool is_gone = idmap_find(&s->dropped, id) || (s->is_whole && is_before(s, place));
    if (index || is_gone || id == 0 || id & STORE_ID_TRANSIENT)
        return index;
    return index_new(s->store, id);
}

static void take_message(struct salvager *s, const struct record *record)
{
    struct message_payload payload;
    if (!message_payload_read(record->payload, &payload))
        return;
    for (uint32_t i = 0; i < payload.destinations; i++) {
        struct destination destination = message_payload_destination(&payload, i);
        if (destination.sequence == 0 || destination.sequence > STORE_SEQUENCE_MAX)
            continue;
        struct index *index = queue_of(s, destination.queue, record->place);
        struct chunk *chunk;
        if (!index)
            continue;
        bool is_there = index_entry(index, destination.sequence, &chunk) != NULL;
        if (is_there || is_live(s, destination, record->place))
            index_insert(index, &destination, record->place, &payload);
    }
}

static void settle_hints(struct salvager *s, uint64_t queue, uint64_t first, uint64_t end)
{
    size_t below = hints_below(s, queue, first);
    for (size_t i = below ? below - 1 : 0; i < s->hints_count; i++) {
        struct hint *hint = &s->hints[i];
        if (hint->queue > queue || (hint->queue == queue && hint->base >= end))
            break;
        if (hint->queue != queue || hint->base + hint->slots <= first)
            continue;
        uint64_t from = first > hint->base ? first - hint->base : 0;
        uint64_t to = end - hint->base < hint->slots ? end - hint->base : hint->slots;
        for (uint64_t slot = from; slot < to; slot++)
            bit_clear(hint->live, (uint32_t)slot);
    }
}

static void take_settle(struct salvager *s, const struct record *record)
{
    struct settled_reader reader = settled_reader(record->payload);
    struct index *index = idmap_find(&s->store->indexes, reader.queue);
    while (settled_next(&reader)) {
        settle_hints(s, reader.queue, reader.first, reader.first + reader.count);
        if (index)
            index_replay_settle(index, reader.first, reader.count);
    }
}

static void take_returned(struct salvager *s, const struct record *record)
{
    struct returned_reader reader = returned_reader(record->payload);
    struct index *index = idmap_find(&s->store->indexes, reader.queue);
    while (returned_next(&reader))
        if (index)
            index_replay_returned(index, reader.sequence, reader.count, 0); /* it may wait no more */
}

static void take_end(struct salvager *s, const struct record *record)
{
    struct cursor cursor = cursor_of(record->payload);
    uint64_t id = cursor_u64(&cursor);
    struct index *index = idmap_find(&s->store->indexes, id);
    store_id_is_used(s->store, id);
    if (record->type == RECORD_QUEUE) {
        queue_of(s, id, record->place);
        return;
    }
    if (id && !idmap_find(&s->dropped, id))
        idmap_add(&s->dropped, id, s);
    if (index)
        store_queue_delete_recovered(s->store, index);
}

/* Those before the position are older than what the old index has, where it has them. */
static void take_name(struct salvager *s, const struct record *record)
{
    bool is_delete = record->type == RECORD_DELETE;
    struct bytes key = record->payload, value = bytes_of(NULL, 0);
    if (!is_delete) {
        struct cursor cursor = cursor_of(record->payload);
        key = cursor_bytes(&cursor, cursor_u32(&cursor));
        value = cursor_bytes(&cursor, cursor_left(&cursor));
        if (cursor.bad)
            return;
    }
    struct map *map = is_before(s, record->place) ? &s->before : &s->store->image.catalogue;
    name_change(s->store, map, key, value, is_delete);
}

/* A log without a part of it is none, and a vote that was lost would be given twice. */
static void leave_out(struct salvager *s, const struct record *record)
{
    struct cursor cursor = cursor_of(record->payload);
    uint64_t group = cursor_u64(&cursor);
    struct entry_payload payload;
    if (record->type == RECORD_ENTRY && entry_payload_read(record->payload, &payload))
        s->contents = (struct place){record->place.segment,
                                     record->place.offset + record->place.size, payload.size};
    if (group == 0 || idmap_find(&s->groups, group))
        return;
    idmap_add(&s->groups, group, s);
    say(s,
        "left out: the log of group %" PRIu64
        "; this broker has to leave its cluster and to join it again",
        group);
}

static bool is_content(const struct salvager *s, struct place place)
{
    return place.segment == s->contents.segment && place.offset >= s->contents.offset &&
           place.offset - s->contents.offset < s->contents.size;
}

static void take_record(struct salvager *s, const struct record *record)
{
    struct cursor cursor;
    struct index *index;
    uint64_t mark;
    if (is_content(s, record->place))
        return;
    s->is_newer = s->is_newer || record->type > RECORD_LAST;
    switch (record->type) {
    case RECORD_MESSAGE:
    case RECORD_MOVED:
        take_message(s, record);
        break;
    case RECORD_PAGED:
        break;
    case RECORD_SETTLE:
        take_settle(s, record);
        break;
    case RECORD_RETURNED:
        take_returned(s, record);
        break;
    case RECORD_DELIVERED:
        cursor = cursor_of(record->payload);
        index = idmap_find(&s->store->indexes, cursor_u64(&cursor));
        mark = cursor_u64(&cursor);
        if (index && !cursor.bad && mark <= STORE_SEQUENCE_MAX)
            index->next_sequence = highest(index->next_sequence, mark);
        break;
    case RECORD_QUEUE:
    case RECORD_DROP:
        take_end(s, record);
        break;
    case RECORD_PUT:
    case RECORD_DELETE:
        take_name(s, record);
        break;
    case RECORD_ENTRY:
    case RECORD_FLOOR:
    case RECORD_VOTE:
    case RECORD_COMMIT:
    case RECORD_LEAVE:
        leave_out(s, record);
        break;
    case RECORD_NOTE:
        break;
    }
}

/* ---- going through the segments ---- */

static void note_bad(struct salvager *s, struct segment *segment, uint64_t at, uint64_t size,
                     const char *what)
{
    char name[32];
    segment_name(name, segment->number);
    s->bad_places++;
    s->bad_bytes += size;
    say(s, "damaged: %s offset %" PRIu64 ": %" PRIu64 " bytes%s%s", name, at, size,
        *what ? ": " : "", what);
    if (!segment->is_damaged)
        s->salvage->damaged(s->salvage->context, name);
    segment->is_damaged = true;
}

/* What a cut left over: the next segment begins with a batch that was to come here. */
static bool is_left_over(const struct salvager *s, const struct segment *segment)
{
    const struct segment *next = segment->link.next == &s->store->journal.segments
                                     ? NULL
                                     : list_entry(segment->link.next, struct segment, link);
    return next && next->first_batch && s->sift.batch.number >= next->first_batch;
}

static uint64_t file_size(struct store *store, const char *name)
{
    struct disk *disk = store->options.disk;
    struct disk_file *file;
    uint64_t size = 0;
    if (disk->ops->open(disk, name, DISK_READ, &file) != 0)
        return 0;
    if (disk->ops->size(file, &size) != 0)
        size = 0;
    disk->ops->close(file);
    return size;
}

/* Bytes behind the last batch that say nothing of their own were laid out, or are of an earlier use. */
static bool is_rest(const struct salvager *s, const struct segment *segment, uint64_t at)
{
    uint32_t claims = 0;
    uint8_t head[BATCH_HEADER];
    uint64_t got = 0;
    if (s->sift.bad_at + s->sift.bad_size < s->sift.end && s->sift.batch_end < s->sift.end)
        return false;
    if (files_read(s->sift.files, segment->number, head, sizeof(head), at, &got) == 0 &&
        got == sizeof(head) && memcmp(head, "LVRB", 4) == 0)
        claims = (uint32_t)head[40] | (uint32_t)head[41] << 8 | (uint32_t)head[42] << 16 |
                 (uint32_t)head[43] << 24;
    return claims != segment->number;
}

static void take_segment(struct salvager *s, struct segment *segment)
{
    struct sift *sift = &s->sift;
    struct record record;
    enum sift_result result;
    char name[32];
    bool in_rest = false;
    segment_name(name, segment->number);
    sift_begin(sift, segment->number, file_size(s->store, name));
    while ((result = sift_next(sift, &record)) != SIFT_END) {
        if (is_left_over(s, segment))
            break;
        if (result == SIFT_BATCH) {
            in_rest = false;
            s->batch = highest(s->batch, highest(sift->batch.number, sift->batch.synced));
            segment->last_batch = highest(segment->last_batch, sift->batch.number);
            if (segment->first_batch == 0)
                segment->first_batch = sift->batch.number;
            segment->size = highest(segment->size, sift->batch_end);
        } else if (result == SIFT_RECORD) {
            if (in_rest) /* no: a batch whose header is bad */
                note_bad(s, segment, sift->batch.offset, BATCH_HEADER, "");
            in_rest = false;
            segment->size = highest(segment->size, record.place.offset + record.place.size);
            take_record(s, &record);
        } else if (in_rest || (sift->batch.number == 0 && is_rest(s, segment, sift->bad_at))) {
            in_rest = true;
        } else {
            note_bad(s, segment, sift->bad_at, sift->bad_size,
                     sift->error          ? strerror(sift->error)
                     : sift->bad_size == 0 ? "a batch ends too early"
                                           : "");
        }
    }
}

static void take_segments(struct salvager *s)
{
    list_for_each(link, &s->store->journal.segments) {
        struct segment *segment = list_entry(link, struct segment, link);
        if (segment->is_headless)
            note_bad(s, segment, 0, SEGMENT_HEADER, "its header");
        take_segment(s, segment);
        segment->size = (segment->size + BATCH_ALIGN - 1) / BATCH_ALIGN * BATCH_ALIGN;
        s->batch = highest(s->batch, segment->first_batch ? segment->first_batch - 1 : 0);
    }
}

/* ---- what is left to do ---- */

/* Names by older records count where the old index says nothing, unless it is sound. */
static void take_names(struct salvager *s)
{
    struct name_change *change;
    size_t at = 0;
    while (!s->is_whole && (change = map_next(&s->before, &at)))
        if (!change->is_delete && !map_find(&s->store->image.catalogue, change->key))
            name_change(s->store, &s->store->image.catalogue, change->key, change->value, false);
    at = 0;
    while ((change = map_next(&s->store->image.catalogue, &at)))
        if (!change->is_delete)
            name_change(s->store, &s->store->image.changed_names, change->key, change->value,
                        false);
}

static void count_lost(struct salvager *s)
{
    for (size_t i = 0; i < s->hints_count; i++) {
        const struct hint *hint = &s->hints[i];
        uint64_t lost = 0;
        for (uint32_t word = 0; word < (hint->slots + 63) / 64; word++)
            lost += (uint64_t)__builtin_popcountll(hint->live[word] & ~hint->found[word]);
        bool is_dropped = idmap_find(&s->dropped, hint->queue);
        if (lost == 0 || is_dropped)
            continue;
        s->lost += lost;
        say(s, "lost: queue %" PRIu64 ": %" PRIu64 " messages with numbers from %" PRIu64 " to %"
            PRIu64, hint->queue, lost, hint->base, hint->base + hint->slots - 1);
    }
}

static void settle_queues(struct salvager *s)
{
    struct store *store = s->store;
    struct index *index;
    size_t at = 0;
    for (size_t i = 0; i < s->hints_count; i++) {
        index = idmap_find(&store->indexes, s->hints[i].queue);
        if (index)
            index->next_sequence =
                highest(index->next_sequence, s->hints[i].base + s->hints[i].slots);
    }
    while ((index = idmap_next(&store->indexes, &at))) {
        index->next_sequence += NUMBERS_LEFT_OUT;
        index->mark = index->mark_asked = index->taken_high = index->next_sequence;
        index->cursor = 1;
        index_changed(index);
        store_id_is_used(store, index->id);
    }
    store->id_last += NUMBERS_LEFT_OUT;
}

static void sum_up(const struct salvager *s)
{
    if (s->bad_places)
        say(s, "in all: %" PRIu64 " damaged places with %" PRIu64 " bytes", s->bad_places,
            s->bad_bytes);
    if (s->lost)
        say(s, "in all: %" PRIu64 " messages are known to be lost", s->lost);
    if (s->bad_places && !s->lost)
        say(s, "how many messages were in the damaged places is not known");
    if (s->unsure)
        say(s, "of up to %" PRIu64 " messages it is not known whether they had been settled: they may "
               "come again", s->unsure);
}

/* What cannot be read, since it is newer, is not damaged, and must not be lost. */
static bool is_known(struct salvager *s)
{
    if (s->is_newer)
        snprintf(s->error, s->error_size,
                 "the journal has records of a newer version; " NEXT_VERSION);
    else if (has_newer_names(s->store))
        snprintf(s->error, s->error_size, NEWER_NAMES);
    else
        return true;
    return false;
}

static void free_salvager(struct salvager *s)
{
    for (size_t i = 0; i < s->hints_count; i++) {
        mem_free(s->hints[i].live);
        mem_free(s->hints[i].found);
    }
    mem_free(s->hints);
    sift_free(&s->sift);
    idmap_free(&s->dropped);
    idmap_free(&s->groups);
    names_free(&s->before);
}

/* The next batch begins a new segment, and the first checkpoint comes after it. */
static void begin_anew(struct salvager *s)
{
    struct store *store = s->store;
    uint64_t batch = highest(1, highest(s->batch, s->position.batch));
    batch = highest(batch, store->journal.identity.batch);
    store->journal.position =
        (struct position){.batch = batch + 1, .segment = store->journal.segment_last};
    store->journal.written = store->journal.durable = store->journal.said = batch;
    store->journal.filling->number = batch + 1;
    store->image.is_changed = true;
    store->stats.damaged = s->lost;
}

struct store *store_salvage(const struct store_options *options, struct kv *old, uint64_t now_ms,
                            const struct salvage *salvage, char *error, size_t error_size)
{
    struct store *store = store_new(options, now_ms);
    struct salvager s = {.store = store,
                         .salvage = salvage,
                         .error = error,
                         .error_size = error_size,
                         .sift = {.files = &store->journal.files}};
    map_init(&s.before, 0);
    identity_read(options->disk, &store->journal.identity);
    bool ok = options->kv->ops->open(options->kv) >= 0;
    if (!ok)
        snprintf(error, error_size, "a new index cannot be made: %s", options->kv->error);
    ok = ok && segments_find(store, false, error, error_size);
    if (ok) {
        note_missing(&s);
        take_index(&s, old);
    }
    ok = ok && !s.is_other;
    if (ok) {
        take_segments(&s);
        take_names(&s);
        ok = is_known(&s);
    }
    if (ok) {
        count_lost(&s);
        settle_queues(&s);
        sum_up(&s);
        begin_anew(&s);
    }
    free_salvager(&s);
    if (ok)
        return store;
    store_abandon(store);
    return NULL;
}

int store_salvage_write(struct store *store)
{
    int error = store_give_identity(store);
    list_for_each(link, &store->journal.segments) {
        struct segment *segment = list_entry(link, struct segment, link);
        if (!error && segment->is_headless && segment->first_batch)
            error = segment_mend(store, segment);
        if (!error && segment_lost_header(store, segment)) {
            store->journal.identity.headed = 0; /* it was said, and is not missed any more */
            error = identity_write(store->options.disk, &store->journal.identity);
        }
        segment->is_headless = false;
    }
    return error;
}

void store_queues_each(struct store *store,
                       void (*each)(void *context, struct index *index), void *context)
{
    size_t at = 0;
    struct index *index;
    while ((index = idmap_next(&store->indexes, &at)))
        each(context, index);
}
