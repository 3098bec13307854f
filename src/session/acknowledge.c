/* A delivery is taken out of the channel's unacked ones first and then dealt with, at once or when the
 * transaction commits; whatever happens to it, its consumer has room for another one. */
#include "session/acknowledge.h"

#include "base/planted.h"
#include "broker/publish.h"
#include "session/transaction.h"

void acknowledge_expect(struct channel *channel, struct consumer *source, uint64_t tag,
                        uint64_t sequence)
{
    size_t memory = unacked_memory(&channel->unacked);
    unacked_add(&channel->unacked, tag, source, sequence);
    channel_server(channel)->unacked_bytes += unacked_memory(&channel->unacked) - memory;
    source->unacked++;
    if (!source->is_getter)
        channel->consumer_unacked++;
}

void delivery_forget(struct channel *channel, const struct delivery *delivery)
{
    struct consumer *source = delivery->source;
    if (channel && (!source->is_getter || planted(PLANTED_GET_COUNTED_DOWN)))
        channel->consumer_unacked--;
    consumer_settled(source);
    consumer_unref(source);
}

void delivery_end(struct channel *channel, const struct delivery *delivery, enum verdict verdict)
{
    struct queue *queue = delivery->source->queue;
    if (queue && verdict == VERDICT_ACK) {
        index_settle(queue->index, delivery->sequence);
    } else if (queue && verdict == VERDICT_REJECT) {
        dead_letter(queue, delivery->sequence, DEATH_REJECTED);
    } else if (queue) {
        index_return(queue->index, delivery->sequence, true);
        queue_has_work(queue);
    }
    delivery_forget(channel, delivery);
}

/* Of one delivery, or later when the transaction commits. */
static void decide(struct channel *channel, const struct delivery *delivery, enum verdict verdict)
{
    if (channel->transaction)
        transaction_add_delivery(channel, delivery, verdict);
    else
        delivery_end(channel, delivery, verdict);
}

/* The memory of unacked deliveries was `before`. */
static void count_memory(struct channel *channel, size_t before)
{
    channel_server(channel)->unacked_bytes += unacked_memory(&channel->unacked) - before;
}

bool acknowledge(struct channel *channel, uint64_t tag, bool multiple, enum verdict verdict,
                 struct error *error)
{
    struct delivery delivery;
    size_t memory = unacked_memory(&channel->unacked);
    bool all = multiple && tag == 0;
    if (!multiple && unacked_take(&channel->unacked, tag, &delivery)) {
        decide(channel, &delivery, verdict);
    } else if (!all && (!multiple || !unacked_has(&channel->unacked, tag))) {
        return error_set(error, REPLY_PRECONDITION_FAILED, "unknown delivery tag %llu",
                         (unsigned long long)tag);
    } else {
        while (unacked_take_first(&channel->unacked, all ? UINT64_MAX : tag, &delivery))
            decide(channel, &delivery, verdict);
    }
    count_memory(channel, memory);
    channel_unpark(channel);
    return !channel->transaction || transaction_check(channel, error);
}

void acknowledge_restore(struct channel *channel, const struct delivery *deliveries, size_t count)
{
    size_t memory = unacked_memory(&channel->unacked);
    unacked_restore(&channel->unacked, deliveries, count);
    count_memory(channel, memory);
}

void acknowledge_return_all(struct channel *channel)
{
    struct delivery delivery;
    size_t memory = unacked_memory(&channel->unacked);
    while (unacked_take_first(&channel->unacked, UINT64_MAX, &delivery))
        delivery_end(channel, &delivery, VERDICT_RETURN);
    unacked_free(&channel->unacked);
    count_memory(channel, memory);
    channel_unpark(channel);
}
