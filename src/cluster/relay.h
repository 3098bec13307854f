/* Clients of this node that another one serves: the bytes of each are brought to the node that leads, by a
 * connection of their own to where it listens for other nodes, and back. The first frame there says who the
 * client is (RELAY, link_client.h), so that it is known for what it is.
 *
 * A client that has said something waits until somebody leads, and has taken it; in that time nothing more of
 * it is read. When its leader is gone, or is another one, it waits for the next, which is told what the client's
 * connection has been (resume.h); where that cannot be it loses the connection, as it would with the leader's own.
 *
 * What is on its way to one side is read from the other one up to RELAY_BYTES, and one piece of input more; from
 * RELAY_ALL_BYTES of all clients on only while nothing is. */
#ifndef LEVERET_CLUSTER_RELAY_H
#define LEVERET_CLUSTER_RELAY_H

#include "base/log.h"
#include "cluster/identity.h"
#include "cluster/link_frame.h"
#include "peer/service.h"

enum {
    RELAY_BYTES = 64 << 10,
    RELAY_ALL_BYTES = 64 << 20,
    RELAY_DIALS_MAX = 8,     /* that the leader has not answered yet; others wait for their turn */
    RELAY_LOST_MS = 3000,    /* without a leader, then clients wait for the next one */
    RELAY_STUCK_MS = 10000,  /* while nothing of what is left for a side was taken, at its end */
    RELAY_RETRY_MS = 20,     /* doubled with each failure ... */
    RELAY_RETRY_MAX_MS = 640, /* ... up to here */
};

struct relays_options {
    enum link_client kind;
    const struct node_identity *identity; /* started; stays the caller's */
    const struct log *log;
    uint32_t patience_ms;        /* for a client to say something, and to be taken */
    size_t max;                  /* clients at a time, as far as descriptors go */
    const uint32_t *clients_max; /* the same as somebody wishes, now; 0: no limit */
};

struct relays;

struct relays *relays_new(const struct relays_options *options, uint64_t now_ms);
/* All conversations have been freed, and no call is under way. NULL is allowed. */
void relays_free(struct relays *relays);
/* Accepts clients. */
struct service *relays_service(struct relays *relays);
/* Who leads from now on, and where it listens for other nodes; 0: nobody is known. NULL: it is this one, which
 * does not serve yet. */
void relays_lead(struct relays *relays, uint32_t number, const char *host, uint16_t port);
/* Whoever waits for a leader loses its connection; `all`: whoever another node serves does so as well, when it has
 * what was said for it. */
void relays_send_away(struct relays *relays, bool all);
/* This node leads: whoever waits is this service's client from now on, and those that another one has served go on
 * there. Nobody comes any more. */
void relays_serve_here(struct relays *relays, struct service *service);

#endif
