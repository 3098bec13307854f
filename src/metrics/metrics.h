/* What there is to measure, for Prometheus: RabbitMQ's names where it has one, and others that
 * begin with leveret_. metrics.def has all of them. It is a handler for HTTP, without users and
 * passwords:
 *
 *     /metrics              sums over all queues, channels and connections
 *     /metrics/per-object   one line for each of them
 *     /metrics/detailed     the same of those families (?family=) and virtual hosts (?vhost=) that
 *                           are named, and queues whose name matches (?queue=)
 *     /health/live          200 as long as turns go round
 *     /health/ready         200 while clients can connect and the journal can be written, else 503
 *
 * Answers are made piece by piece over many turns, so that neither a turn nor memory depends on how
 * many queues there are; what comes and goes meanwhile may be in one metric and not in the next. */
#ifndef LEVERET_METRICS_METRICS_H
#define LEVERET_METRICS_METRICS_H

#include "api/api.h"
#include "net/turns.h"

/* The caller keeps all of it. */
struct metrics_options {
    const struct api_surroundings *surroundings;
    const struct api_control *control; /* knows of the cluster; NULL: there is none */
    const struct turns *turns;
    const char *node; /* "leveret@host" */
    const char *cluster_name;
    const char *version;         /* of this program */
    const char *product_version; /* of the RabbitMQ that it behaves like */
    const char *path;            /* "/metrics" */
    bool is_per_object;          /* the first path answers as the second one does */
    uint64_t begun_clock_ms;     /* the start, in ms since 1970 */
};

struct metrics;

/* Everything passed stays the caller's and must outlive it. */
struct metrics *metrics_new(const struct metrics_options *options, struct server *server,
                            struct broker *broker);
void metrics_free(struct metrics *metrics);
struct http_handler *metrics_handler(struct metrics *metrics);

#endif
