/* The log as messages to the topic exchange amq.rabbitmq.log of a virtual host: a line each, with its
 * level as the routing key. */
#ifndef LEVERET_BROKER_LOG_MESSAGE_H
#define LEVERET_BROKER_LOG_MESSAGE_H

#include "broker/vhost.h"

/* Makes the exchange if it is not there; where the virtual host is not, nothing is. */
void log_messages_begin(struct broker *broker, struct bytes vhost);
/* A line, with its end. It waits for nobody: what a congested store has no room for now is not told. */
void log_message_publish(struct broker *broker, struct bytes vhost, enum log_level level,
                         struct bytes line, bool is_json);

#endif
