/* A recent history exchange sends everything everywhere, as a fanout exchange does, and keeps the
 * last messages that came by: a queue or an exchange that is bound gets them, the oldest first. How
 * many is said by the argument `x-recent-history-length`; a message whose header
 * `x-recent-history-no-store` is true is not kept. What is kept is in memory alone and does not
 * survive a restart.
 *
 * Of one exchange HISTORY_MAX messages are kept at most, and of all together HISTORIES_BYTES:
 * beyond that the oldest go first, whichever exchange keeps them. */
#include "amqp/reply.h"
#include "amqp/table.h"
#include "base/mem.h"
#include "base/planted.h"
#include "broker/publish.h"

enum { HISTORY_DEFAULT = 20, HISTORY_MAX = 10000, HISTORIES_BYTES = 32 << 20 };

struct kept {
    struct list link;     /* of its exchange, the oldest first */
    struct list age_link; /* of all: broker->histories */
    struct history *history;
    struct message *message;
};

struct history {
    struct broker *broker;
    struct list kept;
    size_t count, limit;
};

static const char length_name[] = "x-recent-history-length";

/* RabbitMQ takes no other types. */
static bool is_length(const struct field *field)
{
    return field->type && strchr("bsIl", field->type) && field->value.integer > 0;
}

static bool check_new(const struct vhost *vhost, const struct exchange_declare *declare,
                      struct error *error)
{
    struct field field;
    (void)vhost;
    if (!table_find(declare->arguments, bytes_str(length_name), &field) || is_length(&field))
        return true;
    struct buffer value = {0};
    field_print_value(&value, &field);
    error_set(error, REPLY_PRECONDITION_FAILED,
              field.type == 'S' ? "Invalid argument <<\"%.*s\">>, '%s' must be a positive integer"
                                : "Invalid argument %.*s, '%s' must be a positive integer",
              BYTES_ARG(buffer_bytes(&value)), length_name);
    buffer_free(&value);
    return false;
}

static void init(struct exchange *exchange)
{
    struct history *history = mem_zalloc(sizeof(*history));
    struct field field;
    history->broker = exchange->vhost->broker;
    history->limit = HISTORY_DEFAULT;
    if (table_find(exchange_arguments(exchange), bytes_str(length_name), &field) &&
        is_length(&field))
        history->limit =
            field.value.integer < HISTORY_MAX ? (size_t)field.value.integer : HISTORY_MAX;
    list_init(&history->kept);
    exchange->state = history;
}

static void forget(struct kept *kept)
{
    struct broker *broker = kept->history->broker;
    kept->history->count--;
    broker->histories_bytes -= message_memory(kept->message);
    list_remove(&kept->link);
    list_remove(&kept->age_link);
    message_unref(broker->pool, kept->message);
    mem_free(kept);
}

static void free_state(struct exchange *exchange)
{
    struct history *history = exchange->state;
    while (history->count)
        forget(list_entry(list_first(&history->kept), struct kept, link));
    mem_free(history);
}

static void route(struct exchange *exchange, const struct route *route, struct queue_set *set)
{
    bool is_hidden = false;
    set->varies = true;
    table_find_bool(route->headers, "x-recent-history-no-store", &is_hidden);
    if (!is_hidden)
        queue_set_add_keeper(set, exchange);
    queue_set_add_destinations(set, exchange);
}

static void keep(struct exchange *exchange, struct message *message)
{
    struct history *history = exchange->state;
    struct broker *broker = history->broker;
    struct kept *kept = mem_zalloc(sizeof(*kept));
    kept->history = history;
    kept->message = message_ref(message);
    list_push_back(&history->kept, &kept->link);
    list_push_back(&broker->histories, &kept->age_link);
    broker->histories_bytes += message_memory(message);
    if (++history->count > history->limit && !planted(PLANTED_HISTORY_GROWS))
        forget(list_entry(list_first(&history->kept), struct kept, link));
    while (broker->histories_bytes > HISTORIES_BYTES)
        forget(list_entry(list_first(&broker->histories), struct kept, age_link));
}

static uint64_t record_bytes(const struct exchange *exchange)
{
    const struct history *history = exchange->state;
    uint64_t bytes = 0;
    list_for_each(link, &history->kept) {
        const struct message *message = list_entry(link, struct kept, link)->message;
        if (broker_records(history->broker, message))
            bytes += store_message_bytes(message, PUBLISH_QUEUES_GUESSED);
    }
    return bytes;
}

/* A message of its own, as the record of the one that is kept may be written already. Its time to
 * live begins anew. */
static struct message *copy_of(const struct kept *kept)
{
    const struct message *message = kept->message;
    return message_copy(kept->history->broker->pool, message, message_exchange(message),
                        message_routing_key(message), message_properties(message));
}

/* What is handed on may come by here again, so it is copied first. */
static void greet(struct exchange *exchange, const struct binding_request *request)
{
    struct history *history = exchange->state;
    struct broker *broker = history->broker;
    struct queue_set set = {0};
    struct message **copies = mem_zalloc_array(history->count + 1, sizeof(struct message *));
    size_t count = 0;
    list_for_each(link, &history->kept)
        copies[count++] = copy_of(list_entry(link, struct kept, link));
    for (size_t i = 0; i < count; i++) {
        if (request->queue)
            publish_to(request->queue, copies[i]);
        else
            publish(request->exchange, copies[i], &set);
        message_unref(broker->pool, copies[i]);
    }
    queue_set_free(&set);
    mem_free(copies);
}

const struct exchange_kind exchange_recent_history = {
    .name = "x-recent-history",
    .init = init,
    .free = free_state,
    .check_new = check_new,
    .route = route,
    .keep = keep,
    .record_bytes = record_bytes,
    .greet = greet,
};
