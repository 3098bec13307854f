/* What was published and acknowledged on a channel in tx mode since the last commit, and how a commit
 * is done: all that can fail or has to wait is found out first, without a change (a body that must
 * be read, room in the journal); then everything is applied to one batch of the journal. What is
 * too much for a turn goes on in the next ones, meanwhile the connection is not read and the batch
 * stays open. A commit that has begun is finished, also when its channel has gone. */
#ifndef LEVERET_SESSION_TRANSACTION_H
#define LEVERET_SESSION_TRANSACTION_H

#include "session/acknowledge.h"

struct transaction *transaction_new(struct channel *channel);
/* Keeps a message; the caller's reference goes with it. Fails when too much is uncommitted. */
bool transaction_add_message(struct channel *channel, struct message *message, bool mandatory,
                             struct error *error);
/* Keeps an acknowledgement. */
void transaction_add_delivery(struct channel *channel, const struct delivery *delivery,
                              enum verdict verdict);
/* Fails when the acknowledgements are too many. */
bool transaction_check(struct channel *channel, struct error *error);
/* Commits, and answers with commit-ok; later, if it cannot be done at once. */
enum handled transaction_commit(struct channel *channel, struct error *error);
/* Forgets the messages; the deliveries are outstanding again. Answers likewise. */
void transaction_roll_back(struct channel *channel);
/* The channel ends. Everything is forgotten: messages are dropped, deliveries return to their queues,
 * and with them, in the order of their tags, those of the channel that were not acknowledged; what is
 * too much for a turn later. A commit that has begun leaves these to the channel. */
void transaction_free(struct channel *channel);

/* How much is kept: messages, and acknowledgements. */
size_t transaction_messages(const struct transaction *transaction);
size_t transaction_deliveries(const struct transaction *transaction);
/* Once a turn: goes on with what could not be done at once. */
void transactions_tick(struct server *server);
/* Finishes it all now; for the end of the server. */
void transactions_finish(struct server *server);

#endif
