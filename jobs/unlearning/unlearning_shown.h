/* What the report shows of evaluation.h5. */
#ifndef LEAVEOUT_JOBS_UNLEARNING_SHOWN_H
#define LEAVEOUT_JOBS_UNLEARNING_SHOWN_H

#include "base/status.h"
#include "report/unlearning.h"

#include <stdint.h>

/* Reads STUDY/evaluation.h5: a row for each method on each forget set, means over seeds. Nothing where there
 * is no such file. The caller frees *rows. Errors: LO_IO, LO_DATA, LO_INTERNAL. */
lo_status lo_unlearning_show(const char *study, lo_report_unlearned **rows, int64_t *count, lo_error *err);

#endif
