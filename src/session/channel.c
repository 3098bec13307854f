/* What is legal on a channel is a column of the method table (amqp/methods.def); this file compares
 * it with the channel's state, hands the method to its handler, and answers errors. The order of
 * checks is RabbitMQ's: frames that break the order of content come before anything else. */
#include "session/channel.h"

#include "base/mem.h"
#include "broker/audit.h"
#include "session/acknowledge.h"
#include "session/alarm.h"
#include "session/announce.h"
#include "session/delivery_timeout.h"
#include "session/dispatch.h"
#include "session/handlers.h"
#include "session/trace.h"
#include "session/transaction.h"

/* What a method costs that changes more than a message: names are looked up, things made. */
enum { METHOD_STEPS = 200, CANCEL_STEPS = 50, FREE_STEPS = 30 };

struct channel *channel_new(struct connection *connection, uint16_t number)
{
    struct channel *channel = mem_zalloc(sizeof(*channel));
    channel->connection = connection;
    channel->number = number;
    channel->is_relayed = connection->peer.is_relayed;
    delivery_timeout_init(channel);
    map_init(&channel->tags, random_next(connection->server->broker->random));
    list_init(&channel->consumers);
    list_init(&channel->getters);
    list_init(&channel->parked);
    list_init(&channel->turn_link);
    list_init(&channel->waiting_replies);
    list_init(&channel->confirms_waiting);
    list_init(&channel->settles_waiting);
    list_init(&channel->confirming_link);
    list_init(&channel->emptying_link);
    idmap_add(&connection->channels, number, channel);
    connection->user->channels++;
    connection->server->channels++;
    connection->server->channels_opened++;
    return channel;
}

/* Ends all that the channel has, but for the replies that it still owes; false: there is more. */
static bool empty(struct channel *channel)
{
    struct budget *turn = &channel_broker(channel)->turn;
    struct list *link;
    content_free(channel);
    wait_forget_confirms(channel);
    while ((link = list_first(&channel->consumers))) {
        if (budget_is_spent(turn))
            return false;
        budget_use(turn, CANCEL_STEPS);
        consumer_end(list_entry(link, struct consumer, channel_link));
    }
    transaction_free(channel);
    if (!acknowledge_drop_all(channel))
        return false;
    mem_free(channel->last_queue);
    channel->last_queue = NULL;
    return true;
}

static void empty_later(struct channel *channel)
{
    if (list_is_empty(&channel->emptying_link))
        list_push_back(&channel_server(channel)->emptying, &channel->emptying_link);
}

bool channel_free(struct channel *channel)
{
    struct connection *connection = channel->connection;
    if (!empty(channel)) {
        channel->state = CHANNEL_ENDING;
        channel->is_gone = true;
        empty_later(channel);
        return false;
    }
    announce_channel(channel, false);
    wait_forget(channel);
    timer_cancel(&connection->server->timers, &channel->unacked_timer);
    list_remove(&channel->turn_link);
    list_remove(&channel->emptying_link);
    idmap_remove(&connection->channels, channel->number);
    connection->user->channels--;
    connection->server->channels--;
    if (connection->last_channel == channel)
        connection->last_channel = NULL;
    map_free(&channel->tags);
    budget_use(&channel_broker(channel)->turn, FREE_STEPS);
    mem_free(channel);
    return true;
}

void channels_empty(struct server *server)
{
    struct list *link;
    while (!budget_is_spent(&server->broker->turn) && (link = list_first(&server->emptying))) {
        struct channel *channel = list_entry(link, struct channel, emptying_link);
        if (!channel->is_gone && empty(channel))
            list_remove(link);
        else if (!channel->is_gone || !channel_free(channel))
            return;
    }
}

void channel_send(struct channel *channel, const union method *method)
{
    size_t size = frame_method_size(method);
    struct writer writer = writer_of(channel_room(channel, size), size);
    frame_write_method(&writer, channel->number, method);
    channel_added(channel, size);
    if (__builtin_expect(channel_server(channel)->options.trace_frames, 0))
        trace_sent(channel->connection, channel->number, method);
}

void channel_send_id(struct channel *channel, uint32_t id)
{
    union method method = {.id = id};
    channel_send(channel, &method);
}

void channel_unpark(struct channel *channel)
{
    if (list_is_empty(&channel->parked) || !channel_can_deliver(channel))
        return;
    if (!channel->prefetch_global)
        consumers_unpark(&channel->parked);
    else if (list_is_empty(&channel->turn_link))
        list_push_back(&channel_server(channel)->turning, &channel->turn_link);
}

void channel_released(struct channel *channel)
{
    if (channel->state == CHANNEL_ENDING && channel->number == 0)
        connection_end(channel->connection);
    else if (channel->state == CHANNEL_ENDING)
        channel_free(channel);
    else if (channel->state == CHANNEL_OPEN)
        channel_unpark(channel);
}

bool channel_end(struct channel *channel)
{
    if (!empty(channel))
        return false;
    channel->state = CHANNEL_ENDING;
    wait_hold_names(channel);
    channel_send_id(channel, METHOD_CHANNEL_CLOSE_OK);
    channel->connection->ended_channel = channel->number;
    if (list_is_empty(&channel->waiting_replies))
        channel_free(channel);
    return true;
}

void channel_end_last(struct connection *connection)
{
    struct channel *channel = channel_new(connection, 0);
    channel->state = CHANNEL_ENDING;
    wait_hold_names(channel);
    channel_send_id(channel, METHOD_CONNECTION_CLOSE_OK);
    if (list_is_empty(&channel->waiting_replies))
        connection_end(connection);
}

static void send_close(struct channel *channel, uint32_t id, const struct error *error)
{
    char text[REPLY_TEXT_MAX + 1];
    size_t size = reply_format(text, error->code, "%s", error->detail);
    union method close = {.channel_close = {.id = METHOD_CHANNEL_CLOSE,
                                            .reply_code = error->code,
                                            .reply_text = bytes_of(text, size),
                                            .class_id = method_class_id(id),
                                            .method_id = method_method_id(id)}};
    wait_hold_lookup(channel);
    channel_send(channel, &close);
    log_event(channel_broker(channel)->log, EVENT_channel_error,
              "connection=%llu channel=%u reason=%s", (unsigned long long)channel->connection->id,
              channel->number, text);
}

void channel_error(struct connection *connection, uint16_t number, uint32_t id,
                   const struct error *error)
{
    struct channel *channel = number ? connection_channel(connection, number) : NULL;
    if (!channel || reply_closes_connection(error->code)) {
        connection_fail(connection, error->code, id, error->detail);
        return;
    }
    channel->state = CHANNEL_CLOSING;
    if (!empty(channel))
        empty_later(channel);
    send_close(channel, id, error);
}

/* ---- methods ---- */

/* The longest run of cases in the program: every method that a client may send on a channel. */
static enum handled handle(struct channel *channel, const union method *method, struct error *error)
{
    switch (method->id) {
#define CASE(NAME, name)                                                                           \
    case METHOD_##NAME:                                                                            \
        return handle_##name(channel, &method->name, error);
        CASE(BASIC_PUBLISH, basic_publish)
        CASE(BASIC_ACK, basic_ack)
        CASE(BASIC_NACK, basic_nack)
        CASE(BASIC_REJECT, basic_reject)
        CASE(BASIC_GET, basic_get)
        CASE(BASIC_QOS, basic_qos)
        CASE(BASIC_CONSUME, basic_consume)
        CASE(BASIC_CANCEL, basic_cancel)
        CASE(BASIC_RECOVER, basic_recover)
        CASE(BASIC_RECOVER_ASYNC, basic_recover_async)
        CASE(QUEUE_DECLARE, queue_declare)
        CASE(QUEUE_BIND, queue_bind)
        CASE(QUEUE_UNBIND, queue_unbind)
        CASE(QUEUE_PURGE, queue_purge)
        CASE(QUEUE_DELETE, queue_delete)
        CASE(EXCHANGE_DECLARE, exchange_declare)
        CASE(EXCHANGE_DELETE, exchange_delete)
        CASE(EXCHANGE_BIND, exchange_bind)
        CASE(EXCHANGE_UNBIND, exchange_unbind)
        CASE(CONFIRM_SELECT, confirm_select)
        CASE(TX_SELECT, tx_select)
        CASE(TX_COMMIT, tx_commit)
        CASE(TX_ROLLBACK, tx_rollback)
        CASE(CHANNEL_FLOW, channel_flow)
        CASE(ACCESS_REQUEST, access_request)
#undef CASE
    case METHOD_CHANNEL_CLOSE:
        if (!dispatch_due_consumed(channel))
            return HANDLED_WAIT;
        return channel_end(channel) ? HANDLED : HANDLED_WAIT;
    default: /* basic.ack and others that both may send by the table, but RabbitMQ does not take */
        return handled_error(error, REPLY_COMMAND_INVALID, "unimplemented method");
    }
}

static bool refuse_second_open(struct error *error)
{
    return error_set(error, REPLY_CHANNEL_ERROR, "second 'channel.open' seen");
}

/* May a client send this on an open channel? */
static bool check_legal(uint32_t id, struct error *error)
{
    const struct method_info *info = method_info(id);
    if (info->legal == METHOD_LEGAL_CHANNEL_NEW && info->sent_by != METHOD_SENT_BY_SERVER)
        return refuse_second_open(error);
    if ((info->legal != METHOD_LEGAL_CHANNEL_OPEN && info->legal != METHOD_LEGAL_CHANNEL_CLOSING) ||
        info->sent_by == METHOD_SENT_BY_SERVER)
        return error_set(error, REPLY_COMMAND_INVALID, "unimplemented method");
    return true;
}

static enum handled method_frame(struct channel *channel, struct bytes payload, uint32_t *id,
                                 struct error *error)
{
    union method method;
    if (!channel_read_method(payload, &method, id, error))
        return HANDLED_FAILED;
    if (*id == METHOD_BASIC_PUBLISH || *id == METHOD_BASIC_ACK)
        return handle(channel, &method, error);
    budget_use(&channel_broker(channel)->turn, METHOD_STEPS);
    if (!check_legal(*id, error))
        return HANDLED_FAILED;
    struct connection *connection = channel->connection;
    struct broker *broker = connection->server->broker;
    struct steps *steps = connection->server->options.steps;
    struct audit audit = {
        .connection = connection->id,
        .peer = connection->peer.name,
        .user = connection->user,
        .method = method_name(*id),
        .unbinds = *id == METHOD_QUEUE_UNBIND || *id == METHOD_EXCHANGE_UNBIND,
    };
    steps_next(steps, audit.method);
    broker->audit = &audit;
    enum handled handled = handle(channel, &method, error);
    broker->audit = NULL;
    steps_next(steps, "input");
    return handled;
}

bool channel_read_method(struct bytes payload, union method *method, uint32_t *id,
                         struct error *error)
{
    enum method_result result = method_read(payload, method);
    if (__builtin_expect(result == METHOD_OK, 1)) {
        *id = method->id;
        return true;
    }
    switch (result) {
    case METHOD_UNKNOWN:
        *id = method->id;
        return error_set(error, REPLY_NOT_IMPLEMENTED, "unknown method %u of class %u",
                         method_method_id(method->id), method_class_id(method->id));
    case METHOD_BAD_UTF8:
        return error_set(error, REPLY_FRAME_ERROR, "Malformed UTF-8 in shortstr");
    case METHOD_BAD_TABLE:
        *id = method->id;
        return error_set(error, REPLY_SYNTAX_ERROR, "malformed field table in %s",
                         method_name(method->id));
    default:
        *id = method->id;
        return error_set(error, REPLY_FRAME_ERROR, "malformed fields in %s",
                         method_name(method->id));
    }
}

/* ---- content ---- */

/* A frame that is not the one which the content being received needs. */
static bool check_order(const struct channel *channel, enum frame_type type, uint32_t *id,
                        struct error *error)
{
    enum content_state state = channel->content.state;
    if (state == CONTENT_NONE && type == FRAME_METHOD)
        return true;
    if (state == CONTENT_NONE)
        return error_set(error, REPLY_UNEXPECTED_FRAME,
                         "expected method frame, got non method frame instead");
    *id = METHOD_BASIC_PUBLISH;
    if (state == CONTENT_HEADER && type != FRAME_HEADER)
        return error_set(
            error, REPLY_UNEXPECTED_FRAME,
            "expected content header for class 60, got non content header frame instead");
    if (state == CONTENT_BODY && type != FRAME_BODY)
        return error_set(error, REPLY_UNEXPECTED_FRAME,
                         "expected content body, got non content body frame instead");
    return true;
}

static enum handled open_frame(struct channel *channel, const struct frame *frame, uint32_t *id,
                               struct error *error)
{
    /* This frame was taken in, and then had to wait. */
    if (content_is_complete(&channel->content)) {
        *id = METHOD_BASIC_PUBLISH;
        return handle_basic_content(channel, error);
    }
    if (!check_order(channel, frame->type, id, error))
        return HANDLED_FAILED;
    if (frame->type == FRAME_METHOD)
        return method_frame(channel, frame->payload, id, error);
    if (frame->type == FRAME_HEADER && alarm_stops(channel->connection))
        return HANDLED_WAIT;
    bool fine = frame->type == FRAME_HEADER ? content_header(channel, frame->payload, error)
                                            : content_body(channel, frame->payload, error);
    if (!fine || !content_is_complete(&channel->content))
        return fine ? HANDLED : HANDLED_FAILED;
    return handle_basic_content(channel, error);
}

/* A channel is being closed after an error: only close and close-ok are heard; and open, for which
 * it is too early. */
static enum handled closing_frame(struct channel *channel, const struct frame *frame, uint32_t *id,
                                  struct error *error)
{
    union method method;
    if (frame->type != FRAME_METHOD || method_read(frame->payload, &method) != METHOD_OK)
        return HANDLED;
    *id = method.id;
    if (method.id == METHOD_CHANNEL_OPEN && !refuse_second_open(error))
        return HANDLED_FAILED;
    if (method.id == METHOD_CHANNEL_CLOSE)
        channel_send_id(channel, METHOD_CHANNEL_CLOSE_OK);
    else if (method.id == METHOD_CHANNEL_CLOSE_OK)
        channel_free(channel);
    return HANDLED;
}

/* The client has closed the channel, and is not answered yet: it may say so once more, as it may
 * before it has read the answer. All else comes after that. */
static enum handled ending_frame(struct channel *channel, const struct frame *frame)
{
    union method method;
    if (frame->type != FRAME_METHOD || method_read(frame->payload, &method) != METHOD_OK ||
        method.id != METHOD_CHANNEL_CLOSE)
        return HANDLED_WAIT;
    channel_send_id(channel, METHOD_CHANNEL_CLOSE_OK);
    return HANDLED;
}

/* May there be one more, on this node and of this user? */
static bool check_room(const struct connection *connection, struct error *error)
{
    const struct user *user = connection->user;
    const struct server *server = connection->server;
    uint32_t most = server->options.channels_max;
    if (most && server->channels >= most)
        return error_set(error, REPLY_NOT_ALLOWED,
                         "number of channels opened for node '%s' has reached the maximum "
                         "allowed limit of (%u)",
                         server->broker->options.node, most);
    if (user->max_channels.is_set && user->channels >= user->max_channels.most)
        return error_set(error, REPLY_NOT_ALLOWED,
                         "number of channels opened for user '%s' has reached the maximum "
                         "allowed user limit of (%u)",
                         user->name, user->max_channels.most);
    return true;
}

/* The first frame for a channel that is not open. */
static enum handled first_frame(struct connection *connection, const struct frame *frame,
                                uint32_t *id, struct error *error)
{
    union method method;
    size_t count = connection->channels.count;
    if (count >= connection->channel_max)
        return handled_error(
            error, REPLY_NOT_ALLOWED,
            "number of channels opened (%zu) has reached the negotiated channel_max (%u)", count,
            connection->channel_max);
    if (frame->type != FRAME_METHOD)
        return handled_error(error, REPLY_UNEXPECTED_FRAME,
                             "expected method frame, got non method frame instead");
    if (!channel_read_method(frame->payload, &method, id, error))
        return HANDLED_FAILED;
    if (method.id == METHOD_CHANNEL_CLOSE && connection->ended_channel == frame->channel) {
        union method close_ok = {.id = METHOD_CHANNEL_CLOSE_OK};
        connection_send_on(connection, frame->channel, &close_ok);
        return HANDLED;
    }
    if (method.id != METHOD_CHANNEL_OPEN)
        return handled_error(error, REPLY_CHANNEL_ERROR, "expected 'channel.open'");
    if (!check_room(connection, error))
        return HANDLED_FAILED;
    connection->ended_channel = 0;
    budget_use(&connection->server->broker->turn, METHOD_STEPS);
    struct channel *channel = channel_new(connection, frame->channel);
    channel_send_id(channel, METHOD_CHANNEL_OPEN_OK);
    announce_channel(channel, true);
    return HANDLED;
}

enum handled channel_frame(struct connection *connection, const struct frame *frame)
{
    struct error error;
    uint32_t id = 0;
    enum handled handled;
    struct channel *channel = connection_channel(connection, frame->channel);
    error.code = 0;
    if (!channel) {
        handled = first_frame(connection, frame, &id, &error);
    } else if (__builtin_expect(channel->state == CHANNEL_OPEN, 1)) {
        handled = open_frame(channel, frame, &id, &error);
    } else if (channel->state == CHANNEL_CLOSING) {
        handled = closing_frame(channel, frame, &id, &error);
    } else {
        return ending_frame(channel, frame);
    }
    if (handled == HANDLED_FAILED)
        channel_error(connection, frame->channel, id, &error);
    return handled;
}

bool channel_takes_body(struct connection *connection, uint16_t number, uint64_t payload_size)
{
    struct channel *channel = connection_channel(connection, number);
    if (!channel)
        return false;
    return channel->state == CHANNEL_CLOSING ||
           (channel->content.state == CONTENT_BODY && channel->content.body_left >= payload_size);
}

void channel_body_part(struct connection *connection, uint16_t number, struct bytes part)
{
    struct error error;
    struct channel *channel = connection_channel(connection, number);
    if (channel && channel->content.state == CONTENT_BODY)
        content_body(channel, part, &error);
}

bool channel_body_end(struct connection *connection, uint16_t number)
{
    struct error error;
    struct channel *channel = connection_channel(connection, number);
    if (!channel || !content_is_complete(&channel->content))
        return true;
    error.code = 0;
    enum handled handled = handle_basic_content(channel, &error);
    if (handled == HANDLED_FAILED)
        channel_error(connection, number, METHOD_BASIC_PUBLISH, &error);
    return handled != HANDLED_WAIT;
}
