/* How often something has happened to messages: counters that only rise, for who looks from outside.
 * A queue that was never used has none; one that was has them from its first consumer or message on. */
#ifndef LEVERET_QUEUE_QUEUE_TALLY_H
#define LEVERET_QUEUE_QUEUE_TALLY_H

#include "queue/queue.h"

/* Those of a queue come first; a channel has all of them. */
enum tally {
    TALLY_PUBLISHED, /* of a queue: put into it, or given to a consumer in its place */
    TALLY_DELIVERED, /* to consumers that acknowledge; */
    TALLY_DELIVERED_NO_ACK, /* to others */
    TALLY_GOT,              /* the same by basic.get */
    TALLY_GOT_NO_ACK,
    TALLY_GOT_EMPTY,   /* asked for, and there was none */
    TALLY_REDELIVERED, /* of those that were delivered or got */
    TALLY_ACKNOWLEDGED,
    TALLIES_OF_QUEUE,
    TALLY_CONFIRMED = TALLIES_OF_QUEUE,
    TALLY_RETURNED, /* mandatory, and no queue took it */
    TALLY_DROPPED,  /* no queue took it, and nobody was told */
    TALLIES,
};

struct queue_tally {
    /* First, to be where the first counter is: of ten thousand queues each line of memory counts. */
    uint32_t timed_below;          /* which messages are timed (queue_latency.h); 0: none */
    bool was_sampled;              /* by who samples, and for him to say */
    struct queue_latency *latency; /* NULL: nothing yet */
    uint64_t of[TALLIES_OF_QUEUE];
    uint64_t *all; /* queues->tallies of its type: the same of all, also of those that are gone; but
                    * TALLY_PUBLISHED as of when each was last summed up */
    /* Of queue_sums.h: */
    struct queue *queue;
    uint64_t told_published;
    struct queue_sums told;                /* what it has in queues->sums */
    struct list touched_link, sampled_link;
};

/* From now on its counters may be written to; nothing happens if they may already. */
void queue_tally_begin(struct queue *queue);

/* Something has happened to one of its messages, and the counters have begun. */
static inline void queue_note(struct queue *queue, enum tally what)
{
    struct queue_tally *tally = queue->tally;
    tally->of[what]++;
    tally->all[what]++;
}

/* How often; 0 of a queue that was never used. */
static inline uint64_t queue_tally(const struct queue *queue, enum tally what)
{
    return queue->tally ? queue->tally->of[what] : 0;
}

#endif
