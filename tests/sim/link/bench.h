/* Nodes with links in one process, on one clock: what carries their bytes are queues in memory,
 * which are cut, held up, slowed down and lost as a test likes. */
#ifndef LEVERET_TESTS_SIM_LINK_BENCH_H
#define LEVERET_TESTS_SIM_LINK_BENCH_H

#include "base/random.h"
#include "cluster/link.h"

enum { BENCH_NODES = 5, BENCH_PIPES = 160 };

struct bench;

struct bench_node {
    struct links *links; /* NULL: it does not run */
    struct disk *disk;   /* its data folder */
    struct node_identity identity;
    struct links_options options;
    struct link *to[BENCH_NODES];
    uint64_t boot;  /* rises with each start, of whatever folder */
    bool is_paused; /* it does nothing, and its sockets stay */
    /* Of who makes its links; NULL: there is none. What brings clients to other nodes, and what serves those of others:
     * their conversations go by pipes, too. He has their ticks. */
    struct service *relays, *clients;
};

/* A connection: end 0 has dialed. */
struct bench_pipe {
    bool is_used;
    bool is_relay; /* end 0 is no link: it brings a client */
    uint32_t nodes[2];
    struct conversation *ends[2]; /* NULL: has gone */
    struct buffer ways[2];        /* bytes from that end that are on their way */
    bool is_closed[2]; /* that end says no more: the other one hears of it behind what is on its way
                        */
    bool is_reset[2];
    uint64_t holds_until_ms[2]; /* nothing arrives before */
    uint64_t whose, office;     /* is_relay: for who has the hooks; 0 at first */
};

struct bench_dial {
    struct outcall *call;
    bool is_relay;
    uint32_t from, to;
    uint64_t at_ms, until_ms;
};

struct bench {
    uint64_t now_ms;
    uint32_t first_number; /* of the first node; the others follow. 1, unless it is set after bench_init */
    struct random random;
    struct bench_node nodes[BENCH_NODES];
    struct bench_pipe pipes[BENCH_PIPES];
    struct bench_dial dials[BENCH_PIPES];
    size_t dials_count;
    bool is_blocked[BENCH_NODES][BENCH_NODES]; /* bytes of one to another stay where they are */
    bool is_walled[BENCH_NODES][BENCH_NODES];  /* who dials waits for ever */
    uint64_t arrived_ms[BENCH_NODES]
                       [BENCH_NODES]; /* when one last got anything of another on control */
    size_t bytes_per_step;            /* of each way of a pipe; 0: any */
    /* What happened at a node, in order. */
    void (*event)(struct bench *bench, uint32_t node, const struct link_event *event);
    bool drains; /* links_next is called */
    /* Somebody else has the links: makes and frees them, and takes a node's turns, in which
     * links_next is his. NULL: the bench does. */
    struct links *(*make)(struct bench *bench, uint32_t node);
    void (*end)(struct bench *bench, uint32_t node);
    void (*turn)(struct bench *bench, uint32_t node);
    /* The same of pipes that bring clients; NULL: nobody asks. Something comes to end 0; and one end is about to go. */
    void (*comes)(struct bench *bench, struct bench_pipe *pipe);
    void (*closes)(struct bench *bench, struct bench_pipe *pipe, uint32_t end);
    void *context;
    char log[2048];     /* the last record, as event and pairs; */
    char refused[1024]; /* the last link_refused */
};

/* All nodes are of one cluster and have links to all others, and none runs. */
void bench_init(struct bench *bench, uint64_t seed, uint32_t nodes);
void bench_free(struct bench *bench);
/* A new start of a node with what its folder has. */
void bench_start(struct bench *bench, uint32_t node);
/* Its process ends: what it has sent still arrives, or a part of it. */
void bench_kill(struct bench *bench, uint32_t node);
/* One millisecond. */
void bench_step(struct bench *bench);
void bench_run(struct bench *bench, uint64_t ms);
/* Runs until the two have a link that is up at both ends, for so long at most. */
bool bench_connect(struct bench *bench, uint32_t a, uint32_t b, uint64_t ms);
bool bench_is_up(const struct bench *bench, uint32_t a, uint32_t b);
/* Reset at both ends; of what is on its way so much still arrives. */
void bench_reset(struct bench *bench, struct bench_pipe *pipe, size_t arrives);
/* One of those that are used, whichever; NULL: there is none. */
struct bench_pipe *bench_any_pipe(struct bench *bench);
/* What serves the client of another node that end 1 of a pipe carries; NULL: nothing. */
const struct conversation *bench_carried(const struct bench_pipe *pipe);
/* The pipe between two nodes that is the last that was made and not closed; NULL: there is none. */
struct bench_pipe *bench_pipe(struct bench *bench, uint32_t a, uint32_t b, enum link_way way);

#endif
