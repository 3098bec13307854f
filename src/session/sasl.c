/* Each mechanism reads one response; then all look at the user alike. */
#include "session/sasl.h"

#include <stdio.h>

#include "amqp/table.h"
#include "broker/login.h"

const char *sasl_mechanisms(const struct connection *connection)
{
    static const char *const lists[] = {"",
                                        "PLAIN",
                                        "AMQPLAIN",
                                        "PLAIN AMQPLAIN",
                                        "ANONYMOUS",
                                        "PLAIN ANONYMOUS",
                                        "AMQPLAIN ANONYMOUS",
                                        "PLAIN AMQPLAIN ANONYMOUS"};
    const struct server_options *options = &connection->server->options;
    int plain = options->no_plain ? 0 : 1, amqplain = options->no_amqplain ? 0 : 2;
    return lists[plain + amqplain + (options->allow_anonymous ? 4 : 0)];
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

static bool is_listed(const char *names, struct bytes name)
{
    for (const char *end; *names; names = *end ? end + 1 : end) {
        end = strchrnul(names, ',');
        if (bytes_equal(bytes_of(names, (size_t)(end - names)), name))
            return true;
    }
    return false;
}

/* The user guest, above all, is for the machine itself: everyone knows its password. */
bool sasl_lets_in_from_afar(const struct server_options *options, struct bytes name)
{
    return !is_listed(options->loopback_users, name) ||
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
    login->user = user_find(server->broker, login->name);
    enum login_state state = login_check(server->broker, login->user, password, login->ended,
                                         login->context, login->check);
    return state == LOGIN_WAITS ? SASL_WAITS : check(server, peer, login, state);
}
