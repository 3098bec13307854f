/* Reading: all sockets share one buffer, since a conversation keeps only what it cannot act on yet.
 * A turn reads a bounded amount from each, so that no peer starves another.
 *
 * Writing: one sendmsg takes the conversation's output from where it lies. The socket is watched
 * for room only after the kernel has refused some.
 *
 * TLS stands between the two and the socket, and has bytes of its own: what it has decrypted, and
 * nobody has taken, makes no socket readable, so that such sockets are on a list for the next turn.
 * Its handshakes cost more than anything else that a stranger can ask for, and only some of them go
 * on in a turn.
 *
 * A proxy's header comes before all of that, TLS included. It is looked at where it lies in the socket, and
 * only its own bytes are taken, so that whoever reads next finds the rest; there is no conversation before it
 * is known with whom.
 *
 * I/O threads, if there are any, go on with what is much: reading a socket that has filled the
 * buffer, and sending large outputs. While a thread receives for a socket, its readability is not
 * watched; and what lies between (TLS) has one user at a time, so that the owner does neither while
 * a thread does one of both. What comes from the thread when the conversation wants nothing is kept
 * until it does.
 *
 * While an alarm blocks a conversation its socket is not read, so that the end of its peer would
 * not be noticed, and what it holds would last as long as the alarm, or make it last. Such sockets
 * are looked at every other second.
 *
 * Closing: the last thing said is often the reason why. If the socket
 * were closed while bytes from the peer lie unread, the kernel would answer with a reset, and that
 * makes the peer lose what it has not read. So our side is shut down, and what still comes is read
 * and dropped until the peer closes, too, or a few seconds have passed. */
#include "net/loop.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/mem.h"
#include "net/tls.h"

enum {
    READ_BUDGET = 256 << 10, /* for each turn */
    HANDSHAKES_PER_TURN = 8,
    LINGER_MS = 3000,
    LOOK_MS = 2000,
    COMPLAINT_MS = 10000,
    STORE_DESCRIPTORS = 256, /* kept for journal, index and the process itself */
};

/* Must the owner not read? */
static bool is_away(const struct socket *socket)
{
    return socket->receiving || socket->arrived || (socket->tls && socket->sending);
}

/* Watches for what the conversation wants. */
static void update_readable(struct socket *socket)
{
    bool wanted = !socket->conversation || conversation_wants_input(socket->conversation);
    bool watched = wanted && !is_away(socket);
    list_remove(&socket->unread_link);
    if (watched && socket->tls && tls_has_input(socket->tls))
        list_push_back(&socket->loop->sockets.unread, &socket->unread_link);
    if (watched && !ev_is_active(&socket->readable))
        ev_io_start(socket->loop->ev, &socket->readable);
    else if (!watched)
        ev_io_stop(socket->loop->ev, &socket->readable);
    if (!wanted && socket->loop->sockets.look_ms == 0)
        socket->loop->sockets.look_ms = socket->loop->now_ms + LOOK_MS;
}

static void set_blocked(struct socket *socket, bool is_blocked)
{
    socket->is_blocked = is_blocked;
    if (is_blocked && !(socket->tls && tls_wants_read(socket->tls)))
        ev_io_start(socket->loop->ev, &socket->writable);
    else
        ev_io_stop(socket->loop->ev, &socket->writable);
}

/* No thread has anything to do with the socket and its conversation any more. */
static void recall(struct socket *socket)
{
    if (socket->receiving || socket->sending)
        socket->worker->ops->drain(socket->worker);
    if (socket->receiving)
        socket->receiving->socket = NULL;
    if (socket->sending)
        socket->sending->socket = NULL;
    if (socket->arrived)
        transfer_free(&socket->loop->sockets.transfers, socket->arrived);
    socket->receiving = socket->sending = socket->arrived = NULL;
}

/* Closes it at once, whatever is unsent. */
static void socket_free(struct socket *socket)
{
    struct loop *loop = socket->loop;
    ev_io_stop(loop->ev, &socket->readable);
    ev_io_stop(loop->ev, &socket->writable);
    recall(socket);
    if (socket->conversation)
        conversation_free(socket->conversation);
    tls_free(socket->tls);
    mem_free(socket->greeting);
    admission_leave(&loop->listeners.admission, socket->visitor);
    close(socket->fd);
    list_remove(&socket->unread_link);
    list_remove(&socket->handshake_link);
    list_remove(&socket->link);
    loop->sockets.count--;
    mem_free(socket);
}

/* One time for all, so that the oldest is the first. */
static uint64_t patience_ms(const struct listener_options *options)
{
    return options->lingers && options->linger_s ? (uint64_t)options->linger_s * 1000 : LINGER_MS;
}

/* Everything is said. */
static void linger(struct socket *socket)
{
    struct loop *loop = socket->loop;
    recall(socket);
    conversation_free(socket->conversation);
    tls_free(socket->tls);
    socket->conversation = NULL;
    socket->tls = NULL;
    list_remove(&socket->handshake_link);
    set_blocked(socket, false);
    if (shutdown(socket->fd, SHUT_WR) < 0) {
        socket_free(socket);
        return;
    }
    list_remove(&socket->link);
    list_push_back(&loop->sockets.lingering, &socket->link);
    socket->linger_ms = loop->now_ms + patience_ms(&loop->listeners.options);
    update_readable(socket);
}

/* After an error of TLS its alert is on the way, and must not be lost either. */
static void drop(struct socket *socket, int error)
{
    bool is_tls_error = socket->tls && error == EPROTO;
    const char *reason = is_tls_error ? "TLS failed" : error ? strerror(error) : NULL;
    conversation_lost(socket->conversation, reason);
    if (is_tls_error)
        linger(socket);
    else
        socket_free(socket);
}

/* What a recv returned that brought nothing: is there more to wait for? */
static bool try_again(ssize_t result)
{
    return result < 0 && (errno == EAGAIN || errno == EINTR);
}

/* A handshake that has to wait for the next turn; its socket stays readable. */
static bool is_put_off(struct socket *socket)
{
    return socket->tls && !tls_is_established(socket->tls) &&
           socket->loop->sockets.handshakes++ >= HANDSHAKES_PER_TURN;
}

/* Has a thread go on with it. */
static void receive_by_thread(struct socket *socket)
{
    if (!socket->worker || is_away(socket) || !conversation_wants_input(socket->conversation))
        return;
    socket->receiving = transfer_new(&socket->loop->sockets.transfers, socket, true);
    if (!socket->receiving)
        return;
    socket->receiving->fd = socket->fd;
    socket->receiving->tls = socket->tls;
    transfer_submit(socket->worker, socket->receiving);
}

/* Nothing was received: waits, or drops the socket and returns false. */
static bool received_nothing(struct socket *socket, ssize_t result, int error)
{
    errno = error;
    if (!try_again(result)) {
        drop(socket, result < 0 ? error : 0);
        return false;
    }
    if (socket->tls && tls_wants_write(socket->tls))
        ev_io_start(socket->loop->ev, &socket->writable);
    return true;
}

/* False: the socket is lost. */
static bool read_conversation(struct socket *socket)
{
    size_t got = 0;
    while (got < READ_BUDGET && !is_away(socket) && conversation_has_turn(socket->conversation)) {
        ssize_t n = transfer_receive(socket->fd, socket->tls, socket->loop->sockets.input,
                                     SOCKET_INPUT_BYTES);
        if (n <= 0) {
            if (!received_nothing(socket, n, errno))
                return false;
            break;
        }
        loop_received(socket->loop);
        conversation_input(socket->conversation, bytes_of(socket->loop->sockets.input, (size_t)n));
        got += (size_t)n;
        if (n < SOCKET_INPUT_BYTES)
            break;
        receive_by_thread(socket);
    }
    update_readable(socket);
    return true;
}

static void read_lingering(struct socket *socket)
{
    ssize_t n = recv(socket->fd, socket->loop->sockets.input, SOCKET_INPUT_BYTES, 0);
    if (n <= 0 && !try_again(n))
        socket_free(socket);
}

/* What TLS could not send before the peer had said more can be tried again. */
static bool waits_for_peer(const struct socket *socket)
{
    return socket->is_blocked && !ev_is_active(&socket->writable);
}

static void read_and_resume(struct socket *socket)
{
    if (!read_conversation(socket) || !waits_for_peer(socket))
        return;
    set_blocked(socket, false);
    socket_flush(socket);
}

void sockets_read_on(struct loop *loop)
{
    struct list unread, *link;
    list_init(&unread);
    list_append_all(&unread, &loop->sockets.unread);
    loop->sockets.handshakes = 0; /* those of the next turn */
    while ((link = list_take_first(&unread)))
        read_and_resume(list_entry(link, struct socket, unread_link));
}

/* See below, where who has come is known. */
static void read_greeting(struct socket *socket);

static void on_readable(struct ev_loop *ev, ev_io *watcher, int events)
{
    (void)ev;
    (void)events;
    struct socket *socket = watcher->data;
    if (socket->greeting)
        read_greeting(socket);
    else if (!socket->conversation)
        read_lingering(socket);
    else if (!is_put_off(socket))
        read_and_resume(socket);
}

static void on_writable(struct ev_loop *ev, ev_io *watcher, int events)
{
    (void)ev;
    (void)events;
    struct socket *socket = watcher->data;
    set_blocked(socket, false);
    if (!socket->tls || read_conversation(socket)) /* reading, too, may have waited for room */
        socket_flush(socket);
}

/* Who has connected, as the system knows it. */
static void describe_process(int fd, struct peer *who)
{
    struct ucred credentials = {.uid = (uid_t)-1, .gid = (gid_t)-1};
    struct sockaddr_un local = {0};
    socklen_t size = sizeof(credentials), local_size = sizeof(local);
    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size);
    getsockname(fd, (struct sockaddr *)&local, &local_size);
    who->is_unix = true;
    who->uid = credentials.uid;
    who->gid = credentials.gid;
    who->pid = credentials.pid;
    snprintf(who->name, sizeof(who->name), "unix:%ld", (long)credentials.pid);
    snprintf(who->local, sizeof(who->local), "%.*s", (int)sizeof(who->local) - 1, local.sun_path);
}

static void describe(int fd, const struct address *peer, struct peer *who)
{
    _Static_assert(sizeof(who->name) >= ADDRESS_TEXT_BYTES, "a peer's name is an address");
    who->is_loopback = address_is_loopback(peer);
    if (peer->any.sa_family == AF_UNIX) {
        describe_process(fd, who);
        return;
    }
    address_write(peer, who->name);
    address_write_local(fd, who->local);
}

/* Of who has to show a certificate. */
static bool peer_is(const void *witness, const char *name)
{
    const struct socket *socket = witness;
    return !socket->tls || tls_peer_is(socket->tls, name);
}

static enum peer_named peer_name(const void *witness, enum peer_name which, size_t index, char *text,
                                 size_t size)
{
    const struct socket *socket = witness;
    return socket->tls ? tls_name_of(socket->tls, which, index, text, size) : PEER_NO_CERTIFICATE;
}

static bool peer_tls(const void *witness, enum peer_tls which, char *text, size_t size)
{
    const struct socket *socket = witness;
    return socket->tls && tls_describe(socket->tls, which, text, size);
}

/* Without a conversation yet, and without the TLS that it will have. */
static struct socket *make(struct loop *loop, int fd, const struct address *peer, bool is_tls)
{
    struct socket *socket = mem_zalloc(sizeof(*socket));
    socket->loop = loop;
    socket->fd = fd;
    socket->peer = *peer;
    socket->worker = transfers_worker(&loop->sockets.transfers);
    socket->begun_ms = loop->now_ms;
    list_init(&socket->unread_link);
    list_init(&socket->handshake_link);
    if (is_tls)
        list_push_back(&loop->sockets.handshaking, &socket->handshake_link);
    ev_io_init(&socket->readable, on_readable, fd, EV_READ);
    ev_io_init(&socket->writable, on_writable, fd, EV_WRITE);
    socket->readable.data = socket;
    socket->writable.data = socket;
    list_push_back(&loop->sockets.all, &socket->link);
    loop->sockets.count++;
    return socket;
}

/* Those of whom there are too many are told in the log all together, as they may be many. */
static void log_too_many(struct socket *socket)
{
    struct listeners *listeners = &socket->loop->listeners;
    char name[ADDRESS_TEXT_BYTES];
    listeners->refused++;
    if (listeners->refused_ms && socket->loop->now_ms - listeners->refused_ms < COMPLAINT_MS)
        return;
    address_write(&socket->peer, name);
    log_event(socket->loop->log, EVENT_address_refused, "peer=%s connections=%llu", name,
              (unsigned long long)listeners->refused);
    listeners->refused = 0;
    listeners->refused_ms = socket->loop->now_ms;
}

/* It is known who has come: they talk, unless there are too many of them. */
static void converse(struct socket *socket, const struct peer *who, const struct listener *listener)
{
    struct loop *loop = socket->loop;
    if (listener->limits && !admission_enter(&loop->listeners.admission, listener->limits, &socket->peer,
                                             &socket->visitor)) {
        socket->visitor = NULL;
        log_too_many(socket);
        socket_free(socket);
        return;
    }
    socket->tls = listener->tls ? tls_new(listener->tls, socket->fd, &socket->peer) : NULL;
    socket->conversation = service_accept(*listener->service, who, socket);
    socket->conversation->witness = socket;
    socket->conversation->peer_is = peer_is;
    socket->conversation->peer_name = peer_name;
    socket->conversation->peer_tls = peer_tls;
    update_readable(socket);
}

/* Somebody else has to say first who has come. */
static void greet(struct socket *socket, const struct listener *listener)
{
    struct loop *loop = socket->loop;
    socket->greeting = mem_zalloc(sizeof(*socket->greeting));
    socket->greeting->listener = listener;
    socket->greeting->may_be_local = listener->proxy->count || address_is_loopback(&socket->peer);
    list_remove(&socket->link);
    list_push_back(&loop->sockets.greeting, &socket->link);
    ev_io_start(loop->ev, &socket->readable);
}

void socket_new(struct loop *loop, int fd, const struct address *peer, const struct listener *listener)
{
    bool is_proxied = listener->proxy && proxy_is_trusted(listener->proxy, peer);
    struct socket *socket = make(loop, fd, peer, listener->tls || is_proxied);
    struct peer who = {.is_tls = listener->tls};
    if (is_proxied) {
        greet(socket, listener);
        return;
    }
    describe(fd, peer, &who);
    converse(socket, &who, listener);
}

/* ---- for whom a proxy speaks ---- */

static void end_greeting(struct socket *socket, const char *why)
{
    char name[ADDRESS_TEXT_BYTES];
    address_write(&socket->peer, name);
    if (why)
        log_event(socket->loop->log, EVENT_proxy_refused, "peer=%s reason=\"%s\"", name, why);
    socket_free(socket);
}

/* The header is whole: what follows is the peer's. */
static void end_of_header(struct socket *socket)
{
    struct greeting *greeting = socket->greeting;
    const struct listener *listener = greeting->listener;
    const struct proxy_header *header = &greeting->header;
    struct peer who = {.is_tls = listener->tls};
    socket->greeting = NULL;
    describe(socket->fd, &socket->peer, &who);
    if (header->names_peer) {
        socket->peer = header->source;
        who.is_unix = false;
        who.is_loopback = greeting->may_be_local && address_is_loopback(&header->source);
        address_write(&header->source, who.name);
        address_write(&header->destination, who.local);
    }
    list_remove(&socket->link);
    list_push_back(&socket->loop->sockets.all, &socket->link);
    if (!listener->tls)
        list_remove(&socket->handshake_link);
    mem_free(greeting);
    converse(socket, &who, listener);
}

/* What it has, as far as that is the header's. */
static void read_greeting(struct socket *socket)
{
    struct proxy_header *header = &socket->greeting->header;
    uint8_t *input = socket->loop->sockets.input;
    size_t taken;
    ssize_t n = recv(socket->fd, input, SOCKET_INPUT_BYTES, MSG_PEEK);
    if (try_again(n))
        return;
    if (n <= 0) {
        end_greeting(socket, header->used ? "it ends in the middle of the header" : NULL);
        return;
    }
    enum proxy_state state = proxy_take(header, bytes_of(input, (size_t)n), &taken);
    if (state == PROXY_WRONG)
        end_greeting(socket, header->fault);
    else if (recv(socket->fd, input, taken, 0) != (ssize_t)taken)
        end_greeting(socket, "the socket has lost what it had");
    else if (state == PROXY_DONE)
        end_of_header(socket);
}

void sockets_drop_greetings(struct loop *loop)
{
    list_for_each_safe(at, after, &loop->sockets.greeting)
        socket_free(list_entry(at, struct socket, link));
}

void socket_new_dialed(struct loop *loop, int fd, const struct address *peer,
                       struct tls_context *tls, struct outcall *call)
{
    struct peer who = {.is_tls = tls};
    describe(fd, peer, &who);
    struct socket *socket = make(loop, fd, peer, tls);
    socket->tls = tls ? tls_new_dialed(tls, fd, &socket->peer, call->name) : NULL;
    socket->conversation = call->ops->connected(call, &who);
    socket->conversation->owner = socket;
    socket->conversation->witness = socket;
    socket->conversation->peer_is = peer_is;
    update_readable(socket);
}

static size_t total(const struct iovec *parts, int count)
{
    size_t size = 0;
    for (int i = 0; i < count; i++)
        size += parts[i].iov_len;
    return size;
}

/* Has a thread send what was borrowed. */
static bool send_by_thread(struct socket *socket, const struct iovec *parts, int count, size_t size)
{
    if (!socket->worker || size < TRANSFER_OUTPUT_MIN)
        return false;
    struct transfer *transfer = transfer_new(&socket->loop->sockets.transfers, socket, false);
    if (!transfer)
        return false;
    transfer->fd = socket->fd;
    transfer->tls = socket->tls;
    transfer->count = count;
    memcpy(transfer->parts, parts, (size_t)count * sizeof(*parts));
    socket->sending = transfer;
    transfer_submit(socket->worker, transfer);
    return true;
}

/* What became of sending `size` bytes. 0 or an errno value. */
static int note_sent(struct socket *socket, size_t size, ssize_t sent, int error)
{
    conversation_sent(socket->conversation, sent > 0 ? (size_t)sent : 0);
    if (sent < 0 && error == EINTR)
        return 0;
    if (sent < 0 && error != EAGAIN)
        return error;
    if (sent < 0 || (size_t)sent < size)
        set_blocked(socket, true);
    return 0;
}

/* Sends until there is no more or the kernel takes no more. 0 or an errno value. */
static int send_output(struct socket *socket)
{
    struct iovec parts[TRANSFER_PARTS];
    int error = 0;
    while (!error && !socket->is_blocked && !socket->sending &&
           !(socket->tls && socket->receiving)) {
        int count = conversation_output(socket->conversation, parts, TRANSFER_PARTS);
        if (count == 0)
            break;
        size_t size = total(parts, count);
        if (send_by_thread(socket, parts, count, size))
            break;
        ssize_t sent = transfer_send(socket->fd, socket->tls, parts, count);
        error = note_sent(socket, size, sent, errno);
    }
    return error;
}

static void flushed(struct socket *socket, int error)
{
    if (error)
        drop(socket, error);
    else if (conversation_is_finished(socket->conversation))
        linger(socket);
    else
        update_readable(socket);
}

/* What a thread has received, and the conversation did not want then. */
static void take_arrived(struct socket *socket)
{
    struct transfer *arrived = socket->arrived;
    if (!arrived || !conversation_has_turn(socket->conversation))
        return;
    socket->arrived = NULL;
    if (arrived->result >= SOCKET_INPUT_BYTES)
        receive_by_thread(socket);
    loop_received(socket->loop);
    conversation_input(socket->conversation, bytes_of(arrived->input, (size_t)arrived->result));
    transfer_free(&socket->loop->sockets.transfers, arrived);
}

void socket_flush(struct socket *socket)
{
    /* With TLS what is to be said comes first, as while a thread receives it has to wait: a peer
     * that never pauses would hear nothing. */
    int error = socket->tls && socket->arrived ? send_output(socket) : 0;
    if (!error) {
        take_arrived(socket);
        error = send_output(socket);
    }
    flushed(socket, error);
}

/* ---- what threads have done ---- */

/* The end of the peer is left for later while the conversation has input to act on first: the next
 * to read finds it again. */
static void received(struct socket *socket, struct transfer *transfer)
{
    ssize_t result = transfer->result;
    int error = transfer->error;
    socket->receiving = NULL;
    if (result > 0)
        socket->arrived = transfer;
    else
        transfer_free(&socket->loop->sockets.transfers, transfer);
    if (result > 0 || !conversation_wants_input(socket->conversation) ||
        received_nothing(socket, result, error))
        socket_flush(socket);
}

static void sent(struct socket *socket, struct transfer *transfer)
{
    size_t size = total(transfer->parts, transfer->count);
    socket->sending = NULL;
    int error = note_sent(socket, size, transfer->result, transfer->error);
    transfer_free(&socket->loop->sockets.transfers, transfer);
    flushed(socket, error ? error : send_output(socket));
}

void sockets_collect(struct loop *loop)
{
    struct list finished;
    struct list *link;
    list_init(&finished);
    transfers_finished(&loop->sockets.transfers, &finished);
    while ((link = list_take_first(&finished))) {
        struct transfer *transfer = list_entry(link, struct transfer, job.link);
        struct socket *socket = transfer->socket;
        if (!socket)
            transfer_free(&loop->sockets.transfers, transfer);
        else if (transfer->is_receive)
            received(socket, transfer);
        else
            sent(socket, transfer);
    }
}

void sockets_drop_gone(struct loop *loop)
{
    bool are_blocked = false;
    if (loop->sockets.look_ms == 0 || loop->now_ms < loop->sockets.look_ms)
        return;
    list_for_each_safe(at, after, &loop->sockets.all) {
        struct socket *socket = list_entry(at, struct socket, link);
        struct pollfd gone = {.fd = socket->fd, .events = POLLRDHUP};
        if (!conversation_is_blocked(socket->conversation))
            continue;
        if (poll(&gone, 1, 0) > 0)
            drop(socket, 0);
        else
            are_blocked = true;
    }
    loop->sockets.look_ms = are_blocked ? loop->now_ms + LOOK_MS : 0;
}

static uint64_t handshake_deadline_ms(const struct socket *socket)
{
    return socket->begun_ms + socket->loop->listeners.options.handshake_ms;
}

void sockets_drop_handshakes(struct loop *loop)
{
    struct list *link;
    while ((link = list_first(&loop->sockets.handshaking))) {
        struct socket *socket = list_entry(link, struct socket, handshake_link);
        if (!socket->greeting && tls_is_established(socket->tls)) {
            list_remove(&socket->handshake_link);
            continue;
        }
        if (handshake_deadline_ms(socket) > loop->now_ms)
            return;
        if (socket->greeting) {
            end_greeting(socket, "it has not come in time");
            continue;
        }
        tls_give_up(socket->tls, "timeout of the handshake");
        drop(socket, ETIMEDOUT);
    }
}

static struct socket *oldest_lingering(struct loop *loop)
{
    struct list *link = list_first(&loop->sockets.lingering);
    return link ? list_entry(link, struct socket, link) : NULL;
}

void sockets_end_lingering(struct loop *loop)
{
    struct socket *socket;
    while ((socket = oldest_lingering(loop)) && socket->linger_ms <= loop->now_ms)
        socket_free(socket);
}

void sockets_end_oldest_lingering(struct loop *loop)
{
    struct socket *socket = oldest_lingering(loop);
    if (socket)
        socket_free(socket);
}

/* ---- all sockets of a loop ---- */

void sockets_init(struct sockets *sockets, size_t descriptors, size_t io_threads)
{
    size_t reserve = descriptors / 2 < STORE_DESCRIPTORS ? descriptors / 2 : STORE_DESCRIPTORS;
    *sockets = (struct sockets){.max = descriptors - reserve, .io_threads = io_threads};
    sockets->input = mem_alloc(SOCKET_INPUT_BYTES);
    list_init(&sockets->all);
    list_init(&sockets->unread);
    list_init(&sockets->greeting);
    list_init(&sockets->lingering);
    list_init(&sockets->handshaking);
}

void sockets_free(struct sockets *sockets)
{
    mem_free(sockets->input);
}

bool sockets_start(struct loop *loop)
{
    struct sockets *sockets = &loop->sockets;
    if (transfers_init(&sockets->transfers, sockets->io_threads, loop_wake, loop))
        return true;
    transfers_free(&sockets->transfers);
    return false;
}

static void free_all(struct list *sockets)
{
    list_for_each_safe(at, after, sockets)
        socket_free(list_entry(at, struct socket, link));
}

void sockets_close(struct loop *loop)
{
    free_all(&loop->sockets.all);
    free_all(&loop->sockets.greeting);
    free_all(&loop->sockets.lingering);
    transfers_free(&loop->sockets.transfers);
}

size_t sockets_conversations(const struct sockets *sockets)
{
    size_t count = 0;
    list_for_each(at, &sockets->all)
        count++;
    return count;
}

uint64_t sockets_next_ms(const struct sockets *sockets)
{
    uint64_t next_ms = list_is_empty(&sockets->unread) ? UINT64_MAX : 0;
    const struct list *link = list_first(&sockets->lingering);
    if (link && list_entry(link, struct socket, link)->linger_ms < next_ms)
        next_ms = list_entry(link, struct socket, link)->linger_ms;
    link = list_first(&sockets->handshaking);
    if (link && handshake_deadline_ms(list_entry(link, struct socket, handshake_link)) < next_ms)
        next_ms = handshake_deadline_ms(list_entry(link, struct socket, handshake_link));
    if (sockets->look_ms && sockets->look_ms < next_ms)
        next_ms = sockets->look_ms;
    return next_ms;
}
