/* What the report shows of attribution.h5. */
#ifndef LEAVEOUT_JOBS_ATTRIBUTION_SHOWN_H
#define LEAVEOUT_JOBS_ATTRIBUTION_SHOWN_H

#include "jobs/study/study.h"
#include "report/report.h"

/* Reads STUDY/attribution.h5: every method's line, and of the last one in the program's list the pictures.
 * Nothing where there is no such file. out's arrays are owned by the caller, who releases them in any case.
 * Errors: LO_DATA when the file is not of this study's data, LO_IO, LO_INTERNAL. */
lo_status lo_attribution_show(const lo_study *study, lo_report_attribution *out, lo_error *err);
void lo_attribution_shown_free(lo_report_attribution *shown);

#endif
