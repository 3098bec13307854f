/* This node among others: its links, the groups that it is a member of, and the rights that it asks
 * for. It joins what comes by links with whom it is for.
 *
 * A turn is: input of the links' conversations; cluster_tick; cluster_next until there is no more,
 * and whatever is proposed because of it; store_tick; output. A call of cluster_tick in between is
 * harmless, and makes what has become durable count at once. */
#ifndef LEVERET_CLUSTER_CLUSTER_H
#define LEVERET_CLUSTER_CLUSTER_H

#include "cluster/group.h"

struct cluster;

/* What frames are for that are not of groups: images, and nodes that join. */
struct cluster_guest {
    void (*take)(struct cluster_guest *guest, uint64_t now_ms, struct link *link, const union link_frame *frame);
};

struct cluster_options {
    struct store *store;
    struct links_options links;     /* its number is this node's */
    struct node_identity *identity; /* started; see links_new */
    uint64_t seed;
    struct cluster_guest *guest; /* NULL: there is none */
};

/* The interfaces stay the caller's and must outlive it. */
struct cluster *cluster_new(const struct cluster_options *options, uint64_t now_ms);
/* After links_free's rules. NULL is allowed. */
void cluster_free(struct cluster *cluster);
struct links *cluster_links(struct cluster *cluster);

/* Takes part in a group whose log is in the store, with this seat of this node. */
struct group *cluster_take_part(struct cluster *cluster, uint64_t group, uint64_t generation,
                                uint16_t seat, uint64_t now_ms);
void cluster_leave(struct cluster *cluster, struct group *group);
/* NULL: it is none of this node's. */
struct group *cluster_group(const struct cluster *cluster, uint64_t group);

/* Takes what has come, and moves all groups on. `wall_ms` is this node's wall clock. */
void cluster_tick(struct cluster *cluster, uint64_t now_ms, uint64_t wall_ms);
/* When cluster_tick has something to do even if nothing comes. */
uint64_t cluster_next_ms(const struct cluster *cluster);

/* The next entry that a group agreed on, after it was applied to the store; see group_next. NULL:
 * there is none now. */
struct group *cluster_next(struct cluster *cluster, uint64_t now_ms, struct group_entry *entry);

/* What happened to links in the last cluster_tick, for who keeps the file `node`, and for the log. */
bool cluster_saw(struct cluster *cluster);

#endif
