/* A queue is on queues->working while it may have both a message and a consumer for it. It goes off
 * when it runs out of either, and comes back with a publish, a returned message, or a consumer that
 * became ready. */
#include "session/dispatch.h"

#include "base/planted.h"
#include "broker/expiry.h"
#include "broker/overflow.h"
#include "queue/queue_latency.h"
#include "queue/queue_sums.h"
#include "session/acknowledge.h"
#include "session/relayed.h"

enum { QUEUE_BUDGET = 256, TURN_BUDGET = 32768 };
enum {
    DUE_BUDGET = 1024,   /* deliveries of one queue before a method looks at it; */
    DUE_TURNS = 1024,    /* then it waits for another turn, as long as these last: */
    DUE_BUSY_TURNS = 32, /* what a turn takes in which the budget was not enough; reading takes 1 */
    DELIVERY_STEPS = 20, /* of the turn's budget */
};

static inline void note(struct consumer *consumer, bool redelivered)
{
    struct queue *queue = consumer->base.queue;
    struct channel *channel = consumer->channel;
    bool no_ack = consumer->base.no_ack;
    queue_note(queue, no_ack ? TALLY_DELIVERED_NO_ACK : TALLY_DELIVERED);
    channel->tally[TALLY_DELIVERED] += !no_ack;
    if (redelivered) {
        queue_note(queue, TALLY_REDELIVERED);
        channel->tally[TALLY_REDELIVERED]++;
    }
}

static void deliver(struct consumer *consumer, const struct taken *taken)
{
    struct channel *channel = consumer->channel;
    uint64_t tag = ++channel->delivery_tag;
    if (!consumer->base.no_ack) {
        acknowledge_expect(channel, consumer, tag, taken->sequence);
        if (__builtin_expect(channel->is_relayed, 0))
            relayed_position(channel, taken->sequence);
    }
    note(consumer, taken->redelivered);
    queue_delivered(consumer->base.queue, taken->sequence, consumer->base.no_ack);
    outgoing_deliver(consumer, taken, tag);
    consumer_delivered(consumer);
}

/* Consumers that something hinders wait for its end; the next one is then another. */
static __attribute__((noinline)) struct consumer *park_hindered(struct queue *queue)
{
    struct consumer *consumer;
    queue_touch(queue);
    while ((consumer = consumer_of(queue_next_consumer(queue)))) {
        struct channel *channel = consumer->channel;
        if (!channel_can_deliver(channel))
            consumer_park(consumer, &channel->parked);
        else if (!connection_can_deliver(channel->connection))
            consumer_park(consumer, &channel->connection->parked);
        else
            break;
    }
    return consumer;
}

/* The next consumer that nothing hinders. */
static inline struct consumer *next_consumer(struct queue *queue)
{
    struct consumer *consumer = consumer_of(queue_next_consumer(queue));
    if (!consumer || __builtin_expect(channel_can_deliver(consumer->channel) &&
                                          connection_can_deliver(consumer->channel->connection),
                                      1))
        return consumer;
    return park_hindered(queue);
}

/* A delivery is one; a body that is copied counts for its kibibytes, another one for its frames. */
static unsigned cost_of(const struct message *message)
{
    return 1 + message->body_size / (message->body_size <= PARCEL_BODY_MAX ? 1024 : 16384);
}

/* Gives a queue's messages to its consumers, as many as `budget` allows; returns what they cost. A queue
 * that could go on stays on queues->working. */
static unsigned serve(struct queue *queue, unsigned budget)
{
    struct message_pool *pool = queue->vhost->broker->pool;
    unsigned count = 0;
    struct consumer *consumer;
    struct taken taken;
    list_remove(&queue->working_link);
    while ((consumer = next_consumer(queue))) {
        if (count >= budget) {
            queue_has_work(queue);
            break;
        }
        if (queue_match(queue, &consumer->base, &taken) != QUEUE_OK)
            break;
        deliver(consumer, &taken);
        count += cost_of(taken.message);
        message_unref(pool, taken.message);
    }
    if (queue->limit & QUEUE_DROPS)
        overflow_note(queue);
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
    struct consumer *consumer = consumer_unpark_next(channel);
    channel_unpark(channel);
    return 1 + (consumer ? serve(consumer->base.queue, QUEUE_BUDGET) : 0);
}

bool dispatch_directly(struct queue *queue, const struct parcel *parcel)
{
    if ((queue_ready(queue) && !planted(PLANTED_DIRECTLY_OUT_OF_TURN)) ||
        queue->limit & (QUEUE_REFUSES | QUEUE_AGREES | QUEUE_RESTS))
        return false;
    struct consumer *consumer = next_consumer(queue);
    if (!consumer || !consumer->base.no_ack || !parcel_is_small(parcel, consumer->channel))
        return false;
    queue_consumer_had_turn(&consumer->base);
    queue->tally->of[TALLY_PUBLISHED]++;
    queue_note(queue, TALLY_DELIVERED_NO_ACK);
    if (queue_times_direct(queue))
        queue_timed_direct(queue);
    outgoing_deliver_parcel(consumer, parcel, ++consumer->channel->delivery_tag, false);
    return true;
}

/* By the clock of this turn. */
static bool may_deliver(struct server *server)
{
    const struct server_groups *groups = &server->groups;
    bool may = !groups->may_deliver ||
               groups->may_deliver(groups->context, server->broker->queues.now_ms);
    server->rests |= !may;
    return may;
}

void dispatch(struct server *server)
{
    struct list *working = &server->broker->queues.working, *link;
    unsigned count = 0;
    server->rests = false;
    if (!may_deliver(server))
        return;
    while (count < TURN_BUDGET && !(list_is_empty(working) && list_is_empty(&server->turning))) {
        count += take_turn(server);
        if ((link = list_first(working)))
            count += 1 + serve(list_entry(link, struct queue, working_link), QUEUE_BUDGET);
    }
    overflow_work_off(server->broker);
}

/* ---- before a method looks at a queue ---- */

static bool is_due(const struct queue *queue)
{
    return queue_ready(queue) && queue_next_consumer(queue);
}

/* The channel's own consumers get nothing while it holds replies back; what they are owed comes before
 * the answer to its next method. */
static bool is_held_back(const struct channel *channel, const struct queue *queue)
{
    return queue_ready(queue) && !list_is_empty(&channel->waiting_replies) &&
           !list_is_empty(&channel->parked);
}

/* What the queue may not keep, and nobody has taken. */
static bool drop_due(struct queue *queue)
{
    overflow_note(queue);
    return overflow_drop(queue);
}

/* False: there is more, or it has to be read first. */
static bool serve_due(struct server *server, struct queue *queue)
{
    unsigned count = 0, served = 1;
    while (served && count < DUE_BUDGET && (is_due(queue) || !list_is_empty(&server->turning))) {
        served = take_turn(server);
        if (is_due(queue))
            served += serve(queue, DUE_BUDGET);
        count += served;
    }
    budget_use(&server->broker->turn, (uint64_t)count * DELIVERY_STEPS);
    return !is_due(queue) && drop_due(queue);
}

bool dispatch_due(struct channel *channel, struct queue *queue)
{
    struct server *server = channel_server(channel);
    struct connection *connection = channel->connection;
    if (queue->limit & QUEUE_AGREES &&
        (!wait_agreed(connection, store_queue_log(queue->queues->store, queue->id)) ||
         !may_deliver(server)))
        return false;
    bool is_done = serve_due(server, queue) && expiry_due(queue);
    if (!is_done && connection->due_turns < DUE_TURNS) {
        bool is_busy = !list_is_empty(&queue->working_link);
        connection->due_turns = (uint16_t)(connection->due_turns + (is_busy ? DUE_BUSY_TURNS : 1));
        server->has_work_left |= is_busy;
        connection->looks_at.index = 0; /* what is done meanwhile is to be agreed on, too */
        return false;
    }
    return !is_held_back(channel, queue);
}

bool dispatch_due_consumed(struct channel *channel)
{
    list_for_each(link, &channel->consumers) {
        struct consumer *consumer = list_entry(link, struct consumer, channel_link);
        if (consumer->base.queue && !dispatch_due(channel, consumer->base.queue))
            return false;
    }
    return true;
}

bool dispatch_due_returned(struct channel *channel, uint64_t first, uint64_t last)
{
    size_t at = 0;
    struct consumer *source;
    while ((source = unacked_source(&channel->unacked, first, last, &at)))
        if (source->base.queue && !dispatch_due(channel, source->base.queue))
            return false;
    return true;
}
