/* This node as a member of one group: the engine that agrees, the log in the store's journal, the
 * rights that end by themselves, and the links to the other members.
 *
 * What a group agrees on are entries: rows of records (store/record.h), which are applied to the
 * store by every member, in order. Who has the group fetches what was applied by group_next, and
 * follows it with whatever else stands for the same names.
 *
 * A turn is: group_receive for what has come; group_propose for what was decided; group_tick;
 * group_next until there is no more; store_tick. Nothing here calls upwards, does I/O or reads a
 * clock. Times are milliseconds, of a clock that never goes back, and of a wall clock. */
#ifndef LEVERET_CLUSTER_GROUP_H
#define LEVERET_CLUSTER_GROUP_H

#include "cluster/engine.h"
#include "cluster/lease.h"
#include "cluster/link.h"
#include "store/group_log.h"

struct store;
struct group;

/* The catalogue of a cluster is the group with this number. */
enum { GROUP_CATALOGUE = 1 };
/* An entry has as much at most, so that it goes in a frame of a link; one that is larger is refused. */
enum { GROUP_ENTRY_MAX = LINK_WHOLE_BYTES - (1 << 20) };

/* What an entry is for: the kind of its log_head, which the store does not look at. */
enum group_use {
    GROUP_USE_RECORDS = 1, /* what the group is for */
    GROUP_USE_NOOP,        /* a leader's first entry */
    GROUP_USE_MEMBERS,     /* who the members are */
    GROUP_USE_NODE,        /* who is present (lease.h) */
    GROUP_USES,
};

/* A member's id: the number of its node, and its seat there, which is another one whenever it comes
 * without what it had. */
static inline uint64_t group_member_id(uint32_t node, uint16_t seat)
{
    return (uint64_t)node << 16 | seat;
}
static inline uint32_t group_member_node(uint64_t member)
{
    return (uint32_t)(member >> 16);
}

struct group_options {
    struct store *store;
    struct links *links;
    uint64_t group, generation; /* messages of another generation are dropped */
    uint64_t self;              /* this node's member */
    uint64_t incarnation;       /* of this node, for its rights */
    uint64_t seed;
};

/* A group begins: each of its first members does this with the same ones, once, before it begins to
 * take part. The state of all of them is nothing then; the first entry says who they are. */
void group_found(struct store *store, uint64_t group, const struct engine_members *members);
/* A group goes on with these members alone, and with all entries of this log, as a copy of a store has them. None of the
 * others may ever hear of it: it is another one from here on. */
void group_refound(struct store *store, uint64_t group, const struct engine_members *members);
/* A member that others have, or will have, and that has to be told everything. A node that has left and
 * still has the log begins nothing: it takes part again, in a seat that it never had, with what it has. */
void group_join(struct store *store, uint64_t group);

/* Takes part in a group whose log is in the store. It reads of it what it has to know, which takes
 * some turns. The options' interfaces stay the caller's, and must outlive it. */
struct group *group_new(const struct group_options *options, uint64_t now_ms);
void group_free(struct group *group); /* NULL is allowed */

/* ---- events ---- */

/* A message of another member has come by a link. */
/* `shared` has what it says, and may be held; NULL: it is copied. */
void group_receive(struct group *group, uint64_t now_ms, const struct link *link,
                   const struct link_raft *raft, struct shared *shared);
/* LINK_EVENT_UP, DOWN and GONE of a link to a node that may have a member. */
void group_link_up(struct group *group, struct link *link);
void group_link_down(struct group *group, const struct link *link);
void group_peer_gone(struct group *group, uint64_t now_ms, const struct link *link);

enum group_proposed {
    GROUP_PROPOSED,
    GROUP_FOLLOWS, /* another one leads, or nobody */
    GROUP_FULL,    /* too much is under way, or the disk is short: in a later turn */
    GROUP_LARGE,   /* more than an entry may have */
};

/* An entry is to be agreed on, by this leader. `catalogue` is the index of the catalogue that it rests on. Its index is *index. */
enum group_proposed group_propose(struct group *group, uint64_t now_ms, const struct log_contents *contents,
                                  uint64_t catalogue, uint64_t *index);
/* Others shall be members; see engine_change. */
const char *group_change(struct group *group, uint64_t now_ms, const struct engine_members *members);
bool group_transfer(struct group *group, uint64_t now_ms, uint64_t member);

/* Once a turn, before store_tick. `wall_ms` is what the clocks of the members say: an entry gets
 * that as its stamp, or that of the entry before it if it is later. */
void group_tick(struct group *group, uint64_t now_ms, uint64_t wall_ms);
/* When group_tick has something to do even if nothing happens. */
uint64_t group_next_ms(const struct group *group);

/* What was applied. */
struct group_entry {
    uint64_t index, term, stamp_ms, catalogue;
    enum group_use use;
    struct bytes contents; /* until the next store_tick, or the next call for this group */
};

/* The next entry that is agreed on, after it was applied to the store. False: there is none now. */
bool group_next(struct group *group, uint64_t now_ms, struct group_entry *entry);

/* The log is to begin behind `index`: so far the state does not come from it any more. False: that
 * is not applied, or not durable here yet. */
bool group_raise(struct group *group, uint64_t now_ms, uint64_t index);

/* ---- images ---- */

/* What a copy of a leader's store has: it was made in a term, in which that one led, and its log was durable up
 * to `last` then. */
struct group_image {
    uint64_t term, last, last_term;
};

/* Of a copy of this member's store that is begun now. False: it does not lead. */
bool group_image(struct group *group, struct group_image *image);
/* Has this member's log all that is known of such a copy, so that it is of no use? */
bool group_has(const struct group *group, const struct group_image *image);
/* May this member forget its own store, and go on with such a copy, as at a start? NULL, or why not. It has to
 * take part no more behind that: what it would agree to is not in the copy. */
const char *group_may_replace(const struct group *group, const struct group_image *image);

/* ---- what is known ---- */

/* NULL: it does not take part yet, as its log is being read. */
const struct engine *group_engine(const struct group *group);
struct lease *group_lease(struct group *group);
uint64_t group_number(const struct group *group);
uint64_t group_self(const struct group *group);
uint64_t group_applied(const struct group *group);
/* NULL, or why it takes part no more: its log cannot be right, or cannot be read. */
const char *group_broken(const struct group *group);
/* How often a leader here has heard of a member that lacks what no log has any more. */
uint32_t group_lacking(const struct group *group);
/* Does this member, as the leader here has heard? It needs an image. */
bool group_lacks(const struct group *group, uint64_t member);
/* What it holds until that can go on, in bytes: messages that have come, such as those that wait for room,
 * messages with entries that are to leave, and what waits for a vote to be durable. */
struct group_held {
    size_t come, leaving, unsaid;
};
struct group_held group_held(const struct group *group);
/* Counters; but commit_ms is how long it took from its proposal until an entry of this leader was committed, of
 * the last one that was timed; 0: none was. One is timed at a time. */
struct group_stats {
    uint64_t proposed, appended, applied, elections, cuts, held_for_vote, waited_for_room,
        waited_for_read, dropped, commit_ms;
};
const struct group_stats *group_stats(const struct group *group);

#endif
