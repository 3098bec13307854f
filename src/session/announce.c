/* Events of clients, with the headers of RabbitMQ's. Addresses are texts, and what is called a pid
 * is no more than something by which a beginning and an end are known to be of the same thing. */
#include "session/announce.h"

#include <stdio.h>

#include "broker/events.h"
#include "session/look.h"

enum { NAME_SIZE = CONNECTION_NAME_SIZE + sizeof(" (65535)") };

static bool begin(struct event_message *event, const struct connection *connection)
{
    return event_begin(event, connection->server->broker);
}

static void add_text(struct event_message *event, const char *name, const char *text)
{
    event_string(event, name, bytes_str(text ? text : ""));
}

static void add_name(struct event_message *event, const char *name,
                     const struct connection *connection)
{
    char text[CONNECTION_NAME_SIZE];
    add_text(event, name, connection_name(connection, text));
}

/* Of a connection, or of one of its channels. */
static void add_pid(struct event_message *event, const char *name,
                    const struct connection *connection, unsigned channel)
{
    char text[NAME_SIZE];
    snprintf(text, sizeof(text), "<leveret.%llu.%u>", (unsigned long long)connection->id, channel);
    add_text(event, name, text);
}

static void add_names(struct event_message *event, struct bytes vhost, struct bytes user)
{
    event_string(event, "vhost", vhost);
    event_string(event, "user", user);
}

static void add_peer(struct event_message *event, const struct connection *connection)
{
    event_bool(event, "ssl", connection->peer.is_tls);
    event_string(event, "peer_host", client_host(connection->peer.name));
    event_string(event, "host", client_host(connection->peer.local));
    event_number(event, "peer_port", client_port(connection->peer.name));
}

void announce_login(const struct connection *connection, struct bytes user, const char *reason)
{
    struct event_message event;
    if (!begin(&event, connection))
        return;
    if (reason)
        add_text(&event, "error", reason);
    add_text(&event, "auth_mechanism", connection->mechanism);
    add_text(&event, "protocol", "{0,9,1}");
    add_peer(&event, connection);
    add_name(&event, "connection_name", connection);
    event_string(&event, "name", user);
    add_text(&event, "connection_type", "network");
    event_send(&event, reason ? "user.authentication.failure" : "user.authentication.success");
}

void announce_opened(const struct connection *connection)
{
    struct event_message event;
    if (!begin(&event, connection))
        return;
    add_text(&event, "node", "leveret");
    event_number(&event, "connected_at", (int64_t)connection->server->broker->clock_ms);
    event_number(&event, "channel_max", connection->channel_max);
    event_number(&event, "frame_max", connection->frame_max);
    add_names(&event, vhost_name(connection->vhost), user_name(connection->user));
    add_text(&event, "protocol", "{0,9,1}");
    add_text(&event, "auth_mechanism", connection->mechanism);
    add_peer(&event, connection);
    event_number(&event, "port", client_port(connection->peer.local));
    add_name(&event, "name", connection);
    add_pid(&event, "pid", connection, 0);
    add_text(&event, "type", "network");
    event_send(&event, "connection.created");
}

void announce_closed(const struct connection *connection)
{
    struct event_message event;
    if (!connection->vhost || !begin(&event, connection))
        return;
    add_text(&event, "node", "leveret");
    add_pid(&event, "pid", connection, 0);
    add_name(&event, "name", connection);
    event_send(&event, "connection.closed");
}

static void add_channel(struct event_message *event, const struct channel *channel)
{
    char name[NAME_SIZE], its[CONNECTION_NAME_SIZE];
    const struct connection *connection = channel->connection;
    add_names(event, vhost_name(connection->vhost), user_name(connection->user));
    event_number(event, "number", channel->number);
    add_pid(event, "connection", connection, 0);
    snprintf(name, sizeof(name), "%s (%u)", connection_name(connection, its), channel->number);
    add_text(event, "name", name);
}

void announce_channel(const struct channel *channel, bool is_new)
{
    struct event_message event;
    if (!channel->number || !begin(&event, channel->connection))
        return;
    if (is_new)
        add_channel(&event, channel);
    add_pid(&event, "pid", channel->connection, channel->number);
    event_send(&event, is_new ? "channel.created" : "channel.closed");
}

void announce_consumer(const struct consumer *consumer, bool is_new)
{
    struct event_message event;
    const struct queue *queue = consumer->base.queue;
    if (!begin(&event, consumer->channel->connection))
        return;
    if (is_new)
        event_number(&event, "prefetch_count", consumer->base.prefetch);
    event_string(&event, "queue", queue ? queue_name(queue) : bytes_str(""));
    event_string(&event, "vhost", vhost_name(consumer->channel->connection->vhost));
    add_pid(&event, "channel", consumer->channel->connection, consumer->channel->number);
    if (is_new) {
        event_bool(&event, "ack_required", !consumer->base.no_ack);
        event_bool(&event, "exclusive", consumer->base.exclusive);
    }
    event_string(&event, "consumer_tag", consumer_tag(consumer));
    event_send(&event, is_new ? "consumer.created" : "consumer.deleted");
}
