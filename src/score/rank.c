#include "score/rank.h"

#include "score/agreement.h"

#include <math.h>
#include <stdlib.h>

lo_status lo_auc(const double *score, const uint8_t *positive, int64_t n, lo_agreement *out, lo_error *err)
{
    double *is_positive = calloc((size_t)n + 1, sizeof(*is_positive));
    if (is_positive == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory to rank %lld values", (long long)n);
    }
    for (int64_t i = 0; i < n; i++) {
        is_positive[i] = positive[i] != 0;
    }
    lo_pairing pairing;
    const lo_status status = lo_pairing_create(score, is_positive, n, &pairing, err);
    if (status == LO_OK) {
        *out = (lo_agreement){lo_paired_auc(&pairing, 0.5, NULL), pairing.used, n - pairing.used};
        lo_pairing_destroy(&pairing);
    }
    free(is_positive);
    return status;
}

lo_agreement lo_pearson(const double *x, const double *y, int64_t n)
{
    int64_t used = 0;
    for (int64_t i = 0; i < n; i++) {
        used += !isnan(x[i]) && !isnan(y[i]);
    }
    return (lo_agreement){lo_correlation(x, y, n, NULL, NULL), used, n - used};
}

lo_status lo_spearman(const double *x, const double *y, int64_t n, lo_agreement *out, lo_error *err)
{
    lo_pairing pairing;
    LO_TRY(lo_pairing_create(x, y, n, &pairing, err));
    *out = (lo_agreement){lo_paired_spearman(&pairing, NULL), pairing.used, n - pairing.used};
    lo_pairing_destroy(&pairing);
    return LO_OK;
}
