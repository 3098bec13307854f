/* Messages that come back to their queue. */
#ifndef LEVERET_BROKER_REDELIVERY_H
#define LEVERET_BROKER_REDELIVERY_H

#include "broker/broker.h"
#include "queue/queue_retry.h"
#include "queue/queue_schedule.h"

/* A taken message goes back to where it was in its queue, and counts as once more that it did: at once,
 * or, as far as the queue's settings say so, when it has waited. One that has come back more often than
 * x-delivery-limit allows leaves as a dead letter. */
void redelivery_return(struct queue *queue, uint64_t position, enum return_why why);
/* Goes on with those that had to be read first, as far as that was done. */
void redelivery_go_on(struct queue *queue);
/* The time of a message has come. False: it is not that of a retry. */
bool redelivery_retry(struct queue *queue, const struct scheduled *due);

#endif
