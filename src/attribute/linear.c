#include "attribute/linear.h"

#include <cblas.h>
#include <math.h>
#include <stdlib.h>

/* LAPACK, in Fortran's convention: column-major, everything by reference. A symmetric row-major matrix is the
 * same in both, with the triangles exchanged. */
void dpotrf_(const char *triangle, const int *n, double *a, const int *stride, int *info);
void dpotrs_(const char *triangle, const int *n, const int *count, const double *a, const int *stride,
             double *b, const int *b_stride, int *info);
void dpotri_(const char *triangle, const int *n, double *a, const int *stride, int *info);
void dgesv_(const int *n, const int *count, double *a, const int *stride, int *pivot, double *b,
            const int *b_stride, int *info);

/* OpenBLAS's; another BLAS may not have it. */
extern void openblas_set_num_threads(int threads) __attribute__((weak));

void lo_linear_one_thread(void)
{
    if (openblas_set_num_threads != NULL) {
        openblas_set_num_threads(1);
    }
}

void lo_product_rows(int64_t m, int64_t n, int64_t k, double scale, const double *a, int64_t a_stride,
                     const double *b, int64_t b_stride, double keep, double *out, int64_t out_stride)
{
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)m, (int)n, (int)k, scale, a, (int)a_stride, b,
                (int)b_stride, keep, out, (int)out_stride);
}

void lo_product_sum(int64_t m, int64_t n, int64_t k, double scale, const double *a, int64_t a_stride,
                    const double *b, int64_t b_stride, double keep, double *out, int64_t out_stride)
{
    cblas_dgemm(CblasRowMajor, CblasTrans, CblasNoTrans, (int)m, (int)n, (int)k, scale, a, (int)a_stride, b,
                (int)b_stride, keep, out, (int)out_stride);
}

void lo_gram_add(const double *rows, int64_t count, int64_t d, double scale, double *out)
{
    cblas_dsyrk(CblasRowMajor, CblasLower, CblasTrans, (int)d, (int)count, scale, rows, (int)d, 1, out,
                (int)d);
}

void lo_gram_add_upper(const double *rows, int64_t count, int64_t d, double scale, double *out)
{
    cblas_dsyrk(CblasRowMajor, CblasUpper, CblasTrans, (int)d, (int)count, scale, rows, (int)d, 1, out,
                (int)d);
}

void lo_symmetrize(double *a, int64_t d)
{
    enum { TILE = 32 };
    for (int64_t i = 0; i < d; i += TILE) {
        for (int64_t j = 0; j <= i; j += TILE) {
            for (int64_t r = i; r < i + TILE && r < d; r++) {
                for (int64_t c = j; c < j + TILE && c < r; c++) {
                    a[c * d + r] = a[r * d + c];
                }
            }
        }
    }
}

bool lo_cholesky(double *a, int64_t d)
{
    const int n = (int)d;
    int info = 0;
    dpotrf_("U", &n, a, &n, &info);
    return info == 0;
}

bool lo_cholesky_is_singular(const double *factor, int64_t d)
{
    for (int64_t i = 0; i < d; i++) {
        const double *row = factor + i * d;
        double size = 0;
        for (int64_t j = 0; j <= i; j++) {
            size += row[j] * row[j];
        }
        if (!(row[i] * row[i] > 1e-12 * size)) {
            return true;
        }
    }
    return false;
}

void lo_factor_solve(const double *columns, int64_t d, bool half, double *b, int64_t count)
{
    const int n = (int)d, sides = (int)count;
    if (count > 0) {
        cblas_dtrsm(CblasColMajor, CblasLeft, CblasLower, CblasNoTrans, CblasNonUnit, n, sides, 1, columns, n,
                    b, n);
        if (!half) {
            cblas_dtrsm(CblasColMajor, CblasLeft, CblasLower, CblasTrans, CblasNonUnit, n, sides, 1, columns,
                        n, b, n);
        }
    }
}

void lo_cholesky_solve(const double *factor, int64_t d, double *b, int64_t count)
{
    const int n = (int)d;
    const int columns = (int)count;
    int info = 0;
    if (count > 0) {
        dpotrs_("U", &n, &columns, factor, &n, b, &n, &info);
    }
}

void lo_cholesky_invert(double *factor, int64_t d)
{
    const int n = (int)d;
    int info = 0;
    dpotri_("U", &n, factor, &n, &info);
    lo_symmetrize(factor, d);
}

int64_t lo_negative_eigenvalues(const double *value, int64_t count)
{
    const double largest = count > 0 ? fmax(fabs(value[0]), fabs(value[count - 1])) : 0;
    int64_t negative = 0;
    while (negative < count && value[negative] < -(double)count * 2.3e-16 * largest) {
        negative++;
    }
    return negative;
}

bool lo_solve(double *a, int64_t d, double *b, int32_t *pivot)
{
    const int n = (int)d;
    const int one = 1;
    int info = 0;
    for (int64_t r = 0; r < d; r++) {
        for (int64_t c = 0; c < r; c++) {
            const double swap = a[r * d + c];
            a[r * d + c] = a[c * d + r];
            a[c * d + r] = swap;
        }
    }
    dgesv_(&n, &one, a, &n, pivot, b, &n, &info);
    return info == 0;
}
