/*
 * One member of one group whose members agree on a log (Raft): who leads, which entry is committed,
 * who still needs which. It does no I/O, reads no clock, and sees nothing of what an entry says,
 * but for entries that change who the members are.
 *
 * Each call that is given an update is an event, and says there what is to be done because of it,
 * and nothing of before. The caller does that in this order:
 *
 *  1. vote_changed: engine_term() and engine_vote() go on record. No message of this group leaves
 * before they are durable.
 *  2. cut_from: the log forgets its entries from there on.
 *  3. append_count entries are appended from append_from on: those of the message that was
 * received, or one of this member's own.
 *  4. messages are sent. One member's messages to another stay in order, and none of a connection
 * arrives after one of a later connection. Those that carry entries may go another way than the
 * others; of each way the same holds.
 *  5. images: these members lack what this log no longer has. They may pull an image of the state,
 * and call engine_imaged() when they have it.
 *  6. What is committed, up to engine_commit(), is applied.
 *  7. engine_timeout() is called when engine_deadline() has come.
 *
 * Times are milliseconds of a clock that never goes back. An index of a log begins at 1, and so
 * does a term; 0 is none. Nothing here may fail but as said; out of memory ends the process.
 */
#ifndef LEVERET_CLUSTER_ENGINE_H
#define LEVERET_CLUSTER_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ENGINE_MEMBERS_MAX = 32 };
/* Entries that a leader takes before they are committed, and that are on their way to a member. */
enum { ENGINE_UNCOMMITTED_MAX = 256 };
enum { ENGINE_HEARTBEAT_MS = 100, ENGINE_ELECTION_MS = 1000 };

/* A learner gets the log and does not vote. */
enum engine_role { ENGINE_VOTER = 1, ENGINE_LEARNER };

/* An id is never used again: a member that lost its log comes back as another. 0 is nobody. */
struct engine_member {
    uint64_t id;
    enum engine_role role;
};

/* Who the members are since the entry at `index`. No id is twice among them, and one is a voter. */
struct engine_members {
    uint64_t index;
    uint32_t count;
    struct engine_member of[ENGINE_MEMBERS_MAX];
};

enum engine_kind {
    ENGINE_RECORDS = 1, /* what the group is for */
    ENGINE_NOOP,        /* a leader's first entry */
    ENGINE_MEMBERS,     /* who the members are from here on */
};

struct engine_entry {
    uint64_t term;
    enum engine_kind kind;
    const struct engine_members *members; /* of ENGINE_MEMBERS; its index does not count here */
};

enum engine_message_type {
    ENGINE_APPEND = 1, /* to a follower: entries, or a heartbeat */
    ENGINE_APPENDED, /* to a leader: how far the follower's durable log agrees, or what it lacks */
    ENGINE_VOTE,     /* to a voter: may I lead? */
    ENGINE_VOTED,    /* its answer */
    ENGINE_CAMPAIGN, /* to a follower: lead in my place, at once */
};

/* A message to, or from, a peer. Fields that a type does not name are 0. */
struct engine_message {
    enum engine_message_type type;
    uint64_t peer;
    uint64_t term;
    uint64_t index; /* APPEND: before its entries. APPENDED: the last durable one. VOTE, CAMPAIGN:
                       the last */
    uint64_t index_term; /* APPEND, VOTE, CAMPAIGN: the term of that entry */
    uint64_t commit;     /* APPEND */
    uint64_t
        rejected;   /* APPENDED: the index before the entries that were not taken; 0: they were */
    uint64_t round; /* APPEND: when it was sent. APPENDED: the newest of this term that has come */
    uint32_t count; /* APPEND: of the entries from index + 1 on, which the caller sends along */
    const struct engine_entry *entries; /* of an APPEND that was received */
    bool pre_vote, disrupts; /* VOTE, VOTED: only asked; VOTE: although there is a leader */
    bool granted;            /* VOTED */
};

/* What is to be done. All zero is an empty one; engine_update_free() when it is no longer used. */
struct engine_update {
    bool vote_changed, role_changed;
    uint64_t cut_from;
    uint64_t append_from;
    uint32_t append_count;
    enum engine_kind
        append_kind; /* of this member's own entry, in engine_term(); 0: those of the message */
    struct engine_message *messages;
    size_t message_count, message_capacity;
    uint64_t *images;
    size_t image_count, image_capacity;
    const char *broken; /* NULL, or why this member must stop: its log cannot be right */
};

/* Empties an update, which keeps its memory. */
void engine_update_clear(struct engine_update *update);
void engine_update_free(struct engine_update *update);

/* What a member knows of itself when it starts. `floor` is the index up to which its state is an
 * image or a checkpoint, so that its log begins behind it; `members` are those at the floor. A
 * member that is new and has to be told everything starts with zeros. A group begins with a term of 1
 * at all of its members, and with the same ones: said by the first entry, or, where there is a state
 * already, at a floor of 1. */
struct engine_start {
    uint64_t id, seed;
    uint64_t term, vote;
    uint64_t floor, floor_term;
    struct engine_members members;
    const struct engine_entry *entries; /* floor + 1 ... */
    uint32_t entry_count;
    uint64_t commit; /* known to be, 0: no more than the floor */
};

struct engine *engine_new(const struct engine_start *start, uint64_t now_ms,
                          struct engine_update *update);
void engine_free(struct engine *engine); /* NULL is allowed */

/* ---- events ---- */

/* A message has come. Its entries are those of a log: terms do not fall. */
void engine_receive(struct engine *engine, uint64_t now_ms, const struct engine_message *message,
                    struct engine_update *update);

/* A leader's entry is appended. False: this member does not lead, or is handing over, or has
 * ENGINE_UNCOMMITTED_MAX entries that are not committed. */
bool engine_propose(struct engine *engine, uint64_t now_ms, struct engine_update *update);

/* Others shall be members: one voter or learner more, one less, or a learner that becomes a voter
 * or the other way round. NULL: the entry is appended. Else the reason why not: one such change at
 * a time, by a leader in office, which does not remove itself; a learner becomes a voter when it
 * has what is committed. */
const char *engine_change(struct engine *engine, uint64_t now_ms,
                          const struct engine_members *members, struct engine_update *update);

/* The log is durable up to `index` as it was when engine_cuts() was `cuts`. */
void engine_persisted(struct engine *engine, uint64_t now_ms, uint64_t index, uint64_t cuts,
                      struct engine_update *update);

/* The deadline has come; harmless before. */
void engine_timeout(struct engine *engine, uint64_t now_ms, struct engine_update *update);

/* A peer's process has ended, as far as its connections tell: if it led, this member tries to,
 * without waiting for a timeout; `rank` 0 at once, 1 a little later, and so on. Call it once when
 * that is seen. */
void engine_peer_gone(struct engine *engine, uint64_t now_ms, uint64_t peer, uint32_t rank,
                      struct engine_update *update);

/* The ways to a peer are new: nothing that was sent before will arrive any more. */
void engine_link_new(struct engine *engine, uint64_t peer);

/* A leader hands over to a voter. False: it does not lead, is handing over, or the peer is none. */
bool engine_transfer(struct engine *engine, uint64_t now_ms, uint64_t peer,
                     struct engine_update *update);

/* The state up to `index`, an applied one, is durable without the log: the log begins behind it.
 * Entries of before are forgotten by the caller. */
void engine_floor(struct engine *engine, uint64_t now_ms, uint64_t index,
                  struct engine_update *update);

/* This member, which follows, has a durable image of the state at `index`, whose entry is of
 * `term`, with the members of then. True: its log is empty now, and begins behind it. False: it has
 * that entry already, or leads, and nothing happens. An image is put on record only while
 * engine_term_of(index) is not term. */
bool engine_imaged(struct engine *engine, uint64_t now_ms, uint64_t index, uint64_t term,
                   const struct engine_members *members, struct engine_update *update);

/* A member that may not campaign (it may at the start) does not try to lead, unless it is the only
 * voter; one that tries already gives up at its next timeout. It votes. */
void engine_may_campaign(struct engine *engine, bool may);

/* ---- what is known ---- */

uint64_t engine_term(const struct engine *engine);
uint64_t engine_vote(const struct engine *engine);
bool engine_leads(const struct engine *engine);
/* It leads, and its first entry is committed: what it reads is not out of date but for what others
 * may have decided since engine_answered_ms(). */
bool engine_in_office(const struct engine *engine);
uint64_t
engine_first(const struct engine *engine); /* the leader's own first entry; 0: it does not lead */
uint64_t engine_leader(const struct engine *engine); /* 0: not known */
uint64_t engine_last(const struct engine *engine);
uint64_t engine_commit(const struct engine *engine); /* never falls */
/* The term of an entry that is in the log, or at its floor; 0: it is neither. */
uint64_t engine_term_of(const struct engine *engine, uint64_t index);
/* How often the log was cut, for engine_persisted(). */
uint64_t engine_cuts(const struct engine *engine);
/* Up to where a member's durable log agrees, as far as this leader knows. */
uint64_t engine_match(const struct engine *engine, uint64_t peer);
/* The members by the last entry of the log, and by the last up to `index`, which is not below the
 * floor. */
const struct engine_members *engine_members(const struct engine *engine);
const struct engine_members *engine_members_at(const struct engine *engine, uint64_t index);
/* As a leader: when the newest heartbeat was sent that a majority has answered. A later leader was
 * elected after that. 0: none yet. */
uint64_t engine_answered_ms(const struct engine *engine, uint64_t now_ms);
uint64_t engine_deadline(const struct engine *engine);

#endif
