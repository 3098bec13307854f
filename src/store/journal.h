/* The journal: a row of segments with one batch behind the other, which is all that must survive.
 * It knows records and where they lie, what is on its way to the disk and what is durable, and how
 * much room there is; it knows no queue, no index and no checkpoint. Those who do look at it, and
 * call it.
 *
 * The files of it (journal, batch, segment, space, record, files, identity) call nothing else of
 * the store. */
#ifndef LEVERET_STORE_JOURNAL_H
#define LEVERET_STORE_JOURNAL_H

#include "base/map.h"
#include "base/planted.h"
#include "base/shared.h"
#include "store/files.h"
#include "store/outage.h"
#include "store/record.h"
#include "store/store.h"

struct journal;

enum { SPARES_MAX = 64 };

struct position {
    uint64_t batch; /* the next one */
    uint32_t segment;
    uint64_t offset;
    uint32_t previous; /* checksum of the batch before */
};

/* ---- identity.c ---- */

#define IDENTITY_NAME "identity"

struct identity {
    uint8_t id[IDENTITY_SIZE];
    uint64_t written; /* how often; 0: never */
    uint32_t segment; /* the last one that was begun */
    uint32_t headed;  /* the last one that has had a header since it was told here; 0: not known */
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

/* ---- segments: segment.c ---- */

struct segment {
    uint32_t number;
    uint64_t size; /* where the next batch goes */
    uint64_t first_batch;
    uint64_t last_batch;   /* 0: none yet */
    uint64_t live_entries; /* entries of queues that point in here */
    uint64_t live_bytes;
    uint64_t kept_entries; /* of these, those that survive a restart */
    uint64_t kept_bytes;
    uint64_t log_entries; /* of groups' logs: they are not moved, so that the rest need not be */
    uint32_t readers; /* jobs that read it now */
    bool is_retiring; /* nothing live; goes when the next checkpoint is durable */
    bool is_gone;
    bool is_found;    /* at start: the file is there */
    bool is_headless; /* at start: its header is bad; first_batch is known from its first batch, or
                         0 */
    bool is_damaged;  /* while it is salvaged: something in it is */
    bool was_compacted; /* tried, and what is left cannot be moved */
    struct list link;   /* journal->segments, by number */
};

void segment_name(char name[32], uint32_t number);
void spare_name(char name[32], uint32_t number);
/* The number in a name that segment_name made; 0: it is none. */
uint32_t segment_number(const char *name);
uint32_t spare_number(const char *name);
struct segment *segment_find(struct journal *journal, uint32_t number);
struct segment *segment_add(struct journal *journal, uint32_t number);
/* Gives back what its file has behind `end`, where its last batch ends, or somewhat more; less than
 * SEGMENT_CUT_MIN bytes stay. On the syncer. If it cannot be cut it only takes room. */
enum { SEGMENT_CUT_MIN = 64 << 10 };
void segment_cut(struct disk *disk, uint32_t number, uint64_t end);
/* An entry that holds 1/destinations of the record at `place` comes or goes. */
void segment_hold(struct journal *journal, struct place place, uint32_t destinations, bool kept);
void segment_release(struct journal *journal, struct place place, uint32_t destinations, bool kept);
/* The same for an entry of a group's log. */
void segment_hold_entry(struct journal *journal, struct place place);
void segment_release_entry(struct journal *journal, struct place place);
void segment_free(struct journal *journal, struct segment *segment);
/* A reader is done with it; one that is gone is freed by the last. */
void segment_unread(struct journal *journal, struct segment *segment);
/* Bytes of all segments. */
uint64_t segments_bytes(const struct journal *journal);

/* ---- the filling batch: batch.c ---- */

struct pending {
    struct message *message; /* a reference; NULL: no message, or elided */
    enum record_type type;
    bool is_elided;
    bool is_lent;      /* in batch->bytes is a struct bytes, which says where the payload lies */
    uint32_t at, size; /* the payload, or the start of it, in batch->bytes */
};

enum { INSERT_MIN = 16384 }; /* bodies, and shared contents, from here on are written from where they lie */

/* Settled sequence numbers of one queue, as the payload of its record but for the last range; and those
 * that came back, likewise. */
struct settles {
    uint64_t queue;
    uint64_t first, count; /* the range that still grows */
    uint64_t end;          /* of the range before */
    struct buffer ranges;
    uint64_t returned_last; /* sequence number */
    struct buffer returned;
};

/* Messages first ... first + count - 1 are settled. */
void settles_add(struct settles *settles, uint64_t first, uint64_t count);
void settles_return(struct settles *settles, uint64_t sequence, uint32_t count, uint64_t until_ms);
/* What is settled is all in `ranges`. */
void settles_close(struct settles *settles);
/* Nothing is in it; it keeps its queue, and its memory. */
void settles_clear(struct settles *settles);
void settles_free(struct settles *settles);

/* An entry of a group's log in memory. The log has a reference, and so has the batch until the entry has
 * its place. */
struct bracket {
    uint32_t refs;
    bool is_cut;         /* the log does not have it any more */
    uint64_t batch;      /* in which it is */
    struct place place;  /* of the record and its contents; segment 0: it has none yet */
    uint64_t group;
    struct log_head head;
    struct list recent_link, unplaced_link; /* group_log.c */
    struct shared *shared; /* has its contents; NULL: they are below */
    const uint8_t *contents;
    uint32_t contents_size;
    uint8_t own[];
};

void bracket_unref(struct bracket *bracket);

struct batch {
    struct list link; /* in journal->spent */
    uint64_t number;
    struct pending *records;
    uint32_t count, capacity;
    uint32_t elided;
    struct settles *settles;
    uint32_t settles_count, settles_capacity;
    struct bracket **brackets; /* by record; NULL: it has its place */
    size_t brackets_count, brackets_capacity;
    struct buffer bytes;
    uint64_t size;         /* what it will take on disk, about */
    uint64_t records_size; /* what its records will take, exactly */
    uint64_t inserts_size; /* of this, long bodies */
    uint64_t since_ms;     /* when its first record came */
};

bool batch_is_empty(const struct batch *batch);
/* Appends a message record for `count` destinations that are live now. */
void batch_add_message(struct journal *journal, enum record_type type, struct message *message,
                       const struct destination *destinations, uint32_t count);
/* Drops the record of a message none of whose destinations is live any more. */
void batch_elide(struct journal *journal, struct message *message);
/* The queue's messages from `first` on are settled; *place is the queue's, and begins as zeros. */
void batch_add_settle(struct journal *journal, struct settles_place *place, uint64_t queue,
                      uint64_t first, uint64_t count);
/* A message of the queue came back for the count-th time, and waits until then, ms since 1970; 0: it does
 * not. */
void batch_add_returned(struct journal *journal, struct settles_place *place, uint64_t queue,
                        uint64_t sequence, uint32_t count, uint64_t until_ms);
/* Any other record. */
void batch_add(struct journal *journal, enum record_type type, struct bytes payload);
/* An entry of a group's log, with its contents; takes a reference. `place.size` of it is known. */
void batch_add_entry(struct journal *journal, struct bracket *bracket,
                     const struct entry_payload *payload);
/* What was settled of the queue, or came back, need not be said: it ends. */
void batch_forget_settles(struct journal *journal, const struct settles_place *place);
/* Turns the numbers of what came back and was settled into records; right before sealing. */
void batch_close_settles(struct journal *journal);
void batch_free(struct journal *journal, struct batch *batch);

/* ---- the journal: journal.c ---- */

/* A sealed batch on its way to the disk. One at a time. Of a large one the owner only says what
 * lies where, and that over several turns; the syncer makes its bytes. */
struct write_job {
    struct job job;
    struct journal *journal;
    struct disk *disk;
    struct segment *segment;
    struct disk_file *file;   /* of the segment, once it is open */
    struct disk_file *before; /* the segment before: to be synced and closed; or NULL */
    uint32_t cut;             /* the number of the segment before; 0: it need not be cut */
    uint64_t cut_size;        /* ... to this size: what lies behind is of no use to anybody */
    uint64_t free_bytes;      /* afterwards: space that is left */
    char create[32];          /* the segment must be made first */
    char recycle[32];         /* ... from this file */
    uint8_t header[SEGMENT_HEADER];
    uint8_t *block; /* memory that begins like a block of the disk */
    size_t block_size;
    uint64_t used_ms; /* when it was last needed */
    uint8_t *bytes; /* in it, where the batch begins in its block: the batch, but for long bodies */
    size_t bytes_size;
    struct {
        size_t at; /* where in `bytes` */
        struct bytes part;
    } * inserts; /* long bodies, by place */
    size_t inserts_count, inserts_capacity;
    struct message **pinned; /* the messages of these, unless the batch is large and pins them */
    size_t pinned_count, pinned_capacity;
    struct shared **lent; /* contents of entries that have their place, until they are written */
    size_t lent_count, lent_capacity;
    struct batch *batch; /* a large batch: its bytes are to be made; NULL: they are there */
    size_t brackets_placed;
    uint32_t placed;     /* records of it that have their place */
    uint32_t place_at;   /* where the next one lies */
    bool is_placing;     /* not all of them have */
    struct batch_header batch_header; /* the checksums are set when the bytes are made */
    uint64_t offset, size;
    uint64_t number; /* of the batch; 0: nothing to write, only to sync */
    bool sync;
    bool is_synced;     /* by the write itself */
    uint64_t us;        /* that writing and syncing took; 0 without a clock */
    bool states;        /* that it was synced is to be written to the identity */
    uint64_t laid_out;  /* the file was written to up to here, with whatever */
    uint64_t ahead;     /* how far zeros are written at a time */
    uint64_t allocated; /* whatever happens on the disk, the file has room up to here */
    uint64_t reach;     /* the file is to have room up to here afterwards; 0: as it is */
    int error;          /* of a failed write, 0: it is written (and synced if asked) */
    bool sync_failed;
};

/* Seals the filling batch and hands it to the syncer; the syncer is idle. */
void journal_write(struct journal *journal, bool sync);
/* When what is durable should be stated by a batch of its own, which it is by journal_mark;
 * UINT64_MAX: it is known, or a later batch will tell. */
uint64_t journal_mark_ms(const struct journal *journal);
void journal_mark(struct journal *journal);
/* Hands only a sync to it. */
void journal_sync(struct journal *journal);
/* Tries again what failed for lack of space. */
void journal_retry(struct journal *journal);
/* What the syncer did. */
void journal_written(struct job *job);
/* Goes on with the places of a large batch. */
void journal_place(struct journal *journal);
/* Memory that is not needed goes; and when there will be some, UINT64_MAX: never. */
void journal_tick(struct journal *journal);
uint64_t journal_tick_ms(const struct journal *journal);
void journal_fail(struct journal *journal, const char *what, int error);

/* ---- space.c ---- */

/* Files that are given up when the disk is full, so that settles and a checkpoint still fit. */
enum reserve { RESERVE_JOURNAL, RESERVE_INDEX, RESERVE_START, RESERVES };

struct reserve_job {
    struct job job;
    struct journal *journal;
    struct disk *disk;
    enum reserve which;
    uint64_t size;
    uint64_t from; /* its size before; 0: there is none */
    bool is_taken; /* the file has gone meanwhile */
    int error;
};

struct release_job {
    struct job job;
    struct journal *journal;
    struct disk *disk;
    uint32_t spares[SPARES_MAX];
    uint32_t count;
    bool reserves[RESERVES];
    uint64_t keep;       /* of the journal's: so much of it stays */
    uint32_t segment;    /* loses its end; 0: none does */
    uint64_t end;        /* ... behind so many bytes */
    uint64_t free_bytes; /* afterwards */
};

/* At start: a file of this name is there. */
void space_found(struct journal *journal, const char *name);
/* Before anything is read: no size of the options may be too large for the disk. */
void space_fit(struct journal *journal);
/* Publishers wait while less is free. */
void space_set_reserve(struct journal *journal, uint64_t bytes);
/* The index cannot be opened: gives something up, if the disk is full and there is anything. */
bool space_rescue(struct journal *journal);
/* Space was measured, with no write under way. */
void space_note(struct journal *journal, uint64_t free_bytes);
/* A write begins or ends. */
void space_measured(struct journal *journal);
/* store_room, for records that a batch takes. */
enum store_room space_room(struct journal *journal, uint64_t bytes);
/* Is there room to write again so many bytes that are live in a segment? False: not now; what can
 * be given up for them is. */
bool space_moves(struct journal *journal, uint64_t bytes);
/* The same for so many bytes of records that end others, beside `moving` that compaction has yet to
 * move. */
bool space_ends(struct journal *journal, uint64_t bytes, uint64_t moving);
/* How large a segment becomes. While the disk is short they are small, so that a few of them fit
 * into what is kept, and each gives its room back soon. */
uint64_t space_segment(const struct journal *journal);
/* Is there room for a new segment with a batch of this size, beside the reserve? */
bool space_begins(const struct journal *journal, uint64_t size);
/* Does anybody wait for room, or has been told that there is none? */
bool space_is_wanted(const struct journal *journal);
/* Is so little free that what is dead should go, whatever that costs? */
bool space_is_tight(const struct journal *journal);
/* How many files more may be kept for reuse. */
uint32_t space_spares(const struct journal *journal);
/* Might others take the room of a batch of this size before it is written? Then it goes to where it
 * has room: into a new segment, which may take the reserve, if the active one has none. */
bool space_is_scarce(const struct journal *journal, uint64_t size);
/* How far the active segment is to have room when a batch of this size, its last, is written; 0: as
 * it is. */
uint64_t space_reach(const struct journal *journal, uint64_t size);
/* A segment of so many bytes finds no room: the name of a reserve that is as large, which becomes
 * its file. NULL: there is none. */
const char *space_take_reserve(struct journal *journal, uint64_t bytes);
/* A write of the journal met a full disk: gives up what can be given up. False: there is nothing
 * left. */
bool space_release(struct journal *journal);
/* The index could not be written or read: the same for it, if it was for lack of room. `since_ms`: when
 * that was begun; before something was given up it says nothing about what there is now. */
void space_needed(struct journal *journal, uint64_t since_ms);
void space_tick(struct journal *journal);
/* When it has something to do; UINT64_MAX: that is not known. */
uint64_t space_next_ms(const struct journal *journal);
/* The index is to take an image of so many bytes. */
void space_for_image(struct journal *journal, uint64_t bytes);

/* ---- all of it ---- */

/* Room on the disk. */
struct space {
    bool is_short;        /* publishers wait, as less is free than */
    uint64_t short_bytes; /* this: options->disk_reserve_bytes, until it is set to something else */
    uint64_t checked_ms;  /* when it was measured last */
    uint64_t disk_free;   /* of the disk, when it was measured last */
    uint64_t free_bytes;  /* the same, and what the journal's reserve has beside its usual size */
    uint64_t asked;       /* size that the journal's reserve should have for what was to be taken */
    uint64_t asked_ms;    /* when that was; 0: never */
    bool is_room_awaited; /* somebody asks again when there is more room */
    bool has_new_room;    /* there is more room since this turn */
    bool is_end_wanted;   /* the index needs what is empty of the active segment */
    bool is_uncoverable;  /* files cannot be given room */
    uint64_t room;        /* what the filling batch may grow to */
    uint64_t missed_ms;   /* when somebody had no room last; 0: never */
    struct reserve_job *reserving;
    uint64_t reserved[RESERVES];   /* bytes of these files; 0: there is none */
    uint64_t reserve_ms[RESERVES]; /* when to try to make them again */
    uint64_t last_image;           /* bytes of the last image */
    uint64_t index_batch;          /* the larger of the last two images, as it was written */
    unsigned releasing;            /* jobs under way */
    uint64_t released_ms;          /* when the last one was done */
    int rescues;                   /* steps of giving up what a start needs */
    struct outage refusals;        /* of what was to be written */
};

struct journal {
    struct store_options *options;
    struct store_stats *stats;
    uint64_t now_ms;
    bool is_failed;
    char failure[200]; /* why */
    bool is_closing;
    bool is_overdue; /* a checkpoint waits for the large batch that is being sealed */
    bool is_changed; /* what a checkpoint says of segments or its position differs since the last
                        one */
    struct outage full, unopened; /* of writing */
    struct identity identity;     /* of the owner until the first write, then of the syncer */
    struct files files;           /* the reader's side */
    struct space space;

    struct list segments; /* by number */
    struct idmap segments_by_number;
    struct segment *segment_found; /* the last one that was looked for */
    struct segment *active;        /* where batches go; NULL: the next one begins a new one */
    uint32_t segment_last;         /* highest number ever used */
    uint64_t allocated; /* the active segment has room up to here; 0: that is not known */
    struct disk_file *active_file; /* the syncer's, while it writes */
    uint32_t spares[SPARES_MAX];   /* files to reuse */
    uint32_t spares_count;
    uint32_t surplus[SPARES_MAX]; /* such files that are too many, or too large: to be removed */
    uint32_t surplus_count;

    struct batch *filling;
    struct batch *sealing; /* a large one, from its sealing until it is written; NULL: none */
    struct list spent;     /* batches that were large and are written: their messages are let go */
    struct batch *spare;   /* an empty one with the memory of a large one, or NULL */
    struct write_job write;
    bool is_writing;
    uint64_t write_began_ms; /* the last one */
    bool is_held;        /* the filling batch is kept open */
    uint64_t held_batch; /* the last one that was kept open */
    uint64_t promised;   /* room in the batch that who keeps it open may still take, or has taken */
    uint64_t names_batch;     /* the last one with a change of the catalogue or of queues */
    uint64_t written;         /* batches up to here can be read back */
    uint64_t durable;         /* batches up to here have been synced */
    uint64_t wanted;          /* somebody waits for batches up to this one */
    uint64_t unsynced_ms;     /* when the oldest written, unsynced batch was written */
    uint64_t synced_ms;       /* when something last became durable */
    uint64_t told_ms;         /* when the identity was last to tell how far that is */
    uint64_t said;            /* the last batch that had records */
    uint64_t stated;          /* the highest sync mark that was written */
    uint64_t covered;         /* the last checkpoint describes all up to this batch */
    uint32_t previous;        /* checksum of the last sealed batch */
    struct position position; /* behind the last sealed batch */
    uint64_t retry_ms;        /* a write failed for lack of space: when to try again; 0: none did */
    uint64_t since_image;     /* bytes written since the last checkpoint began */
};

/* Empty; what is handed in must outlive it. */
void journal_init(struct journal *journal, struct store_options *options, struct store_stats *stats,
                  uint64_t now_ms);
/* Closes what is open and frees it all; no job is under way. */
void journal_free(struct journal *journal);

/* Is the message in a large batch that is being sealed, and its place not known yet? */
static inline bool journal_is_unplaced(const struct journal *journal, const struct message *message)
{
    return journal->sealing && message->batch == journal->sealing->number &&
           message->pending >= journal->write.placed;
}

/* With so much free, or so many times what is asked for, nobody can take all of it in a moment. */
enum { SPACE_PLENTY = 1 << 30, SPACE_PLENTY_PART = 16 };
/* Is all that goes to the disk, with so many bytes more, sure to find room there, whatever others
 * take? False: not now; what it needs is being made, if it can be. The first is for the second, when
 * there is not plenty. */
bool space_covers_tightly(struct journal *journal, uint64_t bytes);
static inline bool space_covers(struct journal *journal, uint64_t bytes)
{
    uint64_t size = journal->filling->size + journal->promised + bytes;
    uint64_t disk_free = journal->space.disk_free;
    bool is_plenty = disk_free >= SPACE_PLENTY && size <= disk_free / SPACE_PLENTY_PART;
    return is_plenty || space_covers_tightly(journal, bytes);
}

#endif
