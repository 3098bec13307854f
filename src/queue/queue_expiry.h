/* Messages that end. When one does is decided once, when it comes into the queue, and is on record
 * with it there; it leaves from the head, when it is the first and its time has come, and is not
 * delivered later. One timer of the queue goes off when the first one ends. A queue that has no
 * such message has neither. */
#ifndef LEVERET_QUEUE_QUEUE_EXPIRY_H
#define LEVERET_QUEUE_QUEUE_EXPIRY_H

#include "queue/queue.h"

struct scheduled;

/* When a message ends that comes into the queue now, in ms since 1970; 0: never. */
uint64_t queue_ends_ms(const struct queue *queue, const struct message *message);
/* Such a message came in, as the last one of this index. One that ends at once stays until a consumer that
 * is ready could have had it, in this turn. */
void queue_pushed_timed(struct queue *queue, const struct index *place, uint64_t ends_ms);
/* A message came back into an index that has such messages. */
void queue_returned_timed(struct queue *queue, struct index *index, uint64_t position);
/* Nobody takes what should have been taken at once: it has ended. */
void queue_gave_all(struct queue *queue);
/* The first message of an index may be another one than it was, or its time may be known now. */
void queue_head_changed(struct queue *queue, struct index *index);
/* The same of all of the queue's. */
void queue_heads_changed(struct queue *queue);
/* Has the first message of an index ended? Then it must not be delivered, and the timer is due. */
bool queue_head_has_ended(struct queue *queue, struct index *index);
/* Takes a message that is the first and has ended, for its end: QUEUE_OK: it is taken; QUEUE_EMPTY:
 * none has; QUEUE_WAIT: it is being read, and then the timer is due again. */
static inline enum queue_result queue_expire(struct queue *queue, uint64_t *position)
{
    return queue->kind->expire(queue, position);
}
/* The same of one index, for the kinds. */
enum queue_result queue_index_expire(struct queue *queue, struct index *index, uint64_t *sequence);
/* index_take of an index that has messages that end, for them as well. */
enum queue_result queue_index_take_timed(struct queue *queue, struct index *index, bool settle,
                                         struct taken *taken);
/* With `expire-anywhere`: the time of a message has come: takes it if it has ended, wherever it lies. */
bool queue_expire_scheduled(struct queue *queue, const struct scheduled *due);

#endif
