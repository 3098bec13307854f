/* What a queue's arguments, its policy and the operator's come to: its effective settings. Code that acts
 * on one of these reads it here, and nowhere else. */
#ifndef LEVERET_QUEUE_QUEUE_SETTINGS_H
#define LEVERET_QUEUE_QUEUE_SETTINGS_H

#include "amqp/table.h"
#include "base/map.h"

#define SETTING_NONE UINT64_MAX

/* Ten years, as in RabbitMQ: the longest that anything may live. */
#define QUEUE_TIME_MAX_MS INT64_C(315360000000)

/* What a queue has with x-queue-type quorum that does not say x-delivery-limit, as in RabbitMQ 4. */
enum { QUORUM_DELIVERY_LIMIT = 20 };

/* What happens to a message beyond the limits of a queue. */
enum overflow { OVERFLOW_DROP_HEAD, OVERFLOW_REJECT, OVERFLOW_REJECT_DLX };

/* What happens to a dead letter that no queue takes. */
enum dead_letter_strategy { STRATEGY_AT_MOST_ONCE, /* it is dropped */ STRATEGY_AT_LEAST_ONCE };

/* What happens to a delivery that is not acknowledged in time. */
enum timeout_action { TIMEOUT_CLOSE, /* the channel */ TIMEOUT_RETURN /* the message */ };

/* Which messages wait that come back: queue_retry.h. */
enum retry_type { RETRY_DISABLED, RETRY_ALL, RETRY_FAILED, RETRY_RETURNED };

/* How the time that they wait grows with the number of times. */
enum backoff { BACKOFF_LINEAR, BACKOFF_EXPONENTIAL };

/* Numbers are SETTING_NONE, and texts NULL, when they are not set. */
struct queue_settings {
    const char *dead_letter_exchange;
    const char *dead_letter_routing_key; /* NULL: the message's own keys */
    uint64_t expires_ms;
    uint64_t message_ttl_ms;
    uint64_t max_length;
    uint64_t max_length_bytes;
    uint64_t max_priority;
    uint64_t delivery_limit; /* how often a message may come back */
    uint64_t retry_min_ms, retry_max_ms;
    enum retry_type retry_type;
    enum backoff retry_backoff;
    uint64_t consumer_timeout_ms;
    enum overflow overflow;
    enum dead_letter_strategy dead_letter_strategy; /* see queue_keeps_letters */
    enum timeout_action timeout_action;
    const char *deduplication_header; /* NULL: the usual one */
    uint64_t cache_size; /* keys that are known, of messages in the queue */
    bool deduplicates;
    bool single_active_consumer;
    bool is_quorum; /* its clients see what they see of a quorum queue */
    bool expire_anywhere; /* messages leave when they end, also from behind others */
    bool is_mirrored; /* it is to have mirrors, where there are some, also if it is not durable */
};

/* Which of two values of one name counts: of a policy and an operator's, of which either may be NULL.
 * The lower number does (one below zero is no limit), and else the operator's value. */
const struct field *settings_merge(const struct field *policy, const struct field *operators);
/* Do messages stay until their dead letter has found its queues? Not in a queue that has to make room for
 * others, as in RabbitMQ. */
static inline bool queue_keeps_letters(const struct queue_settings *settings)
{
    return settings->dead_letter_strategy == STRATEGY_AT_LEAST_ONCE &&
           settings->overflow != OVERFLOW_DROP_HEAD && settings->dead_letter_exchange;
}

/* What they are made from: contents of field tables that were checked, borrowed for the call. A policy
 * has a number, which it alone has, and only as long as it stays the same; 0: there is none. */
struct queue_sources {
    struct bytes arguments;
    struct bytes policy, operators;
    uint64_t policy_number, operators_number;
};

/* Is a queue that is made from them to have mirrors? */
bool queue_sources_mirror(const struct queue_sources *from);

/* Queues that have the same sources share their settings. */
struct settings_pool {
    struct map shared; /* by the sources' bytes */
    struct buffer key; /* scratch */
};

/* `seed` is secret to the process. */
void settings_pool_init(struct settings_pool *pool, uint64_t seed);
/* All that was taken has been given back. */
void settings_pool_free(struct settings_pool *pool);
/* The settings of one more queue, which gives them back in the end. The same sources come to the same
 * pointer. */
const struct queue_settings *queue_settings_take(struct settings_pool *pool,
                                                 const struct queue_sources *sources);
void queue_settings_give_back(struct settings_pool *pool, const struct queue_settings *settings);

#endif
