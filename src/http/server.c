/* The service: time, and whose answer goes on. All answers of a turn share one budget, and clients
 * take turns piece by piece; what is left over goes on in the next turn, which follows at once. */
#include "http/client.h"

#include "base/mem.h"

enum {
    IDLE_MS = 60000,
    REQUEST_MS = 30000,
    STALLED_MS = 30000,
    CONNECTIONS_MAX = 1024,
    BODY_BYTES_MAX = 256 << 20,
    INPUT_TURN_BYTES = 1 << 20, /* read in a turn, from all together */
    WAIT_MS = 50,               /* what waits is asked again, even if nothing happens */
};

static struct http_server *server_of(const struct service *service)
{
    return list_entry(service, struct http_server, service);
}

static struct conversation *accept_peer(struct service *service, const struct peer *peer)
{
    return &http_client_new(server_of(service), peer)->conversation;
}

static void woken(struct service *service, uint64_t now_ms)
{
    server_of(service)->now_ms = now_ms;
}

/* Those who have more to send than a turn takes are looked at again. */
static void resume(struct http_server *server)
{
    struct list *link;
    server->input_left = INPUT_TURN_BYTES;
    while ((link = list_take_first(&server->paused)))
        service_touch(&server->service,
                      &list_entry(link, struct http_client, turn_link)->conversation);
}

static void expire(struct http_server *server)
{
    struct timer *timer;
    while ((timer = timers_expired(&server->timers, server->now_ms)))
        http_client_expire(list_entry(timer, struct http_client, timer));
}

static void answer(struct http_server *server)
{
    struct budget budget = budget_of(server->options.turn_steps);
    struct list *link;
    list_append_all(&server->ready, &server->waiting);
    while (!budget_is_spent(&budget) && (link = list_take_first(&server->ready)))
        http_client_answer(list_entry(link, struct http_client, turn_link), &budget);
}

static void tick(struct service *service, uint64_t now_ms, uint64_t clock_ms)
{
    struct http_server *server = server_of(service);
    server->now_ms = now_ms;
    server->clock_ms = clock_ms;
    steps_next(server->options.steps, "http");
    expire(server);
    resume(server);
    answer(server);
}

static uint64_t next_ms(const struct service *service)
{
    const struct http_server *server = server_of(service);
    uint64_t timer_ms = timers_next_ms(&server->timers);
    if (!list_is_empty(&server->ready) || !list_is_empty(&server->paused))
        return 0;
    if (list_is_empty(&server->waiting) || timer_ms < server->now_ms + WAIT_MS)
        return timer_ms;
    return server->now_ms + WAIT_MS;
}

static void say_goodbye(struct service *service)
{
    struct http_server *server = server_of(service);
    server->is_stopping = true;
    list_for_each(at, &server->all)
        http_client_shutdown(list_entry(at, struct http_client, link));
}

static uint32_t or_default(uint32_t value, uint32_t otherwise)
{
    return value ? value : otherwise;
}

static struct http_options without_zeros(const struct http_options *options)
{
    return (struct http_options){
        .steps = options->steps,
        .idle_ms = or_default(options->idle_ms, IDLE_MS),
        .request_ms = or_default(options->request_ms, REQUEST_MS),
        .stalled_ms = or_default(options->stalled_ms, STALLED_MS),
        .connections_max = options->connections_max ? options->connections_max : CONNECTIONS_MAX,
        .body_bytes_max = options->body_bytes_max ? options->body_bytes_max : BODY_BYTES_MAX,
        .no_gzip = options->no_gzip,
        .turn_steps = options->turn_steps ? options->turn_steps : BUDGET_MS / 2,
    };
}

struct http_server *http_server_new(const struct http_options *options,
                                    struct http_handler *handler, struct message_pool *pool,
                                    const struct log *log, uint64_t now_ms)
{
    struct http_server *server = mem_zalloc(sizeof(*server));
    server->ops = (struct service_ops){.name = options->name ? options->name : "http",
                                       .accept = accept_peer,
                                       .woken = woken,
                                       .tick = tick,
                                       .next_ms = next_ms,
                                       .shutdown = say_goodbye};
    service_init(&server->service, &server->ops);
    server->options = without_zeros(options);
    server->handler = handler;
    server->log = log;
    server->now_ms = now_ms;
    server->input_left = INPUT_TURN_BYTES;
    output_pool_init(&server->outputs, pool);
    list_init(&server->all);
    list_init(&server->ready);
    list_init(&server->waiting);
    list_init(&server->paused);
    return server;
}

void http_server_free(struct http_server *server)
{
    if (!server)
        return;
    output_pool_free(&server->outputs);
    timers_free(&server->timers);
    buffer_free(&server->piece);
    buffer_free(&server->squeezed);
    mem_free(server);
}

struct service *http_server_service(struct http_server *server)
{
    return &server->service;
}
