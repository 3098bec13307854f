/* What was published and acknowledged on a channel in tx mode since the last commit. */
#ifndef LEVERET_SESSION_TRANSACTION_H
#define LEVERET_SESSION_TRANSACTION_H

#include "session/acknowledge.h"

/* Keeps a message; the caller's reference goes with it. Fails when too much is uncommitted. */
bool transaction_add_message(struct channel *channel, struct message *message, bool mandatory,
                             struct error *error);
/* Keeps an acknowledgement. */
void transaction_add_delivery(struct channel *channel, const struct delivery *delivery,
                              enum verdict verdict);
/* Forgets everything: messages are dropped, deliveries return to their queues. */
void transaction_free(struct channel *channel);

#endif
