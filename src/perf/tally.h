/* What one worker has counted. It alone writes; the main thread looks on. */
#ifndef LEVERET_PERF_TALLY_H
#define LEVERET_PERF_TALLY_H

#include "perf/histogram.h"

struct tally {
    _Atomic uint64_t published, confirmed, refused, returned, consumed, consumed_bytes;
    _Atomic uint64_t repeated;                                /* redelivered, or published again */
    _Atomic uint64_t unique, duplicates, disordered, damaged; /* --verify */
    _Atomic uint64_t consumers_ready, producers_done;
    _Atomic uint64_t first_consumed_ns, last_consumed_ns, last_done_ns;
    _Atomic uint64_t reconnects;
    struct histogram latency;  /* from when a message was due to its arrival */
    struct histogram confirms; /* from publish to confirm */
    struct histogram lateness; /* of the generator: from due to written */
};

static inline void tally_add(_Atomic uint64_t *count, uint64_t more)
{
    atomic_store_explicit(count, atomic_load_explicit(count, memory_order_relaxed) + more,
                          memory_order_relaxed);
}

static inline void tally_set(_Atomic uint64_t *value, uint64_t to)
{
    atomic_store_explicit(value, to, memory_order_relaxed);
}

static inline uint64_t tally_get(const _Atomic uint64_t *value)
{
    return atomic_load_explicit(value, memory_order_relaxed);
}

#endif
