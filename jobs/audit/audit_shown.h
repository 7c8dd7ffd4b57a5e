/* What the report shows of privacy.h5 and audit.h5. */
#ifndef LEAVEOUT_JOBS_AUDIT_SHOWN_H
#define LEAVEOUT_JOBS_AUDIT_SHOWN_H

#include "base/status.h"
#include "report/audit.h"

/* Read STUDY/privacy.h5, and STUDY/audit.h5 with evaluation.h5. Nothing where there are no such files. The
 * caller frees audit->row. Errors: LO_IO, LO_DATA, LO_INTERNAL. */
lo_status lo_privacy_show(const char *study, lo_report_privacy *privacy, lo_error *err);
lo_status lo_audit_show(const char *study, lo_report_audit *audit, lo_error *err);
void lo_audit_shown_free(lo_report_audit *audit);

#endif
