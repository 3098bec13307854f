/* One request at a time. An answer has a length, or comes in chunks, or ends with the connection.
 */
#include "ctl/client.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/base64.h"
#include "ctl/secure.h"

enum { HEAD_MAX = 65536, READ_BYTES = 65536 };

static long long now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

static bool fail(struct client *client, enum client_trouble trouble, const char *what)
{
    client->trouble = trouble;
    snprintf(client->error, sizeof(client->error), "%s", what);
    return false;
}

/* ---- the socket ---- */

void client_init(struct client *client, const struct target *target, double seconds)
{
    *client = (struct client){.target = *target, .fd = -1};
    client_give(client, seconds);
}

void client_give(struct client *client, double seconds)
{
    client->until = now_ms() + (long long)(seconds * 1000);
}

static void hang_up(struct client *client)
{
    secure_free(client->secure);
    client->secure = NULL;
    if (client->fd >= 0)
        close(client->fd);
    client->fd = -1;
    client->got.size = 0;
}

void client_close(struct client *client)
{
    hang_up(client);
    buffer_free(&client->got);
}

static bool wait_for(struct client *client, short events)
{
    struct pollfd entry = {client->fd, events, 0};
    for (;;) {
        long long left = client->until - now_ms();
        if (left <= 0)
            return fail(client, CLIENT_TOO_LATE, "no answer in time");
        int count = poll(&entry, 1, left > 60000 ? 60000 : (int)left);
        if (count > 0)
            return true;
        if (count < 0 && errno != EINTR)
            return fail(client, CLIENT_NO_BROKER, strerror(errno));
    }
}

static bool connect_to(struct client *client, int family, const struct sockaddr *address,
                       socklen_t size)
{
    int error = 0;
    socklen_t error_size = sizeof(error);
    client->fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (client->fd < 0)
        return fail(client, CLIENT_NO_BROKER, strerror(errno));
    if (connect(client->fd, address, size) == 0)
        return true;
    if (errno != EINPROGRESS)
        return fail(client, CLIENT_NO_BROKER, strerror(errno));
    if (!wait_for(client, POLLOUT))
        return false;
    getsockopt(client->fd, SOL_SOCKET, SO_ERROR, &error, &error_size);
    return error == 0 || fail(client, CLIENT_NO_BROKER, strerror(error));
}

static bool connect_path(struct client *client)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, client->target.path, sizeof(client->target.path));
    return connect_to(client, AF_UNIX, (struct sockaddr *)&address, sizeof(address));
}

static bool connect_host(struct client *client)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found = NULL;
    int error = getaddrinfo(client->target.host, client->target.port, &hints, &found);
    if (error)
        return fail(client, CLIENT_NO_BROKER, gai_strerror(error));
    bool is_there = false;
    for (struct addrinfo *one = found; one && !is_there; one = one->ai_next) {
        hang_up(client);
        is_there = connect_to(client, one->ai_family, one->ai_addr, one->ai_addrlen);
    }
    freeaddrinfo(found);
    return is_there;
}

static bool connect_once(struct client *client)
{
    if (client->fd >= 0)
        return true;
    bool is_there = client->target.path[0] ? connect_path(client) : connect_host(client);
    if (is_there && client->target.is_tls) {
        client->secure =
            secure_new(client->fd, &client->target, client->error, sizeof(client->error));
        client->trouble = client->secure ? CLIENT_FINE : CLIENT_NO_BROKER;
        is_there = client->secure;
    }
    if (!is_there)
        hang_up(client);
    return is_there;
}

/* A part of the bytes; 0: none yet, -1: it has failed. */
static ssize_t send_some(struct client *client, struct bytes bytes)
{
    short events = 0;
    if (!client->secure) {
        ssize_t count = send(client->fd, bytes.data, bytes.size, MSG_NOSIGNAL);
        events = count < 0 && (errno == EAGAIN || errno == EINTR) ? POLLOUT : 0;
        if (count < 0 && !events)
            fail(client, CLIENT_NO_BROKER, strerror(errno));
        return count >= 0 ? count : events && wait_for(client, events) ? 0 : -1;
    }
    ssize_t count = secure_send(client->secure, bytes.data, bytes.size, &events);
    if (count < 0 && !events)
        fail(client, CLIENT_NO_BROKER, secure_error(client->secure));
    return count >= 0 ? count : events && wait_for(client, events) ? 0 : -1;
}

static bool send_all(struct client *client, struct bytes bytes)
{
    while (bytes.size) {
        ssize_t count = send_some(client, bytes);
        if (count < 0)
            return false;
        bytes = bytes_of(bytes.data + count, bytes.size - (size_t)count);
    }
    return true;
}

/* As recv; EAGAIN once there may be more. */
static ssize_t receive_some(struct client *client, uint8_t *room)
{
    short events = POLLIN;
    ssize_t size;
    if (client->secure) {
        size = secure_receive(client->secure, room, READ_BYTES, &events);
        if (size < 0 && !events)
            fail(client, CLIENT_NO_BROKER, secure_error(client->secure));
    } else {
        size = recv(client->fd, room, READ_BYTES, 0);
        if (size < 0 && errno != EAGAIN && errno != EINTR) {
            events = 0;
            fail(client, CLIENT_NO_BROKER, strerror(errno));
        }
    }
    if (size < 0)
        errno = events && wait_for(client, events) ? EAGAIN : EIO;
    return size;
}

/* More bytes of the answer; *count 0: the broker has closed. */
static bool receive(struct client *client, size_t *count)
{
    uint8_t *room = buffer_room(&client->got, READ_BYTES);
    ssize_t size;
    do
        size = receive_some(client, room);
    while (size < 0 && errno == EAGAIN);
    *count = size > 0 ? (size_t)size : 0;
    buffer_added(&client->got, *count);
    return size >= 0;
}

static bool receive_more(struct client *client)
{
    size_t count;
    return receive(client, &count) &&
           (count || fail(client, CLIENT_NO_BROKER, "the connection was closed"));
}

int client_process(const struct client *client)
{
    struct ucred peer = {.pid = 0};
    socklen_t size = sizeof(peer);
    if (!client->target.path[0] || client->target.node[0] || client->fd < 0 ||
        getsockopt(client->fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0)
        return 0;
    return peer.pid;
}

/* ---- the request ---- */

static void add(struct buffer *out, const char *text)
{
    buffer_add(out, text, strlen(text));
}

void client_add_encoded(struct buffer *path, const char *text)
{
    static const char plain[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    char escaped[8];
    for (; *text; text++) {
        snprintf(escaped, sizeof(escaped), "%%%02X", (uint8_t)*text);
        if (strchr(plain, *text))
            buffer_add_u8(path, (uint8_t)*text);
        else
            buffer_add(path, escaped, 3);
    }
}

static void add_login(struct buffer *out, const struct target *target)
{
    struct buffer pair = {0};
    add(&pair, target->user);
    add(&pair, ":");
    add(&pair, target->password);
    add(out, "Authorization: Basic ");
    base64_write(buffer_bytes(&pair), out);
    add(out, "\r\n");
    buffer_free(&pair);
}

/* It cannot carry line ends. */
static void add_field(struct buffer *out, const char *name, const char *value)
{
    add(out, name);
    for (; *value; value++)
        buffer_add_u8(out, (uint8_t)*value < ' ' ? ' ' : (uint8_t)*value);
    add(out, "\r\n");
}

static void write_request(const struct client *client, const char *method, struct bytes path,
                          struct bytes body, const char *reason, struct buffer *out)
{
    const struct target *target = &client->target;
    char length[64];
    add(out, method);
    add(out, " ");
    add(out, target->prefix);
    add(out, "/api");
    buffer_add(out, path.data, path.size);
    add(out, " HTTP/1.1\r\nHost: ");
    add(out, target->path[0] ? "localhost" : target->host);
    add(out, "\r\nUser-Agent: leveretctl/" PACKAGE_VERSION "\r\nAccept: application/json\r\n");
    if (target->has_user)
        add_login(out, target);
    if (target->node[0])
        add_field(out, "X-Leveret-Node: ", target->node);
    if (reason)
        add_field(out, "X-Reason: ", reason);
    if (body.size)
        add(out, "Content-Type: application/json\r\n");
    snprintf(length, sizeof(length), "Content-Length: %zu\r\n\r\n", body.size);
    add(out, length);
    buffer_add(out, body.data, body.size);
}

/* ---- the answer ---- */

struct head {
    bool is_chunked, closes;
    bool has_length;
    size_t length;
};

static void read_field(struct head *head, struct reply *reply, const char *line, size_t size)
{
    const char *colon = memchr(line, ':', size);
    if (!colon)
        return;
    size_t name_size = (size_t)(colon - line);
    const char *value = colon + 1;
    while (*value == ' ')
        value++;
    size_t value_size = size - (size_t)(value - line);
#define IS(name) (name_size == sizeof(name) - 1 && strncasecmp(line, name, name_size) == 0)
    if (IS("content-length")) {
        head->has_length = true;
        head->length = strtoull(value, NULL, 10);
    } else if (IS("transfer-encoding"))
        head->is_chunked = strncasecmp(value, "chunked", 7) == 0;
    else if (IS("connection"))
        head->closes = strncasecmp(value, "close", 5) == 0;
    else if (IS("location") && value_size < sizeof(reply->location)) {
        memcpy(reply->location, value, value_size);
        reply->location[value_size] = '\0';
    }
#undef IS
}

/* Reads to the empty line, and takes what it read. */
static bool read_head(struct client *client, struct head *head, struct reply *reply)
{
    uint8_t *end = NULL;
    while (client->got.size < 4 ||
           !(end = memmem(client->got.data, client->got.size, "\r\n\r\n", 4))) {
        if (client->got.size > HEAD_MAX)
            return fail(client, CLIENT_NO_SENSE, "the answer has no end of its head");
        if (!receive_more(client))
            return false;
    }
    end[2] = '\0';
    const char *line = (const char *)client->got.data;
    if (sscanf(line, "HTTP/1.%*d %d", &reply->status) != 1)
        return fail(client, CLIENT_NO_SENSE, "what answers there speaks no HTTP");
    while ((line = strstr(line, "\r\n")) && line[2]) {
        line += 2;
        read_field(head, reply, line, strcspn(line, "\r"));
    }
    buffer_drop(&client->got, (size_t)(end + 4 - client->got.data));
    return true;
}

static bool take(struct client *client, size_t size, struct buffer *out)
{
    while (client->got.size < size)
        if (!receive_more(client))
            return false;
    if (out)
        buffer_add(out, client->got.data, size);
    buffer_drop(&client->got, size);
    return true;
}

/* The number of bytes in the next chunk. */
static bool read_size(struct client *client, size_t *size)
{
    uint8_t *end;
    while (client->got.size < 2 || !(end = memmem(client->got.data, client->got.size, "\r\n", 2)))
        if (client->got.size > HEAD_MAX || !receive_more(client))
            return false;
    *end = '\0';
    *size = strtoull((const char *)client->got.data, NULL, 16);
    buffer_drop(&client->got, (size_t)(end + 2 - client->got.data));
    return true;
}

static bool read_chunks(struct client *client, struct buffer *body)
{
    size_t size;
    do {
        if (!read_size(client, &size) || !take(client, size, body) || !take(client, 2, NULL))
            return false;
    } while (size);
    return true;
}

static bool read_to_end(struct client *client, struct buffer *body)
{
    size_t count;
    do {
        if (!receive(client, &count))
            return false;
    } while (count);
    return take(client, client->got.size, body);
}

static bool read_body(struct client *client, const struct head *head, struct reply *reply)
{
    if (reply->status == 204 || reply->status == 304)
        return true;
    if (head->is_chunked)
        return read_chunks(client, &reply->body);
    return head->has_length ? take(client, head->length, &reply->body)
                            : read_to_end(client, &reply->body);
}

/* Sends and reads; false: the connection is closed. */
static bool exchange(struct client *client, struct bytes request, struct reply *reply)
{
    struct head head = {0};
    if (!connect_once(client) || !send_all(client, request) || !read_head(client, &head, reply) ||
        !read_body(client, &head, reply)) {
        hang_up(client);
        return false;
    }
    if (head.closes || (!head.has_length && !head.is_chunked && reply->status != 204))
        hang_up(client);
    return true;
}

bool client_call(struct client *client, const char *method, struct bytes path, struct bytes body,
                 const char *reason, struct reply *reply)
{
    struct buffer request = {0};
    *reply = (struct reply){0};
    client->trouble = CLIENT_FINE;
    write_request(client, method, path, body, reason, &request);
    bool is_answered = exchange(client, buffer_bytes(&request), reply);
    buffer_free(&request);
    if (!is_answered)
        buffer_free(&reply->body);
    return is_answered;
}
