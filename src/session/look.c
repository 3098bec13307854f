#include "session/look.h"

#include <stdio.h>

#include "session/channel.h"
#include "session/sasl.h"

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

struct user *server_log_in(const struct server *server, struct bytes name, struct bytes password,
                           const struct peer *peer, char *reason, size_t reason_size)
{
    struct sasl_login login = {.name = name};
    if (sasl_check_password(server, peer, password, &login) == SASL_OK)
        return login.user;
    snprintf(reason, reason_size, "%s", login.reason);
    return NULL;
}

struct server_counts server_counts(const struct server *server)
{
    return (struct server_counts){server->open_connections, server->channels, server->consumers};
}

struct bytes server_consumer_tag(const struct queue_consumer *consumer)
{
    return consumer_tag(list_entry(consumer, struct consumer, base));
}
