/* Names from patterns. */
#ifndef LEVERET_PERF_NAMES_H
#define LEVERET_PERF_NAMES_H

#include "perf/options.h"

enum { NAME_MAX_SIZE = 256 };

/* The name of queue `index`, counted from 0: every %d of the pattern is its number. Cut at 255
 * bytes. Returns `name`. */
const char *queue_name(const struct options *options, uint32_t index, char name[NAME_MAX_SIZE]);
/* A routing or binding key: %q is the queue's number, %p the producer's, %m the message's. */
const char *key_name(const struct options *options, const char *pattern, uint32_t queue,
                     uint32_t producer, uint32_t message, char name[NAME_MAX_SIZE]);
/* How many queues a producer publishes to in turn, by naming them in its keys. Producer p begins
 * with queue p and goes on in steps of the number of producers; 1 when keys name no queue. */
uint32_t producer_queues(const struct options *options, uint32_t producer);
/* Which one is the `turn`th. */
uint32_t producer_queue(const struct options *options, uint32_t producer, uint32_t turn);
/* Which of the --priorities, by its number, a message of this producer has. */
uint32_t producer_level(const struct options *options, uint32_t producer, uint64_t message);
/* In how many queues each message arrives; 0: nobody knows. */
uint64_t copies_expected(const struct options *options);

#endif
