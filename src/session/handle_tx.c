/* Class tx (AMQP 0-9-1, 1.9): publishes and acknowledgements are kept, and applied together in one
 * turn, so that they are in one batch of the journal; commit-ok waits for it. */
#include <stdlib.h>

#include "base/mem.h"
#include "session/handlers.h"
#include "session/transaction.h"

struct kept_message {
    struct message *message;
    bool mandatory;
};

struct kept_delivery {
    struct delivery delivery;
    enum verdict verdict;
};

struct transaction {
    struct kept_message *messages;
    size_t message_count, message_capacity;
    struct kept_delivery *deliveries;
    size_t delivery_count, delivery_capacity;
    uint64_t bytes; /* memory of the messages */
};

/* Room for one more element of `size` bytes. */
static void *grow(void *array, size_t count, size_t *capacity, size_t size)
{
    if (count < *capacity)
        return array;
    *capacity = *capacity ? *capacity * 2 : 16;
    return mem_realloc(array, *capacity * size);
}

/* A commit is one batch of the journal, whose size is a number of 32 bits. */
#define TRANSACTION_BYTES_MAX ((uint64_t)1 << 30)

bool transaction_add_message(struct channel *channel, struct message *message, bool mandatory,
                             struct error *error)
{
    struct transaction *tx = channel->transaction;
    uint64_t max = channel_server(channel)->options.message_bytes_max * 64;
    if (max > TRANSACTION_BYTES_MAX)
        max = TRANSACTION_BYTES_MAX;
    tx->messages =
        grow(tx->messages, tx->message_count, &tx->message_capacity, sizeof(*tx->messages));
    tx->messages[tx->message_count++] = (struct kept_message){message, mandatory};
    tx->bytes += sizeof(*message) + sizeof(*tx->messages) + message->properties_size +
                 (uint64_t)message->body_size;
    if (tx->bytes <= max)
        return true;
    return error_set(error, REPLY_PRECONDITION_FAILED,
                     "uncommitted messages of %llu bytes are larger than max size %llu",
                     (unsigned long long)tx->bytes, (unsigned long long)max);
}

void transaction_add_delivery(struct channel *channel, const struct delivery *delivery,
                              enum verdict verdict)
{
    struct transaction *tx = channel->transaction;
    tx->deliveries =
        grow(tx->deliveries, tx->delivery_count, &tx->delivery_capacity, sizeof(*tx->deliveries));
    tx->deliveries[tx->delivery_count++] = (struct kept_delivery){*delivery, verdict};
}

static void drop_messages(struct channel *channel)
{
    struct transaction *tx = channel->transaction;
    for (size_t i = 0; i < tx->message_count; i++)
        message_unref(channel_broker(channel)->pool, tx->messages[i].message);
    mem_free(tx->messages);
    tx->messages = NULL;
    tx->message_count = tx->message_capacity = 0;
    tx->bytes = 0;
}

static void drop_deliveries(struct transaction *tx)
{
    mem_free(tx->deliveries);
    tx->deliveries = NULL;
    tx->delivery_count = tx->delivery_capacity = 0;
}

void transaction_free(struct channel *channel)
{
    struct transaction *tx = channel->transaction;
    if (!tx)
        return;
    drop_messages(channel);
    for (size_t i = 0; i < tx->delivery_count; i++)
        delivery_end(channel, &tx->deliveries[i].delivery, VERDICT_RETURN);
    drop_deliveries(tx);
    mem_free(tx);
    channel->transaction = NULL;
}

enum handled handle_tx_select(struct channel *channel, const struct method_tx_select *method,
                              struct error *error)
{
    (void)method;
    if (channel->confirms)
        return error_set(error, REPLY_PRECONDITION_FAILED,
                         "cannot switch from confirm to tx mode");
    if (!channel->transaction)
        channel->transaction = mem_zalloc(sizeof(*channel->transaction));
    channel_send_id(channel, METHOD_TX_SELECT_OK);
    return HANDLED;
}

static bool check_mode(const struct channel *channel, struct error *error)
{
    if (channel->transaction)
        return true;
    return error_set(error, REPLY_PRECONDITION_FAILED, "channel is not transactional");
}

enum handled handle_tx_commit(struct channel *channel, const struct method_tx_commit *method,
                              struct error *error)
{
    struct transaction *tx = channel->transaction;
    (void)method;
    if (!check_mode(channel, error))
        return HANDLED_FAILED;
    for (size_t i = 0; i < tx->message_count; i++)
        if (!basic_can_route(channel, tx->messages[i].message, error))
            return HANDLED_FAILED; /* before anything was done */
    for (size_t i = 0; i < tx->message_count; i++)
        basic_route(channel, tx->messages[i].message, tx->messages[i].mandatory);
    for (size_t i = 0; i < tx->delivery_count; i++)
        delivery_end(channel, &tx->deliveries[i].delivery, tx->deliveries[i].verdict);
    bool is_empty = !tx->message_count && !tx->delivery_count;
    drop_messages(channel);
    drop_deliveries(tx);
    channel_unpark(channel);
    if (!is_empty)
        settle_hold(channel, store_ticket(channel_broker(channel)->store));
    channel_send_id(channel, METHOD_TX_COMMIT_OK);
    return HANDLED;
}

static int compare_tags(const void *a, const void *b)
{
    uint64_t one = ((const struct delivery *)a)->tag, other = ((const struct delivery *)b)->tag;
    return (one > other) - (one < other);
}

/* Acknowledgements are taken back: the deliveries are outstanding again. */
enum handled handle_tx_rollback(struct channel *channel, const struct method_tx_rollback *method,
                                struct error *error)
{
    struct transaction *tx = channel->transaction;
    (void)method;
    if (!check_mode(channel, error))
        return HANDLED_FAILED;
    drop_messages(channel);
    if (tx->delivery_count) {
        struct delivery *deliveries = mem_alloc(tx->delivery_count * sizeof(*deliveries));
        for (size_t i = 0; i < tx->delivery_count; i++)
            deliveries[i] = tx->deliveries[i].delivery;
        qsort(deliveries, tx->delivery_count, sizeof(*deliveries), compare_tags);
        acknowledge_restore(channel, deliveries, tx->delivery_count);
        mem_free(deliveries);
    }
    drop_deliveries(tx);
    channel_send_id(channel, METHOD_TX_ROLLBACK_OK);
    return HANDLED;
}
