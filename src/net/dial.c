/* A dial is a socket that is being connected, or waits for its name. All of it is bounded by the
 * patience of its call. */
#include "net/dial.h"

#include <ev.h>

#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <unistd.h>

#include "base/mem.h"
#include "net/loop.h"

struct dial {
    struct list link; /* in the loop's */
    struct loop *loop;
    struct outcall *call; /* NULL: nobody waits any more, and the name is still being looked up */
    struct job job;
    bool is_looking;
    struct endpoint endpoint;
    struct address addresses[ENDPOINT_ADDRESSES_MAX];
    size_t count, next;
    const char *lookup_error;
    uint64_t until_ms;
    int fd; /* -1: none */
    ev_io writable;
    bool is_other_error; /* than that an address has refused it */
    int error;
};

void dials_init(struct dials *dials)
{
    *dials = (struct dials){.tls = NULL};
    list_init(&dials->all);
}

static void close_socket(struct dial *dial)
{
    ev_io_stop(dial->loop->ev, &dial->writable);
    if (dial->fd >= 0)
        close(dial->fd);
    dial->fd = -1;
}

static void free_dial(struct dial *dial)
{
    close_socket(dial);
    list_remove(&dial->link);
    mem_free(dial);
}

/* Its job keeps it, if there is one. */
static void fail(struct dial *dial, bool is_refused, const char *reason)
{
    struct outcall *call = dial->call;
    dial->call = NULL;
    if (!dial->is_looking)
        free_dial(dial);
    call->ops->failed(call, is_refused, reason);
}

static void succeed(struct dial *dial)
{
    struct loop *loop = dial->loop;
    struct outcall *call = dial->call;
    const struct address peer = dial->addresses[dial->next - 1];
    int fd = dial->fd;
    ev_io_stop(loop->ev, &dial->writable);
    dial->fd = -1;
    free_dial(dial);
    socket_new_dialed(loop, fd, &peer, loop->dials.tls, call);
}

static void set(int fd, int level, int name, int value)
{
    setsockopt(fd, level, name, &value, sizeof(value));
}

static void note_error(struct dial *dial, int error)
{
    dial->error = error;
    dial->is_other_error |= error != ECONNREFUSED;
    close_socket(dial);
}

static void on_writable(struct ev_loop *ev, ev_io *watcher, int events);

/* Begins to connect to the next address. False: that failed at once. */
static bool begin(struct dial *dial)
{
    const struct address *address = &dial->addresses[dial->next++];
    dial->fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (dial->fd < 0) {
        note_error(dial, errno);
        return false;
    }
    set(dial->fd, IPPROTO_TCP, TCP_NODELAY, 1);
    set(dial->fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    set(dial->fd, IPPROTO_TCP, TCP_USER_TIMEOUT, (int)dial->call->unanswered_ms);
    ev_io_init(&dial->writable, on_writable, dial->fd, EV_WRITE);
    dial->writable.data = dial;
    if (connect(dial->fd, &address->any, address_size(address)) < 0 && errno != EINPROGRESS) {
        note_error(dial, errno);
        return false;
    }
    ev_io_start(dial->loop->ev, &dial->writable);
    return true;
}

/* Who has refused at all addresses does not listen. */
static void go_on(struct dial *dial)
{
    while (dial->next < dial->count)
        if (begin(dial))
            return;
    fail(dial, !dial->is_other_error, strerror(dial->error));
}

static void on_writable(struct ev_loop *ev, ev_io *watcher, int events)
{
    struct dial *dial = watcher->data;
    int error = 0;
    socklen_t size = sizeof(error);
    (void)ev;
    (void)events;
    if (getsockopt(dial->fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0)
        error = errno;
    if (error) {
        note_error(dial, error);
        go_on(dial);
        return;
    }
    succeed(dial);
}

/* ---- names ---- */

static void look_up(struct job *job)
{
    struct dial *dial = list_entry(job, struct dial, job);
    dial->lookup_error = endpoint_addresses(&dial->endpoint, dial->addresses, &dial->count);
}

static void looked_up(struct job *job)
{
    struct dial *dial = list_entry(job, struct dial, job);
    dial->is_looking = false;
    if (!dial->call)
        free_dial(dial);
    else if (dial->lookup_error || dial->count == 0)
        fail(dial, false, dial->lookup_error ? dial->lookup_error : "the name has no address");
    else
        go_on(dial);
}

/* Is it an address already? */
static bool is_numeric(const char *host)
{
    return host[strspn(host, "0123456789abcdefABCDEF:.%")] == '\0' &&
           (strchr(host, ':') || host[strspn(host, "0123456789.")] == '\0');
}

static void begin_look_up(struct dial *dial)
{
    struct loop *loop = dial->loop;
    dial->job = (struct job){.run = look_up, .done = looked_up};
    list_init(&dial->job.link);
    dial->is_looking = true;
    if (is_numeric(dial->endpoint.host)) {
        look_up(&dial->job);
        looked_up(&dial->job);
        return;
    }
    if (!loop->dials.names)
        loop->dials.names = worker_thread_new("names", loop_wake, loop);
    if (loop->dials.names) {
        loop->dials.names->ops->submit(loop->dials.names, &dial->job);
        return;
    }
    dial->is_looking = false;
    fail(dial, false, "no thread can be started that would look its name up");
}

void dial_new(struct loop *loop, struct outcall *call)
{
    struct dial *dial = mem_zalloc(sizeof(*dial));
    dial->loop = loop;
    dial->call = call;
    dial->fd = -1;
    dial->until_ms = loop->now_ms + call->patience_ms;
    dial->endpoint.port = call->port;
    snprintf(dial->endpoint.host, sizeof(dial->endpoint.host), "%s", call->host);
    ev_io_init(&dial->writable, on_writable, 0, EV_WRITE);
    list_push_back(&loop->dials.all, &dial->link);
    begin_look_up(dial);
}

/* ---- of a loop ---- */

void dials_tick(struct loop *loop)
{
    struct worker *names = loop->dials.names;
    struct job *job;
    while (names && (job = names->ops->finished(names)))
        job->done(job);
    list_for_each_safe(at, after, &loop->dials.all) {
        struct dial *dial = list_entry(at, struct dial, link);
        if (dial->call && loop->now_ms >= dial->until_ms)
            fail(dial, false, strerror(ETIMEDOUT));
    }
}

uint64_t dials_next_ms(const struct dials *dials)
{
    uint64_t next_ms = UINT64_MAX;
    list_for_each(at, &dials->all) {
        const struct dial *dial = list_entry(at, struct dial, link);
        if (dial->call && dial->until_ms < next_ms)
            next_ms = dial->until_ms;
    }
    return next_ms;
}

void dials_close(struct loop *loop)
{
    struct dials *dials = &loop->dials;
    if (dials->names)
        dials->names->ops->drain(dials->names);
    worker_thread_free(dials->names);
    dials->names = NULL;
    list_for_each_safe(at, after, &dials->all)
        free_dial(list_entry(at, struct dial, link));
}
