/* What the audit's attacks and scores cost on one core, each against what issue and docs promise. */
#include "audit/attack.h"
#include "base/clock.h"
#include "base/random.h"

#include <stdio.h>
#include <stdlib.h>

/* 10,000 members and as many others whose confidences overlap as those of a model that has memorized little.
 */
static void support_vectors(void)
{
    enum { N = 10000 };
    const lo_random random = lo_random_make(1, LO_FOR_TEST);
    double *value = malloc((size_t)(3 * N) * sizeof(*value));
    for (uint64_t i = 0; i < 3 * N && value != NULL; i++) {
        const double u = (double)lo_random_unit(random, 0, i);
        value[i] = i < N ? 1 - u * u * u * u : i < 2 * N ? 1 - u * u * u : 1 - u * u * u * u;
    }
    lo_efficacy out;
    lo_error err = {0};
    const double began = lo_clock_monotonic();
    const lo_status status = lo_mia_svc((lo_points){value, N}, (lo_points){value + N, N},
                                        (lo_points){value + 2 * N, N}, 1, 0, 1, NULL, &out, &err);
    printf("attack=mia_svc points=%d seconds=%.3f efficacy=%.4f %s\n", 2 * N, lo_clock_monotonic() - began,
           out.efficacy.value, status == LO_OK ? "" : err.text);
    free(value);
}

int main(void)
{
    support_vectors();
    return 0;
}
