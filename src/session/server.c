/* The object that has it all, and its turn. Everything that happens later than the input that caused
 * it happens in `tick`, in one order: what the broker does by itself, what is left of channels and
 * connections that have ended, input that had to wait, commits, deliveries, the store, what the store
 * has made durable, timers, alarms. */
#include "session/server.h"

#include <stdio.h>

#include "base/mem.h"
#include "broker/events.h"
#include "broker/login.h"
#include "session/alarm.h"
#include "session/channel.h"
#include "session/connection_input.h"
#include "session/connection_timer.h"
#include "session/delivery_timeout.h"
#include "session/dispatch.h"
#include "session/quota.h"
#include "session/transaction.h"

/* For the input of all connections in one turn. */
enum { TURN_STEPS = 4 * BUDGET_MS };
/* For what is left of things that are gone. */
enum { REMOVAL_STEPS = BUDGET_MS / 2 };
/* Until it is asked again whether messages may be delivered. */
enum { REST_MS = 10 };

void server_options_default(struct server_options *options)
{
    *options = (struct server_options){.frame_max = 131072,
                                       .frame_max_untuned = 8192,
                                       .channel_max = 2047,
                                       .heartbeat_s = 60,
                                       .handshake_ms = 10000,
                                       .message_bytes_max = 128 * 1024 * 1024,
                                       .output_bytes_max = 1024 * 1024,
                                       .consumer_timeout_ms = 1800000,
                                       .auth_delay_ms = 3000,
                                       .loopback_users = "guest",
                                       .version = "0",
                                       .cluster_name = "leveret",
                                       .product = "RabbitMQ",
                                       .product_version = "3.13.7"};
}

void server_free(struct server *server)
{
    struct list *link;
    server->broker->turn = budget_of(INT64_MAX / 2);
    while ((link = list_first(&server->connections)))
        conversation_free(&list_entry(link, struct connection, link)->conversation);
    connections_drop(server);
    transactions_finish(server);
    queue_set_free(&server->queue_set);
    output_pool_free(&server->outputs);
    map_free(&server->replies);
    idmap_free(&server->opened);
    set_free(&server->named);
    timers_free(&server->timers);
    mem_free(server);
}

size_t server_connections(const struct server *server)
{
    return server->connection_count;
}

struct service *server_service(struct server *server)
{
    return &server->service;
}

static struct server *server_of(const struct service *service)
{
    return list_entry(service, struct server, service);
}

static struct conversation *accept_peer(struct service *service, const struct peer *peer)
{
    return &connection_new(server_of(service), peer)->conversation;
}

static const char *failure_of(const struct server *server)
{
    const char *why = store_failure(server->broker->store);
    return why || !server->groups.failure ? why : server->groups.failure(server->groups.context);
}

static const char *failure(const struct service *service)
{
    return failure_of(server_of(service));
}

/* Tells every connection why it ends; the log has said it already. */
static void fail_all(struct server *server, const char *reason, uint16_t code, const char *detail)
{
    list_for_each_safe(link, after, &server->connections) {
        struct connection *connection = list_entry(link, struct connection, link);
        ending_set(connection, ENDING_CLOSED, reason);
        connection_fail(connection, code, 0, detail);
    }
}

static void shut_down(struct service *service)
{
    struct server *server = server_of(service);
    server->is_shutting_down = true;
    fail_all(server, "shutdown", REPLY_CONNECTION_FORCED, REPLY_SHUTDOWN);
}

/* The journal cannot be written: nobody is promised anything any more. */
static void check_failure(struct server *server)
{
    if (server->is_failing || !failure_of(server))
        return;
    server->is_failing = true;
    fail_all(server, "the store failed", REPLY_INTERNAL_ERROR, "the journal cannot be written");
}

/* Closes the connections of users and of virtual hosts that are deleted. */
static void evict(struct server *server)
{
    char detail[600];
    if (server->evictions == server->broker->evictions)
        return;
    server->evictions = server->broker->evictions;
    list_for_each_safe(link, after, &server->connections) {
        struct connection *connection = list_entry(link, struct connection, link);
        const struct vhost *vhost = connection->vhost;
        const struct user *user = connection->user;
        if (vhost && vhost->is_going)
            snprintf(detail, sizeof(detail), "vhost '%s' is deleted", vhost->name);
        else if (user && user->is_gone)
            snprintf(detail, sizeof(detail), "user '%s' is deleted", user->name);
        else
            continue;
        connection_fail(connection, REPLY_CONNECTION_FORCED, 0, detail);
    }
}

static void look_for_watchers(struct server *server)
{
    server->is_watched = server->options.trace_frames || server->broker->traced;
}

/* Policies may give less time for what was delivered before. */
static void look_at_timeouts(struct server *server)
{
    struct channel *channel;
    if (server->timeouts == server->broker->queues.timeouts)
        return;
    server->timeouts = server->broker->queues.timeouts;
    list_for_each(link, &server->connections) {
        const struct connection *connection = list_entry(link, struct connection, link);
        for (uint64_t at = 0; (channel = idmap_next(&connection->channels, &at));)
            delivery_timeout_changed(channel);
    }
}

/* When the filling batch is another one, who had to wait for room in it goes on. */
static void store_turn(struct server *server, uint64_t clock_ms)
{
    struct store *store = server->broker->store;
    const struct server_groups *groups = &server->groups;
    uint64_t batch = store_ticket(store).index;
    store_collect(store, server->now_ms);
    if (groups->turn && groups->turn(groups->context, server->now_ms, clock_ms))
        server->has_work_left = true;
    store_write(store);
    bool any_waits = !list_is_empty(&server->resumable) || !list_is_empty(&server->transactions);
    if (store_ticket(store).index != batch && any_waits)
        server->has_work_left = true;
}

/* What happens by itself, and what could not be taken away in one go. It has a budget of its own, so that
 * it ends, however much there is to do. */
static void broker_turn(struct server *server, uint64_t now_ms, uint64_t clock_ms)
{
    server->broker->turn = budget_of(REMOVAL_STEPS);
    broker_tick(server->broker, now_ms, clock_ms);
    consumers_tell_lost(server, NULL);
    channels_empty(server);
    connections_drop(server);
    server->broker->turn = budget_of(TURN_STEPS);
}

static bool has_removals(const struct server *server)
{
    return !list_is_empty(&server->emptying) || !list_is_empty(&server->dropping);
}

static void woken(struct service *service, uint64_t now_ms)
{
    queues_woken(&server_of(service)->broker->queues, now_ms);
}

static void tick(struct service *service, uint64_t now_ms, uint64_t clock_ms)
{
    struct server *server = server_of(service);
    struct broker *broker = server->broker;
    struct steps *steps = server->options.steps;
    server->now_ms = now_ms;
    server->has_work_left = false;
    steps_next(steps, "broker");
    look_for_watchers(server);
    broker->actor = NULL;
    evict(server); /* before what they use goes */
    broker_turn(server, now_ms, clock_ms);
    if (logins_tick(broker))
        server->has_work_left = true;
    look_at_timeouts(server);
    steps_next(steps, "resume");
    connections_resume(server);
    steps_next(steps, "transactions");
    transactions_tick(server);
    steps_next(steps, "dispatch");
    dispatch(server);
    store_turn(server, clock_ms);
    server->has_work_left |= queues_wake(&broker->queues);
    steps_next(steps, "wait");
    wait_tick(server);
    steps_next(steps, "timers");
    connection_timers_run(server);
    alarm_tick(server);
    quotas_tick(server);
    check_failure(server);
    if (broker_has_work_left(broker) || !list_is_empty(&server->turning) || has_removals(server))
        server->has_work_left = true;
}

static uint64_t next_ms(const struct service *service)
{
    const struct server *server = server_of(service);
    uint64_t timers = timers_next_ms(&server->timers);
    uint64_t store = store_next_ms(server->broker->store);
    uint64_t broker = broker_next_ms(server->broker);
    uint64_t alarm = alarm_next_ms(server), next = quotas_next_ms(server);
    if (server->has_work_left && !server->rests)
        return 0;
    if (server->has_work_left)
        return server->now_ms + REST_MS;
    next = alarm < next ? alarm : next;
    next = timers < next ? timers : next;
    next = broker < next ? broker : next;
    if (server->groups.next_ms) {
        uint64_t groups = server->groups.next_ms(server->groups.context);
        next = groups < next ? groups : next;
    }
    return next < store ? next : store;
}

void server_set_groups(struct server *server, const struct server_groups *groups)
{
    server->groups = *groups;
}

struct promise server_promise(struct server *server)
{
    struct promise promise = promise_of_all(&server->waits);
    for (uint32_t i = 0; i < promise.count; i++) {
        const struct wait_log *log = &server->waits.logs[promise.tickets[i].log];
        log->want(log->log, promise.tickets[i]);
    }
    return promise;
}

enum ticket_state server_promise_state(const struct server *server, const struct promise *promise)
{
    return promise_state(&server->waits, promise);
}

void server_add_log(struct server *server, uint32_t number, const struct wait_log *log)
{
    wait_add_log(&server->waits, number, log);
}

void server_set_options(struct server *server, const struct server_options *options)
{
    server->options = *options;
}

struct server *server_new(const struct server_options *options, struct broker *broker,
                          uint64_t now_ms)
{
    static const struct service_ops ops = {.accept = accept_peer,
                                           .woken = woken,
                                           .tick = tick,
                                           .next_ms = next_ms,
                                           .shutdown = shut_down,
                                           .failure = failure};
    struct server *server = mem_zalloc(sizeof(*server));
    service_init(&server->service, &ops);
    server->options = *options;
    server->broker = broker;
    broker->turn = budget_of(TURN_STEPS);
    broker->ignores_client_deaths = options->ignore_client_x_death;
    server->now_ms = now_ms;
    if (options->event_exchange)
        events_begin(broker);
    list_init(&server->connections);
    list_init(&server->resumable);
    list_init(&server->lost);
    list_init(&server->dropping);
    list_init(&server->gone);
    list_init(&server->emptying);
    list_init(&server->publishers);
    list_init(&server->turning);
    list_init(&server->transactions);
    map_init(&server->replies, random_next(broker->random));
    guesses_init(&server->guesses, ~server->replies.seed);
    idmap_init(&server->opened);
    set_init(&server->named);
    output_pool_init(&server->outputs, broker->pool);
    wait_init(&server->waits, broker->store);
    return server;
}
