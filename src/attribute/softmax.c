#include "attribute/softmax.h"

#include "attribute/linear.h"
#include "attribute/softmax_basis.h"

#include <stdlib.h>
#include <string.h>

enum { TILE = 256, PANEL = 192 };

static double *room(int64_t count)
{
    return calloc((size_t)(count > 0 ? count : 1), sizeof(double));
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

lo_status lo_softmax_logits(const lo_softmax *model, const double *rows, int64_t count, const double *theta,
                            int64_t models, double *out, lo_error *err)
{
    const lo_basis basis = lo_basis_make(model->classes);
    const int64_t outputs = lo_softmax_outputs(model);
    const int64_t width = models * outputs;
    double *u = room(TILE * width);
    if (u == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for the logits of %lld models", (long long)models);
    }
    lo_linear_one_thread();
    for (int64_t first = 0; first < count; first += TILE) {
        const int64_t now = least(TILE, count - first);
        lo_product_rows(now, width, model->d, 1, rows + first * model->d, model->d, theta, model->d, 0, u,
                        width);
        for (int64_t i = 0; i < now * models; i++) {
            lo_basis_expand(&basis, u + i * outputs, out + (first * models + i) * model->classes);
        }
    }
    free(u);
    return LO_OK;
}

lo_status lo_softmax_probabilities(const lo_softmax *model, const double *theta, double *probability,
                                   lo_error *err)
{
    LO_TRY(lo_softmax_logits(model, model->rows, model->count, theta, 1, probability, err));
    for (int64_t i = 0; i < model->count; i++) {
        (void)lo_basis_softmax(model->classes, probability + i * model->classes);
    }
    return LO_OK;
}

/* R_i[k, l] / n of the examples [first, first + count). */
static void curvatures(const lo_softmax *model, const double *probability, int64_t first, int64_t count,
                       int64_t k, int64_t l, double *out, double *reduced)
{
    const lo_basis basis = lo_basis_make(model->classes);
    for (int64_t i = 0; i < count; i++) {
        const double *p = probability + (first + i) * model->classes;
        lo_basis_reduce(&basis, p, reduced);
        out[i] = lo_basis_curvature(&basis, p, reduced, k, l) / (double)model->count;
    }
}

lo_status lo_softmax_hessian_block(const lo_softmax *model, const double *probability, int64_t k, int64_t l,
                                   const lo_tick *tick, double *out, lo_error *err)
{
    const int64_t d = model->d;
    double *scaled = room(TILE * d + TILE + model->classes);
    if (scaled == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for a block of the Hessian");
    }
    double *weight = scaled + TILE * d;
    lo_status status = LO_OK;
    lo_linear_one_thread();
    memset(out, 0, (size_t)(d * d) * sizeof(*out));
    for (int64_t first = 0; first < model->count && status == LO_OK; first += TILE) {
        const int64_t now = least(TILE, model->count - first);
        const double *rows = model->rows + first * d;
        curvatures(model, probability, first, now, k, l, weight, weight + TILE);
        for (int64_t i = 0; i < now; i++) {
            for (int64_t f = 0; f < d; f++) {
                scaled[i * d + f] = weight[i] * rows[i * d + f];
            }
        }
        /* Below the diagonal only, panel by panel. */
        for (int64_t f = 0; f < d; f += PANEL) {
            lo_product_sum(d - f, least(PANEL, d - f), now, 1, scaled + f, d, rows + f, d, 1, out + f * d + f,
                           d);
        }
        status = lo_tick_call(tick);
    }
    for (int64_t f = 0; f < d - 1 && k == l; f++) {
        out[f * d + f] += model->penalty;
    }
    lo_symmetrize(out, d);
    free(scaled);
    return status;
}

void lo_softmax_place_block(const lo_softmax *model, const double *block, int64_t k, int64_t l,
                            double *matrix)
{
    const int64_t d = model->d;
    const int64_t p = lo_softmax_parameters(model);
    for (int64_t f = 0; f < d; f++) {
        memcpy(matrix + (k * d + f) * p + l * d, block + f * d, (size_t)d * sizeof(*block));
        memcpy(matrix + (l * d + f) * p + k * d, block + f * d, (size_t)d * sizeof(*block));
    }
}

/* ---- gradients ---- */

/* What the margin changes by with each logit: 1 for the label's, minus the others' shares of their own
 * softmax. Returns the probability of the others. */
static double margin_slope(const double *logit, int32_t classes, int32_t label, double *slope)
{
    double top = label == 0 ? logit[1] : logit[0];
    for (int32_t c = 0; c < classes; c++) {
        top = c != label && logit[c] > top ? logit[c] : top;
    }
    double sum = 0;
    for (int32_t c = 0; c < classes; c++) {
        slope[c] = c == label ? 0 : exp(logit[c] - top);
        sum += slope[c];
    }
    for (int32_t c = 0; c < classes; c++) {
        slope[c] = c == label ? 1 : -slope[c] / sum;
    }
    return 1 / (1 + exp(logit[label] - top - log(sum)));
}

lo_status lo_softmax_margin_gradients(const lo_softmax *model, const double *theta, const double *rows,
                                      const int32_t *label, int64_t count, double *out, double *e,
                                      lo_error *err)
{
    const lo_basis basis = lo_basis_make(model->classes);
    const int64_t d = model->d;
    const int64_t p = lo_softmax_parameters(model);
    double *logit = room((count + 2) * model->classes);
    if (logit == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for %lld gradients", (long long)count);
    }
    double *slope = logit + count * model->classes;
    double *reduced = slope + model->classes;
    const lo_status status = lo_softmax_logits(model, rows, count, theta, 1, logit, err);
    for (int64_t i = 0; i < count && status == LO_OK; i++) {
        e[i] = margin_slope(logit + i * model->classes, model->classes, label[i], slope);
        lo_basis_reduce(&basis, slope, reduced);
        for (int64_t k = 0; k < lo_softmax_outputs(model); k++) {
            for (int64_t f = 0; f < d; f++) {
                out[i * p + k * d + f] = reduced[k] * rows[i * d + f];
            }
        }
    }
    free(logit);
    return status;
}

/* ---- approximate leave-one-out ---- */

/* Q_i = J_i H^-1 J_i' of a tile of examples: out [count, K, K]. product [count, d] is scratch. */
static void leverages(const lo_softmax *model, const double *inverse, int64_t first, int64_t count,
                      double *product, double *out)
{
    const int64_t d = model->d;
    const int64_t outputs = lo_softmax_outputs(model);
    const int64_t p = lo_softmax_parameters(model);
    const double *rows = model->rows + first * d;
    for (int64_t k = 0; k < outputs; k++) {
        for (int64_t l = 0; l <= k; l++) {
            lo_product_rows(count, d, d, 1, rows, d, inverse + k * d * p + l * d, p, 0, product, d);
            for (int64_t i = 0; i < count; i++) {
                double sum = 0;
                for (int64_t f = 0; f < d; f++) {
                    sum += product[i * d + f] * rows[i * d + f];
                }
                out[(i * outputs + k) * outputs + l] = sum;
                out[(i * outputs + l) * outputs + k] = sum;
            }
        }
    }
}

/* c_i = (I - R_i Q_i / n)^-1 e_i. work [2 K^2 + 2 classes], pivot [K]. */
static bool correction(const lo_softmax *model, const double *p, int32_t label, const double *leverage,
                       double *work, int32_t *pivot, double *c)
{
    const lo_basis basis = lo_basis_make(model->classes);
    const int64_t outputs = lo_softmax_outputs(model);
    double *curvature = work;
    double *left = curvature + outputs * outputs;
    double *reduced = left + outputs * outputs;
    double *error = reduced + model->classes;
    lo_basis_reduce(&basis, p, reduced);
    for (int64_t k = 0; k < outputs; k++) {
        for (int64_t l = 0; l < outputs; l++) {
            curvature[k * outputs + l] = lo_basis_curvature(&basis, p, reduced, k, l);
        }
    }
    for (int64_t k = 0; k < outputs; k++) {
        for (int64_t l = 0; l < outputs; l++) {
            double sum = 0;
            for (int64_t m = 0; m < outputs; m++) {
                sum += curvature[k * outputs + m] * leverage[m * outputs + l];
            }
            left[k * outputs + l] = (k == l ? 1 : 0) - sum / (double)model->count;
        }
    }
    for (int32_t k = 0; k < model->classes; k++) {
        error[k] = p[k] - (k == label ? 1 : 0);
    }
    lo_basis_reduce(&basis, error, c);
    return lo_solve(left, outputs, c, pivot);
}

lo_status lo_softmax_alo(const lo_softmax *model, const double *probability, const double *theta,
                         const double *inverse, int64_t first, int64_t count, double *out, lo_error *err)
{
    const int64_t d = model->d;
    const int64_t outputs = lo_softmax_outputs(model);
    const int64_t p = lo_softmax_parameters(model);
    double *product = room(count * d);
    double *leverage = room(count * outputs * outputs);
    double *work = room(2 * outputs * outputs + 3 * (int64_t)model->classes);
    double *side = room(count * p);
    int32_t *pivot = calloc((size_t)outputs, sizeof(*pivot));
    lo_status status = LO_OK;
    if (product == NULL || leverage == NULL || work == NULL || side == NULL || pivot == NULL) {
        LO_TRY_GOTO(status,
                    lo_fail(err, LO_INTERNAL, "no memory for %lld leave-one-out steps", (long long)count),
                    done);
    }
    lo_linear_one_thread();
    leverages(model, inverse, first, count, product, leverage);
    for (int64_t i = 0; i < count; i++) {
        double *c = work + 2 * outputs * outputs + 2 * (int64_t)model->classes;
        const double *row = model->rows + (first + i) * d;
        if (!correction(model, probability + (first + i) * model->classes, model->label[first + i],
                        leverage + i * outputs * outputs, work, pivot, c)) {
            LO_TRY_GOTO(
                status,
                lo_fail(err, LO_INTERNAL, "example %lld: no leave-one-out step", (long long)(first + i)),
                done);
        }
        for (int64_t k = 0; k < outputs; k++) {
            for (int64_t f = 0; f < d; f++) {
                side[i * p + k * d + f] = c[k] * row[f] / (double)model->count;
            }
        }
        memcpy(out + i * p, theta, (size_t)p * sizeof(*out));
    }
    lo_product_rows(count, p, p, 1, side, p, inverse, p, 1, out, p);
done:
    free(product);
    free(leverage);
    free(work);
    free(side);
    free(pivot);
    return status;
}
