#include "score/divergence.h"

#include <math.h>

static double log_sum(const float *z, int32_t classes)
{
    double largest = (double)z[0], sum = 0;
    for (int32_t c = 1; c < classes; c++) {
        largest = fmax(largest, (double)z[c]);
    }
    for (int32_t c = 0; c < classes; c++) {
        sum += exp((double)z[c] - largest);
    }
    return largest + log(sum);
}

double lo_symmetric_divergence(const float *a, const float *b, int32_t classes)
{
    const double sum_a = log_sum(a, classes), sum_b = log_sum(b, classes);
    double divergence = 0;
    for (int32_t c = 0; c < classes; c++) {
        const double log_p = (double)a[c] - sum_a, log_q = (double)b[c] - sum_b;
        divergence += (exp(log_p) - exp(log_q)) * (log_p - log_q);
    }
    return divergence / 2;
}
