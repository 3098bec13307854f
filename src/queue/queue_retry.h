/* Messages that come back and wait for their next try (`x-delayed-retry-type`). Until when one waits is
 * decided when it comes back, and is on record with how often it did; it keeps its place in the queue, and
 * is neither ready nor taken meanwhile. queue_schedule.h knows when its time is over. */
#ifndef LEVERET_QUEUE_QUEUE_RETRY_H
#define LEVERET_QUEUE_QUEUE_RETRY_H

#include "base/random.h"
#include "queue/queue.h"

/* Why a message came back. */
enum return_why {
    RETURN_RELEASED, /* basic.nack or basic.recover, or it was not acknowledged in time */
    RETURN_FAILED,   /* basic.reject, or the channel or connection ended */
};

/* Does the queue let messages wait that come back for this reason? */
bool queue_retry_is_delayed(const struct queue *queue, enum return_why why);
/* How long one waits that comes back for the count-th time. `asked_ms` is what the message itself says;
 * SETTING_NONE: nothing. */
uint64_t queue_retry_ms(const struct queue *queue, uint32_t count, uint64_t asked_ms,
                        struct random *random);
/* A taken message came back, and waits so long: but not longer than it lives. */
void queue_retry_delay(struct queue *queue, uint64_t position, uint64_t delay_ms);
/* The time of a message is over, if it waits: it is ready. */
void queue_retry_now(struct queue *queue, uint64_t position);
/* At a start: what waits is to be looked at by its time. */
void queue_retry_begin(struct queue *queue);

#endif
