/* Timers of queues. A queue that sets none has no memory for them, and costs a turn nothing. */
#ifndef LEVERET_QUEUE_QUEUE_TIMER_H
#define LEVERET_QUEUE_QUEUE_TIMER_H

#include "queue/queue.h"

enum queue_timer {
    QUEUE_TIMER_UNUSED, /* nobody has used the queue for x-expires */
    QUEUE_TIMER_HEAD,   /* its first message ends: queue_expiry.h */
    QUEUE_TIMER_SCHEDULE, /* one of its messages is to be looked at: queue_schedule.h */
    QUEUE_TIMER_AHEAD, /* some of those are to be read before it is their time */
    QUEUE_TIMER_LETTERS, /* dead letters that no queue has taken are tried again */
    QUEUE_TIMERS,
};

/* Sets a timer, or moves it: in `delay_ms` from this turn. */
void queue_timer_set(struct queue *queue, enum queue_timer which, uint64_t delay_ms);
/* The same, unless it goes off earlier. */
void queue_timer_advance(struct queue *queue, enum queue_timer which, uint64_t delay_ms);
/* Does it go off in this turn? */
bool queue_timer_is_due(const struct queue *queue, enum queue_timer which);
/* For queue_expiry.c, beside its timer: a message that ends at `ends_ms` is to be delivered at once, or not
 * at all; 0: none is any more. Was there one? */
bool queue_timers_at_once(struct queue *queue, uint64_t ends_ms);
bool queue_timers_are_at_once(const struct queue *queue, uint64_t ends_ms);
/* Where queue_schedule.c keeps what it knows of the queue; NULL there: nothing. It goes with the timers. */
struct queue_schedule **queue_timers_schedule(struct queue *queue);
/* What is there; NULL, too, of a queue that has no timers. */
struct queue_schedule *queue_timers_schedule_if_any(const struct queue *queue);
/* Harmless when it is not set. */
void queue_timer_cancel(struct queue *queue, enum queue_timer which);
/* Of a queue that goes. */
void queue_timers_free(struct queue *queue);
/* Takes a timer that is due in this turn, the earliest first: *which of the queue that is returned; NULL
 * when none is. */
struct queue *queues_take_expired(struct queues *queues, enum queue_timer *which);
/* When the next one is due; UINT64_MAX: never. */
uint64_t queues_next_ms(const struct queues *queues);

/* Somebody has used the queue: declared it, got a message, or stopped to consume. A queue that is to go
 * when it is unused has its time from now on. */
void queue_used(struct queue *queue);
/* Its time is another one: if nobody uses it, it has that from now on, or as long as will. */
void queue_expiry_changed(struct queue *queue);

#endif
