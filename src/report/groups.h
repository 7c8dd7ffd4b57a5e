/* The audit by group of a forget set: a panel each for the examples of low, middle and high score. */
#ifndef LEAVEOUT_REPORT_GROUPS_H
#define LEAVEOUT_REPORT_GROUPS_H

#include "report/audit.h"

/* Rows [count] of one forget set; nothing where it has no groups. */
void lo_report_write_groups(FILE *out, const lo_report_audit *audit, const lo_report_audited *rows,
                            int64_t count);

#endif
