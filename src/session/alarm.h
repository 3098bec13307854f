/* When memory or disk is short, or the journal is congested, those who publish have to wait. */
#ifndef LEVERET_SESSION_ALARM_H
#define LEVERET_SESSION_ALARM_H

#include "session/connection.h"

/* The slow half of alarm_published. */
void alarm_publisher(struct connection *connection);
/* The connection is about to begin a message: while there is an alarm it is told, and waits for the
 * end of the alarm. False: there is none. */
bool alarm_stops(struct connection *connection);
/* Once a turn: sets and clears alarms, and tells the connections concerned. */
void alarm_tick(struct server *server);
/* When there is something to look at though nothing happens; UINT64_MAX: never. */
uint64_t alarm_next_ms(const struct server *server);

/* The connection has published. */
static inline void alarm_published(struct connection *connection)
{
    const struct server *server = connection->server;
    if (__builtin_expect(list_is_empty(&connection->publisher_link) || server->alarms, 0))
        alarm_publisher(connection);
}

#endif
