/* Messages on their way out: basic.deliver, basic.get-ok and basic.return as frames. */
#ifndef LEVERET_SESSION_OUTGOING_H
#define LEVERET_SESSION_OUTGOING_H

#include "session/channel.h"

/* The caller keeps its reference of the message. */
void outgoing_deliver(struct consumer *consumer, struct message *message, uint64_t tag,
                      bool redelivered);
void outgoing_get_ok(struct channel *channel, struct message *message, uint64_t tag,
                     bool redelivered, uint64_t left);
void outgoing_return(struct channel *channel, struct message *message, uint16_t code,
                     const char *text);

#endif
