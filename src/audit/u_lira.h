/* U-LiRA (Hayes et al., "Inexact unlearning needs more careful evaluations", 2024; Kurmanji et al., NeurIPS
 * 2023): LiRA between two populations of models. In: models that were trained on the examples and made to
 * forget them. Out: models that never saw them; matched, where they were made to forget other examples by the
 * same method, so that the mark which the method leaves on every model tells nothing. */
#ifndef LEAVEOUT_AUDIT_U_LIRA_H
#define LEAVEOUT_AUDIT_U_LIRA_H

#include "audit/interval.h"
#include "audit/roc.h"
#include "base/status.h"
#include "base/tick.h"

#include <stdint.h>

/* Margins of one side: a view. */
typedef struct lo_population {
    const float *phi; /* [models, n] */
    int64_t models;
} lo_population;

enum { LO_U_LIRA_FEWEST = 3 };

/* AUC of each example over pairs of a model in and one out, both taken out of the sides that judge them
 * (lo_lira_vulnerability), and of all scores together, where the in model and the out model of one number are
 * taken out together. So what cannot be told has AUC 0.5 (of all scores about 0.1 / n less, since
 * those of one example meet across numbers), which with one alone taken out it has not.
 *
 * Intervals, 95 %, are the widest, on each side, of those that take only models, or only examples, to be
 * independent (Student's of the AUC's components and of shares found, summed by model or example; Obuchowski,
 * Biometrics 53:567, 1997); of all scores also of lo_roc's, which takes scores to be. A model that is off on
 * all examples alike is one draw, however many examples there are. */
typedef struct lo_u_lira {
    int64_t models;                                     /* of each side that were used */
    int64_t left_out;                                   /* with a margin that is NaN, of both sides */
    lo_bounded example_auc, example_rate[LO_ROC_RATES]; /* means over examples */
    lo_bounded auc, rate[LO_ROC_RATES];                 /* of all scores together */
    const char *example_refused[LO_ROC_RATES], *refused[LO_ROC_RATES]; /* NULL, or why there is no rate */
} lo_u_lira;

/* The first models of each side, as many of one as of the other, NaN left out; by_example [n] (may be NULL):
 * each example's AUC. With fewer than LO_LIRA_FEW a side, each side's deviation is one for all examples.
 * O(n models squared), and memory for 4 n models scores. Errors: LO_DATA for fewer than LO_U_LIRA_FEWEST of a
 * side; LO_INTERNAL without memory; what tick returned. */
lo_status lo_u_lira_make(const lo_population *in, const lo_population *out, int64_t n, lo_u_lira *result,
                         double *by_example, const lo_tick *tick, lo_error *err);

#endif
