/* A client that another broker speaks for (peer/relayed.h): what that one is told of deliveries, and what it says of
 * them when the client goes on here. */
#ifndef LEVERET_SESSION_RELAYED_H
#define LEVERET_SESSION_RELAYED_H

#include "session/channel.h"

/* The message that is delivered next. */
void relayed_position(struct channel *channel, uint64_t sequence);
/* A method has ended deliveries. When all that it has decided is for good that is told. */
void relayed_settles(struct channel *channel);
/* It is: so many of them. */
void relayed_settled(struct channel *channel, uint64_t count);
/* What the other broker says. False: it is not one, or says what it may not. */
bool relayed_note(struct connection *connection, const struct frame *frame);
/* It has said all again. */
void relayed_begin(struct connection *connection);

#endif
