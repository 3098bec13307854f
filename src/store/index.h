/* The messages of one queue, in order of their sequence numbers, from the first that is not settled
 * to the last that came. Most of a long queue is not in memory: its entries are in the key-value
 * store, its bodies in the journal, and only two bits for each message remain.
 *
 * A message is *ready*, or *taken* (delivered and not settled), or *delayed* (it came back, and waits),
 * or *settled* (acknowledged, dropped, dead-lettered) and gone. It keeps its place while it is taken or
 * delayed, so that one that comes back comes back to where it was. */
#ifndef LEVERET_STORE_INDEX_H
#define LEVERET_STORE_INDEX_H

#include "base/list.h"
#include "store/counts.h"
#include "store/message.h"

struct store;
struct chunk;

struct index {
    /* For the caller to read: */
    uint64_t id; /* of a queue, and which part of it: store_part_id */
    void *owner;
    union {
        struct counts counts;
        struct {
            uint64_t ready, taken, delayed, ready_bytes, bytes;
            struct counts *above;
            uint64_t heeds;
        };
    };
    /* The store's: */
    struct store *store;
    struct chunk **chunks; /* in order; the first is at chunks[chunks_first] */
    uint32_t chunks_first;
    uint32_t chunks_count;
    uint32_t chunks_capacity;
    uint32_t hint; /* position that was found last */
    struct settles_place settles;
    uint64_t next_sequence; /* of the next message; never used again once it was used */
    uint64_t cursor;        /* nothing below it is ready */
    uint64_t taken_high;    /* what is ready below it was delivered before */
    uint64_t mark;          /* deliveries below it are on record, durably */
    uint64_t mark_asked;    /* ... or will be once batch mark_batch is durable */
    uint64_t mark_batch;
    uint64_t mark_ms;    /* when mark_asked was */
    uint64_t read_until; /* bodies are being read ahead up to here */
    uint32_t read_low;   /* with fewer than these ahead more are read */
    uint32_t mark_step;  /* how far mark_asked was moved then */
    uint64_t used_ms;    /* when something was last taken */
    uint32_t read_errors; /* in a row: the disk would not read */
    bool is_reading;     /* a read for it is under way */
    bool is_waiting;     /* answered INDEX_WAIT and was not woken since */
    bool ends_are_known; /* of a group: somebody asks index_keeps */
    bool is_dirty;       /* counters changed since the last checkpoint */
    bool has_times;      /* some of its messages may have one at which they end */
    struct list dirty_link;
    struct list wait_link; /* waiting for its mark, or awake */
    struct list changed_link; /* on store->changed: store_take_changed */
};

/* For those below: counts change for the first time since somebody asked to be told. */
void index_note_change(struct index *index) __attribute__((cold));

/* What is above the counts of an index that are heeded and change. */
static inline struct counts *index_above(struct index *index)
{
    if (index->heeds == COUNTS_NOTED)
        index_note_change(index);
    return index->above;
}

/* All changes of the counts are made by these three. */
static inline void index_count(struct index *index, int64_t ready, int64_t taken, int64_t ready_bytes)
{
    index->ready += (uint64_t)ready;
    index->taken += (uint64_t)taken;
    index->ready_bytes += (uint64_t)ready_bytes;
    if (__builtin_expect(index->heeds == COUNTS_UNHEEDED, 1))
        return;
    for (struct counts *sum = index_above(index); sum; sum = sum->above) {
        sum->ready += (uint64_t)ready;
        sum->taken += (uint64_t)taken;
        sum->ready_bytes += (uint64_t)ready_bytes;
    }
}

static inline void index_count_delayed(struct index *index, int64_t delayed)
{
    index->delayed += (uint64_t)delayed;
    if (__builtin_expect(index->heeds == COUNTS_UNHEEDED, 1))
        return;
    for (struct counts *sum = index_above(index); sum; sum = sum->above)
        sum->delayed += (uint64_t)delayed;
}

/* Bodies come, or go. */
static inline void index_count_bytes(struct index *index, int64_t bytes)
{
    index->bytes += (uint64_t)bytes;
    if (__builtin_expect(index->heeds == COUNTS_UNHEEDED, 1))
        return;
    for (struct counts *sum = index_above(index); sum; sum = sum->above)
        sum->bytes += (uint64_t)bytes;
}

enum index_result {
    INDEX_OK,
    INDEX_EMPTY, /* no message is ready */
    INDEX_WAIT,  /* it is being read, or its delivered mark is not durable yet: the index appears on
                    store_take_awake's list when it is worth another try */
};

/* Told of a message with a time, in ms since 1970. */
typedef void index_each_time(void *context, uint64_t sequence, uint64_t ms);

struct taken {
    uint64_t sequence;
    struct message *message; /* a reference that is the caller's now */
    uint32_t delivery_count; /* times it came back before */
    bool redelivered;
};

/* Takes the first ready message. With `settle` it is settled in the same step (a delivery that
 * needs no acknowledgement). */
enum index_result index_take(struct index *index, bool settle, struct taken *taken);
/* Takes the first ready message as it lies, without reading it: it is to end, not to be delivered. False:
 * none is ready. */
bool index_take_head(struct index *index, uint64_t *sequence);
/* When the first ready message ends, in ms since 1970; 0: never, or there is none. What is not in memory
 * may end later than that. */
uint64_t index_head_ms(struct index *index);
/* Takes the first ready message if it has ended at `clock_ms`, as it is to be ended and not delivered:
 * INDEX_EMPTY: it has not. */
enum index_result index_expire(struct index *index, uint64_t clock_ms, uint64_t *sequence);
/* Takes a ready message, wherever it lies, without reading it, as index_take_head does. False: it is not
 * ready. */
bool index_take_at(struct index *index, uint64_t sequence);
/* When a live message ends; 0: never. INDEX_WAIT: what is known of it is being read, or it is to come. */
enum index_result index_ends(struct index *index, uint64_t sequence, uint64_t *ends_ms);
/* Tells of the live messages of one chunk, from *from on, that have a time, and moves *from behind them.
 * INDEX_EMPTY: there are no more; INDEX_WAIT: they are being read. */
enum index_result index_times(struct index *index, uint64_t *from, index_each_time *each,
                              void *context);
/* Puts a taken message back to its old place. */
void index_return(struct index *index, uint64_t sequence);
/* The same, and it counts as once more that it came back; which is on record, if the message is. */
void index_redeliver(struct index *index, uint64_t sequence);
/* The same, but it is delayed: not ready before index_retry. `until_ms` is on record with the count; nothing
 * here looks at a clock. */
void index_delay(struct index *index, uint64_t sequence, uint64_t until_ms);
/* A delayed message is ready. False: it is not delayed. */
bool index_retry(struct index *index, uint64_t sequence);
/* Tells of all that are delayed, and until when. */
void index_delayed(struct index *index, index_each_time *each, void *context);
/* How often a live message came back. */
uint32_t index_delivery_count(struct index *index, uint64_t sequence);
/* Ends a taken message. */
void index_settle(struct index *index, uint64_t sequence);
/* Brings a taken message back to look at (to dead-letter it). INDEX_OK: *message is a reference of
 * the caller's; INDEX_EMPTY: it is damaged and was set aside. */
enum index_result index_fetch(struct index *index, uint64_t sequence, struct message **message);
/* A message as it lies, which nothing happens to. */
struct looked {
    uint64_t sequence;
    struct message *message; /* a reference of the caller's; NULL: it is damaged */
    uint64_t ends_ms;        /* since 1970; 0: never */
    uint32_t delivery_count; /* times it came back */
    enum looked_state { LOOKED_READY, LOOKED_TAKEN, LOOKED_DELAYED } state;
};

/* Looks at the first live message from a sequence number on. INDEX_EMPTY: there is none; INDEX_WAIT: it
 * is being read, and some of those behind it with it. */
enum index_result index_look(struct index *index, uint64_t from, struct looked *looked);
/* The first message, which may be taken or delayed, and the first that is ready, as far as they are in memory;
 * else NULL. Nothing is read, and the references are the index's. */
struct index_heads {
    const struct message *first, *ready;
};
void index_heads(struct index *index, struct index_heads *heads);
/* What the first ready message waits for before it can be taken. */
enum index_obstacle {
    INDEX_UNHINDERED, /* nothing, or there is none */
    INDEX_READS,      /* it is being read */
    INDEX_MARKS,      /* the mark that says that it may have been delivered is not durable yet */
};
enum index_obstacle index_obstacle(struct index *index);
/* Is this message there, ready or taken? Or is it to come, when its group has agreed on it? */
bool index_holds(struct index *index, uint64_t sequence);
/* The same, and it is not decided that it ends either, which is known of what was decided since this was first asked of
 * the queue: in a queue of a group what ends is there until the group has agreed on that. */
bool index_keeps(struct index *index, uint64_t sequence);
/* The sequence number of the message that comes next: to a queue of a group, of the one that is proposed next. */
uint64_t index_next(const struct index *index);
/* Asks for some live messages at once that are to be fetched or looked at soon, in any order. */
void index_read_some(struct index *index, const uint64_t *sequences, size_t count);
/* The same for live messages that are needed before long, the first to be needed first, whatever else is read
 * meanwhile: a part of them, as others may need more. True: all are in memory that it is worth to read before
 * somebody waits for them. */
bool index_read_soon(struct index *index, const uint64_t *sequences, size_t count);
/* ---- a queue of a group (group_log.h) ---- */

/* This broker decides for it from now on: what is below its mark was perhaps delivered before. Nothing is
 * taken. */
void index_lead(struct index *index);
/* It does so no more: what was taken is ready. */
void index_untake(struct index *index);

/* Settles every ready or delayed message; returns how many there were. Memory of many goes in the turns that
 * follow. */
uint64_t index_purge(struct index *index);

#endif
