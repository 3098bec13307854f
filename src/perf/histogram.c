/* Counting times, and asking for their distribution. */
#include "perf/histogram.h"

static uint64_t at(const struct histogram *histogram, unsigned bucket)
{
    return atomic_load_explicit(&histogram->counts[bucket], memory_order_relaxed);
}

static void put(struct histogram *histogram, unsigned bucket, uint64_t count)
{
    atomic_store_explicit(&histogram->counts[bucket], count, memory_order_relaxed);
}

uint64_t histogram_bucket_end(unsigned bucket)
{
    unsigned shift = bucket >> HISTOGRAM_FINE_BITS;
    uint64_t fine = bucket & ((1u << HISTOGRAM_FINE_BITS) - 1);
    if (shift == 0)
        return fine;
    shift--;
    return ((fine + (1u << HISTOGRAM_FINE_BITS) + 1) << shift) - 1;
}

void histogram_clear(struct histogram *histogram)
{
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
        put(histogram, i, 0);
}

void histogram_merge(struct histogram *into, const struct histogram *from)
{
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
        put(into, i, at(into, i) + at(from, i));
}

void histogram_subtract(struct histogram *from, const struct histogram *before)
{
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
        put(from, i, at(from, i) - at(before, i));
}

uint64_t histogram_count(const struct histogram *histogram)
{
    uint64_t count = 0;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
        count += at(histogram, i);
    return count;
}

uint64_t histogram_quantile(const struct histogram *histogram, double share)
{
    uint64_t count = histogram_count(histogram);
    if (count == 0)
        return 0;
    double exact = share * (double)count;
    uint64_t rank = (uint64_t)exact;
    if ((double)rank < exact)
        rank++;
    uint64_t seen = 0;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += at(histogram, i);
        if (seen >= rank && seen > 0)
            return histogram_bucket_end(i);
    }
    return histogram_bucket_end(HISTOGRAM_BUCKETS - 1);
}

uint64_t histogram_max(const struct histogram *histogram)
{
    return histogram_quantile(histogram, 1.0);
}

double histogram_mean(const struct histogram *histogram)
{
    double sum = 0;
    double count = 0;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        sum += (double)at(histogram, i) * (double)histogram_bucket_end(i);
        count += (double)at(histogram, i);
    }
    return count > 0 ? sum / count : 0;
}

void histogram_write(const struct histogram *histogram, FILE *out)
{
    uint64_t count = histogram_count(histogram);
    uint64_t seen = 0;
    fprintf(out, "%12s %14s %10s %14s\n\n", "Value", "Percentile", "TotalCount",
            "1/(1-Percentile)");
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        if (at(histogram, i) == 0)
            continue;
        seen += at(histogram, i);
        double share = (double)seen / (double)count;
        fprintf(out, "%12.6f %2.12f %10llu", (double)histogram_bucket_end(i) / 1e6, share,
                (unsigned long long)seen);
        if (seen < count)
            fprintf(out, " %14.2f", 1 / (1 - share));
        fputc('\n', out);
    }
    fprintf(out, "#[Mean = %.6f, Max = %.6f, Total count = %llu]\n",
            histogram_mean(histogram) / 1e6, (double)histogram_max(histogram) / 1e6,
            (unsigned long long)count);
}
