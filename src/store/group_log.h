/* The log of one group of brokers that agree (src/cluster), as one member keeps it. It lies in the journal
 * between all else: an entry is a record that says so, and behind it the records that are its contents, in
 * one batch. So what a group and this broker alone have decided in a turn costs one write and one sync.
 *
 * The store knows where each entry lies, and does nothing of what it says. A log has the entries from
 * floor + 1 on; what is up to the floor is in the state. Who has the log applies its entries to the rest of the
 * store, and says how far: a checkpoint has both as they are, and a start is followed by applying what lies
 * behind.
 *
 * Everything that is recorded here is durable with store_ticket(). */
#ifndef LEVERET_STORE_GROUP_LOG_H
#define LEVERET_STORE_GROUP_LOG_H

#include "base/bytes.h"

struct shared;
struct store;
struct group_log;

/* What an entry says of itself; the store looks at none but index and term. */
struct log_head {
    uint64_t index, term; /* from 1 on */
    uint64_t stamp_ms;    /* the group's clock */
    uint64_t catalogue;   /* the index of the catalogue that it rests on */
    uint8_t kind;         /* the caller's */
};

/* What a group says of itself at a floor: at most so many bytes. */
enum { GROUP_NOTE_MAX = 4096 };

/* Where a log begins. */
struct log_floor {
    uint64_t index, term; /* of the last entry that is not in the log; 0: it begins with the first */
    uint32_t chain;       /* of that entry (log_chain) */
    struct bytes note;    /* the caller's: who the members are, at that index */
};

/* What an entry says: a row of records (content_add). */
struct log_contents {
    struct bytes bytes;
    struct shared *shared; /* has them, and is held where they are large; NULL: they are copied */
    uint32_t checksum;
};

/* Contents that are to be copied. */
struct log_contents log_contents_of(struct bytes bytes);

enum log_result {
    LOG_OK,
    LOG_NONE,    /* it is not in the log */
    LOG_WAIT,    /* it is being read: ask again after the next store_tick */
    LOG_DAMAGED, /* its bytes are not what they were, or cannot be read */
};

/* The log of a group; NULL: there is none. */
struct group_log *group_log_find(struct store *store, uint64_t group);
/* All of them, in no order: begins with *at = 0; NULL: no more. None comes or goes meanwhile. */
struct group_log *group_log_next(struct store *store, uint64_t *at);
uint64_t group_log_group(const struct group_log *log);
/* Begins a log, or begins it anew: all its entries go, as the state came from elsewhere. Its vote stays. */
struct group_log *group_log_begin(struct store *store, uint64_t group, const struct log_floor *floor);
/* The member leaves: the log and its vote are gone, at once. */
void group_log_leave(struct group_log *log);

/* Whom this member voted for in a term. */
void group_log_vote(struct group_log *log, uint64_t term, uint64_t vote);
/* Entries up to here are known to be committed: a start need not ask others. Nobody waits for it. */
void group_log_committed(struct group_log *log, uint64_t index);
/* Appends an entry. Its index is at most one more than the last one; entries that are there from it on are
 * cut. `contents` is a row of records (content_add), and is copied. There is room for them (store_room of
 * group_log_bytes). Returns the entry's chain. */
uint32_t group_log_append(struct group_log *log, const struct log_head *head, struct bytes contents);
/* The same; contents that are shared are held where they are large (group_shared_bytes), and not copied. */
uint32_t group_log_add(struct group_log *log, const struct log_head *head, const struct log_contents *contents);
/* The chain that an entry has whose contents have this checksum, if the one before it has the chain `before`. */
uint32_t group_log_chain_of(uint32_t before, const struct log_head *head, uint32_t checksum);
/* What appending contents takes of a batch, at most. */
uint64_t group_log_bytes(struct bytes contents);
/* Entries from here on go. A start finds them again, unless another one was appended in their place. */
void group_log_cut(struct group_log *log, uint64_t from);
/* Applies the next entry, if it is known to be committed: does to queues of groups, and to names, what its records
 * say. LOG_NONE: there is none to apply. LOG_WAIT: its bytes are being read, or written: ask again after the next
 * store_tick. LOG_DAMAGED: *wrong says why, and nothing can be applied behind it. A start has applied entries up to
 * group_log_kept. Names (RECORD_PUT, RECORD_DELETE) are put on record, and are the caller's to follow. */
enum log_result group_log_apply(struct group_log *log, const char **wrong);
/* The same was done by the caller, up to here, for entries of other kinds. */
void group_log_applied(struct group_log *log, uint64_t index);
/* The log is to begin behind `index`, which is applied. False: it is not durable here yet. */
bool group_log_raise(struct group_log *log, uint64_t index, struct bytes note);

/* ---- a leader ---- */

/* This broker decides for the queues of the group from now on, or does so no more: what it has decided
 * that was not appended yet is forgotten then. Its queues can be used as those of this broker alone: what
 * is done to them is proposed, and they change when it is applied. Until it leads nothing can be taken. */
void group_log_lead(struct group_log *log, bool leads);
/* Under which number replies wait for what is decided here: a bit of what store_publish returns. */
void group_log_set_wait(struct group_log *log, uint8_t number);
/* What is to be the contents of the next entry, of `max` bytes at most, or one record that is longer. They
 * stay until something else is decided. False: there is nothing, or a large message comes next that was not copied
 * yet. */
bool group_log_proposal(struct group_log *log, size_t max, struct log_contents *contents);
/* Goes on with copying large messages, group_slice_bytes at most. True: some of them is left. */
bool group_log_copy(struct group_log *log);
/* They were appended. */
void group_log_proposed(struct group_log *log, size_t size);
/* How much was decided so far, in bytes of contents, from when this store was opened: what was decided
 * last is appended when group_log_appended is as much. */
uint64_t group_log_decided(const struct group_log *log);
uint64_t group_log_appended(const struct group_log *log);
/* The names of the catalogue are this group's from now on: who leads it changes them, and they are on record
 * when that is applied. */
void group_log_take_names(struct group_log *log);
/* How much had been decided, of that, when the last name was changed. */
uint64_t group_log_names_decided(const struct group_log *log);
/* Right after the catalogue was read: queues that nobody asked for are to end. */
void group_log_drop_orphans(struct group_log *log);

/* ---- what there is ---- */

struct log_floor group_log_floor(const struct group_log *log);
uint64_t group_log_last(const struct group_log *log);
/* The term of the entry at an index, or of the floor; 0: there is neither. */
uint64_t group_log_term(const struct group_log *log, uint64_t index);
uint32_t group_log_chain(const struct group_log *log, uint64_t index);
uint8_t group_log_kind(const struct group_log *log, uint64_t index);
uint64_t group_log_vote_term(const struct group_log *log, uint64_t *vote);
uint64_t group_log_commit(const struct group_log *log);
/* How far the state is applied. Right after a start that is as far as the start has found it, and what is behind it
 * is applied again. */
uint64_t group_log_kept(const struct group_log *log);
/* Entries up to here are durable, as they are now. */
uint64_t group_log_durable(struct group_log *log);
/* Bytes of the journal that its entries hold. */
uint64_t group_log_size(const struct group_log *log);

/* An entry; `contents` stays as it is until the next store_tick, or until the log is changed. */
enum log_result group_log_read(struct group_log *log, uint64_t index, struct log_head *head,
                               struct bytes *contents);
/* What has the contents of an entry that was just read, for whoever keeps them longer; NULL: they are to be copied. */
struct shared *group_log_shared(const struct group_log *log, uint64_t index);

#endif
