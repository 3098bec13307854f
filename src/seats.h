/* Who the members of a cluster's group are, and at which links they are found. A broker is known by its number
 * in the configuration's list; its seat is another one whenever it comes without what it had, and node ids
 * follow from the cluster, the number and the seat. So whoever has lost its folder is another member than
 * before, and what the old one has agreed to is never asked of the new one.
 *
 * A broker with an empty folder asks to be the one with its number (JOIN). Who leads makes it a learner with a
 * new seat, removes the old one, and makes it a voter when it has what the others have. */
#ifndef LEVERET_SEATS_H
#define LEVERET_SEATS_H

#include "cluster/cluster.h"
#include "options.h"

enum { SEAT_FIRST = 1 };

struct seats;

struct seats_options {
    const struct cluster_settings *settings;
    struct cluster *cluster;
    const struct node_identity *identity; /* of no cluster yet: it joins */
    uint64_t group;
    const struct log *log;
};

/* The same list is the same cluster. */
void seats_cluster_id(const struct cluster_settings *settings, uint8_t id[NODE_ID_BYTES]);
void seats_node_id(const uint8_t cluster[NODE_ID_BYTES], uint32_t number, uint32_t seat, uint8_t id[NODE_ID_BYTES]);
/* All of the list, as a cluster begins. */
struct engine_members seats_first(const struct cluster_settings *settings);

/* The member with this number; of a broker that comes anew the one with the newer seat. NULL: there is none. */
const struct engine_member *seats_newest(const struct engine_members *members, uint32_t number);

struct seats *seats_new(const struct seats_options *options);
void seats_free(struct seats *seats); /* NULL is allowed */
/* A JOIN of a node. */
void seats_asked(struct seats *seats, uint64_t now_ms, struct link *link, uint32_t number);
/* The member with this number counts no more, until it is back and has what the others have. NULL, or why that
 * cannot be. */
const char *seats_forget(struct seats *seats, uint64_t now_ms, uint32_t number);
/* Links follow the members; who leads goes on with what was asked. */
void seats_tick(struct seats *seats, uint64_t now_ms);
/* For who joins: asks all, if it is time. */
void seats_ask(struct seats *seats, uint64_t now_ms);

#endif
