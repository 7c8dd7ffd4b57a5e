/* Privacy of the ensemble's own models: how well membership attacks tell, of every training example, which of
 * its models were trained on it. Part of stage audit. */
#ifndef LEAVEOUT_JOBS_PRIVACY_H
#define LEAVEOUT_JOBS_PRIVACY_H

#include "base/status.h"
#include "jobs/study/study.h"

#include <stdint.h>

/* Collective. privacy.h5 from ensemble.h5, by those of lira and rmia that the job's audit.metrics lists:
 * training examples sharded over ranks. Does nothing where it is there and was made from the same, or there
 * is no ensemble. Errors: LO_USAGE where the ensemble cannot support an attack, with what would be needed. */
lo_status lo_audit_privacy(lo_study *study, lo_error *err);

/* Points of the ROC curves in the file: false positive rates 10^-5 ... 1, evenly in the logarithm. */
enum { LO_ROC_POINTS = 101 };
double lo_roc_point(int i);

#endif
