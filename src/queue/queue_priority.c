/* The queue with priorities: a level for each, and for each level that has had a message an index, a part
 * of the queue in the store. A position is the number of the level above a sequence number there. What a
 * message costs does not depend on how many levels there are: those that may have a ready message are a
 * set of bits, from which a level goes when it is found to have none. */
#include <assert.h>

#include "amqp/properties.h"
#include "base/mem.h"
#include "base/planted.h"
#include "queue/queue_index.h"

enum { LEVELS_MAX = 256, WORDS = LEVELS_MAX / 64, POSITION_SHIFT = 56 };
/* Of quorum queues. */
enum { QUORUM_TOP = 31, QUORUM_NORMAL = 4 };

_Static_assert(STORE_SEQUENCE_MAX <= (uint64_t)1 << POSITION_SHIFT,
               "a level fits above a sequence number");
_Static_assert((int)STORE_PARTS == (int)LEVELS_MAX, "a level is a part");

struct levels {
    struct counts counts;  /* of all of them */
    uint64_t ready[WORDS]; /* levels that may have a ready message */
    uint64_t looked_ms;    /* then none above `looked` had a message that has ended */
    struct index **indexes; /* by level; NULL: it has had no message */
    uint32_t count;         /* of indexes */
    uint8_t looked;
    uint8_t top;
    uint8_t normal; /* of a message that has no priority: part 0 */
};

static uint8_t part_of(const struct levels *levels, unsigned level)
{
    return (uint8_t)(level ^ levels->normal);
}

static uint64_t position_of(unsigned level, uint64_t sequence)
{
    return (uint64_t)level << POSITION_SHIFT | sequence;
}

static uint64_t sequence_of(uint64_t position)
{
    return position & (((uint64_t)1 << POSITION_SHIFT) - 1);
}

static struct index *index_of(const struct queue *queue, uint64_t position)
{
    const struct levels *levels = queue->state;
    return levels->indexes[position >> POSITION_SHIFT];
}

/* ---- which level ---- */

static void note_ready(struct levels *levels, unsigned level)
{
    levels->ready[level / 64] |= (uint64_t)1 << level % 64;
    levels->looked_ms = 0;
}

/* The highest level below `end` that has a ready message; -1: there is none. */
static int ready_below(struct levels *levels, unsigned end)
{
    while (end) {
        unsigned word = (end - 1) / 64;
        uint64_t bits = levels->ready[word] & UINT64_MAX >> (64 - (end - word * 64));
        unsigned level = word * 64 + 63 - (bits ? (unsigned)__builtin_clzll(bits) : 0);
        if (bits && planted(PLANTED_LOWEST_LEVEL_FIRST))
            level = word * 64 + (unsigned)__builtin_ctzll(bits);
        if (bits && levels->indexes[level]->ready)
            return (int)level;
        if (bits)
            levels->ready[word] &= ~((uint64_t)1 << level % 64);
        else
            end = word * 64;
    }
    return -1;
}

/* To be taken: then another one is the first. */
static int first_ready(struct levels *levels)
{
    levels->looked_ms = 0;
    return ready_below(levels, levels->count);
}

/* One that has none has none in memory either, where it cannot be told from 0. */
static bool has_priority(const struct message *message)
{
    struct reader flags = reader_of(message_properties(message));
    return message->priority || reader_u16(&flags) & PROPERTY_PRIORITY;
}

static unsigned level_for(const struct levels *levels, const struct message *message)
{
    unsigned level = message->priority;
    if (levels->normal && !has_priority(message))
        level = levels->normal;
    return level > levels->top && !planted(PLANTED_PRIORITY_NOT_CLAMPED) ? levels->top : level;
}

/* ---- levels ---- */

static void levels_grow(struct levels *levels, unsigned level)
{
    if (level < levels->count)
        return;
    levels->indexes = mem_realloc(levels->indexes, (level + 1) * sizeof(struct index *));
    while (levels->count <= level)
        levels->indexes[levels->count++] = NULL;
}

/* The level's index as the store has it. A new one is made with `make`, else it may be NULL. */
static struct index *level_open(struct queue *queue, unsigned level, bool make)
{
    struct store *store = queue->queues->store;
    struct levels *levels = queue->state;
    uint64_t id = store_part_id(queue->id, part_of(levels, level));
    struct index *index = make ? store_queue(store, id, queue) : store_queue_find(store, id, queue);
    if (!index)
        return NULL;
    levels_grow(levels, level);
    levels->indexes[level] = index;
    counts_sum(&index->counts, &levels->counts);
    if (index->ready)
        note_ready(levels, level);
    return index;
}

static void priority_open(struct queue *queue)
{
    struct levels *levels = queue->state = mem_zalloc(sizeof(*levels));
    bool is_quorum = queue->settings->is_quorum;
    levels->top = is_quorum ? QUORUM_TOP : (uint8_t)queue->settings->max_priority;
    levels->normal = is_quorum ? QUORUM_NORMAL : 0;
    queue->counts = &levels->counts;
    for (unsigned level = 0; level <= levels->top; level++)
        if (level == levels->normal || !planted(PLANTED_LEVEL_LOST))
            level_open(queue, level, level == levels->normal);
}

static void levels_free(struct queue *queue)
{
    struct levels *levels = queue->state;
    mem_free(levels->indexes);
    mem_free(levels);
}

static void priority_close(struct queue *queue)
{
    const struct levels *levels = queue->state;
    for (uint32_t level = 0; level < levels->count; level++)
        if (levels->indexes[level])
            counts_sum(&levels->indexes[level]->counts, NULL);
    levels_free(queue);
}

static void priority_drop(struct queue *queue)
{
    const struct levels *levels = queue->state;
    for (uint32_t level = 0; level < levels->count; level++)
        if (levels->indexes[level])
            store_queue_delete(queue->queues->store, levels->indexes[level]);
    levels_free(queue);
}

/* ---- messages ---- */

static struct index *priority_place(struct queue *queue, const struct message *message)
{
    struct levels *levels = queue->state;
    unsigned level = level_for(levels, message);
    struct index *index = level < levels->count ? levels->indexes[level] : NULL;
    if (!index)
        index = level_open(queue, level, true);
    note_ready(levels, level);
    return index;
}

static enum queue_result priority_take(struct queue *queue, bool settle, struct taken *taken)
{
    struct levels *levels = queue->state;
    int level = first_ready(levels);
    if (level < 0)
        return QUEUE_EMPTY;
    enum queue_result result = queue_index_take(queue, levels->indexes[level], settle, taken);
    if (result == QUEUE_OK)
        taken->sequence = position_of((unsigned)level, taken->sequence);
    return result;
}

static bool priority_take_head(struct queue *queue, uint64_t *position)
{
    struct levels *levels = queue->state;
    int level = first_ready(levels);
    if (level < 0 || !queue_index_take_head(queue, levels->indexes[level], position))
        return false;
    *position = position_of((unsigned)level, *position);
    return true;
}

static bool priority_take_at(struct queue *queue, uint64_t position)
{
    struct levels *levels = queue->state;
    levels->looked_ms = 0;
    return queue_index_take_at(queue, index_of(queue, position), sequence_of(position));
}

static void priority_settle(struct queue *queue, uint64_t position)
{
    queue_index_settle(queue, index_of(queue, position), sequence_of(position));
}

static void priority_give_back(struct queue *queue, uint64_t position)
{
    note_ready(queue->state, (unsigned)(position >> POSITION_SHIFT));
    queue_index_give_back(queue, index_of(queue, position), sequence_of(position), position);
}

static uint32_t priority_delivery_count(struct queue *queue, uint64_t position)
{
    return index_delivery_count(index_of(queue, position), sequence_of(position));
}

static void priority_delay(struct queue *queue, uint64_t position, uint64_t until_ms)
{
    index_delay(index_of(queue, position), sequence_of(position), until_ms);
}

static bool priority_retry(struct queue *queue, uint64_t position)
{
    note_ready(queue->state, (unsigned)(position >> POSITION_SHIFT));
    return queue_index_retry(queue, index_of(queue, position), sequence_of(position), position);
}

static enum queue_result priority_fetch(struct queue *queue, uint64_t position,
                                        struct message **message)
{
    return (enum queue_result)index_fetch(index_of(queue, position), sequence_of(position),
                                          message);
}

static uint64_t priority_purge(struct queue *queue)
{
    const struct levels *levels = queue->state;
    uint64_t purged = 0;
    for (uint32_t level = 0; level < levels->count; level++)
        if (levels->indexes[level])
            purged += index_purge(levels->indexes[level]);
    queue_schedule_clear_some(queue);
    return purged;
}

static uint64_t priority_next_position(const struct queue *queue, const struct message *message)
{
    const struct levels *levels = queue->state;
    unsigned level = level_for(levels, message);
    const struct index *index = level < levels->count ? levels->indexes[level] : NULL;
    return position_of(level, index ? index_next(index) : 1);
}

/* Of a position that may never have been given; NULL: there is none. */
static struct index *index_if_any(const struct queue *queue, uint64_t position)
{
    const struct levels *levels = queue->state;
    unsigned level = (unsigned)(position >> POSITION_SHIFT);
    return level < levels->count ? levels->indexes[level] : NULL;
}

static bool priority_holds(const struct queue *queue, uint64_t position)
{
    struct index *index = index_if_any(queue, position);
    return index && index_holds(index, sequence_of(position));
}

static bool priority_keeps(const struct queue *queue, uint64_t position)
{
    struct index *index = index_if_any(queue, position);
    return index && index_keeps(index, sequence_of(position));
}

/* ---- messages that end: the first one of each level may ---- */

static void priority_came(struct queue *queue, const struct index *index)
{
    struct levels *levels = queue->state;
    note_ready(levels, (unsigned)store_part(index->id) ^ levels->normal);
}

static uint64_t priority_head_ms(struct queue *queue)
{
    struct levels *levels = queue->state;
    uint64_t first_ms = 0;
    unsigned end = levels->count;
    levels->looked_ms = 0;
    for (int level; (level = ready_below(levels, end)) >= 0; end = (unsigned)level) {
        uint64_t ends_ms = index_head_ms(levels->indexes[level]);
        if (ends_ms && (first_ms == 0 || ends_ms < first_ms))
            first_ms = ends_ms;
    }
    return first_ms;
}

/* Goes on where it found the last one. */
static enum queue_result priority_expire(struct queue *queue, uint64_t *position)
{
    struct levels *levels = queue->state;
    uint64_t clock_ms = queue->queues->clock_ms;
    unsigned end = levels->looked_ms == clock_ms ? levels->looked + 1u : levels->count;
    for (int level; (level = ready_below(levels, end)) >= 0; end = (unsigned)level) {
        enum queue_result result = queue_index_expire(queue, levels->indexes[level], position);
        if (result == QUEUE_EMPTY)
            continue;
        levels->looked_ms = clock_ms;
        levels->looked = (uint8_t)level;
        *position = position_of((unsigned)level, *position);
        return result;
    }
    return QUEUE_EMPTY;
}

/* ---- messages with times, wherever they are ---- */

static uint64_t priority_last(struct queue *queue, const struct index *place)
{
    const struct levels *levels = queue->state;
    return position_of((unsigned)store_part(place->id) ^ levels->normal, index_next(place) - 1);
}

static enum queue_result priority_ends(struct queue *queue, uint64_t position, uint64_t *ends_ms)
{
    return (enum queue_result)index_ends(index_of(queue, position), sequence_of(position), ends_ms);
}

struct told {
    queue_each_time *each;
    void *context;
    unsigned level;
};

static void tell_position(void *context, uint64_t sequence, uint64_t ends_ms)
{
    const struct told *told = context;
    told->each(told->context, position_of(told->level, sequence), ends_ms);
}

static void priority_delayed(struct queue *queue, queue_each_time *each, void *context)
{
    const struct levels *levels = queue->state;
    for (unsigned level = 0; level < levels->count; level++) {
        struct told told = {each, context, level};
        if (levels->indexes[level])
            index_delayed(levels->indexes[level], tell_position, &told);
    }
}

/* From the highest level down. */
static enum queue_result priority_look(struct queue *queue, uint64_t from, struct looked *looked)
{
    const struct levels *levels = queue->state;
    unsigned level = (unsigned)(from >> POSITION_SHIFT);
    bool is_within = from && level < levels->count;
    uint64_t sequence = is_within ? sequence_of(from) : 0;
    for (level = is_within ? level + 1 : levels->count; level-- > 0; sequence = 0) {
        struct index *index = levels->indexes[level];
        enum index_result result = index ? index_look(index, sequence, looked) : INDEX_EMPTY;
        if (result == INDEX_OK)
            looked->sequence = position_of(level, looked->sequence);
        if (result != INDEX_EMPTY)
            return (enum queue_result)result;
    }
    return QUEUE_EMPTY;
}

static void priority_heads(const struct queue *queue, struct index_heads *heads)
{
    const struct levels *levels = queue->state;
    *heads = (struct index_heads){0};
    for (uint32_t level = levels->count; level-- > 0;) {
        struct index *index = levels->indexes[level];
        if (!index || index->ready + index->taken + index->delayed == 0)
            continue;
        index_heads(index, heads);
        return;
    }
}

static enum index_obstacle priority_obstacle(struct queue *queue)
{
    struct levels *levels = queue->state;
    int level = ready_below(levels, levels->count);
    return level < 0 ? INDEX_UNHINDERED : index_obstacle(levels->indexes[level]);
}

/* From the lowest level up. */
static enum queue_result priority_times(struct queue *queue, uint64_t *from, queue_each_time *each,
                                        void *context)
{
    const struct levels *levels = queue->state;
    struct told told = {each, context, (unsigned)(*from >> POSITION_SHIFT)};
    uint64_t sequence = sequence_of(*from);
    for (; told.level < levels->count; told.level++, sequence = 0) {
        struct index *index = levels->indexes[told.level];
        enum index_result result =
            index ? index_times(index, &sequence, tell_position, &told) : INDEX_EMPTY;
        *from = position_of(told.level, sequence);
        if (result != INDEX_EMPTY)
            return (enum queue_result)result;
    }
    return QUEUE_EMPTY;
}

/* Those of each level together. */
static bool priority_read_soon(struct queue *queue, const uint64_t *positions, size_t count)
{
    const struct levels *levels = queue->state;
    uint64_t sequences[QUEUE_SOON_MAX];
    bool are_there = true;
    assert(count <= QUEUE_SOON_MAX);
    for (uint32_t level = 0; level < levels->count; level++) {
        size_t found = 0;
        for (size_t i = 0; i < count; i++)
            if (positions[i] >> POSITION_SHIFT == level)
                sequences[found++] = sequence_of(positions[i]);
        if (found && levels->indexes[level])
            are_there &= index_read_soon(levels->indexes[level], sequences, found);
    }
    return are_there;
}

const struct queue_kind queue_priority = {
    .open = priority_open,
    .close = priority_close,
    .drop = priority_drop,
    .place = priority_place,
    .take = priority_take,
    .take_head = priority_take_head,
    .settle = priority_settle,
    .give_back = priority_give_back,
    .delivery_count = priority_delivery_count,
    .delay = priority_delay,
    .retry = priority_retry,
    .delayed = priority_delayed,
    .fetch = priority_fetch,
    .purge = priority_purge,
    .next_position = priority_next_position,
    .holds = priority_holds,
    .keeps = priority_keeps,
    .head_ms = priority_head_ms,
    .expire = priority_expire,
    .came = priority_came,
    .read_soon = priority_read_soon,
    .last = priority_last,
    .take_at = priority_take_at,
    .ends = priority_ends,
    .times = priority_times,
    .look = priority_look,
    .heads = priority_heads,
    .obstacle = priority_obstacle,
};
