/* When memory or disk is short, a quota is reached, or the journal is congested, those who publish have to
 * wait. */
#ifndef LEVERET_SESSION_ALARM_H
#define LEVERET_SESSION_ALARM_H

#include "session/connection.h"

/* The connection publishes, or would. */
void alarm_publisher(struct connection *connection);
/* The slow half of alarm_published. */
void alarm_published_slowly(struct connection *connection, uint64_t bytes);
/* The connection is about to begin a message: while there is an alarm, or a quota is reached, it is told, and
 * waits for the end of that. False: there is none. */
bool alarm_stops(struct connection *connection);
/* Tells the client, once, why it has to wait; and that it has not, if it was told and it is so. */
void alarm_tell_blocked(struct connection *connection, const char *reason);
void alarm_tell_unblocked(struct connection *connection);
/* Once a turn: sets and clears alarms, and tells the connections concerned. */
void alarm_tick(struct server *server);
/* When there is something to look at though nothing happens; UINT64_MAX: never. */
uint64_t alarm_next_ms(const struct server *server);

/* The connection has published a message with a body of so many bytes. */
static inline void alarm_published(struct connection *connection, uint64_t bytes)
{
    if (__builtin_expect(connection->is_watched, 0))
        alarm_published_slowly(connection, bytes);
}

#endif
