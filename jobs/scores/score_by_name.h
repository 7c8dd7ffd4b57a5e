/* Scores by name, wherever they are: what forget sets are selected by, and methods split them by.
 *
 *   NAME                scores.h5, /NAME/value
 *   attribution/METHOD  attribution.h5, /METHOD/self
 *   FILE.npy            numbers of the user's own, one for each training example in use */
#ifndef LEAVEOUT_JOBS_SCORE_BY_NAME_H
#define LEAVEOUT_JOBS_SCORE_BY_NAME_H

#include "base/job.h"
#include "base/status.h"

#include <stdint.h>

/* Does the job have a stage that computes it, or is the file there? Errors: LO_USAGE, LO_IO. */
lo_status lo_score_named_check(const lo_job *job, const char *name, lo_error *err);

/* *score [n], malloc'ed, larger: more memorized (scores of the other orientation change their sign); NaN
 * where an example has none. The caller frees it. study NULL: nothing was computed yet, and *score is NULL
 * but for a file. Errors: LO_IO; LO_DATA where it does not hold n numbers; LO_INTERNAL. */
lo_status lo_score_named_read(const char *study, const char *name, int64_t n, double **score, lo_error *err);

#endif
