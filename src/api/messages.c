/* Messages: published, and got from queues. */
#include "api/messages.h"

#include <stdio.h>

#include "amqp/properties.h"
#include "amqp/reply.h"
#include "api/queues.h"
#include "api/resources.h"
#include "base/base64.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "broker/dead_letter.h"
#include "broker/queue_declare.h"
#include "broker/redelivery.h"
#include "definitions/json_table.h"
#include "queue/queue_tally.h"
#include "queue/queue_timer.h"
#include "session/look.h"

/* ---- what one looks like ---- */

static void add_octet(struct fields *fields, const char *name, uint8_t value)
{
    fields_whole(fields, name, value);
}

static void add_longlong(struct fields *fields, const char *name, uint64_t value)
{
    fields_whole(fields, name, value);
}

/* Without any it is an array, as in RabbitMQ. */
static void add_properties(struct fields *fields, struct bytes bytes)
{
    struct properties properties;
    properties_read_checked(bytes, &properties);
    char bracket = properties.flags ? '{' : '[';
    if (!fields_open(fields, "properties", bracket))
        return;
#define SHORTSTR fields_text
#define TABLE fields_table
#define OCTET add_octet
#define LONGLONG add_longlong
#define PROPERTY(NAME, name, kind, bit)                                                            \
    if (properties_have(&properties, PROPERTY_##NAME))                                             \
        kind(fields, #name, properties.name);
#include "amqp/properties.def"
#undef SHORTSTR
#undef TABLE
#undef OCTET
#undef LONGLONG
    fields_close(fields, bracket == '{' ? '}' : ']');
}

static void add_payload(struct fields *fields, struct bytes body, const struct message_style *style)
{
    struct buffer text = {0};
    if (body.size > style->truncate)
        body.size = style->truncate;
    bool is_base64 = style->is_base64 || !utf8_is_valid(body);
    if (is_base64)
        base64_write(body, &text);
    fields_text(fields, "payload", is_base64 ? buffer_bytes(&text) : body);
    fields_string(fields, "payload_encoding", is_base64 ? "base64" : "string");
    buffer_free(&text);
}

void message_add(struct fields *fields, const struct message *message,
                 const struct message_style *style)
{
    fields_whole(fields, "payload_bytes", message->body_size);
    fields_text(fields, "exchange", message_exchange(message));
    fields_text(fields, "routing_key", message_routing_key(message));
    add_properties(fields, message_properties(message));
    add_payload(fields, message_body(message), style);
}

/* ---- what is to be published ---- */

/* False: one is missing, and the call is answered. */
static bool need_members(struct call *call, const char *const *names)
{
    struct buffer missing = {0};
    const struct json *json = call_json(call);
    for (; !call->status && *names; names++) {
        char text[80];
        if (json_kind_of(json_find(json, *names)) != JSON_IS_MISSING)
            continue;
        int size = snprintf(text, sizeof(text), "%s{key_missing,%s}", missing.size ? ",\n " : "",
                            *names);
        buffer_add(&missing, text, (size_t)size);
    }
    if (missing.size)
        call_fail(call, 400, "bad_request", "[%.*s]", BYTES_ARG(buffer_bytes(&missing)));
    buffer_free(&missing);
    return call->status == 0;
}

static void fail_property(struct call *call, const char *name, const struct json *value,
                          const char *wanted)
{
    call_fail(call, 400, "bad_request", "property %s is %s, and should be %s", name,
              json_kind_name(json_kind_of(value)), wanted);
}

static void read_text(struct call *call, const char *name, const struct json *value,
                      struct bytes *out)
{
    *out = json_text(value);
    if (json_kind_of(value) != JSON_IS_TEXT || out->size > UINT8_MAX)
        fail_property(call, name, value, "a text of at most 255 bytes");
}

static void read_octet(struct call *call, const char *name, const struct json *value, uint8_t *out)
{
    int64_t number = json_whole(value);
    if (json_kind_of(value) != JSON_IS_WHOLE || number < 0 || number > UINT8_MAX)
        fail_property(call, name, value, "a whole number from 0 to 255");
    *out = (uint8_t)number;
}

static void read_longlong(struct call *call, const char *name, const struct json *value,
                          uint64_t *out)
{
    int64_t number = json_whole(value);
    if (json_kind_of(value) != JSON_IS_WHOLE || number < 0)
        fail_property(call, name, value, "a whole number from 0 on");
    *out = (uint64_t)number;
}

/* An array without items is one as well, as some languages write it so. */
static bool is_object(const struct json *value)
{
    enum json_kind kind = json_kind_of(value);
    return kind == JSON_IS_OBJECT || (kind == JSON_IS_ARRAY && json_count(value) == 0);
}

/* What the properties refer to, while they are written. */
struct draft {
    struct buffer headers, properties, payload;
};

static void read_headers(struct call *call, const struct json *value, struct draft *draft,
                         struct bytes *out)
{
    char fault[200];
    if (!is_object(value))
        fail_property(call, "headers", value, "an object");
    else if (!json_to_table(value, JSON_NULL_ALLOWED, &draft->headers, fault, sizeof(fault)))
        call_fail(call, 400, "bad_request", "headers: %s", fault);
    *out = buffer_bytes(&draft->headers);
}

/* Names that are no property do not count, as in RabbitMQ. */
static bool read_properties(struct call *call, struct draft *draft)
{
    const struct json *json = json_find(call_json(call), "properties"), *value;
    struct properties properties = {0};
    if (!is_object(json))
        call_fail(call, 400, "bad_request", "properties is no object");
#define SHORTSTR(name) read_text(call, #name, value, &properties.name)
#define TABLE(name) read_headers(call, value, draft, &properties.name)
#define OCTET(name) read_octet(call, #name, value, &properties.name)
#define LONGLONG(name) read_longlong(call, #name, value, &properties.name)
#define PROPERTY(NAME, name, kind, bit)                                                            \
    if ((value = json_find(json, #name)) && json_kind_of(value) != JSON_IS_NULL) {                 \
        properties.flags |= PROPERTY_##NAME;                                                       \
        kind(name);                                                                                \
    }
#include "amqp/properties.def"
#undef SHORTSTR
#undef TABLE
#undef OCTET
#undef LONGLONG
    if (!call->status)
        properties_add(&draft->properties, &properties);
    return call->status == 0;
}

static bool read_payload(struct call *call, struct draft *draft)
{
    struct bytes payload = {0}, encoding = {0};
    if (!call_read_text(call, "payload", &payload) ||
        !call_read_text(call, "payload_encoding", &encoding))
        return false;
    if (bytes_equal_str(encoding, "string"))
        buffer_add(&draft->payload, payload.data, payload.size);
    else if (!bytes_equal_str(encoding, "base64"))
        call_fail(call, 400, "bad_request", "unsupported_encoding: %.*s", BYTES_ARG(encoding));
    else if (!base64_read(payload, &draft->payload))
        call_fail(call, 400, "bad_request", "not_base64: the payload is no base64");
    return call->status == 0;
}

/* NULL: the call is answered. */
static struct message *make(struct call *call, const struct draft *draft)
{
    struct properties_brief brief;
    struct bytes exchange = call_exchange_name(call->segments[1]), key = {0};
    if (!call_read_text(call, "routing_key", &key))
        return NULL;
    if (exchange.size > UINT8_MAX || key.size > UINT8_MAX)
        call_fail(call, 400, "bad_request", "a name or routing key is above 255 bytes");
    else if (properties_scan(buffer_bytes(&draft->properties), &brief) != PROPERTIES_OK)
        call_fail(call, 400, "bad_request", "these properties cannot be");
    if (call->status)
        return NULL;
    struct message *message =
        message_new(call->api->broker->pool, exchange, key, buffer_bytes(&draft->properties),
                    (uint32_t)draft->payload.size);
    message_fill(message, buffer_bytes(&draft->payload));
    return message;
}

static struct message *read_message(struct call *call)
{
    static const char *const members[] = {"routing_key", "properties", "payload",
                                          "payload_encoding", NULL};
    struct draft draft = {0};
    struct message *message = NULL;
    if (need_members(call, members) && read_properties(call, &draft) && read_payload(call, &draft))
        message = make(call, &draft);
    buffer_free(&draft.headers);
    buffer_free(&draft.properties);
    buffer_free(&draft.payload);
    return message;
}

/* ---- publish ---- */

/* The text that a client of AMQP would get. */
static void fail_as_reply(struct call *call, const struct error *error)
{
    char text[REPLY_TEXT_MAX + 1];
    reply_format(text, error->code, "%s", error->detail);
    call_fail(call, 400, "bad_request", "%u %s", error->code, text);
}

/* False: not now, or the call is answered. A client of HTTP does not wait for the end of an alarm. */
static bool has_room(struct call *call, const struct message *message)
{
    struct store *store = call->api->broker->store;
    struct server_memory memory = server_memory(call->api->server);
    enum store_room room = broker_records(call->api->broker, message)
                               ? store_room(store, store_message_bytes(message, 1))
                               : STORE_ROOM_NOW;
    if (memory.is_above || memory.is_disk_short) {
        call_fail(call, 503, "resource_alarm", "%s is short, and publishers have to wait",
                  memory.is_above ? "memory" : "the disk");
    } else if (room == STORE_ROOM_FULL || room == STORE_ROOM_NEVER) {
        if (room == STORE_ROOM_FULL)
            store_refused(store);
        call_fail(call, 400, "bad_request", "rejected: the message is larger than what %s",
                  room == STORE_ROOM_FULL ? "is free on the disk" : "the journal takes");
    }
    return room == STORE_ROOM_NOW && call->status == 0;
}

static void tell_routed(struct call *call, struct publication published)
{
    struct fields fields = call_tell(call);
    fields_flag(&fields, "routed", published.queues > 0);
    call_told(call, &fields);
    if (published.is_recorded)
        call_wait(call);
}

void exchange_publish(struct call *call)
{
    struct error error = {0};
    struct vhost *vhost = call_vhost(call, false);
    struct message *message = vhost ? read_message(call) : NULL;
    if (!message)
        return;
    if (!server_may_publish(call->api->server, call->user, vhost, message, &error)) {
        fail_as_reply(call, &error);
    } else if (has_room(call, message)) {
        struct tapper tapper = {call->peer, call->user};
        struct publication published =
            server_publish(call->api->server, &tapper, vhost, message);
        if (published.is_refused)
            call_fail(call, 400, "bad_request", "rejected: a queue is full");
        else
            tell_routed(call, published);
    }
    message_unref(call->api->broker->pool, message);
}

/* ---- get ---- */

/* So many at once, and no more of an answer. */
enum { GET_MAX = 5000, GET_BYTES_MAX = 32 << 20, GET_STEPS = 300, STEP_BYTES = 64 };

enum get_end { GET_RETURNS, GET_FAILS, GET_ENDS, GET_REJECTS };

struct getting {
    uint64_t queue_id;
    struct vhost *vhost; /* held */
    enum get_end end;
    uint64_t left;
    struct message_style style;
    struct buffer taken; /* positions */
    struct fields fields;
};

static struct queue *queue_of(const struct call *call)
{
    const struct getting *getting = call->work;
    struct queue *queue = vhost_queue(getting->vhost, call->segments[1]);
    return queue && queue->id == getting->queue_id ? queue : NULL;
}

static void end_taken(struct queue *queue, uint64_t position, enum get_end end)
{
    if (end == GET_ENDS)
        queue_settle(queue, position);
    else if (end == GET_REJECTS)
        dead_letter(queue, position, DEATH_REJECTED);
    else
        redelivery_return(queue, position, end == GET_FAILS ? RETURN_FAILED : RETURN_RELEASED);
}

/* What was taken goes where it should, or back, if nobody is told of it. */
static void end_getting(struct call *call, bool is_told)
{
    struct getting *getting = call->work;
    struct queue *queue = queue_of(call);
    uint64_t position;
    for (size_t at = 0; queue && at < getting->taken.size; at += sizeof(position)) {
        memcpy(&position, getting->taken.data + at, sizeof(position));
        end_taken(queue, position, is_told ? getting->end : GET_RETURNS);
    }
    getting->vhost->holders--;
    buffer_free(&getting->taken);
    mem_free(getting);
    call->work = NULL;
    server_go_on(call->api->server);
}

static void drop_getting(struct call *call)
{
    end_getting(call, false);
}

static bool read_end(struct call *call, enum get_end *end)
{
    static const char *const modes[] = {"ack_requeue_true", "reject_requeue_true",
                                        "ack_requeue_false", "reject_requeue_false"};
    struct bytes mode = {0};
    if (!call_read_text(call, "ackmode", &mode))
        return false;
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
        if (bytes_equal_str(mode, modes[i])) {
            *end = (enum get_end)i;
            return true;
        }
    call_fail(call, 400, "bad_request",
              "ackmode is ack_requeue_true, ack_requeue_false, reject_requeue_true or "
              "reject_requeue_false");
    return false;
}

/* A number, or a text of digits. False: it is none, and the call is answered. */
static bool read_count(struct call *call, const char *name, uint64_t *count)
{
    const struct json *value = json_find(call_json(call), name);
    struct bytes text = json_text(value);
    uint64_t number = 0;
    bool is_number = text.size > 0 && text.size <= 18;
    for (size_t i = 0; i < text.size && is_number; i++) {
        is_number = text.data[i] >= '0' && text.data[i] <= '9';
        number = number * 10 + (uint64_t)(text.data[i] - '0');
    }
    if (json_kind_of(value) == JSON_IS_WHOLE) {
        is_number = true;
        number = json_whole(value) > 0 ? (uint64_t)json_whole(value) : 0;
    }
    if (json_kind_of(value) == JSON_IS_MISSING)
        return true;
    if (!is_number)
        call_fail(call, 400, "bad_request", "not_integer: %s is %s", name,
                  json_kind_name(json_kind_of(value)));
    *count = number;
    return is_number;
}

bool message_read_style(struct call *call, struct message_style *style)
{
    struct bytes encoding = bytes_str("auto");
    style->truncate = UINT64_MAX;
    if (!call_read_text(call, "encoding", &encoding) ||
        !read_count(call, "truncate", &style->truncate))
        return false;
    style->is_base64 = bytes_equal_str(encoding, "base64");
    if (!style->is_base64 && !bytes_equal_str(encoding, "auto"))
        call_fail(call, 400, "bad_request",
                  "Unsupported encoding. Please use auto or base64.");
    return call->status == 0;
}

static bool may_get(struct call *call, const struct queue *queue)
{
    struct error error = {0};
    bool may = queue_may(call, queue->vhost, ACCESS_READ, &error) &&
               queue_check_access(queue, 0, &error);
    if (!may)
        call_fail_as(call, &error);
    else if (queue->settings->is_quorum && queue->settings->single_active_consumer)
        call_fail(call, 400, "bad_request",
                  "405 RESOURCE_LOCKED - cannot obtain access to locked queue '%s' in vhost '%s'. "
                  "basic.get operations are not supported by quorum queues with single active "
                  "consumer",
                  queue->name, queue->vhost->name);
    return call->status == 0;
}

static void begin_getting(struct call *call)
{
    static const char *const members[] = {"count", "ackmode", "encoding", NULL};
    struct getting wanted = {0};
    struct queue *queue = queue_find(call, false);
    if (!queue || !need_members(call, members) || !read_end(call, &wanted.end) ||
        !message_read_style(call, &wanted.style) || !read_count(call, "count", &wanted.left) ||
        !may_get(call, queue))
        return;
    if (wanted.left > GET_MAX)
        wanted.left = GET_MAX;
    wanted.queue_id = queue->id;
    wanted.vhost = queue->vhost;
    wanted.vhost->holders++;
    wanted.fields = fields_of(&call->body, &call->columns);
    fields_begin(&wanted.fields, '[');
    queue_used(queue);
    call->work = mem_zalloc(sizeof(wanted));
    call->drop = drop_getting;
    memcpy(call->work, &wanted, sizeof(wanted));
}

static void put_taken(struct getting *getting, const struct queue *queue,
                      const struct taken *taken)
{
    struct fields *fields = &getting->fields;
    fields_begin(fields, '{');
    message_add(fields, taken->message, &getting->style);
    fields_flag(fields, "redelivered", taken->redelivered || taken->message->flags & MESSAGE_SAID_AGAIN);
    fields_whole(fields, "message_count", queue_ready(queue));
    fields_end(fields, '}');
    buffer_add(&getting->taken, &taken->sequence, sizeof(taken->sequence));
    getting->left--;
}

/* False: it goes on in a later turn. */
static bool get_some(struct call *call, struct queue *queue)
{
    struct getting *getting = call->work;
    struct taken taken;
    while (getting->left && call->body.size < GET_BYTES_MAX) {
        if ((call->has_more = budget_is_spent(call->budget)))
            return false;
        enum queue_result result = queue_take(queue, false, &taken);
        if (result != QUEUE_OK)
            return result == QUEUE_EMPTY;
        budget_use(call->budget, GET_STEPS + taken.message->body_size / STEP_BYTES);
        queue_tally_begin(queue);
        queue_note(queue, TALLY_GOT);
        put_taken(getting, queue, &taken);
        server_got(&(struct tapper){call->peer, call->user}, queue, &taken);
        message_unref(call->api->broker->pool, taken.message);
    }
    return true;
}

/* Messages are taken over several turns, some of them after they were read from the disk, and dealt
 * with when all are there. */
void queue_get_messages(struct call *call)
{
    if (!call->work)
        begin_getting(call);
    if (!call->work)
        return;
    struct queue *queue = queue_of(call);
    struct getting *getting = call->work;
    if (!queue) {
        end_getting(call, false);
        call_not_found(call);
    } else if (get_some(call, queue)) {
        fields_end(&getting->fields, ']');
        end_getting(call, true);
        call->status = 200;
        call->state = CALL_TELLS;
    }
}

/* Those of RabbitMQ are about mirrors, of which there are none. */
void queue_act(struct call *call)
{
    static const char *const members[] = {"action", NULL};
    struct bytes action = {0};
    if (!queue_find(call, false) || !need_members(call, members) ||
        !call_read_text(call, "action", &action))
        return;
    if (bytes_equal_str(action, "sync") || bytes_equal_str(action, "cancel_sync"))
        call_done(call, false);
    else
        call_fail(call, 400, "bad_request", "unknown: %.*s", BYTES_ARG(action));
}
