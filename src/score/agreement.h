/* How well a score agrees with a reference, by more than one number, of a sample or of any resample of it.
 *
 * A resample is given by how often each example is in it: weight [n], whole numbers from 0; NULL is the
 * sample itself. Orders are made once, so that each statistic of each resample takes O(n): what a bootstrap
 * of many of them needs (score/bootstrap.h). A statistic of a resample is that of a sample in which each
 * example stands as often as its weight says.
 *
 * Ties. Ranks are midranks. A group of K examples whose edge cuts a tie holds the same share of each example
 * of that tie: what a random choice among them has on average. So nothing depends on the order of the
 * examples, and two scores that are tied in different places get no credit for it; a reference of which 1,000
 * examples share the lowest value does not agree with itself on who are the lowest 300. */
#ifndef LEAVEOUT_SCORE_AGREEMENT_H
#define LEAVEOUT_SCORE_AGREEMENT_H

#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>

/* Examples that have both, a score x and a reference y; the others (NaN on a side) are left out. */
typedef struct lo_pairing {
    int64_t n, used;
    int64_t *example;     /* [used] which of the n, ascending */
    double *x, *y;        /* [used] */
    int64_t *by_x, *by_y; /* [used] numbers below `used`, by ascending x, y; ties by number */
    double *room;         /* [3 used], and */
    int64_t *order;       /* [used], for the functions below: a pairing serves one at a time */
} lo_pairing;

/* Turn a score with orientation -1 around first. Errors: LO_INTERNAL without memory. The caller destroys it.
 */
lo_status lo_pairing_create(const double *x, const double *y, int64_t n, lo_pairing *out, lo_error *err);
void lo_pairing_destroy(lo_pairing *pairing);

/* Pearson's correlation of x and y [count], of which element i counts weight[example[i]] times (weight NULL:
 * once). Elements with a NaN are passed over. */
double lo_correlation(const double *x, const double *y, int64_t count, const int64_t *example,
                      const int32_t *weight);

/* All of these are NaN where they are undefined: a constant side; no example of either kind; K larger than
 * the sample. */
double lo_paired_pearson(const lo_pairing *pairing, const int32_t *weight);
double lo_paired_spearman(lo_pairing *pairing, const int32_t *weight);

/* Somers' D of x given y (R. H. Somers 1962, Am. Sociol. Rev. 27:799): of the pairs of examples that y tells
 * apart, the share that x orders the same way less the share that it orders the other way. Pairs that are
 * tied in y do not count, so a reference with ties does not keep it below 1; pairs tied in x alone count
 * as neither. For two values of y it is twice the area under the ROC curve less one. All sums are whole
 * numbers. O(n log n). */
double lo_paired_somers(lo_pairing *pairing, const int32_t *weight);

/* Area under the ROC curve of x for y above the threshold: memorization above 0.5; y = 1 for planted label
 * noise and 0 otherwise, above 0.5. See lo_auc. */
double lo_paired_auc(const lo_pairing *pairing, double threshold, const int32_t *weight);

/* Average precision of x for y above the threshold: the sum over the distinct values of x, from the largest
 * on, of the gain in recall times the precision when all down to that value are taken. */
double lo_paired_precision(const lo_pairing *pairing, double threshold, const int32_t *weight);

/* Groups of K examples. */
typedef enum lo_group_kind {
    LO_GROUP_TOP,
    LO_GROUP_BOTTOM,
    LO_GROUP_NEAR_MEDIAN, /* the least distance from the median (the mean of the middle two of an even
                             number) */
    LO_GROUP_NEAR_VALUE,  /* from `at` */
    LO_GROUP_AT_QUANTILE  /* the K positions in ascending order around the share `at` of the sample, moved
                             inwards where they would leave it */
} lo_group_kind;

typedef struct lo_group {
    lo_group_kind kind;
    int64_t size;
    double at;
} lo_group;

typedef enum lo_side { LO_SIDE_X, LO_SIDE_Y } lo_side;

/* The share of the sample below a value of a side, those equal to it counting one half: with
 * LO_GROUP_AT_QUANTILE a proxy's group stands where the reference's does ("matched rank"). */
double lo_paired_quantile(const lo_pairing *pairing, lo_side side, double value, const int32_t *weight);

/* share [used]: how much of each copy of each example is in the group; with their weights they add up to
 * group.size. false, and nothing written, where the group is larger than the sample or has no size. */
bool lo_paired_group(lo_pairing *pairing, lo_side side, lo_group group, const int32_t *weight, double *share);

typedef struct lo_overlap {
    double share; /* of K: what the groups have in common, ties being broken on each side by itself */
    double mean;  /* of the reference y in the group of x: what a user of the score gets */
} lo_overlap;
lo_overlap lo_paired_overlap(lo_pairing *pairing, lo_group of_x, lo_group of_y, const int32_t *weight);

#endif
