/* What the loop of a worker has in common of producers and consumers: a link, and whether there is
 * something to do on it. And what all of them share: the run. */
#ifndef LEVERET_PERF_ACTOR_H
#define LEVERET_PERF_ACTOR_H

#include "base/list.h"
#include "perf/link.h"
#include "perf/options.h"
#include "perf/tally.h"

enum { ACTOR_CHANNEL = 1 };

/* Where a run is; the main thread moves it on. */
enum phase {
    PHASE_STARTING, /* consumers begin to consume */
    PHASE_RUNNING,
    PHASE_DRAINING, /* nothing more is published; what is on its way still arrives */
    PHASE_STOPPING, /* what is not acknowledged is, and then all is over */
};

struct run {
    const struct options *options;
    const struct link_target *target;
    _Atomic int phase;
    _Atomic uint64_t start_ns;
    _Atomic uint64_t measured_from_ns; /* the end of the warm-up */
    struct bytes pattern;              /* of all bodies */
};

struct actor {
    struct link link;
    struct list active; /* on its worker's list while there is something to do */
    bool is_consumer;
    bool down; /* between two connections */
    uint64_t retry_at_ns;
};

static inline enum phase run_phase(const struct run *run)
{
    return (enum phase)atomic_load_explicit(&run->phase, memory_order_acquire);
}

#endif
