/* A thread with producers and consumers of its own, and the loop that moves them. */
#ifndef LEVERET_PERF_WORKER_H
#define LEVERET_PERF_WORKER_H

#include <pthread.h>

#include "perf/consumer.h"
#include "perf/producer.h"

struct worker {
    struct run *run;
    uint64_t beat_ns; /* when heartbeats were last sent */
    struct tally tally;
    struct producer *producers; /* made by the main thread before the worker starts */
    struct consumer *consumers; /* likewise */
    uint32_t producer_count, consumer_count;
    int epoll, wake; /* descriptors; -1: none */
    struct list active;
    uint64_t scheduled_ns; /* when the next producer is due; UINT64_MAX: none waits */
    pthread_t thread;
    bool started;
    _Atomic uint64_t cpu_ns, running_ns; /* of the thread, from the start of the run */
    _Atomic int failed;                  /* then `error` says why */
    char error[LINK_ERROR_MAX + 32];
};

/* With room for so many actors, which the caller then initialises. */
void worker_init(struct worker *worker, struct run *run, uint32_t producers, uint32_t consumers);
void worker_free(struct worker *worker);
/* Starts the thread; the links are open. False with worker->error. */
bool worker_start(struct worker *worker);
/* Lets the loop look at the phase of the run. */
void worker_wake(struct worker *worker);
/* Waits for the end of the thread; the phase is PHASE_STOPPING. */
void worker_join(struct worker *worker);

#endif
