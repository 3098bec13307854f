/* A queue that has a limit is full: its oldest messages leave from the head, a bounded number in
 * each turn, or the new one is refused. What leaves is on record as settled, with its dead letter
 * in the same batch; nothing that reads the record knows of limits. */
#ifndef LEVERET_BROKER_OVERFLOW_H
#define LEVERET_BROKER_OVERFLOW_H

#include "broker/publish.h"

/* publish_to for a queue with a limit. */
struct published overflow_publish(struct queue *queue, struct message *message);
/* Takes out of the set the queues that refuse the message, which may become a dead letter of
 * theirs: dead_letters_bury_refused. Were there any? */
bool overflow_refuse(struct queue_set *set, struct message *message);
/* Messages came into a queue, or consumers have taken what they can: if it has too many, it is
 * remembered for overflow_work_off. */
void overflow_note(struct queue *queue);
/* A message comes back to the queue, or did: what is too much leaves before somebody can take it. */
void overflow_drop_now(struct queue *queue);
/* Drops what is too much, as far as the turn's budget allows. False: there is more, or a message
 * has to be read first. */
bool overflow_drop(struct queue *queue);
/* The same for all queues that were remembered; once a turn, when consumers had what they can take.
 */
void overflow_work_off(struct broker *broker);

#endif
