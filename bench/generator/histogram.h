/* Latencies on a logarithmic scale: 64 steps per power of two, so that a percentile is exact to 1.6 %, from
 * nanoseconds to centuries, in a table of fixed size and without keeping the samples. */
#ifndef BENCH_HISTOGRAM_H
#define BENCH_HISTOGRAM_H

#include <stdint.h>

enum { STEP_BITS = 6, BUCKETS = 64 << STEP_BITS };

typedef struct {
    uint64_t buckets[BUCKETS];
    uint64_t samples, max_ns;
} Histogram;

void histogram_add(Histogram *histogram, uint64_t ns);

/* The latency that `share` (0 to 1) of the samples stay below, in microseconds; 0 without samples. */
double histogram_percentile_us(const Histogram *histogram, double share);

/* What the samples of a bucket are taken for. */
double histogram_middle_us(int bucket);

#endif
