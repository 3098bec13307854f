/* queue->ready_consumers is in order of priority, and within one priority in order of the last
 * delivery, so that taking from its front is round robin. A consumer is on it only while it could
 * take a message; dispatch finds out about obstacles beyond the consumer itself when it comes to
 * it, and parks it there. So the cost of a delivery does not depend on how many consumers wait. */
#include "session/consumer.h"

#include <assert.h>

#include "base/mem.h"
#include "session/channel.h"

static struct consumer *allocate(struct channel *channel, struct queue *queue, struct bytes tag)
{
    struct consumer *consumer =
        mem_zalloc(sizeof(*consumer) + CONSUMER_PREFIX_TAG + tag.size);
    consumer->channel = channel;
    consumer->queue = queue;
    list_init(&consumer->queue_link);
    list_init(&consumer->ready_link);
    list_init(&consumer->channel_link);
    consumer->tag_size = (uint8_t)tag.size;
    uint8_t *at = frame_write_header(consumer->prefix, FRAME_METHOD, channel->number, 0);
    uint32_t id = htobe32(METHOD_BASIC_DELIVER);
    memcpy(at, &id, sizeof(id));
    at[4] = (uint8_t)tag.size;
    if (tag.size)
        memcpy(at + 5, tag.data, tag.size);
    if (queue)
        list_push_back(&queue->consumers, &consumer->queue_link);
    return consumer;
}

struct consumer *consumer_new(struct channel *channel, const struct consumer_request *request)
{
    struct consumer *consumer = allocate(channel, request->queue, request->tag);
    consumer->no_ack = request->no_ack;
    consumer->exclusive = request->exclusive;
    consumer->prefetch = request->prefetch;
    consumer->priority = request->priority;
    channel->has_priorities |= request->priority != 0;
    consumer->is_active = true;
    consumer->refs = 1;
    map_add(&channel->tags, consumer_tag(consumer), consumer);
    list_push_back(&channel->consumers, &consumer->channel_link);
    if (request->queue) {
        request->queue->consumer_count++;
        request->queue->had_consumer = true;
        request->queue->exclusively_consumed |= request->exclusive;
        consumer_ready(consumer);
    }
    return consumer;
}

struct consumer *consumer_for_get(struct channel *channel, struct queue *queue)
{
    list_for_each(link, &channel->getters) {
        struct consumer *getter = list_entry(link, struct consumer, channel_link);
        if (getter->queue != queue)
            continue;
        list_remove(&getter->channel_link);
        list_push_front(&channel->getters, &getter->channel_link);
        return getter;
    }
    struct consumer *getter = allocate(channel, queue, bytes_of(NULL, 0));
    getter->is_getter = true;
    list_push_front(&channel->getters, &getter->channel_link);
    return getter;
}

void consumer_free(struct consumer *consumer)
{
    assert(!consumer->is_active);
    list_remove(&consumer->queue_link);
    list_remove(&consumer->ready_link);
    list_remove(&consumer->channel_link);
    mem_free(consumer);
}

/* Puts it behind all ready consumers of its priority. */
static void insert_ready(struct consumer *consumer)
{
    struct list *head = &consumer->queue->ready_consumers;
    struct list *last = head->prev;
    if (last == head || list_entry(last, struct consumer, ready_link)->priority >= consumer->priority) {
        list_push_back(head, &consumer->ready_link);
        return;
    }
    struct list *before = head;
    while (list_entry(before->next, struct consumer, ready_link)->priority >= consumer->priority)
        before = before->next;
    list_insert_after(before, &consumer->ready_link);
}

static bool has_credit(const struct consumer *consumer)
{
    return !consumer->prefetch || consumer->unacked < consumer->prefetch;
}

static bool can_be_ready(const struct consumer *consumer)
{
    return consumer->is_active && consumer->queue && list_is_empty(&consumer->ready_link) &&
           has_credit(consumer);
}

void consumer_ready(struct consumer *consumer)
{
    if (!can_be_ready(consumer))
        return;
    insert_ready(consumer);
    queue_has_work(consumer->queue);
}

/* Goes behind the other consumers of its channel; the first of them is next, if there is credit. */
static void give_turn(struct consumer *consumer)
{
    consumer_park(consumer, &consumer->channel->parked);
    channel_unpark(consumer->channel);
}

void consumer_delivered(struct consumer *consumer)
{
    if (!has_credit(consumer)) {
        list_remove(&consumer->ready_link);
        return;
    }
    if (!consumer->no_ack && channel_is_contended(consumer->channel)) {
        give_turn(consumer);
        return;
    }
    struct list *head = &consumer->queue->ready_consumers;
    if (head->next == head->prev)
        return;
    list_remove(&consumer->ready_link);
    insert_ready(consumer);
}

void consumer_settled(struct consumer *consumer)
{
    struct channel *channel = consumer->channel;
    consumer->unacked--;
    if (!can_be_ready(consumer))
        return;
    if (channel_is_contended(channel))
        consumer_park(consumer, &channel->parked);
    else
        consumer_ready(consumer);
}

/* Of those that wait for the same queue as `first`, the one of highest priority. */
static struct consumer *preferred(const struct list *parked, struct consumer *first)
{
    struct consumer *best = first;
    list_for_each(link, parked) {
        struct consumer *other = list_entry(link, struct consumer, ready_link);
        if (other->queue == first->queue && other->priority > best->priority)
            best = other;
    }
    return best;
}

struct consumer *consumer_unpark_next(struct channel *channel)
{
    struct list *link = list_take_first(&channel->parked);
    struct consumer *first = link ? list_entry(link, struct consumer, ready_link) : NULL;
    struct consumer *next = first;
    if (!first)
        return NULL;
    if (channel->has_priorities)
        next = preferred(&channel->parked, first);
    if (next != first) {
        list_remove(&next->ready_link);
        list_push_back(&channel->parked, &first->ready_link);
    }
    consumer_ready(next);
    return next;
}

void consumer_park(struct consumer *consumer, struct list *obstacles)
{
    list_remove(&consumer->ready_link);
    list_push_back(obstacles, &consumer->ready_link);
}

void consumers_unpark(struct list *obstacles)
{
    struct list *link;
    while ((link = list_take_first(obstacles)))
        consumer_ready(list_entry(link, struct consumer, ready_link));
}

/* It is no longer one of its channel's; the caller drops its reference. */
static void retire(struct consumer *consumer)
{
    consumer->is_active = false;
    list_remove(&consumer->ready_link);
    list_remove(&consumer->channel_link);
    map_remove(&consumer->channel->tags, consumer_tag(consumer));
    reply_to_forget(consumer->channel, consumer);
}

void consumer_cancel(struct consumer *consumer)
{
    assert(consumer->is_active);
    struct queue *queue = consumer->queue;
    retire(consumer);
    if (queue) {
        queue->consumer_count--;
        if (consumer->exclusive)
            queue->exclusively_consumed = false;
        if (queue->auto_delete && queue->consumer_count == 0)
            queue_remove(queue);
    }
    consumer_unref(consumer);
}

/* Tells the client that its consumer is no more, when it understands that. */
static void notify_cancel(struct consumer *consumer)
{
    struct channel *channel = consumer->channel;
    if (channel->state != CHANNEL_OPEN || !channel->connection->can_cancel_notify)
        return;
    union method cancel = {.basic_cancel = {.id = METHOD_BASIC_CANCEL,
                                            .consumer_tag = consumer_tag(consumer),
                                            .nowait = true}};
    channel_send(channel, &cancel);
}

static void lose_queue(struct consumer *consumer, struct list *lost)
{
    list_remove(&consumer->queue_link);
    consumer->queue = NULL;
    if (!consumer->is_active)
        return;
    retire(consumer);
    list_push_back(lost, &consumer->ready_link);
}

void queue_remove_consumed(struct queue *queue, struct list *lost)
{
    struct list *link;
    queue->consumer_count = 0;
    while ((link = list_first(&queue->consumers)))
        lose_queue(list_entry(link, struct consumer, queue_link), lost);
    list_remove(&queue->owner_link);
    queue_delete(queue);
}

void queue_remove(struct queue *queue)
{
    struct list nobody;
    list_init(&nobody);
    queue_remove_consumed(queue, &nobody);
    assert(list_is_empty(&nobody));
}

void consumers_tell_lost(struct list *lost, const struct channel *deleter)
{
    struct list *link;
    while ((link = list_take_first(lost))) {
        struct consumer *consumer = list_entry(link, struct consumer, ready_link);
        if (consumer->channel->connection == deleter->connection)
            wait_follow(consumer->channel, deleter);
        notify_cancel(consumer);
        consumer_unref(consumer);
    }
}
