/* Class queue (AMQP 0-9-1, 1.7). What is durable is answered when it is on the disk. */
#include "base/mem.h"
#include "base/planted.h"
#include "broker/audit.h"
#include "broker/binding.h"
#include "broker/dead_letter.h"
#include "broker/name.h"
#include "broker/removal.h"
#include "session/dispatch.h"
#include "session/handlers.h"

bool need_queue_name(struct channel *channel, struct bytes *name, struct error *error)
{
    if (name->size)
        return true;
    if (!channel->last_queue)
        return error_set(error, REPLY_NOT_FOUND, "no previously declared queue");
    *name = bytes_str(channel->last_queue);
    return true;
}

/* A queue whose owner has gone is as good as gone, too: it goes now. Was it one? */
static bool remove_left_behind(struct channel *channel, struct queue *queue)
{
    const struct connection *connection = channel->connection;
    if (!queue->exclusive_owner || queue->exclusive_owner == connection->id ||
        !connection_has_gone(connection->server, queue->exclusive_owner))
        return false;
    queue_delete(queue);
    consumers_tell_lost(connection->server, channel);
    return true;
}

/* The queue of that name, whoever may use it. */
static struct queue *find_queue(struct channel *channel, struct bytes name, struct error *error)
{
    struct vhost *vhost = channel->connection->vhost;
    struct queue *queue = vhost_need_queue(vhost, name, error);
    if (queue && remove_left_behind(channel, queue))
        queue = vhost_need_queue(vhost, name, error);
    return queue;
}

struct queue *need_readable_queue(struct channel *channel, struct bytes name, struct error *error)
{
    if (!need_queue_name(channel, &name, error) ||
        (!may_use_queue(channel, ACCESS_READ, name, error) && !planted(PLANTED_READ_NOT_ASKED)))
        return NULL;
    struct queue *queue = find_queue(channel, name, error);
    return queue && queue_check_access(queue, channel->connection->id, error) ? queue : NULL;
}

/* Numbers in methods are narrower than those of a long queue. */
static uint32_t clip(uint64_t number)
{
    return number < UINT32_MAX ? (uint32_t)number : UINT32_MAX;
}

/* ---- declare ---- */

static void send_declare_ok(struct channel *channel, struct bytes name, uint64_t messages,
                            uint32_t consumers)
{
    union method ok = {
        .queue_declare_ok = {METHOD_QUEUE_DECLARE_OK, name, clip(messages), consumers}};
    channel_send(channel, &ok);
}

static enum handled declare_reply_to(struct channel *channel,
                                     const struct method_queue_declare *method, struct error *error)
{
    if (!reply_to_declare(channel, method->queue, error))
        return HANDLED_FAILED;
    if (!method->nowait)
        send_declare_ok(channel, method->queue, 0, 1);
    return HANDLED;
}

static void remember_queue(struct channel *channel, const struct queue *queue)
{
    mem_free(channel->last_queue);
    channel->last_queue = mem_dup(queue->name, queue->name_size + 1);
}

/* What is left behind is not in the way. False: a queue of that name is still leaving. */
static bool make_way(struct channel *channel, struct bytes name)
{
    char room[NAME_MAX_SIZE];
    const struct vhost *vhost = channel->connection->vhost;
    struct queue *queue = vhost_queue(vhost, name_strip(name, room));
    if (queue)
        remove_left_behind(channel, queue);
    return !queue_is_leaving(vhost, name);
}

static bool may_declare(const struct channel *channel, const struct queue_declare *declare,
                        struct error *error)
{
    const struct connection *connection = channel->connection;
    struct error missing;
    return (may_use_queue(channel, ACCESS_CONFIGURE, declare->name, error) ||
            planted(PLANTED_DECLARE_NOT_ASKED)) &&
           (vhost_need_queue(connection->vhost, declare->name, &missing) ||
            permission_check_dead_letter(connection->user, connection->vhost, declare->name,
                                         declare->arguments, error));
}

enum handled handle_queue_declare(struct channel *channel,
                                  const struct method_queue_declare *method, struct error *error)
{
    struct connection *connection = channel->connection;
    char generated[64];
    bool created = false;
    struct queue_declare declare = {.name = method->queue,
                                    .passive = method->passive,
                                    .durable = method->durable,
                                    .exclusive = method->exclusive,
                                    .auto_delete = method->auto_delete,
                                    .generated = method->exclusive && connection->is_saying_again,
                                    .arguments = method->arguments,
                                    .connection_id = connection->id};
    if (reply_to_is_name(method->queue))
        return declare_reply_to(channel, method, error);
    if (!method->queue.size && !method->passive) {
        queue_generate_name(connection->vhost, generated);
        declare.name = bytes_str(generated);
        declare.generated = true;
    }
    if (!method->passive && !may_declare(channel, &declare, error))
        return HANDLED_FAILED;
    if (!make_way(channel, method->queue) && !method->passive)
        return HANDLED_WAIT;
    struct queue *queue = queue_declare(connection->vhost, &declare, &created, error);
    if (!queue)
        return HANDLED_FAILED;
    if (!created && !method->nowait && !dispatch_due(channel, queue))
        return HANDLED_WAIT;
    if (created && queue->exclusive_owner)
        list_push_back(&connection->exclusive_queues, &queue->owner_link);
    remember_queue(channel, queue);
    if (method->nowait)
        return HANDLED;
    if (method->passive)
        wait_hold_lookup(channel);
    else if (!planted(PLANTED_DECLARE_OK_EARLY))
        wait_hold_names(channel);
    send_declare_ok(channel, queue_name(queue), queue_ready(queue), queue->consumer_count);
    return HANDLED;
}

/* ---- bind and unbind: the order of checks is RabbitMQ's ---- */

static bool may_bind(const struct channel *channel, struct bytes queue, struct bytes source,
                     struct bytes key, struct error *error)
{
    return may_use_queue(channel, ACCESS_WRITE, queue, error) &&
           exchange_is_not_default(source, error) && may_bind_from(channel, source, key, error);
}

enum handled handle_queue_bind(struct channel *channel, const struct method_queue_bind *method,
                               struct error *error)
{
    struct vhost *vhost = channel->connection->vhost;
    struct bytes name = method->queue;
    struct binding_request request = {.source = method->exchange,
                                      .key = method->routing_key,
                                      .arguments = method->arguments,
                                      .connection_id = channel->connection->id};
    if (!reply_to_may_bind(channel, name, error) || !need_queue_name(channel, &name, error) ||
        !may_bind(channel, name, method->exchange, method->routing_key, error) ||
        !vhost_need_exchange(vhost, method->exchange, error))
        return HANDLED_FAILED;
    request.queue = find_queue(channel, name, error);
    if (!method->queue.size && !method->routing_key.size)
        request.key = name;
    if (!request.queue)
        return HANDLED_FAILED;
    enum handled handled = add_binding(channel, &request, error);
    if (handled != HANDLED)
        return handled;
    if (method->nowait)
        return HANDLED;
    if (!planted(PLANTED_BIND_OK_EARLY))
        wait_hold_names(channel);
    channel_send_id(channel, METHOD_QUEUE_BIND_OK);
    return HANDLED;
}

/* What is not there need not be taken away. */
enum handled handle_queue_unbind(struct channel *channel, const struct method_queue_unbind *method,
                                 struct error *error)
{
    struct vhost *vhost = channel->connection->vhost;
    struct bytes name = method->queue;
    struct error missing;
    struct binding_request request = {.source = method->exchange,
                                      .key = method->routing_key,
                                      .arguments = method->arguments,
                                      .connection_id = channel->connection->id};
    if (!need_queue_name(channel, &name, error) ||
        !may_bind(channel, name, method->exchange, method->routing_key, error))
        return HANDLED_FAILED;
    request.queue = find_queue(channel, name, &missing);
    if (!method->queue.size && !method->routing_key.size)
        request.key = name;
    if (request.queue && !binding_remove(vhost, &request, error))
        return HANDLED_FAILED;
    wait_hold_names(channel);
    channel_send_id(channel, METHOD_QUEUE_UNBIND_OK);
    return HANDLED;
}

/* ---- purge and delete ---- */

enum handled handle_queue_purge(struct channel *channel, const struct method_queue_purge *method,
                                struct error *error)
{
    struct queue *queue = need_readable_queue(channel, method->queue, error);
    if (!queue)
        return HANDLED_FAILED;
    if (!dispatch_due(channel, queue))
        return HANDLED_WAIT;
    uint64_t count = queue_purge(queue);
    if (count)
        audit_purge(queue);
    if (method->nowait)
        return HANDLED;
    if (queue_survives(queue))
        wait_hold_all(channel);
    union method ok = {.queue_purge_ok = {METHOD_QUEUE_PURGE_OK,
                                          clip(count + planted(PLANTED_PURGE_COUNTS_ONE_MORE))}};
    channel_send(channel, &ok);
    return HANDLED;
}

/* A queue that is not there is as good as deleted. Its consumers are told after the answer. */
enum handled handle_queue_delete(struct channel *channel, const struct method_queue_delete *method,
                                 struct error *error)
{
    struct connection *connection = channel->connection;
    struct bytes name = method->queue;
    union method ok = {.queue_delete_ok = {METHOD_QUEUE_DELETE_OK, 0}};
    if (!need_queue_name(channel, &name, error) ||
        !may_use_queue(channel, ACCESS_CONFIGURE, name, error))
        return HANDLED_FAILED;
    struct queue *queue = find_queue(channel, name, error);
    if (queue) {
        if (!queue_check_access(queue, connection->id, error))
            return HANDLED_FAILED;
        if (!dispatch_due(channel, queue) || dead_letters_are_due(queue))
            return HANDLED_WAIT;
        if (!queue_delete_check(queue, method->if_unused, method->if_empty, error))
            return HANDLED_FAILED;
        ok.queue_delete_ok.message_count = clip(queue_ready(queue));
        queue_delete(queue);
    }
    if (!method->nowait) {
        wait_hold_names(channel);
        channel_send(channel, &ok);
    }
    consumers_tell_lost(connection->server, channel);
    return HANDLED;
}
