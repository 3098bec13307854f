/* Each mechanism reads one response; then all look at the user alike. */
#include "session/sasl.h"

#include <stdio.h>

#include "amqp/table.h"
#include "broker/login.h"

static bool offers_external(const struct connection *connection)
{
    return connection->server->options.allow_external && connection->peer.is_tls;
}

const char *sasl_mechanisms(const struct connection *connection, char text[SASL_MECHANISMS_BYTES])
{
    const struct server_options *options = &connection->server->options;
    const struct {
        bool is_offered;
        const char *name;
    } all[] = {{!options->no_plain, "PLAIN"},
               {!options->no_amqplain, "AMQPLAIN"},
               {options->allow_anonymous, "ANONYMOUS"},
               {offers_external(connection), "EXTERNAL"}};
    size_t used = 0;
    text[0] = '\0';
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        if (all[i].is_offered)
            used += (size_t)snprintf(text + used, SASL_MECHANISMS_BYTES - used, "%s%s",
                                     used ? " " : "", all[i].name);
    return text;
}

/* An identity to act as, which is ignored, user and password, with a NUL between them. */
static bool read_plain(struct bytes response, struct bytes *name, struct bytes *password)
{
    if (response.size == 0)
        return false;
    const uint8_t *end = response.data + response.size;
    const uint8_t *first = memchr(response.data, 0, response.size);
    if (!first)
        return false;
    const uint8_t *second = memchr(first + 1, 0, (size_t)(end - first - 1));
    if (!second)
        return false;
    *name = bytes_of(first + 1, (size_t)(second - first - 1));
    *password = bytes_of(second + 1, (size_t)(end - second - 1));
    return true;
}

static bool read_amqplain(struct bytes response, struct bytes *name, struct bytes *password)
{
    return table_check(response) && table_find_string(response, "LOGIN", name) &&
           table_find_string(response, "PASSWORD", password);
}

/* The user guest, above all, is for the machine itself: everyone knows its password. */
bool sasl_lets_in_from_afar(const struct server_options *options, struct bytes name)
{
    return !bytes_are_listed(name, options->loopback_users) ||
           (options->guest_anywhere && bytes_equal_str(name, "guest"));
}

static bool may_come_from(const struct server_options *options, const struct peer *peer,
                          struct bytes name)
{
    return peer->is_loopback || sasl_lets_in_from_afar(options, name);
}

static enum sasl_result refuse(struct sasl_login *login, enum sasl_result result,
                               const char *reason)
{
    snprintf(login->reason, sizeof(login->reason), "%s", reason);
    return result;
}

static enum sasl_result check(const struct server *server, const struct peer *peer,
                              struct sasl_login *login, enum login_state state)
{
    if (state == LOGIN_TOO_MANY)
        return refuse(login, SASL_REFUSED, "too many passwords are being checked");
    if (!login->user)
        return refuse(login, SASL_REFUSED, "unknown user");
    if (state != LOGIN_RIGHT)
        return refuse(login, SASL_REFUSED, "wrong password");
    if (may_come_from(&server->options, peer, login->name))
        return SASL_OK;
    snprintf(login->reason, sizeof(login->reason), "user '%.*s' can only connect via localhost",
             BYTES_ARG(login->name));
    return SASL_REFUSED;
}

/* What it answers is of no account, as with RabbitMQ: the certificate names the user. */
static enum sasl_result log_in_by_certificate(struct connection *connection,
                                              struct sasl_login *login)
{
    const struct server *server = connection->server;
    login->mechanism = "EXTERNAL";
    enum peer_named named = conversation_peer_name(
        &connection->conversation, server->options.external_name, server->options.external_index,
        login->certified, sizeof(login->certified));
    switch (named) {
    case PEER_NAMED:
        login->name = bytes_str(login->certified);
        login->user = user_find(server->broker, login->name);
        return check(server, &connection->peer, login, LOGIN_RIGHT);
    case PEER_NAMELESS:
        return refuse(login, SASL_REFUSED, "its certificate has no such name");
    case PEER_UNPROVEN:
        return refuse(login, SASL_REFUSED, "certificates are not verified (ssl_options.verify)");
    default:
        return refuse(login, SASL_REFUSED, "it has shown no certificate");
    }
}

static void go_on(void *connection)
{
    connection_release(connection, HOLD_LOGIN);
}

enum sasl_result sasl_login(struct connection *connection, struct bytes mechanism,
                            struct bytes response, struct sasl_login *login)
{
    struct bytes password;
    struct server *server = connection->server;
    if (bytes_equal_str(mechanism, "ANONYMOUS") && server->options.allow_anonymous) {
        login->mechanism = "ANONYMOUS";
        login->name = bytes_str("guest");
        login->user = user_find(server->broker, login->name);
        return check(server, &connection->peer, login, LOGIN_RIGHT);
    }
    if (bytes_equal_str(mechanism, "EXTERNAL") && offers_external(connection))
        return log_in_by_certificate(connection, login);
    bool is_plain = bytes_equal_str(mechanism, "PLAIN") && !server->options.no_plain;
    bool is_amqplain = bytes_equal_str(mechanism, "AMQPLAIN") && !server->options.no_amqplain;
    if (!is_plain && !is_amqplain)
        return refuse(login, SASL_MALFORMED, "the mechanism is not offered");
    login->mechanism = is_plain ? "PLAIN" : "AMQPLAIN";
    if (!(is_plain ? read_plain : read_amqplain)(response, &login->name, &password))
        return refuse(login, SASL_MALFORMED, "the response is malformed");
    login->check = &connection->login;
    login->ended = go_on;
    login->context = connection;
    enum sasl_result result = sasl_check_password(server, &connection->peer, password, login);
    if (result == SASL_WAITS)
        connection_hold(connection, HOLD_LOGIN);
    return result;
}

enum sasl_result sasl_check_password(struct server *server, const struct peer *peer,
                                     struct bytes password, struct sasl_login *login)
{
    struct bytes host = client_host(peer->name);
    uint32_t most = server->options.failed_logins_max;
    if (most && !*login->check && guesses_are_many(&server->guesses, host, most, server->now_ms))
        return refuse(login, SASL_REFUSED, "too many logins from its address have failed");
    login->user = user_find(server->broker, login->name);
    enum login_state state = login_check(server->broker, login->user, password, login->ended,
                                         login->context, login->check);
    if (state == LOGIN_WAITS)
        return SASL_WAITS;
    if (state == LOGIN_WRONG)
        guesses_failed(&server->guesses, host, server->now_ms);
    return check(server, peer, login, state);
}
