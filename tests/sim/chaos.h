/* Names that all clients declare, bind, use and delete as they like, at the same time: what a method
 * finds there nobody can say, but that it is answered, in order, or with an error that RabbitMQ has for
 * it; that nothing comes that nobody sent; that every publish is confirmed once; and that a consumer
 * gets in order what one channel has sent. */
#ifndef LEVERET_TESTS_SIM_CHAOS_H
#define LEVERET_TESTS_SIM_CHAOS_H

#include <stdbool.h>

#include "amqp/method.h"
#include "base/map.h"

struct sim;
struct sim_channel;
struct chaos_channel;

/* All messages, by number. */
struct chaos {
    struct idmap messages;
    uint64_t id_last;
};

void chaos_free(struct chaos *chaos);
/* The channel was opened for this; and is no more. */
void chaos_open(struct sim_channel *channel);
void chaos_end(struct sim_channel *channel);
/* Does something. */
void chaos_act(struct sim_channel *channel);
void chaos_replied(struct sim_channel *channel, const union method *method);
void chaos_confirmed(struct sim_channel *channel, uint64_t tag, bool multiple);
void chaos_content(struct sim_channel *channel);
void chaos_cancelled(struct sim_channel *channel, struct bytes tag);
void chaos_channel_closed(struct sim_channel *channel, const struct method_channel_close *method);
/* Every publish was confirmed; the answers are the channel's to count. */
bool chaos_is_quiet(const struct sim_channel *channel);
/* Deletes everything that there may be. */
void chaos_clean_up(struct sim_channel *channel);

#endif
