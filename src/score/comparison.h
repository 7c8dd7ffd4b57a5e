/* Scores compared with a reference by all statistics of the study of proxies at once, of a sample or of its
 * resamples: what a bootstrap computes (score/bootstrap.h). */
#ifndef LEAVEOUT_SCORE_COMPARISON_H
#define LEAVEOUT_SCORE_COMPARISON_H

#include "base/status.h"
#include "base/tick.h"
#include "score/agreement.h"

#include <stdint.h>

/* X(name in files, what it is) */
#define LO_COMPARED_LIST(X)                                                                                  \
    X(SPEARMAN, "spearman", "rank correlation with the reference")                                           \
    X(SOMERS, "somers_d", "Somers' D given the reference: pairs that are tied in it do not count")           \
    X(PEARSON, "pearson", "correlation with the reference")                                                  \
    X(AUC_QUARTER, "auc_025", "area under the ROC curve for a reference above 0.25")                         \
    X(AUC_HALF, "auc_050", "area under the ROC curve for a reference above 0.5")                             \
    X(TOP, "top", "overlap of the K largest")                                                                \
    X(MIDDLE_MEDIAN, "middle_median",                                                                        \
      "overlap of the score's K nearest to its median with the reference's nearest to 0.5")                  \
    X(MIDDLE_RANK, "middle_rank",                                                                            \
      "overlap of the score's K at the rank where the reference has 0.5 with the reference's nearest to "    \
      "0.5")                                                                                                 \
    X(BOTTOM, "bottom", "overlap of the K smallest")                                                         \
    X(TOP_MEAN, "top_mean", "mean reference of the score's K largest")                                       \
    X(MIDDLE_MEDIAN_MEAN, "middle_median_mean", "mean reference of its K nearest to its median")             \
    X(MIDDLE_RANK_MEAN, "middle_rank_mean", "mean reference of its K at the rank of 0.5")                    \
    X(BOTTOM_MEAN, "bottom_mean", "mean reference of its K smallest")                                        \
    X(NOISE_AUC, "noise_auc", "area under the ROC curve for replaced labels")                                \
    X(NOISE_PRECISION, "noise_precision", "average precision for replaced labels")

typedef enum lo_compared {
#define LO_COMPARED_ENUM(name, text, help) LO_COMPARED_##name,
    LO_COMPARED_LIST(LO_COMPARED_ENUM)
#undef LO_COMPARED_ENUM
        LO_COMPARED_COUNT
} lo_compared;

const char *lo_compared_name(lo_compared statistic);
const char *lo_compared_help(lo_compared statistic);

typedef struct lo_comparison {
    int scores;
    int64_t n, group;
    lo_pairing *reference; /* [scores]: with the reference */
    lo_pairing *noise;     /* [scores]: with 1 for replaced labels, 0 for the others */
    const lo_tick *tick;   /* or NULL */
} lo_comparison;

/* Of scores [scores][n], turned so that large means more memorized, with reference [n], memorization say;
 * noisy [n]: not 0 where the label was replaced. group: K of the overlaps. An example with a NaN on a side
 * has no part in that score's statistics. Memory: 20 numbers an example and score. Errors: LO_INTERNAL
 * without memory. The caller destroys it; it keeps no pointer into what it was given but tick. */
lo_status lo_comparison_create(const double *const *score, int scores, const double *reference,
                               const uint8_t *noisy, int64_t n, int64_t group, const lo_tick *tick,
                               lo_comparison *out, lo_error *err);
void lo_comparison_destroy(lo_comparison *comparison);

/* An lo_statistics of score/bootstrap.h, self being the comparison: value [scores, LO_COMPARED_COUNT] of the
 * sample by weight. Errors: what the tick returns. */
lo_status lo_comparison_compute(void *self, const int32_t *weight, double *value, lo_error *err);

#endif
