/* Direct reply-to: the names, the consumer of replies, and the messages on their way to it. */
#include "session/reply_to.h"

#include "amqp/properties.h"
#include "amqp/table.h"
#include "base/mem.h"
#include "broker/publish.h"
#include "session/channel.h"
#include "session/outgoing.h"

enum { SECRET_LENGTH = 44 };

static const char general_name[] = "amq.rabbitmq.reply-to";

bool reply_to_is_general(struct bytes queue)
{
    return bytes_equal_str(queue, general_name);
}

bool reply_to_is_name(struct bytes queue)
{
    return bytes_start_with(queue, general_name);
}

/* ---- the consumer ---- */

bool reply_to_consume(struct channel *channel, struct bytes tag, bool no_ack, struct error *error)
{
    struct server *server = channel_server(channel);
    struct consumer_request request = {.tag = tag, .no_ack = true};
    struct reply_to *own = &channel->reply_to;
    size_t prefix = sizeof(general_name); /* with a dot for its end */
    if (!no_ack)
        return error_set(error, REPLY_PRECONDITION_FAILED, "reply consumer cannot acknowledge");
    if (own->consumer)
        return error_set(error, REPLY_PRECONDITION_FAILED, "reply consumer already set");
    own->name = mem_alloc(prefix + SECRET_LENGTH + 1);
    memcpy(own->name, general_name, prefix);
    own->name[prefix - 1] = '.';
    random_name(server->broker->random, own->name + prefix, SECRET_LENGTH);
    own->consumer = consumer_new(channel, &request);
    map_add(&server->replies, bytes_str(own->name), channel);
    return true;
}

void reply_to_forget(struct channel *channel, const struct consumer *consumer)
{
    struct reply_to *own = &channel->reply_to;
    if (own->consumer != consumer)
        return;
    map_remove(&channel_server(channel)->replies, bytes_str(own->name));
    mem_free(own->name);
    *own = (struct reply_to){0};
}

/* ---- queue methods that name it ---- */

bool reply_to_declare(const struct channel *channel, struct bytes queue, struct error *error)
{
    if (reply_to_is_general(queue) || map_find(&channel_server(channel)->replies, queue))
        return true;
    return error_set(error, REPLY_NOT_FOUND, "no queue '%.*s' in vhost '%s'", BYTES_ARG(queue),
                     channel->connection->vhost->name);
}

bool reply_to_may_bind(const struct channel *channel, struct bytes queue, struct error *error)
{
    if (!reply_to_is_name(queue))
        return true;
    return error_set(error, REPLY_ACCESS_REFUSED,
                     "cannot bind to volatile queue '%.*s' in vhost '%s'", BYTES_ARG(queue),
                     channel->connection->vhost->name);
}

/* ---- messages ---- */

bool reply_to_rewrite(struct channel *channel, struct error *error)
{
    struct message_pool *pool = channel_broker(channel)->pool;
    struct message *old = channel->content.message;
    struct properties properties;
    struct buffer bytes = {0};
    if (!channel->reply_to.consumer)
        return error_set(error, REPLY_PRECONDITION_FAILED, "fast reply consumer does not exist");
    properties_read_checked(message_properties(old), &properties);
    properties.reply_to = bytes_str(channel->reply_to.name);
    properties_add(&bytes, &properties);
    channel->content.message = message_copy(pool, old, message_exchange(old),
                                            message_routing_key(old), buffer_bytes(&bytes));
    buffer_free(&bytes);
    message_unref(pool, old);
    return true;
}

/* With a dot, and a secret behind it. */
static bool is_secret(struct bytes key)
{
    return key.size > sizeof(general_name) && reply_to_is_name(key);
}

/* Does a header with further routing keys have a secret name among them? */
static bool names_secret(struct bytes headers, const char *name)
{
    struct bytes keys;
    struct field key;
    if (!table_find_array(headers, name, &keys))
        return false;
    for (struct reader walk = reader_of(keys); array_next(&walk, &key);)
        if (key.type == 'S' && is_secret(key.value.bytes))
            return true;
    return false;
}

bool reply_to_is_reply(const struct exchange *exchange, const struct message *message)
{
    if (!exchange->is_default)
        return false;
    if (is_secret(message_routing_key(message)))
        return true;
    struct bytes headers = headers_of(message_properties(message));
    return headers.size && (names_secret(headers, "CC") || names_secret(headers, "BCC"));
}

/* Once, however often the message names it. */
static bool deliver_to(struct server *server, struct bytes name, struct message *message)
{
    struct channel *channel = map_find(&server->replies, name);
    if (!channel || channel->reply_to.number == server->reply_number ||
        !channel->connection->deliver_max ||
        channel->connection->output.size / 4 > server->options.output_bytes_max)
        return false;
    channel->reply_to.number = server->reply_number;
    outgoing_deliver(channel->reply_to.consumer, &(struct taken){.message = message},
                     ++channel->delivery_tag);
    return true;
}

struct published reply_to_deliver(struct server *server, struct exchange *exchange,
                                  struct message *message)
{
    struct queue_set *set = &server->queue_set;
    struct published published = {0};
    struct bytes headers = headers_of(message_properties(message));
    size_t count = 0;
    if (keys_collect(set, message_routing_key(message), headers, true))
        message->flags |= MESSAGE_HAS_BCC;
    server->reply_number++;
    for (size_t i = 0; i < set->keys_count; i++)
        count += deliver_to(server, set->keys[i], message);
    if (set->keys_count > 1)
        published = publish(exchange, message, set);
    published.queues += count;
    return published;
}
