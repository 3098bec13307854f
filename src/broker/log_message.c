#include "broker/log_message.h"

#include "amqp/properties.h"
#include "amqp/table.h"
#include "broker/apply.h"
#include "broker/publish.h"

static const char exchange_of_logs[] = "amq.rabbitmq.log";

static struct exchange *find_exchange(struct broker *broker, struct bytes vhost)
{
    const struct vhost *found = vhost_find(broker, vhost);
    return found ? vhost_exchange(found, bytes_str(exchange_of_logs)) : NULL;
}

void log_messages_begin(struct broker *broker, struct bytes vhost)
{
    const struct change change = {
        .kind = CATALOGUE_EXCHANGE,
        .durable = true,
        .internal = true,
        .vhost = vhost,
        .name = bytes_str(exchange_of_logs),
        .type = bytes_str("topic"),
    };
    if (vhost_find(broker, vhost) && !find_exchange(broker, vhost))
        catalogue_apply(broker, &change, ON_RECORD);
}

static struct message *make(struct broker *broker, enum log_level level, struct bytes line,
                            bool is_json)
{
    struct buffer bytes = {0}, headers = {0};
    struct table_writer writer;
    table_writer_init(&writer, &headers);
    table_add_string(&writer, bytes_str("node"), bytes_str(broker->options.node));
    const struct properties properties = {
        .flags = PROPERTY_CONTENT_TYPE | PROPERTY_HEADERS | PROPERTY_TIMESTAMP,
        .content_type = bytes_str(is_json ? "application/json" : "text/plain"),
        .headers = buffer_bytes(&headers),
        .timestamp = broker->clock_ms / 1000,
    };
    properties_add(&bytes, &properties);
    struct message *message =
        message_new(broker->pool, bytes_str(exchange_of_logs), bytes_str(log_level_name(level)),
                    buffer_bytes(&bytes), (uint32_t)line.size);
    message_fill(message, line);
    buffer_free(&bytes);
    buffer_free(&headers);
    return message;
}

void log_message_publish(struct broker *broker, struct bytes vhost, enum log_level level,
                         struct bytes line, bool is_json)
{
    struct exchange *exchange = find_exchange(broker, vhost);
    if (!exchange || list_is_empty(&exchange->sources))
        return;
    struct message *message = make(broker, level, line, is_json);
    uint64_t room = store_message_bytes(message, PUBLISH_QUEUES_GUESSED);
    if (!store_is_congested(broker->store) && store_room(broker->store, room) == STORE_ROOM_NOW)
        publish(exchange, message, broker->firehose_set);
    message_unref(broker->pool, message);
}
