/* The turn, by hand around libev: ev_run waits once and hands out what happened (sockets read into
 * their conversations, listeners accept); the rest of the turn follows in plain sight below.
 * Deadlines of all kinds are one timer, set to the earliest. */
#include "net/loop.h"

#include <errno.h>

#include "base/mem.h"
#include "base/timer.h"
#include "net/clock.h"
#include "net/memory.h"
#include "net/signals.h"

enum {
    STOP_MS = 5000, /* for conversations to come to their end */
    FAIL_MS = 2000, /* the same, when a service has failed */
    STALE_MS = 50,  /* age beyond which the services' idea of the time is renewed before input */
};

static struct service *service_at(struct list *link)
{
    return list_entry(link, struct service, link);
}

static void begin_stop(struct loop *loop, const char *reason, enum loop_state state,
                       uint64_t patience_ms)
{
    log_event(loop->log, EVENT_stopping, "reason=%s connections=%zu", reason,
              sockets_conversations(&loop->sockets));
    loop->state = state;
    loop->stop_ms = loop->now_ms + patience_ms;
    ev_signal_stop(loop->ev, &loop->terminate);
    ev_signal_stop(loop->ev, &loop->interrupt);
    signals_stop();
    listeners_close(loop);
    sockets_drop_greetings(loop);
    list_for_each(at, &loop->services)
        service_shutdown(service_at(at));
}

static void on_signal(struct ev_loop *ev, ev_signal *watcher, int events)
{
    (void)ev;
    (void)events;
    struct loop *loop = watcher->data;
    if (loop->state != LOOP_RUNNING)
        return;
    signals_came(watcher->signum);
    begin_stop(loop, signals_asked(), LOOP_STOPPING, STOP_MS);
}

static void on_hangup(struct ev_loop *ev, ev_signal *watcher, int events)
{
    (void)ev;
    (void)events;
    struct loop *loop = watcher->data;
    if (loop->on_hangup)
        loop->on_hangup(loop->hangup_context);
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
    list_for_each(at, &loop->services)
        next_ms = earlier(next_ms, service_next_ms(service_at(at)));
    return next_ms;
}

/* A turn begins, and has its time by both clocks. */
static void begin_turn(struct loop *loop)
{
    uint64_t now_us = clock_monotonic_us();
    loop->clock_ms = clock_wall_ms();
    loop->now_ms = now_us / 1000;
    turns_begin(&loop->turns, now_us);
}

static void tick(struct loop *loop)
{
    loop->ticked_ms = loop->now_ms;
    list_for_each(at, &loop->services)
        service_tick(service_at(at), loop->now_ms, loop->clock_ms);
    loop->next_ms = next_tick_ms(loop);
}

static void wake_services(struct loop *loop)
{
    list_for_each(at, &loop->services)
        service_woken(service_at(at), loop->now_ms);
}

/* Before what happened is handed out: after a long silence the services would time it by a clock
 * that has stood still. When something is due, input must come first all the same: a peer whose
 * heartbeat lies in the socket is not dead. */
static void on_woken(struct ev_loop *ev, ev_check *watcher, int events)
{
    (void)ev;
    (void)events;
    struct loop *loop = watcher->data;
    begin_turn(loop);
    if (loop->now_ms - loop->ticked_ms > STALE_MS && loop->next_ms > loop->now_ms)
        tick(loop);
    wake_services(loop);
}

void loop_received(struct loop *loop)
{
    uint64_t now_ms = clock_monotonic_ms();
    if (now_ms == loop->now_ms)
        return;
    loop->now_ms = now_ms;
    wake_services(loop);
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
    sockets_init(&loop->sockets, descriptors, io_threads);
    listeners_init(&loop->listeners);
    dials_init(&loop->dials);
    list_init(&loop->services);
    ev_check_init(&loop->woken, on_woken);
    ev_set_priority(&loop->woken, EV_MAXPRI);
    loop->woken.data = loop;
    ev_timer_init(&loop->deadline, on_deadline, 0, 0);
    ev_async_init(&loop->wake, on_wake);
    ev_async_start(ev, &loop->wake);
    ev_signal_init(&loop->terminate, on_signal, SIGTERM);
    ev_signal_init(&loop->interrupt, on_signal, SIGINT);
    ev_signal_init(&loop->hangup, on_hangup, SIGHUP);
    loop->hangup.data = loop;
    loop->terminate.data = loop;
    loop->interrupt.data = loop;
    turns_init(&loop->turns, clock_coarse_us, clock_thread_us, log, slow_turn_ms);
    return loop;
}

void loop_free(struct loop *loop)
{
    if (!loop)
        return;
    listeners_close(loop);
    ev_async_stop(loop->ev, &loop->wake);
    ev_loop_destroy(loop->ev);
    sockets_free(&loop->sockets);
    listeners_free(&loop->listeners);
    mem_free(loop);
}

int loop_bind(struct loop *loop, const struct address *address, struct tls_context *tls,
              struct service *const *service)
{
    return listener_new(loop, address, tls, service);
}

int loop_bind_usual(struct loop *loop, const struct address *address, struct tls_context *tls,
                    struct service *const *service)
{
    return listener_new_usual(loop, address, tls, service);
}

int loop_bind_path(struct loop *loop, const struct path_place *place,
                   struct service *const *service)
{
    return listener_new_at_path(loop, place, service);
}

void loop_stop(struct loop *loop, const char *reason)
{
    loop->stop_reason = reason;
}

void loop_end(struct loop *loop)
{
    loop->state = LOOP_STOPPING;
    loop->stop_ms = loop->now_ms;
    listeners_close(loop);
}

void loop_add(struct loop *loop, struct service *service)
{
    list_push_back(&loop->services, &service->link);
}

void loop_call_by(struct loop *loop, struct tls_context *tls)
{
    loop->dials.tls = tls;
}

void loop_at_hangup(struct loop *loop, void (*call)(void *context), void *context)
{
    loop->on_hangup = call;
    loop->hangup_context = context;
}

void loop_wake(void *context)
{
    struct loop *loop = context;
    ev_async_send(loop->ev, &loop->wake);
}

/* When the next turn must be, if nothing happens before. */
static uint64_t next_turn_ms(const struct loop *loop)
{
    uint64_t next_ms = earlier(loop->next_ms, sockets_next_ms(&loop->sockets));
    next_ms = earlier(next_ms, listeners_next_ms(&loop->listeners));
    next_ms = earlier(next_ms, dials_next_ms(&loop->dials));
    return loop->state == LOOP_RUNNING ? next_ms : earlier(next_ms, loop->stop_ms);
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
    wait_for_sockets(loop);
    sockets_read_on(loop);
    sockets_collect(loop);
}

static bool has_failed(const struct loop *loop)
{
    list_for_each(at, &loop->services)
        if (service_failure(service_at(at)))
            return true;
    return false;
}

static void check_stop(struct loop *loop)
{
    if (loop->state == LOOP_RUNNING && loop->stop_reason)
        begin_stop(loop, loop->stop_reason, LOOP_STOPPING, STOP_MS);
}

static void check_failure(struct loop *loop)
{
    if (loop->state == LOOP_FAILING || !has_failed(loop))
        return;
    begin_stop(loop, "store_failed", LOOP_FAILING, FAIL_MS);
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

/* Connects to whom services wish. */
static void begin_calls(struct loop *loop)
{
    struct outcall *call;
    dials_tick(loop);
    list_for_each(at, &loop->services)
        while ((call = service_take_call(service_at(at))))
            dial_new(loop, call);
}

/* What follows the input. */
static void turn(struct loop *loop)
{
    struct conversation *conversation;
    tick(loop);
    check_failure(loop);
    check_stop(loop);
    begin_calls(loop);
    steps_next(&loop->turns.steps, "output");
    while ((conversation = take_writable(loop)))
        socket_flush(conversation->owner);
    steps_next(&loop->turns.steps, "sockets");
    sockets_drop_gone(loop);
    sockets_drop_handshakes(loop);
    sockets_end_lingering(loop);
    listeners_resume(loop);
    steps_next(&loop->turns.steps, "memory");
    memory_give_back(loop->store);
    loop->next_ms = next_tick_ms(loop);
    turns_end(&loop->turns, clock_monotonic_us());
}

static bool is_over(const struct loop *loop)
{
    if (loop->state == LOOP_RUNNING)
        return false;
    return loop->sockets.count == 0 || loop->now_ms >= loop->stop_ms;
}

static void begin(struct loop *loop)
{
    ev_signal_start(loop->ev, &loop->terminate);
    ev_signal_start(loop->ev, &loop->interrupt);
    report_start(&loop->report, loop->ev, loop->log, loop->store, &loop->turns);
    ev_signal_start(loop->ev, &loop->hangup);
    ev_check_start(loop->ev, &loop->woken);
}

static void end(struct loop *loop)
{
    ev_signal_stop(loop->ev, &loop->terminate);
    ev_signal_stop(loop->ev, &loop->interrupt);
    report_stop(&loop->report, loop->ev);
    ev_signal_stop(loop->ev, &loop->hangup);
    signals_stop(); /* libev leaves the defaults, by which some would end the process */
    ev_check_stop(loop->ev, &loop->woken);
    dials_close(loop);
    sockets_close(loop);
}

int loop_run(struct loop *loop, struct store *store)
{
    loop->store = store;
    begin_turn(loop);
    if (!sockets_start(loop))
        return EAGAIN;
    begin(loop);
    signals_hand_over();
    if (signals_asked())
        begin_stop(loop, signals_asked(), LOOP_STOPPING, STOP_MS);
    int error = loop->state == LOOP_RUNNING ? listeners_start(loop) : 0;
    if (!error && loop->state == LOOP_RUNNING) {
        log_event(loop->log, EVENT_started, "message=\"Server startup complete\"");
        for (turn(loop); !is_over(loop); turn(loop))
            wait_for_events(loop);
    }
    end(loop);
    if (error)
        return error;
    return loop->state == LOOP_FAILING ? -1 : 0;
}
