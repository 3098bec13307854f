/* Messages that come back to their queue. */
#ifndef LEVERET_BROKER_REDELIVERY_H
#define LEVERET_BROKER_REDELIVERY_H

#include "broker/broker.h"

enum return_why {
    RETURN_RELEASED, /* basic.nack or basic.recover, or it was not acknowledged in time */
    RETURN_FAILED,   /* basic.reject, or the channel or connection ended */
};

/* A taken message goes back to where it was in its queue, and counts as once more that it did. One that
 * has come back more often than x-delivery-limit allows leaves as a dead letter. */
void redelivery_return(struct queue *queue, uint64_t position, enum return_why why);

#endif
