/* How well scores tell members from others: the ROC curve and what is read off it. A score is large for
 * members. */
#ifndef LEAVEOUT_AUDIT_ROC_H
#define LEAVEOUT_AUDIT_ROC_H

#include "audit/interval.h"
#include "base/status.h"

#include <stdint.h>

/* The share of members found where at most a given share of others is taken for one. */
typedef struct lo_rate {
    double at;           /* false positive rate asked for */
    lo_bounded tpr;      /* Clopper and Pearson's interval, for the threshold as it is */
    double fpr;          /* false positive rate there, at most `at` */
    double threshold;    /* member: score > threshold */
    const char *refused; /* NULL, or why there is no rate (tpr is NaN): static text */
} lo_rate;

enum { LO_ROC_RATES = 2 }; /* at 1 % and at 0.1 % */

typedef struct lo_roc {
    int64_t members, others; /* with a score */
    int64_t left_out;        /* NaN scores, of either kind */
    lo_bounded auc;          /* ties count one half */
    double accuracy;         /* the best balanced accuracy, (tpr + 1 - fpr) / 2, over thresholds */
    lo_rate rate[LO_ROC_RATES];
} lo_roc;

/* From scores of members and of others; neither is changed, and their order changes nothing.
 *
 * The interval of the AUC is the wider, on each side, of DeLong's (Biometrics 44:837, 1988; +-1.96 standard
 * errors) and of Newcombe's method 5 (Stat. Med. 25:559, 2006), which is none of width 0 where the sides are
 * apart. Both take scores to be independent: where a model or an example has several, make a mean over models
 * (lo_student_mean) beside it. Without scores on both sides all is NaN. A rate needs 1 / at others: with
 * fewer it is refused. O(n log n). Errors: LO_INTERNAL without memory. */
lo_status lo_roc_make(const double *member, int64_t members, const double *other, int64_t others, lo_roc *out,
                      lo_error *err);

/* The curve for a figure: tpr [count] at false positive rates fpr [count], as lo_rate.tpr has it; NaN where
 * fpr[i] * others < 1 and fpr[i] > 0. Errors: the same. */
lo_status lo_roc_curve(const double *member, int64_t members, const double *other, int64_t others,
                       const double *fpr, int64_t count, double *tpr, lo_error *err);

/* What an attack with these rates proves of (epsilon, delta)-differential privacy: the largest epsilon that
 * it refutes, max(log((1 - delta - fpr) / fnr), log((1 - delta - fnr) / fpr), 0) (Kairouz, Oh and Viswanath,
 * ICML 2015); infinite where a rate is 0 (with the upper bounds of rates from few scores it is not). */
double lo_epsilon(double fpr, double fnr, double delta);

#endif
