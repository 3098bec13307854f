/* A store over a disk and a key-value store in memory, a fixed piece of work that meets everything the
 * store does, and a model that knows what must be there after every batch. The tests of this folder
 * break the disk in their own way and then ask whether what is left is what was promised. */
#ifndef LEVERET_TESTS_FAULT_RIG_H
#define LEVERET_TESTS_FAULT_RIG_H

#include "base/random.h"
#include "store/store.h"
#include "tests/lib/disk_memory.h"
#include "tests/lib/kv_memory.h"

enum { RIG_QUEUES = 6, RIG_NAMES = 16, RIG_SEGMENT_BYTES = 2048 };

/* A message in a queue. `published` and `settled` are the batches that say so; settled 0: it is not. */
struct rig_item {
    uint64_t id; /* of the message, rising */
    uint64_t sequence, published, settled;
    bool survives, is_taken, was_delivered;
};

struct rig_queue {
    uint64_t id; /* 0: the slot is free */
    struct index *index;
    uint64_t created, deleted;
    struct rig_item *items;
    size_t count, capacity;
};

/* Sums over all stores that a rig had. */
struct rig_met {
    uint64_t confirms, settles, rolls, recycled, retired, spills, loads, paged, reads;
    uint64_t checkpoints, compactions, moved, elided, marks;
};

struct rig {
    struct disk *disk;
    struct kv *kv;           /* what the store sees: fails when the power is gone */
    struct kv *memory;       /* what is behind it */
    bool is_real;            /* disk and key-value store are not in memory */
    struct worker *syncer, *indexer, *reader;
    struct message_pool pool;
    struct random random;
    struct store *store;     /* NULL: it is not open */
    struct store_options options;
    uint64_t now_ms, next_id;
    uint64_t durable;        /* everything up to this batch was said to be durable */
    struct rig_queue queues[RIG_QUEUES];
    struct { /* values of one name, in order */
        uint64_t batch;
        uint32_t value;
    } names[RIG_NAMES];
    size_t names_count;
    uint32_t name_padding;   /* zeros behind each value */
    uint32_t seen_name;
    uint64_t dead_disk_call; /* the power goes with this call, for both; 0: it does not */
    uint64_t dead_kv_call;
    uint64_t kv_calls;
    bool is_faulty;          /* calls fail: what a sound disk would keep may be gone */
    bool is_unknown;         /* the work ended as the store could not be read: to be checked */
    struct rig_met met;
    char error[600]; /* why the store would not open */
    char fault[400]; /* the promise that was broken; empty: none */
};

void rig_init(struct rig *rig);
/* The same over a real folder and LevelDB in another, which must not crash. */
void rig_init_real(struct rig *rig, const char *folder, const char *index);
/* Goes on with another folder, and the index in it. The old ones are forgotten, not freed. */
void rig_move(struct rig *rig, const char *folder);
void rig_free(struct rig *rig);
/* Another rig with the same contents of the disk and the same model, its store not open. */
void rig_copy(struct rig *copy, const struct rig *rig);

/* False: it refused, see rig->error. */
bool rig_open(struct rig *rig);
void rig_close(struct rig *rig);
/* The process is gone; the disk is as it is. */
void rig_abandon(struct rig *rig);
/* The store is open and has not failed. */
bool rig_is_up(const struct rig *rig);
/* The machine stops, and its disk and key-value store forget as `how` says. Faults end. */
void rig_crash(struct rig *rig, enum crash how);
/* At this call of the disk (counted from now, 1 is the next), or of the key-value store, the power
 * goes: it and all later calls of both fail. 0: never. */
void rig_lose_power_at(struct rig *rig, uint64_t disk_call, uint64_t kv_call);
bool rig_is_dead(const struct rig *rig);

int rig_new_queue(struct rig *rig, bool survives);
void rig_delete_queue(struct rig *rig, int queue);
void rig_put_name(struct rig *rig, uint32_t value);
/* To the queues whose bits are set in `mask`. */
void rig_publish(struct rig *rig, unsigned mask, bool persistent, uint32_t body_size);
/* Takes the first message; false: there was none. */
bool rig_take(struct rig *rig, int queue, bool settle);
/* Settles or returns the first taken one. */
void rig_settle(struct rig *rig, int queue, bool back);
void rig_purge(struct rig *rig, int queue);
/* Lets the workers do all they have and the store a turn, `ms` later. */
void rig_step(struct rig *rig, uint64_t ms);
/* Waits until all is durable, or the store has failed. */
void rig_wait(struct rig *rig);

/* The piece of work, from an empty disk: it ends with the store open and some batches unsynced. After a
 * failure the rest of it does nothing. */
void rig_work(struct rig *rig);

/* Another one, shorter: it ends with many batches of all kinds that were written and never synced.
 * `checkpoint`: there is one in the middle, so that a part of the journal is not replayed. Nothing may
 * fail; the store is gone afterwards and all that was written is durable. */
void rig_work_unsynced(struct rig *rig, bool checkpoint);

/* Where a batch lies. */
struct rig_batch {
    uint64_t number, synced; /* its sync mark */
    uint32_t segment, offset, size;
};

/* All batches of the journal in order, up to `max`; returns how many. */
size_t rig_map(struct rig *rig, struct rig_batch *batches, size_t max);
/* The numbers of the segments there are, in order, up to `max`. */
size_t rig_segments(struct rig *rig, uint32_t *numbers, size_t max);

/* The store is open: is there what must be there after some batch of `from` to `to`, and nothing else?
 * `missing` messages less are allowed, but only as many as the store set aside. What was seen becomes
 * the model. False: see rig->fault. */
bool rig_check(struct rig *rig, uint64_t from, uint64_t to, bool missing);
/* What may be gone: the messages in damaged bytes, by their ids. */
enum { RIG_IDS = 1000 };
struct rig_damage {
    bool may_lack[RIG_IDS];
    bool may_repeat;  /* messages that were settled may be there again, and queues that ended */
    bool may_rename;  /* names may be gone, or what they were before */
    uint64_t lacks, repeats; /* found by rig_check_damage */
};

/* Opens it by salvage, with `fresh` for its index; the one it had is `rig->memory` until then, and is
 * closed afterwards and the caller's. False: see rig->error. */
bool rig_salvage(struct rig *rig, struct kv *fresh);
/* The store is open: is everything there after batch `last`, but for what the damage explains? */
bool rig_check_damage(struct rig *rig, uint64_t last, struct rig_damage *damage);

/* The same for what a crash may leave. */
bool rig_check_promise(struct rig *rig);

#endif
