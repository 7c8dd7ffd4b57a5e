/* The audit of one run: a model on a forget set. */
#ifndef LEAVEOUT_JOBS_AUDIT_RUN_H
#define LEAVEOUT_JOBS_AUDIT_RUN_H

#include "jobs/audit/audit_work.h"

/* Local. The figures of row r, which has a model, but those that all seeds have together or that need other
 * rows, its accuracies and weight distances by layer. Errors: LO_IO, LO_DATA, LO_INTERNAL, those
 * of the tick. */
lo_status lo_audit_run(lo_audit *a, int64_t r, lo_error *err);

/* Local. The layers of the first model that is kept: the same on every rank. */
lo_status lo_audit_name_layers(lo_audit *a, lo_error *err);

#endif
