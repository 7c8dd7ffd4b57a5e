/* What all seeds of a method give away together: U-LiRA, KLOM, forgetting quality. */
#ifndef LEAVEOUT_JOBS_AUDIT_POPULATIONS_H
#define LEAVEOUT_JOBS_AUDIT_POPULATIONS_H

#include "jobs/audit/audit_work.h"

/* Local. Figures of the first row r of a group, which stands for it: runs against oracles, oracles against
 * each other. Errors: LO_IO, LO_INTERNAL, those of the tick. */
lo_status lo_audit_population(lo_audit *a, int64_t r, lo_error *err);

#endif
