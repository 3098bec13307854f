/* Who does the owner's waiting, for a disk or a processor: a worker takes jobs in order and does
 * one at a time. The daemon's workers are threads; tests use workers that do a job when told to, so
 * that every order of events can be made to happen. The owner collects finished jobs; a job is
 * touched by one side at a time. */
#ifndef LEVERET_BASE_WORKER_H
#define LEVERET_BASE_WORKER_H

#include <stdbool.h>

#include "base/list.h"

struct job {
    struct list link;
    void (*run)(struct job *job); /* on the worker's side */
    /* For the owner alone, which calls one of them for a job that it collected; both may be NULL.
     */
    void (*done)(struct job *job);
    void (*abandon)(struct job *job); /* the owner ends, and what the job has is freed */
};

struct worker;

struct worker_ops {
    void (*submit)(struct worker *worker, struct job *job);
    /* The next finished job, or NULL; in the order of submission. */
    struct job *(*finished)(struct worker *worker);
    /* Waits until every submitted job has run. */
    void (*drain)(struct worker *worker);
};

struct worker {
    const struct worker_ops *ops;
};

/* A thread of its own. `wake` is called from it after each job, to make the owner look; it may be
 * NULL. Freed, once drained, with worker_thread_free. */
struct worker *worker_thread_new(const char *name, void (*wake)(void *context), void *context);
void worker_thread_free(struct worker *worker);

/* A worker without a thread: jobs wait until worker_step does one (false: there was none), unless
 * `eager`, when they run at once on submission. */
struct worker *worker_manual_new(bool eager);
bool worker_step(struct worker *worker);
void worker_manual_free(struct worker *worker);

#endif
