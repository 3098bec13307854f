/*
 * Rights that end by themselves: what one node may do in one group until a moment, because its
 * leader said so, or because it leads. Nothing here does I/O or reads a clock.
 *
 *     RIGHT_ANSWER    1.5 s  to answer clients from this node's copy of the catalogue (group 0)
 *     RIGHT_HOLD      3 s    to hold what the group gave it: deliveries, names of exclusive queues
 *     RIGHT_DISPATCH  0.3 s  a leader's, to give something
 *
 * Each node asks the leader every LEASE_EVERY_MS, and says when it asked, by its own clock. The
 * leader grants that once something has been answered by a majority that it sent after the question
 * had come: whoever leads later was elected after the node had asked. The right runs from the
 * asking; the leader counts it from when the question came, and a tenth longer, as clocks differ.
 *
 * A leader knows from the group's log who may have a right: the present ones, by NODE entries that
 * are applied. Only they are granted anything. A new leader takes each of them for one that has all
 * rights, until it has said that it has none, or until as much time as rights last has gone since
 * the election. Who said that it has none takes none from leaders of before: its question names the
 * newest term that it has seen, and grants of older ones do not count there any more.
 *
 * W is an index of the catalogue that all have applied who answer from it, now and later. A leader
 * tells it; it never falls. So that it rises, who is behind is not granted RIGHT_ANSWER.
 *
 * Times are milliseconds of a clock that never goes back, each node's own, which differ in speed by
 * less than a tenth. A node is named by a number that is not 0. Its incarnation is the number of
 * its start: when one speaks, those before it have ended. Memory is as much as LEASE_NODES_MAX
 * nodes need, whatever peers say.
 */
#ifndef LEVERET_CLUSTER_LEASE_H
#define LEVERET_CLUSTER_LEASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LEASE_NODES_MAX = 32 };
enum {
    LEASE_EVERY_MS = 100,
    LEASE_ANSWER_MS = 1500,
    LEASE_HOLD_MS = 3000,
    LEASE_DISPATCH_MS = 300
};

enum right { RIGHT_ANSWER, RIGHT_HOLD, RIGHT_DISPATCH };

/* What a node sends to every other. */
struct lease_ask {
    uint64_t incarnation, sent_ms;
    uint64_t term;    /* grants of an older one do not count at the node */
    uint64_t applied; /* up to where it has applied the catalogue */
    bool answers;     /* it has RIGHT_ANSWER */
};

/* What a leader says to that: RIGHT_HOLD, and RIGHT_ANSWER if it says so. */
struct lease_grant {
    uint64_t incarnation, sent_ms; /* of the question */
    uint64_t term;
    bool answer;
};

/* What a NODE entry of the group's log says. */
struct lease_node {
    uint64_t node, incarnation;
    bool is_present;
};

/* One node's rights in one group, and what it knows of others' when it leads. It begins without
 * any, and with nobody present. */
struct lease *lease_new(uint64_t node, uint64_t incarnation, uint64_t now_ms);
void lease_free(struct lease *lease); /* NULL is allowed */

/* ---- what the group's log says ---- */

/* The entry at `index` is applied; they come in order. */
void lease_applied(struct lease *lease, uint64_t index);
/* The same, of one that is a NODE entry. */
void lease_node_applied(struct lease *lease, uint64_t now_ms, uint64_t index,
                        const struct lease_node *node);
/* The state is that of an image or a checkpoint at `index`, with these present. */
void lease_restored(struct lease *lease, uint64_t now_ms, uint64_t index,
                    const struct lease_node *present, size_t count);
/* Who is present: LEASE_NODES_MAX at most. */
size_t lease_present(const struct lease *lease, struct lease_node *present);

/* ---- every node ---- */

/* The engine is in this term. */
void lease_term(struct lease *lease, uint64_t term);
void lease_ask(const struct lease *lease, uint64_t now_ms, struct lease_ask *ask);
/* A grant has come. One of an older term, of an older incarnation, or of what was never asked
 * does not count. */
void lease_granted(struct lease *lease, uint64_t now_ms, const struct lease_grant *grant);
/* This node has the right. RIGHT_DISPATCH is a leader's, in office for a while, whose heartbeats
 * are answered. */
bool lease_have(const struct lease *lease, enum right right, uint64_t now_ms);
/* When RIGHT_ANSWER or RIGHT_HOLD ends, or ended, unless it is granted again. */
uint64_t lease_until_ms(const struct lease *lease, enum right right);
/* A leader has told its W. */
void lease_heard_w(struct lease *lease, uint64_t w);
/* What all who answer have applied, as far as this node has heard; 0: nothing yet. */
uint64_t lease_w(const struct lease *lease);

/* ---- a leader ---- */

/* This node was elected, and `first` is its first entry; in office when that is applied. */
void lease_lead(struct lease *lease, uint64_t now_ms, uint64_t term, uint64_t first);
void lease_follow(struct lease *lease); /* it leads no more */
/* engine_answered_ms(), whenever it may have risen: this node's own rights stand on it. */
void lease_answered(struct lease *lease, uint64_t answered_ms);
/* A node asks. */
void lease_asked(struct lease *lease, uint64_t now_ms, uint64_t node, const struct lease_ask *ask);
/* The next grant that may go, to *node. False: there is none now. */
bool lease_grants(struct lease *lease, uint64_t now_ms, uint64_t *node, struct lease_grant *grant);
/* The next NODE entry that is to be appended: call lease_proposed() when it is. False: none now.
 */
bool lease_proposal(struct lease *lease, uint64_t now_ms, struct lease_node *node);
void lease_proposed(struct lease *lease, uint64_t index, const struct lease_node *node);
/* As this leader sees it, the node has not the right, unless a later leader granted it. Own rights
 * are never over. */
bool lease_over(const struct lease *lease, enum right right, uint64_t node, uint64_t now_ms);
/* W, to be told to all; 0: it is not known yet. */
uint64_t lease_tell_w(struct lease *lease, uint64_t now_ms);

/* ---- the barrier of a queue after an election ---- */

/* What a leader knows of a node that may hold something of a queue. */
struct lease_barrier {
    enum { BARRIER_LINKED, BARRIER_SILENT, BARRIER_GONE } link; /* gone: its process has ended */
    bool attached; /* it has said in this term what it holds, and all of it */
    bool is_sole;  /* the queue has one active or exclusive consumer */
    bool held;     /* something of the queue may be held: it was given before, and is still there */
};

/* Nothing of the queue is with the node that this leader does not know of. A queue may be
 * dispatched when that is so for each present node. */
bool lease_barrier_passed(const struct lease *lease, uint64_t node,
                          const struct lease_barrier *barrier, uint64_t now_ms);

#endif
