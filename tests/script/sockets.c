#include "tests/script/sockets.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "amqp/frame.h"
#include "amqp/method.h"

enum { PATIENCE_MS = 60000, CLOSE_MS = 5000, SILENCE_MS = 150, READ_SIZE = 65536 };

void sockets_init(struct sockets *sockets, const char *host, const char *port)
{
    *sockets = (struct sockets){.host = host, .port = port, .patience_ms = PATIENCE_MS};
    for (int i = 0; i < CLIENTS_MAX; i++)
        sockets->sockets[i].fd = -1;
}

static struct socket_client *of(struct sockets *sockets, const struct client *client)
{
    return &sockets->sockets[client - sockets->clients];
}

bool sockets_dial(struct sockets *sockets, struct client *client)
{
    struct addrinfo *found, hints = {.ai_socktype = SOCK_STREAM};
    int fd = -1, on = 1;
    sockets_hang_up(sockets, client);
    buffer_free(&client->in);
    buffer_free(&client->out);
    client->is_deaf = client->is_corked = false;
    if (getaddrinfo(sockets->host, sockets->port, &hints, &found) != 0)
        return false;
    for (struct addrinfo *at = found; at && fd < 0; at = at->ai_next) {
        fd = socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd >= 0 && connect(fd, at->ai_addr, at->ai_addrlen) != 0) {
            close(fd);
            fd = -1;
        }
    }
    freeaddrinfo(found);
    if (fd >= 0)
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    *of(sockets, client) = (struct socket_client){.fd = fd};
    return fd >= 0;
}

void sockets_hang_up(struct sockets *sockets, struct client *client)
{
    struct socket_client *socket = of(sockets, client);
    if (socket->fd >= 0)
        close(socket->fd);
    *socket = (struct socket_client){.fd = -1};
}

/* ---- bytes ---- */

static bool wait_for(int fd, short events, int ms)
{
    struct pollfd poll_fd = {.fd = fd, .events = events};
    int ready;
    while ((ready = poll(&poll_fd, 1, ms)) < 0 && errno == EINTR)
        continue;
    return ready > 0;
}

bool sockets_more(struct sockets *sockets, struct client *client, int wait_ms)
{
    struct socket_client *socket = of(sockets, client);
    if (socket->fd < 0 || socket->is_ended || !wait_for(socket->fd, POLLIN, wait_ms))
        return false;
    ssize_t size = recv(socket->fd, buffer_room(&client->in, READ_SIZE), READ_SIZE, 0);
    if (size > 0)
        buffer_added(&client->in, (size_t)size);
    else
        socket->is_ended = true;
    return size > 0;
}

bool sockets_end(struct sockets *sockets, struct client *client)
{
    while (sockets_more(sockets, client, sockets->patience_ms))
        continue;
    return of(sockets, client)->is_ended || of(sockets, client)->fd < 0;
}

/* A broker may have to be read before it reads on; one that has closed is not written to. */
static void flush(struct sockets *sockets, struct client *client)
{
    struct socket_client *socket = of(sockets, client);
    while (client->out.size && socket->fd >= 0 && !socket->is_ended) {
        ssize_t size =
            send(socket->fd, client->out.data, client->out.size, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (size > 0) {
            buffer_drop(&client->out, (size_t)size);
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            if (!client->is_deaf)
                sockets_more(sockets, client, 0);
            wait_for(socket->fd, POLLOUT, 10);
        } else {
            break;
        }
    }
    buffer_drop(&client->out, client->out.size);
}

void sockets_flush(struct sockets *sockets)
{
    for (int i = 0; i < CLIENTS_MAX; i++)
        if (sockets->clients[i].out.size && !sockets->clients[i].is_corked)
            flush(sockets, &sockets->clients[i]);
}

static void put_method(struct client *client, uint16_t channel, const union method *method)
{
    size_t size = frame_method_size(method);
    struct writer writer = writer_of(buffer_room(&client->out, size), size);
    frame_write_method(&writer, channel, method);
    buffer_added(&client->out, size);
}

/* ---- what a script knows of its channels ---- */

static bool is_word(const char *text, const char *word)
{
    size_t size = strlen(word);
    return strncmp(text, word, size) == 0 && (text[size] == '\0' || text[size] == ' ');
}

void sockets_note_sent(struct sockets *sockets, struct client *client, uint16_t channel,
                       const char *what)
{
    struct socket_client *socket = of(sockets, client);
    if (*what == '\0')
        socket->is_raw = true;
    if (is_word(what, "connection.close"))
        socket->is_open = false;
    if (*what == '\0' || channel == 0 || channel >= SOCKET_CHANNELS)
        return;
    struct socket_channel *at = &socket->channels[channel];
    if (is_word(what, "channel.open"))
        *at = (struct socket_channel){.is_open = true};
    else if (is_word(what, "channel.close") || is_word(what, "channel.close-ok"))
        at->is_open = false;
    at->has_flow |= is_word(what, "channel.flow");
    at->is_amid = is_word(what, "basic.publish");
    at->is_asked = true;
}

void sockets_note_received(struct sockets *sockets, struct client *client, uint16_t channel,
                           const char *what)
{
    struct socket_client *socket = of(sockets, client);
    if (is_word(what, "connection.open-ok"))
        socket->is_open = true;
    else if (is_word(what, "connection.close"))
        socket->is_open = false;
    else if (is_word(what, "channel.close") && channel < SOCKET_CHANNELS)
        socket->channels[channel].is_open = false;
}

/* ---- asking whether it is done ---- */

/* Looks for the answer from `*at` on, and takes it out. The same when the channel or the connection
 * has been closed, which is an answer too. */
static bool find_answer(struct socket_client *socket, struct client *client, uint16_t channel,
                        size_t *at)
{
    struct frame frame;
    union method method;
    ssize_t size;
    while ((size = frame_read(client->in.data + *at, client->in.size - *at, 0, &frame)) > 0) {
        bool is_method =
            frame.type == FRAME_METHOD && method_read(frame.payload, &method) == METHOD_OK;
        if (is_method && frame.channel == 0 && method.id == METHOD_CONNECTION_CLOSE)
            socket->is_open = false;
        if (is_method && frame.channel == channel && method.id == METHOD_CHANNEL_CLOSE)
            socket->channels[channel].is_open = false;
        if (!socket->is_open || !socket->channels[channel].is_open)
            return true;
        if (is_method && frame.channel == channel && method.id == METHOD_CHANNEL_FLOW_OK) {
            client_cut(client, *at, (size_t)size);
            return true;
        }
        *at += (size_t)size;
    }
    return size < 0;
}

static void sync_channel(struct sockets *sockets, struct client *client, uint16_t channel)
{
    struct socket_client *socket = of(sockets, client);
    struct socket_channel *of_channel = &socket->channels[channel];
    size_t at = 0;
    of_channel->is_asked = false;
    if (!socket->is_open || socket->is_raw || !of_channel->is_open || of_channel->is_amid ||
        of_channel->has_flow || client->is_deaf) {
        while (!client->is_deaf && sockets_more(sockets, client, SILENCE_MS))
            continue;
        return;
    }
    /* What is there may say already that there will be no answer. */
    size_t first = 0;
    if (find_answer(socket, client, channel, &first))
        return;
    union method flow = {.channel_flow = {METHOD_CHANNEL_FLOW, true}};
    put_method(client, channel, &flow);
    flush(sockets, client);
    while (!find_answer(socket, client, channel, &at) &&
           sockets_more(sockets, client, sockets->patience_ms))
        continue;
}

void sockets_sync(struct sockets *sockets, const struct client *client, uint16_t channel)
{
    for (int i = 0; i < CLIENTS_MAX; i++) {
        struct client *other = &sockets->clients[i];
        for (uint16_t c = 1; c < SOCKET_CHANNELS && !other->is_corked; c++)
            if (sockets->sockets[i].channels[c].is_asked && (other != client || c != channel))
                sync_channel(sockets, other, c);
    }
}

/* ---- the end ---- */

static void say_good_bye(struct sockets *sockets, struct client *client)
{
    struct frame frame;
    union method method;
    client->is_deaf = false;
    union method bye = {.connection_close = {.id = METHOD_CONNECTION_CLOSE, .reply_code = 200}};
    put_method(client, 0, &bye);
    flush(sockets, client);
    for (;;) {
        ssize_t size = frame_read(client->in.data, client->in.size, 0, &frame);
        if (size < 0 || (size == 0 && !sockets_more(sockets, client, CLOSE_MS)))
            return;
        if (size > 0 && frame.type == FRAME_METHOD &&
            method_read(frame.payload, &method) == METHOD_OK &&
            method.id == METHOD_CONNECTION_CLOSE_OK)
            return;
        buffer_drop(&client->in, (size_t)size);
    }
}

void sockets_close(struct sockets *sockets)
{
    for (int i = 0; i < CLIENTS_MAX; i++) {
        struct client *client = &sockets->clients[i];
        struct socket_client *socket = &sockets->sockets[i];
        if (socket->fd >= 0 && socket->is_open && !socket->is_raw && !socket->is_ended)
            say_good_bye(sockets, client);
        sockets_hang_up(sockets, client);
        buffer_free(&client->in);
        buffer_free(&client->out);
    }
}
