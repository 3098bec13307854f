/* What all queues of a broker come to, and which of them something has happened to: a queue costs only what
 * happens to it, so that a million of them that rest cost nothing.
 *
 * The sums are kept by differences. A queue that rests is told of by what it does for the first time, which is
 * seen where something is looked at in any case: at what its index heeds, and at its limit. Then it is on
 * queues->touched, and messages cost nothing more, until it is summed up again.
 *
 * Who samples what changes (queues->is_sampled) finds it on queues->sampled. */
#ifndef LEVERET_QUEUE_QUEUE_SUMS_H
#define LEVERET_QUEUE_QUEUE_SUMS_H

#include "queue/queue_tally.h"

/* It rests no longer: the slow half of queue_touch. */
void queue_stir(struct queue *queue);

/* Something happens to it that is counted, or may be, and changes none of its counts. */
static inline void queue_touch(struct queue *queue)
{
    if (__builtin_expect(queue->limit & QUEUE_RESTS, 0))
        queue_stir(queue);
}

/* Brings queues->sums up to date with some queues, `most` or a few more, those that were touched first before
 * others. False: with all, until something else happens. */
bool queues_sum_up(struct queues *queues, size_t most);
/* The next one to be sampled, off its list, which is queues->sampled or another with the same links; NULL: there is
 * none. It is to be sampled again the next time: */
struct queue *queues_take_sampled(struct list *sampled);
void queue_sample_again(struct queue *queue);

/* It is on no list any more, and in no sum. Its messages may be gone before. */
void queue_leave_sums(struct queue *queue);

#endif
