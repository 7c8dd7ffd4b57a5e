/* What a score is worth for what it costs: the Pareto front, and values at equal cost. */
#ifndef LEAVEOUT_SCORE_PARETO_H
#define LEAVEOUT_SCORE_PARETO_H

#include "base/status.h"

#include <stdint.h>

/* front [count]: 1 for those that no other beats. One is beaten by another that costs at most (1 + slack)
 * times as much and is worth at least as much, and is cheaper or worth more. slack is for costs that are
 * measured: of two that cost about the same the better one is taken. Equals beat each other not. Those with a
 * NaN beat none and are not on the front. */
void lo_pareto(const double *cost, const double *value, int64_t count, double slack, uint8_t *front);

/* share [count]: of the resamples, how many have it on their front. replicate [count, resamples] as of
 * lo_bootstrap_replicates, which has the values of a resample paired. Errors: LO_INTERNAL without memory. */
lo_status lo_pareto_share(const double *cost, const double *replicate, int64_t count, int64_t resamples,
                          double slack, double *share, lo_error *err);

/* A curve of values over costs, which are above 0 and ascend strictly, between whose points it is linear in
 * the logarithm of the cost. Outside of them nothing is known: NaN. */
double lo_curve_at(const double *cost, const double *value, int64_t count, double at);

/* The least cost at which the curve has reached a value. NaN where it never does, or had it from the first
 * point on (if it was not exactly that). */
double lo_curve_reach(const double *cost, const double *value, int64_t count, double target);

#endif
