/* What events tell of clients (broker/events.h): connections, channels, consumers. Each returns at
 * once if nobody is told. */
#ifndef LEVERET_SESSION_ANNOUNCE_H
#define LEVERET_SESSION_ANNOUNCE_H

#include "session/channel.h"

/* A login, which was refused for a reason (NULL: it was not). */
void announce_login(const struct connection *connection, struct bytes user, const char *reason);
void announce_opened(const struct connection *connection);
void announce_closed(const struct connection *connection);
void announce_channel(const struct channel *channel, bool is_new);
void announce_consumer(const struct consumer *consumer, bool is_new);

#endif
