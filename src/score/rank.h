/* Rank statistics: how well two scores of the same examples agree, in double. Pairs with a NaN on either side
 * are left out and counted. */
#ifndef LEAVEOUT_SCORE_RANK_H
#define LEAVEOUT_SCORE_RANK_H

#include "base/status.h"

#include <stdint.h>

typedef struct lo_agreement {
    double value;     /* NaN where it is undefined: see each function */
    int64_t used;     /* pairs that it was computed from */
    int64_t left_out; /* pairs with a NaN */
} lo_agreement;

/* Area under the ROC curve: the probability that a positive example has a larger score than another one, ties
 * counting one half (Mann and Whitney's U over the number of pairs, by midranks). positive [n]: not 0 for
 * positive examples. Undefined without examples of both kinds. O(n log n). Errors: LO_INTERNAL without
 * memory. */
lo_status lo_auc(const double *score, const uint8_t *positive, int64_t n, lo_agreement *out, lo_error *err);

/* Pearson's correlation. Undefined with fewer than two pairs or where a side is constant. Infinite values
 * make it undefined too. */
lo_agreement lo_pearson(const double *x, const double *y, int64_t n);

/* Spearman's correlation: Pearson's of midranks. Undefined with fewer than two pairs or where a side is
 * constant. Infinite values are ranked. Errors: LO_INTERNAL without memory. */
lo_status lo_spearman(const double *x, const double *y, int64_t n, lo_agreement *out, lo_error *err);

#endif
