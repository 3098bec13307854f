/* A message that an operator wants elsewhere leaves its queue and comes to others in one batch, so
 * that no crash loses or repeats it. What could refuse it is asked before anything is changed. */
#ifndef LEVERET_BROKER_MOVE_H
#define LEVERET_BROKER_MOVE_H

#include "broker/broker.h"

struct exchange;

/* Where to. To a queue a message comes as it is, exchange and routing key included. Through an
 * exchange it goes as if it were published there now. MOVE_BACK is for dead letters: to the queue in
 * which it died last, alone, with the exchange and the first routing key that it had there, and
 * without the story of its deaths, so that another failure counts afresh. The time to live that
 * it had is not given back. */
struct move_goal {
    enum { MOVE_TO_QUEUE, MOVE_TO_EXCHANGE, MOVE_BACK } kind;
    struct bytes queue;        /* MOVE_TO_QUEUE: its name */
    struct exchange *exchange; /* MOVE_TO_EXCHANGE */
    struct bytes routing_key;  /* the same; NULL data: the message's own */
};

enum moved {
    MOVED,
    MOVED_LATER, /* the journal's batch is full: try again soon */
    /* The message stays, and the next one may go: */
    MOVED_NOT_READY, /* it is with a consumer, or waits for its next try */
    MOVED_NO_DEATH,  /* it does not say in which queue it has died */
    MOVED_NO_QUEUE,  /* where it would go there is none */
    MOVED_IN_CIRCLE, /* that would be the queue that it is in */
    MOVED_DUPLICATE, /* it is known there already */
    /* So does it, and there is no use in another one: */
    MOVED_NOT_TAKEN, /* a queue where it would go is as long as it may be */
    MOVED_NO_ROOM,   /* the disk has no room for it */
    MOVED_KINDS,
};

/* Moves the message at this position, which is in hand. With `is_trial` only what would become of
 * it is found out. `full` is the queue of MOVED_NOT_TAKEN; else it stays as it was. */
enum moved move_message(struct queue *queue, uint64_t position, const struct message *message,
                        const struct move_goal *goal, bool is_trial, const struct queue **full);
/* The routing key with which it would go to an exchange; NULL data: it goes to none. */
struct bytes move_routing_key(const struct message *message, const struct move_goal *goal);

#endif
