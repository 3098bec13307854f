/* A delivery is taken out of the channel's unacked ones first and then dealt with, at once or when
 * the transaction commits; whatever happens to it, its consumer has room for another one. */
#include "session/acknowledge.h"

#include "base/planted.h"
#include "broker/dead_letter.h"
#include "broker/redelivery.h"
#include "queue/queue_latency.h"
#include "session/delivery_timeout.h"
#include "session/transaction.h"

/* Of a turn's budget: what the end of a delivery costs, and how many of them go on even when it is
 * spent. */
enum { DELIVERY_STEPS = 15, DELIVERIES_LEAST = 64 };

void acknowledge_expect(struct channel *channel, struct consumer *source, uint64_t tag,
                        uint64_t sequence)
{
    size_t memory = unacked_memory(&channel->unacked);
    uint32_t now_s = delivery_timeout_second(channel_server(channel)->now_ms);
    if (unacked_add(&channel->unacked, tag, source, sequence, now_s))
        delivery_timeout_begin(channel, source);
    channel_server(channel)->unacked_bytes += unacked_memory(&channel->unacked) - memory;
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

/* Its letter may come back to its queue, where what the consumer can take instead of it makes room. */
static void delivery_reject(struct channel *channel, const struct delivery *delivery)
{
    struct queue *queue = delivery->source->base.queue;
    delivery_forget(channel, delivery);
    if (queue)
        dead_letter(queue, delivery->sequence, DEATH_REJECTED);
}

void delivery_end(struct channel *channel, const struct delivery *delivery, enum verdict verdict)
{
    struct queue *queue = delivery->source->base.queue;
    if (verdict == VERDICT_REJECT) {
        delivery_reject(channel, delivery);
        return;
    }
    if (queue && verdict == VERDICT_ACK) {
        queue_note(queue, TALLY_ACKNOWLEDGED);
        if (channel)
            channel->tally[TALLY_ACKNOWLEDGED]++;
        if (queue_times(queue, delivery->sequence))
            queue_timed_acknowledged(queue, delivery->sequence);
        queue_settle(queue, delivery->sequence);
    } else if (queue) {
        redelivery_return(queue, delivery->sequence,
                          verdict == VERDICT_FAIL ? RETURN_FAILED : RETURN_RELEASED);
    }
    if (planted(PLANTED_RETURNED_USES_CREDIT) && verdict >= VERDICT_RETURN)
        delivery->source->base.unacked++;
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

/* Decides deliveries up to a tag, as many as the turn's budget allows, but at least some. False:
 * there are more. */
static bool decide_some(struct channel *channel, uint64_t last, enum verdict verdict, bool at_once)
{
    struct budget *turn = &channel_broker(channel)->turn;
    struct delivery delivery;
    for (unsigned count = 0; unacked_take_first(&channel->unacked, last, &delivery);) {
        if (at_once)
            delivery_end(channel, &delivery, verdict);
        else
            decide(channel, &delivery, verdict);
        budget_use(turn, DELIVERY_STEPS);
        if (++count < DELIVERIES_LEAST || !budget_is_spent(turn))
            continue;
        bool more = unacked_has_before(&channel->unacked, last);
        channel_server(channel)->has_work_left |= more;
        return !more;
    }
    return true;
}

/* The last of all deliveries that there were when this was first asked. */
static uint64_t last_of_all(struct channel *channel)
{
    if (!channel->all_until)
        channel->all_until = channel->delivery_tag;
    return channel->all_until;
}

enum handled acknowledge(struct channel *channel, uint64_t tag, bool multiple, enum verdict verdict,
                         struct error *error)
{
    struct delivery delivery;
    size_t memory = unacked_memory(&channel->unacked);
    bool all = multiple && tag == 0, is_done = true;
    bool is_late = tag && tag <= channel->returned_until && !planted(PLANTED_LATE_IS_UNKNOWN);
    if (!multiple && unacked_take(&channel->unacked, tag, &delivery)) {
        decide(channel, &delivery, verdict);
    } else if (is_late && !multiple) {
        return HANDLED;
    } else if (!is_late && !all && (!multiple || !unacked_has(&channel->unacked, tag))) {
        return handled_error(error, REPLY_PRECONDITION_FAILED, "unknown delivery tag %llu",
                             (unsigned long long)tag);
    } else {
        is_done = decide_some(channel, all ? last_of_all(channel) : tag, verdict, false);
    }
    count_memory(channel, memory);
    channel_unpark(channel);
    if (channel->transaction && !transaction_check(channel, error))
        return HANDLED_FAILED;
    if (!is_done)
        return HANDLED_WAIT;
    channel->all_until = 0;
    return HANDLED;
}

void acknowledge_return_late(struct channel *channel, uint64_t first, unsigned count)
{
    struct delivery delivery;
    size_t memory = unacked_memory(&channel->unacked);
    for (uint64_t tag = first; tag < first + count; tag++)
        if (unacked_take(&channel->unacked, tag, &delivery)) {
            channel->returned_until = tag > channel->returned_until ? tag : channel->returned_until;
            delivery_end(channel, &delivery, VERDICT_RETURN);
            budget_use(&channel_broker(channel)->turn, DELIVERY_STEPS);
        }
    count_memory(channel, memory);
    channel_unpark(channel);
}

/* All up to a tag. */
static bool return_some(struct channel *channel, uint64_t last, enum verdict verdict)
{
    size_t memory = unacked_memory(&channel->unacked);
    bool is_done = decide_some(channel, last, verdict, true);
    if (is_done && channel->unacked.total == 0)
        unacked_free(&channel->unacked);
    if (is_done)
        channel->all_until = 0;
    count_memory(channel, memory);
    channel_unpark(channel);
    return is_done;
}

bool acknowledge_return_all(struct channel *channel)
{
    return return_some(channel, last_of_all(channel), VERDICT_RETURN);
}

bool acknowledge_drop_all(struct channel *channel)
{
    return return_some(channel, UINT64_MAX, VERDICT_FAIL);
}
