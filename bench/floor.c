/* The floor of the benchmark: what moving messages costs on this machine when nothing else is done.
 *
 * This is a measuring device and no broker. It speaks as much AMQP as leveretperf needs for a queue
 * of its own: frames are read, the routing key is looked up in a hash of queues, each message is
 * kept in one allocation in one FIFO, and deliveries are encoded in turn into the output buffers of
 * the queue's consumers. Nothing is kept on disk, confirmed, acknowledged, bound or limited: acks
 * are read over, exchanges and bindings are answered and forgotten, and the name of the queue is
 * the only key. A connection has one channel, and whoever asks for something else, or sends a
 * message larger than the input buffer, is hung up on.
 *
 * One thread, and one turn for each socket that can be read: one recv, all its frames, and one send
 * for each connection that got something. A consumer whose output is full is passed over until the
 * socket has taken some.
 *
 *     floor PORT        listens on 127.0.0.1, prints nothing, ends with SIGTERM and status 0 */
#include <errno.h>
#include <malloc.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "amqp/frame.h"
#include "amqp/table.h"
#include "base/list.h"
#include "base/mem.h"

enum {
    IN_SIZE = 256 * 1024,
    OUT_DELIVERIES = 512 * 1024,           /* beyond this nothing is delivered, */
    OUT_SIZE = OUT_DELIVERIES + 64 * 1024, /* but there is room for answers */
    FRAME_MAX = 128 * 1024,
    QUEUE_BUCKETS = 4096,
    EVENTS = 64,
    NAMES_AT = FRAME_HEADER_SIZE + 4 + 2,   /* in a basic.publish, after the ids and a ticket */
    PUBLISH_MIN = NAMES_AT + 1 + 1 + 1 + 1, /* two names, bits, end octet */
    BODY_SIZE_AT = FRAME_HEADER_SIZE + 4,   /* in a content header */
    HEADER_MIN = FRAME_OVERHEAD + 12 + 2,
    PREFIX_MAX = FRAME_HEADER_SIZE + 4 + 1 + SHORTSTR_MAX,
    TRIM_BYTES = 1 << 30, /* memory that was freed is used again, and not given back: */
    GROW_BYTES = 8 << 20, /* the system's time for its pages is not what is measured */
};

struct message {
    struct message *next;
    uint32_t size;
    uint32_t names_size;
    uint8_t data[]; /* exchange and routing key, an octet FRAME_END, header and body frames */
};

struct queue {
    struct queue *next; /* of the same bucket */
    struct bytes name;  /* owned */
    struct message *first, **end;
    uint32_t count;
    struct consumer *turn; /* whose turn it is, on a ring of all; or NULL */
    struct list active;    /* on floor->active when what it holds is to be delivered */
};

struct consumer {
    struct consumer *next; /* of the same connection, which owns it */
    struct list ring;
    struct connection *connection;
    struct queue *queue; /* NULL when it was deleted */
    uint32_t prefix_size;
    uint8_t prefix[PREFIX_MAX]; /* a basic.deliver as far as it is always the same */
};

struct connection {
    int fd;
    bool greeted;
    bool blocked; /* the socket takes no more: EPOLLOUT is awaited */
    bool starved; /* there was no room for a delivery */
    uint64_t tag;
    struct consumer *consumers;
    struct buffer rest; /* the beginning of what has not come whole */
    uint8_t *out;
    size_t out_size;
    struct list dirty; /* on floor->dirty when there is something to send */
};

struct floor {
    int epoll, listener;
    struct queue *queues[QUEUE_BUCKETS];
    struct list active, dirty;
    uint8_t in[IN_SIZE];
};

/* ---- queues ---- */

/* The last eight bytes and the size: a benchmark's names end in numbers. */
static inline struct queue **queue_find(struct floor *floor, struct bytes name)
{
    uint64_t hash = 0;
    if (name.size >= sizeof(hash))
        memcpy(&hash, name.data + name.size - sizeof(hash), sizeof(hash));
    else if (name.size)
        memcpy(&hash, name.data, name.size);
    hash = (hash ^ name.size) * 0x9e3779b97f4a7c15u;
    struct queue **at = &floor->queues[hash >> 32 & (QUEUE_BUCKETS - 1)];
    while (*at && !bytes_equal((*at)->name, name))
        at = &(*at)->next;
    return at;
}

static struct queue *queue_new(struct bytes name)
{
    struct queue *queue = mem_zalloc(sizeof(*queue));
    queue->name = bytes_of(mem_dup(name.data, name.size), name.size);
    queue->end = &queue->first;
    list_init(&queue->active);
    return queue;
}

static inline void activate(struct floor *floor, struct queue *queue)
{
    if (list_is_empty(&queue->active))
        list_push_back(&floor->active, &queue->active);
}

static inline void drop_first(struct queue *queue)
{
    struct message *message = queue->first;
    queue->first = message->next;
    if (!queue->first)
        queue->end = &queue->first;
    queue->count--;
    free(message);
}

static void purge(struct queue *queue)
{
    while (queue->first)
        drop_first(queue);
}

static inline struct consumer *next_on_ring(struct consumer *consumer)
{
    return list_entry(consumer->ring.next, struct consumer, ring);
}

static void detach(struct consumer *consumer)
{
    struct queue *queue = consumer->queue;
    if (queue && queue->turn == consumer)
        queue->turn = next_on_ring(consumer) == consumer ? NULL : next_on_ring(consumer);
    list_remove(&consumer->ring);
    consumer->queue = NULL;
}

static void queue_delete(struct queue **at)
{
    struct queue *queue = *at;
    *at = queue->next;
    purge(queue);
    while (queue->turn)
        detach(queue->turn);
    list_remove(&queue->active);
    mem_free((void *)(uintptr_t)queue->name.data);
    mem_free(queue);
}

/* ---- output ---- */

static inline void mark_dirty(struct floor *floor, struct connection *connection)
{
    if (list_is_empty(&connection->dirty))
        list_push_back(&floor->dirty, &connection->dirty);
}

/* False when the peer asks without reading the answers. */
static bool answer(struct floor *floor, struct connection *connection, uint16_t channel,
                   const union method *method)
{
    struct writer writer =
        writer_of(connection->out + connection->out_size, OUT_SIZE - connection->out_size);
    frame_write_method(&writer, channel, method);
    if (writer.bad)
        return false;
    connection->out_size = (size_t)(writer.at - connection->out);
    mark_dirty(floor, connection);
    return true;
}

/* False when there is no room. */
static inline bool encode(struct floor *floor, struct consumer *consumer,
                          const struct message *message)
{
    struct connection *connection = consumer->connection;
    size_t size = consumer->prefix_size + 9 + message->size;
    if (connection->out_size + size > OUT_DELIVERIES) {
        connection->starved = true;
        return false;
    }
    uint8_t *begin = connection->out + connection->out_size;
    uint8_t *at = put_bytes(begin, bytes_of(consumer->prefix, consumer->prefix_size));
    put_u32(begin + 3, consumer->prefix_size - FRAME_HEADER_SIZE + 9 + message->names_size);
    at = put_u64(at, ++connection->tag);
    at = put_u8(at, 0); /* not redelivered */
    memcpy(at, message->data, message->size);
    connection->out_size += size;
    mark_dirty(floor, connection);
    return true;
}

static inline void deliver(struct floor *floor, struct queue *queue)
{
    const struct consumer *full = NULL; /* the first of those without room */
    while (queue->first && queue->turn) {
        struct consumer *consumer = queue->turn;
        queue->turn = next_on_ring(consumer);
        if (encode(floor, consumer, queue->first)) {
            drop_first(queue);
            full = NULL;
        } else if (full == consumer) {
            break;
        } else if (!full) {
            full = consumer;
        }
    }
}

static void watch(struct floor *floor, struct connection *connection, int operation)
{
    struct epoll_event event = {.events = EPOLLIN | (connection->blocked ? EPOLLOUT : 0u),
                                .data = {.ptr = connection}};
    epoll_ctl(floor->epoll, operation, connection->fd, &event);
}

static void flush(struct floor *floor, struct connection *connection)
{
    if (connection->blocked)
        return;
    ssize_t sent =
        send(connection->fd, connection->out, connection->out_size, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN) {
        shutdown(connection->fd, SHUT_RDWR); /* which its recv will tell */
        sent = (ssize_t)connection->out_size;
    }
    if (sent > 0) {
        connection->out_size -= (size_t)sent;
        memmove(connection->out, connection->out + sent, connection->out_size);
    }
    if (connection->out_size) {
        connection->blocked = true;
        watch(floor, connection, EPOLL_CTL_MOD);
    }
    if (connection->starved) {
        connection->starved = false;
        for (struct consumer *at = connection->consumers; at; at = at->next)
            if (at->queue)
                activate(floor, at->queue);
    }
}

/* After each turn. A queue that had more than there was room for is active again. */
static void work(struct floor *floor)
{
    struct list *link;
    while ((link = list_take_first(&floor->active)))
        deliver(floor, list_entry(link, struct queue, active));
    while ((link = list_take_first(&floor->dirty)))
        flush(floor, list_entry(link, struct connection, dirty));
}

/* ---- input: methods ---- */

static bool start(struct floor *floor, struct connection *connection)
{
    struct buffer properties = {0};
    struct table_writer writer;
    table_writer_init(&writer, &properties);
    table_add_string(&writer, bytes_str("product"), bytes_str("floor"));
    table_add_string(&writer, bytes_str("version"), bytes_str(PACKAGE_VERSION));
    union method start = {.connection_start = {.id = METHOD_CONNECTION_START,
                                               .version_minor = 9,
                                               .server_properties = buffer_bytes(&properties),
                                               .mechanisms = bytes_str("PLAIN"),
                                               .locales = bytes_str("en_US")}};
    bool room = answer(floor, connection, 0, &start);
    buffer_free(&properties);
    return room;
}

static bool tune(struct floor *floor, struct connection *connection)
{
    union method tune = {.connection_tune = {.id = METHOD_CONNECTION_TUNE,
                                             .channel_max = 1,
                                             .frame_max = FRAME_MAX}};
    return answer(floor, connection, 0, &tune);
}

static bool declare(struct floor *floor, struct connection *connection, uint16_t channel,
                    const struct method_queue_declare *declare)
{
    struct queue **at = queue_find(floor, declare->queue);
    union method close = {.channel_close = {.id = METHOD_CHANNEL_CLOSE,
                                            .reply_code = 404,
                                            .reply_text = bytes_str("NOT_FOUND"),
                                            .class_id = method_class_id(METHOD_QUEUE_DECLARE),
                                            .method_id = method_method_id(METHOD_QUEUE_DECLARE)}};
    if (!*at && declare->passive)
        return answer(floor, connection, channel, &close);
    if (!*at)
        *at = queue_new(declare->queue);
    union method ok = {.queue_declare_ok = {.id = METHOD_QUEUE_DECLARE_OK,
                                            .queue = declare->queue,
                                            .message_count = (*at)->count}};
    return answer(floor, connection, channel, &ok);
}

static bool consume(struct floor *floor, struct connection *connection, uint16_t channel,
                    const struct method_basic_consume *consume)
{
    struct queue *queue = *queue_find(floor, consume->queue);
    if (!queue)
        return false;
    struct consumer *consumer = mem_zalloc(sizeof(*consumer));
    consumer->next = connection->consumers;
    connection->consumers = consumer;
    consumer->connection = connection;
    consumer->queue = queue;
    uint8_t *at = frame_write_header(consumer->prefix, FRAME_METHOD, channel, 0);
    at = put_shortstr(put_u32(at, METHOD_BASIC_DELIVER), consume->consumer_tag);
    consumer->prefix_size = (uint32_t)(at - consumer->prefix);
    list_init(&consumer->ring);
    if (queue->turn)
        list_push_back(&queue->turn->ring, &consumer->ring);
    else
        queue->turn = consumer;
    activate(floor, queue);
    union method ok = {
        .basic_consume_ok = {.id = METHOD_BASIC_CONSUME_OK, .consumer_tag = consume->consumer_tag}};
    return answer(floor, connection, channel, &ok);
}

/* False when it is not one of the few that are answered. */
static bool take_method(struct floor *floor, struct connection *connection,
                        const struct frame *frame)
{
    union method method;
    struct queue **at;
    if (method_read(frame->payload, &method) != METHOD_OK)
        return false;
    switch (method.id) {
    case METHOD_CONNECTION_START_OK:
        return tune(floor, connection);
    case METHOD_CONNECTION_TUNE_OK:
    case METHOD_CHANNEL_CLOSE_OK:
    case METHOD_BASIC_ACK:
        return true;
    case METHOD_QUEUE_DECLARE:
        return declare(floor, connection, frame->channel, &method.queue_declare);
    case METHOD_BASIC_CONSUME:
        return consume(floor, connection, frame->channel, &method.basic_consume);
    case METHOD_QUEUE_PURGE:
        at = queue_find(floor, method.queue_purge.queue);
        if (*at)
            purge(*at);
        break;
    case METHOD_QUEUE_DELETE:
        at = queue_find(floor, method.queue_delete.queue);
        if (*at)
            queue_delete(at);
        break;
    case METHOD_CONNECTION_OPEN:
    case METHOD_CONNECTION_CLOSE:
    case METHOD_CHANNEL_OPEN:
    case METHOD_CHANNEL_CLOSE:
    case METHOD_EXCHANGE_DECLARE:
    case METHOD_EXCHANGE_DELETE:
    case METHOD_QUEUE_BIND:
    case METHOD_BASIC_QOS:
    case METHOD_CONFIRM_SELECT:
        break;
    default:
        return false;
    }
    union method ok;
    memset(&ok, 0, sizeof(ok));
    ok.id = method.id + 1; /* as it is with all of these */
    return answer(floor, connection, frame->channel, &ok);
}

/* ---- input: messages ---- */

static inline uint32_t get_u32(const uint8_t *at)
{
    uint32_t value;
    memcpy(&value, at, sizeof(value));
    return be32toh(value);
}

/* The bytes of the frame at `at`; 0 when it has not come whole, or is of another type. */
static inline size_t whole(struct bytes in, size_t at, uint8_t type)
{
    const uint8_t *frame = in.data + at;
    if (in.size - at < FRAME_OVERHEAD || frame[0] != type)
        return 0;
    size_t size = (size_t)get_u32(frame + 3) + FRAME_OVERHEAD;
    return size <= in.size - at && frame[size - 1] == FRAME_END ? size : 0;
}

/* `content` begins with the end octet of the method's frame. A message that is delivered at once
 * leaves its memory, still in the cache, to the next one. */
static inline void keep(struct floor *floor, const uint8_t *names, struct bytes key,
                        struct bytes content)
{
    struct queue *queue = *queue_find(floor, key);
    size_t names_size = (size_t)(key.data + key.size - names);
    if (!queue)
        return;
    struct message *message = mem_alloc(sizeof(*message) + names_size + content.size);
    message->next = NULL;
    message->size = (uint32_t)(names_size + content.size);
    message->names_size = (uint32_t)names_size;
    memcpy(put_bytes(message->data, bytes_of(names, names_size)), content.data, content.size);
    *queue->end = message;
    queue->end = &message->next;
    queue->count++;
    deliver(floor, queue);
}

/* A basic.publish and its content. Returns the bytes they take; 0 when they have not come whole, or
 * are none, which ends the connection when the input buffer is full of it. */
static inline size_t take_message(struct floor *floor, struct bytes in)
{
    size_t end = whole(in, 0, FRAME_METHOD);
    const uint8_t *names = in.data + NAMES_AT;
    if (end < PUBLISH_MIN || end - PUBLISH_MIN < names[0])
        return 0;
    const uint8_t *key = names + 1 + names[0];
    if (end - PUBLISH_MIN - names[0] != key[0])
        return 0;
    const uint8_t *content = in.data + end - 1;
    size_t size = whole(in, end, FRAME_HEADER);
    if (size < HEADER_MIN || get_u32(in.data + end + BODY_SIZE_AT))
        return 0;
    size_t left = get_u32(in.data + end + BODY_SIZE_AT + 4);
    for (end += size; left; end += size, left -= size - FRAME_OVERHEAD) {
        size = whole(in, end, FRAME_BODY);
        if (!size || size - FRAME_OVERHEAD > left)
            return 0;
    }
    keep(floor, names, bytes_of(key + 1, key[0]),
         bytes_of(content, (size_t)(in.data + end - content)));
    return end;
}

/* Takes what is there whole. Returns how much that was; less than 0 when something is wrong. */
static ssize_t take_frames(struct floor *floor, struct connection *connection, struct bytes in)
{
    size_t at = 0;
    struct frame frame;
    if (!connection->greeted) {
        enum protocol_check check = protocol_header_check(in.data, in.size);
        if (check != PROTOCOL_0_9_1)
            return check == PROTOCOL_NEEDS_MORE ? 0 : -1;
        connection->greeted = true;
        at = PROTOCOL_HEADER_SIZE;
        if (!start(floor, connection))
            return -1;
    }
    for (;;) {
        struct bytes left = bytes_of(in.data + at, in.size - at);
        ssize_t taken;
        if (left.size > PUBLISH_MIN && left.data[0] == FRAME_METHOD &&
            get_u32(left.data + FRAME_HEADER_SIZE) == METHOD_BASIC_PUBLISH)
            taken = (ssize_t)take_message(floor, left);
        else if ((taken = frame_read(left.data, left.size, FRAME_MAX, &frame)) > 0 &&
                 frame.type == FRAME_METHOD && !take_method(floor, connection, &frame))
            return -1;
        if (taken <= 0)
            return taken < 0 ? taken : (ssize_t)at;
        at += (size_t)taken;
    }
}

/* False when the connection has ended, or is to. The input buffer is one for all, so that it stays
 * in the processor's cache; what is not whole waits with the connection. */
static bool receive(struct floor *floor, struct connection *connection)
{
    struct buffer *rest = &connection->rest;
    if (rest->size)
        memcpy(floor->in, rest->data, rest->size);
    ssize_t got = recv(connection->fd, floor->in + rest->size, IN_SIZE - rest->size, MSG_DONTWAIT);
    if (got <= 0)
        return got < 0 && errno == EAGAIN;
    struct bytes in = bytes_of(floor->in, rest->size + (size_t)got);
    ssize_t taken = take_frames(floor, connection, in);
    if (taken < 0 || in.size - (size_t)taken == IN_SIZE)
        return false;
    rest->size = 0;
    if (in.size > (size_t)taken)
        buffer_add(rest, in.data + taken, in.size - (size_t)taken);
    return true;
}

/* ---- connections ---- */

static void welcome(struct floor *floor)
{
    int on = 1;
    int fd = accept4(floor->listener, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0)
        return;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    struct connection *connection = mem_zalloc(sizeof(*connection));
    connection->fd = fd;
    connection->out = mem_alloc(OUT_SIZE);
    list_init(&connection->dirty);
    watch(floor, connection, EPOLL_CTL_ADD);
}

static void end(struct connection *connection)
{
    while (connection->consumers) {
        struct consumer *consumer = connection->consumers;
        connection->consumers = consumer->next;
        detach(consumer);
        mem_free(consumer);
    }
    list_remove(&connection->dirty);
    close(connection->fd);
    buffer_free(&connection->rest);
    mem_free(connection->out);
    mem_free(connection);
}

static void take_event(struct floor *floor, const struct epoll_event *event)
{
    struct connection *connection = event->data.ptr;
    if (!connection) {
        welcome(floor);
        return;
    }
    if (event->events & EPOLLOUT) {
        connection->blocked = false;
        watch(floor, connection, EPOLL_CTL_MOD);
        mark_dirty(floor, connection);
    }
    if (event->events & ~(uint32_t)EPOLLOUT && !receive(floor, connection))
        end(connection);
}

static bool listen_on(struct floor *floor, const char *port)
{
    int on = 1;
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)atoi(port)),
                                  .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    struct epoll_event event = {.events = EPOLLIN};
    floor->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    floor->epoll = epoll_create1(EPOLL_CLOEXEC);
    setsockopt(floor->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    return bind(floor->listener, (struct sockaddr *)&address, sizeof(address)) == 0 &&
           listen(floor->listener, SOMAXCONN) == 0 &&
           epoll_ctl(floor->epoll, EPOLL_CTL_ADD, floor->listener, &event) == 0;
}

static void leave(int number)
{
    (void)number;
    _exit(EXIT_SUCCESS);
}

int main(int argc, char **argv)
{
    struct epoll_event events[EVENTS];
    struct floor *floor = mem_zalloc(sizeof(*floor));
    list_init(&floor->active);
    list_init(&floor->dirty);
    signal(SIGTERM, leave);
    mallopt(M_TRIM_THRESHOLD, TRIM_BYTES);
    mallopt(M_TOP_PAD, GROW_BYTES);
    if (argc != 2 || !listen_on(floor, argv[1]))
        return EXIT_FAILURE;
    for (;;) {
        int count =
            epoll_wait(floor->epoll, events, EVENTS, list_is_empty(&floor->active) ? -1 : 0);
        for (int i = 0; i < count; i++) {
            take_event(floor, &events[i]);
            work(floor);
        }
        if (count <= 0)
            work(floor);
    }
}
