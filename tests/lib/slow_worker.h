/* A worker of a simulation: a job that was submitted is done when the simulation says so, and not before. */
#ifndef LEVERET_TESTS_LIB_SLOW_WORKER_H
#define LEVERET_TESTS_LIB_SLOW_WORKER_H

#include "base/worker.h"

/* Lies inside its owner's object, and has nothing that is to be freed. */
struct slow_worker {
    struct worker worker; /* for who has jobs for it */
    struct list submitted, finished;
    /* It had nothing to do, and has got a job. */
    void (*begins)(struct slow_worker *worker);
};

void slow_worker_init(struct slow_worker *worker, void (*begins)(struct slow_worker *worker));
bool slow_worker_is_idle(const struct slow_worker *worker);
/* Does the next job. False: there is none. */
bool slow_worker_step(struct slow_worker *worker);
/* All of them. */
void slow_worker_drain(struct slow_worker *worker);
/* It has no jobs any more, and never had: their owner has gone. */
void slow_worker_forget(struct slow_worker *worker);

#endif
