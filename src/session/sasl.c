#include "session/sasl.h"

#include "amqp/table.h"

const char *sasl_mechanisms(const struct connection *connection)
{
    return connection->server->options.allow_anonymous ? "PLAIN AMQPLAIN ANONYMOUS"
                                                       : "PLAIN AMQPLAIN";
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

/* The user guest is for the machine itself: everyone knows its password. */
static bool may_come_from(const struct connection *connection, struct bytes name)
{
    if (!bytes_equal_str(name, "guest") || connection->peer.is_loopback ||
        connection->server->options.guest_anywhere)
        return true;
    log_event(connection->server->broker->log, EVENT_login_refused,
              "peer=%s reason=\"user 'guest' can only connect via localhost\"",
              connection->peer.name);
    return false;
}

enum sasl_result sasl_login(const struct connection *connection, struct bytes mechanism,
                            struct bytes response, struct user **user, const char **name)
{
    struct bytes user_name, password;
    const struct server *server = connection->server;
    if (bytes_equal_str(mechanism, "ANONYMOUS") && server->options.allow_anonymous) {
        *name = "ANONYMOUS";
        user_name = bytes_str("guest");
        *user = user_find(server->broker, user_name);
        return *user && may_come_from(connection, user_name) ? SASL_OK : SASL_REFUSED;
    }
    bool is_plain = bytes_equal_str(mechanism, "PLAIN");
    if (!is_plain && !bytes_equal_str(mechanism, "AMQPLAIN"))
        return SASL_MALFORMED;
    *name = is_plain ? "PLAIN" : "AMQPLAIN";
    if (!(is_plain ? read_plain : read_amqplain)(response, &user_name, &password))
        return SASL_MALFORMED;
    *user = user_find(server->broker, user_name);
    bool is_right = user_check_password(*user, password);
    return is_right && may_come_from(connection, user_name) ? SASL_OK : SASL_REFUSED;
}
