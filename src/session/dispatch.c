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

/* Gives a queue's messages to its consumers, `budget` at most; returns how many went. A queue that
 * could go on stays on broker->working. */
static unsigned serve(struct queue *queue, unsigned budget)
{
    struct message_pool *pool = queue->vhost->broker->pool;
    unsigned count = 0;
    struct consumer *consumer;
    struct taken taken;
    list_remove(&queue->working_link);
    while ((consumer = next_consumer(queue))) {
        if (count == budget) {
            queue_has_work(queue);
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

/* Of the consumers that share a channel's limit the one that has waited longest is next. When its
 * queue has nothing it stays ready, and the one behind it is asked. */
static unsigned take_turn(struct server *server)
{
    struct list *link = list_take_first(&server->turning);
    if (!link)
        return 0;
    struct channel *channel = list_entry(link, struct channel, turn_link);
    if (!channel_can_deliver(channel))
        return 1;
    struct consumer *consumer = consumer_unpark_first(&channel->parked);
    channel_unpark(channel);
    return 1 + (consumer ? serve(consumer->queue, QUEUE_BUDGET) : 0);
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
    struct list *working = &server->broker->working, *link;
    unsigned count = 0;
    while (count < TURN_BUDGET && !(list_is_empty(working) && list_is_empty(&server->turning))) {
        count += take_turn(server);
        if ((link = list_first(working)))
            count += 1 + serve(list_entry(link, struct queue, working_link), QUEUE_BUDGET);
    }
}
