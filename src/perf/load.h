/* A run of producers and consumers, from the first connection to the last message; and its result.
 */
#ifndef LEVERET_PERF_LOAD_H
#define LEVERET_PERF_LOAD_H

#include "perf/histogram.h"
#include "perf/link.h"
#include "perf/options.h"
#include "perf/progress.h"
#include "perf/usage.h"

enum { LOAD_PROBLEMS_MAX = 16, LOAD_PROBLEM_SIZE = 512 };

/* Which part of a load to run. */
enum load_part {
    LOAD_ALL,
    LOAD_FILL,  /* the producers alone */
    LOAD_DRAIN, /* the consumers alone, until they have what result->published says was published */
};

struct load_result {
    uint32_t producers, consumers; /* that took part */
    uint64_t published, confirmed, refused, returned, consumed, consumed_bytes, repeated;
    uint64_t unique, duplicates, disordered, damaged, missing, reconnects;
    double publish_s;  /* from the start until all was published, confirmed, and seen */
    double consume_s;  /* from the start, or the first message, to the last message */
    double asked_rate; /* 0: none was */
    bool has_broker;
    double broker_cpu_s, broker_user_share, broker_busy; /* busy: of one core */
    uint64_t broker_rss_bytes, broker_rss_before_bytes;
    double own_cpu_s, worker_busy; /* of the busiest thread */
    bool saturated;
    struct histogram latency, confirms, lateness;
    unsigned problem_count; /* what was asked and not reached */
    char problems[LOAD_PROBLEMS_MAX][LOAD_PROBLEM_SIZE];
};

/* Runs the load; the queues are there; *result is all zero, but for LOAD_DRAIN. False when it could
 * not begin, with `error` (LINK_ERROR_MAX + 32 bytes); whatever goes wrong later is among
 * result->problems. */
bool load_run(const struct options *options, enum load_part part, const struct link_target *target,
              struct progress *progress, struct load_result *result, char *error,
              size_t error_size);
/* Notes what was not reached. */
void load_problem(struct load_result *result, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
