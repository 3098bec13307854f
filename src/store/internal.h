/* What the files of the store share, and nobody else sees. */
#ifndef LEVERET_STORE_INTERNAL_H
#define LEVERET_STORE_INTERNAL_H

#include "base/map.h"
#include "base/planted.h"
#include "store/chunk.h"
#include "store/files.h"
#include "store/outage.h"
#include "store/record.h"
#include "store/store.h"

/* What an operator does about a store that does not open. */
#define NEXT_STEP                                                                                \
    "nothing was changed; restore the data directory from a copy, or take what is sound of it with " \
    "leveretd --salvage; see leveret-store(7)"

enum job_kind {
    JOB_WRITE,
    JOB_CHECKPOINT,
    JOB_RESERVE,
    JOB_RELEASE,
    JOB_SPILL,
    JOB_LOAD,
    JOB_READ,
    JOB_SCAN,
    JOB_MEND,
    JOB_FORGET,
};

/* ---- segments: segment.c ---- */

struct segment {
    uint32_t number;
    uint64_t size;       /* where the next batch goes */
    uint64_t first_batch;
    uint64_t last_batch; /* 0: none yet */
    uint64_t live_entries; /* entries of queues that point in here */
    uint64_t live_bytes;
    uint64_t kept_entries; /* of these, those that survive a restart */
    uint64_t kept_bytes;
    uint32_t readers; /* jobs that read it now */
    bool is_retiring; /* nothing live; goes when the next checkpoint is durable */
    bool is_gone;
    bool is_found; /* at start: the file is there */
    bool is_headless; /* at start: its header is bad; first_batch is known from its first batch, or 0 */
    bool is_damaged;  /* while it is salvaged: something in it is */
    bool was_compacted; /* tried, and what is left cannot be moved */
    struct list link; /* store->segments, by number */
};

void segment_name(char name[32], uint32_t number);
void spare_name(char name[32], uint32_t number);
/* The number in a name that segment_name made; 0: it is none. */
uint32_t segment_number(const char *name);
uint32_t spare_number(const char *name);
struct segment *segment_find(struct store *store, uint32_t number);
struct segment *segment_add(struct store *store, uint32_t number);
/* An entry that holds 1/destinations of the record at `place` comes or goes. */
void segment_hold(struct store *store, struct place place, uint32_t destinations, bool kept);
void segment_release(struct store *store, struct place place, uint32_t destinations, bool kept);
void segment_free(struct store *store, struct segment *segment);
/* A reader is done with it; one that is gone is freed by the last. */
void segment_unread(struct store *store, struct segment *segment);
/* Bytes of all segments. */
uint64_t segments_bytes(const struct store *store);

/* ---- the filling batch: batch.c ---- */

struct pending {
    struct message *message; /* a reference; NULL: no message, or elided */
    enum record_type type;
    bool is_elided;
    uint32_t at, size; /* the payload, or the start of it, in batch->bytes */
};

enum { INSERT_MIN = 16384 }; /* bodies from here on are written from where they lie */

/* Settled sequence numbers of one queue, as the payload of its record but for the last range. */
struct settles {
    uint64_t queue;
    uint64_t first, count; /* the range that still grows */
    uint64_t end;          /* of the range before */
    struct buffer ranges;
};

struct batch {
    struct list link; /* in store->spent */
    uint64_t number;
    struct pending *records;
    uint32_t count, capacity;
    uint32_t elided;
    struct settles *settles;
    uint32_t settles_count, settles_capacity;
    struct buffer bytes;
    uint64_t size;     /* what it will take on disk, about */
    uint64_t records_size; /* what its records will take, exactly */
    uint64_t inserts_size; /* of this, long bodies */
    uint64_t since_ms; /* when its first record came */
};

bool batch_is_empty(const struct batch *batch);
/* Appends a message record for `count` destinations that are live now. */
void batch_add_message(struct store *store, enum record_type type, struct message *message,
                       const struct destination *destinations, uint32_t count);
/* Drops the record of a message none of whose destinations is live any more. */
void batch_elide(struct store *store, struct message *message);
void batch_add_settle(struct store *store, struct index *index, uint64_t first, uint64_t count);
/* Any other record. */
void batch_add(struct store *store, enum record_type type, struct bytes payload);
void batch_forget_settles(struct store *store, struct index *index);
/* Turns the settled numbers into records; right before sealing. */
void batch_close_settles(struct store *store);
void batch_free(struct store *store, struct batch *batch);

/* ---- the journal: journal.c ---- */

enum { SPARES_MAX = 64 };

/* A sealed batch on its way to the disk. One at a time. Of a large one the owner only says what lies
 * where, and that over several turns; the syncer makes its bytes. */
struct write_job {
    struct job job;
    struct store *store;
    struct disk *disk;
    struct segment *segment;
    struct disk_file *file;   /* of the segment, once it is open */
    struct disk_file *before; /* the segment before: to be synced and closed; or NULL */
    uint32_t cut;             /* the number of the segment before; 0: it need not be cut */
    uint64_t cut_size;        /* ... to this size: what lies behind is of no use to anybody */
    uint64_t free_bytes; /* afterwards: space that is left */
    char create[32];          /* the segment must be made first */
    char recycle[32];         /* ... from this file */
    uint8_t header[SEGMENT_HEADER];
    uint8_t *block; /* memory that begins like a block of the disk */
    size_t block_size;
    uint64_t used_ms;     /* when it was last needed */
    uint8_t *bytes;       /* in it, where the batch begins in its block: the batch, but for long bodies */
    size_t bytes_size;
    struct {
        size_t at; /* where in `bytes` */
        struct bytes part;
    } *inserts; /* long bodies, by place */
    size_t inserts_count, inserts_capacity;
    struct message **pinned; /* the messages of these, unless the batch is large and pins them */
    size_t pinned_count, pinned_capacity;
    struct batch *batch;     /* a large batch: its bytes are to be made; NULL: they are there */
    uint32_t placed;         /* records of it that have their place */
    uint32_t place_at;       /* where the next one lies */
    bool is_placing;         /* not all of them have */
    struct batch_header batch_header; /* the checksums are set when the bytes are made */
    uint64_t offset, size;
    uint64_t number; /* of the batch; 0: nothing to write, only to sync */
    bool sync;
    bool is_synced;    /* by the write itself */
    bool states;       /* that it was synced is to be written to the identity */
    uint64_t laid_out; /* the file was written to up to here, with whatever */
    uint64_t ahead;    /* how far zeros are written at a time */
    uint64_t allocated; /* whatever happens on the disk, the file has room up to here */
    uint64_t reach;     /* ... and is to have it up to here afterwards; 0: as it is */
    int error;       /* of a failed write, 0: it is written (and synced if asked) */
    bool sync_failed;
};

/* Seals the filling batch and hands it to the syncer; the syncer is idle. */
void journal_write(struct store *store, bool sync);
/* When what is durable should be stated by a batch of its own, which it is by journal_mark; UINT64_MAX:
 * it is known, or a later batch will tell. */
uint64_t journal_mark_ms(const struct store *store);
void journal_mark(struct store *store);
/* Hands only a sync to it. */
void journal_sync(struct store *store);
/* Tries again what failed for lack of space. */
void journal_retry(struct store *store);
void journal_written(struct store *store, struct write_job *job);
/* Goes on with the places of a large batch. */
void journal_place(struct store *store);
/* Memory that is not needed goes; and when there will be some, UINT64_MAX: never. */
void journal_tick(struct store *store);
uint64_t journal_tick_ms(const struct store *store);
void journal_fail(struct store *store, const char *what, int error);

/* ---- indexes: index.c ---- */

struct index *index_new(struct store *store, uint64_t id);
/* The queue is gone at once; what its entries hold is released bit by bit (release.c), and chunks that
 * are cold wait among the dead until their blob was read. */
void index_drop(struct index *index);
void index_forget(struct index *index);
/* A message at the end. */
uint64_t index_push(struct index *index, struct message *message, uint8_t flags);
/* The same in recovery, by place and with a given sequence number. */
void index_restore(struct index *index, uint64_t sequence, struct place place,
                   const struct message_payload *payload);
/* The same in any order; one that is there gets the new place. */
void index_insert(struct index *index, uint64_t sequence, struct place place,
                  const struct message_payload *payload);
/* Settles in recovery. */
void index_replay_settle(struct index *index, uint64_t first, uint64_t count);
struct chunk *index_chunk(struct index *index, uint64_t sequence);
/* An empty last chunk goes. */
void index_drop_empty(struct index *index, struct chunk *chunk);
void index_add_chunk(struct index *index, struct chunk *chunk);
/* The live entry of a message whose chunk is in memory; NULL: settled. *chunk is its chunk, which
 * may be cold, when the result is NULL too. */
struct entry *index_entry(struct index *index, uint64_t sequence, struct chunk **chunk);
/* Makes it appear on the list of those awake. */
void index_wake(struct index *index);
void index_changed(struct index *index);
void chunk_changed(struct store *store, struct chunk *chunk);
/* What a live entry holds is given back; its bits are the caller's business. */
void entry_release(struct store *store, struct chunk *chunk, struct entry *entry);
/* The message is in memory again, or first: the entry takes the reference. */
void entry_set_message(struct store *store, struct chunk *chunk, struct entry *entry,
                       struct message *message);
/* The message's memory is given up for its place. */
void entry_evict(struct store *store, struct chunk *chunk, struct entry *entry);

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
    int error; /* of the disk */
    uint64_t used_ms; /* while it is spare */
};

void spill_tick(struct store *store);
/* Is there something for the next one? */
bool spill_has_to_look(const struct store *store);
void spill_done(struct store *store, struct spill_job *job);
void load_done(struct store *store, struct load_job *job);
/* Asks for a cold chunk; harmless when it was asked for already. */
void chunk_load(struct store *store, struct chunk *chunk);
/* Somebody waits for its entries, and asks again: loads them, and they stay for a while. */
void chunk_want(struct store *store, struct chunk *chunk);
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
/* Its entries leave memory; the blob has them all. */
void chunk_cool(struct store *store, struct chunk *chunk);

enum { READ_BYTES = 1 << 20 }; /* of one job */

/* Reads the bodies of ready messages from `sequence` on. */
void read_ahead(struct index *index, uint64_t sequence);
/* Reads one that is taken, and some of those behind it. */
void read_one(struct index *index, uint64_t sequence);
void read_done(struct store *store, struct read_job *job);
void read_free(struct read_job *job);
/* Frees the memory of a job that was kept for the next one, and that none took for a while. */
void read_spare_free(struct store *store);
/* A read failed, and the index waits, or is about to: it is woken at that time, to ask again. */
void index_retry_read(struct index *index, uint64_t until_ms);
/* Wakes those whose time has come. */
void reads_retry(struct store *store);

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
void mend_done(struct store *store, struct mend_job *job);
void mend_free(struct mend_job *job);
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

/* ---- identity.c ---- */

#define IDENTITY_NAME "identity"

struct identity {
    uint8_t id[IDENTITY_SIZE];
    uint64_t written; /* how often; 0: never */
    uint32_t segment; /* the last one that was begun */
    uint64_t batch;   /* one that was synced */
    bool is_damaged;  /* when it was read: a part of the file is bad */
};

/* Both give 0 or an errno value. Writes it, durably. */
int identity_write(struct disk *disk, struct identity *identity);
/* Zeros when there is none, or none that is sound; ENOTSUP: it is of a newer version. */
int identity_read(struct disk *disk, struct identity *identity);
/* Is it one? Are both, and different ones? */
bool identity_is(const uint8_t id[IDENTITY_SIZE]);
bool identity_differs(const uint8_t a[IDENTITY_SIZE], const uint8_t b[IDENTITY_SIZE]);

/* ---- checkpoint.c, image.c ---- */

enum { CHECKPOINT_VERSION = 2 };

struct position {
    uint64_t batch; /* the next one */
    uint32_t segment;
    uint64_t offset;
    uint32_t previous; /* checksum of the batch before */
};

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
    /* While it is a draft: */
    uint32_t chunks_left; /* changed ones that were not looked at */
    bool has_names, is_drafted;
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
/* A large batch has its checksum: the image that was taken behind it gets it. */
void checkpoint_previous(struct store *store);
void checkpoint_done(struct store *store, struct checkpoint_job *job);
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

/* ---- space.c ---- */

/* Files that are given up when the disk is full, so that settles and a checkpoint still fit. */
enum reserve { RESERVE_JOURNAL, RESERVE_INDEX, RESERVE_START, RESERVES };

struct reserve_job {
    struct job job;
    struct disk *disk;
    enum reserve which;
    uint64_t size;
    uint64_t from; /* its size before; 0: there is none */
    bool is_taken; /* the file has gone meanwhile */
    int error;
};

struct release_job {
    struct job job;
    struct disk *disk;
    uint32_t spares[SPARES_MAX];
    uint32_t count;
    bool reserves[RESERVES];
    uint64_t keep;       /* of the journal's: so much of it stays */
    uint64_t free_bytes; /* afterwards */
};

/* At start: a file of this name is there. */
void space_found(struct store *store, const char *name);
/* Before anything is read: no size of the options may be too large for the disk. */
void space_fit(struct store *store);
/* The index cannot be opened: gives something up, if the disk is full and there is anything. */
bool space_rescue(struct store *store);
/* Space was measured, with no write under way. */
void space_note(struct store *store, uint64_t free_bytes);
/* A write begins or ends. */
void space_measured(struct store *store);
/* store_room, for records that a batch takes. */
enum store_room space_room(struct store *store, uint64_t bytes);
/* Is there room for so many bytes more of records that end others? False: not now; what can be given up for
 * them is. */
bool space_ends(struct store *store, uint64_t bytes);
/* The same, to write again so many bytes that are live in a segment. */
bool space_moves(struct store *store, uint64_t bytes);
/* How large a segment becomes. While the disk is short they are small, so that a few of them fit into what
 * is kept, and each gives its room back soon. */
uint64_t space_segment(const struct store *store);
/* Is there room for a new segment with a batch of this size, beside the reserve? */
bool space_begins(const struct store *store, uint64_t size);
/* Does anybody wait for room, or has been told that there is none? */
bool space_is_wanted(const struct store *store);
/* Is so little free that what is dead should go, whatever that costs? */
bool space_is_tight(const struct store *store);
/* How many files more may be kept for reuse. */
uint32_t space_spares(const struct store *store);
/* Is all that goes to the disk, with so many bytes more, sure to find room there, whatever others take?
 * False: not now; what it needs is being made, if it can be. */
bool space_covers(struct store *store, uint64_t bytes);
/* Might others take the room of a batch of this size before it is written? Then it goes to where it has
 * room: into a new segment, which may take the reserve, if the active one has none. */
bool space_is_scarce(const struct store *store, uint64_t size);
/* How far the active segment is to have room when a batch of this size, its last, is written; 0: as it
 * is. */
uint64_t space_reach(const struct store *store, uint64_t size);
/* A segment of so many bytes finds no room: the name of a reserve that is as large, which becomes its
 * file. NULL: there is none. */
const char *space_take_reserve(struct store *store, uint64_t bytes);
/* A write of the journal met a full disk: gives up what can be given up. False: there is nothing
 * left. */
bool space_release(struct store *store);
/* The index could not be written or opened: the same for it, if it was for lack of room. */
void space_needed(struct store *store);
void space_tick(struct store *store);
/* When it has something to do; UINT64_MAX: that is not known. */
uint64_t space_next_ms(const struct store *store);
void reserve_done(struct store *store, struct reserve_job *job);
/* The index is to take an image of so many bytes. */
void space_for_image(struct store *store, uint64_t bytes);
void release_done(struct store *store, struct release_job *job);

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

/* ---- replay.c ---- */

struct replay_report {
    uint64_t batches, records, messages, settles, catalogue;
    uint64_t said;   /* the last batch with records */
    uint64_t stated; /* the highest sync mark */
    uint64_t cut_segment, cut_offset; /* where a tail was cut; 0: nowhere */
    uint64_t cut_bytes;               /* about: as far as there is something */
};

/* Finds the segments there are, and reads their headers. `strict`: all that must be there are. */
bool segments_find(struct store *store, bool strict, char *error, size_t error_size);
/* Writes the header of a segment that is headless anew. 0 or an errno value. */
int segment_mend(struct store *store, struct segment *segment);
/* From the position to the end of the journal. False, with an error, when it is damaged. */
bool replay(struct store *store, struct position *position, bool repair,
            struct replay_report *report, char *error, size_t error_size);

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
void scan_done(struct store *store, struct scan_job *job);
void compact_stop(struct store *store);

struct store {
    struct store_options options;
    uint64_t now_ms;
    uint64_t free_checked_ms;
    struct store_stats stats;
    char failure[200];
    bool is_failed, is_short, is_closing;
    uint64_t disk_free;      /* of the disk, when it was measured last */
    uint64_t free_bytes;     /* ... and what the journal's reserve has beside its usual size */
    uint64_t allocated;      /* the active segment has room up to here; 0: that is not known */
    uint64_t asked;          /* size that the journal's reserve should have for what was to be taken; */
    uint64_t asked_ms;       /* ... when that was; 0: never */
    bool is_room_awaited;    /* somebody asks again when there is more room; */
    bool has_new_room;       /* ... which there is since this turn */
    bool is_uncoverable;     /* files cannot be given room */
    uint64_t room;           /* what the filling batch may grow to */
    uint64_t missed_ms;      /* when somebody had no room last; 0: never */
    struct reserve_job *reserving;
    uint64_t reserved[RESERVES]; /* bytes of these files; 0: there is none */
    uint64_t last_image;
    uint64_t index_batch;    /* the larger of the last two images, as it was written */
    uint64_t reserve_ms[RESERVES]; /* when to try to make them again */
    unsigned releasing;      /* jobs under way */
    int rescues;             /* steps of giving up what a start needs */
    struct outage full, unopened, refusals; /* of writing the journal; of what was to be written */
    struct outage index_writes, index_reads, checkpoint_writes;
    struct files files;      /* the reader's side */
    struct identity identity; /* of the owner until the first write, then of the syncer */

    struct list segments;
    struct idmap segments_by_number;
    struct segment *active; /* where batches go; NULL: the next one begins a new one */
    uint32_t segment_last;  /* highest number ever used */
    struct disk_file *active_file; /* the syncer's, while it writes */
    uint32_t spares[SPARES_MAX]; /* files to reuse */
    uint32_t spares_count;
    uint32_t surplus[SPARES_MAX]; /* such files that are too many, or too large: to be removed */
    uint32_t surplus_count;

    struct batch *filling;
    struct batch *sealing; /* a large one, from its sealing until it is written; NULL: none */
    struct list spent;     /* batches that were large and are written: their messages are let go */
    uint64_t names_batch; /* the last one with a change of the catalogue or of queues */
    struct write_job write;
    bool is_writing;
    bool is_held;        /* the filling batch is kept open; */
    uint64_t held_batch; /* the last one that was */
    uint64_t promised;   /* room in it that who does so may still take, or has taken */
    uint64_t written;   /* batches up to here can be read back */
    uint64_t durable;   /* ... and have been synced */
    uint64_t unsynced_ms; /* when the oldest written, unsynced batch was written */
    uint64_t said;      /* the last batch that had records */
    uint64_t stated;    /* the highest sync mark that was written */
    uint64_t covered;   /* the last checkpoint describes all up to this batch */
    uint64_t synced_ms; /* when something last became durable */
    uint32_t previous;  /* checksum of the last sealed batch */
    struct position position; /* behind the last sealed batch */
    uint64_t wanted;    /* somebody waits for batches up to this one */
    uint64_t retry_ms;  /* a write failed for lack of space: when to try again */

    struct slab slab; /* of chunks */
    uint64_t aged_ms; /* when free memory was last looked at */

    struct idmap indexes;
    uint64_t id_last, id_last_transient;
    struct list awake;        /* indexes: wait_link */
    struct list mark_waiters; /* indexes: wait_link */
    struct list read_waiters; /* indexes: wait_link: what they need cannot be read now */
    uint64_t read_retry_ms;   /* when those are woken, to ask again */
    struct list bodies;       /* chunks: bodies_link, oldest first */
    struct list cache;        /* chunks: cache_link, oldest first */
    struct list dead;         /* chunks: cache_link: cold, and nothing live in them */
    struct list condemned;    /* chunks: cache_link: with entries, but without a queue */
    struct list unreleased; /* chunks: cache_link: cold, and most of their entries are unreleased */
    uint64_t recorded_bytes;  /* of bodies in memory that survive a restart, once for each queue */
    bool has_idle_bodies;     /* more than were sent away in the last turn */
    uint64_t bodies_looked_ms; /* when it was last tried to have less of them */
    uint64_t cache_used;
    struct read_job *read_spare; /* with its memory, for the next one; NULL: none */
    struct segment *segment_last_found;
    uint64_t blob_last;
    uint32_t spilling, loading;

    struct list changed_chunks, changed_indexes;
    struct map changed_names; /* name_change since the last checkpoint */
    struct map image;         /* the whole catalogue, from open to store_catalogue_each */
    uint64_t *dead_blobs;     /* keys; the top bit tells transient ones */
    size_t dead_blobs_count, dead_blobs_capacity;
    struct dead_name *dead_names;
    size_t dead_names_count, dead_names_capacity;
    uint64_t *dead_queues;
    size_t dead_queues_count, dead_queues_capacity;
    struct checkpoint_job *checkpoint; /* under way */
    struct checkpoint_job *draft;      /* the next one; NULL: none */
    uint64_t checkpoint_number;        /* of the last one that is durable; 0: none */
    uint64_t image_sum;                /* of its image (image.c) */
    uint32_t *missing; /* segments that the last checkpoint knows, which are gone and not needed */
    size_t missing_count;
    bool is_nameless; /* at start: the index has its identity, and that is bad */
    bool is_adrift;   /* at start: the anchor does not know the checkpoint */
    uint64_t checkpoint_ms;            /* when the last one began */
    bool checkpoint_missed;            /* one was due behind a large batch, and not taken */
    uint64_t journal_since;            /* bytes written since */
    bool is_changed;                   /* anything to write down since */

    struct mending mending;
    struct compaction compaction;
    uint64_t compact_ms; /* when to look for the next one */
    struct destination *scratch; /* destinations of the message being recorded */
    size_t scratch_capacity;
};

/* Is the message in a large batch that is being sealed, and its place not known yet? */
static inline bool journal_is_unplaced(const struct store *store, const struct message *message)
{
    return store->sealing && message->batch == store->sealing->number &&
           message->pending >= store->write.placed;
}

/* Without files and contents. */
struct store *store_new(const struct store_options *options, uint64_t now_ms);
/* Drops a queue without a record of it. */
void store_queue_delete_recovered(struct store *store, struct index *index);
/* A store that is new, or of an earlier version, gets an identity. 0 or an errno value. */
int store_give_identity(struct store *store);
struct destination *store_scratch(struct store *store, size_t count);

#endif
