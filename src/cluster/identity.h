/* Who this node is, whatever it is called: the file `node` in its data folder. It is written, and
 * synced, at each start before anybody is told of it. */
#ifndef LEVERET_CLUSTER_IDENTITY_H
#define LEVERET_CLUSTER_IDENTITY_H

#include <stdbool.h>
#include <stdint.h>

#include "store/disk.h"

#define NODE_FILE "node"

enum { NODE_ID_BYTES = 16, NODE_NONCES = 64, NODE_SEEN = 64 };

/* What was last seen of another node. */
struct node_seen {
    uint8_t node[NODE_ID_BYTES];
    uint64_t incarnation; /* 0: nothing yet */
    uint64_t nonce;       /* of that start */
};

struct node_identity {
    uint8_t node[NODE_ID_BYTES];
    uint8_t cluster[NODE_ID_BYTES]; /* zeros: of none yet */
    uint64_t cluster_generation;    /* rises when a cluster is forced to go on without others */
    uint32_t seat_generation;       /* rises when a node comes back without what it had */
    uint64_t incarnation;           /* how often it was started */
    uint32_t nonce_count, seen_count;
    uint64_t nonces[NODE_NONCES]; /* one for each of the last starts, the newest last */
    struct node_seen seen[NODE_SEEN];
    uint64_t written; /* how often; 0: never */
};

/* Reads it and adds a start: another incarnation, with a nonce. A folder without one gets it; `id`
 * and `nonce` are random. It is durable when 0 is returned; else an errno value: EBADMSG: the file
 * is damaged, and nothing was changed; ENOTSUP: a newer version has written it. */
int node_identity_start(struct disk *disk, const uint8_t id[NODE_ID_BYTES], uint64_t nonce,
                        struct node_identity *identity);
/* Writes what was changed, durably. 0 or an errno value; then the file is as it was before. */
int node_identity_write(struct disk *disk, struct node_identity *identity);
/* As it is on the disk; all zero when there is none. 0 or an errno value, as above. */
int node_identity_read(struct disk *disk, struct node_identity *identity);

/* Notes what was seen of another node; false: there is no room for more nodes. */
bool node_identity_saw(struct node_identity *identity, const struct node_seen *seen);
/* NULL: it was never seen. */
const struct node_seen *node_identity_seen(const struct node_identity *identity,
                                           const uint8_t node[NODE_ID_BYTES]);
void node_identity_forget(struct node_identity *identity, const uint8_t node[NODE_ID_BYTES]);

/* Is it an id at all? */
bool node_id_is(const uint8_t id[NODE_ID_BYTES]);
bool node_id_equal(const uint8_t a[NODE_ID_BYTES], const uint8_t b[NODE_ID_BYTES]);

#endif
