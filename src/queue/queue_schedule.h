/* Messages of a queue that are to be looked at by a time of their own, wherever they lie: a heap of
 * {time, position}, 16 bytes for each, and one timer of the queue for the first of them. It is only
 * where to look: what is so is known by the store. A message may leave while the heap still names
 * it; such names are left out when they come up, and cleared away before they are the larger part.
 * It is in memory alone, and made anew at a start. A queue that has none has no memory for it. */
#ifndef LEVERET_QUEUE_QUEUE_SCHEDULE_H
#define LEVERET_QUEUE_QUEUE_SCHEDULE_H

#include "base/budget.h"
#include "queue/queue.h"

/* Why a message is looked at. */
enum schedule_why {
    SCHEDULE_END,  /* its time with which it came in is over */
    SCHEDULE_SEEK, /* that may be so: when it is over has to be read first */
    SCHEDULE_RETRY, /* it came back, and has waited for its next try: queue_retry.h */
};

struct scheduled {
    uint64_t ms : 56; /* since 1970, as queues->clock_ms */
    uint64_t why : 8;
    uint64_t position;
};

/* The message is to be looked at then, and the timer goes off. A message may be named more than
 * once. */
void queue_schedule_add(struct queue *queue, uint64_t ms, uint64_t position, enum schedule_why why);
/* Takes the first one whose time has come and whose message is there, ready or taken. False: none
 * has, or those of messages that are gone have spent the turn's budget. */
bool queue_schedule_take(struct queue *queue, struct budget *turn, struct scheduled *due);
/* Sets the timer for the next one, if there is one. */
void queue_schedule_arm(struct queue *queue);
/* How many are named. */
size_t queue_schedule_count(const struct queue *queue);
/* A message has come in or left: some names are cleared away when too many are of messages that are
 * gone. */
void queue_schedule_clear_some(struct queue *queue);

/* A taken message that has to be read before it is known what to do with it, for whatever reason `why` says;
 * the timer goes off when that is worth a try. They are kept in order, as those that lie together are read
 * together. */
void queue_schedule_defer(struct queue *queue, uint64_t position, unsigned why);
/* The first of them; and it is done with. False: there is none. */
bool queue_schedule_deferred(const struct queue *queue, struct scheduled *first);
void queue_schedule_deferred_done(struct queue *queue);
/* Something of the queue was read. */
void queue_schedule_woken(struct queue *queue);

/* Names every message of the queue that has a time, over several turns: begins, to go on when the
 * timer is due. What comes in meanwhile is added as ever. */
void queue_schedule_read_begin(struct queue *queue);
/* Goes on with a part, a chunk of the store. True: something was read, and there may be more.
 * False: it is complete, or waits for the disk. */
bool queue_schedule_read(struct queue *queue);
/* Reads what is due in the next half second and has to be read for what happens then, and sets the timer for
 * more of it. */
void queue_schedule_read_ahead(struct queue *queue);
/* Forgets the times again: what is named waits for a retry. */
void queue_schedule_read_end(struct queue *queue);
/* Is it complete? */
bool queue_schedule_is_read(const struct queue *queue);

/* Of a queue that goes. */
struct queue_schedule;
void queue_schedule_free(struct queue_schedule *schedule);

#endif
