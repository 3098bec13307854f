/* The classic queue: one index, and a message's position is its sequence number there. */
#include "queue/queue_index.h"

static void classic_open(struct queue *queue)
{
    struct index *index = store_queue(queue->queues->store, queue->id, queue);
    queue->state = index;
    queue->counts = &index->counts;
}

static void classic_close(struct queue *queue)
{
    (void)queue;
}

static void classic_drop(struct queue *queue)
{
    store_queue_delete(queue->queues->store, queue->state);
}

static struct index *classic_place(struct queue *queue, const struct message *message)
{
    (void)message;
    return queue->state;
}

static enum queue_result classic_take(struct queue *queue, bool settle, struct taken *taken)
{
    return queue_index_take(queue, queue->state, settle, taken);
}

static bool classic_take_head(struct queue *queue, uint64_t *position)
{
    return queue_index_take_head(queue, queue->state, position);
}

static void classic_settle(struct queue *queue, uint64_t position)
{
    queue_index_settle(queue, queue->state, position);
}

static void classic_give_back(struct queue *queue, uint64_t position)
{
    queue_index_give_back(queue, queue->state, position, position);
}

static void classic_delay(struct queue *queue, uint64_t position, uint64_t until_ms)
{
    index_delay(queue->state, position, until_ms);
}

static bool classic_retry(struct queue *queue, uint64_t position)
{
    return queue_index_retry(queue, queue->state, position, position);
}

static void classic_delayed(struct queue *queue, queue_each_time *each, void *context)
{
    index_delayed(queue->state, each, context);
}

static uint32_t classic_delivery_count(struct queue *queue, uint64_t position)
{
    return index_delivery_count(queue->state, position);
}

static enum queue_result classic_fetch(struct queue *queue, uint64_t position,
                                       struct message **message)
{
    return (enum queue_result)index_fetch(queue->state, position, message);
}

static uint64_t classic_next_position(const struct queue *queue, const struct message *message)
{
    (void)message;
    return index_next(queue->state);
}

static bool classic_holds(const struct queue *queue, uint64_t position)
{
    return index_holds(queue->state, position);
}

static bool classic_keeps(const struct queue *queue, uint64_t position)
{
    return index_keeps(queue->state, position);
}

static enum queue_result classic_look(struct queue *queue, uint64_t from, struct looked *looked)
{
    return (enum queue_result)index_look(queue->state, from, looked);
}

static void classic_heads(const struct queue *queue, struct index_heads *heads)
{
    index_heads(queue->state, heads);
}

static enum index_obstacle classic_obstacle(struct queue *queue)
{
    return index_obstacle(queue->state);
}

static uint64_t classic_purge(struct queue *queue)
{
    uint64_t count = index_purge(queue->state);
    queue_schedule_clear_some(queue);
    return count;
}

static uint64_t classic_head_ms(struct queue *queue)
{
    return index_head_ms(queue->state);
}

static enum queue_result classic_expire(struct queue *queue, uint64_t *position)
{
    return queue_index_expire(queue, queue->state, position);
}

static void classic_read_taken(struct queue *queue, const uint64_t *positions, size_t count)
{
    index_read_some(queue->state, positions, count);
}

static bool classic_read_soon(struct queue *queue, const uint64_t *positions, size_t count)
{
    return index_read_soon(queue->state, positions, count);
}

static uint64_t classic_last(struct queue *queue, const struct index *place)
{
    (void)queue;
    return index_next(place) - 1;
}

static bool classic_take_at(struct queue *queue, uint64_t position)
{
    return queue_index_take_at(queue, queue->state, position);
}

static enum queue_result classic_ends(struct queue *queue, uint64_t position, uint64_t *ends_ms)
{
    return (enum queue_result)index_ends(queue->state, position, ends_ms);
}

static enum queue_result classic_times(struct queue *queue, uint64_t *from, queue_each_time *each,
                                       void *context)
{
    return (enum queue_result)index_times(queue->state, from, each, context);
}

const struct queue_kind queue_classic = {
    .open = classic_open,
    .close = classic_close,
    .drop = classic_drop,
    .place = classic_place,
    .take = classic_take,
    .take_head = classic_take_head,
    .settle = classic_settle,
    .give_back = classic_give_back,
    .delivery_count = classic_delivery_count,
    .delay = classic_delay,
    .retry = classic_retry,
    .delayed = classic_delayed,
    .fetch = classic_fetch,
    .purge = classic_purge,
    .next_position = classic_next_position,
    .holds = classic_holds,
    .keeps = classic_keeps,
    .look = classic_look,
    .heads = classic_heads,
    .obstacle = classic_obstacle,
    .head_ms = classic_head_ms,
    .expire = classic_expire,
    .read_taken = classic_read_taken,
    .read_soon = classic_read_soon,
    .last = classic_last,
    .take_at = classic_take_at,
    .ends = classic_ends,
    .times = classic_times,
};
