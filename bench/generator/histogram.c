#include "histogram.h"

static int bucket_of(uint64_t ns)
{
    if (ns < (1u << STEP_BITS)) return (int)ns;
    int power = 63 - __builtin_clzll(ns);
    return ((power - STEP_BITS + 1) << STEP_BITS) + (int)((ns >> (power - STEP_BITS)) & ((1u << STEP_BITS) - 1));
}

static uint64_t middle_of(int bucket)
{
    if (bucket < (1 << STEP_BITS)) return (uint64_t)bucket;
    int shift = (bucket >> STEP_BITS) - 1;
    uint64_t low = ((uint64_t)(1u << STEP_BITS) + (uint64_t)(bucket & ((1 << STEP_BITS) - 1))) << shift;
    return low + (shift ? 1ull << (shift - 1) : 0);
}

void histogram_add(Histogram *histogram, uint64_t ns)
{
    histogram->buckets[bucket_of(ns)]++;
    histogram->samples++;
    if (ns > histogram->max_ns) histogram->max_ns = ns;
}

double histogram_percentile_us(const Histogram *histogram, double share)
{
    uint64_t rank = (uint64_t)(share * (double)histogram->samples), passed = 0;
    if (!histogram->samples) return 0;
    if (rank >= histogram->samples) rank = histogram->samples - 1;
    for (int i = 0;; i++)
        if ((passed += histogram->buckets[i]) > rank) {
            uint64_t ns = middle_of(i);
            return (double)(ns < histogram->max_ns ? ns : histogram->max_ns) / 1000;
        }
}

double histogram_middle_us(int bucket)
{
    return (double)middle_of(bucket) / 1000;
}
