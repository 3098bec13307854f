/* A connection to a broker. Reading is in place: frames are parsed where recv has put them, and
 * only the beginning of a frame whose end has not come is ever moved. */
#include "perf/link.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "amqp/table.h"
#include "base/mem.h"
#include "perf/clock.h"

bool link_fail(struct link *link, const char *format, ...)
{
    va_list arguments;
    if (link_failed(link))
        return false;
    va_start(arguments, format);
    vsnprintf(link->error, sizeof(link->error), format, arguments);
    va_end(arguments);
    return false;
}

/* ---- bytes ---- */

uint8_t *link_make_room(struct link *link, size_t size)
{
    uint8_t *room = link_room(link, size);
    if (room)
        return room;
    link->out_size = link->out_end + size + LINK_BUFFER_SMALL;
    link->out = mem_realloc(link->out, link->out_size);
    return link->out + link->out_end;
}

void link_put_method(struct link *link, uint16_t channel, const union method *method)
{
    size_t size = frame_method_size(method);
    struct writer writer = writer_of(link_make_room(link, size), size);
    frame_write_method(&writer, channel, method);
    if (writer.bad)
        link_fail(link, "%s does not fit into a frame", method_name(method->id));
    else
        link_added(link, size);
}

static ssize_t send_some(struct link *link, const uint8_t *data, size_t size)
{
    if (link->tls) {
        ssize_t sent = tls_write(link->tls, data, size);
        if (sent == TLS_FAILED || sent == TLS_ENDED) {
            tls_error(link->tls, link->error, sizeof(link->error));
            return -1;
        }
        return sent;
    }
    ssize_t sent = send(link->fd, data, size, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent >= 0)
        return sent;
    if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)
        return 0;
    link_fail(link, "sending: %s", strerror(errno));
    return -1;
}

bool link_flush(struct link *link)
{
    while (link->out_at < link->out_end) {
        size_t size = link->out_end - link->out_at;
        ssize_t sent = send_some(link, link->out + link->out_at, size);
        if (sent < 0)
            return false;
        link->out_at += (size_t)sent;
        if ((size_t)sent < size && (sent == 0 || !link->tls)) {
            link->writable = false;
            return true;
        }
    }
    return true;
}

static ssize_t receive_some(struct link *link, uint8_t *data, size_t size)
{
    if (link->tls) {
        ssize_t got = tls_read(link->tls, data, size);
        if (got == TLS_FAILED)
            tls_error(link->tls, link->error, sizeof(link->error));
        else if (got == TLS_ENDED)
            link_fail(link, "the broker closed the connection");
        return got < 0 ? -1 : got;
    }
    ssize_t got = recv(link->fd, data, size, MSG_DONTWAIT);
    if (got > 0)
        return got;
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
        return 0;
    if (got == 0)
        link_fail(link, "the broker closed the connection");
    else
        link_fail(link, "receiving: %s", strerror(errno));
    return -1;
}

bool link_is_quiet(const struct link *link)
{
    uint8_t byte;
    return link->fd >= 0 && recv(link->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 &&
           (errno == EAGAIN || errno == EWOULDBLOCK);
}

/* Makes room for the rest of a frame that has begun, and some more. */
static void prepare_input(struct link *link)
{
    size_t left = link->in_end - link->in_at;
    uint64_t wanted = frame_announced_size(link->in + link->in_at, left);
    if (left == 0) {
        link->in_at = link->in_end = 0;
    } else if (link->in_size - link->in_end < link->in_size / 2) {
        memmove(link->in, link->in + link->in_at, left);
        link->in_at = 0;
        link->in_end = left;
    }
    /* link_next_frame has refused frames that are larger than agreed. */
    if (wanted > link->in_size - link->in_at) {
        link->in_size = link->in_at + (size_t)wanted;
        link->in = mem_realloc(link->in, link->in_size);
    }
}

void link_beat(struct link *link)
{
    uint8_t *at = link_room(link, FRAME_OVERHEAD);
    if (link_failed(link) || !at)
        return;
    struct writer writer = writer_of(at, FRAME_OVERHEAD);
    frame_write_heartbeat(&writer);
    link_added(link, FRAME_OVERHEAD);
    link_flush(link);
}

bool link_fill(struct link *link)
{
    prepare_input(link);
    size_t room = link->in_size - link->in_end;
    ssize_t got = receive_some(link, link->in + link->in_end, room);
    if (got < 0)
        return false;
    /* A short read has emptied the socket, but not what TLS has decrypted. */
    if (link->tls ? got == 0 : (size_t)got < room)
        link->readable = false;
    link->in_end += (size_t)got;
    return true;
}

bool link_next_frame(struct link *link, struct frame *frame)
{
    ssize_t taken =
        frame_read(link->in + link->in_at, link->in_end - link->in_at, link->frame_max, frame);
    if (taken > 0) {
        link->in_at += (size_t)taken;
        return true;
    }
    if (taken < 0)
        link_fail(link, "the broker sent a malformed frame (type %u, %zu bytes)", frame->type,
                  frame->payload.size);
    return false;
}

/* ---- waiting, while it is set up ---- */

static bool wait_for(struct link *link, short events, uint64_t until_ns)
{
    for (;;) {
        uint64_t now = clock_ns();
        struct pollfd poll_fd = {link->fd, events, 0};
        int ready = now < until_ns ? poll(&poll_fd, 1, (int)((until_ns - now) / NS_PER_MS) + 1) : 0;
        if (ready > 0)
            return true;
        if (ready == 0)
            return link_fail(link, "the broker did not answer in time");
        if (errno != EINTR)
            return link_fail(link, "poll: %s", strerror(errno));
    }
}

static uint64_t deadline(const struct link *link)
{
    return clock_ns() + link->timeout_ms * NS_PER_MS;
}

static bool flush_all(struct link *link, uint64_t until_ns)
{
    while (link_flush(link)) {
        if (link_unsent(link) == 0)
            return true;
        if (!wait_for(link, POLLOUT, until_ns))
            return false;
    }
    return false;
}

static bool await_frame(struct link *link, uint64_t until_ns, struct frame *frame)
{
    for (;;) {
        if (link_next_frame(link, frame))
            return true;
        if (link_failed(link))
            return false;
        size_t before = link->in_end - link->in_at;
        if (!link_fill(link))
            return false;
        if (link->in_end - link->in_at == before && !wait_for(link, POLLIN, until_ns))
            return false;
    }
}

bool link_await_frame(struct link *link, struct frame *frame)
{
    uint64_t until_ns = deadline(link);
    return flush_all(link, until_ns) && await_frame(link, until_ns, frame);
}

/* The next method frame, read; other frames are dropped. */
static bool await_method(struct link *link, uint64_t until_ns, uint16_t *channel,
                         union method *method)
{
    struct frame frame;
    do {
        if (!await_frame(link, until_ns, &frame))
            return false;
    } while (frame.type != FRAME_METHOD);
    *channel = frame.channel;
    return method_read(frame.payload, method) == METHOD_OK ||
           link_fail(link, "the broker sent a malformed method");
}

bool link_handle(struct link *link, uint16_t channel, const union method *method)
{
    switch (method->id) {
    case METHOD_CONNECTION_CLOSE: {
        const struct method_connection_close *close = &method->connection_close;
        union method ok = {.id = METHOD_CONNECTION_CLOSE_OK};
        link_put_method(link, 0, &ok);
        link_flush(link);
        link_fail(link, "%u %.*s", close->reply_code, BYTES_ARG(close->reply_text));
        return true;
    }
    case METHOD_CHANNEL_CLOSE: {
        const struct method_channel_close *close = &method->channel_close;
        union method ok = {.id = METHOD_CHANNEL_CLOSE_OK};
        link_put_method(link, channel, &ok);
        link_flush(link);
        link_fail(link, "%u %.*s", close->reply_code, BYTES_ARG(close->reply_text));
        return true;
    }
    case METHOD_CONNECTION_BLOCKED:
    case METHOD_CONNECTION_UNBLOCKED:
        link->blocked = method->id == METHOD_CONNECTION_BLOCKED;
        return true;
    default:
        return false;
    }
}

bool link_await(struct link *link, uint16_t channel, uint32_t wanted, union method *reply,
                bool *closed)
{
    uint64_t until_ns = deadline(link);
    union method method;
    uint16_t on;
    if (closed)
        *closed = false;
    if (!flush_all(link, until_ns))
        return false;
    while (await_method(link, until_ns, &on, &method)) {
        if (method.id == wanted && on == channel) {
            if (reply)
                *reply = method;
            return true;
        }
        if (link_handle(link, on, &method) && link_failed(link)) {
            if (closed && method.id == METHOD_CHANNEL_CLOSE && on == channel) {
                *closed = true;
                link->error[0] = '\0';
            }
            return false;
        }
    }
    return false;
}

bool link_call(struct link *link, uint16_t channel, const union method *method, uint32_t wanted,
               union method *reply, bool *closed)
{
    link_put_method(link, channel, method);
    return link_await(link, channel, wanted, reply, closed);
}

bool link_open_channel(struct link *link, uint16_t channel)
{
    union method open = {.id = METHOD_CHANNEL_OPEN};
    return link_call(link, channel, &open, METHOD_CHANNEL_OPEN_OK, NULL, NULL);
}

/* ---- opening ---- */

static bool cannot_connect(struct link *link, const struct uri *uri, int error)
{
    return link_fail(link, "cannot connect to %s, port %s: %s; --uri says where the broker is",
                     uri->host, uri->port, strerror(error));
}

static bool connect_to(struct link *link, const struct uri *uri, const struct addrinfo *address)
{
    int on = 1;
    link->fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (link->fd < 0)
        return link_fail(link, "socket: %s", strerror(errno));
    setsockopt(link->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (connect(link->fd, address->ai_addr, address->ai_addrlen) == 0)
        return true;
    if (errno != EINPROGRESS)
        return cannot_connect(link, uri, errno);
    if (!wait_for(link, POLLOUT, deadline(link)))
        return false;
    int error = 0;
    socklen_t size = sizeof(error);
    getsockopt(link->fd, SOL_SOCKET, SO_ERROR, &error, &size);
    return error == 0 || cannot_connect(link, uri, error);
}

/* Tries every address of the host until one answers. */
static bool connect_any(struct link *link, const struct uri *uri)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *list = NULL;
    int error = getaddrinfo(uri->host, uri->port, &hints, &list);
    if (error)
        return link_fail(link, "%s: %s", uri->host, gai_strerror(error));
    bool connected = false;
    for (const struct addrinfo *at = list; at && !connected; at = at->ai_next) {
        link->error[0] = '\0';
        connected = connect_to(link, uri, at);
        if (!connected && link->fd >= 0) {
            close(link->fd);
            link->fd = -1;
        }
    }
    freeaddrinfo(list);
    return connected;
}

static bool start_tls(struct link *link, const struct link_target *target)
{
    uint64_t until_ns = deadline(link);
    link->tls = tls_new(link->fd, target->uri.host, target->tls_verify, target->tls_ca, link->error,
                        sizeof(link->error));
    if (!link->tls)
        return false;
    for (;;) {
        int result = tls_handshake(link->tls);
        if (result == 1)
            return true;
        if (result != TLS_AGAIN) {
            tls_error(link->tls, link->error, sizeof(link->error));
            return false;
        }
        if (!wait_for(link, tls_wants_write(link->tls) ? POLLOUT : POLLIN, until_ns))
            return false;
    }
}

/* What a client tells about itself; without the capabilities RabbitMQ would hold things back. */
static void add_properties(struct buffer *out, const char *name)
{
    static const char *const able[] = {"publisher_confirms", "basic.nack", "consumer_cancel_notify",
                                       "connection.blocked", "authentication_failure_close"};
    struct table_writer writer;
    table_writer_init(&writer, out);
    table_add_string(&writer, bytes_str("product"), bytes_str("leveretperf"));
    table_add_string(&writer, bytes_str("connection_name"), bytes_str(name));
    table_begin_table(&writer, bytes_str("capabilities"));
    for (size_t i = 0; i < sizeof(able) / sizeof(able[0]); i++)
        table_add_bool(&writer, bytes_str(able[i]), true);
    table_end(&writer);
}

static bool start(struct link *link, const struct link_target *target)
{
    const struct uri *uri = &target->uri;
    char response[2 * URI_PART_MAX + 4];
    int size = snprintf(response, sizeof(response), "%c%s%c%s", 0, uri->user, 0, uri->password);
    struct buffer properties = {0};
    add_properties(&properties, target->name);
    union method ok = {.connection_start_ok = {.id = METHOD_CONNECTION_START_OK,
                                               .client_properties = buffer_bytes(&properties),
                                               .mechanism = bytes_str("PLAIN"),
                                               .response = bytes_of(response, (size_t)size),
                                               .locale = bytes_str("en_US")}};
    memcpy(link_make_room(link, PROTOCOL_HEADER_SIZE), protocol_header, PROTOCOL_HEADER_SIZE);
    link_added(link, PROTOCOL_HEADER_SIZE);
    bool started = link_await(link, 0, METHOD_CONNECTION_START, NULL, NULL);
    if (started)
        link_put_method(link, 0, &ok);
    buffer_free(&properties);
    return started;
}

/* 0 means no limit to either side. */
static uint32_t agreed(uint32_t ours, uint32_t theirs)
{
    return theirs && theirs < ours ? theirs : ours;
}

static bool tune(struct link *link, const struct link_target *target)
{
    union method tune;
    if (!link_await(link, 0, METHOD_CONNECTION_TUNE, &tune, NULL))
        return false;
    const struct method_connection_tune *theirs = &tune.connection_tune;
    link->frame_max = agreed(target->frame_max, theirs->frame_max);
    link->channel_max = (uint16_t)agreed(UINT16_MAX, theirs->channel_max);
    link->heartbeat_s = target->heartbeat_s;
    union method ok = {.connection_tune_ok = {.id = METHOD_CONNECTION_TUNE_OK,
                                              .channel_max = link->channel_max,
                                              .frame_max = link->frame_max,
                                              .heartbeat = link->heartbeat_s}};
    union method open = {.connection_open = {.id = METHOD_CONNECTION_OPEN,
                                             .virtual_host = bytes_str(target->uri.vhost)}};
    link_put_method(link, 0, &ok);
    return link_call(link, 0, &open, METHOD_CONNECTION_OPEN_OK, NULL, NULL);
}

bool link_open(struct link *link, const struct link_target *target, size_t buffer_size)
{
    *link = (struct link){.fd = -1,
                          .in_size = buffer_size,
                          .out_size = buffer_size,
                          .frame_max = target->frame_max,
                          .timeout_ms = target->timeout_ms,
                          .readable = true,
                          .writable = true};
    link->in = mem_alloc(buffer_size);
    link->out = mem_alloc(buffer_size);
    return connect_any(link, &target->uri) && (!target->uri.tls || start_tls(link, target)) &&
           start(link, target) && tune(link, target);
}

void link_close(struct link *link)
{
    tls_free(link->tls);
    if (link->fd >= 0)
        close(link->fd);
    mem_free(link->in);
    mem_free(link->out);
    link->tls = NULL;
    link->fd = -1;
    link->in = link->out = NULL;
    link->in_size = link->out_size = link->in_at = link->in_end = link->out_at = link->out_end = 0;
}

void link_leave(struct link *link)
{
    union method close = {.connection_close = {.id = METHOD_CONNECTION_CLOSE,
                                               .reply_code = 200,
                                               .reply_text = bytes_str("Goodbye")}};
    if (link->fd >= 0 && !link_failed(link))
        link_call(link, 0, &close, METHOD_CONNECTION_CLOSE_OK, NULL, NULL);
    link_close(link);
}
