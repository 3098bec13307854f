/* The store: what survives. One journal of segments holds every message once and every change of
 * the catalogue, in order; an index beside it knows which message is where in which queue. See
 * README.md in this folder for how the parts fit.
 *
 * One thread, the owner, calls everything here. Nothing here waits for the disk: work is handed to
 * three workers, and store_tick collects what they have done. */
#ifndef LEVERET_STORE_STORE_H
#define LEVERET_STORE_STORE_H

#include "base/log.h"
#include "base/steps.h"
#include "base/worker.h"
#include "store/disk.h"
#include "store/group_log.h"
#include "store/index.h"
#include "store/kv.h"
#include "store/message.h"

enum { LOG_JOURNAL = 0 }; /* of this broker */

/* What a reply may have to wait for: an event of a log. */
struct ticket {
    uint32_t log;
    uint64_t index; /* 0: nothing to wait for */
};

enum ticket_state { TICKET_PENDING, TICKET_DURABLE, TICKET_FAILED };

/* 50 MB; on a disk of less than eight times as much an eighth of it. */
#define STORE_DISK_RESERVE ((uint64_t)50000000)

enum { STORE_QUEUE_TEXT = 640 };

struct store_options {
    struct disk *disk;
    struct kv *kv;
    struct worker *syncer;  /* writes and syncs the journal */
    struct worker *indexer; /* writes the key-value store */
    struct worker *reader;  /* reads old messages and chunks */
    struct message_pool *pool;
    const struct log *log;
    uint64_t (*clock_us)(void);  /* what writes and syncs are timed with, by the syncer; NULL: nobody */
    struct steps *steps;         /* told what a turn is busy with; NULL: nobody asks */
    uint32_t segment_bytes;      /* 64 MiB */
    uint32_t chunk_entries;      /* 2048; a power of two */
    uint32_t release_slots;      /* messages of deleted queues that are released in a turn: 16384 */
    uint32_t draft_steps;        /* names, 32 messages, or 8 queues or dead things, drafted in a turn: 512 */
    uint64_t cache_bytes;        /* index chunks kept in memory: 4 MiB */
    uint64_t bodies_burst_bytes; /* messages kept in memory at all: 256 MiB; an eighth of recorded ones */
    uint64_t bodies_idle_bytes;  /* ... and after a second of backlog: 1 MiB */
    uint64_t checkpoint_bytes;   /* journal between checkpoints: 256 MiB */
    uint64_t checkpoint_ms;      /* time between them, when there is work: 30 s */
    uint32_t batch_bytes;        /* the filling batch, beyond which publishers wait: 16 MiB */
    uint32_t batch_max_bytes;    /* ... and what it takes at most: 1 GiB */
    uint32_t batch_large_bytes;  /* ... and beyond which it is sealed over several turns: 4 MiB */
    uint32_t sync_ms;            /* longest time a change that nobody waits for stays unsynced: 100 */
    uint32_t recycle_segments;   /* retired files kept for reuse: 4 */
    uint64_t group_cache_bytes;  /* entries of groups' logs kept in memory: 4 MiB */
    uint32_t group_shared_bytes; /* ... of which those that are so large are held, not copied: 256 KiB */
    uint32_t group_slice_bytes;  /* copied in a turn of messages that are so large: 4 MiB */
    uint32_t mark_step;          /* sequence numbers a delivered mark is moved by: 16384 */
    uint8_t identity[16]; /* random: of a store that is made now */
    /* Was this name written by a newer version? A store that has one is not opened. NULL: none was. */
    bool (*is_newer)(struct bytes key, struct bytes value);
    /* Is this name that of a queue, or of what has one of its own? Then its id, and what operators call
     * it, in STORE_QUEUE_TEXT bytes; for a check. NULL: they are called by their ids. */
    bool (*queue_of)(struct bytes key, struct bytes value, uint64_t *id, char *text);
    uint64_t disk_reserve_bytes; /* free space below which the disk is short: STORE_DISK_RESERVE */
};

/* The defaults above, for all but the interfaces. */
void store_options_default(struct store_options *options);

enum { STORE_BUCKETS = 31 };

/* How large or how long something was: [n] counts what was less than 2^n, and not less than half of it;
 * the last one also what was more. */
struct store_histogram {
    uint64_t buckets[STORE_BUCKETS];
    uint64_t sum;
};

/* Counters for logs, metrics and campaigns; they only rise, but for those marked (now). */
struct store_stats {
    uint64_t batches, syncs, bytes_written, records_elided;
    uint64_t messages_written, settles_written, returns_written, marks_written;
    uint64_t segments_rolled, segments_retired, segments_recycled;
    uint64_t chunks_spilled, chunks_loaded, bodies_evicted, bodies_read, bodies_paged;
    uint64_t checkpoints, compactions, messages_moved;
    uint64_t messages_refused; /* for want of room on the disk */
    uint64_t damaged;          /* messages set aside: their bytes, or where these are, are damaged */
    uint64_t chunks_damaged;   /* parts of the index that were lost; mended as far as the journal goes */
    uint64_t segments;         /* (now) files with journal in them */
    uint64_t live_bytes;       /* (now) bytes of records that are still needed */
    uint64_t cache_bytes;      /* (now) of index entries in memory */
    uint64_t mended;           /* at start: parts that were damaged, and made anew from the rest */
    uint64_t replayed_batches; /* at start */
    uint64_t messages_found;   /* at start: ready or delayed in all queues */
    uint64_t cut_bytes;        /* at start: of a batch that had begun, about */
    uint64_t end_segment, end_offset; /* at start: where the journal ended */
    uint64_t end_batch;               /* at start: the last one in it; 0: none */
    uint64_t known_batch; /* at start: of those that were synced, the last that anything tells of */
    struct store_histogram batch_bytes; /* of each batch */
    struct store_histogram sync_us;     /* for a batch to be written and synced, if it was */
};

struct store;

/* Opens the store and replays its journal; this may block on the disk, as nothing is served yet.
 * `now_ms` is the monotonic clock. NULL: `error` (of error_size bytes) says what is wrong and what
 * to do, and nothing on the disk was changed. The interfaces stay the caller's and must outlive it. */
struct store *store_open(const struct store_options *options, uint64_t now_ms, char *error,
                         size_t error_size);
/* Writes, syncs, checkpoints and closes; waits for the disk. */
void store_close(struct store *store);
/* Frees it as a crash would leave it: nothing more is written. */
void store_abandon(struct store *store);

/* ---- once a turn ---- */

/* Collects what the workers finished, seals the filling batch when the syncer is free and it is
 * time, and moves spills, reads, checkpoints and compaction on by a bounded amount. */
void store_tick(struct store *store, uint64_t now_ms);
/* The same in two halves, for who has to see in between what has become durable, and to decide what is to be in
 * the filling batch before that is sealed. */
void store_collect(struct store *store, uint64_t now_ms);
void store_write(struct store *store);
/* Between the two: the filling batch may be sealed in this turn. */
bool store_may_seal(const struct store *store);
/* While this is so, the filling batch is not sealed: something that belongs into it is still being put together. */
void store_keep_filling(struct store *store, bool is_kept);
/* When store_tick has something to do even if nothing happens until then; UINT64_MAX: never. */
uint64_t store_next_ms(const struct store *store);
/* Gives some memory back to the system that was not needed for a while, 2 MiB at most. False: there was
 * none. store_tick does so once; whoever has the time may do more. */
bool store_give_memory_back(struct store *store);
/* The filling batch is at its maximum: publishers should not be read until the next tick. */
bool store_is_congested(const struct store *store);
/* Is there room for records of so many bytes? Asked before something is accepted that makes records,
 * as what the filling batch has once taken goes to the disk with it, and all that comes after it waits
 * until there is room there. NOW: what is asked for may be added in this turn. LATER: not to this batch,
 * or not while the disk is short; store_next_ms tells when to ask again. FULL: the disk is not short,
 * but this is more than it has room for. NEVER: no batch can take it. */
enum store_room { STORE_ROOM_NOW, STORE_ROOM_LATER, STORE_ROOM_FULL, STORE_ROOM_NEVER };
enum store_room store_room(struct store *store, uint64_t bytes);
/* The same for records that end others, such as a dead letter with the end of what it is a copy of:
 * as they give room back, they may use a part of what is kept for a disk that is short. */
enum store_room store_room_ending(struct store *store, uint64_t bytes);
/* Somebody was told no, for FULL: it is counted, and logged. */
void store_refused(struct store *store);
/* The most that one batch takes. */
uint64_t store_room_max(const struct store *store);
/* More than a record takes beside the body of its message, unless it has large properties. */
enum { STORE_MESSAGE_OVERHEAD = 1024 };
/* What the records of a message take that goes to so many queues that survive, at most. */
uint64_t store_message_bytes(const struct message *message, size_t queues);
/* From now to store_release the filling batch stays open, so that all that is decided meanwhile is in
 * one, and nobody else takes the `bytes` that store_room had. False: this one was kept open before;
 * ask again when store_ticket is another one. */
bool store_hold(struct store *store, uint64_t bytes);
void store_release(struct store *store);
/* The journal could not be written: nothing will become durable any more, every pending ticket has
 * failed and the broker must stop. The text says why. NULL: all is well. */
const char *store_failure(const struct store *store);
/* Free space is below the reserve (or writing just failed for lack of it): publishers should be
 * blocked; settles still work. */
bool store_is_short(const struct store *store);
/* The journal cannot be written for want of room, and all that waits for it waits. */
bool store_is_full(const struct store *store);
/* How long the disk has not answered a write, in milliseconds; 0: nothing is written. */
uint64_t store_writes_for_ms(const struct store *store, uint64_t now_ms);
/* The reserve, as it is on this disk. */
uint64_t store_disk_reserve(const struct store *store);
/* Another one from now on, for publishers; the files that are kept in reserve stay as they are. */
void store_set_disk_reserve(struct store *store, uint64_t bytes);
const struct store_stats *store_stats(struct store *store);
/* Indexes whose head has become readable after index_take answered INDEX_WAIT: takes one off the
 * list, or NULL. Its `owner` is the caller's. */
struct index *store_take_awake(struct store *store);
/* Indexes whose counts have changed since they were taken here, or made: takes one off the list, or NULL. */
struct index *store_take_changed(struct store *store);

/* ---- tickets ---- */

/* The ticket of everything decided so far: durable when all of it is. */
struct ticket store_ticket(const struct store *store);
/* The ticket of all changes of the catalogue and of queues decided so far, creations and deletions. */
struct ticket store_names_ticket(const struct store *store);
/* Somebody waits for this: it is to be synced as soon as possible. */
void store_want(struct store *store, struct ticket ticket);
enum ticket_state store_ticket_state(const struct store *store, struct ticket ticket);
/* The highest index of log 0 that is durable, for lists of waiters in order. */
uint64_t store_durable_index(const struct store *store);

/* ---- the catalogue: names that survive ---- */

/* There is no name and no queue: for who has just opened it. */
bool store_is_new(const struct store *store);
/* Keys and values are the caller's; a put replaces. */
void store_catalogue_put(struct store *store, struct bytes key, struct bytes value);
void store_catalogue_delete(struct store *store, struct bytes key);
/* Right after store_open: every entry in order of keys. Then the image is freed: once only. */
void store_catalogue_each(struct store *store,
                          void (*each)(void *context, struct bytes key, struct bytes value),
                          void *context);

/* ---- queues ---- */

/* A new id, never used before. A queue that does not survive a restart has the top bit set. */
uint64_t store_queue_id(struct store *store, bool survives);
/* The same for a queue of a group. */
uint64_t store_group_queue_id(struct store *store, uint64_t group);
#define STORE_ID_TRANSIENT ((uint64_t)1 << 63)
/* Ids of queues of groups (group_log.h) have this bit, and the number of the group. Such a queue begins, ends and
 * changes by group_log_apply alone, but that messages are taken; what is asked of it is proposed to its group. */
#define STORE_ID_GROUP ((uint64_t)1 << 62)
enum { STORE_GROUP_SHIFT = 36, STORE_GROUP_MAX = 4095 };
static inline bool store_is_of_group(uint64_t id)
{
    return id & STORE_ID_GROUP && !(id & STORE_ID_TRANSIENT);
}
static inline uint64_t store_group_of(uint64_t id)
{
    return id >> STORE_GROUP_SHIFT & STORE_GROUP_MAX;
}
/* A queue may have several indexes, its parts, each with an id of its own: that of the queue with the number
 * of the part in it. Part 0 has the id of the queue. By nothing else does the store know that they belong
 * together: each is made when it is needed, and is to be deleted when its queue is. */
enum { STORE_PARTS = 256, STORE_PART_SHIFT = 48 };
static inline uint64_t store_part_id(uint64_t queue, uint8_t part)
{
    return queue | (uint64_t)part << STORE_PART_SHIFT;
}
static inline uint8_t store_part(uint64_t id)
{
    return (uint8_t)(id >> STORE_PART_SHIFT);
}
static inline uint64_t store_part_queue(uint64_t id)
{
    return id & ~((uint64_t)(STORE_PARTS - 1) << STORE_PART_SHIFT);
}
/* Above all sequence numbers that there will ever be. */
#define STORE_SEQUENCE_MAX ((uint64_t)1 << 56)

/* The log that a confirm waits for of what is published to it: LOG_JOURNAL, or that of its group. */
uint32_t store_queue_log(const struct store *store, uint64_t id);
/* The log that who has put a name on record waits for. */
uint32_t store_names_log(const struct store *store);
/* Of a queue of a group: how many messages, and bytes of bodies, are to come into it when the group has
 * agreed on them. */
uint64_t store_queue_proposed(const struct store *store, uint64_t id, uint64_t *bytes);
/* The index of a queue: the recovered one for an id of the catalogue, else a new one. For a new id
 * that survives, the creation is recorded, or proposed to its group. `owner` is kept for the caller. */
struct index *store_queue(struct store *store, uint64_t id, void *owner);
/* The same, but NULL where there is none yet. */
struct index *store_queue_find(struct store *store, uint64_t id, void *owner);
/* Drops the queue and all in it; the index is gone at once, and the memory of its messages in the
 * turns that follow. */
void store_queue_delete(struct store *store, struct index *index);
/* Right after the catalogue was read: recovered indexes that nobody asked for are dropped, unless they are of
 * groups. */
void store_drop_orphans(struct store *store);

/* ---- messages ---- */

/* Puts a complete message at the end of each queue (distinct ones). It is recorded in the journal
 * when it is persistent and at least one of the queues survives. times[i] is when it ends in
 * queues[i], in ms since 1970, 0: never; NULL: it ends in none. They are on record with it, and
 * nothing here looks at a clock: index_expire. The store takes references of its own. Returns the
 * set of logs (1 << LOG_JOURNAL ...) that it is on record in: a confirm has to wait for what each of them has
 * decided by now. */
uint32_t store_publish_timed(struct store *store, struct message *message, struct index *const *queues,
                         const uint64_t *times, size_t count);
/* The same for one queue, where it ends at `ends_ms`. */
uint32_t store_publish_one(struct store *store, struct message *message, struct index *queue,
                       uint64_t ends_ms);
/* The same for a message that does not end. */
static inline uint32_t store_publish(struct store *store, struct message *message,
                                 struct index *const *queues, size_t count)
{
    return store_publish_timed(store, message, queues, NULL, count);
}

/* ---- a store that is only read: unwritten.c, check.c ---- */

/* As store_open, but nothing is written, and all that may be asked of it is what follows, its
 * catalogue, and store_abandon. */
struct store *store_open_unwritten(const struct store_options *options, char *error,
                                   size_t error_size);

struct store_message {
    struct message *message; /* NULL: its bytes are damaged */
    uint64_t ends_ms;        /* since 1970; 0: never */
    uint32_t delivery_count; /* times it came back */
    bool redelivered;
};

/* Tells of the messages of a queue, or of one of its parts, in order, as long as `each` gives true;
 * one at a time is in memory. Was it told all of them? */
bool store_messages_each(struct store *store, struct index *index,
                         bool (*each)(void *context, const struct store_message *message),
                         void *context);

struct store_contents {
    uint64_t queues, messages, bytes; /* bytes: of bodies */
};

/* What a store holds and whether it is sound, told line by line, without writing anything;
 * `contents` may be NULL. Returns 0 when it is sound, 1 when it is damaged, 2 when it cannot be
 * read. */
int store_check(const struct store_options *options, void (*print)(void *context, const char *line),
                void *context, struct store_contents *contents);

/* ---- a copy: backup.c, copy.c ---- */

/* While a folder gets a copy of a store, it has a file of this name, and is none yet. It begins with
 * one of these, which say who makes the copy. */
#define STORE_UNFINISHED "unfinished"
#define STORE_OF_BACKUP "backup\n"
#define STORE_OF_RESTORE "restore\n"
/* Makes that file, or writes it again, and takes it away when all else in the folder was synced. 0 or
 * an errno value. */
int store_copy_begin(struct disk *disk, const char *maker);
int store_copy_end(struct disk *disk);
/* What was copied becomes a store of its own, with the identity `id`: its files and those of the
 * store that they came from cannot be mixed. `kv` is its index, not open before and after. All of
 * it is synced, but for names of files. False: `error` says why, and it is no store. */
bool store_copy_adopt(struct disk *disk, struct kv *kv, const uint8_t id[16], char *error,
                      size_t error_size);

enum store_backup_state { STORE_BACKUP_GOES_ON, STORE_BACKUP_DONE, STORE_BACKUP_FAILED };

/* A copy of a store that goes on being used, with all that was durable when it began. It is the
 * caller's until `state` says that it has ended. */
struct store_backup {
    struct disk *disk;     /* where to; nothing of a store is there */
    struct kv *kv;         /* the same for the index; not open, before and after */
    struct worker *worker; /* that does nothing else */
    uint64_t spared_bytes; /* so much is left free there, as the store itself needs it; 0: none */
    /* Called by the worker, and both may be NULL: makes the name of the folder durable, and gives 0
     * or an errno value; removes what was made, when it failed. Else that stays, and says by the
     * file STORE_UNFINISHED that it is no store. */
    int (*sync_name)(void *context);
    void (*drop)(void *context);
    void *context;
    /* The caller's: why it is to end now, with which it fails unless it is done; NULL: it is not. */
    _Atomic(const char *) unwanted;
    enum store_backup_state state;
    char failure[300];        /* STORE_BACKUP_FAILED: why */
    uint64_t segments_total;  /* 0: it has not begun yet */
    _Atomic uint64_t segments; /* so many of them are there, */
    _Atomic uint64_t linked;   /* so many of these are the same file in both places */
    _Atomic uint64_t copied_bytes, index_bytes;
    struct backup_job *job; /* the store's */
};

/* Begins it; store_tick goes on with it. False: another one is under way, or the store has failed.
 * Checkpoints wait for its end. */
bool store_backup(struct store *store, struct store_backup *backup);

/* ---- salvage: salvage.c ---- */

/* Who is told. All strings are valid during the call. */
struct salvage {
    void (*say)(void *context, const char *line);      /* a line of the report */
    void (*damaged)(void *context, const char *name);  /* a file is damaged; once for each */
    void *context;
};

/* Opens a store that store_open refuses, with all that is sound. `options->kv` is a new, empty one for
 * its index; `old` is the index as it is, open, or NULL. Nothing on the disk is changed before
 * store_salvage_write; what is found is told. NULL: it cannot be done at all, `error` says why. The
 * catalogue has to be read as after store_open; then store_close makes all of it durable. */
struct store *store_salvage(const struct store_options *options, struct kv *old, uint64_t now_ms,
                            const struct salvage *salvage, char *error, size_t error_size);
/* Headers of segments and the identity are made whole, in place. 0 or an errno value. */
int store_salvage_write(struct store *store);
/* Every queue that was found. */
void store_queues_each(struct store *store, void (*each)(void *context, struct index *index),
                       void *context);

#endif
