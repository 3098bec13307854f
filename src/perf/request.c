/* Requests and replies. A correlation id tells that a reply is the one that is waited for; bodies
 * are of one byte over and over. */
#include "perf/request.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>

#include "amqp/properties.h"
#include "perf/clock.h"

#define REPLY_TO "amq.rabbitmq.reply-to"

enum {
    LOOK_MS = 50,           /* how often a server looks whether it is to stop */
    PROPERTIES_SPACE = 600, /* flags and two short strings */
};

/* ---- one way ---- */

static void put_body(struct link *link, uint64_t size)
{
    uint64_t most = link->frame_max - FRAME_OVERHEAD;
    for (uint64_t sent = 0; sent < size;) {
        uint32_t part = (uint32_t)(size - sent < most ? size - sent : most);
        uint8_t *at = link_make_room(link, part + FRAME_OVERHEAD);
        at = frame_write_header(at, FRAME_BODY, REQUEST_CHANNEL, part);
        memset(at, 'r', part);
        at[part] = FRAME_END;
        link_added(link, part + FRAME_OVERHEAD);
        sent += part;
    }
}

static void put_message(struct link *link, struct bytes key, const struct properties *properties,
                        uint64_t size)
{
    union method publish = {.basic_publish = {.id = METHOD_BASIC_PUBLISH, .routing_key = key}};
    uint8_t space[PROPERTIES_SPACE];
    struct writer writer = writer_of(space, sizeof(space));
    properties_write(&writer, properties);
    struct bytes encoded = bytes_of(space, properties_size(properties));
    size_t length = frame_content_header_size(encoded);
    link_put_method(link, REQUEST_CHANNEL, &publish);
    writer = writer_of(link_make_room(link, length), length);
    frame_write_content_header(&writer, REQUEST_CHANNEL, size, encoded);
    link_added(link, length);
    put_body(link, size);
}

/* ---- the other way ---- */

/* A message that is coming in. */
struct incoming {
    bool begun, headed;
    uint64_t size, left;
    struct buffer properties;
};

static bool take_header(struct incoming *message, struct link *link, struct bytes payload)
{
    struct content_header header;
    if (!message->begun || !content_header_read(payload, &header))
        return link_fail(link, "the broker sent a content header that nobody announced");
    message->size = message->left = header.body_size;
    message->headed = true;
    message->properties.size = 0;
    buffer_add(&message->properties, header.properties.data, header.properties.size);
    return message->left == 0;
}

static void take_method(struct incoming *message, struct link *link, const struct frame *frame)
{
    union method method;
    if (method_read(frame->payload, &method) != METHOD_OK)
        link_fail(link, "the broker sent a malformed method");
    else if (method.id == METHOD_BASIC_DELIVER)
        message->begun = true;
    else if (method.id == METHOD_BASIC_CANCEL)
        link_fail(link, "the broker cancelled the consumer: its queue is gone");
    else
        link_handle(link, frame->channel, &method);
}

/* One frame; true when the message is complete with it. The link may have failed. */
static bool take_frame(struct incoming *message, struct link *link, const struct frame *frame)
{
    if (frame->type == FRAME_METHOD)
        take_method(message, link, frame);
    else if (frame->type == FRAME_HEADER && take_header(message, link, frame->payload))
        return true;
    if (frame->type != FRAME_BODY)
        return false;
    if (!message->headed || frame->payload.size > message->left)
        return link_fail(link, "the broker sent a body that nobody announced");
    message->left -= frame->payload.size;
    return message->left == 0;
}

static bool subscribe(struct link *link, const char *queue)
{
    union method consume = {
        .basic_consume = {.id = METHOD_BASIC_CONSUME, .queue = bytes_str(queue), .no_ack = true}};
    return link_call(link, REQUEST_CHANNEL, &consume, METHOD_BASIC_CONSUME_OK, NULL, NULL);
}

/* ---- a client ---- */

bool request_begin(struct link *link)
{
    return subscribe(link, REPLY_TO);
}

static bool await_reply(struct link *link, struct incoming *reply)
{
    struct frame frame;
    while (link_await_frame(link, &frame)) {
        if (take_frame(reply, link, &frame))
            return true;
        if (link_failed(link))
            return false;
    }
    return false;
}

bool request_round(struct link *link, const char *queue, uint64_t number, uint64_t size)
{
    char id[24];
    snprintf(id, sizeof(id), "%" PRIu64, number);
    struct properties properties = {.flags = PROPERTY_REPLY_TO | PROPERTY_CORRELATION_ID,
                                    .reply_to = bytes_str(REPLY_TO),
                                    .correlation_id = bytes_str(id)};
    struct incoming reply = {0};
    put_message(link, bytes_str(queue), &properties, size);
    bool good = await_reply(link, &reply);
    properties_read_checked(buffer_bytes(&reply.properties), &properties);
    if (good && (!properties_have(&properties, PROPERTY_CORRELATION_ID) ||
                 !bytes_equal_str(properties.correlation_id, id) || reply.size != size))
        good = link_fail(link, "the reply to request %s is of another", id);
    buffer_free(&reply.properties);
    return good;
}

/* ---- a server ---- */

static void answer(struct link *link, const struct incoming *request)
{
    struct properties properties;
    properties_read_checked(buffer_bytes(&request->properties), &properties);
    if (!properties_have(&properties, PROPERTY_REPLY_TO))
        return;
    struct bytes key = properties.reply_to;
    properties.flags &= PROPERTY_CORRELATION_ID;
    put_message(link, key, &properties, request->size);
}

static void wait_for_more(struct link *link)
{
    short events = link_unsent(link) ? POLLIN | POLLOUT : POLLIN;
    struct pollfd fd = {link->fd, events, 0};
    poll(&fd, 1, LOOK_MS);
}

static void *serve(void *context)
{
    struct request_server *server = context;
    struct link *link = &server->link;
    struct incoming request = {0};
    struct frame frame;
    while (!atomic_load(&server->stop) && !link_failed(link)) {
        while (link_next_frame(link, &frame))
            if (take_frame(&request, link, &frame)) {
                answer(link, &request);
                request.begun = request.headed = false;
            }
        size_t before = link->in_end - link->in_at;
        if (!link_flush(link) || !link_fill(link))
            break;
        if (link->in_end - link->in_at == before)
            wait_for_more(link);
    }
    buffer_free(&request.properties);
    return NULL;
}

bool request_server_start(struct request_server *server, const struct link_target *target,
                          const char *queue)
{
    if (!link_open(&server->link, target, LINK_BUFFER_SMALL) ||
        !link_open_channel(&server->link, REQUEST_CHANNEL) || !subscribe(&server->link, queue))
        return false;
    int error = pthread_create(&server->thread, NULL, serve, server);
    if (error)
        return link_fail(&server->link, "starting a thread: %s", strerror(error));
    server->started = true;
    return true;
}

void request_server_stop(struct request_server *server)
{
    atomic_store(&server->stop, 1);
    if (server->started)
        pthread_join(server->thread, NULL);
    server->started = false;
}
