/* What happens to a message once its content is complete: the checks, in RabbitMQ's order, and then
 * its way to the queues, to the client that waits for a reply, or back. */
#include "session/publishing.h"

#include <assert.h>
#include <stdio.h>

#include "amqp/table.h"
#include "base/planted.h"
#include "broker/permission.h"
#include "queue/queue_settings.h"
#include "session/alarm.h"
#include "session/dispatch.h"
#include "session/handlers.h"
#include "session/outgoing.h"
#include "session/tap.h"
#include "session/transaction.h"

enum { EXTRA_KEYS_MAX = 1024 };

/* ---- properties ---- */

/* A string of digits, as Erlang's string:to_integer reads it: what follows the number is a fault of
 * its own. */
static bool read_expiration(struct bytes text, uint64_t *value, char *fault, size_t fault_size)
{
    size_t at = text.size && (text.data[0] == '-' || text.data[0] == '+');
    bool negative = at && text.data[0] == '-';
    size_t first = at;
    *value = 0;
    while (at < text.size && text.data[at] >= '0' && text.data[at] <= '9') {
        if (*value <= QUEUE_TIME_MAX_MS)
            *value = *value * 10 + text.data[at] - '0';
        at++;
    }
    if (at == first)
        snprintf(fault, fault_size, "no_integer");
    else if (at < text.size)
        snprintf(fault, fault_size, "{leftover_string,\"%.*s\"}", (int)(text.size - at),
                 (const char *)text.data + at);
    else if (negative && *value)
        snprintf(fault, fault_size, "{value_negative,%.*s}", BYTES_ARG(text));
    else if (*value > QUEUE_TIME_MAX_MS)
        snprintf(fault, fault_size, "{value_too_large,%.*s}", (int)(at - first),
                 (const char *)text.data + first);
    else
        return true;
    return false;
}

static bool check_expiration(struct message *message, struct bytes text, struct error *error)
{
    uint64_t value;
    char fault[300];
    if (!read_expiration(text, &value, fault, sizeof(fault)))
        return error_set(error, REPLY_PRECONDITION_FAILED, "invalid expiration '%.*s': %s",
                         BYTES_ARG(text), fault);
    message->ttl_ms = value;
    return true;
}

/* CC and BCC must be arrays; what is not a string in them does not count. */
static bool check_extra_keys(struct bytes headers, const char *name, size_t *count,
                             struct error *error)
{
    struct field field;
    if (!table_find(headers, bytes_str(name), &field))
        return true;
    if (field.type != 'A')
        return error_set(error, REPLY_PRECONDITION_FAILED,
                         "invalid message: {unacceptable_type_in_header,\"%s\",%s}", name,
                         field_type_name(field.type));
    struct reader walk = reader_of(field.value.bytes);
    while (array_next(&walk, &field))
        ++*count;
    if (*count > EXTRA_KEYS_MAX)
        return error_set(error, REPLY_PRECONDITION_FAILED,
                         "invalid message: more than %d routing keys in CC and BCC",
                         EXTRA_KEYS_MAX);
    return true;
}

static bool check_user(const struct user *user, struct bytes claimed, struct error *error)
{
    struct bytes name = user ? user_name(user) : claimed;
    if (bytes_equal(claimed, name) || (user->tags & TAG_IMPERSONATOR))
        return true;
    return error_set(error, REPLY_PRECONDITION_FAILED,
                     "user_id property set to '%.*s' but authenticated user was '%.*s'",
                     BYTES_ARG(claimed), BYTES_ARG(name));
}

static bool check_brief(const struct user *user, struct message *message,
                        const struct properties_brief *brief, struct error *error)
{
    size_t keys = 0;
    return (!(brief->flags & PROPERTY_USER_ID) || check_user(user, brief->user_id, error)) &&
           (!(brief->flags & PROPERTY_EXPIRATION) ||
            check_expiration(message, brief->expiration, error)) &&
           check_extra_keys(brief->headers, "CC", &keys, error) &&
           check_extra_keys(brief->headers, "BCC", &keys, error);
}

static bool check_properties(struct channel *channel, struct error *error)
{
    struct properties_brief brief;
    properties_scan(message_properties(channel->content.message), &brief);
    if ((brief.flags & PROPERTY_REPLY_TO) && reply_to_is_general(brief.reply_to)) {
        if (!reply_to_rewrite(channel, error))
            return false;
        properties_scan(message_properties(channel->content.message), &brief);
    }
    return check_brief(channel->connection->user, channel->content.message, &brief, error);
}

/* ---- the way of the message ---- */

void publishing_confirm(struct channel *channel, struct published published)
{
    channel_server(channel)->published.to_confirm++;
    if (published.is_refused && !planted(PLANTED_REFUSED_CONFIRMED))
        wait_refuse(channel, ++channel->publish_number);
    else
        wait_confirm(channel, ++channel->publish_number, published.logs);
}

void publishing_hold(struct channel *channel, uint32_t congested)
{
    channel_server(channel)->congested |= congested;
    channel->connection->congested |= congested;
    connection_hold(channel->connection, HOLD_CONGESTED);
}

struct published publishing_send(struct server *server, struct exchange *exchange,
                                 struct message *message)
{
    if (reply_to_is_reply(exchange, message))
        return reply_to_deliver(server, exchange, message);
    return publish(exchange, message, &server->queue_set);
}

struct published publishing_deliver(struct server *server, struct exchange *exchange,
                                    struct message *message)
{
    struct parcel parcel = parcel_of(message);
    struct queue *known =
        publish_known(exchange, parcel.routing_key, parcel.properties, &server->queue_set);
    struct published published = {.queues = 1};
    bool may_go_directly = !(message->flags & MESSAGE_SAID_AGAIN);
    if (known && (!may_go_directly || !dispatch_directly(known, &parcel)))
        published = publish_to(known, message);
    else if (!known)
        published = publishing_send(server, exchange, message);
    return published;
}

/* What an exchange holds back is on record, though it has found no queue yet. */
static void note_unroutable(struct channel *channel, struct message *message, bool mandatory,
                            bool is_recorded)
{
    struct unroutable_counts *counts = &channel_server(channel)->unroutable;
    if (mandatory && !planted(PLANTED_RETURN_OMITTED))
        outgoing_return(channel, message, REPLY_NO_ROUTE, "NO_ROUTE");
    bool is_dropped = !mandatory && !is_recorded;
    counts->returned += mandatory;
    counts->dropped += is_dropped;
    channel->tally[TALLY_RETURNED] += mandatory;
    channel->tally[TALLY_DROPPED] += is_dropped;
}

bool publishing_route(struct channel *channel, struct exchange *exchange, struct message *message,
                      bool mandatory)
{
    struct server *server = channel_server(channel);
    channel->tally[TALLY_PUBLISHED]++;
    publishing_note(server, exchange, message->body_size);
    struct published published = __builtin_expect(exchange->vhost->is_traced, 0)
                                     ? tap_publish(channel, exchange, message)
                                     : publishing_deliver(server, exchange, message);
    publishing_note_queues(server, exchange, published.queues);
    if (published.queues == 0)
        note_unroutable(channel, message, mandatory, published.logs != 0);
    publishing_count(channel, published);
    return !published.is_refused;
}

struct exchange *publishing_find(struct channel *channel, struct bytes name)
{
    struct error error;
    const struct connection *connection = channel->connection;
    struct exchange *exchange = vhost_exchange(connection->vhost, name);
    bool is_traced = exchange && exchange->vhost->is_traced && !planted(PLANTED_FIREHOSE_PASSED_BY);
    bool may = exchange && !is_traced && !permission_has_topics(connection->user, exchange) &&
               permission_check_exchange(connection->user, connection->vhost, ACCESS_WRITE, name,
                                         &error);
    channel->exchange = may ? exchange : NULL;
    channel->exchange_topology = channel_broker(channel)->topology;
    return channel->exchange;
}

static bool check_internal(const struct exchange *exchange, struct error *error)
{
    return !exchange->internal ||
           error_set(error, REPLY_ACCESS_REFUSED,
                     "cannot publish to internal exchange '%.*s' in vhost '%s'",
                     BYTES_ARG(exchange_name(exchange)), exchange->vhost->name);
}

/* RabbitMQ's order: what the user may do, what is there, what may be done with it, and what with this
 * routing key. */
static struct exchange *need_exchange(struct channel *channel, const struct message *message,
                                      struct error *error)
{
    const struct connection *connection = channel->connection;
    struct bytes name = message_exchange(message);
    struct exchange *exchange = publishing_exchange(channel, name);
    if (exchange)
        return check_internal(exchange, error) ? exchange : NULL;
    if (!permission_check_exchange(connection->user, connection->vhost, ACCESS_WRITE, name, error))
        return NULL;
    exchange = vhost_need_exchange(connection->vhost, name, error);
    bool may = exchange && check_internal(exchange, error) &&
               permission_check_topic(connection->user, exchange, ACCESS_WRITE,
                                      message_routing_key(message), error);
    return may ? exchange : NULL;
}

struct exchange *publishing_check(const struct user *user, struct vhost *vhost,
                                  struct message *message, struct error *error)
{
    struct properties_brief brief;
    struct bytes name = message_exchange(message);
    if (user && !permission_check_exchange(user, vhost, ACCESS_WRITE, name, error))
        return NULL;
    struct exchange *exchange = vhost_need_exchange(vhost, name, error);
    bool may = exchange && check_internal(exchange, error) &&
               (!user || permission_check_topic(user, exchange, ACCESS_WRITE,
                                                message_routing_key(message), error));
    properties_scan(message_properties(message), &brief);
    if (brief.delivery_mode == 2)
        message->flags |= MESSAGE_PERSISTENT;
    message->priority = brief.priority;
    return may && check_brief(user, message, &brief, error) ? exchange : NULL;
}

/* The store has no room for it: its publisher is told. */
static enum handled refuse(struct channel *channel, enum store_room room, struct error *error)
{
    struct message *message = content_take(&channel->content);
    size_t size = message_data_size(message);
    message_unref(channel_broker(channel)->pool, message);
    if (room == STORE_ROOM_FULL)
        store_refused(channel_broker(channel)->store);
    if (!channel->confirms)
        return handled_error(error, REPLY_PRECONDITION_FAILED,
                             "message of %zu bytes is larger than what %s", size,
                             room == STORE_ROOM_FULL ? "is free on the disk" : "the journal takes");
    wait_refuse(channel, ++channel->publish_number);
    return HANDLED;
}

enum handled handle_basic_content(struct channel *channel, struct error *error)
{
    struct content *content = &channel->content;
    struct exchange *exchange = need_exchange(channel, content->message, error);
    if (!exchange)
        return HANDLED_FAILED;
    if (!content->is_plain && !check_properties(channel, error))
        return HANDLED_FAILED;
    enum store_room room = channel->transaction ? STORE_ROOM_NOW
                                                : publishing_room(channel, content->message, 1);
    if (room == STORE_ROOM_LATER)
        alarm_publisher(channel->connection); /* to be told, if this is for want of room on the disk */
    if (room != STORE_ROOM_NOW)
        return room == STORE_ROOM_LATER ? HANDLED_WAIT : refuse(channel, room, error);
    bool mandatory = content->mandatory, done = true;
    struct message *message = content_take(content);
    uint64_t bytes = message->body_size;
    if (channel->transaction) {
        done = transaction_add_message(channel, message, mandatory, error);
    } else {
        publishing_route(channel, exchange, message, mandatory);
        message_unref(channel_broker(channel)->pool, message);
    }
    alarm_published(channel->connection, bytes);
    return done ? HANDLED : HANDLED_FAILED;
}
