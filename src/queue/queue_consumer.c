/* Consumers of a queue in the order of their turns. */
#include "queue/queue_consumer.h"

#include <assert.h>

#include "base/mem.h"
#include "base/planted.h"
#include "queue/queue_latency.h"
#include "queue/queue_sums.h"
#include "queue/queue_timer.h"

/* Consumers of one priority, or the one that is alone active. */
struct level {
    struct list link;   /* in queue->ready_consumers, the highest first */
    struct list ready;  /* struct queue_consumer: ready_link */
    uint32_t consumers; /* ready or not */
    struct queue_consumer *single; /* NULL; or who is alone in it, and nobody else gets anything */
    int64_t priority;
};

static struct queue_consumer *of_ready_link(const struct list *link)
{
    return list_entry(link, struct queue_consumer, ready_link);
}

static bool is_for_one(const struct queue *queue)
{
    return queue->settings->single_active_consumer && !planted(PLANTED_SINGLE_IGNORED);
}

/* ---- levels ---- */

static struct level *of_link(const struct list *link)
{
    return list_entry(link, struct level, link);
}

static int64_t priority_of(const struct queue_consumer *consumer)
{
    return planted(PLANTED_PRIORITY_IGNORED) ? 0 : consumer->priority;
}

static struct level *level_new(struct list *before, int64_t priority)
{
    struct level *level = mem_zalloc(sizeof(*level));
    level->priority = priority;
    list_init(&level->ready);
    list_insert_after(before, &level->link);
    return level;
}

static void level_free(struct level *level)
{
    list_remove(&level->link);
    mem_free(level);
}

/* The last that is not below a priority; or the head. */
static struct list *find_before(struct queue *queue, int64_t priority)
{
    struct list *before = &queue->ready_consumers, *head = before;
    while (before->next != head &&
           (of_link(before->next)->single || of_link(before->next)->priority >= priority))
        before = before->next;
    return before;
}

/* The level of the one that is alone active; NULL: there is none. */
static struct level *single_level(const struct queue *queue)
{
    struct list *first = queue->has_levels ? list_first(&queue->ready_consumers) : NULL;
    return first && of_link(first)->single ? of_link(first) : NULL;
}

/* NULL: nobody has this priority. */
static struct level *level_at(struct queue *queue, int64_t priority)
{
    struct list *before = find_before(queue, priority);
    bool is_there = before != &queue->ready_consumers && !of_link(before)->single &&
                    of_link(before)->priority == priority;
    return is_there ? of_link(before) : NULL;
}

static struct level *level_make(struct queue *queue, int64_t priority)
{
    struct level *level = level_at(queue, priority);
    return level ? level : level_new(find_before(queue, priority), priority);
}

/* From now on the queue has levels. All consumers so far have priority 0. */
static void begin_levels(struct queue *queue)
{
    struct list ready;
    list_init(&ready);
    list_append_all(&ready, &queue->ready_consumers);
    queue->has_levels = true;
    if (!queue->consumer_count)
        return;
    struct level *level = level_new(&queue->ready_consumers, 0);
    level->consumers = queue->consumer_count;
    list_append_all(&level->ready, &ready);
}

static void leave_level(struct queue *queue, struct level *level)
{
    if (--level->consumers == 0)
        level_free(level);
    queue->has_levels = !list_is_empty(&queue->ready_consumers);
}

static struct level *level_of(const struct queue_consumer *consumer)
{
    return consumer->is_single ? single_level(consumer->queue)
                               : level_at(consumer->queue, priority_of(consumer));
}

/* Counts it with those of its priority; or alone, when it is to be the only one that is given messages. */
static void join_level(struct queue *queue, struct queue_consumer *consumer)
{
    bool is_for_single = is_for_one(queue);
    if (!queue->has_levels && (is_for_single || priority_of(consumer)))
        begin_levels(queue);
    if (!queue->has_levels)
        return;
    consumer->is_single = is_for_single && !single_level(queue);
    struct level *level = consumer->is_single ? level_new(&queue->ready_consumers, 0)
                                              : level_make(queue, priority_of(consumer));
    if (consumer->is_single)
        level->single = consumer;
    level->consumers++;
}

/* ---- the one that is alone active ---- */

/* The one of highest priority that has waited longest. */
static struct queue_consumer *longest_waiting(struct list *single)
{
    struct list *next = single->next;
    return of_ready_link(of_link(next)->ready.next);
}

/* It was the active one, and waits with the others from now on. */
static void wait_again(struct queue *queue, struct queue_consumer *former)
{
    struct level *level = level_make(queue, priority_of(former));
    level->consumers++;
    list_remove(&former->ready_link);
    list_push_back(&level->ready, &former->ready_link);
}

/* The active one has ended, or makes room: the next takes its place. Those who wait are all ready, as they
 * have nothing unsettled. */
static void pass_on(struct queue *queue, struct queue_consumer *former)
{
    struct level *single = single_level(queue);
    former->is_single = former->is_yielding = false;
    if (single->link.next == &queue->ready_consumers) {
        leave_level(queue, single);
        return;
    }
    struct queue_consumer *next = longest_waiting(&single->link);
    list_remove(&next->ready_link);
    leave_level(queue, level_of(next));
    next->is_single = true;
    single->single = next;
    list_push_back(&single->ready, &next->ready_link);
    if (former->is_active)
        wait_again(queue, former);
    queue_has_work(queue);
}

/* Somebody has come to wait, or left: has the active one to make room? Not any more, if it was for one
 * that has left. */
static void settle_claims(struct queue *queue)
{
    struct level *level = single_level(queue);
    if (!level || !queue->settings->is_quorum || !level->single->is_active ||
        planted(PLANTED_NEVER_YIELDS))
        return;
    struct queue_consumer *single = level->single;
    struct list *next = level->link.next;
    bool was_yielding = single->is_yielding;
    single->is_yielding = next != &queue->ready_consumers &&
                          of_link(next)->priority > priority_of(single);
    if (!single->is_yielding) {
        if (was_yielding)
            queue_consumer_ready(single);
        return;
    }
    list_remove(&single->ready_link);
    if (!single->unacked)
        pass_on(queue, single);
}

void queue_consumer_settled(struct queue_consumer *consumer)
{
    consumer->unacked--;
    bool is_over = !consumer->is_active || consumer->is_yielding;
    if (is_over && consumer->is_single && !consumer->unacked && consumer->queue)
        pass_on(consumer->queue, consumer);
}

/* ---- coming and going ---- */

void queue_consumer_join(struct queue *queue, struct queue_consumer *consumer)
{
    assert(!consumer->queue && list_is_empty(&consumer->queue_link));
    consumer->queue = queue;
    queue_tally_begin(queue);
    queue_latency_begin(queue);
    list_push_back(&queue->consumers, &consumer->queue_link);
    if (!consumer->is_active)
        return;
    join_level(queue, consumer);
    queue->consumer_count++;
    queue->queues->consumers++;
    queue->exclusively_consumed |= consumer->exclusive;
    queue_timer_cancel(queue, QUEUE_TIMER_UNUSED);
    queue_consumer_ready(consumer);
    if (queue->has_levels)
        settle_claims(queue);
}

static void leave_order(struct queue *queue, struct queue_consumer *consumer)
{
    bool gives_back = consumer->gives_back && consumer->unacked;
    if (!consumer->is_single)
        leave_level(queue, level_of(consumer));
    else if (!gives_back || planted(PLANTED_SINGLE_NOT_AWAITED))
        pass_on(queue, consumer);
    if (queue->has_levels)
        settle_claims(queue);
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
    queue->queues->consumers--;
    queue_touch(queue);
    if (queue->has_levels)
        leave_order(queue, consumer);
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

bool queue_may_consume(const struct queue *queue, bool exclusive)
{
    if (queue->exclusively_consumed)
        return false;
    return !exclusive || (!queue->consumer_count && !is_for_one(queue));
}

/* ---- turns ---- */

static bool has_credit(const struct queue_consumer *consumer)
{
    uint32_t more = planted(PLANTED_PREFETCH_ONE_MORE) ? 1 : 0;
    return !consumer->prefetch || consumer->unacked < consumer->prefetch + more;
}

bool queue_consumer_can_be_ready(const struct queue_consumer *consumer)
{
    return consumer->is_active && consumer->queue && list_is_empty(&consumer->ready_link) &&
           !consumer->is_yielding && has_credit(consumer);
}

/* Puts it behind all ready consumers of its priority. */
void queue_consumer_ready(struct queue_consumer *consumer)
{
    if (!queue_consumer_can_be_ready(consumer))
        return;
    struct queue *queue = consumer->queue;
    struct list *head = queue->has_levels ? &level_of(consumer)->ready : &queue->ready_consumers;
    list_push_back(head, &consumer->ready_link);
    queue_touch(queue);
    queue_has_work(queue);
}

struct queue_consumer *queue_next_of_levels(const struct queue *queue)
{
    list_for_each(link, &queue->ready_consumers) {
        const struct level *level = of_link(link);
        if (!list_is_empty(&level->ready))
            return of_ready_link(level->ready.next);
        if (level->single)
            break;
    }
    return NULL;
}

static uint64_t credit_of(const struct list *ready)
{
    uint64_t credit = 0;
    list_for_each(link, ready) {
        const struct queue_consumer *consumer = of_ready_link(link);
        if (!consumer->prefetch)
            return UINT64_MAX;
        credit += has_credit(consumer) ? (uint64_t)(consumer->prefetch - consumer->unacked) : 0;
    }
    return credit;
}

uint64_t queue_credit(const struct queue *queue)
{
    uint64_t credit = 0;
    if (!queue->has_levels)
        return credit_of(&queue->ready_consumers);
    list_for_each(link, &queue->ready_consumers) {
        const struct level *level = of_link(link);
        uint64_t more = credit_of(&level->ready);
        credit = more == UINT64_MAX ? more : credit + more;
        if (level->single || credit == UINT64_MAX)
            break;
    }
    return credit;
}

/* It is the first of its list: behind it is the end of the others, before it the list's head. */
void queue_consumer_turn(struct queue_consumer *consumer)
{
    struct list *link = &consumer->ready_link, *head = link->prev;
    if (!has_credit(consumer)) {
        list_remove(link);
        return;
    }
    if (head == link->next)
        return;
    list_remove(link);
    list_push_back(head, link);
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

static void end_levels(struct queue *queue)
{
    while (queue->has_levels) {
        struct level *level = of_link(queue->ready_consumers.next);
        while (list_take_first(&level->ready))
            continue;
        level_free(level);
        queue->has_levels = !list_is_empty(&queue->ready_consumers);
    }
}

void queue_lose_consumers(struct queue *queue)
{
    queue->queues->consumers -= queue->consumer_count;
    queue->consumer_count = 0;
    queue_touch(queue);
    end_levels(queue);
    for (struct list *link; (link = list_take_first(&queue->consumers));) {
        struct queue_consumer *consumer = list_entry(link, struct queue_consumer, queue_link);
        consumer->queue = NULL;
        list_remove(&consumer->ready_link);
        if (consumer->is_active)
            list_push_back(consumer->lost, &consumer->queue_link);
    }
    assert(list_is_empty(&queue->ready_consumers));
}
