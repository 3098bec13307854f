/* Times in nanoseconds, counted in buckets whose width grows with the time: 128 buckets for each
 * power of two, so that a value is known within 0.8 percent, from 1 ns to 73 minutes, in 36 KiB.
 * One thread adds; others may look at the same time. */
#ifndef LEVERET_PERF_HISTOGRAM_H
#define LEVERET_PERF_HISTOGRAM_H

#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>

enum {
    HISTOGRAM_FINE_BITS = 7,
    HISTOGRAM_TOP_BIT = 42,
    HISTOGRAM_BUCKETS = (HISTOGRAM_TOP_BIT - HISTOGRAM_FINE_BITS + 1) << HISTOGRAM_FINE_BITS,
};

struct histogram {
    _Atomic uint64_t counts[HISTOGRAM_BUCKETS];
};

/* The bucket of a time; the last one takes all that is longer. */
static inline unsigned histogram_bucket(uint64_t ns)
{
    if (ns < 1u << HISTOGRAM_FINE_BITS)
        return (unsigned)ns;
    unsigned top = 63u - (unsigned)__builtin_clzll(ns);
    if (top >= HISTOGRAM_TOP_BIT)
        return HISTOGRAM_BUCKETS - 1;
    unsigned shift = top - HISTOGRAM_FINE_BITS;
    return ((shift + 1) << HISTOGRAM_FINE_BITS) + (unsigned)(ns >> shift) -
           (1u << HISTOGRAM_FINE_BITS);
}

static inline void histogram_add(struct histogram *histogram, uint64_t ns)
{
    _Atomic uint64_t *count = &histogram->counts[histogram_bucket(ns)];
    atomic_store_explicit(count, atomic_load_explicit(count, memory_order_relaxed) + 1,
                          memory_order_relaxed);
}

/* The longest time that its bucket counts. */
uint64_t histogram_bucket_end(unsigned bucket);
void histogram_clear(struct histogram *histogram);
/* Adds all of `from`. */
void histogram_merge(struct histogram *into, const struct histogram *from);
/* Takes away what was there before: what has come since then. */
void histogram_subtract(struct histogram *from, const struct histogram *before);
uint64_t histogram_count(const struct histogram *histogram);
/* The time that this share of the values (0 to 1) does not exceed; 0 when there are none. */
uint64_t histogram_quantile(const struct histogram *histogram, double share);
uint64_t histogram_max(const struct histogram *histogram);
double histogram_mean(const struct histogram *histogram);
/* Writes the distribution as text, a line for each bucket that is not empty, in the columns that
 * HdrHistogram's plotter reads: value in ms, share, count up to it, 1/(1-share). */
void histogram_write(const struct histogram *histogram, FILE *out);

#endif
