#include "audit/distance.h"

#include "audit/feature.h"

#include <math.h>
#include <stdlib.h>

/* The first of the largest logits; -1 where one is NaN. */
static int32_t says(const float *z, int32_t classes)
{
    int32_t top = 0;
    for (int32_t k = 0; k < classes; k++) {
        if (isnan(z[k])) {
            return -1;
        }
        top = z[k] > z[top] ? k : top;
    }
    return top;
}

/* p log(p / m) with m = (p + q) / 2, from logarithms; 0 where p is. q / p may be beyond double, its logarithm
 * is not. */
static double toward_middle(double log_p, double log_q)
{
    const double p = exp(log_p), apart = log_q - log_p;
    const double log_sum = apart > 0 ? apart + log1p(exp(-apart)) : log1p(exp(apart));
    return p == 0 ? 0 : p * (M_LN2 - log_sum);
}

static double of_probabilities(const double *log_p, const double *log_q, int32_t classes, lo_distance kind)
{
    double sum = 0;
    for (int32_t k = 0; k < classes; k++) {
        const double off = exp(log_p[k]) - exp(log_q[k]);
        if (kind == LO_ACTIVATION_L2) {
            sum += off * off;
        } else if (kind == LO_ACTIVATION_L1) {
            sum += fabs(off);
        } else {
            sum += (toward_middle(log_p[k], log_q[k]) + toward_middle(log_q[k], log_p[k])) / 2;
        }
    }
    /* Rounding may leave a divergence of equals a hair below 0. */
    return kind == LO_ACTIVATION_L2 ? sqrt(sum) : sum < 0 ? 0 : sum;
}

lo_status lo_distances(const lo_logits *a, const lo_logits *b, const uint32_t *rows, int64_t count,
                       lo_distance kind, double *out, lo_error *err)
{
    if (a->classes != b->classes || a->n != b->n) {
        return lo_fail(err, LO_INTERNAL,
                       "distance between outputs on %lld examples of %d classes and %lld of %d",
                       (long long)a->n, (int)a->classes, (long long)b->n, (int)b->classes);
    }
    const int64_t examples = rows != NULL ? count : a->n;
    double *log_p = malloc(2 * (size_t)a->classes * sizeof(*log_p));
    if (log_p == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for %d probabilities", (int)a->classes);
    }
    for (int64_t i = 0; i < examples; i++) {
        const float *za = lo_logits_row(a, rows, i), *zb = lo_logits_row(b, rows, i);
        if (kind == LO_DISAGREEMENT) {
            const int32_t one = says(za, a->classes), other = says(zb, b->classes);
            out[i] = one < 0 || one != other ? 1 : 0;
            continue;
        }
        lo_log_probabilities(za, a->classes, log_p);
        lo_log_probabilities(zb, b->classes, log_p + a->classes);
        out[i] = of_probabilities(log_p, log_p + a->classes, a->classes, kind);
    }
    free(log_p);
    return LO_OK;
}

lo_status lo_mean_distance(const lo_logits *a, const lo_logits *b, const uint32_t *rows, int64_t count,
                           lo_distance kind, double *mean, lo_error *err)
{
    const int64_t examples = rows != NULL ? count : a->n;
    double *each = malloc((size_t)(examples > 0 ? examples : 1) * sizeof(*each));
    if (each == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for distances on %lld examples", (long long)examples);
    }
    lo_status status = lo_distances(a, b, rows, count, kind, each, err);
    double sum = 0;
    for (int64_t i = 0; i < examples && status == LO_OK; i++) {
        sum += each[i];
    }
    *mean = examples > 0 ? sum / (double)examples : NAN;
    free(each);
    return status;
}
