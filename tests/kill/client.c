/* One connection of the load: what it sends, and what it makes of what comes. */
#include "client.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "amqp/frame.h"
#include "amqp/properties.h"
#include "base/mem.h"

enum {
    CONSUME = 1,
    PUBLISH = 2,
    FRAME_MAX = 131072,
    OUT_MAX = 512 * 1024,
    READ_BYTES = 256 * 1024
};

/* ---- saying ---- */

static void say(struct client *client, uint16_t channel, const union method *method)
{
    if (client->is_muted)
        return;
    size_t size = frame_method_size(method);
    struct writer writer = writer_of(buffer_room(&client->out, size), size);
    frame_write_method(&writer, channel, method);
    assert(!writer.bad);
    buffer_added(&client->out, size);
}

/* The same, and a reply is due. */
static void ask(struct client *client, uint16_t channel, const union method *method)
{
    say(client, channel, method);
    client->awaited++;
}

/* All at once: the broker acts on it one by one. */
static void log_in(struct client *client)
{
    static const uint8_t plain[] = "\0guest\0guest";
    buffer_add(&client->out, protocol_header, PROTOCOL_HEADER_SIZE);
    say(client, 0,
        &(union method){.connection_start_ok = {.id = METHOD_CONNECTION_START_OK,
                                                .mechanism = bytes_str("PLAIN"),
                                                .response = bytes_of(plain, sizeof(plain) - 1),
                                                .locale = bytes_str("en_US")}});
    say(client, 0,
        &(union method){.connection_tune_ok = {.id = METHOD_CONNECTION_TUNE_OK,
                                               .channel_max = 2047,
                                               .frame_max = FRAME_MAX}});
    ask(client, 0,
        &(union method){
            .connection_open = {.id = METHOD_CONNECTION_OPEN, .virtual_host = bytes_str("/")}});
    ask(client, CONSUME, &(union method){.id = METHOD_CHANNEL_OPEN});
    ask(client, PUBLISH, &(union method){.id = METHOD_CHANNEL_OPEN});
}

/* A consumer's tag is the number of its queue. */
void client_consume(struct client *client, enum queue_number queue)
{
    uint8_t tag = (uint8_t)('0' + queue);
    ask(client, CONSUME,
        &(union method){.basic_consume = {.id = METHOD_BASIC_CONSUME,
                                          .queue = bytes_str(queue_names[queue]),
                                          .consumer_tag = bytes_of(&tag, 1),
                                          .no_ack = client->habits.no_ack}});
    client->orders[queue] = (struct order){.is_strict = client->habits.is_strict};
}

static void begin(struct client *client)
{
    const struct habits *habits = &client->habits;
    log_in(client);
    if (habits->publishing == PUBLISH_CONFIRMED)
        ask(client, PUBLISH, &(union method){.id = METHOD_CONFIRM_SELECT});
    if (habits->publishing == PUBLISH_COMMITTED)
        ask(client, PUBLISH, &(union method){.id = METHOD_TX_SELECT});
    if (habits->prefetch)
        ask(client, CONSUME,
            &(union method){
                .basic_qos = {.id = METHOD_BASIC_QOS, .prefetch_count = habits->prefetch}});
    for (enum queue_number queue = 0; queue < QUEUES; queue++)
        if (habits->queues >> queue & 1)
            client_consume(client, queue);
}

bool client_open(struct client *client, struct model *model, struct random *random,
                 const struct habits *habits, uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
        if (fd >= 0)
            close(fd);
        return false;
    }
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    fcntl(fd, F_SETFL, O_NONBLOCK);
    *client = (struct client){.model = model, .random = random, .habits = *habits, .fd = fd};
    client->low = 1;
    client->first_sequence = model->publishers[habits->publisher].next;
    begin(client);
    return true;
}

void client_drop(struct client *client)
{
    if (client->fd < 0)
        return;
    close(client->fd);
    client->fd = -1;
    for (size_t i = 0; i < client->held_count; i++)
        model_release(client->model, client->held[i].ref);
    mem_free(client->held);
    mem_free(client->proofs);
    buffer_free(&client->in);
    buffer_free(&client->out);
    buffer_free(&client->properties);
    buffer_free(&client->body);
}

void client_declare(struct client *client)
{
    ask(client, CONSUME,
        &(union method){.exchange_declare = {.id = METHOD_EXCHANGE_DECLARE,
                                             .exchange = bytes_str(fanout_name),
                                             .type = bytes_str("fanout"),
                                             .durable = true}});
    for (enum queue_number queue = 0; queue < QUEUES; queue++)
        ask(client, CONSUME,
            &(union method){.queue_declare = {.id = METHOD_QUEUE_DECLARE,
                                              .queue = bytes_str(queue_names[queue]),
                                              .durable = true}});
    for (enum queue_number queue = QUEUE_C; queue <= QUEUE_D; queue++)
        ask(client, CONSUME,
            &(union method){.queue_bind = {.id = METHOD_QUEUE_BIND,
                                           .queue = bytes_str(queue_names[queue]),
                                           .exchange = bytes_str(fanout_name)}});
}

void client_count(struct client *client)
{
    client->ready_count = 0;
    for (enum queue_number queue = 0; queue < QUEUES; queue++)
        if (client->habits.queues >> queue & 1)
            ask(client, CONSUME,
                &(union method){.queue_declare = {.id = METHOD_QUEUE_DECLARE,
                                                  .queue = bytes_str(queue_names[queue]),
                                                  .passive = true}});
}

void client_stop_consuming(struct client *client)
{
    ask(client, CONSUME,
        &(union method){.channel_close = {.id = METHOD_CHANNEL_CLOSE, .reply_code = 200}});
}

/* ---- publishing ---- */

static struct message_id id_of_tag(const struct client *client, uint64_t tag)
{
    return (struct message_id){client->habits.publisher, client->first_sequence + tag - 1};
}

static void add_content(struct client *client, struct message_id id)
{
    const struct campaign *campaign = &client->model->campaign;
    uint8_t properties[PROPERTIES_BYTES_MAX];
    struct bytes header = bytes_of(properties, message_properties(campaign, id, properties));
    size_t body_size = message_body_size(campaign, id);
    size_t size = frame_content_header_size(header) + FRAME_OVERHEAD + body_size;
    uint8_t *at = buffer_room(&client->out, size);
    struct writer writer = writer_of(at, size);
    frame_write_content_header(&writer, PUBLISH, body_size, header);
    at = frame_write_header(writer.at, FRAME_BODY, PUBLISH, (uint32_t)body_size);
    message_body(campaign, id, at);
    at[body_size] = FRAME_END;
    buffer_added(&client->out, size);
}

void client_publish_one(struct client *client)
{
    struct route route;
    bool in_group = client->habits.publishing == PUBLISH_COMMITTED;
    struct message_id id = {client->habits.publisher, 0};
    id.sequence = model_publish(client->model, id.publisher, in_group ? client->groups : 0);
    client->published++;
    message_route(&client->model->campaign, id, &route);
    say(client, PUBLISH,
        &(union method){.basic_publish = {.id = METHOD_BASIC_PUBLISH,
                                          .exchange = bytes_str(route.exchange),
                                          .routing_key = bytes_str(route.key)}});
    add_content(client, id);
}

static void publish_group(struct client *client)
{
    if (client->commits)
        return;
    /* Numbers that no other transaction of the campaign has. */
    client->groups = (uint32_t)(client->first_sequence + client->published + 1);
    uint64_t count = 1 + random_below(client->random, 8);
    for (uint64_t i = 0; i < count; i++)
        client_publish_one(client);
    say(client, PUBLISH, &(union method){.id = METHOD_TX_COMMIT});
    client->commits = true;
}

void client_publish(struct client *client)
{
    if (client->is_muted || client->is_closing || client->awaited)
        return;
    if (client->habits.publishing == PUBLISH_COMMITTED)
        publish_group(client);
    if (client->habits.publishing != PUBLISH_CONFIRMED)
        return;
    while (client->published - client->confirmed < client->habits.window &&
           client->out.size < OUT_MAX)
        client_publish_one(client);
}

/* Acks that were sent before something that is now known to be durable are durable, too. */
static void prove(struct client *client, uint64_t tag)
{
    size_t i = client->proof_first;
    for (; i < client->proof_count && client->proofs[i].stamp < tag; i++)
        model_ack_is_durable(client->model, client->proofs[i].ref);
    client->proof_first = i;
    if (i == client->proof_count)
        client->proof_first = client->proof_count = 0;
}

static bool is_confirmed(const struct client *client, uint64_t tag)
{
    const struct publisher *log = &client->model->publishers[client->habits.publisher];
    return log->entries[id_of_tag(client, tag).sequence - log->base].state == ENTRY_CONFIRMED;
}

static void confirm(struct client *client, uint64_t tag)
{
    struct route route;
    if (is_confirmed(client, tag)) {
        model_violate(client->model, "confirmed twice", "tag=%llu", (unsigned long long)tag);
        return;
    }
    struct message_id id = id_of_tag(client, tag);
    model_confirm(client->model, id);
    client->model->figures.late_confirms += client->is_muted;
    client->confirmed++;
    /* A message that somebody took may be confirmed without being written; nobody takes these. */
    message_route(&client->model->campaign, id, &route);
    if (route.queues[0] == QUEUE_DEEP)
        prove(client, tag);
}

static void on_confirm(struct client *client, uint64_t tag, bool multiple)
{
    if (tag == 0 || tag > client->published) {
        model_violate(client->model, "confirm of nothing", "tag=%llu", (unsigned long long)tag);
        return;
    }
    for (uint64_t at = multiple ? client->low : tag; at <= tag; at++)
        if (!multiple || !is_confirmed(client, at))
            confirm(client, at);
    while (client->low <= client->published && is_confirmed(client, client->low))
        client->low++;
}

static void on_commit(struct client *client)
{
    client->commits = false;
    client->model->figures.commits++;
    while (client->low <= client->published)
        confirm(client, client->low++);
}

/* ---- consuming ---- */

static void proof_add(struct client *client, struct slot_ref ref)
{
    if (client->habits.publishing != PUBLISH_CONFIRMED)
        return;
    if (client->proof_count == client->proof_capacity) {
        client->proof_capacity = client->proof_capacity ? 2 * client->proof_capacity : 64;
        client->proofs =
            mem_realloc(client->proofs, client->proof_capacity * sizeof(client->proofs[0]));
    }
    client->proofs[client->proof_count++] = (struct proof){client->published, ref};
}

void client_ack_all(struct client *client)
{
    if (client->held_count == 0 || client->is_muted)
        return;
    for (size_t i = 0; i < client->held_count; i++) {
        model_ack(client->model, client->held[i].ref);
        proof_add(client, client->held[i].ref);
    }
    say(client, CONSUME,
        &(union method){.basic_ack = {.id = METHOD_BASIC_ACK,
                                      .delivery_tag = client->held[client->held_count - 1].tag,
                                      .multiple = client->held_count > 1}});
    client->held_count = 0;
}

/* Gives the last one back, or all. */
static void requeue(struct client *client)
{
    bool all = random_below(client->random, 8) == 0;
    size_t first = all ? 0 : client->held_count - 1;
    uint64_t tag = client->held[client->held_count - 1].tag;
    for (size_t i = first; i < client->held_count; i++)
        model_release(client->model, client->held[i].ref);
    client->model->figures.requeues += client->held_count - first;
    client->held_count = first;
    if (all || random_below(client->random, 2))
        say(client, CONSUME,
            &(union method){.basic_nack = {.id = METHOD_BASIC_NACK,
                                           .delivery_tag = tag,
                                           .multiple = all,
                                           .requeue = true}});
    else
        say(client, CONSUME,
            &(union method){
                .basic_reject = {.id = METHOD_BASIC_REJECT, .delivery_tag = tag, .requeue = true}});
}

static void hold(struct client *client, struct slot_ref ref)
{
    const struct habits *habits = &client->habits;
    if (client->held_count == client->held_capacity) {
        client->held_capacity = client->held_capacity ? 2 * client->held_capacity : 64;
        client->held = mem_realloc(client->held, client->held_capacity * sizeof(client->held[0]));
    }
    client->held[client->held_count++] = (struct held){client->delivery_tag, ref};
    if (client->is_muted)
        return;
    if (random_below(client->random, 1000) < habits->requeue_share)
        requeue(client);
    else if (habits->ack_every && client->held_count >= habits->ack_every)
        client_ack_all(client);
}

static void finish_delivery(struct client *client)
{
    struct slot_ref ref;
    struct delivery *delivery = &client->delivery;
    client->has_header = false;
    client->deliveries++;
    delivery->body = buffer_bytes(&client->body);
    delivery->properties = buffer_bytes(&client->properties);
    delivery->no_ack = client->habits.no_ack;
    bool ours = model_deliver(client->model, delivery, &client->orders[delivery->queue], &ref);
    if (ours && !delivery->no_ack)
        hold(client, ref);
}

static void on_deliver(struct client *client, const struct method_basic_deliver *deliver)
{
    client->delivery_tag = deliver->delivery_tag;
    client->delivery.redelivered = deliver->redelivered;
    client->delivery.queue = (enum queue_number)(deliver->consumer_tag.data[0] - '0');
    assert(client->delivery.queue < QUEUES);
}

static void on_header(struct client *client, struct bytes payload)
{
    struct content_header header;
    if (!content_header_read(payload, &header) || header.body_size > BODY_BYTES_MAX) {
        model_violate(client->model, "invented", "body size=%llu",
                      (unsigned long long)header.body_size);
        return;
    }
    client->properties.size = client->body.size = 0;
    buffer_add(&client->properties, header.properties.data, header.properties.size);
    client->body_size = header.body_size;
    client->has_header = true;
    if (client->body_size == 0)
        finish_delivery(client);
}

static void on_body(struct client *client, struct bytes payload)
{
    if (!client->has_header)
        return;
    buffer_add(&client->body, payload.data, payload.size);
    if (client->body.size >= client->body_size)
        finish_delivery(client);
}

/* ---- hearing ---- */

static void on_close(struct client *client, const char *what, uint16_t code, struct bytes text)
{
    snprintf(client->said, sizeof(client->said), "%s %u %.*s", what, code, BYTES_ARG(text));
    client->is_closing = true;
    say(client, 0, &(union method){.id = METHOD_CONNECTION_CLOSE_OK});
}

static void on_reply(struct client *client)
{
    if (client->awaited > 0)
        client->awaited--;
}

static void on_method(struct client *client, const union method *method)
{
    switch (method->id) {
    case METHOD_CONNECTION_START:
    case METHOD_CONNECTION_TUNE:
    case METHOD_CONNECTION_BLOCKED:
    case METHOD_CONNECTION_UNBLOCKED:
        break;
    case METHOD_BASIC_DELIVER:
        on_deliver(client, &method->basic_deliver);
        break;
    case METHOD_BASIC_ACK:
        on_confirm(client, method->basic_ack.delivery_tag, method->basic_ack.multiple);
        break;
    case METHOD_BASIC_NACK:
        model_violate(client->model, "refused", "a publish was answered with basic.nack");
        break;
    case METHOD_TX_COMMIT_OK:
        on_commit(client);
        break;
    case METHOD_QUEUE_DECLARE_OK:
        client->ready_count += method->queue_declare_ok.message_count;
        on_reply(client);
        break;
    case METHOD_CONNECTION_CLOSE:
        on_close(client, "connection.close", method->connection_close.reply_code,
                 method->connection_close.reply_text);
        break;
    case METHOD_CHANNEL_CLOSE:
        on_close(client, "channel.close", method->channel_close.reply_code,
                 method->channel_close.reply_text);
        break;
    default:
        on_reply(client);
    }
}

static void on_frame(struct client *client, const struct frame *frame)
{
    union method method;
    if (frame->type == FRAME_HEADER)
        on_header(client, frame->payload);
    else if (frame->type == FRAME_BODY)
        on_body(client, frame->payload);
    else if (frame->type == FRAME_METHOD && method_read(frame->payload, &method) == METHOD_OK)
        on_method(client, &method);
    else if (frame->type == FRAME_METHOD)
        model_violate(client->model, "malformed", "a method that cannot be read");
}

static void take_frames(struct client *client)
{
    size_t at = 0;
    struct frame frame;
    ssize_t size;
    while ((size = frame_read(client->in.data + at, client->in.size - at, FRAME_MAX, &frame)) > 0) {
        on_frame(client, &frame);
        at += (size_t)size;
    }
    if (size < 0)
        model_violate(client->model, "malformed", "a frame of type %u", frame.type);
    buffer_drop(&client->in, size < 0 ? client->in.size : at);
}

bool client_read(struct client *client)
{
    ssize_t n = recv(client->fd, buffer_room(&client->in, READ_BYTES), READ_BYTES, 0);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR;
    if (n == 0)
        return false;
    buffer_added(&client->in, (size_t)n);
    take_frames(client);
    return true;
}

bool client_write(struct client *client)
{
    if (client->out.size == 0 || client->is_muted)
        return true;
    ssize_t n = send(client->fd, client->out.data, client->out.size, MSG_NOSIGNAL);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR;
    buffer_drop(&client->out, (size_t)n);
    return true;
}
