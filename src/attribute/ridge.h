/* Least squares with a ridge: what a model fitted without some of its examples would say, in closed form.
 *
 *   minimize over W [classes, d]   sum_i |y_i - W x_i|^2 / 2 + penalty / 2 |W but for the intercept|^2
 *
 * y_i is the label's one-hot coding. Leaving examples out drops their terms and changes nothing else. */
#ifndef LEAVEOUT_ATTRIBUTE_RIDGE_H
#define LEAVEOUT_ATTRIBUTE_RIDGE_H

#include "attribute/sums.h"
#include "base/status.h"
#include "base/tick.h"

#include <stdint.h>

typedef struct lo_ridge {
    int64_t d; /* numbers in a row, of which the last is 1 */
    int32_t classes;
    double *gram;   /* [d, d], lower triangle: X'X + the penalty's diagonal */
    double *cross;  /* [classes, d]: Y'X */
    double *factor; /* of gram */
    double *weight; /* [classes, d] */
} lo_ridge;

/* Examples of this process: rows [count, d], the last number 1, and labels. Over all processes there are
 * `total`, and every process but the last has a multiple of LO_ATTRIBUTE_GRAIN: then the bits do not depend
 * on how many there are. Errors: LO_USAGE when the matrix is singular (which a penalty above 0 prevents);
 * LO_INTERNAL without memory; what the reduction or the tick returns. Destroy it in any case. Cost: total d^2
 * + d^3 / 3 multiply-adds. */
lo_status lo_ridge_fit(const double *rows, const int32_t *label, int64_t count, int64_t total, int64_t d,
                       int32_t classes, double penalty, const lo_reduction *reduction, const lo_tick *tick,
                       lo_ridge *out, lo_error *err);
void lo_ridge_destroy(lo_ridge *ridge);

/* Each of `count` examples left out alone: the model without it says, of a row x, W x - (vector_i . x)
 * shift_i. vector [count, d] = A^-1 x_i,   shift [count, classes] = (y_i - W x_i) / (1 - h_i),   h_i = x_i .
 * vector_i so on itself it says y_i - shift_i. shift is NaN where the model without the example is not
 * determined (h_i = 1). R. D. Cook and S. Weisberg, "Residuals and influence in regression" (1982), 2.2.
 * Cost: d^2 a row. */
void lo_ridge_leave_one(const lo_ridge *ridge, const double *rows, const int32_t *label, int64_t count,
                        double *vector, double *shift);

/* The weights [classes, d] of the model without the group of rows [count, d]:
 *   W - (vector' (I - H)^-1 residual)',   H = rows vector',
 * or, of a group larger than d, from the matrix without it, which is the same. Errors: LO_DATA when the model
 * without the group is not determined; LO_INTERNAL. Cost: count d (count + d) + min(count, d)^3 / 3. */
lo_status lo_ridge_leave_group(const lo_ridge *ridge, const double *rows, const int32_t *label, int64_t count,
                               double *weight, lo_error *err);

#endif
