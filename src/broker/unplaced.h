/* Dead letters that no queue takes, of queues whose x-dead-letter-strategy is at-least-once: their
 * messages stay in the queue, taken, and are tried again, a bounded number at a time. */
#ifndef LEVERET_BROKER_UNPLACED_H
#define LEVERET_BROKER_UNPLACED_H

#include "broker/dead_letter.h"

/* A taken message was to leave, and its letter is PLACED_NOWHERE. */
void unplaced_add(struct queue *queue, uint64_t sequence, enum death why);
/* The queue's timer has gone off: some are tried again. */
void unplaced_retry(struct queue *queue);
/* How many wait. */
size_t unplaced_count(const struct queue *queue);
/* Of a queue that goes. */
void unplaced_forget(struct queue *queue);

#endif
