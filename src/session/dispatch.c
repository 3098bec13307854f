/* A queue is on broker->working while it may have both a message and a consumer for it. It goes off
 * when it runs out of either, and comes back with a publish, a returned message, or a consumer that
 * became ready. */
#include "session/dispatch.h"

#include "session/acknowledge.h"

enum { QUEUE_BUDGET = 256, TURN_BUDGET = 32768 };

static void deliver(struct consumer *consumer, const struct taken *taken)
{
    struct channel *channel = consumer->channel;
    uint64_t tag = ++channel->delivery_tag;
    if (!consumer->no_ack)
        acknowledge_expect(channel, consumer, tag, taken->sequence);
    outgoing_deliver(consumer, taken->message, tag, taken->redelivered);
    consumer_delivered(consumer);
}

/* The next consumer that nothing hinders. */
static struct consumer *next_consumer(struct queue *queue)
{
    struct list *link;
    while ((link = list_first(&queue->ready_consumers))) {
        struct consumer *consumer = list_entry(link, struct consumer, ready_link);
        struct channel *channel = consumer->channel;
        if (!channel_can_deliver(channel))
            consumer_park(consumer, &channel->parked);
        else if (!connection_can_deliver(channel->connection))
            consumer_park(consumer, &channel->connection->parked);
        else
            return consumer;
    }
    return NULL;
}

/* Returns how many messages went; *more: the budget ran out. */
static unsigned serve(struct queue *queue, struct message_pool *pool, bool *more)
{
    unsigned count = 0;
    struct consumer *consumer;
    *more = false;
    while ((consumer = next_consumer(queue))) {
        struct taken taken;
        if (count == QUEUE_BUDGET) {
            *more = true;
            break;
        }
        if (index_take(queue->index, consumer->no_ack, &taken) != INDEX_OK)
            break;
        deliver(consumer, &taken);
        message_unref(pool, taken.message);
        count++;
    }
    return count;
}

bool dispatch_directly(struct queue *queue, const struct parcel *parcel)
{
    if (queue->index->ready)
        return false;
    struct consumer *consumer = next_consumer(queue);
    if (!consumer || !consumer->no_ack || !parcel_is_small(parcel, consumer->channel))
        return false;
    outgoing_deliver_parcel(consumer, parcel, ++consumer->channel->delivery_tag, false);
    consumer_delivered(consumer);
    return true;
}

void dispatch(struct server *server)
{
    struct broker *broker = server->broker;
    unsigned count = 0;
    struct list *link;
    while (count < TURN_BUDGET && (link = list_take_first(&broker->working))) {
        struct queue *queue = list_entry(link, struct queue, working_link);
        bool more;
        count += 1 + serve(queue, broker->pool, &more);
        if (more && list_is_empty(&queue->working_link))
            list_push_back(&broker->working, &queue->working_link);
    }
}
