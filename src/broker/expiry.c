/* Which messages go is decided here, and recorded as any other end of a message, in one batch with
 * the dead letter. Those whose bodies have to be read first are taken a few at a time. */
#include "broker/expiry.h"

#include "broker/dead_letter.h"
#include "broker/redelivery.h"
#include "broker/vhost.h"
#include "queue/queue_consumer.h"
#include "queue/queue_expiry.h"
#include "queue/queue_schedule.h"
#include "queue/queue_timer.h"

enum { DROP_STEPS = 30, LETTER_STEPS = 300, UNREAD_MAX = 256 };

/* Of a chunk of messages whose times are read. */
enum { TIMES_STEPS = 10000 };

static bool may_go_on(const struct queue *queue, unsigned count)
{
    const struct broker *broker = queue->vhost->broker;
    return !budget_is_spent(&broker->turn) && !store_is_congested(broker->store) &&
           (count % UNREAD_MAX || list_is_empty(&queue->dead_letters));
}

static unsigned steps_of(const struct queue *queue)
{
    return queue->settings->dead_letter_exchange || queue->is_delay ? LETTER_STEPS : DROP_STEPS;
}

void expiry_run(struct queue *queue)
{
    uint64_t position;
    unsigned steps = steps_of(queue);
    enum queue_result result = QUEUE_OK;
    queue_timer_cancel(queue, QUEUE_TIMER_HEAD);
    for (unsigned count = 0; result == QUEUE_OK && may_go_on(queue, count); count++) {
        result = queue_expire(queue, &position);
        if (result == QUEUE_OK)
            dead_letter(queue, position, DEATH_EXPIRED);
        budget_use(&queue->vhost->broker->turn, steps);
    }
    /* What is being read comes back here when it was. */
    if (result == QUEUE_WAIT)
        return;
    bool is_moving = !list_is_empty(&queue->dead_letters);
    if (result == QUEUE_EMPTY || !is_moving)
        expiry_done(queue);
    if (!is_moving)
        queue_heads_changed(queue);
}

void expiry_done(struct queue *queue)
{
    if (queue_next_consumer(queue))
        queue_has_work(queue);
}

void expiry_run_scheduled(struct queue *queue)
{
    struct budget *turn = &queue->vhost->broker->turn;
    struct scheduled due;
    for (; !budget_is_spent(turn) && queue_schedule_read(queue);)
        budget_use(turn, TIMES_STEPS);
    redelivery_go_on(queue);
    for (unsigned count = 0; may_go_on(queue, count) && queue_schedule_take(queue, turn, &due);
         count++) {
        if (!redelivery_retry(queue, &due) && queue_expire_scheduled(queue, &due))
            dead_letter(queue, due.position, DEATH_EXPIRED);
        budget_use(turn, steps_of(queue));
    }
    if (list_is_empty(&queue->dead_letters))
        queue_schedule_arm(queue);
}

bool expiry_due(struct queue *queue)
{
    queue_gave_all(queue);
    if (!queue_timer_is_due(queue, QUEUE_TIMER_HEAD))
        return true;
    expiry_run(queue);
    return !queue_timer_is_due(queue, QUEUE_TIMER_HEAD);
}
