/* One number for forgetting and utility together. All are functions of accuracies (in [0, 1]) of a model and
 * of an oracle, which never saw the forget set; NaN where one that is needed is NaN. A model that equals the
 * oracle has the value that is named best; oracles of other seeds do not: docs/methods.md, "ceilings". */
#ifndef LEAVEOUT_AUDIT_TOW_H
#define LEAVEOUT_AUDIT_TOW_H

#include "audit/accuracy.h"

#include <stdbool.h>

/* ToW, "tug of war" (Zhao et al., NeurIPS 2024): the product over forget, retain and test of
 * 1 - |accuracy - the oracle's|. In [0, 1], 1 is best. */
double lo_tow(lo_accuracies model, lo_accuracies oracle);

/* ToW-MIA: the same with a membership attack's efficacy on the forget set (mia_svc of confidence, in [0, 1])
 * in the place of the forget accuracy. */
double lo_tow_mia(lo_accuracies model, double model_mia, lo_accuracies oracle, double oracle_mia);

/* Average gap (Jia et al., NeurIPS 2023; Fan et al., ICLR 2024): the mean of |model - oracle| over UA, RA, TA
 * and the efficacy of the membership attack. In [0, 1], 0 is best; the papers print it in points (x 100). */
double lo_avg_gap(lo_accuracies model, double model_mia, lo_accuracies oracle, double oracle_mia);

/* Adaptive unlearning score (Cotogni et al., arXiv 2312.02052):
 *   (1 - (the original's test accuracy - the model's)) / (1 + |target - the model's forget accuracy|).
 * The target is what forgetting should leave: 0 where whole classes are forgotten, else the model's own test
 * accuracy. It knows no oracle: its best is above 1 where unlearning improves the test accuracy. */
double lo_aus(double original_test, lo_accuracies model, bool whole_class);

#endif
