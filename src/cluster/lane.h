/* Groups that carry queues, as this node takes part in them: what is decided about their queues
 * becomes entries while this node leads, and replies wait until these are applied.
 *
 * A turn is: input; store_collect; lanes_turn; store_write; what is ready is delivered. What was decided
 * goes into the filling batch before it may be sealed: with what a turn has decided for this broker alone,
 * it is on the disk together, or not at all. */
#ifndef LEVERET_CLUSTER_LANE_H
#define LEVERET_CLUSTER_LANE_H

#include "cluster/cluster.h"

/* How much of a log is kept, in bytes. */
struct lane_keeps {
    uint64_t all;  /* more than that: entries go that all members have, or, where nobody knows that, half of them */
    uint64_t most; /* more than that, or the disk is short: half of them, whoever needs them; 0: never */
};

struct lanes;
struct lane;

struct lanes *lanes_new(struct cluster *cluster, struct store *store, const struct lane_keeps *keeps);
/* Entries behind this one stay, as an image is under way that has those up to it; UINT64_MAX: there is none. */
void lanes_keep(struct lanes *lanes, uint64_t index);
/* NULL is allowed; before the cluster and the store. */
void lanes_free(struct lanes *lanes);
/* The group is one that this node takes part in. `wait` is what replies that wait for it call it; see
 * group_log_set_wait. */
struct lane *lanes_add(struct lanes *lanes, uint64_t group, uint8_t wait);

/* True: something was applied, or is left to be done, for which another turn is worth while. What a turn does is bounded
 * in bytes and entries, but for one entry. */
bool lanes_turn(struct lanes *lanes, uint64_t now_ms, uint64_t wall_ms);
/* Hears and says nothing from now on, as if this process had ended. */
void lanes_stop(struct lanes *lanes);
/* Before the store is closed: what was decided goes into its last batch, whether another one is being
 * written or not. */
void lanes_close(struct lanes *lanes, uint64_t now_ms);
/* When there is something to do even if nothing comes. */
uint64_t lanes_next_ms(const struct lanes *lanes);
/* What can be decided is up to date: of each group that has no other voter this node leads, with all
 * that was agreed on applied. At a start names of queues are looked for, and clients served, after it. */
bool lanes_are_ready(const struct lanes *lanes);
/* This node leads all of them, with all that was agreed on before applied. */
bool lanes_lead(const struct lanes *lanes);
/* Nobody else can lead any of them now, or deliver what its leader did: see RIGHT_DISPATCH. */
bool lanes_may_deliver(const struct lanes *lanes, uint64_t now_ms);
/* The same, as of the last turn: what is looked up here and now is what anybody would find. */
bool lanes_may_answer(const struct lanes *lanes);
/* NULL, or why a group takes part no more. */
const char *lanes_broken(const struct lanes *lanes);

/* All of them: begins with *at = 0; NULL: no more. */
struct lane *lanes_next(struct lanes *lanes, size_t *at);
uint8_t lane_wait(const struct lane *lane);
/* NULL, or why its group takes part no more. */
const char *lane_broken(const struct lane *lane);
/* How much was decided so far, and of this how much is done: numbers of one row, which only rise. */
uint64_t lane_decided(const struct lane *lane);
uint64_t lane_done(const struct lane *lane);
/* How much had been decided when a name was last changed; 0: its names are not this group's. */
uint64_t lane_names_decided(const struct lane *lane);
/* More waits to be agreed on than is good: who has published is to wait. */
bool lane_is_congested(const struct lane *lane);

#endif
