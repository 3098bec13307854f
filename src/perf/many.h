/* Many of something at once: connections, or queues. What they cost the broker is the question. */
#ifndef LEVERET_PERF_MANY_H
#define LEVERET_PERF_MANY_H

#include "perf/load.h"
#include "perf/report.h"

/* connection-count: opens the connections, rests, reads the broker's memory, closes them.
 * queue-count: declares the queues, rests, reads, deletes them. False when it could not begin, with
 * `error`; what goes wrong later is among result->problems, which `report` borrows. */
bool many_run(const struct options *options, const struct link_target *target,
              struct progress *progress, struct load_result *result, struct report *report,
              char *error, size_t error_size);

#endif
