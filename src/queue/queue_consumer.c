/* Consumers of a queue in the order of their turns. */
#include "queue/queue_consumer.h"

#include <assert.h>

#include "base/planted.h"
#include "queue/queue_timer.h"

static struct queue_consumer *of_ready_link(const struct list *link)
{
    return list_entry(link, struct queue_consumer, ready_link);
}

void queue_consumer_join(struct queue *queue, struct queue_consumer *consumer)
{
    consumer->queue = queue;
    list_push_back(&queue->consumers, &consumer->queue_link);
    if (!consumer->is_active)
        return;
    queue->consumer_count++;
    queue->exclusively_consumed |= consumer->exclusive;
    queue_timer_cancel(queue, QUEUE_TIMER_UNUSED);
    queue_consumer_ready(consumer);
}

bool queue_consumer_leave(struct queue_consumer *consumer)
{
    struct queue *queue = consumer->queue;
    assert(consumer->is_active);
    consumer->is_active = false;
    list_remove(&consumer->ready_link);
    if (!queue) {
        list_remove(&consumer->queue_link);
        return false;
    }
    assert(queue->consumer_count > 0);
    queue->consumer_count--;
    if (consumer->exclusive && !planted(PLANTED_EXCLUSIVE_USE_STAYS))
        queue->exclusively_consumed = false;
    queue_used(queue);
    return queue->auto_delete && queue->consumer_count == 0 &&
           !planted(PLANTED_AUTO_DELETE_OMITTED);
}

void queue_consumer_free(struct queue_consumer *consumer)
{
    assert(!consumer->is_active);
    list_remove(&consumer->queue_link);
    list_remove(&consumer->ready_link);
}

static bool has_credit(const struct queue_consumer *consumer)
{
    uint32_t more = planted(PLANTED_PREFETCH_ONE_MORE) ? 1 : 0;
    return !consumer->prefetch || consumer->unacked < consumer->prefetch + more;
}

bool queue_consumer_can_be_ready(const struct queue_consumer *consumer)
{
    return consumer->is_active && consumer->queue && list_is_empty(&consumer->ready_link) &&
           has_credit(consumer);
}

/* Puts it behind all ready consumers of its priority. */
static void insert_ready(struct queue_consumer *consumer)
{
    struct list *head = &consumer->queue->ready_consumers;
    struct list *last = head->prev;
    if (last == head || of_ready_link(last)->priority >= consumer->priority ||
        planted(PLANTED_PRIORITY_IGNORED)) {
        list_push_back(head, &consumer->ready_link);
        return;
    }
    struct list *before = head;
    while (of_ready_link(before->next)->priority >= consumer->priority)
        before = before->next;
    list_insert_after(before, &consumer->ready_link);
}

void queue_consumer_ready(struct queue_consumer *consumer)
{
    if (!queue_consumer_can_be_ready(consumer))
        return;
    insert_ready(consumer);
    queue_has_work(consumer->queue);
}

struct queue_consumer *queue_next_consumer(const struct queue *queue)
{
    const struct list *head = &queue->ready_consumers;
    return list_is_empty(head) ? NULL : of_ready_link(head->next);
}

void queue_consumer_had_turn(struct queue_consumer *consumer)
{
    struct list *head = &consumer->queue->ready_consumers;
    assert(head->next == &consumer->ready_link);
    if (!has_credit(consumer)) {
        list_remove(&consumer->ready_link);
        return;
    }
    if (head->next == head->prev)
        return;
    list_remove(&consumer->ready_link);
    insert_ready(consumer);
}

enum queue_result queue_match(struct queue *queue, struct queue_consumer *next,
                              struct taken *taken)
{
    enum queue_result result = queue_take(queue, next->no_ack, taken);
    if (result != QUEUE_OK)
        return result;
    next->unacked += !next->no_ack;
    queue_consumer_had_turn(next);
    return QUEUE_OK;
}

void queue_lose_consumers(struct queue *queue)
{
    queue->consumer_count = 0;
    for (struct list *link; (link = list_take_first(&queue->consumers));) {
        struct queue_consumer *consumer = list_entry(link, struct queue_consumer, queue_link);
        consumer->queue = NULL;
        list_remove(&consumer->ready_link);
        if (consumer->is_active)
            list_push_back(consumer->lost, &consumer->queue_link);
    }
}
