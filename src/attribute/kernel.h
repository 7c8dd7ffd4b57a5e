/* Kernel ridge regression by tiles: the part that one process computes from its rows of the inverse.
 *
 * Dual of least squares with a ridge: C = (K + penalty I)^-1, alpha = C Y [n, classes], Y the labels' one-hot
 * coding; no intercept. A model says, of an example with kernel values k [n] to the training examples, k
 * alpha. Without example i it says k alpha - (k . C_i) alpha_i / C_ii, on itself y_i - alpha_i / C_ii. S.
 * Sundararajan and S. S. Keerthi, "Predictive approaches for choosing hyperparameters in Gaussian processes",
 * Neural Computation 13:1103 (2001). */
#ifndef LEAVEOUT_ATTRIBUTE_KERNEL_H
#define LEAVEOUT_ATTRIBUTE_KERNEL_H

#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct lo_kernel {
    bool rbf;     /* exp(-gamma |x - y|^2), else x . y */
    double gamma; /* above 0 */
} lo_kernel;

/* out [m, n], rows out_stride apart: the kernel of the rows of a [m, size] and of b [n, size], which lie
 * `stride` apart. Cost: m n size multiply-adds. Errors: LO_INTERNAL without memory. */
lo_status lo_kernel_tile(const lo_kernel *kernel, const double *a, int64_t m, const double *b, int64_t n,
                         int64_t size, int64_t stride, double *out, int64_t out_stride, lo_error *err);

/* alpha [count, classes] of the examples whose rows of C, [count, n], are given. label [n]. */
void lo_kernel_alpha(const double *inverse, int64_t count, int64_t n, const int32_t *label, int32_t classes,
                     double *alpha);

/* What leaving out a group changes: shift [count, classes] = C_SS^-1 alpha_S; a model without it says
 * k alpha - sum over the group of (k . C_i) shift_i. block [count, count] is C_SS, lost. Errors: LO_DATA when
 * it is singular. */
lo_status lo_kernel_leave_group(double *block, const double *alpha, int64_t count, int32_t classes,
                                double *shift, lo_error *err);

#endif
