#include "score/stopping.h"

#include "score/subset.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *const names[] = {"mean", "median", "p90", "largest"};

lo_over lo_over_named(const char *name)
{
    for (int i = 0; i < (int)(sizeof(names) / sizeof(names[0])); i++) {
        if (strcmp(names[i], name) == 0) {
            return (lo_over)i;
        }
    }
    return LO_OVER_MEAN;
}

const char *lo_over_name(lo_over over)
{
    return names[over];
}

int64_t lo_stopping_next(const lo_design *design, int64_t first, int64_t now)
{
    assert(design->block >= 1 && first >= 1 && now >= 0);
    const int64_t least = now == 0 ? first : now + (now + 3) / 4;
    if (least >= design->models) { /* before rounding, which could overflow */
        return design->models;
    }
    const int64_t whole = (least + design->block - 1) / design->block * design->block;
    return whole < design->models ? whole : design->models;
}

static int compare_floats(const void *a, const void *b)
{
    const float x = *(const float *)a;
    const float y = *(const float *)b;
    return (x > y) - (x < y);
}

/* Errors without NaN. */
static float known(float error)
{
    return isnan(error) ? INFINITY : error;
}

/* Pairwise: halves are added first. */
static double sum(const float *error, int64_t n)
{
    enum { FEW = 256 };
    double total = 0;
    if (n > FEW) {
        return sum(error, n / 2) + sum(error + n / 2, n - n / 2);
    }
    for (int64_t i = 0; i < n; i++) {
        total += (double)known(error[i]);
    }
    return total;
}

lo_status lo_stopping_error(const float *error, int64_t n, lo_over over, double *out, lo_error *err)
{
    *out = 0;
    if (n < 1) {
        return LO_OK;
    }
    if (over == LO_OVER_MEAN) {
        *out = sum(error, n) / (double)n;
        return LO_OK;
    }
    float *sorted = malloc((size_t)n * sizeof(*sorted));
    if (sorted == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for the errors of %lld examples", (long long)n);
    }
    for (int64_t i = 0; i < n; i++) {
        sorted[i] = known(error[i]);
    }
    qsort(sorted, (size_t)n, sizeof(*sorted), compare_floats);
    const int64_t tenths = over == LO_OVER_MEDIAN ? 5 : over == LO_OVER_P90 ? 9 : 10;
    *out = (double)sorted[(n * tenths + 9) / 10 - 1];
    free(sorted);
    return LO_OK;
}

/* The largest error that so many models can leave an example: outcomes are as uncertain as can be. */
static double worst_error(const lo_design *design, int64_t models)
{
    if (design->kind == LO_DESIGN_COMPLEMENTARY) {
        const int64_t pairs = models / 2;
        return (double)lo_paired_difference(pairs / 2, pairs - pairs / 2, pairs).standard_error;
    }
    const double in = design->kind == LO_DESIGN_BALANCED ? (double)(models / design->block * design->block_in)
                                                         : (double)models * design->ratio;
    const double factor = design->kind == LO_DESIGN_BALANCED ? lo_block_factor(design->block) : 1;
    return factor * 0.5 * sqrt(1 / (in + 2) + 1 / ((double)models - in + 2));
}

int64_t lo_stopping_bound(const lo_design *design, int64_t first, double target)
{
    int64_t models = lo_stopping_next(design, first, 0);
    while (models < design->models && worst_error(design, models) > target) {
        models = lo_stopping_next(design, first, models);
    }
    return models;
}
