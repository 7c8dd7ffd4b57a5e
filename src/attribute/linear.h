/* Dense linear algebra in double by BLAS and LAPACK, one thread: matrices are row-major and square ones
 * symmetric. */
#ifndef LEAVEOUT_ATTRIBUTE_LINEAR_H
#define LEAVEOUT_ATTRIBUTE_LINEAR_H

#include "base/status.h"
#include "base/tick.h"

#include <stdbool.h>
#include <stdint.h>

/* Keeps the BLAS at one thread, whatever the environment says: ranks are the parallelism, and bits depend on
 * the number of threads. Called by whoever enters this folder; cheap. */
void lo_linear_one_thread(void);

/* out [m, n] = scale * a [m, k] b' [n, k] + keep * out. Rows of a, b and out lie a_stride, b_stride,
 * out_stride apart. */
void lo_product_rows(int64_t m, int64_t n, int64_t k, double scale, const double *a, int64_t a_stride,
                     const double *b, int64_t b_stride, double keep, double *out, int64_t out_stride);

/* out [m, n] = scale * a' [k, m] b [k, n] + keep * out: a sum over k examples. */
void lo_product_sum(int64_t m, int64_t n, int64_t k, double scale, const double *a, int64_t a_stride,
                    const double *b, int64_t b_stride, double keep, double *out, int64_t out_stride);

/* The lower triangle of out [d, d] += scale * rows' rows over `count` rows [count, d]. */
void lo_gram_add(const double *rows, int64_t count, int64_t d, double scale, double *out);

/* The same of the upper triangle. */
void lo_gram_add_upper(const double *rows, int64_t count, int64_t d, double scale, double *out);

/* Copies the lower triangle of a [d, d] to the upper one. */
void lo_symmetrize(double *a, int64_t d);

/* a = L L', from and to the lower triangle of a [d, d]. False where a is not positive definite (to working
 * precision): a is lost then. */
bool lo_cholesky(double *a, int64_t d);

/* Is A, of which this is the factor, singular to working precision? So it is when what a row adds to those
 * before it is below 1e-12 of its own size, whatever the rows' scales. */
bool lo_cholesky_is_singular(const double *factor, int64_t d);

/* Solves A x = b with the factor for `count` right-hand sides, the rows of b [count, d], in place. */
void lo_cholesky_solve(const double *factor, int64_t d, double *b, int64_t count);

/* The same, or (`half`) L x = b alone, with a factor whose columns lie one behind the other, as ScaLAPACK has
 * it. */
void lo_factor_solve(const double *columns, int64_t d, bool half, double *b, int64_t count);

/* The inverse of A, both triangles, in the factor's place. */
void lo_cholesky_invert(double *factor, int64_t d);

/* How many of a symmetric matrix's eigenvalues [count], ascending, are below 0 by more than rounding. */
int64_t lo_negative_eigenvalues(const double *value, int64_t count);

/* Solves a x = b for a general a [d, d], lost, and one right-hand side, in place. pivot [d]. False where a is
 * singular. */
bool lo_solve(double *a, int64_t d, double *b, int32_t *pivot);

#endif
