/* Messages on their way out: basic.deliver, basic.get-ok and basic.return as frames. */
#ifndef LEVERET_SESSION_OUTGOING_H
#define LEVERET_SESSION_OUTGOING_H

#include "session/channel.h"

/* What goes out of a message, wherever its bytes are. */
struct parcel {
    struct bytes exchange, routing_key, properties, body;
};

enum { PARCEL_BODY_MAX = 4096 };

static inline struct parcel parcel_of(const struct message *message)
{
    return (struct parcel){message_exchange(message), message_routing_key(message),
                           message_properties(message), message_body(message)};
}

/* May it go out in one piece, by outgoing_deliver_parcel? */
static inline bool parcel_is_small(const struct parcel *parcel, const struct channel *channel)
{
    return parcel->body.size <= PARCEL_BODY_MAX &&
           parcel->body.size <= channel->connection->frame_max - FRAME_OVERHEAD;
}

void outgoing_deliver_parcel(struct consumer *consumer, const struct parcel *parcel, uint64_t tag,
                             bool redelivered);
/* The caller keeps its reference of the message. One that came back says how often, by a header of the
 * frame alone. */
void outgoing_deliver(struct consumer *consumer, const struct taken *taken, uint64_t tag);
void outgoing_get_ok(struct channel *channel, const struct queue *queue, const struct taken *taken,
                     uint64_t tag);
void outgoing_return(struct channel *channel, struct message *message, uint16_t code,
                     const char *text);

#endif
