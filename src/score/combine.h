/* Scores made of other scores of the same examples: the average of ranks, and a regression that predicts each
 * example from the others. */
#ifndef LEAVEOUT_SCORE_COMBINE_H
#define LEAVEOUT_SCORE_COMBINE_H

#include "base/status.h"
#include "base/tick.h"

#include <stdint.h>

/* rank [n]: the share of the sample below each value, (midrank - 1/2) / used, in (0, 1); NaN stay. Errors:
 * LO_INTERNAL without memory. */
lo_status lo_rank_share(const double *value, int64_t n, double *rank, lo_error *err);

/* Ridge regression of target [n] on feature [features, n] with an intercept, cross-fitted: the prediction for
 * an example comes from the examples of other folds alone. Features are standardized over these; the penalty
 * is that of minimizing the mean square of the residuals plus penalty times the weights' squares.
 *
 * Fold of example i: its place in permutation 0 of the seed's LO_FOR_FOLDS, times folds / n. Examples with a
 * NaN in a feature are predicted NaN and, as those with a NaN in the target, not learned from; NaN too where
 * the other folds have no two examples. Errors: LO_INTERNAL without memory; what tick returns. */
typedef struct lo_cross_fit {
    uint64_t seed;
    int64_t n, features, folds;
    const double *feature, *target;
    double penalty;
} lo_cross_fit;
lo_status lo_cross_predict(const lo_cross_fit *fit, double *predicted, const lo_tick *tick, lo_error *err);

/* Which fold an example is in, 0 to folds - 1. */
int64_t lo_fold_of(uint64_t seed, int64_t n, int64_t folds, int64_t example);

#endif
