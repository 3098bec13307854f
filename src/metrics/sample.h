/* What values are taken from: for each thing that metrics are about what is known of it at one
 * moment. */
#ifndef LEVERET_METRICS_SAMPLE_H
#define LEVERET_METRICS_SAMPLE_H

#include "broker/dead_letter.h"
#include "broker/exchange.h"
#include "broker/vhost.h"
#include "metrics/metrics.h"
#include "queue/queue_sums.h"
#include "session/look.h"

struct metrics {
    struct http_handler handler;
    struct metrics_options options;
    struct server *server;
    struct broker *broker;
    uint64_t begun_ms;     /* when it was made, by the server's clock */
    uint64_t begun_queues; /* that there were then */
};

/* Of all of it. */
struct node_sample {
    const struct metrics_options *options;
    const struct broker *broker;
    const struct store_stats *store;
    const struct turns *turns;
    const struct published_counts *published;
    const struct traffic *ended;
    struct api_machine machine;
    struct server_counts counts;
    struct server_memory memory;
    struct unroutable_counts unroutable;
    struct login_counts logins[LOGIN_WAYS];
    struct api_listener listeners[API_LISTENERS_MAX];
    size_t listeners_count;
    /* Of a cluster; this broker is alone: 0. */
    struct api_member brokers[API_MEMBERS_MAX];
    unsigned members, members_up; /* of the brokers; this one is of both */
    bool leads, has_group;
    struct api_group group;
    size_t queues;
    uint64_t begun_queues, uptime_ms;
    /* What only a look at each of them tells, which the scrape takes before: */
    struct queue_sums all;  /* of queues */
    uint64_t publishers;    /* channels that have published */
    struct traffic traffic; /* of connections that are open */
};

/* All but what the scrape finds. */
void node_sample_take(const struct metrics *metrics, struct node_sample *node);

/* How often it has happened to messages of all queues. */
static inline double node_tally(const struct node_sample *node, enum tally what)
{
    const struct queues *queues = &node->broker->queues;
    return (double)queues->tallies[QUEUE_CLASS_CLASSIC][what] +
           (double)queues->tallies[QUEUE_CLASS_QUORUM][what];
}

struct channel_sample {
    struct connection_view connection;
    struct channel_view channel;
};

/* Of logins by one protocol. */
struct login_sample {
    const char *protocol;
    struct login_counts counts;
};

/* Of queues of one type; as RabbitMQ calls it. */
struct type_sample {
    const char *type;
    const uint64_t *tally;
};

/* Of messages that died in queues of one type which make the same of them. */
struct death_sample {
    const char *type, *strategy;
    const uint64_t *deaths; /* by enum death */
};

struct kept_sample {
    const char *type;
    uint64_t kept;
};

struct memory_sample {
    const char *use;
    uint64_t bytes;
};

#endif
