/* The turn, by hand around libev: ev_run waits once and hands out what happened (sockets read into
 * their conversations, listeners accept); the rest of the turn follows in plain sight below.
 * Deadlines of all kinds are one timer, set to the earliest. */
#include "net/loop.h"

#include <errno.h>
#include <stdio.h>

#include "base/mem.h"
#include "net/clock.h"
#include "net/listener.h"
#include "net/signals.h"
#include "net/socket.h"

enum {
    STOP_MS = 5000, /* for connections to answer connection.close */
    FAIL_MS = 2000, /* the same, when the store has failed */
    STALE_MS = 50,  /* age beyond which the services' idea of the time is renewed before input */
    GIVE_US = 500,  /* of a turn may be spent on giving memory back */
    STORE_DESCRIPTORS = 256, /* kept for journal, index and the process itself */
};

static struct service *service_at(struct list *link)
{
    return list_entry(link, struct service, link);
}

static void begin_stop(struct loop *loop, enum loop_state state, uint64_t patience_ms)
{
    loop->state = state;
    loop->stop_ms = loop->now_ms + patience_ms;
    ev_signal_stop(loop->ev, &loop->terminate);
    ev_signal_stop(loop->ev, &loop->interrupt);
    signals_end_at_once();
    list_for_each_safe(at, after, &loop->listeners)
        listener_free(list_entry(at, struct listener, link));
    loop->accept_ms = 0;
    list_for_each(at, &loop->services)
        service_shutdown(service_at(at));
}

static size_t conversations(const struct loop *loop)
{
    size_t count = 0;
    list_for_each(at, &loop->sockets)
        count++;
    return count;
}

static void on_signal(struct ev_loop *ev, ev_signal *watcher, int events)
{
    (void)ev;
    (void)events;
    struct loop *loop = watcher->data;
    if (loop->state != LOOP_RUNNING)
        return;
    log_event(loop->log, EVENT_stopping, "reason=%s connections=%zu",
              watcher->signum == SIGINT ? "SIGINT" : "SIGTERM", conversations(loop));
    begin_stop(loop, LOOP_STOPPING, STOP_MS);
}

/* The store's counters, and how long turns took, for whoever measures or tests. */
static void on_report(struct ev_loop *ev, ev_signal *watcher, int events)
{
    (void)ev;
    (void)events;
    struct loop *loop = watcher->data;
    const struct store_stats *stats = store_stats(loop->store);
    const struct {
        const char *name;
        uint64_t value;
    } rows[] = {
        {"syncs", stats->syncs},
        {"messages_written", stats->messages_written},
        {"records_elided", stats->records_elided},
        {"settles_written", stats->settles_written},
        {"marks_written", stats->marks_written},
        {"segments_rolled", stats->segments_rolled},
        {"segments_retired", stats->segments_retired},
        {"segments_recycled", stats->segments_recycled},
        {"chunks_spilled", stats->chunks_spilled},
        {"chunks_loaded", stats->chunks_loaded},
        {"bodies_read", stats->bodies_read},
        {"checkpoints", stats->checkpoints},
        {"compactions", stats->compactions},
        {"messages_moved", stats->messages_moved},
        {"messages_refused", stats->messages_refused},
        {"replayed_batches", stats->replayed_batches},
        {"damaged", stats->damaged},
        {"chunks_damaged", stats->chunks_damaged},
    };
    char line[TURNS_TEXT] = "";
    size_t size = 0;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        size += (size_t)snprintf(line + size, sizeof(line) - size, " %s=%llu", rows[i].name,
                                 (unsigned long long)rows[i].value);
    log_event(loop->log, EVENT_store_stats, "%s", line + 1);
    turns_text(&loop->turns, line);
    log_event(loop->log, EVENT_turn_stats, "%s", line + 1);
}

/* New certificates. The old ones stay in use when these are not good. */
static void on_hangup(struct ev_loop *ev, ev_signal *watcher, int events)
{
    (void)ev;
    (void)events;
    const struct loop *loop = watcher->data;
    char error[512];
    if (!loop->tls)
        log_event(loop->log, EVENT_nothing_to_reload, "reason=\"no listener has TLS\"");
    else if (tls_context_reload(loop->tls, error, sizeof(error)))
        log_event(loop->log, EVENT_tls_reloaded, "reason=SIGHUP");
    else
        log_event(loop->log, EVENT_tls_not_reloaded, "reason=%s", error);
}

static void on_wake(struct ev_loop *ev, ev_async *watcher, int events)
{
    (void)ev;
    (void)watcher;
    (void)events;
}

static void on_deadline(struct ev_loop *ev, ev_timer *watcher, int events)
{
    (void)ev;
    (void)watcher;
    (void)events;
}

/* When a service needs its next tick. */
static uint64_t next_tick_ms(const struct loop *loop)
{
    uint64_t next_ms = UINT64_MAX;
    list_for_each(at, &loop->services) {
        uint64_t at_ms = service_next_ms(service_at(at));
        next_ms = at_ms < next_ms ? at_ms : next_ms;
    }
    return next_ms;
}

static void tick(struct loop *loop)
{
    uint64_t clock_ms = clock_wall_ms();
    loop->ticked_ms = loop->now_ms;
    list_for_each(at, &loop->services)
        service_tick(service_at(at), loop->now_ms, clock_ms);
    loop->next_ms = next_tick_ms(loop);
}

/* Before what happened is handed out: after a long silence the services would time it by a clock that
 * has stood still. When something is due, input must come first all the same: a peer whose
 * heartbeat lies in the socket is not dead. */
static void on_woken(struct ev_loop *ev, ev_check *watcher, int events)
{
    (void)ev;
    (void)events;
    struct loop *loop = watcher->data;
    uint64_t now_us = clock_monotonic_us();
    loop->now_ms = now_us / 1000;
    turns_begin(&loop->turns, now_us);
    if (loop->now_ms - loop->ticked_ms > STALE_MS && loop->next_ms > loop->now_ms)
        tick(loop);
}

static size_t sockets_for(size_t descriptors)
{
    size_t reserve = descriptors / 2 < STORE_DESCRIPTORS ? descriptors / 2 : STORE_DESCRIPTORS;
    return descriptors - reserve;
}

struct loop *loop_new(const struct log *log, size_t descriptors, size_t io_threads,
                      uint64_t slow_turn_ms)
{
    struct ev_loop *ev = ev_loop_new(EVFLAG_NOENV | EVBACKEND_EPOLL);
    if (!ev)
        ev = ev_loop_new(EVFLAG_NOENV);
    if (!ev)
        return NULL;
    struct loop *loop = mem_zalloc(sizeof(*loop));
    loop->ev = ev;
    loop->log = log;
    loop->now_ms = clock_monotonic_ms();
    loop->sockets_max = sockets_for(descriptors);
    loop->input = mem_alloc(SOCKET_INPUT_BYTES);
    list_init(&loop->services);
    list_init(&loop->listeners);
    list_init(&loop->sockets);
    list_init(&loop->unread);
    list_init(&loop->lingering);
    ev_check_init(&loop->woken, on_woken);
    ev_set_priority(&loop->woken, EV_MAXPRI);
    loop->woken.data = loop;
    ev_timer_init(&loop->deadline, on_deadline, 0, 0);
    ev_async_init(&loop->wake, on_wake);
    ev_async_start(ev, &loop->wake);
    ev_signal_init(&loop->terminate, on_signal, SIGTERM);
    ev_signal_init(&loop->interrupt, on_signal, SIGINT);
    ev_signal_init(&loop->report, on_report, SIGUSR1);
    ev_signal_init(&loop->hangup, on_hangup, SIGHUP);
    loop->report.data = loop;
    loop->hangup.data = loop;
    loop->terminate.data = loop;
    loop->interrupt.data = loop;
    loop->io_threads = io_threads;
    turns_init(&loop->turns, clock_coarse_us, clock_thread_us, log, slow_turn_ms);
    return loop;
}

static void free_all(struct list *sockets)
{
    list_for_each_safe(at, after, sockets) socket_free(list_entry(at, struct socket, link));
}

void loop_free(struct loop *loop)
{
    if (!loop)
        return;
    list_for_each_safe(at, after, &loop->listeners)
        listener_free(list_entry(at, struct listener, link));
    ev_async_stop(loop->ev, &loop->wake);
    ev_loop_destroy(loop->ev);
    mem_free(loop->input);
    mem_free(loop);
}

int loop_bind(struct loop *loop, const struct address *address, struct tls_context *tls,
              struct service *const *service)
{
    if (tls)
        loop->tls = tls;
    return listener_new(loop, address, tls, service);
}

void loop_add(struct loop *loop, struct service *service)
{
    list_push_back(&loop->services, &service->link);
}

void loop_wake(void *context)
{
    struct loop *loop = context;
    ev_async_send(loop->ev, &loop->wake);
}

/* When the next turn must be, if nothing happens before. */
static uint64_t next_turn_ms(const struct loop *loop)
{
    uint64_t next_ms = list_is_empty(&loop->unread) ? loop->next_ms : 0;
    const struct list *link = list_first(&loop->lingering);
    if (link && list_entry(link, struct socket, link)->linger_ms < next_ms)
        next_ms = list_entry(link, struct socket, link)->linger_ms;
    if (loop->look_ms && loop->look_ms < next_ms)
        next_ms = loop->look_ms;
    if (loop->accept_ms && loop->accept_ms < next_ms)
        next_ms = loop->accept_ms;
    if (loop->state != LOOP_RUNNING && loop->stop_ms < next_ms)
        next_ms = loop->stop_ms;
    return next_ms;
}

static void wait_for_sockets(struct loop *loop)
{
    uint64_t next_ms = next_turn_ms(loop);
    if (next_ms <= loop->now_ms) {
        ev_run(loop->ev, EVRUN_NOWAIT);
        return;
    }
    ev_timer_stop(loop->ev, &loop->deadline);
    if (next_ms != UINT64_MAX) {
        ev_now_update(loop->ev);
        ev_timer_set(&loop->deadline, (double)(next_ms - loop->now_ms) / 1000, 0.);
        ev_timer_start(loop->ev, &loop->deadline);
    }
    ev_run(loop->ev, EVRUN_ONCE);
}

/* Waits for events, or the next deadline, and hands out what there is: what was left unread, and what
 * I/O threads have brought, as well. */
static void wait_for_events(struct loop *loop)
{
    struct list unread;
    loop->handshakes = 0;
    wait_for_sockets(loop);
    list_init(&unread);
    list_append_all(&unread, &loop->unread);
    sockets_read(&unread);
    sockets_collect(loop);
}

static bool has_failed(const struct loop *loop)
{
    list_for_each(at, &loop->services)
        if (service_failure(service_at(at)))
            return true;
    return false;
}

static void check_failure(struct loop *loop)
{
    if (loop->state == LOOP_FAILING || !has_failed(loop))
        return;
    log_event(loop->log, EVENT_stopping, "reason=store_failed connections=%zu",
              conversations(loop));
    begin_stop(loop, LOOP_FAILING, FAIL_MS);
}

/* One whose output, end or wish for input has to be looked at; NULL: no service has any. */
static struct conversation *take_writable(struct loop *loop)
{
    struct conversation *conversation = NULL;
    for (struct list *at = loop->services.next; !conversation && at != &loop->services;
         at = at->next)
        conversation = service_take_writable(service_at(at));
    return conversation;
}

/* More than the store gives back in its tick, as long as it takes little time. */
static void give_memory_back(const struct loop *loop)
{
    if (!store_give_memory_back(loop->store))
        return;
    uint64_t until_us = clock_monotonic_us() + GIVE_US;
    while (clock_monotonic_us() < until_us && store_give_memory_back(loop->store))
        continue;
}

/* What follows the input. */
static void turn(struct loop *loop)
{
    struct conversation *conversation;
    tick(loop);
    check_failure(loop);
    steps_next(&loop->turns.steps, "output");
    while ((conversation = take_writable(loop)))
        socket_flush(conversation->owner);
    steps_next(&loop->turns.steps, "sockets");
    sockets_drop_gone(loop);
    socket_end_lingering(loop);
    listeners_resume(loop);
    steps_next(&loop->turns.steps, "memory");
    give_memory_back(loop);
    loop->next_ms = next_tick_ms(loop);
    turns_end(&loop->turns, clock_monotonic_us());
}

static bool is_over(const struct loop *loop)
{
    if (loop->state == LOOP_RUNNING)
        return false;
    return loop->sockets_count == 0 || loop->now_ms >= loop->stop_ms;
}

static int start_listeners(struct loop *loop)
{
    list_for_each(at, &loop->listeners) {
        struct listener *listener = list_entry(at, struct listener, link);
        int error = listener_start(listener);
        if (error) {
            address_write(&listener->address, loop->where);
            return error;
        }
    }
    return 0;
}

static void begin(struct loop *loop)
{
    ev_signal_start(loop->ev, &loop->terminate);
    ev_signal_start(loop->ev, &loop->interrupt);
    ev_signal_start(loop->ev, &loop->report);
    ev_signal_start(loop->ev, &loop->hangup);
    ev_check_start(loop->ev, &loop->woken);
}

static void end(struct loop *loop)
{
    ev_signal_stop(loop->ev, &loop->terminate);
    ev_signal_stop(loop->ev, &loop->interrupt);
    ev_signal_stop(loop->ev, &loop->report);
    ev_signal_stop(loop->ev, &loop->hangup);
    signals_end_at_once(); /* libev leaves the defaults, by which some would end the process */
    ev_check_stop(loop->ev, &loop->woken);
    free_all(&loop->sockets);
    free_all(&loop->lingering);
    transfers_free(&loop->transfers);
}

int loop_run(struct loop *loop, struct store *store)
{
    loop->store = store;
    uint64_t now_us = clock_monotonic_us();
    loop->now_ms = now_us / 1000;
    turns_begin(&loop->turns, now_us);
    if (!transfers_init(&loop->transfers, loop->io_threads, loop_wake, loop)) {
        transfers_free(&loop->transfers);
        return EAGAIN;
    }
    begin(loop);
    int error = start_listeners(loop);
    if (!error) {
        log_event(loop->log, EVENT_started, "message=\"Server startup complete\"");
        for (turn(loop); !is_over(loop); turn(loop))
            wait_for_events(loop);
    }
    end(loop);
    if (error)
        return error;
    return loop->state == LOOP_FAILING ? -1 : 0;
}
