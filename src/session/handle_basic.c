/* Class basic (AMQP 0-9-1, 1.8), but for the content of basic.publish, which publishing.c takes. */
#include "amqp/table.h"
#include "base/mem.h"
#include "base/planted.h"
#include "broker/queue_arguments.h"
#include "session/acknowledge.h"
#include "session/dispatch.h"
#include "session/handlers.h"
#include "session/outgoing.h"
#include "session/relayed.h"
#include "session/tap.h"
#include "queue/queue_latency.h"
#include "queue/queue_sums.h"
#include "queue/queue_timer.h"

enum { GENERATED_LENGTH = 22 };

/* ---- qos ---- */

/* RabbitMQ's meaning of `global`: without it the limit is for each consumer begun from now on, with
 * it for all of the channel together. */
enum handled handle_basic_qos(struct channel *channel, const struct method_basic_qos *method,
                              struct error *error)
{
    if (method->prefetch_size)
        return handled_error(error, REPLY_NOT_IMPLEMENTED, "prefetch_size!=0 (%u)",
                             method->prefetch_size);
    if (method->global && !dispatch_due_consumed(channel))
        return HANDLED_WAIT;
    if (method->global)
        channel->prefetch_global = method->prefetch_count;
    else
        channel->prefetch = method->prefetch_count;
    channel_unpark(channel);
    channel_send_id(channel, METHOD_BASIC_QOS_OK);
    return HANDLED;
}

/* ---- consume and cancel ---- */

static void send_consume_ok(struct channel *channel, const struct method_basic_consume *method,
                            struct bytes tag)
{
    union method ok = {.basic_consume_ok = {METHOD_BASIC_CONSUME_OK, tag}};
    if (!method->nowait)
        channel_send(channel, &ok);
}

static bool read_priority(const struct queue *queue, struct bytes arguments, int64_t *priority,
                          struct error *error)
{
    struct field field;
    *priority = 0;
    if (!table_find(arguments, bytes_str("x-priority"), &field))
        return true;
    if (!field_is_integer(&field))
        return error_set(error, REPLY_PRECONDITION_FAILED,
                         "invalid arg 'x-priority' for queue '%s' in vhost '%s': "
                         "\"expected integer, got %s\"",
                         queue->name, queue->vhost->name, field_type_name(field.type));
    *priority = field.value.integer;
    return true;
}

static bool refuse_argument(const struct queue *queue, const char *name, struct error *error)
{
    return error_set(error, REPLY_PRECONDITION_FAILED,
                     "invalid arg '%s' for queue '%s' in vhost '%s' of queue type %s", name,
                     queue->name, queue->vhost->name, queue_arguments_module(queue));
}

/* What consumers of other types of queues may say. Queues here have no mirrors to fail over to. */
static bool check_arguments(const struct queue *queue, struct bytes arguments, struct error *error)
{
    static const char *const of_streams[] = {"x-stream-offset", "x-stream-filter",
                                             "x-stream-match-unfiltered"};
    static const char of_mirrors[] = "x-cancel-on-ha-failover";
    struct field field;
    for (size_t i = 0; i < sizeof(of_streams) / sizeof(of_streams[0]); i++)
        if (table_find(arguments, bytes_str(of_streams[i]), &field))
            return refuse_argument(queue, of_streams[i], error);
    if (!table_find(arguments, bytes_str(of_mirrors), &field))
        return true;
    if (queue->settings->is_quorum)
        return refuse_argument(queue, of_mirrors, error);
    return field.type == 't' ||
           error_set(error, REPLY_PRECONDITION_FAILED,
                     "invalid arg '%s' for queue '%s' in vhost '%s': {unacceptable_type,%s}",
                     of_mirrors, queue->name, queue->vhost->name, field_type_name(field.type));
}

static bool check_consume(struct channel *channel, struct bytes tag, struct error *error)
{
    if (tag.size && map_find(&channel->tags, tag))
        return error_set(error, REPLY_NOT_ALLOWED, "attempt to reuse consumer tag '%.*s'",
                         BYTES_ARG(tag));
    uint32_t wanted = channel->connection->server->options.consumers_max;
    uint32_t most = wanted && wanted < CONSUMERS_MAX ? wanted : CONSUMERS_MAX;
    if (map_count(&channel->tags) >= most)
        return error_set(error, REPLY_NOT_ALLOWED, "reached maximum (%u) of consumers per channel",
                         most);
    return true;
}

enum handled handle_basic_consume(struct channel *channel,
                                  const struct method_basic_consume *method, struct error *error)
{
    char generated[16 + GENERATED_LENGTH] = "amq.ctag-";
    struct bytes tag = method->consumer_tag;
    if (!check_consume(channel, tag, error))
        return HANDLED_FAILED;
    if (!tag.size) {
        random_name(channel_broker(channel)->random, generated + strlen(generated),
                    GENERATED_LENGTH);
        tag = bytes_str(generated);
    }
    if (reply_to_is_general(method->queue)) {
        if (!reply_to_consume(channel, tag, method->no_ack, error))
            return HANDLED_FAILED;
        send_consume_ok(channel, method, tag);
        return HANDLED;
    }
    struct queue *queue = need_readable_queue(channel, method->queue, error);
    struct consumer_request request = {.queue = queue,
                                       .tag = tag,
                                       .arguments = method->arguments,
                                       .no_ack = method->no_ack,
                                       .exclusive = method->exclusive,
                                       .prefetch = method->no_ack ? 0 : channel->prefetch};
    if (!queue || !read_priority(queue, method->arguments, &request.priority, error) ||
        !check_arguments(queue, method->arguments, error))
        return HANDLED_FAILED;
    if (!queue_may_consume(queue, method->exclusive))
        return handled_error(error, REPLY_ACCESS_REFUSED,
                             "queue '%s' in vhost '%s' in exclusive use", queue->name,
                             queue->vhost->name);
    /* One that goes on is given nothing yet, and has to say in time what it holds. */
    bool may_wait = !channel->connection->is_saying_again || planted(PLANTED_LANE_CLAIMS_WAIT);
    if (may_wait && !dispatch_due(channel, queue))
        return HANDLED_WAIT;
    consumer_new(channel, &request);
    send_consume_ok(channel, method, tag);
    return HANDLED;
}

/* What was delivered stays to be acknowledged. A tag that is not known is as good as cancelled. */
enum handled handle_basic_cancel(struct channel *channel, const struct method_basic_cancel *method,
                                 struct error *error)
{
    (void)error;
    struct consumer *consumer = map_find(&channel->tags, method->consumer_tag);
    if (consumer && consumer->base.queue && !dispatch_due(channel, consumer->base.queue))
        return HANDLED_WAIT;
    if (consumer)
        consumer_cancel(consumer);
    if (method->nowait)
        return HANDLED;
    wait_hold_names(channel); /* its queue may have gone with it */
    union method ok = {.basic_cancel_ok = {METHOD_BASIC_CANCEL_OK, method->consumer_tag}};
    channel_send(channel, &ok);
    return HANDLED;
}

/* ---- publish ---- */

enum handled handle_basic_publish(struct channel *channel,
                                  const struct method_basic_publish *method, struct error *error)
{
    if (method->immediate)
        return handled_error(error, REPLY_NOT_IMPLEMENTED, "immediate=true");
    content_begin(channel, method);
    return HANDLED;
}

/* ---- get ---- */

static void note_get(struct channel *channel, struct queue *queue, enum tally what)
{
    queue_tally_begin(queue);
    queue_latency_begin(queue);
    queue_note(queue, what);
    queue_touch(queue);
    channel->tally[what]++;
}

enum handled handle_basic_get(struct channel *channel, const struct method_basic_get *method,
                              struct error *error)
{
    struct taken taken;
    struct queue *queue = need_readable_queue(channel, method->queue, error);
    if (!queue)
        return HANDLED_FAILED;
    if (queue->settings->is_quorum && queue->settings->single_active_consumer)
        return handled_error(error, REPLY_RESOURCE_LOCKED,
                             "cannot obtain access to locked queue '%s' in vhost '%s'. basic.get "
                             "operations are not supported by quorum queues with single active consumer",
                             queue->name, queue->vhost->name);
    if (!dispatch_due(channel, queue))
        return HANDLED_WAIT;
    queue_used(queue);
    switch (queue_take(queue, method->no_ack, &taken)) {
    case QUEUE_WAIT:
        return HANDLED_WAIT;
    case QUEUE_EMPTY:
        note_get(channel, queue, TALLY_GOT_EMPTY);
        channel_send_id(channel, METHOD_BASIC_GET_EMPTY);
        return HANDLED;
    case QUEUE_OK:
        break;
    }
    note_get(channel, queue, method->no_ack ? TALLY_GOT_NO_ACK : TALLY_GOT);
    if (taken.redelivered)
        note_get(channel, queue, TALLY_REDELIVERED);
    queue_delivered(queue, taken.sequence, method->no_ack);
    uint64_t tag = ++channel->delivery_tag;
    if (!method->no_ack) {
        struct consumer *getter = consumer_for_get(channel, queue);
        getter->base.unacked++;
        acknowledge_expect(channel, getter, tag, taken.sequence);
    }
    if (channel_server(channel)->is_watched)
        tap_got(channel, queue, &taken);
    outgoing_get_ok(channel, queue, &taken, tag);
    message_unref(channel_broker(channel)->pool, taken.message);
    return HANDLED;
}

/* ---- acknowledgements ---- */

static enum handled end_deliveries(struct channel *channel, uint64_t tag, bool multiple, enum verdict verdict,
                                   struct error *error)
{
    enum handled handled = acknowledge(channel, tag, multiple, verdict, error);
    if (handled == HANDLED)
        relayed_settles(channel);
    return handled;
}

enum handled handle_basic_ack(struct channel *channel, const struct method_basic_ack *method,
                              struct error *error)
{
    return end_deliveries(channel, method->delivery_tag, method->multiple, VERDICT_ACK, error);
}

enum handled handle_basic_nack(struct channel *channel, const struct method_basic_nack *method,
                               struct error *error)
{
    uint64_t tag = method->delivery_tag, first = method->multiple ? 0 : tag;
    uint64_t last = tag == 0 && method->multiple ? UINT64_MAX : tag;
    if (method->requeue && !dispatch_due_returned(channel, first, last))
        return HANDLED_WAIT;
    return end_deliveries(channel, method->delivery_tag, method->multiple,
                          method->requeue ? VERDICT_RETURN : VERDICT_REJECT, error);
}

enum handled handle_basic_reject(struct channel *channel, const struct method_basic_reject *method,
                                 struct error *error)
{
    if (method->requeue &&
        !dispatch_due_returned(channel, method->delivery_tag, method->delivery_tag))
        return HANDLED_WAIT;
    return end_deliveries(channel, method->delivery_tag, false,
                          method->requeue ? VERDICT_FAIL : VERDICT_REJECT, error);
}

static enum handled recover(struct channel *channel, bool requeue, struct error *error)
{
    if (!requeue)
        return handled_error(error, REPLY_NOT_IMPLEMENTED, "requeue=false");
    if (!dispatch_due_returned(channel, 0, UINT64_MAX))
        return HANDLED_WAIT;
    return acknowledge_return_all(channel) ? HANDLED : HANDLED_WAIT;
}

enum handled handle_basic_recover_async(struct channel *channel,
                                        const struct method_basic_recover_async *method,
                                        struct error *error)
{
    return recover(channel, method->requeue, error);
}

enum handled handle_basic_recover(struct channel *channel,
                                  const struct method_basic_recover *method, struct error *error)
{
    enum handled handled = recover(channel, method->requeue, error);
    if (handled == HANDLED)
        channel_send_id(channel, METHOD_BASIC_RECOVER_OK);
    return handled;
}
