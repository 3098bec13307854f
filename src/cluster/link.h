/* The links of a node: to each of the others one, of two connections, control and data. Bytes in
 * and bytes out, as a service with conversations (src/peer); no socket, no clock and no randomness
 * of its own.
 *
 * A link is up when both connections are there and both sides have said who they are (HELLO), and
 * is down as a whole when one of them goes. What is sent by one connection arrives in order (on
 * data: what is of one class), and nothing of before arrives once a link is up anew. A turn is:
 * input; tick; links_next until there is no more; link_send as one likes; output.
 *
 * Nothing calls upwards: what happens is fetched by links_next. */
#ifndef LEVERET_CLUSTER_LINK_H
#define LEVERET_CLUSTER_LINK_H

#include "base/log.h"
#include "cluster/identity.h"
#include "cluster/link_flight.h"
#include "cluster/link_frame.h"
#include "peer/service.h"

enum {
    LINKS_MAX = 64,
    LINK_STRANGERS_MAX = 64, /* connections that have not said who they are */
    LINK_NAME_BYTES = 256,
    LINK_HELLO_BYTES = 4096, /* before which nothing else may come ... */
    LINK_HELLO_MS = 5000,    /* ... and in this time */
    LINK_PING_MS = 100,
    LINK_SILENT_MS = 750,      /* without anything on control */
    LINK_STUCK_MS = 5000,      /* while nothing of what is to be sent on data was taken */
    LINK_CARRY_MS = 10000,     /* of a link that is down, then clients that come that way are lost */
    LINK_RETRY_MS = 50,        /* doubled with each failure ... */
    LINK_RETRY_MAX_MS = 2000,  /* ... up to here */
    LINK_TALK_BYTES = 1 << 20, /* on control, that may wait to be sent */
};

enum { LINK_OUTPUT_BYTES = 8 << 20, LINK_WHOLE_BYTES = 136 << 20 };

struct links_options {
    const char *name;  /* leveret@host: a label */
    uint32_t number;   /* by which members of groups are told to be this node's; 0: not known yet */
    uint64_t seed;     /* random */
    size_t output_max; /* on data, unsent; 0: LINK_OUTPUT_BYTES */
    size_t whole_max;  /* of a frame in pieces that comes; 0: LINK_WHOLE_BYTES */
    bool admits;       /* nodes that are not known may come: they want to join */
    const struct log *log;
};

struct links;
struct link;

/* `identity` has been started, stays the caller's, and may be changed by it between calls; what the
 * links note there is what was seen of others. */
struct links *links_new(const struct links_options *options, struct node_identity *identity,
                        uint64_t now_ms);
/* All conversations have been freed, and no call is under way. NULL is allowed. */
void links_free(struct links *links);
struct service *links_service(struct links *links);
/* Clients of that kind that other nodes have accepted are this service's from now on, as if they had come by
 * a socket of this one. NULL, as at first: they are refused. */
void links_serve(struct links *links, enum link_client kind, struct service *service);

/* Another node. Its id may be all zero where only an address is known: it is whoever answers there.
 * An empty host: it is waited for. */
struct link_peer {
    uint8_t node[NODE_ID_BYTES];
    uint32_t number; /* 0: not known yet */
    const char *host;
    uint16_t port;
    const char *name; /* that its certificate has to have; NULL: any */
};

/* NULL: there are LINKS_MAX, or there is one to this node. */
struct link *links_add(struct links *links, const struct link_peer *peer);
/* The node is forgotten: it is told so if it is connected, and is unknown from now on. The link
 * must not be used again; links_next says no more of it. */
void links_forget(struct links *links, struct link *link);
/* The link to the node with this number; NULL: there is none. */
struct link *links_numbered(const struct links *links, uint32_t number);
/* All links, in the order in which they were added: the one behind `link`, the first behind NULL. */
struct link *links_behind(const struct links *links, const struct link *link);
/* NULL: there is none. */
struct link *links_find(const struct links *links, const uint8_t node[NODE_ID_BYTES]);
/* Sets what is known of it by now. */
void link_set_number(struct link *link, uint32_t number);
void links_set_number(struct links *links, uint32_t number);

/* ---- what happens ---- */

enum link_event_kind {
    LINK_EVENT_SEEN, /* another start of the node than before: the identity has it, and is to be
                        written when there is time */
    LINK_EVENT_DOWN, /* it is down, though the node may be well: silent */
    LINK_EVENT_GONE, /* the node's process has ended: it has said so, or all that connected to it
                        was reset and nobody listens, or it was started again. After DOWN, once */
    LINK_EVENT_UP,   /* all that was sent before is lost, or has arrived before */
    LINK_EVENT_ROOM, /* after LINK_FULL: half of the output has gone */
    LINK_EVENT_FRAME,
};

struct link_event {
    enum link_event_kind kind;
    struct link *link;
    enum link_reason reason;       /* DOWN, GONE */
    const union link_frame *frame; /* FRAME: all but those of the link itself; good until the next call */
};

/* What happened next; false: nothing more. Connections take turns. The service asks for a turn at
 * once as long as there is something. */
bool links_next(struct links *links, struct link_event *event);
/* What has the contents of the frame that was told last, for whoever keeps a part of them; NULL: they are to be
 * copied. */
struct shared *links_shared(const struct links *links);

/* ---- a link ---- */

enum link_sent {
    LINK_SENT,
    LINK_FULL, /* what is unsent on data is as much as there may be: LINK_EVENT_ROOM tells when to
                  try again. Nothing was taken */
    LINK_DOWN,
};

/* A copy is taken. A frame that is larger than the bound goes when nothing else waits. */
enum link_sent link_send(struct link *link, const union link_frame *frame);
/* A message of a group to a member there, with its entries and what else they have. */
enum link_sent link_send_raft(struct link *link, uint64_t group, uint64_t generation, uint64_t from,
                              const struct engine_message *message,
                              const struct engine_entry *entries, const struct link_body *bodies);

bool link_is_up(const struct link *link);
/* There is a control connection at least, so that it may come up. */
bool link_has_session(const struct link *link);
const uint8_t *link_node(const struct link *link);
const char *link_name(const struct link *link); /* as it calls itself; empty: not known yet */
uint32_t link_number(const struct link *link);
uint64_t link_incarnation(const struct link *link); /* the last that was seen; 0: none */
uint64_t link_catalogue(const struct link *link);   /* as it said when it came up */
/* How long the last echo took; 0: there was none yet. */
uint64_t link_echo_ms(const struct link *link);
/* What the node's wall clock was when it last told it; for who hears that to write down. */
struct link_clock {
    uint64_t wall_ms, at_ms; /* at_ms: of this node's own clock; 0: it has told nothing */
};
struct link_clock *link_clock(struct link *link);
/* Bytes that are unsent, of both connections. */
size_t link_unsent(const struct link *link);
/* Entries on their way to it. They are forgotten when it comes up. */
struct link_flights *link_flights(struct link *link);
/* What this node says in its next HELLO. */
void links_set_catalogue(struct links *links, uint64_t index);

#endif
