/* Exchange, queues and bindings of a run: made before it, and taken away after it. */
#ifndef LEVERET_PERF_TOPOLOGY_H
#define LEVERET_PERF_TOPOLOGY_H

#include "perf/link.h"
#include "perf/options.h"

struct topology {
    const struct options *options;
    struct link *link; /* of its own, with one channel */
    bool *made;        /* by queue: it was not there before */
    bool made_exchange;
};

/* Makes what is missing. What is there is used as it is, and will be left there. A queue that holds
 * messages is refused unless it is to be purged. False with link->error. */
bool topology_make(struct topology *topology, const struct options *options, struct link *link);
/* Deletes what was made here, unless all is to be kept. */
bool topology_remove(struct topology *topology);
/* The same on a new link: after topology_make has failed, or the old one was lost. */
bool topology_remove_anew(struct topology *topology, const struct link_target *target);
void topology_free(struct topology *topology);

#endif
