/* U-LiRA of all seeds of a method, against matched models where there are some (jobs/unlearning/
 * unlearning_matched.h), else against oracles as they are. */
#ifndef LEAVEOUT_JOBS_AUDIT_U_LIRA_H
#define LEAVEOUT_JOBS_AUDIT_U_LIRA_H

#include "audit/u_lira.h"
#include "jobs/audit/audit_work.h"

/* Local. The figures LO_AUDIT_U_LIRA to LO_AUDIT_U_LIRA_EXAMPLE_RATE_1000 of the first row r of a group: in
 * are the margins of its models on the forget set, never those of oracles, or of an oracle's row one half of
 * them and the other. Errors: LO_IO, LO_INTERNAL, those of the tick. */
lo_status lo_audit_u_lira(lo_audit *a, int64_t r, const lo_population *in, const lo_population *never,
                          lo_error *err);

/* "oracles", "matched", or "" for LO_AUDIT_AGAINST_NONE. */
const char *lo_audit_against(int64_t reference);

#endif
