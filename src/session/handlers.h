/* The handlers of methods, one file for each class. A handler answers the method, or fills `error`
 * and returns HANDLED_FAILED, or cannot decide yet (HANDLED_WAIT). */
#ifndef LEVERET_SESSION_HANDLERS_H
#define LEVERET_SESSION_HANDLERS_H

#include "broker/permission.h"
#include "session/channel.h"

/* Any method on channel 0. */
enum handled handle_connection_method(struct connection *connection, const union method *method,
                                      struct error *error);

#define HANDLER(name)                                                                              \
    enum handled handle_##name(struct channel *channel, const struct method_##name *method,        \
                               struct error *error)
HANDLER(channel_flow);
HANDLER(access_request);
HANDLER(exchange_declare);
HANDLER(exchange_delete);
HANDLER(exchange_bind);
HANDLER(exchange_unbind);
HANDLER(queue_declare);
HANDLER(queue_bind);
HANDLER(queue_unbind);
HANDLER(queue_purge);
HANDLER(queue_delete);
HANDLER(basic_qos);
HANDLER(basic_consume);
HANDLER(basic_cancel);
HANDLER(basic_publish);
HANDLER(basic_get);
HANDLER(basic_ack);
HANDLER(basic_reject);
HANDLER(basic_nack);
HANDLER(basic_recover);
HANDLER(basic_recover_async);
HANDLER(confirm_select);
HANDLER(tx_select);
HANDLER(tx_commit);
HANDLER(tx_rollback);
#undef HANDLER

/* The content of a basic.publish is complete. */
enum handled handle_basic_content(struct channel *channel, struct error *error);

/* The queue that a method names: by an empty name, the one declared last on this channel. Fails
 * when its user may not read from it, when there is none, or when it belongs to another connection. */
struct queue *need_readable_queue(struct channel *channel, struct bytes name, struct error *error);
/* The same as a name: the empty one stands for the queue declared last. */
bool need_queue_name(struct channel *channel, struct bytes *name, struct error *error);

/* binding_add, once the store has room for the messages that come with the binding. The source is
 * there. */
struct binding_request;
enum handled add_binding(struct channel *channel, const struct binding_request *request,
                         struct error *error);
/* May the channel's user do that? 403, with RabbitMQ's text, if not. */
bool may_use_queue(const struct channel *channel, enum access access, struct bytes name,
                   struct error *error);
bool may_use_exchange(const struct channel *channel, enum access access, struct bytes name,
                      struct error *error);
/* To bind there, or to unbind: what RabbitMQ asks of the source. */
bool may_bind_from(const struct channel *channel, struct bytes source, struct bytes key,
                   struct error *error);

#endif
