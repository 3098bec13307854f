/* A queue cannot keep a message: it goes to the dead-letter exchange. */
#ifndef LEVERET_BROKER_DEAD_LETTER_H
#define LEVERET_BROKER_DEAD_LETTER_H

#include "broker/broker.h"

/* Why a message dies: the `reason` of x-death. */
enum death { DEATH_REJECTED, DEATH_EXPIRED, DEATH_MAXLEN, DEATH_DELIVERY_LIMIT, DEATHS };

/* What its queue makes of it: broker->deaths counts them, by the queue's type, this, and why. */
enum letter_fate {
    LETTERS_NONE,          /* it is dropped */
    LETTERS_AT_MOST_ONCE,  /* it is sent */
    LETTERS_AT_LEAST_ONCE, /* it is kept until a queue has taken it */
    LETTERS_KINDS,
};

/* What has become of a dead letter. */
enum placed {
    PLACED,         /* its message has left */
    PLACED_ASIDE,   /* its message is damaged, and stays where it is */
    PLACED_LATER,   /* the message has to be read first, or there is no room yet: try again soon */
    PLACED_NOWHERE, /* no queue takes it, and its queue keeps it */
};

/* A taken message leaves the queue: to the dead-letter exchange if there is one, else dropped. It
 * may have to be read first; then it stays taken until dead_letters_move finds it. */
void dead_letter(struct queue *queue, uint64_t sequence, enum death why);
/* The same for one attempt, which leaves the message taken unless it is PLACED. */
enum placed dead_letter_place(struct queue *queue, uint64_t sequence, enum death why);
/* The same for a rejected message, in two steps. The first makes the dead letter, and changes
 * nothing: QUEUE_OK: *letter is a reference of the caller's, or NULL, as there is nowhere to send
 * one; QUEUE_WAIT: it has to be read first, ask again; QUEUE_EMPTY: it is damaged, and stays where
 * it is. The second publishes it, and ends the message, without waiting for anything. */
enum queue_result dead_letter_write(struct queue *queue, uint64_t sequence,
                                    struct message **letter);
void dead_letter_send(struct queue *queue, uint64_t sequence, struct message *letter);
/* The queue, full, has not taken the message: it becomes a dead letter once dead_letters_bury_refused is
 * called, which whoever publishes does at the end, as its letters may be refused as well. Takes a reference
 * of its own. There is no letter when the journal has no room for it, or when it
 * would be one of thousands that one message leads to. */
void dead_letter_refused(struct queue *queue, struct message *message);
void dead_letters_bury_refused(struct broker *broker);
/* Moves waiting dead letters on; once a turn. */
void dead_letters_move(struct broker *broker);
/* Are there any of this queue that will be moved soon, as they are being read, or the next batch
 * has room? Those that wait because journal or disk are full do not count: the queue may be what
 * fills them. */
bool dead_letters_are_due(struct queue *queue);
/* Forgets the taken messages that wait to be dead-lettered; for a queue that goes. */
void dead_letters_forget(struct queue *queue);

#endif
