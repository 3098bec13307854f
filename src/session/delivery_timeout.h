/* Deliveries that nobody acknowledges in time: a consumer that hangs must not keep its messages for
 * ever.
 *
 * What it costs: a run of unacknowledged deliveries (unacked.h) knows the second in which they were
 * made, so a delivery is never late before its time, and found out up to a second after it. A
 * channel has one timer, set to the time of the oldest run; it is moved when it is due, not when
 * something is acknowledged. */
#ifndef LEVERET_SESSION_DELIVERY_TIMEOUT_H
#define LEVERET_SESSION_DELIVERY_TIMEOUT_H

#include "session/channel.h"

static inline uint32_t delivery_timeout_second(uint64_t now_ms)
{
    return (uint32_t)(now_ms / 1000);
}

/* For how long a delivery from this source may take; UINT64_MAX: for ever. */
uint64_t delivery_timeout_ms(const struct consumer *source);
/* Of a new channel. */
void delivery_timeout_init(struct channel *channel);
/* A run of deliveries from this source has begun now. Its queue says how long they may take
 * (x-consumer-timeout; 0: for ever), else the server's option does. */
void delivery_timeout_begin(struct channel *channel, const struct consumer *source);
/* Deliveries have come back with the times that they had. */
void delivery_timeout_restored(struct channel *channel);
/* Queues give another time than they did: this channel may have to look earlier. */
void delivery_timeout_changed(struct channel *channel);
/* The timer is due. Closes the channel with 406 `delivery acknowledgement on channel 1 timed
 * out...`, which returns all its messages, or returns the late ones alone
 * (x-consumer-timeout-action). */
void delivery_timeout_passed(struct channel *channel);

#endif
