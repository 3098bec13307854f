/* From a channel to who is told of its messages. */
#include "session/tap.h"

#include "broker/firehose.h"
#include "session/channel.h"
#include "session/publishing.h"

static struct tap tap_of(const struct channel *channel, const struct parcel *parcel, char *name)
{
    const struct connection *connection = channel->connection;
    return (struct tap){
        .vhost = connection->vhost,
        .connection = connection_name(connection, name),
        .channel = channel->number,
        .user = user_name(connection->user),
        .exchange = parcel->exchange,
        .routing_key = parcel->routing_key,
        .properties = parcel->properties,
        .body = parcel->body,
    };
}

struct published tap_publish(const struct channel *channel, struct exchange *exchange,
                             struct message *message)
{
    char name[CONNECTION_NAME_SIZE];
    struct server *server = channel_server(channel);
    struct queue_set *set = &server->queue_set;
    struct parcel parcel = parcel_of(message);
    struct tap tap = tap_of(channel, &parcel, name);
    firehose_watch(set);
    struct published published = publishing_send(server, exchange, message);
    firehose_published(&tap, set);
    return published;
}

void tap_delivery(const struct channel *channel, const struct queue *queue,
                  const struct parcel *parcel, bool redelivered)
{
    char name[CONNECTION_NAME_SIZE];
    if (!queue || !queue->vhost->is_traced)
        return;
    struct tap tap = tap_of(channel, parcel, name);
    firehose_delivered(&tap, queue_name(queue), redelivered);
}

void tap_got(const struct channel *channel, const struct queue *queue, const struct taken *taken)
{
    struct parcel parcel = parcel_of(taken->message);
    tap_delivery(channel, queue, &parcel, taken->redelivered);
}
