/* Sockets: bytes to brokers, and what brokers say, which is looked at here as it is said. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "amqp/properties.h"
#include "base/mem.h"
#include "tests/lib/amqp_more.h"
#include "tests/sim/cluster/brokers.h"

enum { FRAME_MAX = 131072, INPUT_MAX = 256 * 1024, PARTS = 16, HEARD_MS = 4, REDIAL_MS = 60 };

const char *queue_name_of(int queue)
{
    static const char *const names[QUEUES] = {"q0", "q1", "q2"};
    return names[queue];
}

void name_text(int name, char text[16])
{
    snprintf(text, 16, "name%d", name);
}

struct socket *socket_of(struct run *run, uint64_t serial)
{
    for (int i = 0; serial && i < SOCKETS; i++)
        if (run->sockets[i].is_used && run->sockets[i].serial == serial)
            return &run->sockets[i];
    return NULL;
}

/* ---- to a broker ---- */

void socket_send(struct socket *socket, const union method *method)
{
    size_t size = frame_method_size(method);
    uint16_t channel = method->id >> 16 == 10 ? 0 : 1;
    struct writer writer = writer_of(buffer_room(&socket->to_broker, size), size);
    frame_write_method(&writer, channel, method);
    buffer_added(&socket->to_broker, size);
}

void socket_call(struct socket *socket, const union method *method, struct due due)
{
    struct run *run = socket->node->run;
    if (socket->due_count == sizeof(socket->due) / sizeof(socket->due[0]))
        run_fail(run, "a client asks for too much");
    else
        socket->due[socket->due_count++] = due;
    socket_send(socket, method);
}

void socket_publish(struct socket *socket, int queue, uint64_t number)
{
    struct run *run = socket->node->run;
    const struct sim_message *message = &run->truth.messages[number];
    const struct properties persistent = {.flags = PROPERTY_DELIVERY_MODE, .delivery_mode = 2};
    union method method = {.basic_publish = {.id = METHOD_BASIC_PUBLISH,
                                             .exchange = bytes_str(""),
                                             .routing_key = bytes_str(queue_name_of(queue))}};
    uint8_t written[64], *body = mem_alloc(message->size);
    struct writer writer = writer_of(written, sizeof(written));
    properties_write(&writer, &persistent);
    struct bytes properties = bytes_of(written, (size_t)(writer.at - written));
    size_t size = frame_content_header_size(properties);
    truth_body(message, number, body);
    socket_send(socket, &method);
    writer = writer_of(buffer_room(&socket->to_broker, size), size);
    frame_write_content_header(&writer, 1, message->size, properties);
    buffer_added(&socket->to_broker, size);
    for (size_t at = 0; at < message->size; at += FRAME_MAX - FRAME_OVERHEAD) {
        size_t left = message->size - at;
        size_t part = left < FRAME_MAX - FRAME_OVERHEAD ? left : FRAME_MAX - FRAME_OVERHEAD;
        writer = writer_of(buffer_room(&socket->to_broker, part + FRAME_OVERHEAD), part + FRAME_OVERHEAD);
        frame_write_body(&writer, 1, bytes_of(body + at, part));
        buffer_added(&socket->to_broker, part + FRAME_OVERHEAD);
    }
    mem_free(body);
    if (message->tx)
        return;
    socket->published = mem_grow(socket->published, &socket->published_capacity, socket->published_count + 1,
                                 sizeof(*socket->published));
    socket->published[socket->published_count++] = (struct published){number, socket->answers_count};
    socket->unconfirmed++;
}

void socket_answered(struct socket *socket, uint64_t tag, bool is_returned)
{
    struct run *run = socket->node->run;
    uint64_t number = socket->delivered[tag - 1];
    if (is_returned) {
        run->report->returned++;
        truth_returned(run, socket, number);
        return;
    }
    truth_answered(run, socket, number);
    socket->answers =
        mem_grow(socket->answers, &socket->answers_capacity, socket->answers_count + 1, sizeof(*socket->answers));
    socket->answers[socket->answers_count++] = number;
}

/* ---- beginning and end ---- */

static void socket_free(struct socket *socket)
{
    if (socket->client)
        socket->client->socket = NULL;
    buffer_free(&socket->to_broker);
    buffer_free(&socket->output);
    buffer_free(&socket->body);
    mem_free(socket->said);
    mem_free(socket->published);
    mem_free(socket->delivered);
    mem_free(socket->answers);
    mem_free(socket->firsts);
    *socket = (struct socket){0};
}

/* Neither end waits for anything any more. */
static void forget_due(struct socket *socket)
{
    for (size_t i = 0; i < socket->due_count; i++)
        work_lost(socket->node->run, &socket->due[i]);
    socket->due_count = 0;
}

/* The broker's end is no more: what was on its way to the client still comes. */
static void end_conversation(struct socket *socket)
{
    struct run *run = socket->node->run;
    conversation_free(socket->conversation);
    socket->conversation = NULL;
    for (size_t i = 0; i < socket->delivered_count; i++)
        if (socket->delivered[i])
            truth_returned(run, socket, socket->delivered[i]);
    forget_due(socket);
    buffer_free(&socket->to_broker);
    if (!socket->client)
        socket_free(socket);
}

void client_give_up(struct client *client)
{
    struct run *run = client->run;
    struct socket *socket = client->socket;
    client->state = CLIENT_DOWN;
    client->held_count = 0;
    client->tx = 0;
    client->is_committing = false;
    client->asked_ms = 0;
    client->dial_ms = run->bench.now_ms + 1 + run_below(run, REDIAL_MS);
    if (!socket)
        return;
    run->report->given_up++;
    client->socket = NULL;
    socket->client = NULL;
    forget_due(socket);
    buffer_free(&socket->to_broker);
    if (!socket->conversation)
        socket_free(socket);
    else if (!run_is_cut(run, socket->caller, socket->node) && node_is_up(socket->node))
        end_conversation(socket);
    else
        run->report->unheard++;
}

void sockets_sweep(struct run *run)
{
    for (int i = 0; i < SOCKETS; i++) {
        struct socket *socket = &run->sockets[i];
        bool is_left = socket->is_used && !socket->client && socket->conversation;
        if (is_left && !run_is_cut(run, socket->caller, socket->node) && node_is_up(socket->node))
            end_conversation(socket);
    }
}

void sockets_end(struct node *node)
{
    struct run *run = node->run;
    for (int i = 0; i < SOCKETS; i++)
        if (run->sockets[i].is_used && run->sockets[i].node == node && run->sockets[i].conversation)
            end_conversation(&run->sockets[i]);
}

void clients_free(struct run *run)
{
    for (uint32_t i = 0; i < run->clients; i++)
        mem_free(run->client[i].held);
    for (int i = 0; i < SOCKETS; i++)
        if (run->sockets[i].is_used)
            socket_free(&run->sockets[i]);
}

/* ---- what a broker says ---- */

static void tell(struct socket *socket, uint32_t method, uint64_t tag, uint64_t number, bool multiple)
{
    struct run *run = socket->node->run;
    if (!socket->client)
        return;
    uint64_t at_ms = run->bench.now_ms + run_below(run, HEARD_MS);
    if (socket->said_count && at_ms < socket->said[socket->said_at + socket->said_count - 1].at_ms)
        at_ms = socket->said[socket->said_at + socket->said_count - 1].at_ms;
    if (socket->said_at && socket->said_at + socket->said_count == socket->said_capacity) {
        memmove(socket->said, socket->said + socket->said_at, socket->said_count * sizeof(*socket->said));
        socket->said_at = 0;
    }
    socket->said = mem_grow(socket->said, &socket->said_capacity, socket->said_at + socket->said_count + 1,
                            sizeof(*socket->said));
    socket->said[socket->said_at + socket->said_count++] = (struct said){at_ms, method, tag, number, multiple};
}

static void confirm(struct socket *socket, const struct method_basic_ack *ack)
{
    struct run *run = socket->node->run;
    size_t from = ack->multiple ? socket->confirmed_to : ack->delivery_tag - 1;
    if (ack->delivery_tag == 0 || ack->delivery_tag > socket->published_count ||
        (!ack->multiple && !socket->published[from].number)) {
        run_fail(run, "publish %" PRIu64 " is confirmed, of %zu", ack->delivery_tag, socket->published_count);
        return;
    }
    for (size_t i = from; i < ack->delivery_tag; i++) {
        struct published *published = &socket->published[i];
        if (!published->number)
            continue;
        truth_confirmed(run, socket, published->number);
        published->number = 0;
        socket->unconfirmed--;
        while (socket->settled_to < published->answers)
            truth_settled(run, socket->answers[socket->settled_to++]);
    }
    while (socket->confirmed_to < socket->published_count && !socket->published[socket->confirmed_to].number)
        socket->confirmed_to++;
    tell(socket, METHOD_BASIC_ACK, ack->delivery_tag, 0, ack->multiple);
}

static void take_due(struct socket *socket, const union method *method)
{
    struct run *run = socket->node->run;
    struct due due = socket->due[0];
    if (!socket->client) /* nobody waits for it any more */
        return;
    bool is_missing = method->id == METHOD_CHANNEL_CLOSE && socket->due_count && due.is_passive &&
                      method->channel_close.reply_code == 404;
    if (!socket->due_count || (due.method != method->id && !is_missing)) {
        run_fail(run, "%s comes while %s is due: %u %.*s", method_name(method->id),
                 socket->due_count ? method_name(due.method) : "nothing",
                 method->id == METHOD_CHANNEL_CLOSE ? method->channel_close.reply_code : 0,
                 method->id == METHOD_CHANNEL_CLOSE ? (int)method->channel_close.reply_text.size : 0,
                 (const char *)method->channel_close.reply_text.data);
        return;
    }
    memmove(&socket->due[0], &socket->due[1], --socket->due_count * sizeof(socket->due[0]));
    work_replied(run, socket, &due, method);
    tell(socket, method->id, due.tx, method->id == METHOD_QUEUE_DECLARE_OK ? method->queue_declare_ok.message_count : 0,
         due.name >= 0);
}

static void begin_content(struct socket *socket, const struct method_basic_deliver *deliver)
{
    struct run *run = socket->node->run;
    socket->content = deliver->id;
    socket->content_queue = -1;
    for (int i = 0; i < QUEUES; i++)
        if (bytes_equal_str(deliver->consumer_tag, queue_name_of(i)))
            socket->content_queue = i;
    socket->content_redelivered = deliver->redelivered;
    socket->content_tag = deliver->delivery_tag;
    socket->body.size = 0;
    if (socket->content_queue < 0 || deliver->delivery_tag != socket->delivered_count + 1)
        run_fail(run, "a delivery for nobody, or with a number that is not the next");
}

static void end_content(struct socket *socket)
{
    struct run *run = socket->node->run;
    socket->content = 0;
    uint64_t number = truth_delivered(run, socket, socket->content_queue, buffer_bytes(&socket->body),
                                      socket->content_redelivered);
    socket->delivered = mem_grow(socket->delivered, &socket->delivered_capacity, socket->delivered_count + 1,
                                 sizeof(*socket->delivered));
    socket->delivered[socket->delivered_count++] = number;
    tell(socket, METHOD_BASIC_DELIVER, socket->content_tag, number, false);
}

static void take_method(struct socket *socket, const union method *method)
{
    struct run *run = socket->node->run;
    switch (method->id) {
    case METHOD_CONNECTION_START:
    case METHOD_CONNECTION_TUNE:
    case METHOD_CONNECTION_OPEN_OK:
    case METHOD_CONNECTION_BLOCKED:
    case METHOD_CONNECTION_UNBLOCKED:
        tell(socket, method->id, 0, 0, false);
        break;
    case METHOD_CONNECTION_CLOSE:
        run_fail(run, "a connection is closed: %u %.*s", method->connection_close.reply_code,
                 BYTES_ARG(method->connection_close.reply_text));
        break;
    case METHOD_BASIC_DELIVER:
        begin_content(socket, &method->basic_deliver);
        break;
    case METHOD_BASIC_ACK:
        confirm(socket, &method->basic_ack);
        break;
    default:
        take_due(socket, method);
    }
}

static void take_frame(struct socket *socket, const struct frame *frame)
{
    struct run *run = socket->node->run;
    struct content_header header;
    union method method;
    if (frame->type == FRAME_HEARTBEAT)
        return;
    if (frame->type == FRAME_METHOD) {
        if (socket->content || method_read(frame->payload, &method) != METHOD_OK)
            run_fail(run, "a method that makes no sense");
        else
            take_method(socket, &method);
        return;
    }
    if (!socket->content || (frame->type == FRAME_HEADER && !content_header_read(frame->payload, &header))) {
        run_fail(run, "a content that makes no sense");
        return;
    }
    if (frame->type == FRAME_HEADER)
        socket->content_size = header.body_size;
    else
        buffer_add(&socket->body, frame->payload.data, frame->payload.size);
    if (socket->body.size == socket->content_size)
        end_content(socket);
}

static void take_frames(struct socket *socket)
{
    struct run *run = socket->node->run;
    struct frame frame;
    size_t used = 0;
    ssize_t size = 0;
    while (!run->is_failed && used < socket->output.size &&
           (size = frame_read(socket->output.data + used, socket->output.size - used, FRAME_MAX, &frame)) > 0) {
        take_frame(socket, &frame);
        used += (size_t)size;
    }
    if (size < 0)
        run_fail(run, "a frame that makes no sense");
    if (used)
        buffer_drop(&socket->output, used);
}

static void take(struct socket *socket)
{
    struct iovec parts[PARTS];
    int count;
    while ((count = conversation_output(socket->conversation, parts, PARTS)) > 0) {
        size_t size = 0;
        for (int i = 0; i < count; i++) {
            buffer_add(&socket->output, parts[i].iov_base, parts[i].iov_len);
            size += parts[i].iov_len;
        }
        conversation_sent(socket->conversation, size);
    }
    take_frames(socket);
    if (!conversation_is_finished(socket->conversation))
        return;
    if (!carried_may_end(socket))
        run_fail(socket->node->run, "a broker hangs up on client %u, socket %" PRIu64, socket->caller, socket->serial);
    socket->node->run->report->hung_up++;
    end_conversation(socket);
}

void sockets_take(struct node *node)
{
    struct run *run = node->run;
    for (int i = 0; i < SOCKETS && !run->is_failed; i++)
        if (run->sockets[i].is_used && run->sockets[i].node == node && run->sockets[i].conversation)
            take(&run->sockets[i]);
}

static void feed(struct socket *socket)
{
    struct run *run = socket->node->run;
    struct buffer *bytes = &socket->to_broker;
    while (bytes->size && conversation_wants_input(socket->conversation) && !run_chance(run, 4)) {
        size_t size = 1 + run_below(run, bytes->size < INPUT_MAX ? bytes->size : INPUT_MAX);
        socket->losses = 0;
        conversation_input(socket->conversation, bytes_of(bytes->data, size));
        buffer_drop(bytes, size);
    }
}

void sockets_feed(struct node *node)
{
    struct run *run = node->run;
    for (int i = 0; i < SOCKETS; i++) {
        struct socket *socket = &run->sockets[i];
        if (socket->is_used && socket->node == node && socket->conversation && socket->client &&
            !run_is_cut(run, socket->caller, node))
            feed(socket);
    }
}

/* ---- clients ---- */

static void answer_start(struct socket *socket)
{
    static const char response[] = "\0guest\0guest";
    union method ok = {.connection_start_ok = {.id = METHOD_CONNECTION_START_OK,
                                               .mechanism = bytes_str("PLAIN"),
                                               .response = bytes_of(response, sizeof(response) - 1),
                                               .locale = bytes_str("en_US")}};
    socket_send(socket, &ok);
}

static void answer_tune(struct socket *socket)
{
    union method ok = {
        .connection_tune_ok = {.id = METHOD_CONNECTION_TUNE_OK, .channel_max = 10, .frame_max = FRAME_MAX}};
    union method open = {.connection_open = {.id = METHOD_CONNECTION_OPEN, .virtual_host = bytes_str("/")}};
    socket_send(socket, &ok);
    socket_send(socket, &open);
}

static void hear(struct client *client, const struct said *said)
{
    switch (said->method) {
    case METHOD_CONNECTION_START:
        answer_start(client->socket);
        break;
    case METHOD_CONNECTION_TUNE:
        answer_tune(client->socket);
        break;
    case METHOD_CONNECTION_OPEN_OK:
        client->state = CLIENT_READY;
        work_ready(client);
        break;
    default:
        work_hear(client, said);
    }
}

static void hear_all(struct client *client)
{
    struct run *run = client->run;
    struct socket *socket = client->socket;
    bool is_cut = run_is_cut(run, client->number, socket->node);
    while (client->socket == socket && socket->said_count && !is_cut &&
           socket->said[socket->said_at].at_ms <= run->bench.now_ms) {
        struct said said = socket->said[socket->said_at++];
        socket->said_at = --socket->said_count ? socket->said_at : 0;
        client->asked_ms = 0;
        hear(client, &said);
    }
    /* The broker has hung up, or is gone. */
    if (client->socket == socket && !socket->conversation && !socket->said_count && !is_cut)
        client_give_up(client);
}

static struct socket *new_socket(struct client *client, struct node *node)
{
    struct run *run = client->run;
    int at = 0;
    while (at < SOCKETS && run->sockets[at].is_used)
        at++;
    if (at == SOCKETS)
        return NULL;
    struct socket *socket = &run->sockets[at];
    *socket = (struct socket){.is_used = true,
                              .serial = ++run->sockets_last,
                              .office = node->office,
                              .is_relayed = !node->office,
                              .is_lasting = run_chance(run, 2),
                              .lost_ms = run->bench.now_ms,
                              .stream = truth_stream(&run->truth),
                              .client = client,
                              .caller = client->number,
                              .node = node};
    return socket;
}

/* Any broker is as good as another one, but for those who look for the one that leads. */
static void dial(struct client *client)
{
    struct run *run = client->run;
    struct node *node = &run->of[run_below(run, run->nodes)];
    struct peer peer = {.local = "broker:1", .is_loopback = true};
    client->dial_ms = run->bench.now_ms + 1 + run_below(run, REDIAL_MS);
    if (!node_is_up(node) || node->is_over || run_is_cut(run, client->number, node) ||
        (!node->office && run_below(run, 4) >= run->relayed_in_4) || carried_is_behind(run, client))
        return;
    struct socket *socket = new_socket(client, node);
    if (!socket)
        return;
    snprintf(peer.name, sizeof(peer.name), "client%u:%" PRIu64, client->number, socket->serial);
    run_say(run, "client %u dials broker %u, socket %" PRIu64 "%s", client->number, node->number, socket->serial,
            socket->is_relayed ? ", which follows" : "");
    client->socket = socket;
    client->state = CLIENT_GREETING;
    bool is_patient = run->is_healing || (socket->is_relayed && socket->is_lasting);
    client->patience_ms = is_patient ? UINT64_MAX / 2 : 200 + run_below(run, 4000);
    run->report->relayed += socket->is_relayed;
    socket->conversation = service_accept(
        socket->is_relayed ? relays_service(node->relays) : server_service(node->server), &peer, socket);
    buffer_add(&socket->to_broker, protocol_header, PROTOCOL_HEADER_SIZE);
}

/* It has waited long enough for an answer. */
static bool is_impatient(struct client *client)
{
    const struct socket *socket = client->socket;
    uint64_t now_ms = client->run->bench.now_ms;
    bool waits = client->state == CLIENT_GREETING || socket->due_count || socket->unconfirmed;
    if (!waits)
        client->asked_ms = 0;
    else if (!client->asked_ms)
        client->asked_ms = now_ms;
    return waits && now_ms > client->asked_ms + client->patience_ms;
}

void client_step(struct client *client)
{
    if (client->state == CLIENT_DONE)
        return;
    if (!client->socket) {
        if (client->run->bench.now_ms >= client->dial_ms)
            dial(client);
        return;
    }
    hear_all(client);
    if (client->socket && client->state == CLIENT_READY)
        work_act(client);
    if (client->socket && is_impatient(client))
        client_give_up(client);
}
