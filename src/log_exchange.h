/* Lines of the log as messages to the exchange amq.rabbitmq.log (broker/log_message.h). To the loop it
 * is a service without peers. */
#ifndef LEVERET_LOG_EXCHANGE_H
#define LEVERET_LOG_EXCHANGE_H

#include "broker/broker.h"
#include "net/logs.h"
#include "peer/service.h"

struct log_exchange {
    struct service service;
    struct log_tail tail;
    struct broker *broker; /* NULL: it is not asked for */
    const char *vhost;
};

/* Makes the exchange in that virtual host, and takes lines of `logs` from now on. `wake` has the loop run
 * a turn, from any thread. The caller keeps all that it passes. */
void log_exchange_init(struct log_exchange *exchange, struct broker *broker, const char *vhost,
                       struct logs *logs, const struct logs_options *options,
                       void (*wake)(void *context), void *context);
/* Before the loop goes: lines are not taken any more. One that is all zero is allowed. */
void log_exchange_stop(struct log_exchange *exchange);
/* Nobody may log any more. One that is all zero is allowed. */
void log_exchange_free(struct log_exchange *exchange);

#endif
