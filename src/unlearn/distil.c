#include "unlearn/distil.h"

#include <math.h>
#include <string.h>

/* logsumexp(logits / temperature). */
static double log_sum(const float *logits, int32_t classes, double temperature)
{
    double largest = (double)logits[0], sum = 0;
    for (int32_t k = 1; k < classes; k++) {
        largest = fmax(largest, (double)logits[k]);
    }
    for (int32_t k = 0; k < classes; k++) {
        sum += exp(((double)logits[k] - largest) / temperature);
    }
    return largest / temperature + log(sum);
}

double lo_distil(const lo_batch *batch, size_t n, const float *teacher, double temperature, double weight)
{
    const float *z = batch->logits + n * batch->step;
    float *slope = batch->slope + n * batch->step;
    const double T = temperature, taught = log_sum(teacher, batch->classes, T),
                 learnt = log_sum(z, batch->classes, T);
    double divergence = 0;
    for (int32_t k = 0; k < batch->classes; k++) {
        const double log_p = (double)teacher[k] / T - taught, log_q = (double)z[k] / T - learnt;
        const double p = exp(log_p);
        divergence += p > 0 ? p * (log_p - log_q) : 0;
        slope[k] += (float)(weight * T * (exp(log_q) - p));
    }
    return weight * T * T * divergence;
}

void lo_clear_slope(const lo_batch *batch)
{
    memset(batch->slope, 0, batch->count * batch->step * sizeof(*batch->slope));
}
