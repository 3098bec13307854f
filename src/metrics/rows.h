/* Metrics as lines of text, in the format 0.0.4 of Prometheus, or in that of OpenMetrics 1.0.0. */
#ifndef LEVERET_METRICS_ROWS_H
#define LEVERET_METRICS_ROWS_H

#include "metrics/sample.h"

/* What a metric is about. */
enum scope {
    SCOPE_node, /* all of it: one line; and so are these, with several lines: */
    SCOPE_login,
    SCOPE_build,
    SCOPE_identity,
    SCOPE_version,
    SCOPE_protocol,
    SCOPE_type,
    SCOPE_death,
    SCOPE_kept,
    SCOPE_memory,
    SCOPE_listener,
    SCOPE_checker, /* a listener that looks into lists of revoked certificates */
    SCOPE_sizes,
    SCOPE_turns,
    SCOPE_syncs,
    SCOPE_batches,
    SCOPE_member,   /* of each broker of a cluster */
    SCOPE_follower, /* the same, of those of which this broker knows how far they are */
    SCOPE_group, /* of a cluster: one line, or the metric is not there */
    SCOPE_queue,          /* one of many; here and from here on */
    SCOPE_delivery,       /* of a queue, and of all of them together: several lines */
    SCOPE_acknowledgement, /* the same */
    SCOPE_detailed_queue, /* the same, but nothing is told of all together */
    SCOPE_exchange,       /* the same */
    SCOPE_vhost,          /* the same */
    SCOPE_channel,
    SCOPE_connection,
};

enum kind { KIND_COUNTER, KIND_GAUGE, KIND_UNTYPED, KIND_HISTOGRAM };

/* As RabbitMQ has them, but for queue_latency_metrics, and what belongs to which. */
#define METRIC_FAMILIES(X)                                                                         \
    X(connection_churn_metrics)                                                                    \
    X(node_coarse_metrics)                                                                         \
    X(node_metrics)                                                                                \
    X(node_persister_metrics)                                                                      \
    X(auth_attempt_metrics)                                                                        \
    X(queue_coarse_metrics)                                                                        \
    X(queue_consumer_count)                                                                        \
    X(queue_metrics)                                                                               \
    X(queue_delivery_metrics)                                                                      \
    X(queue_latency_metrics)                                                                       \
    X(ra_metrics)                                                                                  \
    X(queue_exchange_metrics)                                                                      \
    X(exchange_metrics)                                                                            \
    X(channel_metrics)                                                                             \
    X(channel_exchange_metrics)                                                                    \
    X(channel_queue_metrics)                                                                       \
    X(channel_queue_exchange_metrics)                                                              \
    X(connection_coarse_metrics)                                                                   \
    X(connection_metrics)                                                                          \
    X(vhost_status)                                                                                \
    X(exchange_names)                                                                              \
    X(exchange_bindings)

#define METRIC_FAMILY(name) FAMILY_##name,
enum family { METRIC_FAMILIES(METRIC_FAMILY) FAMILIES };
#undef METRIC_FAMILY

/* Bits of families; and of what is told whatever is asked for. */
#define FAMILY(name) (UINT64_C(1) << FAMILY_##name)
#define FAMILIES_NONE UINT64_C(0)
#define FAMILIES_INFO (UINT64_C(1) << 63)

struct metric {
    const char *name, *help;
    enum scope scope;
    enum kind kind;
    uint64_t families;
    double (*value)(const void *sample);             /* of one; see sample.h; NAN: it has none */
    double (*total)(const struct node_sample *node); /* of many; NULL: it is the sum */
};

/* The number-th of all; NULL: there are no more. */
const struct metric *metric_at(size_t number);
enum { METRICS_MAX = 256 };
/* Adds the values of one channel or connection to the sums of those metrics, by their numbers, which
 * have no `total`. */
void metrics_sum(enum scope scope, const void *sample, double *sums);
/* The bit of a family; 0: there is none of that name. */
uint64_t metric_family(struct bytes name);
/* Is it told in such answers? A cluster's is, if it is named. */
bool metric_is_of_cluster(const struct metric *metric);

enum endpoint { ENDPOINT_AGGREGATED, ENDPOINT_PER_OBJECT, ENDPOINT_DETAILED };

/* Where the lines go. */
struct rows {
    struct buffer *out;
    enum endpoint endpoint; /* has a say in names, and in what the answer says of itself */
    bool is_open;           /* OpenMetrics */
};

/* What stands before the lines of a metric. */
void rows_begin(const struct rows *rows, const struct metric *metric);
/* All lines of a metric that is not about one of many, or is about all of them together, which is
 * `sum` where it does not tell it by itself. */
void rows_add_all(const struct rows *rows, const struct metric *metric,
                  const struct node_sample *node, double sum);
/* The line about one of many, or its lines. `sample`: of the metric's scope. */
void rows_add_one(const struct rows *rows, const struct metric *metric, const void *sample);
/* What stands behind all of them. */
void rows_end(const struct rows *rows);
/* The type of the answer, for HTTP. */
const char *rows_type(bool is_open);

#endif
