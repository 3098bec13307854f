/* Channels, looked at. */
#include "api/clients.h"
#include "api/rates.h"
#include "api/resources.h"

enum { CHANNEL_STEPS = 250 };

/* ---- what one looks like ---- */

static void add_connection(struct fields *fields, const struct connection_view *view)
{
    if (!fields_open(fields, "connection_details", '{'))
        return;
    clients_add_name(fields, "name", view->peer, 0);
    clients_add_peer(fields, view);
    fields_close(fields, '}');
}

static void write_channel(struct fields *fields, const struct call *call,
                          const struct connection_view *connection,
                          const struct channel_view *channel)
{
    clients_add_name(fields, "name", connection->peer, channel->number);
    fields_whole(fields, "number", channel->number);
    fields_string(fields, "node", call->api->options.node);
    fields_text(fields, "user", user_name(connection->user));
    fields_text(fields, "user_who_performed_action", user_name(connection->user));
    fields_text(fields, "vhost", vhost_name(connection->vhost));
    fields_string(fields, "state", channel->state);
    fields_flag(fields, "confirm", channel->confirms);
    fields_flag(fields, "transactional", channel->is_transactional);
    fields_whole(fields, "prefetch_count", channel->prefetch);
    fields_whole(fields, "global_prefetch_count", channel->prefetch_global);
    fields_whole(fields, "consumer_count", channel->consumers);
    fields_whole(fields, "messages_unacknowledged", channel->unacked);
    fields_whole(fields, "messages_unconfirmed", channel->unconfirmed);
    fields_whole(fields, "messages_uncommitted", channel->uncommitted);
    fields_whole(fields, "acks_uncommitted", channel->acks_uncommitted);
    fields_whole(fields, "pending_raft_commands", 0);
    rates_add_messages(fields, call,
                       rates_of(call->api->rates, RATED_CHANNEL,
                                rates_channel(connection->id, channel->number)),
                       channel->tally, TALLIES);
    add_connection(fields, connection);
}

struct telling {
    const struct call *call;
    struct fields *fields;
    size_t left;
};

static void put_consumer(void *context, struct client_id id, struct bytes tag)
{
    struct telling *telling = context;
    struct consumer_view consumer;
    if (!telling->left || !server_consumer(telling->call->api->server, id, tag, &consumer))
        return;
    telling->left--;
    clients_put_consumer(telling->fields, telling->call, &consumer);
}

static void add_consumers(struct fields *fields, const struct call *call, struct client_id id)
{
    struct telling telling = {call, fields, CLIENTS_DETAILS_MAX};
    struct server_walk walk = {.depth = WALK_CONSUMERS};
    if (!fields_open(fields, "consumer_details", '['))
        return;
    server_walk_into(&walk, id);
    while (telling.left && server_walk(call->api->server, &walk, put_consumer, &telling))
        ;
    server_walk_free(&walk);
    fields_close(fields, ']');
}

/* ---- lists ---- */

static bool write_listed(struct listing *listing, struct bytes bytes, struct fields *fields)
{
    const struct server *server = listing->call->api->server;
    struct client_id id = clients_id(bytes, NULL);
    struct connection_view connection;
    struct channel_view channel;
    if (!server_connection(server, id.connection, &connection) ||
        !server_channel(server, id, &channel))
        return false;
    fields_begin(fields, '{');
    write_channel(fields, listing->call, &connection, &channel);
    fields_end(fields, '}');
    return true;
}

static const struct listing_kind channels_kind = {.collect = clients_collect,
                                                  .write = write_listed,
                                                  .name = clients_name,
                                                  .has_pages = true,
                                                  .steps = CHANNEL_STEPS};
/* All channels of a connection are told at once. */
static const struct listing_kind few_kind = {.collect = clients_collect,
                                             .write = write_listed,
                                             .name = clients_name,
                                             .steps = CHANNEL_STEPS};

void channels_list(struct call *call)
{
    clients_list(call, &channels_kind, WALK_CHANNELS, NULL);
}

void vhost_channels_list(struct call *call)
{
    struct vhost *vhost = call_vhost(call, true);
    if (vhost)
        clients_list(call, &channels_kind, WALK_CHANNELS, vhost);
}

void connection_channels_list(struct call *call)
{
    struct connection_view view;
    if (!clients_connection(call, &view))
        return;
    struct listing *listing = clients_list(call, &few_kind, WALK_CHANNELS, NULL);
    struct client_id id = {.connection = view.id};
    server_walk_into(&listing->walk, id);
}

/* ---- one of them ---- */

/* "127.0.0.1:40112 -> 127.0.0.1:5672 (1)": the connection, and the number. False: it is no name of
 * a channel. */
static bool read_name(struct bytes name, struct bytes *connection, uint16_t *number)
{
    size_t at = name.size, digits = 0;
    uint32_t value = 0, unit = 1;
    if (at < 4 || name.data[--at] != ')')
        return false;
    for (; at > 0 && name.data[at - 1] >= '0' && name.data[at - 1] <= '9'; at--, unit *= 10) {
        if (++digits > 5)
            return false;
        value += (uint32_t)(name.data[at - 1] - '0') * unit;
    }
    if (!digits || value > UINT16_MAX || at < 2 || name.data[at - 1] != '(' ||
        name.data[at - 2] != ' ')
        return false;
    *number = (uint16_t)value;
    *connection = bytes_of(name.data, at - 2);
    return true;
}

void channel_get(struct call *call)
{
    struct bytes name;
    struct connection_view connection;
    struct channel_view channel;
    struct client_id id;
    if (!read_name(call->segments[0], &name, &id.channel)) {
        call_not_found(call);
        return;
    }
    call->segments[0] = name;
    if (!clients_connection(call, &connection))
        return;
    id.connection = connection.id;
    if (!server_channel(call->api->server, id, &channel)) {
        call_not_found(call);
        return;
    }
    struct fields fields = call_tell(call);
    write_channel(&fields, call, &connection, &channel);
    add_consumers(&fields, call, id);
    fields_nothing(&fields, "publishes");
    fields_nothing(&fields, "deliveries");
    call_told(call, &fields);
}
