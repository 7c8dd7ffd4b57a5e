/* What scores of an attack say when every model has been its target: in all, and example by example. */
#ifndef LEAVEOUT_AUDIT_MEMBERS_H
#define LEAVEOUT_AUDIT_MEMBERS_H

#include "audit/references.h"
#include "audit/roc.h"
#include "base/status.h"
#include "base/tick.h"

#include <stdint.h>

/* score [references->n, models], NaN where there is none. */
typedef struct lo_members {
    int64_t models;                /* targets with scores of members and of others */
    lo_roc pooled;                 /* all scores together: its intervals take them to be independent */
    lo_bounded auc;                /* mean over targets, Student's interval */
    lo_bounded rate[LO_ROC_RATES]; /* the same of the share found at 1 % and 0.1 % false positives; NaN where
                                      refused */
    const char *refused[LO_ROC_RATES];
} lo_members;

/* Errors: LO_INTERNAL without memory; what tick returned. */
lo_status lo_members_in_all(const lo_references *references, const float *score, lo_members *out,
                            const lo_tick *tick, lo_error *err);

/* Example by example, the AUC of its scores over pairs of a model trained on it and one that was not: auc
 * [references->n]; NaN unless there are some of each. For rmia; for LiRA, whose scores of one example depend
 * on each other, lo_lira_vulnerability. Errors: the same. */
lo_status lo_members_by_example(const lo_references *references, const float *score, float *auc,
                                const lo_tick *tick, lo_error *err);

/* The ROC curve of all scores together, for a figure: lo_roc_curve. */
lo_status lo_members_curve(const lo_references *references, const float *score, const double *fpr,
                           int64_t count, double *tpr, lo_error *err);

/* The mask of U-LiRA (u_lira.h): models 0 .. models - 1 are in, as many others out, of all n examples. Errors:
 * LO_DATA for fewer than 3 models a side; LO_INTERNAL without memory. */
lo_status lo_u_lira_mask(int64_t models, int64_t n, lo_columns *mask, lo_error *err);

#endif
