/* What the files of links share, and nobody else sees: link.c (a link's life), link_connection.c (a
 * connection's), link_carry.c (of one that carries a client) and link_hello.c (who is who). */
#ifndef LEVERET_CLUSTER_LINK_INTERNAL_H
#define LEVERET_CLUSTER_LINK_INTERNAL_H

#include "base/map.h"
#include "base/random.h"
#include "cluster/link.h"
#include "cluster/link_wire.h"

enum { LINK_WATCH_MS = 1000, LINK_ENDING_MS = 1000, LINK_ID_TEXT = 2 * NODE_ID_BYTES + 1 };
/* Sent by data in a turn, about: what is encrypted meanwhile keeps whoever is in that turn from all else. */
enum { LINK_TURN_BYTES = 1 << 20 };

enum connection_state {
    CONNECTION_NEW,     /* the peer has not said who it is */
    CONNECTION_OPEN,    /* its link's, as long as that says so */
    CONNECTION_ENDING,  /* what is to be said yet is sent; nothing that comes counts */
    CONNECTION_WATCHED, /* nothing that comes counts but a goodbye; how it ends does */
    CONNECTION_CARRIES, /* a client of another node: see link_carry.c */
};

struct link_connection {
    struct conversation conversation;
    struct links *links;
    struct list all;      /* in links->connections, or links->carrying */
    struct list readable; /* in links->readable: there may be a frame */
    struct link *link;    /* NULL: not known yet */
    enum link_way way;    /* of one that was accepted: known by its HELLO */
    enum connection_state state;
    bool is_dialed, is_abrupt; /* abrupt: what is unsent does not matter */
    uint64_t since_ms;         /* its state */
    uint64_t moved_ms;         /* when something was last sent, or there was nothing to be sent */
    uint64_t turn;             /* the last one in which it was asked for output */
    size_t turn_bytes;         /* that were sent in it */
    struct list resting;       /* in links->resting: it goes on sending in the next turn */
    uint64_t session;
    struct link_wire wire;
    char peer[64];

    /* CONNECTION_CARRIES. */
    struct link *speaker;         /* to the node that speaks for the client; NULL: it ends */
    uint64_t client;              /* its number there; 0: it has none */
    struct conversation *carried; /* with the client */
    struct buffer known;          /* of it, by TLS; see link_client.h */
    enum peer_named named;
};

struct link {
    struct links *links;
    struct list all;     /* in links->all */
    struct list telling; /* in links->telling: links_next has something to say of it */
    uint8_t node[NODE_ID_BYTES];
    uint32_t number;
    char name[LINK_NAME_BYTES];
    uint64_t incarnation, catalogue;
    struct link_clock clock;
    bool is_forgotten;

    /* Both connections, of one session: a number that who dials has made up. */
    struct link_connection *ways[LINK_WAYS];
    uint64_t session, session_ms;
    bool is_up, was_up; /* was: since it was last gone */
    uint64_t down_ms;   /* since when its clients here wait for it; 0: they do not */
    uint64_t up_ms, heard_ms, pinged_ms, echo_ms;
    bool was_full;
    struct link_flights flights;
    struct idmap clients; /* that have numbers, which it speaks for and this node serves */

    /* Dialing. */
    struct outcall call;
    enum link_way calling;
    bool is_calling;                /* the call is under way */
    struct link_connection *dialed; /* connected, and not said who it is yet */
    uint64_t dial_ms, backoff_ms;

    /* Is its process gone? Both connections were reset, and a new one is refused. */
    struct link_connection *watched; /* the other one, since the first was reset */
    uint32_t resets;                 /* bits by way */
    bool is_refused;
    uint64_t watch_until_ms; /* 0: it is not asked */

    /* What links_next has to tell. */
    bool tell_down, tell_gone, tell_seen, tell_up, tell_room;
    bool told_up;
    enum link_reason down_reason, gone_reason;

    enum link_reason logged; /* the last refusal in the log; none once it was up */
};

struct links {
    struct service service;
    struct links_options options;
    struct node_identity *identity;
    char name[LINK_NAME_BYTES];
    uint32_t number;
    uint64_t catalogue;
    struct random random;
    uint64_t now_ms;
    bool is_ending;
    uint64_t turn;
    struct list all, telling, connections, carrying, readable, resting;
    struct service *clients[LINK_CLIENTS]; /* who serves those of other nodes; NULL: nobody here */
    size_t count, strangers;
    struct buffer scratch;
    union link_frame frame; /* that links_next told of */
    struct shared *shared;  /* has its contents; its connection's reference; NULL: they are to be copied */
    uint64_t complained_ms; /* of strangers, in the log */
    uint32_t complaints;
};

/* ---- link.c ---- */

void link_tell(struct link *link);
/* Down, if it was up, and both connections end. Who dials tries again. say: the peer is told. */
void link_end_session(struct link *link, enum link_reason reason, bool say);
void link_is_gone(struct link *link, enum link_reason reason);
/* A connection of it was lost; is_reset: by the peer's system, as when its process ends. */
void link_lost(struct link *link, struct link_connection *connection, bool is_reset);
/* The connection is its control or data from now on. */
void link_attach(struct link *link, struct link_connection *connection);
/* The connection that it has dialed is of no use. */
void link_dial_ended(struct link *link);
/* Nothing is connected, and it is dialed again when it is time. */
void link_retry(struct link *link);
struct link *links_add_node(struct links *links, const uint8_t node[NODE_ID_BYTES]);
/* Half of its output has gone. */
void link_has_room(struct link *link);

/* ---- link_connection.c ---- */

struct link_connection *link_connection_new(struct links *links, const struct peer *peer);
/* Nothing that comes counts any more; BYE is said, unless the reason is LINK_REASON_NONE. */
void link_connection_end(struct link_connection *connection, enum link_reason reason);
void link_connection_set_state(struct link_connection *connection, enum connection_state state);
void link_connection_put(struct link_connection *connection, const union link_frame *frame);
/* One that is watched may have said that its process ends. */
void link_connection_look_for_bye(struct link_connection *connection);
/* A current connection may have something for links_next. */
void link_connection_is_readable(struct link_connection *connection);
/* Is it one of its link's two? Nothing of another one counts. */
bool link_connection_is_current(const struct link_connection *connection);
/* What goes by it is a peer's no more: it is forgotten. */
void link_connection_free(struct link_connection *connection);

/* ---- link_carry.c ---- */

/* What came first on a connection: it carries a client from now on, or is refused. */
void link_carry(struct link_connection *connection, const struct link_relay *relay);
/* All clients that the node speaks for are lost, for that reason. */
void link_carry_end(struct link *link, const char *reason);

/* ---- link_hello.c ---- */

void link_hello_say(struct link_connection *connection);
/* What came first on a connection: it is attached to its link, or refused. */
void link_hello_act(struct link_connection *connection, const struct link_hello *hello);
/* Is it a cluster that may be talked to? */
enum link_reason link_hello_judge_cluster(const struct links *links, const uint8_t cluster[NODE_ID_BYTES],
                                          uint64_t generation);
/* Ends it, says why, and logs what to do. by_peer: the peer has refused us. */
void link_hello_refuse(struct link_connection *connection, enum link_reason reason, bool by_peer,
                       const char *who);
void link_hello_id_text(const uint8_t node[NODE_ID_BYTES], char text[LINK_ID_TEXT]);

#endif
