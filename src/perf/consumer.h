/* One connection that consumes from one queue, or from several. Frames are read where they lie. */
#ifndef LEVERET_PERF_CONSUMER_H
#define LEVERET_PERF_CONSUMER_H

#include "perf/actor.h"
#include "perf/ledger.h"

struct consumer {
    struct actor actor;
    struct run *run;
    struct tally *tally;
    struct ledger *const *ledgers; /* of each queue, by producer; shared by its consumers */
    uint32_t number;
    uint32_t queue_count;
    uint32_t started; /* queues whose consume-ok has come */

    /* the message that is coming in */
    bool in_content;
    uint64_t body_left, body_size;
    uint64_t tag;
    uint32_t place; /* which of this consumer's queues it is from */
    bool redelivered;

    uint64_t acked, last_tag; /* --ack-every: last_tag has come, acked was the last acknowledged */
    uint64_t *last;           /* by place, producer and level: 1 + the last sequence; --verify */
};

void consumer_init(struct consumer *consumer, struct run *run, uint32_t number);
/* One that rejects says goodbye, and waits for the answer as for that of any call. */
void consumer_free(struct consumer *consumer);
/* Connects and opens the channel; waits. */
bool consumer_open(struct consumer *consumer);
/* Asks for the messages; the consume-oks come between them. */
bool consumer_subscribe(struct consumer *consumer);
/* Takes what has come; false when the link failed. */
bool consumer_turn(struct consumer *consumer, uint64_t now_ns);
/* Acknowledges what is left. */
void consumer_finish(struct consumer *consumer);
bool consumer_is_ready(const struct consumer *consumer);
/* The queue at a place. */
uint32_t consumer_queue(const struct options *options, uint32_t number, uint32_t place);

#endif
