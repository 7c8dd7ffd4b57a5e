/* The audit of unlearning: every row of evaluation.h5, a model on a forget set, by the metrics that the job
 * lists. */
#ifndef LEAVEOUT_JOBS_AUDIT_RUNS_H
#define LEAVEOUT_JOBS_AUDIT_RUNS_H

#include "base/status.h"
#include "jobs/study/study.h"

/* Collective. audit.h5 from outputs.h5, evaluation.h5, forget.h5 and, where there is one, ensemble.h5: rows
 * are tasks of the farm, resumed from the journals. Does nothing where it is there and was made from the
 * same, or nothing was unlearned. */
lo_status lo_audit_runs(lo_study *study, lo_error *err);

#endif
