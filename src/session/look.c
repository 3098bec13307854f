#include "session/look.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/planted.h"
#include "session/channel.h"
#include "session/delivery_timeout.h"
#include "session/publishing.h"
#include "session/sasl.h"
#include "session/tap.h"
#include "session/transaction.h"

uint64_t server_now_ms(const struct server *server)
{
    return server->now_ms;
}

void server_go_on(struct server *server)
{
    server->has_work_left = true;
}

uint32_t server_auth_delay_ms(const struct server *server)
{
    return server->options.auth_delay_ms;
}

bool server_log_in(struct server *server, struct bytes name, struct bytes password,
                   const struct peer *peer, struct login **check, struct user **user, char *reason,
                   size_t reason_size)
{
    struct sasl_login login = {.name = name, .check = check};
    enum sasl_result result = sasl_check_password(server, peer, password, &login);
    *user = result == SASL_OK ? login.user : NULL;
    if (result != SASL_WAITS)
        login_count(&server->logins[LOGIN_HTTP], result == SASL_OK);
    snprintf(reason, reason_size, "%s", login.reason);
    return result != SASL_WAITS;
}

/* ---- numbers ---- */

struct login_counts server_logins(const struct server *server, enum login_way way)
{
    return server->logins[way];
}

struct unroutable_counts server_unroutable(const struct server *server)
{
    return server->unroutable;
}

const struct published_counts *server_published(const struct server *server)
{
    return &server->published;
}

const struct traffic *server_ended_traffic(const struct server *server)
{
    return &server->ended;
}

bool server_lets_in_from_afar(const struct server *server, struct bytes name)
{
    return sasl_lets_in_from_afar(&server->options, name);
}

void server_reset_logins(struct server *server)
{
    memset(server->logins, 0, sizeof(server->logins));
}

struct server_counts server_counts(const struct server *server)
{
    return (struct server_counts){server->open_connections, server->channels, server->consumers,
                                  server->connections_opened, server->channels_opened};
}

struct server_memory server_memory(const struct server *server)
{
    return (struct server_memory){.messages = message_pool_bytes(server->broker->pool),
                                  .outputs = server->outputs.bytes,
                                  .inputs = server->input_bytes,
                                  .held = server->held_bytes,
                                  .unacked = server->unacked_bytes,
                                  .limit = server->options.memory_bytes_max,
                                  .is_above = server->alarms & ALARM_MEMORY,
                                  .is_disk_short = server->alarms & ALARM_DISK};
}

uint32_t server_connections_max(const struct server *server)
{
    return server->options.connections_max;
}

/* ---- clients ---- */

size_t client_name(const struct peer *peer, uint16_t channel, char name[CLIENT_NAME_SIZE])
{
    int size = channel ? snprintf(name, CLIENT_NAME_SIZE, "%s -> %s (%u)", peer->name, peer->local,
                                  channel)
                       : snprintf(name, CLIENT_NAME_SIZE, "%s -> %s", peer->name, peer->local);
    return (size_t)size;
}

struct bytes client_host(const char *address)
{
    const char *colon = strrchr(address, ':');
    struct bytes host = bytes_of(address, colon ? (size_t)(colon - address) : strlen(address));
    bool has_brackets = colon && host.size >= 2 && address[0] == '[';
    return has_brackets ? bytes_of(host.data + 1, host.size - 2) : host;
}

uint16_t client_port(const char *address)
{
    const char *colon = strrchr(address, ':');
    return colon ? (uint16_t)strtoul(colon + 1, NULL, 10) : 0;
}

static const char *connection_state(const struct connection *connection)
{
    switch (connection->state) {
    case CONNECTION_CLOSING:
        return "closing";
    case CONNECTION_CLOSED:
        return "closed";
    default:
        break;
    }
    if (connection->holds & (HOLD_BLOCKED | HOLD_QUOTA))
        return "blocked";
    if (connection->server->alarms)
        return "blocking";
    return connection->holds & HOLD_CONGESTED ? "flow" : "running";
}

static bool view_connection(const struct connection *connection, struct connection_view *view)
{
    if (!connection)
        return false;
    const struct ending *ending = &connection->ending;
    *view = (struct connection_view){
        .id = connection->id,
        .peer = &connection->peer,
        .state = connection_state(connection),
        .mechanism = connection->mechanism,
        .vhost = connection->vhost,
        .user = connection->user,
        .client_properties = buffer_bytes(&connection->client_properties),
        .opened_clock_ms = connection->opened_clock_ms,
        .channels = connection->channels.count,
        .frame_max = connection->frame_max,
        .channel_max = connection->channel_max,
        .heartbeat_s = connection->heartbeat_s,
        .received_bytes = ending->received_bytes,
        .received_pieces = ending->received_pieces,
        .sent_bytes = ending->sent_bytes,
        .sent_pieces = ending->sent_pieces,
        .unsent_bytes = connection->output.size,
        .is_blocked = connection->holds & (HOLD_BLOCKED | HOLD_QUOTA),
        .conversation = &connection->conversation,
    };
    return true;
}

bool server_connection(const struct server *server, uint64_t id, struct connection_view *view)
{
    return view_connection(connection_numbered(server, id), view);
}

bool server_connection_named(const struct server *server, struct bytes name,
                             struct connection_view *view)
{
    return view_connection(connection_named(server, name), view);
}

static struct channel *find_channel(const struct server *server, struct client_id id)
{
    struct connection *connection = connection_numbered(server, id.connection);
    return connection && id.channel ? idmap_find(&connection->channels, id.channel) : NULL;
}

static uint64_t unconfirmed(const struct channel *channel)
{
    uint64_t count = 0;
    list_for_each(link, &channel->confirms_waiting)
    {
        const struct wait *wait = list_entry(link, struct wait, channel_link);
        count += wait->last - wait->first + 1;
    }
    return count;
}

bool server_channel(const struct server *server, struct client_id id, struct channel_view *view)
{
    const struct channel *channel = find_channel(server, id);
    if (!channel)
        return false;
    const struct transaction *tx = channel->transaction;
    *view = (struct channel_view){
        .number = channel->number,
        .state = channel->state == CHANNEL_OPEN ? "running" : "closing",
        .confirms = channel->confirms,
        .is_transactional = tx != NULL,
        .prefetch = channel->prefetch,
        .prefetch_global = channel->prefetch_global,
        .consumers = map_count(&channel->tags),
        .unacked = channel->unacked.total,
        .unconfirmed = unconfirmed(channel),
        .uncommitted = tx ? transaction_messages(tx) : 0,
        .acks_uncommitted = tx ? transaction_deliveries(tx) : 0,
    };
    memcpy(view->tally, channel->tally, sizeof(view->tally));
    view->tally[TALLY_DELIVERED_NO_ACK] = channel_deliveries_no_ack(channel);
    return true;
}

static enum consumer_obstacle obstacle_of(const struct consumer *consumer)
{
    const struct queue_consumer *base = &consumer->base;
    const struct channel *channel = consumer->channel;
    if (base->queue->settings->single_active_consumer && !base->is_single)
        return CONSUMER_IS_SECOND;
    if (base->prefetch && base->unacked >= base->prefetch)
        return CONSUMER_PREFETCH;
    if (!list_is_empty(&channel->waiting_replies))
        return CONSUMER_HELD;
    if (!channel_can_deliver(channel))
        return CONSUMER_CHANNEL_PREFETCH;
    return connection_can_deliver(channel->connection) ? CONSUMER_CAN_TAKE : CONSUMER_UNREAD;
}

struct consumer_view consumer_view(const struct queue_consumer *base)
{
    const struct consumer *consumer = list_entry(base, struct consumer, base);
    const struct channel *channel = consumer->channel;
    uint64_t timeout = delivery_timeout_ms(consumer);
    return (struct consumer_view){
        .id = {channel->connection->id, channel->number},
        .tag = consumer_tag(consumer),
        .arguments = consumer_arguments(consumer),
        .queue = base->queue,
        .prefetch = base->prefetch,
        .unacked = base->unacked,
        .priority = base->priority,
        .timeout_ms = timeout == UINT64_MAX ? 0 : timeout,
        .no_ack = base->no_ack,
        .is_exclusive = base->exclusive,
        .is_active = !base->queue->settings->single_active_consumer || base->is_single,
        .is_single = base->is_single,
        .obstacle = obstacle_of(consumer),
    };
}

bool server_consumer(const struct server *server, struct client_id id, struct bytes tag,
                     struct consumer_view *view)
{
    const struct channel *channel = find_channel(server, id);
    const struct consumer *consumer = channel ? map_find(&channel->tags, tag) : NULL;
    if (!consumer || !consumer->base.queue)
        return false;
    *view = consumer_view(&consumer->base);
    return true;
}

struct bytes server_consumer_tag(const struct queue_consumer *consumer)
{
    return consumer_tag(list_entry(consumer, struct consumer, base));
}

/* ---- all of them, some at a time ---- */

struct telling {
    struct server_walk *walk;
    server_each *each;
    void *context;
    struct client_id id; /* of what is looked into */
};

static void push(struct buffer *ids, struct client_id id)
{
    buffer_add(ids, &id, sizeof(id));
}

/* The last one; false: there is none. */
static bool last_of(const struct buffer *ids, struct client_id *id)
{
    if (ids->size == 0)
        return false;
    memcpy(id, ids->data + ids->size - sizeof(*id), sizeof(*id));
    return true;
}

static void meet_connection(void *context, void *value)
{
    const struct telling *telling = context;
    const struct connection *connection = value;
    struct client_id id = {.connection = connection->id};
    if (telling->walk->depth == WALK_CONNECTIONS)
        telling->each(telling->context, id, bytes_of(NULL, 0));
    else if (connection->channels.count)
        push(&telling->walk->connections, id);
}

static void meet_channel(void *context, void *value)
{
    const struct telling *telling = context;
    const struct channel *channel = value;
    struct client_id id = {.connection = telling->id.connection, .channel = channel->number};
    if (channel->number == 0 || channel->is_gone)
        return;
    if (telling->walk->depth == WALK_CHANNELS)
        telling->each(telling->context, id, bytes_of(NULL, 0));
    else if (map_count(&channel->tags))
        push(&telling->walk->channels, id);
}

static void meet_consumer(void *context, void *value)
{
    const struct telling *telling = context;
    const struct consumer *consumer = value;
    if (consumer->base.queue)
        telling->each(telling->context, telling->id, consumer_tag(consumer));
}

/* The last of `ids`, in which *at is where to go on, was looked into; was that all of it? */
static void done_with_part(bool has_more, struct buffer *ids, uint64_t *at)
{
    if (has_more)
        return;
    ids->size -= sizeof(struct client_id);
    *at = 0;
}

static void walk_consumers(const struct server *server, struct telling *telling)
{
    struct server_walk *walk = telling->walk;
    const struct channel *channel = find_channel(server, telling->id);
    bool has_more = channel && map_each_of_part(&channel->tags, &walk->consumers_at, meet_consumer,
                                                telling);
    done_with_part(has_more, &walk->channels, &walk->consumers_at);
}

static void walk_channels(const struct server *server, struct telling *telling)
{
    struct server_walk *walk = telling->walk;
    const struct connection *connection = connection_numbered(server, telling->id.connection);
    bool has_more = connection && idmap_each_of_part(&connection->channels, &walk->channels_at,
                                                     meet_channel, telling);
    done_with_part(has_more, &walk->connections, &walk->channels_at);
}

bool server_walk(const struct server *server, struct server_walk *walk, server_each *each,
                 void *context)
{
    struct telling telling = {.walk = walk, .each = each, .context = context};
    if (last_of(&walk->channels, &telling.id))
        walk_consumers(server, &telling);
    else if (last_of(&walk->connections, &telling.id))
        walk_channels(server, &telling);
    else if (!walk->is_over)
        walk->is_over = !idmap_each_of_part(&server->opened, &walk->connections_at,
                                            meet_connection, &telling);
    return !walk->is_over || walk->connections.size || walk->channels.size;
}

void server_walk_into(struct server_walk *walk, struct client_id id)
{
    walk->is_over = true;
    push(id.channel ? &walk->channels : &walk->connections, id);
}

void server_walk_free(struct server_walk *walk)
{
    buffer_free(&walk->connections);
    buffer_free(&walk->channels);
}

/* ---- and what may be done to them ---- */

bool server_may_publish(const struct server *server, const struct user *user, struct vhost *vhost,
                        struct message *message, struct error *error)
{
    if (message->body_size <= server->options.message_bytes_max)
        return publishing_check(user, vhost, message, error) != NULL;
    return error_set(error, REPLY_PRECONDITION_FAILED,
                     "message size %u is larger than configured max size %llu", message->body_size,
                     (unsigned long long)server->options.message_bytes_max);
}

struct publication server_publish(struct server *server, const struct tapper *tapper,
                                  struct vhost *vhost, struct message *message)
{
    struct exchange *exchange = vhost_exchange(vhost, message_exchange(message));
    publishing_note(server, exchange, message->body_size);
    struct published published = vhost->is_traced
                                     ? tap_publish_by(server, tapper, exchange, message)
                                     : publishing_deliver(server, exchange, message);
    publishing_note_queues(server, exchange, published.queues);
    return (struct publication){published.queues, published.logs != 0, published.is_refused};
}

void server_got(const struct tapper *tapper, const struct queue *queue, const struct taken *taken)
{
    tap_got_by(tapper, queue, taken);
}

void server_close_connection(struct server *server, uint64_t id, const char *reason)
{
    struct connection *connection = connection_numbered(server, id);
    if (!connection || planted(PLANTED_CLOSE_OMITTED))
        return;
    connection_fail(connection, REPLY_CONNECTION_FORCED, 0, reason);
    server->has_work_left = true;
}
