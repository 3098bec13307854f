/* What happens in the broker, as messages without a body to the topic exchange amq.rabbitmq.event
 * of the virtual host `/`: `queue.created` and its like, with headers that tell of it. */
#ifndef LEVERET_BROKER_EVENTS_H
#define LEVERET_BROKER_EVENTS_H

#include "amqp/table.h"
#include "broker/vhost.h"

/* From now on what happens is told of. Makes the exchange if it is not there; a virtual host `/`
 * that is gone has none, and then nobody is told. */
void events_begin(struct broker *broker);

/* ---- telling ---- */

/* An event that is being written; its headers are in the order in which they are added. */
struct event_message {
    struct broker *broker;
    struct buffer headers;
    struct table_writer writer;
    struct exchange *exchange;
};

/* Begins one, if there is anybody to be told; false: there is not, and nothing is to be ended. */
bool event_begin(struct event_message *event, struct broker *broker);
void event_string(struct event_message *event, const char *name, struct bytes value);
void event_number(struct event_message *event, const char *name, int64_t value);
void event_bool(struct event_message *event, const char *name, bool value);
/* A table as RabbitMQ tells it here: an array of texts, one for each field. */
void event_table(struct event_message *event, const char *name, struct bytes table);
/* Who did it, and when; and away with it. What the store has no room for now is not told. */
void event_send(struct event_message *event, const char *key);

/* For apply.c, which asks only if broker->has_events. Is this told when it was applied? Else
 * before, as what it replaces or takes away has to be looked at. */
bool events_come_after(const struct change *change);
void events_change(struct broker *broker, const struct change *change);

#endif
