/* From a channel to who is told of its messages. */
#include "session/tap.h"

#include "broker/firehose.h"
#include "session/channel.h"
#include "session/publishing.h"

static struct tap tap_of_parcel(const struct parcel *parcel)
{
    return (struct tap){
        .exchange = parcel->exchange,
        .routing_key = parcel->routing_key,
        .properties = parcel->properties,
        .body = parcel->body,
    };
}

static struct tap tap_of(const struct channel *channel, const struct parcel *parcel, char *name)
{
    const struct connection *connection = channel->connection;
    struct tap tap = tap_of_parcel(parcel);
    tap.vhost = connection->vhost;
    tap.connection = connection_name(connection, name);
    tap.channel = channel->number;
    tap.user = user_name(connection->user);
    return tap;
}

/* By who speaks no AMQP, and has no channel. */
static struct tap tap_by(const struct tapper *tapper, struct vhost *vhost,
                         const struct parcel *parcel, char *name)
{
    struct tap tap = tap_of_parcel(parcel);
    client_name(tapper->peer, 0, name);
    tap.vhost = vhost;
    tap.connection = name;
    tap.user = tapper->user ? user_name(tapper->user) : bytes_str("leveret");
    return tap;
}

static struct published publish_watched(struct server *server, const struct tap *tap,
                                        struct exchange *exchange, struct message *message)
{
    struct queue_set *set = &server->queue_set;
    firehose_watch(set);
    struct published published = publishing_send(server, exchange, message);
    firehose_published(tap, set);
    return published;
}

struct published tap_publish(const struct channel *channel, struct exchange *exchange,
                             struct message *message)
{
    char name[CONNECTION_NAME_SIZE];
    struct parcel parcel = parcel_of(message);
    struct tap tap = tap_of(channel, &parcel, name);
    return publish_watched(channel_server(channel), &tap, exchange, message);
}

struct published tap_publish_by(struct server *server, const struct tapper *tapper,
                                struct exchange *exchange, struct message *message)
{
    char name[CLIENT_NAME_SIZE];
    struct parcel parcel = parcel_of(message);
    struct tap tap = tap_by(tapper, exchange->vhost, &parcel, name);
    return publish_watched(server, &tap, exchange, message);
}

void tap_got_by(const struct tapper *tapper, const struct queue *queue, const struct taken *taken)
{
    char name[CLIENT_NAME_SIZE];
    struct parcel parcel = parcel_of(taken->message);
    if (!queue->vhost->is_traced)
        return;
    struct tap tap = tap_by(tapper, queue->vhost, &parcel, name);
    firehose_delivered(&tap, queue_name(queue), taken->redelivered);
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
