/* What the files of the store share, and nobody else sees. */
#ifndef LEVERET_STORE_INTERNAL_H
#define LEVERET_STORE_INTERNAL_H

#include <assert.h>

#include "store/chunk.h"
#include "store/journal.h"

/* What an operator does about a store that does not open. */
#define NEXT_STEP                                                                                \
    "nothing was changed; restore the data directory from a copy, or take what is sound of it with " \
    "leveretd --salvage; see leveret-store(7)"
/* ... and about one that is newer. */
#define NEXT_VERSION "nothing was changed; start the version that wrote it, or a later one"
#define NEWER_NAMES "the store has a name that was written by a newer version; " NEXT_VERSION

/* ---- indexes: index.c ---- */

struct index *index_new(struct store *store, uint64_t id);
/* The queue is gone at once; what its entries hold is released bit by bit (release.c), and chunks that
 * are cold wait among the dead until their blob was read. */
void index_drop(struct index *index);
void index_forget(struct index *index);
/* A message at the end, which ends at `expires_ms`; 0: never. */
uint64_t index_push(struct index *index, struct message *message, uint64_t expires_ms,
                    uint8_t flags);
/* The same in recovery, by place and with a given sequence number. */
void index_restore(struct index *index, const struct destination *destination, struct place place,
                   const struct message_payload *payload);
/* The same in any order; one that is there gets the new place. */
void index_insert(struct index *index, const struct destination *destination, struct place place,
                  const struct message_payload *payload);
/* The chunk has a message that ends then; 0: never. */
void chunk_note_time(struct chunk *chunk, uint64_t expires_ms);
/* The same for all live messages of a chunk in memory, and no others. */
void chunk_note_times(struct chunk *chunk);
/* Settles in recovery. */
void index_replay_settle(struct index *index, uint64_t first, uint64_t count);
/* The group of the queue has agreed on this mark, or a higher one. */
void index_mark(struct index *index, uint64_t mark);
/* A ready message of the chunk waits; its time is known. */
void index_restore_delayed(struct index *index, struct chunk *chunk, uint32_t slot);
/* A message that came back, if it is there. */
void index_replay_returned(struct index *index, uint64_t sequence, uint32_t count,
                           uint64_t until_ms);
struct chunk *index_chunk(struct index *index, uint64_t sequence);
/* An empty last chunk goes. */
void index_drop_empty(struct index *index, struct chunk *chunk);
void index_add_chunk(struct index *index, struct chunk *chunk);
/* The live entry of a message whose chunk is in memory; NULL: settled. *chunk is its chunk, which
 * may be cold, when the result is NULL too. */
struct entry *index_entry(struct index *index, uint64_t sequence, struct chunk **chunk);
/* Makes it appear on the list of those awake. */
void index_wake(struct index *index);
/* Its owner hears of it by store_take_awake, as there is something new in it. */
void index_has_news(struct index *index);
/* What the next checkpoint says of the index, or of the chunk, is another thing than what the last one
 * said; of those that do not survive it says nothing. The first of each two is for the second. */
void index_change(struct index *index);
static inline void index_changed(struct index *index)
{
    if (!index->is_dirty && !(index->id & STORE_ID_TRANSIENT))
        index_change(index);
}
void chunk_change(struct store *store, struct chunk *chunk);
/* What the settled entries hold that are still there, as the blob has them, is given back: it is to be written
 * anew, or nothing is left of it. */
void chunk_release_ended(struct store *store, struct chunk *chunk);
static inline void chunk_changed(struct store *store, struct chunk *chunk)
{
    if (!chunk->is_changed && !(chunk->queue_id & STORE_ID_TRANSIENT))
        chunk_change(store, chunk);
}
/* An entry in memory was made, was changed or is gone: its blob does not have it so, one that is
 * being written neither, and the next checkpoint has to say so. */
static inline void entry_changed(struct store *store, struct chunk *chunk)
{
    assert(chunk->entries && (!chunk->is_stale || !chunk->ended_bits));
    chunk->version++;
    if (__builtin_expect(chunk->ended_bits != NULL, 0))
        chunk_release_ended(store, chunk);
    chunk->is_stale = true;
    chunk_changed(store, chunk);
}
/* The entries of a cold chunk came into memory: its queue's bytes are exact again, as far as it goes. */
void chunk_weighed(struct chunk *chunk);
/* A ready message of a chunk of the index, with a body of so many bytes, is not ready any more. */
static inline void index_unready(struct index *index, struct chunk *chunk, uint32_t slot,
                                 uint64_t bytes)
{
    bit_clear(chunk->ready_bits, slot);
    chunk->ready--;
    index_count(index, -1, 0, -(int64_t)bytes);
}
enum { MESSAGE_ABOUT = 128 }; /* memory of a message beside its body */

/* What a live entry holds is given back; its bits are the caller's business. */
void entry_release(struct store *store, struct chunk *chunk, struct entry *entry);
/* The message is in memory again, or first: the entry takes the reference. */
void entry_set_message(struct store *store, struct chunk *chunk, struct entry *entry,
                       struct message *message);

/* ---- out of memory and back: spill.c, reader.c ---- */

struct spill_job {
    struct job job;
    struct store *store;
    struct chunk *chunk; /* NULL: it went meanwhile */
    uint32_t version;
    uint64_t key;
    struct buffer batch;
    int result;
};

struct load_job {
    struct job job;
    struct store *store;
    struct chunk *chunk;
    uint64_t began_ms;
    uint64_t key;
    bool is_transient;
    struct buffer value;
    int result;
};

struct read_item {
    uint64_t sequence;
    uint32_t offset, size; /* of the record */
    const uint8_t *bytes;  /* of the record, in the job's data; NULL: damaged */
    struct message *message; /* a large one, made on the reader's side and not taken yet */
};

/* Items whose records are neighbours, so that one call reads them. */
struct read_run {
    struct segment *segment;
    uint64_t start, end; /* in the segment; `start` is that of a block */
    size_t from, to;     /* items */
};

struct read_job {
    struct job job;
    struct store *store;
    uint64_t queue_id;
    struct read_item *items;
    size_t count, capacity;
    struct read_run *runs;
    size_t runs_count, runs_capacity;
    uint8_t *data; /* whole blocks of every run */
    uint64_t data_size;
    uint64_t size; /* of the records */
    uint64_t bytes; /* of the runs, while it is under way */
    int error; /* of the disk */
    uint64_t used_ms; /* while it is spare */
};

void spill_tick(struct store *store);
/* Is there something for the next one? */
bool spill_has_to_look(const struct store *store);
/* Asks for a cold chunk; harmless when it was asked for already. */
void chunk_load(struct store *store, struct chunk *chunk);
/* Somebody waits for its entries, and asks again: loads them, and they stay for a while. */
void chunk_want(struct store *store, struct chunk *chunk);
/* A message was taken from a chunk. One that was away before is soon needed again. */
void chunk_used(struct store *store, struct chunk *chunk);
/* A message of a cold chunk was settled: what its entry holds in a segment cannot be released yet.
 */
void chunk_unreleased(struct store *store, struct chunk *chunk);
/* Takes in the entries of a cold chunk that were read from its blob. False: damaged. */
bool chunk_thaw(struct store *store, struct chunk *chunk, struct bytes blob);
/* Reads them first, which may block: for a start and a check. 1: done; KV_DAMAGED: the blob is lost;
 * -1: it cannot be read. */
int chunk_thaw_now(struct store *store, struct chunk *chunk);
void blob_key(uint8_t key[9], uint64_t blob, bool is_transient);
/* Forgets a blob: it is deleted with the next checkpoint. */
void blob_drop(struct store *store, struct chunk *chunk);
void blob_dead(struct store *store, uint64_t blob, bool is_transient);
/* A dead chunk in memory goes; one that is cold waits for its blob. */
void chunk_discard(struct store *store, struct chunk *chunk);
void chunk_cache(struct store *store, struct chunk *chunk);
/* One that is there has room for more slots. */
void chunk_grow_cached(struct store *store, struct chunk *chunk, uint32_t capacity);
/* Its entries leave memory; the blob has them all. */
void chunk_cool(struct store *store, struct chunk *chunk);

enum { READ_BYTES = 1 << 20 }; /* of one job */

/* What follows reads for an index that waits, or is about to. Where too much is being read for others, the
 * index stands in line, and is woken to ask again. */
/* Reads the bodies of ready messages from `sequence` on. */
void read_ahead(struct index *index, uint64_t sequence);
/* The same from where it stopped, for one that does not wait yet; it is not done while others may need it
 * more. */
void read_early(struct index *index);
/* Loads a chunk. */
void read_chunk(struct index *index, struct chunk *chunk);
/* Reads one that is taken, and some of those behind it. */
void read_one(struct index *index, uint64_t sequence);
void read_free(struct read_job *job);
/* Frees the memory of a job that was kept for the next one, and that none took for a while. */
void read_spare_free(struct store *store);
/* A read failed, and the index waits, or is about to: it is woken at that time, to ask again. */
void index_retry_read(struct index *index, uint64_t until_ms);
/* Wakes those whose time has come, or whose turn it is. */
void reads_retry(struct store *store);
/* May more be read? */
bool reads_have_room(const struct store *store);

/* ---- sift.c ---- */

/* Goes through the sound records of a segment, whatever is damaged between them. */
struct sift {
    struct files *files; /* the caller's; all else begins as zeros */
    uint32_t segment;
    uint64_t at, end;          /* what is looked at next, and where to stop */
    struct batch_header batch; /* the one it is in; number 0: its header is bad */
    uint64_t batch_end;        /* 0: it is in none */
    uint32_t left;             /* records of it to come ... */
    bool is_counted;           /* ... if that is known */
    uint64_t bad_at, bad_size; /* after SIFT_BAD */
    uint64_t vain;             /* bytes that were checksummed and not sound */
    uint64_t read_bytes;       /* only rises */
    uint8_t *data; /* bytes from `start` on */
    uint64_t start, got, capacity;
    int error; /* of the disk: what could not be read counts as bad */
};

enum sift_result {
    SIFT_BATCH,  /* a sound header: `batch` */
    SIFT_RECORD, /* a sound record, which is valid until the next call */
    SIFT_BAD,    /* `bad_size` bytes at `bad_at` that are not sound */
    SIFT_END,
};

/* `end`: where what means something ends in it. */
void sift_begin(struct sift *sift, uint32_t segment, uint64_t end);
enum sift_result sift_next(struct sift *sift, struct record *record);
void sift_free(struct sift *sift);

/* ---- group_log.c ---- */

enum { GROUP_BLOCK_ENTRIES = 256 };

/* Where an entry lies. */
struct log_entry {
    uint64_t term;
    uint32_t segment, offset; /* of its record; segment 0: it has no place yet */
    uint32_t size;            /* of that and its contents */
    uint32_t chain;
    uint8_t kind;
};

struct log_block {
    bool is_changed; /* since the last checkpoint */
    bool is_named;   /* the last checkpoint has it */
    struct log_entry entries[GROUP_BLOCK_ENTRIES]; /* by index, the first being a multiple */
};

struct fetched {
    struct log_head head;
    size_t from, size; /* of the contents, in group_log->fetched */
};

/* What is decided about the queues of a group, and not appended to its log yet: proposal.c. */
struct proposal {
    struct idmap led;       /* struct led, by the queue's id */
    struct list settling;   /* of these, those of which something is settled or comes back */
    struct destination *destinations; /* of the message that is being published */
    uint32_t destinations_count;
    size_t destinations_capacity;
    struct list addressed_link; /* on groups->addressed, if it has some */
    struct buffer contents; /* but for large messages */
    size_t taken;           /* bytes of it that were proposed */
    struct list large;      /* struct large_message, in order */
    uint64_t large_bytes;   /* of contents that they are, or will be */
    uint64_t before;        /* bytes that were proposed, and are forgotten */
    uint64_t names_decided; /* what group_log_decided was after the last change of a name */
};

enum { PROPOSAL_KEPT = 1 << 20 };

struct group_log {
    struct store *store;
    uint64_t group;
    struct proposal proposal;
    bool leads;   /* this broker decides for its queues */
    uint8_t wait; /* LOG_JOURNAL + 1 ...: what who waits for it calls it */
    uint64_t vote_term, vote;
    uint64_t floor, floor_term;
    uint32_t floor_chain;
    struct buffer note;
    uint64_t last, commit, durable;
    uint64_t applied; /* by the state */
    uint64_t cuts;
    uint64_t size; /* of all entries in the journal */
    bool is_changed; /* beside its entries */
    struct log_block **blocks; /* from number blocks_first on */
    uint64_t blocks_first;
    size_t blocks_count, blocks_capacity;
    struct bracket **recent; /* the last entries: recent_count from recent_at on */
    size_t recent_at, recent_count, recent_capacity;
    struct log_read_job *reading; /* NULL: none */
    struct fetched *fetched_at;   /* entries from fetched_first on, that were read */
    size_t fetched_count, fetched_capacity;
    uint64_t fetched_first;
    struct buffer fetched;
    struct shared *fetched_large; /* instead: has the one at fetched_first; NULL: none */
    bool is_unreadable; /* the one at fetched_first */
};

struct log_read_job {
    struct job job;
    struct store *store;
    struct group_log *log; /* NULL: it is gone */
    struct segment *segment;
    uint64_t index, cuts;
    uint64_t offset, size, got;
    uint8_t *data;
    int error;
    bool is_large; /* the entry: nothing else is read with it */
    bool is_alone; /* it has one record: what it says, and its contents, in `data` */
    struct entry_payload payload;
    struct bytes contents;
};

/* GROUP_ITSELF: not a block, but what is said of the group. */
#define GROUP_ITSELF UINT64_MAX
struct dead_group_name {
    uint64_t group, block;
};

/* All of them. */
struct groups {
    struct idmap by_number;
    struct list recent;   /* brackets in the order of their making */
    struct list unplaced; /* of these, those whose place was not noted */
    struct list addressed; /* logs that the message goes to which is being published */
    struct group_log *names; /* that has the catalogue; NULL: it is this broker's alone */
    uint64_t recent_bytes;
    bool keeps_filling; /* store_keep_filling */
    struct dead_group_name *dead;
    size_t dead_count, dead_capacity;
};

/* ---- what a leader decides: proposal.c ---- */

void proposal_init(struct proposal *proposal);
void proposal_free(struct message_pool *pool, struct proposal *proposal);
/* May messages be taken from this queue of a group? */
bool group_may_take(const struct index *index);
/* The message that is published next goes to this queue. */
void propose_to(struct index *index, uint64_t ends_ms);
/* Each of these is put into the next entry of the queue's group. The first goes to all queues that propose_to
 * has named, and returns a set of logs. */
uint32_t propose_message(struct store *store, struct message *message);
/* The sequence number of the message that is proposed next. */
uint64_t propose_next(const struct index *index);
void propose_settle(struct index *index, uint64_t sequence);
/* Was that proposed, while the index's ends_are_known, and is not applied yet? */
bool propose_is_ending(const struct index *index, uint64_t sequence);
void propose_returned(struct index *index, uint64_t sequence, uint32_t count, uint64_t until_ms);
/* Is it proposed that the message waits, and not applied yet? */
bool propose_is_delaying(const struct index *index, uint64_t sequence);
/* How often it has come back, if that is decided, and not applied yet. */
bool propose_count(const struct index *index, uint64_t sequence, uint32_t *count);
/* May this message be delivered, as the group has agreed that it may have been? Else that is proposed. */
bool propose_mark(struct index *index, uint64_t sequence);
/* A change of the catalogue, which is a group's. */
void propose_name(struct store *store, enum record_type type, struct bytes payload);
void propose_queue(struct index *index);
void propose_drop(struct index *index);
/* What was proposed is applied. Was the queue's beginning proposed here? */
bool led_begins(struct store *store, uint64_t id);
/* A message of so many bytes has come. */
void led_comes(struct store *store, uint64_t id, uint64_t bytes);
void led_ends(struct store *store, uint64_t id);
void led_returned(struct index *index, uint64_t sequence);
void led_settled(struct index *index, uint64_t first, uint64_t count);

void groups_init(struct groups *groups);
void groups_free(struct store *store);
/* Once a turn, and before an image is taken: notes the places of what was sealed, and lets go of what takes
 * too much memory. */
void groups_tick(struct store *store);
/* A record of a group at a start; `rest` is what lies behind it in its batch. *records, and *size bytes, of
 * that are its contents. NULL, or what makes no sense about it. */
const char *group_replay(struct store *store, const struct record *record, struct bytes rest,
                         uint32_t *records, uint32_t *size);
const struct log_entry *group_log_entry(const struct group_log *log, uint64_t index);
/* Reads it, which may block: for a check. */
bool group_log_is_sound(struct group_log *log, uint64_t index);
/* What an image says of a group, and of a block of its entries (false: none of them is in the log). */
void group_encode(struct group_log *log, struct buffer *value);
bool group_decode(struct store *store, uint64_t group, struct bytes value);
bool group_block_encode(struct group_log *log, uint64_t number, struct buffer *value);
/* Blocks come in order, behind their group. */
bool group_block_decode(struct store *store, uint64_t group, struct bytes value);
/* The next checkpoint does not have it. */
void group_name_dead(struct store *store, uint64_t group, uint64_t block);

/* ---- mend.c ---- */

struct mend_want {
    struct chunk *chunk;
    uint64_t queue, base;
    uint32_t slots, capacity;
    struct entry *entries; /* what was found */
    uint64_t *present;
};

struct mend_source {
    struct segment *segment;
    uint32_t number;
    uint64_t end;
    bool has_begun, is_bad;
};

/* Searches the journal for the entries of chunks. */
struct mend_job {
    struct job job;
    struct store *store;
    struct mend_want *wants;
    size_t wants_count;
    struct mend_source *sources;
    size_t sources_count, at;
    struct sift sift;
};

struct mending {
    struct chunk **chunks; /* those that wait for the next job */
    size_t count, capacity;
    bool is_busy;
};

/* The blob of a cold chunk is lost: its entries are taken from the journal, later or at once; what is
 * not found there is set aside. */
void mend_later(struct store *store, struct chunk *chunk);
void mend_now(struct store *store, struct chunk *chunk);
void mend_tick(struct store *store);
/* ---- release.c ---- */

/* The chunk leaves its queue with all that is live in it. Settles are the caller's business. */
void chunk_condemn(struct store *store, struct chunk *chunk);
/* Releases what such chunks hold: some of it; or all, as nothing that is held may be written down for
 * a queue that does not have it. */
void release_tick(struct store *store);
void release_all(struct store *store);

/* ---- memory.c ---- */

/* Finds what has not been needed for a while, and gives a piece of it back; and when to call it next. */
void memory_tick(struct store *store);
uint64_t memory_next_ms(const struct store *store);

/* ---- anchor.c ---- */

#define ANCHOR_NAME "anchor"

/* Both give 0 or an errno value. */
int anchor_write(struct disk *disk, uint64_t number);
/* *number is 0 when there is none; ENOTSUP: it is of a newer version. */
int anchor_read(struct disk *disk, uint64_t *number);

/* ---- checkpoint.c, image.c ---- */

/* The one before it did not say how many bytes a chunk's messages have. */
enum { CHECKPOINT_VERSION = 3, CHECKPOINT_VERSION_READ = 2 };
/* One that has groups. */
enum { CHECKPOINT_VERSION_GROUPS = 4 };
/* The kinds of pairs that are in the sum of an image, in the order in which they are read. */
#define IMAGE_KINDS "SQDNGE"

struct checkpoint_job {
    struct job job;
    struct store *store;
    struct buffer batch, header;
    size_t previous_at;  /* in the header: the checksum of the last batch, */
    bool lacks_previous; /* which is large, and its bytes are not made yet */
    uint64_t number;  /* of the checkpoint: one more than that of the one before */
    uint64_t sum;     /* of the image before, and when it is sealed of this one */
    bool is_sealed;
    uint64_t durable; /* the batch that must be durable first */
    uint64_t blob_first, blob_last; /* keys of the blobs in it: not to be had before it is written */
    bool is_submitted;
    uint64_t submitted_ms;
    /* While it is a draft: */
    struct list chunks, queues; /* that had changed when it began, and were not looked at */
    bool has_names, has_dead, is_drafted;
    int result;
    int error; /* of the disk */
    /* Afterwards: files that go */
    struct segment **retired;
    size_t retired_count;
    uint32_t recycle; /* how many of them may be kept */
    uint32_t recycled;
    uint32_t kept[SPARES_MAX]; /* those that were */
};

struct dead_name {
    uint64_t queue, base;
};

/* Is there anything that the last one does not say? */
bool checkpoint_has_news(const struct store *store);
/* Wanted, and drafted: the image is to be taken as soon as the filling batch is empty. */
bool checkpoint_is_due(const struct store *store);
/* When the next one is, if anything changes. */
uint64_t checkpoint_due_ms(const struct store *store);
/* Puts some of what will be in the next image into its batch, if one is wanted. */
void checkpoint_draft(struct store *store);
/* Is there more of that to be done? */
bool checkpoint_is_drafting(const struct store *store);
/* Takes the image; the filling batch is empty. */
void checkpoint_begin(struct store *store);
void checkpoint_tick(struct store *store);
/* The image that was taken behind a large batch gets its checksum, when that is made. */
void checkpoint_previous(struct store *store);
/* Adds the header with the sum of the image to the batch; on the indexer's side. 0, or -1 and the
 * key-value store says why. */
int image_seal(struct checkpoint_job *job);
enum { IMAGE_OTHER_VERSION = -2 };
/* Reads the header: 1: done; 0: there is none; -1: error, or IMAGE_OTHER_VERSION. */
int image_header(struct store *store, struct position *position, uint64_t *sum, char *error,
                 size_t error_size);
/* What a pair adds to the sum. */
uint64_t image_weight(struct bytes sealed);
/* Reads the image into an empty store. 1: done; 0: there is none; -1: error. */
int checkpoint_load(struct store *store, struct position *position, char *error, size_t error_size);
/* Deletes blobs that no checkpoint names: of queues that did not survive, and spilled after the last
 * one. */
int checkpoint_sweep(struct store *store);
void checkpoint_free(struct checkpoint_job *job);
void chunk_name_dead(struct store *store, struct chunk *chunk);

/* Closes the files of segments that are gone. */
struct forget_job {
    struct job job;
    struct store *store;
    size_t count;
    uint32_t numbers[];
};

/* ---- names.c ---- */

struct name_change {
    struct bytes key;
    struct bytes value;
    bool is_delete;
    uint8_t data[];
};

void name_change(struct store *store, struct map *map, struct bytes key, struct bytes value,
                 bool is_delete);
void names_free(struct map *map);
/* Of those of the image, as the store's opener tells. */
bool has_newer_names(const struct store *store);

/* ---- apply.c ---- */

/* Does what the record says, of the journal, or of an entry that a group has agreed on: neither speaks of the
 * queues of the other. NULL, or what makes no sense about it. */
const char *apply_record(struct store *store, const struct record *record, bool is_of_group);

/* ---- replay.c ---- */

struct replay_report {
    uint64_t batches, records, messages, settles, catalogue;
    uint64_t said;   /* the last batch with records */
    uint64_t stated; /* the highest sync mark */
    uint64_t cut_segment, cut_offset; /* where a tail was cut; 0: nowhere */
    uint64_t cut_bytes;               /* about: as far as there is something */
    uint64_t known; /* a checkpoint, a mark or the identity tells that all up to this batch was synced */
};

/* Finds the segments there are, and reads their headers. `strict`: all that must be there are. */
bool segments_find(struct store *store, bool strict, char *error, size_t error_size);
/* After segments_find: something took the header that it is known to have had, and so what was behind it. */
bool segment_lost_header(const struct store *store, const struct segment *segment);
/* Writes the header of a segment that is headless anew. 0 or an errno value. */
int segment_mend(struct store *store, struct segment *segment);
/* From the position to the end of the journal. False, with an error, when it is damaged. */
bool replay(struct store *store, struct position *position, bool repair,
            struct replay_report *report, char *error, size_t error_size);

/* ---- unwritten.c ---- */

/* As store_open, but nothing is written. 0; 1: it is damaged; 2: it cannot be read. */
int unwritten_open(const struct store_options *options, struct replay_report *report,
                   struct store **opened, char *error, size_t error_size);

/* ---- compact.c ---- */

struct scan_job {
    struct job job;
    struct store *store;
    struct segment *segment;
    uint64_t offset;
    uint8_t *data;
    uint64_t size, got;
    int error;
};

struct compaction {
    struct segment *segment; /* NULL: none */
    uint64_t offset;         /* next byte to look at */
    uint64_t batch_end;      /* end of the batch it is in */
    uint32_t batch_records;  /* records left in it */
    struct scan_job *scan;   /* being read, or read */
    bool is_reading;
};

void compact_tick(struct store *store);
void compact_stop(struct store *store);

/* What is kept in memory, and what is on its way out of it or back: spill.c, reader.c, release.c,
 * memory.c. */
struct memory {
    struct slab slab; /* of chunks */
    uint64_t aged_ms; /* when free memory was last looked at */
    struct list bodies;     /* chunks: bodies_link, oldest first */
    struct list cache;      /* chunks: cache_link, oldest first; none that is little */
    struct list dead;       /* chunks: cache_link: cold, and nothing live in them */
    struct list condemned;  /* chunks: cache_link: with entries, but without a queue */
    struct list unreleased; /* chunks: cache_link: cold, and most of their entries are unreleased */
    uint64_t cache_used;    /* bytes of entries in memory, of chunks that have a queue; */
    uint64_t little_used;   /* and of those of them that are little */
    uint64_t recorded_bytes;   /* of bodies in memory that survive a restart, once for each queue */
    bool has_idle_bodies;      /* more than were sent away in the last turn */
    uint64_t bodies_looked_ms; /* when it was last tried to have less of them */
    uint64_t bodies_looked_at; /* slots that were looked at for that, ever */
    uint32_t spilling, loading;  /* jobs under way */
    struct read_job *read_spare; /* with its memory, for the next one; NULL: none */
    struct list read_waiters;    /* indexes: wait_link: what they need cannot be read now */
    uint64_t read_retry_ms;      /* when those are woken, to ask again */
    uint32_t reading;            /* jobs under way; */
    uint64_t reading_bytes;      /* what these read */
    struct list reading_line;    /* indexes: wait_link: too many are being read for others */
    struct outage index_writes, index_reads;
};

/* What the next checkpoint has to say, and the one that is under way: checkpoint.c, image.c,
 * names.c. */
struct image {
    struct list changed_chunks, changed_indexes;
    struct map changed_names; /* name_change since the last checkpoint */
    struct map catalogue;     /* all names, from open to store_catalogue_each */
    bool is_catalogue_read;   /* which was called */
    uint64_t blob_last;       /* key of the last blob that was written */
    uint64_t *dead_blobs;     /* keys; the top bit tells transient ones */
    size_t dead_blobs_count, dead_blobs_capacity;
    struct dead_name *dead_names;
    size_t dead_names_count, dead_names_capacity;
    uint64_t *dead_queues;
    size_t dead_queues_count, dead_queues_capacity;
    struct checkpoint_job *job;   /* under way; NULL: none */
    struct checkpoint_job *draft; /* the next one; NULL: none */
    uint64_t number;              /* of the last one that is durable; 0: none */
    uint64_t sum;                 /* of its image */
    uint64_t began_ms;            /* when the last one began */
    bool is_missed;               /* one was due behind a large batch, and not taken */
    bool is_changed; /* there is something to write down, beside what the journal has */
    struct outage writes;
    uint32_t *missing; /* segments that the last checkpoint knows, which are gone and not needed */
    size_t missing_count;
    bool is_nameless; /* at start: the index has its identity, and that is bad */
    bool is_adrift;   /* at start: the anchor does not know the checkpoint */
};

/* ---- a copy: backup.c ---- */

/* Once a turn, between two writes. */
void backup_tick(struct store *store);
/* Do checkpoints have to wait for one? */
bool backup_holds(const struct store *store);
/* It is done, or given up: the store is being closed. */
void backup_finish(struct store *store);

struct store {
    struct store_options options;
    uint64_t now_ms;
    struct store_stats stats;
    struct journal journal;
    struct memory memory;
    struct image image;
    struct groups groups;
    struct idmap indexes;
    uint64_t id_last, id_last_transient;
    struct list awake;        /* indexes: wait_link */
    struct list mark_waiters; /* indexes: wait_link */
    struct list changed;      /* indexes: changed_link */
    uint64_t marked;          /* the batch that was durable when they were last looked at */
    struct mending mending;
    struct compaction compaction;
    uint64_t compact_ms; /* when to look for the next one */
    struct store_backup *backup; /* under way; NULL: none */
    struct destination *scratch; /* destinations of the message being recorded */
    size_t scratch_capacity;
};

/* A chunk with fewer slots is not worth a blob. */
enum { SPILL_SLOTS_MIN = 32 };

/* Does it stay in memory while it does not grow? Nobody looks at it, as there may be one in each of very many
 * queues. */
static inline bool chunk_is_little(const struct store *store, const struct chunk *chunk)
{
    return chunk->capacity < SPILL_SLOTS_MIN && store->options.chunk_entries > SPILL_SLOTS_MIN;
}

/* Bytes of entries in memory that could leave it. */
static inline uint64_t cache_large(const struct store *store)
{
    return store->memory.cache_used - store->memory.little_used;
}

/* A message that survives comes into memory, or leaves it. */
static inline void entry_count_recorded(struct store *store, const struct entry *entry,
                                        bool is_added)
{
    if (!(entry->flags & ENTRY_RECORDED))
        return;
    uint64_t bytes = (uint64_t)entry->message->body_size + MESSAGE_ABOUT;
    assert(is_added || store->memory.recorded_bytes >= bytes);
    store->memory.recorded_bytes += is_added ? bytes : -bytes;
}

/* The entry has the place of its message instead of that. */
static inline void entry_set_place(struct store *store, struct chunk *chunk, struct entry *entry)
{
    struct message *message = entry->message;
    struct place place = message_place(message);
    assert(entry->flags & ENTRY_MESSAGE && chunk->bodies > 0);
    entry_count_recorded(store, entry, false);
    entry->destinations = message->destinations;
    entry->segment = place.segment;
    entry->offset = place.offset;
    entry->size = place.size;
    entry->flags &= (uint8_t)~ENTRY_MESSAGE;
    if (--chunk->bodies == 0)
        list_remove(&chunk->bodies_link);
    message_unref(store->options.pool, message);
}

/* What the workers have done. */
void store_take_finished(struct store *store);
/* Without files and contents. */
struct store *store_new(const struct store_options *options, uint64_t now_ms);
/* No new queue has this id, or that of the queue that it is a part of. */
void store_id_is_used(struct store *store, uint64_t id);
/* Drops a queue without a record of it. */
void store_queue_delete_recovered(struct store *store, struct index *index);
/* A store that is new, or of an earlier version, gets an identity. 0 or an errno value. */
int store_give_identity(struct store *store);
struct destination *store_scratch(struct store *store, size_t count);

#endif
