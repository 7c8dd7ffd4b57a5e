/* Tables of the audit of one forget set. Private to src/report. */
#ifndef LEAVEOUT_REPORT_AUDIT_TABLES_H
#define LEAVEOUT_REPORT_AUDIT_TABLES_H

#include "report/audit.h"

#include <stdint.h>
#include <stdio.h>

/* A table's first cell in the line of rows[r], of rows [count]: its short name; where another has the same,
 * the settings too. */
void lo_audited_write_name(FILE *out, const lo_report_audited *rows, int64_t count, int64_t r);

/* A column's head: a name that may be broken at its underscores and nowhere else. */
void lo_audited_write_head(FILE *out, const char *name);

/* All numbers of rows [count] of one forget set: tables by subject of at most seven columns, the numbers that
 * no row has in one line with the reason, and what u_lira rests on. */
void lo_report_write_audit_tables(FILE *out, const lo_report_audit *audit, const lo_report_audited *rows,
                                  int64_t count);

#endif
