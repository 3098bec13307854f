/* The logs of groups. Of each entry is known where it lies, in blocks of BLOCK_ENTRIES, for as long as it is
 * in the log; the bytes of the newest ones are in memory, and those of others are read back, some at once.
 *
 * An entry in memory is a *bracket*. It gets its place when its batch is sealed, and is let go when it is
 * durable and those of all logs take more than group_cache_bytes. */
#include <assert.h>

#include "base/crc32c.h"
#include "base/mem.h"
#include "store/internal.h"

enum { BLOCK_ENTRIES = GROUP_BLOCK_ENTRIES, READ_WINDOW = 256 << 10 };

static struct log_block *block_of(const struct group_log *log, uint64_t index)
{
    uint64_t number = index / BLOCK_ENTRIES;
    assert(number >= log->blocks_first && number - log->blocks_first < log->blocks_count);
    return log->blocks[number - log->blocks_first];
}

static struct log_entry *entry_of(const struct group_log *log, uint64_t index)
{
    assert(index > log->floor && index <= log->last);
    return &block_of(log, index)->entries[index % BLOCK_ENTRIES];
}

/* The bracket of an entry that is in memory, or NULL. */
static struct bracket *bracket_of(const struct group_log *log, uint64_t index)
{
    uint64_t first = log->last + 1 - log->recent_count;
    if (index < first || index > log->last)
        return NULL;
    return log->recent[log->recent_at + (size_t)(index - first)];
}

static struct place entry_place_of(const struct group_log *log, uint64_t index)
{
    const struct log_entry *entry = entry_of(log, index);
    return (struct place){entry->segment, entry->offset, entry->size};
}

static void log_changed(struct group_log *log)
{
    log->is_changed = true;
    log->store->image.is_changed = true;
}

static void entry_is_changed(struct group_log *log, uint64_t index)
{
    block_of(log, index)->is_changed = true;
    log_changed(log);
}

/* ---- blocks ---- */

/* The next checkpoint does not have it. */
static void block_free(struct group_log *log, uint64_t number)
{
    struct log_block *block = log->blocks[number - log->blocks_first];
    if (block->is_named)
        group_name_dead(log->store, log->group, number);
    mem_free(block);
    log->blocks[number - log->blocks_first] = NULL;
}

static void blocks_free_below(struct group_log *log, uint64_t index)
{
    size_t count = 0;
    while (count < log->blocks_count && (log->blocks_first + count + 1) * BLOCK_ENTRIES <= index)
        block_free(log, log->blocks_first + count++);
    if (count == 0)
        return;
    log->blocks_count -= count;
    log->blocks_first += count;
    memmove(log->blocks, log->blocks + count, log->blocks_count * sizeof(*log->blocks));
}

static void blocks_free_from(struct group_log *log, uint64_t index)
{
    while (log->blocks_count && (log->blocks_first + log->blocks_count - 1) * BLOCK_ENTRIES >= index) {
        block_free(log, log->blocks_first + log->blocks_count - 1);
        log->blocks_count--;
    }
}

/* Room for the entry behind the last one. */
static struct log_entry *entry_add(struct group_log *log)
{
    uint64_t index = ++log->last, number = index / BLOCK_ENTRIES;
    if (log->blocks_count == 0)
        log->blocks_first = number;
    if (number - log->blocks_first == log->blocks_count) {
        log->blocks = mem_grow(log->blocks, &log->blocks_capacity, log->blocks_count + 1,
                               sizeof(struct log_block *));
        log->blocks[log->blocks_count++] = mem_zalloc(sizeof(struct log_block));
    }
    return entry_of(log, index);
}

/* ---- brackets ---- */

static void bracket_drop(struct group_log *log, struct bracket *bracket)
{
    log->store->groups.recent_bytes -= bracket->contents_size;
    list_remove(&bracket->recent_link);
    list_remove(&bracket->unplaced_link);
    bracket_unref(bracket);
}

/* The last one. */
static void bracket_pop(struct group_log *log)
{
    struct bracket *bracket = log->recent[log->recent_at + --log->recent_count];
    bracket->is_cut = true;
    bracket_drop(log, bracket);
}

static void bracket_push(struct group_log *log, struct bracket *bracket)
{
    struct groups *groups = &log->store->groups;
    if (log->recent_at && log->recent_at + log->recent_count == log->recent_capacity) {
        memmove(log->recent, log->recent + log->recent_at,
                log->recent_count * sizeof(struct bracket *));
        log->recent_at = 0;
    }
    log->recent = mem_grow(log->recent, &log->recent_capacity,
                           log->recent_at + log->recent_count + 1, sizeof(struct bracket *));
    log->recent[log->recent_at + log->recent_count++] = bracket;
    list_push_back(&groups->recent, &bracket->recent_link);
    list_push_back(&groups->unplaced, &bracket->unplaced_link);
    groups->recent_bytes += bracket->contents_size;
}

/* Takes down where entries lie that got their place. Batches are sealed one after the other. */
static void note_places(struct store *store)
{
    struct list *link;
    while ((link = list_first(&store->groups.unplaced))) {
        struct bracket *bracket = list_entry(link, struct bracket, unplaced_link);
        struct group_log *log = group_log_find(store, bracket->group);
        if (bracket->place.segment == 0)
            break;
        struct log_entry *entry = entry_of(log, bracket->head.index);
        entry->segment = bracket->place.segment;
        entry->offset = bracket->place.offset;
        list_remove(link);
        entry_is_changed(log, bracket->head.index);
    }
}

void groups_tick(struct store *store)
{
    struct list *link;
    note_places(store);
    while (store->groups.recent_bytes > store->options.group_cache_bytes &&
           (link = list_first(&store->groups.recent))) {
        struct bracket *bracket = list_entry(link, struct bracket, recent_link);
        struct group_log *log = group_log_find(store, bracket->group);
        /* A large one is not read back only to be applied. */
        if (bracket->head.index > group_log_durable(log) || (bracket->shared && bracket->head.index > log->applied))
            break;
        assert(log->recent[log->recent_at] == bracket);
        log->recent_at++;
        log->recent_count--;
        bracket_drop(log, bracket);
    }
}

/* ---- cutting, from either end ---- */

static void fetched_forget(struct group_log *log)
{
    log->fetched_count = 0;
    log->fetched.size = 0;
    shared_unref(log->fetched_large);
    log->fetched_large = NULL;
}

static void cut(struct group_log *log, uint64_t from)
{
    if (from > log->last)
        return;
    assert(from > log->floor);
    note_places(log->store);
    fetched_forget(log);
    log->cuts++;
    while (log->last >= from) {
        struct place place = entry_place_of(log, log->last);
        if (place.segment && !planted(PLANTED_GROUP_CUT_HOLDS))
            segment_release_entry(&log->store->journal, place);
        log->size -= place.size;
        if (log->recent_count)
            bracket_pop(log);
        log->last--;
    }
    if (log->durable > log->last && !planted(PLANTED_GROUP_CUT_DURABLE))
        log->durable = log->last;
    blocks_free_from(log, log->last + 1);
    if (log->blocks_count && !planted(PLANTED_GROUP_BLOCK_STALE))
        log->blocks[log->blocks_count - 1]->is_changed = true;
    log_changed(log);
}

void group_log_cut(struct group_log *log, uint64_t from)
{
    cut(log, from);
}

/* Entries up to `index` go, all of which are durable. */
static void forget_below(struct group_log *log, uint64_t index)
{
    note_places(log->store);
    fetched_forget(log);
    for (uint64_t at = log->floor + 1; at <= index; at++) {
        struct place place = entry_place_of(log, at);
        struct bracket *bracket = bracket_of(log, at);
        if (place.segment)
            segment_release_entry(&log->store->journal, place);
        log->size -= place.size;
        if (bracket) {
            log->recent_at++;
            log->recent_count--;
            bracket_drop(log, bracket);
        }
    }
}

static void note_set(struct group_log *log, struct bytes note)
{
    assert(note.size <= GROUP_NOTE_MAX);
    log->note.size = 0;
    buffer_add(&log->note, note.data, note.size);
}

bool group_log_raise(struct group_log *log, uint64_t index, struct bytes note)
{
    assert(index <= log->applied);
    if (index <= log->floor || group_log_durable(log) < index)
        return false;
    uint64_t term = group_log_term(log, index);
    uint32_t chain = group_log_chain(log, index);
    forget_below(log, index);
    log->floor = index;
    log->floor_term = term;
    log->floor_chain = chain;
    note_set(log, note);
    blocks_free_below(log, index + 1);
    log_changed(log);
    return true;
}

/* ---- coming and going ---- */

struct group_log *group_log_find(struct store *store, uint64_t group)
{
    return idmap_find(&store->groups.by_number, group);
}

struct group_log *group_log_next(struct store *store, uint64_t *at)
{
    return idmap_next(&store->groups.by_number, at);
}

uint64_t group_log_group(const struct group_log *log)
{
    return log->group;
}

static struct group_log *group_log_new(struct store *store, uint64_t group)
{
    struct group_log *log = mem_zalloc(sizeof(*log));
    log->store = store;
    log->group = group;
    log->wait = LOG_JOURNAL + 1;
    proposal_init(&log->proposal);
    idmap_add(&store->groups.by_number, group, log);
    return log;
}

/* All entries go; the state is that of the floor. */
static void begin_at(struct group_log *log, const struct log_floor *floor)
{
    cut(log, log->floor + 1);
    blocks_free_from(log, 0);
    log->floor = log->last = log->durable = floor->index;
    log->floor_term = floor->term;
    log->floor_chain = floor->chain;
    log->applied = floor->index;
    log->commit = floor->index;
    note_set(log, floor->note);
    log_changed(log);
}

struct group_log *group_log_begin(struct store *store, uint64_t group, const struct log_floor *floor)
{
    struct group_log *log = group_log_find(store, group);
    struct buffer payload = {0};
    assert(group != 0);
    if (!log)
        log = group_log_new(store, group);
    begin_at(log, floor);
    buffer_add_u64(&payload, group);
    buffer_add_u64(&payload, floor->index);
    buffer_add_u64(&payload, floor->term);
    buffer_add_u32(&payload, floor->chain);
    buffer_add(&payload, floor->note.data, floor->note.size);
    batch_add(&store->journal, RECORD_FLOOR, buffer_bytes(&payload));
    buffer_free(&payload);
    return log;
}

static void group_log_free(struct group_log *log)
{
    while (log->recent_count)
        bracket_pop(log);
    for (size_t i = 0; i < log->blocks_count; i++)
        mem_free(log->blocks[i]);
    idmap_remove(&log->store->groups.by_number, log->group);
    if (log->reading)
        log->reading->log = NULL;
    proposal_free(log->store->options.pool, &log->proposal);
    fetched_forget(log);
    buffer_free(&log->note);
    buffer_free(&log->fetched);
    mem_free(log->fetched_at);
    mem_free(log->blocks);
    mem_free(log->recent);
    mem_free(log);
}

/* Without a record of it. */
static void leave(struct group_log *log)
{
    cut(log, log->floor + 1);
    blocks_free_from(log, 0);
    group_name_dead(log->store, log->group, GROUP_ITSELF);
    log->store->image.is_changed = true;
    group_log_free(log);
}

static void record_numbers(struct store *store, enum record_type type, const uint64_t *numbers,
                           size_t count)
{
    struct buffer payload = {0};
    for (size_t i = 0; i < count; i++)
        buffer_add_u64(&payload, numbers[i]);
    batch_add(&store->journal, type, buffer_bytes(&payload));
    buffer_free(&payload);
}

void group_log_leave(struct group_log *log)
{
    struct store *store = log->store;
    uint64_t group = log->group;
    leave(log);
    record_numbers(store, RECORD_LEAVE, &group, 1);
}

/* ---- what is said ---- */

void group_log_vote(struct group_log *log, uint64_t term, uint64_t vote)
{
    uint64_t numbers[] = {log->group, term, vote};
    log->vote_term = term;
    log->vote = vote;
    log_changed(log);
    record_numbers(log->store, RECORD_VOTE, numbers, 3);
}

void group_log_committed(struct group_log *log, uint64_t index)
{
    uint64_t numbers[] = {log->group, index};
    assert(index <= log->last);
    if (index <= log->commit)
        return;
    log->commit = index;
    log_changed(log);
    record_numbers(log->store, RECORD_COMMIT, numbers, 2);
}

void group_log_applied(struct group_log *log, uint64_t index)
{
    assert(index >= log->applied && index <= log->last);
    log->applied = index;
    log_changed(log);
}

static uint64_t bytes_with(struct bytes contents, uint32_t records)
{
    return RECORD_HEADER + ENTRY_PAYLOAD_SIZE + contents.size +
           (uint64_t)records * (RECORD_HEADER - CONTENT_HEADER);
}

uint64_t group_log_bytes(struct bytes contents)
{
    return bytes_with(contents, contents_count(contents));
}

static struct bracket *bracket_new(const struct group_log *log, const struct log_head *head,
                                   const struct log_contents *contents)
{
    bool is_shared = contents->shared && contents->bytes.size >= log->store->options.group_shared_bytes;
    size_t own = is_shared ? 0 : contents->bytes.size;
    struct bracket *bracket = mem_alloc(sizeof(*bracket) + own);
    *bracket = (struct bracket){.refs = 1,
                                .group = log->group,
                                .head = *head,
                                .shared = is_shared ? shared_ref(contents->shared) : NULL,
                                .contents = is_shared ? contents->bytes.data : bracket->own,
                                .contents_size = (uint32_t)contents->bytes.size};
    list_init(&bracket->recent_link);
    list_init(&bracket->unplaced_link);
    if (own)
        memcpy(bracket->own, contents->bytes.data, own);
    return bracket;
}

uint32_t group_log_chain_of(uint32_t before, const struct log_head *head, uint32_t checksum)
{
    return log_chain(before, head, checksum);
}

struct log_contents log_contents_of(struct bytes bytes)
{
    return (struct log_contents){.bytes = bytes, .checksum = crc32c(0, bytes.data, bytes.size)};
}

uint32_t group_log_append(struct group_log *log, const struct log_head *head, struct bytes contents)
{
    struct log_contents copied = log_contents_of(contents);
    return group_log_add(log, head, &copied);
}

uint32_t group_log_add(struct group_log *log, const struct log_head *head, const struct log_contents *contents)
{
    struct entry_payload payload = {.group = log->group, .head = *head, .checksum = contents->checksum};
    assert(head->index > log->applied && head->index <= log->last + 1);
    cut(log, head->index);
    payload.records = contents_count(contents->bytes);
    payload.chain = log_chain(group_log_chain(log, log->last), head, payload.checksum);
    struct bracket *bracket = bracket_new(log, head, contents);
    bracket->place.size = (uint32_t)bytes_with(contents->bytes, payload.records);
    payload.size = bracket->place.size - RECORD_HEADER - ENTRY_PAYLOAD_SIZE;
    *entry_add(log) = (struct log_entry){.term = head->term,
                                         .size = bracket->place.size,
                                         .chain = payload.chain,
                                         .kind = head->kind};
    log->size += bracket->place.size;
    bracket_push(log, bracket);
    batch_add_entry(&log->store->journal, bracket, &payload);
    return payload.chain;
}

/* ---- what there is ---- */

struct log_floor group_log_floor(const struct group_log *log)
{
    return (struct log_floor){log->floor, log->floor_term, log->floor_chain,
                              buffer_bytes(&log->note)};
}

uint64_t group_log_last(const struct group_log *log)
{
    return log->last;
}

uint64_t group_log_term(const struct group_log *log, uint64_t index)
{
    if (index == log->floor)
        return log->floor_term;
    return index > log->floor && index <= log->last ? entry_of(log, index)->term : 0;
}

uint32_t group_log_chain(const struct group_log *log, uint64_t index)
{
    if (index == log->floor)
        return log->floor_chain;
    return index > log->floor && index <= log->last ? entry_of(log, index)->chain : 0;
}

uint8_t group_log_kind(const struct group_log *log, uint64_t index)
{
    return index > log->floor && index <= log->last ? entry_of(log, index)->kind : 0;
}

uint64_t group_log_vote_term(const struct group_log *log, uint64_t *vote)
{
    *vote = log->vote;
    return log->vote_term;
}

uint64_t group_log_commit(const struct group_log *log)
{
    return log->commit;
}

uint64_t group_log_kept(const struct group_log *log)
{
    return log->applied;
}

uint64_t group_log_durable(struct group_log *log)
{
    const struct bracket *next;
    uint64_t durable = log->store->journal.durable;
    while ((next = bracket_of(log, log->durable + 1)) && next->batch <= durable)
        log->durable++;
    return log->durable;
}

uint64_t group_log_size(const struct group_log *log)
{
    return log->size;
}

/* ---- reading back ---- */

/* A large entry of one record is checked here, and becomes contents where it lies: the header of a record has room for
 * that of contents. */
static void look_at_large(struct log_read_job *job)
{
    struct record record;
    uint32_t at = RECORD_HEADER + ENTRY_PAYLOAD_SIZE, offset = (uint32_t)job->offset;
    struct bytes all = bytes_of(job->data, job->size);
    if (record_read(all, job->segment->number, offset, &record) != RECORD_OK || record.type != RECORD_ENTRY ||
        !entry_payload_read(record.payload, &job->payload) || job->payload.records != 1 ||
        record_read(bytes_of(job->data + at, job->size - at), job->segment->number, offset + at, &record) !=
            RECORD_OK ||
        !content_may_have(record.type) || record.place.size != job->size - at)
        return;
    struct buffer header = {0};
    size_t begun = contents_begin(&header, record.type);
    contents_end_before(&header, begun, record.payload.size);
    uint8_t *contents = job->data + at + RECORD_HEADER - CONTENT_HEADER;
    memcpy(contents, header.data, CONTENT_HEADER);
    buffer_free(&header);
    job->contents = bytes_of(contents, CONTENT_HEADER + record.payload.size);
    job->is_alone = crc32c(0, job->contents.data, job->contents.size) == job->payload.checksum;
}

static void run_read(struct job *link)
{
    struct log_read_job *job = (struct log_read_job *)link;
    job->error = files_read(&job->store->journal.files, job->segment->number, job->data, job->size,
                            job->offset, &job->got);
    if (!job->error && job->got == job->size && job->is_large)
        look_at_large(job);
}

/* Where the record of a fetched entry lies in the bytes that were read; NULL: not there as a whole. */
static const uint8_t *read_bytes(const struct log_read_job *job, struct place place)
{
    if (place.segment != job->segment->number || place.offset < job->offset ||
        place.offset + place.size > job->offset + job->got)
        return NULL;
    return job->data + (place.offset - job->offset);
}

/* There may be none. */
static struct bytes fetched_bytes(const struct group_log *log, size_t from, size_t size)
{
    return size ? bytes_of(log->fetched.data + from, size) : bytes_of(NULL, 0);
}

static void fetched_add(struct group_log *log, const struct log_head *head, size_t from, size_t size)
{
    log->fetched_at = mem_grow(log->fetched_at, &log->fetched_capacity, log->fetched_count + 1,
                               sizeof(*log->fetched_at));
    log->fetched_at[log->fetched_count++] = (struct fetched){*head, from, size};
}

/* Takes the entry at `index` out of its bytes, as contents. False: they are not what they were. */
static bool fetch(struct group_log *log, uint64_t index, const uint8_t *bytes, struct place place)
{
    struct record record;
    struct entry_payload payload;
    size_t from = log->fetched.size;
    uint32_t at = RECORD_HEADER + ENTRY_PAYLOAD_SIZE;
    bool ok = record_read(bytes_of(bytes, place.size), place.segment, place.offset, &record) == RECORD_OK &&
              record.type == RECORD_ENTRY && entry_payload_read(record.payload, &payload) &&
              payload.group == log->group && payload.head.index == index &&
              payload.chain == group_log_chain(log, index) && payload.size == place.size - at;
    for (uint32_t i = 0; ok && i < payload.records; i++) {
        ok = record_read(bytes_of(bytes + at, place.size - at), place.segment, place.offset + at,
                         &record) == RECORD_OK &&
             content_may_have(record.type);
        if (ok)
            content_add(&log->fetched, record.type, record.payload);
        at += ok ? record.place.size : 0;
    }
    struct bytes contents = fetched_bytes(log, from, log->fetched.size - from);
    ok = ok && at == place.size && crc32c(0, contents.data, contents.size) == payload.checksum;
    if (!ok) {
        log->fetched.size = from;
        return false;
    }
    fetched_add(log, &payload.head, from, contents.size);
    return true;
}

/* False: it is not the entry that was asked for. */
static bool take_large(struct group_log *log, struct log_read_job *job)
{
    const struct entry_payload *payload = &job->payload;
    if (payload->group != log->group || payload->head.index != job->index ||
        payload->chain != group_log_chain(log, job->index) || job->size != entry_place_of(log, job->index).size)
        return false;
    log->fetched_large = shared_new();
    log->fetched_large->bytes = (struct buffer){job->data, job->size, job->size};
    fetched_add(log, &payload->head, (size_t)(job->contents.data - job->data), job->contents.size);
    job->data = NULL;
    return true;
}

/* The entry that was asked for, and those behind it that were read with it. */
static void take_read(struct group_log *log, struct log_read_job *job)
{
    const uint8_t *bytes;
    fetched_forget(log);
    log->fetched_first = job->index;
    if (job->cuts != log->cuts || job->index <= log->floor)
        return;
    log->is_unreadable = !job->is_alone || !take_large(log, job);
    if (job->is_alone)
        return;
    for (uint64_t index = job->index; index <= log->last; index++) {
        struct place place = entry_place_of(log, index);
        bytes = job->error ? NULL : read_bytes(job, place);
        if (!bytes || !fetch(log, index, bytes, place))
            break;
        log->is_unreadable = false;
    }
}

static void read_job_free(struct log_read_job *job)
{
    if (job->log)
        job->log->reading = NULL;
    mem_free(job->data);
    mem_free(job);
}

static void read_done(struct job *link)
{
    struct log_read_job *job = (struct log_read_job *)link;
    if (job->log)
        take_read(job->log, job);
    segment_unread(&job->store->journal, job->segment);
    read_job_free(job);
}

static void read_abandon(struct job *link)
{
    read_job_free((struct log_read_job *)link);
}

static void read_from(struct group_log *log, uint64_t index)
{
    struct place place = entry_place_of(log, index);
    struct segment *segment = segment_find(&log->store->journal, place.segment);
    struct log_read_job *job = mem_zalloc(sizeof(*job));
    uint64_t left = segment->size > place.offset ? segment->size - place.offset : 0;
    job->is_large = place.size > READ_WINDOW;
    job->size = job->is_large || left < place.size ? place.size
                : left < READ_WINDOW               ? left
                                                   : READ_WINDOW;
    job->data = mem_alloc(job->size);
    job->job.run = run_read;
    job->job.done = read_done;
    job->job.abandon = read_abandon;
    job->store = log->store;
    job->log = log;
    job->segment = segment;
    job->offset = place.offset;
    job->index = index;
    job->cuts = log->cuts;
    segment->readers++;
    log->reading = job;
    log->store->options.reader->ops->submit(log->store->options.reader, &job->job);
}

enum log_result group_log_read(struct group_log *log, uint64_t index, struct log_head *head,
                               struct bytes *contents)
{
    if (index <= log->floor || index > log->last)
        return LOG_NONE;
    const struct bracket *bracket = bracket_of(log, index);
    if (bracket) {
        *head = bracket->head;
        *contents = bytes_of(bracket->contents, bracket->contents_size);
        return LOG_OK;
    }
    if (log->fetched_count && index - log->fetched_first < log->fetched_count) {
        const struct fetched *fetched = &log->fetched_at[index - log->fetched_first];
        *head = fetched->head;
        *contents = log->fetched_large ? bytes_of(log->fetched_large->bytes.data + fetched->from, fetched->size)
                                       : fetched_bytes(log, fetched->from, fetched->size);
        return LOG_OK;
    }
    if (log->reading)
        return LOG_WAIT;
    if (log->is_unreadable && log->fetched_first == index) {
        log->is_unreadable = false; /* who asks again has it read again */
        return LOG_DAMAGED;
    }
    read_from(log, index);
    return LOG_WAIT;
}

struct shared *group_log_shared(const struct group_log *log, uint64_t index)
{
    const struct bracket *bracket = bracket_of(log, index);
    if (bracket)
        return bracket->shared;
    return log->fetched_count && index == log->fetched_first ? log->fetched_large : NULL;
}

/* ---- applying ---- */

/* Can it be read back from where it lies? */
static bool is_written(const struct group_log *log, uint64_t index)
{
    const struct bracket *bracket = bracket_of(log, index);
    return entry_of(log, index)->segment && (!bracket || bracket->batch <= log->store->journal.written);
}

enum log_result group_log_apply(struct group_log *log, const char **wrong)
{
    uint64_t index = log->applied + 1;
    struct log_head head;
    struct bytes contents, payload;
    enum record_type type;
    *wrong = NULL;
    if (index > (planted(PLANTED_GROUP_UNAGREED) ? log->last : log->commit))
        return LOG_NONE;
    if (!is_written(log, index))
        return LOG_WAIT;
    enum log_result result = group_log_read(log, index, &head, &contents);
    if (result != LOG_OK) {
        *wrong = result == LOG_DAMAGED ? "its bytes are not what they were" : NULL;
        return result;
    }
    struct place place = entry_place_of(log, index);
    place.offset += RECORD_HEADER + ENTRY_PAYLOAD_SIZE;
    struct cursor cursor = cursor_of(contents);
    while (!*wrong && content_next(&cursor, &type, &payload)) {
        place.size = (uint32_t)(RECORD_HEADER + payload.size);
        struct record record = {.type = type, .payload = payload, .place = place};
        *wrong = apply_record(log->store, &record, true);
        place.offset += place.size;
    }
    if (*wrong)
        return LOG_DAMAGED;
    log->applied = index;
    log_changed(log);
    return LOG_OK;
}

const struct log_entry *group_log_entry(const struct group_log *log, uint64_t index)
{
    return entry_of(log, index);
}

bool group_log_is_sound(struct group_log *log, uint64_t index)
{
    struct place place = entry_place_of(log, index);
    uint8_t *bytes = mem_alloc(place.size);
    uint64_t got = 0;
    fetched_forget(log);
    bool ok = files_read(&log->store->journal.files, place.segment, bytes, place.size, place.offset,
                         &got) == 0 &&
              got == place.size && fetch(log, index, bytes, place);
    fetched_forget(log);
    mem_free(bytes);
    return ok;
}

/* ---- at a start ---- */

static const char *replay_entry(struct store *store, const struct record *record, struct bytes rest,
                                uint32_t *records, uint32_t *size)
{
    struct entry_payload payload;
    if (!entry_payload_read(record->payload, &payload))
        return "a malformed entry of a group";
    struct group_log *log = group_log_find(store, payload.group);
    if (!log)
        return "an entry of an unknown group";
    if (payload.head.index <= log->floor || payload.head.index > log->last + 1)
        return "an entry of a group out of order";
    struct place place = record->place;
    uint32_t at = 0;
    for (uint32_t i = 0; i < payload.records; i++) {
        struct record content;
        struct bytes bytes = bytes_of(rest.data + at, rest.size - at);
        if (record_read(bytes, place.segment, place.offset + place.size + at, &content) !=
                RECORD_OK ||
            !content_may_have(content.type))
            return "an entry of a group without its contents";
        at += content.place.size;
    }
    if (at != payload.size)
        return "an entry of a group with other contents";
    if (!planted(PLANTED_GROUP_REST_STAYS) || payload.head.index == log->last + 1)
        cut(log, payload.head.index);
    if (payload.chain != log_chain(group_log_chain(log, log->last), &payload.head, payload.checksum))
        return "an entry that does not follow the one before";
    place.size += payload.size;
    *entry_add(log) = (struct log_entry){.term = payload.head.term,
                                         .segment = place.segment,
                                         .offset = place.offset,
                                         .size = place.size,
                                         .chain = payload.chain,
                                         .kind = payload.head.kind};
    segment_hold_entry(&store->journal, place);
    log->size += place.size;
    log->durable = log->last;
    entry_is_changed(log, log->last);
    *records = payload.records;
    *size = payload.size;
    return NULL;
}

static const char *replay_floor(struct store *store, struct bytes payload)
{
    struct cursor cursor = cursor_of(payload);
    uint64_t group = cursor_u64(&cursor);
    struct log_floor floor = {0};
    floor.index = cursor_u64(&cursor);
    floor.term = cursor_u64(&cursor);
    floor.chain = cursor_u32(&cursor);
    floor.note = cursor_bytes(&cursor, cursor_left(&cursor));
    if (cursor.bad || group == 0 || floor.index > STORE_SEQUENCE_MAX ||
        floor.note.size > GROUP_NOTE_MAX)
        return "a malformed floor of a group";
    struct group_log *log = group_log_find(store, group);
    begin_at(log ? log : group_log_new(store, group), &floor);
    return NULL;
}

static const char *replay_numbers(struct store *store, const struct record *record)
{
    struct cursor cursor = cursor_of(record->payload);
    struct group_log *log = group_log_find(store, cursor_u64(&cursor));
    uint64_t first = record->type == RECORD_LEAVE ? 0 : cursor_u64(&cursor);
    uint64_t second = record->type == RECORD_VOTE ? cursor_u64(&cursor) : 0;
    if (cursor.bad || cursor_left(&cursor))
        return "a malformed record of a group";
    if (!log)
        return "a record of an unknown group";
    if (record->type == RECORD_LEAVE) {
        leave(log);
    } else if (record->type == RECORD_VOTE) {
        log->vote_term = first;
        log->vote = second;
        log_changed(log);
    } else {
        if (first > log->last)
            return "a group with more that is committed than it has";
        log->commit = first > log->commit ? first : log->commit;
        log_changed(log);
    }
    return NULL;
}

const char *group_replay(struct store *store, const struct record *record, struct bytes rest,
                         uint32_t *records, uint32_t *size)
{
    *records = *size = 0;
    if (record->type == RECORD_ENTRY)
        return replay_entry(store, record, rest, records, size);
    if (record->type == RECORD_NOTE)
        return "what an entry of a group says, without the entry";
    if (record->type == RECORD_FLOOR)
        return replay_floor(store, record->payload);
    return replay_numbers(store, record);
}

/* ---- in an image ---- */

void group_name_dead(struct store *store, uint64_t group, uint64_t number)
{
    struct groups *groups = &store->groups;
    groups->dead =
        mem_grow(groups->dead, &groups->dead_capacity, groups->dead_count + 1, sizeof(*groups->dead));
    groups->dead[groups->dead_count++] = (struct dead_group_name){group, number};
}

void group_encode(struct group_log *log, struct buffer *value)
{
    bool has_vote = !planted(PLANTED_GROUP_VOTE_LEFT_OUT);
    buffer_add_u64(value, has_vote ? log->vote_term : 0);
    buffer_add_u64(value, has_vote ? log->vote : 0);
    buffer_add_u64(value, log->commit);
    buffer_add_u64(value, log->applied);
    buffer_add_u64(value, log->floor);
    buffer_add_u64(value, planted(PLANTED_GROUP_FLOOR_LEFT_OUT) ? 0 : log->floor_term);
    buffer_add_u32(value, log->floor_chain);
    buffer_add(value, log->note.data, log->note.size);
    log->is_changed = false;
}

bool group_decode(struct store *store, uint64_t group, struct bytes value)
{
    struct cursor cursor = cursor_of(value);
    struct group_log *log = group_log_new(store, group);
    log->vote_term = cursor_u64(&cursor);
    log->vote = cursor_u64(&cursor);
    log->commit = cursor_u64(&cursor);
    log->applied = cursor_u64(&cursor);
    log->floor = log->last = log->durable = cursor_u64(&cursor);
    log->floor_term = cursor_u64(&cursor);
    log->floor_chain = cursor_u32(&cursor);
    struct bytes note = cursor_bytes(&cursor, cursor_left(&cursor));
    if (cursor.bad || note.size > GROUP_NOTE_MAX || log->floor > STORE_SEQUENCE_MAX ||
        log->applied < log->floor)
        return false;
    note_set(log, note);
    return true;
}

/* The entries of a block that are in the log: from *first on. */
static uint32_t block_range(const struct group_log *log, uint64_t number, uint64_t *first)
{
    uint64_t begin = number * BLOCK_ENTRIES, end = begin + BLOCK_ENTRIES;
    begin = begin > log->floor ? begin : log->floor + 1;
    end = end <= log->last ? end : log->last + 1;
    *first = begin;
    return end > begin ? (uint32_t)(end - begin) : 0;
}

bool group_block_encode(struct group_log *log, uint64_t number, struct buffer *value)
{
    struct log_block *block = log->blocks[number - log->blocks_first];
    uint64_t first;
    uint32_t count = block_range(log, number, &first);
    block->is_changed = false;
    block->is_named = count > 0;
    buffer_add_u64(value, first);
    for (uint32_t i = 0; i < count; i++) {
        const struct log_entry *entry = entry_of(log, first + i);
        assert(entry->segment);
        buffer_add_u64(value, entry->term);
        buffer_add_u32(value, entry->segment);
        buffer_add_u32(value, entry->offset);
        buffer_add_u32(value, entry->size);
        buffer_add_u32(value, entry->chain);
        buffer_add_u8(value, entry->kind);
    }
    return count > 0;
}

bool group_block_decode(struct store *store, uint64_t group, struct bytes value)
{
    struct cursor cursor = cursor_of(value);
    struct group_log *log = group_log_find(store, group);
    uint64_t index = cursor_u64(&cursor);
    if (cursor.bad || !log || index > log->last + 1)
        return false;
    for (; cursor_left(&cursor); index++) {
        struct log_entry entry = {0};
        entry.term = cursor_u64(&cursor);
        entry.segment = cursor_u32(&cursor);
        entry.offset = cursor_u32(&cursor);
        entry.size = cursor_u32(&cursor);
        entry.chain = cursor_u32(&cursor);
        entry.kind = cursor_u8(&cursor);
        if (index <= log->floor) /* it was raised since */
            continue;
        struct segment *segment = segment_find(&store->journal, entry.segment);
        if (cursor.bad || !segment || index != log->last + 1)
            return false;
        *entry_add(log) = entry;
        segment->log_entries++;
        log->size += entry.size;
        block_of(log, index)->is_named = true;
    }
    log->durable = log->last;
    return true;
}

void groups_init(struct groups *groups)
{
    idmap_init(&groups->by_number);
    list_init(&groups->recent);
    list_init(&groups->unplaced);
    list_init(&groups->addressed);
}

void groups_free(struct store *store)
{
    uint64_t at = 0;
    struct group_log *log;
    while ((log = group_log_next(store, &at))) {
        group_log_free(log);
        at = 0;
    }
    idmap_free(&store->groups.by_number);
    mem_free(store->groups.dead);
}
