#include "log_exchange.h"

#include "broker/log_message.h"

/* As many as others can wait for. */
enum { LINES_PER_TURN = 100 };

static struct log_exchange *exchange_of(const struct service *service)
{
    return list_entry(service, struct log_exchange, service);
}

/* What was dropped is said by the line before which it is missing. */
static void publish_line(const struct log_exchange *exchange, const struct log_tail_line *line)
{
    if (line->dropped)
        log_event(exchange->broker->log, EVENT_log_dropped, "lines=%llu exchange=amq.rabbitmq.log",
                  (unsigned long long)line->dropped);
    log_message_publish(exchange->broker, bytes_str(exchange->vhost), line->level,
                        bytes_of(line->text, line->size), line->is_json);
}

static void tick(struct service *service, uint64_t now_ms, uint64_t clock_ms)
{
    struct log_exchange *exchange = exchange_of(service);
    struct log_tail_line line;
    (void)now_ms, (void)clock_ms;
    for (int i = 0; i < LINES_PER_TURN && log_tail_next(&exchange->tail, &line); i++)
        publish_line(exchange, &line);
}

static uint64_t next_ms(const struct service *service)
{
    return log_tail_is_empty(&exchange_of(service)->tail) ? UINT64_MAX : 0;
}

static void say_goodbye(struct service *service)
{
    (void)service;
}

void log_exchange_init(struct log_exchange *exchange, struct broker *broker, const char *vhost,
                       struct logs *logs, const struct logs_options *options,
                       void (*wake)(void *context), void *context)
{
    static const struct service_ops ops = {
        .tick = tick, .next_ms = next_ms, .shutdown = say_goodbye};
    *exchange = (struct log_exchange){.broker = broker, .vhost = vhost};
    service_init(&exchange->service, &ops);
    log_tail_init(&exchange->tail, wake, context);
    log_messages_begin(broker, bytes_str(vhost));
    logs_set_tail(logs, &exchange->tail, options);
}

void log_exchange_stop(struct log_exchange *exchange)
{
    if (exchange->broker)
        log_tail_stop(&exchange->tail);
}

void log_exchange_free(struct log_exchange *exchange)
{
    if (exchange->broker)
        log_tail_free(&exchange->tail);
}
