#include "api/clients.h"

#include "base/bytes.h"

enum { CLIENT_ID_BYTES = 10, LOOK_STEPS = 10 };

/* ---- ids ---- */

static size_t write_id(uint8_t *out, struct client_id id)
{
    for (int i = 0; i < 8; i++)
        out[i] = (uint8_t)(id.connection >> (56 - 8 * i));
    out[8] = (uint8_t)(id.channel >> 8);
    out[9] = (uint8_t)id.channel;
    return CLIENT_ID_BYTES;
}

struct client_id clients_id(struct bytes bytes, struct bytes *tag)
{
    struct client_id id = {0};
    for (int i = 0; i < 8; i++)
        id.connection = id.connection << 8 | bytes.data[i];
    id.channel = (uint16_t)(bytes.data[8] << 8 | bytes.data[9]);
    if (tag)
        *tag = bytes_of(bytes.data + CLIENT_ID_BYTES, bytes.size - CLIENT_ID_BYTES);
    return id;
}

/* ---- lists ---- */

bool clients_may_see(const struct call *call, const struct user *owner)
{
    return call->tags & (TAG_ADMINISTRATOR | TAG_MONITORING) || owner == call->user;
}

static void add(void *context, struct client_id id, struct bytes tag)
{
    struct listing *listing = context;
    struct connection_view view;
    uint8_t bytes[CLIENT_ID_BYTES + 256];
    size_t size = write_id(bytes, id);
    if (!server_connection(listing->call->api->server, id.connection, &view) ||
        !clients_may_see(listing->call, view.user) ||
        (listing->only && view.vhost != listing->only) ||
        (listing->of.data && !bytes_equal(listing->of, user_name(view.user))))
        return;
    if (tag.size)
        memcpy(bytes + size, tag.data, tag.size);
    listing_add(listing, bytes_of(bytes, size + tag.size));
}

bool clients_collect(struct listing *listing, struct budget *budget)
{
    budget_use(budget, LOOK_STEPS);
    return server_walk(listing->call->api->server, &listing->walk, add, listing);
}

struct bytes clients_name(struct listing *listing, struct bytes id)
{
    struct connection_view view;
    char name[CLIENT_NAME_SIZE];
    struct client_id client = clients_id(id, NULL);
    listing->scratch.size = 0;
    if (server_connection(listing->call->api->server, client.connection, &view))
        buffer_add(&listing->scratch, name, client_name(view.peer, client.channel, name));
    return buffer_bytes(&listing->scratch);
}

struct listing *clients_list(struct call *call, const struct listing_kind *kind,
                             enum walk_depth depth, struct vhost *only)
{
    struct listing *listing = call_list(call, kind, only);
    listing->walk.depth = depth;
    return listing;
}

/* ---- one of them ---- */

bool clients_connection(struct call *call, struct connection_view *view)
{
    if (!server_connection_named(call->api->server, call->segments[0], view))
        call_not_found(call);
    else if (!clients_may_see(call, view->user))
        call_not_allowed(call, "User not authorised to access object");
    return call->status == 0;
}

/* ---- what they look like ---- */

void clients_add_name(struct fields *fields, const char *name, const struct peer *peer,
                      uint16_t channel)
{
    char text[CLIENT_NAME_SIZE];
    fields_text(fields, name, bytes_of(text, client_name(peer, channel, text)));
}

void clients_add_peer(struct fields *fields, const struct connection_view *view)
{
    fields_text(fields, "peer_host", client_host(view->peer->name));
    fields_whole(fields, "peer_port", client_port(view->peer->name));
}

void clients_add_channel(struct fields *fields, const struct call *call,
                         const struct connection_view *view, uint16_t number)
{
    if (!fields_open(fields, "channel_details", '{'))
        return;
    clients_add_name(fields, "connection_name", view->peer, 0);
    clients_add_name(fields, "name", view->peer, number);
    fields_string(fields, "node", call->api->options.node);
    fields_whole(fields, "number", number);
    clients_add_peer(fields, view);
    fields_text(fields, "user", user_name(view->user));
    fields_close(fields, '}');
}

static void add_queue(struct fields *fields, const struct queue *queue)
{
    if (!fields_open(fields, "queue", '{'))
        return;
    fields_text(fields, "name", queue_name(queue));
    fields_text(fields, "vhost", vhost_name(queue->vhost));
    fields_close(fields, '}');
}

static const char *activity_of(const struct consumer_view *consumer)
{
    if (consumer->is_single)
        return "single_active";
    return consumer->is_active ? "up" : "waiting";
}

void clients_put_consumer(struct fields *fields, const struct call *call,
                          const struct consumer_view *consumer)
{
    struct connection_view connection;
    fields_begin(fields, '{');
    fields_table(fields, "arguments", consumer->arguments);
    fields_flag(fields, "ack_required", !consumer->no_ack);
    fields_flag(fields, "active", consumer->is_active);
    fields_string(fields, "activity_status", activity_of(consumer));
    if (server_connection(call->api->server, consumer->id.connection, &connection))
        clients_add_channel(fields, call, &connection, consumer->id.channel);
    fields_text(fields, "consumer_tag", consumer->tag);
    fields_whole(fields, "consumer_timeout", consumer->timeout_ms);
    fields_flag(fields, "exclusive", consumer->is_exclusive);
    fields_whole(fields, "messages_unacknowledged", consumer->unacked);
    fields_whole(fields, "prefetch_count", consumer->prefetch);
    add_queue(fields, consumer->queue);
    fields_end(fields, '}');
}

void clients_change_all(struct call *call, server_each *each, uint64_t steps)
{
    struct server_walk walk = {.depth = WALK_CONNECTIONS, .connections_at = call->at};
    do {
        call->has_more = server_walk(call->api->server, &walk, each, call);
        budget_use(call->budget, steps);
    } while (call->has_more && !budget_is_spent(call->budget));
    call->at = walk.connections_at;
    server_walk_free(&walk);
    if (!call->has_more)
        call_done(call, false);
}
