/* Class connection (AMQP 0-9-1, 1.4), all on channel 0. */
#include <stdio.h>

#include "amqp/table.h"
#include "broker/parameter.h"
#include "broker/permission.h"
#include "session/announce.h"
#include "session/connection_timer.h"
#include "session/dispatch.h"
#include "session/handlers.h"
#include "session/negotiate.h"
#include "session/sasl.h"

/* ---- start ---- */

static void add_capabilities(struct table_writer *writer)
{
    static const char *const names[] = {
        "publisher_confirms", "exchange_exchange_bindings",   "basic.nack",
        "consumer_cancel_notify", "connection.blocked",       "consumer_priorities",
        "authentication_failure_close", "per_consumer_qos",   "direct_reply_to",
    };
    table_begin_table(writer, bytes_str("capabilities"));
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        table_add_bool(writer, bytes_str(names[i]), true);
    table_end(writer);
}

static void add_text(struct table_writer *writer, const char *name, const char *text)
{
    table_add_string(writer, bytes_str(name), bytes_str(text));
}

/* Clients decide by product and version what they may ask for (kombu whether qos has RabbitMQ's
 * meaning, NServiceBus whether it works at all), so that these say what the broker behaves like.
 * What it is stands beside them. */
static void add_properties(struct table_writer *writer, const struct server *server)
{
    char platform[64];
    const struct server_options *options = &server->options;
    snprintf(platform, sizeof(platform), "Leveret %s", options->version);
    add_capabilities(writer);
    table_add_string(writer, bytes_str("cluster_name"),
                     parameter_cluster_name(server->broker, options->cluster_name));
    add_text(writer, "copyright", "The Leveret authors");
    add_text(writer, "information", "Licensed under the Apache License 2.0");
    add_text(writer, "leveret_version", options->version);
    add_text(writer, "platform", platform);
    add_text(writer, "product", options->product);
    add_text(writer, "version", options->product_version);
}

void negotiate_start(struct connection *connection)
{
    struct buffer properties = {0};
    struct table_writer writer;
    char mechanisms[SASL_MECHANISMS_BYTES];
    table_writer_init(&writer, &properties);
    add_properties(&writer, connection->server);
    union method start = {
        .connection_start = {.id = METHOD_CONNECTION_START,
                             .version_major = 0,
                             .version_minor = 9,
                             .server_properties = buffer_bytes(&properties),
                             .mechanisms = bytes_str(sasl_mechanisms(connection, mechanisms)),
                             .locales = bytes_str("en_US")}};
    connection_send(connection, &start);
    buffer_free(&properties);
}

static bool has_capability(struct bytes capabilities, const char *name)
{
    bool value;
    return table_find_bool(capabilities, name, &value) && value;
}

static void read_capabilities(struct connection *connection, struct bytes properties)
{
    struct bytes capabilities;
    if (!table_find_table(properties, "capabilities", &capabilities))
        return;
    connection->can_cancel_notify = has_capability(capabilities, "consumer_cancel_notify");
    connection->can_be_blocked = has_capability(capabilities, "connection.blocked");
    connection->can_hear_refusal = has_capability(capabilities, "authentication_failure_close");
}

/* A client that understands it is told at once; another sees its socket closed. Either way the socket
 * is kept and not listened to for a while, so that guessing passwords takes sockets as well as time. */
static void refuse(struct connection *connection, enum sasl_result result)
{
    char detail[160];
    if (result == SASL_REFUSED && connection->can_hear_refusal) {
        snprintf(detail, sizeof(detail),
                 "Login was refused using authentication mechanism %s. For details see the broker "
                 "logfile.",
                 connection->mechanism);
        connection_fail(connection, REPLY_ACCESS_REFUSED, 0, detail);
    } else {
        connection->state = CONNECTION_REFUSING;
        connection_touch(connection);
    }
    connection_deadline(connection, connection->server->options.auth_delay_ms);
}

static enum handled handle_start_ok(struct connection *connection,
                                    const struct method_connection_start_ok *method)
{
    const struct server_options *options = &connection->server->options;
    struct sasl_login login = {0};
    read_capabilities(connection, method->client_properties);
    enum sasl_result result = sasl_login(connection, method->mechanism, method->response, &login);
    if (result == SASL_WAITS)
        return HANDLED_WAIT;
    connection->mechanism = login.mechanism;
    login_count(&connection->server->logins[LOGIN_AMQP], result == SASL_OK);
    if (result != SASL_OK) {
        log_event(connection->server->broker->log, EVENT_login_refused,
                  "connection=%llu peer=%s user=%.*s mechanism=%.*s reason=%s",
                  (unsigned long long)connection->id, connection->peer.name, BYTES_ARG(login.name),
                  BYTES_ARG(method->mechanism), login.reason);
        ending_set(connection, ENDING_LOGGED, "login refused");
        announce_login(connection, login.name, login.reason);
        refuse(connection, result);
        return HANDLED;
    }
    connection->user = login.user;
    user_hold(connection->user);
    if (method->client_properties.size)
        buffer_add(&connection->client_properties, method->client_properties.data,
                   method->client_properties.size);
    announce_login(connection, user_name(connection->user), NULL);
    connection->state = CONNECTION_TUNING;
    union method tune = {.connection_tune = {.id = METHOD_CONNECTION_TUNE,
                                             .channel_max = options->channel_max,
                                             .frame_max = options->frame_max,
                                             .heartbeat = options->heartbeat_s}};
    connection_send(connection, &tune);
    return HANDLED;
}

/* ---- tune ---- */

static bool check_negotiated(const char *name, uint32_t value, uint32_t min, uint32_t max,
                             struct error *error)
{
    if (value && value < min)
        return error_set(error, REPLY_NOT_ALLOWED,
                         "negotiated %s = %u is lower than the minimum allowed value (%u)", name,
                         value, min);
    if (value == 0 || value > max)
        return error_set(error, REPLY_NOT_ALLOWED,
                         "negotiated %s = %u%s is higher than the maximum allowed value (%u)", name,
                         value, value ? "" : " (no limit)", max);
    return true;
}

static enum handled handle_tune_ok(struct connection *connection,
                                   const struct method_connection_tune_ok *method,
                                   struct error *error)
{
    const struct server_options *options = &connection->server->options;
    struct error refused;
    if (!check_negotiated("frame_max", method->frame_max, FRAME_MIN, options->frame_max,
                          &refused) ||
        !check_negotiated("channel_max", method->channel_max, 1, options->channel_max, &refused)) {
        /* RabbitMQ blames tune, which it sent itself. */
        connection_fail(connection, refused.code, METHOD_CONNECTION_TUNE, refused.detail);
        return HANDLED;
    }
    (void)error;
    connection->frame_max = method->frame_max;
    connection->channel_max = method->channel_max;
    connection->state = CONNECTION_OPENING;
    connection_heartbeats(connection, method->heartbeat);
    return HANDLED;
}

/* ---- open and close ---- */

/* The order is RabbitMQ's. */
static bool check_limits(const struct connection *connection, const struct vhost *vhost,
                         struct error *error)
{
    const struct server *server = connection->server;
    const struct user *user = connection->user;
    uint32_t most = server->options.connections_max;
    struct limit here = vhost->max_connections, own = user->max_connections;
    if (most && server->open_connections >= most)
        return error_set(error, REPLY_NOT_ALLOWED,
                         "connection refused: node connection limit (%u) is reached", most);
    if (here.is_set && vhost->connections >= here.most)
        return error_set(error, REPLY_NOT_ALLOWED,
                         "access to vhost '%s' refused for user '%s': connection limit (%u) is "
                         "reached",
                         vhost->name, user->name, here.most);
    if (own.is_set && user->connections >= own.most)
        return error_set(error, REPLY_NOT_ALLOWED,
                         "connection refused for user '%s': user connection limit (%u) is reached",
                         user->name, own.most);
    return true;
}

static enum handled handle_open(struct connection *connection,
                                const struct method_connection_open *method, struct error *error)
{
    struct server *server = connection->server;
    struct vhost *vhost = vhost_find(server->broker, method->virtual_host);
    if (!vhost)
        return handled_error(error, REPLY_NOT_ALLOWED, "vhost %.*s not found",
                             BYTES_ARG(method->virtual_host));
    if (!check_limits(connection, vhost, error) ||
        !permission_check_vhost(connection->user, vhost, error))
        return HANDLED_FAILED;
    connection->vhost = vhost;
    server->open_connections++;
    vhost->connections++;
    vhost->holders++;
    connection->user->connections++;
    connection_opened(connection);
    connection->state = CONNECTION_RUNNING;
    connection_deadline_met(connection);
    union method open_ok = {.id = METHOD_CONNECTION_OPEN_OK};
    connection_send(connection, &open_ok);
    /* What a %s stands for is one value, so the pair is of the format. */
    log_event(server->broker->log, EVENT_connection_opened,
              connection->is_saying_again ? "connection=%llu peer=%s user=%.*s vhost=%s resumed=yes"
                                          : "connection=%llu peer=%s user=%.*s vhost=%s",
              (unsigned long long)connection->id, connection->peer.name, (int)connection->user->name_size,
              connection->user->name, vhost->name);
    connection->server->broker->actor = connection->user;
    announce_opened(connection);
    return HANDLED;
}

static enum handled handle_close(struct connection *connection)
{
    struct channel *channel;
    uint64_t at = 0;
    while ((channel = idmap_next(&connection->channels, &at)))
        if (!dispatch_due_consumed(channel))
            return HANDLED_WAIT;
    ending_set(connection, ENDING_CLOSED, "closed by the client");
    connection_close(connection);
    return HANDLED;
}

/* Passwords do not expire, so that a new one is as good as the old one. */
static void handle_update_secret(struct connection *connection)
{
    union method ok = {.id = METHOD_CONNECTION_UPDATE_SECRET_OK};
    connection_send(connection, &ok);
}

static const char *state_name(enum connection_state state)
{
    static const char *const names[] = {
        [CONNECTION_GREETING] = "pre_init", [CONNECTION_STARTING] = "starting",
        [CONNECTION_REFUSING] = "starting", [CONNECTION_TUNING] = "tuning",
        [CONNECTION_OPENING] = "opening",   [CONNECTION_RUNNING] = "running",
        [CONNECTION_CLOSING] = "closing",   [CONNECTION_CLOSED] = "closed",
    };
    return names[state];
}

/* Is this the time for it, by the method table? */
static bool is_legal(const struct connection *connection, uint32_t id)
{
    switch (method_info(id)->legal) {
    case METHOD_LEGAL_STARTING:
        return connection->state == CONNECTION_STARTING;
    case METHOD_LEGAL_TUNING:
        return connection->state == CONNECTION_TUNING;
    case METHOD_LEGAL_OPENING:
        return connection->state == CONNECTION_OPENING;
    case METHOD_LEGAL_RUNNING:
        return connection->state == CONNECTION_RUNNING;
    case METHOD_LEGAL_CONNECTED:
        return true;
    default:
        return false;
    }
}

enum handled handle_connection_method(struct connection *connection, const union method *method,
                                      struct error *error)
{
    uint32_t id = is_legal(connection, method->id) ? method->id : 0;
    switch (id) {
    case METHOD_CONNECTION_START_OK:
        return handle_start_ok(connection, &method->connection_start_ok);
    case METHOD_CONNECTION_TUNE_OK:
        return handle_tune_ok(connection, &method->connection_tune_ok, error);
    case METHOD_CONNECTION_OPEN:
        return handle_open(connection, &method->connection_open, error);
    case METHOD_CONNECTION_CLOSE:
        return handle_close(connection);
    case METHOD_CONNECTION_UPDATE_SECRET:
        handle_update_secret(connection);
        return HANDLED;
    default:
        return handled_error(error, REPLY_CHANNEL_ERROR, "unexpected method in connection state %s",
                             state_name(connection->state));
    }
}
