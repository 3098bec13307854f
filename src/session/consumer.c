/* The consumers of channels: begun, cancelled, made to wait for what their channel or connection lacks,
 * and told when their queue has gone. */
#include "session/consumer.h"

#include <assert.h>

#include "base/mem.h"
#include "base/planted.h"
#include "session/announce.h"
#include "session/channel.h"

static struct consumer *allocate(struct channel *channel, struct bytes tag, struct bytes arguments)
{
    size_t kept = arguments.size <= CONSUMER_ARGUMENTS_MAX ? arguments.size : 0;
    struct consumer *consumer =
        mem_zalloc(sizeof(*consumer) + CONSUMER_PREFIX_TAG + tag.size + kept);
    consumer->channel = channel;
    consumer->base.lost = &channel_server(channel)->lost;
    list_init(&consumer->base.queue_link);
    list_init(&consumer->base.ready_link);
    list_init(&consumer->channel_link);
    consumer->tag_size = (uint8_t)tag.size;
    uint8_t *at = frame_write_header(consumer->prefix, FRAME_METHOD, channel->number, 0);
    uint32_t id = htobe32(METHOD_BASIC_DELIVER);
    memcpy(at, &id, sizeof(id));
    at[4] = (uint8_t)tag.size;
    if (tag.size)
        memcpy(at + 5, tag.data, tag.size);
    consumer->arguments_size = (uint16_t)kept;
    if (kept)
        memcpy(at + 5 + tag.size, arguments.data, kept);
    return consumer;
}

struct consumer *consumer_new(struct channel *channel, const struct consumer_request *request)
{
    struct consumer *consumer = allocate(channel, request->tag, request->arguments);
    consumer->base.no_ack = request->no_ack;
    consumer->base.exclusive = request->exclusive;
    consumer->base.prefetch = request->prefetch;
    consumer->base.priority = request->priority;
    channel->has_priorities |= request->priority != 0;
    consumer->base.is_active = true;
    consumer->refs = 1;
    channel_server(channel)->consumers++;
    map_add(&channel->tags, consumer_tag(consumer), consumer);
    list_push_back(&channel->consumers, &consumer->channel_link);
    if (request->queue)
        queue_consumer_join(request->queue, &consumer->base);
    announce_consumer(consumer, true);
    return consumer;
}

struct consumer *consumer_for_get(struct channel *channel, struct queue *queue)
{
    list_for_each(link, &channel->getters) {
        struct consumer *getter = list_entry(link, struct consumer, channel_link);
        if (getter->base.queue != queue)
            continue;
        list_remove(&getter->channel_link);
        list_push_front(&channel->getters, &getter->channel_link);
        return getter;
    }
    struct consumer *getter = allocate(channel, bytes_of(NULL, 0), bytes_of(NULL, 0));
    getter->is_getter = true;
    queue_consumer_join(queue, &getter->base);
    list_push_front(&channel->getters, &getter->channel_link);
    return getter;
}

void consumer_free(struct consumer *consumer)
{
    assert(consumer->refs == 0 && consumer->base.unacked == 0);
    queue_consumer_free(&consumer->base);
    list_remove(&consumer->channel_link);
    mem_free(consumer);
}

void consumer_delivered(struct consumer *consumer)
{
    bool is_ready = !list_is_empty(&consumer->base.ready_link);
    if (consumer->base.no_ack || !is_ready || !channel_is_contended(consumer->channel))
        return;
    consumer_park(consumer, &consumer->channel->parked);
    channel_unpark(consumer->channel);
}

void consumer_settled(struct consumer *consumer)
{
    struct channel *channel = consumer->channel;
    queue_consumer_settled(&consumer->base);
    if (!queue_consumer_can_be_ready(&consumer->base))
        return;
    if (channel_is_contended(channel))
        consumer_park(consumer, &channel->parked);
    else
        queue_consumer_ready(&consumer->base);
}

/* Of those that wait for the same queue as `first`, the one of highest priority. */
static struct consumer *preferred(const struct list *parked, struct consumer *first)
{
    struct consumer *best = first;
    list_for_each(link, parked) {
        struct consumer *other = list_entry(link, struct consumer, base.ready_link);
        if (other->base.queue == first->base.queue && other->base.priority > best->base.priority)
            best = other;
    }
    return best;
}

struct consumer *consumer_unpark_next(struct channel *channel)
{
    struct list *link = list_take_first(&channel->parked);
    struct consumer *first = link ? list_entry(link, struct consumer, base.ready_link) : NULL;
    struct consumer *next = first;
    if (!first)
        return NULL;
    if (channel->has_priorities)
        next = preferred(&channel->parked, first);
    if (next != first) {
        list_remove(&next->base.ready_link);
        list_push_back(&channel->parked, &first->base.ready_link);
    }
    queue_consumer_ready(&next->base);
    return next;
}

void consumer_park(struct consumer *consumer, struct list *obstacles)
{
    assert(consumer->base.is_active);
    list_remove(&consumer->base.ready_link);
    list_push_back(obstacles, &consumer->base.ready_link);
}

void consumers_unpark(struct list *obstacles)
{
    struct list *link;
    while ((link = list_take_first(obstacles)))
        queue_consumer_ready(list_entry(link, struct queue_consumer, ready_link));
}

/* It is no longer one of its channel's; the caller drops its reference. True: its queue is to go with
 * it. */
static bool retire(struct consumer *consumer)
{
    announce_consumer(consumer, false);
    channel_server(consumer->channel)->consumers--;
    bool was_last = queue_consumer_leave(&consumer->base);
    list_remove(&consumer->channel_link);
    map_remove(&consumer->channel->tags, consumer_tag(consumer));
    reply_to_forget(consumer->channel, consumer);
    return was_last;
}

void consumer_end(struct consumer *consumer)
{
    consumer->base.gives_back = true;
    consumer_cancel(consumer);
}

void consumer_cancel(struct consumer *consumer)
{
    struct queue *queue = consumer->base.queue;
    if (retire(consumer))
        queue_delete(queue);
    consumer_unref(consumer);
}

/* Tells the client that its consumer is no more, when it understands that. */
static void notify_cancel(struct consumer *consumer)
{
    struct channel *channel = consumer->channel;
    if (channel->state != CHANNEL_OPEN || !channel->connection->can_cancel_notify ||
        planted(PLANTED_CANCEL_NOT_TOLD))
        return;
    union method cancel = {.basic_cancel = {.id = METHOD_BASIC_CANCEL,
                                            .consumer_tag = consumer_tag(consumer),
                                            .nowait = true}};
    channel_send(channel, &cancel);
}

void consumers_tell_lost(struct server *server, const struct channel *deleter)
{
    for (struct list *link; (link = list_first(&server->lost));) {
        struct consumer *consumer = list_entry(link, struct consumer, base.queue_link);
        if (deleter && consumer->channel->connection == deleter->connection)
            wait_follow(consumer->channel, deleter);
        retire(consumer);
        notify_cancel(consumer);
        consumer_unref(consumer);
    }
}
