/* Connections: looked at, and closed. */
#include <stdio.h>

#include "amqp/table.h"
#include "api/clients.h"
#include "api/rates.h"
#include "api/resources.h"

/* To write one; to close one; to look at a part of all. */
enum { CONNECTION_STEPS = 400, CLOSE_STEPS = 1000, LOOK_STEPS = 1000 };
enum { DISTINGUISHED_NAME_BYTES = 4096 };

/* ---- what one looks like ---- */

/* What the handshake has come to; the certificate is the client's, if it has shown one. */
static void add_tls(struct fields *fields, const struct connection_view *view)
{
    static const char *const names[] = {
        [PEER_CERT_ISSUER] = "peer_cert_issuer",     [PEER_CERT_SUBJECT] = "peer_cert_subject",
        [PEER_CERT_VALIDITY] = "peer_cert_validity", [PEER_TLS_CIPHER] = "ssl_cipher",
        [PEER_TLS_HASH] = "ssl_hash",                [PEER_TLS_KEY_EXCHANGE] = "ssl_key_exchange",
        [PEER_TLS_PROTOCOL] = "ssl_protocol"};
    char text[DISTINGUISHED_NAME_BYTES];
    fields_flag(fields, "ssl", view->peer->is_tls);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (view->peer->is_tls &&
            conversation_peer_tls(view->conversation, (enum peer_tls)i, text, sizeof(text)))
            fields_string(fields, names[i], text);
        else
            fields_null(fields, names[i]);
    }
}

static void add_traffic(struct fields *fields, const struct call *call,
                        const struct connection_view *view)
{
    const struct history *history = rates_of(call->api->rates, RATED_CONNECTION, view->id);
    fields_whole(fields, "recv_cnt", view->received_pieces);
    rates_add(fields, call, RANGE_DATA, history, 1u << RATE_RECEIVED, "recv_oct",
              view->received_bytes);
    fields_whole(fields, "send_cnt", view->sent_pieces);
    rates_add(fields, call, RANGE_DATA, history, 1u << RATE_SENT, "send_oct", view->sent_bytes);
    fields_whole(fields, "send_pend", view->unsent_bytes);
}

static void add_client(struct fields *fields, const struct connection_view *view)
{
    struct bytes name;
    fields_table(fields, "client_properties", view->client_properties);
    if (table_find_string(view->client_properties, "connection_name", &name))
        fields_text(fields, "user_provided_name", name);
}

static void add_user(struct fields *fields, const struct call *call,
                     const struct connection_view *view)
{
    clients_add_name(fields, "name", view->peer, 0);
    fields_string(fields, "node", call->api->options.node);
    fields_text(fields, "user", user_name(view->user));
    fields_text(fields, "vhost", vhost_name(view->vhost));
}

static void write_connection(struct fields *fields, const struct call *call,
                             const struct connection_view *view)
{
    add_user(fields, call, view);
    fields_text(fields, "user_who_performed_action", user_name(view->user));
    fields_string(fields, "state", view->state);
    fields_string(fields, "type", "network");
    fields_string(fields, "protocol", "AMQP 0-9-1");
    fields_string(fields, "auth_mechanism", view->mechanism);
    fields_whole(fields, "channels", view->channels);
    fields_whole(fields, "channel_max", view->channel_max);
    fields_whole(fields, "frame_max", view->frame_max);
    fields_whole(fields, "timeout", view->heartbeat_s);
    fields_whole(fields, "connected_at", view->opened_clock_ms);
    fields_text(fields, "host", client_host(view->peer->local));
    fields_whole(fields, "port", client_port(view->peer->local));
    clients_add_peer(fields, view);
    add_client(fields, view);
    add_tls(fields, view);
    add_traffic(fields, call, view);
}

/* ---- lists ---- */

static bool write_listed(struct listing *listing, struct bytes id, struct fields *fields)
{
    struct connection_view view;
    uint64_t number = clients_id(id, NULL).connection;
    if (!server_connection(listing->call->api->server, number, &view))
        return false;
    fields_begin(fields, '{');
    write_connection(fields, listing->call, &view);
    fields_end(fields, '}');
    return true;
}

static const struct listing_kind connections_kind = {.collect = clients_collect,
                                                     .write = write_listed,
                                                     .name = clients_name,
                                                     .has_pages = true,
                                                     .steps = CONNECTION_STEPS};

void connections_list(struct call *call)
{
    clients_list(call, &connections_kind, WALK_CONNECTIONS, NULL);
}

void vhost_connections_list(struct call *call)
{
    struct vhost *vhost = call_vhost(call, true);
    if (vhost)
        clients_list(call, &connections_kind, WALK_CONNECTIONS, vhost);
}

/* ---- one of them ---- */

void connection_get(struct call *call)
{
    struct connection_view view;
    if (!clients_connection(call, &view))
        return;
    struct fields fields = call_tell(call);
    write_connection(&fields, call, &view);
    call_told(call, &fields);
}

/* What the client is told, which may be said by the operator. */
static void close_it(struct call *call, uint64_t id)
{
    char reason[200] = "Closed via management plugin";
    struct bytes field = http_field_of(call->request, "x-reason");
    if (field.size)
        snprintf(reason, sizeof(reason), "%.*s", BYTES_ARG(field));
    server_close_connection(call->api->server, id, reason);
}

void connection_delete(struct call *call)
{
    struct connection_view view;
    if (!clients_connection(call, &view))
        return;
    close_it(call, view.id);
    call_done(call, false);
}

/* ---- those of a user ---- */

static bool write_of_user(struct listing *listing, struct bytes id, struct fields *fields)
{
    struct connection_view view;
    uint64_t number = clients_id(id, NULL).connection;
    if (!server_connection(listing->call->api->server, number, &view))
        return false;
    fields_begin(fields, '{');
    add_user(fields, listing->call, &view);
    fields_end(fields, '}');
    return true;
}

static const struct listing_kind users_kind = {
    .collect = clients_collect, .write = write_of_user, .name = clients_name, .steps = 150};

void user_connections_list(struct call *call)
{
    struct listing *listing = clients_list(call, &users_kind, WALK_CONNECTIONS, NULL);
    listing->of = call->segments[0];
}

static void close_of_user(void *context, struct client_id id, struct bytes tag)
{
    struct call *call = context;
    struct connection_view view;
    (void)tag;
    if (!server_connection(call->api->server, id.connection, &view) ||
        !clients_may_see(call, view.user) ||
        !bytes_equal(call->segments[0], user_name(view.user)))
        return;
    close_it(call, id.connection);
    budget_use(call->budget, CLOSE_STEPS);
}

/* A part of all connections is looked at in each turn. Those that are closed stay open, in their
 * state of closing, for as long as their clients take to say goodbye. */
void user_connections_delete(struct call *call)
{
    clients_change_all(call, close_of_user, LOOK_STEPS);
}
