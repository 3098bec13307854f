/* Listeners bind before the store is opened, so that a port in use stops the daemon before it has
 * touched anything, and listen after, so that nobody waits for a broker that is not there yet.
 *
 * Each turn accepts a bounded number of peers. When descriptors run out, all listeners rest: the
 * peers that are there are served on, and those who wait do so in the kernel's queue. */
#include "net/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/mem.h"
#include "net/loop.h"

enum {
    BACKLOG = 1024,
    ACCEPTS_PER_TURN = 64,
    REST_MS = 100,
    COMPLAINT_MS = 10000,
    KEEPALIVE_IDLE_S = 60,
    KEEPALIVE_INTERVAL_S = 15,
    KEEPALIVE_COUNT = 4,
    HANDSHAKE_MS = 10000,
    UNANSWERED_MS = 120000, /* what was sent and not taken for so long ends the connection */
};

static int set(int fd, int level, int name, int value)
{
    return setsockopt(fd, level, name, &value, sizeof(value));
}

/* Of a socket that is to be bound. */
static int set_bind_options(int fd, const struct address *address)
{
    if (set(fd, SOL_SOCKET, SO_REUSEADDR, 1) < 0)
        return -1;
    return address->any.sa_family == AF_INET6 ? set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1) : 0;
}

/* Linux gives an accepted socket the options of its listener, which saves calls for each peer. */
static int set_options(int fd, const struct listener_options *options)
{
    if (set(fd, IPPROTO_TCP, TCP_NODELAY, options->nodelay) < 0 ||
        set(fd, SOL_SOCKET, SO_KEEPALIVE, options->keepalive) < 0)
        return -1;
    if (options->sndbuf)
        set(fd, SOL_SOCKET, SO_SNDBUF, (int)options->sndbuf);
    if (options->recbuf)
        set(fd, SOL_SOCKET, SO_RCVBUF, (int)options->recbuf);
    set(fd, IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE_S);
    set(fd, IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S);
    set(fd, IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_COUNT);
    set(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, UNANSWERED_MS);
    return 0;
}

static bool has_room(struct loop *loop)
{
    if (loop->sockets.count < loop->sockets.max)
        return true;
    sockets_end_oldest_lingering(loop);
    return loop->sockets.count < loop->sockets.max;
}

/* All stop accepting for a moment, as descriptors are short: the kernel keeps who comes. */
static void listeners_rest(struct loop *loop, const char *why)
{
    struct listeners *listeners = &loop->listeners;
    list_for_each(at, &listeners->all)
        ev_io_stop(loop->ev, &list_entry(at, struct listener, link)->readable);
    listeners->accept_ms = loop->now_ms + REST_MS;
    if (listeners->complained_ms && loop->now_ms - listeners->complained_ms < COMPLAINT_MS)
        return;
    listeners->complained_ms = loop->now_ms;
    log_event(loop->log, EVENT_accept_paused, "connections=%zu reason=%s", loop->sockets.count,
              why);
}

/* Those with limits accept no more before the next one may come: the kernel keeps the others. */
static bool may_take(struct listener *listener)
{
    struct listeners *listeners = &listener->loop->listeners;
    if (!listener->limits || admission_may_take(&listeners->admission, listener->limits, listener->loop->now_ms))
        return true;
    listeners->limited_ms = admission_next_ms(&listeners->admission, listener->limits);
    list_for_each(at, &listeners->all) {
        struct listener *other = list_entry(at, struct listener, link);
        if (other->limits)
            ev_io_stop(listener->loop->ev, &other->readable);
    }
    return false;
}

/* Takes one peer; false when there is none, or no room for it. */
static bool accept_one(struct listener *listener)
{
    struct loop *loop = listener->loop;
    if (!has_room(loop)) {
        listeners_rest(loop, "as many connections as descriptors allow");
        return false;
    }
    if (!may_take(listener))
        return false;
    struct address peer = {0};
    socklen_t size = sizeof(peer);
    int fd = accept4(listener->fd, &peer.any, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
        address_unmap(&peer);
        if (listener->limits)
            admission_took(&loop->listeners.admission);
        socket_new(loop, fd, &peer, listener);
        return true;
    }
    switch (errno) {
    case EAGAIN:
        return false;
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
        listeners_rest(loop, strerror(errno));
        sockets_end_oldest_lingering(loop);
        return false;
    default: /* that peer has gone, or its network has: the next one may be well */
        return true;
    }
}

static void on_readable(struct ev_loop *ev, ev_io *watcher, int events)
{
    (void)ev;
    (void)events;
    struct listener *listener = watcher->data;
    for (int i = 0; i < ACCEPTS_PER_TURN && accept_one(listener); i++)
        continue;
}

struct listener_options listener_options_default(void)
{
    return (struct listener_options){
        .backlog = BACKLOG, .nodelay = true, .keepalive = true, .handshake_ms = HANDSHAKE_MS};
}

void listeners_init(struct listeners *listeners)
{
    *listeners = (struct listeners){.options = listener_options_default()};
    list_init(&listeners->all);
    uint64_t seed = 0;
    if (getrandom(&seed, sizeof(seed), 0) < 0)
        seed = (uint64_t)(uintptr_t)listeners;
    admission_init(&listeners->admission, seed);
}

void listeners_free(struct listeners *listeners)
{
    admission_free(&listeners->admission);
}

static bool is_unix(const struct listener *listener)
{
    return listener->address.any.sa_family == AF_UNIX;
}

static void close_socket(struct listener *listener)
{
    ev_io_stop(listener->loop->ev, &listener->readable);
    if (listener->fd >= 0)
        close(listener->fd);
    listener->fd = -1;
}

static void free_listener(struct listener *listener)
{
    if (listener->inherited && listener->fd < 0)
        listen(listener->inherited->fd, (int)listener->loop->listeners.options.backlog);
    close_socket(listener);
    if (is_unix(listener))
        path_remove(&listener->path);
    list_remove(&listener->link);
    mem_free(listener);
}

/* Negative, and errno: there is none. */
static int copy_inherited(struct inherited_socket *inherited)
{
    return fcntl(inherited->fd, F_DUPFD_CLOEXEC, 0);
}

/* With a socket that is not bound yet, or a copy of the inherited one; NULL, and errno: there is none. */
static struct listener *make(struct loop *loop, sa_family_t family, struct inherited_socket *inherited,
                             struct service *const *service)
{
    int fd = inherited ? copy_inherited(inherited) : socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return NULL;
    struct listener *listener = mem_zalloc(sizeof(*listener));
    listener->loop = loop;
    listener->fd = fd;
    listener->address.any.sa_family = family;
    listener->inherited = inherited;
    listener->service = service;
    listener->proxy = loop->listeners.options.proxy;
    listener->limits = loop->listeners.options.limits;
    ev_io_init(&listener->readable, on_readable, fd, EV_READ);
    listener->readable.data = listener;
    list_push_back(&loop->listeners.all, &listener->link);
    return listener;
}

/* Its address is the one that it has got then. 0 or an errno value. */
static int bind_to(struct listener *listener, const struct address *address)
{
    socklen_t size = sizeof(listener->address);
    bool is_bound = set_bind_options(listener->fd, address) == 0 &&
                    set_options(listener->fd, &listener->loop->listeners.options) == 0 &&
                    bind(listener->fd, &address->any, address_size(address)) == 0 &&
                    getsockname(listener->fd, &listener->address.any, &size) == 0;
    return is_bound ? 0 : errno;
}

static struct listener *of_inherited(const struct loop *loop, const struct inherited_socket *inherited)
{
    list_for_each(at, &loop->listeners.all) {
        struct listener *listener = list_entry(at, struct listener, link);
        if (listener->inherited == inherited)
            return listener;
    }
    return NULL;
}

/* One socket may be at both addresses that mean everywhere: the second one is there with the first. */
static int take_inherited(struct loop *loop, struct inherited_socket *inherited, struct tls_context *tls,
                          struct service *const *service)
{
    const struct listener *other = of_inherited(loop, inherited);
    if (other)
        return inherited->is_dual && other->tls == tls && other->service == service ? 0 : EADDRINUSE;
    struct listener *listener = make(loop, inherited->address.any.sa_family, inherited, service);
    if (!listener)
        return errno;
    inherited->is_used = true;
    listener->tls = tls;
    listener->address = inherited->address;
    return is_unix(listener) || set_options(listener->fd, &loop->listeners.options) == 0 ? 0 : errno;
}

int listener_new(struct loop *loop, const struct address *address, struct tls_context *tls,
                 struct service *const *service)
{
    struct inherited_socket *inherited = inherited_at(&loop->listeners.inherited, address);
    if (inherited)
        return take_inherited(loop, inherited, tls, service);
    struct listener *listener = make(loop, address->any.sa_family, NULL, service);
    if (!listener)
        return errno;
    listener->tls = tls;
    int error = bind_to(listener, address);
    if (error)
        free_listener(listener);
    return error;
}

int listener_new_usual(struct loop *loop, const struct address *address, struct tls_context *tls,
                       struct service *const *service)
{
    int error = listener_new(loop, address, tls, service);
    if (!error)
        list_entry(loop->listeners.all.prev, struct listener, link)->may_be_missing = true;
    return error;
}

int listener_new_at_path(struct loop *loop, const struct path_place *place,
                         struct service *const *service)
{
    struct inherited_socket *inherited = inherited_at_path(&loop->listeners.inherited, place->path);
    if (inherited && of_inherited(loop, inherited))
        return EADDRINUSE;
    struct listener *listener = make(loop, AF_UNIX, inherited, service);
    if (!listener)
        return errno;
    if (inherited)
        inherited->is_used = true;
    int error = inherited ? 0 : path_bind(&listener->path, place, listener->fd);
    listener->place = *place;
    listener->place.path = listener->place_path;
    snprintf(listener->place_path, sizeof(listener->place_path), "%s", place->path);
    if (error)
        free_listener(listener);
    return error;
}

static void write_place(const struct listener *listener, char text[LISTENER_TEXT_BYTES])
{
    if (is_unix(listener))
        snprintf(text, LISTENER_TEXT_BYTES, "unix:%s", listener->place_path);
    else
        address_write(&listener->address, text);
}

static void log_listening(const struct listener *listener)
{
    char text[LISTENER_TEXT_BYTES];
    const char *name = (*listener->service)->ops->name;
    write_place(listener, text);
    if (name)
        log_event(listener->loop->log, EVENT_listening,
                  listener->tls ? "address=%s protocol=%s tls=true" : "address=%s protocol=%s",
                  text, name);
    else
        log_event(listener->loop->log, EVENT_listening,
                  listener->tls ? "address=%s tls=true" : "address=%s", text);
}

static int start(struct listener *listener)
{
    if (listen(listener->fd, (int)listener->loop->listeners.options.backlog) < 0)
        return errno;
    int error = is_unix(listener) && !listener->inherited ? path_publish(&listener->path) : 0;
    if (error)
        return error;
    ev_io_start(listener->loop->ev, &listener->readable);
    log_listening(listener);
    return 0;
}

int listeners_start(struct loop *loop)
{
    list_for_each_safe(at, after, &loop->listeners.all) {
        struct listener *listener = list_entry(at, struct listener, link);
        int error = listener->fd < 0 ? 0 : start(listener);
        if (error == EADDRINUSE && listener->may_be_missing) {
            write_place(listener, loop->listeners.where);
            log_event(loop->log, EVENT_no_management, "address=%s reason=%s", loop->listeners.where,
                      strerror(error));
            free_listener(listener);
        } else if (error) {
            write_place(listener, loop->listeners.where);
            return error;
        }
    }
    inherited_log_unused(&loop->listeners.inherited, loop->log);
    return 0;
}

uint64_t listeners_next_ms(const struct listeners *listeners)
{
    uint64_t accept_ms = listeners->accept_ms ? listeners->accept_ms : UINT64_MAX;
    return listeners->limited_ms && listeners->limited_ms < accept_ms ? listeners->limited_ms : accept_ms;
}

/* Is it time? Then it is over. */
static bool is_over(uint64_t *rest_ms, uint64_t now_ms)
{
    if (*rest_ms > now_ms)
        return false;
    *rest_ms = 0;
    return true;
}

void listeners_resume(struct loop *loop)
{
    struct listeners *listeners = &loop->listeners;
    if (listeners->accept_ms == 0 && listeners->limited_ms == 0)
        return;
    bool may_all = is_over(&listeners->accept_ms, loop->now_ms);
    bool may_limited = is_over(&listeners->limited_ms, loop->now_ms);
    list_for_each(at, &listeners->all) {
        struct listener *listener = list_entry(at, struct listener, link);
        if (listener->fd >= 0 && may_all && (may_limited || !listener->limits))
            ev_io_start(loop->ev, &listener->readable);
    }
}

/* ---- while operators want no clients ---- */

void listeners_suspend(struct loop *loop, struct service *const *service)
{
    char text[LISTENER_TEXT_BYTES];
    list_for_each(at, &loop->listeners.all) {
        struct listener *listener = list_entry(at, struct listener, link);
        if (listener->service != service || listener->fd < 0)
            continue;
        if (listener->inherited && !is_unix(listener)) /* at a path it would never listen again */
            shutdown(listener->fd, SHUT_RD);
        close_socket(listener);
        if (is_unix(listener))
            path_remove(&listener->path);
        write_place(listener, text);
        log_event(loop->log, EVENT_listener_suspended, "address=%s", text);
    }
}

static int reopen(struct listener *listener)
{
    const struct address address = listener->address;
    int fd = listener->inherited ? copy_inherited(listener->inherited)
                                 : socket(address.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int error = 0;
    if (fd < 0)
        return errno;
    listener->fd = fd;
    ev_io_set(&listener->readable, fd, EV_READ);
    if (!listener->inherited)
        error = is_unix(listener) ? path_bind(&listener->path, &listener->place, fd) : bind_to(listener, &address);
    if (!error)
        error = start(listener);
    if (error)
        close_socket(listener);
    return error;
}

int listeners_reopen(struct loop *loop, struct service *const *service)
{
    list_for_each(at, &loop->listeners.all) {
        struct listener *listener = list_entry(at, struct listener, link);
        if (listener->service != service || listener->fd >= 0)
            continue;
        int error = reopen(listener);
        if (error) {
            write_place(listener, loop->listeners.where);
            return error;
        }
    }
    return 0;
}

void listeners_close(struct loop *loop)
{
    list_for_each_safe(at, after, &loop->listeners.all)
        free_listener(list_entry(at, struct listener, link));
    loop->listeners.accept_ms = 0;
    loop->listeners.limited_ms = 0;
}
