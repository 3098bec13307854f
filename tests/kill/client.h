/* One connection of the load: a publisher, a consumer, or both. It never waits: what it says goes
 * into a buffer, what it hears is told to the model. Channel 1 consumes, channel 2 publishes. */
#ifndef LEVERET_TESTS_KILL_CLIENT_H
#define LEVERET_TESTS_KILL_CLIENT_H

#include "base/buffer.h"
#include "base/random.h"
#include "model.h"

enum publishing { PUBLISH_NOT, PUBLISH_CONFIRMED, PUBLISH_COMMITTED };

/* What it does; random numbers decide the rest. */
struct habits {
    enum publishing publishing;
    uint32_t publisher; /* its number in the model */
    uint32_t window;    /* messages published and not confirmed */
    uint8_t queues;     /* consumed from: a bit each */
    bool no_ack;
    bool is_strict;         /* as in struct order */
    uint16_t prefetch;      /* 0: no limit */
    uint32_t ack_every;     /* messages for one ack; 0: it never acks by itself */
    uint32_t requeue_share; /* of a thousand deliveries */
};

struct held {
    uint64_t tag;
    struct slot_ref ref;
};

/* An ack, and how much had been published on the same connection before it. */
struct proof {
    uint64_t stamp;
    struct slot_ref ref;
};

struct client {
    struct model *model;
    struct random *random;
    struct habits habits;
    int fd; /* -1: none */
    bool is_muted;
    bool is_closing;      /* the broker has said goodbye */
    uint32_t awaited;     /* replies */
    uint64_t ready_count; /* of all queues declared since it was last set to 0 */
    uint64_t deliveries;
    char said[300]; /* why the broker closed */
    struct buffer in, out;
    /* publishing */
    uint64_t published, confirmed; /* on this connection; the tag of the last one, how many */
    uint64_t low;                  /* the first tag that is not confirmed */
    uint64_t first_sequence;       /* of tag 1 */
    uint64_t group_left;           /* of a transaction */
    uint32_t groups;
    bool commits; /* a commit is not answered */
    /* consuming */
    struct order orders[QUEUES];
    struct delivery delivery; /* that is being received */
    uint64_t delivery_tag, body_size;
    bool has_header;
    struct buffer properties, body;
    struct held *held;
    size_t held_count, held_capacity;
    struct proof *proofs;
    size_t proof_first, proof_count, proof_capacity;
};

/* Connects, logs in and begins; false: it cannot. */
bool client_open(struct client *client, struct model *model, struct random *random,
                 const struct habits *habits, uint16_t port);
/* Closes the socket, as a client does that dies. */
void client_drop(struct client *client);
/* Declares and binds everything that the load needs. */
void client_declare(struct client *client);
/* Consumes from one more queue. */
void client_consume(struct client *client, enum queue_number queue);
/* Asks how many messages are ready, in the queues of its habits. */
void client_count(struct client *client);
/* Acks all that it holds. */
void client_ack_all(struct client *client);
/* Ends the channel that consumes. */
void client_stop_consuming(struct client *client);
/* Publishes one message. */
void client_publish_one(struct client *client);
/* Publishes what its habits and the socket allow. */
void client_publish(struct client *client);
/* The socket can be read, or written; false: the connection has ended. */
bool client_read(struct client *client);
bool client_write(struct client *client);

#endif
