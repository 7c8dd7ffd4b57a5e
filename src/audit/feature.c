#include "audit/feature.h"

#include "nn/loss.h"

#include <assert.h>
#include <math.h>

const char *lo_feature_name(lo_feature feature)
{
    static const char *const name[LO_FEATURE_KINDS] = {"correct",          "confidence", "entropy",
                                                  "modified_entropy", "loss",       "margin"};
    assert(feature >= 0 && feature < LO_FEATURE_KINDS);
    return name[feature];
}

static double largest(const float *z, int32_t classes)
{
    double most = -INFINITY;
    for (int32_t k = 0; k < classes; k++) {
        most = z[k] > most || isnan(z[k]) ? (double)z[k] : most;
    }
    return most;
}

/* log of the sum of exp(z), leaving out class `without` (-1: none). */
static double log_sum(const float *z, int32_t classes, int32_t without)
{
    double most = -INFINITY, sum = 0;
    for (int32_t k = 0; k < classes; k++) {
        most = k != without && !(z[k] <= most) ? (double)z[k] : most;
    }
    if (!isfinite(most)) {
        return most;
    }
    for (int32_t k = 0; k < classes; k++) {
        sum += k != without ? exp(z[k] - most) : 0;
    }
    return most + log(sum);
}

void lo_log_probabilities(const float *logits, int32_t classes, double *out)
{
    /* The sum of the others is added to the largest by log1p: next to 1 a probability's log is tiny, not 0.
     */
    const double most = largest(logits, classes);
    int32_t top = 0;
    double others = 0;
    for (int32_t k = 1; k < classes; k++) {
        top = logits[k] > logits[top] ? k : top;
    }
    for (int32_t k = 0; k < classes; k++) {
        others += k != top ? exp(logits[k] - most) : 0;
    }
    const double rest = log1p(others);
    for (int32_t k = 0; k < classes; k++) {
        out[k] = logits[k] - most - rest;
    }
}

static double margin(const float *z, int32_t classes, int32_t label)
{
    return z[label] - log_sum(z, classes, label);
}

/* log(1 + exp(-x)), without overflow. */
static double softplus_of_minus(double x)
{
    return x > 0 ? log1p(exp(-x)) : -x + log1p(exp(x));
}

static double entropy(const float *z, int32_t classes)
{
    const double all = log_sum(z, classes, -1);
    double sum = 0;
    for (int32_t k = 0; k < classes; k++) {
        const double phi = margin(z, classes, k), p = exp(z[k] - all);
        sum += p > 0 || isnan(p) ? p * softplus_of_minus(phi) : 0;
    }
    return sum;
}

/* With phi_j the logit of p_j: -log p_j = softplus(-phi_j), -log(1 - p_j) = softplus(phi_j), both exact to
 * the last digits, and 1 - p_y = exp(-softplus(phi_y)). */
static double modified_entropy(const float *z, int32_t classes, int32_t label)
{
    double sum = 0;
    for (int32_t k = 0; k < classes; k++) {
        const double phi = margin(z, classes, k);
        const double minus_log_p = softplus_of_minus(phi), minus_log_rest = softplus_of_minus(-phi);
        const double term =
            k == label ? exp(-minus_log_rest) * minus_log_p : exp(-minus_log_p) * minus_log_rest;
        sum += term;
    }
    return sum;
}

static double one(const float *z, int32_t classes, int32_t label, lo_feature feature)
{
    switch (feature) {
    case LO_FEATURE_CORRECT:
        return lo_is_correct(z, classes, label) ? 1 : 0;
    case LO_FEATURE_CONFIDENCE:
        return exp(-softplus_of_minus(margin(z, classes, label)));
    case LO_FEATURE_ENTROPY:
        return entropy(z, classes);
    case LO_FEATURE_MODIFIED_ENTROPY:
        return modified_entropy(z, classes, label);
    case LO_FEATURE_LOSS:
        return softplus_of_minus(margin(z, classes, label));
    case LO_FEATURE_MARGIN:
    case LO_FEATURE_KINDS:
        break;
    }
    return margin(z, classes, label);
}

void lo_features(const lo_logits *logits, const uint32_t *rows, int64_t count, lo_feature feature,
                 double *out)
{
    const int64_t examples = rows != NULL ? count : logits->n;
    for (int64_t i = 0; i < examples; i++) {
        out[i] =
            one(lo_logits_row(logits, rows, i), logits->classes, lo_logits_label(logits, rows, i), feature);
    }
}
