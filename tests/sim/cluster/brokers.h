/* Whole brokers that are a cluster, their disks, links and clients, in one process, on one clock, from one
 * seed. The parts of their simulation.
 *
 * What a broker says is looked at when it says it, whether anybody hears it or not: that is what it has
 * promised. Clients hear it later, or never, and act on what they hear. */
#ifndef LEVERET_TESTS_SIM_CLUSTER_BROKERS_H
#define LEVERET_TESTS_SIM_CLUSTER_BROKERS_H

#include "amqp/method.h"
#include "broker/broker.h"
#include "cluster/lane.h"
#include "cluster/relay.h"
#include "session/server.h"
#include "store/store.h"
#include "tests/sim/campaign.h"
#include "tests/sim/group/drive.h"
#include "tests/sim/link/weather.h"

enum { NODES = BENCH_NODES, QUEUES = 3, NAMES = 4, CLIENTS = 8, SOCKETS = 64 };

struct run;

/* ---- what a campaign has met ---- */

struct report {
    struct campaign_report all;
#define MET(NAME, what) uint64_t NAME;
#include "tests/sim/cluster/met.def"
#undef MET
};

/* One run from a seed, for so long, and then healed. False: the report says what was broken. */
bool brokers_run(uint64_t seed, uint64_t busy_ms, bool verbose, void *report);

/* ---- what was promised: truth.c ---- */

struct sim_message {
    uint64_t stream;   /* of those that one socket has published */
    uint64_t sent_ms, sent_office;
    uint64_t holder, holder_office; /* the socket that has it, unanswered; 0: none */
    uint64_t answerer;              /* the one that has answered it last */
    uint32_t size, tx; /* tx: 0: of none */
    uint8_t queue;
    bool is_confirmed, is_said;
    bool is_answered, is_settled; /* an answer was sent; and is durable */
    bool is_loose; /* two may rightly take it for theirs, or it was published again: nobody has it alone */
};

struct tx {
    uint32_t count, said;
    bool is_sent, is_committed; /* the commit was sent, and answered */
};

/* First deliveries of a stream in a queue: the last in the office of now, and before that. */
struct stream {
    uint64_t office[QUEUES], last[QUEUES], before[QUEUES];
};

/* A queue that is declared and deleted by one client, and looked for by all. */
struct name {
    bool is_there, is_unsure; /* unsure: something was asked, and not answered */
    bool shows, target;       /* who finds it to be `target` knows that this was done */
    uint64_t version;         /* rises when something is asked, answered, or lost */
};

struct truth {
    struct sim_message *messages; /* by number, from 1 on */
    struct tx *txs;           /* the same */
    struct stream *streams;
    size_t messages_capacity, txs_capacity, streams_capacity;
    uint64_t messages_last, streams_last;
    uint32_t txs_last;
    uint64_t dispatcher;             /* the last office that has delivered anything */
    uint64_t returned_ms[QUEUES];    /* when something last went back to a queue */
    struct name names[NAMES];
    uint64_t confirmed_ms, delivered_ms; /* when something new last was */
};

struct client;
struct socket;

void truth_free(struct truth *truth);
uint64_t truth_stream(struct truth *truth);
uint32_t truth_tx(struct truth *truth);
/* Something will be sent. */
uint64_t truth_sent(struct run *run, const struct socket *socket, int queue, uint32_t size, uint32_t tx);
void truth_body(const struct sim_message *message, uint64_t number, uint8_t *body);
void truth_confirmed(struct run *run, struct socket *socket, uint64_t number);
void truth_committed(struct run *run, struct socket *socket, uint32_t tx);
/* A broker has said it; its number. 0: a promise is broken. */
uint64_t truth_delivered(struct run *run, struct socket *socket, int queue, struct bytes body, bool redelivered);
/* A client answers it, but does not give it back. */
void truth_answered(struct run *run, const struct socket *socket, uint64_t number);
/* That was agreed on. */
void truth_settled(struct run *run, uint64_t number);
/* It was given back, or its socket has gone. */
void truth_returned(struct run *run, const struct socket *socket, uint64_t number);
/* Another broker may have it by now, or may get it again. */
void truth_loosened(struct run *run, uint64_t number);
/* After everything was drained. */
void truth_judge(struct run *run);

/* ---- brokers: node.c ---- */

struct node {
    struct run *run;
    uint32_t number; /* from 0 on */
    struct drive drive;
    struct message_pool pool;
    struct random random;
    struct log log;
    struct store_options options;
    struct server_options server_options;
    struct store *store; /* NULL: it is down */
    struct broker broker;
    struct cluster *cluster;
    struct lanes *lanes;
    struct server *server;
    struct relays *relays;  /* clients that are brought to who leads */
    uint32_t relays_to;     /* as they were told; */
    uint32_t clients_max;   /* no limit */
    struct service front;   /* takes clients for the server, and notes whom others bring */
    bool has_dispatched;    /* in this office */
    uint64_t turn_ms;       /* of the last turn */
    uint64_t office; /* which one of all that there were it has; 0: it follows */
    bool is_over;    /* it has lost its office, and is to start again */
    bool is_orderly; /* it ends as a process that has the time for it */
    uint64_t start_ms, pause_until_ms;
    int64_t wall_offset_ms;
};

void node_init(struct run *run, uint32_t number);
void node_free(struct node *node);
/* As bench.h has it for who makes links. */
struct links *node_make(struct bench *bench, uint32_t number);
void node_end(struct bench *bench, uint32_t number);
void node_turn(struct bench *bench, uint32_t number);
/* It goes down, and comes back later; what was not synced may be lost. */
void node_down(struct node *node, bool is_power_cut, uint64_t for_ms);
/* It has lost its office, or its disk stands still: as the daemon does it. */
void node_look(struct node *node);
/* It asks another one to lead. False: it cannot. */
bool node_hand_over(struct node *node, const struct node *to);
bool node_is_up(const struct node *node); /* and not paused */
/* It has the right to, whatever it thinks of that. */
bool node_may_deliver(const struct node *node);
/* It serves clients, and nobody has had an office after it. */
struct node *node_leader(struct run *run);

/* ---- clients: client.c (bytes), work.c (what they do) ---- */

/* What a client hears. */
struct said {
    uint64_t at_ms;
    uint32_t method;
    uint64_t tag, number;
    bool multiple;
};

/* A reply that is due, and what it is about. */
struct due {
    uint32_t method;
    int name; /* -1: none */
    bool is_passive, is_owner; /* of who changes that name, and nobody else does */
    uint64_t version; /* of the name, when it was asked for */
    uint32_t tx; /* that is committed; 0: none */
};

struct published {
    uint64_t number; /* 0: it is confirmed */
    size_t answers;  /* so many were sent before it */
};

/* A connection, to who leads or to one that brings it there; who called may have given it up, what the broker does not hear of while they are cut off. */
struct socket {
    bool is_used;
    uint64_t serial, office, stream;
    struct client *client;              /* NULL: has given it up */
    uint32_t caller;                    /* the client's number, in any case */
    struct node *node;
    struct conversation *conversation;  /* NULL: has ended */
    /* Of one that is brought to who leads; see carried.c. */
    bool is_relayed;
    bool is_stale;   /* who has served it does not any more: what still comes may be another one's */
    bool is_telling; /* who serves it is told what it had with the one before; */
    uint64_t telling_ms; /* nothing has been in the way of that since then */
    const struct conversation *carried; /* there; NULL: nobody serves it */
    struct node *carrier;
    const struct bench_pipe *pipe; /* NULL: it waits, since `lost_ms`, or is served here */
    uint64_t lost_ms;
    uint32_t losses;               /* of pipes, since it has said something */
    bool is_lasting;               /* its client has all the patience there is */
    struct buffer to_broker, output;
    struct said *said; /* on its way to the client: `said_count` from `said_at` on */
    size_t said_at, said_count, said_capacity;
    struct due due[32];
    size_t due_count;
    struct published *published; /* by tag - 1 */
    size_t published_count, published_capacity, confirmed_to, unconfirmed;
    uint64_t *delivered; /* by tag - 1 */
    size_t delivered_count, delivered_capacity;
    uint64_t *answers; /* messages that were answered, in that order */
    size_t answers_count, answers_capacity, settled_to;
    uint64_t *firsts; /* last first delivery of each stream in each queue */
    size_t firsts_capacity;
    /* A content that comes. */
    uint32_t content;
    int content_queue;
    bool content_redelivered;
    uint64_t content_tag, content_size;
    struct buffer body;
};

enum role { ROLE_WORKER, ROLE_TX, ROLE_NAMER, ROLE_DRAIN };
enum client_state { CLIENT_DOWN, CLIENT_GREETING, CLIENT_READY, CLIENT_DONE };

struct client {
    struct run *run;
    uint32_t number;
    enum role role;
    enum client_state state;
    struct socket *socket; /* NULL: none */
    uint64_t dial_ms, asked_ms; /* asked: since when it waits for anything; 0: it does not */
    uint64_t patience_ms;
    uint32_t every_ms; /* how often it changes a name, or looks for one */
    int queue; /* that it consumes from; -1: none */
    bool publishes;
    uint64_t *held; /* tags without an answer */
    size_t held_count, held_capacity;
    uint32_t tx; /* that is open; 0: none */
    bool is_committing;
    uint64_t heard_ms; /* something was last delivered */
    uint32_t left;     /* messages in queues, as it was last told; */
    bool has_looked;   /* has asked for that */
};

void client_init(struct run *run, uint32_t number);
void client_step(struct client *client);
/* It closes its socket. */
void client_give_up(struct client *client);
void clients_free(struct run *run);
/* Input for a broker, and what it says. */
void sockets_feed(struct node *node);
void sockets_take(struct node *node);
/* Its process has gone. */
void sockets_end(struct node *node);
/* Those that were given up, and whose broker can hear of that now. */
void sockets_sweep(struct run *run);

/* NULL: it has gone. */
struct socket *socket_of(struct run *run, uint64_t serial);

/* ---- those that are brought to another broker: carried.c ---- */

void carried_init(struct run *run);
struct service *carried_front(struct node *node);
/* Who has been told all by now. */
void carried_look(struct node *node);
/* Is something that client has said before on its way? */
bool carried_is_behind(struct run *run, const struct client *client);
/* Has a broker a reason for hanging up on it? */
bool carried_may_end(const struct socket *socket);
/* What it holds, or has answered, may be another one's soon. */
bool carried_is_adrift(const struct socket *socket, uint64_t office);

void socket_send(struct socket *socket, const union method *method);
/* The same, and a reply is due; what is not set of `due` is nothing. */
void socket_call(struct socket *socket, const union method *method, struct due due);
void socket_publish(struct socket *socket, int queue, uint64_t number);
/* A message of this tag was answered. */
void socket_answered(struct socket *socket, uint64_t tag, bool is_returned);
const char *queue_name_of(int queue);
void name_text(int name, char text[16]);

void work_ready(struct client *client);
void work_act(struct client *client);
void work_hear(struct client *client, const struct said *said);
/* A reply has been said, or will never be. */
void work_replied(struct run *run, struct socket *socket, const struct due *due, const union method *method);
void work_lost(struct run *run, const struct due *due);

/* ---- faults.c ---- */

void faults_step(struct run *run);

/* ---- all of it: simulate_brokers.c ---- */

struct run {
    struct bench bench;
    struct report *report;
    uint64_t seed;
    bool verbose, is_failed, is_healing, is_stopping, is_draining; /* stopping: nothing new is begun */
    uint32_t nodes, clients;
    struct node of[NODES];
    struct client client[CLIENTS];
    struct socket sockets[SOCKETS];
    uint64_t sockets_last, offices;
    struct truth truth;

    /* What this seed is like. */
    uint32_t fault_every_ms, publish_every_ms, answer_every_ms, disk_ms, body_max, mark_step_max;
    uint16_t prefetch;
    bool has_power_cuts, has_partitions, has_stuck_disks, has_pauses;
    struct weather weather;
    uint32_t relayed_in_4; /* so many clients of four do not look for who leads */
    uint64_t cut_until_ms[CLIENTS][NODES]; /* a client does not hear a broker, nor the other way round */
};

uint64_t run_below(struct run *run, uint64_t limit);
bool run_chance(struct run *run, uint64_t n);
void run_fail(struct run *run, const char *format, ...) __attribute__((format(printf, 2, 3)));
void run_say(struct run *run, const char *format, ...) __attribute__((format(printf, 2, 3)));

static inline bool run_is_cut(const struct run *run, uint32_t client, const struct node *node)
{
    return run->bench.now_ms < run->cut_until_ms[client][node->number];
}

#endif
