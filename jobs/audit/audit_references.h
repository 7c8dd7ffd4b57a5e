/* Membership attacks on a run with reference models: LiRA and RMIA. */
#ifndef LEAVEOUT_JOBS_AUDIT_REFERENCES_H
#define LEAVEOUT_JOBS_AUDIT_REFERENCES_H

#include "jobs/audit/audit_work.h"

/* Local. lira and rmia of row r, whose model is m; the set of its oracles is at hand. Errors: LO_INTERNAL,
 * those of the tick. */
lo_status lo_audit_by_references(lo_audit *a, int64_t r, const lo_audit_model *m, lo_error *err);

#endif
