#include "audit/entanglement.h"

#include <math.h>
#include <stdlib.h>

static void mean_of(const float *values, int64_t size, const uint32_t *rows, int64_t count, double *mean)
{
    for (int64_t i = 0; i < count; i++) {
        const float *v = values + (int64_t)rows[i] * size;
        for (int64_t k = 0; k < size; k++) {
            mean[k] += v[k];
        }
    }
    for (int64_t k = 0; k < size; k++) {
        mean[k] /= (double)count;
    }
}

static double spread(const float *values, int64_t size, const uint32_t *rows, int64_t count,
                     const double *mean)
{
    double sum = 0;
    for (int64_t i = 0; i < count; i++) {
        const float *v = values + (int64_t)rows[i] * size;
        for (int64_t k = 0; k < size; k++) {
            sum += (v[k] - mean[k]) * (v[k] - mean[k]);
        }
    }
    return sum / (double)count;
}

lo_status lo_entanglement(const float *values, int64_t size, const uint32_t *forget, int64_t forget_count,
                          const uint32_t *retain, int64_t retain_count, double *score, lo_error *err)
{
    double *mean_f = calloc(2 * (size_t)size + 1, sizeof(*mean_f));
    if (mean_f == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for means of %lld values", (long long)size);
    }
    double *mean_r = mean_f + size;
    mean_of(values, size, forget, forget_count, mean_f);
    mean_of(values, size, retain, retain_count, mean_r);
    const double within = spread(values, size, retain, retain_count, mean_r) +
                          spread(values, size, forget, forget_count, mean_f);
    /* m - m_F is the retain set's share of m_R - m_F, and the other way round. */
    const double all = (double)(forget_count + retain_count);
    const double share_f = (double)forget_count / all, share_r = (double)retain_count / all;
    double apart = 0;
    for (int64_t k = 0; k < size; k++) {
        apart += (mean_r[k] - mean_f[k]) * (mean_r[k] - mean_f[k]);
    }
    *score = within / (apart * (share_f * share_f + share_r * share_r) / 2);
    free(mean_f);
    return LO_OK;
}
