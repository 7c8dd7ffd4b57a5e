#include "attribute/kernel.h"

#include "attribute/linear.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void square_norms(const double *rows, int64_t count, int64_t size, int64_t stride, double *norm)
{
    for (int64_t i = 0; i < count; i++) {
        norm[i] = 0;
        for (int64_t f = 0; f < size; f++) {
            norm[i] += rows[i * stride + f] * rows[i * stride + f];
        }
    }
}

lo_status lo_kernel_tile(const lo_kernel *kernel, const double *a, int64_t m, const double *b, int64_t n,
                         int64_t size, int64_t stride, double *out, int64_t out_stride, lo_error *err)
{
    if (m == 0 || n == 0) {
        return LO_OK;
    }
    lo_product_rows(m, n, size, 1, a, stride, b, stride, 0, out, out_stride);
    if (!kernel->rbf) {
        return LO_OK;
    }
    double *norm = malloc((size_t)(m + n) * sizeof(*norm));
    if (norm == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for a tile of the kernel");
    }
    square_norms(a, m, size, stride, norm);
    square_norms(b, n, size, stride, norm + m);
    for (int64_t i = 0; i < m; i++) {
        double *row = out + i * out_stride;
        for (int64_t j = 0; j < n; j++) {
            row[j] = exp(-kernel->gamma * fmax(norm[i] + norm[m + j] - 2 * row[j], 0));
        }
    }
    free(norm);
    return LO_OK;
}

void lo_kernel_alpha(const double *inverse, int64_t count, int64_t n, const int32_t *label, int32_t classes,
                     double *alpha)
{
    memset(alpha, 0, (size_t)(count * classes) * sizeof(*alpha));
    for (int64_t i = 0; i < count; i++) {
        for (int64_t j = 0; j < n; j++) {
            alpha[i * classes + label[j]] += inverse[i * n + j];
        }
    }
}

lo_status lo_kernel_leave_group(double *block, const double *alpha, int64_t count, int32_t classes,
                                double *shift, lo_error *err)
{
    double *columns = malloc((size_t)(count * classes) * sizeof(*columns));
    if (columns == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory to leave out a group of %lld", (long long)count);
    }
    lo_linear_one_thread();
    const bool definite = lo_cholesky(block, count) && !lo_cholesky_is_singular(block, count);
    for (int64_t i = 0; i < count; i++) {
        for (int32_t c = 0; c < classes; c++) {
            columns[c * count + i] = alpha[i * classes + c];
        }
    }
    if (definite) {
        lo_cholesky_solve(block, count, columns, classes);
    }
    for (int64_t i = 0; i < count; i++) {
        for (int32_t c = 0; c < classes; c++) {
            shift[i * classes + c] = columns[c * count + i];
        }
    }
    free(columns);
    return definite
               ? LO_OK
               : lo_fail(err, LO_DATA, "without a group of %lld examples kernel ridge regression is singular",
                         (long long)count);
}
