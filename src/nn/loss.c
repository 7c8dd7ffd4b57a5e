#include "nn/loss.h"

#include <math.h>

/* sum (largest - z_k) / classes: what smoothing puts in place of largest - z_label. */
static double mean_gap(const float *z, int32_t classes, float largest)
{
    double sum = 0;
    for (int32_t k = 0; k < classes; k++) {
        sum += (double)(largest - z[k]);
    }
    return sum / classes;
}

double lo_softmax_loss(const float *logits, size_t step, const int32_t *labels, size_t examples,
                       int32_t classes, double smoothing, float *slope, int64_t *correct)
{
    return lo_softmax_loss_of(logits, step, labels, examples, examples, classes, smoothing, slope, correct);
}

double lo_softmax_loss_of(const float *logits, size_t step, const int32_t *labels, size_t examples,
                          size_t batch, int32_t classes, double smoothing, float *slope, int64_t *correct)
{
    double loss = 0;
    const float share = 1.0F / (float)batch;
    const float of_label = share * (float)(1 - smoothing), of_each = share * (float)(smoothing / classes);
    for (size_t n = 0; n < examples; n++) {
        const float *z = logits + n * step;
        float *d = slope + n * step;
        float largest = z[0];
        for (int32_t k = 1; k < classes; k++) {
            largest = z[k] > largest ? z[k] : largest;
        }
        float sum = 0;
        for (int32_t k = 0; k < classes; k++) {
            d[k] = expf(z[k] - largest);
            sum += d[k];
        }
        for (int32_t k = 0; k < classes; k++) {
            d[k] = d[k] / sum * share - of_each;
        }
        for (size_t k = (size_t)classes; k < step; k++) {
            d[k] = 0;
        }
        const int32_t label = labels[n];
        d[label] -= of_label;
        loss += (double)(logf(sum) - (z[label] - largest));
        if (smoothing > 0) {
            loss += smoothing * (mean_gap(z, classes, largest) - (double)(largest - z[label]));
        }
        *correct += lo_is_correct(z, classes, label) ? 1 : 0;
    }
    return loss;
}

bool lo_is_correct(const float *logits, int32_t classes, int32_t label)
{
    const float own = logits[label];
    bool correct = !isnan(own);
    for (int32_t k = 0; k < classes; k++) {
        correct = correct && (k < label ? own > logits[k] : own >= logits[k]);
    }
    return correct;
}

float lo_logit_margin(const float *logits, int32_t classes, int32_t label)
{
    float largest = -INFINITY;
    for (int32_t k = 0; k < classes; k++) {
        if (isnan(logits[k])) {
            return NAN;
        }
        largest = k != label && logits[k] > largest ? logits[k] : largest;
    }
    if (isinf(largest)) {
        return logits[label] - largest; /* whose logarithm of a sum is the infinity itself */
    }
    double sum = 0;
    for (int32_t k = 0; k < classes; k++) {
        sum += k != label ? exp((double)logits[k] - (double)largest) : 0;
    }
    return (float)((double)logits[label] - (double)largest - log(sum));
}

float lo_logit_gap(const float *logits, int32_t classes, int32_t label)
{
    float largest = -INFINITY;
    for (int32_t k = 0; k < classes; k++) {
        if (k != label && !(logits[k] <= largest)) { /* a NaN stays */
            largest = logits[k];
            if (isnan(largest)) {
                break;
            }
        }
    }
    return logits[label] - largest;
}

void lo_softmax_spread(const float *logits, int32_t classes, float *largest, float *entropy)
{
    int32_t top = 0;
    for (int32_t k = 1; k < classes; k++) {
        top = logits[k] > logits[top] ? k : top;
    }
    /* Relative to the top class: the weights of the others, and how far below they are. */
    float others = 0, below = 0;
    for (int32_t k = 0; k < classes; k++) {
        const float gap = logits[top] - logits[k];
        const float weight = expf(-gap);
        others += k != top ? weight : 0;
        below += weight != 0 ? weight * gap : 0; /* infinitely far, it has no weight */
    }
    *largest = 1 / (1 + others);
    *entropy = log1pf(others) + below / (1 + others);
}

float lo_example_loss(const float *logits, int32_t classes, int32_t label, double smoothing, float margin)
{
    /* log(1 + exp(-margin)), of which exp must not overflow. */
    const double phi = margin;
    const double loss = phi < 0 ? log1p(exp(phi)) - phi : log1p(exp(-phi));
    if (!(smoothing > 0)) {
        return (float)loss;
    }
    double gap = 0;
    for (int32_t k = 0; k < classes; k++) {
        gap += (double)(logits[label] - logits[k]);
    }
    return (float)(loss + smoothing * gap / classes);
}
