/* One answer with metrics, made piece by piece. */
#ifndef LEVERET_METRICS_SCRAPE_H
#define LEVERET_METRICS_SCRAPE_H

#include "metrics/rows.h"

/* What is asked for. */
struct scrape_request {
    enum endpoint endpoint;
    struct bytes query; /* as it was sent */
    bool is_open;       /* the answer is one of OpenMetrics */
};

/* NULL: the query makes no sense, and `fault` says why. */
struct http_answer *scrape_new(const struct metrics *metrics, const struct scrape_request *request,
                               char *fault, size_t fault_size);

#endif
