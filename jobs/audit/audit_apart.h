/* How far the figures of each method are from those of the oracles, all seeds against all oracles. */
#ifndef LEAVEOUT_JOBS_AUDIT_APART_H
#define LEAVEOUT_JOBS_AUDIT_APART_H

#include "jobs/audit/audit_work.h"

/* Local. Fills `apart` of all figures from those of all rows; a run shares its original with no oracle, so
 * nothing is paired, and numbers of runs and oracles do not matter.
 *
 * - What is a mean over oracles (distances, ToW, gaps, deltas): lo_apart_in_pairs of the distances
 * themselves.
 * - What a model has alone: Welch's interval, lo_welch.
 * - u_lira: from its interval and that of its ceiling, lo_apart_by_bounds; klom and forgetting_quality have
 *   theirs from lo_compare_equal_numbers.
 *
 * Errors: LO_INTERNAL without memory. */
lo_status lo_audit_tell_apart(lo_audit *a, lo_error *err);

/* One of LO_AUDIT_DELTA_...: how far an oracle's accuracy is above a model's; NaN: there is no such set. */
double lo_audit_delta(const lo_audited *model, const lo_audited *oracle, int number);

#endif
