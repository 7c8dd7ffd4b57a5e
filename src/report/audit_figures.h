/* Figures of the audit of one forget set. Private to src/report. */
#ifndef LEAVEOUT_REPORT_AUDIT_FIGURES_H
#define LEAVEOUT_REPORT_AUDIT_FIGURES_H

#include "report/audit.h"

#include <stdint.h>
#include <stdio.h>

/* The short name of its method that figures and tables use. */
const char *lo_audited_name(const lo_report_audited *row);

/* Accuracy on the forget set against test accuracy of rows [count], as numbered points, with the names of the
 * numbers in the caption. Nothing where no row has both. */
void lo_report_draw_trade_off(FILE *out, const lo_report_audited *rows, int64_t count);

/* ROC curves of attack `curve` (0 .. LO_REPORT_CURVES-1) on rows [count] of one forget set: oracles,
 * originals, and the five methods whose AUC is nearest to the oracles'. Nothing where there are no curves. */
void lo_report_draw_curves(FILE *out, const lo_report_audit *audit, const lo_report_audited *rows,
                           int64_t count, int curve);

#endif
