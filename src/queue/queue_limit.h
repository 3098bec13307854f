/* How much a queue may keep. Ready messages count, and of their bytes those of the bodies. What
 * consumers can take at once does not: it is delivered before anything is dropped or refused, as if
 * it had never been in the queue. */
#ifndef LEVERET_QUEUE_QUEUE_LIMIT_H
#define LEVERET_QUEUE_QUEUE_LIMIT_H

#include "queue/queue.h"

/* What these settings come to: bits of enum queue_limit. */
uint8_t queue_limit_of(const struct queue_settings *settings);
/* Is more ready than the queue may keep? */
bool queue_is_over(const struct queue *queue);
/* The same of a queue that nobody is about to take something from: its first message has to go. */
bool queue_is_to_drop(const struct queue *queue);
/* Has a queue that refuses no room for another message with a body of so many bytes? */
bool queue_has_to_refuse(const struct queue *queue, uint64_t body_size);
/* The same of any queue with a limit: would another message be refused, or drive out what is there? */
bool queue_has_no_room(const struct queue *queue, uint64_t body_size);

#endif
