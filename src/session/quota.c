/* A connection that waits is on the list of one quota; when that lets it go, and another one of it
 * is reached, it moves there. They go on in the order in which they began to wait, so that of
 * several that share a rate each has its turn. */
#include "session/quota.h"

#include "base/planted.h"
#include "session/alarm.h"

enum { REASON_SIZE = 255 };

/* The one that is reached; NULL: none. */
static struct quota *reached(const struct connection *connection)
{
    struct quota *quota = connection->vhost->quota;
    if (quota && quota->over)
        return quota;
    if (planted(PLANTED_QUOTA_HOLDS_OTHERS) && !list_is_empty(&connection->server->broker->quotas))
        quota = list_entry(list_first(&connection->server->broker->quotas), struct quota, link);
    else
        quota = connection->user->quota;
    if (planted(PLANTED_QUOTA_OF_USER_IGNORED))
        return NULL;
    return quota && quota->over ? quota : NULL;
}

static void hold(struct connection *connection, struct quota *quota)
{
    char reason[REASON_SIZE];
    if (list_is_empty(&connection->quota_link))
        list_push_back(&quota->held, &connection->quota_link);
    connection_hold(connection, HOLD_QUOTA);
    alarm_tell_blocked(connection, quota_reason(quota, reason, sizeof(reason)));
}

bool quota_stops(struct connection *connection)
{
    struct quota *quota = reached(connection);
    if (planted(PLANTED_QUOTA_HOLDS_NOBODY))
        return false;
    if (quota)
        hold(connection, quota);
    return quota;
}

/* A message that has begun on another channel comes in whole. */
void quota_published(struct connection *connection, uint64_t bytes)
{
    struct quota *quotas[] = {connection->vhost->quota, connection->user->quota};
    for (size_t i = 0; i < sizeof(quotas) / sizeof(quotas[0]); i++)
        if (quota_is_set(quotas[i]) && !planted(PLANTED_QUOTA_NOT_COUNTED))
            quota_spend(quotas[i], bytes);
    if (!connection->bodies && connection->state == CONNECTION_RUNNING)
        quota_stops(connection);
}

/* Limits were set: whoever publishes looks for them with his next message. */
static void watch_all(struct server *server)
{
    list_for_each(link, &server->publishers) {
        struct connection *connection = list_entry(link, struct connection, publisher_link);
        connection->is_watched = true;
    }
}

static void let_go(struct quota *quota)
{
    struct list *link;
    while ((link = list_take_first(&quota->held))) {
        struct connection *connection = list_entry(link, struct connection, quota_link);
        struct quota *other = reached(connection);
        if (other) {
            list_push_back(&other->held, link);
            continue;
        }
        connection_release(connection, HOLD_QUOTA);
        alarm_tell_unblocked(connection);
    }
}

void quotas_tick(struct server *server)
{
    struct broker *broker = server->broker;
    if (server->quota_changes != broker->quota_changes && !planted(PLANTED_QUOTA_FOR_NEW_ALONE)) {
        server->quota_changes = broker->quota_changes;
        watch_all(server);
    }
    list_for_each_safe(link, after, &broker->quotas) {
        struct quota *quota = list_entry(link, struct quota, link);
        quota_review(quota);
        if (!quota->over && !planted(PLANTED_QUOTA_HOLDS_FOR_EVER))
            let_go(quota);
    }
}

uint64_t quotas_next_ms(const struct server *server)
{
    uint64_t next = UINT64_MAX;
    list_for_each(link, &server->broker->quotas) {
        uint64_t ms = quota_next_ms(list_entry(link, struct quota, link));
        next = ms < next ? ms : next;
    }
    return next;
}
