#include "attribute/ridge.h"

#include "attribute/left_out.h"
#include "attribute/linear.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static double *room(int64_t count)
{
    return calloc((size_t)(count > 0 ? count : 1), sizeof(double));
}

/* X'X (its lower triangle) and Y'X of a block of rows, into block [d + classes, d]. */
static void add_block(const double *rows, const int32_t *label, int64_t count, const lo_ridge *r,
                      double *block)
{
    memset(block, 0, (size_t)((r->d + r->classes) * r->d) * sizeof(*block));
    lo_gram_add(rows, count, r->d, 1, block);
    for (int64_t i = 0; i < count; i++) {
        double *sum = block + (r->d + label[i]) * r->d;
        for (int64_t f = 0; f < r->d; f++) {
            sum[f] += rows[i * r->d + f];
        }
    }
}

static lo_status sum_up(lo_ridge *r, const double *rows, const int32_t *label, int64_t count, int64_t total,
                        const lo_reduction *reduction, const lo_tick *tick, lo_error *err)
{
    const int64_t items = (r->d + r->classes) * r->d;
    double largest = 1;
    for (int64_t i = 0; i < count * r->d; i++) {
        largest = fmax(largest, fabs(rows[i]));
    }
    if (reduction != NULL) {
        LO_TRY(reduction->largest(reduction->self, &largest, 1, err));
    }
    lo_sums sums = {0};
    double *block = room(items);
    lo_status status = block != NULL ? LO_OK : lo_fail(err, LO_INTERNAL, "no memory for sums of features");
    if (status == LO_OK) {
        status = lo_sums_create(items, LO_ATTRIBUTE_GRAIN * largest * largest, total / LO_ATTRIBUTE_GRAIN + 1,
                                &sums, err);
    }
    for (int64_t first = 0; first < count && status == LO_OK; first += LO_ATTRIBUTE_GRAIN) {
        const int64_t now = count - first < LO_ATTRIBUTE_GRAIN ? count - first : LO_ATTRIBUTE_GRAIN;
        add_block(rows + first * r->d, label + first, now, r, block);
        lo_sums_add(&sums, block);
        status = lo_tick_call(tick);
    }
    if (status == LO_OK) {
        status = lo_sums_end(&sums, reduction, block, err);
    }
    if (status == LO_OK) {
        memcpy(r->gram, block, (size_t)(r->d * r->d) * sizeof(*block));
        memcpy(r->cross, block + r->d * r->d, (size_t)(r->classes * r->d) * sizeof(*block));
    }
    lo_sums_destroy(&sums);
    free(block);
    return status;
}

lo_status lo_ridge_fit(const double *rows, const int32_t *label, int64_t count, int64_t total, int64_t d,
                       int32_t classes, double penalty, const lo_reduction *reduction, const lo_tick *tick,
                       lo_ridge *out, lo_error *err)
{
    *out = (lo_ridge){.d = d,
                      .classes = classes,
                      .gram = room(d * d),
                      .cross = room(d * classes),
                      .factor = room(d * d),
                      .weight = room(d * classes)};
    if (out->gram == NULL || out->cross == NULL || out->factor == NULL || out->weight == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for least squares with %lld features", (long long)d);
    }
    lo_linear_one_thread();
    LO_TRY(sum_up(out, rows, label, count, total, reduction, tick, err));
    for (int64_t f = 0; f < d - 1; f++) {
        out->gram[f * d + f] += penalty;
    }
    memcpy(out->factor, out->gram, (size_t)(d * d) * sizeof(*out->gram));
    memcpy(out->weight, out->cross, (size_t)(d * classes) * sizeof(*out->cross));
    if (!lo_cholesky(out->factor, d) || lo_cholesky_is_singular(out->factor, d)) {
        return lo_fail(
            err, LO_USAGE,
            "the least-squares fit of %lld examples to %lld features is singular with a penalty of "
            "%g; a larger one makes it determined",
            (long long)total, (long long)d, penalty);
    }
    lo_cholesky_solve(out->factor, d, out->weight, classes);
    return LO_OK;
}

void lo_ridge_destroy(lo_ridge *ridge)
{
    free(ridge->gram);
    free(ridge->cross);
    free(ridge->factor);
    free(ridge->weight);
    *ridge = (lo_ridge){0};
}

/* y_i - W x_i of `count` rows, into residual [count, classes]. */
static void residuals(const lo_ridge *r, const double *rows, const int32_t *label, int64_t count,
                      double *residual)
{
    lo_product_rows(count, r->classes, r->d, -1, rows, r->d, r->weight, r->d, 0, residual, r->classes);
    for (int64_t i = 0; i < count; i++) {
        residual[i * r->classes + label[i]] += 1;
    }
}

void lo_ridge_leave_one(const lo_ridge *ridge, const double *rows, const int32_t *label, int64_t count,
                        double *vector, double *shift)
{
    const int64_t d = ridge->d;
    if (count == 0) {
        return;
    }
    memcpy(vector, rows, (size_t)(count * d) * sizeof(*vector));
    lo_cholesky_solve(ridge->factor, d, vector, count);
    residuals(ridge, rows, label, count, shift);
    for (int64_t i = 0; i < count; i++) {
        double leverage = 0;
        for (int64_t f = 0; f < d; f++) {
            leverage += rows[i * d + f] * vector[i * d + f];
        }
        const double left = 1 - leverage > 1e-12 ? 1 - leverage : (double)NAN;
        for (int32_t c = 0; c < ridge->classes; c++) {
            shift[i * ridge->classes + c] /= left;
        }
    }
}

/* By the identity of Woodbury: a system of the group's size. */
static bool leave_small_group(const lo_ridge *r, const double *rows, const int32_t *label, int64_t count,
                              double *weight, double *work)
{
    const int64_t d = r->d;
    double *vector = work;             /* [count, d] */
    double *left = vector + count * d; /* [count, count]: I - H */
    double *residual = left + count * count;
    double *columns = residual + count * r->classes; /* [classes, count] */
    memcpy(vector, rows, (size_t)(count * d) * sizeof(*vector));
    lo_cholesky_solve(r->factor, d, vector, count);
    lo_product_rows(count, count, d, -1, rows, d, vector, d, 0, left, count);
    for (int64_t i = 0; i < count; i++) {
        left[i * count + i] += 1;
    }
    residuals(r, rows, label, count, residual);
    for (int64_t i = 0; i < count; i++) {
        for (int32_t c = 0; c < r->classes; c++) {
            columns[c * count + i] = residual[i * r->classes + c];
        }
    }
    for (int64_t i = 0; i < count; i++) {
        if (!(left[i * count + i] > 1e-12)) {
            return false;
        }
    }
    if (!lo_cholesky(left, count)) {
        return false;
    }
    for (int64_t i = 0; i < count; i++) {
        if (!(left[i * count + i] * left[i * count + i] > 1e-12)) {
            return false;
        }
    }
    lo_cholesky_solve(left, count, columns, r->classes);
    /* weight -= columns [classes, count] vector [count, d] */
    memcpy(weight, r->weight, (size_t)(r->classes * d) * sizeof(*weight));
    for (int64_t i = 0; i < count; i++) {
        for (int32_t c = 0; c < r->classes; c++) {
            residual[i * r->classes + c] = columns[c * count + i];
        }
    }
    lo_product_sum(r->classes, d, count, -1, residual, r->classes, vector, d, 1, weight, d);
    return true;
}

/* From the sums without the group. */
static bool leave_large_group(const lo_ridge *r, const double *rows, const int32_t *label, int64_t count,
                              double *weight, double *work)
{
    const int64_t d = r->d;
    memcpy(work, r->gram, (size_t)(d * d) * sizeof(*work));
    memcpy(weight, r->cross, (size_t)(r->classes * d) * sizeof(*weight));
    lo_gram_add(rows, count, d, -1, work);
    for (int64_t i = 0; i < count; i++) {
        for (int64_t f = 0; f < d; f++) {
            weight[label[i] * d + f] -= rows[i * d + f];
        }
    }
    if (!lo_cholesky(work, d) || lo_cholesky_is_singular(work, d)) {
        return false;
    }
    lo_cholesky_solve(work, d, weight, r->classes);
    return true;
}

lo_status lo_ridge_leave_group(const lo_ridge *ridge, const double *rows, const int32_t *label, int64_t count,
                               double *weight, lo_error *err)
{
    const int64_t d = ridge->d;
    const bool small = count <= d;
    double *work = room(small ? count * (d + count + 2 * ridge->classes) : d * d);
    if (work == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory to leave out a group of %lld", (long long)count);
    }
    const bool done = small ? leave_small_group(ridge, rows, label, count, weight, work)
                            : leave_large_group(ridge, rows, label, count, weight, work);
    free(work);
    return done ? LO_OK
                : lo_fail(
                      err, LO_DATA,
                      "without a group of %lld examples the least-squares fit is singular; a larger penalty "
                      "makes it determined",
                      (long long)count);
}
