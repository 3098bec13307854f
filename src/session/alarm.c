/* A connection that has published stops being read while there is an alarm; one that only consumes
 * is never touched. RabbitMQ's clients are told by connection.blocked, when they understand it. A
 * message whose header was read before comes in whole: if it waited half-way, its memory could never
 * end. The alarm of memory ends somewhat below the mark where it begins, so that it does not
 * flutter. */
#include "session/alarm.h"

static const char *reason(unsigned alarms)
{
    if (alarms == (ALARM_MEMORY | ALARM_DISK))
        return "low on memory & disk";
    return alarms == ALARM_MEMORY ? "low on memory" : "low on disk";
}

static void tell_blocked(struct connection *connection)
{
    if (!connection->can_be_blocked || connection->was_told_blocked)
        return;
    union method blocked = {.connection_blocked = {
                                METHOD_CONNECTION_BLOCKED,
                                bytes_str(reason(connection->server->alarms))}};
    connection->was_told_blocked = true;
    connection_send(connection, &blocked);
}

static void block(struct connection *connection)
{
    connection_hold(connection, HOLD_BLOCKED);
    tell_blocked(connection);
}

static void unblock(struct connection *connection)
{
    connection_release(connection, HOLD_BLOCKED);
    if (!connection->was_told_blocked)
        return;
    union method unblocked = {.id = METHOD_CONNECTION_UNBLOCKED};
    connection->was_told_blocked = false;
    connection_send(connection, &unblocked);
}

void alarm_publisher(struct connection *connection)
{
    struct server *server = connection->server;
    if (connection->state != CONNECTION_RUNNING)
        return;
    if (list_is_empty(&connection->publisher_link))
        list_push_back(&server->publishers, &connection->publisher_link);
    if (server->alarms)
        block(connection);
}

bool alarm_is_set(struct connection *connection)
{
    if (!connection->server->alarms)
        return false;
    alarm_publisher(connection);
    return true;
}

static size_t memory_in_use(const struct server *server)
{
    return message_pool_bytes(server->broker->pool) + server->outputs.bytes +
           server->input_bytes + server->held_bytes + server->unacked_bytes;
}

static unsigned current_alarms(const struct server *server)
{
    unsigned alarms = store_is_short(server->broker->store) ? ALARM_DISK : 0;
    uint64_t max = server->options.memory_bytes_max;
    if (server->alarms & ALARM_MEMORY)
        max -= max / 20;
    if (max && memory_in_use(server) > max)
        alarms |= ALARM_MEMORY;
    return alarms;
}

/* What the disk has free is in the store's own lines. */
static void log_changes(const struct server *server, unsigned before)
{
    const struct log *log = server->broker->log;
    unsigned now = server->alarms, changed = now ^ before;
    if (changed & ALARM_MEMORY)
        log_event(log, now & ALARM_MEMORY ? EVENT_alarm_set : EVENT_alarm_cleared,
                  "alarm=memory used=%zu limit=%llu", memory_in_use(server),
                  (unsigned long long)server->options.memory_bytes_max);
    if (changed & ALARM_DISK)
        log_event(log, now & ALARM_DISK ? EVENT_alarm_set : EVENT_alarm_cleared, "alarm=disk");
}

void alarm_tick(struct server *server)
{
    unsigned before = server->alarms, now = current_alarms(server);
    bool was_congested = server->is_congested;
    server->is_congested = store_is_congested(server->broker->store);
    if (was_congested && !server->is_congested)
        server->has_work_left = true; /* those who waited go on in the next turn */
    if (now == before)
        return;
    server->alarms = now;
    log_changes(server, before);
    if (before && now)
        return;
    list_for_each(link, &server->publishers) {
        struct connection *connection = list_entry(link, struct connection, publisher_link);
        if (!now)
            unblock(connection);
        else if (connection->bodies)
            tell_blocked(connection); /* held when the message is there */
        else
            block(connection);
    }
}
