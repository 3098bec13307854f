/* Connections that publish beyond a quota of their virtual host or user wait; see broker/quota.h.
 * Who only consumes is never held, nor is who publishes elsewhere, or as somebody else. */
#ifndef LEVERET_SESSION_QUOTA_H
#define LEVERET_SESSION_QUOTA_H

#include "broker/quota.h"
#include "broker/vhost.h"
#include "session/connection.h"

/* Is what this connection publishes counted? */
static inline bool quota_watches(const struct connection *connection)
{
    return quota_is_set(connection->vhost->quota) || quota_is_set(connection->user->quota);
}

/* It would publish, and a quota is reached: it is told, and waits. False: it may. */
bool quota_stops(struct connection *connection);
/* It has published a message with a body of so many bytes, and waits if that was enough. */
void quota_published(struct connection *connection, uint64_t bytes);
/* Once a turn: lets those go on whose quotas are not reached any more. */
void quotas_tick(struct server *server);
/* When a rate allows more though nothing happens; UINT64_MAX: never. */
uint64_t quotas_next_ms(const struct server *server);

#endif
