/* Class exchange (AMQP 0-9-1, 1.6), with RabbitMQ's bindings between exchanges. What is durable is
 * answered when it is on the disk. */
#include "broker/binding.h"
#include "broker/removal.h"
#include "session/handlers.h"

static struct vhost *vhost_of(const struct channel *channel)
{
    return channel->connection->vhost;
}

bool may_use_queue(const struct channel *channel, enum access access, struct bytes name,
                   struct error *error)
{
    const struct connection *connection = channel->connection;
    return permission_check_queue(connection->user, connection->vhost, access, name, error);
}

bool may_use_exchange(const struct channel *channel, enum access access, struct bytes name,
                      struct error *error)
{
    const struct connection *connection = channel->connection;
    return permission_check_exchange(connection->user, connection->vhost, access, name, error);
}

bool may_bind_from(const struct channel *channel, struct bytes source, struct bytes key,
                   struct error *error)
{
    struct error missing;
    const struct exchange *exchange = vhost_need_exchange(vhost_of(channel), source, &missing);
    return may_use_exchange(channel, ACCESS_READ, source, error) &&
           (!exchange || permission_check_topic(channel->connection->user, exchange, ACCESS_READ,
                                                key, error));
}

/* The answer, unless none is wanted. */
static void answer(struct channel *channel, bool nowait, uint32_t id)
{
    if (nowait)
        return;
    wait_hold_names(channel);
    channel_send_id(channel, id);
}

/* Types and the default exchange come first, as in RabbitMQ; the broker refuses them. */
static bool may_declare(const struct channel *channel, const struct method_exchange_declare *method,
                        struct error *error)
{
    const struct connection *connection = channel->connection;
    struct error refused;
    if (!exchange_type_is_known(method->type) ||
        !exchange_is_not_default(method->exchange, &refused))
        return true;
    if (!may_use_exchange(channel, ACCESS_CONFIGURE, method->exchange, error))
        return false;
    return vhost_need_exchange(connection->vhost, method->exchange, &refused) ||
           permission_check_alternate(connection->user, connection->vhost, method->exchange,
                                      method->arguments, error);
}

enum handled handle_exchange_declare(struct channel *channel,
                                     const struct method_exchange_declare *method,
                                     struct error *error)
{
    struct exchange_declare declare = {.name = method->exchange,
                                       .type = method->type,
                                       .passive = method->passive,
                                       .durable = method->durable,
                                       .auto_delete = method->auto_delete,
                                       .internal = method->internal,
                                       .arguments = method->arguments};
    if (!method->passive && !may_declare(channel, method, error))
        return HANDLED_FAILED;
    if (!method->passive && exchange_is_leaving(vhost_of(channel), method->exchange))
        return HANDLED_WAIT;
    if (!exchange_declare(vhost_of(channel), &declare, error))
        return HANDLED_FAILED;
    if (method->passive && !method->nowait)
        channel_send_id(channel, METHOD_EXCHANGE_DECLARE_OK);
    else
        answer(channel, method->nowait, METHOD_EXCHANGE_DECLARE_OK);
    return HANDLED;
}

enum handled handle_exchange_delete(struct channel *channel,
                                    const struct method_exchange_delete *method,
                                    struct error *error)
{
    if (!exchange_is_deletable(vhost_of(channel), method->exchange, error) ||
        !may_use_exchange(channel, ACCESS_CONFIGURE, method->exchange, error) ||
        !exchange_delete(vhost_of(channel), method->exchange, method->if_unused, error))
        return HANDLED_FAILED;
    answer(channel, method->nowait, METHOD_EXCHANGE_DELETE_OK);
    return HANDLED;
}

/* Asked before anything is looked up, as RabbitMQ does. */
static bool may_bind(const struct channel *channel, struct bytes source, struct bytes destination,
                     struct bytes key, struct error *error)
{
    return may_use_exchange(channel, ACCESS_WRITE, destination, error) &&
           exchange_is_not_default(destination, error) && exchange_is_not_default(source, error) &&
           may_bind_from(channel, source, key, error);
}

enum handled add_binding(struct channel *channel, const struct binding_request *request,
                         struct error *error)
{
    struct vhost *vhost = vhost_of(channel);
    struct store *store = channel_broker(channel)->store;
    struct exchange *source = vhost_need_exchange(vhost, request->source, error);
    uint64_t bytes = source ? binding_record_bytes(source) : 0;
    enum store_room room = bytes ? store_room(store, bytes) : STORE_ROOM_NOW;
    if (room == STORE_ROOM_LATER)
        return HANDLED_WAIT;
    if (room == STORE_ROOM_FULL)
        store_refused(store);
    if (room != STORE_ROOM_NOW)
        return handled_error(error, REPLY_PRECONDITION_FAILED,
                             "messages of %llu bytes that exchange '%.*s' has kept are larger than "
                             "what %s",
                             (unsigned long long)bytes, BYTES_ARG(request->source),
                             room == STORE_ROOM_FULL ? "is free on the disk" : "the journal takes");
    return binding_add(vhost, request, error) ? HANDLED : HANDLED_FAILED;
}

enum handled handle_exchange_bind(struct channel *channel,
                                  const struct method_exchange_bind *method, struct error *error)
{
    struct vhost *vhost = vhost_of(channel);
    if (!may_bind(channel, method->source, method->destination, method->routing_key, error))
        return HANDLED_FAILED;
    struct exchange *source = vhost_need_exchange(vhost, method->source, error);
    struct exchange *destination =
        source ? vhost_need_exchange(vhost, method->destination, error) : NULL;
    struct binding_request request = {.source = method->source,
                                      .exchange = destination,
                                      .key = method->routing_key,
                                      .arguments = method->arguments};
    if (!destination)
        return HANDLED_FAILED;
    enum handled handled = add_binding(channel, &request, error);
    if (handled != HANDLED)
        return handled;
    answer(channel, method->nowait, METHOD_EXCHANGE_BIND_OK);
    return HANDLED;
}

/* What is not there need not be taken away. */
enum handled handle_exchange_unbind(struct channel *channel,
                                    const struct method_exchange_unbind *method,
                                    struct error *error)
{
    struct vhost *vhost = vhost_of(channel);
    if (!may_bind(channel, method->source, method->destination, method->routing_key, error))
        return HANDLED_FAILED;
    struct error missing;
    struct exchange *destination = vhost_need_exchange(vhost, method->destination, &missing);
    struct binding_request request = {.source = method->source,
                                      .exchange = destination,
                                      .key = method->routing_key,
                                      .arguments = method->arguments};
    if (destination && !binding_remove(vhost, &request, error))
        return HANDLED_FAILED;
    answer(channel, method->nowait, METHOD_EXCHANGE_UNBIND_OK);
    return HANDLED;
}
