/* A client with names of its own, on which nobody else acts. What a channel sends happens in order, so
 * the model of these names is exact: which queue a message reaches, what each count and each answer is,
 * which message is delivered next, whether it says that it was delivered before, and which errors close
 * the channel. After a loss everything is looked at, message by message. */
#ifndef LEVERET_TESTS_SIM_SOLO_H
#define LEVERET_TESTS_SIM_SOLO_H

#include <stdbool.h>

#include "amqp/method.h"

struct sim;
struct client;
struct sim_channel;
struct expected;
struct solo;

struct solo *solo_new(struct client *client);
void solo_free(struct solo *solo);
/* Its channel was opened, and is its alone. */
void solo_open(struct sim_channel *channel);
/* Does the next thing, if nothing is awaited. */
void solo_act(struct sim_channel *channel);
void solo_replied(struct sim_channel *channel, const struct expected *expected,
                  const union method *method);
void solo_confirmed(struct sim_channel *channel, uint64_t tag, bool multiple, bool is_refused);
/* A message has come: see the channel's content. */
void solo_content(struct sim_channel *channel);
/* The broker has cancelled a consumer. */
void solo_cancelled(struct sim_channel *channel, struct bytes tag);
/* The broker has closed the channel; so has the client, and knows the answer; so has its connection. */
void solo_channel_closed(struct sim_channel *channel, const struct method_channel_close *method);
void solo_lost(struct sim_channel *channel, bool is_closed_well);
/* The machine ends: what has ended by its clock has gone, whatever the clock of the next start is. */
void solo_machine_ends(struct solo *solo);
/* The broker has closed its side: what its operator was asked for is done by now, or never. */
void solo_orphaned(struct sim_channel *channel);
/* Nothing is awaited, and after all was healed everything was looked at once more. */
bool solo_is_quiet(struct sim_channel *channel);
/* Says what is awaited. */
void solo_explain(struct sim_channel *channel);
/* Deletes everything that any of them may have made. */
void solo_clean_up(struct sim_channel *channel);

#endif
