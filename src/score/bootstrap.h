/* Bootstrap intervals over examples (Efron and Tibshirani, An Introduction to the Bootstrap, 1993): what a
 * statistic would vary by had other examples of the same kind been drawn.
 *
 * Many statistics are computed of each resample at once, so that their differences are paired. Resample r of
 * n examples is n draws with counters (r, 0), (r, 1), ... of LO_FOR_BOOTSTRAP: it depends on the seed, on r
 * and on n alone. */
#ifndef LEAVEOUT_SCORE_BOOTSTRAP_H
#define LEAVEOUT_SCORE_BOOTSTRAP_H

#include "base/status.h"
#include "base/tick.h"

#include <stdint.h>

/* Computes `count` statistics (a number of the caller's) of the sample in which example i is weight[i] times,
 * NULL: once each; NaN where one is undefined. */
typedef lo_status lo_statistics(void *self, const int32_t *weight, double *value, lo_error *err);

typedef struct lo_bootstrap {
    uint64_t seed;
    int64_t n;          /* examples */
    int64_t resamples;  /* 1,000 and more for intervals */
    int64_t statistics; /* how many */
    lo_statistics *compute;
    void *self;
} lo_bootstrap;

/* How often each example is in resample r: weight [n]. */
void lo_resample(uint64_t seed, int64_t r, int64_t n, int32_t *weight);

/* The statistics of the resamples first .. first + count - 1: replicate [statistics, count], a statistic's
 * all together. Resamples can be shared by ranks and put together: columns are independent. Errors:
 * LO_INTERNAL without memory; what compute and tick return. */
lo_status lo_bootstrap_replicates(const lo_bootstrap *bootstrap, int64_t first, int64_t count,
                                  double *replicate, const lo_tick *tick, lo_error *err);

/* The acceleration of BCa, acceleration [statistics], by leaving out in turn each of `blocks` (2 to n) groups
 * of examples, i % blocks: groups do for n where leaving out one by one is too much. 0 where a statistic is
 * the same without any of them, NaN where it is undefined without one. Errors: as before. */
lo_status lo_bootstrap_acceleration(const lo_bootstrap *bootstrap, int64_t blocks, double *acceleration,
                                    const lo_tick *tick, lo_error *err);

typedef struct lo_interval {
    double low, high;
    int64_t undefined; /* replicates that were NaN and had no part */
} lo_interval;

/* Quantiles (1 - level) / 2 and (1 + level) / 2 of the replicates [count], interpolated linearly (numpy's
 * default). replicate is sorted in place, NaN last. NaN without two defined replicates. */
lo_interval lo_interval_percentile(double *replicate, int64_t count, double level);

/* The same at the quantiles of BCa (Efron 1987, JASA 82:171), corrected for bias (the share of replicates
 * below the estimate, those equal to it counting one half) and for acceleration. NaN where all replicates are
 * on one side of the estimate, or the acceleration is NaN. */
lo_interval lo_interval_bca(double *replicate, int64_t count, double estimate, double acceleration,
                            double level);

/* x with P(standard normal < x) = p, for p in (0, 1). */
double lo_normal_quantile(double p);

#endif
