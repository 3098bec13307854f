/* Between its two lines, opened and closed (or lost), a connection has nothing in the log unless
 * something was wrong. Of those that never were opened only those are told that look like a client
 * in trouble: who connects and goes is a probe, and asks once a second whether the broker is there.
 */
#include "session/ending.h"

#include "session/connection.h"

void ending_set(struct connection *connection, enum ending_kind kind, const char *reason)
{
    if (connection->ending.kind != ENDING_NONE)
        return;
    connection->ending.kind = kind;
    connection->ending.reason = reason;
}

static enum event event_of(const struct connection *connection)
{
    const struct ending *ending = &connection->ending;
    bool is_lost = ending->kind == ENDING_SILENCE || ending->kind == ENDING_VANISHED;
    if (connection->vhost)
        return is_lost ? EVENT_connection_lost : EVENT_connection_closed;
    if (ending->kind == ENDING_VANISHED && ending->received_bytes == 0)
        is_lost = false;
    return is_lost ? EVENT_connection_lost : EVENT_connection_ended;
}

void ending_log(const struct connection *connection)
{
    const struct server *server = connection->server;
    const struct ending *ending = &connection->ending;
    const struct user *user = connection->user;
    log_event(server->broker->log, event_of(connection),
              "connection=%llu peer=%s user=%.*s reason=%s seconds=%llu received=%llu sent=%llu",
              (unsigned long long)connection->id, connection->peer.name,
              user ? (int)user->name_size : 0, user ? user->name : "",
              ending->reason ? ending->reason : "the broker has ended",
              (unsigned long long)(server->now_ms - ending->began_ms) / 1000,
              (unsigned long long)ending->received_bytes, (unsigned long long)ending->sent_bytes);
}
