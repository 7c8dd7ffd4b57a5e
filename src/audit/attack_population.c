#include "audit/attack.h"

#include <math.h>
#include <stdlib.h>

static lo_bounded share_at_most(const double *value, int64_t n, double threshold)
{
    int64_t found = 0, all = 0;
    for (int64_t i = 0; i < n; i++) {
        found += value[i] <= threshold;
        all += !isnan(value[i]);
    }
    return lo_share(found, all);
}

lo_status lo_mia_population(const double *population, int64_t count, const double *forget,
                            int64_t forget_count, const double *other, int64_t others, double at,
                            lo_population_attack *out, lo_error *err)
{
    *out = (lo_population_attack){
        .at = at, .threshold = NAN, .found = lo_unbounded_nan(), .false_found = lo_unbounded_nan()};
    double *sorted = malloc(((size_t)count + 1) * sizeof(*sorted));
    if (sorted == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for a population of %lld", (long long)count);
    }
    int64_t n = 0;
    for (int64_t i = 0; i < count; i++) {
        if (!isnan(population[i])) {
            sorted[n++] = population[i];
        }
    }
    int64_t allowed = (int64_t)floor(at * (double)n + 1e-9);
    if (allowed < 1) {
        free(sorted);
        return lo_fail(err, LO_DATA,
                       "mia_population has a population of %lld; a false positive rate of %g needs %.0f",
                       (long long)n, at, ceil(1 / at));
    }
    lo_sort_reals(sorted, n);
    allowed = allowed < n ? allowed : n;
    double threshold = sorted[allowed - 1];
    if (allowed < n && sorted[allowed] == threshold) {
        /* Equal losses reach beyond what is allowed: below all of them. */
        int64_t below = allowed - 1;
        while (below > 0 && sorted[below - 1] == threshold) {
            below--;
        }
        threshold = below > 0 ? sorted[below - 1] : -INFINITY;
    }
    out->threshold = threshold;
    out->found = share_at_most(forget, forget_count, threshold);
    out->false_found = share_at_most(other, others, threshold);
    free(sorted);
    return LO_OK;
}
