/* A connection that has published stops being read while there is an alarm; one that only consumes
 * is never touched. RabbitMQ's clients are told by connection.blocked, when they understand it. A
 * message whose header was read before comes in whole: if it waited half-way, its memory could never
 * end. Alarms do not flutter: that of memory ends somewhat below the mark where it begins, that of the
 * disk above it, and both last a second at least. While a full disk holds up the journal itself, who
 * waits for an answer is told as well, but goes on being read: his acknowledgements may be what gives
 * room. */
#include "session/alarm.h"

#include "session/channel.h"
#include "session/quota.h"

enum { LAST_MS = 1000, CHECK_MS = 500, TELL_MS = 100 };

static const char *reason(unsigned alarms)
{
    if (alarms == (ALARM_MEMORY | ALARM_DISK))
        return "low on memory & disk";
    return alarms == ALARM_MEMORY ? "low on memory" : "low on disk";
}

void alarm_tell_blocked(struct connection *connection, const char *reason)
{
    if (!connection->can_be_blocked || connection->was_told_blocked)
        return;
    union method blocked = {
        .connection_blocked = {METHOD_CONNECTION_BLOCKED, bytes_str(reason)}};
    connection->was_told_blocked = true;
    connection_send(connection, &blocked);
}

void alarm_tell_unblocked(struct connection *connection)
{
    if (!connection->was_told_blocked || connection->holds & (HOLD_BLOCKED | HOLD_QUOTA))
        return;
    union method unblocked = {.id = METHOD_CONNECTION_UNBLOCKED};
    connection->was_told_blocked = false;
    connection_send(connection, &unblocked);
}

static void tell_blocked(struct connection *connection)
{
    alarm_tell_blocked(connection, reason(connection->server->alarms));
}

static void block(struct connection *connection)
{
    connection_hold(connection, HOLD_BLOCKED);
    tell_blocked(connection);
}

static void unblock(struct connection *connection)
{
    connection_release(connection, HOLD_BLOCKED);
    alarm_tell_unblocked(connection);
}

void alarm_publisher(struct connection *connection)
{
    struct server *server = connection->server;
    if (connection->state != CONNECTION_RUNNING)
        return;
    if (list_is_empty(&connection->publisher_link))
        list_push_back(&server->publishers, &connection->publisher_link);
    connection->only_waits = false;
    connection->is_watched = server->alarms || quota_watches(connection) || connection->is_saying_again;
    if (server->alarms)
        block(connection);
}

void alarm_published_slowly(struct connection *connection, uint64_t bytes)
{
    alarm_publisher(connection);
    quota_published(connection, bytes);
}

bool alarm_stops(struct connection *connection)
{
    if (!connection->server->alarms)
        return connection->is_watched && quota_stops(connection);
    alarm_publisher(connection);
    return true;
}

/* What those that are blocked have sent already can only go when they are not: it sets the alarm, and
 * does not keep it. */
static size_t memory_in_use(const struct server *server)
{
    bool is_set = server->alarms & ALARM_MEMORY;
    return message_pool_bytes(server->broker->pool) + server->outputs.bytes + server->held_bytes +
           server->unacked_bytes + (is_set ? 0 : server->input_bytes);
}

static unsigned current_alarms(const struct server *server, size_t used)
{
    unsigned alarms = store_is_short(server->broker->store) ? ALARM_DISK : 0;
    uint64_t max = server->options.memory_bytes_max;
    if (server->alarms & ALARM_MEMORY)
        max -= max / 20;
    if (max && used > max)
        alarms |= ALARM_MEMORY;
    if (server->now_ms - server->alarms_ms < LAST_MS)
        alarms |= server->alarms;
    return alarms;
}

uint64_t alarm_next_ms(const struct server *server)
{
    return server->alarms ? server->now_ms + CHECK_MS : UINT64_MAX;
}

/* What the disk has free is in the store's own lines. */
static void log_changes(const struct server *server, unsigned before, size_t used)
{
    const struct log *log = server->broker->log;
    unsigned now = server->alarms, changed = now ^ before;
    if (changed & ALARM_MEMORY)
        log_event(log, now & ALARM_MEMORY ? EVENT_alarm_set : EVENT_alarm_cleared,
                  "alarm=memory used=%zu limit=%llu", used,
                  (unsigned long long)server->options.memory_bytes_max);
    if (changed & ALARM_DISK)
        log_event(log, now & ALARM_DISK ? EVENT_alarm_set : EVENT_alarm_cleared, "alarm=disk");
}

static void tell_waiting(struct connection *connection)
{
    struct server *server = connection->server;
    if (!list_is_empty(&connection->publisher_link) || connection->state != CONNECTION_RUNNING)
        return;
    connection->only_waits = true;
    list_push_back(&server->publishers, &connection->publisher_link);
    tell_blocked(connection);
}

/* Nothing can be written: whose answers wait for that? */
static void tell_all_waiting(struct server *server)
{
    if (!store_is_full(server->broker->store) || server->now_ms - server->told_ms < TELL_MS)
        return;
    server->told_ms = server->now_ms;
    for (int i = 0; i < WAIT_LOGS; i++)
        list_for_each(link, &server->waits.parts[i])
            tell_waiting(list_entry(link, struct wait_part, log_link)->wait->channel->connection);
}

/* The alarm is over. */
static void unblock_all(struct server *server)
{
    list_for_each_safe(link, after, &server->publishers) {
        struct connection *connection = list_entry(link, struct connection, publisher_link);
        if (connection->only_waits)
            list_remove(link);
        unblock(connection);
    }
}

static void block_all(struct server *server)
{
    list_for_each(link, &server->publishers) {
        struct connection *connection = list_entry(link, struct connection, publisher_link);
        connection->is_watched = true;
        if (connection->bodies)
            tell_blocked(connection); /* held when the message is there */
        else
            block(connection);
    }
}

void alarm_tick(struct server *server)
{
    size_t used = memory_in_use(server);
    unsigned before = server->alarms, now = current_alarms(server, used);
    uint32_t before_congested = server->congested;
    server->congested = wait_congested(&server->waits, UINT32_MAX);
    if (before_congested & ~server->congested)
        server->has_work_left = true; /* those who waited go on in the next turn */
    if (now != before) {
        server->alarms = now;
        if (now & ~before)
            server->alarms_ms = server->now_ms;
        log_changes(server, before, used);
    }
    if (before && !now)
        unblock_all(server);
    else if (now && !before)
        block_all(server);
    if (now)
        tell_all_waiting(server);
}
