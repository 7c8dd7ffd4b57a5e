#include "jobs/attribution/attribution_work.h"

#include "attribute/linear.h"
#include "base/clock.h"
#include "jobs/attribution/attribution.h"
#include "jobs/attribution/attribution_network.h"

#include <math.h>
#include <stdlib.h>

/* ---- speed ---- */

/* What Cholesky's factorization, triangular solves and eigenvectors reach of a product's speed where matrices
 * are large, and at which order it is half of that: measured, see docs/scalability.md. */
static const double factor_share = 0.7, solve_share = 0.85, eigen_share = 0.8, panel = 400;

enum { LARGE = 384, THIN = 10, TILE = 256, VALUES = 1 << 19, TIMES = 3 };

/* The fastest of some; the first is for the memory to get warm. */
static double time_product(int64_t m, int64_t n, int64_t k, const double *a, const double *b, double *out)
{
    double best = INFINITY;
    for (int t = 0; t < TIMES; t++) {
        const double start = lo_clock_monotonic();
        lo_product_rows(m, n, k, 1, a, k, b, k, 0, out, n);
        best = fmin(best, lo_clock_monotonic() - start);
    }
    return best / (2.0 * (double)m * (double)n * (double)k);
}

static double time_numbers(const double *restrict in, double *restrict out)
{
    double best = INFINITY;
    for (int t = 0; t < TIMES; t++) {
        const double start = lo_clock_monotonic();
        for (int64_t i = 0; i < VALUES; i++) {
            out[i] += 0.5 * in[i];
        }
        best = fmin(best, lo_clock_monotonic() - start);
    }
    return best / VALUES;
}

static double time_exponents(const double *in, double *out)
{
    enum { SOME = VALUES / 16 };
    double best = INFINITY;
    for (int t = 0; t < TIMES; t++) {
        const double start = lo_clock_monotonic();
        for (int64_t i = 0; i < SOME; i++) {
            out[i] = exp(in[i]);
        }
        best = fmin(best, lo_clock_monotonic() - start);
    }
    return best / SOME;
}

lo_attribution_speed lo_attribution_measure(void)
{
    lo_attribution_speed speed = {0};
    double *in = lo_attribution_numbers(VALUES);
    double *out = lo_attribution_numbers(VALUES);
    if (in != NULL && out != NULL) {
        for (int64_t i = 0; i < VALUES; i++) {
            in[i] = (double)(i % 97) / 97;
        }
        lo_linear_one_thread();
        double *seconds = speed.seconds;
        seconds[LO_WORK_PRODUCT] = time_product(LARGE, LARGE, LARGE, in, in, out);
        seconds[LO_WORK_THIN] = time_product(TILE, THIN, LARGE, in, in, out);
        seconds[LO_WORK_FACTOR] = seconds[LO_WORK_PRODUCT] / factor_share;
        seconds[LO_WORK_SOLVE] = seconds[LO_WORK_PRODUCT] / solve_share;
        seconds[LO_WORK_EIGEN] = seconds[LO_WORK_PRODUCT] / eigen_share;
        seconds[LO_WORK_PANELS] = panel * seconds[LO_WORK_PRODUCT];
        seconds[LO_WORK_NUMBERS] = time_numbers(in, out);
        seconds[LO_WORK_EXPONENTS] = time_exponents(in, out);
    }
    free(in);
    free(out);
    return speed;
}

double lo_work_flops(const double *work)
{
    double sum = 0;
    for (int k = 0; k < LO_WORK_FLOPS; k++) {
        sum += work[k];
    }
    return sum;
}

double lo_work_seconds(const double *work, const lo_attribution_speed *speed)
{
    double sum = 0;
    for (int k = 0; k < LO_WORK_KINDS; k++) {
        sum += work[k] * speed->seconds[k];
    }
    return sum;
}

/* ---- what all methods share ---- */

void lo_work_add_factor(double order, double *work)
{
    work[LO_WORK_FACTOR] += order * order * order / 3;
    work[LO_WORK_PANELS] += order * order / 3;
}

void lo_work_add_solve(double order, double sides, bool half, double *work)
{
    const double times = half ? 1 : 2;
    work[LO_WORK_SOLVE] += times * order * order * sides;
    work[LO_WORK_PANELS] += times * order * sides;
}

void lo_work_add_effects(const lo_attribution *a, bool logits, double values, double *work)
{
    /* The largest class but one is looked for; of logits there is a sum of exponentials and its logarithm. */
    work[LO_WORK_NUMBERS] += 4 * values * a->classes;
    work[LO_WORK_EXPONENTS] += logits ? values * a->classes : 0;
}

void lo_work_add_opening(const lo_attribution *a, lo_attribution_work *sum)
{
    const double examples = (double)a->train.count + (double)a->target.count;
    if (a->model == LO_ATTRIBUTION_LINEAR) {
        return;
    }
    sum->alone[LO_WORK_NUMBERS] += a->network->memory / sizeof(double); /* drawn, read, looked through */
    if (a->model == LO_ATTRIBUTION_FEATURES) {
        sum->shared[LO_WORK_FORWARDS] += examples;
        sum->bytes += examples * (double)a->train.size * sizeof(float);
    }
}

void lo_work_add_method(const lo_attribution *a, const lo_attribution_type *type, lo_attribution_work *sum)
{
    const double n = (double)a->train.count;
    const double targets = (double)a->target.count;
    const double values = (n + (double)a->groups) * targets;
    type->work(a, sum);
    if (type->direct != NULL) {
        sum->shared[LO_WORK_NUMBERS] += a->groups > 0 ? n * targets : 0;
        return;
    }
    /* Of an example itself there are all outputs, with it and without. */
    lo_work_add_effects(a, type->logits, values * (1 + 1.0 / LO_ATTRIBUTION_BLOCK) + 2 * LO_EFFECTS * n,
                        sum->shared);
    sum->bytes += values * sizeof(float); /* of rows that ranks held by columns */
}
