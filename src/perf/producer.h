/* One connection that publishes. The frames of a message are encoded once; a publish copies them
 * into the output, where the stamp is filled in. */
#ifndef LEVERET_PERF_PRODUCER_H
#define LEVERET_PERF_PRODUCER_H

#include "base/random.h"
#include "perf/actor.h"
#include "perf/confirms.h"

enum producer_state {
    PRODUCER_PUBLISHING,
    PRODUCER_SETTLING, /* all is published; confirms are waited for */
    PRODUCER_MARKING,  /* a call was sent behind the last publish: its answer means all were seen */
    PRODUCER_DONE,
};

struct slot; /* the frames for one routing key */

struct producer {
    struct actor actor;
    struct run *run;
    struct tally *tally;
    uint32_t number;
    enum producer_state state;
    uint64_t limit;            /* messages to publish; UINT64_MAX: until told to stop */
    uint64_t next;             /* the number of the next one */
    uint64_t first_tag_number; /* number of the message with delivery tag 1 on this connection */
    struct slot *slots;
    uint32_t slot_count;
    uint32_t slot_at;      /* next % slot_count */
    uint64_t turn;         /* next / slot_count */
    bool sequence_by_slot; /* each slot counts its own messages: one queue sees no gap */
    bool fixed_size;
    uint8_t stamp; /* bytes that are stamped: 0, STAMP_ID_SIZE or STAMP_SIZE */
    struct confirms confirms;
    struct schedule_walk walk;
    uint64_t due_ns; /* when the next one is due, on the clock; 0: at once */
    struct random random;
};

void producer_init(struct producer *producer, struct run *run, uint32_t number, uint64_t limit);
void producer_free(struct producer *producer);
/* Connects and opens the channel, with confirms when they are wanted; waits. */
bool producer_open(struct producer *producer);
/* Takes what has come, publishes what may be; false when the link failed. */
bool producer_turn(struct producer *producer, uint64_t now_ns);
/* Is there something to do without waiting for the broker? */
bool producer_is_ready(const struct producer *producer, uint64_t now_ns);
/* After the connection was lost: what was not confirmed will be published again. */
void producer_rewind(struct producer *producer);

#endif
