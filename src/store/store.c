#include "store/store.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>

#include "base/mem.h"
#include "base/timer.h"
#include "store/internal.h"

enum { STREAM_BYTES = 1 << 20, SWEEP_MS = 50, SPARE_CHECK_MS = 1500 };

void store_options_default(struct store_options *options)
{
    *options = (struct store_options){
        .segment_bytes = 64u << 20,
        .chunk_entries = 2048,
        .release_slots = 16384,
        .draft_steps = 512,
        .cache_bytes = 4u << 20,
        .bodies_burst_bytes = 256u << 20,
        .bodies_idle_bytes = 1u << 20,
        .checkpoint_bytes = 256u << 20,
        .checkpoint_ms = 30000,
        .batch_bytes = 16u << 20,
        .batch_max_bytes = 1u << 30,
        .batch_large_bytes = 4u << 20,
        .sync_ms = 100,
        .recycle_segments = 4,
        .mark_step = 16384,
        .group_cache_bytes = 4u << 20,
        .group_shared_bytes = 256u << 10,
        .group_slice_bytes = 4u << 20,
        .disk_reserve_bytes = STORE_DISK_RESERVE,
    };
}

struct destination *store_scratch(struct store *store, size_t count)
{
    if (count > store->scratch_capacity) {
        store->scratch_capacity = count * 2;
        store->scratch =
            mem_realloc(store->scratch, store->scratch_capacity * sizeof(*store->scratch));
    }
    return store->scratch;
}

/* ---- the turn ---- */

void store_take_finished(struct store *store)
{
    struct worker *workers[] = {store->options.syncer, store->options.indexer,
                                store->options.reader};
    for (size_t i = 0; i < sizeof(workers) / sizeof(workers[0]); i++) {
        struct job *job;
        while ((job = workers[i]->ops->finished(workers[i])))
            job->done(job);
    }
    checkpoint_previous(store);
}

static void wake_marked(struct store *store)
{
    if (store->marked == store->journal.durable)
        return;
    store->marked = store->journal.durable;
    list_for_each_safe(link, after, &store->mark_waiters) {
        struct index *index = list_entry(link, struct index, wait_link);
        if (index->mark_batch <= store->journal.durable)
            index_wake(index);
    }
}

static bool is_time_to_write(const struct store *store)
{
    const struct batch *batch = store->journal.filling;
    if (store->journal.is_held || (store->groups.keeps_filling && !store->journal.is_closing))
        return false;
    uint32_t enough = store->options.batch_bytes / 2 < STREAM_BYTES ? store->options.batch_bytes / 2
                                                                    : STREAM_BYTES;
    return store->journal.wanted >= batch->number || batch->size >= enough ||
           store->now_ms - batch->since_ms >= store->options.sync_ms || checkpoint_is_due(store);
}

static bool is_time_to_sync(const struct store *store)
{
    return store->journal.wanted > store->journal.durable ||
           (store->journal.written > store->journal.durable &&
            store->now_ms - store->journal.unsynced_ms >= store->options.sync_ms);
}

/* While it is on, a large batch is not spread over turns: a checkpoint was missed once for such a
 * one. */
static void note_overdue(struct store *store)
{
    store->journal.is_overdue = store->image.is_missed && checkpoint_is_due(store);
}

static void write_tick(struct store *store)
{
    if (store->journal.is_failed)
        return;
    note_overdue(store);
    if (store->journal.is_writing) {
        if (store->journal.write.is_placing)
            journal_place(&store->journal);
        else if (store->journal.retry_ms && store->now_ms >= store->journal.retry_ms)
            journal_retry(&store->journal);
        return;
    }
    const struct batch *batch = store->journal.filling;
    if (!batch_is_empty(batch) && is_time_to_write(store)) {
        bool aged = store->now_ms - batch->since_ms >= store->options.sync_ms;
        journal_write(&store->journal, aged || is_time_to_sync(store));
        /* Behind the next one it cannot be missed again. */
        store->image.is_missed |= store->journal.write.is_placing && checkpoint_is_due(store);
    } else if (store->journal.written > store->journal.durable && is_time_to_sync(store)) {
        journal_sync(&store->journal);
    } else if (store->now_ms >= journal_mark_ms(&store->journal)) {
        journal_mark(&store->journal);
    }
}

void store_collect(struct store *store, uint64_t now_ms)
{
    store->now_ms = store->journal.now_ms = now_ms;
    store->journal.space.has_new_room = false;
    steps_next(store->options.steps, "collect");
    store_take_finished(store);
    wake_marked(store);
}

bool store_may_seal(const struct store *store)
{
    return !store->journal.is_writing;
}

void store_keep_filling(struct store *store, bool is_kept)
{
    store->groups.keeps_filling = is_kept;
}

void store_write(struct store *store)
{
    struct steps *steps = store->options.steps;
    steps_next(steps, "read");
    reads_retry(store);
    steps_next(steps, "release");
    release_tick(store);
    steps_next(steps, "spill");
    spill_tick(store);
    mend_tick(store);
    read_spare_free(store);
    note_overdue(store);
    backup_tick(store);
    journal_tick(&store->journal);
    steps_next(steps, "compact");
    compact_tick(store);
    steps_next(steps, "draft");
    checkpoint_draft(store);
    steps_next(steps, "write");
    write_tick(store);
    groups_tick(store);
    steps_next(steps, "checkpoint");
    if (checkpoint_is_due(store) && batch_is_empty(store->journal.filling) &&
        !store->journal.write.is_placing)
        checkpoint_begin(store);
    checkpoint_tick(store);
    space_tick(&store->journal);
    memory_tick(store);
}

void store_tick(struct store *store, uint64_t now_ms)
{
    store_collect(store, now_ms);
    store_write(store);
}

static uint64_t next_of_outages(const struct store *store)
{
    const struct outage *outages[] = {&store->journal.full,           &store->journal.unopened,
                                      &store->journal.space.refusals, &store->memory.index_writes,
                                      &store->memory.index_reads,     &store->image.writes};
    uint64_t next = UINT64_MAX;
    for (size_t i = 0; i < sizeof(outages) / sizeof(outages[0]); i++)
        next = earlier(next, outage_next_ms(outages[i], store->now_ms));
    return next;
}

uint64_t store_next_ms(const struct store *store)
{
    uint64_t next = UINT64_MAX;
    if (store->journal.is_failed)
        return next;
    if (!store->journal.is_writing && !store->journal.is_held &&
        !batch_is_empty(store->journal.filling))
        next = is_time_to_write(store) ? store->now_ms
                                       : store->journal.filling->since_ms + store->options.sync_ms;
    if (!store->journal.is_writing && store->journal.written > store->journal.durable)
        next = earlier(next, is_time_to_sync(store)
                                 ? store->now_ms
                                 : store->journal.unsynced_ms + store->options.sync_ms);
    if (store->journal.retry_ms)
        next = earlier(next, store->journal.retry_ms);
    if (store->image.job && !store->image.job->is_submitted)
        next = earlier(next, outage_allows(&store->image.writes, store->now_ms)
                                 ? store->now_ms + SWEEP_MS
                                 : store->image.writes.retry_ms);
    /* While a write is under way and the next batch has begun, only the write's end brings it on.
     */
    bool may_begin = !store->journal.is_writing ||
                     (batch_is_empty(store->journal.filling) && !store->journal.write.is_placing);
    if (checkpoint_has_news(store) && !store->image.job && !backup_holds(store) && may_begin)
        next = earlier(next, checkpoint_due_ms(store));
    if (!list_is_empty(&store->memory.read_waiters))
        next = earlier(next, store->memory.read_retry_ms);
    if (!list_is_empty(&store->memory.reading_line) && reads_have_room(store))
        next = store->now_ms;
    next = earlier(next, space_next_ms(&store->journal));
    next = earlier(next, next_of_outages(store));
    if (store->memory.read_spare)
        next = earlier(next, store->memory.read_spare->used_ms + SPARE_CHECK_MS);
    next = earlier(next, journal_tick_ms(&store->journal));
    next = earlier(next, journal_mark_ms(&store->journal));
    next = earlier(next, memory_next_ms(store));
    if (!list_is_empty(&store->memory.condemned) || store->memory.has_idle_bodies ||
        checkpoint_is_drafting(store))
        next = store->now_ms;
    bool sweeps =
        spill_has_to_look(store) || (store->compaction.segment && !store->compaction.is_reading);
    if (sweeps)
        next = earlier(next, store->now_ms + SWEEP_MS);
    return next;
}

bool store_is_congested(const struct store *store)
{
    return store->journal.filling->size >= store->options.batch_bytes;
}

enum store_room store_room(struct store *store, uint64_t bytes)
{
    uint64_t max = store->options.batch_max_bytes,
             used = store->journal.filling->size + store->journal.promised;
    if (used + bytes <= store->journal.space.room || planted(PLANTED_ROOM_NOT_ASKED))
        return STORE_ROOM_NOW;
    if (used + bytes > max)
        return bytes <= max ? STORE_ROOM_LATER : STORE_ROOM_NEVER;
    return space_room(&store->journal, bytes);
}

enum store_room store_room_ending(struct store *store, uint64_t bytes)
{
    enum store_room room = store_room(store, bytes);
    bool may_wait = room == STORE_ROOM_LATER || room == STORE_ROOM_FULL;
    const struct segment *moving = store->compaction.segment; /* what has begun comes to its end */
    uint64_t left = moving ? moving->live_bytes : 0;
    return may_wait && space_ends(&store->journal, bytes, left) ? STORE_ROOM_NOW : room;
}

void store_refused(struct store *store)
{
    store->stats.messages_refused++;
    outage_fail(&store->journal.space.refusals, store->options.log, store->now_ms,
                "no room on the disk");
    outage_succeed(&store->journal.space.refusals, store->now_ms);
}

uint64_t store_room_max(const struct store *store)
{
    return store->options.batch_max_bytes;
}

uint64_t store_message_bytes(const struct message *message, size_t queues)
{
    return message_record_max(message, queues);
}

bool store_hold(struct store *store, uint64_t bytes)
{
    if (store->journal.held_batch == store->journal.filling->number)
        return false;
    assert(!store->journal.is_held);
    store->journal.held_batch = store->journal.filling->number;
    store->journal.is_held = true;
    store->journal.promised = bytes;
    return true;
}

void store_release(struct store *store)
{
    assert(store->journal.is_held);
    store->journal.is_held = false;
    store->journal.promised = 0;
}

const char *store_failure(const struct store *store)
{
    return store->journal.is_failed ? store->journal.failure : NULL;
}

uint64_t store_writes_for_ms(const struct store *store, uint64_t now_ms)
{
    const struct journal *journal = &store->journal;
    bool is_out = journal->is_writing && journal->write_began_ms < now_ms;
    return is_out ? now_ms - journal->write_began_ms : 0;
}

bool store_is_short(const struct store *store)
{
    return store->journal.space.is_short;
}

bool store_is_full(const struct store *store)
{
    return store->journal.retry_ms;
}

uint64_t store_disk_reserve(const struct store *store)
{
    return store->journal.space.short_bytes;
}

void store_set_disk_reserve(struct store *store, uint64_t bytes)
{
    space_set_reserve(&store->journal, bytes);
}

const struct store_stats *store_stats(struct store *store)
{
    store->stats.segments = store->journal.segments_by_number.count;
    store->stats.cache_bytes = store->memory.cache_used;
    return &store->stats;
}

struct index *store_take_awake(struct store *store)
{
    struct list *link = list_take_first(&store->awake);
    return link ? list_entry(link, struct index, wait_link) : NULL;
}

struct index *store_take_changed(struct store *store)
{
    struct list *link = list_take_first(&store->changed);
    if (!link)
        return NULL;
    struct index *index = list_entry(link, struct index, changed_link);
    index->heeds = COUNTS_NOTED;
    return index;
}

/* ---- tickets ---- */

struct ticket store_ticket(const struct store *store)
{
    return (struct ticket){.index = store->journal.filling->number};
}

struct ticket store_names_ticket(const struct store *store)
{
    return (struct ticket){.index = store->journal.names_batch};
}

void store_want(struct store *store, struct ticket ticket)
{
    if (ticket.index > store->journal.wanted)
        store->journal.wanted = ticket.index;
}

uint64_t store_durable_index(const struct store *store)
{
    bool is_all = store->journal.durable == store->journal.written && !store->journal.is_writing &&
                  !store->journal.is_failed && batch_is_empty(store->journal.filling);
    if (is_all)
        return store->journal.filling->number;
    return store->journal.durable;
}

enum ticket_state store_ticket_state(const struct store *store, struct ticket ticket)
{
    if (ticket.index <= store_durable_index(store))
        return TICKET_DURABLE;
    return store->journal.is_failed ? TICKET_FAILED : TICKET_PENDING;
}

/* ---- queues and messages ---- */

uint64_t store_queue_id(struct store *store, bool survives)
{
    if (survives)
        return ++store->id_last;
    return ++store->id_last_transient | STORE_ID_TRANSIENT;
}

uint64_t store_group_queue_id(struct store *store, uint64_t group)
{
    assert(group > 0 && group <= STORE_GROUP_MAX);
    return ++store->id_last | group << STORE_GROUP_SHIFT | STORE_ID_GROUP;
}

uint32_t store_queue_log(const struct store *store, uint64_t id)
{
    const struct group_log *log =
        store_is_of_group(id) ? idmap_find(&store->groups.by_number, store_group_of(id)) : NULL;
    return log ? log->wait : LOG_JOURNAL;
}

uint32_t store_names_log(const struct store *store)
{
    return store->groups.names ? store->groups.names->wait : LOG_JOURNAL;
}

void store_id_is_used(struct store *store, uint64_t id)
{
    uint64_t number = store_part_queue(id);
    if (store_is_of_group(id))
        number &= ((uint64_t)1 << STORE_GROUP_SHIFT) - 1;
    if (!(id & STORE_ID_TRANSIENT) && number > store->id_last)
        store->id_last = number;
}

static void record_id(struct store *store, enum record_type type, uint64_t id)
{
    struct buffer payload = {0};
    buffer_add_u64(&payload, id);
    batch_add(&store->journal, type, buffer_bytes(&payload));
    buffer_free(&payload);
}

struct index *store_queue_find(struct store *store, uint64_t id, void *owner)
{
    struct index *index = idmap_find(&store->indexes, id);
    if (index)
        index->owner = owner;
    return index;
}

struct index *store_queue(struct store *store, uint64_t id, void *owner)
{
    struct index *index = idmap_find(&store->indexes, id);
    if (!index) {
        index = index_new(store, id);
        if (store_is_of_group(id)) {
            store_id_is_used(store, id);
            propose_queue(index);
        } else if (!(id & STORE_ID_TRANSIENT)) {
            record_id(store, RECORD_QUEUE, id);
            index_changed(index);
            store->image.is_changed = true;
        }
    }
    index->owner = owner;
    return index;
}

void store_queue_delete_recovered(struct store *store, struct index *index)
{
    uint64_t id = index->id;
    index_drop(index);
    store->image.dead_queues =
        mem_grow(store->image.dead_queues, &store->image.dead_queues_capacity,
                 store->image.dead_queues_count + 1, 8);
    store->image.dead_queues[store->image.dead_queues_count++] = id;
    store->image.is_changed = true;
}

void store_queue_delete(struct store *store, struct index *index)
{
    uint64_t id = index->id;
    if (store_is_of_group(id)) {
        propose_drop(index);
        return;
    }
    if (id & STORE_ID_TRANSIENT) {
        index_drop(index);
        return;
    }
    store_queue_delete_recovered(store, index);
    record_id(store, RECORD_DROP, id);
}

void store_drop_orphans(struct store *store)
{
    uint64_t at = 0;
    struct index *index;
    while ((index = idmap_next(&store->indexes, &at))) {
        if (index->owner || store_is_of_group(index->id))
            continue;
        log_event(store->options.log, EVENT_queue_dropped, "id=%llu ready=%llu",
                  (unsigned long long)index->id, (unsigned long long)index->ready);
        store_queue_delete(store, index);
        at = 0;
    }
}

uint32_t store_publish_one(struct store *store, struct message *message, struct index *queue,
                           uint64_t ends_ms)
{
    if (__builtin_expect(store_is_of_group(queue->id), 0)) {
        propose_to(queue, ends_ms);
        return propose_message(store, message);
    }
    if (!(message->flags & MESSAGE_PERSISTENT) || queue->id & STORE_ID_TRANSIENT) {
        index_push(queue, message, ends_ms, 0);
        return 0;
    }
    struct destination kept = {queue->id, index_push(queue, message, ends_ms, ENTRY_RECORDED),
                               ends_ms};
    batch_add_message(&store->journal, RECORD_MESSAGE, message, &kept, 1);
    return 1u << LOG_JOURNAL;
}

uint32_t store_publish_timed(struct store *store, struct message *message,
                             struct index *const *queues, const uint64_t *times, size_t count)
{
    if (count == 1)
        return store_publish_one(store, message, queues[0], times ? times[0] : 0);
    struct destination *kept = store_scratch(store, count);
    uint32_t kept_count = 0;
    bool is_persistent = message->flags & MESSAGE_PERSISTENT, any_of_group = false;
    for (size_t i = 0; i < count; i++) {
        uint64_t id = queues[i]->id, expires_ms = times ? times[i] : 0;
        if (store_is_of_group(id)) {
            propose_to(queues[i], expires_ms);
            any_of_group = true;
            continue;
        }
        bool survives = is_persistent && !(id & STORE_ID_TRANSIENT);
        uint64_t sequence =
            index_push(queues[i], message, expires_ms, survives ? ENTRY_RECORDED : 0);
        if (survives)
            kept[kept_count++] = (struct destination){id, sequence, expires_ms};
    }
    if (kept_count)
        batch_add_message(&store->journal, RECORD_MESSAGE, message, kept, kept_count);
    uint32_t logs = any_of_group ? propose_message(store, message) : 0;
    return logs | (kept_count ? 1u << LOG_JOURNAL : 0);
}
