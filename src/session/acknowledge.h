/* The end of deliveries: acknowledged, rejected, or returned to their queues. */
#ifndef LEVERET_SESSION_ACKNOWLEDGE_H
#define LEVERET_SESSION_ACKNOWLEDGE_H

#include "session/channel.h"

enum verdict {
    VERDICT_ACK,
    VERDICT_REJECT, /* to the dead letters */
    VERDICT_RETURN, /* back to its place in the queue, */
    VERDICT_FAIL,   /* the same, as it was not dealt with */
};

/* basic.ack, basic.reject, basic.nack: one tag or, with `multiple`, all up to it (0: all). Fails
 * with 406 `unknown delivery tag`. In tx mode it waits for the commit. Many take several turns. */
enum handled acknowledge(struct channel *channel, uint64_t tag, bool multiple,
                         enum verdict verdict, struct error *error);
/* Ends a delivery that was taken out of channel->unacked, with its reference; the channel may be gone
 * (NULL). The other: its message was dealt with. */
void delivery_forget(struct channel *channel, const struct delivery *delivery);
void delivery_end(struct channel *channel, const struct delivery *delivery, enum verdict verdict);
/* Returns everything unacknowledged to its queues; not what is delivered once more while that takes
 * several turns. False: there is more, for another turn. */
bool acknowledge_return_all(struct channel *channel);
/* The same, and nothing is left: for the end of a channel, to which nothing is delivered any more. */
bool acknowledge_drop_all(struct channel *channel);
/* Returns those of `count` deliveries from tag `first` on that are outstanding, as nobody has
 * acknowledged them in time. Acknowledgements of these, when they come, say nothing; the channel
 * stays. */
void acknowledge_return_late(struct channel *channel, uint64_t first, unsigned count);
/* Notes a delivery that needs an acknowledgement. */
void acknowledge_expect(struct channel *channel, struct consumer *source, uint64_t tag,
                        uint64_t sequence);

#endif
