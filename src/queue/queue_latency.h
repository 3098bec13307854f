/* How long messages take: from when they come into a queue until they are delivered, and from then until
 * they are acknowledged. Always on; of a queue that nobody reads nothing is kept.
 *
 * Of a queue with few messages all are timed. Of one with more it is some, chosen by a hash of where they
 * lie, so that one in 2, 4, 8 ... is, each of which then counts for as many: about 250 a second of a queue,
 * and 2,000 of all queues together. Those that are timed are remembered beside the queue, 32 of them at most, and
 * chosen from all that wait: when there is no more room, every other one is forgotten, and those that stay
 * count twice. A message costs nothing but a comparison.
 *
 * The clock is the one of the turn: what is delivered in the turn in which it came took 0. */
#ifndef LEVERET_QUEUE_QUEUE_LATENCY_H
#define LEVERET_QUEUE_QUEUE_LATENCY_H

#include "queue/queue_tally.h"

/* Microseconds below 4 as they are, and from there on in cells that are a quarter of a power of two wide: a
 * time is known within a quarter of itself. The last one has all from 19 hours on. */
enum { LATENCY_CELLS = 140, LATENCY_TIMED_MAX = 32 };

/* A message that is being timed. */
struct timed {
    uint64_t position;
    uint64_t since_us;
    uint32_t weight; /* for how many it counts */
    bool is_delivered;
};

struct queue_latency {
    struct latency of[LATENCIES];
    struct latency_pace pace;
    struct timed *timed; /* in no order */
    uint8_t timed_count, timed_capacity;
};

/* Somebody reads it: its messages are timed from now on. */
void queue_latency_begin(struct queue *queue);
/* With its tally. */
void queue_latency_free(struct queue_tally *tally);
/* What is known of a queue; NULL: nothing. */
const struct latency *queue_latency(const struct queue *queue, enum latency_of what);

/* The least time that this share (0 to 1) of them does not exceed, within a quarter; 0: there are none. */
uint64_t latency_quantile(const struct latency *latency, double share);
/* How many took less than 1 << bit microseconds (bit 2 or more). */
uint64_t latency_below(const struct latency *latency, unsigned bit);
/* Adds one that stands for `weight`. */
void latency_add(struct latency *latency, uint64_t us, uint64_t weight);
void latency_free(struct latency *latency);

/* What chooses a message at a position, */
static inline uint32_t latency_hash(const struct queue *queue, uint64_t position)
{
    return ((uint32_t)position + (uint32_t)queue->id) * UINT32_C(0x9e3779b1);
}

/* and the one that was published last, where it has none. */
static inline uint32_t latency_hash_direct(const struct queue *queue)
{
    return (uint32_t)queue->tally->of[TALLY_PUBLISHED] * UINT32_C(0x9e3779b1);
}

/* Is the message at this position one to be timed? The queue's tally has begun. */
static inline bool queue_times(const struct queue *queue, uint64_t position)
{
    return __builtin_expect(latency_hash(queue, position) < queue->tally->timed_below, 0);
}

/* The same of one that is given to a consumer before it is anywhere. */
static inline bool queue_times_direct(const struct queue *queue)
{
    return __builtin_expect(latency_hash_direct(queue) < queue->tally->timed_below, 0);
}

/* What happens to such a message. It is put into the queue: */
void queue_timed_pushed(struct queue *queue, uint64_t position);
/* it was delivered, or got; with `is_settled` no acknowledgement comes: */
void queue_timed_delivered(struct queue *queue, uint64_t position, bool is_settled);
/* it was acknowledged: */
void queue_timed_acknowledged(struct queue *queue, uint64_t position);
/* it never was in the queue. */
void queue_timed_direct(struct queue *queue);

/* Any message was delivered, or got. Where no acknowledgement comes and none is timed, as of a queue that was full before
 * anybody read it, there is nothing to be known. */
static inline void queue_delivered(struct queue *queue, uint64_t position, bool is_settled)
{
    const struct queue_latency *latency = queue->tally->latency;
    if (queue_times(queue, position) && (!is_settled || (latency && latency->timed_count)))
        queue_timed_delivered(queue, position, is_settled);
}

#endif
