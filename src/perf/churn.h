/* The same few calls over and over: declare and delete, bind and unbind, open and close. */
#ifndef LEVERET_PERF_CHURN_H
#define LEVERET_PERF_CHURN_H

#include "perf/load.h"
#include "perf/report.h"

/* Runs a churn mode on `connections` connections side by side, each in a thread of its own that
 * waits for every answer. False when it could not begin, with `error`; what goes wrong later is
 * among result->problems, which `report` borrows. */
bool churn_run(const struct options *options, const struct link_target *target,
               struct progress *progress, struct load_result *result, struct report *report,
               char *error, size_t error_size);

#endif
