/* What the report shows of the study of scores. */
#ifndef LEAVEOUT_JOBS_SCALING_SHOWN_H
#define LEAVEOUT_JOBS_SCALING_SHOWN_H

#include "base/status.h"
#include "jobs/study/study.h"
#include "report/scaling.h"

/* Of scaling.h5, or nothing where the job does not ask for it or it is not there. Local. Errors: as
 * lo_scaling_table_read. Free it in any case. */
lo_status lo_scaling_show(const lo_study *study, lo_report_scaling *out, lo_error *err);
void lo_scaling_shown_free(lo_report_scaling *scaling);

#endif
