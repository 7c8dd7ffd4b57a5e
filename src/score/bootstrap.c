#include "score/bootstrap.h"

#include "base/random.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void lo_resample(uint64_t seed, int64_t r, int64_t n, int32_t *weight)
{
    const lo_random random = lo_random_make(seed, LO_FOR_BOOTSTRAP);
    memset(weight, 0, (size_t)n * sizeof(*weight));
    for (int64_t i = 0; i < n; i++) {
        weight[lo_random_below(random, (uint64_t)r, (uint64_t)i, (uint64_t)n)]++;
    }
}

typedef struct room {
    int32_t *weight;
    double *value;
} room;

static lo_status reserve(const lo_bootstrap *b, room *r, lo_error *err)
{
    r->weight = calloc((size_t)b->n + 1, sizeof(*r->weight));
    r->value = calloc((size_t)b->statistics + 1, sizeof(*r->value));
    return r->weight != NULL && r->value != NULL
               ? LO_OK
               : lo_fail(err, LO_INTERNAL, "no memory to resample %lld examples", (long long)b->n);
}

static void release(room *r)
{
    free(r->weight);
    free(r->value);
}

lo_status lo_bootstrap_replicates(const lo_bootstrap *bootstrap, int64_t first, int64_t count,
                                  double *replicate, const lo_tick *tick, lo_error *err)
{
    room r = {0};
    lo_status status = reserve(bootstrap, &r, err);
    for (int64_t k = 0; k < count && status == LO_OK; k++) {
        lo_resample(bootstrap->seed, first + k, bootstrap->n, r.weight);
        status = bootstrap->compute(bootstrap->self, r.weight, r.value, err);
        for (int64_t s = 0; s < bootstrap->statistics && status == LO_OK; s++) {
            replicate[s * count + k] = r.value[s];
        }
        status = status == LO_OK ? lo_tick_call(tick) : status;
    }
    release(&r);
    return status;
}

/* From the values without each block: skewness over its standard deviation, as Efron and Tibshirani (14.15)
 * have it. A block's influence is the sum of its examples', so that blocks estimate what examples do. */
static double acceleration_of(const double *left_out, int64_t blocks)
{
    double mean = 0, squares = 0, cubes = 0;
    for (int64_t b = 0; b < blocks; b++) {
        mean += left_out[b] / (double)blocks;
    }
    for (int64_t b = 0; b < blocks; b++) {
        const double d = mean - left_out[b];
        squares += d * d;
        cubes += d * d * d;
    }
    return squares == 0 ? 0 : cubes / (6 * squares * sqrt(squares));
}

lo_status lo_bootstrap_acceleration(const lo_bootstrap *bootstrap, int64_t blocks, double *acceleration,
                                    const lo_tick *tick, lo_error *err)
{
    room r = {0};
    double *left_out = calloc((size_t)(blocks * bootstrap->statistics) + 1, sizeof(*left_out));
    lo_status status = reserve(bootstrap, &r, err);
    if (status == LO_OK && left_out == NULL) {
        status = lo_fail(err, LO_INTERNAL, "no memory to leave out %lld blocks", (long long)blocks);
    }
    for (int64_t b = 0; b < blocks && status == LO_OK; b++) {
        for (int64_t i = 0; i < bootstrap->n; i++) {
            r.weight[i] = i % blocks != b;
        }
        status = bootstrap->compute(bootstrap->self, r.weight, r.value, err);
        for (int64_t s = 0; s < bootstrap->statistics && status == LO_OK; s++) {
            left_out[s * blocks + b] = r.value[s];
        }
        status = status == LO_OK ? lo_tick_call(tick) : status;
    }
    for (int64_t s = 0; s < bootstrap->statistics && status == LO_OK; s++) {
        acceleration[s] = acceleration_of(left_out + s * blocks, blocks);
    }
    free(left_out);
    release(&r);
    return status;
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    if (isnan(x) || isnan(y)) {
        return isnan(x) - isnan(y);
    }
    return (x > y) - (x < y);
}

/* Sorts; how many are no NaN. */
static int64_t sort_defined(double *value, int64_t count)
{
    qsort(value, (size_t)count, sizeof(*value), by_value);
    int64_t defined = count;
    while (defined > 0 && isnan(value[defined - 1])) {
        defined--;
    }
    return defined;
}

static double quantile(const double *sorted, int64_t count, double share)
{
    const double at = share * (double)(count - 1);
    const int64_t below = (int64_t)at;
    const double part = at - (double)below;
    return part > 0 ? sorted[below] + part * (sorted[below + 1] - sorted[below]) : sorted[below];
}

static lo_interval between(const double *sorted, int64_t defined, int64_t count, double low, double high)
{
    lo_interval interval = {(double)NAN, (double)NAN, count - defined};
    if (defined >= 2 && !isnan(low) && !isnan(high)) {
        interval.low = quantile(sorted, defined, low);
        interval.high = quantile(sorted, defined, high);
    }
    return interval;
}

lo_interval lo_interval_percentile(double *replicate, int64_t count, double level)
{
    const int64_t defined = sort_defined(replicate, count);
    return between(replicate, defined, count, (1 - level) / 2, (1 + level) / 2);
}

static double normal_below(double x)
{
    return erfc(-x / sqrt(2)) / 2;
}

double lo_normal_quantile(double p)
{
    double low = -40, high = 40;
    for (int i = 0; i < 70; i++) { /* 80 / 2^70: below the last bit */
        const double middle = (low + high) / 2;
        *(normal_below(middle) < p ? &low : &high) = middle;
    }
    return (low + high) / 2;
}

lo_interval lo_interval_bca(double *replicate, int64_t count, double estimate, double acceleration,
                            double level)
{
    const int64_t defined = sort_defined(replicate, count);
    double below = 0;
    for (int64_t i = 0; i < defined; i++) {
        below += replicate[i] < estimate ? 1 : replicate[i] == estimate ? 0.5 : 0;
    }
    if (!(below > 0 && below < (double)defined) || isnan(acceleration)) {
        return (lo_interval){(double)NAN, (double)NAN, count - defined};
    }
    const double bias = lo_normal_quantile(below / (double)defined);
    double share[2];
    for (int side = 0; side < 2; side++) {
        const double z = bias + lo_normal_quantile(side == 0 ? (1 - level) / 2 : (1 + level) / 2);
        share[side] = normal_below(bias + z / (1 - acceleration * z));
    }
    return between(replicate, defined, count, share[0], share[1]);
}
