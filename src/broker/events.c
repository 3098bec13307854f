/* Events as RabbitMQ's event exchange writes them. They are told when a decision is applied, and
 * never of what a start reads. They are persistent, and wait for nobody: what a congested store, or
 * a full disk, would have to hold back is not told. */
#include "broker/events.h"

#include "amqp/properties.h"
#include "base/mem.h"
#include "broker/apply.h"
#include "broker/permission.h"
#include "broker/policy.h"
#include "broker/publish.h"
#include "broker/user.h"

static const char exchange_of_events[] = "amq.rabbitmq.event";

static struct exchange *find_exchange(struct broker *broker)
{
    const struct vhost *vhost = vhost_find(broker, bytes_str("/"));
    return vhost ? vhost_exchange(vhost, bytes_str(exchange_of_events)) : NULL;
}

void events_begin(struct broker *broker)
{
    struct change change = {
        .kind = CATALOGUE_EXCHANGE,
        .durable = true,
        .internal = true,
        .vhost = bytes_str("/"),
        .name = bytes_str(exchange_of_events),
        .type = bytes_str("topic"),
    };
    if (vhost_find(broker, change.vhost) && !find_exchange(broker))
        catalogue_apply(broker, &change, ON_RECORD);
    broker->has_events = true;
}

/* ---- one event ---- */

bool event_begin(struct event_message *event, struct broker *broker)
{
    struct exchange *exchange = broker->has_events ? find_exchange(broker) : NULL;
    if (!exchange || list_is_empty(&exchange->sources))
        return false;
    *event = (struct event_message){.broker = broker, .exchange = exchange};
    table_writer_init(&event->writer, &event->headers);
    return true;
}

void event_string(struct event_message *event, const char *name, struct bytes value)
{
    table_add_string(&event->writer, bytes_str(name), value);
}

void event_number(struct event_message *event, const char *name, int64_t value)
{
    table_add_int64(&event->writer, bytes_str(name), value);
}

void event_bool(struct event_message *event, const char *name, bool value)
{
    table_add_bool(&event->writer, bytes_str(name), value);
}

/* `{<<"name">>,signedint,1}`: a table of one field, without its brackets. */
static void add_printed(struct event_message *event, const struct field *field)
{
    struct buffer one = {0}, text = {0};
    struct table_writer writer;
    struct field table = {.type = 'F'};
    table_writer_init(&writer, &one);
    table_add_field(&writer, field);
    table.value.bytes = buffer_bytes(&one);
    field_print_value(&text, &table);
    struct bytes printed = buffer_bytes(&text);
    if (printed.size >= 2)
        printed = bytes_of(printed.data + 1, printed.size - 2);
    table_add_string(&event->writer, bytes_of(NULL, 0), printed);
    buffer_free(&one);
    buffer_free(&text);
}

void event_table(struct event_message *event, const char *name, struct bytes table)
{
    struct field field;
    table_begin_array(&event->writer, bytes_str(name));
    for (struct reader walk = reader_of(table); table_next(&walk, &field);)
        add_printed(event, &field);
    table_end(&event->writer);
}

static void publish_event(struct event_message *event, const char *key)
{
    struct broker *broker = event->broker;
    struct buffer bytes = {0};
    struct properties properties = {
        .flags = PROPERTY_HEADERS | PROPERTY_DELIVERY_MODE | PROPERTY_TIMESTAMP,
        .headers = buffer_bytes(&event->headers),
        .delivery_mode = 2,
        .timestamp = broker->clock_ms / 1000,
    };
    properties_add(&bytes, &properties);
    struct message *message = message_new(broker->pool, bytes_str(exchange_of_events),
                                          bytes_str(key), buffer_bytes(&bytes), 0);
    message->flags = MESSAGE_PERSISTENT;
    uint64_t room = store_message_bytes(message, PUBLISH_QUEUES_GUESSED);
    if (!store_is_congested(broker->store) && store_room(broker->store, room) == STORE_ROOM_NOW)
        publish(event->exchange, message, broker->firehose_set);
    message_unref(broker->pool, message);
    buffer_free(&bytes);
}

void event_send(struct event_message *event, const char *key)
{
    const struct user *user = event->broker->actor;
    event_string(event, "user_who_performed_action", user ? user_name(user) : bytes_str("leveret"));
    event_number(event, "timestamp_in_ms", (int64_t)event->broker->clock_ms);
    publish_event(event, key);
    buffer_free(&event->headers);
}

/* ---- changes ---- */

/* What is known of it, and more when it begins. */
typedef void tell_function(struct event_message *event, const struct change *change);

static void tell_exchange(struct event_message *event, const struct change *change)
{
    if (!change->is_delete) {
        event_string(event, "policy", bytes_of(NULL, 0));
        event_table(event, "arguments", change->arguments);
        event_bool(event, "internal", change->internal);
        event_bool(event, "auto_delete", change->auto_delete);
        event_bool(event, "durable", change->durable);
        event_string(event, "type", change->type);
    }
    event_string(event, "name", change->name);
    event_string(event, "vhost", change->vhost);
}

static void tell_queue(struct event_message *event, const struct change *change)
{
    if (!change->is_delete) {
        event_bool(event, "exclusive", change->owner);
        event_table(event, "arguments", change->arguments);
        event_bool(event, "auto_delete", change->auto_delete);
        event_bool(event, "durable", change_says_durable(change));
    }
    event_string(event, "name", change->name);
    event_string(event, "vhost", change->vhost);
}

static void tell_binding(struct event_message *event, const struct change *change)
{
    event_string(event, "vhost", change->vhost);
    event_table(event, "arguments", change->arguments);
    event_string(event, "routing_key", change->routing_key);
    event_string(event, "destination_kind", bytes_str(change->to_queue ? "queue" : "exchange"));
    event_string(event, "destination_name", change->name);
    event_string(event, "source_kind", bytes_str("exchange"));
    event_string(event, "source_name", change->source);
}

static void tell_name(struct event_message *event, const struct change *change)
{
    event_string(event, "name", change->name);
}

static void tell_permission(struct event_message *event, const struct change *change)
{
    if (!change->is_delete) {
        event_string(event, "read", change->read);
        event_string(event, "write", change->write);
    }
    if (!change->is_delete && change->kind == CATALOGUE_PERMISSION)
        event_string(event, "configure", change->configure);
    if (change->kind == CATALOGUE_TOPIC_PERMISSION)
        event_string(event, "exchange", change->source);
    event_string(event, "vhost", change->vhost);
    event_string(event, "user", change->name);
}

static void add_definition(struct event_message *event, struct bytes definition)
{
    struct field field;
    table_begin_table(&event->writer, bytes_str("definition"));
    for (struct reader walk = reader_of(definition); table_next(&walk, &field);)
        table_add_field(&event->writer, &field);
    table_end(&event->writer);
}

static void tell_policy(struct event_message *event, const struct change *change)
{
    if (!change->is_delete) {
        event_string(event, "apply-to", change->type);
        event_number(event, "priority", change->priority);
        add_definition(event, change->definition);
        event_string(event, "pattern", change->pattern);
    }
    event_string(event, "vhost", change->vhost);
    event_string(event, "name", change->name);
}

static void tell_parameter(struct event_message *event, const struct change *change)
{
    if (!change->is_delete)
        event_string(event, "value", change->definition);
    event_string(event, "name", change->name);
    event_string(event, "component", change->source.size ? change->source : bytes_str("global"));
    if (change->vhost.size)
        event_string(event, "vhost", change->vhost);
}

static void tell(struct broker *broker, const struct change *change, tell_function *function,
                 const char *key)
{
    struct event_message event;
    if (!event_begin(&event, broker))
        return;
    function(&event, change);
    event_send(&event, key);
}

/* ---- users and virtual hosts, which are put as a whole ---- */

static void tell_tags(struct event_message *event, const struct change *change)
{
    event_string(event, "tags", change->tags);
    event_string(event, "name", change->name);
}

static bool has_password(const struct user *user, struct bytes hash)
{
    return user->has_password && user->hash_kind < HASH_KINDS &&
           bytes_equal(bytes_of(user->password_hash, hash_size(user->hash_kind)), hash);
}

static void tell_user(struct broker *broker, const struct change *change)
{
    const struct user *user = user_find(broker, change->name);
    if (change->is_delete) {
        tell(broker, change, tell_name, "user.deleted");
        return;
    }
    if (!user)
        tell(broker, change, tell_name, "user.created");
    if (user && user->has_password && !change->password_hash.size)
        tell(broker, change, tell_name, "user.password.cleared");
    else if (change->password_hash.size && (!user || !has_password(user, change->password_hash)))
        tell(broker, change, tell_name, "user.password.changed");
    if (!bytes_equal(change->tags, user ? bytes_str(user->tags_text) : bytes_of(NULL, 0)))
        tell(broker, change, tell_tags, "user.tags.set");
}

static void tell_vhost(struct broker *broker, const struct change *change)
{
    if (change->is_going)
        tell(broker, change, tell_name, "vhost.deleted");
    else if (!change->is_delete && !vhost_find_any(broker, change->name))
        tell(broker, change, tell_name, "vhost.created");
}

/* Of what is leaving the name has gone. */
static void tell_leaving(struct broker *broker, const struct change *change)
{
    struct change gone = *change;
    gone.is_delete = true;
    if (!change->is_delete)
        tell(broker, &gone, change->to_queue ? tell_queue : tell_exchange,
             change->to_queue ? "queue.deleted" : "exchange.deleted");
}

bool events_come_after(const struct change *change)
{
    bool is_looked_at = change->kind == CATALOGUE_USER || change->kind == CATALOGUE_VHOST ||
                        change->kind == CATALOGUE_LEAVING;
    return !change->is_delete && !is_looked_at;
}

void events_change(struct broker *broker, const struct change *change)
{
    bool ends = change->is_delete;
    switch (change->kind) {
    case CATALOGUE_LEAVING:
        tell_leaving(broker, change);
        return;
    case CATALOGUE_VHOST:
        tell_vhost(broker, change);
        return;
    case CATALOGUE_USER:
        tell_user(broker, change);
        return;
    case CATALOGUE_EXCHANGE:
        tell(broker, change, tell_exchange, ends ? "exchange.deleted" : "exchange.created");
        return;
    case CATALOGUE_QUEUE:
        tell(broker, change, tell_queue, ends ? "queue.deleted" : "queue.created");
        return;
    case CATALOGUE_BINDING:
        tell(broker, change, tell_binding, ends ? "binding.deleted" : "binding.created");
        return;
    case CATALOGUE_PERMISSION:
        tell(broker, change, tell_permission, ends ? "permission.deleted" : "permission.created");
        return;
    case CATALOGUE_TOPIC_PERMISSION:
        tell(broker, change, tell_permission,
             ends ? "topic.permission.deleted" : "topic.permission.created");
        return;
    case CATALOGUE_POLICY:
        tell(broker, change, tell_policy, ends ? "policy.cleared" : "policy.set");
        return;
    case CATALOGUE_OPERATOR_POLICY:
        tell(broker, change, tell_policy, ends ? "operator.policy.cleared" : "policy.set");
        return;
    case CATALOGUE_PARAMETER:
    case CATALOGUE_GLOBAL_PARAMETER:
        tell(broker, change, tell_parameter, ends ? "parameter.cleared" : "parameter.set");
        return;
    case CATALOGUE_DELAYS: /* a queue that is nobody's but the exchange's */
        return;
    }
}
