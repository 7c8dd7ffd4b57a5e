/* The numbers that the report computes itself: order statistics of a score and how well it finds relabelled
 * examples. */
#ifndef LEAVEOUT_REPORT_SUMMARY_H
#define LEAVEOUT_REPORT_SUMMARY_H

#include "base/status.h"

#include <stdint.h>

/* Quantiles of the defined (not NaN) values, by linear interpolation between order statistics (type 7 of
 * Hyndman and Fan 1996, the default of R and NumPy). All NaN where there are none. */
typedef struct lo_summary {
    int64_t count;                   /* values that are not NaN */
    double mean, standard_deviation; /* of the sample, divisor count - 1; NaN below two values */
    double minimum, q05, q25, median, q75, q95, maximum;
} lo_summary;

/* Of value [n]; NULL counts as no values. Errors: LO_INTERNAL without memory. */
lo_status lo_summarize(const float *value, int64_t n, lo_summary *out, lo_error *err);

/* Area under the ROC curve of `value` [n] times orientation (+1, -1) as a detector of the examples with
 * label[i] != label_true[i]: the chance that a relabelled example scores above a clean one, ties counting
 * half. Its standard error is DeLong's (DeLong, DeLong, Clarke-Pearson 1988). */
typedef struct lo_detection {
    int64_t relabelled, clean; /* with defined values */
    double auc;                /* NaN unless there are both */
    double standard_error;     /* NaN unless there are two of both, or where it would be zero */
    double found; /* share of relabelled examples among the `relabelled` highest, ties in proportion */
} lo_detection;

/* Errors: LO_INTERNAL without memory. */
lo_status lo_detect(const float *value, int orientation, const int32_t *label, const int32_t *label_true,
                    int64_t n, lo_detection *out, lo_error *err);

#endif
