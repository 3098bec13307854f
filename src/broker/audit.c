/* A line is `client_changed` if it is about what lasts. What servers name, a connection owns or goes
 * by itself comes and goes with every start of an application: that is
 * `client_changed_briefly`, which is not logged by itself. */
#include "broker/audit.h"

#include "broker/binding.h"
#include "broker/user.h"

/* A queue or an exchange by that name lasts. */
static bool is_kept(struct bytes name, bool durable, bool auto_delete, bool exclusive)
{
    return durable && !auto_delete && !exclusive && !bytes_start_with(name, "amq.gen-");
}

static bool queue_is_kept(const struct queue *queue)
{
    return queue && is_kept(queue_name(queue), queue->durable, queue->auto_delete,
                            queue->exclusive_owner);
}

static bool exchange_is_kept(const struct exchange *exchange)
{
    return exchange &&
           is_kept(exchange_name(exchange), exchange->durable, exchange->auto_delete, false);
}

static enum event event_of(bool lasts)
{
    return lasts ? EVENT_client_changed : EVENT_client_changed_briefly;
}

static bool is_logged(const struct broker *broker, bool lasts)
{
    return log_level(broker->log) <= (lasts ? LOG_LEVEL_INFO : LOG_LEVEL_DEBUG);
}

/* `kind` is "queue" or "exchange". */
static void log_thing(const struct broker *broker, bool lasts, const char *what,
                      struct bytes vhost, const char *kind, struct bytes name)
{
    const struct audit *audit = broker->audit;
    if (is_logged(broker, lasts))
        log_event(broker->log, event_of(lasts),
                  "connection=%llu peer=%s user=%.*s vhost=%.*s method=%s change=%s %s=%.*s",
                  (unsigned long long)audit->connection, audit->peer,
                  BYTES_ARG(user_name(audit->user)), BYTES_ARG(vhost), audit->method, what, kind,
                  BYTES_ARG(name));
}

static void log_binding(const struct broker *broker, bool lasts, const struct change *change)
{
    const struct audit *audit = broker->audit;
    if (is_logged(broker, lasts))
        log_event(broker->log, event_of(lasts),
                  "connection=%llu peer=%s user=%.*s vhost=%.*s method=%s change=%s source=%.*s "
                  "%s=%.*s key=%.*s",
                  (unsigned long long)audit->connection, audit->peer,
                  BYTES_ARG(user_name(audit->user)), BYTES_ARG(change->vhost), audit->method,
                  change->is_delete ? "unbound" : "bound", BYTES_ARG(change->source),
                  change->to_queue ? "queue" : "exchange", BYTES_ARG(change->name),
                  BYTES_ARG(change->routing_key));
}

static void tell_queue(const struct broker *broker, const struct vhost *vhost,
                       const struct change *change)
{
    const struct queue *queue = vhost_queue(vhost, change->name);
    if (!change->is_delete)
        log_thing(broker,
                  is_kept(change->name, change_says_durable(change), change->auto_delete, change->owner),
                  "created", change->vhost, "queue", change->name);
    else if (queue)
        log_thing(broker, queue_is_kept(queue), "deleted", change->vhost, "queue", change->name);
}

static void tell_exchange(const struct broker *broker, const struct vhost *vhost,
                          const struct change *change)
{
    const struct exchange *exchange = vhost_exchange(vhost, change->name);
    if (!change->is_delete)
        log_thing(broker, is_kept(change->name, change->durable, change->auto_delete, false),
                  "created", change->vhost, "exchange", change->name);
    else if (exchange)
        log_thing(broker, exchange_is_kept(exchange), "deleted", change->vhost, "exchange",
                  change->name);
}

/* The name of what is leaving is gone at once, and the rest of it is no change. */
static void tell_leaving(const struct broker *broker, const struct vhost *vhost,
                         const struct change *change)
{
    struct change gone = *change;
    gone.is_delete = true;
    if (change->is_delete)
        return;
    if (change->to_queue)
        tell_queue(broker, vhost, &gone);
    else
        tell_exchange(broker, vhost, &gone);
}

static void tell_binding(struct broker *broker, const struct vhost *vhost,
                         const struct change *change)
{
    bool lasts = exchange_is_kept(vhost_exchange(vhost, change->source)) &&
                 (change->to_queue ? queue_is_kept(vhost_queue(vhost, change->name))
                                   : exchange_is_kept(vhost_exchange(vhost, change->name)));
    if (change->is_delete && !broker->audit->unbinds)
        return;
    broker->audit->unbinds = false;
    log_binding(broker, lasts, change);
}

void audit_change(struct broker *broker, const struct change *change)
{
    const struct vhost *vhost = vhost_find_any(broker, change->vhost);
    if (!vhost)
        return;
    switch (change->kind) {
    case CATALOGUE_QUEUE:
        tell_queue(broker, vhost, change);
        return;
    case CATALOGUE_EXCHANGE:
        tell_exchange(broker, vhost, change);
        return;
    case CATALOGUE_LEAVING:
        tell_leaving(broker, vhost, change);
        return;
    case CATALOGUE_BINDING:
        tell_binding(broker, vhost, change);
        return;
    default: /* no method of AMQP changes it */
        return;
    }
}

void audit_purge(const struct queue *queue)
{
    const struct broker *broker = queue->vhost->broker;
    if (broker->audit)
        log_thing(broker, queue_is_kept(queue), "purged", vhost_name(queue->vhost), "queue",
                  queue_name(queue));
}
